//! The operator's own listener: metrics and health, on a thread of its own, so that it answers
//! also when the cores are busy. Not for the public.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, oneshot};

use super::body::Body;
use super::metrics::{Gauges, Monitor};
use super::route::{page, readiness, status};

/// A running operations listener.
pub struct Operations {
    local_addr: SocketAddr,
    thread: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// What is told, and who knows it.
struct Told {
    monitor: Arc<Monitor>,
    gauges: Gauges,
}

/// Scrapers and probes at a time; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 64;

/// How long a connection may last, whatever it does: a scraper makes a new one.
const CONNECTION_MAX: Duration = Duration::from_secs(120);

/// After accepting failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What Prometheus asks for (exposition format 0.0.4).
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Operations {
    /// Tells on `listener` what `monitor` counted and what `gauges` says.
    ///
    /// # Errors
    /// When the listener, the runtime or the thread cannot be set up.
    pub fn start(listener: TcpListener, monitor: Arc<Monitor>, gauges: Gauges) -> io::Result<Self> {
        let local_addr = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let told = Arc::new(Told { monitor, gauges });
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, told) => {}
                }
            });
        };
        let thread = thread::Builder::new().name("operations".into()).spawn(serve)?;
        Ok(Self { local_addr, thread: Some((stop, thread)) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

impl Drop for Operations {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.thread.take() {
            // Fails only if the thread has ended already.
            let _ = stop.send(());
            drop(thread.join());
        }
    }
}

async fn accept(listener: TcpListener, told: Arc<Told>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the operations listener cannot be watched");
            return;
        }
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let told = Arc::clone(&told);
                tokio::spawn(async move {
                    // How it ended is the client's affair.
                    let _ = tokio::time::timeout(CONNECTION_MAX, serve(stream, told)).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(stream: TcpStream, told: Arc<Told>) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = respond(&request, &told);
        async move { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
}

fn respond(request: &Request<Incoming>, told: &Told) -> Response<Body> {
    let Told { monitor, gauges } = told;
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/metrics" => {
            let mut response = page(StatusCode::OK, monitor.metrics(&gauges()));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(METRICS_TYPE));
            response
        }
        "/healthz" => page(StatusCode::OK, "ok\n"),
        "/readyz" => readiness(&monitor.site),
        _ => status(StatusCode::NOT_FOUND),
    }
}
