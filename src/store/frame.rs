//! Frames: the unit in which the journal and the archive are written.
//!
//! | field | offset | octets | |
//! |---|---|---|---|
//! | magic | 0 | 4 | `SKJF` in the journal, `SKAF` in the archive |
//! | version | 4 | 4 | 1; 2 in the archive, whose frames say where the journal ended; it reads 1 too |
//! | epoch | 8 | 4 | of the journal when the frame was written |
//! | first | 12 | 8 | journal: position of its first entry; archive: octets before the frame |
//! | count | 20 | 4 | entries or archived records in it, from 1 |
//! | length | 24 | 4 | octets of the payload |
//! | previous head | 28 | 32 | head of the frame before; zeros in the first |
//! | checksum | 60 | 4 | CRC-32 (IEEE) of octets 0–59 and the payload |
//! | payload | 64 | length | |
//!
//! Numbers are big-endian. The **head** of a frame is SHA-256 over octets 0–59 and the payload.
//! The header holds the previous head, so that this is a chain, and it covers the epoch and the
//! positions too: a chain over payloads alone would let a frame be renumbered unseen. The
//! checksum finds a torn write; the chain finds an edited, exchanged or missing frame.
//!
//! Frame n+1 is written only after the sync of frame n returned. So at most the last frame can
//! be torn, and a good frame behind a bad one proves damage.

use ring::digest;

use super::octets::{Octets, offset};

/// A link of the chain: SHA-256.
pub type Head = [u8; 32];

/// Before the first frame.
pub(super) const NO_HEAD: Head = [0; 32];

/// Octets of a frame's header.
pub(super) const HEADER_OCTETS: usize = 64;
/// Where the length ends in the header.
pub(super) const LENGTH_END: usize = 28;
/// Octets of the header that the checksum and the head cover.
const COVERED_OCTETS: usize = 60;

/// Octets of a payload. A decision's entries are in one frame; 32 MiB hold a revocation of
/// 250,000 certificates, above the 100,000 that the service promises to take in ten minutes,
/// and still fit in memory many times over.
pub(super) const PAYLOAD_OCTETS_MAX: usize = 32 << 20;

const JOURNAL_VERSION: u32 = 1;
const ARCHIVE_VERSION: u32 = 2;

/// Whose frame it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Magic {
    Journal,
    Archive,
}

impl Magic {
    const fn octets(self) -> &'static [u8; 4] {
        match self {
            Self::Journal => b"SKJF",
            Self::Archive => b"SKAF",
        }
    }

    const fn version(self) -> u32 {
        match self {
            Self::Journal => JOURNAL_VERSION,
            Self::Archive => ARCHIVE_VERSION,
        }
    }
}

/// A frame whose checksum is right. That it follows the one before is for the reader to see.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) version: u32,
    pub(super) epoch: u32,
    pub(super) first: u64,
    pub(super) count: u32,
    pub(super) previous: Head,
    pub(super) payload: &'a [u8],
    pub(super) head: Head,
    /// Header and payload, as they stand in the file.
    pub(super) whole: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads the frame at the front of `octets`; what is wrong with it, otherwise.
    pub(super) fn read(magic: Magic, octets: &'a [u8]) -> Result<Self, &'static str> {
        let fields = Fields::read(magic, octets)?;
        let (header, rest) = octets.split_at_checked(HEADER_OCTETS).ok_or(SHORT)?;
        let payload = rest.get(..fields.length).ok_or(SHORT)?;
        let covered = header.get(..COVERED_OCTETS).ok_or(SHORT)?;
        if checksum(covered, payload) != fields.checksum {
            return Err("the checksum of a frame does not match");
        }
        Ok(Self {
            version: fields.version,
            epoch: fields.epoch,
            first: fields.first,
            count: fields.count,
            previous: fields.previous,
            payload,
            head: head(covered, payload),
            whole: octets.get(..HEADER_OCTETS + fields.length).ok_or(SHORT)?,
        })
    }

    /// Octets of the whole frame.
    pub(super) fn octets(&self) -> usize {
        HEADER_OCTETS + self.payload.len()
    }

    /// First, count and octets of the frame at the front of `octets`, unchecked: to pass by it.
    pub(super) fn peek(magic: Magic, octets: &[u8]) -> Result<(u64, u32, usize), &'static str> {
        let fields = Fields::read(magic, octets)?;
        Ok((fields.first, fields.count, HEADER_OCTETS + fields.length))
    }
}

/// The octets of a frame, and its head.
pub(super) fn write(
    magic: Magic,
    epoch: u32,
    first: u64,
    count: u32,
    previous: &Head,
    payload: &[u8],
) -> (Vec<u8>, Head) {
    let mut out = Vec::with_capacity(HEADER_OCTETS + payload.len());
    out.extend(magic.octets());
    out.extend(magic.version().to_be_bytes());
    out.extend(epoch.to_be_bytes());
    out.extend(first.to_be_bytes());
    out.extend(count.to_be_bytes());
    out.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(previous);
    let head = head(&out, payload);
    let checksum = checksum(&out, payload);
    out.extend(checksum.to_be_bytes());
    out.extend(payload);
    (out, head)
}

/// Offset of the first good frame in `octets`, at any place.
pub(super) fn find_good(magic: Magic, octets: &[u8]) -> Option<u64> {
    let places = octets.windows(4).enumerate().filter(|(_, window)| window == magic.octets());
    let mut good =
        places.filter(|(place, _)| octets.get(*place..).is_some_and(|from| Frame::read(magic, from).is_ok()));
    good.next().map(|(place, _)| offset(place))
}

struct Fields {
    version: u32,
    epoch: u32,
    first: u64,
    count: u32,
    length: usize,
    previous: Head,
    checksum: u32,
}

const SHORT: &str = "the file ends within a frame";

impl Fields {
    fn read(magic: Magic, octets: &[u8]) -> Result<Self, &'static str> {
        let mut octets = Octets(octets);
        if octets.take(4).ok_or(SHORT)? != magic.octets() {
            return Err("no frame begins here");
        }
        let version = octets.u32().ok_or(SHORT)?;
        if !(1..=magic.version()).contains(&version) {
            return Err("a frame of another version begins here");
        }
        let mut fields = || {
            Some(Self {
                version,
                epoch: octets.u32()?,
                first: octets.u64()?,
                count: octets.u32()?,
                length: usize::try_from(octets.u32()?).ok()?,
                previous: octets.array()?,
                checksum: octets.u32()?,
            })
        };
        let fields = fields().ok_or(SHORT)?;
        if fields.length > PAYLOAD_OCTETS_MAX || fields.count == 0 {
            return Err("a frame says that it is larger than frames are");
        }
        Ok(fields)
    }
}

fn checksum(covered: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(covered);
    hasher.update(payload);
    hasher.finalize()
}

fn head(covered: &[u8], payload: &[u8]) -> Head {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(covered);
    context.update(payload);
    context.finish().as_ref().first_chunk().copied().unwrap_or(NO_HEAD)
}
