//! A service of registered access, asked over HTTP by `openssl ocsp` and by octets.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use sekisho::der::{Reader, tag};

use crate::client::{Client, Response, ask, get, get_with, post, with_method};
use crate::service::{Service, run, sekisho};

const SIG_REQUIRED: &[u8] = &[0x30, 3, 10, 1, 5];
const UNAUTHORIZED: &[u8] = &[0x30, 3, 10, 1, 6];
const MALFORMED: &[u8] = &[0x30, 3, 10, 1, 1];

/// A service of registered access, and a place for files.
struct Registered {
    service: Service,
    home: tempfile::TempDir,
}

impl Registered {
    fn start(settings: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        assert_eq!(sekisho(&data, &["init"]).code, Some(0));
        let file = data.join("sekisho.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("access = \"open\"", settings)).unwrap();
        Self { service: Service::start(&data, 100), home }
    }

    fn restart(&mut self) {
        self.service = Service::start(&self.data(), 100);
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn address(&self) -> SocketAddr {
        self.service.url().trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
    }

    /// The first good certificate of the signing authority.
    fn good(&self) -> String {
        self.service.certificates("sign", "good")[0]["file"].as_str().unwrap().to_owned()
    }

    fn register(&self, asker: &Openssl) {
        let added = self.service.sekisho(&["verifier", "add", "--name", &asker.name, "--cert", &asker.cert]);
        assert_eq!(added.code, Some(0), "{}", added.text());
    }

    /// What `openssl ocsp` says when it asks.
    fn openssl_ocsp(&self, more: &[&str]) -> String {
        let (ca, good, url) = (self.service.ca("sign"), self.good(), self.service.url());
        let ask = ["ocsp", "-issuer", &ca, "-CAfile", &ca, "-cert", &good, "-url", &url];
        run("openssl", &[&ask[..], more].concat()).text()
    }

    /// A request as `openssl ocsp` writes it.
    fn request(&self, more: &[&str]) -> Vec<u8> {
        let (ca, out) = (self.service.ca("sign"), path(&self.home.path().join("request.der")));
        let good = self.good();
        let ran =
            run("openssl", &[&["ocsp", "-issuer", &ca, "-cert", &good, "-reqout", &out], more].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.text());
        fs::read(out).unwrap()
    }

    fn signed(&self, asker: &Openssl, more: &[&str]) -> Vec<u8> {
        self.request(&[&["-signer", &asker.cert, "-signkey", &asker.key], more].concat())
    }

    fn post(&self, request: &[u8]) -> Response {
        private(ask(self.address(), post("/", request)))
    }

    fn get(&self, request: &[u8]) -> Response {
        private(ask(self.address(), get(&in_path(request))))
    }
}

/// A key and its certificate, made by OpenSSL.
struct Openssl {
    name: String,
    key: String,
    cert: String,
}

impl Openssl {
    fn new(home: &Path, name: &str, algorithm: &[&str]) -> Self {
        let [key, cert] = ["key", "pem"].map(|ending| path(&home.join(format!("{name}.{ending}"))));
        let subject = format!("/C=JP/O=Verifiers/CN={name}");
        let make =
            ["req", "-x509", "-nodes", "-days", "30", "-subj", &subject, "-keyout", &key, "-out", &cert];
        let ran = run("openssl", &[&make[..], algorithm].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.text());
        Self { name: name.to_owned(), key, cert }
    }

    fn p256(home: &Path, name: &str) -> Self {
        Self::new(home, name, &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
    }
}

fn path(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn in_path(request: &[u8]) -> String {
    format!("/{}", BASE64.encode(request).replace('+', "%2B").replace('=', "%3D"))
}

/// Nothing of registered access may be kept by anybody.
fn private(response: Response) -> Response {
    assert_eq!(response.status, 200);
    assert_eq!(response.field("cache-control"), Some("private, no-store"), "{}", response.head);
    for absent in ["etag", "last-modified", "expires"] {
        assert_eq!(response.field(absent), None);
    }
    response
}

fn is_answer(response: &Response) -> bool {
    response.body.starts_with(&[0x30, 0x82]) && response.body[4..7] == [10, 1, 0]
}

#[test]
fn openssl_ocsp_is_answered_when_it_signs_as_a_registered_verifier() {
    let registered = Registered::start("access = \"registered\"");
    let home = registered.home.path();
    let askers = [
        Openssl::p256(home, "kiosk"),
        Openssl::new(home, "clinic", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        Openssl::new(home, "bank", &["-newkey", "rsa:2048"]),
        Openssl::new(home, "insurer", &["-newkey", "rsa:3072"]),
        Openssl::new(home, "town", &["-newkey", "ed25519"]),
    ];
    for asker in &askers {
        let sign = ["-signer", &asker.cert, "-signkey", &asker.key];
        let refused = registered.openssl_ocsp(&sign);
        assert!(refused.contains("Responder Error: unauthorized (6)"), "{refused}");
        registered.register(asker);
        for more in [&[][..], &["-nonce"], &["-no_certs"]] {
            let said = registered.openssl_ocsp(&[&sign[..], more].concat());
            assert!(said.contains("Response verify OK") && said.contains(": good"), "{more:?}: {said}");
        }
    }
    let unsigned = registered.openssl_ocsp(&[]);
    assert!(unsigned.contains("Responder Error: sigrequired (5)"), "{unsigned}");
}

#[test]
fn rfc6960_s4_1_2_post_and_get_are_held_against_the_register_alike() {
    let registered = Registered::start("access = \"registered\"\nsignature = \"required\"");
    let (asker, stranger) =
        (Openssl::p256(registered.home.path(), "kiosk"), Openssl::p256(registered.home.path(), "nobody"));
    registered.register(&asker);
    let both = |request: &[u8]| {
        let (posted, got) = (registered.post(request), registered.get(request));
        assert_eq!(posted.body, got.body);
        posted
    };
    let request = registered.signed(&asker, &["-no_nonce"]);
    let answer = both(&request);
    assert!(is_answer(&answer));
    assert!(is_answer(&registered.post(&registered.signed(&asker, &["-nonce"]))));
    assert_eq!(both(&registered.signed(&stranger, &["-no_nonce"])).body, UNAUTHORIZED);
    assert_eq!(both(&registered.signed(&stranger, &["-no_nonce", "-no_certs"])).body, UNAUTHORIZED);
    // The last octet of the serial asked for.
    let mut tampered = request.clone();
    let content = Reader::new(&request).read(tag::SEQUENCE).unwrap();
    let end = Reader::new(content).element().unwrap().whole.len() + (request.len() - content.len());
    tampered[end - 1] ^= 1;
    assert_eq!(both(&tampered).body, UNAUTHORIZED);
    assert_eq!(both(&request[..request.len() - 1]).body, MALFORMED);
    // Suspended, registered again: from the next request on.
    let suspended = registered.service.sekisho(&["verifier", "suspend", "--name", "kiosk"]);
    assert_eq!(suspended.code, Some(0), "{}", suspended.text());
    assert_eq!(both(&request).body, UNAUTHORIZED);
    registered.register(&asker);
    assert_eq!(both(&request).body, answer.body);
}

#[test]
fn rfc6960_s2_3_where_policy_wants_requests_signed_unsigned_ones_are_sig_required() {
    // As it is where nothing is said of signatures.
    let registered = Registered::start("access = \"registered\"");
    let unsigned = registered.request(&["-no_nonce"]);
    assert_eq!(registered.post(&unsigned).body, SIG_REQUIRED);
    assert_eq!(registered.get(&unsigned).body, SIG_REQUIRED);
    assert_eq!(registered.post(&registered.request(&["-nonce"])).body, SIG_REQUIRED);
    assert_eq!(registered.post(&unsigned[..unsigned.len() - 1]).body, MALFORMED);
}

#[test]
fn rfc9919_s7_nothing_of_registered_access_may_be_kept() {
    let registered = Registered::start("access = \"registered\"");
    let asker = Openssl::p256(registered.home.path(), "kiosk");
    registered.register(&asker);
    let request = registered.signed(&asker, &["-no_nonce"]);
    let answer = registered.get(&request);
    assert!(is_answer(&answer));
    let fetched = answer.field("date").unwrap();
    let conditions: [&[(&str, &str)]; 3] = [
        &[("If-None-Match", "*")],
        &[("If-Modified-Since", fetched)],
        &[("If-Modified-Since", "Fri, 31 Dec 2049 00:00:00 GMT")],
    ];
    for conditions in conditions {
        let again = private(ask(registered.address(), get_with(&in_path(&request), conditions)));
        assert_eq!(again.body, answer.body);
    }
    let mut client = Client::connect(registered.address());
    client.send(with_method("HEAD", &in_path(&request), &[]));
    private(client.response_to_head());
    // Errors too, also of what does not even come apart.
    assert_eq!(registered.get(&registered.request(&["-no_nonce"])).body, SIG_REQUIRED);
    assert_eq!(private(ask(registered.address(), get("/M"))).body, MALFORMED);
    // What everybody may have is kept as before.
    let crl = ask(registered.address(), get("/crl/index.json"));
    assert!(crl.field("cache-control").unwrap().contains("public") && crl.field("etag").is_some());
}

#[test]
fn rfc6960_s2_3_an_optional_signature_counts_only_when_it_is_there() {
    let registered = Registered::start("access = \"registered\"\nsignature = \"optional\"");
    let (asker, stranger) =
        (Openssl::p256(registered.home.path(), "kiosk"), Openssl::p256(registered.home.path(), "nobody"));
    registered.register(&asker);
    let unsigned = registered.post(&registered.request(&["-no_nonce"]));
    assert!(is_answer(&unsigned));
    assert_eq!(registered.get(&registered.signed(&asker, &["-no_nonce"])).body, unsigned.body);
    assert_eq!(registered.post(&registered.signed(&stranger, &["-no_nonce"])).body, UNAUTHORIZED);
}

#[test]
fn the_register_survives_an_orderly_stop_and_a_kill() {
    let mut registered = Registered::start("access = \"registered\"");
    let home = registered.home.path();
    let (asker, former) = (Openssl::p256(home, "kiosk"), Openssl::p256(home, "former"));
    registered.register(&asker);
    registered.register(&former);
    let suspended = registered.service.sekisho(&["verifier", "suspend", "--cert", &former.cert]);
    assert_eq!(suspended.code, Some(0), "{}", suspended.text());
    let list = |registered: &Registered| registered.service.sekisho(&["verifier", "list", "--json"]).json();
    let before = list(&registered);
    assert_eq!(before["verifiers"].as_array().unwrap().len(), 2);
    for kill in [false, true] {
        if kill {
            registered.service.kill();
        } else {
            registered.service.stop();
            let checked = sekisho(&registered.data(), &["check", "--deep"]);
            assert_eq!(checked.code, Some(0), "{}", checked.text());
        }
        registered.restart();
        assert_eq!(list(&registered), before);
        assert!(is_answer(&registered.post(&registered.signed(&asker, &["-no_nonce"]))));
        assert_eq!(registered.post(&registered.signed(&former, &["-no_nonce"])).body, UNAUTHORIZED);
    }
}
