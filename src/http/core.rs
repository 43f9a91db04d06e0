//! What the connections of one core share; nothing of it is shared between cores.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::header::HeaderValue;
use hyper::server::conn::http1;

use super::budget::Budget;
use super::connection::{self, Entry, Patience, Phase};
use super::counters::Counters;
use super::question;
use super::signing::Signing;
use super::site::Site;
use crate::ocsp::Job;
use crate::signer::SignError;

/// One core's share of the server.
pub(super) struct Core {
    pub(super) site: Arc<Site>,
    pub(super) signing: Arc<Signing>,
    pub(super) counters: Counters,
    /// For signatures that serve one asker only.
    pub(super) budget: Budget,
    pub(super) protocol: http1::Builder,
    /// Prebuilt, and once per core: a header value shared by two cores would have them
    /// contend for its reference count.
    pub(super) cache_control: HeaderValue,
    patience: Patience,
    tick_len: Duration,
    /// Time since the start, in ticks.
    tick: AtomicU32,
    /// Set once, for all cores: answers say `Connection: close` from then on.
    stopping: Arc<AtomicBool>,
    entries: Mutex<HashMap<u64, Arc<Entry>>>,
    next_entry: AtomicU64,
    /// Open connections of all cores.
    open: Arc<AtomicUsize>,
}

/// A connection's place among those of its core; left when dropped.
pub(super) struct Seat {
    core: Arc<Core>,
    number: u64,
}

/// How much the watchman may be late, as a part of the shortest patience.
const TICKS_PER_PATIENCE: u32 = 8;
/// Often enough for patience in seconds, seldom enough to cost nothing.
const TICK_MAX: Duration = Duration::from_millis(250);
/// Only tests are less patient than this allows.
const TICK_MIN: Duration = Duration::from_millis(10);
/// When stopping, a connection this long without a request has none on its way.
const LULL: Duration = Duration::from_millis(500);

impl Core {
    pub(super) fn new(
        site: Arc<Site>,
        signing: Arc<Signing>,
        patience: Patience,
        nonce_percent_max: u32,
        stopping: Arc<AtomicBool>,
        open: Arc<AtomicUsize>,
    ) -> Self {
        let Patience { head, body, idle, write } = patience;
        let shortest = head.min(body).min(idle).min(write);
        Self {
            cache_control: question::cache_control(site.max_age),
            site,
            signing,
            counters: Counters::default(),
            budget: Budget::new(nonce_percent_max, Instant::now()),
            protocol: connection::protocol(),
            patience,
            tick_len: (shortest / TICKS_PER_PATIENCE).clamp(TICK_MIN, TICK_MAX),
            tick: AtomicU32::new(0),
            stopping,
            entries: Mutex::default(),
            next_entry: AtomicU64::new(0),
            open,
        }
    }

    /// Signs here and now.
    pub(super) fn sign(&self, job: &Job) -> Result<Vec<u8>, SignError> {
        let (made, took) = self.counters.meter.sign(job);
        self.budget.charge(took);
        made
    }

    pub(super) fn tick(&self) -> u32 {
        self.tick.load(Relaxed)
    }

    pub(super) const fn tick_len(&self) -> Duration {
        self.tick_len
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    /// Seats a new connection, already counted as open.
    pub(super) fn seat(self: &Arc<Self>) -> (Arc<Entry>, Seat) {
        let entry = Arc::new(Entry::new(self.tick()));
        let number = self.next_entry.fetch_add(1, Relaxed);
        self.entries().insert(number, Arc::clone(&entry));
        (entry, Seat { core: Arc::clone(self), number })
    }

    /// One round of the watchman.
    pub(super) fn watch(&self) {
        let tick = self.tick.fetch_add(1, Relaxed).wrapping_add(1);
        let stopping = self.is_stopping();
        for entry in self.entries().values() {
            let stayed = self.tick_len.saturating_mul(tick.wrapping_sub(entry.since()));
            let phase = entry.phase();
            let patience = match phase {
                Phase::Head => self.patience.head,
                Phase::Body => self.patience.body,
                Phase::Work => Duration::MAX,
                Phase::Write => self.patience.write,
                Phase::Idle => self.patience.idle,
            };
            if stayed > patience
                || (phase == Phase::Write && entry.is_too_slow(tick, self.tick_len, patience))
            {
                entry.doom(phase);
            } else if stopping && stayed > LULL && matches!(phase, Phase::Idle | Phase::Head) {
                entry.leave();
            }
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<u64, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.core.entries().remove(&self.number);
        self.core.open.fetch_sub(1, Relaxed);
    }
}
