//! Cards and phones: applied for, handed over, looked at.

use super::decisions::{self, Book};
use super::issue::random;
use super::movements::effect;
use super::{Effect, Office, OfficeError};
use crate::der::UnixTime;
use crate::issue::IssueError;
use crate::lifecycle::{self, Carried, Turn};
use crate::pki::{Carrier, CertStatus, Partition};
use crate::profile::RULES_OCTETS_MAX;
use crate::record::{
    Card, CardApplied, CardId, CertificateRef, Event, Holder, HolderId, Origin, Position, Refusal,
    TABLE_OCTETS_MAX,
};
use crate::store::Outcome;

// Whatever table is taken can be journaled.
const _: () = assert!(RULES_OCTETS_MAX <= TABLE_OCTETS_MAX);

/// Somebody wants a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardApplication {
    /// Who; none for somebody who never had one.
    pub holder: Option<HolderId>,
    /// Where they live.
    pub municipality: Partition,
    /// The card's own expiry.
    pub expires: Option<UnixTime>,
}

/// A card or phone, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardState {
    /// The card.
    pub card: Card,
    /// Whose it is, with all that they ever had.
    pub holder: Holder,
    /// The records of its certificates.
    pub records: Vec<crate::record::Record>,
    /// Its time is over, whatever its state.
    pub is_expired: bool,
}

/// What an application or a hand-over came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardChange {
    /// The card.
    pub card: CardId,
    /// Whose it is.
    pub holder: HolderId,
    /// False when it was so already.
    pub changed: bool,
    /// The entry it rests on.
    pub position: Position,
    /// When that was recorded.
    pub recorded_at: UnixTime,
}

/// What became of a card or phone that was lost or found, and of what is on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardTurned {
    /// The card or phone.
    pub change: CardChange,
    /// The certificates it changed, and what they became.
    pub changed: Vec<(CertificateRef, CertStatus)>,
}

impl Office {
    /// Takes an application for a card; certificates are issued on it later.
    ///
    /// # Errors
    /// The holder is not known or all their certificates ended, nobody lives in that municipality.
    pub fn apply_for_card(&self, asked: &CardApplication, origin: Origin) -> Result<CardChange, OfficeError> {
        let CardApplication { holder, municipality, expires } = *asked;
        self.profile.municipalities.residence(municipality).map_err(IssueError::from)?;
        let card = CardId(random()?);
        let id = holder.map_or_else(|| random().map(HolderId), Ok)?;
        let applied =
            CardApplied { card, carrier: Carrier::Card, of: None, holder: id, municipality, expires };
        let decide = decisions::apply_for_card(applied, holder.is_some());
        let outcome = self.submit_commented(origin, decide)?;
        let applied = outcome.entries.iter().find_map(|numbered| match &numbered.entry.event {
            Event::CardApplied(applied) => Some((applied.card, applied.holder)),
            _ => None,
        });
        let (card, holder) = applied.unwrap_or((card, id));
        Ok(CardChange::of(card, holder, &outcome))
    }

    /// Hands a card over to its holder.
    ///
    /// # Errors
    /// It is not good, or another card of the holder is not at its end.
    pub fn hand_over(&self, card: CardId, origin: Origin) -> Result<CardChange, OfficeError> {
        let holder = self.store.find_card(card)?.ok_or(Refusal::NoCard(card))?.applied.holder;
        let outcome = self.submit_commented(origin, decisions::hand_over(card, holder))?;
        Ok(CardChange::of(card, holder, &outcome))
    }

    /// Suspends a card or phone that was lost, or takes up one that was found; with all that is on it, at once.
    ///
    /// # Errors
    /// It is not known, has no certificates, is at its end, or was not lost.
    pub fn turn(&self, card: CardId, turn: Turn, origin: Origin) -> Result<CardTurned, OfficeError> {
        let CardApplied { carrier, holder, .. } =
            self.store.find_card(card)?.ok_or(Refusal::NoCard(card))?.applied;
        let event = turn.event(carrier);
        let rule = self.profile.rules.find(event).ok_or_else(|| OfficeError::NoRule(event.to_owned()))?;
        let decide = || decisions::turn(card, turn, rule.clone(), self.liftable());
        let submit = || self.submit_commented(origin.clone(), decide());
        let outcome = self.when_due(submit)?;
        let Effect { changed, .. } = effect(&outcome);
        Ok(CardTurned { change: CardChange::of(card, holder, &outcome), changed })
    }

    /// What is known of a card or phone.
    ///
    /// # Errors
    /// It is not known, or cannot be read.
    pub fn card(&self, card: CardId) -> Result<CardState, OfficeError> {
        let card = self.store.find_card(card)?.ok_or(Refusal::NoCard(card))?;
        let holder = card.applied.holder;
        let holder = self.store.find_holder(holder)?.ok_or(Refusal::NoHolder(holder))?;
        let carried = Book::Store(self).with_records(card)?;
        let is_expired = lifecycle::is_expired(&carried, self.clock.now());
        let Carried { card, records } = carried;
        Ok(CardState { card, holder, records, is_expired })
    }

    /// From now on the table that ships says what revokes what: journaled, the whole table, when it
    /// is another one than before.
    pub(super) fn adopt_rules(&self) -> Result<(), OfficeError> {
        let sha256 = self.profile.rules.sha256();
        if self.store.facts().rules != sha256 {
            let table = Some(self.profile.rules.text().to_owned());
            self.journal(Event::RulesAdopted { sha256, table })?;
            tracing::info!(rules = self.profile.rules.iter().len(), "the rules of revocation changed");
        }
        Ok(())
    }
}

impl CardChange {
    fn of(card: CardId, holder: HolderId, outcome: &Outcome) -> Self {
        let changes = |numbered: &crate::record::Numbered| numbered.entry.event.card() == Some(card);
        Self {
            card,
            holder,
            changed: !outcome.repeated && outcome.entries.iter().any(changes),
            position: outcome.position,
            recorded_at: outcome.recorded_at,
        }
    }
}
