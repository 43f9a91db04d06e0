//! `sekisho crl show`, `diff` and `verify` on CRLs as they are published, and on what is none;
//! `list`, `release` and `rebuild` at a running service.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed step must stop the test"
)]

mod service;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sekisho::config::Config;
use sekisho::office::data::DataDir;
use sekisho::office::{self, Application, Asked, Office, Selector, SubjectKeySource, Wish};
use sekisho::pki::{AuthorityId, CertificateKind, Partition, RevocationReason};
use sekisho::record::Origin;
use sekisho::store::Clock;
use service::{Ran, SEKISHO, Service, run};

/// A base, a delta to it and certificates, as files.
struct Desk {
    home: tempfile::TempDir,
    office: Arc<Office>,
    moved: PathBuf,
    phone: PathBuf,
    good: PathBuf,
    esashi: PathBuf,
}

const ALL: [AuthorityId; 2] = [AuthorityId(1), AuthorityId(2)];

impl Desk {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        office::init(&data, "SEKISHO-TEST").unwrap();
        let config = Config::read(&data.config()).unwrap();
        let url = "http://127.0.0.1:8080".to_owned();
        let (office, _) = Office::start(data, config, Clock::system(), url).unwrap();
        let issue = |name: &str, kind, partition, address: &str| {
            let application = Application {
                name: "関所 花子".to_owned(),
                birth: "1982-02-17".to_owned(),
                sex: "female".to_owned(),
                address: address.to_owned(),
                municipality: Partition(partition),
                kinds: vec![kind],
                subject_key: SubjectKeySource::TestKey,
            };
            let pair = office.issue(&application, Origin::service()).unwrap();
            let one = &pair.certificates[0];
            let file = home.path().join(name);
            fs::write(&file, pem::encode(&pem::Pem::new("CERTIFICATE", one.der.clone()))).unwrap();
            (
                file,
                Selector::Named { authority: one.authority.clone(), serial: one.issued.certificate.serial },
            )
        };
        let kiyose = (13221, "東京都清瀬市");
        let (moved, moved_at) = issue("moved.pem", CertificateKind::CardAuth, kiyose.0, kiyose.1);
        let (phone, phone_at) = issue("phone.pem", CertificateKind::PhoneAuth, kiyose.0, kiyose.1);
        let (good, _) = issue("good.pem", CertificateKind::CardAuth, kiyose.0, kiyose.1);
        let (esashi, _) = issue("esashi.pem", CertificateKind::CardAuth, 1361, "北海道江差町");
        let change = |certificate: &Selector, wish| {
            let asked = Asked { certificate: certificate.clone(), wish };
            assert!(office.change(&asked, Origin::service()).unwrap().changed);
        };
        change(&phone_at, Wish::Hold { invalidity_date: None });
        office.publish(&ALL, true).unwrap();
        change(&phone_at, Wish::Release);
        change(&moved_at, Wish::revoke(Some(RevocationReason::AffiliationChanged), None));
        office.publish_deltas(&ALL).unwrap();
        Self { home, office, moved, phone, good, esashi }
    }

    fn crl(&self, name: &str) -> String {
        let served = self.office.served_catalogue().unwrap().unwrap();
        let of = |row: &&sekisho::crl::Row| row.authority == "auth" && row.url.ends_with(name);
        let row = served.crls.iter().find(of).unwrap().clone();
        text(&self.office.data().crl().join(row.url.strip_prefix("/crl/").unwrap()))
    }

    fn ca(&self, authority: &str) -> String {
        text(&self.office.data().ca_certificate(authority, sekisho::pki::Generation::FIRST))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(self.office.stop());
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn crl(arguments: &[&str]) -> Ran {
    run(SEKISHO, &[&["crl"], arguments].concat())
}

fn says(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, Some(code), "{}", ran.text());
    for word in words {
        assert!(ran.text().contains(word), "{word} is not in: {}", ran.text());
    }
}

#[test]
fn show_tells_what_is_in_a_crl() {
    let desk = Desk::new();
    let full = desk.crl("full.crl");
    let shown = crl(&["show", &full, "--entries", "5"]);
    let words = [
        "(epoch 1, position",
        "full",
        "C=JP",
        "valid, 47 h left",
        "/crl/auth/1/delta.crl",
        "1 certificateHold",
    ];
    says(&shown, 0, &words);
    says(&crl(&["show", &full.replace(".crl", ".pem")]), 0, &["full"]);
    says(
        &crl(&["show", &desk.crl("delta.crl"), "--entries", "5"]),
        0,
        &["delta", "base", "removeFromCRL", "affiliationChanged"],
    );
    says(
        &crl(&["show", &desk.crl("13221.crl")]),
        0,
        &["partition", "Kiyose-shi CRLDP", "user certificates only"],
    );
    let json = crl(&["show", &full, "--entries", "1", "--json"]).json();
    assert_eq!((&json["kind"], &json["entries"]), (&"full".into(), &1.into()));
    assert_eq!(json["first"][0]["reason"], "certificateHold");
    let bytes = fs::read(&full).unwrap();
    assert_eq!(json["bytes"], bytes.len());
}

#[test]
fn diff_tells_what_changed_and_what_a_delta_changes() {
    let desk = Desk::new();
    let base = desk.crl("full.crl");
    let delta = desk.crl("delta.crl");
    says(&crl(&["diff", &base, &delta]), 0, &["with delta", "1 added, 1 gone, 0 changed", "+ 0x", "- 0x"]);
    desk.office.publish(&ALL, false).unwrap();
    let newer = desk.crl("full.crl");
    let ran = crl(&["diff", &base, &newer]);
    says(&ran, 0, &["1 added, 1 gone, 0 changed", "thisUpdate", "affiliationChanged"]);
    says(&crl(&["diff", &newer, &newer]), 0, &["the same entries"]);
    let json = crl(&["diff", &base, &newer, "--json"]).json();
    assert_eq!(json["added"][0]["reason"], "affiliationChanged");
    assert_eq!(json["gone"][0]["reason"], "certificateHold");
    crl(&["diff", &base, &desk.crl("13221.crl")]).refused(1, &["different scopes"]);
    crl(&["diff", &delta, &base]).refused(1, &["CRL first"]);
    // Older than the delta wants, and newer than the delta.
    desk.office.publish(&ALL, true).unwrap();
    crl(&["diff", &desk.crl("full.crl"), &delta]).refused(1, &["older than the CRL"]);
    says(&crl(&["diff", &base, &desk.crl("delta.crl")]), 0, &["with delta"]);
    desk.office.publish_deltas(&ALL).unwrap();
    crl(&["diff", &base, &desk.crl("delta.crl")]).refused(1, &["fetch the newer base"]);
}

#[test]
fn verify_checks_as_a_verifier_does() {
    let desk = Desk::new();
    let (full, delta, partition) = (desk.crl("full.crl"), desk.crl("delta.crl"), desk.crl("13221.crl"));
    let ca = desk.ca("auth");
    let verify = |file: &str, more: &[&str]| crl(&[&["verify", file, "--ca", &ca], more].concat());
    says(&verify(&full, &[]), 0, &["a valid full CRL, 1 entries"]);
    let [moved, phone, good, esashi] =
        [&desk.moved, &desk.phone, &desk.good, &desk.esashi].map(|path| text(path));
    // By the base alone, and with the delta.
    for (certificate, alone, with_delta) in [(&good, 0, 0), (&moved, 0, 1), (&phone, 1, 0)] {
        assert_eq!(verify(&full, &["--cert", certificate]).code, Some(alone), "{certificate}");
        let ran = verify(&full, &["--cert", certificate, "--delta", &delta]);
        assert_eq!(ran.code, Some(with_delta), "{}", ran.text());
    }
    verify(&full, &["--cert", &moved, "--delta", &delta]).refused(1, &["revoked on", "affiliationChanged"]);
    says(&verify(&partition, &["--cert", &good]), 0, &["good by CRL"]);
    verify(&partition, &["--cert", &esashi]).refused(1, &["Kiyose-shi CRLDP", "names another"]);
    verify(&desk.crl("authority.crl"), &["--cert", &good])
        .refused(1, &["not about certificates of this kind"]);
    crl(&["verify", &full, "--ca", &desk.ca("sign")]).refused(1, &["issued by"]);
    for (at, word) in [("2020-01-01T00:00:00Z", "not valid for another"), ("2040-01-01T00:00:00Z", "expired")]
    {
        verify(&full, &["--at", at]).refused(1, &[word]);
    }
    desk.office.new_generation(AuthorityId(2)).unwrap();
    let second = text(&desk.office.data().ca_certificate("auth", sekisho::pki::Generation::new(2).unwrap()));
    crl(&["verify", &full, "--ca", &second]).refused(1, &["another key of this CA"]);
    let mut flipped = fs::read(&full).unwrap();
    let at = flipped.len() - 5;
    flipped[at] ^= 1;
    let bad = desk.home.path().join("bad.crl");
    fs::write(&bad, flipped).unwrap();
    verify(&text(&bad), &[]).refused(1, &["the signature is not that CA's"]);
}

#[test]
fn what_is_no_crl_is_told_so() {
    let desk = Desk::new();
    let full = fs::read(desk.crl("full.crl")).unwrap();
    let pem = fs::read(desk.crl("full.crl").replace(".crl", ".pem")).unwrap();
    let certificate = fs::read(&desk.good).unwrap();
    for (octets, word) in [
        (Vec::new(), "empty"),
        (full[..full.len() - 1].to_vec(), "not a CRL"),
        ([&full[..], &[0]].concat(), "something follows"),
        (b"hello".to_vec(), "not a CRL"),
        (certificate, "holds a CERTIFICATE"),
        ([&pem[..], &pem].concat(), "holds 2 PEM blocks"),
    ] {
        let file = desk.home.path().join("file");
        fs::write(&file, octets).unwrap();
        crl(&["show", &text(&file)]).refused(2, &[word]);
    }
    crl(&["show", "/no/such/file"]).refused(2, &["/no/such/file"]);
    crl(&["show", "http://127.0.0.1:1/full.crl"]).refused(3, &["127.0.0.1:1"]);
    crl(&["show", "https://crl.example/full.crl"]).refused(2, &["curl"]);
}

#[test]
fn a_service_lists_shows_rebuilds_and_has_nothing_to_release() {
    let service = Service::demo(100);
    let list = service.sekisho(&["crl", "list", "--json"]).json();
    let set = list["set"].as_str().unwrap().to_owned();
    assert!(list["held_back"].is_null() && list["alarms"].as_array().unwrap().is_empty());
    let url = format!("{}crl/sign/1/full.crl", service.url());
    says(&crl(&["show", &url]), 0, &["full", "affiliationChanged"]);
    let ca = service.ca("sign");
    says(&crl(&["verify", &url, "--ca", &ca]), 0, &["a valid full CRL"]);
    let out = service.data.join("again");
    let rebuilt = service.sekisho(&["crl", "rebuild", "--set", &set, "--out", &text(&out), "--json"]).json();
    assert_eq!((&rebuilt["same_content"], rebuilt["different"].as_array().unwrap().len()), (&0.into(), 0));
    assert_eq!(
        rebuilt["same"],
        list["crls"].as_array().unwrap().iter().filter(|row| row["set"] == set).count()
    );
    let again = fs::read(out.join("sign/1/full.crl")).unwrap();
    assert_eq!(again, fs::read(service.data.join(format!("crl/sets/{set}/sign/1/full.crl"))).unwrap());
    service.sekisho(&["crl", "rebuild", "--set", "7"]).refused(1, &["no CRL set 7"]);
    service.sekisho(&["crl", "release", "--set", &set, "--reason", "none"]).refused(1, &["no CRL set waits"]);
}
