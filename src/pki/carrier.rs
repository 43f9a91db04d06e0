//! What carries a resident's certificates, and where it stands in its life.

use std::fmt;
use std::str::FromStr;

use super::CertificateKind;

/// A card, or a phone that was set up with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// マイナンバーカード.
    Card,
    /// スマートフォン.
    Phone,
}

impl Carrier {
    /// The kinds of certificate on it, signing first.
    #[must_use]
    pub const fn kinds(self) -> [CertificateKind; 2] {
        match self {
            Self::Card => [CertificateKind::CardSign, CertificateKind::CardAuth],
            Self::Phone => [CertificateKind::PhoneSign, CertificateKind::PhoneAuth],
        }
    }

    /// What carries this kind; none for CA and signer certificates.
    #[must_use]
    pub const fn of(kind: CertificateKind) -> Option<Self> {
        match kind {
            CertificateKind::CardSign | CertificateKind::CardAuth => Some(Self::Card),
            CertificateKind::PhoneSign | CertificateKind::PhoneAuth => Some(Self::Phone),
            CertificateKind::Ca | CertificateKind::OcspSigner => None,
        }
    }

    /// Its name in commands and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Phone => "phone",
        }
    }
}

/// Where a carrier stands. Expiry is no state of its own: it is a matter of time, not of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CarrierState {
    /// Asked for; it has no certificate yet.
    Applied,
    /// It has certificates, and waits at the counter.
    Issued,
    /// Handed over: the holder uses it. A phone is in use from its issue on.
    InUse,
    /// Reported lost after the hand-over: its certificates are on hold.
    Suspended,
    /// Reported lost before the hand-over, its certificates on hold likewise: it is nobody's card in use, and
    /// when it is found it waits at the counter again.
    Withheld,
    /// Its end: nothing leads away from it.
    Abolished,
}

impl CarrierState {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 6] =
        [Self::Applied, Self::Issued, Self::InUse, Self::Suspended, Self::Withheld, Self::Abolished];

    /// True while it is reported lost, and not found.
    #[must_use]
    pub const fn is_lost(self) -> bool {
        matches!(self, Self::Suspended | Self::Withheld)
    }

    /// Its name in commands, JSON and the table of rules. Lost is lost: whether a card was handed over before
    /// is for who finds it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Issued => "issued",
            Self::InUse => "in use",
            Self::Suspended | Self::Withheld => "suspended",
            Self::Abolished => "abolished",
        }
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for CarrierState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CarrierState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or(UnknownState)
    }
}

/// The text names no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown state: use applied, issued, `in use`, suspended or abolished")]
pub struct UnknownState;
