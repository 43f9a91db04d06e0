//! The report behind a change of status: what the registry or an operator told, and when.

use super::{Office, OfficeError};
use crate::der::UnixTime;
use crate::pki::CertStatus;
use crate::record::{Change, Entry, Event, HolderId, Movement, Numbered, Position, Record};

/// Entries looked through before a change. Between a report and the last of what it changed stand
/// the cards and certificates of one person, who has dozens in a life.
const LOOK_BACK: u64 = 1000;

/// A report that changed a certificate's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// The rule's name.
    pub event: String,
    /// Since when it holds.
    pub effective_at: UnixTime,
    /// The entry that records it.
    pub position: Position,
}

impl Office {
    /// The report that `change` of this certificate came from; none when it was asked for itself.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(super) fn behind(&self, record: &Record, change: &Change) -> Result<Option<Behind>, OfficeError> {
        let first = Position(change.position.0.saturating_sub(LOOK_BACK));
        let mut found = Search { holder: record.issued.holder, candidate: None };
        for numbered in self.store.entries(first) {
            let numbered = numbered?;
            if numbered.position == change.position {
                return Ok(found.conclude(&numbered.entry, change));
            }
            found.look_at(numbered);
        }
        Ok(None)
    }
}

/// Goes through entries in their order. A report and its effects are one decision: they stand
/// together, of one origin and one time.
struct Search {
    holder: Option<HolderId>,
    candidate: Option<(Position, Entry, Movement)>,
}

impl Search {
    fn look_at(&mut self, numbered: Numbered) {
        let Numbered { position, entry } = numbered;
        match &entry.event {
            Event::Movement(movement) => self.candidate = Some((position, entry.clone(), movement.clone())),
            Event::Revoked(_) | Event::Released(_) | Event::CardChanged(..) | Event::HolderChanged(..)
                if self.candidate.as_ref().is_some_and(|(_, report, _)| are_of_one(report, &entry)) => {}
            _ => self.candidate = None,
        }
    }

    fn conclude(self, entry: &Entry, change: &Change) -> Option<Behind> {
        let (position, report, movement) = self.candidate?;
        // Two decisions of somebody who gives no key may stand together within a second: a report
        // dates what it revokes.
        let is_dated = match change.status {
            CertStatus::Revoked(revocation) => revocation.invalidity_date == Some(movement.effective_at),
            CertStatus::Good | CertStatus::Unknown => false,
        };
        let is_meant = Some(movement.holder) == self.holder
            && are_of_one(&report, entry)
            && (entry.origin.request.is_some() || is_dated);
        let Movement { event, effective_at, .. } = movement;
        is_meant.then_some(Behind { event, effective_at, position })
    }
}

fn are_of_one(report: &Entry, entry: &Entry) -> bool {
    report.origin == entry.origin && report.recorded_at == entry.recorded_at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{AuthorityId, Generation, Revocation, RevocationReason, SerialNumber};
    use crate::record::{Actor, CertificateRef, Origin, RequestId, StatusChange};

    const PERSON: HolderId = HolderId(7);

    fn then() -> UnixTime {
        UnixTime::from_seconds(1_800_000_000)
    }

    fn now() -> UnixTime {
        UnixTime::from_seconds(1_800_000_009)
    }

    fn certificate(serial: u64) -> CertificateRef {
        CertificateRef {
            authority: AuthorityId(1),
            generation: Generation::FIRST,
            serial: SerialNumber::try_from(serial).unwrap(),
        }
    }

    fn report() -> Event {
        Event::Movement(Movement {
            event: "death".to_owned(),
            holder: PERSON,
            card: None,
            kind: None,
            effective_at: then(),
            reported_at: None,
        })
    }

    fn revoked(serial: u64, since: Option<UnixTime>) -> Event {
        let reason = RevocationReason::CessationOfOperation;
        let became = Revocation { revoked_at: now(), reason, invalidity_date: since };
        Event::Revoked(StatusChange { certificate: certificate(serial), became, change: 1 })
    }

    /// What is found behind the last of these entries, by their requests.
    fn behind(holder: HolderId, entries: &[(Event, Option<&str>)]) -> Option<u64> {
        let mut found = Search { holder: Some(holder), candidate: None };
        let (last, before) = entries.split_last().unwrap();
        let entry = |(event, key): &(Event, Option<&str>)| {
            let actor = Actor::new("uid:7").unwrap();
            let request = key.map(|key| RequestId::new(&actor, key, b""));
            Entry { recorded_at: now(), origin: Origin { actor, request }, event: event.clone() }
        };
        for (position, one) in (1..).map(Position).zip(before) {
            found.look_at(Numbered { position, entry: entry(one) });
        }
        let status = last.0.status().unwrap();
        let change = Change { position: Position(99), recorded_at: now(), status };
        let found = found.conclude(&entry(last), &change);
        found.map(|behind| {
            assert_eq!((behind.event.as_str(), behind.effective_at), ("death", then()));
            behind.position.0
        })
    }

    #[test]
    fn what_a_report_changed_leads_back_to_it() {
        let key = Some("a");
        let (first, second) = (revoked(1, Some(then())), revoked(2, Some(then())));
        assert_eq!(behind(PERSON, &[(report(), key), (first.clone(), key), (second.clone(), key)]), Some(1));
        assert_eq!(behind(PERSON, &[(report(), None), (first, None), (second, None)]), Some(1));
    }

    #[test]
    fn what_was_asked_for_itself_leads_to_no_report() {
        let (key, other) = (Some("a"), Some("b"));
        let dated = revoked(1, Some(then()));
        assert_eq!(behind(PERSON, &[(dated.clone(), key)]), None);
        assert_eq!(behind(PERSON, &[(report(), key), (dated.clone(), other)]), None);
        assert_eq!(behind(PERSON, &[(report(), key), (dated.clone(), None)]), None);
        assert_eq!(behind(PERSON, &[(report(), None), (revoked(1, None), None)]), None);
        assert_eq!(behind(HolderId(8), &[(report(), key), (dated.clone(), key)]), None);
        let between = (Event::RequestSeen, other);
        assert_eq!(behind(PERSON, &[(report(), None), between, (dated, None)]), None);
    }
}
