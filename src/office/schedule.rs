//! What happens by itself: the day's CRL set, the renewal of signers, the watch over the clock, the
//! night's comparison of cards with certificates, and the refreshing of what is asked.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::clock::LOOK;
use super::compromise::TOGETHER;
use super::reconcile::Nightly;
use super::refresh::{self, wait};
use super::remaking::Watch;
use super::{Office, OfficeError};
use crate::der::UnixTime;
use crate::pki::AuthorityId;
use crate::store::CrlSet;

/// How often the schedule looks at the clock.
const TICK: Duration = Duration::from_secs(1);

/// A build that failed is tried again after this long (domain rule: every ten minutes).
const RETRY: Duration = Duration::from_secs(600);

/// Deltas that failed are tried again after this long.
const DELTA_RETRY: Duration = Duration::from_secs(60);

/// What changed is gathered for so long: a delta comes out within a minute of the first change.
const DELTA_GAP: Duration = Duration::from_secs(30);

/// How often old sets are looked for.
const RETIREMENT: Duration = Duration::from_secs(3600);

/// A day's set may take so long, with one failure, before readiness says so.
const OVERDUE: Duration = Duration::from_secs(15 * 60);

/// The schedule may be busy with one set for so long.
const SILENCE_MAX: Duration = Duration::from_secs(30 * 60);

/// How often it is looked whether the night's comparison is due.
const RECONCILIATION: Duration = Duration::from_secs(60);

/// How often signers are looked after: far more often than the third of a day the shortest
/// permitted one has left when it is due.
const SIGNERS: Duration = Duration::from_secs(60);

/// How often it is looked whether CRLs that cannot be made again were put back.
const LAST_CRLS: Duration = Duration::from_secs(60);

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
    /// Starts it on threads of its own: one cuts CRLs and renews signers, one watches the clock, one holds
    /// records and index against each other, one compares cards with certificates by night, one signs
    /// checkpoints, one revokes one by one what a compromised key signed, one keeps warm what is asked.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(office: Arc<Office>) -> std::io::Result<Self> {
        let mut schedule = Self { stop: Vec::new(), threads: Vec::new() };
        let (keeping, watching) = (Arc::clone(&office), Arc::clone(&office));
        schedule.spawn("schedule", move |stopped| keep(&keeping, stopped))?;
        schedule.spawn("clock", move |stopped| watch_clock(&watching, stopped))?;
        let witnessing = Arc::clone(&office);
        schedule.spawn("witnesses", move |stopped| watch_folds(witnessing, stopped))?;
        let comparing = Arc::clone(&office);
        schedule.spawn("reconcile", move |stopped| reconcile(comparing, stopped))?;
        let signing = Arc::clone(&office);
        schedule.spawn("checkpoint", move |stopped| sign_checkpoints(&signing, stopped))?;
        let writing = Arc::clone(&office);
        schedule.spawn("compromise", move |stopped| write_compromises(&writing, stopped))?;
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

/// What is to be done by itself, one look at a time: cuts CRLs and renews signers, neither while
/// the clock is not believed.
pub struct Keeper {
    office: Arc<Office>,
    /// What the last stop left open has been closed.
    settled: bool,
    /// When what failed is tried again, by the time the machine has run.
    set_at: Duration,
    deltas_at: Duration,
    signers_at: Duration,
    last_crls_at: Duration,
    retirement_at: Duration,
}

impl Keeper {
    /// Everything is due.
    #[must_use]
    pub fn new(office: Arc<Office>) -> Self {
        let now = office.clock.running();
        let signers_at = now + SIGNERS;
        let last_crls_at = signers_at;
        Self {
            office,
            settled: false,
            set_at: now,
            deltas_at: now,
            signers_at,
            last_crls_at,
            retirement_at: now,
        }
    }

    /// Looks, and does what is due. What panics is tried again like what failed: the day's set must
    /// not depend on one bad pass.
    pub fn look(&mut self) {
        self.office.heartbeat.beat();
        if catch_unwind(AssertUnwindSafe(|| self.do_what_is_due())).is_err() {
            tracing::error!(retry_seconds = RETRY.as_secs(), "a pass of the schedule panicked");
            let retry_at = self.office.clock.running() + RETRY;
            (self.set_at, self.deltas_at) = (retry_at, retry_at);
        }
    }

    fn do_what_is_due(&mut self) {
        let office = &self.office;
        if office.store.fenced().is_some() {
            return;
        }
        if !self.settled && !office.is_rebuilding() {
            self.settled = true;
            if let Err(error) = office.settle() {
                tracing::error!(%error, "what the last stop left open is still open");
            }
        }
        // Whatever becomes of the CRL sets, and of the clock.
        office.serve_owed_notice();
        let now = office.clock.running();
        if office.watch_clock().is_some() {
            // As soon as it is believed again.
            (self.set_at, self.deltas_at, self.signers_at) = (now, now, now);
            return;
        }
        let after = |outcome: Result<(), OfficeError>, what: &str, retry: Duration| match outcome {
            Ok(()) => now,
            Err(error) => {
                tracing::error!(%error, retry_seconds = retry.as_secs(), "{what} not out");
                office.clock.running() + retry
            }
        };
        if self.settled && now >= self.set_at {
            self.set_at = after(publish_if_due(office), "the day's CRL set is", RETRY);
        }
        if self.settled && now >= self.deltas_at {
            self.deltas_at = after(cut_deltas_if_due(office), "deltas are", DELTA_RETRY);
        }
        if now >= self.signers_at || office.answers_for_expired() {
            self.signers_at = office.clock.running() + SIGNERS;
            // What fails is logged there, once a level of urgency, and stands in unready().
            drop(office.renew_signers());
        }
        if self.settled && now >= self.last_crls_at {
            self.last_crls_at = office.clock.running() + LAST_CRLS;
            if let Err(error) = office.look_for_last_crls() {
                tracing::error!(%error, "whether missing CRLs were put back cannot be told");
            }
        }
        if self.settled && now >= self.retirement_at {
            self.retirement_at = office.clock.running() + RETIREMENT;
            if let Err(error) = office.retire_sets() {
                tracing::warn!(%error, "old CRL sets are still there");
            }
        }
    }
}

/// Looks until it is told to stop.
fn keep(office: &Arc<Office>, stopped: &Receiver<()>) {
    let mut keeper = Keeper::new(Arc::clone(office));
    loop {
        keeper.look();
        if !wait(stopped, TICK) {
            office.heartbeat.stop();
            return;
        }
    }
}

fn watch_clock(office: &Office, stopped: &Receiver<()>) {
    while wait(stopped, LOOK) {
        office.watch_clock();
    }
}

fn sign_checkpoints(office: &Office, stopped: &Receiver<()>) {
    loop {
        office.sign_checkpoint_if_due();
        if !wait(stopped, TICK) {
            return;
        }
    }
}

fn reconcile(office: Arc<Office>, stopped: &Receiver<()>) {
    let mut nightly = Nightly::new(office);
    Nightly::lower_priority();
    while wait(stopped, RECONCILIATION) {
        nightly.look();
    }
}

/// Writes the single revocations of compromised keys, whatever a stop has left of them.
fn write_compromises(office: &Office, stopped: &Receiver<()>) {
    let mut pause = TICK;
    while wait(stopped, pause) {
        pause = TICK;
        let is_fenced = office.store.fenced().is_some();
        if is_fenced || office.is_rebuilding() || office.watch_clock().is_some() {
            continue;
        }
        let mut go_on = || !is_told(stopped);
        if let Err(error) = office.write_compromises_by(TOGETHER, &mut go_on) {
            tracing::error!(%error, retry_seconds = DELTA_RETRY.as_secs(), "single revocations are missing");
            pause = DELTA_RETRY;
        }
    }
}

/// True when it is time to stop.
fn is_told(stopped: &Receiver<()>) -> bool {
    !matches!(stopped.try_recv(), Err(mpsc::TryRecvError::Empty))
}

fn watch_folds(office: Arc<Office>, stopped: &Receiver<()>) {
    let mut watch = Watch::new(office);
    Watch::lower_priority();
    while wait(stopped, TICK) {
        watch.look();
    }
}

/// Publishes a scheduled set for every authority whose last one is older than the last cut, or
/// is served from a set that is dated after all that is on record: the clock was released since.
fn publish_if_due(office: &Office) -> Result<(), OfficeError> {
    let cut = last_cut(office.clock.now(), daily_second(office));
    let facts = office.store.facts();
    let published = |id: &AuthorityId| facts.crl_sets.get(id)?.published.map(|set| set.position);
    let is_behind = |id: &AuthorityId| office.served_set(*id).map(|set| set.position) < published(id);
    let mut all = office.profile.authorities.iter().map(|authority| authority.id);
    // What cannot be made again has a look of its own: here it would be each second.
    let is_lost = !office.served.load().missing.is_empty();
    if all.any(|id| is_behind(&id) && (can_publish(office, id) || !is_lost)) {
        office.serve_files()?;
    }
    let recorded_at = office.store.recorded_at();
    let compromised = |id: &AuthorityId| {
        let own = facts.compromises.iter().filter(|(of, ..)| of == id);
        own.filter_map(|(_, _, said)| said.written).max()
    };
    let due = |id: &AuthorityId| {
        let sets = facts.crl_sets.get(id).copied().unwrap_or_default();
        let is_ahead = |set: CrlSet| set.recorded_at > recorded_at;
        sets.published_scheduled.is_none_or(|set| set.recorded_at < cut || is_ahead(set))
            || sets.published.is_some_and(is_ahead)
            || office.served_set(*id).is_none()
            // All that a key signed was revoked since.
            || compromised(id) > sets.published.map(|set| set.position)
    };
    let authorities = office.profile.authorities.iter().map(|a| a.id);
    let authorities: Vec<_> = authorities.filter(|id| due(id) && can_publish(office, *id)).collect();
    if authorities.is_empty() {
        return Ok(());
    }
    office.publish(&authorities, true).map(|_| ())
}

/// Publishes deltas for every authority whose last ones, or base, are older than the interval, or
/// whose certificates changed since; and at once where the base names deltas that are not there.
fn cut_deltas_if_due(office: &Office) -> Result<(), OfficeError> {
    let crl = &office.config.crl;
    if crl.delta_minutes == 0 {
        return Ok(());
    }
    let (now, recorded_at) = (office.clock.now(), office.store.recorded_at());
    let interval = Duration::from_secs(u64::from(crl.delta_minutes) * 60);
    let (facts, served) = (office.store.facts(), office.served.load());
    let due = |id: &AuthorityId| {
        let sets = facts.crl_sets.get(id).copied().unwrap_or_default();
        let Some(base) = sets.published_scheduled else { return false };
        if !served.deltas.contains(id) {
            return true;
        }
        let last = sets.published_deltas.filter(|deltas| deltas.position > base.position).unwrap_or(base);
        let passed = now.since(last.recorded_at);
        let changed = crl.delta_after_change && office.store.changed() > last.position;
        passed >= interval || changed && passed >= DELTA_GAP || last.recorded_at > recorded_at
    };
    let authorities = office.profile.authorities.iter().map(|a| a.id);
    let authorities: Vec<_> = authorities.filter(|id| due(id) && can_publish(office, *id)).collect();
    if authorities.is_empty() {
        return Ok(());
    }
    match office.publish_deltas(&authorities) {
        // The base is of a former life, or lost: the next day's set will be one.
        Ok(_) | Err(OfficeError::NothingToPublish) => Ok(()),
        Err(error) => Err(error),
    }
}

/// False where nothing can come out: no key is here, which is told, or what a compromised key signed is still
/// being revoked. Other authorities' sets come out all the same.
fn can_publish(office: &Office, authority: AuthorityId) -> bool {
    !office.is_revoking(authority) && office.keys_here(authority).is_ok()
}

/// A CRL that should be there and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overdue {
    /// The day's set of an authority, cut at this time, has not come out.
    Set(String, UnixTime),
    /// The CRLs of an authority that are served have expired.
    Expired(String, UnixTime),
    /// CRLs of an authority were published, and none is served.
    NotServed(String),
    /// The schedule has not looked for so long.
    Schedule(Duration),
}

impl fmt::Display for Overdue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(authority, cut) => {
                write!(f, "the CRL set of {authority} due at {cut} has not come out: look at the log")
            }
            Self::Expired(authority, at) => write!(f, "the CRLs of {authority} expired at {at}"),
            Self::NotServed(authority) => {
                write!(f, "the CRLs of {authority} that were published are not served: look at the log")
            }
            Self::Schedule(silent) => {
                write!(f, "the schedule has not looked for {} s: restart the service", silent.as_secs())
            }
        }
    }
}

impl Office {
    /// What should have come out and did not, whoever was to do it: told from the journal and the
    /// clock alone, so that a schedule that died cannot keep it quiet.
    #[must_use]
    pub fn overdue(&self) -> Vec<Overdue> {
        let mut overdue: Vec<Overdue> = self.heartbeat.silent().map(Overdue::Schedule).into_iter().collect();
        if self.clock.is_frozen() {
            // Nothing can come out, and that is told already.
            return overdue;
        }
        let (now, facts) = (self.clock.now(), self.store.facts());
        let cut = last_cut(now, daily_second(self));
        for authority in &self.profile.authorities {
            // The facts are of the whole journal: without sets none was ever begun, and none is late.
            let Some(sets) = facts.crl_sets.get(&authority.id) else { continue };
            let name = || authority.name.clone();
            if self.is_wholly_retired(authority.id) {
                // Its last CRLs are out, and none follows.
                continue;
            }
            if sets.published_scheduled.is_some_and(|set| set.recorded_at < cut) && now.since(cut) > OVERDUE {
                overdue.push(Overdue::Set(name(), cut));
            }
            match self.served_set(authority.id).map(|set| set.next_update) {
                Some(ends) if ends <= now => overdue.push(Overdue::Expired(name(), ends)),
                None if sets.published.is_some() => overdue.push(Overdue::NotServed(name())),
                Some(_) | None => {}
            }
        }
        overdue
    }
}

/// When the schedule last looked; nothing before it was started.
#[derive(Debug, Default)]
pub(super) struct Heartbeat(Mutex<Option<Instant>>);

impl Heartbeat {
    fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Stops counting: it was told to stop.
    fn stop(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// For how long it has not looked, when that is too long.
    fn silent(&self) -> Option<Duration> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.map(|last| last.elapsed()).filter(|silent| *silent > SILENCE_MAX)
    }
}

/// When the day's set is cut, in seconds after midnight. The settings were checked at the start.
fn daily_second(office: &Office) -> u32 {
    office.config.crl.daily_second().unwrap_or(0)
}

/// The last instant, not after `now`, at which the clock in Japan showed `daily` seconds after
/// midnight.
pub(super) fn last_cut(now: UnixTime, daily: u32) -> UnixTime {
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
