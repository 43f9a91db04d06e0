//! Programs nobody here wrote read our CRLs, and decide by them: `crl_interop/matrix.md` says which.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed step must stop the test"
)]

#[path = "crl_interop/authority.rs"]
mod authority;
#[path = "crl_interop/catalogue.rs"]
mod catalogue;
#[path = "crl_interop/cryptography.rs"]
mod cryptography;
#[path = "crl_interop/gnutls.rs"]
mod gnutls;
#[path = "support/issuers.rs"]
mod issuers;
#[path = "crl_interop/java.rs"]
mod java;
#[path = "crl_interop/matrix.rs"]
mod matrix;
#[path = "crl_interop/openssl.rs"]
mod openssl;
#[path = "crl_interop/orders.rs"]
mod orders;
#[path = "crl_interop/pkilint.rs"]
mod pkilint;
#[path = "crl_interop/webpki.rs"]
mod rustls_webpki;
mod service;
#[path = "crl_interop/stage.rs"]
mod stage;
#[path = "support/turns.rs"]
mod turns;
#[path = "support/openssl.rs"]
mod verify;
#[path = "crl_interop/world.rs"]
mod world;
