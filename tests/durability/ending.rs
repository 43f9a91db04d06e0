//! The journal's end, held against what was acknowledged: every row of the table of `store::ending`, and
//! what a person may do about those that are refused.

use std::fs;
use std::path::{Path, PathBuf};

use sekisho::record::{Epoch, Event, Origin, Position};
use sekisho::store::{CheckError, Disk, OpenError, Options, RowsKind, Store, accept_end, check, reservation};

use super::world::{AUTHORITY, issue, revoke, serial};
use super::{frames, options};

/// So many certificates, each issued and revoked in a frame of its own, and no clean stop.
const CERTIFICATES: u64 = 8;

/// What befalls the last file of a journal, whose frames begin at these places.
type Damage = fn(&mut Vec<u8>, &[usize]);

struct Killed {
    home: tempfile::TempDir,
    last: Position,
}

impl Killed {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(options(home.path(), RowsKind::Memory), Vec::new()).unwrap();
        for number in 1..=CERTIFICATES {
            let place = store.archive_append_wait(vec![0x30; 100]).unwrap();
            store.submit_wait(Origin::service(), issue(serial(number), place)).unwrap();
            super::CLOCK.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            store.submit_wait(Origin::service(), revoke(serial(number))).unwrap();
        }
        let last = store.head().0;
        drop(store);
        Self { home, last }
    }

    fn dir(&self) -> &Path {
        self.home.path()
    }

    fn open(&self) -> Result<(Store, sekisho::store::Opened), OpenError> {
        Store::open(options(self.dir(), RowsKind::Memory), Vec::new())
    }

    /// The last file of the journal, and the places of its frames.
    fn end(&self) -> (PathBuf, Vec<u8>, Vec<usize>) {
        let mut files: Vec<PathBuf> =
            fs::read_dir(self.dir().join("journal")).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let path = files.pop().unwrap();
        let octets = fs::read(&path).unwrap();
        let lens = frames(&octets).into_iter().map(|frame| frame.len());
        let places = lens.scan(0, |at, len| {
            *at += len;
            Some(*at - len)
        });
        let places = places.collect();
        (path, octets, places)
    }

    fn acknowledged(&self) -> PathBuf {
        self.dir().join("acknowledged")
    }

    /// As before the last so many frames.
    fn set_acknowledged_back(&self, frames_back: usize, boot_id: u8) {
        let (_, octets, places) = self.end();
        let end = places[places.len() - frames_back];
        let previous = frames(&octets[..end]).pop().unwrap();
        let first = u64::from_be_bytes(previous[12..20].try_into().unwrap());
        let count = u64::from(u32::from_be_bytes(previous[20..24].try_into().unwrap()));
        let covered = [&previous[..60], &previous[64..]].concat();
        let head = ring::digest::digest(&ring::digest::SHA256, &covered);
        let mut slot = fs::read(self.acknowledged()).unwrap()[..28].to_vec();
        slot.extend((first + count - 1).to_be_bytes());
        slot.extend(head.as_ref());
        slot.extend([boot_id; 16]);
        slot.extend(crc32fast::hash(&slot).to_be_bytes());
        slot.resize(8192, 0);
        fs::write(self.acknowledged(), slot).unwrap();
    }

    /// The start is refused, nothing is changed by that, and `check` says the same.
    fn assert_refused(&self, what: &str) {
        let before = super::octets_under(self.dir());
        let checked = check(self.dir(), &[]);
        assert!(
            matches!(&checked, Err(CheckError::Damaged(_) | CheckError::Open(OpenError::End { .. }))),
            "{what}: {checked:?}"
        );
        match self.open() {
            Err(OpenError::End { .. } | OpenError::Damaged(_)) => {}
            opened => panic!("{what}: {opened:?}"),
        }
        assert_eq!(super::octets_under(self.dir()), before, "{what}");
    }
}

#[test]
fn a_1_an_end_that_was_acknowledged_and_is_damaged_is_refused_however_it_is_damaged() {
    let damages: [(&str, Damage); 7] = [
        ("a bit of the last frame", |octets, places| octets[places[places.len() - 1] + 70] ^= 4),
        ("a bit of the last frame's length", |octets, places| octets[places[places.len() - 1] + 27] ^= 1),
        ("three frames cut at a border", |octets, places| octets.truncate(places[places.len() - 3])),
        ("one frame cut at a border", |octets, places| octets.truncate(places[places.len() - 1])),
        ("the last frame cut within", |octets, places| octets.truncate(places[places.len() - 1] + 90)),
        ("five frames zeroed", |octets, places| octets[places[places.len() - 5]..].fill(0)),
        ("the magics of five frames", |octets, places| {
            places[places.len() - 5..].iter().for_each(|at| octets[*at] = 0);
        }),
    ];
    for (what, damage) in damages {
        let killed = Killed::new();
        let (path, mut octets, places) = killed.end();
        assert!(places.len() > 6, "{}", places.len());
        damage(&mut octets, &places);
        fs::write(&path, &octets).unwrap();
        killed.assert_refused(what);
    }
    // The whole file, or all of them.
    let killed = Killed::new();
    fs::remove_file(killed.end().0).unwrap();
    killed.assert_refused("the last file");
    let killed = Killed::new();
    fs::remove_dir_all(killed.dir().join("journal")).unwrap();
    fs::create_dir(killed.dir().join("journal")).unwrap();
    killed.assert_refused("the journal");
}

#[test]
fn a_1_what_was_being_written_is_cut_and_kept_and_nobody_need_see_to_it() {
    let killed = Killed::new();
    let (path, mut octets, places) = killed.end();
    let half = octets[places[places.len() - 1]..places[places.len() - 1] + 100].to_vec();
    octets.extend(&half);
    fs::write(&path, &octets).unwrap();
    assert!(check(killed.dir(), &[]).unwrap().torn.is_some());
    let (store, opened) = killed.open().unwrap();
    let cut = opened.cut.unwrap();
    assert_eq!((cut.first, cut.octets, cut.is_unseen), (killed.last.next(), 100, false));
    assert_eq!(fs::read(&cut.kept).unwrap(), half);
    assert_eq!((store.head().0, store.unseen_cuts()), (killed.last, Vec::new()));
}

/// Behind A, in the chain: with nothing behind E all goes on, with a torn frame it depends on whether the
/// power may have failed.
#[test]
fn a_1_behind_what_was_acknowledged_a_torn_frame_is_told_until_somebody_has_seen_it() {
    let killed = Killed::new();
    killed.set_acknowledged_back(3, 7);
    let (store, opened) = killed.open().unwrap();
    assert_eq!((store.head().0, opened.cut), (killed.last, None));
    drop(store);

    let killed = Killed::new();
    killed.set_acknowledged_back(3, 7);
    let (path, mut octets, places) = killed.end();
    octets[places[places.len() - 1] + 70] ^= 1;
    fs::write(&path, &octets).unwrap();
    let (store, opened) = killed.open().unwrap();
    let cut = opened.cut.unwrap();
    assert!(cut.is_unseen && cut.first == killed.last, "{cut:?}");
    assert_eq!(store.unseen_cuts(), std::slice::from_ref(&cut));
    drop(store);
    assert_eq!(check(killed.dir(), &[]).unwrap().unseen, [cut]);
    let (store, opened) = killed.open().unwrap();
    assert_eq!((opened.cut, store.unseen_cuts().len()), (None, 1), "until it is seen");
    assert_eq!((store.see_cuts().unwrap().len(), store.unseen_cuts().len()), (1, 0));
    drop(store);
    let (store, _) = killed.open().unwrap();
    assert_eq!(store.unseen_cuts(), Vec::new());
    drop(store);

    // The machine is the same, and has run on: the slot is exact, and nobody was told.
    let killed = Killed::new();
    let boot_id = fs::read(killed.acknowledged()).unwrap()[68..84].to_vec();
    killed.set_acknowledged_back(1, 7);
    let mut slot = fs::read(killed.acknowledged()).unwrap();
    slot[68..84].copy_from_slice(&boot_id);
    let checksum = crc32fast::hash(&slot[..84]);
    slot[84..88].copy_from_slice(&checksum.to_be_bytes());
    fs::write(killed.acknowledged(), slot).unwrap();
    let (path, mut octets, _) = killed.end();
    octets.extend([0x5a; 40]);
    fs::write(&path, octets).unwrap();
    assert!(!killed.open().unwrap().1.cut.unwrap().is_unseen);
}

#[test]
fn a_1_two_frames_behind_a_torn_one_are_damage() {
    let killed = Killed::new();
    killed.set_acknowledged_back(4, 7);
    let (path, mut octets, places) = killed.end();
    // The header of the first says where it ends, and more follows.
    octets[places[places.len() - 3] + 70] ^= 1;
    octets[places[places.len() - 2] + 70] ^= 1;
    octets[places[places.len() - 1] + 70] ^= 1;
    fs::write(&path, &octets).unwrap();
    killed.assert_refused("three frames");
}

#[test]
fn a_1_without_a_word_on_what_was_acknowledged_nothing_is_cut() {
    for damage in ["missing", "unreadable"] {
        let killed = Killed::new();
        let set = || match damage {
            "missing" => fs::remove_file(killed.acknowledged()).unwrap(),
            _ => fs::write(killed.acknowledged(), [0x5a; 8192]).unwrap(),
        };
        set();
        let (store, opened) = killed.open().unwrap();
        assert_eq!((store.head().0, opened.cut), (killed.last, None), "{damage}: told, and made anew");
        drop(store);
        set();
        let (path, mut octets, _) = killed.end();
        octets.extend(b"SKJF and a half");
        fs::write(&path, octets).unwrap();
        killed.assert_refused(damage);
    }
    // Of another journal.
    let (killed, other) = (Killed::new(), Killed::new());
    fs::copy(other.acknowledged(), killed.acknowledged()).unwrap();
    killed.assert_refused("of another journal");
}

#[test]
fn a_1_a_service_begins_no_journal() {
    let dir = tempfile::tempdir().unwrap();
    let asked = Options { begins: false, ..options(dir.path(), RowsKind::Memory) };
    let refused = Store::open(asked, Vec::new());
    assert!(matches!(refused, Err(OpenError::NoJournal(_))), "{refused:?}");
}

/// Changes a time in the frame at a place, and makes checksums and chain right again up to the end.
fn forge(octets: &mut [u8], places: &[usize]) {
    let mut previous: Option<Vec<u8>> = None;
    for (at, end) in places.iter().zip(places.iter().skip(1).copied().chain([octets.len()])) {
        let frame = &mut octets[*at..end];
        match &previous {
            // The last octet of the first entry's time.
            None => frame[64 + 1 + 7] ^= 1,
            Some(head) => frame[28..60].copy_from_slice(head),
        }
        let covered = [&frame[..60], &frame[64..]].concat();
        let checksum = crc32fast::hash(&covered);
        frame[60..64].copy_from_slice(&checksum.to_be_bytes());
        previous = Some(ring::digest::digest(&ring::digest::SHA256, &covered).as_ref().to_vec());
    }
}

#[test]
fn a_2_a_journal_that_lost_what_the_archive_saw_is_refused() {
    // Nothing but the archive tells.
    let killed = Killed::new();
    let (path, mut octets, places) = killed.end();
    fs::remove_file(killed.acknowledged()).unwrap();
    octets.truncate(places[places.len() - 5]);
    fs::write(&path, &octets).unwrap();
    killed.assert_refused("shorter");
    let asked = options(killed.dir(), RowsKind::Memory);
    accept_end(&asked, &[], Origin::service(), "shorter").unwrap();
    let (store, opened) = killed.open().unwrap();
    assert!(!opened.orphans.is_empty(), "what was signed is known, and its serials are passed over");
    drop(store);

    let killed = Killed::new();
    let (path, mut octets, places) = killed.end();
    fs::remove_file(killed.acknowledged()).unwrap();
    forge(&mut octets, &places[places.len() - 5..]);
    fs::write(&path, &octets).unwrap();
    killed.assert_refused("forged");

    // What was archived and never named is told, and is no fault.
    let killed = Killed::new();
    let (store, opened) = killed.open().unwrap();
    assert_eq!(opened.orphans, Vec::<Vec<u8>>::new());
    store.archive_append_wait(b"an orphan".to_vec()).unwrap();
    drop(store);
    assert_eq!(killed.open().unwrap().1.orphans, [b"an orphan".to_vec()]);
}

#[test]
fn a_1_a_forged_end_is_not_the_one_that_was_acknowledged() {
    let killed = Killed::new();
    let (path, mut octets, places) = killed.end();
    forge(&mut octets, &places[places.len() - 1..]);
    fs::write(&path, &octets).unwrap();
    killed.assert_refused("forged");
}

/// The remedy: a person says that what followed is given up. CRL and serial numbers go on above all that
/// may have been given.
#[test]
fn a_1_an_end_that_is_accepted_begins_an_epoch_above_all_that_was_given() {
    let damages: [(&str, Damage); 3] = [
        ("cut", |octets, places| octets.truncate(places[places.len() - 3])),
        ("a bit", |octets, places| octets[places[places.len() - 3] + 70] ^= 1),
        ("zeroed", |octets, places| octets[places[places.len() - 3]..].fill(0)),
    ];
    for (what, damage) in damages {
        let killed = Killed::new();
        let (store, _) = killed.open().unwrap();
        store.submit_wait(Origin::service(), reservation(AUTHORITY, 0)).unwrap();
        let (reserved, epoch) = (store.facts().reserved[&AUTHORITY], store.epoch());
        let last = store.head().0;
        for number in 1..=4 {
            let place = store.archive_append_wait(vec![0x30; 100]).unwrap();
            store.submit_wait(Origin::service(), issue(serial(100 + number), place)).unwrap();
        }
        drop(store);
        let (path, mut octets, places) = killed.end();
        damage(&mut octets, &places);
        fs::write(&path, &octets).unwrap();
        killed.assert_refused(what);

        let seen = Epoch(epoch.0 + 5);
        let asked =
            Options { known: Some((seen, Position(1 << 40))), ..options(killed.dir(), RowsKind::Memory) };
        let accepted = accept_end(&asked, &[], Origin::service(), "the disk lost its end").unwrap();
        assert_eq!(
            (accepted.last, accepted.position),
            (Position(last.0 + 1), Position(last.0 + 2)),
            "{what}"
        );
        assert!(accepted.epoch > seen, "{what}");
        assert_eq!(accepted.cut.is_empty(), what == "cut", "{what}: {:?}", accepted.cut);
        assert!(accepted.cut.iter().all(|cut| cut.octets > 0 && cut.kept.exists()), "{what}");

        let (store, opened) = Store::open(asked, Vec::new()).unwrap();
        assert_eq!((store.epoch(), opened.cut), (accepted.epoch, None), "{what}");
        let facts = store.facts();
        assert!(facts.reserved[&AUTHORITY] >= reserved + 1024, "{what}: serials are passed over");
        let entry = store.entry(accepted.position).unwrap().unwrap().entry;
        assert!(
            matches!(&entry.event, Event::EpochBegun { reason, .. } if reason == "the disk lost its end"),
            "{what}: {entry:?}"
        );
        let fresh = store.next_serial(AUTHORITY).unwrap();
        assert!(fresh > serial(reserved), "{what}: {fresh}");
        store.close().unwrap();
        check(killed.dir(), &[]).unwrap();
        // A CRL of the new epoch beside a journal of the old one is seen as well.
        let later = Some((Epoch(accepted.epoch.0 + 1), Position(1)));
        let old = Options { known: later, ..options(killed.dir(), RowsKind::Memory) };
        assert!(matches!(Store::open(old, Vec::new()), Err(OpenError::Damaged(_))), "{what}");
    }
    // A file in the middle that is gone, empty, or cut at a frame: what is behind it is kept, and given up.
    for what in ["gone", "empty", "short"] {
        let killed = Killed::new();
        let (path, octets, places) = killed.end();
        let second = u64::from_be_bytes(octets[places[4] + 12..places[4] + 20].try_into().unwrap());
        let third = u64::from_be_bytes(octets[places[8] + 12..places[8] + 20].try_into().unwrap());
        let of = |first: u64| killed.dir().join(format!("journal/{first:020}.journal"));
        fs::write(of(third), &octets[places[8]..]).unwrap();
        match what {
            "empty" => fs::write(of(second), []).unwrap(),
            "short" => fs::write(of(second), &octets[places[4]..places[6]]).unwrap(),
            _ => {}
        }
        fs::write(&path, &octets[..places[4]]).unwrap();
        killed.assert_refused(what);
        let asked = options(killed.dir(), RowsKind::Memory);
        let accepted = accept_end(&asked, &[], Origin::service(), what).unwrap();
        assert!(accepted.last < Position(third), "{what}: {accepted:?}");
        let mut kept =
            fs::read_dir(killed.dir().join("cut")).unwrap().map(|file| fs::read(file.unwrap().path()));
        assert!(kept.any(|kept| kept.unwrap() == octets[places[8]..]), "{what}: nothing is lost");
        drop(killed.open().unwrap());
    }
    // Nothing that could be accepted.
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("journal")).unwrap();
    let asked = Options { disk: Disk::File, ..options(dir.path(), RowsKind::Memory) };
    let refused = accept_end(&asked, &[], Origin::service(), "nothing");
    assert!(matches!(refused, Err(OpenError::NoJournal(_))), "{refused:?}");
}
