//! What may follow what: the one rule of succession, by which every fold of the journal decides
//! whether an entry about a certificate counts.
//!
//! | state | `Issued` | hold | final revocation | `Released` |
//! |---|---|---|---|---|
//! | never issued | counts: good | [`FoldError::Unknown`] | [`FoldError::Unknown`] | [`FoldError::Unknown`] |
//! | good | breach | counts | counts | breach |
//! | on hold | breach | breach | counts, dated as the earlier of both | counts: good |
//! | revoked, not keyCompromise | breach | breach | keyCompromise counts, dated as the earlier of both; others are a breach | breach |
//! | revoked, keyCompromise | breach | breach | breach | breach |
//!
//! - A hold is a `Revoked` with the reason certificateHold; a final revocation is one with any other.
//! - A *breach* is passed over: the state stays, the change is not numbered, and it is told by
//!   [`Breach`].
//! - Dated as the earlier of both: revocationDate is that of the entry or that which stands,
//!   whichever is earlier. invalidityDate is that of the entry, or else that which stands.
//! - `change` is one more than the number of changes that counted before. Another number is a breach
//!   that is told, but the entry counts by the table, and the fold numbers it by itself: a final
//!   revocation that was decided on wrong records is never lost.
//! - An entry about the same authority and serial but another generation is
//!   [`FoldError::Unknown`]: nobody issued that certificate.
//! - An entry at a position that was folded before is passed by, and is no breach.
//! - [`Event::GenerationCompromised`](super::Event::GenerationCompromised) is a change of every certificate
//!   that the key issued before, save those of OCSP signers and those that are revoked for ever: a final
//!   revocation (cACompromise) by the table, numbered as any other, whose cause is that very entry. No
//!   record is touched for it: whoever reads one sees it, and the next entry about it is folded behind it.
//! - A `Revoked` whose cause is that entry writes down what it made of one certificate: it counts, and
//!   changes nothing.
//! - An `Issued` behind it, by that key, of anything but an OCSP signer is a breach: it is passed over. So it is
//!   behind an [`Event::GenerationRetired`](super::Event::GenerationRetired) of the key.
//!
//! The decisions of `lifecycle` keep to the table, and the committer refuses what would break it. Journals hold breaches all the same: an earlier version lost revocations from its records
//! and decided on what was left. A certificate that was revoked for keyCompromise, and then, its
//! record being lost, put on hold and released, is revoked for keyCompromise since the first date.
//!
//! Two folds obey it, and share nothing but the entries and the types of this file:
//! [`Record::apply`](super::Record::apply), and the status index, from which OCSP is answered.

use std::fmt;

use super::{CardId, CertificateRef, Epoch, HolderId, Position, Refusal};
use crate::pki::{AuthorityId, CertStatus, Generation, RevocationReason};

/// What became of an entry that was handed to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folded {
    /// It counted.
    Counted,
    /// It is about something else, or was folded before.
    PassedBy,
    /// It breaks the rule. The record is as before, unless the breach counted.
    Breached(Breach),
}

impl Folded {
    /// For an entry that is about to be written: none may break the rule.
    ///
    /// # Errors
    /// [`Refusal::Breaks`].
    pub const fn sound(self) -> Result<(), Refusal> {
        match self {
            Self::Counted | Self::PassedBy => Ok(()),
            Self::Breached(breach) => Err(Refusal::Breaks(breach)),
        }
    }
}

/// An entry that breaks the rule of succession.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breach {
    /// The entry.
    pub position: Position,
    /// The certificate it is about.
    pub certificate: CertificateRef,
    /// The status before the entry; after it too, unless it counted.
    pub standing: CertStatus,
    /// True when it counted all the same: only its number is wrong.
    pub counted: bool,
    /// What is wrong with it.
    pub what: BreachKind,
}

/// What an entry does that may not follow what stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreachKind {
    /// It issues a certificate that was issued before.
    Issued,
    /// It puts on hold what is on hold, or revoked.
    Held,
    /// It revokes, on this ground, what is revoked.
    Revoked(RevocationReason),
    /// It releases what is not on hold.
    Released,
    /// It issues a certificate by a key that is compromised.
    Compromised,
    /// It issues a certificate by a key that is retired.
    Retired,
    /// It may follow, but numbers the change wrongly.
    Number {
        /// The number in the entry.
        said: u32,
        /// The number it has.
        due: u32,
    },
}

impl Breach {
    /// What the entry does, and what stood before it; not what comes of it.
    #[must_use]
    pub fn fact(&self) -> String {
        let Self { position, certificate: CertificateRef { authority, serial, .. }, standing, .. } = self;
        let certificate = format!("serial {serial} of authority {}", authority.0);
        let does = match self.what {
            BreachKind::Issued => "issues".to_owned(),
            BreachKind::Held => "holds".to_owned(),
            BreachKind::Revoked(reason) => format!("revokes ({reason})"),
            BreachKind::Released => "releases".to_owned(),
            BreachKind::Compromised => {
                return format!(
                    "entry {position} issues {certificate} by generation {}, whose key is compromised",
                    self.certificate.generation
                );
            }
            BreachKind::Retired => {
                return format!(
                    "entry {position} issues {certificate} by generation {}, whose key is retired",
                    self.certificate.generation
                );
            }
            BreachKind::Number { said, due } => {
                return format!(
                    "entry {position} says that its change of {certificate} is number {said}, but it is number {due}"
                );
            }
        };
        match standing {
            CertStatus::Unknown => format!("entry {position} {does} {certificate}, which was never issued"),
            CertStatus::Good => format!("entry {position} {does} {certificate}, which is good"),
            CertStatus::Revoked(stands) => format!(
                "entry {position} {does} {certificate}, which is {} ({}) since {}",
                if stands.is_hold() { "on hold" } else { "revoked" },
                stands.reason,
                stands.revoked_at
            ),
        }
    }
}

/// As an operator reads it, with what comes of it.
impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let comes = if self.counted { "it counts as that" } else { "it is passed over" };
        write!(f, "{}: {comes}", self.fact())
    }
}

/// An entry that cannot be folded: the journal is damaged, or whoever wrote it was wrong. What it was
/// to be folded into is as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// It is about something that no entry before it made.
    #[error("entry {position} is about {what}")]
    Unknown {
        /// The entry.
        position: Position,
        /// What it is about.
        what: Absent,
    },
    /// It makes a list longer than the list may be.
    #[error("entry {position} makes more than {most} {what}")]
    TooMany {
        /// The entry.
        position: Position,
        /// Of what.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// It makes a card or person by issuing a certificate, and does not say where that person lives.
    #[error("entry {position} issues a certificate to {what}, and names no municipality")]
    NoMunicipality {
        /// The entry.
        position: Position,
        /// The card or person.
        what: Absent,
    },
}

impl FoldError {
    /// In general: for whoever tells the place by a file and its octets.
    #[must_use]
    pub const fn sentence(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "an entry is about something that no entry before it made",
            Self::TooMany { .. } => "an entry makes a list longer than it may be",
            Self::NoMunicipality { .. } => "an entry makes a card or person and names no municipality",
        }
    }
}

/// What is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// A certificate that was not issued before.
    Certificate(CertificateRef),
    /// A certificate of that serial was issued, but by another key.
    Generation {
        /// The certificate meant.
        certificate: CertificateRef,
        /// The key that issued it.
        known: Generation,
    },
    /// A card or phone that nobody applied for.
    Card(CardId),
    /// A person nothing is on record of.
    Holder(HolderId),
    /// A CRL set that is not open: not begun, or published or abandoned already.
    CrlSet(Position),
    /// A verifier's certificate that was not registered, by its SHA-256.
    Verifier([u8; 32]),
    /// An epoch that is no later than the one before.
    Epoch(Epoch),
    /// A key that the authority never had.
    Key(AuthorityId, Generation),
    /// A compromise of a key that is not compromised.
    Compromise(AuthorityId, Generation),
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(CertificateRef { authority, serial, .. }) => {
                write!(f, "serial {serial} of authority {}, which was never issued", authority.0)
            }
            Self::Generation { certificate: CertificateRef { authority, generation, serial }, known } => {
                write!(
                    f,
                    "serial {serial} of authority {}, generation {generation}, which generation {known} issued",
                    authority.0
                )
            }
            Self::Card(card) => write!(f, "{card}, which nobody applied for"),
            Self::Holder(holder) => write!(f, "{holder}, of whom nothing is on record"),
            Self::Epoch(epoch) => write!(f, "epoch {}, which is no later than the one before", epoch.0),
            Self::Key(authority, generation) => {
                write!(f, "generation {generation} of authority {}, which it never had", authority.0)
            }
            Self::Compromise(authority, generation) => {
                write!(f, "generation {generation} of authority {}, which is not compromised", authority.0)
            }
            Self::CrlSet(begun) => write!(f, "the CRL set begun at entry {begun}, which is not open"),
            Self::Verifier(sha256) => {
                f.write_str("the verifier's certificate with SHA-256 ")?;
                sha256.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
                f.write_str(", which is not registered")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::der::UnixTime;
    use crate::pki::{Revocation, SerialNumber};

    #[test]
    fn a_breach_is_told_in_words() {
        let certificate = CertificateRef {
            authority: AuthorityId(1),
            generation: Generation::FIRST,
            serial: SerialNumber::try_from(0x407).unwrap(),
        };
        let standing = CertStatus::Revoked(Revocation {
            revoked_at: UnixTime::from_seconds(1_800_000_000),
            reason: RevocationReason::KeyCompromise,
            invalidity_date: None,
        });
        let mut breach = Breach {
            position: Position(1234),
            certificate,
            standing,
            counted: false,
            what: BreachKind::Held,
        };
        assert_eq!(
            breach.to_string(),
            "entry 1234 holds serial 0x407 of authority 1, which is revoked (keyCompromise) since \
             2027-01-15T08:00:00Z: it is passed over"
        );
        (breach.standing, breach.what) = (CertStatus::Good, BreachKind::Number { said: 1, due: 2 });
        breach.counted = true;
        assert_eq!(
            breach.to_string(),
            "entry 1234 says that its change of serial 0x407 of authority 1 is number 1, but it is number 2: \
             it counts as that"
        );
        let error = FoldError::Unknown { position: Position(12), what: Absent::CrlSet(Position(7)) };
        assert_eq!(error.to_string(), "entry 12 is about the CRL set begun at entry 7, which is not open");
    }
}
