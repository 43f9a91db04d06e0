//! A table of signatures that no reader and no writer waits for.
//!
//! Every word of it is an atomic. A slot's first word is its version: odd while the slot is
//! being written, another even number afterwards. A reader who finds it the same before and
//! after has read what one writer wrote; otherwise the slot counts as empty. To lose a signature
//! costs making it again, so a writer who keeps meeting others gives up.

use super::answers::{Kept, Question, Signature};
use crate::der::UnixTime;
use crate::status::StatusWord;

#[cfg(not(shuttle))]
use std::sync::{
    OnceLock,
    atomic::{AtomicU64, AtomicUsize, Ordering, fence},
};

/// Slots of a bucket: where a question may lie. Serials of a counter spread over the buckets
/// nearly evenly, see [`Table::bucket`], so that a table half full has hardly a full one.
const WAYS: usize = 4;

/// How often a writer who met another one looks for a slot.
const TRIES: usize = 3;

/// Words of a slot before its signature.
const HEAD: usize = 7;
const VERSION: usize = 0;
const SERIAL: usize = 1;
/// Form in the lower half, number of the signer in the upper.
const FORM: usize = 2;
const REST: usize = 3;
const STATUS: usize = 4;
/// producedAt, and the signature's length in the lowest sixteen bits.
const PRODUCED: usize = 5;
/// 1 once the signature has been asked for; not covered by the version.
const ASKED: usize = 6;

/// Slots for signatures up to one length.
#[derive(Debug)]
pub(super) struct Table {
    words: OnceLock<Box<[AtomicU64]>>,
    slot_words: usize,
    buckets: usize,
    taken: AtomicUsize,
}

impl Table {
    /// A table within a budget of octets; at least one bucket.
    pub(super) fn new(signature_max: usize, budget: usize) -> Self {
        // Whole lines of the processor's caches.
        let slot_words = (HEAD + signature_max.div_ceil(size_of::<u64>())).next_multiple_of(8);
        let buckets = (budget / size_of::<u64>() / slot_words / WAYS).max(1);
        Self { words: OnceLock::new(), slot_words, buckets, taken: AtomicUsize::new(0) }
    }

    /// The signature kept for this question, written to `signature`.
    pub(super) fn find(&self, question: &Question, signature: &mut Signature) -> Option<Kept> {
        let bucket = self.bucket(question)?;
        let slot = bucket.chunks_exact(self.slot_words).find_map(|slot| holds(slot, question))?;
        let kept = read(slot, question, signature)?;
        let asked = slot.get(ASKED)?;
        if asked.load(Ordering::Relaxed) == 0 {
            asked.store(1, Ordering::Relaxed);
        }
        Some(kept)
    }

    /// Keeps a signature: in the place of the one before it, in a free one, or in that of the
    /// oldest of its bucket.
    pub(super) fn keep(&self, question: &Question, kept: &Kept, signature: &[u8]) {
        self.words.get_or_init(|| zeroed(self.buckets * WAYS * self.slot_words));
        let Some(bucket) = self.bucket(question) else { return };
        let oldest_first = |slot: &&[AtomicU64]| match holds(slot, question) {
            Some(_) => None,
            None => Some(load(slot, PRODUCED)),
        };
        for _ in 0..TRIES {
            // A slot never written has a producedAt of zero.
            let slot = bucket.chunks_exact(self.slot_words).min_by_key(oldest_first);
            let before = slot.and_then(|slot| write(slot, question, kept, signature));
            if before == Some(0) {
                self.taken.fetch_add(1, Ordering::Relaxed);
            }
            if before.is_some() {
                return;
            }
        }
    }

    /// Octets of the slots taken.
    pub(super) fn bytes(&self) -> u64 {
        let words = self.taken.load(Ordering::Relaxed) * self.slot_words;
        u64::try_from(words * size_of::<u64>()).unwrap_or(u64::MAX)
    }

    /// Number of slots, zero before the first is written.
    pub(super) fn places(&self) -> usize {
        if self.words.get().is_some() { self.buckets * WAYS } else { 0 }
    }

    /// What lies in a slot, if it was asked for since it was written.
    pub(super) fn asked_since_signed(&self, place: usize) -> Option<(Question, Kept)> {
        let start = place * self.slot_words;
        let slot = self.words.get()?.get(start..start + self.slot_words)?;
        if load(slot, ASKED) == 0 {
            return None;
        }
        let [form, _] = halves(load(slot, FORM));
        let question = Question { form, serial: load(slot, SERIAL), rest: load(slot, REST) };
        let kept = read(slot, &question, &mut Signature::empty())?;
        Some((question, kept))
    }

    /// The slots where a question may lie; none before the first signature.
    ///
    /// Multiples of the golden ratio, taken modulo one, lie as evenly as points can that come
    /// one after another; so do the serials of a counter, for each form.
    fn bucket(&self, question: &Question) -> Option<&[AtomicU64]> {
        let words = self.words.get()?;
        let form = u64::from(question.form).wrapping_mul(FORM_SPREAD);
        let point = question.serial.wrapping_mul(GOLDEN_RATIO).wrapping_add(form);
        let [_, bucket] = wide_product(point, u64::try_from(self.buckets).ok()?);
        let len = WAYS * self.slot_words;
        let start = usize::try_from(bucket).ok()? * len;
        words.get(start..start + len)
    }
}

/// 2⁶⁴ divided by the golden ratio.
const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;
/// Odd, so that forms, which differ in few bits, start at different points.
const FORM_SPREAD: u64 = 0xd6e8_feb8_6659_fd93;

/// Lower and upper half of a product.
fn wide_product(a: u64, b: u64) -> [u64; 2] {
    let product = u128::from(a) * u128::from(b);
    let half = |shift: u32| u64::try_from(product >> shift & u128::from(u64::MAX)).unwrap_or(0);
    [half(0), half(64)]
}

/// The slot, if it is this question's.
fn holds<'a>(slot: &'a [AtomicU64], question: &Question) -> Option<&'a [AtomicU64]> {
    let [form, _] = halves(load(slot, FORM));
    let same = load(slot, SERIAL) == question.serial && form == question.form;
    (same && load(slot, REST) == question.rest && load(slot, VERSION) != 0).then_some(slot)
}

/// What one writer wrote; none when another is writing.
fn read(slot: &[AtomicU64], question: &Question, signature: &mut Signature) -> Option<Kept> {
    let version = slot.get(VERSION)?.load(Ordering::Acquire);
    if version % 2 == 1 {
        return None;
    }
    holds(slot, question)?;
    let [_, signer_number] = halves(load(slot, FORM));
    let word = StatusWord::from_memory(load(slot, STATUS));
    let produced = load(slot, PRODUCED);
    let places = signature.octets.chunks_exact_mut(size_of::<u64>());
    for (place, word) in places.zip(slot.get(HEAD..)?) {
        place.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
    }
    fence(Ordering::Acquire);
    if slot.get(VERSION)?.load(Ordering::Relaxed) != version {
        return None;
    }
    signature.len = usize::try_from(produced & 0xffff).ok()?;
    let produced_at = UnixTime::from_seconds(i64::try_from(produced >> 16).ok()?);
    Some(Kept { word, produced_at, signer_number })
}

/// The version before; none when another is writing, or what does not fit.
fn write(slot: &[AtomicU64], question: &Question, kept: &Kept, signature: &[u8]) -> Option<u64> {
    let produced = u64::try_from(kept.produced_at.seconds()).ok()? << 16;
    let len = u64::try_from(signature.len()).ok()?;
    let places = slot.get(HEAD..)?;
    if signature.len() > places.len() * size_of::<u64>() {
        return None;
    }
    let version = slot.get(VERSION)?;
    let before = version.load(Ordering::Relaxed);
    let writing = before.checked_add(1).filter(|_| before % 2 == 0)?;
    version.compare_exchange(before, writing, Ordering::Acquire, Ordering::Relaxed).ok()?;
    fence(Ordering::Release);
    let store = |at: usize, word: u64| {
        if let Some(place) = slot.get(at) {
            place.store(word, Ordering::Relaxed);
        }
    };
    store(SERIAL, question.serial);
    store(FORM, u64::from(question.form) | u64::from(kept.signer_number) << 32);
    store(REST, question.rest);
    store(STATUS, kept.word.bits());
    store(PRODUCED, produced | len);
    store(ASKED, 0);
    for (place, octets) in places.iter().zip(signature.chunks(size_of::<u64>())) {
        let mut word = [0; size_of::<u64>()];
        word.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
        place.store(u64::from_ne_bytes(word), Ordering::Relaxed);
    }
    version.store(writing.wrapping_add(1), Ordering::Release);
    Some(before)
}

fn load(slot: &[AtomicU64], at: usize) -> u64 {
    slot.get(at).map_or(0, |word| word.load(Ordering::Relaxed))
}

/// Lower and upper half.
fn halves(word: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = word.to_be_bytes();
    [u32::from_be_bytes([e, f, g, h]), u32::from_be_bytes([a, b, c, d])]
}

/// Words that take memory only once they are written.
fn zeroed(len: usize) -> Box<[AtomicU64]> {
    bytemuck::zeroed_slice_box(len)
}
