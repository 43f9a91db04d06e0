//! A service with its listeners: started in order, stopped in reverse.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::gauges::gauges;
use super::hangup::Hangup;
use super::{DataDir, Failure};
use crate::config::Config;
use crate::office::{Office, PublicContent, PublicFile, Schedule};
use crate::store::Clock;
use crate::{admin, http};

/// Longest wait for requests in flight when stopping.
const DRAIN: Duration = Duration::from_secs(10);

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
        tracing::info!(position = opened.position.0, replayed = opened.replayed, "store open");

        options.pool = Some(Arc::clone(office.pool()));
        // It may warn: a start that is refused says one line and no other.
        options.connections_max = http::connections_that_fit(options.connections_max);
        let readiness = Arc::clone(&office);
        let site = Arc::new(http::Site {
            responder: Arc::clone(office.responder()),
            documents: ArcSwap::from_pointee(http::Documents::default()),
            clock: office.clock().clone(),
            readiness: Box::new(move || http::Readiness { reasons: readiness.unready() }),
            max_age,
        });
        let served = Arc::clone(&site);
        office.watch_files(Box::new(move |files| served.documents.store(Arc::new(documents(files)))))?;
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
pub(super) fn until_told_to_stop() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error: std::io::Error| Failure::internal(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
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

fn documents(files: &[PublicFile]) -> http::Documents {
    let mut documents = http::Documents::default();
    for file in files {
        let content = match &file.content {
            PublicContent::Memory(octets) => http::Content::Memory(octets.clone().into()),
            PublicContent::File(path, len) => http::Content::File(path.clone(), *len),
        };
        let freshness =
            http::Freshness { expires: file.expires, max_age: file.max_age, immutable: file.immutable };
        let document =
            http::Document::new(content, file.content_type, file.tag, file.last_modified, freshness);
        documents.insert(file.path.clone(), Arc::new(document));
    }
    documents
}
