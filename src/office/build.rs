//! The CRLs of one authority in a set: encoded, signed, held against the records, written.
//!
//! The records are read three times: to measure, to write, and, when the first key has signed,
//! to be held against what was signed. What every other key and every partition lists must then
//! be, octet for octet, what was found right.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::before::Before;
use super::stored;
use super::{LiveGeneration, Office, OfficeError};
use crate::crl::{
    Audit, Audited, CrlNumber, Encoder, Entries, Expected, GateError, Layout, Row, Scope, Selection, SetPlan,
    SignedCrl, file_name, gate, tbs_cert_list,
};
use crate::pki::{AuthorityId, Generation, Name, Partition};

/// What the CRLs of one authority in one set are made from and checked against.
pub(super) struct OfAuthority<'a> {
    pub(super) office: &'a Office,
    pub(super) authority: AuthorityId,
    /// The keys that sign, oldest first; one at least.
    pub(super) live: &'a [Arc<LiveGeneration>],
    /// The key that makes its last CRLs: they are valid until its CA certificate ends, and no deltas follow
    /// them.
    pub(super) retiring: Option<Generation>,
    /// The partitions it has, by the names in certificates.
    pub(super) points: &'a [(Partition, Name)],
    /// What was published before.
    pub(super) before: &'a Before,
    /// Where the files go, before anybody is served from there.
    pub(super) directory: &'a Path,
    /// What the gate found that an operator may let go.
    pub(super) findings: &'a Mutex<Vec<String>>,
}

/// What is listed together: everything, or what changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    pub(super) selection: Selection,
    /// The base's number, of deltas.
    pub(super) base: Option<CrlNumber>,
}

impl Content {
    /// Of complete CRLs.
    pub(super) const fn complete(plan: SetPlan) -> Self {
        Self { selection: Selection::complete(plan), base: None }
    }

    /// Of deltas by `plan` for who has the CRL of `base`.
    pub(super) const fn delta(plan: SetPlan, base: SetPlan) -> Self {
        Self { selection: Selection::delta(plan, base), base: Some(base.number) }
    }

    /// The scope of the CRL that lists all of it.
    pub(super) const fn whole<'a>(&self, freshest_crl: Option<&'a str>) -> Scope<'a> {
        match self.base {
            Some(base) => Scope::Delta { base },
            None => Scope::Full { freshest_crl },
        }
    }
}

impl OfAuthority<'_> {
    /// Makes every CRL of these contents; the rows of what was written.
    pub(super) fn build(&self, contents: &[Content]) -> Result<Vec<Row>, OfficeError> {
        let Some((first, others)) = self.live.split_first() else {
            return Err(OfficeError::NoGeneration(self.office.authority_name(self.authority)));
        };
        let position = contents.first().map(|content| content.selection.plan().position).unwrap_or_default();
        let selections: Vec<Selection> = contents.iter().map(|content| content.selection).collect();
        let entries = self.office.encode(self.authority, position, &selections)?;
        let signed =
            contents.iter().zip(entries).map(|(content, entries)| self.sign(first, content, entries));
        let signed = signed.collect::<Result<Vec<_>, _>>()?;
        let audited = self.audit(contents, &signed)?;
        let mut rows = Vec::new();
        for ((content, signed), audited) in contents.iter().zip(signed).zip(&audited) {
            rows.push(self.place_whole(first, content, signed.der(), audited)?);
            let mut entries = signed.into_entries();
            for live in others {
                let signed = self.sign(live, content, entries)?;
                rows.push(self.place_whole(live, content, signed.der(), audited)?);
                entries = signed.into_entries();
            }
            if content.base.is_none() {
                rows.extend(self.build_parts(content, &entries, audited)?);
            }
        }
        Ok(rows)
    }

    /// The CRL of the CA certificates and those of the partitions, each by every key.
    fn build_parts(
        &self,
        content: &Content,
        entries: &Entries,
        audited: &Audited,
    ) -> Result<Vec<Row>, OfficeError> {
        let partitions = self
            .points
            .iter()
            .map(|(partition, name)| Scope::Partition { partition: *partition, distribution_point: name });
        let scopes: Vec<Scope<'_>> = [Scope::Authority].into_iter().chain(partitions).collect();
        let crls: Vec<(&LiveGeneration, Scope<'_>)> = self
            .live
            .iter()
            .flat_map(|live| scopes.iter().map(move |scope| (live.as_ref(), *scope)))
            .collect();
        in_parallel(&crls, |(live, scope)| {
            let plan = self.plan(live, content);
            let tbs = tbs_cert_list(&live.issuer, live.key()?.algorithm(), *scope, &plan, entries.of(*scope));
            let signed = self.office.sign_crl(live, tbs)?;
            self.place(live, *scope, content, signed.der(), audited)
        })
    }

    fn sign(
        &self,
        live: &LiveGeneration,
        content: &Content,
        entries: Entries,
    ) -> Result<SignedCrl, OfficeError> {
        let url = self.freshest_crl(live);
        let scope = content.whole(url.as_deref());
        let plan = self.plan(live, content);
        let tbs = tbs_cert_list(&live.issuer, live.key()?.algorithm(), scope, &plan, entries);
        self.office.sign_crl(live, tbs)
    }

    /// The plan of the CRLs by one key.
    fn plan(&self, live: &LiveGeneration, content: &Content) -> SetPlan {
        let plan = *content.selection.plan();
        let is_last = self.retiring == Some(live.issuer.generation);
        SetPlan { next_update: if is_last { live.issuer.not_after } else { plan.next_update }, ..plan }
    }

    fn freshest_crl(&self, live: &LiveGeneration) -> Option<String> {
        if self.retiring == Some(live.issuer.generation) { None } else { self.office.freshest_crl(live) }
    }

    /// Holds what the first key signed against the records, read anew, and those against the index.
    fn audit(&self, contents: &[Content], signed: &[SignedCrl]) -> Result<Vec<Audited>, OfficeError> {
        let previous = self.before.plan();
        let begun = contents.iter().zip(signed).map(|(content, signed)| {
            let (scope, selection) = (content.whole(None), content.selection);
            // A delta has no size to fall from.
            let previous = previous.filter(|_| content.base.is_none());
            Audit::begin(signed.der(), self.authority, scope, selection, previous)
        });
        let authority = self.office.authority_name(self.authority);
        let refused = |error: GateError| OfficeError::Gate(format!("{authority}: {error}"));
        let mut audits = begun.collect::<Result<Vec<_>, _>>().map_err(refused)?;
        let position = contents.first().map(|content| content.selection.plan().position).unwrap_or_default();
        self.office.each_witnessed(self.authority, position, &mut |record| {
            audits.iter_mut().for_each(|audit| audit.add(record));
        })?;
        audits.into_iter().map(|audit| audit.finish().map_err(refused)).collect()
    }

    fn place_whole(
        &self,
        live: &LiveGeneration,
        content: &Content,
        der: &[u8],
        audited: &Audited,
    ) -> Result<Row, OfficeError> {
        let url = self.freshest_crl(live);
        self.place(live, content.whole(url.as_deref()), content, der, audited)
    }

    /// Lets the gate look at a CRL, and writes it where nobody is served from yet.
    fn place(
        &self,
        live: &LiveGeneration,
        scope: Scope<'_>,
        content: &Content,
        der: &[u8],
        audited: &Audited,
    ) -> Result<Row, OfficeError> {
        let issuer = &live.issuer;
        let plan = self.plan(live, content);
        let mut expected =
            Expected { plan: &plan, scope, previous: self.before.previous(&live.authority, scope) };
        let file = format!("{}/{}/{}", live.authority, issuer.generation, file_name(scope));
        let facts = match gate(der, issuer, &expected, audited) {
            // An operator may let it go: it is made all the same, and laid aside.
            Err(error) if error.is_releasable() => {
                // What was lost of the set before concerns all CRLs of the authority alike.
                let found = match error {
                    GateError::PreviousUnknown(_) => format!("{}: {error}", live.authority),
                    _ => format!("{file}: {error}"),
                };
                let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
                if !findings.contains(&found) {
                    findings.push(found);
                }
                drop(findings);
                expected.previous = expected.previous.whatever_the_size();
                gate(der, issuer, &expected, audited)
            }
            gated => gated,
        };
        let facts = facts.map_err(|error| OfficeError::Gate(format!("{file}: {error}")))?;
        let path: PathBuf = self.directory.join(file);
        let stored = stored::write(&self.office.disk, &path, der)?;
        Ok(Row { stored, ..Row::new(&live.authority, issuer, scope, &facts) })
    }
}

impl Office {
    /// What each selection lists of an authority, encoded; all from one reading.
    pub(super) fn encode(
        &self,
        authority: AuthorityId,
        position: crate::record::Position,
        selections: &[Selection],
    ) -> Result<Vec<Entries>, OfficeError> {
        let mut layouts: Vec<Layout> =
            selections.iter().map(|selection| Layout::new(authority, *selection)).collect();
        self.store.scan(authority, position, &mut |_, record| {
            layouts.iter_mut().for_each(|layout| layout.add(&record));
        })?;
        let mut encoders: Vec<Encoder> = layouts.into_iter().map(Layout::begin).collect();
        let mut added = Ok(());
        self.store.scan(authority, position, &mut |_, record| {
            for encoder in &mut encoders {
                if added.is_ok() {
                    added = encoder.add(&record);
                }
            }
        })?;
        let refused =
            |error: GateError| OfficeError::Gate(format!("{}: {error}", self.authority_name(authority)));
        added.map_err(refused)?;
        encoders.into_iter().map(|encoder| encoder.finish().map_err(refused)).collect()
    }

    /// Where the deltas by a key are found: in the freshestCRL of its full CRLs. None where no
    /// deltas are cut.
    pub(super) fn freshest_crl(&self, live: &LiveGeneration) -> Option<String> {
        let generation = live.issuer.generation;
        (self.config.crl.delta_minutes > 0)
            .then(|| format!("{}/crl/{}/{generation}/delta.crl", self.public_url, live.authority))
    }
}

/// Does `work` for each item on all cores, and gives the results in order, or the first error.
pub(super) fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, OfficeError> + Sync,
) -> Result<Vec<R>, OfficeError> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    let result = work(item);
                    if result.is_err() {
                        next.store(items.len(), Ordering::Relaxed);
                    }
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
