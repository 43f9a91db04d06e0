//! Self-examination: does everything here agree with the journal?

use std::collections::BTreeSet;
use std::sync::Arc;

use data_encoding::HEXLOWER;

use super::archived::Archived;
use super::authorities::sha256;
use super::before::vouched_catalogue;
use super::catalogues::{CATALOGUE, SETS, kept_sets, parse_catalogue, read_catalogue};
use super::checkpoint::Checkpoint;
use super::comments;
use super::data::DataDir;
use super::examiner::Testimony;
use super::fence::fenced;
use super::witnesses::Witnesses;
use super::{Office, OfficeError};
use crate::crl::{CrlNumber, Row};
use crate::pki::Issuer;
use crate::record::{CertificateRef, Issued, Position};
use crate::store::{self, CheckReport, Clock, CrlSet, Disk};

/// The condition of a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The last position.
    pub position: Position,
    /// The head of the chain there, hex: the journal's digest.
    pub head: String,
    /// The epoch.
    pub epoch: u32,
    /// Certificates recorded.
    pub certificates: u64,
    /// What is wrong, a line each.
    pub findings: Vec<String>,
    /// Entries that broke the rule of succession and were passed over or counted as the rule says, a line
    /// each. An earlier version wrote such.
    pub remarks: Vec<String>,
}

impl Condition {
    /// Examines a directory that no service runs on, and holds it against a checkpoint if one is given. Reads
    /// only.
    ///
    /// # Errors
    /// The journal is damaged, keys are open to others, or files cannot be read.
    pub fn of(data: &DataDir, deep: bool, checkpoint: Option<&Checkpoint>) -> Result<Self, OfficeError> {
        data.check()?;
        crate::config::Config::read(&data.config())?;
        let witnesses = Arc::new(Witnesses::new(Arc::default()));
        let folds = [witnesses.fold()];
        let check = if deep { store::check_deep } else { store::check };
        let report = check(&data.store(), &folds)?;
        let mut findings = Vec::new();
        if let Some(why) = fenced(data)? {
            findings.push(OfficeError::Copy(why).to_string());
        }
        let last = report.published.iter().map(|set| vouched_catalogue(&Disk::File, data, set));
        findings.extend(last.filter_map(Result::err).map(|error| error.to_string()));
        findings.extend(last_crls(data, &report));
        findings.extend(witnesses.differing());
        let issuers = issuers(&report)?;
        let is_retired =
            |one: &&Arc<Issuer>| report.facts.retirements.contains_key(&(one.authority, one.generation));
        let retired = issuers.iter().filter(is_retired).map(|one| one.key_id).collect();
        findings.extend(published_files(data, &retired, &names_of_retired(&report))?);
        let testimony = Testimony::of(&Disk::File, data, &issuers, &report.facts)?;
        let heads = |said: &_| store::contradicted(&Disk::File, &data.store(), said);
        let examined = testimony.hold_against(heads)?;
        findings.extend(examined.contradictions);
        findings.extend(examined.findings);
        if let Some(checkpoint) = checkpoint {
            let has_head = |position, head| Ok(heads(&[(position, head)].into())?.is_empty());
            findings.extend(checkpoint.contradicts(&report.facts, report.position, has_head)?);
        }
        findings.extend(comments::findings(&report.comments_lost, &report.comments_differing));
        findings.extend(report.unseen.iter().map(ToString::to_string));
        if report.recorded_at > Clock::system().now() {
            let ahead = report.recorded_at;
            findings
                .push(format!("the journal was written up to {ahead}, which is yet to come: set the clock, or, if it is right, start the service and run `sekisho clock release`"));
        }
        Ok(Self {
            position: report.position,
            head: HEXLOWER.encode(&report.head),
            epoch: report.epoch.0,
            certificates: report.issued,
            findings,
            remarks: report.breaches.iter().map(ToString::to_string).collect(),
        })
    }
}

impl Office {
    /// Examines the running service: every record against the status index, every CRL that is kept
    /// against what the journal makes, and the journal against what was signed of it, a checkpoint too if one
    /// is given. Reads only.
    ///
    /// # Errors
    /// When something cannot be read at all.
    pub fn examine(&self, checkpoint: Option<&Checkpoint>) -> Result<Condition, OfficeError> {
        let mut findings = self.unready();
        findings.extend(self.store.unseen_cuts().iter().map(ToString::to_string));
        findings.extend(self.refused_signers().iter().map(ToString::to_string));
        let (position, head) = self.store.head();
        let (certificates, differing) = self.compare_now()?;
        findings.extend(differing);
        findings.extend(self.examine_sets()?);
        findings.extend(self.examine_comments()?);
        let examined = self.examine_journal()?;
        findings.extend(examined.contradictions);
        findings.extend(examined.findings);
        if let Some(checkpoint) = checkpoint {
            findings.extend(self.contradicted_by(checkpoint)?);
        }
        let head = HEXLOWER.encode(&head);
        let remarks = self.store.breaches()?;
        Ok(Condition { position, head, epoch: self.store.epoch().0, certificates, findings, remarks })
    }
}

/// The keys of all CA certificates on record.
fn issuers(report: &CheckReport) -> Result<Vec<Arc<Issuer>>, OfficeError> {
    let issuer = |(issued, archived): &(Issued, Vec<u8>)| {
        let damaged = |why: String| OfficeError::Damaged(format!("a CA certificate in the archive: {why}"));
        let archived = Archived::from_der(archived).map_err(|error| damaged(error.to_string()))?;
        let CertificateRef { authority, generation, .. } = issued.certificate;
        let issuer = Issuer::from_certificate(authority, generation, &archived.certificate);
        issuer.map(Arc::new).map_err(|error| damaged(error.to_string()))
    };
    report.authorities.iter().map(issuer).collect()
}

/// The keys that are retired and whose CA certificates are still valid, with the sets that hold their last CRLs.
fn retired_keys(report: &CheckReport) -> Vec<(String, u8, CrlSet)> {
    // The journal may be of a clock that was ahead.
    let now = report.recorded_at.max(Clock::system().now());
    let issued = report.authorities.iter().map(|(issued, _)| issued);
    let valid = issued.filter(|issued| issued.not_after > now);
    let valid: BTreeSet<_> =
        valid.map(|issued| (issued.certificate.authority, issued.certificate.generation)).collect();
    let all = report.facts.retirements.iter().filter(|(key, _)| valid.contains(key));
    let name = |id| report.facts.authorities.get(id).cloned().unwrap_or_default();
    all.map(|((authority, generation), said)| (name(authority), generation.number(), said.set)).collect()
}

fn names_of_retired(report: &CheckReport) -> BTreeSet<(String, u8)> {
    retired_keys(report).into_iter().map(|(authority, generation, _)| (authority, generation)).collect()
}

/// Last CRLs of retired keys that are missing or others, a line for each key: by the set that the journal vouches
/// for, whatever the catalogue of what is served says.
fn last_crls(data: &DataDir, report: &CheckReport) -> Vec<String> {
    let told = retired_keys(report).into_iter().filter_map(|(authority, generation, set)| {
        let what = match vouched_catalogue(&Disk::File, data, &set) {
            Err(error) => Some(error.to_string()),
            Ok((path, octets)) => match parse_catalogue(&path, &octets) {
                Err(error) => Some(error.to_string()),
                Ok(own) => {
                    let is_own = |row: &&Row| (&row.authority, row.generation) == (&authority, generation);
                    own.crls.iter().filter(is_own).find_map(|row| published_file(data, row, ""))
                }
            },
        };
        let directory = data.crl().join(SETS).join(CrlNumber::new(set.epoch, set.position).to_string());
        what.map(|what| {
            format!(
                "the last CRLs of {authority}, generation {generation}: {what}; the key is retired and nobody can sign \
                 them again: put {} back from a backup, all of it",
                directory.display()
            )
        })
    });
    told.collect()
}

/// CRLs of the catalogue whose files are missing or others, a catalogue that is lost, and CA
/// certificates without key. Last CRLs of retired keys are looked at elsewhere.
fn published_files(
    data: &DataDir,
    retired: &BTreeSet<[u8; 20]>,
    keys: &BTreeSet<(String, u8)>,
) -> Result<Vec<String>, OfficeError> {
    let mut findings = Vec::new();
    let path = data.crl().join(CATALOGUE);
    let catalogue = read_catalogue(&Disk::File, &path)?;
    // Where no set is kept either, none was ever published, or all of `crl/` is gone: the journal
    // knows which.
    if catalogue.is_none() && !kept_sets(&Disk::File, data)?.is_empty() {
        findings.push(format!("{}: the catalogue is missing: it is made again at start", path.display()));
    }
    for row in catalogue.iter().flat_map(|served| &served.crls) {
        if !keys.contains(&(row.authority.clone(), row.generation)) {
            findings.extend(published_file(data, row, ": a new set is cut at start"));
        }
    }
    findings.extend(data.ca_certificates_without_key(retired)?);
    Ok(findings)
}

/// What is wrong with the file of a CRL; `follows` says what becomes of one that is missing.
fn published_file(data: &DataDir, row: &Row, follows: &str) -> Option<String> {
    let Some(path) = row.url.strip_prefix("/crl/") else {
        return Some(format!("{}: the catalogue names no CRL of this service", row.url));
    };
    match Disk::File.read(&data.crl().join(path)) {
        Ok(None) => Some(format!("{}: the file is missing{follows}", row.url)),
        Ok(Some(octets)) if HEXLOWER.encode(&sha256(&octets)) != row.sha256 => {
            Some(format!("{}: the file is not the one in the catalogue", row.url))
        }
        Ok(Some(_)) => None,
        Err(fault) => Some(format!("{}: {fault}", row.url)),
    }
}
