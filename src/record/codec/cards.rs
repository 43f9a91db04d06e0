//! Octets of what is recorded of cards, people and public keys.

use super::write::{kind_code, put_long_count, put_option, put_serial, put_text, put_time, whole};
use super::{CodecError, Octets, WriteError};
use crate::der::UnixTime;
use crate::pki::{AuthorityId, Carrier, CarrierState};
use crate::record::{
    Card, CardApplied, CardId, CardStatus, CertifiedKey, Holder, HolderId, HolderStatus, KeyDigest, Movement,
    OnCard, Position,
};

impl Card {
    /// Appends the card.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was appended then.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        whole(out, |out| {
            put_applied(out, &self.applied);
            put_time(out, self.recorded_at);
            out.extend(self.position.0.to_be_bytes());
            put_card_status(out, &self.status);
            put_long_count(out, "list of a card's certificates", self.certificates.len())?;
            for one in &self.certificates {
                out.extend([kind_code(one.kind), one.authority.0]);
                put_serial(out, &one.serial);
            }
            Ok(())
        })
    }

    /// Reads a card that fills `octets`.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn from_octets(octets: &[u8]) -> Result<Self, CodecError> {
        let mut octets = Octets(octets);
        let applied = octets.applied()?;
        let recorded_at = octets.time()?;
        let position = Position(octets.number()?);
        let status = octets.card_status()?;
        let count = u16::from_be_bytes(octets.array()?);
        let certificates = (0..count).map(|_| {
            Ok(OnCard {
                kind: octets.kind()?,
                authority: AuthorityId(octets.one()?),
                serial: octets.serial()?,
            })
        });
        let certificates = certificates.collect::<Result<_, CodecError>>()?;
        octets.finish()?;
        Ok(Self { applied, recorded_at, position, status, certificates })
    }
}

impl Holder {
    /// Appends the person.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was appended then.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        whole(out, |out| {
            out.extend(self.id.0.to_be_bytes());
            out.extend(self.position.0.to_be_bytes());
            put_holder_status(out, &self.status);
            put_optional_time(out, self.status.overseas_since);
            put_long_count(out, "list of a person's cards", self.cards.len())?;
            out.extend(self.cards.iter().flat_map(|card| card.0.to_be_bytes()));
            Ok(())
        })
    }

    /// Reads a person that fills `octets`.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn from_octets(octets: &[u8]) -> Result<Self, CodecError> {
        let mut octets = Octets(octets);
        let id = octets.holder()?;
        let position = Position(octets.number()?);
        let mut status = octets.holder_status()?;
        status.overseas_since = octets.option(Octets::time)?;
        let count = u16::from_be_bytes(octets.array()?);
        let cards = (0..count).map(|_| octets.card()).collect::<Result<_, _>>()?;
        octets.finish()?;
        Ok(Self { id, position, status, cards })
    }
}

impl CertifiedKey {
    /// Its octets.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_certified(&mut out, self);
        out
    }

    /// Reads a key that fills `octets`.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn from_octets(octets: &[u8]) -> Result<Self, CodecError> {
        let mut octets = Octets(octets);
        let certified = octets.certified()?;
        octets.finish()?;
        Ok(certified)
    }
}

pub(super) fn put_certified(out: &mut Vec<u8>, certified: &CertifiedKey) {
    out.extend(certified.key.0.to_be_bytes());
    out.extend(certified.holder.0.to_be_bytes());
    out.extend([kind_code(certified.kind), certified.authority.0]);
    put_serial(out, &certified.serial);
}

pub(super) fn put_applied(out: &mut Vec<u8>, applied: &CardApplied) {
    out.extend(applied.card.0.to_be_bytes());
    out.push(u8::from(applied.carrier == Carrier::Phone));
    put_option(out, applied.of.as_ref(), |out, card| out.extend(card.0.to_be_bytes()));
    out.extend(applied.holder.0.to_be_bytes());
    out.extend(applied.municipality.0.to_be_bytes());
    put_optional_time(out, applied.expires);
}

pub(super) fn put_card_status(out: &mut Vec<u8>, status: &CardStatus) {
    out.push(state_code(status.state));
    put_optional_time(out, status.suspended_at);
    put_optional_time(out, status.released_at);
}

/// Without since when they live overseas: that stands elsewhere in an entry than in a row.
pub(super) fn put_holder_status(out: &mut Vec<u8>, status: &HolderStatus) {
    out.extend(status.municipality.0.to_be_bytes());
    put_optional_time(out, status.moved_at);
    put_optional_time(out, status.ended_at);
}

pub(super) fn put_movement(out: &mut Vec<u8>, movement: &Movement) -> Result<(), WriteError> {
    put_text(out, "event's name", &movement.event)?;
    out.extend(movement.holder.0.to_be_bytes());
    put_option(out, movement.card.as_ref(), |out, card| out.extend(card.0.to_be_bytes()));
    put_option(out, movement.kind.as_ref(), |out, kind| out.push(kind_code(*kind)));
    put_time(out, movement.effective_at);
    put_optional_time(out, movement.reported_at);
    Ok(())
}

fn put_optional_time(out: &mut Vec<u8>, time: Option<UnixTime>) {
    put_option(out, time.as_ref(), |out, time| put_time(out, *time));
}

const fn state_code(state: CarrierState) -> u8 {
    match state {
        CarrierState::Applied => 1,
        CarrierState::Issued => 2,
        CarrierState::InUse => 3,
        CarrierState::Suspended => 4,
        CarrierState::Abolished => 5,
        CarrierState::Withheld => 6,
    }
}

impl Octets<'_> {
    pub(super) fn card(&mut self) -> Result<CardId, CodecError> {
        self.array().map(|octets| CardId(u128::from_be_bytes(octets)))
    }

    pub(super) fn holder(&mut self) -> Result<HolderId, CodecError> {
        self.array().map(|octets| HolderId(u128::from_be_bytes(octets)))
    }

    pub(super) fn certified(&mut self) -> Result<CertifiedKey, CodecError> {
        Ok(CertifiedKey {
            key: self.array().map(|octets| KeyDigest(u128::from_be_bytes(octets)))?,
            holder: self.holder()?,
            kind: self.kind()?,
            authority: AuthorityId(self.one()?),
            serial: self.serial()?,
        })
    }

    pub(super) fn applied(&mut self) -> Result<CardApplied, CodecError> {
        Ok(CardApplied {
            card: self.card()?,
            carrier: if self.boolean()? { Carrier::Phone } else { Carrier::Card },
            of: self.option(Self::card)?,
            holder: self.holder()?,
            municipality: self.partition()?,
            expires: self.option(Self::time)?,
        })
    }

    pub(super) fn card_status(&mut self) -> Result<CardStatus, CodecError> {
        let code = self.one()?;
        let state = CarrierState::ALL.into_iter().find(|state| state_code(*state) == code);
        Ok(CardStatus {
            state: state.ok_or(CodecError::Unknown(code))?,
            suspended_at: self.option(Self::time)?,
            released_at: self.option(Self::time)?,
        })
    }

    pub(super) fn holder_status(&mut self) -> Result<HolderStatus, CodecError> {
        Ok(HolderStatus {
            municipality: self.partition()?,
            moved_at: self.option(Self::time)?,
            overseas_since: None,
            ended_at: self.option(Self::time)?,
        })
    }

    pub(super) fn movement(&mut self) -> Result<Movement, CodecError> {
        Ok(Movement {
            event: self.text()?,
            holder: self.holder()?,
            card: self.option(Self::card)?,
            kind: self.option(Self::kind)?,
            effective_at: self.time()?,
            reported_at: self.option(Self::time)?,
        })
    }
}
