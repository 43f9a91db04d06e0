//! The archive: what was issued, with what links a holder to a person.
//!
//! Frames in `archive/`, whose `first` counts the octets of all frames before. The payload:
//!
//! | each record | octets | |
//! |---|---|---|
//! | length | 4 | of the octets |
//! | checksum | 4 | CRC-32 (IEEE) of the octets |
//! | octets | length | the caller's; opaque here |
//!
//! An [`ArchivePlace`] is the number of octets before the record in the whole archive, headers
//! of frames included, so one read finds it. Certificates are appended before their entry: a
//! record that no entry names is an orphan and its serial is spent; an entry whose record is
//! missing is a fault that stops issuing.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::disk::Disk;
use super::error::{DiskFault, StoreError};
use super::frame::{self, HEADER_OCTETS, Head, Magic};
use super::octets::{Octets, offset};
use super::segments::{End, Segments, Tail};
use super::shared::Shared;
use crate::record::ArchivePlace;

/// Octets of one record: a certificate has one to three thousand, the personal data beside it
/// fewer; a larger one is a mistake.
pub const ARCHIVE_RECORD_OCTETS_MAX: usize = 64 << 10;

const RECORD_HEADER_OCTETS: usize = 8;

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
        let damage = || {
            self.segments.damage(&path, at, "an archived certificate does not match its checksum", place.0)
        };
        if len > ARCHIVE_RECORD_OCTETS_MAX {
            return Err(damage().into());
        }
        let mut octets = vec![0; len];
        file.read_at(&mut octets, at + offset(RECORD_HEADER_OCTETS))?;
        if fields.u32() == Some(crc32fast::hash(&octets)) { Ok(octets) } else { Err(damage().into()) }
    }

    pub(super) fn is_empty(&self) -> Result<bool, DiskFault> {
        Ok(self.segments.list()?.is_empty())
    }

    /// Octets of the archive.
    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Reads the last segments, and takes up writing. `named` is one more than the highest
    /// place that an entry names. With an error nothing has been modified, and what is there
    /// can still be read.
    pub(super) fn open(&self, named: u64, segment_octets: u64) -> Result<Archive, StoreError> {
        let firsts = self.segments.list()?;
        let last = firsts.last().copied().unwrap_or(0);
        *self.firsts.write().unwrap_or_else(PoisonError::into_inner) = firsts;
        let end = self.segments.walk(0, last, None, &mut |_| Ok(()));
        let end: End = match end {
            Ok(end) => end,
            Err(error) => {
                self.end.store(named, Ordering::Release);
                return Err(error.into());
            }
        };
        self.end.store(end.next, Ordering::Release);
        if end.next < named {
            let (path, at) = end.last.unwrap_or_else(|| (self.segments.path(0), 0));
            let what = "it ends before a certificate that the journal names";
            return Err(self.segments.damage(&path, at, what, end.next).into());
        }
        let tail = Tail::resume(self.segments.clone(), &end, segment_octets)?;
        Ok(Archive { tail, head: end.head })
    }
}

impl Archive {
    /// Appends records and makes them durable; their places, in order. After an error no call
    /// may follow.
    fn append(
        &mut self,
        reader: &ArchiveReader,
        records: &[Vec<u8>],
    ) -> Result<Vec<ArchivePlace>, DiskFault> {
        let first = reader.end();
        let mut payload = Vec::new();
        let mut places = Vec::with_capacity(records.len());
        for record in records {
            places.push(ArchivePlace(first + offset(HEADER_OCTETS + payload.len())));
            payload.extend(u32::try_from(record.len()).unwrap_or(u32::MAX).to_be_bytes());
            payload.extend(crc32fast::hash(record).to_be_bytes());
            payload.extend(record);
        }
        let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
        let (octets, head) = frame::write(Magic::Archive, 0, first, count, &self.head, &payload);
        if self.tail.append(first, &octets)? {
            reader.firsts.write().unwrap_or_else(PoisonError::into_inner).push(first);
        }
        self.head = head;
        reader.end.store(first + offset(octets.len()), Ordering::Release);
        Ok(places)
    }
}

/// Appends certificates, until the disk refuses once.
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
            return Err(StoreError::Archive(format!("{} octets are no certificate", large.len())));
        }
        archive.append(&self.shared.archive, records).map_err(|fault| {
            self.archive = None;
            self.shared.set_archive_fault(fault.clone().into());
            StoreError::Archive(fault.to_string())
        })
    }
}
