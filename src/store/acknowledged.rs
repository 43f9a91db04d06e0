//! `acknowledged`: how far the journal was durable when somebody was last told so.
//!
//! The journal alone cannot tell a frame that was torn while it was written from one that was damaged
//! after it was acknowledged. This file can: it is written after the sync of a frame and before its
//! acknowledgement, and synced once a second. After a kill it is exact, after a power loss a second old
//! at most, and never ahead of what is durable.
//!
//! Two slots of 4,096 octets, written in turn, so that one is whole whatever becomes of the other:
//!
//! | field | offset | octets | |
//! |---|---|---|---|
//! | magic | 0 | 4 | `SKAK` |
//! | version | 4 | 4 | 1 |
//! | journal id | 8 | 16 | |
//! | epoch | 24 | 4 | |
//! | position | 28 | 8 | of the last entry of the frame |
//! | head | 36 | 32 | of the frame |
//! | boot id | 68 | 16 | of the machine's run in which it was written: another one, and power may have failed between |
//! | checksum | 84 | 4 | CRC-32 (IEEE) of all before |
//!
//! Numbers are big-endian; the rest of a slot is zeros.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::disk::{Disk, DiskFile};
use super::error::DiskFault;
use super::frame::Head;
use super::octets::Octets;
use crate::record::{Epoch, Position};

const MAGIC: &[u8; 4] = b"SKAK";
const VERSION: u32 = 1;

/// Apart from each other by what a file system writes at once.
const SLOT_OCTETS: u64 = 4096;
const SLOTS: u64 = 2;

/// A change is durable here so long after it at most, if it was made alone.
const SYNC_EVERY: Duration = Duration::from_secs(1);

pub(super) const NAME: &str = "acknowledged";

/// What a slot says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Acknowledged {
    pub(super) journal_id: [u8; 16],
    pub(super) epoch: Epoch,
    pub(super) position: Position,
    pub(super) head: Head,
    /// Zeros where the machine does not say.
    pub(super) boot_id: [u8; 16],
}

/// What was found at a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// No such file: an earlier version wrote none, or it is lost.
    Missing,
    /// Neither slot was ever written: the store was being made.
    Unwritten,
    /// Neither slot can be read, and something is in them.
    Unreadable,
    /// The higher of those that can be read.
    Slot(Acknowledged),
}

/// The file, to be written.
#[derive(Debug)]
pub(super) struct Slots {
    file: DiskFile,
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The slot that is written next.
    next: u64,
    /// Written, and not synced yet.
    is_dirty: bool,
    has_ended: bool,
}

impl Acknowledged {
    fn octets(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(88);
        out.extend(MAGIC);
        out.extend(VERSION.to_be_bytes());
        out.extend(self.journal_id);
        out.extend(self.epoch.0.to_be_bytes());
        out.extend(self.position.0.to_be_bytes());
        out.extend(self.head);
        out.extend(self.boot_id);
        out.extend(crc32fast::hash(&out).to_be_bytes());
        out
    }

    fn read(slot: &[u8]) -> Option<Self> {
        let (covered, rest) = slot.split_at_checked(84)?;
        let mut checksum = Octets(rest);
        let mut fields = Octets(covered);
        if crc32fast::hash(covered) != checksum.u32()? || fields.take(4)? != MAGIC || fields.u32()? != VERSION
        {
            return None;
        }
        Some(Self {
            journal_id: fields.array()?,
            epoch: Epoch(fields.u32()?),
            position: Position(fields.u64()?),
            head: fields.array()?,
            boot_id: fields.array()?,
        })
    }
}

/// What the file of a store says. Reads only.
pub(super) fn find(disk: &Disk, dir: &Path) -> Result<Found, DiskFault> {
    let Some(octets) = disk.read(&path(dir))? else { return Ok(Found::Missing) };
    let len = usize::try_from(SLOT_OCTETS).unwrap_or(usize::MAX);
    let slots = octets.chunks(len).filter_map(Acknowledged::read);
    Ok(match slots.max_by_key(|slot| (slot.epoch.0, slot.position)) {
        Some(slot) => Found::Slot(slot),
        None if octets.iter().all(|octet| *octet == 0) => Found::Unwritten,
        None => Found::Unreadable,
    })
}

impl Slots {
    /// Opens the file for writing; makes it, empty and durable, where there is none.
    pub(super) fn open(disk: &Disk, dir: &Path, found: &Found) -> Result<Self, DiskFault> {
        let path = path(dir);
        let file = disk.open(&path, true)?;
        let size = SLOT_OCTETS * SLOTS;
        if file.len()? != size || matches!(found, Found::Unreadable) {
            file.truncate(0)?;
            file.write_at(&vec![0; usize::try_from(size).unwrap_or(0)], 0)?;
            file.sync_data()?;
            disk.sync_dir(dir)?;
        }
        // Not the one that was found: it stays until the other is whole.
        let mut octets = vec![0; 88];
        file.read_at(&mut octets, 0)?;
        let first = Acknowledged::read(&octets);
        let next = u64::from(matches!(found, Found::Slot(slot) if first == Some(*slot)));
        Ok(Self { file, state: Mutex::new(State { next, ..State::default() }), moved: Condvar::new() })
    }

    /// Writes the next slot. Not durable yet, but no kill takes it away.
    pub(super) fn write(&self, acknowledged: &Acknowledged) -> Result<(), DiskFault> {
        let mut state = self.state();
        self.file.write_at(&acknowledged.octets(), state.next * SLOT_OCTETS)?;
        state.next = (state.next + 1) % SLOTS;
        if !std::mem::replace(&mut state.is_dirty, true) {
            self.moved.notify_all();
        }
        Ok(())
    }

    /// Makes durable what was written.
    pub(super) fn sync(&self) -> Result<(), DiskFault> {
        if std::mem::take(&mut self.state().is_dirty) { self.file.sync_data() } else { Ok(()) }
    }

    /// Syncs once a second while there are changes, until the end.
    pub(super) fn run(&self) -> Result<(), DiskFault> {
        loop {
            let mut state = self.state();
            while !state.is_dirty && !state.has_ended {
                state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.has_ended {
                return Ok(());
            }
            drop(state);
            self.sync()?;
            let state = self.state();
            let ended = |state: &mut State| !state.has_ended;
            drop(self.moved.wait_timeout_while(state, SYNC_EVERY, ended).map_err(PoisonError::into_inner));
        }
    }

    /// Nothing more is written.
    pub(super) fn end(&self) {
        self.state().has_ended = true;
        self.moved.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// Of this run of the machine; zeros where it does not say, or is a simulated one.
pub(super) fn boot_id(disk: &Disk) -> [u8; 16] {
    let read = || {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        u128::from_str_radix(&digits, 16).ok().map(u128::to_be_bytes)
    };
    if matches!(disk, Disk::File) { read().unwrap_or_default() } else { [0; 16] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SimDisk;

    fn acknowledged(position: u64) -> Acknowledged {
        let (head, boot_id) = ([u8::try_from(position % 251).unwrap(); 32], [9; 16]);
        Acknowledged { journal_id: [7; 16], epoch: Epoch(1), position: Position(position), head, boot_id }
    }

    #[test]
    fn the_last_written_is_found_and_one_slot_survives_what_befalls_the_other() {
        let disk = Disk::Simulated(SimDisk::new(1));
        let dir = Path::new("/store");
        disk.create_dir(dir).unwrap();
        assert_eq!(find(&disk, dir).unwrap(), Found::Missing);
        let slots = Slots::open(&disk, dir, &Found::Missing).unwrap();
        assert_eq!(find(&disk, dir).unwrap(), Found::Unwritten);
        for position in 1..=5 {
            slots.write(&acknowledged(position)).unwrap();
            assert_eq!(find(&disk, dir).unwrap(), Found::Slot(acknowledged(position)));
        }
        slots.sync().unwrap();
        // The next goes where the last is not, also after a start.
        let slots = Slots::open(&disk, dir, &find(&disk, dir).unwrap()).unwrap();
        slots.write(&acknowledged(6)).unwrap();
        let file = disk.open(&path(dir), false).unwrap();
        for (slot, left) in [(6 % 2, 6), (5 % 2, 5)] {
            let at = (slot ^ 1) * SLOT_OCTETS;
            let mut kept = vec![0; 88];
            file.read_at(&mut kept, at).unwrap();
            let mut broken = kept.clone();
            broken[40] ^= 1;
            file.write_at(&broken, at).unwrap();
            let Found::Slot(found) = find(&disk, dir).unwrap() else { panic!("one is whole") };
            assert!(found.position.0 == left || found.position.0 == 11 - left);
            file.write_at(&kept, at).unwrap();
        }
        file.write_at(&[1], 0).unwrap();
        file.write_at(&[1], SLOT_OCTETS).unwrap();
        assert_eq!(find(&disk, dir).unwrap(), Found::Unreadable);
    }
}
