//! **sekisho** (関所): a certificate revocation service in the manner of JPKI.

pub mod config;
pub mod crl;
pub mod der;
pub mod issue;
pub mod lifecycle;
pub mod http;
pub mod ocsp;
pub mod pki;
pub mod profile;
pub mod record;
pub mod signer;
pub mod telemetry;
pub mod status;
pub mod store;
