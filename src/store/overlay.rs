//! What entries made of what they are about, as long as the rows do not hold it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use super::error::StoreError;
use super::kept::{CertificateKey, Kept};
use super::projection::Projection;
use crate::der::UnixTime;
use crate::record::{
    Breach, Card, CardId, CertifiedKey, Compromises, Event, Folded, Holder, HolderId, KeyDigest, Numbered,
    Position, Record, RequestId,
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

impl Seen {
    pub(super) fn is_expired(&self, now: UnixTime) -> bool {
        now.since(self.recorded_at) > REQUEST_KEPT
    }

    /// What an entry of a request makes of it.
    fn after(seen: Option<Self>, request: &RequestId, numbered: &Numbered) -> Self {
        let recorded_at = numbered.entry.recorded_at;
        let fresh = Self { digest: request.digest, first: numbered.position, count: 1, recorded_at };
        let continued = seen.filter(|seen| {
            seen.first.0 + u64::from(seen.count) == numbered.position.0
                && (seen.digest, seen.recorded_at) == (request.digest, recorded_at)
        });
        continued.map_or(fresh, |seen| Self { count: seen.count + 1, ..seen })
    }
}

/// Where things are looked up that an overlay does not have.
pub(super) trait Below {
    fn find<K: Kept>(&self, key: &K::Key) -> Result<Option<K>, StoreError>;
}

/// Things as they are after the last entry that changed them. What is not here was not changed by the
/// entries that this was made from; whether it exists is for the layers below to say.
#[derive(Debug, Clone, Default)]
pub(super) struct Overlay {
    pub(super) certificates: BTreeMap<CertificateKey, Record>,
    pub(super) cards: BTreeMap<CardId, Card>,
    pub(super) holders: BTreeMap<HolderId, Holder>,
    pub(super) keys: BTreeMap<KeyDigest, CertifiedKey>,
    pub(super) requests: BTreeMap<[u8; 16], Seen>,
    /// Entries it was made from, and their octets in the journal, as far as whoever made it counts them.
    pub(super) entries: u64,
    pub(super) octets: usize,
}

impl Overlay {
    pub(super) fn find<K: Kept>(&self, key: &K::Key) -> Option<&K> {
        K::within(self).get(key)
    }

    /// Folds an entry. What it changes is taken from here, or else from what lies `below`. Returns
    /// the breach of the rule of succession, if there is one: an earlier version wrote such entries.
    /// `compromises` are all that stand before the entry, and may be later ones too.
    pub(super) fn fold(
        &mut self,
        below: &impl Below,
        compromises: &Compromises,
        numbered: &Numbered,
    ) -> Result<Option<Breach>, StoreError> {
        let mut breach = None;
        let event = &numbered.entry.event;
        if let Some(certificate) = event.certificate() {
            let key = (certificate.authority, certificate.serial);
            let mut record = self.take(&key, || below.find::<Record>(&key))?;
            let compromise = compromises.of(certificate);
            let folded = match Record::issued_by_retired(record.as_ref(), numbered, compromises) {
                Some(retired) => Folded::Breached(retired),
                None => Record::apply_under(&mut record, numbered, compromise)?,
            };
            if let Folded::Breached(found) = folded {
                breach = Some(found);
            }
            self.put(key, record);
        }
        if let Some(id) = event.card() {
            let mut card = self.take(&id, || below.find::<Card>(&id))?;
            Card::apply(&mut card, numbered)?;
            self.put(id, card);
        }
        if let Some(id) = event.holder() {
            let mut holder = self.take(&id, || below.find::<Holder>(&id))?;
            Holder::apply(&mut holder, numbered)?;
            self.put(id, holder);
        }
        if let Event::KeyCertified(certified) = event {
            let mut known = self.take(&certified.key, || below.find::<CertifiedKey>(&certified.key))?;
            CertifiedKey::apply(&mut known, numbered);
            self.put(certified.key, known);
        }
        if let Some(request) = &numbered.entry.origin.request {
            let seen = self.take(&request.key, || below.find::<Seen>(&request.key))?;
            self.put(request.key, Some(Seen::after(seen, request, numbered)));
        }
        self.entries += 1;
        Ok(breach)
    }

    /// Adds what later entries made.
    pub(super) fn merge(&mut self, later: Self) {
        let Self { certificates, cards, holders, keys, requests, entries, octets } = later;
        self.certificates.extend(certificates);
        self.cards.extend(cards);
        self.holders.extend(holders);
        self.keys.extend(keys);
        self.requests.extend(requests);
        self.entries += entries;
        self.octets += octets;
    }

    fn take<K: Kept>(
        &mut self,
        key: &K::Key,
        below: impl FnOnce() -> Result<Option<K>, StoreError>,
    ) -> Result<Option<K>, StoreError> {
        K::within_mut(self).remove(key).map_or_else(below, |kept| Ok(Some(kept)))
    }

    fn put<K: Kept>(&mut self, key: K::Key, kept: Option<K>) {
        if let Some(kept) = kept {
            K::within_mut(self).insert(key, kept);
        }
    }
}

/// The layers that a decision looks into: what the open group made, and what is durable. What is durable
/// does not change before the group is: each thing is looked up once for a group.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) group: &'a Overlay,
    pub(super) durable: &'a Durable<'a>,
}

/// What is durable, as far as it was looked at.
#[derive(Debug)]
pub(super) struct Durable<'a> {
    projection: &'a Projection,
    looked_up: RefCell<LookedUp>,
}

/// What was looked up; none where there was nothing.
#[derive(Debug, Default)]
pub(super) struct LookedUp {
    pub(super) certificates: BTreeMap<CertificateKey, Option<Record>>,
    pub(super) cards: BTreeMap<CardId, Option<Card>>,
    pub(super) holders: BTreeMap<HolderId, Option<Holder>>,
    pub(super) keys: BTreeMap<KeyDigest, Option<CertifiedKey>>,
    pub(super) requests: BTreeMap<[u8; 16], Option<Seen>>,
}

impl<'a> Durable<'a> {
    pub(super) fn new(projection: &'a Projection) -> Self {
        Self { projection, looked_up: RefCell::default() }
    }
}

impl Below for Durable<'_> {
    fn find<K: Kept>(&self, key: &K::Key) -> Result<Option<K>, StoreError> {
        if let Some(known) = K::looked_up(&mut self.looked_up.borrow_mut()).get(key) {
            return Ok(known.clone());
        }
        let found = self.projection.find::<K>(key)?;
        K::looked_up(&mut self.looked_up.borrow_mut()).insert(*key, found.clone());
        Ok(found)
    }
}

impl Below for View<'_> {
    fn find<K: Kept>(&self, key: &K::Key) -> Result<Option<K>, StoreError> {
        match self.group.find::<K>(key) {
            Some(kept) => Ok(Some(kept.clone())),
            None => self.durable.find(key),
        }
    }
}
