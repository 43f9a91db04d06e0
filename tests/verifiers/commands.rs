//! `verifier add`, `list`, `suspend`: outcomes, repetitions, and what every mistake is told.

use std::fs;
use std::path::Path;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, KeyUsagePurpose};
use serde_json::Value;

use crate::service::{Service, run};

/// Writes a self-signed certificate, PEM, and returns its path.
fn certificate(home: &Path, name: &str, change: impl FnOnce(&mut CertificateParams)) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    change(&mut params);
    let path = home.join(format!("{name}.pem"));
    fs::write(&path, params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn verifiers_are_added_listed_suspended_and_added_again() {
    let service = Service::demo(100);
    let home = tempfile::tempdir().unwrap();
    let (kiosk, renewed, clinic) = (
        certificate(home.path(), "kiosk", |_| {}),
        certificate(home.path(), "kiosk 2027", |_| {}),
        certificate(home.path(), "clinic", |_| {}),
    );
    let list = || service.sekisho(&["verifier", "list", "--json"]).json()["verifiers"].clone();
    assert_eq!(list(), Value::Array(Vec::new()));
    let add = |name: &str, file: &str| {
        service.sekisho(&["verifier", "add", "--json", "--name", name, "--cert", file])
    };
    let first = add("Kiosks", &kiosk).json();
    assert_eq!(first["changed"], true);
    let one = &first["verifiers"][0];
    assert_eq!((&one["name"], &one["state"]), (&Value::from("Kiosks"), &Value::from("registered")));
    assert_eq!(one["subject"], "CN=kiosk");
    let again = add("Kiosks", &kiosk).json();
    assert_eq!((&again["changed"], &again["verifiers"]), (&Value::from(false), &first["verifiers"]));
    add("Clinics", &kiosk).refused(1, &["registered for Kiosks"]);
    add("Kiosks", &renewed).json();
    add("Clinics", &clinic).json();
    // DER as well, and the same certificate.
    let der = home.path().join("clinic.der").to_str().unwrap().to_owned();
    assert_eq!(run("openssl", &["x509", "-in", &clinic, "-outform", "DER", "-out", &der]).code, Some(0));
    assert_eq!(add("Clinics", &der).json()["changed"], false);

    let suspend = |which: &[&str]| service.sekisho(&[&["verifier", "suspend", "--json"], which].concat());
    let done = suspend(&["--cert", &kiosk]).json();
    assert_eq!(
        (&done["changed"], &done["verifiers"][0]["state"]),
        (&Value::from(true), &Value::from("suspended"))
    );
    let both = suspend(&["--name", "Kiosks"]).json();
    let states: Vec<&Value> = both["verifiers"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["suspended", "suspended"]);
    let already = suspend(&["--name", "Kiosks"]).json();
    assert_eq!((&already["changed"], &already["verifiers"]), (&Value::from(false), &both["verifiers"]));
    assert_eq!(add("Kiosks", &kiosk).json()["verifiers"][0]["state"], "registered");
    let all = list();
    let names: Vec<&Value> = all.as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["Clinics", "Kiosks", "Kiosks"]);

    let words = service.sekisho(&["verifier", "list"]);
    assert_eq!(words.code, Some(0));
    assert!(words.stdout.starts_with("STATE"), "{}", words.stdout);
    assert_eq!(words.stdout.lines().filter(|line| line.starts_with("registered ")).count(), 2);
    let words = service.sekisho(&["verifier", "add", "--name", "Kiosks", "--cert", &kiosk]);
    assert!(
        words.stdout.contains("so already") && words.stdout.contains("nothing changed"),
        "{}",
        words.stdout
    );
}

#[test]
fn mistakes_are_told_and_register_nobody() {
    let service = Service::demo(100);
    let home = tempfile::tempdir().unwrap();
    let good = certificate(home.path(), "good", |_| {});
    let expired = certificate(home.path(), "expired", |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let agreeing = certificate(home.path(), "agreeing", |params| {
        params.key_usages = vec![KeyUsagePurpose::KeyAgreement];
    });
    let file = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (weak, key) = (file("weak.pem"), file("weak.key"));
    let make = [
        "req", "-x509", "-nodes", "-newkey", "rsa:1024", "-subj", "/CN=weak", "-keyout", &key, "-out", &weak,
    ];
    assert_eq!(run("openssl", &make).code, Some(0));
    let (garbage, absent) = (file("garbage"), file("absent"));
    fs::write(&garbage, "no certificate").unwrap();
    let add = |name: &str, file: &str| service.sekisho(&["verifier", "add", "--name", name, "--cert", file]);
    add("a", &expired).refused(2, &["expired at 2021-01-01T00:00:00Z"]);
    add("a", &agreeing).refused(2, &["keyUsage", "digitalSignature"]);
    add("a", &weak).refused(2, &["1024 bits", "2048"]);
    add("a", &key).refused(2, &["weak.key", "begins a PRIVATE KEY", "certificates alone"]);
    add("a", &garbage).refused(2, &["neither PEM nor DER"]);
    add("a", &absent).refused(2, &["absent"]);
    add("", &good).refused(2, &["1 to 60 characters"]);
    add("a\nb", &good).refused(2, &["control character"]);
    let suspend = |which: &[&str]| service.sekisho(&[&["verifier", "suspend"], which].concat());
    suspend(&["--name", "nobody"]).refused(1, &["no such verifier", "verifier list"]);
    suspend(&["--cert", &good]).refused(1, &["no such verifier"]);
    assert_eq!(suspend(&[]).code, Some(2));
    assert_eq!(suspend(&["--name", "a", "--cert", &good]).code, Some(2));
    assert_eq!(
        service.sekisho(&["verifier", "list", "--json"]).json()["verifiers"],
        Value::Array(Vec::new())
    );
}
