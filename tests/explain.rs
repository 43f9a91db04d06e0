//! What is kept of an answer, as people are told, and what is signed before anybody asks.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a failed step must stop the test"
)]

#[path = "world/mod.rs"]
mod answers;
mod service;
#[path = "support/turns.rs"]
mod turns;
#[path = "clock/world.rs"]
mod world;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sekisho::ocsp::request_for;
use sekisho::office::{Explanation, Presigning, Progress, Selector, Stage, Use};
use sekisho::pki::{AuthorityId, CertStatus, HashAlgorithm, SerialNumber, SignatureAlgorithm};

use service::Service;
use world::{AUTH, CARDS, DAY, SIGN, World};

fn explain(world: &World, number: usize) -> Explanation {
    world.office().explain(&world.certificates[number].selector()).unwrap()
}

/// The only kept signature, and whether it is of use.
fn only_use(world: &World, number: usize) -> Use {
    let explained = explain(world, number);
    let kept: Vec<_> = explained.signers.iter().flat_map(|signer| &signer.kept).collect();
    assert_eq!(kept.len(), 1, "{explained:?}");
    kept[0].1
}

#[test]
fn an_explanation_follows_a_kept_signature_through_its_life() {
    let mut world = World::new(0);
    let nothing = explain(&world, 0);
    assert_eq!((nothing.authority.as_str(), nothing.status), ("sign", CertStatus::Good));
    assert_eq!(nothing.signers.len(), 2);
    assert!(nothing.signers[0].kept.is_empty());
    let entry = world.office().store().entry(nothing.position.unwrap()).unwrap().unwrap().entry;
    assert_eq!(entry.event.certificate().unwrap().serial, nothing.serial);
    assert_eq!(Some(entry.recorded_at), nothing.since);

    let now = world.clock.now();
    let answer = world.ask(0).unwrap();
    let explained = explain(&world, 0);
    let signer = &explained.signers[0];
    let (kept, usable) = &signer.kept[0];
    assert_eq!((kept.hash, kept.null_parameters, kept.produced_at), (HashAlgorithm::Sha1, true, now));
    assert_eq!(kept.next_update, answers::time(answer.next_update.as_ref().unwrap()));
    assert_eq!(kept.signer_key_id, signer.key_id);
    assert_eq!(*usable, Use::Given(now.plus(Duration::from_secs(60))));
    assert_eq!(world.ask(0).map(|_| world.signed), Some(1), "explaining makes nothing");

    // Due in the last quarter of fifteen minutes, too old after them.
    let due = kept.due_at.since(now).as_secs();
    assert!((15 * 45..=15 * 60).contains(&due), "{due}");
    world.pass(due - 1);
    assert!(matches!(only_use(&world, 0), Use::Given(_)));
    world.pass(15 * 60 - due);
    assert!(matches!(only_use(&world, 0), Use::Due(_)));
    world.pass(1);
    assert_eq!(only_use(&world, 0), Use::Old);
    world.pass(12 * 3600);
    assert_eq!(only_use(&world, 0), Use::Over);

    world.ask(0).unwrap();
    world.revoke(0);
    assert_eq!(only_use(&world, 0), Use::Outdated);
    let revoked = explain(&world, 0);
    assert!(matches!(revoked.status, CertStatus::Revoked(_)) && revoked.position > nothing.position);
    world.ask(0).unwrap();
    assert!(matches!(only_use(&world, 0), Use::Given(_)));
}

#[test]
fn an_explanation_tells_of_a_clock_that_went_back() {
    let mut world = World::new(0);
    world.ask(0).unwrap();
    world.step(-1800);
    assert!(explain(&world, 0).frozen.is_some());
    assert!(matches!(only_use(&world, 0), Use::Given(_)), "kept answers go on");
    world.release();
    assert_eq!(explain(&world, 0).frozen, None);
    assert_eq!(only_use(&world, 0), Use::Ahead);
    world.ask(0).unwrap();
    assert_eq!(world.signed, 2);
    assert!(matches!(only_use(&world, 0), Use::Given(_)));
}

#[test]
fn a_serial_never_issued_is_explained_as_unknown() {
    let world = World::new(0);
    let serial = SerialNumber::try_from(999_999).unwrap();
    let explained =
        world.office().explain(&Selector::Named { authority: "sign".to_owned(), serial }).unwrap();
    assert_eq!(
        (explained.status, explained.generation, explained.position),
        (CertStatus::Unknown, None, None)
    );
    assert_eq!(explained.signers.len(), 2);
}

/// Presigns to the end, and tells what was told last.
fn presign(world: &World, authorities: &[AuthorityId], hash: HashAlgorithm) -> Vec<Progress> {
    let told = Arc::new(Mutex::new(Vec::new()));
    start(world, authorities, hash, &told).wait();
    let told = told.lock().unwrap();
    told.iter().filter(|one: &&Progress| one.stage != Stage::Going).cloned().collect()
}

fn start(
    world: &World,
    authorities: &[AuthorityId],
    hash: HashAlgorithm,
    told: &Arc<Mutex<Vec<Progress>>>,
) -> Presigning {
    let told = Arc::clone(told);
    let tell = Box::new(move |progress: &Progress| told.lock().unwrap().push(progress.clone()));
    let office = world.office();
    Presigning::start(Arc::clone(office), authorities.to_vec(), hash, office.sign_last(), tell).unwrap()
}

#[test]
fn a_presigned_authority_is_asked_without_a_signature() {
    let mut world = World::new(0);
    world.revoke(1);
    // The first signer expires: nobody is going to ask for it.
    world.pass(8 * DAY as u64);
    let [end] = presign(&world, &[SIGN], HashAlgorithm::Sha1).try_into().unwrap();
    // The cards, the CA certificate, and the signers there are now.
    let all = CARDS as u64 + 3;
    let (authority, stage) = ("sign".to_owned(), Stage::Complete);
    assert_eq!(end, Progress { authority, done: all, total: all, signed: all, stage });
    for number in 0..CARDS {
        assert!(matches!(only_use(&world, number), Use::Given(_)));
        world.ask(number).unwrap();
    }
    assert_eq!(world.signed, 0);
    assert!(explain(&world, CARDS).signers[0].kept.is_empty(), "only that authority");
    // What is kept already is not signed again; another form of the question is.
    let [again, other] = presign(&world, &[SIGN, AUTH], HashAlgorithm::Sha1).try_into().unwrap();
    assert_eq!((again.signed, other.stage), (0, Stage::Complete));
    let [sha256] = presign(&world, &[SIGN], HashAlgorithm::Sha256).try_into().unwrap();
    assert_eq!(sha256.signed, all);
    assert_eq!(explain(&world, 0).signers[0].kept.len(), 2);
}

#[test]
fn presigning_ends_when_the_memory_for_kept_signatures_is_full() {
    let mut world = World::new(0);
    let issuer = Arc::clone(&world.certificates[0].issuer);
    world.reconfigure("cache_megabytes = 256", "cache_megabytes = 1");
    let responder = world.office().responder();
    for serial in 1_000_000..1_010_000_u64 {
        let request = request_for(&issuer, HashAlgorithm::Sha1, &SerialNumber::try_from(serial).unwrap());
        if let sekisho::ocsp::Respond::Sign(job) = responder.respond(&request, world.clock.now()) {
            let made = job.sign();
            drop(responder.finish(job, made, world.clock.now()));
        }
        if responder.percent_kept(SignatureAlgorithm::EcdsaP256Sha256) > 90 {
            break;
        }
    }
    let before = responder.bytes_kept();
    let [end] = presign(&world, &[SIGN, AUTH], HashAlgorithm::Sha1).try_into().unwrap();
    assert_eq!((end.stage, end.signed), (Stage::Full, 0));
    assert_eq!(responder.bytes_kept(), before);
}

#[test]
fn presigning_waits_for_the_clock_and_stops_when_told_to() {
    let world = World::new(0);
    world.step(DAY);
    let told = Arc::default();
    let presigning = start(&world, &[SIGN], HashAlgorithm::Sha1, &told);
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    drop(presigning);
    assert!(began.elapsed() < service::DEADLINE);
    let last = told.lock().unwrap().last().cloned().unwrap();
    assert_eq!((last.stage, last.signed), (Stage::Stopped, 0));
    assert!(explain(&world, 0).signers[0].kept.is_empty());
    world.step(-DAY);
    let [end] = presign(&world, &[SIGN], HashAlgorithm::Sha1).try_into().unwrap();
    assert_eq!(end.stage, Stage::Complete);
}

#[test]
fn the_commands_say_what_the_service_knows() {
    let service = Service::demo_with(100, &["--presign", "auth", "--presign-hash", "sha256"]);
    let clock = service.sekisho(&["clock", "--json"]).json();
    assert_eq!((clock["frozen"].as_bool(), clock["wall"].as_str()), (Some(false), clock["trusted"].as_str()));
    let released = service.sekisho(&["clock", "release", "--json"]).json();
    assert_eq!(released["released"].as_bool(), Some(false));
    assert!(service.sekisho(&["clock", "status"]).stdout.contains("believed"));

    let spare = |authority: &str| {
        let all = service.manifest["certificates"].as_array().unwrap();
        let fits = |one: &&serde_json::Value| one["authority"] == authority && one["status"] == "good";
        all.iter().filter(fits).nth(30).unwrap()["serial"].as_str().unwrap().to_owned()
    };
    let explain = |authority: &str| {
        let serial = spare(authority);
        service.sekisho(&["explain", "--authority", authority, "--serial", &serial, "--json"]).json()
    };
    let began = Instant::now();
    let kept = loop {
        let explained = explain("auth");
        assert_eq!(explained["status"], "good");
        if let Some(kept) = explained["signers"][0]["kept"].as_array().unwrap().first() {
            break kept.clone();
        }
        assert!(began.elapsed() < service::DEADLINE, "nothing was presigned");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!((kept["hash"].as_str(), kept["usable"].as_bool()), (Some("sha256"), Some(true)));
    assert_eq!(explain("sign")["signers"][0]["kept"].as_array().unwrap().len(), 0);
    let words = service.sekisho(&["explain", "--authority", "auth", "--serial", &spare("auth")]);
    for part in ["good", "says entry", "kept for sha256, parameters NULL", "HTTP caches until", "usable"] {
        assert!(words.stdout.contains(part), "{part}: {}", words.stdout);
    }
    service.sekisho(&["explain", "--authority", "nobody", "--serial", "0x1"]).refused(2, &["nobody", "sign"]);
}
