//! Clocks that step: what is signed keeps the order of its times, or is not signed.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a failed step must stop the test"
)]

#[path = "clock/ahead.rs"]
mod ahead;
#[path = "world/mod.rs"]
mod answers;
mod service;
#[path = "support/turns.rs"]
mod turns;
#[path = "clock/world.rs"]
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rasn_ocsp::CertStatus;
use sekisho::admin::Server;
use sekisho::der::UnixTime;
use sekisho::ocsp::{Caching, OcspError, Respond};
use sekisho::office::{Blame, OfficeError, Schedule, Wish};
use sekisho::pki::{CertificateKind, RevocationReason};
use sekisho::record::{Event, Position};
use sekisho::store::{Distrust, check};

use answers::time;
use world::{AUTH, CARDS, DAY, PHONES, SIGN, World, issue};

fn revocation_time(status: &CertStatus) -> UnixTime {
    match status {
        CertStatus::Revoked(revoked) => time(&revoked.revocation_time),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_step_of_less_than_a_minute_freezes_nothing() {
    for step in [59, -59] {
        let mut world = World::new(0);
        world.ask(0).unwrap();
        world.step(step);
        assert_eq!(world.office().unready(), Vec::<String>::new());
        world.revoke(0);
        assert!(matches!(world.ask(0).unwrap().cert_status, CertStatus::Revoked(_)));
        world.ask(1).unwrap();
        world.publish(false);
        world.assert_well();
    }
}

#[test]
fn a_longer_step_freezes_signing_until_it_is_taken_back() {
    for step in [DAY, -3600] {
        let mut world = World::new(0);
        let kept = world.ask(0).unwrap();
        world.ask(1).unwrap();
        let before = world.clock.now();
        world.step(step);
        world.pass(600);
        // Answers: kept ones go on, by the time that would be; nothing is signed.
        assert_eq!(world.clock.now(), before.plus(Duration::from_secs(600)));
        let again = world.ask(0).unwrap();
        assert_eq!(again.this_update, kept.this_update);
        assert_eq!((world.ask(2), world.signed), (None, 2));
        // Readiness and the one who asks are told what to do.
        let told = world.office().unready().join("");
        assert!(told.contains("stepped") && told.contains("sekisho clock release"), "{told}");
        for refused in [
            issue(world.office(), CertificateKind::CardSign).map(|_| ()),
            world.office().publish(&[SIGN, AUTH], false).map(|_| ()),
        ] {
            let error = refused.unwrap_err();
            assert!(matches!(error, OfficeError::Clock(Distrust::Stepped(by)) if by == step), "{error}");
            assert_eq!(error.blame(), Blame::Moment);
        }
        // Revocations are taken, dated by the time that would be; no kept `good` is given after.
        let changed = world.revoke(1);
        assert_eq!(changed.recorded_at, before.plus(Duration::from_secs(600)));
        assert_eq!(world.ask(1), None);
        // Right again: everything goes on by itself.
        world.step(-step);
        assert_eq!(world.office().unready(), Vec::<String>::new());
        assert_eq!(revocation_time(&world.ask(1).unwrap().cert_status), changed.recorded_at);
        world.ask(2).unwrap();
        assert_eq!(world.publish(false), 1);
        world.assert_well();
    }
}

#[test]
fn kept_answers_end_with_their_next_update_while_nothing_is_signed() {
    let mut world = World::new(0);
    let next_update = time(world.ask(0).unwrap().next_update.as_ref().unwrap());
    world.step(DAY);
    world.pass(u64::try_from(next_update.seconds() - world.clock.now().seconds()).unwrap() - 1);
    assert!(world.ask(0).is_some());
    world.pass(1);
    assert_eq!(world.ask(0), None);
}

#[test]
fn a_signature_that_was_being_made_when_the_clock_stepped_does_not_leave() {
    let world = World::new(0);
    let (job, now) = (world.job(0).unwrap(), world.clock.now());
    let made = job.sign();
    world.step(DAY);
    let Respond::Ready(answer) = world.office().responder().finish(job, made, now) else { panic!() };
    assert_eq!((answer.body, answer.caching), (OcspError::TryLater.response().to_vec(), Caching::NoStore));
}

#[test]
fn a_signature_that_was_being_made_before_the_clock_was_released_does_not_leave() {
    let mut world = World::new(DAY);
    let job = world.job(0).unwrap();
    let made = job.sign();
    world.step(-DAY);
    world.release();
    let Respond::Sign(_) = world.office().responder().finish(job, made, world.clock.now()) else { panic!() };
    world.ask(0).unwrap();
}

/// The service ran a day ahead, and nobody could know; then the clock was put right.
#[test]
fn after_a_release_what_was_recorded_in_the_future_is_dated_now() {
    let mut world = World::new(DAY);
    let ahead = world.revoke(0);
    let held = world.change(CARDS, Wish::Hold { invalidity_date: None }).unwrap();
    world.ask(0).unwrap();
    world.ask(1).unwrap();
    world.pass(10);
    world.publish(true);
    world.pass(10);
    world.publish(true);
    let future = world.office().served_catalogue().unwrap().unwrap();

    world.step(-DAY);
    assert!(world.office().unready().join("").contains("stepped back by 86400 s"));
    let release = world.release();
    let wall = world.clock.wall();
    assert_eq!((release.to, world.clock.now()), (wall, wall));
    assert!(release.from > wall.plus(Duration::from_secs(DAY as u64 - 60)));
    let entry = world.office().store().entry(release.position.unwrap()).unwrap().unwrap().entry;
    assert_eq!(entry.event, Event::ClockReleased { until: release.from });
    assert_eq!((entry.origin.actor.name(), entry.recorded_at), ("uid:4711", wall));
    assert_eq!(world.office().unready(), Vec::<String>::new());
    assert_eq!(world.release().position, None, "there is nothing to release any more");

    // Signed anew, by a signer that is valid now, and dated now.
    let answer = world.ask(0).unwrap();
    assert!(time(&answer.this_update) <= wall);
    assert!(revocation_time(&answer.cert_status) < ahead.recorded_at);
    assert_eq!(world.ask(1).unwrap().cert_status, CertStatus::Good);
    // The schedule replaces the CRLs from the future at once, and their numbers rise.
    let schedule = Schedule::start(Arc::clone(world.office())).unwrap();
    let began = Instant::now();
    let current = loop {
        let served = world.office().served_catalogue().unwrap().unwrap();
        if served.number > future.number {
            break served;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "CRLs from the future are still served");
        std::thread::sleep(Duration::from_millis(50));
    };
    drop(schedule);
    assert!(current.this_update.parse::<UnixTime>().unwrap() <= wall);
    assert!(current.this_update < future.this_update);
    assert_eq!(world.publish(false), 2);
    // What was held in the future is revoked now, and does not wait for its hold's date.
    world.pass(1);
    let revoked = world.change(CARDS, Wish::revoke(Some(RevocationReason::Superseded), None)).unwrap();
    assert!(revoked.recorded_at < held.recorded_at);
    world.ask(CARDS).unwrap();
    world.assert_well();

    // The date on record comes, and passes.
    for _ in 0..30 {
        world.pass(3600);
        for number in [0, 1, CARDS] {
            world.ask(number).unwrap();
        }
    }
    assert_eq!(revocation_time(&world.ask(0).unwrap().cert_status), ahead.recorded_at);
    assert_eq!(world.publish(true), 2);
    world.assert_well();
}

/// Under the wrong clock certificates had expired and left the CRL: they are back.
#[test]
fn after_a_release_nobody_is_missing_from_the_crl_who_expired_in_the_future() {
    let mut world = World::new(0);
    world.revoke(0);
    world.pass(60);
    assert_eq!(world.publish(true), 1);
    world.step(8 * 365 * DAY);
    world.release();
    world.publish(true);
    world.pass(60);
    assert_eq!(world.publish(true), 0, "expired, and shown past its expiry");
    world.step(-8 * 365 * DAY);
    world.release();
    assert_eq!(world.publish(true), 1);
    world.pass(60);
    assert_eq!(world.publish(true), 1);
    world.ask(0).unwrap();
}

#[test]
fn the_lowered_time_survives_stops_and_crashes() {
    let mut world = World::new(DAY);
    world.revoke(0);
    world.step(-DAY);
    let release = world.release();
    world.pass(60);
    let changed = world.revoke(1);
    assert_eq!(changed.recorded_at, release.to.plus(Duration::from_secs(60)));
    for crash in [true, false, true] {
        world.restart(crash);
        assert_eq!(world.office().store().recorded_at(), changed.recorded_at);
        assert_eq!(world.office().unready(), Vec::<String>::new());
        world.ask(0).unwrap();
        world.ask(1).unwrap();
        world.ask(2).unwrap();
    }
    world.publish(false);
    world.assert_well();
    world.office().stop().unwrap();
    let report = check(&world.office().data().store(), &[]).unwrap();
    assert!(report.recorded_at < release.from);
}

#[test]
fn a_start_before_the_last_entry_is_frozen_and_records_from_there_on() {
    let mut world = World::new(DAY);
    let last = world.revoke(0).recorded_at;
    world.hands.step(-DAY);
    world.restart(false);
    let told = world.office().unready().join("");
    assert!(told.contains("behind the journal") && told.contains(&last.to_string()), "{told}");
    assert_eq!((world.ask(0), world.ask(1)), (None, None));
    assert_eq!(world.revoke(1).recorded_at, world.office().store().recorded_at());
    assert!(world.revoke(1).recorded_at >= last);
    // Once the wall clock is past the journal, whatever the machine slept, it is believed.
    world.step(5 * DAY);
    // What should have come out in those days is told; nothing else is wrong.
    let told = world.office().unready();
    assert!(!told.is_empty() && told.iter().all(|reason| reason.contains("CRL")), "{told:?}");
    for number in 0..3 {
        world.ask(number).unwrap();
    }
    // Or an operator says that it was the journal that was wrong.
    world.hands.step(-5 * DAY);
    world.restart(true);
    assert_eq!(world.ask(1), None);
    assert_eq!(world.release().to, world.clock.wall());
    for number in 0..3 {
        world.ask(number).unwrap();
    }
    world.publish(false);
    world.assert_well();
}

#[test]
fn the_year_2050_comes() {
    let mut world = World::at("2049-12-31T23:59:00Z".parse().unwrap());
    world.revoke(0);
    world.ask(0).unwrap();
    world.pass(59);
    world.revoke(1);
    let answer = world.ask(1).unwrap();
    assert_eq!(revocation_time(&answer.cert_status).to_string(), "2049-12-31T23:59:59Z");
    world.pass(1);
    world.revoke(2);
    for number in 0..4 {
        world.ask(number).unwrap();
    }
    assert_eq!(revocation_time(&world.ask(2).unwrap().cert_status), UnixTime::YEAR_2050);
    assert_eq!(world.publish(true), 3);
    world.step(-3600);
    assert_eq!(world.ask(3).map(|_| ()), Some(()), "kept");
    world.release();
    world.ask(2).unwrap();
    assert_eq!(world.publish(true), 3);
    world.assert_well();
}

/// What an operator and a program at the admin socket see of it.
#[test]
fn the_commands_say_what_to_do_and_do_it() {
    let world = World::new(DAY);
    let data = world.office().data();
    let admin = Server::start(&data.admin_socket(), Arc::clone(world.office())).unwrap();
    let command = |arguments: &[&str]| service::sekisho(data.path(), arguments);
    assert_eq!(command(&["clock"]).code, Some(0));
    world.step(-DAY);
    command(&["clock"]).refused(1, &["not believed", "sekisho clock release"]);
    assert!(command(&["clock", "status"]).stdout.contains("stepped back by 86400 s"));
    command(&["crl", "publish"]).refused(3, &["stepped back", "sekisho clock release"]);
    command(&["check"]).refused(1, &["1 finding"]);
    let applicant = r#"{"name":"関所 花子","birth":"1982-02-17","sex":"female","address":"東京都清瀬市",
        "municipality":"13221","subject_key":"test_key"}"#;
    let socket = data.admin_socket().display().to_string();
    let issue = ["-si", "--unix-socket", &socket, "--data", applicant, "http://admin/v1/issue"];
    let answer = service::run("curl", &issue).stdout.to_ascii_lowercase();
    assert!(answer.contains("503 service unavailable") && answer.contains("retry-after: 60"), "{answer}");
    assert!(answer.contains("sekisho clock release"), "{answer}");

    let released = command(&["clock", "release", "--json"]).json();
    assert_eq!(released["to"].as_str().unwrap(), world.clock.wall().to_string());
    let position = Position(released["position"].as_u64().unwrap());
    let entry = world.office().store().entry(position).unwrap().unwrap().entry;
    assert!(matches!(entry.event, Event::ClockReleased { .. }));
    assert!(entry.origin.actor.name().starts_with("uid:"), "{:?}", entry.origin);
    assert!(command(&["clock", "release"]).stdout.contains("nothing to release"));
    assert!(command(&["clock"]).stdout.contains("believed"));
    assert!(service::run("curl", &issue).stdout.contains("200 OK"));
    drop(admin);
}

/// Nothing depends on where the machine believes it is: the tests of this file, elsewhere.
#[test]
fn the_zone_of_the_machine_changes_nothing() {
    const HERE: &str = "SEKISHO_TEST_ZONE";
    if std::env::var_os(HERE).is_some() {
        return;
    }
    let tests = [
        "after_a_release_what_was_recorded_in_the_future_is_dated_now",
        "a_longer_step_freezes_signing_until_it_is_taken_back",
        "the_year_2050_comes",
    ];
    for zone in ["Asia/Tokyo", "Pacific/Apia"] {
        let mut run = std::process::Command::new(std::env::current_exe().unwrap());
        let ran = run.args(tests).arg("--exact").env("TZ", zone).env(HERE, zone).output().unwrap();
        let told = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success() && told.contains("3 passed"), "{zone}: {told}");
    }
}

/// Histories tried; more with SEKISHO_CLOCK_CASES.
fn cases() -> u32 {
    std::env::var("SEKISHO_CLOCK_CASES").map_or(24, |cases| cases.parse().unwrap())
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Pass(u64),
    Step(i64),
    Revoke(usize),
    Hold(usize),
    Lift(usize),
    Ask(usize),
    Publish(bool),
    Release,
    Restart(bool),
}

fn op() -> impl Strategy<Value = Op> {
    let certificate = 0..CARDS + PHONES;
    let phone = CARDS..CARDS + PHONES;
    prop_oneof![
        2 => (1..100_000_u64).prop_map(Op::Pass),
        2 => prop_oneof![-60..=60_i64, -200_000..200_000_i64].prop_map(Op::Step),
        1 => certificate.clone().prop_map(Op::Revoke),
        1 => phone.clone().prop_map(Op::Hold),
        1 => phone.prop_map(Op::Lift),
        4 => certificate.prop_map(Op::Ask),
        1 => any::<bool>().prop_map(Op::Publish),
        2 => Just(Op::Release),
        1 => any::<bool>().prop_map(Op::Restart),
    ]
}

impl World {
    fn carry_out(&mut self, op: Op) {
        match op {
            Op::Pass(seconds) => self.pass(seconds),
            Op::Step(seconds) => self.step(seconds),
            Op::Revoke(number) => {
                self.pass(120);
                self.revoke(number);
            }
            Op::Hold(number) => {
                self.pass(120);
                // Refused when it is revoked.
                drop(self.change(number, Wish::Hold { invalidity_date: None }));
            }
            Op::Lift(number) => {
                self.pass(120);
                // Refused when it is not held.
                drop(self.change(number, Wish::Release));
            }
            Op::Ask(number) => drop(self.ask(number)),
            Op::Publish(_) if self.clock.is_frozen() => {
                assert!(matches!(self.office().publish(&[SIGN, AUTH], false), Err(OfficeError::Clock(_))));
            }
            Op::Publish(scheduled) => drop(self.publish(scheduled)),
            Op::Release => drop(self.release()),
            Op::Restart(crash) => self.restart(crash),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 60, ..ProptestConfig::default() })]

    /// Order of times, nothing signed while the clock is not believed, nothing revoked ever good:
    /// `World::ask` and `World::publish` assert them.
    #[test]
    fn the_order_of_times_holds_whatever_the_clock_does(ops in prop::collection::vec(op(), 1..30)) {
        let mut world = World::new(0);
        for op in ops {
            world.carry_out(op);
            if world.clock.is_frozen() {
                prop_assert_eq!(world.job(0).map(|_| ()), None);
            }
        }
        world.release();
        for number in 0..CARDS + PHONES {
            prop_assert!(world.ask(number).is_some());
        }
        world.publish(false);
        world.assert_well();
    }
}
