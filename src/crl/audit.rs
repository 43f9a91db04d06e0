//! The records' own account of who is revoked, held against a finished CRL.

use std::collections::HashMap;
use std::fmt;

use ring::digest::{self, Context, SHA256};

use super::certificate_list::CertificateList;
use super::scope::{Group, PerGroup};
use super::{GateError, Scope, Selection, SetPlan, entry};
use crate::der::Reader;
use crate::pki::{AuthorityId, Revocation, SerialNumber};
use crate::record::Record;

/// Reads the entries of a finished CRL side by side with the records, and finds every difference
/// either way. Made of the octets of the CRL, not of those it was made from.
///
/// A CRL lists groups one after another, each in the order of its serials, and the records come
/// in the order of the serials alone. So the entries are taken apart into runs of rising serials,
/// and a record is looked for at the heads of the runs. Memory is that of the runs, not of the
/// entries: 120 octets a partition.
#[derive(Debug)]
pub struct Audit<'a> {
    authority: AuthorityId,
    selection: Selection,
    /// The only group of the scope; none when it covers all.
    group: Option<Group>,
    previous: Option<SetPlan>,
    entries: &'a [u8],
    /// By the serial at its head: what is left of a run.
    runs: HashMap<SerialNumber, Reader<'a>>,
    of: PerGroup<Box<Account>>,
    difference: Option<GateError>,
}

/// What was read in one group.
struct Account {
    octets: Context,
    count: u64,
    departed: u64,
}

/// What a CRL was found to list, as the records do; made by [`Audit::finish`] alone.
#[derive(Debug)]
pub struct Audited {
    whole: Share,
    of: PerGroup<Share>,
}

/// The entries of one scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Share {
    /// SHA-256 of their octets, in the order of their serials.
    pub(super) sha256: [u8; 32],
    pub(super) count: u64,
    /// How many the previous set listed and this one rightly does not.
    pub(super) departed: u64,
}

/// Runs of rising serials: as many as groups of a CRL of ours, and far fewer than any machine
/// minds. One whose entries are in no order at all is refused.
const RUNS_MAX: usize = 100_000;

impl<'a> Audit<'a> {
    /// Reads every entry of `crl`, as strictly as it is written. `previous` is the plan of the set
    /// published before, to count what may have left since.
    ///
    /// # Errors
    /// [`GateError`]: no CRL, or an entry that must not be in one. Signature and extensions are
    /// [`gate`](super::gate)'s.
    pub fn begin(
        crl: &'a [u8],
        authority: AuthorityId,
        scope: Scope<'_>,
        selection: Selection,
        previous: Option<SetPlan>,
    ) -> Result<Self, GateError> {
        let list = CertificateList::from_der(crl)?;
        let runs = runs(&list, selection.is_delta())?;
        let entries = list.revoked_certificates;
        let (group, of, difference) = (scope.group(), PerGroup::new(), None);
        Ok(Self { authority, selection, group, previous, entries, runs, of, difference })
    }

    /// Takes one record, in the order of serials; those of other authorities and scopes are passed
    /// over. Records in another order, or one twice, are a difference like any other.
    pub fn add(&mut self, record: &Record) {
        let certificate = &record.issued.certificate;
        let group = Group::of(&record.issued);
        let concerned = certificate.authority == self.authority && self.group.is_none_or(|of| of == group);
        if !concerned || self.difference.is_some() {
            return;
        }
        let listed = self.selection.lists(record);
        if listed.is_none() {
            if self.selection.must_list(record) {
                self.difference = Some(GateError::LeftEarly(certificate.serial));
            } else if self.previous.is_some_and(|previous| previous.lists(record).is_some()) {
                self.of.entry(group).departed += 1;
            }
            return;
        }
        if let Some(revocation) = listed
            && let Err(difference) = self.compare(group, certificate.serial, revocation)
        {
            self.difference = Some(difference);
        }
    }

    fn compare(&mut self, group: Group, serial: SerialNumber, became: Revocation) -> Result<(), GateError> {
        let Some(mut run) = self.runs.remove(&serial) else {
            // An entry that no record wants stops its run.
            let lowest = self.runs.keys().min().copied();
            return Err(lowest
                .filter(|lowest| *lowest < serial)
                .map_or(GateError::Missing(serial), GateError::Extra));
        };
        let octets = run.clone().element()?.whole;
        let (_, revocation) = entry::read(&mut run, self.selection.is_delta())?;
        if revocation != became {
            return Err(GateError::Differs(serial));
        }
        let account = self.of.entry(group);
        account.octets.update(octets);
        account.count += 1;
        if !run.is_empty() {
            let (next, _) = entry::read(&mut run.clone(), self.selection.is_delta())?;
            if self.runs.insert(next, run).is_some() {
                return Err(GateError::Duplicate(next));
            }
        }
        Ok(())
    }

    /// What the CRL lists, once all records have been taken.
    ///
    /// # Errors
    /// [`GateError`]; the CRL must not be published then.
    pub fn finish(self) -> Result<Audited, GateError> {
        if let Some(difference) = self.difference {
            return Err(difference);
        }
        if let Some(extra) = self.runs.keys().min() {
            return Err(GateError::Extra(*extra));
        }
        let mut whole = Share { sha256: sha256(self.entries), count: 0, departed: 0 };
        let mut of = PerGroup::new();
        for (group, account) in self.of.into_sorted() {
            let share = account.share();
            whole.count += share.count;
            whole.departed += share.departed;
            of.insert(group, share);
        }
        Ok(Audited { whole, of })
    }
}

impl Audited {
    /// What a CRL of this scope must list.
    pub(super) fn share(&self, scope: Scope<'_>) -> Share {
        match scope.group() {
            None => self.whole,
            Some(group) => self.of.find(group).copied().unwrap_or_else(|| Account::default().share()),
        }
    }
}

impl Account {
    fn share(self) -> Share {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.octets.finish().as_ref());
        Share { sha256, count: self.count, departed: self.departed }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Default for Account {
    fn default() -> Self {
        Self { octets: Context::new(&SHA256), count: 0, departed: 0 }
    }
}

pub(super) fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest::digest(&SHA256, octets).as_ref());
    sha256
}

/// Each run of rising serials, by its first.
fn runs<'a>(
    list: &CertificateList<'a>,
    is_delta: bool,
) -> Result<HashMap<SerialNumber, Reader<'a>>, GateError> {
    let der = list.revoked_certificates;
    let mut runs = HashMap::new();
    let mut reader = Reader::new(der);
    let (mut begun, mut last, mut at) = (0, None, 0);
    let close = |begun: usize, end: usize, runs: &mut HashMap<_, _>| {
        let run = Reader::new(der.get(begun..end).unwrap_or_default());
        if run.is_empty() {
            return Ok(());
        }
        let (first, _) = entry::read(&mut run.clone(), is_delta)?;
        match runs.insert(first, run) {
            Some(_) => Err(GateError::Duplicate(first)),
            None if runs.len() > RUNS_MAX => Err(GateError::Order),
            None => Ok(()),
        }
    };
    while !reader.is_empty() {
        let len = reader.clone().element()?.whole.len();
        let (serial, revocation) = entry::read(&mut reader, is_delta)?;
        if revocation.revoked_at > list.this_update {
            return Err(GateError::DateAfterThisUpdate(serial));
        }
        if last == Some(serial) {
            return Err(GateError::Duplicate(serial));
        }
        if last.is_some_and(|last| serial < last) {
            close(begun, at, &mut runs)?;
            begun = at;
        }
        last = Some(serial);
        at += len;
    }
    close(begun, at, &mut runs)?;
    Ok(runs)
}
