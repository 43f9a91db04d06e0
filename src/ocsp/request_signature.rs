//! optionalSignature (RFC 6960 §4.1.1), held against the registered verifiers.

use super::cert_id::AlgorithmIdentifier;
use super::error::OcspError;
use crate::der::{DerError, Reader, UnixTime, tag};
use crate::pki::SignedWith;
use crate::registry::{VerifierCertificate, Verifiers};

/// Tag number of directoryName in the CHOICE GeneralName (RFC 5280 §4.2.1.6).
const DIRECTORY_NAME: u8 = 4;

/// A request's signature and what it covers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed<'a> {
    /// The whole TBSRequest: what is signed.
    pub(super) tbs_request: &'a [u8],
    /// GeneralName, DER.
    pub(super) requestor_name: &'a [u8],
    pub(super) signature: RequestSignature<'a>,
}

/// ```text
/// Signature ::= SEQUENCE {
///     signatureAlgorithm      AlgorithmIdentifier,
///     signature               BIT STRING,
///     certs               [0] EXPLICIT SEQUENCE OF Certificate OPTIONAL }
/// ```
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestSignature<'a> {
    algorithm: AlgorithmIdentifier<'a>,
    /// Of the BIT STRING, whole octets.
    bits: &'a [u8],
    /// The first of certs, DER.
    certificate: Option<&'a [u8]>,
}

impl<'a> RequestSignature<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DerError> {
        reader.sequence(|r| {
            let algorithm = AlgorithmIdentifier::read(r)?;
            let bits = r.bit_string()?;
            let certificate = r.optional_nested(tag::context_constructed(0), read_certs)?.flatten();
            Ok(Self { algorithm, bits, certificate })
        })
    }
}

/// The first certificate; of all of them, that they may be certificates.
fn read_certs<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, DerError> {
    reader.sequence(|r| {
        let mut first = None;
        while !r.is_empty() {
            let whole = r.clone().element()?.whole;
            r.read(tag::SEQUENCE)?;
            first = first.or(Some(whole));
        }
        Ok(first)
    })
}

impl Signed<'_> {
    /// Whether one of `verifiers` made the signature while its certificate was valid. Who signed
    /// is said by the first certificate sent along, or else by the requestorName.
    ///
    /// # Errors
    /// [`OcspError::Unauthorized`], for whatever reason: the asker learns no more.
    pub(super) fn verify(&self, verifiers: &Verifiers, now: UnixTime) -> Result<(), OcspError> {
        let AlgorithmIdentifier { algorithm, parameters } = self.signature.algorithm;
        let with = SignedWith::from_identifier(algorithm, parameters).ok_or(OcspError::Unauthorized)?;
        let has_signed = |verifier: &VerifierCertificate| {
            verifier.is_valid_at(now)
                && verifier.key.verify_as(with, self.tbs_request, self.signature.bits).is_ok()
        };
        let admitted = match self.signature.certificate {
            Some(certificate) => verifiers.with_certificate(certificate).is_some_and(has_signed),
            None => self.directory_name().is_some_and(|name| verifiers.with_subject(name).any(has_signed)),
        };
        if admitted { Ok(()) } else { Err(OcspError::Unauthorized) }
    }

    /// The Name in the requestorName, DER, when it is one.
    fn directory_name(&self) -> Option<&[u8]> {
        let mut outer = Reader::new(self.requestor_name);
        let name = outer.read(tag::context_constructed(DIRECTORY_NAME)).ok()?;
        let mut inner = Reader::new(name);
        let whole = inner.element().ok()?.whole;
        inner.is_empty().then_some(whole)
    }
}
