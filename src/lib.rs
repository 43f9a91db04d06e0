//! **sekisho** (関所): a certificate revocation service in the manner of JPKI.

pub mod crl;
pub mod der;
pub mod pki;
pub mod record;
pub mod signer;
