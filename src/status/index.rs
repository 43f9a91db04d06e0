//! The index over all authorities.

use std::collections::BTreeMap;
use std::sync::{OnceLock, PoisonError};

use super::dense::Dense;
use super::keys::{Compromised, Heard, Keys};
use super::snapshot::{self, SnapshotError};
use super::sparse::Sparse;
use super::word::StatusWord;
use crate::der::UnixTime;
use crate::pki::{AuthorityId, CertificateKind, Generation, SerialNumber};
use crate::record::{Event, FoldError, Numbered, Position};
use crate::sync::{AtomicI64, AtomicU64, Mutex, Ordering};

/// The status of every certificate of every authority.
///
/// One thread applies entries, in the journal's order; any number look statuses up meanwhile.
/// A look-up that starts after [`Self::apply`] has returned sees what it applied.
pub struct StatusIndex {
    /// One place for each authority number.
    authorities: Box<[OnceLock<Authority>]>,
    last_recorded_at: AtomicI64,
    /// Of the last entry folded.
    position: AtomicU64,
    /// Held by whoever changes the index.
    writing: Mutex<()>,
}

/// Words of the sparse part that are to be stored together.
type Pending = BTreeMap<AuthorityId, BTreeMap<SerialNumber, StatusWord>>;

struct Authority {
    dense: Dense,
    sparse: Sparse,
    keys: Keys,
    issued: AtomicU64,
}

/// A word to be put in the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overruled {
    /// Whose.
    pub authority: AuthorityId,
    /// Which certificate.
    pub serial: SerialNumber,
    /// What the index was seen to say.
    pub seen: StatusWord,
    /// What it is to say.
    pub word: StatusWord,
}

impl StatusIndex {
    /// An index in which nothing was ever issued.
    #[must_use]
    pub fn new() -> Self {
        Self {
            authorities: (0..=u8::MAX).map(|_| OnceLock::new()).collect(),
            last_recorded_at: AtomicI64::new(0),
            position: AtomicU64::new(0),
            writing: Mutex::new(()),
        }
    }

    /// The status of a serial of `authority`: one atomic load for a serial below 2³².
    ///
    /// Who reads [`Self::last_recorded_at`] after this sees a time that is not before the
    /// change found, unless the clock was released since.
    #[must_use]
    pub fn find(&self, authority: AuthorityId, serial: &SerialNumber) -> StatusWord {
        self.known(authority).map_or(StatusWord::NEVER_ISSUED, |known| known.find(serial))
    }

    /// The status of whatever is asked under one key of an authority; none for what is no serial number.
    /// Once the key is compromised, whatever is not revoked for another ground is revoked, issued or not:
    /// who has the key may have issued it (RFC 6960 §2.7).
    #[must_use]
    pub fn find_under(
        &self,
        authority: AuthorityId,
        generation: Generation,
        serial: Option<&SerialNumber>,
    ) -> StatusWord {
        let Some(known) = self.known(authority) else { return StatusWord::NEVER_ISSUED };
        let word = serial.map_or(StatusWord::NEVER_ISSUED, |serial| known.find(serial));
        match known.keys.find(generation) {
            Some(it) if !(word.is_final() && word.generation() == Some(generation)) => {
                StatusWord::under_compromised(generation, it.since)
            }
            _ => word,
        }
    }

    fn known(&self, authority: AuthorityId) -> Option<&Authority> {
        self.authorities.get(usize::from(authority.0)).and_then(OnceLock::get)
    }

    /// Folds entries in the journal's order, by the rule of [`crate::record::succession`]. Those at
    /// or before [`Self::position`] were folded before, and are passed over.
    ///
    /// # Errors
    /// The first entry that cannot be folded. It is passed over; all others were folded, so that no
    /// revocation behind it is lost. The index may lack something then: make it anew.
    pub fn apply(&self, entries: &[Numbered]) -> Result<(), FoldError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let folded = self.position();
        // The time first: a status must never be seen before the time it was recorded at.
        let mark = new_ones(entries, folded)
            .fold(self.last_recorded_at(), |mark, numbered| numbered.entry.mark_after(mark));
        self.set_last_recorded_at(mark);
        let (mut sparse, mut done) = (Pending::new(), Ok(()));
        for numbered in new_ones(entries, folded) {
            done = done.and(self.fold(numbered, &mut sparse));
        }
        for (authority, words) in sparse {
            if let Some(authority) = self.authority(authority) {
                authority.sparse.store(words);
            }
        }
        if let Some(last) = new_ones(entries, folded).last() {
            self.position.store(last.position.0, Ordering::Release);
        }
        done
    }

    /// Folds one entry; a word of the sparse part is put into `pending`. The caller holds `writing`.
    fn fold(&self, numbered: &Numbered, pending: &mut Pending) -> Result<(), FoldError> {
        let Numbered { position, entry } = numbered;
        if let Event::GenerationCompromised { authority, generation, .. } = &entry.event {
            let it = Compromised { position: *position, since: entry.recorded_at };
            if let Some(authority) = self.authority(*authority) {
                authority.keys.hear_compromised(*generation, it);
            }
            return Ok(());
        }
        if let Event::GenerationRetired { authority, generation, .. } = &entry.event {
            if let Some(authority) = self.authority(*authority) {
                authority.keys.hear_retired(*generation, *position);
            }
            return Ok(());
        }
        let Some(certificate) = numbered.entry.event.certificate() else { return Ok(()) };
        let Some(authority) = self.authority(certificate.authority) else { return Ok(()) };
        let serial = certificate.serial;
        let changed = pending.get(&certificate.authority).and_then(|words| words.get(&serial)).copied();
        let before = changed.unwrap_or_else(|| authority.word(&serial));
        let before = authority.keys.of(&serial, before);
        let compromised = authority.keys.find(certificate.generation);
        if let Event::Issued(issued) = &entry.event
            && issued.kind != CertificateKind::OcspSigner
            && !before.is_issued()
            && authority.keys.is_retired_before(certificate.generation, *position)
        {
            return Ok(());
        }
        let Some(after) = after(before, numbered, compromised)? else { return Ok(()) };
        if let Event::Issued(issued) = &entry.event
            && issued.kind == CertificateKind::OcspSigner
        {
            authority.keys.hear_signer(serial);
        }
        match dense_serial(&serial) {
            Some(serial) => authority.dense.store(serial, after),
            None => {
                pending.entry(certificate.authority).or_default().insert(serial, after);
            }
        }
        if !before.is_issued() {
            authority.issued.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The last entry folded. Whoever reads a word after this sees what the entries up to it made of
    /// it, or later ones.
    #[must_use]
    pub fn position(&self) -> Position {
        Position(self.position.load(Ordering::Acquire))
    }

    /// Every certificate of `authority` that was issued, in the order of serials. Nothing is copied:
    /// each word is as it is when it is passed, save that of the serials above 2³² all are as they
    /// were when the first of them was.
    pub fn each(&self, authority: AuthorityId) -> impl Iterator<Item = (SerialNumber, StatusWord)> {
        let authority = self.known(authority);
        let keys = authority.map(|authority| &authority.keys);
        let dense = authority.into_iter().flat_map(|authority| authority.dense.words());
        let numbered = dense.filter(|(_, word)| word.is_issued()).filter_map(|(serial, word)| {
            SerialNumber::try_from(u64::from(serial)).ok().map(|serial| (serial, word))
        });
        let sparse = authority.into_iter().flat_map(|authority| authority.sparse.words());
        let all = numbered.chain(sparse.filter(|(_, word)| word.is_issued()));
        all.map(move |(serial, word)| (serial, keys.map_or(word, |keys| keys.of(&serial, word))))
    }

    /// The highest serial of `authority` that was issued out of its counter: none above 64 bits.
    #[must_use]
    pub fn highest(&self, authority: AuthorityId) -> Option<u64> {
        self.each(authority).filter_map(|(serial, _)| serial.to_u64()).max()
    }

    /// Puts words in the place of what the entries made of certificates: the severer ones, while this
    /// index and the records disagree. Entries after this are folded into them. A word that is no longer
    /// the one seen was changed by an entry: it stays, unless the new word is a final revocation and it
    /// is not.
    pub fn overrule(&self, all: &[Overruled]) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pending = Pending::new();
        for Overruled { authority: id, serial, seen, word } in all {
            let now = self.find(*id, serial);
            let Some(authority) = self.authority(*id) else { continue };
            if now != *seen && (now.is_final() || !word.is_final()) {
                continue;
            }
            match dense_serial(serial) {
                Some(serial) => authority.dense.store(serial, *word),
                None => {
                    pending.entry(*id).or_default().insert(*serial, *word);
                }
            }
            match (now.is_issued(), word.is_issued()) {
                (false, true) => authority.issued.fetch_add(1, Ordering::Relaxed),
                (true, false) => authority.issued.fetch_sub(1, Ordering::Relaxed),
                _ => 0,
            };
        }
        for (authority, words) in pending {
            if let Some(authority) = self.authority(authority) {
                authority.sparse.store(words);
            }
        }
    }

    /// Makes this index what `other` is, in place, while it is looked into: words one by one, those
    /// that the other lacks never issued; then its counts, its time and its position. Nothing is
    /// folded into either meanwhile. Two indexes must not take each other over at the same time.
    pub fn take_over(&self, other: &Self) {
        if std::ptr::eq(self, other) {
            return;
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let _others = other.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Until all are taken over, a status of either must not be seen before its time.
        self.set_last_recorded_at(self.last_recorded_at().max(other.last_recorded_at()));
        for (id, place) in (0..=u8::MAX).zip(other.authorities.iter()) {
            let theirs = place.get();
            let is_here = self.authorities.get(usize::from(id)).is_some_and(|own| own.get().is_some());
            if theirs.is_none() && !is_here {
                continue;
            }
            let Some(own) = self.authority(AuthorityId(id)) else { continue };
            own.dense.take_over(theirs.map(|theirs| &theirs.dense));
            own.sparse.take_over(theirs.map(|theirs| &theirs.sparse));
            own.keys.set(theirs.map_or_else(Heard::default, |theirs| Heard::clone(&theirs.keys.heard())));
            let issued = theirs.map_or(0, |theirs| theirs.issued.load(Ordering::Relaxed));
            own.issued.store(issued, Ordering::Relaxed);
        }
        self.set_last_recorded_at(other.last_recorded_at());
        self.position.store(other.position().0, Ordering::Release);
    }

    /// When the last entry folded was recorded. Answers bear no earlier time. Once the clock was
    /// released, entries before that may have been recorded later than this.
    #[must_use]
    pub fn last_recorded_at(&self) -> UnixTime {
        UnixTime::from_seconds(self.last_recorded_at.load(Ordering::Acquire))
    }

    /// How many certificates of `authority` were ever issued.
    #[must_use]
    pub fn issued(&self, authority: AuthorityId) -> u64 {
        let authority = self.authorities.get(usize::from(authority.0)).and_then(OnceLock::get);
        authority.map_or(0, |authority| authority.issued.load(Ordering::Relaxed))
    }

    /// Memory the index has allocated, in octets.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let authorities =
            self.opened().map(|(_, authority)| authority.dense.bytes() + authority.sparse.bytes());
        authorities.sum::<usize>() + self.authorities.len() * size_of::<OnceLock<Authority>>()
    }

    /// The whole index as octets, as it is after the entry at [`Self::position`]: nothing is folded
    /// while they are made. A change is numbered by what the word says, so a word that is newer than
    /// the position would number it twice. No checksum: whoever writes it to a file adds one.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = |authority: &Authority| authority.issued.load(Ordering::Relaxed) > 0;
        let issuing = || self.opened().filter(|(_, one)| is_known(one) || one.keys.is_any_known());
        let mut out = snapshot::begin(self.position(), self.last_recorded_at(), issuing().count());
        for (id, authority) in issuing() {
            let dense = authority.dense.chunks();
            snapshot::write_authority(&mut out, id, dense, &authority.sparse.all());
            snapshot::write_keys(&mut out, &authority.keys.heard());
        }
        out
    }

    /// Fills a new index from [`Self::snapshot`]; on an error it is as it was.
    ///
    /// # Errors
    /// [`SnapshotError`], also when something was folded into this index before.
    pub fn restore(&self, octets: &[u8]) -> Result<(), SnapshotError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.opened().next().is_some() {
            return Err(SnapshotError::NotEmpty);
        }
        let parsed = snapshot::read(octets)?;
        self.set_last_recorded_at(parsed.last_recorded_at);
        self.position.store(parsed.position.0, Ordering::Release);
        for part in parsed.authorities {
            let Some(authority) = self.authority(part.authority) else { continue };
            let mut issued = part.sparse.len();
            for (serial, word) in part.dense() {
                authority.dense.store(serial, word);
                issued += usize::from(word.is_issued());
            }
            authority.sparse.store(part.sparse);
            authority.keys.set(part.keys);
            authority.issued.store(u64::try_from(issued).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Its place, made when it is first needed.
    fn authority(&self, authority: AuthorityId) -> Option<&Authority> {
        let place = self.authorities.get(usize::from(authority.0))?;
        Some(place.get_or_init(|| Authority {
            dense: Dense::new(),
            sparse: Sparse::new(),
            keys: Keys::new(),
            issued: AtomicU64::new(0),
        }))
    }

    fn opened(&self) -> impl Iterator<Item = (AuthorityId, &Authority)> {
        let numbered = (0..=u8::MAX).zip(self.authorities.iter());
        numbered.filter_map(|(number, authority)| Some((AuthorityId(number), authority.get()?)))
    }

    /// The caller holds `writing`.
    fn set_last_recorded_at(&self, time: UnixTime) {
        self.last_recorded_at.store(time.seconds(), Ordering::Release);
    }
}

impl Authority {
    /// What is said of a serial.
    fn find(&self, serial: &SerialNumber) -> StatusWord {
        self.keys.of(serial, self.word(serial))
    }

    /// What the entries about that certificate made of it.
    fn word(&self, serial: &SerialNumber) -> StatusWord {
        match dense_serial(serial) {
            Some(serial) => self.dense.find(serial),
            None => self.sparse.find(serial),
        }
    }
}

/// What an entry makes of a word, when the key that it names may be compromised.
fn after(
    before: StatusWord,
    numbered: &Numbered,
    compromised: Option<Compromised>,
) -> Result<Option<StatusWord>, FoldError> {
    let Some(it) = compromised else { return before.after(numbered) };
    match &numbered.entry.event {
        // It writes down what already is.
        Event::Revoked(change)
            if change.cause == Some(it.position)
                && before.is_final()
                && before.generation() == Some(change.certificate.generation) =>
        {
            Ok(Some(before))
        }
        Event::Issued(issued) if issued.kind != CertificateKind::OcspSigner && !before.is_issued() => {
            Ok(None)
        }
        _ => before.after(numbered),
    }
}

impl Default for StatusIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for StatusIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatusIndex").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

/// The entries that were not folded before, each position once.
fn new_ones(entries: &[Numbered], folded: Position) -> impl Iterator<Item = &Numbered> {
    let mut last = folded;
    entries.iter().filter(move |numbered| {
        let is_new = numbered.position > last;
        last = last.max(numbered.position);
        is_new
    })
}

/// The serial, if it belongs into the dense part.
fn dense_serial(serial: &SerialNumber) -> Option<u32> {
    serial.to_u64().and_then(|serial| u32::try_from(serial).ok())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::pki::{CertStatus, CertificateKind, Generation, Revocation, RevocationReason};
    use crate::record::{
        Absent, ArchivePlace, Breach, BreachKind, CertificateRef, Compromise, Compromises, Entry, Event,
        Folded, Issued, Origin, Record, StatusChange,
    };
    use crate::status::Difference;

    /// Serials of the dense part, at its edges, and beyond.
    const SERIALS: [u64; 8] = [1, 2, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, 1 << 63, u64::MAX];

    fn certificate(authority: u8, generation: u8, serial: u64) -> CertificateRef {
        CertificateRef {
            authority: AuthorityId(authority),
            generation: Generation::new(generation).unwrap(),
            serial: SerialNumber::try_from(serial).unwrap(),
        }
    }

    fn issued(certificate: CertificateRef) -> Event {
        Event::Issued(issue(certificate))
    }

    fn issue(certificate: CertificateRef) -> Issued {
        Issued {
            certificate,
            kind: CertificateKind::CardSign,
            partition: None,
            not_before: UnixTime::default(),
            not_after: UnixTime::MAX,
            archive: ArchivePlace(0),
            sha256: [0; 32],
            holder: None,
            card: None,
            twin: None,
        }
    }

    fn numbered(position: u64, event: Event) -> Numbered {
        let recorded_at = UnixTime::from_seconds(1_800_000_000 + i64::try_from(position).unwrap() / 3);
        Numbered {
            position: Position(position),
            entry: Entry { recorded_at, origin: Origin::service(), event },
        }
    }

    /// One event about one of a few certificates, sensible or not, and whether its number is right.
    fn event() -> impl Strategy<Value = (Event, bool)> {
        let generation = prop_oneof![9 => Just(1_u8), 1 => Just(2)];
        let certificate = (0_u8..2, generation, prop::sample::select(SERIALS.to_vec()))
            .prop_map(|(authority, generation, serial)| certificate(authority, generation, serial));
        let reason = prop_oneof![
            3 => Just(RevocationReason::CertificateHold),
            1 => Just(RevocationReason::KeyCompromise),
            1 => prop::sample::select(RevocationReason::ALL.to_vec()),
        ];
        let what = (0..200, reason, any::<u32>(), 0_i64..2_000_000_000, prop::option::of(0_i64..9));
        let event =
            (certificate, what).prop_map(|(certificate, (what, reason, change, at, since))| match what {
                0..44 => issued(certificate),
                44..50 => Event::Issued(Issued { kind: CertificateKind::OcspSigner, ..issue(certificate) }),
                50..53 => {
                    let CertificateRef { authority, generation, .. } = certificate;
                    Event::GenerationCompromised { authority, generation, invalidity_date: None }
                }
                53..56 => {
                    let CertificateRef { authority, generation, .. } = certificate;
                    Event::GenerationRetired { authority, generation, begun: Position(1) }
                }
                56..110 => Event::Released(StatusChange { certificate, became: (), change, cause: None }),
                110..130 => Event::RequestSeen,
                _ => {
                    let revoked_at = UnixTime::from_seconds(at);
                    let invalidity_date = since.map(UnixTime::from_seconds);
                    let became = Revocation { revoked_at, reason, invalidity_date };
                    Event::Revoked(StatusChange { certificate, became, change, cause: None })
                }
            });
        (event, prop::bool::weighted(0.8))
    }

    type Records = BTreeMap<(AuthorityId, SerialNumber), Option<Record>>;

    /// The journal of these events, their records, and what became of each entry. An event whose
    /// number is to be right has the one that its record gives it.
    fn fold(events: Vec<(Event, bool)>) -> (Vec<Numbered>, Records, Vec<Result<Folded, FoldError>>) {
        let (mut journal, mut records, mut folded) = (Vec::new(), Records::new(), Vec::new());
        let mut compromises = Compromises::default();
        for (position, (mut event, is_right)) in (1..).zip(events) {
            let named = event.certificate().map(|named| (named.authority, named.serial));
            let known = named.and_then(|named| records.get(&named)).and_then(Option::as_ref);
            let compromise = event.certificate().and_then(|named| compromises.of(named)).copied();
            let known = known.map(|record| seen(record, &compromises));
            let due = known.as_ref().map_or(1, |record| u32::try_from(record.changes.len()).unwrap() + 1);
            // Every other one writes down what a compromise made of it.
            if let (Event::Revoked(change), Some(it), true) = (&mut event, &compromise, position % 2 == 0) {
                change.cause = Some(it.position);
                let written = known.as_ref().and_then(|record| record.compromised_by(it));
                change.change = written.map_or(change.change, |(number, _)| number);
            }
            match &mut event {
                Event::Revoked(StatusChange { change, .. })
                | Event::Released(StatusChange { change, .. })
                    if is_right && change_is_free(&compromise, position) =>
                {
                    *change = due;
                }
                _ => {}
            }
            let numbered = numbered(position, event);
            if let Some(named) = named {
                let record = records.entry(named).or_default();
                folded.push(match Record::issued_by_retired(record.as_ref(), &numbered, &compromises) {
                    Some(breach) => Ok(Folded::Breached(breach)),
                    None => Record::apply_under(record, &numbered, compromise.as_ref()),
                });
            }
            compromises.apply(&numbered);
            journal.push(numbered);
        }
        for record in records.values_mut().flatten() {
            *record = seen(record, &compromises);
        }
        (journal, records, folded)
    }

    /// A number that no compromise gives.
    const fn change_is_free(compromise: &Option<Compromise>, position: u64) -> bool {
        compromise.is_none() || position % 2 == 1
    }

    /// A record as whoever reads it sees it.
    fn seen(record: &Record, compromises: &Compromises) -> Record {
        let mut record = record.clone();
        compromises.of(&record.issued.certificate).into_iter().for_each(|it| record.compromise(it));
        record
    }

    fn journal(events: Vec<Event>) -> Vec<Numbered> {
        (1..).zip(events).map(|(position, event)| numbered(position, event)).collect()
    }

    fn words(index: &StatusIndex) -> Vec<StatusWord> {
        let authorities = (0..4).flat_map(|authority| SERIALS.map(|serial| (authority, serial)));
        let serial = |serial| SerialNumber::try_from(serial).unwrap();
        authorities.map(|(authority, number)| index.find(AuthorityId(authority), &serial(number))).collect()
    }

    /// What became of an entry, by a name that counts how often it did.
    fn name_of(folded: &Result<Folded, FoldError>) -> &'static str {
        let state = |standing| match standing {
            CertStatus::Unknown => "never issued",
            CertStatus::Good => "good",
            CertStatus::Revoked(held) if held.is_hold() => "on hold",
            CertStatus::Revoked(was) if was.reason == RevocationReason::KeyCompromise => "compromised",
            CertStatus::Revoked(_) => "revoked",
        };
        match folded {
            Ok(Folded::Counted) => "counted",
            Ok(Folded::PassedBy) => "passed by",
            Ok(Folded::Breached(breach)) => {
                assert_eq!(breach.counted, matches!(breach.what, BreachKind::Number { .. }));
                match (breach.what, state(breach.standing)) {
                    (BreachKind::Number { .. }, _) => "another number",
                    (BreachKind::Compromised, _) => "issued, key compromised",
                    (BreachKind::Retired, _) => "issued, key retired",
                    (BreachKind::Issued, "good") => "issued, good",
                    (BreachKind::Issued, "on hold") => "issued, on hold",
                    (BreachKind::Issued, _) => "issued, revoked",
                    (BreachKind::Held, "on hold") => "held, on hold",
                    (BreachKind::Held, "compromised") => "held, compromised",
                    (BreachKind::Held, _) => "held, revoked",
                    (BreachKind::Revoked(RevocationReason::KeyCompromise), "compromised") => {
                        "compromised twice"
                    }
                    (BreachKind::Revoked(_), "compromised") => "revoked, compromised",
                    (BreachKind::Revoked(_), _) => "revoked, revoked",
                    (BreachKind::Released, "good") => "released, good",
                    (BreachKind::Released, "compromised") => "released, compromised",
                    (BreachKind::Released, _) => "released, revoked",
                }
            }
            Err(FoldError::Unknown { what: Absent::Certificate(_), .. }) => "never issued",
            Err(FoldError::Unknown { what: Absent::Generation { .. }, .. }) => "other generation",
            Err(error) => panic!("{error}"),
        }
    }

    /// Every name but "passed by": nothing here is folded twice.
    const NAMES: [&str; 18] = [
        "another number",
        "compromised twice",
        "counted",
        "held, compromised",
        "held, on hold",
        "held, revoked",
        "issued, good",
        "issued, key compromised",
        "issued, key retired",
        "issued, on hold",
        "issued, revoked",
        "never issued",
        "other generation",
        "released, compromised",
        "released, good",
        "released, revoked",
        "revoked, compromised",
        "revoked, revoked",
    ];

    #[test]
    fn the_index_and_the_records_are_one_fold() {
        let occurred = RefCell::new(BTreeMap::<&str, u32>::new());
        let journals = (prop::collection::vec(event(), 0..300), 1_usize..20);
        let agree = |(events, group): (Vec<(Event, bool)>, usize)| {
            let (journal, records, folded) = fold(events);
            let index = StatusIndex::new();
            let mut told = Vec::new();
            for entries in journal.chunks(group) {
                told.extend(index.apply(entries).err());
                prop_assert_eq!(index.apply(entries), Ok(()), "hearing it again changes nothing");
            }
            // Of each group, the first that cannot be folded.
            let mut wanted: Vec<FoldError> = folded.iter().filter_map(|one| one.err()).collect();
            let group_of = |error: &FoldError| match error {
                FoldError::Unknown { position, .. } => (position.0 - 1) / u64::try_from(group).unwrap(),
                _ => unreachable!(),
            };
            wanted.dedup_by_key(|error| group_of(error));
            prop_assert_eq!(told, wanted);
            let mut issued = [0_u64; 2];
            for ((authority, serial), record) in &records {
                let word = index.find(*authority, serial);
                let Some(record) = record else {
                    prop_assert_eq!(word, StatusWord::NEVER_ISSUED);
                    continue;
                };
                issued[usize::from(authority.0)] += 1;
                prop_assert_eq!(word.disagrees_with(record), None);
                prop_assert_eq!(StatusWord::of(record), word);
                prop_assert_eq!(word.seconds_unchanged(record.changed_at()), 0);
            }
            for (authority, count) in (0..).zip(issued) {
                prop_assert_eq!(index.issued(AuthorityId(authority)), count);
                let walked: Vec<_> = index.each(AuthorityId(authority)).map(|(serial, _)| serial).collect();
                let of = records.iter().filter(|((of, _), record)| of.0 == authority && record.is_some());
                prop_assert_eq!(walked, of.map(|((_, serial), _)| *serial).collect::<Vec<_>>());
            }
            let last = journal.last().map_or(UnixTime::default(), |last| last.entry.recorded_at);
            prop_assert_eq!(index.last_recorded_at(), last);
            prop_assert_eq!(index.position(), journal.last().map_or(Position(0), |last| last.position));
            folded.iter().for_each(|one| *occurred.borrow_mut().entry(name_of(one)).or_default() += 1);
            Ok(())
        };
        TestRunner::new(ProptestConfig::with_cases(200)).run(&journals, agree).unwrap();
        let occurred = occurred.into_inner();
        assert_eq!(occurred.keys().copied().collect::<Vec<_>>(), NAMES, "{occurred:?}");
    }

    proptest! {
        // A snapshot of words at the ends of their chunks has half a megabyte each.
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn a_snapshot_and_a_replay_from_before_it_are_exact(
            events in prop::collection::vec(event(), 0..120), taken_at in 0_usize..120, replayed in 0_usize..120,
        ) {
            let (journal, ..) = fold(events);
            let taken_at = taken_at.min(journal.len());
            let index = StatusIndex::new();
            let _what_is_unknown = index.apply(&journal[..taken_at]);
            let taken = index.snapshot();
            let _what_is_unknown = index.apply(&journal[taken_at..]);

            let restored = StatusIndex::new();
            restored.restore(&taken).unwrap();
            prop_assert_eq!(restored.position().0, u64::try_from(taken_at).unwrap());
            let _what_is_unknown = restored.apply(&journal[replayed.min(taken_at)..]);
            prop_assert_eq!(words(&restored), words(&index));
            prop_assert_eq!(restored.last_recorded_at(), index.last_recorded_at());
            prop_assert_eq!(restored.position(), index.position());
            for authority in 0..4 {
                prop_assert_eq!(restored.issued(AuthorityId(authority)), index.issued(AuthorityId(authority)));
            }
            prop_assert_eq!(restored.snapshot(), index.snapshot());
        }

        #[test]
        fn one_index_takes_over_what_another_is(
            own in prop::collection::vec(event(), 0..80), theirs in prop::collection::vec(event(), 0..80),
        ) {
            let (index, other) = (StatusIndex::new(), StatusIndex::new());
            let _what_is_unknown = index.apply(&fold(own).0);
            let _what_is_unknown = other.apply(&fold(theirs).0);
            index.take_over(&other);
            prop_assert_eq!(words(&index), words(&other));
            prop_assert_eq!(index.snapshot(), other.snapshot());
            prop_assert_eq!((index.position(), index.last_recorded_at()), (other.position(), other.last_recorded_at()));
            for authority in 0..4 {
                prop_assert_eq!(index.issued(AuthorityId(authority)), other.issued(AuthorityId(authority)));
            }
        }
    }

    fn revoked(certificate: CertificateRef, reason: RevocationReason, at: i64, change: u32) -> Event {
        let became = Revocation { revoked_at: UnixTime::from_seconds(at), reason, invalidity_date: None };
        Event::Revoked(StatusChange { certificate, became, change, cause: None })
    }

    /// The journal of an earlier build: the record of a revocation was lost, and a hold and a release
    /// were decided on what was left.
    #[test]
    fn what_was_revoked_and_then_held_and_released_on_lost_records_is_revoked_since_the_first_date() {
        for serial in [0x407, u64::MAX] {
            let one = certificate(1, 1, serial);
            let journal = journal(vec![
                issued(one),
                revoked(one, RevocationReason::KeyCompromise, 1_700_000_000, 1),
                revoked(one, RevocationReason::CertificateHold, 1_700_000_100, 1),
                Event::Released(StatusChange { certificate: one, became: (), change: 2, cause: None }),
            ]);
            let (mut record, index) = (None, StatusIndex::new());
            index.apply(&journal).unwrap();
            let folded: Vec<_> =
                journal.iter().map(|numbered| Record::apply(&mut record, numbered).unwrap()).collect();
            let record = record.unwrap();
            let stands = CertStatus::Revoked(Revocation {
                revoked_at: UnixTime::from_seconds(1_700_000_000),
                reason: RevocationReason::KeyCompromise,
                invalidity_date: None,
            });
            assert_eq!((record.status(), record.changes.len()), (stands, 1));
            let breaches: Vec<_> = folded
                .into_iter()
                .filter_map(|one| match one {
                    Folded::Breached(breach) => {
                        Some((breach.position.0, breach.what, breach.standing, breach.counted))
                    }
                    Folded::Counted | Folded::PassedBy => None,
                })
                .collect();
            assert_eq!(
                breaches,
                [(3, BreachKind::Held, stands, false), (4, BreachKind::Released, stands, false)]
            );
            let word = index.find(AuthorityId(1), &one.serial);
            assert_eq!((word.cert_status(), word.changes()), (stands, 1));
            assert_eq!(word.disagrees_with(&record), None);
        }
    }

    /// As above, but the second decision was final: it is not lost, though its number is wrong.
    #[test]
    fn a_hold_that_was_lost_and_revoked_again_is_revoked_since_the_hold() {
        let one = certificate(1, 1, 7);
        let journal = journal(vec![
            issued(one),
            revoked(one, RevocationReason::CertificateHold, 1_700_000_000, 1),
            revoked(one, RevocationReason::Superseded, 1_700_000_100, 1),
            revoked(one, RevocationReason::KeyCompromise, 1_700_000_200, 1),
        ]);
        let (mut record, index) = (None, StatusIndex::new());
        index.apply(&journal).unwrap();
        let folded: Vec<_> =
            journal.iter().map(|numbered| Record::apply(&mut record, numbered).unwrap()).collect();
        let numbers = |folded: &Folded| match folded {
            Folded::Breached(Breach { what: BreachKind::Number { said, due }, counted: true, .. }) => {
                Some((*said, *due))
            }
            _ => None,
        };
        assert_eq!(folded.iter().filter_map(numbers).collect::<Vec<_>>(), [(1, 2), (1, 3)]);
        let record = record.unwrap();
        let stands = CertStatus::Revoked(Revocation {
            revoked_at: UnixTime::from_seconds(1_700_000_000),
            reason: RevocationReason::KeyCompromise,
            invalidity_date: None,
        });
        assert_eq!((record.status(), record.changes.len()), (stands, 3));
        assert_eq!(index.find(AuthorityId(1), &one.serial).disagrees_with(&record), None);
    }

    #[test]
    fn an_entry_that_cannot_be_folded_is_told_and_those_behind_it_are_folded() {
        let (known, unknown) = (certificate(1, 1, 7), certificate(1, 1, 8));
        let index = StatusIndex::new();
        let journal = journal(vec![
            issued(known),
            revoked(unknown, RevocationReason::Superseded, 5, 1),
            revoked(certificate(1, 2, 7), RevocationReason::Superseded, 5, 1),
            revoked(known, RevocationReason::Superseded, 5, 1),
        ]);
        let what = Absent::Certificate(unknown);
        assert_eq!(index.apply(&journal), Err(FoldError::Unknown { position: Position(2), what }));
        assert!(matches!(index.find(AuthorityId(1), &known.serial).cert_status(), CertStatus::Revoked(_)));
        assert_eq!(index.find(AuthorityId(1), &unknown.serial), StatusWord::NEVER_ISSUED);
        assert_eq!((index.position(), index.issued(AuthorityId(1))), (Position(4), 1));
    }

    #[test]
    fn every_certificate_is_passed_in_the_order_of_serials() {
        let index = StatusIndex::new();
        let mut rising = SERIALS.to_vec();
        // Enough for both lists of the sparse part.
        rising.extend((0..3_000).map(|n| (1 << 40) + 5 * n));
        rising.sort_unstable();
        let events: Vec<Event> =
            rising.iter().rev().map(|serial| issued(certificate(2, 1, *serial))).collect();
        journal(events).chunks(100).for_each(|group| index.apply(group).unwrap());
        let changed = certificate(2, 1, (1 << 40) + 500);
        let held = numbered(9_000, revoked(changed, RevocationReason::CertificateHold, 5, 1));
        index.apply(&[held]).unwrap();
        let walked: Vec<_> = index.each(AuthorityId(2)).collect();
        assert_eq!(walked.iter().map(|(serial, _)| serial.to_u64().unwrap()).collect::<Vec<_>>(), rising);
        for (serial, word) in walked {
            assert_eq!(word, index.find(AuthorityId(2), &serial));
            assert_eq!(matches!(word.cert_status(), CertStatus::Revoked(_)), serial == changed.serial);
        }
        assert_eq!(index.each(AuthorityId(3)).count(), 0);
    }

    /// Puts a word in the place of that which stands.
    fn overrule(index: &StatusIndex, serial: &SerialNumber, word: StatusWord) {
        let authority = AuthorityId(1);
        let seen = index.find(authority, serial);
        index.overrule(&[Overruled { authority, serial: *serial, seen, word }]);
    }

    #[test]
    fn a_word_is_overruled_in_both_parts_and_the_count_follows() {
        let index = StatusIndex::new();
        let known = [certificate(1, 1, 7), certificate(1, 1, 1 << 40)];
        index.apply(&journal(known.map(issued).to_vec())).unwrap();
        for one in known {
            let mut record = None;
            Record::apply(&mut record, &numbered(1, issued(one))).unwrap();
            let revoked = revoked(one, RevocationReason::KeyCompromise, 1_700_000_000, 1);
            Record::apply(&mut record, &numbered(2, revoked)).unwrap();
            let record = record.unwrap();
            let word = index.find(one.authority, &one.serial);
            assert!(matches!(word.disagrees_with(&record), Some(Difference::Status { .. })));
            overrule(&index, &one.serial, StatusWord::of(&record));
            assert_eq!(index.find(one.authority, &one.serial).disagrees_with(&record), None);
        }
        assert_eq!(index.issued(AuthorityId(1)), 2);
        let word = index.find(AuthorityId(1), &known[0].serial);
        for serial in [9, 1 << 50].map(|serial| SerialNumber::try_from(serial).unwrap()) {
            overrule(&index, &serial, word);
            assert_eq!((index.find(AuthorityId(1), &serial), index.issued(AuthorityId(1))), (word, 3));
            overrule(&index, &serial, StatusWord::NEVER_ISSUED);
            assert_eq!(index.issued(AuthorityId(1)), 2);
        }
        // The next entry follows what was put there.
        let released =
            Event::Released(StatusChange { certificate: known[0], became: (), change: 1, cause: None });
        index.apply(&[numbered(9, released)]).unwrap();
        assert_eq!(index.find(AuthorityId(1), &known[0].serial), word);
    }

    #[test]
    fn what_changed_since_it_was_seen_is_overruled_by_what_is_for_ever_alone() {
        let index = StatusIndex::new();
        let both = [certificate(1, 1, 7), certificate(1, 1, 1 << 40)];
        index.apply(&journal(both.map(issued).to_vec())).unwrap();
        let good = both.map(|one| index.find(one.authority, &one.serial));
        let word = |reason| {
            let mut record = None;
            Record::apply(&mut record, &numbered(1, issued(both[0]))).unwrap();
            Record::apply(&mut record, &numbered(2, revoked(both[0], reason, 1_700_000_000, 1))).unwrap();
            StatusWord::of(&record.unwrap())
        };
        let [held, last] = [RevocationReason::CertificateHold, RevocationReason::KeyCompromise].map(word);
        let overrule = |seen: [StatusWord; 2], word| {
            let of = |(one, seen): (CertificateRef, StatusWord)| Overruled {
                authority: one.authority,
                serial: one.serial,
                seen,
                word,
            };
            index.overrule(&Vec::from_iter(both.into_iter().zip(seen).map(of)));
            both.map(|one| index.find(one.authority, &one.serial))
        };
        // Revoked since: what was good a while ago does not come back, nor does a hold.
        let superseded = both.map(|one| revoked(one, RevocationReason::Superseded, 1_800_000_000, 1));
        let entries: Vec<Numbered> =
            (3..).zip(superseded).map(|(position, event)| numbered(position, event)).collect();
        index.apply(&entries).unwrap();
        let now = both.map(|one| index.find(one.authority, &one.serial));
        assert_eq!(overrule(good, good[0]), now);
        assert_eq!(overrule(good, held), now);
        assert_eq!(overrule(good, last), now, "two that are for ever: the entries know better");
        assert_eq!(overrule(now, last), [last; 2], "as it was seen");
        let released = StatusIndex::new();
        released.apply(&journal(both.map(issued).to_vec())).unwrap();
        let one = Overruled { authority: AuthorityId(1), serial: both[0].serial, seen: held, word: last };
        released.overrule(&[one]);
        assert_eq!(released.find(AuthorityId(1), &both[0].serial), last, "it is not good whatever was seen");
        assert!(held.severity() > good[0].severity() && last.severity() > held.severity());
        assert!(
            last.severity() > now[0].severity() && good[0].severity() > StatusWord::NEVER_ISSUED.severity()
        );
    }

    #[test]
    fn a_snapshot_taken_while_entries_are_folded_is_made_exact_by_replay() {
        let journal: Vec<Numbered> = (1..200_001_u64)
            .map(|position| {
                let certificate = certificate(1, 1, position % 70_000 + 1);
                let event = match position {
                    1..=70_000 => issued(certificate),
                    70_001..=140_000 => {
                        let at = i64::try_from(position).unwrap();
                        revoked(certificate, RevocationReason::CertificateHold, at, 1)
                    }
                    _ => Event::Released(StatusChange { certificate, became: (), change: 2, cause: None }),
                };
                numbered(position, event)
            })
            .collect();
        let (before, during) = journal.split_at(80_000);
        let index = StatusIndex::new();
        index.apply(before).unwrap();
        let taken = std::thread::scope(|threads| {
            let folding = threads.spawn(|| during.chunks(100).for_each(|group| index.apply(group).unwrap()));
            let taken = index.snapshot();
            folding.join().unwrap();
            taken
        });
        let restored = StatusIndex::new();
        restored.restore(&taken).unwrap();
        restored.apply(during).unwrap();
        assert_eq!(restored.snapshot(), index.snapshot());
        assert_eq!(restored.issued(AuthorityId(1)), 70_000);
    }

    #[test]
    fn a_damaged_snapshot_is_refused_and_changes_nothing() {
        let index = StatusIndex::new();
        let certificates = SERIALS.map(|serial| issued(certificate(3, 2, serial)));
        index.apply(&journal(certificates.to_vec())).unwrap();
        let taken = index.snapshot();
        for end in 0..taken.len().min(4_000) {
            let new = StatusIndex::new();
            assert!(new.restore(&taken[..end]).is_err(), "{end}");
            assert_eq!(new.opened().count(), 0);
        }
        assert_eq!(StatusIndex::new().restore(&[&taken[..], &[0]].concat()), Err(SnapshotError::Length));
        let mut other = taken.clone();
        other[7] ^= 1;
        assert_eq!(StatusIndex::new().restore(&other), Err(SnapshotError::Version));
        assert_eq!(index.restore(&taken), Err(SnapshotError::NotEmpty));
        let new = StatusIndex::new();
        new.restore(&taken).unwrap();
        assert_eq!(words(&new), words(&index));
    }

    #[test]
    fn random_serials_stay_in_order_through_many_merges() {
        let index = StatusIndex::new();
        let serial = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 << 63;
        let entries: Vec<Numbered> =
            (1..5_001).map(|n| numbered(n, issued(certificate(0, 1, serial(n))))).collect();
        entries.chunks(37).for_each(|group| index.apply(group).unwrap());
        for n in 1..5_001 {
            let word = index.find(AuthorityId(0), &SerialNumber::try_from(serial(n)).unwrap());
            assert_eq!(word.cert_status(), CertStatus::Good);
            assert_eq!(word.since(), numbered(n, Event::RequestSeen).entry.recorded_at);
        }
        let never = SerialNumber::try_from(serial(6_000)).unwrap();
        assert_eq!(index.find(AuthorityId(0), &never), StatusWord::NEVER_ISSUED);
        assert_eq!(index.issued(AuthorityId(0)), 5_000);
    }
}
