//! The catalogues on disk: of what is served, and of each set that is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::before::{NotVouched, last_sets};
use super::data::DataDir;
use super::{Office, OfficeError};
use crate::crl::{Catalogue, CrlKind, CrlNumber, Row};
use crate::der::UnixTime;
use crate::pki::AuthorityId;
use crate::record::{Epoch, Position};
use crate::store::Disk;

/// Extension of a file that was set aside because it is not what was written.
const DAMAGED: &str = "json.damaged";

/// Name of a catalogue file.
pub(super) const CATALOGUE: &str = "index.json";

/// Name of the detached signature (CMS) over a set's catalogue.
pub(super) const CATALOGUE_SIGNATURE: &str = "index.p7s";

/// Directory of the published sets.
pub(super) const SETS: &str = "sets";

/// A set by its number and the position it is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServedSet {
    pub(super) number: CrlNumber,
    pub(super) position: Position,
    pub(super) next_update: UnixTime,
}

impl Office {
    /// The catalogue of what is served; none before the first set.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn served_catalogue(&self) -> Result<Option<Catalogue>, OfficeError> {
        read_catalogue(&self.disk, &self.data.crl().join(CATALOGUE))
    }

    /// The set an authority is served from.
    pub(super) fn served_set(&self, authority: AuthorityId) -> Option<ServedSet> {
        self.served.load().sets.get(&authority).copied()
    }

    /// nextUpdate of the complete CRLs that an authority is served from.
    #[must_use]
    pub fn next_update(&self, authority: AuthorityId) -> Option<UnixTime> {
        self.served_set(authority).map(|set| set.next_update)
    }

    /// The catalogue of one set.
    pub(super) fn set_catalogue(&self, set: &str) -> Result<Option<Catalogue>, OfficeError> {
        read_catalogue(&self.disk, &self.set_directory(set).join(CATALOGUE))
    }

    /// Where the files of a set lie.
    pub(super) fn set_directory(&self, set: &str) -> PathBuf {
        self.data.crl().join(SETS).join(set)
    }

    /// The sets on disk, oldest first.
    pub(super) fn sets(&self) -> Result<Vec<String>, OfficeError> {
        Ok(kept_sets(&self.disk, &self.data)?.iter().map(CrlNumber::to_string).collect())
    }

    /// The catalogue of what is served; made again where it is lost, for all of it follows from the
    /// journal and the sets that are kept.
    fn standing_catalogue(&self) -> Result<Option<Catalogue>, OfficeError> {
        Ok(self.served_catalogue()?.or_else(|| self.catalogue_made_again()))
    }

    /// Puts the catalogue of what is served back where it is lost; one that does not say what the
    /// catalogues of its sets say is set aside first. It costs nothing: all of it follows from those.
    pub(super) fn restore_served_catalogue(&self) -> Result<(), OfficeError> {
        let path = self.data.crl().join(CATALOGUE);
        if let Some(octets) = self.disk.read(&path)? {
            let what = match self.check_served_catalogue(&path, &octets) {
                Ok(served) => return self.restore_last_rows(served),
                Err(what) => what,
            };
            let aside = path.with_extension(DAMAGED);
            self.disk.rename(&path, &aside)?;
            self.disk.sync_dir(&self.data.crl())?;
            tracing::warn!(
                what,
                aside = %aside.display(),
                "the catalogue of what is served is damaged: it is set aside"
            );
        }
        let Some(again) = self.catalogue_made_again() else { return Ok(()) };
        tracing::warn!(set = again.set, "the catalogue of what is served is made again");
        self.write_served(&again)
    }

    /// Writes the catalogue of what is served.
    pub(super) fn write_served(&self, served: &Catalogue) -> Result<(), OfficeError> {
        Ok(self.disk.replace(&self.data.crl().join(CATALOGUE), &to_json(served)?)?)
    }

    /// Each row must be one of the set that it names, and what is said of all must be said by the catalogue
    /// of that set. What the sets' own catalogues no longer tell is believed.
    fn check_served_catalogue(&self, path: &Path, octets: &[u8]) -> Result<Catalogue, String> {
        let served = parse_catalogue(path, octets).map_err(|error| error.to_string())?;
        let own = |set: &str| self.set_catalogue(set).ok().flatten();
        let is_like = |own: &Catalogue| {
            let of = |all: &Catalogue| {
                let Catalogue { set, position, head, this_update, next_update, number, .. } = all.clone();
                (set, position, head, this_update, next_update, number)
            };
            of(own) == of(&served)
        };
        let named = served.crls.iter().map(|row| row.set.as_str()).chain([served.set.as_str()]);
        let names: BTreeSet<&str> = named.collect();
        let sets: BTreeMap<&str, Catalogue> =
            names.iter().filter_map(|set| Some((*set, own(set)?))).collect();
        if let Some(own) = sets.get(served.set.as_str())
            && !is_like(own)
        {
            return Err(format!("it says of set {} what that does not say of itself", served.set));
        }
        for row in &served.crls {
            let is_known = match sets.get(row.set.as_str()) {
                Some(own) => own.crls.contains(row),
                // Its set is lost, or it names one that never was.
                None => {
                    kept_sets(&self.disk, &self.data).is_ok_and(|kept| kept.is_empty()) || {
                        let lost =
                            |number: &CrlNumber| number.to_string() == row.set && *number == row.number;
                        row.set.parse().is_ok_and(|number| lost(&number)) && self.was_published(row)
                    }
                }
            };
            if !is_known {
                return Err(format!("{}: set {} has no such CRL", row.url, row.set));
            }
        }
        Ok(served)
    }

    /// True when the journal says that the set of a row was published last for an authority, or holds the last
    /// CRLs of a key.
    fn was_published(&self, row: &Row) -> bool {
        let facts = self.store.facts();
        let mut last = facts.crl_sets.values().flat_map(last_sets).chain(self.sets_of_retired());
        last.any(|set| CrlNumber::new(set.epoch, set.position) == row.number)
    }

    /// True when there is no file of a CRL; an error when that cannot be told.
    fn is_gone(&self, row: &Row) -> Result<bool, OfficeError> {
        let Some(path) = self.crl_path(row) else { return Ok(true) };
        Ok(self.disk.len_of(&path)?.is_none())
    }

    /// The rows being served once `own` is: its own, and what it does not replace.
    pub(super) fn merged(&self, own: &Catalogue) -> Result<Catalogue, OfficeError> {
        // Those of a key that is not here any more, and the last ones of one that is retired, are served until
        // they end.
        let live = self.all_live_generations();
        let of = |row: &Row| {
            let key = (row.authority.clone(), row.generation);
            live.iter().find(|live| (live.authority.clone(), live.issuer.generation.number()) == key)
        };
        let is_lost = |row: &Row| of(row).is_some_and(|live| live.key.is_err());
        let is_outlived =
            |row: &Row| row.kind == CrlKind::Delta && of(row).is_some_and(|live| live.is_retired());
        let replaced = |row: &Row| {
            if is_lost(row) {
                return false;
            }
            let of = own.crls.iter().filter(|own| own.authority == row.authority);
            // Deltas replace deltas; a complete set without them leaves those there are.
            let mut of = of.filter(|own| (own.kind == CrlKind::Delta) == (row.kind == CrlKind::Delta));
            of.next().is_some()
        };
        // Which key is retired with a set, its own catalogue says.
        let mut merged = Catalogue { retiring: None, ..own.clone() };
        let Some(standing) = self.standing_catalogue()? else { return Ok(merged) };
        // What is said of all is said of the newest complete set.
        let rows = standing.crls.clone();
        if own.is_deltas_alone() {
            let Catalogue { crls, bases, .. } = merged;
            merged = Catalogue { crls, bases, ..standing };
        }
        // Nor deltas from a time that is yet to come: the clock was released since.
        let yet_to_come = |row: &Row| row.kind == CrlKind::Delta && row.this_update > own.this_update;
        let stays = |row: &Row| !yet_to_come(row) && !is_outlived(row) && !replaced(row);
        for row in rows.into_iter().filter(stays) {
            // One whose file is gone, or cannot be looked at, stays too: as long as it is named, its
            // authority counts as not served, and that is told until another set comes out; of a key that
            // is not here, it is told until the file is put back. But deltas may be cut no more; while they
            // are, others come at once.
            if row.kind == CrlKind::Delta && matches!(self.is_gone(&row), Ok(true)) {
                tracing::error!(
                    url = row.url,
                    "the file of published deltas is gone: they are no longer named"
                );
                continue;
            }
            merged.crls.push(row);
        }
        Ok(with_last_rows(merged, &self.last_rows()))
    }
}

/// The last CRLs of a key that is retired.
pub(super) struct LastRows {
    pub(super) authority: String,
    pub(super) generation: u8,
    /// The set that they were made in.
    pub(super) set: String,
    /// The catalogue of that, and the rows of them in it; or why it is not to be had.
    pub(super) vouched: Result<(Box<Catalogue>, Vec<Row>), NotVouched>,
}

/// The same with the last CRLs of retired keys, as their sets tell them, and nothing else by those keys. What a
/// set does not tell any more is believed.
pub(super) fn with_last_rows(mut served: Catalogue, last: &[LastRows]) -> Catalogue {
    for LastRows { authority, generation, vouched, .. } in last {
        let Ok((_, rows)) = vouched else { continue };
        let is_own = |row: &Row| (&row.authority, row.generation) == (authority, *generation);
        if served.crls.iter().filter(|row| is_own(row)).eq(rows) {
            continue;
        }
        served.crls.retain(|row| !is_own(row));
        served.crls.extend(rows.iter().cloned());
    }
    served.crls.sort_by(|a, b| (&a.authority, a.generation).cmp(&(&b.authority, b.generation)));
    served
}

/// The entry that began the newest CRL that is served or kept, and its epoch; none before the first, and
/// where all of `crl/` was removed: there is nothing then to hold the journal against.
pub(super) fn published_entry(disk: &Disk, data: &DataDir) -> Result<Option<(Epoch, Position)>, OfficeError> {
    // A set is begun in the journal before anything of it is on the disk. What is served is kept: the
    // catalogue of it, which costs nothing to lose, is not asked.
    let newest = kept_sets(disk, data)?.into_iter().max();
    Ok(newest.and_then(CrlNumber::parts))
}

/// The numbers of the sets on disk, rising.
pub(super) fn kept_sets(disk: &Disk, data: &DataDir) -> Result<Vec<CrlNumber>, OfficeError> {
    // The directory is made with the first set: absent and empty are the same. Whether a set that
    // was published is missing, the journal says.
    let names = disk.list(&data.crl().join(SETS))?;
    // Other names are no sets.
    let mut numbers: Vec<CrlNumber> = names.iter().filter_map(|name| name.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn to_json(catalogue: &Catalogue) -> Result<Vec<u8>, OfficeError> {
    serde_json::to_vec_pretty(catalogue).map_err(|error| OfficeError::Damaged(error.to_string()))
}

pub(super) fn read_catalogue(disk: &Disk, path: &Path) -> Result<Option<Catalogue>, OfficeError> {
    disk.read(path)?.map(|octets| parse_catalogue(path, &octets)).transpose()
}

pub(super) fn parse_catalogue(path: &Path, octets: &[u8]) -> Result<Catalogue, OfficeError> {
    serde_json::from_slice(octets).map_err(|error| {
        OfficeError::Damaged(format!("{}: {error}; remove it: it is made again", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::config::Config;
    use crate::office::init;
    use crate::pki::AuthorityId;
    use crate::store::Clock;

    const SIGN: AuthorityId = AuthorityId(1);
    const AUTH: AuthorityId = AuthorityId(2);

    fn start(data: &DataDir) -> Arc<Office> {
        let config = Config::read(&data.config()).unwrap();
        let url = "http://127.0.0.1:8080".to_owned();
        Office::start(data.clone(), config, Clock::system(), url).unwrap().0
    }

    /// Every octet of it in turn, and worse: it is set aside, made again as it was, and nothing else
    /// happens.
    #[test]
    fn a_6_a_damaged_catalogue_of_what_is_served_costs_nothing() {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        init(&data, "SEKISHO-TEST").unwrap();
        let office = start(&data);
        office.publish(&[AUTH], true).unwrap();
        office.publish(&[SIGN], true).unwrap();
        let index = data.crl().join(CATALOGUE);
        let right = fs::read(&index).unwrap();
        let catalogue = parse_catalogue(&index, &right).unwrap();
        let mend = |office: &Office, wrong: &[u8], what: &str| {
            fs::write(&index, wrong).unwrap();
            office.restore_served_catalogue().unwrap();
            let mended = parse_catalogue(&index, &fs::read(&index).unwrap()).unwrap();
            assert_eq!(mended, catalogue, "{what}");
        };
        let (mut aside, mut harmless) = (0, 0);
        for at in (0..right.len()).step_by(3) {
            let mut wrong = right.clone();
            wrong[at] ^= 1 << (at % 7);
            let damaged = index.with_extension(DAMAGED);
            drop(fs::remove_file(&damaged));
            fs::write(&index, &wrong).unwrap();
            office.restore_served_catalogue().unwrap();
            let mended = parse_catalogue(&index, &fs::read(&index).unwrap()).unwrap();
            if damaged.exists() {
                aside += 1;
                assert_eq!(fs::read(&damaged).unwrap(), wrong);
                assert_eq!(mended, catalogue, "octet {at}");
            } else {
                // Between the words, or what only tells when the next deltas are due.
                harmless += 1;
                assert_eq!(mended.crls, catalogue.crls, "octet {at}");
                assert_eq!(mended.number, catalogue.number, "octet {at}");
            }
        }
        assert!(aside > 5 * harmless, "{aside} set aside, {harmless} not");
        for (wrong, what) in
            [(&b""[..], "empty"), (b"{}", "no catalogue"), (&right[..right.len() / 2], "half")]
        {
            mend(&office, wrong, what);
        }
        // A start is not held up by it, whatever number it names, nor is the next set.
        let number = catalogue.number.to_string();
        let later = String::from_utf8(right.clone()).unwrap().replace(&number, &format!("9{number}"));
        office.stop().unwrap();
        drop(office);
        for wrong in [later.as_bytes(), b"\0", b"[1, 2"] {
            fs::write(&index, wrong).unwrap();
            let office = start(&data);
            assert_eq!(office.served_catalogue().unwrap().unwrap(), catalogue);
            office.stop().unwrap();
        }
        let office = start(&data);
        fs::write(&index, b"{").unwrap();
        let next = office.publish(&[SIGN, AUTH], true).unwrap();
        assert_eq!(office.served_catalogue().unwrap().unwrap().number, next.number);
        office.stop().unwrap();
    }
}
