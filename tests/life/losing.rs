//! Cards and phones that are lost and found: with all that is on them, and at nobody's word otherwise.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sekisho::lifecycle::Turn;
use sekisho::office::{Asked, OfficeError, Place, Selector, Subject, Wish};
use sekisho::pki::{AuthorityId, CarrierState, CertificateKind, Generation, RevocationReason, SerialNumber};
use sekisho::record::{CardId, HolderId, Origin, Refusal};

use crate::world::{AUTH, Carried, Resident, SIGN, World};

const PAIR: [CertificateKind; 2] = [CertificateKind::CardSign, CertificateKind::CardAuth];
const HOLD: Wish = Wish::Hold { invalidity_date: None };

fn named(authority: AuthorityId, serial: SerialNumber) -> Selector {
    let authority = if authority == SIGN { "sign" } else { "auth" }.to_owned();
    Selector::Named { authority, serial }
}

/// What is wished for a certificate; true when it changed something.
fn wish(
    world: &World,
    authority: AuthorityId,
    serial: SerialNumber,
    wish: Wish,
) -> Result<bool, OfficeError> {
    let asked = Asked { certificate: named(authority, serial), wish };
    world.office().change(&asked, Origin::service()).map(|done| done.changed)
}

fn refusal<T: std::fmt::Debug>(result: Result<T, OfficeError>) -> Refusal {
    match result {
        Err(OfficeError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

fn agree(world: &World) {
    assert_eq!(world.disagreements(), Vec::<String>::new());
}

#[test]
fn c_1_a_card_lost_and_found_ends_what_was_on_it_and_carries_new_certificates() {
    let world = World::new();
    let resident = world.resident();
    let Resident { card, .. } = resident;
    assert!(matches!(refusal(world.turn(card.card, Turn::Found)), Refusal::NotLost { .. }));

    let lost = world.turn(card.card, Turn::Lost).unwrap();
    assert_eq!((lost.change.changed, lost.changed.len()), (true, 2));
    assert_eq!(world.state(card.card), CarrierState::Suspended);
    assert_eq!(world.verdicts(&resident), ["certificatehold", "certificatehold", "good", "good"]);
    let again = world.turn(card.card, Turn::Lost).unwrap();
    assert_eq!((again.change.changed, again.changed.len()), (false, 0), "so already");
    assert!(matches!(refusal(world.issue(Place::Renewed(card.card), &PAIR)), Refusal::CardIs { .. }));
    agree(&world);

    let found = world.turn(card.card, Turn::Found).unwrap();
    assert_eq!((found.change.changed, found.changed.len()), (true, 2));
    assert_eq!(world.state(card.card), CarrierState::InUse);
    let ended = "cessationofoperation";
    assert_eq!(world.verdicts(&resident), [ended, ended, "good", "good"]);
    assert!(!world.turn(card.card, Turn::Found).unwrap().change.changed, "so already");
    agree(&world);

    let renewed = world.pair(Place::Renewed(card.card), PAIR);
    assert_eq!(renewed.card, card.card);
    assert_eq!(world.verdicts(&Resident { card: renewed, ..resident }), ["good"; 4]);
    agree(&world);
    // And lost once more.
    assert_eq!(world.turn(card.card, Turn::Lost).unwrap().changed.len(), 2);
    assert_eq!(world.state(card.card), CarrierState::Suspended);
    agree(&world);
}

#[test]
fn c_1_of_a_phone_lost_and_found_authentication_comes_back() {
    let world = World::new();
    let resident = world.resident();
    assert_eq!(world.turn(resident.phone.card, Turn::Lost).unwrap().changed.len(), 2);
    assert_eq!(world.verdicts(&resident), ["good", "good", "certificatehold", "certificatehold"]);
    assert_eq!(world.turn(resident.phone.card, Turn::Found).unwrap().changed.len(), 1);
    assert_eq!(world.verdicts(&resident), ["good", "good", "certificatehold", "good"]);
    agree(&world);
}

#[test]
fn c_1_a_certificate_on_a_card_is_held_and_released_with_it_alone() {
    let world = World::new();
    let Resident { card, phone } = world.resident();
    let all = [(SIGN, card.sign), (AUTH, card.auth), (SIGN, phone.sign), (AUTH, phone.auth)];
    let refused = |wanted: Wish, does: &str| {
        let before = world.office().store().head();
        for (authority, serial) in all {
            let refused = refusal(wish(&world, authority, serial, wanted));
            let Refusal::OnCard { card: on, does: said, .. } = &refused else { panic!("{refused}") };
            assert_eq!(*said, does);
            let told = refused.to_string();
            assert!(told.contains(&format!("use card {does}")), "{told}");
            assert!(told.contains(&format!("sekisho card {does} {on}")) && !told.contains('\n'), "{told}");
        }
        assert_eq!(world.office().store().head(), before, "nothing is written");
    };
    refused(HOLD, "suspend");
    for (authority, serial) in all {
        assert_eq!(refusal(wish(&world, authority, serial, Wish::Release)), Refusal::NotHeld);
    }
    for one in [card, phone] {
        world.turn(one.card, Turn::Lost).unwrap();
    }
    refused(HOLD, "suspend");
    refused(Wish::Release, "found");
    agree(&world);
    // What is revoked is revoked, and is told so.
    world.turn(card.card, Turn::Found).unwrap();
    for wanted in [HOLD, Wish::Release] {
        assert!(matches!(refusal(wish(&world, SIGN, card.sign, wanted)), Refusal::AlreadyRevoked { .. }));
    }
}

#[test]
fn c_1_one_certificate_is_revoked_by_itself_and_the_card_stays_as_it_is() {
    let world = World::new();
    for reason in [None, Some(RevocationReason::CessationOfOperation), Some(RevocationReason::KeyCompromise)]
    {
        for lost in [false, true] {
            let resident = world.resident();
            for one in [resident.card, resident.phone] {
                if lost {
                    world.turn(one.card, Turn::Lost).unwrap();
                }
                let state = world.state(one.card);
                for (authority, serial) in [(SIGN, one.sign), (AUTH, one.auth)] {
                    assert!(wish(&world, authority, serial, Wish::revoke(reason, None)).unwrap());
                    assert_eq!(world.state(one.card), state);
                    agree(&world);
                }
                if lost {
                    world.turn(one.card, Turn::Found).unwrap();
                    assert_eq!(world.state(one.card), CarrierState::InUse);
                    agree(&world);
                }
            }
        }
    }
}

#[test]
fn c_1_keys_of_both_authorities_compromised_leave_cards_in_use_with_nothing_on_them() {
    let world = World::new();
    world.resident();
    for authority in [SIGN, AUTH] {
        world.pass(5);
        world.office().compromise(authority, Generation::FIRST, None, Origin::service()).unwrap();
    }
    agree(&world);
    world.office().write_compromises().unwrap();
    agree(&world);
}

#[test]
fn c_1_a_card_lost_at_the_counter_waits_there_again_when_it_is_found() {
    let world = World::new();
    let old = world.resident().card;
    let new = world.waiting_card(Some(old.holder));
    world.turn(new.card, Turn::Lost).unwrap();
    assert_eq!(world.state(new.card), CarrierState::Withheld);
    agree(&world);
    assert!(matches!(refusal(world.hand_over(new.card)), Refusal::CardIs { .. }));
    world.turn(new.card, Turn::Found).unwrap();
    assert_eq!(world.state(new.card), CarrierState::Issued, "nobody handed it over");
    assert!(matches!(refusal(world.hand_over(new.card)), Refusal::NotGood { .. }));
    world.pair(Place::Renewed(new.card), PAIR);
    assert!(matches!(refusal(world.hand_over(new.card)), Refusal::OtherCard { .. }));
    agree(&world);
}

#[test]
fn c_1_no_other_card_is_handed_over_while_the_one_in_use_is_lost() {
    let world = World::new();
    let earlier = world.waiting_card(None);
    let later = world.waiting_card(Some(earlier.holder));
    assert!(matches!(refusal(world.hand_over(later.card)), Refusal::OtherCard { .. }));
    assert!(world.hand_over(earlier.card).unwrap());
    world.turn(earlier.card, Turn::Lost).unwrap();
    let refused = refusal(world.hand_over(later.card));
    assert!(matches!(refused, Refusal::OtherCard { card, .. } if card == earlier.card), "{refused}");
    world.turn(earlier.card, Turn::Found).unwrap();
    agree(&world);
}

#[test]
fn c_1_what_cannot_be_lost_or_found_is_refused_by_its_state() {
    let mut world = World::new();
    let applied = world.apply(None).unwrap();
    let ended = world.resident().card.card;
    let abolished = world.event("card-abolition", Subject::Card(ended));
    world.report(&abolished).unwrap();
    for card in [applied, ended] {
        for turn in [Turn::Lost, Turn::Found] {
            assert!(matches!(refusal(world.turn(card, turn)), Refusal::NotInUse { .. }));
        }
    }
    let nobodys = CardId(7);
    assert_eq!(refusal(world.turn(nobodys, Turn::Lost)), Refusal::NoCard(nobodys));
}

#[test]
fn c_1_a_loss_reported_after_one_certificate_was_renewed_holds_the_older_one_alone() {
    let mut world = World::new();
    let card = world.resident().card;
    let lost = world.event("card-suspension", Subject::Card(card.card));
    world.pass(60);
    world.issue(Place::Renewed(card.card), &PAIR[..1]).unwrap();
    world.pass(60);
    world.report(&lost).unwrap();
    assert_eq!(world.ocsp(AUTH, card.auth), "CertificateHold");
    assert_eq!(world.state(card.card), CarrierState::InUse, "its holder had it after that");
    agree(&world);
    world.pass(2);
    world.issue(Place::Renewed(card.card), &PAIR[1..]).unwrap();
    assert_eq!(world.ocsp(AUTH, card.auth), "Superseded");
    agree(&world);
}

/// A loss and a find in whatever order they arrive.
#[test]
fn c_1_a_find_that_arrives_before_its_loss_leaves_the_card_as_one_that_arrives_after_it() {
    for late in [false, true] {
        let mut world = World::new();
        let resident = world.resident();
        let lost = world.event("card-suspension", Subject::Card(resident.card.card));
        world.pass(60);
        let found = world.event("card-found", Subject::Card(resident.card.card));
        world.pass(60);
        for report in if late { [found, lost] } else { [lost, found] } {
            world.report(&report).unwrap();
            world.pass(2);
        }
        let ended = "cessationofoperation";
        assert_eq!(world.verdicts(&resident), [ended, ended, "good", "good"]);
        assert_eq!(world.state(resident.card.card), CarrierState::InUse);
        agree(&world);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Command {
    Apply,
    Issue,
    HandOver,
    Renew,
    SetUpPhone,
    Lose,
    Find,
    Hold,
    Release,
    Revoke,
    HolderAsks,
    Move,
    Abolish,
    Die,
}

const COMMANDS: [(u32, Command); 14] = [
    (3, Command::Apply),
    (6, Command::Issue),
    (7, Command::HandOver),
    (5, Command::Renew),
    (4, Command::SetUpPhone),
    (10, Command::Lose),
    (10, Command::Find),
    (3, Command::Hold),
    (3, Command::Release),
    (3, Command::Revoke),
    (3, Command::HolderAsks),
    (2, Command::Move),
    (2, Command::Abolish),
    (1, Command::Die),
];

/// A few people and their cards.
#[derive(Default)]
struct Town {
    cards: Vec<(CardId, HolderId)>,
    certificates: Vec<(AuthorityId, SerialNumber)>,
}

impl Town {
    fn take(&mut self, world: &mut World, command: Command, pick: usize) -> bool {
        world.pass(3);
        let card = self.pick(world, command, pick);
        let certificate = self.certificates.get(pick % self.certificates.len().max(1)).copied();
        match (command, card, certificate) {
            (Command::Apply, card, _) => {
                let holder = card.filter(|_| pick.is_multiple_of(2)).map(|(_, holder)| holder);
                let applied = world.apply(holder);
                applied.is_ok_and(|card| self.know(world, card))
            }
            (Command::Issue, Some((card, _)), _) => self.issue(world, Place::Card(card), &PAIR),
            (Command::Renew, Some((card, _)), _) => {
                let kinds = [&PAIR[..], &PAIR[..1], &PAIR[1..]][pick % 3];
                self.issue(world, Place::Renewed(card), kinds)
            }
            (Command::SetUpPhone, Some((with, _)), _) => {
                let kinds = [CertificateKind::PhoneSign, CertificateKind::PhoneAuth];
                self.issue(world, Place::Phone { with }, &kinds)
            }
            (Command::HandOver, Some((card, _)), _) => world.hand_over(card).is_ok_and(|changed| changed),
            (Command::Lose, Some((card, _)), _) => changes(world, card, Turn::Lost),
            (Command::Find, Some((card, _)), _) => changes(world, card, Turn::Found),
            (Command::Hold, _, Some((authority, serial))) => {
                assert!(wish(world, authority, serial, HOLD).is_err());
                true
            }
            (Command::Release, _, Some((authority, serial))) => {
                let released = wish(world, authority, serial, Wish::Release);
                assert!(!released.is_ok_and(|changed| changed));
                true
            }
            (Command::Revoke, _, Some((authority, serial))) => {
                wish(world, authority, serial, Wish::revoke(None, None)).unwrap()
            }
            (Command::HolderAsks, Some((card, _)), _) => {
                let mut asked = world.event("holder-asks", Subject::Card(card));
                asked.kind = Some(PAIR[pick % 2]);
                world.report(&asked).is_ok_and(|effect| !effect.changed.is_empty())
            }
            (Command::Move | Command::Die, Some((_, holder)), _) => {
                let event = if command == Command::Die { "death" } else { "move-in" };
                let report = world.event(event, Subject::Holder(holder));
                world.report(&report).is_ok_and(|effect| !effect.changed.is_empty())
            }
            (Command::Abolish, Some((card, _)), _) => {
                let report = world.event("card-abolition", Subject::Card(card));
                world.report(&report).is_ok_and(|effect| !effect.changed.is_empty())
            }
            _ => false,
        }
    }

    /// Three times in four one of those that it is meant for.
    fn pick(&self, world: &World, command: Command, pick: usize) -> Option<(CardId, HolderId)> {
        let meant: &[CarrierState] = match command {
            Command::Issue => &[CarrierState::Applied],
            Command::HandOver => &[CarrierState::Issued],
            Command::SetUpPhone => &[CarrierState::InUse],
            Command::Find => &[CarrierState::Suspended, CarrierState::Withheld],
            _ => &[CarrierState::Issued, CarrierState::InUse],
        };
        let suits = |card: &&(CardId, HolderId)| meant.contains(&world.state(card.0));
        let suitable: Vec<_> = self.cards.iter().filter(suits).copied().collect();
        let from = if suitable.is_empty() || pick.is_multiple_of(4) { &self.cards } else { &suitable };
        from.get(pick / 4 % from.len().max(1)).copied()
    }

    fn know(&mut self, world: &World, card: CardId) -> bool {
        self.cards.push((card, world.office().card(card).unwrap().holder.id));
        true
    }

    fn issue(&mut self, world: &World, place: Place, kinds: &[CertificateKind]) -> bool {
        let Ok(pair) = world.issue(place, kinds) else { return false };
        for one in &pair.certificates {
            self.certificates.push((one.issued.certificate.authority, one.issued.certificate.serial));
        }
        let card = pair.certificates[0].issued.card.unwrap();
        if !self.cards.iter().any(|(known, _)| *known == card) {
            self.know(world, card);
        }
        true
    }
}

fn changes(world: &World, card: CardId, turn: Turn) -> bool {
    world.turn(card, turn).is_ok_and(|turned| turned.change.changed)
}

/// Whatever is asked for by commands, in whatever order: what is refused leaves nothing behind, and what is
/// carried out leaves cards and certificates of one mind.
#[test]
fn c_1_no_sequence_of_commands_sets_a_card_and_its_certificates_apart() {
    let cases = std::env::var("SEKISHO_COMMAND_CASES").map_or(12, |text| text.parse().unwrap());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let command = prop::strategy::Union::new_weighted(
        COMMANDS.map(|(weight, command)| (weight, Just(command))).to_vec(),
    );
    let steps = prop::collection::vec((command, any::<u16>()), 60);
    let counted: RefCell<BTreeMap<Command, u32>> = RefCell::default();
    TestRunner::new_with_rng(config, random)
        .run(&steps, |steps| {
            let mut world = World::new();
            let mut town = Town::default();
            let Resident { card: Carried { card, holder, sign, auth }, phone } = world.resident();
            town.cards.extend([(card, holder), (phone.card, holder)]);
            town.certificates.extend([(SIGN, sign), (AUTH, auth), (SIGN, phone.sign), (AUTH, phone.auth)]);
            for (command, pick) in steps {
                if town.take(&mut world, command, usize::from(pick)) {
                    *counted.borrow_mut().entry(command).or_default() += 1;
                }
                prop_assert_eq!(world.disagreements(), Vec::<String>::new(), "after {:?}", command);
            }
            let findings = world.office().examine(None).unwrap().findings;
            prop_assert_eq!(findings, Vec::<String>::new());
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    let counted = counted.into_inner();
    println!("with effect: {counted:?}");
    for (_, command) in COMMANDS {
        assert!(counted.get(&command).copied().unwrap_or(0) >= 3, "{command:?} hardly happened: {counted:?}");
    }
}
