//! CRL sets over days and years: cut by the schedule, published whole, left behind by crashes.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed step must stop the test"
)]

#[path = "support/issuers.rs"]
mod issuers;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use sekisho::config::Config;
use sekisho::crl::{Catalogue, CrlKind};
use sekisho::lifecycle::Revoke;
use sekisho::office::data::DataDir;
use sekisho::office::{
    self, Application, Asked, Blame, Office, OfficeError, Place, Schedule, Selector, Spelling,
    SubjectKeySource, Wish, reason,
};
use sekisho::pki::{AuthorityId, CertStatus, CertificateKind, Partition, RevocationReason};
use sekisho::record::{Event, Origin};
use sekisho::store::Clock;

const DAY: i64 = 86_400;
const SIGN: AuthorityId = AuthorityId(1);
const AUTH: AuthorityId = AuthorityId(2);

fn application(kind: CertificateKind) -> Application {
    Application {
        name: "関所 花子".to_owned(),
        birth: "1982-02-17".to_owned(),
        sex: "female".to_owned(),
        address: "東京都清瀬市".to_owned(),
        spelling: Spelling::default(),
        municipality: Partition(13221),
        kinds: vec![kind],
        subject_key: SubjectKeySource::TestKey,
        place: Place::New,
    }
}

/// An office whose clock the test holds.
struct World {
    home: tempfile::TempDir,
    clock: Arc<AtomicI64>,
    office: Arc<Office>,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        office::init(&data, "SEKISHO-TEST").unwrap();
        let clock = Arc::new(AtomicI64::new(Clock::system().now().seconds() + 2));
        let office = start(&data, &clock);
        Self { home, clock, office }
    }

    fn restart(&mut self) {
        self.office.stop().unwrap();
        let data = DataDir::new(&self.home.path().join("data"));
        self.office = start(&data, &self.clock);
    }

    fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    fn issue(&self, kind: CertificateKind, partition: u32, address: &str) -> Selector {
        let application = Application {
            name: "関所 花子".to_owned(),
            birth: "1982-02-17".to_owned(),
            sex: "female".to_owned(),
            address: address.to_owned(),
            spelling: Spelling::default(),
            municipality: Partition(partition),
            kinds: vec![kind],
            subject_key: SubjectKeySource::TestKey,
            place: Place::New,
        };
        let pair = self.office.issue(&application, Origin::service()).unwrap();
        let one = &pair.certificates[0];
        Selector::Named { authority: one.authority.clone(), serial: one.issued.certificate.serial }
    }

    /// What somebody should look at about an authority.
    fn warnings_of(&self, authority: AuthorityId) -> String {
        let name = &self.office.profile().authority(authority).unwrap().name;
        let ours = self.office.attention().into_iter().filter(|one| one.reason == reason::ISSUING);
        ours.map(|one| one.text).filter(|text| text.contains(&format!("authority {name} "))).collect()
    }

    fn revoke(&self, certificate: &Selector) {
        let wish = Wish::revoke(Some(RevocationReason::Superseded), None);
        let asked = Asked { certificate: certificate.clone(), wish };
        assert!(self.office.change(&asked, Origin::service()).unwrap().changed);
    }

    fn catalogue(&self) -> Catalogue {
        self.office.served_catalogue().unwrap().unwrap()
    }

    /// Entries of an authority's CRLs of this kind.
    fn entries(&self, authority: &str, kind: CrlKind) -> u64 {
        let catalogue = self.catalogue();
        let rows = catalogue.crls.iter().filter(|row| row.authority == authority && row.kind == kind);
        rows.map(|row| row.entries).sum()
    }

    fn crl_directory(&self) -> PathBuf {
        self.office.data().crl()
    }

    /// Records, OCSP and the CRLs being served agree on every serial.
    fn assert_agreement(&self) {
        assert_eq!(self.office.examine(None).unwrap().findings, Vec::<String>::new());
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

#[test]
fn the_day_is_cut_also_when_nothing_was_revoked() {
    let world = World::new();
    let mut schedule = Schedule::start(Arc::clone(&world.office)).unwrap();
    let next = |after: Option<u128>| {
        let began = Instant::now();
        loop {
            let served = world.office.served_catalogue().unwrap();
            // Of complete sets: deltas come and go beside them.
            let number = served.map(|catalogue| catalogue.set.parse::<u128>().unwrap());
            if number > after {
                return number;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "no new set");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let first = next(None);
    assert!(world.catalogue().scheduled);
    world.pass(DAY);
    let second = next(first);
    world.pass(3 * DAY);
    let third = next(second);
    schedule.stop();
    assert!(first < second && second < third, "numbers rise");
    let crls = world.catalogue().crls;
    for kind in [CrlKind::Full, CrlKind::Delta] {
        assert!(crls.iter().any(|row| row.kind == kind), "{kind:?}");
    }
    for row in crls {
        let this_update: sekisho::der::UnixTime = row.this_update.parse().unwrap();
        let next_update: sekisho::der::UnixTime = row.next_update.parse().unwrap();
        let hours = if row.kind == CrlKind::Delta { 3 } else { 48 };
        assert_eq!(next_update.since(this_update), Duration::from_secs(hours * 3600));
        assert_eq!(row.entries, 0);
    }
    let sets: BTreeSet<_> =
        fs::read_dir(world.crl_directory().join("sets")).unwrap().map(|e| e.unwrap().file_name()).collect();
    for set in [first, second, third] {
        assert!(
            sets.contains(std::ffi::OsStr::new(&set.unwrap().to_string())),
            "past sets keep their addresses"
        );
    }
    world.assert_agreement();
}

#[test]
fn rfc5280_s5_an_expired_certificate_leaves_after_one_scheduled_crl_past_its_expiry() {
    let world = World::new();
    let all = [SIGN, AUTH];
    let certificate = world.issue(CertificateKind::CardSign, 13221, "東京都清瀬市");
    world.revoke(&certificate);
    world.office.publish(&all, true).unwrap();
    assert_eq!((world.entries("sign", CrlKind::Full), world.entries("sign", CrlKind::Partition)), (1, 1));
    world.pass(7 * 365 * DAY);
    world.office.publish(&all, false).unwrap();
    assert_eq!(world.entries("sign", CrlKind::Partition), 1, "the last scheduled one was before its expiry");
    world.office.publish(&all, false).unwrap();
    assert_eq!(world.entries("sign", CrlKind::Full), 1, "on-demand sets do not count");
    world.pass(60);
    world.office.publish(&all, true).unwrap();
    assert_eq!(world.entries("sign", CrlKind::Partition), 1, "this is the one it must stand in");
    world.assert_agreement();
    world.pass(DAY);
    world.office.publish(&all, true).unwrap();
    assert_eq!((world.entries("sign", CrlKind::Full), world.entries("sign", CrlKind::Partition)), (0, 0));
    world.assert_agreement();
}

#[test]
fn every_partition_that_ever_had_a_certificate_has_its_crl() {
    let world = World::new();
    for (partition, address) in [(13221, "東京都清瀬市"), (1361, "北海道江差町"), (1514, "北海道枝幸町")]
    {
        world.issue(CertificateKind::CardSign, partition, address);
    }
    let revoked = world.issue(CertificateKind::CardSign, 1361, "北海道江差町");
    world.revoke(&revoked);
    world.office.publish(&[SIGN, AUTH], false).unwrap();
    let catalogue = world.catalogue();
    let partitions = |authority: &str| -> Vec<_> {
        let rows = catalogue.crls.iter().filter(|row| row.authority == authority);
        rows.filter_map(|row| Some((row.partition.clone()?, row.entries))).collect()
    };
    let listed = partitions("sign");
    let expected = [("01361", 1), ("01514", 0), ("13221", 0)].map(|(code, count)| (code.to_owned(), count));
    assert_eq!(listed, expected, "also when empty");
    assert_eq!(partitions("auth"), []);
    let points: BTreeSet<_> =
        catalogue.crls.iter().filter_map(|row| row.distribution_point.clone().map(|p| p.der)).collect();
    assert_eq!(points.len(), 3 + 2, "names are injective: three partitions and two authorities");
    world.assert_agreement();
}

#[test]
fn a_partitions_crl_is_there_before_its_first_certificate_leaves() {
    let world = World::new();
    world.office.publish(&[SIGN, AUTH], true).unwrap();
    let before = world.catalogue();
    world.issue(CertificateKind::CardSign, 13221, "東京都清瀬市");
    let opened = world.catalogue();
    assert!(
        opened.crls.iter().any(|row| row.partition.as_deref() == Some("13221") && row.authority == "sign")
    );
    assert!(!opened.crls.iter().any(|row| row.partition.is_some() && row.authority == "auth"));
    world.issue(CertificateKind::CardSign, 13221, "東京都清瀬市");
    assert_eq!(world.catalogue().set, opened.set, "the second needs no other set");
    assert_ne!(before.set, opened.set);
    issuers::new_generation(&world.office, SIGN);
    world.issue(CertificateKind::CardSign, 13221, "東京都清瀬市");
    let rolled = world.catalogue();
    let by_new_key = |row: &&sekisho::crl::Row| row.generation == 2 && row.partition.is_some();
    assert_eq!(rolled.crls.iter().filter(by_new_key).count(), 1, "nor does a new key's first certificate");
    let unknown = std::collections::BTreeSet::from([(SIGN, Partition(99_999))]);
    assert!(world.office.open_partitions(&unknown).unwrap_err().to_string().contains("99999"));
    world.office.publish(&[SIGN, AUTH], true).unwrap();
    world.assert_agreement();
}

#[test]
fn immutable_addresses_outlive_the_set_and_a_lost_directory_is_cut_anew() {
    let mut world = World::new();
    let paths = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&paths);
    let watcher = move |published: &office::Published| {
        let of_set = |set: &Arc<office::PublicSet>| {
            let name = set.name.clone();
            let paths: Vec<String> =
                set.rows.iter().map(|row| format!("/crl/sets/{name}/{}", row.path)).collect();
            paths
        };
        *seen.lock().unwrap() = published.sets.iter().flat_map(of_set).collect::<BTreeSet<String>>();
    };
    world.office.watch_files(Box::new(watcher)).unwrap();
    let first = world.office.publish(&[SIGN, AUTH], true).unwrap().number;
    let second = world.office.publish(&[SIGN, AUTH], false).unwrap().number;
    for set in [first, second] {
        for file in ["sign/1/full.crl", "auth/1/authority.pem", "index.json", "index.p7s"] {
            assert!(paths.lock().unwrap().contains(&format!("/crl/sets/{set}/{file}")), "{set} {file}");
        }
    }
    world.office.stop().unwrap();
    fs::remove_dir_all(world.crl_directory()).unwrap();
    let data = DataDir::new(&world.home.path().join("data"));
    world.office = start(&data, &world.clock);
    assert!(world.office.served_catalogue().unwrap().is_none());
    let mut schedule = Schedule::start(Arc::clone(&world.office)).unwrap();
    let began = Instant::now();
    // Whether it lists all that the lost one did, nobody can tell: an operator lets it go.
    let waiting = loop {
        if let Some(waiting) = world.office.held_back().unwrap() {
            break waiting;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "no new set");
        std::thread::sleep(Duration::from_millis(50));
    };
    schedule.stop();
    assert!(waiting.findings[0].contains("its catalogue is missing"), "{:?}", waiting.findings);
    world.office.release_set(&waiting.set, "the disk was lost", Origin::service()).unwrap();
    assert!(world.catalogue().set.parse::<u128>().unwrap() > second.to_string().parse().unwrap());
    world.assert_agreement();
}

#[test]
fn a_set_that_fails_at_its_last_step_is_taken_back() {
    let world = World::new();
    let all = [SIGN, AUTH];
    let sets = || fs::read_dir(world.crl_directory().join("sets")).map_or(0, Iterator::count);
    // The catalogue cannot be written, first when there is none yet, then beside an older one.
    let in_the_way = world.crl_directory().join("index.tmp");
    for published in 0..2 {
        let before = world.office.served_catalogue().unwrap();
        let (last, _) = world.office.store().head();
        fs::create_dir_all(&in_the_way).unwrap();
        assert!(world.office.publish(&all, true).is_err());
        assert_eq!(sets(), published, "its files are gone");
        assert_eq!(world.office.served_catalogue().unwrap(), before, "the last set stands");
        assert!(world.office.unready().iter().any(|reason| reason.contains("did not come out")));
        let abandoned = world.office.store().entries(last).any(|numbered| {
            matches!(numbered.unwrap().entry.event, Event::CrlSetAbandoned { begun } if begun > last)
        });
        assert!(abandoned, "its number is spent");
        fs::remove_dir(&in_the_way).unwrap();
        world.office.publish(&all, true).unwrap();
        assert_eq!(world.office.unready(), Vec::<String>::new());
        world.assert_agreement();
    }
}

#[test]
fn the_ca_certificate_of_a_new_key_is_there_though_no_set_comes_out() {
    let world = World::new();
    world.office.publish(&[SIGN, AUTH], true).unwrap();
    let files = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&files);
    let watcher = move |published: &office::Published| {
        *seen.lock().unwrap() = published.files.iter().map(|file| file.path.clone()).collect();
    };
    world.office.watch_files(Box::new(watcher)).unwrap();
    let served = |path: &str| files.lock().unwrap().contains(path);
    assert!(served("/ca/sign/1.cer") && !served("/ca/sign/2.cer"));
    let in_the_way = world.crl_directory().join("index.tmp");
    fs::create_dir_all(&in_the_way).unwrap();
    let made = world.office.roll_over(SIGN, None, Origin::service()).unwrap();
    assert!(made.not_published.is_some());
    assert!(served("/ca/sign/2.cer") && served("/ca/sign/2.pem"));
    assert!(!served("/crl/sign/2/full.crl") && served("/crl/sign/1/full.crl"));
    fs::remove_dir(&in_the_way).unwrap();
    world.office.publish(&[SIGN], false).unwrap();
    assert!(served("/ca/sign/2.cer") && served("/crl/sign/2/full.crl"));
    world.assert_agreement();
}

#[test]
fn a_set_of_one_authority_leaves_the_other_as_it_stands() {
    let world = World::new();
    world.office.publish(&[SIGN, AUTH], false).unwrap();
    let before = world.catalogue();
    let one = world.office.publish(&[SIGN], false).unwrap();
    let after = world.catalogue();
    assert!(["sign", "auth"].iter().all(|name| after.crls.iter().any(|row| row.authority == *name)));
    for row in &after.crls {
        let own = row.set == one.number.to_string();
        assert_eq!(own, row.authority == "sign");
        assert!(own || before.crls.contains(row));
    }
    world.assert_agreement();
}

#[test]
fn what_a_crash_left_of_a_set_is_swept_and_its_number_spent() {
    let mut world = World::new();
    let published = world.office.publish(&[SIGN, AUTH], false).unwrap();
    let begun = Event::CrlSetBegun { authorities: vec![SIGN, AUTH], scheduled: true };
    let event = begun.clone();
    let decide = Box::new(move |_: &sekisho::store::Records<'_>, _| Ok(vec![event.clone()]));
    let open = world.office.store().submit_wait(Origin::service(), decide).unwrap().position;
    let left = world.crl_directory().join("building-7");
    fs::create_dir_all(left.join("sign/1")).unwrap();
    fs::write(left.join("sign/1/full.crl"), b"half").unwrap();
    world.restart();
    assert!(!left.exists());
    assert_eq!(world.catalogue().set, published.number.to_string(), "the last set stands");
    let abandoned = world
        .office
        .store()
        .entries(open)
        .any(|numbered| numbered.unwrap().entry.event == Event::CrlSetAbandoned { begun: open });
    assert!(abandoned);
    let next = world.office.publish(&[SIGN, AUTH], false).unwrap();
    assert!(next.number > published.number);
    world.assert_agreement();
}

#[test]
fn a_journal_older_than_a_published_set_is_refused_at_start() {
    let mut world = World::new();
    let data = DataDir::new(&world.home.path().join("data"));
    let copy = world.home.path().join("copy");
    world.restart();
    world.office.stop().unwrap();
    copy_tree(&data.store(), &copy);
    world.office = start(&data, &world.clock);
    let certificate = world.issue(CertificateKind::CardSign, 13221, "東京都清瀬市");
    world.revoke(&certificate);
    world.office.publish(&[SIGN, AUTH], false).unwrap();
    world.office.stop().unwrap();
    fs::rename(data.store(), world.home.path().join("newer")).unwrap();
    fs::rename(&copy, data.store()).unwrap();
    let clock = Clock::simulated(Arc::clone(&world.clock));
    let config = Config::read(&data.config()).unwrap();
    let error = Office::start(data.clone(), config, clock, "http://127.0.0.1:8080".to_owned())
        .map(|_| ())
        .unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    // The sets that are kept say it too.
    let index = world.crl_directory().join("index.json");
    let aside = world.home.path().join("index.json");
    fs::rename(&index, &aside).unwrap();
    let clock = Clock::simulated(Arc::clone(&world.clock));
    let config = Config::read(&data.config()).unwrap();
    let error = Office::start(data.clone(), config, clock, "http://127.0.0.1:8080".to_owned())
        .map(|_| ())
        .unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    fs::rename(aside, index).unwrap();
    fs::rename(data.store(), &copy).unwrap();
    fs::rename(world.home.path().join("newer"), data.store()).unwrap();
    world.office = start(&data, &world.clock);
    world.assert_agreement();
}

fn copy_tree(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_damaged_or_missing_crl_file_is_found_by_check() {
    let world = World::new();
    let certificate = world.issue(CertificateKind::CardAuth, 13221, "東京都清瀬市");
    world.revoke(&certificate);
    let set = world.office.publish(&[SIGN, AUTH], false).unwrap().number.to_string();
    world.assert_agreement();
    let file = world.crl_directory().join("sets").join(&set).join("auth/1/13221.crl");
    let octets = fs::read(&file).unwrap();
    let mut broken = octets.clone();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    fs::write(&file, broken).unwrap();
    let findings = world.office.examine(None).unwrap().findings;
    assert!(findings.len() == 1 && findings[0].contains("auth/1/13221.crl"), "{findings:?}");
    fs::remove_file(&file).unwrap();
    let findings = world.office.examine(None).unwrap().findings;
    assert!(findings.len() == 1 && findings[0].contains("missing"), "{findings:?}");
    fs::write(&file, octets).unwrap();
    world.assert_agreement();
}

#[test]
fn signers_are_renewed_before_they_expire_and_the_old_key_is_found_again_at_start() {
    let mut world = World::new();
    let signers = |world: &World| {
        let facts = world.office.store().facts();
        facts.issuers.iter().filter(|record| record.issued.kind == CertificateKind::OcspSigner).count()
    };
    assert_eq!(signers(&world), 4, "one of each kind for each authority");
    world.restart();
    assert_eq!(signers(&world), 4, "the same ones go on");
    world.pass(4 * DAY);
    world.office.renew_signers().unwrap();
    assert_eq!(signers(&world), 4, "three of seven days are left");
    world.pass(DAY);
    world.office.renew_signers().unwrap();
    assert_eq!(signers(&world), 8, "less than a third is left");
}

#[test]
fn an_authority_without_a_valid_key_signs_nothing() {
    let mut world = World::new();
    world.pass(11 * 365 * DAY);
    world.restart();
    let refused = world.office.publish(&[SIGN], false).unwrap_err();
    assert!(matches!(refused, OfficeError::NoGeneration(_)), "{refused}");
    assert!(world.office.unready().iter().any(|reason| reason.contains("did not come out")));
    let error = world.office.issue(&application(CertificateKind::CardSign), Origin::service()).unwrap_err();
    assert!(matches!(error, OfficeError::NoIssuingKey(_)), "{error}");
    assert!(error.to_string().contains("generation 1 has expired at"), "{error}");
    assert!(world.warnings_of(SIGN).contains("has expired at"));
}

#[test]
fn b_1_an_authority_whose_ca_certificate_is_revoked_is_told_as_revoked() {
    let world = World::new();
    let resident = world.issue(CertificateKind::CardSign, 13221, "東京都清瀬市");
    assert_eq!(world.office.attention(), []);
    let unready = world.office.unready();
    let status = |selector: &Selector| world.office.inquire(selector, None).unwrap();
    assert_eq!(status(&resident).ca_status, CertStatus::Good);

    let ca = Selector::Named { authority: "sign".to_owned(), serial: 1_u64.try_into().unwrap() };
    let wish = Wish::revoke(Some(RevocationReason::CaCompromise), None);
    let plain = Asked { certificate: ca.clone(), wish };
    let refused = world.office.change(&plain, Origin::service()).unwrap_err();
    assert!(refused.to_string().contains("sekisho authority compromised"), "{refused}");
    let before = status(&ca);
    assert_eq!((before.status, before.ca_status), (CertStatus::Good, CertStatus::Good));

    // By the rule for such a certificate, and only for one.
    let revoke = Revoke { reason: Some(RevocationReason::CaCompromise), invalidity_date: None };
    let of_resident = status(&resident).record.issued.certificate;
    let refused = issuers::revoke(&world.office, of_resident, revoke).unwrap_err();
    assert!(refused.to_string().contains("a resident's"), "{refused}");
    let certificate = before.record.issued.certificate;
    assert!(issuers::revoke(&world.office, certificate, revoke).unwrap());

    let issue = || world.office.issue(&application(CertificateKind::CardSign), Origin::service());
    let error = issue().unwrap_err();
    let told = ["authority sign issues nothing", "generation 1 is revoked, cACompromise, since"];
    for text in [error.to_string(), world.warnings_of(SIGN)] {
        assert!(told.iter().all(|part| text.contains(part)) && !text.contains("expired"), "{text}");
    }
    assert_eq!(error.blame(), Blame::Refused);
    assert_eq!(world.office.unready(), unready, "OCSP and CRLs go on");
    assert!(matches!(status(&resident).ca_status, CertStatus::Revoked(_)));
    assert!(world.office.issue(&application(CertificateKind::CardAuth), Origin::service()).is_ok());

    // With its next key it issues again.
    issuers::new_generation(&world.office, SIGN);
    assert_eq!(world.office.attention(), []);
    issue().unwrap();
}
