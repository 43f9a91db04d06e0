//! From a request to a certificate: the holder's data and key are parsed once into types that
//! cannot be wrong, then written as a TBSCertificate.
//!
//! Knows profiles and the shape of certificates; signs nothing, reads no clock, draws no serial
//! number and keeps no record. Whoever signs takes the octets of `tbs` and gives the signature
//! to [`assemble`].

mod applicant;
mod birth;
mod ca;
mod common_name;
mod confirm;
mod error;
mod extensions;
mod generate;
mod jst;
mod notice;
mod ocsp_signer;
mod ocsp_url;
mod refused_key;
mod resident;
mod signer_check;
mod subject_key;
mod tbs;
mod test_keys;
pub mod test_material;
mod validity;
mod weak;

pub use applicant::{ADDRESS_CHARS_MAX, Address, Applicant, HolderName, NAME_CHARS_MAX, Sex};
pub use birth::BirthDate;
pub use ca::CaCertificate;
pub use common_name::{CommonName, WindowId, holder_number};
pub use confirm::NotAsOrdered;
pub use error::IssueError;
pub use generate::{GenerateError, generate_key};
pub use notice::NoticeCertificate;
pub use ocsp_signer::{OCSP_SIGNER_BACKDATE, OcspSigner};
pub use ocsp_url::OcspUrl;
pub use refused_key::RefusedKey;
pub use resident::Resident;
pub use signer_check::{KeyTaken, SignerCertificate, SignerRefusal};
pub use subject_key::{SubjectKey, SubjectKeyError};
pub use tbs::assemble;
pub use test_keys::{TestKey, TestKeys, TestKeysError};
pub use validity::{Limits, Validity, not_after, phone_not_after};
