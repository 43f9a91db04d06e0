//! Delegated OCSP signers: which one signs, when it is followed by another, and which ones are
//! not let in.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a failed step must stop the test"
)]

#[path = "support/client.rs"]
mod client;
#[path = "signers/files.rs"]
mod files;
#[path = "signers/home.rs"]
mod home;
#[path = "support/issuers.rs"]
mod issuers;
#[path = "signers/preference.rs"]
mod preference;
#[path = "signers/refused.rs"]
mod refused;
#[path = "signers/renewal.rs"]
mod renewal;
#[path = "signers/revoked.rs"]
mod revoked;
#[path = "signers/serials.rs"]
mod serials;
mod service;
mod world;
