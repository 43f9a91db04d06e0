//! One store on a simulated disk, its lives, and what the world outside was told of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sekisho::der::UnixTime;
use sekisho::pki::{
    AuthorityId, CertStatus, CertificateKind, Generation, HashAlgorithm, Partition, Revocation,
    RevocationReason, SerialNumber,
};
use sekisho::record::{
    Actor, ArchivePlace, CertificateRef, CommentRef, Event, Folded, Issued, Numbered, Origin, Position,
    Record, Refusal, RequestId, StatusChange,
};
use sekisho::store::{
    ArchiveWriter, Clock, Committer, Decide, Disk, Fold, Options, Outcome, RowsKind, Serials, SimDisk,
    Submission, SubmitError, check_on, reservation,
};

pub const AUTHORITY: AuthorityId = AuthorityId(1);

/// Lives of one store: most end in a crash.
const LIVES: u64 = 4;

/// A test's own randomness, by SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// What happened, to be sure that it did.
#[derive(Debug, Default, Clone)]
pub struct Counts {
    pub power_losses: u64,
    pub kills: u64,
    pub in_flight: u64,
    pub during_start: u64,
    pub torn: u64,
    pub failed_syncs: u64,
    pub clean: u64,
    pub repeated: u64,
    pub from_snapshot: u64,
    pub frames: u64,
    pub acknowledged: u64,
    pub comments: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.power_losses += other.power_losses;
        self.kills += other.kills;
        self.in_flight += other.in_flight;
        self.during_start += other.during_start;
        self.torn += other.torn;
        self.failed_syncs += other.failed_syncs;
        self.clean += other.clean;
        self.repeated += other.repeated;
        self.from_snapshot += other.from_snapshot;
        self.frames += other.frames;
        self.acknowledged += other.acknowledged;
        self.comments += other.comments;
    }
}

/// What the listener heard, as a status index would: position and status of each serial.
type Heard = Arc<Mutex<BTreeMap<SerialNumber, (Position, CertStatus)>>>;

/// A request that was made, and its outcome if one was told.
#[derive(Clone)]
struct Asked {
    key: RequestId,
    what: What,
    told: Option<Outcome>,
}

#[derive(Clone, Copy)]
enum What {
    Issue(SerialNumber, ArchivePlace),
    Revoke(SerialNumber),
    Hold(SerialNumber),
}

impl What {
    fn decide(self) -> Decide {
        match self {
            Self::Issue(serial, place) => issue(serial, place),
            Self::Revoke(serial) => revoke(serial),
            Self::Hold(serial) => release_or_hold(serial),
        }
    }
}

pub struct World {
    random: Random,
    disk: SimDisk,
    clock: Arc<AtomicI64>,
    heard: Heard,
    counts: Counts,
    /// Every entry that somebody was told of.
    told: BTreeMap<Position, Numbered>,
    asked: Vec<Asked>,
    /// Every serial that was signed, in all lives.
    signed: BTreeSet<SerialNumber>,
    /// Certificates that were handed out.
    handed_out: Vec<(SerialNumber, ArchivePlace)>,
    journal_id: Option<[u8; 16]>,
}

/// A running store.
struct Life {
    committer: Committer,
    archive: ArchiveWriter,
    serials: Serials,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            disk: SimDisk::new(!seed),
            clock: Arc::new(AtomicI64::new(1_800_000_000)),
            heard: Heard::default(),
            counts: Counts::default(),
            told: BTreeMap::new(),
            asked: Vec::new(),
            signed: BTreeSet::new(),
            handed_out: Vec::new(),
            journal_id: None,
        }
    }

    pub fn live(mut self) -> Counts {
        for life in 0..LIVES {
            let mut failing = false;
            if life + 1 < LIVES {
                let reach = [24, 40, 80][self.random.below(3) as usize];
                self.disk.crash_after(1 + self.random.below(reach));
                failing = self.random.below(3) == 0;
                if failing {
                    self.disk.fail_sync_after(1 + self.random.below(30));
                }
            }
            let failed_before = self.disk.failed_syncs();
            match self.open(failing) {
                Some(mut running) => {
                    self.verify(&running);
                    self.work(&mut running, life + 1 == LIVES);
                    self.stop(running);
                }
                None => self.counts.during_start += u64::from(self.disk.is_down()),
            }
            self.counts.failed_syncs += self.disk.failed_syncs() - failed_before;
            self.restart();
        }
        self.disk.restart_after_power_loss();
        let running = self.open(false).expect("a disk that works opens");
        self.verify(&running);
        drop(running);
        let report =
            check_on(&Disk::Simulated(self.disk.clone()), Path::new("/store"), &[]).expect("all is right");
        assert!(report.torn.is_none());
        assert!(report.archived >= report.issued);
        let comments = [report.comments_lost, report.comments_differing].concat();
        assert!(comments.is_empty(), "comments that were acknowledged and are not there: {comments:?}");
        self.counts.frames += report.frames;
        self.counts
    }

    fn options(&self) -> Options {
        Options {
            disk: Disk::Simulated(self.disk.clone()),
            rows: RowsKind::Memory,
            clock: Clock::simulated(Arc::clone(&self.clock)),
            journal_segment_octets: 1200,
            archive_segment_octets: 600,
            group_max: 8,
            ..Options::new("/store")
        }
    }

    fn open(&mut self, failing: bool) -> Option<Life> {
        self.heard.lock().unwrap().clear();
        match Committer::open(self.options(), vec![fold(&self.heard)]) {
            Ok((mut committer, opened)) => {
                committer.rebuild();
                self.counts.torn += u64::from(opened.cut.is_some());
                self.counts.from_snapshot += u64::from(opened.replayed < opened.position.0.saturating_sub(1));
                if !self.told.is_empty() {
                    assert_eq!(self.journal_id, Some(opened.journal_id), "another journal was begun");
                }
                self.journal_id = Some(opened.journal_id);
                let archive = committer.open_archive();
                Some(Life { committer, archive, serials: Serials::default() })
            }
            Err(error) => {
                assert!(self.disk.is_down() || failing, "a disk that works does not open: {error}");
                None
            }
        }
    }

    fn restart(&mut self) {
        if self.random.below(4) == 0 {
            // Lost power or not, the process alone cannot tell: here the machine ran on.
            self.counts.kills += 1;
            self.disk.restart_after_kill();
        } else {
            self.counts.power_losses += u64::from(self.disk.is_down());
            self.disk.restart_after_power_loss();
        }
    }

    /// Everything that was told is there, as it was told; nothing was told twice over.
    fn verify(&mut self, life: &Life) {
        if self.disk.is_down() {
            return;
        }
        let entries: Result<Vec<Numbered>, _> = life.committer.entries(Position(1)).collect();
        let Ok(entries) = entries else { return };
        for (number, numbered) in (1..).zip(&entries) {
            assert_eq!(numbered.position, Position(number), "positions have no gaps");
        }
        for (position, told) in &self.told {
            let stands = entries.get(position.0 as usize - 1);
            assert_eq!(stands, Some(told), "acknowledged and lost");
        }
        // What stands in the journal was heard, and the projection says the same.
        let heard = self.heard.lock().unwrap().clone();
        let mut records: BTreeMap<SerialNumber, Option<Record>> = BTreeMap::new();
        for numbered in &entries {
            if let Some(certificate) = numbered.entry.event.certificate() {
                let record = records.entry(certificate.serial).or_default();
                assert_eq!(Record::apply(record, numbered), Ok(Folded::Counted), "a decision broke the rule");
            }
        }
        assert_eq!(heard.len(), records.len());
        for (serial, record) in &records {
            let record = record.as_ref().expect("nothing happens to a certificate before its issue");
            assert_eq!(heard[serial], (record.last_position(), record.status()), "the listener knows better");
            let Ok(found) = life.committer.find(AUTHORITY, serial) else { continue };
            assert_eq!(found.as_ref(), Some(record), "the projection knows better");
            assert!(self.signed.contains(serial));
        }
        for (serial, place) in &self.handed_out {
            assert!(records.contains_key(serial), "a certificate is out without a record");
            if let Ok(octets) = life.committer.archive_read(*place) {
                assert_eq!(octets, serial.magnitude(), "the archive holds another certificate");
            } else {
                assert!(self.disk.is_down(), "a certificate is out and not in the archive");
            }
        }
        self.verify_comments(life);
    }

    fn work(&mut self, life: &mut Life, last: bool) {
        let steps = if last { 6 } else { 3 + self.random.below(12) };
        for _ in 0..steps {
            if self.disk.is_down() {
                return;
            }
            self.clock.fetch_add(self.random.below(3) as i64, Ordering::SeqCst);
            match self.random.below(20) {
                0 => drop(life.committer.snapshot()),
                1..=9 => self.issue_some(life),
                _ => {
                    let requests = (0..1 + self.random.below(4)).map(|_| self.any_request()).collect();
                    self.submit(life, requests);
                }
            }
            self.counts.in_flight += u64::from(self.disk.is_down());
        }
    }

    /// Signs, archives and only then records: what an issuer does.
    fn issue_some(&mut self, life: &mut Life) {
        let serials: Vec<SerialNumber> =
            (0..1 + self.random.below(3)).filter_map(|_| self.next_serial(life)).collect();
        for serial in &serials {
            assert!(self.signed.insert(*serial), "serial {serial} was given twice");
        }
        if serials.is_empty() {
            return;
        }
        let certificates: Vec<Vec<u8>> = serials.iter().map(|serial| serial.magnitude().to_vec()).collect();
        let Ok(places) = life.archive.append(&certificates) else { return };
        let requests = serials.into_iter().zip(places).map(|(serial, place)| What::Issue(serial, place));
        let requests = requests.map(|what| self.ask(what)).collect();
        self.submit(life, requests);
    }

    fn next_serial(&mut self, life: &mut Life) -> Option<SerialNumber> {
        life.serials.take(AUTHORITY).or_else(|| {
            let told: Arc<Mutex<Option<Outcome>>> = Arc::default();
            let tell = Arc::clone(&told);
            life.committer.commit([Submission {
                origin: Origin::service(),
                decide: reservation(AUTHORITY, 0),
                done: Box::new(move |outcome| *tell.lock().unwrap() = outcome.ok()),
            }]);
            let outcome = told.lock().unwrap().take()?;
            self.tell(&outcome);
            life.serials.adopt(&outcome);
            life.serials.take(AUTHORITY)
        })
    }

    fn ask(&mut self, what: What) -> usize {
        let key = RequestId::new(&Actor::service(), &self.asked.len().to_string(), b"");
        self.asked.push(Asked { key, what, told: None });
        self.asked.len() - 1
    }

    /// A change of some certificate, or an old request again.
    fn any_request(&mut self) -> usize {
        if !self.asked.is_empty() && self.random.below(3) == 0 {
            return self.random.below(self.asked.len() as u64) as usize;
        }
        let serials: Vec<SerialNumber> = self.signed.iter().copied().collect();
        let any = self.random.below(serials.len().max(1) as u64) as usize;
        let serial = serials.get(any).copied().unwrap_or_else(|| serial(1));
        let what = if self.random.below(2) == 0 { What::Revoke(serial) } else { What::Hold(serial) };
        self.ask(what)
    }

    /// Something said of a change, archived before it; of some.
    fn say(&mut self, life: &mut Life) -> Option<CommentRef> {
        if self.random.below(3) != 0 {
            return None;
        }
        let said = format!("what was said, {}", self.random.below(u64::MAX));
        let archive = life.archive.append(&[said.as_bytes().to_vec()]).ok()?.pop()?;
        Some(CommentRef {
            archive,
            sha256: HashAlgorithm::Sha256.digest(said.as_bytes()).try_into().unwrap(),
        })
    }

    /// Every comment on an entry that somebody was told of can be read, and is the same.
    fn verify_comments(&mut self, life: &Life) {
        for numbered in self.told.values() {
            let Some(said) = numbered.entry.origin.comment else { continue };
            if let Ok(octets) = life.committer.archive_read(said.archive) {
                let is = HashAlgorithm::Sha256.digest(&octets);
                assert_eq!(is[..], said.sha256, "the archive holds another comment");
                self.counts.comments += 1;
            } else {
                assert!(self.disk.is_down(), "a comment was acknowledged and is not in the archive");
            }
        }
    }

    fn submit(&mut self, life: &mut Life, requests: Vec<usize>) {
        let comments: Vec<Option<CommentRef>> = requests.iter().map(|_| self.say(life)).collect();
        let answers: Arc<Mutex<BTreeMap<usize, Result<Outcome, SubmitError>>>> = Arc::default();
        let submissions = requests.iter().zip(comments).enumerate().map(|(place, (request, comment))| {
            let answers = Arc::clone(&answers);
            let asked = &self.asked[*request];
            Submission {
                origin: Origin { actor: Actor::service(), request: Some(asked.key), ticket: None, comment },
                decide: asked.what.decide(),
                done: Box::new(move |answer| drop(answers.lock().unwrap().insert(place, answer))),
            }
        });
        let failed_before = self.disk.failed_syncs();
        life.committer.commit(submissions.collect::<Vec<_>>());
        let answers = std::mem::take(&mut *answers.lock().unwrap());
        assert_eq!(answers.len(), requests.len(), "everybody is answered");
        if self.disk.failed_syncs() > failed_before {
            assert!(answers.values().all(Result::is_err), "acknowledged after a failed sync");
        }
        for (place, answer) in answers {
            let Ok(outcome) = answer else { continue };
            self.tell(&outcome);
            let request = requests[place];
            if let What::Issue(serial, place) = self.asked[request].what {
                self.handed_out.push((serial, place));
            }
            match &self.asked[request].told {
                Some(first) => {
                    assert!(outcome.repeated, "a repeated key was done twice");
                    assert_eq!(outcome.entries, first.entries, "a repeated key gave another outcome");
                    assert_eq!(
                        (outcome.position, outcome.recorded_at),
                        (first.position, first.recorded_at),
                        "a repeated key gave another outcome"
                    );
                    self.counts.repeated += 1;
                }
                None => self.asked[request].told = Some(outcome),
            }
        }
    }

    fn tell(&mut self, outcome: &Outcome) {
        for numbered in &outcome.entries {
            self.counts.acknowledged += 1;
            self.told.insert(numbered.position, numbered.clone());
        }
    }

    fn stop(&mut self, life: Life) {
        if self.random.below(2) == 0 && life.committer.close().is_ok() {
            self.counts.clean += 1;
        }
    }
}

fn fold(heard: &Heard) -> Fold {
    let [applied, snapshot, restore, reset] = [(); 4].map(|()| Arc::clone(heard));
    let applied = move |entries: &[Numbered]| {
        for Numbered { position, entry } in entries {
            if let (Some(certificate), Some(status)) = (entry.event.certificate(), entry.event.status()) {
                applied.lock().unwrap().insert(certificate.serial, (*position, status));
            }
        }
        Ok(())
    };
    Fold {
        snapshot: Box::new(move || {
            let mut octets = Vec::new();
            for (serial, (position, status)) in &*snapshot.lock().unwrap() {
                let (tag, revoked_at, reason) = match status {
                    CertStatus::Revoked(Revocation { revoked_at, reason, .. }) => {
                        (1, revoked_at.seconds(), *reason as u8)
                    }
                    _ => (0, 0, 0),
                };
                octets.extend(serial.to_u64().unwrap().to_be_bytes());
                octets.extend(position.0.to_be_bytes());
                octets.extend(revoked_at.to_be_bytes());
                octets.extend([tag, reason]);
            }
            octets
        }),
        restore: Box::new(move |octets| {
            let mut heard = restore.lock().unwrap();
            for slot in octets.chunks(26) {
                let number = |at: usize| u64::from_be_bytes(slot[at..at + 8].try_into().unwrap());
                let status = match slot[24] {
                    0 => CertStatus::Good,
                    _ => CertStatus::Revoked(Revocation {
                        revoked_at: UnixTime::from_seconds(number(16) as i64),
                        reason: RevocationReason::from_code(slot[25]).unwrap(),
                        invalidity_date: None,
                    }),
                };
                heard.insert(serial(number(0)), (Position(number(8)), status));
            }
            Ok(())
        }),
        reset: Box::new(move || reset.lock().unwrap().clear()),
        ..Fold::hearing("heard", applied)
    }
}

pub fn serial(number: u64) -> SerialNumber {
    SerialNumber::try_from(number).unwrap()
}

fn certificate(serial: SerialNumber) -> CertificateRef {
    CertificateRef { authority: AUTHORITY, generation: Generation::FIRST, serial }
}

/// Issues once.
pub fn issue(serial: SerialNumber, archive: ArchivePlace) -> Decide {
    Box::new(move |records, now| {
        let certificate = certificate(serial);
        if records.find(AUTHORITY, &serial)?.is_some() {
            return Err(Refusal::IssuedBefore(certificate));
        }
        Ok(vec![Event::Issued(Issued {
            certificate,
            kind: CertificateKind::PhoneAuth,
            partition: Some(Partition(13221)),
            not_before: now,
            not_after: now.plus(Duration::from_secs(1000)),
            archive,
            sha256: [7; 32],
            holder: None,
            card: None,
            twin: None,
        })])
    })
}

/// Revokes for ever.
pub fn revoke(serial: SerialNumber) -> Decide {
    change(serial, |status, revoked_at| match status {
        CertStatus::Revoked(Revocation { reason: RevocationReason::KeyCompromise, .. }) => None,
        status => {
            // From a hold, since the hold.
            let revoked_at = match status {
                CertStatus::Revoked(held) => held.revoked_at,
                _ => revoked_at,
            };
            let reason = RevocationReason::KeyCompromise;
            Some(CertStatus::Revoked(Revocation { revoked_at, reason, invalidity_date: None }))
        }
    })
}

/// Lifts a hold, or sets one.
pub fn release_or_hold(serial: SerialNumber) -> Decide {
    change(serial, |status, revoked_at| match status {
        CertStatus::Revoked(revocation) if revocation.is_hold() => Some(CertStatus::Good),
        CertStatus::Revoked(_) => None,
        _ => {
            let reason = RevocationReason::CertificateHold;
            Some(CertStatus::Revoked(Revocation { revoked_at, reason, invalidity_date: None }))
        }
    })
}

fn change(
    serial: SerialNumber,
    decide: impl Fn(CertStatus, UnixTime) -> Option<CertStatus> + Send + 'static,
) -> Decide {
    Box::new(move |records, now| {
        let Some(record) = records.find(AUTHORITY, &serial)? else {
            return Err(Refusal::NotIssued { authority: AUTHORITY, serial });
        };
        if record.changed_at() >= now {
            return Err(Refusal::NotBefore(record.changed_at().plus(Duration::from_secs(1))));
        }
        let change = u32::try_from(record.changes.len()).unwrap() + 1;
        let certificate = certificate(serial);
        Ok(match decide(record.status(), now) {
            None => vec![],
            Some(CertStatus::Revoked(became)) => {
                vec![Event::Revoked(StatusChange { certificate, became, change, cause: None })]
            }
            Some(_) => vec![Event::Released(StatusChange { certificate, became: (), change, cause: None })],
        })
    })
}
