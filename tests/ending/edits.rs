//! Files of a data directory, edited at random while no service runs: each edit is refused, told, or without
//! effect on any status, CRL or serial.
//!
//! `SEKISHO_EDITS=1000 cargo test --release --test ending edits` tries as many.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use sekisho::office::data::DataDir;
use sekisho::office::{self, Asked, Blame, Condition, Office, Selector, Wish};
use sekisho::pki::{AuthorityId, CertStatus, RevocationReason, SerialNumber};
use sekisho::record::Origin;

use super::office::{AUTH, SIGN, application, copy, start};
use dice::Dice;

#[path = "../support/dice.rs"]
mod dice;

/// A directory, the state that it had some changes earlier, and what is true of it.
struct Template {
    data: PathBuf,
    older: PathBuf,
    /// Every certificate: whether it is revoked.
    truth: BTreeMap<(AuthorityId, SerialNumber), bool>,
}

/// What an edit came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Came {
    Refused,
    Told,
    Nothing,
}

fn issue(office: &Office, pairs: usize) -> Vec<(AuthorityId, SerialNumber)> {
    let asked: Vec<_> = (0..pairs).map(|_| (application(), Origin::service())).collect();
    let issued = office.issue_all(&asked).into_iter().flat_map(|pair| pair.unwrap().certificates);
    issued.map(|one| (one.issued.certificate.authority, one.issued.certificate.serial)).collect()
}

fn revoke(office: &Office, (authority, serial): (AuthorityId, SerialNumber)) {
    let name = if authority == SIGN { "sign" } else { "auth" };
    let certificate = Selector::Named { authority: name.to_owned(), serial };
    let wish = Wish::revoke(Some(RevocationReason::Superseded), None);
    office.change(&Asked { certificate, wish }, Origin::service()).unwrap();
}

/// Some hundred certificates, a quarter revoked in two parts with a CRL set behind each; stopped, or as a kill
/// leaves it.
fn template(home: &Path, is_killed: bool) -> Template {
    let name = if is_killed { "killed" } else { "stopped" };
    let (data, older, left) = (home.join(name), home.join(format!("{name}-older")), home.join("left"));
    let directory = DataDir::new(&data);
    office::init(&directory, "SEKISHO-TEST").unwrap();
    let office = start(&directory).unwrap();
    let all = issue(&office, 60);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let (first, second): (Vec<_>, Vec<_>) =
        all.iter().copied().enumerate().filter(|(at, _)| at % 4 == 0).partition(|(at, _)| at % 8 == 0);
    first.iter().for_each(|(_, one)| revoke(&office, *one));
    office.publish(&[SIGN, AUTH], true).unwrap();
    office.stop().unwrap();
    drop(office);
    copy(&data, &older);
    let office = start(&directory).unwrap();
    second.iter().for_each(|(_, one)| revoke(&office, *one));
    office.publish(&[SIGN, AUTH], true).unwrap();
    if is_killed {
        // What a kill leaves: the files of this moment.
        copy(&data, &left);
    }
    office.stop().unwrap();
    drop(office);
    if is_killed {
        fs::remove_dir_all(&data).unwrap();
        fs::rename(&left, &data).unwrap();
    }
    let revoked: BTreeSet<_> = first.into_iter().chain(second).map(|(_, one)| one).collect();
    let truth = all.into_iter().map(|one| (one, revoked.contains(&one))).collect();
    Template { data, older, truth }
}

fn files(dir: &Path, all: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    for entry in entries {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files(&entry.path(), all);
        } else if kind.is_file() {
            all.push(entry.path());
        }
    }
}

/// Edits one file; what was done.
fn edit(dice: &mut Dice, data: &Path, older: &Path) -> String {
    let mut all = Vec::new();
    files(data, &mut all);
    all.sort();
    // CRLs and keys are many: every other edit is of the journal and what stands beside it.
    if dice.roll(2) == 0 {
        let store = data.join("store");
        all.retain(|file| file.starts_with(&store) && !file.starts_with(store.join("projection")));
    }
    let path = &all[dice.roll(all.len() as u64) as usize];
    let name = path.strip_prefix(data).unwrap().display().to_string();
    let mut octets = fs::read(path).unwrap();
    let len = octets.len() as u64;
    let at = |dice: &mut Dice| dice.roll(len.max(1)) as usize;
    let what = match dice.roll(7) {
        0 if len > 0 => {
            let place = at(dice);
            octets[place] ^= 1 << dice.roll(8);
            format!("a bit at {place}")
        }
        1 if len > 0 => {
            let place = at(dice);
            octets.truncate(place);
            format!("cut at {place}")
        }
        2 if len > 0 => {
            let (from, count) = (at(dice), 1 + dice.roll(600) as usize);
            octets.iter_mut().skip(from).take(count).for_each(|octet| *octet = 0);
            format!("{count} zeros at {from}")
        }
        3 => {
            let more: Vec<u8> = (0..=dice.roll(600)).map(|_| dice.roll(256) as u8).collect();
            octets.extend(&more);
            format!("{} octets appended", more.len())
        }
        4 if len > 64 => {
            let (one, other, count) = (at(dice), at(dice), 1 + dice.roll(32) as usize);
            for step in 0..count {
                let (one, other) = ((one + step) % octets.len(), (other + step) % octets.len());
                octets.swap(one, other);
            }
            format!("{count} octets at {one} and {other} swapped")
        }
        5 => {
            fs::remove_file(path).unwrap();
            return format!("{name}: removed");
        }
        _ => match fs::read(older.join(&name)) {
            Ok(older) => {
                octets = older;
                "an older copy".to_owned()
            }
            Err(_) => {
                octets.reverse();
                "reversed".to_owned()
            }
        },
    };
    // In place: the file stays the one that it was.
    fs::write(path, octets).unwrap();
    format!("{name}: {what}")
}

/// Starts on an edited directory, and holds what is said against the truth.
fn try_it(of: &Template, data: &DataDir, what: &str) -> Came {
    let checked = Condition::of(data, false, None);
    let is_told_by_check = checked.as_ref().map_or(true, |found| !found.findings.is_empty());
    let office = match start(data) {
        Ok(office) => office,
        Err(error) => {
            // What a supervisor starts again would end again.
            let blame = error.blame();
            assert!(matches!(blame, Blame::Damage | Blame::Request), "{what}: {blame:?}: {error}");
            return Came::Refused;
        }
    };
    office.store().wait_ready();
    let is_told = is_told_by_check || !office.unready().is_empty() || !office.attention().is_empty();
    let mut same = true;
    for ((authority, serial), revoked) in &of.truth {
        let record = office.store().find(*authority, serial).unwrap();
        let said = record.as_ref().map(|record| matches!(record.status(), CertStatus::Revoked(_)));
        if said != Some(*revoked) {
            assert!(!revoked, "{what}: {serial} is revoked, and its record says {said:?}; told: {is_told}");
            same = false;
        }
    }
    let before = office.fewest_certificates();
    if office.store().ready().is_ok() {
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| issue(&office, 1)));
        match asked {
            Ok(issued) => issued.iter().for_each(|one| {
                assert!(!of.truth.contains_key(one), "{what}: serial {} was given twice", one.1);
            }),
            Err(_) => assert!(is_told, "{what}: nothing is issued, and nobody is told"),
        }
        // A CRL that comes out lists all that is revoked.
        let published = office.publish(&[SIGN, AUTH], false);
        let revoked = of.truth.values().filter(|revoked| **revoked).count() as u64;
        if let Ok(set) = &published {
            assert!(set.entries >= revoked, "{what}: {} of {revoked} in the CRL", set.entries);
        }
    }
    drop(office.stop());
    assert!(before > 0 && (same || is_told), "{what}: other statuses, and nobody is told");
    if is_told { Came::Told } else { Came::Nothing }
}

#[test]
fn edits_of_any_file_are_refused_told_or_without_effect() {
    let rounds: u64 = std::env::var("SEKISHO_EDITS").map_or(40, |text| text.parse().unwrap());
    assert!(rounds > 0, "SEKISHO_EDITS must be 1 or more");
    let home = tempfile::tempdir().unwrap();
    let templates = [template(home.path(), false), template(home.path(), true)];
    let mut came: BTreeMap<Came, u64> = BTreeMap::new();
    let edited = home.path().join("edited");
    for round in 0..rounds {
        let of = &templates[(round % 2) as usize];
        drop(fs::remove_dir_all(&edited));
        copy(&of.data, &edited);
        let data = DataDir::new(&edited);
        // As if it had stayed where it was.
        office::bind(&data).unwrap();
        let mut dice = Dice::new(0x5ec1_5400 + round);
        let what = edit(&mut dice, &edited, &of.older);
        let what = format!("round {round}, {}: {what}", if round % 2 == 0 { "stopped" } else { "killed" });
        *came.entry(try_it(of, &data, &what)).or_default() += 1;
    }
    println!("{rounds} edits: {came:?}");
    let tried = |came_to| came.get(&came_to).copied().unwrap_or(0);
    // Each of them must have been met, or the edits try nothing.
    assert!(tried(Came::Told) * 10 >= rounds && tried(Came::Nothing) * 10 >= rounds, "{came:?}");
    assert!(tried(Came::Refused) * 400 >= rounds || rounds < 400, "{came:?}");
}
