//! TBSCertList and CertificateList (RFC 5280 §5.1).

use std::ops::Range;
use std::{iter, mem};

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
/// Its entries stay where the [`Encoder`](super::Encoder) put them: what precedes and follows them
/// is written around them. So a CRL is in memory once, whoever signs it.
#[derive(Debug)]
pub struct TbsCertList {
    algorithm: SignatureAlgorithm,
    octets: Vec<u8>,
    /// Where it begins in `octets`; before it is room for the header of the CertificateList.
    begin: usize,
    /// Where the entries are, and what they are.
    entries: Entries,
}

/// A signed CertificateList (RFC 5280 §5.1), and the entries to make another one of.
#[derive(Debug)]
pub struct SignedCrl {
    octets: Vec<u8>,
    begin: usize,
    entries: Entries,
}

/// Puts the CRL of `scope` together, to be signed with `issuer`'s key by `algorithm`.
///
/// `entries` are those of `scope` ([`Entries::of`]), by the [`Selection`](super::Selection) of the
/// same plan; [`gate`](super::gate) checks that they are.
#[must_use]
pub fn tbs_cert_list(
    issuer: &Issuer,
    algorithm: SignatureAlgorithm,
    scope: Scope<'_>,
    plan: &SetPlan,
    mut entries: Entries,
) -> TbsCertList {
    let before = Writer::to_der(|w| {
        w.integer(VERSION_2);
        algorithm.write(w);
        w.raw(issuer.name.der());
        w.time(plan.this_update);
        w.time(plan.next_update);
        // revokedCertificates is absent, not empty (RFC 5280 §5.1.2.6).
        if !entries.is_empty() {
            w.header(tag::SEQUENCE, entries.len());
        }
    });
    let after = Writer::to_der(|w| extensions::write(w, issuer, plan.number, scope));
    let header = Writer::to_der(|w| w.header(tag::SEQUENCE, before.len() + entries.len() + after.len()));
    let mut octets = mem::take(&mut entries.octets);
    octets.truncate(entries.place.end);
    octets.extend(after);
    let mut begin = entries.place.start;
    for part in [before, header] {
        begin = put_before(&mut octets, begin, &part, &mut entries.place);
    }
    TbsCertList { algorithm, octets, begin, entries }
}

impl TbsCertList {
    /// The DER of the TBSCertList: what is signed.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.octets.get(self.begin..).unwrap_or_default()
    }

    /// Signs it:
    /// ```text
    /// CertificateList  ::=  SEQUENCE  {
    ///      tbsCertList          TBSCertList,
    ///      signatureAlgorithm   AlgorithmIdentifier,
    ///      signatureValue       BIT STRING  }
    /// ```
    ///
    /// # Errors
    /// [`SignError`]; the signature has been verified otherwise.
    pub fn sign(self, key: &Key) -> Result<SignedCrl, SignError> {
        let signature = key.sign(self.der())?;
        let Self { algorithm, mut octets, begin, mut entries } = self;
        octets.extend(trailer(algorithm, &signature));
        let header = Writer::to_der(|w| w.header(tag::SEQUENCE, octets.len() - begin));
        let begin = put_before(&mut octets, begin, &header, &mut entries.place);
        Ok(SignedCrl { octets, begin, entries })
    }
}

impl SignedCrl {
    /// Its DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.octets.get(self.begin..).unwrap_or_default()
    }

    /// Its entries, for the CRL of another key.
    #[must_use]
    pub fn into_entries(self) -> Entries {
        let Self { octets, mut entries, .. } = self;
        entries.octets = octets;
        entries
    }
}

/// Writes `part` so that it ends at `begin`, and gives its beginning. Where there is no room,
/// everything moves, the entries' place too.
fn put_before(octets: &mut Vec<u8>, begin: usize, part: &[u8], entries: &mut Range<usize>) -> usize {
    let missing = part.len().saturating_sub(begin);
    if missing > 0 {
        octets.splice(..0, iter::repeat_n(0, missing));
        *entries = entries.start + missing..entries.end + missing;
    }
    let start = (begin + missing) - part.len();
    if let Some(room) = octets.get_mut(start..begin + missing) {
        room.copy_from_slice(part);
    }
    start
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
