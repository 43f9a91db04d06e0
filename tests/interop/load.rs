//! Steady work for a service while something happens to it: it issues, and is asked by OCSP.
//!
//! Whatever is issued is verified the moment it has left, and each answer by who asked.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::service::{Ran, SEKISHO, signal};
use crate::site::{Site, Subject};
use crate::verifiers::{Tally, openssl_asks, openssl_decides};

/// Between two of a kind: steady, and no contest with what the load is for.
const PAUSE: Duration = Duration::from_millis(250);

/// Certificates go to a municipality so often before the next one's CRLs are opened.
const OF_EACH: usize = 3;

pub struct Load {
    site: Site,
    stop: Arc<AtomicBool>,
    /// Issued meanwhile; none of them is ever revoked.
    issued: Arc<Mutex<Vec<Subject>>>,
    issuing: JoinHandle<Tally>,
    asking: JoinHandle<Tally>,
    generators: Generators,
}

/// `sekisho load`, several times; killed when dropped, for a test that fails must leave nothing behind.
#[derive(Default)]
struct Generators(Vec<Child>);

impl Drop for Generators {
    fn drop(&mut self) {
        for mut generator in self.0.drain(..) {
            drop(generator.kill());
            drop(generator.wait());
        }
    }
}

/// What a load came to.
pub struct Done {
    pub issued: Vec<Subject>,
    /// Verified as soon as they were issued.
    pub fresh: Tally,
    /// Answers, each verified by OpenSSL.
    pub answers: Tally,
    /// Questions of the generators, and what was wrong with their answers.
    pub questions: u64,
    pub troubles: Vec<String>,
}

impl Load {
    /// `manifest` names certificates that are asked about from the start.
    pub fn start(site: &Site, manifest: &str) -> Self {
        let (stop, issued) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let issuing = {
            let (site, stop, issued) = (site.clone(), Arc::clone(&stop), Arc::clone(&issued));
            std::thread::spawn(move || issue(&site, &stop, &issued))
        };
        let asking = {
            let (site, stop, issued) = (site.clone(), Arc::clone(&stop), Arc::clone(&issued));
            std::thread::spawn(move || ask(&site, &stop, &issued))
        };
        let mut load =
            Self { site: site.clone(), stop, issued, issuing, asking, generators: Generators::default() };
        load.generate(&["--requests", manifest]);
        load
    }

    /// How many certificates an authority's key of this generation has issued meanwhile.
    pub fn issued_by(&self, authority: &str, generation: u8) -> usize {
        let issued = self.issued.lock().unwrap();
        issued
            .iter()
            .filter(|one| (one.authority.as_str(), one.generation) == (authority, generation))
            .count()
    }

    /// Asks about these from now on too; all are of one key, and good.
    pub fn ask_about(&mut self, ca: &Path, subjects: &[&Subject]) {
        let (url, ca) = (self.site.url.clone(), ca.to_str().unwrap());
        let of = ["--target", &url, "--issuer", ca];
        let certificates = subjects.iter().flat_map(|one| ["--cert", &one.file]);
        let about: Vec<&str> = of.into_iter().chain(certificates).collect();
        self.generate(&about);
    }

    fn generate(&mut self, about: &[&str]) {
        let steady = ["--rate", "60", "--nonce", "25", "--connections", "4", "--seconds", "3600"];
        let generator = Command::new(SEKISHO)
            .args(["load", "--json"])
            .args(about)
            .args(steady)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        self.generators.0.push(generator.unwrap());
    }

    pub fn end(mut self) -> Done {
        self.stop.store(true, Relaxed);
        let (mut questions, mut troubles) = (0, Vec::new());
        for generator in self.generators.0.drain(..) {
            signal("INT", generator.id());
            let ran = Ran::from(generator.wait_with_output().unwrap());
            let report = ran.json();
            let count = |name: &str| report[name].as_u64().unwrap();
            questions += count("requests");
            let told = count("good") + count("revoked");
            if told == 0 || told != count("requests") || count("nonces_left_out") > 0 {
                troubles.push(without_latency(report).to_string());
            }
        }
        let (fresh, answers) = (self.issuing.join().unwrap(), self.asking.join().unwrap());
        let issued = std::mem::take(&mut *self.issued.lock().unwrap());
        Done { issued, fresh, answers, questions, troubles }
    }
}

fn without_latency(mut report: Value) -> Value {
    report.as_object_mut().unwrap().remove("latency");
    report
}

fn issue(site: &Site, stop: &AtomicBool, issued: &Mutex<Vec<Subject>>) -> Tally {
    let mut tally = Tally::default();
    // The wards and towns of Tokyo, of which the CRLs are opened while all goes on.
    let municipalities = (13101..=13123).chain(13201..=13215).map(|code| code.to_string());
    for municipality in municipalities.flat_map(|code| std::iter::repeat_n(code, OF_EACH)).cycle() {
        if stop.load(Relaxed) {
            break;
        }
        for subject in site.issue(&municipality) {
            let keys = site.keys(&subject.authority, &[&municipality]);
            tally.add(openssl_decides("fresh", &site.url, &keys, std::slice::from_ref(&subject)));
            issued.lock().unwrap().push(subject);
        }
        std::thread::sleep(PAUSE);
    }
    tally
}

/// Asks about each in turn, by OpenSSL, which verifies the answers.
fn ask(site: &Site, stop: &AtomicBool, issued: &Mutex<Vec<Subject>>) -> Tally {
    let mut tally = Tally::default();
    for number in 0.. {
        if stop.load(Relaxed) {
            break;
        }
        let subject = {
            let issued = issued.lock().unwrap();
            issued.get(number % issued.len().max(1)).cloned()
        };
        if let Some(subject) = subject {
            let cas = site.cas(&subject.authority);
            let nonce = if number % 2 == 0 { "-nonce" } else { "-no_nonce" };
            tally.add(openssl_asks("under load", &site.url, &cas, &subject, nonce));
        }
        std::thread::sleep(PAUSE);
    }
    tally
}
