//! Stopping under load, and TLS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, ServerName};
use sekisho::http::{Options, Patience, tls};

use crate::client::{Client, DEADLINE, get, post, with_method, within};
use crate::responder::{SignsWith, World};
use crate::site::{Served, contains, options};

#[test]
fn every_request_accepted_before_stopping_is_answered() {
    let served = Served::start();
    let (address, request) = (served.address(), served.request(1, None));
    let cert_id = served.cert_id(1);
    let answered = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                loop {
                    client.send(post("/", &request));
                    let response = client.try_response(false).expect("no answer to a request sent");
                    assert!(contains(&response.body, &cert_id));
                    answered.fetch_add(1, Ordering::Relaxed);
                    if response.field("connection") == Some("close") {
                        break;
                    }
                }
            });
        }
        within("answers", || answered.load(Ordering::Relaxed) >= 1000);
        let began = Instant::now();
        served.server.stop(2 * DEADLINE);
        assert!(began.elapsed() < DEADLINE, "{:?}", began.elapsed());
    });
    assert!(TcpStream::connect(address).is_err(), "still listening");
}

#[test]
fn stopping_closes_idle_connections_and_cuts_slow_ones_at_the_deadline() {
    let served = Served::start();
    let mut idle = Client::connect(served.address());
    idle.send(get("/healthz"));
    idle.response();
    let began = Instant::now();
    served.server.stop(2 * DEADLINE);
    assert!(began.elapsed() < DEADLINE, "{:?}", began.elapsed());
    assert!(idle.is_closed());

    // Patient enough that it is the stop that cuts.
    let patience = Patience { body: 2 * DEADLINE, ..Patience::default() };
    let served = Served::with(World::new(SignsWith::P256, 10), Options { patience, ..options() });
    let mut slow = Client::connect(served.address());
    let fields = [("Content-Type", "application/ocsp-request"), ("Content-Length", "9")];
    slow.send(with_method("POST", "/", &[&fields[..], &[("Expect", "100-continue")]].concat()));
    assert_eq!(slow.response().status, 100, "its request is under way");
    let began = Instant::now();
    served.server.stop(Duration::from_secs(1));
    assert!((Duration::from_millis(900)..DEADLINE).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert!(slow.is_closed());
}

#[test]
fn tls_is_spoken_when_configured_and_bad_files_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let (chain, key) = (directory.path().join("chain.pem"), directory.path().join("key.pem"));
    let certified = rcgen::generate_simple_self_signed(vec!["ocsp.example".to_owned()]).unwrap();
    std::fs::write(&chain, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let config = tls::config(&chain, &key).unwrap();
    let served = Served::with(World::new(SignsWith::P256, 10), Options { tls: Some(config), ..options() });

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(certified.cert.der().to_vec())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("ocsp.example").unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
    let socket = TcpStream::connect(served.address()).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, socket);
    let mut octets = post("/", &served.request(3, None));
    let end = octets.windows(2).position(|two| two == b"\r\n").unwrap() + 2;
    octets.splice(end..end, *b"Connection: close\r\n");
    stream.write_all(&octets).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(contains(&answer, &served.cert_id(3)));

    let missing = tls::config(&directory.path().join("none.pem"), &key).unwrap_err().to_string();
    assert!(missing.contains("none.pem"), "{missing}");
    assert!(tls::config(&key, &key).is_err());
    std::fs::write(&key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(tls::config(&chain, &key).is_err(), "a key of another certificate");
}
