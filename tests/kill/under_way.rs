//! `kill -9` while OCSP signers are renewed and revoked, while a key is told to be compromised and while the
//! next one is made: what was acknowledged holds, and what a kill cut short goes on by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sekisho::config::Config;
use sekisho::office::data::DataDir;
use sekisho::office::{Office, TOGETHER};
use sekisho::pki::{AuthorityId, CertificateKind, Generation, Partition, SerialNumber};
use sekisho::record::{CertificateRef, Event, Issued, Origin, Position};
use sekisho::store::{Clock, Decide};
use serde_json::{Value, json};

use super::asker::{Asker, listening_port};
use super::service::{self, DEADLINE, SEKISHO, Service};
use super::{application, post};

/// Rounds in the fast suite, each kind of [`Moment`] once; an eighth of `SEKISHO_KILL_ROUNDS` in the long form.
const ROUNDS: usize = 6;

const CLIENTS: usize = 4;

/// Certificates of the first key that are there from the start: more than two decisions revoke one by one.
const STOCK: u64 = 25_000;

/// Far above those that the service gives.
const FIRST_SERIAL: u64 = 0x0100_0000;

/// Of those, every so many are asked about.
const SAMPLE: usize = 97;

/// A serial that nobody issued.
const NEVER_ISSUED: &str = "0x7777777777";

/// When the kill falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Signers are renewed and revoked.
    Signers,
    /// The compromise is durable, and its single revocations are being written.
    Writing,
    /// The compromise is being told.
    Telling,
    /// The compromise is durable, and the next key is being made.
    RollingOver,
    /// The next key is made: this was acknowledged a moment ago.
    RolledOver,
}

const MOMENTS: [Moment; ROUNDS] = [
    Moment::Signers,
    // The first key is the one with very many certificates.
    Moment::Writing,
    Moment::Telling,
    Moment::RollingOver,
    Moment::RolledOver,
    Moment::Signers,
];

/// Journal position and time, as they were told.
type Told = (u64, String);

/// What the outside process knows of the authority `sign`.
#[derive(Default)]
struct Known {
    /// The key that each certificate was signed by.
    issued: BTreeMap<String, u8>,
    /// Revoked by name.
    revoked: BTreeMap<String, Told>,
    in_doubt: BTreeSet<String>,
    /// Signers, and the key that each answers for.
    signers: BTreeMap<String, u8>,
    signers_revoked: BTreeMap<String, Told>,
    signers_in_doubt: BTreeSet<String>,
    compromised: BTreeMap<u8, Told>,
    /// Keys whose making was acknowledged.
    made: BTreeSet<u8>,
}

#[test]
fn kills_with_signers_and_compromises_under_way_lose_nothing_that_was_acknowledged() {
    let long = std::env::var("SEKISHO_KILL_ROUNDS").ok().and_then(|n| n.parse::<usize>().ok());
    let rounds = long.map_or(ROUNDS, |rounds| (rounds / 8).max(ROUNDS));
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    Service::init(&data);
    stock(&data);
    let known = Arc::new(Mutex::new(Known::default()));
    let mut service = Service::serve(&data);
    service.wait_ready();
    // The first certificate of a municipality waits for its CRL.
    assert!(post(&data.join("admin.sock"), "/v1/issue", &application("first")).is_some());
    journal_position(&data);
    let (mut asked, mut cut_short) = (0, 0);
    for round in 0..rounds {
        let moment = MOMENTS[round % MOMENTS.len()];
        let generation = key_that_issues(&data);
        cut_short += usize::from(killed_at(moment, &mut service, &known, generation, round));
        let (started, answers) = started_while_asked(&data, &known);
        asked += answers;
        service = started;
        service.wait_ready();
        go_on(&data, &known, generation, round);
        check(&service, &known);
    }
    println!(
        "{rounds} kills, {cut_short} of them with the request unanswered; {asked} answers after the starts"
    );
    let known = known.lock().unwrap();
    assert!(known.signers_revoked.len() >= rounds, "{}", known.signers_revoked.len());
    assert!(known.compromised.len() >= 4, "{:?}", known.compromised);
    let state = service.sekisho(&["check", "--json"]).json();
    assert_eq!(state["findings"].as_array().unwrap().len(), 0, "{state}");
    service.stop();
    check_journal(&data, &known);
}

/// Certificates of the first key, straight into the journal.
fn stock(data: &Path) {
    let office = office(data);
    let archive = office.store().facts().issuers[0].issued.archive;
    let up_to = FIRST_SERIAL + STOCK;
    let reserve: Decide =
        Box::new(move |_, _| Ok(vec![Event::SerialsReserved { authority: AuthorityId(1), up_to }]));
    office.store().submit_wait(Origin::service(), reserve).unwrap();
    for first in (0..STOCK).step_by(500) {
        let decide: Decide = Box::new(move |_, now| {
            let issued = (first..first + 500).map(|number| {
                let serial = SerialNumber::try_from(FIRST_SERIAL + number).unwrap();
                Event::Issued(Issued {
                    certificate: CertificateRef {
                        authority: AuthorityId(1),
                        generation: Generation::FIRST,
                        serial,
                    },
                    kind: CertificateKind::CardSign,
                    partition: Some(Partition(13221)),
                    not_before: now,
                    not_after: now.plus(Duration::from_secs(5 * 365 * 86_400)),
                    archive,
                    sha256: [7; 32],
                    holder: None,
                    card: None,
                    twin: None,
                })
            });
            Ok(issued.collect())
        });
        office.store().submit_wait(Origin::service(), decide).unwrap();
    }
    office.stop().unwrap();
    assert!(STOCK > 2 * u64::try_from(TOGETHER.get()).unwrap());
}

fn office(data: &Path) -> Arc<Office> {
    let data = DataDir::new(data);
    let config = Config::read(&data.config()).unwrap();
    Office::start(data, config, Clock::system(), "http://ocsp.example".to_owned()).unwrap().0
}

/// Serials of the stock that are looked at.
fn sample() -> Vec<String> {
    let all = (FIRST_SERIAL..FIRST_SERIAL + STOCK).step_by(SAMPLE);
    all.map(|number| format!("0x{number:x}")).collect()
}

fn ask(data: &Path, path: &str, body: &Value) -> Option<Value> {
    post(&data.join("admin.sock"), path, body)
}

fn status(data: &Path, serial: &str) -> Value {
    let body = json!({"certificate": {"authority": "sign", "serial": serial}});
    ask(data, "/v1/status", &body).unwrap_or_else(|| panic!("{serial} is not on record"))
}

/// How far the journal has come, by a certificate of the other authority.
fn journal_position(data: &Path) -> u64 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let mut asked = application(&format!("position-{}", NEXT.fetch_add(1, Ordering::SeqCst)));
    asked["kinds"] = json!(["auth"]);
    ask(data, "/v1/issue", &asked).unwrap()["position"].as_u64().unwrap()
}

/// The keys of `sign`, oldest first.
fn keys(data: &Path) -> Vec<Value> {
    let all = ask(data, "/v1/authority/list", &json!({})).unwrap();
    let all = all["keys"].as_array().unwrap().iter();
    all.filter(|key| key["authority"] == "sign").cloned().collect()
}

fn key_that_issues(data: &Path) -> u8 {
    let keys = keys(data);
    let key = keys.iter().find(|key| key["state"] == "issues" && key["compromised_at"].is_null());
    u8::try_from(key.unwrap_or_else(|| panic!("{keys:?}"))["generation"].as_u64().unwrap()).unwrap()
}

/// Kills the service at a moment, while clients issue and revoke and signers change; true when what was
/// under way got no answer.
fn killed_at(
    moment: Moment,
    service: &mut Service,
    known: &Arc<Mutex<Known>>,
    generation: u8,
    round: usize,
) -> bool {
    let data = service.data.clone();
    let stop = Arc::new(AtomicBool::new(false));
    let lives = Arc::new(AtomicUsize::new(0));
    let mut workers: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (data, known, stop, lives) =
                (data.clone(), Arc::clone(known), Arc::clone(&stop), Arc::clone(&lives));
            std::thread::spawn(move || {
                for step in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    // Refused while no key issues.
                    match one_life(&data, &known, &format!("{round}-{client}-{step}")) {
                        Some(()) => drop(lives.fetch_add(1, Ordering::SeqCst)),
                        None => std::thread::sleep(Duration::from_millis(5)),
                    }
                }
            })
        })
        .collect();
    let (at, signing, told_to_stop) = (data.clone(), Arc::clone(known), Arc::clone(&stop));
    workers.push(std::thread::spawn(move || change_signers(&at, &signing, generation, round, &told_to_stop)));
    let before = known.lock().unwrap().signers_revoked.len();
    wait_for(|| lives.load(Ordering::SeqCst) >= 20 && known.lock().unwrap().signers_revoked.len() > before);
    let under_way = reach(moment, &data, known, generation, round);
    std::thread::sleep(Duration::from_micros(u64::try_from((round + 1) * 1_371 % 6_000).unwrap()));
    service.kill();
    stop.store(true, Ordering::SeqCst);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    under_way.is_some_and(|request| !request.join().unwrap())
}

/// Brings about the moment; the request that is then under way, and whether it was acknowledged.
fn reach(
    moment: Moment,
    data: &Path,
    known: &Arc<Mutex<Known>>,
    generation: u8,
    round: usize,
) -> Option<std::thread::JoinHandle<bool>> {
    let (at, knows) = (data.to_owned(), Arc::clone(known));
    match moment {
        Moment::Signers => None,
        Moment::Telling => Some(std::thread::spawn(move || tell_compromised(&at, &knows, generation, round))),
        Moment::Writing => {
            assert!(tell_compromised(data, known, generation, round));
            let entry = known.lock().unwrap().compromised[&generation].0;
            let together = u64::try_from(TOGETHER.get()).unwrap();
            // Until the first part of them has entries of its own, or, of a key with few, all have.
            let is_written = || {
                let all = keys(data);
                let key = all.iter().find(|key| number(&key["generation"]) == generation).unwrap();
                key["revoked_one_by_one"] == true
            };
            wait_for(|| journal_position(data) > entry + together || is_written());
            None
        }
        Moment::RollingOver => {
            assert!(tell_compromised(data, known, generation, round));
            Some(std::thread::spawn(move || roll_over(&at, &knows)))
        }
        Moment::RolledOver => {
            assert!(tell_compromised(data, known, generation, round));
            assert!(roll_over(data, known));
            None
        }
    }
}

fn wait_for(done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < DEADLINE, "waited in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Issues a certificate and revokes every second one; none when a request was refused or not answered.
fn one_life(data: &Path, known: &Mutex<Known>, key: &str) -> Option<()> {
    let issued = ask(data, "/v1/issue", &application(&format!("u{key}")))?;
    let (serial, generation) = {
        let one = &issued["certificates"][0];
        (one["serial"].as_str().unwrap().to_owned(), number(&one["generation"]))
    };
    let is_revoked = serial.ends_with(['0', '2', '4', '6', '8', 'a', 'c', 'e']);
    {
        let mut known = known.lock().unwrap();
        let is_new = known.issued.insert(serial.clone(), generation).is_none();
        assert!(is_new && !known.signers.contains_key(&serial), "serial {serial} was given twice");
        if !is_revoked {
            return Some(());
        }
        known.in_doubt.insert(serial.clone());
    }
    let certificate = json!({"authority": "sign", "serial": serial});
    let body = json!({"certificate": certificate, "reason": "superseded", "key": format!("ur{key}")});
    let told = told(&ask(data, "/v1/revoke", &body)?, "revoked_at");
    let mut known = known.lock().unwrap();
    known.in_doubt.remove(&serial);
    known.revoked.insert(serial, told);
    Some(())
}

fn number(value: &Value) -> u8 {
    u8::try_from(value.as_u64().unwrap()).unwrap()
}

fn told(answer: &Value, date: &str) -> Told {
    (answer["position"].as_u64().unwrap(), answer[date].as_str().unwrap().to_owned())
}

/// Renews the signers of a key and revokes them, in turns the one before and the one that signs.
fn change_signers(data: &Path, known: &Mutex<Known>, generation: u8, round: usize, stop: &AtomicBool) {
    for step in 0.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let which = json!({"authority": "sign", "generation": generation, "kind": "p256"});
        let Some(renewed) = ask(data, "/v1/signer/renew", &which) else { continue };
        let signer = &renewed["signers"][0];
        let serial = signer["serial"].as_str().unwrap().to_owned();
        {
            let mut known = known.lock().unwrap();
            let is_new = known.signers.insert(serial.clone(), generation).is_none();
            assert!(is_new && !known.issued.contains_key(&serial), "serial {serial} was given twice");
        }
        let before = signer["before"].as_str().map(str::to_owned);
        let revoked = if step % 2 == 0 { before.unwrap_or(serial) } else { serial };
        known.lock().unwrap().signers_in_doubt.insert(revoked.clone());
        let body =
            json!({"signer": {"authority": "sign", "serial": revoked}, "key": format!("s{round}-{step}")});
        let Some(done) = ask(data, "/v1/signer/revoke", &body) else { continue };
        let mut known = known.lock().unwrap();
        known.signers_in_doubt.remove(&revoked);
        known.signers_revoked.insert(revoked, told(&done, "revoked_at"));
    }
}

/// True when it was acknowledged.
fn tell_compromised(data: &Path, known: &Mutex<Known>, generation: u8, round: usize) -> bool {
    let body = json!({"authority": "sign", "generation": generation, "key": format!("c{round}")});
    let Some(done) = ask(data, "/v1/authority/compromised", &body) else { return false };
    known.lock().unwrap().compromised.insert(generation, told(&done, "recorded_at"));
    true
}

fn roll_over(data: &Path, known: &Mutex<Known>) -> bool {
    let body = json!({"authority": "sign", "now": true});
    let Some(made) = ask(data, "/v1/authority/rollover", &body) else { return false };
    assert!(known.lock().unwrap().made.insert(number(&made["generation"])), "{made}");
    true
}

/// Starts the service while it is asked, from the moment it listens, about what must be revoked in every
/// answer; how many there were.
fn started_while_asked(data: &Path, known: &Mutex<Known>) -> (Service, u64) {
    let mut asker = Asker::about(&questions(data, &known.lock().unwrap()));
    let service = Service::serve_by(std::process::Command::new(SEKISHO), data, |pid| {
        asker.begin(listening_port(pid));
    });
    service.wait_ready();
    // On into the time in which single revocations are written, and for a moment beside.
    std::thread::sleep(Duration::from_millis(500));
    wait_for(|| keys(data).iter().all(|key| key["revoked_one_by_one"] != false));
    let heard = asker.end();
    assert!(heard.other.is_empty(), "{:?}", &heard.other[..heard.other.len().min(10)]);
    assert!(heard.revoked > 0, "nothing was asked");
    let signers = ask(data, "/v1/signer/list", &json!({"all": true})).unwrap();
    let known = known.lock().unwrap();
    for signer in signers["signers"].as_array().unwrap().iter().filter(|one| one["authority"] == "sign") {
        let key_id = signer["key_id"].as_str().unwrap_or_default().to_lowercase();
        if known.signers_revoked.contains_key(signer["serial"].as_str().unwrap()) {
            assert_eq!(signer["state"], "revoked", "{signer}");
            assert!(!heard.responders.contains(&key_id), "it answered: {signer}");
        }
    }
    (service, heard.revoked)
}

/// By CA certificate, what must be revoked: of a compromised key everything, issued or not.
fn questions(data: &Path, known: &Known) -> Vec<(String, Vec<String>)> {
    let mut by_key: BTreeMap<u8, BTreeSet<String>> = BTreeMap::new();
    for (serial, generation) in &known.issued {
        if known.revoked.contains_key(serial) || known.compromised.contains_key(generation) {
            by_key.entry(*generation).or_default().insert(serial.clone());
        }
    }
    for (serial, generation) in &known.signers {
        if known.signers_revoked.contains_key(serial) {
            by_key.entry(*generation).or_default().insert(serial.clone());
        }
    }
    for generation in known.compromised.keys() {
        let own = by_key.entry(*generation).or_default();
        own.insert(NEVER_ISSUED.to_owned());
        if *generation == 1 {
            own.extend(sample());
        }
    }
    let row = |(generation, serials): (u8, BTreeSet<String>)| {
        let ca = data.join(format!("ca/sign-{generation}.pem"));
        (ca.to_str().unwrap().to_owned(), serials.into_iter().collect())
    };
    by_key.into_iter().map(row).collect()
}

/// What a client does after a kill: it repeats what got no answer. Then a key issues again.
fn go_on(data: &Path, known: &Mutex<Known>, generation: u8, round: usize) {
    let key = keys(data).into_iter().find(|key| number(&key["generation"]) == generation).unwrap();
    let acknowledged = known.lock().unwrap().compromised.get(&generation).cloned();
    match acknowledged {
        Some((_, recorded_at)) => assert_eq!(key["compromised_at"], json!(recorded_at), "{key}"),
        None if MOMENTS[round % MOMENTS.len()] == Moment::Telling => {
            assert!(tell_compromised(data, known, generation, round), "it is told again");
        }
        None => assert!(key["compromised_at"].is_null(), "{key}"),
    }
    wait_for(|| keys(data).iter().all(|key| key["revoked_one_by_one"] != false));
    for made in &known.lock().unwrap().made {
        assert!(keys(data).iter().any(|key| number(&key["generation"]) == *made), "key {made} is gone");
    }
    if !keys(data).iter().any(|key| key["state"] == "issues" && key["compromised_at"].is_null()) {
        assert!(roll_over(data, known), "the next key is made");
    }
}

/// Everything acknowledged is on record and in the next CRL.
fn check(service: &Service, known: &Mutex<Known>) {
    let known = known.lock().unwrap();
    let data = &service.data;
    for (serial, told) in known.revoked.iter().chain(&known.signers_revoked) {
        let state = status(data, serial);
        assert_eq!(state["status"], "revoked", "{serial} {state}");
        assert_eq!((&state["position"], &state["revoked_at"]), (&json!(told.0), &json!(told.1)), "{state}");
    }
    let by_compromise = |serial: &String, generation: u8| {
        let state = status(data, serial);
        match known.compromised.get(&generation) {
            Some((_, since)) => {
                assert_eq!((&state["status"], &state["reason"]), (&json!("revoked"), &json!("cACompromise")));
                assert_eq!(state["revoked_at"], json!(since), "{state}");
            }
            None => assert_eq!(state["status"], "good", "{state}"),
        }
    };
    let by_name = |serial: &String| known.revoked.contains_key(serial) || known.in_doubt.contains(serial);
    let others = known.issued.iter().filter(|(serial, _)| !by_name(serial));
    others.for_each(|(serial, generation)| by_compromise(serial, *generation));
    sample().iter().for_each(|serial| by_compromise(serial, 1));
    for serial in known.signers.keys().filter(|serial| !known.signers_revoked.contains_key(*serial)) {
        let is_open = known.signers_in_doubt.contains(serial);
        assert!(is_open || status(data, serial)["status"] == "good", "signer {serial}");
    }
    check_crls(service, &known);
}

/// The next CRL of each key lists what was revoked of it, and of a compromised one everything.
fn check_crls(service: &Service, known: &Known) {
    let published = service.sekisho(&["crl", "publish"]);
    assert_eq!(published.code, Some(0), "{}", published.text());
    let generations: BTreeSet<u8> = known.issued.values().copied().collect();
    for generation in generations {
        let url = format!("{}crl/sign/{generation}/full.crl", service.url());
        let text = service::shell(&format!("curl -sf {url} | openssl crl -inform DER -noout -text"));
        assert_eq!(text.code, Some(0), "{}", text.text());
        let listed: BTreeSet<u64> = text
            .stdout
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Serial Number: "))
            .map(|hex| u64::from_str_radix(hex, 16).unwrap())
            .collect();
        let is_compromised = known.compromised.contains_key(&generation);
        let residents = known.issued.iter().filter(|(serial, of)| {
            **of == generation && (is_compromised || known.revoked.contains_key(*serial))
        });
        let signers = known.signers.iter();
        let signers =
            signers.filter(|(serial, of)| **of == generation && known.signers_revoked.contains_key(*serial));
        for (serial, _) in residents.chain(signers) {
            let number = u64::from_str_radix(serial.trim_start_matches("0x"), 16).unwrap();
            assert!(listed.contains(&number), "{serial} is not in the CRL of key {generation}");
        }
        if is_compromised && generation == 1 {
            let stock = FIRST_SERIAL..FIRST_SERIAL + STOCK;
            assert!(stock.clone().all(|number| listed.contains(&number)), "the stock is not all in the CRL");
        }
    }
}

/// The journal itself: no serial twice, and each single revocation once, with date and cause.
fn check_journal(data: &Path, known: &Known) {
    let office = office(data);
    let (mut given, mut single) = (BTreeSet::new(), BTreeSet::new());
    for numbered in office.store().entries(Position(1)) {
        match numbered.unwrap().entry.event {
            Event::Issued(it) => {
                let of = (it.certificate.authority, it.certificate.serial);
                assert!(given.insert(of), "{of:?} was given twice");
            }
            Event::Revoked(it) if it.cause.is_some() => {
                let (position, since) = &known.compromised[&it.certificate.generation.number()];
                assert_eq!(it.cause, Some(Position(*position)));
                assert_eq!(it.became.revoked_at.to_string(), *since);
                assert!(single.insert(it.certificate), "{:?} twice", it.certificate);
            }
            _ => {}
        }
    }
    assert!(single.len() > usize::try_from(STOCK).unwrap(), "{}", single.len());
    office.stop().unwrap();
}
