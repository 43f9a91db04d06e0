//! Floods, and those who do not starve under them.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use sekisho::http::Options;
use sekisho::signer::{Lane, Limits, Load, Pool};

use crate::client::{Client, post};
use crate::exposition::Metrics;
use crate::responder::{SignsWith, World};
use crate::site::{Served, TRY_LATER, contains, options};

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
        let (worst, answered, refused) = flooded(&served, 8, || {
            let mut client = Client::connect(served.address());
            let mut worst = Duration::ZERO;
            for serial in 1..=100 {
                let began = Instant::now();
                client.send(post("/", &kept));
                assert!(contains(&client.response().body, &served.cert_id(1000)));
                worst = worst.max(began.elapsed());
                // A first signature is never refused for the sake of nonces.
                client.send(post("/", &served.request(serial, None)));
                assert!(contains(&client.response().body, &served.cert_id(serial)));
            }
            worst
        });
        assert!(answered > 0 && refused > 0, "{answered} answered, {refused} refused");
        assert!(worst < Duration::from_secs(2), "{worst:?}");
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
        while load(&pool, Lane::Nonce).waiting < 4 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let before = load(&pool, Lane::Nonce).taken;
        for number in 0..50 {
            assert_eq!(pool.run(Lane::Authority, move || number), number);
        }
        load(&pool, Lane::Nonce).taken - before
    });
    assert!(answered > 0);
    // Of five signatures one is theirs; the first and last are met in the middle of five.
    assert!(taken <= 50 * 5 + 10, "{taken} nonces before 50 of an authority");
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
        while load(&pool, Lane::Authority).waiting < 8 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let before = load(&pool, Lane::Authority).taken;
        let mut client = Client::connect(served.address());
        for nonce in 0..30_u64 {
            let nonce = nonce.to_be_bytes();
            client.send(post("/", &served.request(1, Some(&nonce))));
            assert!(contains(&client.response().body, &nonce));
        }
        let taken = load(&pool, Lane::Authority).taken - before;
        over.store(true, Relaxed);
        assert!(taken <= 30 * 6 + 10, "{taken} of an authority before 30 nonces");
    });
}
