//! A request as rasn reads it, and the reasons for which this service refuses what rasn reads.

use rasn::prelude::*;
use rasn_ocsp::{CertId, OcspRequest};
use sekisho::pki::oid;

/// Questions in one request: the responder's default.
pub const CERT_IDS_MAX: usize = 16;
/// Octets of a nonce (RFC 9654 §2.1).
const NONCE_MAX: usize = 128;
/// Extensions of one list.
const EXTENSIONS_MAX: usize = 16;

/// An OCSPRequest in which the parts that are looked at for their form only are open.
#[derive(AsnType, Decode, Encode, Debug)]
pub struct Reading {
    tbs_request: Tbs,
    #[rasn(tag(explicit(0)))]
    optional_signature: Option<Signature>,
}

#[derive(AsnType, Decode, Encode, Debug)]
struct Tbs {
    #[rasn(tag(explicit(0)), default)]
    version: Integer,
    #[rasn(tag(explicit(1)))]
    requestor_name: Option<Any>,
    request_list: SequenceOf<Request>,
    #[rasn(tag(explicit(2)))]
    request_extensions: Option<SequenceOf<Extension>>,
}

#[derive(AsnType, Decode, Encode, Debug)]
struct Request {
    req_cert: CertId,
    #[rasn(tag(explicit(0)))]
    single_request_extensions: Option<SequenceOf<Extension>>,
}

#[derive(AsnType, Decode, Encode, Debug)]
struct Extension {
    extn_id: ObjectIdentifier,
    #[rasn(default)]
    critical: bool,
    extn_value: OctetString,
}

#[derive(AsnType, Decode, Encode, Debug)]
struct Signature {
    signature_algorithm: Algorithm,
    signature: BitString,
    #[rasn(tag(explicit(0)))]
    certs: Option<SequenceOf<Any>>,
}

#[derive(AsnType, Decode, Encode, Debug)]
struct Algorithm {
    algorithm: ObjectIdentifier,
    parameters: Option<Any>,
}

#[derive(AsnType, Decode, Encode, Debug)]
struct Preferred {
    signature: Algorithm,
    public_key: Option<Algorithm>,
}

impl Reading {
    /// None when rasn does not read it.
    pub fn of(request: &[u8]) -> Option<Self> {
        rasn::der::decode(request).ok()
    }

    pub fn version_is_v1(&self) -> bool {
        self.tbs_request.version == Integer::from(0)
    }

    /// Each CertID, written anew.
    pub fn cert_ids(&self) -> Vec<Vec<u8>> {
        self.questions().map(|cert_id| rasn::der::encode(cert_id).unwrap()).collect()
    }

    pub fn questions(&self) -> impl Iterator<Item = &CertId> {
        self.tbs_request.request_list.iter().map(|request| &request.req_cert)
    }

    pub fn nonce(&self) -> Option<Vec<u8>> {
        let nonce = self.extensions().iter().find(|extension| extension.is(&oid::OCSP_NONCE))?;
        Some(strict::<OctetString>(&nonce.extn_value)?.to_vec())
    }

    /// Whether there are parts of which the service sees the form only, and rasn-ocsp more.
    pub fn has_open_parts(&self) -> bool {
        self.tbs_request.requestor_name.is_some() || self.optional_signature.is_some()
    }

    /// Why the service may refuse this, though it is DER and rasn reads it.
    pub fn refusal(&self) -> Option<&'static str> {
        let tbs = &self.tbs_request;
        let singles = tbs.request_list.iter().filter_map(|r| r.single_request_extensions.as_ref());
        let reasons = [
            (!self.version_is_v1(), "version"),
            (tbs.request_list.is_empty(), "no question"),
            (tbs.request_list.len() > CERT_IDS_MAX, "too many questions"),
            (!self.questions().all(|q| plain(q.hash_algorithm.parameters.as_ref())), "parameters"),
            (self.optional_signature.as_ref().is_some_and(|s| !s.is_plain()), "form of the signature"),
            (self.optional_signature.is_some() && tbs.requestor_name.is_none(), "signed by nobody"),
            (singles.into_iter().any(|list| !single_extensions_do(list)), "single extensions"),
            (!request_extensions_do(self.extensions()), "extensions"),
        ];
        reasons.into_iter().find_map(|(holds, reason)| holds.then_some(reason))
    }

    fn extensions(&self) -> &[Extension] {
        self.tbs_request.request_extensions.as_deref().unwrap_or_default()
    }
}

/// Whether rasn-ocsp reads all of it, and would write it the same: it is DER then.
pub fn is_der_to_rasn(request: &[u8]) -> bool {
    strict::<OcspRequest>(request).is_some()
}

/// Whether rasn-ocsp reads it at all.
pub fn is_read_by_rasn(request: &[u8]) -> bool {
    rasn::der::decode::<OcspRequest>(request).is_ok()
}

/// Whether an OBJECT IDENTIFIER in it has an arc of more than 32 bits, which rasn does not count
/// to.
pub fn counts_beyond_rasn(request: &[u8]) -> bool {
    let mut rest = request;
    while let [first, after @ ..] = rest {
        if let (0x06, [len, after @ ..]) = (first, after) {
            let content = after.get(..usize::from(*len)).unwrap_or_default();
            if content.split_inclusive(|octet| octet & 0x80 == 0).any(|arc| arc_bits(arc) > 32) {
                return true;
            }
        }
        rest = after;
    }
    false
}

/// Bits of an arc without those in front that are zero: seven an octet.
fn arc_bits(arc: &[u8]) -> usize {
    let first = arc.first().map_or(0, |octet| 8 - (octet & 0x7f).leading_zeros());
    7 * (arc.len() - 1) + first as usize
}

/// What `octets` say, if these are the octets DER says it with.
fn strict<T: Decode + Encode>(octets: &[u8]) -> Option<T> {
    let value: T = rasn::der::decode(octets).ok()?;
    (rasn::der::encode(&value).ok()? == octets).then_some(value)
}

impl Extension {
    fn is(&self, known: &sekisho::der::Oid) -> bool {
        // An identifier known here is shorter than 128 octets.
        rasn::der::encode(&self.extn_id).is_ok_and(|der| der[2..] == *known.content())
    }
}

impl Signature {
    fn is_plain(&self) -> bool {
        plain(self.signature_algorithm.parameters.as_ref()) && self.signature.len().is_multiple_of(8)
    }
}

fn request_extensions_do(list: &[Extension]) -> bool {
    few_and_different(list)
        && list.iter().all(|extension| {
            let value = &extension.extn_value;
            if extension.is(&oid::OCSP_NONCE) {
                strict::<OctetString>(value).is_some_and(|nonce| (1..=NONCE_MAX).contains(&nonce.len()))
            } else if extension.is(&oid::OCSP_RESPONSE) {
                strict::<SequenceOf<ObjectIdentifier>>(value).is_some_and(|kinds| kinds.iter().any(is_basic))
            } else if extension.is(&oid::OCSP_PREF_SIG_ALGS) {
                strict::<SequenceOf<Preferred>>(value).is_some_and(|all| all.iter().all(Preferred::is_plain))
            } else {
                !extension.critical
            }
        })
}

fn single_extensions_do(list: &[Extension]) -> bool {
    let ignored = |extension: &Extension| extension.is(&oid::OCSP_SERVICE_LOCATOR);
    few_and_different(list) && list.iter().all(|extension| !extension.critical || ignored(extension))
}

fn few_and_different(list: &[Extension]) -> bool {
    let different: std::collections::BTreeSet<_> = list.iter().map(|extension| &extension.extn_id).collect();
    list.len() <= EXTENSIONS_MAX && different.len() == list.len()
}

fn is_basic(kind: &ObjectIdentifier) -> bool {
    rasn::der::encode(kind).is_ok_and(|der| der[2..] == *oid::OCSP_BASIC.content())
}

impl Preferred {
    fn is_plain(&self) -> bool {
        let key = self.public_key.as_ref();
        plain(self.signature.parameters.as_ref()) && key.is_none_or(|key| plain(key.parameters.as_ref()))
    }
}

/// Parameters that leave no doubt: absent, or one primitive value. What is inside constructed
/// ones is looked at by the service, and not by rasn.
fn plain(parameters: Option<&Any>) -> bool {
    const CONSTRUCTED: u8 = 0x20;
    const END_OF_CONTENTS: u8 = 0;
    const SEQUENCE: u8 = 0x10;
    const SET: u8 = 0x11;
    const HIGH_NUMBER: u8 = 0x1f;
    parameters.is_none_or(|value| {
        let tag = value.as_bytes()[0];
        let misplaced = [END_OF_CONTENTS, SEQUENCE, SET].contains(&tag) || tag & HIGH_NUMBER == HIGH_NUMBER;
        tag & CONSTRUCTED == 0 && !misplaced
    })
}
