//! Where the journal ends, held against what was acknowledged; and what is cut off there.
//!
//! With E the end of the good frames and A what [`super::acknowledged`] says:
//!
//! | A | behind E | a start |
//! |---|---|---|
//! | = E | nothing | goes on |
//! | = E | something | cuts it: nobody was told of it |
//! | before E, in the chain | nothing | goes on |
//! | before E, in the chain | what may be one frame, torn | cuts it; if the machine was restarted since, somebody may have been told of it, and that is said until `journal seen` |
//! | behind E, or another head there | anything | is refused |
//! | does not say | nothing | goes on, and says so |
//! | does not say | something | is refused |
//!
//! What cannot be one torn frame is damage to whoever reads it, and refused before this. No kill and no
//! power loss leads to a row that is refused: a frame is written only after the sync of the one before
//! returned, so at most one is torn; and A is written after the sync of its frame.
//!
//! What is cut is kept in `cut/`, as `<first entry>-<octets>.cut`, or `.unseen` until somebody has seen it; what
//! was given up at a person's word as `.given-up`, and files behind it under their own names.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::acknowledged::{Acknowledged, Found, NAME};
use super::archive::Beside;
use super::disk::Disk;
use super::error::{DiskFault, OpenError, StoreError};
use super::frame::Head;
use super::journal::{FIRST, Journal};
use super::segments::{End, Torn};
use crate::record::{Epoch, Position};

/// The run of a machine that does not say which it is.
const UNKNOWN: [u8; 16] = [0; 16];

/// Where what was cut is kept.
pub(super) const CUT: &str = "cut";
const SEEN: &str = "cut";
const UNSEEN: &str = "unseen";
const GIVEN_UP: &str = "given-up";

/// Pieces that are kept when somebody has seen them, or nobody was told of them.
const SEEN_MAX: usize = 16;

/// What lies behind the last good frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    Nothing,
    /// Of what was being written, nobody was told.
    Unacknowledged,
    /// Somebody may have been told of it, up to a second before the power failed.
    PerhapsAcknowledged,
}

/// Something that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Where it is kept.
    pub kept: PathBuf,
    /// The entry that it would have begun with.
    pub first: Position,
    /// Octets.
    pub octets: u64,
    /// Somebody may have been told of it, and nobody has seen to that yet.
    pub is_unseen: bool,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kept, first, octets, is_unseen } = self;
        let kept = kept.display();
        write!(f, "{octets} octets that began with entry {first} were cut off the journal's end ({kept})")?;
        if *is_unseen {
            f.write_str(
                ": what they held may have been acknowledged within a second of a power loss; have its requests \
                 repeated, then run `sekisho journal seen`",
            )?;
        }
        Ok(())
    }
}

/// Judges the end that a reading found.
/// `boot_id` is this run of the machine.
pub(super) fn judge(
    journal: &Journal,
    end: &End,
    dir: &Path,
    found: &Found,
    boot_id: [u8; 16],
) -> Result<Behind, OpenError> {
    let last = Position(end.next - 1);
    let refused = |what: String| Err(OpenError::End { dir: dir.to_owned(), last, what });
    let is_cut = end.torn.is_some();
    let Found::Slot(slot) = found else {
        return match found {
            // The first frame of all was being written.
            Found::Unwritten if is_cut && end.next == FIRST => Ok(Behind::Unacknowledged),
            _ if !is_cut => Ok(Behind::Nothing),
            _ => refused(format!(
                "something follows that is no frame, and {NAME} does not say how far it was acknowledged"
            )),
        };
    };
    let acknowledged = slot.position;
    if acknowledged > last {
        return refused(format!(
            "entry {acknowledged} was acknowledged; so ends a journal that lost its end, and a copy made while the \
             service ran (a backup copies {NAME} first)"
        ));
    }
    if !is_in(journal, end, slot)? {
        return refused(format!("entry {acknowledged} of it is another than was acknowledged"));
    }
    Ok(match (is_cut, acknowledged == last) {
        (false, _) => Behind::Nothing,
        (true, true) => Behind::Unacknowledged,
        // No power failed since: of what it does not name nobody was told.
        (true, false) if slot.boot_id == boot_id && boot_id != UNKNOWN => Behind::Unacknowledged,
        (true, false) => Behind::PerhapsAcknowledged,
    })
}

/// True when the frame that a slot names is in the journal, and ends there.
fn is_in(journal: &Journal, end: &End, slot: &Acknowledged) -> Result<bool, StoreError> {
    if slot.position.0 + 1 == end.next {
        return Ok(slot.head == end.head);
    }
    if slot.position.0 < FIRST {
        return Ok(false);
    }
    let mut is_in = false;
    journal.read_from(slot.position, None, &mut |frame| {
        is_in |= frame.first + u64::from(frame.count) == slot.position.0 + 1 && frame.head == slot.head;
        Ok(())
    })?;
    Ok(is_in)
}

/// Holds the journal against what frames of the archive say of it: each was written when the journal had
/// that end already. Those of an earlier epoch may name what was given up since.
pub(super) fn judge_archive(
    journal: &Journal,
    end: &End,
    dir: &Path,
    epoch: Epoch,
    beside: &[Beside],
) -> Result<(), OpenError> {
    let last = Position(end.next - 1);
    let refused = |what: String| Err(OpenError::End { dir: dir.to_owned(), last, what });
    let of_now = || beside.iter().filter(|one| one.epoch >= epoch);
    if let Some(later) = of_now().find(|one| one.epoch > epoch || one.position > last) {
        return refused(format!(
            "the archive holds certificates or comments that were written when it had reached entry {}",
            later.position
        ));
    }
    let mut said: BTreeMap<Position, Head> = of_now().map(|one| (one.position, one.head)).collect();
    if said.get(&last).is_some_and(|head| *head == end.head) {
        said.remove(&last);
    }
    let Some(first) = said.keys().next().copied() else { return Ok(()) };
    journal.read_from(first, None, &mut |frame| {
        let ends = Position(frame.first + u64::from(frame.count) - 1);
        if said.get(&ends) == Some(&frame.head) {
            said.remove(&ends);
        }
        Ok(())
    })?;
    match said.keys().next() {
        None => Ok(()),
        Some(position) => refused(format!(
            "entry {position} is another than when certificates or comments of the archive were written"
        )),
    }
}

/// Keeps what is about to be cut off, durably.
pub(super) fn keep(
    disk: &Disk,
    dir: &Path,
    torn: &Torn,
    first: Position,
    is_unseen: bool,
) -> Result<Cut, DiskFault> {
    let octets = disk.read(&torn.file)?.unwrap_or_default();
    let from = usize::try_from(torn.offset).unwrap_or(usize::MAX);
    let octets = octets.get(from..).unwrap_or_default();
    let cut = dir.join(CUT);
    disk.create_dir(&cut)?;
    let extension = if is_unseen { UNSEEN } else { SEEN };
    let kept = cut.join(format!("{:020}-{}.{extension}", first.0, octets.len()));
    disk.replace(&kept, octets)?;
    let all = all(disk, dir)?;
    let seen: Vec<&Cut> = all.iter().filter(|cut| !cut.is_unseen && cut.kept != kept).collect();
    for old in seen.iter().rev().skip(SEEN_MAX - 1) {
        disk.remove(&old.kept)?;
    }
    let octets = super::octets::offset(octets.len());
    Ok(Cut { kept, first, octets, is_unseen })
}

/// Keeps what is given up at a person's word: it is never removed, nor written over.
pub(super) fn give_up(disk: &Disk, dir: &Path, first: Position, octets: &[u8]) -> Result<Cut, DiskFault> {
    let cut = dir.join(CUT);
    disk.create_dir(&cut)?;
    let name = format!("{:020}-{}.{GIVEN_UP}", first.0, octets.len());
    let kept = disk.free_name(&cut.join(name))?;
    disk.replace(&kept, octets)?;
    Ok(Cut { kept, first, octets: super::octets::offset(octets.len()), is_unseen: false })
}

/// All that was cut off and is kept, in the order of the journal.
pub(super) fn all(disk: &Disk, dir: &Path) -> Result<Vec<Cut>, DiskFault> {
    let cut = dir.join(CUT);
    let parsed = |name: &String| {
        let (stem, extension) = name.split_once('.')?;
        let (first, octets) = stem.split_once('-')?;
        let is_unseen = match extension {
            UNSEEN => true,
            SEEN => false,
            _ => return None,
        };
        let first = Position(first.parse().ok()?);
        Some(Cut { kept: cut.join(name), first, octets: octets.parse().ok()?, is_unseen })
    };
    Ok(disk.list(&cut)?.iter().filter_map(parsed).collect())
}

/// Of those, the ones that nobody has seen to.
pub(super) fn unseen(disk: &Disk, dir: &Path) -> Result<Vec<Cut>, DiskFault> {
    Ok(all(disk, dir)?.into_iter().filter(|cut| cut.is_unseen).collect())
}

/// Marks what nobody had seen as seen; what there was.
pub(super) fn see(disk: &Disk, dir: &Path) -> Result<Vec<Cut>, DiskFault> {
    let mut seen = Vec::new();
    for cut in unseen(disk, dir)? {
        disk.rename(&cut.kept, &cut.kept.with_extension(SEEN))?;
        seen.push(Cut { kept: cut.kept.with_extension(SEEN), is_unseen: false, ..cut });
    }
    if !seen.is_empty() {
        disk.sync_dir(&dir.join(CUT))?;
    }
    Ok(seen)
}
