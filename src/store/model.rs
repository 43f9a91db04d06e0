//! Every interleaving of committing, writing rows and looking up, as a model checker picks them, over
//! the code that serves: nobody sees a certificate as it was before something acknowledged.
//!
//! `cargo test --features shuttle --lib model`; `SEKISHO_MODEL_RUNS=100000` looks longer.

use std::sync::Arc;

use super::error::StoreError;
use super::held::Held;
use super::kept;
use super::overlay::{Below, Overlay};
use super::projection::Projection;
use super::rows::Rows;
use crate::der::UnixTime;
use crate::pki::{AuthorityId, CertificateKind, Generation, Revocation, RevocationReason, SerialNumber};
use crate::record::{
    ArchivePlace, CertificateRef, Compromises, Entry, Event, Issued, Numbered, Origin, Position, Record,
    StatusChange,
};
use crate::sync::{AtomicU64, Ordering, thread};

/// Holds and releases of the certificate that is looked at.
const CHANGES: u64 = 3;

fn runs() -> usize {
    std::env::var("SEKISHO_MODEL_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(3_000)
}

fn certificate() -> CertificateRef {
    let serial = SerialNumber::try_from(7).unwrap();
    CertificateRef { authority: AuthorityId(1), generation: Generation::FIRST, serial }
}

/// The entry at a position: the issue, and then holds and releases in turn.
fn entry(position: u64) -> Numbered {
    let (certificate, now) = (certificate(), UnixTime::from_seconds(1_800_000_000));
    let change = u32::try_from(position - 1).unwrap();
    let event = match position {
        1 => Event::Issued(Issued {
            certificate,
            kind: CertificateKind::PhoneAuth,
            partition: None,
            not_before: now,
            not_after: now,
            archive: ArchivePlace(0),
            sha256: [0; 32],
            holder: None,
            card: None,
            twin: None,
        }),
        held if held % 2 == 0 => {
            let reason = RevocationReason::CertificateHold;
            let became = Revocation { revoked_at: now, reason, invalidity_date: None };
            Event::Revoked(StatusChange { certificate, became, change, cause: None })
        }
        _ => Event::Released(StatusChange { certificate, became: (), change, cause: None }),
    };
    let entry = Entry { recorded_at: now, origin: Origin::service(), event };
    Numbered { position: Position(position), entry }
}

fn held(position: u64) -> Held {
    Held { journal_id: [0; 16], position: Position(position), head: [0; 32] }
}

/// Makes an entry durable, as the committer does.
fn commit(projection: &Projection, position: u64) {
    let mut group = Overlay::default();
    group.fold(projection, &Compromises::default(), &entry(position)).unwrap();
    projection.merge(group, held(position));
}

#[test]
fn nobody_sees_a_certificate_as_it_was_before_something_acknowledged() {
    let check = || {
        let projection = Arc::new(Projection::new(Position(0)));
        projection.set_ready(Arc::new(Rows::memory()), Position(0));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let writing = {
            let projection = Arc::clone(&projection);
            thread::spawn(move || projection.run())
        };
        let looking = {
            let (projection, acknowledged) = (Arc::clone(&projection), Arc::clone(&acknowledged));
            thread::spawn(move || {
                for _ in 0..3 {
                    let at_least = acknowledged.load(Ordering::SeqCst);
                    let key = (certificate().authority, certificate().serial);
                    let found: Option<Record> = projection.find(&key).unwrap();
                    let last = found.map_or(0, |record| record.last_position().0);
                    assert!(last >= at_least, "entry {at_least} was acknowledged, and entry {last} is shown");
                    // Rows that are said to hold an entry hold it.
                    let rows = projection.rows_at(Position(at_least)).unwrap();
                    let mut last = 0;
                    let each = &mut |_, record: Record| last = record.last_position().0;
                    kept::each_record(&rows, AuthorityId(1), each, &mut |_| panic!("lost")).unwrap();
                    assert!(last >= at_least, "entry {at_least} was said to be in the rows: {last}");
                }
            })
        };
        for position in 1..=1 + CHANGES {
            projection.wait_for_room();
            commit(&projection, position);
            acknowledged.store(position, Ordering::SeqCst);
        }
        looking.join().unwrap();
        projection.end(StoreError::Closed);
        writing.join().unwrap();
        while projection.turn() {}
        let rows = projection.rows_at(Position(1 + CHANGES)).unwrap();
        let mut all = Vec::new();
        kept::each_record(&rows, AuthorityId(1), &mut |_, record| all.push(record), &mut |_| panic!("lost"))
            .unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].changes.len(), usize::try_from(CHANGES).unwrap());
    };
    shuttle::check_random(check, runs());
}

/// Rows that are exchanged while others look and write lose nothing that was acknowledged.
#[test]
fn rows_that_are_exchanged_lose_nothing() {
    let check = || {
        let projection = Arc::new(Projection::new(Position(0)));
        projection.set_ready(Arc::new(Rows::memory()), Position(0));
        let writing = {
            let projection = Arc::clone(&projection);
            thread::spawn(move || projection.run())
        };
        commit(&projection, 1);
        commit(&projection, 2);
        let anew = Rows::memory();
        let mut overlay = Overlay::default();
        (1..=2).for_each(|position| {
            let breach = overlay.fold(&anew, &Compromises::default(), &entry(position)).unwrap();
            assert_eq!(breach, None);
        });
        kept::write(&overlay, &anew, Position(0)).unwrap();
        projection.exchange(Position(2), |_| Ok(Arc::new(anew))).unwrap();
        commit(&projection, 3);
        projection.end(StoreError::Closed);
        writing.join().unwrap();
        while projection.turn() {}
        let record = projection.find::<Record>(&(certificate().authority, certificate().serial)).unwrap();
        assert_eq!(record.unwrap().last_position(), Position(3));
    };
    shuttle::check_random(check, runs());
}
