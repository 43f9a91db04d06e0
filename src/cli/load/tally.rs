//! What became of the questions: counts, and how long each took.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::super::Failure;

/// What became of one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A status of the certificate asked about. A nonce that was sent may have been left out.
    Answered { says: Says, nonce_left_out: bool },
    /// An answer to something else.
    Wrong(Mismatch),
    /// No status.
    Troubled(Trouble),
}

/// CertStatus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    Good,
    Revoked,
    Unknown,
}

/// Where an answer and its question differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mismatch {
    Certificate,
    Nonce,
}

/// Why there was no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// Not 200.
    Http(u16),
    /// OCSPResponseStatus other than `successful`.
    Ocsp(u8),
    /// No OCSPResponse, or no HTTP.
    NotAnAnswer,
    /// No connection.
    Connect(io::ErrorKind),
    /// The connection ended before the answer.
    Closed,
    /// Nothing came for as long as is waited.
    TimedOut,
    /// The run was broken off.
    GivenUp,
}

/// The counts of a thread, then of all.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) good: u64,
    pub(super) revoked: u64,
    pub(super) unknown: u64,
    pub(super) nonces_left_out: u64,
    pub(super) wrong: BTreeMap<Mismatch, u64>,
    pub(super) troubles: BTreeMap<Trouble, u64>,
    /// Connections opened beyond the first of each.
    pub(super) reconnects: u64,
    /// Questions sent a second time because a connection in use was closed.
    pub(super) asked_again: u64,
    pub(super) sent_bytes: u64,
    pub(super) received_bytes: u64,
    /// Nanoseconds to a status, right or wrong.
    pub(super) answers: Histogram<u64>,
    /// Nanoseconds to a refusal: another HTTP status, an OCSP error.
    pub(super) refusals: Histogram<u64>,
    pub(super) cpu: Cpu,
}

/// What threads had of the processors.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cpu {
    /// On one.
    pub(super) busy: Duration,
    /// Ready to run, with none free.
    pub(super) waited: Duration,
    /// Between start and end, added up over the threads; zero where the system does not tell.
    pub(super) span: Duration,
}

impl Tally {
    /// Nothing yet.
    ///
    /// # Errors
    /// Internal: never, with bounds that are constants.
    pub(super) fn new() -> Result<Self, Failure> {
        let histogram = || {
            Histogram::new_with_bounds(RESOLUTION_NS, LONGEST_NS, DIGITS)
                .map_err(|error| Failure::internal(format!("histogram: {error}")))
        };
        Ok(Self {
            requests: 0,
            good: 0,
            revoked: 0,
            unknown: 0,
            nonces_left_out: 0,
            wrong: BTreeMap::new(),
            troubles: BTreeMap::new(),
            reconnects: 0,
            asked_again: 0,
            sent_bytes: 0,
            received_bytes: 0,
            answers: histogram()?,
            refusals: histogram()?,
            cpu: Cpu::default(),
        })
    }

    /// A question came to its end after `took`.
    pub(super) fn count(&mut self, outcome: Outcome, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(LONGEST_NS);
        match outcome {
            Outcome::Answered { says, nonce_left_out } => {
                match says {
                    Says::Good => self.good += 1,
                    Says::Revoked => self.revoked += 1,
                    Says::Unknown => self.unknown += 1,
                }
                self.nonces_left_out += u64::from(nonce_left_out);
                self.answers.saturating_record(ns);
            }
            Outcome::Wrong(mismatch) => {
                *self.wrong.entry(mismatch).or_default() += 1;
                self.answers.saturating_record(ns);
            }
            Outcome::Troubled(trouble) => {
                *self.troubles.entry(trouble).or_default() += 1;
                if matches!(trouble, Trouble::Http(_) | Trouble::Ocsp(_)) {
                    self.refusals.saturating_record(ns);
                }
            }
        }
    }

    /// Questions that got a status.
    pub(super) fn answered(&self) -> u64 {
        self.good + self.revoked + self.unknown
    }

    /// Questions whose answer was to something else.
    pub(super) fn mismatched(&self) -> u64 {
        self.wrong.values().sum()
    }

    /// Questions without a status.
    pub(super) fn troubled(&self) -> u64 {
        self.troubles.values().sum()
    }

    /// Whatever was under way when a run was broken off counts as given up.
    pub(super) fn close(&mut self) {
        let ended = self.answered() + self.mismatched() + self.troubled();
        let left = self.requests.saturating_sub(ended);
        if left > 0 {
            *self.troubles.entry(Trouble::GivenUp).or_default() += left;
        }
    }

    /// Adds the counts of another thread.
    ///
    /// # Errors
    /// Internal: never, as all histograms have the same bounds.
    pub(super) fn add(&mut self, other: &Self) -> Result<(), Failure> {
        self.requests += other.requests;
        self.good += other.good;
        self.revoked += other.revoked;
        self.unknown += other.unknown;
        self.nonces_left_out += other.nonces_left_out;
        for (mismatch, count) in &other.wrong {
            *self.wrong.entry(*mismatch).or_default() += count;
        }
        for (trouble, count) in &other.troubles {
            *self.troubles.entry(*trouble).or_default() += count;
        }
        self.reconnects += other.reconnects;
        self.asked_again += other.asked_again;
        self.sent_bytes += other.sent_bytes;
        self.received_bytes += other.received_bytes;
        self.cpu.busy += other.cpu.busy;
        self.cpu.waited += other.cpu.waited;
        self.cpu.span += other.cpu.span;
        let added = self.answers.add(&other.answers).and_then(|()| self.refusals.add(&other.refusals));
        added.map_err(|error| Failure::internal(format!("histogram: {error}")))
    }
}

impl Cpu {
    /// What this thread has had so far (`/proc/thread-self/schedstat`: nanoseconds on a
    /// processor, nanoseconds waiting for one).
    pub(super) fn of_this_thread() -> Option<(Duration, Duration)> {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        let mut fields = stat.split(' ').map_while(|field| field.parse().ok().map(Duration::from_nanos));
        Some((fields.next()?, fields.next()?))
    }

    /// Part of the time on a processor, and part of it waiting for one; None where the system
    /// does not tell.
    pub(super) fn shares(&self) -> Option<(f64, f64)> {
        let span = self.span.as_secs_f64();
        (span > 0.0).then(|| (self.busy.as_secs_f64() / span, self.waited.as_secs_f64() / span))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "of another certificate",
            Self::Nonce => "with another nonce",
        })
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(status) => write!(f, "HTTP {status}"),
            // RFC 6960 §4.2.1; 4 is not used.
            Self::Ocsp(1) => f.write_str("malformedRequest"),
            Self::Ocsp(2) => f.write_str("internalError"),
            Self::Ocsp(3) => f.write_str("tryLater"),
            Self::Ocsp(5) => f.write_str("sigRequired"),
            Self::Ocsp(6) => f.write_str("unauthorized"),
            Self::Ocsp(other) => write!(f, "OCSP status {other}"),
            Self::NotAnAnswer => f.write_str("not an OCSP response"),
            Self::Connect(kind) => write!(f, "no connection: {kind}"),
            Self::Closed => f.write_str("closed before the answer"),
            Self::TimedOut => write!(f, "no answer in {} s", super::drive::ANSWER_WAIT.as_secs()),
            Self::GivenUp => f.write_str("broken off"),
        }
    }
}

/// Latencies are told apart from this on: a tenth of the fastest answer over loopback.
const RESOLUTION_NS: u64 = 1_000;
/// The longest run; with `--rate` an answer may be late by nearly as much.
const LONGEST_NS: u64 = 3_600_000_000_000;
/// Significant digits that a latency is kept with: 0.1 %, in 200 kB whatever happens.
const DIGITS: u8 = 3;
