//! CPU per request of the public listener beside that of a bare hyper server, in one run.
//!
//! `cargo bench --bench http -- [--serials N] [--rounds N] [--seconds S] [--only NAME] [--json FILE]
//! [--plot FILE.svg]`
//!
//! Each server is a process of its own on core 0, the load on core 1. The scenarios take
//! turns, a stretch each, for some rounds; ratios are taken within a round and their median
//! is printed, so that what the machine does meanwhile falls on both sides. nginx with a static
//! file and `openssl ocsp` take part where they are installed.
//!
//! `kept` is the part of the answers that bear a signature from before the stretch, told by
//! their producedAt.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench may panic"
)]

#[path = "support/foreign.rs"]
mod foreign;
#[path = "support/load.rs"]
mod load;
#[path = "support/machine.rs"]
mod machine;
#[path = "support/plot.rs"]
mod plot;
#[path = "support/report.rs"]
mod report;
#[path = "../tests/support/responder.rs"]
mod responder;
#[path = "support/servers.rs"]
mod servers;

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use load::{Keeps, Seen};
use report::{Row, median};
use responder::{Questions, SignsWith, base64};
use servers::{Role, Running};

/// How much is measured.
struct Size {
    serials: u64,
    rounds: usize,
    stretch: Duration,
    json: Option<PathBuf>,
    plot: Option<PathBuf>,
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
            plot: value("--plot").map(PathBuf::from),
            only: value("--only").cloned(),
        }
    }
}

/// What is asked, and of whom.
struct Scenario<'a> {
    name: String,
    server: &'a Running,
    questions: Rc<Questions>,
    keeps: Keeps,
    asks: Asks,
    /// Rows that stand together.
    group: &'static str,
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
    /// No question: nginx's file.
    File,
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
    machine::print_company();
    let kept = size.serials;
    let ours = Running::start(Role::Ours { signs_with: SignsWith::P256, kept });
    let ours_rsa = Running::start(Role::Ours { signs_with: SignsWith::Rsa2048, kept: 100 });
    let questions = Rc::clone(ours.questions.as_ref().unwrap());
    machine::pin_self(1);
    let next = asking(Asks::Post(kept), &questions, 0);
    let sample = load::run(ours.address, Keeps::Open, size.stretch / 4, next);
    let answer_len = (sample.octets / sample.answers) as usize;
    let bare = |signs, verifies| Running::start(Role::Bare { answer_len, signs, verifies });
    let constant = bare(None, false);
    let signing = bare(Some(SignsWith::P256), false);
    let verifying = bare(Some(SignsWith::P256), true);
    let signing_rsa = bare(Some(SignsWith::Rsa2048), false);
    let indexed = kept.min(foreign::INDEXED_MAX);
    let nginx = told("nginx", foreign::nginx(answer_len));
    let openssl = told("openssl ocsp", foreign::openssl_ocsp(SignsWith::P256, indexed));
    let openssl_rsa = told("openssl ocsp", foreign::openssl_ocsp(SignsWith::Rsa2048, indexed));
    println!(
        "{} rounds of {:?}, answers of {answer_len} octets, {kept} signatures kept\n",
        size.rounds, size.stretch
    );
    let scenario = |name: &str, server, asks, group, limit| Scenario {
        name: name.to_owned(),
        server,
        questions: Rc::clone(server_questions(server).unwrap_or(&questions)),
        keeps: Keeps::Open,
        asks,
        group,
        limit,
        stretches: Vec::new(),
    };
    let plain = |name| Some((name, "bare hyper, constant answer"));
    let signed = |name| Some((name, "bare hyper and one signature"));
    let (get, post) = ("kept answers, GET", "kept answers, POST");
    let (p256, rsa) = ("signed for each question, P-256", "signed for each question, RSA-2048");
    let (all_get, all_post) = (format!("http/cached-get/{kept}"), format!("http/cached-post/{kept}"));
    let (bare_p256, bare_rsa) = ("http/bare-hyper-signing", "http/bare-hyper-signing-rsa2048");
    let mut scenarios = vec![
        scenario("http/bare-hyper", &constant, Asks::Get(kept), get, None),
        scenario("http/cached-get/1", &ours, Asks::Get(1), get, plain("http/bare-hyper")),
        scenario(&all_get, &ours, Asks::Get(kept), get, plain("http/bare-hyper")),
    ];
    if let Some(nginx) = &nginx {
        scenarios.push(scenario("http/nginx-static", nginx, Asks::File, get, plain("http/bare-hyper")));
    }
    scenarios.extend([
        scenario("http/bare-hyper-post", &constant, Asks::Post(kept), post, None),
        scenario(&all_post, &ours, Asks::Post(kept), post, plain("http/bare-hyper-post")),
        scenario(bare_p256, &signing, Asks::Nonce(kept), p256, None),
        scenario("http/bare-hyper-signing-verified", &verifying, Asks::Nonce(kept), p256, None),
        scenario("http/nonce-p256", &ours, Asks::Nonce(kept), p256, signed(bare_p256)),
        scenario("http/cold", &ours, Asks::Cold(kept), p256, signed(bare_p256)),
    ]);
    let closes = |scenario| Scenario { keeps: Keeps::Nothing, ..scenario };
    if let Some(openssl) = &openssl {
        let name = "http/openssl-ocsp-p256";
        scenarios.push(closes(scenario(name, openssl, Asks::Nonce(indexed), p256, signed(bare_p256))));
    }
    scenarios.extend([
        scenario(bare_rsa, &signing_rsa, Asks::Nonce(100), rsa, None),
        scenario("http/nonce-rsa2048", &ours_rsa, Asks::Nonce(100), rsa, signed(bare_rsa)),
    ]);
    if let Some(openssl) = &openssl_rsa {
        let name = "http/openssl-ocsp-rsa2048";
        scenarios.push(closes(scenario(name, openssl, Asks::Nonce(indexed), rsa, signed(bare_rsa))));
    }
    if let Some(only) = &size.only {
        scenarios.retain(|scenario| scenario.limit.is_none() || scenario.name.contains(only));
        let limits: Vec<_> = scenarios.iter().filter_map(|scenario| scenario.limit).collect();
        scenarios.retain(|scenario| {
            scenario.limit.is_some() || limits.iter().any(|(name, _)| scenario.name == *name)
        });
    }
    let mut cold_asked = 0;
    for round in 0..=size.rounds {
        for scenario in &mut scenarios {
            let before = scenario.server.cpu_ns();
            // The first round warms up: caches, branch predictors, the frequency of the core.
            let length = if round == 0 { size.stretch / 5 } else { size.stretch };
            let next = asking(scenario.asks, &scenario.questions, cold_asked);
            let seen = load::run(scenario.server.address, scenario.keeps, length, next);
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
    if let Some(path) = &size.plot {
        plot::write(path, &report::to_json(&rows));
    }
}

/// Those about its own certificates; a server without any is asked what ours is.
fn server_questions(server: &Running) -> Option<&Rc<Questions>> {
    server.questions.as_ref()
}

/// Says what is left out.
fn told(name: &str, server: Option<Running>) -> Option<Running> {
    if server.is_none() {
        println!("left out, because not installed or too old: {name}");
    }
    server
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
            Asks::File => get_path(foreign::FILE, out),
        }
    }
}

fn get(request: &[u8], out: &mut Vec<u8>) {
    get_path(&format!("/{}", base64(request)), out);
}

fn get_path(path: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"GET ");
    out.extend_from_slice(path.as_bytes());
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
    let sum = |of: fn(&Seen) -> u64| scenario.stretches.iter().map(|stretch| of(&stretch.seen)).sum::<u64>();
    let refused = sum(|seen| seen.refused);
    let (dated, kept) = (sum(|seen| seen.dated), sum(|seen| seen.kept));
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
        group: Some(scenario.group),
        more: vec![
            ("per_s", median(&rates)),
            ("p50_us", at(0.5)),
            ("p99_us", at(0.99)),
            ("p999_us", at(0.999)),
            ("spread", (most - least) / median(&cpu)),
            ("refused", refused as f64),
        ]
        .into_iter()
        // What has no date is no answer of a responder.
        .chain((dated > 0).then(|| ("kept", kept as f64 / dated as f64)))
        .collect(),
    }
}

fn print_table(rows: &[Row]) {
    println!(
        "{:<34} {:>8} {:>9} {:>8} {:>8} {:>9} {:>7} {:>8} {:>6} {:>6}",
        "", "us_cpu", "per s", "p50 us", "p99 us", "p99.9 us", "spread", "refused", "kept", "ratio"
    );
    for row in rows {
        let more = |name| row.more.iter().find(|(found, _)| *found == name).map(|(_, value)| *value);
        let figure = |name| more(name).unwrap_or(f64::NAN);
        println!(
            "{:<34} {:>8.2} {:>9.0} {:>8.0} {:>8.0} {:>9.0} {:>6.0}% {:>8.0} {:>6} {:>6}",
            row.name,
            row.value,
            figure("per_s"),
            figure("p50_us"),
            figure("p99_us"),
            figure("p999_us"),
            figure("spread") * 100.0,
            figure("refused"),
            more("kept").map_or("-".to_owned(), |part| format!("{:.0}%", part * 100.0)),
            row.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))
        );
    }
}
