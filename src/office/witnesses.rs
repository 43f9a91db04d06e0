//! Two folds of one journal, held against each other: the records, from which CRLs are made, and the
//! status index, from which OCSP answers. They share the reading of entries, the types of an entry, and the
//! written rule of [`crate::record::succession`], which each carries out in code of its own.
//!
//! They are compared in the gate of every CRL set, after the records were made anew, after every start,
//! every night, and by `check`; at a start and every night invalidityDate too, with the entries. When they disagree the severer status is answered, nothing is published,
//! and both are made anew from the first entry, beside those in use. If the new ones agree, they take the
//! place of those in use, and the alarm says which was wrong. If not, it takes a person.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::iter::Peekable;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::schedule::last_cut;
use super::{Office, OfficeError};
use crate::der::UnixTime;
use crate::pki::{AuthorityId, CertStatus, SerialNumber};
use crate::record::{Change, Event, FoldError, Numbered, Position, Record};
use crate::status::{Difference, Overruled, StatusIndex, StatusWord};
use crate::store::{Fold, Judged, Reading, Remake, StoreError, Verdict};
use crate::sync::lower_priority;

/// A certificate that seems to differ may be changing at this moment, in one fold a moment before the
/// other: it is looked at again so often.
const LOOKS: u32 = 200;

/// Between two looks.
const LOOK_APART: Duration = Duration::from_millis(5);

/// Where nothing moves, and behind [`WAITED_FOR`]: no time is spent on each of many.
const LOOKS_AT_ONCE: u32 = 1;

/// Differences that are waited for like that; when there are more, it is no coincidence.
const WAITED_FOR: usize = 20;

/// Differences that are logged one by one.
const LOGGED_MAX: usize = 20;

/// Seconds after midnight in Japan: before the day's comparison of cards.
const NIGHTLY: u32 = 3 * 3600;

/// What failed is tried again after this long.
const RETRY: Duration = Duration::from_secs(60);

/// Beside answering.
const NICE: i32 = 15;

/// A certificate of which the two folds do not say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DifferingCertificate {
    /// Whose.
    pub authority: AuthorityId,
    /// Which.
    pub serial: SerialNumber,
    /// What the records say, or the entry that the index could not fold, as a word of the index.
    pub recorded: StatusWord,
    /// What the index says.
    pub indexed: StatusWord,
    /// In what they differ, where both know it.
    pub difference: Option<Difference>,
    /// The last entry that the index had heard when they were seen to differ.
    pub seen_at: Position,
}

impl DifferingCertificate {
    /// The one that does less harm when it is wrong.
    #[must_use]
    pub fn severer(&self) -> StatusWord {
        if self.recorded.severity() > self.indexed.severity() { self.recorded } else { self.indexed }
    }
}

impl fmt::Display for DifferingCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { authority, serial, recorded, indexed, difference, .. } = self;
        write!(f, "certificate {serial} of authority {}: ", authority.0)?;
        match difference {
            Some(difference) => write!(f, "{difference}"),
            None if recorded == indexed => {
                f.write_str("changes of it are on record, and its issue is in neither")
            }
            None => write!(f, "the records say {}, the status index {}", Said(*recorded), Said(*indexed)),
        }
    }
}

/// A word, for people.
struct Said(StatusWord);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.cert_status() {
            CertStatus::Unknown => f.write_str("never issued"),
            CertStatus::Good => write!(f, "good since {}", self.0.since()),
            CertStatus::Revoked(it) => write!(f, "revoked ({}) since {}", it.reason, it.revoked_at),
        }
    }
}

/// Whether the folds agree, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement {
    /// They agreed whenever they were compared.
    Agreed,
    /// They disagreed, and agree since both were made anew.
    Settled {
        /// Certificates that differed.
        differed: usize,
        /// Of those, the ones that the records had wrong.
        records_were_wrong: usize,
        /// Of those, the ones that the index had wrong.
        index_was_wrong: usize,
    },
    /// They disagree, and are being made anew.
    Doubted {
        /// What was found last, for a person.
        first: String,
        /// How many there are.
        differed: usize,
    },
    /// They disagree although both were made anew.
    Unsettled {
        /// What was found last, for a person.
        first: String,
        /// How many there are.
        differed: usize,
    },
}

impl Agreement {
    /// What is to be known of it; nothing while all is well.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        Some(match self {
            Self::Agreed => return None,
            Self::Settled { differed: 0, .. } => {
                "the records or the status index were doubted; both were made anew from the journal and agree: \
                 look at the log for why, and at CRL sets and answers of that time"
                    .to_owned()
            }
            Self::Settled { differed, records_were_wrong, index_was_wrong } => format!(
                "the records and the status index disagreed on {differed} certificates; both were made anew from the \
                 journal and agree: the records had been wrong on {records_were_wrong}, the index on \
                 {index_was_wrong}; compare the CRL sets and answers of that time"
            ),
            Self::Doubted { first, differed: 0 } => format!(
                "the records or the status index are doubted ({first}): no CRL is published, both are being made \
                 anew from the journal"
            ),
            Self::Unsettled { first, differed: 0 } => format!(
                "the records or the status index are doubted ({first}), also made anew from the journal: no CRL is \
                 published; keep a copy of the data directory and report it"
            ),
            Self::Doubted { first, differed } => format!(
                "the records and the status index disagree on {differed} certificates ({first}): the severer \
                 status is answered, no CRL is published, both are being made anew from the journal"
            ),
            Self::Unsettled { first, differed } => format!(
                "the records and the status index disagree on {differed} certificates ({first}), also made anew \
                 from the journal: the severer status is answered, no CRL is published; keep a copy of the data \
                 directory and report it"
            ),
        })
    }

    const fn is_doubted(&self) -> bool {
        matches!(self, Self::Doubted { .. } | Self::Unsettled { .. })
    }
}

/// The index, and what comparing it with the records has shown.
#[derive(Debug)]
pub(super) struct Witnesses {
    index: Arc<StatusIndex>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    agreement: Agreement,
    /// Rises when index and rows are exchanged: what was seen of those before says nothing of these.
    exchange: u64,
    /// Those that are not settled.
    differences: BTreeMap<(AuthorityId, SerialNumber), DifferingCertificate>,
}

impl Witnesses {
    pub(super) fn new(index: Arc<StatusIndex>) -> Self {
        let state = State { agreement: Agreement::Agreed, exchange: 0, differences: BTreeMap::new() };
        Self { index, state: Mutex::new(state) }
    }

    /// The index as a fold of the journal, compared whenever the records were made anew.
    pub(super) fn fold(self: &Arc<Self>) -> Fold {
        let [comparing, hearing, doubting] = [(); 3].map(|()| Arc::clone(self));
        let applied = move |entries: &[Numbered]| {
            hearing.index.apply(entries).inspect_err(|error| hearing.doubt_index(entries, error))
        };
        let rebuilt = move |reading: &Reading<'_>| {
            let exchange = comparing.exchange();
            match compare(&comparing.index, reading) {
                Ok(compared) => comparing.doubt(exchange, compared.differences),
                Err(error) => comparing.doubt_all(format!("they cannot be compared: {error}")),
            }
        };
        // What is doubted is not handed on: a start then takes an older snapshot, or folds from the first
        // entry.
        let snapshot =
            move || if doubting.agreement().is_doubted() { Vec::new() } else { doubting.index.snapshot() };
        Fold {
            applied: Box::new(applied),
            rebuilt: Box::new(rebuilt),
            snapshot: Box::new(snapshot),
            ..fold_of(&self.index)
        }
    }

    pub(super) fn agreement(&self) -> Agreement {
        self.state().agreement.clone()
    }

    /// To be asked for before a comparison begins, and told with what it finds.
    fn exchange(&self) -> u64 {
        self.state().exchange
    }

    /// A line for each certificate in which they differ, or for what is doubted without one.
    pub(super) fn differing(&self) -> Vec<String> {
        let state = self.state();
        match &state.agreement {
            Agreement::Doubted { first, .. } | Agreement::Unsettled { first, .. }
                if state.differences.is_empty() =>
            {
                vec![first.clone()]
            }
            _ => state.differences.values().map(ToString::to_string).collect(),
        }
    }

    fn known(&self, authority: AuthorityId, serial: SerialNumber) -> Option<DifferingCertificate> {
        self.state().differences.get(&(authority, serial)).copied()
    }

    /// Raises the alarm for these, if there are any, and has the severer status answered. `exchange` is
    /// that of before the comparison.
    fn doubt(&self, exchange: u64, differences: Vec<DifferingCertificate>) {
        let Some(first) = differences.first().map(ToString::to_string) else { return };
        let mut state = self.state();
        if state.exchange != exchange {
            return;
        }
        tracing::error!(differences = differences.len(), "the records and the status index disagree");
        for differing in differences.iter().take(LOGGED_MAX) {
            tracing::error!("{differing}");
        }
        let overruled = differences.iter().map(|differing| Overruled {
            authority: differing.authority,
            serial: differing.serial,
            seen: differing.indexed,
            word: differing.severer(),
        });
        self.index.overrule_seen(&Vec::from_iter(overruled));
        for differing in differences {
            // What was seen first is evidence: afterwards the index says what it was told to.
            state.differences.entry((differing.authority, differing.serial)).or_insert(differing);
        }
        state.doubt(first);
    }

    /// Nothing can be said of any certificate.
    fn doubt_all(&self, why: String) {
        tracing::error!(why, "the records and the status index are doubted");
        self.state().doubt(why);
    }

    /// The index cannot fold an entry: from now on it is behind. A revocation among them is answered all
    /// the same.
    fn doubt_index(&self, entries: &[Numbered], error: &FoldError) {
        let mut state = self.state();
        let seen_at = self.index.position();
        for Numbered { entry, .. } in entries {
            let (Some(certificate), Some(recorded)) = (entry.event.certificate(), StatusWord::of_lost(entry))
            else {
                continue;
            };
            let (authority, serial) = (certificate.authority, certificate.serial);
            let indexed = self.index.find(authority, &serial);
            if indexed.generation() == Some(certificate.generation) {
                continue;
            }
            self.index.overrule(authority, &serial, recorded);
            let differing =
                DifferingCertificate { authority, serial, recorded, indexed, difference: None, seen_at };
            state.differences.entry((authority, serial)).or_insert(differing);
        }
        state.doubt(error.to_string());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn doubt(&mut self, first: String) {
        if !matches!(self.agreement, Agreement::Unsettled { .. }) {
            self.agreement = Agreement::Doubted { first, differed: self.differences.len() };
        }
    }
}

/// An index as a fold that compares nothing by itself.
fn fold_of(index: &Arc<StatusIndex>) -> Fold {
    let [applied, snapshot, restore, reset] = [(); 4].map(|()| Arc::clone(index));
    Fold {
        snapshot: Box::new(move || snapshot.snapshot()),
        restore: Box::new(move |octets| restore.restore(octets).map_err(|error| error.to_string())),
        reset: Box::new(move || reset.take_over(&StatusIndex::new())),
        ..Fold::hearing("status", move |entries: &[Numbered]| applied.apply(entries))
    }
}

/// What a comparison came to.
#[derive(Debug, Default)]
pub struct Compared {
    /// Certificates of which both said the same.
    pub certificates: u64,
    /// Those of which they did not.
    pub differences: Vec<DifferingCertificate>,
}

/// Compares every certificate of every authority.
///
/// # Errors
/// When the records cannot be read.
pub fn compare(index: &StatusIndex, reading: &Reading<'_>) -> Result<Compared, StoreError> {
    let mut all = Compared::default();
    for authority in (0..=u8::MAX).map(AuthorityId) {
        let Compared { certificates, differences } = beside(index, reading, authority, &mut |_| {})?;
        all.certificates += certificates;
        all.differences.extend(differences);
    }
    Ok(all)
}

/// Compares every certificate of an authority. Each record is passed on, a newer one where the folds agree
/// on that; if any differs, nothing of it may be used.
fn beside(
    index: &StatusIndex,
    reading: &Reading<'_>,
    authority: AuthorityId,
    each: &mut dyn FnMut(&Record),
) -> Result<Compared, StoreError> {
    let mut beside = Beside::new(index, reading, authority);
    let (mut failed, mut orphans) = (None, Vec::new());
    reading.each_or_orphan(
        authority,
        &mut |_, record| match failed.is_none().then(|| beside.take(record)) {
            Some(Ok(record)) => each(&record),
            Some(Err(error)) => failed = Some(error),
            None => {}
        },
        &mut |serial| {
            orphans.push(serial);
            Ok(())
        },
    )?;
    if let Some(error) = failed {
        return Err(error);
    }
    beside.finish(orphans)
}

/// Walks the index beside the records of one authority, both in the order of serials, so that what only
/// one of them has is found in either.
struct Beside<'a> {
    index: &'a StatusIndex,
    reading: &'a Reading<'a>,
    authority: AuthorityId,
    indexed: Peekable<Box<dyn Iterator<Item = (SerialNumber, StatusWord)> + 'a>>,
    compared: Compared,
}

impl<'a> Beside<'a> {
    fn new(index: &'a StatusIndex, reading: &'a Reading<'a>, authority: AuthorityId) -> Self {
        let indexed: Box<dyn Iterator<Item = _>> = Box::new(index.each(authority));
        Self { index, reading, authority, indexed: indexed.peekable(), compared: Compared::default() }
    }

    /// Takes the next record; the one that the index agrees with, which may be newer, or this.
    fn take(&mut self, record: Record) -> Result<Record, StoreError> {
        let serial = record.issued.certificate.serial;
        while let Some((passed, _)) = self.indexed.next_if(|(indexed, _)| *indexed < serial) {
            self.settle(passed, None)?;
        }
        let word = self.indexed.next_if(|(indexed, _)| *indexed == serial).map(|(_, word)| word);
        if word.is_some_and(|word| word.disagrees_with(&record).is_none()) {
            self.compared.certificates += 1;
            return Ok(record);
        }
        Ok(self.settle(serial, Some(&record))?.unwrap_or(record))
    }

    /// What the reading came to. What is left in the index was issued since, or is lost in the records;
    /// `orphans` are changes whose certificate is lost there.
    fn finish(mut self, orphans: Vec<SerialNumber>) -> Result<Compared, StoreError> {
        while let Some((passed, _)) = self.indexed.next() {
            self.settle(passed, None)?;
        }
        for serial in orphans {
            // One that the index does not know either.
            if !self.index.find(self.authority, &serial).is_issued() {
                let (recorded, indexed) = (StatusWord::NEVER_ISSUED, StatusWord::NEVER_ISSUED);
                let (authority, seen_at) = (self.authority, self.index.position());
                let difference = None;
                self.compared.differences.push(DifferingCertificate {
                    authority,
                    serial,
                    recorded,
                    indexed,
                    difference,
                    seen_at,
                });
            }
        }
        Ok(self.compared)
    }

    /// Looks at one again that seemed to differ.
    fn settle(&mut self, serial: SerialNumber, read: Option<&Record>) -> Result<Option<Record>, StoreError> {
        let may_move = !self.reading.is_still() && self.compared.differences.len() < WAITED_FOR;
        let looks = if may_move { LOOKS } else { LOOKS_AT_ONCE };
        match settle(self.index, self.reading, (self.authority, serial), read.is_some(), looks)? {
            Ok(record) => {
                self.compared.certificates += 1;
                Ok(record)
            }
            Err(differing) => {
                self.compared.differences.push(differing);
                Ok(None)
            }
        }
    }
}

/// Looks at one certificate again until both folds stand still: the record that they agree on. `is_read`:
/// the reading had it.
fn settle(
    index: &StatusIndex,
    reading: &Reading<'_>,
    (authority, serial): (AuthorityId, SerialNumber),
    is_read: bool,
    looks: u32,
) -> Result<Result<Option<Record>, DifferingCertificate>, StoreError> {
    let mut look = 1;
    loop {
        let before = index.find(authority, &serial);
        let record = reading.find(authority, &serial)?;
        let indexed = index.find(authority, &serial);
        // One that was issued before the reading began must have been in it.
        let record = record.filter(|record| is_read || record.position > reading.position());
        let found = record.as_ref().and_then(|record| indexed.disagrees_with(record));
        if before == indexed && found.is_none() && record.is_some() == indexed.is_issued() {
            return Ok(Ok(record));
        }
        if look == looks {
            let recorded = record.as_ref().map_or(StatusWord::NEVER_ISSUED, StatusWord::of);
            let difference = found.filter(|_| indexed.is_issued());
            let seen_at = index.position();
            return Ok(Err(DifferingCertificate {
                authority,
                serial,
                recorded,
                indexed,
                difference,
                seen_at,
            }));
        }
        look += 1;
        std::thread::sleep(LOOK_APART);
    }
}

impl Office {
    /// Compares every certificate of the records in use with the status index; how many there are.
    ///
    /// # Errors
    /// [`OfficeError::Doubt`] when they disagree: the alarm is raised then. When something cannot be
    /// read.
    pub fn compare_folds(&self) -> Result<u64, OfficeError> {
        let (certificates, _) = self.compare_now()?;
        self.agreed()?;
        Ok(certificates)
    }

    /// The same, with a line for each certificate in which they differ.
    pub(super) fn compare_now(&self) -> Result<(u64, Vec<String>), OfficeError> {
        let exchange = self.witnesses.exchange();
        let reading = self.store.reading(self.store.head().0);
        let Compared { certificates, differences } = compare(&self.status, &reading)?;
        self.witnesses.doubt(exchange, differences);
        let doubted = self.agreement().is_doubted();
        Ok((certificates, if doubted { self.witnesses.differing() } else { Vec::new() }))
    }

    /// Passes every record of an authority that was issued up to `position`, each confirmed by the index:
    /// its status, and that no change of it is missing.
    ///
    /// # Errors
    /// [`OfficeError::Doubt`] when they disagree: the alarm is raised then.
    pub(super) fn each_witnessed(
        &self,
        authority: AuthorityId,
        position: Position,
        each: &mut dyn FnMut(&Record),
    ) -> Result<(), OfficeError> {
        let exchange = self.witnesses.exchange();
        let reading = self.store.reading(position);
        let Compared { differences, .. } = beside(&self.status, &reading, authority, each)?;
        let differing = differences.first().map(ToString::to_string);
        self.witnesses.doubt(exchange, differences);
        // Also when both were exchanged meanwhile and the alarm is over: what was read was wrong.
        differing.map_or_else(|| self.agreed(), |line| Err(OfficeError::Doubt(line)))
    }

    /// Holds every invalidityDate on record against the entry that says so: the index does not keep it.
    ///
    /// # Errors
    /// [`OfficeError::Doubt`] when one differs: the alarm is raised then. When something cannot be read.
    pub fn compare_invalidity_dates(&self) -> Result<(), OfficeError> {
        let at = self.store.head().0;
        let mut said: HashMap<Position, UnixTime> = HashMap::new();
        for numbered in self.store.entries(Position(1)) {
            let Numbered { position, entry } = numbered?;
            if let Event::Revoked(change) = entry.event {
                said.extend(change.became.invalidity_date.map(|date| (position, date)));
            }
        }
        let mut differing = Vec::new();
        for authority in &self.profile.authorities {
            self.store.scan(authority.id, at, &mut |serial, record| {
                // What came since the entries were read is compared the next night.
                let known =
                    |change: &Change| change.position > at || is_dated_as_said(&said, &record, change);
                if let Some(change) = record.changes.iter().find(|change| !known(change)) {
                    differing.push(format!(
                        "certificate {serial} of {}: its invalidityDate is not that of entry {}",
                        authority.name, change.position
                    ));
                }
            })?;
        }
        for line in differing.iter().take(LOGGED_MAX) {
            tracing::error!("{line}");
        }
        if let Some(first) = differing.into_iter().next() {
            self.witnesses.doubt_all(first);
        }
        self.agreed()
    }

    /// Holds a record that was looked up against the index: the severer status, where they disagree.
    ///
    /// # Errors
    /// When the record cannot be read again.
    pub(super) fn confirm(&self, record: &Record) -> Result<Option<StatusWord>, OfficeError> {
        let certificate = record.issued.certificate;
        let key = (certificate.authority, certificate.serial);
        if let Some(known) = self.witnesses.known(key.0, key.1) {
            return Ok(Some(known.severer()));
        }
        if self.status.find(key.0, &key.1).disagrees_with(record).is_none() {
            return Ok(None);
        }
        let exchange = self.witnesses.exchange();
        let reading = self.store.reading(self.store.head().0);
        match settle(&self.status, &reading, key, true, LOOKS)? {
            Ok(_) => Ok(None),
            Err(differing) => {
                self.witnesses.doubt(exchange, vec![differing]);
                Ok(Some(differing.severer()))
            }
        }
    }

    /// Whether the folds agree, as far as is known.
    #[must_use]
    pub fn agreement(&self) -> Agreement {
        self.witnesses.agreement()
    }

    /// # Errors
    /// [`OfficeError::Doubt`] while the folds disagree.
    pub(super) fn agreed(&self) -> Result<(), OfficeError> {
        let agreement = self.witnesses.agreement();
        match agreement.remark() {
            Some(remark) if agreement.is_doubted() => Err(OfficeError::Doubt(remark)),
            _ => Ok(()),
        }
    }

    /// Makes records and index anew from the first entry, and puts them in the place of those in use if
    /// they agree.
    ///
    /// # Errors
    /// [`OfficeError::Doubt`] when they do not; when something cannot be read or written: it is tried
    /// again then.
    pub fn remake_folds(&self) -> Result<(), OfficeError> {
        let fresh = Arc::new(StatusIndex::new());
        let (doubted, was_doubted) = {
            let state = self.witnesses.state();
            (Vec::from_iter(state.differences.values().copied()), state.agreement.is_doubted())
        };
        // What the comparison came to; put in place with the index.
        let judged: Arc<Mutex<Agreement>> = Arc::new(Mutex::new(Agreement::Agreed));
        let (judging, judgement) = (Arc::clone(&fresh), Arc::clone(&judged));
        let judge = move |reading: &Reading<'_>, what: Judged<'_>| {
            let (verdict, agreement) = match what {
                Judged::All => judge_all(&judging, reading, &doubted, was_doubted)?,
                Judged::Since(entries) => match compare_since(&judging, reading, entries)? {
                    None => return Ok(Verdict::Agree { records_were_wrong: false }),
                    Some(differing) => unsettled(&differing, 1),
                },
            };
            *judgement.lock().unwrap_or_else(PoisonError::into_inner) = agreement;
            Ok(verdict)
        };
        let (witnesses, taking, taken) = (Arc::clone(&self.witnesses), fresh.clone(), Arc::clone(&judged));
        let take_over = move || {
            let mut state = witnesses.state();
            witnesses.index.take_over(&taking);
            state.exchange += 1;
            state.differences.clear();
            state.agreement = taken.lock().unwrap_or_else(PoisonError::into_inner).clone();
        };
        let verdict = self.store.remake(Remake {
            fold: fold_of(&fresh),
            judge: Box::new(judge),
            take_over: Box::new(take_over),
        })?;
        let agreement = judged.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let remark = agreement.remark();
        if verdict == Verdict::Differ {
            let remark = remark.unwrap_or_default();
            tracing::error!("{remark}");
            self.witnesses.state().agreement = agreement;
            return Err(OfficeError::Doubt(remark));
        }
        if let Some(remark) = remark {
            tracing::warn!("{remark}");
        }
        Ok(())
    }
}

/// Whether a change of a record has the invalidityDate of its entry, or else that which stood before.
fn is_dated_as_said(said: &HashMap<Position, UnixTime>, record: &Record, change: &Change) -> bool {
    let CertStatus::Revoked(revocation) = change.status else { return true };
    let before = record.changes.iter().rev().find(|before| before.position < change.position);
    let stood = match before.map(|before| before.status) {
        Some(CertStatus::Revoked(before)) => before.invalidity_date,
        _ => None,
    };
    said.get(&change.position).copied().or(stood) == revocation.invalidity_date
}

fn unsettled(first: &DifferingCertificate, differed: usize) -> (Verdict, Agreement) {
    (Verdict::Differ, Agreement::Unsettled { first: first.to_string(), differed })
}

/// Compares what was made anew, and tells which of those in use had been wrong.
fn judge_all(
    fresh: &StatusIndex,
    reading: &Reading<'_>,
    doubted: &[DifferingCertificate],
    was_doubted: bool,
) -> Result<(Verdict, Agreement), StoreError> {
    let Compared { differences, .. } = compare(fresh, reading)?;
    if let Some(first) = differences.first() {
        return Ok(unsettled(first, differences.len()));
    }
    let (mut records_were_wrong, mut index_was_wrong) = (0, 0);
    for differing in doubted {
        let record = reading.find(differing.authority, &differing.serial)?;
        if record.as_ref().is_some_and(|record| record.last_position() > differing.seen_at) {
            // It changed since: what was said then is not to be told any more.
            continue;
        }
        let right = record.as_ref().map_or(StatusWord::NEVER_ISSUED, StatusWord::of);
        let is_orphan = differing.recorded == differing.indexed && differing.difference.is_none();
        records_were_wrong += usize::from(differing.recorded != right || is_orphan);
        index_was_wrong += usize::from(differing.indexed != right);
    }
    // Doubted without a certificate that differs: who was wrong is not known, and the rows may be.
    let is_open = was_doubted && doubted.is_empty();
    let verdict = Verdict::Agree { records_were_wrong: records_were_wrong > 0 || is_open };
    let differed = doubted.len();
    let settled = Agreement::Settled { differed, records_were_wrong, index_was_wrong };
    Ok((verdict, if was_doubted { settled } else { Agreement::Agreed }))
}

/// Compares the certificates that these entries are about; the first that differs.
fn compare_since(
    fresh: &StatusIndex,
    reading: &Reading<'_>,
    entries: &[Numbered],
) -> Result<Option<DifferingCertificate>, StoreError> {
    for numbered in entries {
        let Some(certificate) = numbered.entry.event.certificate() else { continue };
        let key = (certificate.authority, certificate.serial);
        if let Err(differing) = settle(fresh, reading, key, true, LOOKS_AT_ONCE)? {
            return Ok(Some(differing));
        }
    }
    Ok(None)
}

/// Compares after the start and every night, and has both folds made anew when they disagree: one look at
/// a time.
pub struct Watch {
    office: Arc<Office>,
    /// When both were last compared; none before the first time.
    since: Option<UnixTime>,
    /// When what failed is tried again, by the time the machine has run.
    retry_at: Duration,
}

impl Watch {
    /// The first comparison is due as soon as there are records.
    #[must_use]
    pub fn new(office: Arc<Office>) -> Self {
        Self { office, since: None, retry_at: Duration::ZERO }
    }

    /// Looks, and does what is due.
    pub fn look(&mut self) {
        let office = &self.office;
        let (now, running) = (office.clock.now(), office.clock.running());
        if office.is_rebuilding() || running < self.retry_at {
            return;
        }
        if matches!(office.agreement(), Agreement::Doubted { .. }) {
            if let Err(error) = office.remake_folds() {
                tracing::error!(%error, "records and index are not settled");
                self.retry_at = running + RETRY;
            }
            return;
        }
        if self.since.is_some_and(|since| last_cut(now, NIGHTLY) <= since) {
            return;
        }
        match office.compare_folds().and_then(|all| office.compare_invalidity_dates().map(|()| all)) {
            Ok(certificates) => {
                tracing::info!(certificates, "records and status index agree");
                self.since = Some(now);
            }
            // It is logged where it is found.
            Err(OfficeError::Doubt(_)) => self.since = Some(now),
            Err(error) => {
                tracing::error!(%error, "records and status index cannot be compared");
                self.retry_at = running + RETRY;
            }
        }
    }

    /// For the thread that looks.
    pub(super) fn lower_priority() {
        lower_priority(NICE);
    }
}
