//! What a public key is that is not certified.

use std::fmt;

use crate::profile::KeyType;

/// A key of a kind that is not certified, as far as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedKey {
    /// RSA, with so many bits.
    Rsa(usize),
    /// RSA, with another public exponent than 65537.
    RsaExponent,
    /// ECDSA over P-256.
    P256,
    /// ECDSA over P-384.
    P384,
    /// ECDSA over P-521.
    P521,
    /// ECDSA over some other curve, or over one that is not named.
    OtherCurve,
    /// EdDSA over Curve25519.
    Ed25519,
    /// Anything else.
    Other,
}

impl From<KeyType> for RefusedKey {
    fn from(key_type: KeyType) -> Self {
        match key_type {
            KeyType::Rsa2048 => Self::Rsa(2048),
            KeyType::P256 => Self::P256,
            KeyType::P384 => Self::P384,
            KeyType::Ed25519 => Self::Ed25519,
        }
    }
}

impl fmt::Display for RefusedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA with {bits} bits"),
            Self::RsaExponent => f.write_str("RSA with an exponent other than 65537"),
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
            Self::P521 => f.write_str("P-521"),
            Self::OtherCurve => f.write_str("a curve other than P-256 and P-384"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Other => f.write_str("another algorithm"),
        }
    }
}
