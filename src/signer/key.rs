//! A private key held in memory.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair,
};

use super::device::SimDevice;
use super::gate::Gate;
use crate::pki::{PublicKey, SignatureAlgorithm};

/// Bits of an RSA modulus an authority or signer may have.
const RSA_BITS: usize = 2048;

/// A private key and what verifies its signatures.
///
/// AWS-LC signs (RSA-2048 and P-384 in half of ring's time and less); ring verifies, which is
/// other code: what one of them got wrong, the other would not accept.
pub struct Key {
    private: Private,
    public_key: PublicKey,
    spki: Vec<u8>,
    key_id: [u8; 20],
    random: SystemRandom,
    /// Where it signs, when that may be gone.
    device: Option<SimDevice>,
    /// Open until it is withdrawn.
    gate: Gate,
}

enum Private {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Why a private key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The octets are not PKCS#8 of a kind used here.
    #[error("not a usable private key ({0}): give PKCS#8 of RSA-2048, P-256, P-384 or Ed25519")]
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
    /// The device that the key is in is not there.
    #[error("the signing device is not there: put it back; what is due is tried again")]
    Gone,
    /// A signature came out that its own public key does not accept.
    #[error("the signature made does not verify; it was thrown away")]
    DoesNotVerify,
    /// The key was withdrawn: its certificate is revoked.
    #[error("the key was withdrawn, for its certificate is revoked")]
    Withdrawn,
}

impl Key {
    /// Reads PKCS#8 (RFC 5958), DER. The caller wipes its copy.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let (private, public_key) = Private::from_pkcs8(der)?;
        let (spki, key_id) = (public_key.spki(), public_key.key_id());
        let (random, gate) = (SystemRandom::new(), Gate::default());
        Ok(Self { private, public_key, spki, key_id, random, device: None, gate })
    }

    /// The key, signing in this device from now on.
    #[must_use]
    pub fn inside(self, device: Option<SimDevice>) -> Self {
        Self { device, ..self }
    }

    /// What its signatures are made with.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.public_key.algorithm()
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

    /// Withdraws the key for ever. When this returns no signature of it is under way, and none
    /// will be made.
    pub fn withdraw(&self) {
        self.gate.close();
    }

    /// Signatures that it was asked for since it was read.
    #[must_use]
    pub fn signatures(&self) -> u64 {
        self.gate.entered()
    }

    /// Signs `message`; the signature has been verified when it is returned.
    ///
    /// # Errors
    /// [`SignError`]; nothing made leaves this function then.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let _under_way = self.gate.enter().ok_or(SignError::Withdrawn)?;
        if self.device.as_ref().is_some_and(SimDevice::is_gone) {
            return Err(SignError::Gone);
        }
        let made = match &self.private {
            Private::Rsa(pair) => {
                let mut made = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut made)
                    .map_err(|_| SignError::Refused)?;
                made
            }
            Private::Ecdsa(pair) => {
                pair.sign(&self.random, message).map_err(|_| SignError::Refused)?.as_ref().to_vec()
            }
            Private::Ed25519(pair) => {
                pair.try_sign(message).map_err(|_| SignError::Refused)?.as_ref().to_vec()
            }
        };
        self.released(message, made)
    }

    /// Lets a signature out only if it verifies.
    fn released(&self, message: &[u8], made: Vec<u8>) -> Result<Vec<u8>, SignError> {
        self.public_key.verify(message, &made).map_err(|_| SignError::DoesNotVerify)?;
        Ok(made)
    }
}

impl Private {
    /// The key, and the public one that belongs to it.
    fn from_pkcs8(der: &[u8]) -> Result<(Self, PublicKey), KeyError> {
        let curves = [
            (&ECDSA_P256_SHA256_ASN1_SIGNING, SignatureAlgorithm::EcdsaP256Sha256),
            (&ECDSA_P384_SHA384_ASN1_SIGNING, SignatureAlgorithm::EcdsaP384Sha384),
        ];
        for (curve, algorithm) in curves {
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(curve, der) {
                let public_key = PublicKey::new(algorithm, pair.public_key().as_ref().to_vec());
                return Ok((Self::Ecdsa(pair), public_key));
            }
        }
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            let public_key = PublicKey::new(SignatureAlgorithm::Ed25519, pair.public_key().as_ref().to_vec());
            return Ok((Self::Ed25519(pair), public_key));
        }
        let pair = RsaKeyPair::from_pkcs8(der).map_err(|error| KeyError::Unreadable(error.to_string()))?;
        let bits = pair.public_modulus_len() * 8;
        if bits != RSA_BITS {
            return Err(KeyError::RsaBits(bits));
        }
        let public_key = PublicKey::new(SignatureAlgorithm::RsaSha256, pair.public_key().as_ref().to_vec());
        Ok((Self::Rsa(pair), public_key))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("algorithm", &self.algorithm()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::PublicKeyData;

    use super::*;

    fn keys() -> Vec<(rcgen::KeyPair, Key)> {
        [
            rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap(),
            rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(),
            rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(),
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
            assert_eq!(PublicKey::from_spki(key.spki()).unwrap(), key.public_key);
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
    fn b_4_a_withdrawn_key_signs_no_more() {
        for (_, key) in keys() {
            key.sign(b"message").unwrap();
            assert_eq!(key.signatures(), 1);
            key.withdraw();
            assert_eq!(key.sign(b"message"), Err(SignError::Withdrawn));
            key.withdraw();
            assert_eq!(key.signatures(), 1);
        }
    }

    #[test]
    fn keys_of_other_kinds_are_refused() {
        let p521 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        assert!(matches!(Key::from_pkcs8(&p521.serialize_der()), Err(KeyError::Unreadable(_))));
        assert!(matches!(Key::from_pkcs8(b"no key"), Err(KeyError::Unreadable(_))));
        let rsa3072 =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_3072).unwrap();
        assert_eq!(Key::from_pkcs8(&rsa3072.serialize_der()).unwrap_err(), KeyError::RsaBits(3072));
    }
}
