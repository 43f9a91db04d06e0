//! What the responder hands back: an answer, or a signature to be made for one.

use std::sync::Arc;

use super::answers::Question;
use super::directory::Identity;
use super::error::OcspError;
use crate::der::UnixTime;
use crate::pki::SignatureAlgorithm;
use crate::signer::SignError;
use crate::status::StatusWord;

/// What becomes of a request.
#[derive(Debug)]
pub enum Respond {
    /// The answer.
    Ready(Answer),
    /// The answer, around a signature that will soon be too old: the job makes the next one. It
    /// may be dropped; who asks again gets another.
    Refresh(Answer, Job),
    /// A signature is needed: run [`Job::sign`] wherever it suits, then give both to
    /// [`super::Responder::finish`].
    Sign(Job),
}

/// An OCSPResponse, and how long others may keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The OCSPResponse, DER.
    pub body: Vec<u8>,
    /// What an HTTP cache may be told.
    pub caching: Caching,
}

/// How long an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caching {
    /// An error, or an answer to a nonce: for this request only.
    NoStore,
    /// Given again to whoever may ask, and by the responder alone: access is registered.
    Private,
    /// The same octets may answer the same request until `next_update`.
    Until {
        /// The latest thisUpdate in it.
        this_update: UnixTime,
        /// The earliest nextUpdate in it.
        next_update: UnixTime,
    },
}

impl From<OcspError> for Answer {
    fn from(error: OcspError) -> Self {
        Self { body: error.response().to_vec(), caching: Caching::NoStore }
    }
}

/// Requests that one signature answers: the same question to the same signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flight {
    question: Question,
    signer_number: u32,
}

/// A signature to be made. Dropping it leaves nothing behind. That there is one proves that its
/// request was admitted: there access is not looked at again.
#[derive(Debug)]
pub struct Job {
    /// To start over with, should the status change meanwhile.
    pub(super) request: Vec<u8>,
    pub(super) identity: Arc<Identity>,
    /// The statuses it was made from, in the request's order.
    pub(super) words: Vec<StatusWord>,
    pub(super) produced_at: UnixTime,
    /// What to keep the signature under; none when it is for this request only.
    pub(super) question: Option<Question>,
    /// The times in it.
    pub(super) caching: Caching,
    /// What is signed.
    pub(super) response_data: Vec<u8>,
}

impl Job {
    /// Makes the signature; it has been verified when it is returned.
    ///
    /// # Errors
    /// [`SignError`]; [`super::Responder::finish`] wants to know.
    pub fn sign(&self) -> Result<Vec<u8>, SignError> {
        self.identity.key.sign(&self.response_data)
    }

    /// True when signing takes so long (RSA: about 1 ms) that it belongs on a signing thread.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        match self.identity.key.algorithm() {
            SignatureAlgorithm::RsaSha256 | SignatureAlgorithm::EcdsaP384Sha384 => true,
            SignatureAlgorithm::EcdsaP256Sha256 | SignatureAlgorithm::Ed25519 => false,
        }
    }

    /// What it answers besides its own request: everybody who asks the same of the same signer
    /// while the signature is made may have its answer, once [`super::Responder::finish`] has
    /// looked at the status after the last of them asked. None when the answer repeats a nonce.
    #[must_use]
    pub fn flight(&self) -> Option<Flight> {
        self.question.map(|question| Flight { question, signer_number: self.identity.signer_number })
    }
}
