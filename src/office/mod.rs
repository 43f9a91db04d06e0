//! The use cases, one file each; the schedule; start and stop.
//!
//! Everything above asks here; everything below is put together here. The office owns the
//! store, the keys, the status index and the responder, and reads the clock for them.

mod archived;
mod authorities;
mod before;
mod behind;
mod build;
mod cards;
mod catalogues;
mod certificates;
mod change;
mod check;
mod checkpoint;
mod clock;
mod comments;
mod comparison;
mod compromise;
pub mod data;
pub mod decisions;
mod documents;
mod ending;
mod error;
mod examiner;
mod explain;
mod fence;
mod generations;
mod held_back;
mod history;
mod inquiry;
mod issue;
mod last_crls;
mod manifest;
mod movements;
mod notice;
mod orphans;
mod presign;
mod publish;
mod rebuild;
mod reconcile;
mod refresh;
mod rehearsal;
mod remaking;
mod retention;
mod retirement;
mod schedule;
mod settle;
mod signer_alarm;
mod signer_files;
mod signer_list;
mod signer_made;
mod signer_record;
mod signer_renew;
mod signer_revoke;
mod signers;
mod signing;
mod start;
mod stored;
mod subject_keys;
mod verifiers;
mod witnesses;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};

pub use authorities::{Idle, KeyFault, LiveGeneration, NoIssuingKey};
pub use behind::Behind;
pub use cards::{CardApplication, CardChange, CardState, CardTurned};
pub use certificates::{ArchivedCertificate, ListedOf, ListedRecord, Page};
pub use change::{Asked, Changed, Wish};
pub use check::Condition;
pub use checkpoint::{Checkpoint, CheckpointError, CheckpointKey, CheckpointWatcher, SignedCheckpoint};
pub use clock::{ClockRelease, ClockState};
pub use comments::CommentSaid;
pub use comparison::{Compared, DifferingCertificate, compare};
pub use compromise::{Compromised, NextKey, NoticeOut, TOGETHER};
use data::DataDir;
use documents::Served;
pub use documents::{
    IMMUTABLE_MAX_AGE, PublicContent, PublicFile, PublicRow, PublicSet, Published, StoredFile, Watcher,
};
pub use ending::{accept_copy, accept_end, export_journal};
pub use error::{Blame, OfficeError};
pub use examiner::Contradicted;
pub use explain::{Explanation, KeptBy, Use};
pub use fence::{Fenced, bind, fenced};
pub use generations::{KeyState, KeyUse, RolledOver, WAIT};
pub use held_back::HeldBack;
pub use history::{History, Step};
pub use inquiry::{CertificateState, Selector};
pub use issue::{Application, IssuedCertificate, IssuedPair, Place, Spelling};
pub use manifest::{FilesWanted, Listed, ListedAuthority, Manifest};
pub use movements::{Effect, Reported, Subject};
pub use notice::NoticeFault;
pub use presign::{Presigning, Progress, Stage, Tell};
pub use publish::PublishedSet;
pub use rebuild::{Comparison, Rebuilt};
pub use reconcile::{Nightly, Reconciled};
pub use refresh::Sign;
pub use remaking::Watch;
pub use retirement::{NotRetired, Retired};
pub use schedule::{Keeper, Overdue, Schedule};
pub use signer_files::{GivenSigner, RefusedSigner, SignerFileError};
pub use signer_list::{SignerStanding, SignerState};
pub use signer_renew::{Renewed, SignersNamed};
pub use signer_revoke::{SignerNamed, SignerRevocation, SignerRevoked, Successor};
pub use signers::SignerInUse;
pub use start::{Fingerprints, Machine, init, init_at, init_on};
pub use subject_keys::{GivenKey, SubjectKeySource, SubjectKeysError};
pub use verifiers::{VerifierChange, VerifierNamed, VerifierState};
pub use witnesses::Agreement;
use witnesses::Witnesses;

/// Something that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attention {
    /// One of [`reason::ALL`].
    pub reason: &'static str,
    /// What, and what to do.
    pub text: String,
}

/// Why somebody should look, as the metric names it.
pub mod reason {
    /// Records and status index disagree, or did since the start.
    pub const FOLDS: &str = "folds-disagree";
    /// Something was cut off the journal's end that may have been acknowledged.
    pub const CUT: &str = "journal-cut";
    /// An authority has no key that issues.
    pub const ISSUING: &str = "authority-issues-nothing";
    /// The journal is not the one that CRL sets were made from.
    pub const CONTRADICTED: &str = "journal-contradicted";
    /// A file of `signers/` is not used.
    pub const SIGNER: &str = "signer-refused";
    /// A key of an authority cannot be used.
    pub const KEY: &str = "key-unusable";
    /// A key of an authority is compromised, and something is still to be done.
    pub const COMPROMISED: &str = "key-compromised";

    /// No checkpoints are signed.
    pub const CHECKPOINTS: &str = "no-checkpoints";
    /// CRLs that cannot be made again are not served: the last ones of a key that is retired, or those of one that
    /// is not here.
    pub const LAST_CRLS: &str = "last-crls-missing";
    /// No public notice can be signed, or the key's certificate cannot be written.
    pub const NOTICES: &str = "no-notices";

    /// All of them.
    pub const ALL: [&str; 10] =
        [FOLDS, CUT, ISSUING, CONTRADICTED, SIGNER, KEY, COMPROMISED, CHECKPOINTS, LAST_CRLS, NOTICES];
}

use crate::config::Config;
use crate::ocsp::{Responder, SigningIdentity};
use crate::pki::{AuthorityId, Generation, Partition};
use crate::profile::Profile;
use crate::signer::{Pool, SimDevice};
use crate::status::StatusIndex;
use crate::store::{Clock, Disk, Frozen, Store};

/// A running service without its listeners.
pub struct Office {
    config: Config,
    data: DataDir,
    /// Where CRL sets are.
    disk: Disk,
    /// What the authorities' keys sign in, when that may be gone.
    device: Option<SimDevice>,
    clock: Clock,
    profile: Profile,
    store: Store,
    status: Arc<StatusIndex>,
    /// The records and the index, held against each other.
    witnesses: Arc<Witnesses>,
    responder: Arc<Responder>,
    /// The journal, held against what was signed of it.
    examiner: examiner::Examiner,
    /// How far the journal has come, signed for the outside.
    checkpoints: checkpoint::Checkpoints,
    /// What relying parties are told of keys that are compromised, signed for them.
    notices: notice::Notices,
    /// The threads that sign for it and, with the authorities' keys, for this office.
    pool: Arc<Pool>,
    /// The keys that may still sign, oldest generation first.
    generations: ArcSwap<BTreeMap<AuthorityId, Vec<Arc<LiveGeneration>>>>,
    /// The sets on disk, by their names, as they are served.
    public_sets: Mutex<BTreeMap<String, Arc<PublicSet>>>,
    /// Who serves the published files.
    watcher: ArcSwapOption<Watcher>,
    /// The CRL set each authority is served from.
    served: ArcSwap<Served>,
    /// Partitions that get a CRL before their first certificate.
    coming: Mutex<BTreeSet<(AuthorityId, Partition)>>,
    /// The generations that OCSP answers under.
    answering: ArcSwap<BTreeSet<(AuthorityId, Generation)>>,
    /// The signers at hand, and what is wrong with them.
    signers: signers::Signers,
    /// Held while a CRL set is built: one at a time.
    publishing: Mutex<()>,
    /// Held while a CRL set is put in place, or a key is said to be compromised: a set that does not know
    /// of it does not come out behind it.
    placing: Mutex<()>,
    /// Held while the single revocations of compromised keys are written.
    writing: Mutex<()>,
    /// Held while signers or generations are changed.
    keeping: Mutex<()>,
    /// Held while the responder is told who may ask.
    admitting: Mutex<()>,
    /// Why the last CRL set, or the last deltas, did not come out, until one of the kind does.
    alarms: Mutex<BTreeMap<&'static str, String>>,
    /// Sets that did not come out since the start.
    builds_failed: AtomicU64,
    /// What the last nightly comparison found.
    reconciled: Mutex<Option<Reconciled>>,
    /// When the schedule last looked.
    heartbeat: schedule::Heartbeat,
    /// The signers the responder has.
    installed: ArcSwap<Vec<SigningIdentity>>,
    /// Whether the clock is believed, as the responder was last told.
    clock_told: Mutex<Option<Frozen>>,
    /// The URL written into certificates.
    public_url: String,
}

impl Office {
    /// The OCSP responder.
    #[must_use]
    pub const fn responder(&self) -> &Arc<Responder> {
        &self.responder
    }

    /// The signing threads.
    #[must_use]
    pub const fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The certificate profiles.
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The data directory.
    #[must_use]
    pub const fn data(&self) -> &DataDir {
        &self.data
    }

    /// The time that is believed.
    #[must_use]
    pub fn now(&self) -> crate::der::UnixTime {
        self.clock.now()
    }

    /// Certificates of the authority that has issued fewest, its own included.
    #[must_use]
    pub fn fewest_certificates(&self) -> u64 {
        let issued = self.profile.authorities.iter().map(|authority| self.status.issued(authority.id));
        issued.min().unwrap_or(0)
    }

    /// The URL verifiers reach the service by.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// What keeps it from being ready, a line each; empty when it answers and takes changes.
    #[must_use]
    pub fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Err(reason) = self.store.ready() {
            reasons.push(reason.to_string());
        }
        if let Some(frozen) = self.clock.frozen() {
            reasons.push(OfficeError::Clock(frozen.why).to_string());
        }
        reasons.extend(self.crl_alarms());
        reasons.extend(self.signers.faults());
        reasons
    }

    /// What somebody should look at although it answers and takes changes.
    #[must_use]
    pub fn attention(&self) -> Vec<Attention> {
        let of = |reason| move |text| Attention { reason, text };
        let folds = self.agreement().remark().into_iter().map(of(reason::FOLDS));
        let cuts = self.store.unseen_cuts();
        let cuts = cuts.iter().map(ToString::to_string).map(of(reason::CUT));
        let contradicted = self.contradicted().map(|what| what.to_string()).map(of(reason::CONTRADICTED));
        let idle = self.authorities_without_issuing_key();
        let idle = idle.iter().map(ToString::to_string).map(of(reason::ISSUING));
        let refused = self.refused_signers();
        let signers = refused.iter().map(ToString::to_string).map(of(reason::SIGNER));
        let keys = self.key_faults().into_iter().map(of(reason::KEY));
        let compromised = self.compromise_remarks().into_iter().map(of(reason::COMPROMISED));
        let unsigned = self.checkpoints.fault().map(of(reason::CHECKPOINTS));
        let missing = self.served.load().missing.clone().into_iter().map(of(reason::LAST_CRLS));
        let silent = self.notice_fault().map(of(reason::NOTICES));
        let journal = folds.chain(cuts).chain(contradicted).chain(unsigned);
        journal
            .chain(idle)
            .chain(signers)
            .chain(keys)
            .chain(compromised)
            .chain(missing)
            .chain(silent)
            .collect()
    }

    /// The same, a line each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.attention().into_iter().map(|one| one.text).collect()
    }

    /// Why CRLs that should be there are not, a line each.
    #[must_use]
    pub fn crl_alarms(&self) -> Vec<String> {
        let failed = self.alarms.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let overdue = self.overdue();
        Vec::into_iter(failed).chain(overdue.iter().map(ToString::to_string)).collect()
    }

    /// CRL sets and deltas that did not come out since the start.
    #[must_use]
    pub fn builds_failed(&self) -> u64 {
        self.builds_failed.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// An authority's name, for people.
    fn authority_name(&self, authority: AuthorityId) -> String {
        let known = self.profile.authority(authority).map(|known| known.name.clone());
        known.unwrap_or_else(|| authority.0.to_string())
    }

    /// The authority of this name.
    ///
    /// # Errors
    /// [`OfficeError::UnknownAuthority`], naming those there are.
    pub fn authority(&self, name: &str) -> Result<AuthorityId, OfficeError> {
        let known = self.profile.authority_named(name).map(|authority| authority.id);
        known.ok_or_else(|| self.no_authority(name))
    }

    fn no_authority(&self, name: &str) -> OfficeError {
        let names: Vec<&str> = self.profile.authorities.iter().map(|known| known.name.as_str()).collect();
        OfficeError::UnknownAuthority(name.to_owned(), names.join(" or "))
    }
}
