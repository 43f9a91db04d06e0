//! Where an answer would come from.

use std::sync::Arc;
use std::time::Duration;

use x509_parser::prelude::{FromDer, X509Certificate};

use super::inquiry::Named;
use super::{Office, OfficeError, Selector};
use crate::der::UnixTime;
use crate::ocsp::{KeptAnswer, Signer};
use crate::pki::{AuthorityId, CertStatus, Generation, Issuer, SerialNumber, SignatureAlgorithm};
use crate::record::Position;
use crate::store::Frozen;

/// What would be answered about a certificate, by whom, and what is kept of it.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Its authority's name.
    pub authority: String,
    /// Its serial.
    pub serial: SerialNumber,
    /// The key that signed it; none when none did.
    pub generation: Option<Generation>,
    /// Its status, as answers show it.
    pub status: CertStatus,
    /// Since when it has that status; none when it was never issued.
    pub since: Option<UnixTime>,
    /// The entry that says so; none when it was never issued, or the records are not there yet.
    pub position: Option<Position>,
    /// The time of the explanation.
    pub now: UnixTime,
    /// Why nothing is signed, when the clock is not believed.
    pub frozen: Option<Frozen>,
    /// Who would sign, first whoever signs for askers that prefer no algorithm.
    pub signers: Vec<KeptBy>,
    /// Kept signatures of signers that are there no more.
    pub others: Vec<(KeptAnswer, Use)>,
}

/// A signer, and its signatures that are kept.
#[derive(Debug, Clone)]
pub struct KeptBy {
    /// The key of the authority that issued its certificate.
    pub generation: Generation,
    /// SHA-1 of its key: the ResponderID.
    pub key_id: [u8; 20],
    /// Serial of its certificate.
    pub serial: SerialNumber,
    /// End of that certificate's validity.
    pub not_after: UnixTime,
    /// What it signs with.
    pub algorithm: SignatureAlgorithm,
    /// Its signatures about the certificate.
    pub kept: Vec<(KeptAnswer, Use)>,
}

/// Whether a kept signature would be given to who asks now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It would; an HTTP cache may then hold it until this time.
    Given(UnixTime),
    /// It would, and the next is made; an HTTP cache may then hold it until this time.
    Due(UnixTime),
    /// Another would be signed; it is given, until its nextUpdate, only if that fails.
    Old,
    /// The status or the signer is another since.
    Outdated,
    /// Its nextUpdate has passed.
    Over,
    /// It is dated ahead of the clock, which went back.
    Ahead,
}

impl Office {
    /// Explains where an answer about a certificate would come from now. Reads only.
    ///
    /// # Errors
    /// The certificate is named in a way that leads to none of our authorities.
    pub fn explain(&self, selector: &Selector) -> Result<Explanation, OfficeError> {
        let named = self.find(selector)?;
        let frozen = self.watch_clock();
        // Under a key that is compromised, of whatever serial.
        let word = match named.generation {
            Some(generation) => self.status.find_under(named.authority, generation, Some(&named.serial)),
            None => self.status.find(named.authority, &named.serial),
        };
        // As answers do, which are never dated before what they tell.
        let now = self.clock.now().max(self.status.last_recorded_at());
        let generation = word.generation();
        let kept = self.kept(&named, generation, now);
        let signers = self.signers_of(&named, generation)?;
        let there = |kept: &KeptAnswer| signers.iter().any(|signer| signer.key_id == kept.signer_key_id);
        let (here, others): (Vec<_>, Vec<_>) = kept.into_iter().partition(|(kept, _)| there(kept));
        let signers = signers.into_iter().map(|signer| {
            let own = here.iter().filter(|(kept, _)| kept.signer_key_id == signer.key_id);
            KeptBy { kept: own.cloned().collect(), ..signer }
        });
        Ok(Explanation {
            authority: self.authority_name(named.authority),
            serial: named.serial,
            generation,
            status: word.cert_status(),
            since: word.is_issued().then(|| word.since()),
            position: self.store.find(named.authority, &named.serial)?.map(|record| record.last_position()),
            now,
            frozen,
            signers: signers.collect(),
            others,
        })
    }

    fn kept(&self, named: &Named, generation: Option<Generation>, now: UnixTime) -> Vec<(KeptAnswer, Use)> {
        let live = self.live_generations(named.authority);
        let issuers = live.iter().filter(|live| generation.is_none_or(|of| of == live.issuer.generation));
        let kept = issuers.flat_map(|live| self.responder.kept(&live.issuer, &named.serial, now));
        kept.map(|kept| (kept, self.use_of(&kept, now))).collect()
    }

    fn use_of(&self, kept: &KeptAnswer, now: UnixTime) -> Use {
        let minutes = u64::from(self.config.ocsp.refresh_after_minutes);
        let max_age = Duration::from_secs(u64::from(self.config.ocsp.max_age_seconds));
        let held_until = now.plus(max_age).min(kept.next_update);
        match kept {
            _ if !kept.current => Use::Outdated,
            _ if now >= kept.next_update => Use::Over,
            _ if kept.produced_at > now => Use::Ahead,
            _ if now >= kept.produced_at.plus(Duration::from_secs(minutes * 60)) => Use::Old,
            _ if now >= kept.due_at => Use::Due(held_until),
            _ => Use::Given(held_until),
        }
    }

    /// The signers of the certificate's issuer; of every issuer of the authority when nobody
    /// issued it.
    fn signers_of(&self, named: &Named, generation: Option<Generation>) -> Result<Vec<KeptBy>, OfficeError> {
        let installed = self.installed.load();
        let is_asked = |issuer: &Issuer| {
            is_of(issuer, named.authority) && generation.is_none_or(|of| of == issuer.generation)
        };
        let identities = installed.iter().filter(|identity| is_asked(&identity.issuer));
        let signers = identities.flat_map(|identity| {
            identity.signers.iter().map(|signer| (identity.issuer.generation, Arc::clone(signer)))
        });
        signers.map(|(generation, signer)| kept_by(generation, &signer)).collect()
    }
}

fn is_of(issuer: &Issuer, authority: AuthorityId) -> bool {
    issuer.authority == authority
}

fn kept_by(generation: Generation, signer: &Signer) -> Result<KeptBy, OfficeError> {
    let (_, certificate) =
        X509Certificate::from_der(&signer.certificate).map_err(|_| OfficeError::NotACertificate)?;
    Ok(KeptBy {
        generation,
        key_id: signer.key.key_id(),
        serial: SerialNumber::from_content(certificate.raw_serial())?,
        not_after: signer.not_after,
        algorithm: signer.key.algorithm(),
        kept: Vec::new(),
    })
}
