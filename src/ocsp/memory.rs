//! The words that kept signatures lie in.

use crate::sync::AtomicU64;

/// Words that take memory once they are written, in large pages where the system has them: in
/// small ones, finding the page takes as long as reading the signature. Never given back: the
/// few tables of a process last as long as it does. None at all when there is no memory.
#[cfg(not(feature = "shuttle"))]
pub(super) fn words(len: usize) -> &'static [AtomicU64] {
    use memmap2::{Advice, MmapOptions};
    use zerocopy::FromBytes;

    let octets = len.saturating_mul(size_of::<u64>());
    let Ok(map) = MmapOptions::new().len(octets).no_reserve_swap().map_anon() else { return &[] };
    // A kernel without large pages says no, and has small ones.
    let _ = map.advise(Advice::HugePage);
    let octets = &mut **Box::leak(Box::new(map));
    <[AtomicU64]>::mut_from_bytes(octets).map_or(&[], |words| words)
}

/// Words that a model checker follows.
#[cfg(feature = "shuttle")]
pub(super) fn words(len: usize) -> &'static [AtomicU64] {
    Box::leak((0..len).map(|_| AtomicU64::new(0)).collect())
}
