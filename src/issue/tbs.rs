//! Certificate and TBSCertificate (RFC 5280 §4.1).
//!
//! Written with our own DER writer because rcgen's `DistinguishedName` is a map, one value for
//! each type: it cannot hold an authority's two OU or a resident's two L.

use super::{SubjectKey, Validity};
use crate::der::{Writer, tag};
use crate::pki::{Name, SerialNumber, SignatureAlgorithm};

/// Version v3 (2): there are extensions.
const V3: u64 = 2;

/// ```text
/// TBSCertificate  ::=  SEQUENCE  {
///      version         [0]  EXPLICIT Version DEFAULT v1,
///      serialNumber         CertificateSerialNumber,
///      signature            AlgorithmIdentifier,
///      issuer               Name,
///      validity             Validity,
///      subject              Name,
///      subjectPublicKeyInfo SubjectPublicKeyInfo,
///      extensions      [3]  EXPLICIT Extensions OPTIONAL }
/// ```
pub(super) struct TbsCertificate<'a> {
    pub(super) serial: SerialNumber,
    pub(super) signature: SignatureAlgorithm,
    pub(super) issuer: &'a Name,
    pub(super) validity: Validity,
    pub(super) subject: &'a Name,
    pub(super) subject_public_key: &'a SubjectKey,
    /// The extensions one after another, DER.
    pub(super) extensions: &'a [u8],
}

impl TbsCertificate<'_> {
    pub(super) fn to_der(&self) -> Vec<u8> {
        Writer::to_der(|w| {
            w.sequence(|w| {
                w.nested(tag::context_constructed(0), |w| w.integer(V3));
                self.serial.write(w);
                self.signature.write(w);
                w.raw(self.issuer.der());
                w.sequence(|w| {
                    w.time(self.validity.not_before());
                    w.time(self.validity.not_after());
                });
                w.raw(self.subject.der());
                w.raw(self.subject_public_key.spki());
                w.nested(tag::context_constructed(3), |w| w.sequence(|w| w.raw(self.extensions)));
            });
        })
    }
}

/// The certificate of `tbs` and the signature over it, DER:
/// `SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }`. `algorithm` must be the
/// one `tbs` was written for; the signature is not verified here.
#[must_use]
pub fn assemble(tbs: &[u8], algorithm: SignatureAlgorithm, signature: &[u8]) -> Vec<u8> {
    Writer::to_der(|w| {
        w.sequence(|w| {
            w.raw(tbs);
            algorithm.write(w);
            w.bit_string(signature);
        });
    })
}
