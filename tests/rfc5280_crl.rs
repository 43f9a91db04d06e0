//! RFC 5280 §5, clause by clause: what a CRL of ours says, what the gate refuses, and what
//! other implementations make of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a test fails by panicking"
)]

#[path = "rfc5280_crl/content.rs"]
mod content;
#[path = "rfc5280_crl/delta.rs"]
mod delta;
#[path = "rfc5280_crl/gate.rs"]
mod gate;
#[path = "rfc5280_crl/oracles.rs"]
mod oracles;
#[path = "rfc5280_crl/world.rs"]
mod world;
