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

/// Signs on the thread that asks.
#[must_use]
pub fn sign_here() -> Sign {
    Arc::new(|job| {
        let made = job.sign();
        (job, made)
    })
}

/// Signatures made between two rests: with P-256 some 2 ms of work, which delays nobody.
pub(super) const BATCH: usize = 16;

/// After work the thread rests this many times as long: a quarter of one core is spent at most.
const REST: u32 = 3;

/// Between two walks over what is kept: what is due is so for a good part of a minute at least,
/// since `ocsp.refresh_after_minutes` is one or more and the last quarter of it is for this.
const WALK_EVERY: Duration = Duration::from_secs(10);

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
        let job = match self.responder.respond(request, self.clock.now()) {
            Respond::Ready(_) => return Warmed::Already,
            Respond::Refresh(_, job) | Respond::Sign(job) => job,
        };
        let (job, made) = sign(job);
        if made.is_err() {
            return Warmed::Failed;
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
pub(super) fn run(office: &Office, sign: &Sign, stopped: &Receiver<()>) {
    let mut pace = Pace::of_this_thread();
    while pace.pause(stopped, WALK_EVERY) {
        let mut from = Some(Cursor::default());
        while let Some(cursor) = from {
            if office.watch_clock().is_some() {
                break;
            }
            let (due, next) = office.responder.due(cursor, BATCH, office.clock.now());
            let failed = due.iter().any(|request| office.warm(request, sign) == Warmed::Failed);
            if failed {
                tracing::warn!("signatures could not be made anew: kept ones go on until their nextUpdate");
                break;
            }
            if !pace.rest(stopped) {
                return;
            }
            from = next;
        }
    }
}
