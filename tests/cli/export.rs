//! The journal for somebody else to check: a program that shares nothing with this one follows the chain.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::service::{Ran, Service, run, sekisho};
use crate::{issued, serial};

const CHECKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/journal_chain.py");

/// What the independent program makes of exported frames.
fn followed(frames: &Path) -> Ran {
    run("python3", &[CHECKER, frames.to_str().unwrap()])
}

fn lines(exported: &Ran) -> Vec<Value> {
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    exported.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Frames and lines of a directory, and what the program and the service say of them.
fn agree(data: &Path, into: &Path, position: u64, head: &str) -> Vec<Value> {
    let exported = sekisho(data, &["journal", "export", "--frames", "--out", into.to_str().unwrap()]);
    assert_eq!(exported.code, Some(0), "{}", exported.text());
    assert!(exported.stderr.contains(&format!("up to entry {position}; head {head}")), "{}", exported.stderr);
    let followed = followed(into);
    assert_eq!(followed.code, Some(0), "{}", followed.text());
    let frames: Vec<&str> = followed.stdout.lines().collect();
    assert!(frames.last().unwrap().ends_with(&format!(" {position} {head}")), "{}", followed.stdout);

    // Each line stands in the frame that it names.
    let lines = lines(&sekisho(data, &["journal", "export"]));
    let numbers: Vec<u64> = lines.iter().map(|line| line["position"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=position).collect::<Vec<_>>());
    let named: BTreeSet<String> = lines
        .iter()
        .map(|line| format!("frame {} {} {}", line["frame"], line["offset"], line["head"].as_str().unwrap()))
        .collect();
    let walked: BTreeSet<String> = frames[..frames.len() - 1].iter().map(|line| (*line).to_owned()).collect();
    assert_eq!(named, walked);
    lines
}

#[test]
fn c_5_the_exported_journal_is_followed_by_a_program_that_shares_nothing_with_this_one() {
    let mut service = Service::demo(100);
    let home = tempfile::tempdir().unwrap();
    let card = issued(&service, &[]);
    let named = ["--authority", "sign", "--serial", serial(&card[0])];
    let revoke = [&["revoke", "--ticket", "AUD/1", "--reason", "superseded"][..], &named].concat();
    assert_eq!(service.sekisho(&revoke).code, Some(0));

    // Of a running service, up to what it has acknowledged.
    let running = home.path().join("running.frames");
    let exported = service.sekisho(&["journal", "export", "--frames", "--out", running.to_str().unwrap()]);
    assert_eq!(exported.code, Some(0), "{}", exported.text());
    let before = followed(&running);
    assert_eq!(before.code, Some(0), "{}", before.text());

    service.stop();
    let check = sekisho(&service.data, &["check", "--json"]).json();
    let (position, head) = (check["position"].as_u64().unwrap(), check["head"].as_str().unwrap());
    let frames = home.path().join("stopped.frames");
    let lines = agree(&service.data, &frames, position, head);
    let (all, part) = (fs::read(&frames).unwrap(), fs::read(&running).unwrap());
    assert!(all.starts_with(&part), "what was exported before is the beginning of it");
    let segments = fs::read_dir(service.data.join("store/journal")).unwrap();
    let octets: u64 = segments.map(|segment| segment.unwrap().metadata().unwrap().len()).sum();
    assert_eq!(u64::try_from(all.len()).unwrap(), octets, "the very octets");

    let of_ticket: Vec<&Value> = lines.iter().filter(|line| line["ticket"] == "AUD/1").collect();
    assert_eq!(of_ticket.len(), 1);
    let revoked = &of_ticket[0]["certificate"];
    assert_eq!((&of_ticket[0]["event"], &revoked["authority"]), (&"revoked".into(), &"sign".into()));
    assert_eq!((&revoked["serial"], &revoked["reason"]), (&card[0]["serial"], &"superseded".into()));

    // Who has a file is not written over, and a frame touched is found.
    let again = ["journal", "export", "--out", frames.to_str().unwrap()];
    sekisho(&service.data, &again).refused(2, &["stopped.frames", "exists"]);
    for at in [70, all.len() / 2, all.len() - 1] {
        let mut touched = all.clone();
        touched[at] ^= 1;
        let file = home.path().join("touched");
        fs::write(&file, touched).unwrap();
        assert_eq!(followed(&file).code, Some(1), "octet {at}");
    }
}

/// Neither who holds a certificate nor what somebody wrote.
#[test]
fn c_5_exported_lines_name_nobody() {
    let service = Service::demo(100);
    let card = issued(&service, &[]);
    let state = service.sekisho(&["status", "--authority", "sign", "--serial", serial(&card[0]), "--json"]);
    let card = state.json()["card"].as_str().unwrap().to_owned();
    let shown = service.sekisho(&["card", "show", &card, "--json"]).json();
    let holder = shown["holder"].as_str().unwrap().to_owned();
    let exported = service.sekisho(&["journal", "export"]);
    for line in lines(&exported) {
        let fields: BTreeSet<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        let known = [
            "position",
            "recorded_at",
            "event",
            "actor",
            "ticket",
            "comment_sha256",
            "certificate",
            "cause",
            "frame",
            "offset",
            "head",
        ];
        assert!(fields.is_subset(&BTreeSet::from(known)), "{line}");
        assert_eq!(line["head"].as_str().unwrap().len(), 64);
    }
    for name in ["関所", &holder, &card, "清瀬"] {
        assert!(!exported.stdout.contains(name), "{name}");
    }
}

#[test]
fn c_5_a_journal_that_is_damaged_or_missing_is_not_exported_as_if_it_were_whole() {
    let mut service = Service::demo(100);
    let home = tempfile::tempdir().unwrap();
    let nowhere = home.path().join("nowhere");
    sekisho(&nowhere, &["journal", "export"]).refused(7, &["no journal"]);
    service.stop();
    let journal = service.data.join("store/journal");
    let file = fs::read_dir(&journal).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&file).unwrap();

    // Half a frame behind the last: left out, and told.
    let half = [&whole[..], &whole[..40]].concat();
    fs::write(&file, half).unwrap();
    let exported = sekisho(&service.data, &["journal", "export"]);
    assert!(exported.stderr.contains("left out: 40 octets"), "{}", exported.stderr);
    assert_eq!(exported.code, Some(0));

    let mut touched = whole;
    touched[200] ^= 1;
    fs::write(&file, touched).unwrap();
    let out = home.path().join("export");
    let exported = sekisho(&service.data, &["journal", "export", "--frames", "--out", out.to_str().unwrap()]);
    exported.refused(7, &["checksum"]);
    assert!(!out.exists(), "half an export is none");
}
