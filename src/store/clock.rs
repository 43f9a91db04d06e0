//! The time of the service: one for entries, answers and CRLs.
//!
//! A wall clock may step. So the time is read from the clock that counts since the machine was
//! started, suspended or not, and to it is added what lay between that clock and the wall clock
//! when they were last compared. A step is therefore in no answer before somebody has looked at
//! it, which [`Clock::watch`] does: one of up to [`STEP_MAX`] is followed, a longer one is not
//! believed, and the time runs on as if it had not been. NTP's slewing changes both clocks alike.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::der::UnixTime;

/// The longest step of the wall clock that is followed without asking: leap seconds and the
/// corrections of a working NTP are far below, and verifiers allow for minutes.
pub const STEP_MAX: Duration = Duration::from_secs(60);

/// The service's clock. Clones are the same clock.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

/// The two clocks of a machine in the hands of a test: time passes, and the wall clock steps.
#[derive(Debug)]
pub struct Hands {
    /// Microseconds since 1970.
    wall: AtomicI64,
    /// Microseconds since the start of the machine.
    boot: AtomicI64,
}

/// The wall clock is not believed: what to say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frozen {
    /// The time when it was found so.
    pub since: UnixTime,
    /// Why.
    pub why: Distrust,
}

/// Why the wall clock is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distrust {
    /// It left the monotonic clock by so many seconds, forward or back.
    Stepped(i64),
    /// At the start it was before an entry of the journal, recorded then.
    Behind(UnixTime),
}

struct Inner {
    source: Source,
    /// Microseconds to be added to the monotonic clock.
    offset: AtomicI64,
    /// Microseconds since 1970: the time stands still here until it has passed. A wall clock that
    /// is followed back must not date a revocation before an answer that was given already.
    floor: AtomicI64,
    /// Whether `state` says so.
    frozen: AtomicBool,
    state: Mutex<State>,
}

enum Source {
    Machine,
    ByHand(Arc<Hands>),
    /// Seconds since 1970, always believed.
    Simulated(Arc<AtomicI64>),
}

struct State {
    /// What lies between the clocks, in microseconds, and steps are measured against. It follows
    /// the wall clock at [`DRIFT_PER_MILLION`], so that small steps add up when they are quick.
    anchor: i64,
    /// When it was last looked at, by the monotonic clock.
    looked_at: i64,
    frozen: Option<Frozen>,
}

/// Both clocks at one instant, in microseconds.
#[derive(Clone, Copy)]
struct Reading {
    wall: i64,
    boot: i64,
}

/// How fast the anchor follows: what NTP may slew at most, 43 s a day.
const DRIFT_PER_MILLION: i64 = 500;

/// Two readings this far apart are of different instants: the thread was stopped between them.
const READING_APART_MAX: i64 = 10_000;

/// So often a reading is tried; a machine on which none succeeds is too busy to be judged.
const READING_TRIES: usize = 8;

const MICROS: i64 = 1_000_000;

impl Clock {
    /// The machine's.
    #[must_use]
    pub fn system() -> Self {
        Self::of(Source::Machine)
    }

    /// One in the hands of a test.
    #[must_use]
    pub fn by_hand(hands: Arc<Hands>) -> Self {
        Self::of(Source::ByHand(hands))
    }

    /// One that shows these seconds since 1970, and is believed whatever it does: a simulated
    /// year.
    #[must_use]
    pub fn simulated(seconds: Arc<AtomicI64>) -> Self {
        Self::of(Source::Simulated(seconds))
    }

    fn of(source: Source) -> Self {
        let Reading { wall, boot } = source.read_once();
        let anchor = wall - boot;
        let state = State { anchor, looked_at: boot, frozen: None };
        let (offset, frozen) = (AtomicI64::new(anchor), AtomicBool::new(false));
        let floor = AtomicI64::new(0);
        Self(Arc::new(Inner { source, offset, floor, frozen, state: Mutex::new(state) }))
    }

    /// The time now, in whole seconds: the wall clock's while it is believed, what it would be
    /// without its step while it is not. One reading of one clock and two
    /// atomic loads.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        match &self.0.source {
            Source::Simulated(seconds) => UnixTime::from_seconds(seconds.load(Ordering::SeqCst)),
            source => {
                let time = source.boot().saturating_add(self.0.offset.load(Ordering::Acquire));
                at(time.max(self.0.floor.load(Ordering::Acquire)))
            }
        }
    }

    /// How long the machine has run: for what is to be tried again after a while, whatever the wall
    /// clock does meanwhile.
    #[must_use]
    pub fn running(&self) -> Duration {
        match &self.0.source {
            Source::Simulated(seconds) => {
                Duration::from_secs(u64::try_from(seconds.load(Ordering::SeqCst)).unwrap_or(0))
            }
            source => Duration::from_micros(u64::try_from(source.boot()).unwrap_or(0)),
        }
    }

    /// What the wall clock shows, believed or not.
    #[must_use]
    pub fn wall(&self) -> UnixTime {
        at(self.0.source.read_once().wall)
    }

    /// True while the wall clock is not believed, as of the last look. One atomic load.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.0.frozen.load(Ordering::Acquire)
    }

    /// Since when and why the wall clock is not believed, as of the last look.
    #[must_use]
    pub fn frozen(&self) -> Option<Frozen> {
        self.state().frozen
    }

    /// Compares the clocks, and says whether the wall clock is believed now. Cheap enough to be
    /// done before everything that must not be dated wrongly.
    pub fn watch(&self) -> Option<Frozen> {
        if matches!(self.0.source, Source::Simulated(_)) {
            return None;
        }
        let mut state = self.state();
        let Some(reading) = self.0.source.read() else { return state.frozen };
        let step = reading.offset() - state.anchor;
        let passed = reading.boot - state.looked_at;
        // Looks that follow one another at once are one: their drift would be rounded away.
        let drift = passed.saturating_mul(DRIFT_PER_MILLION) / MICROS;
        if drift > 0 {
            state.looked_at = reading.boot;
        }
        match state.frozen.map(|frozen| frozen.why) {
            None if step.abs() > micros(STEP_MAX) => {
                let why = Distrust::Stepped(step / MICROS);
                self.freeze(&mut state, Frozen { since: self.now(), why });
            }
            None => {
                let most = drift.max(0);
                state.anchor += step.clamp(-most, most);
                self.follow(reading);
            }
            Some(Distrust::Stepped(_)) if step.abs() <= micros(STEP_MAX) => {
                self.thaw(&mut state, reading);
            }
            // Where it began was never known, only what it must not be before.
            Some(Distrust::Behind(_)) if at(reading.wall).plus(STEP_MAX) >= self.now() => {
                state.anchor = reading.offset();
                self.thaw(&mut state, reading);
            }
            Some(_) => {}
        }
        state.frozen
    }

    /// Holds the clock against the last time that is on record: before it by more than
    /// [`STEP_MAX`], it is not believed, and the time runs on from the record.
    pub fn hold_against(&self, recorded: UnixTime) -> Option<Frozen> {
        if matches!(self.0.source, Source::Simulated(_)) {
            return None;
        }
        let mut state = self.state();
        let reading = self.0.source.read_once();
        if at(reading.wall).plus(STEP_MAX) < recorded {
            self.0.offset.store(recorded.seconds().saturating_mul(MICROS) - reading.boot, Ordering::Release);
            self.freeze(&mut state, Frozen { since: recorded, why: Distrust::Behind(recorded) });
        }
        state.frozen
    }

    /// Believes the wall clock from now on, whatever it shows, and says what that is.
    pub fn believe(&self) -> UnixTime {
        let mut state = self.state();
        let reading = self.0.source.read_once();
        state.anchor = reading.offset();
        state.looked_at = reading.boot;
        self.thaw(&mut state, reading);
        // Whoever vouches for it may let the time go back.
        self.0.floor.store(0, Ordering::Release);
        self.now()
    }

    /// Takes a [`Self::believe`] back that did not come to stand on record: the time runs on from
    /// `now`, and the wall clock is not believed as before.
    pub fn distrust(&self, frozen: Frozen, now: UnixTime) {
        let mut state = self.state();
        if state.frozen.is_none() && !matches!(self.0.source, Source::Simulated(_)) {
            state.anchor = now.seconds().saturating_mul(MICROS) - self.0.source.boot();
            self.0.offset.store(state.anchor, Ordering::Release);
            self.freeze(&mut state, frozen);
        }
    }

    /// A step that is too small to be one is left out: readings waver, and seconds would go back.
    fn follow(&self, reading: Reading) {
        if (reading.offset() - self.0.offset.load(Ordering::Acquire)).abs() > READING_APART_MAX {
            self.set(reading);
        }
    }

    /// Goes on by the wall clock, without going back.
    fn set(&self, reading: Reading) {
        let shown = reading.boot.saturating_add(self.0.offset.load(Ordering::Acquire));
        self.0.floor.fetch_max(shown, Ordering::AcqRel);
        self.0.offset.store(reading.offset(), Ordering::Release);
    }

    fn freeze(&self, state: &mut State, frozen: Frozen) {
        state.frozen = Some(frozen);
        self.0.frozen.store(true, Ordering::Release);
    }

    fn thaw(&self, state: &mut State, reading: Reading) {
        state.frozen = None;
        self.set(reading);
        self.0.frozen.store(false, Ordering::Release);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stepped(seconds) if *seconds < 0 => {
                write!(f, "the wall clock stepped back by {} s", seconds.unsigned_abs())
            }
            Self::Stepped(seconds) => write!(f, "the wall clock stepped forward by {seconds} s"),
            Self::Behind(recorded) => {
                write!(f, "the wall clock is behind the journal, which was written up to {recorded}")
            }
        }
    }
}

impl Hands {
    /// A machine just started, whose wall clock shows this time.
    #[must_use]
    pub fn new(wall: UnixTime) -> Arc<Self> {
        let wall = AtomicI64::new(wall.seconds().saturating_mul(MICROS));
        Arc::new(Self { wall, boot: AtomicI64::new(0) })
    }

    /// Time passes.
    pub fn pass(&self, duration: Duration) {
        self.wall.fetch_add(micros(duration), Ordering::SeqCst);
        self.boot.fetch_add(micros(duration), Ordering::SeqCst);
    }

    /// The wall clock steps by so many seconds, forward or back.
    pub fn step(&self, seconds: i64) {
        self.wall.fetch_add(seconds.saturating_mul(MICROS), Ordering::SeqCst);
    }
}

impl Source {
    /// Microseconds since the machine was started, suspended or not.
    fn boot(&self) -> i64 {
        match self {
            Self::Machine => {
                let read = clock_gettime(ClockId::Boottime);
                read.tv_sec.saturating_mul(MICROS).saturating_add(read.tv_nsec / 1000)
            }
            Self::ByHand(hands) => hands.boot.load(Ordering::SeqCst),
            Self::Simulated(_) => 0,
        }
    }

    fn wall(&self) -> i64 {
        match self {
            Self::Machine => micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
            Self::ByHand(hands) => hands.wall.load(Ordering::SeqCst),
            Self::Simulated(seconds) => seconds.load(Ordering::SeqCst).saturating_mul(MICROS),
        }
    }

    fn read_once(&self) -> Reading {
        Reading { boot: self.boot(), wall: self.wall() }
    }

    /// Both clocks at the same instant.
    fn read(&self) -> Option<Reading> {
        (0..READING_TRIES).find_map(|_| {
            let reading = self.read_once();
            (self.boot() - reading.boot <= READING_APART_MAX).then_some(reading)
        })
    }
}

impl Reading {
    const fn offset(self) -> i64 {
        self.wall.saturating_sub(self.boot)
    }
}

fn at(micros: i64) -> UnixTime {
    UnixTime::from_seconds(micros.div_euclid(MICROS))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_800_000_000;

    fn clock() -> (Clock, Arc<Hands>) {
        let hands = Hands::new(UnixTime::from_seconds(START));
        (Clock::by_hand(Arc::clone(&hands)), hands)
    }

    fn after(clock: &Clock) -> i64 {
        clock.now().seconds() - START
    }

    #[test]
    fn a_step_of_up_to_a_minute_is_followed() {
        for step in [59, 60, -59, -60] {
            let (clock, hands) = clock();
            hands.pass(Duration::from_secs(100));
            hands.step(step);
            assert_eq!(after(&clock), 100, "in no answer before somebody has looked");
            assert_eq!(clock.watch(), None);
            assert_eq!(after(&clock), 100 + step.max(0), "it stands still, and does not go back");
            hands.pass(Duration::from_secs(60));
            assert_eq!(after(&clock), 160 + step.max(-60));
            hands.pass(Duration::from_secs(60));
            assert_eq!(after(&clock), 220 + step);
        }
    }

    #[test]
    fn a_longer_step_is_not_believed_until_it_is_taken_back() {
        for step in [61, 86_400, -61, -3600] {
            let (clock, hands) = clock();
            hands.pass(Duration::from_secs(100));
            hands.step(step);
            let frozen = clock.watch().unwrap();
            assert_eq!(frozen.why, Distrust::Stepped(step));
            assert_eq!(frozen.since.seconds(), START + 100);
            hands.pass(Duration::from_secs(1000));
            assert_eq!(clock.watch(), Some(frozen), "time alone heals nothing");
            assert_eq!((after(&clock), clock.is_frozen()), (1100, true));
            assert_eq!(clock.wall().seconds() - START, 1100 + step);
            hands.step(7 - step);
            assert_eq!(clock.watch(), None);
            assert_eq!((after(&clock), clock.is_frozen()), (1107, false));
        }
    }

    #[test]
    fn small_steps_add_up_when_they_are_quick_and_only_then() {
        let (clock, hands) = clock();
        for _ in 0..3 {
            for _ in 0..86_400 * 4 {
                hands.pass(Duration::from_millis(250));
                clock.watch();
                clock.watch();
            }
            hands.step(40);
            assert_eq!(clock.watch(), None);
        }
        assert_eq!(after(&clock), 3 * 86_440);
        hands.pass(Duration::from_secs(60));
        hands.step(40);
        assert!(clock.watch().is_some());
    }

    #[test]
    fn a_release_believes_the_wall_clock_both_ways() {
        for step in [86_400, -86_400] {
            let (clock, hands) = clock();
            hands.step(step);
            assert!(clock.watch().is_some());
            assert_eq!(clock.believe().seconds() - START, step);
            hands.pass(Duration::from_secs(5));
            assert_eq!(clock.watch(), None);
            assert_eq!(after(&clock), step + 5);
        }
    }

    #[test]
    fn a_start_before_the_last_entry_runs_on_from_it_until_the_clock_is_past_it() {
        let recorded = UnixTime::from_seconds(START + 3600);
        let (clock, hands) = clock();
        assert_eq!(clock.hold_against(UnixTime::from_seconds(START + 60)), None);
        assert_eq!(clock.hold_against(recorded).unwrap().why, Distrust::Behind(recorded));
        hands.pass(Duration::from_secs(10));
        assert!(clock.watch().is_some());
        assert_eq!(after(&clock), 3610);
        hands.step(90_000);
        assert_eq!(clock.watch(), None, "the machine was off for a day");
        assert_eq!(after(&clock), 90_010);
    }

    #[test]
    fn the_machines_clock_shows_the_wall_clocks_time() {
        let clock = Clock::system();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(clock.now().seconds().abs_diff(i64::try_from(wall).unwrap()) <= 1);
        assert_eq!(clock.watch(), None);
    }
}
