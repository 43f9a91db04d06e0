//! The catalogues on disk: of what is served, and of each set that is kept.

use std::path::{Path, PathBuf};

use super::data::DataDir;
use super::{Office, OfficeError};
use crate::crl::{Catalogue, CrlKind, CrlNumber, Row};
use crate::der::UnixTime;
use crate::pki::AuthorityId;
use crate::record::{Epoch, Position};
use crate::store::Disk;

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

    /// Puts the catalogue of what is served back where it is lost.
    pub(super) fn restore_served_catalogue(&self) -> Result<(), OfficeError> {
        let path = self.data.crl().join(CATALOGUE);
        if self.disk.len_of(&path)?.is_some() {
            return Ok(());
        }
        let Some(again) = self.catalogue_made_again() else { return Ok(()) };
        tracing::warn!(set = again.set, "the catalogue of what is served was lost, and is made again");
        Ok(self.disk.replace(&path, &to_json(&again)?)?)
    }

    /// True when there is no file of a CRL; an error when that cannot be told.
    fn is_gone(&self, row: &Row) -> Result<bool, OfficeError> {
        let Some(path) = self.crl_path(row) else { return Ok(true) };
        Ok(self.disk.len_of(&path)?.is_none())
    }

    /// The rows being served once `own` is: its own, and what it does not replace.
    pub(super) fn merged(&self, own: &Catalogue) -> Result<Catalogue, OfficeError> {
        let replaced = |row: &Row| {
            let of = own.crls.iter().filter(|own| own.authority == row.authority);
            // Deltas replace deltas; a complete set without them leaves those there are.
            let mut of = of.filter(|own| (own.kind == CrlKind::Delta) == (row.kind == CrlKind::Delta));
            of.next().is_some()
        };
        let Some(standing) = self.standing_catalogue()? else { return Ok(own.clone()) };
        // What is said of all is said of the newest complete set.
        let rows = standing.crls.clone();
        let mut merged = own.clone();
        if own.is_deltas_alone() {
            let Catalogue { crls, bases, .. } = merged;
            merged = Catalogue { crls, bases, ..standing };
        }
        // Nor deltas from a time that is yet to come: the clock was released since.
        let yet_to_come = |row: &Row| row.kind == CrlKind::Delta && row.this_update > own.this_update;
        for row in rows.into_iter().filter(|row| !yet_to_come(row) && !replaced(row)) {
            // One whose file is gone, or cannot be looked at, stays too: as long as it is named, its
            // authority counts as not served, and that is told until another set comes out. But
            // deltas may be cut no more; while they are, others come at once.
            if row.kind == CrlKind::Delta && matches!(self.is_gone(&row), Ok(true)) {
                tracing::error!(
                    url = row.url,
                    "the file of published deltas is gone: they are no longer named"
                );
                continue;
            }
            merged.crls.push(row);
        }
        merged.crls.sort_by(|a, b| (&a.authority, a.generation).cmp(&(&b.authority, b.generation)));
        Ok(merged)
    }
}

/// The entry that began the newest CRL that is served or kept, and its epoch; none before the first, and
/// where all of `crl/` was removed: there is nothing then to hold the journal against.
pub(super) fn published_entry(disk: &Disk, data: &DataDir) -> Result<Option<(Epoch, Position)>, OfficeError> {
    let served = read_catalogue(disk, &data.crl().join(CATALOGUE))?;
    let served = served.iter().flat_map(|served| &served.crls).map(|row| row.number);
    // A set is begun in the journal before anything of it is on the disk.
    let newest = served.chain(kept_sets(disk, data)?).max();
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
