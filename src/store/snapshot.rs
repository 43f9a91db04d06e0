//! Snapshots: where a start begins, instead of at the first entry.
//!
//! `snapshot/<position, 20 decimal digits>.snapshot`:
//!
//! | field | offset | octets | |
//! |---|---|---|---|
//! | magic | 0 | 4 | `SKSS` |
//! | version | 4 | 4 | 10 |
//! | journal id | 8 | 16 | |
//! | position | 24 | 8 | the last entry that it holds |
//! | head | 32 | 32 | of the frame that ends there |
//! | recorded_at | 64 | 8 | of that entry, seconds since 1970 |
//! | certificates | 72 | 8 | one more than the highest archive place of a certificate that an entry names; 0: none |
//! | comments | 80 | 8 | the same of comments |
//! | facts | 88 | 4 + n | length, octets |
//! | folds | | n | each: length 4, name, length 4, octets, opaque here |
//! | checksum | end | 4 | CRC-32 (IEEE) of all before |
//!
//! `stopped`, the marker of a clean stop; the next start removes it before it writes:
//!
//! | field | offset | octets | |
//! |---|---|---|---|
//! | magic | 0 | 4 | `SKCM` |
//! | version | 4 | 4 | 1 |
//! | journal id | 8 | 16 | |
//! | position | 24 | 8 | last entry, which the projection holds durably |
//! | head | 32 | 32 | of the last frame |
//! | checksum | 64 | 4 | CRC-32 (IEEE) of all before |
//!
//! Numbers are big-endian. Both are put in place whole, by a synced temporary file and a rename.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::Disk;
use super::error::{DiskFault, StoreError};
use super::facts::Facts;
use super::held::Held;
use super::octets::{Octets, put_counted};
use super::options::Fold;
use super::tip::{Named, Tip};
use crate::der::UnixTime;
use crate::record::{Position, WriteError};

const SNAPSHOT_MAGIC: &[u8; 4] = b"SKSS";
const MARKER_MAGIC: &[u8; 4] = b"SKCM";
/// Of snapshots. One of another version counts as absent: the journal is folded from its beginning.
const SNAPSHOT_VERSION: u32 = 10;
/// Of markers.
const MARKER_VERSION: u32 = 1;

/// Snapshots kept: the newest, and one in case it cannot be read.
const SNAPSHOTS_KEPT: usize = 2;

/// What a start begins with.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) tip: Tip,
    /// The octets of each fold, by its name.
    pub(super) folds: BTreeMap<String, Vec<u8>>,
}

/// A snapshot that is there.
#[derive(Debug)]
pub(super) struct FoundSnapshot {
    /// By its name, which is evidence also of one that cannot be read: the journal reached so far.
    pub(super) position: Position,
    /// None when it is of another version, or damaged.
    pub(super) snapshot: Option<Snapshot>,
}

/// What there is of the marker of a clean stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    /// The last stop was none, or there was none before.
    Absent,
    /// It is there, and says nothing: a clean stop is not believed then.
    Unreadable,
    /// The last stop was clean, and left this.
    Held(Held),
}

impl Marker {
    pub(super) const fn held(self) -> Option<Held> {
        match self {
            Self::Held(held) => Some(held),
            Self::Absent | Self::Unreadable => None,
        }
    }
}

impl Snapshot {
    /// Puts it in place and removes the oldest.
    pub(super) fn save(&self, disk: &Disk, dir: &Path) -> Result<(), StoreError> {
        disk.replace(&path(dir, self.tip.position), &self.octets()?)?;
        let positions = list(disk, dir)?;
        for position in positions.iter().rev().skip(SNAPSHOTS_KEPT) {
            disk.remove(&path(dir, *position))?;
        }
        Ok(disk.sync_dir(dir)?)
    }

    /// All that are there, newest first.
    pub(super) fn find_all(disk: &Disk, dir: &Path) -> Result<Vec<FoundSnapshot>, DiskFault> {
        let mut found = Vec::new();
        for position in list(disk, dir)?.into_iter().rev() {
            let snapshot = disk.read(&path(dir, position))?.and_then(|octets| Self::read(&octets));
            found.push(FoundSnapshot { position, snapshot });
        }
        Ok(found)
    }

    /// Hands each fold its part; false, and all of them empty, when one has none here or does not take it.
    pub(super) fn restore(&self, folds: &[Fold]) -> bool {
        let restored = folds.iter().all(|fold| {
            self.folds.get(fold.name).is_some_and(|octets| match (fold.restore)(octets) {
                Ok(()) => true,
                Err(error) => {
                    let (fold, position) = (fold.name, self.tip.position.0);
                    tracing::warn!(error, fold, position, "a snapshot is of no use: the start takes longer");
                    false
                }
            })
        });
        if !restored {
            folds.iter().for_each(|fold| (fold.reset)());
        }
        restored
    }

    fn octets(&self) -> Result<Vec<u8>, WriteError> {
        let mut out = begin(SNAPSHOT_MAGIC, SNAPSHOT_VERSION, &self.tip.held());
        out.extend(self.tip.recorded_at.seconds().to_be_bytes());
        out.extend(self.tip.named.certificates.to_be_bytes());
        out.extend(self.tip.named.comments.to_be_bytes());
        put_counted(&mut out, "snapshot's facts", &self.tip.facts.write()?)?;
        for (name, octets) in &self.folds {
            put_counted(&mut out, "fold's name", name.as_bytes())?;
            put_counted(&mut out, "fold's part of a snapshot", octets)?;
        }
        out.extend(crc32fast::hash(&out).to_be_bytes());
        Ok(out)
    }

    fn read(octets: &[u8]) -> Option<Self> {
        let (held, mut rest) = checked(SNAPSHOT_MAGIC, SNAPSHOT_VERSION, octets)?;
        let recorded_at = UnixTime::from_seconds(rest.array().map(i64::from_be_bytes)?);
        let named = Named { certificates: rest.u64()?, comments: rest.u64()? };
        let facts = Arc::new(Facts::read(rest.counted()?)?);
        let mut folds = BTreeMap::new();
        while !rest.0.is_empty() {
            let name = String::from_utf8(rest.counted()?.to_vec()).ok()?;
            folds.insert(name, rest.counted()?.to_vec());
        }
        let Held { position, head, .. } = held;
        let tip = Tip { position, head, recorded_at, named, changed: position, facts };
        (tip.held() == held).then_some(Self { tip, folds })
    }
}

/// Removes those that cannot be read: what their names say was looked at.
pub(super) fn remove_unreadable(disk: &Disk, dir: &Path, unreadable: &[Position]) -> Result<(), DiskFault> {
    for position in unreadable {
        tracing::warn!(position = position.0, "a snapshot cannot be read: the start took longer");
        disk.remove(&path(dir, *position))?;
    }
    disk.sync_dir(dir)
}

/// Removes every snapshot, durably.
pub(super) fn remove_all(disk: &Disk, dir: &Path) -> Result<(), DiskFault> {
    for position in list(disk, dir)? {
        disk.remove(&path(dir, position))?;
    }
    disk.sync_dir(dir)
}

/// Writes the marker of a clean stop.
pub(super) fn write_marker(disk: &Disk, path: &Path, held: &Held) -> Result<(), DiskFault> {
    let mut octets = begin(MARKER_MAGIC, MARKER_VERSION, held);
    octets.extend(crc32fast::hash(&octets).to_be_bytes());
    disk.replace(path, &octets)
}

pub(super) fn find_marker(disk: &Disk, path: &Path) -> Result<Marker, DiskFault> {
    let Some(octets) = disk.read(path)? else { return Ok(Marker::Absent) };
    Ok(match checked(MARKER_MAGIC, MARKER_VERSION, &octets) {
        Some((held, rest)) if rest.0.is_empty() => Marker::Held(held),
        _ => Marker::Unreadable,
    })
}

pub(super) fn path(dir: &Path, position: Position) -> PathBuf {
    dir.join(format!("{:020}.snapshot", position.0))
}

/// Positions of the snapshots there, rising.
fn list(disk: &Disk, dir: &Path) -> Result<Vec<Position>, DiskFault> {
    let names = disk.list(dir)?;
    Ok(names.iter().filter_map(|name| name.strip_suffix(".snapshot")?.parse().ok()).map(Position).collect())
}

fn begin(magic: &[u8; 4], version: u32, held: &Held) -> Vec<u8> {
    let Held { journal_id, position, head } = held;
    [&magic[..], &version.to_be_bytes(), journal_id, &position.0.to_be_bytes(), head].concat()
}

fn checked<'a>(magic: &[u8; 4], version: u32, octets: &'a [u8]) -> Option<(Held, Octets<'a>)> {
    let (covered, checksum) = octets.split_last_chunk()?;
    if crc32fast::hash(covered) != u32::from_be_bytes(*checksum) {
        return None;
    }
    let mut rest = Octets(covered);
    if rest.take(4)? != magic || rest.u32()? != version {
        return None;
    }
    let held = Held { journal_id: rest.array()?, position: Position(rest.u64()?), head: rest.array()? };
    Some((held, rest))
}
