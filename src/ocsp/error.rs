//! OCSPResponseStatus (RFC 6960 §4.2.1) other than successful.

/// ```text
/// OCSPResponseStatus ::= ENUMERATED { successful (0), malformedRequest (1),
///     internalError (2), tryLater (3), -- (4) is not used
///     sigRequired (5), unauthorized (6) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OcspError {
    /// The octets are no request this service reads.
    #[error("not a DER OCSP request of version 1")]
    MalformedRequest,
    /// Something is wrong here, not with the request.
    #[error("the responder cannot answer")]
    InternalError,
    /// No signature can be made at present.
    #[error("no signature can be made at present: ask again")]
    TryLater,
    /// Only signed requests are answered.
    #[error("the request must be signed by a registered verifier")]
    SigRequired,
    /// The request names no issuer that a signer here speaks for, or is signed by nobody who may
    /// ask.
    #[error("no certificate asked about was issued by an authority served here, or not for this asker")]
    Unauthorized,
}

impl OcspError {
    /// The OCSPResponse: a status, and no responseBytes (RFC 6960 §4.2.1).
    #[must_use]
    pub const fn response(self) -> &'static [u8; 5] {
        match self {
            Self::MalformedRequest => &[0x30, 0x03, 0x0a, 0x01, 1],
            Self::InternalError => &[0x30, 0x03, 0x0a, 0x01, 2],
            Self::TryLater => &[0x30, 0x03, 0x0a, 0x01, 3],
            Self::SigRequired => &[0x30, 0x03, 0x0a, 0x01, 5],
            Self::Unauthorized => &[0x30, 0x03, 0x0a, 0x01, 6],
        }
    }
}

impl From<crate::der::DerError> for OcspError {
    fn from(_: crate::der::DerError) -> Self {
        Self::MalformedRequest
    }
}
