//! The one writer of the journal.
//!
//! For every group, in this order: decisions, frame written, frame synced, folds, answers. The rows
//! follow, on a thread of their own. A write or sync that fails poisons it: nothing more is acknowledged,
//! the sync is not tried again (the kernel may say yes the second time and have kept nothing), and no
//! fold hears of the group.

use std::collections::VecDeque;
use std::sync::Arc;

use super::error::{NotReady, StoreError, SubmitError};
use super::frame;
use super::journal::Draft;
use super::open::Lock;
use super::options::Options;
use super::overlay::{Below, Durable, Overlay, Seen, View};
use super::projection::Stage;
use super::rebuild::Rebuild;
use super::shared::Shared;
use super::snapshot::Snapshot;
use super::submission::{Outcome, Records, Submission, refusal};
use super::tip::{NotFolded, Tip};
use crate::der::UnixTime;
use crate::pki::{AuthorityId, SerialNumber};
use crate::record::{ArchivePlace, Card, CardId, Entry, Event, Numbered, Position, Record, Refusal};

/// Octets after which a group is closed: more requests would only wait longer together.
const GROUP_OCTETS: usize = 1 << 20;

/// Octets of one decision: with the group before it, it fits a frame.
const DECISION_OCTETS_MAX: usize = frame::PAYLOAD_OCTETS_MAX - GROUP_OCTETS;

/// The writer. Synchronous: [`Store`](super::Store) puts a thread around it, tests drive it on
/// a simulated disk.
#[derive(Debug)]
pub struct Committer {
    pub(super) options: Options,
    pub(super) shared: Arc<Shared>,
    /// The end of what is durable.
    pub(super) tip: Tip,
    /// Of this run of the machine.
    pub(super) boot_id: [u8; 16],
    /// Position of the newest snapshot.
    pub(super) snapshot_at: Position,
    pub(super) rebuild: Option<Rebuild>,
    #[expect(dead_code, reason = "keeps other processes out")]
    pub(super) lock: Lock,
}

/// What waits for one sync.
struct Group {
    payload: Vec<u8>,
    entries: Vec<Numbered>,
    overlay: Overlay,
    /// The journal's end with this group.
    tip: Tip,
    /// Kept until the group is durable, with what was decided of each.
    submissions: Vec<(Submission, Result<Answer, SubmitError>)>,
}

enum Answer {
    /// So many entries of the group from this index, or none.
    Written {
        index: usize,
        count: usize,
        position: Position,
        recorded_at: UnixTime,
    },
    Repeated(Seen),
}

/// The entries of one decision, as they will be written.
struct Decided {
    payload: Vec<u8>,
    entries: Vec<Numbered>,
    overlay: Overlay,
    tip: Tip,
}

impl Committer {
    /// Decides each in order, writes what was decided, answers all after the sync, and puts it into the
    /// rows.
    pub fn commit(&mut self, batch: impl IntoIterator<Item = Submission>) {
        self.commit_only(batch);
        while self.shared.projection.turn() {}
    }

    /// As [`Self::commit`], where another thread writes the rows.
    pub(super) fn commit_only(&mut self, batch: impl IntoIterator<Item = Submission>) {
        let mut queue: VecDeque<Submission> = batch.into_iter().collect();
        while !queue.is_empty() {
            self.shared.projection.wait_for_room();
            match self.ready() {
                Ok(()) => self.commit_group(&mut queue),
                Err(error) => queue.drain(..).for_each(|submission| (submission.done)(Err(error.clone()))),
            }
        }
    }

    /// Why nothing can be submitted, if nothing can.
    fn ready(&self) -> Result<(), SubmitError> {
        if let Some(fault) = self.shared.poison() {
            return Err(SubmitError::Unavailable { fault: fault.clone() });
        }
        if let Some(why) = &self.options.fenced {
            return Err(NotReady::Fenced(why.clone()).into());
        }
        self.shared.projection.rows()?;
        Ok(())
    }

    fn commit_group(&mut self, queue: &mut VecDeque<Submission>) {
        // What a step of the wall clock would date wrongly must not be written.
        self.options.clock.watch();
        let group = self.decide_group(queue);
        if group.entries.is_empty() {
            self.answer(&group.entries, group.submissions);
            return;
        }
        let Group { payload, entries, mut overlay, mut tip, submissions } = group;
        let appended = self.append(&entries, &payload).and_then(|head| {
            tip.head = head;
            self.acknowledge(&tip)
        });
        match appended {
            Ok(()) => {}
            Err(error) => {
                submissions.into_iter().for_each(|(submission, _)| (submission.done)(Err(error.clone())));
                return;
            }
        }
        self.tell(&entries);
        overlay.octets = payload.len();
        self.tip = tip.clone();
        self.shared.advance(tip, overlay);
        self.answer(&entries, submissions);
    }

    /// Decides as many as one group takes.
    fn decide_group(&self, queue: &mut VecDeque<Submission>) -> Group {
        let shared = Arc::clone(&self.shared);
        let durable = Durable::new(&shared.projection);
        let mut group = Group {
            payload: Vec::new(),
            entries: Vec::new(),
            overlay: Overlay::default(),
            tip: self.tip.clone(),
            submissions: Vec::new(),
        };
        while group.payload.len() < GROUP_OCTETS && group.submissions.len() < self.options.group_max {
            let Some(submission) = queue.pop_front() else { break };
            let answer = self.decide(&mut group, &durable, &submission);
            group.submissions.push((submission, answer));
        }
        group
    }

    fn decide(
        &self,
        group: &mut Group,
        durable: &Durable<'_>,
        submission: &Submission,
    ) -> Result<Answer, SubmitError> {
        let origin = &submission.origin;
        let mut now = self.options.clock.now().max(group.tip.recorded_at);
        let view = View { group: &group.overlay, durable };
        if let Some(request) = &origin.request {
            let seen = view.find::<Seen>(&request.key).map_err(|error| refusal(&error))?;
            match seen.filter(|seen| !seen.is_expired(now)) {
                Some(seen) if seen.digest == request.digest => return Ok(Answer::Repeated(seen)),
                Some(_) => return Err(SubmitError::KeyReused),
                None => {}
            }
        }
        let records = Records { view, facts: &group.tip.facts, next: group.tip.position.next() };
        let mut events = (submission.decide)(&records, now)?;
        if events.is_empty() && origin.request.is_some() {
            events.push(Event::RequestSeen);
        }
        if events.iter().any(|event| matches!(event, Event::ClockReleased { .. })) {
            // Here and not before, so that what is decided next is dated by it.
            now = self.options.clock.believe();
        }
        let count = events.len();
        let entries =
            events.into_iter().map(|event| Entry { recorded_at: now, origin: origin.clone(), event });
        let decided = fold_decision(entries, &View { group: &group.overlay, durable }, group.tip.clone())?;
        let index = group.entries.len();
        let position = decided.tip.position;
        group.payload.extend(decided.payload);
        group.entries.extend(decided.entries);
        group.overlay.merge(decided.overlay);
        group.tip = decided.tip;
        Ok(Answer::Written { index, count, position, recorded_at: now })
    }

    /// Writes and syncs one frame; poisons when that fails.
    fn append(&self, entries: &[Numbered], payload: &[u8]) -> Result<frame::Head, SubmitError> {
        let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let (epoch, first) = (self.tip.facts.epoch.0, self.tip.position.next());
        let draft = Draft { epoch, first, count, payload };
        self.shared.journal.append(&self.tip.head, draft).map_err(|fault| {
            self.shared.set_poison(fault.clone());
            SubmitError::Unavailable { fault }
        })
    }

    /// Says in the slots that a frame stands; poisons when that fails.
    fn acknowledge(&self, tip: &Tip) -> Result<(), SubmitError> {
        self.shared.slots.write(&self.acknowledged(tip)).map_err(|fault| {
            self.shared.set_poison(fault.clone());
            SubmitError::Unavailable { fault }
        })
    }

    /// Tells the folds what is durable. What one cannot fold is logged: the journal has it.
    pub(super) fn tell(&self, entries: &[Numbered]) {
        for fold in &self.shared.folds {
            if let Err(error) = (fold.applied)(entries) {
                tracing::error!(%error, fold = fold.name, "a fold of the journal lacks an entry");
            }
        }
    }

    fn answer(&self, entries: &[Numbered], submissions: Vec<(Submission, Result<Answer, SubmitError>)>) {
        for (submission, answer) in submissions {
            (submission.done)(answer.and_then(|answer| self.outcome(entries, answer)));
        }
    }

    fn outcome(&self, entries: &[Numbered], answer: Answer) -> Result<Outcome, SubmitError> {
        Ok(match answer {
            Answer::Written { index, count, position, recorded_at } => {
                let entries = entries.iter().skip(index).take(count).cloned().collect();
                Outcome { entries, position, recorded_at, repeated: false }
            }
            Answer::Repeated(seen) => self.shared.repeated(&seen).map_err(|error| refusal(&error))?,
        })
    }

    /// True when enough was written since the last snapshot, and all of it is durable.
    pub(super) fn is_snapshot_due(&self) -> bool {
        self.shared.poison().is_none()
            && self.tip.position.0 - self.snapshot_at.0 >= self.options.snapshot_entries
    }

    /// A snapshot of now, to be saved by whoever has the time.
    pub(super) fn begin_snapshot(&mut self) -> Snapshot {
        self.snapshot_at = self.tip.position;
        let folds = self.shared.folds.iter().map(|fold| (fold.name.to_owned(), (fold.snapshot)()));
        Snapshot { tip: self.tip.clone(), folds: folds.collect() }
    }

    /// Saves a snapshot of now. One that fails costs a longer start, nothing else.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn snapshot(&mut self) -> Result<(), StoreError> {
        if let Some(fault) = self.shared.poison() {
            return Err(fault.clone().into());
        }
        let snapshot = self.begin_snapshot();
        snapshot.save(&self.options.disk, &self.snapshot_dir())
    }

    /// Puts all that is durable into the rows and has them written out, writes a snapshot and the marker
    /// of a clean stop.
    ///
    /// # Errors
    /// When the disk refuses, now or before: then there is no marker and the next start takes
    /// longer.
    pub fn close(mut self) -> Result<(), StoreError> {
        if let Some(fault) = self.shared.poison() {
            return Err(fault.clone().into());
        }
        self.shared.set_closing();
        self.shared.projection.end(StoreError::Closed);
        while self.shared.projection.turn() {}
        self.shared.slots.sync()?;
        let held = self.tip.held();
        if self.snapshot_at < self.tip.position {
            self.snapshot()?;
        }
        match self.shared.projection.set_stage(Stage::Closed) {
            Stage::Ready(rows) => self.close_rows(rows)?,
            Stage::Failed(error) => return Err(error),
            // The next start begins it anew.
            Stage::Rebuilding(_) | Stage::Closed => return Ok(()),
        }
        Ok(super::snapshot::write_marker(&self.options.disk, &self.marker_path(), &held)?)
    }

    /// The record of a certificate, as far as it is durable.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn find(&self, authority: AuthorityId, serial: &SerialNumber) -> Result<Option<Record>, StoreError> {
        self.shared.find(&(authority, *serial))
    }

    /// A card or phone, as far as it is durable.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn find_card(&self, card: CardId) -> Result<Option<Card>, StoreError> {
        self.shared.find(&card)
    }

    /// The durable entries from `from` on.
    pub fn entries(&self, from: Position) -> impl Iterator<Item = Result<Numbered, StoreError>> + use<> {
        self.shared.entries(from)
    }

    /// A record of the archive.
    ///
    /// # Errors
    /// [`StoreError::NoSuchPlace`], or what the disk says.
    pub fn archive_read(&self, place: ArchivePlace) -> Result<Vec<u8>, StoreError> {
        self.shared.archive.read(place)
    }

    /// What everybody shares who reads.
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

/// Makes entries of a decision and folds them; nothing of it is left when one is refused.
fn fold_decision(
    entries: impl Iterator<Item = Entry>,
    below: &View<'_>,
    mut tip: Tip,
) -> Result<Decided, SubmitError> {
    let (mut payload, mut numbered, mut overlay) = (Vec::new(), Vec::new(), Overlay::default());
    for entry in entries {
        entry.write(&mut payload)?;
        let one = Numbered { position: tip.position.next(), entry };
        match overlay.fold(below, &tip.facts.compromises, &one) {
            Ok(None) => {}
            Ok(Some(breach)) => return Err(Refusal::Breaks(breach).into()),
            Err(StoreError::Unfounded(error)) => return Err(Refusal::Unfounded(error).into()),
            Err(error) => return Err(refusal(&error).into()),
        }
        tip.fold(&one).map_err(|error| match error {
            NotFolded::Unfounded(error) => Refusal::Unfounded(error),
            NotFolded::Misplaced(what) => Refusal::Records(what.to_owned()),
        })?;
        numbered.push(one);
    }
    if payload.len() > DECISION_OCTETS_MAX {
        return Err(SubmitError::TooLarge(numbered.len()));
    }
    Ok(Decided { payload, entries: numbered, overlay, tip })
}
