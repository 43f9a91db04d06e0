//! How many reports of the resident registry a second come to be durable and visible.
//!
//! `cargo bench --bench movements -- [--cards N] [--events N] [--json FILE]`
//!
//! `movements/import/N`: an office with N cards, each with a pair of certificates and a holder of its
//! own, started anew since they were put there, is told of moves, losses and abolitions, as the import hands
//! them over: 500 at a time, each batch after the one before was acknowledged. The limit is the sync of as many
//! batches.
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

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use report::Row;
use sekisho::config::Config;
use sekisho::office::data::DataDir;
use sekisho::office::{self, Office, Reported, Subject};
use sekisho::pki::{AuthorityId, CertificateKind, Generation, Partition, SerialNumber};
use sekisho::record::{Actor, CardId, CertificateRef, Event, HolderId, Issued, Origin};
use sekisho::store::{Clock, Decide};

/// Cards in one decision while filling.
const FILL: u64 = 250;
/// Far above those that the office gives.
const FIRST_SERIAL: u64 = 0x0100_0000;
/// As the import sends them.
const BATCH: usize = 500;
const EVENTS: [&str; 3] = ["move-within", "card-suspension", "card-abolition"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)
    };
    let number = |name, default: u64| value(name).map_or(default, |text| text.parse().expect("a number"));
    let (cards, events) = (number("--cards", 1_000_000), number("--events", 100_000));
    println!("{}", machine::description());
    machine::print_company();
    let home = tempfile::tempdir().unwrap();
    let data = DataDir::new(&home.path().join("data"));
    office::init(&data, "SEKISHO-TEST").unwrap();
    let filled = start(&data);
    let began = Instant::now();
    fill(&filled, cards);
    println!("{cards} cards on record in {:.1} s", began.elapsed().as_secs_f64());
    filled.stop().unwrap();
    drop(filled);
    let office = start(&data);
    // What was issued within this second is not meant by an event of this second.
    std::thread::sleep(Duration::from_secs(2));
    let reports: Vec<Reported> = (0..events).map(|number| reported(number, cards)).collect();
    let actor = Actor::service();
    let began = Instant::now();
    let mut changed = 0;
    for batch in reports.chunks(BATCH) {
        for effect in office.report(batch, &actor) {
            changed += effect.unwrap().changed.len();
        }
    }
    let took = began.elapsed();
    assert!(changed as u64 >= events, "every report changed something");
    let limit = syncs(home.path(), reports.len().div_ceil(BATCH));
    let rate = events as f64 / took.as_secs_f64();
    let row = Row::new(format!("movements/import/{cards}"), rate, "per_s")
        .against("syncs of the batches", events as f64 / limit.as_secs_f64());
    println!("{row}");
    if let Some(file) = value("--json") {
        report::write_json(Path::new(file), &[row]);
    }
    office.stop().unwrap();
}

fn start(data: &DataDir) -> Arc<Office> {
    let config = Config::read(&data.config()).unwrap();
    Office::start(data.clone(), config, Clock::system(), "http://127.0.0.1:8080".to_owned()).unwrap().0
}

/// Numbers as far apart as random ones.
const fn scattered(number: u64, what: u128) -> u128 {
    (number as u128 * 2 + what).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}

/// Each event is about another card, far from the one before.
fn reported(number: u64, cards: u64) -> Reported {
    Reported {
        event_id: format!("bench-{number}"),
        event: EVENTS[(number % 3) as usize].to_owned(),
        subject: Subject::Card(CardId(scattered(number * 7_919 % cards, 0))),
        kind: None,
        municipality: None,
        effective_at: Clock::system().now(),
        reported_at: None,
    }
}

/// Cards with their certificates, straight into the journal, their serials reserved before as the office does.
fn fill(office: &Office, cards: u64) {
    let up_to = FIRST_SERIAL + cards;
    let reserve: Decide = Box::new(move |_, _| {
        Ok([1, 2].map(|one| Event::SerialsReserved { authority: AuthorityId(one), up_to }).to_vec())
    });
    office.store().submit_wait(Origin::service(), reserve).unwrap();
    let archive = office.store().facts().issuers[0].issued.archive;
    let codes: Vec<Partition> = office.profile().municipalities.residences().map(|row| row.code).collect();
    for first in (0..cards).step_by(FILL as usize) {
        let codes = codes.clone();
        let decide: Decide = Box::new(move |_, now| {
            let numbers = first..(first + FILL).min(cards);
            let events = numbers.flat_map(|number| {
                let serial = SerialNumber::try_from(FIRST_SERIAL + number).unwrap();
                [(1, CertificateKind::CardSign), (2, CertificateKind::CardAuth)].map(|(authority, kind)| {
                    Event::Issued(Issued {
                        certificate: CertificateRef {
                            authority: AuthorityId(authority),
                            generation: Generation::FIRST,
                            serial,
                        },
                        kind,
                        partition: Some(codes[(number * 7_919 % codes.len() as u64) as usize]),
                        not_before: now,
                        not_after: now.plus(Duration::from_secs(5 * 365 * 86_400)),
                        archive,
                        sha256: [7; 32],
                        holder: Some(HolderId(scattered(number, 1))),
                        card: Some(CardId(scattered(number, 0))),
                        twin: Some((AuthorityId(3 - authority), serial)),
                    })
                })
            });
            Ok(events.collect())
        });
        office.store().submit_wait(Origin::service(), decide).unwrap();
    }
}

/// So many appends of a batch's entries, each synced.
fn syncs(home: &Path, count: usize) -> Duration {
    let mut file = std::fs::File::create(home.join("syncs")).unwrap();
    let batch = vec![0x5a; BATCH * 300];
    let began = Instant::now();
    for _ in 0..count {
        file.write_all(&batch).unwrap();
        file.sync_data().unwrap();
    }
    began.elapsed()
}
