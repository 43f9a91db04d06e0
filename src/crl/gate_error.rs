//! What the gate may find.

use super::{CrlNumber, Untold};
use crate::der::{DerError, UnixTime};
use crate::pki::SerialNumber;

/// Why a CRL must not leave. The last good set stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// Not the DER of a CertificateList.
    #[error("not a CRL in DER: {0}")]
    Der(#[from] DerError),
    /// Not version 2.
    #[error("the version is not 2")]
    Version,
    /// An algorithm other than that of the issuer's key, or a different one outside.
    #[error("the signature algorithm is not that of the issuer's key")]
    Algorithm,
    /// The signature is not the issuer's over these octets.
    #[error("the signature does not verify with the issuer's key")]
    Signature,
    /// The issuer is not, octet for octet, the CA's subject.
    #[error("the issuer is not the subject of the CA certificate")]
    Issuer,
    /// The CA certificate is not valid at thisUpdate.
    #[error("the CA certificate is not valid at {0}: no CRL can be issued under it")]
    IssuerValidity(UnixTime),
    /// thisUpdate or nextUpdate is not the planned one, or they do not follow one another.
    #[error("the times {this_update} and {next_update} are not the planned ones")]
    Times {
        /// thisUpdate as it stands.
        this_update: UnixTime,
        /// nextUpdate as it stands.
        next_update: UnixTime,
    },
    /// revokedCertificates is there and empty.
    #[error("revokedCertificates is empty: it must be absent then")]
    EmptyList,
    /// The authority key identifier is missing or another's.
    #[error("the authority key identifier is not that of the issuer's key")]
    AuthorityKeyIdentifier,
    /// The number is missing or not the planned one.
    #[error("the CRL number is not {0}")]
    Number(CrlNumber),
    /// The number does not rise.
    #[error("the CRL number {number} does not rise above {previous}")]
    NumberNotRising {
        /// This CRL's.
        number: CrlNumber,
        /// The one published before.
        previous: CrlNumber,
    },
    /// thisUpdate is before that of the CRL published before.
    #[error("thisUpdate {this_update} is before that of the last CRL, {previous}, and no clock was released")]
    Earlier {
        /// This CRL's.
        this_update: UnixTime,
        /// That of the one published before.
        previous: UnixTime,
    },
    /// The delta CRL indicator is missing, superfluous, not critical or names another base.
    #[error("the delta CRL indicator is not the one of this scope")]
    DeltaCrlIndicator,
    /// freshestCRL is missing, superfluous, critical or names another address.
    #[error("freshestCRL is not the one of this scope")]
    FreshestCrl,
    /// The issuing distribution point is missing, superfluous, not critical or another's.
    #[error("the issuing distribution point is not the one of this scope")]
    IssuingDistributionPoint,
    /// An extension that does not belong there, or one twice.
    #[error("an extension that does not belong in this CRL")]
    Extension,
    /// An entry extension that does not belong there, one twice, a critical one, or none.
    #[error("the entry of {0} carries an extension it must not")]
    EntryExtension(SerialNumber),
    /// A reason that must not be written.
    #[error("the entry of {0} carries a reason that must not be written")]
    Reason(SerialNumber),
    /// Revoked after the CRL was issued.
    #[error("the entry of {0} is later than thisUpdate")]
    DateAfterThisUpdate(SerialNumber),
    /// A serial twice.
    #[error("serial {0} is listed twice")]
    Duplicate(SerialNumber),
    /// Revoked by the records, and not listed.
    #[error("serial {0} is revoked and not listed")]
    Missing(SerialNumber),
    /// Listed, and not revoked by the records.
    #[error("serial {0} is listed and not revoked")]
    Extra(SerialNumber),
    /// Revoked, not expired, and by a mistake in the rules not to be listed.
    #[error("serial {0} is revoked, has not expired, and would not be listed: a rule is broken")]
    LeftEarly(SerialNumber),
    /// The entries are not those that were held against the records.
    #[error("the entries are not, octet for octet, those that the records were held against")]
    Altered,
    /// The entries are in no order.
    #[error("the entries are in no order")]
    Order,
    /// The records changed between two readings of them.
    #[error("the records read twice were not the same")]
    Layout,
    /// Listed with another date, reason or invalidity date than recorded.
    #[error("serial {0} is listed otherwise than it is recorded")]
    Differs(SerialNumber),
    /// Smaller than the records can explain.
    #[error("{entries} entries after {previous}, of which {departed} rightly left: some are lost")]
    Shrunk {
        /// Entries now.
        entries: u64,
        /// Entries of the CRL before.
        previous: u64,
        /// How many have rightly left.
        departed: u64,
    },
    /// Whether it is smaller than before cannot be told.
    #[error("whether entries are lost cannot be told: of the CRL set published before, {0}")]
    PreviousUnknown(Untold),
}

impl GateError {
    /// True for what may be right all the same, and an operator may let go with a reason: the CRL
    /// says what the records say, and nothing here can explain why that is less than before, or tell
    /// whether it is.
    #[must_use]
    pub const fn is_releasable(&self) -> bool {
        matches!(self, Self::Shrunk { .. } | Self::PreviousUnknown(_))
    }
}
