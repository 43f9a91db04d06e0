//! The store: durable revocations a second, how long until one is visible, and how fast a
//! million certificates are back after a stop.
//!
//! `store/revoke/64-clients`: 64 threads that each revoke one certificate after another and wait
//! for each acknowledgement. `store/revoke-visible-p99`: from the call to the moment the status
//! index shows it, in the same run. `store/start/N`: opening after a clean stop until status
//! and records answer; `store/start-after-kill-answers/N` and `store/start-after-kill/N`: after a stop
//! that was none, until the index answers, and until the records are made anew and compared with it;
//! `store/compare-folds/N`: that comparison alone, of all certificates; `store/examine-journal`: a walk over
//! the journal that checks its chain and holds it against heads on record elsewhere.
//! `store/bytes-per-certificate`: what such a process holds resident (VmRSS)
//! beyond one with an empty store, sled included, for each certificate; each in a process of
//! its own.
//!
//! `cargo bench --bench store [-- --json FILE]`. The data lies under `target/`, on the disk that
//! holds the checkout; `SEKISHO_BENCH_CERTIFICATES` changes the million.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    dead_code,
    missing_docs,
    reason = "a bench fails by panicking"
)]

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sekisho::der::UnixTime;
use sekisho::lifecycle::{self, Revoke};
use sekisho::office::compare;
use sekisho::pki::{AuthorityId, CertificateKind, Generation, Partition, RevocationReason, SerialNumber};
use sekisho::record::{ArchivePlace, CertificateRef, Event, HolderId, Issued, Origin, Position, Refusal};
use sekisho::status::StatusIndex;
use sekisho::store::{Decide, Fold, Options, Store};

#[path = "support/machine.rs"]
mod machine;
#[path = "support/report.rs"]
mod report;

use report::Row;

const AUTHORITY: AuthorityId = AuthorityId(1);
const CERTIFICATES: u64 = 1_000_000;
/// Certificates in one decision while filling.
const FILL: u64 = 500;
const CLIENTS: u64 = 64;
const REVOKING: Duration = Duration::from_secs(5);
/// Opened so often; the median counts.
const STARTS: usize = 5;
/// Opened so often as after a kill; once when there are more than a million certificates.
const KILLS: usize = 3;
/// How a process of ours knows that it is to open a store and tell its memory.
const CHILD: &str = "--resident";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == CHILD) {
        let (store, _index) = open(Path::new(&arguments[at + 1]));
        println!("{}", resident_bytes());
        store.close().unwrap();
        return;
    }
    let json = arguments.iter().position(|argument| argument == "--json").map(|at| &arguments[at + 1]);
    let certificates =
        std::env::var("SEKISHO_BENCH_CERTIFICATES").map_or(CERTIFICATES, |count| count.parse().unwrap());
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (full, empty) = (home.path().join("full"), home.path().join("empty"));
    open(&empty).0.close().unwrap();

    println!("{}", machine::description());
    // Each as soon as it is known: those at the end take the longest.
    let mut rows = Vec::new();
    let mut tell = |row: Row| {
        println!("{row}");
        rows.push(row);
    };

    let (store, index) = open(&full);
    let began = Instant::now();
    fill(&store, certificates);
    eprintln!("{certificates} certificates recorded in {:.1} s", began.elapsed().as_secs_f64());
    let (count, elapsed, latencies) = revoke(&store, &index, certificates);
    let sync = sync_time(home.path());
    tell(Row::new("store/revoke/64-clients", count as f64 / elapsed.as_secs_f64(), "per_s"));
    tell(Row::new("store/revoke-visible-p50", percentile(&latencies, 0.50), "ms"));
    tell(
        Row::new("store/revoke-visible-p99", percentile(&latencies, 0.99), "ms")
            .against("five syncs of this disk", 5.0 * sync),
    );
    tell(Row::new("store/sync", sync, "ms"));
    let compared = compared(&store, &index, certificates);
    tell(Row::new(format!("store/compare-folds/{certificates}"), compared, "s"));
    tell(Row::new("store/examine-journal", examined(&store, &full.join("journal")), "s_per_GB"));
    store.close().unwrap();

    let starts: Vec<f64> = (0..STARTS).map(|_| start(&full, certificates)).collect();
    tell(Row::new(format!("store/start/{certificates}"), percentile(&starts, 0.50), "s"));
    let resident = |dir: &Path| -> f64 {
        let output = Command::new(std::env::current_exe().unwrap()).arg(CHILD).arg(dir).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    };
    let per_certificate = (resident(&full) - resident(&empty)) / certificates as f64;
    tell(Row::new("store/bytes-per-certificate", per_certificate, "B"));

    // As after a kill: the marker of the stop is gone.
    let kills = if certificates > CERTIFICATES { 1 } else { KILLS };
    let (mut answers, mut everything) = (Vec::new(), Vec::new());
    for _ in 0..kills {
        fs::remove_file(full.join("stopped")).unwrap();
        let (answered, done) = start_after_kill(&full, certificates);
        answers.push(answered);
        everything.push(done);
    }
    tell(Row::new(format!("store/start-after-kill-answers/{certificates}"), percentile(&answers, 0.50), "s"));
    tell(Row::new(format!("store/start-after-kill/{certificates}"), percentile(&everything, 0.50), "s"));
    if let Some(file) = json {
        report::write_json(Path::new(file), &rows);
    }
}

fn open(dir: &Path) -> (Store, Arc<StatusIndex>) {
    let index = Arc::new(StatusIndex::new());
    let (applied, snapshot, restore) = (Arc::clone(&index), Arc::clone(&index), Arc::clone(&index));
    let fold = Fold {
        snapshot: Box::new(move || snapshot.snapshot()),
        restore: Box::new(move |octets| restore.restore(octets).map_err(|error| error.to_string())),
        ..Fold::hearing("status", move |entries| applied.apply(entries))
    };
    let (store, _) = Store::open(Options::new(dir), vec![fold]).unwrap();
    (store, index)
}

/// Records certificates, many in a decision; their octets are not what is measured.
fn fill(store: &Store, certificates: u64) {
    let next = AtomicU64::new(0);
    let place = store.archive_append_wait(vec![0; 1_024]).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(FILL, Ordering::Relaxed) + 1;
                    if first > certificates {
                        return;
                    }
                    let last = certificates.min(first + FILL - 1);
                    let decide: Decide =
                        Box::new(move |_, now| Ok((first..=last).map(|n| issued(n, place, now)).collect()));
                    store.submit_wait(Origin::service(), decide).unwrap();
                }
            });
        }
    });
}

fn issued(number: u64, place: ArchivePlace, now: UnixTime) -> Event {
    Event::Issued(Issued {
        certificate: certificate(number),
        kind: CertificateKind::CardSign,
        partition: Some(Partition(1_000 + u32::try_from(number % 1_922).unwrap())),
        not_before: now,
        not_after: now.plus(Duration::from_secs(5 * 365 * 86_400)),
        archive: place,
        sha256: [u8::try_from(number % 251).unwrap(); 32],
        // As far apart as random ones.
        holder: Some(HolderId(u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))),
        card: None,
        twin: Some((AuthorityId(2), SerialNumber::try_from(number).unwrap())),
    })
}

fn certificate(number: u64) -> CertificateRef {
    let serial = SerialNumber::try_from(number).unwrap();
    CertificateRef { authority: AUTHORITY, generation: Generation::FIRST, serial }
}

/// Revocations acknowledged, in how long, and for each the milliseconds until it was visible.
fn revoke(store: &Store, index: &StatusIndex, certificates: u64) -> (u64, Duration, Vec<f64>) {
    let began = Instant::now();
    let latencies: Vec<Vec<f64>> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || {
                    let mut latencies = Vec::new();
                    // Scattered over the whole range, never twice the same.
                    let mine = (0..)
                        .map(|step: u64| (step * CLIENTS + client).wrapping_mul(7_919) % certificates + 1);
                    for number in mine.take((certificates / CLIENTS) as usize) {
                        if began.elapsed() > REVOKING {
                            break;
                        }
                        let serial = SerialNumber::try_from(number).unwrap();
                        let asked = Instant::now();
                        let decide: Decide = Box::new(move |records, now| {
                            let record = records.find(AUTHORITY, &serial)?;
                            let record = record.ok_or(Refusal::NotIssued { authority: AUTHORITY, serial })?;
                            let reason = Some(RevocationReason::Superseded);
                            let wish = Revoke { reason, invalidity_date: None };
                            Ok(Vec::from_iter(lifecycle::revoke(&record, wish, now)?))
                        });
                        let outcome = store.submit_wait(Origin::service(), decide).unwrap();
                        let shown = index.find(AUTHORITY, &serial).cert_status();
                        assert!(matches!(shown, sekisho::pki::CertStatus::Revoked(_)), "visible");
                        assert_eq!(outcome.entries.len(), 1);
                        latencies.push(asked.elapsed().as_secs_f64() * 1e3);
                    }
                    latencies
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let all: Vec<f64> = latencies.concat();
    (all.len() as u64, began.elapsed(), all)
}

fn start(dir: &Path, certificates: u64) -> f64 {
    let began = Instant::now();
    let (store, index) = open(dir);
    store.ready().unwrap();
    let last = SerialNumber::try_from(certificates).unwrap();
    assert!(index.find(AUTHORITY, &last).is_issued());
    assert!(store.find(AUTHORITY, &last).unwrap().is_some());
    let took = began.elapsed().as_secs_f64();
    store.close().unwrap();
    took
}

/// Seconds until the index answers, and until the records are made anew and were compared with it.
fn start_after_kill(dir: &Path, certificates: u64) -> (f64, f64) {
    let began = Instant::now();
    let (store, index) = open(dir);
    let last = SerialNumber::try_from(certificates).unwrap();
    assert!(index.find(AUTHORITY, &last).is_issued());
    let answers = began.elapsed().as_secs_f64();
    store.wait_ready();
    store.ready().unwrap();
    compared(&store, &index, certificates);
    let everything = began.elapsed().as_secs_f64();
    store.close().unwrap();
    (answers, everything)
}

/// Seconds that a comparison of all records with the index takes.
fn compared(store: &Store, index: &StatusIndex, certificates: u64) -> f64 {
    let began = Instant::now();
    let compared = compare(index, &store.reading(store.head().0)).unwrap();
    assert_eq!((compared.certificates, compared.differences.len()), (certificates, 0));
    began.elapsed().as_secs_f64()
}

/// Seconds a gigabyte of journal takes that is held against two heads, of its first entry and its last.
fn examined(store: &Store, journal: &Path) -> f64 {
    let files = fs::read_dir(journal).unwrap();
    let octets: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    let (end, head) = store.head();
    let said = BTreeMap::from([(Position(1), store.head_at(Position(1)).unwrap()), (end, head)]);
    let began = Instant::now();
    assert_eq!(store.contradicted(&said).unwrap(), []);
    began.elapsed().as_secs_f64() * 1e9 / octets as f64
}

/// Milliseconds that this disk takes to make 4 kB durable: the median of 50.
fn sync_time(dir: &Path) -> f64 {
    let path: PathBuf = dir.join("sync");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
    let times: Vec<f64> = (0..50)
        .map(|_| {
            file.write_all(&[7; 4096]).unwrap();
            let began = Instant::now();
            file.sync_data().unwrap();
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    fs::remove_file(path).unwrap();
    percentile(&times, 0.50)
}

fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}
