//! Delegated OCSP signers: made when there is none, renewed when a third of their life is left.

use std::sync::Arc;
use std::time::Duration;

use super::archived::Archived;
use super::authorities::{archived_certificate, read_key, record_issued, sha256};
use super::{LiveGeneration, Office, OfficeError};
use crate::config::SignerKey;
use crate::der::UnixTime;
use crate::issue::{self, OcspSigner, SubjectKey};
use crate::ocsp::{Signer, SigningIdentity};
use crate::pki::{AuthorityId, CertStatus, CertificateKind, Generation, Issuer, SignatureAlgorithm};
use crate::profile::KeyType;
use crate::record::{CertificateRef, Issued, Origin, Record};

/// A day.
const DAY: Duration = Duration::from_secs(86_400);

/// A signer found, and whether it should be followed by another.
struct SignerThere {
    signer: Signer,
    is_due: bool,
}

impl LiveGeneration {
    fn identity(&self, signer: Signer) -> SigningIdentity {
        SigningIdentity { issuer: Arc::clone(&self.issuer), signers: vec![Arc::new(signer)] }
    }
}

impl Office {
    /// Hands the responder the signers that are there, so that it answers while records are
    /// still being rebuilt; false when one is missing.
    pub(super) fn install_signers_there(&self) -> Result<bool, OfficeError> {
        let now = self.clock.now();
        let mut identities = Vec::new();
        let mut complete = true;
        for live in self.all_live_generations() {
            match self.signer_there(&live, now)? {
                Some(there) => identities.push(live.identity(there.signer)),
                None => complete = false,
            }
        }
        self.install(&identities);
        Ok(complete)
    }

    /// Sees to it that every live generation has a signer with a third of its life left, and
    /// hands them to the responder.
    ///
    /// # Errors
    /// The first that cannot be made; the others are installed, and the old one goes on as long
    /// as it is valid.
    pub fn renew_signers(&self) -> Result<(), OfficeError> {
        let keeping = self.keeping.lock();
        let now = self.clock.now();
        let mut identities = Vec::new();
        let mut failed = None;
        for live in self.all_live_generations() {
            let there = self.signer_there(&live, now)?;
            let signer = match there {
                Some(there) if !there.is_due => Some(there.signer),
                old => match self.new_signer(&live, now) {
                    Ok(signer) => Some(signer),
                    Err(error) => {
                        failed.get_or_insert(error);
                        old.map(|there| there.signer)
                    }
                },
            };
            identities.extend(signer.map(|signer| live.identity(signer)));
        }
        self.install(&identities);
        let fault = failed.as_ref().map(|error| format!("an OCSP signer could not be renewed: {error}"));
        self.signer_fault.store(Arc::new(fault));
        drop(keeping);
        failed.map_or(Ok(()), Err)
    }

    fn install(&self, identities: &[SigningIdentity]) {
        self.responder.install(identities);
        let answering = identities.iter().map(|one| (one.issuer.authority, one.issuer.generation)).collect();
        self.answering.store(Arc::new(answering));
    }

    /// The signer that lasts longest of those whose key is here and is of the configured kind.
    fn signer_there(&self, live: &LiveGeneration, now: UnixTime) -> Result<Option<SignerThere>, OfficeError> {
        let facts = self.store.facts();
        let ours = |record: &&Record| {
            let issued = &record.issued;
            record.status() == CertStatus::Good
                && issued.kind == CertificateKind::OcspSigner
                && issued.certificate.authority == live.issuer.authority
                && issued.certificate.generation == live.issuer.generation
                && issued.not_after > now
        };
        let mut candidates: Vec<&Record> = facts.issuers.iter().filter(ours).collect();
        candidates.sort_by_key(|record| std::cmp::Reverse(record.issued.not_after));
        for Record { issued, .. } in candidates {
            let certificate = archived_certificate(&self.store, issued)?;
            let key_id = key_id_of(&certificate)?;
            let path = self.data.key(&key_id).display().to_string();
            let Some(pkcs8) = self.data.read_key(&key_id)? else { continue };
            let key = read_key(&pkcs8, &path)?;
            if key.algorithm() != self.signer_algorithm() {
                continue;
            }
            let life = issued.not_after.since(issued.not_before);
            // One that ends with its issuer cannot be outlived.
            let is_due = issued.not_after.since(now) * 3 < life && issued.not_after < live.issuer.not_after;
            let signer = Signer { key: Arc::new(key), certificate, not_after: issued.not_after };
            return Ok(Some(SignerThere { signer, is_due }));
        }
        Ok(None)
    }

    /// Removes the private keys of signers that have expired.
    pub(super) fn remove_expired_keys(&self) -> Result<(), OfficeError> {
        let now = self.clock.now();
        for record in &self.store.facts().issuers {
            let issued = &record.issued;
            if issued.kind == CertificateKind::OcspSigner && issued.not_after < now {
                let key_id = key_id_of(&archived_certificate(&self.store, issued)?)?;
                if self.data.key(&key_id).exists() {
                    self.data.remove_key(&key_id)?;
                }
            }
        }
        Ok(())
    }

    fn new_signer(&self, live: &LiveGeneration, now: UnixTime) -> Result<Signer, OfficeError> {
        let issuer = &live.issuer;
        let kind = match self.config.ocsp.signer {
            SignerKey::P256 => KeyType::P256,
            SignerKey::Rsa2048 => KeyType::Rsa2048,
        };
        let pkcs8 = issue::generate_key(kind)?;
        let key = read_key(&pkcs8, "new key")?;
        let lifetime = DAY * self.config.ocsp.signer_validity_days;
        let validity = OcspSigner::validity(issuer, now, lifetime)?;
        let (not_before, not_after) = (validity.not_before(), validity.not_after());
        let serial = self.store.next_serial(issuer.authority)?;
        let tbs = OcspSigner {
            profile: &self.profile,
            issuer,
            serial,
            algorithm: live.key.algorithm(),
            validity,
            number: self.signers_made(issuer.authority),
            key: &SubjectKey::from_spki(key.spki())?,
        }
        .tbs()?;
        let (tbs, signature) = self.sign(live, tbs)?;
        let certificate = issue::assemble(&tbs, live.key.algorithm(), &signature);
        self.data.write_key(&key.key_id(), &pkcs8)?;
        let archived = Archived { certificate: certificate.clone(), holder: None };
        let issued = Issued {
            certificate: CertificateRef {
                authority: issuer.authority,
                generation: issuer.generation,
                serial,
            },
            kind: CertificateKind::OcspSigner,
            partition: None,
            not_before,
            not_after,
            archive: self.store.archive_append_wait(archived.to_der())?,
            sha256: sha256(&certificate),
            holder: None,
            card: None,
            twin: None,
        };
        record_issued(&self.store, vec![issued], Origin::service())?;
        let generation: Generation = issuer.generation;
        tracing::info!(authority = live.authority, %generation, %serial, %not_after, "new OCSP signer");
        Ok(Signer { key: Arc::new(key), certificate, not_after })
    }

    /// How many signers an authority has had with the coming one: its name carries the count.
    fn signers_made(&self, authority: AuthorityId) -> u32 {
        let facts = self.store.facts();
        let ours = facts.issuers.iter().map(|record| &record.issued).filter(|issued| {
            issued.kind == CertificateKind::OcspSigner && issued.certificate.authority == authority
        });
        u32::try_from(ours.count()).unwrap_or(u32::MAX).saturating_add(1)
    }

    const fn signer_algorithm(&self) -> SignatureAlgorithm {
        match self.config.ocsp.signer {
            SignerKey::P256 => SignatureAlgorithm::EcdsaP256Sha256,
            SignerKey::Rsa2048 => SignatureAlgorithm::RsaSha256,
        }
    }
}

/// SHA-1 of the key a certificate is for.
fn key_id_of(certificate: &[u8]) -> Result<[u8; 20], OfficeError> {
    let read = Issuer::from_certificate(AuthorityId(0), Generation::FIRST, certificate);
    read.map(|subject| subject.key_id).map_err(|error| OfficeError::Damaged(error.to_string()))
}
