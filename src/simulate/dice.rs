//! Chance, the same for the same seed on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Everything that is left to chance comes from here, in one order.
#[derive(Debug)]
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// One of 0 … `sides` − 1.
    pub(super) fn below(&mut self, sides: u64) -> u64 {
        // The upper half of a product: even enough for sides far below 2⁶⁴.
        let wide = u128::from(self.0.next_u64()) * u128::from(sides);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// As [`Self::below`], as a place in a list.
    pub(super) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(u64::try_from(len).unwrap_or(1))).unwrap_or(0)
    }

    /// So many days, from `first` on.
    pub(super) fn days(&mut self, first: i64, choices: u64) -> i64 {
        first + i64::try_from(self.below(choices)).unwrap_or(0)
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.index(at + 1));
        }
    }
}
