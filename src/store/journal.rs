//! Reading the journal: the frames of `journal/`, and the entries in their payloads.
//!
//! The payload of a frame is its entries in the form of [`Entry::write`], one behind the other;
//! the frame's `first` is the position of the first, its `count` their number. The first entry
//! of all is [`JournalBegun`](crate::record::Event::JournalBegun).

use std::collections::VecDeque;

use super::error::StoreError;
use super::frame::{Frame, Magic};
use super::segments::{Segments, WalkError};
use crate::record::{Entry, Numbered, Position};

/// Position of the first entry of all.
pub(super) const FIRST: u64 = 1;

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
    pub(super) fn new(segments: Segments, from: Position, until: Position) -> Self {
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
