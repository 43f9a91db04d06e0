//! Octets of a snapshot. Numbers are big-endian.
//!
//! | field | octets | |
//! |---|---|---|
//! | version | 8 | `sekstat4` |
//! | position | 8 | of the last entry folded; 0 before the first |
//! | last_recorded_at | 8 | seconds since 1970 |
//! | authorities | 8 | how many follow: those that issued something |
//! | authority: number | 1 | rising |
//! | authority: chunks | 8 | how many follow: those in which something was issued |
//! | chunk: number | 2 | serial ÷ 65536, rising |
//! | chunk: words | 8 + 8 n | n, and a word for each serial from the chunk's first |
//! | authority: sparse words | 8 | how many follow |
//! | sparse: serial | 1 + n | length, magnitude; rising |
//! | sparse: word | 8 | |
//! | authority: compromised keys | 8 | how many follow |
//! | key: generation | 1 | rising |
//! | key: position, since | 8 + 8 | of the entry, and when it was recorded |
//! | authority: retired keys | 8 | how many follow |
//! | key: generation, position | 1 + 8 | rising; of the entry |
//! | authority: OCSP signers | 8 | how many follow |
//! | signer: serial | 1 + n | length, magnitude; rising |
//!
//! Words stand as in memory, see [`StatusWord`].

use std::collections::BTreeMap;

use super::StatusWord;
use super::keys::{Compromised, Heard};
use crate::der::UnixTime;
use crate::pki::{AuthorityId, Generation, SerialNumber};
use crate::record::Position;

const VERSION: &[u8; 8] = b"sekstat4";
const CHUNK_SHIFT: u32 = 16;

/// Why octets cannot be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Another version's, or no snapshot.
    #[error("not a status snapshot of this version: fold the journal from its beginning")]
    Version,
    /// The octets end early, or go on too long.
    #[error("the status snapshot is cut short or too long: fold the journal from its beginning")]
    Length,
    /// A value out of its range or order.
    #[error("the status snapshot is damaged: fold the journal from its beginning")]
    Value,
    /// Entries were folded into the index before.
    #[error("the index is in use: restore into a new one")]
    NotEmpty,
}

/// A snapshot, read and found whole.
pub(super) struct Parsed<'a> {
    pub(super) position: Position,
    pub(super) last_recorded_at: UnixTime,
    pub(super) authorities: Vec<Part<'a>>,
}

/// One authority of it.
pub(super) struct Part<'a> {
    pub(super) authority: AuthorityId,
    /// Words by the first serial of their chunk; every word has been looked at.
    chunks: Vec<(u32, &'a [[u8; 8]])>,
    pub(super) sparse: BTreeMap<SerialNumber, StatusWord>,
    pub(super) keys: Heard,
}

impl Part<'_> {
    pub(super) fn dense(&self) -> impl Iterator<Item = (u32, StatusWord)> {
        self.chunks.iter().flat_map(|(first, words)| {
            let words = words.iter().map(|word| StatusWord::from_memory(u64::from_be_bytes(*word)));
            (*first..=u32::MAX).zip(words)
        })
    }
}

pub(super) fn begin(position: Position, last_recorded_at: UnixTime, authorities: usize) -> Vec<u8> {
    let mut out = VERSION.to_vec();
    out.extend(position.0.to_be_bytes());
    out.extend(last_recorded_at.seconds().to_be_bytes());
    out.extend(length(authorities));
    out
}

pub(super) fn write_authority(
    out: &mut Vec<u8>,
    authority: AuthorityId,
    dense: impl Iterator<Item = (u16, Vec<StatusWord>)>,
    sparse: &[(SerialNumber, StatusWord)],
) {
    out.push(authority.0);
    let count_at = out.len();
    out.extend([0; 8]);
    let mut count = 0_u64;
    for (number, words) in dense {
        out.extend(number.to_be_bytes());
        out.extend(length(words.len()));
        out.reserve(words.len() * 8);
        words.iter().for_each(|word| out.extend(word.bits().to_be_bytes()));
        count += 1;
    }
    if let Some(place) = out.get_mut(count_at..count_at + 8) {
        place.copy_from_slice(&count.to_be_bytes());
    }
    out.extend(length(sparse.len()));
    for (serial, word) in sparse {
        out.push(u8::try_from(serial.magnitude().len()).unwrap_or(0));
        out.extend(serial.magnitude());
        out.extend(word.bits().to_be_bytes());
    }
}

pub(super) fn write_keys(out: &mut Vec<u8>, heard: &Heard) {
    out.extend(length(heard.compromised.len()));
    for (generation, Compromised { position, since }) in &heard.compromised {
        out.push(generation.number());
        out.extend(position.0.to_be_bytes());
        out.extend(since.seconds().to_be_bytes());
    }
    out.extend(length(heard.retired.len()));
    for (generation, position) in &heard.retired {
        out.push(generation.number());
        out.extend(position.0.to_be_bytes());
    }
    out.extend(length(heard.signers.len()));
    for serial in &heard.signers {
        out.push(u8::try_from(serial.magnitude().len()).unwrap_or(0));
        out.extend(serial.magnitude());
    }
}

/// A length of something in memory.
fn length(count: usize) -> [u8; 8] {
    u64::try_from(count).unwrap_or(u64::MAX).to_be_bytes()
}

pub(super) fn read(octets: &[u8]) -> Result<Parsed<'_>, SnapshotError> {
    let mut octets = Octets(octets);
    if octets.take(VERSION.len())? != VERSION {
        return Err(SnapshotError::Version);
    }
    let position = Position(u64::from_be_bytes(octets.array()?));
    let last_recorded_at = UnixTime::from_seconds(octets.array().map(i64::from_be_bytes)?);
    let count = u64::from_be_bytes(octets.array()?);
    let mut authorities: Vec<Part<'_>> = Vec::new();
    for _ in 0..count {
        let part = octets.authority()?;
        if authorities.last().is_some_and(|before| before.authority >= part.authority) {
            return Err(SnapshotError::Value);
        }
        authorities.push(part);
    }
    if octets.0.is_empty() {
        Ok(Parsed { position, last_recorded_at, authorities })
    } else {
        Err(SnapshotError::Length)
    }
}

/// Octets still to be read.
struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    fn authority(&mut self) -> Result<Part<'a>, SnapshotError> {
        let authority = AuthorityId(u8::from_be_bytes(self.array()?));
        let mut chunks: Vec<(u32, &[[u8; 8]])> = Vec::new();
        for _ in 0..u64::from_be_bytes(self.array()?) {
            let first = u32::from(u16::from_be_bytes(self.array()?)) << CHUNK_SHIFT;
            let words = self.words()?;
            if chunks.last().is_some_and(|(before, _)| *before >= first) {
                return Err(SnapshotError::Value);
            }
            chunks.push((first, words));
        }
        let mut sparse = BTreeMap::new();
        for _ in 0..u64::from_be_bytes(self.array()?) {
            let serial = self.serial()?;
            let word = word(self.array()?).filter(|word| word.is_issued()).ok_or(SnapshotError::Value)?;
            if sparse.last_key_value().is_some_and(|(before, _)| *before >= serial) {
                return Err(SnapshotError::Value);
            }
            sparse.insert(serial, word);
        }
        Ok(Part { authority, chunks, sparse, keys: self.keys()? })
    }

    fn keys(&mut self) -> Result<Heard, SnapshotError> {
        let mut heard = Heard::default();
        for _ in 0..u64::from_be_bytes(self.array()?) {
            let generation = Generation::new(u8::from_be_bytes(self.array()?)).ok_or(SnapshotError::Value)?;
            let position = Position(u64::from_be_bytes(self.array()?));
            let since = UnixTime::from_seconds(self.array().map(i64::from_be_bytes)?);
            if heard.compromised.last_key_value().is_some_and(|(before, _)| *before >= generation) {
                return Err(SnapshotError::Value);
            }
            heard.compromised.insert(generation, Compromised { position, since });
        }
        for _ in 0..u64::from_be_bytes(self.array()?) {
            let generation = Generation::new(u8::from_be_bytes(self.array()?)).ok_or(SnapshotError::Value)?;
            if heard.retired.last_key_value().is_some_and(|(before, _)| *before >= generation) {
                return Err(SnapshotError::Value);
            }
            heard.retired.insert(generation, Position(u64::from_be_bytes(self.array()?)));
        }
        for _ in 0..u64::from_be_bytes(self.array()?) {
            let serial = self.serial()?;
            if heard.signers.last().is_some_and(|before| *before >= serial) {
                return Err(SnapshotError::Value);
            }
            heard.signers.insert(serial);
        }
        Ok(heard)
    }

    fn serial(&mut self) -> Result<SerialNumber, SnapshotError> {
        let len = usize::from(u8::from_be_bytes(self.array()?));
        SerialNumber::from_magnitude(self.take(len)?).map_err(|_| SnapshotError::Value)
    }

    /// The words of a chunk, each one that an entry can make.
    fn words(&mut self) -> Result<&'a [[u8; 8]], SnapshotError> {
        let count = u64::from_be_bytes(self.array()?);
        if count > 1 << CHUNK_SHIFT {
            return Err(SnapshotError::Value);
        }
        let count = usize::try_from(count).map_err(|_| SnapshotError::Length)?;
        let (words, _) = self.take(count * 8)?.as_chunks();
        let whole = words.iter().all(|octets| word(*octets).is_some());
        if whole { Ok(words) } else { Err(SnapshotError::Value) }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], SnapshotError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(SnapshotError::Length)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        self.take(N)?.try_into().map_err(|_| SnapshotError::Length)
    }
}

fn word(octets: [u8; 8]) -> Option<StatusWord> {
    StatusWord::from_bits(u64::from_be_bytes(octets))
}
