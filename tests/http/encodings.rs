//! CRLs stored compressed beside themselves: each form is a representation of its own.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ring::digest;
use sekisho::http::{Coding, Content, Document, Documents, Freshness, Shelf, Shelved};

use crate::client::{Client, Response, get_with, with_method};
use crate::responder::now;
use crate::site::Served;

const CURRENT: &str = "/crl/sign/1/full.crl";
const KEPT: &str = "/crl/sets/7/sign/1/full.crl";
const PLAIN: &str = "/crl/sign/1/full.pem";

fn content() -> Vec<u8> {
    (0..200_000_u32).flat_map(|at| (at / 7).to_be_bytes()).collect()
}

fn sha256(octets: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, octets).as_ref().try_into().unwrap()
}

/// The same document under its current address and in a set, in three forms.
fn served(home: &Path) -> Served {
    let octets = content();
    let directory = home.join("sign/1");
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("full.crl");
    std::fs::write(&path, &octets).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&octets).unwrap();
    let (gzip, zstd) = (gzip.finish().unwrap(), zstd::encode_all(&octets[..], 3).unwrap());
    let file = |ending: &str, octets: &[u8]| {
        let path = directory.join(format!("full.crl{ending}"));
        std::fs::write(&path, octets).unwrap();
        Content::File(path, octets.len() as u64)
    };
    let modified = now().minus(Duration::from_secs(100));
    let expires = Some(now().plus(Duration::from_secs(86_400)));
    let freshness = Freshness { expires, max_age: Duration::from_secs(300), immutable: false };
    let new = || {
        let content = Content::File(path.clone(), octets.len() as u64);
        Document::new(content, "application/pkix-crl", sha256(&octets), modified, freshness)
    };
    let current = new().encoded(Coding::Gzip, file(".gz", &gzip)).encoded(Coding::Zstd, file(".zst", &zstd));
    let mut shelf = Shelf::new(home.to_owned(), modified, Duration::from_secs(86_400));
    let row = Shelved {
        content_type: "application/pkix-crl",
        tag: sha256(&octets),
        len: octets.len() as u64,
        gzip: Some(gzip.len() as u64),
        zstd: Some(zstd.len() as u64),
        expires,
    };
    shelf.insert("sign/1/full.crl", row);
    let mut documents = Documents::default();
    documents.insert(CURRENT, Arc::new(current));
    documents.insert(PLAIN, Arc::new(new()));
    documents.insert_set("7", Arc::new(shelf));
    let served = Served::start();
    served.site.documents.store(Arc::new(documents));
    served
}

/// What the body is once its coding is undone.
fn decoded(response: &Response) -> Vec<u8> {
    match response.field("content-encoding") {
        Some("gzip") => {
            let mut octets = Vec::new();
            flate2::read::GzDecoder::new(&response.body[..]).read_to_end(&mut octets).unwrap();
            octets
        }
        Some("zstd") => zstd::decode_all(&response.body[..]).unwrap(),
        None => response.body.clone(),
        Some(other) => panic!("{other}"),
    }
}

#[test]
fn rfc9110_s8_4_who_accepts_a_coding_gets_it_under_an_etag_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    let served = served(home.path());
    for path in [CURRENT, KEPT] {
        let mut tags = Vec::new();
        for (accepted, coding) in [
            ("", None),
            ("gzip", Some("gzip")),
            ("gzip, zstd", Some("zstd")),
            ("br", None),
            ("zstd;q=0", None),
        ] {
            let response = served.ask(get_with(path, &[("Accept-Encoding", accepted)]));
            assert_eq!(response.status, 200);
            assert_eq!(response.field("content-encoding"), coding, "{accepted}");
            assert_eq!(decoded(&response), content(), "{accepted}");
            assert_eq!(response.field("vary"), Some("accept-encoding"), "also when it is as it is");
            assert_eq!(response.field("content-type"), Some("application/pkix-crl"));
            assert_eq!(response.field("content-length"), Some(&*response.body.len().to_string()));
            tags.push((coding, response.field("etag").unwrap().to_owned()));
        }
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), 3, "a strong tag names octets: {tags:?}");
        let distinct: std::collections::BTreeSet<_> = tags.iter().map(|(_, tag)| tag).collect();
        assert_eq!(distinct.len(), 3);
    }
    let plain = served.ask(get_with(PLAIN, &[("Accept-Encoding", "gzip, zstd")]));
    assert_eq!((plain.field("vary"), plain.field("content-encoding")), (None, None));
}

#[test]
fn rfc9110_s13_the_tag_of_another_form_is_another_tag() {
    let home = tempfile::tempdir().unwrap();
    let served = served(home.path());
    let tag = |accepted: &str| {
        let response = served.ask(get_with(CURRENT, &[("Accept-Encoding", accepted)]));
        response.field("etag").unwrap().to_owned()
    };
    for (accepted, other) in [("gzip", "zstd"), ("zstd", "identity"), ("identity", "gzip")] {
        let (own, foreign) = (tag(accepted), tag(other));
        let unchanged =
            served.ask(get_with(CURRENT, &[("Accept-Encoding", accepted), ("If-None-Match", &own)]));
        assert_eq!(unchanged.status, 304);
        assert_eq!(unchanged.field("etag"), Some(&*own));
        assert_eq!(unchanged.field("vary"), Some("accept-encoding"));
        assert!(unchanged.body.is_empty());
        let changed =
            served.ask(get_with(CURRENT, &[("Accept-Encoding", accepted), ("If-None-Match", &foreign)]));
        assert_eq!((changed.status, decoded(&changed)), (200, content()));
    }
}

#[test]
fn rfc9110_s14_ranges_are_of_the_form_that_is_sent() {
    let home = tempfile::tempdir().unwrap();
    let served = served(home.path());
    for accepted in ["gzip", "zstd", "identity"] {
        let whole = served.ask(get_with(CURRENT, &[("Accept-Encoding", accepted)]));
        let (tag, len) = (whole.field("etag").unwrap(), whole.body.len());
        let fields = [("Accept-Encoding", accepted), ("Range", "bytes=100-"), ("If-Range", tag)];
        let part = served.ask(get_with(CURRENT, &fields));
        assert_eq!(part.status, 206);
        assert_eq!(part.body, whole.body[100..]);
        assert_eq!(part.field("content-range"), Some(&*format!("bytes 100-{}/{len}", len - 1)));
        assert_eq!(part.field("content-encoding"), whole.field("content-encoding"));
        let beyond = format!("bytes={len}-");
        let beyond = served.ask(get_with(CURRENT, &[("Accept-Encoding", accepted), ("Range", &beyond)]));
        assert_eq!((beyond.status, beyond.field("vary")), (416, Some("accept-encoding")));
        assert_eq!(beyond.field("content-encoding"), None);
        // A part of one form is never continued with another's.
        let fields = [("Accept-Encoding", "br"), ("Range", "bytes=100-"), ("If-Range", tag)];
        let status = served.ask(get_with(CURRENT, &fields)).status;
        assert_eq!(status, if accepted == "identity" { 206 } else { 200 });
        let mut client = Client::connect(served.address());
        client.send(with_method("HEAD", CURRENT, &[("Accept-Encoding", accepted)]));
        let head = client.response_to_head();
        assert_eq!(head.field("content-length"), Some(&*len.to_string()));
        assert_eq!(head.field("etag"), Some(tag));
    }
}

#[test]
fn what_is_in_no_set_is_not_found_and_nothing_outside_it() {
    let home = tempfile::tempdir().unwrap();
    let served = served(home.path());
    for path in [
        "/crl/sets/8/sign/1/full.crl",
        "/crl/sets/7/sign/1/full.crl.gz",
        "/crl/sets/7/sign/1/other.crl",
        "/crl/sets/7/../7/sign/1/full.crl",
        "/crl/sets/7//sign/1/full.crl",
        "/crl/sets/7",
        "/crl/sets/",
    ] {
        assert_eq!(served.ask(get_with(path, &[])).status, 404, "{path}");
    }
}
