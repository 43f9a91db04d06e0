//! The report behind a change of status: what the registry or an operator told, and when.

use super::{Office, OfficeError};
use crate::der::UnixTime;
use crate::record::{Change, Event, Numbered, Position};

/// The rule that a compromised key of an authority goes by.
const KEY_COMPROMISE: &str = "ca-key-compromise";

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
    /// The report that `change` came from; none when it was asked for itself.
    ///
    /// # Errors
    /// When the journal cannot be read, or the entry that the change names as its cause is no report.
    pub(super) fn behind(&self, change: &Change) -> Result<Option<Behind>, OfficeError> {
        let Some(cause) = change.cause else { return Ok(None) };
        report(change, self.store.entry(cause)?).map(Some)
    }
}

/// The report in the entry that a change names.
fn report(change: &Change, entry: Option<Numbered>) -> Result<Behind, OfficeError> {
    let entry = entry.map(|numbered| (numbered.position, numbered.entry.recorded_at, numbered.entry.event));
    match entry {
        Some((position, _, Event::Movement(movement))) if position < change.position => {
            Ok(Behind { event: movement.event, effective_at: movement.effective_at, position })
        }
        // The compromise of a key is the change itself.
        Some((position, recorded_at, Event::GenerationCompromised { invalidity_date, .. }))
            if position == change.position =>
        {
            let effective_at = invalidity_date.unwrap_or(recorded_at);
            Ok(Behind { event: KEY_COMPROMISE.to_owned(), effective_at, position })
        }
        _ => Err(OfficeError::Damaged(format!(
            "entry {} names entry {} as its cause, which is no report before it: check the journal",
            change.position,
            change.cause.unwrap_or_default()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::CertStatus;
    use crate::record::{Entry, HolderId, Movement, Origin};

    fn entry(position: u64, event: Event) -> Option<Numbered> {
        let entry = Entry { recorded_at: UnixTime::from_seconds(9), origin: Origin::service(), event };
        Some(Numbered { position: Position(position), entry })
    }

    fn movement() -> Event {
        Event::Movement(Movement {
            event: "death".to_owned(),
            holder: HolderId(7),
            card: None,
            kind: None,
            effective_at: UnixTime::from_seconds(5),
            reported_at: None,
        })
    }

    #[test]
    fn a_cause_is_a_report_before_the_change_and_nothing_else() {
        let change = Change {
            position: Position(12),
            recorded_at: UnixTime::from_seconds(9),
            status: CertStatus::Good,
            cause: Some(Position(11)),
        };
        let found = report(&change, entry(11, movement())).unwrap();
        assert_eq!((found.event.as_str(), found.effective_at.seconds(), found.position.0), ("death", 5, 11));
        for other in [entry(11, Event::RequestSeen), entry(12, movement()), None] {
            let error = report(&change, other).unwrap_err();
            assert!(error.to_string().starts_with("entry 12 names entry 11 as its cause"), "{error}");
        }
        let (authority, generation) = (crate::pki::AuthorityId(1), crate::pki::Generation::FIRST);
        let compromise =
            |invalidity_date| Event::GenerationCompromised { authority, generation, invalidity_date };
        report(&change, entry(11, compromise(None))).unwrap_err();
        let change = Change { cause: Some(change.position), ..change };
        for (date, effective_at) in [(None, 9), (Some(4), 4)] {
            let said = compromise(date.map(UnixTime::from_seconds));
            let found = report(&change, entry(12, said)).unwrap();
            assert_eq!(
                (found.event.as_str(), found.effective_at.seconds()),
                ("ca-key-compromise", effective_at)
            );
        }
    }
}
