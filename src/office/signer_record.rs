//! What records say of signers: which serials and keys are somebody else's.

use super::authorities::archived_certificate;
use super::{Office, OfficeError};
use crate::issue::KeyTaken;
use crate::pki::{AuthorityId, CertStatus, Generation, Issuer, SerialNumber};
use crate::record::Record;

impl Office {
    /// The record of a CA's or signer's certificate.
    pub(super) fn issuer_record(&self, authority: AuthorityId, serial: &SerialNumber) -> Option<Record> {
        let facts = self.store.facts();
        let named = |record: &&Record| {
            let certificate = &record.issued.certificate;
            certificate.authority == authority && certificate.serial == *serial
        };
        facts.issuers.iter().find(named).cloned()
    }

    /// Whether a CA's or signer's certificate of this serial is revoked.
    pub(super) fn is_revoked(&self, authority: AuthorityId, serial: &SerialNumber) -> bool {
        self.issuer_record(authority, serial).is_some_and(|record| record.status() != CertStatus::Good)
    }

    /// Keys that no signer put into `signers/` may have: those of all CAs on record, whatever became of
    /// them, and those of signers that were revoked.
    ///
    /// # Errors
    /// The archive lacks a CA's certificate.
    pub(super) fn keys_taken(&self) -> Result<Vec<KeyTaken>, OfficeError> {
        let mut taken = Vec::new();
        for record in &self.store.facts().issuers {
            let is_authority = record.issued.is_ca_certificate();
            if !is_authority && record.status() == CertStatus::Good {
                continue;
            }
            let issued = &record.issued;
            let (name, generation) =
                (self.authority_name(issued.certificate.authority), issued.certificate.generation);
            let holder = if is_authority {
                format!("{name}, generation {generation}")
            } else {
                format!("{} of {name}", issued.certificate.serial)
            };
            let spki = archived_certificate(&self.store, issued).and_then(|der| Ok(subject_of(&der)?.spki));
            match spki {
                Ok(spki) => taken.push(KeyTaken { spki, holder, is_authority }),
                Err(error) if is_authority => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "the key of a revoked OCSP signer is not known any more")
                }
            }
        }
        Ok(taken)
    }
}

/// What a certificate says of its subject.
pub(super) fn subject_of(certificate: &[u8]) -> Result<Issuer, OfficeError> {
    let read = Issuer::from_certificate(AuthorityId(0), Generation::FIRST, certificate);
    read.map_err(|error| OfficeError::Damaged(error.to_string()))
}
