//! A dry run: each report is looked at after those before it, and says what an import then does.

use sekisho::office::{Effect, OfficeError, Reported, Subject};
use sekisho::pki::{CertStatus, CertificateKind};
use sekisho::record::Position;

use crate::world::{OTHER_WARD, World};

/// What a report came to, but for its place and time.
fn said(outcome: &Result<Effect, OfficeError>) -> String {
    match outcome {
        // The time of the decision is another one.
        Err(error) => error.to_string().split(", but it is").next().unwrap().to_owned(),
        Ok(effect) => {
            let changed = effect.changed.iter().map(|(certificate, status)| {
                let status = match status {
                    CertStatus::Revoked(revocation) => revocation.reason.name(),
                    CertStatus::Good | CertStatus::Unknown => "good",
                };
                format!("{} {} {status}", certificate.authority.0, certificate.serial)
            });
            let changed: Vec<String> = changed.collect();
            format!("{}: {}", if effect.repeated { "again" } else { "first" }, changed.join(", "))
        }
    }
}

#[test]
fn a_rehearsal_says_what_the_import_then_does() {
    let mut world = World::new();
    let [moved, lost, dead, waiting] =
        [world.resident(), world.resident(), world.resident(), world.resident()];
    let second = world.waiting_card(Some(waiting.card.holder));
    world.pass(5);
    let person = |resident: &crate::world::Resident| Subject::Holder(resident.card.holder);
    let card = |resident: &crate::world::Resident| Subject::Card(resident.card.card);
    let phone = |resident: &crate::world::Resident| Subject::Card(resident.phone.card);
    let mut all: Vec<Reported> = [
        ("move-within", person(&moved)),
        ("name-change", person(&moved)),
        ("phone-suspension", phone(&lost)),
        ("phone-found", phone(&lost)),
        ("phone-suspension", phone(&lost)),
        ("card-suspension", card(&lost)),
        ("card-abolition", card(&lost)),
        ("death", person(&dead)),
        ("card-abolition", card(&dead)),
        ("marriage", person(&dead)),
        ("ward-move", person(&waiting)),
        ("card-abolition", Subject::Card(second.card)),
        ("destroyed", Subject::Card(second.card)),
        ("holder-asks", card(&waiting)),
    ]
    .into_iter()
    .map(|(event, subject)| world.event(event, subject))
    .collect();
    all[3].effective_at = world.pass(1);
    all[4].effective_at = world.pass(1);
    all[10].municipality = Some(OTHER_WARD);
    all[13].kind = Some(CertificateKind::CardAuth);
    // The same report again, and another under its id.
    all.push(all[0].clone());
    all.push(Reported { subject: person(&dead), ..all[0].clone() });
    all.push(Reported { event_id: String::new(), ..all[0].clone() });
    all.push(Reported {
        event_id: "late".to_owned(),
        effective_at: world.now().plus(std::time::Duration::from_secs(900)),
        ..all[0].clone()
    });

    let entries = || world.office().store().entries(Position(1)).count();
    let before = entries();
    let rehearsed: Vec<String> = world.office().rehearse(&all).iter().map(said).collect();
    let by_itself = |reported| said(&world.office().rehearse(std::slice::from_ref(reported))[0]);
    let alone: Vec<String> = all.iter().map(by_itself).collect();
    assert_eq!(entries(), before, "nothing is written");
    let imported: Vec<String> = all
        .iter()
        .map(|reported| {
            world.pass(2);
            said(&world.report(reported))
        })
        .collect();
    assert_eq!(rehearsed, imported);
    // What was said of them by themselves is not what they came to.
    for (at, came_to) in [(1, "first: "), (8, "first: "), (14, "again: ")] {
        assert!(imported[at].starts_with(came_to), "{at}: {}", imported[at]);
        assert_ne!(alone[at], imported[at], "{at}");
    }
    assert!(imported[3].contains("good") && imported[4].contains("certificateHold"), "{imported:#?}");
}
