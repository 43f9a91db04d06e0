//! What happened, counted: each core counts for itself, so that no two of them ever wait for a
//! number.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hyper::{Method, StatusCode};

use crate::ocsp::{Answer, Job};
use crate::signer::SignError;

/// A number that only rises.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Adds what happened on the one thread that counts here.
    pub(super) fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    /// Adds where several threads count.
    pub(super) fn add_shared(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    pub(super) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// An enum, and a counter for each of its kinds.
macro_rules! tally {
    ($(#[$about:meta])* $kind:ident, $tally:ident { $($(#[$of:meta])* $name:ident = $label:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $kind { $($(#[$of])* $name,)+ }

        #[derive(Debug, Default)]
        #[allow(non_snake_case, reason = "named as the kinds are")]
        pub(super) struct $tally { $($name: Counter,)+ }

        impl $tally {
            pub(super) fn of(&self, kind: $kind) -> &Counter {
                match kind { $($kind::$name => &self.$name,)+ }
            }

            /// Each label with its number.
            pub(super) fn read(&self) -> Vec<(&'static str, u64)> {
                vec![$(($label, self.$name.read()),)+]
            }
        }
    };
}

tally! {
    /// How somebody asked.
    Verb, Requests { Get = "GET", Head = "HEAD", Post = "POST", Other = "other", }
}

tally! {
    /// HTTP status codes given here.
    Code, Responses {
        Ok = "200",
        NoContent = "204",
        PartialContent = "206",
        NotModified = "304",
        BadRequest = "400",
        NotFound = "404",
        MethodNotAllowed = "405",
        NotAcceptable = "406",
        PayloadTooLarge = "413",
        UnsupportedMediaType = "415",
        RangeNotSatisfiable = "416",
        ExpectationFailed = "417",
        ServiceUnavailable = "503",
        Other = "other",
    }
}

tally! {
    /// Where the signature of an OCSP answer came from.
    Source, Sources {
        /// Made before.
        Kept = "kept",
        /// Made on the core that was asked.
        Core = "core",
        /// Made on a signing thread.
        Pool = "pool",
        /// Made for another who asked the same.
        Joined = "joined",
        /// There is none: an error.
        Unsigned = "unsigned",
    }
}

tally! {
    /// OCSPResponseStatus (RFC 6960 §4.2.1).
    Outcome, Outcomes {
        Successful = "successful",
        MalformedRequest = "malformedRequest",
        InternalError = "internalError",
        TryLater = "tryLater",
        SigRequired = "sigRequired",
        Unauthorized = "unauthorized",
    }
}

tally! {
    /// Why a connection ended.
    Ended, Endings {
        /// The client had all it wanted, or we were stopping.
        Done = "done",
        /// What came was no HTTP.
        Malformed = "malformed",
        /// It broke, or the TLS handshake failed.
        Broken = "broken",
        /// The header, or the handshake, took too long.
        Head = "head_deadline",
        /// The body took too long.
        Body = "body_deadline",
        /// The client did not take its answer.
        Write = "write_deadline",
        /// No further request came.
        Idle = "idle_deadline",
    }
}

/// One core's numbers. Only its own thread adds to them, and they share no cache line with
/// another's (two lines, since processors fetch them in pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Counters {
    pub(super) requests: Requests,
    pub(super) responses: Responses,
    pub(super) sources: Sources,
    pub(super) outcomes: Outcomes,
    pub(super) endings: Endings,
    /// Answers to nonces that the core had no time to sign.
    pub(super) surplus: Counter,
    /// Signatures made on the core.
    pub(super) meter: SignatureMeter,
}

impl Counters {
    pub(super) fn request(&self, method: &Method) {
        let verb = match *method {
            Method::GET => Verb::Get,
            Method::HEAD => Verb::Head,
            Method::POST => Verb::Post,
            _ => Verb::Other,
        };
        self.requests.of(verb).add(1);
    }

    pub(super) fn response(&self, status: StatusCode) {
        let code = match status {
            StatusCode::OK => Code::Ok,
            StatusCode::NO_CONTENT => Code::NoContent,
            StatusCode::PARTIAL_CONTENT => Code::PartialContent,
            StatusCode::NOT_MODIFIED => Code::NotModified,
            StatusCode::BAD_REQUEST => Code::BadRequest,
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
            StatusCode::NOT_ACCEPTABLE => Code::NotAcceptable,
            StatusCode::PAYLOAD_TOO_LARGE => Code::PayloadTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
            StatusCode::RANGE_NOT_SATISFIABLE => Code::RangeNotSatisfiable,
            StatusCode::EXPECTATION_FAILED => Code::ExpectationFailed,
            StatusCode::SERVICE_UNAVAILABLE => Code::ServiceUnavailable,
            _ => Code::Other,
        };
        self.responses.of(code).add(1);
    }

    pub(super) fn answer(&self, source: Source, answer: &Answer) {
        let outcome = Outcome::of(&answer.body);
        let source = if outcome == Outcome::Successful { source } else { Source::Unsigned };
        self.sources.of(source).add(1);
        self.outcomes.of(outcome).add(1);
    }
}

impl Outcome {
    /// Errors have five octets, the last of which says which; an answer has more.
    fn of(body: &[u8]) -> Self {
        match body {
            [0x30, 3, 0x0a, 1, status] => match status {
                1 => Self::MalformedRequest,
                2 => Self::InternalError,
                3 => Self::TryLater,
                5 => Self::SigRequired,
                _ => Self::Unauthorized,
            },
            _ => Self::Successful,
        }
    }
}

/// Signatures, and the time they took.
#[derive(Debug, Default)]
pub(super) struct SignatureMeter {
    pub(super) made: Counter,
    pub(super) failed: Counter,
    pub(super) nanoseconds: Counter,
}

impl SignatureMeter {
    /// Makes a signature, counts it, and tells how long it took. Several threads may.
    pub(super) fn sign(&self, job: &Job) -> (Result<Vec<u8>, SignError>, Duration) {
        let began = Instant::now();
        let made = job.sign();
        let took = began.elapsed();
        let counter = if made.is_ok() { &self.made } else { &self.failed };
        counter.add_shared(1);
        self.nanoseconds.add_shared(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        (made, took)
    }
}

/// What became of signatures made before the one they follow was too old.
#[derive(Debug, Default)]
pub(super) struct Refreshed {
    pub(super) done: Counter,
    pub(super) failed: Counter,
    /// There was no room for them to wait.
    pub(super) dropped: Counter,
}

/// At the door: only the acceptor counts here.
#[derive(Debug, Default)]
pub(super) struct Door {
    pub(super) accepted: Counter,
    /// Closed at once: as many as may be were open.
    pub(super) refused: Counter,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocsp::{Caching, OcspError};

    #[test]
    fn rfc6960_s4_2_1_errors_are_told_apart_by_their_octets() {
        for (error, label) in [
            (OcspError::MalformedRequest, "malformedRequest"),
            (OcspError::InternalError, "internalError"),
            (OcspError::TryLater, "tryLater"),
            (OcspError::SigRequired, "sigRequired"),
            (OcspError::Unauthorized, "unauthorized"),
        ] {
            let counters = Counters::default();
            counters.answer(Source::Kept, &error.into());
            let counted: Vec<_> =
                counters.outcomes.read().into_iter().filter(|(_, count)| *count > 0).collect();
            assert_eq!(counted, [(label, 1)]);
            assert_eq!(counters.sources.of(Source::Unsigned).read(), 1);
        }
        let counters = Counters::default();
        counters.answer(Source::Core, &Answer { body: vec![0x30; 100], caching: Caching::NoStore });
        assert_eq!(counters.outcomes.of(Outcome::Successful).read(), 1);
        assert_eq!(counters.sources.of(Source::Core).read(), 1);
    }

    #[test]
    fn two_cores_numbers_share_no_cache_line() {
        assert_eq!(align_of::<Counters>(), 128);
        assert_eq!(size_of::<Counters>() % 128, 0);
    }
}
