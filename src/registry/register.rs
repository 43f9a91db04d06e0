//! The register: what was entered in it, in order, comes to this.

use std::collections::BTreeMap;

use super::{VerifierCertificate, Verifiers};
use crate::der::UnixTime;
use crate::pki::HashAlgorithm;

/// Characters of a verifier's name: enough for any, and whatever they are, an entry has room for
/// the 255 octets they cannot exceed.
pub const NAME_CHARS_MAX: usize = 60;

/// Every certificate ever registered, by its SHA-256; folding an entry twice changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Register {
    registrations: BTreeMap<[u8; 32], Registration>,
}

/// A certificate in the register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The verifier.
    pub name: String,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// Whether it may ask.
    pub state: State,
    /// Since when it is in that state.
    pub since: UnixTime,
}

/// Whether a registered certificate may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It may.
    Registered,
    /// It may not, until it is registered again.
    Suspended,
}

/// The text is no name of a verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a verifier's name has 1 to {NAME_CHARS_MAX} characters, none of them a control character")]
pub struct NameError;

/// Whether `name` may be a verifier's.
///
/// # Errors
/// [`NameError`].
pub fn check_name(name: &str) -> Result<(), NameError> {
    let chars = 1..=NAME_CHARS_MAX;
    let fits = chars.contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits && name.trim() == name { Ok(()) } else { Err(NameError) }
}

impl Register {
    /// Enters a certificate, or lets it ask again.
    pub fn register(&mut self, name: &str, certificate: &[u8], at: UnixTime) {
        let registration = self.registrations.entry(sha256(certificate)).or_insert_with(|| Registration {
            name: name.to_owned(),
            certificate: certificate.to_vec(),
            state: State::Registered,
            since: at,
        });
        registration.enter(State::Registered, at);
    }

    /// Lets a certificate ask no longer.
    pub fn suspend(&mut self, sha256: &[u8; 32], at: UnixTime) {
        if let Some(registration) = self.registrations.get_mut(sha256) {
            registration.enter(State::Suspended, at);
        }
    }

    /// Puts back what [`Self::iter`] gave.
    pub fn restore(&mut self, registration: Registration) {
        self.registrations.insert(sha256(&registration.certificate), registration);
    }

    /// The registration of the certificate with this SHA-256.
    #[must_use]
    pub fn find(&self, sha256: &[u8; 32]) -> Option<&Registration> {
        self.registrations.get(sha256)
    }

    /// Every registration, with the SHA-256 of its certificate, in the order of that.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8; 32], &Registration)> {
        self.registrations.iter()
    }

    /// Those who may ask.
    #[must_use]
    pub fn verifiers(&self) -> Verifiers {
        let registered = self.registrations.values().filter(|one| one.state == State::Registered);
        // What was registered could be read; under stricter rules it may not be any more, and
        // then it does not count.
        registered.filter_map(|one| VerifierCertificate::from_der(&one.certificate).ok()).collect()
    }
}

impl Registration {
    fn enter(&mut self, state: State, at: UnixTime) {
        if self.state != state {
            (self.state, self.since) = (state, at);
        }
    }
}

fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(&HashAlgorithm::Sha256.digest(octets));
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_can_be_printed() {
        for name in ["a", "全国健康保険協会 東京支部", &"長".repeat(NAME_CHARS_MAX)] {
            assert_eq!(check_name(name), Ok(()));
        }
        for name in ["", " ", "a ", "a\nb", "\u{7f}", &"a".repeat(NAME_CHARS_MAX + 1)] {
            assert_eq!(check_name(name), Err(NameError), "{name:?}");
        }
    }

    #[test]
    fn a_certificate_is_registered_suspended_and_registered_again() {
        let at = UnixTime::from_seconds;
        let mut register = Register::default();
        let key = sha256(b"certificate");
        register.suspend(&key, at(1));
        assert_eq!(register, Register::default(), "nobody there to suspend");
        register.register("kiosk", b"certificate", at(2));
        let once = register.clone();
        register.register("kiosk", b"certificate", at(3));
        assert_eq!(register, once, "so already");
        let now = |register: &Register| register.find(&key).map(|one| (one.state, one.since));
        register.suspend(&key, at(4));
        register.suspend(&key, at(5));
        assert_eq!(now(&register), Some((State::Suspended, at(4))));
        register.register("kiosk", b"certificate", at(6));
        assert_eq!(now(&register), Some((State::Registered, at(6))));
        assert_eq!(register.iter().len(), 1);
    }
}
