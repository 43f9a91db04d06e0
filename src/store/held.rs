//! Up to where rows hold the journal.

use super::error::StoreError;
use super::frame::Head;
use super::rows::Rows;
use crate::record::Position;

/// A place in a journal: rows, snapshots and the marker of a clean stop name one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) journal_id: [u8; 16],
    pub(super) position: Position,
    pub(super) head: Head,
}

const HELD_KEY: &[u8] = b"p";

/// Rises with every change of what rows hold, or how: rows of another version are made anew.
const ROWS_VERSION: u8 = 9;

impl Held {
    fn octets(&self) -> Vec<u8> {
        [&[ROWS_VERSION][..], &self.journal_id, &self.position.0.to_be_bytes(), &self.head].concat()
    }

    /// Says in the rows that they hold this; written after all that they hold.
    pub(super) fn write(&self, rows: &Rows) -> Result<(), StoreError> {
        rows.insert(HELD_KEY.to_vec(), self.octets())
    }

    /// True when the rows hold exactly this.
    pub(super) fn is_in(&self, rows: &Rows) -> Result<bool, StoreError> {
        Ok(rows.find(HELD_KEY)?.is_some_and(|row| *row == *self.octets()))
    }
}
