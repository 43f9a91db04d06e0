//! Cards that wait at the counter: the fourteen that were handed over dead, and what forbids them.

use sekisho::office::{OfficeError, Place, Subject};
use sekisho::pki::CertificateKind;
use sekisho::record::Refusal;

use crate::world::{AUTH, OTHER_WARD, SIGN, World};

const PAIR: [CertificateKind; 2] = [CertificateKind::CardSign, CertificateKind::CardAuth];

fn refusal(result: Result<bool, OfficeError>) -> Refusal {
    match result {
        Err(OfficeError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// 2018: the old card abolished, a new one applied for, its holder moved to another ward of the same
/// city before it was collected, and the abolition reported late.
#[test]
fn a_card_collected_in_another_ward_after_a_late_abolition_of_the_old_one_is_alive() {
    let mut world = World::new();
    let old = world.resident().card;
    let mut abolished = world.event("card-abolition", Subject::Card(old.card));
    world.pass(3600);
    let new = world.waiting_card(Some(old.holder));
    let mut moved = world.event("ward-move", Subject::Holder(old.holder));
    moved.municipality = Some(OTHER_WARD);
    world.report(&moved).unwrap();
    // Not while the old one is in use, nor with a signing certificate of the old address.
    world.pass(60);
    assert!(matches!(
        refusal(world.hand_over(new.card)),
        Refusal::NotGood { kind: CertificateKind::CardSign, .. }
    ));
    let renewed = world.issue(Place::Renewed(new.card), &[CertificateKind::CardSign]).unwrap();
    let sign = renewed.certificates[0].issued.certificate.serial;
    assert!(
        matches!(refusal(world.hand_over(new.card)), Refusal::OtherCard { card, .. } if card == old.card)
    );
    world.pass(60);
    world.report(&abolished).unwrap();
    assert!(world.hand_over(new.card).unwrap());
    assert!(!world.hand_over(new.card).unwrap(), "so already");
    assert_eq!((world.ocsp(SIGN, sign), world.ocsp(AUTH, new.auth)), ("good".to_owned(), "good".to_owned()));
    assert_eq!(world.ocsp(AUTH, old.auth), "CessationOfOperation");
    // The same event again, and once more under another id: the new card is not meant.
    assert!(world.report(&abolished).unwrap().repeated);
    abolished.event_id.push_str("-again");
    assert_eq!(world.report(&abolished).unwrap().changed, []);
    assert_eq!(world.ocsp(AUTH, new.auth), "good");
    assert_eq!(world.disagreements(), Vec::<String>::new());
}

#[test]
fn one_card_of_a_person_is_in_use() {
    let mut world = World::new();
    let first = world.resident().card;
    let second = world.waiting_card(Some(first.holder));
    let third = world.waiting_card(Some(first.holder));
    assert!(
        matches!(refusal(world.hand_over(second.card)), Refusal::OtherCard { card, .. } if card == first.card)
    );
    let lost = world.event("card-suspension", Subject::Card(first.card));
    world.report(&lost).unwrap();
    assert!(
        matches!(refusal(world.hand_over(second.card)), Refusal::OtherCard { card, .. } if card == first.card)
    );
    world.pass(60);
    let ended = world.event("card-abolition", Subject::Card(first.card));
    world.report(&ended).unwrap();
    // The second was never collected: it is an earlier card than the third.
    assert!(
        matches!(refusal(world.hand_over(third.card)), Refusal::OtherCard { card, .. } if card == second.card)
    );
    assert!(world.hand_over(second.card).unwrap());
    assert!(
        matches!(refusal(world.hand_over(third.card)), Refusal::OtherCard { card, .. } if card == second.card)
    );
}

#[test]
fn nothing_is_issued_or_handed_to_the_dead() {
    let mut world = World::new();
    let resident = world.resident();
    let waiting = world.waiting_card(Some(resident.card.holder));
    let empty = world.apply(Some(resident.card.holder)).unwrap();
    world.pass(60);
    let death = world.event("death", Subject::Holder(resident.card.holder));
    world.report(&death).unwrap();
    assert!(matches!(refusal(world.hand_over(waiting.card)), Refusal::HolderEnded { .. }));
    assert!(matches!(
        refusal(world.apply(Some(resident.card.holder)).map(|_| true)),
        Refusal::HolderEnded { .. }
    ));
    for place in [Place::Card(empty), Place::Renewed(resident.card.card)] {
        assert!(matches!(refusal(world.issue(place, &PAIR).map(|_| true)), Refusal::HolderEnded { .. }));
    }
    let phones = [CertificateKind::PhoneSign, CertificateKind::PhoneAuth];
    let with = Place::Phone { with: resident.card.card };
    assert!(matches!(refusal(world.issue(with, &phones).map(|_| true)), Refusal::HolderEnded { .. }));
}

#[test]
fn a_card_has_one_good_certificate_of_a_kind() {
    let world = World::new();
    let waiting = world.waiting_card(None);
    let refused = refusal(world.issue(Place::Card(waiting.card), &PAIR).map(|_| true));
    assert!(matches!(refused, Refusal::HasOne { .. }), "{refused}");
    let phones = [CertificateKind::PhoneSign, CertificateKind::PhoneAuth];
    let refused = refusal(world.issue(Place::Card(waiting.card), &phones).map(|_| true));
    assert!(matches!(refused, Refusal::NotOnThis { .. }), "{refused}");
    // A phone is set up with a card in use.
    let with = Place::Phone { with: waiting.card };
    let refused = refusal(world.issue(with, &phones).map(|_| true));
    assert!(matches!(refused, Refusal::CardIs { .. }), "{refused}");
}

#[test]
fn a_card_whose_time_is_over_makes_room_for_the_next() {
    let world = World::new();
    let first = world.resident().card;
    assert!(!world.office().card(first.card).unwrap().is_expired);
    // Past the sixth birthday: nothing on it holds any more.
    world.pass(6 * 366 * 86_400);
    world.office().renew_signers().unwrap();
    assert!(world.office().card(first.card).unwrap().is_expired);
    let second = world.waiting_card(Some(first.holder));
    assert!(world.hand_over(second.card).unwrap());
    assert_eq!(world.disagreements(), Vec::<String>::new());
}
