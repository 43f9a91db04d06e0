//! The OCSP signers there are and were.

use std::collections::BTreeSet;

use super::authorities::archived_certificate;
use super::signer_record::subject_of;
use super::signer_revoke::algorithm_of;
use super::signers::{Held, name};
use super::{Office, OfficeError};
use crate::der::UnixTime;
use crate::pki::{AuthorityId, CertStatus, CertificateKind, Generation, SerialNumber};
use crate::record::{CertificateRef, Record};

/// How a signer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignerStanding {
    /// It signs.
    InUse,
    /// It could sign, and another one does.
    Waiting,
    /// Valid, and without a key here, or of a kind that the settings do not list.
    Unusable,
    /// Revoked.
    Revoked,
    /// Its time is over.
    Expired,
}

impl SignerStanding {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InUse => "in use",
            Self::Waiting => "waiting",
            Self::Unusable => "unusable",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

/// A signer, as it is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerState {
    /// Name of the authority it answers for.
    pub authority: String,
    /// Of which key.
    pub generation: Generation,
    /// Serial of its certificate.
    pub serial: SerialNumber,
    /// The kind of its own key, as the settings name it; none when its certificate cannot be read.
    pub key: Option<&'static str>,
    /// SHA-1 of that key: the ResponderID.
    pub key_id: Option<[u8; 20]>,
    /// Start of its validity.
    pub not_before: UnixTime,
    /// End of its validity.
    pub not_after: UnixTime,
    /// How it stands.
    pub standing: SignerStanding,
    /// Since when.
    pub since: UnixTime,
    /// Its status on record.
    pub status: CertStatus,
    /// The file of `signers/` it was given by; none for one made here.
    pub file: Option<String>,
    /// Signatures that it made since its key was read; none when its key is not at hand.
    pub signatures: Option<u64>,
}

impl Office {
    /// The signers of every key generation: those that sign first, then by how long they last.
    /// Those that have expired only when asked for.
    ///
    /// # Errors
    /// The archive cannot be read.
    pub fn signers(&self, with_expired: bool) -> Result<Vec<SignerState>, OfficeError> {
        let (now, facts) = (self.clock.now(), self.store.facts());
        let usable = self.usable_signers(now);
        let mut all = Vec::new();
        for record in facts.issuers.iter().filter(|one| one.issued.kind == CertificateKind::OcspSigner) {
            if with_expired || record.issued.not_after > now {
                all.push(self.recorded_signer(record, &usable, now));
            }
        }
        let known: BTreeSet<(String, SerialNumber)> =
            all.iter().map(|one| (one.authority.clone(), one.serial)).collect();
        let given = self.given_signers(now).into_iter();
        all.extend(given.filter(|one| !known.contains(&(one.authority.clone(), one.serial))));
        all.retain(|one| with_expired || one.standing != SignerStanding::Expired);
        all.sort_by(|a, b| {
            let key = |one: &SignerState| (one.authority.clone(), one.generation, one.standing);
            key(a).cmp(&key(b)).then(b.not_after.cmp(&a.not_after)).then(a.serial.cmp(&b.serial))
        });
        Ok(all)
    }

    /// Those made here that could sign.
    fn usable_signers(&self, now: UnixTime) -> Vec<(AuthorityId, Held)> {
        let live = self.all_live_generations();
        let of = |live: &std::sync::Arc<super::LiveGeneration>| {
            let authority = live.issuer.authority;
            self.made_signers(live, now).into_iter().map(move |held| (authority, held)).collect::<Vec<_>>()
        };
        live.iter().flat_map(of).collect()
    }

    fn recorded_signer(&self, record: &Record, usable: &[(AuthorityId, Held)], now: UnixTime) -> SignerState {
        let CertificateRef { authority, generation, serial } = record.issued.certificate;
        let der = archived_certificate(&self.store, &record.issued).ok();
        let subject = der.as_ref().and_then(|der| subject_of(der).ok());
        let algorithm = subject.as_ref().and_then(|subject| algorithm_of(&subject.spki).ok());
        let key_id = subject.map(|subject| subject.key_id);
        let held = usable.iter().find(|(id, held)| *id == authority && held.serial == serial);
        let given = self.given_file(authority, &serial);
        let in_use = key_id.and_then(|key_id| self.in_use_since(authority, generation, &key_id));
        let listed =
            |held: &Held| self.config.ocsp.signers.iter().any(|key| key.name() == name(held.algorithm));
        let (standing, since) = match (record.status(), in_use) {
            (CertStatus::Revoked(was), _) => (SignerStanding::Revoked, was.revoked_at),
            _ if record.issued.not_after <= now => (SignerStanding::Expired, record.issued.not_after),
            (_, Some(since)) => (SignerStanding::InUse, since),
            _ if given.is_some() || held.is_some_and(|(_, held)| listed(held)) => {
                (SignerStanding::Waiting, record.recorded_at)
            }
            _ => (SignerStanding::Unusable, record.recorded_at),
        };
        SignerState {
            authority: self.authority_name(authority),
            generation,
            serial,
            key: algorithm.map(name),
            key_id,
            not_before: record.issued.not_before,
            not_after: record.issued.not_after,
            standing,
            since,
            status: record.status(),
            file: given,
            signatures: key_id.and_then(|key_id| self.signatures_of(&key_id)),
        }
    }

    /// Those of `signers/`.
    fn given_signers(&self, now: UnixTime) -> Vec<SignerState> {
        let given = self.signers.given.load();
        let state = |one: &super::signer_files::Given| {
            let (held, generation) = (&one.held, one.shown.generation);
            let key_id = held.signer.key.key_id();
            let (standing, since) = match self.in_use_since(one.authority, generation, &key_id) {
                _ if held.signer.not_after <= now => (SignerStanding::Expired, held.signer.not_after),
                Some(since) => (SignerStanding::InUse, since),
                None => (SignerStanding::Waiting, held.not_before),
            };
            SignerState {
                authority: one.shown.authority.clone(),
                generation,
                serial: held.serial,
                key: Some(one.shown.key),
                key_id: Some(key_id),
                not_before: held.not_before,
                not_after: held.signer.not_after,
                standing,
                since,
                status: CertStatus::Good,
                file: Some(one.shown.file.clone()),
                signatures: Some(held.signer.key.signatures()),
            }
        };
        given.iter().map(state).collect()
    }

    fn given_file(&self, authority: AuthorityId, serial: &SerialNumber) -> Option<String> {
        let given = self.signers.given.load();
        let one = given.iter().find(|one| one.authority == authority && one.held.serial == *serial)?;
        Some(one.shown.file.clone())
    }

    /// Since when a key signs for a generation; none when it does not.
    fn in_use_since(
        &self,
        authority: AuthorityId,
        generation: Generation,
        key_id: &[u8; 20],
    ) -> Option<UnixTime> {
        let in_use = self.signers.in_use.load();
        let ours = in_use
            .iter()
            .filter(|one| (one.issuer.authority, one.issuer.generation) == (authority, generation));
        let signs = ours.flat_map(|one| &one.signers).any(|signer| signer.key.key_id() == *key_id);
        self.signers.seen().since.get(key_id).copied().filter(|_| signs)
    }

    fn signatures_of(&self, key_id: &[u8; 20]) -> Option<u64> {
        let seen = self.signers.seen();
        let mut made = seen.made.values().flatten().map(|held| &held.signer.key);
        if let Some(key) = made.find(|key| key.key_id() == *key_id) {
            return Some(key.signatures());
        }
        let given = self.signers.given.load();
        let mut given = given.iter().map(|given| &given.held.signer.key);
        given.find(|key| key.key_id() == *key_id).map(|key| key.signatures())
    }
}
