//! What is there to download: the CRLs of the sets being served, the catalogue, CA certificates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
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
    /// In a file that never changes.
    File(StoredFile),
}

/// A file that never changes, and its forms.
#[derive(Debug, Clone)]
pub struct StoredFile {
    /// Where it is.
    pub path: PathBuf,
    /// Octets of it.
    pub len: u64,
    /// Octets of it compressed, in the file with `.gz` behind its name.
    pub gzip: Option<u64>,
    /// Octets of it compressed, in the file with `.zst` behind its name.
    pub zstd: Option<u64>,
}

/// A set that is kept, under addresses that never show anything else. Shared by all publications
/// while it is kept.
#[derive(Debug)]
pub struct PublicSet {
    /// Its name: its files are below `/crl/sets/{name}/`.
    pub name: String,
    /// Where they are.
    pub directory: PathBuf,
    /// thisUpdate.
    pub last_modified: UnixTime,
    /// Its files.
    pub rows: Vec<PublicRow>,
}

/// A file of a set.
#[derive(Debug, Clone)]
pub struct PublicRow {
    /// Its path below the set's directory, and below its address.
    pub path: String,
    /// Its media type.
    pub content_type: &'static str,
    /// Names its octets: their SHA-256, or for PEM one made from that of the DER.
    pub tag: [u8; 32],
    /// Octets of it.
    pub len: u64,
    /// As [`StoredFile::gzip`].
    pub gzip: Option<u64>,
    /// As [`StoredFile::zstd`].
    pub zstd: Option<u64>,
    /// nextUpdate, where there is one.
    pub expires: Option<UnixTime>,
}

/// Everything that is there to download.
#[derive(Debug)]
pub struct Published {
    /// Under the addresses that show what is current.
    pub files: Vec<PublicFile>,
    /// Under those that never change.
    pub sets: Vec<Arc<PublicSet>>,
}

/// Told whenever there is something else.
pub type Watcher = Box<dyn Fn(&Published) + Send + Sync>;

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
/// Deltas are for who wants to know soon.
const DELTA_MAX_AGE: Duration = Duration::from_secs(60);
/// What never changes may be kept a day.
pub const IMMUTABLE_MAX_AGE: Duration = Duration::from_secs(86_400);

impl Office {
    /// Whoever serves files is told of them now, and again whenever a set is published.
    ///
    /// # Errors
    /// When the published files cannot be read.
    pub fn watch_files(&self, watcher: Watcher) -> Result<(), OfficeError> {
        self.watcher.store(Some(Arc::new(watcher)));
        self.serve_files()
    }

    /// Reads what is published and tells whoever serves it. CRLs whose files are gone, or cannot be
    /// looked at, are left out and told of, and their authority, or its deltas, count as not served:
    /// the schedule then cuts others.
    pub(super) fn serve_files(&self) -> Result<(), OfficeError> {
        if let Err(error) = self.restore_served_catalogue() {
            // What is read next fails too, or the next publication tries again.
            tracing::error!(%error, "the catalogue of what is served is lost, and cannot be made again");
        }
        let mut files = self.ca_files();
        files.extend(self.notice_files());
        let mut served = Served::default();
        let (mut lost, mut gone) = (BTreeMap::new(), BTreeSet::new());
        let unsigned = self.keys_not_here();
        let catalogue = self.served_catalogue()?;
        for row in catalogue.iter().flat_map(|catalogue| &catalogue.crls) {
            match self.current_files(row) {
                Ok(row_files) => files.extend(row_files),
                // No set brings it back: it takes nothing away from what other keys signed.
                Err(_) if unsigned.contains(&key_of(row)) => drop(gone.insert(row.url.clone())),
                Err(error) => {
                    tracing::error!(%error, "a published CRL is gone: a new set will be cut");
                    lost.entry(part(row)).or_insert_with(|| format!("{}: {error}", row.url));
                }
            }
        }
        if let Some(catalogue) = &catalogue {
            let is_there = |row: &&Row| !lost.contains_key(&part(row)) && !gone.contains(&row.url);
            let there: Vec<&Row> = catalogue.crls.iter().filter(is_there).collect();
            served = self.served_of(&there, &unsigned);
            files.push(self.catalogue_file()?);
            self.note_lost(&lost);
        }
        served.missing = self.missing(catalogue.as_ref(), &gone);
        self.note_missing(&served.missing);
        self.served.store(Arc::new(served));
        let sets = self.public_sets()?;
        if let Some(watcher) = self.watcher.load().as_ref() {
            watcher(&Published { files, sets });
        }
        Ok(())
    }

    /// The keys that may still sign by their CA certificates and are not here, or are retired.
    fn keys_not_here(&self) -> BTreeSet<(String, u8)> {
        let all = self.all_live_generations().into_iter();
        let absent = all.filter(|live| live.key.is_err());
        absent.map(|live| (live.authority.clone(), live.issuer.generation.number())).collect()
    }

    /// What is not served and cannot be made again, a line for each key: of those that are retired as the journal
    /// says it, and of those that are lost as the catalogue does, until it is over.
    fn missing(&self, catalogue: Option<&Catalogue>, gone: &BTreeSet<String>) -> Vec<String> {
        let rows: Vec<&Row> = catalogue.iter().flat_map(|catalogue| &catalogue.crls).collect();
        let named: BTreeSet<&str> = rows.iter().map(|row| row.url.as_str()).collect();
        let is_served = |row: &Row| named.contains(row.url.as_str()) && !gone.contains(&row.url);
        let mut missing = self.missing_last(is_served);
        let now = self.clock.now();
        let is_over = |row: &Row| row.next_update.parse::<UnixTime>().is_ok_and(|ends| ends <= now);
        let retired: BTreeSet<(String, u8)> =
            self.last_rows().into_iter().map(|last| (last.authority, last.generation)).collect();
        let mut told = BTreeSet::new();
        for row in rows.iter().filter(|row| gone.contains(&row.url) && row.kind != CrlKind::Delta) {
            if retired.contains(&key_of(row)) || is_over(row) || !told.insert(key_of(row)) {
                continue;
            }
            missing.push(format!(
                "{} is not served: its file is missing, or not the one that was published, and the key of {}, \
                 generation {}, is not here to sign another: put {} back from a backup, or the key",
                row.url,
                row.authority,
                row.generation,
                self.set_directory(&row.set).display()
            ));
        }
        missing
    }

    /// Logs what is missing since a moment ago: it stands as a warning until it is there again.
    fn note_missing(&self, missing: &[String]) {
        let before = self.served.load();
        for what in missing.iter().filter(|what| !before.missing.contains(what)) {
            tracing::error!(what, "CRLs that cannot be made again are missing");
        }
    }

    /// Published CRLs that are not served are told of until all are.
    fn note_lost(&self, lost: &BTreeMap<(&str, bool), String>) {
        const KEY: &str = "lost CRLs";
        let mut alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        match lost.values().next() {
            None => drop(alarms.remove(KEY)),
            Some(first) => drop(alarms.insert(KEY, format!("a published CRL is not served: {first}"))),
        }
    }

    /// The sets on disk: each is read once.
    pub(super) fn public_sets(&self) -> Result<Vec<Arc<PublicSet>>, OfficeError> {
        let names = self.sets()?;
        let mut known = self.public_sets.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|name, _| names.contains(name));
        for name in names {
            if known.contains_key(&name) {
                continue;
            }
            match self.read_set(&name) {
                Ok(set) => drop(known.insert(name, Arc::new(set))),
                Err(error) => tracing::warn!(set = name, %error, "a CRL set that is kept cannot be read"),
            }
        }
        Ok(known.values().cloned().collect())
    }

    fn read_set(&self, name: &str) -> Result<PublicSet, OfficeError> {
        let missing = || OfficeError::NoSet(name.to_owned());
        let catalogue = self.set_catalogue(name)?.ok_or_else(missing)?;
        let last_modified = catalogue.plan().ok_or_else(missing)?.this_update;
        let directory = self.set_directory(name);
        let mut rows = Vec::new();
        for row in &catalogue.crls {
            rows.extend(public_rows(row).ok_or_else(missing)?);
        }
        for (file, content_type) in [(CATALOGUE, JSON_TYPE), (CATALOGUE_SIGNATURE, SIGNATURE_TYPE)] {
            // None where every key is compromised.
            let Some(octets) = self.disk.read(&directory.join(file))? else { continue };
            let (tag, len) = (sha256(&octets), u64::try_from(octets.len()).unwrap_or(u64::MAX));
            let path = file.to_owned();
            rows.push(PublicRow { path, content_type, tag, len, gzip: None, zstd: None, expires: None });
        }
        Ok(PublicSet { name: name.to_owned(), directory, last_modified, rows })
    }

    /// What is served of each authority that has lost nothing. CRLs by a key that is `unsigned` count where the
    /// authority has no other: else they would hide that others are due.
    fn served_of(&self, there: &[&Row], unsigned: &BTreeSet<(String, u8)>) -> Served {
        let mut served = Served::default();
        let live = self.all_live_generations();
        let signing: BTreeSet<&str> =
            live.iter().filter(|live| live.key.is_ok()).map(|live| live.authority.as_str()).collect();
        let counts =
            |row: &&&Row| !signing.contains(row.authority.as_str()) || !unsigned.contains(&key_of(row));
        for row in there.iter().filter(counts) {
            // Nobody is answered for it, and nothing is cut for it; its file is served, and check tells.
            let Some(authority) = self.profile.authority_named(&row.authority) else { continue };
            if row.kind == CrlKind::Delta {
                served.deltas.insert(authority.id);
                continue;
            }
            // The newest: CRLs of a key that is not here any more stay behind.
            let known = served.sets.get(&authority.id).map(|set| set.number);
            if known < Some(row.number)
                && let Some(set) = self.own_catalogue(row)
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
        served
    }

    /// The catalogue of the set that a row is of. One that cannot be read is told of, and nobody is served
    /// from it: the schedule then cuts another.
    fn own_catalogue(&self, row: &Row) -> Option<Catalogue> {
        let found = self.set_catalogue(&row.set);
        let told = found.inspect_err(|error| tracing::error!(%error, "a set's own catalogue is damaged"));
        told.ok().flatten()
    }

    /// A CRL under the address that always shows the current one, as DER and as PEM.
    fn current_files(&self, row: &Row) -> Result<[PublicFile; 2], OfficeError> {
        let damaged = || OfficeError::Damaged(format!("the catalogue's row of {} is damaged", row.url));
        let rows = public_rows(row).ok_or_else(damaged)?;
        let directory = self.set_directory(&row.set);
        let last_modified = row.this_update.parse().map_err(|_| damaged())?;
        let max_age = if row.kind == CrlKind::Delta { DELTA_MAX_AGE } else { CRL_MAX_AGE };
        for one in &rows {
            let path = directory.join(&one.path);
            if self.disk.len_of(&path)? != Some(one.len) {
                return Err(OfficeError::Damaged(format!(
                    "{} is not the file that was published",
                    path.display()
                )));
            }
        }
        Ok(rows.map(|one| {
            let PublicRow { path, content_type, tag, len, gzip, zstd, expires } = one;
            let stored = StoredFile { path: directory.join(&path), len, gzip, zstd };
            PublicFile {
                path: format!("/crl/{path}"),
                content: PublicContent::File(stored),
                content_type,
                tag,
                last_modified,
                expires,
                max_age,
                immutable: false,
            }
        }))
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

    /// What relying parties are told of keys that are compromised: it must reach them soon.
    fn notice_files(&self) -> Vec<PublicFile> {
        let file = |path: String, content_type, octets: Vec<u8>, last_modified| PublicFile {
            path,
            tag: sha256(&octets),
            content: PublicContent::Memory(octets),
            content_type,
            last_modified,
            expires: None,
            max_age: CATALOGUE_MAX_AGE,
            immutable: false,
        };
        let mut files = Vec::new();
        if let Some(issuer) = self.notices.certificate() {
            let pem = pem::encode(&pem::Pem::new("CERTIFICATE", issuer.certificate.as_slice())).into_bytes();
            files.push(file("/ca/notice.pem".to_owned(), PEM_TYPE, pem, issuer.not_before));
        }
        for (authority, generation, notice) in self.notices() {
            let address = self.notice_address(authority, generation);
            let stem = address.trim_end_matches(".json");
            let signatures = [(".p7s", &notice.signature), (".successor.p7s", &notice.by_successor)];
            for (ending, signature) in signatures {
                let path = format!("{stem}{ending}");
                let signed = signature.clone();
                files.extend(signed.map(|octets| file(path, SIGNATURE_TYPE, octets, notice.made_at)));
            }
            files.push(file(address.clone(), JSON_TYPE, notice.json.clone(), notice.made_at));
        }
        files
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

/// The key that signed a CRL.
fn key_of(row: &Row) -> (String, u8) {
    (row.authority.clone(), row.generation)
}

/// What of its authority a CRL belongs to: its deltas, or all else.
fn part(row: &Row) -> (&str, bool) {
    (&row.authority, row.kind == CrlKind::Delta)
}

/// A CRL of a set, as DER and as PEM; none when its row is damaged.
fn public_rows(row: &Row) -> Option<[PublicRow; 2]> {
    let file = row.url.rsplit('/').next()?;
    let tag: [u8; 32] = HEXLOWER_PERMISSIVE.decode(row.sha256.as_bytes()).ok()?.try_into().ok()?;
    let der = PublicRow {
        path: format!("{}/{}/{file}", row.authority, row.generation),
        content_type: CRL_TYPE,
        tag,
        len: row.bytes,
        gzip: row.stored.gzip,
        zstd: row.stored.zstd,
        expires: Some(row.next_update.parse().ok()?),
    };
    let pem = PublicRow {
        path: format!("{}.pem", der.path.strip_suffix(".crl")?),
        content_type: PEM_TYPE,
        tag: sha256(&[b"PEM of ", tag.as_slice()].concat()),
        len: row.stored.pem,
        gzip: None,
        zstd: None,
        expires: der.expires,
    };
    Some([der, pem])
}

/// What is served: the set of each authority, and each partition's CRL by the key that signed it.
#[derive(Debug, Default)]
pub(super) struct Served {
    pub(super) sets: BTreeMap<AuthorityId, ServedSet>,
    pub(super) partitions: BTreeSet<(AuthorityId, Generation, Partition)>,
    /// The authorities that have deltas.
    pub(super) deltas: BTreeSet<AuthorityId>,
    /// What is not served and cannot be made again, a line each.
    pub(super) missing: Vec<String>,
}
