//! What the committer shares with everybody who reads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use super::acknowledged::Slots;
use super::archive::ArchiveReader;
use super::error::{DiskFault, NotReady, StoreError, SubmitError};
use super::frame::Head;
use super::journal::{Entries, Journal};
use super::kept::Kept;
use super::options::Fold;
use super::overlay::{Below, Durable, Overlay, Seen, View};
use super::projection::Projection;
use super::submission::{Decide, Outcome, Records};
use super::tip::Tip;
use crate::der::UnixTime;
use crate::record::{Numbered, Origin, Position, Refusal, RequestId};

/// The store without its writers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) journal: Journal,
    pub(super) archive: ArchiveReader,
    pub(super) projection: Projection,
    pub(super) slots: Slots,
    /// What hears of every entry, beside the records.
    pub(super) folds: Vec<Fold>,
    /// The end of what is durable.
    tip: ArcSwap<Tip>,
    /// Set once, by the first write or sync of the journal that failed.
    poison: OnceLock<DiskFault>,
    /// Set once, when certificates cannot be archived.
    archive_fault: OnceLock<StoreError>,
    closing: AtomicBool,
}

impl Shared {
    pub(super) fn new(
        journal: Journal,
        archive: ArchiveReader,
        slots: Slots,
        folds: Vec<Fold>,
        tip: Tip,
    ) -> Self {
        Self {
            journal,
            archive,
            slots,
            projection: Projection::new(tip.position),
            folds,
            tip: ArcSwap::from_pointee(tip),
            poison: OnceLock::new(),
            archive_fault: OnceLock::new(),
            closing: AtomicBool::new(false),
        }
    }

    pub(super) fn tip(&self) -> Arc<Tip> {
        self.tip.load_full()
    }

    /// A group became durable: what it made is found from now on, and then its end is told.
    pub(super) fn advance(&self, tip: Tip, group: Overlay) {
        self.projection.merge(group, tip.held());
        self.tip.store(Arc::new(tip));
    }

    /// The journal ends there, and the rows are still to be made.
    pub(super) fn set_tip(&self, tip: Tip) {
        self.tip.store(Arc::new(tip));
    }

    pub(super) fn find<K: Kept>(&self, key: &K::Key) -> Result<Option<K>, StoreError> {
        // In this order: what is not in the record yet is in the facts.
        let found = self.projection.find::<K>(key)?;
        Ok(found.map(|kept| kept.with(&self.tip.load().facts.compromises)))
    }

    /// Looks at what a decision will look at.
    pub(super) fn look_ahead(&self, origin: &Origin, decide: &Decide, now: UnixTime) {
        let (tip, group, durable) = (self.tip(), Overlay::default(), Durable::new(&self.projection));
        let view = View { group: &group, durable: &durable };
        if let Some(request) = &origin.request {
            let _known_then = view.find::<Seen>(&request.key);
        }
        let records = Records { view, facts: &tip.facts, next: tip.position.next() };
        let _decided_then = decide(&records, now.max(tip.recorded_at));
    }

    pub(super) fn find_outcome(&self, request: &RequestId) -> Result<Option<Outcome>, SubmitError> {
        let seen = self.find::<Seen>(&request.key).map_err(|error| unreadable(&error))?;
        let now = self.tip().recorded_at;
        match seen.filter(|seen| !seen.is_expired(now)) {
            None => Ok(None),
            Some(seen) if seen.digest != request.digest => Err(SubmitError::KeyReused),
            Some(seen) => self.repeated(&seen).map(Some).map_err(|error| unreadable(&error)),
        }
    }

    /// The first outcome of a request again.
    pub(super) fn repeated(&self, seen: &Seen) -> Result<Outcome, StoreError> {
        let Seen { first, count, recorded_at, .. } = *seen;
        let last = Position(first.0 + u64::from(count).saturating_sub(1));
        let entries = self.journal.entries(first, last).collect::<Result<Vec<Numbered>, _>>()?;
        Ok(Outcome { entries, position: last, recorded_at, repeated: true })
    }

    pub(super) fn head_at(&self, position: Position) -> Result<Head, StoreError> {
        let mut found = None;
        self.journal.read_from(position, None, &mut |frame| {
            let frame_holds = frame.first..frame.first + u64::from(frame.count);
            if frame_holds.contains(&position.0) {
                found = Some(frame.head);
            }
            Ok(())
        })?;
        found.ok_or(StoreError::NoSuchEntry(position))
    }

    /// Waits while the projection is being rebuilt.
    pub(super) fn wait_rebuilt(&self) {
        self.projection.wait_rebuilt(&|| self.is_closing());
    }

    pub(super) fn entries(&self, from: Position) -> Entries {
        self.journal.entries(from, self.tip.load().position)
    }

    pub(super) fn poison(&self) -> Option<&DiskFault> {
        self.poison.get()
    }

    /// From now on nothing is acknowledged.
    pub(super) fn set_poison(&self, fault: DiskFault) {
        tracing::error!(%fault, "the journal failed: nothing more is acknowledged");
        self.projection.end(fault.clone().into());
        let _first_stays = self.poison.set(fault);
    }

    pub(super) fn archive_fault(&self) -> Option<&StoreError> {
        self.archive_fault.get()
    }

    pub(super) fn set_archive_fault(&self, error: StoreError) {
        tracing::error!(%error, "the archive failed: nothing more is issued");
        let _first_stays = self.archive_fault.set(error);
    }

    pub(super) fn ready(&self) -> Result<(), NotReady> {
        if let Some(fault) = self.poison() {
            return Err(NotReady::Poisoned(fault.clone()));
        }
        self.projection.rows()?;
        match self.archive_fault() {
            Some(error) => Err(NotReady::Archive(error.clone())),
            None => Ok(()),
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    pub(super) fn set_closing(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.projection.wake();
    }
}

impl From<NotReady> for StoreError {
    fn from(reason: NotReady) -> Self {
        match reason {
            NotReady::Poisoned(fault) => Self::Disk(fault),
            NotReady::Rebuilding(progress) => Self::Rebuilding(progress),
            NotReady::Projection(error) | NotReady::Archive(error) => error,
            NotReady::Fenced(why) => Self::Fenced(why),
            NotReady::Closed => Self::Closed,
        }
    }
}

fn unreadable(error: &StoreError) -> SubmitError {
    SubmitError::Refused(Refusal::Records(error.to_string()))
}
