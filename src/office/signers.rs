//! Who signs OCSP answers: for every live generation one signer of each kind configured, the
//! one in `signers/` before the one made here, each followed by another in time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::signer_alarm::{Alarm, is_due};
use super::signer_files::{Given, RefusedSigner};
use super::{LiveGeneration, Office, OfficeError};
use crate::config::SignerKey;
use crate::der::UnixTime;
use crate::ocsp::{Replaced, Signer, SigningIdentity};
use crate::pki::{Generation, SerialNumber, SignatureAlgorithm};
use crate::record::{CertificateRef, Origin};

/// Before a signer of `signers/` ends, one made here takes over: five looks of the schedule, so
/// that a few may be late.
const HANDOVER: Duration = Duration::from_secs(5 * 60);

/// A signer at hand: read, checked, valid when it was.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) serial: SerialNumber,
    pub(super) not_before: UnixTime,
    pub(super) signer: Arc<Signer>,
}

/// A signer that OCSP answers are signed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerInUse {
    /// Name of the authority it answers for.
    pub authority: String,
    /// Of which key.
    pub generation: Generation,
    /// The kind of its own key, as the settings name it.
    pub key: &'static str,
    /// End of its validity.
    pub not_after: UnixTime,
}

/// The signers at hand, and what is wrong with them.
#[derive(Default)]
pub(super) struct Signers {
    /// Those of `signers/` that were right when it was read last.
    pub(super) given: ArcSwap<Vec<Given>>,
    /// What in `signers/` was not, and why.
    pub(super) refused: ArcSwap<Vec<RefusedSigner>>,
    /// What the responder has.
    pub(super) in_use: ArcSwap<Vec<SigningIdentity>>,
    /// Which signers have no successor, and why.
    renewal_faults: ArcSwap<Vec<String>>,
    seen: Mutex<Seen>,
}

/// What need not be read, or told, twice.
#[derive(Default)]
pub(super) struct Seen {
    /// Those made here, by their certificates; none for one that was refused.
    pub(super) made: BTreeMap<CertificateRef, Option<Held>>,
    /// The last alarm given about a signer, by its key.
    alarms: BTreeMap<[u8; 20], Alarm>,
    /// Keys that sign no more, whatever else is said of their certificates: what is being revoked.
    pub(super) retired: BTreeSet<[u8; 20]>,
    /// Since when those in use are, by their keys.
    pub(super) since: BTreeMap<[u8; 20], UnixTime>,
}

/// Who is to sign from now on, and for whom there is no better one.
pub(super) struct Plan {
    pub(super) identities: Vec<SigningIdentity>,
    faults: Vec<String>,
    pub(super) failed: Option<OfficeError>,
}

impl Held {
    /// How long its certificate is valid.
    pub(super) fn life(&self) -> Duration {
        self.signer.not_after.since(self.not_before)
    }
}

impl Signers {
    /// What keeps the service from being ready, a line each.
    pub(super) fn faults(&self) -> Vec<String> {
        self.renewal_faults.load().as_ref().clone()
    }

    pub(super) fn is_retired(&self, held: &Held) -> bool {
        self.seen().retired.contains(&held.signer.key.key_id())
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LiveGeneration {
    fn identity(&self, signers: Vec<Arc<Signer>>) -> SigningIdentity {
        SigningIdentity { issuer: Arc::clone(&self.issuer), signers }
    }
}

impl Office {
    /// Hands the responder the signers that are there, so that it answers while records are
    /// still being rebuilt; false when one is missing.
    pub(super) fn install_signers_there(&self) -> bool {
        let now = self.clock.now();
        let mut identities = Vec::new();
        let mut complete = true;
        for live in self.all_live_generations() {
            let made = self.made_signers(&live, now);
            let of_kind = |key: &SignerKey| {
                let given = self.given_signer(&live, algorithm(*key), now);
                preferred(given, made_of(&made, *key), now).map(|held| held.signer)
            };
            let signers: Vec<_> = self.config.ocsp.signers.iter().filter_map(of_kind).collect();
            // Nobody follows those of a key that is retired.
            complete &= live.is_retired() || signers.len() == self.config.ocsp.signers.len();
            identities.push(live.identity(signers));
        }
        drop(self.install(&identities, now));
        complete
    }

    /// Sees to it that every live generation has a signer of each kind with a third of its life
    /// left, and hands them to the responder. Generations that have expired get none: questions
    /// about their certificates are `unauthorized` from then on.
    ///
    /// # Errors
    /// The first that cannot be made; the others are installed, and the old one goes on as long
    /// as it is valid. Logged by how little time it has left; [`Self::unready`] names it.
    pub fn renew_signers(&self) -> Result<(), OfficeError> {
        let keeping = self.keeping.lock();
        let now = self.clock.now();
        let mut plan = self.plan_signers(now);
        let failed = plan.failed.take();
        drop(self.carry_out(plan, now));
        drop(keeping);
        failed.map_or(Ok(()), Err)
    }

    /// Sees to signers for every live generation, and installs none. Only while `keeping` is held.
    pub(super) fn plan_signers(&self, now: UnixTime) -> Plan {
        let mut identities = Vec::new();
        let (mut faults, mut failed) = (Vec::new(), None);
        for live in self.all_live_generations() {
            let made = self.made_signers(&live, now);
            let mut signers = Vec::new();
            for key in &self.config.ocsp.signers {
                let (held, error) = self.renewed(&live, *key, made_of(&made, *key), now);
                if let Some(error) = error {
                    faults.push(self.alarm_failed(&live, *key, held.as_ref(), &error, now));
                    failed.get_or_insert(error);
                }
                signers.extend(held.map(|held| held.signer));
            }
            identities.push(live.identity(signers));
        }
        Plan { identities, faults, failed }
    }

    /// Hands the responder those of a plan.
    pub(super) fn carry_out(&self, plan: Plan, now: UnixTime) -> Replaced {
        let replaced = self.install(&plan.identities, now);
        self.signers.renewal_faults.store(Arc::new(plan.faults));
        self.remove_keys_outlived(now);
        replaced
    }

    /// Who signs OCSP answers now, in order of preference for each generation.
    #[must_use]
    pub fn signers_in_use(&self) -> Vec<SignerInUse> {
        let of_generation = |one: &SigningIdentity| {
            let (authority, generation) = (self.authority_name(one.issuer.authority), one.issuer.generation);
            let in_use = |signer: &Arc<Signer>| SignerInUse {
                authority: authority.clone(),
                generation,
                key: name(signer.key.algorithm()),
                not_after: signer.not_after,
            };
            one.signers.iter().map(in_use).collect::<Vec<_>>()
        };
        self.signers.in_use.load().iter().flat_map(of_generation).collect()
    }

    /// True when a generation that OCSP still answers for has expired.
    pub(super) fn answers_for_expired(&self) -> bool {
        let live = self.all_live_generations();
        let is_live = |(authority, generation): &(_, _)| {
            live.iter().any(|one| one.issuer.authority == *authority && one.issuer.generation == *generation)
        };
        !self.answering.load().iter().all(is_live)
    }

    fn install(&self, identities: &[SigningIdentity], now: UnixTime) -> Replaced {
        let replaced = self.responder.replace(identities);
        self.installed.store(Arc::new(identities.to_vec()));
        let answering: BTreeSet<_> = identities
            .iter()
            .filter(|one| !one.signers.is_empty())
            .map(|one| (one.issuer.authority, one.issuer.generation))
            .collect();
        self.answering.store(Arc::new(answering));
        self.signers.in_use.store(Arc::new(identities.to_vec()));
        let keys: BTreeSet<_> =
            identities.iter().flat_map(|one| &one.signers).map(|signer| signer.key.key_id()).collect();
        let mut seen = self.signers.seen();
        seen.since.retain(|key, _| keys.contains(key));
        for key in keys {
            seen.since.entry(key).or_insert(now);
        }
        drop(seen);
        replaced
    }

    /// The signer of one kind from now on, and why there is no better one.
    fn renewed(
        &self,
        live: &LiveGeneration,
        key: SignerKey,
        made: Option<Held>,
        now: UnixTime,
    ) -> (Option<Held>, Option<OfficeError>) {
        let given = self.given_signer(live, algorithm(key), now);
        if live.is_retired() {
            // They go on until they end, one behind the other, and none follows.
            return (preferred(given, made, now), None);
        }
        if let Some(given) = &given {
            let alarm = Alarm::of(given, live, now);
            if let Some(level) = alarm {
                self.alarm(live, key, given, level, "put a new one into signers/ and run sekisho reload");
            }
            if alarm < Some(Alarm::Last) {
                return (Some(given.clone()), None);
            }
        }
        // On the last day of a given one, its successor stands by.
        let (made, error) = match made {
            Some(held) if !is_due(&held, live, now) => (Some(held), None),
            old => match self.make_signer(live, key, now, &Origin::service()) {
                Ok(new) => (Some(new), None),
                Err(error) => (old, Some(error)),
            },
        };
        (preferred(given, made, now), error)
    }

    /// Until when OCSP answers for a key that makes no other signers: when the last of those at hand ends, also
    /// of those that stand by behind a given one.
    pub(super) fn answers_until(&self, live: &LiveGeneration) -> Option<UnixTime> {
        let now = self.clock.now();
        let made = self.made_signers(live, now);
        let at_hand = |key: &SignerKey| {
            let given = self.given_signer(live, algorithm(*key), now);
            given.into_iter().chain(made_of(&made, *key)).map(|held| held.signer.not_after)
        };
        self.config.ocsp.signers.iter().flat_map(at_hand).max()
    }

    /// What is said of a signer that could not be followed by another.
    fn alarm_failed(
        &self,
        live: &LiveGeneration,
        key: SignerKey,
        old: Option<&Held>,
        error: &OfficeError,
        now: UnixTime,
    ) -> String {
        let LiveGeneration { authority, issuer, .. } = live;
        let which =
            format!("the {} OCSP signer of {authority}, generation {}", key.name(), issuer.generation);
        let Some(old) = old else {
            tracing::error!(%error, "{which}, could not be made");
            return format!("{which}, could not be made: {error}");
        };
        let level = Alarm::of(old, live, now).unwrap_or(Alarm::Low);
        self.alarm(live, key, old, level, &error.to_string());
        let not_after = old.signer.not_after;
        format!("{which}, ends at {not_after} and could not be renewed: {error}")
    }

    /// Tells once of each level.
    fn alarm(&self, live: &LiveGeneration, key: SignerKey, held: &Held, level: Alarm, why: &str) {
        let before = self.signers.seen().alarms.insert(held.signer.key.key_id(), level);
        if before >= Some(level) {
            return;
        }
        let (authority, generation) = (&live.authority, live.issuer.generation);
        let (key, not_after) = (key.name(), held.signer.not_after);
        match level {
            Alarm::Low => {
                tracing::warn!(authority, %generation, key, %not_after, why, "an OCSP signer ends soon");
            }
            Alarm::Pressing => {
                tracing::error!(authority, %generation, key, %not_after, why, "an OCSP signer ends soon");
            }
            Alarm::Last => {
                tracing::error!(authority, %generation, key, %not_after, why, "an OCSP signer is about to end");
            }
        }
    }
}

/// What keys of this kind sign with.
pub(super) const fn algorithm(key: SignerKey) -> SignatureAlgorithm {
    match key {
        SignerKey::P256 => SignatureAlgorithm::EcdsaP256Sha256,
        SignerKey::Rsa2048 => SignatureAlgorithm::RsaSha256,
        SignerKey::P384 => SignatureAlgorithm::EcdsaP384Sha384,
        SignerKey::Ed25519 => SignatureAlgorithm::Ed25519,
    }
}

/// As the settings name it.
pub(super) const fn name(algorithm: SignatureAlgorithm) -> &'static str {
    match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => SignerKey::P256.name(),
        SignatureAlgorithm::RsaSha256 => SignerKey::Rsa2048.name(),
        SignatureAlgorithm::EcdsaP384Sha384 => SignerKey::P384.name(),
        SignatureAlgorithm::Ed25519 => SignerKey::Ed25519.name(),
    }
}

/// Who signs: a given one until it is about to end, and then the one made here, where that lasts longer.
fn preferred(given: Option<Held>, made: Option<Held>, now: UnixTime) -> Option<Held> {
    match (given, made) {
        (Some(given), Some(made))
            if given.signer.not_after <= now.plus(HANDOVER)
                && made.signer.not_after > given.signer.not_after =>
        {
            Some(made)
        }
        (given, made) => given.or(made),
    }
}

fn made_of(made: &[Held], key: SignerKey) -> Option<Held> {
    made.iter().find(|held| held.algorithm == algorithm(key)).cloned()
}
