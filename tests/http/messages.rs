//! HTTP/1.0 and 1.1 (RFC 9112), methods and expectations (RFC 9110).

use crate::client::{Client, get, post, post_with, with_method};
use crate::responder::{SignsWith, World, base64};
use crate::site::{Served, contains, options};

#[test]
fn rfc9110_s15_5_6_other_methods_are_told_which_there_are() {
    let served = Served::start();
    let question = format!("/{}", base64(&served.request(1, None)));
    for (path, allowed) in [
        ("/", "GET, HEAD, OPTIONS, POST"),
        ("/ocsp", "GET, HEAD, OPTIONS, POST"),
        (&*question, "GET, HEAD, OPTIONS"),
        ("/crl/index.json", "GET, HEAD, OPTIONS"),
        ("/healthz", "GET, HEAD, OPTIONS"),
    ] {
        for method in ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "X-ODD"] {
            let response = served.ask(with_method(method, path, &[]));
            assert_eq!(response.status, 405, "{method} {path}");
            assert_eq!(response.field("allow"), Some(allowed), "{method} {path}");
        }
        let response = served.ask(with_method("OPTIONS", path, &[]));
        assert_eq!(response.status, 204);
        assert_eq!(response.field("allow"), Some(allowed));
    }
    assert_eq!(served.ask(with_method("OPTIONS", "*", &[])).status, 204);
    assert_eq!(served.ask(post(&question, b"0")).status, 405);
}

#[test]
fn rfc9110_s10_1_1_expectations() {
    let served = Served::start();
    let request = served.request(2, None);
    let typed = ("Content-Type", "application/ocsp-request");
    let whole = post_with("/", &[typed, ("Expect", "100-Continue")], &request);
    let (head, body) = whole.split_at(whole.len() - request.len());
    let mut client = Client::connect(served.address());
    client.send(head);
    assert_eq!(client.response().status, 100);
    client.send(body);
    assert!(contains(&client.response().body, &served.cert_id(2)));
    // A body that would be refused is not asked for.
    let mut client = Client::connect(served.address());
    client.send(with_method("POST", "/", &[typed, ("Expect", "100-continue"), ("Content-Length", "10241")]));
    assert_eq!(client.response().status, 413);
    let response = served.ask(post_with("/", &[typed, ("Expect", "miracles")], &request));
    assert_eq!(response.status, 417);
}

#[test]
fn rfc9112_s9_3_connections_are_kept_or_closed_as_asked() {
    let served = Served::start();
    let path = format!("/{}", base64(&served.request(4, None)));
    let mut client = Client::connect(served.address());
    for _ in 0..50 {
        client.send(get(&path));
        assert_eq!(client.response().status, 200);
    }
    client.send(with_method("GET", &path, &[("Connection", "close")]));
    assert_eq!(client.response().field("connection"), Some("close"));
    assert!(client.is_closed());
    // HTTP/1.0: closed unless keep-alive is asked for.
    let mut client = Client::connect(served.address());
    client.send(format!("GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    let response = client.response();
    assert!(response.head.starts_with("HTTP/1.0 200"));
    client.send(format!("GET {path} HTTP/1.0\r\n\r\n"));
    assert_eq!(client.response().body, response.body);
    assert!(client.is_closed());
}

#[test]
fn rfc9112_s6_1_length_beside_chunks_goes_by_the_chunks_and_closes() {
    let served = Served::start();
    let request = served.request(6, None);
    // Were the length believed, the rest of the chunks would be read as a request.
    for order in [
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 5"],
    ] {
        let mut octets = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/ocsp-request\r\n{}\r\n{}\r\n\r\n{:x}\r\n",
            order[0],
            order[1],
            request.len()
        )
        .into_bytes();
        octets.extend_from_slice(&request);
        octets.extend_from_slice(b"\r\n0\r\n\r\n");
        octets.extend_from_slice(get("/healthz").as_bytes());
        let mut client = Client::connect(served.address());
        client.send(octets);
        let response = client.response();
        assert!(response.status == 400 || contains(&response.body, &served.cert_id(6)), "{}", response.head);
        assert!(client.try_response(false).is_none(), "the connection went on");
    }
}

#[test]
fn rfc9112_s6_3_contradicting_framing_is_refused() {
    let served = Served::start();
    for fields in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: -1",
        "Content-Length: 5x",
        "Content-Length: +5",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding : chunked",
    ] {
        let mut client = Client::connect(served.address());
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/ocsp-request\r\n{fields}\r\n\r\n00000"
        ));
        assert_eq!(client.response().status, 400, "{fields}");
        assert!(client.try_response(false).is_none(), "{fields}");
    }
    let old = "POST / HTTP/1.0\r\nContent-Type: application/ocsp-request\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(served.ask(old).status, 400);
}

#[test]
fn rfc9112_s3_what_is_no_request_is_refused_and_closed() {
    let served = Served::start();
    for octets in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET / HTTP/3.0\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nbad field\r\n\r\n",
    ] {
        let mut client = Client::connect(served.address());
        client.send(octets);
        client.finish_sending();
        let response = client.try_response(false);
        assert_eq!(response.map(|response| response.status), Some(400), "{octets:?}");
        assert!(client.try_response(false).is_none(), "{octets:?}");
    }
}

#[test]
fn rfc9112_s9_6_a_client_may_close_its_side_and_wait() {
    let served = Served::with(World::new(SignsWith::Rsa2048, 100), options());
    for serial in 1..=5 {
        let mut client = Client::connect(served.address());
        client.send(post("/", &served.request(serial, Some(b"nonce"))));
        client.finish_sending();
        assert!(contains(&client.response().body, &served.cert_id(serial)));
        assert!(client.is_closed());
    }
    // And one with nothing to say is let go.
    let mut client = Client::connect(served.address());
    client.finish_sending();
    assert!(client.is_closed());
}

#[test]
fn health_and_readiness_are_told() {
    let served = Served::start();
    let healthy = served.ask(get("/healthz"));
    assert_eq!((healthy.status, &*healthy.body), (200, &b"ok\n"[..]));
    let ready = served.ask(get("/readyz"));
    assert_eq!((ready.status, &*ready.body), (200, &br#"{"ready":true,"reasons":[],"warnings":[]}"#[..]));
    // What somebody should look at takes nobody out of a load balancer.
    served.warnings.lock().unwrap().push("look".to_owned());
    let warned = served.ask(get("/readyz"));
    assert_eq!(
        (warned.status, &*warned.body),
        (200, &br#"{"ready":true,"reasons":[],"warnings":["look"]}"#[..])
    );
    served.warnings.lock().unwrap().clear();
    served.reasons.lock().unwrap().push("the disk has failed".to_owned());
    let not_ready = served.ask(get("/readyz"));
    assert_eq!(not_ready.status, 503);
    assert_eq!(not_ready.field("content-type"), Some("application/json"));
    assert_eq!(&*not_ready.body, br#"{"ready":false,"reasons":["the disk has failed"],"warnings":[]}"#);
    assert_eq!(served.ask(get("/healthz")).status, 200);
}
