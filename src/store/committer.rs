//! The one writer of the journal.
//!
//! For every group, in this order: decisions, frame written, frame synced, listener, answers,
//! projection. A write or sync that fails poisons it: nothing more is acknowledged, the sync is
//! not tried again (the kernel may say yes the second time and have kept nothing), and the
//! listener never hears of the group.

use std::collections::VecDeque;
use std::sync::Arc;

use super::error::{StoreError, SubmitError};
use super::facts::Facts;
use super::frame::{self, Head, Magic};
use super::open::Lock;
use super::options::{Listener, Options};
use super::overlay::{self, Overlay, Seen};
use super::reading::{Read, Reading};
use super::rebuild::Rebuild;
use super::rows::Rows;
use super::segments::Tail;
use super::shared::{Projection, Shared, Tip, read_range};
use super::snapshot::Snapshot;
use super::submission::{Done, Outcome, Records, Submission, refusal};
use super::trial::Trial;
use crate::der::UnixTime;
use crate::pki::{AuthorityId, SerialNumber};
use crate::record::{ArchivePlace, Card, CardId, Entry, Event, Numbered, Origin, Position, Record, Refusal};

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
    pub(super) listener: Listener,
    pub(super) tail: Tail,
    /// Includes the open group.
    pub(super) facts: Arc<Facts>,
    pub(super) recorded_at: UnixTime,
    pub(super) position: Position,
    pub(super) head: Head,
    pub(super) archived: u64,
    /// The last change of a status.
    pub(super) changed: Position,
    /// Position of the newest snapshot.
    pub(super) snapshot_at: Position,
    pub(super) rebuild: Option<Rebuild>,
    #[expect(dead_code, reason = "keeps other processes out")]
    pub(super) lock: Lock,
}

/// What waits for one sync.
#[derive(Default)]
struct Group {
    payload: Vec<u8>,
    entries: Vec<Numbered>,
    overlay: Overlay,
    answers: Vec<(Done, Result<Answer, SubmitError>)>,
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

/// The first outcome of the same request, when there was one.
fn seen_before(
    group: &Group,
    reading: &Reading<'_>,
    origin: &Origin,
    now: UnixTime,
) -> Result<Option<Seen>, SubmitError> {
    let Some(request) = &origin.request else { return Ok(None) };
    let seen = match group.overlay.find_request(&request.key) {
        Some(seen) => Some(seen),
        None => overlay::find_request(reading, &request.key).map_err(|error| refusal(&error))?,
    };
    match seen.filter(|seen| !overlay::is_expired(seen, now)) {
        Some(seen) if seen.digest != request.digest => Err(SubmitError::KeyReused),
        seen => Ok(seen),
    }
}

impl Committer {
    /// Decides each in order, writes what was decided, answers all after the sync.
    pub fn commit(&mut self, batch: impl IntoIterator<Item = Submission>) {
        let mut queue: VecDeque<Submission> = batch.into_iter().collect();
        while !queue.is_empty() {
            match self.ready() {
                Ok(rows) => self.commit_group(&rows, &mut queue),
                Err(error) => queue.drain(..).for_each(|submission| (submission.done)(Err(error.clone()))),
            }
        }
    }

    /// The rows, unless nothing can be submitted.
    fn ready(&self) -> Result<Arc<Rows>, SubmitError> {
        if let Some(fault) = self.shared.poison() {
            return Err(SubmitError::Unavailable { fault: fault.clone() });
        }
        Ok(self.shared.rows()?)
    }

    fn commit_group(&mut self, rows: &Rows, queue: &mut VecDeque<Submission>) {
        // What a step of the wall clock would date wrongly must not be written.
        self.options.clock.watch();
        let first = self.position.next();
        let (mut group, reading) = (Group::default(), Reading::new(rows));
        while group.payload.len() < GROUP_OCTETS && group.answers.len() < self.options.group_max {
            let Some(submission) = queue.pop_front() else { break };
            let answer = self.decide(&mut group, &reading, &submission);
            group.answers.push((submission.done, answer));
        }
        let Group { payload, entries, overlay, answers } = group;
        if entries.is_empty() {
            self.answer(first, &entries, answers);
            return;
        }
        if let Err(error) = self.append(first, &entries, &payload) {
            answers.into_iter().for_each(|(done, _)| done(Err(error.clone())));
            return;
        }
        self.tell(&entries);
        let overlay = Arc::new(overlay);
        self.shared.advance(self.tip(), Arc::clone(&overlay));
        self.answer(first, &entries, answers);
        self.project(rows, &reading.close(), &overlay);
    }

    fn decide(
        &mut self,
        group: &mut Group,
        reading: &Reading<'_>,
        submission: &Submission,
    ) -> Result<Answer, SubmitError> {
        let origin = &submission.origin;
        let mut now = self.options.clock.now().max(self.recorded_at);
        if let Some(seen) = seen_before(group, reading, origin, now)? {
            return Ok(Answer::Repeated(seen));
        }
        let next_position = self.position.next();
        let records = Records { overlay: &group.overlay, reading, facts: &self.facts, next_position };
        let mut events = (submission.decide)(&records, now)?;
        if events.is_empty() && origin.request.is_some() {
            events.push(Event::RequestSeen);
        }
        if events.iter().any(|event| matches!(event, Event::ClockReleased { .. })) {
            // Here and not before, so that what is decided next is dated by it.
            now = self.options.clock.believe();
        }
        let (index, count) = (group.entries.len(), events.len());
        let mut payload = Vec::new();
        let mut entries = Vec::with_capacity(count);
        let mut trial = Trial::of(&records);
        for event in events {
            let position = next_position.plus(entries.len());
            let entry = Entry { recorded_at: now, origin: origin.clone(), event };
            entry.write(&mut payload)?;
            let numbered = Numbered { position, entry };
            trial.fold(&numbered)?;
            entries.push(numbered);
        }
        if payload.len() > DECISION_OCTETS_MAX {
            return Err(SubmitError::TooLarge(count));
        }
        let facts = trial.facts();
        for numbered in &entries {
            group.overlay.load(reading, &numbered.entry).map_err(|error| refusal(&error))?;
        }
        // Neither reads nor refuses: it was tried.
        for numbered in &entries {
            group.overlay.fold(numbered).map_err(Refusal::from)?;
            self.note(numbered);
        }
        self.facts = facts;
        group.payload.append(&mut payload);
        group.entries.append(&mut entries);
        Ok(Answer::Written { index, count, position: self.position, recorded_at: now })
    }

    /// What the committer knows of all of the journal, but for the facts.
    pub(super) fn note(&mut self, numbered: &Numbered) {
        self.position = numbered.position;
        self.recorded_at = numbered.entry.recorded_at;
        match &numbered.entry.event {
            Event::Issued(issued) => self.archived = self.archived.max(issued.archive.0.saturating_add(1)),
            Event::Revoked(_) | Event::Released(_) => self.changed = numbered.position,
            _ => {}
        }
    }

    /// Tells the listener what is durable. What it cannot fold is logged: the journal has it.
    pub(super) fn tell(&self, entries: &[Numbered]) {
        if let Err(error) = (self.listener.applied)(entries) {
            tracing::error!(%error, "the status index lacks an entry: restart to have it made anew");
        }
    }

    /// Writes and syncs one frame; poisons when that fails.
    fn append(&mut self, first: Position, entries: &[Numbered], payload: &[u8]) -> Result<(), SubmitError> {
        let epoch = self.shared.tip().facts.epoch.0;
        let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let (octets, head) = frame::write(Magic::Journal, epoch, first.0, count, &self.head, payload);
        match self.tail.append(first.0, &octets) {
            Ok(_) => {
                self.head = head;
                Ok(())
            }
            Err(fault) => {
                self.shared.set_poison(fault.clone());
                Err(SubmitError::Unavailable { fault })
            }
        }
    }

    pub(super) fn tip(&self) -> Tip {
        Tip {
            position: self.position,
            head: self.head,
            recorded_at: self.recorded_at,
            archived: self.archived,
            changed: self.changed,
            facts: Arc::clone(&self.facts),
        }
    }

    fn answer(
        &self,
        first: Position,
        entries: &[Numbered],
        answers: Vec<(Done, Result<Answer, SubmitError>)>,
    ) {
        for (done, answer) in answers {
            done(answer.and_then(|answer| self.outcome(first, entries, answer)));
        }
    }

    fn outcome(&self, first: Position, entries: &[Numbered], answer: Answer) -> Result<Outcome, SubmitError> {
        let slice = |index: usize, count: usize| entries.iter().skip(index).take(count).cloned().collect();
        Ok(match answer {
            Answer::Written { index, count, position, recorded_at } => {
                Outcome { entries: slice(index, count), position, recorded_at, repeated: false }
            }
            Answer::Repeated(seen) => {
                let entries = match seen.first.0.checked_sub(first.0) {
                    Some(index) => slice(
                        usize::try_from(index).unwrap_or(usize::MAX),
                        usize::try_from(seen.count).unwrap_or(usize::MAX),
                    ),
                    None => {
                        read_range(&self.shared, seen.first, seen.count).map_err(|error| refusal(&error))?
                    }
                };
                let position = Position(seen.first.0 + u64::from(seen.count) - 1);
                Outcome { entries, position, recorded_at: seen.recorded_at, repeated: true }
            }
        })
    }

    /// Writes a durable group into the projection. When that fails the journal has it all the
    /// same, and the next start folds it again.
    fn project(&self, rows: &Rows, read: &Read, overlay: &Overlay) {
        match overlay.store(rows, read, &self.tip().held()) {
            Ok(()) => self.shared.projected(self.position),
            Err(error) => {
                tracing::error!(%error, "the projection failed: nothing more is decided");
                self.shared.set_projection(Projection::Failed(error));
            }
        }
    }

    /// True when enough was written since the last snapshot, and all of it is durable.
    pub(super) fn is_snapshot_due(&self) -> bool {
        self.shared.poison().is_none()
            && self.position.0 - self.snapshot_at.0 >= self.options.snapshot_entries
    }

    /// A snapshot of now, to be saved by whoever has the time.
    pub(super) fn begin_snapshot(&mut self) -> Snapshot {
        self.snapshot_at = self.position;
        Snapshot {
            held: self.tip().held(),
            recorded_at: self.recorded_at,
            archived: self.archived,
            facts: Facts::clone(&self.facts),
            listener: (self.listener.snapshot)(),
        }
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

    /// Drains nothing, since nothing waits here: flushes the projection, writes a snapshot and
    /// the marker of a clean stop.
    ///
    /// # Errors
    /// When the disk refuses, now or before: then there is no marker and the next start takes
    /// longer.
    pub fn close(mut self) -> Result<(), StoreError> {
        if let Some(fault) = self.shared.poison() {
            return Err(fault.clone().into());
        }
        self.shared.set_closing();
        let held = self.tip().held();
        if self.snapshot_at < self.position {
            self.snapshot()?;
        }
        match self.shared.set_projection(Projection::Closed) {
            Projection::Ready { rows, .. } => self.close_rows(rows)?,
            Projection::Failed(error) => return Err(error),
            // The next start begins it anew.
            Projection::Rebuilding(_) | Projection::Closed => return Ok(()),
        }
        Ok(super::snapshot::write_marker(&self.options.disk, &self.marker_path(), &held)?)
    }

    /// The record of a certificate, as far as it is durable.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn find(&self, authority: AuthorityId, serial: &SerialNumber) -> Result<Option<Record>, StoreError> {
        self.shared.find(authority, serial)
    }

    /// A card or phone, as far as it is durable.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn find_card(&self, card: CardId) -> Result<Option<Card>, StoreError> {
        self.shared.find_card(card)
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
