//! Whether a certificate may sign OCSP answers in an authority's place (RFC 6960 §4.2.2.2).

use std::sync::Arc;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use crate::der::{DerError, Reader, UnixTime};
use crate::pki::{AuthorityId, Generation, Issuer, PublicKey, SignatureAlgorithm, oid};
use crate::signer::Key;

/// Bits of an RSA modulus at least (SP 800-131A, CRYPTREC).
const RSA_BITS_MIN: usize = 2048;

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

impl SignerCertificate {
    /// Checks `certificate`, DER, for use at `now`. `issuers` are the live generations, of
    /// which one must have issued it directly.
    ///
    /// # Errors
    /// The first thing that speaks against it.
    pub fn check(certificate: &[u8], issuers: &[Arc<Issuer>], now: UnixTime) -> Result<Self, SignerRefusal> {
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
    if !usage.is_some_and(|usage| usage.value.digital_signature()) {
        return Err(SignerRefusal::NoDigitalSignature);
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
        let bits = modulus_bits(&subject.public_key).map_err(|_| SignerRefusal::NotACertificate)?;
        if bits < RSA_BITS_MIN {
            return Err(weak(format!("an RSA key of {bits} bits")));
        }
    }
    Ok(key.algorithm())
}

/// Bits of the modulus of an RSAPublicKey (RFC 8017 A.1.1).
fn modulus_bits(key: &[u8]) -> Result<usize, DerError> {
    let modulus = Reader::new(key).sequence(|r| {
        let modulus = r.integer()?;
        r.integer()?;
        Ok::<_, DerError>(modulus)
    })?;
    let magnitude = modulus.iter().skip_while(|octet| **octet == 0);
    let first = magnitude.clone().next().map_or(0, |octet| octet.leading_zeros());
    Ok((magnitude.count() * 8).saturating_sub(usize::try_from(first).unwrap_or(0)))
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
