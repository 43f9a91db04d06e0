//! The register of verifiers: who may ask by OCSP.

use std::sync::PoisonError;

use super::authorities::sha256;
use super::{Office, OfficeError};
use crate::der::UnixTime;
use crate::record::{Event, Origin, Position, Refusal};
use crate::registry::{Registration, State, VerifierCertificate, check_name};
use crate::store::Decide;

/// How a verifier is named from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifierNamed {
    /// By name: all of its certificates.
    Name(String),
    /// By one certificate, DER.
    Certificate(Vec<u8>),
}

/// A certificate in the register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierState {
    /// SHA-256 of the certificate.
    pub certificate_sha256: [u8; 32],
    /// As the register has it.
    pub registration: Registration,
    /// What it says, while it can be read.
    pub certificate: Option<VerifierCertificate>,
    /// True when its time is over: it may ask no longer, registered or not.
    pub expired: bool,
}

/// What a change of the register came to. It is durable, and counts from the next request on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierChange {
    /// The certificates it is about, as they are registered now.
    pub verifiers: Vec<VerifierState>,
    /// False when it was so already.
    pub changed: bool,
    /// The last entry it rests on.
    pub position: Position,
    /// When that was recorded.
    pub recorded_at: UnixTime,
}

impl VerifierNamed {
    fn names(&self, certificate_sha256: &[u8; 32], registration: &Registration) -> bool {
        match self {
            Self::Name(name) => registration.name == *name,
            Self::Certificate(der) => *certificate_sha256 == sha256(der),
        }
    }
}

impl Office {
    /// Registers a verifier by its certificate, or lets a suspended one ask again.
    ///
    /// # Errors
    /// A name or certificate that will not do; the certificate is another verifier's; the store
    /// is not taking changes.
    pub fn register_verifier(
        &self,
        name: &str,
        certificate: &[u8],
        origin: Origin,
    ) -> Result<VerifierChange, OfficeError> {
        check_name(name)?;
        let read = VerifierCertificate::from_der(certificate)?;
        read.check_at(self.clock.now())?;
        let (name, certificate, meant) = (name.to_owned(), certificate.to_vec(), read.sha256);
        let decide: Decide = Box::new(move |records, _| match records.facts().verifiers.find(&meant) {
            Some(known) if known.name != name => Err(Refusal::VerifierNamed(known.name.clone())),
            Some(known) if known.state == State::Registered => Ok(Vec::new()),
            _ => Ok(vec![Event::VerifierRegistered { name: name.clone(), certificate: certificate.clone() }]),
        });
        self.change_register(decide, origin, |one, _| *one == meant)
    }

    /// Suspends a verifier. A request of it that is under way may still be answered.
    ///
    /// # Errors
    /// There is no such verifier; the store is not taking changes.
    pub fn suspend_verifier(
        &self,
        named: &VerifierNamed,
        origin: Origin,
    ) -> Result<VerifierChange, OfficeError> {
        let meant = named.clone();
        let decide: Decide = Box::new(move |records, _| {
            let register = &records.facts().verifiers;
            let known: Vec<_> = register.iter().filter(|(sha256, one)| meant.names(sha256, one)).collect();
            if known.is_empty() {
                return Err(Refusal::NoVerifier);
            }
            let asking = known.into_iter().filter(|(_, one)| one.state == State::Registered);
            Ok(asking.map(|(sha256, _)| Event::VerifierSuspended { certificate_sha256: *sha256 }).collect())
        });
        self.change_register(decide, origin, |sha256, one| named.names(sha256, one))
    }

    /// Everybody in the register, by name.
    #[must_use]
    pub fn verifiers(&self) -> Vec<VerifierState> {
        self.verifier_states(|_, _| true)
    }

    /// Tells the responder who may ask, as of the last durable entry.
    pub(super) fn install_verifiers(&self) {
        let admitting = self.admitting.lock().unwrap_or_else(PoisonError::into_inner);
        self.responder.admit(self.store.facts().verifiers.verifiers());
        drop(admitting);
    }

    fn change_register(
        &self,
        decide: Decide,
        origin: Origin,
        meant: impl Fn(&[u8; 32], &Registration) -> bool,
    ) -> Result<VerifierChange, OfficeError> {
        let outcome = self.store.submit_wait(origin, decide)?;
        self.install_verifiers();
        Ok(VerifierChange {
            verifiers: self.verifier_states(meant),
            changed: !outcome.entries.is_empty(),
            position: outcome.position,
            recorded_at: outcome.recorded_at,
        })
    }

    fn verifier_states(&self, meant: impl Fn(&[u8; 32], &Registration) -> bool) -> Vec<VerifierState> {
        let (facts, now) = (self.store.facts(), self.clock.now());
        let mut states: Vec<VerifierState> = facts
            .verifiers
            .iter()
            .filter(|(sha256, registration)| meant(sha256, registration))
            .map(|(sha256, registration)| {
                let certificate = VerifierCertificate::from_der(&registration.certificate).ok();
                VerifierState {
                    certificate_sha256: *sha256,
                    registration: registration.clone(),
                    expired: certificate.as_ref().is_some_and(|read| read.check_at(now).is_err()),
                    certificate,
                }
            })
            .collect();
        states.sort_by(|one, other| one.registration.name.cmp(&other.registration.name));
        states
    }
}
