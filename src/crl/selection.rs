//! Who stands in the CRLs of one content: everything revoked, or what changed since a base.

use super::SetPlan;
use crate::pki::{CertStatus, Revocation, RevocationReason};
use crate::record::Record;

/// Which records are listed, and how: those of a complete CRL, or those of a delta.
///
/// A base and its delta together list what the complete CRL of the delta's plan lists: a delta
/// is the difference of the two, so whatever may stand in one or leave it is decided in
/// [`SetPlan::lists`] alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection {
    plan: SetPlan,
    base: Option<SetPlan>,
}

impl Selection {
    /// What the complete CRLs of `plan` list.
    #[must_use]
    pub const fn complete(plan: SetPlan) -> Self {
        Self { plan, base: None }
    }

    /// What a delta of `plan` lists for who has the CRL of `base` (RFC 5280 §5.2.4), and for who
    /// has any complete CRL or delta between the two.
    #[must_use]
    pub const fn delta(plan: SetPlan, base: SetPlan) -> Self {
        Self { plan, base: Some(base) }
    }

    /// The plan of the CRLs.
    #[must_use]
    pub const fn plan(&self) -> &SetPlan {
        &self.plan
    }

    /// What is listed for a certificate, if it is listed.
    #[must_use]
    #[inline]
    pub fn lists(&self, record: &Record) -> Option<Revocation> {
        let now = self.plan.lists(record);
        self.base.as_ref().map_or(now, |base| self.difference(record, base, now))
    }

    fn difference(&self, record: &Record, base: &SetPlan, now: Option<Revocation>) -> Option<Revocation> {
        let before = base.lists(record);
        let last = record.change_at(self.plan.position);
        let changed = last.filter(|change| change.position > base.position);
        match now {
            // Whoever has an answer from between the two may have something else.
            Some(_) if changed.is_none() && before == now => None,
            Some(revocation) => Some(revocation),
            // Released since, or shown past its expiry: in the second case it is dated as it was.
            None => {
                let revoked_at = match (changed, before) {
                    (Some(change), _) => change.recorded_at.min(self.plan.this_update),
                    (None, Some(before)) => before.revoked_at,
                    (None, None) => return None,
                };
                let reason = RevocationReason::RemoveFromCrl;
                Some(Revocation { revoked_at, reason, invalidity_date: None })
            }
        }
    }

    /// What must be listed whatever [`Self::lists`] says: in a complete CRL, what is revoked and
    /// has not expired; in a delta, what is revoked and was not, or was and is not. The gate asks
    /// this, so that a mistake in the finer rules cannot leave anybody out.
    #[must_use]
    pub(super) fn must_list(&self, record: &Record) -> bool {
        let is_revoked = |plan: &SetPlan| matches!(record.status_at(plan.position), CertStatus::Revoked(_));
        match &self.base {
            None => is_revoked(&self.plan) && record.issued.not_after >= self.plan.this_update,
            Some(base) => is_revoked(&self.plan) != is_revoked(base),
        }
    }

    pub(super) const fn is_delta(&self) -> bool {
        self.base.is_some()
    }
}
