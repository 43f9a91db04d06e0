//! The public listener under masses: every serial by every spelling, a mixture of everything at
//! once, a crowd that does nothing, and nginx in front.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a test may panic"
)]

#[path = "support/answer.rs"]
mod answer;
#[path = "support/client.rs"]
mod client;
#[path = "wire_volume/crowd.rs"]
mod crowd;
#[path = "support/dice.rs"]
mod dice;
#[path = "wire_volume/mixture.rs"]
mod mixture;
#[path = "wire_volume/nginx.rs"]
mod nginx;
#[path = "support/pipe.rs"]
mod pipe;
#[path = "support/responder.rs"]
mod responder;
mod service;
#[path = "http/site.rs"]
mod site;
#[path = "wire_volume/spelled.rs"]
mod spelled;
#[path = "support/spellings.rs"]
mod spellings;
mod world;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Each of these tests wants the machine for itself.
fn alone() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many: `default`, unless the environment says otherwise.
fn how_many(variable: &str, default: u64) -> u64 {
    std::env::var(variable)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}: give a number")))
}
