//! The keys of the card of today and of the coming one: certified, and answered for.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed step must stop the test"
)]

mod service;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use service::{Ran, Service, run};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Keys as a card makes them: OpenSSL's arguments.
const TAKEN: [(&str, &[&str]); 3] = [
    ("rsa2048", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
    ("p256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ("p384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
];

/// Others, and what each is called when it is refused.
const REFUSED: [(&str, &[&str], &str); 5] = [
    ("rsa1024", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"], "RSA with 1024 bits"),
    ("rsa3072", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"], "RSA with 3072 bits"),
    ("p521", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"], "P-521"),
    ("k1", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"], "a curve other than"),
    ("ed25519", &["-algorithm", "ED25519"], "Ed25519"),
];

/// A service, and a place for the keys of those who apply.
struct Counter {
    service: Service,
    home: tempfile::TempDir,
}

impl Counter {
    fn new() -> Self {
        Self { service: Service::demo(100), home: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    /// Makes a key; its request and its public key are written too.
    fn make(&self, name: &str, arguments: &[&str]) {
        let [key, csr, public] = ["key", "csr", "pub"].map(|kind| self.file(&format!("{name}.{kind}")));
        let made = run("openssl", &[&["genpkey", "-out", &key][..], arguments].concat());
        assert_eq!(made.code, Some(0), "{}", made.text());
        let asked = run("openssl", &["req", "-new", "-key", &key, "-subj", "/CN=x", "-out", &csr]);
        assert_eq!(asked.code, Some(0), "{}", asked.text());
        let shown = run("openssl", &["pkey", "-in", &key, "-pubout", "-out", &public]);
        assert_eq!(shown.code, Some(0), "{}", shown.text());
    }

    fn issue(&self, option: &str, file: &str) -> Ran {
        let person = ["issue", "--name", "関所 花子", "--birth", "1982-02-17", "--sex", "female"];
        let place = ["--address", "東京都清瀬市", "--municipality", "13221", "--json"];
        let (file, out) = (self.file(file), self.file("out"));
        self.service.sekisho(&[&person[..], &place, &[option, &file, "--out", &out]].concat())
    }

    fn certificate(&self, issued: &Value) -> PathBuf {
        let (authority, serial) = (issued["authority"].as_str().unwrap(), issued["serial"].as_str().unwrap());
        self.home.path().join("out").join(format!("{authority}-{serial}.pem"))
    }
}

#[test]
fn a_pair_for_each_key_of_the_cards_is_issued_and_answered_good() {
    let counter = Counter::new();
    for (name, arguments) in TAKEN {
        counter.make(name, arguments);
        let public = pem::parse(fs::read(counter.file(&format!("{name}.pub"))).unwrap()).unwrap();
        for (option, file) in [("--csr", format!("{name}.csr")), ("--public-key", format!("{name}.pub"))] {
            let pair = counter.issue(option, &file).json();
            let pair = pair["certificates"].as_array().unwrap();
            assert_eq!(pair.len(), 2, "{name}");
            for (issued, authority) in pair.iter().zip(["sign", "auth"]) {
                let path = counter.certificate(issued);
                let der = pem::parse(fs::read(&path).unwrap()).unwrap().into_contents();
                let (_, certificate) = X509Certificate::from_der(&der).unwrap();
                assert_eq!(certificate.public_key().raw, public.contents(), "{name} {authority}");
                let said = counter.service.openssl_ocsp(authority, path.to_str().unwrap(), &[]);
                assert!(said.contains(": good"), "{name} {authority}: {said}");
            }
        }
    }
}

#[test]
fn another_key_is_refused_by_what_it_is_and_told_what_is_taken() {
    let counter = Counter::new();
    for (name, arguments, called) in REFUSED {
        counter.make(name, arguments);
        for (option, file) in [("--csr", format!("{name}.csr")), ("--public-key", format!("{name}.pub"))] {
            counter.issue(option, &file).refused(2, &[called, "RSA with 2048 bits", "P-256 or P-384"]);
        }
    }
    assert!(!counter.home.path().join("out").exists(), "nothing was issued");
}
