//! The last CRLs of keys that are retired: nobody can sign them again, so they are taken from the set that they were
//! made in, which the journal vouches for, whatever becomes of the catalogue of what is served. Where they are
//! lost, that is told until they are put back or are over.

use std::collections::BTreeSet;
use std::sync::TryLockError;

use super::before::NotVouched;
use super::catalogues::{LastRows, with_last_rows};
use super::{Office, OfficeError};
use crate::crl::{Catalogue, CrlKind, CrlNumber, Row};
use crate::pki::{AuthorityId, Generation};
use crate::store::CrlSet;

impl Office {
    /// The sets that hold the last CRLs of an authority's keys, as far as those are still valid.
    pub(super) fn last_crls(&self, authority: AuthorityId) -> Vec<(Generation, CrlSet)> {
        let (facts, now) = (self.store.facts(), self.clock.now());
        let issued = facts.issuers.iter().map(|record| &record.issued);
        let valid = issued.filter(|issued| issued.is_ca_certificate_of(authority) && issued.not_after > now);
        let valid: BTreeSet<Generation> = valid.map(|issued| issued.certificate.generation).collect();
        let own = facts.retirements.iter();
        let own = own.filter(|((of, generation), _)| *of == authority && valid.contains(generation));
        own.map(|((_, generation), said)| (*generation, said.set)).collect()
    }

    /// The sets that hold the last CRLs of keys.
    pub(super) fn sets_of_retired(&self) -> Vec<CrlSet> {
        let authorities = self.profile.authorities.iter();
        authorities.flat_map(|authority| self.last_crls(authority.id)).map(|(_, set)| set).collect()
    }

    /// The last CRLs of each key that is retired, by the catalogue of their set; or why that is not to be had.
    pub(super) fn last_rows(&self) -> Vec<LastRows> {
        let mut last = Vec::new();
        for authority in &self.profile.authorities {
            for (generation, set) in self.last_crls(authority.id) {
                let of = |row: &Row| {
                    row.authority == authority.name
                        && row.generation == generation.number()
                        && row.kind != CrlKind::Delta
                };
                let vouched = self.vouched_set(&set).map(|vouched| {
                    let rows = vouched.catalogue.crls.iter().filter(|row| of(row)).cloned().collect();
                    (Box::new(vouched.catalogue), rows)
                });
                let set = CrlNumber::new(set.epoch, set.position).to_string();
                let (authority, generation) = (authority.name.clone(), generation.number());
                last.push(LastRows { authority, generation, set, vouched });
            }
        }
        last
    }

    /// Puts last CRLs back into the catalogue of what is served, where it lacks them or names others.
    pub(super) fn restore_last_rows(&self, served: Catalogue) -> Result<(), OfficeError> {
        let last = self.last_rows();
        if last.is_empty() {
            return Ok(());
        }
        let restored = with_last_rows(served.clone(), &last);
        let is_named = |row: &Row| served.crls.contains(row);
        if restored.crls.len() == served.crls.len() && restored.crls.iter().all(is_named) {
            return Ok(());
        }
        tracing::warn!("the catalogue of what is served lacks last CRLs of a retired key: they are put back");
        self.write_served(&restored)
    }

    /// What is missing of the last CRLs, a line for each key.
    pub(super) fn missing_last(&self, is_served: impl Fn(&Row) -> bool) -> Vec<String> {
        let told = self.last_rows().into_iter().filter_map(|last| {
            let what = match &last.vouched {
                Err(NotVouched::Missing(path)) => format!("{} is missing", path.display()),
                Err(error) => error.to_string(),
                Ok((_, rows)) => {
                    let lost = rows.iter().find(|row| !is_served(row))?;
                    format!("the file of {} is missing, or not the one that was published", lost.url)
                }
            };
            let LastRows { authority, generation, set, .. } = last;
            Some(format!(
                "the last CRLs of {authority}, generation {generation}, are not served: {what}; the key is retired and \
                 nobody can sign them again: put {} back from a backup, all of it",
                self.set_directory(&set).display()
            ))
        });
        told.collect()
    }

    /// Looks whether CRLs that cannot be made again were put back, and serves them.
    pub(super) fn look_for_last_crls(&self) -> Result<(), OfficeError> {
        if self.served.load().missing.is_empty() {
            return Ok(());
        }
        let publishing = match self.publishing.try_lock() {
            Ok(publishing) => publishing,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // The set that is being made ends in the same.
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        let served = self.serve_files();
        drop(publishing);
        served
    }
}
