//! Sets that the gate held back and an operator may let go.
//!
//! A set whose CRLs say exactly what the records say, but less than before and nobody can say why,
//! is made whole and laid aside under `crl/held-back/`. It stays open in the journal until it is
//! let go, or another set comes out.

use std::path::PathBuf;
use std::sync::PoisonError;

use super::catalogues::{CATALOGUE, read_catalogue};
use super::publish::{Begun, Kind, PublishedSet};
use super::{Office, OfficeError, stored};
use crate::crl::{Catalogue, CrlNumber};
use crate::pki::AuthorityId;
use crate::record::{Event, Origin, Position, TEXT_OCTETS_MAX};

/// Directory of the set that was held back: one at most.
const HELD_BACK: &str = "held-back";

/// Octets of a reason: it stands in the journal.
const REASON_OCTETS_MAX: usize = 200;

/// Octets of a finding in the journal: it names a file and numbers, and its beginning says which.
const FINDING_OCTETS_MAX: usize = TEXT_OCTETS_MAX;

/// A set that waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// Its name.
    pub set: String,
    /// Its thisUpdate.
    pub this_update: String,
    /// Its nextUpdate: until then it may be let go.
    pub next_update: String,
    /// What the gate found, a line each.
    pub findings: Vec<String>,
}

impl Office {
    /// The set that was held back last, if it waits still.
    ///
    /// # Errors
    /// When there is one and its catalogue cannot be read, or whether there is one cannot be told.
    pub fn held_back(&self) -> Result<Option<HeldBack>, OfficeError> {
        let own = self.find_held_back()?;
        Ok(own.map(|Catalogue { set, this_update, next_update, held_back_for: findings, .. }| HeldBack {
            set,
            this_update,
            next_update,
            findings,
        }))
    }

    /// Publishes the set that was held back, for a reason that is recorded. `set` names it, so that
    /// none but the one that was looked at is let go.
    ///
    /// # Errors
    /// [`OfficeError::NotHeldBack`] when it is not the one that waits, is no longer valid, or is not
    /// the one that was laid aside; as [`Self::held_back`]; as [`Self::publish`].
    pub fn release_set(&self, set: &str, reason: &str, origin: Origin) -> Result<PublishedSet, OfficeError> {
        self.believed_clock()?;
        self.examined_journal()?;
        self.agreed()?;
        let refused = |why: String| Err(OfficeError::NotHeldBack(why));
        if reason.trim().is_empty() || reason.len() > REASON_OCTETS_MAX {
            return refused(format!("give a reason of 1 to {REASON_OCTETS_MAX} octets: it is recorded"));
        }
        let publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(own) = self.find_held_back()? else {
            return refused("no CRL set waits to be let go: look at `sekisho crl list`".to_owned());
        };
        if own.set != set {
            return refused(format!("set {set} does not wait to be let go; look at set {}", own.set));
        }
        let damaged = || OfficeError::Damaged(format!("the catalogue of set {set} is damaged: publish anew"));
        let plan = own.plan().ok_or_else(damaged)?;
        if self.clock.now() >= plan.next_update {
            return refused(format!("set {set} was valid until {}: publish anew", plan.next_update));
        }
        if let Some(newer) = self.newer_than(plan.position) {
            return refused(format!("set {newer} came out after set {set} was made: publish anew"));
        }
        let retiring = self.retiring_in(&own, origin.clone())?;
        if let Some(retiring) = &retiring {
            self.check_unused(retiring)?;
            // Its successor may have been lost meanwhile.
            self.check_retirable(retiring.authority, retiring.generation, retiring.until)?;
        }
        let place = self.held_back_directory(&own.set);
        for row in &own.crls {
            let name = row.url.rsplit('/').next().ok_or_else(damaged)?;
            let path = place.join(&row.authority).join(row.generation.to_string()).join(name);
            if stored::sha256_of(&self.disk, &path)? != row.sha256 {
                return refused(format!("{} is not what was laid aside: publish anew", path.display()));
            }
        }
        let names: Vec<&str> = own.crls.iter().map(|row| row.authority.as_str()).collect();
        let authorities = self.profile.authorities.iter();
        let authorities: Vec<AuthorityId> =
            authorities.filter(|one| names.contains(&one.name.as_str())).map(|one| one.id).collect();
        let finding = own.held_back_for.first().cloned().unwrap_or_default();
        let (begun, reason) = (plan.position, reason.trim().to_owned());
        tracing::warn!(set, finding, reason, actor = origin.actor.name(), "a CRL set held back is let go");
        let finding = recorded(&finding).to_owned();
        self.journal_by(origin, Event::CrlSetReleased { begun, finding, reason })?;
        let kind = if own.scheduled { Kind::Scheduled } else { Kind::OnDemand };
        let placing = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_revoked(&authorities, plan.position)?;
        self.put_in_place(&place, &own)?;
        let published = self.announce(&Begun::again(kind, plan, authorities, retiring), &own);
        drop(placing);
        drop(publishing);
        published.inspect(|_| self.clear_alarm(kind))
    }

    /// Lays a set aside; one that was laid aside before is given up.
    pub(super) fn hold_back(&self, begun: &Begun, own: &Catalogue) -> Result<(), OfficeError> {
        self.give_up_held_back();
        let place = self.held_back_directory(&own.set);
        if let Some(directory) = place.parent() {
            self.disk.create_dirs(directory)?;
        }
        self.disk.rename(&self.building(&begun.plan), &place)?;
        for finding in &own.held_back_for {
            tracing::error!(set = own.set, finding, "the CRL set is held back: an operator may let it go");
        }
        Ok(())
    }

    /// Another set came out for these authorities: what waited for them is out of date.
    pub(super) fn drop_held_back(&self, authorities: &[AuthorityId]) {
        let facts = self.store.facts();
        // For whom it was begun stands in the journal, whether its own catalogue can be read or not.
        let concerns = |begun: &Position| {
            let open = facts.open_crl_sets.get(begun);
            // One that is closed waits no more.
            open.is_none_or(|(_, of)| of.iter().any(|authority| authorities.contains(authority)))
        };
        match self.waiting() {
            Ok(waiting) => {
                if waiting.and_then(CrlNumber::parts).is_some_and(|(_, begun)| concerns(&begun)) {
                    self.give_up_held_back();
                }
            }
            Err(error) => tracing::error!(%error, "whether a CRL set waits that is out of date is not known"),
        }
    }

    /// True when the set begun there waits for an operator, whether its catalogue can be read or not.
    pub(super) fn is_held_back(&self, begun: Position) -> Result<bool, OfficeError> {
        Ok(self.waiting()?.and_then(CrlNumber::parts).is_some_and(|(_, position)| position == begun))
    }

    /// The newest set published for one of the authorities of an open one, when that is newer than it: its CRLs
    /// would go back behind what verifiers have.
    pub(super) fn newer_than(&self, begun: Position) -> Option<String> {
        let facts = self.store.facts();
        let (own, of) = facts.open_crl_sets.get(&begun)?;
        let published = of.iter().filter_map(|authority| facts.crl_sets.get(authority)?.published);
        let newest = published.map(|set| CrlNumber::new(set.epoch, set.position)).max();
        newest.filter(|newest| *newest > CrlNumber::new(own.epoch, begun)).map(|newest| newest.to_string())
    }

    pub(super) fn give_up_held_back(&self) {
        let number = match self.waiting() {
            Ok(Some(number)) => number,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "a CRL set that was held back cannot be given up");
                return;
            }
        };
        if let Err(error) = self.discard(&self.held_back_directory(&number.to_string())) {
            tracing::warn!(%error, "a CRL set that was held back cannot be removed");
        }
        let Some((_, begun)) = number.parts() else { return };
        if let Err(error) = self.journal(Event::CrlSetAbandoned { begun }) {
            tracing::warn!(%error, "a CRL set that was held back stays open in the journal");
        }
    }

    /// The number of the set that waits.
    fn waiting(&self) -> Result<Option<CrlNumber>, OfficeError> {
        // The directory is made with the first set that is held back: absent and empty are the same.
        let names = self.disk.list(&self.held_back_directory(""))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).max())
    }

    fn find_held_back(&self) -> Result<Option<Catalogue>, OfficeError> {
        let Some(number) = self.waiting()? else { return Ok(None) };
        let path = self.held_back_directory(&number.to_string()).join(CATALOGUE);
        let missing = || {
            OfficeError::Damaged(format!(
                "{}: the catalogue of the set that waits is missing",
                path.display()
            ))
        };
        read_catalogue(&self.disk, &path)?.ok_or_else(missing).map(Some)
    }

    fn held_back_directory(&self, set: &str) -> PathBuf {
        self.data.crl().join(HELD_BACK).join(set)
    }
}

/// A finding as the journal takes it: longer ones end at a character, and the whole of it stands in
/// the set's catalogue.
fn recorded(finding: &str) -> &str {
    finding.get(..finding.floor_char_boundary(FINDING_OCTETS_MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_finding_is_recorded_up_to_a_character() {
        let fits = "x".repeat(FINDING_OCTETS_MAX);
        assert_eq!(recorded(&fits), fits);
        let longer = format!("{}\u{95a2}", "x".repeat(FINDING_OCTETS_MAX - 1));
        assert_eq!(recorded(&longer), "x".repeat(FINDING_OCTETS_MAX - 1));
        assert_eq!(recorded(""), "");
    }
}
