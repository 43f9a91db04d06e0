//! Rows as they are before a group: each is read once, for the decisions that look at it and for the
//! batch that writes it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::error::StoreError;
use super::rows::Rows;

/// Rows, read as they are asked for.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    rows: &'a Rows,
    read: RefCell<BTreeMap<Vec<u8>, sled::IVec>>,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Read(BTreeMap<Vec<u8>, sled::IVec>);

impl<'a> Reading<'a> {
    pub(super) const fn new(rows: &'a Rows) -> Self {
        Self { rows, read: RefCell::new(BTreeMap::new()) }
    }

    /// A row; one that is not there is empty.
    pub(super) fn row(&self, key: Vec<u8>) -> Result<sled::IVec, StoreError> {
        if let Some(row) = self.read.borrow().get(&key) {
            return Ok(row.clone());
        }
        let row = self.rows.find(&key)?.unwrap_or_default();
        self.read.borrow_mut().insert(key, row.clone());
        Ok(row)
    }

    /// How many were read.
    pub(super) fn len(&self) -> usize {
        self.read.borrow().len()
    }

    pub(super) fn close(self) -> Read {
        Read(self.read.into_inner())
    }
}

impl Read {
    /// A row as it was read.
    pub(super) fn row(&self, key: &[u8]) -> &[u8] {
        self.0.get(key).map_or(&[], |row| row)
    }
}
