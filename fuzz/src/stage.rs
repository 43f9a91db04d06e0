//! The responder that requests are put to, and what must be true of every answer.

use std::sync::Arc;

use rasn_ocsp::{CertId, CertStatus, OcspResponse, OcspResponseStatus};
use rcgen::KeyPair;
use sekisho::der::UnixTime;
use sekisho::issue::test_material;
use sekisho::ocsp::{Answer, Caching, Options, Respond, SigningIdentity};
use sekisho::pki::{AuthorityId, HashAlgorithm, Issuer, RevocationReason, oid};

use crate::reading::{Reading, counts_beyond_rasn, is_der_to_rasn};
use crate::world::{Ca, World, at, basic, generation, serial};

/// The certificates there are, and what became of them. The seeds ask about the first.
const GOOD: u64 = 0x402;
const REVOKED: u64 = 0x403;
const HELD: u64 = 0x404;
const RELEASED: u64 = 0x405;

/// Memory for signatures: so little that they push each other out all the time.
const CACHE_BYTES: usize = 1 << 18;
/// The signer's certificate ends so long after the requests come that it limits nothing.
const SIGNER_DAYS: i64 = 3_650;
/// Times a job is ended for one answer: once, since no status changes meanwhile.
const JOBS_MAX: usize = 1;

/// Seconds after the first answer: it is given again; its signature is due; it is too old.
const SOON: i64 = 60;
const DUE: i64 = 890;
const OLD: i64 = 3_600;

pub struct Stage {
    issuer: Arc<Issuer>,
    world: World,
    /// Stands for every signature: whoever asks here looks at the form only.
    signature: Vec<u8>,
}

impl Stage {
    /// The committed authority, which the seeds name, with a P-256 signer.
    pub fn new() -> Self {
        let (certificate, _) = test_material::authority("sign").unwrap();
        let issuer = Issuer::from_certificate(AuthorityId(1), generation(1), &certificate).unwrap();
        let ca = Ca { issuer: Arc::new(issuer), ..Ca::p256(1, 1) };
        let signer = ca.signer(&KeyPair::generate().unwrap(), at(SIGNER_DAYS * 86_400));
        let signature = signer.key.sign(b"any").unwrap();
        let identity = SigningIdentity { issuer: Arc::clone(&ca.issuer), signers: vec![signer] };
        let options =
            Options { cache_bytes: CACHE_BYTES, cache_long_bytes: CACHE_BYTES, ..Options::default() };
        let world = World::new(&[identity], options);
        for number in [GOOD, REVOKED, HELD, RELEASED] {
            world.issue(&ca, serial(number), at(-1_000));
        }
        world.revoke(&ca, REVOKED, RevocationReason::KeyCompromise, 1, at(-900));
        world.revoke(&ca, HELD, RevocationReason::CertificateHold, 1, at(-900));
        world.revoke(&ca, RELEASED, RevocationReason::CertificateHold, 1, at(-900));
        world.release(&ca, RELEASED, 2, at(-800));
        Self { issuer: ca.issuer, world, signature }
    }

    /// Asks at several times, and looks at the answers.
    pub fn check(&self, request: &[u8]) {
        let first = self.answer(request, at(0));
        let again = self.answer(request, at(0));
        assert_eq!(again.caching, first.caching, "the second answer is kept otherwise");
        assert_eq!(again.body, first.body, "the second answer differs");
        match self.reading_of_answered(request, &first) {
            None => return,
            Some(reading) => self.check_success(&reading, &first),
        }
        if let Caching::Until { .. } = first.caching {
            assert_eq!(self.answer(request, at(SOON)).body, first.body, "{SOON} s later it differs");
        }
        for later in [DUE, OLD] {
            let answer = self.answer(request, at(later));
            assert_eq!(answer.body.len(), first.body.len(), "{later} s later it is another answer");
            basic(&answer.body);
        }
    }

    /// What was asked, if it was answered; an error has five octets, and a reason.
    fn reading_of_answered(&self, request: &[u8], answer: &Answer) -> Option<Reading> {
        let response: OcspResponse = rasn::der::decode(&answer.body).unwrap();
        let reading = Reading::of(request);
        if response.status == OcspResponseStatus::Successful {
            assert!(reading.is_some() || counts_beyond_rasn(request), "rasn does not read what was answered");
            return reading;
        }
        assert_eq!((answer.body.len(), answer.caching), (5, Caching::NoStore));
        match (response.status, reading) {
            (OcspResponseStatus::MalformedRequest, None) => {}
            (OcspResponseStatus::MalformedRequest, Some(reading)) => {
                let refused = !is_der_to_rasn(request) || reading.refusal().is_some();
                assert!(refused, "refused without a reason: {reading:?}");
            }
            (OcspResponseStatus::Unauthorized, reading) => {
                let ours = reading.is_some_and(|reading| reading.questions().any(|q| self.is_ours(q)));
                assert!(!ours, "unauthorized for an authority served here");
            }
            (status, _) => panic!("{status:?}: nothing is wrong here"),
        }
        None
    }

    fn check_success(&self, reading: &Reading, answer: &Answer) {
        let data = basic(&answer.body).tbs_response_data;
        assert_eq!(data.responses.len(), reading.questions().count());
        for (question, single) in reading.questions().zip(&data.responses) {
            assert_eq!(*question, single.cert_id);
            assert_eq!(*rasn::der::encode(question).unwrap(), *rasn::der::encode(&single.cert_id).unwrap());
            self.check_status(question, &single.cert_status);
        }
        let extensions = data.response_extensions.iter().flat_map(|list| list.iter());
        let nonces: Vec<Vec<u8>> = extensions
            .map(|extension| {
                assert_eq!(rasn::der::encode(&extension.extn_id).unwrap()[2..], *oid::OCSP_NONCE.content());
                rasn::der::decode::<rasn::types::OctetString>(&extension.extn_value).unwrap().to_vec()
            })
            .collect();
        assert_eq!(nonces, Vec::from_iter(reading.nonce()), "the nonce comes back, and nothing else");
        assert!(nonces.is_empty() || answer.caching == Caching::NoStore, "an answer to a nonce is kept");
    }

    fn check_status(&self, question: &CertId, status: &CertStatus) {
        let number = u64::try_from(&question.serial_number).ok().filter(|_| self.is_ours(question));
        let reason = match status {
            CertStatus::Revoked(info) => info.revocation_reason.map(|reason| reason as u8),
            CertStatus::Good | CertStatus::Unknown(()) => None,
        };
        let right = match number {
            Some(GOOD | RELEASED) => *status == CertStatus::Good,
            Some(REVOKED) => reason == Some(RevocationReason::KeyCompromise.code()),
            Some(HELD) => reason == Some(RevocationReason::CertificateHold.code()),
            _ => matches!(status, CertStatus::Unknown(())),
        };
        assert!(right, "{question:?}: {status:?}");
    }

    /// Whether a CertID names the authority: both hashes, and parameters NULL or absent.
    fn is_ours(&self, question: &CertId) -> bool {
        let algorithm = &question.hash_algorithm;
        let algorithm_id = rasn::der::encode(&algorithm.algorithm).unwrap();
        algorithm.parameters.as_ref().is_none_or(|parameters| parameters.as_bytes() == [5, 0])
            && HashAlgorithm::ALL.into_iter().any(|hash| {
                algorithm_id[2..] == *hash.oid().content()
                    && *question.issuer_name_hash == *self.issuer.name_hash(hash)
                    && *question.issuer_key_hash == *self.issuer.key_hash(hash)
            })
    }

    /// The answer of `now`, around a signature made before.
    pub fn answer(&self, request: &[u8], now: UnixTime) -> Answer {
        let responder = &self.world.responder;
        let mut respond = responder.respond(request, now);
        for _ in 0..=JOBS_MAX {
            match respond {
                Respond::Ready(answer) => return answer,
                Respond::Refresh(_, job) | Respond::Sign(job) => {
                    respond = responder.finish(job, Ok(self.signature.clone()), now);
                }
            }
        }
        panic!("no answer after {JOBS_MAX} signatures");
    }
}
