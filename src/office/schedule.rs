//! What happens by itself: the day's CRL set, and the renewal of signers.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Office, OfficeError};
use crate::der::UnixTime;
use crate::pki::AuthorityId;

/// How often the schedule looks at the clock.
const TICK: Duration = Duration::from_secs(1);

/// A build that failed is tried again after this long (domain rule: every ten minutes).
const RETRY: Duration = Duration::from_secs(600);

/// How often signers are looked after: far more often than the third of a day the shortest
/// permitted one has left when it is due.
const SIGNERS: Duration = Duration::from_secs(60);

/// Japan is nine hours ahead of UTC, all year.
const JST_AHEAD: i64 = 9 * 3600;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The running schedule; stops when dropped or told to.
pub struct Schedule {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Schedule {
    /// Starts it on a thread of its own.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(office: Arc<Office>) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let run = move || {
            let mut settled = false;
            let mut retry_at: Option<Instant> = None;
            let mut signers_at = Instant::now() + SIGNERS;
            loop {
                if !settled && !office.is_rebuilding() {
                    settled = true;
                    if let Err(error) = office.settle() {
                        tracing::error!(%error, "what the last stop left open is still open");
                    }
                }
                if settled && retry_at.is_none_or(|at| Instant::now() >= at) {
                    retry_at = publish_if_due(&office).err().map(|error| {
                        tracing::error!(%error, retry_seconds = RETRY.as_secs(), "the day's CRL set is not out");
                        Instant::now() + RETRY
                    });
                }
                if Instant::now() >= signers_at || office.answers_for_expired() {
                    signers_at = Instant::now() + SIGNERS;
                    // What fails is logged there, once a level of urgency, and stands in unready().
                    drop(office.renew_signers());
                }
                if stopped.recv_timeout(TICK) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("schedule".to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Tells it to stop, without waiting until it has.
    pub fn tell_to_stop(&mut self) {
        self.stop = None;
    }

    /// Stops it; a set being built is finished first.
    pub fn stop(&mut self) {
        self.tell_to_stop();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Publishes a scheduled set for every authority whose last one is older than the last cut.
fn publish_if_due(office: &Office) -> Result<(), OfficeError> {
    let daily = office.config.crl.daily_second().unwrap_or(0);
    let cut = last_cut(office.clock.now(), daily);
    let facts = office.store.facts();
    let published = |id: &AuthorityId| facts.crl_sets.get(id)?.published.map(|set| set.position);
    let is_behind = |id: &AuthorityId| office.served_set(*id).map(|set| set.position) < published(id);
    if office.profile.authorities.iter().any(|authority| is_behind(&authority.id)) {
        office.serve_files()?;
    }
    let due = |id: &AuthorityId| {
        let last = facts.crl_sets.get(id).and_then(|sets| sets.published_scheduled);
        last.is_none_or(|set| set.recorded_at < cut) || office.served_set(*id).is_none()
    };
    let authorities: Vec<_> = office.profile.authorities.iter().map(|a| a.id).filter(due).collect();
    if authorities.is_empty() {
        return Ok(());
    }
    office.publish(&authorities, true).map(|_| ())
}

/// The last instant, not after `now`, at which the clock in Japan showed `daily` seconds after
/// midnight.
fn last_cut(now: UnixTime, daily: u32) -> UnixTime {
    let local = now.seconds() + JST_AHEAD;
    let today = local - local.rem_euclid(DAY) + i64::from(daily);
    let cut = if today <= local { today } else { today - DAY };
    UnixTime::from_seconds(cut - JST_AHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_cut_by_the_clock_in_japan() {
        for (now, daily, cut) in [
            ("2026-11-22T14:59:59Z", 0, "2026-11-21T15:00:00Z"),
            ("2026-11-22T15:00:00Z", 0, "2026-11-22T15:00:00Z"),
            ("2026-11-22T15:00:00Z", 60, "2026-11-21T15:01:00Z"),
            ("2026-11-22T03:00:00Z", 12 * 3600, "2026-11-22T03:00:00Z"),
        ] {
            assert_eq!(last_cut(now.parse().unwrap(), daily).to_string(), cut);
        }
    }
}
