//! Start and stop of the committer.
//!
//! Files of a store's directory:
//!
//! | name | what it is | losing it costs |
//! |---|---|---|
//! | `lock` | empty; locked by the process that writes | nothing |
//! | `journal/` | the truth: see [`super::frame`], [`super::segments`] | everything |
//! | `archive/` | certificates: see [`super::archive`] | the certificates; statuses go on |
//! | `projection/` | sled: see [`super::rows`] | the time to fold the journal |
//! | `snapshot/`, `stopped` | see [`super::snapshot`] | the time to fold the journal |

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};

use super::archive::{ArchiveReader, ArchiveWriter};
use super::committer::Committer;
use super::disk::{Disk, TEMPORARY};
use super::error::{Damage, DiskFault, OpenError, StoreError};
use super::facts::Facts;
use super::frame::{self, Head, Magic, NO_HEAD};
use super::journal::{self, FIRST};
use super::options::{Listener, Options};
use super::overlay::Held;
use super::rebuild::Rebuild;
use super::rows::{Rows, RowsKind};
use super::segments::{End, Segments, Tail, Torn};
use super::shared::{Projection, Shared, Tip};
use super::snapshot::{Snapshot, find_marker};
use crate::der::UnixTime;
use crate::record::{Entry, Event, Numbered, Origin, Position};

/// Entries that are folded into a projection before the store is open: they take no longer
/// than what else a start does.
const REBUILD_AT_ONCE: u64 = 10_000;

/// How long a close waits for scans that still read the projection.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The journal's name.
    pub journal_id: [u8; 16],
    /// The last entry.
    pub position: Position,
    /// Head of the last frame.
    pub head: Head,
    /// True when the last stop left its marker: nothing had to be rebuilt.
    pub clean_stop: bool,
    /// A frame that was being written when the power failed: nobody was told of it, it was cut.
    pub cut: Option<Torn>,
    /// Entries folded since the snapshot.
    pub replayed: u64,
}

/// A store is open by this file, until it is dropped.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "holds the lock")] Option<File>);

/// What the fold of the journal's end is at.
struct Fold {
    facts: Facts,
    recorded_at: UnixTime,
    archived: u64,
    changed: Position,
    replayed: u64,
}

impl Committer {
    /// Opens a store: reads from the newest snapshot on, cuts a torn frame, makes sure that
    /// what was read is durable, and tells the listener. Then [`Self::rebuild`] if need be.
    ///
    /// # Errors
    /// [`OpenError`]; nothing has been modified then, unless the disk refused it.
    pub fn open(options: Options, listener: Listener) -> Result<(Self, Opened), OpenError> {
        let disk = options.disk.clone();
        let dir = options.dir.clone();
        let lock = lock(&disk, &dir)?;
        let segments = Segments { disk: disk.clone(), dir: dir.join("journal"), magic: Magic::Journal };
        for dir in [&dir, &segments.dir, &dir.join("archive"), &dir.join("snapshot")] {
            disk.create_dir(dir)?;
        }
        let marker = find_marker(&disk, &marker_path(&dir))?;
        let snapshots = Snapshot::find_all(&disk, &dir.join("snapshot"))?;
        let newest = snapshots.iter().map(|snapshot| snapshot.held.position).max();
        let named =
            newest.max(marker.map(|held| held.position)).unwrap_or_default().max(options.known_position);
        let snapshot = snapshots.into_iter().find(|snapshot| (listener.restore)(&snapshot.listener).is_ok());

        let snapshot_at = snapshot.as_ref().map_or(Position(0), |snapshot| snapshot.held.position);
        let (mut end, fold) = fold_tail(&segments, snapshot, &listener)?;
        check_named(&segments, &end, &fold, marker.as_ref(), named)?;
        let archive = ArchiveReader::new(&disk, &dir.join("archive"));
        if end.next == FIRST && !archive.is_empty()? {
            let what = "it is missing, and the archive is not";
            return Err(segments.damage(&segments.path(FIRST), 0, what, FIRST).into());
        }

        let clean_stop = marker.is_some_and(|held| held.position.0 + 1 == end.next && held.head == end.head);
        let cut = end.torn.clone();
        if clean_stop {
            // The marker was written after everything it names.
            end.last_frame = None;
        }
        let tail = Tail::resume(segments.clone(), &end, options.journal_segment_octets)?;
        tidy(&disk, &dir)?;
        let tip = Tip {
            position: Position(end.next - 1),
            head: end.head,
            recorded_at: fold.recorded_at,
            archived: fold.archived,
            changed: fold.changed,
            facts: Arc::new(fold.facts),
        };
        let mut committer = Self {
            facts: Arc::clone(&tip.facts),
            recorded_at: tip.recorded_at,
            position: tip.position,
            head: tip.head,
            archived: tip.archived,
            changed: tip.changed,
            shared: Arc::new(Shared::new(segments, archive, tip)),
            listener,
            tail,
            snapshot_at,
            rebuild: None,
            lock,
            options,
        };
        if committer.position == Position(0) {
            committer.begin_journal()?;
        }
        committer.open_rows(clean_stop);
        let opened = Opened {
            journal_id: committer.facts.journal_id,
            position: committer.position,
            head: committer.head,
            clean_stop,
            cut,
            replayed: fold.replayed,
        };
        Ok((committer, opened))
    }

    /// Rebuilds the projection, when it has to be. Meanwhile submissions are answered with
    /// [`NotReady`](super::NotReady).
    pub fn rebuild(&mut self) {
        if let Some(rebuild) = self.rebuild.take() {
            rebuild.run();
        }
    }

    /// The archive's writing end; once for each committer. A fault of the archive stops
    /// issuing, never revoking: it is told by every append and by `ready`.
    #[must_use]
    pub fn open_archive(&self) -> ArchiveWriter {
        let opened = self.shared.archive.open(self.archived, self.options.archive_segment_octets);
        let archive = opened.map_err(|error| self.shared.set_archive_fault(error)).ok();
        ArchiveWriter { shared: self.shared(), archive }
    }

    /// The first entry of a new journal.
    fn begin_journal(&mut self) -> Result<(), OpenError> {
        let mut journal_id = [0; 16];
        let random = SystemRandom::new().fill(&mut journal_id);
        random.map_err(|_| {
            DiskFault::at("draw randomness for", &self.options.dir)(std::io::ErrorKind::Other.into())
        })?;
        let recorded_at = self.options.clock.now();
        let entry =
            Entry { recorded_at, origin: Origin::service(), event: Event::JournalBegun { journal_id } };
        let mut payload = Vec::new();
        let fault = DiskFault::at("write the first entry into", &self.options.dir);
        entry.write(&mut payload).map_err(|error| fault(std::io::Error::other(error)))?;
        let epoch = self.facts.epoch.0;
        let (octets, head) = frame::write(Magic::Journal, epoch, FIRST, 1, &NO_HEAD, &payload);
        self.tail.append(FIRST, &octets)?;
        let numbered = Numbered { position: Position(FIRST), entry };
        self.head = head;
        self.note(&numbered);
        Arc::make_mut(&mut self.facts).journal_id = journal_id;
        self.tell(&[numbered]);
        self.shared.advance(self.tip(), Arc::default());
        Ok(())
    }

    /// Takes the projection up where a clean stop left it; else prepares its rebuilding.
    fn open_rows(&mut self, clean_stop: bool) {
        let dir = match self.options.rows {
            RowsKind::Sled => Some(self.options.dir.join("projection")),
            RowsKind::Memory => None,
        };
        if let (true, Some(dir)) = (clean_stop, &dir)
            && let Ok(rows) = Rows::sled(dir)
            && matches!(self.tip().held().is_in(&rows), Ok(true))
        {
            self.shared.set_projection(Projection::Ready { rows: Arc::new(rows), position: self.position });
            return;
        }
        self.rebuild = Some(Rebuild { shared: self.shared(), dir });
        if self.position.0 <= REBUILD_AT_ONCE {
            self.rebuild();
        }
    }

    /// Waits for who still reads, lets sled write everything out, and makes that durable: sled
    /// itself calls sync_file_range, which is no sync.
    pub(super) fn close_rows(&self, rows: Arc<Rows>) -> Result<(), StoreError> {
        rows.flush()?;
        let patience = Instant::now() + CLOSE_PATIENCE;
        while Arc::strong_count(&rows) > 1 && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(5));
        }
        let Rows::Sled(db) =
            Arc::try_unwrap(rows).map_err(|_| StoreError::Projection("still read".to_owned()))?
        else {
            return Ok(());
        };
        drop(db);
        sync_tree(&self.options.dir.join("projection"))?;
        Ok(self.options.disk.sync_dir(&self.options.dir)?)
    }

    pub(super) fn snapshot_dir(&self) -> PathBuf {
        self.options.dir.join("snapshot")
    }

    pub(super) fn marker_path(&self) -> PathBuf {
        marker_path(&self.options.dir)
    }
}

pub(super) fn marker_path(dir: &Path) -> PathBuf {
    dir.join("stopped")
}

/// Keeps other processes out while it lives.
pub(super) fn lock(disk: &Disk, dir: &Path) -> Result<Lock, OpenError> {
    if let Disk::Simulated(_) = disk {
        return Ok(Lock(None));
    }
    std::fs::create_dir_all(dir).map_err(DiskFault::at("create", dir))?;
    let path = dir.join("lock");
    let opened = File::options().create(true).truncate(false).write(true).open(&path);
    let file = opened.map_err(DiskFault::at("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(Some(file))),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(DiskFault::at("lock", &path)(error).into()),
    }
}

/// Reads the journal from the snapshot on.
fn fold_tail(
    segments: &Segments,
    snapshot: Option<Snapshot>,
    listener: &Listener,
) -> Result<(End, Fold), OpenError> {
    let known = snapshot.as_ref().map(|snapshot| snapshot.held);
    let mut fold = Fold {
        facts: Facts::default(),
        recorded_at: UnixTime::default(),
        archived: 0,
        changed: known.map_or(Position(0), |held| held.position),
        replayed: 0,
    };
    if let Some(Snapshot { recorded_at, archived, facts, .. }) = snapshot {
        fold = Fold { facts, recorded_at, archived, ..fold };
    }
    let from = known.map_or(Position(0), |held| held.position).next();
    let end = segments.walk(FIRST, from.0, known.map(|held| held.head), &mut |frame| {
        if frame.first < from.0 {
            return Ok(());
        }
        if frame.epoch != fold.facts.epoch.0 {
            return Err("a frame belongs to another epoch");
        }
        let entries = journal::entries_of(frame)?;
        for numbered in &entries {
            fold.apply(numbered)?;
        }
        (listener.applied)(&entries).map_err(|error| error.sentence())
    })?;
    Ok((end, fold))
}

impl Fold {
    fn apply(&mut self, numbered: &Numbered) -> Result<(), &'static str> {
        let begins = matches!(numbered.entry.event, Event::JournalBegun { .. });
        if begins != (numbered.position.0 == FIRST) {
            return Err("a journal begins with its id, and nowhere else");
        }
        if !numbered.entry.may_follow(self.recorded_at) {
            return Err("an entry is dated before the one it follows");
        }
        self.recorded_at = numbered.entry.recorded_at;
        match &numbered.entry.event {
            Event::Issued(issued) => self.archived = self.archived.max(issued.archive.0.saturating_add(1)),
            Event::Revoked(_) | Event::Released(_) => self.changed = numbered.position,
            _ => {}
        }
        if self.facts.concerns(&numbered.entry.event) {
            self.facts.apply(numbered).map_err(|error| error.sentence())?;
        }
        self.replayed += 1;
        Ok(())
    }
}

/// What a snapshot, a marker or somebody outside names must be there: a frame they name is not
/// torn but damaged.
fn check_named(
    segments: &Segments,
    end: &End,
    fold: &Fold,
    marker: Option<&Held>,
    named: Position,
) -> Result<(), Damage> {
    let (path, place) = end.last.clone().unwrap_or_else(|| (segments.path(FIRST), 0));
    let damage = |what| Err(segments.damage(&path, place, what, end.next));
    if end.next <= named.0 {
        return damage("it ends before an entry that a snapshot, a marker, a CRL or a follower names");
    }
    let Some(marker) = marker else { return Ok(()) };
    if marker.position.0 + 1 == end.next && marker.head != end.head {
        return damage("the marker of the last stop names another head");
    }
    if marker.journal_id != fold.facts.journal_id {
        return damage("the marker of the last stop is of another journal");
    }
    Ok(())
}

/// Removes the marker of the last stop, durably and before anything is written to sled, and
/// what a crash left half done.
fn tidy(disk: &Disk, dir: &Path) -> Result<(), DiskFault> {
    for dir in [dir, &dir.join("snapshot")] {
        for name in disk.list(dir)? {
            if Path::new(&name).extension().is_some_and(|extension| extension == TEMPORARY) {
                disk.remove(&dir.join(name))?;
            }
        }
        disk.sync_dir(dir)?;
    }
    disk.remove(&marker_path(dir))?;
    disk.sync_dir(dir)
}

/// Syncs every file under a directory, and the directories.
fn sync_tree(dir: &Path) -> Result<(), DiskFault> {
    for entry in std::fs::read_dir(dir).map_err(DiskFault::at("list", dir))? {
        let path = entry.map_err(DiskFault::at("list", dir))?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            File::open(&path).and_then(|file| file.sync_all()).map_err(DiskFault::at("sync", &path))?;
        }
    }
    Disk::File.sync_dir(dir)
}
