//! What is there to download: the CRLs of the sets being served, the catalogue, CA certificates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;

use super::authorities::sha256;
use super::catalogues::{CATALOGUE, CATALOGUE_SIGNATURE, ServedSet};
use super::{Office, OfficeError};
use crate::crl::{Catalogue, CrlKind, Row};
use crate::der::UnixTime;
use crate::pki::{AuthorityId, Generation, Partition};
use crate::record::Position;

/// A file of the public listener.
#[derive(Debug, Clone)]
pub struct PublicFile {
    /// Its address, from the root.
    pub path: String,
    /// Its octets.
    pub content: PublicContent,
    /// Its media type.
    pub content_type: &'static str,
    /// Names its octets: their SHA-256, or for PEM one made from that of the DER.
    pub tag: [u8; 32],
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

/// Sets whose immutable addresses are served: who follows a catalogue while a new set comes out
/// finds what it names.
const SETS_SERVED: usize = 8;

impl Office {
    /// Whoever serves files is told of them now, and again whenever a set is published.
    ///
    /// # Errors
    /// When the published files cannot be read.
    pub fn watch_files(&self, watcher: Watcher) -> Result<(), OfficeError> {
        self.watcher.store(Some(Arc::new(watcher)));
        self.serve_files()
    }

    /// Reads what is published and tells whoever serves it. CRLs whose files are gone are left
    /// out, and their authority counts as not served: the schedule then cuts a new set.
    pub(super) fn serve_files(&self) -> Result<(), OfficeError> {
        let mut files = self.ca_files();
        let mut served = Served::default();
        if let Some(catalogue) = self.served_catalogue()? {
            let mut lost = BTreeSet::new();
            for row in &catalogue.crls {
                match self.row_files(row) {
                    Ok(row_files) => {
                        files.extend(row_files.iter().map(|file| file.current(row)));
                        files.extend(row_files);
                    }
                    Err(error) => {
                        tracing::error!(%error, "a published CRL is gone: a new set will be cut");
                        lost.insert(row.authority.as_str());
                    }
                }
            }
            served = self.served_of(&catalogue, &lost)?;
            files.push(self.catalogue_file()?);
        }
        for set in self.newest_sets() {
            files.extend(self.set_files(&set));
        }
        self.served.store(Arc::new(served));
        if let Some(watcher) = self.watcher.load().as_ref() {
            watcher(&files);
        }
        Ok(())
    }

    /// What is served of each authority that has lost nothing.
    fn served_of(&self, catalogue: &Catalogue, lost: &BTreeSet<&str>) -> Result<Served, OfficeError> {
        let mut served = Served::default();
        for row in catalogue.crls.iter().filter(|row| !lost.contains(row.authority.as_str())) {
            let Some(authority) = self.profile.authority_named(&row.authority) else { continue };
            if row.kind == CrlKind::Delta {
                served.deltas.insert(authority.id);
                continue;
            }
            if !served.sets.contains_key(&authority.id)
                && let Some(set) = self.set_catalogue(&row.set)?
            {
                let position = Position(set.position);
                let next_update = set.next_update.parse().unwrap_or_default();
                served.sets.insert(authority.id, ServedSet { number: row.number, position, next_update });
            }
            let partition = row.partition.as_ref().and_then(|code| code.parse().ok());
            if let (Some(generation), Some(partition)) = (Generation::new(row.generation), partition) {
                served.partitions.insert((authority.id, generation, partition));
            }
        }
        Ok(served)
    }

    /// A CRL under its immutable address, as DER and as PEM.
    fn row_files(&self, row: &Row) -> Result<[PublicFile; 2], OfficeError> {
        let damaged = || OfficeError::Damaged(format!("the catalogue's row of {} is damaged", row.url));
        let path = self.crl_path(row).ok_or_else(damaged)?;
        let hash = HEXLOWER_PERMISSIVE.decode(row.sha256.as_bytes()).ok();
        if self.disk.len_of(&path)? != Some(row.bytes) {
            return Err(OfficeError::Damaged(format!(
                "{} is not the file that was published",
                path.display()
            )));
        }
        let der = PublicFile {
            path: row.url.clone(),
            content: PublicContent::File(path.clone(), row.bytes),
            content_type: CRL_TYPE,
            tag: hash.and_then(|hash| hash.try_into().ok()).ok_or_else(damaged)?,
            last_modified: row.this_update.parse().map_err(|_| damaged())?,
            expires: Some(row.next_update.parse().map_err(|_| damaged())?),
            max_age: IMMUTABLE_MAX_AGE,
            immutable: true,
        };
        let pem_path = path.with_extension("pem");
        let pem_len = self.disk.len_of(&pem_path)?.ok_or_else(damaged)?;
        let pem = PublicFile {
            path: row.url.replace(".crl", ".pem"),
            content: PublicContent::File(pem_path, pem_len),
            content_type: PEM_TYPE,
            tag: sha256(&[b"PEM of ", der.tag.as_slice()].concat()),
            ..der.clone()
        };
        Ok([der, pem])
    }

    /// The catalogue of what is current.
    fn catalogue_file(&self) -> Result<PublicFile, OfficeError> {
        let octets = self.read_published(&self.data.crl().join(CATALOGUE))?;
        Ok(PublicFile {
            path: "/crl/index.json".to_owned(),
            tag: sha256(&octets),
            content: PublicContent::Memory(octets),
            content_type: JSON_TYPE,
            last_modified: self.clock.now(),
            expires: None,
            max_age: CATALOGUE_MAX_AGE,
            immutable: false,
        })
    }

    /// Names of the newest sets on disk.
    fn newest_sets(&self) -> Vec<String> {
        self.sets().unwrap_or_default().into_iter().rev().take(SETS_SERVED).collect()
    }

    /// Everything of one set under its immutable addresses; what cannot be read is left out.
    fn set_files(&self, set: &str) -> Vec<PublicFile> {
        let Ok(Some(catalogue)) = self.set_catalogue(set) else { return Vec::new() };
        let rows = catalogue.crls.iter().filter_map(|row| self.row_files(row).ok()).flatten();
        let names = [(CATALOGUE, JSON_TYPE), (CATALOGUE_SIGNATURE, SIGNATURE_TYPE)];
        let own = names.into_iter().filter_map(|(name, content_type)| {
            let octets = self.read_published(&self.set_directory(set).join(name)).ok()?;
            Some(PublicFile {
                path: format!("/crl/sets/{set}/{name}"),
                tag: sha256(&octets),
                content: PublicContent::Memory(octets),
                content_type,
                last_modified: catalogue.plan().map_or_else(|| self.clock.now(), |plan| plan.this_update),
                expires: None,
                max_age: IMMUTABLE_MAX_AGE,
                immutable: true,
            })
        });
        rows.chain(own).collect()
    }

    fn read_published(&self, path: &Path) -> Result<Vec<u8>, OfficeError> {
        let missing = || OfficeError::Damaged(format!("{}: the file is missing", path.display()));
        self.disk.read(path)?.ok_or_else(missing)
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
                    tag: sha256(&octets),
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

impl PublicFile {
    /// The same under the address that always shows the current set.
    fn current(&self, row: &Row) -> Self {
        let path = self.path.replacen(&format!("/crl/sets/{}/", row.set), "/crl/", 1);
        Self { path, max_age: CRL_MAX_AGE, immutable: false, ..self.clone() }
    }
}

/// What is served: the set of each authority, and each partition's CRL by the key that signed it.
#[derive(Debug, Default)]
pub(super) struct Served {
    pub(super) sets: BTreeMap<AuthorityId, ServedSet>,
    pub(super) partitions: BTreeSet<(AuthorityId, Generation, Partition)>,
    /// The authorities that have deltas.
    pub(super) deltas: BTreeSet<AuthorityId>,
}
