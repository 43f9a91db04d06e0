//! The report behind a change of status: what the registry or an operator told, and when.

use super::{Office, OfficeError};
use crate::der::UnixTime;
use crate::record::{Change, Event, Numbered, Position};

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
    match entry.map(|numbered| (numbered.position, numbered.entry.event)) {
        Some((position, Event::Movement(movement))) if position < change.position => {
            Ok(Behind { event: movement.event, effective_at: movement.effective_at, position })
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
    }
}
