//! OCSP requests in and responses out (RFC 6960 App. A, RFC 9919 §§5–6).

use crate::client::{Client, get, post, post_chunked, post_with, with_method};
use crate::responder::{SignsWith, World, base64};
use crate::site::{MALFORMED_REQUEST, Served, contains, options};
use crate::spellings::spellings;

#[test]
fn rfc6960_a_1_post_is_answered_at_both_addresses() {
    let served = Served::start();
    let request = served.request(7, None);
    for path in ["/", "/ocsp", "/ocsp/", "//"] {
        let response = served.ask(post(path, &request));
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.field("content-type"), Some("application/ocsp-response"));
        assert!(contains(&response.body, &served.cert_id(7)), "{path}");
    }
    assert_eq!(served.ask(post("/elsewhere", &request)).status, 405);
}

#[test]
fn rfc9919_s5_media_type_is_asked_for() {
    let served = Served::start();
    let request = served.request(7, None);
    for accepted in
        ["application/ocsp-request", "Application/OCSP-Request", "application/ocsp-request; charset=utf-8"]
    {
        let response = served.ask(post_with("/", &[("Content-Type", accepted)], &request));
        assert_eq!(response.status, 200, "{accepted}");
    }
    for refused in ["application/ocsp-response", "text/plain", "", "application/ocsp-requests"] {
        let response = served.ask(post_with("/", &[("Content-Type", refused)], &request));
        assert_eq!(response.status, 415, "{refused}");
    }
    assert_eq!(served.ask(post_with("/", &[], &request)).status, 415);
}

#[test]
fn rfc9110_s8_4_content_coding_of_a_request_is_refused() {
    let served = Served::start();
    let request = served.request(7, None);
    let typed = ("Content-Type", "application/ocsp-request");
    for (coding, status) in [("gzip", 415), ("br", 415), ("identity", 200)] {
        let response = served.ask(post_with("/", &[typed, ("Content-Encoding", coding)], &request));
        assert_eq!(response.status, status, "{coding}");
    }
}

#[test]
fn rfc6960_s4_2_1_undecodable_is_malformed_request_with_status_200() {
    let served = Served::start();
    for path in ["/M", "/MFEw*", "/MFEw%", "/MFEw%zz", "/AAAA", "/ocsp/x.y", "/ocsp/%", "/MFEw", "/hello"] {
        let response = served.ask(get(path));
        assert_eq!((response.status, &*response.body), (200, MALFORMED_REQUEST), "{path}");
        assert_eq!(response.field("content-type"), Some("application/ocsp-response"), "{path}");
        assert_eq!(response.field("cache-control"), Some("no-store"), "{path}");
    }
    for body in [&b""[..], b"0", &[0x30; 100]] {
        let response = served.ask(post("/", body));
        assert_eq!((response.status, &*response.body), (200, MALFORMED_REQUEST), "{body:?}");
    }
}

#[test]
fn get_is_post_for_every_spelling() {
    const SERIALS: u64 = 300;
    let served = Served::with(World::new(SignsWith::P256, SERIALS), options());
    let mut client = Client::connect(served.address());
    let mut with_double_slash = 0;
    // The base64 of these ends in slashes; nobody has issued them, and that is an answer too.
    let slashes = (0..200).map(|n| 0x00ff_ffff_ffff_ffff - n);
    for serial in (1..=SERIALS).chain(slashes) {
        let request = served.request(serial, None);
        client.send(post("/", &request));
        let posted = client.response();
        assert_eq!(posted.status, 200);
        assert!(contains(&posted.body, &served.cert_id(serial)));
        let text = base64(&request);
        with_double_slash += u64::from(text.contains("//"));
        let spellings = spellings(&text);
        // All of them in one write, so that this also is a test of pipelining.
        client.send(spellings.iter().map(|path| get(path)).collect::<String>());
        for path in &spellings {
            let response = client.response();
            assert_eq!(response.status, 200, "{path}");
            assert_eq!(response.body, posted.body, "{path}");
        }
    }
    assert!(with_double_slash > 100, "no request with //");
}

#[test]
fn rfc9110_s9_3_2_head_is_get_without_the_body() {
    let served = Served::start();
    let path = format!("/{}", base64(&served.request(9, None)));
    let got = served.ask(get(&path));
    let mut client = Client::connect(served.address());
    client.send(with_method("HEAD", &path, &[]));
    let head = client.response_to_head();
    assert_eq!(head.status, 200);
    for field in ["content-length", "content-type", "etag", "last-modified", "expires", "cache-control"] {
        assert_eq!(head.field(field), got.field(field), "{field}");
        assert!(got.field(field).is_some(), "{field}");
    }
    // Nothing of a body came: the next response begins where the head ended.
    client.send(get("/healthz"));
    assert_eq!(client.response().body, b"ok\n");
}

#[test]
fn what_browsers_and_scanners_ask_is_harmless() {
    let served = Served::start();
    for (path, status) in [("/", 200), ("/ocsp", 200), ("/favicon.ico", 404), ("/robots.txt", 404)] {
        let response = served.ask(get(path));
        assert_eq!(response.status, status, "{path}");
        assert!(response.field("content-type").unwrap().starts_with("text/plain"), "{path}");
    }
    for path in ["/metrics", "/crl/", "/ca/x"] {
        let response = served.ask(get(path));
        assert!(response.status == 404 || response.body == MALFORMED_REQUEST, "{path}");
    }
}

#[test]
fn rfc9112_s7_1_chunked_requests_are_answered() {
    let served = Served::start();
    let request = served.request(11, None);
    for chunk in [1, 7, 1000] {
        let response = served.ask(post_chunked("/", &request, chunk));
        assert!(contains(&response.body, &served.cert_id(11)), "{chunk}");
    }
    let mut client = Client::connect(served.address());
    let mut broken = post_chunked("/", &request, 10);
    let digit = broken.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    broken[digit] = b'x';
    client.send(&broken);
    assert_eq!(client.try_response(false).map(|response| response.status), Some(400));
}

#[test]
fn rfc9654_a_nonce_comes_back_and_nothing_is_kept() {
    let served = Served::start();
    let nonces: Vec<[u8; 32]> = (0..20).map(|n| [n; 32]).collect();
    for nonce in &nonces {
        let request = served.request(5, Some(nonce));
        for octets in [post("/", &request), get(&format!("/{}", base64(&request))).into_bytes()] {
            let response = served.ask(octets);
            assert!(contains(&response.body, nonce));
            assert_eq!(response.field("cache-control"), Some("no-store"));
            for absent in ["etag", "last-modified", "expires"] {
                assert_eq!(response.field(absent), None);
            }
        }
    }
}

#[test]
fn an_rsa_signer_answers_from_its_threads() {
    let served = Served::with(World::new(SignsWith::Rsa2048, 100), options());
    for serial in 1..=20 {
        let request = served.request(serial, None);
        let posted = served.ask(post("/", &request));
        assert!(contains(&posted.body, &served.cert_id(serial)));
        let got = served.ask(get(&format!("/{}", base64(&request))));
        assert_eq!(got.body, posted.body);
        assert!(got.field("etag").is_some());
    }
}

#[test]
fn a_revocation_is_in_the_next_answer() {
    let served = Served::start();
    let mut client = Client::connect(served.address());
    let path = format!("/{}", base64(&served.request(3, None)));
    client.send(get(&path));
    let before = client.response();
    served.revoke(3);
    client.send(get(&path));
    let after = client.response();
    assert_ne!(before.body, after.body);
    assert_ne!(before.field("etag"), after.field("etag"));
    // RevokedInfo [1] with a GeneralizedTime.
    let revoked = |octets: &[u8]| octets.windows(4).any(|four| four[0] == 0xa1 && four[2..] == [0x18, 15]);
    assert!(revoked(&after.body) && !revoked(&before.body));
}
