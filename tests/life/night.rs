//! Every night cards are compared with their certificates.

use std::sync::Arc;

use sekisho::office::{CardState, Nightly, Subject};
use sekisho::pki::{CarrierState, CertificateKind};
use sekisho::record::{CardStatus, Event, Origin};
use sekisho::store::Records;

use crate::world::World;

const DAY: i64 = 86_400;

#[test]
fn every_night_at_four_cards_are_compared_and_what_disagrees_is_counted() {
    let world = World::new();
    let resident = world.resident();
    let mut nightly = Nightly::new(Arc::clone(world.office()));
    nightly.look();
    assert_eq!(world.office().reconciled(), None, "it was not night yet");
    world.pass(DAY);
    nightly.look();
    let first = world.office().reconciled().unwrap();
    assert_eq!((first.at, first.cards, first.disagreements), (world.now(), 2, 0));
    // No command says so: a card that is lost by the journal alone, with what is on it good.
    let CardState { card, .. } = world.office().card(resident.card.card).unwrap();
    let status = CardStatus { state: CarrierState::Suspended, ..card.status };
    let apart = move |_: &Records<'_>, _| Ok(vec![Event::CardChanged(card.applied.card, status)]);
    world.office().store().submit_wait(Origin::service(), Box::new(apart)).unwrap();
    nightly.look();
    assert_eq!(world.office().reconciled(), Some(first), "once a night");
    world.pass(DAY);
    nightly.look();
    assert_eq!(world.office().reconciled().unwrap().disagreements, 2, "each certificate");
}

#[test]
fn a_card_whose_holder_wanted_nothing_on_it_disagrees_with_nobody() {
    let mut world = World::new();
    let card = world.resident().card;
    for kind in [CertificateKind::CardSign, CertificateKind::CardAuth] {
        let mut asked = world.event("holder-asks", Subject::Card(card.card));
        asked.kind = Some(kind);
        assert_eq!(world.report(&asked).unwrap().changed.len(), 1);
    }
    assert_eq!(world.disagreements(), Vec::<String>::new());
}
