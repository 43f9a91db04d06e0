//! The public notice of a compromise, by OpenSSL's CMS.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use sekisho::office::data::DataDir;
use sekisho::office::{PublicContent, init, reason};
use sekisho::pki::{CertificateKind, Generation, HashAlgorithm};
use sekisho::record::Origin;

use crate::world::{SIGN, World};

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// What is served below `/ca/` now and from here on.
fn watch(world: &World) -> Files {
    let files = Files::default();
    let seen = Arc::clone(&files);
    let watcher = move |published: &sekisho::office::Published| {
        let mut now = BTreeMap::new();
        for file in published.files.iter().filter(|file| file.path.starts_with("/ca/")) {
            let PublicContent::Memory(octets) = &file.content else { continue };
            now.insert(file.path.clone(), octets.clone());
        }
        *seen.lock().unwrap() = now;
    };
    world.office().watch_files(Box::new(watcher)).unwrap();
    files
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn sha256(octets: &[u8]) -> String {
    hex(&HashAlgorithm::Sha256.digest(octets))
}

/// Whether OpenSSL finds the signature good, trusting one certificate alone.
fn verifies(content: &[u8], signature: &[u8], anchor: &[u8]) -> bool {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str, octets: &[u8]| {
        let path = home.path().join(name);
        fs::write(&path, octets).unwrap();
        path
    };
    let (content, signature, anchor) =
        (at("notice.json", content), at("notice.p7s", signature), at("anchor.pem", anchor));
    let run = Command::new("openssl")
        .args([
            "cms",
            "-verify",
            "-binary",
            "-inform",
            "DER",
            "-purpose",
            "any",
            "-no_check_time",
            "-out",
            "/dev/null",
        ])
        .args([Path::new("-in"), &signature, Path::new("-content"), &content])
        .args([Path::new("-CAfile"), &anchor])
        .output()
        .unwrap();
    run.status.success()
}

fn compromise(world: &World) {
    world.office().compromise(SIGN, Generation::FIRST, None, Origin::service()).unwrap();
}

const NOTICE: &str = "/ca/sign/1.notice.json";
const SIGNATURE: &str = "/ca/sign/1.notice.p7s";
const BY_SUCCESSOR: &str = "/ca/sign/1.notice.successor.p7s";

#[test]
fn b_3_8_the_notice_of_a_compromise_is_signed_by_the_notice_key_and_by_the_successor() {
    let world = World::new();
    world.issue(sekisho::office::Place::New, &[CertificateKind::CardSign]).unwrap();
    let served = watch(&world);
    let get = |path: &str| served.lock().unwrap().get(path).cloned();
    assert_eq!((get(NOTICE), get(SIGNATURE)), (None, None), "of a sound key");
    compromise(&world);
    let (json, signature) = (get(NOTICE).unwrap(), get(SIGNATURE).unwrap());
    assert_eq!(get(BY_SUCCESSOR), None, "before there is one");
    let anchor = get("/ca/notice.pem").unwrap();
    assert_eq!(fs::read(world.office().data().notice_certificate()).unwrap(), anchor);
    let notice: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((&notice["authority"], &notice["generation"]), (&"sign".into(), &1.into()));
    assert_eq!(notice["ca_certificate_sha256"], sha256(&get("/ca/sign/1.cer").unwrap()));
    assert_eq!(notice["decided_at"], world.now().to_string());
    assert!(notice.get("invalid_since").is_none() && notice.get("successor").is_none());
    assert!(notice["what_to_do"].as_array().unwrap().len() > 2);
    assert!(verifies(&json, &signature, &anchor));
    // Not by the key itself, nor for another anchor; and of each octet.
    let [own, other] = ["sign", "auth"].map(|of| get(&format!("/ca/{of}/1.pem")).unwrap());
    for wrong in [&own, &other] {
        assert!(!verifies(&json, &signature, wrong));
    }
    for at in (0..json.len()).step_by(97) {
        let mut changed = json.clone();
        changed[at] ^= 1;
        assert!(!verifies(&changed, &signature, &anchor), "octet {at}");
    }
    // With a successor, by that too; and it is named.
    world.office().write_compromises().unwrap();
    world.office().roll_over(SIGN, Some(world.now()), Origin::service()).unwrap();
    let (json, signature) = (get(NOTICE).unwrap(), get(SIGNATURE).unwrap());
    let by_successor = get(BY_SUCCESSOR).unwrap();
    let next = get("/ca/sign/2.pem").unwrap();
    let notice: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(notice["successor"]["ca_certificate_sha256"], sha256(&get("/ca/sign/2.cer").unwrap()));
    assert_eq!(notice["successor"]["generation"], 2);
    assert!(notice["successor"]["ca_certificate"].as_str().unwrap().ends_with("/ca/sign/2.cer"));
    assert!(verifies(&json, &signature, &anchor) && verifies(&json, &by_successor, &next));
    assert!(!verifies(&json, &by_successor, &anchor) && !verifies(&json, &signature, &next));
    for at in (0..json.len()).step_by(97) {
        let mut changed = json.clone();
        changed[at] ^= 1;
        assert!(!verifies(&changed, &by_successor, &next), "octet {at}");
    }
    // It is signed once, whatever is published.
    world.pass(86_400);
    world.office().publish(&[SIGN], true).unwrap();
    assert_eq!(
        (get(NOTICE), get(SIGNATURE), get(BY_SUCCESSOR)),
        (Some(json), Some(signature), Some(by_successor))
    );
}

#[test]
fn b_3_8_the_key_for_notices_is_made_at_init_kept_and_told_of_when_it_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let made = init(&DataDir::new(&home.path().join("data")), "SEKISHO-TEST").unwrap();
    assert_eq!(made.notice_key.len(), 64);
    let mut world = World::new();
    compromise(&world);
    let notice = |world: &World| {
        let served = watch(world);
        let files = served.lock().unwrap();
        [NOTICE, SIGNATURE, "/ca/notice.pem"].map(|path| files.get(path).cloned())
    };
    let [json, ..] = notice(&world);
    let key = world.office().data().notice_key();
    let is_told = |world: &World| world.office().attention().iter().any(|one| one.reason == reason::NOTICES);
    assert!(!is_told(&world));
    // The certificate carries the key, and is made again.
    world.restart_after(|data| fs::remove_file(data.notice_certificate()).unwrap());
    let again = notice(&world);
    assert_eq!(again[0], json);
    let [Some(text), Some(signature), Some(new)] = again else { panic!() };
    assert!(verifies(&text, &signature, &new));
    // A damaged key is told of, and nothing else stops; a directory from before gets one.
    world.restart_after(|_| fs::write(&key, b"no key").unwrap());
    assert!(is_told(&world));
    assert_eq!(notice(&world), [json.clone(), None, None]);
    world.restart_after(|_| fs::remove_file(&key).unwrap());
    assert!(!is_told(&world));
    let [Some(text), Some(signature), Some(new)] = notice(&world) else { panic!() };
    assert_eq!(Some(&text), json.as_ref());
    assert!(verifies(&text, &signature, &new));
}
