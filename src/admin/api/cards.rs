//! Bodies about cards, phones, the people who hold them, and what is reported of both.

use serde::{Deserialize, Serialize};

use super::{Comment, Problem, Status};

/// Apply for a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyForCard {
    /// Who; somebody new when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// Municipality code.
    pub municipality: String,
    /// The card's own expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Ticket, recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Comment, archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Comment>,
    /// Idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Names a card or phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedCard {
    /// As it was printed.
    pub card: String,
    /// Ticket, recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Comment, archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Comment>,
    /// Idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What an application or a hand-over came to; durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardChange {
    /// The card.
    pub card: String,
    /// Whose it is.
    pub holder: String,
    /// False when it was so already.
    pub changed: bool,
    /// Journal position of the entry it rests on.
    pub position: u64,
    /// When that entry was recorded.
    pub recorded_at: String,
}

/// What became of a card or phone that was lost or found; durable, and every answer shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardTurned {
    /// The card.
    #[serde(flatten)]
    pub card: CardChange,
    /// The certificates it changed.
    pub certificates: Vec<ChangedCertificate>,
}

/// All that is known of a card or phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardState {
    /// The card or phone.
    pub card: String,
    /// `card` or `phone`.
    pub carrier: String,
    /// `applied`, `issued`, `in use`, `suspended`, `abolished`; `expired` when its time is over before.
    pub state: String,
    /// The card a phone was set up with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    /// Whose it is.
    pub holder: String,
    /// Where the holder lives.
    pub municipality: String,
    /// Since when all certificates of the holder are at their end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// The card's own expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Its certificates, in the order of their issue.
    pub certificates: Vec<CardCertificate>,
    /// The holder's other cards and phones.
    pub others: Vec<String>,
}

/// A certificate on a card or phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardCertificate {
    /// Kind.
    pub kind: String,
    /// Authority's name.
    pub authority: String,
    /// Serial.
    pub serial: String,
    /// End of validity.
    pub not_after: String,
    /// Its status.
    #[serde(flatten)]
    pub status: Status,
}

/// Reports about people and their cards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Movements {
    /// In their order.
    pub movements: Vec<Movement>,
    /// Say what each would come to after those before it, and write nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Ticket, recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Comment, archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Comment>,
}

/// One line of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Movement {
    /// Names the event: the same id is the same event again.
    pub event_id: String,
    /// The rule's name; `sekisho rules` lists them.
    pub kind: String,
    /// The card or phone it is about; for an event about a person, one of theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// The person it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// The certificate on the card or phone it is about: its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Since when it holds.
    pub effective_at: String,
    /// When it was reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<String>,
    /// Where the person lives from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub municipality: Option<String>,
}

/// What reports came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effects {
    /// One for each, in the same order.
    pub effects: Vec<Effect>,
}

/// What one report came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Recorded, durable.
    Done(MovementDone),
    /// Not recorded; it may be right later.
    Rejected(Problem),
}

/// A report that was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovementDone {
    /// The certificates it changed.
    pub changed: Vec<ChangedCertificate>,
    /// Journal position of the entry that records it.
    pub position: u64,
    /// True when the same event had been reported before.
    pub repeated: bool,
}

/// A certificate that a report changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedCertificate {
    /// Authority's name.
    pub authority: String,
    /// Serial.
    pub serial: String,
    /// Its status since.
    #[serde(flatten)]
    pub status: Status,
}

/// Where cards and their certificates disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// Cards and phones looked at.
    pub cards: u64,
    /// What disagrees, a line each.
    pub disagreements: Vec<String>,
}

/// The report behind a change of a certificate's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovementBehind {
    /// The event, by its name in the rules.
    pub event: String,
    /// Since when it holds.
    pub effective_at: String,
    /// Journal position of its entry.
    pub position: u64,
}
