//! Past sets: kept for a while under their own addresses, then removed.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use super::{Office, OfficeError};
use crate::der::UnixTime;

const DAY: Duration = Duration::from_secs(86_400);

impl Office {
    /// Removes the sets that are older than they are kept, those that anything served is from, or
    /// is a delta to, excepted; how many.
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
        let kept = DAY * self.config.crl.keep_days;
        let now = self.clock.now();
        let mut removed = 0;
        for set in self.sets()?.into_iter().filter(|set| !wanted.contains(set)) {
            let catalogue = match self.set_catalogue(&set) {
                Ok(Some(catalogue)) => catalogue,
                // check names it; what is not understood is not removed.
                Ok(None) | Err(_) => continue,
            };
            let this_update = catalogue.this_update.parse::<UnixTime>();
            if this_update.is_ok_and(|this_update| this_update.plus(kept) < now) {
                self.discard(&self.set_directory(&set))?;
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
