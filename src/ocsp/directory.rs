//! Who signs for which issuer, and how an issuer is recognised in a question.

use std::sync::Arc;

use crate::der::{UnixTime, Writer, tag};
use crate::pki::{AuthorityId, Generation, HashAlgorithm, Issuer};
use crate::signer;

/// A delegated signer (RFC 6960 §4.2.2.2). That its certificate belongs to its key, was issued
/// by the issuer it is installed for and carries id-kp-OCSPSigning is the office's to see to.
#[derive(Debug)]
pub struct Signer {
    /// Its key.
    pub key: Arc<signer::Key>,
    /// Its certificate, DER; travels in every answer.
    pub certificate: Vec<u8>,
    /// End of that certificate's validity: no answer is valid longer.
    pub not_after: UnixTime,
}

/// An issuer and who signs answers about its certificates.
#[derive(Debug, Clone)]
pub struct SigningIdentity {
    /// One generation of an authority.
    pub issuer: Arc<Issuer>,
    /// Its signer now.
    pub signer: Arc<Signer>,
}

/// A [`SigningIdentity`] with all of its answers that never changes.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) authority: AuthorityId,
    pub(super) generation: Generation,
    pub(super) key: Arc<signer::Key>,
    /// Tells this signer's signatures from those of every other one in this process.
    pub(super) signer_number: u32,
    /// Answers about this issuer end before this: notAfter of the signer's and of the CA's
    /// certificate, whichever is earlier.
    pub(super) not_after: UnixTime,
    /// ResponderID byKey, DER.
    pub(super) responder_id: Vec<u8>,
    /// signatureAlgorithm, DER.
    pub(super) signature_algorithm: Vec<u8>,
    /// `certs [0]` with the signer's certificate, DER.
    pub(super) certs: Vec<u8>,
}

impl Identity {
    fn new(identity: &SigningIdentity, signer_number: u32) -> Self {
        let SigningIdentity { issuer, signer } = identity;
        Self {
            authority: issuer.authority,
            generation: issuer.generation,
            key: Arc::clone(&signer.key),
            signer_number,
            not_after: signer.not_after.min(issuer.not_after),
            responder_id: Writer::to_der(|w| {
                w.nested(tag::context_constructed(2), |w| w.octet_string(&signer.key.key_id()));
            }),
            signature_algorithm: Writer::to_der(|w| signer.key.algorithm().write(w)),
            certs: Writer::to_der(|w| {
                w.nested(tag::context_constructed(0), |w| w.sequence(|w| w.raw(&signer.certificate)));
            }),
        }
    }

    /// True when an answer of the one has the octets of an answer of the other, and its
    /// signature therefore serves both.
    fn says_as(&self, other: &Self) -> bool {
        self.is_for(other.authority, other.generation)
            && self.not_after == other.not_after
            && self.responder_id == other.responder_id
            && self.signature_algorithm == other.signature_algorithm
            && self.certs == other.certs
    }

    pub(super) fn is_for(&self, authority: AuthorityId, generation: Generation) -> bool {
        self.authority == authority && self.generation == generation
    }
}

/// One way of naming an issuer in a CertID, by a number that stays the same whatever else is
/// installed: authority, generation, hash, form of its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct IssuerForm(pub(super) u32);

/// All issuers served, found by the octets a CertID names them with.
#[derive(Debug, Default)]
pub(super) struct Directory {
    /// In order of `tail`.
    forms: Vec<Form>,
}

#[derive(Debug)]
struct Form {
    /// Last octets of `octets`: part of the hash of a key, so they hardly ever coincide.
    tail: u64,
    number: IssuerForm,
    /// hashAlgorithm, issuerNameHash and issuerKeyHash, DER.
    octets: Vec<u8>,
    identity: Arc<Identity>,
}

impl Directory {
    /// The directory of `identities`. A signer keeps the number it had `before`, so that its
    /// signatures stay usable when others come and go; a new one gets the next number. Of two
    /// identities for one issuer the later counts.
    pub(super) fn new(
        identities: &[SigningIdentity],
        before: &Self,
        mut next_number: impl FnMut() -> u32,
    ) -> Self {
        let mut forms: Vec<Form> = Vec::new();
        for identity in identities {
            let new = Identity::new(identity, 0);
            let mut known = before.forms.iter().map(|form| &form.identity);
            let known = known.find(|known| known.says_as(&new));
            let signer_number = known.map_or_else(&mut next_number, |known| known.signer_number);
            let identity_now = Arc::new(Identity { signer_number, ..new });
            forms.retain(|form| !form.identity.is_for(identity_now.authority, identity_now.generation));
            forms.extend(issuer_forms(&identity.issuer).map(|(number, octets)| Form {
                tail: tail(&octets),
                number,
                octets,
                identity: Arc::clone(&identity_now),
            }));
        }
        forms.sort_by_key(|form| form.tail);
        Self { forms }
    }

    /// Who signs for the issuer that a CertID names with these octets. Name and key must both
    /// be one issuer's (RFC 6960 §4.1.1).
    pub(super) fn find(&self, octets: &[u8]) -> Option<(IssuerForm, &Arc<Identity>)> {
        let tail = tail(octets);
        let first = self.forms.partition_point(|form| form.tail < tail);
        let candidates = self.forms.iter().skip(first).take_while(|form| form.tail == tail);
        let mut matching = candidates.filter(|form| form.octets == octets);
        matching.next().map(|form| (form.number, &form.identity))
    }
}

/// Every way a CertID may name `issuer`: each hash, its parameters NULL or absent.
fn issuer_forms(issuer: &Issuer) -> impl Iterator<Item = (IssuerForm, Vec<u8>)> {
    let ways = (0_u8..)
        .zip(HashAlgorithm::ALL)
        .flat_map(|(place, hash)| [(place, hash, false), (place, hash, true)]);
    ways.map(|(place, hash, null)| {
        let number = [0, issuer.authority.0, issuer.generation.number(), place << 1 | u8::from(null)];
        let octets = Writer::to_der(|w| {
            w.sequence(|w| {
                w.oid(&hash.oid());
                if null {
                    w.null();
                }
            });
            w.octet_string(&issuer.name_hash(hash));
            w.octet_string(&issuer.key_hash(hash));
        });
        (IssuerForm(u32::from_be_bytes(number)), octets)
    })
}

fn tail(octets: &[u8]) -> u64 {
    octets.last_chunk().copied().map_or(0, u64::from_be_bytes)
}
