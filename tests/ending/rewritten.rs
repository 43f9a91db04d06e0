//! A journal that was rewritten, chain and all, by somebody who has no key.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::PERSON;
use super::service::{DEADLINE, Ran, SEKISHO, Service, python, sekisho, shell};

const REWRITE: &str = include_str!("rewrite.py");
const NOTE: &str = include_str!("note.py");

/// A demo that revoked one certificate after all that was issued, published that, and was killed.
struct Rewritten {
    _home: tempfile::TempDir,
    service: Service,
    checkpoint: std::path::PathBuf,
    key: String,
}

/// Waits until the service has given out a checkpoint of at least this entry.
fn checkpoint(service: &Service, position: u64, to: &Path) {
    let started = Instant::now();
    loop {
        let got = shell(&format!("curl -sf {}crl/checkpoint -o {}", service.url(), to.display()));
        let text = fs::read_to_string(to).unwrap_or_default();
        let reached = text.lines().nth(1).and_then(|line| line.parse::<u64>().ok());
        if got.code == Some(0) && reached.is_some_and(|reached| reached >= position) {
            return;
        }
        assert!(started.elapsed() < DEADLINE, "no checkpoint of entry {position}: {text}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn rewritten() -> Rewritten {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let mut service = Service::start(&data, 100);
    let good = service.certificates("sign", "good");
    let [revoked, other] = [0, 1].map(|at: usize| good[at]["serial"].as_str().unwrap().to_owned());
    let before = service.sekisho(&["check", "--json"]).json()["position"].as_u64().unwrap();
    let revoke = ["revoke", "--authority", "sign", "--serial", &revoked];
    assert_eq!(service.sekisho(&revoke).code, Some(0));
    assert_eq!(service.sekisho(&["crl", "publish"]).code, Some(0));
    // A stop signs one of the last entry; the next start has it at once.
    service.stop();
    let mut service = Service::start(&data, 100);
    let note = home.path().join("note");
    let position = service.sekisho(&["check", "--json"]).json()["position"].as_u64().unwrap();
    checkpoint(&service, position, &note);
    let key = fs::read_to_string(data.join("checkpoint.pub")).unwrap().trim().to_owned();
    service.kill();
    let store = data.join("store");
    let before = before.to_string();
    let ran = python(REWRITE, &[store.to_str().unwrap(), "1", &revoked, &other, &before]);
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    Rewritten { _home: home, service, checkpoint: note, key }
}

fn check(of: &Rewritten, more: &[&str]) -> Ran {
    sekisho(&of.service.data, &[&["check"][..], more].concat())
}

#[test]
fn a_4_a_rewritten_journal_is_contradicted_by_the_sets_that_were_signed() {
    let of = rewritten();
    let checked = check(&of, &[]);
    assert_eq!(checked.code, Some(1), "{}", checked.text());
    assert!(checked.stdout.contains("was rewritten or exchanged"), "{}", checked.text());
    let sets = || fs::read_dir(of.service.data.join("crl/sets")).unwrap().count();
    let before = sets();
    // The service may begin to answer, and ends by itself.
    let log = of.service.data.with_extension("log");
    let served = shell(&format!(
        "timeout 100 {SEKISHO} serve --data {} 2> {} & wait $!; echo $?",
        of.service.data.display(),
        log.display()
    ));
    let log = fs::read_to_string(log).unwrap();
    assert_eq!(served.stdout.trim(), PERSON.to_string(), "{log}");
    assert!(log.lines().last().unwrap().contains("was rewritten or exchanged"), "{log}");
    // Nothing was published of it meanwhile.
    assert_eq!(sets(), before);
}

#[test]
fn a_4_a_rewritten_journal_without_its_sets_is_contradicted_by_a_checkpoint_outside() {
    let of = rewritten();
    fs::remove_dir_all(of.service.data.join("crl")).unwrap();
    let note = of.checkpoint.to_str().unwrap();
    let with_key = ["--checkpoint", note, "--checkpoint-key", &of.key];
    for more in [&["--checkpoint", note][..], &with_key] {
        let checked = check(&of, more);
        assert_eq!(checked.code, Some(1), "{}", checked.text());
        assert!(checked.stdout.contains("the checkpoint of") && checked.stdout.contains("rewritten"));
    }
    // Another key, another text, no file.
    let other = of.service.data.with_extension("other");
    let text = fs::read_to_string(note).unwrap();
    fs::write(&other, text.replacen("epoch 1", "epoch 2", 1)).unwrap();
    check(&of, &["--checkpoint", other.to_str().unwrap()]).refused(2, &["not signed by that key"]);
    fs::write(&other, "nothing").unwrap();
    check(&of, &["--checkpoint", other.to_str().unwrap()]).refused(2, &["not a checkpoint"]);
    check(&of, &["--checkpoint", "nowhere"]).refused(2, &["nowhere"]);
    check(&of, &["--checkpoint", note, "--checkpoint-key", "x"]).refused(2, &["as init printed it"]);
}

/// Of a whole journal nothing is said; and somebody else's program verifies what is given out.
#[test]
fn a_4_a_checkpoint_is_given_out_signed_and_the_journal_holds_against_it() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    Service::start(&data, 100).stop();
    let mut service = Service::start(&data, 100);
    let note = home.path().join("note");
    let position = service.sekisho(&["check", "--json"]).json()["position"].as_u64().unwrap();
    // At the start; what is written later follows within a minute.
    checkpoint(&service, position, &note);
    let key = fs::read_to_string(data.join("checkpoint.pub")).unwrap();
    let verified = python(NOTE, &[note.to_str().unwrap(), key.trim()]);
    assert_eq!(verified.code, Some(0), "{}", verified.text());
    assert!(verified.stdout.trim().parse::<u64>().unwrap() >= position);
    let url = format!("{}crl/checkpoint", service.url());
    for source in [note.to_str().unwrap(), &url] {
        let checked = service.sekisho(&["check", "--checkpoint", source]);
        assert_eq!(checked.code, Some(0), "{}", checked.text());
    }
    service.stop();
    let checked = sekisho(&data, &["check", "--checkpoint", note.to_str().unwrap()]);
    assert_eq!(checked.code, Some(0), "{}", checked.text());
}
