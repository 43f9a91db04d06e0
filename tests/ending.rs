//! The journal's end as an operator meets it: the binary, a kill, a disk that lost the end, and what to do.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "a failed step must stop the test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use service::{SEKISHO, Service};

#[path = "ending/copies.rs"]
mod copies;
#[path = "ending/edits.rs"]
mod edits;
#[path = "ending/office.rs"]
mod office;
#[path = "ending/rewritten.rs"]
mod rewritten;
mod service;

/// A person must look: no supervisor starts it again.
const PERSON: i32 = 7;

/// The last file of the journal, and where its last frame begins.
fn last_frame(data: &Path) -> (PathBuf, usize) {
    let files = fs::read_dir(data.join("store/journal")).unwrap();
    let path = files.map(|file| file.unwrap().path()).max().unwrap();
    let octets = fs::read(&path).unwrap();
    // Of 64 octets of header, the length of the payload stands at 24.
    let (mut at, mut last) = (0, 0);
    while at < octets.len() {
        last = at;
        let length = u32::from_be_bytes(octets[at + 24..at + 28].try_into().unwrap());
        at += 64 + usize::try_from(length).unwrap();
    }
    (path, last)
}

fn refused(data: &Path, arguments: &[&str]) -> Output {
    Command::new(SEKISHO).args(arguments).arg("--data").arg(data).output().unwrap()
}

#[test]
fn a_1_a_journal_that_lost_its_end_needs_a_person_and_is_taken_as_it_is_at_that_persons_word() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let mut service = Service::start(&data, 100);
    let spare = service.manifest["certificates"].as_array().unwrap();
    let good = spare.iter().find(|one| one["status"] == "good" && one["authority"] == "sign").unwrap();
    let serial = good["serial"].as_str().unwrap().to_owned();
    let revoke = ["revoke", "--authority", "sign", "--serial", &serial, "--reason", "superseded"];
    assert_eq!(service.sekisho(&revoke).code, Some(0));
    service.kill();
    let (path, at) = last_frame(&data);
    let mut octets = fs::read(&path).unwrap();
    octets.truncate(at);
    fs::write(&path, octets).unwrap();

    for arguments in [&["serve"][..], &["check"]] {
        let output = refused(&data, arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(PERSON), "{arguments:?}: {told}");
        assert!(told.contains("was acknowledged") && told.contains("accept-end"), "{told}");
        assert_eq!(told.trim().lines().count(), 1, "{told}");
    }
    let output = refused(&data, &["journal", "accept-end", "--reason", " "]);
    assert_eq!(output.status.code(), Some(2));
    let output = refused(&data, &["journal", "accept-end", "--reason", "disk 3 lost its last minute"]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("begins epoch") && told.contains("repeated"), "{told}");

    let service = Service::start(&data, 100);
    let named = ["--authority", "sign", "--serial", &serial];
    let status = service.sekisho(&[&["status", "--json"][..], &named].concat());
    assert_eq!(status.json()["status"], "good", "what followed is given up");
    assert_eq!(service.sekisho(&revoke).code, Some(0), "and repeated");
    let output = refused(&data, &["journal", "accept-end", "--reason", "again"]);
    assert_eq!(output.status.code(), Some(2), "not beside a service");
    let seen = service.sekisho(&["journal", "seen"]);
    assert_eq!((seen.code, seen.stdout.contains("nothing")), (Some(0), true), "{}", seen.stdout);
    let published = service.sekisho(&["crl", "publish"]);
    assert_eq!(published.code, Some(0), "{}", published.stderr);
    let state = service.sekisho(&["check", "--json"]).json();
    assert_eq!(state["findings"].as_array().unwrap().len(), 0, "{state}");
}

/// The unit does not try again what trying again does not mend.
#[test]
fn a_1_the_unit_starts_no_damaged_journal_over_and_over() {
    let unit = include_str!("../deploy/sekisho.service");
    let line = unit.lines().find(|line| line.starts_with("RestartPreventExitStatus=")).unwrap();
    assert_eq!(line, "RestartPreventExitStatus=2 7");
}

/// What becomes of the journal's last file, or of all of it, under the running service.
type Fate = fn(&Path, &Path);

/// Copies the journal's open file out of the process.
fn rescue(pid: u32, to: &Path) {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let is_journal = |fd: &PathBuf| {
        fs::read_link(fd).is_ok_and(|target| target.to_string_lossy().contains("/store/journal"))
    };
    let open: Vec<PathBuf> = fds.map(|fd| fd.unwrap().path()).filter(is_journal).collect();
    assert_eq!(open.len(), 1, "{open:?}");
    fs::copy(&open[0], to).unwrap();
}

#[test]
fn a_3_a_journal_taken_away_under_the_service_ends_acknowledging_and_can_be_copied_back() {
    let fates: [(&str, Fate); 5] = [
        ("removed", |_, file| fs::remove_file(file).unwrap()),
        ("replaced by a copy", |_, file| {
            let copy = file.with_extension("copy");
            fs::copy(file, &copy).unwrap();
            fs::rename(&copy, file).unwrap();
        }),
        ("renamed", |_, file| fs::rename(file, file.with_extension("away")).unwrap()),
        ("cut", |_, file| fs::File::options().write(true).open(file).unwrap().set_len(64).unwrap()),
        ("journal/ renamed", |dir, _| fs::rename(dir, dir.with_extension("away")).unwrap()),
    ];
    for (what, fate) in fates {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        let mut service = Service::start(&data, 100);
        let good = service.certificates("sign", "good");
        let revoke = |service: &Service, at: usize| {
            let serial = good[at]["serial"].as_str().unwrap();
            service.sekisho(&["revoke", "--authority", "sign", "--serial", serial])
        };
        assert_eq!(revoke(&service, 0).code, Some(0), "{what}");
        let (file, _) = last_frame(&data);
        fate(&data.join("store/journal"), &file);
        let unknown = revoke(&service, 1);
        unknown.refused(3, &["removed, replaced, renamed or cut", "/proc/"]);
        assert_ne!(revoke(&service, 2).code, Some(0), "{what}: nor is anything later");
        // It lives on, and answers.
        let status = service.sekisho(&[
            "explain",
            "--authority",
            "sign",
            "--serial",
            good[0]["serial"].as_str().unwrap(),
        ]);
        assert_eq!(status.code, Some(0), "{what}: {}", status.stderr);
        assert!(status.stdout.contains("revoked"), "{what}: {}", status.stdout);
        if what == "cut" {
            service.kill();
            let checked = refused(&data, &["check"]);
            let told = String::from_utf8_lossy(&checked.stderr);
            assert_eq!(checked.status.code(), Some(PERSON), "{what}: {told}");
            continue;
        }
        let rescued = home.path().join("rescued");
        rescue(service.pid(), &rescued);
        service.kill();
        if what == "journal/ renamed" {
            let journal = data.join("store/journal");
            fs::rename(journal.with_extension("away"), journal).unwrap();
        }
        fs::rename(&rescued, &file).unwrap();
        let away = file.with_extension("away");
        if away.exists() {
            fs::remove_file(away).unwrap();
        }
        let service = Service::start(&data, 100);
        let named =
            ["status", "--json", "--authority", "sign", "--serial", good[0]["serial"].as_str().unwrap()];
        let told = service.sekisho(&named);
        assert!(told.stdout.contains(r#""status":"revoked""#), "{what}: {}", told.text());
        assert_eq!(revoke(&service, 1).code, Some(0), "{what}");
    }
}
