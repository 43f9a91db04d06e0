//! The clock: watched, and vouched for by an operator when it stepped rightly.
//!
//! While it is not believed nothing is signed: no answer, no CRL, no certificate, no signer.
//! Revocations are taken, dated by the time that would be had it not stepped.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use super::{Office, OfficeError};
use crate::der::UnixTime;
use crate::record::{Event, Origin, Position};
use crate::store::{Clock, Frozen};

/// How often the clocks are compared: a step is in no answer in between, since the time is read
/// from the clock that does not step.
pub(super) const LOOK: Duration = Duration::from_millis(250);

/// What the clocks show, and whether they are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockState {
    /// The wall clock.
    pub wall: UnixTime,
    /// The time of entries and answers.
    pub trusted: UnixTime,
    /// The last time on record.
    pub recorded_at: UnixTime,
    /// Since when and why the wall clock is not believed, when it is not.
    pub frozen: Option<Frozen>,
}

/// What came of vouching for the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockRelease {
    /// The time believed until then, and on record.
    pub from: UnixTime,
    /// The wall clock's, believed from now on.
    pub to: UnixTime,
    /// The entry that says so; none when the clock was believed anyway, and nothing changed.
    pub position: Option<Position>,
}

impl Office {
    /// The clock of this service: whoever needs the time asks it.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Compares the clocks now. The responder stops signing, or goes on, before this returns.
    pub fn watch_clock(&self) -> Option<Frozen> {
        let mut told = self.clock_told();
        let frozen = self.clock.watch();
        if frozen != *told {
            self.responder.freeze(frozen.is_some());
            match frozen {
                Some(Frozen { why, .. }) => {
                    tracing::error!(%why, trusted = %self.clock.now(), "the clock is not believed: nothing is signed");
                }
                None => {
                    tracing::info!(now = %self.clock.now(), "the clock is believed again: signing goes on")
                }
            }
            *told = frozen;
        }
        frozen
    }

    /// Looks at the clock before something is signed.
    pub(super) fn believed_clock(&self) -> Result<(), OfficeError> {
        self.watch_clock().map_or(Ok(()), |frozen| Err(OfficeError::Clock(frozen.why)))
    }

    /// What the clocks show.
    #[must_use]
    pub fn clock_state(&self) -> ClockState {
        let frozen = self.watch_clock();
        let (wall, trusted) = (self.clock.wall(), self.clock.now());
        ClockState { wall, trusted, recorded_at: self.store.recorded_at(), frozen }
    }

    /// Believes the wall clock from now on: somebody has looked at it. Says so in the journal,
    /// whose time goes back with it if need be, then signs again. What was recorded in a time that
    /// is now yet to come is answered as if recorded at each answer's own time; the schedule
    /// replaces CRLs from there at once.
    ///
    /// # Errors
    /// When the journal does not take it: then the clock is believed no more than before.
    pub fn release_clock(&self, origin: Origin) -> Result<ClockRelease, OfficeError> {
        // Held until it is on record: nobody tells the responder to sign before.
        let mut told = self.clock_told();
        let now = self.clock.now();
        let from = now.max(self.store.recorded_at());
        let Some(frozen) = self.clock.watch() else {
            return Ok(ClockRelease { from: now, to: now, position: None });
        };
        let actor = origin.actor.name().to_owned();
        let released = self
            .store
            .submit_wait(origin, Box::new(move |_, _| Ok(vec![Event::ClockReleased { until: from }])));
        let outcome = match released {
            Ok(outcome) => outcome,
            Err(error) => {
                self.clock.distrust(frozen, now);
                return Err(error.into());
            }
        };
        let to = outcome.recorded_at;
        tracing::warn!(%from, %to, actor, "the clock was released: signing goes on");
        self.responder.freeze(false);
        *told = None;
        drop(told);
        // Those that a clock ahead took for expired.
        let keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.load_authorities(self.clock.now()) {
            tracing::error!(%error, "the authorities could not be read again");
        }
        drop(keeping);
        if let Err(error) = self.renew_signers() {
            tracing::error!(%error, "an OCSP signer could not be renewed after the clock was released");
        }
        Ok(ClockRelease { from, to, position: Some(outcome.position) })
    }

    fn clock_told(&self) -> MutexGuard<'_, Option<Frozen>> {
        self.clock_told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
