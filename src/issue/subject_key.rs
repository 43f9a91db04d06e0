//! The public key that is certified.

use ring::agreement::{self, EphemeralPrivateKey};
use ring::rand::SystemRandom;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;

use super::{RefusedKey, weak};
use crate::der::{DerError, Reader};
use crate::pki::{HashAlgorithm, oid};
use crate::profile::KeyType;

/// Octets of a request or key read at most: an RSA-2048 request in PEM has about 1,000.
const INPUT_OCTETS_MAX: usize = 16 * 1024;

/// Octets of an Ed25519 public key (RFC 8032 §5.1.5).
const ED25519_OCTETS: usize = 32;

/// Octets of an RSA-2048 modulus.
const MODULUS_OCTETS: usize = 256;

/// The public exponent 65537.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// A public key fit to be certified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectKey {
    key_type: KeyType,
    spki: Vec<u8>,
    key_id: [u8; 20],
}

/// Why a public key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubjectKeyError {
    /// The octets are no SubjectPublicKeyInfo.
    #[error("not a public key: give a SubjectPublicKeyInfo in DER or PEM")]
    Unreadable,
    /// The octets are no certification request.
    #[error("not a certification request: give PKCS #10 in DER or PEM")]
    Request,
    /// The request is not signed with the key it names: nobody has shown to hold it.
    #[error("the request's own signature does not verify: make it anew with the card's key")]
    RequestSignature,
    /// A key of another kind or size.
    #[error("weak or wrong key, {0}: use RSA with 2048 bits and exponent 65537, P-256 or P-384")]
    Kind(RefusedKey),
    /// An RSA modulus whose factors are known or can be found.
    #[error("weak or wrong key: this RSA modulus can be factored; generate another")]
    Modulus,
    /// An elliptic curve point that is not on its curve.
    #[error("weak or wrong key: the point is not on its curve; generate another")]
    Point,
}

impl SubjectKey {
    /// The key of a PKCS #10 request (RFC 2986) in DER or PEM, whose signature proves that the
    /// asker holds the private key. Nothing else of the request is used.
    ///
    /// # Errors
    /// [`SubjectKeyError`].
    pub fn from_csr(input: &[u8]) -> Result<Self, SubjectKeyError> {
        let der = unwrapped(input, &["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"])
            .ok_or(SubjectKeyError::Request)?;
        let Ok((&[], request)) = X509CertificationRequest::from_der(&der) else {
            return Err(SubjectKeyError::Request);
        };
        let key = Self::from_der(request.certification_request_info.subject_pki.raw)?;
        request.verify_signature().map_err(|_| SubjectKeyError::RequestSignature)?;
        Ok(key)
    }

    /// The key of a SubjectPublicKeyInfo in DER or PEM. Whether anybody holds the private key
    /// is not checked.
    ///
    /// # Errors
    /// [`SubjectKeyError`].
    pub fn from_spki(input: &[u8]) -> Result<Self, SubjectKeyError> {
        let der = unwrapped(input, &["PUBLIC KEY"]).ok_or(SubjectKeyError::Unreadable)?;
        Self::from_der(&der)
    }

    /// Its kind.
    #[must_use]
    pub const fn key_type(&self) -> KeyType {
        self.key_type
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

    fn from_der(der: &[u8]) -> Result<Self, SubjectKeyError> {
        let mut reader = Reader::new(der);
        let (key_type, bits) = reader.sequence(|r| {
            let key_type = r.sequence(algorithm)?;
            Ok::<_, SubjectKeyError>((key_type, r.bit_string()?))
        })?;
        reader.finish()?;
        match key_type {
            KeyType::Rsa2048 => check_rsa(bits)?,
            KeyType::P256 => check_point(&agreement::ECDH_P256, bits)?,
            KeyType::P384 => check_point(&agreement::ECDH_P384, bits)?,
            KeyType::Ed25519 => check_ed25519(bits)?,
        }
        let mut key_id = [0; 20];
        key_id.copy_from_slice(&HashAlgorithm::Sha1.digest(bits));
        Ok(Self { key_type, spki: der.to_vec(), key_id })
    }
}

/// The DER inside PEM of one of these labels, or `input` itself when it is no PEM.
fn unwrapped(input: &[u8], labels: &[&str]) -> Option<Vec<u8>> {
    if input.len() > INPUT_OCTETS_MAX {
        return None;
    }
    if input.first() == Some(&crate::der::tag::SEQUENCE) {
        return Some(input.to_vec());
    }
    let (_, pem) = parse_x509_pem(input).ok()?;
    labels.contains(&pem.label.as_str()).then_some(pem.contents)
}

/// AlgorithmIdentifier of a public key (RFC 3279 §2.3.1, RFC 5480 §2.1.1, RFC 8410 §3).
fn algorithm(reader: &mut Reader<'_>) -> Result<KeyType, SubjectKeyError> {
    let algorithm = reader.oid()?;
    if algorithm == oid::RSA_ENCRYPTION.content() {
        reader.null()?;
        return Ok(KeyType::Rsa2048);
    }
    if algorithm == oid::ED25519.content() {
        return Ok(KeyType::Ed25519);
    }
    if algorithm == oid::EC_PUBLIC_KEY.content() {
        let curve = reader.oid().map_err(|_| SubjectKeyError::Kind(RefusedKey::OtherCurve))?;
        if curve == oid::SECP256R1.content() {
            return Ok(KeyType::P256);
        }
        if curve == oid::SECP384R1.content() {
            return Ok(KeyType::P384);
        }
        let is_p521 = curve == oid::SECP521R1.content();
        return Err(SubjectKeyError::Kind(if is_p521 { RefusedKey::P521 } else { RefusedKey::OtherCurve }));
    }
    Err(SubjectKeyError::Kind(RefusedKey::Other))
}

/// RSAPublicKey (RFC 8017 A.1.1).
fn check_rsa(bits: &[u8]) -> Result<(), SubjectKeyError> {
    let mut reader = Reader::new(bits);
    let (modulus, exponent) = reader.sequence(|r| Ok::<_, DerError>((r.integer()?, r.integer()?)))?;
    reader.finish()?;
    let modulus = match modulus {
        [0, modulus @ ..] if modulus.len() == MODULUS_OCTETS => modulus,
        _ => return Err(SubjectKeyError::Kind(RefusedKey::Rsa(bit_length(modulus)))),
    };
    if exponent != EXPONENT {
        return Err(SubjectKeyError::Kind(RefusedKey::RsaExponent));
    }
    if weak::is_weak(modulus) { Err(SubjectKeyError::Modulus) } else { Ok(()) }
}

/// Of a positive INTEGER's content octets.
fn bit_length(content: &[u8]) -> usize {
    let first = content.iter().position(|octet| *octet != 0).unwrap_or(content.len());
    let unused: u32 = content.get(first).map_or(0, |octet| octet.leading_zeros());
    (content.len() - first) * 8 - usize::try_from(unused).unwrap_or(0)
}

/// An uncompressed point. Agreeing on a secret with it is the check ring makes of a point
/// before use; the secret is thrown away.
fn check_point(curve: &'static agreement::Algorithm, bits: &[u8]) -> Result<(), SubjectKeyError> {
    let point = agreement::UnparsedPublicKey::new(curve, bits);
    EphemeralPrivateKey::generate(curve, &SystemRandom::new())
        .and_then(|ephemeral| agreement::agree_ephemeral(ephemeral, &point, |_| ()))
        .map_err(|_| SubjectKeyError::Point)
}

/// Any 32 octets have the form of a key; whether they are one shows when they verify.
const fn check_ed25519(bits: &[u8]) -> Result<(), SubjectKeyError> {
    if bits.len() == ED25519_OCTETS { Ok(()) } else { Err(SubjectKeyError::Kind(RefusedKey::Other)) }
}

impl From<DerError> for SubjectKeyError {
    fn from(_: DerError) -> Self {
        Self::Unreadable
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PublicKeyData, RsaKeySize};

    use super::*;
    use crate::der::Writer;

    fn rsa_spki(modulus: &[u8], exponent: u64) -> Vec<u8> {
        Writer::to_der(|w| {
            w.sequence(|w| {
                w.sequence(|w| {
                    w.oid(&oid::RSA_ENCRYPTION);
                    w.null();
                });
                w.bit_string(&Writer::to_der(|w| {
                    w.sequence(|w| {
                        w.unsigned(modulus);
                        w.integer(exponent);
                    });
                }));
            });
        })
    }

    /// Some modulus without small factors, of the size of `octets`.
    fn modulus(octets: usize) -> Vec<u8> {
        let size = match octets {
            256 => RsaKeySize::_2048,
            _ => RsaKeySize::_3072,
        };
        let pair = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap();
        let der = pair.der_bytes().to_vec();
        let mut reader = Reader::new(&der);
        reader.sequence(|r| Ok::<_, DerError>((r.integer()?[1..].to_vec(), r.integer()?))).unwrap().0
    }

    #[test]
    fn keys_of_the_four_kinds_are_taken_from_der_and_pem_and_requests() {
        let pairs = [
            (KeyType::P256, KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()),
            (KeyType::P384, KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap()),
            (KeyType::Ed25519, KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap()),
            (
                KeyType::Rsa2048,
                KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap(),
            ),
        ];
        for (key_type, pair) in pairs {
            let spki = pair.subject_public_key_info();
            let key = SubjectKey::from_spki(&spki).unwrap();
            assert_eq!((key.key_type(), key.spki()), (key_type, spki.as_slice()));
            assert_eq!(key.key_id().as_slice(), HashAlgorithm::Sha1.digest(pair.der_bytes()));
            assert_eq!(SubjectKey::from_spki(pair.public_key_pem().as_bytes()), Ok(key.clone()));
            let request = CertificateParams::default().serialize_request(&pair).unwrap();
            assert_eq!(SubjectKey::from_csr(request.der()), Ok(key.clone()));
            assert_eq!(SubjectKey::from_csr(request.pem().unwrap().as_bytes()), Ok(key));
            assert_eq!(
                SubjectKey::from_spki(request.pem().unwrap().as_bytes()),
                Err(SubjectKeyError::Unreadable)
            );
            assert_eq!(SubjectKey::from_csr(&spki), Err(SubjectKeyError::Request));
        }
    }

    #[test]
    fn rfc2986_s3_a_request_must_be_signed_with_its_own_key() {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let mut der = CertificateParams::default().serialize_request(&pair).unwrap().der().to_vec();
        let other = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let at = der.windows(64).position(|window| window == &pair.der_bytes()[1..]).unwrap();
        der[at..at + 64].copy_from_slice(&other.der_bytes()[1..]);
        assert_eq!(SubjectKey::from_csr(&der), Err(SubjectKeyError::RequestSignature));
        der.push(0);
        assert_eq!(SubjectKey::from_csr(&der), Err(SubjectKeyError::Request));
    }

    #[test]
    fn rsa_keys_of_another_size_or_exponent_are_refused() {
        let good = modulus(256);
        assert!(SubjectKey::from_spki(&rsa_spki(&good, 65537)).is_ok());
        let refused = |modulus: &[u8], exponent, key| {
            let read = SubjectKey::from_spki(&rsa_spki(modulus, exponent));
            assert_eq!(read, Err(SubjectKeyError::Kind(key)));
        };
        refused(&good, 3, RefusedKey::RsaExponent);
        refused(&modulus(384), 65537, RefusedKey::Rsa(3072));
        let mut short = good.clone();
        short[0] = 0x7f;
        refused(&short, 65537, RefusedKey::Rsa(2047));
        short[0] = 1;
        refused(&short, 65537, RefusedKey::Rsa(2041));
        let mut even = good;
        even[255] &= 0xfe;
        assert_eq!(SubjectKey::from_spki(&rsa_spki(&even, 65537)), Err(SubjectKeyError::Modulus));
    }

    #[test]
    fn a_point_off_its_curve_is_refused() {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let mut spki = pair.subject_public_key_info();
        *spki.last_mut().unwrap() ^= 1;
        assert_eq!(SubjectKey::from_spki(&spki), Err(SubjectKeyError::Point));
    }

    #[test]
    fn other_algorithms_and_other_octets_are_refused() {
        let p521 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        assert_eq!(
            SubjectKey::from_spki(&p521.subject_public_key_info()),
            Err(SubjectKeyError::Kind(RefusedKey::P521))
        );
        // One octet less than a key of Ed25519 has.
        let short = Writer::to_der(|w| {
            w.sequence(|w| {
                w.sequence(|w| w.oid(&oid::ED25519));
                w.bit_string(&[1; ED25519_OCTETS - 1]);
            });
        });
        assert_eq!(SubjectKey::from_spki(&short), Err(SubjectKeyError::Kind(RefusedKey::Other)));
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let mut trailing = pair.subject_public_key_info();
        trailing.push(0);
        for bad in [&b""[..], b"0", b"hello", &trailing, &vec![0x30; INPUT_OCTETS_MAX + 1]] {
            assert_eq!(SubjectKey::from_spki(bad), Err(SubjectKeyError::Unreadable));
        }
    }
}
