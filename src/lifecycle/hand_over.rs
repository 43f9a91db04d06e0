//! What must be so before a card is issued or handed over.

use super::issuing::newest;
use super::movement::Carried;
use crate::der::UnixTime;
use crate::pki::{Carrier, CarrierState, CertStatus};
use crate::record::{CardId, CardStatus, Event, Holder, Record, Refusal};

/// Hands a card over: refused unless it is good, and every earlier card of its holder is at its end.
/// `carried` is all that the holder ever had, in the order of application.
///
/// # Errors
/// [`Refusal`], which says what stands against it.
pub fn hand_over(
    card: CardId,
    holder: &Holder,
    carried: &[Carried],
    now: UnixTime,
) -> Result<Option<Event>, Refusal> {
    alive(holder)?;
    let at = carried.iter().position(|one| one.card.applied.card == card).ok_or(Refusal::NoCard(card))?;
    let (earlier, rest) = carried.split_at(at);
    let Some(one) = rest.first() else { return Err(Refusal::NoCard(card)) };
    match one.card.status.state {
        CarrierState::InUse => return Ok(None),
        CarrierState::Issued => {}
        state => return Err(Refusal::CardIs { card, state }),
    }
    for kind in one.card.applied.carrier.kinds() {
        if let Some(record) = newest(one, kind).filter(|record| !is_good(record, now)) {
            return Err(Refusal::NotGood { card, kind, serial: record.issued.certificate.serial });
        }
    }
    // One that was handed over and lost may be found.
    let later = rest.iter().skip(1).filter(|one| is_handed_over(one.card.status.state));
    let others = earlier.iter().chain(later);
    for other in others.filter(|other| other.card.applied.carrier == Carrier::Card) {
        if !is_at_its_end(other, now) {
            return Err(Refusal::OtherCard { card: other.card.applied.card, state: other.card.status.state });
        }
    }
    let status = CardStatus { state: CarrierState::InUse, ..one.card.status };
    Ok(Some(Event::CardChanged(card, status)))
}

const fn is_handed_over(state: CarrierState) -> bool {
    matches!(state, CarrierState::InUse | CarrierState::Suspended)
}

/// Nothing is issued or handed to a person after what ends all of their certificates. It is recorded once it
/// has come: a date ahead of now is one of a clock that went back since.
///
/// # Errors
/// [`Refusal::HolderEnded`].
pub fn alive(holder: &Holder) -> Result<(), Refusal> {
    match holder.status.ended_at {
        Some(since) => Err(Refusal::HolderEnded { holder: holder.id, since }),
        None => Ok(()),
    }
}

/// Abolished, or expired: nobody can use it any more.
#[must_use]
pub fn is_at_its_end(one: &Carried, now: UnixTime) -> bool {
    one.card.status.state == CarrierState::Abolished || is_expired(one, now)
}

/// Its own time is over, or that of all its certificates.
#[must_use]
pub fn is_expired(one: &Carried, now: UnixTime) -> bool {
    let expired = one.card.applied.expires.is_some_and(|expires| expires < now);
    let all_over = !one.records.is_empty() && one.records.iter().all(|record| record.issued.not_after < now);
    expired || all_over
}

/// Neither revoked, held nor expired.
#[must_use]
pub fn is_good(record: &Record, now: UnixTime) -> bool {
    record.status() == CertStatus::Good && record.issued.not_after >= now
}
