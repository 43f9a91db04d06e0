//! Snapshots: where a start begins, instead of at the first entry.
//!
//! `snapshot/<position, 20 decimal digits>.snapshot`:
//!
//! | field | offset | octets | |
//! |---|---|---|---|
//! | magic | 0 | 4 | `SKSS` |
//! | version | 4 | 4 | 5 |
//! | journal id | 8 | 16 | |
//! | position | 24 | 8 | the last entry that all of it holds; single slots may be newer |
//! | head | 32 | 32 | of the frame that ends there |
//! | recorded_at | 64 | 8 | of that entry, seconds since 1970 |
//! | archived | 72 | 8 | one more than the highest archive place an entry names; 0: none |
//! | facts | 80 | 4 + n | length, octets |
//! | listener | | 4 + n | length, octets: opaque here |
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

use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::error::{DiskFault, StoreError};
use super::facts::Facts;
use super::octets::{Octets, put_counted};
use super::overlay::Held;
use crate::der::UnixTime;
use crate::record::{Position, WriteError};

const SNAPSHOT_MAGIC: &[u8; 4] = b"SKSS";
const MARKER_MAGIC: &[u8; 4] = b"SKCM";
/// Of snapshots. One of another version counts as absent: the journal is folded from its beginning.
const SNAPSHOT_VERSION: u32 = 5;
/// Of markers.
const MARKER_VERSION: u32 = 1;

/// Snapshots kept: the newest, and one in case it cannot be read.
const SNAPSHOTS_KEPT: usize = 2;

/// What a start begins with.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) held: Held,
    pub(super) recorded_at: UnixTime,
    pub(super) archived: u64,
    pub(super) facts: Facts,
    pub(super) listener: Vec<u8>,
}

impl Snapshot {
    /// Puts it in place and removes the oldest.
    pub(super) fn save(&self, disk: &Disk, dir: &Path) -> Result<(), StoreError> {
        disk.replace(&path(dir, self.held.position), &self.octets()?)?;
        let positions = list(disk, dir)?;
        for position in positions.iter().rev().skip(SNAPSHOTS_KEPT) {
            disk.remove(&path(dir, *position))?;
        }
        Ok(disk.sync_dir(dir)?)
    }

    /// Those that can be read, newest first.
    pub(super) fn find_all(disk: &Disk, dir: &Path) -> Result<Vec<Self>, DiskFault> {
        let mut found = Vec::new();
        for position in list(disk, dir)?.into_iter().rev() {
            found.extend(disk.read(&path(dir, position))?.and_then(|octets| Self::read(&octets)));
        }
        Ok(found)
    }

    fn octets(&self) -> Result<Vec<u8>, WriteError> {
        let mut out = begin(SNAPSHOT_MAGIC, SNAPSHOT_VERSION, &self.held);
        out.extend(self.recorded_at.seconds().to_be_bytes());
        out.extend(self.archived.to_be_bytes());
        put_counted(&mut out, "snapshot's facts", &self.facts.write()?)?;
        put_counted(&mut out, "snapshot's status index", &self.listener)?;
        out.extend(crc32fast::hash(&out).to_be_bytes());
        Ok(out)
    }

    fn read(octets: &[u8]) -> Option<Self> {
        let (held, mut rest) = checked(SNAPSHOT_MAGIC, SNAPSHOT_VERSION, octets)?;
        let recorded_at = UnixTime::from_seconds(rest.array().map(i64::from_be_bytes)?);
        let archived = rest.u64()?;
        let facts = Facts::read(rest.counted()?)?;
        let listener = rest.counted()?.to_vec();
        rest.0.is_empty().then_some(Self { held, recorded_at, archived, facts, listener })
    }
}

/// Writes the marker of a clean stop.
pub(super) fn write_marker(disk: &Disk, path: &Path, held: &Held) -> Result<(), DiskFault> {
    let mut octets = begin(MARKER_MAGIC, MARKER_VERSION, held);
    octets.extend(crc32fast::hash(&octets).to_be_bytes());
    disk.replace(path, &octets)
}

/// The marker, when there is one that can be read.
pub(super) fn find_marker(disk: &Disk, path: &Path) -> Result<Option<Held>, DiskFault> {
    Ok(disk.read(path)?.and_then(|octets| {
        let (held, rest) = checked(MARKER_MAGIC, MARKER_VERSION, &octets)?;
        rest.0.is_empty().then_some(held)
    }))
}

fn path(dir: &Path, position: Position) -> PathBuf {
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
