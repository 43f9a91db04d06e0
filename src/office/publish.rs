//! A CRL set: built from one journal position, gated, published as a whole by renaming.
//!
//! Until every CRL of a set is signed, read again and found right, the last set is served. The
//! order is: SetBegun in the journal (its position is the number) → files in a directory that
//! nobody is served from → the directory renamed into place → the catalogue renamed into place
//! → SetPublished in the journal → served. A crash in between leaves a number spent and the
//! last set standing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use super::authorities::sha256;
use super::build::{OfAuthority, at, in_parallel, sync_filesystem, write_file};
use super::data::{DataDir, DataError, sync_directory};
use super::{LiveGeneration, Office, OfficeError};
use crate::crl::{Catalogue, Collector, CrlNumber, Listing, Row, Scope, SetPlan};
use crate::der::UnixTime;
use crate::issue::IssueError;
use crate::pki::{AuthorityId, Name, Partition};
use crate::record::{Event, Origin, Position};

/// A set that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedSet {
    /// The number of its CRLs, and its name.
    pub number: CrlNumber,
    /// CRLs in it.
    pub crls: usize,
    /// Entries in its full CRLs, one generation of each authority.
    pub entries: u64,
    /// thisUpdate.
    pub this_update: UnixTime,
    /// nextUpdate.
    pub next_update: UnixTime,
}

impl Office {
    /// Builds, checks and publishes a set for these authorities. One at a time.
    ///
    /// # Errors
    /// Nothing has changed for verifiers then: the last set is still served, and `/readyz`
    /// tells why until the next one comes out. [`OfficeError::Clock`] while the clock is not
    /// believed.
    pub fn publish(&self, authorities: &[AuthorityId], scheduled: bool) -> Result<PublishedSet, OfficeError> {
        self.believed_clock()?;
        let publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let published = self.publish_set(authorities, scheduled);
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
        for (authority, partition) in wanted {
            let named = self.profile.distribution_point(*authority, *partition);
            named.ok_or(IssueError::Municipality(*partition))?;
        }
        self.believed_clock()?;
        let publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        // Who waited here may find that the set before had them.
        if !self.are_open(wanted)? {
            self.coming.lock().unwrap_or_else(PoisonError::into_inner).extend(wanted);
            let authorities: BTreeSet<AuthorityId> = wanted.iter().map(|(authority, _)| *authority).collect();
            self.publish_set(&Vec::from_iter(authorities), false)?;
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

    /// The caller holds `publishing`.
    fn publish_set(&self, authorities: &[AuthorityId], scheduled: bool) -> Result<PublishedSet, OfficeError> {
        let published = self.begin_set(authorities, scheduled).and_then(|plan| {
            let placed = self.place_set(authorities, plan);
            placed.inspect_err(|_| self.give_up(plan)).and_then(|placed| self.announce(placed, plan))
        });
        let held_back = published.as_ref().err();
        let held_back = held_back.map(|error| format!("the last CRL set did not come out: {error}"));
        self.held_back.store(Arc::new(held_back));
        published
    }

    /// Builds the set and renames it, then the catalogue, into place.
    fn place_set(&self, authorities: &[AuthorityId], plan: SetPlan) -> Result<Placed, OfficeError> {
        let building = self.building(plan);
        let rows = self.build_set(authorities, plan, &building)?;
        let crls = rows.len();
        let full = |row: &&Row| {
            row.kind == crate::crl::CrlKind::Full && row.generation == newest(&rows, &row.authority)
        };
        let entries = rows.iter().filter(full).map(|row| row.entries).sum();
        let head = self.store.head_at(plan.position)?;
        let own = Catalogue::new(&plan, &head, rows);
        let own_json = to_json(&own)?;
        write_file(&building.join(CATALOGUE), &own_json)?;
        // Also one whose certificate is revoked: that is what its CRLs have to say.
        let newest = authorities.iter().find_map(|authority| self.live_generations(*authority).pop());
        let signer = newest.ok_or(OfficeError::NothingToPublish)?;
        let (own_json, signature) = self.sign_catalogue(&signer, own_json)?;
        write_file(&building.join(CATALOGUE_SIGNATURE), &signature)?;
        sync_filesystem(&building)?;
        let sets = self.data.crl().join(SETS);
        fs::create_dir_all(&sets).map_err(at(&sets))?;
        let place = sets.join(plan.number.to_string());
        fs::rename(&building, &place).map_err(at(&place))?;
        sync_directory(&sets)?;
        let served = self.merged(own)?;
        self.data.write(&self.data.crl().join(CATALOGUE), &to_json(&served)?)?;
        Ok(Placed { crls, entries, catalogue_sha256: sha256(&own_json) })
    }

    /// The set is in place: says so in the journal, and serves it.
    fn announce(&self, placed: Placed, plan: SetPlan) -> Result<PublishedSet, OfficeError> {
        let Placed { crls, entries, catalogue_sha256 } = placed;
        self.journal(Event::CrlSetPublished { begun: plan.position, catalogue_sha256 })?;
        self.serve_files()?;
        tracing::info!(set = %plan.number, crls, entries, scheduled = plan.scheduled, "CRL set published");
        let SetPlan { number, this_update, next_update, .. } = plan;
        Ok(PublishedSet { number, crls, entries, this_update, next_update })
    }

    /// Removes what there is of a set that will not come out; its number is spent. One whose
    /// catalogue stands, because the very last step failed after it took effect, is left open:
    /// the next start settles it.
    fn give_up(&self, plan: SetPlan) {
        let set = plan.number.to_string();
        let took_effect =
            self.served_catalogue().map_or(true, |served| served.is_some_and(|served| served.set == set));
        if took_effect {
            return;
        }
        for left in [self.building(plan), self.set_directory(&set)] {
            drop(fs::remove_dir_all(left));
        }
        if let Err(error) = self.journal(Event::CrlSetAbandoned { begun: plan.position }) {
            tracing::warn!(%error, "a CRL set that was given up stays open in the journal");
        }
    }

    fn building(&self, plan: SetPlan) -> PathBuf {
        self.data.crl().join(format!("building-{}", plan.number))
    }

    /// Journals the beginning: position, number and thisUpdate of the set.
    fn begin_set(&self, authorities: &[AuthorityId], scheduled: bool) -> Result<SetPlan, OfficeError> {
        let event = Event::CrlSetBegun { authorities: authorities.to_vec(), scheduled };
        let begun =
            self.store.submit_wait(Origin::service(), Box::new(move |_, _| Ok(vec![event.clone()])))?;
        let facts = self.store.facts();
        let last = authorities
            .iter()
            .map(|id| facts.crl_sets.get(id)?.published_scheduled.map(|set| set.recorded_at));
        Ok(SetPlan {
            number: CrlNumber::new(self.store.epoch(), begun.position),
            position: begun.position,
            this_update: begun.recorded_at,
            next_update: begun.recorded_at.plus(self.config.crl.validity()),
            scheduled,
            // The earliest: an authority that missed a set keeps its expired entries a turn longer.
            last_scheduled: last.min().flatten(),
        })
    }

    fn build_set(
        &self,
        authorities: &[AuthorityId],
        plan: SetPlan,
        directory: &Path,
    ) -> Result<Vec<Row>, OfficeError> {
        let mut rows = Vec::new();
        for authority in authorities {
            let previous = self.served_catalogues()?;
            let previous = previous.get(authority);
            let mut collector = Collector::new(*authority, plan);
            self.store.scan(*authority, plan.position, &mut |_, record| collector.add(&record))?;
            let mut listing = Listing::new(*authority, plan, previous.and_then(Catalogue::plan));
            self.store.scan(*authority, plan.position, &mut |_, record| listing.add(&record))?;
            let points = self.distribution_points(*authority, &collector)?;
            let live = self.live_generations(*authority);
            if live.is_empty() {
                return Err(OfficeError::NoGeneration(self.authority_name(*authority)));
            }
            let partitions = points.iter().map(|(partition, name)| Scope::Partition {
                partition: *partition,
                distribution_point: name,
            });
            let scopes: Vec<Scope<'_>> =
                [Scope::Full, Scope::Authority].into_iter().chain(partitions).collect();
            let crls: Vec<(&LiveGeneration, Scope<'_>)> = live
                .iter()
                .flat_map(|live| scopes.iter().map(move |scope| (live.as_ref(), *scope)))
                .collect();
            let released = self.store.facts().clock_released;
            let set_back = previous.is_some_and(|set| released > Some(Position(set.position)));
            let (collector, listing) = (&collector, &listing);
            let of =
                OfAuthority { office: self, plan: &plan, collector, listing, previous, directory, set_back };
            rows.extend(in_parallel(&crls, |(live, scope)| of.build_crl(live, *scope))?);
        }
        Ok(rows)
    }

    /// Every partition that ever had a certificate or is about to have its first, by the name in
    /// its certificates.
    fn distribution_points(
        &self,
        authority: AuthorityId,
        collector: &Collector,
    ) -> Result<BTreeMap<Partition, Name>, OfficeError> {
        let facts = self.store.facts();
        let known = facts.partitions.get(&authority).into_iter().flat_map(|known| known.iter().copied());
        let coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let coming = coming.into_iter().filter(|(of, _)| *of == authority).map(|(_, partition)| partition);
        let named = known.chain(collector.partitions()).chain(coming).map(|partition| {
            let name = self.profile.distribution_point(authority, partition).ok_or_else(|| {
                OfficeError::Damaged(format!("no municipality {partition} in the table: put its row back"))
            })?;
            Ok((partition, name))
        });
        named.collect()
    }

    /// The rows being served: those of `own`, and of other authorities what stands.
    fn merged(&self, own: Catalogue) -> Result<Catalogue, OfficeError> {
        let covered: Vec<String> = own.crls.iter().map(|row| row.authority.clone()).collect();
        let standing = self.served_catalogue()?.map(|served| served.crls).unwrap_or_default();
        let stands = |row: &Row| {
            !covered.contains(&row.authority) && self.crl_path(row).is_some_and(|path| path.exists())
        };
        let mut merged = own;
        merged.crls.extend(standing.into_iter().filter(stands));
        merged.crls.sort_by(|a, b| (&a.authority, a.generation).cmp(&(&b.authority, b.generation)));
        Ok(merged)
    }

    /// The catalogue of what is served; none before the first set.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn served_catalogue(&self) -> Result<Option<Catalogue>, OfficeError> {
        read_catalogue(&self.data.crl().join(CATALOGUE))
    }

    /// For each authority the catalogue of the set it is served from.
    fn served_catalogues(&self) -> Result<BTreeMap<AuthorityId, Catalogue>, OfficeError> {
        let mut found = BTreeMap::new();
        let Some(served) = self.served_catalogue()? else { return Ok(found) };
        for authority in &self.profile.authorities {
            let Some(row) = served.crls.iter().find(|row| row.authority == authority.name) else { continue };
            if let Some(set) = self.set_catalogue(&row.set)? {
                found.insert(authority.id, set);
            }
        }
        Ok(found)
    }

    /// The set an authority is served from.
    pub(super) fn served_set(&self, authority: AuthorityId) -> Option<ServedSet> {
        self.served.load().sets.get(&authority).copied()
    }

    /// The catalogue of one set.
    pub(super) fn set_catalogue(&self, set: &str) -> Result<Option<Catalogue>, OfficeError> {
        read_catalogue(&self.set_directory(set).join(CATALOGUE))
    }

    /// Where the files of a set lie.
    pub(super) fn set_directory(&self, set: &str) -> PathBuf {
        self.data.crl().join(SETS).join(set)
    }

    pub(super) fn journal(&self, event: Event) -> Result<(), OfficeError> {
        self.store.submit_wait(Origin::service(), Box::new(move |_, _| Ok(vec![event.clone()])))?;
        Ok(())
    }
}

/// A set whose files are in place.
struct Placed {
    crls: usize,
    entries: u64,
    catalogue_sha256: [u8; 32],
}

/// A set by its number and the position it is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServedSet {
    pub(super) number: CrlNumber,
    pub(super) position: Position,
}

/// Name of a catalogue file.
pub(super) const CATALOGUE: &str = "index.json";

/// Name of the detached signature (CMS) over a set's catalogue.
pub(super) const CATALOGUE_SIGNATURE: &str = "index.p7s";

/// Directory of the published sets.
const SETS: &str = "sets";

/// The position of the newest set being served; 0 before the first.
pub(super) fn published_position(data: &DataDir) -> Result<Position, OfficeError> {
    let served = read_catalogue(&data.crl().join(CATALOGUE))?;
    Ok(Position(served.map_or(0, |catalogue| catalogue.position)))
}

fn newest(rows: &[Row], authority: &str) -> u8 {
    rows.iter().filter(|row| row.authority == authority).map(|row| row.generation).max().unwrap_or(0)
}

fn to_json(catalogue: &Catalogue) -> Result<Vec<u8>, OfficeError> {
    serde_json::to_vec_pretty(catalogue).map_err(|error| OfficeError::Damaged(error.to_string()))
}

pub(super) fn read_catalogue(path: &Path) -> Result<Option<Catalogue>, OfficeError> {
    match fs::read(path) {
        Ok(octets) => serde_json::from_slice(&octets).map(Some).map_err(|error| {
            OfficeError::Damaged(format!("{}: {error}; remove it, a new set is cut at start", path.display()))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DataError::Io { path: path.to_owned(), error }.into()),
    }
}
