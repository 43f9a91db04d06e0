//! The store with its threads: one commits, one writes rows, one archives; one makes rows anew at a start, and
//! one saves a snapshot, when that is due.

use std::fmt;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::archive::ArchiveWriter;
use super::committer::Committer;
use super::ending::{self, Cut};
use super::error::{DiskFault, NotReady, OpenError, StoreError, SubmitError};
use super::facts::Facts;
use super::frame::Head;
use super::journal::FIRST;
use super::kept::{self, Kept};
use super::open::Opened;
use super::options::{Fold, Options};
use super::projection::Stage;
use super::reading::Reading;
use super::remake::Remade;
use super::serials::{Serials, reservation};
use super::shared::Shared;
use super::submission::{Decide, Done, Outcome, Submission};
use crate::der::UnixTime;
use crate::pki::{AuthorityId, SerialNumber};
use crate::record::{
    ArchivePlace, Card, CardId, CertifiedKey, Epoch, Holder, HolderId, KeyDigest, Numbered, Origin, Position,
    Record, RequestId,
};

/// The store: journal, archive and projection. Clones are the same store; the last one dropped
/// without [`Store::close`] stops it as a crash would, only tidier.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    options: Options,
    /// What was cut off, as [`Store::unseen_cuts`] tells.
    unseen: Mutex<Vec<Cut>>,
    serials: Serials,
    submissions: Sender<Command>,
    archiving: Sender<ArchiveCommand>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

pub(super) enum Command {
    Submit(Submission),
    Adopt(Box<Remade>),
    Close(Sender<Result<(), StoreError>>),
    Stop,
}

/// Hears where a certificate was archived, on the archive's thread.
pub type Archived = Box<dyn FnOnce(Result<ArchivePlace, StoreError>) + Send>;

enum ArchiveCommand {
    Append(Vec<u8>, Archived),
    Stop,
}

/// Octets of certificates in one frame of the archive: more would only wait longer together.
const ARCHIVE_GROUP_OCTETS: usize = 1 << 20;

impl Store {
    /// Opens or begins a store. When the projection has to be rebuilt this returns before it is,
    /// and submissions are answered with [`NotReady::Rebuilding`] until then.
    ///
    /// Reads the journal from the newest snapshot on; what lies before is checked when the
    /// projection is rebuilt, and by [`check`](super::check).
    ///
    /// # Errors
    /// [`OpenError`]; nothing has been modified then, unless the disk refused it.
    pub fn open(options: Options, folds: Vec<Fold>) -> Result<(Self, Opened), OpenError> {
        let kept = options.clone();
        let (mut committer, opened) = Committer::open(options, folds)?;
        let unseen = Mutex::new(ending::unseen(&kept.disk, &kept.dir)?);
        let archive = committer.open_archive();
        let shared = committer.shared();
        let (submissions, submitted) = mpsc::channel();
        let (archiving, to_archive) = mpsc::channel();
        let mut threads = Vec::new();
        let rebuild = committer.rebuild.take();
        let rebuilder = match rebuild {
            Some(rebuild) => Some(spawn("rebuild", move || rebuild.run())?),
            None => None,
        };
        let syncing = Arc::clone(&shared);
        threads.push(spawn("acknowledged", move || {
            if let Err(fault) = syncing.slots.run() {
                syncing.set_poison(fault);
            }
        })?);
        let projecting = Arc::clone(&shared);
        threads.push(spawn("projection", move || projecting.projection.run())?);
        threads.push(spawn("commit", move || commit_all(committer, &submitted, rebuilder))?);
        threads.push(spawn("archive", move || archive_all(archive, &to_archive))?);
        let serials = Serials::default();
        let threads = Mutex::new(threads);
        let inner = Inner { shared, options: kept, unseen, serials, submissions, archiving, threads };
        Ok((Self(Arc::new(inner)), opened))
    }

    /// Submits a decision. `done` hears the outcome once it is durable, also when it is a
    /// refusal: that may rest on what was decided just before.
    pub fn submit(&self, origin: Origin, decide: Decide, done: Done) {
        let submission = Submission { origin, decide, done };
        if let Err(mpsc::SendError(Command::Submit(submission))) =
            self.0.submissions.send(Command::Submit(submission))
        {
            (submission.done)(Err(NotReady::Closed.into()));
        }
    }

    /// Submits a decision and waits for its outcome: never on a thread that answers requests.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub fn submit_wait(&self, origin: Origin, decide: Decide) -> Result<Outcome, SubmitError> {
        let (done, outcome) = mpsc::sync_channel(1);
        let tell = move |told| drop(done.send(told));
        self.submit(origin, decide, Box::new(tell));
        outcome.recv().unwrap_or(Err(SubmitError::Stopped))
    }

    /// Looks at what a decision will look at when its turn comes, so that it is in memory by then: on
    /// another core, while those before it are decided. Decides nothing.
    pub fn look_ahead(&self, origin: &Origin, decide: &Decide) {
        self.0.shared.look_ahead(origin, decide, self.0.options.clock.now());
    }

    /// The record of a certificate, as far as it is durable.
    ///
    /// # Errors
    /// [`StoreError::Rebuilding`] for a while after some starts; what the disk says.
    pub fn find(&self, authority: AuthorityId, serial: &SerialNumber) -> Result<Option<Record>, StoreError> {
        self.0.shared.find(&(authority, *serial))
    }

    /// The records of an authority after a serial, so many at most, in the order of serials: all that are
    /// durable now among them. Blocks until those are in the projection.
    ///
    /// # Errors
    /// As [`Self::scan`].
    pub fn records_after(
        &self,
        authority: AuthorityId,
        after: Option<&SerialNumber>,
        most: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let (position, _) = self.head();
        let records =
            kept::records_after(&*self.0.shared.projection.rows_at(position)?, authority, after, most)?;
        // After the rows: what was said of a key before they were read is in all of them.
        let facts = self.facts();
        Ok(records.into_iter().map(|record| record.with(&facts.compromises)).collect())
    }

    /// A card or phone, as far as it is durable.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn find_card(&self, card: CardId) -> Result<Option<Card>, StoreError> {
        self.0.shared.find(&card)
    }

    /// A person, as far as it is durable.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn find_holder(&self, holder: HolderId) -> Result<Option<Holder>, StoreError> {
        self.0.shared.find(&holder)
    }

    /// For whom a public key was certified, as far as it is durable.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn find_key(&self, key: KeyDigest) -> Result<Option<CertifiedKey>, StoreError> {
        self.0.shared.find(&key)
    }

    /// Passes every card and phone, in the order of their numbers, once all entries up to `at` are in
    /// the projection; later ones may show. Blocks.
    ///
    /// # Errors
    /// As [`Self::scan`].
    pub fn each_card(&self, at: Position, each: &mut dyn FnMut(Card)) -> Result<(), StoreError> {
        kept::each_card(&*self.0.shared.projection.rows_at(at)?, each)
    }

    /// Passes every person, as [`Self::each_card`] does cards.
    ///
    /// # Errors
    /// As [`Self::scan`].
    pub fn each_holder(&self, at: Position, each: &mut dyn FnMut(Holder)) -> Result<(), StoreError> {
        kept::each_holder(&*self.0.shared.projection.rows_at(at)?, each)
    }

    /// What became of a request before, as far as it is durable: whoever must do costly work
    /// before submitting asks first. A request in flight is not found.
    ///
    /// # Errors
    /// [`SubmitError::KeyReused`] when the key belongs to another request.
    pub fn find_outcome(&self, request: &RequestId) -> Result<Option<Outcome>, SubmitError> {
        self.0.shared.find_outcome(request)
    }

    /// Waits until the projection is rebuilt, or will never be; [`Self::ready`] tells which.
    pub fn wait_ready(&self) {
        self.0.shared.wait_rebuilt();
    }

    /// A serial that has not been given yet, and will be soon.
    #[must_use]
    pub fn coming_serial(&self, authority: AuthorityId) -> Option<SerialNumber> {
        let reserved = self.facts().reserved.get(&authority).copied().unwrap_or(0);
        let coming = self.0.serials.counter(authority).peek().unwrap_or(reserved.saturating_add(1));
        SerialNumber::try_from(coming).ok()
    }

    /// The facts, as of the last durable entry.
    #[must_use]
    pub fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.0.shared.tip().facts)
    }

    /// Passes every record of an authority in the order of serials, once all entries up to `at`
    /// are in the projection. Later entries may show: filter with [`Record::status_at`].
    /// Blocks.
    ///
    /// # Errors
    /// When the projection cannot be read or will never hold `at`.
    pub fn scan(
        &self,
        authority: AuthorityId,
        at: Position,
        each: &mut dyn FnMut(SerialNumber, Record),
    ) -> Result<(), StoreError> {
        self.reading(at).each(authority, each)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    pub(super) fn options(&self) -> &Options {
        &self.0.options
    }

    /// Hands the thread that commits something else to do; it drops it when it has ended.
    pub(super) fn command(&self, command: Command) {
        let _ended = self.0.submissions.send(command);
    }

    /// The records, for whoever compares them: all that was issued up to `at` is among them.
    #[must_use]
    pub fn reading(&self, at: Position) -> Reading<'_> {
        Reading::in_use(&self.0.shared, at)
    }

    /// The entries from `from` on, up to the last that is durable now.
    pub fn entries(&self, from: Position) -> impl Iterator<Item = Result<Numbered, StoreError>> + use<> {
        self.0.shared.entries(from)
    }

    /// The entries that break the rule of succession, each in words: an earlier version may have written
    /// such. Blocks until there are records.
    ///
    /// # Errors
    /// As [`Self::scan`].
    pub fn breaches(&self) -> Result<Vec<String>, StoreError> {
        kept::breaches(&*self.0.shared.projection.rows_at(Position(FIRST))?)
    }

    /// What was cut off the journal's end, may have been acknowledged, and nobody has seen to; in the order
    /// of the journal.
    #[must_use]
    pub fn unseen_cuts(&self) -> Vec<Cut> {
        self.0.unseen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Marks it as seen; what there was.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn see_cuts(&self) -> Result<Vec<Cut>, StoreError> {
        let Options { disk, dir, .. } = &self.0.options;
        let mut unseen = self.0.unseen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = ending::see(disk, dir)?;
        unseen.clear();
        Ok(seen)
    }

    /// One entry; none behind the last and before the first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn entry(&self, position: Position) -> Result<Option<Numbered>, StoreError> {
        if position.0 < FIRST { Ok(None) } else { self.0.shared.entries(position).next().transpose() }
    }

    /// The last durable entry, and the head of its frame.
    #[must_use]
    pub fn head(&self) -> (Position, Head) {
        let tip = self.0.shared.tip();
        (tip.position, tip.head)
    }

    /// The head of the frame that holds an entry: what all up to it add up to. Reads the journal.
    ///
    /// # Errors
    /// When the journal cannot be read, or has no such entry.
    pub fn head_at(&self, position: Position) -> Result<Head, StoreError> {
        self.0.shared.head_at(position)
    }

    /// The last time on record: nothing is recorded before it, unless the clock is released.
    #[must_use]
    pub fn recorded_at(&self) -> UnixTime {
        self.0.shared.tip().recorded_at
    }

    /// The last entry that changed a certificate's status, or one after it: a start from a snapshot
    /// knows no earlier ones.
    #[must_use]
    pub fn changed(&self) -> Position {
        self.0.shared.tip().changed
    }

    /// The life of the journal.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.0.shared.tip().facts.epoch
    }

    /// Serials up to and including this one are not given again, before the next block of their authority is
    /// reserved: a certificate bears it, and no entry says so.
    pub fn pass_serial(&self, authority: AuthorityId, serial: u64) {
        self.0.serials.counter(authority).pass(serial);
    }

    /// A serial number that was never given before and never will be again, used or not. Waits
    /// for the disk once in 1,024 times.
    ///
    /// # Errors
    /// When a block cannot be reserved.
    pub fn next_serial(&self, authority: AuthorityId) -> Result<SerialNumber, SubmitError> {
        let counter = self.0.serials.counter(authority);
        loop {
            if let Some(serial) = counter.take() {
                return Ok(serial);
            }
            self.reserve_passed(authority)?;
            let _one = counter.reserving.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(serial) = counter.take() {
                return Ok(serial);
            }
            self.reserve(authority, counter.passed())?;
        }
    }

    /// Passes by an entry the serials of other authorities that only the archive shows: the next start looks
    /// behind the last certificate that an entry names, and that is about to be another.
    fn reserve_passed(&self, but: AuthorityId) -> Result<(), SubmitError> {
        let passed = || self.0.serials.passed_beyond(&self.facts().reserved);
        for (authority, _) in passed().into_iter().filter(|(authority, _)| *authority != but) {
            let counter = self.0.serials.counter(authority);
            let _one = counter.reserving.lock().unwrap_or_else(PoisonError::into_inner);
            // Another may have done it meanwhile.
            if let Some((_, up_to)) = passed().into_iter().find(|(one, _)| *one == authority) {
                self.reserve(authority, up_to)?;
            }
        }
        Ok(())
    }

    fn reserve(&self, authority: AuthorityId, passed: u64) -> Result<(), SubmitError> {
        let outcome = self.submit_wait(Origin::service(), reservation(authority, passed))?;
        self.0.serials.adopt(&outcome);
        Ok(())
    }

    /// Archives a certificate, with whatever belongs to it; `done` hears its place once it is
    /// durable. Only then may its entry be submitted.
    pub fn archive_append(&self, certificate: Vec<u8>, done: Archived) {
        if let Err(mpsc::SendError(ArchiveCommand::Append(_, done))) =
            self.0.archiving.send(ArchiveCommand::Append(certificate, done))
        {
            done(Err(StoreError::Closed));
        }
    }

    /// Archives a certificate and waits for its place.
    ///
    /// # Errors
    /// [`StoreError::Archive`], [`StoreError::Closed`].
    pub fn archive_append_wait(&self, certificate: Vec<u8>) -> Result<ArchivePlace, StoreError> {
        let (done, place) = mpsc::sync_channel(1);
        let tell = move |told| drop(done.send(told));
        self.archive_append(certificate, Box::new(tell));
        place.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// What was archived at a place.
    ///
    /// # Errors
    /// [`StoreError::NoSuchPlace`]; [`StoreError::Damaged`] when it does not match its checksum.
    pub fn archive_read(&self, place: ArchivePlace) -> Result<Vec<u8>, StoreError> {
        self.0.shared.archive.read(place)
    }

    /// Whether everything is taken: submissions and certificates.
    ///
    /// # Errors
    /// [`NotReady`]: why not. Answers go on all the same.
    pub fn ready(&self) -> Result<(), NotReady> {
        match self.fenced() {
            Some(why) => Err(NotReady::Fenced(why.to_owned())),
            None => self.0.shared.ready(),
        }
    }

    /// Why nothing can be submitted, where this is a copy of the store that goes on.
    #[must_use]
    pub fn fenced(&self) -> Option<&str> {
        self.0.options.fenced.as_deref()
    }

    /// Finishes what was submitted before, then stops: snapshot, projection flushed, marker. A
    /// second call says [`StoreError::Closed`].
    ///
    /// # Errors
    /// When the disk refuses, now or before: then the next start takes longer.
    pub fn close(&self) -> Result<(), StoreError> {
        let _stopped_before = self.0.archiving.send(ArchiveCommand::Stop);
        self.0.shared.set_closing();
        let (done, closed) = mpsc::channel();
        self.0.submissions.send(Command::Close(done)).map_err(|_| StoreError::Closed)?;
        let result = closed.recv().unwrap_or(Err(StoreError::Closed));
        // Also when the thread that commits has ended without it.
        self.0.shared.projection.end(StoreError::Closed);
        self.0.shared.slots.end();
        self.0.join();
        result
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.head().0).finish()
    }
}

impl Inner {
    fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // The last clone may be dropped by a callback, on one of these threads.
            if thread.thread().id() != thread::current().id() {
                let _ended_by_panic = thread.join();
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.set_closing();
        self.shared.projection.end(StoreError::Closed);
        self.shared.slots.end();
        let _stopped_before = self.submissions.send(Command::Stop);
        let _stopped_before = self.archiving.send(ArchiveCommand::Stop);
        self.join();
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, DiskFault> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(DiskFault::at("start a thread for", std::path::Path::new(name)))
}

/// Says that nothing is decided any more when a decision panics.
struct Unready(Arc<Shared>);

impl Drop for Unready {
    fn drop(&mut self) {
        if thread::panicking() {
            let error = StoreError::Projection("a decision panicked".to_owned());
            self.0.projection.set_stage(Stage::Failed(error));
        }
    }
}

/// Commits what is submitted, as many at a time as have come while the last were written.
fn commit_all(mut committer: Committer, submitted: &Receiver<Command>, rebuilder: Option<JoinHandle<()>>) {
    let _guard = Unready(committer.shared());
    let group_max = committer.options.group_max;
    let mut saving: Option<JoinHandle<()>> = None;
    let mut end = None;
    while end.is_none() {
        let Ok(command) = submitted.recv() else { break };
        let (mut batch, mut other) = (Vec::new(), None);
        for command in std::iter::once(command).chain(submitted.try_iter().take(group_max)) {
            match command {
                Command::Submit(submission) => batch.push(submission),
                command => {
                    other = Some(command);
                    break;
                }
            }
        }
        committer.commit_only(batch);
        match other {
            Some(Command::Adopt(remade)) => {
                // One being saved may hold what was wrong.
                saving.take().into_iter().for_each(|thread| drop(thread.join()));
                if committer.adopt(*remade) {
                    saving = save_snapshot(&mut committer);
                }
            }
            other => end = other,
        }
        if committer.is_snapshot_due() && saving.as_ref().is_none_or(JoinHandle::is_finished) {
            saving = save_snapshot(&mut committer);
        }
    }
    for thread in rebuilder.into_iter().chain(saving) {
        let _ended_by_panic = thread.join();
    }
    if let Some(Command::Close(done)) = end {
        let _nobody_waits = done.send(committer.close());
    }
}

/// Saves a snapshot beside the commits: it is megabytes, and nobody waits for it.
fn save_snapshot(committer: &mut Committer) -> Option<JoinHandle<()>> {
    let snapshot = committer.begin_snapshot();
    let disk = committer.options.disk.clone();
    let dir = committer.snapshot_dir();
    let save = move || {
        if let Err(error) = snapshot.save(&disk, &dir) {
            tracing::warn!(%error, "no snapshot: the next start takes longer");
        }
    };
    spawn("snapshot", save).ok()
}

fn archive_all(mut writer: ArchiveWriter, to_archive: &Receiver<ArchiveCommand>) {
    while let Ok(ArchiveCommand::Append(first, done)) = to_archive.recv() {
        let mut octets = first.len();
        let (mut records, mut waiting) = (vec![first], vec![done]);
        let mut stop = false;
        while octets < ARCHIVE_GROUP_OCTETS {
            match to_archive.try_recv() {
                Ok(ArchiveCommand::Append(record, done)) => {
                    octets += record.len();
                    records.push(record);
                    waiting.push(done);
                }
                Ok(ArchiveCommand::Stop) => {
                    stop = true;
                    break;
                }
                Err(_) => break,
            }
        }
        match writer.append(&records) {
            Ok(places) => waiting.into_iter().zip(places).for_each(|(done, place)| done(Ok(place))),
            Err(error) => waiting.into_iter().for_each(|done| done(Err(error.clone()))),
        }
        if stop {
            break;
        }
    }
}
