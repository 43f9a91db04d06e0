//! How a store is opened, and who hears of its entries.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::clock::Clock;
use super::disk::Disk;
use super::reading::Reading;
use super::rebuild::BATCH_ENTRIES;
use super::rows::RowsKind;
use crate::record::{Epoch, FoldError, Numbered, Position};

/// Octets after which a journal file ends. One file is read at once when the service starts or
/// an old entry is asked for; ten million entries are 200 files.
const JOURNAL_SEGMENT_OCTETS: u64 = 8 << 20;

/// Octets after which an archive file ends: the last two are read when the service starts.
const ARCHIVE_SEGMENT_OCTETS: u64 = 32 << 20;

/// Entries between snapshots: at a start, at most so many are folded, in about a second.
const SNAPSHOT_ENTRIES: u64 = 1_000_000;

/// Requests in one group: all wait for one sync, and none longer than their decisions take,
/// some milliseconds.
const GROUP_MAX: usize = 1024;

/// Entries that came while the records were made anew, and are kept to compare again what they are about.
/// Behind more, all is compared again.
const REMADE_SINCE_MAX: u64 = 1_000_000;

/// How long the thread that commits, and so every decision, waits for whoever still reads the rows that
/// others are to take the place of. Look-ups are answered with
/// [`NotReady::Rebuilding`](super::NotReady::Rebuilding) meanwhile.
const EXCHANGE_PATIENCE: Duration = Duration::from_secs(10);

/// How to open a store. [`Options::new`] is how the service opens it.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory; made when absent.
    pub dir: PathBuf,
    /// Begins a journal where there is none. A service does not: its journal is lost then.
    pub begins: bool,
    /// The disk it is on.
    pub disk: Disk,
    /// Where the projection is kept.
    pub rows: RowsKind,
    /// The time of entries.
    pub clock: Clock,
    /// Requests in one group, at most.
    pub group_max: usize,
    /// Octets after which a journal file ends.
    pub journal_segment_octets: u64,
    /// Octets after which an archive file ends.
    pub archive_segment_octets: u64,
    /// Entries between snapshots.
    pub snapshot_entries: u64,
    /// An entry that somebody outside has seen, and in which epoch: the highest CRL number published. A
    /// journal of that epoch that ends before it is damaged, not torn; one of an
    /// earlier epoch is an old copy.
    pub known: Option<(Epoch, Position)>,
    /// Why this store is not the one that goes on, when it is not: nothing can be submitted then.
    pub fenced: Option<String>,
    /// Entries that are folded before they are written into rows, when those are made anew.
    pub rebuild_entries: u64,
    /// Entries that came while the records were made anew, at most, to be compared by themselves.
    pub remade_since_max: u64,
    /// How long an exchange of the rows waits for those who read them.
    pub exchange_patience: Duration,
}

impl Options {
    /// Files and sled under `dir`, the machine's clock.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            begins: true,
            disk: Disk::File,
            rows: RowsKind::Sled,
            clock: Clock::system(),
            group_max: GROUP_MAX,
            journal_segment_octets: JOURNAL_SEGMENT_OCTETS,
            archive_segment_octets: ARCHIVE_SEGMENT_OCTETS,
            snapshot_entries: SNAPSHOT_ENTRIES,
            known: None,
            fenced: None,
            rebuild_entries: BATCH_ENTRIES,
            remade_since_max: REMADE_SINCE_MAX,
            exchange_patience: EXCHANGE_PATIENCE,
        }
    }
}

/// Hears entries as they become durable; an error when one of them cannot be folded.
type Applied = dyn Fn(&[Numbered]) -> Result<(), FoldError> + Send + Sync;
/// Writes down a state.
type Snapshot = dyn Fn() -> Vec<u8> + Send + Sync;
/// Takes a state up again.
type Restore = dyn Fn(&[u8]) -> Result<(), String> + Send + Sync;
/// Empties a state.
type Reset = dyn Fn() + Send + Sync;
/// Looks at the records.
type Rebuilt = dyn Fn(&Reading<'_>) + Send + Sync;

/// Something that is folded from the journal beside the records: the status index.
pub struct Fold {
    /// Names its part of a snapshot.
    pub name: &'static str,
    /// Called with each group after its sync and before its acknowledgement, and with what is folded at
    /// a start; with each entry once, in order. At a start an error is damage, and the store is not
    /// opened; later it is logged, and told to nobody else here.
    pub applied: Box<Applied>,
    /// The octets of its state after the last entry applied, for a snapshot.
    pub snapshot: Box<Snapshot>,
    /// Takes up such octets, before anything is applied.
    pub restore: Box<Restore>,
    /// Forgets everything: it will hear all entries from the first.
    pub reset: Box<Reset>,
    /// Called when the records were made anew, from the first entry on, and nobody uses them yet: the
    /// time to compare. Nothing is applied meanwhile.
    pub rebuilt: Box<Rebuilt>,
}

impl Fold {
    /// One that only hears, and has no state.
    #[must_use]
    pub fn hearing(
        name: &'static str,
        applied: impl Fn(&[Numbered]) -> Result<(), FoldError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            applied: Box::new(applied),
            snapshot: Box::new(Vec::new),
            restore: Box::new(|octets| if octets.is_empty() { Ok(()) } else { Err("not empty".to_owned()) }),
            reset: Box::new(|| {}),
            rebuilt: Box::new(|_| {}),
        }
    }
}

impl fmt::Debug for Fold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fold").field(&self.name).finish()
    }
}
