//! GET gives what POST gives, octet for octet.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use crate::answer::Look;
use crate::client::{get, post};
use crate::pipe::Pipe;
use crate::responder::{SignsWith, World, base64};
use crate::site::{Served, options};
use crate::spellings::spellings;
use crate::{alone, how_many};

/// Serials nobody has, in the base64 of which there is `//`: two in a hundred, as among real
/// requests. An answer about them is an answer too.
const SLASHED: u64 = 0x00ff_ffff_ffff_ffff;
const SLASHED_PART: u64 = 50;
const CONNECTIONS: usize = 8;
/// Requests in one write.
const DEPTH: usize = 16;

/// What kinds of paths have come about.
#[derive(Default)]
struct Occurred {
    asked: AtomicU64,
    double_slash: AtomicU64,
    plus: AtomicU64,
    padding: [AtomicU64; 3],
}

impl Occurred {
    fn note(&self, text: &str, paths: u64) {
        self.asked.fetch_add(paths, Relaxed);
        self.double_slash.fetch_add(u64::from(text.contains("//")), Relaxed);
        self.plus.fetch_add(u64::from(text.contains('+')), Relaxed);
        self.padding[text.len() - text.trim_end_matches('=').len()].fetch_add(1, Relaxed);
    }
}

#[test]
fn rfc6960_a_1_get_is_post_octet_for_octet_for_every_serial_and_spelling() {
    let _alone = alone();
    let issued = how_many("SEKISHO_TEST_SERIALS", 100_000);
    let wholly = how_many("SEKISHO_TEST_SPELLED", 2_000);
    let served = Served::with(World::new(SignsWith::P256, issued), options());
    let slashed = (0..issued / SLASHED_PART).map(|n| SLASHED - n);
    let serials: Vec<u64> = (1..=issued).chain(slashed).collect();
    let occurred = Occurred::default();
    thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let (served, occurred) = (&served, &occurred);
            let batches = serials.chunks(DEPTH).skip(connection).step_by(CONNECTIONS);
            scope.spawn(move || {
                let mut pipe = Pipe::connect(served.address());
                batches.for_each(|batch| compare(&mut pipe, served, batch, wholly, occurred));
            });
        }
    });
    let count = |counter: &AtomicU64| counter.load(Relaxed);
    let Occurred { asked, double_slash, plus, padding } = &occurred;
    let spellings = spellings("").len() as u64;
    let in_all = serials.iter().filter(|serial| is_in_all_spellings(**serial, wholly)).count() as u64;
    println!("{} paths, {} serials with //, {} with +", count(asked), count(double_slash), count(plus));
    assert_eq!(count(asked), serials.len() as u64 + in_all * (spellings - 1));
    assert!(in_all >= wholly.min(issued) && count(double_slash) > issued / 100 && count(plus) > issued / 100);
    assert!(padding.iter().all(|padded| count(padded) > 0));
}

/// The others are asked about by one each, in turn.
fn is_in_all_spellings(serial: u64, wholly: u64) -> bool {
    !(wholly + 1..SLASHED - 100).contains(&serial)
}

/// Posts a batch, then gets it, each serial by its spellings.
fn compare(pipe: &mut Pipe, served: &Served, batch: &[u64], wholly: u64, occurred: &Occurred) {
    let requests: Vec<Vec<u8>> = batch.iter().map(|serial| served.request(*serial, None)).collect();
    pipe.send(&requests.iter().flat_map(|request| post("/", request)).collect::<Vec<u8>>());
    let mut posted = Vec::new();
    for serial in batch {
        let response = pipe.response(false).unwrap();
        assert_eq!(response.status, 200);
        assert!(Look::into(response.body).unwrap().singles[0].0 == served.cert_id(*serial));
        posted.push(response.body.to_vec());
    }
    let mut paths: Vec<(usize, String)> = Vec::new();
    for (place, (serial, request)) in batch.iter().zip(&requests).enumerate() {
        let text = base64(request);
        let mut all = spellings(&text);
        if !is_in_all_spellings(*serial, wholly) {
            all = vec![all.swap_remove(*serial as usize % all.len())];
        }
        occurred.note(&text, all.len() as u64);
        paths.extend(all.into_iter().map(|path| (place, path)));
    }
    for paths in paths.chunks(DEPTH) {
        pipe.send(paths.iter().map(|(_, path)| get(path)).collect::<String>().as_bytes());
        for (place, path) in paths {
            let response = pipe.response(false).unwrap();
            assert!(response.status == 200 && response.body == posted[*place], "{path}");
        }
    }
}
