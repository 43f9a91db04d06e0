//! Who changed a certificate's status, when, and what for.

use super::{Behind, CommentSaid, Office, OfficeError};
use crate::der::UnixTime;
use crate::pki::CertStatus;
use crate::record::{Origin, Position, Record};

/// Changes that are told one by one: each is looked up in the journal, and a phone that was lost and found every
/// month for a year has fewer.
const TOLD_MAX: usize = 32;

/// A certificate's issue and its changes, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Each of them; of very many the issue and the last.
    pub steps: Vec<Step>,
    /// How many were left out after the issue.
    pub left_out: usize,
}

/// What one entry made of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The entry.
    pub position: Position,
    /// When it was recorded.
    pub recorded_at: UnixTime,
    /// The status since.
    pub status: CertStatus,
    /// Who asked for it, and under which ticket.
    pub origin: Origin,
    /// What was said of it.
    pub comment: Option<CommentSaid>,
    /// The report it came from, when it came from one.
    pub behind: Option<Behind>,
}

impl Office {
    /// The issue of a certificate and its changes up to a time.
    ///
    /// # Errors
    /// The journal cannot be read, or lacks an entry that the record names.
    pub(super) fn history(&self, record: &Record, then: UnixTime) -> Result<History, OfficeError> {
        let changes: Vec<_> = record.changes.iter().filter(|change| change.recorded_at <= then).collect();
        let left_out = changes.len().saturating_sub(TOLD_MAX);
        let (position, recorded_at) = (record.position, record.recorded_at);
        let issue = self.step(position, recorded_at, CertStatus::Good, None)?;
        let last = changes.into_iter().skip(left_out).map(|change| {
            self.step(change.position, change.recorded_at, change.status, self.behind(change)?)
        });
        let steps = std::iter::once(Ok(issue)).chain(last).collect::<Result<_, OfficeError>>()?;
        Ok(History { steps, left_out })
    }

    fn step(
        &self,
        position: Position,
        recorded_at: UnixTime,
        status: CertStatus,
        behind: Option<Behind>,
    ) -> Result<Step, OfficeError> {
        let entry = self.store.entry(position)?;
        let missing = || OfficeError::Damaged(format!("entry {position} is not in the journal: check it"));
        let origin = entry.ok_or_else(missing)?.entry.origin;
        let comment = origin.comment.as_ref().map(|said| self.comment(said)).transpose()?;
        Ok(Step { position, recorded_at, status, origin, comment, behind })
    }
}
