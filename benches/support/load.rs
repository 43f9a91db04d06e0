//! The load: connections that each send a request, wait for the whole answer, and send the
//! next.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

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
    pub elapsed: Duration,
    pub latencies_ns: Vec<u64>,
}

/// An OCSPResponse without responseBytes.
const ERROR_LEN: usize = 5;

/// Loads `address` for `length`; `next` writes each request into an empty buffer.
pub fn run(address: SocketAddr, length: Duration, next: impl FnMut(&mut Vec<u8>) + 'static) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let seen = Rc::new(RefCell::new(Seen::default()));
    let next = Rc::new(RefCell::new(next));
    let local = tokio::task::LocalSet::new();
    let began = Instant::now();
    let until = began + length;
    for _ in 0..CONNECTIONS {
        let (seen, next) = (Rc::clone(&seen), Rc::clone(&next));
        local.spawn_local(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut request = Vec::new();
            let mut answer = vec![0; 16 * 1024];
            loop {
                let asked = Instant::now();
                if asked >= until {
                    break;
                }
                request.clear();
                (next.borrow_mut())(&mut request);
                stream.write_all(&request).await.unwrap();
                let body_len = read_answer(&mut stream, &mut answer).await;
                let mut seen = seen.borrow_mut();
                seen.answers += 1;
                seen.octets += body_len as u64;
                seen.refused += u64::from(body_len <= ERROR_LEN);
                seen.latencies_ns.push(asked.elapsed().as_nanos() as u64);
            }
        });
    }
    runtime.block_on(local);
    let mut seen = Rc::into_inner(seen).unwrap().into_inner();
    seen.elapsed = began.elapsed();
    seen
}

/// Reads one answer whole; returns the length of its body.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> usize {
    let mut len = 0;
    loop {
        let read = stream.read(&mut buffer[len..]).await.unwrap();
        assert!(read > 0, "the server closed");
        len += read;
        let answer = &buffer[..len];
        if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..end]));
            let body_len = content_length(&answer[..end]);
            if len == end + 4 + body_len {
                return body_len;
            }
            assert!(len < end + 4 + body_len, "more than was asked for");
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"\r\ncontent-length: ";
    let at = head.windows(NAME.len()).position(|window| window == NAME).expect("a length") + NAME.len();
    head[at..]
        .iter()
        .take_while(|octet| octet.is_ascii_digit())
        .fold(0, |value, digit| value * 10 + usize::from(digit - b'0'))
}
