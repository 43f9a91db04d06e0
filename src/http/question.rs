//! OCSP over HTTP (RFC 6960 App. A, RFC 9919 §§5–7): from request octets to a response with its
//! caching headers.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, HeaderValue, LAST_MODIFIED,
};
use hyper::{Response, StatusCode};
use tokio::sync::oneshot;

use super::body::Body;
use super::conditional::Conditions;
use super::core::Core;
use super::counters::Source;
use super::date;
use super::encoding::{self, Spelling};
use crate::der::UnixTime;
use crate::ocsp::{Answer, Caching, Respond};

/// Octets of a request: sixteen questions with every extension stay below a third of it.
pub(super) const REQUEST_LEN_MAX: usize = 10 * 1024;

/// OCSPResponse { malformedRequest }, for octets that do not even come apart.
const MALFORMED_REQUEST: [u8; 5] = [0x30, 0x03, 0x0a, 0x01, 0x01];
/// OCSPResponse { tryLater }, when there is no time to sign.
pub(super) const TRY_LATER: [u8; 5] = [0x30, 0x03, 0x0a, 0x01, 0x03];

/// An answer, or the promise of one; and who signed it.
pub(super) enum Asked {
    Ready(Source, Answer),
    Waiting(Source, oneshot::Receiver<Answer>),
}

/// How long a request waits for its signature, whatever ails the signer: clients give up sooner
/// or later, and a responder that does not answer looks worse than one that says tryLater.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Asks the responder, and sees to the signature.
pub(super) fn ask(core: &Core, request: &[u8], now: UnixTime) -> Asked {
    match core.site.responder.respond(request, now) {
        Respond::Ready(answer) => Asked::Ready(Source::Kept, answer),
        Respond::Refresh(answer, job) => {
            core.signing.refresh(job, request, now);
            Asked::Ready(Source::Kept, answer)
        }
        Respond::Sign(job) => core.signing.sign(core, job, request, now),
    }
}

/// Asks what the path of a GET says; none when it says nothing.
pub(super) fn ask_path(core: &Core, path: &str, now: UnixTime) -> Option<Asked> {
    let octets = match encoding::decode(path) {
        Spelling::Octets(octets) => octets,
        Spelling::Undecodable => Vec::new(),
        Spelling::Foreign => return None,
    };
    let first = ask_octets(core, &octets, now);
    let malformed =
        |asked: &Asked| matches!(asked, Asked::Ready(_, answer) if answer.body == MALFORMED_REQUEST);
    Some(if malformed(&first) && path.ends_with('/') {
        match encoding::decode_without_final_slash(path) {
            Some(octets) => ask_octets(core, &octets, now),
            None => first,
        }
    } else {
        first
    })
}

fn ask_octets(core: &Core, octets: &[u8], now: UnixTime) -> Asked {
    if octets.is_empty() || octets.len() > REQUEST_LEN_MAX {
        return Asked::Ready(Source::Unsigned, error(MALFORMED_REQUEST));
    }
    ask(core, octets, now)
}

/// The answer another makes; one that does not come is `tryLater`.
pub(super) async fn wait(receiver: oneshot::Receiver<Answer>) -> Answer {
    match tokio::time::timeout(WAIT_MAX, receiver).await {
        Ok(Ok(answer)) => answer,
        _ => error(TRY_LATER),
    }
}

pub(super) fn error(octets: [u8; 5]) -> Answer {
    Answer { body: octets.to_vec(), caching: Caching::NoStore }
}

/// Whether a POST carries what it must: the media type, and no coding on top.
pub(super) fn is_request(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let media_type = media_type.split(';').next().unwrap_or("").trim();
    let coded = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    media_type.eq_ignore_ascii_case("application/ocsp-request") && !coded
}

/// Why there is no body.
pub(super) enum BodyRefusal {
    /// More than [`REQUEST_LEN_MAX`].
    TooLarge,
    /// It ended early, or its chunks were none.
    Broken,
}

/// The whole body of a POST.
pub(super) async fn read(mut incoming: Incoming) -> Result<Bytes, BodyRefusal> {
    let mut whole = Bytes::new();
    let mut more = BytesMut::new();
    let announced = usize::try_from(incoming.size_hint().lower()).unwrap_or(0).min(REQUEST_LEN_MAX);
    while let Some(frame) = incoming.frame().await {
        let Ok(chunk) = frame.map_err(|_| BodyRefusal::Broken)?.into_data() else { continue };
        if whole.len() + more.len() + chunk.len() > REQUEST_LEN_MAX {
            return Err(BodyRefusal::TooLarge);
        }
        // One chunk, as nearly always, is not copied.
        if whole.is_empty() && more.is_empty() {
            whole = chunk;
        } else {
            // No larger than what is to come, for a client may take its time.
            if more.is_empty() {
                more.reserve(announced.max(whole.len() + chunk.len()));
            }
            more.extend_from_slice(&std::mem::take(&mut whole));
            more.extend_from_slice(&chunk);
        }
    }
    Ok(if more.is_empty() { whole } else { more.freeze() })
}

/// Whether caches may keep the answer, by the method that brought the request.
pub(super) enum Asking {
    /// GET and HEAD: the URL is the question.
    ByGet(Conditions),
    /// Deviates: RFC 9919 §7 would have POST answers cached too; a cache keyed by URL would give
    /// one question's answer to another.
    ByPost,
}

/// Writes the response into `headers`, the emptied map of the request.
pub(super) fn respond(
    core: &Core,
    asking: &Asking,
    (source, answer): (Source, Answer),
    now: UnixTime,
    mut headers: HeaderMap,
) -> Response<Body> {
    headers.clear();
    core.counters.answer(source, &answer);
    let Answer { body, caching } = answer;
    let mut status = StatusCode::OK;
    match (asking, caching) {
        (Asking::ByGet(conditions), Caching::Until { this_update, next_update }) => {
            let fields = CacheFields::new(&body, this_update, next_update);
            if conditions.unchanged(fields.etag.as_bytes(), this_update, now) {
                status = StatusCode::NOT_MODIFIED;
            }
            let left = next_update.since(now);
            headers.insert(LAST_MODIFIED, fields.last_modified);
            headers.insert(EXPIRES, fields.expires);
            headers.insert(ETAG, fields.etag);
            let fresh = core.site.max_age <= left;
            headers
                .insert(CACHE_CONTROL, if fresh { core.cache_control.clone() } else { cache_control(left) });
        }
        _ => {
            // Also of errors that no responder was asked for.
            let private = core.site.responder.is_private();
            let field = if private { "private, no-store" } else { "no-store" };
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(field));
        }
    }
    let body = if status == StatusCode::OK {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/ocsp-response"));
        Body::Whole(body.into())
    } else {
        Body::Empty
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Cache-Control of an answer that may be kept for `max_age`.
pub(super) fn cache_control(max_age: Duration) -> HeaderValue {
    let text = format!("max-age={}, public, no-transform, must-revalidate", max_age.as_secs());
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("no-store"))
}

/// Octets of two dates and an entity tag.
const FIELDS_LEN: usize = 2 * date::LEN + 1 + 8 + 8 + 1;

/// The fields that differ from answer to answer.
struct CacheFields {
    last_modified: HeaderValue,
    expires: HeaderValue,
    etag: HeaderValue,
}

impl CacheFields {
    /// All three in one allocation.
    fn new(body: &[u8], this_update: UnixTime, next_update: UnixTime) -> Self {
        let mut text = Vec::with_capacity(FIELDS_LEN);
        // Strong: a status change moves thisUpdate, a new signature moves the checksum; a
        // client that met both in one second, 1 in 2³², would keep an answer still valid.
        let checksum = crc32fast::hash(body);
        text.extend_from_slice(&date::imf_fixdate(this_update));
        text.extend_from_slice(&date::imf_fixdate(next_update));
        text.push(b'"');
        // The low half: what differs by 136 years is no answer to compare with.
        text.extend_from_slice(&date::hex(u32::try_from(this_update.seconds() & 0xffff_ffff).unwrap_or(0)));
        text.extend_from_slice(&date::hex(checksum));
        text.push(b'"');
        let mut rest = Bytes::from(text);
        let mut field = |len: usize| {
            let field = rest.split_to(len.min(rest.len()));
            HeaderValue::from_maybe_shared(field).unwrap_or(HeaderValue::from_static(""))
        };
        Self { last_modified: field(date::LEN), expires: field(date::LEN), etag: field(usize::MAX) }
    }
}

/// Waits for the answer another makes, and responds.
pub(super) async fn answered(
    core: Arc<Core>,
    asking: Asking,
    source: Source,
    receiver: oneshot::Receiver<Answer>,
    now: UnixTime,
    headers: HeaderMap,
) -> Response<Body> {
    let answer = wait(receiver).await;
    respond(&core, &asking, (source, answer), now, headers)
}
