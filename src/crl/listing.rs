//! The records' own account of who is revoked: what the gate holds a CRL against.

use std::collections::BTreeMap;

use super::scope::Group;
use super::{Scope, SetPlan};
use crate::pki::{AuthorityId, Revocation, SerialNumber};
use crate::record::Record;

/// Takes the records of an authority a second time, in the order of their serials, and keeps
/// plain what the set lists, without encoding. 60 octets an entry.
#[derive(Debug)]
pub struct Listing {
    authority: AuthorityId,
    plan: SetPlan,
    previous: Option<SetPlan>,
    rows: Vec<(SerialNumber, Revocation)>,
    groups: BTreeMap<Group, Rows>,
}

/// What concerns one group.
#[derive(Debug, Default)]
struct Rows {
    /// Places in [`Listing::rows`].
    places: Vec<u32>,
    /// How many the previous set listed and this one does not.
    departed: u64,
}

impl Listing {
    /// For this set of this authority. `previous` is the plan of the set published before it,
    /// to count what may have left since.
    #[must_use]
    pub const fn new(authority: AuthorityId, plan: SetPlan, previous: Option<SetPlan>) -> Self {
        Self { authority, plan, previous, rows: Vec::new(), groups: BTreeMap::new() }
    }

    /// Takes one record; those of other authorities are passed over.
    pub fn add(&mut self, record: &Record) {
        let certificate = &record.issued.certificate;
        if certificate.authority != self.authority {
            return;
        }
        if let Some(revocation) = self.plan.lists(record) {
            let place = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
            self.groups.entry(Group::of(&record.issued)).or_default().places.push(place);
            self.rows.push((certificate.serial, revocation));
        } else if self.previous.is_some_and(|previous| previous.lists(record).is_some()) {
            self.groups.entry(Group::of(&record.issued)).or_default().departed += 1;
        }
    }

    /// What a CRL of this scope must list, in the order of the serials.
    pub fn rows(&self, scope: Scope<'_>) -> impl Iterator<Item = (SerialNumber, Revocation)> {
        let whole: &[_] = if scope.group().is_none() { &self.rows } else { &[] };
        let group = scope.group().and_then(|group| self.groups.get(&group));
        let places = group.map_or(&[][..], |rows| &rows.places);
        let chosen = places.iter().filter_map(|place| self.rows.get(usize::try_from(*place).ok()?));
        whole.iter().chain(chosen).copied()
    }

    /// How many entries the previous set had in this scope that have rightly left: expired and
    /// shown past their expiry, or released from hold.
    #[must_use]
    pub fn departed(&self, scope: Scope<'_>) -> u64 {
        match scope.group() {
            Some(group) => self.groups.get(&group).map_or(0, |rows| rows.departed),
            None => self.groups.values().map(|rows| rows.departed).sum(),
        }
    }
}
