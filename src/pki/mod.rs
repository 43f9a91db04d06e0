//! The words of RFC 5280 and RFC 6960 that all rooms share.
//!
//! Knows names, serial numbers, issuers, reasons and revocations; knows no profile, no
//! message, no store.

mod algorithm;
mod authority;
mod bundle;
mod carrier;
mod issuer;
mod kind;
mod name;
pub mod oid;
mod partition;
mod public_key;
mod reason;
mod revocation;
mod serial;
mod signed_with;

pub use algorithm::{HashAlgorithm, SignatureAlgorithm};
pub use authority::{AuthorityId, Generation};
pub use bundle::{BundleError, end_certificate};
pub use carrier::{Carrier, CarrierState, UnknownState};
pub use issuer::{Issuer, IssuerError};
pub use kind::{CertificateKind, UnknownKind};
pub use name::{Attribute, Name};
pub use partition::{Partition, PartitionError};
pub use public_key::{BadSignature, PublicKey, PublicKeyError};
pub use reason::{ReasonError, RevocationReason};
pub use revocation::{CertStatus, Revocation};
pub use serial::{BareSerial, SerialError, SerialNumber, SerialTextError};
pub use signed_with::SignedWith;
