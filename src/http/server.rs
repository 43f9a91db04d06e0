//! Listening, dealing connections to the cores, stopping.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};

use super::connection::{self, Patience};
use super::core::{Core, Seat};
use super::counters::{Door, Ended};
use super::metrics::Monitor;
use super::signing::Signing;
use super::site::Site;
use super::tls;
use crate::signer::{Limits, Pool};
use crate::sync::lower_priority;

/// How a server runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that serve connections, each with its own runtime.
    pub cores: NonZeroUsize,
    /// Connections open at a time; surplus ones are closed at once.
    pub connections_max: usize,
    /// The threads for slow signatures, shared with whoever else signs; none: own ones, as many
    /// as cores. What its lanes have no room for is answered `tryLater` at once.
    pub pool: Option<Arc<Pool>>,
    /// Percent of a core's time that may go into signing answers that repeat a nonce; surplus
    /// ones are answered `tryLater` at once.
    pub nonce_percent_max: u32,
    /// Deadlines of a connection.
    pub patience: Patience,
    /// TLS, instead of plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Default for Options {
    fn default() -> Self {
        let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            cores,
            // At 32 kB each, 640 MB when every one of them is slow.
            connections_max: 20_000,
            pool: None,
            // The rest is for cached answers, first signatures and successors.
            nonce_percent_max: 80,
            patience: Patience::default(),
            tls: None,
        }
    }
}

/// A running listener.
pub struct Server {
    local_addr: SocketAddr,
    stopping: Arc<AtomicBool>,
    stop_by: Arc<Mutex<Option<Instant>>>,
    acceptor: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    cores: Vec<JoinHandle<()>>,
    monitor: Arc<Monitor>,
}

/// Threads of a core that read files; a page that is in memory needs none for long.
const FILE_THREADS_MAX: usize = 4;

/// Niceness of those threads: beside a core that answers, a quarter of it (weight 335 beside 1024).
const FILE_NICE: i32 = 5;

/// When stopping, how many that the kernel has let in are still served: its queue is no longer.
const LET_IN_MAX: usize = 4096;

/// After accepting failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Server {
    /// Serves `site` on `listener` until stopped.
    ///
    /// # Errors
    /// When the listener, a runtime or a thread cannot be set up.
    pub fn start(listener: TcpListener, site: Arc<Site>, options: Options) -> io::Result<Self> {
        let local_addr = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let pool = match options.pool {
            Some(pool) => pool,
            None => Arc::new(Pool::start(Limits::for_threads(options.cores))?),
        };
        let signing = Arc::new(Signing::new(Arc::clone(&site.responder), pool));
        let stopping = Arc::new(AtomicBool::new(false));
        let open = Arc::new(AtomicUsize::new(0));
        let new_core = || {
            Arc::new(Core::new(
                Arc::clone(&site),
                Arc::clone(&signing),
                options.patience,
                options.nonce_percent_max,
                Arc::clone(&stopping),
                Arc::clone(&open),
            ))
        };
        let cores: Vec<Arc<Core>> = std::iter::repeat_with(new_core).take(options.cores.get()).collect();
        let door = Arc::new(Door::default());
        let monitor = Monitor {
            cores: cores.clone(),
            door: Arc::clone(&door),
            open: Arc::clone(&open),
            connections_max: options.connections_max,
            signing,
            site,
        };
        let mut server = Self {
            local_addr,
            stopping,
            stop_by: Arc::default(),
            acceptor: None,
            cores: Vec::new(),
            monitor: Arc::new(monitor),
        };
        let mut dealt_to = Vec::new();
        for (number, core) in cores.into_iter().enumerate() {
            let (sender, dealt) = mpsc::unbounded_channel();
            dealt_to.push(sender);
            let runtime = runtime()?;
            let (tls, stop_by) = (options.tls.clone(), Arc::clone(&server.stop_by));
            let handshake = options.patience.head;
            let serve = move || runtime.block_on(serve(core, dealt, tls, handshake, stop_by));
            server.cores.push(thread::Builder::new().name(format!("http-{number}")).spawn(serve)?);
        }
        let (stop, stopped) = oneshot::channel();
        let runtime = runtime()?;
        let dealer = Dealer { dealt_to, next: 0, open, door, connections_max: options.connections_max };
        let accept = move || runtime.block_on(accept(listener, dealer, stopped));
        server.acceptor = Some((stop, thread::Builder::new().name("http-accept".into()).spawn(accept)?));
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What it counts, for as long as somebody wants to know.
    #[must_use]
    pub const fn monitor(&self) -> &Arc<Monitor> {
        &self.monitor
    }

    /// Stops accepting, answers what has been asked, and returns when every connection is
    /// closed, or cut after `deadline`. Blocks.
    pub fn stop(mut self, deadline: Duration) {
        self.halt(deadline);
    }

    fn halt(&mut self, deadline: Duration) {
        *self.stop_by.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now().checked_add(deadline);
        self.stopping.store(true, Relaxed);
        if let Some((stop, thread)) = self.acceptor.take() {
            // Fails only if the acceptor is gone already.
            let _ = stop.send(());
            let _ = thread.join();
        }
        for thread in self.cores.drain(..) {
            // A panic in there has been reported by its own thread.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.halt(Duration::ZERO);
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(FILE_THREADS_MAX)
        // These are the threads that read files: downloads yield to answers.
        .on_thread_start(|| lower_priority(FILE_NICE))
        .build()
}

/// Deals connections in turn: the kernel's own spreading (SO_REUSEPORT) is uneven for a few
/// long connections, and loses the queue of a listener that closes.
struct Dealer {
    dealt_to: Vec<mpsc::UnboundedSender<TcpStream>>,
    next: usize,
    open: Arc<AtomicUsize>,
    door: Arc<Door>,
    connections_max: usize,
}

impl Dealer {
    fn deal(&mut self, stream: TcpStream) {
        if self.open.load(Relaxed) >= self.connections_max {
            self.door.refused.add(1);
            return;
        }
        // Answers are written whole; Nagle's delay would only hold back the last segment.
        if stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).is_err() {
            return;
        }
        self.next = (self.next + 1) % self.dealt_to.len().max(1);
        if let Some(core) = self.dealt_to.get(self.next) {
            self.open.fetch_add(1, Relaxed);
            self.door.accepted.add(1);
            if core.send(stream).is_err() {
                self.open.fetch_sub(1, Relaxed);
            }
        }
    }
}

async fn accept(listener: TcpListener, mut dealer: Dealer, mut stopped: oneshot::Receiver<()>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the public listener cannot be watched");
            return;
        }
    };
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Each core has a reactor of its own. What cannot change hands is closed.
                    if let Ok(stream) = stream.into_std() {
                        dealer.deal(stream);
                    }
                }
                // The client was faster in leaving than we in accepting.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // Out of descriptors or memory: others have to leave first.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }
    // Whom the kernel has let in already is still served.
    let Ok(listener) = listener.into_std() else { return };
    for _ in 0..LET_IN_MAX {
        match listener.accept() {
            Ok((stream, _)) => dealer.deal(stream),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => return,
        }
    }
}

/// One core: spawns what is dealt, keeps watch, and after the last connection returns.
async fn serve(
    core: Arc<Core>,
    mut dealt: mpsc::UnboundedReceiver<TcpStream>,
    tls: Option<Arc<rustls::ServerConfig>>,
    handshake: Duration,
    stop_by: Arc<Mutex<Option<Instant>>>,
) {
    let tls = tls.map(tls::acceptor);
    let mut ticks = tokio::time::interval(core.tick_len());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            stream = dealt.recv() => match stream {
                Some(stream) => spawn(&core, stream, tls.clone(), handshake),
                None => break,
            },
            _ = ticks.tick() => core.watch(),
        }
    }
    let is_over = || {
        let stop_by = *stop_by.lock().unwrap_or_else(PoisonError::into_inner);
        stop_by.is_none_or(|stop_by| Instant::now() >= stop_by)
    };
    while !core.is_empty() && !is_over() {
        ticks.tick().await;
        core.watch();
    }
}

fn spawn(core: &Arc<Core>, stream: TcpStream, tls: Option<tokio_rustls::TlsAcceptor>, handshake: Duration) {
    let (entry, seat) = core.seat();
    let core = Arc::clone(core);
    tokio::spawn(async move {
        let _seat: Seat = seat;
        let ended = match (tokio::net::TcpStream::from_std(stream), tls) {
            (Err(_), _) => Ended::Broken,
            (Ok(stream), None) => connection::serve(stream, entry, Arc::clone(&core)).await,
            (Ok(stream), Some(tls)) => match tokio::time::timeout(handshake, tls.accept(stream)).await {
                Ok(Ok(stream)) => connection::serve(stream, entry, Arc::clone(&core)).await,
                Ok(Err(_)) => Ended::Broken,
                Err(_) => Ended::Head,
            },
        };
        core.counters.endings.of(ended).add(1);
    });
}
