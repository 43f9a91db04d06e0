//! The data directory: what lies where, and who may read it.
//!
//! | path | what | losing it costs | changing it lets an attacker |
//! |---|---|---|---|
//! | `sekisho.toml` | settings | writing them again | point names and addresses elsewhere at the next start |
//! | `keys/` | private keys of authorities and signers, PKCS#8 PEM, 0600 | the authority: nothing can be signed any more | sign anything: whoever reads it owns the authority |
//! | `signers/` | OCSP signers issued elsewhere, each NAME.pem and NAME.key (0600), put there by hand | having them issued again; made here meanwhile | answer in the authority's name until the certificate ends, once he has both |
//! | `ca/` | CA certificates, PEM | nothing: written anew at start | nothing here; whoever trusts the file trusts another CA |
//! | `store/` | journal (truth), archive (personal data: 0700), snapshots, projection | every certificate's status | nothing unseen: the chain of hashes breaks |
//! | `crl/` | published CRL sets and the catalogue | a new set is cut at start; but nobody can sign the last CRLs of a retired key again: back up their set | withhold or replay CRLs until nextUpdate; forge none |
//! | `notice.pem` | certificate of `keys/notice.key`, which signs public notices | nothing: written anew at start; while it is there, a lost key is not replaced unseen | deceive whoever did not keep the fingerprint of the key |
//! | `certificates/` | certificates written for trying out | nothing | nothing |
//! | `admin.sock` | the service's ear, 0600 | nothing: made at start | – |

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::pki::{AuthorityId, Generation, Issuer};

/// Permission bits that let anybody but the owner in.
const OTHERS: u32 = 0o077;

/// How the file of a private key is named after the dot.
pub(super) const KEY: &str = "key";

/// A data directory.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// There is none.
    #[error("{path} is no data directory: run `sekisho init --data {path}` first", path = .0.display())]
    Absent(PathBuf),
    /// There is one already.
    #[error("{} exists already: choose another directory, or start it with `sekisho serve`", .0.display())]
    Present(PathBuf),
    /// A key can be read by others.
    #[error(
        "{path} has mode {mode:03o}: others could read the keys; run `chmod {wanted:o} {path}` and consider \
         them known",
        path = .path.display()
    )]
    TooOpen {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they must be.
        wanted: u32,
    },
    /// The system refused.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl DataDir {
    /// The directory at `path`, existing or not.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Makes its directories; it counts as made once its settings are written.
    ///
    /// # Errors
    /// When settings exist already, or the system refuses.
    pub fn create(&self) -> Result<(), DataError> {
        if self.exists() {
            return Err(DataError::Present(self.0.clone()));
        }
        for directory in [self.0.clone(), self.keys(), self.signers(), self.store()] {
            let owner_alone = fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
            owner_alone.map_err(at(&directory))?;
        }
        Ok(())
    }

    /// Whether settings stand in it.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.config().exists()
    }

    /// Checks that it exists and that its keys are for its owner alone.
    ///
    /// # Errors
    /// [`DataError::Absent`], [`DataError::TooOpen`].
    pub fn check(&self) -> Result<(), DataError> {
        if !self.exists() {
            return Err(DataError::Absent(self.0.clone()));
        }
        let keys = self.keys();
        closed(&keys, 0o700)?;
        for entry in fs::read_dir(&keys).map_err(at(&keys))? {
            let entry = entry.map_err(at(&keys))?;
            closed(&entry.path(), 0o600)?;
        }
        self.check_signers()
    }

    /// Checks that the keys in `signers/` are for their owner alone; the directory may be absent.
    ///
    /// # Errors
    /// [`DataError::TooOpen`].
    pub fn check_signers(&self) -> Result<(), DataError> {
        let signers = self.signers();
        if !signers.try_exists().map_err(at(&signers))? {
            return Ok(());
        }
        closed(&signers, 0o700)?;
        for entry in fs::read_dir(&signers).map_err(at(&signers))? {
            let path = entry.map_err(at(&signers))?.path();
            if path.extension().is_some_and(|extension| extension == KEY) {
                closed(&path, 0o600)?;
            }
        }
        Ok(())
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// `sekisho.toml`.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.0.join(crate::config::FILE_NAME)
    }

    /// `store/`.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    /// `signers/`.
    #[must_use]
    pub fn signers(&self) -> PathBuf {
        self.0.join("signers")
    }

    /// `crl/`.
    #[must_use]
    pub fn crl(&self) -> PathBuf {
        self.0.join("crl")
    }

    /// `certificates/`.
    #[must_use]
    pub fn certificates(&self) -> PathBuf {
        self.0.join("certificates")
    }

    /// `admin.sock`.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }

    /// PEM of a CA certificate.
    #[must_use]
    pub fn ca_certificate(&self, authority: &str, generation: Generation) -> PathBuf {
        self.0.join("ca").join(format!("{authority}-{generation}.pem"))
    }

    /// Where the private key with this identifier (SHA-1 of the public key) lies.
    #[must_use]
    pub fn key(&self, key_id: &[u8]) -> PathBuf {
        self.keys().join(format!("{}.key", HEXLOWER.encode(key_id)))
    }

    /// Writes a private key for its owner alone, and syncs it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_key(&self, key_id: &[u8], pkcs8: &[u8]) -> Result<(), DataError> {
        self.write_key_file(&self.key(key_id), pkcs8)
    }

    fn write_key_file(&self, path: &Path, pkcs8: &[u8]) -> Result<(), DataError> {
        let text = Zeroizing::new(pem::encode(&pem::Pem::new("PRIVATE KEY", pkcs8)));
        // Whole or not at all: what a crash leaves of one is written over.
        let new = path.with_extension("key.new");
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(at(&new))?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(at(&new))?;
        fs::rename(&new, path).map_err(at(path))?;
        sync_directory(&self.keys())
    }

    /// Reads a private key, PKCS#8 DER; none when there is no such file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_key(&self, key_id: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, DataError> {
        read_key_file(self.key(key_id))
    }

    /// Where the key lies that signs checkpoints, and nothing else.
    #[must_use]
    pub fn checkpoint_key(&self) -> PathBuf {
        self.keys().join("checkpoint.key")
    }

    /// Where its public half lies, for whoever asks `check --checkpoint`.
    #[must_use]
    pub fn checkpoint_public_key(&self) -> PathBuf {
        self.0.join("checkpoint.pub")
    }

    /// Writes the key that signs checkpoints, as [`Self::write_key`] writes others.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_checkpoint_key(&self, pkcs8: &[u8]) -> Result<(), DataError> {
        self.write_key_file(&self.checkpoint_key(), pkcs8)
    }

    /// Reads the key that signs checkpoints, PKCS#8 DER; none when there is no such file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_checkpoint_key(&self) -> Result<Option<Zeroizing<Vec<u8>>>, DataError> {
        read_key_file(self.checkpoint_key())
    }

    /// Where the key lies that signs public notices, and nothing else.
    #[must_use]
    pub fn notice_key(&self) -> PathBuf {
        self.keys().join("notice.key")
    }

    /// Where its certificate lies, for whoever verifies a notice.
    #[must_use]
    pub fn notice_certificate(&self) -> PathBuf {
        self.0.join("notice.pem")
    }

    /// Writes the key that signs public notices, as [`Self::write_key`] writes others.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_notice_key(&self, pkcs8: &[u8]) -> Result<(), DataError> {
        self.write_key_file(&self.notice_key(), pkcs8)
    }

    /// Reads the key that signs public notices, PKCS#8 DER; none when there is no such file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_notice_key(&self) -> Result<Option<Zeroizing<Vec<u8>>>, DataError> {
        read_key_file(self.notice_key())
    }

    /// Reads the certificate of that key, DER; none when there is no such file, or it is no PEM: it is
    /// made again.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_notice_certificate(&self) -> Result<Option<Vec<u8>>, DataError> {
        let path = self.notice_certificate();
        match fs::read(&path) {
            Ok(octets) => Ok(pem::parse(octets).ok().map(pem::Pem::into_contents)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DataError::Io { path, error }),
        }
    }

    /// Removes a private key that is not needed any more.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove_key(&self, key_id: &[u8]) -> Result<(), DataError> {
        let path = self.key(key_id);
        fs::remove_file(&path).map_err(at(&path))
    }

    /// Writes a whole file by renaming a synced one over it.
    ///
    /// # Errors
    /// When the system refuses; the old file stands then.
    pub fn write(&self, path: &Path, octets: &[u8]) -> Result<(), DataError> {
        let parent = path.parent().unwrap_or(&self.0);
        fs::create_dir_all(parent).map_err(at(parent))?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = parent.join(name);
        let written = File::create(&new).and_then(|mut file| {
            file.write_all(octets)?;
            file.sync_all()
        });
        written.map_err(at(&new))?;
        fs::rename(&new, path).map_err(at(path))?;
        sync_directory(parent)
    }

    /// CA certificates in `ca/` whose private key is not in `keys/`, a line each; keys in `retired` are missed
    /// by nobody.
    pub(super) fn ca_certificates_without_key(
        &self,
        retired: &BTreeSet<[u8; 20]>,
    ) -> Result<Vec<String>, DataError> {
        let directory = self.0.join("ca");
        let mut findings = Vec::new();
        // A backup leaves it out: it is written at a start.
        if !directory.try_exists().map_err(at(&directory))? {
            return Ok(findings);
        }
        for entry in fs::read_dir(&directory).map_err(at(&directory))? {
            let path = entry.map_err(at(&directory))?.path();
            let pem = fs::read(&path).map_err(at(&path))?;
            let certificate = pem::parse(&pem).map(pem::Pem::into_contents).unwrap_or_default();
            let issuer = Issuer::from_certificate(AuthorityId(0), Generation::FIRST, &certificate);
            match issuer.map(|issuer| (issuer.key_id, self.key(&issuer.key_id))) {
                Err(_) => findings
                    .push(format!("{} is no certificate: it is written anew at start", path.display())),
                Ok((key_id, key)) if !retired.contains(&key_id) && !key.exists() => {
                    findings.push(format!(
                        "{}: its private key {} is missing",
                        path.display(),
                        key.display()
                    ));
                }
                Ok(_) => {}
            }
        }
        Ok(findings)
    }

    fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }
}

fn read_key_file(path: PathBuf) -> Result<Option<Zeroizing<Vec<u8>>>, DataError> {
    let text = match fs::read_to_string(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DataError::Io { path, error }),
    };
    match pem::parse(text.as_bytes()) {
        Ok(pem) if pem.tag() == "PRIVATE KEY" => Ok(Some(Zeroizing::new(pem.into_contents()))),
        _ => Err(DataError::Io { path, error: io::Error::other("not a PEM private key") }),
    }
}

/// Makes the entries of a directory durable.
///
/// # Errors
/// When the system refuses.
pub fn sync_directory(path: &Path) -> Result<(), DataError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(at(path))
}

/// Refuses a path that anybody but its owner may use.
fn closed(path: &Path, wanted: u32) -> Result<(), DataError> {
    let mode = fs::metadata(path).map_err(at(path))?.permissions().mode() & 0o777;
    if mode & OTHERS == 0 { Ok(()) } else { Err(DataError::TooOpen { path: path.to_owned(), mode, wanted }) }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> DataError {
    let path = path.to_owned();
    move |error| DataError::Io { path, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_others_could_read_are_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(&directory.path().join("data"));
        assert!(matches!(data.check(), Err(DataError::Absent(_))));
        data.create().unwrap();
        data.create().unwrap();
        assert!(matches!(data.check(), Err(DataError::Absent(_))), "not made before its settings are there");
        data.write(&data.config(), b"").unwrap();
        assert!(matches!(data.create(), Err(DataError::Present(_))));
        data.write_key(&[1; 20], b"secret").unwrap();
        data.check().unwrap();
        assert_eq!(data.read_key(&[1; 20]).unwrap().unwrap().as_slice(), b"secret");
        assert!(data.read_key(&[2; 20]).unwrap().is_none());
        for (path, wide, tight) in [(data.key(&[1; 20]), 0o640, 0o600), (data.keys(), 0o750, 0o700)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(wide)).unwrap();
            let error = data.check().unwrap_err().to_string();
            assert!(error.contains(path.to_str().unwrap()) && error.contains("chmod"), "{error}");
            fs::set_permissions(&path, fs::Permissions::from_mode(tight)).unwrap();
        }
        data.check().unwrap();
    }
}
