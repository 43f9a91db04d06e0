//! Octets of entries and records. Numbers are big-endian; times are seconds since 1970.
//!
//! | entry, field | octets | |
//! |---|---|---|
//! | length of the rest | 2 | |
//! | event | 1 | see [`event_tag`] |
//! | recorded_at | 8 | |
//! | flags | 1 | bit 0: a request id follows; bit 1: a ticket; bit 2: where a comment stands |
//! | actor | 1 + n | length, UTF-8 |
//! | request key, digest | 16 + 16 | with flag bit 0 |
//! | ticket | 1 + n | with flag bit 1: length, characters |
//! | comment | 8 + 32 | with flag bit 2: archive place, SHA-256 |
//! | event fields | rest | in the order of their declaration |
//!
//! | field type | octets |
//! |---|---|
//! | authority, generation, kind, state, reason, boolean | 1 |
//! | serial | 1 + n: length, magnitude |
//! | position, number, archive place, time | 8 |
//! | holder, card | 16 |
//! | SHA-256 | 32 |
//! | partition, change | 4 |
//! | option | 1 (0 or 1), then the value |
//! | text, list | 1 (count), then its octets or items |
//! | key's digest | 16 |
//! | verifier's certificate, table of rules | 2 (count), then its octets: at most 16,384 |
//!
//! A field that is longer than its count can say, or than its limit, is refused with
//! [`WriteError`]: nothing is cut.
//!
//! A record is: position, recorded_at, the fields of Issued, then a list of changes, each
//! position, recorded_at, an option of a Revocation (absent: good) and one of the cause's position. A
//! change of status without a cause has the tag and fields it had before there were causes. A card is: the fields of
//! CardApplied, recorded_at, position, those of CardStatus, then a list (count 2) of certificates,
//! each kind, authority, serial. A holder is: id, position, the fields of HolderStatus but for overseas_since,
//! then an option of that, then a list (count 2) of cards. A key is the fields of CertifiedKey. Event tags and fields are never reused or reordered; a new fact gets a new
//! tag.

mod cards;
mod write;

pub use write::{TEXT_OCTETS_MAX, Unit, WriteError};

use cards::{put_applied, put_card_status, put_certified, put_holder_status, put_movement};
use write::{
    kind_code, put_authorities, put_bases, put_change, put_issued, put_key, put_long_count, put_octets,
    put_option, put_revocation, put_text, put_time, whole,
};

use super::{
    Actor, ArchivePlace, CertificateRef, Change, CommentRef, Entry, Epoch, Event, HolderStatus, Issued,
    Origin, Position, Record, RequestId, StatusChange, Ticket,
};
use crate::der::UnixTime;
use crate::pki::{
    AuthorityId, CertStatus, CertificateKind, Generation, Partition, Revocation, RevocationReason,
    SerialNumber,
};

/// Octets of one entry with its length: the largest has under 400, one with a verifier's
/// certificate under 9,000 and one with a table of rules under 17,000; the two-octet length sets
/// the bound.
pub const ENTRY_OCTETS_MAX: usize = 0xffff + 2;

/// Octets of a table of rules in an entry: it is written rarely, and leaves room for all else.
pub const TABLE_OCTETS_MAX: usize = 16 << 10;

/// Octets of a verifier's certificate in an entry: twice what the register takes.
pub const CERTIFICATE_OCTETS_MAX: usize = 16 << 10;

/// The octets are no entry or record of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// They end early, or go on too long.
    #[error("cut short or too long")]
    Length,
    /// A tag or value this version does not know.
    #[error("unknown tag or value {0:#04x}: written by a newer version, or damaged")]
    Unknown(u8),
    /// A value out of its range.
    #[error("a value is out of its range")]
    Range,
}

/// Flag: a request id follows.
const REQUEST: u8 = 1;
/// Flag: a ticket follows.
const TICKET: u8 = 2;
/// Flag: the place and digest of a comment follow.
const COMMENT: u8 = 4;

/// First octet of an event.
mod event_tag {
    pub(super) const JOURNAL_BEGUN: u8 = 1;
    pub(super) const EPOCH_BEGUN: u8 = 2;
    pub(super) const AUTHORITY_OPENED: u8 = 3;
    pub(super) const SERIALS_RESERVED: u8 = 4;
    pub(super) const ISSUED: u8 = 5;
    pub(super) const REVOKED: u8 = 6;
    pub(super) const RELEASED: u8 = 7;
    pub(super) const REQUEST_SEEN: u8 = 8;
    pub(super) const CRL_SET_BEGUN: u8 = 9;
    pub(super) const CRL_SET_PUBLISHED: u8 = 10;
    pub(super) const CRL_SET_ABANDONED: u8 = 11;
    pub(super) const CLOCK_RELEASED: u8 = 12;
    pub(super) const CRL_DELTAS_BEGUN: u8 = 13;
    pub(super) const CRL_SET_RELEASED: u8 = 14;
    /// As `REVOKED`, with the position of its cause; that without one keeps the older tag.
    pub(super) const REVOKED_FOR_CAUSE: u8 = 15;
    /// As `RELEASED`, with the position of its cause.
    pub(super) const RELEASED_FOR_CAUSE: u8 = 16;
    pub(super) const KEY_CERTIFIED: u8 = 40;
    pub(super) const VERIFIER_REGISTERED: u8 = 20;
    pub(super) const VERIFIER_SUSPENDED: u8 = 21;
    pub(super) const CARD_APPLIED: u8 = 30;
    pub(super) const CARD_CHANGED: u8 = 31;
    pub(super) const HOLDER_CHANGED: u8 = 32;
    pub(super) const MOVEMENT: u8 = 33;
    /// As `HOLDER_CHANGED`, of somebody who moved overseas: since when.
    pub(super) const HOLDER_OVERSEAS: u8 = 41;
    /// Without the table: read, and written no more.
    pub(super) const RULES_NAMED: u8 = 34;
    pub(super) const RULES_ADOPTED: u8 = 35;
    pub(super) const GENERATION_COMPROMISED: u8 = 50;
    pub(super) const GENERATION_REVOKED: u8 = 51;
    pub(super) const ISSUING_FROM: u8 = 52;
    pub(super) const GENERATION_RETIRED: u8 = 53;
}

impl Entry {
    /// Appends the entry with its length in front.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was appended then.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let mut body = Vec::new();
        body.push(self.event.tag());
        put_time(&mut body, self.recorded_at);
        let Origin { actor, request, ticket, comment } = &self.origin;
        let flag = |is_there, flag| if is_there { flag } else { 0 };
        body.push(
            flag(request.is_some(), REQUEST)
                | flag(ticket.is_some(), TICKET)
                | flag(comment.is_some(), COMMENT),
        );
        put_text(&mut body, "actor's name", actor.name())?;
        if let Some(request) = request {
            body.extend(request.key);
            body.extend(request.digest);
        }
        if let Some(ticket) = ticket {
            put_text(&mut body, "ticket", ticket.text())?;
        }
        if let Some(comment) = comment {
            body.extend(comment.archive.0.to_be_bytes().iter().chain(&comment.sha256));
        }
        self.event.write(&mut body)?;
        put_octets(out, "entry", &body, ENTRY_OCTETS_MAX - 2)
    }

    /// Reads one entry from the front of `octets` and moves them on.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn read(octets: &mut &[u8]) -> Result<Self, CodecError> {
        let mut outer = Octets(octets);
        let len = usize::from(u16::from_be_bytes(outer.array()?));
        let mut body = Octets(outer.take(len)?);
        let tag = body.one()?;
        let recorded_at = body.time()?;
        let flags = body.one()?;
        let actor = Actor::new(body.text()?).map_err(|_| CodecError::Range)?;
        if flags & !(REQUEST | TICKET | COMMENT) != 0 {
            return Err(CodecError::Unknown(flags));
        }
        let request = (flags & REQUEST != 0).then(|| body.request()).transpose()?;
        let ticket = (flags & TICKET != 0).then(|| body.ticket()).transpose()?;
        let comment = (flags & COMMENT != 0).then(|| body.comment()).transpose()?;
        let event = Event::read(tag, &mut body)?;
        body.finish()?;
        *octets = outer.0;
        Ok(Self { recorded_at, origin: Origin { actor, request, ticket, comment }, event })
    }
}

impl Event {
    const fn tag(&self) -> u8 {
        match self {
            Self::JournalBegun { .. } => event_tag::JOURNAL_BEGUN,
            Self::EpochBegun { .. } => event_tag::EPOCH_BEGUN,
            Self::AuthorityOpened { .. } => event_tag::AUTHORITY_OPENED,
            Self::SerialsReserved { .. } => event_tag::SERIALS_RESERVED,
            Self::Issued(_) => event_tag::ISSUED,
            Self::KeyCertified(_) => event_tag::KEY_CERTIFIED,
            Self::Revoked(StatusChange { cause: None, .. }) => event_tag::REVOKED,
            Self::Revoked(_) => event_tag::REVOKED_FOR_CAUSE,
            Self::Released(StatusChange { cause: None, .. }) => event_tag::RELEASED,
            Self::Released(_) => event_tag::RELEASED_FOR_CAUSE,
            Self::RequestSeen => event_tag::REQUEST_SEEN,
            Self::CrlSetBegun { .. } => event_tag::CRL_SET_BEGUN,
            Self::CrlDeltasBegun { .. } => event_tag::CRL_DELTAS_BEGUN,
            Self::CrlSetReleased { .. } => event_tag::CRL_SET_RELEASED,
            Self::CrlSetPublished { .. } => event_tag::CRL_SET_PUBLISHED,
            Self::CrlSetAbandoned { .. } => event_tag::CRL_SET_ABANDONED,
            Self::ClockReleased { .. } => event_tag::CLOCK_RELEASED,
            Self::VerifierRegistered { .. } => event_tag::VERIFIER_REGISTERED,
            Self::VerifierSuspended { .. } => event_tag::VERIFIER_SUSPENDED,
            Self::CardApplied(_) => event_tag::CARD_APPLIED,
            Self::CardChanged(..) => event_tag::CARD_CHANGED,
            Self::HolderChanged(_, HolderStatus { overseas_since: None, .. }) => event_tag::HOLDER_CHANGED,
            Self::HolderChanged(..) => event_tag::HOLDER_OVERSEAS,
            Self::Movement(_) => event_tag::MOVEMENT,
            Self::GenerationCompromised { .. } => event_tag::GENERATION_COMPROMISED,
            Self::GenerationRevoked { .. } => event_tag::GENERATION_REVOKED,
            Self::IssuingFrom { .. } => event_tag::ISSUING_FROM,
            Self::GenerationRetired { .. } => event_tag::GENERATION_RETIRED,
            Self::RulesAdopted { table: None, .. } => event_tag::RULES_NAMED,
            Self::RulesAdopted { table: Some(_), .. } => event_tag::RULES_ADOPTED,
        }
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        match self {
            Self::RequestSeen => {}
            Self::JournalBegun { journal_id } => out.extend(journal_id),
            Self::EpochBegun { epoch, serials, reason } => {
                out.extend(epoch.0.to_be_bytes());
                out.extend(serials.to_be_bytes());
                put_text(out, "reason", reason)?;
            }
            Self::AuthorityOpened { authority, name } => {
                out.push(authority.0);
                put_text(out, "authority's name", name)?;
            }
            Self::SerialsReserved { authority, up_to } => {
                out.push(authority.0);
                out.extend(up_to.to_be_bytes());
            }
            Self::Issued(issued) => put_issued(out, issued),
            Self::KeyCertified(certified) => put_certified(out, certified),
            Self::Revoked(change) => put_change(out, change, put_revocation),
            Self::Released(change) => put_change(out, change, |_, ()| ()),
            Self::CrlSetBegun { authorities, scheduled } => {
                put_authorities(out, authorities)?;
                out.push(u8::from(*scheduled));
            }
            Self::CrlDeltasBegun { bases } => put_bases(out, bases)?,
            Self::CrlSetReleased { begun, finding, reason } => {
                out.extend(begun.0.to_be_bytes());
                put_text(out, "finding", finding)?;
                put_text(out, "reason", reason)?;
            }
            Self::CrlSetPublished { begun, catalogue_sha256 } => {
                out.extend(begun.0.to_be_bytes().iter().chain(catalogue_sha256));
            }
            Self::CrlSetAbandoned { begun } => out.extend(begun.0.to_be_bytes()),
            Self::ClockReleased { until } => put_time(out, *until),
            Self::VerifierRegistered { name, certificate } => {
                put_text(out, "verifier's name", name)?;
                put_octets(out, "verifier's certificate", certificate, CERTIFICATE_OCTETS_MAX)?;
            }
            Self::VerifierSuspended { certificate_sha256 } => out.extend(certificate_sha256),
            Self::CardApplied(applied) => put_applied(out, applied),
            Self::CardChanged(card, status) => {
                out.extend(card.0.to_be_bytes());
                put_card_status(out, status);
            }
            Self::HolderChanged(holder, status) => {
                out.extend(holder.0.to_be_bytes());
                put_holder_status(out, status);
                if let Some(since) = status.overseas_since {
                    put_time(out, since);
                }
            }
            Self::Movement(movement) => put_movement(out, movement)?,
            Self::GenerationCompromised { authority, generation, invalidity_date } => {
                put_key(out, *authority, *generation);
                put_option(out, invalidity_date.as_ref(), |out, time| put_time(out, *time));
            }
            Self::GenerationRevoked { authority, generation } => put_key(out, *authority, *generation),
            Self::IssuingFrom { authority, generation, from } => {
                put_key(out, *authority, *generation);
                put_time(out, *from);
            }
            Self::GenerationRetired { authority, generation, begun } => {
                put_key(out, *authority, *generation);
                out.extend(begun.0.to_be_bytes());
            }
            Self::RulesAdopted { sha256, table } => {
                out.extend(sha256);
                if let Some(table) = table {
                    put_octets(out, "table of rules", table.as_bytes(), TABLE_OCTETS_MAX)?;
                }
            }
        }
        Ok(())
    }

    fn read(tag: u8, body: &mut Octets<'_>) -> Result<Self, CodecError> {
        Ok(match tag {
            event_tag::JOURNAL_BEGUN => Self::JournalBegun { journal_id: body.array()? },
            event_tag::EPOCH_BEGUN => Self::EpochBegun {
                epoch: Epoch(u32::from_be_bytes(body.array()?)),
                serials: body.number()?,
                reason: body.text()?,
            },
            event_tag::AUTHORITY_OPENED => {
                Self::AuthorityOpened { authority: AuthorityId(body.one()?), name: body.text()? }
            }
            event_tag::SERIALS_RESERVED => {
                Self::SerialsReserved { authority: AuthorityId(body.one()?), up_to: body.number()? }
            }
            event_tag::ISSUED => Self::Issued(body.issued()?),
            event_tag::KEY_CERTIFIED => Self::KeyCertified(body.certified()?),
            event_tag::REVOKED => Self::Revoked(body.change(Octets::revocation, false)?),
            event_tag::RELEASED => Self::Released(body.change(|_| Ok(()), false)?),
            event_tag::REVOKED_FOR_CAUSE => Self::Revoked(body.change(Octets::revocation, true)?),
            event_tag::RELEASED_FOR_CAUSE => Self::Released(body.change(|_| Ok(()), true)?),
            event_tag::REQUEST_SEEN => Self::RequestSeen,
            event_tag::CRL_SET_BEGUN => {
                let count = usize::from(body.one()?);
                let authorities = body.take(count)?.iter().copied().map(AuthorityId).collect();
                Self::CrlSetBegun { authorities, scheduled: body.boolean()? }
            }
            event_tag::CRL_DELTAS_BEGUN => {
                let count = body.one()?;
                let base = |_| Ok((AuthorityId(body.one()?), Position(body.number()?)));
                Self::CrlDeltasBegun { bases: (0..count).map(base).collect::<Result<_, CodecError>>()? }
            }
            event_tag::CRL_SET_RELEASED => Self::CrlSetReleased {
                begun: Position(body.number()?),
                finding: body.text()?,
                reason: body.text()?,
            },
            event_tag::CRL_SET_PUBLISHED => {
                Self::CrlSetPublished { begun: Position(body.number()?), catalogue_sha256: body.array()? }
            }
            event_tag::CRL_SET_ABANDONED => Self::CrlSetAbandoned { begun: Position(body.number()?) },
            event_tag::CLOCK_RELEASED => Self::ClockReleased { until: body.time()? },
            event_tag::VERIFIER_REGISTERED => {
                Self::VerifierRegistered { name: body.text()?, certificate: body.octets()?.to_vec() }
            }
            event_tag::VERIFIER_SUSPENDED => Self::VerifierSuspended { certificate_sha256: body.array()? },
            event_tag::CARD_APPLIED => Self::CardApplied(body.applied()?),
            event_tag::CARD_CHANGED => Self::CardChanged(body.card()?, body.card_status()?),
            event_tag::HOLDER_CHANGED => Self::HolderChanged(body.holder()?, body.holder_status()?),
            event_tag::HOLDER_OVERSEAS => {
                let (holder, status) = (body.holder()?, body.holder_status()?);
                Self::HolderChanged(holder, HolderStatus { overseas_since: Some(body.time()?), ..status })
            }
            event_tag::MOVEMENT => Self::Movement(body.movement()?),
            event_tag::GENERATION_COMPROMISED => Self::GenerationCompromised {
                authority: AuthorityId(body.one()?),
                generation: body.generation()?,
                invalidity_date: body.option(Octets::time)?,
            },
            event_tag::GENERATION_REVOKED => Self::GenerationRevoked {
                authority: AuthorityId(body.one()?),
                generation: body.generation()?,
            },
            event_tag::ISSUING_FROM => Self::IssuingFrom {
                authority: AuthorityId(body.one()?),
                generation: body.generation()?,
                from: body.time()?,
            },
            event_tag::GENERATION_RETIRED => Self::GenerationRetired {
                authority: AuthorityId(body.one()?),
                generation: body.generation()?,
                begun: Position(body.number()?),
            },
            event_tag::RULES_NAMED => Self::RulesAdopted { sha256: body.array()?, table: None },
            event_tag::RULES_ADOPTED => {
                Self::RulesAdopted { sha256: body.array()?, table: Some(body.rules()?) }
            }
            other => return Err(CodecError::Unknown(other)),
        })
    }
}

impl Record {
    /// Appends the record.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was appended then.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        whole(out, |out| {
            self.write_issue(out);
            self.write_changes(out)
        })
    }

    /// Appends what never changes. All of it has a length of its own, so it always fits.
    pub fn write_issue(&self, out: &mut Vec<u8>) {
        out.extend(self.position.0.to_be_bytes());
        put_time(out, self.recorded_at);
        put_issued(out, &self.issued);
    }

    /// Appends the changes.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was appended then.
    pub fn write_changes(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        put_long_count(out, "list of a certificate's changes", self.changes.len())?;
        for change in &self.changes {
            out.extend(change.position.0.to_be_bytes());
            put_time(out, change.recorded_at);
            let revocation = match &change.status {
                CertStatus::Revoked(revocation) => Some(revocation),
                CertStatus::Good | CertStatus::Unknown => None,
            };
            put_option(out, revocation, put_revocation);
            put_option(out, change.cause.as_ref(), |out, cause| out.extend(cause.0.to_be_bytes()));
        }
        Ok(())
    }

    /// Reads a record that fills `octets`.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn from_octets(octets: &[u8]) -> Result<Self, CodecError> {
        let mut octets = Octets(octets);
        let mut record = octets.issue()?;
        record.changes = octets.changes()?;
        octets.finish()?;
        Ok(record)
    }

    /// Reads a record whose parts were written apart; none for the changes of one that has none.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn from_parts(issue: &[u8], changes: Option<&[u8]>) -> Result<Self, CodecError> {
        let mut octets = Octets(issue);
        let mut record = octets.issue()?;
        octets.finish()?;
        if let Some(changes) = changes {
            let mut octets = Octets(changes);
            record.changes = octets.changes()?;
            octets.finish()?;
        }
        Ok(record)
    }
}

/// Octets still to be read.
struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CodecError::Length)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        self.take(N)?.try_into().map_err(|_| CodecError::Length)
    }

    fn one(&mut self) -> Result<u8, CodecError> {
        self.array().map(|[octet]| octet)
    }

    fn boolean(&mut self) -> Result<bool, CodecError> {
        match self.one()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(CodecError::Unknown(other)),
        }
    }

    fn number(&mut self) -> Result<u64, CodecError> {
        self.array().map(u64::from_be_bytes)
    }

    fn time(&mut self) -> Result<UnixTime, CodecError> {
        let seconds = self.array().map(i64::from_be_bytes)?;
        let time = UnixTime::from_seconds(seconds);
        if time.seconds() == seconds { Ok(time) } else { Err(CodecError::Range) }
    }

    fn text(&mut self) -> Result<String, CodecError> {
        let len = usize::from(self.one()?);
        String::from_utf8(self.take(len)?.to_vec()).map_err(|_| CodecError::Range)
    }

    fn request(&mut self) -> Result<RequestId, CodecError> {
        Ok(RequestId { key: self.array()?, digest: self.array()? })
    }

    fn ticket(&mut self) -> Result<Ticket, CodecError> {
        self.text()?.parse().map_err(|_| CodecError::Range)
    }

    fn comment(&mut self) -> Result<CommentRef, CodecError> {
        Ok(CommentRef { archive: ArchivePlace(self.number()?), sha256: self.array()? })
    }

    fn octets(&mut self) -> Result<&'a [u8], CodecError> {
        let len = usize::from(u16::from_be_bytes(self.array()?));
        self.take(len)
    }

    fn rules(&mut self) -> Result<String, CodecError> {
        let octets = self.octets()?;
        if octets.len() > TABLE_OCTETS_MAX {
            return Err(CodecError::Range);
        }
        String::from_utf8(octets.to_vec()).map_err(|_| CodecError::Range)
    }

    fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Option<T>, CodecError> {
        if self.boolean()? { read(self).map(Some) } else { Ok(None) }
    }

    fn serial(&mut self) -> Result<SerialNumber, CodecError> {
        let len = usize::from(self.one()?);
        SerialNumber::from_magnitude(self.take(len)?).map_err(|_| CodecError::Range)
    }

    fn certificate(&mut self) -> Result<CertificateRef, CodecError> {
        let authority = AuthorityId(self.one()?);
        let generation = self.generation()?;
        Ok(CertificateRef { authority, generation, serial: self.serial()? })
    }

    fn generation(&mut self) -> Result<Generation, CodecError> {
        Generation::new(self.one()?).ok_or(CodecError::Range)
    }

    fn revocation(&mut self) -> Result<Revocation, CodecError> {
        let revoked_at = self.time()?;
        let code = self.one()?;
        let reason = RevocationReason::from_code(code).ok_or(CodecError::Unknown(code))?;
        Ok(Revocation { revoked_at, reason, invalidity_date: self.option(Self::time)? })
    }

    fn change<T>(
        &mut self,
        became: impl FnOnce(&mut Self) -> Result<T, CodecError>,
        has_cause: bool,
    ) -> Result<StatusChange<T>, CodecError> {
        Ok(StatusChange {
            certificate: self.certificate()?,
            became: became(self)?,
            change: u32::from_be_bytes(self.array()?),
            cause: if has_cause { Some(Position(self.number()?)) } else { None },
        })
    }

    fn kind(&mut self) -> Result<CertificateKind, CodecError> {
        let code = self.one()?;
        let kind = CertificateKind::ALL.into_iter().find(|kind| kind_code(*kind) == code);
        kind.ok_or(CodecError::Unknown(code))
    }

    fn partition(&mut self) -> Result<Partition, CodecError> {
        self.array().map(|octets| Partition(u32::from_be_bytes(octets)))
    }

    /// A record that never changed.
    fn issue(&mut self) -> Result<Record, CodecError> {
        Ok(Record {
            position: Position(self.number()?),
            recorded_at: self.time()?,
            issued: self.issued()?,
            changes: Vec::new(),
        })
    }

    fn changes(&mut self) -> Result<Vec<Change>, CodecError> {
        let count = u16::from_be_bytes(self.array()?);
        let changes = (0..count).map(|_| {
            Ok(Change {
                position: Position(self.number()?),
                recorded_at: self.time()?,
                status: self.option(Self::revocation)?.map_or(CertStatus::Good, CertStatus::Revoked),
                cause: self.option(Self::number)?.map(Position),
            })
        });
        changes.collect()
    }

    fn issued(&mut self) -> Result<Issued, CodecError> {
        let certificate = self.certificate()?;
        Ok(Issued {
            certificate,
            kind: self.kind()?,
            partition: self.option(Self::partition)?,
            not_before: self.time()?,
            not_after: self.time()?,
            archive: ArchivePlace(self.number()?),
            sha256: self.array()?,
            holder: self.option(Self::holder)?,
            card: self.option(Self::card)?,
            twin: self.option(|o| Ok((AuthorityId(o.one()?), o.serial()?)))?,
        })
    }

    fn finish(self) -> Result<(), CodecError> {
        if self.0.is_empty() { Ok(()) } else { Err(CodecError::Length) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pki::{Carrier, CarrierState};
    use crate::record::{
        Card, CardApplied, CardId, CardStatus, CertifiedKey, Holder, HolderId, HolderStatus, KeyDigest,
        Movement, Numbered, OnCard,
    };

    fn serial() -> impl Strategy<Value = SerialNumber> {
        prop_oneof![
            (1..u64::MAX).prop_map(|n| SerialNumber::try_from(n).unwrap()),
            prop::array::uniform16(1..=255_u8)
                .prop_map(|octets| SerialNumber::from_magnitude(&octets).unwrap())
        ]
    }

    fn certificate() -> impl Strategy<Value = CertificateRef> {
        (any::<u8>(), 1..64_u8, serial()).prop_map(|(authority, generation, serial)| CertificateRef {
            authority: AuthorityId(authority),
            generation: Generation::new(generation).unwrap(),
            serial,
        })
    }

    fn time() -> impl Strategy<Value = UnixTime> {
        (0..UnixTime::MAX.seconds()).prop_map(UnixTime::from_seconds)
    }

    fn revocation() -> impl Strategy<Value = Revocation> {
        (time(), 0..10_usize, prop::option::of(time())).prop_map(|(revoked_at, reason, invalidity_date)| {
            Revocation { revoked_at, reason: RevocationReason::ALL[reason], invalidity_date }
        })
    }

    fn cause() -> impl Strategy<Value = Option<Position>> {
        prop::option::of(any::<u64>().prop_map(Position))
    }

    fn issued() -> impl Strategy<Value = Issued> {
        let ids = (any::<u64>(), any::<[u8; 32]>(), any::<Option<u128>>(), any::<Option<u128>>());
        let twin = prop::option::of((any::<u8>().prop_map(AuthorityId), serial()));
        (certificate(), 0..6_usize, any::<Option<u32>>(), time(), time(), ids, twin).prop_map(
            |(certificate, kind, partition, not_before, not_after, (archive, sha256, holder, card), twin)| {
                Issued {
                    certificate,
                    kind: CertificateKind::ALL[kind],
                    partition: partition.map(Partition),
                    not_before,
                    not_after,
                    archive: ArchivePlace(archive),
                    sha256,
                    holder: holder.map(HolderId),
                    card: card.map(CardId),
                    twin,
                }
            },
        )
    }

    fn certified() -> impl Strategy<Value = CertifiedKey> {
        (any::<u128>(), any::<u128>(), 0..6_usize, any::<u8>(), serial()).prop_map(
            |(key, holder, kind, authority, serial)| CertifiedKey {
                key: KeyDigest(key),
                holder: HolderId(holder),
                kind: CertificateKind::ALL[kind],
                authority: AuthorityId(authority),
                serial,
            },
        )
    }

    fn applied() -> impl Strategy<Value = CardApplied> {
        let carrier = prop::sample::select(vec![Carrier::Card, Carrier::Phone]);
        let ids = (any::<u128>(), any::<Option<u128>>(), any::<u128>());
        (ids, carrier, any::<u32>(), prop::option::of(time())).prop_map(
            |((card, of, holder), carrier, municipality, expires)| CardApplied {
                card: CardId(card),
                carrier,
                of: of.map(CardId),
                holder: HolderId(holder),
                municipality: Partition(municipality),
                expires,
            },
        )
    }

    fn card_status() -> impl Strategy<Value = CardStatus> {
        let state = prop::sample::select(CarrierState::ALL.to_vec());
        (state, prop::option::of(time()), prop::option::of(time()))
            .prop_map(|(state, suspended_at, released_at)| CardStatus { state, suspended_at, released_at })
    }

    fn holder_status() -> impl Strategy<Value = HolderStatus> {
        let times = || prop::option::of(time());
        (any::<u32>(), times(), times(), times()).prop_map(
            |(municipality, moved_at, overseas_since, ended_at)| HolderStatus {
                municipality: Partition(municipality),
                moved_at,
                overseas_since,
                ended_at,
            },
        )
    }

    fn movement() -> impl Strategy<Value = Movement> {
        let kind = prop::option::of(prop::sample::select(CertificateKind::ALL.to_vec()));
        let ids = (any::<u128>(), any::<Option<u128>>());
        ("[a-z-]{1,40}", ids, kind, time(), prop::option::of(time())).prop_map(
            |(event, (holder, card), kind, effective_at, reported_at)| Movement {
                event,
                holder: HolderId(holder),
                card: card.map(CardId),
                kind,
                effective_at,
                reported_at,
            },
        )
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            any::<[u8; 16]>().prop_map(|journal_id| Event::JournalBegun { journal_id }),
            (any::<u32>(), any::<u64>(), "[a-z ]{1,40}").prop_map(|(epoch, serials, reason)| {
                Event::EpochBegun { epoch: Epoch(epoch), serials, reason }
            }),
            Just(Event::RequestSeen),
            (any::<u8>(), "[a-z]{1,20}")
                .prop_map(|(id, name)| Event::AuthorityOpened { authority: AuthorityId(id), name }),
            (any::<u8>(), any::<u64>())
                .prop_map(|(id, up_to)| Event::SerialsReserved { authority: AuthorityId(id), up_to }),
            issued().prop_map(Event::Issued),
            certified().prop_map(Event::KeyCertified),
            (certificate(), revocation(), any::<u32>(), cause()).prop_map(
                |(certificate, became, change, cause)| {
                    Event::Revoked(StatusChange { certificate, became, change, cause })
                }
            ),
            (certificate(), any::<u32>(), cause()).prop_map(|(certificate, change, cause)| {
                Event::Released(StatusChange { certificate, became: (), change, cause })
            }),
            (prop::collection::vec(any::<u8>(), 0..4), any::<bool>()).prop_map(|(ids, scheduled)| {
                Event::CrlSetBegun { authorities: ids.into_iter().map(AuthorityId).collect(), scheduled }
            }),
            (any::<u64>(), any::<[u8; 32]>()).prop_map(|(begun, catalogue_sha256)| Event::CrlSetPublished {
                begun: Position(begun),
                catalogue_sha256
            }),
            any::<u64>().prop_map(|begun| Event::CrlSetAbandoned { begun: Position(begun) }),
            prop::collection::vec((any::<u8>(), any::<u64>()), 0..4).prop_map(|bases| {
                let bases = bases.into_iter().map(|(id, base)| (AuthorityId(id), Position(base))).collect();
                Event::CrlDeltasBegun { bases }
            }),
            (any::<u64>(), "\\PC{0,60}", "\\PC{1,60}").prop_map(|(begun, finding, reason)| {
                Event::CrlSetReleased { begun: Position(begun), finding, reason }
            }),
            time().prop_map(|until| Event::ClockReleased { until }),
            ("\\PC{1,20}", prop::collection::vec(any::<u8>(), 0..600))
                .prop_map(|(name, certificate)| Event::VerifierRegistered { name, certificate }),
            any::<[u8; 32]>().prop_map(|certificate_sha256| Event::VerifierSuspended { certificate_sha256 }),
            applied().prop_map(Event::CardApplied),
            (any::<u128>(), card_status()).prop_map(|(id, status)| Event::CardChanged(CardId(id), status)),
            (any::<u128>(), holder_status())
                .prop_map(|(id, status)| Event::HolderChanged(HolderId(id), status)),
            movement().prop_map(Event::Movement),
            (any::<[u8; 32]>(), prop::option::of("\\PC{0,600}"))
                .prop_map(|(sha256, table)| Event::RulesAdopted { sha256, table }),
            (certificate(), prop::option::of(time())).prop_map(|(key, invalidity_date)| {
                let (authority, generation) = (key.authority, key.generation);
                Event::GenerationCompromised { authority, generation, invalidity_date }
            }),
            (certificate(), time()).prop_map(|(key, from)| Event::IssuingFrom {
                authority: key.authority,
                generation: key.generation,
                from
            }),
            (certificate(), any::<u64>()).prop_map(|(key, begun)| Event::GenerationRetired {
                authority: key.authority,
                generation: key.generation,
                begun: Position(begun),
            }),
            certificate().prop_map(|key| Event::GenerationRevoked {
                authority: key.authority,
                generation: key.generation
            }),
        ]
    }

    proptest! {
        #[test]
        fn entries_come_back_from_their_octets_and_from_nothing_less(
            event in event(), at in time(), request in any::<Option<([u8; 16], [u8; 16])>>(),
            ticket in prop::option::of("[A-Za-z0-9._/-]{1,40}"), cut in any::<prop::sample::Index>(),
            comment in any::<Option<(u64, [u8; 32])>>(),
        ) {
            let request = request.map(|(key, digest)| RequestId { key, digest });
            let ticket = ticket.map(|text| text.parse().unwrap());
            let comment =
                comment.map(|(place, sha256)| CommentRef { archive: ArchivePlace(place), sha256 });
            let origin = Origin { actor: Actor::service(), request, ticket, comment };
            let entry = Entry { recorded_at: at, origin, event };
            let mut octets = Vec::new();
            entry.write(&mut octets).unwrap();
            let mut rest = &octets[..];
            prop_assert_eq!(Entry::read(&mut rest), Ok(entry));
            prop_assert!(rest.is_empty());
            let mut short = &octets[..cut.index(octets.len())];
            prop_assert_eq!(Entry::read(&mut short), Err(CodecError::Length));
        }

        #[test]
        fn cards_and_holders_come_back_from_their_octets(
            applied in applied(), at in time(), status in card_status(), stands in holder_status(), key in certified(),
            certificates in prop::collection::vec((0..6_usize, any::<u8>(), serial()), 0..4),
        ) {
            let certificates = certificates.into_iter().map(|(kind, authority, serial)| OnCard {
                kind: CertificateKind::ALL[kind], authority: AuthorityId(authority), serial,
            });
            let certificates = certificates.collect();
            let cards = vec![applied.card];
            let id = applied.holder;
            let card = Card { applied, recorded_at: at, position: Position(3), status, certificates };
            let mut octets = Vec::new();
            card.write(&mut octets).unwrap();
            prop_assert_eq!(Card::from_octets(&octets), Ok(card));
            let holder = Holder { id, position: Position(4), status: stands, cards };
            let mut octets = Vec::new();
            holder.write(&mut octets).unwrap();
            prop_assert_eq!(Holder::from_octets(&octets), Ok(holder));
            prop_assert_eq!(CertifiedKey::from_octets(&key.octets()), Ok(key));
        }

        #[test]
        fn records_come_back_from_their_octets(
            issued in issued(), at in time(),
            changes in prop::collection::vec((prop::option::of(revocation()), cause()), 0..9),
        ) {
            let mut record = None;
            let certificate = issued.certificate;
            let mut numbered = Numbered {
                position: Position(1),
                entry: Entry { recorded_at: at, origin: Origin::service(), event: Event::Issued(issued) },
            };
            Record::apply(&mut record, &numbered).unwrap();
            for (change, (became, cause)) in (1..).zip(changes) {
                numbered.position = numbered.position.next();
                numbered.entry.event = match became {
                    Some(became) => Event::Revoked(StatusChange { certificate, became, change, cause }),
                    None => Event::Released(StatusChange { certificate, became: (), change, cause }),
                };
                Record::apply(&mut record, &numbered).unwrap();
                let once = record.clone();
                Record::apply(&mut record, &numbered).unwrap();
                prop_assert_eq!(&record, &once, "folding twice changes nothing");
            }
            let record = record.unwrap();
            let mut octets = Vec::new();
            record.write(&mut octets).unwrap();
            prop_assert_eq!(Record::from_octets(&octets), Ok(record));
        }
    }

    fn entry(event: Event) -> Entry {
        Entry { recorded_at: UnixTime::from_seconds(7), origin: Origin::service(), event }
    }

    /// Octets of a whole entry of this tag and these fields.
    fn octets_of(tag: u8, fields: &[u8]) -> Vec<u8> {
        let head = [&[tag][..], &7_i64.to_be_bytes(), &[0, 7], b"sekisho"].concat();
        let len = u16::try_from(head.len() + fields.len()).unwrap();
        [&len.to_be_bytes()[..], &head, fields].concat()
    }

    #[test]
    fn changes_of_before_there_were_causes_are_read_and_written_as_they_were() {
        let certificate = CertificateRef {
            authority: AuthorityId(1),
            generation: Generation::FIRST,
            serial: SerialNumber::try_from(7).unwrap(),
        };
        let revocation = [&1_800_000_000_i64.to_be_bytes()[..], &[4, 0]].concat();
        let became = Revocation {
            revoked_at: UnixTime::from_seconds(1_800_000_000),
            reason: RevocationReason::Superseded,
            invalidity_date: None,
        };
        let revoked = |cause| Event::Revoked(StatusChange { certificate, became, change: 1, cause });
        let released = |cause| Event::Released(StatusChange { certificate, became: (), change: 2, cause });
        let named = [1, 1, 1, 7];
        let (first, second) = (1_u32.to_be_bytes(), 2_u32.to_be_bytes());
        let cause = 9_u64.to_be_bytes();
        for (octets, event) in [
            (octets_of(6, &[&named[..], &revocation, &first].concat()), revoked(None)),
            (octets_of(7, &[&named[..], &second].concat()), released(None)),
            (octets_of(15, &[&named[..], &revocation, &first, &cause].concat()), revoked(Some(Position(9)))),
            (octets_of(16, &[&named[..], &second, &cause].concat()), released(Some(Position(9)))),
        ] {
            assert_eq!(Entry::read(&mut &octets[..]), Ok(entry(event.clone())));
            let mut written = Vec::new();
            entry(event).write(&mut written).unwrap();
            assert_eq!(written, octets);
        }
    }

    #[test]
    fn rules_of_before_their_table_was_written_along_are_read() {
        let read = Entry::read(&mut &octets_of(34, &[9; 32])[..]);
        assert_eq!(read, Ok(entry(Event::RulesAdopted { sha256: [9; 32], table: None })));
        let fields = [&[9; 32][..], &[0, 5], b"event"].concat();
        let read = Entry::read(&mut &octets_of(35, &fields)[..]);
        assert_eq!(read, Ok(entry(Event::RulesAdopted { sha256: [9; 32], table: Some("event".to_owned()) })));
    }

    #[test]
    fn the_longest_table_of_rules_comes_back_and_no_longer_one_nor_one_that_is_no_text() {
        let most = entry(Event::RulesAdopted { sha256: [9; 32], table: Some("x".repeat(TABLE_OCTETS_MAX)) });
        let mut octets = Vec::new();
        most.write(&mut octets).unwrap();
        assert_eq!(Entry::read(&mut &octets[..]), Ok(most));
        let longer = u16::try_from(TABLE_OCTETS_MAX + 1).unwrap();
        let fields = [&[9; 32][..], &longer.to_be_bytes(), &vec![b'x'; TABLE_OCTETS_MAX + 1]].concat();
        assert_eq!(Entry::read(&mut &octets_of(35, &fields)[..]), Err(CodecError::Range));
        let fields = [&[9; 32][..], &[0, 1, 0xff]].concat();
        assert_eq!(Entry::read(&mut &octets_of(35, &fields)[..]), Err(CodecError::Range));
    }
}
