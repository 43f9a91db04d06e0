//! Stands between a client and the service, passes every octet on, and keeps what was asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use data_encoding::BASE64;
use rasn_ocsp::OcspRequest;

use crate::client;
use crate::matrix::{Hash, Method};

pub struct Recorder {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Exchange>>>,
}

/// One question and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub method: Method,
    pub request: Vec<u8>,
    pub answer: Vec<u8>,
}

/// What a request turned out to ask for.
#[derive(Debug, PartialEq, Eq)]
pub struct Wire {
    pub method: Method,
    pub nonce: bool,
    pub hash: Hash,
}

impl Recorder {
    /// Listens until the process ends.
    pub fn before(service: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, kept) = (stream.unwrap(), Arc::clone(&kept));
                thread::spawn(move || pass(&stream, service, &kept));
            }
        });
        Self { address, seen }
    }

    /// Gives everybody this one answer, until the process ends; its URL.
    pub fn replaying(answer: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                read(&mut BufReader::new(&stream)).unwrap();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\n\
                     Content-Length: {}\r\nConnection: close\r\n\r\n",
                    answer.len()
                );
                (&stream).write_all(&[head.as_bytes(), &answer].concat()).unwrap();
            }
        });
        format!("http://{address}/")
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// All exchanges in order.
    pub fn seen(&self) -> Vec<Exchange> {
        self.seen.lock().unwrap().clone()
    }
}

impl Exchange {
    pub fn wire(&self) -> Wire {
        // BER, as some write an explicit default or an empty Extensions.
        let request: OcspRequest = rasn::ber::decode(&self.request).unwrap();
        let [one] = &request.tbs_request.request_list[..] else { panic!("one CertID: {request:?}") };
        let hash = match &**one.req_cert.hash_algorithm.algorithm {
            SHA1 => Hash::Sha1,
            SHA256 => Hash::Sha256,
            other => panic!("hash {other:?}"),
        };
        let extensions = request.tbs_request.request_extensions;
        let nonce = extensions.is_some_and(|all| all.iter().any(|one| *one.extn_id == *NONCE));
        Wire { method: self.method, nonce, hash }
    }
}

/// Serves one connection of a client until either side ends it.
fn pass(stream: &TcpStream, service: SocketAddr, seen: &Mutex<Vec<Exchange>>) {
    let mut from = BufReader::new(stream);
    let mut upstream = client::Client::connect(service);
    while let Some((head, body)) = read(&mut from) {
        upstream.send([head.as_bytes(), &body].concat());
        let Some(response) = upstream.try_response(false) else { return };
        let mut words = head.split(' ');
        let (method, request) = match (words.next().unwrap(), words.next().unwrap()) {
            ("GET", path) => (Method::Get, undo_path(path)),
            ("POST", _) => (Method::Post, body),
            other => panic!("{other:?}"),
        };
        seen.lock().unwrap().push(Exchange { method, request, answer: response.body.clone() });
        let mut to = stream;
        to.write_all(&[response.head.as_bytes(), &response.body].concat()).unwrap();
        // Who asks for the end reads until then, whatever the length says.
        if closes(&head) || closes(&response.head) {
            return;
        }
    }
}

/// The next request: its head with the empty line, and its body.
fn read(from: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    let mut len = 0;
    while !head.ends_with("\r\n\r\n") {
        let start = head.len();
        if from.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if let Some((name, value)) = head[start..].split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            len = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; len];
    from.read_exact(&mut body).unwrap();
    Some((head, body))
}

fn closes(head: &str) -> bool {
    head.lines().any(|line| line.eq_ignore_ascii_case("connection: close"))
}

/// The request in a path: base64, percent-encoded where the client likes.
fn undo_path(path: &str) -> Vec<u8> {
    let mut parts = path.strip_prefix('/').unwrap().split('%');
    let mut base64 = parts.next().unwrap().to_owned();
    for part in parts {
        base64.push(char::from(u8::from_str_radix(&part[..2], 16).unwrap()));
        base64.push_str(&part[2..]);
    }
    BASE64.decode(base64.as_bytes()).unwrap_or_else(|error| panic!("{error}: {path}"))
}

const SHA1: &[u32] = &[1, 3, 14, 3, 2, 26];
const SHA256: &[u32] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];
const NONCE: &[u32] = &[1, 3, 6, 1, 5, 5, 7, 48, 1, 2];
