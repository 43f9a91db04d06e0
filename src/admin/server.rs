//! Listens on the socket and turns requests into calls.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::api::{Problem, ProblemKind, path as address};
use super::requests;
use crate::office::Office;
use crate::record::Actor;

/// Octets of a request body: a CSR and an address fit many times.
const BODY_LEN_MAX: usize = 256 * 1024;

/// Octets of a feed: a dry run takes it in one piece, since each line is looked at after those
/// before it.
const FEED_LEN_MAX: usize = 16 << 20;

/// Requests carried out at once; each waits on a thread of its own for its sync.
const REQUESTS_MAX: usize = 256;

/// Longest wait for requests in flight when stopping.
const DRAIN: Duration = Duration::from_secs(10);

/// Seconds after which what cannot be done now may be tried again: whatever is in the way, an
/// operator has to see to it.
const RETRY_AFTER: &str = "60";

/// Time a client has for the header of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The running admin listener; stops when told to or dropped.
pub struct Server {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    path: PathBuf,
}

/// Why there is no admin socket.
#[derive(Debug, thiserror::Error)]
#[error("admin socket {}: {error}", .path.display())]
pub struct AdminError {
    path: PathBuf,
    error: io::Error,
}

impl Server {
    /// Listens at `path`, on a thread of its own.
    ///
    /// # Errors
    /// When the socket cannot be made there.
    pub fn start(path: &Path, office: Arc<Office>) -> Result<Self, AdminError> {
        let at = |error| AdminError { path: path.to_owned(), error };
        let listener = listen(path).map_err(at)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(REQUESTS_MAX)
            .build()
            .map_err(at)?;
        let (stop, stopped) = watch::channel(false);
        let run = move || runtime.block_on(accept(listener, office, stopped));
        let thread = std::thread::Builder::new().name("admin".to_owned()).spawn(run).map_err(at)?;
        Ok(Self { stop, thread: Some(thread), path: path.to_owned() })
    }

    /// Takes no further requests, finishes those in flight, removes the socket.
    pub fn stop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
            drop(std::fs::remove_file(&self.path));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Binds the socket for the owner alone; a socket nobody listens on any more is replaced. It is
/// bound under another name first, so that it never stands there with wider permissions.
fn listen(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::other("another service is listening there: stop it first"));
    }
    let unfinished = path.with_extension("sock.new");
    drop(std::fs::remove_file(&unfinished));
    let listener = std::os::unix::net::UnixListener::bind(&unfinished)?;
    std::fs::set_permissions(&unfinished, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&unfinished, path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn accept(
    listener: std::os::unix::net::UnixListener,
    office: Arc<Office>,
    mut stopped: watch::Receiver<bool>,
) {
    let listener = match UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "admin socket lost"),
    };
    let places = Arc::new(Semaphore::new(REQUESTS_MAX));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&office), Arc::clone(&places), stopped.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "admin connection refused");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = stopped.changed() => break,
        }
    }
    // Each has been told, and ends once its answer is written.
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, ended).await.is_err() {
        tracing::warn!("admin requests were still in flight when the service stopped");
    }
}

async fn connection(
    stream: UnixStream,
    office: Arc<Office>,
    places: Arc<Semaphore>,
    mut stopped: watch::Receiver<bool>,
) {
    let Some(actor) = peer(&stream) else { return };
    let service = service_fn(|request| answer(request, &actor, &office, &places));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
}

/// Who is at the other end, as the kernel knows them.
fn peer(stream: &UnixStream) -> Option<Actor> {
    let credentials = stream.peer_cred().ok()?;
    Actor::new(format!("uid:{}", credentials.uid())).ok()
}

async fn answer(
    request: Request<Incoming>,
    actor: &Actor,
    office: &Arc<Office>,
    places: &Arc<Semaphore>,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let path = request.uri().path().to_owned();
    let (office, actor) = (Arc::clone(office), actor.clone());
    let len_max = if path == address::MOVEMENTS { FEED_LEN_MAX } else { BODY_LEN_MAX };
    let body = Limited::new(request.into_body(), len_max).collect().await;
    let answered = match body {
        Err(_) => Err(Problem {
            error: format!("the request was cut short or is larger than {len_max} octets"),
            kind: ProblemKind::Invalid,
        }),
        Ok(body) => {
            let place = Arc::clone(places).acquire_owned().await;
            let body = body.to_bytes();
            let carried_out = tokio::task::spawn_blocking(move || {
                let answered = requests::answer(&path, &body, &office, actor);
                drop(place);
                answered
            });
            carried_out.await.unwrap_or_else(|_| {
                Err(Problem {
                    error: "the request failed inside the service".to_owned(),
                    kind: ProblemKind::Internal,
                })
            })
        }
    };
    Ok(to_response(answered))
}

fn to_response(answered: Result<Vec<u8>, Problem>) -> Response<Full<Bytes>> {
    let (status, body) = match answered {
        Ok(body) => (StatusCode::OK, body),
        Err(problem) => {
            let status = StatusCode::from_u16(problem.kind.http_status());
            (
                status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                serde_json::to_vec(&problem).unwrap_or_default(),
            )
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static(RETRY_AFTER));
    }
    response
}
