//! The catalogues on disk: of what is served, and of each set that is kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::authorities::sha256;
use super::data::DataDir;
use super::{Office, OfficeError};
use crate::crl::{Catalogue, CrlKind, CrlNumber, Row, SetPlan};
use crate::der::UnixTime;
use crate::pki::AuthorityId;
use crate::record::Position;
use crate::store::{CrlSet, Disk};

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

    /// For each authority the catalogue of the complete set it is served from.
    pub(super) fn served_catalogues(&self) -> Result<BTreeMap<AuthorityId, Catalogue>, OfficeError> {
        let mut found = BTreeMap::new();
        let Some(served) = self.served_catalogue()? else { return Ok(found) };
        for authority in &self.profile.authorities {
            let complete = |row: &&Row| row.authority == authority.name && row.kind != CrlKind::Delta;
            let Some(row) = served.crls.iter().find(complete) else { continue };
            if let Some(set) = self.set_catalogue(&row.set)? {
                found.insert(authority.id, set);
            }
        }
        Ok(found)
    }

    /// The plan of a set that was published for an authority, when its catalogue is there and is
    /// the one in the journal.
    pub(super) fn published_plan(&self, set: &CrlSet) -> Result<Option<SetPlan>, OfficeError> {
        let number = CrlNumber::new(self.store.epoch(), set.position);
        let path = self.set_directory(&number.to_string()).join(CATALOGUE);
        let Some(octets) = self.disk.read(&path)? else { return Ok(None) };
        if sha256(&octets) != set.catalogue_sha256 {
            return Err(OfficeError::Damaged(format!(
                "{}: not the catalogue that was published",
                path.display()
            )));
        }
        Ok(parse_catalogue(&path, &octets)?.plan())
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
        let names = self.disk.list(&self.data.crl().join(SETS))?;
        let mut numbers: Vec<u128> = names.iter().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers.iter().map(u128::to_string).collect())
    }

    /// The rows being served once `own` is: its own, and what it does not replace.
    pub(super) fn merged(&self, own: &Catalogue) -> Result<Catalogue, OfficeError> {
        let replaced = |row: &Row| {
            let of = own.crls.iter().filter(|own| own.authority == row.authority);
            // Deltas replace deltas; a complete set without them leaves those there are.
            let mut of = of.filter(|own| (own.kind == CrlKind::Delta) == (row.kind == CrlKind::Delta));
            of.next().is_some()
        };
        let Some(standing) = self.served_catalogue()? else { return Ok(own.clone()) };
        // What is said of all is said of the newest complete set.
        let rows = standing.crls.clone();
        let mut merged = own.clone();
        if own.is_deltas_alone() {
            let Catalogue { crls, bases, .. } = merged;
            merged = Catalogue { crls, bases, ..standing };
        }
        // Nor deltas from a time that is yet to come: the clock was released since.
        let yet_to_come = |row: &Row| row.kind == CrlKind::Delta && row.this_update > own.this_update;
        for row in rows.into_iter().filter(|row| !yet_to_come(row)) {
            let path = self.crl_path(&row);
            if !replaced(&row) && path.is_some_and(|path| matches!(self.disk.len_of(&path), Ok(Some(_)))) {
                merged.crls.push(row);
            }
        }
        merged.crls.sort_by(|a, b| (&a.authority, a.generation).cmp(&(&b.authority, b.generation)));
        Ok(merged)
    }
}

/// The position of the newest CRL being served; 0 before the first.
pub(super) fn published_position(disk: &Disk, data: &DataDir) -> Result<Position, OfficeError> {
    let served = read_catalogue(disk, &data.crl().join(CATALOGUE))?;
    let numbers = served.iter().flat_map(|served| &served.crls).map(|row| row.number);
    Ok(numbers.max().and_then(CrlNumber::parts).map(|(_, position)| position).unwrap_or_default())
}

pub(super) fn to_json(catalogue: &Catalogue) -> Result<Vec<u8>, OfficeError> {
    serde_json::to_vec_pretty(catalogue).map_err(|error| OfficeError::Damaged(error.to_string()))
}

pub(super) fn read_catalogue(disk: &Disk, path: &Path) -> Result<Option<Catalogue>, OfficeError> {
    disk.read(path)?.map(|octets| parse_catalogue(path, &octets)).transpose()
}

fn parse_catalogue(path: &Path, octets: &[u8]) -> Result<Catalogue, OfficeError> {
    serde_json::from_slice(octets).map_err(|error| {
        OfficeError::Damaged(format!("{}: {error}; remove it, a new set is cut at start", path.display()))
    })
}
