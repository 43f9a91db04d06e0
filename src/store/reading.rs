//! The records, for whoever compares them with something else.

use super::error::StoreError;
use super::kept::{self, Kept};
use super::rows::Rows;
use super::shared::Shared;
use crate::pki::{AuthorityId, Generation, SerialNumber};
use crate::record::{CertificateRef, Compromise, Compromises, Position, Record};

/// All records as they are after the entry at [`Self::position`], or later: those in use, or some that
/// were made anew and are not in use yet.
#[derive(Debug)]
pub struct Reading<'a> {
    source: Source<'a>,
    position: Position,
}

#[derive(Debug)]
enum Source<'a> {
    Rows(&'a Rows, &'a Compromises),
    InUse(&'a Shared),
}

impl<'a> Reading<'a> {
    pub(super) const fn of_rows(rows: &'a Rows, compromises: &'a Compromises, position: Position) -> Self {
        Self { source: Source::Rows(rows, compromises), position }
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
            Source::Rows(rows, compromises) => {
                let mut each = |serial, record: Record| each(serial, record.with(compromises));
                kept::each_record(rows, authority, &mut each, orphan)
            }
            Source::InUse(shared) => {
                let rows = shared.projection.rows_at(self.position)?;
                // Later entries may show; what stands in them must not be missing.
                let mut each = |serial, record: Record| {
                    each(serial, record.with(&shared.tip().facts.compromises));
                };
                kept::each_record(&rows, authority, &mut each, orphan)
            }
        }
    }

    /// Looks at so many certificates of an authority after a serial, in the order of serials: those that the
    /// compromise of their key revokes and that have no entry of their own that says so. The last one that was
    /// looked at comes with them, none when that was the end. Blocks as [`Self::each`] does, and keeps nothing
    /// open.
    ///
    /// # Errors
    /// As [`Self::each`].
    pub fn unwritten(
        &self,
        (authority, generation): (AuthorityId, Generation),
        compromise: &Compromise,
        after: Option<&SerialNumber>,
        most: usize,
    ) -> Result<(Vec<SerialNumber>, Option<SerialNumber>), StoreError> {
        let records = match self.source {
            Source::Rows(rows, _) => kept::records_after(rows, authority, after, most)?,
            Source::InUse(shared) => {
                kept::records_after(&*shared.projection.rows_at(self.position)?, authority, after, most)?
            }
        };
        let last = records.last().map(|record| record.issued.certificate.serial);
        let last = last.filter(|_| records.len() == most);
        let missing = records.into_iter().filter_map(|mut record| {
            let known = record.changes.len();
            record.compromise(compromise);
            let CertificateRef { generation: of, serial, .. } = record.issued.certificate;
            (of == generation && record.changes.len() > known).then_some(serial)
        });
        Ok((missing.collect(), last))
    }

    /// True when nothing changes in it meanwhile: what seems to differ need not be looked at again.
    #[must_use]
    pub const fn is_still(&self) -> bool {
        matches!(self.source, Source::Rows(..))
    }

    /// The record of a certificate, as far as it is durable.
    ///
    /// # Errors
    /// What the disk says.
    pub fn find(&self, authority: AuthorityId, serial: &SerialNumber) -> Result<Option<Record>, StoreError> {
        let key = (authority, *serial);
        match self.source {
            Source::Rows(rows, compromises) => {
                Ok(Record::find_in(rows, &key)?.map(|record| record.with(compromises)))
            }
            Source::InUse(shared) => shared.find(&key),
        }
    }
}
