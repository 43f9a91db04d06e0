//! `crl verify`.

use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, KeyIdMethod, KeyPair};
use sekisho::crl::Scope;
use sekisho::der::{Oid, Writer, tag};
use sekisho::pki::{Attribute, Name, oid};
use serde_json::json;

use crate::desk::{Desk, Recipe, full_name, listed};
use crate::service::{Ran, Service};
use crate::world::*;

/// Which check failed, and that it was the only one.
#[track_caller]
fn only(ran: &Ran, check: &str, words: &str) {
    ran.refused(1, &["is not to be relied on", check]);
    let failed: Vec<_> = ran.stdout.lines().filter(|line| line.starts_with("NO")).collect();
    assert_eq!(failed.len(), 1, "{}", ran.stdout);
    let line = format!("NO  {check}");
    assert!(failed[0].starts_with(&line) && failed[0].contains(words), "{words}: {}", failed[0]);
}

#[test]
fn every_scope_and_key_of_the_service_is_sound() {
    let desk = Desk::new();
    for (generation, scope) in [(1, Scope::FULL), (2, kiyose()), (3, Scope::Authority), (3, Scope::FULL)] {
        let file = desk.put("one.crl", &crl(ca(generation), scope, &plan(), &records()));
        let ran = desk.verify(&file, &desk.ca(generation), &[]);
        assert_eq!(ran.code, Some(0), "{}", ran.text());
        assert!(ran.stdout.lines().count() > 5, "{}", ran.stdout);
        assert!(ran.stdout.lines().all(|line| line.starts_with("ok  ")), "{}", ran.stdout);
    }
}

#[test]
fn p384_is_verified_too() {
    let desk = Desk::new();
    let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let mut params = ca(1).params.clone();
    params.key_identifier_method = KeyIdMethod::Sha256;
    let certificate = desk.put("ca.cer", params.self_signed(&pair).unwrap().der());
    let list = rcgen::CertificateRevocationListParams {
        this_update: plan().this_update.date_time(),
        next_update: plan().next_update.date_time(),
        crl_number: 7.into(),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let der = list.signed_by(&rcgen::Issuer::from_params(&params, &pair)).unwrap();
    let ran = desk.verify(&desk.put("a.crl", der.der()), &certificate, &[]);
    assert!(ran.code == Some(0) && ran.stdout.contains("ecdsa-with-SHA384"), "{}", ran.text());
}

#[test]
fn the_wrong_ca_and_a_turned_bit_are_refused() {
    let desk = Desk::new();
    let der = crl(ca(1), Scope::FULL, &plan(), &records());
    let file = desk.put("a.crl", &der);
    let other = desk.verify(&file, &desk.ca(2), &[]);
    other.refused(1, &["signature, key"]);
    assert!(other.stdout.contains("ok  issuer"), "one DN: {}", other.stdout);
    let mut turned = der.clone();
    *turned.last_mut().unwrap() ^= 1;
    only(&desk.verify(&desk.put("t.crl", &turned), &desk.ca(1), &[]), "signature", "does not verify");
    let other = Name::new(&[Attribute::new(oid::COMMON_NAME, "Other")]);
    let named = Recipe { issuer: other.der().to_vec(), ..Recipe::new(7, &[]) };
    only(&desk.verify(&desk.put("n.crl", &named.der()), &desk.ca(1), &[]), "issuer", "CN=Other is not");
    let key = Recipe { key_id: Some(vec![9; 20]), ..Recipe::new(7, &[]) };
    only(&desk.verify(&desk.put("k.crl", &key.der()), &desk.ca(1), &[]), "key", "0909");
    let no_key = Recipe { key_id: None, ..Recipe::new(7, &[]) };
    only(
        &desk.verify(&desk.put("k.crl", &no_key.der()), &desk.ca(1), &[]),
        "key",
        "no authorityKeyIdentifier",
    );
}

#[test]
fn a_ca_that_may_not_sign_crls_is_refused() {
    let desk = Desk::new();
    let file = desk.put("a.crl", &Recipe::new(7, &[]).der());
    let with = |change: fn(&mut CertificateParams)| {
        let mut params = ca(1).params.clone();
        change(&mut params);
        let der = params.self_signed(&ca(1).pair).unwrap();
        desk.verify(&file, &desk.put("ca.cer", der.der()), &[])
    };
    only(
        &with(|params| params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign]),
        "cRLSign",
        "keyUsage",
    );
    assert_eq!(
        with(|params| params.key_usages = Vec::new()).code,
        Some(0),
        "RFC 5280 §6.3.3 (f): if present"
    );
    only(&with(|params| params.is_ca = IsCa::ExplicitNoCa), "CA", "not the certificate of a CA");
    only(
        &with(|params| params.not_after = time("2026-11-01T00:00:00Z").date_time()),
        "CA times",
        "2026-11-01",
    );
}

#[test]
fn it_is_in_force_between_its_times() {
    let desk = Desk::new();
    let (ca, file) = (desk.ca(1), desk.put("a.crl", &Recipe::new(7, &[]).der()));
    let at = |time: &str| desk.crl(&["verify", &file, "--ca", &ca, "--at", time]);
    only(&at("2026-11-22T14:59:59Z"), "times", "1 s later than");
    assert_eq!(at("2026-11-22T15:00:00Z").code, Some(0));
    assert_eq!(at("2026-11-24T15:00:00Z").code, Some(0));
    only(&at("2026-11-24T18:00:00Z"), "times", "expired at 2026-11-24T15:00:00Z, 3 h before");
    let now = sekisho::store::Clock::system().now();
    let minute = std::time::Duration::from_secs(60);
    let current = Recipe {
        this_update: now.minus(minute),
        next_update: Some(now.plus(60 * minute)),
        ..Recipe::new(7, &[])
    };
    let current = desk.put("now.crl", &current.der());
    assert_eq!(desk.crl(&["verify", &current, "--ca", &ca]).code, Some(0), "now, unless told otherwise");
    let endless = Recipe { next_update: None, ..Recipe::new(7, &[]) };
    only(&desk.verify(&desk.put("e.crl", &endless.der()), &ca, &[]), "times", "no nextUpdate");
    let old = Recipe { version: None, ..Recipe::new(7, &[]) };
    only(&desk.verify(&desk.put("v.crl", &old.der()), &ca, &[]), "version", "not version 2");
}

#[test]
fn unknown_critical_extensions_and_ill_formed_entries_are_refused() {
    let desk = Desk::new();
    let ca = desk.ca(1);
    let verify = |recipe: &Recipe| desk.verify(&desk.put("a.crl", &recipe.der()), &ca, &[]);
    let unknown = || Oid::new(&[1, 2, 3, 4]);
    let null = Writer::to_der(|w| w.null());
    let with = |extension: (Oid, bool, Vec<u8>)| {
        let mut recipe = Recipe::new(7, &[listed(5, 1)]);
        recipe.extensions.push(extension);
        verify(&recipe)
    };
    only(&with((unknown(), true, null.clone())), "form", "critical extension 1.2.3.4 is unknown");
    assert_eq!(with((unknown(), false, null.clone())).code, Some(0));
    only(&with((oid::CRL_NUMBER, false, vec![2, 1, 8])), "form", "twice");
    only(&with((oid::ISSUING_DISTRIBUTION_POINT, true, vec![0x30, 0])), "form", "unreadable");

    let delta = with((oid::DELTA_CRL_INDICATOR, false, vec![2, 1, 3]));
    delta.refused(1, &["relied on: form, complete"]);
    let mut long = Recipe { number: None, ..Recipe::new(7, &[]) };
    long.extensions.push((oid::CRL_NUMBER, false, [&[2, 21], &[1; 21][..]].concat()));
    only(&verify(&long), "form", "cRLNumber is not a number of at most 20 octets");
    let other = Some(sekisho::pki::SignatureAlgorithm::EcdsaP256Sha256);
    only(&verify(&Recipe { inner: other, ..Recipe::new(7, &[]) }), "form", "signatureAlgorithm differ");
    only(&verify(&Recipe { present: true, ..Recipe::new(7, &[]) }), "form", "empty instead of absent");
    let generalized = Recipe { generalized: true, ..Recipe::new(7, &[listed(5, 0)]) };
    only(&verify(&generalized), "entries", "a date in the wrong form");
    for tail in [vec![0x30, 0], vec![0x31, 0], vec![5, 0]] {
        let recipe = Recipe { entry_tail: tail, ..Recipe::new(7, &[listed(5, 0)]) };
        only(&verify(&recipe), "entries", "1 entry unreadable, the first of them number 1");
    }

    let entry = |extension| verify(&Recipe { entry_extension: extension, ..Recipe::new(7, &[listed(5, 1)]) });
    only(&entry(Some((unknown(), true, null.clone()))), "entries", "unknown critical extension");
    assert_eq!(entry(Some((unknown(), false, null.clone()))).code, Some(0));
    only(&entry(Some((oid::REASON_CODE, false, vec![10, 1, 1]))), "entries", "an extension twice");
    let issuer = Oid::new(&[2, 5, 29, 29]);
    only(&entry(Some((issuer, true, vec![0x30, 0]))), "entries", "of another issuer");

    let at = plan().this_update;
    let second = std::time::Duration::from_secs(1);
    for (entries, words) in [
        (vec![listed(5, 1), (vec![6], at, Some(0), None)], "1 entry with reasonCode unspecified (0)"),
        (vec![listed(5, 1), listed(6, 1), listed(5, 3)], "0x5 stands in it twice"),
        (vec![(vec![5], at.plus(second), None, None)], "dated after thisUpdate, the first of them 0x5"),
        (vec![listed(5, 8)], "removeFromCRL, which only deltas know"),
        (vec![listed(5, 7)], "a reasonCode that is none"),
        (vec![(vec![0], at, None, None)], "serial number not positive"),
        (vec![(vec![0x80], at, None, None)], "serial number not positive"),
        (vec![(vec![1; 21], at, None, None)], "longer than 20 octets"),
    ] {
        only(&verify(&Recipe::new(7, &entries)), "entries", words);
    }
    assert_eq!(verify(&Recipe::new(7, &[(vec![5], at, None, None)])).code, Some(0));
}

/// A certificate of `generation` for serial `number`, PEM.
fn certificate(
    desk: &Desk,
    generation: usize,
    number: u64,
    change: impl FnOnce(&mut CertificateParams),
) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Resident");
    params.serial_number = Some(number.into());
    params.use_authority_key_identifier_extension = true;
    change(&mut params);
    let pair = KeyPair::generate().unwrap();
    let ca = ca(generation);
    let made = params.signed_by(&pair, &rcgen::Issuer::from_params(&ca.params, &ca.pair)).unwrap();
    desk.put(&format!("{generation}-{number}.pem"), made.pem().as_bytes())
}

fn crldp(name: &Name) -> CustomExtension {
    let value = Writer::to_der(|w| {
        w.sequence(|w| {
            w.sequence(|w| {
                full_name(w, |w| w.nested(tag::context_constructed(4), |w| w.raw(name.der())));
            });
        });
    });
    CustomExtension::from_oid_content(&[2, 5, 29, 31], value)
}

/// A distribution point that speaks of keyCompromise only.
fn some_reasons_of(name: &Name) -> Vec<u8> {
    Writer::to_der(|w| {
        w.sequence(|w| {
            w.sequence(|w| {
                full_name(w, |w| w.nested(tag::context_constructed(4), |w| w.raw(name.der())));
                w.value(tag::context(1), &[6, 0x40]);
            });
        });
    })
}

#[test]
fn rfc5280_s6_3_3_what_the_crl_says_of_a_certificate() {
    let desk = Desk::new();
    let ca_file = desk.ca(1);
    let file = desk.put("a.crl", &crl(ca(1), Scope::FULL, &plan(), &records()));
    let verify =
        |cert: &str, more: &[&str]| desk.verify(&file, &ca_file, &[&["--cert", cert], more].concat());
    let good = verify(&certificate(&desk, 1, 12, |_| {}), &[]);
    assert!(good.code == Some(0) && good.stdout.ends_with("0xc is good\n"), "{}", good.text());
    let revoked = verify(&certificate(&desk, 1, 13, |_| {}), &[]);
    revoked.refused(1, &["0xd is revoked"]);
    let line = "0xd is revoked, says the crl: 0xd (13)  2026-11-22T10:00:00Z  keyCompromise  invalid since 2026-11-20";
    assert!(revoked.stdout.contains(line), "{}", revoked.stdout);
    let other_key = verify(&certificate(&desk, 2, 13, |_| {}), &[]);
    other_key.refused(1, &["0xd is revoked"]);
    assert!(other_key.stdout.contains("by another key of the name"), "{}", other_key.stdout);
    let json = verify(&certificate(&desk, 1, 10, |_| {}), &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["certificate"]["status"], "revoked");
    assert_eq!(json["certificate"]["entry"]["reason"], "affiliationChanged");
    let findings = json["findings"].as_array().unwrap();
    assert!(findings.len() > 5 && findings.iter().all(|finding| finding["ok"] == json!(true)), "{json}");

    // Signed by nobody, but with the CA's key identifier.
    let forged = {
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.serial_number = Some(13.into());
        params.use_authority_key_identifier_extension = true;
        params.signed_by(&pair, &rcgen::Issuer::from_params(&ca(1).params, &pair)).unwrap()
    };
    let forged = verify(&desk.put("forged.pem", forged.pem().as_bytes()), &[]);
    only(&forged, "signed", "does not verify");
    assert!(forged.stdout.contains("0xd is undetermined"), "{}", forged.stdout);
    let foreign = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap();
    only(&verify(&desk.put("x.pem", foreign.pem().as_bytes()), &[]), "certificate", "is not the CRL's");
}

#[test]
fn rfc5280_s6_3_3_a_crl_of_another_scope_says_nothing() {
    let desk = Desk::new();
    let ca_file = desk.ca(1);
    let (Scope::Partition { distribution_point: kiyose_name, .. }, esashi) =
        (kiyose(), distribution_point("Esashi-cho"))
    else {
        unreachable!()
    };
    let partition = desk.put("p.crl", &crl(ca(1), kiyose(), &plan(), &records()));
    let authority = desk.put("a.crl", &crl(ca(1), Scope::Authority, &plan(), &records()));
    let in_kiyose = certificate(&desk, 1, 12, |params| params.custom_extensions.push(crldp(kiyose_name)));
    let in_esashi = certificate(&desk, 1, 11, |params| params.custom_extensions.push(crldp(&esashi)));
    let nowhere = certificate(&desk, 1, 14, |_| {});
    let a_ca = certificate(&desk, 1, 1, |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let verify = |crl: &str, cert: &str| desk.verify(crl, &ca_file, &["--cert", cert]);
    assert_eq!(verify(&partition, &in_kiyose).code, Some(0));
    let outside = verify(&partition, &in_esashi);
    only(&outside, "scope", "the certificate's is CN=Esashi-cho CRLDP");
    assert!(outside.stdout.contains("0xb is undetermined"), "{}", outside.stdout);
    // The same text, but a PrintableString: names are compared octet for octet.
    let lookalike = {
        let place = kiyose_name.der().windows(2).position(|two| two == [tag::UTF8_STRING, 12]).unwrap();
        let mut der = kiyose_name.der().to_vec();
        der[place] = tag::PRINTABLE_STRING;
        Name::from_der(&der).unwrap()
    };
    assert_eq!(lookalike.to_string(), kiyose_name.to_string());
    let lookalike = certificate(&desk, 1, 15, |params| params.custom_extensions.push(crldp(&lookalike)));
    only(&verify(&partition, &lookalike), "scope", "the certificate's is CN=Kiyose-shi");
    let some = CustomExtension::from_oid_content(&[2, 5, 29, 31], some_reasons_of(kiyose_name));
    let some = certificate(&desk, 1, 16, |params| params.custom_extensions.push(some));
    only(&verify(&partition, &some), "scope", "the CRL is for CN=Kiyose-shi");
    only(&verify(&partition, &nowhere), "scope", "the CRL is for CN=Kiyose-shi CRLDP");
    only(&verify(&partition, &a_ca), "scope", "onlyContainsUserCerts");
    only(&verify(&authority, &in_kiyose), "scope", "onlyContainsCACerts");
    verify(&authority, &a_ca).refused(1, &["0x1 is revoked"]);
    let some_reasons = Writer::to_der(|w| w.sequence(|w| w.value(tag::context(3), &[1, 0x40])));
    let mut narrow = Recipe::new(7, &[]);
    narrow.extensions.push((oid::ISSUING_DISTRIBUTION_POINT, true, some_reasons));
    only(&verify(&desk.put("n.crl", &narrow.der()), &nowhere), "scope", "onlySomeReasons");
}

#[test]
fn rfc5280_s5_2_4_a_delta_has_the_last_word_if_it_fits() {
    let desk = Desk::new();
    let ca_file = desk.ca(1);
    let base = desk.put("a.crl", &Recipe::new(7, &[listed(5, 6), listed(6, 6)]).der());
    let news = [listed(5, 8), listed(6, 1), listed(9, 3)];
    let delta = desk.put("d.crl", &Recipe::delta(9, 7, &news).der());
    let says = |serial: u64| {
        let cert = certificate(&desk, 1, serial, |_| {});
        desk.verify(&base, &ca_file, &["--delta", &delta, "--cert", &cert])
    };
    let released = says(5);
    assert!(
        released.code == Some(0) && released.stdout.contains("0x5 is good, says the delta"),
        "{}",
        released.text()
    );
    assert!(says(6).stdout.contains("says the delta: 0x6 (6)  2026-11-22T10:00:00Z  keyCompromise"));
    says(9).refused(1, &["0x9 is revoked"]);
    assert_eq!(says(10).code, Some(0));
    let cert = certificate(&desk, 1, 5, |_| {});
    desk.verify(&base, &ca_file, &["--cert", &cert]).refused(1, &["0x5 is revoked"]);

    let with =
        |recipe: &Recipe| desk.verify(&base, &ca_file, &["--delta", &desk.put("e.crl", &recipe.der())]);
    only(&with(&Recipe::delta(9, 8, &[])), "delta fits", "starts from 8");
    only(&with(&Recipe::delta(7, 7, &[])), "delta fits", "needs it no more");
    only(&with(&Recipe::new(9, &[])), "delta fits", "leave --delta out");
    let mut scoped = Recipe::delta(9, 7, &[]);
    let user = Writer::to_der(|w| w.sequence(|w| w.value(tag::context(1), &[0xff])));
    scoped.extensions.push((oid::ISSUING_DISTRIBUTION_POINT, true, user));
    only(&with(&scoped), "delta fits", "another issuer or scope");
    let late = Recipe { next_update: Some(time("2026-11-22T15:30:00Z")), ..Recipe::delta(9, 7, &[]) };
    only(&with(&late), "delta times", "expired");
    only(&desk.verify(&delta, &ca_file, &[]), "complete", "as --delta");
}

/// As a verifier meets it: the CRLs a service serves, and the certificates it issued.
#[test]
fn a_running_services_crls_say_what_the_service_says() {
    let service = Service::demo(100);
    let url = service.url();
    let root = url.trim_end_matches('/').trim_end_matches("/ocsp").to_owned();
    service.sekisho(&["crl", "publish"]);
    let catalogue = service.sekisho(&["crl", "list", "--json"]).json();
    let rows = catalogue["crls"].as_array().unwrap();
    for authority in ["sign", "auth"] {
        let ca = service.ca(authority);
        let full = format!("{root}/crl/{authority}/1/full.crl");
        let shown = service.sekisho(&["crl", "show", &full, "--json"]).json();
        let row = rows.iter().find(|row| row["authority"] == authority && row["kind"] == "full").unwrap();
        for field in ["entries", "bytes", "sha256", "aki", "this_update", "next_update", "kind", "issuer"] {
            assert_eq!(shown[field], row[field], "{field}");
        }
        assert_eq!(shown["number"], row["set"]);
        for (status, code) in [("good", 0), ("revoked", 1)] {
            let certificate = &service.certificates(authority, status)[0];
            let file = certificate["file"].as_str().unwrap();
            let verify = |crl: &str| service.sekisho(&["crl", "verify", crl, "--ca", &ca, "--cert", file]);
            let ran = verify(&full);
            assert_eq!(ran.code, Some(code), "{}", ran.text());
            assert!(ran.stdout.contains(&format!(" is {status}")), "{}", ran.stdout);
            let partitions: Vec<_> = rows
                .iter()
                .filter(|row| row["authority"] == authority && row["kind"] == "partition")
                .collect();
            let answers: Vec<_> = partitions
                .iter()
                .map(|row| verify(&format!("{root}{}", row["url"].as_str().unwrap())))
                .filter(|ran| ran.stdout.contains(&format!(" is {status}")))
                .collect();
            assert_eq!(answers.len(), 1, "of {} one speaks for it", partitions.len());
            assert_eq!(answers[0].code, Some(code));
        }
    }
}
