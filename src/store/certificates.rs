//! Rows of certificates: what never changes of 64 consecutive serials in one row, and in another what
//! became of those among them that changed. A revocation rewrites some hundred octets then, not the
//! ten thousand that 64 certificates take.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::error::StoreError;
use super::octets::{Octets, put_counted};
use super::overlay::broken;
use super::reading::{Read, Reading};
use super::rows::Rows;
use crate::pki::{AuthorityId, SerialNumber};
use crate::record::Record;

/// Serials in a row: of certificates as they were issued, 10 KB.
const ROW_SERIALS: u64 = 64;

/// As issued: serials of up to 64 bits, and wider ones.
const ISSUED: [u8; 2] = [b'd', b'w'];

/// What became of them.
const CHANGES: [u8; 2] = [b'e', b'x'];

pub(super) fn find(
    rows: &Rows,
    authority: AuthorityId,
    serial: &SerialNumber,
) -> Result<Option<Record>, StoreError> {
    let issued = rows.find(&key(ISSUED, authority, serial))?.unwrap_or_default();
    let Some(issue) = find_in(&issued, serial)? else { return Ok(None) };
    // In this order: what was issued is never taken back, and changes only become more.
    let changes = rows.find(&key(CHANGES, authority, serial))?.unwrap_or_default();
    record(issue, find_in(&changes, serial)?).map(Some)
}

/// As [`find`], by rows that are read once.
pub(super) fn read(
    reading: &Reading<'_>,
    authority: AuthorityId,
    serial: &SerialNumber,
) -> Result<Option<Record>, StoreError> {
    // Both, also for a certificate that is about to be issued: if it is changed in the same batch, its
    // row of changes is written, and must have been read for its neighbours'.
    let issued = reading.row(key(ISSUED, authority, serial))?;
    let changes = reading.row(key(CHANGES, authority, serial))?;
    let Some(issue) = find_in(&issued, serial)? else { return Ok(None) };
    record(issue, find_in(&changes, serial)?).map(Some)
}

/// Every record of an authority in the order of serials.
pub(super) fn scan(
    rows: &Rows,
    authority: AuthorityId,
    each: &mut dyn FnMut(SerialNumber, Record),
) -> Result<(), StoreError> {
    for (issued, changed) in ISSUED.into_iter().zip(CHANGES) {
        rows.each_beside(&[issued, authority.0], &[changed, authority.0], &mut |_, issued, changed| {
            let changes: BTreeMap<SerialNumber, &[u8]> = pairs(changed).collect::<Result<_, _>>()?;
            for pair in pairs(issued) {
                let (serial, issue) = pair?;
                each(serial, record(issue, changes.get(&serial).copied())?);
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Rows as they will be written.
#[derive(Default)]
pub(super) struct Packed<'a>(BTreeMap<Vec<u8>, BTreeMap<SerialNumber, Cow<'a, [u8]>>>);

impl<'a> Packed<'a> {
    /// Puts a record into its rows; `is_new` when they do not have it yet.
    pub(super) fn put(
        &mut self,
        read: &'a Read,
        (authority, serial): (AuthorityId, SerialNumber),
        record: &Record,
        is_new: bool,
    ) -> Result<(), StoreError> {
        if is_new {
            let mut octets = Vec::new();
            record.write_issue(&mut octets);
            self.put_octets(read, key(ISSUED, authority, &serial), serial, octets)?;
        }
        if !record.changes.is_empty() {
            let mut octets = Vec::new();
            record.write_changes(&mut octets)?;
            self.put_octets(read, key(CHANGES, authority, &serial), serial, octets)?;
        }
        Ok(())
    }

    fn put_octets(
        &mut self,
        read: &'a Read,
        key: Vec<u8>,
        serial: SerialNumber,
        octets: Vec<u8>,
    ) -> Result<(), StoreError> {
        let row = match self.0.entry(key) {
            Entry::Occupied(row) => row.into_mut(),
            Entry::Vacant(place) => {
                let row = read.row(place.key());
                let kept = pairs(row).map(|pair| pair.map(|(serial, octets)| (serial, octets.into())));
                place.insert(kept.collect::<Result<_, _>>()?)
            }
        };
        row.insert(serial, octets.into());
        Ok(())
    }

    pub(super) fn write(self, batch: &mut BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), StoreError> {
        for (key, row) in self.0 {
            let mut octets = Vec::new();
            for (serial, kept) in row {
                octets.push(u8::try_from(serial.magnitude().len()).unwrap_or(0));
                octets.extend(serial.magnitude());
                put_counted(&mut octets, "row of a certificate", &kept)?;
            }
            batch.insert(key, octets);
        }
        Ok(())
    }
}

fn key([narrow, wide]: [u8; 2], authority: AuthorityId, serial: &SerialNumber) -> Vec<u8> {
    let mut key = Vec::with_capacity(10);
    if let Some(number) = serial.to_u64() {
        key.extend([narrow, authority.0]);
        key.extend((number / ROW_SERIALS).to_be_bytes());
    } else {
        let magnitude = serial.magnitude();
        key.extend([wide, authority.0, u8::try_from(magnitude.len()).unwrap_or(0)]);
        key.extend(magnitude.iter().take(2));
    }
    key
}

fn record(issue: &[u8], changes: Option<&[u8]>) -> Result<Record, StoreError> {
    Record::from_parts(issue, changes).map_err(|error| StoreError::Projection(error.to_string()))
}

fn find_in<'a>(row: &'a [u8], serial: &SerialNumber) -> Result<Option<&'a [u8]>, StoreError> {
    for pair in pairs(row) {
        let (found, octets) = pair?;
        if found == *serial {
            return Ok(Some(octets));
        }
    }
    Ok(None)
}

/// What a row keeps of each serial, not yet read.
fn pairs(row: &[u8]) -> impl Iterator<Item = Result<(SerialNumber, &[u8]), StoreError>> {
    let mut rest = Octets(row);
    std::iter::from_fn(move || {
        if rest.0.is_empty() {
            return None;
        }
        let pair = rest.one().and_then(|len| {
            let serial = SerialNumber::from_magnitude(rest.take(usize::from(len))?).ok()?;
            Some((serial, rest.counted()?))
        });
        if pair.is_none() {
            rest = Octets(&[]);
        }
        Some(pair.ok_or_else(broken))
    })
}
