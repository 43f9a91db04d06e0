//! How others sign: the kind of key is given, the hash is their choice.

use super::{HashAlgorithm, oid};

/// A signature algorithm somebody else has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedWith {
    /// RSASSA-PKCS1-v1_5 (RFC 4055 §5).
    Rsa(HashAlgorithm),
    /// ECDSA (RFC 5758 §3.2); the curve is the key's.
    Ecdsa(HashAlgorithm),
    /// Ed25519 (RFC 8410 §3).
    Ed25519,
}

/// DER of NULL.
const NULL: &[u8] = &[5, 0];

impl SignedWith {
    /// What the fields of an AlgorithmIdentifier name: contents of the OBJECT IDENTIFIER, and the
    /// parameters in DER. None for algorithms not accepted, those with SHA-1 among them, and for
    /// parameters of another form than their standard's.
    #[must_use]
    pub fn from_identifier(algorithm: &[u8], parameters: Option<&[u8]>) -> Option<Self> {
        let known = [
            (oid::SHA256_WITH_RSA, Self::Rsa(HashAlgorithm::Sha256)),
            (oid::SHA384_WITH_RSA, Self::Rsa(HashAlgorithm::Sha384)),
            (oid::SHA512_WITH_RSA, Self::Rsa(HashAlgorithm::Sha512)),
            (oid::ECDSA_WITH_SHA256, Self::Ecdsa(HashAlgorithm::Sha256)),
            (oid::ECDSA_WITH_SHA384, Self::Ecdsa(HashAlgorithm::Sha384)),
            (oid::ED25519, Self::Ed25519),
        ];
        let (_, found) = known.into_iter().find(|(oid, _)| oid.content() == algorithm)?;
        let well_formed = match found {
            // RFC 4055 §5: NULL, and absent must be accepted too.
            Self::Rsa(_) => parameters.is_none_or(|parameters| parameters == NULL),
            Self::Ecdsa(_) | Self::Ed25519 => parameters.is_none(),
        };
        well_formed.then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_those_of_each_standard() {
        let of = |oid: &crate::der::Oid, parameters| SignedWith::from_identifier(oid.content(), parameters);
        let rsa = Some(SignedWith::Rsa(HashAlgorithm::Sha512));
        assert_eq!(of(&oid::SHA512_WITH_RSA, Some(NULL)), rsa);
        assert_eq!(of(&oid::SHA512_WITH_RSA, None), rsa);
        assert_eq!(of(&oid::SHA512_WITH_RSA, Some(&[0x30, 0])), None);
        assert_eq!(of(&oid::ECDSA_WITH_SHA384, None), Some(SignedWith::Ecdsa(HashAlgorithm::Sha384)));
        for oid in [oid::ECDSA_WITH_SHA256, oid::ED25519] {
            assert!(of(&oid, None).is_some());
            assert_eq!(of(&oid, Some(NULL)), None);
        }
        for other in [oid::RSA_ENCRYPTION, oid::SHA256] {
            assert_eq!(of(&other, None), None);
        }
    }
}
