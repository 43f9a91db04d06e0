//! Where the state of a card and the status of its certificates disagree.

use std::fmt;

use super::hand_over::is_at_its_end;
use super::movement::Carried;
use crate::der::UnixTime;
use crate::pki::{Carrier, CarrierState, CertStatus, CertificateKind, Revocation};
use crate::record::{CardId, Holder, HolderId, Record};

/// Something that cannot be so, and that a person must look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disagreement {
    /// A card at its end with a certificate that is neither revoked nor expired.
    Alive(CardId, CertificateKind),
    /// A suspended card with a certificate that is good.
    NotHeld(CardId, CertificateKind),
    /// A certificate on hold on a card that is not suspended.
    Held(CardId, CertificateKind),
    /// A card in use without any certificate that is not revoked.
    Dead(CardId),
    /// A card knows of a certificate that is not on record.
    NoRecord(CardId),
    /// A person who has more than one card in use.
    TwoCards(HolderId, usize),
    /// A person whose certificates all ended, with a card that did not.
    Outlives(HolderId, CardId),
}

/// What disagrees on one card or phone.
#[must_use]
pub fn of_card(one: &Carried, now: UnixTime) -> Vec<Disagreement> {
    let (id, state) = (one.card.applied.card, one.card.status.state);
    let mut found = Vec::new();
    if one.records.len() != one.card.certificates.len() {
        found.push(Disagreement::NoRecord(id));
    }
    let live = |record: &&Record| record.issued.not_after >= now;
    for record in one.records.iter().filter(live) {
        let kind = record.issued.kind;
        match (state, record.status()) {
            (CarrierState::Abolished, status) if !is_final(&status) => {
                found.push(Disagreement::Alive(id, kind));
            }
            (state, CertStatus::Good) if state.is_lost() => found.push(Disagreement::NotHeld(id, kind)),
            (CarrierState::Issued | CarrierState::InUse, CertStatus::Revoked(held))
                // A phone that was found keeps its signing certificate on hold.
                if held.is_hold()
                    && one.card.status.released_at.is_none()
                    && !got_another_since(one, held) =>
            {
                found.push(Disagreement::Held(id, kind));
            }
            _ => {}
        }
    }
    let mut alive = one.records.iter().filter(live).filter(|record| !is_final(&record.status()));
    if state == CarrierState::InUse
        && one.records.iter().any(|record| live(&record))
        && alive.next().is_none()
    {
        found.push(Disagreement::Dead(id));
    }
    found
}

/// A card that got a certificate after the loss in effect was not lost any more, and a loss that is reported
/// after that holds the older ones alone.
fn got_another_since(one: &Carried, held: Revocation) -> bool {
    one.records.iter().any(|record| held.invalidity_date <= Some(record.issued.not_before))
        && held.invalidity_date.is_some()
}

/// What disagrees between a person's cards.
#[must_use]
pub fn of_holder(holder: &Holder, carried: &[Carried], now: UnixTime) -> Vec<Disagreement> {
    let mut found = Vec::new();
    let is_in_use = |one: &&Carried| {
        one.card.applied.carrier == Carrier::Card
            && matches!(one.card.status.state, CarrierState::InUse | CarrierState::Suspended)
            && !is_at_its_end(one, now)
    };
    let in_use = carried.iter().filter(is_in_use).count();
    if in_use > 1 {
        found.push(Disagreement::TwoCards(holder.id, in_use));
    }
    if holder.status.ended_at.is_some() {
        // One issued after, before the end was reported, is for a person to judge.
        let outlives = carried.iter().filter(|one| !is_at_its_end(one, now));
        found.extend(outlives.map(|one| Disagreement::Outlives(holder.id, one.card.applied.card)));
    }
    found
}

fn is_final(status: &CertStatus) -> bool {
    matches!(status, CertStatus::Revoked(revocation) if !revocation.is_hold())
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alive(card, kind) => {
                write!(f, "{card}: abolished, and its {kind} certificate is not revoked")
            }
            Self::NotHeld(card, kind) => write!(f, "{card}: suspended, and its {kind} certificate is good"),
            Self::Held(card, kind) => {
                write!(f, "{card}: its {kind} certificate is on hold, and it is not suspended")
            }
            Self::Dead(card) => write!(f, "{card}: in use, and all of its certificates are revoked"),
            Self::NoRecord(card) => write!(f, "{card}: a certificate on it is not on record"),
            Self::TwoCards(holder, count) => write!(f, "{holder}: {count} cards in use"),
            Self::Outlives(holder, card) => {
                write!(f, "{holder}: all certificates ended, and {card} is not abolished")
            }
        }
    }
}
