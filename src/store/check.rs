//! Checking a store without changing it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::Disk;
use super::error::{Damage, DiskFault, OpenError, StoreError};
use super::facts::Facts;
use super::frame::{Head, Magic};
use super::journal::{self, FIRST};
use super::octets::{Octets, offset};
use super::open::{lock, marker_path};
use super::rebuild::fold_all;
use super::rows::Rows;
use super::segments::{Segments, Torn, WalkError};
use super::shared::Tip;
use super::snapshot::{Snapshot, find_marker};
use crate::der::UnixTime;
use crate::record::{Epoch, Event, Position};

/// What a check found, all of it right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// The journal's name.
    pub journal_id: [u8; 16],
    /// Its life.
    pub epoch: Epoch,
    /// The last entry.
    pub position: Position,
    /// Head of the last frame: compare it with the one in a signed CRL catalogue.
    pub head: Head,
    /// When the last entry was recorded.
    pub recorded_at: UnixTime,
    /// Frames of the journal.
    pub frames: u64,
    /// Certificates issued.
    pub issued: u64,
    /// Changes of status.
    pub changes: u64,
    /// Certificates in the archive.
    pub archived: u64,
    /// Of those, the ones no entry names: signed and never handed out.
    pub orphans: u64,
    /// Snapshots that agree with the journal.
    pub snapshots: u64,
    /// True when the marker of a clean stop agrees with the journal.
    pub clean_stop: bool,
    /// What a power loss left of a frame: the next start cuts it.
    pub torn: Option<Torn>,
    /// Rows of the projection that agree with the journal; only a deep check counts them.
    pub rows: Option<u64>,
}

/// What a check found wrong.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A file is not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The store is open; a deep check needs it closed.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Something cannot be read.
    #[error(transparent)]
    Store(StoreError),
    /// A snapshot is not what the journal adds up to.
    #[error("the snapshot at {0} does not agree with the journal: remove it, the one before is used instead")]
    Snapshot(Position),
    /// A snapshot or marker cannot be read.
    #[error("{} cannot be read: remove it; the next start takes longer", .0.display())]
    Unreadable(PathBuf),
    /// The last stop left no marker, so there is no projection to compare.
    #[error("the last stop was not clean: start and stop the service, which rebuilds the projection")]
    NoProjection,
    /// The projection is not what the journal adds up to.
    #[error(
        "a row of the projection does not agree with the journal (key {0:02x?}): remove the projection directory; the next start rebuilds it"
    )]
    Row(Vec<u8>),
}

impl From<StoreError> for CheckError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged(damage) => Self::Damaged(damage),
            other => Self::Store(other),
        }
    }
}

impl From<WalkError> for CheckError {
    fn from(error: WalkError) -> Self {
        StoreError::from(error).into()
    }
}

impl From<DiskFault> for CheckError {
    fn from(fault: DiskFault) -> Self {
        StoreError::from(fault).into()
    }
}

/// Checks every frame, the chain, the positions, every archived certificate, the snapshots and
/// the marker. Reads only. Beside a running service, the frame it is writing may show as torn.
///
/// # Errors
/// [`CheckError`]: the first thing wrong.
pub fn check(dir: &Path) -> Result<CheckReport, CheckError> {
    check_on(&Disk::File, dir)
}

/// As [`check`], and compares the projection with one folded afresh, row by row. sled cannot
/// read without writing, so it is given a copy, in the system's directory for temporary files.
///
/// # Errors
/// [`CheckError`]: the first thing wrong.
pub fn check_deep(dir: &Path) -> Result<CheckReport, CheckError> {
    let _lock = lock(&Disk::File, dir)?;
    let (mut report, tip) = check_with_tip(&Disk::File, dir)?;
    if !report.clean_stop {
        return Err(CheckError::NoProjection);
    }
    let fresh = Rows::memory();
    fold_all(&journal_of(&Disk::File, dir), &fresh, &tip, &mut |_| true)?;
    let copy = std::env::temp_dir().join(format!("sekisho-check-{}-{}", std::process::id(), tip.position));
    let compared = copy_dir(&dir.join("projection"), &copy)
        .map_err(|fault| CheckError::Store(fault.into()))
        .and_then(|()| compare(&fresh, &Rows::sled(&copy)?));
    let _left_behind = std::fs::remove_dir_all(&copy);
    report.rows = Some(compared?);
    Ok(report)
}

/// As [`check`], on any disk.
///
/// # Errors
/// [`CheckError`]: the first thing wrong.
pub fn check_on(disk: &Disk, dir: &Path) -> Result<CheckReport, CheckError> {
    check_with_tip(disk, dir).map(|(report, _)| report)
}

fn check_with_tip(disk: &Disk, dir: &Path) -> Result<(CheckReport, Tip), CheckError> {
    let segments = journal_of(disk, dir);
    let snapshots = Snapshot::find_all(disk, &dir.join("snapshot"))?;
    let marker_path = marker_path(dir);
    let marker = find_marker(disk, &marker_path)?;
    if marker.is_none() && disk.read(&marker_path)?.is_some() {
        return Err(CheckError::Unreadable(marker_path));
    }
    for name in disk.list(&dir.join("snapshot"))? {
        let position = name.strip_suffix(".snapshot").and_then(|name| name.parse().ok()).map(Position);
        if position.is_some_and(|position| !snapshots.iter().any(|found| found.held.position == position)) {
            return Err(CheckError::Unreadable(dir.join("snapshot").join(name)));
        }
    }

    let mut facts = Facts::default();
    let (mut recorded_at, mut issued, mut changes) = (UnixTime::default(), 0, 0);
    let mut places = Vec::new();
    let mut agreeing = Vec::new();
    let end = segments.walk(FIRST, FIRST, None, &mut |frame| {
        if frame.epoch != facts.epoch.0 {
            return Err("a frame belongs to another epoch");
        }
        for numbered in journal::entries_of(frame)? {
            if !numbered.entry.may_follow(recorded_at) {
                return Err("an entry is dated before the one it follows");
            }
            recorded_at = numbered.entry.recorded_at;
            match &numbered.entry.event {
                Event::Issued(certificate) => {
                    issued += 1;
                    places.push(certificate.archive.0);
                }
                Event::Revoked(_) | Event::Released(_) => changes += 1,
                _ => {}
            }
            facts.apply(&numbered).map_err(|error| error.sentence())?;
        }
        let last = Position(frame.first + u64::from(frame.count) - 1);
        for snapshot in snapshots.iter().filter(|snapshot| snapshot.held.position == last) {
            if snapshot.held.head == frame.head && snapshot.facts == facts {
                agreeing.push(last);
            }
        }
        Ok(())
    })?;
    if let Some(other) = snapshots.iter().find(|snapshot| !agreeing.contains(&snapshot.held.position)) {
        return Err(CheckError::Snapshot(other.held.position));
    }
    let clean_stop = match marker {
        Some(held) if held.position.0 + 1 != end.next || held.head != end.head => {
            let (path, place) = end.last.unwrap_or_else(|| (segments.path(FIRST), 0));
            let what = "the marker of the last stop names another end";
            return Err(segments.damage(&path, place, what, end.next).into());
        }
        marker => marker.is_some(),
    };
    let archived = check_archive(disk, dir, &mut places)?;
    let tip = Tip {
        position: Position(end.next - 1),
        head: end.head,
        recorded_at,
        archived: places.last().map_or(0, |place| place + 1),
        changed: Position(end.next - 1),
        facts: Arc::new(facts),
    };
    let report = CheckReport {
        journal_id: tip.facts.journal_id,
        epoch: tip.facts.epoch,
        position: tip.position,
        head: tip.head,
        recorded_at,
        frames: end.frames,
        issued,
        changes,
        archived,
        orphans: archived - offset(places.len()),
        snapshots: offset(agreeing.len()),
        clean_stop,
        torn: end.torn,
        rows: None,
    };
    Ok((report, tip))
}

fn journal_of(disk: &Disk, dir: &Path) -> Segments {
    Segments { disk: disk.clone(), dir: dir.join("journal"), magic: Magic::Journal }
}

/// Reads every archived certificate; all `named` places must be among them. Sorts them, and
/// leaves each once. Returns how many certificates there are.
fn check_archive(disk: &Disk, dir: &Path, named: &mut Vec<u64>) -> Result<u64, CheckError> {
    named.sort_unstable();
    named.dedup();
    let segments = Segments { disk: disk.clone(), dir: dir.join("archive"), magic: Magic::Archive };
    let mut wanted = named.iter().copied().peekable();
    let mut archived = 0;
    let end = segments.walk(0, 0, None, &mut |frame| {
        let mut rest = Octets(frame.payload);
        while !rest.0.is_empty() {
            let before = frame.octets() - rest.0.len();
            let place = frame.first + offset(before);
            let mut record = || {
                let (len, checksum) = (rest.u32()?, rest.u32()?);
                Some((rest.take(usize::try_from(len).ok()?)?, checksum))
            };
            let (octets, checksum) = record().ok_or("an archived certificate is cut short")?;
            if crc32fast::hash(octets) != checksum {
                return Err("an archived certificate does not match its checksum");
            }
            archived += 1;
            if wanted.peek().is_some_and(|wanted| *wanted < place) {
                return Err("an entry names a place where no certificate begins");
            }
            wanted.next_if_eq(&place);
        }
        Ok(())
    })?;
    if wanted.next().is_some() {
        let (path, place) = end.last.unwrap_or_else(|| (segments.path(0), 0));
        let what = "it ends before a certificate that the journal names";
        return Err(segments.damage(&path, place, what, end.next).into());
    }
    Ok(archived)
}

/// Compares two projections; how many rows they have.
fn compare(fresh: &Rows, kept: &Rows) -> Result<u64, CheckError> {
    let mut rows = 0_u64;
    let mut differs = None;
    for (one, other) in [(fresh, kept), (kept, fresh)] {
        rows = 0;
        one.each(&[], &mut |key, row| {
            rows += 1;
            if differs.is_none() && other.find(key)?.as_deref() != Some(row) {
                differs = Some(key.to_vec());
            }
            Ok(())
        })?;
    }
    match differs {
        Some(key) => Err(CheckError::Row(key)),
        None => Ok(rows),
    }
}

fn copy_dir(from: &Path, to: &Path) -> Result<(), DiskFault> {
    std::fs::create_dir_all(to).map_err(DiskFault::at("create", to))?;
    for entry in std::fs::read_dir(from).map_err(DiskFault::at("list", from))? {
        let path = entry.map_err(DiskFault::at("list", from))?.path();
        let Some(name) = path.file_name() else { continue };
        if path.is_dir() {
            copy_dir(&path, &to.join(name))?;
        } else {
            std::fs::copy(&path, to.join(name)).map_err(DiskFault::at("copy", &path))?;
        }
    }
    Ok(())
}
