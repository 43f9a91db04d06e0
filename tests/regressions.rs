//! The inputs that fuzzing found something with, kept in `fuzz/regressions`, find nothing any
//! more, nor do the seeds. What is asserted of an answer stands in `fuzz/src/stage.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a test may panic"
)]

#[path = "support/client.rs"]
mod client;
#[allow(dead_code, reason = "the targets ask for more")]
#[path = "../fuzz/src/reading.rs"]
mod reading;
#[path = "support/responder.rs"]
mod responder;
#[path = "http/site.rs"]
mod site;
#[path = "../fuzz/src/stage.rs"]
mod stage;
mod world;

use std::fs;
use std::path::Path;

use responder::base64;
use site::Served;
use stage::Stage;

/// Path and octets of every input in a directory of `fuzz`: one at least, or nothing is replayed.
fn inputs(directory: &str) -> Vec<(String, Vec<u8>)> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(directory);
    let files = fs::read_dir(&home).unwrap().map(|file| file.unwrap().path());
    let inputs: Vec<_> = files.map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect();
    assert!(!inputs.is_empty(), "{}: no input is there", home.display());
    inputs
}

fn requests() -> Vec<(String, Vec<u8>)> {
    ["seeds/request", "regressions/request", "regressions/respond"].into_iter().flat_map(inputs).collect()
}

#[test]
fn every_request_kept_is_answered_rightly() {
    let stage = Stage::new();
    for (name, request) in requests() {
        println!("{name}");
        stage.check(&request);
    }
}

#[test]
fn every_path_kept_gets_an_answer() {
    let served = Served::start();
    let of_requests = requests().into_iter().map(|(name, request)| (name, base64(&request).into_bytes()));
    for (name, path) in of_requests.chain(inputs("regressions/get")) {
        let response = served.ask(client::get(&on_the_wire(&path)));
        assert!([200, 404].contains(&response.status), "{name}: {}", response.head);
    }
}

/// The path as a client must write it to come through HTTP at all: what no path may hold is
/// written as %XX, which is undone once.
fn on_the_wire(path: &[u8]) -> String {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let written = path.iter().map(|octet| match octet {
        b'#' | b'?' | 0x7f.. | ..=b' ' => format!("%{octet:02X}"),
        printable => char::from(*printable).to_string(),
    });
    std::iter::once("/".to_owned()).chain(written).collect()
}
