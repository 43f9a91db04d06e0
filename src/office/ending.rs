//! The journal's end: what was cut off it, and taking it as it is.

use std::io;
use std::sync::Arc;

use super::catalogues::published_entry;
use super::data::DataDir;
use super::fence;
use super::start::Machine;
use super::witnesses::Witnesses;
use super::{Office, OfficeError};
use crate::crl::CrlNumber;
use crate::record::{Actor, Origin, Position};
use crate::store::{self, Accepted, Clock, Cut, Disk, Export, ExportError, ExportedFrame};

/// Hands over the frames of a directory's journal, as [`store::export`] does. Nothing else in the directory is
/// read: an auditor's copy may have no keys.
///
/// # Errors
/// [`ExportError`].
pub fn export_journal(
    data: &DataDir,
    until: Option<Position>,
    each: &mut dyn FnMut(&ExportedFrame<'_>) -> io::Result<()>,
) -> Result<Export, ExportError> {
    store::export(&data.store(), until, each)
}

/// Octets of a reason: it stands in the journal.
const REASON_OCTETS_MAX: usize = 200;

/// Takes the journal of a directory that no service runs on up to its last good entry, gives up what
/// followed, and begins a new epoch: CRL and serial numbers go on above all that may have been given.
///
/// # Errors
/// Without a reason; of a copy; when nothing of the journal can be read, or the disk refuses.
pub fn accept_end(data: &DataDir, reason: &str) -> Result<Accepted, OfficeError> {
    match fence::fenced(data)? {
        Some(why) => Err(OfficeError::Copy(why)),
        None => begin_epoch(data, reason, None),
    }
}

/// Lets a copy that no service runs on go on in the place of what it was made of, from its last good entry on,
/// as [`accept_end`] does, and binds it to this place. `seen` is the newest CRL number that is known to be
/// published: what this copy lacks of that is lost to it, and never numbered again.
///
/// # Errors
/// As [`accept_end`]; when it is no copy.
pub fn accept_copy(data: &DataDir, reason: &str, seen: Option<CrlNumber>) -> Result<Accepted, OfficeError> {
    data.check()?;
    if fence::fenced(data)?.is_none() {
        return Err(OfficeError::NoCopy);
    }
    let accepted = begin_epoch(data, reason, seen)?;
    // Last: what is interrupted before is done again.
    fence::bind(data)?;
    Ok(accepted)
}

fn begin_epoch(data: &DataDir, reason: &str, seen: Option<CrlNumber>) -> Result<Accepted, OfficeError> {
    if reason.trim().is_empty() || reason.len() > REASON_OCTETS_MAX {
        return Err(OfficeError::AcceptReason(REASON_OCTETS_MAX));
    }
    data.check()?;
    let mut options = Machine::real().options(data, &Clock::system())?;
    // CRLs of sets that are given up were seen too.
    options.known = published_entry(&Disk::File, data)?.max(seen.and_then(CrlNumber::parts));
    let user = rustix::process::getuid().as_raw();
    let actor = Actor::new(format!("uid:{user}")).unwrap_or_else(|_| Actor::service());
    let origin = Origin::of(actor);
    let witnesses = Arc::new(Witnesses::new(Arc::default()));
    Ok(store::accept_end(&options, &[witnesses.fold()], origin, reason)?)
}

impl Office {
    /// Marks what was cut off the journal's end as seen to; what there was.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn see_cuts(&self) -> Result<Vec<Cut>, OfficeError> {
        Ok(self.store.see_cuts()?)
    }
}
