//! What is submitted to the store about cards and people. Each decision looks at the records as they
//! are when its turn comes, and is a pure function of them and the time.

use super::authorities::refuse_issued_before;
use super::rehearsal::Rehearsal;
use super::subject_keys::refuse_known_keys;
use super::{Office, OfficeError, Place};
use crate::lifecycle::{self, Carried, Report, Residence, Turn};
use crate::pki::{Carrier, CarrierState, CertificateKind};
use crate::profile::{Rule, Rules};
use crate::record::{
    Card, CardApplied, CardId, CertifiedKey, Event, Holder, HolderId, Issued, Position, Refusal,
};
use crate::store::{Decide, Records, StoreError};

/// An application for a card. `is_known`: the holder had one before.
#[must_use]
pub fn apply_for_card(applied: CardApplied, is_known: bool) -> Decide {
    Box::new(move |records, _| {
        match records.find_holder(applied.holder)? {
            Some(holder) => lifecycle::alive(&holder)?,
            None if is_known => return Err(Refusal::NoHolder(applied.holder)),
            None => {}
        }
        Ok(vec![Event::CardApplied(applied.clone())])
    })
}

/// A card handed over to its holder.
#[must_use]
pub fn hand_over(card: CardId, holder: HolderId) -> Decide {
    Box::new(move |records, now| {
        let known = records.find_holder(holder)?.ok_or(Refusal::NoHolder(holder))?;
        let carried = Book::Records(records).carried(&known)?;
        Ok(Vec::from_iter(lifecycle::hand_over(card, &known, &carried, now)?))
    })
}

/// A card or phone lost, or found again, as `rule` says; `liftable` are the kinds whose hold may be lifted.
#[must_use]
pub fn turn(card: CardId, turn: Turn, rule: Rule, liftable: Vec<CertificateKind>) -> Decide {
    Box::new(move |records, now| {
        let one = records.find_card(card)?.ok_or(Refusal::NoCard(card))?;
        if !lifecycle::turn(&one, turn, now)? {
            return Ok(Vec::new());
        }
        let (rule, id) = (&rule, one.applied.holder);
        let holder = records.find_holder(id)?.ok_or(Refusal::NoHolder(id))?;
        let carried = Book::Records(records).carried(&holder)?;
        let (card, kind, municipality, effective_at, reported_at) = (Some(card), None, None, now, None);
        let report = Report { rule, card, kind, municipality, effective_at, reported_at, at_once: true };
        report.decide(&holder, &carried, &|kind| liftable.contains(&kind), records.next_position(), now)
    })
}

/// Certificates signed and archived, to be recorded on a card or phone.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Where.
    pub place: Place,
    /// The card or phone they are on.
    pub card: CardId,
    /// Whose.
    pub holder: HolderId,
    /// Where the holder lives.
    pub residence: Residence,
    /// The certificates.
    pub all: Vec<Issued>,
    /// Their public keys, but for test keys.
    pub keys: Vec<CertifiedKey>,
}

impl Placed {
    /// Records them, with what becomes of those they replace.
    ///
    /// # Errors
    /// [`OfficeError::NoRule`]: the table does not say what becomes of those.
    pub fn decision(self, rules: &Rules) -> Result<Decide, OfficeError> {
        let rule =
            |event: &str| rules.find(event).cloned().ok_or_else(|| OfficeError::NoRule(event.to_owned()));
        let (renewal, new_phone) = (rule("renewal")?, rule("new-phone")?);
        Ok(Box::new(move |records, now| {
            refuse_issued_before(records, &self.all)?;
            refuse_known_keys(records, &self.keys)?;
            let kinds: Vec<CertificateKind> = self.all.iter().map(|issued| issued.kind).collect();
            let issued = self.all.iter().cloned().map(Event::Issued);
            let issued = issued.chain(self.keys.iter().copied().map(Event::KeyCertified));
            let Some(known) = self.place.card() else { return Ok(issued.collect()) };
            let holder = records.find_holder(self.holder)?.ok_or(Refusal::NoHolder(self.holder))?;
            let carried = Book::Records(records).carried(&holder)?;
            let at = carried.iter().find(|one| one.card.applied.card == known);
            let at = at.ok_or(Refusal::NoCard(known))?;
            lifecycle::may_live(&self.residence, &holder)?;
            let mut events = Vec::new();
            let mut replaced: Vec<(&Rule, CardId, Option<CertificateKind>)> = Vec::new();
            if let Place::Phone { with } = self.place {
                lifecycle::may_set_up_phone(at, &holder, now)?;
                events.push(Event::CardApplied(self.phone(with)));
                let phones = carried.iter().map(|one| &one.card).filter(|card| is_phone_in_use(card));
                replaced.extend(phones.map(|phone| (&new_phone, phone.applied.card, None)));
            } else {
                lifecycle::may_issue(self.place.occasion(), at, &holder, &kinds, now)?;
            }
            if let Place::Renewed(_) = self.place {
                replaced.extend(kinds.iter().map(|kind| (&renewal, known, Some(*kind))));
            }
            events.extend(issued);
            for (rule, card, kind) in replaced {
                let (card, municipality, effective_at, reported_at) = (Some(card), None, now, None);
                let report =
                    Report { rule, card, kind, municipality, effective_at, reported_at, at_once: true };
                let position = records.next_position().plus(events.len());
                events.extend(report.decide(&holder, &carried, &|_| false, position, now)?);
            }
            Ok(events)
        }))
    }

    const fn phone(&self, with: CardId) -> CardApplied {
        let Self { card, holder, residence: Residence { municipality, .. }, .. } = *self;
        CardApplied { card, carrier: Carrier::Phone, of: Some(with), holder, municipality, expires: None }
    }
}

fn is_phone_in_use(card: &Card) -> bool {
    card.applied.carrier == Carrier::Phone && card.status.state != CarrierState::Abolished
}

/// Where cards, people and records are looked up: inside a decision, beside it, or where they are
/// as they would be.
pub(super) enum Book<'a> {
    Records(&'a Records<'a>),
    Store(&'a Office),
    Rehearsed(&'a Rehearsal<'a>),
}

impl Book<'_> {
    pub(super) fn card(&self, card: CardId) -> Result<Option<Card>, Refusal> {
        match self {
            Self::Records(records) => records.find_card(card),
            Self::Store(office) => office.store.find_card(card).map_err(unreadable),
            Self::Rehearsed(rehearsal) => rehearsal.card(card),
        }
    }

    pub(super) fn holder(&self, holder: HolderId) -> Result<Option<Holder>, Refusal> {
        match self {
            Self::Records(records) => records.find_holder(holder),
            Self::Store(office) => office.store.find_holder(holder).map_err(unreadable),
            Self::Rehearsed(rehearsal) => rehearsal.holder(holder),
        }
    }

    /// The place in the journal that what is decided here would begin at. Only inside a decision will
    /// it have that place.
    pub(super) fn next_position(&self) -> Position {
        match self {
            Self::Records(records) => records.next_position(),
            Self::Store(office) => office.store.head().0.next(),
            Self::Rehearsed(rehearsal) => rehearsal.next_position(),
        }
    }

    pub(super) fn carried(&self, holder: &Holder) -> Result<Vec<Carried>, Refusal> {
        let mut carried = Vec::with_capacity(holder.cards.len());
        for id in &holder.cards {
            let card = self.card(*id)?;
            let card = card.ok_or_else(|| lost(format!("{id} is its holder's and not on record")))?;
            carried.push(self.with_records(card)?);
        }
        Ok(carried)
    }

    pub(super) fn with_records(&self, card: Card) -> Result<Carried, Refusal> {
        let mut records = Vec::with_capacity(card.certificates.len());
        for one in &card.certificates {
            let record = match self {
                Self::Records(records) => records.find(one.authority, &one.serial)?,
                Self::Store(office) => office.store.find(one.authority, &one.serial).map_err(unreadable)?,
                Self::Rehearsed(rehearsal) => rehearsal.record(one.authority, &one.serial)?,
            };
            let id = card.applied.card;
            let missing = || lost(format!("certificate {} is on {id} and not on record", one.serial));
            records.push(record.ok_or_else(missing)?);
        }
        Ok(Carried { card, records })
    }
}

/// What a card or a person names must be there: passed over, it would not be revoked with the rest.
const fn lost(what: String) -> Refusal {
    Refusal::Records(what)
}

pub(super) fn unreadable(error: StoreError) -> Refusal {
    Refusal::Records(error.to_string())
}
