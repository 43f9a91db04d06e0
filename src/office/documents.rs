//! What is there to download: the CRLs of the sets being served, the catalogue, CA certificates.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;

use super::authorities::sha256;
use super::publish::{CATALOGUE, CATALOGUE_SIGNATURE, ServedSet};
use super::{Office, OfficeError};
use crate::crl::{Catalogue, Row};
use crate::der::UnixTime;
use crate::pki::AuthorityId;
use crate::record::Event;

/// A file of the public listener.
#[derive(Debug, Clone)]
pub struct PublicFile {
    /// Its address, from the root.
    pub path: String,
    /// Its octets.
    pub content: PublicContent,
    /// Its media type.
    pub content_type: &'static str,
    /// SHA-256 of its octets.
    pub sha256: [u8; 32],
    /// thisUpdate, or the start of a certificate's validity.
    pub last_modified: UnixTime,
    /// nextUpdate, where there is one.
    pub expires: Option<UnixTime>,
    /// How long a cache may keep it without asking again.
    pub max_age: Duration,
    /// True when the address never shows anything else.
    pub immutable: bool,
}

/// Where the octets of a public file are.
#[derive(Debug, Clone)]
pub enum PublicContent {
    /// In memory.
    Memory(Vec<u8>),
    /// In a file of that many octets that never changes.
    File(PathBuf, u64),
}

/// Told whenever there are other files.
pub type Watcher = Box<dyn Fn(&[PublicFile]) + Send + Sync>;

/// Media type of a CRL (RFC 5280 §4.2.1.13 by way of RFC 2585 §4.2).
const CRL_TYPE: &str = "application/pkix-crl";
/// Media type of a certificate (RFC 2585 §4.1).
const CERTIFICATE_TYPE: &str = "application/pkix-cert";
/// Media type of PEM.
const PEM_TYPE: &str = "application/x-pem-file";
/// Media type of a detached CMS signature (RFC 8551 §3.2.1).
const SIGNATURE_TYPE: &str = "application/pkcs7-signature";
/// Media type of the catalogue.
const JSON_TYPE: &str = "application/json";

/// How long a cache may keep the current CRLs without asking again: five minutes after a set
/// comes out, everybody has it.
const CRL_MAX_AGE: Duration = Duration::from_secs(300);
/// The catalogue tells that there is a new set.
const CATALOGUE_MAX_AGE: Duration = Duration::from_secs(60);
/// What never changes may be kept a day.
const IMMUTABLE_MAX_AGE: Duration = Duration::from_secs(86_400);

impl Office {
    /// Whoever serves files is told of them now, and again whenever a set is published.
    ///
    /// # Errors
    /// When the published files cannot be read.
    pub fn watch_files(&self, watcher: Watcher) -> Result<(), OfficeError> {
        self.watcher.store(Some(Arc::new(watcher)));
        self.serve_files()
    }

    /// Reads what is published and tells whoever serves it.
    pub(super) fn serve_files(&self) -> Result<(), OfficeError> {
        let mut files = self.ca_files();
        let mut served = BTreeMap::new();
        if let Some(catalogue) = self.served_catalogue()? {
            served = self.served_sets(&catalogue)?;
            files.extend(self.crl_files(&catalogue)?);
        }
        self.served.store(Arc::new(served));
        if let Some(watcher) = self.watcher.load().as_ref() {
            watcher(&files);
        }
        Ok(())
    }

    /// Sets that a crash left open: the one being served was published, the others were not.
    pub(super) fn settle_open_sets(&self) -> Result<(), OfficeError> {
        let served = self.served.load();
        for begun in self.store.facts().open_crl_sets.keys().copied() {
            match served.values().find(|set| set.position == begun) {
                Some(set) => {
                    let own = self.set_directory(&set.number.to_string()).join(CATALOGUE);
                    let octets = self.read_published(&own)?;
                    self.journal(Event::CrlSetPublished { begun, catalogue_sha256: sha256(&octets) })?;
                }
                None => self.journal(Event::CrlSetAbandoned { begun })?,
            }
        }
        Ok(())
    }

    fn served_sets(&self, catalogue: &Catalogue) -> Result<BTreeMap<AuthorityId, ServedSet>, OfficeError> {
        let mut served = BTreeMap::new();
        for row in &catalogue.crls {
            let Some(authority) = self.profile.authority_named(&row.authority) else { continue };
            if served.contains_key(&authority.id) {
                continue;
            }
            if let Some(set) = self.set_catalogue(&row.set)? {
                let position = crate::record::Position(set.position);
                served.insert(authority.id, ServedSet { number: row.number, position });
            }
        }
        Ok(served)
    }

    /// Each CRL under its immutable address, its alias, and as PEM; and the catalogue.
    fn crl_files(&self, catalogue: &Catalogue) -> Result<Vec<PublicFile>, OfficeError> {
        let mut files = Vec::with_capacity(catalogue.crls.len() * 3 + 1);
        for row in &catalogue.crls {
            let damaged = || OfficeError::Damaged(format!("the catalogue's row of {} is damaged", row.url));
            let path = self.crl_path(row).ok_or_else(damaged)?;
            let this_update: UnixTime = row.this_update.parse().map_err(|_| damaged())?;
            let next_update: UnixTime = row.next_update.parse().map_err(|_| damaged())?;
            let hash = HEXLOWER_PERMISSIVE.decode(row.sha256.as_bytes()).ok();
            let file = PublicFile {
                path: row.url.clone(),
                content: PublicContent::File(path.clone(), row.bytes),
                content_type: CRL_TYPE,
                sha256: hash.and_then(|hash| hash.try_into().ok()).ok_or_else(damaged)?,
                last_modified: this_update,
                expires: Some(next_update),
                max_age: IMMUTABLE_MAX_AGE,
                immutable: true,
            };
            let alias = row.url.replacen(&format!("/crl/sets/{}/", row.set), "/crl/", 1);
            files.push(PublicFile {
                path: alias.clone(),
                max_age: CRL_MAX_AGE,
                immutable: false,
                ..file.clone()
            });
            files.extend(pem_file(&file, &alias, &path)?);
            files.push(file);
        }
        let sets: BTreeSet<&str> = catalogue.crls.iter().map(|row| row.set.as_str()).collect();
        for set in sets {
            for (name, content_type) in [(CATALOGUE, JSON_TYPE), (CATALOGUE_SIGNATURE, SIGNATURE_TYPE)] {
                let octets = self.read_published(&self.set_directory(set).join(name))?;
                files.push(PublicFile {
                    path: format!("/crl/sets/{set}/{name}"),
                    sha256: sha256(&octets),
                    content: PublicContent::Memory(octets),
                    content_type,
                    last_modified: self.clock.now(),
                    expires: None,
                    max_age: IMMUTABLE_MAX_AGE,
                    immutable: true,
                });
            }
        }
        let octets = self.read_published(&self.data.crl().join(CATALOGUE))?;
        files.push(PublicFile {
            path: "/crl/index.json".to_owned(),
            sha256: sha256(&octets),
            content: PublicContent::Memory(octets),
            content_type: JSON_TYPE,
            last_modified: self.clock.now(),
            expires: None,
            max_age: CATALOGUE_MAX_AGE,
            immutable: false,
        });
        Ok(files)
    }

    fn read_published(&self, path: &Path) -> Result<Vec<u8>, OfficeError> {
        fs::read(path).map_err(|error| OfficeError::Damaged(format!("{}: {error}", path.display())))
    }

    /// Where the CRL of a row lies.
    pub(super) fn crl_path(&self, row: &Row) -> Option<PathBuf> {
        let name = row.url.rsplit('/').next()?;
        let directory = self.set_directory(&row.set).join(&row.authority).join(row.generation.to_string());
        Some(directory.join(name))
    }

    fn ca_files(&self) -> Vec<PublicFile> {
        let generations = self.generations.load();
        let files = generations.values().flatten().flat_map(|live| {
            let issuer = &live.issuer;
            let stem = format!("/ca/{}/{}", live.authority, issuer.generation);
            let pem = pem::encode(&pem::Pem::new("CERTIFICATE", issuer.certificate.as_slice())).into_bytes();
            [(".cer", CERTIFICATE_TYPE, issuer.certificate.clone()), (".pem", PEM_TYPE, pem)].map(
                |(ending, content_type, octets)| PublicFile {
                    path: format!("{stem}{ending}"),
                    sha256: sha256(&octets),
                    content: PublicContent::Memory(octets),
                    content_type,
                    last_modified: issuer.not_before,
                    expires: None,
                    max_age: IMMUTABLE_MAX_AGE,
                    immutable: false,
                },
            )
        });
        files.collect()
    }
}

/// The same CRL as PEM, made beside it when the set is first served.
fn pem_file(file: &PublicFile, alias: &str, path: &Path) -> Result<[PublicFile; 2], OfficeError> {
    let failed = |error: std::io::Error| OfficeError::Damaged(format!("{}: {error}", path.display()));
    let pem_path = path.with_extension("pem");
    let octets = match fs::read(&pem_path) {
        Ok(octets) => octets,
        Err(_) => {
            let der = fs::read(path).map_err(failed)?;
            let octets = pem::encode(&pem::Pem::new("X509 CRL", der)).into_bytes();
            let unfinished = path.with_extension("pem.new");
            fs::write(&unfinished, &octets)
                .and_then(|()| fs::rename(&unfinished, &pem_path))
                .map_err(failed)?;
            octets
        }
    };
    let len = u64::try_from(octets.len()).unwrap_or(u64::MAX);
    let pem = PublicFile {
        path: file.path.replace(".crl", ".pem"),
        content: PublicContent::File(pem_path, len),
        content_type: PEM_TYPE,
        sha256: sha256(&octets),
        ..file.clone()
    };
    let current = PublicFile {
        path: alias.replace(".crl", ".pem"),
        max_age: CRL_MAX_AGE,
        immutable: false,
        ..pem.clone()
    };
    Ok([pem, current])
}
