//! The life of a card: what revokes what, seen by OCSP and CRL, in whatever order it is reported.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed step must stop the test"
)]

#[path = "world/mod.rs"]
mod answers;
#[path = "life/cause.rs"]
mod cause;
#[path = "life/compromise.rs"]
mod compromise;
#[path = "life/losing.rs"]
mod losing;
#[path = "life/night.rs"]
mod night;
#[path = "life/notice.rs"]
mod notice;
#[path = "life/order.rs"]
mod order;
#[path = "life/random.rs"]
mod random;
#[path = "life/rehearsal.rs"]
mod rehearsal;
#[path = "life/retire.rs"]
mod retire;
#[path = "life/retire_losses.rs"]
mod retire_losses;
#[path = "life/rules.rs"]
mod rules;
#[path = "support/turns.rs"]
mod turns;
#[path = "life/waiting.rs"]
mod waiting;
#[path = "life/world.rs"]
mod world;
