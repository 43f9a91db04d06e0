//! What may be configured about answers.

use std::time::Duration;

/// Choices that are policy, not protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// From thisUpdate to nextUpdate: how long a client's own cache may keep an answer.
    pub validity: Duration,
    /// After this a kept signature is made anew, though its status is still the same.
    pub refresh_after: Duration,
    /// Moves thisUpdate back for clients whose clocks are late; never before the last change
    /// of the status.
    pub backdate: Duration,
    /// Questions in one request; each costs a look-up and about 120 octets of answer.
    pub cert_ids_max: usize,
    /// Serials of the signing issuer that were never issued are `revoked` instead of
    /// `unknown` (RFC 6960 §2.2, §4.4.8).
    pub extended_revoke: bool,
    /// How long past its expiry a certificate's status can be asked for: told as archiveCutoff
    /// (RFC 6960 §4.4.4), never before the issuer's own notBefore. None: not told. Records are
    /// kept for ever; this is what is promised.
    pub archive_retention: Option<Duration>,
    /// When no signature can be made for an answer that would repeat a nonce: whether one kept
    /// without it is given, which RFC 9654 §2.1 allows and many clients refuse, or `tryLater`.
    pub without_nonce: bool,
    /// Who may ask.
    pub access: Access,
    /// Only `revoked` is said; all else is `tryLater`: somewhere else may be known more.
    pub fenced: bool,
    /// Memory for kept signatures of P-256 and Ed25519, in octets: 128 each.
    pub cache_bytes: usize,
    /// Memory for kept signatures of RSA and P-384, in octets: 320 each.
    pub cache_long_bytes: usize,
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody: a request's signature is neither needed nor looked at.
    Open,
    /// The verifiers given to [`super::Responder::admit`], known by their signatures (RFC 6960
    /// §4.1.2). Answers are for them alone: no cache may keep one.
    Registered {
        /// Unsigned requests are `sigRequired`; otherwise they are answered, and only a signature
        /// that is there is held against who made it.
        required: bool,
    },
}

impl Default for Options {
    fn default() -> Self {
        Self {
            validity: Duration::from_secs(12 * 60 * 60),
            refresh_after: Duration::from_secs(15 * 60),
            backdate: Duration::ZERO,
            cert_ids_max: 16,
            extended_revoke: false,
            archive_retention: None,
            without_nonce: false,
            access: Access::Open,
            fenced: false,
            cache_bytes: 192 << 20,
            cache_long_bytes: 64 << 20,
        }
    }
}
