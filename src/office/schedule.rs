//! What happens by itself: the day's CRL set, the renewal of signers, the watch over the clock,
//! and the refreshing of what is asked.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::clock::LOOK;
use super::refresh::{self, wait};
use super::{Office, OfficeError};
use crate::der::UnixTime;
use crate::pki::AuthorityId;
use crate::store::CrlSet;

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
    stop: Vec<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Schedule {
    /// Starts it on threads of its own: one cuts CRLs and renews signers, one watches the clock,
    /// one keeps warm what is asked.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(office: Arc<Office>) -> std::io::Result<Self> {
        let mut schedule = Self { stop: Vec::new(), threads: Vec::new() };
        let (keeping, watching) = (Arc::clone(&office), Arc::clone(&office));
        schedule.spawn("schedule", move |stopped| keep(&keeping, stopped))?;
        schedule.spawn("clock", move |stopped| watch_clock(&watching, stopped))?;
        schedule.spawn("refresh", move |stopped| refresh::run(&office, stopped))?;
        Ok(schedule)
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce(&Receiver<()>) + Send + 'static) -> std::io::Result<()> {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&stopped))?;
        self.stop.push(stop);
        self.threads.push(thread);
        Ok(())
    }

    /// Tells it to stop, without waiting until it has.
    pub fn tell_to_stop(&mut self) {
        self.stop.clear();
    }

    /// Stops it; a set being built is finished first.
    pub fn stop(&mut self) {
        self.tell_to_stop();
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Cuts the day's CRLs and renews signers; neither while the clock is not believed.
fn keep(office: &Office, stopped: &Receiver<()>) {
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
        if office.watch_clock().is_some() {
            // As soon as it is believed again.
            (retry_at, signers_at) = (None, Instant::now());
        } else {
            if settled && retry_at.is_none_or(|at| Instant::now() >= at) {
                retry_at = publish_if_due(office).err().map(|error| {
                    tracing::error!(%error, retry_seconds = RETRY.as_secs(), "the day's CRL set is not out");
                    Instant::now() + RETRY
                });
            }
            if Instant::now() >= signers_at || office.answers_for_expired() {
                signers_at = Instant::now() + SIGNERS;
                // What fails is logged there, once a level of urgency, and stands in unready().
                drop(office.renew_signers());
            }
        }
        if !wait(stopped, TICK) {
            return;
        }
    }
}

fn watch_clock(office: &Office, stopped: &Receiver<()>) {
    while wait(stopped, LOOK) {
        office.watch_clock();
    }
}

/// Publishes a scheduled set for every authority whose last one is older than the last cut, or
/// is served from a set that is dated after all that is on record: the clock was released since.
fn publish_if_due(office: &Office) -> Result<(), OfficeError> {
    let daily = office.config.crl.daily_second().unwrap_or(0);
    let cut = last_cut(office.clock.now(), daily);
    let facts = office.store.facts();
    let published = |id: &AuthorityId| facts.crl_sets.get(id)?.published.map(|set| set.position);
    let is_behind = |id: &AuthorityId| office.served_set(*id).map(|set| set.position) < published(id);
    if office.profile.authorities.iter().any(|authority| is_behind(&authority.id)) {
        office.serve_files()?;
    }
    let recorded_at = office.store.recorded_at();
    let due = |id: &AuthorityId| {
        let sets = facts.crl_sets.get(id).copied().unwrap_or_default();
        let is_ahead = |set: CrlSet| set.recorded_at > recorded_at;
        sets.published_scheduled.is_none_or(|set| set.recorded_at < cut || is_ahead(set))
            || sets.published.is_some_and(is_ahead)
            || office.served_set(*id).is_none()
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
