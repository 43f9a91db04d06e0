//! The end of an authority's key before its CA certificate ends: it makes its last CRLs and its last ARL, valid
//! until then, and signs nothing more. From there on nobody needs it, and it may be destroyed.
//!
//! OCSP is not given up with it: the signers that are there go on until they end. None follows them, for
//! a signer must be certified by the very key that it answers for (RFC 6960 §4.2.2.2), and one that
//! outlived the key by years could be revoked by nobody (id-pkix-ocsp-nocheck). Behind the last of them
//! requests are answered `unauthorized`, and the last CRLs tell.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use super::{LiveGeneration, Office, OfficeError};
use crate::der::UnixTime;
use crate::pki::{AuthorityId, Generation};
use crate::record::{Event, Origin, Position, Refusal};
use crate::store::{CrlSet, Decide, Facts, Retirement};

/// What came of retiring a key. It is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// The entry that says so.
    pub position: Position,
    /// When it was recorded.
    pub recorded_at: UnixTime,
    /// False when it was retired before.
    pub changed: bool,
    /// The set that holds its last CRLs.
    pub set: String,
    /// Until when they are valid and must be served: the end of its CA certificate.
    pub crls_until: UnixTime,
    /// Until when the OCSP signers that are there answer; none when none is.
    pub answers_until: Option<UnixTime>,
    /// The file of the private key, which may be destroyed.
    pub key: PathBuf,
}

/// Why a key is not retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRetired {
    /// New certificates are signed by it.
    #[error(
        "it issues, or no newer one does: make the next one with `sekisho authority rollover`, and retire this one \
         when what it signed has left the CRL"
    )]
    Issues,
    /// It is the next one.
    #[error("it waits, and issues from {0} on: retire the one before it, then")]
    Waits(UnixTime),
    /// What it signed stands in CRLs, or may come to.
    #[error(
        "certificates that it signed have not left the CRL: the last ends by {0}, and leaves with the next day's \
         set; retire it then, or, if others have the key, say so first with `sekisho authority compromised`"
    )]
    Certificates(UnixTime),
    /// Its CA certificate is over.
    #[error("its CA certificate ended at {0}: nothing is to be made any more, and the key may be destroyed")]
    Expired(UnixTime),
    /// The last CRLs cannot be signed.
    #[error(
        "its last CRLs need the private key, which is not here (`sekisho authority list` says why): restore it and \
         start again; without it {}, {}, and nothing follows",
        until("its CRLs end", *.crls_until),
        until("OCSP answers for it end", *.answers_until)
    )]
    NoKey {
        /// nextUpdate of its CRLs that are served.
        crls_until: Option<UnixTime>,
        /// When its last OCSP signer ends.
        answers_until: Option<UnixTime>,
    },
}

fn until(what: &str, at: Option<UnixTime>) -> String {
    at.map_or_else(|| format!("{what} now"), |at| format!("{what} at {at}"))
}

/// A key that makes its last CRLs.
#[derive(Debug, Clone)]
pub(super) struct Retiring {
    pub(super) authority: AuthorityId,
    pub(super) generation: Generation,
    /// The end of its CA certificate.
    pub(super) until: UnixTime,
    origin: Origin,
}

impl Office {
    /// Retires a key of an authority: publishes its last CRLs and its last ARL, with a new set of the
    /// authority's other keys, and says so in the journal, with the set in one decision. The key is taken out of
    /// memory. Done before, it is told again, and nothing changes.
    ///
    /// # Errors
    /// [`OfficeError::NotRetired`]; as [`Self::publish`], and the key goes on then.
    pub fn retire(
        &self,
        authority: AuthorityId,
        generation: Generation,
        origin: Origin,
    ) -> Result<Retired, OfficeError> {
        let publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let issuer = self.issuer_of(authority, generation.number())?;
        let no_such = || OfficeError::NoSuchKey(self.authority_name(authority), generation.number());
        let (key_id, until) = issuer.map(|issuer| (issuer.key_id, issuer.not_after)).ok_or_else(no_such)?;
        let before = self.store.facts().retirements.get(&(authority, generation)).copied();
        if before.is_none() {
            self.believed_clock()?;
            self.examined_journal()?;
            self.check_retirable(authority, generation, until)?;
            let retiring = Retiring { authority, generation, until, origin };
            self.publish_last(&retiring)?;
        }
        drop(publishing);
        let said = self.store.facts().retirements.get(&(authority, generation)).copied();
        let said = said.ok_or(Refusal::KeyInUse(generation))?;
        Ok(self.retired(said, (authority, generation), self.data.key(&key_id), until, before.is_none()))
    }

    fn retired(
        &self,
        said: Retirement,
        (authority, generation): (AuthorityId, Generation),
        key: PathBuf,
        crls_until: UnixTime,
        changed: bool,
    ) -> Retired {
        let Retirement { position, recorded_at, set } = said;
        let answers_until = self.find_live(authority, generation).and_then(|live| self.answers_until(&live));
        let set = crate::crl::CrlNumber::new(set.epoch, set.position).to_string();
        Retired { position, recorded_at, changed, set, crls_until, answers_until, key }
    }

    fn find_live(&self, authority: AuthorityId, generation: Generation) -> Option<Arc<LiveGeneration>> {
        let live = self.live_generations(authority);
        live.into_iter().find(|live| live.issuer.generation == generation)
    }

    fn check_retirable(
        &self,
        authority: AuthorityId,
        generation: Generation,
        ends: UnixTime,
    ) -> Result<(), OfficeError> {
        let refused =
            |why| Err(OfficeError::NotRetired(self.authority_name(authority), generation.number(), why));
        let live = self.find_live(authority, generation);
        let Some(live) = live.filter(|_| ends > self.clock.now()) else {
            return refused(NotRetired::Expired(ends));
        };
        if live.key.is_err() {
            let crls_until = self.crls_until(authority, generation);
            return refused(NotRetired::NoKey { crls_until, answers_until: self.answers_until(&live) });
        }
        let facts = self.store.facts();
        if facts.compromises.find(authority, generation).is_some() {
            // Whether all that it signed is written one by one is asked where the set begins.
            return Ok(());
        }
        if let Some((_, from)) = self.waiting_key(authority).filter(|(waiting, _)| *waiting == generation) {
            return refused(NotRetired::Waits(from));
        }
        let issuing = self.signing_generation(authority).ok().map(|live| live.issuer.generation);
        if issuing.is_none_or(|issuing| issuing <= generation) {
            return refused(NotRetired::Issues);
        }
        still_listed(&facts, authority, generation)
            .map_or(Ok(()), |until| refused(NotRetired::Certificates(until)))
    }

    /// The set with the last CRLs is in place: says so, and that the key is retired, in one decision; and
    /// takes the key out of memory. A key that came to issue meanwhile is not retired: the set is one as any
    /// other then.
    pub(super) fn announce_last(
        &self,
        retiring: &Retiring,
        begun: Position,
        published: Event,
    ) -> Result<(), OfficeError> {
        let Retiring { authority, generation, origin, .. } = retiring.clone();
        // No OCSP signer is being made by it meanwhile.
        let keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let decide: Decide = Box::new(move |records, _| {
            let facts = records.facts();
            let is_compromised = facts.compromises.find(authority, generation).is_some();
            let fits = is_compromised || still_listed(facts, authority, generation).is_none();
            let retired = Event::GenerationRetired { authority, generation, begun };
            Ok([Some(published.clone()), fits.then_some(retired)].into_iter().flatten().collect())
        });
        self.store.submit_wait(origin, decide)?;
        self.load_authorities(self.clock.now())?;
        drop(keeping);
        let (authority_name, until) = (self.authority_name(authority), retiring.until);
        if self.store.facts().retirements.contains_key(&(authority, generation)) {
            tracing::warn!(authority = authority_name, %generation, %until, "the key made its last CRLs and is retired");
        } else {
            tracing::error!(
                authority = authority_name,
                %generation,
                "the key is not retired, although its CRLs came out: certificates came to stand in them meanwhile"
            );
        }
        Ok(())
    }

    /// True when no other key of the authority is here: its last CRLs are all of the set.
    pub(super) fn is_alone(&self, retiring: &Retiring) -> bool {
        let live = self.live_generations(retiring.authority);
        live.iter().all(|live| live.key.is_err() || live.issuer.generation == retiring.generation)
    }

    /// True when every key of an authority that may still sign is retired: no CRLs follow.
    pub(super) fn is_wholly_retired(&self, authority: AuthorityId) -> bool {
        let has_retired = self.store.facts().retirements.keys().any(|(of, _)| *of == authority);
        has_retired && self.live_generations(authority).iter().all(|live| live.is_retired())
    }

    /// Those of the authorities that have a key which is not retired.
    ///
    /// # Errors
    /// The one that is named has none.
    pub(super) fn with_keys(&self, authorities: &[AuthorityId]) -> Result<Vec<AuthorityId>, OfficeError> {
        let left: Vec<_> = authorities.iter().copied().filter(|id| !self.is_wholly_retired(*id)).collect();
        match authorities.first() {
            Some(first) if left.is_empty() => self.keys_here(*first).map(|_| left),
            _ => Ok(left),
        }
    }

    /// The sets that hold the last CRLs of an authority's keys, as far as those are still valid.
    pub(super) fn last_crls(&self, authority: AuthorityId) -> Vec<(Generation, CrlSet)> {
        let facts = self.store.facts();
        let live = self.live_generations(authority);
        let is_live = |generation| live.iter().any(|live| live.issuer.generation == generation);
        let own = facts.retirements.iter().filter(|((of, generation), _)| {
            // At a start the keys are read after this is first asked: until then all count.
            *of == authority && (live.is_empty() || is_live(*generation))
        });
        own.map(|((_, generation), said)| (*generation, said.set)).collect()
    }

    /// The sets that hold the last CRLs of keys.
    pub(super) fn sets_of_retired(&self) -> Vec<CrlSet> {
        let authorities = self.profile.authorities.iter();
        authorities.flat_map(|authority| self.last_crls(authority.id)).map(|(_, set)| set).collect()
    }
}

/// By when the last certificate that a key signed for a resident ends, while that has not left the CRL: it has
/// with the second scheduled set behind its end, and so once one was published behind it (RFC 5280 §5).
fn still_listed(facts: &Facts, authority: AuthorityId, generation: Generation) -> Option<UnixTime> {
    let until = facts.residents_until.get(&(authority, generation)).copied()?;
    let last = facts.crl_sets.get(&authority).and_then(|sets| sets.published_scheduled);
    let has_left = last.is_some_and(|set| until < set.recorded_at);
    (!has_left).then_some(until)
}
