//! The few facts about all of a journal that everybody asks for.
//!
//! | field | octets | |
//! |---|---|---|
//! | journal id | 16 | |
//! | epoch | 4 | |
//! | epochs begun | 4 + n | count, then each: epoch 4, position 8 |
//! | authorities | 1 + n | count, then each: id 1, length 1, name |
//! | reserved | 1 + 9 n | count, then each: authority 1, last serial 8 |
//! | issuers | 4 + n | count, then each: length 4, record |
//! | open CRL sets | 4 + n | count, then each: set, count 1, authority ids |
//! | CRL sets | 1 + n | count, then each: authority 1, four times option 1 and set |
//! | partitions | 1 + n | count, then each: authority 1, count 4, partitions 4 each |
//! | clock released | 8 | position; 0 if the clock was never released |
//! | compromised keys | 2 + n | count, then each: authority 1, generation 1, position 8, recorded_at 8, invalidity date 1 + 8 (0: none), position of the entry behind all single revocations 8 (0: none) |
//! | keys that wait | 2 + n | count, then each: authority 1, generation 1, time 8 |
//! | retired keys | 2 + n | count, then each: authority 1, generation 1, position 8, recorded_at 8, set |
//! | last certificates | 2 + n | count, then each: authority 1, generation 1, time 8 |
//! | rules | 32 | SHA-256; zeros before the first whose table is on record |
//! | verifiers | 4 + n | count, then each: state 1 (1: suspended), since 8, length 1, name, length 4, certificate |
//!
//! A set is: position 8, recorded_at 8, kind 1 (0 on demand, 1 scheduled, 2 deltas), SHA-256 of its
//! catalogue 32 (zeros before it is published). Numbers are big-endian. This is the form in a snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::octets::{Octets, put_counted};
use crate::der::UnixTime;
use crate::pki::{AuthorityId, Generation, Partition};
use crate::record::{
    Absent, Compromise, Compromises, Epoch, Event, FoldError, Issued, Numbered, Position, Record,
    TEXT_OCTETS_MAX, WriteError,
};
use crate::registry::{Register, Registration, State};

/// Small facts folded from the whole journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The journal's own name.
    pub journal_id: [u8; 16],
    /// Its life.
    pub epoch: Epoch,
    /// Where each epoch but the first began, by [`Event::EpochBegun`].
    pub epochs: BTreeMap<Epoch, Position>,
    /// The authorities and their names.
    pub authorities: BTreeMap<AuthorityId, String>,
    /// The last serial reserved for each authority.
    pub reserved: BTreeMap<AuthorityId, u64>,
    /// Records of every CA and OCSP signer certificate, in the order of their issue.
    pub issuers: Vec<Record>,
    /// CRL sets begun and neither published nor abandoned, with their authorities. One that was
    /// begun before this start will never be published: abandon it.
    pub open_crl_sets: BTreeMap<Position, (CrlSet, Vec<AuthorityId>)>,
    /// The last CRL sets of each authority.
    pub crl_sets: BTreeMap<AuthorityId, CrlSets>,
    /// The partitions in which each authority ever issued a certificate.
    pub partitions: BTreeMap<AuthorityId, Arc<BTreeSet<Partition>>>,
    /// The last [`Event::ClockReleased`]: entries after it may be dated before those before it.
    pub clock_released: Option<Position>,
    /// From when keys issue of which that was said.
    pub issuing_from: BTreeMap<(AuthorityId, Generation), UnixTime>,
    /// The keys that are compromised.
    pub compromises: Compromises,
    /// The keys that are retired.
    pub retirements: BTreeMap<(AuthorityId, Generation), Retirement>,
    /// By when every certificate that a key issued to residents has ended, rounded up to a whole day (UTC): so
    /// that few entries change it. None for a key that issued none.
    pub residents_until: BTreeMap<(AuthorityId, Generation), UnixTime>,
    /// The registered verifiers.
    pub verifiers: Arc<Register>,
    /// SHA-256 of the table that says what revokes what; zeros before the first that is on record.
    pub rules: [u8; 32],
}

/// What the [`Event::GenerationRetired`] of a key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retirement {
    /// The entry.
    pub position: Position,
    /// When it was recorded.
    pub recorded_at: UnixTime,
    /// The set that holds its last CRLs.
    pub set: CrlSet,
}

/// The last CRL sets of an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CrlSets {
    /// The last complete one begun, whatever became of it.
    pub begun: Option<CrlSet>,
    /// The last complete one published.
    pub published: Option<CrlSet>,
    /// The last published of the daily schedule: the base of deltas.
    pub published_scheduled: Option<CrlSet>,
    /// The last deltas published.
    pub published_deltas: Option<CrlSet>,
}

/// What a CRL set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrlSetKind {
    /// Complete, of the daily schedule.
    Scheduled,
    /// Complete, at somebody's wish or for a new partition.
    OnDemand,
    /// Deltas alone.
    Deltas,
}

/// A CRL set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrlSet {
    /// The epoch that it was begun in, and the position of its [`Event::CrlSetBegun`]: the CRL number.
    pub epoch: Epoch,
    /// See `epoch`.
    pub position: Position,
    /// When it was begun.
    pub recorded_at: UnixTime,
    /// What it is.
    pub kind: CrlSetKind,
    /// SHA-256 of its catalogue; zeros before it is published.
    pub catalogue_sha256: [u8; 32],
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            journal_id: [0; 16],
            epoch: Epoch::FIRST,
            epochs: BTreeMap::new(),
            authorities: BTreeMap::new(),
            reserved: BTreeMap::new(),
            issuers: Vec::new(),
            open_crl_sets: BTreeMap::new(),
            crl_sets: BTreeMap::new(),
            partitions: BTreeMap::new(),
            clock_released: None,
            issuing_from: BTreeMap::new(),
            compromises: Compromises::default(),
            retirements: BTreeMap::new(),
            residents_until: BTreeMap::new(),
            verifiers: Arc::default(),
            rules: [0; 32],
        }
    }
}

impl Facts {
    /// True when [`Self::apply`] may change anything, or refuse: most entries do not, and the facts
    /// are shared.
    pub(super) fn concerns(&self, event: &Event) -> bool {
        match event {
            Event::RequestSeen
            | Event::KeyCertified(_)
            | Event::CardApplied(_)
            | Event::CardChanged(..)
            | Event::HolderChanged(..)
            | Event::Movement(_) => false,
            Event::Issued(issued) => {
                let known = self.partitions.get(&issued.certificate.authority);
                let is_new = |partition| !known.is_some_and(|known| known.contains(&partition));
                !issued.kind.is_resident()
                    || issued.partition.is_some_and(is_new)
                    || self.residents_until.get(&key_of(issued)).copied() < Some(day_after(issued.not_after))
            }
            Event::Revoked(_) | Event::Released(_) => {
                self.issuers.iter().any(|issuer| is_about(event, issuer))
            }
            _ => true,
        }
    }

    /// What an entry makes of them. Of certificates they know only those of CAs and signers; what
    /// breaks the rule of succession there is told where their records are folded.
    ///
    /// # Errors
    /// [`FoldError`]: it is about a CRL set that is not open, or a verifier that is not registered,
    /// or as [`Record::apply`]. The facts are as before.
    pub(super) fn apply(&mut self, numbered: &Numbered) -> Result<(), FoldError> {
        let Numbered { position, entry } = numbered;
        let unknown = |what| FoldError::Unknown { position: *position, what };
        match &entry.event {
            Event::JournalBegun { journal_id } => self.journal_id = *journal_id,
            Event::EpochBegun { epoch, .. } if *epoch <= self.epoch => {
                return Err(unknown(Absent::Epoch(*epoch)));
            }
            Event::EpochBegun { epoch, serials, .. } => {
                self.epoch = *epoch;
                self.epochs.insert(*epoch, *position);
                self.reserved.values_mut().for_each(|last| *last = last.saturating_add(*serials));
            }
            Event::AuthorityOpened { authority, name } => {
                self.authorities.insert(*authority, name.clone());
            }
            Event::SerialsReserved { authority, up_to } => {
                let reserved = self.reserved.entry(*authority).or_default();
                *reserved = (*up_to).max(*reserved);
            }
            Event::Issued(issued) => self.issued(issued, numbered)?,
            Event::Revoked(_) | Event::Released(_) => {
                let compromise =
                    entry.event.certificate().and_then(|named| self.compromises.of(named)).copied();
                if let Some(place) = self.issuer(&entry.event) {
                    change(place, numbered, compromise.as_ref())?;
                }
            }
            Event::RequestSeen
            | Event::KeyCertified(_)
            | Event::CardApplied(_)
            | Event::CardChanged(..)
            | Event::HolderChanged(..)
            | Event::Movement(_) => {}
            // Where the table itself is not on record, it is to be written.
            Event::RulesAdopted { sha256, table } => {
                self.rules = if table.is_some() { *sha256 } else { [0; 32] };
            }
            Event::CrlSetBegun { authorities, scheduled } => {
                let kind = if *scheduled { CrlSetKind::Scheduled } else { CrlSetKind::OnDemand };
                let set = CrlSet::begun(self.epoch, numbered, kind);
                for authority in authorities {
                    self.crl_sets.entry(*authority).or_default().begun = Some(set);
                }
                self.open_crl_sets.insert(*position, (set, authorities.clone()));
            }
            Event::CrlDeltasBegun { bases } => {
                let authorities = bases.iter().map(|(authority, _)| *authority).collect();
                let set = CrlSet::begun(self.epoch, numbered, CrlSetKind::Deltas);
                self.open_crl_sets.insert(*position, (set, authorities));
            }
            // What became of it is said by the entry that follows.
            Event::CrlSetReleased { begun, .. } => {
                self.open_crl_sets.get(begun).ok_or(unknown(Absent::CrlSet(*begun)))?;
            }
            Event::CrlSetPublished { begun, catalogue_sha256 } => {
                let open = self.open_crl_sets.remove(begun).ok_or(unknown(Absent::CrlSet(*begun)))?;
                self.published(open, *catalogue_sha256);
            }
            Event::CrlSetAbandoned { begun } => {
                // Of one that is closed already: an earlier version gave a set up twice when its directory
                // could not be removed the first time. It takes nothing away.
                if self.open_crl_sets.remove(begun).is_none() && *begun >= *position {
                    return Err(unknown(Absent::CrlSet(*begun)));
                }
            }
            Event::ClockReleased { .. } => self.clock_released = Some(*position),
            Event::GenerationCompromised { authority, generation, .. }
            | Event::IssuingFrom { authority, generation, .. }
            | Event::GenerationRevoked { authority, generation } => {
                self.said_of_key(*authority, *generation, numbered)?;
            }
            Event::GenerationRetired { authority, generation, begun } => {
                self.retired((*authority, *generation), *begun, numbered)?;
            }
            Event::VerifierRegistered { name, certificate } => {
                Arc::make_mut(&mut self.verifiers).register(name, certificate, entry.recorded_at);
            }
            Event::VerifierSuspended { certificate_sha256 } => {
                let known = self.verifiers.find(certificate_sha256);
                known.ok_or(unknown(Absent::Verifier(*certificate_sha256)))?;
                Arc::make_mut(&mut self.verifiers).suspend(certificate_sha256, entry.recorded_at);
            }
        }
        Ok(())
    }

    fn issued(&mut self, issued: &Issued, numbered: &Numbered) -> Result<(), FoldError> {
        if let Some(known) = self.issuer(&numbered.entry.event) {
            // Never a second time: the first stays.
            return change(known, numbered, None);
        }
        if !issued.kind.is_resident() {
            let mut record = None;
            Record::apply(&mut record, numbered)?;
            self.issuers.extend(record);
        }
        // The record of one by a retired key is passed over: it changes nothing here either.
        if issued.kind.is_resident() {
            let until = self.residents_until.entry(key_of(issued)).or_default();
            *until = day_after(issued.not_after).max(*until);
        }
        if let Some(partition) = issued.partition {
            let known = self.partitions.entry(issued.certificate.authority).or_default();
            Arc::make_mut(known).insert(partition);
        }
        Ok(())
    }

    /// Where an end of the journal was accepted that gave up the entry which had this position in this epoch;
    /// none when it is still the one there.
    #[must_use]
    pub fn given_up_at(&self, epoch: Epoch, position: Position) -> Option<Position> {
        let mut later = self.epochs.iter().filter(|(begun, _)| **begun > epoch);
        later.find(|(_, at)| **at <= position).map(|(_, at)| *at)
    }

    fn has_key(&self, authority: AuthorityId, generation: Generation) -> bool {
        let mut issued = self.issuers.iter().map(|record| &record.issued);
        issued.any(|issued| {
            issued.is_ca_certificate_of(authority) && issued.certificate.generation == generation
        })
    }

    /// A key is retired; the first time counts.
    fn retired(
        &mut self,
        key: (AuthorityId, Generation),
        begun: Position,
        numbered: &Numbered,
    ) -> Result<(), FoldError> {
        let position = numbered.position;
        let unknown = |what| FoldError::Unknown { position, what };
        if !self.has_key(key.0, key.1) {
            return Err(unknown(Absent::Key(key.0, key.1)));
        }
        let set = self.crl_sets.get(&key.0).and_then(|sets| sets.published);
        let set = set.filter(|set| set.position == begun).ok_or(unknown(Absent::CrlSet(begun)))?;
        let recorded_at = numbered.entry.recorded_at;
        self.retirements.entry(key).or_insert(Retirement { position, recorded_at, set });
        self.compromises.apply(numbered);
        Ok(())
    }

    /// An entry about a key: that it is compromised, that all it signed is revoked, or from when it issues.
    fn said_of_key(
        &mut self,
        authority: AuthorityId,
        generation: Generation,
        numbered: &Numbered,
    ) -> Result<(), FoldError> {
        let Numbered { position, entry } = numbered;
        let unknown = |what| Err(FoldError::Unknown { position: *position, what });
        if !self.has_key(authority, generation) {
            return unknown(Absent::Key(authority, generation));
        }
        let is_compromised = self.compromises.find(authority, generation).is_some();
        match entry.event {
            Event::IssuingFrom { from, .. } => {
                self.issuing_from.insert((authority, generation), from);
            }
            Event::GenerationRevoked { .. } if !is_compromised => {
                return unknown(Absent::Compromise(authority, generation));
            }
            _ => self.compromises.apply(numbered),
        }
        if let Some(compromise) = self.compromises.find(authority, generation) {
            let own = self.issuers.iter_mut().filter(|record| {
                let certificate = &record.issued.certificate;
                (certificate.authority, certificate.generation) == (authority, generation)
            });
            own.for_each(|record| record.compromise(compromise));
        }
        Ok(())
    }

    /// The CA or signer certificate that an event is about, by authority and serial.
    fn issuer(&mut self, event: &Event) -> Option<&mut Record> {
        self.issuers.iter_mut().find(|issuer| is_about(event, issuer))
    }

    fn published(&mut self, (mut set, authorities): (CrlSet, Vec<AuthorityId>), sha256: [u8; 32]) {
        set.catalogue_sha256 = sha256;
        for authority in authorities {
            let sets = self.crl_sets.entry(authority).or_default();
            match set.kind {
                CrlSetKind::Deltas => sets.published_deltas = Some(set),
                CrlSetKind::OnDemand => sets.published = Some(set),
                CrlSetKind::Scheduled => {
                    (sets.published, sets.published_scheduled) = (Some(set), Some(set));
                }
            }
        }
    }

    /// The form in a snapshot.
    ///
    /// # Errors
    /// [`WriteError`]: a list or a name is longer than its count can say.
    pub(super) fn write(&self) -> Result<Vec<u8>, WriteError> {
        let mut out = Vec::new();
        out.extend(self.journal_id);
        out.extend(self.epoch.0.to_be_bytes());
        put_count(&mut out, "list of epochs", self.epochs.len())?;
        for (epoch, position) in &self.epochs {
            out.extend(epoch.0.to_be_bytes());
            out.extend(position.0.to_be_bytes());
        }
        self.write_authorities(&mut out)?;
        put_count(&mut out, "list of CA and signer certificates", self.issuers.len())?;
        for record in &self.issuers {
            let mut octets = Vec::new();
            record.write(&mut octets)?;
            put_counted(&mut out, "record of a CA or signer certificate", &octets)?;
        }
        self.write_crl_sets(&mut out)?;
        put_small_count(&mut out, "list of authorities with partitions", self.partitions.len())?;
        for (authority, partitions) in &self.partitions {
            out.push(authority.0);
            put_count(&mut out, "list of an authority's partitions", partitions.len())?;
            for partition in partitions.iter() {
                out.extend(partition.0.to_be_bytes());
            }
        }
        out.extend(self.clock_released.unwrap_or_default().0.to_be_bytes());
        self.write_keys(&mut out)?;
        out.extend(self.rules);
        write_verifiers(&self.verifiers, &mut out)?;
        Ok(out)
    }

    fn write_keys(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let count = self.compromises.iter().len();
        let too_many = |_| WriteError::items("list of compromised keys", count, usize::from(u16::MAX));
        out.extend(u16::try_from(count).map_err(too_many)?.to_be_bytes());
        for (authority, generation, one) in self.compromises.iter() {
            out.extend([authority.0, generation.number()]);
            out.extend(one.position.0.to_be_bytes());
            out.extend(one.recorded_at.seconds().to_be_bytes());
            out.push(u8::from(one.invalidity_date.is_some()));
            out.extend(one.invalidity_date.unwrap_or_default().seconds().to_be_bytes());
            out.extend(one.written.unwrap_or_default().0.to_be_bytes());
        }
        let count = self.issuing_from.len();
        let too_many = |_| WriteError::items("list of keys that wait", count, usize::from(u16::MAX));
        out.extend(u16::try_from(count).map_err(too_many)?.to_be_bytes());
        for ((authority, generation), from) in &self.issuing_from {
            out.extend([authority.0, generation.number()]);
            out.extend(from.seconds().to_be_bytes());
        }
        self.write_retired(out)
    }

    fn write_retired(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let count = self.retirements.len();
        let too_many = |_| WriteError::items("list of retired keys", count, usize::from(u16::MAX));
        out.extend(u16::try_from(count).map_err(too_many)?.to_be_bytes());
        for ((authority, generation), one) in &self.retirements {
            out.extend([authority.0, generation.number()]);
            out.extend(one.position.0.to_be_bytes());
            out.extend(one.recorded_at.seconds().to_be_bytes());
            one.set.write(out);
        }
        let count = self.residents_until.len();
        let too_many = |_| WriteError::items("list of last certificates", count, usize::from(u16::MAX));
        out.extend(u16::try_from(count).map_err(too_many)?.to_be_bytes());
        for ((authority, generation), until) in &self.residents_until {
            out.extend([authority.0, generation.number()]);
            out.extend(until.seconds().to_be_bytes());
        }
        Ok(())
    }

    fn write_authorities(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        put_small_count(out, "list of authorities", self.authorities.len())?;
        for (authority, name) in &self.authorities {
            out.push(authority.0);
            put_name(out, "authority's name", name)?;
        }
        put_small_count(out, "list of reserved serials", self.reserved.len())?;
        for (authority, up_to) in &self.reserved {
            out.push(authority.0);
            out.extend(up_to.to_be_bytes());
        }
        Ok(())
    }

    fn write_crl_sets(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        put_count(out, "list of open CRL sets", self.open_crl_sets.len())?;
        for (set, authorities) in self.open_crl_sets.values() {
            set.write(out);
            put_small_count(out, "list of a CRL set's authorities", authorities.len())?;
            out.extend(authorities.iter().map(|authority| authority.0));
        }
        put_small_count(out, "list of authorities with CRL sets", self.crl_sets.len())?;
        for (authority, sets) in &self.crl_sets {
            out.push(authority.0);
            for set in [&sets.begun, &sets.published, &sets.published_scheduled, &sets.published_deltas] {
                out.push(u8::from(set.is_some()));
                if let Some(set) = set {
                    set.write(out);
                }
            }
        }
        Ok(())
    }

    /// Reads what [`Self::write`] wrote; nothing when it is something else.
    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        let mut octets = Octets(octets);
        let mut facts = Self { journal_id: octets.array()?, epoch: Epoch(octets.u32()?), ..Self::default() };
        for _ in 0..octets.u32()? {
            facts.epochs.insert(Epoch(octets.u32()?), Position(octets.u64()?));
        }
        for _ in 0..octets.one()? {
            let authority = AuthorityId(octets.one()?);
            let len = usize::from(octets.one()?);
            facts.authorities.insert(authority, String::from_utf8(octets.take(len)?.to_vec()).ok()?);
        }
        for _ in 0..octets.one()? {
            facts.reserved.insert(AuthorityId(octets.one()?), octets.u64()?);
        }
        for _ in 0..octets.u32()? {
            facts.issuers.push(Record::from_octets(octets.counted()?).ok()?);
        }
        for _ in 0..octets.u32()? {
            let set = CrlSet::read(&mut octets)?;
            let count = usize::from(octets.one()?);
            let authorities = octets.take(count)?.iter().copied().map(AuthorityId).collect();
            facts.open_crl_sets.insert(set.position, (set, authorities));
        }
        for _ in 0..octets.one()? {
            let authority = AuthorityId(octets.one()?);
            let mut set = || match octets.one()? {
                0 => Some(None),
                1 => CrlSet::read(&mut octets).map(Some),
                _ => None,
            };
            let sets = CrlSets {
                begun: set()?,
                published: set()?,
                published_scheduled: set()?,
                published_deltas: set()?,
            };
            facts.crl_sets.insert(authority, sets);
        }
        for _ in 0..octets.one()? {
            let authority = AuthorityId(octets.one()?);
            let count = octets.u32()?;
            let partitions =
                (0..count).map(|_| octets.u32().map(Partition)).collect::<Option<BTreeSet<_>>>()?;
            facts.partitions.insert(authority, Arc::new(partitions));
        }
        facts.clock_released = Some(Position(octets.u64()?)).filter(|at| *at != Position::default());
        read_compromises(&mut octets, &mut facts.compromises)?;
        for _ in 0..u16::from_be_bytes(octets.array()?) {
            let key = (AuthorityId(octets.one()?), Generation::new(octets.one()?)?);
            facts.issuing_from.insert(key, UnixTime::from_seconds(octets.array().map(i64::from_be_bytes)?));
        }
        facts.read_retired(&mut octets)?;
        facts.rules = octets.array()?;
        facts.verifiers = Arc::new(read_verifiers(&mut octets)?);
        octets.0.is_empty().then_some(facts)
    }

    fn read_retired(&mut self, octets: &mut Octets<'_>) -> Option<()> {
        for _ in 0..u16::from_be_bytes(octets.array()?) {
            let key = (AuthorityId(octets.one()?), Generation::new(octets.one()?)?);
            let position = Position(octets.u64()?);
            let recorded_at = UnixTime::from_seconds(octets.array().map(i64::from_be_bytes)?);
            let set = CrlSet::read(octets)?;
            self.retirements.insert(key, Retirement { position, recorded_at, set });
            self.compromises.restore_retired(key.0, key.1, position);
        }
        for _ in 0..u16::from_be_bytes(octets.array()?) {
            let key = (AuthorityId(octets.one()?), Generation::new(octets.one()?)?);
            let until = UnixTime::from_seconds(octets.array().map(i64::from_be_bytes)?);
            self.residents_until.insert(key, until);
        }
        Some(())
    }
}

impl CrlSet {
    const fn begun(epoch: Epoch, numbered: &Numbered, kind: CrlSetKind) -> Self {
        let Numbered { position, entry } = numbered;
        let (position, recorded_at) = (*position, entry.recorded_at);
        Self { epoch, position, recorded_at, kind, catalogue_sha256: [0; 32] }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.epoch.0.to_be_bytes());
        out.extend(self.position.0.to_be_bytes());
        out.extend(self.recorded_at.seconds().to_be_bytes());
        out.push(match self.kind {
            CrlSetKind::OnDemand => 0,
            CrlSetKind::Scheduled => 1,
            CrlSetKind::Deltas => 2,
        });
        out.extend(self.catalogue_sha256);
    }

    fn read(octets: &mut Octets<'_>) -> Option<Self> {
        Some(Self {
            epoch: Epoch(octets.u32()?),
            position: Position(octets.u64()?),
            recorded_at: UnixTime::from_seconds(octets.array().map(i64::from_be_bytes)?),
            kind: match octets.one()? {
                0 => CrlSetKind::OnDemand,
                1 => CrlSetKind::Scheduled,
                2 => CrlSetKind::Deltas,
                _ => return None,
            },
            catalogue_sha256: octets.array()?,
        })
    }
}

/// The key that issued a certificate.
const fn key_of(issued: &Issued) -> (AuthorityId, Generation) {
    (issued.certificate.authority, issued.certificate.generation)
}

/// The first midnight (UTC) after a time.
fn day_after(time: UnixTime) -> UnixTime {
    const DAY: i64 = 86_400;
    UnixTime::from_seconds(time.seconds().div_euclid(DAY).saturating_add(1).saturating_mul(DAY))
}

/// True when an event is about the certificate of a record: whichever generation it names.
fn is_about(event: &Event, record: &Record) -> bool {
    let known = &record.issued.certificate;
    event
        .certificate()
        .is_some_and(|named| (named.authority, named.serial) == (known.authority, known.serial))
}

/// Folds an entry into a record that is known.
fn change(known: &mut Record, numbered: &Numbered, compromise: Option<&Compromise>) -> Result<(), FoldError> {
    let mut record = Some(known.clone());
    Record::apply_under(&mut record, numbered, compromise)?;
    if let Some(record) = record {
        *known = record;
    }
    Ok(())
}

fn read_compromises(octets: &mut Octets<'_>, compromises: &mut Compromises) -> Option<()> {
    for _ in 0..u16::from_be_bytes(octets.array()?) {
        let (authority, generation) = (AuthorityId(octets.one()?), Generation::new(octets.one()?)?);
        let position = Position(octets.u64()?);
        let recorded_at = UnixTime::from_seconds(octets.array().map(i64::from_be_bytes)?);
        let is_dated = match octets.one()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let date = UnixTime::from_seconds(octets.array().map(i64::from_be_bytes)?);
        let written = Some(Position(octets.u64()?)).filter(|at| *at != Position::default());
        let invalidity_date = is_dated.then_some(date);
        let one = Compromise { position, recorded_at, invalidity_date, written };
        compromises.restore(authority, generation, one);
    }
    Some(())
}

fn write_verifiers(verifiers: &Register, out: &mut Vec<u8>) -> Result<(), WriteError> {
    put_count(out, "list of verifiers", verifiers.iter().len())?;
    for (_, registration) in verifiers.iter() {
        out.push(u8::from(registration.state == State::Suspended));
        out.extend(registration.since.seconds().to_be_bytes());
        put_name(out, "verifier's name", &registration.name)?;
        put_counted(out, "verifier's certificate", &registration.certificate)?;
    }
    Ok(())
}

fn read_verifiers(octets: &mut Octets<'_>) -> Option<Register> {
    let mut verifiers = Register::default();
    for _ in 0..octets.u32()? {
        let state = match octets.one()? {
            0 => State::Registered,
            1 => State::Suspended,
            _ => return None,
        };
        let since = UnixTime::from_seconds(octets.array().map(i64::from_be_bytes)?);
        let len = usize::from(octets.one()?);
        let name = String::from_utf8(octets.take(len)?.to_vec()).ok()?;
        let certificate = octets.counted()?.to_vec();
        verifiers.restore(Registration { name, certificate, state, since });
    }
    Some(verifiers)
}

/// A name of up to 255 octets, as the texts of entries.
fn put_name(out: &mut Vec<u8>, field: &'static str, name: &str) -> Result<(), WriteError> {
    let too_long = |_| WriteError::octets(field, name.len(), TEXT_OCTETS_MAX);
    out.push(u8::try_from(name.len()).map_err(too_long)?);
    out.extend(name.as_bytes());
    Ok(())
}

/// A count of authorities: the 256 that ids can name do not all fit, so that one more is refused.
fn put_small_count(out: &mut Vec<u8>, field: &'static str, count: usize) -> Result<(), WriteError> {
    let too_many = |_| WriteError::items(field, count, usize::from(u8::MAX));
    out.push(u8::try_from(count).map_err(too_many)?);
    Ok(())
}

fn put_count(out: &mut Vec<u8>, field: &'static str, count: usize) -> Result<(), WriteError> {
    let too_many = |_| WriteError::items(field, count, usize::try_from(u32::MAX).unwrap_or(usize::MAX));
    out.extend(u32::try_from(count).map_err(too_many)?.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{CertificateKind, HashAlgorithm};
    use crate::record::{Entry, Origin};

    fn sha256(octets: &[u8]) -> [u8; 32] {
        HashAlgorithm::Sha256.digest(octets).try_into().unwrap()
    }

    fn issued_ca(authority: AuthorityId, generation: Generation) -> Event {
        let serial = crate::pki::SerialNumber::try_from(1).unwrap();
        Event::Issued(Issued {
            certificate: crate::record::CertificateRef { authority, generation, serial },
            kind: CertificateKind::Ca,
            partition: None,
            not_before: UnixTime::default(),
            not_after: UnixTime::MAX,
            archive: crate::record::ArchivePlace(0),
            sha256: [0; 32],
            holder: None,
            card: None,
            twin: None,
        })
    }

    #[test]
    fn facts_follow_the_sets_and_come_back_from_their_octets() {
        let mut facts = Facts::default();
        let authority = AuthorityId(3);
        let begun = |scheduled| Event::CrlSetBegun { authorities: vec![authority], scheduled };
        let published = |begun| Event::CrlSetPublished { begun: Position(begun), catalogue_sha256: [5; 32] };
        let events = [
            Event::JournalBegun { journal_id: [9; 16] },
            Event::AuthorityOpened { authority, name: "sign".to_owned() },
            Event::SerialsReserved { authority, up_to: 1024 },
            begun(true),
            published(4),
            begun(false),
            published(6),
            begun(true),
            Event::CrlSetAbandoned { begun: Position(8) },
            begun(true),
            Event::CrlDeltasBegun { bases: vec![(authority, Position(4))] },
            published(11),
            Event::CrlDeltasBegun { bases: vec![(authority, Position(4))] },
            Event::CrlSetAbandoned { begun: Position(13) },
            Event::EpochBegun { epoch: Epoch(2), serials: 4_096, reason: "restored".to_owned() },
            Event::VerifierRegistered { name: "kiosk".to_owned(), certificate: vec![1; 1000] },
            Event::VerifierRegistered { name: "clinic".to_owned(), certificate: vec![2; 10] },
            Event::VerifierSuspended { certificate_sha256: sha256(&[2; 10]) },
            Event::RulesAdopted { sha256: [7; 32], table: Some("event".to_owned()) },
            issued_ca(authority, Generation::FIRST),
            Event::IssuingFrom {
                authority,
                generation: Generation::FIRST,
                from: UnixTime::from_seconds(500),
            },
            Event::GenerationCompromised {
                authority,
                generation: Generation::FIRST,
                invalidity_date: Some(UnixTime::from_seconds(50)),
            },
            Event::GenerationRevoked { authority, generation: Generation::FIRST },
            begun(false),
            published(24),
            Event::GenerationRetired { authority, generation: Generation::FIRST, begun: Position(24) },
        ];
        for (position, event) in (1..).map(Position).zip(events) {
            assert!(facts.concerns(&event));
            let entry = Entry { recorded_at: UnixTime::from_seconds(100), origin: Origin::service(), event };
            facts.apply(&Numbered { position, entry }).unwrap();
        }
        let sets = facts.crl_sets[&authority];
        let position = |set: Option<CrlSet>| set.unwrap().position.0;
        assert_eq!(
            (position(sets.begun), position(sets.published), position(sets.published_scheduled)),
            (24, 24, 4)
        );
        assert_eq!(position(sets.published_deltas), 11);
        assert_eq!(facts.open_crl_sets.keys().copied().collect::<Vec<_>>(), [Position(10)]);
        assert_eq!((facts.epoch, facts.reserved[&authority]), (Epoch(2), 1024 + 4096));
        let states: Vec<_> = facts.verifiers.iter().map(|(_, one)| (one.name.as_str(), one.state)).collect();
        assert!(
            states.contains(&("kiosk", State::Registered)) && states.contains(&("clinic", State::Suspended))
        );
        assert_eq!(facts.rules, [7; 32]);
        let said = facts.compromises.find(authority, Generation::FIRST).unwrap();
        assert_eq!((said.position, said.written), (Position(22), Some(Position(23))));
        let revoked = crate::pki::CertStatus::Revoked(said.revocation());
        assert_eq!(facts.issuers[0].status(), revoked, "the CA certificate");
        assert_eq!(facts.issuing_from.len(), 1);
        let retired = facts.retirements[&(authority, Generation::FIRST)];
        assert_eq!((retired.position, retired.set.position), (Position(26), Position(24)));
        let until = UnixTime::from_seconds(86_400);
        facts.residents_until.insert((authority, Generation::FIRST), until);
        let mut of_before = facts.clone();
        let event = Event::RulesAdopted { sha256: [7; 32], table: None };
        let entry = Entry { recorded_at: UnixTime::from_seconds(100), origin: Origin::service(), event };
        of_before.apply(&Numbered { position: Position(90), entry }).unwrap();
        assert_eq!(of_before.rules, [0; 32], "its table is still to be written");
        // Whatever there is of the last ones.
        let verifiers = std::mem::take(&mut facts.verifiers);
        for (clock_released, verifiers) in [
            (None, Arc::default()),
            (Some(Position(12)), Arc::default()),
            (None, Arc::clone(&verifiers)),
            (Some(Position(12)), verifiers),
        ] {
            (facts.clock_released, facts.verifiers) = (clock_released, verifiers);
            let octets = facts.write().unwrap();
            assert_eq!(Facts::read(&octets), Some(facts.clone()));
            assert_eq!(Facts::read(&octets[..octets.len() - 1]), None);
        }
    }
    #[test]
    fn a_list_or_name_that_its_count_cannot_say_is_refused_by_its_name() {
        let mut facts = Facts::default();
        facts.authorities.insert(AuthorityId(1), "x".repeat(255));
        assert_eq!(Facts::read(&facts.write().unwrap()), Some(facts.clone()));
        facts.authorities.insert(AuthorityId(1), "x".repeat(256));
        assert_eq!(facts.write(), Err(WriteError::octets("authority's name", 256, 255)));

        let reserved = (0..255).map(|id| (AuthorityId(id), 7)).collect();
        let mut facts = Facts { reserved, ..Facts::default() };
        assert_eq!(Facts::read(&facts.write().unwrap()), Some(facts.clone()));
        facts.reserved.insert(AuthorityId(255), 7);
        assert_eq!(facts.write(), Err(WriteError::items("list of reserved serials", 256, 255)));

        let mut facts = Facts::default();
        Arc::make_mut(&mut facts.verifiers).register(&"x".repeat(256), &[1], UnixTime::default());
        assert_eq!(facts.write(), Err(WriteError::octets("verifier's name", 256, 255)));
    }

    #[test]
    fn an_entry_about_what_is_not_on_record_is_refused_and_changes_nothing() {
        let mut facts = Facts::default();
        let authority = AuthorityId(3);
        let numbered = |position, event| {
            let entry = Entry { recorded_at: UnixTime::from_seconds(100), origin: Origin::service(), event };
            Numbered { position: Position(position), entry }
        };
        let begun = Event::CrlSetBegun { authorities: vec![authority], scheduled: true };
        facts.apply(&numbered(4, begun)).unwrap();
        let published = |begun| Event::CrlSetPublished { begun: Position(begun), catalogue_sha256: [5; 32] };
        let released = |begun| Event::CrlSetReleased {
            begun: Position(begun),
            finding: "smaller".to_owned(),
            reason: "seen".to_owned(),
        };
        let abandoned = |begun| Event::CrlSetAbandoned { begun: Position(begun) };
        facts.apply(&numbered(5, released(4))).unwrap();
        facts.apply(&numbered(6, published(4))).unwrap();
        // Closed, or never begun.
        for (set, event) in
            [(4, published(4)), (4, released(4)), (3, published(3)), (3, released(3)), (7, abandoned(7))]
        {
            assert!(facts.concerns(&event));
            let before = facts.clone();
            let what = Absent::CrlSet(Position(set));
            let unknown = FoldError::Unknown { position: Position(7), what };
            assert_eq!(facts.apply(&numbered(7, event)), Err(unknown));
            assert_eq!(facts, before);
        }
        let before = facts.clone();
        facts.apply(&numbered(7, abandoned(4))).unwrap();
        assert_eq!(facts, before, "given up once more");
        let suspended = Event::VerifierSuspended { certificate_sha256: [8; 32] };
        let unknown = FoldError::Unknown { position: Position(7), what: Absent::Verifier([8; 32]) };
        assert_eq!(facts.apply(&numbered(7, suspended)), Err(unknown));
    }
}
