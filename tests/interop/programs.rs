//! Clients that are libraries: a small program in their language does all orders in one start.
//!
//! It reads them from a file, one a line, fields separated by tabs, and prints a word for each:
//!
//! ```text
//! ask   GET|POST  SHA-1|SHA-256  nonce|none  url  certificate  issuers
//! read  answer    certificate    issuers
//! path  url       certificate    issuers
//! ```
//!
//! Issuers are files with commas between them: keys of one CA have one name. By `path`, BouncyCastle's own
//! validation of a path asks, and decides.

use std::fs;
use std::path::Path;

use crate::matrix::{Client, FINDINGS, Hash, Method, Status};
use crate::service::{Ran, run};
use crate::stage::{Order, Task, examine};

#[test]
fn java_asks_everything_it_knows_and_refuses_forgeries() {
    examine(Client::Jdk, |orders| {
        let mut words = java("Jdk.java", "", orders);
        let methods = words.pop().unwrap();
        assert!(methods.starts_with("methods: ") && methods.contains("setOcspExtensions"), "{methods}");
        let learnt = ["hash", "digest", "algorithm"].iter().any(|new| methods.to_lowercase().contains(new));
        assert!(!learnt, "it has learnt to choose the CertID's hash: put that into the matrix: {methods}");
        words
    });
}

#[test]
fn bouncycastle_asks_everything_it_knows_and_refuses_forgeries() {
    examine(Client::BouncyCastle, |orders| java("BouncyCastle.java", JARS, orders));
}

#[test]
fn python_cryptography_asks_everything_it_knows_and_refuses_forgeries() {
    examine(Client::Cryptography, |orders| python("ocsp_cryptography.py", orders));
}

#[test]
fn pkilint_remarks_only_what_the_matrix_gives_a_reason_for() {
    let answers = examine(Client::Cryptography, |orders| python("ocsp_cryptography.py", orders));
    assert_eq!(Client::PkiLint.questions(), Client::Cryptography.questions());
    let home = tempfile::tempdir().unwrap();
    let mut files: Vec<String> = Vec::new();
    for (number, exchange) in answers.iter().enumerate() {
        files.push(write(&home.path().join(format!("{number:02}.der")), &exchange.answer));
    }
    // It finds what is wrong: a validity period that ends before it begins.
    let mut backwards = answers[0].answer.clone();
    let times: Vec<usize> =
        (0..backwards.len() - 17).filter(|at| backwards[*at..*at + 4] == *b"\x18\x0f20").collect();
    let next_update = times[2] + 2;
    backwards[next_update..next_update + 4].copy_from_slice(b"2001");
    files.push(write(&home.path().join("backwards.der"), &backwards));
    let arguments: Vec<&str> = files.iter().map(String::as_str).collect();
    let words =
        words(&run(&interpreter(), &[&[source("ocsp_pkilint.py").as_str()], &arguments[..]].concat()));
    let (backwards, words) = words.split_last().unwrap();
    assert_eq!(backwards, "ERROR pkix.ocsp_negative_validity_period");
    let (certificate, words) = words.split_last().unwrap();
    let known = FINDINGS.map(|finding| format!("{} {}", finding.severity, finding.code));
    assert_eq!(certificate.split(", ").collect::<Vec<_>>(), known, "the signer's certificate");
    assert_eq!(words.len(), answers.len());
    for (word, question) in words.iter().zip(Client::PkiLint.questions()) {
        assert_eq!(word, Client::PkiLint.word(Status::Good), "{question:?}");
    }
}

pub const JARS: &str = "/usr/share/java/bcprov.jar:/usr/share/java/bcpkix.jar:/usr/share/java/bcutil.jar";

fn java(program: &str, class_path: &str, orders: &[Order]) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let plan = write(&home.path().join("plan"), plan(orders).as_bytes());
    words(&run("java", &["-cp", class_path, &source(program), &plan]))
}

fn python(program: &str, orders: &[Order]) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let plan = write(&home.path().join("plan"), plan(orders).as_bytes());
    words(&run(&interpreter(), &[&source(program), &plan]))
}

fn plan(orders: &[Order]) -> String {
    orders.iter().map(line).collect()
}

fn line(order: &Order) -> String {
    let Order { task, certificate, issuer } = order;
    let task = match task {
        Task::Ask { question, url } => {
            let method = if question.method == Method::Get { "GET" } else { "POST" };
            let hash = if question.hash == Hash::Sha1 { "SHA-1" } else { "SHA-256" };
            let nonce = if question.nonce { "nonce" } else { "none" };
            format!("ask\t{method}\t{hash}\t{nonce}\t{url}")
        }
        Task::Read { answer } => format!("read\t{answer}"),
    };
    format!("{task}\t{certificate}\t{issuer}\n")
}

fn words(ran: &Ran) -> Vec<String> {
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    ran.stdout.lines().map(str::to_owned).collect()
}

fn source(name: &str) -> String {
    format!("{}/tests/interop/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The Python that `tests/run` made.
fn interpreter() -> String {
    std::env::var("SEKISHO_TEST_PYTHON").expect("SEKISHO_TEST_PYTHON: run the tests by tests/run")
}

fn write(file: &Path, octets: &[u8]) -> String {
    fs::write(file, octets).unwrap();
    file.to_str().unwrap().to_owned()
}
