//! Downloads of CRLs and certificates.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ring::digest;
use sekisho::der::UnixTime;
use sekisho::http::{Content, Document, Documents, Freshness};

use crate::client::{Client, get, get_with, with_method};
use crate::responder::now;
use crate::site::Served;

const SMALL: &str = "/crl/sign/1/full.crl";
const LARGE: &str = "/crl/sets/7/sign/1/full.crl";
const LARGE_LEN: usize = 5_000_000;

fn content() -> Vec<u8> {
    (0..LARGE_LEN).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn sha256(octets: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, octets).as_ref().try_into().unwrap()
}

/// One document in memory and one in a file.
fn served(file: &Path) -> (Served, UnixTime) {
    let served = Served::start();
    let modified = now().minus(Duration::from_secs(100));
    let mut documents = Documents::default();
    let freshness = Freshness {
        expires: Some(now().plus(Duration::from_secs(86_400))),
        max_age: Duration::from_secs(300),
        immutable: false,
    };
    let small = Document::in_memory(b"0123456789".to_vec(), "application/pkix-crl", modified, freshness);
    documents.insert(SMALL, Arc::new(small));
    let octets = content();
    std::fs::write(file, &octets).unwrap();
    let source = Content::File(file.to_owned(), LARGE_LEN as u64);
    let freshness = Freshness { immutable: true, ..freshness };
    let large = Document::new(source, "application/pkix-crl", sha256(&octets), modified, freshness);
    documents.insert(LARGE, Arc::new(large));
    served.site.documents.store(Arc::new(documents));
    (served, modified)
}

#[test]
fn rfc9110_s8_8_a_crl_carries_type_and_validators() {
    let directory = tempfile::tempdir().unwrap();
    let (served, modified) = served(&directory.path().join("full.crl"));
    let response = served.ask(get(SMALL));
    assert_eq!((response.status, &*response.body), (200, &b"0123456789"[..]));
    assert_eq!(response.field("content-type"), Some("application/pkix-crl"));
    assert_eq!(response.field("cache-control"), Some("max-age=300, public, no-transform"));
    assert_eq!(response.field("accept-ranges"), Some("bytes"));
    let hash: String = sha256(b"0123456789").iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(response.field("etag"), Some(&*format!("\"{hash}\"")));
    let date = |field| httpdate::parse_http_date(response.field(field).unwrap()).unwrap();
    let since_1970 = date("last-modified").duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(UnixTime::default().plus(since_1970), modified);
    assert!(date("expires") > date("date"));
    let immutable = served.ask(get(LARGE));
    assert_eq!(immutable.body, content());
    assert_eq!(immutable.field("cache-control"), Some("max-age=300, public, no-transform, immutable"));
    for absent in ["/crl/sign/1/other.crl", "/crl/", "/ca/sign/1.cer", "/crl/sign/1/../1/full.crl"] {
        assert_eq!(served.ask(get(absent)).status, 404, "{absent}");
    }
}

#[test]
fn rfc9110_s13_conditional_downloads() {
    let directory = tempfile::tempdir().unwrap();
    let (served, _) = served(&directory.path().join("full.crl"));
    for path in [SMALL, LARGE] {
        let mut client = Client::connect(served.address());
        client.send(with_method("HEAD", path, &[]));
        let head = client.response_to_head();
        assert_eq!(head.status, 200);
        let len = if path == SMALL { 10 } else { LARGE_LEN };
        assert_eq!(head.field("content-length"), Some(&*len.to_string()));
        let (etag, modified) = (head.field("etag").unwrap(), head.field("last-modified").unwrap());
        for (fields, status) in [
            (vec![("If-None-Match", etag)], 304),
            (vec![("If-Modified-Since", modified)], 304),
            (vec![("If-None-Match", "\"other\""), ("If-Modified-Since", modified)], 200),
            (vec![("If-Modified-Since", "Fri, 15 Jan 2010 08:00:00 GMT")], 200),
        ] {
            let response = served.ask(get_with(path, &fields));
            assert_eq!(response.status, status, "{fields:?}");
            assert_eq!(response.field("etag"), Some(etag));
            assert_eq!(response.body.is_empty(), status == 304);
        }
    }
}

#[test]
fn rfc9110_s14_ranges_of_downloads() {
    let directory = tempfile::tempdir().unwrap();
    let (served, _) = served(&directory.path().join("full.crl"));
    let whole = content();
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=100000-299999", 100_000, 300_000),
        ("bytes=4999999-", LARGE_LEN - 1, LARGE_LEN),
        ("bytes=-70000", LARGE_LEN - 70_000, LARGE_LEN),
    ] {
        let response = served.ask(get_with(LARGE, &[("Range", range)]));
        assert_eq!(response.status, 206, "{range}");
        assert_eq!(response.field("content-range"), Some(&*format!("bytes {from}-{}/{LARGE_LEN}", to - 1)));
        assert_eq!(response.body, whole[from..to], "{range}");
    }
    assert_eq!(served.ask(get_with(SMALL, &[("Range", "bytes=2-4")])).body, b"234");
    let beyond = served.ask(get_with(SMALL, &[("Range", "bytes=10-")]));
    assert_eq!((beyond.status, beyond.field("content-range")), (416, Some("bytes */10")));
    for (range, extra) in [("bytes=0-1,3-4", None), ("bytes=0-1", Some(("If-Range", "\"other\"")))] {
        let fields: Vec<_> = [("Range", range)].into_iter().chain(extra).collect();
        let response = served.ask(get_with(SMALL, &fields));
        assert_eq!((response.status, &*response.body), (200, &b"0123456789"[..]), "{range}");
    }
}

#[test]
fn readers_keep_the_file_they_began_with() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("full.crl");
    let (served, _) = served(&file);
    let mut client = Client::connect(served.address());
    client.send(get(LARGE));
    // The head has come, so the file is open; most of the body cannot have been sent.
    client.wait_for_octets();
    let replacement = directory.path().join("new.crl");
    std::fs::write(&replacement, vec![0; LARGE_LEN]).unwrap();
    std::fs::rename(&replacement, &file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(client.response().body, content());
    let gone = served.ask(get(LARGE));
    assert_eq!(gone.status, 503);
    assert!(gone.field("retry-after").is_some());
    std::fs::write(&file, b"short").unwrap();
    assert_eq!(served.ask(get(LARGE)).status, 503);
}

#[test]
fn a_new_set_is_served_from_its_swap_on() {
    let directory = tempfile::tempdir().unwrap();
    let (served, modified) = served(&directory.path().join("full.crl"));
    let old = served.ask(get(SMALL));
    let mut documents = Documents::clone(&served.site.documents.load());
    let freshness = Freshness { expires: None, max_age: Duration::from_secs(60), immutable: false };
    let new = Document::in_memory(b"new".to_vec(), "application/pkix-crl", modified, freshness);
    documents.insert(SMALL, Arc::new(new));
    served.site.documents.store(Arc::new(documents));
    let response = served.ask(get_with(SMALL, &[("If-None-Match", old.field("etag").unwrap())]));
    assert_eq!((response.status, &*response.body), (200, &b"new"[..]));
    assert_eq!(response.field("expires"), None);
}
