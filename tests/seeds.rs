//! The requests of `fuzz/seeds/request`, as other programs wrote them, are answered.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a test may panic"
)]

mod world;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rasn_ocsp::{CertStatus, OcspResponse, OcspResponseStatus};
use rcgen::KeyPair;
use sekisho::issue::test_material;
use sekisho::ocsp::Options;
use sekisho::pki::{AuthorityId, Issuer};
use world::{Ca, World, at, basic, generation, serial};

/// What every seed but one asks about.
const ASKED: u64 = 0x402;

/// The authority the seeds name. Only its names count here: it signs nothing.
fn committed_authority() -> Ca {
    let (certificate, _) = test_material::authority("sign").unwrap();
    let issuer = Issuer::from_certificate(AuthorityId(1), generation(1), &certificate).unwrap();
    Ca { issuer: Arc::new(issuer), ..Ca::p256(1, 1) }
}

fn world() -> World {
    let ca = committed_authority();
    let signer = ca.signer(&KeyPair::generate().unwrap(), at(3_650 * 86_400));
    let identity = sekisho::ocsp::SigningIdentity { issuer: Arc::clone(&ca.issuer), signers: vec![signer] };
    let world = World::new(&[identity], Options::default());
    world.issue(&ca, serial(ASKED), at(-10));
    world
}

/// Name and octets of every seed.
fn seeds() -> BTreeMap<String, Vec<u8>> {
    let home = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/request");
    let files = fs::read_dir(home).unwrap().map(|file| file.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

#[test]
fn every_seed_is_answered_under_the_authority_it_names() {
    let world = world();
    for (name, request) in seeds() {
        let body = world.answer(&request, at(0)).body;
        let status = rasn::der::decode::<OcspResponse>(&body).unwrap().status;
        assert_eq!(status, OcspResponseStatus::Successful, "{name}");
        let answer = basic(&body).tbs_response_data;
        let asked_nonce = name.contains("nonce") || name.starts_with("openssl-signed");
        assert_eq!(answer.response_extensions.is_some(), asked_nonce, "{name}");
        let statuses: Vec<bool> =
            answer.responses.iter().map(|single| single.cert_status == CertStatus::Good).collect();
        let expected = match name.as_str() {
            "openssl-several.der" => vec![true, false, false],
            "openssl-long-serial.der" => vec![false],
            _ => vec![true],
        };
        assert_eq!(statuses, expected, "{name}");
    }
}

#[test]
fn seeds_of_every_client_are_there() {
    let names: Vec<String> = seeds().into_keys().collect();
    for client in ["openssl", "gnutls", "jdk", "bouncycastle", "cryptography"] {
        let of_it: Vec<_> = names.iter().filter(|name| name.starts_with(client)).collect();
        assert!(of_it.iter().any(|name| name.contains("nonce")), "{client}: {of_it:?}");
        assert!(of_it.iter().any(|name| !name.contains("nonce")), "{client}: {of_it:?}");
    }
}
