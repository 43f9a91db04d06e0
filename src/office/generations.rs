//! The keys of an authority as its operators see them: which there are, and how one follows another.

use std::time::Duration;

use super::{Office, OfficeError};
use crate::der::UnixTime;
use crate::pki::{AuthorityId, CertStatus, Generation, SerialNumber};
use crate::record::{CertificateRef, Compromise, Event, Origin, Position, Record, Refusal};
use crate::store::Facts;

/// How long a new key waits before it issues, where nothing else is said: so that verifiers can fetch its CA
/// certificate before they meet the first certificate that it signed.
pub const WAIT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A key of an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// Its authority's name.
    pub authority: String,
    /// Which of its keys.
    pub generation: Generation,
    /// Serial of its CA certificate.
    pub serial: SerialNumber,
    /// Start of the CA certificate's validity.
    pub not_before: UnixTime,
    /// Its end.
    pub not_after: UnixTime,
    /// What it is used for.
    pub used_for: KeyUse,
    /// Why it cannot be used, when it cannot.
    pub fault: Option<String>,
    /// Its compromise.
    pub compromise: Option<Compromise>,
    /// Since when it signs nothing more.
    pub retired_at: Option<UnixTime>,
    /// Of one that signs nothing: until when the OCSP signers that are there answer for it.
    pub answers_until: Option<UnixTime>,
}

/// What a key is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// It signs new certificates, CRLs and OCSP signers.
    Issues,
    /// It signs CRLs and OCSP signers, and issues from then on.
    IssuesFrom(UnixTime),
    /// It signs CRLs and OCSP signers: a newer one issues, or its CA certificate is revoked.
    Signs,
    /// Nothing is signed by it: it made its last CRLs.
    Retired,
    /// Nothing is signed by it: it is not here.
    Lost,
    /// Nothing is signed by it: its CA certificate has expired.
    Expired,
}

/// A new key of an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolledOver {
    /// Which of its keys.
    pub generation: Generation,
    /// From when it issues.
    pub issues_from: UnixTime,
    /// Why its CRLs are not out yet; they follow by themselves.
    pub not_published: Option<String>,
}

impl Office {
    /// Every key that the authorities ever had, oldest first.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyState> {
        let facts = self.store.facts();
        let of = |id: AuthorityId| {
            facts.issuers.iter().filter(move |record| record.issued.is_ca_certificate_of(id))
        };
        let all = self.profile.authorities.iter().flat_map(|authority| of(authority.id));
        all.map(|record| self.key_state(&facts, record)).collect()
    }

    fn key_state(&self, facts: &Facts, record: &Record) -> KeyState {
        let CertificateRef { authority, generation, serial } = record.issued.certificate;
        let live = self.live_generations(authority);
        let live = live.iter().find(|live| live.issuer.generation == generation);
        let issuing = self.signing_generation(authority).ok().map(|live| live.issuer.generation);
        let from = facts.issuing_from.get(&(authority, generation)).copied();
        let used_for = match (live, from.filter(|from| *from > self.clock.now())) {
            (None, _) => KeyUse::Expired,
            (Some(live), _) if live.is_retired() => KeyUse::Retired,
            (Some(live), _) if live.key.is_err() => KeyUse::Lost,
            _ if issuing == Some(generation) => KeyUse::Issues,
            (_, Some(from)) if record.status() == CertStatus::Good => KeyUse::IssuesFrom(from),
            _ => KeyUse::Signs,
        };
        KeyState {
            authority: self.authority_name(authority),
            generation,
            serial,
            not_before: record.issued.not_before,
            not_after: record.issued.not_after,
            used_for,
            fault: live
                .filter(|live| !live.is_retired())
                .and_then(|live| live.key.as_ref().err())
                .map(|fault| format!("its private key {fault}")),
            compromise: facts.compromises.find(authority, generation).copied(),
            retired_at: facts.retirements.get(&(authority, generation)).map(|said| said.recorded_at),
            answers_until: live.filter(|live| live.key.is_err()).and_then(|live| self.answers_until(live)),
        }
    }

    /// Gives an authority its next key: CA certificate, OCSP signers, CRLs. It issues from `issue_from` on,
    /// or from [`WAIT`] after now; the one before goes on signing CRLs and OCSP signers.
    ///
    /// # Errors
    /// A key waits already, or keys, entries or files cannot be written.
    pub fn roll_over(
        &self,
        authority: AuthorityId,
        issue_from: Option<UnixTime>,
        origin: Origin,
    ) -> Result<RolledOver, OfficeError> {
        self.believed_clock()?;
        let now = self.clock.now();
        if let Some((waiting, from)) = self.waiting_key(authority) {
            return Err(OfficeError::KeyWaits(self.authority_name(authority), waiting.number(), from));
        }
        let issues_from = issue_from.unwrap_or_else(|| now.plus(WAIT)).max(now);
        let waits_until = Some(issues_from).filter(|from| *from > now);
        let generation = self.next_generation(authority, waits_until, origin)?;
        let published = self.publish(&[authority], false);
        if let Err(error) = &published {
            tracing::warn!(%error, "the CRLs of a new key are not out yet");
        }
        let not_published = published.err().map(|error| error.to_string());
        Ok(RolledOver { generation, issues_from, not_published })
    }

    /// Lets the key of an authority that waits issue from now on; the entry that says so.
    ///
    /// # Errors
    /// None waits, or the store does not take it.
    pub fn activate(
        &self,
        authority: AuthorityId,
        origin: Origin,
    ) -> Result<(Generation, Position), OfficeError> {
        let Some((generation, _)) = self.waiting_key(authority) else {
            return Err(OfficeError::NoKeyWaits(self.authority_name(authority)));
        };
        let decide = move |_: &crate::store::Records<'_>, now| -> Result<Vec<Event>, Refusal> {
            Ok(vec![Event::IssuingFrom { authority, generation, from: now }])
        };
        let outcome = self.store.submit_wait(origin, Box::new(decide))?;
        tracing::info!(authority = self.authority_name(authority), %generation, "the next key issues");
        Ok((generation, outcome.position))
    }

    /// The newest key that does not issue yet, and from when it will.
    pub(super) fn waiting_key(&self, authority: AuthorityId) -> Option<(Generation, UnixTime)> {
        let (facts, now) = (self.store.facts(), self.clock.now());
        let live = self.live_generations(authority);
        let waiting = live.iter().rev().filter_map(|live| {
            let generation = live.issuer.generation;
            let from = facts.issuing_from.get(&(authority, generation)).copied()?;
            (from > now && facts.compromises.find(authority, generation).is_none())
                .then_some((generation, from))
        });
        waiting.max_by_key(|(generation, _)| *generation)
    }
}
