//! The compromise of a key that signed a million certificates: how soon every answer says so.
//!
//! `cargo bench --bench compromise -- [--certificates N] [--json FILE]`
//!
//! A service in a process of its own has a million certificates of one key. `sekisho authority compromised`
//! is run while a few connections ask at a fixed rate; a question that had to wait for its turn counts from
//! when that was. Right behind the acknowledgement 10,000 serials are asked about, for each of which an
//! answer that said good was kept, and each must be revoked. Then it is waited until the single revocations
//! are written, and until the next full CRL is served.
//!
//! `compromise/acknowledged/N`: from the command to its end. `compromise/sample/N`: the 10,000 answers.
//! `compromise/written/N` and `compromise/crl-out/N`: from the command on. `compromise/p99/N`: the questions
//! at a fixed rate from the command until the CRL is served; beside it those of before.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench may panic"
)]

#[path = "../tests/support/answer.rs"]
mod answer;
#[path = "../tests/support/client.rs"]
mod client;
#[path = "support/machine.rs"]
mod machine;
#[path = "support/report.rs"]
mod report;
#[path = "../tests/service/mod.rs"]
mod service;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use answer::{GOOD, Look, REVOKED};
use client::{Client, post, with_method};
use report::Row;
use sekisho::config::Config;
use sekisho::ocsp::request_for;
use sekisho::office::Office;
use sekisho::office::data::DataDir;
use sekisho::pki::{
    AuthorityId, CertificateKind, Generation, HashAlgorithm, Issuer, Partition, SerialNumber,
};
use sekisho::record::{CertificateRef, Event, Issued, Origin};
use sekisho::store::{Clock, Decide};
use service::Service;

const SIGN: AuthorityId = AuthorityId(1);
/// Certificates in one decision while filling.
const FILL: u64 = 500;
/// Far above those that the service gives.
const FIRST_SERIAL: u64 = 0x0100_0000;
/// Serials that are asked about right behind the acknowledgement, by so many connections.
const SAMPLE: u64 = 10_000;
const ASKERS: usize = 8;
/// Connections that ask all the while, and how often each does.
const PROBES: u32 = 4;
const PROBE_EVERY: Duration = Duration::from_millis(4);
const QUIET: Duration = Duration::from_secs(5);
/// Looks for what is waited for.
const LOOK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(1800);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)
    };
    let certificates =
        value("--certificates").map_or(1_000_000, |text| text.parse::<u64>().expect("a number"));
    println!("{}", machine::description());
    machine::print_company();
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let stage = Stage::new(&home.path().join("data"), certificates);
    let rows = stage.compromise();
    rows.iter().for_each(|row| println!("{row}"));
    if let Some(file) = value("--json") {
        report::write_json(Path::new(file), &rows);
    }
}

/// A running service with certificates that are all good.
struct Stage {
    service: Service,
    address: SocketAddr,
    certificates: u64,
    questions: Vec<Vec<u8>>,
}

impl Stage {
    fn new(data: &Path, certificates: u64) -> Self {
        Service::init(data);
        let began = Instant::now();
        fill(data, certificates);
        println!("{certificates} certificates on record in {:.1} s", began.elapsed().as_secs_f64());
        let service = Service::serve(data);
        service.wait_ready();
        let address = service.url().trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        let pem = std::fs::read(data.join("ca/sign-1.pem")).unwrap();
        let der = pem::parse(pem).unwrap().into_contents();
        let issuer = Issuer::from_certificate(SIGN, Generation::FIRST, &der).unwrap();
        let question = |number: u64| {
            let number = number * (certificates / SAMPLE).max(1) % certificates;
            let serial = SerialNumber::try_from(FIRST_SERIAL + number).unwrap();
            post("/", &request_for(&issuer, HashAlgorithm::Sha1, &serial))
        };
        let questions = (0..SAMPLE).map(question).collect();
        Self { service, address, certificates, questions }
    }

    fn compromise(&self) -> Vec<Row> {
        let pid = self.service.pid().to_string();
        // The day's set, and an answer kept for each serial of the sample.
        self.wait_for(|| self.crl_octets() > 0);
        self.ask_sample(GOOD);
        let (quiet, ()) = self.while_asking(|| thread::sleep(QUIET));
        let before = machine::peak_bytes_of(&pid).unwrap();
        let mut marks = Vec::new();
        let (busy, ()) = self.while_asking(|| {
            let began = Instant::now();
            let mut mark = || marks.push(began.elapsed().as_secs_f64());
            let said = self.service.sekisho(&[
                "authority",
                "compromised",
                "--authority",
                "sign",
                "--generation",
                "1",
            ]);
            assert_eq!(said.code, Some(0), "{}", said.text());
            mark();
            self.ask_sample(REVOKED);
            mark();
            self.wait_for(|| self.is_written());
            mark();
            // An entry has more than these octets.
            self.wait_for(|| self.crl_octets() > self.certificates * 20);
            mark();
        });
        let [acknowledged, sample, written, out] = marks[..] else { unreachable!() };
        let name = |what: &str| format!("compromise/{what}/{}", self.certificates);
        vec![
            Row::new(name("acknowledged"), acknowledged, "s"),
            Row::new(name("sample"), sample - acknowledged, "s"),
            Row::new(name("written"), written, "s"),
            Row::new(name("crl-out"), out, "s"),
            Row::new(name("crl"), self.crl_octets() as f64 / 1e6, "MB"),
            Row::new(name("p50"), percentile(&busy, 50), "ms").against("before", percentile(&quiet, 50)),
            Row::new(name("p99"), percentile(&busy, 99), "ms").against("before", percentile(&quiet, 99)),
            Row::new(name("longest"), busy[busy.len() - 1], "ms").against("before", quiet[quiet.len() - 1]),
            Row::new(name("peak"), machine::peak_bytes_of(&pid).unwrap() as f64 / 1e6, "MB")
                .against("before", before as f64 / 1e6),
        ]
    }

    fn wait_for(&self, done: impl Fn() -> bool) {
        let began = Instant::now();
        while !done() {
            assert!(began.elapsed() < PATIENCE, "waited in vain");
            thread::sleep(LOOK);
        }
    }

    /// Asks about the whole sample once; each answer has this status.
    fn ask_sample(&self, status: u8) {
        thread::scope(|scope| {
            for part in self.questions.chunks(self.questions.len().div_ceil(ASKERS)) {
                scope.spawn(move || {
                    let mut client = Client::connect(self.address);
                    for question in part {
                        client.send(question);
                        let response = client.response();
                        let look = Look::into(&response.body).expect("no error");
                        assert_eq!(look.singles[0].1, status);
                    }
                });
            }
        });
    }

    /// Milliseconds of the answers while `work` goes on, sorted.
    fn while_asking<R>(&self, work: impl FnOnce() -> R) -> (Vec<f64>, R) {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let done = &done;
            let probes: Vec<_> =
                (0..PROBES).map(|number| scope.spawn(move || self.probe(number, done))).collect();
            let worked = work();
            done.store(true, Relaxed);
            let mut latencies: Vec<f64> =
                probes.into_iter().flat_map(|probe| probe.join().unwrap()).collect();
            latencies.sort_by(f64::total_cmp);
            (latencies, worked)
        })
    }

    fn probe(&self, number: u32, done: &AtomicBool) -> Vec<f64> {
        let mut client = Client::connect(self.address);
        let mut latencies = Vec::new();
        let began = Instant::now() + PROBE_EVERY * number / PROBES;
        for turn in 0_u32.. {
            if done.load(Relaxed) {
                break;
            }
            let due = began + PROBE_EVERY * turn;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            client.send(&self.questions[(turn as usize * 7 + number as usize) % self.questions.len()]);
            assert_eq!(client.response().status, 200);
            latencies.push(due.elapsed().as_secs_f64() * 1e3);
        }
        latencies
    }

    /// Octets of the full CRL that is served; none while there is none.
    fn crl_octets(&self) -> u64 {
        let mut client = Client::connect(self.address);
        client.send(with_method("HEAD", "/crl/sign/1/full.crl", &[]));
        let head = client.response_to_head();
        match head.status {
            200 => head.field("content-length").unwrap().parse().unwrap(),
            _ => 0,
        }
    }

    /// True when every certificate has an entry of its own.
    fn is_written(&self) -> bool {
        let mut stream = UnixStream::connect(self.service.data.join("admin.sock")).unwrap();
        stream
            .write_all(
                b"POST /v1/authority/list HTTP/1.1\r\nHost: admin\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
            )
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.contains("\"revoked_one_by_one\":true")
    }
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100]
}

/// Certificates, straight into the journal.
fn fill(data: &Path, certificates: u64) {
    let data = DataDir::new(data);
    let config = Config::read(&data.config()).unwrap();
    let (office, _) = Office::start(data, config, Clock::system(), "http://ocsp.example".to_owned()).unwrap();
    let archive = office.store().facts().issuers[0].issued.archive;
    let codes: Vec<Partition> = office.profile().municipalities.residences().map(|row| row.code).collect();
    let up_to = FIRST_SERIAL + certificates;
    let reserve: Decide = Box::new(move |_, _| Ok(vec![Event::SerialsReserved { authority: SIGN, up_to }]));
    office.store().submit_wait(Origin::service(), reserve).unwrap();
    for first in (0..certificates).step_by(FILL as usize) {
        let codes = codes.clone();
        let decide: Decide = Box::new(move |_, now| {
            let numbers = first..(first + FILL).min(certificates);
            let issued = numbers.map(|number| {
                let serial = SerialNumber::try_from(FIRST_SERIAL + number).unwrap();
                Event::Issued(Issued {
                    certificate: CertificateRef { authority: SIGN, generation: Generation::FIRST, serial },
                    kind: CertificateKind::CardSign,
                    partition: Some(codes[(number * 7_919 % codes.len() as u64) as usize]),
                    not_before: now,
                    not_after: now.plus(Duration::from_secs(5 * 365 * 86_400)),
                    archive,
                    sha256: [7; 32],
                    holder: None,
                    card: None,
                    twin: None,
                })
            });
            Ok(issued.collect())
        });
        office.store().submit_wait(Origin::service(), decide).unwrap();
    }
    office.stop().unwrap();
}
