//! Why a decision changes nothing.

use super::CertificateRef;
use crate::der::UnixTime;
use crate::pki::{AuthorityId, CertificateKind, RevocationReason, SerialNumber};

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
    /// CA and signer certificates are revoked by their own procedures.
    #[error("a {0} certificate cannot be put on hold")]
    NotHoldable(CertificateKind),
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
    /// A certificate belongs to one verifier.
    #[error("that certificate is registered for {0}: use that name, or another certificate")]
    VerifierNamed(String),
    /// The register does not know the verifier.
    #[error("no such verifier is registered: look at sekisho verifier list")]
    NoVerifier,
    /// The records could not be read.
    #[error("the records cannot be read: {0}")]
    Records(String),
}
