//! Both folds made anew from the first entry, when they disagree, and who looks whether they do.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::comparison::{Compared, DifferingCertificate, compare, compare_since};
use super::schedule::last_cut;
use super::witnesses::{Agreement, fold_of};
use super::{Office, OfficeError};
use crate::der::UnixTime;
use crate::status::{StatusIndex, StatusWord};
use crate::store::{Judged, Reading, Remake, StoreError, Verdict};
use crate::sync::lower_priority;

/// Seconds after midnight in Japan: before the day's comparison of cards.
const NIGHTLY: u32 = 3 * 3600;

/// What failed is tried again after this long.
const RETRY: Duration = Duration::from_secs(60);

/// Beside answering.
const NICE: i32 = 15;

impl Office {
    /// Makes records and index anew from the first entry, and puts them in the place of those in use if
    /// they agree.
    ///
    /// # Errors
    /// [`OfficeError::Doubt`] when they do not; when something cannot be read or written: it is tried
    /// again then.
    pub fn remake_folds(&self) -> Result<(), OfficeError> {
        let fresh = Arc::new(StatusIndex::new());
        let doubted = self.witnesses.doubted();
        // What the comparison came to; put in place with the index.
        let judged: Arc<Mutex<Agreement>> = Arc::new(Mutex::new(Agreement::Agreed));
        let (judging, judgement) = (Arc::clone(&fresh), Arc::clone(&judged));
        let judge = move |reading: &Reading<'_>, what: Judged<'_>| {
            let (verdict, agreement) = match what {
                Judged::All => judge_all(&judging, reading, doubted.as_deref())?,
                Judged::Since(entries) => match compare_since(&judging, reading, entries)? {
                    None => return Ok(Verdict::Agree { records_were_wrong: false }),
                    Some(differing) => unsettled(&differing, 1),
                },
            };
            *judgement.lock().unwrap_or_else(PoisonError::into_inner) = agreement;
            Ok(verdict)
        };
        let (witnesses, taking, taken) = (Arc::clone(&self.witnesses), fresh.clone(), Arc::clone(&judged));
        let take_over = move || {
            witnesses.take_over(&taking, taken.lock().unwrap_or_else(PoisonError::into_inner).clone())
        };
        let verdict = self.store.remake(Remake {
            fold: fold_of(&fresh),
            judge: Box::new(judge),
            take_over: Box::new(take_over),
        })?;
        let agreement = judged.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let remark = agreement.remark();
        if verdict == Verdict::Differ {
            let remark = remark.unwrap_or_default();
            tracing::error!("{remark}");
            self.witnesses.leave_unsettled(agreement);
            return Err(OfficeError::Doubt(remark));
        }
        if let Some(remark) = remark {
            tracing::warn!("{remark}");
        }
        Ok(())
    }
}

fn unsettled(first: &DifferingCertificate, differed: usize) -> (Verdict, Agreement) {
    (Verdict::Differ, Agreement::Unsettled { first: first.to_string(), differed })
}

/// Compares what was made anew, and tells which of those in use had been wrong: `doubted`, none when nothing
/// was.
fn judge_all(
    fresh: &StatusIndex,
    reading: &Reading<'_>,
    doubted: Option<&[DifferingCertificate]>,
) -> Result<(Verdict, Agreement), StoreError> {
    let Compared { differences, .. } = compare(fresh, reading)?;
    if let Some(first) = differences.first() {
        return Ok(unsettled(first, differences.len()));
    }
    let Some(doubted) = doubted else {
        return Ok((Verdict::Agree { records_were_wrong: false }, Agreement::Agreed));
    };
    let (mut records_were_wrong, mut index_was_wrong) = (0, 0);
    for differing in doubted {
        let record = reading.find(differing.authority, &differing.serial)?;
        if record.as_ref().is_some_and(|record| record.last_position() > differing.seen_at) {
            // It changed since: what was said then is not to be told any more.
            continue;
        }
        let right = record.as_ref().map_or(StatusWord::NEVER_ISSUED, StatusWord::of);
        let is_orphan = differing.recorded == differing.indexed && differing.difference.is_none();
        records_were_wrong += usize::from(differing.recorded != right || is_orphan);
        index_was_wrong += usize::from(differing.indexed != right);
    }
    // Doubted without a certificate that differs: who was wrong is not known, and the rows may be.
    let verdict = Verdict::Agree { records_were_wrong: records_were_wrong > 0 || doubted.is_empty() };
    let differed = doubted.len();
    let settled = Agreement::Settled { differed, records_were_wrong, index_was_wrong };
    Ok((verdict, settled))
}

/// Compares after the start and every night, and has both folds made anew when they disagree: one look at
/// a time.
pub struct Watch {
    office: Arc<Office>,
    /// When both were last compared; none before the first time.
    since: Option<UnixTime>,
    /// When the journal was last held against what was signed of it.
    examined: Option<UnixTime>,
    /// When that is tried again after it failed.
    examine_at: Duration,
    /// When what failed is tried again, by the time the machine has run.
    retry_at: Duration,
}

impl Watch {
    /// The first comparison is due as soon as there are records.
    #[must_use]
    pub fn new(office: Arc<Office>) -> Self {
        Self { office, since: None, examined: None, examine_at: Duration::ZERO, retry_at: Duration::ZERO }
    }

    /// Looks, and does what is due.
    pub fn look(&mut self) {
        self.examine_if_due();
        let office = &self.office;
        let (now, running) = (office.clock.now(), office.clock.running());
        if office.store.fenced().is_some() || office.is_rebuilding() || running < self.retry_at {
            return;
        }
        if matches!(office.agreement(), Agreement::Doubted { .. }) {
            if let Err(error) = office.remake_folds() {
                tracing::error!(%error, "records and index are not settled");
                self.retry_at = running + RETRY;
            }
            return;
        }
        if self.since.is_some_and(|since| last_cut(now, NIGHTLY) <= since) {
            return;
        }
        match office.compare_folds().and_then(|all| office.compare_invalidity_dates().map(|()| all)) {
            Ok(certificates) => {
                tracing::info!(certificates, "records and status index agree");
                self.since = Some(now);
            }
            // It is logged where it is found.
            Err(OfficeError::Doubt(_)) => self.since = Some(now),
            Err(error) => {
                tracing::error!(%error, "records and status index cannot be compared");
                self.retry_at = running + RETRY;
            }
        }
    }

    /// The journal is held against what was signed of it, also while the records are made anew.
    fn examine_if_due(&mut self) {
        let office = &self.office;
        let (now, running) = (office.clock.now(), office.clock.running());
        let is_due = self.examined.is_none_or(|at| last_cut(now, NIGHTLY) > at);
        if !is_due || running < self.examine_at {
            return;
        }
        match office.examine_journal() {
            Ok(examined) => {
                let (heads, findings) = (examined.confirmed, examined.findings.len());
                tracing::info!(heads, findings, "the journal was held against what was signed of it");
                examined.findings.iter().for_each(|finding| tracing::warn!("{finding}"));
                self.examined = Some(now);
            }
            Err(error) => {
                tracing::error!(%error, "the journal cannot be held against what was signed of it");
                self.examine_at = running + RETRY;
            }
        }
    }

    /// For the thread that looks.
    pub(super) fn lower_priority() {
        lower_priority(NICE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{AuthorityId, CertificateKind, Generation, Revocation, RevocationReason, SerialNumber};
    use crate::record::{ArchivePlace, CertificateRef, Event, Issued, Origin, Position, StatusChange};
    use crate::status::Overruled;
    use crate::store::{Fold, Options, RowsKind, Store};

    const AUTHORITY: AuthorityId = AuthorityId(1);

    fn serial(number: u64) -> SerialNumber {
        SerialNumber::try_from(number).unwrap()
    }

    /// Ten certificates, each third revoked, and an index that heard of all.
    fn life(dir: &std::path::Path) -> (Store, Arc<StatusIndex>) {
        let index = Arc::new(StatusIndex::new());
        let hearing = Arc::clone(&index);
        let fold = Fold::hearing("status", move |entries| hearing.apply(entries));
        let options = Options { rows: RowsKind::Memory, ..Options::new(dir) };
        let store = Store::open(options, vec![fold]).unwrap().0;
        let decide = |_: &crate::store::Records<'_>, now| {
            let mut events = Vec::new();
            for number in 1..=10 {
                let generation = Generation::FIRST;
                let certificate = CertificateRef { authority: AUTHORITY, generation, serial: serial(number) };
                events.push(Event::Issued(Issued {
                    certificate,
                    kind: CertificateKind::CardSign,
                    partition: None,
                    not_before: now,
                    not_after: now,
                    archive: ArchivePlace(0),
                    sha256: [0; 32],
                    holder: None,
                    card: None,
                    twin: None,
                }));
                if number % 3 == 0 {
                    let reason = RevocationReason::Superseded;
                    let became = Revocation { revoked_at: now, reason, invalidity_date: None };
                    events.push(Event::Revoked(StatusChange { certificate, became, change: 1, cause: None }));
                }
            }
            Ok(events)
        };
        store.submit_wait(Origin::service(), Box::new(decide)).unwrap();
        (store, index)
    }

    fn differing(number: u64, recorded: StatusWord, indexed: StatusWord) -> DifferingCertificate {
        let (authority, serial, seen_at) = (AUTHORITY, serial(number), Position(u64::MAX));
        DifferingCertificate { authority, serial, recorded, indexed, difference: None, seen_at }
    }

    #[test]
    fn folds_made_anew_that_differ_are_left_to_a_person() {
        let home = tempfile::tempdir().unwrap();
        let (store, index) = life(home.path());
        let reading = store.reading(store.head().0);
        assert_eq!(
            judge_all(&index, &reading, None).unwrap(),
            (Verdict::Agree { records_were_wrong: false }, Agreement::Agreed)
        );
        let good = index.find(AUTHORITY, &serial(1));
        let seen = index.find(AUTHORITY, &serial(3));
        index.overrule(&[Overruled { authority: AUTHORITY, serial: serial(3), seen, word: good }]);
        for doubted in [None, Some(&[][..])] {
            let (verdict, agreement) = judge_all(&index, &reading, doubted).unwrap();
            assert_eq!(verdict, Verdict::Differ);
            let Agreement::Unsettled { first, differed: 1 } = &agreement else { panic!("{agreement:?}") };
            let remark = agreement.remark().unwrap();
            assert!(agreement.is_doubted() && remark.contains(first.as_str()), "{remark}");
            assert!(remark.contains("no CRL is published") && remark.contains("report it"), "{remark}");
        }
        store.close().unwrap();
    }

    #[test]
    fn who_was_wrong_is_told_of_each_certificate_apart() {
        let home = tempfile::tempdir().unwrap();
        let (store, index) = life(home.path());
        let reading = store.reading(store.head().0);
        let word = |number| index.find(AUTHORITY, &serial(number));
        let (good, revoked, never) = (word(1), word(3), StatusWord::NEVER_ISSUED);
        let doubted = [
            differing(3, good, revoked),
            differing(6, revoked, good),
            differing(9, never, never),
            // It changed since it was seen: nothing is said of it.
            DifferingCertificate { seen_at: Position(1), ..differing(9, never, good) },
        ];
        let (verdict, agreement) = judge_all(&index, &reading, Some(&doubted)).unwrap();
        assert_eq!(verdict, Verdict::Agree { records_were_wrong: true });
        let settled = Agreement::Settled { differed: 4, records_were_wrong: 2, index_was_wrong: 2 };
        assert_eq!(agreement, settled);
        // Only the index was wrong: the rows need not be kept.
        let (verdict, _) = judge_all(&index, &reading, Some(&[differing(6, revoked, good)])).unwrap();
        assert_eq!(verdict, Verdict::Agree { records_were_wrong: false });
        // Doubted without a certificate: they are.
        let (verdict, _) = judge_all(&index, &reading, Some(&[])).unwrap();
        assert_eq!(verdict, Verdict::Agree { records_were_wrong: true });
        store.close().unwrap();
    }
}
