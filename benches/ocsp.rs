//! What an answer costs without HTTP: `cargo bench --bench ocsp [-- --json FILE]`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a bench may panic"
)]

#[path = "support/machine.rs"]
mod machine;
#[path = "support/report.rs"]
mod report;
#[path = "../tests/world/mod.rs"]
mod world;

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use sekisho::ocsp::{Options, Respond};
use sekisho::pki::{HashAlgorithm, RevocationReason, oid};
use world::{Ask, Ca, World, at, cert_id, nonce, serial};

/// Runs of each measurement; the median is told.
const ROUNDS: usize = 7;
/// Length of a run at least; the large measurement asks about every serial once.
const ROUND: Duration = Duration::from_millis(200);
/// Serials of the large measurement.
const MILLION: u64 = 1_000_000;

struct Row {
    name: &'static str,
    value: f64,
    unit: &'static str,
    limit: &'static str,
    ratio: f64,
}

fn main() {
    let mut rows = Vec::new();
    let ca = Ca::p256(1, 1);
    for (name, serials) in [("ocsp/engine-cached", 10_000), ("ocsp/engine-cached/1000000", MILLION)] {
        // A profiler has seen enough of a few.
        if serials == MILLION && std::env::args().any(|argument| argument == "--few") {
            break;
        }
        let (world, requests) = answered(&ca, serials);
        let Respond::Ready(answer) = world.responder.respond(&requests[0], at(1)) else { panic!("kept") };
        let copying = nanoseconds(&requests[..10_000], |_| black_box(answer.body.clone()).len());
        let value = nanoseconds(&requests, |request| match world.responder.respond(request, at(1)) {
            Respond::Ready(answer) | Respond::Refresh(answer, _) => black_box(answer.body).len(),
            Respond::Sign(_) => panic!("not kept"),
        });
        rows.push(Row { name, value, unit: "ns", limit: "allocate and copy", ratio: value / copying });
        if serials == MILLION {
            rows.extend(memory(&world));
            rows.push(live(&ca, &world));
        }
    }
    print(&rows);
}

/// An authority with so many certificates, one in twenty revoked, for each of which there is
/// a signature, and requests for all of them in an order a prefetcher cannot guess.
fn answered(ca: &Ca, serials: u64) -> (World, Vec<Vec<u8>>) {
    let options = Options { cache_bytes: 1 << 30, ..Options::default() };
    let world = World::new(&[ca.identity()], options);
    for number in 1..=serials {
        world.issue(ca, serial(number), at(-1_000));
        if number % 20 == 0 {
            world.revoke(ca, number, RevocationReason::AffiliationChanged, 1, at(-500));
        }
    }
    let (name, key) = (ca.issuer.name_hash(HashAlgorithm::Sha1), ca.issuer.key_hash(HashAlgorithm::Sha1));
    let ask = |number| Ask::one(cert_id(&oid::SHA1, true, &name, &key, &serial(number))).to_der();
    let requests = shuffled((1..=serials).map(ask).collect());
    // Signing is not what is measured: all get the octets of one signature.
    let mut signature = None;
    for request in &requests {
        let Respond::Sign(job) = world.responder.respond(request, at(0)) else { panic!("not kept yet") };
        let signature = signature.get_or_insert_with(|| job.sign().unwrap()).clone();
        assert!(matches!(world.responder.finish(job, Ok(signature), at(0)), Respond::Ready(_)));
    }
    // Copied in this order, so that reading them costs what a receive buffer would: nothing.
    (world, shuffled(requests).iter().map(Clone::clone).collect())
}

fn memory(world: &World) -> [Row; 2] {
    let row = |name, octets: f64, least, limit| {
        let value = octets / MILLION as f64;
        Row { name, value, unit: "B", limit, ratio: value / least }
    };
    let (status, kept) = (world.status.bytes() as f64, world.responder.bytes_kept() as f64);
    [
        row("status/bytes-per-certificate", status, 8.0, "one word of 8 octets"),
        row("ocsp/bytes-per-signature", kept, 72.0, "a signature of 72 octets"),
    ]
}

/// An answer that must be signed, because it repeats a nonce.
fn live(ca: &Ca, world: &World) -> Row {
    let request = Ask::one(ca.cert_id(HashAlgorithm::Sha1, 1)).with(nonce(&[1; 32])).to_der();
    let job = || match world.responder.respond(&request, at(1)) {
        Respond::Sign(job) => job,
        Respond::Ready(_) | Respond::Refresh(..) => panic!("a nonce is never answered again"),
    };
    let same = job();
    let requests = [request.clone()];
    let signing = nanoseconds(&requests, |_| same.sign().unwrap().len());
    let value = nanoseconds(&requests, |_| {
        let job = job();
        let signature = job.sign();
        match world.responder.finish(job, signature, at(1)) {
            Respond::Ready(answer) | Respond::Refresh(answer, _) => answer.body.len(),
            Respond::Sign(_) => panic!("nothing changed"),
        }
    });
    let ratio = value / signing;
    Row { name: "ocsp/engine-nonce-p256", value, unit: "ns", limit: "sign and verify", ratio }
}

/// By a fixed pseudo-random sequence, so that runs compare.
fn shuffled<T>(mut items: Vec<T>) -> Vec<T> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for place in (1..items.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        items.swap(place, (state % (place as u64 + 1)) as usize);
    }
    items
}

/// Nanoseconds this thread has run, so that a busy machine does not count; where the kernel
/// does not tell, nanoseconds that have passed.
fn cpu_time() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let ran = schedstat.and_then(|text| text.split(' ').next()?.parse().ok());
    ran.unwrap_or_else(|| START.elapsed().as_nanos() as f64)
}

/// Median over the rounds of the mean time of `work`.
fn nanoseconds(requests: &[Vec<u8>], mut work: impl FnMut(&[u8]) -> usize) -> f64 {
    // A first call is slow for reasons of its own, and tells how many fill a round.
    let mut once = |request: &[u8]| {
        black_box(work(black_box(request)));
    };
    requests.iter().cycle().take(100).for_each(|request| once(request));
    let start = Instant::now();
    requests.iter().cycle().take(100).for_each(|request| once(request));
    let each = start.elapsed() / 100;
    let calls = (ROUND.as_nanos() / each.as_nanos().max(1)) as usize;
    let repeat = (calls / requests.len()).max(1);
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = cpu_time();
            for request in (0..repeat).flat_map(|_| requests) {
                once(request);
            }
            (cpu_time() - start) / (repeat * requests.len()) as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn print(rows: &[Row]) {
    println!("{:32} {:>10} {:4} {:>8}  limit", "name", "value", "unit", "ratio");
    for row in rows {
        println!("{:32} {:>10.1} {:4} {:>8.2}  {}", row.name, row.value, row.unit, row.ratio, row.limit);
    }
    let mut arguments = std::env::args().skip_while(|argument| argument != "--json");
    if let (Some(_), Some(file)) = (arguments.next(), arguments.next()) {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                serde_json::json!({
                    "name": row.name, "value": row.value, "unit": row.unit,
                    "limit": row.limit, "ratio": row.ratio,
                })
            })
            .collect();
        report::write_rows(std::path::Path::new(&file), rows);
    }
}
