//! What can go wrong in the store, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::pki::{AuthorityId, SerialNumber};
use crate::record::{ArchivePlace, FoldError, Position, Refusal, WriteError};

/// The disk refused something.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {doing} {}: {error}", .path.display())]
pub struct DiskFault {
    /// What was being done: `write`, `sync`, `rename`.
    pub doing: &'static str,
    /// To which file or directory.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub error: Arc<io::Error>,
}

impl DiskFault {
    /// For `map_err`.
    pub(super) fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self { doing, path: path.to_owned(), error: Arc::new(error) }
    }
}

/// A file is not what was written. Nothing has been modified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is damaged at octet {offset}: {what}; {} before it is intact and nothing was changed: \
     keep a copy, then restore from a backup", .file.display(), what_is_intact(*.intact)
)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Octets before the damage.
    pub offset: u64,
    /// What is wrong there.
    pub what: &'static str,
    /// The last entry before it; none in the archive.
    pub intact: Option<Position>,
}

fn what_is_intact(last: Option<Position>) -> String {
    last.map_or_else(|| "what stands".to_owned(), |last| format!("the journal up to entry {last}, all"))
}

/// How far the projection is in being rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Entries folded.
    pub position: Position,
    /// Entries to fold.
    pub total: Position,
}

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another process: one process writes a journal; stop the other first", .0.display())]
    Locked(PathBuf),
    /// A file cannot be read or written.
    #[error(transparent)]
    Disk(#[from] DiskFault),
    /// The journal is not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The journal does not end where it should. Nothing has been modified.
    #[error(
        "the journal in {} ends at entry {last}, and {what}: nothing was changed; keep a copy, then restore from a \
         backup, or take this end with `sekisho journal accept-end --reason TEXT`, which gives up what followed (of a \
         copy: `sekisho restore --accept --reason TEXT`)",
        .dir.display()
    )]
    End {
        /// The store's directory.
        dir: PathBuf,
        /// The last entry that can be read.
        last: Position,
        /// What is wrong with that.
        what: String,
    },
    /// There is no journal, and none is to be begun.
    #[error(
        "there is no journal in {}: restore it from a backup; `sekisho init` makes a new one, in \
         another directory", .0.display()
    )]
    NoJournal(PathBuf),
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Disk(fault) => Self::Disk(fault),
            StoreError::Damaged(damage) => Self::Damaged(damage),
            other => {
                Self::Disk(DiskFault::at("read", Path::new("journal"))(io::Error::other(other.to_string())))
            }
        }
    }
}

/// Why something could not be read or kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Disk(#[from] DiskFault),
    /// A file is not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// sled cannot be read or written.
    #[error("the projection failed ({0}): restart to have it rebuilt from the journal")]
    Projection(String),
    /// The rows have changes of a certificate, and not the certificate.
    #[error("the records have changes of certificate {serial} of authority {}, and not its issue", .authority.0)]
    IssueLost {
        /// Whose.
        authority: AuthorityId,
        /// Which.
        serial: SerialNumber,
    },
    /// Something is too long for its place in a file.
    #[error(transparent)]
    Unwritable(#[from] WriteError),
    /// The journal holds an entry that nothing can be made of.
    #[error("{0}: the journal is damaged; keep a copy, then restore from a backup")]
    Unfounded(#[from] FoldError),
    /// The projection is not there yet.
    #[error("the projection is being rebuilt, entry {} of {}: try again later", .0.position, .0.total)]
    Rebuilding(Progress),
    /// The journal has no such entry.
    #[error("the journal has no entry {0}")]
    NoSuchEntry(Position),
    /// The archive has nothing there.
    #[error("the archive has nothing at octet {}: restore store/archive from a backup", .0.0)]
    NoSuchPlace(ArchivePlace),
    /// The archive takes nothing more.
    #[error("the archive failed ({0}): nothing is issued until it is repaired and the service restarted")]
    Archive(String),
    /// It is a copy of another.
    #[error("this data directory is a copy ({0}): nothing is written to it")]
    Fenced(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> Self {
        Self::Projection(error.to_string())
    }
}

/// Why the store does not take everything at the moment. Answers go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotReady {
    /// A write or sync failed; nothing is acknowledged any more.
    #[error("{0}: nothing more is acknowledged; repair the disk and restart")]
    Poisoned(DiskFault),
    /// The projection is being rebuilt from the journal.
    #[error("the projection is being rebuilt: entry {} of {}", .0.position, .0.total)]
    Rebuilding(Progress),
    /// The projection failed, or its rebuilding found the journal damaged.
    #[error(transparent)]
    Projection(StoreError),
    /// Certificates cannot be archived: none are issued, revoking goes on.
    #[error(transparent)]
    Archive(StoreError),
    /// It is a copy of another.
    #[error(
        "this data directory is a copy ({0}): nothing is issued, changed or published, and OCSP says only what is \
         revoked; stop the service, and where this copy is to go on alone run `sekisho restore --accept`"
    )]
    Fenced(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// Why a submission was not acknowledged.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SubmitError {
    /// The decision was against it. Nothing was written.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The idempotency key belongs to another request. Nothing was written.
    #[error("this idempotency key was used for another request: take a new key for a new request")]
    KeyReused,
    /// A field of an entry is too long for the journal. Nothing was written.
    #[error(transparent)]
    Unwritable(#[from] WriteError),
    /// More events than one frame takes. Nothing was written.
    #[error("one request cannot write {0} events: split it")]
    TooLarge(usize),
    /// The group was not known to be durable.
    #[error(
        "{fault}: whether it was recorded is unknown, not undone: repeat with the same key after the restart"
    )]
    Unavailable {
        /// What failed, this time or before.
        fault: DiskFault,
    },
    /// Submissions are not taken yet, or not any more. Nothing was written.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// The committer ended without an answer.
    #[error("the store stopped before it answered: unknown, not undone: repeat with the same key")]
    Stopped,
}
