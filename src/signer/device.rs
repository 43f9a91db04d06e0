//! A device that keys sign in, and that may be gone; for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The device; clones are the same one. It promises no more than a real one: while it is gone every
/// signature fails, and what was signed before goes on.
#[derive(Debug, Clone, Default)]
pub struct SimDevice(Arc<AtomicBool>);

impl SimDevice {
    /// Takes the device away, or puts it back.
    pub fn set_gone(&self, gone: bool) {
        self.0.store(gone, Ordering::SeqCst);
    }

    /// Whether it is gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
