//! A private key held in memory.

use ring::rand::SystemRandom;
use ring::signature::{
    self, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    UnparsedPublicKey, VerificationAlgorithm,
};

use crate::der::Writer;
use crate::pki::{HashAlgorithm, SignatureAlgorithm, oid};

/// Bits of an RSA modulus an authority or signer may have.
const RSA_BITS: usize = 2048;

/// A private key and what verifies its signatures.
pub struct Key {
    private: Private,
    public_key: Vec<u8>,
    spki: Vec<u8>,
    key_id: [u8; 20],
    random: SystemRandom,
}

enum Private {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

/// Why a private key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The octets are not PKCS#8 of a kind used here.
    #[error("not a usable private key ({0}): give PKCS#8 of RSA-2048 or P-256")]
    Unreadable(String),
    /// RSA of another size.
    #[error("an RSA key of {0} bits: only 2048 is used here")]
    RsaBits(usize),
}

/// Why there is no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key refused to sign.
    #[error("the key did not sign")]
    Refused,
    /// A signature came out that its own public key does not accept.
    #[error("the signature made does not verify; it was thrown away")]
    DoesNotVerify,
}

impl Key {
    /// Reads PKCS#8 (RFC 5958), DER. The caller wipes its copy.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let private = match EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der, &random) {
            Ok(pair) => Private::P256(pair),
            Err(_) => {
                let unreadable = |error: ring::error::KeyRejected| KeyError::Unreadable(error.to_string());
                Private::Rsa(RsaKeyPair::from_pkcs8(der).map_err(unreadable)?)
            }
        };
        let public_key = match &private {
            Private::Rsa(pair) => {
                let bits = pair.public().modulus_len() * 8;
                if bits != RSA_BITS {
                    return Err(KeyError::RsaBits(bits));
                }
                pair.public_key().as_ref().to_vec()
            }
            Private::P256(pair) => pair.public_key().as_ref().to_vec(),
        };
        let spki = spki(&private, &public_key);
        let mut key_id = [0; 20];
        key_id.copy_from_slice(&HashAlgorithm::Sha1.digest(&public_key));
        Ok(Self { private, public_key, spki, key_id, random })
    }

    /// What its signatures are made with.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        match self.private {
            Private::Rsa(_) => SignatureAlgorithm::RsaSha256,
            Private::P256(_) => SignatureAlgorithm::EcdsaP256Sha256,
        }
    }

    /// SubjectPublicKeyInfo, DER.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// SHA-1 of the subjectPublicKey bits (RFC 5280 §4.2.1.2 method 1).
    #[must_use]
    pub const fn key_id(&self) -> [u8; 20] {
        self.key_id
    }

    /// Signs `message`; the signature has been verified when it is returned.
    ///
    /// # Errors
    /// [`SignError`]; nothing made leaves this function then.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let made = match &self.private {
            Private::Rsa(pair) => {
                let mut made = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut made)
                    .map_err(|_| SignError::Refused)?;
                made
            }
            Private::P256(pair) => {
                pair.sign(&self.random, message).map_err(|_| SignError::Refused)?.as_ref().to_vec()
            }
        };
        self.released(message, made)
    }

    /// Lets a signature out only if it verifies.
    fn released(&self, message: &[u8], made: Vec<u8>) -> Result<Vec<u8>, SignError> {
        match UnparsedPublicKey::new(self.verification(), &self.public_key).verify(message, &made) {
            Ok(()) => Ok(made),
            Err(_) => Err(SignError::DoesNotVerify),
        }
    }

    fn verification(&self) -> &'static dyn VerificationAlgorithm {
        match self.private {
            Private::Rsa(_) => &signature::RSA_PKCS1_2048_8192_SHA256,
            Private::P256(_) => &signature::ECDSA_P256_SHA256_ASN1,
        }
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("algorithm", &self.algorithm()).finish_non_exhaustive()
    }
}

/// SubjectPublicKeyInfo (RFC 3279 §2.3.1, RFC 5480 §2).
fn spki(private: &Private, public_key: &[u8]) -> Vec<u8> {
    Writer::to_der(|w| {
        w.sequence(|w| {
            w.sequence(|w| match private {
                Private::Rsa(_) => {
                    w.oid(&oid::RSA_ENCRYPTION);
                    w.null();
                }
                Private::P256(_) => {
                    w.oid(&oid::EC_PUBLIC_KEY);
                    w.oid(&oid::SECP256R1);
                }
            });
            w.bit_string(public_key);
        });
    })
}

#[cfg(test)]
mod tests {
    use rcgen::PublicKeyData;

    use super::*;

    fn keys() -> Vec<(rcgen::KeyPair, Key)> {
        [
            rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap(),
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap(),
        ]
        .into_iter()
        .map(|pair| {
            let key = Key::from_pkcs8(&pair.serialize_der()).unwrap();
            (pair, key)
        })
        .collect()
    }

    #[test]
    fn a_signature_is_verified_before_it_leaves() {
        for (pair, key) in keys() {
            assert_eq!(key.spki(), pair.subject_public_key_info());
            let made = key.sign(b"message").unwrap();
            assert_eq!(key.released(b"message", made.clone()), Ok(made.clone()));
            for at in [0, made.len() / 2, made.len() - 1] {
                let mut flipped = made.clone();
                flipped[at] ^= 1;
                assert_eq!(key.released(b"message", flipped), Err(SignError::DoesNotVerify));
            }
            assert_eq!(key.released(b"another", made.clone()), Err(SignError::DoesNotVerify));
            assert_eq!(
                key.released(b"message", made[..made.len() - 1].to_vec()),
                Err(SignError::DoesNotVerify)
            );
            assert_eq!(key.released(b"message", Vec::new()), Err(SignError::DoesNotVerify));
        }
    }

    #[test]
    fn keys_of_other_kinds_are_refused() {
        let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        assert!(matches!(Key::from_pkcs8(&p384.serialize_der()), Err(KeyError::Unreadable(_))));
        let rsa3072 =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_3072).unwrap();
        assert_eq!(Key::from_pkcs8(&rsa3072.serialize_der()).unwrap_err(), KeyError::RsaBits(3072));
    }
}
