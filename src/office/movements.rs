//! Reports about people and their cards: what the resident registry feeds, and what operators say.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::decisions::Book;
use super::rehearsal::Rehearsal;
use super::{Office, OfficeError};
use crate::der::UnixTime;
use crate::issue::IssueError;
use crate::lifecycle::Report;
use crate::pki::{CertStatus, CertificateKind, Partition};
use crate::profile::Rule;
use crate::record::{Actor, CardId, CertificateRef, Event, HolderId, Origin, Position, Refusal, RequestId};
use crate::store::{Decide, Outcome, SubmitError};

/// A certificate that changed within the second is waited for so often.
const TRIES: usize = 4;

/// Longest such wait.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Octets of an event's id: a hash of it stands in the journal.
const EVENT_ID_OCTETS_MAX: usize = 200;

/// Ids of events are unique in the feed, whoever hands it in.
const FEED: &str = "movements";

/// One line of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// Names the event: what bears the same id is the same event again.
    pub event_id: String,
    /// The rule's name.
    pub event: String,
    /// Whom it is about.
    pub subject: Subject,
    /// The certificate it names, of the card or phone.
    pub kind: Option<CertificateKind>,
    /// Where the person lives from then on.
    pub municipality: Option<Partition>,
    /// Since when it holds.
    pub effective_at: UnixTime,
    /// When it was reported.
    pub reported_at: Option<UnixTime>,
}

/// Whom a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A person.
    Holder(HolderId),
    /// A card or phone; for an event that concerns a person, its holder.
    Card(CardId),
}

/// What a report came to: durable, and seen by every answer from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The certificates it changed, and what they became.
    pub changed: Vec<(CertificateRef, CertStatus)>,
    /// The entry that records it.
    pub position: Position,
    /// When that entry was recorded.
    pub recorded_at: UnixTime,
    /// True when the same event had been reported before.
    pub repeated: bool,
}

impl Office {
    /// Carries out reports, in their order; what became of each. One that was refused has left
    /// nothing behind, and may be right later.
    #[must_use]
    pub fn report(&self, all: &[Reported], actor: &Actor) -> Vec<Result<Effect, OfficeError>> {
        self.report_for(all, &Origin::of(actor.clone()))
    }

    /// The same under a ticket and with a comment: those of `origin`, of each report.
    #[must_use]
    pub fn report_for(&self, all: &[Reported], origin: &Origin) -> Vec<Result<Effect, OfficeError>> {
        let mut effects: Vec<Option<Result<Effect, OfficeError>>> = all.iter().map(|_| None).collect();
        let mut left: Vec<usize> = (0..all.len()).collect();
        for tries in 1..=TRIES {
            let (told, outcomes) = mpsc::channel();
            let reached = Arc::new(AtomicUsize::new(0));
            for at in &left {
                let Some(reported) = all.get(*at) else { continue };
                match self.decision(reported) {
                    Ok(decide) => {
                        let (told, at) = (told.clone(), *at);
                        let done = Box::new(move |outcome| drop(told.send((at, outcome))));
                        let decide = reaching(Arc::clone(&reached), at, decide);
                        self.store.submit(reported.origin(origin), decide, done);
                    }
                    Err(error) => put(&mut effects, *at, Err(error)),
                }
            }
            drop(told);
            self.look_ahead(all, &left, origin, &reached);
            let mut earliest = None;
            left.clear();
            for (at, outcome) in outcomes {
                match outcome {
                    Err(SubmitError::Refused(Refusal::NotBefore(time))) if tries < TRIES => {
                        earliest = earliest.max(Some(time));
                        left.push(at);
                    }
                    outcome => put(&mut effects, at, outcome.map(|one| effect(&one)).map_err(Into::into)),
                }
            }
            let Some(earliest) = earliest else { break };
            left.sort_unstable();
            std::thread::sleep(earliest.since(self.clock.now()).min(WAIT_MAX));
        }
        let unheard = || Err(SubmitError::Stopped.into());
        effects.into_iter().map(|effect| effect.unwrap_or_else(unheard)).collect()
    }

    /// While those at the front are decided, looks at what those at the end are about, until both meet:
    /// of a million people nothing is in memory, and looking at it takes longer than deciding.
    fn look_ahead(&self, all: &[Reported], left: &[usize], origin: &Origin, reached: &AtomicUsize) {
        let behind = left.iter().rev().take_while(|at| **at > reached.load(Ordering::Relaxed));
        for reported in behind.filter_map(|at| all.get(*at)) {
            if let Ok(decide) = self.decision(reported) {
                self.store.look_ahead(&reported.origin(origin), &decide);
            }
        }
    }

    /// What each would come to after those before it, if all were reported now. Nothing is written.
    #[must_use]
    pub fn rehearse(&self, all: &[Reported]) -> Vec<Result<Effect, OfficeError>> {
        let mut rehearsal = Rehearsal::of(self);
        all.iter().map(|reported| rehearsal.report(reported)).collect()
    }

    fn decision(&self, reported: &Reported) -> Result<Decide, OfficeError> {
        Ok(reported.decision(self.rule(reported)?, self.liftable()))
    }

    pub(super) fn rule(&self, reported: &Reported) -> Result<&Rule, OfficeError> {
        if reported.event_id.is_empty() || reported.event_id.len() > EVENT_ID_OCTETS_MAX {
            return Err(OfficeError::EventId(EVENT_ID_OCTETS_MAX));
        }
        if let Some(municipality) = reported.municipality {
            self.profile.municipalities.residence(municipality).map_err(IssueError::from)?;
        }
        self.profile.rules.find(&reported.event).ok_or_else(|| OfficeError::NoRule(reported.event.clone()))
    }
}

impl Reported {
    /// The decision what it changes; `liftable` are the kinds whose hold may be lifted.
    #[must_use]
    pub fn decision(&self, rule: &Rule, liftable: Vec<CertificateKind>) -> Decide {
        let (rule, reported) = (rule.clone(), self.clone());
        Box::new(move |records, now| reported.decide(&Book::Records(records), &rule, &liftable, now))
    }

    /// The request it is: by its id alone, and by what it says but for when it was reported. Who hands it in, and
    /// what for, is what `asked` says.
    #[must_use]
    pub fn origin(&self, asked: &Origin) -> Origin {
        // Remembered for longer than this program is: the words are those of the feed.
        let said = [
            self.event.clone(),
            match self.subject {
                Subject::Holder(holder) => holder.to_string(),
                Subject::Card(card) => card.to_string(),
            },
            self.kind.map(|kind| kind.name().to_owned()).unwrap_or_default(),
            self.municipality.map(|municipality| municipality.to_string()).unwrap_or_default(),
            self.effective_at.to_string(),
        ];
        let feed = Actor::new(FEED).unwrap_or_else(|_| Actor::service());
        let request = RequestId::new(&feed, &self.event_id, said.join("\n").as_bytes());
        Origin { request: Some(request), ..asked.clone() }
    }

    pub(super) fn decide(
        &self,
        book: &Book<'_>,
        rule: &Rule,
        liftable: &[CertificateKind],
        now: UnixTime,
    ) -> Result<Vec<Event>, Refusal> {
        let (id, card) = match self.subject {
            Subject::Holder(holder) => (holder, None),
            Subject::Card(card) => {
                (book.card(card)?.ok_or(Refusal::NoCard(card))?.applied.holder, Some(card))
            }
        };
        let holder = book.holder(id)?.ok_or(Refusal::NoHolder(id))?;
        let carried = book.carried(&holder)?;
        let report = Report {
            rule,
            card: card.filter(|_| rule.concerns != crate::profile::Concerns::Holder),
            kind: self.kind,
            municipality: self.municipality,
            effective_at: self.effective_at,
            reported_at: self.reported_at,
            at_once: false,
        };
        let lift_allowed = |kind| liftable.contains(&kind);
        report.decide(&holder, &carried, &lift_allowed, book.next_position(), now)
    }
}

/// The same decision, which tells that its turn has come.
fn reaching(reached: Arc<AtomicUsize>, at: usize, decide: Decide) -> Decide {
    Box::new(move |records, now| {
        reached.fetch_max(at, Ordering::Relaxed);
        decide(records, now)
    })
}

fn put(effects: &mut [Option<Result<Effect, OfficeError>>], at: usize, effect: Result<Effect, OfficeError>) {
    if let Some(place) = effects.get_mut(at) {
        *place = Some(effect);
    }
}

pub(super) fn effect(outcome: &Outcome) -> Effect {
    Effect {
        changed: outcome.entries.iter().filter_map(|numbered| changed(&numbered.entry.event)).collect(),
        position: outcome.entries.first().map_or(outcome.position, |numbered| numbered.position),
        recorded_at: outcome.recorded_at,
        repeated: outcome.repeated,
    }
}

pub(super) fn changed(event: &Event) -> Option<(CertificateRef, CertStatus)> {
    match event {
        Event::Issued(_) => None,
        event => event.certificate().copied().zip(event.status()),
    }
}
