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
use super::signing::SigningPool;
use super::site::Site;
use super::tls;

/// How a server runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that serve connections, each with its own runtime.
    pub cores: NonZeroUsize,
    /// Connections open at a time; surplus ones are closed at once.
    pub connections_max: usize,
    /// Threads for slow signatures.
    pub signing_threads: NonZeroUsize,
    /// Requests that may wait for them; surplus ones are answered `tryLater` at once.
    pub signing_queue_len_max: usize,
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
            signing_threads: cores,
            // At 1,000 RSA signatures a second, a wait of a quarter of a second.
            signing_queue_len_max: 256,
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
    signing: Arc<SigningPool>,
}

/// Threads of a core that read files; a page that is in memory needs none for long.
const FILE_THREADS_MAX: usize = 4;

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
        let signing = Arc::new(SigningPool::start(
            &site.responder,
            options.signing_threads,
            options.signing_queue_len_max,
        )?);
        let stopping = Arc::new(AtomicBool::new(false));
        let open = Arc::new(AtomicUsize::new(0));
        let mut server = Self {
            local_addr,
            stopping: Arc::clone(&stopping),
            stop_by: Arc::default(),
            acceptor: None,
            cores: Vec::new(),
            signing: Arc::clone(&signing),
        };
        let mut dealt_to = Vec::new();
        for number in 0..options.cores.get() {
            let (sender, dealt) = mpsc::unbounded_channel();
            dealt_to.push(sender);
            let core = Arc::new(Core::new(
                Arc::clone(&site),
                Arc::clone(&signing),
                options.patience,
                Arc::clone(&stopping),
                Arc::clone(&open),
            ));
            let runtime = runtime()?;
            let (tls, stop_by) = (options.tls.clone(), Arc::clone(&server.stop_by));
            let handshake = options.patience.head;
            let serve = move || runtime.block_on(serve(core, dealt, tls, handshake, stop_by));
            server.cores.push(thread::Builder::new().name(format!("http-{number}")).spawn(serve)?);
        }
        let (stop, stopped) = oneshot::channel();
        let runtime = runtime()?;
        let dealer = Dealer { dealt_to, next: 0, open, connections_max: options.connections_max };
        let accept = move || runtime.block_on(accept(listener, dealer, stopped));
        server.acceptor = Some((stop, thread::Builder::new().name("http-accept".into()).spawn(accept)?));
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
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
        self.signing.stop();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.halt(Duration::ZERO);
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().max_blocking_threads(FILE_THREADS_MAX).build()
}

/// Deals connections in turn: the kernel's own spreading (SO_REUSEPORT) is uneven for a few
/// long connections, and loses the queue of a listener that closes.
struct Dealer {
    dealt_to: Vec<mpsc::UnboundedSender<TcpStream>>,
    next: usize,
    open: Arc<AtomicUsize>,
    connections_max: usize,
}

impl Dealer {
    fn deal(&mut self, stream: TcpStream) {
        if self.open.load(Relaxed) >= self.connections_max {
            return;
        }
        // Answers are written whole; Nagle's delay would only hold back the last segment.
        if stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).is_err() {
            return;
        }
        self.next = (self.next + 1) % self.dealt_to.len().max(1);
        if let Some(core) = self.dealt_to.get(self.next) {
            self.open.fetch_add(1, Relaxed);
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
    while let Ok((stream, _)) = listener.accept() {
        dealer.deal(stream);
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
        let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { return };
        match tls {
            None => connection::serve(stream, entry, core).await,
            Some(tls) => {
                if let Ok(Ok(stream)) = tokio::time::timeout(handshake, tls.accept(stream)).await {
                    connection::serve(stream, entry, core).await;
                }
            }
        }
    });
}
