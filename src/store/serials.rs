//! Serial numbers: unique and rising, out of blocks that are durable before they are used.
//!
//! A block is an entry of the journal, [`Event::SerialsReserved`]. What a crash leaves of one is
//! never used: the next start reserves behind it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::submission::{Decide, Outcome};
use crate::pki::{AuthorityId, SerialNumber};
use crate::record::Event;

/// Serials in a block: at the rate of an RSA key, one entry every second.
pub(super) const BLOCK_SERIALS: u64 = 1024;

/// The blocks in use, one for each authority.
#[derive(Debug, Default)]
pub struct Serials(Mutex<BTreeMap<AuthorityId, Arc<Counter>>>);

/// The block of an authority.
#[derive(Debug)]
pub(super) struct Counter {
    block: ArcSwap<Block>,
    /// The next block begins above this: it may have been given, though no entry says so.
    passed: AtomicU64,
    /// Held by who reserves the next block.
    pub(super) reserving: Mutex<()>,
}

/// Its issuers share `next`; past `last` it is spent.
#[derive(Debug)]
struct Block {
    next: AtomicU64,
    last: u64,
}

impl Serials {
    /// The next serial of the block; none when it is spent: then submit [`reservation`] and
    /// [`Self::adopt`] its outcome.
    pub fn take(&self, authority: AuthorityId) -> Option<SerialNumber> {
        self.counter(authority).take()
    }

    /// Uses a block that has become durable.
    pub fn adopt(&self, outcome: &Outcome) {
        for numbered in &outcome.entries {
            if let Event::SerialsReserved { authority, up_to } = numbered.entry.event {
                let next = AtomicU64::new(up_to.saturating_sub(BLOCK_SERIALS - 1).max(1));
                self.counter(authority).block.store(Arc::new(Block { next, last: up_to }));
            }
        }
    }

    /// Authorities that know serials only the archive shows, beyond what is `reserved`; and the highest such.
    pub(super) fn passed_beyond(&self, reserved: &BTreeMap<AuthorityId, u64>) -> Vec<(AuthorityId, u64)> {
        let counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = counters.iter().map(|(authority, counter)| (*authority, counter.passed()));
        let reserved = |authority| reserved.get(&authority).copied().unwrap_or(0);
        passed.filter(|(authority, passed)| *passed > reserved(*authority)).collect()
    }

    pub(super) fn counter(&self, authority: AuthorityId) -> Arc<Counter> {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(counters.entry(authority).or_insert_with(|| {
            let spent = Block { next: AtomicU64::new(1), last: 0 };
            let (block, passed) = (ArcSwap::from_pointee(spent), AtomicU64::new(0));
            Arc::new(Counter { block, passed, reserving: Mutex::default() })
        }))
    }
}

impl Counter {
    /// Lets the next block begin above a serial.
    pub(super) fn pass(&self, serial: u64) {
        self.passed.fetch_max(serial, Ordering::Relaxed);
    }

    pub(super) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// What [`Self::take`] would give; none when the block is spent.
    pub(super) fn peek(&self) -> Option<u64> {
        let block = self.block.load();
        Some(block.next.load(Ordering::Relaxed)).filter(|next| *next <= block.last)
    }

    pub(super) fn take(&self) -> Option<SerialNumber> {
        let block = self.block.load();
        let taken = block.next.fetch_add(1, Ordering::Relaxed);
        SerialNumber::try_from(taken).ok().filter(|_| taken <= block.last)
    }
}

/// Reserves the next block; it begins above `passed`.
#[must_use]
pub fn reservation(authority: AuthorityId, passed: u64) -> Decide {
    Box::new(move |records, _| {
        // The facts are folded from all of the journal: who is not there has reserved nothing.
        let reserved = records.facts().reserved.get(&authority).copied().unwrap_or(0).max(passed);
        Ok(vec![Event::SerialsReserved { authority, up_to: reserved.saturating_add(BLOCK_SERIALS) }])
    })
}
