//! Registered verifiers: who may ask where access is registered, how they are known, and what is
//! kept of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a test may panic"
)]

#[path = "verifiers/wire/access.rs"]
mod access;
#[path = "verifiers/asker.rs"]
mod asker;
#[path = "support/client.rs"]
mod client;
#[path = "verifiers/commands.rs"]
mod commands;
#[path = "verifiers/malformed.rs"]
mod malformed;
#[path = "verifiers/presigned.rs"]
mod presigned;
mod service;
#[path = "verifiers/signed.rs"]
mod signed;
mod world;
