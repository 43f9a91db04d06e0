//! A country in miniature: the same seed comes to the same records, and what it says it came to is
//! what OCSP, the CRLs and the journal say.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed step must stop the test"
)]

mod service;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use service::{Service, run, sekisho};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

/// RFC 5280 §5.3.1, from 0.
const REASONS: [&str; 7] = [
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
];

fn simulate(data: &Path, residents: u32, days: u32, seed: u32, more: &[&str]) -> Value {
    let [residents, days, seed] = [residents, days, seed].map(|number| number.to_string());
    let plan = ["simulate", "--residents", &residents, "--days", &days, "--seed", &seed, "--json"];
    sekisho(data, &[&plan[..], more].concat()).json()
}

#[test]
fn the_same_seed_comes_to_the_same_records() {
    let home = tempfile::tempdir().unwrap();
    let digest = |name: &str, seed| {
        let tally = simulate(&home.path().join(name), 30, 32, seed, &[]);
        tally["records_digest"].as_str().unwrap().to_owned()
    };
    let (one, again, other) = (digest("one", 7), digest("again", 7), digest("other", 8));
    assert_eq!(one, again);
    assert_ne!(one, other);
}

#[test]
fn what_a_simulation_came_to_is_what_ocsp_the_crls_and_the_journal_say() {
    let home = tempfile::tempdir().unwrap();
    let (data, manifest) = (home.path().join("data"), home.path().join("manifest.json"));
    let tally = simulate(&data, 250, 100, 1, &["--manifest", manifest.to_str().unwrap()]);
    let condition = sekisho(&data, &["check", "--json"]).json();
    assert_eq!(condition["position"], tally["position"]);
    assert_eq!(condition["head"], tally["head"]);
    let manifest: Value = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
    for authority in tally["authorities"].as_array().unwrap() {
        let name = authority["authority"].as_str().unwrap();
        let known = states(&manifest, name);
        let count = |state: &str| known.values().filter(|known| *known == state).count();
        assert_eq!(authority["good"], count("good"), "{name}");
        let revoked = authority["revoked"].as_object().unwrap();
        assert!(!revoked.is_empty(), "a country in which nothing happens shows nothing");
        for (reason, said) in revoked {
            assert_eq!(*said, count(reason), "{name}, {reason}");
        }
        assert_crl(&data, authority, &known);
    }
    // A year later, by the machine's clock, the service goes on from there.
    let mut service = Service::start(&data, 100);
    let reconciled = service.sekisho(&["reconcile", "--json"]).json();
    assert_eq!(reconciled["disagreements"].as_array().unwrap().len(), 0);
    for name in ["sign", "auth"] {
        assert_ocsp(&service, name, &states(&manifest, name));
    }
    service.stop();
    sekisho(&data, &["check", "--deep", "--json"]).json();
}

#[test]
fn a_plan_that_cannot_be_is_refused_before_anything_is_made() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    sekisho(&data, &["simulate", "--from", "2999-01-01"]).refused(2, &["--from", "--days"]);
    assert!(!data.exists());
    assert_eq!(sekisho(&data, &["simulate", "--from", "1.4.2025"]).code, Some(2));
    fs::create_dir(&data).unwrap();
    fs::write(data.join("sekisho.toml"), "").unwrap();
    sekisho(&data, &["simulate", "--residents", "10"]).refused(2, &["exists already"]);
}

/// `good`, or the reason, by serial.
fn states(manifest: &Value, authority: &str) -> BTreeMap<u64, String> {
    let all = manifest["certificates"].as_array().unwrap().iter();
    all.filter(|one| one["authority"] == authority)
        .map(|one| {
            let serial = one["serial"].as_str().unwrap().strip_prefix("0x").unwrap();
            let state = one["reason"].as_str().or(one["status"].as_str()).unwrap();
            (u64::from_str_radix(serial, 16).unwrap(), state.to_owned())
        })
        .collect()
}

/// The full CRL lists what is revoked, unless it expired, for the very reasons.
fn assert_crl(data: &Path, authority: &Value, known: &BTreeMap<u64, String>) {
    let name = &authority["authority"];
    let index: Value = serde_json::from_slice(&fs::read(data.join("crl/index.json")).unwrap()).unwrap();
    let mut rows = index["crls"].as_array().unwrap().iter();
    let row = rows.find(|row| row["kind"] == "full" && row["authority"] == *name).unwrap();
    let octets = fs::read(data.join(row["url"].as_str().unwrap().trim_start_matches('/'))).unwrap();
    let (_, crl) = CertificateRevocationList::from_der(&octets).unwrap();
    let mut listed = 0;
    for entry in crl.iter_revoked_certificates() {
        let serial = u64::try_from(entry.user_certificate.clone()).unwrap();
        let reason = REASONS[entry.reason_code().map_or(0, |(_, reason)| usize::from(reason.0))];
        if let Some(state) = known.get(&serial) {
            assert_eq!(reason, state, "{serial}");
            listed += 1;
        }
    }
    let revoked = known.values().filter(|state| *state != "good").count();
    let expired = usize::try_from(authority["expired"].as_u64().unwrap()).unwrap();
    assert!(listed > 0 && listed <= revoked && revoked <= listed + expired);
    assert_eq!(authority["listed"], crl.iter_revoked_certificates().count());
}

/// OpenSSL hears of each what the manifest said.
fn assert_ocsp(service: &Service, authority: &str, known: &BTreeMap<u64, String>) {
    let (ca, url) = (service.ca(authority), service.url());
    let known: Vec<(&u64, &String)> = known.iter().collect();
    for some in known.chunks(10) {
        let mut arguments = vec!["ocsp".to_owned(), "-issuer".to_owned(), ca.clone()];
        arguments.extend(["-CAfile".to_owned(), ca.clone(), "-url".to_owned(), url.clone()]);
        for (serial, _) in some {
            arguments.extend(["-serial".to_owned(), format!("0x{serial:x}")]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = run("openssl", &arguments).text();
        assert!(said.contains("Response verify OK"), "{said}");
        for (serial, state) in some {
            let (_, of_it) = said.split_once(&format!("0x{serial:x}: ")).unwrap();
            let mut lines = of_it.lines();
            let status = lines.next().unwrap();
            let reason = of_it.lines().take(4).find_map(|line| line.trim().strip_prefix("Reason: "));
            match state.as_str() {
                "good" => assert_eq!(status, "good", "{serial}"),
                "unspecified" => assert_eq!((status, reason), ("revoked", None), "{serial}"),
                state => assert_eq!((status, reason), ("revoked", Some(state)), "{serial}"),
            }
        }
    }
}

#[test]
fn c_3_invented_people_live_in_wards_and_in_no_designated_city() {
    let profile = sekisho::profile::Profile::jpki(sekisho::profile::ORGANIZATION).unwrap();
    let population = sekisho::simulate::Population::new(&profile);
    let homes = population.homes(u32::MAX);
    assert_eq!(homes.len(), 1902);
    for home in homes {
        assert!(profile.municipalities.residence(population.partition(home)).is_ok(), "{home}");
    }
}
