//! Nothing acknowledged is lost, whatever the disk does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "durability/ending.rs"]
mod ending;
#[path = "durability/remake.rs"]
mod remake;
#[path = "durability/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;

use sekisho::pki::AuthorityId;
use sekisho::record::{
    Actor, BreachKind, CertificateRef, Epoch, Event, FoldError, Numbered, Origin, Position, Record, Refusal,
    RequestId, StatusChange,
};
use sekisho::store::{
    CheckError, Clock, Decide, Disk, Fold, NotReady, OpenError, Options, RowsKind, SimDisk, Store,
    StoreError, SubmitError, check, check_deep, check_on,
};
use world::{AUTHORITY, Counts, Random, World, issue, release_or_hold, revoke, serial};

/// Simulated disks in the fast suite.
const SEEDS: u64 = 10_000;

/// One life after another on a disk that loses power, until the seed's lives are spent.
#[test]
fn sim_nothing_acknowledged_is_lost_on_a_disk_that_loses_power() {
    let from: u64 = std::env::var("SEED").map_or(0, |seed| seed.parse().unwrap());
    let seeds = if std::env::var("SEED").is_ok() {
        1
    } else {
        std::env::var("SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap())
    };
    let next = AtomicU64::new(from);
    let counts = Mutex::new(Counts::default());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        break;
                    }
                    let lived = std::panic::catch_unwind(|| World::new(seed).live());
                    let Ok(lived) = lived else {
                        next.store(u64::MAX / 2, Ordering::Relaxed);
                        panic!("seed {seed} failed: repeat it with SEED={seed}");
                    };
                    counts.lock().unwrap().add(&lived);
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    println!("{seeds} seeds: {counts:#?}");
    assert!(seeds > 0, "SEEDS=0 tries nothing");
    for (what, count, least) in [
        ("power losses", counts.power_losses, 5000),
        ("kills", counts.kills, 1000),
        ("crashes with a request in flight", counts.in_flight, 5000),
        ("crashes while starting", counts.during_start, 1000),
        ("torn frames cut", counts.torn, 200),
        ("failed syncs", counts.failed_syncs, 500),
        ("clean stops", counts.clean, 500),
        ("repeated requests", counts.repeated, 2000),
        ("starts from a snapshot", counts.from_snapshot, 500),
        ("frames, some six in a file", counts.frames, 80_000),
        ("acknowledged entries", counts.acknowledged, 50_000),
        ("comments read again", counts.comments, 10_000),
    ] {
        // Of few seeds half as much, since they differ: all of it is asked of the usual number.
        let least = if seeds < SEEDS { least * seeds / SEEDS / 2 } else { least };
        assert!(count >= least, "only {count} {what}: the simulation does not try what it should");
    }
}

/// The time of most tests: every request takes a second.
static CLOCK: LazyLock<Arc<AtomicI64>> = LazyLock::new(|| Arc::new(AtomicI64::new(1_800_000_000)));

fn options(dir: &Path, rows: RowsKind) -> Options {
    let clock = Clock::simulated(Arc::clone(&CLOCK));
    Options { rows, clock, journal_segment_octets: 4096, archive_segment_octets: 4096, ..Options::new(dir) }
}

fn fill(store: &Store, random: &mut Random, requests: u64) {
    for number in 0..requests {
        CLOCK.fetch_add(1, Ordering::SeqCst);
        let origin = Origin {
            actor: Actor::service(),
            request: Some(RequestId::new(&Actor::service(), &number.to_string(), b"")),
            ticket: None,
            comment: None,
        };
        if number % 3 == 0 {
            let serial = store.next_serial(AUTHORITY).unwrap();
            let place = store.archive_append_wait(serial.magnitude().to_vec()).unwrap();
            store.submit_wait(origin, issue(serial, place)).unwrap();
        } else {
            let target = serial(1 + random.below(number / 3 + 1));
            let decide = if random.below(2) == 0 { revoke(target) } else { release_or_hold(target) };
            match store.submit_wait(origin, decide) {
                Ok(_) | Err(SubmitError::Refused(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn scan(store: &Store) -> Vec<Record> {
    let mut records = Vec::new();
    store.scan(AUTHORITY, store.head().0, &mut |_, record| records.push(record)).unwrap();
    records
}

/// Names and octets of every file under a directory.
fn octets_under(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                found.insert(path.to_str().unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Reliability 14: any edit of the journal is found, and nothing is changed by finding it.
#[test]
fn every_edit_of_the_journal_is_found_and_leaves_the_directory_untouched() {
    let original = tempfile::tempdir().unwrap();
    let mut random = Random(7);
    let (store, _) = Store::open(options(original.path(), RowsKind::Memory), Vec::new()).unwrap();
    fill(&store, &mut random, 300);
    store.close().unwrap();
    // Without snapshots a start reads all of the journal; the marker names its end.
    fs::remove_dir_all(original.path().join("snapshot")).unwrap();
    fs::create_dir(original.path().join("snapshot")).unwrap();
    assert!(check(original.path(), &[]).unwrap().frames > 200);
    let files: Vec<_> = octets_under(&original.path().join("journal")).into_iter().collect();
    assert!(files.len() > 5);

    let journal = original.path().join("journal");
    let mut kinds = [0; 6];
    for edit in 0..1000 {
        let (path, octets) = &files[random.below(files.len() as u64) as usize];
        let at = random.below(octets.len() as u64) as usize;
        let mut edited = octets.clone();
        let kind = edit % kinds.len();
        match kind {
            0 => edited[at] ^= 1 << random.below(8),
            1 => edited.truncate(at),
            2 => drop(edited.drain(at..(at + 1 + random.below(200) as usize).min(octets.len()))),
            3 => {
                let frames = frames(octets);
                let [one, other] = [0, 1].map(|_| frames[random.below(frames.len() as u64) as usize].clone());
                if one == other {
                    continue;
                }
                edited = frames
                    .iter()
                    .flat_map(|frame| {
                        let put = if *frame == one {
                            &other
                        } else if *frame == other {
                            &one
                        } else {
                            frame
                        };
                        put.clone()
                    })
                    .collect();
            }
            4 => {
                let frames = frames(octets);
                let gone = random.below(frames.len() as u64) as usize;
                edited = frames
                    .iter()
                    .enumerate()
                    .filter(|(n, _)| *n != gone)
                    .flat_map(|(_, f)| f.clone())
                    .collect();
            }
            _ => edited.clear(),
        }
        if edited == *octets {
            continue;
        }
        kinds[kind] += 1;
        if kind == 5 {
            fs::remove_file(path).unwrap();
        } else {
            fs::write(path, &edited).unwrap();
        }
        let before = octets_under(original.path());
        match check(original.path(), &[]) {
            Err(CheckError::Damaged(damage)) => assert!(damage.file.starts_with(&journal), "{damage}"),
            Err(CheckError::Open(OpenError::End { .. })) => {}
            other => panic!("edit {edit} of {path} at {at} was not found: {other:?}"),
        }
        match Store::open(options(original.path(), RowsKind::Memory), Vec::new()) {
            Err(OpenError::Damaged(_) | OpenError::End { .. }) => {}
            other => panic!("edit {edit} of {path} at {at} did not stop the start: {other:?}"),
        }
        assert_eq!(octets_under(original.path()), before, "edit {edit} of {path}: the directory was changed");
        fs::write(path, octets).unwrap();
    }
    assert!(kinds.iter().all(|tried| *tried > 20), "{kinds:?}");
    check(original.path(), &[]).unwrap();
}

/// Between the list of the directory and the reading of a file it may go: what was in it is lost then,
/// and not empty. A name that leads nowhere is such a file.
#[test]
fn a_segment_that_vanishes_is_damage_and_not_empty() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(options(dir.path(), RowsKind::Memory), Vec::new()).unwrap();
    fill(&store, &mut Random(9), 300);
    store.close().unwrap();
    fs::remove_file(dir.path().join("stopped")).unwrap();
    fs::remove_dir_all(dir.path().join("snapshot")).unwrap();
    check(dir.path(), &[]).unwrap();
    for part in ["journal", "archive"] {
        let last = octets_under(&dir.path().join(part)).into_iter().next_back().unwrap();
        let path = PathBuf::from(&last.0);
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        match check(dir.path(), &[]) {
            Err(CheckError::Damaged(damage)) => {
                assert_eq!((&damage.file, damage.what), (&path, "the segment is listed and cannot be found"));
            }
            other => panic!("{part}: {other:?}"),
        }
        if part == "journal" {
            let opened = Store::open(options(dir.path(), RowsKind::Memory), Vec::new());
            assert!(matches!(opened, Err(OpenError::Damaged(_))), "{opened:?}");
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, &last.1).unwrap();
        let (there, aside) = (dir.path().join(part), dir.path().join("aside"));
        fs::rename(&there, &aside).unwrap();
        assert!(check(dir.path(), &[]).is_err(), "{part}: a directory that is gone is no empty one");
        fs::rename(&aside, &there).unwrap();
    }
    check(dir.path(), &[]).unwrap();
}

/// A file of the journal as its frames: the length stands at octet 24 of the header of 64.
fn frames(mut octets: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while !octets.is_empty() {
        let payload = u32::from_be_bytes(octets[24..28].try_into().unwrap()) as usize;
        let (frame, rest) = octets.split_at(64 + payload);
        frames.push(frame.to_vec());
        octets = rest;
    }
    frames
}

/// An edit of what an entry says, with its checksum and chain made right again up to the end, is
/// found by whoever kept a head.
#[test]
fn a_forged_end_is_found_by_marker_and_by_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(options(dir.path(), RowsKind::Memory), Vec::new()).unwrap();
    fill(&store, &mut Random(3), 30);
    store.close().unwrap();
    let before = octets_under(&dir.path().join("journal"));
    let (path, octets) = before.iter().next_back().unwrap();
    let mut frames = frames(octets);
    frames.pop();
    fs::write(path, frames.concat()).unwrap();
    let checked = check(dir.path(), &[]);
    assert!(
        matches!(&checked, Err(CheckError::Damaged(_) | CheckError::Snapshot(_) | CheckError::Open(_))),
        "{checked:?}"
    );
    fs::remove_file(dir.path().join("stopped")).unwrap();
    let opened = Store::open(options(dir.path(), RowsKind::Memory), Vec::new());
    assert!(matches!(opened, Err(OpenError::Damaged(_))), "{opened:?}");
    // Without marker and snapshot, by what was acknowledged; without that too only somebody outside can
    // know: the head in the CRL catalogue.
    fs::remove_dir_all(dir.path().join("snapshot")).unwrap();
    let opened = Store::open(options(dir.path(), RowsKind::Memory), Vec::new());
    assert!(matches!(opened, Err(OpenError::End { .. })), "{opened:?}");
    fs::remove_file(dir.path().join("acknowledged")).unwrap();
    let known = Some((Epoch::FIRST, Position(40)));
    let named = Options { known, ..options(dir.path(), RowsKind::Memory) };
    assert!(matches!(Store::open(named, Vec::new()), Err(OpenError::Damaged(_))));
    assert!(Store::open(options(dir.path(), RowsKind::Memory), Vec::new()).is_ok());
}

#[test]
fn a_lost_projection_costs_nothing_and_sled_holds_what_memory_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (store, opened) = Store::open(options(dir.path(), RowsKind::Sled), Vec::new()).unwrap();
    assert!(!opened.clean_stop);
    fill(&store, &mut Random(11), 400);
    let known = scan(&store);
    assert!(known.len() > 100 && known.iter().any(|record| record.changes.len() > 1));
    assert!(known.is_sorted_by_key(|record| record.issued.certificate.serial));
    let head = store.head();
    store.close().unwrap();
    assert!(matches!(store.ready(), Err(NotReady::Closed)));
    drop(store);

    let report = check_deep(dir.path(), &[]).unwrap();
    assert!(report.clean_stop && report.rows.unwrap() > 100, "{report:?}");
    assert_eq!((report.position, report.head, report.issued), (head.0, head.1, 134));

    // Taken up as it was.
    let (store, opened) = Store::open(options(dir.path(), RowsKind::Sled), Vec::new()).unwrap();
    assert!(opened.clean_stop);
    assert_eq!((scan(&store), store.head()), (known.clone(), head));
    // Dropped without a close: no marker, rebuilt.
    drop(store);
    assert!(matches!(check_deep(dir.path(), &[]), Err(CheckError::NoProjection)));
    let (store, opened) = Store::open(options(dir.path(), RowsKind::Sled), Vec::new()).unwrap();
    assert!(!opened.clean_stop);
    assert_eq!((scan(&store), store.head()), (known.clone(), head));
    store.close().unwrap();
    drop(store);
    // Deleted, with a marker that says it is there.
    fs::remove_dir_all(dir.path().join("projection")).unwrap();
    let (store, opened) = Store::open(options(dir.path(), RowsKind::Sled), Vec::new()).unwrap();
    assert!(opened.clean_stop);
    assert_eq!((scan(&store), store.head()), (known, head));
    store.close().unwrap();
    check_deep(dir.path(), &[]).unwrap();
}

#[test]
fn a_row_that_does_not_agree_is_found_by_a_deep_check() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(options(dir.path(), RowsKind::Sled), Vec::new()).unwrap();
    fill(&store, &mut Random(11), 50);
    store.close().unwrap();
    drop(store);
    check_deep(dir.path(), &[]).unwrap();
    let db = sled::open(dir.path().join("projection")).unwrap();
    let (key, row) = db.scan_prefix(b"d").next().unwrap().unwrap();
    let mut row = row.to_vec();
    *row.last_mut().unwrap() ^= 1;
    db.insert(key, row).unwrap();
    db.flush().unwrap();
    drop(db);
    assert!(matches!(check_deep(dir.path(), &[]), Err(CheckError::Row(_))));
}

/// Reliability 18: a retry gives the same serial, date and outcome.
#[test]
fn a_repeated_key_gives_the_first_outcome_and_another_request_under_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(AtomicI64::new(1_800_000_000));
    let options =
        || Options { clock: Clock::simulated(Arc::clone(&clock)), ..options(dir.path(), RowsKind::Memory) };
    let origin = |key: &str, body: &[u8]| Origin {
        actor: Actor::service(),
        request: Some(RequestId::new(&Actor::service(), key, body)),
        ticket: None,
        comment: None,
    };
    let (store, _) = Store::open(options(), Vec::new()).unwrap();
    let place = store.archive_append_wait(vec![1]).unwrap();
    let first = store.submit_wait(origin("a", b"1"), issue(serial(1), place)).unwrap();
    assert!(!first.repeated && first.entries.len() == 1);
    clock.fetch_add(100, Ordering::SeqCst);
    for _ in 0..2 {
        let again = store.submit_wait(origin("a", b"1"), issue(serial(1), place)).unwrap();
        assert!(again.repeated);
        assert_eq!(
            (&again.entries, again.position, again.recorded_at),
            (&first.entries, first.position, first.recorded_at)
        );
    }
    let other = store.submit_wait(origin("a", b"2"), issue(serial(2), place));
    assert!(matches!(other, Err(SubmitError::KeyReused)));
    // Nothing to do is remembered too; without a key it is not worth an entry.
    let nothing = || -> sekisho::store::Decide { Box::new(|_, _| Ok(vec![])) };
    let seen = store.submit_wait(origin("b", b""), nothing()).unwrap();
    assert_eq!(seen.entries[0].entry.event, Event::RequestSeen);
    let head = store.head();
    assert!(store.submit_wait(Origin::service(), nothing()).unwrap().entries.is_empty());
    assert!(store.submit_wait(origin("b", b""), nothing()).unwrap().repeated);
    assert_eq!(store.head(), head);
    // A refusal is not remembered: it is judged anew.
    assert!(matches!(
        store.submit_wait(origin("c", b""), revoke(serial(9))),
        Err(SubmitError::Refused(Refusal::NotIssued { .. }))
    ));
    assert_eq!(store.head(), head);
    store.close().unwrap();
    drop(store);
    let (store, _) = Store::open(options(), Vec::new()).unwrap();
    assert!(store.submit_wait(origin("a", b"1"), issue(serial(1), place)).unwrap().repeated);
    // Keys expire by the journal's time.
    clock.fetch_add(401 * 24 * 60 * 60, Ordering::SeqCst);
    assert!(!store.submit_wait(origin("b", b""), nothing()).unwrap().repeated);
    assert!(store.submit_wait(origin("b", b""), nothing()).unwrap().repeated);
}

/// What is too long for an entry is refused before anything is written, and the next is taken.
#[test]
fn a_decision_whose_entry_does_not_fit_is_refused_by_the_fields_name() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(options(dir.path(), RowsKind::Memory), Vec::new()).unwrap();
    let head = store.head();
    let opened = |len: usize| -> Decide {
        Box::new(move |_, _| {
            // The first of both fits.
            let names = ["sign".to_owned(), "x".repeat(len)];
            let authorities = names.into_iter().zip([AuthorityId(1), AuthorityId(2)]);
            Ok(authorities.map(|(name, authority)| Event::AuthorityOpened { authority, name }).collect())
        })
    };
    let refused = store.submit_wait(Origin::service(), opened(256));
    let Err(SubmitError::Unwritable(error)) = refused else { panic!("{refused:?}") };
    assert_eq!((error.field, error.found, error.most), ("authority's name", 256, 255));
    assert_eq!(store.head(), head, "something was written");
    assert!(store.facts().authorities.is_empty());
    store.submit_wait(Origin::service(), opened(255)).unwrap();
    assert_eq!(store.facts().authorities[&AuthorityId(2)].len(), 255);
    store.close().unwrap();
    check(dir.path(), &[]).unwrap();
}

/// What may not follow what stands, or is about nothing on record, is refused before anything is
/// written, and nothing of the decision counts.
#[test]
fn a_decision_that_breaks_the_rule_of_succession_is_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(options(dir.path(), RowsKind::Memory), Vec::new()).unwrap();
    let place = store.archive_append_wait(vec![1]).unwrap();
    store.submit_wait(Origin::service(), issue(serial(1), place)).unwrap();
    CLOCK.fetch_add(1, Ordering::SeqCst);
    store.submit_wait(Origin::service(), revoke(serial(1))).unwrap();
    let (head, facts) = (store.head(), store.facts());
    let certificate = store.find(AUTHORITY, &serial(1)).unwrap().unwrap().issued.certificate;
    let released = |serial, change| {
        let certificate = CertificateRef { serial, ..certificate };
        Event::Released(StatusChange { certificate, became: (), change, cause: None })
    };
    let after_a_fact = |event: Event| -> Decide {
        // The first changes the facts, and would count.
        let first = Event::AuthorityOpened { authority: AuthorityId(9), name: "other".to_owned() };
        Box::new(move |_, _| Ok(vec![first.clone(), event.clone()]))
    };
    let refusal = |event| match store.submit_wait(Origin::service(), after_a_fact(event)) {
        Err(SubmitError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let breach = refusal(released(serial(1), 2));
    assert!(matches!(&breach, Refusal::Breaks(breach) if breach.what == BreachKind::Released), "{breach:?}");
    assert!(breach.to_string().ends_with(": nothing was written"), "{breach}");
    let unknown = refusal(released(serial(7), 1));
    assert!(matches!(unknown, Refusal::Unfounded(FoldError::Unknown { .. })), "{unknown:?}");
    let published = Event::CrlSetPublished { begun: Position(1), catalogue_sha256: [0; 32] };
    let unknown = refusal(published);
    assert!(matches!(unknown, Refusal::Unfounded(FoldError::Unknown { .. })), "{unknown:?}");
    assert_eq!((store.head(), store.facts()), (head, facts), "something of it counted");
    store.close().unwrap();
    check(dir.path(), &[]).unwrap();
}

#[test]
fn entries_never_go_back_in_time_and_never_run_ahead_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(AtomicI64::new(1_800_000_000));
    let options =
        Options { clock: Clock::simulated(Arc::clone(&clock)), ..options(dir.path(), RowsKind::Memory) };
    let (store, _) = Store::open(options, Vec::new()).unwrap();
    let place = store.archive_append_wait(vec![1]).unwrap();
    let at =
        |decide| store.submit_wait(Origin::service(), decide).map(|outcome| outcome.recorded_at.seconds());
    assert_eq!(at(issue(serial(1), place)).unwrap(), 1_800_000_000);
    let late = at(release_or_hold(serial(1)));
    assert!(matches!(late, Err(SubmitError::Refused(Refusal::NotBefore(_)))), "{late:?}");
    clock.fetch_add(1, Ordering::SeqCst);
    assert_eq!(at(release_or_hold(serial(1))).unwrap(), 1_800_000_001);
    clock.fetch_sub(3600, Ordering::SeqCst);
    assert_eq!(at(issue(serial(2), place)).unwrap(), 1_800_000_001);
}

/// Reliability 2: a failing disk stops acknowledgements, not answers.
#[test]
fn after_a_failed_sync_nothing_is_acknowledged_and_everything_can_be_read() {
    let disk = SimDisk::new(1);
    let heard = Arc::new(AtomicU64::new(0));
    let open = || {
        let heard = Arc::clone(&heard);
        let count = move |entries: &[Numbered]| {
            heard.fetch_add(entries.len() as u64, Ordering::SeqCst);
            Ok(())
        };
        let folds = vec![Fold::hearing("count", count)];
        let simulated = Disk::Simulated(disk.clone());
        Store::open(Options { disk: simulated, ..options(Path::new("/store"), RowsKind::Memory) }, folds)
            .unwrap()
    };
    let (store, _) = open();
    let place = store.archive_append_wait(vec![1]).unwrap();
    store.submit_wait(Origin::service(), issue(serial(1), place)).unwrap();
    let head = store.head();
    disk.fail_next_sync_below(Path::new("/store/journal"));
    for _ in 0..3 {
        // Only the first sync fails; none is tried again.
        let answer = store.submit_wait(Origin::service(), issue(serial(2), place));
        assert!(matches!(answer, Err(SubmitError::Unavailable { .. })), "{answer:?}");
    }
    assert_eq!(disk.failed_syncs(), 1);
    assert!(
        matches!(store.ready(), Err(NotReady::Poisoned(fault)) if fault.path.starts_with("/store/journal"))
    );
    assert_eq!(
        (heard.load(Ordering::SeqCst), store.head()),
        (2, head),
        "the fold heard of what was not durable"
    );
    assert!(store.find(AUTHORITY, &serial(1)).unwrap().is_some());
    assert!(store.find(AUTHORITY, &serial(2)).unwrap().is_none());
    assert_eq!(store.entries(Position(1)).count(), 2);
    assert!(store.scan(AUTHORITY, head.0.next(), &mut |_, _| {}).is_err());
    assert!(store.close().is_err());
    drop(store);
    // Unknown, not undone.
    disk.restart_after_kill();
    let (store, opened) = open();
    assert!(!opened.clean_stop);
    assert!(store.find(AUTHORITY, &serial(2)).unwrap().is_some());
    // The archive that fails stops issuing, never revoking.
    disk.fail_next_sync_below(Path::new("/store/archive"));
    for _ in 0..2 {
        assert!(matches!(store.archive_append_wait(vec![2]), Err(StoreError::Archive(_))));
    }
    assert!(matches!(store.ready(), Err(NotReady::Archive(_))));
    CLOCK.fetch_add(1, Ordering::SeqCst);
    store.submit_wait(Origin::service(), revoke(serial(1))).unwrap();
    store.close().unwrap();
}

/// What is cut from the end of a file comes back with the next loss of power if the sync of the cut
/// failed, also where the file looked right from then on: behind whole segments it would be damage.
#[test]
fn a_cut_that_failed_to_reach_the_disk_does_not_come_back() {
    let mut cut_and_failed = [0; 2];
    for seed in 0..1000 {
        for (below, tried) in ["/store/journal", "/store/archive"].iter().zip(&mut cut_and_failed) {
            let disk = SimDisk::new(seed);
            let open = || {
                let simulated = Disk::Simulated(disk.clone());
                let small = Options {
                    disk: simulated,
                    journal_segment_octets: 1024,
                    archive_segment_octets: 1024,
                    ..options(Path::new("/store"), RowsKind::Memory)
                };
                Store::open(small, Vec::new())
            };
            let issue_some = |store: &Store, many: u64, octets: usize| {
                for _ in 0..many {
                    let Ok(next) = store.next_serial(AUTHORITY) else { return };
                    let Ok(place) = store.archive_append_wait(vec![7; octets]) else { return };
                    CLOCK.fetch_add(1, Ordering::SeqCst);
                    let _unknown = store.submit_wait(Origin::service(), issue(next, place));
                }
            };
            let (store, _) = open().unwrap();
            // The frame that is torn is longer than those that come after it.
            disk.crash_after(3 + seed % 30);
            issue_some(&store, 5, 900);
            let _unknown = store.close();
            drop(store);
            disk.restart_after_power_loss();
            let failed_before = disk.failed_syncs();
            disk.fail_next_sync_below(Path::new(below));
            let opened = open();
            let was_cut = match &opened {
                Ok((_, opened)) => opened.cut.is_some() || below.ends_with("archive"),
                Err(_) => true,
            };
            drop(opened);
            *tried += u64::from(was_cut && disk.failed_syncs() > failed_before);
            disk.restart_after_kill();
            let (store, _) = open().unwrap();
            issue_some(&store, 12, 150);
            let head = store.head();
            store.close().unwrap();
            drop(store);
            disk.restart_after_power_loss();
            let (store, _) = open().unwrap_or_else(|error| panic!("seed {seed}, {below}: {error}"));
            assert_eq!(store.head(), head, "seed {seed}, {below}");
            store.ready().unwrap_or_else(|why| panic!("seed {seed}, {below}: {why}"));
            drop(store);
            check_on(&Disk::Simulated(disk.clone()), Path::new("/store"), &[]).unwrap();
        }
    }
    assert!(cut_and_failed.iter().all(|tried| *tried > 20), "not tried: {cut_and_failed:?}");
}

#[test]
fn a_decision_that_panics_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(options(dir.path(), RowsKind::Memory), Vec::new()).unwrap();
    let answer = store.submit_wait(Origin::service(), Box::new(|_, _| panic!("on purpose")));
    assert!(matches!(answer, Err(SubmitError::Stopped)), "{answer:?}");
    drop(store.close());
    assert!(matches!(store.ready(), Err(NotReady::Projection(_))), "{:?}", store.ready());
}

#[test]
fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(options(dir.path(), RowsKind::Sled), Vec::new()).unwrap();
    let second = Store::open(options(dir.path(), RowsKind::Sled), Vec::new());
    assert!(matches!(second, Err(OpenError::Locked(_))), "{second:?}");
    assert!(matches!(check_deep(dir.path(), &[]), Err(CheckError::Open(OpenError::Locked(_)))));
    check(dir.path(), &[]).unwrap();
    drop(store);
    Store::open(options(dir.path(), RowsKind::Sled), Vec::new()).unwrap();
}

#[test]
fn serials_are_unique_over_threads_and_starts_and_submissions_group() {
    let dir = tempfile::tempdir().unwrap();
    let serials = Mutex::new(Vec::new());
    for _ in 0..2 {
        let (store, _) = Store::open(options(dir.path(), RowsKind::Memory), Vec::new()).unwrap();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        serials.lock().unwrap().push(store.next_serial(AUTHORITY).unwrap());
                    }
                });
            }
        });
    }
    let mut serials = serials.into_inner().unwrap();
    serials.sort_unstable();
    serials.dedup();
    assert_eq!(serials.len(), 3200);
    assert!(serials.last().unwrap().to_u64().unwrap() <= 4096);
}

/// A scan in the order of serials, also of those above 64 bits, at a position.
#[test]
fn scans_are_in_the_order_of_serials_of_any_length() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(options(dir.path(), RowsKind::Sled), Vec::new()).unwrap();
    let mut random = Random(5);
    for _ in 0..300 {
        let octets: Vec<u8> = (0..1 + random.below(19)).map(|_| 1 + random.below(255) as u8).collect();
        let serial = sekisho::pki::SerialNumber::from_magnitude(&octets).unwrap();
        let place = store.archive_append_wait(octets).unwrap();
        let _twice_by_chance = store.submit_wait(Origin::service(), issue(serial, place));
    }
    let records = scan(&store);
    assert!(records.len() > 250);
    assert!(
        records
            .windows(2)
            .all(|pair| { pair[0].issued.certificate.serial < pair[1].issued.certificate.serial })
    );
    for record in &records {
        let serial = record.issued.certificate.serial;
        assert_eq!(store.find(AUTHORITY, &serial).unwrap().as_ref(), Some(record));
        assert_eq!(store.archive_read(record.issued.archive).unwrap(), serial.magnitude());
        assert!(store.find(AuthorityId(9), &serial).unwrap().is_none());
    }
    let entries: Vec<_> = store.entries(Position(3)).map(Result::unwrap).collect();
    assert_eq!(entries[0].position, Position(3));
    assert_eq!(entries.last().unwrap().position, store.head().0);
    assert_eq!(store.entry(Position(7)).unwrap().as_ref(), Some(&entries[4]));
    assert!(store.entry(Position(0)).unwrap().is_none());
    assert!(store.entry(store.head().0.next()).unwrap().is_none());
}
