//! Files of frames, one behind the other.
//!
//! A directory holds segments `<first, 20 decimal digits>.<extension>`. A segment is frames and
//! nothing else; its name is the `first` of its first frame. In the journal `first` counts
//! entries, in the archive octets. A segment begins when the one before has reached its size;
//! its name is made durable before anything in it is.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, DiskFile};
use super::error::{Damage, DiskFault};
use super::frame::{self, Frame, Head, Magic, NO_HEAD};
use super::journal::FIRST;
use super::octets::offset;
use crate::record::Position;

/// What a disk writes whole or not at all; most write more.
const SECTOR_OCTETS: usize = 512;

/// Where the frames of a journal or an archive are.
#[derive(Debug, Clone)]
pub(super) struct Segments {
    pub(super) disk: Disk,
    pub(super) dir: PathBuf,
    pub(super) magic: Magic,
}

/// Where the next frame goes.
#[derive(Debug)]
pub(super) struct Tail {
    segments: Segments,
    /// Octets after which a segment ends.
    segment_octets: u64,
    last: Option<(DiskFile, u64)>,
}

/// What a walk over the frames found at the end.
#[derive(Debug, Clone)]
pub(super) struct End {
    /// `first` of the next frame.
    pub(super) next: u64,
    /// Head of the last frame.
    pub(super) head: Head,
    /// Frames that were read.
    pub(super) frames: u64,
    /// Last segment and the octets of good frames in it.
    pub(super) last: Option<(PathBuf, u64)>,
    /// The last frame, to be written again, and its place.
    pub(super) last_frame: Option<(PathBuf, u64, Vec<u8>)>,
    /// What follows the last good frame and is none.
    pub(super) torn: Option<Torn>,
}

/// The end of a frame that was being written when the power failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The segment.
    pub file: PathBuf,
    /// Octets of good frames before it.
    pub offset: u64,
    /// Octets of it.
    pub octets: u64,
}

/// Why a walk ended early.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum WalkError {
    #[error(transparent)]
    Disk(#[from] DiskFault),
    #[error(transparent)]
    Damaged(#[from] Damage),
}

impl End {
    /// Of a journal without a frame.
    pub(super) const fn none() -> Self {
        Self { next: FIRST, head: NO_HEAD, frames: 0, last: None, last_frame: None, torn: None }
    }
}

impl Segments {
    const fn extension(&self) -> &'static str {
        match self.magic {
            Magic::Journal => "journal",
            Magic::Archive => "archive",
        }
    }

    pub(super) fn path(&self, first: u64) -> PathBuf {
        self.dir.join(format!("{first:020}.{}", self.extension()))
    }

    /// The `first` of every segment, rising.
    pub(super) fn list(&self) -> Result<Vec<u64>, DiskFault> {
        // It is made before it is read: one that is gone is not an empty one.
        let gone = || DiskFault::at("list", &self.dir)(io::ErrorKind::NotFound.into());
        let names = self.disk.list_if_there(&self.dir)?.ok_or_else(gone)?;
        let first = |name: &String| name.strip_suffix(self.extension())?.strip_suffix('.')?.parse().ok();
        let mut firsts: Vec<u64> = names.iter().filter_map(first).collect();
        firsts.sort_unstable();
        Ok(firsts)
    }

    /// `first` of a frame after the frame.
    fn after(&self, frame: &Frame<'_>) -> u64 {
        match self.magic {
            Magic::Journal => frame.first + u64::from(frame.count),
            Magic::Archive => frame.first + offset(frame.octets()),
        }
    }

    /// Reads, in order, every frame of the segment that holds `from` and of those behind it,
    /// and checks each and their chain. With `known`, the frame that begins at `from` must
    /// follow that head. Entries are named in errors by `intact`.
    pub(super) fn walk(
        &self,
        beginning: u64,
        from: u64,
        known: Option<Head>,
        each: &mut dyn FnMut(&Frame<'_>) -> Result<(), &'static str>,
    ) -> Result<End, WalkError> {
        let firsts = self.list()?;
        if let Some(first) = firsts.first()
            && *first != beginning
        {
            return Err(self
                .damage(&self.path(*first), 0, "the segments before it are missing", from)
                .into());
        }
        // Also the segment before, when `from` begins one: the head there is in its last frame.
        let start = firsts.iter().rposition(|first| *first < from).unwrap_or(0);
        let firsts = firsts.get(start..).unwrap_or_default();
        let first = *firsts.first().unwrap_or(&beginning);
        let end = End { next: first, ..End::none() };
        let mut walk = Walk { segments: self, from, is_trusted: first == beginning, met: None, end };
        for (index, first) in firsts.iter().enumerate() {
            let path = self.path(*first);
            if *first != walk.end.next {
                let what = "the segment before it is missing or too short";
                return Err(self.damage(&path, 0, what, walk.end.next).into());
            }
            // It was listed: without it the frames in it are lost, not none.
            let Some(octets) = self.disk.read(&path)? else {
                let what = "the segment is listed and cannot be found";
                return Err(self.damage(&path, 0, what, walk.end.next).into());
            };
            walk.segment(path, &octets, index + 1 == firsts.len(), each)?;
        }
        walk.finish(beginning, known)
    }

    /// Whether what no longer reads as a frame can be the last one, half written: nothing good
    /// follows, and nothing at all follows the length it announces. That is believed where it stands in
    /// one sector with all before it, which is written whole or not at all: torn apart, it may be half of
    /// what was written.
    fn may_be_torn(&self, at: usize, rest: &[u8]) -> bool {
        let is_whole = at % SECTOR_OCTETS + frame::LENGTH_END <= SECTOR_OCTETS;
        let announced = Frame::peek(self.magic, rest).ok().filter(|_| is_whole);
        let more_follows = announced.is_some_and(|(_, _, octets)| octets < rest.len());
        !more_follows && frame::find_good(self.magic, rest).is_none()
    }

    pub(super) fn damage(&self, file: &Path, offset: u64, what: &'static str, next: u64) -> Damage {
        let intact = match self.magic {
            Magic::Journal => Some(Position(next.saturating_sub(1))),
            Magic::Archive => None,
        };
        Damage { file: file.to_owned(), offset, what, intact }
    }
}

/// A walk under way.
struct Walk<'a> {
    segments: &'a Segments,
    /// Where the caller takes up.
    from: u64,
    /// The head before the first frame here is known, and not only said by that frame.
    is_trusted: bool,
    /// The head at `from`, once it was met.
    met: Option<Head>,
    end: End,
}

impl Walk<'_> {
    /// Reads the frames of one segment.
    fn segment(
        &mut self,
        path: PathBuf,
        octets: &[u8],
        is_last: bool,
        each: &mut dyn FnMut(&Frame<'_>) -> Result<(), &'static str>,
    ) -> Result<(), Damage> {
        let segments = self.segments;
        let mut at = 0;
        let mut last_frame = None;
        while let Some(rest) = octets.get(at..).filter(|rest| !rest.is_empty()) {
            let place = offset(at);
            let frame = match Frame::read(segments.magic, rest) {
                Ok(frame) => frame,
                Err(_) if is_last && segments.may_be_torn(at, rest) => {
                    let octets = offset(rest.len());
                    self.end.torn = Some(Torn { file: path.clone(), offset: place, octets });
                    break;
                }
                Err(what) => return Err(segments.damage(&path, place, what, self.end.next)),
            };
            self.follow(&frame)
                .and_then(|()| each(&frame))
                .map_err(|what| segments.damage(&path, place, what, self.end.next))?;
            self.end.next = segments.after(&frame);
            self.end.head = frame.head;
            self.end.frames += 1;
            last_frame = Some((place, at..at + frame.octets()));
            at += frame.octets();
        }
        if let Some((place, range)) = last_frame {
            self.end.last_frame = octets.get(range).map(|whole| (path.clone(), place, whole.to_vec()));
        }
        self.end.last = Some((path, offset(at)));
        Ok(())
    }

    /// A frame must follow the one before.
    fn follow(&mut self, frame: &Frame<'_>) -> Result<(), &'static str> {
        if !self.is_trusted {
            // The frames before are for `check` to read; a snapshot's head must be met.
            (self.end.head, self.is_trusted) = (frame.previous, true);
        }
        if frame.first != self.end.next || frame.previous != self.end.head {
            return Err("a frame does not follow the one before: edited, exchanged or missing");
        }
        if frame.first == self.from {
            self.met = Some(frame.previous);
        }
        Ok(())
    }

    /// What was known must have been met.
    fn finish(self, beginning: u64, known: Option<Head>) -> Result<End, WalkError> {
        let Self { segments, from, end, .. } = self;
        let met = if end.next == from { Some(end.head) } else { self.met };
        if known.is_none_or(|known| met == Some(known)) {
            return Ok(end);
        }
        let what =
            "a snapshot or marker names another head than the journal has there, or an entry behind its end";
        let (path, place) = end.last.unwrap_or_else(|| (segments.path(beginning), 0));
        Err(segments.damage(&path, place, what, end.next.min(from)).into())
    }
}

impl Tail {
    /// Takes up writing where `end` found the end: cuts what is torn, and makes sure that the last
    /// frame and the length are on the disk and not only in the page cache, where a process that died
    /// between a write and its sync leaves them. Both are written again, since a failed sync may have
    /// marked clean what it lost: a cut that never reached the disk would come back with the next loss
    /// of power, behind frames and segments written since.
    pub(super) fn resume(segments: Segments, end: &End, segment_octets: u64) -> Result<Self, DiskFault> {
        let disk = &segments.disk;
        let last = match &end.last {
            Some((path, octets)) => Some((disk.open(path, false)?, *octets)),
            None => None,
        };
        if let Some((file, octets)) = &last {
            file.truncate(*octets)?;
            file.sync_data()?;
        }
        if let Some((path, place, octets)) = &end.last_frame {
            let file = disk.open(path, false)?;
            file.write_at(octets, *place)?;
            file.sync_data()?;
        }
        disk.sync_dir(&segments.dir)?;
        Ok(Self { segments, segment_octets, last })
    }

    /// Writes a frame and makes it durable; true when it began a segment. After an error no
    /// call may follow.
    pub(super) fn append(&mut self, first: u64, frame: &[u8]) -> Result<bool, DiskFault> {
        let full = self.last.as_ref().is_none_or(|(_, octets)| *octets >= self.segment_octets);
        if full {
            let Segments { disk, dir, .. } = &self.segments;
            self.last = Some((disk.open(&self.segments.path(first), true)?, 0));
            disk.sync_dir(dir)?;
        }
        let Some((file, octets)) = &mut self.last else { return Ok(full) };
        // One that was cut would have its length again after the write, and a hole before it.
        file.check_place(*octets)?;
        file.write_at(frame, *octets)?;
        file.sync_data()?;
        *octets += offset(frame.len());
        file.check_place(*octets)?;
        Ok(full)
    }
}
