//! One signature answers all who ask the same meanwhile.

use std::num::NonZeroUsize;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use sekisho::der::UnixTime;
use sekisho::http::Options;
use sekisho::ocsp::Respond;
use sekisho::signer::{Lane, Limits, Pool};

use crate::client::{Client, DEADLINE, get, post, within};
use crate::exposition::Metrics;
use crate::responder::{SignsWith, World, base64, now};
use crate::site::{Served, TRY_LATER, contains, hold, options};

const BOTH: [SignsWith; 2] = [SignsWith::P256, SignsWith::Rsa2048];

fn metrics(served: &Served) -> Metrics {
    Metrics::of(served.server.monitor())
}

fn signatures(served: &Served) -> f64 {
    metrics(served).sum("sekisho_signatures_total")
}

/// Both ends of a thousand connections are in this process.
fn allow_descriptors(count: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < count) {
        limit.current = Some(limit.maximum.map_or(count, |maximum| maximum.min(count)));
        setrlimit(Resource::Nofile, limit).unwrap();
    }
}

#[test]
fn a_thousand_parallel_questions_for_one_cold_serial_make_one_signature() {
    const THREADS: usize = 8;
    allow_descriptors(4000);
    for signs_with in BOTH {
        let served = Served::with(World::new(signs_with, 100), options());
        let request = served.request(1, None);
        let start = Barrier::new(THREADS);
        let mut answers: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let ask = || {
                let mut clients: Vec<Client> =
                    (0..1000 / THREADS).map(|_| Client::connect(served.address())).collect();
                start.wait();
                for (at, client) in clients.iter_mut().enumerate() {
                    client.send(match at % 2 {
                        0 => post("/", &request),
                        _ => get(&format!("/{}", base64(&request))).into_bytes(),
                    });
                }
                clients.iter_mut().map(|client| client.response().body).collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(answers.len(), 1000);
        answers.dedup();
        assert_eq!(answers.len(), 1, "GET and POST got different octets");
        assert!(contains(&answers[0], &served.cert_id(1)));
        let metrics = metrics(&served);
        assert_eq!(metrics.sum("sekisho_signatures_total"), 1.0);
        assert_eq!(metrics.sum("sekisho_ocsp_answers_total"), 1000.0);
        assert_eq!(metrics.value("sekisho_ocsp_flights"), 0.0);
    }
}

#[test]
fn two_cores_that_meet_on_one_cold_serial_sign_it_once() {
    const SERIALS: u64 = 3000;
    let served = Served::with(World::new(SignsWith::P256, SERIALS), options());
    let start = Barrier::new(2);
    let answers: Vec<Vec<Vec<u8>>> = std::thread::scope(|scope| {
        let ask = || {
            // Connections are dealt in turn: one on each core.
            let mut client = Client::connect(served.address());
            (1..=SERIALS)
                .map(|serial| {
                    let request = served.request(serial, None);
                    start.wait();
                    client.send(post("/", &request));
                    client.response().body
                })
                .collect()
        };
        let threads = [scope.spawn(ask), scope.spawn(ask)];
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers[0] == answers[1]);
    assert_eq!(signatures(&served), SERIALS as f64);
    let joined = metrics(&served).value("sekisho_ocsp_answers_total{signature=\"joined\"}");
    println!("{joined} of {SERIALS} joined");
}

#[test]
fn who_asks_after_a_revocation_gets_it_though_a_signature_was_under_way() {
    let pool = Arc::new(Pool::start(Limits::for_threads(NonZeroUsize::MIN)).unwrap());
    let options = Options { pool: Some(Arc::clone(&pool)), ..options() };
    let served = Served::with(World::new(SignsWith::Rsa2048, 100), options);
    let release = hold(&pool);
    let request = served.request(7, None);
    let mut before = Client::connect(served.address());
    before.send(post("/", &request));
    within("it is under way", || metrics(&served).value("sekisho_ocsp_flights") >= 1.0);
    served.revoke(7);
    let mut after = Client::connect(served.address());
    after.send(post("/", &request));
    drop(release);
    let is_revoked = |octets: &[u8]| octets.windows(4).any(|four| four[0] == 0xa1 && four[2..] == [0x18, 15]);
    assert!(is_revoked(&after.response().body));
    assert!(is_revoked(&before.response().body), "one answer for all who waited");
}

#[test]
fn a_signature_that_is_not_made_leaves_nobody_behind() {
    let limits = Limits { miss: 1, ..Limits::for_threads(NonZeroUsize::MIN) };
    let pool = Arc::new(Pool::start(limits).unwrap());
    let options = Options { pool: Some(Arc::clone(&pool)), ..options() };
    let served = Served::with(World::new(SignsWith::Rsa2048, 100), options);
    let release = hold(&pool);
    let place = pool.place(Lane::Miss).unwrap();
    let request = served.request(1, None);
    for _ in 0..3 {
        assert_eq!(served.ask(post("/", &request)).body, TRY_LATER);
    }
    assert_eq!(metrics(&served).value("sekisho_ocsp_flights"), 0.0);
    assert_eq!(metrics(&served).value("sekisho_signing_refused_total{lane=\"miss\"}"), 3.0);
    drop((place, release));
    assert!(contains(&served.ask(post("/", &request)).body, &served.cert_id(1)));
}

#[test]
fn a_pool_that_stops_sends_those_who_wait_away() {
    let pool = Arc::new(Pool::start(Limits::for_threads(NonZeroUsize::MIN)).unwrap());
    let options = Options { pool: Some(Arc::clone(&pool)), ..options() };
    let served = Served::with(World::new(SignsWith::Rsa2048, 100), options);
    let release = hold(&pool);
    let mut waiting = Client::connect(served.address());
    waiting.send(post("/", &served.request(1, None)));
    within("it is under way", || metrics(&served).value("sekisho_ocsp_flights") >= 1.0);
    std::thread::scope(|scope| {
        scope.spawn(|| pool.stop());
        assert_eq!(waiting.response().body, TRY_LATER);
        drop(release);
    });
    assert_eq!(metrics(&served).value("sekisho_ocsp_flights"), 0.0);
    assert_eq!(served.ask(post("/", &served.request(1, None))).body, TRY_LATER);
}

#[test]
fn a_signature_that_grows_old_is_followed_by_another_in_the_background() {
    // Of this serial's quarter hour, the last quarter or nearly so is when it is due.
    const SERIAL: u64 = 255;
    for signs_with in BOTH {
        let world = World::new(signs_with, 300);
        let request = world.request(SERIAL, None);
        let old = signed_at(&world, &request, now().minus(Duration::from_secs(800)));
        let served = Served::with(world, options());
        let mut client = Client::connect(served.address());
        client.send(post("/", &request));
        assert!(client.response().body == old, "the answer does not wait for its successor");
        let began = Instant::now();
        loop {
            client.send(post("/", &request));
            let answer = client.response().body;
            if answer != old {
                assert!(contains(&answer, &served.cert_id(SERIAL)));
                break;
            }
            assert!(began.elapsed() < DEADLINE, "no successor");
        }
        let metrics = metrics(&served);
        assert_eq!(metrics.value("sekisho_signatures_total{by=\"pool\"}"), 1.0);
        assert_eq!(metrics.value("sekisho_signatures_total{by=\"core\"}"), 0.0);
        assert_eq!(
            metrics.sum("sekisho_ocsp_answers_total"),
            metrics.value("sekisho_ocsp_answers_total{signature=\"kept\"}"),
            "every answer was there at once"
        );
    }
}

fn signed_at(world: &World, request: &[u8], at: UnixTime) -> Vec<u8> {
    let mut next = world.responder.respond(request, at);
    loop {
        match next {
            Respond::Ready(answer) | Respond::Refresh(answer, _) => return answer.body,
            Respond::Sign(job) => {
                let made = job.sign();
                next = world.responder.finish(job, made, at);
            }
        }
    }
}
