//! Serials that no counter made: random ones.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::StatusWord;
use crate::pki::SerialNumber;

/// Changes kept beside the base before they are merged into it; a sixteenth of the base, once
/// that is more. Each change copies the overlay, each merge the base.
const OVERLAY_MIN: usize = 1024;

type Sorted = Vec<(SerialNumber, StatusWord)>;

/// Words of the serials of one authority that do not fit the dense part: an immutable pair of
/// sorted lists, replaced as a whole.
pub(super) struct Sparse(ArcSwap<Lists>);

#[derive(Default)]
struct Lists {
    base: Arc<Sorted>,
    /// Wins over `base`.
    overlay: Sorted,
}

impl Sparse {
    pub(super) fn new() -> Self {
        Self(ArcSwap::default())
    }

    pub(super) fn find(&self, serial: &SerialNumber) -> StatusWord {
        let lists = self.0.load();
        let found = find(&lists.overlay, serial).or_else(|| find(&lists.base, serial));
        found.unwrap_or_default()
    }

    /// Replaces the words of all these serials at once.
    pub(super) fn store(&self, changes: BTreeMap<SerialNumber, StatusWord>) {
        if changes.is_empty() {
            return;
        }
        let lists = self.0.load();
        let overlay = merge(&lists.overlay, changes);
        let full = overlay.len() > OVERLAY_MIN.max(lists.base.len() / 16);
        self.0.store(Arc::new(if full {
            Lists { base: Arc::new(merge(&lists.base, overlay)), overlay: Vec::new() }
        } else {
            Lists { base: Arc::clone(&lists.base), overlay }
        }));
    }

    /// All of them as they are now, in order and without a copy; what changes meanwhile is not seen.
    pub(super) fn words(&self) -> impl Iterator<Item = (SerialNumber, StatusWord)> + use<> {
        Walk { lists: self.0.load_full(), base: 0, overlay: 0 }
    }

    /// Makes all words what they are in `other`, at once; without another there are none.
    pub(super) fn take_over(&self, other: Option<&Self>) {
        self.0.store(other.map(|other| other.0.load_full()).unwrap_or_default());
    }

    /// All of them, in order.
    pub(super) fn all(&self) -> Sorted {
        let lists = self.0.load();
        merge(&lists.base, lists.overlay.iter().copied())
    }

    pub(super) fn bytes(&self) -> usize {
        let lists = self.0.load();
        (lists.base.capacity() + lists.overlay.capacity()) * size_of::<(SerialNumber, StatusWord)>()
    }
}

/// A walk over both lists side by side.
struct Walk {
    lists: Arc<Lists>,
    /// Places of those that come next.
    base: usize,
    overlay: usize,
}

impl Iterator for Walk {
    type Item = (SerialNumber, StatusWord);

    fn next(&mut self) -> Option<Self::Item> {
        let (base, over) = (self.lists.base.get(self.base), self.lists.overlay.get(self.overlay));
        let order = match (base, over) {
            (Some((base, _)), Some((over, _))) => base.cmp(over),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        self.base += usize::from(order.is_le());
        self.overlay += usize::from(order.is_ge());
        // The overlay wins.
        if order.is_lt() { base.copied() } else { over.copied() }
    }
}

fn find(sorted: &Sorted, serial: &SerialNumber) -> Option<StatusWord> {
    let place = sorted.binary_search_by(|(known, _)| known.cmp(serial)).ok()?;
    sorted.get(place).map(|(_, word)| *word)
}

/// Both in order, each serial once; `over` wins.
fn merge(under: &Sorted, over: impl IntoIterator<Item = (SerialNumber, StatusWord)>) -> Sorted {
    let mut merged = Vec::with_capacity(under.len() + 16);
    let mut under = under.iter().copied().peekable();
    for (serial, word) in over {
        while let Some(before) = under.next_if(|(known, _)| *known < serial) {
            merged.push(before);
        }
        under.next_if(|(known, _)| *known == serial);
        merged.push((serial, word));
    }
    merged.extend(under);
    merged.shrink_to_fit();
    merged
}
