//! A table of signatures that no reader and no writer waits for.
//!
//! Every word of it is an atomic. A slot's first word is its version: odd while the slot is
//! being written, another even number afterwards. A reader who finds it the same before and
//! after has read what one writer wrote; otherwise the slot counts as empty. To lose a signature
//! costs making it again, so a writer who keeps meeting others gives up.

use std::hint::black_box;
use std::sync::OnceLock;

use super::answers::{Kept, Question, Signature};
use super::memory::words;
use crate::der::UnixTime;
use crate::status::StatusWord;
use crate::sync::{AtomicU64, AtomicUsize, Ordering, fence};

/// Slots of a bucket: where a question may lie. Of random questions that fill half of a level,
/// one bucket in 250 overflows; serials of a counter spread evenly, see [`Level::first_place`].
/// Nearly all lie in the first slot looked at or the one after it.
const WAYS: usize = 16;

/// Levels of a table, the first one small: a service that is asked about little takes little
/// memory, and touches few pages of it.
const LEVELS: usize = 3;
/// How many times larger a level is than the one before it.
const GROWTH: usize = 8;

/// How often a writer who met another one looks for a slot.
const TRIES: usize = 3;

/// Words of a slot before its signature.
const HEAD: usize = 7;

/// Where one signature lies.
#[derive(Clone, Copy)]
struct Slot<'a> {
    version: &'a AtomicU64,
    serial: &'a AtomicU64,
    /// Form in the lower half, number of the signer in the upper.
    form: &'a AtomicU64,
    rest: &'a AtomicU64,
    status: &'a AtomicU64,
    /// producedAt, and the signature's length in the lowest sixteen bits.
    produced: &'a AtomicU64,
    /// 1 once the signature has been asked for; not covered by the version.
    asked: &'a AtomicU64,
    signature: &'a [AtomicU64],
}

/// Slots for signatures up to one length.
///
/// Signatures go into the highest level there is. When that is half full, or one of its buckets
/// quite, the next one is opened, and what is asked for moves up.
#[derive(Debug)]
pub(super) struct Table {
    slot_words: usize,
    levels: [Level; LEVELS],
    /// Number of the highest level open.
    highest: AtomicUsize,
}

#[derive(Debug)]
struct Level {
    words: OnceLock<&'static [AtomicU64]>,
    slot_words: usize,
    buckets: usize,
    taken: AtomicUsize,
}

impl Table {
    /// A table within a budget of octets; at least one bucket a level.
    pub(super) fn new(signature_max: usize, budget: usize) -> Self {
        // Whole lines of the processor's caches.
        let slot_words = (HEAD + signature_max.div_ceil(size_of::<u64>())).next_multiple_of(8);
        let bucket = size_of::<u64>() * slot_words * WAYS;
        // Each but the first is to the rest as GROWTH - 1 to 1.
        let sizes = std::array::from_fn(|level| {
            let left = budget / GROWTH.pow(u32::try_from(LEVELS - 1 - level).unwrap_or(0));
            if level == 0 { left } else { left / GROWTH * (GROWTH - 1) }
        });
        let levels = sizes.map(|size: usize| Level {
            words: OnceLock::new(),
            slot_words,
            buckets: (size / bucket).max(1),
            taken: AtomicUsize::new(0),
        });
        Self { slot_words, levels, highest: AtomicUsize::new(0) }
    }

    /// Begins to load what [`Self::find`] will probably look at. The processor goes on meanwhile.
    pub(super) fn expect(&self, question: &Question) {
        let level = self.levels.get(self.highest.load(Ordering::Relaxed));
        let slot = level.and_then(|level| level.slot(level.first_place(question)));
        if let Some(slot) = slot {
            // Its first line and its last.
            black_box(slot.version.load(Ordering::Relaxed));
            black_box(slot.signature.last().map(|word| word.load(Ordering::Relaxed)));
        }
    }

    /// The signature kept for this question, written to `signature`.
    pub(super) fn find(&self, question: &Question, signature: &mut Signature) -> Option<Kept> {
        let highest = self.highest.load(Ordering::Acquire);
        let (top, below) = self.levels.get(..=highest)?.split_last()?;
        if let Some(kept) = top.find(question, signature) {
            return Some(kept);
        }
        let kept = below.iter().rev().find_map(|level| level.find(question, signature))?;
        // Somebody may be writing a newer one: that stays.
        if !top.has(question) {
            self.keep(question, &kept, signature.octets());
            top.note_asked(question);
        }
        Some(kept)
    }

    /// Keeps a signature: in the place of the one before it, in a free one, or in that of the
    /// oldest of its bucket, first of those that were not asked for again.
    pub(super) fn keep(&self, question: &Question, kept: &Kept, signature: &[u8]) {
        let highest = self.highest.load(Ordering::Acquire);
        let Some(level) = self.levels.get(highest) else { return };
        let next = highest + 1;
        let room = level.has_room(question);
        if let Some(level) = self.levels.get(next).filter(|next| !room && next.is_there()) {
            level.keep(question, kept, signature);
            // Whoever finds it open already has nothing to do.
            let _ = self.highest.compare_exchange(highest, next, Ordering::AcqRel, Ordering::Relaxed);
        } else {
            level.keep(question, kept, signature);
        }
    }

    /// Octets of the slots taken.
    pub(super) fn bytes(&self) -> u64 {
        let taken: usize = self.levels.iter().map(|level| level.taken.load(Ordering::Relaxed)).sum();
        u64::try_from(taken * self.slot_words * size_of::<u64>()).unwrap_or(u64::MAX)
    }

    /// How much of the last level is taken: nearly all of the budget.
    pub(super) fn percent_taken(&self) -> usize {
        let last = self.levels.last();
        last.map_or(100, |level| level.taken.load(Ordering::Relaxed) * 100 / (level.buckets * WAYS))
    }

    /// Number of slots of the highest level.
    pub(super) fn places(&self) -> usize {
        self.levels.get(self.highest.load(Ordering::Acquire)).map_or(0, |level| level.buckets * WAYS)
    }

    /// What lies in a slot of the highest level, if it was asked for since it was written.
    pub(super) fn asked_since_signed(&self, place: usize) -> Option<(Question, Kept)> {
        let level = self.levels.get(self.highest.load(Ordering::Acquire))?;
        let slot = level.slot(place)?;
        if slot.asked.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let [form, _] = halves(slot.form.load(Ordering::Relaxed));
        let [serial, rest] = [slot.serial, slot.rest].map(|word| word.load(Ordering::Relaxed));
        let question = Question { form, serial, rest };
        let kept = slot.read(&question, &mut Signature::empty())?;
        Some((question, kept))
    }
}

impl Level {
    fn find(&self, question: &Question, signature: &mut Signature) -> Option<Kept> {
        let slot = self.slots(question).find(|slot| slot.holds(question))?;
        let kept = slot.read(question, signature)?;
        if slot.asked.load(Ordering::Relaxed) == 0 {
            slot.asked.store(1, Ordering::Relaxed);
        }
        Some(kept)
    }

    fn keep(&self, question: &Question, kept: &Kept, signature: &[u8]) {
        if !self.is_there() {
            return;
        }
        for _ in 0..TRIES {
            // Its own; one never written, which has no producedAt; one that nobody asked for again.
            let place = |slot: &Slot<'_>| {
                let age = || [slot.asked, slot.produced].map(|word| word.load(Ordering::Relaxed));
                (!slot.holds(question)).then(age)
            };
            let slot = self.slots(question).min_by_key(place);
            let before = slot.and_then(|slot| slot.write(question, kept, signature));
            if before == Some(0) {
                self.taken.fetch_add(1, Ordering::Relaxed);
            }
            if before.is_some() {
                return;
            }
        }
    }

    /// Whether a slot is this question's, also one that is being written.
    fn has(&self, question: &Question) -> bool {
        self.slots(question).any(|slot| slot.holds(question))
    }

    /// Notes that it was asked for.
    fn note_asked(&self, question: &Question) {
        if let Some(slot) = self.slots(question).find(|slot| slot.holds(question)) {
            slot.asked.store(1, Ordering::Relaxed);
        }
    }

    /// Whether there is memory for it.
    fn is_there(&self) -> bool {
        !self.words.get_or_init(|| words(self.buckets * WAYS * self.slot_words)).is_empty()
    }

    fn slots(&self, question: &Question) -> impl Iterator<Item = Slot<'_>> {
        ways(self.first_place(question)).map_while(|place| self.slot(place))
    }

    /// Whether a question can be kept without another one's being lost.
    fn has_room(&self, question: &Question) -> bool {
        let free = |slot: Slot<'_>| slot.is_free() || slot.holds(question);
        self.taken.load(Ordering::Relaxed) < self.buckets * WAYS / 2
            && (self.words.get().is_none() || self.slots(question).any(free))
    }

    /// None before the level's first signature.
    fn slot(&self, place: usize) -> Option<Slot<'_>> {
        let start = place * self.slot_words;
        let words = self.words.get()?.get(start..start + self.slot_words)?;
        let ([version, serial, form, rest, status, produced, asked], signature) =
            words.split_first_chunk::<HEAD>()?;
        Some(Slot { version, serial, form, rest, status, produced, asked, signature })
    }

    /// The first place to look at.
    ///
    /// Multiples of the golden ratio, taken modulo one, lie as evenly as points can that come
    /// one after another; so do the serials of a counter, for each form.
    fn first_place(&self, question: &Question) -> usize {
        let form = u64::from(question.form).wrapping_mul(FORM_SPREAD);
        let point = question.serial.wrapping_mul(GOLDEN_RATIO).wrapping_add(form);
        let places = u128::try_from(self.buckets * WAYS).unwrap_or(0);
        usize::try_from((u128::from(point) * places) >> u64::BITS).unwrap_or(0)
    }
}

/// The places of the bucket that `first` is of, from there on.
fn ways(first: usize) -> impl Iterator<Item = usize> {
    let start = first / WAYS * WAYS;
    (0..WAYS).map(move |way| start + (first + way) % WAYS)
}

/// 2⁶⁴ divided by the golden ratio.
const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;
/// Odd, so that forms, which differ in few bits, start at different points.
const FORM_SPREAD: u64 = 0xd6e8_feb8_6659_fd93;

impl Slot<'_> {
    /// Never written.
    fn is_free(&self) -> bool {
        self.version.load(Ordering::Relaxed) == 0
    }

    /// Whether it is this question's.
    fn holds(&self, question: &Question) -> bool {
        let [form, _] = halves(self.form.load(Ordering::Relaxed));
        self.serial.load(Ordering::Relaxed) == question.serial
            && form == question.form
            && self.rest.load(Ordering::Relaxed) == question.rest
            && !self.is_free()
    }

    /// What one writer wrote; none when another is writing.
    fn read(&self, question: &Question, signature: &mut Signature) -> Option<Kept> {
        let version = self.version.load(Ordering::Acquire);
        if !version.is_multiple_of(2) || !self.holds(question) {
            return None;
        }
        let [_, signer_number] = halves(self.form.load(Ordering::Relaxed));
        let word = StatusWord::from_memory(self.status.load(Ordering::Relaxed));
        let produced = self.produced.load(Ordering::Relaxed);
        let places = signature.octets.chunks_exact_mut(size_of::<u64>());
        for (place, word) in places.zip(self.signature) {
            place.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        fence(Ordering::Acquire);
        if self.version.load(Ordering::Relaxed) != version {
            return None;
        }
        signature.len = usize::try_from(produced & 0xffff).ok()?;
        let produced_at = UnixTime::from_seconds(i64::try_from(produced >> 16).ok()?);
        Some(Kept { word, produced_at, signer_number })
    }

    /// The version before; none when another is writing, or what does not fit.
    fn write(&self, question: &Question, kept: &Kept, signature: &[u8]) -> Option<u64> {
        let produced = u64::try_from(kept.produced_at.seconds()).ok()? << 16;
        let len = u64::try_from(signature.len()).ok()?;
        if signature.len() > self.signature.len() * size_of::<u64>() {
            return None;
        }
        let before = self.version.load(Ordering::Relaxed);
        let writing = before.checked_add(1).filter(|_| before.is_multiple_of(2))?;
        self.version.compare_exchange(before, writing, Ordering::Acquire, Ordering::Relaxed).ok()?;
        fence(Ordering::Release);
        let form = u64::from(question.form) | u64::from(kept.signer_number) << 32;
        for (place, word) in [
            (self.serial, question.serial),
            (self.form, form),
            (self.rest, question.rest),
            (self.status, kept.word.bits()),
            (self.produced, produced | len),
            (self.asked, 0),
        ] {
            place.store(word, Ordering::Relaxed);
        }
        for (place, octets) in self.signature.iter().zip(signature.chunks(size_of::<u64>())) {
            let mut word = [0; size_of::<u64>()];
            word.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
            place.store(u64::from_ne_bytes(word), Ordering::Relaxed);
        }
        self.version.store(writing.wrapping_add(1), Ordering::Release);
        Some(before)
    }
}

/// Lower and upper half.
fn halves(word: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = word.to_be_bytes();
    [u32::from_be_bytes([e, f, g, h]), u32::from_be_bytes([a, b, c, d])]
}

#[cfg(test)]
#[cfg(not(feature = "shuttle"))]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::super::answers::SIGNATURE_MAX;
    use super::*;

    const LEN: usize = 72;

    fn question(form: u32, serial: u64) -> Question {
        Question { form, serial, rest: 0 }
    }

    fn kept(at: i64) -> Kept {
        Kept { word: StatusWord::NEVER_ISSUED, produced_at: UnixTime::from_seconds(at), signer_number: 7 }
    }

    fn find(table: &Table, question: Question) -> Option<(Kept, Vec<u8>)> {
        let mut signature = Signature::empty();
        let kept = table.find(&question, &mut signature)?;
        Some((kept, signature.octets().to_vec()))
    }

    #[test]
    fn what_is_kept_is_found_again_whole() {
        for len in [0, 1, 8, 71, LEN, SIGNATURE_MAX] {
            let table = Table::new(len, 1 << 20);
            let signature: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
            assert_eq!(find(&table, question(1, 5)), None);
            table.keep(&question(1, 5), &kept(100), &signature);
            assert_eq!(find(&table, question(1, 5)), Some((kept(100), signature.clone())));
            for other in [question(2, 5), question(1, 6), Question { rest: 1, ..question(1, 5) }] {
                assert_eq!(find(&table, other), None);
            }
            // One longer than its places is not kept, and harms nothing.
            table.keep(&question(1, 5), &kept(101), &[1; SIGNATURE_MAX + 65]);
            assert_eq!(find(&table, question(1, 5)), Some((kept(100), signature)));
            table.keep(&question(1, 5), &kept(102), &[9]);
            assert_eq!(find(&table, question(1, 5)), Some((kept(102), vec![9])));
            assert_eq!(table.bytes(), 8 * u64::try_from(table.slot_words).unwrap());
        }
    }

    /// How many of these questions are still there once all have been kept.
    fn left(budget: usize, questions: impl Iterator<Item = Question> + Clone) -> usize {
        let table = Table::new(LEN, budget);
        for (at, question) in (1..).zip(questions.clone()) {
            table.keep(&question, &kept(at), &[1; LEN]);
        }
        assert!(table.bytes() <= u64::try_from(budget).unwrap());
        questions.filter(|one| find(&table, *one).is_some()).count()
    }

    #[test]
    fn a_budget_holds_nearly_as_many_as_it_says() {
        let budget = 16 << 20;
        let slots = u64::try_from(budget / 128).unwrap();
        let counted = |form: u32, count: u64| (1..=count).map(move |serial| question(form, serial));
        // Of two authorities, in an order that a counter would not have, to three quarters.
        let two = counted(0x0001_0100, slots * 3 / 8).chain(counted(0x0002_0100, slots * 3 / 8));
        let all = two.clone().count();
        assert_eq!(left(budget, two), all);
        // One in twenty of a country.
        let some = |count: u64| {
            let random =
                |at: u64| (at * 20).wrapping_add(at.wrapping_mul(0xd129_8f2d) >> 16) % (at * 20 + 20);
            (1..=count).map(move |at| question(0x0001_0100, random(at)))
        };
        let count = usize::try_from(slots / 2).unwrap();
        assert!(left(budget, some(slots / 2)) > count / 100 * 99);
    }

    #[test]
    fn a_full_bucket_gives_up_its_oldest() {
        let highest = AtomicUsize::new(LEVELS - 1);
        let table = Table { highest, ..Table::new(LEN, 0) };
        let ways = u64::try_from(WAYS).unwrap();
        for at in 0..ways {
            table.keep(&question(1, at), &kept(100 - i64::try_from(at).unwrap()), &[1]);
        }
        // The oldest has been asked for again, and stays.
        find(&table, question(1, ways - 1)).unwrap();
        table.keep(&question(1, 99), &kept(200), &[1]);
        let there: Vec<u64> =
            (0..100).filter(|serial| find(&table, question(1, *serial)).is_some()).collect();
        assert_eq!(there, (0..ways - 2).chain([ways - 1, 99]).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_asked_for_since_it_was_signed_is_told() {
        let table = Table::new(LEN, 1 << 20);
        let asked = |table: &Table| -> Vec<u64> {
            let found = (0..table.places()).filter_map(|place| table.asked_since_signed(place));
            found.map(|(question, _)| question.serial).collect()
        };
        for serial in 1..=10 {
            table.keep(&question(1, serial), &kept(100), &[1]);
        }
        assert!(asked(&table).is_empty());
        find(&table, question(1, 4)).unwrap();
        assert_eq!(asked(&table), [4]);
        table.keep(&question(1, 4), &kept(200), &[2]);
        assert!(asked(&table).is_empty());
    }

    #[test]
    fn a_reader_sees_what_one_writer_wrote_or_nothing() {
        let table = Table::new(LEN, 0);
        let over = AtomicBool::new(false);
        // Each writer writes one octet everywhere; forms that meet in one bucket.
        std::thread::scope(|threads| {
            for writer in 1..=3_u8 {
                let (table, over) = (&table, &over);
                threads.spawn(move || {
                    for turn in 0.. {
                        if over.load(Ordering::Relaxed) {
                            return;
                        }
                        let serial = turn % 6;
                        let at = i64::from(writer);
                        table.keep(&question(1, serial), &kept(at), &[writer; LEN]);
                    }
                });
            }
            let mut seen = 0;
            while seen < 20_000 {
                for serial in 0..6 {
                    if let Some((kept, signature)) = find(&table, question(1, serial)) {
                        let writer = u8::try_from(kept.produced_at.seconds()).unwrap();
                        assert_eq!(signature, [writer; LEN]);
                        seen += 1;
                    }
                }
            }
            over.store(true, Ordering::Relaxed);
        });
    }
}
