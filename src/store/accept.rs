//! Taking the end of a journal as it is, when what followed is lost: at the word of a person alone.

use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};

use super::acknowledged::{self, Acknowledged, Found, Slots};
use super::archive::ArchiveReader;
use super::disk::Disk;
use super::ending::{self, Cut};
use super::error::{Damage, DiskFault, OpenError};
use super::journal::{Draft, FIRST, Journal};
use super::open::{fold_tail, lock, marker_path};
use super::options::{Fold, Options};
use super::segments::End;
use super::serials::BLOCK_SERIALS;
use super::snapshot::{self, Snapshot};
use super::tip::Tip;
use crate::record::{Entry, Epoch, Event, Numbered, Origin, Position};

/// The next epoch is drawn at random from so many: two copies of one journal, accepted apart, are not to
/// number their CRLs alike.
const EPOCHS: u32 = 1 << 24;

/// And the blocks of serial numbers that are passed over: two copies that use ten each give the same number
/// once in ten thousand times. More would leave the serials that the status index finds at once (2³²) after
/// few restores.
const BLOCKS: u32 = 1 << 18;

/// What accepting an end came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The last entry that was there.
    pub last: Position,
    /// The entry that says so.
    pub position: Position,
    /// The epoch that it begins.
    pub epoch: Epoch,
    /// What was cut off, in the order of the journal.
    pub cut: Vec<Cut>,
}

/// Takes the journal of a store that nobody has open up to its last good frame: cuts what follows, begins
/// a new epoch with an entry that says why, passes over serial numbers that may have been issued, and sets
/// what is acknowledged. Rows and snapshots are made anew by the next start. `folds` are those of a start:
/// an entry that one of them refuses is damage here too.
///
/// # Errors
/// [`OpenError`]: nothing of it can be read, or the disk refuses.
pub fn accept_end(
    options: &Options,
    folds: &[Fold],
    origin: Origin,
    reason: &str,
) -> Result<Accepted, OpenError> {
    let Options { disk, dir, .. } = options;
    let _lock = lock(disk, dir)?;
    // A restored copy may lack some.
    for name in ["journal", "archive", "snapshot", ending::CUT] {
        disk.create_dir(&dir.join(name))?;
    }
    let journal = Journal::new(disk, &dir.join("journal"));
    let mut cut = Vec::new();
    let (end, mut tip) = loop {
        folds.iter().for_each(|fold| (fold.reset)());
        match fold_tail(&journal, None, folds, &mut false) {
            Err(OpenError::Damaged(damage)) => cut.push(cut_at(disk, dir, &journal, &damage)?),
            read => break read?,
        }
    };
    if end.next == FIRST {
        return Err(OpenError::NoJournal(dir.clone()));
    }
    if let Some(torn) = &end.torn {
        let octets = disk.read(&torn.file)?.unwrap_or_default();
        let from = usize::try_from(torn.offset).unwrap_or(usize::MAX);
        let first = Position(end.next);
        cut.push(ending::give_up(disk, dir, first, octets.get(from..).unwrap_or_default())?);
    }
    let seen = epochs_seen(disk, dir);
    // What was made of entries that are given up.
    disk.remove(&marker_path(dir))?;
    disk.sync_dir(dir)?;
    snapshot::remove_all(disk, &dir.join("snapshot"))?;
    let last = tip.position;
    journal.take_up(&end, options.journal_segment_octets, false)?;
    let found = acknowledged::find(disk, dir)?;
    let seen = seen.max(if let Found::Slot(slot) = &found { slot.epoch } else { Epoch::FIRST });
    let epoch = begin_epoch(options, &journal, &mut tip, seen, origin, reason)?;
    let slots = Slots::open(disk, dir, &Found::Unreadable)?;
    let Tip { position, head, ref facts, .. } = tip;
    let (journal_id, boot_id) = (facts.journal_id, acknowledged::boot_id(disk));
    slots.write(&Acknowledged { journal_id, epoch: facts.epoch, position, head, boot_id })?;
    slots.sync()?;
    Ok(Accepted { last, position, epoch, cut })
}

/// The latest epoch that snapshots and the archive's last frames name, as far as they can be read.
fn epochs_seen(disk: &Disk, dir: &Path) -> Epoch {
    let snapshots = Snapshot::find_all(disk, &dir.join("snapshot")).unwrap_or_default();
    let of_snapshots = snapshots.iter().filter_map(|found| Some(found.snapshot.as_ref()?.tip.facts.epoch));
    let archive = ArchiveReader::new(disk, &dir.join("archive"));
    let examined = archive.examine(u64::MAX).unwrap_or_default();
    let of_archive = examined.beside.iter().map(|one| one.epoch);
    of_snapshots.chain(of_archive).max().unwrap_or(Epoch::FIRST)
}

/// Appends the entry that begins an epoch above every one that is known.
fn begin_epoch(
    options: &Options,
    journal: &Journal,
    tip: &mut Tip,
    seen: Epoch,
    origin: Origin,
    reason: &str,
) -> Result<Epoch, OpenError> {
    let known = options.known.map_or(Epoch::FIRST, |(epoch, _)| epoch);
    let highest = tip.facts.epoch.max(seen).max(known);
    let epoch = Epoch(highest.0.saturating_add(1 + random_below(options, EPOCHS)?));
    let serials = u64::from(1 + random_below(options, BLOCKS)?) * BLOCK_SERIALS;
    let recorded_at = options.clock.now().max(tip.recorded_at);
    let event = Event::EpochBegun { epoch, serials, reason: reason.to_owned() };
    let entry = Entry { recorded_at, origin, event };
    let fault = |error| DiskFault::at("write an entry into", &options.dir)(std::io::Error::other(error));
    let mut payload = Vec::new();
    entry.write(&mut payload).map_err(fault)?;
    let numbered = Numbered { position: tip.position.next(), entry };
    let draft = Draft { epoch: tip.facts.epoch.0, first: numbered.position, count: 1, payload: &payload };
    let previous = tip.head;
    tip.fold(&numbered).map_err(|error| journal.damage_at(&End::none(), error.sentence()))?;
    tip.head = journal.append(&previous, draft)?;
    Ok(epoch)
}

/// Cuts the journal where it is damaged: what follows in that file is kept as a piece, and the files behind
/// it as they are.
fn cut_at(disk: &Disk, dir: &Path, journal: &Journal, damage: &Damage) -> Result<Cut, OpenError> {
    let first = damage.intact.map(Position::next).filter(|first| first.0 > FIRST);
    // Without its first entry it is no journal.
    let Some(first) = first else { return Err(OpenError::Damaged(damage.clone())) };
    let octets = disk.read(&damage.file)?.unwrap_or_default();
    let from = usize::try_from(damage.offset).unwrap_or(usize::MAX);
    let cut = ending::give_up(disk, dir, first, octets.get(from..).unwrap_or_default())?;
    journal.give_up_behind(&damage.file, damage.offset, &dir.join(ending::CUT))?;
    Ok(cut)
}

fn random_below(options: &Options, bound: u32) -> Result<u32, DiskFault> {
    let mut octets = [0; 4];
    let drawn = SystemRandom::new().fill(&mut octets);
    drawn
        .map_err(|_| DiskFault::at("draw randomness for", &options.dir)(std::io::ErrorKind::Other.into()))?;
    Ok(u32::from_be_bytes(octets) % bound)
}
