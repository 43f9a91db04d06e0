//! Hash and signature algorithms by their identifiers.

use ring::digest;

use super::oid;
use crate::der::{Oid, Writer};

/// The hashes a CertID may be made with (RFC 6960 §4.1.1, RFC 9919 §3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// SHA-1: identifies, and here protects nothing.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashAlgorithm {
    /// Every supported hash.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Its object identifier.
    #[must_use]
    pub const fn oid(self) -> Oid {
        match self {
            Self::Sha1 => oid::SHA1,
            Self::Sha256 => oid::SHA256,
            Self::Sha384 => oid::SHA384,
            Self::Sha512 => oid::SHA512,
        }
    }

    /// The digest of `octets`.
    #[must_use]
    pub fn digest(self, octets: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, octets).as_ref().to_vec()
    }
}

/// The algorithms anything here is signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// sha256WithRSAEncryption, parameters NULL (RFC 4055 §5).
    RsaSha256,
    /// ecdsa-with-SHA256 over P-256, parameters absent (RFC 5758 §3.2).
    EcdsaP256Sha256,
    /// ecdsa-with-SHA384 over P-384, parameters absent (RFC 5758 §3.2).
    EcdsaP384Sha384,
    /// Ed25519, parameters absent (RFC 8410 §3).
    Ed25519,
}

impl SignatureAlgorithm {
    /// Its object identifier.
    #[must_use]
    pub const fn oid(self) -> Oid {
        match self {
            Self::RsaSha256 => oid::SHA256_WITH_RSA,
            Self::EcdsaP256Sha256 => oid::ECDSA_WITH_SHA256,
            Self::EcdsaP384Sha384 => oid::ECDSA_WITH_SHA384,
            Self::Ed25519 => oid::ED25519,
        }
    }

    /// Octets of its signatures at most, with the keys used here.
    #[must_use]
    pub const fn signature_len_max(self) -> usize {
        match self {
            Self::RsaSha256 => 256,
            // Two INTEGERs of 49 or 33 octets in a SEQUENCE.
            Self::EcdsaP384Sha384 => 104,
            Self::EcdsaP256Sha256 => 72,
            Self::Ed25519 => 64,
        }
    }

    /// Writes the AlgorithmIdentifier.
    pub fn write(self, writer: &mut Writer) {
        writer.sequence(|w| {
            w.oid(&self.oid());
            if self == Self::RsaSha256 {
                w.null();
            }
        });
    }
}
