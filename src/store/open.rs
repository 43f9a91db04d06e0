//! Start and stop of the committer.
//!
//! Files of a store's directory:
//!
//! | name | what it is | losing it costs |
//! |---|---|---|
//! | `lock` | empty; locked by the process that writes | nothing |
//! | `journal/` | the truth: see [`super::frame`], [`super::segments`] | everything |
//! | `archive/` | certificates and comments: see [`super::archive`] | both; statuses go on |
//! | `acknowledged` | how far the journal was acknowledged: see [`super::acknowledged`] | that a journal which lost its end is found |
//! | `cut/` | what was cut off the journal's end: see [`super::ending`] | what could be learned from it |
//! | `projection/` | sled: see [`super::rows`] | the time to fold the journal |
//! | `projection.new/` | rows being made anew beside them | nothing |
//! | `projection.damaged/` | rows that were found wrong | what could be learned from them |
//! | `snapshot/`, `stopped` | see [`super::snapshot`] | the time to fold the journal |

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};

use super::acknowledged::{self, Acknowledged, Found, Slots};
use super::archive::{Archive, ArchiveReader, ArchiveWriter, beside};
use super::committer::Committer;
use super::disk::{Disk, TEMPORARY};
use super::ending::{self, Behind, Cut};
use super::error::{Damage, DiskFault, OpenError, StoreError};
use super::frame::{Head, NO_HEAD};
use super::held::Held;
use super::journal::{Draft, FIRST, Journal};
use super::options::{Fold, Options};
use super::rebuild::{Rebuild, remove_dir};
use super::remake::NEW;
use super::rows::{Rows, RowsKind};
use super::segments::End;
use super::shared::Shared;
use super::snapshot::{Marker, Snapshot, find_marker, remove_unreadable};
use super::tip::{NotFolded, Tip};
use crate::record::{Entry, Epoch, Event, Numbered, Origin, Position};

/// Entries that are folded into a projection before the store is open: they take no longer
/// than what else a start does.
const REBUILD_AT_ONCE: u64 = 10_000;

/// sled's directory.
pub(super) const IN_USE: &str = "projection";

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
    /// A frame that was being written when the process or the machine stopped: it was cut.
    pub cut: Option<Cut>,
    /// Entries folded since the snapshot.
    pub replayed: u64,
    /// What the archive holds behind the last certificate that an entry names: certificates that were signed
    /// and never handed out, as far as the journal knows, whose serials must not be given again; and comments.
    pub orphans: Vec<Vec<u8>>,
}

/// A store is open by this file, until it is dropped.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "holds the lock")] Option<File>);

impl Committer {
    /// Opens a store: reads from the newest snapshot on, cuts a torn frame, makes sure that
    /// what was read is durable, and tells the folds. Then [`Self::rebuild`] if need be.
    ///
    /// # Errors
    /// [`OpenError`]; nothing has been modified then, unless the disk refused it.
    pub fn open(options: Options, folds: Vec<Fold>) -> Result<(Self, Opened), OpenError> {
        let disk = options.disk.clone();
        let dir = options.dir.clone();
        let lock = lock(&disk, &dir)?;
        // Before the journal: it is never ahead of it.
        let found = acknowledged::find(&disk, &dir)?;
        let boot_id = acknowledged::boot_id(&disk);
        let journal = Journal::new(&disk, &dir.join("journal"));
        for dir in [&dir, &dir.join("journal"), &dir.join("archive"), &dir.join("snapshot")] {
            disk.create_dir(dir)?;
        }
        let marker = find_marker(&disk, &marker_path(&dir))?;
        if marker == Marker::Unreadable {
            tracing::warn!("the marker of the last stop cannot be read: the records are made anew");
        }
        let marker = marker.held();
        let snapshots = Snapshot::find_all(&disk, &dir.join("snapshot"))?;
        let newest = snapshots.iter().map(|found| found.position).max();
        let named = newest.max(marker.map(|held| held.position)).unwrap_or_default();
        let unreadable = snapshots.iter().filter(|found| found.snapshot.is_none());
        let unreadable: Vec<Position> = unreadable.map(|found| found.position).collect();
        let snapshots = snapshots.into_iter().filter_map(|found| found.snapshot);
        let (snapshot_at, end, tip) = fold_from(&journal, snapshots, &folds)?;
        check_named(&journal, &end, &tip, marker.as_ref(), named, options.known)?;
        let behind = ending::judge(&journal, &end, &dir, &found, boot_id)?;
        let archive = ArchiveReader::new(&disk, &dir.join("archive"));
        if end.next == FIRST && !archive.is_empty()? {
            return Err(journal.damage_at(&end, "it is missing, and the archive is not").into());
        }
        if end.next == FIRST && !options.begins {
            return Err(OpenError::NoJournal(dir));
        }
        if let Found::Slot(slot) = &found
            && slot.journal_id != tip.facts.journal_id
        {
            return Err(journal.damage_at(&end, "what was acknowledged is of another journal").into());
        }

        let clean_stop = marker.is_some_and(|held| held.position.0 + 1 == end.next && held.head == end.head);
        // An archive that cannot be read stops issuing, and nothing else.
        let examined = archive.examine(tip.named.certificates);
        let unread = examined.as_ref().err().cloned();
        let examined = examined.unwrap_or_default();
        ending::judge_archive(&journal, &end, &dir, tip.facts.epoch, &examined.beside)?;
        let slots = Slots::open(&disk, &dir, &found)?;
        let cut = cut_off(&disk, &dir, &end, behind)?;
        // The marker was written after everything it names.
        journal.take_up(&end, options.journal_segment_octets, clean_stop)?;
        if journal.head() != tip.head {
            return Err(journal.damage_at(&end, "its entries were not all folded").into());
        }
        tidy(&disk, &dir)?;
        remove_unreadable(&disk, &dir.join("snapshot"), &unreadable)?;
        if matches!(disk, Disk::File) {
            remove_dir(&dir.join(NEW)).map_err(OpenError::from)?;
        }
        let replayed = tip.position.0 - snapshot_at.0;
        let shared = Arc::new(Shared::new(journal, archive, slots, folds, tip.clone()));
        let mut committer = Self { shared, tip, boot_id, snapshot_at, rebuild: None, lock, options };
        if committer.tip.position == Position(0) {
            committer.begin_journal()?;
        }
        committer.acknowledge_start(&found)?;
        if let Some(error) = unread {
            committer.shared.set_archive_fault(error);
        }
        committer.open_rows(clean_stop);
        let opened = Opened {
            journal_id: committer.tip.facts.journal_id,
            position: committer.tip.position,
            head: committer.tip.head,
            clean_stop,
            cut,
            replayed,
            orphans: examined.orphans,
        };
        Ok((committer, opened))
    }

    /// Says in the slots, durably, that all that is there stands: it was read, and made durable.
    fn acknowledge_start(&self, found: &Found) -> Result<(), DiskFault> {
        match found {
            Found::Missing | Found::Unwritten | Found::Unreadable if self.tip.position.0 > FIRST => {
                tracing::warn!(
                    position = self.tip.position.0,
                    "how far the journal was acknowledged is not on record: it is believed as it is, from now on"
                );
            }
            _ => {}
        }
        // Also where a slot says so already: a sync that failed may have left it in the page cache alone.
        self.shared.slots.write(&self.acknowledged(&self.tip))?;
        self.shared.slots.sync()
    }

    /// What a slot says of this end.
    pub(super) fn acknowledged(&self, tip: &Tip) -> Acknowledged {
        let Tip { position, head, ref facts, .. } = *tip;
        Acknowledged {
            journal_id: facts.journal_id,
            epoch: facts.epoch,
            position,
            head,
            boot_id: self.boot_id,
        }
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
        let opened = self.shared.archive.open(self.tip.named, self.options.archive_segment_octets);
        let opened = opened.and_then(|archive| self.behind_named(archive));
        let archive = opened.map_err(|error| self.shared.set_archive_fault(error)).ok();
        ArchiveWriter { shared: self.shared(), archive }
    }

    /// An archive that lost comments at its end goes on behind the places that entries name: in one of them
    /// nothing else may ever stand.
    fn behind_named(&self, mut archive: Archive) -> Result<Archive, StoreError> {
        let (reader, named) = (&self.shared.archive, self.tip.named.end());
        if reader.end() < named {
            let lost_from = reader.end();
            tracing::warn!(
                lost_from,
                named,
                "the archive has lost comments at its end: `sekisho check` lists them"
            );
            archive.pass(reader, named, &beside(&self.tip))?;
        }
        Ok(archive)
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
        let (epoch, first) = (self.tip.facts.epoch.0, Position(FIRST));
        let draft = Draft { epoch, first, count: 1, payload: &payload };
        let head = self.shared.journal.append(&NO_HEAD, draft)?;
        let numbered = Numbered { position: first, entry };
        let damage = |error: NotFolded| self.shared.journal.damage_at(&End::none(), error.sentence());
        self.tip.fold(&numbered).map_err(damage)?;
        self.tip.head = head;
        self.shared.slots.write(&self.acknowledged(&self.tip))?;
        self.shared.slots.sync()?;
        self.tell(std::slice::from_ref(&numbered));
        self.shared.set_tip(self.tip.clone());
        Ok(())
    }

    /// Takes the projection up where a clean stop left it; else prepares its rebuilding.
    fn open_rows(&mut self, clean_stop: bool) {
        let dir = match self.options.rows {
            RowsKind::Sled => Some(self.options.dir.join(IN_USE)),
            RowsKind::Memory => None,
        };
        if let (true, Some(dir)) = (clean_stop, &dir)
            && let Some(rows) = rows_of_before(dir, &self.tip.held())
        {
            self.shared.projection.set_ready(Arc::new(rows), self.tip.position);
            return;
        }
        let batch = self.options.rebuild_entries;
        self.rebuild = Some(Rebuild { shared: self.shared(), dir, batch });
        if self.tip.position.0 <= REBUILD_AT_ONCE {
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
        sync_tree(&self.options.dir.join(IN_USE))?;
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

/// Keeps what is to be cut off the journal's end, and says so.
fn cut_off(disk: &Disk, dir: &Path, end: &End, behind: Behind) -> Result<Option<Cut>, DiskFault> {
    let Some(torn) = &end.torn else { return Ok(None) };
    let kept = ending::keep(disk, dir, torn, Position(end.next), behind == Behind::PerhapsAcknowledged);
    let cut = match kept {
        Err(fault) if fault.error.kind() == ErrorKind::StorageFull => {
            // It is the disk that tore it: to refuse the start would end the answers as well.
            tracing::error!(%fault, first = end.next, "what is cut off the journal's end cannot be kept");
            return Ok(None);
        }
        kept => kept?,
    };
    let (first, octets, kept) = (cut.first.0, cut.octets, cut.kept.display());
    if cut.is_unseen {
        tracing::warn!(
            first,
            octets,
            %kept,
            "the journal's last frame was torn by a power loss, and is cut off: what it held may have been acknowledged \
             within the last second; have its requests repeated, then run `sekisho journal seen`"
        );
    } else {
        tracing::info!(first, octets, %kept, "a frame was being written when the service ended: it is cut off");
    }
    Ok(Some(cut))
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

/// The rows that a clean stop left, if they are what it said. Whatever is wrong with them, they are made
/// anew.
fn rows_of_before(dir: &Path, held: &Held) -> Option<Rows> {
    let found = Rows::sled(dir, held.position).and_then(|rows| Ok(held.is_in(&rows)?.then_some(rows)));
    found.unwrap_or_else(|error| {
        tracing::warn!(%error, "the records of before cannot be read: they are made anew");
        None
    })
}

/// Reads the journal from the newest snapshot on that every fold takes, and that the entries behind it
/// follow: one that lacks something is passed by, as is its word on the journal. Where it began.
fn fold_from(
    journal: &Journal,
    snapshots: impl Iterator<Item = Snapshot>,
    folds: &[Fold],
) -> Result<(Position, End, Tip), OpenError> {
    for snapshot in snapshots {
        if !snapshot.restore(folds) {
            continue;
        }
        let position = snapshot.tip.position;
        let mut is_unfounded = false;
        match fold_tail(journal, Some(snapshot), folds, &mut is_unfounded) {
            Err(_) if is_unfounded => {
                tracing::warn!(
                    position = position.0,
                    "the entries behind a snapshot do not follow it: folding on"
                );
                folds.iter().for_each(|fold| (fold.reset)());
            }
            folded => return folded.map(|(end, tip)| (position, end, tip)),
        }
    }
    let (end, tip) = fold_tail(journal, None, folds, &mut false)?;
    Ok((Position(0), end, tip))
}

/// Reads the journal from the snapshot on. `is_unfounded` when a fold refuses an entry about something
/// that nobody made: without a snapshot that is damage.
pub(super) fn fold_tail(
    journal: &Journal,
    start: Option<Snapshot>,
    folds: &[Fold],
    is_unfounded: &mut bool,
) -> Result<(End, Tip), OpenError> {
    let known = start.as_ref().map(|snapshot| snapshot.tip.head);
    let mut tip = start.map(|snapshot| snapshot.tip).unwrap_or_default();
    let from = tip.position.next();
    let end = journal.read_from(from, known, &mut |frame| {
        if frame.first < from.0 {
            return Ok(());
        }
        let entries = tip.fold_frame(frame)?;
        folds.iter().try_for_each(|fold| {
            (fold.applied)(&entries).map_err(|error| {
                *is_unfounded = true;
                error.sentence()
            })
        })
    })?;
    Ok((end, tip))
}

/// What a snapshot, a marker or somebody outside names must be there: a frame they name is not
/// torn but damaged.
fn check_named(
    journal: &Journal,
    end: &End,
    tip: &Tip,
    marker: Option<&Held>,
    named: Position,
    known: Option<(Epoch, Position)>,
) -> Result<(), Damage> {
    let damage = |what| Err(journal.damage_at(end, what));
    let known = known.filter(|(epoch, _)| *epoch >= tip.facts.epoch);
    if known.is_some_and(|(epoch, _)| epoch > tip.facts.epoch) {
        return damage("a CRL names a later epoch: this is the journal of before an end was accepted");
    }
    if end.next <= named.max(known.map(|(_, position)| position).unwrap_or_default()).0 {
        return damage("it ends before an entry that a snapshot, a marker or a CRL names");
    }
    let Some(marker) = marker else { return Ok(()) };
    if marker.position.0 + 1 == end.next && marker.head != end.head {
        return damage("the marker of the last stop names another head");
    }
    if marker.journal_id != tip.facts.journal_id {
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
