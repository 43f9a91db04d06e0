//! `load`: its figures agree with each other, and it sees what a responder does wrong.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a failed step must stop the test"
)]

mod service;
#[path = "support/client.rs"]
mod wire;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::Value;
use service::{Ran, SEKISHO, Service, run, signal};
use wire::within;

/// `load --json` for a second, with these arguments.
fn load(arguments: &[&str]) -> Ran {
    let mut command = Command::new(SEKISHO);
    command.args(["load", "--json"]).args(arguments);
    for (option, value) in [("--seconds", "1"), ("--connections", "8")] {
        if !arguments.contains(&option) {
            command.args([option, value]);
        }
    }
    Ran::from(command.output().unwrap())
}

/// The same for as long as it takes to ask so many questions; its report, and the seconds.
fn load_until(enough: u64, arguments: &[&str]) -> (Value, u64) {
    let mut seconds = 1;
    loop {
        let report = load(&[arguments, &["--seconds", &seconds.to_string()]].concat()).json();
        if count(&report, "requests") >= enough {
            return (report, seconds);
        }
        assert!(seconds < 120, "hardly anything was asked: {report}");
        seconds *= 4;
    }
}

fn sum(counts: &Value) -> u64 {
    counts.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
}

fn count(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("{name}: {report}"))
}

fn statuses(report: &Value) -> u64 {
    count(report, "good") + count(report, "revoked") + count(report, "unknown")
}

/// Every question came to exactly one end, and every answer has its latency.
#[track_caller]
fn assert_adds_up(report: &Value) {
    let (answered, wrong, errors) = (statuses(report), sum(&report["wrong"]), sum(&report["errors"]));
    assert_eq!(count(report, "requests"), answered + wrong + errors, "{report}");
    let latency = &report["latency"];
    if answered + wrong > 0 {
        let bars = latency["bars"].as_array().unwrap().iter();
        assert_eq!(bars.map(|bar| count(bar, "count")).sum::<u64>(), answered + wrong, "{report}");
        let at = |name: &str| latency[name].as_f64().unwrap();
        assert!(at("p50_us") > 0.0 && at("p50_us") <= at("p90_us") && at("p90_us") <= at("p99_us"));
        assert!(at("p99_us") <= at("p999_us") && at("p999_us") <= at("max_us") * 1.01, "{latency}");
    }
    let rate = report["answers_per_s"].as_f64().unwrap() * report["seconds"].as_f64().unwrap();
    assert!((rate - answered as f64).abs() < 1.0, "{report}");
}

struct Demo {
    service: Service,
    manifest: String,
}

impl Demo {
    fn start() -> Self {
        let service = Service::demo(100);
        let manifest = service.data.with_extension("manifest.json").display().to_string();
        Self { service, manifest }
    }

    fn address(&self) -> SocketAddr {
        let url = self.service.url();
        url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
    }

    /// An issuer's certificate and one of its good certificates.
    fn one(&self) -> (String, String) {
        let certificate = &self.service.certificates("sign", "good")[0];
        (self.service.ca("sign"), certificate["file"].as_str().unwrap().to_owned())
    }
}

#[test]
fn every_way_of_asking_adds_up() {
    let demo = Demo::start();
    let ways: [&[&str]; 6] = [
        &[],
        &["--method", "get"],
        &["--nonce", "100"],
        &["--method", "get", "--nonce", "50", "--hash", "sha256"],
        &["--pipeline", "8"],
        &["--threads", "2", "--rate", "500"],
    ];
    for way in ways {
        // As many as there are certificates.
        let (report, seconds) = load_until(200, &[&["--requests", &demo.manifest][..], way].concat());
        assert_adds_up(&report);
        assert_eq!((sum(&report["wrong"]), sum(&report["errors"])), (0, 0), "{way:?}: {report}");
        assert_eq!((count(&report, "certificates"), count(&report, "nonces_left_out")), (200, 0));
        assert!(count(&report, "good") > count(&report, "revoked"), "{report}");
        assert!(count(&report, "revoked") > 0 && count(&report, "unknown") == 0, "{way:?}: {report}");
        assert_eq!(count(&report, "reconnects"), 0, "{way:?}: {report}");
        assert!(count(&report, "sent_bytes") > 100 * count(&report, "requests"), "{report}");
        let share = report["cpu_share"].as_f64().unwrap();
        assert!(share > 0.0 && share <= 1.05, "{report}");
        if way.contains(&"--rate") {
            assert!(count(&report, "requests") <= 500 * seconds, "at most 500 in a second: {report}");
        }
    }
    let words = Command::new(SEKISHO)
        .args(["load", "--seconds", "1", "--requests", &demo.manifest, "--nonce", "10"])
        .output();
    let words = Ran::from(words.unwrap());
    assert_eq!(words.code, Some(0), "{}", words.text());
    for word in
        ["POST http://127.0.0.1:", "200 certificates", "p99.9", "of a core", "errors        none", "█"]
    {
        assert!(words.stdout.contains(word), "{word} is not in:\n{}", words.stdout);
    }
}

#[test]
fn serials_and_certificates_of_an_issuer_are_asked_about_without_a_manifest() {
    let demo = Demo::start();
    let (ca, file) = demo.one();
    let next = &demo.service.manifest["authorities"][0]["next_serial"].as_str().unwrap();
    let next = u64::from_str_radix(next.trim_start_matches("0x"), 16).unwrap();
    let never_issued = format!("dec:{next}-0x{:x},ab:cd:ef:01:23:45:67:89:ab:cd:ef", next + 9);
    let url = demo.service.url();
    let asked = ["--target", &url, "--issuer", &ca];
    let report = load(&[&asked[..], &["--cert", &file]].concat()).json();
    assert_adds_up(&report);
    assert_eq!(count(&report, "certificates"), 1);
    assert_eq!(count(&report, "good"), count(&report, "requests"));
    let report = load(&[&asked[..], &["--serials", &never_issued]].concat()).json();
    assert_eq!(count(&report, "certificates"), 11);
    assert_eq!(statuses(&report), count(&report, "requests"));
    assert_eq!(count(&report, "good"), 0, "never issued: {report}");
}

#[test]
fn another_certificates_answer_and_another_nonce_are_found_out() {
    let demo = Demo::start();
    let (ca, file) = demo.one();
    let response = fetched(&demo, &["-no_nonce", "-issuer", &ca, "-cert", &file]);
    let replays = Fake::start(demo.address(), Does::Replay(response));
    let url = replays.url();
    let ran = load(&["--target", &url, "--requests", &demo.manifest]);
    assert_eq!(ran.code, Some(1), "{}", ran.text());
    assert!(ran.stderr.contains("not to what was asked"), "{}", ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_adds_up(&report);
    let wrong = count(&report["wrong"], "of another certificate");
    assert!(wrong > 10 * statuses(&report), "199 of 200 certificates are others: {report}");

    // To the certificate it is about, the same answer is right; with a nonce it has none.
    let asked = ["--target", &url, "--issuer", &ca, "--cert", &file];
    let report = load(&asked).json();
    assert_eq!(count(&report, "good"), count(&report, "requests"));
    let report = load(&[&asked[..], &["--nonce", "100"]].concat()).json();
    assert_eq!(count(&report, "nonces_left_out"), count(&report, "requests"));

    let response = fetched(&demo, &["-nonce", "-issuer", &ca, "-cert", &file]);
    let replays = Fake::start(demo.address(), Does::Replay(response));
    let url = replays.url();
    let ran = load(&["--target", &url, "--issuer", &ca, "--cert", &file, "--nonce", "100"]);
    assert_eq!(ran.code, Some(1), "{}", ran.text());
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(count(&report["wrong"], "with another nonce"), count(&report, "requests"), "{report}");
}

#[test]
fn a_server_that_closes_each_connection_is_asked_on_new_ones() {
    let demo = Demo::start();
    for announced in [true, false] {
        let closes = Fake::start(demo.address(), Does::Close { announced });
        let url = closes.url();
        for pipeline in ["1", "4"] {
            let report =
                load(&["--target", &url, "--requests", &demo.manifest, "--pipeline", pipeline]).json();
            assert_adds_up(&report);
            assert_eq!((sum(&report["wrong"]), sum(&report["errors"])), (0, 0), "{report}");
            let (requests, reconnects) = (count(&report, "requests"), count(&report, "reconnects"));
            // One question each, and each of the 8 connections may have been opened once more.
            assert!(reconnects + 8 >= requests && reconnects <= requests, "{report}");
            assert_eq!(count(&report, "asked_again") > 0, pipeline == "4" || !announced, "{report}");
        }
    }
}

#[test]
fn refusals_are_counted_by_their_kind_and_do_not_count_as_answers() {
    let demo = Demo::start();
    let busy = Fake::start(demo.address(), Does::Say("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"));
    let ran = load(&["--target", &busy.url(), "--requests", &demo.manifest]);
    assert_eq!(ran.code, Some(1), "{}", ran.text());
    assert!(ran.stderr.contains("no question got a status: HTTP 503"), "{}", ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_adds_up(&report);
    assert_eq!(count(&report["errors"], "HTTP 503"), count(&report, "requests"));
    assert!(report["latency"].is_null() && report["refusal_latency"]["p99_us"].as_f64().unwrap() > 0.0);

    let later = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n0\u{3}\n\u{1}\u{3}";
    let later = Fake::start(demo.address(), Does::Say(later));
    let ran = load(&["--target", &later.url(), "--requests", &demo.manifest]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(count(&report["errors"], "tryLater"), count(&report, "requests"), "{report}");

    let (ca, _) = demo.one();
    let url = format!("{}elsewhere/", demo.service.url());
    load(&["--target", &url, "--issuer", &ca, "--serials", "0x1"]).refused(3, &["HTTP 40", "OCSP responder"]);
}

#[test]
fn wrong_use_and_an_unreachable_target_are_told_what_to_do() {
    // No port that the system gives to anybody who asks for one.
    let nobody = "127.0.0.1:1";
    let home = tempfile::tempdir().unwrap();
    let ca = own_ca(home.path());
    let (ca, url) = (ca.certificate.display().to_string(), format!("http://{nobody}/"));
    let asked = ["--issuer", &ca, "--serials", "0x1-0x9"];
    load(&[&asked[..], &["--target", &url]].concat())
        .refused(3, &["nobody listens", "connection refused", "start"]);
    load(&["--target", &url, "--issuer", &ca]).refused(2, &["--serials"]);
    load(&["--target", "https://x/", "--issuer", &ca, "--serials", "0x1"]).refused(2, &["http://HOST"]);
    load(&["--target", &url, "--issuer", &ca, "--serials", "0x9-0x1"]).refused(2, &["first"]);
    for bare in ["9", "1-9", "0x1-9", "dec:1-9", "0x1,17"] {
        load(&["--target", &url, "--issuer", &ca, "--serials", bare])
            .refused(2, &["hexadecimal or decimal", " or dec:"]);
    }
    let chain = home.path().join("chain.pem");
    fs::write(&chain, fs::read_to_string(&ca).unwrap().repeat(2)).unwrap();
    load(&["--target", &url, "--issuer", chain.to_str().unwrap(), "--serials", "0x1"])
        .refused(2, &["2 PEM blocks", "one CERTIFICATE"]);
    load(&["--target", &url, "--requests", &ca]).refused(2, &["not a manifest", "demo --manifest"]);
    let both = load(&["--target", &url]);
    assert!(both.code == Some(2) && both.stderr.contains("--requests"), "{}", both.text());
    for (option, value) in [("--connections", "1001"), ("--seconds", "3601"), ("--pipeline", "65")] {
        let ran = load(&[&asked[..], &["--target", &url, option, value]].concat());
        assert!(ran.code == Some(2) && ran.stderr.contains(value), "{}", ran.text());
    }
}

#[test]
fn ctrl_c_ends_early_with_the_report_so_far() {
    let demo = Demo::start();
    let (ca, file) = demo.one();
    let response = fetched(&demo, &["-no_nonce", "-issuer", &ca, "-cert", &file]);
    let replays = Fake::start(demo.address(), Does::Replay(response));
    let asked = ["load", "--json", "--seconds", "600", "--target", &replays.url()];
    let child = Command::new(SEKISHO)
        .args([&asked[..], &["--issuer", &ca, "--cert", &file]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first question only looks whether anybody answers.
    within("questions", || replays.asked.load(Relaxed) > 1000);
    signal("INT", child.id());
    let report = Ran::from(child.wait_with_output().unwrap()).json();
    assert_adds_up(&report);
    assert!(report["seconds"].as_f64().unwrap() < 500.0 && statuses(&report) > 0, "{report}");
}

#[test]
fn what_is_under_way_when_broken_off_is_not_lost_from_the_count() {
    let demo = Demo::start();
    let (ca, file) = demo.one();
    let response = fetched(&demo, &["-no_nonce", "-issuer", &ca, "-cert", &file]);
    let stalls = Fake::start(demo.address(), Does::Stall(response));
    let asked = ["load", "--json", "--seconds", "600", "--connections", "8", "--target", &stalls.url()];
    let child = Command::new(SEKISHO)
        .args([&asked[..], &["--issuer", &ca, "--cert", &file]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first question only looks whether anybody answers; then each connection has one under way.
    within("questions", || stalls.asked.load(Relaxed) == 1 + 8);
    signal("INT", child.id());
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(1), "{}", ran.text());
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_adds_up(&report);
    assert_eq!((count(&report, "requests"), count(&report["errors"], "broken off")), (8, 8));
}

/// `openssl ocsp` closes after each answer, and waits for ever on a connection that closes
/// without a question: after a run it still answers.
#[test]
fn openssl_ocsp_is_loaded_and_lives_on() {
    let home = tempfile::tempdir().unwrap();
    let ca = own_ca(home.path());
    let index = home.path().join("index.txt");
    fs::write(
        &index,
        "V\t350101000000Z\t\t2A\tunknown\t/CN=x\nR\t350101000000Z\t250101000000Z\t2B\tunknown\t/CN=y\n",
    )
    .unwrap();
    let mut responder = Openssl::start(&ca, &index);
    let issuer = ca.certificate.display().to_string();
    let asked = ["--target", &responder.url, "--issuer", &issuer, "--serials", "0x2a-dec:44"];
    for more in [&["--nonce", "50"][..], &["--method", "get"]] {
        let (report, _) = load_until(30, &[&asked[..], more].concat());
        assert_adds_up(&report);
        assert_eq!((sum(&report["wrong"]), sum(&report["errors"])), (0, 0), "{report}");
        for status in ["good", "revoked", "unknown"] {
            assert!(count(&report, status) > 0, "{report}");
        }
        assert!(count(&report, "reconnects") > 0 && count(&report, "nonces_left_out") == 0, "{report}");
    }
    assert!(responder.child.try_wait().unwrap().is_none());
}

/// The octets of an answer, as `openssl ocsp` fetches them.
fn fetched(demo: &Demo, arguments: &[&str]) -> Vec<u8> {
    let file = demo.service.data.join("answer.der").display().to_string();
    let (url, ca) = (demo.service.url(), demo.service.ca("sign"));
    let more = ["-CAfile", &ca, "-url", &url, "-respout", &file];
    let ran = run("openssl", &[&["ocsp"][..], arguments, &more].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    fs::read(file).unwrap()
}

/// A server that is not as it should be; its threads end with the test.
struct Fake {
    address: SocketAddr,
    /// Questions that have come.
    asked: Arc<AtomicU64>,
}

#[derive(Clone)]
enum Does {
    /// Answers whatever is asked with these octets.
    Replay(Vec<u8>),
    /// Sends this, whatever is asked.
    Say(&'static str),
    /// Answers the first connection, and no other.
    Stall(Vec<u8>),
    /// Passes one question on, answers it, and closes.
    Close { announced: bool },
}

impl Fake {
    fn start(behind: SocketAddr, does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let does = match &does {
                    Does::Stall(_) if number > 0 => Does::Say(""),
                    does => does.clone(),
                };
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || serve(stream.unwrap(), behind, &does, &counted));
            }
        });
        Self { address, asked }
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

/// One connection. Its end is the client's.
fn serve(stream: TcpStream, behind: SocketAddr, does: &Does, counted: &AtomicU64) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let request = post_body(&mut reader)?;
        counted.fetch_add(1, Relaxed);
        match does {
            Does::Say(text) => stream.write_all(text.as_bytes()).ok()?,
            Does::Replay(answer) | Does::Stall(answer) => stream.write_all(&sized(answer)).ok()?,
            Does::Close { announced } => {
                let answer = wire::ask(behind, wire::post("/", &request)).body;
                // Unannounced, as a server that is restarted or has had enough does it.
                let head = if *announced { &b"HTTP/1.0 200 OK\r\n\r\n"[..] } else { &[] };
                let answer = if *announced { answer } else { sized(&answer) };
                stream.write_all(&[head, &answer].concat()).ok()?;
                stream.shutdown(std::net::Shutdown::Write).ok()?;
                // Closing with octets unread would take the answer back.
                return std::io::copy(&mut reader, &mut std::io::sink()).ok().map(drop);
            }
        }
    }
}

fn sized(body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

fn post_body(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut len = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            len = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            let mut body = vec![0; len];
            reader.read_exact(&mut body).ok()?;
            return Some(body);
        }
    }
}

struct OwnCa {
    certificate: PathBuf,
    key: PathBuf,
}

fn own_ca(directory: &Path) -> OwnCa {
    let ca = OwnCa { certificate: directory.join("ca.pem"), key: directory.join("ca.key") };
    let [certificate, key] = [&ca.certificate, &ca.key].map(|path| path.display().to_string());
    let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let of = ["-subj", "/CN=Load test CA", "-days", "30", "-keyout", &key, "-out", &certificate];
    let ran = run("openssl", &[&new[..], &of].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    ca
}

struct Openssl {
    child: Child,
    url: String,
}

impl Openssl {
    fn start(ca: &OwnCa, index: &Path) -> Self {
        let mut child = Command::new("openssl")
            .args(["ocsp", "-port", "0", "-ignore_err", "-index"])
            .arg(index)
            .arg("-CA")
            .arg(&ca.certificate)
            .arg("-rsigner")
            .arg(&ca.certificate)
            .arg("-rkey")
            .arg(&ca.key)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // "ACCEPT [::]:35561 PID=20794"
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        while !line.starts_with("ACCEPT ") {
            line.clear();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "openssl ocsp ended");
        }
        let port = line.split(' ').nth(1).unwrap().rsplit(':').next().unwrap().to_owned();
        // Whatever else it prints is not waited for.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        Self { child, url: format!("http://127.0.0.1:{port}/") }
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
