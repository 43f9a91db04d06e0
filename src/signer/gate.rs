//! What a key is signed with through: once closed, nobody passes, and nobody is inside.

use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering, thread};

/// Open from the beginning; closed once, for ever.
#[derive(Debug, Default)]
pub(super) struct Gate {
    closed: AtomicBool,
    inside: AtomicU32,
    entered: AtomicU64,
}

/// Somebody inside, until dropped.
pub(super) struct Inside<'a>(&'a AtomicU32);

impl Gate {
    /// Lets the caller in; none once it is closed.
    pub(super) fn enter(&self) -> Option<Inside<'_>> {
        // Counted before the check. Who closes sets `closed` before counting: one of both sees the other.
        self.inside.fetch_add(1, Ordering::SeqCst);
        let inside = Inside(&self.inside);
        if self.closed.load(Ordering::SeqCst) {
            return None;
        }
        self.entered.fetch_add(1, Ordering::Relaxed);
        Some(inside)
    }

    /// Closes it, and waits until everybody has left: a signature takes some milliseconds at most.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        while self.inside.load(Ordering::SeqCst) > 0 {
            thread::yield_now();
        }
    }

    /// How often somebody was let in.
    pub(super) fn entered(&self) -> u64 {
        self.entered.load(Ordering::Relaxed)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
#[cfg(not(feature = "shuttle"))]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn b_4_who_closes_waits_for_those_inside_and_nobody_enters_after() {
        let gate = Arc::new(Gate::default());
        let inside = gate.enter().unwrap();
        let closing = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || gate.close())
        };
        while gate.enter().is_some() {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(20));
        assert!(!closing.is_finished(), "somebody is inside");
        drop(inside);
        closing.join().unwrap();
        assert!(gate.enter().is_none());
        assert_eq!(gate.inside.load(Ordering::SeqCst), 0);
    }
}
