//! OCSP clause by clause as a client meets it: octets sent to a real socket, and what comes back.
//! `tests/clauses.md` says which test stands for which clause.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a test may panic"
)]

#[path = "support/client.rs"]
mod client;
#[path = "wire/extensions.rs"]
mod extensions;
#[path = "wire/requests.rs"]
mod requests;
#[path = "support/responder.rs"]
mod responder;
#[path = "wire/responses.rs"]
mod responses;
#[path = "wire/served.rs"]
mod served;
mod service;
#[path = "wire/signers.rs"]
mod signers;
#[path = "wire/signing.rs"]
mod signing;
mod world;
