//! Connections that ask: one task each, all of a thread on a runtime of its own.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::{sleep, sleep_until, timeout_at};

use super::super::Failure;
use super::super::args::Method;
use super::answer::judge;
use super::questions::{NONCE_LEN, Nonce, Question, Questions};
use super::tally::{Cpu, Outcome, Tally, Trouble};
use super::wire::{RESPONSE_MAX, Response, Target, response};

/// Longest wait for an answer. Clients in use give up after 5 to 15 s.
pub(super) const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// Time that questions under way have when the run is broken off.
const GRACE: Duration = Duration::from_secs(1);
/// Pause before the next try where nobody accepts: a server that is away costs no processor.
const PAUSE: Duration = Duration::from_millis(20);
/// Room for answers read at once.
const READ_LEN: usize = 16 * 1024;

/// What every thread does.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) target: Arc<Target>,
    pub(super) address: SocketAddr,
    pub(super) questions: Arc<Questions>,
    pub(super) method: Method,
    /// Percentage of questions with a nonce.
    pub(super) nonce: u8,
    /// Questions under way on a connection.
    pub(super) pipeline: usize,
    /// Of this thread.
    pub(super) connections: u16,
    /// Time between two questions of this thread, where it does not depend on the answers.
    pub(super) interval: Option<Duration>,
    /// When this thread's first question is due.
    pub(super) start: Instant,
    pub(super) until: Instant,
    /// Any number; threads with different ones ask in different orders.
    pub(super) seed: u64,
}

/// Asks until the plan's end, or until told to stop.
///
/// # Errors
/// Internal: no runtime.
pub(super) fn run(plan: Plan, mut stop: watch::Receiver<bool>) -> Result<Tally, Failure> {
    let (began, before) = (Instant::now(), Cpu::of_this_thread());
    let failed = |error: std::io::Error| Failure::internal(format!("no runtime: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let connections = plan.connections;
    let load = Rc::new(Load::new(plan, stop.clone())?);
    let tasks = LocalSet::new();
    for _ in 0..connections {
        tasks.spawn_local(Connection::new(Rc::clone(&load)).drive());
    }
    runtime.block_on(async {
        tokio::select! {
            () = tasks => {}
            () = async { told(&mut stop).await; sleep(GRACE).await } => {}
        }
    });
    let mut tally = load.tally.replace(Tally::new()?);
    tally.close();
    if let (Some((busy, waited)), Some((busy_now, waited_now))) = (before, Cpu::of_this_thread()) {
        let span = began.elapsed();
        tally.cpu =
            Cpu { busy: busy_now.saturating_sub(busy), waited: waited_now.saturating_sub(waited), span };
    }
    Ok(tally)
}

/// Asks once, on a connection of its own.
///
/// # Errors
/// Internal: no runtime.
pub(super) fn once(plan: Plan) -> Result<Result<Outcome, Trouble>, Failure> {
    let failed = |error: std::io::Error| Failure::internal(format!("no runtime: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (_sender, stop) = watch::channel(false);
    let mut connection = Connection::new(Rc::new(Load::new(plan, stop)?));
    runtime.block_on(async {
        connection.take_questions().await;
        Ok(connection.exchange().await.and_then(|()| connection.last.ok_or(Trouble::Closed)))
    })
}

/// Returns when told to stop.
async fn told(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could say so.
        std::future::pending::<()>().await;
    }
}

/// What the connections of a thread share.
struct Load {
    plan: Plan,
    stop: watch::Receiver<bool>,
    tally: RefCell<Tally>,
    random: Cell<u64>,
    due: Cell<Instant>,
}

impl Load {
    fn new(plan: Plan, stop: watch::Receiver<bool>) -> Result<Self, Failure> {
        let random = Cell::new(plan.seed | 1);
        let due = Cell::new(plan.start);
        Ok(Self { plan, stop, tally: RefCell::new(Tally::new()?), random, due })
    }

    /// xorshift64 (Marsaglia 2003): which certificate comes next need not be a secret.
    fn random(&self) -> u64 {
        let mut state = self.random.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.random.set(state);
        state
    }

    /// From when on the next question's time counts; None when there is none any more.
    ///
    /// With a rate, each has its time, and counts from then when the connections were all busy:
    /// that wait is the server's. A late timer is not, and what it costs is left out.
    async fn start(&self) -> Option<Instant> {
        let now = Instant::now();
        let going = |at| at < self.plan.until && !*self.stop.borrow();
        let Some(interval) = self.plan.interval else { return going(now).then_some(now) };
        let due = self.due.get();
        self.due.set(due + interval);
        if !going(due.max(now)) {
            return None;
        }
        if due <= now {
            return Some(due);
        }
        sleep_until(due.into()).await;
        let now = Instant::now();
        going(due).then_some(now)
    }

    fn question(&self, since: Instant) -> Option<Asked> {
        let question = self.plan.questions.pick(self.random())?;
        let nonce = (self.random() % 100 < u64::from(self.plan.nonce)).then(|| self.nonce());
        Some(Asked { question, nonce, since, taken: Instant::now() })
    }

    fn nonce(&self) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        for octets in nonce.chunks_exact_mut(size_of::<u64>()) {
            octets.copy_from_slice(&self.random().to_be_bytes());
        }
        nonce
    }
}

/// A question under way.
struct Asked {
    question: Question,
    nonce: Option<Nonce>,
    /// Its time counts from here.
    since: Instant,
    /// It is waited for from here.
    taken: Instant,
}

struct Connection {
    load: Rc<Load>,
    stream: Option<TcpStream>,
    opened: bool,
    /// In the order of their answers.
    under_way: VecDeque<Asked>,
    /// How many of them the present stream has been sent.
    sent: usize,
    /// Answers that came over it.
    answers: u64,
    last: Option<Outcome>,
    input: BytesMut,
    output: Vec<u8>,
}

impl Connection {
    fn new(load: Rc<Load>) -> Self {
        let (under_way, input, output) = (VecDeque::new(), BytesMut::new(), Vec::new());
        Self { load, stream: None, opened: false, under_way, sent: 0, answers: 0, last: None, input, output }
    }

    async fn drive(mut self) {
        loop {
            self.take_questions().await;
            if self.under_way.is_empty() {
                return;
            }
            if let Err(trouble) = self.exchange().await {
                self.lose(trouble).await;
            }
        }
    }

    async fn take_questions(&mut self) {
        while self.under_way.len() < self.load.plan.pipeline {
            let Some(since) = self.load.start().await else { return };
            let Some(asked) = self.load.question(since) else { return };
            self.load.tally.borrow_mut().requests += 1;
            self.under_way.push_back(asked);
        }
    }

    /// Sends what is not sent yet and takes at least one answer.
    async fn exchange(&mut self) -> Result<(), Trouble> {
        let Some(patience) = self.under_way.front().map(|oldest| (oldest.taken + ANSWER_WAIT).into()) else {
            return Ok(());
        };
        // Nothing is opened without a question to send: `openssl ocsp` waits for ever on a
        // connection that ends without one.
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => timeout_at(patience, self.open()).await.map_err(|_| Trouble::TimedOut)??,
        };
        self.write_questions();
        // A server that has closed may have answered before: reading tells.
        drop(stream.write_all(&self.output).await);
        loop {
            self.input.reserve(READ_LEN);
            let read = timeout_at(patience, stream.read_buf(&mut self.input)).await;
            let read = read.map_err(|_| Trouble::TimedOut)?;
            let ended = read.as_ref().map_or(true, |read| *read == 0);
            self.load.tally.borrow_mut().received_bytes +=
                read.map_or(0, |read| read.try_into().unwrap_or(0));
            let before = self.answers;
            let closes = self.take_answers(ended)?;
            if closes || ended {
                return if self.under_way.is_empty() { Ok(()) } else { Err(Trouble::Closed) };
            }
            if self.answers > before {
                self.stream = Some(stream);
                return Ok(());
            }
        }
    }

    async fn open(&mut self) -> Result<TcpStream, Trouble> {
        (self.sent, self.answers) = (0, 0);
        self.input.clear();
        let connect = TcpStream::connect(self.load.plan.address).await;
        let stream = connect.map_err(|error| Trouble::Connect(error.kind()))?;
        // Without it small requests may wait for an acknowledgement; a failure costs only that.
        drop(stream.set_nodelay(true));
        self.load.tally.borrow_mut().reconnects += u64::from(self.opened);
        self.opened = true;
        Ok(stream)
    }

    fn write_questions(&mut self) {
        let Plan { target, questions, method, .. } = &self.load.plan;
        self.output.clear();
        for asked in self.under_way.iter().skip(self.sent) {
            let request = questions.request(&asked.question, asked.nonce.as_ref());
            target.write(*method, &request, &mut self.output);
        }
        self.sent = self.under_way.len();
        self.load.tally.borrow_mut().sent_bytes += u64::try_from(self.output.len()).unwrap_or(0);
    }

    /// Takes the answers that are there; true when the server sends no more.
    fn take_answers(&mut self, ended: bool) -> Result<bool, Trouble> {
        while !self.input.is_empty() {
            let Some(found) = response(&self.input, ended).map_err(|_| Trouble::NotAnAnswer)? else { break };
            let Some(asked) = self.under_way.pop_front() else { return Err(Trouble::NotAnAnswer) };
            let Response { status, body, len, closes } = found;
            let outcome = match status {
                200 => judge(&body, &self.load.plan.questions, &asked.question, asked.nonce.as_ref()),
                status => Outcome::Troubled(Trouble::Http(status)),
            };
            self.load.tally.borrow_mut().count(outcome, asked.since.elapsed());
            self.last = Some(outcome);
            self.answers += 1;
            self.sent = self.sent.saturating_sub(1);
            self.input.advance(len);
            if closes {
                return Ok(true);
            }
        }
        debug_assert!(self.input.len() < RESPONSE_MAX, "such a long one is an error above");
        Ok(false)
    }

    /// The stream is of no use any more. A server may close a connection after any answer (RFC
    /// 9112 §9.5), so what it left unanswered is asked again; on a connection without a single
    /// answer it would be so for ever.
    async fn lose(&mut self, trouble: Trouble) {
        self.stream = None;
        if trouble == Trouble::Closed && self.answers > 0 {
            self.load.tally.borrow_mut().asked_again += u64::try_from(self.sent).unwrap_or(0);
            return;
        }
        for asked in self.under_way.drain(..) {
            self.load.tally.borrow_mut().count(Outcome::Troubled(trouble), asked.since.elapsed());
        }
        if matches!(trouble, Trouble::Connect(_)) {
            sleep(PAUSE).await;
        }
    }
}
