//! OCSPResponse (RFC 6960 §4.2.1): sizes first, then every octet once, in order.

use super::directory::Identity;
use super::extension::write_extension;
use crate::der::{UnixTime, Writer, tag};
use crate::pki::{CertStatus, Revocation, RevocationReason, oid};

/// Octets of a GeneralizedTime with its header.
const TIME_LEN: usize = 17;

/// ```text
/// SingleResponse ::= SEQUENCE {
///     certID                  CertID,
///     certStatus              CertStatus,
///     thisUpdate              GeneralizedTime,
///     nextUpdate          [0] EXPLICIT GeneralizedTime OPTIONAL,
///     singleExtensions    [1] EXPLICIT Extensions OPTIONAL }
/// ```
/// nextUpdate is always there (RFC 9919 §3.2.4).
#[derive(Debug, Clone, Copy)]
pub(super) struct SingleResponse<'a> {
    /// As it stood in the request.
    pub(super) cert_id: &'a [u8],
    pub(super) cert_status: CertStatus,
    pub(super) this_update: UnixTime,
    pub(super) next_update: UnixTime,
    /// The only extension of singleExtensions.
    pub(super) archive_cutoff: Option<UnixTime>,
}

/// Octets of singleExtensions with an archiveCutoff: identifier, time and headers.
const ARCHIVE_CUTOFF_LEN: usize = 36;

impl SingleResponse<'_> {
    fn content_len(&self) -> usize {
        let status = match &self.cert_status {
            CertStatus::Good | CertStatus::Unknown => 2,
            CertStatus::Revoked(revocation) => value_len(revoked_info_len(revocation)),
        };
        let extensions = if self.archive_cutoff.is_some() { ARCHIVE_CUTOFF_LEN } else { 0 };
        self.cert_id.len() + status + TIME_LEN + value_len(TIME_LEN) + extensions
    }

    fn write(&self, w: &mut Writer) {
        w.header(tag::SEQUENCE, self.content_len());
        w.raw(self.cert_id);
        match &self.cert_status {
            CertStatus::Good => w.value(tag::context(0), &[]),
            CertStatus::Revoked(revocation) => write_revoked_info(revocation, w),
            CertStatus::Unknown => w.value(tag::context(2), &[]),
        }
        w.generalized_time(self.this_update);
        w.header(tag::context_constructed(0), TIME_LEN);
        w.generalized_time(self.next_update);
        if let Some(cutoff) = self.archive_cutoff {
            // `ArchiveCutoff ::= GeneralizedTime` (RFC 6960 §4.4.4).
            w.nested(tag::context_constructed(1), |w| {
                w.sequence(|w| write_extension(w, &oid::OCSP_ARCHIVE_CUTOFF, |w| w.generalized_time(cutoff)));
            });
        }
    }
}

/// ```text
/// RevokedInfo ::= SEQUENCE {
///     revocationTime          GeneralizedTime,
///     revocationReason    [0] EXPLICIT CRLReason OPTIONAL }
/// ```
/// The reason is left out when it is unspecified (RFC 5280 §5.3.1).
fn write_revoked_info(revocation: &Revocation, w: &mut Writer) {
    w.header(tag::context_constructed(1), revoked_info_len(revocation));
    w.generalized_time(revocation.revoked_at);
    if revocation.reason != RevocationReason::Unspecified {
        w.header(tag::context_constructed(0), 3);
        w.enumerated(revocation.reason.code());
    }
}

const fn revoked_info_len(revocation: &Revocation) -> usize {
    match revocation.reason {
        RevocationReason::Unspecified => TIME_LEN,
        _ => TIME_LEN + 5,
    }
}

/// ```text
/// ResponseData ::= SEQUENCE {
///     version             [0] EXPLICIT Version DEFAULT v1,
///     responderID             ResponderID,
///     producedAt              GeneralizedTime,
///     responses               SEQUENCE OF SingleResponse,
///     responseExtensions  [1] EXPLICIT Extensions OPTIONAL }
/// ```
#[derive(Debug, Clone, Copy)]
pub(super) struct ResponseData<'a> {
    pub(super) identity: &'a Identity,
    pub(super) produced_at: UnixTime,
    pub(super) responses: &'a [SingleResponse<'a>],
    /// responseExtensions with its tag, or nothing: see [`response_extensions`].
    pub(super) response_extensions: &'a [u8],
}

impl ResponseData<'_> {
    /// The octets to be signed.
    pub(super) fn to_der(self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(value_len(self.content_len()));
        self.write(&mut writer);
        writer.into_bytes()
    }

    /// The whole answer, once its signature is there.
    pub(super) fn to_response(self, signature: &[u8]) -> Vec<u8> {
        to_response(self.identity, signature, value_len(self.content_len()), |w| self.write(w))
    }

    fn responses_len(&self) -> usize {
        self.responses.iter().map(|single| value_len(single.content_len())).sum()
    }

    fn content_len(&self) -> usize {
        self.identity.responder_id.len()
            + TIME_LEN
            + value_len(self.responses_len())
            + self.response_extensions.len()
    }

    fn write(&self, w: &mut Writer) {
        w.header(tag::SEQUENCE, self.content_len());
        w.raw(&self.identity.responder_id);
        w.generalized_time(self.produced_at);
        w.header(tag::SEQUENCE, self.responses_len());
        self.responses.iter().for_each(|single| single.write(w));
        w.raw(self.response_extensions);
    }
}

/// The whole answer around a ResponseData that stands ready.
pub(super) fn response_around(identity: &Identity, response_data: &[u8], signature: &[u8]) -> Vec<u8> {
    to_response(identity, signature, response_data.len(), |w| w.raw(response_data))
}

/// ```text
/// OCSPResponse ::= SEQUENCE {
///     responseStatus          OCSPResponseStatus,
///     responseBytes       [0] EXPLICIT ResponseBytes OPTIONAL }
/// ResponseBytes ::= SEQUENCE {
///     responseType            OBJECT IDENTIFIER,
///     response                OCTET STRING }
/// BasicOCSPResponse ::= SEQUENCE {
///     tbsResponseData         ResponseData,
///     signatureAlgorithm      AlgorithmIdentifier,
///     signature               BIT STRING,
///     certs               [0] EXPLICIT SEQUENCE OF Certificate OPTIONAL }
/// ```
fn to_response(
    identity: &Identity,
    signature: &[u8],
    response_data_len: usize,
    write_response_data: impl FnOnce(&mut Writer),
) -> Vec<u8> {
    let basic = response_data_len
        + identity.signature_algorithm.len()
        + value_len(signature.len() + 1)
        + identity.certs.len();
    let response_type = value_len(oid::OCSP_BASIC.content().len());
    let response_bytes = response_type + value_len(value_len(basic));
    let response = 3 + value_len(value_len(response_bytes));
    let mut writer = Writer::with_capacity(value_len(response));
    let w = &mut writer;
    w.header(tag::SEQUENCE, response);
    w.enumerated(0);
    w.header(tag::context_constructed(0), value_len(response_bytes));
    w.header(tag::SEQUENCE, response_bytes);
    w.oid(&oid::OCSP_BASIC);
    w.header(tag::OCTET_STRING, value_len(basic));
    w.header(tag::SEQUENCE, basic);
    write_response_data(w);
    w.raw(&identity.signature_algorithm);
    w.bit_string(signature);
    w.raw(&identity.certs);
    writer.into_bytes()
}

/// responseExtensions with its tag, or nothing when there is none.
pub(super) fn response_extensions(nonce: Option<&[u8]>, extended_revoke: bool) -> Vec<u8> {
    if nonce.is_none() && !extended_revoke {
        return Vec::new();
    }
    Writer::to_der(|w| {
        w.nested(tag::context_constructed(1), |w| {
            w.sequence(|w| {
                if let Some(nonce) = nonce {
                    write_extension(w, &oid::OCSP_NONCE, |w| w.octet_string(nonce));
                }
                if extended_revoke {
                    write_extension(w, &oid::OCSP_EXTENDED_REVOKE, Writer::null);
                }
            });
        });
    })
}

/// Octets of a value with `content_len` octets of content.
const fn value_len(content_len: usize) -> usize {
    let header = match content_len {
        0..0x80 => 2,
        0x80..0x100 => 3,
        0x100..0x1_0000 => 4,
        0x1_0000..0x100_0000 => 5,
        _ => 6,
    };
    header + content_len
}
