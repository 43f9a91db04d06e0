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
use crate::crl::{Catalogue, CrlNumber, RetiringKey};
use crate::der::UnixTime;
use crate::pki::{AuthorityId, Generation};
use crate::record::{Event, Origin, Position, Refusal};
use crate::store::{Decide, Facts, Retirement};

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
    /// Where they lie: the only copy of what nobody can sign again.
    pub crls: PathBuf,
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
    /// memory. Done before, it is told again, and nothing changes. Where the gate holds the set back, whoever
    /// lets it go retires the key with it.
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
        let before = self.said_of(authority, generation);
        if before.is_none() {
            self.believed_clock()?;
            self.examined_journal()?;
            self.check_retirable(authority, generation, until)?;
            let retiring = Retiring { authority, generation, until, origin };
            if let Err(error) = self.publish_last(&retiring) {
                // What follows the decision may fail, and it stands.
                if self.said_of(authority, generation).is_none() {
                    return Err(error);
                }
                tracing::error!(%error, "a key is retired, and its last CRLs are not served yet");
            }
        } else {
            self.forget_key(authority, generation);
            // What was cut short behind the decision is done now.
            if let Err(error) = self.serve_files() {
                tracing::error!(%error, "the last CRLs of a retired key are not served");
            }
        }
        drop(publishing);
        let said = self.said_of(authority, generation).ok_or(Refusal::KeyInUse(generation))?;
        Ok(self.retired(said, (authority, generation), self.data.key(&key_id), until, before.is_none()))
    }

    fn said_of(&self, authority: AuthorityId, generation: Generation) -> Option<Retirement> {
        self.store.facts().retirements.get(&(authority, generation)).copied()
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
        let set = CrlNumber::new(set.epoch, set.position).to_string();
        let crls = self.set_directory(&set);
        Retired { position, recorded_at, changed, set, crls_until, answers_until, crls, key }
    }

    fn find_live(&self, authority: AuthorityId, generation: Generation) -> Option<Arc<LiveGeneration>> {
        let live = self.live_generations(authority);
        live.into_iter().find(|live| live.issuer.generation == generation)
    }

    pub(super) fn check_retirable(
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
        still_listed(&facts, authority, generation, self.clock.now())
            .map_or(Ok(()), |until| refused(NotRetired::Certificates(until)))
    }

    /// The set with the last CRLs is in place: says so, and that the key is retired, in one decision; and
    /// takes the key out of memory. The set of a key that issued meanwhile is taken back: a verifier that has its
    /// last CRLs looks at no others, and the key signs on.
    pub(super) fn announce_last(
        &self,
        retiring: &Retiring,
        (begun, set): (Position, &str),
        published: Event,
    ) -> Result<(), OfficeError> {
        let Retiring { authority, generation, origin, .. } = retiring.clone();
        // No OCSP signer is being made by it meanwhile.
        let keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let decide: Decide = Box::new(move |records, now| {
            unused(records.facts(), authority, generation, now)?;
            Ok(vec![published.clone(), Event::GenerationRetired { authority, generation, begun }])
        });
        match self.store.submit_wait(origin, decide).map_err(OfficeError::from) {
            Err(OfficeError::Refused(refusal)) => {
                self.take_back(begun, set)?;
                return Err(refusal.into());
            }
            submitted => submitted.map(drop)?,
        }
        self.forget_key(authority, generation);
        drop(keeping);
        let (authority_name, until) = (self.authority_name(authority), retiring.until);
        tracing::warn!(authority = authority_name, %generation, %until, "the key made its last CRLs and is retired");
        Ok(())
    }

    /// # Errors
    /// [`Refusal::KeyInUse`]: the key issued since its last CRLs were made.
    pub(super) fn check_unused(&self, retiring: &Retiring) -> Result<(), OfficeError> {
        let Retiring { authority, generation, .. } = retiring;
        Ok(unused(&self.store.facts(), *authority, *generation, self.clock.now())?)
    }

    /// The key that a set is the last of, as its catalogue says it.
    pub(super) fn named(&self, retiring: &Retiring) -> RetiringKey {
        let Retiring { authority, generation, .. } = retiring;
        RetiringKey { authority: self.authority_name(*authority), generation: generation.number() }
    }

    /// The key that makes its last CRLs in a set that was made before.
    ///
    /// # Errors
    /// The set's catalogue names one that never was.
    pub(super) fn retiring_in(
        &self,
        own: &Catalogue,
        origin: Origin,
    ) -> Result<Option<Retiring>, OfficeError> {
        let Some(RetiringKey { authority: name, generation: number }) = &own.retiring else {
            return Ok(None);
        };
        let authority = self.authority(name)?;
        let no_such = || OfficeError::NoSuchKey(name.clone(), *number);
        let generation = Generation::new(*number).ok_or_else(no_such)?;
        let until = self.issuer_of(authority, *number)?.ok_or_else(no_such)?.not_after;
        Ok(Some(Retiring { authority, generation, until, origin }))
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
}

/// # Errors
/// [`Refusal::KeyInUse`]: certificates that a key signed may still have to be revoked one by one.
fn unused(
    facts: &Facts,
    authority: AuthorityId,
    generation: Generation,
    now: UnixTime,
) -> Result<(), Refusal> {
    let is_compromised = facts.compromises.find(authority, generation).is_some();
    if is_compromised || still_listed(facts, authority, generation, now).is_none() {
        return Ok(());
    }
    Err(Refusal::KeyInUse(generation))
}

/// By when the last certificate that a key signed for a resident ends, while that has not left the CRL: it has
/// with the second scheduled set behind its end, and so once one was published behind it (RFC 5280 §5). A set
/// from a time that is yet to come, for the clock was released since, does not count: nothing has left by that.
fn still_listed(
    facts: &Facts,
    authority: AuthorityId,
    generation: Generation,
    now: UnixTime,
) -> Option<UnixTime> {
    let until = facts.residents_until.get(&(authority, generation)).copied()?;
    let last = facts.crl_sets.get(&authority).and_then(|sets| sets.published_scheduled);
    let has_left = last.is_some_and(|set| until < set.recorded_at && set.recorded_at <= now);
    (!has_left).then_some(until)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::config::Config;
    use crate::crl::SetPlan;
    use crate::office::catalogues::{CATALOGUE, to_json};
    use crate::office::data::DataDir;
    use crate::office::publish::{Begun, Kind};
    use crate::office::{Application, KeyUse, Place, Spelling, SubjectKeySource, init};
    use crate::pki::{CertificateKind, Partition};
    use crate::record::Issued;
    use crate::store::{Clock, CrlSet, CrlSetKind, CrlSets};

    const SIGN: AuthorityId = AuthorityId(1);
    const AUTH: AuthorityId = AuthorityId(2);
    const FIRST: Generation = Generation::FIRST;

    struct World {
        _home: tempfile::TempDir,
        data: DataDir,
        time: Arc<AtomicI64>,
    }

    impl World {
        fn new() -> (Self, Arc<Office>) {
            let home = tempfile::tempdir().unwrap();
            let data = DataDir::new(&home.path().join("data"));
            init(&data, "SEKISHO-TEST").unwrap();
            let time = Arc::new(AtomicI64::new(Clock::system().now().seconds() + 2));
            let world = Self { _home: home, data, time };
            let office = world.start();
            office.publish(&[SIGN, AUTH], true).unwrap();
            office.roll_over(SIGN, Some(office.now()), Origin::service()).unwrap();
            world.pass(60);
            (world, office)
        }

        fn start(&self) -> Arc<Office> {
            let config = Config::read(&self.data.config()).unwrap();
            let (clock, url) = (Clock::simulated(Arc::clone(&self.time)), "http://127.0.0.1:8080".to_owned());
            Office::start(self.data.clone(), config, clock, url).unwrap().0
        }

        fn pass(&self, seconds: i64) {
            self.time.fetch_add(seconds, Ordering::SeqCst);
        }
    }

    fn retiring(office: &Office) -> Retiring {
        let until = office.issuer_of(SIGN, 1).unwrap().unwrap().not_after;
        Retiring { authority: SIGN, generation: FIRST, until, origin: Origin::service() }
    }

    /// A set with last CRLs, put in place: then the power is cut.
    fn put_in_place(office: &Office) -> (Begun, Catalogue) {
        let begun = office.begin_set(Kind::OnDemand, &[SIGN], Some(&retiring(office))).unwrap();
        let made = office.make_set(&begun).unwrap();
        office.put_in_place(&office.building(&begun.plan), &made).unwrap();
        (begun, made)
    }

    /// A certificate for a resident, issued by the first key behind its back.
    fn issue_by_the_first(office: &Office) {
        let application = Application {
            name: "関所 花子".to_owned(),
            birth: "1982-02-17".to_owned(),
            sex: "female".to_owned(),
            address: "東京都清瀬市".to_owned(),
            spelling: Spelling::default(),
            municipality: Partition(13221),
            kinds: vec![CertificateKind::CardSign],
            subject_key: SubjectKeySource::TestKey,
            place: Place::New,
        };
        let mut one: Issued =
            office.issue(&application, Origin::service()).unwrap().certificates.remove(0).issued;
        assert_ne!(one.certificate.generation, FIRST);
        (one.certificate.generation, one.card, one.holder) = (FIRST, None, None);
        one.certificate.serial = office.store.next_serial(SIGN).unwrap();
        office.submit_issued(one);
    }

    impl Office {
        fn submit_issued(&self, issued: Issued) {
            let decide = move |_: &crate::store::Records<'_>, _| Ok(vec![Event::Issued(issued.clone())]);
            self.store.submit_wait(Origin::service(), Box::new(decide)).unwrap();
        }

        fn use_of_first(&self) -> KeyUse {
            let keys = self.keys();
            keys.iter().find(|key| key.authority == "sign" && key.generation == FIRST).unwrap().used_for
        }

        fn rows_of_first(&self) -> Vec<crate::crl::Row> {
            let served = self.served_catalogue().unwrap().unwrap().crls.into_iter();
            let own = served.filter(|row| row.authority == "sign" && row.generation == 1);
            own.filter(|row| row.kind != crate::crl::CrlKind::Delta).collect()
        }
    }

    #[test]
    fn what_is_in_memory_does_not_count_for_a_key_that_the_journal_says_is_retired() {
        let (world, office) = World::new();
        let stale = office.generations.load_full();
        office.retire(SIGN, FIRST, Origin::service()).unwrap();
        let last = office.rows_of_first();
        office.generations.store(stale);
        assert_eq!(office.use_of_first(), KeyUse::Retired);
        assert!(office.keys_here(SIGN).unwrap().iter().all(|live| live.issuer.generation != FIRST));
        world.pass(60);
        office.publish(&[SIGN], true).unwrap();
        assert_eq!(office.rows_of_first(), last);
        assert!(!office.retire(SIGN, FIRST, Origin::service()).unwrap().changed);
        let generations = office.generations.load();
        let first = generations[&SIGN].iter().find(|live| live.issuer.generation == FIRST).unwrap();
        assert!(first.key.is_err(), "it is out of memory");
        office.stop().unwrap();
    }

    #[test]
    fn a_stop_between_the_last_crls_and_the_word_of_it_ends_in_the_key_retired() {
        let (world, office) = World::new();
        let (begun, made) = put_in_place(&office);
        assert_eq!(made.retiring, Some(RetiringKey { authority: "sign".to_owned(), generation: 1 }));
        drop(office);
        let office = world.start();
        office.settle().unwrap();
        assert_eq!(office.use_of_first(), KeyUse::Retired);
        let done = office.retire(SIGN, FIRST, Origin::service()).unwrap();
        assert_eq!((done.changed, &done.set), (false, &begun.plan.number.to_string()));
        let rows = office.rows_of_first();
        assert!(!rows.is_empty());
        assert!(rows.iter().all(|row| row.next_update == done.crls_until.to_string()), "{rows:?}");
        assert!(office.store.facts().open_crl_sets.is_empty());
        office.stop().unwrap();
    }

    /// Told at once, and behind a stop: what was served before is served, and the key signs on.
    #[test]
    fn last_crls_of_a_key_that_issued_meanwhile_do_not_come_out() {
        for is_stopped in [false, true] {
            let (world, office) = World::new();
            let before = office.served_catalogue().unwrap();
            let (begun, made) = put_in_place(&office);
            issue_by_the_first(&office);
            let office = if is_stopped {
                drop(office);
                let office = world.start();
                office.settle().unwrap();
                office
            } else {
                let refused = office.announce(&begun, &made).unwrap_err();
                assert!(matches!(refused, OfficeError::Refused(Refusal::KeyInUse(FIRST))), "{refused}");
                office
            };
            let after = office.served_catalogue().unwrap();
            let rows = |of: Option<Catalogue>| {
                let mut rows = of.unwrap().crls;
                rows.retain(|row| row.authority == "sign" && row.partition.is_none());
                rows.into_iter().map(|row| (row.generation, row.next_update)).collect::<Vec<_>>()
            };
            let ends = retiring(&office).until.to_string();
            assert!(rows(after.clone()).iter().all(|(_, next_update)| *next_update != ends));
            assert_eq!(rows(after).len(), rows(before).len());
            assert!(!office.set_directory(&made.set).exists());
            assert!(office.store.facts().open_crl_sets.is_empty());
            assert_eq!(office.use_of_first(), KeyUse::Signs);
            world.pass(60);
            office.publish(&[SIGN, AUTH], true).unwrap();
            assert_eq!(office.unready(), Vec::<String>::new());
            office.stop().unwrap();
        }
    }

    /// Nothing has left by a set from a time that is yet to come.
    #[test]
    fn what_has_left_the_crl_is_told_from_sets_up_to_now() {
        let at = UnixTime::from_seconds;
        let set = |recorded_at| CrlSet {
            epoch: crate::record::Epoch::FIRST,
            position: Position(9),
            recorded_at: at(recorded_at),
            kind: CrlSetKind::Scheduled,
            catalogue_sha256: [0; 32],
        };
        for (until, published, now, listed) in [
            (100, None, 500, true),
            (100, Some(99), 500, true),
            (100, Some(100), 500, true),
            (100, Some(101), 500, false),
            (100, Some(500), 500, false),
            (100, Some(501), 500, true),
            (600, Some(700), 500, true),
        ] {
            let mut facts = Facts::default();
            facts.residents_until.insert((SIGN, FIRST), at(until));
            let published_scheduled = published.map(set);
            facts.crl_sets.insert(SIGN, CrlSets { published_scheduled, ..CrlSets::default() });
            let found = still_listed(&facts, SIGN, FIRST, at(now));
            assert_eq!(found, listed.then_some(at(until)), "{until} {published:?} {now}");
            assert_eq!(still_listed(&facts, AUTH, FIRST, at(now)), None);
            assert_eq!(unused(&facts, SIGN, FIRST, at(now)).is_err(), listed);
        }
    }

    /// A stop comes between the last CRLs and the giving up of what was held back before them.
    #[test]
    fn a_set_that_was_held_back_is_not_let_go_over_newer_crls() {
        for is_stopped in [false, true] {
            let (world, office) = World::new();
            let older = office.begin_set(Kind::OnDemand, &[SIGN, AUTH], None).unwrap();
            let mut made = office.make_set(&older).unwrap();
            made.held_back_for.push("for a test".to_owned());
            let json = to_json(&made).unwrap();
            fs::write(office.building(&older.plan).join(CATALOGUE), json).unwrap();
            office.hold_back(&older, &made).unwrap();
            world.pass(60);
            let (begun, own) = put_in_place(&office);
            let SetPlan { position, .. } = begun.plan;
            let catalogue_sha256 = crate::office::authorities::sha256(&to_json(&own).unwrap());
            let published = Event::CrlSetPublished { begun: position, catalogue_sha256 };
            office.announce_last(&retiring(&office), (position, &own.set), published).unwrap();
            let last = office.rows_of_first();
            let office = if is_stopped {
                drop(office);
                let office = world.start();
                office.settle().unwrap();
                assert_eq!(office.held_back().unwrap(), None);
                office
            } else {
                assert!(office.held_back().unwrap().is_some());
                office
            };
            let refused = office.release_set(&made.set, "looked at it", Origin::service()).unwrap_err();
            assert!(matches!(refused, OfficeError::NotHeldBack(_)), "{refused}");
            assert!(is_stopped || refused.to_string().contains(&format!("set {} came out", own.set)));
            assert_eq!(office.rows_of_first(), last);
            office.settle().unwrap();
            assert!(office.held_back().unwrap().is_none() && office.store.facts().open_crl_sets.is_empty());
            office.stop().unwrap();
        }
    }

    #[test]
    fn last_crls_are_over_with_their_ca_certificate_also_when_no_other_is_valid() {
        let (world, office) = World::new();
        let done = office.retire(SIGN, FIRST, Origin::service()).unwrap();
        assert_eq!(office.sets_of_retired().len(), 1);
        let all = office.keys().into_iter().map(|key| key.not_after).max().unwrap();
        world.time.store(all.seconds() + 86_400 * 400, Ordering::SeqCst);
        assert!(office.live_generations(SIGN).is_empty());
        assert!(office.sets_of_retired().is_empty());
        fs::remove_dir_all(&done.crls).unwrap();
        office.serve_files().unwrap();
        assert!(office.served.load().missing.is_empty());
        drop(office);
    }
}
