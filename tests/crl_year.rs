//! Months of CRLs, or years, in which every day the process is killed, the signing device is gone for hours,
//! the wall clock jumps and the disk is full, judged by true time: verifiers are never without a
//! valid CRL, numbers only rise, and every CRL says what the journal says.
//!
//! They are simulated: the schedule's own code looks every ten minutes, on a simulated disk.
//! A year, and another one: `SEKISHO_YEAR_SEED=7 SEKISHO_YEAR_DAYS=365 cargo test --test crl_year`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a failed step must stop the test"
)]

#[path = "support/dice.rs"]
mod dice;
#[path = "crl_year/judge.rs"]
mod judge;
#[path = "support/turns.rs"]
mod turns;
#[path = "crl_year/world.rs"]
mod world;

use dice::Dice;
use judge::Judge;
use world::{Fault, STEP, World};

/// Days in the fast suite: certificates expire in the course of them.
const DAYS: u64 = 120;

/// The CA certificates end after ten years, four of which are over when the first day begins, and with
/// them their CRLs: nobody makes others here.
const DAYS_MAX: u64 = 2150;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect(variable))
}

#[test]
fn rfc5280_s5_months_of_faults_leave_nobody_without_a_valid_crl() {
    let (seed, days) = (number("SEKISHO_YEAR_SEED", 1), number("SEKISHO_YEAR_DAYS", DAYS));
    println!("seed {seed}, {days} days");
    assert!(days <= DAYS_MAX, "SEKISHO_YEAR_DAYS={days}: the CA certificates end after {DAYS_MAX} days");
    let mut dice = Dice::new(seed);
    let mut world = World::new(seed);
    let mut judge = Judge::default();
    world.step(None, &mut dice);
    for day in 0..days {
        let mut faults = world.faults_of_a_day(&mut dice);
        for step in 0..(86_400 / STEP.as_secs()) {
            let due: Vec<Fault> =
                faults.extract_if(.., |(at, _)| *at <= step).map(|(_, fault)| fault).collect();
            world.step(due.first().copied(), &mut dice);
            for fault in due.into_iter().skip(1) {
                world.strike(fault, &mut dice);
            }
            judge.look(&world);
        }
        if day % 30 == 0 {
            world.assert_agreement();
        }
    }
    world.heal();
    world.assert_agreement();
    let told = &world.told;
    println!("{told:?}; {judge:?}");
    // Months without faults would prove nothing.
    for (what, count) in [
        ("kills", told.kills),
        ("outages of the device", told.outages),
        ("jumps of the clock", told.jumps),
        ("full disks", told.full),
    ] {
        assert_eq!(count, days, "{what}");
    }
    assert!(told.builds_failed > days / 4, "{} builds failed", told.builds_failed);
    assert!(
        told.killed_in_the_middle > days / 10,
        "{} kills hit a change of the disk",
        told.killed_in_the_middle
    );
    assert!(judge.scheduled_sets >= days, "{} scheduled sets in {days} days", judge.scheduled_sets);
    assert!(judge.deltas > days, "{} deltas", judge.deltas);
    assert!(judge.departed > 0, "nobody expired");
}
