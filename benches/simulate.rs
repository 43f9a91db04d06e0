//! A year of the country in miniature: how long it takes, and in how much memory.
//!
//! `cargo bench --bench simulate -- [--residents N] [--days D] [--seed S] [--json FILE]`
//!
//! `simulate/N/D`: N residents and D days through the use cases of the service, with a CRL set every
//! thirty days, a stop as by a crash in the middle, and an examination of everything after it and at
//! the end. The limit is signing what was signed, on all cores.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench may panic"
)]

#[path = "support/machine.rs"]
mod machine;
#[path = "support/report.rs"]
mod report;

use std::path::Path;
use std::time::Instant;

use report::Row;
use sekisho::office::data::DataDir;
use sekisho::signer::Key;
use sekisho::simulate::{self, Plan};
use time::macros::date;

/// Signatures the limit is measured with.
const SIGNATURES: u32 = 2000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)
    };
    let number = |name, default: u32| value(name).map_or(default, |text| text.parse().expect("a number"));
    let (residents, days) = (number("--residents", 100_000), number("--days", 365));
    let plan = Plan { residents, days, seed: u64::from(number("--seed", 1)), from: date!(2025 - 04 - 01) };
    println!("{}", machine::description());
    machine::print_company();
    let home = tempfile::tempdir().unwrap();
    let data = DataDir::new(&home.path().join("data"));
    let began = Instant::now();
    let (office, tally) = simulate::run(&data, &plan, &mut |_, _| {}).unwrap();
    let took = began.elapsed().as_secs_f64();
    let reconciling = Instant::now();
    let (cards, disagreements) = office.reconcile().unwrap();
    println!(
        "{cards} cards and phones compared in {:.1} s, {} disagreements; digest of the records {}",
        reconciling.elapsed().as_secs_f64(),
        disagreements.len(),
        tally.records_digest
    );
    let crls = office.served_catalogue().unwrap().unwrap().crls.len() as u64;
    let certificates: u64 = tally.authorities.iter().map(|one| one.issued).sum();
    let signed = certificates + crls * tally.crl_sets;
    office.stop().unwrap();
    let mut row = Row::new(format!("simulate/{residents}/{days}"), took, "s")
        .against("its signatures", signed as f64 * signature_seconds());
    row.more.push(("peak_bytes", machine::peak_bytes() as f64));
    println!("{row}, {:.0} MB", machine::peak_bytes() as f64 / 1e6);
    println!("{certificates} certificates, {} CRL sets of {crls}", tally.crl_sets);
    if let Some(file) = value("--json") {
        report::write_json(Path::new(file), &[row]);
    }
}

/// Of one RSA-2048 signature, made on all cores.
fn signature_seconds() -> f64 {
    let pem = std::fs::read("certs/sign-1.key").unwrap();
    let key = Key::from_pkcs8(&pem::parse(pem).unwrap().into_contents()).unwrap();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| (0..SIGNATURES / cores).for_each(|_| drop(key.sign(b"what is signed").unwrap())));
        }
    });
    began.elapsed().as_secs_f64() / f64::from(SIGNATURES)
}
