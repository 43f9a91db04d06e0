//! What caches are told (RFC 9919 §7, RFC 9110 §13, RFC 9111).

use std::time::Duration;

use crate::client::{Client, get, get_with, post, with_method};
use crate::responder::{base64, now};
use crate::site::{MAX_AGE, Served};

fn date(text: &str) -> u64 {
    httpdate::parse_http_date(text).unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn rfc9919_s7_2_get_answers_carry_their_times() {
    let served = Served::start();
    let response = served.ask(get(&format!("/{}", base64(&served.request(7, None)))));
    let expected = format!("max-age={MAX_AGE}, public, no-transform, must-revalidate");
    assert_eq!(response.field("cache-control"), Some(&*expected));
    let modified = date(response.field("last-modified").unwrap());
    let expires = date(response.field("expires").unwrap());
    let dated = date(response.field("date").unwrap());
    assert!(modified <= dated && dated + MAX_AGE <= expires);
    // thisUpdate and nextUpdate of the answer, as it writes them.
    for time in [modified, expires] {
        let written = sekisho::der::UnixTime::default().plus(Duration::from_secs(time)).to_generalized();
        assert!(response.body.windows(15).any(|window| window == written));
    }
    let etag = response.field("etag").unwrap();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 10, "{etag}");
}

#[test]
fn rfc9919_s7_deviates_post_and_errors_are_not_kept() {
    let served = Served::start();
    let unauthorized = [0x30, 3, 10, 1, 6];
    let mut foreign = served.request(7, None);
    // Another issuerKeyHash.
    let at = foreign.len() - 5;
    foreign[at] ^= 1;
    for octets in [
        post("/", &served.request(7, None)),
        post("/", &foreign),
        get(&format!("/{}", base64(&foreign))).into_bytes(),
        get("/M").into_bytes(),
    ] {
        let response = served.ask(octets);
        assert_eq!(response.status, 200);
        assert_eq!(response.field("cache-control"), Some("no-store"));
        for absent in ["etag", "last-modified", "expires"] {
            assert_eq!(response.field(absent), None);
        }
    }
    assert_eq!(served.ask(post("/", &foreign)).body, unauthorized);
}

#[test]
fn rfc9110_s15_4_5_not_modified_carries_the_fields_and_no_body() {
    let served = Served::start();
    let path = format!("/{}", base64(&served.request(7, None)));
    let full = served.ask(get(&path));
    let etag = full.field("etag").unwrap();
    for list in [etag.to_owned(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
        for method in ["GET", "HEAD"] {
            let response = served.ask(with_method(method, &path, &[("If-None-Match", &list)]));
            assert_eq!(response.status, 304, "{method} {list}");
            for field in ["etag", "last-modified", "expires", "cache-control"] {
                assert_eq!(response.field(field), full.field(field), "{field}");
            }
            assert!(response.body.is_empty());
        }
    }
    // The connection goes on after a 304.
    let mut client = Client::connect(served.address());
    client.send(get_with(&path, &[("If-None-Match", etag)]) + &get(&path));
    assert_eq!(client.response().status, 304);
    assert_eq!(client.response().body, full.body);
    assert_eq!(served.ask(get_with(&path, &[("If-None-Match", "\"other\"")])).status, 200);
}

#[test]
fn rfc9110_s13_1_3_a_date_is_used_only_without_a_tag_and_two_seconds_later() {
    let served = Served::start();
    // Issued an hour ago, so that thisUpdate lies before the request.
    let path = format!("/{}", base64(&served.request(7, None)));
    let full = served.ask(get(&path));
    let modified = full.field("last-modified").unwrap();
    let response = served.ask(get_with(&path, &[("If-Modified-Since", modified)]));
    let age = date(response.field("date").unwrap()) - date(modified);
    assert_eq!(response.status, if age >= 2 { 304 } else { 200 });
    let both = [("If-Modified-Since", modified), ("If-None-Match", "\"other\"")];
    assert_eq!(served.ask(get_with(&path, &both)).status, 200);
    let long_ago = [("If-Modified-Since", "Fri, 15 Jan 2010 08:00:00 GMT")];
    assert_eq!(served.ask(get_with(&path, &long_ago)).status, 200);
    // Revoked this second: the answer is modified this second, and a date does not tell.
    let in_its_second = (30..60).any(|serial| {
        served.revoke(serial);
        let path = format!("/{}", base64(&served.request(serial, None)));
        let full = served.ask(get(&path));
        let modified = full.field("last-modified").unwrap();
        let response = served.ask(get_with(&path, &[("If-Modified-Since", modified)]));
        let in_its_second = now().seconds().unsigned_abs() == date(modified);
        assert!(!in_its_second || response.status == 200);
        in_its_second
    });
    assert!(in_its_second, "never within one second");
}
