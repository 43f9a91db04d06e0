//! A verifier's certificate: what its signatures are verified with, and how long.

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::der::{DerError, Reader, UnixTime};
use crate::pki::{HashAlgorithm, Name, PublicKey, PublicKeyError, SignatureAlgorithm};

/// Octets of a certificate registered at most: with RSA-8192 and every usual extension it has
/// under 4,000; an entry of the journal carries it, and a request of 10 kB must be able to.
pub const CERTIFICATE_OCTETS_MAX: usize = 8 * 1024;

/// Bits of an RSA modulus: fewer are too weak, more take long to verify.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// What the registry takes from a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierCertificate {
    /// SHA-256 of all its octets: by this it is recognised.
    pub sha256: [u8; 32],
    /// Its subject.
    pub subject: Name,
    /// Its public key.
    pub key: PublicKey,
    /// Start of its validity.
    pub not_before: UnixTime,
    /// The last instant of its validity.
    pub not_after: UnixTime,
}

/// Why a certificate cannot stand for a verifier, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The octets are no certificate.
    #[error("not a certificate: give one X.509 certificate, in PEM or DER")]
    NotACertificate,
    /// More octets than [`CERTIFICATE_OCTETS_MAX`].
    #[error("a certificate of {0} octets: at most {CERTIFICATE_OCTETS_MAX} are registered")]
    TooLong(usize),
    /// A subject that no requestorName can repeat.
    #[error("its subject is no distinguished name with attributes: have one issued that names the verifier")]
    Subject,
    /// Its key is of a kind not verified here.
    #[error("its public key cannot be used: {0}")]
    Key(#[from] PublicKeyError),
    /// An RSA key of another size.
    #[error("its RSA key has {0} bits: use {min} to {max}", min = RSA_BITS.start(), max = RSA_BITS.end())]
    RsaBits(usize),
    /// Bits that have not the form of its kind of key.
    #[error("its public key is damaged: have the certificate issued anew")]
    KeyForm,
    /// keyUsage is there and leaves out digitalSignature.
    #[error("its keyUsage does not allow digitalSignature: have one issued that may sign")]
    KeyUsage,
    /// Its time is over.
    #[error("expired at {0}: have a new one issued")]
    Expired(UnixTime),
}

impl VerifierCertificate {
    /// Reads a certificate and checks all that time does not change.
    ///
    /// # Errors
    /// [`CertificateError`], all but [`CertificateError::Expired`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > CERTIFICATE_OCTETS_MAX {
            return Err(CertificateError::TooLong(der.len()));
        }
        let Ok((&[], certificate)) = X509Certificate::from_der(der) else {
            return Err(CertificateError::NotACertificate);
        };
        let usage = certificate.key_usage().map_err(|_| CertificateError::NotACertificate)?;
        if usage.is_some_and(|usage| !usage.value.digital_signature()) {
            return Err(CertificateError::KeyUsage);
        }
        let info = certificate.public_key();
        let key = PublicKey::from_spki(info.raw)?;
        check_form(key.algorithm(), &info.subject_public_key.data)?;
        let subject = certificate.subject();
        if subject.iter().next().is_none() {
            return Err(CertificateError::Subject);
        }
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(&HashAlgorithm::Sha256.digest(der));
        let validity = certificate.validity();
        Ok(Self {
            sha256,
            subject: Name::from_der(subject.as_raw()).map_err(|_| CertificateError::Subject)?,
            key,
            not_before: UnixTime::from_seconds(validity.not_before.timestamp()),
            not_after: UnixTime::from_seconds(validity.not_after.timestamp()),
        })
    }

    /// True from notBefore to notAfter, both included (RFC 5280 §4.1.2.5).
    #[must_use]
    pub fn is_valid_at(&self, time: UnixTime) -> bool {
        (self.not_before..=self.not_after).contains(&time)
    }

    /// Whether it may be registered at `now`: one whose time is yet to come may.
    ///
    /// # Errors
    /// [`CertificateError::Expired`].
    pub fn check_at(&self, now: UnixTime) -> Result<(), CertificateError> {
        if now > self.not_after { Err(CertificateError::Expired(self.not_after)) } else { Ok(()) }
    }
}

/// Whether `bits` have the form of such a key; whether they are one shows when they verify.
fn check_form(algorithm: SignatureAlgorithm, bits: &[u8]) -> Result<(), CertificateError> {
    let uncompressed = |octets| bits.len() == octets && bits.first() == Some(&4);
    let well_formed = match algorithm {
        SignatureAlgorithm::RsaSha256 => {
            let modulus = modulus(bits).map_err(|_| CertificateError::KeyForm)?;
            let leading = modulus.first().map_or(0, |octet| octet.leading_zeros());
            let bits = (modulus.len() * 8).saturating_sub(usize::try_from(leading).unwrap_or(0));
            if !RSA_BITS.contains(&bits) {
                return Err(CertificateError::RsaBits(bits));
            }
            true
        }
        SignatureAlgorithm::EcdsaP256Sha256 => uncompressed(65),
        SignatureAlgorithm::EcdsaP384Sha384 => uncompressed(97),
        SignatureAlgorithm::Ed25519 => bits.len() == 32,
    };
    if well_formed { Ok(()) } else { Err(CertificateError::KeyForm) }
}

/// The modulus of an RSAPublicKey (RFC 8017 A.1.1), without its sign.
fn modulus(bits: &[u8]) -> Result<&[u8], DerError> {
    let mut reader = Reader::new(bits);
    let modulus = reader.sequence(|r| {
        let modulus = r.integer()?;
        r.integer()?;
        Ok::<_, DerError>(modulus)
    })?;
    reader.finish()?;
    Ok(modulus.strip_prefix(&[0]).unwrap_or(modulus))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, KeyUsagePurpose, RsaKeySize};

    use super::*;
    use crate::der::Writer;

    fn params() -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "kiosk");
        params
    }

    fn read(params: &CertificateParams, key: &KeyPair) -> Result<VerifierCertificate, CertificateError> {
        VerifierCertificate::from_der(params.self_signed(key).unwrap().der())
    }

    #[test]
    fn keys_of_the_four_kinds_are_taken_and_no_others() {
        for algorithm in
            [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519]
        {
            read(&params(), &KeyPair::generate_for(algorithm).unwrap()).unwrap();
        }
        let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap();
        for size in [RsaKeySize::_2048, RsaKeySize::_3072] {
            assert_eq!(read(&params(), &rsa(size)).unwrap().subject.to_string(), "CN=kiosk");
        }
        let p521 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        assert_eq!(read(&params(), &p521), Err(CertificateError::Key(PublicKeyError::Algorithm)));
        for (octets, first, bits) in [(256, 0x7f, 2047), (255, 0xff, 2040), (1025, 0x80, 8200), (0, 0, 0)] {
            let mut modulus = vec![first; octets];
            modulus.iter_mut().skip(1).for_each(|octet| *octet = 0x55);
            let key = Writer::to_der(|w| {
                w.sequence(|w| {
                    w.unsigned(&modulus);
                    w.integer(65_537);
                });
            });
            let found = check_form(SignatureAlgorithm::RsaSha256, &key);
            assert_eq!(found, Err(CertificateError::RsaBits(bits)));
        }
        assert_eq!(check_form(SignatureAlgorithm::RsaSha256, &[0x30, 0]), Err(CertificateError::KeyForm));
        for point in [vec![2; 33], vec![2; 65], vec![4; 64], vec![]] {
            assert_eq!(
                check_form(SignatureAlgorithm::EcdsaP256Sha256, &point),
                Err(CertificateError::KeyForm)
            );
        }
    }

    #[test]
    fn rfc5280_s4_2_1_3_key_usage_must_allow_signatures_when_there() {
        let key = KeyPair::generate().unwrap();
        let with = |usages: &[KeyUsagePurpose]| {
            let mut params = params();
            params.key_usages = usages.to_vec();
            read(&params, &key).map(|_| ())
        };
        assert_eq!(with(&[]), Ok(()));
        assert_eq!(with(&[KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyAgreement]), Ok(()));
        assert_eq!(with(&[KeyUsagePurpose::KeyEncipherment]), Err(CertificateError::KeyUsage));
    }

    #[test]
    fn rfc5280_s4_1_2_5_both_ends_belong_to_the_validity() {
        let (from, to) = (UnixTime::from_seconds(1_700_000_000), UnixTime::from_seconds(1_800_000_000));
        let mut params = params();
        (params.not_before, params.not_after) = (from.date_time(), to.date_time());
        let taken = read(&params, &KeyPair::generate().unwrap()).unwrap();
        let second = std::time::Duration::from_secs(1);
        assert_eq!((taken.not_before, taken.not_after), (from, to));
        assert!(taken.is_valid_at(from) && taken.is_valid_at(to));
        assert!(!taken.is_valid_at(from.minus(second)) && !taken.is_valid_at(to.plus(second)));
        assert_eq!(taken.check_at(from.minus(second)), Ok(()), "registered ahead of its time");
        assert_eq!(taken.check_at(to), Ok(()));
        assert_eq!(taken.check_at(to.plus(second)), Err(CertificateError::Expired(to)));
    }

    #[test]
    fn other_octets_are_no_certificate() {
        let key = KeyPair::generate().unwrap();
        let mut trailing = params().self_signed(&key).unwrap().der().to_vec();
        trailing.push(0);
        for octets in [&b""[..], b"0", &trailing] {
            assert_eq!(VerifierCertificate::from_der(octets), Err(CertificateError::NotACertificate));
        }
        let long = vec![0x30; CERTIFICATE_OCTETS_MAX + 1];
        assert_eq!(VerifierCertificate::from_der(&long), Err(CertificateError::TooLong(long.len())));
        let mut nameless = params();
        nameless.distinguished_name = DistinguishedName::new();
        assert_eq!(read(&nameless, &key), Err(CertificateError::Subject));
    }
}
