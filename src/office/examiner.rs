//! The journal held against what was signed of it: each CRL set that is kept says in its catalogue, under a CA
//! key's signature, which head the journal had at the entry that it was made from. Who rewrites the journal can
//! make its chain whole again, but not those.
//!
//! Asked after a start, beside answering, before anything is published; every night; and by `check`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::HEXLOWER;
use serde::Deserialize;

use super::catalogues::{CATALOGUE, CATALOGUE_SIGNATURE, SETS, kept_sets};
use super::data::DataDir;
use super::{Office, OfficeError};
use crate::crl::{CrlNumber, signer_of_catalogue};
use crate::pki::Issuer;
use crate::record::{Epoch, Position};
use crate::store::{Disk, Facts, Head, StoreError};

/// As much of a catalogue as speaks of the journal.
#[derive(Debug, Deserialize)]
struct Said {
    number: CrlNumber,
    position: u64,
    head: String,
}

/// What signed catalogues say of a journal.
#[derive(Debug, Default)]
pub(super) struct Testimony {
    /// The heads, and the sets that say so.
    said: Vec<(CrlNumber, Position, Head)>,
    /// Sets whose word cannot be taken, a line each.
    findings: Vec<String>,
}

/// What an examination came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Examined {
    /// Heads that the journal has as they were signed.
    pub(super) confirmed: usize,
    /// Heads that it has not, a line each: it was rewritten, or is another.
    pub(super) contradictions: Vec<String>,
    /// What else is wrong, a line each.
    pub(super) findings: Vec<String>,
}

/// What is known of it since the start.
#[derive(Debug, Default)]
pub(super) struct Examiner(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    has_examined: bool,
    /// The first contradiction, and whether it was there at the start.
    contradicted: Option<Contradicted>,
}

/// The journal is not the one that sets were made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradicted {
    what: String,
    /// True when it was so when the service started: what it answers rests on that journal. False when it was
    /// found later: the file was written over, and what is in memory is right.
    pub since_start: bool,
}

impl fmt::Display for Contradicted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Testimony {
    /// Reads what the sets that are kept say, those apart that are of an end of the journal that was given up.
    pub(super) fn of(
        disk: &Disk,
        data: &DataDir,
        issuers: &[Arc<Issuer>],
        facts: &Facts,
    ) -> Result<Self, OfficeError> {
        let mut testimony = Self::default();
        for set in kept_sets(disk, data)? {
            let directory = data.crl().join(SETS).join(set.to_string());
            let read = [CATALOGUE, CATALOGUE_SIGNATURE].map(|file| disk.read(&directory.join(file)));
            let (json, signature) = match read {
                [Ok(json), Ok(signature)] => (json, signature),
                [Err(fault), _] | [_, Err(fault)] => {
                    // One of many: the others speak, and this is told.
                    testimony.findings.push(format!("CRL set {set}: {fault}"));
                    continue;
                }
            };
            let (Some(json), Some(signature)) = (json, signature) else {
                // Retired meanwhile, or made when no key was sound that could have signed it.
                let is_there = kept_sets(disk, data)?.contains(&set);
                if is_there && issuers.iter().any(|issuer| is_sound(facts, issuer)) {
                    let what = format!("CRL set {set}: its catalogue or the signature of it is missing");
                    testimony.findings.push(what);
                }
                continue;
            };
            if signer_of_catalogue(&signature, &json, issuers).is_none() {
                testimony.findings.push(format!(
                    "CRL set {set}: no CA key on record signed its catalogue as it is: nothing is to be believed of it"
                ));
                continue;
            }
            let Some((number, position, head)) = parse(&json).filter(|(number, ..)| *number == set) else {
                testimony.findings.push(format!("CRL set {set}: its catalogue is of another set"));
                continue;
            };
            let Some((epoch, begun)) = number.parts() else { continue };
            if epoch != Epoch::FIRST && !facts.epochs.contains_key(&epoch) {
                testimony.findings.push(format!(
                    "CRL set {set}: it is of epoch {}, which this journal never had: of a copy that went its own way",
                    epoch.0
                ));
            } else if facts.given_up_at(epoch, begun).is_none() {
                testimony.said.push((number, position, head));
            }
        }
        Ok(testimony)
    }

    /// Holds a journal against it; `contradicted` reads that.
    pub(super) fn hold_against(
        self,
        contradicted: impl FnOnce(&BTreeMap<Position, Head>) -> Result<Vec<Position>, StoreError>,
    ) -> Result<Examined, OfficeError> {
        let Self { said, findings } = self;
        let heads = said.iter().map(|(_, position, head)| (*position, *head)).collect();
        let differing = contradicted(&heads)?;
        let of = |position: &Position| {
            let sets = said.iter().filter(|(_, at, _)| at == position).map(|(number, ..)| number.to_string());
            let sets: Vec<String> = sets.collect();
            format!(
                "the journal is not the one that CRL set {} was made from: the set's signed catalogue has another head at \
                 entry {position}; the journal was rewritten or exchanged: restore it from a backup",
                sets.join(", ")
            )
        };
        let contradictions: Vec<String> = differing.iter().map(of).collect();
        Ok(Examined { confirmed: heads.len() - contradictions.len(), contradictions, findings })
    }
}

fn is_sound(facts: &Facts, issuer: &Issuer) -> bool {
    facts.compromises.find(issuer.authority, issuer.generation).is_none()
}

fn parse(json: &[u8]) -> Option<(CrlNumber, Position, Head)> {
    let Said { number, position, head } = serde_json::from_slice(json).ok()?;
    let head = HEXLOWER.decode(head.as_bytes()).ok()?.try_into().ok()?;
    Some((number, Position(position), head))
}

impl Examiner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What contradicts the journal, as far as is known.
    pub(super) fn contradicted(&self) -> Option<Contradicted> {
        self.state().contradicted.clone()
    }

    pub(super) fn has_examined(&self) -> bool {
        self.state().has_examined
    }

    fn note(&self, examined: &Examined) {
        let mut state = self.state();
        let since_start = !state.has_examined;
        state.has_examined = true;
        let Some(what) = examined.contradictions.first() else { return };
        tracing::error!("{what}");
        if state.contradicted.is_none() {
            state.contradicted = Some(Contradicted { what: what.clone(), since_start });
        }
    }
}

impl Office {
    /// Holds the journal against every signed catalogue that is kept, in one walk.
    ///
    /// # Errors
    /// When files cannot be read, or the chain does not hold.
    pub(super) fn examine_journal(&self) -> Result<Examined, OfficeError> {
        let facts = self.store.facts();
        let testimony = Testimony::of(&self.disk, &self.data, &self.issuers_on_record(), &facts)?;
        let examined = match testimony.hold_against(|said| self.store.contradicted(said)) {
            Err(OfficeError::Store(StoreError::Damaged(damage))) => {
                Examined { contradictions: vec![damage.to_string()], ..Examined::default() }
            }
            examined => examined?,
        };
        self.examiner.note(&examined);
        Ok(examined)
    }

    /// Nothing is published from a journal that was not examined, or that is contradicted.
    pub(super) fn examined_journal(&self) -> Result<(), OfficeError> {
        if !self.examiner.has_examined() {
            self.examine_journal()?;
        }
        match self.examiner.contradicted() {
            Some(contradicted) => Err(OfficeError::Contradicted(contradicted.to_string())),
            None => Ok(()),
        }
    }

    /// True once the journal was examined, while nothing contradicts it.
    pub(super) fn is_journal_confirmed(&self) -> bool {
        self.examiner.has_examined() && self.examiner.contradicted().is_none()
    }

    /// What contradicts the journal, as far as is known.
    #[must_use]
    pub fn contradicted(&self) -> Option<Contradicted> {
        self.examiner.contradicted()
    }

    /// The keys of all CA certificates on record, those that have expired among them: sets of their time are
    /// kept.
    fn issuers_on_record(&self) -> Vec<Arc<Issuer>> {
        let facts = self.store.facts();
        let issued = facts.issuers.iter().map(|record| &record.issued);
        let mut issuers = Vec::new();
        for issued in issued.filter(|issued| issued.is_ca_certificate()) {
            let certificate = issued.certificate;
            match self.issuer_of(certificate.authority, certificate.generation.number()) {
                Ok(issuer) => issuers.extend(issuer),
                // What it signed is told as signed by nobody on record.
                Err(error) => tracing::error!(%error, "a CA certificate cannot be read"),
            }
        }
        issuers
    }
}
