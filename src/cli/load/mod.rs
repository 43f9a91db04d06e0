//! `load`: asks any OCSP responder as fast as it answers, and tells how fast that was, how sure
//! the answers were to what was asked, and what the asking itself cost.
//!
//! ```text
//! questions  what is asked
//! wire       HTTP: requests, framing of responses
//! answer     what an answer says, and whether it is to what was asked
//! drive      connections, threads, time
//! tally      counts and latencies
//! report     words and JSON
//! ```

mod answer;
mod drive;
mod questions;
mod report;
mod tally;
mod wire;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::args::Load;
use super::{DataDir, Failure, print};
use drive::Plan;
use questions::Questions;
use report::Report;
use tally::{Outcome, Tally, Trouble};
use wire::Target;

pub(super) fn run(data: &DataDir, asked: &Load, json: bool) -> Result<(), Failure> {
    let questions = Arc::new(Questions::from_arguments(data, asked)?);
    let url = asked.target.as_ref().or(questions.ocsp_url.as_ref());
    let url = url.ok_or_else(|| Failure::wrong_use("say where to ask: --target URL"))?;
    let target = Arc::new(Target::from_url(url)?);
    if u16::from(asked.threads) > asked.connections {
        return Err(Failure::wrong_use("each thread needs a connection: lower --threads"));
    }
    let start = Instant::now();
    let mut plan = Plan {
        address: *target.addresses.first().ok_or_else(|| Failure::unreached(format!("{url}: no address")))?,
        target: Arc::clone(&target),
        questions: Arc::clone(&questions),
        method: asked.method,
        nonce: asked.nonce,
        pipeline: 1,
        connections: 1,
        interval: None,
        start,
        until: start + drive::ANSWER_WAIT,
        seed: seed()?,
    };
    plan.address = reached(&plan)?;
    plan.pipeline = usize::from(asked.pipeline);
    let length = Duration::from_secs(u64::from(asked.seconds));
    if !json {
        let (total, seconds) = (questions.total(), asked.seconds);
        eprintln!("asking {url} about {total} certificates for {seconds} s; Ctrl-C ends it early");
    }
    let (tally, lasted) = in_threads(asked, plan, length)?;
    let report = Report::new(asked, url, questions.total(), lasted, &tally);
    print(json, &report, || report.in_words())?;
    verdict(&tally)
}

/// The first address that answers one question.
///
/// # Errors
/// Unreached, with advice: nobody listens, or no OCSP responder.
fn reached(plan: &Plan) -> Result<std::net::SocketAddr, Failure> {
    let url = &plan.target.url;
    let mut trouble = Trouble::Closed;
    for address in &plan.target.addresses {
        trouble = match drive::once(Plan { address: *address, ..plan.clone() })? {
            Ok(Outcome::Troubled(Trouble::Http(status))) if !OVERLOADED.contains(&status) => {
                Trouble::Http(status)
            }
            Ok(_) => return Ok(*address),
            Err(trouble) => trouble,
        };
    }
    Err(Failure::unreached(match trouble {
        Trouble::Http(status) => {
            format!("{url} answers HTTP {status}: give the address of an OCSP responder, with its path")
        }
        Trouble::NotAnAnswer => format!("{url} answers, but not OCSP: give the address of an OCSP responder"),
        Trouble::Connect(_) => format!(
            "nobody listens at {url} ({trouble}): start the responder (`sekisho demo` prints its address) \
             or correct --target"
        ),
        _ => format!("{url} does not answer ({trouble}): look after the responder, or correct --target"),
    }))
}

/// HTTP statuses of a responder that is there and has too much to do.
const OVERLOADED: [u16; 2] = [429, 503];

/// Runs the plan in all threads, until its end or Ctrl-C; returns how long that took.
fn in_threads(asked: &Load, plan: Plan, length: Duration) -> Result<(Tally, Duration), Failure> {
    let (stop, told) = watch::channel(false);
    let (sender, tallies) = mpsc::unbounded_channel();
    // Before the first question: who sees one may break off, and is to get the report.
    let ends = Ends::listen()?;
    let start = Instant::now();
    let threads = u16::from(asked.threads);
    let mut running = Vec::new();
    for number in 0..threads {
        let interval =
            asked.rate.map(|rate| Duration::from_secs(1).mul_f64(f64::from(threads) / f64::from(rate)));
        let shared = asked.connections / threads + u16::from(number < asked.connections % threads);
        let first =
            interval.map_or(Duration::ZERO, |interval| interval * u32::from(number) / u32::from(threads));
        let plan = Plan {
            connections: shared,
            interval,
            start: start + first,
            until: start + length,
            seed: seed()?,
            ..plan.clone()
        };
        let (sender, told) = (sender.clone(), told.clone());
        let work = move || drop(sender.send(drive::run(plan, told)));
        let thread = std::thread::Builder::new().name(format!("load-{number}")).spawn(work);
        running.push(thread.map_err(|error| Failure::internal(format!("no thread: {error}")))?);
    }
    drop(sender);
    let tally = ends.collect(running, tallies, &stop)?;
    // Answers that came after the end were waited for, not asked for.
    Ok((tally, start.elapsed().min(length)))
}

/// The signals that end a run early: Ctrl-C, and that of a supervisor.
struct Ends {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Ends {
    /// Takes them from now on.
    fn listen() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::internal(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let inside = runtime.enter();
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        drop(inside);
        Ok(Self { runtime, interrupt, terminate })
    }

    /// The counts of all threads, which either signal makes stop.
    fn collect(
        self,
        running: Vec<JoinHandle<()>>,
        mut tallies: mpsc::UnboundedReceiver<Result<Tally, Failure>>,
        stop: &watch::Sender<bool>,
    ) -> Result<Tally, Failure> {
        let Self { runtime, mut interrupt, mut terminate } = self;
        let total = runtime.block_on(async {
            let mut total = Tally::new()?;
            loop {
                tokio::select! {
                    tally = tallies.recv() => match tally {
                        Some(tally) => total.add(&tally?)?,
                        None => return Ok::<_, Failure>(total),
                    },
                    _ = interrupt.recv() => drop(stop.send(true)),
                    _ = terminate.recv() => drop(stop.send(true)),
                }
            }
        })?;
        for thread in running {
            thread.join().map_err(|_| Failure::internal("a thread of the generator ended in a panic"))?;
        }
        Ok(total)
    }
}

/// A wrong answer is a no, and so is no answer at all.
fn verdict(tally: &Tally) -> Result<(), Failure> {
    match (tally.mismatched(), tally.answered()) {
        (0, 0) => {
            let why = tally.troubles.iter().max_by_key(|(_, count)| **count);
            let why = why.map_or_else(|| "nothing was asked".to_owned(), |(trouble, _)| trouble.to_string());
            Err(Failure::refused(format!("no question got a status: {why}")))
        }
        (0, _) => Ok(()),
        (1, _) => Err(Failure::refused("1 answer was not to what was asked")),
        (wrong, _) => Err(Failure::refused(format!("{wrong} answers were not to what was asked"))),
    }
}

fn seed() -> Result<u64, Failure> {
    let mut seed = [0; size_of::<u64>()];
    let filled = SystemRandom::new().fill(&mut seed);
    filled.map_err(|_| Failure::internal("the system gives no random numbers"))?;
    Ok(u64::from_be_bytes(seed))
}
