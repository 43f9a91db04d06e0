//! Registered verifiers (署名検証者): who may ask, and by which certificate they are known.
//!
//! A verifier is a name with one or more certificates: a new one can be registered before the old
//! one ends. Registration pins the certificate octet for octet; whoever issued it is not asked.
//!
//! Knows certificates and keys; knows no entry (the store folds them into a [`Register`]), no
//! request, no clock.

mod certificate;
mod register;
mod verifiers;

pub use certificate::{CERTIFICATE_OCTETS_MAX, CertificateError, VerifierCertificate};
pub use register::{NAME_CHARS_MAX, NameError, Register, Registration, State, check_name};
pub use verifiers::{SAME_SUBJECT_MAX, Verifiers};
