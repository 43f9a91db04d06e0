//! Signers issued elsewhere: `signers/NAME.pem` and `signers/NAME.key`, put there by hand.
//!
//! Read at start and when told to. Each that is right is used; each that is not is told of, in the
//! log, as a warning and by `check`, until it is right or gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::authorities::sha256;
use super::data::{DataError, KEY};
use super::signers::{Held, algorithm, name};
use super::{LiveGeneration, Office, OfficeError};
use crate::config::SignerKey;
use crate::der::UnixTime;
use crate::issue::{KeyTaken, SignerCertificate, SignerRefusal};
use crate::ocsp::Signer;
use crate::pki::{
    AuthorityId, CertStatus, CertificateKind, Generation, Issuer, RevocationReason, SerialNumber,
    SignatureAlgorithm,
};
use crate::record::Record;
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
    pub(super) shown: GivenSigner,
    pub(super) authority: AuthorityId,
    pub(super) held: Held,
}

/// A file of `signers/` that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedSigner {
    /// The file, or the directory.
    pub file: String,
    /// What speaks against it, and what to do.
    pub why: String,
}

impl std::fmt::Display for RefusedSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, why } = self;
        write!(f, "{file}: {why}")
    }
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
    /// A resident's certificate is on record under its serial.
    #[error("its serial {0} is that of a resident's certificate: have one issued with a serial of its own")]
    ResidentsSerial(SerialNumber),
    /// The certificate of a CA or of another signer is on record under its serial.
    #[error("its serial {0} is that of another {1} certificate: have one issued with a serial of its own")]
    SerialTaken(SerialNumber, CertificateKind),
    /// The authority's counter has passed its serial, or comes to it.
    #[error(
        "its serial {0} is one that the authority gives by itself, sooner or later, as all of up to 8 octets are: have \
         one issued with a random serial of 16 octets"
    )]
    SerialOfCounter(SerialNumber),
    /// Another file has another certificate of that serial.
    #[error("its serial {0} is that of {1} too: have one issued with a serial of its own")]
    SerialTwice(SerialNumber, String),
    /// It was revoked here.
    #[error("revoked at {0} ({1}): take the file away, and the key with it")]
    Revoked(UnixTime, RevocationReason),
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
    /// Reads `signers/` again, and nothing else. Those that are right are in use when this returns.
    ///
    /// # Errors
    /// [`OfficeError::SignersRefused`] when others are not, or when the directory cannot be read: then
    /// those before go on. [`Self::attention`] names them until the next time that all are right.
    pub fn reload_signers(&self) -> Result<Vec<GivenSigner>, OfficeError> {
        let keeping = self.keeping.lock();
        let read = self.read_given_signers();
        if let Err(error) = &read {
            let file = self.data.signers().display().to_string();
            self.refuse_signers(vec![RefusedSigner { file, why: error.to_string() }]);
        }
        drop(keeping);
        read?;
        if self.is_rebuilding() || self.watch_clock().is_some() {
            self.install_signers_there();
        } else if let Err(error) = self.renew_signers() {
            // Those reloaded are in use; what else is missing stands in unready().
            tracing::warn!(%error, "an OCSP signer could not be made");
        }
        let shown: Vec<_> = self.signers.given.load().iter().map(|given| given.shown.clone()).collect();
        tracing::info!(signers = shown.len(), "OCSP signers reloaded");
        let refused = self.signers.refused.load();
        if refused.is_empty() {
            return Ok(shown);
        }
        let all: Vec<String> = refused.iter().map(ToString::to_string).collect();
        Err(OfficeError::SignersRefused(all.join("; ")))
    }

    /// What in `signers/` is not used, and why.
    #[must_use]
    pub fn refused_signers(&self) -> Vec<RefusedSigner> {
        self.signers.refused.load().as_ref().clone()
    }

    /// Reads `signers/`; those that are right count from the next renewal on. Only while `keeping` is
    /// held, or before anybody else is there.
    ///
    /// # Errors
    /// The directory, or what the files are held against, cannot be read: nothing has changed.
    pub(super) fn read_given_signers(&self) -> Result<(), OfficeError> {
        self.data.check_signers()?;
        let live = self.all_live_generations();
        let issuers: Vec<_> = live.iter().map(|live| Arc::clone(&live.issuer)).collect();
        let (now, taken) = (self.clock.now(), self.keys_taken()?);
        let (mut given, mut refused) = (Vec::<Given>::new(), Vec::new());
        for found in files(&self.data.signers())? {
            let read = found.and_then(|path| {
                let one = self.read_given_signer(&path, &issuers, &taken, now)?;
                alone(&given, &one).map_err(|error| at(&path, error))?;
                Ok(one)
            });
            match read {
                Ok(one) => given.push(one),
                Err(error) => refused.push(RefusedSigner::from(error)),
            }
        }
        self.signers.given.store(Arc::new(given));
        self.refuse_signers(refused);
        Ok(())
    }

    fn refuse_signers(&self, refused: Vec<RefusedSigner>) {
        for RefusedSigner { file, why } in &refused {
            tracing::error!(file, why, "a file of signers/ is not used; the other OCSP signers sign");
        }
        self.signers.refused.store(Arc::new(refused));
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
                && !self.signers.is_retired(&given.held)
                && !self.is_revoked(given.authority, &given.held.serial)
        });
        fitting.max_by_key(|given| given.held.signer.not_after).map(|given| given.held.clone())
    }

    fn read_given_signer(
        &self,
        path: &Path,
        issuers: &[Arc<Issuer>],
        taken: &[KeyTaken],
        now: UnixTime,
    ) -> Result<Given, OfficeError> {
        let certificate = one_block(path, "CERTIFICATE", SignerFileError::NotOneCertificate)?;
        self.check_not_revoked(&certificate).map_err(|error| at(path, error))?;
        let checked = SignerCertificate::check(&certificate, issuers, taken, now).map_err(|e| at(path, e))?;
        self.check_on_record(&checked, &certificate).map_err(|error| at(path, error))?;
        let listed = |key: &&SignerKey| algorithm(**key) == checked.algorithm;
        let Some(kind) = self.config.ocsp.signers.iter().find(listed) else {
            return Err(at(path, SignerFileError::NotListed(name(checked.algorithm))));
        };
        let key = read_key(&path.with_extension(KEY))?;
        checked.check_key(&key).map_err(|error| at(path, error))?;
        let SignerCertificate { authority, generation, serial, algorithm, not_before, not_after, .. } =
            checked;
        let shown = GivenSigner {
            file: path.display().to_string(),
            authority: self.authority_name(authority),
            generation,
            key: kind.name(),
            not_after,
        };
        let signer = Arc::new(Signer { key: Arc::new(key), certificate, not_after });
        Ok(Given { shown, authority, held: Held { algorithm, serial, not_before, signer } })
    }

    /// That this very certificate was not revoked: said first, whatever else speaks against it.
    fn check_not_revoked(&self, der: &[u8]) -> Result<(), SignerFileError> {
        let (facts, sha256) = (self.store.facts(), sha256(der));
        let record = facts.issuers.iter().find(|record| record.issued.sha256 == sha256);
        match record.map(Record::status) {
            Some(CertStatus::Revoked(was)) => Err(SignerFileError::Revoked(was.revoked_at, was.reason)),
            _ => Ok(()),
        }
    }

    /// That what is on record under its serial, if anything is, is this very certificate.
    fn check_on_record(&self, checked: &SignerCertificate, der: &[u8]) -> Result<(), SignerFileError> {
        let SignerCertificate { authority, serial, .. } = *checked;
        if let Some(record) = self.issuer_record(authority, &serial) {
            let is_this = record.issued.sha256 == sha256(der);
            return if is_this {
                Ok(())
            } else {
                Err(SignerFileError::SerialTaken(serial, record.issued.kind))
            };
        }
        // Either may have lost it, and the records may still be on their way.
        if self.status.find(authority, &serial).is_issued()
            || self.store.find(authority, &serial).is_ok_and(|record| record.is_some())
        {
            return Err(SignerFileError::ResidentsSerial(serial));
        }
        // Also one far ahead: a certificate may be on its way to it, and the counter is not moved by a file.
        match serial.to_u64() {
            Some(_) => Err(SignerFileError::SerialOfCounter(serial)),
            None => Ok(()),
        }
    }
}

/// That no other file has another certificate of the same serial.
fn alone(given: &[Given], one: &Given) -> Result<(), SignerFileError> {
    let (authority, serial) = (one.authority, one.held.serial);
    let other = given.iter().find(|given| {
        (given.authority, given.held.serial) == (authority, serial)
            && given.held.signer.certificate != one.held.signer.certificate
    });
    match other {
        Some(other) => Err(SignerFileError::SerialTwice(serial, other.shown.file.clone())),
        None => Ok(()),
    }
}

/// The certificates' files in order of their names, and what is no half of a signer; a directory that
/// is absent holds none. Hidden files are the editor's, or the copying program's.
fn files(directory: &Path) -> Result<Vec<Result<PathBuf, OfficeError>>, OfficeError> {
    let io = |error| DataError::Io { path: directory.to_owned(), error };
    // One that cannot be looked at is not absent: the signers in it would count as none.
    if !directory.try_exists().map_err(io)? {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(io)? {
        let entry = entry.map_err(io)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    let half = |path: PathBuf| match path.extension().and_then(|extension| extension.to_str()) {
        Some(PEM) => Some(Ok(path)),
        Some(KEY) if path.with_extension(PEM).exists() => None,
        Some(KEY) => Some(Err(at(&path, SignerFileError::CertificateMissing))),
        _ => Some(Err(at(&path, SignerFileError::Stray))),
    };
    Ok(paths.into_iter().filter_map(half).collect())
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

impl From<OfficeError> for RefusedSigner {
    fn from(error: OfficeError) -> Self {
        match error {
            OfficeError::Signer { path, error } => Self { file: path, why: error.to_string() },
            OfficeError::Data(DataError::Io { path, error }) => {
                Self { file: path.display().to_string(), why: format!("cannot be read, {error}: mend that") }
            }
            other => Self { file: "signers/".to_owned(), why: other.to_string() },
        }
    }
}
