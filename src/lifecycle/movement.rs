//! What a report changes: the table of rules, applied to a person's cards and phones.
//!
//! Four promises, whatever order reports arrive in, however late, however often:
//! - an event touches only certificates issued before its effective time, on the cards it names or,
//!   when it names a person, on all of that person's;
//! - what is revoked stays revoked, with the reason and date it first got;
//! - a hold ends in revocation, but for the kinds whose hold may be lifted: of those, the report
//!   that is last in effect counts, not the one that arrived last;
//! - a report that changes nothing is recorded all the same, so that its repetition is known.
//!
//! Nothing is recorded before its time, so a time on record that lies ahead of now is one of a clock that went
//! back since: it says nothing of the order. What bears it was recorded before this report, and counts as
//! earlier; but no report of the feed takes back a loss by that.

use std::time::Duration;

use super::status::{Revoke, hold, release, revoke};
use crate::der::UnixTime;
use crate::pki::{Carrier, CarrierState, CertStatus, CertificateKind, Partition};
use crate::profile::{Action, Concerns, Rule};
use crate::record::{
    Card, CardId, CardStatus, Event, Holder, HolderStatus, Movement, Position, Record, Refusal,
};

/// A card or phone with the records of its certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The card or phone.
    pub card: Card,
    /// The records of its certificates.
    pub records: Vec<Record>,
}

/// Something reported of a person.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// What it does.
    pub rule: &'a Rule,
    /// The card or phone it names.
    pub card: Option<CardId>,
    /// The certificate it names.
    pub kind: Option<CertificateKind>,
    /// Where the person lives from then on.
    pub municipality: Option<Partition>,
    /// Since when it holds.
    pub effective_at: UnixTime,
    /// When it was reported.
    pub reported_at: Option<UnixTime>,
    /// It takes effect with this very decision: all that is on record was issued before. With a kind,
    /// it touches certificates of that kind alone.
    pub at_once: bool,
}

impl Report<'_> {
    /// The entries it comes to, the report itself first. `carried` is all that the person ever had;
    /// `lift_allowed` is the profile's word on which holds may be lifted; `position` is the place that
    /// the report will have in the journal, which the changes of status name as their cause.
    ///
    /// # Errors
    /// It holds since a time that has not come, or names what it cannot concern. Nothing is to be
    /// written then, and the same report may be right later.
    pub fn decide(
        &self,
        holder: &Holder,
        carried: &[Carried],
        lift_allowed: &dyn Fn(CertificateKind) -> bool,
        position: Position,
        now: UnixTime,
    ) -> Result<Vec<Event>, Refusal> {
        if self.effective_at > now {
            return Err(Refusal::NotInEffect { since: self.effective_at, now });
        }
        self.check_names(carried)?;
        if self.kind.is_some() && self.rule.concerns != Concerns::Certificate && !self.at_once {
            return Err(Refusal::NamesOther {
                event: self.rule.event.clone(),
                wanted: self.rule.concerns.name(),
            });
        }
        let mut events = vec![Event::Movement(Movement {
            event: self.rule.event.clone(),
            holder: holder.id,
            card: self.card,
            kind: self.kind,
            effective_at: self.effective_at,
            reported_at: self.reported_at,
        })];
        for one in carried.iter().filter(|one| self.concerns(&one.card)) {
            for record in &one.records {
                let change = self.change(record, &one.card.status, lift_allowed, now)?;
                events.extend(change.map(|change| change.caused_by(position)));
            }
            let became = self.carrier_status(one, now);
            if became != one.card.status {
                events.push(Event::CardChanged(one.card.applied.card, became));
            }
        }
        let stands = self.holder_status(&holder.status, now);
        if stands != holder.status {
            events.push(Event::HolderChanged(holder.id, stands));
        }
        Ok(events)
    }

    /// It names what its rule concerns, and nothing else.
    fn check_names(&self, carried: &[Carried]) -> Result<(), Refusal> {
        let named = self.card.map(|id| {
            let found = carried.iter().find(|one| one.card.applied.card == id);
            found.map(|one| &one.card).ok_or(Refusal::NoCard(id))
        });
        let named = named.transpose()?;
        let event = || self.rule.event.clone();
        let wanted = |carrier: Carrier| match named {
            Some(card) if card.applied.carrier == carrier => Ok(card),
            _ => Err(Refusal::NamesOther { event: event(), wanted: carrier.name() }),
        };
        match self.rule.concerns {
            Concerns::Holder => match named {
                None => Ok(()),
                Some(_) => Err(Refusal::NamesOther { event: event(), wanted: "holder" }),
            },
            Concerns::Card => wanted(Carrier::Card).map(drop),
            Concerns::WaitingCard => {
                let card = wanted(Carrier::Card)?;
                match card.status.state {
                    CarrierState::InUse | CarrierState::Suspended => {
                        Err(Refusal::HandedOver(card.applied.card))
                    }
                    _ => Ok(()),
                }
            }
            Concerns::Phone => wanted(Carrier::Phone).map(drop),
            Concerns::Certificate => match (named, self.kind) {
                (Some(card), Some(kind)) if card.applied.carrier.kinds().contains(&kind) => Ok(()),
                _ => Err(Refusal::NamesOther { event: event(), wanted: "certificate" }),
            },
            Concerns::Generation => Err(Refusal::NotOfAPerson(event())),
        }
    }

    /// True for the cards and phones it may touch.
    fn concerns(&self, card: &Card) -> bool {
        match self.rule.concerns {
            Concerns::Holder => true,
            Concerns::Card | Concerns::WaitingCard => {
                self.card == Some(card.applied.card) || self.card == card.applied.of
            }
            Concerns::Phone | Concerns::Certificate => self.card == Some(card.applied.card),
            Concerns::Generation => false,
        }
    }

    /// Issued before the event took effect.
    fn is_meant(&self, record: &Record, now: UnixTime) -> bool {
        self.is_after(record.issued.not_before, now)
    }

    /// It takes effect after what is dated so on record.
    fn is_after(&self, on_record: UnixTime, now: UnixTime) -> bool {
        self.at_once || on_record < self.effective_at || on_record > now
    }

    /// Found again after the loss that is reported.
    fn is_found_since(&self, carrier: &CardStatus, now: UnixTime) -> bool {
        carrier.released_at.is_some_and(|found| self.effective_at < found && found <= now)
    }

    /// Lost before the find that is reported. Whether a loss dated ahead came before a find of the feed is not
    /// known: it stays lost until somebody says at the counter that it was found.
    fn is_lost_before(&self, carrier: &CardStatus, now: UnixTime) -> bool {
        let is_before = |lost| lost < self.effective_at || (self.at_once && lost > now);
        carrier.suspended_at.is_none_or(is_before)
    }

    /// What becomes of one certificate.
    fn change(
        &self,
        record: &Record,
        carrier: &CardStatus,
        lift_allowed: &dyn Fn(CertificateKind) -> bool,
        now: UnixTime,
    ) -> Result<Option<Event>, Refusal> {
        let kind = record.issued.kind;
        if self.kind.is_some_and(|named| named != kind) || !self.is_meant(record, now) {
            return Ok(None);
        }
        let changed = match self.rule.action(kind) {
            Action::Stays => Ok(None),
            Action::Revoke(reason) => {
                let invalidity_date = Some(self.effective_at);
                revoke(record, Revoke { reason: Some(reason), invalidity_date }, now)
            }
            // Found and lost in the same second is lost, whichever was reported first.
            Action::Hold if lift_allowed(kind) && self.is_found_since(carrier, now) => Ok(None),
            Action::Hold => hold(record, Some(self.effective_at), now),
            Action::Release => {
                let is_held = matches!(record.status(), CertStatus::Revoked(held) if held.is_hold());
                if is_held && self.is_lost_before(carrier, now) {
                    release(record, lift_allowed, now)
                } else {
                    Ok(None)
                }
            }
        };
        match changed {
            Err(Refusal::AlreadyRevoked { .. }) => Ok(None),
            changed => changed,
        }
    }

    /// What becomes of a card or phone. It ends only with all of its certificates: one that got
    /// another after the event took effect was not meant.
    fn carrier_status(&self, one: &Carried, now: UnixTime) -> CardStatus {
        let (card, mut status) = (&one.card, one.card.status);
        let Some(became) = self.rule.carrier else { return status };
        let stays = |kind: &CertificateKind| self.rule.action(*kind) == Action::Stays;
        let meant = if one.records.is_empty() {
            self.is_after(card.recorded_at, now)
        } else {
            one.records.iter().all(|record| self.is_meant(record, now))
        };
        if !meant || card.applied.carrier.kinds().iter().all(stays) {
            return status;
        }
        match became {
            CarrierState::Suspended | CarrierState::Withheld => self.lose(&mut status, now),
            CarrierState::InUse => self.find(&mut status, now),
            CarrierState::Abolished => status.state = CarrierState::Abolished,
            CarrierState::Applied | CarrierState::Issued => {}
        }
        let is_lost = status.suspended_at.is_some() && status.suspended_at >= status.released_at;
        status.state = match status.state {
            CarrierState::Issued if is_lost => CarrierState::Withheld,
            CarrierState::InUse if is_lost => CarrierState::Suspended,
            // Found is not handed over.
            CarrierState::Withheld if !is_lost => CarrierState::Issued,
            CarrierState::Suspended if !is_lost => CarrierState::InUse,
            state => state,
        };
        status
    }

    /// The times of a loss, of this moment or gone by.
    fn lose(&self, status: &mut CardStatus, now: UnixTime) {
        let (now, effective) = (Some(now), Some(self.effective_at));
        let is_over = |on_record: Option<UnixTime>| self.at_once && on_record > now;
        status.suspended_at =
            if is_over(status.suspended_at) { effective } else { status.suspended_at.max(effective) };
        if status.released_at > now {
            status.released_at = effective;
        }
    }

    /// The times of a find. One said at once comes after every loss on record.
    fn find(&self, status: &mut CardStatus, now: UnixTime) {
        let (now, effective) = (Some(now), Some(self.effective_at));
        if !self.at_once {
            status.released_at = status.released_at.max(effective);
            return;
        }
        status.released_at = effective;
        if status.suspended_at > now {
            status.suspended_at = Some(self.just_before());
        }
    }

    /// What is dated ahead of now and came before this report, dated so that it does.
    fn just_before(&self) -> UnixTime {
        self.effective_at.minus(Duration::from_secs(1))
    }

    fn holder_status(&self, was: &HolderStatus, now: UnixTime) -> HolderStatus {
        let mut status = *was;
        if self.rule.concerns != Concerns::Holder {
            return status;
        }
        let moves = self.municipality.is_some() || self.rule.moves_overseas;
        for on_record in [&mut status.moved_at, &mut status.overseas_since] {
            if moves && *on_record > Some(now) {
                *on_record = Some(self.just_before());
            }
        }
        if let Some(municipality) = self.municipality
            && status.moved_at < Some(self.effective_at)
        {
            (status.municipality, status.moved_at) = (municipality, Some(self.effective_at));
        }
        if self.rule.moves_overseas {
            status.overseas_since = status.overseas_since.max(Some(self.effective_at));
        }
        if self.rule.ends_holder() {
            let earlier = status.ended_at.map_or(self.effective_at, |ended| ended.min(self.effective_at));
            status.ended_at = Some(earlier);
        }
        status
    }
}
