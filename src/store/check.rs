//! Checking a store without changing it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::acknowledged;
use super::archive::{Beside, parts};
use super::disk::Disk;
use super::ending::{self, Cut};
use super::error::{Damage, DiskFault, OpenError, StoreError};
use super::facts::{CrlSet, Facts};
use super::frame::{Frame, Head, Magic};
use super::journal::{FIRST, Journal};
use super::octets::offset;
use super::open::{lock, marker_path};
use super::options::Fold;
use super::rebuild::{BATCH_ENTRIES, Folding};
use super::rows::Rows;
use super::segments::{Segments, Torn, WalkError};
use super::snapshot::{self, Marker, Snapshot, find_marker};
use super::tip::Tip;
use crate::der::UnixTime;
use crate::pki::HashAlgorithm;
use crate::record::{ArchivePlace, Breach, Epoch, Event, Issued, Numbered, Position};

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
    /// Certificates and comments in the archive.
    pub archived: u64,
    /// Of those, the ones no entry names: signed and never handed out, or said of what was refused.
    pub orphans: u64,
    /// Entries whose comment is another than they say; of those with one comment the first, rising.
    pub comments_differing: Vec<Position>,
    /// Entries in whose comment's place the archive has nothing; likewise.
    pub comments_lost: Vec<Position>,
    /// Snapshots that agree with the journal.
    pub snapshots: u64,
    /// True when the marker of a clean stop agrees with the journal.
    pub clean_stop: bool,
    /// Entries that break the rule of succession; only a check that folds the records finds them.
    pub breaches: Vec<Breach>,
    /// The CRL sets that stand: the last complete one of each authority, and its last deltas.
    pub published: Vec<CrlSet>,
    /// The facts at the last entry.
    pub facts: Arc<Facts>,
    /// What the archive holds of each CA certificate.
    pub authorities: Vec<(Issued, Vec<u8>)>,
    /// What a power loss left of a frame: the next start cuts it.
    pub torn: Option<Torn>,
    /// What was cut off the journal's end, may have been acknowledged, and nobody has seen to.
    pub unseen: Vec<Cut>,
    /// Rows of the projection that agree with the journal; only a deep check counts them.
    pub rows: Option<u64>,
}

/// What a check found wrong.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A file is not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The store is open, and a deep check needs it closed; or the journal does not end where it should.
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
/// `folds` are empty, hear every entry from the first, and are compared with what each snapshot holds of
/// them; then they are shown the records, folded afresh, to compare themselves.
///
/// # Errors
/// [`CheckError`]: the first thing wrong.
pub fn check(dir: &Path, folds: &[Fold]) -> Result<CheckReport, CheckError> {
    check_on(&Disk::File, dir, folds)
}

/// As [`check`], and compares the projection with one folded afresh, row by row. sled cannot
/// read without writing, so it is given a copy, in the system's directory for temporary files.
///
/// # Errors
/// [`CheckError`]: the first thing wrong.
pub fn check_deep(dir: &Path, folds: &[Fold]) -> Result<CheckReport, CheckError> {
    let _lock = lock(&Disk::File, dir)?;
    let Checked { mut report, tip, records } = check_all(&Disk::File, dir, folds, true)?;
    if !report.clean_stop {
        return Err(CheckError::NoProjection);
    }
    let copy = std::env::temp_dir().join(format!("sekisho-check-{}-{}", std::process::id(), tip.position));
    let compared = copy_dir(&dir.join("projection"), &copy)
        .map_err(|fault| CheckError::Store(fault.into()))
        .and_then(|()| compare(&records, &Rows::sled(&copy, tip.position)?));
    let _left_behind = std::fs::remove_dir_all(&copy);
    report.rows = Some(compared?);
    Ok(report)
}

/// As [`check`], on any disk.
///
/// # Errors
/// [`CheckError`]: the first thing wrong.
pub fn check_on(disk: &Disk, dir: &Path, folds: &[Fold]) -> Result<CheckReport, CheckError> {
    check_all(disk, dir, folds, !folds.is_empty()).map(|checked| checked.report)
}

/// What a check found, and the records that it folded if they were wanted.
struct Checked {
    report: CheckReport,
    tip: Tip,
    records: Rows,
}

fn check_all(disk: &Disk, dir: &Path, folds: &[Fold], with_records: bool) -> Result<Checked, CheckError> {
    // Before the journal: a running service writes it behind it.
    let found = acknowledged::find(disk, dir)?;
    let journal = Journal::new(disk, &dir.join("journal"));
    let marker_path = marker_path(dir);
    let marker = match find_marker(disk, &marker_path)? {
        Marker::Unreadable => return Err(CheckError::Unreadable(marker_path)),
        marker => marker.held(),
    };
    let mut walk = Walk::new(find_snapshots(disk, dir)?, folds, with_records);
    let walked = journal.read_from(Position(FIRST), None, &mut |frame| walk.take(frame));
    if let Some(error) = walk.failed.take() {
        return Err(error.into());
    }
    let end = walked?;
    ending::judge(&journal, &end, dir, &found, acknowledged::boot_id(disk))?;
    walk.check_snapshots()?;
    let clean_stop = match marker {
        Some(held) if held.position.0 + 1 != end.next || held.head != end.head => {
            return Err(journal.damage_at(&end, "the marker of the last stop names another end").into());
        }
        marker => marker.is_some(),
    };
    let Walk { tip, issued, changes, mut places, comments, agreeing, mut records, .. } = walk;
    records.write(&tip.held())?;
    if with_records {
        folds.iter().for_each(|fold| (fold.rebuilt)(&records.reading()));
    }
    let Archived { records: archived, named, authorities, beside, comments_differing, comments_lost } =
        check_archive(disk, dir, &mut places, comments, &tip.facts)?;
    ending::judge_archive(&journal, &end, dir, tip.facts.epoch, &beside)?;
    let report = CheckReport {
        journal_id: tip.facts.journal_id,
        epoch: tip.facts.epoch,
        position: tip.position,
        head: tip.head,
        recorded_at: tip.recorded_at,
        frames: end.frames,
        issued,
        changes,
        archived,
        orphans: archived.saturating_sub(named),
        comments_differing,
        comments_lost,
        snapshots: offset(agreeing.len()),
        clean_stop,
        breaches: std::mem::take(&mut records.breaches),
        published: published(&tip),
        facts: Arc::clone(&tip.facts),
        authorities,
        torn: end.torn,
        unseen: ending::unseen(disk, dir)?,
        rows: None,
    };
    Ok(Checked { report, tip, records: records.rows })
}

/// The CRL sets that stand, each once, however many authorities it is of.
fn published(tip: &Tip) -> Vec<CrlSet> {
    let sets = tip.facts.crl_sets.values().flat_map(|sets| {
        // Deltas of before a complete set are served no more, and may be gone.
        let of_now = |deltas: &CrlSet| sets.published.is_none_or(|set| set.position < deltas.position);
        [sets.published, sets.published_deltas.filter(of_now)]
    });
    let by_position: BTreeMap<Position, CrlSet> = sets.flatten().map(|set| (set.position, set)).collect();
    by_position.into_values().collect()
}

/// The snapshots there; one that cannot be read is wrong.
fn find_snapshots(disk: &Disk, dir: &Path) -> Result<Vec<Snapshot>, CheckError> {
    let dir = dir.join("snapshot");
    let found = Snapshot::find_all(disk, &dir)?.into_iter();
    let unreadable = |position| CheckError::Unreadable(snapshot::path(&dir, position));
    found.map(|found| found.snapshot.ok_or_else(|| unreadable(found.position))).collect()
}

/// The journal, read from its first entry on, and what is held against it on the way.
struct Walk<'a> {
    tip: Tip,
    issued: u64,
    changes: u64,
    /// Places of certificates in the archive that entries name.
    places: Vec<u64>,
    /// Those of comments.
    comments: Comments,
    snapshots: Vec<Snapshot>,
    /// Of those, the ones that agree.
    agreeing: Vec<Position>,
    folds: &'a [Fold],
    with_records: bool,
    records: Folding,
    failed: Option<StoreError>,
}

impl<'a> Walk<'a> {
    fn new(snapshots: Vec<Snapshot>, folds: &'a [Fold], with_records: bool) -> Self {
        Self {
            tip: Tip::default(),
            issued: 0,
            changes: 0,
            places: Vec::new(),
            comments: BTreeMap::new(),
            snapshots,
            agreeing: Vec::new(),
            folds,
            with_records,
            records: Folding::new(Rows::memory(), BATCH_ENTRIES),
            failed: None,
        }
    }

    fn take(&mut self, frame: &Frame<'_>) -> Result<(), &'static str> {
        let entries = self.tip.fold_frame(frame)?;
        for numbered in &entries {
            if let Some(comment) = numbered.entry.origin.comment {
                self.comments.entry(comment.archive).or_insert((comment.sha256, numbered.position));
            }
            match &numbered.entry.event {
                Event::Issued(certificate) => {
                    self.issued += 1;
                    self.places.push(certificate.archive.0);
                }
                Event::Revoked(_) | Event::Released(_) => self.changes += 1,
                _ => {}
            }
        }
        let tell = |fold: &Fold| (fold.applied)(&entries).map_err(|error| error.sentence());
        self.folds.iter().try_for_each(tell)?;
        if self.with_records {
            self.fold_records(&entries).map_err(|error| {
                self.failed = Some(error);
                "the records cannot be folded"
            })?;
        }
        let position = self.tip.position;
        for snapshot in self.snapshots.iter().filter(|snapshot| snapshot.tip.position == position) {
            // Empty: the fold was doubted when it was written, and a start does not take it up.
            let part = |fold: &Fold| {
                let part = snapshot.folds.get(fold.name);
                part.is_none_or(|part| part.is_empty() || *part == (fold.snapshot)())
            };
            let same_tip = (snapshot.tip.held(), &snapshot.tip.facts) == (self.tip.held(), &self.tip.facts);
            if same_tip && self.folds.iter().all(part) {
                self.agreeing.push(position);
            }
        }
        Ok(())
    }

    fn fold_records(&mut self, entries: &[Numbered]) -> Result<(), StoreError> {
        entries.iter().try_for_each(|numbered| self.records.fold(numbered))?;
        if self.records.is_full() { self.records.write(&self.tip.held()) } else { Ok(()) }
    }

    fn check_snapshots(&self) -> Result<(), CheckError> {
        let mut others = self.snapshots.iter().filter(|one| !self.agreeing.contains(&one.tip.position));
        others.next().map_or(Ok(()), |other| Err(CheckError::Snapshot(other.tip.position)))
    }
}

/// Comments by their places: what each was, and the first entry that it is on.
type Comments = BTreeMap<ArchivePlace, ([u8; 32], Position)>;

/// What an archive holds.
#[derive(Default)]
struct Archived {
    records: u64,
    /// Of those, the ones that entries name.
    named: u64,
    authorities: Vec<(Issued, Vec<u8>)>,
    /// What its frames say of the journal.
    beside: Vec<Beside>,
    comments_differing: Vec<Position>,
    comments_lost: Vec<Position>,
}

impl Archived {
    /// Holds a record against the comment that an entry says stands there.
    fn take_comment(&mut self, octets: &[u8], (sha256, position): ([u8; 32], Position)) {
        self.named += 1;
        if HashAlgorithm::Sha256.digest(octets) != sha256 {
            self.comments_differing.push(position);
        }
    }

    /// `missing` are comments that were not met.
    fn finish(&mut self, missing: Comments) {
        self.comments_lost = missing.into_values().map(|(_, position)| position).collect();
        self.comments_lost.sort_unstable();
        self.comments_differing.sort_unstable();
    }
}

/// Reads everything archived; all `named` places must be among it. Sorts them, and leaves each once. Keeps
/// the certificates of the CAs in `facts`, and holds the comments against their entries: one that is missing is
/// told, and no damage.
fn check_archive(
    disk: &Disk,
    dir: &Path,
    named: &mut Vec<u64>,
    mut comments: Comments,
    facts: &Facts,
) -> Result<Archived, CheckError> {
    named.sort_unstable();
    named.dedup();
    let issued = facts.issuers.iter().map(|record| &record.issued);
    let authorities = issued.filter(|issued| issued.is_ca_certificate());
    let authorities: BTreeMap<ArchivePlace, &Issued> =
        authorities.map(|issued| (issued.archive, issued)).collect();
    let segments = Segments { disk: disk.clone(), dir: dir.join("archive"), magic: Magic::Archive };
    let mut wanted = named.iter().copied().peekable();
    let mut found = Archived::default();
    let end = segments.walk(0, 0, None, &mut |frame| {
        let (said, records) = parts(frame)?;
        found.beside.extend(said);
        for (ArchivePlace(place), octets) in records {
            found.records += 1;
            if let Some(said) = comments.remove(&ArchivePlace(place)) {
                found.take_comment(octets, said);
            }
            if let Some(issued) = authorities.get(&ArchivePlace(place)) {
                found.authorities.push(((*issued).clone(), octets.to_vec()));
            }
            if wanted.peek().is_some_and(|wanted| *wanted < place) {
                return Err("an entry names a place where nothing begins");
            }
            found.named += u64::from(wanted.next_if_eq(&place).is_some());
        }
        Ok(())
    })?;
    if wanted.next().is_some() {
        let (path, place) = end.last.unwrap_or_else(|| (segments.path(0), 0));
        let what = "it ends before a certificate that the journal names";
        return Err(segments.damage(&path, place, what, end.next).into());
    }
    found.finish(comments);
    Ok(found)
}

/// Compares two projections; how many rows they have.
fn compare(fresh: &Rows, kept: &Rows) -> Result<u64, CheckError> {
    let mut rows = 0_u64;
    let mut differs = None;
    for (one, other) in [(fresh, kept), (kept, fresh)] {
        rows = 0;
        for row in one.iter(&[]) {
            let (key, row) = row?;
            rows += 1;
            if differs.is_none() && other.find(&key)? != Some(row) {
                differs = Some(key.to_vec());
            }
        }
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
