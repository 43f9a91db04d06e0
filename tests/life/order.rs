//! Reports in every order, twice, late, and across restarts.

use sekisho::office::{OfficeError, Reported, Subject};
use sekisho::pki::CertificateKind;
use sekisho::record::{Actor, CardId, HolderId, Refusal};

use crate::world::{Carried, Resident, World};

/// The reports of a day about one person, told in order; each at its own minute.
fn reports(world: &mut World, resident: &Resident) -> Vec<Reported> {
    let (card, phone) = (Subject::Card(resident.card.card), Subject::Card(resident.phone.card));
    let holder = Subject::Holder(resident.card.holder);
    let said = [
        ("phone-suspension", phone),
        ("phone-found", phone),
        ("name-change", holder),
        ("phone-suspension", phone),
        ("phone-found", phone),
        ("card-suspension", card),
    ];
    said.map(|(event, subject)| {
        world.pass(60);
        world.event(event, subject)
    })
    .to_vec()
}

/// Whether each certificate is good.
fn good(world: &World, resident: &Resident) -> [bool; 4] {
    world.verdicts(resident).map(|said| said == "good")
}

#[test]
fn which_certificates_are_good_does_not_depend_on_the_order_or_repetition_of_reports() {
    let mut world = World::new();
    // Rotations and reversals of the six, each on a person of its own.
    for turn in 0..12 {
        let resident = world.resident();
        let mut reports = reports(&mut world, &resident);
        reports.rotate_left(turn % 6);
        if turn >= 6 {
            reports.reverse();
        }
        reports.extend_from_within(2..4);
        for report in &reports {
            // Two changes of one certificate are a second apart.
            world.pass(2);
            world.report(report).unwrap();
        }
        assert_eq!(good(&world, &resident), [false, false, false, true], "turn {turn}");
        let state = world.office().card(resident.card.card).unwrap().card.status;
        assert_eq!(state.state.name(), "suspended");
        let state = world.office().card(resident.phone.card).unwrap().card.status;
        assert_eq!(state.state.name(), "in use");
    }
    assert_eq!(world.disagreements(), Vec::<String>::new());
}

#[test]
fn an_event_touches_only_what_was_issued_before_it_took_effect() {
    let mut world = World::new();
    let resident = world.resident();
    let moved = world.event("move-within", Subject::Holder(resident.card.holder));
    let abolished = world.event("card-abolition", Subject::Card(resident.card.card));
    world.pass(60);
    let kinds = [CertificateKind::CardSign, CertificateKind::CardAuth];
    let renewed: Carried = world.pair(sekisho::office::Place::Renewed(resident.card.card), kinds);
    world.report(&moved).unwrap();
    world.report(&abolished).unwrap();
    let after = Resident { card: renewed, ..resident };
    assert_eq!(good(&world, &after), [true, true, false, false]);
    let state = world.office().card(renewed.card).unwrap().card.status.state;
    assert_eq!(state.name(), "in use", "the certificates that were abolished are not those on it now");
    assert_eq!(world.disagreements(), Vec::<String>::new());
}

#[test]
fn the_same_event_is_known_again_after_restarts_and_another_under_its_id_is_refused() {
    let mut world = World::new();
    let resident = world.resident();
    let lost = world.event("phone-suspension", Subject::Card(resident.phone.card));
    let first = world.report(&lost).unwrap();
    assert_eq!((first.changed.len(), first.repeated), (2, false));
    let nothing = world.event("minor-correction", Subject::Holder(resident.card.holder));
    assert_eq!(world.report(&nothing).unwrap().changed, []);
    for crash in [true, false] {
        world.restart(crash);
        world.pass(60);
        let again = world.report(&lost).unwrap();
        assert_eq!(
            (again.position, again.changed.clone(), again.repeated),
            (first.position, first.changed.clone(), true)
        );
        assert!(world.report(&nothing).unwrap().repeated, "also one that changed nothing");
    }
    // Whoever hands it in, and whenever it was reported.
    let later = Reported { reported_at: Some(world.now()), ..lost.clone() };
    let effects = world.office().report(&[later], &Actor::new("uid:7").unwrap());
    assert!(effects[0].as_ref().unwrap().repeated);
    let other = Reported { event: "phone-found".to_owned(), ..lost };
    assert!(matches!(world.report(&other), Err(OfficeError::Submit(_))));
}

#[test]
fn what_is_rejected_leaves_nothing_behind_and_may_be_right_later() {
    let mut world = World::new();
    let resident = world.resident();
    let mut early = world.event("death", Subject::Holder(resident.card.holder));
    early.effective_at = early.effective_at.plus(std::time::Duration::from_secs(100));
    let before = world.office().store().head();
    let wrong = [
        Reported { effective_at: early.effective_at, ..world.event("death", early.subject) },
        world.event("death", Subject::Holder(HolderId(7))),
        world.event("death", Subject::Card(CardId(7))),
        world.event("marriage", early.subject),
        Reported { event_id: String::new(), ..world.event("death", early.subject) },
        Reported { kind: Some(CertificateKind::CardSign), ..world.event("death", early.subject) },
        world.event("card-abolition", early.subject),
        world.event("card-abolition", Subject::Card(resident.phone.card)),
    ];
    for (reported, outcome) in wrong.iter().zip(world.office().report(&wrong, &Actor::service())) {
        assert!(outcome.is_err(), "{reported:?}");
    }
    assert!(matches!(world.report(&early), Err(OfficeError::Refused(Refusal::NotInEffect { .. }))));
    let rehearsed = world.office().rehearse(std::slice::from_ref(&early));
    assert!(matches!(rehearsed[0], Err(OfficeError::Refused(Refusal::NotInEffect { .. }))));
    assert_eq!(world.office().store().head(), before, "nothing was written");
    world.pass(101);
    let rehearsed = world.office().rehearse(std::slice::from_ref(&early));
    assert_eq!(rehearsed[0].as_ref().unwrap().changed.len(), 4);
    assert_eq!(world.office().store().head(), before, "nor by a rehearsal");
    assert_eq!(world.report(&early).unwrap().changed.len(), 4);
    assert!(world.office().rehearse(std::slice::from_ref(&early))[0].as_ref().unwrap().repeated);
}
