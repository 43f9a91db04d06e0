//! OCSPRequest (RFC 6960 §4.1.1).

use super::cert_id::CertId;
use super::error::OcspError;
use super::extension::{RequestExtensions, read_request_extensions, read_single_request_extensions};
use super::plain::plain;
use super::preference::write_preference;
use super::request_signature::{RequestSignature, Signed};
use crate::der::{DerError, Reader, Writer, tag};
use crate::pki::{HashAlgorithm, Issuer, SerialNumber, SignatureAlgorithm};

/// Version v1, INTEGER 0.
const V1: u8 = 0;
/// Highest tag number of the CHOICE GeneralName (RFC 5280 §4.2.1.6).
const GENERAL_NAME_LAST: u8 = 8;

/// ```text
/// OCSPRequest ::= SEQUENCE {
///     tbsRequest              TBSRequest,
///     optionalSignature   [0] EXPLICIT Signature OPTIONAL }
/// TBSRequest  ::= SEQUENCE {
///     version             [0] EXPLICIT Version DEFAULT v1,
///     requestorName       [1] EXPLICIT GeneralName OPTIONAL,
///     requestList             SEQUENCE OF Request,
///     requestExtensions   [2] EXPLICIT Extensions OPTIONAL }
/// Request     ::= SEQUENCE {
///     reqCert                 CertID,
///     singleRequestExtensions [0] EXPLICIT Extensions OPTIONAL }
/// ```
/// Borrowed from the octets received; nothing is allocated.
#[derive(Debug, Clone, Copy)]
pub(super) struct OcspRequest<'a> {
    first: CertId<'a>,
    /// Content of requestList, read once and found well-formed.
    request_list: &'a [u8],
    /// How many Requests it holds, at least one.
    count: usize,
    pub(super) extensions: RequestExtensions<'a>,
    /// What there is to verify, when it is signed.
    pub(super) signed: Option<Signed<'a>>,
}

impl<'a> OcspRequest<'a> {
    /// Reads a request of at most `cert_ids_max` questions. A signature is looked at for its
    /// form only: whether it counts is the responder's to say.
    ///
    /// Deviates from DER in two points, because clients in use do: version v1 may be written
    /// out, and so may a `critical` of FALSE.
    pub(super) fn from_der(der: &'a [u8], cert_ids_max: usize) -> Result<Self, OcspError> {
        match plain(der) {
            Some((first, request_list)) => {
                let extensions = RequestExtensions::default();
                Ok(Self { first, request_list, count: 1, extensions, signed: None })
            }
            None => Self::read(der, cert_ids_max),
        }
    }

    /// Reads it in full.
    pub(super) fn read(der: &'a [u8], cert_ids_max: usize) -> Result<Self, OcspError> {
        let mut reader = Reader::new(der);
        let request = reader.sequence(|r| {
            let mut whole = r.clone();
            let (request, requestor_name) = r.sequence(|r| read_tbs_request(r, cert_ids_max))?;
            if r.is_empty() {
                return Ok::<_, OcspError>(request);
            }
            let signature = r.nested(tag::context_constructed(0), RequestSignature::read)?;
            // RFC 6960 §4.1.2: who signs says who they are.
            let requestor_name = requestor_name.ok_or(OcspError::MalformedRequest)?;
            let tbs_request = whole.element()?.whole;
            Ok(Self { signed: Some(Signed { tbs_request, requestor_name, signature }), ..request })
        })?;
        reader.finish()?;
        Ok(request)
    }

    /// The only CertID and the content of requestList, when there is nothing else.
    #[cfg(test)]
    pub(super) fn plain_parts(&self) -> Option<(CertId<'a>, &'a [u8])> {
        let plain = self.count == 1 && self.extensions == RequestExtensions::default();
        (plain && self.signed.is_none()).then_some((self.first, self.request_list))
    }

    /// What `make` makes of each question, in order.
    pub(super) fn each<T>(&self, mut make: impl FnMut(CertId<'a>) -> T) -> Each<T> {
        if self.count == 1 {
            Each::One([make(self.first)])
        } else {
            // Read a second time, now without an error.
            let mut list = Reader::new(self.request_list);
            let cert_ids = std::iter::from_fn(|| read_request(&mut list).ok());
            Each::Several(cert_ids.map(make).collect())
        }
    }
}

/// One thing for each question of a request; for a single one without an allocation.
#[derive(Debug)]
pub(super) enum Each<T> {
    One([T; 1]),
    Several(Vec<T>),
}

impl<T> Each<T> {
    /// What `make` makes of each, in order.
    pub(super) fn each<U>(&self, mut make: impl FnMut(&T) -> U) -> Each<U> {
        match self {
            Self::One([one]) => Each::One([make(one)]),
            Self::Several(several) => Each::Several(several.iter().map(make).collect()),
        }
    }
}

impl<T> std::ops::Deref for Each<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::One(one) => one,
            Self::Several(several) => several,
        }
    }
}

/// The TBSRequest's fields, and its requestorName.
fn read_tbs_request<'a>(
    reader: &mut Reader<'a>,
    cert_ids_max: usize,
) -> Result<(OcspRequest<'a>, Option<&'a [u8]>), OcspError> {
    let version = reader.optional_nested(tag::context_constructed(0), |r| r.small(tag::INTEGER))?;
    if version.is_some_and(|version| version != V1) {
        return Err(OcspError::MalformedRequest);
    }
    let requestor_name = reader.optional_nested(tag::context_constructed(1), read_general_name)?;
    let request_list = reader.read(tag::SEQUENCE)?;
    let mut list = reader.inner(request_list)?;
    let first = read_request(&mut list)?;
    let mut count = 1;
    while !list.is_empty() {
        read_request(&mut list)?;
        count += 1;
    }
    if count > cert_ids_max {
        return Err(OcspError::MalformedRequest);
    }
    let extensions = reader.optional_nested(tag::context_constructed(2), read_request_extensions)?;
    let extensions = extensions.unwrap_or_default();
    Ok((OcspRequest { first, request_list, count, extensions, signed: None }, requestor_name))
}

fn read_request<'a>(reader: &mut Reader<'a>) -> Result<CertId<'a>, OcspError> {
    reader.sequence(|r| {
        let cert_id = CertId::read(r)?;
        r.optional_nested(tag::context_constructed(0), read_single_request_extensions)?;
        Ok(cert_id)
    })
}

/// GeneralName, DER, checked by its tag: nobody acts on one in an unsigned request.
fn read_general_name<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DerError> {
    let element = reader.element()?;
    let number = element.tag & 0x1f;
    let expected = match number {
        0 | 3 | 4 | 5 => tag::context_constructed(number),
        _ => tag::context(number),
    };
    if number > GENERAL_NAME_LAST || element.tag != expected {
        return Err(DerError::UnexpectedTag { expected, found: element.tag });
    }
    Ok(element.whole)
}

/// An OCSPRequest for one certificate that asks for nothing special: to have its answer signed
/// before anybody asks.
#[must_use]
pub fn request_for(issuer: &Issuer, hash: HashAlgorithm, serial: &SerialNumber) -> Vec<u8> {
    let cert_id = |w: &mut Writer| {
        w.sequence(|w| {
            w.oid(&hash.oid());
            w.null();
        });
        w.octet_string(&issuer.name_hash(hash));
        w.octet_string(&issuer.key_hash(hash));
        serial.write(w);
    };
    to_request(cert_id, None)
}

/// The request with one CertID of these fields, and the signature algorithm preferred.
pub(super) fn to_request(
    write_cert_id: impl FnOnce(&mut Writer),
    algorithm: Option<SignatureAlgorithm>,
) -> Vec<u8> {
    let request_list = |w: &mut Writer| w.sequence(|w| w.sequence(|w| w.sequence(write_cert_id)));
    let tbs_request = |w: &mut Writer| {
        request_list(w);
        if let Some(algorithm) = algorithm {
            w.nested(tag::context_constructed(2), |w| {
                w.sequence(|w| write_preference(w, algorithm));
            });
        }
    };
    Writer::to_der(|w| w.sequence(|w| w.sequence(tbs_request)))
}
