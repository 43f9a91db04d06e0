//! The servers under measurement, each in a process of its own: this binary, started again
//! with a role.
#![allow(dead_code, reason = "shared by benches, none of which uses all of it")]

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use ring::signature::{ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use sekisho::http::{Documents, Options, Readiness, Server, Site};
use sekisho::store::Clock;
use tempfile::TempDir;

use super::machine;
use crate::responder::{Questions, SignsWith, World};

/// What a server process does.
#[derive(Clone, Copy)]
pub enum Role {
    /// hyper, a constant of `answer_len` octets, and for each a signature and its verification.
    Bare { answer_len: usize, signs: Option<SignsWith>, verifies: bool },
    /// Ours; `kept` certificates have a signature, as many again have none yet.
    Ours { signs_with: SignsWith, kept: u64 },
}

const ENV: &str = "SEKISHO_BENCH_SERVER";

/// A server process; ends when dropped, and one of ours also when this process does.
pub struct Running {
    child: Child,
    _stdin: Option<ChildStdin>,
    /// What a foreign one needs.
    directory: Option<TempDir>,
    pub address: SocketAddr,
    /// What a responder can be asked.
    pub questions: Option<Rc<Questions>>,
}

impl Running {
    pub fn start(role: Role) -> Self {
        let program = std::env::current_exe().expect("this program has a file");
        let mut child = machine::pinned(0, &program)
            .env(ENV, role.to_text())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        let stdin = child.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut words = line.split_whitespace();
        let address = words.next().expect("the server is ready").parse().unwrap();
        let hashes: Vec<Vec<u8>> = words.map(from_hex).collect();
        let questions = match &hashes[..] {
            [name_hash, key_hash] => {
                Some(Rc::new(Questions { name_hash: name_hash.clone(), key_hash: key_hash.clone() }))
            }
            _ => None,
        };
        Self { child, _stdin: Some(stdin), directory: None, address, questions }
    }

    /// Of a program that is not this one.
    pub fn foreign(
        child: Child,
        directory: TempDir,
        address: SocketAddr,
        questions: Option<Questions>,
    ) -> Self {
        Self { child, _stdin: None, directory: Some(directory), address, questions: questions.map(Rc::new) }
    }

    pub fn cpu_ns(&self) -> u64 {
        machine::cpu_ns_with_children(self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.directory.is_some() {
            // Killed, it would leave its children behind.
            let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        } else {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

impl Role {
    fn to_text(self) -> String {
        match self {
            Self::Bare { answer_len, signs, verifies } => {
                format!("bare {answer_len} {} {verifies}", signs.map_or("-", name))
            }
            Self::Ours { signs_with, kept } => format!("ours {kept} {}", name(signs_with)),
        }
    }

    fn from_text(text: &str) -> Self {
        let words: Vec<&str> = text.split(' ').collect();
        let signs = match words[2] {
            "p256" => Some(SignsWith::P256),
            "rsa2048" => Some(SignsWith::Rsa2048),
            _ => None,
        };
        match words[0] {
            "bare" => Self::Bare {
                answer_len: words[1].parse().unwrap(),
                signs,
                verifies: words[3].parse().unwrap(),
            },
            _ => Self::Ours { signs_with: signs.unwrap(), kept: words[1].parse().unwrap() },
        }
    }
}

fn name(signs_with: SignsWith) -> &'static str {
    match signs_with {
        SignsWith::P256 => "p256",
        SignsWith::Rsa2048 => "rsa2048",
    }
}

/// In a server process: serves until the parent is gone.
pub fn serve_if_asked() -> bool {
    let Ok(text) = std::env::var(ENV) else { return false };
    std::thread::spawn(|| {
        // The parent never writes: this ends when it does.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    match Role::from_text(&text) {
        Role::Bare { answer_len, signs, verifies } => bare(answer_len, signs, verifies),
        Role::Ours { signs_with, kept } => ours(signs_with, kept),
    }
    true
}

fn ours(signs_with: SignsWith, kept: u64) {
    let world = World::new(signs_with, kept * 2);
    for serial in 1..=kept {
        world.answer(&world.request(serial, None));
    }
    let site = Arc::new(Site {
        responder: Arc::clone(&world.responder),
        clock: Clock::system(),
        documents: ArcSwap::from_pointee(Documents::default()),
        checkpoint: arc_swap::ArcSwapOption::empty(),
        readiness: Box::new(Readiness::default),
        max_age: Duration::from_secs(60),
    });
    let options = Options { cores: NonZeroUsize::MIN, ..Options::default() };
    let server = Server::start(TcpListener::bind("127.0.0.1:0").unwrap(), site, options).unwrap();
    let Questions { name_hash, key_hash } = &world.questions;
    println!("{} {} {}", server.local_addr(), to_hex(name_hash), to_hex(key_hash));
    loop {
        std::thread::park();
    }
}

enum RawKey {
    P256(Box<EcdsaKeyPair>),
    Rsa(Box<RsaKeyPair>),
}

/// The limit: nothing of ours, the whole body read, a constant answered; with one signature
/// where asked for, and its verification, by the libraries that ours uses: there is none
/// faster among those at hand.
fn bare(answer_len: usize, signs: Option<SignsWith>, verifies: bool) {
    let random = SystemRandom::new();
    let key = signs.map(|signs| match signs {
        SignsWith::P256 => {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref());
            RawKey::P256(Box::new(pair.unwrap()))
        }
        SignsWith::Rsa2048 => {
            let pair =
                rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
            RawKey::Rsa(Box::new(RsaKeyPair::from_pkcs8(&pair.serialize_der()).unwrap()))
        }
    });
    let key: &'static Option<RawKey> = Box::leak(Box::new(key));
    let answer = Bytes::from(vec![0x30; answer_len]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = answer.clone();
                    async move {
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        if let Some(key) = key {
                            sign(key, &body, verifies);
                        }
                        let mut response = Response::new(Full::new(answer));
                        let media_type = HeaderValue::from_static("application/ocsp-response");
                        response.headers_mut().insert(CONTENT_TYPE, media_type);
                        Ok::<_, Infallible>(response)
                    }
                });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

fn sign(key: &RawKey, message: &[u8], verifies: bool) {
    let random = SystemRandom::new();
    match key {
        RawKey::P256(pair) => {
            let made = pair.sign(&random, message).unwrap();
            if verifies {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, pair.public_key());
                key.verify(message, made.as_ref()).unwrap();
            }
        }
        RawKey::Rsa(pair) => {
            let mut made = [0; 256];
            pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut made).unwrap();
            if verifies {
                let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key());
                key.verify(message, &made).unwrap();
            }
        }
    }
}

fn to_hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}
