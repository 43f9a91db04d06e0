//! SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) of the keys signed with here, and verification.

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};

use super::{HashAlgorithm, SignatureAlgorithm, SignedWith, oid};
use crate::der::{DerError, Oid, Reader, Writer};

/// A public key, and what its signatures are made with: each kind of key has one algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: SignatureAlgorithm,
    /// Contents of the subjectPublicKey BIT STRING, without the count of unused bits.
    bits: Vec<u8>,
}

/// Why a SubjectPublicKeyInfo is of no use here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// Not DER, or not of this form.
    #[error("not a SubjectPublicKeyInfo: {0}")]
    Der(#[from] DerError),
    /// Another kind of key.
    #[error("a key of another kind: use RSA of 2048 bits or more, P-256, P-384 or Ed25519")]
    Algorithm,
}

/// A signature that the key did not make over this message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

impl PublicKey {
    /// A key by its bits, taken as they are.
    #[must_use]
    pub const fn new(algorithm: SignatureAlgorithm, bits: Vec<u8>) -> Self {
        Self { algorithm, bits }
    }

    /// Reads a SubjectPublicKeyInfo. Whether the bits are a key shows when they verify.
    ///
    /// # Errors
    /// [`PublicKeyError`].
    pub fn from_spki(der: &[u8]) -> Result<Self, PublicKeyError> {
        let mut reader = Reader::new(der);
        let key = reader.sequence(|r| {
            let algorithm = r.sequence(read_algorithm)?;
            Ok::<_, PublicKeyError>(Self { algorithm, bits: r.bit_string()?.to_vec() })
        })?;
        reader.finish()?;
        Ok(key)
    }

    /// SubjectPublicKeyInfo, DER.
    #[must_use]
    pub fn spki(&self) -> Vec<u8> {
        Writer::to_der(|w| {
            w.sequence(|w| {
                w.sequence(|w| match self.algorithm {
                    SignatureAlgorithm::RsaSha256 => {
                        w.oid(&oid::RSA_ENCRYPTION);
                        w.null();
                    }
                    SignatureAlgorithm::EcdsaP256Sha256 => ec(w, &oid::SECP256R1),
                    SignatureAlgorithm::EcdsaP384Sha384 => ec(w, &oid::SECP384R1),
                    SignatureAlgorithm::Ed25519 => w.oid(&oid::ED25519),
                });
                w.bit_string(&self.bits);
            });
        })
    }

    /// Its bits, as they stand in a SubjectPublicKeyInfo.
    #[must_use]
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// What it signs with.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// SHA-1 of the subjectPublicKey bits (RFC 5280 §4.2.1.2 method 1): SKI and ResponderID.
    #[must_use]
    pub fn key_id(&self) -> [u8; 20] {
        let mut id = [0; 20];
        id.copy_from_slice(&HashAlgorithm::Sha1.digest(&self.bits));
        id
    }

    /// Whether the key made `signature` over `message`. RSA below 2048 bits never did.
    ///
    /// # Errors
    /// [`BadSignature`], also for bits that are no key.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        self.verify_by(
            match self.algorithm {
                SignatureAlgorithm::RsaSha256 => &RSA_PKCS1_2048_8192_SHA256,
                SignatureAlgorithm::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1,
                SignatureAlgorithm::EcdsaP384Sha384 => &ECDSA_P384_SHA384_ASN1,
                SignatureAlgorithm::Ed25519 => &ED25519,
            },
            message,
            signature,
        )
    }

    /// As [`Self::verify`], where the signer has chosen the hash.
    ///
    /// # Errors
    /// [`BadSignature`], also for an algorithm that is not this kind of key's.
    pub fn verify_as(&self, with: SignedWith, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let verification: &'static dyn VerificationAlgorithm = match (self.algorithm, with) {
            (SignatureAlgorithm::RsaSha256, SignedWith::Rsa(hash)) => match hash {
                HashAlgorithm::Sha1 => return Err(BadSignature),
                HashAlgorithm::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
                HashAlgorithm::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
                HashAlgorithm::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
            },
            (SignatureAlgorithm::EcdsaP256Sha256, SignedWith::Ecdsa(HashAlgorithm::Sha256)) => {
                &ECDSA_P256_SHA256_ASN1
            }
            (SignatureAlgorithm::EcdsaP256Sha256, SignedWith::Ecdsa(HashAlgorithm::Sha384)) => {
                &ECDSA_P256_SHA384_ASN1
            }
            (SignatureAlgorithm::EcdsaP384Sha384, SignedWith::Ecdsa(HashAlgorithm::Sha256)) => {
                &ECDSA_P384_SHA256_ASN1
            }
            (SignatureAlgorithm::EcdsaP384Sha384, SignedWith::Ecdsa(HashAlgorithm::Sha384)) => {
                &ECDSA_P384_SHA384_ASN1
            }
            (SignatureAlgorithm::Ed25519, SignedWith::Ed25519) => &ED25519,
            _ => return Err(BadSignature),
        };
        self.verify_by(verification, message, signature)
    }

    fn verify_by(
        &self,
        verification: &'static dyn VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        UnparsedPublicKey::new(verification, &self.bits).verify(message, signature).map_err(|_| BadSignature)
    }
}

fn ec(w: &mut Writer, curve: &Oid) {
    w.oid(&oid::EC_PUBLIC_KEY);
    w.oid(curve);
}

/// The fields of the AlgorithmIdentifier of a key (RFC 3279 §2.3.1, RFC 5480 §2.1.1,
/// RFC 8410 §3).
fn read_algorithm(reader: &mut Reader<'_>) -> Result<SignatureAlgorithm, PublicKeyError> {
    let algorithm = reader.oid()?;
    if algorithm == oid::RSA_ENCRYPTION.content() {
        reader.null()?;
        Ok(SignatureAlgorithm::RsaSha256)
    } else if algorithm == oid::ED25519.content() {
        Ok(SignatureAlgorithm::Ed25519)
    } else if algorithm == oid::EC_PUBLIC_KEY.content() {
        let curve = reader.oid()?;
        if curve == oid::SECP256R1.content() {
            Ok(SignatureAlgorithm::EcdsaP256Sha256)
        } else if curve == oid::SECP384R1.content() {
            Ok(SignatureAlgorithm::EcdsaP384Sha384)
        } else {
            Err(PublicKeyError::Algorithm)
        }
    } else {
        Err(PublicKeyError::Algorithm)
    }
}
