//! An office whose machine's clocks the test holds, and what every answer and CRL must keep to.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rasn_ocsp::{CertStatus, SingleResponse};
use sekisho::config::Config;
use sekisho::der::UnixTime;
use sekisho::ocsp::{Job, Respond, request_for};
use sekisho::office::data::DataDir;
use sekisho::office::{
    self, Application, Changed, Office, OfficeError, Place, Selector, Spelling, SubjectKeySource, Wish,
};
use sekisho::pki::{
    AuthorityId, CertificateKind, Generation, HashAlgorithm, Issuer, Partition, RevocationReason,
    SerialNumber,
};
use sekisho::record::{Actor, Origin};
use sekisho::store::{Clock, Hands};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use crate::answers::{basic, time};
use crate::turns;

pub const DAY: i64 = 86_400;
pub const SIGN: AuthorityId = AuthorityId(1);
pub const AUTH: AuthorityId = AuthorityId(2);

/// When the clocks of most tests begin: what is right then is right for ten years.
pub const START: &str = "2030-06-15T12:00:00Z";

/// Certificates there are: of cards for signing, and of phones, whose hold may be lifted.
pub const CARDS: usize = 4;
pub const PHONES: usize = 4;

pub struct World {
    _home: tempfile::TempDir,
    pub hands: Arc<Hands>,
    pub clock: Clock,
    office: Option<Arc<Office>>,
    pub certificates: Vec<Certificate>,
    /// Acknowledged as revoked for ever.
    pub revoked: BTreeSet<usize>,
    /// Octets of the answers signed so far.
    pub signed: u64,
}

#[derive(Clone)]
pub struct Certificate {
    pub authority: String,
    pub serial: SerialNumber,
    pub issuer: Arc<Issuer>,
}

impl Certificate {
    pub fn selector(&self) -> Selector {
        Selector::Named { authority: self.authority.clone(), serial: self.serial }
    }

    pub fn request(&self) -> Vec<u8> {
        request_for(&self.issuer, HashAlgorithm::Sha1, &self.serial)
    }
}

/// A data directory with authorities and certificates, made once and copied.
static TEMPLATE: LazyLock<(tempfile::TempDir, Vec<Certificate>)> =
    LazyLock::new(|| template(START.parse().unwrap()));

fn template(start: UnixTime) -> (tempfile::TempDir, Vec<Certificate>) {
    let home = tempfile::tempdir().unwrap();
    let data = DataDir::new(&home.path().join("data"));
    let hands = Hands::new(UnixTime::from_seconds(start.seconds() - 200 * DAY));
    let clock = Clock::by_hand(Arc::clone(&hands));
    office::init_at(&data, "SEKISHO-TEST", &clock).unwrap();
    hands.pass(Duration::from_secs(200 * DAY as u64 - 10));
    let office = open(&data, &clock);
    let issuers: BTreeMap<String, Arc<Issuer>> = [("sign", SIGN), ("auth", AUTH)]
        .map(|(name, id)| {
            let pem = fs::read(data.ca_certificate(name, Generation::FIRST)).unwrap();
            let der = pem::parse(pem).unwrap().into_contents();
            (name.to_owned(), Arc::new(Issuer::from_certificate(id, Generation::FIRST, &der).unwrap()))
        })
        .into();
    let kinds = [(CARDS, CertificateKind::CardSign), (PHONES, CertificateKind::PhoneAuth)];
    let kinds = kinds.into_iter().flat_map(|(count, kind)| std::iter::repeat_n(kind, count));
    let certificates = kinds.map(|kind| {
        let (authority, serial) = issue(&office, kind).unwrap();
        Certificate { issuer: Arc::clone(&issuers[&authority]), authority, serial }
    });
    let certificates = certificates.collect();
    office.publish(&[SIGN, AUTH], true).unwrap();
    office.stop().unwrap();
    (home, certificates)
}

pub fn issue(office: &Office, kind: CertificateKind) -> Result<(String, SerialNumber), OfficeError> {
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
    let pair = office.issue(&application, Origin::service())?;
    let one = &pair.certificates[0];
    Ok((one.authority.clone(), one.issued.certificate.serial))
}

pub fn open(data: &DataDir, clock: &Clock) -> Arc<Office> {
    let config = Config::read(&data.config()).unwrap();
    Office::start(data.clone(), config, clock.clone(), "http://127.0.0.1:8080".to_owned()).unwrap().0
}

impl World {
    /// At [`START`], the wall clock so many seconds off.
    pub fn new(off: i64) -> Self {
        Self::of(&TEMPLATE, START.parse().unwrap(), off)
    }

    /// At another time than [`START`], which takes a directory of its own.
    pub fn at(start: UnixTime) -> Self {
        Self::of(&template(start), start, 0)
    }

    fn of(template: &(tempfile::TempDir, Vec<Certificate>), start: UnixTime, off: i64) -> Self {
        let home = tempfile::tempdir().unwrap();
        copy(&template.0.path().join("data"), &home.path().join("data"));
        sekisho::office::bind(&DataDir::new(&home.path().join("data"))).unwrap();
        let hands = Hands::new(start);
        hands.step(off);
        let clock = Clock::by_hand(Arc::clone(&hands));
        let office = open(&DataDir::new(&home.path().join("data")), &clock);
        let certificates = template.1.clone();
        Self {
            _home: home,
            hands,
            clock,
            office: Some(office),
            certificates,
            revoked: BTreeSet::new(),
            signed: 0,
        }
    }

    /// Stops, in order or as by a crash, and starts by the wall clock as it is then.
    pub fn restart(&mut self, crash: bool) {
        if !crash {
            self.office().stop().unwrap();
        }
        let data = self.office().data().clone();
        // The directory is locked until the old office is gone.
        self.office = None;
        self.clock = Clock::by_hand(Arc::clone(&self.hands));
        self.office = Some(open(&data, &self.clock));
    }

    /// Starts anew with another setting.
    pub fn reconfigure(&mut self, before: &str, after: &str) {
        let path = self.office().data().config();
        let settings = fs::read_to_string(&path).unwrap();
        assert!(settings.contains(before), "{settings}");
        fs::write(&path, settings.replace(before, after)).unwrap();
        self.restart(false);
    }

    pub fn office(&self) -> &Arc<Office> {
        self.office.as_ref().unwrap()
    }

    /// Time passes; what the office does by itself is done.
    pub fn pass(&self, seconds: u64) {
        self.hands.pass(Duration::from_secs(seconds));
        self.watch();
    }

    /// The wall clock steps, and is looked at.
    pub fn step(&self, seconds: i64) {
        self.hands.step(seconds);
        self.watch();
    }

    fn watch(&self) {
        if self.office().watch_clock().is_none() {
            drop(self.office().renew_signers());
        }
    }

    pub fn change(&mut self, number: usize, wish: Wish) -> Result<Changed, OfficeError> {
        let certificate = self.certificates[number].selector();
        let changed = turns::change(self.office(), &certificate, wish, Origin::service());
        if changed.is_ok() && matches!(wish, Wish::Revoke(_)) {
            self.revoked.insert(number);
        }
        changed
    }

    pub fn revoke(&mut self, number: usize) -> Changed {
        self.change(number, Wish::revoke(Some(RevocationReason::Superseded), None)).unwrap()
    }

    pub fn job(&self, number: usize) -> Option<Job> {
        match self.office().responder().respond(&self.certificates[number].request(), self.clock.now()) {
            Respond::Sign(job) | Respond::Refresh(_, job) => Some(job),
            Respond::Ready(_) => None,
        }
    }

    /// Asks, and holds the answer to the order of times; none when there is none.
    pub fn ask(&mut self, number: usize) -> Option<SingleResponse> {
        let request = self.certificates[number].request();
        let mut respond = self.office().responder().respond(&request, self.clock.now());
        let answer = loop {
            match respond {
                Respond::Ready(answer) | Respond::Refresh(answer, _) => break answer,
                Respond::Sign(job) => {
                    assert!(!self.clock.is_frozen(), "signed while the clock is not believed");
                    self.signed += 1;
                    let made = job.sign();
                    respond = self.office().responder().finish(job, made, self.clock.now());
                }
            }
        };
        if answer.body.len() < 10 {
            return None;
        }
        let single = self.check_order(&answer.body);
        if self.revoked.contains(&number) {
            assert!(matches!(single.cert_status, CertStatus::Revoked(_)), "{single:?}");
        }
        Some(single)
    }

    /// revocationTime ≤ thisUpdate ≤ producedAt < nextUpdate ≤ notAfter of the signer, which is
    /// valid when it signs; and nothing is dated ahead of what the service holds to be now.
    fn check_order(&self, body: &[u8]) -> SingleResponse {
        let basic = basic(body);
        let [single] = <[SingleResponse; 1]>::try_from(basic.tbs_response_data.responses).unwrap();
        let produced_at = time(&basic.tbs_response_data.produced_at);
        let (this_update, next_update) =
            (time(&single.this_update), time(single.next_update.as_ref().unwrap()));
        if let CertStatus::Revoked(revoked) = &single.cert_status {
            assert!(time(&revoked.revocation_time) <= this_update, "{single:?}");
        }
        assert!(this_update <= produced_at && produced_at < next_update, "{single:?} {produced_at}");
        let now = self.clock.now().max(self.office().store().recorded_at());
        assert!(produced_at <= now.plus(Duration::from_secs(5)), "{produced_at} is ahead of {now}");
        assert!(now < next_update, "{next_update} is over at {now}");
        let certificate = rasn::der::encode(&basic.certs.unwrap()[0]).unwrap();
        let (_, signer) = X509Certificate::from_der(&certificate).unwrap();
        let validity = signer.validity();
        assert!(validity.not_before.timestamp() <= produced_at.seconds(), "{produced_at}");
        assert!(next_update.seconds() <= validity.not_after.timestamp());
        single
    }

    /// Publishes, and holds every CRL to the order of times; how many entries the full ones have.
    pub fn publish(&self, scheduled: bool) -> usize {
        let before = self.office().served_catalogue().unwrap().unwrap();
        let set = self.office().publish(&[SIGN, AUTH], scheduled).unwrap();
        let catalogue = self.office().served_catalogue().unwrap().unwrap();
        assert!(catalogue.number > before.number);
        let now = self.clock.now().max(self.office().store().recorded_at());
        assert!(set.this_update <= now && now < set.next_update);
        let own = catalogue.crls.iter().filter(|row| row.set == set.number.to_string());
        let crls = own.map(|row| {
            let path = self.office().data().crl().join(row.url.strip_prefix("/crl/").unwrap());
            let octets = fs::read(path).unwrap();
            let (_, crl) = CertificateRevocationList::from_der(&octets).unwrap();
            assert_eq!(crl.last_update().timestamp(), set.this_update.seconds());
            let entries = crl.iter_revoked_certificates().count();
            for entry in crl.iter_revoked_certificates() {
                assert!(entry.revocation_date.timestamp() <= crl.last_update().timestamp());
            }
            if row.url.ends_with("/full.crl") { entries } else { 0 }
        });
        crls.sum()
    }

    pub fn release(&self) -> office::ClockRelease {
        self.office().release_clock(operator()).unwrap()
    }

    /// OCSP, records and CRLs agree, and nothing else is wrong.
    pub fn assert_well(&self) {
        // No schedule runs here, so a day's set is overdue whenever a day has passed.
        let overdue: Vec<String> = self.office().overdue().iter().map(ToString::to_string).collect();
        let findings = self.office().examine(None).unwrap().findings;
        let wrong: Vec<_> = findings.into_iter().filter(|finding| !overdue.contains(finding)).collect();
        assert_eq!(wrong, Vec::<String>::new());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.office().stop());
    }
}

pub fn operator() -> Origin {
    Origin::of(Actor::new("uid:4711").unwrap())
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
