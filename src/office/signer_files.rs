//! Signers issued elsewhere: `signers/NAME.pem` and `signers/NAME.key`, put there by hand.
//!
//! Read at start and when told to. Either all of them are right and take the place of those
//! before, or nothing changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::data::{DataError, KEY};
use super::signers::{Held, algorithm, name};
use super::{LiveGeneration, Office, OfficeError};
use crate::config::SignerKey;
use crate::der::UnixTime;
use crate::issue::{SignerCertificate, SignerRefusal};
use crate::ocsp::Signer;
use crate::pki::{AuthorityId, Generation, Issuer, SignatureAlgorithm};
use crate::signer::{Key, KeyError};

/// How the file of a certificate is named after the dot.
const PEM: &str = "pem";

/// A signer of `signers/`, as it is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenSigner {
    /// The file of its certificate.
    pub file: String,
    /// Name of the authority it answers for.
    pub authority: String,
    /// Of which key.
    pub generation: Generation,
    /// The kind of its own key, as the settings name it.
    pub key: &'static str,
    /// End of its validity.
    pub not_after: UnixTime,
}

/// A signer of `signers/`.
pub(super) struct Given {
    shown: GivenSigner,
    authority: AuthorityId,
    held: Held,
}

/// Why a signer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignerFileError {
    /// It may not sign OCSP answers.
    #[error(transparent)]
    Refused(#[from] SignerRefusal),
    /// Its private key is of no use.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The settings allow no such signer.
    #[error("ocsp.signers does not list {0}: add it there and start anew, or take the file away")]
    NotListed(&'static str),
    /// The certificate has no key.
    #[error("the private key is missing: put it there, PKCS#8 in PEM, mode 600")]
    KeyMissing,
    /// The key has no certificate.
    #[error("the certificate to this key is missing: put it there, or take the key away")]
    CertificateMissing,
    /// Something else.
    #[error("neither NAME.pem nor NAME.key: take it away")]
    Stray,
    /// Not one PEM block of a certificate.
    #[error("not one certificate in PEM: give the signer's own and no other")]
    NotOneCertificate,
    /// Not one PEM block of a private key.
    #[error("not one private key of PKCS#8 in PEM: convert it by `openssl pkcs8 -topk8 -nodes`")]
    NotOneKey,
}

impl Office {
    /// Reads `signers/` again, and nothing else. One that is wrong refuses all: the signers
    /// before go on, and [`Self::unready`] says why until the next time that all are right.
    ///
    /// # Errors
    /// [`OfficeError::Signer`] with the file, or what is wrong with the directory.
    pub fn reload_signers(&self) -> Result<Vec<GivenSigner>, OfficeError> {
        let keeping = self.keeping.lock();
        let read = self.read_given_signers();
        let fault = read.as_ref().err().map(|error| format!("the signers before go on: {error}"));
        self.signers.reload_fault.store(Arc::new(fault));
        drop(keeping);
        if let Err(error) = read {
            tracing::error!(%error, "the OCSP signers were not reloaded; those before go on");
            return Err(error);
        }
        if self.is_rebuilding() || self.watch_clock().is_some() {
            self.install_signers_there();
        } else if let Err(error) = self.renew_signers() {
            // Those reloaded are in use; what else is missing stands in unready().
            tracing::warn!(%error, "an OCSP signer could not be made");
        }
        let shown: Vec<_> = self.signers.given.load().iter().map(|given| given.shown.clone()).collect();
        tracing::info!(signers = shown.len(), "OCSP signers reloaded");
        Ok(shown)
    }

    /// Reads `signers/`; they count from the next renewal on.
    pub(super) fn read_given_signers(&self) -> Result<(), OfficeError> {
        self.data.check_signers()?;
        let live = self.all_live_generations();
        let issuers: Vec<_> = live.iter().map(|live| Arc::clone(&live.issuer)).collect();
        let now = self.clock.now();
        let read = |path: PathBuf| self.read_given_signer(&path, &issuers, now);
        let given: Vec<Given> =
            certificates(&self.data.signers())?.into_iter().map(read).collect::<Result<_, _>>()?;
        self.signers.given.store(Arc::new(given));
        Ok(())
    }

    /// The one of a generation and kind that lasts longest.
    pub(super) fn given_signer(
        &self,
        live: &LiveGeneration,
        algorithm: SignatureAlgorithm,
        now: UnixTime,
    ) -> Option<Held> {
        let given = self.signers.given.load();
        let fitting = given.iter().filter(|given| {
            given.authority == live.issuer.authority
                && given.shown.generation == live.issuer.generation
                && given.held.algorithm == algorithm
                && given.held.not_before <= now
                && given.held.signer.not_after > now
        });
        fitting.max_by_key(|given| given.held.signer.not_after).map(|given| given.held.clone())
    }

    fn read_given_signer(
        &self,
        path: &Path,
        issuers: &[Arc<Issuer>],
        now: UnixTime,
    ) -> Result<Given, OfficeError> {
        let certificate = one_block(path, "CERTIFICATE", SignerFileError::NotOneCertificate)?;
        let checked = SignerCertificate::check(&certificate, issuers, now).map_err(|e| at(path, e))?;
        let listed = |key: &&SignerKey| algorithm(**key) == checked.algorithm;
        let Some(kind) = self.config.ocsp.signers.iter().find(listed) else {
            return Err(at(path, SignerFileError::NotListed(name(checked.algorithm))));
        };
        let key = read_key(&path.with_extension(KEY))?;
        checked.check_key(&key).map_err(|error| at(path, error))?;
        let SignerCertificate { authority, generation, algorithm, not_before, not_after, .. } = checked;
        let shown = GivenSigner {
            file: path.display().to_string(),
            authority: self.authority_name(authority),
            generation,
            key: kind.name(),
            not_after,
        };
        let signer = Arc::new(Signer { key: Arc::new(key), certificate, not_after });
        Ok(Given { shown, authority, held: Held { algorithm, not_before, signer } })
    }
}

/// The certificates' files in order of their names; a directory that is absent holds none.
/// Hidden files are the editor's, or the copying program's.
fn certificates(directory: &Path) -> Result<Vec<PathBuf>, OfficeError> {
    let io = |error| DataError::Io { path: directory.to_owned(), error };
    // One that cannot be looked at is not absent: the signers in it would count as none.
    if !directory.try_exists().map_err(io)? {
        return Ok(Vec::new());
    }
    let mut certificates = Vec::new();
    for entry in fs::read_dir(directory).map_err(io)? {
        let entry = entry.map_err(io)?;
        let path = entry.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if entry.file_name().to_string_lossy().starts_with('.') => {}
            Some(PEM) => certificates.push(path),
            Some(KEY) if path.with_extension(PEM).exists() => {}
            Some(KEY) => return Err(at(&path, SignerFileError::CertificateMissing)),
            _ => return Err(at(&path, SignerFileError::Stray)),
        }
    }
    certificates.sort();
    Ok(certificates)
}

fn read_key(path: &Path) -> Result<Key, OfficeError> {
    if !path.exists() {
        return Err(at(path, SignerFileError::KeyMissing));
    }
    let pkcs8 = one_block(path, "PRIVATE KEY", SignerFileError::NotOneKey)?;
    Key::from_pkcs8(&Zeroizing::new(pkcs8)).map_err(|error| at(path, error))
}

/// The content of a file's only PEM block.
fn one_block(path: &Path, label: &str, otherwise: SignerFileError) -> Result<Vec<u8>, OfficeError> {
    let io = |error| DataError::Io { path: path.to_owned(), error };
    let text = Zeroizing::new(fs::read(path).map_err(io)?);
    let mut blocks = pem::parse_many(text.as_slice()).unwrap_or_default().into_iter();
    match (blocks.next(), blocks.next()) {
        (Some(block), None) if block.tag() == label => Ok(block.into_contents()),
        _ => Err(at(path, otherwise)),
    }
}

fn at(path: &Path, error: impl Into<SignerFileError>) -> OfficeError {
    OfficeError::Signer { path: path.display().to_string(), error: error.into() }
}
