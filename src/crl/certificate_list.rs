//! A CertificateList as the gate reads it: borrowed, canonical, nothing skipped.

use super::GateError;
use super::tbs_cert_list::VERSION_2;
use crate::der::{DerError, Oid, Reader, UnixTime, tag};

/// The parts of a CertificateList (RFC 5280 §5.1), as DER.
#[derive(Debug)]
pub(super) struct CertificateList<'a> {
    /// The whole TBSCertList: what is signed.
    pub(super) tbs_cert_list: &'a [u8],
    /// AlgorithmIdentifier inside the signed part.
    pub(super) signature: &'a [u8],
    /// Name.
    pub(super) issuer: &'a [u8],
    pub(super) this_update: UnixTime,
    pub(super) next_update: UnixTime,
    /// The entries, one after another; empty when revokedCertificates is absent.
    pub(super) revoked_certificates: &'a [u8],
    pub(super) crl_extensions: Vec<Extension<'a>>,
    /// AlgorithmIdentifier outside.
    pub(super) signature_algorithm: &'a [u8],
    pub(super) signature_value: &'a [u8],
}

/// What is signed in a CRL, and its signature; neither is checked.
///
/// # Errors
/// [`GateError`] when it is no CRL.
pub fn signed_part(crl: &[u8]) -> Result<(&[u8], &[u8]), GateError> {
    let list = CertificateList::from_der(crl)?;
    Ok((list.tbs_cert_list, list.signature_value))
}

/// ```text
/// Extension  ::=  SEQUENCE  {
///      extnID      OBJECT IDENTIFIER,
///      critical    BOOLEAN DEFAULT FALSE,
///      extnValue   OCTET STRING }
/// ```
#[derive(Debug, Clone, Copy)]
pub(super) struct Extension<'a> {
    oid: &'a [u8],
    pub(super) critical: bool,
    pub(super) value: &'a [u8],
}

impl<'a> CertificateList<'a> {
    pub(super) fn from_der(der: &'a [u8]) -> Result<Self, GateError> {
        let mut reader = Reader::new(der);
        let list = reader.sequence(|r| {
            let tbs = r.clone().element()?.whole;
            let mut list = r.sequence(|r| Self::read_tbs(r, tbs))?;
            list.signature_algorithm = r.element()?.whole;
            list.signature_value = r.bit_string()?;
            Ok::<_, GateError>(list)
        })?;
        reader.finish()?;
        Ok(list)
    }

    fn read_tbs(r: &mut Reader<'a>, tbs_cert_list: &'a [u8]) -> Result<Self, GateError> {
        if u64::from(r.small(tag::INTEGER)?) != VERSION_2 {
            return Err(GateError::Version);
        }
        let signature = r.element()?.whole;
        let issuer = r.element()?.whole;
        let this_update = time(r)?;
        let next_update = time(r)?;
        let revoked_certificates = r.optional(tag::SEQUENCE)?;
        if revoked_certificates.is_some_and(<[u8]>::is_empty) {
            return Err(GateError::EmptyList);
        }
        let crl_extensions = r.nested(tag::context_constructed(0), |r| {
            r.sequence(|r| {
                let mut extensions = Vec::new();
                while !r.is_empty() {
                    extensions.push(Extension::read(r)?);
                }
                Ok::<_, DerError>(extensions)
            })
        })?;
        Ok(Self {
            tbs_cert_list,
            signature,
            issuer,
            this_update,
            next_update,
            revoked_certificates: revoked_certificates.unwrap_or_default(),
            crl_extensions,
            signature_algorithm: &[],
            signature_value: &[],
        })
    }
}

impl<'a> Extension<'a> {
    pub(super) fn read(r: &mut Reader<'a>) -> Result<Self, DerError> {
        r.sequence(|r| {
            let oid = r.oid()?;
            let critical = r.peek() == Some(tag::BOOLEAN);
            // A DEFAULT is not written (X.690 §11.5).
            if critical && !r.boolean()? {
                return Err(DerError::Content);
            }
            Ok(Self { oid, critical, value: r.octet_string()? })
        })
    }

    pub(super) fn is(&self, oid: &Oid) -> bool {
        self.oid == oid.content()
    }
}

/// `Time` in the one form RFC 5280 §5.1.2.4 allows it: GeneralizedTime from 2050 only.
pub(super) fn time(r: &mut Reader<'_>) -> Result<UnixTime, DerError> {
    let generalized = r.peek() == Some(tag::GENERALIZED_TIME);
    let time = r.time()?;
    if generalized && time < UnixTime::YEAR_2050 { Err(DerError::Content) } else { Ok(time) }
}
