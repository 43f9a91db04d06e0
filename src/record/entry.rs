//! One entry of the journal.

use super::{
    ArchivePlace, CardApplied, CardId, CardStatus, CertificateRef, CertifiedKey, Epoch, HolderId,
    HolderStatus, Movement, Origin, Position,
};
use crate::der::UnixTime;
use crate::pki::{AuthorityId, CertStatus, CertificateKind, Generation, Partition, Revocation, SerialNumber};

/// An event, when it was recorded, and at whose wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was recorded; never earlier than the entry before, save for
    /// [`Event::ClockReleased`].
    pub recorded_at: UnixTime,
    /// Who asked for it.
    pub origin: Origin,
    /// What happened.
    pub event: Event,
}

/// An entry and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// Its place in the journal.
    pub position: Position,
    /// The entry.
    pub entry: Entry,
}

/// What can happen. Events about a certificate are after-images: folding one twice changes
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first entry of every journal.
    JournalBegun {
        /// Random; names this journal in snapshots, markers and copies.
        journal_id: [u8; 16],
    },
    /// A new life of the journal began: its end was accepted as it is, or it was restored. What was
    /// written behind this place before is given up.
    EpochBegun {
        /// Higher than the one before.
        epoch: Epoch,
        /// Serial numbers of every authority that are passed over: they may have been issued by what was
        /// given up.
        serials: u64,
        /// Why, in somebody's words.
        reason: String,
    },
    /// An authority was set up.
    AuthorityOpened {
        /// Its number from now on.
        authority: AuthorityId,
        /// Its name in commands and addresses.
        name: String,
    },
    /// Serial numbers up to and including `up_to` may be signed from now on.
    SerialsReserved {
        /// Whose.
        authority: AuthorityId,
        /// The last number of the block.
        up_to: u64,
    },
    /// A certificate was signed and stands in the archive.
    Issued(Issued),
    /// A public key was certified: for nobody else from now on.
    KeyCertified(CertifiedKey),
    /// A certificate was revoked, held, or its ground changed.
    Revoked(StatusChange<Revocation>),
    /// A hold was lifted.
    Released(StatusChange<()>),
    /// A request was seen and changed nothing.
    RequestSeen,
    /// A CRL set is about to be built from all entries up to and including this one.
    CrlSetBegun {
        /// The authorities it covers.
        authorities: Vec<AuthorityId>,
        /// True for a set of the daily schedule: only those let expired certificates leave.
        scheduled: bool,
    },
    /// A set of delta CRLs is about to be built: what changed between the set begun at each base
    /// and this entry.
    CrlDeltasBegun {
        /// The authorities it covers, each with the position of its base's [`Event::CrlSetBegun`].
        bases: Vec<(AuthorityId, Position)>,
    },
    /// A CRL set that the gate held back is let go by an operator.
    CrlSetReleased {
        /// The position of its [`Event::CrlSetBegun`].
        begun: Position,
        /// What the gate said.
        finding: String,
        /// Why it is let go all the same.
        reason: String,
    },
    /// A CRL set passed the gate, or was let go, and is being served.
    CrlSetPublished {
        /// The position of its [`Event::CrlSetBegun`].
        begun: Position,
        /// SHA-256 of its catalogue.
        catalogue_sha256: [u8; 32],
    },
    /// A CRL set was given up: its number is spent, the last set stays.
    CrlSetAbandoned {
        /// The position of its [`Event::CrlSetBegun`].
        begun: Position,
    },
    /// Somebody vouched for the wall clock after it had stepped. The entry bears its time, and
    /// so it alone may be dated before the entry it follows.
    ClockReleased {
        /// The time that was believed until then.
        until: UnixTime,
    },
    /// A card or phone was asked for.
    CardApplied(CardApplied),
    /// Where a card or phone stands now.
    CardChanged(CardId, CardStatus),
    /// Where a person stands now.
    HolderChanged(HolderId, HolderStatus),
    /// Something was reported; the entries after it say what it changed.
    Movement(Movement),
    /// A key of an authority is compromised: from here on nothing is issued under it but OCSP signers, and
    /// its CA certificate and every certificate it issued, save those of OCSP signers, are revoked for
    /// ever (cACompromise) by this entry alone. Those that were revoked for ever before stay as they are.
    GenerationCompromised {
        /// Whose key.
        authority: AuthorityId,
        /// Which of its keys.
        generation: Generation,
        /// Since when it is believed to be in other hands.
        invalidity_date: Option<UnixTime>,
    },
    /// A key of an authority issues from this time on; one of which nothing is said issues at once.
    IssuingFrom {
        /// Whose key.
        authority: AuthorityId,
        /// Which of its keys.
        generation: Generation,
        /// From when.
        from: UnixTime,
    },
    /// Every certificate that a compromise revoked has an [`Event::Revoked`] of its own, whose cause is the
    /// entry of the compromise.
    GenerationRevoked {
        /// Whose key.
        authority: AuthorityId,
        /// Which of its keys.
        generation: Generation,
    },
    /// The last CRLs and the last ARL of a key are published, valid until its CA certificate ends: from here
    /// on it signs nothing.
    GenerationRetired {
        /// Whose key.
        authority: AuthorityId,
        /// Which of its keys.
        generation: Generation,
        /// The position of the [`Event::CrlSetBegun`] of the set that holds them.
        begun: Position,
    },
    /// From now on this table says what revokes what.
    RulesAdopted {
        /// SHA-256 of the table.
        sha256: [u8; 32],
        /// The table; none in entries from before it was written along.
        table: Option<String>,
    },
    /// A verifier may ask, by this certificate: newly, or again after a suspension.
    VerifierRegistered {
        /// Its name.
        name: String,
        /// Its certificate, DER.
        certificate: Vec<u8>,
    },
    /// A verifier may ask no longer by this certificate.
    VerifierSuspended {
        /// SHA-256 of the certificate.
        certificate_sha256: [u8; 32],
    },
}

/// A certificate as it was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Which certificate.
    pub certificate: CertificateRef,
    /// What it is for.
    pub kind: CertificateKind,
    /// The CRL partition its distribution point names; none for CA and signer certificates.
    pub partition: Option<Partition>,
    /// Start of its validity.
    pub not_before: UnixTime,
    /// End of its validity.
    pub not_after: UnixTime,
    /// Where its octets are.
    pub archive: ArchivePlace,
    /// SHA-256 of its octets.
    pub sha256: [u8; 32],
    /// Who holds it; none for CA and signer certificates.
    pub holder: Option<HolderId>,
    /// The card or phone it is on.
    pub card: Option<CardId>,
    /// The other certificate of the pair, an authority and a serial of its own.
    pub twin: Option<(AuthorityId, SerialNumber)>,
}

impl Issued {
    /// True for the CA certificate of a key.
    #[must_use]
    pub fn is_ca_certificate(&self) -> bool {
        self.kind == CertificateKind::Ca
    }

    /// True for the CA certificate of one of an authority's keys.
    #[must_use]
    pub fn is_ca_certificate_of(&self, authority: AuthorityId) -> bool {
        self.is_ca_certificate() && self.certificate.authority == authority
    }
}

/// What a certificate's status became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusChange<T> {
    /// Which certificate.
    pub certificate: CertificateRef,
    /// What it became.
    pub became: T,
    /// How many changes it has had with this one, from 1.
    pub change: u32,
    /// The entry of the [`Event::Movement`] that it comes from; none when it was asked for itself.
    pub cause: Option<Position>,
}

impl Entry {
    /// The last time on record after this entry, when it was `mark` before: a release of the
    /// clock sets it, every other entry may only raise it.
    #[must_use]
    pub fn mark_after(&self, mark: UnixTime) -> UnixTime {
        match self.event {
            Event::ClockReleased { .. } => self.recorded_at,
            _ => mark.max(self.recorded_at),
        }
    }

    /// True when it may follow an entry recorded at `mark`: time goes back at a release of the
    /// clock only.
    #[must_use]
    pub fn may_follow(&self, mark: UnixTime) -> bool {
        self.recorded_at >= mark || matches!(self.event, Event::ClockReleased { .. })
    }
}

impl Event {
    /// What kind of event it is, as exports call it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::JournalBegun { .. } => "journal-begun",
            Self::EpochBegun { .. } => "epoch-begun",
            Self::AuthorityOpened { .. } => "authority-opened",
            Self::SerialsReserved { .. } => "serials-reserved",
            Self::Issued(_) => "issued",
            Self::KeyCertified(_) => "key-certified",
            Self::GenerationCompromised { .. } => "generation-compromised",
            Self::GenerationRevoked { .. } => "generation-revoked",
            Self::IssuingFrom { .. } => "issuing-from",
            Self::GenerationRetired { .. } => "generation-retired",
            Self::Revoked(_) => "revoked",
            Self::Released(_) => "released",
            Self::RequestSeen => "request-seen",
            Self::CrlSetBegun { .. } => "crl-set-begun",
            Self::CrlDeltasBegun { .. } => "crl-deltas-begun",
            Self::CrlSetReleased { .. } => "crl-set-released",
            Self::CrlSetPublished { .. } => "crl-set-published",
            Self::CrlSetAbandoned { .. } => "crl-set-abandoned",
            Self::ClockReleased { .. } => "clock-released",
            Self::CardApplied(_) => "card-applied",
            Self::CardChanged(..) => "card-changed",
            Self::HolderChanged(..) => "holder-changed",
            Self::Movement(_) => "movement",
            Self::RulesAdopted { .. } => "rules-adopted",
            Self::VerifierRegistered { .. } => "verifier-registered",
            Self::VerifierSuspended { .. } => "verifier-suspended",
        }
    }

    /// The certificate it is about, if it is about one.
    #[must_use]
    pub const fn certificate(&self) -> Option<&CertificateRef> {
        match self {
            Self::Issued(issued) => Some(&issued.certificate),
            Self::Revoked(change) => Some(&change.certificate),
            Self::Released(change) => Some(&change.certificate),
            _ => None,
        }
    }

    /// The card or phone it is about, if it changes one.
    #[must_use]
    pub const fn card(&self) -> Option<CardId> {
        match self {
            Self::Issued(issued) => issued.card,
            Self::CardApplied(applied) => Some(applied.card),
            Self::CardChanged(card, _) => Some(*card),
            _ => None,
        }
    }

    /// The person it is about, if it changes what is known of one.
    #[must_use]
    pub const fn holder(&self) -> Option<HolderId> {
        match self {
            Self::Issued(issued) => issued.holder,
            Self::CardApplied(applied) => Some(applied.holder),
            Self::HolderChanged(holder, _) => Some(*holder),
            _ => None,
        }
    }

    /// The report that its change of a status comes from.
    #[must_use]
    pub const fn cause(&self) -> Option<Position> {
        match self {
            Self::Revoked(change) => change.cause,
            Self::Released(change) => change.cause,
            _ => None,
        }
    }

    /// The same change of a status, coming from the report at that position. Other events have no
    /// cause, and stay as they are.
    #[must_use]
    pub fn caused_by(mut self, report: Position) -> Self {
        match &mut self {
            Self::Revoked(change) => change.cause = Some(report),
            Self::Released(change) => change.cause = Some(report),
            _ => {}
        }
        self
    }

    /// The status it gave that certificate.
    #[must_use]
    pub const fn status(&self) -> Option<CertStatus> {
        match self {
            Self::Issued(_) | Self::Released(_) => Some(CertStatus::Good),
            Self::Revoked(change) => Some(CertStatus::Revoked(change.became)),
            _ => None,
        }
    }
}
