//! One connection: what it may take of time and memory.
//!
//! No timer is armed per request. Each connection notes its phase and since when; one watchman
//! per core looks at all of them a few times a second and ends those that overstay.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::core::Core;
use super::counters::Ended;
use super::route::Routes;

/// How long a connection may stay in each of its phases.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From the connection, or from the first octet of a later request, to the end of its
    /// header; TLS handshake included. A client with something to ask asks at once.
    pub head: Duration,
    /// From the end of the header to the end of the body: at most 10 kB.
    pub body: Duration,
    /// Between two requests. Clients that reuse connections do so within a minute.
    pub idle: Duration,
    /// Without the client taking one octet of what is to be sent to it.
    pub write: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write: Duration::from_secs(30),
        }
    }
}

/// Octets of a request's line and header fields: a GET of 10 kB in base64 fits with room.
const HEAD_LEN_MAX: usize = 16 * 1024;

/// Octets hyper may hold for one connection: it starts at half and grows only for a long head.
const BUFFER_LEN_MAX: usize = 16 * 1024;

/// Octets a second that a client takes at least of what is being written to it, once patience
/// is over: an octet now and then is progress, but would hold the connection for ever.
const TAKEN_PER_SECOND_MIN: u64 = 1024;

/// What a connection is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// A request's head is expected or arriving.
    Head,
    /// A request's body is arriving.
    Body,
    /// We are to answer; no deadline of the client's runs.
    Work,
    /// An answer is being taken by the client.
    Write,
    /// Between requests.
    Idle,
}

/// What the watchman knows of a connection.
pub(super) struct Entry {
    phase: AtomicU8,
    /// Tick of the core's clock at which the phase began, or the last progress in writing.
    since: AtomicU32,
    leaving: AtomicBool,
    /// Zero, or the phase it overstayed in and one.
    doomed: AtomicU8,
    /// Tick at which the answer now being written was begun, and octets taken of it since.
    writing_since: AtomicU32,
    written: AtomicU64,
    /// Of the connection's task.
    waker: OnceLock<Waker>,
}

impl Entry {
    pub(super) fn new(tick: u32) -> Self {
        Self {
            phase: AtomicU8::new(code(Phase::Head)),
            since: AtomicU32::new(tick),
            leaving: AtomicBool::new(false),
            doomed: AtomicU8::new(0),
            writing_since: AtomicU32::new(tick),
            written: AtomicU64::new(0),
            waker: OnceLock::new(),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        phase_of(self.phase.load(Relaxed))
    }

    pub(super) fn since(&self) -> u32 {
        self.since.load(Relaxed)
    }

    pub(super) fn enter(&self, phase: Phase, tick: u32) {
        self.phase.store(code(phase), Relaxed);
        self.since.store(tick, Relaxed);
    }

    fn is(&self, phase: Phase) -> bool {
        self.phase.load(Relaxed) == code(phase)
    }

    /// Whether less has been taken of an answer than [`TAKEN_PER_SECOND_MIN`], after `patience`.
    pub(super) fn is_too_slow(&self, tick: u32, tick_len: Duration, patience: Duration) -> bool {
        let stayed = tick_len.saturating_mul(tick.wrapping_sub(self.writing_since.load(Relaxed)));
        stayed > patience && self.written.load(Relaxed) < stayed.as_secs() * TAKEN_PER_SECOND_MIN
    }

    fn note_written(&self, octets: usize, tick: u32) {
        if !self.is(Phase::Write) {
            self.writing_since.store(tick, Relaxed);
            self.written.store(0, Relaxed);
        }
        let written = self.written.load(Relaxed).saturating_add(u64::try_from(octets).unwrap_or(u64::MAX));
        self.written.store(written, Relaxed);
        self.enter(Phase::Write, tick);
    }

    /// Ends the connection where it stands, since it overstayed in `phase`.
    pub(super) fn doom(&self, phase: Phase) {
        self.doomed.store(code(phase) + 1, Relaxed);
        self.wake();
    }

    /// The phase it overstayed in.
    fn doomed(&self) -> Option<Phase> {
        self.doomed.load(Relaxed).checked_sub(1).map(phase_of)
    }

    /// Ends the connection once nothing is in flight on it.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Relaxed);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

fn phase_of(number: u8) -> Phase {
    [Phase::Head, Phase::Body, Phase::Work, Phase::Write]
        .into_iter()
        .find(|phase| code(*phase) == number)
        .unwrap_or(Phase::Idle)
}

const fn code(phase: Phase) -> u8 {
    match phase {
        Phase::Head => 0,
        Phase::Body => 1,
        Phase::Work => 2,
        Phase::Write => 3,
        Phase::Idle => 4,
    }
}

/// How requests are read from any connection.
pub(super) fn protocol() -> http1::Builder {
    let mut http = http1::Builder::new();
    // Our own watchman keeps time: hyper's timer costs an allocation per request and, between
    // requests, starts only with the first octet.
    http.header_read_timeout(None).max_header_size(HEAD_LEN_MAX).max_buf_size(BUFFER_LEN_MAX);
    // A client that has said all it will may close its side and still wait for the answer.
    http.half_close(true);
    // Head and body of an answer are a kilobyte: copying them together costs less than a
    // gathering write. Large bodies come in chunks.
    http.writev(false);
    http
}

/// Serves a connection to its end, and tells what that was. Must be the whole of its task.
pub(super) async fn serve<S>(stream: S, entry: Arc<Entry>, core: Arc<Core>) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let watched = Watched { stream, entry: Arc::clone(&entry), core: Arc::clone(&core) };
    let routes = Routes::new(Arc::clone(&entry), Arc::clone(&core));
    let mut connection = core.protocol.serve_connection(TokioIo::new(watched), routes);
    std::future::poll_fn(|cx| {
        entry.waker.get_or_init(|| cx.waker().clone());
        if let Some(phase) = entry.doomed() {
            return Poll::Ready(Ended::overstaying(phase));
        }
        if entry.leaving.load(Relaxed) {
            Pin::new(&mut connection).graceful_shutdown();
        }
        Pin::new(&mut connection).poll(cx).map(|ended| match ended {
            Ok(()) => Ended::Done,
            Err(error) if error.is_parse() => Ended::Malformed,
            Err(_) => Ended::Broken,
        })
    })
    .await
}

impl Ended {
    const fn overstaying(phase: Phase) -> Self {
        match phase {
            Phase::Head => Self::Head,
            Phase::Body => Self::Body,
            Phase::Work | Phase::Write => Self::Write,
            Phase::Idle => Self::Idle,
        }
    }
}

/// A stream that notes the phases hyper does not tell.
struct Watched<S> {
    stream: S,
    entry: Arc<Entry>,
    core: Arc<Core>,
}

impl<S> Watched<S> {
    fn enter(&self, phase: Phase) {
        self.entry.enter(phase, self.core.tick());
    }

    /// The body of a request may still be arriving when its answer, or 100 Continue, is
    /// written: its deadline goes on.
    fn note_written(&self, written: &Poll<io::Result<usize>>) {
        let octets = match written {
            Poll::Ready(Ok(octets)) => *octets,
            Poll::Ready(Err(_)) => 0,
            // Nothing was taken: since when, goes on.
            Poll::Pending if self.entry.is(Phase::Write) => return,
            Poll::Pending => 0,
        };
        if !self.entry.is(Phase::Head) && !self.entry.is(Phase::Body) {
            self.entry.note_written(octets, self.core.tick());
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() && self.entry.is(Phase::Idle) {
            self.enter(Phase::Head);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, octets);
        self.note_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.note_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when its own buffer is empty: all that was to be said has been said. A
    /// body still streaming enters Write again with its next chunk.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_ready() && self.entry.is(Phase::Write) {
            self.enter(Phase::Idle);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Whether a client that takes so many octets each second is left within two minutes.
    fn is_left(octets: usize) -> bool {
        let entry = Entry::new(0);
        entry.enter(Phase::Work, 5);
        (5..125).any(|tick| {
            entry.note_written(octets, tick);
            assert_eq!((entry.phase(), entry.since()), (Phase::Write, tick), "it makes progress");
            entry.is_too_slow(tick, SECOND, SECOND * 30)
        })
    }

    #[test]
    fn an_octet_now_and_then_is_not_enough() {
        assert!(is_left(1));
        assert!(is_left(1000));
        assert!(!is_left(1024));
        assert!(!is_left(100_000));
    }

    #[test]
    fn each_answer_has_its_own_time() {
        let entry = Entry::new(0);
        for answer in 0..10 {
            entry.enter(Phase::Work, answer * 20);
            for tick in 0..19 {
                entry.note_written(1, answer * 20 + tick);
                assert!(!entry.is_too_slow(answer * 20 + tick, SECOND, SECOND * 30));
            }
            entry.enter(Phase::Idle, answer * 20 + 19);
        }
    }
}
