//! What a client may take: octets, time, connections, signatures.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sekisho::http::{Document, Documents, Freshness, Options, Patience};
use sekisho::signer::{Limits, Pool};

use crate::client::{Client, DEADLINE, Response, get, get_with, post, post_chunked, with_method, within};
use crate::exposition::Metrics;
use crate::responder::{SignsWith, World, now};
use crate::site::{MALFORMED_REQUEST, Served, TRY_LATER, contains, hold, options};

/// Short enough for a test, and longer than a busy machine keeps a client from its next octet.
fn impatient() -> Options {
    let patience = Patience {
        head: Duration::from_secs(2),
        body: Duration::from_secs(2),
        idle: Duration::from_secs(5),
        write: Duration::from_secs(3),
    };
    Options { patience, ..options() }
}

const ONE_THREAD: Limits = Limits::for_threads(NonZeroUsize::MIN);

fn pool(limits: Limits) -> Arc<Pool> {
    Arc::new(Pool::start(limits).unwrap())
}

fn served(options: Options) -> Served {
    Served::with(World::new(SignsWith::P256, 100), options)
}

/// Asserts that a client is told `status`, or nothing: an answer to one that still sends may be lost
/// when the server closes. It must not be lost each time.
fn assert_told(status: u16, ask: impl Fn() -> Option<Response>) {
    let told = (0..20).filter_map(|_| ask()).next().map(|response| response.status);
    assert_eq!(told, Some(status));
}

/// How long the server waits before it ends the connection.
fn waits(client: &mut Client) -> Duration {
    let began = Instant::now();
    assert!(client.is_closed(), "still open");
    began.elapsed()
}

#[test]
fn rfc6585_s5_a_head_of_more_than_16_kb_is_refused() {
    let served = Served::start();
    let fits = "x".repeat(15_000);
    assert_eq!(served.ask(get_with("/healthz", &[("X-Long", &fits)])).status, 200);
    for request in [
        get_with("/healthz", &[("X-Long", &"x".repeat(17_000))]),
        get(&format!("/{}", "M".repeat(17_000))),
        get_with("/healthz", &(0..2000).map(|_| ("X-Many", "xxxxxxxx")).collect::<Vec<_>>()),
    ] {
        assert_told(431, || {
            let mut client = Client::connect(served.address());
            let _ = client.try_send(&request);
            let told = client.try_response(false);
            assert!(client.try_response(false).is_none());
            told
        });
    }
}

#[test]
fn rfc9110_s15_5_14_a_body_of_more_than_10_kb_is_refused() {
    let served = Served::start();
    let mut fits = vec![0; 10 * 1024];
    assert_eq!(served.ask(post("/", &fits)).body, MALFORMED_REQUEST);
    assert_eq!(served.ask(post_chunked("/", &fits, 1000)).body, MALFORMED_REQUEST);
    fits.push(0);
    for octets in [post("/", &fits), post_chunked("/", &fits, 1000)] {
        assert_told(413, || {
            let mut client = Client::connect(served.address());
            let _ = client.try_send(&octets);
            let told = client.try_response(false);
            // Drained or closed: the rest of the body is never taken for a request.
            let _ = client.try_send(get("/healthz"));
            assert!(client.try_response(false).is_none_or(|response| response.body == b"ok\n"));
            told
        });
    }
    // By its length alone, without a single octet of it.
    let typed = ("Content-Type", "application/ocsp-request");
    let huge = with_method("POST", "/", &[typed, ("Content-Length", "1000000000000")]);
    assert_eq!(served.ask(huge).status, 413);
}

#[test]
fn a_client_that_sends_nothing_is_left() {
    let served = served(impatient());
    let mut silent = Client::connect(served.address());
    let waited = waits(&mut silent);
    assert!(waited >= Duration::from_millis(1900), "{waited:?}");
}

#[test]
fn a_head_that_drips_is_left() {
    let served = served(impatient());
    let mut slow = Client::connect(served.address());
    let began = Instant::now();
    // First request whole, second one dripping: the deadline holds for every request.
    slow.send(get("/healthz"));
    slow.response();
    while slow.try_send("G").is_ok() && began.elapsed() < DEADLINE {
        std::thread::sleep(Duration::from_millis(50));
    }
    let lasted = began.elapsed();
    assert!((Duration::from_millis(1900)..DEADLINE).contains(&lasted), "{lasted:?}");
}

#[test]
fn a_body_that_drips_is_left() {
    let served = served(impatient());
    let request = served.request(1, None);
    let octets = post("/", &request);
    for expect in [false, true] {
        let mut slow = Client::connect(served.address());
        let (head, body) = octets.split_at(octets.len() - request.len());
        if expect {
            let text = String::from_utf8(head.to_vec()).unwrap();
            slow.send(text.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"));
            assert_eq!(slow.response().status, 100);
        } else {
            slow.send(head);
        }
        // All of it takes three times the server's patience, however fast the machine is.
        let pause = 3 * impatient().patience.body / u32::try_from(body.len()).unwrap();
        let is_left = body.iter().any(|octet| {
            let is_left = slow.try_send([*octet]).is_err();
            std::thread::sleep(pause);
            is_left
        });
        assert!(is_left, "the whole body was taken");
    }
}

#[test]
fn an_idle_connection_is_left_later_than_a_slow_one() {
    let served = served(impatient());
    let mut idle = Client::connect(served.address());
    idle.send(get("/healthz"));
    idle.response();
    let waited = waits(&mut idle);
    assert!(waited >= Duration::from_millis(4800), "{waited:?}");
}

#[test]
fn a_client_that_does_not_read_is_left_and_one_that_reads_slowly_is_not() {
    const LEN: usize = 30_000_000;
    let served = served(impatient());
    let mut documents = Documents::default();
    let freshness = Freshness { expires: None, max_age: Duration::from_secs(60), immutable: true };
    let document = Document::in_memory(vec![7; LEN], "application/pkix-crl", now(), freshness);
    documents.insert("/crl/big.crl", Arc::new(document));
    served.site.documents.store(Arc::new(documents));
    let address = served.address();
    let mut slow = std::net::TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut slow, get("/crl/big.crl").as_bytes()).unwrap();
    let reader = std::thread::spawn(move || {
        let mut read = 0;
        let mut chunk = vec![0; 1_000_000];
        while let Ok(len) = std::io::Read::read(&mut slow, &mut chunk) {
            if len == 0 {
                break;
            }
            read += len;
            std::thread::sleep(Duration::from_millis(20));
            if read >= LEN {
                return true;
            }
        }
        false
    });
    let mut stuck = Client::connect(address);
    stuck.send(get("/crl/big.crl"));
    let left = || {
        let metrics = Metrics::of(served.server.monitor());
        metrics.value("sekisho_http_connections_closed_total{why=\"write_deadline\"}")
    };
    within("the one that reads nothing is left", || left() > 0.0);
    assert!(stuck.try_response(false).is_none(), "all of it came");
    assert!(reader.join().unwrap(), "the slow reader was cut");
    assert_eq!(left(), 1.0);
}

#[test]
fn surplus_connections_are_closed_and_the_others_served() {
    let served = served(Options { connections_max: 10, ..options() });
    let mut seated: Vec<Client> = (0..10).map(|_| Client::connect(served.address())).collect();
    for client in &mut seated {
        client.send(get("/healthz"));
        assert_eq!(client.response().status, 200);
    }
    for _ in 0..5 {
        let mut surplus = Client::connect(served.address());
        assert!(surplus.is_closed());
    }
    for client in &mut seated {
        client.send(get("/healthz"));
        assert_eq!(client.response().status, 200);
    }
    drop(seated);
    within("places are given back", || {
        let mut client = Client::connect(served.address());
        client.try_send(get("/healthz")).is_ok() && client.try_response(false).is_some()
    });
}

#[test]
fn slow_clients_do_not_slow_others() {
    // Who had to wait until one of them is left would wait too long.
    let patience = Patience { head: 2 * DEADLINE, ..Patience::default() };
    let served = served(Options { patience, ..options() });
    let silent: Vec<Client> = (0..300).map(|_| Client::connect(served.address())).collect();
    let mut dripping: Vec<Client> = (0..300).map(|_| Client::connect(served.address())).collect();
    for client in &mut dripping {
        client.send("GET /heal");
    }
    let request = served.request(1, None);
    let mut client = Client::connect(served.address());
    for _ in 0..200 {
        client.send(post("/", &request));
        assert!(contains(&client.response().body, &served.cert_id(1)));
    }
    drop((silent, dripping));
}

#[test]
fn surplus_signatures_are_refused_at_once_and_kept_ones_go_on() {
    const PLACES: usize = 2;
    let pool = pool(Limits { nonce: PLACES, ..ONE_THREAD });
    let options = Options { pool: Some(Arc::clone(&pool)), ..options() };
    let served = Served::with(World::new(SignsWith::Rsa2048, 1000), options);
    let kept = served.request(1000, None);
    served.answer(&kept);
    // Nothing is signed until all have asked.
    let release = hold(&pool);
    let mut clients: Vec<Client> = (0..200).map(|_| Client::connect(served.address())).collect();
    for (nonce, client) in (0_u64..).zip(&mut clients) {
        client.send(post("/", &served.request(1, Some(&nonce.to_be_bytes()))));
    }
    let mut quiet = Client::connect(served.address());
    quiet.send(post("/", &kept));
    assert!(contains(&quiet.response().body, &served.cert_id(1000)));
    let counted = || {
        let metrics = Metrics::of(served.server.monitor());
        metrics.sum("sekisho_signing_refused_total")
    };
    within("the surplus is refused", || counted() == (clients.len() - PLACES) as f64);
    drop(release);
    let mut refused = 0;
    for (nonce, client) in (0_u64..).zip(&mut clients) {
        let response = client.response();
        assert_eq!(response.status, 200);
        if response.body == TRY_LATER {
            refused += 1;
        } else {
            assert!(contains(&response.body, &nonce.to_be_bytes()));
        }
    }
    assert_eq!(refused, 200 - PLACES);
}

#[test]
fn one_cold_question_asked_by_many_is_signed_once() {
    let options = Options { pool: Some(pool(Limits { miss: 1, ..ONE_THREAD })), ..options() };
    let served = Served::with(World::new(SignsWith::Rsa2048, 100), options);
    let request = served.request(1, None);
    let mut clients: Vec<Client> = (0..100).map(|_| Client::connect(served.address())).collect();
    for client in &mut clients {
        client.send(post("/", &request));
    }
    // With room for a single one in the queue, nobody is refused.
    let answers: Vec<Vec<u8>> = clients.iter_mut().map(|client| client.response().body).collect();
    assert!(contains(&answers[0], &served.cert_id(1)));
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}
