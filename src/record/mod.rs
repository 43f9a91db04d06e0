//! Entries of the journal, the records they fold into, and their octets.
//!
//! An entry is a fact with a position; a record is what the entries about one certificate add
//! up to, a [`Card`] or [`Holder`] what those about one card or person do. `apply` of each is the
//! only fold: whatever holds them got them through it. What may follow what in a certificate's life
//! is written in [`succession`].

mod card;
mod certified;
mod codec;
mod comment;
mod compromise;
mod entry;
mod ids;
#[expect(clippy::module_inception, reason = "the record is what this room is about")]
mod record;
mod refusal;
pub mod succession;
mod text;

pub use card::{Card, CardApplied, CardStatus, Holder, HolderStatus, Movement, OnCard};
pub use certified::{CertifiedKey, KeyDigest};
pub use codec::{
    CERTIFICATE_OCTETS_MAX, CodecError, ENTRY_OCTETS_MAX, TABLE_OCTETS_MAX, TEXT_OCTETS_MAX, Unit, WriteError,
};
pub use comment::{Comment, CommentError};
pub use compromise::{Compromise, Compromises};
pub use entry::{Entry, Event, Issued, Numbered, StatusChange};
pub use ids::{
    Actor, ActorError, ArchivePlace, CardId, CertificateRef, CommentRef, Epoch, HolderId, IdError, Origin,
    Position, RequestId, Ticket, TicketError,
};
pub use record::{Change, Record};
pub use refusal::Refusal;
pub use succession::{Absent, Breach, BreachKind, FoldError, Folded};
pub use text::is_unseen;
