//! Steady work for a service while something happens to it: it issues, and is asked by OCSP.
//!
//! Whatever is issued is verified the moment it has left, and each answer by who asked.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::service::{DEADLINE, Ran, SEKISHO, signal};
use crate::site::{Site, Subject};
use crate::verifiers::{Tally, openssl_asks, openssl_decides};

/// Between two of a kind: steady, and no contest with what the load is for.
const PAUSE: Duration = Duration::from_millis(250);

/// Certificates go to a municipality so often before the next one's CRLs are opened.
const OF_EACH: usize = 3;

/// What a load comes to before it ends, however long that takes: verifications of what was just issued,
/// answers that OpenSSL verified, and questions of each generator.
const FRESH: usize = 101;
const ANSWERS: usize = 21;
const QUESTIONS: u64 = 101;

/// Seconds of a generator that is told when to end.
const UNTIL_TOLD: &str = "3600";

/// Longer than all of that takes on a machine that does much else.
const PATIENCE: Duration = DEADLINE.saturating_mul(5);

pub struct Load {
    site: Site,
    stop: Arc<AtomicBool>,
    progress: Arc<Progress>,
    issuing: JoinHandle<Tally>,
    asking: JoinHandle<Tally>,
    generators: Generators,
}

/// What has been done until now.
#[derive(Default)]
struct Progress {
    /// Issued meanwhile; none of them is ever revoked.
    issued: Mutex<Vec<Subject>>,
    fresh: AtomicUsize,
    answers: AtomicUsize,
}

/// `sekisho load`, several times; killed when dropped, for a test that fails must leave nothing behind.
#[derive(Default)]
struct Generators(Vec<Generator>);

struct Generator {
    /// What it asks, and whom.
    about: Vec<String>,
    child: Child,
}

impl Generator {
    fn start(about: Vec<String>, seconds: &str) -> Self {
        let steady = ["--rate", "60", "--nonce", "25", "--connections", "4", "--seconds", seconds];
        let mut command = Command::new(SEKISHO);
        command.args(["load", "--json"]).args(&about).args(steady);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { about, child }
    }

    fn report(self) -> Value {
        Ran::from(self.child.wait_with_output().unwrap()).json()
    }
}

impl Drop for Generators {
    fn drop(&mut self) {
        for mut generator in self.0.drain(..) {
            drop(generator.child.kill());
            drop(generator.child.wait());
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
        let (stop, progress) = (Arc::new(AtomicBool::new(false)), Arc::<Progress>::default());
        let spawn = |work: fn(&Site, &AtomicBool, &Progress) -> Tally| {
            let (site, stop, progress) = (site.clone(), Arc::clone(&stop), Arc::clone(&progress));
            std::thread::spawn(move || work(&site, &stop, &progress))
        };
        let (issuing, asking) = (spawn(issue), spawn(ask));
        let generators = Generators::default();
        let mut load = Self { site: site.clone(), stop, progress, issuing, asking, generators };
        load.generate(&["--requests", manifest]);
        load
    }

    /// How many certificates an authority's key of this generation has issued meanwhile.
    pub fn issued_by(&self, authority: &str, generation: u8) -> usize {
        let issued = self.progress.issued.lock().unwrap();
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
        let about = about.iter().copied().map(str::to_owned).collect();
        self.generators.0.push(Generator::start(about, UNTIL_TOLD));
    }

    /// Ends it as soon as it has come to enough.
    pub fn end(mut self) -> Done {
        self.wait_for_enough();
        let (mut questions, mut troubles) = (0, Vec::new());
        for report in self.end_generators() {
            let count = |name: &str| report[name].as_u64().unwrap();
            questions += count("requests");
            let told = count("good") + count("revoked");
            if told != count("requests") || count("nonces_left_out") > 0 {
                troubles.push(without_latency(report).to_string());
            }
        }
        self.stop.store(true, Relaxed);
        let (fresh, answers) = (self.issuing.join().unwrap(), self.asking.join().unwrap());
        let issued = std::mem::take(&mut *self.progress.issued.lock().unwrap());
        Done { issued, fresh, answers, questions, troubles }
    }

    /// One of them that failed waits for nothing: its end tells why.
    fn wait_for_enough(&self) {
        let began = Instant::now();
        let done = || (self.progress.fresh.load(Relaxed), self.progress.answers.load(Relaxed));
        while done().0 < FRESH || done().1 < ANSWERS {
            if self.issuing.is_finished() || self.asking.is_finished() {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{:?} verifications and answers", done());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What they came to. Who has not asked enough until now is let ask on.
    fn end_generators(&mut self) -> Vec<Value> {
        let began = Instant::now();
        let mut reports = Vec::new();
        while let Some(generator) = self.generators.0.pop() {
            signal("INT", generator.child.id());
            let about = generator.about.clone();
            let mut asked = 0;
            let mut report = generator.report();
            loop {
                asked += report["requests"].as_u64().unwrap();
                reports.push(report);
                if asked >= QUESTIONS {
                    break;
                }
                assert!(began.elapsed() < PATIENCE, "{asked} questions: {reports:?}");
                report = Generator::start(about.clone(), "3").report();
            }
        }
        reports
    }
}

fn without_latency(mut report: Value) -> Value {
    report.as_object_mut().unwrap().remove("latency");
    report
}

fn issue(site: &Site, stop: &AtomicBool, progress: &Progress) -> Tally {
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
            progress.fresh.store(tally.count, Relaxed);
            progress.issued.lock().unwrap().push(subject);
        }
        std::thread::sleep(PAUSE);
    }
    tally
}

/// Asks about each in turn, by OpenSSL, which verifies the answers.
fn ask(site: &Site, stop: &AtomicBool, progress: &Progress) -> Tally {
    let mut tally = Tally::default();
    for number in 0.. {
        if stop.load(Relaxed) {
            break;
        }
        let subject = {
            let issued = progress.issued.lock().unwrap();
            issued.get(number % issued.len().max(1)).cloned()
        };
        if let Some(subject) = subject {
            let cas = site.cas(&subject.authority);
            let nonce = if number % 2 == 0 { "-nonce" } else { "-no_nonce" };
            tally.add(openssl_asks("under load", &site.url, &cas, &subject, nonce));
            progress.answers.store(tally.count, Relaxed);
        }
        std::thread::sleep(PAUSE);
    }
    tally
}
