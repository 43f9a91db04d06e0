//! An authority's key is followed by the next one while certificates are issued and asked about: whoever
//! has the CA certificates and asks, by OCSP or by CRLs, is never told anything but what is right.
//!
//! The authority `sign` goes by the long way (the next key waits, then issues), `auth` by the short one
//! (it issues at once).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::load::Load;
use crate::matrix::Status;
use crate::service::{DEADLINE, Service, run};
use crate::site::{Key, Site, Subject};
use crate::verifiers::{CLASSES, Java, Tally, openssl_decides};

const AUTHORITIES: [&str; 2] = ["sign", "auth"];

/// Where the subjects of the examinations live.
const MUNICIPALITIES: [&str; 2] = ["13221", "13101"];
/// Those of the subjects that are issued together.
const HOMES: [&str; 3] = ["13221", "13101", "13221"];

/// Keys that follow for each authority: `SEKISHO_ROLLOVERS`, or one.
fn rounds() -> u8 {
    let rounds = std::env::var("SEKISHO_ROLLOVERS").map_or(1, |text| text.parse().unwrap());
    assert!(rounds > 0, "SEKISHO_ROLLOVERS must be 1 or more");
    rounds
}

#[test]
fn a_roll_over_under_load_fails_no_verification() {
    let home = tempfile::tempdir().unwrap();
    let mut stage = Stage::new(Service::demo(100), home);
    let manifest = stage.service.data.with_extension("manifest.json");
    let mut load = Load::start(&stage.site, manifest.to_str().unwrap());
    stage.issue();
    stage.revoke_some();
    stage.examine("before");
    AUTHORITIES.iter().for_each(|authority| wait_for_issued(&load, authority, 1));
    for round in 1..=rounds() {
        let next = round + 1;
        stage.roll_over("sign", &["rollover", "--authority", "sign"], next);
        stage.issue();
        stage.examine("while the next key of sign waits");
        assert_eq!(load.issued_by("sign", next), 0, "it waits");

        stage.site.done(&["authority", "activate", "--authority", "sign"]);
        stage.under_way(&mut load, "sign", next);
        stage.issue();
        stage.examine("once the next key of sign issues, before its next set");

        stage.roll_over("auth", &["rollover", "--authority", "auth", "--now"], next);
        stage.under_way(&mut load, "auth", next);
        stage.issue();
        stage.examine("once the next key of auth issues, before its next set");

        stage.revoke_some();
        stage.examine("after the next set");
    }
    let done = load.end();
    stage.restart();
    stage.examine("after all, and a restart");
    stage.judge(done);
}

/// Waits until the load has a certificate of this key.
fn wait_for_issued(load: &Load, authority: &str, generation: u8) {
    let began = Instant::now();
    while load.issued_by(authority, generation) == 0 {
        assert!(began.elapsed() < DEADLINE, "key {generation} of {authority} issues");
        std::thread::sleep(Duration::from_millis(20));
    }
}

struct Stage {
    service: Service,
    site: Site,
    subjects: Vec<Subject>,
    java: Java,
    tally: Tally,
    /// The last number of each full CRL, by authority and generation, in digits of one length.
    numbers: BTreeMap<(String, u8), String>,
    _home: tempfile::TempDir,
}

impl Stage {
    fn new(service: Service, home: tempfile::TempDir) -> Self {
        let site = Site::of(&service, home.path().to_owned());
        let (java, tally) = (Java::compile(), Tally::default());
        Self { service, site, subjects: Vec::new(), java, tally, numbers: BTreeMap::new(), _home: home }
    }

    /// Issues pairs, all good.
    fn issue(&mut self) {
        for municipality in HOMES {
            self.subjects.extend(self.site.issue(municipality));
        }
    }

    /// Revokes one and suspends another of the good certificates of each key, but never the last, and
    /// publishes.
    fn revoke_some(&mut self) {
        // A loss touches certificates that were issued before it, by the second.
        std::thread::sleep(Duration::from_millis(1100));
        for authority in AUTHORITIES {
            for generation in self.generations(authority) {
                if let [at, _, ..] = self.good(authority, generation)[..] {
                    self.revoke(at);
                }
                if let [at, _, ..] = self.good(authority, generation)[..] {
                    self.suspend(at);
                }
            }
        }
        let before = self.numbers.clone();
        self.site.done(&["crl", "publish"]);
        self.note_numbers();
        for (of, number) in before {
            assert!(self.numbers[&of] > number, "{of:?}: the next set has a greater number");
        }
    }

    /// Those that have issued.
    fn generations(&self, authority: &str) -> Vec<u8> {
        let of = self.subjects.iter().filter(|one| one.authority == authority);
        let mut generations: Vec<u8> = of.map(|one| one.generation).collect();
        generations.sort_unstable();
        generations.dedup();
        assert!(!generations.is_empty());
        generations
    }

    fn good(&self, authority: &str, generation: u8) -> Vec<usize> {
        let is_good = |one: &Subject| {
            (one.authority.as_str(), one.generation, one.status) == (authority, generation, Status::Good)
        };
        (0..self.subjects.len()).filter(|at| is_good(&self.subjects[*at])).collect()
    }

    fn revoke(&mut self, at: usize) {
        let Subject { authority, serial, .. } = &self.subjects[at];
        let which = ["revoke", "--authority", authority, "--serial", serial];
        self.site.done(&[&which[..], &["--reason", "superseded"]].concat());
        self.subjects[at].status = Status::Revoked;
    }

    /// With the card all that is on it and still good.
    fn suspend(&mut self, at: usize) {
        let card = self.subjects[at].card.clone();
        self.site.done(&["card", "suspend", &card]);
        let on_it = self.subjects.iter_mut().filter(|one| one.card == card && one.status == Status::Good);
        on_it.for_each(|one| one.status = Status::Hold);
    }

    fn roll_over(&mut self, authority: &str, command: &[&str], next: u8) {
        let made = self.site.done(&[&["authority"], command, &["--json"]].concat()).json();
        assert_eq!(made["generation"], next);
        assert!(made.get("not_published").is_none_or(serde_json::Value::is_null), "{made}");
        let keys = self.site.keys(authority, &MUNICIPALITIES);
        assert_eq!(keys.len(), usize::from(next), "its CA certificate is there");
        let complete = |key: &Key| key.full.is_some() && key.partitions.len() == MUNICIPALITIES.len();
        assert!(keys.iter().all(complete), "its CRLs are there: {keys:?}");
    }

    /// Waits until the load has certificates of a new key, and asks about them too.
    fn under_way(&mut self, load: &mut Load, authority: &str, generation: u8) {
        wait_for_issued(load, authority, generation);
        let fresh = self.site.issue(MUNICIPALITIES[0]);
        let fresh: Vec<&Subject> = fresh.iter().filter(|one| one.authority == authority).collect();
        assert_eq!(fresh[0].generation, generation);
        let ca = self.site.cas(authority).pop().unwrap();
        load.ask_about(&ca, &fresh);
    }

    /// Lets all verifiers decide on all certificates.
    fn examine(&mut self, when: &str) {
        let of = |authority: &str| {
            let subjects = self.subjects.iter().filter(|one| one.authority == authority).cloned();
            (self.site.keys(authority, &MUNICIPALITIES), subjects.collect::<Vec<_>>())
        };
        let all = AUTHORITIES.map(of);
        let before = self.tally.count;
        let (java, url) = (&self.java, &self.site.url);
        let tallies = std::thread::scope(|scope| {
            let threads = CLASSES.map(|class| scope.spawn(|| java.decide(class, when, url, &all)));
            let by_openssl = all.iter().map(|(keys, subjects)| openssl_decides(when, url, keys, subjects));
            let mut tallies: Vec<Tally> = by_openssl.collect();
            tallies.extend(threads.map(|thread| thread.join().unwrap()));
            tallies
        });
        tallies.into_iter().for_each(|tally| self.tally.add(tally));
        self.note_numbers();
        println!("{when}: {} verifications", self.tally.count - before);
    }

    /// RFC 5280 section 5.2.3: numbers of a CRL grow, also beside those of another key.
    fn note_numbers(&mut self) {
        for authority in AUTHORITIES {
            for Key { generation, full, .. } in self.site.keys(authority, &[]) {
                let full = full.expect("every key has a full CRL");
                let said = run("openssl", &["crl", "-in", full.to_str().unwrap(), "-noout", "-crlnumber"]);
                let number = said.stdout.trim().trim_start_matches("crlNumber=").trim_start_matches("0x");
                assert!(
                    !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_hexdigit()),
                    "{said:?}"
                );
                let number = format!("{number:0>40}");
                let last = self.numbers.insert((authority.to_owned(), generation), number.clone());
                assert!(last.is_none_or(|last| last <= number), "{authority} {generation}: {number}");
            }
        }
    }

    fn restart(&mut self) {
        let data = self.service.data.clone();
        self.service.stop();
        self.service.restart(&data);
        self.site = self.site.again(&self.service);
    }

    fn judge(&self, done: crate::load::Done) {
        let crate::load::Done { issued, fresh, answers, questions, troubles } = done;
        println!(
            "{} verifications; meanwhile {} of {} certificates as they were issued, {} answers verified, {questions} asked",
            self.tally.count,
            fresh.count,
            issued.len(),
            answers.count
        );
        let wrong: Vec<&String> =
            [&self.tally.wrong, &fresh.wrong, &answers.wrong, &troubles].into_iter().flatten().collect();
        let shown = &wrong[..wrong.len().min(20)];
        assert!(wrong.is_empty(), "{} failed: {shown:#?}", wrong.len());
        // Of every key, by every way of asking.
        for authority in AUTHORITIES {
            for generation in 1..=rounds() + 1 {
                let is_of =
                    |one: &&Subject| (one.authority.as_str(), one.generation) == (authority, generation);
                assert!(issued.iter().any(|one| is_of(&one)), "{authority} {generation} issued under load");
                for status in [Status::Good, Status::Revoked, Status::Hold] {
                    let has = self.subjects.iter().filter(is_of).any(|one| one.status == status);
                    assert!(has, "{authority} {generation}: none is {status:?}");
                }
            }
        }
        // The load has waited for this much, whatever the pace of the machine.
        assert!(answers.count > 20 && fresh.count > 100 && questions > 200, "there was no load");
    }
}
