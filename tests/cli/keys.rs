//! Keys of authorities by command: compromised, told of in public, retired.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::service::{Service, run, sekisho, shell};

#[test]
fn b_3_6_a_key_is_retired_by_command_and_what_must_still_be_served_is_told() {
    let service = Service::demo(100);
    let of = |command: &str, generation: &str, more: &[&str]| {
        let named = ["authority", command, "--authority", "sign", "--generation", generation];
        service.sekisho(&[&named[..], more].concat())
    };
    of("retire", "1", &[]).refused(1, &["generation 1, is not retired", "sekisho authority rollover"]);
    let unknown = of("retire", "9", &[]);
    assert!(
        unknown.code != Some(0) && unknown.stderr.contains("no key of generation 9"),
        "{}",
        unknown.text()
    );
    let said = of("compromised", "1", &["--json"]).json();
    let notice = said["notice"].as_str().unwrap();
    assert!(notice.ends_with("/ca/sign/1.notice.json"), "{notice}");
    assert!(said["notice_out"].is_boolean() && said["notice_signed"] == said["notice_out"], "{said}");
    // A set that is being made meanwhile puts it off until that is done.
    let began = Instant::now();
    let patient = || assert!(began.elapsed() < Duration::from_secs(120), "it did not come");
    let served = loop {
        let got = run("curl", &["-sf", notice]);
        if got.code == Some(0) {
            break got.json();
        }
        patient();
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!((&served["authority"], &served["decided_at"]), (&"sign".into(), &said["recorded_at"]));
    // What it signed is written one by one first.
    let done = loop {
        let done = of("retire", "1", &[]);
        if done.code == Some(0) {
            break done.stdout;
        }
        assert!(done.stderr.contains("one by one"), "{}", done.text());
        patient();
        std::thread::sleep(Duration::from_millis(200));
    };
    for told in ["sign 1: retired", "must be served until", "OCSP answers for it until", "back up", "destroy"]
    {
        assert!(done.contains(told), "{told}: {done}");
    }
    let again = of("retire", "1", &["--json"]).json();
    assert_eq!(again["changed"], false);
    let crls = again["crls"].as_str().unwrap();
    assert!(done.contains(crls) && Path::new(crls).join("index.json").is_file(), "{crls}: {done}");
    let list = service.sekisho(&["authority", "list"]).stdout;
    assert!(list.contains("sign 1: retired since") && list.contains("auth 1: issues"), "{list}");
}

#[test]
fn b_3_8_init_prints_the_fingerprint_of_the_key_for_notices() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let made = sekisho(&data, &["init", "--json"]).json();
    let fingerprint = made["notice_key_sha256"].as_str().unwrap();
    let pem = data.join("notice.pem").display().to_string();
    let told = shell(&format!(
        "openssl x509 -in '{pem}' -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256"
    ));
    assert!(fingerprint.len() == 64 && told.stdout.contains(fingerprint), "{}", told.text());
}
