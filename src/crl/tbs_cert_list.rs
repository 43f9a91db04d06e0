//! TBSCertList and CertificateList (RFC 5280 §5.1).

use super::{Entries, Scope, SetPlan, extensions};
use crate::der::{Writer, tag};
use crate::pki::{Issuer, SignatureAlgorithm};
use crate::signer::{Key, SignError};

/// ```text
/// TBSCertList  ::=  SEQUENCE  {
///      version                 Version OPTIONAL,  -- v2
///      signature               AlgorithmIdentifier,
///      issuer                  Name,
///      thisUpdate              Time,
///      nextUpdate              Time OPTIONAL,
///      revokedCertificates     SEQUENCE OF SEQUENCE { … } OPTIONAL,
///      crlExtensions           [0] Extensions OPTIONAL }
/// ```
///
/// Its octets stand behind the room the header of the CertificateList will take, and before
/// room for the signature: signing moves nothing, and a CRL is in memory once.
#[derive(Debug)]
pub struct TbsCertList {
    algorithm: SignatureAlgorithm,
    /// The CertificateList as far as it is known; its header is zeros.
    octets: Vec<u8>,
    /// Octets of that header.
    header_len: usize,
}

/// Puts the CRL of `scope` together, to be signed with `issuer`'s key by `algorithm`.
///
/// `entries` are those the [`Collector`](super::Collector) of the same plan gives for `scope`;
/// [`gate`](super::gate) checks that they are.
#[must_use]
pub fn tbs_cert_list(
    issuer: &Issuer,
    algorithm: SignatureAlgorithm,
    scope: Scope<'_>,
    plan: &SetPlan,
    entries: &Entries<'_>,
) -> TbsCertList {
    let before = Writer::to_der(|w| {
        w.integer(VERSION_2);
        algorithm.write(w);
        w.raw(issuer.name.der());
        w.time(plan.this_update);
        w.time(plan.next_update);
        // revokedCertificates is absent, not empty (RFC 5280 §5.1.2.6).
        if entries.count() > 0 {
            w.header(tag::SEQUENCE, entries.octets());
        }
    });
    let after = Writer::to_der(|w| extensions::write(w, issuer, plan.number, scope));
    let content_len = before.len() + entries.octets() + after.len();
    let tbs_header = Writer::to_der(|w| w.header(tag::SEQUENCE, content_len));
    let tbs_len = tbs_header.len() + content_len;

    let trailer_len = trailer(algorithm, &[0; SIGNATURE_OCTETS_MAX]).len();
    let header_len = Writer::to_der(|w| w.header(tag::SEQUENCE, tbs_len + trailer_len)).len();
    let mut octets = Vec::with_capacity(header_len + tbs_len + trailer_len);
    octets.resize(header_len, 0);
    octets.extend(tbs_header);
    octets.extend(before);
    entries.parts().iter().for_each(|part| octets.extend_from_slice(part));
    octets.extend(after);
    TbsCertList { algorithm, octets, header_len }
}

impl TbsCertList {
    /// The DER of the TBSCertList: what is signed.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.octets.get(self.header_len..).unwrap_or_default()
    }

    /// The signed CertificateList, DER:
    /// ```text
    /// CertificateList  ::=  SEQUENCE  {
    ///      tbsCertList          TBSCertList,
    ///      signatureAlgorithm   AlgorithmIdentifier,
    ///      signatureValue       BIT STRING  }
    /// ```
    ///
    /// # Errors
    /// [`SignError`]; the signature has been verified otherwise.
    pub fn sign(self, key: &Key) -> Result<Vec<u8>, SignError> {
        let signature = key.sign(self.der())?;
        let Self { algorithm, mut octets, header_len } = self;
        octets.extend(trailer(algorithm, &signature));
        let header = Writer::to_der(|w| w.header(tag::SEQUENCE, octets.len() - header_len));
        // Of the length foreseen unless a shorter signature crosses a length boundary.
        octets.splice(..header_len, header);
        Ok(octets)
    }
}

/// What follows the TBSCertList.
fn trailer(algorithm: SignatureAlgorithm, signature: &[u8]) -> Vec<u8> {
    Writer::to_der(|w| {
        algorithm.write(w);
        w.bit_string(signature);
    })
}

/// Version v2(1) (RFC 5280 §5.1.2.1).
pub(super) const VERSION_2: u64 = 1;

/// An RSA-2048 signature has 256 octets, an ECDSA one fewer.
const SIGNATURE_OCTETS_MAX: usize = 256;
