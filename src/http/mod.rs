//! The public listener: bytes off the wire and answers back onto it.
//!
//! Knows HTTP, its limits and the ways OCSP clients spell a request; knows nothing of DER and
//! nothing of who was revoked. It alone reads the clock, once per request, and passes `now`
//! down.
//!
//! ```text
//! server      accepts, deals connections to the cores, stops
//! connection  what a connection may take: time, memory; one watchman per core
//! route       one match on method and path
//! question    OCSP over HTTP (RFC 6960 App. A, RFC 9919)
//! encoding    the base64 of a GET, in all its spellings
//! signing     the few threads for signatures too slow for a core
//! document    CRLs, certificates, the catalogue: conditional and partial GET
//! ```

mod body;
mod conditional;
mod connection;
mod core;
mod document;
mod encoding;
mod question;
mod range;
mod route;
mod server;
mod signing;
mod site;
pub mod tls;

pub use connection::Patience;
pub use document::{Content, Document, Documents, Freshness};
pub use server::{Options, Server};
pub use site::{Readiness, Site};
