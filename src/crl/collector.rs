//! The entries of a set, each encoded once.

use std::collections::BTreeMap;
use std::mem;

use super::scope::Group;
use super::{Scope, SetPlan, entry};
use crate::der::Writer;
use crate::pki::{AuthorityId, Partition};
use crate::record::Record;

/// Takes the records of an authority one after another, in the order of their serials, and
/// keeps the encoded entries of those the set lists. Every key of the authority signs the
/// same entries, so they are encoded once for all of them.
///
/// Memory: the octets of the entries and at most an eighth more, plus about 1 kB a partition.
#[derive(Debug)]
pub struct Collector {
    authority: AuthorityId,
    plan: SetPlan,
    groups: BTreeMap<Group, Encoded>,
}

/// Encoded entries of one group, one after another.
#[derive(Debug, Default)]
struct Encoded {
    der: Vec<u8>,
    count: u64,
}

/// The encoded entries of one CRL, borrowed from a [`Collector`].
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    parts: Vec<&'a [u8]>,
    count: u64,
}

impl Collector {
    /// Collects for this set of this authority.
    #[must_use]
    pub const fn new(authority: AuthorityId, plan: SetPlan) -> Self {
        Self { authority, plan, groups: BTreeMap::new() }
    }

    /// Takes one record. Those the set does not list, and those of other authorities, leave
    /// nothing behind.
    pub fn add(&mut self, record: &Record) {
        let certificate = &record.issued.certificate;
        if certificate.authority != self.authority {
            return;
        }
        if let Some(revocation) = self.plan.lists(record) {
            let group = self.groups.entry(Group::of(&record.issued)).or_default();
            group.make_room();
            let mut writer = Writer::from(mem::take(&mut group.der));
            entry::write(&mut writer, &certificate.serial, &revocation);
            group.der = writer.into_bytes();
            group.count += 1;
        }
    }

    /// The entries of a CRL of this scope: by partition and serial, CA certificates first,
    /// then those without a partition.
    #[must_use]
    pub fn entries(&self, scope: Scope<'_>) -> Entries<'_> {
        let groups: Vec<&Encoded> = match scope.group() {
            Some(group) => self.groups.get(&group).into_iter().collect(),
            None => self.groups.values().collect(),
        };
        Entries {
            parts: groups.iter().map(|group| group.der.as_slice()).collect(),
            count: groups.iter().map(|group| group.count).sum(),
        }
    }

    /// Number of entries in a CRL of this scope.
    #[must_use]
    pub fn count(&self, scope: Scope<'_>) -> u64 {
        match scope.group() {
            Some(group) => self.groups.get(&group).map_or(0, |group| group.count),
            None => self.groups.values().map(|group| group.count).sum(),
        }
    }

    /// The partitions that list something: retired ones among them must still be published.
    pub fn partitions(&self) -> impl Iterator<Item = Partition> {
        self.groups.keys().filter_map(|group| match group {
            Group::Partition(partition) => Some(*partition),
            Group::Authority | Group::Undivided => None,
        })
    }
}

impl Encoded {
    /// Doubling would leave a third of the memory unused on average; an eighth costs a few
    /// more moves of a partition's small buffer.
    fn make_room(&mut self) {
        if self.der.capacity() - self.der.len() < entry::OCTETS_MAX {
            self.der.reserve_exact((self.der.len() / 8).max(GROWTH_MIN));
        }
    }
}

impl Entries<'_> {
    /// Their octets, in pieces.
    pub(super) fn parts(&self) -> &[&[u8]] {
        &self.parts
    }

    /// Number of octets.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// Number of entries.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }
}

/// Octets a group grows by at least: a dozen entries, room for the longest one.
const GROWTH_MIN: usize = 512;
