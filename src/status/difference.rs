//! Where the index and the records disagree about a certificate.

use std::fmt;

use super::StatusWord;
use super::word::SINCE_MAX;
use crate::der::UnixTime;
use crate::pki::{CertStatus, Generation, Revocation};
use crate::record::Record;

/// The first thing that a word and a record of one certificate say differently. One of both folds is
/// wrong then, and neither says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// Good, on hold or revoked, or the ground of it.
    Status {
        /// As the index has it.
        index: CertStatus,
        /// As it is on record.
        record: CertStatus,
    },
    /// revocationDate; while it is good, when it was issued or released.
    Since {
        /// As the index has it.
        index: UnixTime,
        /// As it is on record.
        record: UnixTime,
    },
    /// The key that issued it.
    Generation {
        /// As the index has it; none when it knows of no issue.
        index: Option<Generation>,
        /// As it is on record.
        record: Generation,
    },
    /// How many changes it has had: one is lost, or counted twice.
    Changes {
        /// As the index counts them, from 1 to 63 and again.
        index: u8,
        /// Those on record.
        record: usize,
    },
    /// When it last changed.
    Changed {
        /// As it is on record.
        record: UnixTime,
        /// Seconds from what the index has to that, modulo 4096.
        apart: u64,
    },
}

impl StatusWord {
    /// Compares the word with a record of the same certificate: status and ground, date, generation,
    /// number of changes, and the second of the last one. invalidityDate is not in a word. Reads the
    /// word by its fields, and so not by what writes them.
    #[must_use]
    pub fn disagrees_with(self, record: &Record) -> Option<Difference> {
        let (own, theirs) = (self.cert_status(), record.status());
        if kind_of(own) != kind_of(theirs) {
            return Some(Difference::Status { index: own, record: theirs });
        }
        let since = match theirs {
            CertStatus::Revoked(revocation) => revocation.revoked_at,
            CertStatus::Good | CertStatus::Unknown => record.changed_at(),
        };
        let kept = i64::try_from(SINCE_MAX).map_or(since, |most| since.min(UnixTime::from_seconds(most)));
        if self.since() != kept {
            return Some(Difference::Since { index: self.since(), record: since });
        }
        let generation = record.issued.certificate.generation;
        if self.generation() != Some(generation) {
            return Some(Difference::Generation { index: self.generation(), record: generation });
        }
        let changes = record.changes.len();
        if usize::from(self.changes()) != counted(changes) {
            return Some(Difference::Changes { index: self.changes(), record: changes });
        }
        match self.seconds_unchanged(record.changed_at()) {
            0 => None,
            apart => Some(Difference::Changed { record: record.changed_at(), apart }),
        }
    }
}

/// A status without its dates.
fn kind_of(status: CertStatus) -> CertStatus {
    match status {
        CertStatus::Revoked(Revocation { reason, .. }) => {
            CertStatus::Revoked(Revocation { revoked_at: UnixTime::default(), reason, invalidity_date: None })
        }
        other => other,
    }
}

/// So many changes as a word counts them: 0, then 1 to 63, and from 1 again.
const fn counted(changes: usize) -> usize {
    match changes {
        0 => 0,
        more => match more % 63 {
            0 => 63,
            rest => rest,
        },
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { index, record } => {
                write!(f, "the index has it {}, the records have it {}", Told(*index), Told(*record))
            }
            Self::Since { index, record } => write!(f, "the index dates it {index}, the records {record}"),
            Self::Generation { index: Some(index), record } => {
                write!(f, "the index has it of generation {index}, the records of {record}")
            }
            Self::Generation { index: None, record } => {
                write!(f, "the index knows of no issue, the records of one by generation {record}")
            }
            Self::Changes { index, record } => {
                write!(f, "the index counts {index} changes (modulo 63), the records have {record}")
            }
            Self::Changed { record, apart } => {
                write!(
                    f,
                    "the records have it changed at {record}, the index {apart} seconds before (modulo 4096)"
                )
            }
        }
    }
}

/// A status in words.
struct Told(CertStatus);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            CertStatus::Unknown => f.write_str("never issued"),
            CertStatus::Good => f.write_str("good"),
            CertStatus::Revoked(held) if held.is_hold() => f.write_str("on hold"),
            CertStatus::Revoked(revocation) => write!(f, "revoked ({})", revocation.reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{AuthorityId, CertificateKind, RevocationReason, SerialNumber};
    use crate::record::{ArchivePlace, CertificateRef, Change, Issued, Position};

    const START: i64 = 1_800_000_000;

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(START + seconds)
    }

    fn revoked(seconds: i64, reason: RevocationReason) -> CertStatus {
        CertStatus::Revoked(Revocation { revoked_at: at(seconds), reason, invalidity_date: None })
    }

    /// A record with these changes, one each ten seconds.
    fn record(generation: u8, changes: &[CertStatus]) -> Record {
        let certificate = CertificateRef {
            authority: AuthorityId(1),
            generation: Generation::new(generation).unwrap(),
            serial: SerialNumber::try_from(7).unwrap(),
        };
        let issued = Issued {
            certificate,
            kind: CertificateKind::PhoneAuth,
            partition: None,
            not_before: at(0),
            not_after: UnixTime::MAX,
            archive: ArchivePlace(0),
            sha256: [0; 32],
            holder: None,
            card: None,
            twin: None,
        };
        let change = |(number, status): (i64, &CertStatus)| Change {
            position: Position(1 + u64::try_from(number).unwrap()),
            recorded_at: at(10 * number),
            status: *status,
            cause: None,
        };
        let changes = (1..).zip(changes).map(change).collect();
        Record { position: Position(1), recorded_at: at(0), issued, changes }
    }

    #[test]
    fn each_thing_that_differs_is_named() {
        let held = revoked(10, RevocationReason::CertificateHold);
        let compromised = revoked(10, RevocationReason::KeyCompromise);
        let superseded = revoked(10, RevocationReason::Superseded);
        let good = CertStatus::Good;
        let word = |generation, changes: &[CertStatus]| StatusWord::of(&record(generation, changes));
        let differs =
            |word: StatusWord, other: &Record| word.disagrees_with(other).map(|one| one.to_string());
        assert_eq!(differs(word(1, &[held, good]), &record(1, &[held, good])), None);
        for (word, record, told) in [
            (word(1, &[]), record(1, &[held]), "the index has it good, the records have it on hold"),
            (
                StatusWord::NEVER_ISSUED,
                record(1, &[]),
                "the index has it never issued, the records have it good",
            ),
            (
                word(1, &[compromised]),
                record(1, &[superseded]),
                "the index has it revoked (keyCompromise), the records have it revoked (superseded)",
            ),
            (
                word(1, &[held]),
                record(1, &[revoked(9, RevocationReason::CertificateHold)]),
                "the index dates it 2027-01-15T08:00:10Z, the records 2027-01-15T08:00:09Z",
            ),
            (
                word(1, &[held, good]),
                record(1, &[]),
                "the index dates it 2027-01-15T08:00:20Z, the records 2027-01-15T08:00:00Z",
            ),
            (word(2, &[held]), record(1, &[held]), "the index has it of generation 2, the records of 1"),
            (
                word(1, &[held, compromised]),
                record(1, &[compromised]),
                "the index counts 2 changes (modulo 63), the records have 1",
            ),
        ] {
            assert_eq!(differs(word, &record).as_deref(), Some(told));
        }
        let mut later = record(1, &[compromised]);
        later.changes[0].recorded_at = at(17);
        let changed = Difference::Changed { record: at(17), apart: 7 };
        assert_eq!(word(1, &[compromised]).disagrees_with(&later), Some(changed));
        assert!(changed.to_string().ends_with("the index 7 seconds before (modulo 4096)"), "{changed}");
    }

    #[test]
    fn the_count_of_a_word_goes_round() {
        for changes in [0, 1, 62, 63, 64, 126, 127, 1000] {
            let (held, good) = (revoked(10, RevocationReason::CertificateHold), CertStatus::Good);
            let record = record(1, &[held, good].repeat(500)[..changes]);
            assert_eq!(StatusWord::of(&record).disagrees_with(&record), None, "{changes}");
        }
    }
}
