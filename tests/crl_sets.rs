//! CRL sets in operation: deltas on schedule, sets held back and let go, past ones made again and
//! removed, and what readiness says of those that do not come out.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed step must stop the test"
)]

#[path = "support/issuers.rs"]
mod issuers;
#[path = "support/turns.rs"]
mod turns;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sekisho::config::Config;
use sekisho::crl::{Catalogue, CrlKind, CrlNumber, Row};
use sekisho::office::data::DataDir;
use sekisho::office::{
    self, Application, Comparison, Condition, Keeper, Office, OfficeError, Overdue, Place, Selector,
    Spelling, SubjectKeySource, Wish,
};
use sekisho::pki::{AuthorityId, CertificateKind, HashAlgorithm, Partition, RevocationReason};
use sekisho::record::{Actor, Event, Origin, Position};
use sekisho::store::{Clock, Records};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

const DAY: i64 = 86_400;
const SIGN: AuthorityId = AuthorityId(1);
const AUTH: AuthorityId = AuthorityId(2);
const ALL: [AuthorityId; 2] = [SIGN, AUTH];

struct World {
    home: tempfile::TempDir,
    data: DataDir,
    config: Config,
    clock: Arc<AtomicI64>,
    office: Arc<Office>,
}

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(settings: impl FnOnce(&mut Config)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        office::init(&data, "SEKISHO-TEST").unwrap();
        let mut config = Config::read(&data.config()).unwrap();
        settings(&mut config);
        // The next noon in Japan: no test runs into a cut that it does not mean.
        let now = Clock::system().now().seconds();
        let clock = Arc::new(AtomicI64::new(now + DAY - (now + 9 * 3600 + DAY / 2).rem_euclid(DAY)));
        let office = start(&data, &config, &clock);
        Self { home, data, config, clock, office }
    }

    fn restart(&mut self) {
        self.office.stop().unwrap();
        self.office = start(&self.data, &self.config, &self.clock);
    }

    fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    fn issue(&self, kind: CertificateKind) -> Selector {
        let application = Application {
            name: "関所 花子".to_owned(),
            birth: "1982-02-17".to_owned(),
            sex: "female".to_owned(),
            address: "東京都清瀬市".to_owned(),
            spelling: Spelling::default(),
            municipality: Partition(13221),
            kinds: vec![kind],
            subject_key: SubjectKeySource::TestKey,
            place: Place::New,
        };
        let pair = self.office.issue(&application, Origin::service()).unwrap();
        let one = &pair.certificates[0];
        Selector::Named { authority: one.authority.clone(), serial: one.issued.certificate.serial }
    }

    fn change(&self, certificate: &Selector, wish: Wish) {
        // A change comes a second after the last.
        self.pass(2);
        let changed = turns::change(&self.office, certificate, wish, Origin::service());
        assert!(changed.unwrap().changed);
    }

    fn catalogue(&self) -> Catalogue {
        self.office.served_catalogue().unwrap().unwrap()
    }

    fn row(&self, authority: &str, kind: CrlKind) -> Row {
        let found =
            self.catalogue().crls.into_iter().find(|row| (&*row.authority, row.kind) == (authority, kind));
        found.unwrap()
    }

    fn file(&self, row: &Row) -> PathBuf {
        self.data.crl().join(row.url.strip_prefix("/crl/").unwrap())
    }

    fn serials(&self, row: &Row) -> Vec<(u64, u8)> {
        let der = fs::read(self.file(row)).unwrap();
        let (_, list) = CertificateRevocationList::from_der(&der).unwrap();
        let entries = list.iter_revoked_certificates().map(|entry| {
            let serial = entry.raw_serial().iter().fold(0, |serial, octet| serial << 8 | u64::from(*octet));
            (serial, entry.reason_code().map_or(0, |(_, reason)| reason.0))
        });
        entries.collect()
    }

    fn events(&self) -> Vec<(Actor, Event)> {
        let entries = self.office.store().entries(Position(1)).map(Result::unwrap);
        entries.map(|numbered| (numbered.entry.origin.actor, numbered.entry.event)).collect()
    }

    fn sets(&self) -> BTreeSet<String> {
        names(&self.data.crl().join("sets"))
    }

    /// As after some records were lost: the last set that the journal says was published had `more`
    /// entries than there are. Its directory holds nothing but its catalogue; the name of the set.
    fn claim_entries(&self, more: u64) -> String {
        let own = self.sets().into_iter().max().unwrap();
        let mut own = self.own_catalogue(&own);
        let begun = self.journal(Event::CrlSetBegun { authorities: ALL.to_vec(), scheduled: false });
        own.number = CrlNumber::new(self.office.store().epoch(), begun);
        (own.set, own.position) = (own.number.to_string(), begun.0);
        // Deltas are none of a complete set that is cut between.
        own.crls.retain(|row| row.kind != CrlKind::Delta);
        own.crls.iter_mut().filter(|row| row.kind == CrlKind::Full).for_each(|row| row.entries += more);
        let json = serde_json::to_vec(&own).unwrap();
        let directory = self.data.crl().join("sets").join(&own.set);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("index.json"), &json).unwrap();
        let sha256 = HashAlgorithm::Sha256.digest(&json).try_into().unwrap();
        self.journal(Event::CrlSetPublished { begun, catalogue_sha256: sha256 });
        own.set
    }

    fn own_catalogue(&self, set: &str) -> Catalogue {
        let path = self.data.crl().join("sets").join(set).join("index.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    fn journal(&self, event: Event) -> Position {
        let decide = Box::new(move |_: &Records<'_>, _| Ok(vec![event.clone()]));
        self.office.store().submit_wait(Origin::service(), decide).unwrap().position
    }

    fn remove_set(&self, set: &str) {
        fs::remove_dir_all(self.data.crl().join("sets").join(set)).unwrap();
    }

    fn index(&self) -> PathBuf {
        self.data.crl().join("index.json")
    }

    fn fails(&self) -> OfficeError {
        self.office.publish(&ALL, true).unwrap_err()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let wrong = self.office.examine(None).unwrap().findings;
            assert_eq!(wrong, self.office.unready(), "records, OCSP and every CRL that is kept agree");
        }
        drop(self.office.stop());
    }
}

fn start(data: &DataDir, config: &Config, clock: &Arc<AtomicI64>) -> Arc<Office> {
    let clock = Clock::simulated(Arc::clone(clock));
    Office::start(data.clone(), config.clone(), clock, "http://127.0.0.1:8080".to_owned()).unwrap().0
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().map(Result::unwrap);
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

fn serial(certificate: &Selector) -> u64 {
    match certificate {
        Selector::Named { serial, .. } => serial.to_u64().unwrap(),
        Selector::Certificate(_) => unreachable!(),
    }
}

const HOLD: Wish = Wish::Hold { invalidity_date: None };

fn revoke(reason: RevocationReason) -> Wish {
    Wish::revoke(Some(reason), None)
}

#[test]
fn rfc5280_s5_2_4_deltas_are_cut_by_the_hour_against_the_last_scheduled_set() {
    let world = World::new();
    let (moved, phone) = (world.issue(CertificateKind::CardAuth), world.issue(CertificateKind::PhoneAuth));
    let lost = world.issue(CertificateKind::PhoneAuth);
    world.change(&phone, HOLD);
    let mut keeper = Keeper::new(Arc::clone(&world.office));
    keeper.look();
    let base = world.row("auth", CrlKind::Full);
    let url = format!("http://127.0.0.1:8080/crl/auth/{}/delta.crl", base.generation);
    assert_eq!(base.freshest_crl.as_ref(), Some(&url));
    let first = world.row("auth", CrlKind::Delta);
    assert_eq!(first.base_number, Some(base.number), "at once: the base names it");
    assert_eq!(world.serials(&first), []);

    world.change(&moved, revoke(RevocationReason::AffiliationChanged));
    world.change(&phone, Wish::Release);
    world.change(&lost, HOLD);
    world.pass(1800);
    keeper.look();
    assert_eq!(world.row("auth", CrlKind::Delta), first, "not before the hour is over");
    world.pass(1800);
    keeper.look();
    let second = world.row("auth", CrlKind::Delta);
    assert!(second.number > first.number && second.base_number == Some(base.number));
    assert_eq!(world.serials(&second), [(serial(&moved), 3), (serial(&phone), 8), (serial(&lost), 6)]);
    assert_eq!(world.row("auth", CrlKind::Full), base, "the base stands");
    let held: Vec<_> = world.serials(&base).iter().map(|(serial, _)| *serial).collect();
    assert_eq!(held, [serial(&phone)]);

    // The next day's set: a delta beside it, to yesterday's, with its number.
    world.pass(DAY);
    keeper.look();
    let (full, delta) = (world.row("auth", CrlKind::Full), world.row("auth", CrlKind::Delta));
    assert_eq!((delta.number, delta.base_number), (full.number, Some(base.number)));
    assert_eq!(world.serials(&delta), [(serial(&moved), 3), (serial(&phone), 8), (serial(&lost), 6)]);
    world.pass(3600);
    keeper.look();
    assert_eq!(world.row("auth", CrlKind::Delta).base_number, Some(full.number));
}

#[test]
fn a_delta_comes_within_a_minute_of_a_change_when_so_configured() {
    let world = World::with(|config| config.crl.delta_after_change = true);
    let card = world.issue(CertificateKind::CardSign);
    let mut keeper = Keeper::new(Arc::clone(&world.office));
    keeper.look();
    keeper.look();
    let before = world.row("sign", CrlKind::Delta);
    world.pass(120);
    keeper.look();
    assert_eq!(world.row("sign", CrlKind::Delta), before, "nothing changed");
    world.change(&card, revoke(RevocationReason::KeyCompromise));
    world.pass(1);
    keeper.look();
    assert_eq!(world.serials(&world.row("sign", CrlKind::Delta)), [(serial(&card), 1)]);
    // What follows at once is gathered for half a minute.
    let other = world.issue(CertificateKind::CardSign);
    world.change(&other, revoke(RevocationReason::Superseded));
    let between = world.row("sign", CrlKind::Delta);
    keeper.look();
    assert_eq!(world.row("sign", CrlKind::Delta), between);
    world.pass(30);
    keeper.look();
    assert_eq!(world.serials(&world.row("sign", CrlKind::Delta)).len(), 2);
}

#[test]
fn without_deltas_nothing_names_them() {
    let world = World::with(|config| config.crl.delta_minutes = 0);
    let mut keeper = Keeper::new(Arc::clone(&world.office));
    keeper.look();
    world.pass(2 * DAY);
    keeper.look();
    let crls = world.catalogue().crls;
    assert!(crls.iter().any(|row| row.kind == CrlKind::Full));
    assert!(crls.iter().all(|row| row.kind != CrlKind::Delta && row.freshest_crl.is_none()));
}

#[test]
fn a_set_smaller_than_can_be_explained_waits_for_an_operator() {
    let mut world = World::new();
    let card = world.issue(CertificateKind::CardSign);
    world.change(&card, revoke(RevocationReason::Superseded));
    world.office.publish(&ALL, true).unwrap();
    let claimed = world.claim_entries(5);
    let before = world.catalogue();
    let error = world.office.publish(&ALL, true).unwrap_err();
    let OfficeError::HeldBack { set, finding } = &error else { panic!("{error}") };
    assert!(finding.contains("sign/1/full.crl: 1 entries after 6"), "{finding}");
    assert!(error.to_string().contains(&format!("sekisho crl release --set {set} --reason")), "{error}");
    assert_eq!(world.catalogue(), before, "the last set is served");
    assert!(world.office.unready().iter().any(|reason| reason.contains("held back")));
    assert_eq!(world.office.held_back().unwrap().unwrap().set, *set);

    // It waits through a restart, and only it is let go, for a reason.
    world.restart();
    let waiting = world.office.held_back().unwrap().unwrap();
    assert_eq!((&waiting.set, waiting.findings.len()), (set, 2));
    let operator = Origin::of(Actor::new("uid:1000").unwrap());
    let release = |set: &str, reason: &str| world.office.release_set(set, reason, operator.clone());
    for (set, reason) in [("7", "looked at it"), (set, " "), (set, &"x".repeat(201))] {
        assert!(matches!(release(set, reason), Err(OfficeError::NotHeldBack(_))), "{set} {reason}");
    }
    let let_go = release(set, "five expired in the archive migration").unwrap();
    assert_eq!(let_go.number.to_string(), *set);
    assert_eq!(world.row("sign", CrlKind::Full).set, *set);
    assert_eq!(world.office.unready(), Vec::<String>::new());
    assert_eq!(world.office.held_back().unwrap(), None);
    let released = world.events().into_iter().find_map(|(actor, event)| match event {
        Event::CrlSetReleased { finding, reason, .. } => Some((actor.name().to_owned(), finding, reason)),
        _ => None,
    });
    let reason = "five expired in the archive migration".to_owned();
    assert_eq!(released, Some(("uid:1000".to_owned(), finding.clone(), reason)));
    assert!(matches!(release(set, "again"), Err(OfficeError::NotHeldBack(_))));
    world.office.publish(&ALL, true).unwrap();
    world.remove_set(&claimed);
}

#[test]
fn what_waits_is_dropped_when_a_set_comes_out_and_not_let_go_when_it_was_touched_or_is_old() {
    let world = World::new();
    world.office.publish(&ALL, true).unwrap();
    let claimed = world.claim_entries(5);
    let held = || {
        world.fails();
        world.office.held_back().unwrap().unwrap().set
    };
    let first = held();
    let second = held();
    let waiting = world.data.crl().join("held-back");
    assert_eq!(names(&waiting), BTreeSet::from([second.clone()]), "one at most");
    assert!(world.office.release_set(&first, "reason", Origin::service()).is_err());
    fs::write(waiting.join(&second).join("sign/1/full.crl"), b"other").unwrap();
    let touched = world.office.release_set(&second, "reason", Origin::service()).unwrap_err();
    assert!(touched.to_string().contains("not what was laid aside"), "{touched}");
    let third = held();
    world.pass(2 * DAY + 1);
    let old = world.office.release_set(&third, "reason", Origin::service()).unwrap_err();
    assert!(old.to_string().contains("was valid until"), "{old}");
    // The next set can be explained.
    world.remove_set(&claimed);
    let claimed = world.claim_entries(0);
    world.office.publish(&ALL, true).unwrap();
    assert_eq!(world.office.held_back().unwrap(), None);
    let open = world.events().iter().fold(0_i64, |open, (_, event)| match event {
        Event::CrlSetBegun { .. } | Event::CrlDeltasBegun { .. } => open + 1,
        Event::CrlSetPublished { .. } | Event::CrlSetAbandoned { .. } => open - 1,
        _ => open,
    });
    assert_eq!(open, 0, "each set begun came out or was given up");
    world.remove_set(&claimed);
}

/// The catalogue of what is served is made of what the journal vouches for: losing it costs nothing,
/// and hides nothing.
#[test]
fn a_lost_catalogue_switches_no_check_off_and_is_made_again() {
    let mut world = World::new();
    let card = world.issue(CertificateKind::CardSign);
    world.change(&card, revoke(RevocationReason::Superseded));
    world.office.publish(&ALL, true).unwrap();
    world.change(&world.issue(CertificateKind::CardAuth), revoke(RevocationReason::Superseded));
    world.office.publish_deltas(&ALL).unwrap();
    let before = world.catalogue();

    // At the next publication, also of one authority.
    fs::remove_file(world.index()).unwrap();
    let sign = world.office.publish(&[SIGN], false).unwrap().number.to_string();
    let after = world.catalogue();
    assert!(after.crls.iter().any(|row| row.set == sign));
    let replaced = |row: &Row| row.authority == "sign" && row.kind != CrlKind::Delta;
    for (catalogue, other) in [(&before, &after), (&after, &before)] {
        assert!(catalogue.crls.iter().any(|row| !replaced(row)));
        assert!(catalogue.crls.iter().all(|row| replaced(row) || other.crls.contains(row)));
    }
    // And at a start.
    fs::remove_file(world.index()).unwrap();
    world.restart();
    assert_eq!(world.catalogue().crls.len(), after.crls.len());
    assert!(world.catalogue().crls.iter().all(|row| after.crls.contains(row)));
    assert_eq!(world.office.unready(), Vec::<String>::new());

    // Records are lost, and it too.
    world.office.publish(&ALL, true).unwrap();
    let after = world.catalogue();
    let claimed = world.claim_entries(5);
    fs::remove_file(world.index()).unwrap();
    let error = world.fails();
    assert!(
        matches!(&error, OfficeError::HeldBack { finding, .. } if finding.contains("after 6")),
        "{error}"
    );
    // Whatever it says.
    for text in [&b"{}"[..], &serde_json::to_vec(&after).unwrap()] {
        fs::write(world.index(), text).unwrap();
        let error = world.fails().to_string();
        assert!(error.contains("index.json") || error.contains("after 6"), "{error}");
    }
    world.remove_set(&claimed);
    world.claim_entries(0);
    world.office.publish(&ALL, true).unwrap();
    world.remove_set(&world.sets().into_iter().rev().nth(1).unwrap());
}

#[test]
fn a_set_after_one_that_is_lost_waits_for_an_operator() {
    let mut world = World::new();
    world.issue(CertificateKind::CardSign);
    let lost = world.office.publish(&ALL, true).unwrap().number.to_string();
    for index in [true, false] {
        let last = world.catalogue().set;
        world.remove_set(&last);
        if index {
            fs::remove_file(world.index()).unwrap();
        }
        world.restart();
        let findings = world.office.examine(None).unwrap().findings;
        let told = format!("CRL set {last}: it was published, and its directory is missing");
        assert!(findings.contains(&told), "{findings:?}");
        let overdue = world.office.overdue();
        assert!(overdue.contains(&Overdue::NotServed("sign".to_owned())), "{overdue:?}");
        let error = world.fails();
        let OfficeError::HeldBack { set, finding } = &error else { panic!("{error}") };
        let told = "sign: whether entries are lost cannot be told";
        assert!(finding.starts_with(told) && finding.contains("its catalogue is missing"), "{finding}");
        let waiting = world.office.held_back().unwrap().unwrap();
        assert_eq!(waiting.findings.len(), ALL.len(), "one for each authority");
        world.office.release_set(set, "the disk was lost", Origin::service()).unwrap();
        assert_eq!(world.catalogue().set, *set);
        assert_eq!(world.office.unready(), Vec::<String>::new());
        world.office.publish(&ALL, true).unwrap();
    }
    // One that is there and is another.
    let last = world.catalogue().set;
    assert_ne!(last, lost);
    let path = world.data.crl().join("sets").join(&last).join("index.json");
    let own = fs::read_to_string(&path).unwrap();
    fs::write(&path, own.replace("full", "fuII")).unwrap();
    let error = world.fails().to_string();
    assert!(error.contains("not the one that the journal names"), "{error}");
    fs::write(&path, own).unwrap();
    world.office.publish(&ALL, true).unwrap();
}

#[test]
fn check_of_a_stopped_service_tells_what_it_cannot_look_at() {
    let mut world = World::new();
    world.office.stop().unwrap();
    // The clock of this world is ahead.
    let findings = |world: &World| -> Vec<String> {
        let found = Condition::of(&world.data, false, None).unwrap().findings;
        found.into_iter().filter(|finding| !finding.contains("yet to come")).collect()
    };
    assert_eq!(findings(&world), Vec::<String>::new(), "nothing was published");
    world.office = start(&world.data, &world.config, &world.clock);
    world.office.publish(&ALL, true).unwrap();
    world.office.stop().unwrap();
    assert_eq!(findings(&world), Vec::<String>::new());

    let served = fs::read(world.index()).unwrap();
    fs::remove_file(world.index()).unwrap();
    assert!(findings(&world)[0].contains("index.json: the catalogue is missing"), "{:?}", findings(&world));
    let other = String::from_utf8(served.clone()).unwrap().replacen("/crl/sets", "/elsewhere", 1);
    fs::write(world.index(), other).unwrap();
    assert!(findings(&world)[0].contains("/elsewhere/"), "{:?}", findings(&world));
    fs::write(world.index(), &served).unwrap();
    let catalogue: Catalogue = serde_json::from_slice(&served).unwrap();
    let file = world.file(&catalogue.crls[0]);
    let aside = file.with_extension("aside");
    fs::rename(&file, &aside).unwrap();
    assert!(findings(&world)[0].contains("the file is missing"), "{:?}", findings(&world));
    fs::create_dir(&file).unwrap();
    assert!(findings(&world)[0].contains("cannot read"), "{:?}", findings(&world));
    fs::remove_dir(&file).unwrap();
    fs::rename(aside, file).unwrap();
    world.office = start(&world.data, &world.config, &world.clock);
}

#[test]
fn a_set_that_waits_and_cannot_be_read_is_told_and_stays() {
    let mut world = World::new();
    world.office.publish(&ALL, true).unwrap();
    let claimed = world.claim_entries(5);
    let OfficeError::HeldBack { set, .. } = world.fails() else { panic!() };
    let catalogue = world.data.crl().join("held-back").join(&set).join("index.json");
    let own = fs::read(&catalogue).unwrap();
    let begun = *world.office.store().facts().open_crl_sets.keys().next().unwrap();
    for broken in [Some(&b"{"[..]), None] {
        match broken {
            Some(octets) => fs::write(&catalogue, octets).unwrap(),
            None => fs::remove_file(&catalogue).unwrap(),
        }
        let error = world.office.held_back().unwrap_err().to_string();
        assert!(error.contains("held-back"), "{error}");
        let error = world.office.release_set(&set, "reason", Origin::service()).unwrap_err().to_string();
        assert!(error.contains("held-back"), "{error}");
        world.restart();
        assert!(world.office.store().facts().open_crl_sets.contains_key(&begun), "it is not given up");
        assert!(catalogue.parent().unwrap().join("sign").exists());
        let told = world.office.unready();
        assert!(told.iter().any(|reason| reason.contains("held-back")), "{told:?}");
    }
    // Put back, it can be let go.
    fs::write(&catalogue, own).unwrap();
    world.office.release_set(&set, "reason", Origin::service()).unwrap();
    assert_eq!(world.office.unready(), Vec::<String>::new());

    // Unreadable, it is out of date all the same when another comes out.
    world.remove_set(&claimed);
    let claimed = world.claim_entries(5);
    let OfficeError::HeldBack { set, .. } = world.fails() else { panic!() };
    fs::write(world.data.crl().join("held-back").join(&set).join("index.json"), b"{").unwrap();
    world.remove_set(&claimed);
    let claimed = world.claim_entries(0);
    world.office.publish(&ALL, true).unwrap();
    assert_eq!(world.office.held_back().unwrap(), None);
    assert!(world.office.store().facts().open_crl_sets.is_empty());
    world.remove_set(&claimed);
}

#[test]
fn a_served_crl_whose_file_is_gone_is_told_until_another_is_served() {
    let mut world = World::new();
    world.issue(CertificateKind::CardAuth);
    world.office.publish(&ALL, true).unwrap();
    let file = world.file(&world.row("auth", CrlKind::Partition));
    fs::remove_file(&file).unwrap();
    // Another authority's set does not hide it.
    world.office.publish(&[SIGN], true).unwrap();
    assert!(world.catalogue().crls.iter().any(|row| world.file(row) == file));
    let told = world.office.unready();
    assert!(told.iter().any(|reason| reason.contains("auth/1/13221.crl")), "{told:?}");
    world.restart();
    assert_eq!(world.office.next_update(AUTH), None, "a new set is due");
    Keeper::new(Arc::clone(&world.office)).look();
    assert_eq!(world.office.unready(), Vec::<String>::new());
    let lost = file.ancestors().nth(3).unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    assert!(world.office.next_update(AUTH).is_some() && world.row("auth", CrlKind::Partition).set != lost);
    world.remove_set(&lost);
}

#[test]
fn a_past_set_is_made_again_octet_for_octet() {
    let world = World::new();
    let phones: Vec<_> = (0..4).map(|_| world.issue(CertificateKind::PhoneAuth)).collect();
    world.change(&phones[0], HOLD);
    world.change(&phones[1], revoke(RevocationReason::Superseded));
    issuers::new_generation(&world.office, AUTH);
    let base = world.office.publish(&ALL, true).unwrap().number.to_string();
    world.change(&phones[0], Wish::Release);
    world.change(&phones[2], HOLD);
    let delta = world.office.publish_deltas(&ALL).unwrap().number.to_string();
    world.change(&phones[2], revoke(RevocationReason::KeyCompromise));
    world.pass(DAY);
    let next = world.office.publish(&ALL, true).unwrap().number.to_string();
    // Whatever happened since.
    world.change(&phones[3], HOLD);
    world.pass(9 * 365 * DAY);
    let again = world.home.path().join("again");
    for set in [&base, &delta, &next] {
        let rebuilt = world.office.rebuild(set, Some(&again.join(set))).unwrap();
        let own = world.data.crl().join("sets").join(set);
        let catalogue: Catalogue =
            serde_json::from_slice(&fs::read(own.join("index.json")).unwrap()).unwrap();
        assert_eq!(rebuilt.len(), catalogue.crls.len());
        assert!(!rebuilt.is_empty());
        for row in &catalogue.crls {
            let one = rebuilt.iter().find(|one| one.url == row.url).unwrap();
            assert_eq!(one.outcome, Comparison::Same, "{}", row.url);
            let file = world.file(row);
            let path = file.strip_prefix(&own).unwrap();
            for ending in ["crl", "pem"] {
                let [published, made] = [own.join(path), again.join(set).join(path)]
                    .map(|path| fs::read(path.with_extension(ending)).unwrap());
                assert!(published == made, "{}", row.url);
            }
        }
    }
    assert!(matches!(world.office.rebuild("7", None), Err(OfficeError::NoSet(_))));

    // One octet of a set that is kept, served or not, is found by check.
    let file = world.data.crl().join("sets").join(&base).join("auth/1/13221.crl");
    let good = fs::read(&file).unwrap();
    for at in [good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&file, bad).unwrap();
        let findings = world.office.examine(None).unwrap().findings;
        assert!(
            findings.iter().any(|finding| finding.contains("auth/1/13221.crl: the file is not")),
            "{findings:?}"
        );
        let rebuilt = world.office.rebuild(&base, None).unwrap();
        assert!(rebuilt.iter().any(|one| matches!(one.outcome, Comparison::Differs(_))));
    }
    fs::write(&file, good).unwrap();
}

#[test]
fn past_sets_are_kept_for_their_days_and_what_is_needed_stays() {
    let world = World::with(|config| config.crl.keep_days = 5);
    let mut keeper = Keeper::new(Arc::clone(&world.office));
    let mut by_day = Vec::new();
    for _ in 0..9 {
        keeper.look();
        keeper.look();
        by_day.push(world.catalogue().set);
        world.pass(DAY);
    }
    let kept = world.sets();
    assert!(!kept.contains(&by_day[0]) && !kept.contains(&by_day[2]), "{kept:?}");
    assert!(kept.contains(&by_day[4]) && kept.contains(&by_day[8]));
    // Nothing was cut for a month: what is served stays, and what its deltas need.
    world.pass(30 * DAY);
    world.office.retire_sets().unwrap();
    let served: BTreeSet<String> = world.catalogue().crls.iter().map(|row| row.set.clone()).collect();
    let bases: BTreeSet<String> =
        world.catalogue().crls.iter().filter_map(|row| Some(row.base_number?.to_string())).collect();
    assert_eq!(world.sets(), served.union(&bases).cloned().collect());
    keeper.look();
}

#[test]
fn what_is_overdue_is_told_without_the_schedule() {
    let world = World::new();
    world.office.publish(&ALL, true).unwrap();
    assert_eq!(world.office.overdue(), []);
    world.pass(DAY / 2 + 900);
    assert_eq!(world.office.overdue(), [], "it has a quarter of an hour, and one failure");
    world.pass(1);
    let overdue = world.office.overdue();
    assert!(matches!(&overdue[..], [Overdue::Set(..), Overdue::Set(..)]), "{overdue:?}");
    assert!(world.office.unready().iter().any(|reason| reason.contains("has not come out")));
    world.pass(2 * DAY);
    let expired = world.office.overdue();
    assert!(
        expired.iter().any(|one| matches!(one, Overdue::Expired(name, _) if name == "sign")),
        "{expired:?}"
    );
    world.office.publish(&ALL, true).unwrap();
    assert_eq!(world.office.unready(), Vec::<String>::new());
}

#[test]
fn every_municipality_of_the_country_has_a_crl_of_its_own_name() {
    let world = World::new();
    let codes: Vec<Partition> =
        world.office.profile().municipalities.residences().map(|row| row.code).collect();
    assert_eq!(codes.len(), 1902);
    world.office.open_partitions(&codes.iter().map(|code| (SIGN, *code)).collect()).unwrap();
    let crls = world.catalogue().crls;
    let partitions: BTreeSet<_> = crls.iter().filter_map(|row| row.partition.clone()).collect();
    assert_eq!(partitions, codes.iter().map(ToString::to_string).collect());
    let names: BTreeSet<_> =
        crls.iter().filter_map(|row| Some(row.distribution_point.as_ref()?.der.clone())).collect();
    assert_eq!(names.len(), 1902 + 1, "and the authority's");
}

#[test]
fn a_partition_that_was_opened_keeps_its_crl_without_a_certificate() {
    let mut world = World::new();
    let opened = Partition(13221);
    world.office.open_partitions(&[(SIGN, opened)].into()).unwrap();
    world.restart();
    world.pass(DAY);
    world.office.publish(&ALL, true).unwrap();
    let partitions =
        world.catalogue().crls.into_iter().filter_map(|row| Some((row.authority, row.partition?)));
    assert_eq!(Vec::from_iter(partitions), [("sign".to_owned(), opened.to_string())]);
}

#[test]
fn whole_rows_of_certificates_are_listed() {
    let world = World::new();
    // Two rows of the store and more, one of them full.
    let certificates: Vec<_> = (0..140).map(|_| world.issue(CertificateKind::CardAuth)).collect();
    for certificate in &certificates {
        world.change(certificate, revoke(RevocationReason::Superseded));
    }
    world.office.publish(&ALL, true).unwrap();
    let mut wanted: Vec<u64> = certificates.iter().map(serial).collect();
    wanted.sort_unstable();
    for kind in [CrlKind::Full, CrlKind::Partition] {
        let mut listed: Vec<u64> =
            world.serials(&world.row("auth", kind)).iter().map(|(serial, _)| *serial).collect();
        listed.sort_unstable();
        assert_eq!(listed, wanted);
    }
}
