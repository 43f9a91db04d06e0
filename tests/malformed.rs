//! Whatever octets come, an OCSPResponse goes out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a test may panic"
)]

mod world;

use proptest::prelude::*;
use rasn_ocsp::{OcspResponse, OcspResponseStatus};
use sekisho::der::{Oid, Writer};
use sekisho::ocsp::{Caching, Options};
use sekisho::pki::{HashAlgorithm, oid};
use world::{Ask, Ca, World, at, basic, extension, nonce, serial};

fn world() -> (Ca, World) {
    let ca = Ca::p256(1, 1);
    let world = World::of(&ca);
    world.issue(&ca, serial(1), at(-10));
    (ca, world)
}

/// Requests that between them use everything a request can have.
fn requests(ca: &Ca) -> Vec<Vec<u8>> {
    let cert_id = |hash, number| ca.cert_id(hash, number);
    let one = Ask::one(cert_id(HashAlgorithm::Sha1, 1));
    let acceptable = Writer::to_der(|w| w.sequence(|w| w.oid(&oid::OCSP_BASIC)));
    let preferred =
        Writer::to_der(|w| w.sequence(|w| w.sequence(|w| w.sequence(|w| w.oid(&oid::ECDSA_WITH_SHA256)))));
    let signature = Writer::to_der(|w| {
        w.sequence(|w| {
            w.sequence(|w| w.oid(&oid::ECDSA_WITH_SHA256));
            w.bit_string(&[1; 8]);
            w.nested(0xa0, |w| w.sequence(|w| w.sequence(|w| w.null())));
        });
    });
    let list = extension(&oid::OCSP_SERVICE_LOCATOR, None, &[0x30, 0]);
    let list = Writer::to_der(|w| w.nested(0xa0, |w| w.sequence(|w| w.raw(&list))));
    vec![
        one.to_der(),
        Ask::several(&[cert_id(HashAlgorithm::Sha512, 1), cert_id(HashAlgorithm::Sha1, 1 << 63)]).to_der(),
        Ask {
            version: Some(vec![2, 1, 0]),
            requestor_name: Some(vec![0x82, 1, b'a']),
            requests: vec![[cert_id(HashAlgorithm::Sha256, 1), list].concat()],
            extensions: Some(vec![
                nonce(&[7; 16]),
                extension(&oid::OCSP_RESPONSE, Some(false), &acceptable),
                extension(&oid::OCSP_PREF_SIG_ALGS, None, &preferred),
                extension(&Oid::new(&[1, 2, 392, 1]), None, &[1]),
            ]),
            signature: Some(signature),
        }
        .to_der(),
    ]
}

/// An answer is either whole or an error without octets.
fn well_formed(world: &World, request: &[u8]) -> OcspResponseStatus {
    let answer = world.answer(request, at(0));
    let response: OcspResponse = rasn::der::decode(&answer.body).unwrap();
    if response.status == OcspResponseStatus::Successful {
        basic(&answer.body);
    } else {
        assert_eq!((response.bytes, answer.caching), (None, Caching::NoStore));
        assert_eq!(answer.body.len(), 5);
    }
    response.status
}

#[test]
fn every_truncation_is_malformed() {
    let (ca, world) = world();
    for request in requests(&ca) {
        assert_eq!(well_formed(&world, &request), OcspResponseStatus::Successful);
        for end in 0..request.len() {
            assert_eq!(well_formed(&world, &request[..end]), OcspResponseStatus::MalformedRequest, "{end}");
        }
    }
}

#[test]
fn every_octet_changed_gets_a_whole_answer() {
    let (ca, world) = world();
    let mut seen = std::collections::BTreeMap::new();
    for request in requests(&ca) {
        for place in 0..request.len() {
            for change in 1..=255 {
                let mut changed = request.clone();
                changed[place] ^= change;
                *seen.entry(well_formed(&world, &changed) as u8).or_insert(0) += 1;
            }
        }
    }
    // Successful, malformed, unauthorized; a test in which one is missing tests little.
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), [0, 1, 6], "{seen:?}");
}

#[test]
fn depth_and_size_cost_nothing() {
    let (_, world) = world();
    let deep = (0..3_000).fold(vec![0x30, 0], |inner, _| Writer::to_der(|w| w.sequence(|w| w.raw(&inner))));
    assert_eq!(well_formed(&world, &deep), OcspResponseStatus::MalformedRequest);
    let lengths: [&[u8]; 4] =
        [&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0x88, 1], &[0x30, 0xff], &[0x3f, 0x81, 0]];
    for octets in lengths {
        assert_eq!(well_formed(&world, octets), OcspResponseStatus::MalformedRequest);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_octets_get_a_whole_answer(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let world = World::new(&[], Options::default());
        well_formed(&world, &octets);
    }

    #[test]
    fn random_values_in_the_right_places_get_a_whole_answer(
        tags in prop::collection::vec(
            (prop::sample::select(vec![2_u8, 3, 4, 5, 6, 0x30, 0x31, 0x80, 0xa0, 0xa1, 0xa2]), 0_u8..20), 1..20),
        depth in 0_usize..6,
    ) {
        let world = World::new(&[], Options::default());
        let values = Writer::to_der(|w| tags.iter().for_each(|(tag, len)| {
            w.value(*tag, &vec![*len; usize::from(*len)]);
        }));
        let nested = (0..depth).fold(values, |inner, _| Writer::to_der(|w| w.sequence(|w| w.raw(&inner))));
        well_formed(&world, &nested);
    }
}
