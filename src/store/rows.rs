//! The projection's rows: records, packed, in sled or in memory.
//!
//! | key | octets | row |
//! |---|---|---|
//! | `p` | 1 | version 1, journal id 16, position 8, head 32: what all other rows hold |
//! | `d`, authority, block | 1 + 1 + 8 | certificates of serials 64·block … 64·block + 63, as they were issued |
//! | `w`, authority, octets, lead | 1 + 1 + 1 + 2 | those of serials above 64 bits with so many octets and these first two |
//! | `e`, `x`, then as `d`, `w` | | changes of those among them that have any |
//! | `k`, lead | 1 + 2 | requests whose key begins with these two octets |
//! | `c`, lead | 1 + 2 | cards and phones whose number begins with these two octets |
//! | `h`, lead | 1 + 2 | people whose number begins with these two octets |
//!
//! | row of `d`, `w`, `e` and `x`: each certificate | octets | |
//! |---|---|---|
//! | serial | 1 + n | length, magnitude; rising |
//! | its issue, or its changes | 4 + n | length, then as in the codec of records |
//!
//! | row of `c` and `h`: each | octets | |
//! |---|---|---|
//! | number | 16 | rising |
//! | card or holder | 4 + n | length, then as in the codec of records |
//!
//! | row of `k`: each request | offset | octets | |
//! |---|---|---|---|
//! | key | 0 | 16 | rising |
//! | digest | 16 | 16 | |
//! | first | 32 | 8 | position of its first entry |
//! | count | 40 | 4 | of its entries |
//! | recorded_at | 44 | 8 | seconds since 1970 |
//!
//! Numbers are big-endian, so keys are in the order of serials, and those of `d` before those of `w`.
//! Serials above 64 bits are random and so are their first octets: they spread over rows as a hash
//! would, and stay in order. A batch is atomic and carries `p`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use super::error::StoreError;

/// sled's cache. The rows are read seldom (decisions, CRL builds) and most often in order; the
/// service's memory goes to signatures.
pub const SLED_CACHE_OCTETS: u64 = 8 << 20;

/// Where rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsKind {
    /// In sled, under `projection/`.
    Sled,
    /// In memory: rebuilt at every start. For tests and [`check`](super::check_deep).
    Memory,
}

/// Is passed a key and its row.
pub(super) type EachRow<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError> + 'a;

/// Is passed a key, its row, and the row beside it.
pub(super) type EachPair<'a> = dyn FnMut(&[u8], &[u8], &[u8]) -> Result<(), StoreError> + 'a;

/// Rows, by key.
#[derive(Debug)]
pub(super) enum Rows {
    Sled(sled::Db),
    Memory(RwLock<BTreeMap<Vec<u8>, Vec<u8>>>),
}

impl Rows {
    pub(super) fn memory() -> Self {
        Self::Memory(RwLock::default())
    }

    pub(super) fn sled(dir: &Path) -> Result<Self, StoreError> {
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(SLED_CACHE_OCTETS)
            // Durable by the journal; flushed at the close.
            .flush_every_ms(None)
            // No larger here than the other mode, and no slower.
            .mode(sled::Mode::LowSpace);
        Ok(Self::Sled(config.open()?))
    }

    pub(super) fn find(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        match self {
            Self::Sled(tree) => Ok(tree.get(key)?),
            Self::Memory(rows) => {
                let rows = rows.read().unwrap_or_else(PoisonError::into_inner);
                Ok(rows.get(key).map(|row| sled::IVec::from(row.as_slice())))
            }
        }
    }

    /// Writes rows, all or none.
    pub(super) fn write(&self, batch: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), StoreError> {
        match self {
            Self::Sled(tree) => {
                let mut atomic = sled::Batch::default();
                for (key, row) in batch {
                    atomic.insert(key, row);
                }
                tree.apply_batch(atomic)?;
            }
            Self::Memory(rows) => rows.write().unwrap_or_else(PoisonError::into_inner).extend(batch),
        }
        Ok(())
    }

    /// Every row whose key begins with `prefix`, in order.
    pub(super) fn each(&self, prefix: &[u8], each: &mut EachRow<'_>) -> Result<(), StoreError> {
        match self {
            Self::Sled(tree) => {
                for row in tree.scan_prefix(prefix) {
                    let (key, row) = row?;
                    each(&key, &row)?;
                }
            }
            Self::Memory(rows) => {
                // In steps, so that a long scan holds up no batch.
                let mut from = prefix.to_vec();
                loop {
                    let step: Vec<_> = {
                        let rows = rows.read().unwrap_or_else(PoisonError::into_inner);
                        let range = rows.range(from.clone()..).take_while(|(key, _)| key.starts_with(prefix));
                        range.take(SCAN_STEP_ROWS).map(|(key, row)| (key.clone(), row.clone())).collect()
                    };
                    let Some((last, _)) = step.last() else { break };
                    from.clone_from(last);
                    from.push(0);
                    for (key, row) in &step {
                        each(key, row)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// As [`Self::each`], with the row, empty if there is none, whose key is the same but begins with
    /// `beside` in place of `prefix`.
    pub(super) fn each_beside(
        &self,
        prefix: &[u8],
        beside: &[u8],
        each: &mut EachPair<'_>,
    ) -> Result<(), StoreError> {
        let Self::Sled(tree) = self else {
            return self.each(prefix, &mut |key, row| {
                let other = [beside, key.get(prefix.len()..).unwrap_or_default()].concat();
                each(key, row, &self.find(&other)?.unwrap_or_default())
            });
        };
        // Both in order, side by side: looking each one up would take as long as all the rest.
        let mut others = tree.scan_prefix(beside).peekable();
        for row in tree.scan_prefix(prefix) {
            let (key, row) = row?;
            let rest = key.get(prefix.len()..).unwrap_or_default();
            let place = |other: &sled::IVec| other.get(beside.len()..).unwrap_or_default().cmp(rest);
            while others.next_if(|other| matches!(other, Ok((key, _)) if place(key).is_lt())).is_some() {}
            match others.next_if(|other| !matches!(other, Ok((key, _)) if place(key).is_gt())).transpose()? {
                Some((_, other)) => each(&key, &row, &other)?,
                None => each(&key, &row, &[])?,
            }
        }
        Ok(())
    }

    /// Lets sled write everything out; it is not durable before its files are synced too.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        if let Self::Sled(tree) = self {
            tree.flush()?;
        }
        Ok(())
    }
}

const SCAN_STEP_ROWS: usize = 256;
