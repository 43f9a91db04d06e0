//! Signatures that may be given again.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use ring::digest::{Context, SHA256};

use super::directory::IssuerForm;
use crate::der::UnixTime;
use crate::pki::SerialNumber;
use crate::status::StatusWord;

/// Octets of an ECDSA-P256 signature at most: two INTEGERs of 33 octets in a SEQUENCE.
const INLINE_MAX: usize = 72;
/// What an entry takes beside its key and value: links, hash table, eviction state.
const ENTRY_OVERHEAD: u64 = 32;

/// What was asked, and so what a signature can be found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Question {
    form: u32,
    octets: [u8; SerialNumber::OCTETS_MAX],
}

impl Question {
    /// Several questions in one, and the first of their signers; no form has this number.
    const SEVERAL: u32 = 0x00ff_ffff;

    /// One question: the form of its issuer, its serial, and which of the issuer's signers is to
    /// answer are all that can differ in it.
    pub(super) fn one(form: IssuerForm, place: u8, serial: &SerialNumber) -> Self {
        let mut octets = [0; SerialNumber::OCTETS_MAX];
        let digits = serial.magnitude();
        let places = octets.iter_mut().rev().zip(digits.iter().rev());
        places.for_each(|(place, digit)| *place = *digit);
        Self { form: form.0 | u32::from(place) << 24, octets }
    }

    /// Several: a hash of the CertIDs and of their statuses.
    pub(super) fn several<'a>(place: u8, asked: impl Iterator<Item = (&'a [u8], StatusWord)>) -> Self {
        let mut context = Context::new(&SHA256);
        for (cert_id, word) in asked {
            // DER says where a CertID ends, and a word has eight octets.
            context.update(cert_id);
            context.update(&word.bits().to_be_bytes());
        }
        let mut octets = [0; SerialNumber::OCTETS_MAX];
        octets.iter_mut().zip(context.finish().as_ref()).for_each(|(place, octet)| *place = *octet);
        Self { form: Self::SEVERAL | u32::from(place) << 24, octets }
    }
}

/// A signature, and from what it was made.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// The status asked for; of several, [`StatusWord::NEVER_ISSUED`], theirs being part of
    /// the question.
    pub(super) word: StatusWord,
    pub(super) produced_at: UnixTime,
    pub(super) signer_number: u32,
    pub(super) signature: Signature,
}

/// Octets of a signature; short ones lie in the entry itself, a memory access nearer.
#[derive(Debug, Clone)]
pub(super) enum Signature {
    Inline { len: u8, octets: [u8; INLINE_MAX] },
    Shared(Arc<[u8]>),
}

impl From<&[u8]> for Signature {
    fn from(signature: &[u8]) -> Self {
        let mut octets = [0; INLINE_MAX];
        match (octets.get_mut(..signature.len()), u8::try_from(signature.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(signature);
                Self::Inline { len, octets }
            }
            _ => Self::Shared(signature.into()),
        }
    }
}

impl Signature {
    pub(super) fn octets(&self) -> &[u8] {
        match self {
            Self::Inline { len, octets } => octets.get(..usize::from(*len)).unwrap_or_default(),
            Self::Shared(octets) => octets,
        }
    }
}

/// Signatures made lately, within a budget of octets, shared by all threads.
pub(super) struct Answers(Cache<Question, Kept, Octets>);

impl Answers {
    pub(super) fn new(octets: usize) -> Self {
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        let entries = usize::try_from(octets / Octets::entry()).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(entries, octets, Octets))
    }

    pub(super) fn find(&self, question: &Question) -> Option<Kept> {
        self.0.get(question)
    }

    pub(super) fn keep(&self, question: Question, kept: Kept) {
        self.0.insert(question, kept);
    }

    /// Accounted octets.
    pub(super) fn bytes(&self) -> u64 {
        self.0.weight()
    }
}

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answers").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

/// Weighs an entry by the memory it takes.
#[derive(Clone)]
struct Octets;

impl Octets {
    fn entry() -> u64 {
        u64::try_from(size_of::<(Question, Kept)>()).unwrap_or(u64::MAX) + ENTRY_OVERHEAD
    }
}

impl Weighter<Question, Kept> for Octets {
    fn weight(&self, _: &Question, kept: &Kept) -> u64 {
        let shared = match &kept.signature {
            Signature::Inline { .. } => 0,
            Signature::Shared(octets) => octets.len(),
        };
        Self::entry() + u64::try_from(shared).unwrap_or(u64::MAX)
    }
}
