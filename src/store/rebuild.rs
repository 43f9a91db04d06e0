//! Folding the journal into a projection.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::{Progress, StoreError};
use super::journal::{self, FIRST};
use super::overlay::{Held, Overlay};
use super::reading::Reading;
use super::rows::Rows;
use super::segments::Segments;
use super::shared::{Projection, Shared, Tip};
use crate::record::Position;

/// Entries folded before their rows are written: large enough that consecutive serials meet
/// in a row, small enough to be some 20 MB.
const BATCH_ENTRIES: u64 = 32_768;

/// Rows read before they are written, up to 10 KB each: a report reads some seven.
const BATCH_ROWS: usize = 1024;

/// A projection that is to be made from the journal. Meanwhile nothing is submitted.
#[derive(Debug)]
pub(super) struct Rebuild {
    pub(super) shared: Arc<Shared>,
    /// sled's directory; none for rows in memory.
    pub(super) dir: Option<PathBuf>,
}

impl Rebuild {
    pub(super) fn run(self) {
        let tip = self.shared.tip();
        let done = match self.fold(&tip) {
            Ok(rows) => Projection::Ready { rows: Arc::new(rows), position: tip.position },
            Err(_) if self.shared.is_closing() => Projection::Closed,
            Err(error) => {
                tracing::error!(%error, "the projection could not be rebuilt");
                Projection::Failed(error)
            }
        };
        self.shared.set_projection(done);
    }

    fn fold(&self, tip: &Tip) -> Result<Rows, StoreError> {
        let rows = match &self.dir {
            Some(dir) => {
                remove_dir(dir)?;
                Rows::sled(dir)?
            }
            None => Rows::memory(),
        };
        fold_all(&self.shared.journal, &rows, tip, &mut |position| {
            let progress = Progress { position, total: tip.position };
            self.shared.set_projection(Projection::Rebuilding(progress));
            !self.shared.is_closing()
        })?;
        Ok(rows)
    }
}

/// Folds every entry up to `tip` into empty rows, checking all frames and their chain on the
/// way. `go_on` hears the position after each batch.
pub(super) fn fold_all(
    segments: &Segments,
    rows: &Rows,
    tip: &Tip,
    go_on: &mut dyn FnMut(Position) -> bool,
) -> Result<(), StoreError> {
    let (mut overlay, mut reading) = (Overlay::default(), Reading::new(rows));
    let mut gathered = 0;
    let mut failed = None;
    let journal_id = tip.facts.journal_id;
    let end = segments.walk(FIRST, FIRST, None, &mut |frame| {
        for numbered in journal::entries_of(frame)? {
            let loaded = overlay.load(&reading, &numbered.entry);
            if let Err(error) = loaded.and_then(|()| Ok(overlay.fold(&numbered)?)) {
                failed = Some(error);
                return Err("the projection failed");
            }
        }
        gathered += u64::from(frame.count);
        if gathered >= BATCH_ENTRIES || reading.len() >= BATCH_ROWS {
            let last = frame.first + u64::from(frame.count) - 1;
            let held = Held { journal_id, position: Position(last), head: frame.head };
            let read = std::mem::replace(&mut reading, Reading::new(rows)).close();
            let stored = std::mem::take(&mut overlay).store(rows, &read, &held);
            gathered = 0;
            failed = stored.err().or_else(|| (!go_on(Position(last))).then_some(StoreError::Closed));
            if failed.is_some() {
                return Err("the projection failed");
            }
        }
        Ok(())
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let end = end?;
    if end.next != tip.position.next().0 || end.head != tip.head {
        let (path, at) = end.last.unwrap_or_else(|| (segments.path(FIRST), 0));
        let what = "the journal changed while it was read";
        return Err(segments.damage(&path, at, what, end.next).into());
    }
    overlay.store(rows, &reading.close(), &tip.held())
}

fn remove_dir(dir: &std::path::Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(super::error::DiskFault::at("remove", dir)(error).into())
        }
        _ => Ok(()),
    }
}
