//! The journal held against heads that somebody else has on record: signed catalogues, checkpoints.

use std::collections::BTreeMap;
use std::path::Path;

use super::disk::Disk;
use super::error::StoreError;
use super::frame::Head;
use super::journal::Journal;
use super::threads::Store;
use crate::record::Position;

/// Of the heads that a journal is said to have had with these entries, those that it has not; also where it
/// ends before them. Reads it once, from the first of them on, and checks its chain there.
///
/// # Errors
/// [`StoreError::Damaged`] where the chain does not hold; what the disk says.
pub fn contradicted(
    disk: &Disk,
    dir: &Path,
    said: &BTreeMap<Position, Head>,
) -> Result<Vec<Position>, StoreError> {
    contradicted_by(&Journal::new(disk, &dir.join("journal")), said)
}

impl Store {
    /// As [`contradicted`], of this store.
    ///
    /// # Errors
    /// As [`contradicted`].
    pub fn contradicted(&self, said: &BTreeMap<Position, Head>) -> Result<Vec<Position>, StoreError> {
        contradicted_by(&self.shared().journal, said)
    }
}

fn contradicted_by(journal: &Journal, said: &BTreeMap<Position, Head>) -> Result<Vec<Position>, StoreError> {
    let Some(first) = said.keys().next().copied() else { return Ok(Vec::new()) };
    let mut left = said.clone();
    journal.read_from(first, None, &mut |frame| {
        let entries = Position(frame.first)..Position(frame.first + u64::from(frame.count));
        let here: Vec<Position> = left.range(entries).map(|(position, _)| *position).collect();
        for position in here {
            if left.get(&position) == Some(&frame.head) {
                left.remove(&position);
            }
        }
        Ok(())
    })?;
    Ok(left.into_keys().collect())
}
