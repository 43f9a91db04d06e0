//! A CRL set: built from one journal position, gated, published as a whole by renaming.
//!
//! Until every CRL of a set is signed, read again and found right, the last set is served. The
//! order is: begun in the journal (its position is the number) → files in a directory that
//! nobody is served from → the directory renamed into place → the catalogue renamed into place
//! → published in the journal → served. A crash in between leaves a number spent and the last set
//! standing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::authorities::sha256;
use super::before::Before;
use super::build::{Content, OfAuthority};
use super::catalogues::{CATALOGUE, CATALOGUE_SIGNATURE, SETS, to_json};
use super::compromise::newest_sound;
use super::retirement::Retiring;
use super::settle::UNSETTLED;
use super::{LiveGeneration, Office, OfficeError};
use crate::crl::{Base, Catalogue, CrlKind, CrlNumber, Row, SetPlan};
use crate::der::UnixTime;
use crate::issue::IssueError;
use crate::pki::{AuthorityId, Name, Partition};
use crate::record::{Event, Origin};
use crate::sync::lower_priority;

/// Niceness of building: on a core that answering needs, a tenth of it (weight 110 beside 1024).
const NICE: i32 = 10;

/// A delta is valid for so many of the intervals it is cut in: two cuts may fail.
const DELTA_INTERVALS: u32 = 3;

/// A set that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedSet {
    /// The number of its CRLs, and its name.
    pub number: CrlNumber,
    /// CRLs in it.
    pub crls: usize,
    /// Entries in its full CRLs, one generation of each authority; of deltas, in them.
    pub entries: u64,
    /// thisUpdate.
    pub this_update: UnixTime,
    /// nextUpdate.
    pub next_update: UnixTime,
}

/// What a set is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Everything, by the daily schedule; with deltas for those who have the last such set.
    Scheduled,
    /// Everything, at somebody's wish.
    OnDemand,
    /// Deltas to the last scheduled set.
    Deltas,
}

/// A set begun in the journal.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    pub(super) kind: Kind,
    pub(super) plan: SetPlan,
    pub(super) authorities: Vec<AuthorityId>,
    /// The plans of the scheduled sets that its deltas are for.
    bases: BTreeMap<AuthorityId, SetPlan>,
    /// The key that makes its last CRLs in it, of the one authority it is for.
    retiring: Option<Retiring>,
}

impl Begun {
    /// A set that was made before, with the key that made its last CRLs in it.
    pub(super) const fn again(
        kind: Kind,
        plan: SetPlan,
        authorities: Vec<AuthorityId>,
        retiring: Option<Retiring>,
    ) -> Self {
        Self { kind, plan, authorities, bases: BTreeMap::new(), retiring }
    }
}

impl Kind {
    /// As alarms name it.
    const fn name(self) -> &'static str {
        match self {
            Self::Deltas => "delta CRLs",
            Self::Scheduled | Self::OnDemand => "CRL set",
        }
    }
}

impl Office {
    /// Builds, checks and publishes a set for these authorities. One at a time, at low priority.
    ///
    /// # Errors
    /// Nothing has changed for verifiers then: the last set is still served, and `/readyz`
    /// tells why until the next one comes out. [`OfficeError::Clock`] while the clock is not
    /// believed.
    pub fn publish(&self, authorities: &[AuthorityId], scheduled: bool) -> Result<PublishedSet, OfficeError> {
        let kind = if scheduled { Kind::Scheduled } else { Kind::OnDemand };
        self.publish_kind(kind, authorities)
    }

    /// The same with deltas (RFC 5280 §5.2.4): what changed since each authority's last scheduled
    /// set. Those that have none are left out.
    ///
    /// # Errors
    /// As [`Self::publish`]; [`OfficeError::NothingToPublish`] when none has one.
    pub fn publish_deltas(&self, authorities: &[AuthorityId]) -> Result<PublishedSet, OfficeError> {
        self.publish_kind(Kind::Deltas, authorities)
    }

    fn publish_kind(&self, kind: Kind, authorities: &[AuthorityId]) -> Result<PublishedSet, OfficeError> {
        self.believed_clock()?;
        self.examined_journal()?;
        let publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let published = self.publish_set(kind, authorities, None);
        drop(publishing);
        published
    }

    /// Sees to it that these partitions have a CRL by the key that signs their certificates:
    /// before the first certificate of a partition leaves, its CRL is there.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub fn open_partitions(&self, wanted: &BTreeSet<(AuthorityId, Partition)>) -> Result<(), OfficeError> {
        if self.are_open(wanted)? {
            return Ok(());
        }
        for (_, partition) in wanted {
            self.profile.municipalities.residence(*partition).map_err(IssueError::from)?;
        }
        self.believed_clock()?;
        self.examined_journal()?;
        let publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        // Who waited here may find that the set before had them.
        if !self.are_open(wanted)? {
            self.coming.lock().unwrap_or_else(PoisonError::into_inner).extend(wanted);
            let authorities: BTreeSet<AuthorityId> = wanted.iter().map(|(authority, _)| *authority).collect();
            self.publish_set(Kind::OnDemand, &Vec::from_iter(authorities), None)?;
        }
        drop(publishing);
        Ok(())
    }

    fn are_open(&self, wanted: &BTreeSet<(AuthorityId, Partition)>) -> Result<bool, OfficeError> {
        let served = self.served.load();
        for (authority, partition) in wanted {
            let generation = self.signing_generation(*authority)?.issuer.generation;
            if !served.partitions.contains(&(*authority, generation, *partition)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The last CRLs of a key, beside new ones of the authority's other keys. The caller holds `publishing`.
    pub(super) fn publish_last(&self, retiring: &Retiring) -> Result<PublishedSet, OfficeError> {
        self.publish_set(Kind::OnDemand, &[retiring.authority], Some(retiring))
    }

    /// The caller holds `publishing`.
    fn publish_set(
        &self,
        kind: Kind,
        authorities: &[AuthorityId],
        retiring: Option<&Retiring>,
    ) -> Result<PublishedSet, OfficeError> {
        let publish = || {
            lower_priority(NICE);
            self.agreed()?;
            self.check_revoked(authorities, self.store.head().0)?;
            self.restore_served_catalogue()?;
            let begun = self.begin_set(kind, authorities, retiring)?;
            let made = self.make_set(&begun);
            let made = made.inspect_err(|_| self.give_up(&begun))?;
            if let Some(finding) = made.held_back_for.first() {
                self.hold_back(&begun, &made)?;
                return Err(OfficeError::HeldBack { set: made.set.clone(), finding: finding.clone() });
            }
            let _placing = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
            self.check_revoked(&begun.authorities, begun.plan.position)
                .and_then(|()| self.put_in_place(&self.building(&begun.plan), &made))
                .inspect_err(|_| self.give_up(&begun))
                .and_then(|()| self.announce(&begun, &made))
        };
        // Its priority is its thread's.
        let published = std::thread::scope(|scope| match scope.spawn(publish).join() {
            Ok(published) => published,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        self.note_outcome(kind, &published);
        published
    }

    /// Journals the beginning: position, number and thisUpdate of the set.
    pub(super) fn begin_set(
        &self,
        kind: Kind,
        authorities: &[AuthorityId],
        retiring: Option<&Retiring>,
    ) -> Result<Begun, OfficeError> {
        let mut authorities = self.with_keys(authorities)?;
        let mut bases = BTreeMap::new();
        if kind != Kind::OnDemand && self.config.crl.delta_minutes > 0 {
            for authority in &authorities {
                bases.extend(self.base(*authority).map(|base| (*authority, base)));
            }
        }
        if kind == Kind::Deltas {
            authorities.retain(|authority| bases.contains_key(authority));
        }
        if authorities.is_empty() {
            return Err(OfficeError::NothingToPublish);
        }
        let event = match kind {
            Kind::Deltas => {
                let position = |(authority, base): (&AuthorityId, &SetPlan)| (*authority, base.position);
                Event::CrlDeltasBegun { bases: bases.iter().map(position).collect() }
            }
            Kind::Scheduled | Kind::OnDemand => {
                Event::CrlSetBegun { authorities: authorities.clone(), scheduled: kind == Kind::Scheduled }
            }
        };
        let begun = self.submit(Origin::service(), event)?;
        let facts = self.store.facts();
        let last = authorities
            .iter()
            .map(|id| facts.crl_sets.get(id)?.published_scheduled.map(|set| set.recorded_at));
        let mut plan = SetPlan {
            number: CrlNumber::new(self.store.epoch(), begun.position),
            position: begun.position,
            this_update: begun.recorded_at,
            next_update: begun.recorded_at.plus(self.config.crl.validity()),
            scheduled: kind == Kind::Scheduled,
            // The earliest: an authority that missed a set keeps its expired entries a turn longer.
            last_scheduled: last.min().flatten(),
        };
        // A delta to a base from a time that is yet to come, or gone by, would be of no use.
        bases.retain(|_, base| base.this_update <= plan.this_update && plan.this_update < base.next_update);
        if kind == Kind::Deltas {
            let ends =
                bases.values().map(|base| plan.of_delta(base, true, self.delta_validity()).next_update);
            plan.next_update = ends.min().unwrap_or(plan.next_update);
        }
        if let Some(alone) = retiring.filter(|retiring| self.is_alone(retiring)) {
            plan.next_update = alone.until;
        }
        Ok(Begun { kind, plan, authorities, bases, retiring: retiring.cloned() })
    }

    /// The plan of the last scheduled set of an authority. None also when its catalogue is lost: that
    /// is told, and deltas to the next day's set follow.
    fn base(&self, authority: AuthorityId) -> Option<SetPlan> {
        let facts = self.store.facts();
        let set = facts.crl_sets.get(&authority).and_then(|sets| sets.published_scheduled);
        let vouched = set.map(|set| self.vouched_set(&set)).transpose();
        let vouched =
            vouched.inspect_err(|error| tracing::error!(%error, "no deltas until the next day's set"));
        vouched.ok().flatten().map(|set| set.plan)
    }

    fn delta_validity(&self) -> Duration {
        Duration::from_secs(u64::from(self.config.crl.delta_minutes * DELTA_INTERVALS) * 60)
    }

    /// Builds the set where nobody is served from, with its catalogue, and makes it durable.
    pub(super) fn make_set(&self, begun: &Begun) -> Result<Catalogue, OfficeError> {
        let Begun { plan, authorities, bases, retiring, .. } = begun;
        let building = self.building(plan);
        self.disk.create_dirs(&building)?;
        let findings = Mutex::new(Vec::new());
        let mut rows = Vec::new();
        for authority in authorities {
            rows.extend(self.build_authority(begun, *authority, &building, &findings)?);
        }
        let named =
            |(authority, base): (&AuthorityId, &SetPlan)| Base::new(&self.authority_name(*authority), base);
        let head = self.store.head_at(plan.position)?;
        let mut own = Catalogue::new(plan, &head, rows, bases.iter().map(named).collect());
        // Before anything of it is in place: a stop, or an operator who lets it go later, ends in the same.
        own.retiring = retiring.as_ref().map(|retiring| self.named(retiring));
        own.held_back_for = findings.into_inner().unwrap_or_else(PoisonError::into_inner);
        let json = to_json(&own)?;
        self.disk.replace(&building.join(CATALOGUE), &json)?;
        if let Some(signer) = self.catalogue_signer(authorities) {
            let (_, signature) = self.sign_catalogue(&signer, json)?;
            self.disk.replace(&building.join(CATALOGUE_SIGNATURE), &signature)?;
        }
        self.disk.sync_file_system(&building)?;
        Ok(own)
    }

    /// Who signs a catalogue: the newest key of its authorities, or else of any. Not one that is
    /// compromised, for such a key signs nothing that it need not: where there is no other, the catalogue
    /// goes without a signature.
    fn catalogue_signer(&self, authorities: &[AuthorityId]) -> Option<Arc<LiveGeneration>> {
        let facts = self.store.facts();
        let others = self.profile.authorities.iter().map(|authority| authority.id);
        let mut all = authorities.iter().copied().chain(others);
        all.find_map(|authority| newest_sound(&facts, &self.live_generations(authority)))
    }

    fn build_authority(
        &self,
        begun: &Begun,
        authority: AuthorityId,
        directory: &Path,
        findings: &Mutex<Vec<String>>,
    ) -> Result<Vec<Row>, OfficeError> {
        let Begun { kind, plan, bases, retiring, .. } = begun;
        let alone = *kind == Kind::Deltas;
        let mut contents = Vec::new();
        if !alone {
            contents.push(Content::complete(*plan));
        }
        if let Some(base) = bases.get(&authority) {
            let mut delta = plan.of_delta(base, alone, self.delta_validity());
            if alone {
                delta.next_update = plan.next_update;
            }
            contents.push(Content::delta(delta, *base));
        }
        let before = self.published_before(authority)?;
        let points = self.distribution_points(authority, &before)?;
        let live = self.keys_here(authority)?;
        let of = OfAuthority {
            office: self,
            authority,
            live: &live,
            retiring: retiring.as_ref().map(|retiring| retiring.generation),
            points: &points,
            before: &before,
            directory,
            findings,
        };
        of.build(&contents)
    }

    /// Every partition that ever had a certificate, is about to have its first, or was opened for
    /// one that never came (a CRL that was published goes on), by the name in its certificates.
    fn distribution_points(
        &self,
        authority: AuthorityId,
        before: &Before,
    ) -> Result<Vec<(Partition, Name)>, OfficeError> {
        let facts = self.store.facts();
        let known = facts.partitions.get(&authority).into_iter().flat_map(|known| known.iter().copied());
        let coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let coming = coming.into_iter().filter(|(of, _)| *of == authority).map(|(_, partition)| partition);
        let served = self.served.load();
        let opened = served.partitions.iter().filter(|(of, ..)| *of == authority);
        let opened = opened.map(|(_, _, partition)| *partition);
        // What is served is not all of it when files are lost.
        let of = self.authority_name(authority);
        let all: BTreeSet<Partition> =
            known.chain(coming).chain(opened).chain(before.partitions(&of)).collect();
        let named = all.into_iter().map(|partition| {
            let name = self.profile.distribution_point(authority, partition).ok_or_else(|| {
                OfficeError::Damaged(format!("no municipality {partition} in the table: put its row back"))
            })?;
            Ok((partition, name))
        });
        named.collect()
    }

    /// Renames a set made in `from`, then the catalogue of what is served, into place.
    pub(super) fn put_in_place(&self, from: &Path, own: &Catalogue) -> Result<(), OfficeError> {
        let sets = self.data.crl().join(SETS);
        self.disk.create_dirs(&sets)?;
        self.disk.rename(from, &sets.join(&own.set))?;
        self.disk.sync_dir(from.parent().unwrap_or(from))?;
        self.disk.sync_dir(&sets)?;
        let served = self.merged(own)?;
        Ok(self.disk.replace(&self.data.crl().join(CATALOGUE), &to_json(&served)?)?)
    }

    /// The set is in place: says so in the journal, and serves it.
    pub(super) fn announce(&self, begun: &Begun, own: &Catalogue) -> Result<PublishedSet, OfficeError> {
        let catalogue_sha256 = sha256(&to_json(own)?);
        let published = Event::CrlSetPublished { begun: begun.plan.position, catalogue_sha256 };
        match &begun.retiring {
            Some(retiring) => self.announce_last(retiring, (begun.plan.position, &own.set), published)?,
            None => self.journal(published)?,
        }
        self.serve_files()?;
        if begun.kind != Kind::Deltas {
            self.drop_held_back(&begun.authorities);
        }
        let newest = |authority: &str| {
            let of = own.crls.iter().filter(|row| row.authority == authority);
            of.map(|row| row.generation).max()
        };
        let whole = if begun.kind == Kind::Deltas { CrlKind::Delta } else { CrlKind::Full };
        let counted =
            own.crls.iter().filter(|row| row.kind == whole && Some(row.generation) == newest(&row.authority));
        let SetPlan { number, this_update, next_update, .. } = begun.plan;
        let (crls, entries) = (own.crls.len(), counted.map(|row| row.entries).sum());
        tracing::info!(set = %number, crls, entries, kind = ?begun.kind, "CRL set published");
        Ok(PublishedSet { number, crls, entries, this_update, next_update })
    }

    /// Removes what there is of a set that will not come out; its number is spent. One whose
    /// catalogue stands, because the very last step failed after it took effect, is left open:
    /// the next start settles it.
    fn give_up(&self, begun: &Begun) {
        let set = begun.plan.number.to_string();
        // It did not when there is no such catalogue; when it cannot be read, it may have.
        let took_effect = self
            .served_catalogue()
            .map_or(true, |served| served.is_some_and(|served| served.crls.iter().any(|row| row.set == set)));
        if took_effect {
            return;
        }
        for left in [self.building(&begun.plan), self.set_directory(&set)] {
            if let Err(error) = self.discard(&left) {
                // Still open, so that the next start tries again.
                tracing::warn!(%error, "what is left of a CRL set that was given up cannot be removed");
                return;
            }
        }
        if let Err(error) = self.journal(Event::CrlSetAbandoned { begun: begun.plan.position }) {
            tracing::warn!(%error, "a CRL set that was given up stays open in the journal");
        }
    }

    pub(super) fn building(&self, plan: &SetPlan) -> PathBuf {
        self.data.crl().join(format!("{BUILDING}{}", plan.number))
    }

    fn submit(&self, origin: Origin, event: Event) -> Result<crate::store::Outcome, OfficeError> {
        Ok(self.store.submit_wait(origin, Box::new(move |_, _| Ok(vec![event.clone()])))?)
    }

    pub(super) fn journal(&self, event: Event) -> Result<(), OfficeError> {
        self.submit(Origin::service(), event).map(drop)
    }

    pub(super) fn journal_by(&self, origin: Origin, event: Event) -> Result<(), OfficeError> {
        self.submit(origin, event).map(drop)
    }

    /// What came of an attempt: the alarm stays until one of the same kind comes out.
    fn note_outcome(&self, kind: Kind, published: &Result<PublishedSet, OfficeError>) {
        match published {
            Ok(_) => self.clear_alarm(kind),
            // There is no base yet: the day's set is what is missing, and has its own alarm.
            Err(OfficeError::NothingToPublish) => {}
            // That has an alarm of its own, and the last set stays.
            Err(OfficeError::Doubt(_) | OfficeError::Revoking(..)) => {
                self.builds_failed.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                let alarm = format!("the last {} did not come out: {error}", kind.name());
                self.alarms.lock().unwrap_or_else(PoisonError::into_inner).insert(kind.name(), alarm);
                self.builds_failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn clear_alarm(&self, kind: Kind) {
        let mut alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        alarms.remove(kind.name());
        if kind != Kind::Deltas {
            alarms.remove(UNSETTLED);
        }
    }
}

/// Begins the name of a directory in which a set is being made.
pub(super) const BUILDING: &str = "building-";
