//! Making a data directory, and putting a service together from one.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

use super::authorities::{self, LiveGenerations, open_authority, open_generation};
use super::catalogues::published_entry;
use super::checkpoint::{CheckpointKey, Checkpoints, Signing};
use super::data::DataDir;
use super::documents::Served;
use super::examiner::Examiner;
use super::fence;
use super::notice::{NoticeKey, Notices};
use super::schedule::Heartbeat;
use super::signers::Signers;
use super::witnesses::Witnesses;
use super::{Office, OfficeError};
use crate::config::{self, Config, NonceFallback, RequestSignature, SignerKey};
use crate::issue::OcspUrl;
use crate::ocsp::{self, Access, Responder};
use crate::pki::Generation;
use crate::profile::Profile;
use crate::record::Origin;
use crate::signer::{Limits, Pool, SimDevice};
use crate::status::StatusIndex;
use crate::store::{Clock, Disk, NotReady, Opened, Options, RowsKind, Store};

/// What a service runs on. Tests put it on a disk that they can fill, or pull the plug of.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Journal, archive and CRLs are on it; settings and keys always on the real one.
    pub disk: Disk,
    /// Where the records are projected to.
    pub rows: RowsKind,
    /// What the authorities' keys sign in, when that may be gone.
    pub device: Option<SimDevice>,
}

impl Machine {
    /// This one.
    #[must_use]
    pub const fn real() -> Self {
        Self { disk: Disk::File, rows: RowsKind::Sled, device: None }
    }

    pub(super) fn options(&self, data: &DataDir, clock: &Clock) -> Result<Options, OfficeError> {
        if let Some(above) = data.store().parent() {
            self.disk.create_dirs(above)?;
        }
        let (disk, rows, clock) = (self.disk.clone(), self.rows, clock.clone());
        Ok(Options { disk, rows, clock, ..Options::new(data.store()) })
    }
}

/// What verifies what a new data directory signs beside certificates: to be kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprints {
    /// Verifies checkpoints.
    pub checkpoint_key: CheckpointKey,
    /// SHA-256 of the public key (SubjectPublicKeyInfo) that verifies public notices, hex.
    pub notice_key: String,
}

/// Makes a data directory with fresh keys and authorities. One that was interrupted goes on
/// where it stopped. What verifies its checkpoints and notices, to be kept elsewhere.
///
/// # Errors
/// When there is one already, or the system refuses.
pub fn init(data: &DataDir, organization: &str) -> Result<Fingerprints, OfficeError> {
    init_at(data, organization, &Clock::system())
}

/// As [`init`], by another clock.
///
/// # Errors
/// As [`init`].
pub fn init_at(data: &DataDir, organization: &str, clock: &Clock) -> Result<Fingerprints, OfficeError> {
    init_on(data, organization, clock, &Machine::real())
}

/// As [`init_at`], on another machine.
///
/// # Errors
/// As [`init`].
pub fn init_on(
    data: &DataDir,
    organization: &str,
    clock: &Clock,
    machine: &Machine,
) -> Result<Fingerprints, OfficeError> {
    let config = Config {
        profile: crate::config::Profile { organization: organization.to_owned() },
        ..Config::default()
    };
    config.check()?;
    let profile = Profile::jpki(organization)?;
    data.create()?;
    let options = machine.options(data, clock)?;
    let (store, _) = Store::open(options, Vec::new())?;
    for authority in &profile.authorities {
        open_authority(&store, authority)?;
        let facts = store.facts();
        if !facts.issuers.iter().any(|record| record.issued.certificate.authority == authority.id) {
            open_generation(
                data,
                &store,
                &profile,
                authority,
                (Generation::FIRST, None),
                clock.now(),
                Origin::service(),
            )?;
        }
    }
    let live = authorities::load(data, &store, &profile, clock.now(), machine.device.as_ref())?;
    live.values().flatten().try_for_each(|live| live.key().map(drop))?;
    let (signing, _) = Signing::open(data, &store.facts().journal_id)?;
    let mut notices = NoticeKey::open(data, clock.now())?;
    notices.check_written()?;
    store.close()?;
    fence::bind(data)?;
    // Last: from here on the directory counts as made.
    data.write(&data.config(), Config::template(organization).as_bytes())?;
    Ok(Fingerprints { checkpoint_key: signing.public(), notice_key: notices.fingerprint() })
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
        Self::start_on(data, config, clock, public_url, &Machine::real())
    }

    /// As [`Self::start`], on another machine.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_on(
        data: DataDir,
        config: Config,
        clock: Clock,
        public_url: String,
        machine: &Machine,
    ) -> Result<(Arc<Self>, Opened), OfficeError> {
        data.check()?;
        config.check()?;
        let profile = Profile::jpki(&config.profile.organization)?;
        let status = Arc::new(StatusIndex::new());
        let witnesses = Arc::new(Witnesses::new(Arc::clone(&status)));
        let mut options = machine.options(&data, &clock)?;
        // Verifiers have seen this entry's number: a journal without it is an old copy.
        options.known = published_entry(&machine.disk, &data)?;
        // What is missing is lost, and not to be begun anew.
        options.begins = false;
        options.fenced = fence::fenced(&data)?.map(|why| why.to_string());
        public_url.parse::<OcspUrl>()?;
        let (store, opened) = Store::open(options, vec![witnesses.fold()])?;
        // The newest CRL's thisUpdate is an entry's time too: this is the latest there is.
        clock.hold_against(store.recorded_at());
        let closing = store.clone();
        let checkpoints = Checkpoints::open(&data, &store.facts().journal_id);
        let notices = Notices::open(&data, clock.now());
        let fenced = store.fenced().is_some();
        let answering = ocsp::Options { fenced, ..responder_options(&config) };
        let responder = Arc::new(Responder::new(Arc::clone(&status), answering));
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let pool = Pool::start(Limits::for_threads(threads)).map_err(OfficeError::Threads)?;
        let office = Self {
            config,
            data,
            disk: machine.disk.clone(),
            device: machine.device.clone(),
            clock,
            profile,
            store,
            status,
            witnesses,
            responder,
            examiner: Examiner::default(),
            checkpoints,
            notices,
            pool: Arc::new(pool),
            generations: ArcSwap::from_pointee(LiveGenerations::new()),
            public_sets: Mutex::default(),
            watcher: ArcSwapOption::empty(),
            served: ArcSwap::from_pointee(Served::default()),
            coming: Mutex::new(BTreeSet::new()),
            answering: ArcSwap::from_pointee(BTreeSet::new()),
            publishing: Mutex::new(()),
            placing: Mutex::new(()),
            writing: Mutex::new(()),
            keeping: Mutex::new(()),
            admitting: Mutex::new(()),
            alarms: Mutex::default(),
            builds_failed: AtomicU64::new(0),
            reconciled: Mutex::new(None),
            heartbeat: Heartbeat::default(),
            signers: Signers::default(),
            installed: ArcSwap::from_pointee(Vec::new()),
            clock_told: Mutex::new(None),
            public_url,
        };
        office.watch_clock();
        match office.make_ready(&opened) {
            Ok(()) => Ok((Arc::new(office), opened)),
            Err(error) => {
                // A start that is refused costs the next one no rebuilding.
                drop(closing.close());
                Err(error)
            }
        }
    }

    fn make_ready(&self, opened: &Opened) -> Result<(), OfficeError> {
        self.load_authorities(self.clock.now())?;
        self.pass_orphans(&opened.orphans)?;
        self.check_reservations()?;
        self.read_given_signers()?;
        if self.store.fenced().is_none() {
            self.sweep_unfinished_sets();
        }
        self.install_verifiers();
        self.serve_files()?;
        let complete = self.install_signers_there();
        if let Err(copy @ NotReady::Fenced(_)) = self.store.ready() {
            tracing::error!("{copy}");
            return Ok(());
        }
        if complete && self.is_rebuilding() { Ok(()) } else { self.settle() }
    }

    /// Once changes are taken: closes what a crash left open and renews what is due. After an
    /// unclean stop the records are rebuilt first, while OCSP already answers: the schedule then
    /// does this.
    ///
    /// # Errors
    /// When the store does not take it.
    pub fn settle(&self) -> Result<(), OfficeError> {
        self.store.wait_ready();
        self.settle_open_sets()?;
        if self.watch_clock().is_some() {
            // Whose time is over cannot be told; signers are renewed once the clock is believed.
            return Ok(());
        }
        self.adopt_rules()?;
        match self.renew_signers() {
            // What the device does not sign now, it will later; what was signed goes on.
            Err(error @ (OfficeError::Sign(_) | OfficeError::KeyUnusable { .. })) => {
                tracing::error!(%error, "an OCSP signer could not be renewed")
            }
            renewed => renewed?,
        }
        self.remove_expired_keys()
    }

    /// True while the records are being rebuilt: OCSP answers, changes wait.
    pub(super) fn is_rebuilding(&self) -> bool {
        matches!(self.store.ready(), Err(NotReady::Rebuilding(_)))
    }

    /// Stops: everything acknowledged is on disk, and the next start need not replay.
    ///
    /// # Errors
    /// When the marker of a clean stop could not be written: the next start takes longer.
    pub fn stop(&self) -> Result<(), OfficeError> {
        // What was written since the last one is told too.
        if self.store.fenced().is_none()
            && let Err(error) = self.sign_checkpoint()
        {
            tracing::error!(%error, "no checkpoint was signed");
        }
        self.pool.stop();
        Ok(self.store.close()?)
    }
}

fn responder_options(config: &Config) -> ocsp::Options {
    let minutes = |minutes: u32| Duration::from_secs(u64::from(minutes) * 60);
    let cache_bytes = config.ocsp.cache_megabytes * 1024 * 1024;
    // Nearly everybody is answered by the first signer.
    let (less, more) = (cache_bytes / 4, cache_bytes / 4 * 3);
    let (cache_bytes, cache_long_bytes) = match config.ocsp.signers.first() {
        Some(SignerKey::Rsa2048 | SignerKey::P384) => (less, more),
        _ => (more, less),
    };
    ocsp::Options {
        validity: minutes(config.ocsp.validity_minutes),
        refresh_after: minutes(config.ocsp.refresh_after_minutes),
        backdate: Duration::ZERO,
        cert_ids_max: config.ocsp.cert_ids_max,
        extended_revoke: config.ocsp.extended_revoke,
        archive_retention: (config.ocsp.archive_cutoff_days > 0)
            .then(|| minutes(config.ocsp.archive_cutoff_days * 24 * 60)),
        without_nonce: config.ocsp.nonce_fallback == NonceFallback::WithoutNonce,
        fenced: false,
        access: match config.ocsp.access {
            config::Access::Open => Access::Open,
            config::Access::Registered => {
                Access::Registered { required: config.ocsp.signature != Some(RequestSignature::Optional) }
            }
        },
        cache_bytes,
        cache_long_bytes,
    }
}
