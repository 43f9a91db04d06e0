//! Making a data directory, and putting a service together from one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

use super::authorities::{self, open_authority, open_generation};
use super::data::DataDir;
use super::publish::published_position;
use super::{Office, OfficeError};
use crate::config::Config;
use crate::ocsp::{self, Responder};
use crate::pki::Generation;
use crate::profile::Profile;
use crate::status::StatusIndex;
use crate::store::{Clock, Listener, Opened, Options, Store};

/// Makes a data directory with fresh keys and authorities.
///
/// # Errors
/// When there is one already, or the system refuses.
pub fn init(data: &DataDir, organization: &str) -> Result<(), OfficeError> {
    let config = Config {
        profile: crate::config::Profile { organization: organization.to_owned() },
        ..Config::default()
    };
    config.check()?;
    let profile = Profile::jpki(organization)?;
    data.create(&Config::template(organization))?;
    let clock = Clock::System;
    let (store, _) = Store::open(Options::new(data.store()), Listener::none())?;
    for authority in &profile.authorities {
        open_authority(&store, authority)?;
        open_generation(data, &store, &profile, authority, Generation::FIRST, clock.now())?;
    }
    authorities::load(data, &store, &profile, clock.now())?;
    store.close()?;
    Ok(())
}

impl Office {
    /// Opens the data directory and makes everything ready to answer. `public_url` is what goes
    /// into certificates.
    ///
    /// # Errors
    /// Whatever is wrong with settings, keys or store; nothing has been changed then.
    pub fn start(
        data: DataDir,
        config: Config,
        clock: Clock,
        public_url: String,
    ) -> Result<(Arc<Self>, Opened), OfficeError> {
        data.check()?;
        config.check()?;
        let profile = Profile::jpki(&config.profile.organization)?;
        let status = Arc::new(StatusIndex::new());
        let mut options = Options::new(data.store());
        options.clock = clock.clone();
        // Verifiers have seen this entry's number: a journal without it is an old copy.
        options.known_position = published_position(&data)?;
        let (store, opened) = Store::open(options, listener(&status))?;
        let live = authorities::load(&data, &store, &profile, clock.now())?;
        let responder = Arc::new(Responder::new(Arc::clone(&status), responder_options(&config)));
        let office = Self {
            config,
            data,
            clock,
            profile,
            store,
            status,
            responder,
            generations: ArcSwap::from_pointee(live),
            watcher: ArcSwapOption::empty(),
            served: ArcSwap::from_pointee(BTreeMap::new()),
            publishing: Mutex::new(()),
            keeping: Mutex::new(()),
            held_back: ArcSwap::from_pointee(None),
            public_url,
        };
        office.sweep_unfinished_sets()?;
        office.serve_files()?;
        let complete = office.install_signers_there()?;
        if !complete || office.store.ready().is_ok() {
            office.settle()?;
        }
        Ok((Arc::new(office), opened))
    }

    /// Once changes are taken: closes what a crash left open and renews what is due. After an
    /// unclean stop the records are rebuilt first, while OCSP already answers: the schedule then
    /// does this.
    ///
    /// # Errors
    /// When the store does not take it.
    pub(super) fn settle(&self) -> Result<(), OfficeError> {
        self.store.wait_ready();
        self.settle_open_sets()?;
        self.renew_signers()
    }

    /// Stops: everything acknowledged is on disk, and the next start need not replay.
    ///
    /// # Errors
    /// When the marker of a clean stop could not be written: the next start takes longer.
    pub fn stop(&self) -> Result<(), OfficeError> {
        Ok(self.store.close()?)
    }

    /// Removes what a crash left of sets that never came out.
    fn sweep_unfinished_sets(&self) -> Result<(), OfficeError> {
        let directory = self.data.crl();
        let Ok(entries) = fs::read_dir(&directory) else { return Ok(()) };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with("building-") {
                remove_all(&entry.path());
            }
        }
        Ok(())
    }
}

/// A leftover that cannot be removed costs disk space, not correctness.
fn remove_all(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path) {
        tracing::warn!(path = %path.display(), %error, "an unfinished CRL set could not be removed");
    }
}

/// The status index hears of every entry once it is durable, before it is acknowledged.
fn listener(status: &Arc<StatusIndex>) -> Listener {
    let (applied, snapshot, restore) = (Arc::clone(status), Arc::clone(status), Arc::clone(status));
    Listener {
        applied: Box::new(move |entries| applied.apply(entries)),
        snapshot: Box::new(move || snapshot.snapshot()),
        restore: Box::new(move |octets| restore.restore(octets).map_err(|error| error.to_string())),
    }
}

fn responder_options(config: &Config) -> ocsp::Options {
    let minutes = |minutes: u32| Duration::from_secs(u64::from(minutes) * 60);
    ocsp::Options {
        validity: minutes(config.ocsp.validity_minutes),
        refresh_after: minutes(config.ocsp.refresh_after_minutes),
        backdate: Duration::ZERO,
        cert_ids_max: config.ocsp.cert_ids_max,
        extended_revoke: config.ocsp.extended_revoke,
        cache_bytes: config.ocsp.cache_megabytes * 1024 * 1024,
    }
}
