//! What revokes what: event × kind of certificate → action and reason, as a table.

use std::fmt;

use crate::pki::{CarrierState, CertificateKind, HashAlgorithm, RevocationReason};

/// The table as it ships. What the law leaves to the operator is marked (A) in the documentation.
const TABLE: &str = include_str!("rules.csv");

/// First line of a table.
const HEADER: &str = "event,concerns,sign,auth,phone-sign,phone-auth,carrier,meaning";

/// The kinds of the columns, in their order.
const KINDS: [CertificateKind; 4] = [
    CertificateKind::CardSign,
    CertificateKind::CardAuth,
    CertificateKind::PhoneSign,
    CertificateKind::PhoneAuth,
];

/// In the column of what an event concerns: a person who lives overseas from then on.
const OVERSEAS: &str = "holder overseas";

/// Octets of an event's name: it stands in journal entries.
const EVENT_OCTETS_MAX: usize = 40;

/// Octets of a table, which is journaled whole. The one that ships has 3,000.
pub const RULES_OCTETS_MAX: usize = 16 << 10;

/// One row: what an event does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name in the feed.
    pub event: String,
    /// What it names, and so what it may touch.
    pub concerns: Concerns,
    /// The person it concerns lives overseas from then on, and goes on using the card.
    pub moves_overseas: bool,
    /// What becomes of certificates, by kind.
    actions: [Action; KINDS.len()],
    /// What becomes of the carriers it touches; none when they stay as they are.
    pub carrier: Option<CarrierState>,
    /// What it is, in words.
    pub meaning: String,
}

/// What an event names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Concerns {
    /// A person, and so all that carries their certificates.
    Holder,
    /// One card. Its columns for phones are of those set up with it.
    Card,
    /// One card that was not handed over yet.
    WaitingCard,
    /// One phone.
    Phone,
    /// One certificate of a card or phone.
    Certificate,
    /// All that one key of an authority signed.
    Generation,
}

/// What becomes of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Nothing.
    Stays,
    /// It is revoked, for ever.
    Revoke(RevocationReason),
    /// It is put on hold.
    Hold,
    /// Its hold is lifted.
    Release,
}

/// The rows, by event.
#[derive(Clone, PartialEq, Eq)]
pub struct Rules {
    rows: Vec<Rule>,
    text: String,
    sha256: [u8; 32],
}

/// Why a table of rules is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// The first line names other columns.
    #[error("the first line of the rules must be `{HEADER}`")]
    Header,
    /// It does not fit into a journal entry.
    #[error("the rules have {0} octets: shorten their meanings until all have at most {RULES_OCTETS_MAX}")]
    Long(usize),
    /// A line is no rule.
    #[error("line {line} of the rules is wrong: {problem}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Rule {
    /// What becomes of a certificate of this kind.
    #[must_use]
    pub fn action(&self, kind: CertificateKind) -> Action {
        let column = KINDS.iter().position(|known| *known == kind);
        column.and_then(|column| self.actions.get(column)).copied().unwrap_or(Action::Stays)
    }

    /// What becomes of each kind, in the order of the columns.
    pub fn actions(&self) -> impl Iterator<Item = (CertificateKind, Action)> {
        KINDS.into_iter().zip(self.actions)
    }

    /// True when it is the end of a person's certificates for ever: nothing is issued to them after.
    #[must_use]
    pub fn ends_holder(&self) -> bool {
        self.concerns == Concerns::Holder && self.carrier == Some(CarrierState::Abolished)
    }
}

impl Rules {
    /// The table that ships with the service.
    ///
    /// # Errors
    /// As [`Self::from_csv`].
    pub fn load() -> Result<Self, RulesError> {
        Self::from_csv(TABLE)
    }

    /// Reads a table of the same columns as the one that ships; fields are not quoted, and a line
    /// for each event.
    ///
    /// # Errors
    /// [`RulesError`].
    pub fn from_csv(text: &str) -> Result<Self, RulesError> {
        if text.len() > RULES_OCTETS_MAX {
            return Err(RulesError::Long(text.len()));
        }
        let mut lines = text.lines().enumerate();
        if lines.next().is_none_or(|(_, header)| header != HEADER) {
            return Err(RulesError::Header);
        }
        let mut rows: Vec<Rule> = Vec::new();
        for (at, line) in lines.filter(|(_, line)| !line.is_empty()) {
            let wrong = |problem| RulesError::Line { line: at + 1, problem };
            let rule = row(line).map_err(wrong)?;
            if rows.iter().any(|known| known.event == rule.event) {
                return Err(wrong("an event has one line"));
            }
            rows.push(rule);
        }
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(&HashAlgorithm::Sha256.digest(text.as_bytes()));
        Ok(Self { rows, text: text.to_owned(), sha256 })
    }

    /// The rule of an event.
    #[must_use]
    pub fn find(&self, event: &str) -> Option<&Rule> {
        self.rows.iter().find(|rule| rule.event == event)
    }

    /// All, in the order of the table.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.rows.iter()
    }

    /// The table as it was read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the table: names the rules in force.
    #[must_use]
    pub const fn sha256(&self) -> [u8; 32] {
        self.sha256
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rules({})", self.rows.len())
    }
}

impl Concerns {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Holder, Self::Card, Self::WaitingCard, Self::Phone, Self::Certificate, Self::Generation];

    /// Its name in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Holder => "holder",
            Self::Card => "card",
            Self::WaitingCard => "waiting card",
            Self::Phone => "phone",
            Self::Certificate => "certificate",
            Self::Generation => "generation",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stays => f.write_str("stays"),
            Self::Revoke(reason) => write!(f, "revoke {reason}"),
            Self::Hold => f.write_str("hold"),
            Self::Release => f.write_str("release"),
        }
    }
}

fn row(line: &str) -> Result<Rule, &'static str> {
    let fields: Vec<&str> = line.splitn(8, ',').collect();
    let [event, concerns, sign, auth, phone_sign, phone_auth, carrier, meaning] = *fields else {
        return Err("write eight fields");
    };
    let is_name = |text: &str| text.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'-');
    if event.is_empty() || event.len() > EVENT_OCTETS_MAX || !is_name(event) {
        return Err("an event's name has 1 to 40 letters a-z and hyphens");
    }
    let moves_overseas = concerns == OVERSEAS;
    let concerns = if moves_overseas { Concerns::Holder.name() } else { concerns };
    let concerns = Concerns::ALL.into_iter().find(|known| known.name() == concerns);
    Ok(Rule {
        event: event.to_owned(),
        concerns: concerns.ok_or(
            "it concerns a holder, holder overseas, card, waiting card, phone, certificate or generation",
        )?,
        moves_overseas,
        actions: [action(sign)?, action(auth)?, action(phone_sign)?, action(phone_auth)?],
        carrier: match carrier {
            "stays" => None,
            state => Some(
                state.parse().map_err(|_| "a carrier stays, or becomes `in use`, suspended or abolished")?,
            ),
        },
        meaning: meaning.to_owned(),
    })
}

fn action(field: &str) -> Result<Action, &'static str> {
    Ok(match field {
        "stays" => Action::Stays,
        "hold" => Action::Hold,
        "release" => Action::Release,
        other => {
            let reason = other.strip_prefix("revoke ").and_then(|reason| reason.parse().ok());
            match reason.ok_or("write stays, hold, release, or revoke and a reason")? {
                RevocationReason::CertificateHold | RevocationReason::RemoveFromCrl => {
                    return Err("that reason is no ground for a revocation: write hold or release");
                }
                reason => Action::Revoke(reason),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the law and of what the operator decided (A), as it is told in the README.
    #[test]
    fn the_table_that_ships_says_what_revokes_what() {
        let rules = Rules::load().unwrap();
        let said = |event: &str| {
            let rule = rules.find(event).unwrap();
            rule.actions().map(|(_, action)| action.to_string()).collect::<Vec<_>>().join("; ")
        };
        let moved = "revoke affiliationChanged; stays; revoke affiliationChanged; stays";
        let ended = "revoke cessationOfOperation; revoke cessationOfOperation; \
                     revoke cessationOfOperation; revoke cessationOfOperation";
        for event in ["move-within", "move-out", "move-in", "ward-move", "name-change", "birth-date-change"] {
            assert_eq!(said(event), moved, "{event}");
        }
        for event in ["death", "record-deletion", "overseas", "holder-asks", "card-abolition"] {
            assert_eq!(said(event), ended, "{event}");
        }
        assert_eq!(said("minor-correction"), "stays; stays; stays; stays");
        assert_eq!(said("card-suspension"), "hold; hold; stays; stays");
        assert_eq!(said("phone-found"), "stays; stays; stays; release");
        assert_eq!(rules.iter().filter(|rule| rule.ends_holder()).count(), 3);
        assert!(rules.find("Death").is_none());
    }

    #[test]
    fn a_table_with_a_wrong_line_is_refused_by_its_number() {
        let good = "death,holder,stays,hold,release,revoke superseded,abolished,a, b";
        assert_eq!(Rules::from_csv(&format!("{HEADER}\n{good}\n")).unwrap().iter().len(), 1);
        assert_eq!(Rules::from_csv(good), Err(RulesError::Header));
        let (most, line) = (RULES_OCTETS_MAX, format!("{HEADER}\n{good}"));
        assert!(Rules::from_csv(&format!("{line:x<most$}")).is_ok());
        assert_eq!(Rules::from_csv(&format!("{line:x<most$}x")), Err(RulesError::Long(most + 1)));
        for wrong in [
            "death,holder,stays,hold,release,abolished,gone",
            "Death,holder,stays,stays,stays,stays,stays,x",
            "death,city,stays,stays,stays,stays,stays,x",
            "death,holder,revoke,stays,stays,stays,stays,x",
            "death,holder,revoke certificateHold,stays,stays,stays,stays,x",
            "death,holder,revoke removeFromCRL,stays,stays,stays,stays,x",
            "death,holder,stays,stays,stays,stays,lost,x",
            good,
        ] {
            let read = Rules::from_csv(&format!("{HEADER}\n{good}\n{wrong}\n"));
            assert!(matches!(read, Err(RulesError::Line { line: 3, .. })), "{wrong}");
        }
    }

    #[test]
    fn c_2_one_event_moves_a_person_overseas_and_only_a_person_moves() {
        let rules = Rules::load().unwrap();
        let moving: Vec<&str> =
            rules.iter().filter(|rule| rule.moves_overseas).map(|rule| rule.event.as_str()).collect();
        assert_eq!(moving, ["overseas-continued"]);
        assert_eq!(rules.find("overseas-continued").unwrap().concerns, Concerns::Holder);
        for bad in ["card overseas", "holder  overseas", "overseas", "holder abroad"] {
            let line = format!("x,{bad},stays,stays,stays,stays,stays,meaning");
            let read = Rules::from_csv(&format!("{HEADER}\n{line}\n"));
            assert!(matches!(read, Err(RulesError::Line { line: 2, .. })), "{bad}");
        }
    }
}
