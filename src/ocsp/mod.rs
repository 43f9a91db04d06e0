//! OCSP (RFC 6960, RFC 9919, RFC 9654): octets in, octets out.
//!
//! [`Responder`] holds every decision; the other files read requests and write responses.
//! Knows the status index and signers; knows no HTTP, no store, no clock: `now` comes in.
//! Synchronous and total: whatever the octets are, there is an answer or a signature to make.

mod answers;
mod cert_id;
mod directory;
mod error;
mod extension;
#[cfg(fuzzing)]
pub mod fuzzing;
mod job;
mod kept;
mod memory;
mod options;
mod plain;
mod preference;
mod request;
mod request_signature;
mod responder;
mod response;
mod table;

pub use directory::{Signer, SigningIdentity};
pub use error::OcspError;
pub use job::{Answer, Caching, Flight, Job, Respond};
pub use kept::{Cursor, KeptAnswer};
pub use options::{Access, Options};
pub use request::request_for;
pub use responder::{Replaced, Responder};
