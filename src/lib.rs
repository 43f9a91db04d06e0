//! **sekisho** (関所): a certificate revocation service in the manner of JPKI, with test keys.
//!
//! It issues residents' signing and authentication certificates, keeps who was revoked in a
//! journal, cuts CRLs every day, and answers OCSP from the state of the moment.
//!
//! # The rooms
//!
//! Imports point down only; rooms on one line never import each other. `tests/layers.rs` holds
//! the code to it.
//!
//! ```text
//! main  cli                          arguments → one call → an exit code
//! http  admin                        bytes off the wire; neither knows DER
//! simulate                           a country in miniature, and what happens to its people
//! office                             one file per use case; the schedule; start and stop
//! issue  lifecycle  crl  ocsp        the trades; none knows HTTP, tokio or the clock
//! store  signer  status              store alone knows files and sled; signer alone signs
//! record                             entries; records, cards and people; the one fold of each
//! pki  profile  registry             the words of RFC 5280 and 6960; the JPKI profile as data;
//!                                    who may ask
//! der  sync                          X.690, the subset we use, knows no PKI; what threads share
//! config  telemetry                  leaves: settings and logs
//! ```
//!
//! # Three sentences to read the code by
//!
//! *The journal is the truth.* Every change is an entry with a position; records, status words
//! and CRLs are folds over it, and nothing is acknowledged before it is durable.
//!
//! *A signature is disposable.* It is used again only if it was made from the very status the
//! index holds now, so a revocation has nothing to invalidate.
//!
//! *The parent decides, the leaves compute.* Status, issuer and policy are matched in one place
//! each: [`ocsp::Responder`], [`lifecycle`], [`crl::gate`].

pub mod admin;
pub mod cli;
pub mod config;
pub mod crl;
pub mod der;
pub mod http;
pub mod issue;
pub mod lifecycle;
pub mod ocsp;
pub mod office;
pub mod pki;
pub mod profile;
pub mod record;
pub mod registry;
pub mod signer;
pub mod simulate;
pub mod status;
pub mod store;
pub mod sync;
pub mod telemetry;
