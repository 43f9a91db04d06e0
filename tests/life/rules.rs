//! The table of what revokes what: a test for each of its rows.

use sekisho::office::{OfficeError, Place, Subject};
use sekisho::pki::{CertificateKind, Generation};
use sekisho::profile::Rules;
use sekisho::record::{Event, Origin, Position, Refusal};

use crate::world::{CITY, OTHER_WARD, Resident, SIGN, World};

const GOOD: &str = "good";
const MOVED: &str = "affiliationchanged";
const CEASED: &str = "cessationofoperation";
const HELD: &str = "certificatehold";
const REPLACED: &str = "superseded";

/// What becomes of card signing, card authentication, phone signing, phone authentication.
fn becomes(world: &World, resident: &Resident, wanted: [&str; 4]) {
    assert_eq!(world.verdicts(resident), wanted.map(ToOwned::to_owned));
    assert_eq!(world.disagreements(), Vec::<String>::new());
}

/// Reports an event about a person, once by their number and once by their card.
fn of_a_person(event: &str, wanted: [&str; 4]) {
    let mut world = World::new();
    let residents = [world.resident(), world.resident()];
    let bystander = world.resident();
    for (resident, subject) in residents
        .iter()
        .zip([Subject::Holder(residents[0].card.holder), Subject::Card(residents[1].card.card)])
    {
        let reported = world.event(event, subject);
        world.report(&reported).unwrap();
        becomes(&world, resident, wanted);
    }
    becomes(&world, &bystander, [GOOD; 4]);
}

#[test]
fn a_move_within_out_of_or_into_a_municipality_or_to_another_ward_revokes_signing() {
    for event in ["move-within", "move-out", "move-in", "ward-move"] {
        of_a_person(event, [MOVED, GOOD, MOVED, GOOD]);
    }
}

#[test]
fn a_change_of_name_date_of_birth_or_sex_revokes_signing() {
    for event in ["name-change", "birth-date-change", "sex-change"] {
        of_a_person(event, [MOVED, GOOD, MOVED, GOOD]);
    }
}

#[test]
fn a_minor_correction_revokes_nothing() {
    of_a_person("minor-correction", [GOOD; 4]);
}

#[test]
fn death_and_deletion_of_the_record_revoke_everything() {
    for event in ["death", "record-deletion"] {
        of_a_person(event, [CEASED; 4]);
    }
}

#[test]
fn a_move_overseas_without_continued_use_revokes_everything() {
    of_a_person("overseas", [CEASED; 4]);
}

#[test]
fn a_move_overseas_with_continued_use_revokes_signing() {
    of_a_person("overseas-continued", [MOVED, GOOD, MOVED, GOOD]);
}

/// Reports an event about one certificate after another.
fn of_a_certificate(event: &str, reason: &str) {
    let mut world = World::new();
    let resident = world.resident();
    let mut wanted = [GOOD; 4];
    for (at, kind) in
        [(1, CertificateKind::CardAuth), (2, CertificateKind::PhoneSign), (0, CertificateKind::CardSign)]
    {
        let phone = kind == CertificateKind::PhoneSign;
        let card = if phone { resident.phone.card } else { resident.card.card };
        let mut reported = world.event(event, Subject::Card(card));
        let refused = world.report(&reported).unwrap_err();
        assert!(matches!(refused, OfficeError::Refused(Refusal::NamesOther { .. })), "{refused}");
        reported.kind = Some(kind);
        assert_eq!(world.report(&reported).unwrap().changed.len(), 1);
        wanted[at] = reason;
        assert_eq!(world.verdicts(&resident), wanted.map(ToOwned::to_owned));
    }
}

#[test]
fn the_holder_asks_and_that_certificate_is_revoked() {
    of_a_certificate("holder-asks", CEASED);
}

#[test]
fn the_holders_key_leaked_and_that_certificate_is_revoked() {
    of_a_certificate("key-compromise", "keycompromise");
}

#[test]
fn a_lost_card_is_held_for_ever_and_its_phone_goes_on() {
    let mut world = World::new();
    let resident = world.resident();
    let lost = world.event("card-suspension", Subject::Card(resident.card.card));
    world.report(&lost).unwrap();
    becomes(&world, &resident, [HELD, HELD, GOOD, GOOD]);
    world.pass(60);
    let found = world.event("phone-found", Subject::Card(resident.card.card));
    let refused = world.report(&found).unwrap_err();
    assert!(
        matches!(refused, OfficeError::Refused(Refusal::NamesOther { wanted: "phone", .. })),
        "{refused}"
    );
    let ended = world.event("card-abolition", Subject::Card(resident.card.card));
    world.report(&ended).unwrap();
    becomes(&world, &resident, [CEASED; 4]);
}

#[test]
fn of_a_lost_phone_only_authentication_comes_back() {
    let mut world = World::new();
    let resident = world.resident();
    let lost = world.event("phone-suspension", Subject::Card(resident.phone.card));
    world.report(&lost).unwrap();
    becomes(&world, &resident, [GOOD, GOOD, HELD, HELD]);
    world.pass(60);
    let found = world.event("phone-found", Subject::Card(resident.phone.card));
    world.report(&found).unwrap();
    becomes(&world, &resident, [GOOD, GOOD, HELD, GOOD]);
    world.pass(60);
    let lost = world.event("phone-suspension", Subject::Card(resident.phone.card));
    world.report(&lost).unwrap();
    becomes(&world, &resident, [GOOD, GOOD, HELD, HELD]);
}

#[test]
fn renewal_and_re_issue_revoke_the_old_ones() {
    let mut world = World::new();
    let resident = world.resident();
    let renewed = world
        .pair(Place::Renewed(resident.card.card), [CertificateKind::CardSign, CertificateKind::CardAuth]);
    assert_eq!(renewed.card, resident.card.card);
    becomes(&world, &resident, [REPLACED, REPLACED, GOOD, GOOD]);
    let after = Resident { card: renewed, ..resident };
    becomes(&world, &after, [GOOD; 4]);
    // After a move only the signing certificate is renewed, and ends no later than its twin.
    let moved = world.event("move-within", Subject::Card(renewed.card));
    world.report(&moved).unwrap();
    world.pass(60);
    let pair = world.issue(Place::Renewed(renewed.card), &[CertificateKind::CardSign]).unwrap();
    let sign = &pair.certificates[0].issued;
    assert_eq!(world.ocsp(SIGN, sign.certificate.serial), GOOD);
    becomes(&world, &after, [MOVED, GOOD, MOVED, GOOD]);
    world.pass(60);
    let replaced = world.event("re-issue", Subject::Card(renewed.card));
    world.report(&replaced).unwrap();
    becomes(&world, &after, [MOVED, REPLACED, MOVED, GOOD]);
    assert_eq!(world.ocsp(SIGN, sign.certificate.serial), "Superseded");
    let refused = world.issue(Place::Renewed(renewed.card), &[CertificateKind::CardSign]).unwrap_err();
    assert!(matches!(refused, OfficeError::Refused(Refusal::CardIs { .. })), "{refused}");
}

#[test]
fn a_card_destroyed_before_hand_over_is_revoked_without_a_reason() {
    let mut world = World::new();
    let resident = world.resident();
    let destroyed = world.event("destroyed", Subject::Card(resident.card.card));
    let refused = world.report(&destroyed).unwrap_err();
    assert!(matches!(refused, OfficeError::Refused(Refusal::HandedOver(_))), "{refused}");
    let waiting = world.waiting_card(Some(resident.card.holder));
    let destroyed = world.event("destroyed", Subject::Card(waiting.card));
    world.report(&destroyed).unwrap();
    becomes(&world, &Resident { card: waiting, ..resident }, ["unspecified", "unspecified", GOOD, GOOD]);
    becomes(&world, &resident, [GOOD; 4]);
}

#[test]
fn an_abolished_card_takes_its_phone_with_it_and_nothing_else() {
    let mut world = World::new();
    let resident = world.resident();
    let waiting = world.waiting_card(Some(resident.card.holder));
    let abolished = world.event("card-abolition", Subject::Card(resident.card.card));
    world.report(&abolished).unwrap();
    becomes(&world, &resident, [CEASED; 4]);
    becomes(&world, &Resident { card: waiting, ..resident }, [GOOD, GOOD, CEASED, CEASED]);
    assert!(world.hand_over(waiting.card).unwrap());
}

#[test]
fn a_new_phone_revokes_the_old_ones_pair() {
    let world = World::new();
    let resident = world.resident();
    let phone = world.phone(resident.card.card);
    becomes(&world, &resident, [GOOD, GOOD, REPLACED, REPLACED]);
    becomes(&world, &Resident { phone, ..resident }, [GOOD; 4]);
    // It inherits the end of the card's signing certificate.
    let ends = |card| {
        let state = world.office().card(card).unwrap();
        state.records.iter().map(|record| record.issued.not_after).collect::<Vec<_>>()
    };
    assert_eq!(ends(phone.card), vec![ends(resident.card.card)[0]; 2]);
}

#[test]
fn a_compromised_key_revokes_all_it_signed() {
    let mut world = World::new();
    let resident = world.resident();
    let moved = world.event("move-within", Subject::Holder(resident.card.holder));
    let generation = world.event("ca-key-compromise", Subject::Holder(resident.card.holder));
    let refused = world.report(&generation).unwrap_err();
    assert!(matches!(refused, OfficeError::Refused(Refusal::NotOfAPerson(_))), "{refused}");
    let other = world.resident();
    world.report(&moved).unwrap();
    world.pass(60);
    let office = world.office();
    let said = office.compromise(SIGN, Generation::FIRST, None, Origin::service()).unwrap();
    assert!(said.changed);
    assert_eq!(office.write_compromises().unwrap(), 3, "what was revoked before stays; and the CA's own");
    let again = office.compromise(SIGN, Generation::FIRST, None, Origin::service()).unwrap();
    assert_eq!((again.changed, again.position), (false, said.position));
    assert_eq!(office.write_compromises().unwrap(), 0);
    assert_eq!(world.verdicts(&resident), [MOVED, GOOD, MOVED, GOOD].map(ToOwned::to_owned));
    assert_eq!(world.verdicts(&other), ["cacompromise", GOOD, "cacompromise", GOOD].map(ToOwned::to_owned));
    let none = office.compromise(SIGN, Generation::new(9).unwrap(), None, Origin::service());
    assert!(matches!(none, Err(OfficeError::NoSuchKey(..))));
}

#[test]
fn a_move_is_remembered_and_the_last_in_effect_counts() {
    let mut world = World::new();
    let resident = world.resident();
    let lives = |world: &World| world.office().card(resident.card.card).unwrap().holder.status.municipality;
    let mut first = world.event("move-in", Subject::Holder(resident.card.holder));
    first.municipality = Some(OTHER_WARD);
    world.pass(60);
    let mut second = world.event("move-in", Subject::Holder(resident.card.holder));
    second.municipality = Some(CITY);
    world.report(&second).unwrap();
    assert_eq!(lives(&world), CITY);
    world.report(&first).unwrap();
    assert_eq!(lives(&world), CITY, "reported later, in effect before");
    second.municipality = Some(sekisho::pki::Partition(1));
    second.event_id = "another".to_owned();
    assert!(matches!(world.report(&second), Err(OfficeError::Issue(_))));
}

/// The tables of rules on record, as far as they are there.
fn adopted(world: &World) -> Vec<Option<String>> {
    let entries = world.office().store().entries(Position(1)).map(Result::unwrap);
    let tables = entries.filter_map(|numbered| match numbered.entry.event {
        Event::RulesAdopted { sha256, table } => {
            assert!(table.as_ref().is_none_or(|text| Rules::from_csv(text).unwrap().sha256() == sha256));
            Some(table)
        }
        _ => None,
    });
    tables.collect()
}

#[test]
fn the_table_itself_is_on_record_once_for_each_time_it_changed() {
    let mut world = World::new();
    let shipped = Some(Rules::load().unwrap().text().to_owned());
    assert_eq!(adopted(&world), std::slice::from_ref(&shipped));
    for crash in [false, true] {
        world.restart(crash);
        assert_eq!(adopted(&world), std::slice::from_ref(&shipped));
    }
    // Other rules, and rules that are only named, as they were in journals of before.
    let other = Rules::from_csv(&shipped.clone().unwrap().replace("holder asks", "holder wishes")).unwrap();
    let sha256 = Rules::load().unwrap().sha256();
    assert_ne!(other.sha256(), sha256);
    for (sha256, table) in [(other.sha256(), Some(other.text().to_owned())), (sha256, None)] {
        let decide = Box::new(move |_: &sekisho::store::Records<'_>, _| {
            Ok(vec![Event::RulesAdopted { sha256, table: table.clone() }])
        });
        world.office().store().submit_wait(Origin::service(), decide).unwrap();
        world.restart(true);
        assert_eq!(adopted(&world).last(), Some(&shipped));
    }
    assert_eq!(adopted(&world).len(), 5);
    world.restart(false);
    assert_eq!(adopted(&world).len(), 5);
}
