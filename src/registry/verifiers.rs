//! Those who may ask, found by what a request shows of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::VerifierCertificate;
use crate::pki::HashAlgorithm;

/// Certificates of one subject tried when a request only names its signer: each costs a
/// verification. Of more, those that end last; the others' requests must carry the certificate.
pub const SAME_SUBJECT_MAX: usize = 4;

/// The certificates registered and not suspended.
#[derive(Debug, Clone, Default)]
pub struct Verifiers {
    by_sha256: BTreeMap<[u8; 32], Arc<VerifierCertificate>>,
    /// By the subject's DER; those that end last first.
    by_subject: BTreeMap<Vec<u8>, Vec<Arc<VerifierCertificate>>>,
}

impl Verifiers {
    /// The one whose certificate has these very octets.
    #[must_use]
    pub fn with_certificate(&self, der: &[u8]) -> Option<&VerifierCertificate> {
        self.by_sha256.get(HashAlgorithm::Sha256.digest(der).as_slice()).map(|one| &**one)
    }

    /// Those whose subject has these very octets, [`SAME_SUBJECT_MAX`] at most.
    pub fn with_subject(&self, name: &[u8]) -> impl Iterator<Item = &VerifierCertificate> {
        let all = self.by_subject.get(name).into_iter().flatten();
        all.take(SAME_SUBJECT_MAX).map(|one| &**one)
    }
}

impl FromIterator<VerifierCertificate> for Verifiers {
    fn from_iter<T: IntoIterator<Item = VerifierCertificate>>(certificates: T) -> Self {
        let mut verifiers = Self::default();
        for certificate in certificates.into_iter().map(Arc::new) {
            let same = verifiers.by_subject.entry(certificate.subject.der().to_vec()).or_default();
            same.push(Arc::clone(&certificate));
            verifiers.by_sha256.insert(certificate.sha256, certificate);
        }
        for same in verifiers.by_subject.values_mut() {
            same.sort_by_key(|one| std::cmp::Reverse(one.not_after));
        }
        verifiers
    }
}
