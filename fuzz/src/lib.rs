//! What the fuzz targets hold the service to. `tests/regressions.rs` puts the requests kept
//! here to the same checks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a target tells by panicking"
)]

pub mod clock;
pub mod reading;
pub mod spelling;
pub mod stage;
#[path = "../../tests/world/mod.rs"]
pub mod world;
