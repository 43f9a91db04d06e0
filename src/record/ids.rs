//! What entries point with.

use std::fmt;
use std::str::FromStr;

use ring::digest;

use crate::pki::{AuthorityId, Generation, SerialNumber};

/// Place of an entry in the journal: 1, 2, 3 … without gaps. 0 is before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

impl Position {
    /// The place after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The place so many entries after this one.
    #[must_use]
    pub fn plus(self, entries: usize) -> Self {
        Self(self.0.saturating_add(u64::try_from(entries).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Which life of the journal: rises at every restore and promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The epoch a new journal begins in.
    pub const FIRST: Self = Self(1);
}

/// One certificate, by all that names it. The serial is unique in the authority; the
/// generation says whose key signed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateRef {
    /// The authority.
    pub authority: AuthorityId,
    /// The key that signed it.
    pub generation: Generation,
    /// Its serial number.
    pub serial: SerialNumber,
}

/// A holder, as a random number. Only the archive links it to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HolderId(pub u128);

/// A card or phone that carries certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardId(pub u128);

impl fmt::Display for HolderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "holder-{:032x}", self.0)
    }
}

impl fmt::Display for CardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "card-{:032x}", self.0)
    }
}

impl FromStr for HolderId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        number(text, "holder-").map(Self)
    }
}

impl FromStr for CardId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        number(text, "card-").map(Self)
    }
}

/// The text names no card, or no holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write it as it was printed: card- or holder- and 32 hexadecimal digits")]
pub struct IdError;

fn number(text: &str, prefix: &str) -> Result<u128, IdError> {
    let digits = text.strip_prefix(prefix).ok_or(IdError)?;
    // As it is printed and no otherwise: one id has one spelling.
    let is_printed =
        digits.len() == 32 && digits.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'));
    if is_printed { u128::from_str_radix(digits, 16).map_err(|_| IdError) } else { Err(IdError) }
}

/// Where a certificate stands in the archive; the store alone knows how to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArchivePlace(pub u64);

/// Where the comment on an entry stands, and what it was: the journal names no person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommentRef {
    /// Where it is in the archive.
    pub archive: ArchivePlace,
    /// SHA-256 of what was archived. That begins with random octets, so that nobody who has the digest finds a
    /// short comment by trying.
    pub sha256: [u8; 32],
}

/// Who asked for a change: `uid:1000` over the admin socket, `sekisho` for the service itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Actor(String);

/// The text is no actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an actor's name has 1 to {} octets", Actor::OCTETS_MAX)]
pub struct ActorError;

impl Actor {
    /// Octets of a name: it is written into every entry.
    pub const OCTETS_MAX: usize = 64;

    /// From its name.
    ///
    /// # Errors
    /// When it is empty or longer than [`Self::OCTETS_MAX`].
    pub fn new(name: impl Into<String>) -> Result<Self, ActorError> {
        let name = name.into();
        if name.is_empty() || name.len() > Self::OCTETS_MAX { Err(ActorError) } else { Ok(Self(name)) }
    }

    /// The service acting on its own schedule.
    #[must_use]
    pub fn service() -> Self {
        Self("sekisho".to_owned())
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// The number under which somebody keeps what a change was made for: a call, an application on paper.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ticket(String);

/// The text is no ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a ticket has 1 to {} of the characters A-Z a-z 0-9 . _ / - and no others: it names no person",
    Ticket::OCTETS_MAX
)]
pub struct TicketError;

impl Ticket {
    /// Octets of a ticket: it is written into every entry of its change.
    pub const OCTETS_MAX: usize = 40;

    /// The ticket.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let is_right =
            |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'_' | b'/' | b'-');
        let fits = (1..=Self::OCTETS_MAX).contains(&text.len());
        if fits && text.bytes().all(is_right) { Ok(Self(text.to_owned())) } else { Err(TicketError) }
    }
}

/// Makes a repeated request recognisable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    /// Hash of who asked and the key they chose.
    pub key: [u8; 16],
    /// Hash of what they asked: the same key with another digest is refused.
    pub digest: [u8; 16],
}

impl RequestId {
    /// From the asker, the key they chose and the octets of what they ask.
    #[must_use]
    pub fn new(actor: &Actor, key: &str, request: &[u8]) -> Self {
        let hash = |parts: &[&[u8]]| {
            let mut context = digest::Context::new(&digest::SHA256);
            for part in parts {
                context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                context.update(part);
            }
            let mut short = [0; 16];
            if let Some(head) = context.finish().as_ref().first_chunk::<16>() {
                short = *head;
            }
            short
        };
        Self { key: hash(&[actor.name().as_bytes(), key.as_bytes()]), digest: hash(&[request]) }
    }
}

/// Who asked for an entry, under which idempotency key, and what for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Who.
    pub actor: Actor,
    /// The request, when it carried a key.
    pub request: Option<RequestId>,
    /// The ticket, when one was given.
    pub ticket: Option<Ticket>,
    /// Where the comment stands, when one was given.
    pub comment: Option<CommentRef>,
}

impl Origin {
    /// Somebody, without key, ticket and comment.
    #[must_use]
    pub const fn of(actor: Actor) -> Self {
        Self { actor, request: None, ticket: None, comment: None }
    }

    /// The service itself, without a key.
    #[must_use]
    pub fn service() -> Self {
        Self::of(Actor::service())
    }
}
