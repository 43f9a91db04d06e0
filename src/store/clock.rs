//! The committer's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::der::UnixTime;

/// Where the committer reads the time of its entries.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's wall clock. It may jump: entries never go back, see
    /// [`Entry::recorded_at`](crate::record::Entry).
    #[default]
    System,
    /// Seconds since 1970, set by whoever holds the other end: a simulated year, a test.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The time now, in whole seconds.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                UnixTime::default().plus(since)
            }
            Self::Manual(seconds) => UnixTime::from_seconds(seconds.load(Ordering::SeqCst)),
        }
    }
}
