//! What is kept, for who looks after it: which signatures are due, and what there is for one
//! certificate.

use super::answers::Signature;
use super::responder::{Age, Asker, Responder};
use crate::der::UnixTime;
use crate::pki::{HashAlgorithm, Issuer, SerialNumber, SignatureAlgorithm};

/// A place among the kept signatures, to go on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor(usize);

/// A signature kept for one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptAnswer {
    /// How the CertID names the issuer.
    pub hash: HashAlgorithm,
    /// Whether the hash has parameters NULL; absent otherwise.
    pub null_parameters: bool,
    /// SHA-1 of the signer's key.
    pub signer_key_id: [u8; 20],
    /// What it signs with.
    pub algorithm: SignatureAlgorithm,
    /// When it was signed.
    pub produced_at: UnixTime,
    /// From when on who asks for it causes the next one to be signed.
    pub due_at: UnixTime,
    /// The nextUpdate of its answer.
    pub next_update: UnixTime,
    /// Whether it was made by a signer that still speaks, from the status that still holds: it is
    /// given to who asks now unless it is too old, or dated ahead.
    pub current: bool,
}

impl Responder {
    /// Every signature kept about a certificate of `issuer`.
    #[must_use]
    pub fn kept(&self, issuer: &Issuer, serial: &SerialNumber, now: UnixTime) -> Vec<KeptAnswer> {
        let directory = self.directory.load();
        let mut all = Vec::new();
        for form in directory.forms_of(issuer) {
            for identity in form.identities() {
                let request = form.request_for(serial, identity);
                let Ok(asked) = self.look_up(&request, Asker::Admitted, &directory, now) else { continue };
                let Some(question) = asked.question() else { continue };
                let Some(kept) = self.answers.find(&question, identity, &mut Signature::empty()) else {
                    continue;
                };
                let (hash, null_parameters) = form.hash();
                let responses = self.responses(&asked, kept.produced_at);
                all.push(KeptAnswer {
                    hash,
                    null_parameters,
                    signer_key_id: identity.key.key_id(),
                    algorithm: identity.key.algorithm(),
                    produced_at: kept.produced_at,
                    due_at: self.due_at(&asked, kept.produced_at),
                    next_update: responses.first().map_or(kept.produced_at, |single| single.next_update),
                    current: asked.says_as(&kept),
                });
            }
        }
        all
    }

    /// Looks through `limit` places of kept signatures from a cursor on, and returns, as
    /// requests for [`Self::respond_again`], those that have been asked for and are due; and where
    /// to go on, none at the end.
    #[must_use]
    pub fn due(&self, from: Cursor, limit: usize, now: UnixTime) -> (Vec<Vec<u8>>, Option<Cursor>) {
        let directory = self.directory.load();
        let mut requests = Vec::new();
        let next = self.answers.asked_since_signed(from.0, limit, |question, kept| {
            let request = question.issuer_and_serial().and_then(|(form, serial)| {
                let form = directory.form(form)?;
                let identity = form.identities().find(|identity| identity.place == question.place())?;
                Some(form.request_for(&SerialNumber::try_from(serial).ok()?, identity))
            });
            let Some(request) = request else { return };
            let Ok(asked) = self.look_up(&request, Asker::Admitted, &directory, now) else { return };
            if self.age(&asked, kept.produced_at) != Age::Fresh || !asked.is_answered_by(&kept) {
                requests.push(request);
            }
        });
        (requests, next.map(Cursor))
    }
}
