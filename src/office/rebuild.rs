//! A past set once more: the TBSCertList is a pure function of the journal up to the set's
//! position and of what its catalogue says, so it can be made again and compared.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;

use super::authorities::sha256;
use super::before::last_sets;
use super::build::Content;
use super::catalogues::to_json;
use super::compromise::newest_sound;
use super::{LiveGeneration, Office, OfficeError, stored};
use crate::crl::{
    Base, Catalogue, CrlKind, CrlNumber, Entries, Row, Scope, SetPlan, file_name, signed_part, tbs_cert_list,
};
use crate::pki::{AuthorityId, Issuer, Partition, PublicKey, SignatureAlgorithm};
use crate::record::{Event, Position};
use crate::store::Disk;

/// What became of a CRL made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// Its address.
    pub url: String,
    /// Whether it is what was published; else what differs.
    pub outcome: Comparison,
}

/// What a CRL made again is beside the one on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// Octet for octet the same, the signature included.
    Same,
    /// What is signed is the same; the signature is good and, being made with random numbers, another.
    SameContent,
    /// Something is wrong with the one on disk.
    Differs(String),
}

/// How far a CRL is made again.
#[derive(Clone, Copy)]
enum Again<'a> {
    /// Up to what is signed.
    Compared,
    /// With its signature; written under a directory, if there is one.
    Signed(Option<&'a Path>),
}

/// The part of a set that is one authority's.
struct Part<'a> {
    authority: AuthorityId,
    rows: Vec<&'a Row>,
    plan: SetPlan,
    base: Option<SetPlan>,
    /// No complete CRLs in it.
    alone: bool,
}

impl Office {
    /// Makes every CRL of a set again from the journal and compares it with the one on disk; writes
    /// them under `directory` when one is given, as far as their keys may still sign.
    ///
    /// # Errors
    /// [`OfficeError::NoSet`]; when records or catalogue cannot be read, or files written.
    pub fn rebuild(&self, set: &str, directory: Option<&Path>) -> Result<Vec<Rebuilt>, OfficeError> {
        let catalogue = self.set_catalogue(set)?.ok_or_else(|| OfficeError::NoSet(set.to_owned()))?;
        let mut rebuilt = Vec::new();
        for part in self.parts(&catalogue)? {
            self.rebuild_part(&part, Again::Signed(directory), &mut rebuilt)?;
        }
        Ok(rebuilt)
    }

    /// Findings about every set that is kept: a catalogue that is not the one in the journal, a CRL
    /// that the journal does not make.
    pub(super) fn examine_sets(&self) -> Result<Vec<String>, OfficeError> {
        let mut findings = Vec::new();
        let published = self.published_catalogues()?;
        let kept = self.sets()?;
        findings.extend(self.lost_sets(&kept));
        for set in kept {
            let catalogue = match self.set_catalogue(&set) {
                Ok(Some(catalogue)) => catalogue,
                Ok(None) => {
                    findings.push(format!("CRL set {set}: its catalogue is missing"));
                    continue;
                }
                Err(error) => {
                    findings.push(format!("CRL set {set}: {error}"));
                    continue;
                }
            };
            // One that is open was put in place when the journal took no more: the next start settles it.
            let is_open = self.store.facts().open_crl_sets.contains_key(&Position(catalogue.position));
            if !is_open && published.get(&catalogue.position) != Some(&sha256(&to_json(&catalogue)?)) {
                findings.push(format!("CRL set {set}: its catalogue is not the one in the journal"));
            }
            let mut rebuilt = Vec::new();
            for part in self.parts(&catalogue)? {
                self.rebuild_part(&part, Again::Compared, &mut rebuilt)?;
            }
            if rebuilt.len() != catalogue.crls.len() {
                findings.push(format!("CRL set {set}: a CRL in it is of no authority here"));
            }
            for Rebuilt { url, outcome } in rebuilt {
                if let Comparison::Differs(what) = outcome {
                    findings.push(format!("{url}: {what}"));
                }
            }
        }
        Ok(findings)
    }

    /// Findings about sets that the journal says were published last, and that are not among those
    /// that are `kept`.
    fn lost_sets(&self, kept: &[String]) -> BTreeSet<String> {
        let facts = self.store.facts();
        let last = facts.crl_sets.values().flat_map(last_sets).chain(self.sets_of_retired());
        let names = last.map(|set| CrlNumber::new(set.epoch, set.position).to_string());
        let lost = names.filter(|name| !kept.contains(name));
        lost.map(|name| format!("CRL set {name}: it was published, and its directory is missing")).collect()
    }

    /// SHA-256 of the catalogue of every set ever published, by the position it was begun at.
    fn published_catalogues(&self) -> Result<BTreeMap<u64, [u8; 32]>, OfficeError> {
        let mut published = BTreeMap::new();
        for numbered in self.store.entries(Position(1)) {
            if let Event::CrlSetPublished { begun, catalogue_sha256 } = numbered?.entry.event {
                published.insert(begun.0, catalogue_sha256);
            }
        }
        Ok(published)
    }

    fn parts<'a>(&self, catalogue: &'a Catalogue) -> Result<Vec<Part<'a>>, OfficeError> {
        let damaged =
            || OfficeError::Damaged(format!("the catalogue of CRL set {} is damaged", catalogue.set));
        let plan = catalogue.plan().ok_or_else(damaged)?;
        let mut parts = Vec::new();
        for authority in &self.profile.authorities {
            let rows: Vec<&Row> =
                catalogue.crls.iter().filter(|row| row.authority == authority.name).collect();
            if rows.is_empty() {
                continue;
            }
            let base = catalogue.bases.iter().find(|base| base.authority == authority.name);
            let base = base.map(|base| Base::plan(base).ok_or_else(damaged)).transpose()?;
            let alone = catalogue.is_deltas_alone();
            parts.push(Part { authority: authority.id, rows, plan, base, alone });
        }
        Ok(parts)
    }

    fn rebuild_part(
        &self,
        part: &Part<'_>,
        again: Again<'_>,
        rebuilt: &mut Vec<Rebuilt>,
    ) -> Result<(), OfficeError> {
        let (deltas, complete): (Vec<&Row>, Vec<&Row>) =
            part.rows.iter().partition(|row| row.kind == CrlKind::Delta);
        if !complete.is_empty() {
            self.rebuild_content(part, &Content::complete(part.plan), &complete, again, rebuilt)?;
        }
        for row in deltas {
            let Some((delta, base)) = part.delta(row) else {
                let outcome = Comparison::Differs("the catalogue does not say what its base is".to_owned());
                rebuilt.push(Rebuilt { url: row.url.clone(), outcome });
                continue;
            };
            self.rebuild_content(part, &Content::delta(delta, base), &[row], again, rebuilt)?;
        }
        Ok(())
    }

    fn rebuild_content(
        &self,
        part: &Part<'_>,
        content: &Content,
        rows: &[&Row],
        again: Again<'_>,
        rebuilt: &mut Vec<Rebuilt>,
    ) -> Result<(), OfficeError> {
        let position = part.plan.position;
        let encoded = self.encode(part.authority, position, &[content.selection])?;
        let Some(entries) = encoded.into_iter().next() else { return Ok(()) };
        for row in rows {
            let outcome = self.rebuild_row(part, content, row, &entries, again)?;
            rebuilt.push(Rebuilt { url: row.url.clone(), outcome });
        }
        Ok(())
    }

    fn rebuild_row(
        &self,
        part: &Part<'_>,
        content: &Content,
        row: &Row,
        entries: &Entries,
        again: Again<'_>,
    ) -> Result<Comparison, OfficeError> {
        let differs = |what: &str| Comparison::Differs(what.to_owned());
        let Some(issuer) = self.issuer_of(part.authority, row.generation)? else {
            return Ok(differs("its CA certificate is not on record"));
        };
        let partition = row.partition.as_ref().and_then(|code| code.parse::<Partition>().ok());
        let name = partition.and_then(|partition| self.profile.distribution_point(part.authority, partition));
        let scope = match (row.kind, partition, &name) {
            (CrlKind::Full | CrlKind::Delta, ..) => content.whole(row.freshest_crl.as_deref()),
            (CrlKind::Authority, ..) => Scope::Authority,
            (CrlKind::Partition, Some(partition), Some(name)) => {
                Scope::Partition { partition, distribution_point: name }
            }
            (CrlKind::Partition, ..) => return Ok(differs("its municipality is unknown")),
        };
        let key = PublicKey::from_spki(&issuer.spki)
            .map_err(|error| OfficeError::Damaged(format!("a CA certificate in the archive: {error}")))?;
        let plan = &of_row(content.selection.plan(), row, &issuer);
        let tbs = tbs_cert_list(&issuer, key.algorithm(), scope, plan, entries.of(scope));
        let path = self.crl_path(row).unwrap_or_default();
        let published = self.disk.read(&path)?;
        let compared = match &published {
            None => differs("the file is missing: publish a new set, or rebuild this one"),
            Some(octets) if HEXLOWER.encode(&sha256(octets)) != row.sha256 => {
                differs("the file is not the one in the catalogue: publish a new set, or rebuild this one")
            }
            Some(octets) => match signed_part(octets) {
                Ok((signed, signature)) if signed == tbs.der() && key.verify(signed, signature).is_ok() => {
                    Comparison::SameContent
                }
                _ => differs("it is not what the journal makes"),
            },
        };
        let Again::Signed(directory) = again else { return Ok(compared) };
        let Some(live) = self.live_generation(part.authority, row.generation) else { return Ok(compared) };
        // Nothing is signed again by a key that is compromised, or not here.
        if newest_sound(&self.store.facts(), std::slice::from_ref(&live)).is_none() {
            return Ok(compared);
        }
        let signed = self.sign_crl(&live, tbs)?;
        if let Some(directory) = directory {
            let file = format!("{}/{}/{}", row.authority, row.generation, file_name(scope));
            stored::write(&Disk::File, &directory.join(file), signed.der())?;
        }
        Ok(match compared {
            Comparison::SameContent if published.as_deref() == Some(signed.der()) => Comparison::Same,
            Comparison::SameContent if key.algorithm() == SignatureAlgorithm::RsaSha256 => {
                differs("its signature is not the one that the key makes")
            }
            other => other,
        })
    }

    fn live_generation(&self, authority: AuthorityId, generation: u8) -> Option<Arc<LiveGeneration>> {
        let live = self.live_generations(authority);
        live.into_iter().find(|live| live.issuer.generation.number() == generation)
    }
}

/// The plan of one CRL: the last one of a key ends with its CA certificate.
fn of_row(plan: &SetPlan, row: &Row, issuer: &Issuer) -> SetPlan {
    let is_last = row.kind != CrlKind::Delta && row.next_update.parse() == Ok(issuer.not_after);
    SetPlan { next_update: if is_last { issuer.not_after } else { plan.next_update }, ..*plan }
}

impl Part<'_> {
    /// The plans of its deltas and of their base.
    fn delta(&self, row: &Row) -> Option<(SetPlan, SetPlan)> {
        let base = self.base?;
        let next_update = row.next_update.parse().ok()?;
        Some((SetPlan { next_update, ..self.plan.of_delta(&base, self.alone, Duration::ZERO) }, base))
    }
}
