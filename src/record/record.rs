//! What the entries about one certificate add up to.

use super::{Event, Issued, Numbered, Position};
use crate::der::UnixTime;
use crate::pki::CertStatus;

/// A certificate, from its issue to its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Position of its issue.
    pub position: Position,
    /// When its issue was recorded.
    pub recorded_at: UnixTime,
    /// As it was issued.
    pub issued: Issued,
    /// Its changes, oldest first; nearly always none or one.
    pub changes: Vec<Change>,
}

/// One change of status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The entry that says so.
    pub position: Position,
    /// When it was recorded.
    pub recorded_at: UnixTime,
    /// The status since.
    pub status: CertStatus,
}

impl Record {
    /// The one fold: what `entry` makes of `record`. Entries about other certificates, and
    /// entries already folded, change nothing.
    pub fn apply(record: &mut Option<Self>, numbered: &Numbered) {
        let Numbered { position, entry } = numbered;
        match (&mut *record, &entry.event) {
            (None, Event::Issued(issued)) => {
                *record = Some(Self {
                    position: *position,
                    recorded_at: entry.recorded_at,
                    issued: issued.clone(),
                    changes: Vec::new(),
                });
            }
            (Some(known), event) if event.certificate() == Some(&known.issued.certificate) => {
                let Some(status) = event.status() else { return };
                if *position > known.last_position() {
                    known.changes.push(Change {
                        position: *position,
                        recorded_at: entry.recorded_at,
                        status,
                    });
                }
            }
            _ => {}
        }
    }

    /// The status now.
    #[must_use]
    pub fn status(&self) -> CertStatus {
        self.changes.last().map_or(CertStatus::Good, |change| change.status)
    }

    /// The status after the entry at `position`; unknown before the issue.
    #[must_use]
    pub fn status_at(&self, position: Position) -> CertStatus {
        if position < self.position {
            return CertStatus::Unknown;
        }
        self.change_at(position).map_or(CertStatus::Good, |change| change.status)
    }

    /// The last change up to the entry at `position`.
    #[must_use]
    pub fn change_at(&self, position: Position) -> Option<&Change> {
        self.changes.iter().rev().find(|change| change.position <= position)
    }

    /// The status at an instant: after all that was recorded up to and including that second.
    #[must_use]
    pub fn status_at_time(&self, time: UnixTime) -> CertStatus {
        if time < self.recorded_at {
            return CertStatus::Unknown;
        }
        let last = self.changes.iter().rev().find(|change| change.recorded_at <= time);
        last.map_or(CertStatus::Good, |change| change.status)
    }

    /// The last entry folded into it.
    #[must_use]
    pub fn last_position(&self) -> Position {
        self.changes.last().map_or(self.position, |change| change.position)
    }

    /// When its status last changed: its issue, at first.
    #[must_use]
    pub fn changed_at(&self) -> UnixTime {
        self.changes.last().map_or(self.recorded_at, |change| change.recorded_at)
    }
}
