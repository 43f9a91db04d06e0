//! What an answer costs without HTTP: `cargo bench --bench ocsp [-- --json FILE]`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a bench may panic"
)]

#[path = "../tests/world/mod.rs"]
mod world;

use std::hint::black_box;
use std::time::Instant;

use sekisho::ocsp::{Options, Respond};
use sekisho::pki::{HashAlgorithm, RevocationReason, oid};
use world::{Ask, Ca, World, at, cert_id, nonce, serial};

/// Runs of each measurement; the median is told.
const ROUNDS: usize = 7;
/// Serials of the large measurement.
const MILLION: u64 = 1_000_000;

struct Row {
    name: &'static str,
    value: f64,
    unit: &'static str,
    limit: &'static str,
    ratio: Option<f64>,
}

fn main() {
    let mut rows = Vec::new();
    let ca = Ca::p256(1, 1);
    let options = Options { cache_bytes: 1 << 30, ..Options::default() };
    let world = World::new(&[ca.identity()], options);
    for number in 1..=MILLION {
        world.issue(&ca, serial(number), at(-1_000));
        if number % 20 == 0 {
            world.revoke(&ca, number, RevocationReason::AffiliationChanged, 1, at(-500));
        }
    }
    rows.push(Row {
        name: "status/bytes-per-certificate",
        value: world.status.bytes() as f64 / MILLION as f64,
        unit: "B",
        limit: "one word of 8 octets",
        ratio: Some(world.status.bytes() as f64 / (8 * MILLION) as f64),
    });

    // Signing a million answers is not what is measured: each is given one signature's octets.
    let Respond::Sign(job) = world.responder.respond(&ca.ask(1), at(0)) else {
        panic!("nothing is kept yet")
    };
    let signature = job.sign().unwrap();
    let mut kept_requests = Vec::new();
    let (name, key) = (ca.issuer.name_hash(HashAlgorithm::Sha1), ca.issuer.key_hash(HashAlgorithm::Sha1));
    let ask = |number| Ask::one(cert_id(&oid::SHA1, true, &name, &key, &serial(number))).to_der();
    for number in 1..=MILLION {
        let request = ask(number);
        if let Respond::Sign(job) = world.responder.respond(&request, at(0)) {
            drop(world.responder.finish(job, Ok(signature.clone()), at(0)));
        }
        kept_requests.push(request);
    }
    let Respond::Ready(answer) = world.responder.respond(&kept_requests[0], at(1)) else { panic!("kept") };
    let copying = nanoseconds(&kept_requests[..10_000], |_| black_box(answer.body.clone()).len());
    for (name, serials) in [("ocsp/engine-cached", 10_000), ("ocsp/engine-cached/1000000", MILLION)] {
        let asked = shuffled(&kept_requests[..serials as usize]);
        let value = nanoseconds(&asked, |request| match world.responder.respond(request, at(1)) {
            Respond::Ready(answer) => black_box(answer.body).len(),
            Respond::Sign(_) => panic!("not kept"),
        });
        rows.push(Row { name, value, unit: "ns", limit: "allocate and copy", ratio: Some(value / copying) });
    }
    rows.push(Row {
        name: "ocsp/bytes-per-signature",
        value: world.responder.bytes_kept() as f64 / MILLION as f64,
        unit: "B",
        limit: "a signature of 72 octets",
        ratio: Some(world.responder.bytes_kept() as f64 / (72 * MILLION) as f64),
    });

    let asked = Ask::one(ca.cert_id(HashAlgorithm::Sha1, 1)).with(nonce(&[1; 32])).to_der();
    let Respond::Sign(job) = world.responder.respond(&asked, at(1)) else { panic!("a nonce is never kept") };
    let asked = vec![asked; 2_000];
    let signing = nanoseconds(&asked, |_| job.sign().unwrap().len());
    let value = nanoseconds(&asked, |request| {
        let Respond::Sign(job) = world.responder.respond(request, at(1)) else { panic!("signed before") };
        let signature = job.sign();
        match world.responder.finish(job, signature, at(1)) {
            Respond::Ready(answer) => answer.body.len(),
            Respond::Sign(_) => panic!("nothing changed"),
        }
    });
    rows.push(Row {
        name: "ocsp/engine-nonce-p256",
        value,
        unit: "ns",
        limit: "sign and verify",
        ratio: Some(value / signing),
    });
    print(&rows);
}

/// Requests in an order a prefetcher cannot guess.
fn shuffled(requests: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut shuffled = requests.to_vec();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for place in (1..shuffled.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        shuffled.swap(place, (state % (place as u64 + 1)) as usize);
    }
    // Copied in this order, so that reading the requests themselves costs what a receive
    // buffer would: nothing.
    shuffled.iter().map(Clone::clone).collect()
}

/// Median over the rounds of the mean time of `work`.
fn nanoseconds(requests: &[Vec<u8>], mut work: impl FnMut(&[u8]) -> usize) -> f64 {
    let repeat = (200_000 / requests.len()).max(1);
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for request in (0..repeat).flat_map(|_| requests) {
                black_box(work(black_box(request)));
            }
            start.elapsed().as_nanos() as f64 / (repeat * requests.len()) as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn print(rows: &[Row]) {
    println!("{:32} {:>10} {:4} {:>8}  limit", "name", "value", "unit", "ratio");
    for row in rows {
        let ratio = row.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        println!("{:32} {:>10.1} {:4} {ratio:>8}  {}", row.name, row.value, row.unit, row.limit);
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
        std::fs::write(file, serde_json::to_vec_pretty(&rows).unwrap()).unwrap();
    }
}
