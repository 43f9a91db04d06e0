//! What must be so before certificates are put on a card or phone.

use super::hand_over::{alive, is_good};
use super::movement::Carried;
use crate::der::UnixTime;
use crate::pki::{CarrierState, CertificateKind, Partition};
use crate::record::{Card, Holder, Record, Refusal};

/// On what occasion certificates are issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// The first on a card or phone.
    First,
    /// New ones instead of those on the card.
    Renewal,
}

/// Refuses certificates of these kinds on a card or phone that is known.
///
/// # Errors
/// [`Refusal`]: its holder's certificates all ended, it is no longer or not yet to have any, or has
/// a good one already.
pub fn may_issue(
    occasion: Occasion,
    one: &Carried,
    holder: &Holder,
    kinds: &[CertificateKind],
    now: UnixTime,
) -> Result<(), Refusal> {
    alive(holder)?;
    let card = one.card.applied.card;
    match (occasion, one.card.status.state) {
        (_, state @ (CarrierState::Suspended | CarrierState::Withheld | CarrierState::Abolished))
        | (Occasion::Renewal, state @ CarrierState::Applied) => return Err(Refusal::CardIs { card, state }),
        _ => {}
    }
    if let Some(expires) = one.card.applied.expires.filter(|expires| *expires < now) {
        return Err(Refusal::CardExpired { card, expires });
    }
    let carrier = one.card.applied.carrier;
    if let Some(other) = kinds.iter().find(|kind| !carrier.kinds().contains(kind)) {
        return Err(Refusal::NotOnThis { card, carrier, kind: *other });
    }
    let good = |kind: CertificateKind| newest(one, kind).is_some_and(|record| is_good(record, now));
    match kinds.iter().copied().find(|kind| occasion == Occasion::First && good(*kind)) {
        Some(kind) => Err(Refusal::HasOne { card, kind }),
        None => Ok(()),
    }
}

/// Where somebody says that they live, as far as a certificate shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Residence {
    /// The municipality; of who lives overseas, the last one.
    pub municipality: Partition,
    /// Whether the address is one overseas; none when no certificate shows it.
    pub is_overseas: Option<bool>,
}

/// Refuses an address that says something else than the moves on record: overseas of who lives in Japan, or
/// in Japan of who lives overseas. Certificates of who lives overseas are listed by the CRL of their last
/// municipality.
///
/// # Errors
/// [`Refusal`]: what to report first, or to name.
pub fn may_live(residence: &Residence, holder: &Holder) -> Result<(), Refusal> {
    let Residence { municipality, is_overseas } = *residence;
    match (holder.status.lives_overseas(), is_overseas) {
        (None, Some(true)) => Err(Refusal::NotOverseas),
        (None, _) => Ok(()),
        (Some(since), Some(false)) => Err(Refusal::Overseas { since }),
        (Some(since), _) => match holder.status.municipality {
            last if last == municipality => Ok(()),
            last => Err(Refusal::LastMunicipality { since, last }),
        },
    }
}

/// Refuses a phone set up with this card: it must be in use, and its signing certificate good. The
/// end of that certificate is the end of the phone's.
///
/// # Errors
/// [`Refusal`].
pub fn may_set_up_phone(with: &Carried, holder: &Holder, now: UnixTime) -> Result<UnixTime, Refusal> {
    alive(holder)?;
    let Card { applied, status, .. } = &with.card;
    let (card, kind) = (applied.card, CertificateKind::CardSign);
    if status.state != CarrierState::InUse {
        return Err(Refusal::CardIs { card, state: status.state });
    }
    match newest(with, kind) {
        Some(record) if is_good(record, now) => Ok(record.issued.not_after),
        Some(record) => Err(Refusal::NotGood { card, kind, serial: record.issued.certificate.serial }),
        None => Err(Refusal::NotOnThis { card, carrier: applied.carrier, kind }),
    }
}

/// The newest certificate of a kind.
#[must_use]
pub fn newest(one: &Carried, kind: CertificateKind) -> Option<&Record> {
    one.records.iter().rev().find(|record| record.issued.kind == kind)
}
