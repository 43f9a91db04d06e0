//! A thousand who download a CRL of a country and take their time, and those who ask meanwhile.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use sekisho::http::{Content, Document, Documents, Freshness};

use crate::client::{DEADLINE, get, post};
use crate::responder::now;
use crate::site::Served;

const PATH: &str = "/crl/sign/1/full.crl";
const OCTETS: u64 = 50 << 20;
const DOWNLOADS: usize = 1_000;
/// Descriptors of a download here: the client's, the server's and the file's.
const FILES_EACH: u64 = 3;
/// Others that this process needs.
const FILES_OWN: u64 = 200;
/// So much is read of each in a round: the whole would take an hour.
const READ: usize = 4096;
const ROUNDS: usize = 20;
/// So many others are answered meanwhile, at least.
const ANSWERS: usize = 20;

/// As many as the limit of open files lets be.
fn downloads() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let files: u64 = line.split_whitespace().next().unwrap().parse().unwrap_or(u64::MAX);
    let possible = usize::try_from(files.saturating_sub(FILES_OWN) / FILES_EACH).unwrap();
    if possible < DOWNLOADS {
        println!("only {possible} downloads of {DOWNLOADS}: raise the limit of open files (ulimit -n)");
    }
    possible.min(DOWNLOADS)
}

#[test]
fn a_thousand_slow_downloads_leave_ocsp_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("full.crl");
    std::fs::File::create(&path).unwrap().set_len(OCTETS).unwrap();
    let served = Served::start();
    let freshness = Freshness { expires: None, max_age: Duration::from_secs(300), immutable: false };
    let content = Content::File(path, OCTETS);
    let mut documents = Documents::default();
    documents
        .insert(PATH, Arc::new(Document::new(content, "application/pkix-crl", [7; 32], now(), freshness)));
    served.site.documents.store(Arc::new(documents));
    let downloads = downloads();
    let mut streams: Vec<TcpStream> = (0..downloads)
        .map(|_| {
            let mut stream = TcpStream::connect(served.address()).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            stream.write_all(get(PATH).as_bytes()).unwrap();
            stream
        })
        .collect();
    let done = AtomicBool::new(false);
    let asked = post("/", &served.request(7, None));
    std::thread::scope(|scope| {
        let probing = scope.spawn(|| {
            let mut took = Vec::new();
            while !done.load(Relaxed) || took.len() < ANSWERS {
                let began = Instant::now();
                assert_eq!(served.ask(&asked).status, 200);
                took.push(began.elapsed());
                std::thread::sleep(Duration::from_millis(2));
            }
            took
        });
        for _ in 0..ROUNDS {
            for stream in &mut streams {
                stream.read_exact(&mut [0; READ]).expect("a slow download goes on");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        done.store(true, Relaxed);
        let mut took = probing.join().unwrap();
        took.sort_unstable();
        let [p50, p99] = [50, 99].map(|part| took[took.len() * part / 100]);
        println!("{downloads} downloads; {} answers meanwhile: p50 {p50:?}, p99 {p99:?}", took.len());
        // A download lasts an hour: who had to wait for one would not have been answered at all.
        assert!(took[took.len() - 1] < DEADLINE);
    });
}
