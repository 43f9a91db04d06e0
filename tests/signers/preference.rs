//! Preferred signature algorithms (RFC 6960 §4.4.7) on the wire, with OpenSSL as the judge.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use sekisho::der::Oid;
use sekisho::pki::{Issuer, oid};

use crate::client::{ask, post};
use crate::files::issuer;
use crate::home::{ALL, init};
use crate::refused::{Preferred, address, preferring_all};
use crate::service::{Service, run};
use crate::world::basic;

const SHA1_WITH_RSA: Oid = Oid::new(&[1, 2, 840, 113_549, 1, 1, 5]);
const NOBODYS: Oid = Oid::new(&[1, 2, 392, 1, 1]);

const P256: Preferred<'static> = (&oid::ECDSA_WITH_SHA256, None);
const P384: Preferred<'static> = (&oid::ECDSA_WITH_SHA384, None);
const RSA: Preferred<'static> = (&oid::SHA256_WITH_RSA, None);
const ED25519: Preferred<'static> = (&oid::ED25519, None);
const UNKNOWN: Preferred<'static> = (&NOBODYS, None);
const WEAK: Preferred<'static> = (&SHA1_WITH_RSA, None);
const SHA256_ON_P384: Preferred<'static> =
    (&oid::ECDSA_WITH_SHA256, Some((&oid::EC_PUBLIC_KEY, Some(&oid::SECP384R1))));
const SHA384_ON_P384: Preferred<'static> =
    (&oid::ECDSA_WITH_SHA384, Some((&oid::EC_PUBLIC_KEY, Some(&oid::SECP384R1))));
const SHA256_ON_ANY: Preferred<'static> = (&oid::ECDSA_WITH_SHA256, Some((&oid::EC_PUBLIC_KEY, None)));

/// Asks over HTTP; what the answer is signed with, once OpenSSL has verified it.
fn signed_with(home: &Path, data: &Path, to: SocketAddr, ca: &Issuer, preferred: &[Preferred<'_>]) -> Oid {
    let response = ask(to, post("/", &preferring_all(ca, preferred)));
    assert_eq!(response.status, 200);
    let file = home.join("response.der");
    fs::write(&file, &response.body).unwrap();
    let ca_file = data.join("ca/sign-1.pem");
    let [file, ca_file] = [&file, &ca_file].map(|path| path.to_str().unwrap());
    let serial = ca.serial.to_string();
    let judged = run(
        "openssl",
        &["ocsp", "-respin", file, "-issuer", ca_file, "-CAfile", ca_file, "-serial", &serial],
    );
    assert!(
        judged.text().contains("Response verify OK") && judged.text().contains(": good"),
        "{}",
        judged.text()
    );
    let named = basic(&response.body).signature_algorithm.algorithm;
    Oid::new(&named)
}

#[test]
fn rfc6960_s4_4_7_the_first_preferred_algorithm_that_a_signer_has_signs() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    init(&data, ALL);
    let service = Service::start(&data, 100);
    let (to, ca) = (address(&service), issuer(&data, "sign"));
    for (preferred, signed) in [
        (&[][..], oid::ECDSA_WITH_SHA256),
        (&[P256], oid::ECDSA_WITH_SHA256),
        (&[RSA], oid::SHA256_WITH_RSA),
        (&[P384], oid::ECDSA_WITH_SHA384),
        (&[ED25519], oid::ED25519),
        // The asker's order counts, not ours.
        (&[RSA, P256], oid::SHA256_WITH_RSA),
        (&[P384, RSA], oid::ECDSA_WITH_SHA384),
        (&[RSA, P384], oid::SHA256_WITH_RSA),
        // What nobody here has is passed over; when nothing is left, the default signs.
        (&[UNKNOWN, ED25519], oid::ED25519),
        (&[WEAK, RSA], oid::SHA256_WITH_RSA),
        (&[UNKNOWN, WEAK], oid::ECDSA_WITH_SHA256),
        // The curve of the key counts too.
        (&[SHA256_ON_P384, RSA], oid::SHA256_WITH_RSA),
        (&[SHA256_ON_P384], oid::ECDSA_WITH_SHA256),
        (&[SHA384_ON_P384], oid::ECDSA_WITH_SHA384),
        (&[SHA256_ON_ANY, RSA], oid::ECDSA_WITH_SHA256),
    ] {
        assert_eq!(signed_with(home.path(), &data, to, &ca, preferred), signed, "{preferred:?}");
        // Kept signatures are told apart as well.
        assert_eq!(signed_with(home.path(), &data, to, &ca, preferred), signed, "{preferred:?}");
    }
}

#[test]
fn rfc6960_s4_4_7_2_1_nothing_is_signed_with_what_the_settings_do_not_list() {
    let service = Service::demo(100);
    let home = tempfile::tempdir().unwrap();
    let (to, ca) = (address(&service), issuer(&service.data, "sign"));
    for (preferred, signed) in [
        (&[][..], oid::ECDSA_WITH_SHA256),
        (&[ED25519], oid::ECDSA_WITH_SHA256),
        (&[P384, RSA], oid::SHA256_WITH_RSA),
    ] {
        assert_eq!(signed_with(home.path(), &service.data, to, &ca, preferred), signed, "{preferred:?}");
    }
}
