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

const P256: &[&str] = TAKEN[1].1;

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

    fn issue(&self, keys: &[&str]) -> Ran {
        self.issue_for("関所 花子", keys)
    }

    /// Options and files, by turns; a file as `KIND=NAME` or as its name.
    fn issue_for(&self, name: &str, keys: &[&str]) -> Ran {
        let person = ["issue", "--name", name, "--birth", "1982-02-17", "--sex", "female"];
        let place = ["--address", "東京都清瀬市", "--municipality", "13221", "--json"];
        let out = self.file("out");
        let keys: Vec<String> = keys.iter().map(|word| self.argument(word)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.service.sekisho(&[&person[..], &place, &["--out", &out], &keys].concat())
    }

    fn argument(&self, word: &str) -> String {
        let is_file = [".csr", ".pub"].iter().any(|end| word.ends_with(end));
        match word.split_once('=') {
            _ if !is_file => word.to_owned(),
            Some((kind, name)) => format!("{kind}={}", self.file(name)),
            None => self.file(word),
        }
    }

    fn crl_set(&self) -> Value {
        self.service.sekisho(&["crl", "list", "--json"]).json()["set"].clone()
    }

    fn certificate(&self, issued: &Value) -> PathBuf {
        let (authority, serial) = (issued["authority"].as_str().unwrap(), issued["serial"].as_str().unwrap());
        self.home.path().join("out").join(format!("{authority}-{serial}.pem"))
    }
}

/// The serials of an issue, by authority.
fn serials(ran: &Ran) -> Vec<(String, u64)> {
    let number = |serial: &Value| u64::from_str_radix(serial.as_str().unwrap().trim_start_matches("0x"), 16);
    let pair = ran.json();
    let all = pair["certificates"].as_array().unwrap().iter();
    all.map(|one| (one["authority"].as_str().unwrap().to_owned(), number(&one["serial"]).unwrap())).collect()
}

#[test]
fn a_pair_for_each_key_of_the_cards_is_issued_and_answered_good() {
    let counter = Counter::new();
    for (name, arguments) in TAKEN {
        for (option, end) in [("--csr", "csr"), ("--public-key", "pub")] {
            let keys = ["sign", "auth"].map(|kind| format!("{name}-{kind}-{end}"));
            keys.iter().for_each(|key| counter.make(key, arguments));
            let [sign, auth] = ["sign", "auth"].map(|kind| format!("{kind}={name}-{kind}-{end}.{end}"));
            let pair = counter.issue(&[option, &sign, option, &auth]).json();
            let pair = pair["certificates"].as_array().unwrap();
            assert_eq!(pair.len(), 2, "{name}");
            for ((issued, authority), key) in pair.iter().zip(["sign", "auth"]).zip(&keys) {
                let path = counter.certificate(issued);
                let der = pem::parse(fs::read(&path).unwrap()).unwrap().into_contents();
                let (_, certificate) = X509Certificate::from_der(&der).unwrap();
                let public = pem::parse(fs::read(counter.file(&format!("{key}.pub"))).unwrap()).unwrap();
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
            let ran = counter.issue(&[option, &file, "--kind", "auth"]);
            ran.refused(2, &[called, "RSA with 2048 bits", "P-256 or P-384"]);
        }
    }
    let written = fs::read_dir(counter.home.path().join("out")).map_or(0, Iterator::count);
    assert_eq!(written, 0, "nothing was issued");
}

#[test]
fn b_7_each_kind_has_a_key_of_its_own() {
    let counter = Counter::new();
    let [one, other] = ["one", "other"];
    [one, other].iter().for_each(|name| counter.make(name, P256));
    let before = (counter.service.written(), counter.crl_set());
    let shared =
        ["one key cannot be certified for sign and auth", "--csr sign=FILE --csr auth=FILE", "--kind auth"];
    for (keys, words) in [
        // The default is a pair.
        (&["--csr", "one.csr"][..], &shared[..]),
        (&["--public-key", "one.pub"], &shared),
        (&["--csr", "sign=one.csr", "--csr", "auth=one.csr"], &shared),
        (&["--csr", "sign=one.csr", "--public-key", "auth=one.pub"], &shared),
        (
            &["--csr", "one.csr", "--kind", "phone-sign,phone-auth"],
            &["one key cannot be certified for phone-sign and phone-auth"],
        ),
        (&["--csr", "sign=one.csr"], &["no key is given for auth", "--csr auth=FILE"]),
        (&["--csr", "auth=one.csr"], &["no key is given for sign"]),
        (
            &["--csr", "sign=one.csr", "--csr", "auth=other.csr", "--kind", "auth"],
            &["a key is given for sign, which is not asked for"],
        ),
        (&["--csr", "phone-sign=one.csr", "--csr", "auth=other.csr"], &["given for phone-sign"]),
        (&["--csr", "one.csr", "--csr", "other.csr"], &["say which kind each key is for"]),
        (&["--csr", "one.csr", "--csr", "auth=other.csr"], &["say which kind each key is for"]),
        (&["--csr", "auth=one.csr", "--public-key", "auth=other.pub"], &["two keys are given for auth"]),
        (&["--csr", "sign=one.csr", "--csr", "auth=absent.csr"], &["absent.csr"]),
    ] {
        counter.issue(keys).refused(2, words);
    }
    assert_eq!(counter.service.sekisho(&["issue", "--test-key", "--csr", "x"]).code, Some(2));
    assert_eq!((counter.service.written(), counter.crl_set()), before, "nothing was spent");
    // A key each is taken, in any order and from either kind of file.
    let ran = counter.issue(&["--public-key", "auth=other.pub", "--csr", "sign=one.csr"]);
    assert_eq!(serials(&ran).len(), 2);
    assert!(counter.service.written() > before.0, "what is taken is seen");
}

#[test]
fn b_7_a_batch_names_a_key_for_each_kind_too() {
    let counter = Counter::new();
    ["one", "other", "third"].iter().for_each(|name| counter.make(name, P256));
    let csr = |name: &str| fs::read_to_string(counter.file(&format!("{name}.csr"))).unwrap();
    let line = |subject_key: Value| {
        serde_json::json!({"name": "関所 花子", "birth": "1982-02-17", "sex": "female", "address": "東京都清瀬市",
                           "municipality": "13221", "subject_key": subject_key})
        .to_string()
    };
    let lines = [
        line(serde_json::json!({"by_kind": {"sign": {"csr": csr("one")}, "auth": {"csr": csr("other")}}})),
        line(serde_json::json!({"csr": csr("third")})),
        line(serde_json::json!({"by_kind": {"sign": {"csr": csr("one")}, "auth": {"csr": csr("third")}}})),
        line(serde_json::json!({"by_kind": {"root": {"csr": csr("third")}}})),
    ];
    let (batch, out) = (counter.file("batch"), counter.file("out"));
    fs::write(&batch, lines.join("\n")).unwrap();
    counter
        .service
        .sekisho(&["issue", "--batch", &batch, "--out", &out, "--json"])
        .refused(1, &["2 certificates; 3 lines rejected", "line 2: one key cannot be certified"]);
    let rejected = fs::read_to_string(format!("{batch}.rejected")).unwrap();
    assert!(rejected.contains("line 3: this public key was certified for somebody else"), "{rejected}");
    assert!(rejected.contains("line 4: unknown certificate kind"), "{rejected}");
}

/// A holder with an authentication certificate for the key `own`, on a card.
fn with_card(counter: &Counter) -> (String, String) {
    counter.make("own", P256);
    let issued = counter.issue(&["--csr", "own.csr", "--kind", "auth"]).json();
    let serial = issued["certificates"][0]["serial"].as_str().unwrap().to_owned();
    (issued["card"].as_str().unwrap().to_owned(), serial)
}

#[test]
fn b_7_a_key_certified_for_somebody_else_is_refused_for_ever() {
    let mut counter = Counter::new();
    let (card, _) = with_card(&counter);
    let elses = ["certified for somebody else before"];
    let ca = counter.service.ca("sign");
    let shown = run("openssl", &["x509", "-in", &ca, "-noout", "-pubkey", "-out", &counter.file("ca.pub")]);
    assert_eq!(shown.code, Some(0), "{}", shown.text());
    for clean in [true, false] {
        let before = counter.service.written();
        for keys in [
            &["--csr", "own.csr", "--kind", "auth"][..],
            &["--public-key", "own.pub", "--kind", "auth"],
            &["--csr", "own.csr", "--kind", "sign"],
            &["--csr", "own.csr", "--kind", "phone-auth"],
        ] {
            counter.issue_for("関所 太郎", keys).refused(1, &elses);
        }
        let renewed = ["--csr", "own.csr", "--kind", "sign", "--renew", &card];
        counter.issue(&renewed).refused(1, &["certified for auth before, and not for sign"]);
        counter
            .issue(&["--public-key", "ca.pub", "--kind", "auth"])
            .refused(1, &["is that of an authority here"]);
        assert_eq!(counter.service.written(), before, "nothing is written of what was refused");
        // What is on record of keys outlives a stop, and a kill after which all rows are made anew.
        if clean {
            counter.service.stop()
        } else {
            counter.service.kill()
        }
        let data = counter.service.data.clone();
        counter.service.restart(&data);
    }
    // Test keys are everybody's.
    assert_eq!(counter.issue_for("関所 太郎", &["--test-key"]).code, Some(0));
}

#[test]
fn b_7_a_holder_may_renew_with_the_same_key_unless_it_was_compromised() {
    let counter = Counter::new();
    let (card, serial) = with_card(&counter);
    let renew = ["--csr", "own.csr", "--kind", "auth", "--renew", &card];
    let renewed = serials(&counter.issue(&renew));
    assert_ne!(format!("{:#x}", renewed[0].1), serial);
    let last = format!("{:#x}", renewed[0].1);
    let revoke = ["revoke", "--authority", "auth", "--serial", &last, "--reason", "keyCompromise"];
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(counter.service.sekisho(&revoke).code, Some(0));
    counter.issue(&renew).refused(1, &["this public key was compromised"]);
    counter.make("next", P256);
    assert_eq!(counter.issue(&["--csr", "next.csr", "--kind", "auth", "--renew", &card]).code, Some(0));
}

#[test]
fn b_7_of_two_who_hand_in_one_key_at_once_one_gets_it() {
    let counter = Counter::new();
    for round in 0..4 {
        let name = format!("race{round}");
        counter.make(&name, P256);
        let csr = format!("{name}.csr");
        let apply = || counter.issue(&["--csr", &csr, "--kind", "auth"]);
        let (one, other) = std::thread::scope(|scope| {
            let one = scope.spawn(apply);
            let other = apply();
            (one.join().unwrap(), other)
        });
        let codes = [one.code.unwrap(), other.code.unwrap()];
        assert!(codes == [0, 1] || codes == [1, 0], "{}{}", one.text(), other.text());
        let refused = if one.code == Some(1) { one } else { other };
        refused.refused(1, &["certified for somebody else before"]);
    }
}

#[test]
fn b_7_a_refused_request_spends_no_serial_and_publishes_no_crl_set() {
    let counter = Counter::new();
    ["one", "other", "small"].iter().for_each(|name| counter.make(name, P256));
    counter.make("weak", REFUSED[0].1);
    let (_, taken) = (with_card(&counter), "own.csr");
    let mut forged = pem::parse(fs::read(counter.file("one.csr")).unwrap()).unwrap().into_contents();
    *forged.last_mut().unwrap() ^= 1;
    fs::write(counter.file("forged.csr"), forged).unwrap();
    fs::write(counter.file("junk.csr"), [0x30, 0x00]).unwrap();
    let first = serials(&counter.issue(&["--test-key"]));
    // Somewhere that has no CRL of its own yet: whatever is spent there first would publish a set.
    let profile = sekisho::profile::Profile::jpki(sekisho::profile::ORGANIZATION).unwrap();
    let listed = counter.service.sekisho(&["crl", "list", "--json"]).stdout;
    let mut unopened = profile.municipalities.residences();
    let place = unopened.find(|one| !listed.contains(&format!("\"{}\"", one.code))).unwrap();
    let (code, address) = (place.code.to_string(), format!("{}{}", place.prefecture, place.municipality));
    let before = (counter.service.written(), counter.crl_set());

    let out = counter.file("out");
    let issue = |birth: &str, address: &str, more: &[&str]| {
        let person = ["issue", "--name", "関所 花子", "--birth", birth, "--sex", "female"];
        let place = ["--address", address, "--municipality", &code, "--json", "--out", &out];
        let more: Vec<String> = more.iter().map(|word| counter.argument(word)).collect();
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        counter.service.sekisho(&[&person[..], &place, &more].concat())
    };
    let known = format!("card-{:032x}", 7);
    for (birth, address, more) in [
        ("1982-02-17", address.as_str(), &["--csr", "junk.csr", "--kind", "auth"][..]),
        ("1982-02-17", &address, &["--csr", "forged.csr", "--kind", "auth"]),
        ("1982-02-17", &address, &["--csr", "sign=one.csr", "--csr", "auth=forged.csr"]),
        ("1982-02-17", &address, &["--csr", "sign=forged.csr", "--csr", "auth=one.csr"]),
        ("1982-02-17", &address, &["--csr", "weak.csr", "--kind", "auth"]),
        ("1982-02-17", &address, &["--public-key", "one.csr", "--kind", "auth"]),
        ("1982-02-17", &address, &["--csr", "one.csr"]),
        ("1982-02-17", &address, &["--csr", taken, "--kind", "auth"]),
        ("1982-02-17", &address, &["--csr", "sign=one.csr", "--csr", "auth=own.csr"]),
        // What the law and the profile forbid, with keys that are all right.
        ("1982-02-17", "沖縄県那覇市", &["--csr", "sign=one.csr", "--csr", "auth=other.csr"]),
        ("2020-01-01", &address, &["--csr", "sign=one.csr", "--csr", "auth=other.csr"]),
        ("unknown", &address, &["--test-key"]),
        ("1982-02-17", &address, &["--test-key", "--card", &known]),
    ] {
        let ran = issue(birth, address, more);
        assert!(matches!(ran.code, Some(1 | 2)), "{more:?} {}", ran.text());
        assert_eq!((counter.service.written(), counter.crl_set()), before, "{more:?}");
    }
    let next = serials(&counter.issue(&["--test-key"]));
    let expected: Vec<(String, u64)> = first.into_iter().map(|(of, serial)| (of, serial + 1)).collect();
    assert_eq!(next, expected, "the next serial is the next number");
    // The same person with good keys opens the place.
    assert_eq!(
        issue("1982-02-17", &address, &["--csr", "sign=one.csr", "--csr", "auth=other.csr"]).code,
        Some(0)
    );
    assert_ne!(counter.crl_set(), before.1);
}
