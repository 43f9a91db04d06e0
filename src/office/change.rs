//! Revoke, hold, release.

use std::time::Duration;

use super::inquiry::Named;
use super::{Office, OfficeError, Selector};
use crate::der::UnixTime;
use crate::lifecycle::{self, Turn};
use crate::pki::{CertStatus, CertificateKind, RevocationReason};
use crate::record::{CertificateRef, Origin, Position, Record, Refusal};
use crate::store::{Decide, Outcome, SubmitError};

/// A certificate that changed within the second is waited for so often: each time the journal's
/// clock has come a second nearer.
const CHANGE_TRIES: usize = 4;

/// Longest such wait.
const CHANGE_WAIT_MAX: Duration = Duration::from_secs(2);

/// What is wished for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Revoke it, for ever.
    Revoke(lifecycle::Revoke),
    /// Put it on hold.
    Hold {
        /// Since when it is invalid in the asker's eyes.
        invalidity_date: Option<UnixTime>,
    },
    /// Lift the hold.
    Release,
}

/// A wish for one certificate.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Which.
    pub certificate: Selector,
    /// What.
    pub wish: Wish,
}

/// What a wish came to: durable, and seen by every answer from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Which certificate.
    pub certificate: CertificateRef,
    /// Its authority's name.
    pub authority: String,
    /// Its status.
    pub status: CertStatus,
    /// The entry that says so.
    pub position: Position,
    /// When that entry was recorded.
    pub recorded_at: UnixTime,
    /// False when it was so already.
    pub changed: bool,
    /// True when the request had been carried out before.
    pub repeated: bool,
}

impl Wish {
    /// A wish to revoke on this ground.
    #[must_use]
    pub const fn revoke(reason: Option<RevocationReason>, invalidity_date: Option<UnixTime>) -> Self {
        Self::Revoke(lifecycle::Revoke { reason, invalidity_date })
    }

    fn decision(self, named: Named, liftable: Vec<CertificateKind>) -> Decide {
        Box::new(move |records, now| {
            let record = named.record(records.find(named.authority, &named.serial)?)?;
            self.not_apart(&record)?;
            let event = match self {
                Self::Revoke(revoke) => lifecycle::revoke(&record, revoke, now),
                Self::Hold { invalidity_date } => lifecycle::hold(&record, invalidity_date, now),
                Self::Release => lifecycle::release(&record, |kind| liftable.contains(&kind), now),
            }?;
            Ok(Vec::from_iter(event))
        })
    }

    /// A card's certificates are held and released with the card. One may be revoked by itself: its holder
    /// may wish for that (失効申請), and the card stays as it is.
    fn not_apart(&self, record: &Record) -> Result<(), Refusal> {
        match self {
            Self::Revoke(_) => Ok(()),
            Self::Hold { .. } => lifecycle::not_apart(record, Turn::Lost),
            Self::Release => lifecycle::not_apart(record, Turn::Found),
        }
    }
}

impl Office {
    /// Carries out a wish for a resident's certificate. When this returns, the change is on disk and every answer to a
    /// question that arrives from now on shows it.
    ///
    /// # Errors
    /// A rule stands against it, the certificate is no resident's or none of ours, or the store is
    /// not taking changes.
    pub fn change(&self, asked: &Asked, origin: Origin) -> Result<Changed, OfficeError> {
        let named = self.find(&asked.certificate)?;
        self.when_due(|| self.try_change(&named, asked.wish, origin.clone()))
    }

    /// Tries again what may be done within a second.
    pub(super) fn when_due<T>(&self, attempt: impl Fn() -> Result<T, OfficeError>) -> Result<T, OfficeError> {
        for _ in 0..CHANGE_TRIES {
            match attempt() {
                Err(OfficeError::Refused(Refusal::NotBefore(earliest))) => {
                    std::thread::sleep(earliest.since(self.clock.now()).min(CHANGE_WAIT_MAX));
                }
                done => return done,
            }
        }
        attempt()
    }

    fn try_change(&self, named: &Named, wish: Wish, origin: Origin) -> Result<Changed, OfficeError> {
        let comment = origin.comment;
        match self.store.submit_wait(origin, wish.decision(*named, self.liftable())) {
            Err(SubmitError::Refused(refusal @ Refusal::NotIssued { .. })) => {
                // Unless it was, and the records have lost it.
                self.confirm_absent(named.authority, &named.serial)?;
                Err(refusal.into())
            }
            Err(SubmitError::Refused(Refusal::OfAnIssuer { certificate, kind })) => {
                let authority = self.authority_name(certificate.authority);
                Err(OfficeError::OfAnIssuer { authority, certificate, kind })
            }
            outcome => self.changed(named, &self.as_commented(outcome?, comment)?),
        }
    }

    fn changed(&self, named: &Named, outcome: &Outcome) -> Result<Changed, OfficeError> {
        let entry = outcome.entries.iter().find(|numbered| numbered.entry.event.certificate().is_some());
        if let Some(numbered) = entry
            && let Some(status) = numbered.entry.event.status()
            && let Some(certificate) = numbered.entry.event.certificate()
        {
            return Ok(Changed {
                certificate: *certificate,
                authority: self.authority_name(certificate.authority),
                status,
                position: numbered.position,
                recorded_at: numbered.entry.recorded_at,
                changed: !outcome.repeated,
                repeated: outcome.repeated,
            });
        }
        // Nothing changed, now or when the key was first used: as it stood then.
        let record = self.record(named)?;
        let change = record.changes.iter().rev().find(|change| change.position <= outcome.position);
        Ok(Changed {
            certificate: record.issued.certificate,
            authority: self.authority_name(named.authority),
            status: record.status_at(outcome.position),
            position: change.map_or(record.position, |change| change.position),
            recorded_at: change.map_or(record.recorded_at, |change| change.recorded_at),
            changed: false,
            repeated: outcome.repeated,
        })
    }

    /// The kinds whose hold the profile lets be lifted.
    pub(super) fn liftable(&self) -> Vec<CertificateKind> {
        CertificateKind::ALL.into_iter().filter(|kind| self.profile.lift_allowed(*kind)).collect()
    }
}
