//! A key of an authority is compromised, or lost: what is said of what it signed, and what goes on.

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sekisho::crl::CrlKind;
use sekisho::der::UnixTime;
use sekisho::office::{Keeper, KeyUse, OfficeError, Place, Schedule, Selector, TOGETHER, WAIT, Wish, reason};
use sekisho::pki::{CertStatus, CertificateKind, Generation, Issuer, RevocationReason, SerialNumber};
use sekisho::record::{Event, Numbered, Origin, Position, Refusal};

use crate::world::{AUTH, SIGN, World};

const FIRST: Generation = Generation::FIRST;
const DAY: i64 = 86_400;

/// What OCSP says of a compromised key's certificates, as the decoder names it.
const COMPROMISED: &str = "CaCompromise";

fn second() -> Generation {
    Generation::new(2).unwrap()
}

fn serial(number: u64) -> SerialNumber {
    SerialNumber::try_from(number).unwrap()
}

fn named(authority: &str, serial: SerialNumber) -> Selector {
    Selector::Named { authority: authority.to_owned(), serial }
}

/// A certificate of its own, on no card.
fn issue(world: &World, kind: CertificateKind) -> Result<SerialNumber, OfficeError> {
    let issued = world.issue(Place::New, &[kind])?;
    Ok(issued.certificates[0].issued.certificate.serial)
}

fn change(world: &World, serial: SerialNumber, wish: Wish) -> Result<bool, OfficeError> {
    Ok(crate::turns::change(world.office(), &named("sign", serial), wish, Origin::service())?.changed)
}

fn entries(world: &World) -> Vec<Numbered> {
    world.office().store().entries(Position(1)).map(Result::unwrap).collect()
}

/// What is on record of a certificate: since when it is revoked, on what ground.
fn on_record(world: &World, serial: SerialNumber) -> Option<(UnixTime, RevocationReason)> {
    match world.office().inquire(&named("sign", serial), None).unwrap().status {
        CertStatus::Revoked(it) => Some((it.revoked_at, it.reason)),
        CertStatus::Good | CertStatus::Unknown => None,
    }
}

fn compromise(world: &World) -> (Position, UnixTime) {
    let said = world.office().compromise(SIGN, FIRST, None, Origin::service()).unwrap();
    assert!(said.changed && !said.written);
    (said.position, said.recorded_at)
}

/// The CA certificate of the first key of `sign`.
fn ca(world: &World, authority: &str) -> Issuer {
    let pem = fs::read(world.office().data().ca_certificate(authority, FIRST)).unwrap();
    let der = pem::parse(pem).unwrap().into_contents();
    let id = if authority == "sign" { SIGN } else { AUTH };
    Issuer::from_certificate(id, FIRST, &der).unwrap()
}

#[test]
fn b_3_1_one_entry_revokes_all_at_once_issued_or_not() {
    let world = World::new();
    let kind = CertificateKind::CardSign;
    let [good, held, moved] = [(); 3].map(|()| issue(&world, kind).unwrap());
    world.office().publish(&[SIGN, AUTH], true).unwrap();
    world.pass(60);
    let hold_at = world.now();
    assert!(change(&world, held, Wish::Hold { invalidity_date: None }).unwrap());
    let ground = Some(RevocationReason::AffiliationChanged);
    assert!(change(&world, moved, Wish::revoke(ground, None)).unwrap());
    let stood = on_record(&world, moved).unwrap();
    // Answers that were kept before are not given behind it.
    let made_up = [serial(7_777_777), serial(u64::MAX), SerialNumber::from_magnitude(&[0x5a; 20]).unwrap()];
    let before: Vec<String> = [good].iter().chain(&made_up).map(|it| world.ocsp(SIGN, *it)).collect();
    assert_eq!(before, ["good", "unknown", "unknown", "unknown"]);
    world.pass(60);
    let entries_before = entries(&world).len();
    let (position, since) = compromise(&world);
    assert_eq!(entries(&world).len(), entries_before + 1, "one entry");
    let ca = ca(&world, "sign");
    for asked in [good, held, ca.serial].iter().chain(&made_up) {
        assert_eq!(world.ocsp(SIGN, *asked), COMPROMISED, "{asked}");
    }
    assert_eq!(world.ocsp(SIGN, moved), "AffiliationChanged", "what was revoked before stays");
    // So do signers, which answer for it: nobody asks about them, and who does hears the same.
    let signer = entries(&world).into_iter().find_map(|one| match one.entry.event {
        Event::Issued(it) if it.kind == CertificateKind::OcspSigner && it.certificate.authority == SIGN => {
            Some(it.certificate.serial)
        }
        _ => None,
    });
    assert_eq!(world.ocsp(SIGN, signer.unwrap()), COMPROMISED);
    assert_eq!(on_record(&world, signer.unwrap()), None, "a signer is not revoked by it");
    let cause = RevocationReason::CaCompromise;
    assert_eq!(on_record(&world, good), Some((since, cause)));
    assert_eq!(on_record(&world, ca.serial), Some((since, cause)));
    assert_eq!(on_record(&world, held), Some((hold_at, cause)), "dated as the hold, as ever");
    assert_eq!(on_record(&world, moved), Some(stood));
    let state = world.office().inquire(&named("sign", good), None).unwrap();
    assert_eq!((state.position, state.recorded_at), (position, since));
    // The other authority's is another key.
    let other = issue(&world, CertificateKind::CardAuth).unwrap();
    assert_eq!(world.ocsp(AUTH, other), "good");
    assert_eq!(world.ocsp(AUTH, serial(7_777_777)), "unknown");
    world.office().compare_folds().unwrap();
    world.office().compare_invalidity_dates().unwrap();
}

#[test]
fn b_3_2_nothing_is_issued_by_it_and_no_decision_takes_it_back() {
    let world = World::new();
    let [first, held] = [(); 2].map(|()| issue(&world, CertificateKind::CardSign).unwrap());
    world.pass(60);
    change(&world, held, Wish::Hold { invalidity_date: None }).unwrap();
    world.pass(60);
    let late = world.now().plus(Duration::from_secs(1));
    let refused = world.office().compromise(SIGN, FIRST, Some(late), Origin::service());
    assert!(matches!(refused, Err(OfficeError::Refused(Refusal::InvalidityInFuture { .. }))), "{refused:?}");
    let refused = world.office().compromise(SIGN, second(), None, Origin::service());
    assert!(matches!(refused, Err(OfficeError::NoSuchKey(..))), "{refused:?}");
    let since = world.now().minus(Duration::from_secs(3600));
    let said = world.office().compromise(SIGN, FIRST, Some(since), Origin::service()).unwrap();
    world.office().compare_invalidity_dates().unwrap();
    world.pass(60);
    let refused = issue(&world, CertificateKind::CardSign).unwrap_err();
    assert!(matches!(refused, OfficeError::Refused(Refusal::KeyCompromised(_))), "{refused}");
    assert!(refused.to_string().contains("sekisho authority rollover"), "{refused}");
    // Whoever goes around that is refused where entries are made.
    let issued = entries(&world).into_iter().find_map(|one| match one.entry.event {
        Event::Issued(issued) if issued.kind == CertificateKind::CardSign => Some(issued),
        _ => None,
    });
    let mut issued = issued.unwrap();
    (issued.certificate.serial, issued.card, issued.holder) = (serial(99_999), None, None);
    let decide = Box::new(move |_: &sekisho::store::Records<'_>, _| Ok(vec![Event::Issued(issued.clone())]));
    let refused = world.office().store().submit_wait(Origin::service(), decide).unwrap_err();
    assert!(refused.to_string().contains("whose key is compromised"), "{refused}");
    let was = RevocationReason::CaCompromise;
    for serial in [first, held] {
        let refused = change(&world, serial, Wish::revoke(Some(RevocationReason::Superseded), None));
        let expected =
            matches!(&refused, Err(OfficeError::Refused(Refusal::AlreadyRevoked { was: it })) if *it == was);
        assert!(expected, "{refused:?}");
        // The card may be lost and found: what it carries stays revoked.
        let before = on_record(&world, serial);
        for wish in [Wish::Hold { invalidity_date: None }, Wish::Release] {
            assert!(!matches!(change(&world, serial, wish), Ok(true)), "{wish:?}");
            assert_eq!(on_record(&world, serial), before);
        }
    }
    // The one ground that is sharper, before its own entry is written: the date stays.
    assert!(change(&world, first, Wish::revoke(Some(RevocationReason::KeyCompromise), None)).unwrap());
    let stands = Some((said.recorded_at, RevocationReason::KeyCompromise));
    assert_eq!(on_record(&world, first), stands);
    world.office().compare_folds().unwrap();
    assert_eq!(world.office().write_compromises().unwrap(), 2, "the held one and the CA certificate");
    assert_eq!(on_record(&world, first), stands);
    world.office().compare_folds().unwrap();
    world.office().compare_invalidity_dates().unwrap();
    let again = world.office().compromise(SIGN, FIRST, None, Origin::service()).unwrap();
    assert_eq!((again.changed, again.written), (false, true));
    assert_eq!((again.position, again.invalidity_date), (said.position, Some(since)));
}

#[test]
fn b_3_3_single_revocations_go_on_after_a_kill_and_no_crl_comes_out_between() {
    let mut world = World::new();
    let all: Vec<SerialNumber> = (0..7).map(|_| issue(&world, CertificateKind::CardSign).unwrap()).collect();
    world.office().publish(&[SIGN, AUTH], true).unwrap();
    world.pass(60);
    let (cause, since) = compromise(&world);
    let two = NonZeroUsize::new(2).unwrap();
    let mut decisions = 2;
    let some = world.office().write_compromises_by(two, &mut || {
        decisions -= 1;
        decisions >= 0
    });
    assert_eq!(some.unwrap(), 4);
    let refused_everywhere = |world: &World| {
        for refused in [
            world.office().publish(&[SIGN], true),
            world.office().publish(&[AUTH, SIGN], false),
            world.office().publish_deltas(&[SIGN]),
        ] {
            assert!(matches!(refused, Err(OfficeError::Revoking(..))), "{refused:?}");
        }
        world.office().publish(&[AUTH], false).unwrap();
        let told = world.office().attention();
        assert!(told.iter().any(|one| one.reason == reason::COMPROMISED), "{told:?}");
        for serial in &all {
            assert_eq!(world.ocsp(SIGN, *serial), COMPROMISED);
            assert_eq!(on_record(world, *serial), Some((since, RevocationReason::CaCompromise)));
        }
        world.office().compare_folds().unwrap();
    };
    refused_everywhere(&world);
    for crash in [true, false, true] {
        world.restart(crash);
        world.office().settle().unwrap();
        refused_everywhere(&world);
    }
    world.pass(60);
    // The schedule finds it by itself, and what comes out then lists all of it.
    let schedule = Schedule::start(Arc::clone(world.office())).unwrap();
    let began = Instant::now();
    let listed = || {
        let rows = world.office().served_catalogue().unwrap().unwrap().crls;
        let full = rows.into_iter().find(|row| row.authority == "sign" && row.kind == CrlKind::Full);
        full.unwrap().entries
    };
    while listed() == 0 {
        assert!(began.elapsed() < Duration::from_secs(120), "no CRL came out");
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(schedule);
    assert_eq!(listed(), 7 + 1, "and the CA certificate");
    world.office().compare_folds().unwrap();
    let mut single = BTreeSet::new();
    for Numbered { entry, .. } in entries(&world) {
        if let Event::Revoked(it) = entry.event {
            assert_eq!((it.cause, it.became.revoked_at), (Some(cause), since));
            assert!(single.insert(it.certificate.serial), "{} twice", it.certificate.serial);
        }
    }
    assert_eq!(single.len(), 7 + 1);
    let done = |one: &Numbered| matches!(one.entry.event, Event::GenerationRevoked { .. });
    assert_eq!(entries(&world).iter().filter(|one| done(one)).count(), 1);
    world.restart(true);
    world.office().settle().unwrap();
    world.office().compare_folds().unwrap();
    assert_eq!(TOGETHER.get(), 10_000);
}

/// Records are put in the place of others while the single revocations are written: between two decisions nobody
/// reads them.
#[test]
fn the_records_are_let_go_of_before_each_decision_and_a_stop_ends_the_reading() {
    let world = World::new();
    let all: Vec<SerialNumber> = (0..5).map(|_| issue(&world, CertificateKind::CardSign).unwrap()).collect();
    world.pass(60);
    compromise(&world);
    let one = NonZeroUsize::new(1).unwrap();
    for (stop_at, written) in [(0, 0), (1, 1), (2, 2)] {
        let mut asked = 0;
        let some = world.office().write_compromises_by(one, &mut || {
            world.office().remake_folds().unwrap();
            asked += 1;
            asked <= stop_at
        });
        assert_eq!((some.unwrap(), asked), (written, stop_at + 1));
    }
    assert_eq!(world.office().write_compromises().unwrap(), 5 + 1 - 3, "each once");
    for serial in all {
        assert_eq!(world.ocsp(SIGN, serial), COMPROMISED);
    }
    world.office().compare_folds().unwrap();
}

#[test]
fn the_next_key_of_an_authority_that_is_not_there_is_refused_by_its_name() {
    let world = World::new();
    let nobody = sekisho::pki::AuthorityId(9);
    let refused = world.office().roll_over(nobody, Some(world.now()), Origin::service()).unwrap_err();
    let told = refused.to_string();
    assert!(told.contains("there is no authority 9: use sign or auth"), "{told}");
}

#[test]
fn b_3_4_a_year_behind_it_every_serial_is_revoked_and_the_key_signed_nothing_else() {
    let world = World::new();
    let issued = issue(&world, CertificateKind::CardSign).unwrap();
    let mut keeper = Keeper::new(Arc::clone(world.office()));
    keeper.look();
    world.pass(60);
    let (cause, _) = compromise(&world);
    world.office().write_compromises().unwrap();
    let (own, aki) = (ca(&world, "sign"), ca(&world, "sign").key_id);
    let aki: String = aki.iter().map(|octet| format!("{octet:02x}")).collect();
    let (began, mut sets) = (world.now(), BTreeSet::new());
    while world.now() < began.plus(Duration::from_secs(366 * 86_400)) {
        world.pass(2 * DAY);
        keeper.look();
        for asked in [issued, own.serial, serial(7_777_777), serial(1)] {
            assert_eq!(world.ocsp(SIGN, asked), COMPROMISED, "{asked} at {}", world.now());
        }
        let catalogue = world.office().served_catalogue().unwrap().unwrap();
        let rows: Vec<_> = catalogue.crls.iter().filter(|row| row.aki.eq_ignore_ascii_case(&aki)).collect();
        assert!(
            rows.iter().any(|row| row.kind == CrlKind::Full)
                && rows.iter().any(|row| row.kind == CrlKind::Authority)
        );
        // Deltas last three hours, and come every hour.
        for row in rows.into_iter().filter(|row| row.kind != CrlKind::Delta) {
            let next_update: UnixTime = row.next_update.parse().unwrap();
            assert!(next_update > world.now(), "{} at {}", row.url, world.now());
            assert!(row.entries > 0, "{}", row.url);
        }
        sets.insert(catalogue.set);
    }
    assert!(sets.len() > 100, "{}", sets.len());
    assert_eq!(world.office().unready(), Vec::<String>::new());
    // What the key signs is on record, a CRL, or the signature of a catalogue.
    let mut renewed = 0;
    for Numbered { position, entry } in entries(&world) {
        if let Event::Issued(it) = entry.event
            && position > cause
            && it.certificate.authority == SIGN
        {
            assert_eq!(it.kind, CertificateKind::OcspSigner);
            renewed += 1;
        }
    }
    assert!(renewed > 20, "{renewed}");
    let auth = ca(&world, "auth");
    let signature =
        fs::read(world.office().data().crl().join("sets").join(sets.last().unwrap()).join("index.p7s"));
    let signature = signature.unwrap();
    let holds = |certificate: &[u8]| signature.windows(certificate.len()).any(|window| window == certificate);
    assert!(holds(&auth.certificate) && !holds(&own.certificate), "another key signs the catalogue");
    world.office().compare_folds().unwrap();
}

#[test]
fn b_3_5_the_next_key_waits_until_it_is_known_or_issues_at_once() {
    let world = World::new();
    let office = world.office();
    office.publish(&[SIGN, AUTH], true).unwrap();
    let made = office.roll_over(SIGN, None, Origin::service()).unwrap();
    assert_eq!((made.generation, made.not_published), (second(), None));
    assert_eq!(made.issues_from, world.now().plus(WAIT));
    let catalogue = office.served_catalogue().unwrap().unwrap();
    assert!(catalogue.crls.iter().any(|row| row.authority == "sign" && row.generation == 2));
    let state = |generation: u8| {
        let all = office.keys();
        let of = |key: &&sekisho::office::KeyState| {
            key.authority == "sign" && key.generation.number() == generation
        };
        all.iter().find(of).unwrap().used_for
    };
    assert_eq!((state(1), state(2)), (KeyUse::Issues, KeyUse::IssuesFrom(made.issues_from)));
    let generation = |world: &World| {
        let issued = world.issue(Place::New, &[CertificateKind::CardSign]).unwrap();
        issued.certificates[0].issued.certificate.generation.number()
    };
    assert_eq!(generation(&world), 1);
    let refused = office.roll_over(SIGN, Some(world.now()), Origin::service()).unwrap_err();
    assert!(refused.to_string().contains("sekisho authority activate"), "{refused}");
    world.pass(30 * DAY - 1);
    assert_eq!(generation(&world), 1, "not a second early");
    world.pass(1);
    assert_eq!(generation(&world), 2);
    assert_eq!((state(1), state(2)), (KeyUse::Signs, KeyUse::Issues));
    assert!(matches!(office.activate(SIGN, Origin::service()), Err(OfficeError::NoKeyWaits(_))));
    let third = office.roll_over(SIGN, None, Origin::service()).unwrap();
    assert_eq!(office.activate(SIGN, Origin::service()).unwrap().0, third.generation);
    assert_eq!(generation(&world), 3);
    // After a compromise nobody waits.
    office.compromise(SIGN, third.generation, None, Origin::service()).unwrap();
    office.write_compromises().unwrap();
    assert_eq!(generation(&world), 2, "the one before is sound");
    assert_eq!(office.roll_over(SIGN, Some(world.now()), Origin::service()).unwrap().generation.number(), 4);
    assert_eq!(generation(&world), 4);
    office.compare_folds().unwrap();
}

/// Moves the private key of an authority's first generation away, and lets `world` start without it.
fn lose_key(world: &mut World, authority: &str, instead: Option<&[u8]>) -> std::path::PathBuf {
    let key = ca(world, authority).key_id;
    let path = world.office().data().key(&key);
    let lost = path.clone();
    world.restart_after(|_| match instead {
        None => fs::rename(&lost, lost.with_extension("away")).unwrap(),
        Some(octets) => {
            fs::copy(&lost, lost.with_extension("away")).unwrap();
            fs::write(&lost, octets).unwrap();
        }
    });
    path
}

#[test]
fn b_5_1_what_does_not_need_a_lost_key_goes_on() {
    let mut world = World::new();
    let [sign, auth] =
        [CertificateKind::CardSign, CertificateKind::CardAuth].map(|kind| issue(&world, kind).unwrap());
    Keeper::new(Arc::clone(world.office())).look();
    let other = fs::read(world.office().data().key(&ca(&world, "auth").key_id)).unwrap();
    let cut = &other[..other.len() / 2];
    for instead in [None, Some(&b"no key"[..]), Some(&b""[..]), Some(cut), Some(&other[..])] {
        let path = lose_key(&mut world, "sign", instead);
        let office = world.office();
        office.settle().unwrap();
        // OCSP of both, by the signers that are there; what is revoked is revoked.
        assert_eq!((world.ocsp(SIGN, sign).as_str(), world.ocsp(AUTH, auth).as_str()), ("good", "good"));
        world.pass(60);
        // Issuing and CRLs of the other.
        issue(&world, CertificateKind::CardAuth).unwrap();
        let refused = issue(&world, CertificateKind::CardSign).unwrap_err().to_string();
        assert!(
            refused.contains("private key of authority sign") && refused.contains("restore"),
            "{refused}"
        );
        let refused = office.publish(&[SIGN], true).unwrap_err().to_string();
        assert!(refused.contains("private key of authority sign"), "{refused}");
        world.pass(2 * DAY);
        Keeper::new(Arc::clone(office)).look();
        let rows = office.served_catalogue().unwrap().unwrap().crls;
        let newest = |of: &str| rows.iter().filter(|row| row.authority == of).map(|row| row.number).max();
        assert!(newest("auth") > newest("sign"), "its CRLs are served on, the other's are new");
        // It is told everywhere.
        let told = office.attention();
        let told: Vec<_> = told.iter().filter(|one| one.reason == reason::KEY).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].text.contains(&path.display().to_string()), "{told:?}");
        let keys = office.keys();
        let key = keys.iter().find(|key| key.authority == "sign").unwrap();
        assert_eq!(key.used_for, KeyUse::Lost);
        assert!(key.fault.as_ref().unwrap().contains("restore"), "{key:?}");
        assert!(keys.iter().any(|key| key.authority == "auth" && key.used_for == KeyUse::Issues));
        // Put back, all is as before.
        world.restart_after(|_| {
            drop(fs::remove_file(&path));
            fs::rename(path.with_extension("away"), &path).unwrap();
        });
        world.office().settle().unwrap();
        Keeper::new(Arc::clone(world.office())).look();
        assert_eq!(world.office().attention(), Vec::new());
        assert_eq!(world.office().unready(), Vec::<String>::new());
        issue(&world, CertificateKind::CardSign).unwrap();
    }
}

#[test]
fn b_5_2_a_lost_key_that_a_newer_one_followed_takes_nothing_from_the_newer() {
    let mut world = World::new();
    let old = issue(&world, CertificateKind::CardSign).unwrap();
    Keeper::new(Arc::clone(world.office())).look();
    world.office().roll_over(SIGN, Some(world.now()), Origin::service()).unwrap();
    lose_key(&mut world, "sign", None);
    let office = world.office();
    office.settle().unwrap();
    assert_eq!(world.ocsp(SIGN, old), "good");
    issue(&world, CertificateKind::CardSign).unwrap();
    let rows = |of: u8| {
        let all = office.served_catalogue().unwrap().unwrap().crls;
        all.into_iter().filter(|row| row.authority == "sign" && row.generation == of).collect::<Vec<_>>()
    };
    let before = rows(1);
    world.pass(2 * DAY);
    Keeper::new(Arc::clone(office)).look();
    assert_eq!(rows(1), before, "what there is of the lost key is served on");
    assert!(rows(2)[0].number > before[0].number);
    assert_eq!(office.crl_alarms(), Vec::<String>::new());
    // A compromise of the lost key is said until when answers and CRLs are there.
    let said = office.compromise(SIGN, FIRST, None, Origin::service()).unwrap();
    assert!(said.answers_until.is_some_and(|until| until > world.now()));
    assert_eq!(
        said.crls_until.map(|until| until.to_string()),
        before.iter().filter(|row| row.kind != CrlKind::Delta).map(|row| row.next_update.clone()).min()
    );
    office.write_compromises().unwrap();
    assert_eq!(world.ocsp(SIGN, old), COMPROMISED);
    assert_eq!(office.publish(&[SIGN], false).unwrap().entries, 2);
}
