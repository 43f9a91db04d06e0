//! Thousands of connections that do nothing, or next to nothing: what they cost a service, and
//! that they cost others nothing.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use sekisho::pki::{AuthorityId, Generation, HashAlgorithm, Issuer, SerialNumber, oid};

use crate::answer::{GOOD, Look};
use crate::client::{get, post};
use crate::pipe::Pipe;
use crate::service::{DEADLINE, Service};
use crate::world::{Ask, cert_id};
use crate::{alone, how_many};

/// Octets of the service's own memory that a connection may cost.
const COST_MAX: u64 = 32 * 1024;
/// Descriptors that this process and the service need for themselves.
const OWN: u64 = 200;
/// Connections that ask for megabytes and hardly read: their octets wait in the kernel.
const HARDLY_READING: usize = 16;
/// So many others are answered meanwhile, at least; none of them waits until a slow one is left.
const ANSWERS: usize = 500;

/// Resident memory, in octets.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn files_max() -> u64 {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap_or(u64::MAX)
}

/// How long the service surely keeps a connection that does not ask: less than the 75 seconds it says.
const IDLE_PATIENCE: Duration = Duration::from_secs(60);

/// Idle connections that come when the slow ones have been looked at.
const LATER: usize = 100;

/// How many connections: two idle for each slow one.
fn crowd() -> (usize, usize) {
    let wanted = how_many("SEKISHO_TEST_CROWD", 3_000);
    let possible = wanted.min(files_max().saturating_sub(OWN));
    if possible < wanted {
        println!("only {possible} connections of {wanted}: raise the limit of open files (ulimit -n)");
    }
    (possible as usize * 2 / 3, possible as usize / 3)
}

/// A request about a certificate of the service, and the CertID in it.
fn question(service: &Service) -> (Vec<u8>, Vec<u8>) {
    let der = pem::parse(fs::read(service.ca("sign")).unwrap()).unwrap().into_contents();
    let issuer = Issuer::from_certificate(AuthorityId(1), Generation::FIRST, &der).unwrap();
    let hash = HashAlgorithm::Sha1;
    let (name, key) = (issuer.name_hash(hash), issuer.key_hash(hash));
    let good = service.certificates("sign", "good");
    let serial: SerialNumber = good[0]["serial"].as_str().unwrap().parse().unwrap();
    let cert_id = cert_id(&oid::SHA1, true, &name, &key, &serial);
    (Ask::one(cert_id.clone()).to_der(), cert_id)
}

/// Asks again and again until told to stop; how long each answer took.
fn probe(address: SocketAddr, request: &[u8], cert_id: &[u8], stop: &AtomicBool) -> Vec<Duration> {
    let mut pipe = Pipe::connect(address);
    let octets = post("/", request);
    let mut took = Vec::new();
    while !stop.load(Relaxed) || took.len() < ANSWERS {
        let began = Instant::now();
        pipe.send(&octets);
        let response = pipe.response(false).unwrap();
        took.push(began.elapsed());
        let look = Look::into(response.body).unwrap();
        assert!(look.singles[0].0 == cert_id && look.singles[0].1 == GOOD);
        thread::sleep(Duration::from_millis(2));
    }
    took.sort_unstable();
    took
}

/// Connections that have asked once and stay. Each asks as soon as it is there: the service waits ten seconds
/// for a question, and all of them together may take longer.
fn idle_ones(address: SocketAddr, count: usize, request: &[u8]) -> Vec<(Pipe, Instant)> {
    let octets = post("/", request);
    let connect = |_| {
        let mut pipe = Pipe::connect(address);
        pipe.send(&octets);
        pipe
    };
    let mut pipes = Vec::with_capacity(count);
    while pipes.len() < count {
        let asked = Instant::now();
        let some: Vec<Pipe> = (0..100.min(count - pipes.len())).map(connect).collect();
        for mut pipe in some {
            assert_eq!(pipe.response(false).unwrap().status, 200);
            pipe.forget_buffer();
            pipes.push((pipe, asked));
        }
    }
    pipes
}

/// Connections that say nothing, and such as have said a part of a head.
fn slow(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let head = post("/", &[0; 90]);
    let connect = |number: usize| {
        let mut stream = TcpStream::connect(address).unwrap();
        let said = number % 4 * head.len() / 4;
        stream.write_all(&head[..said]).unwrap();
        stream
    };
    (0..count).map(connect).collect()
}

/// Connections that have asked for more than the kernel will hold for them.
fn hardly_reading(address: SocketAddr) -> Vec<TcpStream> {
    let octets = get("/crl/index.json").repeat(32);
    let connect = |_| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(octets.as_bytes()).unwrap();
        stream
    };
    (0..HARDLY_READING).map(connect).collect()
}

/// An octet more from each slow connection, an octet less for each that hardly reads.
fn go_on(slow: &mut [TcpStream], hardly_reading: &mut [TcpStream]) {
    // Some may have been left already; how many are there is counted.
    slow.iter_mut().for_each(|stream| drop(stream.write_all(b"x")));
    hardly_reading.iter_mut().for_each(|stream| stream.read_exact(&mut [0]).unwrap());
}

/// Ends what waits for it, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn idle_and_slow_connections_cost_32_kb_each_and_others_nothing() {
    let machine = alone();
    let (idle_count, slow_count) = crowd();
    let service = Service::demo(200);
    let address = service.url().trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    let (request, cert_id) = question(&service);
    let stop = AtomicBool::new(false);
    // What the first hundred connections cost is the service's warming up.
    drop(idle_ones(address, 100, &request));
    thread::sleep(Duration::from_millis(100));
    thread::scope(|scope| {
        let probing = scope.spawn(|| probe(address, &request, &cert_id, &stop));
        let stop = Stop(&stop);
        let before = (resident(service.pid()), open_files(service.pid()));
        let idle = idle_ones(address, idle_count, &request);
        let with_idle = (resident(service.pid()), open_files(service.pid()));
        let mut slow = slow(address, slow_count);
        let mut hardly = hardly_reading(address);
        for _ in 0..2 {
            thread::sleep(Duration::from_secs(1));
            go_on(&mut slow, &mut hardly);
        }
        let with_slow = (resident(service.pid()), open_files(service.pid()));
        for (name, count, before, after) in [
            ("idle", idle_count, before, with_idle),
            ("slow", slow_count + HARDLY_READING, with_idle, with_slow),
        ] {
            let cost = after.0.saturating_sub(before.0) / count as u64;
            println!("{count} {name} connections: {cost} octets of resident memory each");
            assert!(after.1 - before.1 >= count - count / 50, "{name}: {} of {count}", after.1 - before.1);
            assert!(cost <= COST_MAX, "{name}: {cost}");
        }
        drop(stop);
        let took = probing.join().unwrap();
        let [p50, p99] = [50, 99].map(|part| took[took.len() * part / 100]);
        let worst = took[took.len() - 1];
        println!("{} answers to another meanwhile: p50 {p50:?}, p99 {p99:?}, worst {worst:?}", took.len());
        drop(machine);
        // Who says too little is left, and its place is free again.
        let later = idle_ones(address, LATER, &request);
        let began = Instant::now();
        while open_files(service.pid()) > with_idle.1 + HARDLY_READING + LATER {
            assert!(began.elapsed() < DEADLINE, "slow ones are still there");
            thread::sleep(Duration::from_millis(200));
        }
        // The idle ones may go on. On a machine that is busy the first of them are past their time by now.
        let in_time = idle.into_iter().chain(later).filter(|(_, asked)| asked.elapsed() < IDLE_PATIENCE);
        let mut in_time: Vec<Pipe> = in_time.map(|(pipe, _)| pipe).collect();
        assert!(in_time.len() >= LATER, "only {} were idle for less than a minute", in_time.len());
        for pipe in in_time.iter_mut().step_by(97) {
            pipe.send(&post("/", &request));
            assert_eq!(pipe.response(false).unwrap().status, 200);
        }
    });
}
