//! Why a decision changes nothing.

use super::{Breach, CardId, CertificateRef, FoldError, HolderId};
use crate::der::UnixTime;
use crate::pki::{
    AuthorityId, Carrier, CarrierState, CertificateKind, Generation, Partition, RevocationReason,
    SerialNumber,
};

/// What stands against a change. Nothing has been written when one is returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The authority never issued that serial.
    #[error(
        "serial {serial} was never issued by this authority: look at the certificate's serial and issuer"
    )]
    NotIssued {
        /// Whose serial.
        authority: AuthorityId,
        /// The serial asked for.
        serial: SerialNumber,
    },
    /// The certificate was issued after the time asked about.
    #[error("serial {serial} had not been issued yet at {at}: it was issued at {issued_at}")]
    NotIssuedYet {
        /// The serial asked for.
        serial: SerialNumber,
        /// The time asked about.
        at: UnixTime,
        /// When its issue was recorded.
        issued_at: UnixTime,
    },
    /// The serial belongs to a certificate signed by another key of the authority.
    #[error("serial {} was issued under another key generation than {}", .0.serial, .0.generation)]
    OtherGeneration(CertificateRef),
    /// A serial is being issued a second time.
    #[error("serial {} was issued before", .0.serial)]
    IssuedBefore(CertificateRef),
    /// A revocation is for ever, and its ground changes only as the rule allows.
    #[error("already revoked with {was}; only keyCompromise may follow, and from a hold any ground")]
    AlreadyRevoked {
        /// The ground that stands.
        was: RevocationReason,
    },
    /// A ground that cannot be asked for.
    #[error("{0} is no ground for a revocation here: use hold or release for holds")]
    NoGround(RevocationReason),
    /// The certificate is not held.
    #[error("not on hold: there is nothing to release")]
    NotHeld,
    /// Only a phone's authentication certificate may return from hold.
    #[error("a hold on a {0} certificate is never lifted: it ends in revocation")]
    HoldIsFinal(CertificateKind),
    /// CA and signer certificates are revoked by use cases of their own, and never held.
    #[error("certificate {} is no resident's but of kind {kind}: it is not revoked, held or released like one", .certificate.serial)]
    OfAnIssuer {
        /// Which.
        certificate: CertificateRef,
        /// [`CertificateKind::Ca`] or [`CertificateKind::OcspSigner`].
        kind: CertificateKind,
    },
    /// A resident's certificate where one of a CA key or an OCSP signer is meant.
    #[error("certificate {} is a resident's: run `sekisho revoke`", .0.serial)]
    NotAnIssuer(CertificateRef),
    /// invalidityDate lies in the future.
    #[error("invalid since {since}, but it is {now}: give a time that has passed")]
    InvalidityInFuture {
        /// The date asked for.
        since: UnixTime,
        /// The time of the decision.
        now: UnixTime,
    },
    /// The certificate changed within this second already: an answer about it must be able to
    /// bear a later time than the one before. Whoever asked waits until then: entries are never
    /// dated ahead of the clock, or a CRL cut from them would not be valid yet.
    #[error("changed within this second already: repeat in a second")]
    NotBefore(UnixTime),
    /// A report about a time that has not come.
    #[error("in effect since {since}, but it is {now}: report it again then")]
    NotInEffect {
        /// Since when.
        since: UnixTime,
        /// The time of the decision.
        now: UnixTime,
    },
    /// Nobody applied for that card, or it is somebody else's.
    #[error("{0} is not known, or is somebody else's: look at the number")]
    NoCard(CardId),
    /// Nobody is known by that number.
    #[error("{0} is not known: look at the number")]
    NoHolder(HolderId),
    /// A report that names something else than its rule concerns.
    #[error("{event} names a {wanted}, and nothing else: look at sekisho rules")]
    NamesOther {
        /// The event.
        event: String,
        /// What it names.
        wanted: &'static str,
    },
    /// The card was handed over, so that rule is not for it.
    #[error("{0} was handed over: report card-abolition")]
    HandedOver(CardId),
    /// Not about one person.
    #[error("{0} concerns all that a key signed: it is no movement")]
    NotOfAPerson(String),
    /// The card's state does not allow it.
    #[error("{card} is {state}")]
    CardIs {
        /// The card.
        card: CardId,
        /// Where it stands.
        state: CarrierState,
    },
    /// What is on a card or phone is held and released with it: two truths about one card are none.
    #[error(
        "the {kind} certificate {serial} is on {card}, which is lost and found as a whole: use card {does}, as in \
         `sekisho card {does} {card}`"
    )]
    OnCard {
        /// The card or phone.
        card: CardId,
        /// Which of its certificates.
        kind: CertificateKind,
        /// Its serial.
        serial: SerialNumber,
        /// The command's name.
        does: &'static str,
    },
    /// What was not lost is not found.
    #[error("{card} is {state}, and was never suspended: there is nothing to be found")]
    NotLost {
        /// The card or phone.
        card: CardId,
        /// Where it stands.
        state: CarrierState,
    },
    /// Only what has certificates, and has not come to its end, is suspended or found.
    #[error("{card} is {state}: only what carries certificates is {done}")]
    NotInUse {
        /// The card or phone.
        card: CardId,
        /// Where it stands.
        state: CarrierState,
        /// What was asked for, done.
        done: &'static str,
    },
    /// A key that is in use again was to be retired.
    #[error("generation {0} has issued meanwhile: look at `sekisho authority list`")]
    KeyInUse(Generation),
    /// Only a good card is handed over.
    #[error("the {kind} certificate {serial} of {card} is not good: renew it first")]
    NotGood {
        /// The card.
        card: CardId,
        /// Which of its certificates.
        kind: CertificateKind,
        /// Its serial.
        serial: SerialNumber,
    },
    /// A person has one card.
    #[error("{card} of the same holder is {state}: report what became of it first")]
    OtherCard {
        /// The other card.
        card: CardId,
        /// Where it stands.
        state: CarrierState,
    },
    /// An address overseas of somebody of whom no such move is known.
    #[error(
        "no move overseas with continued use is on record for the holder: report overseas-continued first, or give the \
         address in Japan"
    )]
    NotOverseas,
    /// An address in Japan of somebody who lives overseas.
    #[error(
        "the holder lives overseas since {since}: give the address as the register has it now, or report move-in with \
         the municipality first"
    )]
    Overseas {
        /// Since when.
        since: UnixTime,
    },
    /// Who lives overseas has no municipality but the last.
    #[error("the holder lives overseas since {since}: name municipality {last}, where they lived last")]
    LastMunicipality {
        /// Since when.
        since: UnixTime,
        /// Where before.
        last: Partition,
    },
    /// Nothing is issued after that.
    #[error("all certificates of {holder} ended at {since}")]
    HolderEnded {
        /// Whose.
        holder: HolderId,
        /// When.
        since: UnixTime,
    },
    /// The card's own time is over.
    #[error("{card} expired at {expires}: apply for a new one")]
    CardExpired {
        /// The card.
        card: CardId,
        /// When.
        expires: UnixTime,
    },
    /// A card carries certificates of cards, a phone those of phones.
    #[error("{card} is a {carrier}: there is no {kind} certificate on it")]
    NotOnThis {
        /// The card or phone.
        card: CardId,
        /// Which of both it is.
        carrier: Carrier,
        /// The kind asked for.
        kind: CertificateKind,
    },
    /// A card has one good certificate of a kind.
    #[error("{card} has a good {kind} certificate: renew it, or revoke it first")]
    HasOne {
        /// The card.
        card: CardId,
        /// The kind.
        kind: CertificateKind,
    },
    /// A public key belongs to one person. Which other one is nobody's business here.
    #[error(
        "this public key was certified for somebody else before: have another pair of keys made on the card"
    )]
    KeyOfAnother,
    /// A public key is certified for one kind.
    #[error(
        "this public key was certified for {was} before, and not for {kind}: each kind has a key of its own"
    )]
    KeyOfOtherKind {
        /// For which kind it was certified.
        was: CertificateKind,
        /// For which it is now asked.
        kind: CertificateKind,
    },
    /// The last certificate of a public key was revoked with keyCompromise.
    #[error("this public key was compromised: have another pair of keys made on the card")]
    SubjectKeyCompromised,
    /// A public key of an authority.
    #[error("this public key is that of an authority here: give the one that was made on the card")]
    KeyOfAuthority,
    /// A certificate belongs to one verifier.
    #[error("that certificate is registered for {0}: use that name, or another certificate")]
    VerifierNamed(String),
    /// The register does not know the verifier.
    #[error("no such verifier is registered: look at sekisho verifier list")]
    NoVerifier,
    /// It would break the rule of succession, which no decision may: a fault of the decision, or of
    /// the records it was made on.
    #[error("{}: nothing was written", .0.fact())]
    Breaks(Breach),
    /// It would be about something that is not on record: a fault as well.
    #[error("{0}: nothing was written")]
    Unfounded(#[from] FoldError),
    /// Nothing is issued by a key that is compromised.
    #[error(
        "the key of generation {0} is compromised, and nothing is issued by it: give the authority the next \
         one with `sekisho authority rollover --authority A --now`"
    )]
    KeyCompromised(Generation),
    /// The records could not be read.
    #[error("the records cannot be read: {0}")]
    Records(String),
}
