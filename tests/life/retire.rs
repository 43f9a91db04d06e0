//! A key of an authority is retired: its last CRLs, and nothing more by it.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use sekisho::crl::{CrlKind, Row};
use sekisho::der::UnixTime;
use sekisho::ocsp::{Respond, request_for};
use sekisho::office::{
    Comparison, Condition, Keeper, KeyUse, NotRetired, OfficeError, Place, Retired, reason,
};
use sekisho::pki::{CertificateKind, Generation, HashAlgorithm, Issuer, SerialNumber};
use sekisho::record::{Event, Numbered, Origin, Position};

use crate::world::{AUTH, SIGN, World};

const FIRST: Generation = Generation::FIRST;
const DAY: i64 = 86_400;
const COMPROMISED: &str = "CaCompromise";

/// An OCSPResponse without an answer: unauthorized (RFC 6960 §4.2.1).
const UNAUTHORIZED: [u8; 5] = [0x30, 3, 0x0a, 1, 6];

fn second() -> Generation {
    Generation::new(2).unwrap()
}

fn issue(world: &World) -> Result<SerialNumber, OfficeError> {
    let issued = world.issue(Place::New, &[CertificateKind::CardSign])?;
    Ok(issued.certificates[0].issued.certificate.serial)
}

fn entries(world: &World) -> Vec<Numbered> {
    world.office().store().entries(Position(1)).map(Result::unwrap).collect()
}

fn ca(world: &World) -> Issuer {
    let pem = fs::read(world.office().data().ca_certificate("sign", FIRST)).unwrap();
    Issuer::from_certificate(SIGN, FIRST, &pem::parse(pem).unwrap().into_contents()).unwrap()
}

fn retire(world: &World, generation: Generation) -> Result<Retired, OfficeError> {
    world.office().retire(SIGN, generation, Origin::service())
}

fn why(world: &World, generation: Generation) -> NotRetired {
    match retire(world, generation) {
        Err(OfficeError::NotRetired(_, of, why)) if of == generation.number() => why,
        other => panic!("{other:?}"),
    }
}

/// The rows of a key that are served, deltas aside, and their files.
fn served(world: &World, generation: u8) -> BTreeMap<String, (Row, Vec<u8>)> {
    let rows = world.office().served_catalogue().unwrap().unwrap().crls.into_iter();
    let own = rows
        .filter(|row| row.authority == "sign" && row.generation == generation && row.kind != CrlKind::Delta);
    let read = |row: Row| {
        let path = world.office().data().crl().join(row.url.strip_prefix("/crl/").unwrap());
        (row.url.clone(), (row, fs::read(path).unwrap()))
    };
    own.map(read).collect()
}

fn used_for(world: &World, generation: Generation) -> KeyUse {
    let keys = world.office().keys();
    let of = |key: &&sekisho::office::KeyState| key.authority == "sign" && key.generation == generation;
    keys.iter().find(of).unwrap().used_for
}

/// The octets of an OCSP answer about a serial under the first key.
fn asked(world: &World, issuer: &Issuer, serial: &SerialNumber) -> Vec<u8> {
    let request = request_for(issuer, HashAlgorithm::Sha1, serial);
    let mut respond = world.office().responder().respond(&request, world.now());
    loop {
        match respond {
            Respond::Ready(answer) | Respond::Refresh(answer, _) => return answer.body.to_vec(),
            Respond::Sign(job) => {
                let made = job.sign();
                respond = world.office().responder().finish(job, made, world.now());
            }
        }
    }
}

/// How many certificates the journal says that a key signed.
fn signed_by(world: &World, generation: Generation) -> usize {
    let by = |one: &&Numbered| match &one.entry.event {
        Event::Issued(it) => (it.certificate.authority, it.certificate.generation) == (SIGN, generation),
        _ => false,
    };
    entries(world).iter().filter(by).count()
}

fn compromised(world: &World) {
    world.office().compromise(SIGN, FIRST, None, Origin::service()).unwrap();
    world.office().write_compromises().unwrap();
}

#[test]
fn b_3_6_a_retired_key_makes_its_last_crls_and_signs_nothing_more() {
    let mut world = World::new();
    let issued = issue(&world).unwrap();
    Keeper::new(Arc::clone(world.office())).look();
    world.pass(60);
    compromised(&world);
    world.office().roll_over(SIGN, Some(world.now()), Origin::service()).unwrap();
    world.pass(60);
    let (own, journal) = (ca(&world), entries(&world).len());
    let done = retire(&world, FIRST).unwrap();
    assert!(done.changed && done.crls_until == own.not_after);
    assert!(done.answers_until.is_some_and(|until| until > world.now() && until < own.not_after));
    let said: Vec<_> = entries(&world).split_off(journal).into_iter().map(|one| one.entry.event).collect();
    assert!(
        matches!(&said[..], [
            Event::CrlSetBegun { authorities, scheduled: false },
            Event::CrlSetPublished { begun, .. },
            Event::GenerationRetired { authority: SIGN, generation: FIRST, begun: of },
        ] if authorities == &[SIGN] && begun == of),
        "{said:?}"
    );
    let last = served(&world, 1);
    let kinds: Vec<CrlKind> = last.values().map(|(row, _)| row.kind).collect();
    for kind in [CrlKind::Full, CrlKind::Authority, CrlKind::Partition] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    for (row, _) in last.values() {
        assert_eq!(row.next_update.parse::<UnixTime>().unwrap(), own.not_after, "{}", row.url);
        assert_eq!((row.freshest_crl.as_deref(), &row.set), (None, &done.set));
    }
    for (row, _) in served(&world, 2).values() {
        assert!(row.next_update.parse::<UnixTime>().unwrap() < own.not_after, "{}", row.url);
    }
    // Again: nothing.
    let (journal, signed) = (entries(&world).len(), signed_by(&world, FIRST));
    let again = retire(&world, FIRST).unwrap();
    assert_eq!(again, Retired { changed: false, ..done.clone() });
    assert_eq!(entries(&world).len(), journal);
    assert_eq!(used_for(&world, FIRST), KeyUse::Retired);
    // The journal takes no certificate by it, whoever writes one.
    let event = entries(&world).into_iter().find_map(|one| match one.entry.event {
        Event::Issued(it) if it.kind == CertificateKind::CardSign => Some(it),
        _ => None,
    });
    let mut forged = event.unwrap();
    (forged.certificate.serial, forged.card, forged.holder) =
        (SerialNumber::try_from(99_999).unwrap(), None, None);
    let decide = Box::new(move |_: &sekisho::store::Records<'_>, _| Ok(vec![Event::Issued(forged.clone())]));
    let refused = world.office().store().submit_wait(Origin::service(), decide).unwrap_err().to_string();
    assert!(refused.contains("whose key is"), "{refused}");
    // Kills, orderly stops, without the key and with it; days; lost catalogues; sets that are old.
    let key = world.office().data().key(&own.key_id);
    assert_eq!(done.key, key);
    for (round, crash) in [true, false, true, false].into_iter().enumerate() {
        world.restart(crash);
        if round == 1 {
            fs::remove_file(&key).unwrap();
            world.restart(false);
        }
        let office = Arc::clone(world.office());
        office.settle().unwrap();
        let index = office.data().crl().join("index.json");
        if round == 2 {
            fs::remove_file(&index).unwrap();
        }
        world.pass(120 * DAY);
        let mut keeper = Keeper::new(Arc::clone(&office));
        keeper.look();
        world.pass(DAY);
        keeper.look();
        office.retire_sets().unwrap();
        assert_eq!(served(&world, 1), last, "round {round}: octet for octet");
        assert!(
            served(&world, 2).values().all(|(row, _)| row.number > last.values().next().unwrap().0.number)
        );
        assert_eq!(signed_by(&world, FIRST), signed);
        assert_eq!(office.unready(), Vec::<String>::new());
        assert!(office.attention().iter().all(|one| one.reason != reason::KEY), "{:?}", office.attention());
        assert_eq!(used_for(&world, FIRST), KeyUse::Retired);
        office.compare_folds().unwrap();
        let rebuilt = office.rebuild(&done.set, None).unwrap();
        assert!(rebuilt.len() >= 2 * last.len());
        assert!(rebuilt.iter().all(|one| !matches!(one.outcome, Comparison::Differs(_))), "{rebuilt:?}");
        assert_eq!(office.examine(None).unwrap().findings, Vec::<String>::new());
        assert!(issue(&world).is_ok(), "the next one issues");
    }
    // OCSP answers until its signers end, and none followed them.
    assert!(done.answers_until.unwrap() < world.now());
    assert_eq!(asked(&world, &own, &issued), UNAUTHORIZED);
    let keys = world.office().keys();
    assert!(keys.iter().all(|key| key.answers_until.is_none()), "{keys:?}");
    world.office().stop().unwrap();
    let findings = Condition::of(world.office().data(), false, None).unwrap().findings;
    let of_key = |finding: &&String| finding.contains("private key") || finding.contains("CRL");
    assert_eq!(findings.iter().filter(of_key).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn b_3_6_ocsp_of_a_retired_key_goes_on_until_its_signers_end() {
    let world = World::new();
    let issued = issue(&world).unwrap();
    let mut keeper = Keeper::new(Arc::clone(world.office()));
    keeper.look();
    compromised(&world);
    let done = retire(&world, FIRST).unwrap();
    let until = done.answers_until.unwrap();
    while world.now() < until.minus(std::time::Duration::from_secs(3600)) {
        for serial in [issued, SerialNumber::try_from(7_777_777).unwrap()] {
            assert_eq!(world.ocsp(SIGN, serial), COMPROMISED, "at {}", world.now());
        }
        world.pass(3600);
        keeper.look();
        assert_eq!(world.office().unready(), Vec::<String>::new());
    }
    world.pass(7200);
    keeper.look();
    assert_eq!(asked(&world, &ca(&world), &issued), UNAUTHORIZED);
    assert_eq!(world.office().unready(), Vec::<String>::new());
}

#[test]
fn b_3_6_an_authority_whose_only_key_is_retired_serves_its_last_crls_and_the_others_go_on() {
    let world = World::new();
    issue(&world).unwrap();
    let mut keeper = Keeper::new(Arc::clone(world.office()));
    keeper.look();
    world.pass(60);
    compromised(&world);
    retire(&world, FIRST).unwrap();
    let last = served(&world, 1);
    let number = |world: &World| {
        let rows = world.office().served_catalogue().unwrap().unwrap().crls.into_iter();
        rows.filter(|row| row.authority == "auth").map(|row| row.number).max()
    };
    for _ in 0..5 {
        let before = number(&world);
        world.pass(DAY);
        keeper.look();
        assert!(number(&world) > before);
        assert_eq!(served(&world, 1), last);
        assert_eq!(world.office().crl_alarms(), Vec::<String>::new());
    }
    // Of both, what can be made is made; of it alone, nothing.
    world.office().publish(&[SIGN, AUTH], false).unwrap();
    let refused = world.office().publish(&[SIGN], false).unwrap_err().to_string();
    assert!(refused.contains("generation 1, is retired"), "{refused}");
    // The next key follows as ever.
    world.office().roll_over(SIGN, Some(world.now()), Origin::service()).unwrap();
    issue(&world).unwrap();
    assert_eq!(served(&world, 1), last);
    assert!(!served(&world, 2).is_empty());
    world.pass(DAY);
    keeper.look();
    assert_eq!((served(&world, 1), world.office().crl_alarms()), (last, Vec::new()));
    world.office().compare_folds().unwrap();
}

#[test]
fn b_3_7_a_key_in_use_is_not_retired_and_one_that_is_not_is_when_all_of_it_has_left_the_crl() {
    let world = World::new();
    let office = world.office();
    let mut keeper = Keeper::new(Arc::clone(office));
    issue(&world).unwrap();
    keeper.look();
    let third = Generation::new(3).unwrap();
    assert!(matches!(retire(&world, third), Err(OfficeError::NoSuchKey(..))));
    assert_eq!(why(&world, FIRST), NotRetired::Issues);
    let from = office.roll_over(SIGN, None, Origin::service()).unwrap().issues_from;
    assert_eq!((why(&world, FIRST), why(&world, second())), (NotRetired::Issues, NotRetired::Waits(from)));
    office.activate(SIGN, Origin::service()).unwrap();
    world.pass(1);
    assert_eq!(why(&world, second()), NotRetired::Issues);
    let NotRetired::Certificates(until) = why(&world, FIRST) else { panic!() };
    let refused = retire(&world, FIRST).unwrap_err().to_string();
    assert!(
        refused.contains(&until.to_string()) && refused.contains("sekisho authority compromised"),
        "{refused}"
    );
    assert!(until > world.now().plus(std::time::Duration::from_secs(4 * 365 * 86_400)));
    // Until the last of what it signed ends: whenever it is asked.
    let mut asked = 0;
    while world.now() < until {
        world.pass(200 * DAY);
        keeper.look();
        if world.now() < until {
            assert!(matches!(why(&world, FIRST), NotRetired::Certificates(_)));
            asked += 1;
        }
    }
    assert!(asked >= 5, "{asked}");
    world.pass(2 * DAY);
    keeper.look();
    let done = retire(&world, FIRST).unwrap();
    assert!(done.changed);
    assert_eq!((used_for(&world, FIRST), used_for(&world, second())), (KeyUse::Retired, KeyUse::Issues));
    // A retired key may be compromised all the same.
    let said = office.compromise(SIGN, FIRST, None, Origin::service()).unwrap();
    assert_eq!((said.answers_until, said.crls_until), (done.answers_until, Some(done.crls_until)));
    office.write_compromises().unwrap();
    let last = served(&world, 1);
    world.pass(DAY);
    keeper.look();
    assert_eq!(served(&world, 1), last);
    office.compare_folds().unwrap();
}

#[test]
fn b_3_7_what_is_still_being_revoked_and_what_has_lost_its_key_is_not_retired() {
    let mut world = World::new();
    issue(&world).unwrap();
    Keeper::new(Arc::clone(world.office())).look();
    world.pass(60);
    world.office().compromise(SIGN, FIRST, None, Origin::service()).unwrap();
    let refused = retire(&world, FIRST);
    assert!(matches!(refused, Err(OfficeError::Revoking(..))), "{refused:?}");
    world.office().write_compromises().unwrap();
    let key = world.office().data().key(&ca(&world).key_id);
    world.restart_after(|_| fs::rename(&key, key.with_extension("away")).unwrap());
    world.office().settle().unwrap();
    let served = served(&world, 1);
    let NotRetired::NoKey { crls_until, answers_until } = why(&world, FIRST) else { panic!() };
    let end = served.values().map(|(row, _)| row.next_update.clone()).min();
    assert_eq!(crls_until.map(|at| at.to_string()), end);
    let refused = retire(&world, FIRST).unwrap_err().to_string();
    for told in [crls_until, answers_until].map(|at| at.unwrap().to_string()) {
        assert!(refused.contains(&told) && refused.contains("restore"), "{refused}");
    }
    world.restart_after(|_| fs::rename(key.with_extension("away"), &key).unwrap());
    world.office().settle().unwrap();
    assert!(retire(&world, FIRST).unwrap().changed);
}

/// Years, to the last hour: the key signs its OCSP signers, its CRLs and its ARL, and nothing else.
#[test]
fn b_3_9_to_the_last_day_every_serial_is_revoked_the_crls_are_fresh_and_the_key_signed_nothing_else() {
    let world = World::new();
    let issued = issue(&world).unwrap();
    let office = world.office();
    let mut keeper = Keeper::new(Arc::clone(office));
    keeper.look();
    world.pass(60);
    let cause = office.compromise(SIGN, FIRST, None, Origin::service()).unwrap().position;
    office.write_compromises().unwrap();
    let own = ca(&world);
    let (mut looked, mut crls, mut refused) = (0, 0, 0);
    let left = |world: &World| own.not_after.seconds() - world.now().seconds();
    while left(&world) > 3_600 {
        // Far apart in the middle, and by days towards the end.
        let step = if left(&world) > 60 * DAY { 45 * DAY } else { DAY };
        world.pass(step.min(left(&world) - 1_800));
        keeper.look();
        let made_up = SerialNumber::try_from(7_777_777 + looked).unwrap();
        for serial in [issued, own.serial, made_up] {
            assert_eq!(world.ocsp(SIGN, serial), COMPROMISED, "{serial} at {}", world.now());
        }
        let rows = served(&world, 1);
        for (row, der) in rows.values() {
            assert!(
                row.next_update.parse::<UnixTime>().unwrap() > world.now(),
                "{} at {}",
                row.url,
                world.now()
            );
            let (_, crl) = x509_parser::parse_x509_crl(der).unwrap();
            // What has expired has left; the CA certificate has not.
            assert!(
                (row.kind == CrlKind::Partition || row.entries > 0)
                    && crl.tbs_cert_list.this_update.timestamp() <= world.now().seconds()
            );
            crls += 1;
        }
        assert!(
            [CrlKind::Full, CrlKind::Authority]
                .iter()
                .all(|kind| rows.values().any(|(row, _)| row.kind == *kind))
        );
        if left(&world) > 60 * DAY || looked % 10 == 0 {
            assert!(issue(&world).is_err());
            refused += 1;
        }
        looked += 1;
    }
    assert!(looked > 100 && crls >= 3 * looked && refused > 50, "{looked} {crls} {refused}");
    assert!(left(&world) <= 1_800, "{} s before its end", left(&world));
    // All certificates that it signed since.
    let mut signers = 0;
    for Numbered { position, entry } in entries(&world) {
        if let Event::Issued(it) = entry.event
            && position > cause
            && it.certificate.authority == SIGN
        {
            assert_eq!(it.kind, CertificateKind::OcspSigner);
            signers += 1;
        }
    }
    assert!(signers > 50, "{signers}");
    // And no catalogue: of every set that is kept.
    let sets = fs::read_dir(office.data().crl().join("sets")).unwrap();
    let mut catalogues = 0;
    for set in sets {
        let path = set.unwrap().path();
        let number: u64 = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        if number % (1 << 48) <= cause.0 {
            continue;
        }
        let signature = fs::read(path.join("index.p7s")).unwrap();
        let is_own = signature.windows(own.certificate.len()).any(|window| window == own.certificate);
        assert!(!is_own, "{}", path.display());
        catalogues += 1;
    }
    assert!(catalogues > 10, "{catalogues}");
    office.compare_folds().unwrap();
}
