//! What a crash left of CRL sets: closed in the journal, swept from the disk.

use std::path::Path;
use std::sync::PoisonError;

use super::authorities::sha256;
use super::catalogues::{CATALOGUE, to_json};
use super::publish::BUILDING;
use super::retirement::Retiring;
use super::{Office, OfficeError};
use crate::crl::{Catalogue, CrlNumber, Row};
use crate::record::{Event, Origin, Position, Refusal};

/// Begins the name of a directory that is being removed.
const DISCARDED: &str = "discarded-";

/// Alarm: what a stop left open is open still. Gone when a complete set comes out.
pub(super) const UNSETTLED: &str = "unsettled CRL set";

impl Office {
    /// Sets that a crash left open: one that is being served was published, one that was held back
    /// waits on, the others will never come out.
    pub(super) fn settle_open_sets(&self) -> Result<(), OfficeError> {
        let publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let served = self.served_catalogue()?;
        let open = self.store.facts().open_crl_sets.clone();
        let open =
            open.into_iter().map(|(begun, (set, _))| (begun, CrlNumber::new(set.epoch, begun).to_string()));
        let is_served = |set: &str| served.iter().flat_map(|served| &served.crls).any(|row| row.set == set);
        let (came_out, open): (Vec<_>, Vec<_>) = open.partition(|(_, set)| is_served(set));
        // First: a set that was held back is over once another one came out.
        for (begun, set) in came_out {
            self.settle_served(begun, &set)?;
        }
        for (begun, set) in open {
            match self.is_held_back(begun) {
                // A stop came between the one that replaced it and its being given up.
                Ok(true) if self.newer_than(begun).is_some() => self.give_up_held_back(),
                Ok(true) => self.tell_held_back(),
                Ok(false) => {
                    // It may have been renamed into place, and nobody told of it.
                    self.discard(&self.set_directory(&set))?;
                    self.journal(Event::CrlSetAbandoned { begun })?;
                }
                // It is left open: it may be the one that waits.
                Err(error) => self.tell_unsettled(&set, &error),
            }
        }
        drop(publishing);
        Ok(())
    }

    /// A set that is being served was published. Without its own catalogue it cannot be said which:
    /// then it is left open until another set is served in its place.
    fn settle_served(&self, begun: Position, set: &str) -> Result<(), OfficeError> {
        if let Some(own) = self.set_catalogue(set)? {
            let catalogue_sha256 = sha256(&to_json(&own)?);
            let published = Event::CrlSetPublished { begun, catalogue_sha256 };
            return match self.retiring_in(&own, Origin::service())? {
                None => self.journal(published),
                Some(retiring) => self.finish_retiring(&retiring, (begun, set), published),
            };
        }
        let path = self.set_directory(set).join(CATALOGUE);
        self.tell_unsettled(set, &OfficeError::Damaged(format!("{}: it is missing", path.display())));
        Ok(())
    }

    /// A stop came between the last CRLs of a key and the word that it is retired: that follows now. A key that
    /// issued meanwhile signs on, and the set goes.
    fn finish_retiring(
        &self,
        retiring: &Retiring,
        set: (Position, &str),
        published: Event,
    ) -> Result<(), OfficeError> {
        match self.announce_last(retiring, set, published) {
            Err(OfficeError::Refused(refusal @ Refusal::KeyInUse(_))) => {
                tracing::warn!(set = set.1, %refusal, "a key is not retired: its last CRLs do not come out");
                self.serve_files()
            }
            // What was served before it cannot be told: it is left open, and the service starts.
            Err(error @ (OfficeError::Damaged(_) | OfficeError::Data(_))) => {
                self.tell_unsettled(set.1, &error);
                Ok(())
            }
            announced => announced,
        }
    }

    /// Takes a set that is in place, and that nobody was told of, out again: the catalogue of what is served is
    /// made again without it first.
    pub(super) fn take_back(&self, begun: Position, set: &str) -> Result<(), OfficeError> {
        let again = self.catalogue_made_again().ok_or_else(|| {
            OfficeError::Damaged(format!("what was served before set {set} cannot be told: publish anew"))
        })?;
        let again = self.with_what_stays(again, set)?;
        self.disk.replace(&self.data.crl().join(CATALOGUE), &to_json(&again)?)?;
        self.discard(&self.set_directory(set))?;
        self.journal(Event::CrlSetAbandoned { begun })
    }

    /// Of the catalogue that is served all rows but those of `set`, unless `again` has another in their place:
    /// the CRLs of a key that is lost stand in no set but an older one.
    fn with_what_stays(&self, mut again: Catalogue, set: &str) -> Result<Catalogue, OfficeError> {
        let place = |row: &Row| (row.authority.clone(), row.generation, row.partition.clone(), row.kind);
        for row in self.served_catalogue()?.into_iter().flat_map(|served| served.crls) {
            if row.set != set && !again.crls.iter().any(|known| place(known) == place(&row)) {
                again.crls.push(row);
            }
        }
        Ok(again)
    }

    /// Tells when the set that waits cannot be read: it stays, and can only be replaced.
    fn tell_held_back(&self) {
        match self.held_back() {
            Ok(Some(waiting)) => {
                tracing::warn!(set = waiting.set, "a CRL set is held back: an operator may let it go");
            }
            Ok(None) => {}
            Err(error) => self.tell_unsettled("that is held back", &error),
        }
    }

    fn tell_unsettled(&self, set: &str, error: &OfficeError) {
        tracing::error!(set, %error, "a CRL set that a stop left open stays open");
        let alarm = format!("the CRL set {set} cannot be read, publish anew: {error}");
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner).insert(UNSETTLED, alarm);
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
        let names = match self.disk.list(&self.data.crl()) {
            Ok(names) => names,
            Err(error) => {
                tracing::warn!(%error, "unfinished CRL sets could not be looked for");
                return;
            }
        };
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
