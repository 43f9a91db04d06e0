//! What is on record with a time that is yet to come, after the clock was put right: a command given now comes
//! after it, whatever its time says.

use std::cell::Cell;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rasn_ocsp::CertStatus;
use sekisho::lifecycle::Turn;
use sekisho::office::{Application, OfficeError, Place, Reported, Spelling, Subject, SubjectKeySource};
use sekisho::pki::{CarrierState, CertificateKind, Partition};
use sekisho::record::{Actor, CardId, HolderId, Origin, Refusal};

use crate::world::{CARDS, DAY, World};

/// The first phone of the world's.
const PHONE: usize = CARDS;

fn carrier(world: &World, number: usize) -> (CardId, HolderId) {
    let issued = world.office().inquire(&world.certificates[number].selector(), None).unwrap().record.issued;
    (issued.card.unwrap(), issued.holder.unwrap())
}

/// Gives the command two minutes after the last, and sees that it did what it says.
fn turn(world: &mut World, number: usize, turn: Turn) -> bool {
    world.pass(120);
    let (card, _) = carrier(world, number);
    let done = world.office().turn(card, turn, Origin::service()).unwrap();
    let lost = turn == Turn::Lost;
    let state = world.office().card(card).unwrap().card.status.state;
    assert_eq!(state.is_lost(), lost, "{turn:?}");
    let answer = world.ask(number).unwrap();
    assert_eq!(matches!(answer.cert_status, CertStatus::Revoked(_)), lost, "{turn:?}");
    assert_eq!(done.change.changed, !done.changed.is_empty(), "{turn:?}");
    assert!(world.office().reconcile().unwrap().1.is_empty());
    done.change.changed
}

/// The clock goes back, and somebody vouches for it.
fn back(world: &mut World, seconds: i64) {
    world.step(-seconds);
    world.release();
}

fn report(world: &World, event: &str, subject: Subject, ago: u64) -> Result<usize, OfficeError> {
    let effective_at = world.clock.now().minus(Duration::from_secs(ago));
    let reported = Reported {
        event_id: format!("{event} at {}", world.clock.wall()),
        event: event.to_owned(),
        subject,
        kind: None,
        municipality: (event == "move-in").then_some(Partition(1101)),
        effective_at,
        reported_at: None,
    };
    let mut effects = world.office().report(&[reported], &Actor::service());
    effects.remove(0).map(|effect| effect.changed.len())
}

#[test]
fn a_phone_found_in_the_future_is_suspended_now() {
    let mut world = World::new(DAY);
    assert!(turn(&mut world, PHONE, Turn::Lost));
    assert!(turn(&mut world, PHONE, Turn::Found));
    back(&mut world, DAY);
    assert!(turn(&mut world, PHONE, Turn::Lost));
    assert!(!turn(&mut world, PHONE, Turn::Lost), "so already");
    assert!(turn(&mut world, PHONE, Turn::Found));
    world.assert_well();
}

#[test]
fn a_phone_suspended_in_the_future_is_found_now() {
    let mut world = World::new(DAY);
    assert!(turn(&mut world, PHONE, Turn::Lost));
    back(&mut world, DAY);
    assert!(turn(&mut world, PHONE, Turn::Found));
    assert!(turn(&mut world, PHONE, Turn::Lost));
    assert!(turn(&mut world, PHONE, Turn::Found));
    world.assert_well();
}

/// A loss that the feed reports is not passed over for a find in the future, and a find of the feed does not
/// take back a loss in the future: which came first is not known.
#[test]
fn of_a_report_and_a_time_in_the_future_the_loss_counts() {
    let mut world = World::new(DAY);
    for phone in [PHONE, PHONE + 1] {
        assert!(turn(&mut world, phone, Turn::Lost));
    }
    assert!(turn(&mut world, PHONE, Turn::Found));
    back(&mut world, DAY);
    world.pass(600);
    let subject = |number| Subject::Card(carrier(&world, number).0);
    assert_eq!(report(&world, "phone-suspension", subject(PHONE), 60).unwrap(), 1);
    assert_eq!(report(&world, "phone-found", subject(PHONE + 1), 30).unwrap(), 0);
    for phone in [PHONE, PHONE + 1] {
        let card = carrier(&world, phone).0;
        assert_eq!(world.office().card(card).unwrap().card.status.state, CarrierState::Suspended);
        assert!(turn(&mut world, phone, Turn::Found), "said at the counter it counts");
    }
    world.assert_well();
}

fn renewed(world: &World, card: CardId) -> Result<(), OfficeError> {
    let application = Application {
        name: "関所 花子".to_owned(),
        birth: "1982-02-17".to_owned(),
        sex: "female".to_owned(),
        address: "東京都清瀬市".to_owned(),
        spelling: Spelling::default(),
        municipality: Partition(13221),
        kinds: vec![CertificateKind::CardSign],
        subject_key: SubjectKeySource::TestKey,
        place: Place::Renewed(card),
    };
    world.office().issue(&application, Origin::service()).map(drop)
}

#[test]
fn a_death_ends_what_was_issued_in_the_future_and_one_in_the_future_ends_issuing() {
    let mut world = World::new(DAY);
    world.pass(120);
    let (ahead, holder) = carrier(&world, 0);
    renewed(&world, ahead).unwrap();
    let (card, other) = carrier(&world, 1);
    assert_eq!(report(&world, "death", Subject::Holder(other), 0).unwrap(), 1);
    back(&mut world, DAY);
    world.pass(120);
    assert_eq!(report(&world, "death", Subject::Holder(holder), 60).unwrap(), 1, "the renewed one");
    for card in [ahead, card] {
        let refused = renewed(&world, card).unwrap_err();
        let is_ended = matches!(&refused, OfficeError::Refused(Refusal::HolderEnded { .. }));
        assert!(is_ended, "{refused}");
    }
    assert!(world.office().reconcile().unwrap().1.is_empty());
    world.assert_well();
}

#[test]
fn a_move_reported_now_follows_one_in_the_future() {
    let mut world = World::new(DAY);
    let (_, holder) = carrier(&world, 0);
    report(&world, "overseas-continued", Subject::Holder(holder), 0).unwrap();
    let lives = |world: &World| world.office().store().find_holder(holder).unwrap().unwrap().status;
    assert!(lives(&world).lives_overseas().is_some());
    back(&mut world, DAY);
    world.pass(120);
    report(&world, "move-in", Subject::Holder(holder), 60).unwrap();
    assert_eq!((lives(&world).lives_overseas(), lives(&world).municipality), (None, Partition(1101)));
    report(&world, "overseas-continued", Subject::Holder(holder), 0).unwrap();
    assert!(lives(&world).lives_overseas().is_some());
}

/// Whether the phone has a time on record that the next command, two minutes from now, finds yet to come.
fn is_ahead(world: &World) -> bool {
    let status = world.office().card(carrier(world, PHONE).0).unwrap().card.status;
    let then = Some(world.clock.now().plus(Duration::from_secs(120)));
    status.suspended_at.max(status.released_at) > then
}

/// `turn` asserts that each command did what it says.
#[test]
fn each_command_about_a_phone_counts_whatever_the_clock_did_before() {
    let config = Config { cases: 24, max_shrink_iters: 40, failure_persistence: None, ..Config::default() };
    let steps = prop::collection::vec((any::<bool>(), 0..4_u8, 61..3 * DAY), 2..12);
    // Commands of each kind that met a time ahead of now.
    let (lost_ahead, found_ahead) = (Cell::new(0), Cell::new(0));
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
        .run(&steps, |steps| {
            let mut world = World::new(0);
            let mut lost = false;
            for (lose, step, by) in steps {
                match step {
                    0 => back(&mut world, by),
                    1 => {
                        world.step(by);
                        world.release();
                    }
                    _ => {}
                }
                if lose || lost {
                    let met = if lose { &lost_ahead } else { &found_ahead };
                    met.set(met.get() + u32::from(is_ahead(&world)));
                    let changed = turn(&mut world, PHONE, if lose { Turn::Lost } else { Turn::Found });
                    prop_assert_eq!(changed, lose != lost);
                }
                lost = lose;
            }
            world.assert_well();
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    println!("with a time ahead of now: {} losses, {} finds", lost_ahead.get(), found_ahead.get());
    assert!(lost_ahead.get() > 0 && found_ahead.get() > 0, "no command met a time ahead of now");
}
