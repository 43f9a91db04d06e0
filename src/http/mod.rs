//! The public listener: bytes off the wire and answers back onto it.
//!
//! Knows HTTP, its limits and the ways OCSP clients spell a request; knows nothing of DER and
//! nothing of who was revoked. It alone reads the clock, once per request, and passes `now`
//! down: the service's clock, which does not step with the wall clock.
//!
//! ```text
//! server      accepts, deals connections to the cores, stops
//! connection  what a connection may take: time, memory; one watchman per core
//! route       one match on method and path
//! question    OCSP over HTTP (RFC 6960 App. A, RFC 9919)
//! encoding    the base64 of a GET, in all its spellings
//! descriptors how many connections there can be
//! signing     where signatures are made: on the core, or on the signing threads
//! flights     one signature for all who ask the same meanwhile
//! budget      what part of a core's time nonces may take
//! document    CRLs, certificates, the catalogue: conditional and partial GET
//! coding      who gets them compressed
//! shelf       the CRL sets that are kept
//! operations  the operator's own listener: metrics, health
//! metrics     what the cores counted, as Prometheus reads it
//! ```

mod body;
mod budget;
mod coding;
mod conditional;
mod connection;
mod core;
mod counters;
mod date;
mod descriptors;
mod document;
mod encoding;
mod flights;
#[cfg(fuzzing)]
pub mod fuzzing;
mod metrics;
#[cfg(test)]
#[cfg(feature = "shuttle")]
mod model;
mod operations;
mod question;
mod range;
mod route;
mod server;
mod shelf;
mod signing;
mod site;
pub mod tls;

pub use coding::Coding;
pub use connection::Patience;
pub use descriptors::connections_that_fit;
pub use document::{Content, Document, Documents, Freshness};
pub use metrics::{Gauge, Gauges, Monitor};
pub use operations::Operations;
pub use server::{Options, Server};
pub use shelf::{Shelf, Shelved};
pub use site::{Readiness, Site};
