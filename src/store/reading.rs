//! The records, for whoever compares them with something else.

use super::error::StoreError;
use super::kept::{self, Kept};
use super::overlay::Below;
use super::rows::Rows;
use super::shared::Shared;
use crate::pki::{AuthorityId, SerialNumber};
use crate::record::{Position, Record};

/// All records as they are after the entry at [`Self::position`], or later: those in use, or some that
/// were made anew and are not in use yet.
#[derive(Debug)]
pub struct Reading<'a> {
    source: Source<'a>,
    position: Position,
}

#[derive(Debug)]
enum Source<'a> {
    Rows(&'a Rows),
    InUse(&'a Shared),
}

impl<'a> Reading<'a> {
    pub(super) const fn of_rows(rows: &'a Rows, position: Position) -> Self {
        Self { source: Source::Rows(rows), position }
    }

    pub(super) const fn in_use(shared: &'a Shared, position: Position) -> Self {
        Self { source: Source::InUse(shared), position }
    }

    /// Whatever was issued up to this entry is passed by [`Self::each`].
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Passes every record of an authority in the order of serials. Blocks until all entries up to the
    /// position are in the projection; later ones may show.
    ///
    /// # Errors
    /// When the projection cannot be read or will never hold the position.
    pub fn each(
        &self,
        authority: AuthorityId,
        each: &mut dyn FnMut(SerialNumber, Record),
    ) -> Result<(), StoreError> {
        self.each_or_orphan(authority, each, &mut |serial| Err(StoreError::IssueLost { authority, serial }))
    }

    /// The same, and goes on past changes whose certificate is lost: `orphan` hears of them.
    ///
    /// # Errors
    /// As [`Self::each`], or what `orphan` says.
    pub fn each_or_orphan(
        &self,
        authority: AuthorityId,
        each: &mut dyn FnMut(SerialNumber, Record),
        orphan: &mut dyn FnMut(SerialNumber) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match self.source {
            Source::Rows(rows) => kept::each_record(rows, authority, each, orphan),
            Source::InUse(shared) => {
                kept::each_record(&*shared.projection.rows_at(self.position)?, authority, each, orphan)
            }
        }
    }

    /// True when nothing changes in it meanwhile: what seems to differ need not be looked at again.
    #[must_use]
    pub const fn is_still(&self) -> bool {
        matches!(self.source, Source::Rows(_))
    }

    /// The record of a certificate, as far as it is durable.
    ///
    /// # Errors
    /// What the disk says.
    pub fn find(&self, authority: AuthorityId, serial: &SerialNumber) -> Result<Option<Record>, StoreError> {
        let key = (authority, *serial);
        match self.source {
            Source::Rows(rows) => Record::find_in(rows, &key),
            Source::InUse(shared) => shared.projection.find(&key),
        }
    }
}
