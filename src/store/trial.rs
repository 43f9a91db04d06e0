//! The entries of one decision, folded before anything is written: what breaks the rule of
//! succession, or is about something that is not on record, is refused, and leaves nothing behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::facts::Facts;
use super::submission::Records;
use crate::pki::{AuthorityId, SerialNumber};
use crate::record::{Card, CardId, Holder, HolderId, Numbered, Record, Refusal};

/// What the entries would change, over what stands.
pub(super) struct Trial<'a> {
    records: &'a Records<'a>,
    facts: Arc<Facts>,
    certificates: BTreeMap<(AuthorityId, SerialNumber), Option<Record>>,
    cards: BTreeMap<CardId, Option<Card>>,
    holders: BTreeMap<HolderId, Option<Holder>>,
}

impl<'a> Trial<'a> {
    pub(super) fn of(records: &'a Records<'a>) -> Self {
        Self {
            records,
            facts: Arc::clone(records.facts),
            certificates: BTreeMap::new(),
            cards: BTreeMap::new(),
            holders: BTreeMap::new(),
        }
    }

    /// Folds one more entry.
    pub(super) fn fold(&mut self, numbered: &Numbered) -> Result<(), Refusal> {
        let event = &numbered.entry.event;
        if let Some(certificate) = event.certificate() {
            let (authority, serial) = (certificate.authority, certificate.serial);
            let mut record = match self.certificates.remove(&(authority, serial)) {
                Some(tried) => tried,
                None => self.records.find(authority, &serial)?,
            };
            Record::apply(&mut record, numbered)?.sound()?;
            self.certificates.insert((authority, serial), record);
        }
        if let Some(id) = event.card() {
            let mut card = match self.cards.remove(&id) {
                Some(tried) => tried,
                None => self.records.find_card(id)?,
            };
            Card::apply(&mut card, numbered)?;
            self.cards.insert(id, card);
        }
        if let Some(id) = event.holder() {
            let mut holder = match self.holders.remove(&id) {
                Some(tried) => tried,
                None => self.records.find_holder(id)?,
            };
            Holder::apply(&mut holder, numbered)?;
            self.holders.insert(id, holder);
        }
        if self.facts.concerns(event) {
            Arc::make_mut(&mut self.facts).apply(numbered)?;
        }
        Ok(())
    }

    /// The facts after all of them.
    pub(super) fn facts(self) -> Arc<Facts> {
        self.facts
    }
}
