//! What a CRL set is made from, and who stands in it.

use std::time::Duration;

use super::CrlNumber;
use crate::der::UnixTime;
use crate::pki::{CertStatus, Revocation};
use crate::record::{Position, Record};

/// The facts all CRLs of one set share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetPlan {
    /// cRLNumber of every CRL of the set, and the set's name.
    pub number: CrlNumber,
    /// Statuses are those after the entry at this position.
    pub position: Position,
    /// thisUpdate: when the entry at `position` was recorded.
    pub this_update: UnixTime,
    /// nextUpdate: by then the next set has been published.
    pub next_update: UnixTime,
    /// True for a set of the daily schedule.
    pub scheduled: bool,
    /// thisUpdate of the newest scheduled set that was published before this one.
    pub last_scheduled: Option<UnixTime>,
}

impl SetPlan {
    /// The revocation this set lists for a certificate, if it lists it.
    ///
    /// An entry may go once it has stood in a scheduled, published CRL issued past the
    /// certificate's expiry (RFC 5280 §5): the last such set is past it, and the revocation
    /// is older than that set. One recorded in the very second of that set stays a turn longer.
    ///
    /// What was recorded after thisUpdate, which only a release of the clock makes possible, is
    /// dated thisUpdate.
    #[must_use]
    #[inline]
    pub fn lists(&self, record: &Record) -> Option<Revocation> {
        // Nothing changes before it was issued, and most never.
        let change = record.change_at(self.position)?;
        let CertStatus::Revoked(revocation) = change.status else { return None };
        // One of a later date is from before the clock was released: who had expired then may
        // not have expired now.
        let last = self.last_scheduled.filter(|last| *last <= self.this_update);
        let may_go = last.is_some_and(|last| record.issued.not_after < last && revocation.revoked_at < last);
        if may_go {
            return None;
        }
        Some(if change.recorded_at > self.this_update { self.dated_now(revocation) } else { revocation })
    }

    /// The plan of a delta of this set for who has the CRL of `base`. Cut `alone`, not beside a new
    /// full CRL, it leaves the expired to the base: only regular CRLs decide who may go.
    #[must_use]
    pub fn of_delta(&self, base: &Self, alone: bool, valid: Duration) -> Self {
        Self {
            next_update: self.this_update.plus(valid).min(base.next_update),
            last_scheduled: if alone { base.last_scheduled } else { self.last_scheduled },
            ..*self
        }
    }

    fn dated_now(&self, revocation: Revocation) -> Revocation {
        Revocation {
            revoked_at: revocation.revoked_at.min(self.this_update),
            invalidity_date: revocation.invalidity_date.map(|since| since.min(self.this_update)),
            ..revocation
        }
    }
}
