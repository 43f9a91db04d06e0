//! The one stored fact of a revocation.

use super::RevocationReason;
use crate::der::UnixTime;

/// A revocation as it stands in the journal, in OCSP's RevokedInfo (RFC 6960 §4.2.1) and in a
/// CRL entry (RFC 5280 §5.1.2.6): one fact, written in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revocation {
    /// revocationTime and revocationDate: when it was recorded.
    pub revoked_at: UnixTime,
    /// CRLReason; `unspecified` is never written out.
    pub reason: RevocationReason,
    /// invalidityDate: since when the certificate is suspected invalid. CRLs only.
    pub invalidity_date: Option<UnixTime>,
}

impl Revocation {
    /// True while it may still be lifted or sharpened.
    #[must_use]
    pub fn is_hold(&self) -> bool {
        self.reason == RevocationReason::CertificateHold
    }
}

/// CertStatus (RFC 6960 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CertStatus {
    /// Issued by us, and not revoked.
    Good,
    /// Revoked or held.
    Revoked(Revocation),
    /// Never issued by that generation of the authority.
    Unknown,
}
