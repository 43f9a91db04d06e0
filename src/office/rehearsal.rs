//! What reports would come to, each after those before it, without writing anything.

use std::collections::BTreeMap;

use super::decisions::{Book, unreadable};
use super::movements::{changed, effect};
use super::{Effect, Office, OfficeError, Reported};
use crate::pki::{AuthorityId, SerialNumber};
use crate::record::{Card, CardId, Entry, Holder, HolderId, Numbered, Origin, Position, Record, Refusal};
use crate::store::SubmitError;

/// The cards, people and records as they would be: those that reports would have changed, over
/// those in the store.
pub(super) struct Rehearsal<'a> {
    office: &'a Office,
    /// The last entry there would be.
    position: Position,
    cards: BTreeMap<CardId, Option<Card>>,
    holders: BTreeMap<HolderId, Option<Holder>>,
    records: BTreeMap<(AuthorityId, SerialNumber), Option<Record>>,
    /// What each request came to: its digest, and its effect.
    seen: BTreeMap<[u8; 16], ([u8; 16], Effect)>,
}

impl<'a> Rehearsal<'a> {
    pub(super) fn of(office: &'a Office) -> Self {
        Self {
            office,
            position: office.store.head().0,
            cards: BTreeMap::new(),
            holders: BTreeMap::new(),
            records: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    /// What one more report would come to.
    pub(super) fn report(&mut self, reported: &Reported) -> Result<Effect, OfficeError> {
        let office = self.office;
        let rule = office.rule(reported)?;
        let origin = reported.origin(&Origin::service());
        if let Some(request) = &origin.request {
            match self.seen.get(&request.key) {
                Some((digest, _)) if *digest != request.digest => return Err(SubmitError::KeyReused.into()),
                Some((_, effect)) => return Ok(Effect { repeated: true, ..effect.clone() }),
                None => {}
            }
            if let Some(outcome) = office.store.find_outcome(request)? {
                return Ok(effect(&outcome));
            }
        }
        let liftable = office.liftable();
        let mut now = office.clock.now();
        let events = loop {
            match reported.decide(&Book::Rehearsed(self), rule, &liftable, now) {
                // An import waits until then.
                Err(Refusal::NotBefore(time)) if time > now => now = time,
                decided => break decided?,
            }
        };
        let changed = events.iter().filter_map(changed).collect();
        let effect = Effect { changed, position: office.store.head().0, recorded_at: now, repeated: false };
        if let Some(request) = &origin.request {
            self.seen.insert(request.key, (request.digest, effect.clone()));
        }
        for event in events {
            self.fold(Entry { recorded_at: now, origin: origin.clone(), event })?;
        }
        Ok(effect)
    }

    /// Where the next report would begin.
    pub(super) const fn next_position(&self) -> Position {
        self.position.next()
    }

    pub(super) fn card(&self, card: CardId) -> Result<Option<Card>, Refusal> {
        match self.cards.get(&card) {
            Some(known) => Ok(known.clone()),
            None => self.office.store.find_card(card).map_err(unreadable),
        }
    }

    pub(super) fn holder(&self, holder: HolderId) -> Result<Option<Holder>, Refusal> {
        match self.holders.get(&holder) {
            Some(known) => Ok(known.clone()),
            None => self.office.store.find_holder(holder).map_err(unreadable),
        }
    }

    pub(super) fn record(
        &self,
        authority: AuthorityId,
        serial: &SerialNumber,
    ) -> Result<Option<Record>, Refusal> {
        match self.records.get(&(authority, *serial)) {
            Some(known) => Ok(known.clone()),
            None => self.office.store.find(authority, serial).map_err(unreadable),
        }
    }

    fn fold(&mut self, entry: Entry) -> Result<(), Refusal> {
        self.position = self.position.next();
        let numbered = Numbered { position: self.position, entry };
        let event = &numbered.entry.event;
        if let Some(certificate) = event.certificate() {
            let mut record = self.record(certificate.authority, &certificate.serial)?;
            Record::apply(&mut record, &numbered)?.sound()?;
            self.records.insert((certificate.authority, certificate.serial), record);
        }
        if let Some(id) = event.card() {
            let mut card = self.card(id)?;
            Card::apply(&mut card, &numbered)?;
            self.cards.insert(id, card);
        }
        if let Some(id) = event.holder() {
            let mut holder = self.holder(id)?;
            Holder::apply(&mut holder, &numbered)?;
            self.holders.insert(id, holder);
        }
        Ok(())
    }
}
