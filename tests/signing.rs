//! Signing under load: one signature for all who ask the same, surplus refused at once, lanes
//! that do not starve each other, successors made in the background; and the counters that tell.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    dead_code,
    reason = "a test may panic"
)]

#[path = "support/client.rs"]
mod client;
#[path = "signing/exposition.rs"]
mod exposition;
#[path = "signing/lanes.rs"]
mod lanes;
#[path = "signing/operations.rs"]
mod operations;
#[path = "support/responder.rs"]
mod responder;
mod service;
#[path = "signing/sharing.rs"]
mod sharing;
#[path = "http/site.rs"]
mod site;
