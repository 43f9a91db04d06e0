//! Programs nobody here wrote ask by OCSP: `interop/matrix.md` says what. CRLs are in `crl_interop.rs`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed step must stop the test"
)]

#[path = "support/client.rs"]
mod client;
#[path = "interop/forgery.rs"]
mod forgery;
#[path = "interop/gnutls.rs"]
mod gnutls;
#[path = "interop/load.rs"]
mod load;
#[path = "interop/matrix.rs"]
mod matrix;
#[path = "interop/openssl.rs"]
mod openssl;
#[path = "interop/programs.rs"]
mod programs;
#[path = "interop/recorder.rs"]
mod recorder;
#[path = "interop/rollover.rs"]
mod rollover;
mod service;
#[path = "interop/site.rs"]
mod site;
#[path = "interop/stage.rs"]
mod stage;
#[path = "interop/verifiers.rs"]
mod verifiers;
#[path = "support/openssl.rs"]
mod verify;

use service::{Service, run};

#[test]
fn openssl_verifies_ocsp_answers_with_and_without_nonce_and_by_get_sized_hashes() {
    let service = Service::demo(300);
    for authority in ["sign", "auth"] {
        let held: Vec<_> = service
            .certificates(authority, "revoked")
            .into_iter()
            .filter(|one| one["reason"] == "certificateHold")
            .collect();
        let revoked: Vec<_> = service
            .certificates(authority, "revoked")
            .into_iter()
            .filter(|one| one["reason"] != "certificateHold")
            .collect();
        let good = service.certificates(authority, "good");
        let file = |one: &serde_json::Value| one["file"].as_str().unwrap().to_owned();
        for extra in [
            &["-no_nonce"][..],
            &["-nonce"],
            &["-sha256"],
            &["-sha384"],
            &["-sha512"],
            &["-sha1", "-no_nonce"],
        ] {
            let said = service.openssl_ocsp(authority, &file(&good[0]), extra);
            assert!(said.contains("Response verify OK") && said.contains(": good"), "{extra:?} {said}");
            assert!(
                !said.contains("no nonce in response") || extra.contains(&"-no_nonce"),
                "{extra:?} {said}"
            );
            let said = service.openssl_ocsp(authority, &file(&revoked[0]), extra);
            let reason = revoked[0]["reason"].as_str().unwrap();
            assert!(said.contains("Response verify OK") && said.contains(": revoked"), "{extra:?} {said}");
            assert!(said.contains(&format!("Reason: {reason}")), "{extra:?} {said}");
            let said = service.openssl_ocsp(authority, &file(&held[0]), extra);
            assert!(said.contains("Reason: certificateHold"), "{extra:?} {said}");
        }
    }
}

#[test]
fn rfc6960_s2_2_never_issued_serials_are_unknown_and_other_issuers_unauthorized() {
    let service = Service::demo(100);
    let (sign, auth) = (service.ca("sign"), service.ca("auth"));
    let ask = |issuer: &str, serial: &str| {
        let url = service.url();
        run("openssl", &["ocsp", "-issuer", issuer, "-CAfile", issuer, "-serial", serial, "-url", &url])
            .text()
    };
    let next = service.manifest["authorities"][0]["next_serial"].as_str().unwrap().to_owned();
    for serial in [next.as_str(), "0x7fffffffffffffff", "0xffffffffffffffffffffffffffffff"] {
        for ca in [&sign, &auth] {
            let said = ask(ca, serial);
            assert!(said.contains("Response verify OK") && said.contains(": unknown"), "{said}");
        }
    }
    let other = Service::demo(100);
    let said = ask(&other.ca("sign"), "0x10");
    assert!(said.contains("unauthorized"), "{said}");
}
