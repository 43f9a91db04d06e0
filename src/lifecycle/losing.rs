//! A card or phone that is lost, and found again: at the word of whoever is asked, at once.

use std::time::Duration;

use crate::der::UnixTime;
use crate::pki::{Carrier, CarrierState, CertStatus};
use crate::record::{Card, Record, Refusal};

/// What becomes of a card or phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Lost or stolen: what is on it is put on hold.
    Lost,
    /// Found: what is on a card ends in revocation, and it may carry new ones; of a phone, the hold on its
    /// authentication certificate is lifted.
    Found,
}

impl Turn {
    /// The rule by which it goes.
    #[must_use]
    pub const fn event(self, carrier: Carrier) -> &'static str {
        match (self, carrier) {
            (Self::Lost, Carrier::Card) => "card-suspension",
            (Self::Lost, Carrier::Phone) => "phone-suspension",
            (Self::Found, Carrier::Card) => "card-found",
            (Self::Found, Carrier::Phone) => "phone-found",
        }
    }

    /// What it is called once it is done.
    #[must_use]
    pub const fn done(self) -> &'static str {
        match self {
            Self::Lost => "suspended",
            Self::Found => "found",
        }
    }

    /// The command, `sekisho card …`.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::Lost => "suspend",
            Self::Found => "found",
        }
    }
}

/// True when it takes its turn; false when it has taken it before.
///
/// # Errors
/// [`Refusal`]: it has no certificates yet, is at its end, or was not lost.
pub fn turn(card: &Card, turn: Turn, now: UnixTime) -> Result<bool, Refusal> {
    let (id, state) = (card.applied.card, card.status.state);
    match (turn, state) {
        (_, CarrierState::Applied | CarrierState::Abolished) => {
            Err(Refusal::NotInUse { card: id, state, done: turn.done() })
        }
        (Turn::Lost, _) => Ok(!state.is_lost()),
        // Of a loss and a find in the same second the loss counts.
        (Turn::Found, _) if state.is_lost() && card.status.suspended_at == Some(now) => {
            Err(Refusal::NotBefore(now.plus(Duration::from_secs(1))))
        }
        (Turn::Found, _) if state.is_lost() => Ok(true),
        (Turn::Found, _) if card.status.released_at.is_some() => Ok(false),
        (Turn::Found, _) => Err(Refusal::NotLost { card: id, state }),
    }
}

/// A certificate on a card or phone is not held or released by itself: its card would be in use and it on
/// hold, and nobody could say which of both is true. What is revoked stays so, and is told by another rule;
/// what is good has no hold to be lifted.
///
/// # Errors
/// [`Refusal::OnCard`], which names the command that does it.
pub fn not_apart(record: &Record, asked: Turn) -> Result<(), Refusal> {
    let Some(card) = record.issued.card else { return Ok(()) };
    let would_change = match record.status() {
        CertStatus::Good | CertStatus::Unknown => asked == Turn::Lost,
        CertStatus::Revoked(was) => was.is_hold(),
    };
    if !would_change {
        return Ok(());
    }
    let (kind, serial) = (record.issued.kind, record.issued.certificate.serial);
    Err(Refusal::OnCard { card, kind, serial, does: asked.command() })
}
