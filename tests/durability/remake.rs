//! Rows and a fold made anew beside those in use.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use sekisho::office::compare;
use sekisho::pki::SerialNumber;
use sekisho::record::{ArchivePlace, Origin, Position};
use sekisho::status::{Overruled, StatusIndex, StatusWord};
use sekisho::store::{Fold, Judged, Options, Remake, RowsKind, Store, StoreError, Verdict};

use super::world::{AUTHORITY, Random, issue, revoke, serial};
use super::{CLOCK, fill, options, scan};

/// One that hears and judges nothing, but says this; how often it was put in place is counted.
fn remake(verdict: Verdict, taken: &Arc<AtomicUsize>) -> Remake {
    let taken = Arc::clone(taken);
    Remake {
        fold: Fold::hearing("fresh", |_| Ok(())),
        judge: Box::new(move |_, _| Ok(verdict)),
        take_over: Box::new(move || {
            taken.fetch_add(1, Ordering::SeqCst);
        }),
    }
}

/// None of those that `fill` takes.
const NEW: u64 = 9_000;

fn issue_one(store: &Store) {
    store.submit_wait(Origin::service(), issue(serial(NEW), ArchivePlace(0))).unwrap();
}

#[test]
fn what_was_made_anew_and_differs_takes_no_place() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(options(dir.path(), RowsKind::Sled), Vec::new()).unwrap();
    fill(&store, &mut Random(5), 120);
    let (known, taken) = (scan(&store), Arc::default());
    let there = |name: &str| dir.path().join(name).exists();

    assert_eq!(store.remake(remake(Verdict::Differ, &taken)).unwrap(), Verdict::Differ);
    let failing =
        Remake { judge: Box::new(|_, _| Err(StoreError::Closed)), ..remake(Verdict::Differ, &taken) };
    assert!(matches!(store.remake(failing), Err(StoreError::Closed)));
    assert_eq!((taken.load(Ordering::SeqCst), scan(&store)), (0, known.clone()));
    assert!(!there("projection.new") && !there("projection.damaged"));

    let agree = Verdict::Agree { records_were_wrong: true };
    assert_eq!(store.remake(remake(agree, &taken)).unwrap(), agree);
    assert_eq!((taken.load(Ordering::SeqCst), scan(&store)), (1, known.clone()));
    assert!(!there("projection.new") && there("projection.damaged"), "what was wrong is kept");

    let agree = Verdict::Agree { records_were_wrong: false };
    assert_eq!(store.remake(remake(agree, &taken)).unwrap(), agree);
    assert!(!there("projection.damaged"), "until the next exchange");
    issue_one(&store);
    let known = scan(&store);
    store.close().unwrap();
    drop(store);
    let (store, opened) = Store::open(options(dir.path(), RowsKind::Sled), Vec::new()).unwrap();
    assert!(opened.clean_stop);
    assert_eq!(scan(&store), known);
    store.close().unwrap();
}

/// Who reads all of the records is not cut off: the exchange waits, and then gives up for this time.
#[test]
fn an_exchange_gives_way_to_who_reads_longer_than_it_waits() {
    let dir = tempfile::tempdir().unwrap();
    let hasty =
        Options { exchange_patience: Duration::from_millis(50), ..options(dir.path(), RowsKind::Sled) };
    let (store, _) = Store::open(hasty, Vec::new()).unwrap();
    fill(&store, &mut Random(5), 60);
    let (known, taken) = (scan(&store), Arc::default());
    let agree = Verdict::Agree { records_were_wrong: false };
    let ((reading, is_reading), (end, may_end)) = (mpsc::channel(), mpsc::channel::<()>());
    thread::scope(|scope| {
        let store = &store;
        let reader = scope.spawn(move || {
            let mut read = 0;
            store
                .scan(AUTHORITY, store.head().0, &mut |_, _| {
                    if read == 0 {
                        reading.send(()).unwrap();
                        may_end.recv().unwrap();
                    }
                    read += 1;
                })
                .unwrap();
            read
        });
        is_reading.recv().unwrap();
        let refused = store.remake(remake(agree, &taken));
        assert!(matches!(&refused, Err(StoreError::Projection(why)) if why.contains("read")), "{refused:?}");
        // Those in use go on, also for changes.
        issue_one(store);
        end.send(()).unwrap();
        assert_eq!(reader.join().unwrap(), known.len());
    });
    assert_eq!(taken.load(Ordering::SeqCst), 0);
    let known = scan(&store);
    assert_eq!(store.remake(remake(agree, &taken)).unwrap(), agree);
    assert_eq!((taken.load(Ordering::SeqCst), scan(&store)), (1, known));
    store.close().unwrap();
}

/// What came while all was compared is compared by itself, and all once more when that was too much to
/// be kept.
#[test]
fn what_came_meanwhile_is_judged_too() {
    for (most, expected) in [(1_000, "all, 1 since"), (0, "all, all")] {
        let dir = tempfile::tempdir().unwrap();
        let with = Options { remade_since_max: most, ..options(dir.path(), RowsKind::Sled) };
        let (store, _) = Store::open(with, Vec::new()).unwrap();
        fill(&store, &mut Random(5), 60);
        let store = Arc::new(store);
        let (judged, came) = (Arc::new(Mutex::new(Vec::new())), AtomicBool::new(false));
        let (judging, changing) = (Arc::clone(&judged), Arc::clone(&store));
        let agree = Verdict::Agree { records_were_wrong: false };
        let judge = move |_: &sekisho::store::Reading<'_>, what: Judged<'_>| {
            judging.lock().unwrap().push(match what {
                Judged::All => "all".to_owned(),
                Judged::Since(entries) => format!("{} since", entries.len()),
            });
            if !came.swap(true, Ordering::SeqCst) {
                issue_one(&changing);
            }
            Ok(agree)
        };
        let asked = Remake { judge: Box::new(judge), ..remake(agree, &Arc::default()) };
        assert_eq!(store.remake(asked).unwrap(), agree);
        assert_eq!(judged.lock().unwrap().join(", "), expected);
        assert!(store.find(AUTHORITY, &serial(NEW)).unwrap().is_some());
        store.close().unwrap();
    }
}

/// Serials above 64 bits lie in rows of their own and in a part of their own of the index: one that only
/// one of both knows, or knows otherwise, is found among them too.
#[test]
fn wide_serials_are_compared_as_others_are() {
    let dir = tempfile::tempdir().unwrap();
    let index = Arc::new(StatusIndex::new());
    let hearing = Arc::clone(&index);
    let fold = Fold::hearing("status", move |entries| hearing.apply(entries));
    let (store, _) = Store::open(options(dir.path(), RowsKind::Sled), vec![fold]).unwrap();
    let wide = |number: u64| {
        let octets = (u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)) | 1 << 126;
        SerialNumber::from_magnitude(&octets.to_be_bytes()).unwrap()
    };
    for number in 0..40 {
        for one in [wide(number), serial(number + 1)] {
            store.submit_wait(Origin::service(), issue(one, ArchivePlace(0))).unwrap();
            if number % 3 == 0 {
                CLOCK.fetch_add(1, Ordering::SeqCst);
                store.submit_wait(Origin::service(), revoke(one)).unwrap();
            }
        }
    }
    let compared = |index: &StatusIndex| compare(index, &store.reading(store.head().0)).unwrap();
    let all = compared(&index);
    assert_eq!((all.certificates, all.differences), (80, Vec::new()));

    let (good, revoked) = (index.find(AUTHORITY, &wide(1)), index.find(AUTHORITY, &wide(0)));
    let overrule = |number: u64, word: StatusWord| {
        let seen = index.find(AUTHORITY, &wide(number));
        index.overrule(&[Overruled { authority: AUTHORITY, serial: wide(number), seen, word }]);
    };
    for (number, wrong) in [(0, good), (1, revoked), (2, StatusWord::NEVER_ISSUED), (99, good)] {
        let right = index.find(AUTHORITY, &wide(number));
        overrule(number, wrong);
        let differences = compared(&index).differences;
        let found: Vec<_> = differences.iter().map(|one| (one.serial, one.recorded, one.indexed)).collect();
        assert_eq!(found, [(wide(number), right, wrong)]);
        overrule(number, right);
        assert_eq!(compared(&index).differences, Vec::new());
    }
    assert_eq!(store.head().0, index.position());
    assert!(index.position() > Position(100));
    store.close().unwrap();
}
