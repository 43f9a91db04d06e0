//! The journal for somebody else to check: frame by frame, as they stand in its files. Reads only, also
//! beside a running service.

use std::io;
use std::path::Path;

use super::disk::Disk;
use super::error::OpenError;
use super::frame::{Frame, Head, NO_HEAD};
use super::journal::{FIRST, Journal, entries_of};
use super::octets::offset;
use super::segments::{End, WalkError};
use crate::record::{Numbered, Position};

/// A frame, and where it stands among all, one behind the other.
#[derive(Debug)]
pub struct ExportedFrame<'a> {
    /// Its octets, header and payload.
    pub octets: &'a [u8],
    /// Octets of the frames before it.
    pub offset: u64,
    /// Its head: SHA-256 over octets 0 to 59 and the payload.
    pub head: Head,
    /// What is in it.
    pub entries: Vec<Numbered>,
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// How many frames.
    pub frames: u64,
    /// Their octets.
    pub octets: u64,
    /// The last entry.
    pub last: Position,
    /// The head of the last frame.
    pub head: Head,
    /// Octets behind the last frame that are no whole frame, and were left out.
    pub torn: u64,
}

/// Why an export came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The journal cannot be read, or is not what was written.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// Whoever takes the frames does not.
    #[error(transparent)]
    Refused(#[from] io::Error),
}

/// Hands over every frame of the journal of the store in `dir`, each checked and in its place in the chain;
/// up to the one that holds `until`, when that is known to be durable.
///
/// # Errors
/// [`ExportError`]; what was handed over before is right.
pub fn export(
    dir: &Path,
    until: Option<Position>,
    each: &mut dyn FnMut(&ExportedFrame<'_>) -> io::Result<()>,
) -> Result<Export, ExportError> {
    if !dir.join("journal").is_dir() {
        return Err(OpenError::NoJournal(dir.to_owned()).into());
    }
    let journal = Journal::new(&Disk::File, &dir.join("journal"));
    let mut export = Export { frames: 0, octets: 0, last: Position(FIRST - 1), head: NO_HEAD, torn: 0 };
    let mut refused = None;
    let read = journal.read_from(Position(FIRST), None, &mut |frame| {
        if until.is_some_and(|until| export.last >= until) {
            return Err("enough was read");
        }
        let entries = entries_of(frame)?;
        let one = ExportedFrame { octets: frame.whole, offset: export.octets, head: frame.head, entries };
        each(&one).map_err(|error| {
            refused = Some(error);
            "its frame was not taken"
        })?;
        export.count(frame, &one);
        Ok(())
    });
    match refused {
        Some(error) => Err(error.into()),
        None => Ok(export.ended(dir, until, read)?),
    }
}

impl Export {
    fn count(&mut self, frame: &Frame<'_>, one: &ExportedFrame<'_>) {
        self.frames += 1;
        self.octets += offset(frame.whole.len());
        self.last = one.entries.last().map_or(self.last, |numbered| numbered.position);
        self.head = frame.head;
    }

    /// What is behind `until` is being written, and says nothing.
    fn ended(
        mut self,
        dir: &Path,
        until: Option<Position>,
        read: Result<End, WalkError>,
    ) -> Result<Self, OpenError> {
        if until.is_some_and(|until| self.last >= until) {
            return Ok(self);
        }
        self.torn = read?.torn.map_or(0, |torn| torn.octets);
        match until {
            Some(until) => Err(OpenError::End {
                dir: dir.to_owned(),
                last: self.last,
                what: format!("the service has acknowledged entry {until}"),
            }),
            None if self.frames == 0 => Err(OpenError::NoJournal(dir.to_owned())),
            None => Ok(self),
        }
    }
}
