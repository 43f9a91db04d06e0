//! An office, cards in it, and what OCSP and CRLs say of them.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rasn_ocsp::CertStatus;
use sekisho::config::Config;
use sekisho::der::UnixTime;
use sekisho::lifecycle::Turn;
use sekisho::ocsp::{Respond, request_for};
use sekisho::office::data::DataDir;
use sekisho::office::{
    self, Application, CardApplication, CardTurned, Effect, IssuedPair, Office, OfficeError, Place, Reported,
    Spelling, Subject, SubjectKeySource,
};
use sekisho::pki::{
    AuthorityId, CarrierState, CertificateKind, Generation, HashAlgorithm, Issuer, Partition, SerialNumber,
};
use sekisho::record::{Actor, CardId, HolderId, Origin};
use sekisho::store::Clock;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use crate::answers::basic;

pub const SIGN: AuthorityId = AuthorityId(1);
pub const AUTH: AuthorityId = AuthorityId(2);

/// Two wards of one designated city (Sapporo-shi Chuo-ku, Kita-ku), and a city.
pub const WARD: Partition = Partition(1101);
pub const OTHER_WARD: Partition = Partition(1102);
pub const CITY: Partition = Partition(13221);

pub struct World {
    home: tempfile::TempDir,
    clock: Arc<AtomicI64>,
    office: Option<Arc<Office>>,
    events: u32,
}

/// A card or phone with a pair.
#[derive(Debug, Clone, Copy)]
pub struct Carried {
    pub card: CardId,
    pub holder: HolderId,
    pub sign: SerialNumber,
    pub auth: SerialNumber,
}

/// A person with a card in use and a phone.
#[derive(Debug, Clone, Copy)]
pub struct Resident {
    pub card: Carried,
    pub phone: Carried,
}

impl World {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        office::init(&data, "SEKISHO-TEST").unwrap();
        let clock = Arc::new(AtomicI64::new(Clock::system().now().seconds() + 2));
        let mut world = Self { home, clock, office: None, events: 0 };
        world.start();
        world
    }

    fn start(&mut self) {
        let data = DataDir::new(&self.home.path().join("data"));
        let config = Config::read(&data.config()).unwrap();
        let clock = Clock::simulated(Arc::clone(&self.clock));
        let (office, _) = Office::start(data, config, clock, "http://127.0.0.1:8080".to_owned()).unwrap();
        self.office = Some(office);
    }

    /// Stops in order, lets something be done to the data directory, and starts again.
    pub fn restart_after(&mut self, change: impl FnOnce(&DataDir)) {
        self.office().stop().unwrap();
        let data = self.office().data().clone();
        self.office = None;
        change(&data);
        self.start();
    }

    /// Stops in order, or as by a crash, and starts again.
    pub fn restart(&mut self, crash: bool) {
        if !crash {
            self.office().stop().unwrap();
        }
        self.office = None;
        self.start();
    }

    pub fn office(&self) -> &Arc<Office> {
        self.office.as_ref().unwrap()
    }

    pub fn now(&self) -> UnixTime {
        UnixTime::from_seconds(self.clock.load(Ordering::SeqCst))
    }

    pub fn pass(&self, seconds: i64) -> UnixTime {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
        self.now()
    }

    pub fn apply(&self, holder: Option<HolderId>) -> Result<CardId, OfficeError> {
        let asked = CardApplication { holder, municipality: WARD, expires: None };
        Ok(self.office().apply_for_card(&asked, Origin::service())?.card)
    }

    pub fn issue(&self, place: Place, kinds: &[CertificateKind]) -> Result<IssuedPair, OfficeError> {
        let application = Application {
            name: "関所 花子".to_owned(),
            birth: "1982-02-17".to_owned(),
            sex: "female".to_owned(),
            address: "北海道札幌市中央区".to_owned(),
            spelling: Spelling::default(),
            municipality: WARD,
            kinds: kinds.to_vec(),
            subject_key: SubjectKeySource::TestKey,
            place,
        };
        self.office().issue(&application, Origin::service())
    }

    /// A card applied for and issued, which waits at the counter.
    pub fn waiting_card(&self, holder: Option<HolderId>) -> Carried {
        let card = self.apply(holder).unwrap();
        self.pair(Place::Card(card), [CertificateKind::CardSign, CertificateKind::CardAuth])
    }

    pub fn pair(&self, place: Place, kinds: [CertificateKind; 2]) -> Carried {
        let pair = self.issue(place, &kinds).unwrap();
        let [sign, auth] = <[_; 2]>::try_from(pair.certificates).unwrap();
        self.pass(5);
        Carried {
            card: sign.issued.card.unwrap(),
            holder: sign.issued.holder.unwrap(),
            sign: sign.issued.certificate.serial,
            auth: auth.issued.certificate.serial,
        }
    }

    pub fn phone(&self, with: CardId) -> Carried {
        self.pair(Place::Phone { with }, [CertificateKind::PhoneSign, CertificateKind::PhoneAuth])
    }

    pub fn hand_over(&self, card: CardId) -> Result<bool, OfficeError> {
        Ok(self.office().hand_over(card, Origin::service())?.changed)
    }

    /// A card or phone lost, or found.
    pub fn turn(&self, card: CardId, turn: Turn) -> Result<CardTurned, OfficeError> {
        self.pass(2);
        let turned = self.office().turn(card, turn, Origin::service());
        self.pass(2);
        turned
    }

    pub fn state(&self, card: CardId) -> CarrierState {
        self.office().card(card).unwrap().card.status.state
    }

    pub fn resident(&self) -> Resident {
        let card = self.waiting_card(None);
        assert!(self.hand_over(card.card).unwrap());
        let phone = self.phone(card.card);
        Resident { card, phone }
    }

    pub fn event(&mut self, event: &str, subject: Subject) -> Reported {
        self.events += 1;
        Reported {
            event_id: format!("event-{}", self.events),
            event: event.to_owned(),
            subject,
            kind: None,
            municipality: None,
            effective_at: self.now(),
            reported_at: None,
        }
    }

    pub fn report(&self, reported: &Reported) -> Result<Effect, OfficeError> {
        let mut effects = self.office().report(std::slice::from_ref(reported), &Actor::service());
        assert_eq!(effects.len(), 1);
        effects.remove(0)
    }

    /// What OCSP says of a certificate: `good`, or the reason.
    pub fn ocsp(&self, authority: AuthorityId, serial: SerialNumber) -> String {
        let name = if authority == SIGN { "sign" } else { "auth" };
        let pem = fs::read(self.office().data().ca_certificate(name, Generation::FIRST)).unwrap();
        let der = pem::parse(pem).unwrap().into_contents();
        let issuer = Issuer::from_certificate(authority, Generation::FIRST, &der).unwrap();
        let request = request_for(&issuer, HashAlgorithm::Sha1, &serial);
        let mut respond = self.office().responder().respond(&request, self.now());
        let answer = loop {
            match respond {
                Respond::Ready(answer) | Respond::Refresh(answer, _) => break answer,
                Respond::Sign(job) => {
                    let made = job.sign();
                    respond = self.office().responder().finish(job, made, self.now());
                }
            }
        };
        match &basic(&answer.body).tbs_response_data.responses[0].cert_status {
            CertStatus::Good => "good".to_owned(),
            CertStatus::Unknown(()) => "unknown".to_owned(),
            CertStatus::Revoked(revoked) => {
                revoked.revocation_reason.map_or("unspecified".to_owned(), |reason| format!("{reason:?}"))
            }
        }
    }

    /// What the full CRL of an authority lists: reasons by serial.
    fn listed(&self, authority: &str) -> BTreeMap<Vec<u8>, String> {
        let catalogue = self.office().served_catalogue().unwrap().unwrap();
        let of =
            |row: &&sekisho::crl::Row| row.authority == authority && row.kind == sekisho::crl::CrlKind::Full;
        let row = catalogue.crls.iter().find(of).unwrap();
        let path = self.office().data().crl().join(row.url.strip_prefix("/crl/").unwrap());
        let octets = fs::read(path).unwrap();
        let (_, crl) = CertificateRevocationList::from_der(&octets).unwrap();
        let entries = crl.iter_revoked_certificates().map(|entry| {
            let reason = entry.reason_code().map_or(0, |(_, reason)| reason.0);
            let serial: Vec<u8> =
                entry.raw_serial().iter().copied().skip_while(|octet| *octet == 0).collect();
            (
                serial,
                [
                    "Unspecified",
                    "KeyCompromise",
                    "CACompromise",
                    "AffiliationChanged",
                    "Superseded",
                    "CessationOfOperation",
                    "CertificateHold",
                ][usize::from(reason)]
                .to_owned(),
            )
        });
        entries.collect()
    }

    /// What OCSP and the next CRL say of the four certificates; they must say the same.
    pub fn verdicts(&self, resident: &Resident) -> [String; 4] {
        let Resident { card, phone } = resident;
        let asked = [(SIGN, card.sign), (AUTH, card.auth), (SIGN, phone.sign), (AUTH, phone.auth)];
        let ocsp = asked.map(|(authority, serial)| self.ocsp(authority, serial));
        self.office().publish(&[SIGN, AUTH], false).unwrap();
        let (sign, auth) = (self.listed("sign"), self.listed("auth"));
        for ((authority, serial), said) in asked.iter().zip(&ocsp) {
            let listed = if *authority == SIGN { &sign } else { &auth };
            let listed = listed.get(serial.magnitude()).map_or("good", String::as_str);
            assert!(said.eq_ignore_ascii_case(listed), "OCSP: {said}, CRL: {listed}");
        }
        ocsp.map(|said| said.to_ascii_lowercase())
    }

    pub fn disagreements(&self) -> Vec<String> {
        self.office().reconcile().unwrap().1.iter().map(ToString::to_string).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(office) = &self.office {
            drop(office.stop());
        }
    }
}
