//! The compromise of an authority's key: all that it signed for residents is revoked.

use super::{Office, OfficeError};
use crate::lifecycle::{self, Revoke};
use crate::pki::{AuthorityId, CertStatus, CertificateKind, Generation, SerialNumber};
use crate::profile::{Action, Concerns};
use crate::record::{Actor, Origin, Refusal};
use crate::store::Decide;

/// Certificates revoked by one decision.
const TOGETHER: usize = 500;

impl Office {
    /// Revokes all that one key of an authority signed for residents, as the rules say. What came to
    /// be revoked before stays as it is; how many were revoked now. Cut short, it may be repeated.
    ///
    /// # Errors
    /// There is no such key, or the store does not take it.
    pub fn revoke_generation(
        &self,
        authority: AuthorityId,
        generation: Generation,
        actor: &Actor,
    ) -> Result<u64, OfficeError> {
        let of = |live: &std::sync::Arc<super::LiveGeneration>| live.issuer.generation == generation;
        if !self.live_generations(authority).iter().any(of) {
            return Err(OfficeError::NoSuchKey(self.authority_name(authority), generation.number()));
        }
        let rule = self.profile.rules.iter().find(|rule| rule.concerns == Concerns::Generation).cloned();
        let rule = rule.ok_or_else(|| OfficeError::NoRule("ca-key-compromise".to_owned()))?;
        let mut wanted: Vec<(SerialNumber, CertificateKind)> = Vec::new();
        let witnessed = self.each_witnessed(authority, self.store.head().0, &mut |record| {
            let serial = record.issued.certificate.serial;
            let is_final = matches!(record.status(), CertStatus::Revoked(was) if !was.is_hold());
            if record.issued.certificate.generation == generation
                && record.issued.kind.is_resident()
                && !is_final
            {
                wanted.push((serial, record.issued.kind));
            }
        });
        match witnessed {
            // The alarm is raised; a key that is compromised is not waited with.
            Ok(()) | Err(OfficeError::Doubt(_)) => {}
            Err(error) => return Err(error),
        }
        let mut revoked = 0;
        for part in wanted.chunks(TOGETHER) {
            let (part, rule) = (part.to_vec(), rule.clone());
            let decide: Decide = Box::new(move |records, now| {
                let mut events = Vec::new();
                for (serial, kind) in &part {
                    let Action::Revoke(reason) = rule.action(*kind) else { continue };
                    let record = records.find(authority, serial)?;
                    let record = record.ok_or(Refusal::NotIssued { authority, serial: *serial })?;
                    let asked = Revoke { reason: Some(reason), invalidity_date: None };
                    match lifecycle::revoke(&record, asked, now) {
                        Err(Refusal::AlreadyRevoked { .. }) => {}
                        event => events.extend(event?),
                    }
                }
                Ok(events)
            });
            let origin = Origin::of(actor.clone());
            let outcome = self.store.submit_wait(origin, decide)?;
            revoked += u64::try_from(outcome.entries.len()).unwrap_or(u64::MAX);
        }
        tracing::warn!(
            authority = self.authority_name(authority),
            generation = generation.number(),
            revoked,
            "all that a key signed was revoked"
        );
        Ok(revoked)
    }
}
