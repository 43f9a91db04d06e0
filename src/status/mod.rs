//! The status of every certificate, in memory: what an answer is made from.
//!
//! A fold of the journal like the records, but eight octets a certificate. It is never read
//! from a database: it comes from a snapshot and the journal's tail. Knows entries and
//! statuses; knows no store, no request, no clock.

mod dense;
mod difference;
mod index;
mod keys;
mod snapshot;
mod sparse;
mod word;

pub use difference::Difference;
pub use index::{Overruled, StatusIndex};
pub use snapshot::SnapshotError;
pub use word::StatusWord;
