//! Records that stand in the journal, or are about to, and not yet in the projection.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use super::carriers::{self, Packed, card_key, holder_key};
use super::error::StoreError;
use super::frame::Head;
use super::octets::{Octets, put_counted};
use super::rows::Rows;
use crate::der::UnixTime;
use crate::pki::{AuthorityId, SerialNumber};
use crate::record::{
    self, Card, CardId, CertificateRef, Holder, HolderId, Numbered, Position, Record, RequestId,
};

/// How long an idempotency key is remembered, by the journal's own time, so that every fold
/// agrees: movements are reported again as late as after a year.
pub const REQUEST_KEPT: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Serials in a row of the projection: a row is 8 KB, and a scan reads few rows.
const ROW_SERIALS: u64 = 64;

/// The first outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) digest: [u8; 16],
    pub(super) first: Position,
    pub(super) count: u32,
    pub(super) recorded_at: UnixTime,
}

/// What entries changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Overlay {
    records: BTreeMap<(AuthorityId, SerialNumber), Option<Record>>,
    cards: BTreeMap<CardId, Option<Card>>,
    holders: BTreeMap<HolderId, Option<Holder>>,
    requests: BTreeMap<[u8; 16], Seen>,
    /// The rows that all these came from, as they were: the store of consecutive serials reads
    /// each once.
    rows: BTreeMap<Vec<u8>, sled::IVec>,
}

impl Overlay {
    pub(super) fn find(&self, authority: AuthorityId, serial: &SerialNumber) -> Option<&Record> {
        self.records.get(&(authority, *serial)).and_then(Option::as_ref)
    }

    pub(super) fn find_card(&self, card: CardId) -> Option<&Card> {
        self.cards.get(&card).and_then(Option::as_ref)
    }

    pub(super) fn find_holder(&self, holder: HolderId) -> Option<&Holder> {
        self.holders.get(&holder).and_then(Option::as_ref)
    }

    pub(super) fn find_request(&self, key: &[u8; 16]) -> Option<Seen> {
        self.requests.get(key).copied()
    }

    /// Reads what the entry will change, so that [`Self::fold`] cannot fail.
    pub(super) fn load(&mut self, rows: &Rows, entry: &record::Entry) -> Result<(), StoreError> {
        if let Some(CertificateRef { authority, serial, .. }) = entry.event.certificate()
            && let Entry::Vacant(place) = self.records.entry((*authority, *serial))
        {
            let row = load(&mut self.rows, rows, record_key(*authority, serial))?;
            place.insert(find_in(row, serial)?);
        }
        if let Some(card) = entry.event.card()
            && let Entry::Vacant(place) = self.cards.entry(card)
        {
            place.insert(carriers::card_in(load(&mut self.rows, rows, card_key(card))?, card)?);
        }
        if let Some(holder) = entry.event.holder()
            && let Entry::Vacant(place) = self.holders.entry(holder)
        {
            place.insert(carriers::holder_in(load(&mut self.rows, rows, holder_key(holder))?, holder)?);
        }
        Ok(())
    }

    /// Rows that [`Self::store`] will write, those of requests not counted.
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Folds an entry into what was loaded before.
    pub(super) fn fold(&mut self, numbered: &Numbered) {
        if let Some(certificate) = numbered.entry.event.certificate() {
            let record = self.records.entry((certificate.authority, certificate.serial)).or_default();
            Record::apply(record, numbered);
        }
        if let Some(card) = numbered.entry.event.card() {
            Card::apply(self.cards.entry(card).or_default(), numbered);
        }
        if let Some(holder) = numbered.entry.event.holder() {
            Holder::apply(self.holders.entry(holder).or_default(), numbered);
        }
        if let Some(RequestId { key, digest }) = numbered.entry.origin.request {
            let recorded_at = numbered.entry.recorded_at;
            let fresh = Seen { digest, first: numbered.position, count: 0, recorded_at };
            let seen = self.requests.entry(key).or_insert(fresh);
            let continues = seen.first.0 + u64::from(seen.count) == numbered.position.0
                && (seen.digest, seen.recorded_at) == (digest, recorded_at);
            if !continues {
                *seen = fresh;
            }
            seen.count += 1;
        }
    }

    /// Writes all of it into rows, as what it is after the last entry that `held` names.
    pub(super) fn store(&self, rows: &Rows, held: &Held) -> Result<(), StoreError> {
        let mut batch: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let mut packed: BTreeMap<Vec<u8>, BTreeMap<SerialNumber, Cow<'_, [u8]>>> = BTreeMap::new();
        for ((authority, serial), record) in &self.records {
            let Some(record) = record else { continue };
            let key = record_key(*authority, serial);
            let row = match packed.entry(key) {
                Entry::Occupied(row) => row.into_mut(),
                Entry::Vacant(place) => {
                    let row = self.rows.get(place.key()).map_or(&[][..], |row| row);
                    let row = records(row).map(|pair| pair.map(|(serial, octets)| (serial, octets.into())));
                    place.insert(row.collect::<Result<_, _>>()?)
                }
            };
            let mut octets = Vec::new();
            record.write(&mut octets);
            row.insert(*serial, octets.into());
        }
        for (key, row) in packed {
            let mut octets = Vec::new();
            for (serial, record) in row {
                octets.push(u8::try_from(serial.magnitude().len()).unwrap_or(0));
                octets.extend(serial.magnitude());
                put_counted(&mut octets, &record);
            }
            batch.insert(key, octets);
        }
        let mut packed = Packed::default();
        for (id, card) in &self.cards {
            let Some(card) = card else { continue };
            let mut octets = Vec::new();
            card.write(&mut octets);
            packed.put(&self.rows, card_key(*id), id.0, octets)?;
        }
        for (id, holder) in &self.holders {
            let Some(holder) = holder else { continue };
            let mut octets = Vec::new();
            holder.write(&mut octets);
            packed.put(&self.rows, holder_key(*id), id.0, octets)?;
        }
        packed.write(&mut batch);
        let mut by_row: BTreeMap<Vec<u8>, BTreeMap<[u8; 16], Seen>> = BTreeMap::new();
        for (key, seen) in &self.requests {
            let row_key = request_key(key);
            let row = match by_row.entry(row_key) {
                Entry::Occupied(row) => row.into_mut(),
                Entry::Vacant(place) => {
                    let row = rows.find(place.key())?.unwrap_or_default();
                    place.insert(requests(&row)?)
                }
            };
            row.insert(*key, *seen);
        }
        for (row_key, mut row) in by_row {
            let newest = row.values().map(|seen| seen.recorded_at).max().unwrap_or_default();
            row.retain(|_, seen| !is_expired(seen, newest));
            let mut octets = Vec::new();
            for (key, seen) in row {
                octets.extend(key);
                octets.extend(seen.digest);
                octets.extend(seen.first.0.to_be_bytes());
                octets.extend(seen.count.to_be_bytes());
                octets.extend(seen.recorded_at.seconds().to_be_bytes());
            }
            batch.insert(row_key, octets);
        }
        batch.insert(HELD_KEY.to_vec(), held.octets());
        rows.write(batch)
    }
}

/// Up to where rows hold the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) journal_id: [u8; 16],
    pub(super) position: Position,
    pub(super) head: Head,
}

const HELD_KEY: &[u8] = b"p";

/// Rises with every change of what rows hold, or how: rows of another version are made anew.
const ROWS_VERSION: u8 = 2;

impl Held {
    fn octets(&self) -> Vec<u8> {
        [&[ROWS_VERSION][..], &self.journal_id, &self.position.0.to_be_bytes(), &self.head].concat()
    }

    /// True when the rows hold exactly this.
    pub(super) fn is_in(&self, rows: &Rows) -> Result<bool, StoreError> {
        Ok(rows.find(HELD_KEY)?.is_some_and(|row| *row == *self.octets()))
    }
}

pub(super) fn is_expired(seen: &Seen, now: UnixTime) -> bool {
    now.since(seen.recorded_at) > REQUEST_KEPT
}

pub(super) fn find(
    rows: &Rows,
    authority: AuthorityId,
    serial: &SerialNumber,
) -> Result<Option<Record>, StoreError> {
    let row = rows.find(&record_key(authority, serial))?;
    row.map_or(Ok(None), |row| find_in(&row, serial))
}

fn find_in(row: &[u8], serial: &SerialNumber) -> Result<Option<Record>, StoreError> {
    for pair in records(row) {
        let (found, octets) = pair?;
        if found == *serial {
            return read_record(octets).map(Some);
        }
    }
    Ok(None)
}

/// The row of a key, read once.
fn load<'a>(
    loaded: &'a mut BTreeMap<Vec<u8>, sled::IVec>,
    rows: &Rows,
    key: Vec<u8>,
) -> Result<&'a sled::IVec, StoreError> {
    Ok(match loaded.entry(key) {
        Entry::Occupied(row) => row.into_mut(),
        Entry::Vacant(place) => {
            let row = rows.find(place.key())?.unwrap_or_default();
            place.insert(row)
        }
    })
}

pub(super) fn find_request(rows: &Rows, key: &[u8; 16]) -> Result<Option<Seen>, StoreError> {
    let Some(row) = rows.find(&request_key(key))? else { return Ok(None) };
    Ok(requests(&row)?.get(key).copied())
}

/// Every record of an authority in the order of serials.
pub(super) fn scan(
    rows: &Rows,
    authority: AuthorityId,
    each: &mut dyn FnMut(SerialNumber, Record),
) -> Result<(), StoreError> {
    for tag in [DENSE, WIDE] {
        rows.each(&[tag, authority.0], &mut |_, row| {
            for pair in records(row) {
                let (serial, octets) = pair?;
                each(serial, read_record(octets)?);
            }
            Ok(())
        })?;
    }
    Ok(())
}

const DENSE: u8 = b'd';
const WIDE: u8 = b'w';
const REQUESTS: u8 = b'k';

fn record_key(authority: AuthorityId, serial: &SerialNumber) -> Vec<u8> {
    let mut key = Vec::with_capacity(10);
    if let Some(number) = serial.to_u64() {
        key.extend([DENSE, authority.0]);
        key.extend((number / ROW_SERIALS).to_be_bytes());
    } else {
        let magnitude = serial.magnitude();
        key.extend([WIDE, authority.0, u8::try_from(magnitude.len()).unwrap_or(0)]);
        key.extend(magnitude.iter().take(2));
    }
    key
}

fn request_key(key: &[u8; 16]) -> Vec<u8> {
    let [first, second, ..] = *key;
    vec![REQUESTS, first, second]
}

fn read_record(octets: &[u8]) -> Result<Record, StoreError> {
    Record::from_octets(octets).map_err(|error| StoreError::Projection(error.to_string()))
}

/// The records of a row, not yet read.
fn records(row: &[u8]) -> impl Iterator<Item = Result<(SerialNumber, &[u8]), StoreError>> {
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

fn requests(row: &[u8]) -> Result<BTreeMap<[u8; 16], Seen>, StoreError> {
    let mut rest = Octets(row);
    let mut requests = BTreeMap::new();
    while !rest.0.is_empty() {
        let mut one = || {
            let key = rest.array()?;
            let digest = rest.array()?;
            let first = Position(rest.u64()?);
            let count = rest.u32()?;
            let recorded_at = UnixTime::from_seconds(rest.array().map(i64::from_be_bytes)?);
            Some((key, Seen { digest, first, count, recorded_at }))
        };
        let (key, seen) = one().ok_or_else(broken)?;
        requests.insert(key, seen);
    }
    Ok(requests)
}

pub(super) fn broken() -> StoreError {
    StoreError::Projection("a row is not what was written".to_owned())
}
