//! Every night cards are compared with their certificates.

use std::sync::Arc;

use sekisho::office::{Asked, Nightly, Selector, Subject, Wish};
use sekisho::pki::{CertificateKind, RevocationReason};
use sekisho::record::Origin;

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
    // Somebody revokes by hand what no report is about: a card in use with nothing good on it.
    for (authority, serial) in [("sign", resident.card.sign), ("auth", resident.card.auth)] {
        let certificate = Selector::Named { authority: authority.to_owned(), serial };
        let wish = Wish::revoke(Some(RevocationReason::CessationOfOperation), None);
        world.office().change(&Asked { certificate, wish }, Origin::service()).unwrap();
    }
    nightly.look();
    assert_eq!(world.office().reconciled(), Some(first), "once a night");
    world.pass(DAY);
    nightly.look();
    assert_eq!(world.office().reconciled().unwrap().disagreements, 1);
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
