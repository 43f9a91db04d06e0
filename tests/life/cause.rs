//! A change of status names the report it comes from.

use sekisho::office::{Asked, Place, Selector, Subject, Wish};
use sekisho::pki::{AuthorityId, CertificateKind, SerialNumber};
use sekisho::record::{Event, Numbered, Origin, Position};

use crate::world::{AUTH, SIGN, World};

fn entries_after(world: &World, position: Position) -> Vec<Numbered> {
    world.office().store().entries(position.next()).map(Result::unwrap).collect()
}

fn head(world: &World) -> Position {
    world.office().store().head().0
}

/// Every change after that entry, with the report it names: its event, and whether that report is of
/// the same decision.
fn changes_after(world: &World, position: Position) -> Vec<(SerialNumber, Option<String>)> {
    let entries = entries_after(world, position);
    let report = |cause: Position, of: &Numbered| {
        let named = entries.iter().find(|numbered| numbered.position == cause).expect("a cause before this");
        assert_eq!(named.entry.origin, of.entry.origin, "the cause is of another decision");
        assert!(cause < of.position);
        match &named.entry.event {
            Event::Movement(movement) => movement.event.clone(),
            other => panic!("the cause is {other:?}"),
        }
    };
    let changes = entries.iter().filter(|one| {
        let event = &one.entry.event;
        event.certificate().is_some() && !matches!(event, Event::Issued(_))
    });
    let named = changes.map(|one| {
        let event = &one.entry.event;
        (event.certificate().unwrap().serial, event.cause().map(|cause| report(cause, one)))
    });
    named.collect()
}

fn named(authority: AuthorityId, serial: SerialNumber) -> Selector {
    let authority = if authority == SIGN { "sign" } else { "auth" }.to_owned();
    Selector::Named { authority, serial }
}

/// The report that `status` tells of.
fn behind(world: &World, authority: AuthorityId, serial: SerialNumber) -> Option<(String, Position)> {
    let state = world.office().inquire(&named(authority, serial), None).unwrap();
    state.behind.map(|behind| (behind.event, behind.position))
}

#[test]
fn what_a_report_changes_leads_back_to_it_also_in_one_group_with_others() {
    let mut world = World::new();
    let [dead, lost] = [world.resident(), world.resident()];
    world.pass(5);
    let before = head(&world);
    let death = world.event("death", Subject::Holder(dead.card.holder));
    let suspension = world.event("card-suspension", Subject::Card(lost.card.card));
    let effects = world.office().report(&[death, suspension], &sekisho::record::Actor::service());
    let [death, suspension] = <[_; 2]>::try_from(effects).unwrap().map(Result::unwrap);

    let changes = changes_after(&world, before);
    let said = |wanted: &str| changes.iter().filter(|(_, event)| event.as_deref() == Some(wanted)).count();
    assert_eq!((said("death"), changes.len() - said("death") - said("card-suspension")), (4, 0));
    assert!(said("card-suspension") >= 2);
    assert_eq!(behind(&world, AUTH, dead.phone.auth), Some(("death".to_owned(), death.position)));
    assert_eq!(
        behind(&world, SIGN, lost.card.sign),
        Some(("card-suspension".to_owned(), suspension.position))
    );
    // So it is read from the records that a start makes anew.
    world.restart(true);
    assert_eq!(behind(&world, AUTH, dead.phone.auth), Some(("death".to_owned(), death.position)));
}

#[test]
fn a_report_that_stands_behind_other_events_is_the_cause_of_what_follows_it() {
    let world = World::new();
    let resident = world.resident();
    world.pass(5);
    // A new phone: an application and two certificates, and then the report that ends the phone before.
    let before = head(&world);
    world.phone(resident.card.card);
    let old = [resident.phone.sign, resident.phone.auth];
    let changes = changes_after(&world, before);
    assert_eq!(changes, old.map(|serial| (serial, Some("new-phone".to_owned()))));
    assert_eq!(behind(&world, SIGN, old[0]).unwrap().0, "new-phone");

    // A renewal of both: two reports in one decision, each the cause of its own.
    world.pass(5);
    let before = head(&world);
    let kinds = [CertificateKind::CardSign, CertificateKind::CardAuth];
    world.pair(Place::Renewed(resident.card.card), kinds);
    let old = [resident.card.sign, resident.card.auth];
    assert_eq!(changes_after(&world, before), old.map(|serial| (serial, Some("renewal".to_owned()))));
    let causes = [behind(&world, SIGN, old[0]), behind(&world, AUTH, old[1])].map(|behind| behind.unwrap().1);
    for (cause, kind) in causes.into_iter().zip(kinds) {
        let entry = world.office().store().entry(cause).unwrap().unwrap().entry;
        assert!(matches!(entry.event, Event::Movement(movement) if movement.kind == Some(kind)));
    }
}

#[test]
fn what_was_asked_for_itself_leads_nowhere() {
    let world = World::new();
    let resident = world.resident();
    world.pass(5);
    let before = head(&world);
    for (certificate, wish) in [
        (named(SIGN, resident.card.sign), Wish::revoke(None, Some(world.now()))),
        (named(AUTH, resident.phone.auth), Wish::revoke(None, None)),
    ] {
        let asked = Asked { certificate, wish };
        assert!(world.office().change(&asked, Origin::service()).unwrap().changed);
        world.pass(2);
    }
    let changes = changes_after(&world, before);
    assert_eq!(changes.len(), 2);
    assert!(changes.iter().all(|(_, event)| event.is_none()), "{changes:?}");
    for (authority, serial) in [(SIGN, resident.card.sign), (AUTH, resident.phone.auth)] {
        assert_eq!(behind(&world, authority, serial), None);
    }
}
