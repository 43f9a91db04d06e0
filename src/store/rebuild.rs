//! Folding the journal into rows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{DiskFault, Progress, StoreError};
use super::held::Held;
use super::journal::{FIRST, Journal, entries_of};
use super::kept;
use super::overlay::Overlay;
use super::projection::Stage;
use super::reading::Reading;
use super::rows::Rows;
use super::shared::Shared;
use super::tip::Tip;
use crate::record::{Breach, Compromises, Numbered, Position};

/// Entries folded before they are written into rows: large enough that consecutive serials meet in a
/// row, small enough to be some megabytes.
pub(super) const BATCH_ENTRIES: u64 = 4_096;

/// Rows that the journal is folded into, from its first entry on.
#[derive(Debug)]
pub(super) struct Folding {
    pub(super) rows: Rows,
    overlay: Overlay,
    /// Keys that were compromised up to the last entry folded.
    compromises: Compromises,
    /// The rows hold everything up to here.
    written: Position,
    /// Entries that are gathered.
    batch: u64,
    /// Those that break the rule of succession; the first of them, so many, stand in the rows.
    pub(super) breaches: Vec<Breach>,
    told: usize,
}

impl Folding {
    pub(super) fn new(rows: Rows, batch: u64) -> Self {
        let (overlay, written) = (Overlay::default(), Position::default());
        let compromises = Compromises::default();
        Self { rows, overlay, compromises, written, batch, breaches: Vec::new(), told: 0 }
    }

    pub(super) fn fold(&mut self, numbered: &Numbered) -> Result<(), StoreError> {
        self.breaches.extend(self.overlay.fold(&self.rows, &self.compromises, numbered)?);
        self.compromises.apply(numbered);
        Ok(())
    }

    /// What has been written.
    pub(super) const fn reading(&self) -> Reading<'_> {
        Reading::of_rows(&self.rows, &self.compromises, self.written)
    }

    /// True when enough has been gathered.
    pub(super) const fn is_full(&self) -> bool {
        self.overlay.entries >= self.batch
    }

    /// Writes what has been gathered: all entries up to `held`.
    pub(super) fn write(&mut self, held: &Held) -> Result<(), StoreError> {
        let overlay = std::mem::take(&mut self.overlay);
        kept::write(&overlay, &self.rows, self.written)?;
        for breach in self.breaches.get(self.told..).unwrap_or_default() {
            kept::write_breach(breach, &self.rows)?;
        }
        self.told = self.breaches.len();
        held.write(&self.rows)?;
        self.written = held.position;
        Ok(())
    }
}

/// A projection that is to be made from the journal. Meanwhile nothing is submitted.
#[derive(Debug)]
pub(super) struct Rebuild {
    pub(super) shared: Arc<Shared>,
    /// sled's directory; none for rows in memory.
    pub(super) dir: Option<PathBuf>,
    pub(super) batch: u64,
}

impl Rebuild {
    pub(super) fn run(self) {
        let shared = &self.shared;
        let tip = shared.tip();
        let _failing = Failing(shared);
        match self.fold(&tip) {
            Ok(folding) => {
                shared.folds.iter().for_each(|fold| (fold.rebuilt)(&folding.reading()));
                shared.projection.set_ready(Arc::new(folding.rows), tip.position);
            }
            Err(_) if shared.is_closing() => drop(shared.projection.set_stage(Stage::Closed)),
            Err(error) => {
                tracing::error!(%error, "the projection could not be rebuilt");
                shared.projection.set_stage(Stage::Failed(error));
            }
        }
    }

    fn fold(&self, tip: &Tip) -> Result<Folding, StoreError> {
        let rows = match &self.dir {
            Some(dir) => {
                remove_dir(dir)?;
                Rows::sled(dir, tip.position)?
            }
            None => Rows::memory(),
        };
        let mut folding = Folding::new(rows, self.batch);
        fold_all(&self.shared.journal, &mut folding, tip, &mut |position| {
            let progress = Progress { position, total: tip.position };
            self.shared.projection.set_stage(Stage::Rebuilding(progress));
            !self.shared.is_closing()
        })?;
        folding.breaches.iter().for_each(|breach| tracing::warn!("{breach}"));
        Ok(folding)
    }
}

/// Says that there are no records when making them panics.
struct Failing<'a>(&'a Shared);

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error = StoreError::Projection("making the records anew panicked".to_owned());
            self.0.projection.set_stage(Stage::Failed(error));
        }
    }
}

/// Folds every entry up to `tip` into empty rows, checking all frames and their chain on the
/// way. `go_on` hears the position after each batch.
pub(super) fn fold_all(
    journal: &Journal,
    folding: &mut Folding,
    tip: &Tip,
    go_on: &mut dyn FnMut(Position) -> bool,
) -> Result<(), StoreError> {
    let mut failed = None;
    let journal_id = tip.facts.journal_id;
    let end = journal.read_from(Position(FIRST), None, &mut |frame| {
        if frame.first > tip.position.0 {
            // Written since.
            return Ok(());
        }
        let entries = entries_of(frame)?;
        let position = Position(frame.first + u64::from(frame.count) - 1);
        let mut fold = || {
            entries.iter().try_for_each(|numbered| folding.fold(numbered))?;
            if folding.is_full() {
                folding.write(&Held { journal_id, position, head: frame.head })?;
                return if go_on(position) { Ok(()) } else { Err(StoreError::Closed) };
            }
            Ok(())
        };
        fold().map_err(|error| {
            failed = Some(error);
            "the projection failed"
        })
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let end = end?;
    if end.next != tip.position.next().0 || end.head != tip.head {
        return Err(journal.damage_at(&end, "the journal changed while it was read").into());
    }
    folding.write(&tip.held())
}

/// Removes a directory of rows, if it is there.
pub(super) fn remove_dir(dir: &Path) -> Result<(), DiskFault> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(DiskFault::at("remove", dir)(error))
        }
        _ => Ok(()),
    }
}
