//! Keeps warm what is asked: kept signatures that were asked for since they were made are made
//! again before they are too old, so that no asker waits for one.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::Office;
use crate::ocsp::{Caching, Cursor, Job, Respond};
use crate::signer::SignError;

/// Makes the signature of a job, wherever it suits, and gives both back.
pub type Sign = Arc<dyn Fn(Job) -> (Job, Result<Vec<u8>, SignError>) + Send + Sync>;

/// Signatures made between two rests: with P-256 some 2 ms of work, which delays nobody.
pub(super) const BATCH: usize = 16;

/// After work the thread rests this many times as long: a quarter of one core is spent at most.
const REST: u32 = 3;

/// Places looked at between two rests: about 100 µs, most of them waiting for memory.
const PLACES: usize = 1024;

/// A walk a thirtieth of `ocsp.refresh_after_minutes`, the last quarter of which is for this:
/// two seconds at the least.
const WALKS: u32 = 30;

/// A walk over a million signatures takes a tenth of a second of one core.
const WALK_EVERY_MAX: Duration = Duration::from_secs(30);

/// The system runs the thread when no other wants the core.
const NICE: i32 = 19;

/// What came of warming one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Warmed {
    /// It was signed and is kept.
    Signed,
    /// One is kept that is not due, or there is nothing to be said.
    Already,
    /// No signature could be made.
    Failed,
}

/// Lets others go first: works, then rests in proportion.
pub(super) struct Pace {
    began: Instant,
}

impl Pace {
    /// For the thread that calls it: from now on it comes last.
    pub(super) fn of_this_thread() -> Self {
        // Refused, it still rests.
        let _refused = rustix::process::nice(NICE);
        Self { began: Instant::now() }
    }

    /// Rests as is due for the work since the last rest; false when it is time to stop.
    pub(super) fn rest(&mut self, stopped: &Receiver<()>) -> bool {
        let goes_on = wait(stopped, self.began.elapsed() * REST);
        self.began = Instant::now();
        goes_on
    }

    /// Rests for a while, work or no work; false when it is time to stop.
    pub(super) fn pause(&mut self, stopped: &Receiver<()>, pause: Duration) -> bool {
        let goes_on = wait(stopped, pause);
        self.began = Instant::now();
        goes_on
    }
}

/// Waits; false when told to stop.
pub(super) fn wait(stopped: &Receiver<()>, pause: Duration) -> bool {
    stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout)
}

impl Office {
    /// Has the answer to `request` signed and kept, unless a fresh one is.
    pub(super) fn warm(&self, request: &[u8], sign: &Sign) -> Warmed {
        let job = match self.responder.respond_again(request, self.clock.now()) {
            Respond::Ready(_) => return Warmed::Already,
            Respond::Refresh(_, job) | Respond::Sign(job) => job,
        };
        let (job, made) = sign(job);
        match made {
            // Another signer has taken over since: the next walk has it sign.
            Err(SignError::Withdrawn) => return Warmed::Already,
            Err(_) => return Warmed::Failed,
            Ok(_) => {}
        }
        match self.responder.finish(job, made, self.clock.now()) {
            Respond::Ready(answer) | Respond::Refresh(answer, _) if answer.caching != Caching::NoStore => {
                Warmed::Signed
            }
            // Its status changed meanwhile: whoever asks has it signed.
            _ => Warmed::Already,
        }
    }
}

/// Walks again and again over what is kept, until told to stop.
pub(super) fn run(office: &Office, stopped: &Receiver<()>) {
    let sign = office.sign_last();
    let mut pace = Pace::of_this_thread();
    let refresh_after = Duration::from_secs(60) * office.config.ocsp.refresh_after_minutes;
    let every = (refresh_after / WALKS).min(WALK_EVERY_MAX);
    while pace.pause(stopped, every) {
        let mut from = Some(Cursor::default());
        while let Some(cursor) = from {
            if office.watch_clock().is_some() {
                break;
            }
            let (due, next) = office.responder.due(cursor, PLACES, office.clock.now());
            from = next;
            for batch in due.chunks(BATCH) {
                if batch.iter().any(|request| office.warm(request, &sign) == Warmed::Failed) {
                    tracing::warn!("signatures could not be made anew: kept ones go on until nextUpdate");
                    from = None;
                    break;
                }
                if !pace.rest(stopped) {
                    return;
                }
            }
            if due.is_empty() && !pace.rest(stopped) {
                return;
            }
        }
    }
}
