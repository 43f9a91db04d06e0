//! The journal: frames in the files of `journal/`, and the entries in their payloads.
//!
//! Nothing outside this file knows that it is files. It is read from a position on, appended to behind the
//! head that the writer knows, and tells its head.
//!
//! The payload of a frame is its entries in the form of [`Entry::write`], one behind the other;
//! the frame's `first` is the position of the first, its `count` their number. The first entry
//! of all is [`JournalBegun`](crate::record::Event::JournalBegun).

use std::collections::VecDeque;
use std::io::Error;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::disk::Disk;
use super::error::{Damage, DiskFault, StoreError};
use super::frame::{self, Frame, Head, Magic, NO_HEAD};
use super::segments::{End, Segments, Tail, WalkError};
use crate::record::{Entry, Numbered, Position};

/// Position of the first entry of all.
pub(super) const FIRST: u64 = 1;

/// The journal of a store, in files.
#[derive(Debug)]
pub(super) struct Journal {
    segments: Segments,
    writing: Mutex<Writing>,
}

/// Where the next frame goes.
#[derive(Debug)]
struct Writing {
    /// None before it was taken up: it can only be read.
    tail: Option<Tail>,
    head: Head,
}

/// A frame to be appended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draft<'a> {
    pub(super) epoch: u32,
    /// Position of its first entry.
    pub(super) first: Position,
    pub(super) count: u32,
    pub(super) payload: &'a [u8],
}

impl Journal {
    /// The journal in a directory, to be read.
    pub(super) fn new(disk: &Disk, dir: &Path) -> Self {
        let segments = Segments { disk: disk.clone(), dir: dir.to_owned(), magic: Magic::Journal };
        Self { segments, writing: Mutex::new(Writing { tail: None, head: NO_HEAD }) }
    }

    /// Reads every frame from the one that holds `from` on, and some before it; checks each and their
    /// chain. With `known`, that must be the head before the frame that begins at `from`.
    pub(super) fn read_from(
        &self,
        from: Position,
        known: Option<Head>,
        each: &mut dyn FnMut(&Frame<'_>) -> Result<(), &'static str>,
    ) -> Result<End, WalkError> {
        self.segments.walk(FIRST, from.0, known, each)
    }

    /// The entries from `from` on, up to `until`, which must be durable.
    pub(super) fn entries(&self, from: Position, until: Position) -> Entries {
        Entries::new(self.segments.clone(), from, until)
    }

    /// Takes up writing where a reading found the end: cuts what is torn and makes the last frame
    /// durable. `is_durable`: that was seen to before.
    pub(super) fn take_up(&self, end: &End, segment_octets: u64, is_durable: bool) -> Result<(), DiskFault> {
        let mut end = end.clone();
        if is_durable {
            end.last_frame = None;
        }
        let tail = Tail::resume(self.segments.clone(), &end, segment_octets)?;
        *self.writing() = Writing { tail: Some(tail), head: end.head };
        Ok(())
    }

    /// Cuts a file at an octet, and moves the files behind it away, and itself when nothing of it is left:
    /// what is in them is given up. Nothing is written over in `into`.
    pub(super) fn give_up_behind(&self, file: &Path, offset: u64, into: &Path) -> Result<(), DiskFault> {
        let Segments { disk, dir, .. } = &self.segments;
        for first in self.segments.list()?.into_iter().rev() {
            let path = self.segments.path(first);
            if path == file && offset > 0 {
                break;
            }
            let to = disk.free_name(&into.join(path.file_name().unwrap_or_default()))?;
            disk.rename(&path, &to)?;
            if path == file {
                break;
            }
        }
        disk.sync_dir(into)?;
        disk.sync_dir(dir)?;
        if offset == 0 {
            return Ok(());
        }
        let cut = disk.open(file, false)?;
        cut.truncate(offset)?;
        cut.sync_data()
    }

    /// Appends a frame behind the head that the caller knows, and makes it durable; its head. After an
    /// error no call may follow: what became of the frame is unknown.
    pub(super) fn append(&self, expected: &Head, draft: Draft<'_>) -> Result<Head, DiskFault> {
        let mut writing = self.writing();
        let refused =
            |what: &str| DiskFault::at("append to", &self.segments.dir)(Error::other(what.to_owned()));
        if writing.head != *expected {
            return Err(refused("somebody else has written there"));
        }
        let Draft { epoch, first, count, payload } = draft;
        let (octets, head) = frame::write(Magic::Journal, epoch, first.0, count, expected, payload);
        let tail = writing.tail.as_mut().ok_or_else(|| refused("it was opened to be read"))?;
        tail.append(first.0, &octets)?;
        writing.head = head;
        Ok(head)
    }

    /// The head of the last frame, once writing was taken up.
    pub(super) fn head(&self) -> Head {
        self.writing().head
    }

    /// Something is wrong where a reading ended.
    pub(super) fn damage_at(&self, end: &End, what: &'static str) -> Damage {
        let (path, place) = end.last.clone().unwrap_or_else(|| (self.segments.path(FIRST), 0));
        self.segments.damage(&path, place, what, end.next)
    }

    fn writing(&self) -> std::sync::MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entries of a frame.
pub(super) fn entries_of(frame: &Frame<'_>) -> Result<Vec<Numbered>, &'static str> {
    let mut rest = frame.payload;
    let entries = (0..u64::from(frame.count)).map(|index| {
        let entry =
            Entry::read(&mut rest).map_err(|_| "a frame holds an entry that this version cannot read")?;
        Ok::<_, &'static str>(Numbered { position: Position(frame.first + index), entry })
    });
    let entries = entries.collect::<Result<_, &'static str>>()?;
    if rest.is_empty() { Ok(entries) } else { Err("a frame holds more than its entries") }
}

/// Entries in order, up to one that was durable when the reading began.
#[derive(Debug)]
pub(super) struct Entries {
    segments: Segments,
    next: u64,
    until: u64,
    segment: Option<(u64, Vec<u8>, usize)>,
    ready: VecDeque<Numbered>,
}

impl Entries {
    fn new(segments: Segments, from: Position, until: Position) -> Self {
        Self { segments, next: from.0.max(FIRST), until: until.0, segment: None, ready: VecDeque::new() }
    }

    /// Reads the frame that holds `next`.
    fn read_on(&mut self) -> Result<(), StoreError> {
        if self.segment.is_none() {
            let firsts = self.segments.list()?;
            let first = firsts.iter().rev().find(|first| **first <= self.next).copied().unwrap_or(FIRST);
            let octets = self.segments.disk.open_read(&self.segments.path(first))?.read_all()?;
            self.segment = Some((first, octets, 0));
        }
        let Some((first, octets, at)) = &mut self.segment else { return Ok(()) };
        while let Some(rest) = octets.get(*at..).filter(|rest| !rest.is_empty()) {
            let place = super::octets::offset(*at);
            let damage = |what| self.segments.damage(&self.segments.path(*first), place, what, self.next);
            let (begins, count, len) = Frame::peek(Magic::Journal, rest).map_err(damage)?;
            if begins + u64::from(count) > self.next {
                let frame = Frame::read(Magic::Journal, rest).map_err(damage)?;
                let entries = entries_of(&frame).map_err(damage)?;
                let wanted = |numbered: &Numbered| (self.next..=self.until).contains(&numbered.position.0);
                self.ready.extend(entries.into_iter().filter(wanted));
                *at += len;
                if self.ready.front().is_none_or(|found| found.position.0 != self.next) {
                    return Err(damage("an entry is missing").into());
                }
                return Ok(());
            }
            *at += len;
        }
        let (first, octets, _) = self.segment.take().unwrap_or_default();
        if first == self.next || !self.segments.list()?.contains(&self.next) {
            let place = super::octets::offset(octets.len());
            let path = self.segments.path(first);
            return Err(self.segments.damage(&path, place, "an entry is missing", self.next).into());
        }
        Ok(())
    }
}

impl Iterator for Entries {
    type Item = Result<Numbered, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && self.next <= self.until {
            if let Err(error) = self.read_on() {
                self.until = 0;
                return Some(Err(error));
            }
        }
        let numbered = self.ready.pop_front()?;
        self.next = numbered.position.next().0;
        Some(Ok(numbered))
    }
}

impl From<WalkError> for StoreError {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::Disk(fault) => Self::Disk(fault),
            WalkError::Damaged(damage) => Self::Damaged(damage),
        }
    }
}

impl From<WalkError> for super::error::OpenError {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::Disk(fault) => Self::Disk(fault),
            WalkError::Damaged(damage) => Self::Damaged(damage),
        }
    }
}
