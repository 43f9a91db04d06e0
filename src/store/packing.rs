//! Rows that keep several things, each under its own key, in the order of their keys.
//!
//! | each | octets | |
//! |---|---|---|
//! | key | | as [`RowKey`] says; rising |
//! | kept | 4 + n | length, octets |

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::error::StoreError;
use super::octets::{Octets, put_counted};
use super::rows::Rows;
use crate::pki::SerialNumber;

/// What something in a row is found by.
pub(super) trait RowKey: Ord + Copy {
    fn read_key(octets: &mut Octets<'_>) -> Option<Self>;
    fn write_key(&self, out: &mut Vec<u8>);
}

/// Length in one octet, magnitude.
impl RowKey for SerialNumber {
    fn read_key(octets: &mut Octets<'_>) -> Option<Self> {
        let len = octets.one()?;
        Self::from_magnitude(octets.take(usize::from(len))?).ok()
    }

    fn write_key(&self, out: &mut Vec<u8>) {
        // A serial number has 20 octets at most, by its type.
        out.push(u8::try_from(self.magnitude().len()).unwrap_or(u8::MAX));
        out.extend(self.magnitude());
    }
}

/// 16 octets.
impl RowKey for u128 {
    fn read_key(octets: &mut Octets<'_>) -> Option<Self> {
        octets.array().map(Self::from_be_bytes)
    }

    fn write_key(&self, out: &mut Vec<u8>) {
        out.extend(self.to_be_bytes());
    }
}

/// What a row keeps, in order, not yet read.
pub(super) fn items<K: RowKey>(row: &[u8]) -> impl Iterator<Item = Result<(K, &[u8]), StoreError>> {
    let mut rest = Octets(row);
    let mut before = None;
    std::iter::from_fn(move || {
        if rest.0.is_empty() {
            return None;
        }
        let item = K::read_key(&mut rest).and_then(|key| Some((key, rest.counted()?)));
        let item = item.filter(|(key, _)| before.is_none_or(|before| before < *key));
        before = item.map(|(key, _)| key);
        if item.is_none() {
            rest = Octets(&[]);
        }
        Some(item.ok_or_else(broken))
    })
}

/// What a row keeps under `wanted`.
pub(super) fn find<K: RowKey>(row: &[u8], wanted: &K) -> Result<Option<Vec<u8>>, StoreError> {
    for item in items::<K>(row) {
        let (key, octets) = item?;
        if key >= *wanted {
            return Ok((key == *wanted).then(|| octets.to_vec()));
        }
    }
    Ok(None)
}

/// Things to be put into rows, by the rows' keys.
pub(super) struct Packing<K>(BTreeMap<Vec<u8>, BTreeMap<K, Vec<u8>>>);

impl<K> Default for Packing<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: RowKey> Packing<K> {
    pub(super) fn put(&mut self, row: Vec<u8>, key: K, octets: Vec<u8>) {
        self.0.entry(row).or_default().insert(key, octets);
    }

    /// Reads each row and writes it with what was put into it, one after the other: nothing is known of
    /// a row but what is read here and now. `tidy` may take away what need not be kept any longer.
    pub(super) fn write(
        self,
        rows: &Rows,
        tidy: impl Fn(&mut BTreeMap<K, Cow<'_, [u8]>>),
    ) -> Result<(), StoreError> {
        for (row_key, put) in self.0 {
            let row = rows.find(&row_key)?;
            let mut all = BTreeMap::new();
            for item in items::<K>(row.as_deref().unwrap_or_default()) {
                let (key, octets) = item?;
                all.insert(key, Cow::Borrowed(octets));
            }
            all.extend(put.into_iter().map(|(key, octets)| (key, Cow::Owned(octets))));
            tidy(&mut all);
            let mut merged = Vec::with_capacity(all.values().map(|octets| octets.len() + 25).sum());
            for (key, octets) in &all {
                key.write_key(&mut merged);
                put_counted(&mut merged, "what a row keeps", octets)?;
            }
            rows.insert(row_key, merged)?;
        }
        Ok(())
    }
}

pub(super) fn broken() -> StoreError {
    StoreError::Projection("a row is not what was written".to_owned())
}
