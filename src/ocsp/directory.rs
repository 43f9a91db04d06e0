//! Who signs for which issuer, and how an issuer is recognised in a question.

use std::sync::Arc;

use super::cert_id::AlgorithmIdentifier;
use super::request::to_request;
use crate::der::{Reader, UnixTime, Writer, tag};
use crate::pki::{AuthorityId, Generation, HashAlgorithm, Issuer, SerialNumber};
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
    /// Its signers now, one an algorithm: the first signs for everybody who prefers no other.
    /// Their algorithms are the allow-list of RFC 6960 §4.4.7: nothing else is ever used.
    pub signers: Vec<Arc<Signer>>,
}

/// An issuer with one of its signers: all of their answers that never changes.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) authority: AuthorityId,
    pub(super) generation: Generation,
    /// Its place among the signers of the issuer.
    pub(super) place: u8,
    pub(super) key: Arc<signer::Key>,
    /// Tells this signer's signatures from those of every other one in this process.
    pub(super) signer_number: u32,
    /// When the CA's certificate begins to be valid: nothing is on record before.
    pub(super) not_before: UnixTime,
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
    fn new(issuer: &Issuer, place: u8, signer: &Signer, signer_number: u32) -> Self {
        Self {
            authority: issuer.authority,
            generation: issuer.generation,
            place,
            key: Arc::clone(&signer.key),
            signer_number,
            not_before: issuer.not_before,
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
            && self.place == other.place
            && (self.not_before, self.not_after) == (other.not_before, other.not_after)
            && self.responder_id == other.responder_id
            && self.signature_algorithm == other.signature_algorithm
            && self.certs == other.certs
    }

    pub(super) fn is_for(&self, authority: AuthorityId, generation: Generation) -> bool {
        self.authority == authority && self.generation == generation
    }

    /// The AlgorithmIdentifier of its SubjectPublicKeyInfo.
    pub(super) fn key_algorithm(&self) -> Option<AlgorithmIdentifier<'_>> {
        let content = Reader::new(self.key.spki()).read(tag::SEQUENCE).ok()?;
        AlgorithmIdentifier::read(&mut Reader::new(content)).ok()
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
pub(super) struct Form {
    /// Last octets of `octets`: part of the hash of a key, so they hardly ever coincide.
    tail: u64,
    number: IssuerForm,
    /// The hash, and whether its parameters are NULL.
    hash: (HashAlgorithm, bool),
    /// hashAlgorithm, issuerNameHash and issuerKeyHash, DER.
    octets: Vec<u8>,
    /// One a signer, in order of preference; never empty.
    identities: Arc<[Arc<Identity>]>,
}

impl Directory {
    /// The directory of `identities`. A signer keeps the number it had `before`, so that its
    /// signatures stay usable when others come and go; a new one gets the next number. Of two
    /// identities for one issuer the later counts; one without signers counts for nothing.
    pub(super) fn new(
        identities: &[SigningIdentity],
        before: &Self,
        mut next_number: impl FnMut() -> u32,
    ) -> Self {
        let mut forms: Vec<Form> = Vec::new();
        for SigningIdentity { issuer, signers } in identities {
            let numbered = (0..).zip(signers).map(|(place, signer)| {
                let new = Identity::new(issuer, place, signer, 0);
                let known = before.identities().find(|known| known.says_as(&new));
                let signer_number = known.map_or_else(&mut next_number, |known| known.signer_number);
                Arc::new(Identity { signer_number, ..new })
            });
            let identities: Arc<[Arc<Identity>]> = numbered.collect();
            forms.retain(|form| !form.is_for(issuer.authority, issuer.generation));
            if identities.is_empty() {
                continue;
            }
            forms.extend(issuer_forms(issuer).map(|(number, hash, octets)| Form {
                tail: tail(&octets),
                number,
                hash,
                octets,
                identities: Arc::clone(&identities),
            }));
        }
        forms.sort_by_key(|form| form.tail);
        Self { forms }
    }

    /// The form of this number.
    pub(super) fn form(&self, number: IssuerForm) -> Option<&Form> {
        self.forms.iter().find(|form| form.number == number)
    }

    /// Every way to name this issuer.
    pub(super) fn forms_of(&self, issuer: &Issuer) -> impl Iterator<Item = &Form> {
        let (authority, generation) = (issuer.authority, issuer.generation);
        self.forms.iter().filter(move |form| form.is_for(authority, generation))
    }

    fn identities(&self) -> impl Iterator<Item = &Arc<Identity>> {
        self.forms.iter().flat_map(|form| form.identities.iter())
    }

    /// Who signs for the issuer that a CertID names with these octets. Name and key must both
    /// be one issuer's (RFC 6960 §4.1.1).
    pub(super) fn find(&self, octets: &[u8]) -> Option<(IssuerForm, &[Arc<Identity>])> {
        let tail = tail(octets);
        let first = self.forms.partition_point(|form| form.tail < tail);
        let candidates = self.forms.iter().skip(first).take_while(|form| form.tail == tail);
        let mut matching = candidates.filter(|form| form.octets == octets);
        matching.next().map(|form| (form.number, &*form.identities))
    }
}

impl Form {
    /// The OCSPRequest of a client that names the issuer this way and prefers this signer.
    pub(super) fn request_for(&self, serial: &SerialNumber, identity: &Identity) -> Vec<u8> {
        let cert_id = |w: &mut Writer| {
            w.raw(&self.octets);
            serial.write(w);
        };
        let algorithm = (identity.place > 0).then(|| identity.key.algorithm());
        to_request(cert_id, algorithm)
    }

    /// Its signers, in order of preference.
    pub(super) fn identities(&self) -> impl Iterator<Item = &Identity> {
        self.identities.iter().map(|identity| &**identity)
    }

    /// The hash it is made with, and whether its parameters are NULL.
    pub(super) fn hash(&self) -> (HashAlgorithm, bool) {
        self.hash
    }

    fn is_for(&self, authority: AuthorityId, generation: Generation) -> bool {
        self.identities.iter().any(|identity| identity.is_for(authority, generation))
    }
}

/// Every way a CertID may name `issuer`: each hash, its parameters NULL or absent.
fn issuer_forms(issuer: &Issuer) -> impl Iterator<Item = (IssuerForm, (HashAlgorithm, bool), Vec<u8>)> {
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
        (IssuerForm(u32::from_be_bytes(number)), (hash, null), octets)
    })
}

fn tail(octets: &[u8]) -> u64 {
    octets.last_chunk().copied().map_or(0, u64::from_be_bytes)
}
