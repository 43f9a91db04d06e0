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
        let chunk = chunk.get_or_init(|| (0..CHUNK_WORDS).map(|_| AtomicU64::new(0)).collect());
        if let Some(slot) = chunk.get(place) {
            slot.store(word.bits(), Ordering::Release);
        }
    }

    /// The chunks that exist, by number; each ends with its last issued serial.
    pub(super) fn chunks(&self) -> impl Iterator<Item = (u16, Vec<StatusWord>)> {
        let numbered = (0..=u16::MAX).zip(self.chunks.iter());
        numbered.filter_map(|(number, chunk)| {
            let load = |word: &AtomicU64| StatusWord::from_memory(word.load(Ordering::Acquire));
            let mut words: Vec<StatusWord> = chunk.get()?.iter().map(load).collect();
            while words.pop_if(|last| !last.is_issued()).is_some() {}
            Some((number, words))
        })
    }

    pub(super) fn bytes(&self) -> usize {
        let chunks = self.chunks.iter().filter(|chunk| chunk.get().is_some()).count();
        CHUNKS * size_of::<OnceLock<Chunk>>() + chunks * CHUNK_WORDS * size_of::<AtomicU64>()
    }
}

/// Number of the chunk, and place in it.
fn split(serial: u32) -> (usize, usize) {
    let serial = usize::try_from(serial).unwrap_or(usize::MAX);
    (serial / CHUNK_WORDS, serial % CHUNK_WORDS)
}
