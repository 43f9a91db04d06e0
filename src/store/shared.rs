//! What the committer shares with everybody who reads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::archive::ArchiveReader;
use super::carriers;
use super::certificates;
use super::error::{DiskFault, NotReady, Progress, StoreError, SubmitError};
use super::facts::Facts;
use super::frame::Head;
use super::journal::{Entries, FIRST};
use super::overlay::{self, Held, Overlay};
use super::reading::Reading;
use super::rows::Rows;
use super::segments::Segments;
use super::submission::Outcome;
use crate::der::UnixTime;
use crate::pki::{AuthorityId, SerialNumber};
use crate::record::{Card, CardId, Holder, HolderId, Numbered, Position, Record, Refusal, RequestId};

/// The store without its writers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) journal: Segments,
    pub(super) archive: ArchiveReader,
    /// The end of what is durable.
    tip: ArcSwap<Tip>,
    /// Durable records that the projection does not hold yet.
    recent: ArcSwap<Overlay>,
    projection: Mutex<Projection>,
    projection_moved: Condvar,
    /// Set once, by the first write or sync of the journal that failed.
    poison: OnceLock<DiskFault>,
    /// Set once, when certificates cannot be archived.
    archive_fault: OnceLock<StoreError>,
    closing: AtomicBool,
}

/// The last durable entry, and what all up to it add up to.
#[derive(Debug, Clone)]
pub(super) struct Tip {
    pub(super) position: Position,
    pub(super) head: Head,
    pub(super) recorded_at: UnixTime,
    /// One more than the highest archive place an entry names.
    pub(super) archived: u64,
    /// The last entry that changed a certificate's status; after a start from a snapshot, at the
    /// earliest the snapshot's.
    pub(super) changed: Position,
    pub(super) facts: Arc<Facts>,
}

impl Tip {
    pub(super) fn held(&self) -> Held {
        Held { journal_id: self.facts.journal_id, position: self.position, head: self.head }
    }
}

#[derive(Debug)]
pub(super) enum Projection {
    Rebuilding(Progress),
    Ready { rows: Arc<Rows>, position: Position },
    Failed(StoreError),
    Closed,
}

impl Shared {
    pub(super) fn new(journal: Segments, archive: ArchiveReader, tip: Tip) -> Self {
        let progress = Progress { position: Position::default(), total: tip.position };
        Self {
            journal,
            archive,
            tip: ArcSwap::from_pointee(tip),
            recent: ArcSwap::default(),
            projection: Mutex::new(Projection::Rebuilding(progress)),
            projection_moved: Condvar::new(),
            poison: OnceLock::new(),
            archive_fault: OnceLock::new(),
            closing: AtomicBool::new(false),
        }
    }

    pub(super) fn tip(&self) -> Arc<Tip> {
        self.tip.load_full()
    }

    /// A group became durable.
    pub(super) fn advance(&self, tip: Tip, recent: Arc<Overlay>) {
        self.recent.store(recent);
        self.tip.store(Arc::new(tip));
    }

    /// The projection holds everything up to `position`.
    pub(super) fn projected(&self, position: Position) {
        if let Projection::Ready { position: held, .. } = &mut *self.projection() {
            *held = position;
        }
        self.recent.store(Arc::default());
        self.projection_moved.notify_all();
    }

    pub(super) fn set_projection(&self, projection: Projection) -> Projection {
        let before = std::mem::replace(&mut *self.projection(), projection);
        self.projection_moved.notify_all();
        before
    }

    pub(super) fn recent(&self) -> Arc<Overlay> {
        self.recent.load_full()
    }

    pub(super) fn rows(&self) -> Result<Arc<Rows>, NotReady> {
        match &*self.projection() {
            Projection::Ready { rows, .. } => Ok(Arc::clone(rows)),
            Projection::Rebuilding(progress) => Err(NotReady::Rebuilding(*progress)),
            Projection::Failed(error) => Err(NotReady::Projection(error.clone())),
            Projection::Closed => Err(NotReady::Closed),
        }
    }

    pub(super) fn find(
        &self,
        authority: AuthorityId,
        serial: &SerialNumber,
    ) -> Result<Option<Record>, StoreError> {
        // In this order: what leaves the one stands in the other before.
        if let Some(record) = self.recent().find(authority, serial) {
            return Ok(Some(record.clone()));
        }
        certificates::find(&*self.rows()?, authority, serial)
    }

    pub(super) fn find_card(&self, card: CardId) -> Result<Option<Card>, StoreError> {
        if let Some(card) = self.recent().find_card(card) {
            return Ok(Some(card.clone()));
        }
        carriers::find_card(&*self.rows()?, card)
    }

    pub(super) fn find_holder(&self, holder: HolderId) -> Result<Option<Holder>, StoreError> {
        if let Some(holder) = self.recent().find_holder(holder) {
            return Ok(Some(holder.clone()));
        }
        carriers::find_holder(&*self.rows()?, holder)
    }

    pub(super) fn each_card(&self, at: Position, each: &mut dyn FnMut(Card)) -> Result<(), StoreError> {
        carriers::each_card(&*self.rows_at(at)?, each)
    }

    pub(super) fn each_holder(&self, at: Position, each: &mut dyn FnMut(Holder)) -> Result<(), StoreError> {
        carriers::each_holder(&*self.rows_at(at)?, each)
    }

    pub(super) fn find_outcome(&self, request: &RequestId) -> Result<Option<Outcome>, SubmitError> {
        let seen = match self.recent().find_request(&request.key) {
            Some(seen) => Some(seen),
            None => {
                let rows = self.rows()?;
                overlay::find_request(&Reading::new(&rows), &request.key)
                    .map_err(|error| unreadable(&error))?
            }
        };
        let now = self.tip().recorded_at;
        match seen.filter(|seen| !overlay::is_expired(seen, now)) {
            None => Ok(None),
            Some(seen) if seen.digest != request.digest => Err(SubmitError::KeyReused),
            Some(seen) => {
                let entries = read_range(self, seen.first, seen.count).map_err(|error| unreadable(&error))?;
                let position = entries.last().map_or(seen.first, |last| last.position);
                Ok(Some(Outcome { entries, position, recorded_at: seen.recorded_at, repeated: true }))
            }
        }
    }

    pub(super) fn head_at(&self, position: Position) -> Result<Head, StoreError> {
        let mut found = None;
        self.journal.walk(FIRST, position.0, None, &mut |frame| {
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
        let mut projection = self.projection();
        while matches!(*projection, Projection::Rebuilding(_)) && !self.is_closing() {
            let waited = self.projection_moved.wait_timeout(projection, POISON_LOOK);
            projection = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn scan(
        &self,
        authority: AuthorityId,
        at: Position,
        each: &mut dyn FnMut(SerialNumber, Record),
    ) -> Result<(), StoreError> {
        let rows = self.rows_at(at)?;
        certificates::scan(&rows, authority, each)
    }

    /// The rows, once they hold the entry at `at`.
    fn rows_at(&self, at: Position) -> Result<Arc<Rows>, StoreError> {
        let mut projection = self.projection();
        loop {
            match &*projection {
                Projection::Ready { rows, position } if *position >= at => return Ok(Arc::clone(rows)),
                Projection::Failed(error) => return Err(error.clone()),
                Projection::Closed => return Err(StoreError::Closed),
                Projection::Ready { .. } | Projection::Rebuilding(_) => {}
            }
            if let Some(fault) = self.poison() {
                return Err(fault.clone().into());
            }
            let waited = self.projection_moved.wait_timeout(projection, POISON_LOOK);
            projection = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn entries(&self, from: Position) -> Entries {
        Entries::new(self.journal.clone(), from, self.tip.load().position)
    }

    pub(super) fn poison(&self) -> Option<&DiskFault> {
        self.poison.get()
    }

    /// From now on nothing is acknowledged.
    pub(super) fn set_poison(&self, fault: DiskFault) {
        tracing::error!(%fault, "the journal failed: nothing more is acknowledged");
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
        self.rows()?;
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
    }

    fn projection(&self) -> MutexGuard<'_, Projection> {
        self.projection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often a waiting scan looks whether the entry will never come.
const POISON_LOOK: Duration = Duration::from_millis(100);

impl From<NotReady> for StoreError {
    fn from(reason: NotReady) -> Self {
        match reason {
            NotReady::Poisoned(fault) => Self::Disk(fault),
            NotReady::Rebuilding(progress) => Self::Rebuilding(progress),
            NotReady::Projection(error) | NotReady::Archive(error) => error,
            NotReady::Closed => Self::Closed,
        }
    }
}

fn unreadable(error: &StoreError) -> SubmitError {
    SubmitError::Refused(Refusal::Records(error.to_string()))
}

/// Entries, for answers.
pub(super) fn read_range(shared: &Shared, first: Position, count: u32) -> Result<Vec<Numbered>, StoreError> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    shared.entries(first).take(count).collect()
}
