//! A service with its listeners: started in order, stopped in reverse.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::gauges::gauges;
use super::hangup::Hangup;
use super::{DataDir, Failure};
use crate::config::Config;
use crate::office::{
    IMMUTABLE_MAX_AGE, Office, OfficeError, PublicContent, PublicFile, PublicRow, PublicSet, Published,
    Schedule, SignedCheckpoint, StoredFile,
};
use crate::store::Clock;
use crate::{admin, http};

/// Longest wait for requests in flight when stopping.
const DRAIN: Duration = Duration::from_secs(10);

/// How long a cache may keep a checkpoint: there is one a minute.
const CHECKPOINT_MAX_AGE: Duration = Duration::from_secs(10);

/// Between two looks whether the service must end by itself.
const LOOK: Duration = Duration::from_millis(500);

/// A running service.
pub(super) struct Running {
    office: Arc<Office>,
    http: Option<http::Server>,
    address: SocketAddr,
    operations: Option<http::Operations>,
    admin: admin::Server,
    schedule: Option<Schedule>,
    _hangup: Hangup,
}

impl Running {
    /// Binds, opens, listens. The port is known before the first certificate is issued, since
    /// the address is written into it.
    pub(super) fn start(data: &DataDir, config: Config) -> Result<Self, Failure> {
        let listen = config.public.listen;
        let listener = TcpListener::bind(listen).map_err(|error| {
            Failure::wrong_use(format!("cannot listen on {listen}: {error}; choose another public.listen"))
        })?;
        let address = listener.local_addr().map_err(|error| Failure::internal(error.to_string()))?;
        let operations = config.operations.listen.map(|address| match listen.port() {
            0 => SocketAddr::from((address.ip(), 0)),
            _ => address,
        });
        let operations = operations.map(operations_listener).transpose()?;
        let url = match config.public.url.trim_end_matches('/') {
            "" if address.ip().is_unspecified() => {
                return Err(Failure::wrong_use(format!(
                    "public.url: listening on {address}, say by which http:// URL verifiers reach the service; \
                     it is written into certificates"
                )));
            }
            "" => format!("http://{address}"),
            url => url.to_owned(),
        };
        let mut options = http_options(data, &config)?;
        let hangup = Hangup::awaited()?;
        let max_age = Duration::from_secs(u64::from(config.ocsp.max_age_seconds));
        let (office, opened) = Office::start(data.clone(), config, Clock::system(), url)?;
        let (position, replayed, clean_stop) = (opened.position.0, opened.replayed, opened.clean_stop);
        tracing::info!(position, replayed, clean_stop, "store open");

        options.pool = Some(Arc::clone(office.pool()));
        // It may warn: a start that is refused says one line and no other.
        options.connections_max = http::connections_that_fit(options.connections_max);
        let readiness = Arc::clone(&office);
        let site = Arc::new(http::Site {
            responder: Arc::clone(office.responder()),
            documents: ArcSwap::from_pointee(http::Documents::default()),
            checkpoint: arc_swap::ArcSwapOption::empty(),
            clock: office.clock().clone(),
            readiness: Box::new(move || http::Readiness {
                reasons: readiness.unready(),
                warnings: readiness.warnings(),
            }),
            max_age,
        });
        let served = Arc::clone(&site);
        let shelves = Shelves::default();
        office.watch_files(Box::new(move |published| {
            served.documents.store(Arc::new(shelves.documents(published)));
        }))?;
        let kept = Arc::clone(&site);
        office.watch_checkpoints(Box::new(move |signed| {
            kept.checkpoint.store(Some(Arc::new(checkpoint(signed))));
        }));
        let http = http::Server::start(listener, site, options)
            .map_err(|error| Failure::internal(format!("public listener: {error}")))?;
        let gauged = Arc::clone(&office);
        let gauges = move || gauges(&gauged);
        let operations = operations
            .map(|listener| http::Operations::start(listener, Arc::clone(http.monitor()), Box::new(gauges)))
            .transpose()
            .map_err(|error| Failure::internal(format!("operations listener: {error}")))?;
        let admin = admin::Server::start(&data.admin_socket(), Arc::clone(&office))
            .map_err(|error| Failure::internal(error.to_string()))?;
        let schedule = Schedule::start(Arc::clone(&office));
        let schedule = Some(schedule.map_err(|error| Failure::internal(error.to_string()))?);
        let _hangup = hangup.reloads(&office)?;
        Ok(Self { office, http: Some(http), address, operations, admin, schedule, _hangup })
    }

    pub(super) fn office(&self) -> &Arc<Office> {
        &self.office
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the operator asks, if anywhere.
    pub(super) fn operations_address(&self) -> Option<SocketAddr> {
        self.operations.as_ref().map(http::Operations::local_addr)
    }

    /// Takes no further requests, finishes those in flight, and leaves the marker of a clean
    /// stop.
    pub(super) fn stop(&mut self) -> Result<(), Failure> {
        if let Some(schedule) = &mut self.schedule {
            schedule.tell_to_stop();
        }
        self.admin.stop();
        if let Some(http) = self.http.take() {
            http.stop(DRAIN);
        }
        self.schedule = None;
        self.operations = None;
        Ok(self.office.stop()?)
    }
}

/// Waits for SIGTERM or SIGINT.
pub(super) struct ToldToStop {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl ToldToStop {
    /// From here on a signal is one to stop in order: whoever is told that the service is ready may
    /// send it at once.
    pub(super) fn awaited() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::internal(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let entered = runtime.enter();
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        drop(entered);
        Ok(Self { runtime, terminate, interrupt })
    }

    /// Returns when one has come.
    ///
    /// # Errors
    /// What `must_end` says, which is asked now and then.
    pub(super) fn wait(mut self, must_end: impl Fn() -> Result<(), OfficeError>) -> Result<(), Failure> {
        self.runtime.block_on(async {
            let mut looks = tokio::time::interval(LOOK);
            loop {
                tokio::select! {
                    _ = self.terminate.recv() => return Ok(()),
                    _ = self.interrupt.recv() => return Ok(()),
                    _ = looks.tick() => must_end()?,
                }
            }
        })
    }
}

fn http_options(data: &DataDir, config: &Config) -> Result<http::Options, Failure> {
    let mut options = http::Options::default();
    if let Some(workers) = NonZeroUsize::new(config.public.workers) {
        options.cores = workers;
    }
    options.connections_max = config.public.connections_max;
    if let Some(tls) = &config.public.tls {
        let [certificate, key] = [&tls.certificate, &tls.key].map(|file| data.path().join(file));
        let config = http::tls::config(&certificate, &key)
            .map_err(|error| Failure::wrong_use(format!("public.tls: {error}")))?;
        options.tls = Some(config);
    }
    Ok(options)
}

fn operations_listener(listen: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(listen).map_err(|error| {
        Failure::wrong_use(format!("cannot listen on {listen}: {error}; choose another operations.listen"))
    })
}

/// What the public listener serves, of what the office publishes. Sets that stay are taken over.
#[derive(Default)]
struct Shelves(Mutex<HashMap<String, KeptSet>>);

/// A set of the office, and what is served of it.
type KeptSet = (Arc<PublicSet>, Arc<http::Shelf>);

impl Shelves {
    fn documents(&self, published: &Published) -> http::Documents {
        let mut documents = http::Documents::default();
        for file in &published.files {
            documents.insert(file.path.clone(), Arc::new(document(file)));
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = HashMap::new();
        for set in &published.sets {
            let shelf = match known.remove(&set.name) {
                Some((before, shelf)) if Arc::ptr_eq(&before, set) => shelf,
                _ => Arc::new(shelf(set)),
            };
            documents.insert_set(set.name.clone(), Arc::clone(&shelf));
            kept.insert(set.name.clone(), (Arc::clone(set), shelf));
        }
        *known = kept;
        documents
    }
}

fn document(file: &PublicFile) -> http::Document {
    let PublicFile { content_type, tag, last_modified, expires, max_age, immutable, .. } = *file;
    let freshness = http::Freshness { expires, max_age, immutable };
    let new = |content| http::Document::new(content, content_type, tag, last_modified, freshness);
    match &file.content {
        PublicContent::Memory(octets) => new(http::Content::Memory(octets.clone().into())),
        PublicContent::File(StoredFile { path, len, gzip, zstd }) => {
            let mut document = new(http::Content::File(path.clone(), *len));
            for (coding, ending, len) in
                [(http::Coding::Gzip, ".gz", gzip), (http::Coding::Zstd, ".zst", zstd)]
            {
                if let Some(len) = len {
                    let mut encoded = path.clone().into_os_string();
                    encoded.push(ending);
                    document = document.encoded(coding, http::Content::File(encoded.into(), *len));
                }
            }
            document
        }
    }
}

/// A checkpoint, to be asked for as often as there is one.
fn checkpoint(signed: &SignedCheckpoint) -> http::Document {
    let freshness = http::Freshness { expires: None, max_age: CHECKPOINT_MAX_AGE, immutable: false };
    let note = signed.note.as_bytes().to_vec();
    http::Document::in_memory(note, "text/plain; charset=utf-8", signed.time, freshness)
}

fn shelf(set: &PublicSet) -> http::Shelf {
    let mut shelf = http::Shelf::new(set.directory.clone(), set.last_modified, IMMUTABLE_MAX_AGE);
    for row in &set.rows {
        let PublicRow { content_type, tag, len, gzip, zstd, expires, .. } = *row;
        shelf.insert(&row.path, http::Shelved { content_type, tag, len, gzip, zstd, expires });
    }
    shelf
}
