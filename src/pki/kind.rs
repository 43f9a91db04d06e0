//! What a certificate is for.

use std::fmt;
use std::str::FromStr;

/// The kinds of certificate an authority of this service issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CertificateKind {
    /// A CA certificate (self-signed).
    Ca,
    /// A delegated OCSP signer (RFC 6960 §4.2.2.2).
    OcspSigner,
    /// 署名用電子証明書 on a card.
    CardSign,
    /// 利用者証明用電子証明書 on a card.
    CardAuth,
    /// 署名用電子証明書 on a phone.
    PhoneSign,
    /// 利用者証明用電子証明書 on a phone.
    PhoneAuth,
}

impl CertificateKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Ca, Self::OcspSigner, Self::CardSign, Self::CardAuth, Self::PhoneSign, Self::PhoneAuth];

    /// Its name in commands, manifests and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::OcspSigner => "ocsp-signer",
            Self::CardSign => "sign",
            Self::CardAuth => "auth",
            Self::PhoneSign => "phone-sign",
            Self::PhoneAuth => "phone-auth",
        }
    }

    /// True for the kinds a resident holds.
    #[must_use]
    pub const fn is_resident(self) -> bool {
        !matches!(self, Self::Ca | Self::OcspSigner)
    }
}

impl fmt::Display for CertificateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CertificateKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(UnknownKind)
    }
}

/// The text names no kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown certificate kind: use sign, auth, phone-sign or phone-auth")]
pub struct UnknownKind;
