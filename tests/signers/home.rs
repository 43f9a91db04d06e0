//! An office whose clock the test holds, and what its answers say.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rasn_ocsp::BasicOcspResponse;
use sekisho::config::Config;
use sekisho::der::UnixTime;
use sekisho::ocsp::{Respond, request_for};
use sekisho::office::data::DataDir;
use sekisho::office::{self, Office, OfficeError};
use sekisho::pki::{
    AuthorityId, CertificateKind, Generation, HashAlgorithm, Issuer, PublicKey, SerialNumber,
};
use sekisho::store::Clock;

use crate::world::{basic, time};

pub const DAY: i64 = 86_400;

/// All four kinds, P-256 first.
pub const ALL: &str = r#"signers = ["p256", "rsa2048", "p384", "ed25519"]"#;

/// What is written in new settings.
pub const DEFAULT: &str = r#"signers = ["p256", "rsa2048"]"#;

pub struct Home {
    pub home: tempfile::TempDir,
    pub clock: Arc<AtomicI64>,
    pub office: Option<Arc<Office>>,
}

/// A data directory with these signers in its settings.
pub fn init(data: &Path, signers: &str) {
    let data = DataDir::new(data);
    office::init(&data, "SEKISHO-TEST").unwrap();
    let text = fs::read_to_string(data.config()).unwrap();
    assert!(text.contains(DEFAULT));
    fs::write(data.config(), text.replace(DEFAULT, signers)).unwrap();
}

impl Home {
    /// Not started yet.
    pub fn new(signers: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        init(&home.path().join("data"), signers);
        let clock = Arc::new(AtomicI64::new(Clock::system().now().seconds() + 2));
        Self { home, clock, office: None }
    }

    pub fn started(signers: &str) -> Self {
        let mut home = Self::new(signers);
        home.start().unwrap();
        home
    }

    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    pub fn now(&self) -> UnixTime {
        UnixTime::from_seconds(self.clock.load(Ordering::SeqCst))
    }

    pub fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    pub fn start(&mut self) -> Result<(), OfficeError> {
        let data = DataDir::new(&self.data());
        let config = Config::read(&data.config()).unwrap();
        let clock = Clock::simulated(Arc::clone(&self.clock));
        let (office, _) = Office::start(data, config, clock, "http://127.0.0.1:8080".to_owned())?;
        self.office = Some(office);
        Ok(())
    }

    pub fn stop(&mut self) {
        if let Some(office) = self.office.take() {
            office.stop().unwrap();
        }
    }

    pub fn office(&self) -> &Arc<Office> {
        self.office.as_ref().unwrap()
    }

    /// Signers made here, expired ones included.
    pub fn made(&self) -> usize {
        let facts = self.office().store().facts();
        facts.issuers.iter().filter(|record| record.issued.kind == CertificateKind::OcspSigner).count()
    }

    pub fn keys(&self) -> usize {
        fs::read_dir(self.data().join("keys")).unwrap().count()
    }

    /// Asks about the first serial of the CA: its own certificate.
    pub fn ask_about(&self, ca: &Issuer) -> Vec<u8> {
        ask(self.office(), &request_for(ca, HashAlgorithm::Sha1, &ca.serial), self.now())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(office) = self.office.take() {
            drop(office.stop());
        }
    }
}

/// The answer to a request, signed where need be.
pub fn ask(office: &Office, request: &[u8], now: UnixTime) -> Vec<u8> {
    let mut respond = office.responder().respond(request, now);
    loop {
        match respond {
            Respond::Ready(answer) | Respond::Refresh(answer, _) => return answer.body,
            Respond::Sign(job) => {
                let signature = job.sign();
                respond = office.responder().finish(job, signature, now);
            }
        }
    }
}

/// The only CA certificate of an authority's generation.
pub fn issuer(office: &Office, authority: u8, generation: u8) -> Issuer {
    let (authority, generation) = (AuthorityId(authority), Generation::new(generation).unwrap());
    let path = office.data().ca_certificate(if authority.0 == 1 { "sign" } else { "auth" }, generation);
    let der = pem::parse(fs::read(path).unwrap()).unwrap().into_contents();
    Issuer::from_certificate(authority, generation, &der).unwrap()
}

pub fn serial(number: u64) -> SerialNumber {
    SerialNumber::try_from(number).unwrap()
}

/// The signer's certificate that an answer carries, once the answer is found right: signed by
/// it, it by `ca`, valid at the time of the answer, and the answer no longer than it.
pub fn verified(body: &[u8], ca: &Issuer) -> Vec<u8> {
    let basic: BasicOcspResponse = basic(body);
    let certificate = rasn::der::encode(&basic.certs.as_ref().unwrap()[0]).unwrap();
    let signer = Issuer::from_certificate(ca.authority, ca.generation, &certificate).unwrap();
    let key = PublicKey::from_spki(&signer.spki).unwrap();
    let data = rasn::der::encode(&basic.tbs_response_data).unwrap();
    key.verify(&data, basic.signature.as_raw_slice()).unwrap();
    let (_, read) = x509_parser::parse_x509_certificate(&certificate).unwrap();
    let ca_key = PublicKey::from_spki(&ca.spki).unwrap();
    ca_key.verify(read.tbs_certificate.as_ref(), &read.signature_value.data).unwrap();
    let produced_at = time(&basic.tbs_response_data.produced_at);
    assert!(signer.not_before <= produced_at && produced_at < signer.not_after);
    for single in &basic.tbs_response_data.responses {
        let next_update = time(single.next_update.as_ref().unwrap());
        assert!(produced_at < next_update && next_update <= signer.not_after, "{next_update}");
    }
    certificate
}
