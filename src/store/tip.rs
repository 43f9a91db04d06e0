//! What all entries of a journal add up to, apart from what they are about.

use std::sync::Arc;

use super::facts::Facts;
use super::frame::{Frame, Head, NO_HEAD};
use super::held::Held;
use super::journal::{FIRST, entries_of};
use crate::der::UnixTime;
use crate::record::{ArchivePlace, Entry, Event, FoldError, Numbered, Position};

/// An entry that does not follow.
#[derive(Debug, Clone, Copy)]
pub(super) enum NotFolded {
    /// It stands where it cannot stand.
    Misplaced(&'static str),
    /// It is about something that is not there.
    Unfounded(FoldError),
}

impl NotFolded {
    /// For whoever tells the place by a file and its octets.
    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::Misplaced(what) => what,
            Self::Unfounded(error) => error.sentence(),
        }
    }
}

/// How far entries name the archive: one more than the highest place; 0 for none. A certificate that is missing
/// stops issuing, a comment does not: so each has its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) certificates: u64,
    pub(super) comments: u64,
}

impl Named {
    fn take(&mut self, entry: &Entry) {
        let behind = |place: ArchivePlace| place.0.saturating_add(1);
        if let Event::Issued(issued) = &entry.event {
            self.certificates = self.certificates.max(behind(issued.archive));
        }
        if let Some(comment) = entry.origin.comment {
            self.comments = self.comments.max(behind(comment.archive));
        }
    }

    /// Behind both.
    pub(super) fn end(self) -> u64 {
        self.certificates.max(self.comments)
    }
}

/// The last entry, and what all up to it add up to: folded here alone, at a start, by the committer and
/// by a check.
#[derive(Debug, Clone)]
pub(super) struct Tip {
    pub(super) position: Position,
    pub(super) head: Head,
    pub(super) recorded_at: UnixTime,
    /// One more than the highest archive place an entry names, by what stands there.
    pub(super) named: Named,
    /// The last entry that changed a certificate's status; after a start from a snapshot, at the
    /// earliest the snapshot's.
    pub(super) changed: Position,
    pub(super) facts: Arc<Facts>,
}

impl Default for Tip {
    /// Before the first entry.
    fn default() -> Self {
        Self {
            position: Position(FIRST - 1),
            head: NO_HEAD,
            recorded_at: UnixTime::default(),
            named: Named::default(),
            changed: Position::default(),
            facts: Arc::default(),
        }
    }
}

impl Tip {
    pub(super) fn held(&self) -> Held {
        Held { journal_id: self.facts.journal_id, position: self.position, head: self.head }
    }

    /// Folds a frame that follows; its entries.
    pub(super) fn fold_frame(&mut self, frame: &Frame<'_>) -> Result<Vec<Numbered>, &'static str> {
        if frame.epoch != self.facts.epoch.0 {
            return Err("a frame belongs to another epoch");
        }
        let entries = entries_of(frame)?;
        for numbered in &entries {
            self.fold(numbered).map_err(NotFolded::sentence)?;
        }
        self.head = frame.head;
        Ok(entries)
    }

    /// Folds an entry that follows. The head is that of its frame, and for whoever reads or writes that.
    pub(super) fn fold(&mut self, numbered: &Numbered) -> Result<(), NotFolded> {
        let Numbered { position, entry } = numbered;
        if *position != self.position.next() {
            return Err(NotFolded::Misplaced("an entry does not follow the one before"));
        }
        if matches!(entry.event, Event::JournalBegun { .. }) != (position.0 == FIRST) {
            return Err(NotFolded::Misplaced("a journal begins with its id, and nowhere else"));
        }
        if !entry.may_follow(self.recorded_at) {
            return Err(NotFolded::Misplaced("an entry is dated before the one it follows"));
        }
        self.named.take(entry);
        match &entry.event {
            Event::Revoked(_) | Event::Released(_) | Event::GenerationCompromised { .. } => {
                self.changed = *position;
            }
            _ => {}
        }
        if self.facts.concerns(&entry.event) {
            Arc::make_mut(&mut self.facts).apply(numbered).map_err(NotFolded::Unfounded)?;
        }
        (self.position, self.recorded_at) = (*position, entry.recorded_at);
        Ok(())
    }
}
