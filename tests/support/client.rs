//! A client of raw octets: it sends what it is told and reads responses by their framing.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Nothing takes so long on the slowest machine that tests run on: who waits this long fails.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Waits for an event.
pub fn within(what: &str, has_come: impl Fn() -> bool) {
    let began = Instant::now();
    while !has_come() {
        assert!(began.elapsed() < DEADLINE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    pub fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.stream.write_all(octets.as_ref()).unwrap();
    }

    /// Like [`Self::send`]; the server may have closed already.
    pub fn try_send(&mut self, octets: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(octets.as_ref())
    }

    pub fn finish_sending(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Waits for the first octets of a response, and leaves them unread.
    pub fn wait_for_octets(&mut self) {
        self.fill().expect("a response begins");
    }

    /// The next response to a request that was not HEAD.
    pub fn response(&mut self) -> Response {
        self.try_response(false).expect("a response")
    }

    pub fn response_to_head(&mut self) -> Response {
        self.try_response(true).expect("a response")
    }

    /// None when the connection ends before a response does.
    pub fn try_response(&mut self, to_head: bool) -> Option<Response> {
        let head = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                break String::from_utf8(head).unwrap();
            }
            self.fill()?;
        };
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut response = Response { status, head, body: Vec::new() };
        if to_head || status == 304 || status == 204 || status < 200 {
            return Some(response);
        }
        assert!(response.field("transfer-encoding").is_none(), "{}", response.head);
        let len: usize = response.field("content-length").unwrap().parse().unwrap();
        while self.buffer.len() < len {
            self.fill()?;
        }
        response.body = self.buffer.drain(..len).collect();
        Some(response)
    }

    /// Whether the server ends the connection in time, having sent nothing more.
    pub fn is_closed(&mut self) -> bool {
        let closed = match self.stream.read(&mut [0; 64]) {
            Ok(0) => true,
            Ok(_) => panic!("unexpected octets"),
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        };
        closed && self.buffer.is_empty()
    }

    fn fill(&mut self) -> Option<()> {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => None,
            Ok(len) => {
                self.buffer.extend_from_slice(&chunk[..len]);
                Some(())
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// One request on a connection of its own.
pub fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> Response {
    let mut client = Client::connect(address);
    client.send(request);
    client.response()
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: ocsp.example\r\n\r\n")
}

pub fn get_with(path: &str, fields: &[(&str, &str)]) -> String {
    with_method("GET", path, fields)
}

pub fn with_method(method: &str, path: &str, fields: &[(&str, &str)]) -> String {
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nHost: ocsp.example\r\n{fields}\r\n")
}

pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    post_with(path, &[("Content-Type", "application/ocsp-request")], body)
}

pub fn post_with(path: &str, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let len = body.len().to_string();
    let fields: Vec<_> = fields.iter().copied().chain([("Content-Length", len.as_str())]).collect();
    let mut octets = with_method("POST", path, &fields).into_bytes();
    octets.extend_from_slice(body);
    octets
}

pub fn post_chunked(path: &str, body: &[u8], chunk: usize) -> Vec<u8> {
    let fields = [("Content-Type", "application/ocsp-request"), ("Transfer-Encoding", "chunked")];
    let mut octets = with_method("POST", path, &fields).into_bytes();
    for chunk in body.chunks(chunk) {
        octets.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        octets.extend_from_slice(chunk);
        octets.extend_from_slice(b"\r\n");
    }
    octets.extend_from_slice(b"0\r\n\r\n");
    octets
}
