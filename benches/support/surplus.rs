//! The flood: a process that asks with nonces at a fixed rate, whatever the answers. Several
//! questions go out in one write, to spare the generator's core.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::Read;
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::{load, machine};
use crate::responder::Questions;

/// Time before and after, in which the flood is there and nothing is measured.
pub const SETTLE: Duration = Duration::from_millis(500);
/// An OCSPResponse without responseBytes.
pub const ERROR_LEN: usize = 5;
/// OCSPResponse { tryLater } (RFC 6960 §4.2.1).
const TRY_LATER: [u8; ERROR_LEN] = [0x30, 0x03, 0x0a, 0x01, 0x03];
/// More than the requests that may wait for a signature (256): else nothing is ever refused, as
/// the questions of a connection are answered in turn.
const CONNECTIONS: usize = 512;
/// Questions in one write.
const AT_ONCE: usize = 4;
/// Questions under way on a connection; more are held back.
const UNDER_WAY_MAX: usize = 64;
/// Certificates asked about.
const SERIALS: u64 = 1_000;
/// How a process of ours knows that it is one.
const ENV: &str = "SEKISHO_BENCH_FLOOD";

/// A flood that is on.
pub struct Flood {
    child: Child,
}

/// What it came to.
pub struct Flooded {
    pub asked_per_s: f64,
    pub held_back_per_s: f64,
    pub signed_per_s: f64,
    pub refused_per_s: f64,
    /// From when a question was the first unanswered one of its connection.
    pub refusal_p50_ms: f64,
    pub refusal_p99_ms: f64,
    /// Answers that are neither, and connections lost.
    pub errors: u64,
    /// Of one core.
    pub cpu_share: f64,
}

impl Flood {
    pub fn start(address: SocketAddr, questions: &Questions, rate: f64, length: Duration) -> Self {
        let program = std::env::current_exe().expect("this program has a file");
        let hashes =
            [&questions.name_hash, &questions.key_hash].map(|hash| data_encoding::HEXLOWER.encode(hash));
        let [name_hash, key_hash] = hashes;
        let text = format!("{address} {rate} {} {name_hash} {key_hash}", length.as_secs_f64());
        let child = machine::pinned(1, &program).env(ENV, text).stdout(Stdio::piped()).spawn();
        Self { child: child.expect("this program starts again") }
    }

    pub fn end(mut self) -> Flooded {
        let mut line = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut line).unwrap();
        assert!(self.child.wait().unwrap().success(), "the flood ended before its time");
        let figures: Vec<f64> = line.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
        Flooded {
            asked_per_s: figures[0],
            held_back_per_s: figures[1],
            signed_per_s: figures[2],
            refused_per_s: figures[3],
            refusal_p50_ms: figures[4],
            refusal_p99_ms: figures[5],
            errors: figures[6] as u64,
            cpu_share: figures[7],
        }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In a flooding process: floods, and prints the figures in the order of [`Flooded`].
pub fn flood_if_asked() -> bool {
    let Ok(text) = std::env::var(ENV) else { return false };
    let words: Vec<&str> = text.split(' ').collect();
    let hash = |word: &str| data_encoding::HEXLOWER.decode(word.as_bytes()).unwrap();
    let questions = Questions { name_hash: hash(words[3]), key_hash: hash(words[4]) };
    let (rate, length) = (words[1].parse().unwrap(), Duration::from_secs_f64(words[2].parse().unwrap()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    println!("{}", local.block_on(&runtime, flood(words[0].parse().unwrap(), &questions, rate, length)));
    true
}

#[derive(Default)]
struct Counts {
    asked: u64,
    held_back: u64,
    signed: u64,
    errors: u64,
    refusals_ms: Vec<f64>,
}

/// When each question under way was sent.
type UnderWay = Rc<RefCell<VecDeque<Instant>>>;

async fn flood(address: SocketAddr, questions: &Questions, rate: f64, length: Duration) -> String {
    let counts = Rc::new(RefCell::new(Counts::default()));
    let mut connections: Vec<(OwnedWriteHalf, UnderWay)> = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (reader, writer) = stream.into_split();
        let under_way = UnderWay::default();
        tokio::task::spawn_local(take_answers(reader, Rc::clone(&under_way), Rc::clone(&counts)));
        connections.push((writer, under_way));
    }
    let (began, cpu) = (Instant::now(), machine::cpu_ns(std::process::id()));
    let mut state = u64::from(std::process::id()) << 32 | 0x9e37_79b9;
    let (mut turn, mut out) = (0, Vec::new());
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    while began.elapsed() < length {
        tick.tick().await;
        let due = (began.elapsed().as_secs_f64() * rate) as u64;
        loop {
            let mut counts = counts.borrow_mut();
            if counts.asked + counts.held_back + AT_ONCE as u64 > due {
                break;
            }
            let (writer, under_way) = &connections[turn % CONNECTIONS];
            turn += 1;
            if under_way.borrow().len() + AT_ONCE > UNDER_WAY_MAX {
                counts.held_back += AT_ONCE as u64;
                continue;
            }
            out.clear();
            for _ in 0..AT_ONCE {
                state = scattered(state);
                post(questions, 1 + state % SERIALS, state, &mut out);
            }
            // So few octets fit into any buffer or into none, unless the server is gone.
            match writer.try_write(&out) {
                Ok(len) if len == out.len() => {
                    counts.asked += AT_ONCE as u64;
                    under_way.borrow_mut().extend([Instant::now(); AT_ONCE]);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    counts.held_back += AT_ONCE as u64;
                }
                _ => counts.errors += 1,
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let cpu_share = (machine::cpu_ns(std::process::id()) - cpu) as f64 / 1e9 / seconds;
    let mut counts = counts.borrow_mut();
    counts.refusals_ms.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let place = (counts.refusals_ms.len() as f64 * part) as usize;
        counts.refusals_ms.get(place).copied().unwrap_or(f64::NAN)
    };
    let per_s = |count: u64| count as f64 / seconds;
    format!(
        "{} {} {} {} {} {} {} {cpu_share}",
        per_s(counts.asked),
        per_s(counts.held_back),
        per_s(counts.signed),
        per_s(counts.refusals_ms.len() as u64),
        at(0.5),
        at(0.99),
        counts.errors
    )
}

async fn take_answers(mut reader: OwnedReadHalf, under_way: UnderWay, counts: Rc<RefCell<Counts>>) {
    let mut input = Vec::with_capacity(64 * 1024);
    let mut answered = Instant::now();
    loop {
        if reader.read_buf(&mut input).await.unwrap_or(0) == 0 {
            counts.borrow_mut().errors += 1;
            return;
        }
        let now = Instant::now();
        let mut at = 0;
        while let Some((start, end)) = load::framed(&input[at..]) {
            let Some(body) = input.get(at + start..at + end) else { break };
            let sent = under_way.borrow_mut().pop_front();
            let since = sent.map_or(now, |sent| sent.max(answered));
            let mut counts = counts.borrow_mut();
            if body == TRY_LATER {
                counts.refusals_ms.push((now - since).as_secs_f64() * 1e3);
            } else if body.len() > ERROR_LEN {
                counts.signed += 1;
            } else {
                counts.errors += 1;
            }
            at += end;
        }
        if at > 0 {
            answered = now;
            input.drain(..at);
        }
    }
}

/// Appends a question with a nonce that `random` makes.
pub fn post(questions: &Questions, serial: u64, random: u64, out: &mut Vec<u8>) {
    let nonce = [random.to_be_bytes(), random.to_le_bytes()].concat();
    let request = questions.request(serial, Some(&nonce));
    out.extend_from_slice(b"POST / HTTP/1.1\r\nHost: ocsp.example\r\n");
    out.extend_from_slice(b"Content-Type: application/ocsp-request\r\nContent-Length: ");
    out.extend_from_slice(request.len().to_string().as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(&request);
}

/// xorshift64 (Marsaglia 2003).
pub fn scattered(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^ (state << 17)
}
