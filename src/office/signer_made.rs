//! Signers made here: their keys lie in `keys/`, their certificates in the archive.

use std::sync::Arc;
use std::time::Duration;

use super::archived::Archived;
use super::authorities::{archived_certificate, read_key, record_issued, sha256};
use super::signer_files::SignerFileError;
use super::signer_record::subject_of;
use super::signers::Held;
use super::{LiveGeneration, Office, OfficeError};
use crate::config::SignerKey;
use crate::der::UnixTime;
use crate::issue::{self, OcspSigner, SignerCertificate, SubjectKey};
use crate::ocsp::Signer;
use crate::pki::{AuthorityId, CertStatus, CertificateKind};
use crate::profile::KeyType;
use crate::record::{CertificateRef, Issued, Origin, Record};
use crate::signer::Key;

/// A day.
const DAY: Duration = Duration::from_secs(86_400);

impl Office {
    /// Those of a generation whose keys are here, the last one made first.
    pub(super) fn made_signers(&self, live: &LiveGeneration, now: UnixTime) -> Vec<Held> {
        let facts = self.store.facts();
        let ours = |record: &&Record| {
            let issued = &record.issued;
            record.status() == CertStatus::Good
                && issued.kind == CertificateKind::OcspSigner
                && issued.certificate.authority == live.issuer.authority
                && issued.certificate.generation == live.issuer.generation
                // A clock that went back may have made one that is not valid yet.
                && issued.not_before <= now
                && issued.not_after > now
        };
        let usable = |record: &Record| self.made_signer(live, &record.issued, now);
        let made = facts.issuers.iter().rev().filter(ours).filter_map(usable);
        made.filter(|held| !self.signers.is_retired(held)).collect()
    }

    /// Reads each once: a key that is lost while running is still at hand. One that may not sign
    /// is told of and left alone; another is made in its place.
    fn made_signer(&self, live: &LiveGeneration, issued: &Issued, now: UnixTime) -> Option<Held> {
        let name = issued.certificate;
        if let Some(known) = self.signers.seen().made.get(&name) {
            return known.clone();
        }
        let read = self.read_made_signer(live, issued, now);
        if let Err(error) = &read {
            let (authority, serial) = (&live.authority, name.serial);
            tracing::warn!(authority, %serial, %error, "an OCSP signer made here is not used any more");
        }
        let held = read.ok();
        self.signers.seen().made.insert(name, held.clone());
        held
    }

    fn read_made_signer(
        &self,
        live: &LiveGeneration,
        issued: &Issued,
        now: UnixTime,
    ) -> Result<Held, OfficeError> {
        let certificate = archived_certificate(&self.store, issued)?;
        let key_id = subject_of(&certificate)?.key_id;
        let path = self.data.key(&key_id).display().to_string();
        let Some(pkcs8) = self.data.read_key(&key_id)? else {
            return Err(OfficeError::Signer { path, error: SignerFileError::KeyMissing });
        };
        let key = read_key(&pkcs8, &path)?;
        held(certificate, key, live, now).map_err(|error| OfficeError::Signer { path, error })
    }

    /// Makes one: key, certificate, archive, entry, in this order, so that an entry never stands
    /// without what it names.
    pub(super) fn make_signer(
        &self,
        live: &LiveGeneration,
        kind: SignerKey,
        now: UnixTime,
        origin: &Origin,
    ) -> Result<Held, OfficeError> {
        self.believed_clock()?;
        let issuer = &live.issuer;
        let pkcs8 = issue::generate_key(key_type(kind))?;
        let key = read_key(&pkcs8, "new key")?;
        let key_id = key.key_id();
        let lifetime = DAY * self.config.ocsp.signer_validity_days;
        let validity = OcspSigner::validity(issuer, now, lifetime)?;
        let serial = self.store.next_serial(issuer.authority)?;
        let tbs = OcspSigner {
            profile: &self.profile,
            issuer,
            serial,
            algorithm: live.key()?.algorithm(),
            validity,
            number: self.signers_made(issuer.authority),
            key: &SubjectKey::from_spki(key.spki())?,
        }
        .tbs()?;
        let (tbs, signature) = self.sign(live, tbs)?;
        let certificate = issue::assemble(&tbs, live.key()?.algorithm(), &signature);
        let path = self.data.key(&key_id).display().to_string();
        let made =
            held(certificate.clone(), key, live, now).map_err(|error| OfficeError::Signer { path, error })?;
        self.data.write_key(&key_id, &pkcs8)?;
        let name = CertificateRef { authority: issuer.authority, generation: issuer.generation, serial };
        if let Err(error) = self.record_signer(name, &made, origin.clone()) {
            // Tried again every minute: keys that nothing names would pile up.
            drop(self.data.remove_key(&key_id));
            return Err(error);
        }
        let (algorithm, not_after) = (kind.name(), validity.not_after());
        let generation = issuer.generation;
        tracing::info!(authority = live.authority, %generation, %serial, algorithm, %not_after, "new OCSP signer");
        self.signers.seen().made.insert(name, Some(made.clone()));
        Ok(made)
    }

    fn record_signer(
        &self,
        certificate: CertificateRef,
        made: &Held,
        origin: Origin,
    ) -> Result<(), OfficeError> {
        let der = &made.signer.certificate;
        let archived = Archived { certificate: der.clone(), holder: None };
        let issued = Issued {
            certificate,
            kind: CertificateKind::OcspSigner,
            partition: None,
            not_before: made.not_before,
            not_after: made.signer.not_after,
            archive: self.store.archive_append_wait(archived.to_der())?,
            sha256: sha256(der),
            holder: None,
            card: None,
            twin: None,
        };
        record_issued(&self.store, vec![issued], origin)?;
        Ok(())
    }

    /// Removes the private keys of signers that have expired.
    pub(super) fn remove_expired_keys(&self) -> Result<(), OfficeError> {
        let now = self.clock.now();
        for record in &self.store.facts().issuers {
            let issued = &record.issued;
            if issued.kind == CertificateKind::OcspSigner && issued.not_after < now {
                // A certificate that cannot be read costs a key that stays, no start.
                let key_id =
                    archived_certificate(&self.store, issued).and_then(|read| Ok(subject_of(&read)?.key_id));
                match key_id {
                    Ok(key_id) if self.data.key(&key_id).exists() => self.data.remove_key(&key_id)?,
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "the key of an expired OCSP signer stays"),
                }
                self.signers.seen().made.remove(&issued.certificate);
            }
        }
        Ok(())
    }

    /// Removes the private keys of those that expired while running.
    pub(super) fn remove_keys_outlived(&self, now: UnixTime) {
        let mut seen = self.signers.seen();
        let outlived = |held: &Option<Held>| held.as_ref().is_some_and(|held| held.signer.not_after < now);
        for (_, held) in seen.made.extract_if(.., |_, held| outlived(held)) {
            let Some(held) = held else { continue };
            // The next start tries again.
            if let Err(error) = self.data.remove_key(&held.signer.key.key_id()) {
                tracing::warn!(%error, "the key of an expired OCSP signer could not be removed");
            }
        }
    }

    /// How many signers an authority has had with the coming one: its name carries the count.
    fn signers_made(&self, authority: AuthorityId) -> u32 {
        let facts = self.store.facts();
        let ours = facts.issuers.iter().map(|record| &record.issued).filter(|issued| {
            issued.kind == CertificateKind::OcspSigner && issued.certificate.authority == authority
        });
        u32::try_from(ours.count()).unwrap_or(u32::MAX).saturating_add(1)
    }
}

/// The signer of a certificate and its key, by the rules for every other.
fn held(
    certificate: Vec<u8>,
    key: Key,
    live: &LiveGeneration,
    now: UnixTime,
) -> Result<Held, SignerFileError> {
    let checked = SignerCertificate::check(&certificate, &[Arc::clone(&live.issuer)], &[], now)?;
    checked.check_key(&key)?;
    let SignerCertificate { serial, algorithm, not_before, not_after, .. } = checked;
    Ok(Held {
        algorithm,
        serial,
        not_before,
        signer: Arc::new(Signer { key: Arc::new(key), certificate, not_after }),
    })
}

const fn key_type(kind: SignerKey) -> KeyType {
    match kind {
        SignerKey::P256 => KeyType::P256,
        SignerKey::Rsa2048 => KeyType::Rsa2048,
        SignerKey::P384 => KeyType::P384,
        SignerKey::Ed25519 => KeyType::Ed25519,
    }
}
