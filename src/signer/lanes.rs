//! Who waits for a signing thread, and in what order they come to it.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use super::pool::Work;

/// What a signature is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// CRLs, certificates: what only the authority's key can sign.
    Authority,
    /// The successor of a signature that still answers.
    Refresh,
    /// The first signature for a question.
    Miss,
    /// An answer that repeats a nonce, for one asker only.
    Nonce,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Authority, Self::Refresh, Self::Miss, Self::Nonce];

    /// Its name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Refresh => "refresh",
            Self::Miss => "miss",
            Self::Nonce => "nonce",
        }
    }
}

/// How many signing threads there are, and how much may wait for them in each lane. Work of an
/// authority is never refused: whoever brings it waits, so there is never more of it than askers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Threads.
    pub threads: NonZeroUsize,
    /// Successors that may wait.
    pub refresh: usize,
    /// First signatures that may wait.
    pub miss: usize,
    /// Answers to nonces that may wait.
    pub nonce: usize,
}

/// A slow signature, RSA-2048 verified, takes up to a millisecond of a thread: so many that wait
/// are so many milliseconds of waiting. Nobody waits for a successor, and it has minutes left.
const REFRESH_PER_THREAD: usize = 1000;
/// A quarter of a second: less than a client takes for a responder that does not answer.
const MISS_PER_THREAD: usize = 250;
/// A flood of nonces is refused within 50 ms, and must not make the misses' memory grow.
const NONCE_PER_THREAD: usize = 50;

impl Limits {
    /// What suits so many threads.
    #[must_use]
    pub const fn for_threads(threads: NonZeroUsize) -> Self {
        let count = threads.get();
        Self {
            threads,
            refresh: REFRESH_PER_THREAD.saturating_mul(count),
            miss: MISS_PER_THREAD.saturating_mul(count),
            nonce: NONCE_PER_THREAD.saturating_mul(count),
        }
    }
}

/// What waits, and whose turn it is.
#[derive(Default)]
pub(super) struct Lanes {
    authority: Queue,
    refresh: Queue,
    miss: Queue,
    nonce: Queue,
    turn: u32,
}

/// One lane.
#[derive(Default)]
pub(super) struct Queue {
    waiting: VecDeque<Work>,
    /// Places given to work that is still to be brought.
    pub(super) promised: usize,
    /// Pieces of work taken so far.
    pub(super) taken: u64,
    /// Pieces refused so far.
    pub(super) refused: u64,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.promised
    }

    pub(super) fn push(&mut self, work: Work) {
        self.waiting.push_back(work);
    }

    fn pop(&mut self) -> Option<Work> {
        let work = self.waiting.pop_front()?;
        self.taken += 1;
        Some(work)
    }
}

impl Lanes {
    pub(super) const fn lane(&mut self, lane: Lane) -> &mut Queue {
        match lane {
            Lane::Authority => &mut self.authority,
            Lane::Refresh => &mut self.refresh,
            Lane::Miss => &mut self.miss,
            Lane::Nonce => &mut self.nonce,
        }
    }

    /// The next piece of work, by [`order`].
    pub(super) fn next(&mut self) -> Option<Work> {
        let found = order(self.turn).into_iter().find_map(|lane| self.lane(lane).pop());
        if found.is_some() {
            self.turn = self.turn.wrapping_add(1);
        }
        found
    }

    /// Only an authority's, which is never thrown away.
    pub(super) fn next_of_authority(&mut self) -> Option<Work> {
        self.authority.pop()
    }

    /// Takes out all that may be thrown away.
    pub(super) fn take_refusable(&mut self) -> Vec<Work> {
        [Lane::Refresh, Lane::Miss, Lane::Nonce]
            .into_iter()
            .flat_map(|lane| std::mem::take(&mut self.lane(lane).waiting))
            .collect()
    }
}

/// Who comes first at each turn. Of five turns one is kept for the authorities and for
/// successors, and one for nonces; the misses have three; and a turn nobody of its own waits for
/// goes to the next in line. So no lane waits for ever, and none takes all.
const fn order(turn: u32) -> [Lane; 4] {
    use Lane::{Authority, Miss, Nonce, Refresh};
    match turn % TURNS {
        // A set of 1,922 CRLs lasts seconds: successors get a quarter of that share meanwhile.
        0 if turn.is_multiple_of(4 * TURNS) => [Refresh, Authority, Miss, Nonce],
        0 => [Authority, Refresh, Miss, Nonce],
        1 => [Nonce, Miss, Authority, Refresh],
        _ => [Miss, Nonce, Authority, Refresh],
    }
}

/// One in five is a fifth of the capacity.
const TURNS: u32 = 5;
