//! The entries of a set, each encoded once.

use std::collections::BTreeMap;
use std::mem;

use super::scope::Group;
use super::{Scope, SetPlan, entry};
use crate::der::Writer;
use crate::pki::{AuthorityId, Partition, Revocation, SerialNumber};
use crate::record::Record;

/// Takes the records of an authority one after another, in the order of their serials, and
/// keeps the encoded entries of those the set lists. Every key of the authority signs the
/// same entries, so they are encoded once for all of them.
///
/// Memory: the octets of the entries, a fiftieth more, and half a chunk of 4 kB a partition.
#[derive(Debug)]
pub struct Collector {
    authority: AuthorityId,
    plan: SetPlan,
    groups: BTreeMap<Group, Encoded>,
}

/// Encoded entries of one group, one after another; none stands in two chunks.
#[derive(Debug, Default)]
struct Encoded {
    full: Vec<Vec<u8>>,
    open: Vec<u8>,
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
            group.push(&certificate.serial, &revocation);
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
            parts: groups
                .iter()
                .flat_map(|group| group.full.iter().chain([&group.open]))
                .map(Vec::as_slice)
                .collect(),
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
    /// Appends an entry. A full chunk is put by, and a new one begun: one that grew would be
    /// moved again and again.
    fn push(&mut self, serial: &SerialNumber, revocation: &Revocation) {
        if self.open.capacity() - self.open.len() < entry::OCTETS_MAX {
            let octets = (self.open.capacity() * 8).clamp(CHUNK_OCTETS_FIRST, CHUNK_OCTETS);
            let full = mem::replace(&mut self.open, Vec::with_capacity(octets));
            self.full.push(full);
        }
        let mut writer = Writer::from(mem::take(&mut self.open));
        entry::write(&mut writer, serial, revocation);
        self.open = writer.into_bytes();
        self.count += 1;
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

/// Octets of a chunk. Of a million entries a partition has five hundred, or 19 kB: the half
/// chunk unused is a tenth of that.
const CHUNK_OCTETS: usize = 4096;

/// Octets of a partition's first chunk: most of a small authority's list a handful.
const CHUNK_OCTETS_FIRST: usize = 512;
