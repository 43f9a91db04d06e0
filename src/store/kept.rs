//! What the journal is folded into, and where each of it lies in the rows: certificates, cards and
//! phones, people, public keys, requests.

use std::collections::{BTreeMap, VecDeque};

use super::error::StoreError;
use super::octets::Octets;
use super::overlay::{Below, LookedUp, Overlay, Seen};
use super::packing::{self, Packing, RowKey, broken, items};
use super::rows::Rows;
use crate::der::UnixTime;
use crate::pki::{AuthorityId, SerialNumber};
use crate::record::{
    Breach, Card, CardId, CertifiedKey, Change, CodecError, Compromises, Holder, HolderId, KeyDigest,
    Position, Record,
};

/// One kind of what is kept.
pub(super) trait Kept: Clone {
    type Key: Ord + Copy;

    /// Those of this kind in an overlay.
    fn within(overlay: &Overlay) -> &BTreeMap<Self::Key, Self>;
    fn within_mut(overlay: &mut Overlay) -> &mut BTreeMap<Self::Key, Self>;

    /// Those of this kind that were looked up.
    fn looked_up(looked_up: &mut LookedUp) -> &mut BTreeMap<Self::Key, Option<Self>>;

    /// Reads it from the rows.
    fn find_in(rows: &Rows, key: &Self::Key) -> Result<Option<Self>, StoreError>;

    /// As it is with what the facts say of it, of which it is not told one by one.
    #[must_use]
    fn with(self, _compromises: &Compromises) -> Self {
        self
    }
}

/// What names a certificate here.
pub(super) type CertificateKey = (AuthorityId, SerialNumber);

/// Certificates as they were issued in a row. sled reads and writes some sixteen rows at once, and
/// decisions look at single certificates, far apart.
const ISSUED_SERIALS: u64 = 8;

/// Certificates whose changes share a row: few of them have any.
const CHANGED_SERIALS: u64 = 64;

/// As issued: serials of up to 64 bits, and wider ones.
const ISSUED: [u8; 2] = [b'd', b'w'];
/// What became of them.
const CHANGES: [u8; 2] = [b'e', b'x'];
const CARDS: u8 = b'c';
const HOLDERS: u8 = b'h';
const KEYS: u8 = b's';
const REQUESTS: u8 = b'k';
const BREACHES: u8 = b'b';

impl Below for Rows {
    fn find<K: Kept>(&self, key: &K::Key) -> Result<Option<K>, StoreError> {
        K::find_in(self, key)
    }
}

impl Kept for Record {
    type Key = CertificateKey;

    fn within(overlay: &Overlay) -> &BTreeMap<CertificateKey, Self> {
        &overlay.certificates
    }

    fn within_mut(overlay: &mut Overlay) -> &mut BTreeMap<CertificateKey, Self> {
        &mut overlay.certificates
    }

    fn looked_up(looked_up: &mut LookedUp) -> &mut BTreeMap<CertificateKey, Option<Self>> {
        &mut looked_up.certificates
    }

    fn find_in(rows: &Rows, (authority, serial): &CertificateKey) -> Result<Option<Self>, StoreError> {
        let Some(row) = rows.find(&issued_row(*authority, serial))? else { return Ok(None) };
        let Some(issue) = packing::find(&row, serial)? else { return Ok(None) };
        // In this order: what was issued is never taken back, and changes only become more.
        let changes = match rows.find(&changes_row(*authority, serial))? {
            Some(row) => packing::find(&row, serial)?,
            None => None,
        };
        record(&issue, changes.as_deref()).map(Some)
    }

    fn with(mut self, compromises: &Compromises) -> Self {
        if let Some(compromise) = compromises.of(&self.issued.certificate) {
            self.compromise(compromise);
        }
        self
    }
}

impl Kept for Card {
    type Key = CardId;

    fn within(overlay: &Overlay) -> &BTreeMap<CardId, Self> {
        &overlay.cards
    }

    fn within_mut(overlay: &mut Overlay) -> &mut BTreeMap<CardId, Self> {
        &mut overlay.cards
    }

    fn looked_up(looked_up: &mut LookedUp) -> &mut BTreeMap<CardId, Option<Self>> {
        &mut looked_up.cards
    }

    fn find_in(rows: &Rows, key: &CardId) -> Result<Option<Self>, StoreError> {
        find_by_id(rows, CARDS, key.0)?
            .map(|octets| Self::from_octets(&octets))
            .transpose()
            .map_err(unreadable)
    }
}

impl Kept for Holder {
    type Key = HolderId;

    fn within(overlay: &Overlay) -> &BTreeMap<HolderId, Self> {
        &overlay.holders
    }

    fn within_mut(overlay: &mut Overlay) -> &mut BTreeMap<HolderId, Self> {
        &mut overlay.holders
    }

    fn looked_up(looked_up: &mut LookedUp) -> &mut BTreeMap<HolderId, Option<Self>> {
        &mut looked_up.holders
    }

    fn find_in(rows: &Rows, key: &HolderId) -> Result<Option<Self>, StoreError> {
        let found = find_by_id(rows, HOLDERS, key.0)?;
        found.map(|octets| Self::from_octets(&octets)).transpose().map_err(unreadable)
    }
}

impl Kept for CertifiedKey {
    type Key = KeyDigest;

    fn within(overlay: &Overlay) -> &BTreeMap<KeyDigest, Self> {
        &overlay.keys
    }

    fn within_mut(overlay: &mut Overlay) -> &mut BTreeMap<KeyDigest, Self> {
        &mut overlay.keys
    }

    fn looked_up(looked_up: &mut LookedUp) -> &mut BTreeMap<KeyDigest, Option<Self>> {
        &mut looked_up.keys
    }

    fn find_in(rows: &Rows, key: &KeyDigest) -> Result<Option<Self>, StoreError> {
        let found = find_by_id(rows, KEYS, key.0)?;
        found.map(|octets| Self::from_octets(&octets)).transpose().map_err(unreadable)
    }
}

impl Kept for Seen {
    type Key = [u8; 16];

    fn within(overlay: &Overlay) -> &BTreeMap<[u8; 16], Self> {
        &overlay.requests
    }

    fn within_mut(overlay: &mut Overlay) -> &mut BTreeMap<[u8; 16], Self> {
        &mut overlay.requests
    }

    fn looked_up(looked_up: &mut LookedUp) -> &mut BTreeMap<[u8; 16], Option<Self>> {
        &mut looked_up.requests
    }

    fn find_in(rows: &Rows, key: &[u8; 16]) -> Result<Option<Self>, StoreError> {
        let found = find_by_id(rows, REQUESTS, u128::from_be_bytes(*key))?;
        found.map(|octets| Self::from_octets(&octets).ok_or_else(broken)).transpose()
    }
}

impl Seen {
    fn octets(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(36);
        out.extend(self.digest);
        out.extend(self.first.0.to_be_bytes());
        out.extend(self.count.to_be_bytes());
        out.extend(self.recorded_at.seconds().to_be_bytes());
        out
    }

    fn from_octets(octets: &[u8]) -> Option<Self> {
        let mut rest = Octets(octets);
        let seen = Self {
            digest: rest.array()?,
            first: Position(rest.u64()?),
            count: rest.u32()?,
            recorded_at: UnixTime::from_seconds(rest.array().map(i64::from_be_bytes)?),
        };
        rest.0.is_empty().then_some(seen)
    }
}

/// Puts all of an overlay into rows that hold the journal up to `before`. Not all at once: whoever
/// reads meanwhile looks into the overlay first, and what a crash leaves half written is made anew.
pub(super) fn write(overlay: &Overlay, rows: &Rows, before: Position) -> Result<(), StoreError> {
    let (mut issued, mut changes) = (Packing::default(), Packing::default());
    for ((authority, serial), record) in &overlay.certificates {
        // What was issued never changes: the rows have it, if they hold the entry that says so.
        if record.position > before {
            let mut octets = Vec::new();
            record.write_issue(&mut octets);
            issued.put(issued_row(*authority, serial), *serial, octets);
        }
        // A compromise stands in a record from the next entry about it on, which may be behind `before`.
        let is_newer = |change: &Change| change.position > before || change.cause == Some(change.position);
        if record.changes.last().is_some_and(is_newer) {
            let mut octets = Vec::new();
            record.write_changes(&mut octets)?;
            changes.put(changes_row(*authority, serial), *serial, octets);
        }
    }
    let mut others = Packing::default();
    for (id, card) in &overlay.cards {
        let mut octets = Vec::new();
        card.write(&mut octets)?;
        others.put(row_by_id(CARDS, id.0), id.0, octets);
    }
    for (id, holder) in &overlay.holders {
        let mut octets = Vec::new();
        holder.write(&mut octets)?;
        others.put(row_by_id(HOLDERS, id.0), id.0, octets);
    }
    for (id, key) in &overlay.keys {
        others.put(row_by_id(KEYS, id.0), id.0, key.octets());
    }
    let mut requests = Packing::default();
    for (key, seen) in &overlay.requests {
        let key = u128::from_be_bytes(*key);
        requests.put(row_by_id(REQUESTS, key), key, seen.octets());
    }
    // The issue before its changes: see `Record::find_in`.
    issued.write(rows, |_| {})?;
    changes.write(rows, |_| {})?;
    others.write(rows, |_| {})?;
    requests.write(rows, |row| {
        let seen = |octets: &[u8]| Seen::from_octets(octets);
        let newest = row.values().filter_map(|octets| Some(seen(octets)?.recorded_at)).max();
        // One that cannot be read stays, to be told of when it is asked for.
        row.retain(|_, octets| match (seen(octets), newest) {
            (Some(seen), Some(newest)) => !seen.is_expired(newest),
            _ => true,
        });
    })
}

/// Keeps that an entry breaks the rule of succession, for as long as these rows are in use.
pub(super) fn write_breach(breach: &Breach, rows: &Rows) -> Result<(), StoreError> {
    let key = [&[BREACHES][..], &breach.position.0.to_be_bytes()].concat();
    rows.insert(key, breach.to_string().into_bytes())
}

/// The entries that break the rule of succession, in words, in the order of the journal.
pub(super) fn breaches(rows: &Rows) -> Result<Vec<String>, StoreError> {
    let text = |row: &[u8]| String::from_utf8(row.to_vec()).map_err(|_| broken());
    rows.iter(&[BREACHES]).map(|row| text(&row?.1)).collect()
}

/// Every record of an authority in the order of serials. `orphan` hears of changes whose certificate is
/// not there.
pub(super) fn each_record(
    rows: &Rows,
    authority: AuthorityId,
    each: &mut dyn FnMut(SerialNumber, Record),
    orphan: &mut dyn FnMut(SerialNumber) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for (issued, changed) in ISSUED.into_iter().zip(CHANGES) {
        let mut changes = Changes { rows: rows.iter(&[changed, authority.0]), row: VecDeque::new() };
        for row in rows.iter(&[issued, authority.0]) {
            for item in items::<SerialNumber>(&row?.1) {
                let (serial, issue) = item?;
                let changed = loop {
                    match changes.peek()? {
                        Some(next) if next < serial => check_orphan(rows, authority, next, orphan)?,
                        Some(next) if next == serial => break changes.row.pop_front(),
                        _ => break None,
                    }
                    changes.row.pop_front();
                };
                each(serial, record(issue, changed.as_ref().map(|(_, octets)| octets.as_slice()))?);
            }
        }
        while let Some(next) = changes.peek()? {
            check_orphan(rows, authority, next, orphan)?;
            changes.row.pop_front();
        }
    }
    Ok(())
}

/// The records of an authority after a serial, so many at most, in the order of serials.
pub(super) fn records_after(
    rows: &Rows,
    authority: AuthorityId,
    after: Option<&SerialNumber>,
    most: usize,
) -> Result<Vec<Record>, StoreError> {
    let mut found = Vec::new();
    let from = after.map(|after| issued_row(authority, after)).unwrap_or_default();
    for tag in ISSUED {
        for row in rows.iter_from(&[tag, authority.0], &from) {
            for item in items::<SerialNumber>(&row?.1) {
                let (serial, _) = item?;
                if found.len() == most {
                    return Ok(found);
                }
                if after.is_none_or(|after| serial > *after) {
                    found.extend(Record::find_in(rows, &(authority, serial))?);
                }
            }
        }
    }
    Ok(found)
}

/// Changes of a certificate that the reading of what was issued did not come by: it was issued since,
/// or what was issued is lost.
fn check_orphan(
    rows: &Rows,
    authority: AuthorityId,
    serial: SerialNumber,
    orphan: &mut dyn FnMut(SerialNumber) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    match Record::find_in(rows, &(authority, serial))? {
        Some(_) => Ok(()),
        None => orphan(serial),
    }
}

/// Rows of changes, read beside those of what was issued.
struct Changes<'a> {
    rows: Box<dyn Iterator<Item = Result<(sled::IVec, sled::IVec), StoreError>> + 'a>,
    row: VecDeque<(SerialNumber, Vec<u8>)>,
}

impl Changes<'_> {
    /// The serial of the next.
    fn peek(&mut self) -> Result<Option<SerialNumber>, StoreError> {
        while self.row.is_empty() {
            let Some(row) = self.rows.next().transpose()? else { return Ok(None) };
            for item in items::<SerialNumber>(&row.1) {
                let (serial, octets) = item?;
                self.row.push_back((serial, octets.to_vec()));
            }
        }
        Ok(self.row.front().map(|(serial, _)| *serial))
    }
}

/// Every card and phone, in the order of their numbers.
pub(super) fn each_card(rows: &Rows, each: &mut dyn FnMut(Card)) -> Result<(), StoreError> {
    each_by_id(rows, CARDS, &mut |octets| {
        each(Card::from_octets(octets).map_err(unreadable)?);
        Ok(())
    })
}

/// Every person, in the order of their numbers.
pub(super) fn each_holder(rows: &Rows, each: &mut dyn FnMut(Holder)) -> Result<(), StoreError> {
    each_by_id(rows, HOLDERS, &mut |octets| {
        each(Holder::from_octets(octets).map_err(unreadable)?);
        Ok(())
    })
}

fn each_by_id(
    rows: &Rows,
    tag: u8,
    each: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for row in rows.iter(&[tag]) {
        for item in items::<u128>(&row?.1) {
            each(item?.1)?;
        }
    }
    Ok(())
}

fn find_by_id(rows: &Rows, tag: u8, id: u128) -> Result<Option<Vec<u8>>, StoreError> {
    match rows.find(&row_by_id(tag, id))? {
        Some(row) => packing::find(&row, &id),
        None => Ok(None),
    }
}

/// By the first 19 bits, in three octets: of ten million random numbers, nineteen share a row. With a bit
/// more, the pages that sled knows of a million certificates would take more memory than all else.
fn row_by_id(tag: u8, id: u128) -> Vec<u8> {
    let [first, second, third, ..] = id.to_be_bytes();
    vec![tag, first, second, third & 0xe0]
}

fn issued_row(authority: AuthorityId, serial: &SerialNumber) -> Vec<u8> {
    certificate_row(ISSUED, ISSUED_SERIALS, authority, serial)
}

fn changes_row(authority: AuthorityId, serial: &SerialNumber) -> Vec<u8> {
    certificate_row(CHANGES, CHANGED_SERIALS, authority, serial)
}

fn certificate_row(
    [narrow, wide]: [u8; 2],
    serials: u64,
    authority: AuthorityId,
    serial: &SerialNumber,
) -> Vec<u8> {
    let mut key = Vec::with_capacity(10);
    if let Some(number) = serial.to_u64() {
        key.extend([narrow, authority.0]);
        key.extend((number / serials).to_be_bytes());
    } else {
        key.extend([wide, authority.0]);
        // Length first, as in a row: longer ones are larger. Then the first 19 bits, as of other
        // random numbers.
        let mut octets = Vec::with_capacity(21);
        serial.write_key(&mut octets);
        key.extend(octets.iter().take(3));
        key.extend(octets.get(3).map(|third| third & 0xe0));
    }
    key
}

fn record(issue: &[u8], changes: Option<&[u8]>) -> Result<Record, StoreError> {
    Record::from_parts(issue, changes).map_err(unreadable)
}

fn unreadable(error: CodecError) -> StoreError {
    StoreError::Projection(error.to_string())
}
