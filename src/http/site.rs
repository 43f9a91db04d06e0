//! What a listener serves.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

use super::{Document, Documents};
use crate::ocsp::Responder;
use crate::store::Clock;

/// Everything behind the public listener.
pub struct Site {
    /// Who answers OCSP requests.
    pub responder: Arc<Responder>,
    /// The time of requests.
    pub clock: Clock,
    /// What is there to download; replaced as a whole when a set is published.
    pub documents: ArcSwap<Documents>,
    /// The last checkpoint, at `/crl/checkpoint`.
    pub checkpoint: ArcSwapOption<Document>,
    /// Asked at each `/readyz`.
    pub readiness: Box<dyn Fn() -> Readiness + Send + Sync>,
    /// How long an HTTP cache may keep an OCSP answer without asking again.
    pub max_age: Duration,
}

/// Whether the service can answer and acknowledge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Readiness {
    /// Why not, one sentence each; ready when empty.
    pub reasons: Vec<String>,
    /// What somebody should know all the same.
    pub warnings: Vec<String>,
}

impl Readiness {
    /// Nothing stands in the way.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }
}
