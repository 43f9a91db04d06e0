//! `crl show`.

use sekisho::crl::Scope;
use sekisho::der::{Writer, tag};
use sekisho::pki::oid;
use serde_json::{Value, json};

use crate::desk::{Desk, Recipe, full_name, listed};
use crate::service::{run, shell};
use crate::world::*;

#[test]
fn every_kind_is_told_in_words() {
    let desk = Desk::new();
    let full = desk.put("full.crl", &crl(ca(1), Scope::FULL, &plan(), &records()));
    let shown = desk.crl(&["show", &full]);
    assert_eq!(shown.code, Some(0), "{}", shown.text());
    for words in [
        "full CRL",
        "issuer       OU=JPKI for digital signature,O=SEKISHO-TEST,C=JP",
        "number       281474976711656 (epoch 1, position 1000)",
        "this update  2026-11-22T15:00:00Z",
        "next update  2026-11-24T15:00:00Z (",
        "signed with  sha256WithRSAEncryption",
        "entries      6",
        "  1  certificateHold",
    ] {
        assert!(shown.stdout.contains(words), "{words} is not in {}", shown.stdout);
    }
    assert!(!shown.stdout.contains("wrong"), "{}", shown.stdout);
    let partition = desk.put("p.crl", &crl(ca(2), kiyose(), &plan(), &records()));
    let shown = desk.crl(&["show", &partition]).stdout;
    assert!(shown.contains("of a partition") && shown.contains("CN=Kiyose-shi CRLDP,"), "{shown}");
    assert!(shown.contains("only         onlyContainsUserCerts"), "{shown}");
    let authority = desk.put("a.crl", &crl(ca(3), Scope::Authority, &plan(), &records()));
    let shown = desk.crl(&["show", &authority]).stdout;
    assert!(shown.contains("of the CA certificates") && shown.contains("ecdsa-with-SHA256"), "{shown}");
}

#[test]
fn the_times_are_measured_from_now() {
    let desk = Desk::new();
    let now = sekisho::store::Clock::system().now();
    let hours = |hours: u64| std::time::Duration::from_secs(hours * 3600 + 60);
    for (from, until, state, words) in [
        (now.minus(hours(1)), now.plus(hours(31)), "valid", "(valid, 31 h left)"),
        (now.minus(hours(9)), now.minus(hours(3)), "expired", "(expired 3 h ago)"),
        (now.plus(hours(5)), now.plus(hours(9)), "not valid yet", "(not valid yet, for 5 h)"),
    ] {
        let recipe = Recipe { this_update: from, next_update: Some(until), ..Recipe::new(7, &[]) };
        let file = desk.put("one.crl", &recipe.der());
        assert!(desk.crl(&["show", &file]).stdout.contains(words), "{words}");
        assert_eq!(desk.crl(&["show", &file, "--json"]).json()["state"], state);
    }
}

#[test]
fn json_is_a_stable_object_and_entries_come_when_asked_for() {
    let desk = Desk::new();
    let der = crl(ca(1), kiyose(), &plan(), &records());
    let file = desk.put("p.crl", &der);
    let shown = desk.crl(&["show", &file, "--json"]).json();
    for (field, value) in [
        ("kind", json!("partition")),
        ("number", json!("281474976711656")),
        ("epoch", json!(1)),
        ("position", json!(1000)),
        ("base_number", Value::Null),
        ("only", json!(["onlyContainsUserCerts"])),
        ("bytes", json!(der.len())),
        ("entries", json!(3)),
        ("faults", json!([])),
        ("listed", Value::Null),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    let sum = shell(&format!("sha256sum < {file}")).stdout;
    assert!(sum.starts_with(shown["sha256"].as_str().unwrap()));
    let shown = desk.crl(&["show", &file, "--json", "--entries", "2"]).json();
    assert_eq!(
        shown["listed"][1],
        json!({
            "serial": "0xd", "serial_decimal": "13", "revoked_at": "2026-11-22T10:00:00Z",
            "reason": "keyCompromise", "invalidity_date": "2026-11-20T00:00:00Z",
        })
    );
    assert_eq!(shown["listed"].as_array().unwrap().len(), 2);
    let words = desk.crl(&["show", &file, "--entries", "2"]).stdout;
    assert!(
        words.contains("0xd (13)  2026-11-22T10:00:00Z  keyCompromise  invalid since 2026-11-20"),
        "{words}"
    );
    assert!(words.contains("… and 1 more"), "{words}");
    assert_eq!(
        desk.crl(&["show", &file, "--json", "--entries", "9"]).json()["listed"][2]["reason"],
        "certificateHold"
    );
}

#[test]
fn a_delta_names_its_base_and_a_base_where_its_deltas_are() {
    let desk = Desk::new();
    let delta = desk.put("d.crl", &Recipe::delta(9, 7, &[listed(5, 8)]).der());
    let shown = desk.crl(&["show", &delta]).stdout;
    assert!(shown.contains("delta CRL") && shown.contains("base         7"), "{shown}");
    let url = "http://127.0.0.1/crl/sign/1/delta.crl";
    let freshest = Writer::to_der(|w| {
        w.sequence(|w| w.sequence(|w| full_name(w, |w| w.value(tag::context(6), url.as_bytes()))));
    });
    let mut base = Recipe::new(7, &[listed(5, 6)]);
    base.extensions.push((oid::FRESHEST_CRL, false, freshest));
    let base = desk.put("b.crl", &base.der());
    assert!(desk.crl(&["show", &base]).stdout.contains(&format!("deltas at    {url}")));
    assert_eq!(desk.crl(&["show", &base, "--json"]).json()["freshest"], json!([url]));
}

#[test]
fn what_is_wrong_is_shown_and_the_rest_too() {
    let desk = Desk::new();
    let entries = [listed(5, 1), (vec![0], plan().this_update, None, None), listed(6, 8)];
    let file = desk.put("w.crl", &Recipe::new(3, &entries).der());
    let shown = desk.crl(&["show", &file, "--json"]).json();
    assert_eq!(shown["entries"], 3);
    let faults = shown["faults"].to_string();
    assert!(faults.contains("serial number not positive") && faults.contains("removeFromCRL"), "{faults}");
}

#[test]
fn a_crl_of_openssl_is_shown_too() {
    let desk = Desk::new();
    let curve = ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"];
    let file = openssl_crl(&desk, &curve, &["-crlexts", "crl"]);
    let shown = desk.crl(&["show", &file, "--json", "--entries", "5"]).json();
    assert_eq!(shown["issuer"]["rfc4514"], "1.2.840.113549.1.9.1=a@example.com,CN=Foreign");
    assert_eq!((&shown["number"], &shown["epoch"]), (&json!("26"), &Value::Null), "0x1a is none of ours");
    assert_eq!(shown["listed"][0]["serial"], "0xabcdef0123456789abcdef0123456789");
    assert_eq!(shown["listed"][0]["serial_decimal"], "228367255721259569362527394270995113865");
    assert_eq!(shown["reasons"], json!([{ "reason": "keyCompromise", "entries": 1 }]));
    let ca = desk.path("ca.pem").display().to_string();
    assert_eq!(desk.crl(&["verify", &file, "--ca", &ca]).code, Some(0));
    let bare = openssl_crl(&desk, &curve, &[]);
    let ran = desk.crl(&["verify", &bare, "--ca", &ca]);
    ran.refused(1, &["relied on: key"]);
    assert!(ran.stdout.contains("ok  signature"), "{}", ran.stdout);
}

#[test]
fn a_signature_by_sha_1_is_none() {
    let desk = Desk::new();
    let file = openssl_crl(&desk, &["rsa:2048"], &["-crlexts", "crl", "-md", "sha1"]);
    assert!(desk.crl(&["show", &file]).stdout.contains("sha1WithRSAEncryption"));
    let ca = desk.path("ca.pem").display().to_string();
    let ran = desk.crl(&["verify", &file, "--ca", &ca]);
    ran.refused(1, &["relied on: signature"]);
    assert!(ran.stdout.contains("SHA-1 proves nothing"), "{}", ran.stdout);
}

/// A CRL made by `openssl ca`, PEM, by a CA made by `openssl req`.
fn openssl_crl(desk: &Desk, key_kind: &[&str], more: &[&str]) -> String {
    let path = |name: &str| desk.path(name).display().to_string();
    let config = format!(
        "[ca]\ndefault_ca=a\n[a]\ndatabase={}\ncrlnumber={}\ndefault_md=sha384\n\
         [crl]\nauthorityKeyIdentifier=keyid\n[req]\ndistinguished_name=d\n[d]\n",
        path("index.txt"),
        path("number"),
    );
    desk.put("ca.cnf", config.as_bytes());
    desk.put("number", b"1A\n");
    desk.put(
        "index.txt",
        b"R\t400101000000Z\t250101000000Z,keyCompromise\tABCDEF0123456789ABCDEF0123456789\tunknown\t/CN=x\n",
    );
    let (config, key, certificate) = (path("ca.cnf"), path("ca.key"), path("ca.pem"));
    let named = ["-x509", "-subj", "/CN=Foreign/emailAddress=a@example.com", "-days", "30"];
    let usage = ["-addext", "keyUsage=cRLSign", "-addext", "basicConstraints=critical,CA:TRUE"];
    let usage = [&usage[..], &["-addext", "subjectKeyIdentifier=hash"]].concat();
    if !desk.path("ca.pem").exists() {
        let files = ["-config", &config, "-keyout", &key, "-out", &certificate];
        let made =
            run("openssl", &[&["req", "-nodes", "-newkey"], key_kind, &named, &usage, &files].concat());
        assert_eq!(made.code, Some(0), "{}", made.text());
    }
    let out = path("foreign.pem");
    let files = ["ca", "-gencrl", "-config", &config, "-keyfile", &key, "-cert", &certificate];
    let made = run("openssl", &[&files[..], &["-crldays", "1", "-out", &out], more].concat());
    assert_eq!(made.code, Some(0), "{}", made.text());
    out
}
