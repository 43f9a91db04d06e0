//! Serials of a counter: one atomic word each.

use std::sync::OnceLock;

use super::StatusWord;
use crate::sync::{AtomicU64, Ordering};

/// Words of a chunk: 512 kB, allocated when its first serial is issued. A model checker follows
/// each of them.
const CHUNK_WORDS: usize = if cfg!(feature = "shuttle") { 1 << 4 } else { 1 << 16 };
/// Chunks of an authority: serials below 2³². Their places take 1 MB.
const CHUNKS: usize = 1 << 16;

/// Words of the serials below 2³² of one authority, in chunks that come as they are needed.
pub(super) struct Dense {
    chunks: Box<[OnceLock<Chunk>]>,
}

type Chunk = Box<[AtomicU64]>;

impl Dense {
    pub(super) fn new() -> Self {
        Self { chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect() }
    }

    /// One load. What was stored before the word is seen by whoever sees the word.
    pub(super) fn find(&self, serial: u32) -> StatusWord {
        let (chunk, place) = split(serial);
        let word = self.chunks.get(chunk).and_then(OnceLock::get).and_then(|chunk| chunk.get(place));
        let bits = word.map_or(0, |word| word.load(Ordering::Acquire));
        StatusWord::from_memory(bits)
    }

    pub(super) fn store(&self, serial: u32, word: StatusWord) {
        let (chunk, place) = split(serial);
        let Some(chunk) = self.chunks.get(chunk) else { return };
        let chunk = chunk.get_or_init(empty_chunk);
        if let Some(slot) = chunk.get(place) {
            slot.store(word.bits(), Ordering::Release);
        }
    }

    /// Every word in the order of serials, loaded as it is passed; those never issued as well.
    pub(super) fn words(&self) -> impl Iterator<Item = (u32, StatusWord)> {
        let chunks = self.chunks.iter().enumerate();
        let existing = chunks.filter_map(|(number, chunk)| Some((number, chunk.get()?)));
        existing.flat_map(|(number, chunk)| {
            let first = u32::try_from(number * CHUNK_WORDS).unwrap_or(u32::MAX);
            let load = |word: &AtomicU64| StatusWord::from_memory(word.load(Ordering::Acquire));
            (first..=u32::MAX).zip(chunk.iter().map(load))
        })
    }

    /// Makes every word what it is in `other`, one by one; without another, all are never issued.
    pub(super) fn take_over(&self, other: Option<&Self>) {
        for (number, own) in self.chunks.iter().enumerate() {
            let theirs = other.and_then(|other| other.chunks.get(number)).and_then(OnceLock::get);
            let own = match theirs {
                Some(_) => own.get_or_init(empty_chunk),
                None => match own.get() {
                    Some(own) => own,
                    None => continue,
                },
            };
            for (place, word) in own.iter().enumerate() {
                let bits = theirs.and_then(|chunk| chunk.get(place));
                word.store(bits.map_or(0, |bits| bits.load(Ordering::Acquire)), Ordering::Release);
            }
        }
    }

    /// The chunks in which something was issued, by number; each ends with its last issued serial.
    pub(super) fn chunks(&self) -> impl Iterator<Item = (u16, Vec<StatusWord>)> {
        let numbered = (0..=u16::MAX).zip(self.chunks.iter());
        numbered.filter_map(|(number, chunk)| {
            let load = |word: &AtomicU64| StatusWord::from_memory(word.load(Ordering::Acquire));
            let mut words: Vec<StatusWord> = chunk.get()?.iter().map(load).collect();
            while words.pop_if(|last| !last.is_issued()).is_some() {}
            (!words.is_empty()).then_some((number, words))
        })
    }

    pub(super) fn bytes(&self) -> usize {
        let chunks = self.chunks.iter().filter(|chunk| chunk.get().is_some()).count();
        CHUNKS * size_of::<OnceLock<Chunk>>() + chunks * CHUNK_WORDS * size_of::<AtomicU64>()
    }
}

fn empty_chunk() -> Chunk {
    (0..CHUNK_WORDS).map(|_| AtomicU64::new(0)).collect()
}

/// Number of the chunk, and place in it.
fn split(serial: u32) -> (usize, usize) {
    let serial = usize::try_from(serial).unwrap_or(usize::MAX);
    (serial / CHUNK_WORDS, serial % CHUNK_WORDS)
}
