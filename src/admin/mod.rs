//! The admin socket: where the commands of the same user reach the running service.
//!
//! HTTP/1.1 with JSON over a Unix socket of mode 0600. Who connects is known by the user id
//! the kernel tells; it stands in every journal entry that follows. Knows no DER.

pub mod api;
mod authorities;
mod cards;
mod certificates;
mod explain;
mod request;
mod requests;
mod server;
mod signers;
mod verifiers;

pub use server::{AdminError, Server};
