//! Authorities, signers and a journal for the tests of OCSP: real keys, real certificates.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rasn_ocsp::{BasicOcspResponse, OcspResponse, OcspResponseStatus, SingleResponse};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use sekisho::der::{UnixTime, Writer, tag};
use sekisho::ocsp::{Answer, Options, Respond, Responder, Signer, SigningIdentity};
use sekisho::pki::{
    AuthorityId, CertificateKind, Generation, HashAlgorithm, Issuer, Revocation, RevocationReason,
    SerialNumber, oid,
};
use sekisho::record::{
    ArchivePlace, CertificateRef, Entry, Event, Issued, Numbered, Origin, Position, StatusChange,
};
use sekisho::signer::Key;
use sekisho::status::StatusIndex;

pub const T0: i64 = 1_790_000_000;

pub fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(T0 + seconds)
}

pub fn serial(number: u64) -> SerialNumber {
    SerialNumber::try_from(number).unwrap()
}

pub fn generation(number: u8) -> Generation {
    Generation::new(number).unwrap()
}

/// One generation of an authority with its private key.
pub struct Ca {
    pub rcgen: rcgen::Issuer<'static, KeyPair>,
    pub issuer: Arc<Issuer>,
    pub pem: String,
}

impl Ca {
    pub fn new(authority: u8, number: u8, key: KeyPair) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CountryName, "JP");
        params.distinguished_name.push(DnType::OrganizationName, "JPKI test");
        params.distinguished_name.push(DnType::OrganizationalUnitName, format!("authority {authority}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(u64::from(number).into());
        let certificate = params.self_signed(&key).unwrap();
        let issuer =
            Issuer::from_certificate(AuthorityId(authority), generation(number), certificate.der()).unwrap();
        Self { rcgen: rcgen::Issuer::new(params, key), issuer: Arc::new(issuer), pem: certificate.pem() }
    }

    pub fn p256(authority: u8, number: u8) -> Self {
        Self::new(authority, number, KeyPair::generate().unwrap())
    }

    pub fn rsa(authority: u8, number: u8) -> Self {
        Self::new(authority, number, rsa_key())
    }

    /// A delegated signer (RFC 6960 §4.2.2.2).
    pub fn signer(&self, key: &KeyPair, not_after: UnixTime) -> Arc<Signer> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "OCSP signer");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        params.use_authority_key_identifier_extension = true;
        params.not_after = not_after.date_time();
        let nocheck = [1, 3, 6, 1, 5, 5, 7, 48, 1, 5];
        params.custom_extensions = vec![CustomExtension::from_oid_content(&nocheck, vec![5, 0])];
        let certificate = params.signed_by(key, &self.rcgen).unwrap();
        Arc::new(Signer {
            key: Arc::new(Key::from_pkcs8(&key.serialize_der()).unwrap()),
            certificate: certificate.der().to_vec(),
            not_after,
        })
    }

    /// A resident's certificate, PEM.
    pub fn resident(&self, serial: u64) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("resident {serial}"));
        params.serial_number = Some(serial.into());
        params.signed_by(&KeyPair::generate().unwrap(), &self.rcgen).unwrap().pem()
    }

    pub fn identity(&self) -> SigningIdentity {
        self.identity_until(at(3_650 * 86_400))
    }

    pub fn identity_until(&self, not_after: UnixTime) -> SigningIdentity {
        let signer = self.signer(&KeyPair::generate().unwrap(), not_after);
        SigningIdentity { issuer: Arc::clone(&self.issuer), signers: vec![signer] }
    }

    pub fn identity_rsa(&self) -> SigningIdentity {
        let signer = self.signer(&rsa_key(), at(3_650 * 86_400));
        SigningIdentity { issuer: Arc::clone(&self.issuer), signers: vec![signer] }
    }

    /// A CertID, its parameters NULL.
    pub fn cert_id(&self, hash: HashAlgorithm, serial: u64) -> Vec<u8> {
        self.cert_id_of(hash, true, &SerialNumber::try_from(serial).unwrap())
    }

    pub fn cert_id_of(&self, hash: HashAlgorithm, null: bool, serial: &SerialNumber) -> Vec<u8> {
        let (name, key) = (self.issuer.name_hash(hash), self.issuer.key_hash(hash));
        cert_id(&hash.oid(), null, &name, &key, serial)
    }

    /// The plainest request: one SHA-1 CertID.
    pub fn ask(&self, serial: u64) -> Vec<u8> {
        Ask::one(self.cert_id(HashAlgorithm::Sha1, serial)).to_der()
    }
}

pub fn rsa_key() -> KeyPair {
    KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap()
}

pub fn cert_id(
    hash: &sekisho::der::Oid,
    null: bool,
    name: &[u8],
    key: &[u8],
    serial: &SerialNumber,
) -> Vec<u8> {
    Writer::to_der(|w| {
        w.sequence(|w| {
            w.sequence(|w| {
                w.oid(hash);
                if null {
                    w.null();
                }
            });
            w.octet_string(name);
            w.octet_string(key);
            serial.write(w);
        });
    })
}

/// The parts of a request, each as it shall stand in it.
#[derive(Clone, Default)]
pub struct Ask {
    pub version: Option<Vec<u8>>,
    pub requestor_name: Option<Vec<u8>>,
    /// Contents of each Request.
    pub requests: Vec<Vec<u8>>,
    pub extensions: Option<Vec<Vec<u8>>>,
    pub signature: Option<Vec<u8>>,
}

impl Ask {
    pub fn one(cert_id: Vec<u8>) -> Self {
        Self { requests: vec![cert_id], ..Self::default() }
    }

    pub fn several(cert_ids: &[Vec<u8>]) -> Self {
        Self { requests: cert_ids.to_vec(), ..Self::default() }
    }

    pub fn with(mut self, extension: Vec<u8>) -> Self {
        self.extensions.get_or_insert_default().push(extension);
        self
    }

    pub fn to_der(&self) -> Vec<u8> {
        let context = |w: &mut Writer, number, content: &Option<Vec<u8>>| {
            if let Some(content) = content {
                w.nested(tag::context_constructed(number), |w| w.raw(content));
            }
        };
        Writer::to_der(|w| {
            w.sequence(|w| {
                w.sequence(|w| {
                    context(w, 0, &self.version);
                    context(w, 1, &self.requestor_name);
                    w.sequence(|w| self.requests.iter().for_each(|request| w.sequence(|w| w.raw(request))));
                    if let Some(extensions) = &self.extensions {
                        let list =
                            Writer::to_der(|w| w.sequence(|w| extensions.iter().for_each(|e| w.raw(e))));
                        context(w, 2, &Some(list));
                    }
                });
                context(w, 0, &self.signature);
            });
        })
    }
}

/// An Extension; `critical` as it shall be written, or left out.
pub fn extension(id: &sekisho::der::Oid, critical: Option<bool>, value: &[u8]) -> Vec<u8> {
    Writer::to_der(|w| {
        w.sequence(|w| {
            w.oid(id);
            if let Some(critical) = critical {
                w.boolean(critical);
            }
            w.octet_string(value);
        });
    })
}

pub fn nonce(octets: &[u8]) -> Vec<u8> {
    extension(&oid::OCSP_NONCE, None, &Writer::to_der(|w| w.octet_string(octets)))
}

/// A status index with its journal, and a responder over it.
pub struct World {
    pub status: Arc<StatusIndex>,
    pub responder: Arc<Responder>,
    position: AtomicU64,
}

impl World {
    pub fn new(identities: &[SigningIdentity], options: Options) -> Self {
        let status = Arc::new(StatusIndex::new());
        let responder = Arc::new(Responder::new(Arc::clone(&status), options));
        responder.install(identities);
        Self { status, responder, position: AtomicU64::new(0) }
    }

    pub fn of(ca: &Ca) -> Self {
        Self::new(&[ca.identity()], Options::default())
    }

    pub fn append(&self, recorded_at: UnixTime, event: Event) {
        let position = Position(self.position.fetch_add(1, Ordering::Relaxed) + 1);
        let entry = Entry { recorded_at, origin: Origin::service(), event };
        self.status.apply(&[Numbered { position, entry }]).unwrap();
    }

    pub fn issue(&self, ca: &Ca, serial: SerialNumber, recorded_at: UnixTime) {
        self.append(
            recorded_at,
            Event::Issued(Issued {
                certificate: certificate(ca, serial),
                kind: CertificateKind::CardSign,
                partition: None,
                not_before: recorded_at,
                not_after: UnixTime::MAX,
                archive: ArchivePlace(0),
                sha256: [0; 32],
                holder: None,
                card: None,
                twin: None,
            }),
        );
    }

    pub fn revoke(&self, ca: &Ca, number: u64, reason: RevocationReason, change: u32, when: UnixTime) {
        self.revoke_since(ca, number, reason, change, when, when);
    }

    pub fn revoke_since(
        &self,
        ca: &Ca,
        number: u64,
        reason: RevocationReason,
        change: u32,
        revoked_at: UnixTime,
        recorded_at: UnixTime,
    ) {
        let became = Revocation { revoked_at, reason, invalidity_date: None };
        let certificate = certificate(ca, serial(number));
        self.append(recorded_at, Event::Revoked(StatusChange { certificate, became, change, cause: None }));
    }

    pub fn release(&self, ca: &Ca, number: u64, change: u32, recorded_at: UnixTime) {
        let certificate = certificate(ca, serial(number));
        self.append(
            recorded_at,
            Event::Released(StatusChange { certificate, became: (), change, cause: None }),
        );
    }

    /// Asks, signing wherever it is needed.
    pub fn answer(&self, request: &[u8], now: UnixTime) -> Answer {
        let mut respond = self.responder.respond(request, now);
        loop {
            match respond {
                Respond::Ready(answer) | Respond::Refresh(answer, _) => return answer,
                Respond::Sign(job) => {
                    let signature = job.sign();
                    respond = self.responder.finish(job, signature, now);
                }
            }
        }
    }

    /// The status of an answer that carries no bytes.
    pub fn error(&self, request: &[u8], now: UnixTime) -> OcspResponseStatus {
        let answer = self.answer(request, now);
        let response: OcspResponse = rasn::der::decode(&answer.body).unwrap();
        assert_eq!(response.bytes, None, "{response:?}");
        response.status
    }

    pub fn singles(&self, request: &[u8], now: UnixTime) -> Vec<SingleResponse> {
        basic(&self.answer(request, now).body).tbs_response_data.responses
    }

    pub fn single(&self, request: &[u8], now: UnixTime) -> SingleResponse {
        let [single] = <[SingleResponse; 1]>::try_from(self.singles(request, now)).unwrap();
        single
    }
}

fn certificate(ca: &Ca, serial: SerialNumber) -> CertificateRef {
    CertificateRef { authority: ca.issuer.authority, generation: ca.issuer.generation, serial }
}

/// Reads a successful answer; it is the only DER for what it says.
pub fn basic(body: &[u8]) -> BasicOcspResponse {
    let response: OcspResponse = rasn::der::decode(body).unwrap();
    assert_eq!(response.status, OcspResponseStatus::Successful);
    assert_eq!(rasn::der::encode(&response).unwrap(), body);
    let octets = response.bytes.unwrap().response;
    let basic: BasicOcspResponse =
        rasn::der::decode(&octets).unwrap_or_else(|error| panic!("{error}: {octets:02x?}"));
    assert_eq!(rasn::der::encode(&basic).unwrap(), octets.to_vec());
    basic
}

pub fn time(time: &rasn::types::GeneralizedTime) -> UnixTime {
    UnixTime::from_seconds(time.timestamp())
}

pub fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}
