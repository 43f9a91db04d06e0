//! The entries of a set, each encoded once, where it will be signed.
//!
//! A full CRL in the order of partitions and serials is the concatenation of its partitions'
//! CRLs. So the records are taken twice: a [`Layout`] measures what each group will need, an
//! [`Encoder`] writes every entry at its place, and the [`Entries`] are the inside of the full
//! CRL, to which signing adds a head in front and an end behind without moving them.
//!
//! Memory: the octets of the entries, which RSA wants in one piece, and nothing an entry beyond.

use std::ops::Range;

use super::scope::{Group, PerGroup};
use super::{GateError, Scope, Selection, entry};
use crate::pki::{AuthorityId, Partition};
use crate::record::Record;

/// Room in front of the entries for what a CertificateList has there: headers of 6 octets, the
/// version, an algorithm of 15, the issuer's DN, two times. A DN of ours has under 500 octets; a
/// longer one moves the entries.
const ROOM_IN_FRONT: usize = 1024;

/// Room behind them: extensions with two names at most, and the largest signature.
const ROOM_BEHIND: usize = 4096;

/// Takes the records of an authority, in any order, and measures.
#[derive(Debug)]
pub struct Layout {
    authority: AuthorityId,
    selection: Selection,
    groups: PerGroup<Extent>,
}

/// What a group takes.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    octets: usize,
    count: u64,
}

/// Takes the same records again, in the order of their serials, and writes.
#[derive(Debug)]
pub struct Encoder {
    authority: AuthorityId,
    selection: Selection,
    entries: Entries,
    /// Where the next entry of a group goes, and where its place ends.
    places: PerGroup<Range<usize>>,
}

/// Encoded entries in one piece, with room around them.
#[derive(Debug, Clone)]
pub struct Entries {
    pub(super) octets: Vec<u8>,
    /// Where they stand in `octets`.
    pub(super) place: Range<usize>,
    count: u64,
    /// The groups, in the order they stand in, each after the one before.
    groups: Vec<(Group, Extent)>,
}

impl Layout {
    /// For what `selection` lists of this authority.
    #[must_use]
    pub const fn new(authority: AuthorityId, selection: Selection) -> Self {
        Self { authority, selection, groups: PerGroup::new() }
    }

    /// Takes one record. Those that are not listed, and those of other authorities, take no room.
    pub fn add(&mut self, record: &Record) {
        let certificate = &record.issued.certificate;
        if certificate.authority != self.authority {
            return;
        }
        if let Some(revocation) = self.selection.lists(record) {
            let extent = self.groups.entry(Group::of(&record.issued));
            extent.octets += entry::len(&certificate.serial, &revocation);
            extent.count += 1;
        }
    }

    /// Makes room.
    #[must_use]
    pub fn begin(self) -> Encoder {
        let entries = Entries::with_room_for(self.groups.into_sorted());
        let mut places = PerGroup::new();
        entries.places().for_each(|(group, place)| places.insert(group, place));
        Encoder { authority: self.authority, selection: self.selection, entries, places }
    }
}

impl Encoder {
    /// Takes one record, and writes its entry if it is listed.
    ///
    /// # Errors
    /// [`GateError::Layout`] when the records are not those that were measured.
    pub fn add(&mut self, record: &Record) -> Result<(), GateError> {
        let certificate = &record.issued.certificate;
        if certificate.authority != self.authority {
            return Ok(());
        }
        let Some(revocation) = self.selection.lists(record) else { return Ok(()) };
        let place = self.places.find_mut(Group::of(&record.issued)).ok_or(GateError::Layout)?;
        let encoded = entry::encode(&certificate.serial, &revocation);
        let end = place.start + encoded.octets().len();
        let room = self.entries.octets.get_mut(place.start..end).filter(|_| end <= place.end);
        room.ok_or(GateError::Layout)?.copy_from_slice(encoded.octets());
        place.start = end;
        Ok(())
    }

    /// What was written.
    ///
    /// # Errors
    /// [`GateError::Layout`] when something measured is missing.
    pub fn finish(self) -> Result<Entries, GateError> {
        let is_full = self.places.into_sorted().iter().all(|(_, left)| left.is_empty());
        if is_full { Ok(self.entries) } else { Err(GateError::Layout) }
    }
}

impl Entries {
    fn with_room_for(groups: Vec<(Group, Extent)>) -> Self {
        let len: usize = groups.iter().map(|(_, extent)| extent.octets).sum();
        let mut octets = Vec::with_capacity(ROOM_IN_FRONT + len + ROOM_BEHIND);
        octets.resize(ROOM_IN_FRONT + len, 0);
        let count = groups.iter().map(|(_, extent)| extent.count).sum();
        Self { octets, place: ROOM_IN_FRONT..ROOM_IN_FRONT + len, count, groups }
    }

    /// Those of one scope, copied.
    #[must_use]
    pub fn of(&self, scope: Scope<'_>) -> Self {
        let Some(wanted) = scope.group() else { return self.clone() };
        let found = self.places().zip(&self.groups).find(|((group, _), _)| *group == wanted);
        let Some(((_, place), group)) = found else { return Self::with_room_for(Vec::new()) };
        let mut of = Self::with_room_for(vec![*group]);
        if let (Some(from), Some(to)) = (self.octets.get(place), of.octets.get_mut(of.place.clone())) {
            to.copy_from_slice(from);
        }
        of
    }

    /// Number of entries.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Number of octets.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.place.end - self.place.start
    }

    /// True when there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The partitions that list something: retired ones among them must still be published.
    pub fn partitions(&self) -> impl Iterator<Item = Partition> {
        self.groups.iter().filter_map(|(group, _)| match group {
            Group::Partition(partition) => Some(*partition),
            Group::Authority | Group::Undivided => None,
        })
    }

    /// Where each group stands.
    fn places(&self) -> impl Iterator<Item = (Group, Range<usize>)> {
        self.groups.iter().scan(self.place.start, |at, (group, extent)| {
            let place = *at..*at + extent.octets;
            *at = place.end;
            Some((*group, place))
        })
    }
}
