//! What a crash left of CRL sets: closed in the journal, swept from the disk.

use std::path::Path;
use std::sync::PoisonError;

use super::authorities::sha256;
use super::catalogues::to_json;
use super::publish::BUILDING;
use super::{Office, OfficeError};
use crate::crl::CrlNumber;
use crate::record::Event;

/// Begins the name of a directory that is being removed.
const DISCARDED: &str = "discarded-";

impl Office {
    /// Sets that a crash left open: one that is being served was published, one that was held back
    /// waits on, the others will never come out.
    pub(super) fn settle_open_sets(&self) -> Result<(), OfficeError> {
        let publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let served = self.served_catalogue()?;
        for begun in self.store.facts().open_crl_sets.keys().copied() {
            let set = CrlNumber::new(self.store.epoch(), begun).to_string();
            let is_served = served.iter().flat_map(|served| &served.crls).any(|row| row.set == set);
            let own = if is_served { self.set_catalogue(&set)? } else { None };
            match own {
                Some(own) => {
                    let catalogue_sha256 = sha256(&to_json(&own)?);
                    self.journal(Event::CrlSetPublished { begun, catalogue_sha256 })?;
                }
                None if self.is_held_back(begun) => {}
                None => {
                    // It may have been renamed into place, and nobody told of it.
                    self.discard(&self.set_directory(&set))?;
                    self.journal(Event::CrlSetAbandoned { begun })?;
                }
            }
        }
        drop(publishing);
        Ok(())
    }

    /// Removes a set's directory. Its name goes first, and for good: a crash leaves the whole of it,
    /// or something that the next start sweeps, but never a set with a part of its files.
    pub(super) fn discard(&self, directory: &Path) -> Result<(), OfficeError> {
        let (Some(name), Some(parent)) = (directory.file_name(), directory.parent()) else { return Ok(()) };
        if !self.disk.list(parent)?.iter().any(|there| name == there.as_str()) {
            return Ok(());
        }
        let discarded = self.data.crl().join(format!("{DISCARDED}{}", name.display()));
        self.disk.remove_dir(&discarded)?;
        self.disk.rename(directory, &discarded)?;
        // First where it may have come from a moment ago.
        self.disk.sync_dir(&self.data.crl())?;
        self.disk.sync_dir(parent)?;
        Ok(self.disk.remove_dir(&discarded)?)
    }

    /// Removes what a crash left of sets that never came out, or were being removed.
    pub(super) fn sweep_unfinished_sets(&self) {
        let Ok(names) = self.disk.list(&self.data.crl()) else { return };
        let is_left = |name: &&String| name.starts_with(BUILDING) || name.starts_with(DISCARDED);
        for name in names.iter().filter(is_left) {
            let path = self.data.crl().join(name);
            // A leftover that cannot be removed costs disk space, not correctness.
            if let Err(error) = self.disk.remove_dir(&path) {
                tracing::warn!(%error, "an unfinished CRL set could not be removed");
            }
        }
    }
}
