//! What was published before: the journal says which set, and by its SHA-256 which catalogue says
//! what was in it. The catalogue of what is served is made of those and vouched for by nothing: it
//! is one more witness of numbers and times, and never of sizes.

use std::path::PathBuf;

use super::authorities::sha256;
use super::catalogues::{CATALOGUE, SETS, parse_catalogue, with_last_rows};
use super::data::DataDir;
use super::{Office, OfficeError};
use crate::crl::{Base, Catalogue, CrlKind, CrlNumber, Previous, Row, Scope, SetPlan, Size, Untold};
use crate::der::UnixTime;
use crate::pki::{AuthorityId, Partition};
use crate::store::{CrlSet, CrlSets, Disk, DiskFault};

/// What an authority published before a set that is being made.
pub(super) enum Before {
    /// Nothing: the journal says so, and nothing is served.
    Nothing,
    /// Something.
    Sets {
        /// The highest number.
        number: CrlNumber,
        /// The latest thisUpdate since the clock was last released; none when there is none since.
        this_update: Option<UnixTime>,
        /// The last complete set, if it can be told what is in it.
        complete: Result<Box<Vouched>, Untold>,
    },
}

/// A set that was published, by the catalogue that the journal names.
pub(super) struct Vouched {
    pub(super) catalogue: Catalogue,
    pub(super) plan: SetPlan,
}

/// Why the catalogue of a set that was published is not to be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotVouched {
    #[error("{}: the catalogue of a published CRL set is missing", .0.display())]
    Missing(PathBuf),
    #[error("{}: not the catalogue that was published", .0.display())]
    Altered(PathBuf),
    #[error(transparent)]
    Disk(#[from] DiskFault),
    #[error(transparent)]
    Damaged(Box<OfficeError>),
}

impl NotVouched {
    const fn told(&self) -> Untold {
        match self {
            Self::Missing(_) => Untold::Missing,
            Self::Altered(_) => Untold::Altered,
            Self::Disk(_) | Self::Damaged(_) => Untold::Unreadable,
        }
    }
}

impl Before {
    /// The plan of the last complete set, to count what may have left since.
    pub(super) fn plan(&self) -> Option<SetPlan> {
        self.vouched().map(|set| set.plan)
    }

    /// The partitions that had a CRL in the last complete set.
    pub(super) fn partitions<'a>(&'a self, authority: &'a str) -> impl Iterator<Item = Partition> + 'a {
        let rows = self.vouched().into_iter().flat_map(|set| &set.catalogue.crls);
        let of = rows.filter(move |row| row.authority == authority);
        // The catalogue is octet for octet the one written here: a code in it is one.
        of.filter_map(|row| row.partition.as_ref()?.parse().ok())
    }

    /// What the gate is to know of a CRL of this scope.
    pub(super) fn previous(&self, authority: &str, scope: Scope<'_>) -> Previous {
        let Self::Sets { number, this_update, complete } = self else { return Previous::First };
        let size = match (scope, complete) {
            (Scope::Delta { .. }, _) => Size::Free,
            (_, Err(why)) => Size::Unknown(*why),
            (_, Ok(set)) => match (set.catalogue.entries(authority, scope), scope) {
                (Some(entries), _) => Size::Entries(entries),
                // Opened since; what was revoked in it before is counted in the full CRL.
                (None, Scope::Partition { .. }) => Size::Free,
                (None, _) => Size::Unknown(Untold::NoRow),
            },
        };
        Previous::After { number: *number, this_update: *this_update, size }
    }

    const fn vouched(&self) -> Option<&Vouched> {
        match self {
            Self::Sets { complete: Ok(set), .. } => Some(set),
            Self::Nothing | Self::Sets { complete: Err(_), .. } => None,
        }
    }
}

impl Office {
    /// What an authority published before now.
    pub(super) fn published_before(&self, authority: AuthorityId) -> Result<Before, OfficeError> {
        let facts = self.store.facts();
        // An authority that the facts have no sets of began none: they are of the whole journal.
        let sets = facts.crl_sets.get(&authority).copied().unwrap_or_default();
        let released = facts.clock_released;
        let mut seen: Vec<(CrlNumber, Option<UnixTime>)> = Vec::new();
        for set in [sets.published, sets.published_deltas].into_iter().flatten() {
            let counts = released < Some(set.position);
            seen.push((CrlNumber::new(set.epoch, set.position), counts.then_some(set.recorded_at)));
        }
        let (served, name) = (self.served_catalogue()?, self.authority_name(authority));
        for row in served.iter().flat_map(|served| &served.crls).filter(|row| row.authority == name) {
            // Of an epoch before: at a place that may have been given up, and taken again.
            let begun = row.number.parts().map(|(_, position)| position);
            let counts = released < begun;
            seen.push((row.number, counts.then(|| time_of(row)).transpose()?));
        }
        let Some(number) = seen.iter().map(|(number, _)| *number).max() else { return Ok(Before::Nothing) };
        let this_update = seen.iter().filter_map(|(_, this_update)| *this_update).max();
        let complete = match sets.published {
            None => Err(Untold::Unrecorded),
            Some(set) => self.vouched_set(&set).map(Box::new).map_err(|error| {
                tracing::error!(%error, authority = name, "what was published before is not known");
                error.told()
            }),
        };
        Ok(Before::Sets { number, this_update, complete })
    }

    /// A set that was published, by its own catalogue, if that is the one in the journal.
    pub(super) fn vouched_set(&self, set: &CrlSet) -> Result<Vouched, NotVouched> {
        let (path, octets) = vouched_catalogue(&self.disk, &self.data, set)?;
        let catalogue = parse_catalogue(&path, &octets).map_err(|error| NotVouched::Damaged(error.into()))?;
        let damaged = || OfficeError::Damaged(format!("{}: a time in it cannot be read", path.display()));
        let plan = catalogue.plan().ok_or_else(|| NotVouched::Damaged(damaged().into()))?;
        Ok(Vouched { catalogue, plan })
    }

    /// The catalogue of what is served, made again from the sets that the journal says were
    /// published last. None when there is no complete set, or its own catalogue is lost too.
    pub(super) fn catalogue_made_again(&self) -> Option<Catalogue> {
        let facts = self.store.facts();
        let find = |set: &CrlSet| {
            let found = self.vouched_set(set);
            found.inspect_err(|error| tracing::error!(%error, "CRLs that were published are not served")).ok()
        };
        let mut newest: Option<Catalogue> = None;
        let (mut rows, mut bases): (Vec<Row>, Vec<Base>) = (Vec::new(), Vec::new());
        for authority in &self.profile.authorities {
            let Some(sets) = facts.crl_sets.get(&authority.id) else { continue };
            let take = |rows: &mut Vec<Row>, catalogue: &Catalogue, deltas: bool| {
                let of =
                    |row: &&Row| row.authority == authority.name && (row.kind == CrlKind::Delta) == deltas;
                rows.extend(catalogue.crls.iter().filter(of).cloned());
            };
            let Some(Vouched { catalogue, .. }) = sets.published.as_ref().and_then(find) else { continue };
            take(&mut rows, &catalogue, false);
            if newest.as_ref().is_none_or(|newest| newest.number < catalogue.number) {
                newest = Some(catalogue);
            }
            // None from before a release of the clock: they may be from a time that is yet to come.
            let deltas = [sets.published_deltas, sets.published_scheduled].into_iter().flatten();
            let deltas = deltas.filter(|set| facts.clock_released < Some(set.position));
            if let Some(Vouched { catalogue, .. }) =
                deltas.max_by_key(|set| set.position).as_ref().and_then(find)
            {
                take(&mut rows, &catalogue, true);
                bases.extend(catalogue.bases.into_iter().filter(|base| base.authority == authority.name));
            }
        }
        // The last CRLs of a key that is retired are of the set that it made them in, whatever became of others.
        let last = self.last_rows();
        for (catalogue, _) in last.iter().filter_map(|last| last.vouched.as_ref().ok()) {
            if newest.as_ref().is_none_or(|newest| newest.number < catalogue.number) {
                newest = Some(Catalogue::clone(catalogue));
            }
        }
        let again = newest.map(|newest| Catalogue { crls: rows, bases, retiring: None, ..newest })?;
        Some(with_last_rows(again, &last))
    }
}

/// The sets of an authority that anything served is from, or that the next are measured by: deltas to
/// a set before the last scheduled one are of no more use.
pub(super) fn last_sets(sets: &CrlSets) -> impl Iterator<Item = CrlSet> + use<> {
    let base = sets.published_scheduled;
    let deltas =
        sets.published_deltas.filter(|deltas| base.is_none_or(|base| base.position < deltas.position));
    [sets.published, base, deltas].into_iter().flatten()
}

fn time_of(row: &Row) -> Result<UnixTime, OfficeError> {
    let damaged = || {
        OfficeError::Damaged(format!("the catalogue's row of {} is damaged: remove the catalogue", row.url))
    };
    row.this_update.parse().map_err(|_| damaged())
}

/// The catalogue of a set that was published, if it is the one in the journal; and where it lies.
pub(super) fn vouched_catalogue(
    disk: &Disk,
    data: &DataDir,
    set: &CrlSet,
) -> Result<(PathBuf, Vec<u8>), NotVouched> {
    let number = CrlNumber::new(set.epoch, set.position);
    let path = data.crl().join(SETS).join(number.to_string()).join(CATALOGUE);
    let Some(octets) = disk.read(&path)? else { return Err(NotVouched::Missing(path)) };
    if sha256(&octets) == set.catalogue_sha256 { Ok((path, octets)) } else { Err(NotVouched::Altered(path)) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::config::Config;
    use crate::office::data::DataDir;
    use crate::office::{Condition, init};
    use crate::store::Clock;

    const SIGN: AuthorityId = AuthorityId(1);
    const AUTH: AuthorityId = AuthorityId(2);

    fn office() -> (tempfile::TempDir, Arc<AtomicI64>, Arc<Office>) {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        init(&data, "SEKISHO-TEST").unwrap();
        let config = Config::read(&data.config()).unwrap();
        let time = Arc::new(AtomicI64::new(Clock::system().now().seconds() + 2));
        let clock = Clock::simulated(Arc::clone(&time));
        let (office, _) = Office::start(data, config, clock, "http://127.0.0.1:8080".to_owned()).unwrap();
        (home, time, office)
    }

    /// What the gate is told of the full CRL of SIGN.
    fn previous(office: &Office, scope: Scope<'_>) -> Previous {
        office.published_before(SIGN).unwrap().previous("sign", scope)
    }

    #[test]
    fn number_time_and_size_are_the_journals_whatever_becomes_of_the_files() {
        let (_home, time, office) = office();
        assert_eq!(previous(&office, Scope::FULL), Previous::First);
        office.publish(&[AUTH], true).unwrap();
        assert_eq!(previous(&office, Scope::FULL), Previous::First, "of another authority");
        let set = office.publish(&[SIGN, AUTH], true).unwrap();
        time.fetch_add(60, Ordering::SeqCst);
        let deltas = office.publish_deltas(&[SIGN]).unwrap();
        assert!(deltas.this_update > set.this_update);

        let after =
            |size| Previous::After { number: deltas.number, this_update: Some(deltas.this_update), size };
        let base = Scope::Delta { base: set.number };
        let is = |size| {
            assert_eq!(previous(&office, Scope::FULL), after(size));
            assert_eq!(previous(&office, base), after(Size::Free), "a delta has no size to fall from");
        };
        let (index, own) = (office.data.crl().join(CATALOGUE), office.set_directory(&set.number.to_string()));
        is(Size::Entries(0));
        let served = fs::read(&index).unwrap();
        fs::remove_file(&index).unwrap();
        is(Size::Entries(0));
        let own = own.join(CATALOGUE);
        let catalogue = fs::read(&own).unwrap();
        fs::write(&own, b"{}").unwrap();
        is(Size::Unknown(Untold::Altered));
        fs::remove_file(&own).unwrap();
        is(Size::Unknown(Untold::Missing));
        fs::create_dir(&own).unwrap();
        is(Size::Unknown(Untold::Unreadable));
        fs::write(&index, &served).unwrap();
        is(Size::Unknown(Untold::Unreadable));

        // A row that cannot be read is not one from before a release of the clock.
        let damaged =
            String::from_utf8(served).unwrap().replace("\"this_update\": \"2", "\"this_update\": \"x");
        fs::write(&index, damaged).unwrap();
        assert!(office.published_before(SIGN).is_err());
        fs::remove_dir(&own).unwrap();
        fs::write(&own, catalogue).unwrap();
        office.stop().unwrap();
        // Nor does a check of the directory take what is gone for never published.
        fs::remove_dir_all(office.data.crl()).unwrap();
        fs::create_dir(office.data.crl()).unwrap();
        let mut findings = Condition::of(&office.data, false, None).unwrap().findings;
        findings.retain(|finding| finding.contains("catalogue"));
        assert_eq!(findings.len(), 2, "{findings:?}");
        for (finding, set) in findings.iter().zip([set.number, deltas.number]) {
            assert!(finding.contains(&set.to_string()) && finding.contains("missing"), "{finding}");
        }
    }

    #[test]
    fn what_is_served_and_not_on_record_is_not_nothing() {
        let (_home, _, office) = office();
        let set = office.publish(&[AUTH], true).unwrap();
        let index = office.data.crl().join(CATALOGUE);
        let text = fs::read_to_string(&index).unwrap().replace("\"auth\"", "\"sign\"");
        fs::write(&index, text).unwrap();
        let size = Size::Unknown(Untold::Unrecorded);
        let after = Previous::After { number: set.number, this_update: Some(set.this_update), size };
        assert_eq!(previous(&office, Scope::FULL), after);
        office.stop().unwrap();
    }

    #[test]
    fn only_a_partition_may_be_new() {
        let (_home, _, office) = office();
        office.publish(&[SIGN], true).unwrap();
        let name = office.profile.distribution_point(SIGN, Partition(13221)).unwrap();
        let opened = Scope::Partition { partition: Partition(13221), distribution_point: &name };
        let Previous::After { size, .. } = previous(&office, opened) else { unreachable!() };
        assert_eq!(size, Size::Free);
        let mut before = office.published_before(SIGN).unwrap();
        if let Before::Sets { complete: Ok(set), .. } = &mut before {
            set.catalogue.crls.retain(|row| row.kind != CrlKind::Authority);
        }
        let Previous::After { size, .. } = before.previous("sign", Scope::Authority) else { unreachable!() };
        assert_eq!(size, Size::Unknown(Untold::NoRow));
        office.stop().unwrap();
    }
}
