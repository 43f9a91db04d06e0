//! HTTP as far as a load needs it: requests written whole, responses framed.

use std::borrow::Cow;
use std::net::{SocketAddr, ToSocketAddrs};

use hyper::Uri;

use super::super::Failure;
use super::super::args::Method;

/// Longest response that is read: an OCSP answer with its certificates has 1 to 10 kB.
pub(super) const RESPONSE_MAX: usize = 256 * 1024;
/// Fields of a response's head; servers and the proxies before them send a dozen.
const FIELDS_MAX: usize = 64;

/// Where the questions go.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// As it was given.
    pub(super) url: String,
    /// What its host stands for; one of them is taken.
    pub(super) addresses: Vec<SocketAddr>,
    /// The Host field.
    host: String,
    path: String,
}

impl Target {
    /// From an absolute URL.
    ///
    /// # Errors
    /// Wrong use: not `http`, no host. Unreached: a host no address is known of.
    pub(super) fn from_url(url: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| Failure::wrong_use(format!("{url}: {why}"));
        let uri: Uri = url.parse().map_err(|error| wrong(&format!("{error}")))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("write http://HOST[:PORT]/PATH (TLS is not measured: ask the plain listener)"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("write http://HOST[:PORT]/PATH"))?;
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        let resolved = (name, authority.port_u16().unwrap_or(HTTP_PORT)).to_socket_addrs();
        let addresses: Vec<_> = resolved
            .map_err(|error| Failure::unreached(format!("{url}: no address of {name} is known: {error}")))?
            .collect();
        let path = uri.path().to_owned();
        Ok(Self { url: url.to_owned(), addresses, host: authority.to_string(), path })
    }

    /// Appends a request.
    pub(super) fn write(&self, method: Method, request: &[u8], out: &mut Vec<u8>) {
        match method {
            Method::Get => {
                out.extend_from_slice(b"GET ");
                out.extend_from_slice(self.path.as_bytes());
                if !self.path.ends_with('/') {
                    out.push(b'/');
                }
                write_base64(request, out);
            }
            Method::Post => {
                out.extend_from_slice(b"POST ");
                out.extend_from_slice(self.path.as_bytes());
            }
        }
        out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
        out.extend_from_slice(self.host.as_bytes());
        out.extend_from_slice(b"\r\nUser-Agent: sekisho-load\r\n");
        if method == Method::Post {
            out.extend_from_slice(b"Content-Type: application/ocsp-request\r\nContent-Length: ");
            out.extend_from_slice(request.len().to_string().as_bytes());
            out.extend_from_slice(b"\r\n\r\n");
            out.extend_from_slice(request);
        } else {
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Base64 as a URL has it (RFC 6960 App. A.1).
fn write_base64(octets: &[u8], out: &mut Vec<u8>) {
    for digit in data_encoding::BASE64.encode(octets).bytes() {
        match digit {
            b'+' => out.extend_from_slice(b"%2B"),
            b'/' => out.extend_from_slice(b"%2F"),
            b'=' => out.extend_from_slice(b"%3D"),
            digit => out.push(digit),
        }
    }
}

/// One response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response<'a> {
    pub(super) status: u16,
    pub(super) body: Cow<'a, [u8]>,
    /// Octets it took.
    pub(super) len: usize,
    /// The server sends nothing after it.
    pub(super) closes: bool,
}

/// A body, and the octets it took.
type Body<'a> = (Cow<'a, [u8]>, usize);

/// Not HTTP/1, or more than is read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The response at the start of `input`, None while it is not all there. `ended`: nothing
/// follows.
pub(super) fn response(input: &[u8], ended: bool) -> Result<Option<Response<'_>>, Unreadable> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let head_len = match head.parse(input).map_err(|_| Unreadable)? {
        httparse::Status::Complete(len) => len,
        httparse::Status::Partial => return unfinished(input),
    };
    let status = head.code.ok_or(Unreadable)?;
    let field = |name: &str| {
        head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    };
    let says = |name, word: &[u8]| field(name).is_some_and(|value| value.eq_ignore_ascii_case(word));
    let keeps = head.version == Some(1) || says("connection", b"keep-alive");
    let closes = !keeps || says("connection", b"close");
    let rest = input.get(head_len..).unwrap_or_default();
    let body = if says("transfer-encoding", b"chunked") {
        chunked(rest)?
    } else if let Some(len) = field("content-length") {
        let len: usize = std::str::from_utf8(len).ok().and_then(|len| len.parse().ok()).ok_or(Unreadable)?;
        rest.get(..len).map(|body| (Cow::Borrowed(body), len))
    } else if matches!(status, 204 | 304) {
        Some((Cow::default(), 0))
    } else {
        // Its end is the connection's.
        let body = ended.then_some((Cow::Borrowed(rest), rest.len()));
        return Ok(body.map(|(body, len)| Response { status, body, len: head_len + len, closes: true }));
    };
    match body {
        Some((body, len)) => Ok(Some(Response { status, body, len: head_len + len, closes })),
        None => unfinished(input),
    }
}

fn unfinished<'a>(input: &[u8]) -> Result<Option<Response<'a>>, Unreadable> {
    if input.len() < RESPONSE_MAX { Ok(None) } else { Err(Unreadable) }
}

/// The body of a chunked message (RFC 9112 §7.1); trailers are passed over.
fn chunked(input: &[u8]) -> Result<Option<Body<'static>>, Unreadable> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = input.get(at..).unwrap_or_default();
        let (head, size) = match httparse::parse_chunk_size(rest).map_err(|_| Unreadable)? {
            httparse::Status::Complete(found) => found,
            httparse::Status::Partial => return Ok(None),
        };
        let size = usize::try_from(size).ok().filter(|size| *size <= RESPONSE_MAX).ok_or(Unreadable)?;
        if size == 0 {
            return Ok(end_of_trailers(rest, head).map(|end| (Cow::Owned(body), at + end)));
        }
        let Some(chunk) = rest.get(head..head + size) else { return Ok(None) };
        body.extend_from_slice(chunk);
        at += head + size + CRLF.len();
    }
}

/// Where the empty line after the last chunk's line ends.
fn end_of_trailers(rest: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let line = rest.get(at..)?;
        let end = line.windows(CRLF.len()).position(|two| two == CRLF)? + CRLF.len();
        at += end;
        if end == CRLF.len() {
            return Some(at);
        }
    }
}

const CRLF: &[u8] = b"\r\n";
const HTTP_PORT: u16 = 80;

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(input: &[u8], ended: bool) -> (u16, Vec<u8>, usize, bool) {
        for cut in 0..input.len() {
            let early = response(&input[..cut], false).unwrap();
            assert_eq!(early, None, "{} octets are not all of it", cut);
        }
        let one = response(input, ended).unwrap().unwrap();
        (one.status, one.body.to_vec(), one.len, one.closes)
    }

    #[test]
    fn rfc9112_s6_a_response_ends_where_its_framing_says() {
        let sized = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(whole(sized, false), (200, b"abc".to_vec(), sized.len(), false));
        let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\nT: u\r\n\r\n";
        assert_eq!(whole(chunks, false), (200, b"abc".to_vec(), chunks.len(), false));
        let to_the_end = b"HTTP/1.0 200 OK\r\nContent-Type: a/b\r\n\r\nabc";
        assert_eq!(whole(to_the_end, true), (200, b"abc".to_vec(), to_the_end.len(), true));
        let old = b"HTTP/1.0 404 Not Found\r\nContent-length: 0\r\n\r\n";
        assert_eq!(whole(old, false), (404, vec![], old.len(), true));
        let last = b"HTTP/1.1 503 no\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        assert!(whole(last, false).3);
    }

    #[test]
    fn of_pipelined_responses_the_first_is_taken() {
        let two =
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb";
        let first = response(two, false).unwrap().unwrap();
        assert_eq!(*first.body, *b"a");
        assert_eq!(*response(&two[first.len..], false).unwrap().unwrap().body, *b"b");
    }

    #[test]
    fn what_is_no_response_or_has_no_end_is_not_waited_for() {
        assert_eq!(response(b"SSH-2.0-x\r\n", false), Err(Unreadable));
        assert_eq!(response(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", false), Err(Unreadable));
        let mut endless = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n".to_vec();
        endless.resize(RESPONSE_MAX, 0);
        assert_eq!(response(&endless, false), Err(Unreadable));
    }

    #[test]
    fn rfc6960_app_a_1_base64_in_a_url_is_escaped() {
        let target = Target::from_url("http://127.0.0.1:80/ocsp").unwrap();
        let mut out = Vec::new();
        target.write(Method::Get, &[0xfb, 0xff, 0xfe, 0xff], &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with("GET /ocsp/%2B%2F%2F%2B%2Fw%3D%3D HTTP/1.1\r\nHost: 127.0.0.1:80\r\n"),
            "{text}"
        );
    }
}
