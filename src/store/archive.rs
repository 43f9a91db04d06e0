//! The archive: what was issued, with what links a holder to a person, and comments, which may name one.
//!
//! Frames in `archive/`, whose `first` counts the octets of all frames before. The payload begins with
//! where the journal ended, durably, when the frame was written (40 octets; frames of version 1 have none),
//! in the epoch of the frame's header:
//!
//! | field | octets | |
//! |---|---|---|
//! | position | 8 | of its last entry |
//! | head | 32 | of its last frame |
//!
//! A journal of that epoch which ends before, or has another head there, has lost its end. Then:
//!
//! | each record | octets | |
//! |---|---|---|
//! | length | 4 | of the octets |
//! | checksum | 4 | CRC-32 (IEEE) of the octets |
//! | octets | length | the caller's; opaque here |
//!
//! An [`ArchivePlace`] is the number of octets before the record in the whole archive, headers
//! of frames included, so one read finds it. Certificates and comments are appended before their entry: a
//! record that no entry names is an orphan, and the serial of a certificate is spent. An entry whose certificate
//! is missing is a fault that stops issuing. One whose comment is missing stops nothing: where the archive ends
//! before comments that entries name, records of nothing but octets FF are put into their places, and mean
//! that there is nothing.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::disk::Disk;
use super::error::{DiskFault, StoreError};
use super::frame::{self, Frame, HEADER_OCTETS, Head, Magic};
use super::octets::{Octets, offset};
use super::segments::{End, Segments, Tail};
use super::shared::Shared;
use super::tip::{Named, Tip};
use crate::record::{ArchivePlace, Epoch, Position};

/// Octets of one record: a certificate has one to three thousand, the personal data beside it
/// fewer; a larger one is a mistake.
pub const ARCHIVE_RECORD_OCTETS_MAX: usize = 64 << 10;

const RECORD_HEADER_OCTETS: usize = 8;

/// What fills places whose records are lost. No DER begins with it, and as a length it is too long, so no record
/// begins in the midst of it.
const LOST: u8 = 0xff;
const LOST_OCTETS_MIN: usize = 32;

/// Where the journal ended when a frame was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beside {
    pub(super) epoch: Epoch,
    pub(super) position: Position,
    pub(super) head: Head,
}

/// The end of the journal, for a frame to be written now.
pub(super) fn beside(tip: &Tip) -> Beside {
    Beside { epoch: tip.facts.epoch, position: tip.position, head: tip.head }
}

/// True for what stands in the place of records that are lost.
fn is_lost(record: &[u8]) -> bool {
    record.len() >= LOST_OCTETS_MIN && record.iter().all(|octet| *octet == LOST)
}

/// What is to be known of an archive's end before a journal is believed.
#[derive(Debug, Default)]
pub(super) struct Examined {
    /// Of each frame that says so.
    pub(super) beside: Vec<Beside>,
    /// Records behind the last certificate that an entry names.
    pub(super) orphans: Vec<Vec<u8>>,
}

/// Records by their places.
pub(super) type Records<'a> = Vec<(ArchivePlace, &'a [u8])>;

/// Where the journal ended when a frame was written, if it says so, and its records by their places; without
/// what stands for lost ones.
pub(super) fn parts<'a>(frame: &Frame<'a>) -> Result<(Option<Beside>, Records<'a>), &'static str> {
    const SHORT: &str = "an archived record is cut short";
    let mut rest = Octets(frame.payload);
    let beside = if frame.version < 2 {
        None
    } else {
        let mut fields = || Some((Position(rest.u64()?), rest.array()?));
        let (position, head) = fields().ok_or(SHORT)?;
        Some(Beside { epoch: Epoch(frame.epoch), position, head })
    };
    let mut records = Vec::new();
    while !rest.0.is_empty() {
        let place = ArchivePlace(frame.first + offset(frame.octets() - rest.0.len()));
        let mut record = || {
            let (len, checksum) = (rest.u32()?, rest.u32()?);
            Some((rest.take(usize::try_from(len).ok()?)?, checksum))
        };
        let (octets, checksum) = record().ok_or(SHORT)?;
        if crc32fast::hash(octets) != checksum {
            return Err("an archived record does not match its checksum");
        }
        if !is_lost(octets) {
            records.push((place, octets));
        }
    }
    Ok((beside, records))
}

/// The writing end.
#[derive(Debug)]
pub(super) struct Archive {
    tail: Tail,
    head: Head,
}

/// The reading end, shared.
#[derive(Debug)]
pub(super) struct ArchiveReader {
    segments: Segments,
    /// `first` of every segment.
    firsts: RwLock<Vec<u64>>,
    /// Durable octets.
    end: AtomicU64,
}

impl ArchiveReader {
    pub(super) fn new(disk: &Disk, dir: &Path) -> Self {
        let segments = Segments { disk: disk.clone(), dir: dir.to_owned(), magic: Magic::Archive };
        Self { segments, firsts: RwLock::default(), end: AtomicU64::new(0) }
    }

    pub(super) fn read(&self, place: ArchivePlace) -> Result<Vec<u8>, StoreError> {
        let absent = || StoreError::NoSuchPlace(place);
        if place.0 >= self.end.load(Ordering::Acquire) {
            return Err(absent());
        }
        let first = {
            let firsts = self.firsts.read().unwrap_or_else(PoisonError::into_inner);
            firsts.iter().rev().find(|first| **first <= place.0).copied().ok_or_else(absent)?
        };
        let path = self.segments.path(first);
        let file = self.segments.disk.open_read(&path)?;
        let at = place.0 - first;
        let mut header = [0; RECORD_HEADER_OCTETS];
        file.read_at(&mut header, at)?;
        let mut fields = Octets(&header);
        let len = fields.u32().and_then(|len| usize::try_from(len).ok()).unwrap_or(usize::MAX);
        let damage =
            || self.segments.damage(&path, at, "an archived record does not match its checksum", place.0);
        if len > ARCHIVE_RECORD_OCTETS_MAX {
            return Err(damage().into());
        }
        let mut octets = vec![0; len];
        file.read_at(&mut octets, at + offset(RECORD_HEADER_OCTETS))?;
        match fields.u32() == Some(crc32fast::hash(&octets)) {
            true if is_lost(&octets) => Err(absent()),
            true => Ok(octets),
            false => Err(damage().into()),
        }
    }

    pub(super) fn is_empty(&self) -> Result<bool, DiskFault> {
        Ok(self.segments.list()?.is_empty())
    }

    /// Octets of the archive.
    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Reads from the highest place of a certificate that an entry names on: `named` is one more. Not from that of
    /// a comment, which may stand behind orphans. Reads only.
    pub(super) fn examine(&self, named: u64) -> Result<Examined, StoreError> {
        let last = self.segments.list()?.last().copied().unwrap_or(0);
        let mut examined = Examined::default();
        self.segments.walk(0, last.min(named.saturating_sub(1)), None, &mut |frame| {
            let (beside, records) = parts(frame)?;
            examined.beside.extend(beside);
            let orphans = records.into_iter().filter(|(place, _)| place.0 >= named);
            examined.orphans.extend(orphans.map(|(_, octets)| octets.to_vec()));
            Ok(())
        })?;
        Ok(examined)
    }

    /// Reads the last segments, and takes up writing. With an error nothing has been modified, and what is
    /// there can still be read.
    pub(super) fn open(&self, named: Named, segment_octets: u64) -> Result<Archive, StoreError> {
        let firsts = self.segments.list()?;
        let last = firsts.last().copied().unwrap_or(0);
        *self.firsts.write().unwrap_or_else(PoisonError::into_inner) = firsts;
        let end = self.segments.walk(0, last, None, &mut |_| Ok(()));
        let end: End = match end {
            Ok(end) => end,
            Err(error) => {
                self.end.store(named.end(), Ordering::Release);
                return Err(error.into());
            }
        };
        self.end.store(end.next, Ordering::Release);
        if end.next < named.certificates {
            let (path, at) = end.last.unwrap_or_else(|| (self.segments.path(0), 0));
            let what = "it ends before a certificate that the journal names";
            return Err(self.segments.damage(&path, at, what, end.next).into());
        }
        let tail = Tail::resume(self.segments.clone(), &end, segment_octets)?;
        Ok(Archive { tail, head: end.head })
    }
}

impl Archive {
    /// Fills the archive with what stands for lost records, until it ends at `named` or behind.
    pub(super) fn pass(
        &mut self,
        reader: &ArchiveReader,
        named: u64,
        beside: &Beside,
    ) -> Result<(), DiskFault> {
        while reader.end() < named {
            let missing = usize::try_from(named - reader.end()).unwrap_or(usize::MAX);
            let record = vec![LOST; missing.clamp(LOST_OCTETS_MIN, ARCHIVE_RECORD_OCTETS_MAX)];
            self.append(reader, &[record], beside)?;
        }
        Ok(())
    }

    /// Appends records and makes them durable; their places, in order. After an error no call
    /// may follow.
    fn append(
        &mut self,
        reader: &ArchiveReader,
        records: &[Vec<u8>],
        beside: &Beside,
    ) -> Result<Vec<ArchivePlace>, DiskFault> {
        let first = reader.end();
        let mut payload = [&beside.position.0.to_be_bytes()[..], &beside.head].concat();
        let mut places = Vec::with_capacity(records.len());
        for record in records {
            places.push(ArchivePlace(first + offset(HEADER_OCTETS + payload.len())));
            payload.extend(u32::try_from(record.len()).unwrap_or(u32::MAX).to_be_bytes());
            payload.extend(crc32fast::hash(record).to_be_bytes());
            payload.extend(record);
        }
        let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
        let (octets, head) = frame::write(Magic::Archive, beside.epoch.0, first, count, &self.head, &payload);
        if self.tail.append(first, &octets)? {
            reader.firsts.write().unwrap_or_else(PoisonError::into_inner).push(first);
        }
        self.head = head;
        reader.end.store(first + offset(octets.len()), Ordering::Release);
        Ok(places)
    }
}

/// Appends certificates and comments, until the disk refuses once.
#[derive(Debug)]
pub struct ArchiveWriter {
    pub(super) shared: Arc<Shared>,
    pub(super) archive: Option<Archive>,
}

impl ArchiveWriter {
    /// Appends records and makes them durable; their places, in order.
    ///
    /// # Errors
    /// [`StoreError::Archive`], from the first failure on.
    pub fn append(&mut self, records: &[Vec<u8>]) -> Result<Vec<ArchivePlace>, StoreError> {
        let Some(archive) = &mut self.archive else {
            let fault = self.shared.archive_fault().map(ToString::to_string);
            return Err(StoreError::Archive(fault.unwrap_or_else(|| "not open".to_owned())));
        };
        if let Some(large) = records.iter().find(|record| record.len() > ARCHIVE_RECORD_OCTETS_MAX) {
            return Err(StoreError::Archive(format!(
                "{} octets are no certificate and no comment",
                large.len()
            )));
        }
        let beside = beside(&self.shared.tip());
        archive.append(&self.shared.archive, records, &beside).map_err(|fault| {
            self.archive = None;
            self.shared.set_archive_fault(fault.clone().into());
            StoreError::Archive(fault.to_string())
        })
    }
}
