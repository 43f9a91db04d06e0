//! Past sets: kept for a while under their own addresses, then removed.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use super::before::last_sets;
use super::{Office, OfficeError};
use crate::crl::CrlNumber;

const DAY: Duration = Duration::from_secs(86_400);

impl Office {
    /// Removes the sets that are older than they are kept, those that anything served is from, or
    /// is a delta to, and those that the next are measured by, excepted; how many.
    ///
    /// # Errors
    /// When what is served cannot be read, or a set not be removed.
    pub fn retire_sets(&self) -> Result<usize, OfficeError> {
        self.believed_clock()?;
        let publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let served = self.served_catalogue()?;
        let mut wanted = BTreeSet::new();
        for row in served.iter().flat_map(|served| &served.crls) {
            wanted.insert(row.set.clone());
            wanted.extend(row.base_number.map(|base| base.to_string()));
        }
        // Also when the catalogue of what is served is lost.
        let facts = self.store.facts();
        // Those of retired keys whatever the time is said to be: a clock that is ahead must not cost what nobody
        // can sign again.
        let last_crls = facts.retirements.values().map(|said| said.set);
        let last = facts.crl_sets.values().flat_map(last_sets).chain(last_crls);
        wanted.extend(last.map(|set| CrlNumber::new(set.epoch, set.position).to_string()));
        let kept = DAY * self.config.crl.keep_days;
        let now = self.clock.now();
        let mut removed = 0;
        // One that cannot be read is not among them: check names it, and it is not removed.
        for set in self.public_sets()?.into_iter().filter(|set| !wanted.contains(&set.name)) {
            if set.last_modified.plus(kept) < now {
                self.discard(&set.directory)?;
                removed += 1;
            }
        }
        if removed > 0 {
            tracing::info!(removed, "CRL sets older than crl.keep_days removed");
            self.serve_files()?;
        }
        drop(publishing);
        Ok(removed)
    }
}
