//! Two folds of one journal, and the product that compares them: the records, from which CRLs are made,
//! and the status index, from which OCSP answers. Nothing here compares by itself: each test asks what
//! the service says of itself.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed step must stop the test"
)]

#[path = "support/turns.rs"]
mod turns;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sekisho::config::Config;
use sekisho::crl::CrlKind;
use sekisho::der::UnixTime;
use sekisho::office::data::DataDir;
use sekisho::office::{
    self, Agreement, Application, Asked, Condition, Office, OfficeError, Place, Selector, Spelling,
    SubjectKeySource, Watch, Wish,
};
use sekisho::pki::{
    AuthorityId, CertStatus, CertificateKind, Generation, Partition, Revocation, RevocationReason,
    SerialNumber,
};
use sekisho::record::{CertificateRef, Entry, Event, Origin, Refusal, StatusChange};
use sekisho::store::{Clock, OpenError, Records};

const SIGN: AuthorityId = AuthorityId(1);

struct World {
    /// Kept until the end.
    _home: tempfile::TempDir,
    data: DataDir,
    clock: Arc<AtomicI64>,
    office: Arc<Office>,
    serials: Vec<SerialNumber>,
    /// Those that were revoked for ever.
    ended: Vec<SerialNumber>,
    revoked: u64,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        // Behind the machine's clock, which `check` goes by.
        let clock = Arc::new(AtomicI64::new(Clock::system().now().seconds() - 86_400));
        office::init_at(&data, "SEKISHO-TEST", &Clock::simulated(Arc::clone(&clock))).unwrap();
        clock.fetch_add(2, Ordering::SeqCst);
        let office = start(&data, &clock);
        Self { _home: home, data, clock, office, serials: Vec::new(), ended: Vec::new(), revoked: 0 }
    }

    /// Issues, and revokes two of three right behind their issue.
    fn live(&mut self, certificates: usize) {
        for at in 0..certificates {
            let serial = self.issue();
            self.serials.push(serial);
            if at % 3 != 0 {
                self.revoke(serial, RevocationReason::Superseded);
            }
        }
    }

    fn issue(&self) -> SerialNumber {
        let application = Application {
            name: "関所 花子".to_owned(),
            birth: "1982-02-17".to_owned(),
            sex: "female".to_owned(),
            address: "東京都清瀬市".to_owned(),
            spelling: Spelling::default(),
            municipality: Partition(13221),
            kinds: vec![CertificateKind::CardSign],
            subject_key: SubjectKeySource::TestKey,
            place: Place::New,
        };
        let issued = self.office.issue(&application, Origin::service()).unwrap();
        issued.certificates[0].issued.certificate.serial
    }

    fn revoke(&mut self, serial: SerialNumber, reason: RevocationReason) {
        let asked = Asked { certificate: named(serial), wish: Wish::revoke(Some(reason), None) };
        assert!(self.office.change(&asked, Origin::service()).unwrap().changed);
        self.revoked += 1;
        self.ended.push(serial);
    }

    fn hold(&mut self, serial: SerialNumber) {
        let wish = Wish::Hold { invalidity_date: None };
        let changed = turns::change(&self.office, &named(serial), wish, Origin::service());
        assert!(changed.unwrap().changed);
        self.revoked += 1;
    }

    fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Stops in order: rows and snapshot are taken up as they are.
    fn restart(&mut self) {
        self.stop();
        self.start();
    }

    fn stop(&self) {
        self.office.stop().unwrap();
    }

    fn start(&mut self) {
        self.office = start(&self.data, &self.clock);
    }

    /// Takes the marker of the stop away, as a kill leaves it: the records are made anew.
    fn restart_as_after_a_kill(&mut self) {
        self.stop();
        fs::remove_file(self.data.store().join("stopped")).unwrap();
        self.start();
        self.office.settle().unwrap();
    }

    /// Whatever the service can compare agrees, and a set that it lets out lists what was revoked.
    fn assert_no_doubt(&self) {
        assert_eq!(self.office.agreement(), Agreement::Agreed);
        self.office.compare_folds().unwrap();
        let published = self.office.publish(&[SIGN], true).unwrap();
        assert_eq!(published.entries, self.revoked);
        assert_eq!(self.office.warnings(), Vec::<String>::new());
    }

    fn store_file(&self, directory: &str) -> PathBuf {
        let mut files: Vec<PathBuf> = fs::read_dir(self.data.store().join(directory))
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        files.sort();
        files.pop().unwrap()
    }

    /// Edits the newest snapshot of the index, and makes its checksum right.
    fn edit_snapshot(&self, edit: &mut dyn FnMut(&mut Vec<u8>)) {
        let path = self.store_file("snapshot");
        let mut octets = fs::read(&path).unwrap();
        edit(&mut octets);
        let end = octets.len() - 4;
        let checksum = crc32fast::hash(&octets[..end]);
        octets[end..].copy_from_slice(&checksum.to_be_bytes());
        fs::write(&path, octets).unwrap();
    }

    fn status(&self, serial: SerialNumber) -> CertStatus {
        self.office.inquire(&named(serial), None).unwrap().status
    }

    /// A doubt stops publishing, the severer status is answered, and both folds are made anew.
    fn assert_doubted_and_settled(&mut self, records_wrong: usize, index_wrong: usize) {
        let mut watch = Watch::new(Arc::clone(&self.office));
        watch.look();
        let doubted = self.office.agreement();
        assert!(matches!(doubted, Agreement::Doubted { .. }), "{doubted:?}");
        let refused = self.office.publish(&[SIGN], true);
        assert!(matches!(refused, Err(OfficeError::Doubt(_))), "{refused:?}");
        assert_eq!(self.office.warnings().len(), 1);
        assert!(self.office.unready().iter().all(|reason| !reason.contains("disagree")));
        // Changes are taken meanwhile, and a stop in doubt is no fault of its own.
        self.live(3);
        for serial in &self.serials {
            let explained = self.office.explain(&named(*serial)).unwrap();
            let is_revoked = matches!(explained.status, CertStatus::Revoked(_));
            assert_eq!(is_revoked, self.ended.contains(serial), "OCSP answers the severer: {explained:?}");
        }
        watch.look();
        let settled = Agreement::Settled {
            differed: records_wrong.max(index_wrong),
            records_were_wrong: records_wrong,
            index_was_wrong: index_wrong,
        };
        assert_eq!(self.office.agreement(), settled);
        assert_eq!(self.office.warnings().len(), 1, "the alarm says which was wrong");
        let published = self.office.publish(&[SIGN], true).unwrap();
        assert_eq!(published.entries, self.revoked);
        self.live(3);
        // And nothing of what was wrong is taken up again.
        self.restart();
        self.assert_no_doubt();
        self.restart_as_after_a_kill();
        self.assert_no_doubt();
        assert_eq!(Condition::of(&self.data, false, None).unwrap().findings, Vec::<String>::new());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.office.stop());
    }
}

fn start(data: &DataDir, clock: &Arc<AtomicI64>) -> Arc<Office> {
    let config = Config::read(&data.config()).unwrap();
    let clock = Clock::simulated(Arc::clone(clock));
    Office::start(data.clone(), config, clock, "http://127.0.0.1:8080".to_owned()).unwrap().0
}

/// Eight octets of a snapshot, as a word of the index.
fn word(octets: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(octets[at..at + 8].try_into().unwrap())
}

fn named(serial: SerialNumber) -> Selector {
    Selector::Named { authority: "sign".to_owned(), serial }
}

/// What each of the mutants of the records and the index runs into.
#[test]
fn nothing_is_doubted_in_an_ordinary_life() {
    let mut world = World::new();
    world.live(45);
    world.assert_no_doubt();
    world.restart();
    world.assert_no_doubt();
    world.live(20);
    let held = world.issue();
    world.hold(held);
    world.pass(2);
    world.revoke(held, RevocationReason::KeyCompromise);
    world.revoked -= 1;
    world.restart_as_after_a_kill();
    world.assert_no_doubt();
    world.live(10);
    world.assert_no_doubt();
    assert_eq!(world.office.examine(None).unwrap().findings, Vec::<String>::new());
    world.stop();
    for deep in [false, true] {
        assert_eq!(Condition::of(&world.data, deep, None).unwrap().findings, Vec::<String>::new());
    }
    world.start();
}

/// A word of the snapshot that says good of what was revoked: the records are right.
#[test]
fn a_wrong_word_of_the_index_is_found_and_made_right() {
    let mut world = World::new();
    world.live(30);
    let revoked = world.serials[1];
    let since = match world.status(revoked) {
        CertStatus::Revoked(revocation) => u64::try_from(revocation.revoked_at.seconds()).unwrap(),
        other => panic!("{other:?}"),
    };
    world.stop();
    world.edit_snapshot(&mut |octets| {
        // Revoked (2), superseded (4), generation 1, since then; good (1) since then, as issued.
        let [wrong, right] = [1_u64 << 62, 2 << 62 | 4 << 58].map(|state| state | 1 << 52 | since << 18);
        let place = (0..octets.len() - 8).find(|at| word(octets, *at) >> 18 == right >> 18).unwrap();
        octets[place..place + 8].copy_from_slice(&wrong.to_be_bytes());
    });
    assert!(Condition::of(&world.data, false, None).is_err(), "check compares snapshots with the journal");
    world.start();
    world.assert_doubted_and_settled(0, 1);
    assert!(!world.data.store().join("projection.damaged").exists(), "the rows were right");
}

/// A certificate that the snapshot of the index lost, and that is revoked before anybody compared: the
/// index cannot fold the revocation, and answers it all the same.
#[test]
fn a_revocation_that_the_index_cannot_fold_is_answered_and_made_right() {
    let mut world = World::new();
    world.live(6);
    let lost = world.serials[3];
    let since = u64::try_from(world.clock.load(Ordering::SeqCst)).unwrap();
    world.stop();
    world.edit_snapshot(&mut |octets| {
        // Good (1), generation 1, since then, behind one that is revoked (2) as superseded (4).
        let [good, revoked] =
            [1_u64 << 62, 2 << 62 | 4 << 58].map(|state| (state | 1 << 52 | since << 18) >> 18);
        let words = |at: &usize| (word(octets, at - 8) >> 18, word(octets, *at) >> 18) == (revoked, good);
        let at = (8..octets.len() - 8).find(words).unwrap();
        octets[at..at + 8].fill(0);
    });
    world.start();
    let certificate = CertificateRef { authority: SIGN, generation: Generation::FIRST, serial: lost };
    let revoke = move |_: &Records<'_>, now| {
        let reason = RevocationReason::KeyCompromise;
        let became = Revocation { revoked_at: now, reason, invalidity_date: None };
        Ok(vec![Event::Revoked(StatusChange { certificate, became, change: 1, cause: None })])
    };
    world.office.store().submit_wait(Origin::service(), Box::new(revoke)).unwrap();
    world.revoked += 1;
    let doubted = world.office.agreement();
    assert!(matches!(doubted, Agreement::Doubted { differed: 1, .. }), "{doubted:?}");
    let explained = world.office.explain(&named(lost)).unwrap();
    assert!(matches!(explained.status, CertStatus::Revoked(_)), "{explained:?}");
    assert!(matches!(world.office.publish(&[SIGN], true), Err(OfficeError::Doubt(_))));
    world.office.remake_folds().unwrap();
    let settled = world.office.agreement();
    assert!(matches!(settled, Agreement::Settled { differed: 1, .. }), "{settled:?}");
    assert_eq!(world.office.publish(&[SIGN], true).unwrap().entries, world.revoked);
    assert_eq!(world.office.explain(&named(lost)).unwrap().status, world.status(lost));
}

/// A row of changes that is gone: the index is right, and answers.
#[test]
fn changes_lost_from_the_records_are_found_and_made_right() {
    let mut world = World::new();
    world.live(30);
    world.stop();
    let lost = usize::try_from(world.revoked).unwrap();
    plant(&world, |rows| {
        let changes: Vec<_> = rows.scan_prefix([b'e', SIGN.0]).keys().map(Result::unwrap).collect();
        assert_eq!(changes.len(), 1);
        rows.remove(&changes[0]).unwrap();
    });
    assert!(Condition::of(&world.data, true, None).is_err(), "check compares rows with the journal");
    world.start();
    let revoked = world.serials[1];
    // Before anybody compared all: what is asked for is compared.
    let state = world.office.inquire(&named(revoked), None).unwrap();
    assert!(matches!(state.status, CertStatus::Revoked(_)), "the severer status is answered: {state:?}");
    assert!(state.doubt.is_some(), "{state:?}");
    world.restart();
    world.assert_doubted_and_settled(lost, 0);
    assert!(world.data.store().join("projection.damaged").exists(), "the wrong rows are kept");
    assert!(matches!(world.status(revoked), CertStatus::Revoked(_)));
}

/// Rows of certificates that are gone, with what became of them or without.
#[test]
fn certificates_lost_from_the_records_are_found_and_made_right() {
    for with_changes in [false, true] {
        let mut world = World::new();
        world.live(24);
        world.stop();
        plant(&world, |rows| {
            let issued: Vec<_> = rows.scan_prefix([b'd', SIGN.0]).keys().map(Result::unwrap).collect();
            // The last block of certificates.
            rows.remove(issued.last().unwrap()).unwrap();
            if with_changes {
                rows.remove(rows.scan_prefix([b'e', SIGN.0]).keys().next().unwrap().unwrap()).unwrap();
            }
        });
        world.start();
        if with_changes {
            // Before anybody compared all: what is asked for is compared, and never called unknown.
            let lost = named(*world.serials.last().unwrap());
            let inquired = world.office.inquire(&lost, None).map(drop);
            assert!(matches!(inquired, Err(OfficeError::Doubt(_))), "{inquired:?}");
            let asked = Asked { certificate: lost, wish: Wish::revoke(None, None) };
            let changed = world.office.change(&asked, Origin::service()).map(drop);
            assert!(matches!(changed, Err(OfficeError::Doubt(_))), "{changed:?}");
        } else {
            Watch::new(Arc::clone(&world.office)).look();
        }
        let mut watch = Watch::new(Arc::clone(&world.office));
        assert!(matches!(world.office.agreement(), Agreement::Doubted { .. }));
        let unknown = SerialNumber::try_from(0x0707_0707).unwrap();
        let inquired = world.office.inquire(&named(unknown), None).map(drop);
        assert!(matches!(inquired, Err(OfficeError::Refused(Refusal::NotIssued { .. }))), "{inquired:?}");
        let explained = world.office.explain(&named(world.serials[1])).unwrap();
        assert!(matches!(explained.status, CertStatus::Revoked(_)), "answers go on: {explained:?}");
        watch.look();
        let settled = world.office.agreement();
        assert!(
            matches!(settled, Agreement::Settled { records_were_wrong: 1.., index_was_wrong: 0, .. }),
            "{settled:?}"
        );
        world.live(3);
        let published = world.office.publish(&[SIGN], true).unwrap();
        assert_eq!(published.entries, world.revoked);
        world.restart();
        world.assert_no_doubt();
    }
}

/// While the folds disagree nothing is published, by the schedule neither, and the gate itself finds it.
#[test]
fn the_gate_finds_what_the_records_lost() {
    let mut world = World::new();
    world.live(12);
    world.assert_no_doubt();
    let before = world.office.served_catalogue().unwrap().unwrap();
    world.pass(5);
    world.stop();
    plant(&world, |rows| {
        rows.remove(rows.scan_prefix([b'e', SIGN.0]).keys().next().unwrap().unwrap()).unwrap();
    });
    world.start();
    let refused = world.office.publish(&[SIGN], true);
    assert!(matches!(refused, Err(OfficeError::Doubt(_))), "{refused:?}");
    let served = world.office.served_catalogue().unwrap().unwrap();
    assert_eq!(served, before, "the last set stays");
    let full = served.crls.iter().find(|row| row.authority == "sign" && row.kind == CrlKind::Full);
    assert_eq!(full.unwrap().entries, world.revoked);
    world.office.remake_folds().unwrap();
    assert_eq!(world.office.publish(&[SIGN], true).unwrap().entries, world.revoked);
}

/// A service that stops while it is in doubt starts in doubt, and settles then.
#[test]
fn a_stop_in_doubt_hands_nothing_on() {
    let mut world = World::new();
    world.live(12);
    world.stop();
    plant(&world, |rows| {
        rows.remove(rows.scan_prefix([b'e', SIGN.0]).keys().next().unwrap().unwrap()).unwrap();
    });
    world.start();
    assert!(matches!(world.office.compare_folds(), Err(OfficeError::Doubt(_))));
    world.live(3);
    let refused = world.office.release_set("1", "in doubt", Origin::service());
    assert!(matches!(refused, Err(OfficeError::Doubt(_))), "{refused:?}");
    world.stop();
    assert!(
        Condition::of(&world.data, false, None).is_ok(),
        "its snapshot in doubt says nothing, and is not wrong"
    );
    world.start();
    assert!(matches!(world.office.compare_folds(), Err(OfficeError::Doubt(_))), "it was not forgotten");
    world.office.remake_folds().unwrap();
    assert_eq!(world.office.publish(&[SIGN], true).unwrap().entries, world.revoked);
    assert!(!world.data.store().join("projection.new").exists());
}

/// invalidityDate is in no word of the index: it is held against the entries.
#[test]
fn a_wrong_invalidity_date_is_found_and_made_right() {
    let mut world = World::new();
    let serial = world.issue();
    world.pass(100);
    let since = UnixTime::from_seconds(world.clock.load(Ordering::SeqCst) - 50);
    let wish = Wish::revoke(Some(RevocationReason::KeyCompromise), Some(since));
    assert!(
        world.office.change(&Asked { certificate: named(serial), wish }, Origin::service()).unwrap().changed
    );
    world.revoked += 1;
    world.live(3);
    world.office.compare_invalidity_dates().unwrap();
    world.stop();
    plant(&world, |rows| {
        let (key, row) = rows.scan_prefix([b'e', SIGN.0]).next().unwrap().unwrap();
        let mut row = row.to_vec();
        let octets = since.seconds().to_be_bytes();
        let at = row.windows(8).position(|window| window == octets).unwrap();
        row[at + 7] ^= 1;
        rows.insert(key, row).unwrap();
    });
    world.start();
    world.office.compare_folds().unwrap();
    let found = world.office.compare_invalidity_dates();
    assert!(matches!(found, Err(OfficeError::Doubt(_))), "{found:?}");
    assert!(matches!(world.office.publish(&[SIGN], true), Err(OfficeError::Doubt(_))));
    world.office.remake_folds().unwrap();
    world.office.compare_invalidity_dates().unwrap();
    assert_eq!(world.office.publish(&[SIGN], true).unwrap().entries, world.revoked);
}

/// Changes are taken while both folds are made anew, and none is lost.
#[test]
fn changes_go_on_while_the_folds_are_made_anew() {
    let mut world = World::new();
    world.live(30);
    let office = Arc::clone(&world.office);
    let remaking = std::thread::spawn(move || {
        for _ in 0..5 {
            office.remake_folds().unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    world.live(60);
    remaking.join().unwrap();
    world.office.compare_folds().unwrap();
    assert_eq!(world.office.publish(&[SIGN], true).unwrap().entries, world.revoked);
    world.restart();
    world.assert_no_doubt();
}

/// What an earlier build wrote when its records had lost a revocation: decisions taken on a certificate
/// that seemed good. Both folds obey one rule, so that none of them undoes it.
#[test]
fn decisions_taken_on_wrong_records_undo_no_revocation() {
    let mut world = World::new();
    let serials: Vec<SerialNumber> = (0..4).map(|_| world.issue()).collect();
    world.pass(2);
    world.revoke(serials[0], RevocationReason::KeyCompromise);
    world.revoke(serials[1], RevocationReason::AffiliationChanged);
    world.hold(serials[2]);
    let before = [0, 1, 2].map(|at| revocation(world.status(serials[at])));
    world.stop();
    let now = UnixTime::from_seconds(world.clock.fetch_add(60, Ordering::SeqCst) + 60);
    let certificate =
        |at: usize| CertificateRef { authority: SIGN, generation: Generation::FIRST, serial: serials[at] };
    let revoked = |at, reason, change| {
        let became = Revocation { revoked_at: now, reason, invalidity_date: None };
        Event::Revoked(StatusChange { certificate: certificate(at), became, change, cause: None })
    };
    let released = |at, change| {
        Event::Released(StatusChange { certificate: certificate(at), became: (), change, cause: None })
    };
    append_frame(
        &world.data,
        now,
        vec![
            revoked(0, RevocationReason::CertificateHold, 1),
            released(0, 2),
            revoked(1, RevocationReason::Superseded, 1),
            // The hold was lost: the certificate seemed good, and the revocation counts.
            revoked(2, RevocationReason::CessationOfOperation, 1),
        ],
    );
    world.start();
    world.office.settle().unwrap();
    assert_eq!(revocation(world.status(serials[0])), before[0], "held and released after a keyCompromise");
    assert_eq!(revocation(world.status(serials[1])), before[1], "revoked again");
    let ended = (before[2].0, RevocationReason::CessationOfOperation);
    assert_eq!(revocation(world.status(serials[2])), ended, "since the hold");
    world.assert_no_doubt();
    let told = world.office.examine(None).unwrap().remarks;
    assert_eq!(told.len(), 4, "{told:?}");
    for (line, words) in told.iter().zip(["passed over", "passed over", "passed over", "it counts"]) {
        assert!(line.contains(words), "{line}");
    }
    world.restart();
    assert_eq!(world.office.examine(None).unwrap().remarks, told, "also when the records are taken up");
    world.office.remake_folds().unwrap();
    assert_eq!(world.office.examine(None).unwrap().remarks, told, "and when they were made anew");
    world.stop();
    let condition = Condition::of(&world.data, false, None).unwrap();
    assert_eq!((condition.findings, condition.remarks), (Vec::new(), told));
    world.start();
}

/// An entry about a certificate that nobody issued is damage, and no fold passes it by.
#[test]
fn an_entry_about_what_nobody_issued_stops_the_start() {
    let world = World::new();
    world.stop();
    let now = UnixTime::from_seconds(world.clock.load(Ordering::SeqCst));
    let serial = SerialNumber::try_from(0x0707_0707).unwrap();
    let certificate = CertificateRef { authority: SIGN, generation: Generation::FIRST, serial };
    let reason = RevocationReason::Superseded;
    let became = Revocation { revoked_at: now, reason, invalidity_date: None };
    let change = StatusChange { certificate, became, change: 1, cause: None };
    append_frame(&world.data, now, vec![Event::Revoked(change)]);
    let config = Config::read(&world.data.config()).unwrap();
    let clock = Clock::simulated(Arc::clone(&world.clock));
    let url = "http://127.0.0.1:8080".to_owned();
    let refused = Office::start(world.data.clone(), config, clock, url).map(drop);
    assert!(matches!(refused, Err(OfficeError::Open(OpenError::Damaged(_)))), "{refused:?}");
    assert!(Condition::of(&world.data, false, None).is_err(), "check says so too");
}

/// The compromise of a key is one entry, and no record and no word is touched by it: each fold sees it in its
/// own way, before and behind a start, before and behind the single revocations.
#[test]
fn b_3_6_both_folds_see_the_compromise_of_a_key() {
    let mut world = World::new();
    world.live(9);
    let held = world.issue();
    world.pass(60);
    world.hold(held);
    world.pass(60);
    let first = Generation::FIRST;
    let said = world.office.compromise(SIGN, first, None, Origin::service()).unwrap();
    let agreed = |world: &World| {
        assert_eq!(world.office.compare_folds().map(|_| ()).map_err(|error| error.to_string()), Ok(()));
        assert_eq!(world.office.agreement(), Agreement::Agreed);
        assert_eq!(revocation(world.status(held)).1, RevocationReason::CaCompromise);
    };
    agreed(&world);
    world.restart();
    agreed(&world);
    world.restart_as_after_a_kill();
    agreed(&world);
    assert_eq!(Condition::of(&world.data, false, None).unwrap().findings, Vec::<String>::new());
    // Three good ones, the held one and the CA certificate.
    assert_eq!(world.office.write_compromises().unwrap(), 3 + 1 + 1);
    agreed(&world);
    world.restart_as_after_a_kill();
    agreed(&world);
    let lived = || world.serials.iter().filter(|serial| !world.ended.contains(serial));
    assert_eq!(lived().count(), 3);
    for serial in lived() {
        let cause = (said.recorded_at, RevocationReason::CaCompromise);
        assert_eq!(revocation(world.status(*serial)), cause);
    }
    let next = world.office.roll_over(SIGN, Some(world.office.now()), Origin::service()).unwrap();
    assert_eq!(next.not_published, None);
    world.revoked = 9 + 1 + 1;
    world.assert_no_doubt();
    world.restart();
    world.assert_no_doubt();
}

fn revocation(status: CertStatus) -> (UnixTime, RevocationReason) {
    match status {
        CertStatus::Revoked(revocation) => (revocation.revoked_at, revocation.reason),
        other => panic!("{other:?}"),
    }
}

/// Appends a frame to the journal of a service that is stopped, as an earlier build would have, and takes
/// the marker of the stop away.
fn append_frame(data: &DataDir, recorded_at: UnixTime, events: Vec<Event>) {
    let segments = fs::read_dir(data.store().join("journal")).unwrap();
    let path = segments.map(|segment| segment.unwrap().path()).max().unwrap();
    let mut octets = fs::read(&path).unwrap();
    // The last frame: of 64 octets of header the length stands at 24, the position of the first entry at
    // 12, their number at 20; the head is SHA-256 over all but the checksum at 60.
    let number = |at: usize| u32::from_be_bytes(octets[at..at + 4].try_into().unwrap());
    let mut last = 0;
    let len = |at: usize| 64 + usize::try_from(number(at + 24)).unwrap();
    while last + len(last) < octets.len() {
        last += len(last);
    }
    let first =
        u64::from_be_bytes(octets[last + 12..last + 20].try_into().unwrap()) + u64::from(number(last + 20));
    let head = [&octets[last..last + 60], &octets[last + 64..]].concat();
    let head = ring::digest::digest(&ring::digest::SHA256, &head);
    let mut payload = Vec::new();
    for event in &events {
        let entry = Entry { recorded_at, origin: Origin::service(), event: event.clone() };
        entry.write(&mut payload).unwrap();
    }
    let numbers = [u32::try_from(events.len()).unwrap(), u32::try_from(payload.len()).unwrap()];
    let header = [
        &octets[last..last + 12],
        &first.to_be_bytes(),
        &numbers[0].to_be_bytes(),
        &numbers[1].to_be_bytes(),
        head.as_ref(),
    ]
    .concat();
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&header);
    checksum.update(&payload);
    octets.extend(header);
    octets.extend(checksum.finalize().to_be_bytes());
    octets.extend(payload);
    fs::write(&path, octets).unwrap();
    fs::remove_file(data.store().join("stopped")).unwrap();
}

/// Changes the rows of a service that is stopped.
fn plant(world: &World, change: impl FnOnce(&sled::Db)) {
    let rows = sled::open(world.data.store().join("projection")).unwrap();
    change(&rows);
    rows.flush().unwrap();
}
