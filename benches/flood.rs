//! Whether kept answers stay quick while more is asked for than can be signed.
//!
//! `cargo bench --bench flood -- [--runs N] [--seconds S] [--json FILE]`; `--seconds 60` is the
//! full form.
//!
//! The server signs with RSA-2048 and stands on core 0; its capacity is measured first. Then
//! quiet and flooded stretches take turns. In both, a few connections ask for kept answers at a
//! fixed rate, and a question that had to wait for its turn counts from when that was. In a
//! flooded one, a process of its own on core 1 asks with nonces at ten times the capacity,
//! pipelined, on more connections than requests may wait for a signature. The surplus is to be
//! told `tryLater`, at once; anything else but an answer is an error.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench may panic"
)]

#[path = "support/load.rs"]
mod load;
#[path = "support/machine.rs"]
mod machine;
#[path = "support/report.rs"]
mod report;
#[path = "../tests/support/responder.rs"]
mod responder;
#[path = "support/servers.rs"]
mod servers;
#[path = "support/surplus.rs"]
mod surplus;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use load::Keeps;
use report::{Row, median};
use responder::{Questions, SignsWith, base64};
use servers::{Role, Running};
use surplus::{Flood, Flooded};

/// Certificates with a kept signature.
const KEPT: u64 = 1_000;
/// The flood, in capacities.
const TIMES: f64 = 10.0;
/// Connections that ask for kept answers, and how often each does: few enough that the quiet
/// server is idle most of the time, many enough for a p99.
const PROBES: u64 = 8;
const PROBE_EVERY: Duration = Duration::from_millis(4);
/// Part of its core that a server under full load has when nothing else runs.
const FULL: f64 = 0.8;
/// What p99 may be under the flood: twice the quiet one, or this.
const GOAL_MS: f64 = 5.0;

fn main() {
    if surplus::flood_if_asked() || servers::serve_if_asked() {
        return;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)
    };
    let number = |name, default: f64| value(name).map_or(default, |text| text.parse().expect("a number"));
    let (runs, length) = (number("--runs", 5.0) as usize, Duration::from_secs_f64(number("--seconds", 10.0)));
    println!("{}", machine::description());
    if !machine::can_pin() {
        println!("not pinned: server and load share the cores");
    }
    machine::print_company();
    let server = Running::start(Role::Ours { signs_with: SignsWith::Rsa2048, kept: KEPT });
    machine::pin_self(1);
    let questions = Rc::clone(server.questions.as_ref().unwrap());
    let capacity = capacity(&server, &questions, length / 5);
    println!(
        "{capacity:.0} answers/s signed with RSA-2048; {runs} runs of {length:?} quiet and as much flooded with \
         {TIMES} times that\n"
    );
    print_head();
    let mut pairs = Vec::new();
    for run in 1..=runs {
        let quiet = probe(server.address, &questions, length);
        let flood = Flood::start(server.address, &questions, TIMES * capacity, length + 2 * surplus::SETTLE);
        // The flood stands before it is looked at, and until it has been.
        std::thread::sleep(surplus::SETTLE);
        let flooded = probe(server.address, &questions, length);
        let flood = flood.end();
        // What it left to be signed is signed before the next look.
        std::thread::sleep(surplus::SETTLE);
        print_run(run, &quiet, &flooded, &flood);
        pairs.push((quiet, flooded, flood));
    }
    let rows = rows(&pairs, capacity);
    print_verdict(&rows);
    if let Some(path) = value("--json").map(PathBuf::from) {
        report::write_json(&path, &rows);
    }
}

/// Signed answers a second, when nothing else is asked for.
fn capacity(server: &Running, questions: &Rc<Questions>, length: Duration) -> f64 {
    let questions = Rc::clone(questions);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = move |out: &mut Vec<u8>| {
        state = surplus::scattered(state);
        surplus::post(&questions, 1 + state % KEPT, state, out);
    };
    let before = server.cpu_ns();
    let seen = load::run(server.address, Keeps::Open, length, next);
    let share = (server.cpu_ns() - before) as f64 / seen.elapsed.as_nanos() as f64;
    if share < FULL {
        println!("the server had {:.0} % of its core: its capacity is not known", share * 100.0);
    }
    assert_eq!(seen.refused, 0, "32 connections are no flood");
    seen.answers as f64 / seen.elapsed.as_secs_f64()
}

/// Latencies of kept answers, sorted, in milliseconds.
struct Probed {
    ms: Vec<f64>,
}

impl Probed {
    fn at(&self, part: f64) -> f64 {
        let place = (self.ms.len() as f64 * part) as usize;
        self.ms[place.min(self.ms.len() - 1)]
    }
}

fn probe(address: SocketAddr, questions: &Questions, length: Duration) -> Probed {
    let requests: Vec<Vec<u8>> = (1..=KEPT).map(|serial| get(&questions.request(serial, None))).collect();
    let began = Instant::now();
    let mut ms: Vec<f64> = std::thread::scope(|scope| {
        let probes: Vec<_> = (0..PROBES)
            .map(|number| {
                let requests = &requests;
                let first = began + PROBE_EVERY * number as u32 / PROBES as u32;
                scope.spawn(move || ask_in_turn(address, requests, number as usize, first, began + length))
            })
            .collect();
        probes.into_iter().flat_map(|probe| probe.join().unwrap()).collect()
    });
    ms.sort_by(f64::total_cmp);
    assert!(!ms.is_empty(), "longer stretches, please");
    Probed { ms }
}

fn ask_in_turn(
    address: SocketAddr,
    requests: &[Vec<u8>],
    number: usize,
    first: Instant,
    until: Instant,
) -> Vec<f64> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 16 * 1024];
    let (mut ms, mut due) = (Vec::new(), first);
    while due < until {
        let now = Instant::now();
        if now < due {
            std::thread::sleep(due - now);
        }
        // Its turn, unless only the clock was late.
        let since = if now < due { Instant::now() } else { due };
        stream.write_all(&requests[(ms.len() * PROBES as usize + number) % requests.len()]).unwrap();
        let mut len = 0;
        loop {
            let read = stream.read(&mut buffer[len..]).unwrap();
            assert!(read > 0, "the server closed");
            len += read;
            if let Some((start, end)) = load::framed(&buffer[..len])
                && len >= end
            {
                assert!(end - start > surplus::ERROR_LEN, "a kept answer was refused");
                break;
            }
        }
        ms.push(since.elapsed().as_secs_f64() * 1e3);
        due += PROBE_EVERY;
    }
    ms
}

fn get(request: &[u8]) -> Vec<u8> {
    format!("GET /{} HTTP/1.1\r\nHost: ocsp.example\r\n\r\n", base64(request)).into_bytes()
}

fn print_head() {
    println!(
        "{:<4} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>10} {:>10} {:>7} {:>6}",
        "run",
        "quiet p50",
        "p99 ms",
        "flood p50",
        "p99 ms",
        "asked/s",
        "signed/s",
        "refused/s",
        "ref. p50",
        "p99 ms",
        "errors",
        "gen."
    );
}

fn print_run(run: usize, quiet: &Probed, flooded: &Probed, flood: &Flooded) {
    println!(
        "{run:<4} {:>9.3} {:>9.3} {:>9.3} {:>9.3} {:>9.0} {:>9.0} {:>9.0} {:>10.3} {:>10.3} {:>7} {:>5.0}%",
        quiet.at(0.5),
        quiet.at(0.99),
        flooded.at(0.5),
        flooded.at(0.99),
        flood.asked_per_s,
        flood.signed_per_s,
        flood.refused_per_s,
        flood.refusal_p50_ms,
        flood.refusal_p99_ms,
        flood.errors,
        flood.cpu_share * 100.0
    );
}

fn rows(pairs: &[(Probed, Probed, Flooded)], capacity: f64) -> Vec<Row> {
    let over =
        |of: &dyn Fn(&(Probed, Probed, Flooded)) -> f64| median(&pairs.iter().map(of).collect::<Vec<_>>());
    let (quiet, flooded) = (over(&|pair| pair.0.at(0.99)), over(&|pair| pair.1.at(0.99)));
    let ratio = over(&|pair| pair.1.at(0.99) / pair.0.at(0.99));
    let mut calm = Row::new("flood/cached-get-p99-quiet", quiet, "ms");
    calm.group = Some("kept answers under a flood of nonces, p99");
    calm.more = vec![("p50_ms", over(&|pair| pair.0.at(0.5)))];
    let mut p99 = Row::new("flood/cached-get-p99", flooded, "ms");
    p99.limit = Some("the same, quiet");
    p99.ratio = Some(ratio);
    p99.group = calm.group;
    p99.more = vec![("goal_ms", (2.0 * quiet).max(GOAL_MS)), ("p50_ms", over(&|pair| pair.1.at(0.5)))];
    let mut refusal = Row::new("flood/refusal-p99", over(&|pair| pair.2.refusal_p99_ms), "ms");
    refusal.group = Some("told tryLater, p99");
    refusal.more = vec![
        ("p50_ms", over(&|pair| pair.2.refusal_p50_ms)),
        ("refused_per_s", over(&|pair| pair.2.refused_per_s)),
        ("errors", pairs.iter().map(|pair| pair.2.errors as f64).sum()),
        ("generator_cpu_share", over(&|pair| pair.2.cpu_share)),
    ];
    let signed = Row::new("flood/signed", over(&|pair| pair.2.signed_per_s), "per_s");
    let mut signed = signed.against("without a flood", capacity);
    signed.group = Some("signed under the flood");
    signed.more = vec![
        ("asked_per_s", over(&|pair| pair.2.asked_per_s)),
        ("held_back_per_s", over(&|pair| pair.2.held_back_per_s)),
    ];
    vec![calm, p99, refusal, signed]
}

fn print_verdict(rows: &[Row]) {
    let more = |row: usize, name| rows[row].more.iter().find(|(found, _)| *found == name).unwrap().1;
    let (quiet, p99) = (rows[0].value, rows[1].value);
    let (ratio, goal) = (rows[1].ratio.unwrap(), more(1, "goal_ms"));
    let verdict = if p99 <= goal { "reached" } else { "NOT reached" };
    println!(
        "\nkept answers, p99: {quiet:.3} ms quiet, {p99:.3} ms flooded; medians: x {ratio:.2}, goal {goal:.3} ms \
         {verdict}"
    );
    let errors = more(2, "errors");
    println!("refusals, p99: {:.3} ms; errors of other kinds: {errors}", rows[2].value);
    let (held_back, share) = (more(3, "held_back_per_s"), more(2, "generator_cpu_share"));
    if held_back > 0.0 {
        println!(
            "{held_back:.0}/s more were due, but their connections were full: the server did not read them"
        );
    }
    if share >= 0.9 {
        println!("the generator was short of its core: part of the latencies are its own");
    }
    if errors > 0.0 {
        println!("NOT as it should be: a flood is answered or told tryLater, nothing else");
    }
}
