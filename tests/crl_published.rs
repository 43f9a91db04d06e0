//! `sekisho crl show`, `diff` and `verify` on CRLs and deltas as they are published; `list`, `release`
//! and `rebuild` at a running service.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed step must stop the test"
)]

#[path = "support/issuers.rs"]
mod issuers;
mod service;
#[path = "support/turns.rs"]
mod turns;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sekisho::config::Config;
use sekisho::office::data::DataDir;
use sekisho::office::{self, Application, Office, Place, Selector, Spelling, SubjectKeySource, Wish};
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
                spelling: Spelling::default(),
                municipality: Partition(partition),
                kinds: vec![kind],
                subject_key: SubjectKeySource::TestKey,
                place: Place::New,
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
            assert!(turns::change(&office, certificate, wish, Origin::service()).unwrap().changed);
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
fn show_tells_what_is_in_what_was_published() {
    let desk = Desk::new();
    let full = desk.crl("full.crl");
    let shown = crl(&["show", &full, "--entries", "1", "--json"]).json();
    assert_eq!((&shown["kind"], &shown["entries"], &shown["epoch"]), (&"full".into(), &1.into(), &1.into()));
    assert_eq!(
        (&shown["state"], shown["bytes"].as_u64()),
        (&"valid".into(), Some(fs::metadata(&full).unwrap().len()))
    );
    assert_eq!(shown["freshest"][0], "http://127.0.0.1:8080/crl/auth/1/delta.crl");
    assert_eq!(
        (&shown["listed"][0]["reason"], &shown["faults"]),
        (&"certificateHold".into(), &serde_json::json!([]))
    );
    says(&crl(&["show", &full.replace(".crl", ".pem")]), 0, &["full"]);
    let delta = crl(&["show", &desk.crl("delta.crl"), "--json"]).json();
    assert_eq!((&delta["kind"], &delta["base_number"]), (&"delta".into(), &shown["number"]));
    let partition = crl(&["show", &desk.crl("13221.crl"), "--json"]).json();
    assert!(partition["distribution_point"][0].as_str().unwrap().contains("Kiyose-shi CRLDP"), "{partition}");
}

#[test]
fn diff_tells_what_changed_and_what_a_delta_changes() {
    let desk = Desk::new();
    let (base, delta) = (desk.crl("full.crl"), desk.crl("delta.crl"));
    desk.office.publish(&ALL, false).unwrap();
    let newer = desk.crl("full.crl");
    for (after, applied) in [(&delta, true), (&newer, false)] {
        let json = crl(&["diff", &base, after, "--json"]).json();
        assert_eq!(json["delta_applied"], applied);
        let group = |name: &str| json[name].as_array().unwrap().clone();
        let (added, removed) = (group("added"), group("removed"));
        assert_eq!((added.len(), removed.len(), group("changed").len()), (1, 1, 0), "{json}");
        assert_eq!(
            (&added[0]["reason"], &removed[0]["reason"]),
            (&"affiliationChanged".into(), &"certificateHold".into())
        );
    }
    assert_eq!(crl(&["diff", &base, &desk.crl("13221.crl")]).code, Some(1), "of another scope");
    desk.office.publish(&ALL, true).unwrap();
    assert_eq!(crl(&["diff", &desk.crl("full.crl"), &delta]).code, Some(1), "older than the CRL");
    says(&crl(&["diff", &base, &desk.crl("delta.crl")]), 0, &["affiliationChanged"]);
    desk.office.publish_deltas(&ALL).unwrap();
    crl(&["diff", &base, &desk.crl("delta.crl")]).refused(1, &["take a newer complete CRL"]);
}

#[test]
fn verify_decides_by_what_was_published() {
    let desk = Desk::new();
    let (full, delta, partition) = (desk.crl("full.crl"), desk.crl("delta.crl"), desk.crl("13221.crl"));
    let ca = desk.ca("auth");
    let verify = |file: &str, more: &[&str]| crl(&[&["verify", file, "--ca", &ca], more].concat()).code;
    for name in ["full.crl", "13221.crl", "authority.crl"] {
        assert_eq!(verify(&desk.crl(name), &[]), Some(0), "{name}");
    }
    let [moved, phone, good, esashi] =
        [&desk.moved, &desk.phone, &desk.good, &desk.esashi].map(|path| text(path));
    // By the base alone, and with the delta.
    for (certificate, alone, with_delta) in [(&good, 0, 0), (&moved, 0, 1), (&phone, 1, 0)] {
        assert_eq!(verify(&full, &["--cert", certificate]), Some(alone), "{certificate}");
        assert_eq!(
            verify(&full, &["--cert", certificate, "--delta", &delta]),
            Some(with_delta),
            "{certificate}"
        );
    }
    assert_eq!(verify(&partition, &["--cert", &good]), Some(0));
    for (crl, certificate) in [(&partition, &esashi), (&desk.crl("authority.crl"), &good)] {
        assert_eq!(verify(crl, &["--cert", certificate]), Some(1), "of another scope");
    }
    assert_eq!(crl(&["verify", &full, "--ca", &desk.ca("sign")]).code, Some(1));
    issuers::new_generation(&desk.office, AuthorityId(2));
    let second = text(&desk.office.data().ca_certificate("auth", sekisho::pki::Generation::new(2).unwrap()));
    assert_eq!(crl(&["verify", &full, "--ca", &second]).code, Some(1), "another key of this CA");
    let bad = desk.home.path().join("bad.crl");
    let mut flipped = fs::read(&full).unwrap();
    let at = flipped.len() - 5;
    flipped[at] ^= 1;
    fs::write(&bad, flipped).unwrap();
    assert_eq!(verify(&text(&bad), &[]), Some(1));
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
    assert_eq!(crl(&["verify", &url, "--ca", &ca]).code, Some(0));
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
