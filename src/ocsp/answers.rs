//! Signatures kept for further askers.

use ring::digest;

use super::cert_id::CertId;
use super::directory::{Identity, IssuerForm};
use super::table::Table;
use crate::der::UnixTime;
use crate::status::StatusWord;

/// Octets of a P-256 signature at most: two INTEGERs of 33 octets in a SEQUENCE. Ed25519 has 64.
const SHORT_MAX: usize = 72;
/// Octets of an RSA-2048 signature; P-384 has 104 at most.
pub(super) const SIGNATURE_MAX: usize = 256;

/// What was asked, and so what a signature can be found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Question {
    /// Form of the issuer and place of the signer; or [`Self::HASHED`] and place.
    pub(super) form: u32,
    /// The serial, or half of a hash.
    pub(super) serial: u64,
    /// Zero, or the other half.
    pub(super) rest: u64,
}

impl Question {
    /// Known by a hash; no form has this number.
    const HASHED: u32 = 0x00ff_ffff;

    /// One question: the form of its issuer, its serial, and which of the issuer's signers is to
    /// answer are all that can differ in it.
    pub(super) fn one(form: IssuerForm, place: u8, cert_id: &CertId<'_>) -> Self {
        match cert_id.serial_number.and_then(|serial| serial.to_u64()) {
            Some(serial) => Self { form: form.0 | u32::from(place) << 24, serial, rest: 0 },
            None => Self::hashed(place, cert_id.der),
        }
    }

    /// Several: a hash of the CertIDs and of their statuses.
    pub(super) fn several<'a>(place: u8, asked: impl Iterator<Item = (&'a [u8], StatusWord)>) -> Self {
        let mut parts = Vec::new();
        for (cert_id, word) in asked {
            // DER says where a CertID ends, and a word has eight octets.
            parts.extend_from_slice(cert_id);
            parts.extend_from_slice(&word.bits().to_be_bytes());
        }
        Self::hashed(place, &parts)
    }

    /// Half of SHA-256: whoever finds two questions with one hash gets an answer that does not
    /// verify, after 2⁶⁴ tries.
    fn hashed(place: u8, octets: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, octets);
        let half = |at: usize| {
            let octets = digest.as_ref().get(at..).and_then(|rest| rest.first_chunk());
            octets.copied().map_or(0, u64::from_be_bytes)
        };
        Self { form: Self::HASHED | u32::from(place) << 24, serial: half(0), rest: half(8) }
    }

    /// The form of the issuer and the serial, of one question about a serial below 2⁶⁴.
    pub(super) fn issuer_and_serial(&self) -> Option<(IssuerForm, u64)> {
        let form = self.form & 0x00ff_ffff;
        (form != Self::HASHED).then_some((IssuerForm(form), self.serial))
    }

    /// The place of the signer asked for.
    pub(super) const fn place(&self) -> u8 {
        let [place, ..] = self.form.to_be_bytes();
        place
    }
}

/// From what a signature was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    /// The status asked for; of several, [`StatusWord::NEVER_ISSUED`], theirs being part of
    /// the question.
    pub(super) word: StatusWord,
    pub(super) produced_at: UnixTime,
    pub(super) signer_number: u32,
}

/// Octets of a signature, in place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signature {
    pub(super) len: usize,
    pub(super) octets: [u8; SIGNATURE_MAX],
}

impl Signature {
    pub(super) const fn empty() -> Self {
        Self { len: 0, octets: [0; SIGNATURE_MAX] }
    }

    pub(super) fn octets(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}

/// Signatures made lately, within a budget of octets, shared by all threads without a lock.
#[derive(Debug)]
pub(super) struct Answers {
    short: Table,
    long: Table,
}

impl Answers {
    /// Budgets, in octets, for signatures of up to [`SHORT_MAX`] octets and for longer ones. The
    /// memory is taken as they come.
    pub(super) fn new(short: usize, long: usize) -> Self {
        Self { short: Table::new(SHORT_MAX, short), long: Table::new(SIGNATURE_MAX, long) }
    }

    /// Says what [`Self::find`] is going to be asked, so that it is on its way from memory.
    pub(super) fn expect(&self, question: &Question, identity: &Identity) {
        self.table(identity.key.algorithm().signature_len_max()).expect(question);
    }

    /// The signature that `identity` made for this question, written to `signature`.
    pub(super) fn find(
        &self,
        question: &Question,
        identity: &Identity,
        signature: &mut Signature,
    ) -> Option<Kept> {
        self.table(identity.key.algorithm().signature_len_max()).find(question, signature)
    }

    /// Keeps a signature in the place of an older one.
    pub(super) fn keep(&self, question: &Question, identity: &Identity, kept: &Kept, signature: &[u8]) {
        self.table(identity.key.algorithm().signature_len_max()).keep(question, kept, signature);
    }

    /// How much of the memory for signatures of such a length is taken.
    pub(super) fn percent_taken(&self, signature_len_max: usize) -> usize {
        self.table(signature_len_max).percent_taken()
    }

    fn table(&self, signature_len_max: usize) -> &Table {
        if signature_len_max > SHORT_MAX { &self.long } else { &self.short }
    }

    /// Octets of all places taken.
    pub(super) fn bytes(&self) -> u64 {
        self.short.bytes() + self.long.bytes()
    }

    /// Looks through `limit` places from the `from`-th on: what is kept there and has been asked
    /// for since it was signed goes to `found`. The place to go on from; none at the end.
    pub(super) fn asked_since_signed(
        &self,
        from: usize,
        limit: usize,
        mut found: impl FnMut(Question, Kept),
    ) -> Option<usize> {
        let (short, all) = (self.short.places(), self.short.places() + self.long.places());
        let to = from.saturating_add(limit).min(all);
        for place in from..to {
            let asked = match place.checked_sub(short) {
                None => self.short.asked_since_signed(place),
                Some(place) => self.long.asked_since_signed(place),
            };
            if let Some((question, kept)) = asked {
                found(question, kept);
            }
        }
        (to < all).then_some(to)
    }
}
