//! What becomes of the last CRLs of a key when files are lost, a set is held back, or something else fails.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sekisho::crl::{CrlKind, Row};
use sekisho::office::{Condition, Keeper, KeyUse, OfficeError, Place, Retired, reason};
use sekisho::pki::{CertificateKind, Generation};
use sekisho::record::{Actor, Event, Origin, Position};

use crate::world::{AUTH, SIGN, World};

const FIRST: Generation = Generation::FIRST;
const DAY: i64 = 86_400;

/// An office whose first key is compromised; a second issues.
fn compromised() -> World {
    let world = World::new();
    world.issue(Place::New, &[CertificateKind::CardSign]).unwrap();
    Keeper::new(Arc::clone(world.office())).look();
    world.pass(60);
    world.office().compromise(SIGN, FIRST, None, Origin::service()).unwrap();
    world.office().write_compromises().unwrap();
    world.office().roll_over(SIGN, Some(world.now()), Origin::service()).unwrap();
    world.pass(60);
    world
}

fn retire(world: &World) -> Result<Retired, OfficeError> {
    world.office().retire(SIGN, FIRST, Origin::service())
}

/// The rows of a key that are served, deltas aside, and their files.
fn served(world: &World, generation: u8) -> BTreeMap<String, (Row, Vec<u8>)> {
    let rows = world.office().served_catalogue().unwrap().unwrap().crls.into_iter();
    let own = rows
        .filter(|row| row.authority == "sign" && row.generation == generation && row.kind != CrlKind::Delta);
    let read = |row: Row| (row.url.clone(), (row.clone(), fs::read(path_of(world, &row)).unwrap()));
    own.map(read).collect()
}

fn path_of(world: &World, row: &Row) -> PathBuf {
    world.office().data().crl().join(row.url.strip_prefix("/crl/").unwrap())
}

fn events(world: &World) -> Vec<Event> {
    let all = world.office().store().entries(Position(1));
    all.map(|one| one.unwrap().entry.event).collect()
}

fn sets_begun(world: &World) -> usize {
    events(world).iter().filter(|event| matches!(event, Event::CrlSetBegun { .. })).count()
}

/// What is told of CRLs that cannot be made again.
fn missing(world: &World) -> Vec<String> {
    let all = world.office().attention().into_iter();
    all.filter(|one| one.reason == reason::LAST_CRLS).map(|one| one.text).collect()
}

fn used_for(world: &World) -> KeyUse {
    let keys = world.office().keys();
    keys.iter().find(|key| key.authority == "sign" && key.generation == FIRST).unwrap().used_for
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to)
        } else {
            assert!(fs::copy(entry.path(), to).is_ok())
        }
    }
}

fn findings(world: &World) -> Vec<String> {
    let findings = Condition::of(world.office().data(), false, None).unwrap().findings;
    findings.into_iter().filter(|finding| finding.contains("the last CRLs of sign, generation 1")).collect()
}

#[test]
fn lost_last_crls_are_told_until_they_are_put_back_and_served_then() {
    let mut world = compromised();
    let done = retire(&world).unwrap();
    let (last, set) = (served(&world, 1), done.crls.clone());
    assert!(set.ends_with(Path::new("crl/sets").join(&done.set)) && set.is_dir());
    let away = world.office().data().path().join("away");
    copy(&set, &away);
    // As a restored copy has it: the key is destroyed, and nothing of crl/.
    fs::remove_file(&done.key).unwrap();
    world.restart_after(|data| fs::remove_dir_all(data.crl()).unwrap());
    let mut keeper = Keeper::new(Arc::clone(world.office()));
    for _ in 0..3 {
        keeper.look();
        world.pass(DAY);
        let told = missing(&world);
        assert_eq!(told.len(), 1, "{told:?}");
        let said = |what: &str| told[0].contains(what);
        assert!(said("sign, generation 1") && said(&set.display().to_string()) && said("backup"), "{told:?}");
        assert!(world.office().warnings().contains(&told[0]));
    }
    world.office().stop().unwrap();
    let told = findings(&world);
    assert!(told.len() == 1 && told[0].contains(&set.display().to_string()), "{told:?}");
    world.restart(true);
    // Something else in its place is not it.
    let mut keeper = Keeper::new(Arc::clone(world.office()));
    copy(&away, &set);
    let catalogue = fs::read(set.join("index.json")).unwrap();
    fs::write(set.join("index.json"), b"{}").unwrap();
    world.pass(120);
    keeper.look();
    assert_eq!(missing(&world).len(), 1);
    fs::write(set.join("index.json"), catalogue).unwrap();
    world.pass(120);
    keeper.look();
    assert_eq!((served(&world, 1), missing(&world)), (last.clone(), Vec::new()));
    world.restart(false);
    assert_eq!((served(&world, 1), missing(&world)), (last, Vec::new()));
    world.office().stop().unwrap();
    assert_eq!(findings(&world), Vec::<String>::new());
}

/// Gone, cut short, longer; one of each kind: the other key goes on as if nothing were.
#[test]
fn a_damaged_file_of_last_crls_is_told_and_no_sets_follow_each_other() {
    let mut world = compromised();
    retire(&world).unwrap();
    let last = served(&world, 1);
    for (at, (row, octets)) in last.values().enumerate() {
        let path = path_of(&world, row);
        world.restart_after(|_| match at % 3 {
            0 => fs::remove_file(&path).unwrap(),
            1 => fs::write(&path, &octets[..octets.len() / 2]).unwrap(),
            _ => fs::write(&path, [octets.as_slice(), b"\0"].concat()).unwrap(),
        });
        let mut keeper = Keeper::new(Arc::clone(world.office()));
        world.pass(DAY);
        keeper.look();
        let begun = sets_begun(&world);
        for _ in 0..20 {
            world.pass(2);
            keeper.look();
        }
        assert_eq!(sets_begun(&world), begun, "{}", row.url);
        assert_eq!(world.office().unready(), Vec::<String>::new(), "{}", row.url);
        let told = missing(&world);
        assert!(told.len() == 1 && told[0].contains(&row.url), "{told:?}");
        assert!(!served(&world, 2).is_empty());
        world.office().stop().unwrap();
        assert_eq!(findings(&world).len(), 1, "{}", row.url);
        world.restart(true);
        let mut keeper = Keeper::new(Arc::clone(world.office()));
        fs::write(&path, octets).unwrap();
        world.pass(120);
        keeper.look();
        assert_eq!((missing(&world), served(&world, 1)), (Vec::new(), last.clone()));
    }
    assert!(last.len() >= 3);
}

/// The same of a key that is not here any more, and of an authority that has no other.
#[test]
fn a_damaged_file_of_a_key_that_is_lost_or_alone_is_told_and_no_sets_follow_each_other() {
    for (has_other, is_lost) in [(true, true), (false, true), (false, false)] {
        let mut world = World::new();
        world.issue(Place::New, &[CertificateKind::CardSign]).unwrap();
        Keeper::new(Arc::clone(world.office())).look();
        if has_other {
            world.office().roll_over(SIGN, Some(world.now()), Origin::service()).unwrap();
        }
        if !is_lost {
            world.office().compromise(SIGN, FIRST, None, Origin::service()).unwrap();
            world.office().write_compromises().unwrap();
            retire(&world).unwrap();
        }
        let key = world.office().keys().into_iter().find(|key| key.authority == "sign").unwrap();
        assert_eq!(key.generation, FIRST);
        let pem = fs::read(world.office().data().ca_certificate("sign", FIRST)).unwrap();
        let der = pem::parse(pem).unwrap().into_contents();
        let issuer = sekisho::pki::Issuer::from_certificate(SIGN, FIRST, &der).unwrap();
        let key = world.office().data().key(&issuer.key_id);
        let (row, _) = served(&world, 1).into_values().find(|(row, _)| row.kind == CrlKind::Full).unwrap();
        let path = path_of(&world, &row);
        world.restart_after(|_| {
            fs::remove_file(&path).unwrap();
            fs::remove_file(&key).unwrap();
        });
        let mut keeper = Keeper::new(Arc::clone(world.office()));
        keeper.look();
        let begun = sets_begun(&world);
        for _ in 0..20 {
            world.pass(2);
            keeper.look();
        }
        assert_eq!(sets_begun(&world), begun);
        let told = missing(&world);
        assert!(told.len() == 1 && told[0].contains(&row.url), "{told:?}");
        let auth = world.office().served_catalogue().unwrap().unwrap().crls;
        assert!(auth.iter().any(|row| row.authority == "auth"));
    }
}

/// What is read again behind the decision may be damaged: by then it is durable, and is done.
#[test]
fn a_key_is_retired_whatever_is_wrong_with_files_of_keys() {
    let mut world = compromised();
    let keys = fs::read_dir(world.office().data().path().join("keys")).unwrap();
    let keys: Vec<PathBuf> = keys.map(|entry| entry.unwrap().path()).collect();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    keys.iter().for_each(|key| mode(key, 0o644));
    let done = retire(&world).unwrap();
    assert!(done.changed);
    keys.iter().for_each(|key| mode(key, 0o600));
    let last = served(&world, 1);
    world.office().publish(&[SIGN], false).unwrap();
    assert_eq!((served(&world, 1), used_for(&world)), (last.clone(), KeyUse::Retired));
    assert!(!retire(&world).unwrap().changed);
    // Its file is not read any more: nobody comes to the other end of the pipe.
    fs::remove_file(&done.key).unwrap();
    assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&done.key).status().unwrap().success());
    let read = Arc::new(AtomicBool::new(false));
    let (pipe, told) = (done.key.clone(), Arc::clone(&read));
    let waiting = std::thread::spawn(move || {
        drop(fs::OpenOptions::new().write(true).open(pipe).unwrap());
        told.store(true, Ordering::SeqCst);
    });
    world.restart(false);
    world.restart(true);
    assert!(!read.load(Ordering::SeqCst), "the file of a retired key was read");
    drop(fs::File::open(&done.key).unwrap());
    waiting.join().unwrap();
    world.office().settle().unwrap();
    world.office().publish(&[SIGN, AUTH], true).unwrap();
    assert_eq!((served(&world, 1), used_for(&world)), (last, KeyUse::Retired));
    assert!(world.office().attention().iter().all(|one| one.reason != reason::KEY));
}

/// Whichever of the catalogues are lost or damaged, and those of other sets with them.
#[test]
fn last_crls_are_served_from_their_set_whatever_the_other_catalogues_say() {
    let mut world = compromised();
    let done = retire(&world).unwrap();
    let last = served(&world, 1);
    world.pass(60);
    let newest = world.office().publish(&[SIGN, AUTH], true).unwrap().number.to_string();
    assert_ne!(newest, done.set);
    let (index, own) = (
        world.office().data().crl().join("index.json"),
        world.office().data().crl().join("sets").join(newest).join("index.json"),
    );
    let without = |index: &Path| {
        let mut json: serde_json::Value = serde_json::from_slice(&fs::read(index).unwrap()).unwrap();
        let rows = json["crls"].as_array_mut().unwrap();
        let before = rows.len();
        rows.retain(|row| row["authority"] != "sign" || row["generation"] != 1);
        assert!(rows.len() < before);
        fs::write(index, serde_json::to_vec(&json).unwrap()).unwrap();
    };
    let others = world.office().served_catalogue().unwrap().unwrap();
    // The index lacks them, in the running service and at a start.
    without(&index);
    world.office().retire_sets().unwrap();
    world.pass(60);
    world.office().publish(&[AUTH], false).unwrap();
    assert_eq!(served(&world, 1), last);
    world.restart_after(|_| without(&index));
    assert_eq!(served(&world, 1), last);
    let rows = |authority: &str, crls: &[Row]| {
        let of = crls.iter().filter(|row| row.authority == authority && row.kind != CrlKind::Delta);
        of.cloned().collect::<Vec<_>>()
    };
    let now = world.office().served_catalogue().unwrap().unwrap();
    assert_eq!(rows("sign", &now.crls), rows("sign", &others.crls), "the others stay");
    // All of what was served is lost, and what the newest set says of itself.
    for damage in [None, Some(&b"{}"[..]), Some(b"\0")] {
        world.restart_after(|_| {
            fs::remove_file(&index).unwrap();
            match damage {
                None => drop(fs::remove_file(&own)),
                Some(octets) => fs::write(&own, octets).unwrap(),
            }
        });
        assert_eq!((served(&world, 1), missing(&world)), (last.clone(), Vec::new()), "{damage:?}");
    }
}

#[test]
fn whoever_lets_a_held_back_set_go_retires_the_key_with_it() {
    let mut world = compromised();
    // What was published last can no longer be told: the gate holds the next set back.
    let newest = world.office().served_catalogue().unwrap().unwrap().set;
    fs::remove_file(world.office().data().crl().join("sets").join(newest).join("index.json")).unwrap();
    let held = match retire(&world) {
        Err(OfficeError::HeldBack { set, .. }) => set,
        other => panic!("{other:?}"),
    };
    assert_eq!(used_for(&world), KeyUse::Signs);
    let ends = |world: &World| {
        let keys = world.office().keys();
        keys.into_iter().find(|key| key.authority == "sign" && key.generation == FIRST).unwrap().not_after
    };
    world.restart(true);
    world.office().settle().unwrap();
    let operator = Origin::of(Actor::new("uid:1000").unwrap());
    world.office().release_set(&held, "looked at it", operator.clone()).unwrap();
    assert_eq!(used_for(&world), KeyUse::Retired);
    let last = served(&world, 1);
    assert!(!last.is_empty());
    for (row, _) in last.values() {
        assert_eq!((&row.set, &row.next_update), (&held, &ends(&world).to_string()));
    }
    let entries = world.office().store().entries(Position(1)).map(Result::unwrap);
    let said = entries.filter(|one| matches!(one.entry.event, Event::GenerationRetired { .. }));
    let said: Vec<_> = said.map(|one| one.entry.origin.actor.name().to_owned()).collect();
    assert_eq!(said, [operator.actor.name()]);
    let again = retire(&world).unwrap();
    assert_eq!((again.changed, &again.set), (false, &held));
    world.pass(DAY);
    Keeper::new(Arc::clone(world.office())).look();
    assert_eq!(served(&world, 1), last);
    assert!(world.office().served_catalogue().unwrap().unwrap().retiring.is_none());
    world.office().compare_folds().unwrap();
}
