//! Rows and folds made anew from the first entry, beside those in use, while changes are taken: for when
//! two folds of one journal disagree.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::committer::Committer;
use super::disk::Disk;
use super::error::{DiskFault, StoreError};
use super::held::Held;
use super::journal::{FIRST, entries_of};
use super::open::IN_USE;
use super::options::{Fold, Options};
use super::projection::NotExchanged;
use super::reading::Reading;
use super::rebuild::{Folding, remove_dir};
use super::rows::{Rows, RowsKind};
use super::shared::Shared;
use super::snapshot;
use super::threads::{Command, Store};
use super::tip::Tip;
use crate::record::{Numbered, Position};

/// Entries that the new ones may be behind when changes are held up for them: some milliseconds.
const BEHIND_MAX: u64 = 1_000;

/// Where rows are made anew, beside those in use.
pub(super) const NEW: &str = "projection.new";

/// Where the rows of the last exchange are kept, if they were wrong. The next exchange removes them.
const DAMAGED: &str = "projection.damaged";

/// Compares the new records with the new fold: all of them, or the certificates that some entries are
/// about.
pub type Judge = Box<dyn FnMut(&Reading<'_>, Judged<'_>) -> Result<Verdict, StoreError> + Send>;

/// What is to be compared.
#[derive(Debug, Clone, Copy)]
pub enum Judged<'a> {
    /// Every certificate.
    All,
    /// Those that these entries are about: all others were compared before.
    Since(&'a [Numbered]),
}

/// What is made anew beside the rows, and who judges the outcome.
pub struct Remake {
    /// Empty; hears every entry from the first.
    pub fold: Fold,
    /// Asked whenever both have heard the same entries: first for all, then for those that came since, and
    /// last while changes are held up.
    pub judge: Judge,
    /// Puts the new fold in the place of the one in use; called when the new rows are in use.
    pub take_over: Box<dyn FnOnce() + Send>,
}

/// What a comparison of the new folds came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They agree: both take the place of those in use.
    Agree {
        /// The records in use were wrong: their rows are kept, to be looked at.
        records_were_wrong: bool,
    },
    /// They do not: those in use stay.
    Differ,
}

/// What was made anew, to be put in place by the thread that commits.
pub(super) struct Remade {
    folding: Folding,
    fold: Fold,
    /// Both hold everything up to here.
    position: Position,
    keep_rows: bool,
    judge: Judge,
    take_over: Box<dyn FnOnce() + Send>,
    done: mpsc::Sender<Result<Verdict, StoreError>>,
}

impl Store {
    /// Makes the rows and a fold anew from the first entry, without snapshot, and puts them in the place
    /// of those in use if they agree with each other. Blocks; changes are taken meanwhile, save for the
    /// last moments.
    ///
    /// # Errors
    /// When something cannot be read or written. Those in use stay then; after a fault between the two
    /// renames the new rows may be in use, which hold the same entries.
    pub fn remake(&self, remake: Remake) -> Result<Verdict, StoreError> {
        let shared = self.shared();
        let options = self.options();
        // While they are made for the first time there is nothing to stand beside.
        shared.projection.rows()?;
        let rows = match options.rows {
            RowsKind::Sled => {
                let dir = options.dir.join(NEW);
                remove_dir(&dir)?;
                Rows::sled(&dir, shared.tip().position)?
            }
            RowsKind::Memory => Rows::memory(),
        };
        let made = self.make_anew(Folding::new(rows, options.rebuild_entries), remake);
        if options.rows == RowsKind::Sled
            && !matches!(made, Ok(Verdict::Agree { .. }))
            && let Err(fault) = remove_dir(&options.dir.join(NEW))
        {
            tracing::warn!(%fault, "rows made anew in vain are still there");
        }
        made
    }

    fn make_anew(&self, mut folding: Folding, remake: Remake) -> Result<Verdict, StoreError> {
        let Remake { fold, mut judge, take_over } = remake;
        let shared = self.shared();
        let mut position = Position(FIRST - 1);
        let mut keep_rows = None;
        loop {
            let tip = shared.tip();
            if shared.is_closing() {
                return Err(StoreError::Closed);
            }
            let is_behind = tip.position.0 - position.0 > BEHIND_MAX;
            if let (false, Some(keep_rows)) = (is_behind, keep_rows) {
                let (done, adopted) = mpsc::channel();
                let remade = Remade { folding, fold, position, keep_rows, judge, take_over, done };
                self.command(Command::Adopt(Box::new(remade)));
                return adopted.recv().unwrap_or(Err(StoreError::Closed));
            }
            let since_max = self.options().remade_since_max;
            let entries = catch_up(shared, &mut folding, &fold, position, &tip, since_max)?;
            folding.write(&tip.held())?;
            position = tip.position;
            // All of them once, beside the commits, and then those that changed since.
            let judged = match (keep_rows, &entries) {
                (Some(_), Some(entries)) => Judged::Since(entries),
                _ => Judged::All,
            };
            match judge(&folding.reading(), judged)? {
                Verdict::Agree { records_were_wrong } => {
                    keep_rows = Some(keep_rows.unwrap_or(false) || records_were_wrong);
                }
                Verdict::Differ => return Ok(Verdict::Differ),
            }
        }
    }
}

/// Folds the entries behind `position` up to the tip; those, unless there are more than `since_max`.
fn catch_up(
    shared: &Shared,
    folding: &mut Folding,
    fold: &Fold,
    position: Position,
    tip: &Tip,
    since_max: u64,
) -> Result<Option<Vec<Numbered>>, StoreError> {
    let (mut failed, mut last, mut taken) = (None, position, Vec::new());
    let journal_id = tip.facts.journal_id;
    let is_few = tip.position.0 - position.0 <= since_max;
    let read = shared.journal.read_from(position.next(), None, &mut |frame| {
        if frame.first <= position.0 || frame.first > tip.position.0 {
            return Ok(());
        }
        last = Position(frame.first + u64::from(frame.count) - 1);
        let held = Held { journal_id, position: last, head: frame.head };
        let entries = entries_of(frame)?;
        take(folding, fold, &entries, &held).map_err(|error| {
            failed = Some(error);
            "the projection failed"
        })?;
        if is_few {
            taken.extend(entries);
        }
        Ok(())
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let end = read?;
    if last != tip.position {
        return Err(shared.journal.damage_at(&end, "the journal changed while it was read").into());
    }
    Ok(is_few.then_some(taken))
}

fn take(folding: &mut Folding, fold: &Fold, entries: &[Numbered], held: &Held) -> Result<(), StoreError> {
    entries.iter().try_for_each(|numbered| folding.fold(numbered))?;
    (fold.applied)(entries)?;
    if folding.is_full() { folding.write(held) } else { Ok(()) }
}

impl Committer {
    /// Puts what was made anew in place, if it is right; true when it did. Nothing is committed meanwhile.
    pub(super) fn adopt(&mut self, remade: Remade) -> bool {
        let Remade { mut folding, fold, position, keep_rows, mut judge, take_over, done } = remade;
        let shared = self.shared();
        let adopt = || {
            let since_max = self.options.remade_since_max;
            let entries = catch_up(&shared, &mut folding, &fold, position, &self.tip, since_max)?;
            folding.write(&self.tip.held())?;
            let judged = entries.as_deref().map_or(Judged::All, Judged::Since);
            let verdict = match judge(&folding.reading(), judged)? {
                Verdict::Differ => return Ok(Verdict::Differ),
                Verdict::Agree { records_were_wrong } => {
                    Verdict::Agree { records_were_wrong: records_were_wrong || keep_rows }
                }
            };
            self.exchange_rows(folding.rows, matches!(verdict, Verdict::Agree { records_were_wrong: true }))?;
            take_over();
            Ok(verdict)
        };
        let adopted = adopt();
        let is_in_place = matches!(adopted, Ok(Verdict::Agree { .. }));
        if is_in_place {
            // Those of before may hold what was wrong. The next is written by whoever has the time.
            let removed = snapshot::remove_all(&self.options.disk, &self.snapshot_dir());
            if let Err(fault) = removed {
                tracing::error!(%fault, "a snapshot of what was wrong is still there: the next start compares again");
            }
        }
        let _nobody_waits = done.send(adopted);
        is_in_place
    }

    fn exchange_rows(&self, new: Rows, keep: bool) -> Result<(), StoreError> {
        let Options { dir, exchange_patience, .. } = &self.options;
        self.shared.projection.exchange(self.tip.position, |old| match &*old {
            Rows::Memory(_) => Ok(Arc::new(new)),
            Rows::Sled(_) => exchange_dirs(dir, *exchange_patience, (old, new), self.tip.position, keep),
        })
    }
}

/// Closes both, gives them their names, and opens the new ones.
fn exchange_dirs(
    dir: &Path,
    patience: Duration,
    (old, new): (Arc<Rows>, Rows),
    entries: Position,
    keep: bool,
) -> Result<Arc<Rows>, NotExchanged> {
    let until = Instant::now() + patience;
    while Arc::strong_count(&old) > 1 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    let old = Arc::try_unwrap(old).map_err(|old| {
        let error = StoreError::Projection("the records are still being read".to_owned());
        NotExchanged { rows: Some(old), error }
    })?;
    // As long as nothing was renamed, the old ones go on.
    if let Err(error) = new.flush() {
        return Err(NotExchanged { rows: Some(Arc::new(old)), error });
    }
    drop(old);
    drop(new);
    let [in_use, new, damaged] = [IN_USE, NEW, DAMAGED].map(|name| dir.join(name));
    let exchange = || {
        remove_dir(&damaged)?;
        rename(&in_use, &damaged)?;
        rename(&new, &in_use)?;
        Disk::File.sync_dir(dir)?;
        Ok(Arc::new(Rows::sled(&in_use, entries)?))
    };
    let exchanged = exchange().map_err(|error| {
        // Whichever has the name goes on; if none has, the old ones get it back.
        let _there_already = if in_use.exists() { Ok(()) } else { rename(&damaged, &in_use) };
        NotExchanged { rows: Rows::sled(&in_use, entries).ok().map(Arc::new), error }
    });
    if exchanged.is_ok()
        && !keep
        && let Err(fault) = remove_dir(&damaged)
    {
        tracing::warn!(%fault, "rows that are not used any more are still there");
    }
    exchanged
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    Ok(std::fs::rename(from, to).map_err(DiskFault::at("rename", from))?)
}
