//! The load: connections that each send a request, wait for the whole answer, and send the
//! next.
#![allow(dead_code, reason = "shared by benches, none of which uses all of it")]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sekisho::der::{DerError, Reader, UnixTime, tag};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Connections kept open, as in the published figures beside.
const CONNECTIONS: usize = 32;

/// What one stretch of load saw.
#[derive(Default)]
pub struct Seen {
    pub answers: u64,
    /// Of them, OCSP errors (`tryLater` and the like).
    pub refused: u64,
    pub octets: u64,
    /// Answers of which it was looked at when they were produced; of them, those produced
    /// before the stretch began: their signatures were made then and kept.
    pub dated: u64,
    pub kept: u64,
    pub elapsed: Duration,
    pub latencies_ns: Vec<u64>,
}

/// An OCSPResponse without responseBytes.
const ERROR_LEN: usize = 5;

/// Every so many answers one is looked at, so that looking costs nothing.
const DATED_EVERY: u64 = 16;

/// Whether the server keeps a connection for further requests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    Open,
    /// Closes it after its answer, and is asked on a new one.
    Nothing,
}

/// Loads `address` for `length`; `next` writes each request into an empty buffer.
pub fn run(
    address: SocketAddr,
    keeps: Keeps,
    length: Duration,
    next: impl FnMut(&mut Vec<u8>) + 'static,
) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let seen = Rc::new(RefCell::new(Seen::default()));
    let next = Rc::new(RefCell::new(next));
    let local = tokio::task::LocalSet::new();
    let began_on = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let began_on = UnixTime::from_seconds(began_on as i64);
    let began = Instant::now();
    let until = began + length;
    for _ in 0..CONNECTIONS {
        let (seen, next) = (Rc::clone(&seen), Rc::clone(&next));
        local.spawn_local(async move {
            let mut kept = None;
            let mut request = Vec::new();
            let mut answer = vec![0; 16 * 1024];
            loop {
                let asked = Instant::now();
                if asked >= until {
                    break;
                }
                request.clear();
                (next.borrow_mut())(&mut request);
                let mut stream = match kept.take() {
                    Some(stream) => stream,
                    None => connect(address).await,
                };
                stream.write_all(&request).await.unwrap();
                let body = read_answer(&mut stream, &mut answer).await;
                let mut seen = seen.borrow_mut();
                seen.answers += 1;
                seen.octets += body.len() as u64;
                seen.refused += u64::from(body.len() <= ERROR_LEN);
                seen.latencies_ns.push(asked.elapsed().as_nanos() as u64);
                if seen.answers % DATED_EVERY == 0
                    && let Ok(produced_at) = produced_at(body)
                {
                    seen.dated += 1;
                    seen.kept += u64::from(produced_at < began_on);
                }
                kept = (keeps == Keeps::Open).then_some(stream);
            }
        });
    }
    runtime.block_on(local);
    let mut seen = Rc::into_inner(seen).unwrap().into_inner();
    seen.elapsed = began.elapsed();
    seen
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Reads one answer whole; returns its body.
async fn read_answer<'a>(stream: &mut TcpStream, buffer: &'a mut [u8]) -> &'a [u8] {
    let mut len = 0;
    let (start, end) = loop {
        let read = stream.read(&mut buffer[len..]).await.unwrap();
        assert!(read > 0, "the server closed");
        len += read;
        if let Some((start, end)) = framed(&buffer[..len]) {
            assert!(len <= end, "more than was asked for");
            if len == end {
                break (start, end);
            }
        }
    };
    &buffer[start..end]
}

/// Where the body of the response at the start begins and ends, once its head is there.
pub fn framed(answer: &[u8]) -> Option<(usize, usize)> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let ok = answer.starts_with(b"HTTP/1.1 200 ") || answer.starts_with(b"HTTP/1.0 200 ");
    assert!(ok, "{}", String::from_utf8_lossy(&answer[..head]));
    let start = head + 4;
    Some((start, start + content_length(&answer[..head])))
}

/// producedAt of an OCSP answer (RFC 6960 §4.2.1).
fn produced_at(answer: &[u8]) -> Result<UnixTime, DerError> {
    let mut outer = Reader::new(Reader::new(answer).read(tag::SEQUENCE)?);
    outer.read(tag::ENUMERATED)?;
    let mut bytes = Reader::new(Reader::new(outer.read(tag::context_constructed(0))?).read(tag::SEQUENCE)?);
    bytes.read(tag::OID)?;
    let basic = Reader::new(bytes.octet_string()?).read(tag::SEQUENCE)?;
    let mut data = Reader::new(Reader::new(basic).read(tag::SEQUENCE)?);
    data.optional(tag::context_constructed(0))?;
    data.element()?;
    data.generalized_time()
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"\r\ncontent-length: ";
    let is_name = |window: &[u8]| window.eq_ignore_ascii_case(NAME);
    let at = head.windows(NAME.len()).position(is_name).expect("a length") + NAME.len();
    head[at..]
        .iter()
        .take_while(|octet| octet.is_ascii_digit())
        .fold(0, |value, digit| value * 10 + usize::from(digit - b'0'))
}
