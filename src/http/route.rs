//! One match on method and path.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body as _, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderMap, HeaderValue,
    RETRY_AFTER,
};
use hyper::service::Service;
use hyper::{Method, Request, Response, StatusCode};

use super::body::Body;
use super::conditional::Conditions;
use super::connection::{Entry, Phase};
use super::core::Core;
use super::question::{self, Asked, Asking, BodyRefusal};
use super::site::Site;

/// Answers the requests of one connection.
pub(super) struct Routes {
    entry: Arc<Entry>,
    core: Arc<Core>,
}

/// Where the last checkpoint is.
const CHECKPOINT: &str = "/crl/checkpoint";

/// What a path stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// `/` and `/ocsp`: where requests are posted.
    Responder,
    /// `/{base64}` and `/ocsp/{base64}`.
    Question,
    /// `/crl/…` and `/ca/…`.
    Document,
    /// `/healthz`.
    Health,
    /// `/readyz`.
    Readiness,
    /// `OPTIONS *`.
    Server,
}

impl Target {
    fn of(path: &str) -> Self {
        // A request is a SEQUENCE: its base64 begins with an M, and nothing else here does.
        if path.starts_with("/M") {
            return Self::Question;
        }
        match path {
            "/" => Self::Responder,
            "/healthz" => Self::Health,
            "/readyz" => Self::Readiness,
            "*" => Self::Server,
            _ if path.starts_with("/crl/") || path.starts_with("/ca/") => Self::Document,
            _ => match path.trim_start_matches('/') {
                "" | "ocsp" | "ocsp/" => Self::Responder,
                _ => Self::Question,
            },
        }
    }

    const fn allow(self) -> &'static str {
        match self {
            Self::Responder | Self::Server => "GET, HEAD, OPTIONS, POST",
            Self::Question | Self::Document | Self::Health | Self::Readiness => "GET, HEAD, OPTIONS",
        }
    }
}

/// What a response waits for: nothing, or a body or signature.
pub(super) enum Answering {
    Ready(Option<Response<Body>>),
    Later(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
}

impl Routes {
    pub(super) const fn new(entry: Arc<Entry>, core: Arc<Core>) -> Self {
        Self { entry, core }
    }

    fn route(&self, request: Request<Incoming>) -> Answering {
        let target = Target::of(request.uri().path());
        if expects_more_than_continue(request.headers()) {
            return self.ready(status(StatusCode::EXPECTATION_FAILED));
        }
        let method = request.method();
        let reading = method == Method::GET || method == Method::HEAD;
        match target {
            Target::Responder if method == Method::POST => self.post(request),
            Target::Responder if reading => self.ready(welcome()),
            Target::Question if reading => self.get(request),
            Target::Document if reading => self.ready(self.download(&request)),
            Target::Health if reading => self.ready(page(StatusCode::OK, "ok\n")),
            Target::Readiness if reading => self.ready(readiness(&self.core.site)),
            _ if method == Method::OPTIONS => self.ready(allow(StatusCode::NO_CONTENT, target)),
            Target::Server => self.ready(status(StatusCode::BAD_REQUEST)),
            _ => self.ready(allow(StatusCode::METHOD_NOT_ALLOWED, target)),
        }
    }

    fn ready(&self, response: Response<Body>) -> Answering {
        Answering::Ready(Some(done(&self.core, response)))
    }

    fn later(&self, response: impl Future<Output = Response<Body>> + Send + 'static) -> Answering {
        let core = Arc::clone(&self.core);
        Answering::Later(Box::pin(async move { done(&core, response.await) }))
    }

    fn get(&self, request: Request<Incoming>) -> Answering {
        let now = self.core.site.clock.now();
        let (parts, _) = request.into_parts();
        let Some(asked) = question::ask_path(&self.core, parts.uri.path(), now) else {
            return self.ready(status(StatusCode::NOT_FOUND));
        };
        let asking = Asking::ByGet(Conditions::of(&parts.headers));
        match asked {
            Asked::Ready(source, answer) => {
                self.ready(question::respond(&self.core, &asking, (source, answer), now, parts.headers))
            }
            Asked::Waiting(source, receiver) => {
                let core = Arc::clone(&self.core);
                self.later(question::answered(core, asking, source, receiver, now, parts.headers))
            }
        }
    }

    fn post(&self, request: Request<Incoming>) -> Answering {
        if !question::is_request(request.headers()) {
            return self.ready(status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        // Before the body is asked for: who waits for 100 Continue keeps it.
        if usize::try_from(request.body().size_hint().lower()).unwrap_or(usize::MAX)
            > question::REQUEST_LEN_MAX
        {
            return self.ready(status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        self.entry.enter(Phase::Body, self.core.tick());
        let (core, entry) = (Arc::clone(&self.core), Arc::clone(&self.entry));
        self.later(async move {
            let (parts, incoming) = request.into_parts();
            let body = question::read(incoming).await;
            entry.enter(Phase::Work, core.tick());
            let body = match body {
                Ok(body) => body,
                Err(BodyRefusal::TooLarge) => return status(StatusCode::PAYLOAD_TOO_LARGE),
                Err(BodyRefusal::Broken) => return status(StatusCode::BAD_REQUEST),
            };
            // The body may have taken its time, and the question is asked now.
            let now = core.site.clock.now();
            let answer = match question::ask(&core, &body, now) {
                Asked::Ready(source, answer) => (source, answer),
                Asked::Waiting(source, receiver) => (source, question::wait(receiver).await),
            };
            question::respond(&core, &Asking::ByPost, answer, now, parts.headers)
        })
    }

    fn download(&self, request: &Request<Incoming>) -> Response<Body> {
        let now = self.core.site.clock.now();
        let found = match request.uri().path() {
            CHECKPOINT => self.core.site.checkpoint.load_full(),
            path => self.core.site.documents.load().find(path),
        };
        let Some(document) = found else { return status(StatusCode::NOT_FOUND) };
        document.respond(request.method(), request.headers(), now).unwrap_or_else(|error| {
            tracing::error!(path = request.uri().path(), %error, "a published file cannot be read");
            let mut response = status(StatusCode::SERVICE_UNAVAILABLE);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
            response
        })
    }
}

impl Service<Request<Incoming>> for Routes {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        self.entry.enter(Phase::Work, self.core.tick());
        self.core.counters.request(request.method());
        self.route(request)
    }
}

impl Future for Answering {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Ready(response) => response.take().map_or(Poll::Pending, |ready| Poll::Ready(Ok(ready))),
            Self::Later(response) => response.as_mut().poll(cx).map(Ok),
        }
    }
}

/// `response`, counted; it ends its connection when the server is stopping.
fn done(core: &Core, mut response: Response<Body>) -> Response<Body> {
    core.counters.response(response.status());
    if core.is_stopping() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Expectations other than `100-continue`, which hyper meets by itself (RFC 9110 §10.1.1).
fn expects_more_than_continue(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|expected| !expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

fn welcome() -> Response<Body> {
    page(StatusCode::OK, WELCOME)
}

/// For the browser of somebody who followed the URL in a certificate.
const WELCOME: &str = "\
This is an OCSP responder (RFC 6960).
POST an application/ocsp-request to / or GET /{base64 of it}.
CRLs: /crl/index.json
";

fn allow(code: StatusCode, target: Target) -> Response<Body> {
    let mut response = if code == StatusCode::NO_CONTENT { empty(code) } else { status(code) };
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(target.allow()));
    response
}

/// Whether the service is ready, and why not.
pub(super) fn readiness(site: &Site) -> Response<Body> {
    let readiness = (site.readiness)();
    let ready = readiness.is_ready();
    let text =
        serde_json::json!({ "ready": ready, "reasons": readiness.reasons, "warnings": readiness.warnings });
    let text = text.to_string();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response = page(status, text);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A status with its own name as text.
pub(super) fn status(code: StatusCode) -> Response<Body> {
    page(code, format!("{}\n", code.canonical_reason().unwrap_or("refused")))
}

/// A text.
pub(super) fn page(code: StatusCode, text: impl Into<bytes::Bytes>) -> Response<Body> {
    let text = text.into();
    let mut response = empty(code);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    *response.body_mut() = Body::Whole(text);
    response
}

fn empty(code: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = code;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
