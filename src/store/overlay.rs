//! Records that stand in the journal, or are about to, and not yet in the projection.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use super::carriers::{self, Packed, card_key, holder_key};
use super::certificates;
use super::error::StoreError;
use super::frame::Head;
use super::octets::Octets;
use super::reading::{Read, Reading};
use super::rows::Rows;
use crate::der::UnixTime;
use crate::pki::{AuthorityId, SerialNumber};
use crate::record::{
    self, Card, CardId, CertificateRef, FoldError, Folded, Holder, HolderId, Numbered, Position, Record,
    RequestId,
};

/// How long an idempotency key is remembered, by the journal's own time, so that every fold
/// agrees: movements are reported again as late as after a year.
pub const REQUEST_KEPT: Duration = Duration::from_secs(400 * 24 * 60 * 60);

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
    records: BTreeMap<(AuthorityId, SerialNumber), Loaded>,
    cards: BTreeMap<CardId, Option<Card>>,
    holders: BTreeMap<HolderId, Option<Holder>>,
    requests: BTreeMap<[u8; 16], Seen>,
}

/// A record, and whether the rows have it.
#[derive(Debug, Clone)]
struct Loaded {
    record: Option<Record>,
    is_new: bool,
}

impl Overlay {
    pub(super) fn find(&self, authority: AuthorityId, serial: &SerialNumber) -> Option<&Record> {
        self.records.get(&(authority, *serial))?.record.as_ref()
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

    /// Reads what the entry will change, and its rows, so that [`Self::fold`] cannot fail.
    pub(super) fn load(&mut self, reading: &Reading<'_>, entry: &record::Entry) -> Result<(), StoreError> {
        if let Some(CertificateRef { authority, serial, .. }) = entry.event.certificate()
            && let Entry::Vacant(place) = self.records.entry((*authority, *serial))
        {
            let record = certificates::read(reading, *authority, serial)?;
            place.insert(Loaded { is_new: record.is_none(), record });
        }
        if let Some(card) = entry.event.card()
            && let Entry::Vacant(place) = self.cards.entry(card)
        {
            place.insert(carriers::read_card(reading, card)?);
        }
        if let Some(holder) = entry.event.holder()
            && let Entry::Vacant(place) = self.holders.entry(holder)
        {
            place.insert(carriers::read_holder(reading, holder)?);
        }
        if let Some(request) = &entry.origin.request {
            reading.row(request_key(&request.key))?;
        }
        Ok(())
    }

    /// Folds an entry into what was loaded before. One that breaks the rule of succession, as those
    /// may that an earlier version wrote, is told.
    pub(super) fn fold(&mut self, numbered: &Numbered) -> Result<(), FoldError> {
        if let Some(certificate) = numbered.entry.event.certificate() {
            let place = self.records.entry((certificate.authority, certificate.serial));
            let loaded = place.or_insert(Loaded { record: None, is_new: true });
            if let Folded::Breached(breach) = Record::apply(&mut loaded.record, numbered)? {
                tracing::warn!(%breach, "an entry breaks the rule of succession");
            }
        }
        if let Some(card) = numbered.entry.event.card() {
            Card::apply(self.cards.entry(card).or_default(), numbered)?;
        }
        if let Some(holder) = numbered.entry.event.holder() {
            Holder::apply(self.holders.entry(holder).or_default(), numbered)?;
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
        Ok(())
    }

    /// Writes all of it into rows, which were `read` before, as what it is after the last entry that
    /// `held` names.
    pub(super) fn store(&self, rows: &Rows, read: &Read, held: &Held) -> Result<(), StoreError> {
        let mut batch: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let mut packed = certificates::Packed::default();
        for (name, loaded) in &self.records {
            if let Some(record) = &loaded.record {
                packed.put(read, *name, record, loaded.is_new)?;
            }
        }
        packed.write(&mut batch)?;
        let mut packed = Packed::default();
        for (id, card) in &self.cards {
            let Some(card) = card else { continue };
            let mut octets = Vec::new();
            card.write(&mut octets)?;
            packed.put(read, card_key(*id), id.0, octets)?;
        }
        for (id, holder) in &self.holders {
            let Some(holder) = holder else { continue };
            let mut octets = Vec::new();
            holder.write(&mut octets)?;
            packed.put(read, holder_key(*id), id.0, octets)?;
        }
        packed.write(&mut batch)?;
        let mut by_row: BTreeMap<Vec<u8>, BTreeMap<[u8; 16], Seen>> = BTreeMap::new();
        for (key, seen) in &self.requests {
            let row = match by_row.entry(request_key(key)) {
                Entry::Occupied(row) => row.into_mut(),
                Entry::Vacant(place) => {
                    let row = requests(read.row(place.key()))?;
                    place.insert(row)
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
const ROWS_VERSION: u8 = 6;

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

pub(super) fn find_request(reading: &Reading<'_>, key: &[u8; 16]) -> Result<Option<Seen>, StoreError> {
    Ok(requests(&reading.row(request_key(key))?)?.get(key).copied())
}

const REQUESTS: u8 = b'k';

fn request_key(key: &[u8; 16]) -> Vec<u8> {
    let [first, second, ..] = *key;
    vec![REQUESTS, first, second]
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
