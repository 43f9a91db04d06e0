//! Floods, and those who do not starve under them.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use sekisho::http::Options;
use sekisho::signer::{Lane, Limits, Load, Pool};

use crate::client::{Client, post, within};
use crate::exposition::Metrics;
use crate::responder::{SignsWith, World};
use crate::site::{Served, TRY_LATER, contains, hold, options};

/// Asks with ever new nonces on `connections`, many requests ahead on each, while `meanwhile`
/// runs; gives its result, and how many were answered and refused.
fn flooded<T>(served: &Served, connections: usize, meanwhile: impl FnOnce() -> T) -> (T, u64, u64) {
    const AHEAD: u64 = 20;
    let (over, answered, refused) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let result = std::thread::scope(|scope| {
        for number in 0..connections {
            let (over, answered, refused) = (&over, &answered, &refused);
            let mut client = Client::connect(served.address());
            scope.spawn(move || {
                let mut nonce = number as u64 * 1_000_000_000;
                while !over.load(Relaxed) {
                    let octets: Vec<u8> = (0..AHEAD)
                        .flat_map(|ahead| post("/", &served.request(1, Some(&(nonce + ahead).to_be_bytes()))))
                        .collect();
                    client.send(octets);
                    for ahead in 0..AHEAD {
                        let body = client.response().body;
                        if body == TRY_LATER {
                            refused.fetch_add(1, Relaxed);
                        } else {
                            assert!(contains(&body, &(nonce + ahead).to_be_bytes()));
                            answered.fetch_add(1, Relaxed);
                        }
                    }
                    nonce += AHEAD;
                }
            });
        }
        let result = meanwhile();
        over.store(true, Relaxed);
        result
    });
    (result, answered.into_inner(), refused.into_inner())
}

/// Puts a piece of work into a lane that tells how many of another were taken before it.
fn taken_before(pool: &Arc<Pool>, lane: Lane, other: Lane) -> mpsc::Receiver<u64> {
    let (told, taken) = mpsc::channel();
    let watched = Arc::clone(pool);
    let work = Box::new(move || told.send(load(&watched, other).taken).unwrap());
    pool.place(lane).unwrap().submit(work);
    taken
}

fn load(pool: &Pool, lane: Lane) -> Load {
    pool.loads().into_iter().find(|load| load.lane == lane).unwrap()
}

#[test]
fn surplus_nonces_are_refused_at_once_and_kept_and_first_answers_go_on() {
    let one_thread = Limits::for_threads(NonZeroUsize::MIN);
    for (signs_with, percent) in [(SignsWith::P256, 2), (SignsWith::Rsa2048, 80)] {
        let pool = Arc::new(Pool::start(Limits { nonce: 4, ..one_thread }).unwrap());
        let options = Options { nonce_percent_max: percent, pool: Some(pool), ..options() };
        let served = Served::with(World::new(signs_with, 1000), options);
        let kept = served.request(1000, None);
        served.answer(&kept);
        let ((), answered, refused) = flooded(&served, 8, || {
            let mut client = Client::connect(served.address());
            for serial in 1..=100 {
                client.send(post("/", &kept));
                assert!(contains(&client.response().body, &served.cert_id(1000)));
                // A first signature is never refused for the sake of nonces.
                client.send(post("/", &served.request(serial, None)));
                assert!(contains(&client.response().body, &served.cert_id(serial)));
            }
        });
        assert!(answered > 0 && refused > 0, "{answered} answered, {refused} refused");
        let metrics = Metrics::of(served.server.monitor());
        let counted = ["core_nonce", "nonce"]
            .map(|lane| metrics.value(&format!("sekisho_signing_refused_total{{lane=\"{lane}\"}}")));
        assert_eq!(counted.iter().sum::<f64>(), refused as f64);
        assert_eq!(metrics.value("sekisho_ocsp_responses_total{status=\"tryLater\"}"), refused as f64);
        // Time of their own on each core, and on the one signing thread.
        assert_eq!(metrics.sum("sekisho_signatures_total"), (answered + 100) as f64);
    }
}

#[test]
fn authorities_get_through_a_flood_of_nonces() {
    let pool = Arc::new(Pool::start(Limits::for_threads(NonZeroUsize::MIN)).unwrap());
    let options = Options { pool: Some(Arc::clone(&pool)), ..options() };
    let served = Served::with(World::new(SignsWith::Rsa2048, 100), options);
    let (taken, answered, _) = flooded(&served, 8, || {
        let release = hold(&pool);
        within("nonces wait", || load(&pool, Lane::Nonce).waiting >= 4);
        let before = load(&pool, Lane::Nonce).taken;
        // All wait before the first is done, and the last looks how many nonces came before it: so it is
        // the pool that is measured, not who is woken when.
        for _ in 1..50 {
            pool.place(Lane::Authority).unwrap().submit(Box::new(|| ()));
        }
        let taken = taken_before(&pool, Lane::Authority, Lane::Nonce);
        drop(release);
        taken.recv().unwrap() - before
    });
    assert!(answered > 0);
    // Of five signatures one is theirs; the first is met in the middle of five.
    assert!(taken <= 50 * 4 + 5, "{taken} nonces before 50 of an authority");
}

#[test]
fn nonces_get_through_a_flood_of_authorities() {
    let pool = Arc::new(Pool::start(Limits::for_threads(NonZeroUsize::MIN)).unwrap());
    let options = Options { pool: Some(Arc::clone(&pool)), ..options() };
    let served = Served::with(World::new(SignsWith::Rsa2048, 100), options);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    pool.run(Lane::Authority, || std::thread::sleep(Duration::from_millis(1)));
                }
            });
        }
        let release = hold(&pool);
        within("work of authorities waits", || load(&pool, Lane::Authority).waiting >= 8);
        let before = load(&pool, Lane::Authority).taken;
        let mut clients: Vec<Client> = (0..30).map(|_| Client::connect(served.address())).collect();
        for (nonce, client) in (0_u64..).zip(&mut clients) {
            client.send(post("/", &served.request(1, Some(&nonce.to_be_bytes()))));
        }
        within("all nonces wait", || load(&pool, Lane::Nonce).waiting == 30);
        let taken = taken_before(&pool, Lane::Nonce, Lane::Authority);
        drop(release);
        let taken = taken.recv().unwrap() - before;
        for (nonce, client) in (0_u64..).zip(&mut clients) {
            assert!(contains(&client.response().body, &nonce.to_be_bytes()));
        }
        over.store(true, Relaxed);
        assert!(taken <= 31 * 4 + 5, "{taken} of an authority before 31 nonces");
    });
}
