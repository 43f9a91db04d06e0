//! Signers over days and years: followed by others while questions are answered.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sekisho::der::UnixTime;
use sekisho::ocsp::request_for;
use sekisho::office::Schedule;
use sekisho::pki::{AuthorityId, Generation, HashAlgorithm, oid};
use sekisho::record::Origin;

use crate::files::{Wanted, key, key_of, put};
use crate::home::{DAY, DEFAULT, Home, ask, issuer, verified};
use crate::refused::preferring;

const HOUR: i64 = 3600;
const SIGN: AuthorityId = AuthorityId(1);

/// OCSPResponse { unauthorized }.
const UNAUTHORIZED: [u8; 5] = [0x30, 3, 10, 1, 6];

/// An office whose signers have the shortest life that can be set.
fn daily() -> Home {
    let mut home = Home::new(DEFAULT);
    let file = home.data().join("sekisho.toml");
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace("signer_validity_days = 7", "signer_validity_days = 1");
    fs::write(&file, text).unwrap();
    home.start().unwrap();
    home
}

#[test]
fn rfc9919_s4_signers_change_while_questions_are_answered() {
    let home = daily();
    let ca = issuer(home.office(), 1, 1);
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let requests = [
        request_for(&ca, HashAlgorithm::Sha1, &ca.serial),
        preferring(&ca, &oid::SHA256_WITH_RSA),
        request_for(&ca, HashAlgorithm::Sha256, &crate::home::serial(77_777)),
    ];
    let askers: Vec<_> = (0..2)
        .map(|_| {
            let (office, clock) = (Arc::clone(home.office()), Arc::clone(&home.clock));
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let (requests, ca) = (requests.clone(), ca.clone());
            std::thread::spawn(move || {
                let mut signers = BTreeSet::new();
                while !stop.load(Ordering::Relaxed) {
                    for request in &requests {
                        let now = sekisho::der::UnixTime::from_seconds(clock.load(Ordering::SeqCst));
                        // Panics at the first answer that is wrong in any way.
                        signers.insert(verified(&ask(&office, request, now), &ca));
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
                signers
            })
        })
        .collect();
    // Ten days of one hour each look; every hour some questions pass.
    for hour in 1..=240 {
        home.pass(HOUR);
        home.office().renew_signers().unwrap();
        while answered.load(Ordering::Relaxed) < hour * 12 {
            assert!(askers.iter().all(|asker| !asker.is_finished()), "an answer was wrong");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    stop.store(true, Ordering::Relaxed);
    let signers: BTreeSet<Vec<u8>> = askers.into_iter().flat_map(|asker| asker.join().unwrap()).collect();
    // 25 hours each, renewed in the last third: at least fourteen of each kind.
    assert!(signers.len() >= 28, "{}", signers.len());
    // Two authorities; of each kind one in use, and those before it not expired yet.
    // And those that sign checkpoints and notices.
    assert!(home.keys() <= 4 + 2 * 2 * 2, "keys of expired signers are removed: {}", home.keys());
}

#[test]
fn renewals_are_spread_and_leave_no_gap() {
    let home = daily();
    let authorities = [issuer(home.office(), 1, 1), issuer(home.office(), 2, 1)];
    let (first, mut instants) = (home.made(), 0);
    for _ in 0..(10 * 24 * 4) {
        home.pass(HOUR / 4);
        let before = home.made();
        home.office().renew_signers().unwrap();
        instants += usize::from(home.made() > before);
        for ca in &authorities {
            let plain = verified(&home.ask_about(ca), ca);
            let rsa = ask(home.office(), &preferring(ca, &oid::SHA256_WITH_RSA), home.now());
            assert_ne!(verified(&rsa, ca), plain);
        }
    }
    let renewed = home.made() - first;
    // 25 hours each, of which a third less a sixteenth at most is left: 14 to 15 times in 240 hours.
    assert!((4 * 13..=4 * 16).contains(&renewed), "{renewed}");
    // Were the four renewed together, there would be a quarter as many instants.
    assert!(instants > renewed / 2, "{instants} of {renewed}");
}

#[test]
fn a_signer_that_cannot_be_renewed_goes_on_and_readiness_says_why() {
    let home = daily();
    let ca = issuer(home.office(), 1, 1);
    let before = verified(&home.ask_about(&ca), &ca);
    let (keys, away) = (home.data().join("keys"), home.data().join("keys.away"));
    fs::rename(&keys, &away).unwrap();
    home.pass(12 * HOUR);
    home.office().renew_signers().unwrap();
    assert_eq!(home.office().unready(), Vec::<String>::new(), "half its life is left");
    home.pass(8 * HOUR);
    home.office().renew_signers().unwrap_err();
    let reasons = home.office().unready();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    let of_sign = reasons.iter().find(|reason| reason.contains("p256 OCSP signer of sign, generation 1"));
    assert!(of_sign.is_some_and(|reason| reason.contains("could not be renewed") && reason.contains("keys")));
    assert_eq!(verified(&home.ask_about(&ca), &ca), before, "the old one goes on");
    home.pass(5 * HOUR);
    home.office().renew_signers().unwrap_err();
    assert!(home.office().unready().iter().any(|reason| reason.contains("could not be made")));
    fs::rename(&away, &keys).unwrap();
    home.office().renew_signers().unwrap();
    assert_eq!(home.office().unready(), Vec::<String>::new());
    assert_ne!(verified(&home.ask_about(&ca), &ca), before);
}

#[test]
fn a_signer_made_here_takes_over_before_a_given_one_ends() {
    let home = Home::started(DEFAULT);
    let (dir, data) = (home.home.path(), home.data());
    let ca = issuer(home.office(), 1, 1);
    let p256 = key(dir, "p256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let not_after = home.now().plus(Duration::from_secs(4 * 86_400));
    let wanted = Wanted { not_after, ..Wanted::right(&ca, &p256, home.now()) };
    let given = wanted.signed(dir, &key_of(&data, &ca));
    put(&data, "house", &given, &p256.path);
    home.office().reload_signers().unwrap();
    assert_eq!(verified(&home.ask_about(&ca), &ca), given);
    // The one made at start is past its renewal by then, were it in use.
    home.pass(4 * DAY - 8 * 60);
    home.office().renew_signers().unwrap();
    assert_eq!(verified(&home.ask_about(&ca), &ca), given, "as long as it can");
    home.pass(4 * 60);
    home.office().renew_signers().unwrap();
    assert_ne!(verified(&home.ask_about(&ca), &ca), given, "not until its last second");
    home.pass(8 * 60);
    home.office().renew_signers().unwrap();
    verified(&home.ask_about(&ca), &ca);
    assert_eq!(home.office().unready(), Vec::<String>::new());
}

/// Of a retired key no other follows, and those that are there follow each other all the same.
#[test]
fn b_3_6_of_a_retired_key_the_signer_made_here_takes_over_before_a_given_one_ends() {
    let mut home = Home::started(r#"signers = ["p256"]"#);
    let (dir, data) = (home.home.path().to_owned(), home.data());
    let ca = issuer(home.office(), 1, 1);
    let made = verified(&home.ask_about(&ca), &ca);
    let made_ends = x509_parser::parse_x509_certificate(&made).unwrap().1.validity().not_after.timestamp();
    let p256 = key(&dir, "p256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let not_after = home.now().plus(Duration::from_secs(4 * 86_400));
    let wanted = Wanted { not_after, ..Wanted::right(&ca, &p256, home.now()) };
    let given = wanted.signed(&dir, &key_of(&data, &ca));
    put(&data, "house", &given, &p256.path);
    home.office().reload_signers().unwrap();
    home.office().publish(&[SIGN], true).unwrap();
    home.pass(60);
    home.office().compromise(SIGN, Generation::FIRST, None, Origin::service()).unwrap();
    home.office().write_compromises().unwrap();
    let retired = home.office().retire(SIGN, Generation::FIRST, Origin::service()).unwrap();
    assert_eq!(retired.answers_until.map(UnixTime::seconds), Some(made_ends), "the last of both");
    assert_eq!(verified(&home.ask_about(&ca), &ca), given);
    home.pass(4 * DAY - 60 - 8 * 60);
    home.office().renew_signers().unwrap();
    assert_eq!(verified(&home.ask_about(&ca), &ca), given, "as long as it can");
    // Also over a start.
    home.pass(4 * 60);
    home.office().renew_signers().unwrap();
    assert_eq!(verified(&home.ask_about(&ca), &ca), made, "not until its last second");
    home.stop();
    home.start().unwrap();
    assert_eq!(verified(&home.ask_about(&ca), &ca), made);
    home.pass(8 * 60);
    home.office().renew_signers().unwrap();
    assert_eq!(verified(&home.ask_about(&ca), &ca), made);
    home.clock.store(made_ends + 1, Ordering::SeqCst);
    home.office().renew_signers().unwrap();
    assert_eq!(home.ask_about(&ca), UNAUTHORIZED);
    assert_eq!(home.office().unready(), Vec::<String>::new());
}

#[test]
fn a_signer_made_here_whose_key_was_exchanged_is_not_used() {
    let mut home = Home::started(r#"signers = ["p256"]"#);
    let ca = issuer(home.office(), 1, 1);
    let before = verified(&home.ask_about(&ca), &ca);
    home.stop();
    let (_, read) = x509_parser::parse_x509_certificate(&before).unwrap();
    let key_id = HashAlgorithm::Sha1.digest(&read.public_key().subject_public_key.data);
    let name: String = key_id.iter().map(|octet| format!("{octet:02x}")).collect();
    let other = key(home.home.path(), "p256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    fs::write(home.data().join("keys").join(format!("{name}.key")), fs::read(other.path).unwrap()).unwrap();
    home.start().unwrap();
    assert_ne!(verified(&home.ask_about(&ca), &ca), before);
    assert_eq!(home.made(), 3, "another was made in its place");
}

#[test]
fn rfc6960_s2_2_an_expired_generation_has_no_signer_and_is_not_answered_for() {
    let mut home = Home::started(r#"signers = ["p256"]"#);
    let sign = AuthorityId(1);
    let first = issuer(home.office(), 1, 1);
    home.pass(5 * 365 * DAY);
    crate::issuers::new_generation(home.office(), sign);
    let second = issuer(home.office(), 1, 2);
    home.clock.store(first.not_after.seconds() - 1000, Ordering::SeqCst);
    home.office().renew_signers().unwrap();
    verified(&home.ask_about(&first), &first);
    let served = || home.office().served_catalogue().unwrap().map(|catalogue| catalogue.set);
    let rolled_over = served();
    let schedule = Schedule::start(Arc::clone(home.office())).unwrap();
    let wait_for = |done: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !done() {
            assert!(began.elapsed() < Duration::from_secs(120), "waited in vain");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    // The day's set comes after the signers' first look; the next one is a minute away.
    wait_for(&|| served() != rolled_over || !home.office().unready().is_empty());
    home.pass(1001);
    wait_for(&|| home.ask_about(&first) == UNAUTHORIZED);
    drop(schedule);
    verified(&home.ask_about(&second), &second);
    home.stop();
    home.start().unwrap();
    assert_eq!(home.ask_about(&first), UNAUTHORIZED);
    verified(&home.ask_about(&second), &second);
}
