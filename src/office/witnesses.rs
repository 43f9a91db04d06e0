//! Two folds of one journal, held against each other: the records, from which CRLs are made, and the
//! status index, from which OCSP answers. They share the reading of entries, the types of an entry, and the
//! written rule of [`crate::record::succession`], which each carries out in code of its own.
//!
//! They are compared in the gate of every CRL set, after the records were made anew, after every start,
//! every night, and by `check`; at a start and every night invalidityDate too, with the entries. When they
//! disagree the severer status is answered, nothing is published, and both are made anew from the first
//! entry, beside those in use. If the new ones agree, they take the place of those in use, and the alarm
//! says which was wrong. If not, it takes a person.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::comparison::{Compared, DifferingCertificate, LOOKS, beside, compare, settle};
use super::{Office, OfficeError};
use crate::der::UnixTime;
use crate::pki::{AuthorityId, CertStatus, SerialNumber};
use crate::record::{Change, Event, FoldError, Numbered, Position, Record};
use crate::status::{Overruled, StatusIndex, StatusWord};
use crate::store::{Fold, Reading};

/// Differences that are logged one by one.
const LOGGED_MAX: usize = 20;

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

    pub(super) const fn is_doubted(&self) -> bool {
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
        self.index.overrule(&Vec::from_iter(overruled));
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
            self.index.overrule(&[Overruled { authority, serial, seen: indexed, word: recorded }]);
            let differing =
                DifferingCertificate { authority, serial, recorded, indexed, difference: None, seen_at };
            state.differences.entry((authority, serial)).or_insert(differing);
        }
        state.doubt(error.to_string());
    }

    /// Those that are not settled; none while nothing is doubted.
    pub(super) fn doubted(&self) -> Option<Vec<DifferingCertificate>> {
        let state = self.state();
        state.agreement.is_doubted().then(|| Vec::from_iter(state.differences.values().copied()))
    }

    /// Puts an index that was made anew in the place of the one in use, and what comparing it came to.
    pub(super) fn take_over(&self, fresh: &StatusIndex, agreement: Agreement) {
        let mut state = self.state();
        self.index.take_over(fresh);
        state.exchange += 1;
        state.differences.clear();
        state.agreement = agreement;
    }

    /// Those made anew disagree as well: it takes a person.
    pub(super) fn leave_unsettled(&self, agreement: Agreement) {
        self.state().agreement = agreement;
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
pub(super) fn fold_of(index: &Arc<StatusIndex>) -> Fold {
    let [applied, snapshot, restore, reset] = [(); 4].map(|()| Arc::clone(index));
    Fold {
        snapshot: Box::new(move || snapshot.snapshot()),
        restore: Box::new(move |octets| restore.restore(octets).map_err(|error| error.to_string())),
        reset: Box::new(move || reset.take_over(&StatusIndex::new())),
        ..Fold::hearing("status", move |entries: &[Numbered]| applied.apply(entries))
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
            let date = match entry.event {
                Event::Revoked(change) => change.became.invalidity_date,
                Event::GenerationCompromised { invalidity_date, .. } => invalidity_date,
                _ => None,
            };
            said.extend(date.map(|date| (position, date)));
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

    /// A certificate that the records do not have: it was issued this moment, or never, or its issue is
    /// lost there, which the index tells.
    ///
    /// # Errors
    /// [`OfficeError::Doubt`] when it is lost: the alarm is raised then.
    pub(super) fn confirm_absent(
        &self,
        authority: AuthorityId,
        serial: &SerialNumber,
    ) -> Result<Option<Record>, OfficeError> {
        if !self.status.find(authority, serial).is_issued() {
            return Ok(None);
        }
        if self.witnesses.known(authority, *serial).is_none() {
            let exchange = self.witnesses.exchange();
            let reading = self.store.reading(self.store.head().0);
            match settle(&self.status, &reading, (authority, *serial), true, LOOKS)? {
                Ok(record) => return Ok(record),
                Err(differing) => self.witnesses.doubt(exchange, vec![differing]),
            }
        }
        self.agreed()?;
        // Both were made anew since it was looked for.
        Ok(self.store.find(authority, serial)?)
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
