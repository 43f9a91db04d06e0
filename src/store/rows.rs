//! The projection's rows: records, packed, in sled or in memory.
//!
//! | key | octets | row |
//! |---|---|---|
//! | `p` | 1 | version 1, journal id 16, position 8, head 32: what all other rows hold |
//! | `d`, authority, block | 1 + 1 + 8 | certificates of serials 8·block … 8·block + 7, as they were issued |
//! | `w`, authority, octets, lead | 1 + 1 + 1 + 3 | those of serials above 64 bits with so many octets and these first 19 bits |
//! | `e`, `x`, then as `d`, `w` | | changes of those that have any, of 64 serials in a block |
//! | `k`, lead | 1 + 3 | requests whose key begins with these 19 bits |
//! | `c`, lead | 1 + 3 | cards and phones whose number begins with these 19 bits |
//! | `h`, lead | 1 + 3 | people whose number begins with these 19 bits |
//! | `s`, lead | 1 + 3 | public keys that were certified, whose digest begins with these 19 bits |
//! | `b`, position | 1 + 8 | the entry there breaks the rule of succession: how, in words |
//!
//! A lead is padded with five zero bits. What a row keeps is found in it as [`super::packing`] says:
//! certificates by their serial, all else by their number of 16 octets. An issue, changes, a card, a holder
//! and a key are written as in the codec of records; a request is:
//!
//! | field | offset | octets | |
//! |---|---|---|---|
//! | digest | 0 | 16 | |
//! | first | 16 | 8 | position of its first entry |
//! | count | 24 | 4 | of its entries |
//! | recorded_at | 28 | 8 | seconds since 1970 |
//!
//! Numbers are big-endian, so keys are in the order of serials, and those of `d` before those of `w`.
//! Rows are written one by one, `p` last. A crash leaves them half written, and no marker of a clean stop:
//! then they are made anew.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use super::error::StoreError;
use crate::record::Position;

/// sled's cache, in octets for each entry of the journal: enough for the inner nodes over the rows, so that a
/// decision reads a leaf for each thing it looks at, and for some of the leaves.
const CACHE_OCTETS_PER_ENTRY: u64 = 32;

/// At the least: what a million entries have.
const CACHE_OCTETS_MIN: u64 = 32 << 20;

/// At the most: the service's memory goes to signatures.
const CACHE_OCTETS_MAX: u64 = 64 << 20;

/// Octets of sled's cache where the journal has so many entries.
fn cache_octets(entries: Position) -> u64 {
    entries.0.saturating_mul(CACHE_OCTETS_PER_ENTRY).clamp(CACHE_OCTETS_MIN, CACHE_OCTETS_MAX)
}

/// Where rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsKind {
    /// In sled, under `projection/`.
    Sled,
    /// In memory: rebuilt at every start. For tests and [`check`](super::check_deep).
    Memory,
}

/// Keys and rows, in the order of keys.
pub(super) type RowIter<'a> = Box<dyn Iterator<Item = Result<(sled::IVec, sled::IVec), StoreError>> + 'a>;

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

    /// In a directory. `entries` are those of the journal now, or about as many.
    pub(super) fn sled(dir: &Path, entries: Position) -> Result<Self, StoreError> {
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(cache_octets(entries))
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

    /// Writes one row.
    pub(super) fn insert(&self, key: Vec<u8>, row: Vec<u8>) -> Result<(), StoreError> {
        match self {
            Self::Sled(tree) => {
                tree.insert(key, row)?;
            }
            Self::Memory(rows) => {
                rows.write().unwrap_or_else(PoisonError::into_inner).insert(key, row);
            }
        }
        Ok(())
    }

    /// Every row whose key begins with `prefix`, in order; those written meanwhile may be among them.
    pub(super) fn iter(&self, prefix: &[u8]) -> RowIter<'_> {
        self.iter_from(prefix, prefix)
    }

    /// Of those the ones whose key is `from` or comes after it.
    pub(super) fn iter_from(&self, prefix: &[u8], from: &[u8]) -> RowIter<'_> {
        let (prefix, mut from) = (prefix.to_vec(), from.max(prefix).to_vec());
        let rows = match self {
            Self::Sled(tree) => {
                let all = tree.range(from..).map(|row| row.map_err(StoreError::from));
                return Box::new(all.take_while(move |row| match row {
                    Ok((key, _)) => key.starts_with(&prefix),
                    Err(_) => true,
                }));
            }
            Self::Memory(rows) => rows,
        };
        let mut step = Vec::new().into_iter();
        // In steps, so that a long scan holds up no write.
        Box::new(std::iter::from_fn(move || {
            if step.len() == 0 {
                let rows = rows.read().unwrap_or_else(PoisonError::into_inner);
                let range = rows.range(from.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
                let some = range
                    .take(SCAN_STEP_ROWS)
                    .map(|(key, row)| (key.as_slice().into(), row.as_slice().into()));
                step = some.collect::<Vec<(sled::IVec, sled::IVec)>>().into_iter();
            }
            let (key, row) = step.next()?;
            from.clear();
            from.extend(key.iter());
            from.push(0);
            Some(Ok((key, row)))
        }))
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
