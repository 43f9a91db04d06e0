//! Which keys of an authority are compromised or retired, as the index has heard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::word::StatusWord;
use crate::der::UnixTime;
use crate::pki::{Generation, SerialNumber};
use crate::record::Position;
use crate::sync::{AtomicU64, Ordering};

/// The entry that says that a key is compromised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compromised {
    pub(super) position: Position,
    pub(super) since: UnixTime,
}

/// What was heard of an authority's keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    pub(super) compromised: BTreeMap<Generation, Compromised>,
    /// Keys that sign nothing more, by the entries that say so.
    pub(super) retired: BTreeMap<Generation, Position>,
    /// Serials of OCSP signers: a compromise does not revoke them. A word does not say of what kind its
    /// certificate is, and an authority has few of them.
    pub(super) signers: BTreeSet<SerialNumber>,
}

/// The keys of one authority. Whether one is compromised at all is one more atomic load of a look-up.
pub(super) struct Keys {
    /// A bit for each generation.
    mask: AtomicU64,
    heard: ArcSwap<Heard>,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self { mask: AtomicU64::new(0), heard: ArcSwap::default() }
    }

    /// What is said of a serial whose own word is `word`.
    pub(super) fn of(&self, serial: &SerialNumber, word: StatusWord) -> StatusWord {
        let compromised = word.generation().and_then(|generation| self.find(generation));
        match compromised {
            Some(it) if !self.heard.load().signers.contains(serial) => word.compromised(it.since),
            _ => word,
        }
    }

    /// The compromise of a key.
    pub(super) fn find(&self, generation: Generation) -> Option<Compromised> {
        if self.mask.load(Ordering::Acquire) & bit(generation) == 0 {
            return None;
        }
        self.heard.load().compromised.get(&generation).copied()
    }

    /// True when a key was retired before the entry at `position`.
    pub(super) fn is_retired_before(&self, generation: Generation, position: Position) -> bool {
        self.heard.load().retired.get(&generation).is_some_and(|at| *at < position)
    }

    /// True when anything was heard of a key itself.
    pub(super) fn is_any_known(&self) -> bool {
        self.mask.load(Ordering::Acquire) != 0 || !self.heard.load().retired.is_empty()
    }

    /// The first that is heard of a key stays. The caller is the only one who changes the index.
    pub(super) fn hear_compromised(&self, generation: Generation, it: Compromised) {
        let mut heard = Heard::clone(&self.heard.load());
        heard.compromised.entry(generation).or_insert(it);
        self.set(heard);
    }

    /// As [`Self::hear_compromised`].
    pub(super) fn hear_retired(&self, generation: Generation, position: Position) {
        let mut heard = Heard::clone(&self.heard.load());
        heard.retired.entry(generation).or_insert(position);
        self.set(heard);
    }

    /// As [`Self::hear_compromised`].
    pub(super) fn hear_signer(&self, serial: SerialNumber) {
        let mut heard = Heard::clone(&self.heard.load());
        heard.signers.insert(serial);
        self.set(heard);
    }

    pub(super) fn heard(&self) -> Arc<Heard> {
        self.heard.load_full()
    }

    /// What was heard first, and then that there is something.
    pub(super) fn set(&self, heard: Heard) {
        let mask = heard.compromised.keys().fold(0, |mask, generation| mask | bit(*generation));
        self.heard.store(Arc::new(heard));
        self.mask.store(mask, Ordering::Release);
    }
}

/// Generations are 1 to 63.
const fn bit(generation: Generation) -> u64 {
    1 << (generation.number() % 64)
}
