//! A responder with keys of its own, certificates 1 to N issued, every twentieth revoked.

#![allow(dead_code, reason = "the tests and the bench each use a part")]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sekisho::der::{UnixTime, Writer, tag};
use sekisho::ocsp::{Options, Respond, Responder, Signer, SigningIdentity};
use sekisho::pki::{
    AuthorityId, CertificateKind, Generation, HashAlgorithm, Issuer, Revocation, RevocationReason,
    SerialNumber, oid,
};
use sekisho::record::{
    ArchivePlace, CertificateRef, Entry, Event, Issued, Numbered, Origin, Position, StatusChange,
};
use sekisho::signer::Key;
use sekisho::status::StatusIndex;

pub const AUTHORITY: AuthorityId = AuthorityId(1);

/// What the signer signs with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SignsWith {
    P256,
    Rsa2048,
}

pub struct World {
    pub responder: Arc<Responder>,
    pub status: Arc<StatusIndex>,
    pub questions: Questions,
}

/// Writes requests about the certificates of one issuer.
pub struct Questions {
    pub name_hash: Vec<u8>,
    pub key_hash: Vec<u8>,
}

impl World {
    pub fn new(signs_with: SignsWith, certificates: u64) -> Self {
        let day = time::Duration::days(1);
        let today = time::OffsetDateTime::now_utc();
        let mut ca = rcgen::CertificateParams::default();
        ca.distinguished_name = rcgen::DistinguishedName::new();
        ca.distinguished_name.push(rcgen::DnType::CommonName, "Test CA");
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.not_before = today - day * 30;
        ca.not_after = today + day * 3000;
        let ca_key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        let issuer =
            Arc::new(Issuer::from_certificate(AUTHORITY, Generation::FIRST, ca_certificate.der()).unwrap());
        let signer_key = match signs_with {
            SignsWith::P256 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap(),
            SignsWith::Rsa2048 => {
                rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap()
            }
        };
        let mut signer = rcgen::CertificateParams::default();
        signer.distinguished_name = rcgen::DistinguishedName::new();
        signer.distinguished_name.push(rcgen::DnType::CommonName, "Test OCSP signer");
        signer.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::OcspSigning];
        signer.not_before = today - day;
        signer.not_after = today + day * 30;
        let ca_issuer = rcgen::Issuer::from_params(&ca, &ca_key);
        let certificate = signer.signed_by(&signer_key, &ca_issuer).unwrap();
        let signer = Signer {
            key: Arc::new(Key::from_pkcs8(&signer_key.serialize_der()).unwrap()),
            certificate: certificate.der().to_vec(),
            not_after: UnixTime::from_seconds(signer.not_after.unix_timestamp()),
        };
        let status = Arc::new(StatusIndex::new());
        let responder = Arc::new(Responder::new(Arc::clone(&status), Options::default()));
        let name_hash = issuer.name_hash(HashAlgorithm::Sha1);
        let key_hash = issuer.key_hash(HashAlgorithm::Sha1);
        responder.install(&[SigningIdentity { issuer, signers: vec![Arc::new(signer)] }]);
        let questions = Questions { name_hash, key_hash };
        let world = Self { responder, status, questions };
        world.issue(certificates);
        world
    }

    fn issue(&self, certificates: u64) {
        let recorded_at = now().minus(Duration::from_secs(3600));
        let mut serial = 1;
        while serial <= certificates {
            let batch: Vec<Numbered> = (serial..=certificates)
                .take(10_000)
                .map(|serial| Numbered { position: Position(serial), entry: issued(serial, recorded_at) })
                .collect();
            serial += 10_000;
            self.status.apply(&batch).unwrap();
        }
        for serial in (20..=certificates).step_by(20) {
            self.revoke_at(serial, recorded_at);
        }
    }

    pub fn revoke(&self, serial: u64) {
        self.revoke_at(serial, now());
    }

    fn revoke_at(&self, serial: u64, at: UnixTime) {
        let became =
            Revocation { revoked_at: at, reason: RevocationReason::KeyCompromise, invalidity_date: None };
        let change = StatusChange { certificate: certificate(serial), became, change: 1, cause: None };
        let event = Event::Revoked(change);
        let entry = Entry { recorded_at: at, origin: Origin::service(), event };
        self.status.apply(&[Numbered { position: self.status.position().next(), entry }]).unwrap();
    }

    pub fn answer(&self, request: &[u8]) -> Vec<u8> {
        let mut next = self.responder.respond(request, now());
        loop {
            match next {
                Respond::Ready(answer) | Respond::Refresh(answer, _) => return answer.body,
                Respond::Sign(job) => {
                    let made = job.sign();
                    next = self.responder.finish(job, made, now());
                }
            }
        }
    }

    pub fn cert_id(&self, serial: u64) -> Vec<u8> {
        self.questions.cert_id(serial)
    }

    pub fn request(&self, serial: u64, nonce: Option<&[u8]>) -> Vec<u8> {
        self.questions.request(serial, nonce)
    }
}

impl Questions {
    /// A CertID with SHA-1, DER.
    pub fn cert_id(&self, serial: u64) -> Vec<u8> {
        Writer::to_der(|w| {
            w.sequence(|w| {
                w.sequence(|w| {
                    w.oid(&oid::SHA1);
                    w.null();
                });
                w.octet_string(&self.name_hash);
                w.octet_string(&self.key_hash);
                SerialNumber::try_from(serial).unwrap().write(w);
            });
        })
    }

    /// An OCSPRequest, DER.
    pub fn request(&self, serial: u64, nonce: Option<&[u8]>) -> Vec<u8> {
        let cert_id = self.cert_id(serial);
        Writer::to_der(|w| {
            w.sequence(|w| {
                w.sequence(|w| {
                    w.sequence(|w| w.sequence(|w| w.raw(&cert_id)));
                    if let Some(nonce) = nonce {
                        w.nested(tag::context_constructed(2), |w| {
                            w.sequence(|w| {
                                w.sequence(|w| {
                                    w.oid(&oid::OCSP_NONCE);
                                    w.octet_string_of(|w| w.octet_string(nonce));
                                });
                            });
                        });
                    }
                });
            });
        })
    }
}

fn certificate(serial: u64) -> CertificateRef {
    CertificateRef {
        authority: AUTHORITY,
        generation: Generation::FIRST,
        serial: SerialNumber::try_from(serial).unwrap(),
    }
}

fn issued(serial: u64, recorded_at: UnixTime) -> Entry {
    Entry {
        recorded_at,
        origin: Origin::service(),
        event: Event::Issued(Issued {
            certificate: certificate(serial),
            kind: CertificateKind::CardSign,
            partition: None,
            not_before: recorded_at,
            not_after: recorded_at.plus(Duration::from_secs(5 * 365 * 86_400)),
            archive: ArchivePlace(serial),
            sha256: [0; 32],
            holder: None,
            card: None,
            twin: None,
        }),
    }
}

pub fn now() -> UnixTime {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixTime::default().plus(since_1970)
}

/// Plain base64 (RFC 4648 §4).
pub fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in octets.chunks(3) {
        let value = group.iter().fold(0_u32, |v, b| v << 8 | u32::from(*b)) << (8 * (3 - group.len()));
        for i in 0..4 {
            out.push(if i <= group.len() {
                char::from(DIGITS[(value >> (18 - 6 * i) & 63) as usize])
            } else {
                '='
            });
        }
    }
    out
}
