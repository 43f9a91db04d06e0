//! `kill -9` at random points: whatever was acknowledged is there afterwards.
//!
//! The test is the outside process: it writes down each intent and each acknowledgement, kills
//! the service while requests are in flight, starts it again, and asks OCSP, the next CRL and
//! the records. What `kill -9` cannot see, a missing sync, the simulated disk can (`tests/durability.rs`),
//! and a power cut: see `tests/kill/power_cut.rs`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a failed step must stop the test"
)]

#[path = "kill/asker.rs"]
mod asker;
#[path = "kill/power_cut.rs"]
mod power_cut;
mod service;
#[path = "kill/under_way.rs"]
mod under_way;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use service::{Service, python};

/// Rounds in the fast suite; `SEKISHO_KILL_ROUNDS=200` for the long form.
const ROUNDS: usize = 30;
const CLIENTS: usize = 16;

/// Lives that a round acknowledges before its kill, at most: enough in the long form for hundreds of
/// changes a second.
const LIVES: usize = 20;
const LIVES_LONG: usize = 100;

/// After so many rounds the service is killed once more while it starts.
const RECOVERY_EVERY: usize = 10;

/// What the outside process knows.
#[derive(Default)]
struct Ledger {
    /// Serials whose revocation was acknowledged, with the position and time told.
    revoked: BTreeMap<String, (u64, String)>,
    /// Serials for which a revocation was sent and nothing came back.
    in_doubt: BTreeSet<String>,
    /// Serials of certificates that left the service.
    issued: BTreeSet<String>,
    /// Changes that were acknowledged; of those, the ones behind the first of their round, and how long
    /// they took.
    acknowledged: usize,
    counted: usize,
    under_load: Duration,
}

#[test]
fn kills_lose_nothing_that_was_acknowledged() {
    let rounds = std::env::var("SEKISHO_KILL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut service = Service::start(&data, 400);
    // The first certificate of a municipality waits for its CRL; the rounds are too short for it.
    assert!(post(&data.join("admin.sock"), "/v1/issue", &application("first")).is_some());
    let (mut rounds_in_flight, mut recoveries) = (0, 0);
    let mut attempt = 0;
    while rounds_in_flight < rounds {
        attempt += 1;
        assert!(attempt < rounds * 4, "kills keep missing the requests");
        let lives = if rounds > ROUNDS { LIVES_LONG } else { LIVES };
        if kill_under_load(&mut service, &ledger, attempt, lives) > 0 {
            rounds_in_flight += 1;
        }
        if attempt % RECOVERY_EVERY == 0 {
            kill_while_starting(&data, attempt);
            recoveries += 1;
        }
        service = Service::start(&data, 400);
        check_records(&service, &ledger);
    }
    let known = ledger.lock().unwrap();
    println!(
        "{rounds_in_flight} kills with requests in flight, {recoveries} while starting; {} changes acknowledged, \
         {:.0} a second",
        known.acknowledged,
        known.counted as f64 / known.under_load.as_secs_f64()
    );
    assert!(recoveries >= rounds / RECOVERY_EVERY, "only {recoveries} kills while starting");
    assert!(known.revoked.len() > rounds && known.issued.len() > rounds, "there was something to lose");
    check_ocsp(&service, &known);
    check_crl(&service, &known);
    let state = service.sekisho(&["check", "--json"]).json();
    assert_eq!(state["findings"].as_array().unwrap().len(), 0, "{state}");
}

/// Certificates, two thirds of them revoked, after which the records are made anew from more entries
/// than fit into one batch of their rows.
const MANY: usize = 3_000;

/// What a rebuild in batches once lost: the revocations of a certificate's neighbours.
#[test]
fn two_thousand_revocations_are_all_on_record_and_in_the_next_crl_after_a_kill() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let mut service = Service::start(&data, 400);
    let socket = data.join("admin.sock");
    assert!(post(&socket, "/v1/issue", &application("first")).is_some());
    // Revocations right behind their issues, so that both are in one batch, and their neighbours' in the
    // one before: of some only where nobody else is under way at its end, so half come one by one.
    let life = |at: usize| {
        let issued = post(&socket, "/v1/issue", &application(&format!("many-{at}"))).unwrap();
        let serial = issued["certificates"][0]["serial"].as_str().unwrap().to_owned();
        if at.is_multiple_of(3) {
            return None;
        }
        let certificate = json!({"authority": "sign", "serial": serial});
        let key = format!("many-revoked-{at}");
        let body =
            json!({"certificate": certificate, "reason": "superseded", "key": key, "comment": said(&serial)});
        let revoked = post(&socket, "/v1/revoke", &body).unwrap();
        let told =
            (revoked["position"].as_u64().unwrap(), revoked["revoked_at"].as_str().unwrap().to_owned());
        Some((serial, told))
    };
    let mut told = by_clients(CLIENTS, MANY / 2, life);
    told.extend(by_clients(1, MANY / 2, |at| life(MANY / 2 + at)));
    service.kill();

    let service = Service::start(&data, 400);
    let known = Ledger { revoked: told.into_iter().flatten().collect(), ..Ledger::default() };
    assert_eq!(known.revoked.len(), MANY * 2 / 3);
    for (serial, told) in &known.revoked {
        assert_revoked(&socket, serial, told);
    }
    check_ocsp(&service, &known);
    check_crl(&service, &known);
}

/// `work` on 0, 1, 2 … by so many clients at once; what came of each, in that order.
fn by_clients<R: Send>(clients: usize, count: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let take = || Some(next.fetch_add(1, Ordering::SeqCst)).filter(|at| *at < count);
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|_| scope.spawn(|| Vec::from_iter(std::iter::from_fn(|| take().map(|at| (at, work(at)))))))
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Sixteen clients issue and revoke until the service is killed; how many requests were in
/// flight then.
fn kill_under_load(
    service: &mut Service,
    ledger: &Arc<Mutex<Ledger>>,
    attempt: usize,
    lives: usize,
) -> usize {
    let socket = service.data.join("admin.sock");
    let in_flight = Arc::new(AtomicUsize::new(0));
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (socket, ledger) = (socket.clone(), Arc::clone(ledger));
            let (in_flight, acknowledged) = (Arc::clone(&in_flight), Arc::clone(&acknowledged));
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let mut step = 0;
                while !stop.load(Ordering::SeqCst)
                    && one_life(&socket, &ledger, &in_flight, &format!("{attempt}-{client}-{step}")).is_some()
                {
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                    step += 1;
                }
            })
        })
        .collect();
    // From the first requests to well into the load, counted in acknowledgements because
    // machines differ in pace, and then somewhere within a request, never the same twice.
    let due = attempt * 7 % lives;
    let started = Instant::now();
    let mut first = None;
    while acknowledged.load(Ordering::SeqCst) < due {
        assert!(started.elapsed() < service::DEADLINE, "the service no longer acknowledges");
        if first.is_none() && acknowledged.load(Ordering::SeqCst) > 0 {
            first = Some((Instant::now(), ledger.lock().unwrap().acknowledged));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    std::thread::sleep(Duration::from_micros(u64::try_from(attempt * 3_701 % 12_600).unwrap()));
    let caught = in_flight.load(Ordering::SeqCst);
    service.kill();
    // From the first acknowledgement on: until then the clients connect.
    if let Some((since, already)) = first {
        let mut known = ledger.lock().unwrap();
        known.under_load += since.elapsed();
        known.counted += known.acknowledged - already;
    }
    stop.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
    caught
}

/// Starts the service, and kills it at some point of its start.
fn kill_while_starting(data: &Path, attempt: usize) {
    let mut starting = Command::new(service::SEKISHO)
        .args(["demo", "--listen", "127.0.0.1:0", "--residents", "400", "--data"])
        .arg(data)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_micros(u64::try_from(attempt * 7_919 % 150_000).unwrap()));
    starting.kill().unwrap();
    starting.wait().unwrap();
}

/// Issues a certificate and revokes it; none when the service went away.
fn one_life(socket: &Path, ledger: &Mutex<Ledger>, in_flight: &AtomicUsize, key: &str) -> Option<()> {
    let call = |path: &str, body: &Value| {
        in_flight.fetch_add(1, Ordering::SeqCst);
        let answer = post(socket, path, body);
        in_flight.fetch_sub(1, Ordering::SeqCst);
        answer
    };
    let issued = call("/v1/issue", &application(&format!("i{key}")))?;
    let serial = issued["certificates"][0]["serial"].as_str().unwrap().to_owned();
    {
        let mut ledger = ledger.lock().unwrap();
        assert!(ledger.issued.insert(serial.clone()), "serial {serial} was issued twice");
        ledger.in_doubt.insert(serial.clone());
        ledger.acknowledged += 1;
    }
    let revoked = call(
        "/v1/revoke",
        &json!({"certificate": {"authority": "sign", "serial": serial}, "reason": "superseded", "key": format!("r{key}"), "comment": said(&serial)}),
    )?;
    let told = (revoked["position"].as_u64().unwrap(), revoked["revoked_at"].as_str().unwrap().to_owned());
    let mut ledger = ledger.lock().unwrap();
    ledger.in_doubt.remove(&serial);
    ledger.acknowledged += 1;
    ledger.revoked.insert(serial, told);
    Some(())
}

fn application(key: &str) -> Value {
    json!({"name": "関所 花子", "birth": "1980-01-01", "sex": "female", "address": "東京都清瀬市",
           "municipality": "13221", "kinds": ["sign"], "subject_key": "test_key", "key": key})
}

/// A bare HTTP request over the socket; none when no whole answer comes back.
fn post(socket: &Path, path: &str, body: &Value) -> Option<Value> {
    let mut stream = UnixStream::connect(socket).ok()?;
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: admin\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).ok()?;
    let mut reader = BufReader::new(stream);
    let mut status = String::new();
    reader.read_line(&mut status).ok()?;
    let mut len = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            len = value.trim().parse::<usize>().ok();
        }
    }
    let mut octets = vec![0; len?];
    reader.read_exact(&mut octets).ok()?;
    let answer = serde_json::from_slice(&octets).ok()?;
    // A service on its way down may say so; nothing is acknowledged then.
    if status.contains(" 200 ") { Some(answer) } else { None }
}

/// After each restart the records agree with the ledger.
fn check_records(service: &Service, ledger: &Mutex<Ledger>) {
    let socket = service.data.join("admin.sock");
    let known = ledger.lock().unwrap();
    // The newest ones, which the last kill could have hurt, and some of the older.
    for (serial, told) in known.revoked.iter().rev().take(40).chain(known.revoked.iter().step_by(20)) {
        assert_revoked(&socket, serial, told);
    }
    for serial in known.issued.iter().rev().take(40) {
        let state = status(&socket, serial);
        let revoked = known.revoked.contains_key(serial);
        let in_doubt = known.in_doubt.contains(serial);
        assert!(revoked || in_doubt || state["status"] == "good", "{serial} {state}");
    }
}

fn status(socket: &Path, serial: &str) -> Value {
    let body = json!({"certificate": {"authority": "sign", "serial": serial}});
    post(socket, "/v1/status", &body).unwrap_or_else(|| panic!("{serial} was issued and is not recorded"))
}

/// What is said of the revocation of a certificate; of half of them.
fn said(serial: &str) -> Option<String> {
    let is_even = serial.ends_with(['0', '2', '4', '6', '8', 'a', 'c', 'e']);
    is_even.then(|| format!("本人の申請 {serial}"))
}

/// The records say what was told.
fn assert_revoked(socket: &Path, serial: &str, (position, revoked_at): &(u64, String)) {
    let state = status(socket, serial);
    assert_eq!((&state["status"], &state["reason"]), (&json!("revoked"), &json!("superseded")), "{serial}");
    assert_eq!(
        (&state["position"], &state["revoked_at"]),
        (&json!(position), &json!(revoked_at)),
        "{serial}"
    );
    assert_eq!(state["comment"], json!(said(serial)), "{serial} {state}");
}

/// Every acknowledged revocation, asked over OCSP by a program nobody here wrote.
fn check_ocsp(service: &Service, known: &Ledger) {
    let serials: Vec<&str> = known.revoked.keys().map(String::as_str).collect();
    let script = r"
import sys, urllib.request
from cryptography import x509
from cryptography.x509 import ocsp
from cryptography.hazmat.primitives import hashes, serialization
url, ca = sys.argv[1], x509.load_pem_x509_certificate(open(sys.argv[2], 'rb').read())
name = ca.subject.public_bytes()
key = ca.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
def digest(octets):
    h = hashes.Hash(hashes.SHA1()); h.update(octets); return h.finalize()
for serial in sys.stdin.read().split():
    b = ocsp.OCSPRequestBuilder().add_certificate_by_hash(digest(name), digest(key), int(serial, 16), hashes.SHA1())
    der = b.build().public_bytes(serialization.Encoding.DER)
    r = urllib.request.urlopen(urllib.request.Request(url, der, {'Content-Type': 'application/ocsp-request'}))
    a = ocsp.load_der_ocsp_response(r.read())
    assert a.certificate_status == ocsp.OCSPCertStatus.REVOKED and a.serial_number == int(serial, 16), serial
print('asked')
";
    let program = format!("import sys, io\nsys.stdin = io.StringIO('''{}''')\n{script}", serials.join("\n"));
    let ran = python(&program, &[&service.url(), &service.ca("sign")]);
    assert_eq!(ran.stdout.trim(), "asked", "{}", ran.text());
}

/// Every acknowledged revocation stands in the next CRL.
fn check_crl(service: &Service, known: &Ledger) {
    assert_eq!(service.sekisho(&["crl", "publish"]).code, Some(0));
    for name in ["full", "13221"] {
        let url = format!("{}crl/sign/1/{name}.crl", service.url());
        let listed = service::shell(&format!("curl -sf {url} | openssl crl -inform DER -noout -text"));
        assert_eq!(listed.code, Some(0), "{}", listed.text());
        let listed: BTreeSet<u64> = listed
            .stdout
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Serial Number: "))
            .map(|hex| u64::from_str_radix(hex, 16).unwrap())
            .collect();
        for serial in known.revoked.keys() {
            let number = u64::from_str_radix(serial.trim_start_matches("0x"), 16).unwrap();
            assert!(listed.contains(&number), "{serial} is not in {name}.crl");
        }
    }
}
