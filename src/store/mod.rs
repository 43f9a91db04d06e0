//! The store: the journal, which is the truth, the archive of certificates, and the projection,
//! which only saves the time of reading the journal.
//!
//! There is one writer, the [`Committer`]. Rooms submit decisions; it decides one after another,
//! writes what a group of them decided as one frame, and answers after the frame's sync. What it
//! acknowledged is never lost; what it did not acknowledge is unknown, not undone.
//!
//! Knows records; knows no status index (it has a list of [`Fold`]s), no key, no certificate beyond
//! its octets.

mod accept;
mod acknowledged;
mod archive;
#[cfg(test)]
mod batches;
mod check;
mod clock;
mod committer;
mod disk;
mod ending;
mod error;
mod export;
mod facts;
mod frame;
mod heads;
mod held;
mod journal;
mod kept;
#[cfg(all(test, feature = "shuttle"))]
mod model;
mod octets;
mod open;
mod options;
mod overlay;
mod packing;
mod projection;
mod reading;
mod rebuild;
mod remake;
mod rows;
mod segments;
mod serials;
mod shared;
mod sim;
mod snapshot;
mod submission;
mod threads;
mod tip;

pub use accept::{Accepted, accept_end};
pub use archive::{ARCHIVE_RECORD_OCTETS_MAX, ArchiveWriter};
pub use check::{CheckError, CheckReport, check, check_deep, check_on};
pub use clock::{Clock, Distrust, Frozen, Hands, STEP_MAX};
pub use committer::Committer;
pub use disk::Disk;
pub use ending::Cut;
pub use error::{Damage, DiskFault, NotReady, OpenError, Progress, StoreError, SubmitError};
pub use export::{Export, ExportError, ExportedFrame, export};
pub use facts::{CrlSet, CrlSetKind, CrlSets, Facts, Retirement};
pub use frame::Head;
pub use heads::contradicted;
pub use open::Opened;
pub use options::{Fold, Options};
pub use overlay::REQUEST_KEPT;
pub use reading::Reading;
pub use remake::{Judge, Judged, Remake, Verdict};
pub use rows::RowsKind;
pub use segments::Torn;
pub use serials::{Serials, reservation};
pub use sim::SimDisk;
pub use submission::{Decide, Done, Outcome, Records, Submission};
pub use threads::{Archived, Store};
