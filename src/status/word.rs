//! The status of one certificate in 64 bits.

use crate::der::UnixTime;
use crate::pki::{CertStatus, Generation, Revocation, RevocationReason};
use crate::record::{Absent, Entry, Event, FoldError, Numbered, Record};

/// What the index knows about one serial number. Two equal words are the same status: nothing
/// that an answer says can change without changing the word.
///
/// | bits | field | unit |
/// |---|---|---|
/// | 63–62 | state | 0 never issued, 1 good, 2 revoked, 3 on hold |
/// | 61–58 | reason | CRLReason; 0 while good |
/// | 57–52 | generation | 1–63; 0 only when never issued |
/// | 51–18 | since | seconds since 1970: revocationTime, or when issued or released |
/// | 17–6 | changed | recorded_at of the last change, seconds modulo 4096 |
/// | 5–0 | changes | 0 since the issue; then 1 to 63, and from 1 again |
///
/// The count tells a hold apart from the hold before it, should both bear the same second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct StatusWord(u64);

/// Bits 63–62.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    NeverIssued,
    Good,
    Revoked,
    Hold,
}

const STATE: u32 = 62;
const REASON: u32 = 58;
const GENERATION: u32 = 52;
const SINCE: u32 = 18;
const CHANGED: u32 = 6;
const CHANGES: u32 = 0;

/// 34 bits of seconds last until 2514; a later time is stored as this one.
pub(super) const SINCE_MAX: u64 = (1 << (REASON - 6 - SINCE)) - 1;
/// Seconds after which the field `changed` repeats: 68 minutes.
const CHANGED_MODULUS: u64 = 1 << (SINCE - CHANGED);
/// Counts a change can have: 0 is kept for the issue.
const CHANGES_MODULUS: u32 = (1 << (CHANGED - CHANGES)) - 1;

impl StatusWord {
    /// The word of a serial that was never issued.
    pub const NEVER_ISSUED: Self = Self(0);

    /// What an entry makes of this word, by the rule of [`crate::record::succession`]; nothing if
    /// it is about no certificate, or breaks the rule and is passed over. The records tell of a
    /// breach. Whoever asks knows that the entry is about this serial, and was not folded before.
    ///
    /// # Errors
    /// [`FoldError::Unknown`]: no such certificate was issued.
    pub fn after(self, numbered: &Numbered) -> Result<Option<Self>, FoldError> {
        let Numbered { position, entry } = numbered;
        let Some(certificate) = entry.event.certificate() else { return Ok(None) };
        let unknown = |what| Err(FoldError::Unknown { position: *position, what });
        match self.generation() {
            None => {
                return match entry.event {
                    Event::Issued(_) => {
                        Ok(Some(self.becoming(CertStatus::Good, certificate.generation, entry)))
                    }
                    _ => unknown(Absent::Certificate(*certificate)),
                };
            }
            Some(known) if known != certificate.generation => {
                return unknown(Absent::Generation { certificate: *certificate, known });
            }
            Some(_) => {}
        }
        let status = match (self.state(), &entry.event) {
            (State::Good, Event::Revoked(change)) => CertStatus::Revoked(change.became),
            (State::Hold, Event::Revoked(change)) if !change.became.is_hold() => self.dated(change.became),
            (State::Revoked, Event::Revoked(change)) if self.sharpened_by(change.became) => {
                self.dated(change.became)
            }
            (State::Hold, Event::Released(_)) => CertStatus::Good,
            _ => return Ok(None),
        };
        Ok(Some(self.becoming(status, certificate.generation, entry)))
    }

    /// The word once the key that issued the certificate is compromised: one final revocation more, unless
    /// there is one.
    pub(super) fn compromised(self, since: UnixTime) -> Self {
        let became =
            Revocation { revoked_at: since, reason: RevocationReason::CaCompromise, invalidity_date: None };
        let status = match self.state() {
            State::NeverIssued | State::Revoked => return self,
            State::Good => CertStatus::Revoked(became),
            State::Hold => self.dated(became),
        };
        let Some(generation) = self.generation() else { return self };
        Self::new(status, generation, since, u32::from(self.changes()) + 1)
    }

    /// What is said of whatever serial under a key that is compromised: who has the key may have issued it
    /// (RFC 6960 §2.7).
    pub(super) fn under_compromised(generation: Generation, since: UnixTime) -> Self {
        Self::new(CertStatus::Good, generation, since, 0).compromised(since)
    }

    /// The word of what a record says: for answers while the two folds disagree.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let changes = u32::try_from(record.changes.len()).unwrap_or(u32::MAX);
        let generation = record.issued.certificate.generation;
        Self::new(record.status(), generation, record.changed_at(), changes)
    }

    /// The word of a revocation whose certificate this index does not know, or knows by another key: it
    /// must not go unanswered until the index is made anew. None for what revokes nothing.
    #[must_use]
    pub fn of_lost(entry: &Entry) -> Option<Self> {
        match &entry.event {
            Event::Revoked(change) => {
                let status = CertStatus::Revoked(change.became);
                Some(Self::new(status, change.certificate.generation, entry.recorded_at, change.change))
            }
            _ => None,
        }
    }

    /// Orders words of one certificate by how much they say against it: never issued, good, on hold,
    /// revoked; of two revocations keyCompromise, and then the earlier date, says more.
    #[must_use]
    pub fn severity(self) -> impl Ord + use<> {
        let (rank, revocation) = match self.cert_status() {
            CertStatus::Unknown => (0, None),
            CertStatus::Good => (1, None),
            CertStatus::Revoked(it) if it.is_hold() => (2, Some(it)),
            CertStatus::Revoked(it) => (3, Some(it)),
        };
        let worst = revocation.is_some_and(|it| it.reason == RevocationReason::KeyCompromise);
        (rank, worst, revocation.map(|it| std::cmp::Reverse(it.revoked_at)))
    }

    /// True for a revocation that is for ever.
    #[must_use]
    pub fn is_final(self) -> bool {
        self.state() == State::Revoked
    }

    /// The word after this one: its number is one more, counted here and not read off the entry.
    fn becoming(self, status: CertStatus, generation: Generation, entry: &Entry) -> Self {
        let changes = if self.is_issued() { u32::from(self.changes()) + 1 } else { 0 };
        Self::new(status, generation, entry.recorded_at, changes)
    }

    /// A revocation that follows what stands, dated as the earlier of both.
    fn dated(self, became: Revocation) -> CertStatus {
        CertStatus::Revoked(Revocation { revoked_at: became.revoked_at.min(self.since()), ..became })
    }

    /// True when the ground that stands gives way to this one.
    fn sharpened_by(self, became: Revocation) -> bool {
        const SHARPEST: RevocationReason = RevocationReason::KeyCompromise;
        became.reason == SHARPEST && self.field(REASON, 4) != SHARPEST.code()
    }

    fn new(status: CertStatus, generation: Generation, recorded_at: UnixTime, changes: u32) -> Self {
        let (state, reason, since) = match status {
            CertStatus::Unknown => return Self::NEVER_ISSUED,
            CertStatus::Good => (1, 0, recorded_at),
            CertStatus::Revoked(revocation) => {
                (if revocation.is_hold() { 3 } else { 2 }, revocation.reason.code(), revocation.revoked_at)
            }
        };
        Self(
            state << STATE
                | u64::from(reason) << REASON
                | u64::from(generation.number()) << GENERATION
                | seconds(since).min(SINCE_MAX) << SINCE
                | (seconds(recorded_at) % CHANGED_MODULUS) << CHANGED
                | u64::from(changes_field(changes)) << CHANGES,
        )
    }

    /// Takes a word as it stood in memory.
    ///
    /// `None` when no entry could have made it.
    #[must_use]
    pub fn from_bits(bits: u64) -> Option<Self> {
        let word = Self(bits);
        let reason = RevocationReason::from_code(word.field(REASON, 4))?;
        let hold = reason == RevocationReason::CertificateHold;
        let possible = match word.state() {
            State::NeverIssued => bits == 0,
            State::Good => reason == RevocationReason::Unspecified,
            State::Revoked => !hold,
            State::Hold => hold,
        };
        (possible && (bits == 0 || word.generation().is_some())).then_some(word)
    }

    /// Takes a word that is known to be one.
    pub(crate) const fn from_memory(bits: u64) -> Self {
        Self(bits)
    }

    /// The word as it stands in memory and in snapshots.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// True once a certificate with this serial was issued.
    #[must_use]
    pub fn is_issued(self) -> bool {
        self != Self::NEVER_ISSUED
    }

    /// Which key of the authority signed the certificate; none when it was never issued.
    #[must_use]
    pub fn generation(self) -> Option<Generation> {
        Generation::new(self.field(GENERATION, 6))
    }

    /// The status. invalidityDate is not kept here: OCSP does not carry it.
    #[must_use]
    pub fn cert_status(self) -> CertStatus {
        match self.state() {
            State::NeverIssued => CertStatus::Unknown,
            State::Good => CertStatus::Good,
            State::Revoked | State::Hold => CertStatus::Revoked(Revocation {
                revoked_at: self.since(),
                reason: RevocationReason::from_code(self.field(REASON, 4))
                    .unwrap_or(RevocationReason::Unspecified),
                invalidity_date: None,
            }),
        }
    }

    /// revocationTime while revoked or held; else when it was issued or released.
    #[must_use]
    pub fn since(self) -> UnixTime {
        UnixTime::from_seconds(i64::try_from(self.0 >> SINCE & SINCE_MAX).unwrap_or(0))
    }

    /// Seconds from the last change of status to `now`, modulo 4096: exact for 68 minutes
    /// after a change, too small after that, never too large.
    #[must_use]
    pub fn seconds_unchanged(self, now: UnixTime) -> u64 {
        let changed = self.0 >> CHANGED & (CHANGED_MODULUS - 1);
        seconds(now).wrapping_sub(changed) % CHANGED_MODULUS
    }

    /// How many changes it has had, as the word counts them: 0 since the issue; then 1 to 63, and
    /// from 1 again.
    #[must_use]
    pub fn changes(self) -> u8 {
        self.field(CHANGES, CHANGED - CHANGES)
    }

    /// True while the status is the one it was issued with.
    #[must_use]
    pub fn is_as_issued(self) -> bool {
        self.is_issued() && self.changes() == 0
    }

    fn state(self) -> State {
        match self.0 >> STATE {
            0 => State::NeverIssued,
            1 => State::Good,
            2 => State::Revoked,
            _ => State::Hold,
        }
    }

    /// A field of at most eight bits.
    fn field(self, shift: u32, bits: u32) -> u8 {
        u8::try_from(self.0 >> shift & ((1 << bits) - 1)).unwrap_or(0)
    }
}

/// The count as a word holds it: only the issue has 0.
const fn changes_field(changes: u32) -> u32 {
    match changes {
        0 => 0,
        more => (more - 1) % CHANGES_MODULUS + 1,
    }
}

fn seconds(time: UnixTime) -> u64 {
    u64::try_from(time.seconds()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_word_keeps_every_field(
            reason in prop::sample::select(RevocationReason::ALL.to_vec()),
            generation in 1_u8..64, revoked_at in 0..i64::try_from(SINCE_MAX).unwrap(),
            later in 0_i64..4096, changes in any::<u32>(),
        ) {
            let generation = Generation::new(generation).unwrap();
            let revoked_at = UnixTime::from_seconds(revoked_at);
            let recorded_at = UnixTime::from_seconds(revoked_at.seconds() + 77);
            let status =
                CertStatus::Revoked(Revocation { revoked_at, reason, invalidity_date: None });
            let word = StatusWord::new(status, generation, recorded_at, changes);
            prop_assert_eq!(word.cert_status(), status);
            prop_assert_eq!(word.generation(), Some(generation));
            prop_assert_eq!(word.since(), revoked_at);
            let now = UnixTime::from_seconds(recorded_at.seconds() + later);
            prop_assert_eq!(word.seconds_unchanged(now), u64::try_from(later).unwrap());
            prop_assert_eq!(StatusWord::from_bits(word.bits()), Some(word));
            prop_assert_ne!(word, StatusWord::new(status, generation, recorded_at, changes.wrapping_add(1)));
        }
    }

    #[test]
    fn words_no_entry_makes_are_refused() {
        let good = StatusWord::new(CertStatus::Good, Generation::FIRST, UnixTime::from_seconds(9), 0);
        assert_eq!(StatusWord::from_bits(good.bits()), Some(good));
        assert_eq!(StatusWord::from_bits(0), Some(StatusWord::NEVER_ISSUED));
        for bits in [
            1,
            1 << GENERATION,
            1 << STATE,
            good.bits() | 1 << REASON,
            good.bits() | 7 << REASON,
            2 << STATE | 6 << REASON | 1 << GENERATION,
            3 << STATE | 1 << REASON | 1 << GENERATION,
        ] {
            assert_eq!(StatusWord::from_bits(bits), None, "{bits:#x}");
        }
    }
}
