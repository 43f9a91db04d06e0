//! `crl show`, `crl diff` and `crl verify`: on CRLs of this service, on foreign ones, and on
//! what is none.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a failed step must stop the test"
)]

#[path = "crl_commands/desk.rs"]
mod desk;
#[path = "crl_commands/diff.rs"]
mod diff;
#[path = "crl_commands/inputs.rs"]
mod inputs;
#[path = "crl_commands/show.rs"]
mod show;
#[path = "crl_commands/verify.rs"]
mod verify;

#[path = "service/mod.rs"]
mod service;
#[allow(dead_code, reason = "another test uses the rest")]
#[path = "rfc5280_crl/world.rs"]
mod world;
