//! The public notice of a compromise, by OpenSSL's CMS.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use sekisho::der::UnixTime;
use sekisho::office::data::DataDir;
use sekisho::office::{Keeper, NoticeOut, PublicContent, init, reason};
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
    assert_eq!(again[0], json, "the text is the same, signed anew");
    let [Some(text), Some(signature), Some(new)] = again else { panic!() };
    assert!(verifies(&text, &signature, &new));
    // A damaged key is told of, and nothing else stops; a directory from before gets one.
    world.restart_after(|_| fs::write(&key, b"no key").unwrap());
    assert!(is_told(&world));
    assert_eq!(notice(&world), [json.clone(), None, None]);
    world.restart_after(|data| {
        fs::remove_file(&key).unwrap();
        fs::remove_file(data.notice_certificate()).unwrap();
    });
    assert!(!is_told(&world));
    let [Some(text), Some(signature), Some(new)] = notice(&world) else { panic!() };
    assert_eq!(Some(&text), json.as_ref());
    assert!(verifies(&text, &signature, &new));
}

/// What is told of the notice key.
fn told(world: &World) -> Option<String> {
    let all = world.office().attention();
    all.into_iter().find(|one| one.reason == reason::NOTICES).map(|one| one.text)
}

#[test]
fn b_3_8_a_lost_notice_key_is_not_replaced_until_an_operator_says_so() {
    let mut world = World::new();
    let (key, certificate) = {
        let data = world.office().data();
        (data.notice_key(), data.notice_certificate())
    };
    let (sound, anchor) = (fs::read(&key).unwrap(), fs::read(&certificate).unwrap());
    assert_eq!(told(&world), None);
    for _ in 0..2 {
        world.restart_after(|_| drop(fs::remove_file(&key)));
        let text = told(&world).unwrap();
        for part in ["notice.key is missing", "restore the key", "notice.pem too", "fingerprint"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!key.exists(), "none was made");
        assert_eq!(fs::read(&certificate).unwrap(), anchor);
    }
    let restore = |_: &DataDir| {
        fs::write(&key, &sound).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    };
    world.restart_after(restore);
    assert_eq!((told(&world), fs::read(&certificate).unwrap()), (None, anchor.clone()));
    // Whatever stands in the file.
    let other = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for wrong in [&b""[..], b"no key", &[0xff, 0xfe], &anchor, other] {
        world.restart_after(|_| fs::write(&key, wrong).unwrap());
        let text = told(&world).unwrap();
        for part in ["notice.key holds no key", "restore it", "lost for good", "notice.pem"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(
            (fs::read(&key).unwrap(), fs::read(&certificate).unwrap()),
            (wrong.to_vec(), anchor.clone())
        );
    }
    // One that cannot be read may be as good as ever.
    world.restart_after(|_| {
        fs::remove_file(&key).unwrap();
        fs::create_dir(&key).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o700)).unwrap();
    });
    let text = told(&world).unwrap();
    assert!(text.contains("remove nothing") && !text.contains("lost for good"), "{text}");
    world.restart_after(|data| {
        fs::remove_dir(&key).unwrap();
        restore(data);
    });
    assert_eq!((told(&world), fs::read(&certificate).unwrap()), (None, anchor));
}

#[test]
fn b_3_8_a_notice_is_signed_although_the_certificate_cannot_be_written() {
    let mut world = World::new();
    let key = fs::read(world.office().data().notice_key()).unwrap();
    world.restart_after(|data| {
        let certificate = data.notice_certificate();
        fs::remove_file(&certificate).unwrap();
        fs::create_dir(&certificate).unwrap();
    });
    let text = told(&world).unwrap();
    assert!(text.contains("are signed, but") && text.contains("notice.pem"), "{text}");
    assert!(!text.contains("restore") && !text.contains("remove"), "{text}");
    compromise(&world);
    let served = watch(&world);
    let [json, signature, anchor] =
        [NOTICE, SIGNATURE, "/ca/notice.pem"].map(|path| served.lock().unwrap()[path].clone());
    assert!(verifies(&json, &signature, &anchor));
    assert_eq!(fs::read(world.office().data().notice_key()).unwrap(), key);
    world.restart_after(|data| fs::remove_dir(data.notice_certificate()).unwrap());
    assert_eq!(told(&world), None);
    assert!(world.office().data().notice_certificate().is_file());
}

/// A client that asks by date alone gets the text with the successor.
#[test]
fn b_3_8_a_notice_that_says_something_else_has_another_last_modified() {
    type Seen = Arc<Mutex<BTreeMap<String, (UnixTime, [u8; 32])>>>;
    let world = World::new();
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let watcher = move |published: &sekisho::office::Published| {
        let own = published.files.iter().filter(|file| file.path.contains("notice"));
        *kept.lock().unwrap() = own.map(|file| (file.path.clone(), (file.last_modified, file.tag))).collect();
    };
    world.office().watch_files(Box::new(watcher)).unwrap();
    let at = |path: &str| seen.lock().unwrap()[path];
    compromise(&world);
    let first = [NOTICE, SIGNATURE].map(at);
    let anchor = at("/ca/notice.pem");
    world.office().write_compromises().unwrap();
    // In the same second, and later.
    world.office().roll_over(SIGN, Some(world.now()), Origin::service()).unwrap();
    let second = [NOTICE, SIGNATURE].map(at);
    world.pass(3600);
    world.office().publish(&[SIGN], false).unwrap();
    assert_eq!([NOTICE, SIGNATURE].map(at), second, "unchanged, it is as old as it was");
    let two = Generation::new(2).unwrap();
    world.office().compromise(SIGN, two, None, Origin::service()).unwrap();
    let third = [NOTICE, SIGNATURE].map(at);
    for (before, after) in [(first, second), (second, third)] {
        for (before, after) in before.iter().zip(after) {
            assert!(before.0 < after.0 && before.1 != after.1, "{before:?} {after:?}");
        }
    }
    assert_eq!(third[0].0, world.now());
    assert_eq!(at("/ca/notice.pem"), anchor);
}

/// While something else is being published, and although the set that follows does not come out.
#[test]
fn b_3_8_a_notice_that_was_put_off_comes_out_with_the_next_look() {
    let world = World::new();
    world.issue(sekisho::office::Place::New, &[CertificateKind::CardSign]).unwrap();
    let files = Files::default();
    let (kept, (busy, is_busy), (go_on, told_to)) =
        (Arc::clone(&files), mpsc::channel::<()>(), mpsc::channel::<()>());
    let (busy, told_to) = (Mutex::new(Some(busy)), Mutex::new(told_to));
    let watcher = move |published: &sekisho::office::Published| {
        let memory = published.files.iter().filter_map(|file| match &file.content {
            PublicContent::Memory(octets) => Some((file.path.clone(), octets.clone())),
            PublicContent::File(_) => None,
        });
        *kept.lock().unwrap() = memory.collect();
        // The one that serves the next CA certificate waits here.
        if published.files.iter().any(|file| file.path == "/ca/sign/2.cer")
            && let Some(busy) = busy.lock().unwrap().take()
        {
            busy.send(()).unwrap();
            told_to.lock().unwrap().recv_timeout(Duration::from_secs(300)).unwrap();
        }
    };
    world.office().watch_files(Box::new(watcher)).unwrap();
    let is_out = || files.lock().unwrap().contains_key(NOTICE);
    let remarks = || world.office().warnings().iter().filter(|text| text.contains("notice")).count();
    let (office, now) = (Arc::clone(world.office()), world.now());
    let rolling = std::thread::spawn(move || office.roll_over(SIGN, Some(now), Origin::service()));
    is_busy.recv_timeout(Duration::from_secs(300)).unwrap();
    for _ in 0..2 {
        let said = world.office().compromise(SIGN, Generation::FIRST, None, Origin::service()).unwrap();
        assert_eq!((said.notice, is_out(), remarks()), (NoticeOut::Follows, false, 1));
    }
    go_on.send(()).unwrap();
    let rolled = rolling.join().unwrap().unwrap();
    assert!(rolled.not_published.is_some_and(|why| why.contains("one by one")), "no set comes out");
    assert!(!is_out());
    Keeper::new(Arc::clone(world.office())).look();
    assert!(is_out());
    assert_eq!(remarks(), 0);
    let said = world.office().compromise(SIGN, Generation::FIRST, None, Origin::service()).unwrap();
    assert_eq!((said.changed, said.notice), (false, NoticeOut::Signed));
}
