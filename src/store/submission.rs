//! What is asked of the committer, and what it answers.

use std::sync::Arc;

use super::error::{StoreError, SubmitError};
use super::facts::Facts;
use super::kept::Kept;
use super::overlay::{Below, View};
use crate::der::UnixTime;
use crate::pki::{AuthorityId, SerialNumber};
use crate::record::{
    Card, CardId, CertifiedKey, Event, Holder, HolderId, KeyDigest, Numbered, Origin, Position, Record,
    Refusal,
};

/// A decision: what to write, given the records and the time. Pure: it may be asked twice, and
/// its events may be lost when the disk fails.
pub type Decide = Box<dyn Fn(&Records<'_>, UnixTime) -> Result<Vec<Event>, Refusal> + Send>;

/// Hears the outcome, on the committer's thread: it passes it on and returns.
pub type Done = Box<dyn FnOnce(Result<Outcome, SubmitError>) + Send>;

/// A decision to be made, at whose wish, and who hears of it.
pub struct Submission {
    /// Who asks, under which idempotency key.
    pub origin: Origin,
    /// What to do.
    pub decide: Decide,
    /// Who hears the outcome.
    pub done: Done,
}

/// What came of a decision. It is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What was written; nothing when a request without a key changed nothing.
    pub entries: Vec<Numbered>,
    /// The last entry it rests on.
    pub position: Position,
    /// When it was recorded.
    pub recorded_at: UnixTime,
    /// True when this is the first outcome of the same request again.
    pub repeated: bool,
}

/// The records a decision rests on: all that was decided before it, durable or about to be.
#[derive(Debug)]
pub struct Records<'a> {
    pub(super) view: View<'a>,
    pub(super) facts: &'a Arc<Facts>,
    pub(super) next: Position,
}

impl Records<'_> {
    /// The record of a certificate.
    ///
    /// # Errors
    /// [`Refusal::Records`].
    pub fn find(&self, authority: AuthorityId, serial: &SerialNumber) -> Result<Option<Record>, Refusal> {
        self.look_up(&(authority, *serial))
    }

    /// A card or phone.
    ///
    /// # Errors
    /// [`Refusal::Records`].
    pub fn find_card(&self, card: CardId) -> Result<Option<Card>, Refusal> {
        self.look_up(&card)
    }

    /// A person.
    ///
    /// # Errors
    /// [`Refusal::Records`].
    pub fn find_holder(&self, holder: HolderId) -> Result<Option<Holder>, Refusal> {
        self.look_up(&holder)
    }

    /// For whom a public key was certified; none for one that never was, or only as a test key.
    ///
    /// # Errors
    /// [`Refusal::Records`].
    pub fn find_key(&self, key: KeyDigest) -> Result<Option<CertifiedKey>, Refusal> {
        self.look_up(&key)
    }

    /// The facts.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        self.facts
    }

    /// The position that the first event of this decision will have, when it becomes an entry.
    #[must_use]
    pub const fn next_position(&self) -> Position {
        self.next
    }

    fn look_up<K: Kept>(&self, key: &K::Key) -> Result<Option<K>, Refusal> {
        let found = self.view.find::<K>(key).map_err(|error| refusal(&error))?;
        Ok(found.map(|kept| kept.with(&self.facts.compromises)))
    }
}

pub(super) fn refusal(error: &StoreError) -> Refusal {
    Refusal::Records(error.to_string())
}
