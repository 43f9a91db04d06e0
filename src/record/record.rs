//! What the entries about one certificate add up to.

use super::{
    Absent, Breach, BreachKind, CertificateRef, Compromise, Compromises, Event, FoldError, Folded, Issued,
    Numbered, Position, StatusChange,
};
use crate::der::UnixTime;
use crate::pki::{CertStatus, CertificateKind, Revocation, RevocationReason};

/// A certificate, from its issue to its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Position of its issue.
    pub position: Position,
    /// When its issue was recorded.
    pub recorded_at: UnixTime,
    /// As it was issued.
    pub issued: Issued,
    /// Its changes, oldest first; nearly always none or one.
    pub changes: Vec<Change>,
}

/// One change of status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The entry that says so.
    pub position: Position,
    /// When it was recorded.
    pub recorded_at: UnixTime,
    /// The status since.
    pub status: CertStatus,
    /// The report it comes from, by the entry of its [`Event::Movement`]; none when it was asked for
    /// itself.
    pub cause: Option<Position>,
}

impl Record {
    /// Changes a record may have: their count is two octets.
    pub const CHANGES_MAX: usize = 0xffff;

    /// The one fold: what an entry makes of `record`, by the rule of [`super::succession`]. Entries
    /// about other certificates, and entries already folded, change nothing.
    ///
    /// # Errors
    /// [`FoldError`]: it is about a certificate that was never issued, or one change too many. The
    /// record is as before.
    pub fn apply(record: &mut Option<Self>, numbered: &Numbered) -> Result<Folded, FoldError> {
        Self::apply_under(record, numbered, None)
    }

    /// The same for an entry about a certificate of a key that may be compromised; `compromise` is that of
    /// the key, whether it stands before the entry or behind it.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn apply_under(
        record: &mut Option<Self>,
        numbered: &Numbered,
        compromise: Option<&Compromise>,
    ) -> Result<Folded, FoldError> {
        let Numbered { position, entry } = numbered;
        let Some(certificate) = entry.event.certificate() else { return Ok(Folded::PassedBy) };
        let compromise = compromise.filter(|it| it.position < *position);
        if let Some(known) = record {
            return known.follow(certificate, numbered, compromise);
        }
        let Event::Issued(issued) = &entry.event else {
            return Err(FoldError::Unknown { position: *position, what: Absent::Certificate(*certificate) });
        };
        if compromise.is_some() && issued.kind != CertificateKind::OcspSigner {
            let (standing, what) = (CertStatus::Unknown, BreachKind::Compromised);
            let (position, certificate, counted) = (*position, *certificate, false);
            return Ok(Folded::Breached(Breach { position, certificate, standing, counted, what }));
        }
        *record = Some(Self {
            position: *position,
            recorded_at: entry.recorded_at,
            issued: issued.clone(),
            changes: Vec::new(),
        });
        Ok(Folded::Counted)
    }

    /// The breach of an entry that issues by a key that was retired before it; `record` is what is known of
    /// the certificate.
    #[must_use]
    pub fn issued_by_retired(
        record: Option<&Self>,
        numbered: &Numbered,
        keys: &Compromises,
    ) -> Option<Breach> {
        let (Event::Issued(issued), None) = (&numbered.entry.event, record) else { return None };
        let (position, certificate) = (numbered.position, issued.certificate);
        let is_signer = issued.kind == CertificateKind::OcspSigner;
        if is_signer || !keys.is_retired_before(&certificate, position) {
            return None;
        }
        let (standing, what) = (CertStatus::Unknown, BreachKind::Retired);
        Some(Breach { position, certificate, standing, counted: false, what })
    }

    /// As [`Self::apply`], of a certificate that was issued.
    fn follow(
        &mut self,
        certificate: &CertificateRef,
        numbered: &Numbered,
        compromise: Option<&Compromise>,
    ) -> Result<Folded, FoldError> {
        let Numbered { position, entry } = numbered;
        let own = self.issued.certificate;
        let is_own = (own.authority, own.serial) == (certificate.authority, certificate.serial);
        if !is_own || *position <= self.last_position() {
            return Ok(Folded::PassedBy);
        }
        if own.generation != certificate.generation {
            let what = Absent::Generation { certificate: *certificate, known: own.generation };
            return Err(FoldError::Unknown { position: *position, what });
        }
        compromise.into_iter().for_each(|it| self.compromise(it));
        let standing = self.status();
        let breach = |what, counted| {
            Folded::Breached(Breach { position: *position, certificate: own, standing, counted, what })
        };
        if let Some((said, change)) = compromise.and_then(|it| self.written_down(it, &entry.event)) {
            return Ok(match change {
                Some(due) if due == said.change => Folded::Counted,
                Some(due) => breach(BreachKind::Number { said: said.change, due }, true),
                None => breach(BreachKind::Revoked(said.became.reason), false),
            });
        }
        let (status, said) = match &entry.event {
            Event::Revoked(change) => (revoked(standing, change.became), change.change),
            Event::Released(change) => (released(standing), change.change),
            Event::Issued(_) => (Err(BreachKind::Issued), 0),
            _ => return Ok(Folded::PassedBy),
        };
        let status = match status {
            Ok(status) => status,
            Err(what) => return Ok(breach(what, false)),
        };
        if self.changes.len() >= Self::CHANGES_MAX {
            let (what, most) = ("changes of one certificate", Self::CHANGES_MAX);
            return Err(FoldError::TooMany { position: *position, what, most });
        }
        let (recorded_at, cause) = (entry.recorded_at, entry.event.cause());
        self.changes.push(Change { position: *position, recorded_at, status, cause });
        let due = u32::try_from(self.changes.len()).unwrap_or(u32::MAX);
        Ok(if said == due { Folded::Counted } else { breach(BreachKind::Number { said, due }, true) })
    }

    /// Enters the compromise of its key, if it stands behind all that is known of the certificate.
    pub fn compromise(&mut self, compromise: &Compromise) {
        let Compromise { position, recorded_at, .. } = *compromise;
        if self.issued.kind == CertificateKind::OcspSigner || self.last_position() >= position {
            return;
        }
        let Some(status) = compromised(self.status(), compromise) else { return };
        if self.changes.len() >= Self::CHANGES_MAX {
            // Rather a change too few than a revocation that is lost.
            self.changes.pop();
        }
        self.changes.push(Change { position, recorded_at, status, cause: Some(position) });
    }

    /// The change that the compromise of its key made of it.
    #[must_use]
    pub fn compromised_by(&self, compromise: &Compromise) -> Option<(u32, &Change)> {
        let mut numbered = (1..).zip(&self.changes);
        numbered.find(|(_, change)| change.position == compromise.position)
    }

    /// Of an entry that writes down what the compromise made of this certificate: what it says, and the number
    /// that the change has; none where there was nothing to revoke.
    fn written_down<'a>(
        &self,
        compromise: &Compromise,
        event: &'a Event,
    ) -> Option<(&'a StatusChange<Revocation>, Option<u32>)> {
        let is_final = matches!(self.status(), CertStatus::Revoked(stands) if !stands.is_hold());
        match event {
            Event::Revoked(said) if is_final && said.cause == Some(compromise.position) => {
                Some((said, self.compromised_by(compromise).map(|(due, _)| due)))
            }
            _ => None,
        }
    }

    /// The status now.
    #[must_use]
    pub fn status(&self) -> CertStatus {
        self.changes.last().map_or(CertStatus::Good, |change| change.status)
    }

    /// The status after the entry at `position`; unknown before the issue.
    #[must_use]
    pub fn status_at(&self, position: Position) -> CertStatus {
        if position < self.position {
            return CertStatus::Unknown;
        }
        self.change_at(position).map_or(CertStatus::Good, |change| change.status)
    }

    /// The last change up to the entry at `position`.
    #[must_use]
    pub fn change_at(&self, position: Position) -> Option<&Change> {
        self.changes.iter().rev().find(|change| change.position <= position)
    }

    /// The status at an instant: after all that was recorded up to and including that second.
    #[must_use]
    pub fn status_at_time(&self, time: UnixTime) -> CertStatus {
        if time < self.recorded_at {
            return CertStatus::Unknown;
        }
        let last = self.changes.iter().rev().find(|change| change.recorded_at <= time);
        last.map_or(CertStatus::Good, |change| change.status)
    }

    /// The last entry folded into it.
    #[must_use]
    pub fn last_position(&self) -> Position {
        self.changes.last().map_or(self.position, |change| change.position)
    }

    /// When its status last changed: its issue, at first.
    #[must_use]
    pub fn changed_at(&self) -> UnixTime {
        self.changes.last().map_or(self.recorded_at, |change| change.recorded_at)
    }
}

/// The status after the compromise of the key; none where it is revoked for ever already.
fn compromised(standing: CertStatus, compromise: &Compromise) -> Option<CertStatus> {
    match standing {
        CertStatus::Revoked(stands) if !stands.is_hold() => None,
        standing => revoked(standing, compromise.revocation()).ok(),
    }
}

/// The status after a hold or a revocation, where it may follow.
fn revoked(standing: CertStatus, became: Revocation) -> Result<CertStatus, BreachKind> {
    let CertStatus::Revoked(stands) = standing else { return Ok(CertStatus::Revoked(became)) };
    let sharpens = |reason| {
        became.reason == RevocationReason::KeyCompromise && reason != RevocationReason::KeyCompromise
    };
    if became.is_hold() {
        return Err(BreachKind::Held);
    }
    if !stands.is_hold() && !sharpens(stands.reason) {
        return Err(BreachKind::Revoked(became.reason));
    }
    Ok(CertStatus::Revoked(Revocation {
        revoked_at: became.revoked_at.min(stands.revoked_at),
        reason: became.reason,
        invalidity_date: became.invalidity_date.or(stands.invalidity_date),
    }))
}

/// The status after a release, where there is a hold.
fn released(standing: CertStatus) -> Result<CertStatus, BreachKind> {
    match standing {
        CertStatus::Revoked(held) if held.is_hold() => Ok(CertStatus::Good),
        _ => Err(BreachKind::Released),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{AuthorityId, CertificateKind, Generation, SerialNumber};
    use crate::record::{ArchivePlace, Entry, Origin};

    fn certificate(generation: u8) -> CertificateRef {
        CertificateRef {
            authority: AuthorityId(1),
            generation: Generation::new(generation).unwrap(),
            serial: SerialNumber::try_from(7).unwrap(),
        }
    }

    fn issued(generation: u8) -> Event {
        Event::Issued(Issued {
            certificate: certificate(generation),
            kind: CertificateKind::PhoneAuth,
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

    fn revocation(reason: RevocationReason, at: i64, since: Option<i64>) -> Revocation {
        let invalidity_date = since.map(UnixTime::from_seconds);
        Revocation { revoked_at: UnixTime::from_seconds(at), reason, invalidity_date }
    }

    fn revoked(reason: RevocationReason, at: i64, since: Option<i64>, change: u32) -> Event {
        let became = revocation(reason, at, since);
        Event::Revoked(StatusChange { certificate: certificate(1), became, change, cause: None })
    }

    fn released(change: u32) -> Event {
        Event::Released(StatusChange { certificate: certificate(1), became: (), change, cause: None })
    }

    fn fold(record: &mut Option<Record>, position: u64, event: Event) -> Result<Folded, FoldError> {
        let recorded_at = UnixTime::from_seconds(1_000);
        let entry = Entry { recorded_at, origin: Origin::service(), event };
        Record::apply(record, &Numbered { position: Position(position), entry })
    }

    /// The record after events that all count.
    fn record_of(events: impl IntoIterator<Item = Event>) -> Option<Record> {
        let mut record = None;
        for (position, event) in (1..).zip(std::iter::once(issued(1)).chain(events)) {
            assert_eq!(fold(&mut record, position, event), Ok(Folded::Counted));
        }
        record
    }

    const HOLD: RevocationReason = RevocationReason::CertificateHold;
    const OTHER: RevocationReason = RevocationReason::Superseded;
    const SHARPEST: RevocationReason = RevocationReason::KeyCompromise;

    /// The whole table: state by state, what each entry comes to.
    #[test]
    fn the_table_of_succession() {
        let counts = |reason, at, since| Ok(CertStatus::Revoked(revocation(reason, at, since)));
        let (issued_again, held) = (Err(BreachKind::Issued), Err(BreachKind::Held));
        let (again, sharper) = (Err(BreachKind::Revoked(OTHER)), Err(BreachKind::Revoked(SHARPEST)));
        let free = Err(BreachKind::Released);
        let states = [
            (
                vec![],
                [
                    issued_again,
                    counts(HOLD, 200, None),
                    counts(OTHER, 200, None),
                    counts(SHARPEST, 200, Some(7)),
                    free,
                ],
            ),
            (
                vec![revoked(HOLD, 100, Some(9), 1)],
                [
                    issued_again,
                    held,
                    counts(OTHER, 100, Some(9)),
                    counts(SHARPEST, 100, Some(7)),
                    Ok(CertStatus::Good),
                ],
            ),
            (
                vec![revoked(OTHER, 300, Some(9), 1)],
                [issued_again, held, again, counts(SHARPEST, 200, Some(7)), free],
            ),
            (vec![revoked(SHARPEST, 100, None, 1)], [issued_again, held, again, sharper, free]),
        ];
        for (before, wanted) in states {
            let next = u32::try_from(before.len()).unwrap() + 1;
            let entries = [
                issued(1),
                revoked(HOLD, 200, None, next),
                revoked(OTHER, 200, None, next),
                revoked(SHARPEST, 200, Some(7), next),
                released(next),
            ];
            for (event, wanted) in entries.into_iter().zip(wanted) {
                let stood = record_of(before.clone());
                let (mut record, standing) = (stood.clone(), stood.as_ref().unwrap().status());
                let folded = fold(&mut record, 9, event.clone()).unwrap();
                match wanted {
                    Ok(status) => {
                        assert_eq!(
                            (folded, record.unwrap().status()),
                            (Folded::Counted, status),
                            "{event:?}"
                        );
                    }
                    Err(what) => {
                        let (position, certificate, counted) = (Position(9), certificate(1), false);
                        let breach = Breach { position, certificate, standing, counted, what };
                        assert_eq!((folded, record), (Folded::Breached(breach), stood), "{event:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_was_never_issued_cannot_change_and_another_generation_is_another_certificate() {
        let mut record = None;
        let what = Absent::Certificate(certificate(1));
        for event in [revoked(HOLD, 5, None, 1), revoked(SHARPEST, 5, None, 1), released(1)] {
            assert_eq!(fold(&mut record, 3, event), Err(FoldError::Unknown { position: Position(3), what }));
            assert_eq!(record, None);
        }
        let mut record = record_of([]);
        let (stood, known) = (record.clone(), Generation::FIRST);
        let what = Absent::Generation { certificate: certificate(2), known };
        assert_eq!(fold(&mut record, 3, issued(2)), Err(FoldError::Unknown { position: Position(3), what }));
        assert_eq!(record, stood);
    }

    #[test]
    fn a_wrong_number_is_told_and_counts_all_the_same() {
        let mut record = record_of([revoked(HOLD, 100, None, 1)]);
        let Ok(Folded::Breached(breach)) = fold(&mut record, 9, revoked(OTHER, 200, None, 1)) else {
            panic!()
        };
        assert_eq!((breach.what, breach.counted), (BreachKind::Number { said: 1, due: 2 }, true));
        let record = record.unwrap();
        assert_eq!(record.status(), CertStatus::Revoked(revocation(OTHER, 100, None)));
        assert_eq!(record.changes.len(), 2);
    }

    #[test]
    fn what_was_folded_before_is_passed_by() {
        let mut record = record_of([revoked(HOLD, 100, None, 1), released(2)]);
        let stood = record.clone();
        for (position, event) in [(1, issued(1)), (2, revoked(HOLD, 100, None, 1)), (3, released(2))] {
            assert_eq!(fold(&mut record, position, event), Ok(Folded::PassedBy));
        }
        assert_eq!(fold(&mut record, 9, Event::RequestSeen), Ok(Folded::PassedBy));
        assert_eq!(record, stood);
    }

    #[test]
    fn one_change_too_many_is_refused_and_the_record_can_be_written() {
        let mut record = record_of([]);
        for change in 1..=0xffff_u32 {
            let event = if change % 2 == 1 { revoked(HOLD, 100, None, change) } else { released(change) };
            assert_eq!(fold(&mut record, 1 + u64::from(change), event), Ok(Folded::Counted));
        }
        record.as_ref().unwrap().write(&mut Vec::new()).unwrap();
        let (position, what) = (Position(0x1_0001), "changes of one certificate");
        let refused = Err(FoldError::TooMany { position, what, most: Record::CHANGES_MAX });
        assert_eq!(fold(&mut record, 0x1_0001, released(0x1_0000)), refused);
        assert_eq!(record.unwrap().changes.len(), Record::CHANGES_MAX);
    }
}
