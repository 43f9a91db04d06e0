//! Whether a certificate may sign OCSP answers in an authority's place (RFC 6960 §4.2.2.2).

use std::sync::Arc;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use super::weak;
use crate::der::{DerError, Reader, UnixTime};
use crate::pki::{AuthorityId, Generation, Issuer, PublicKey, SerialNumber, SignatureAlgorithm, oid};
use crate::signer::Key;

/// Bits of an RSA modulus at least (SP 800-131A, CRYPTREC).
const RSA_BITS_MIN: usize = 2048;

/// An RSA public exponent at least (FIPS 186-5 A.1.1, CRYPTREC).
const RSA_EXPONENT_MIN: u64 = 65_537;
/// And at most: what is signed is verified by ring before it leaves, which takes no larger one.
const RSA_EXPONENT_MAX: u64 = (1 << 33) - 1;

/// What may be critical in a signer's certificate: what is checked here, and what says nothing against
/// the use of its key and is understood by verifiers.
const UNDERSTOOD: [&crate::der::Oid; 9] = [
    &oid::BASIC_CONSTRAINTS,
    &oid::KEY_USAGE,
    &oid::EXT_KEY_USAGE,
    &oid::OCSP_NOCHECK,
    &oid::CERTIFICATE_POLICIES,
    &oid::SUBJECT_ALT_NAME,
    &oid::SUBJECT_KEY_IDENTIFIER,
    &oid::AUTHORITY_KEY_IDENTIFIER,
    &oid::CRL_DISTRIBUTION_POINTS,
];

/// What the keys here sign with; a certificate signed with anything else does not verify.
const SIGNATURES: [SignatureAlgorithm; 4] = [
    SignatureAlgorithm::RsaSha256,
    SignatureAlgorithm::EcdsaP256Sha256,
    SignatureAlgorithm::EcdsaP384Sha384,
    SignatureAlgorithm::Ed25519,
];

/// A certificate that was found fit to sign OCSP answers, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerCertificate {
    /// The authority that issued it.
    pub authority: AuthorityId,
    /// The key that signed it, for whose certificates alone it answers.
    pub generation: Generation,
    /// Its serial number.
    pub serial: SerialNumber,
    /// What its key signs with.
    pub algorithm: SignatureAlgorithm,
    /// Start of its validity.
    pub not_before: UnixTime,
    /// End of its validity.
    pub not_after: UnixTime,
    /// SubjectPublicKeyInfo, DER.
    spki: Vec<u8>,
}

/// Why a certificate may not sign OCSP answers, and what to ask its issuer for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignerRefusal {
    /// The octets are no certificate.
    #[error("not a certificate: give one X.509 certificate")]
    NotACertificate,
    /// A CA's certificate: whoever verifies with it takes everything the key signs.
    #[error("a CA certificate (basicConstraints): have one issued that is for OCSP alone")]
    CaCertificate,
    /// Its subject is the authority: verifiers would take it for the CA's own.
    #[error("its subject is the authority's own name: have one issued under a name of its own")]
    NamedAsAuthority,
    /// Its time is over.
    #[error("expired at {0}: have a new one issued, or take the file away")]
    Expired(UnixTime),
    /// Its time has not come.
    #[error("not valid before {0}: put it here then, or set the clock")]
    NotYetValid(UnixTime),
    /// extKeyUsage does not name OCSP signing.
    #[error("no id-kp-OCSPSigning in extKeyUsage: have one issued with it")]
    NoOcspSigning,
    /// Verifiers would have to ask this very service whether it was revoked.
    #[error("no id-pkix-ocsp-nocheck: have one issued with it, for a few days")]
    NoNocheck,
    /// keyUsage does not allow signatures.
    #[error("no digitalSignature in keyUsage: have one issued with it")]
    NoDigitalSignature,
    /// keyUsage allows more than a signer may do.
    #[error("keyCertSign or cRLSign in keyUsage: have one issued that is for OCSP alone")]
    SignsForAuthority,
    /// Whoever does not know a critical extension must not use the certificate (RFC 5280 §4.2).
    #[error("unknown critical extension {0}: have one issued without it")]
    UnknownCritical(String),
    /// One extension, one value (RFC 5280 §4.2).
    #[error("the extension {0} stands there twice: have one issued with one of each")]
    RepeatedExtension(String),
    /// With that key residents' certificates and CRLs are signed: it is no signer's to hold.
    #[error("its key is that of the CA {0}: have one issued for a key of its own")]
    AuthorityKey(String),
    /// Somebody else may have that key.
    #[error("its key is that of the signer {0}, which is revoked: have one issued for a new key")]
    RevokedKey(String),
    /// Its key or signature can be forged, or is of a kind nothing here verifies.
    #[error(
        "weak algorithm, {0}: use a key of RSA 2048, P-256, P-384 or Ed25519, signed with SHA-256 or better"
    )]
    WeakAlgorithm(String),
    /// None of the authorities' live keys signed it.
    #[error("wrong issuer, {0}: have it issued by an authority of this service, with a key still live")]
    WrongIssuer(String),
    /// authorityKeyIdentifier does not name the issuer's key.
    #[error("authorityKeyIdentifier does not name the issuer's key: have one issued with that keyIdentifier")]
    AuthorityKeyIdentifier,
    /// It would outlive its issuer.
    #[error("valid longer than its issuer, whose certificate ends at {0}: have it end no later")]
    OutlivesIssuer(UnixTime),
    /// The private key is another one's.
    #[error("the private key does not belong to the certificate: put the right one beside it")]
    WrongKey,
}

/// A key that no signer may have, and how its holder is told of.
#[derive(Debug, Clone)]
pub struct KeyTaken {
    /// SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    /// Whose.
    pub holder: String,
    /// True for a CA; false for a signer that was revoked.
    pub is_authority: bool,
}

impl KeyTaken {
    /// Whether who has the one key has the other: of RSA the modulus says it, whatever the exponent.
    fn is(&self, spki: &[u8]) -> bool {
        match (part_that_counts(&self.spki), part_that_counts(spki)) {
            (Ok(theirs), Ok(ours)) => theirs == ours,
            _ => self.spki == spki,
        }
    }

    fn refusal(&self) -> SignerRefusal {
        let holder = self.holder.clone();
        if self.is_authority {
            SignerRefusal::AuthorityKey(holder)
        } else {
            SignerRefusal::RevokedKey(holder)
        }
    }
}

impl SignerCertificate {
    /// Checks `certificate`, DER, for use at `now`. `issuers` are the live generations, of
    /// which one must have issued it directly; `taken` are keys that are not a signer's to have.
    /// Whether its serial is on record, and as whose, is not checked here.
    ///
    /// # Errors
    /// The first thing that speaks against it.
    pub fn check(
        certificate: &[u8],
        issuers: &[Arc<Issuer>],
        taken: &[KeyTaken],
        now: UnixTime,
    ) -> Result<Self, SignerRefusal> {
        // Read strictly first: verifiers read these octets in every answer.
        let subject = Issuer::from_certificate(AuthorityId(0), Generation::FIRST, certificate)
            .map_err(|_| SignerRefusal::NotACertificate)?;
        let (rest, read) =
            X509Certificate::from_der(certificate).map_err(|_| SignerRefusal::NotACertificate)?;
        if !rest.is_empty() {
            return Err(SignerRefusal::NotACertificate);
        }
        check_purpose(&read)?;
        if issuers.iter().any(|issuer| issuer.name == subject.name) {
            return Err(SignerRefusal::NamedAsAuthority);
        }
        if subject.not_after <= now {
            return Err(SignerRefusal::Expired(subject.not_after));
        }
        if subject.not_before > now {
            return Err(SignerRefusal::NotYetValid(subject.not_before));
        }
        let algorithm = strong_key(&subject)?;
        if let Some(taken) = taken.iter().find(|taken| taken.is(&subject.spki)) {
            return Err(taken.refusal());
        }
        let issuer = issuer_of(&read, issuers)?;
        if key_identifier(&read) != Some(&issuer.key_id) {
            return Err(SignerRefusal::AuthorityKeyIdentifier);
        }
        if subject.not_after > issuer.not_after {
            return Err(SignerRefusal::OutlivesIssuer(issuer.not_after));
        }
        Ok(Self {
            authority: issuer.authority,
            generation: issuer.generation,
            serial: subject.serial,
            algorithm,
            not_before: subject.not_before,
            not_after: subject.not_after,
            spki: subject.spki,
        })
    }

    /// Checks that `key` is the one certified.
    ///
    /// # Errors
    /// [`SignerRefusal::WrongKey`].
    pub fn check_key(&self, key: &Key) -> Result<(), SignerRefusal> {
        if key.spki() == self.spki { Ok(()) } else { Err(SignerRefusal::WrongKey) }
    }
}

/// What it may be used for, by its extensions. One that stands twice counts as missing.
fn check_purpose(read: &X509Certificate<'_>) -> Result<(), SignerRefusal> {
    let ca = read.basic_constraints().map_err(|_| SignerRefusal::CaCertificate)?;
    if ca.is_some_and(|constraints| constraints.value.ca) {
        return Err(SignerRefusal::CaCertificate);
    }
    let purposes = read.extended_key_usage().ok().flatten();
    if !purposes.is_some_and(|purposes| purposes.value.ocsp_signing) {
        return Err(SignerRefusal::NoOcspSigning);
    }
    let nocheck = |extension: &&_| is(extension, &oid::OCSP_NOCHECK);
    if read.extensions().iter().filter(nocheck).count() != 1 {
        return Err(SignerRefusal::NoNocheck);
    }
    let usage = read.key_usage().ok().flatten();
    let Some(usage) = usage.filter(|usage| usage.value.digital_signature()) else {
        return Err(SignerRefusal::NoDigitalSignature);
    };
    if usage.value.key_cert_sign() || usage.value.crl_sign() {
        return Err(SignerRefusal::SignsForAuthority);
    }
    check_extensions(read)
}

/// That each extension stands there once, and that every critical one is understood.
fn check_extensions(read: &X509Certificate<'_>) -> Result<(), SignerRefusal> {
    let all = read.extensions();
    for (at, extension) in all.iter().enumerate() {
        if extension.critical && !UNDERSTOOD.iter().any(|known| is(extension, known)) {
            return Err(SignerRefusal::UnknownCritical(extension.oid.to_id_string()));
        }
        if all.iter().take(at).any(|before| before.oid == extension.oid) {
            return Err(SignerRefusal::RepeatedExtension(extension.oid.to_id_string()));
        }
    }
    Ok(())
}

fn is(extension: &x509_parser::extensions::X509Extension<'_>, wanted: &crate::der::Oid) -> bool {
    extension.oid.as_bytes() == wanted.content()
}

/// What the certified key signs with, if it is strong enough.
fn strong_key(subject: &Issuer) -> Result<SignatureAlgorithm, SignerRefusal> {
    let weak = |what: String| SignerRefusal::WeakAlgorithm(what);
    let key = PublicKey::from_spki(&subject.spki)
        .map_err(|_| weak("a key of an unknown curve or kind".to_owned()))?;
    if key.algorithm() == SignatureAlgorithm::RsaSha256 {
        let (modulus, exponent) =
            rsa_numbers(&subject.public_key).map_err(|_| SignerRefusal::NotACertificate)?;
        check_rsa(modulus, exponent).map_err(weak)?;
    }
    Ok(key.algorithm())
}

/// What is wrong with the numbers of an RSA key.
fn check_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), String> {
    let bits = bits(modulus);
    if bits < RSA_BITS_MIN {
        return Err(format!("an RSA key of {bits} bits"));
    }
    let small = SerialNumber::from_content(exponent).ok().and_then(|exponent| exponent.to_u64());
    match small {
        Some(exponent) if exponent < RSA_EXPONENT_MIN || exponent % 2 == 0 => {
            return Err(format!("an RSA key of exponent {exponent}"));
        }
        Some(exponent) if exponent <= RSA_EXPONENT_MAX => {}
        _ => return Err("an RSA key of an exponent that is none, or above 33 bits".to_owned()),
    }
    if weak::is_weak(modulus) { Err("an RSA key that can be factored".to_owned()) } else { Ok(()) }
}

/// Content octets of modulus and exponent of an RSAPublicKey (RFC 8017 A.1.1).
fn rsa_numbers(key: &[u8]) -> Result<(&[u8], &[u8]), DerError> {
    Reader::new(key).sequence(|r| Ok::<_, DerError>((r.integer()?, r.integer()?)))
}

/// Significant bits of a number.
fn bits(number: &[u8]) -> usize {
    let magnitude = number.iter().skip_while(|octet| **octet == 0);
    let first = magnitude.clone().next().map_or(0, |octet| octet.leading_zeros());
    (magnitude.count() * 8).saturating_sub(usize::try_from(first).unwrap_or(0))
}

/// Of a SubjectPublicKeyInfo: the modulus of RSA, the bits of any other key.
fn part_that_counts(spki: &[u8]) -> Result<&[u8], DerError> {
    let (is_rsa, bits) = Reader::new(spki).sequence(|r| {
        let mut algorithm = Reader::new(r.read(crate::der::tag::SEQUENCE)?);
        Ok::<_, DerError>((algorithm.oid()? == oid::RSA_ENCRYPTION.content(), r.bit_string()?))
    })?;
    Ok(if is_rsa { rsa_numbers(bits)?.0 } else { bits })
}

/// The generation that issued it: generations share one name, so their keys decide.
fn issuer_of<'i>(
    read: &X509Certificate<'_>,
    issuers: &'i [Arc<Issuer>],
) -> Result<&'i Issuer, SignerRefusal> {
    let signed_with = &read.signature_algorithm.algorithm;
    if !SIGNATURES.iter().any(|known| known.oid().content() == signed_with.as_bytes()) {
        return Err(SignerRefusal::WeakAlgorithm(format!("a signature of {}", signed_with.to_id_string())));
    }
    let named = |issuer: &&Arc<Issuer>| issuer.name.der() == read.issuer().as_raw();
    let mut namesakes = issuers.iter().filter(named).peekable();
    if namesakes.peek().is_none() {
        return Err(SignerRefusal::WrongIssuer("its name is no live authority's".to_owned()));
    }
    let signed = |issuer: &&Arc<Issuer>| {
        let tbs = read.tbs_certificate.as_ref();
        let key = PublicKey::from_spki(&issuer.spki);
        read.tbs_certificate.signature == read.signature_algorithm
            && key.is_ok_and(|key| {
                key.algorithm().oid().content() == signed_with.as_bytes()
                    && key.verify(tbs, &read.signature_value.data).is_ok()
            })
    };
    let issuer = namesakes.find(signed).map(Arc::as_ref);
    issuer.ok_or_else(|| SignerRefusal::WrongIssuer("no live key of that name signed it".to_owned()))
}

/// keyIdentifier of authorityKeyIdentifier; none when it is missing or stands twice.
fn key_identifier<'c>(read: &'c X509Certificate<'_>) -> Option<&'c [u8]> {
    let mut all = read.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(aki) => Some(aki.key_identifier.as_ref()?.0),
        _ => None,
    });
    all.next().filter(|_| all.next().is_none())
}
