//! The public listener on the wire: RFC 9110, RFC 9112, RFC 6960 App. A, RFC 9919, and the
//! limits. Every test speaks to a real socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a test may panic"
)]

#[path = "http/caching.rs"]
mod caching;
#[path = "support/client.rs"]
mod client;
#[path = "http/connections.rs"]
mod connections;
#[path = "support/dice.rs"]
mod dice;
#[path = "http/documents.rs"]
mod documents;
#[path = "http/downloads.rs"]
mod downloads;
#[path = "http/encodings.rs"]
mod encodings;
#[path = "signing/exposition.rs"]
mod exposition;
#[path = "http/limits.rs"]
mod limits;
#[path = "http/messages.rs"]
mod messages;
#[path = "http/questions.rs"]
mod questions;
#[path = "support/responder.rs"]
mod responder;
#[path = "http/site.rs"]
mod site;
#[path = "support/spellings.rs"]
mod spellings;
#[path = "http/stopping.rs"]
mod stopping;
