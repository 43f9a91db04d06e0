//! Cards beside their certificates, and each person's cards beside each other: when somebody asks, and
//! every night.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::decisions::Book;
use super::schedule::last_cut;
use super::{Office, OfficeError};
use crate::der::UnixTime;
use crate::lifecycle::{self, Carried, Disagreement};
use crate::pki::CarrierState;
use crate::sync::lower_priority;

/// Seconds after midnight in Japan: the registry's feed of the night is in by then, and the day's CRL
/// set is out.
const NIGHTLY: u32 = 4 * 3600;

/// A comparison that failed is tried again after this long.
const RETRY: Duration = Duration::from_secs(600);

/// Disagreements that are logged one by one; `sekisho reconcile` lists all.
const LOGGED_MAX: usize = 20;

/// Beside answering: nobody waits for it.
const NICE: i32 = 15;

/// What the last nightly comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconciled {
    /// When.
    pub at: UnixTime,
    /// Cards and phones looked at.
    pub cards: u64,
    /// What disagreed.
    pub disagreements: usize,
}

impl Office {
    /// Compares every card with its certificates, and every person's cards with each other; what
    /// disagrees, and how many cards were looked at.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn reconcile(&self) -> Result<(u64, Vec<Disagreement>), OfficeError> {
        let (at, now) = (self.store.head().0, self.clock.now());
        let (mut cards, mut found, mut dead, mut failed) = (0, Vec::new(), Vec::new(), None);
        let book = Book::Store(self);
        self.store.each_holder(at, &mut |holder| match book.carried(&holder) {
            Ok(carried) => {
                for one in &carried {
                    cards += 1;
                    for disagreement in lifecycle::of_card(one, now) {
                        match disagreement {
                            Disagreement::Dead(_) => dead.push((one.clone(), disagreement)),
                            _ => found.push(disagreement),
                        }
                    }
                }
                found.extend(lifecycle::of_holder(&holder, &carried, now));
            }
            Err(refusal) => failed = failed.take().or(Some(refusal)),
        })?;
        if let Some(refusal) = failed {
            return Err(refusal.into());
        }
        for (one, disagreement) in dead {
            if !self.is_left_without(&one)? {
                found.push(disagreement);
            }
        }
        Ok((cards, found))
    }

    /// True when what ended one of its certificates leaves the card in its holder's hand: its holder asked for
    /// it, or moved; it was lost and found; or that certificate alone was asked for. Such a card is in use,
    /// with nothing on it. What abolishes a card leaves none in use.
    fn is_left_without(&self, one: &Carried) -> Result<bool, OfficeError> {
        for record in &one.records {
            let Some(change) = record.changes.last() else { continue };
            let Some(behind) = self.behind(change)? else { return Ok(true) };
            let rule = self.profile.rules.find(&behind.event);
            if rule.is_some_and(|rule| rule.carrier != Some(CarrierState::Abolished)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the last nightly comparison since the start found.
    #[must_use]
    pub fn reconciled(&self) -> Option<Reconciled> {
        *self.reconciled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compares once a night, one look at the clock at a time.
pub struct Nightly {
    office: Arc<Office>,
    /// Nights before this one are over.
    since: UnixTime,
    /// When one that failed is tried again, by the time the machine has run.
    retry_at: Duration,
}

impl Nightly {
    /// From the coming night on.
    #[must_use]
    pub fn new(office: Arc<Office>) -> Self {
        let (since, retry_at) = (office.clock.now(), Duration::ZERO);
        Self { office, since, retry_at }
    }

    /// Compares if a night has come since the last time, and raises the alarm when something
    /// disagrees.
    pub fn look(&mut self) {
        let office = &self.office;
        let due = last_cut(office.clock.now(), NIGHTLY) > self.since;
        if !due || office.clock.is_frozen() || office.clock.running() < self.retry_at {
            return;
        }
        match office.reconcile() {
            Ok((cards, found)) => {
                self.since = office.clock.now();
                let done = Reconciled { at: self.since, cards, disagreements: found.len() };
                *office.reconciled.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
                for disagreement in found.iter().take(LOGGED_MAX) {
                    tracing::error!(%disagreement, "cards and certificates disagree");
                }
                let disagreements = found.len();
                tracing::info!(cards, disagreements, "the night's comparison is done");
            }
            Err(error) => {
                tracing::error!(%error, retry_seconds = RETRY.as_secs(), "cards were not compared");
                self.retry_at = office.clock.running() + RETRY;
            }
        }
    }

    /// On a thread of its own.
    pub(super) fn lower_priority() {
        lower_priority(NICE);
    }
}
