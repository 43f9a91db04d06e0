//! The first minutes of a new user: `demo`, the lines it prints, and a second start.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed step must stop the test"
)]

mod service;

use std::collections::BTreeSet;
use std::fs;

use service::{Service, shell};

/// The printed lines that are commands, in their order.
fn commands(service: &Service) -> Vec<String> {
    let is_command =
        |line: &&String| ["openssl ", "curl ", service::SEKISHO].iter().any(|start| line.starts_with(start));
    service.lines.iter().filter(is_command).cloned().collect()
}

#[test]
fn every_printed_line_does_what_it_says() {
    let service = Service::demo(300);
    let commands = commands(&service);
    let [good, revoked, crl, spare, revoke, status] = commands.as_slice() else {
        panic!("{:#?}", service.lines);
    };

    let said = shell(good).text();
    assert!(said.contains("Response verify OK") && said.contains(": good"), "{said}");
    let said = shell(revoked).text();
    assert!(said.contains("Response verify OK") && said.contains(": revoked"), "{said}");
    let said = shell(crl);
    assert!(said.code == Some(0) && said.text().contains("verify OK"), "{}", said.text());

    let before = shell(spare).text();
    assert!(before.contains("Response verify OK") && before.contains(": good"), "{before}");
    let said = shell(revoke);
    assert!(said.code == Some(0) && said.stdout.contains("keyCompromise"), "{}", said.text());
    let after = shell(spare).text();
    assert!(after.contains("Response verify OK") && after.contains(": revoked"), "{after}");
    assert!(after.contains("Reason: keyCompromise"), "{after}");
    let said = shell(status);
    assert_eq!(said.code, Some(1), "a revoked certificate is a no: {}", said.text());
    assert!(said.stdout.contains("revoked") && said.stdout.contains("not cut since"), "{}", said.stdout);
}

#[test]
fn the_manifest_lists_enough_of_everything_with_files() {
    let service = Service::demo(1000);
    for authority in ["sign", "auth"] {
        let good = service.certificates(authority, "good");
        let revoked = service.certificates(authority, "revoked");
        let (held, revoked): (Vec<_>, Vec<_>) =
            revoked.into_iter().partition(|one| one["reason"] == "certificateHold");
        assert!(good.len() >= 40 && revoked.len() >= 10 && held.len() >= 5, "{authority}");
        for one in good.iter().chain(&revoked).chain(&held) {
            let pem = fs::read(one["file"].as_str().unwrap()).unwrap();
            assert!(pem.starts_with(b"-----BEGIN CERTIFICATE-----"));
            assert_eq!(one["municipality"].as_str().unwrap().len(), 5);
            assert_eq!(one["generation"], 1);
            assert_eq!(one["status"] == "revoked", one["revoked_at"].is_string());
        }
        let all = service.manifest["certificates"].as_array().unwrap();
        assert_eq!(all.iter().filter(|one| one["authority"] == authority).count(), 1000);
        let places: BTreeSet<_> = all.iter().map(|one| one["municipality"].as_str().unwrap()).collect();
        assert!(places.len() > 500, "residents live all over the country: {}", places.len());
        let next = service.manifest["authorities"].as_array().unwrap().iter();
        let next = next.filter(|ca| ca["name"] == authority).map(|ca| ca["next_serial"].as_str().unwrap());
        let next: Vec<&str> = next.collect();
        assert!(!all.iter().any(|one| one["authority"] == authority && one["serial"] == next[0]));
    }
    assert!(service.manifest["pid"].as_u64() == Some(u64::from(service.pid())));
}

#[test]
fn a_second_start_continues_with_what_is_there() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let mut first = Service::start(&data, 120);
    let before = first.manifest["certificates"].clone();
    let state = first.sekisho(&["check", "--json"]).json();
    assert_eq!(state["findings"].as_array().unwrap().len(), 0, "{state}");
    first.stop();
    let second = Service::start(&data, 120);
    assert_eq!(second.manifest["certificates"], before);
    assert_eq!(second.sekisho(&["check", "--json"]).json()["certificates"], state["certificates"]);
}

#[test]
fn without_its_projection_a_service_gives_the_same_answers() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let mut first = Service::start(&data, 120);
    let revoked = first.certificates("sign", "revoked");
    let file = revoked[0]["file"].as_str().unwrap().to_owned();
    let status = |service: &Service| service.sekisho(&["status", "--cert", &file, "--json"]).stdout;
    let (before, answer) = (status(&first), first.openssl_ocsp("sign", &file, &[]));
    first.stop();
    fs::remove_dir_all(data.join("store/projection")).unwrap();
    let second = Service::start(&data, 120);
    assert_eq!(status(&second), before);
    let lines = |answer: &str| {
        answer
            .lines()
            .filter(|line| line.contains("Revo") || line.contains("Reason"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&second.openssl_ocsp("sign", &file, &[])), lines(&answer));
    assert_eq!(second.manifest["certificates"], first.manifest["certificates"]);
    assert_eq!(second.sekisho(&["check", "--json"]).json()["findings"].as_array().unwrap().len(), 0);
}
