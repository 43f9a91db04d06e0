//! CPU per request of the public listener beside that of a bare hyper server, in one run.
//!
//! `cargo bench --bench http -- [--serials N] [--rounds N] [--seconds S] [--only NAME] [--json FILE]`
//!
//! Each server is a process of its own on core 0, the load on core 1. The scenarios take
//! turns, a stretch each, for some rounds; ratios are taken within a round and their median
//! is printed, so that what the machine does meanwhile falls on both sides.
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

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use load::Seen;
use report::{Row, median};
use responder::{Questions, SignsWith, base64};
use servers::{Role, Running};

/// How much is measured.
struct Size {
    serials: u64,
    rounds: usize,
    stretch: Duration,
    json: Option<PathBuf>,
    /// Only scenarios with this in their names, and their limits.
    only: Option<String>,
}

impl Size {
    fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let value = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            arguments.get(at + 1)
        };
        let number = |name, default| value(name).map_or(default, |text| text.parse().expect("a number"));
        Self {
            // Signing a million takes a minute and a half before the first figure.
            serials: number("--serials", 1_000_000.0) as u64,
            rounds: number("--rounds", 5.0) as usize,
            stretch: Duration::from_secs_f64(number("--seconds", 1.0)),
            json: value("--json").map(PathBuf::from),
            only: value("--only").cloned(),
        }
    }
}

/// What is asked, and of whom.
struct Scenario<'a> {
    name: String,
    server: &'a Running,
    asks: Asks,
    /// Name of the scenario that is its limit, and what that limit is.
    limit: Option<(&'static str, &'static str)>,
    stretches: Vec<Stretch>,
}

#[derive(Clone, Copy)]
enum Asks {
    /// One of so many serials at random.
    Get(u64),
    Post(u64),
    /// With a nonce.
    Nonce(u64),
    /// Serials after so many, each once.
    Cold(u64),
}

struct Stretch {
    us_cpu: f64,
    seen: Seen,
}

fn main() {
    if servers::serve_if_asked() || !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let size = Size::from_arguments();
    println!("{}", machine::description());
    if !machine::can_pin() {
        println!("not pinned: server and load share the cores");
    }
    let kept = size.serials;
    let ours = Running::start(Role::Ours { signs_with: SignsWith::P256, kept });
    let ours_rsa = Running::start(Role::Ours { signs_with: SignsWith::Rsa2048, kept: 100 });
    let questions = Rc::new(Questions {
        name_hash: ours.questions.as_ref().unwrap().name_hash.clone(),
        key_hash: ours.questions.as_ref().unwrap().key_hash.clone(),
    });
    machine::pin_self(1);
    let sample = load::run(ours.address, size.stretch / 4, asking(Asks::Post(kept), &questions, 0));
    let answer_len = (sample.octets / sample.answers) as usize;
    let bare = |signs, verifies| Running::start(Role::Bare { answer_len, signs, verifies });
    let constant = bare(None, false);
    let signing = bare(Some(SignsWith::P256), false);
    let verifying = bare(Some(SignsWith::P256), true);
    let signing_rsa = bare(Some(SignsWith::Rsa2048), false);
    println!(
        "{} rounds of {:?}, answers of {answer_len} octets, {kept} signatures kept\n",
        size.rounds, size.stretch
    );
    let scenario = |name: &str, server, asks, limit| Scenario {
        name: name.to_owned(),
        server,
        asks,
        limit,
        stretches: Vec::new(),
    };
    let plain = "bare hyper, constant answer";
    let signed = "bare hyper and one signature";
    let mut scenarios = vec![
        scenario("http/bare-hyper", &constant, Asks::Get(kept), None),
        scenario("http/cached-get/1", &ours, Asks::Get(1), Some(("http/bare-hyper", plain))),
        scenario(
            &format!("http/cached-get/{kept}"),
            &ours,
            Asks::Get(kept),
            Some(("http/bare-hyper", plain)),
        ),
        scenario("http/bare-hyper-post", &constant, Asks::Post(kept), None),
        scenario(
            &format!("http/cached-post/{kept}"),
            &ours,
            Asks::Post(kept),
            Some(("http/bare-hyper-post", plain)),
        ),
        scenario("http/bare-hyper-signing", &signing, Asks::Nonce(kept), None),
        scenario("http/bare-hyper-signing-verified", &verifying, Asks::Nonce(kept), None),
        scenario("http/nonce-p256", &ours, Asks::Nonce(kept), Some(("http/bare-hyper-signing", signed))),
        scenario("http/cold", &ours, Asks::Cold(kept), Some(("http/bare-hyper-signing", signed))),
        scenario("http/bare-hyper-signing-rsa2048", &signing_rsa, Asks::Nonce(100), None),
        scenario(
            "http/nonce-rsa2048",
            &ours_rsa,
            Asks::Nonce(100),
            Some(("http/bare-hyper-signing-rsa2048", signed)),
        ),
    ];
    if let Some(only) = &size.only {
        scenarios.retain(|scenario| scenario.limit.is_none() || scenario.name.contains(only));
        let limits: Vec<_> = scenarios.iter().filter_map(|scenario| scenario.limit).collect();
        scenarios.retain(|scenario| {
            scenario.limit.is_some() || limits.iter().any(|(name, _)| scenario.name.starts_with(name))
        });
    }
    let rsa_questions = Rc::new(Questions {
        name_hash: ours_rsa.questions.as_ref().unwrap().name_hash.clone(),
        key_hash: ours_rsa.questions.as_ref().unwrap().key_hash.clone(),
    });
    let mut cold_asked = 0;
    for round in 0..=size.rounds {
        for scenario in &mut scenarios {
            let rsa = std::ptr::eq(scenario.server, &ours_rsa) || std::ptr::eq(scenario.server, &signing_rsa);
            let questions = if rsa { &rsa_questions } else { &questions };
            let before = scenario.server.cpu_ns();
            // The first round warms up: caches, branch predictors, the frequency of the core.
            let length = if round == 0 { size.stretch / 5 } else { size.stretch };
            let seen =
                load::run(scenario.server.address, length, asking(scenario.asks, questions, cold_asked));
            let us_cpu = (scenario.server.cpu_ns() - before) as f64 / 1000.0 / seen.answers as f64;
            if matches!(scenario.asks, Asks::Cold(_)) {
                cold_asked += seen.answers;
                assert!(cold_asked < kept, "no cold serials left: raise --serials");
            }
            if round > 0 {
                scenario.stretches.push(Stretch { us_cpu, seen });
            }
        }
    }
    let rows: Vec<Row> = scenarios.iter().map(|scenario| row(scenario, &scenarios)).collect();
    print_table(&rows);
    if let Some(path) = &size.json {
        report::write_json(path, &rows);
    }
}

/// Writes one request after another.
fn asking(asks: Asks, questions: &Rc<Questions>, cold_asked: u64) -> impl FnMut(&mut Vec<u8>) + 'static {
    let questions = Rc::clone(questions);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut cold = cold_asked;
    move |out| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        match asks {
            Asks::Get(serials) => get(&questions.request(1 + state % serials, None), out),
            Asks::Post(serials) => post(&questions.request(1 + state % serials, None), out),
            Asks::Nonce(serials) => {
                let nonce = [state.to_be_bytes(), state.to_le_bytes()].concat();
                post(&questions.request(1 + state % serials, Some(&nonce)), out);
            }
            Asks::Cold(after) => {
                cold += 1;
                post(&questions.request(after + cold, None), out);
            }
        }
    }
}

fn get(request: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"GET /");
    out.extend_from_slice(base64(request).as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ocsp.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n");
}

fn post(request: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"POST / HTTP/1.1\r\nHost: ocsp.example\r\nUser-Agent: bench\r\nAccept: */*\r\n");
    out.extend_from_slice(b"Content-Type: application/ocsp-request\r\nContent-Length: ");
    out.extend_from_slice(request.len().to_string().as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(request);
}

fn row(scenario: &Scenario<'_>, all: &[Scenario<'_>]) -> Row {
    let cpu: Vec<f64> = scenario.stretches.iter().map(|stretch| stretch.us_cpu).collect();
    let rates: Vec<f64> = scenario
        .stretches
        .iter()
        .map(|stretch| stretch.seen.answers as f64 / stretch.seen.elapsed.as_secs_f64())
        .collect();
    let mut latencies: Vec<u64> =
        scenario.stretches.iter().flat_map(|stretch| stretch.seen.latencies_ns.iter().copied()).collect();
    latencies.sort_unstable();
    let at = |part: f64| {
        let place = (latencies.len() as f64 * part) as usize;
        latencies.get(place.min(latencies.len().saturating_sub(1))).map_or(f64::NAN, |ns| *ns as f64 / 1000.0)
    };
    let refused: u64 = scenario.stretches.iter().map(|stretch| stretch.seen.refused).sum();
    let ratio = scenario.limit.map(|(name, _)| {
        let limit = all.iter().find(|other| other.name == name).unwrap();
        let within_a_round = scenario.stretches.iter().zip(&limit.stretches);
        median(&within_a_round.map(|(ours, limit)| ours.us_cpu / limit.us_cpu).collect::<Vec<_>>())
    });
    let (least, most) = cpu.iter().fold((f64::MAX, 0.0_f64), |(l, m), v| (l.min(*v), m.max(*v)));
    Row {
        name: scenario.name.clone(),
        value: median(&cpu),
        unit: "us_cpu",
        limit: scenario.limit.map(|(_, what)| what),
        ratio,
        more: vec![
            ("per_s", median(&rates)),
            ("p50_us", at(0.5)),
            ("p99_us", at(0.99)),
            ("p999_us", at(0.999)),
            ("spread", (most - least) / median(&cpu)),
            ("refused", refused as f64),
        ],
    }
}

fn print_table(rows: &[Row]) {
    println!(
        "{:<34} {:>8} {:>9} {:>8} {:>8} {:>9} {:>7} {:>8} {:>6}",
        "", "us_cpu", "per s", "p50 us", "p99 us", "p99.9 us", "spread", "refused", "ratio"
    );
    for row in rows {
        let more = |name| row.more.iter().find(|(found, _)| *found == name).map_or(f64::NAN, |(_, v)| *v);
        println!(
            "{:<34} {:>8.2} {:>9.0} {:>8.0} {:>8.0} {:>9.0} {:>6.0}% {:>8.0} {:>6}",
            row.name,
            row.value,
            more("per_s"),
            more("p50_us"),
            more("p99_us"),
            more("p999_us"),
            more("spread") * 100.0,
            more("refused"),
            row.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))
        );
    }
}
