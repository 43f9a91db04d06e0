//! The rows, and what is durable but not in them yet.
//!
//! Two overlays stand before the rows: one fills with the groups that became durable, the other is being
//! written; then they change places. One thread, the projection's, reads rows in order to write them, at
//! the moment it writes them. Everybody else looks things up in this order: what fills, what is being
//! written, the rows. A thing stands in the next layer before it leaves the one above: nobody sees it as
//! it was before an acknowledged change.

use std::sync::{Arc, PoisonError};

use super::error::{NotReady, Progress, StoreError};
use super::held::Held;
use super::kept::{self, Kept};
use super::overlay::{Below, Overlay};
use super::rows::Rows;
use crate::record::Position;
use crate::sync::{Condvar, Mutex, MutexGuard};

/// Entries that may wait to be written into the rows, and octets of them: a commit waits then until the
/// rows have caught up. A second's worth at the fastest, and some 50 MB of memory.
const WAITING_ENTRIES_MAX: u64 = 16_384;
const WAITING_OCTETS_MAX: usize = 32 << 20;

/// The rows and the overlays before them.
#[derive(Debug)]
pub(super) struct Projection {
    state: Mutex<State>,
    /// Told of every change of the state.
    moved: Condvar,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    /// The rows hold everything up to here.
    position: Position,
    /// What is durable reaches up to here.
    durable: Position,
    filling: Overlay,
    /// The place that `filling` reaches; none while it is empty.
    filled: Option<Held>,
    writing: Arc<Overlay>,
    /// Somebody writes, or exchanges the rows.
    is_busy: bool,
    /// Why nothing more will become durable.
    ended: Option<StoreError>,
}

/// What there is of rows.
#[derive(Debug)]
pub(super) enum Stage {
    Rebuilding(Progress),
    Ready(Arc<Rows>),
    Failed(StoreError),
    Closed,
}

/// Says that the projection has failed when whoever writes or exchanges rows panics: nobody is to wait
/// for them.
struct Busy<'a>(&'a Projection);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut state = self.0.state();
            state.is_busy = false;
            state.stage =
                Stage::Failed(StoreError::Projection("the thread that writes rows panicked".to_owned()));
            drop(state);
            self.0.moved.notify_all();
        }
    }
}

/// Rows were not exchanged; those so far go on, if they are still there.
pub(super) struct NotExchanged {
    pub(super) rows: Option<Arc<Rows>>,
    pub(super) error: StoreError,
}

impl Stage {
    fn rows(&self) -> Result<Arc<Rows>, NotReady> {
        match self {
            Self::Ready(rows) => Ok(Arc::clone(rows)),
            Self::Rebuilding(progress) => Err(NotReady::Rebuilding(*progress)),
            Self::Failed(error) => Err(NotReady::Projection(error.clone())),
            Self::Closed => Err(NotReady::Closed),
        }
    }
}

impl Projection {
    /// No rows yet, of a journal that ends at `durable`.
    pub(super) fn new(durable: Position) -> Self {
        let progress = Progress { position: Position::default(), total: durable };
        let state = State {
            stage: Stage::Rebuilding(progress),
            position: Position::default(),
            durable,
            filling: Overlay::default(),
            filled: None,
            writing: Arc::default(),
            is_busy: false,
            ended: None,
        };
        Self { state: Mutex::new(state), moved: Condvar::new() }
    }

    /// From now on there are these rows, which hold everything up to `position`.
    pub(super) fn set_ready(&self, rows: Arc<Rows>, position: Position) {
        let mut state = self.state();
        (state.stage, state.position) = (Stage::Ready(rows), position);
        self.moved.notify_all();
    }

    /// Another stage; the one before.
    pub(super) fn set_stage(&self, stage: Stage) -> Stage {
        let before = std::mem::replace(&mut self.state().stage, stage);
        self.moved.notify_all();
        before
    }

    pub(super) fn rows(&self) -> Result<Arc<Rows>, NotReady> {
        self.state().stage.rows()
    }

    /// Nothing more will become durable.
    pub(super) fn end(&self, why: StoreError) {
        self.state().ended.get_or_insert(why);
        self.moved.notify_all();
    }

    /// A group became durable.
    pub(super) fn merge(&self, group: Overlay, held: Held) {
        let mut state = self.state();
        state.filling.merge(group);
        (state.filled, state.durable) = (Some(held), held.position);
        self.moved.notify_all();
    }

    /// Waits while more is durable than should wait to be written.
    pub(super) fn wait_for_room(&self) {
        let mut state = self.state();
        while state.filling.entries >= WAITING_ENTRIES_MAX || state.filling.octets >= WAITING_OCTETS_MAX {
            if state.ended.is_some() || !matches!(state.stage, Stage::Ready(_)) {
                return;
            }
            state = self.wait(state);
        }
    }

    /// Writes what has gathered into the rows; false when there was nothing. When that fails the journal
    /// has it all the same, and the next start folds it again.
    pub(super) fn turn(&self) -> bool {
        let mut state = self.state();
        while state.is_busy {
            state = self.wait(state);
        }
        let Stage::Ready(rows) = &state.stage else { return false };
        let (rows, before) = (Arc::clone(rows), state.position);
        let Some(held) = state.filled.take() else { return false };
        let writing = Arc::new(std::mem::take(&mut state.filling));
        (state.writing, state.is_busy) = (Arc::clone(&writing), true);
        drop(state);
        self.moved.notify_all();
        let _busy = Busy(self);

        let written = kept::write(&writing, &rows, before).and_then(|()| held.write(&rows));
        drop(rows);
        let mut state = self.state();
        state.is_busy = false;
        match written {
            Ok(()) => (state.position, state.writing) = (held.position, Arc::default()),
            // What was being written stays, for who looks.
            Err(error) => {
                tracing::error!(%error, "the projection failed: nothing more is decided");
                state.stage = Stage::Failed(error);
            }
        }
        self.moved.notify_all();
        true
    }

    /// Writes as long as something becomes durable.
    pub(super) fn run(&self) {
        loop {
            while self.turn() {}
            let state = self.state();
            if state.filled.is_some() && matches!(state.stage, Stage::Ready(_)) {
                continue;
            }
            if state.ended.is_some() || matches!(state.stage, Stage::Closed) {
                return;
            }
            drop(self.wait(state));
        }
    }

    /// The rows, once they hold the entry at `at`.
    pub(super) fn rows_at(&self, at: Position) -> Result<Arc<Rows>, StoreError> {
        let mut state = self.state();
        loop {
            match &state.stage {
                Stage::Ready(rows) if state.position >= at => return Ok(Arc::clone(rows)),
                Stage::Failed(error) => return Err(error.clone()),
                Stage::Closed => return Err(StoreError::Closed),
                Stage::Ready(_) | Stage::Rebuilding(_) => {}
            }
            if let Some(error) = &state.ended
                && at > state.durable
            {
                return Err(error.clone());
            }
            state = self.wait(state);
        }
    }

    /// Waits while the rows are made anew, unless `is_closing`; whoever closes calls [`Self::wake`].
    pub(super) fn wait_rebuilt(&self, is_closing: &dyn Fn() -> bool) {
        let mut state = self.state();
        while matches!(state.stage, Stage::Rebuilding(_)) && !is_closing() {
            state = self.wait(state);
        }
    }

    /// Lets whoever waits look again.
    pub(super) fn wake(&self) {
        drop(self.state());
        self.moved.notify_all();
    }

    /// Puts other rows in the place of these while nobody writes, and forgets what was to be written:
    /// the others hold everything that is durable, up to `position`. The caller lets nothing become
    /// durable meanwhile. `exchange` is handed the rows so far, and gives those from now on.
    pub(super) fn exchange(
        &self,
        position: Position,
        exchange: impl FnOnce(Arc<Rows>) -> Result<Arc<Rows>, NotExchanged>,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        while state.is_busy {
            state = self.wait(state);
        }
        let before = state.stage.rows()?;
        state.stage = Stage::Rebuilding(Progress { position, total: position });
        state.is_busy = true;
        drop(state);
        let busy = Busy(self);
        let exchanged = exchange(before);
        drop(busy);
        let mut state = self.state();
        state.is_busy = false;
        let outcome = match exchanged {
            Ok(rows) => {
                (state.stage, state.position) = (Stage::Ready(rows), position);
                (state.filling, state.filled, state.writing) = (Overlay::default(), None, Arc::default());
                Ok(())
            }
            Err(NotExchanged { rows: Some(rows), error }) => {
                state.stage = Stage::Ready(rows);
                Err(error)
            }
            Err(NotExchanged { rows: None, error }) => {
                state.stage = Stage::Failed(error.clone());
                Err(error)
            }
        };
        drop(state);
        self.moved.notify_all();
        outcome
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.moved.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Below for Projection {
    fn find<K: Kept>(&self, key: &K::Key) -> Result<Option<K>, StoreError> {
        let rows = {
            let state = self.state();
            if let Some(kept) = state.filling.find::<K>(key).or_else(|| state.writing.find::<K>(key)) {
                return Ok(Some(kept.clone()));
            }
            state.stage.rows()?
        };
        K::find_in(&rows, key)
    }
}
