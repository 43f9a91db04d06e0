//! The index over all authorities.

use std::collections::BTreeMap;
use std::sync::{OnceLock, PoisonError};

use super::dense::Dense;
use super::snapshot::{self, SnapshotError};
use super::sparse::Sparse;
use super::word::StatusWord;
use crate::der::UnixTime;
use crate::pki::{AuthorityId, SerialNumber};
use crate::record::Numbered;
use crate::sync::{AtomicI64, AtomicU64, Mutex, Ordering};

/// The status of every certificate of every authority.
///
/// One thread applies entries, in the journal's order; any number look statuses up meanwhile.
/// A look-up that starts after [`Self::apply`] has returned sees what it applied.
pub struct StatusIndex {
    /// One place for each authority number.
    authorities: Box<[OnceLock<Authority>]>,
    last_recorded_at: AtomicI64,
    /// Held by whoever changes the index.
    writing: Mutex<()>,
}

struct Authority {
    dense: Dense,
    sparse: Sparse,
    issued: AtomicU64,
}

impl StatusIndex {
    /// An index in which nothing was ever issued.
    #[must_use]
    pub fn new() -> Self {
        Self {
            authorities: (0..=u8::MAX).map(|_| OnceLock::new()).collect(),
            last_recorded_at: AtomicI64::new(0),
            writing: Mutex::new(()),
        }
    }

    /// The status of a serial of `authority`: one atomic load for a serial below 2³².
    ///
    /// Who reads [`Self::last_recorded_at`] after this sees a time that is not before the
    /// change found, unless the clock was released since.
    #[must_use]
    pub fn find(&self, authority: AuthorityId, serial: &SerialNumber) -> StatusWord {
        let Some(authority) = self.authorities.get(usize::from(authority.0)).and_then(OnceLock::get) else {
            return StatusWord::NEVER_ISSUED;
        };
        match dense_serial(serial) {
            Some(serial) => authority.dense.find(serial),
            None => authority.sparse.find(serial),
        }
    }

    /// Folds entries that follow, in the journal, those folded before. Folding a stretch of
    /// the journal again is harmless once it has been folded to its end.
    pub fn apply(&self, entries: &[Numbered]) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // The time first: a status must never be seen before the time it was recorded at.
        let mark =
            entries.iter().fold(self.last_recorded_at(), |mark, numbered| numbered.entry.mark_after(mark));
        self.set_last_recorded_at(mark);
        let mut sparse: BTreeMap<AuthorityId, BTreeMap<SerialNumber, StatusWord>> = BTreeMap::new();
        for Numbered { entry, .. } in entries {
            let Some(certificate) = entry.event.certificate() else { continue };
            let Some(authority) = self.authority(certificate.authority) else { continue };
            let serial = certificate.serial;
            let pending = sparse.get(&certificate.authority).and_then(|words| words.get(&serial)).copied();
            let before = pending.unwrap_or_else(|| self.find(certificate.authority, &serial));
            let Some(after) = before.after(entry) else { continue };
            match dense_serial(&serial) {
                Some(serial) => authority.dense.store(serial, after),
                None => {
                    sparse.entry(certificate.authority).or_default().insert(serial, after);
                }
            }
            if !before.is_issued() {
                authority.issued.fetch_add(1, Ordering::Relaxed);
            }
        }
        for (authority, words) in sparse {
            if let Some(authority) = self.authority(authority) {
                authority.sparse.store(words);
            }
        }
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

    /// The whole index as octets, taken while entries may be folded: some words may be newer
    /// than others. Folding all entries from the last one folded before this call began makes
    /// it exact. No checksum: whoever writes it to a file adds one.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = snapshot::begin(self.last_recorded_at(), self.opened().count());
        for (id, authority) in self.opened() {
            let dense = authority.dense.chunks();
            snapshot::write_authority(&mut out, id, dense, &authority.sparse.all());
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
        for part in parsed.authorities {
            let Some(authority) = self.authority(part.authority) else { continue };
            let mut issued = part.sparse.len();
            for (serial, word) in part.dense() {
                authority.dense.store(serial, word);
                issued += usize::from(word.is_issued());
            }
            authority.sparse.store(part.sparse);
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

/// The serial, if it belongs into the dense part.
fn dense_serial(serial: &SerialNumber) -> Option<u32> {
    serial.to_u64().and_then(|serial| u32::try_from(serial).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pki::{CertStatus, CertificateKind, Generation, Revocation, RevocationReason};
    use crate::record::{
        ArchivePlace, CertificateRef, Entry, Event, Issued, Origin, Position, Record, StatusChange,
    };

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
        Event::Issued(Issued {
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
        })
    }

    fn numbered(position: u64, event: Event) -> Numbered {
        let recorded_at = UnixTime::from_seconds(1_800_000_000 + i64::try_from(position).unwrap() / 3);
        Numbered {
            position: Position(position),
            entry: Entry { recorded_at, origin: Origin::service(), event },
        }
    }

    /// One event about one of a few certificates, sensible or not.
    fn event() -> impl Strategy<Value = Event> {
        let certificate = (0_u8..3, 1_u8..3, prop::sample::select(SERIALS.to_vec()))
            .prop_map(|(authority, generation, serial)| certificate(authority, generation, serial));
        let reason = prop::sample::select(RevocationReason::ALL.to_vec());
        (certificate, 0..6, reason, any::<u32>(), 0_i64..2_000_000_000).prop_map(
            |(certificate, what, reason, change, revoked_at)| match what {
                0 | 1 => issued(certificate),
                2 => Event::Released(StatusChange { certificate, became: (), change }),
                3 => Event::RequestSeen,
                _ => {
                    let revoked_at = UnixTime::from_seconds(revoked_at);
                    let became = Revocation { revoked_at, reason, invalidity_date: None };
                    Event::Revoked(StatusChange { certificate, became, change })
                }
            },
        )
    }

    fn journal(events: Vec<Event>) -> Vec<Numbered> {
        (1..).zip(events).map(|(position, event)| numbered(position, event)).collect()
    }

    fn words(index: &StatusIndex) -> Vec<StatusWord> {
        let authorities = (0..4).flat_map(|authority| SERIALS.map(|serial| (authority, serial)));
        let serial = |serial| SerialNumber::try_from(serial).unwrap();
        authorities.map(|(authority, number)| index.find(AuthorityId(authority), &serial(number))).collect()
    }

    proptest! {
        // A snapshot of words at the ends of their chunks has half a megabyte each.
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn the_index_and_the_records_are_one_fold(
            events in prop::collection::vec(event(), 0..200), group in 1_usize..20,
        ) {
            let journal = journal(events);
            let index = StatusIndex::new();
            for entries in journal.chunks(group) {
                index.apply(entries);
            }
            let mut issued = [0_u64; 3];
            for (authority, serial) in (0_u8..3).flat_map(|a| SERIALS.map(|serial| (a, serial))) {
                let serial = SerialNumber::try_from(serial).unwrap();
                let mut record = None;
                let about = journal.iter().filter(|numbered| {
                    numbered.entry.event.certificate()
                        .is_some_and(|c| c.authority.0 == authority && c.serial == serial)
                });
                about.for_each(|numbered| Record::apply(&mut record, numbered));
                let word = index.find(AuthorityId(authority), &serial);
                match record {
                    None => prop_assert_eq!(word, StatusWord::NEVER_ISSUED),
                    Some(record) => {
                        issued[usize::from(authority)] += 1;
                        prop_assert_eq!(word.cert_status(), record.status());
                        prop_assert_eq!(word.generation(), Some(record.issued.certificate.generation));
                        prop_assert_eq!(word.seconds_unchanged(record.changed_at()), 0);
                    }
                }
            }
            for (authority, count) in (0..).zip(issued) {
                prop_assert_eq!(index.issued(AuthorityId(authority)), count);
            }
            let last = journal.last().map_or(UnixTime::default(), |last| last.entry.recorded_at);
            prop_assert_eq!(index.last_recorded_at(), last);
        }

        #[test]
        fn a_fuzzy_snapshot_and_a_replay_are_exact(
            events in prop::collection::vec(event(), 0..120), began in 0_usize..120, ended in 0_usize..120,
        ) {
            let journal = journal(events);
            let began = began.min(journal.len());
            let ended = ended.clamp(began, journal.len());
            // Words of any time between: the whole snapshot as it was at the end of its
            // making is the newest it can be, its beginning the oldest.
            let index = StatusIndex::new();
            index.apply(&journal[..began]);
            index.apply(&journal[began..ended]);
            let taken = index.snapshot();
            index.apply(&journal[ended..]);

            let restored = StatusIndex::new();
            restored.restore(&taken).unwrap();
            restored.apply(&journal[began..]);
            prop_assert_eq!(words(&restored), words(&index));
            prop_assert_eq!(restored.last_recorded_at(), index.last_recorded_at());
            for authority in 0..4 {
                prop_assert_eq!(restored.issued(AuthorityId(authority)), index.issued(AuthorityId(authority)));
            }
            prop_assert_eq!(restored.snapshot(), index.snapshot());
        }
    }

    #[test]
    fn a_snapshot_taken_while_entries_are_folded_is_made_exact_by_replay() {
        let journal: Vec<Numbered> = (1..200_001_u64)
            .map(|position| {
                let certificate = certificate(1, 1, position % 70_000 + 1);
                let event = if position <= 70_000 {
                    issued(certificate)
                } else {
                    let became = Revocation {
                        revoked_at: UnixTime::from_seconds(i64::try_from(position).unwrap()),
                        reason: RevocationReason::CertificateHold,
                        invalidity_date: None,
                    };
                    Event::Revoked(StatusChange { certificate, became, change: 1 })
                };
                numbered(position, event)
            })
            .collect();
        let (before, during) = journal.split_at(80_000);
        let index = StatusIndex::new();
        index.apply(before);
        let taken = std::thread::scope(|threads| {
            let folding = threads.spawn(|| during.chunks(100).for_each(|group| index.apply(group)));
            let taken = index.snapshot();
            folding.join().unwrap();
            taken
        });
        let restored = StatusIndex::new();
        restored.restore(&taken).unwrap();
        restored.apply(during);
        assert_eq!(restored.snapshot(), index.snapshot());
        assert_eq!(restored.issued(AuthorityId(1)), 70_000);
    }

    #[test]
    fn a_damaged_snapshot_is_refused_and_changes_nothing() {
        let index = StatusIndex::new();
        let certificates = SERIALS.map(|serial| issued(certificate(3, 2, serial)));
        index.apply(&journal(certificates.to_vec()));
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
        entries.chunks(37).for_each(|group| index.apply(group));
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
