//! The CRLs of a set: built, signed, checked and written, on all cores.

use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::data::DataError;
use super::{LiveGeneration, Office, OfficeError};
use crate::crl::{
    Catalogue, Collector, Expected, Listing, Row, Scope, SetPlan, file_name, gate, tbs_cert_list,
};

/// Ending of the PEM beside each CRL.
pub(super) const PEM_ENDING: &str = "pem";

/// What the CRLs of one authority in one set are made from and checked against.
pub(super) struct OfAuthority<'a> {
    pub(super) office: &'a Office,
    pub(super) plan: &'a SetPlan,
    pub(super) collector: &'a Collector,
    pub(super) listing: &'a Listing,
    pub(super) previous: Option<&'a Catalogue>,
    pub(super) directory: &'a Path,
    /// True when the clock was released since `previous`: thisUpdate may go back.
    pub(super) set_back: bool,
}

impl OfAuthority<'_> {
    /// Builds, signs and checks one CRL, and writes it where nobody is served from yet.
    pub(super) fn build_crl(&self, live: &LiveGeneration, scope: Scope<'_>) -> Result<Row, OfficeError> {
        let Self { office, plan, collector, listing, previous, directory, set_back } = *self;
        let issuer = &live.issuer;
        let entries = collector.entries(scope);
        let tbs = tbs_cert_list(issuer, live.key.algorithm(), scope, plan, &entries);
        let crl = office.sign_crl(live, tbs)?;
        let before = previous.and_then(|set| set.find(&live.authority, issuer.generation.number(), scope));
        let mut before = before.map(Row::previous);
        if let Some(before) = before.as_mut().filter(|_| set_back) {
            before.this_update = None;
        }
        let expected = Expected { plan, scope, previous: before, departed: listing.departed(scope) };
        let facts = gate(&crl, issuer, &expected, listing.rows(scope)).map_err(|error| {
            let generation = issuer.generation;
            OfficeError::Gate(format!("{}/{generation}/{}: {error}", live.authority, file_name(scope)))
        })?;
        let directory = directory.join(&live.authority).join(issuer.generation.to_string());
        fs::create_dir_all(&directory).map_err(at(&directory))?;
        let path = directory.join(file_name(scope));
        write_file(&path, &crl)?;
        let pem = pem::encode(&pem::Pem::new("X509 CRL", crl));
        write_file(&path.with_extension(PEM_ENDING), pem.as_bytes())?;
        Ok(Row::new(&live.authority, issuer, scope, &facts))
    }
}

/// Does `work` for each item on all cores, and gives the results in order, or the first error.
pub(super) fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, OfficeError> + Sync,
) -> Result<Vec<R>, OfficeError> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    let result = work(item);
                    if result.is_err() {
                        next.store(items.len(), Ordering::Relaxed);
                    }
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Writes a file; [`sync_filesystem`] makes it durable.
pub(super) fn write_file(path: &Path, octets: &[u8]) -> Result<(), DataError> {
    fs::write(path, octets).map_err(at(path))
}

/// Makes everything on the file system of `path` durable: a set has thousands of small files, and
/// one sync of all takes less than a sync of each.
pub(super) fn sync_filesystem(path: &Path) -> Result<(), DataError> {
    let directory = File::open(path).map_err(at(path))?;
    rustix::fs::syncfs(&directory).map_err(|error| at(path)(error.into()))
}

pub(super) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> DataError {
    let path = path.to_owned();
    move |error| DataError::Io { path, error }
}
