//! The comparison itself: the records of one authority after the other, beside the words of the index.

use std::fmt;
use std::iter::Peekable;
use std::time::Duration;

use crate::pki::{AuthorityId, CertStatus, SerialNumber};
use crate::record::{Numbered, Position, Record};
use crate::status::{Difference, StatusIndex, StatusWord};
use crate::store::{Reading, StoreError};

/// A certificate that seems to differ may be changing at this moment, in one fold a moment before the
/// other: it is looked at again so often.
pub(super) const LOOKS: u32 = 200;

/// Between two looks.
const LOOK_APART: Duration = Duration::from_millis(5);

/// Where nothing moves, and behind [`WAITED_FOR`]: no time is spent on each of many.
const LOOKS_AT_ONCE: u32 = 1;

/// Differences that are waited for like that; when there are more, it is no coincidence.
const WAITED_FOR: usize = 20;

/// A certificate of which the two folds do not say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DifferingCertificate {
    /// Whose.
    pub authority: AuthorityId,
    /// Which.
    pub serial: SerialNumber,
    /// What the records say, or the entry that the index could not fold, as a word of the index.
    pub recorded: StatusWord,
    /// What the index says.
    pub indexed: StatusWord,
    /// In what they differ, where both know it.
    pub difference: Option<Difference>,
    /// The last entry that the index had heard when they were seen to differ.
    pub seen_at: Position,
}

impl DifferingCertificate {
    /// The one that does less harm when it is wrong.
    #[must_use]
    pub fn severer(&self) -> StatusWord {
        if self.recorded.severity() > self.indexed.severity() { self.recorded } else { self.indexed }
    }
}

impl fmt::Display for DifferingCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { authority, serial, recorded, indexed, difference, .. } = self;
        write!(f, "certificate {serial} of authority {}: ", authority.0)?;
        match difference {
            Some(difference) => write!(f, "{difference}"),
            None if recorded == indexed => {
                f.write_str("changes of it are on record, and its issue is in neither")
            }
            None => write!(f, "the records say {}, the status index {}", Said(*recorded), Said(*indexed)),
        }
    }
}

/// A word, for people.
struct Said(StatusWord);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.cert_status() {
            CertStatus::Unknown => f.write_str("never issued"),
            CertStatus::Good => write!(f, "good since {}", self.0.since()),
            CertStatus::Revoked(it) => write!(f, "revoked ({}) since {}", it.reason, it.revoked_at),
        }
    }
}

/// What a comparison came to.
#[derive(Debug, Default)]
pub struct Compared {
    /// Certificates of which both said the same.
    pub certificates: u64,
    /// Those of which they did not.
    pub differences: Vec<DifferingCertificate>,
}

/// Compares every certificate of every authority.
///
/// # Errors
/// When the records cannot be read.
pub fn compare(index: &StatusIndex, reading: &Reading<'_>) -> Result<Compared, StoreError> {
    let mut all = Compared::default();
    for authority in (0..=u8::MAX).map(AuthorityId) {
        let Compared { certificates, differences } = beside(index, reading, authority, &mut |_| {})?;
        all.certificates += certificates;
        all.differences.extend(differences);
    }
    Ok(all)
}

/// Compares every certificate of an authority. Each record is passed on, a newer one where the folds agree
/// on that; if any differs, nothing of it may be used.
pub(super) fn beside(
    index: &StatusIndex,
    reading: &Reading<'_>,
    authority: AuthorityId,
    each: &mut dyn FnMut(&Record),
) -> Result<Compared, StoreError> {
    let mut beside = Beside::new(index, reading, authority);
    let (mut failed, mut orphans) = (None, Vec::new());
    reading.each_or_orphan(
        authority,
        &mut |_, record| match failed.is_none().then(|| beside.take(record)) {
            Some(Ok(record)) => each(&record),
            Some(Err(error)) => failed = Some(error),
            None => {}
        },
        &mut |serial| {
            orphans.push(serial);
            Ok(())
        },
    )?;
    if let Some(error) = failed {
        return Err(error);
    }
    beside.finish(orphans)
}

/// Walks the index beside the records of one authority, both in the order of serials, so that what only
/// one of them has is found in either.
struct Beside<'a> {
    index: &'a StatusIndex,
    reading: &'a Reading<'a>,
    authority: AuthorityId,
    indexed: Peekable<Box<dyn Iterator<Item = (SerialNumber, StatusWord)> + 'a>>,
    compared: Compared,
}

impl<'a> Beside<'a> {
    fn new(index: &'a StatusIndex, reading: &'a Reading<'a>, authority: AuthorityId) -> Self {
        let indexed: Box<dyn Iterator<Item = _>> = Box::new(index.each(authority));
        Self { index, reading, authority, indexed: indexed.peekable(), compared: Compared::default() }
    }

    /// Takes the next record; the one that the index agrees with, which may be newer, or this.
    fn take(&mut self, record: Record) -> Result<Record, StoreError> {
        let serial = record.issued.certificate.serial;
        while let Some((passed, _)) = self.indexed.next_if(|(indexed, _)| *indexed < serial) {
            self.settle(passed, None)?;
        }
        let word = self.indexed.next_if(|(indexed, _)| *indexed == serial).map(|(_, word)| word);
        if word.is_some_and(|word| word.disagrees_with(&record).is_none()) {
            self.compared.certificates += 1;
            return Ok(record);
        }
        Ok(self.settle(serial, Some(&record))?.unwrap_or(record))
    }

    /// What the reading came to. What is left in the index was issued since, or is lost in the records;
    /// `orphans` are changes whose certificate is lost there.
    fn finish(mut self, orphans: Vec<SerialNumber>) -> Result<Compared, StoreError> {
        while let Some((passed, _)) = self.indexed.next() {
            self.settle(passed, None)?;
        }
        for serial in orphans {
            // One that the index does not know either.
            if !self.index.find(self.authority, &serial).is_issued() {
                let (recorded, indexed) = (StatusWord::NEVER_ISSUED, StatusWord::NEVER_ISSUED);
                let (authority, seen_at) = (self.authority, self.index.position());
                let difference = None;
                self.compared.differences.push(DifferingCertificate {
                    authority,
                    serial,
                    recorded,
                    indexed,
                    difference,
                    seen_at,
                });
            }
        }
        Ok(self.compared)
    }

    /// Looks at one again that seemed to differ.
    fn settle(&mut self, serial: SerialNumber, read: Option<&Record>) -> Result<Option<Record>, StoreError> {
        let may_move = !self.reading.is_still() && self.compared.differences.len() < WAITED_FOR;
        let looks = if may_move { LOOKS } else { LOOKS_AT_ONCE };
        match settle(self.index, self.reading, (self.authority, serial), read.is_some(), looks)? {
            Ok(record) => {
                self.compared.certificates += 1;
                Ok(record)
            }
            Err(differing) => {
                self.compared.differences.push(differing);
                Ok(None)
            }
        }
    }
}

/// Looks at one certificate again until both folds stand still: the record that they agree on. `is_read`:
/// the reading had it.
pub(super) fn settle(
    index: &StatusIndex,
    reading: &Reading<'_>,
    (authority, serial): (AuthorityId, SerialNumber),
    is_read: bool,
    looks: u32,
) -> Result<Result<Option<Record>, DifferingCertificate>, StoreError> {
    let mut look = 1;
    loop {
        let before = index.find(authority, &serial);
        let record = reading.find(authority, &serial)?;
        let indexed = index.find(authority, &serial);
        // One that was issued before the reading began must have been in it.
        let record = record.filter(|record| is_read || record.position > reading.position());
        let found = record.as_ref().and_then(|record| indexed.disagrees_with(record));
        if before == indexed && found.is_none() && record.is_some() == indexed.is_issued() {
            return Ok(Ok(record));
        }
        if look == looks {
            let recorded = record.as_ref().map_or(StatusWord::NEVER_ISSUED, StatusWord::of);
            let difference = found.filter(|_| indexed.is_issued());
            let seen_at = index.position();
            return Ok(Err(DifferingCertificate {
                authority,
                serial,
                recorded,
                indexed,
                difference,
                seen_at,
            }));
        }
        look += 1;
        std::thread::sleep(LOOK_APART);
    }
}

/// Compares the certificates that these entries are about; the first that differs.
pub(super) fn compare_since(
    fresh: &StatusIndex,
    reading: &Reading<'_>,
    entries: &[Numbered],
) -> Result<Option<DifferingCertificate>, StoreError> {
    for numbered in entries {
        let Some(certificate) = numbered.entry.event.certificate() else { continue };
        let key = (certificate.authority, certificate.serial);
        if let Err(differing) = settle(fresh, reading, key, true, LOOKS_AT_ONCE)? {
            return Ok(Some(differing));
        }
    }
    Ok(None)
}
