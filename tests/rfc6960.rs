//! RFC 6960, RFC 9919 and RFC 9654, clause by clause, on octets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a test may panic"
)]

mod world;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use rasn_ocsp::{CertStatus, OcspRequest, OcspResponseStatus};
use sekisho::der::{Oid, UnixTime, Writer};
use sekisho::ocsp::{Answer, Caching, Options, Respond};
use sekisho::pki::{HashAlgorithm, RevocationReason, SerialNumber, oid};
use sekisho::signer::SignError;
use world::{Ask, Ca, World, at, basic, cert_id, extension, hours, nonce, rsa_key, serial, time};

use HashAlgorithm::{Sha1, Sha256};
use OcspResponseStatus::{MalformedRequest, TryLater, Unauthorized};

/// An authority that issued serials 1 to 9.
fn issued() -> (Ca, World) {
    issued_with(Options::default())
}

fn issued_with(options: Options) -> (Ca, World) {
    let ca = Ca::p256(1, 1);
    let world = World::new(&[ca.identity()], options);
    (1..10).for_each(|number| world.issue(&ca, serial(number), at(-1_000)));
    (ca, world)
}

/// Each question of `request` is answered: with its CertID, octet for octet, and with `good`.
fn accepted(world: &World, request: &[u8]) {
    let singles = world.singles(request, at(0));
    let asked = |cert_id: &[u8]| request.windows(cert_id.len()).filter(|octets| *octets == cert_id).count();
    let first = singles.first().map(|single| rasn::der::encode(&single.cert_id).unwrap());
    assert_eq!(singles.len(), first.map_or(0, |first| asked(&first)), "{singles:?}");
    for single in &singles {
        assert!(asked(&rasn::der::encode(&single.cert_id).unwrap()) > 0, "not asked about: {single:?}");
        assert_eq!(single.cert_status, CertStatus::Good, "{single:?}");
    }
    assert!(!singles.is_empty(), "no answer to any question");
}

fn refused(world: &World, request: &[u8]) {
    assert_eq!(world.error(request, at(0)), MalformedRequest);
}

// ---- requests -----------------------------------------------------------------------------

#[test]
fn rfc6960_s4_1_1_only_der_is_read() {
    let (ca, world) = issued();
    let der = ca.ask(1);
    accepted(&world, &der);
    refused(&world, &[&der[..], &[0]].concat());
    refused(&world, &der[..der.len() - 1]);
    refused(&world, &[]);
    // The same value with a longer length, and with an indefinite one.
    assert!(der[1] < 0x80);
    refused(&world, &[&[0x30, 0x81, der[1]], &der[2..]].concat());
    refused(&world, &[&[0x30, 0x80], &der[2..], &[0, 0]].concat());
}

#[test]
fn rfc6960_s4_1_1_version_1_may_be_written_out_and_no_other() {
    let (ca, world) = issued();
    let ask = |version: &[u8]| {
        let version = Some(version.to_vec());
        Ask { version, ..Ask::one(ca.cert_id(Sha1, 1)) }.to_der()
    };
    accepted(&world, &ask(&[2, 1, 0]));
    for other in [&[2, 1, 1][..], &[2, 1, 0xff], &[2, 2, 0, 0], &[2, 0], &[2, 1, 0, 5, 0], &[1, 1, 0], &[]] {
        refused(&world, &ask(other));
    }
}

#[test]
fn rfc6960_s4_1_1_a_request_asks_at_least_one_question_and_at_most_the_limit() {
    let (ca, world) = issued();
    let ask = |count| Ask::several(&vec![ca.cert_id(Sha1, 1); count]).to_der();
    refused(&world, &ask(0));
    for count in [1, 2, 16] {
        assert_eq!(world.singles(&ask(count), at(0)).len(), count);
    }
    refused(&world, &ask(17));
    let world = World::new(&[ca.identity()], Options { cert_ids_max: 2, ..Options::default() });
    world.issue(&ca, serial(1), at(-1_000));
    accepted(&world, &ask(2));
    refused(&world, &ask(3));
}

#[test]
fn rfc6960_s4_1_2_a_name_may_be_given_and_must_be_when_signed() {
    let (ca, world) = issued();
    let one = Ask::one(ca.cert_id(Sha1, 1));
    let names = [&[0x82, 1, b'a'][..], &[0xa4, 2, 0x30, 0], &[0x86, 3, b'u', b':', b'a'], &[0x88, 1, 42]];
    let certs = Writer::to_der(|w| {
        w.nested(0xa0, |w| w.sequence(|w| w.raw(&ca.issuer.certificate)));
    });
    let signature = |tail: &[u8]| {
        let algorithm = Writer::to_der(|w| w.sequence(|w| w.oid(&oid::ECDSA_WITH_SHA256)));
        let bits = Writer::to_der(|w| w.bit_string(&[9; 70]));
        let content = [&algorithm[..], &bits, tail].concat();
        Some(Writer::to_der(|w| w.sequence(|w| w.raw(&content))))
    };
    for name in names {
        let named = Ask { requestor_name: Some(name.to_vec()), ..one.clone() };
        accepted(&world, &named.to_der());
        for certs in [&certs[..], &[], &[0xa0, 2, 0x30, 0]] {
            accepted(&world, &Ask { signature: signature(certs), ..named.clone() }.to_der());
        }
        for tail in [&[5, 0][..], &[0xa0, 2, 5, 0], &[0xa0, 0], &[0xa1, 2, 0x30, 0]] {
            refused(&world, &Ask { signature: signature(tail), ..named.clone() }.to_der());
        }
        refused(&world, &Ask { signature: Some(vec![0x30, 0]), ..named.clone() }.to_der());
    }
    refused(&world, &Ask { signature: signature(&certs), ..one.clone() }.to_der());
    for name in [&[0x0c, 1, b'a'][..], &[0xa2, 1, b'a'], &[0x89, 1, 1], &[0x84, 2, 0x30, 0], &[]] {
        refused(&world, &Ask { requestor_name: Some(name.to_vec()), ..one.clone() }.to_der());
    }
}

#[test]
fn rfc6960_s4_1_1_a_cert_id_is_repeated_octet_for_octet_under_each_hash() {
    let (ca, world) = issued();
    for hash in HashAlgorithm::ALL {
        for null in [true, false] {
            let cert_id = ca.cert_id_of(hash, null, &serial(3));
            let single = world.single(&Ask::one(cert_id.clone()).to_der(), at(0));
            assert_eq!(rasn::der::encode(&single.cert_id).unwrap(), cert_id);
            assert_eq!(single.cert_status, CertStatus::Good);
        }
    }
}

#[test]
fn rfc6960_s4_1_1_name_and_key_must_both_be_one_issuers() {
    let (ours, theirs) = (Ca::p256(1, 1), Ca::p256(2, 1));
    let world = World::new(&[ours.identity(), theirs.identity()], Options::default());
    let name = |ca: &Ca| ca.issuer.name_hash(Sha1);
    let key = |ca: &Ca| ca.issuer.key_hash(Sha1);
    let ask = |name: &[u8], key: &[u8]| Ask::one(cert_id(&oid::SHA1, true, name, key, &serial(1))).to_der();
    world.issue(&ours, serial(1), at(-1_000));
    accepted(&world, &ask(&name(&ours), &key(&ours)));
    for (name, key) in [
        (name(&ours), key(&theirs)),
        (name(&theirs), key(&ours)),
        (name(&ours), vec![7; 20]),
        (vec![7; 20], key(&ours)),
        (name(&ours), key(&ours)[..19].to_vec()),
        (ours.issuer.name_hash(Sha256), ours.issuer.key_hash(Sha256)),
    ] {
        assert_eq!(world.error(&ask(&name, &key), at(0)), Unauthorized);
    }
}

#[test]
fn rfc6960_s2_3_hashes_not_supported_are_unauthorized_and_beside_ours_unknown() {
    let (ca, world) = issued();
    let sha224 = Oid::new(&[2, 16, 840, 1, 101, 3, 4, 2, 4]);
    let foreign = cert_id(&sha224, true, &[1; 28], &[2; 28], &serial(1));
    assert_eq!(world.error(&Ask::one(foreign.clone()).to_der(), at(0)), Unauthorized);
    let both = Ask::several(&[foreign.clone(), ca.cert_id(Sha1, 1), foreign]).to_der();
    let statuses: Vec<_> = world.singles(&both, at(0)).into_iter().map(|s| s.cert_status).collect();
    assert_eq!(statuses, [CertStatus::Unknown(()), CertStatus::Good, CertStatus::Unknown(())]);
    // Parameters that are neither NULL nor absent name no hash served here.
    let odd = Writer::to_der(|w| {
        w.sequence(|w| {
            w.sequence(|w| {
                w.oid(&oid::SHA1);
                w.integer(1);
            });
            w.octet_string(&ca.issuer.name_hash(Sha1));
            w.octet_string(&ca.issuer.key_hash(Sha1));
            w.integer(1);
        });
    });
    assert_eq!(world.error(&Ask::one(odd).to_der(), at(0)), Unauthorized);
}

#[test]
fn rfc6960_s4_2_1_numbers_no_certificate_has_are_unknown() {
    let (ca, world) = issued();
    for number in [&[2, 1, 0][..], &[2, 1, 0xff], &[&[2, 21, 1][..], &[0; 20]].concat()] {
        let mut cert_id = ca.cert_id(Sha1, 1);
        cert_id.truncate(cert_id.len() - 3);
        cert_id.extend(number);
        cert_id[1] = u8::try_from(cert_id.len() - 2).unwrap();
        let single = world.single(&Ask::one(cert_id.clone()).to_der(), at(0));
        assert_eq!(single.cert_status, CertStatus::Unknown(()));
        assert_eq!(rasn::der::encode(&single.cert_id).unwrap(), cert_id);
    }
    // Not the shortest INTEGER.
    let mut cert_id = ca.cert_id(Sha1, 1);
    cert_id.truncate(cert_id.len() - 3);
    cert_id.extend([2, 2, 0, 1]);
    cert_id[1] += 1;
    refused(&world, &Ask::one(cert_id).to_der());
}

#[test]
fn rfc6960_s4_2_1_several_questions_get_one_answer_each_in_order() {
    let (ca, world) = issued();
    world.revoke(&ca, 2, RevocationReason::KeyCompromise, 1, at(-500));
    let order = [3, 2, 77, 2, 1];
    let asked: Vec<_> = order.map(|number| ca.cert_id(Sha256, number)).to_vec();
    let singles = world.singles(&Ask::several(&asked).to_der(), at(0));
    for ((single, number), cert_id) in singles.iter().zip(order).zip(&asked) {
        assert_eq!(rasn::der::encode(&single.cert_id).unwrap(), *cert_id);
        match number {
            2 => assert!(matches!(single.cert_status, CertStatus::Revoked(_))),
            77 => assert_eq!(single.cert_status, CertStatus::Unknown(())),
            _ => assert_eq!(single.cert_status, CertStatus::Good),
        }
    }
    assert_eq!(singles.len(), order.len());
}

#[test]
fn rfc6960_s2_6_no_signer_speaks_for_another_issuer_or_another_of_its_keys() {
    let [first, second, other] = [Ca::p256(1, 1), Ca::p256(1, 2), Ca::p256(2, 1)];
    let identities = [first.identity(), second.identity(), other.identity()];
    let world = World::new(&identities, Options { extended_revoke: true, ..Options::default() });
    world.issue(&first, serial(1), at(-1_000));
    world.issue(&second, serial(2), at(-1_000));
    world.issue(&other, serial(3), at(-1_000));
    let good = |ca: &Ca, number| world.single(&ca.ask(number), at(0)).cert_status == CertStatus::Good;
    assert!(good(&first, 1) && good(&second, 2) && good(&other, 3));
    // Issued by the authority, under its other key.
    assert_eq!(world.single(&first.ask(2), at(0)).cert_status, CertStatus::Unknown(()));
    assert_eq!(world.single(&second.ask(1), at(0)).cert_status, CertStatus::Unknown(()));
    // A serial of one authority asked under the other.
    assert!(!good(&other, 1) && !good(&first, 3));

    for (ours, signer) in [(0, &first), (1, &second), (2, &other)] {
        let mut asked = vec![first.cert_id(Sha1, 1), second.cert_id(Sha1, 2), other.cert_id(Sha1, 3)];
        asked.rotate_left(ours);
        let basic = basic(&world.answer(&Ask::several(&asked).to_der(), at(0)).body);
        let statuses: Vec<_> =
            basic.tbs_response_data.responses.iter().map(|s| s.cert_status.clone()).collect();
        assert_eq!(statuses, [CertStatus::Good, CertStatus::Unknown(()), CertStatus::Unknown(())]);
        let certs = basic.certs.unwrap();
        let issuer = rasn::der::encode(&certs[0].tbs_certificate.issuer).unwrap();
        assert_eq!(issuer, signer.issuer.name.der());
    }
    let foreign = Ca::p256(3, 1);
    assert_eq!(world.error(&foreign.ask(1), at(0)), Unauthorized);
    let two = Ask::several(&[foreign.cert_id(Sha1, 1), foreign.cert_id(Sha256, 1)]).to_der();
    assert_eq!(world.error(&two, at(0)), Unauthorized);
}

// ---- extensions ---------------------------------------------------------------------------

#[test]
fn rfc9654_s2_1_a_nonce_of_1_to_128_octets_is_repeated() {
    let (ca, world) = issued();
    let one = Ask::one(ca.cert_id(Sha1, 1));
    for len in [1, 16, 32, 127, 128] {
        let octets = vec![0x5a; len];
        let asked = one.clone().with(nonce(&octets));
        let answer = world.answer(&asked.to_der(), at(0));
        assert_eq!(answer.caching, Caching::NoStore);
        let extensions = basic(&answer.body).tbs_response_data.response_extensions.unwrap();
        assert_eq!(extensions.len(), 1);
        assert_eq!(rasn::der::encode(&extensions[0]).unwrap(), nonce(&octets));
    }
    refused(&world, &one.clone().with(nonce(&[])).to_der());
    refused(&world, &one.clone().with(nonce(&[1; 129])).to_der());
    // Without the inner OCTET STRING, and with something after it.
    refused(&world, &one.clone().with(extension(&oid::OCSP_NONCE, None, &[1; 16])).to_der());
    refused(&world, &one.clone().with(extension(&oid::OCSP_NONCE, None, &[4, 1, 9, 0])).to_der());
    assert_eq!(basic(&world.answer(&one.to_der(), at(0)).body).tbs_response_data.response_extensions, None);
}

#[test]
fn rfc9654_s2_1_every_nonce_gets_its_own_signature() {
    let (ca, world) = issued();
    let ask = |octet| Ask::one(ca.cert_id(Sha1, 1)).with(nonce(&[octet; 16])).to_der();
    let plain = world.answer(&ca.ask(1), at(0));
    let first = world.answer(&ask(1), at(0));
    let second = world.answer(&ask(2), at(0));
    assert_ne!(basic(&first.body).signature, basic(&second.body).signature);
    assert_ne!(basic(&first.body).signature, basic(&plain.body).signature);
    assert_eq!(world.answer(&ca.ask(1), at(0)), plain);
    assert!(matches!(world.responder.respond(&ask(1), at(0)), Respond::Sign(_)));
}

#[test]
fn rfc6960_s4_4_3_acceptable_responses_must_include_basic() {
    let (ca, world) = issued();
    let other = Oid::new(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 99]);
    let ask = |types: &[Oid]| {
        let value = Writer::to_der(|w| w.sequence(|w| types.iter().for_each(|oid| w.oid(oid))));
        Ask::one(ca.cert_id(Sha1, 1)).with(extension(&oid::OCSP_RESPONSE, None, &value)).to_der()
    };
    accepted(&world, &ask(&[oid::OCSP_BASIC]));
    accepted(&world, &ask(&[other, oid::OCSP_BASIC]));
    refused(&world, &ask(&[other]));
    refused(&world, &ask(&[]));
    let bad = extension(&oid::OCSP_RESPONSE, None, &[0x30, 2, 6, 0]);
    refused(&world, &Ask::one(ca.cert_id(Sha1, 1)).with(bad).to_der());
}

#[test]
fn rfc6960_s4_4_7_preferred_algorithms_are_read_and_the_one_signer_signs() {
    let (ca, world) = issued();
    let ask = |value: &[u8]| {
        Ask::one(ca.cert_id(Sha1, 1)).with(extension(&oid::OCSP_PREF_SIG_ALGS, None, value)).to_der()
    };
    let rsa = Writer::to_der(|w| {
        w.sequence(|w| {
            w.sequence(|w| {
                w.sequence(|w| w.oid(&oid::SHA256_WITH_RSA));
                w.sequence(|w| w.oid(&oid::RSA_ENCRYPTION));
            });
            w.sequence(|w| w.sequence(|w| w.oid(&oid::ECDSA_WITH_SHA256)));
        });
    });
    let algorithm = basic(&world.answer(&ask(&rsa), at(0)).body).signature_algorithm;
    assert_eq!(
        rasn::der::encode(&algorithm).unwrap(),
        Writer::to_der(|w| w.sequence(|w| w.oid(&oid::ECDSA_WITH_SHA256)))
    );
    accepted(&world, &ask(&[0x30, 0]));
    for bad in [&[][..], &[5, 0], &[0x30, 2, 0x30, 0], &[0x30, 0, 0], &[0x30, 4, 0x30, 2, 0x30, 0]] {
        refused(&world, &ask(bad));
    }
}

#[test]
fn rfc6960_s4_4_6_a_service_locator_is_ignored() {
    let (ca, world) = issued();
    for critical in [None, Some(true)] {
        let locator = extension(&oid::OCSP_SERVICE_LOCATOR, critical, &[0x30, 0]);
        let list = Writer::to_der(|w| w.nested(0xa0, |w| w.sequence(|w| w.raw(&locator))));
        let request = [ca.cert_id(Sha1, 1), list].concat();
        accepted(&world, &Ask::one(request).to_der());
    }
}

#[test]
fn rfc6960_s4_4_unknown_extensions_are_ignored_unless_critical() {
    let (ca, world) = issued();
    let unknown = Oid::new(&[1, 2, 392, 1]);
    let cert_id = ca.cert_id(Sha1, 1);
    let single = |critical| {
        let list = extension(&unknown, critical, &[1, 2, 3]);
        let list = Writer::to_der(|w| w.nested(0xa0, |w| w.sequence(|w| w.raw(&list))));
        Ask::one([&cert_id[..], &list].concat()).to_der()
    };
    let request = |critical| Ask::one(cert_id.clone()).with(extension(&unknown, critical, &[1])).to_der();
    for critical in [None, Some(false)] {
        accepted(&world, &single(critical));
        accepted(&world, &request(critical));
    }
    refused(&world, &single(Some(true)));
    refused(&world, &request(Some(true)));
    // Known, but not in this place.
    let nonce = extension(&oid::OCSP_NONCE, Some(true), &[4, 1, 1]);
    let list = Writer::to_der(|w| w.nested(0xa0, |w| w.sequence(|w| w.raw(&nonce))));
    refused(&world, &Ask::one([&cert_id[..], &list].concat()).to_der());
}

#[test]
fn rfc5280_s4_2_extensions_are_a_list_of_different_ones_and_may_be_empty() {
    let (ca, world) = issued();
    let one = Ask::one(ca.cert_id(Sha1, 1));
    accepted(&world, &Ask { extensions: Some(Vec::new()), ..one.clone() }.to_der());
    let unknown = |arc| extension(&Oid::new(&[1, 2, 392, arc]), None, &[]);
    let many = (1..17).map(unknown).collect();
    accepted(&world, &Ask { extensions: Some(many), ..one.clone() }.to_der());
    let too_many = (1..18).map(unknown).collect();
    refused(&world, &Ask { extensions: Some(too_many), ..one.clone() }.to_der());
    refused(&world, &one.clone().with(unknown(1)).with(unknown(2)).with(unknown(1)).to_der());
    refused(&world, &one.clone().with(nonce(&[1])).with(nonce(&[1])).to_der());
    // BOOLEAN other than 0x00 and 0xff; critical after the value.
    let id = Writer::to_der(|w| w.oid(&oid::OCSP_NONCE));
    for tail in [&[1, 1, 1, 4, 3, 4, 1, 9][..], &[4, 3, 4, 1, 9, 1, 1, 0xff], &[5, 0], &[]] {
        let extension = Writer::to_der(|w| {
            w.sequence(|w| {
                w.raw(&id);
                w.raw(tail);
            });
        });
        refused(&world, &one.clone().with(extension).to_der());
    }
}

// ---- responses ----------------------------------------------------------------------------

#[test]
fn rfc6960_s4_2_1_error_carries_no_bytes() {
    let (ca, world) = issued();
    let malformed = world.answer(&[1, 2, 3], at(0));
    let no_store = |body: [u8; 5]| Answer { body: body.to_vec(), caching: Caching::NoStore };
    assert_eq!(malformed, no_store([0x30, 3, 10, 1, 1]));
    let foreign = Ca::p256(9, 1).ask(1);
    assert_eq!(world.answer(&foreign, at(0)), no_store([0x30, 3, 10, 1, 6]));
    world.responder.install([ca.identity_until(at(-1))]);
    assert_eq!(world.answer(&ca.ask(1), at(0)), no_store([0x30, 3, 10, 1, 3]));
}

#[test]
fn rfc6960_s4_2_2_2_answers_verify_with_the_embedded_signers_certificate() {
    let ca = Ca::rsa(1, 1);
    for (identity, algorithm) in [
        (
            ca.identity(),
            &ring::signature::ECDSA_P256_SHA256_ASN1 as &dyn ring::signature::VerificationAlgorithm,
        ),
        (ca.identity_rsa(), &ring::signature::RSA_PKCS1_2048_8192_SHA256),
    ] {
        let signer = identity.signers[0].clone();
        let world = World::new(&[identity], Options::default());
        world.issue(&ca, serial(1), at(-10));
        for request in [ca.ask(1), ca.ask(2), Ask::one(ca.cert_id(Sha1, 1)).with(nonce(&[1])).to_der()] {
            let basic = basic(&world.answer(&request, at(0)).body);
            let certs = basic.certs.unwrap();
            let der = rasn::der::encode(&certs[0]).unwrap();
            assert_eq!((certs.len(), &der), (1, &signer.certificate));
            let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
            let (_, ca_certificate) = x509_parser::parse_x509_certificate(&ca.issuer.certificate).unwrap();
            certificate.verify_signature(Some(ca_certificate.public_key())).unwrap();
            assert!(certificate.extended_key_usage().unwrap().unwrap().value.ocsp_signing);
            let tbs = rasn::der::encode(&basic.tbs_response_data).unwrap();
            let key = &certificate.public_key().subject_public_key.data;
            let public = ring::signature::UnparsedPublicKey::new(algorithm, key);
            public.verify(&tbs, basic.signature.as_raw_slice()).unwrap();
            let responder_id = rasn::der::encode(&basic.tbs_response_data.responder_id).unwrap();
            assert_eq!(responder_id, [&[0xa2, 22, 4, 20][..], &Sha1.digest(key)].concat());
        }
    }
}

#[test]
fn rfc6960_s4_2_2_1_times_are_in_order() {
    let (ca, world) = issued();
    world.revoke(&ca, 2, RevocationReason::Superseded, 1, at(0));
    for number in [1, 2, 77] {
        for now in [0, 1, 2, 100, 4_095, 4_096, 4_097, 100_000] {
            let answer = world.answer(&ca.ask(number), at(now));
            let data = basic(&answer.body).tbs_response_data;
            let [single] = &data.responses[..] else { panic!() };
            let (this_update, next_update) =
                (time(&single.this_update), time(single.next_update.as_ref().unwrap()));
            let produced_at = time(&data.produced_at);
            assert!(this_update <= produced_at && produced_at <= at(now) && at(now) < next_update);
            assert_eq!(next_update, this_update.plus(hours(12)));
            assert_eq!(answer.caching, Caching::Until { this_update, next_update });
            if let CertStatus::Revoked(revoked) = &single.cert_status {
                assert!(time(&revoked.revocation_time) <= this_update);
            }
        }
    }
}

#[test]
fn rfc6960_s2_4_a_change_bears_a_later_time_than_the_answer_before() {
    let (ca, world) = issued();
    let this_update = |now| {
        let single = world.single(&ca.ask(1), at(now));
        (time(&single.this_update), single.cert_status == CertStatus::Good)
    };
    let (before, good) = this_update(0);
    assert!(good);
    world.revoke(&ca, 1, RevocationReason::CertificateHold, 1, at(0));
    let (held, good) = this_update(0);
    assert!(!good && held > before, "within one second");
    world.release(&ca, 1, 2, at(1));
    let (released, good) = this_update(1);
    assert!(good && released > held);
    // Recorded at 10, but on disk, and so in the index, not before 14.
    let (before, _) = this_update(1_000_014);
    world.revoke(&ca, 1, RevocationReason::KeyCompromise, 3, at(1_000_010));
    let (after, good) = this_update(1_000_014);
    assert!(!good && after > before, "{before} {after}");
}

#[test]
fn rfc6960_s2_4_a_revocation_in_the_second_of_the_issue_is_told_apart() {
    let (ca, world) = issued_with(Options { refresh_after: Duration::ZERO, ..Options::default() });
    world.issue(&ca, serial(200), at(0));
    let this_update = || time(&world.single(&ca.ask(200), at(0)).this_update);
    let good = this_update();
    world.revoke(&ca, 200, RevocationReason::KeyCompromise, 1, at(0));
    assert!(this_update() > good, "within one second");
}

#[test]
fn rfc6960_s2_4_no_answer_is_older_than_the_last_entry() {
    let (ca, world) = issued();
    // This thread read the clock before the committer did.
    world.revoke(&ca, 1, RevocationReason::KeyCompromise, 1, at(50));
    let data = basic(&world.answer(&ca.ask(1), at(49)).body).tbs_response_data;
    assert_eq!(time(&data.produced_at), at(50));
    assert_eq!(time(&data.responses[0].this_update), at(50));
}

#[test]
fn rfc6960_s2_4_backdating_stops_at_the_last_change() {
    let backdate = Duration::from_secs(3_600);
    let (ca, world) = issued_with(Options { backdate, refresh_after: Duration::ZERO, ..Options::default() });
    let this_update = |number, now| time(&world.single(&ca.ask(number), at(now)).this_update);
    // A first change may follow the issue within its second: answers leave it room.
    assert_eq!(this_update(1, 0), at(-1_005));
    assert_eq!(this_update(77, 0), at(-3_605));
    world.revoke_since(&ca, 2, RevocationReason::KeyCompromise, 1, at(50), at(60));
    assert_eq!(this_update(2, 100), at(60));
    assert!(this_update(2, 3_700) >= at(60));
    assert_eq!(this_update(2, 4_000), at(395));
    // The word no longer tells when the change was.
    assert!(this_update(2, 5_000) >= at(1_395));
}

#[test]
fn rfc9919_s4_next_update_ends_before_the_signers_certificate() {
    let (ca, world) = issued();
    world.responder.install([ca.identity_until(at(1_000))]);
    let single = world.single(&ca.ask(1), at(0));
    assert_eq!(time(single.next_update.as_ref().unwrap()), at(999));
    assert_eq!(world.error(&ca.ask(1), at(999)), TryLater);
    world.responder.install([ca.identity()]);
    assert_eq!(world.single(&ca.ask(1), at(999)).cert_status, CertStatus::Good);
}

#[test]
fn rfc6960_s4_2_1_revoked_says_when_and_why_unless_unspecified() {
    let (ca, world) = issued();
    for (number, reason) in (1..).zip(RevocationReason::ALL) {
        world.issue(&ca, serial(100 + number), at(-900));
        world.revoke(&ca, 100 + number, reason, 1, at(-500));
        let single = world.single(&ca.ask(100 + number), at(0));
        let CertStatus::Revoked(revoked) = single.cert_status else { panic!("{reason}") };
        assert_eq!(time(&revoked.revocation_time), at(-500));
        let written = revoked.revocation_reason.map(|reason| reason as u8);
        assert_eq!(written, (reason.code() != 0).then_some(reason.code()));
    }
}

#[test]
fn rfc5280_s5_3_1_a_hold_keeps_its_date_when_it_ends_in_revocation() {
    let (ca, world) = issued();
    let revoked = |now| match world.single(&ca.ask(1), at(now)).cert_status {
        CertStatus::Revoked(revoked) => {
            (time(&revoked.revocation_time), revoked.revocation_reason.unwrap() as u8)
        }
        other => panic!("{other:?}"),
    };
    world.revoke(&ca, 1, RevocationReason::CertificateHold, 1, at(0));
    assert_eq!(revoked(5), (at(0), 6));
    world.revoke_since(&ca, 1, RevocationReason::CessationOfOperation, 2, at(0), at(10));
    assert_eq!(revoked(15), (at(0), 5));
}

#[test]
fn rfc6960_s4_4_8_extended_revoke_is_for_serials_the_signing_issuer_never_issued() {
    let [first, second] = [Ca::p256(1, 1), Ca::p256(1, 2)];
    let identities = [first.identity(), second.identity()];
    let world = World::new(&identities, Options { extended_revoke: true, ..Options::default() });
    world.issue(&first, serial(1), at(-100));
    world.issue(&second, serial(2), at(-100));
    let said = extension(&oid::OCSP_EXTENDED_REVOKE, None, &[5, 0]);
    let ask = |cert_ids: &[Vec<u8>]| {
        let data = basic(&world.answer(&Ask::several(cert_ids).to_der(), at(0)).body).tbs_response_data;
        let said = data.response_extensions.is_some_and(|extensions| {
            extensions.len() == 1 && rasn::der::encode(&extensions[0]).unwrap() == said
        });
        (said, data.responses.into_iter().map(|single| single.cert_status).collect::<Vec<_>>())
    };
    let (said, statuses) = ask(&[first.cert_id(Sha1, 77)]);
    let CertStatus::Revoked(never) = &statuses[0] else { panic!("{statuses:?}") };
    assert!(said);
    assert_eq!(time(&never.revocation_time), UnixTime::default());
    assert_eq!(never.revocation_reason.unwrap() as u8, 6);
    assert_eq!(ask(&[first.cert_id(Sha1, 1)]), (false, vec![CertStatus::Good]));
    assert_eq!(ask(&[first.cert_id(Sha1, 2)]), (false, vec![CertStatus::Unknown(())]));
    let (said, statuses) = ask(&[first.cert_id(Sha1, 1), second.cert_id(Sha1, 77)]);
    assert_eq!((said, statuses), (false, vec![CertStatus::Good, CertStatus::Unknown(())]));
    // Off, unless asked for.
    let world = World::new(&identities, Options::default());
    let data = basic(&world.answer(&first.ask(77), at(0)).body).tbs_response_data;
    assert_eq!(data.response_extensions, None);
    assert_eq!(data.responses[0].cert_status, CertStatus::Unknown(()));
}

// ---- signatures kept ----------------------------------------------------------------------

#[test]
fn rfc9919_s5_the_same_question_gets_the_same_octets_until_it_is_refreshed() {
    let (ca, world) = issued();
    let several = Ask::several(&[ca.cert_id(Sha1, 1), ca.cert_id(Sha1, 2)]).to_der();
    for request in [ca.ask(1), ca.ask(77), Ask::one(ca.cert_id(Sha256, 1)).to_der(), several] {
        let first = world.answer(&request, at(0));
        for now in [0, 1, 674, 899] {
            let again = match world.responder.respond(&request, at(now)) {
                Respond::Ready(again) => again,
                Respond::Refresh(again, _) if now > 674 => again,
                other => panic!("{now}: {other:?}"),
            };
            assert_eq!(again, first);
            assert_eq!(again.body.len(), again.body.capacity(), "one allocation of the right size");
        }
        assert!(matches!(world.responder.respond(&request, at(900)), Respond::Sign(_)));
        assert_ne!(world.answer(&request, at(900)), first);
    }
    // An explicit version changes nothing in the answer.
    let written_out = Ask { version: Some(vec![2, 1, 0]), ..Ask::one(ca.cert_id(Sha1, 1)) };
    assert_eq!(world.answer(&written_out.to_der(), at(901)), world.answer(&ca.ask(1), at(901)));
    assert!(world.responder.bytes_kept() > 0);
}

#[test]
fn a_changed_status_or_signer_makes_kept_signatures_useless() {
    let (ca, world) = issued();
    let several = Ask::several(&[ca.cert_id(Sha1, 2), ca.cert_id(Sha1, 1)]).to_der();
    for request in [ca.ask(1), several] {
        world.answer(&request, at(0));
        assert!(matches!(world.responder.respond(&request, at(0)), Respond::Ready(_)));
    }
    let change = |change| world.revoke(&ca, 1, RevocationReason::CertificateHold, change, at(0));
    change(1);
    for request in [ca.ask(1), Ask::several(&[ca.cert_id(Sha1, 2), ca.cert_id(Sha1, 1)]).to_der()] {
        assert!(matches!(world.responder.respond(&request, at(0)), Respond::Sign(_)));
        let statuses = world.singles(&request, at(0));
        assert!(matches!(statuses.last().unwrap().cert_status, CertStatus::Revoked(_)));
    }
    // The same hold, a second time.
    world.release(&ca, 1, 2, at(0));
    change(3);
    assert!(matches!(world.responder.respond(&ca.ask(1), at(0)), Respond::Sign(_)));

    let one = ca.identity();
    world.responder.install(vec![one.clone()]);
    let answer = world.answer(&ca.ask(2), at(10));
    let other = Ca::p256(5, 1);
    world.responder.install([other.identity(), one]);
    assert_eq!(world.answer(&ca.ask(2), at(20)), answer, "another issuer came");
    world.responder.install([ca.identity()]);
    assert!(matches!(world.responder.respond(&ca.ask(2), at(20)), Respond::Sign(_)));
}

#[test]
fn a_status_that_changes_while_signing_is_signed_again() {
    let (ca, world) = issued();
    let Respond::Sign(job) = world.responder.respond(&ca.ask(1), at(0)) else { panic!() };
    let good = job.sign();
    world.revoke(&ca, 1, RevocationReason::KeyCompromise, 1, at(0));
    let Respond::Sign(again) = world.responder.finish(job, good, at(0)) else { panic!("good was said") };
    let signature = again.sign();
    let Respond::Ready(answer) = world.responder.finish(again, signature, at(0)) else { panic!() };
    let single = &basic(&answer.body).tbs_response_data.responses[0];
    assert!(matches!(single.cert_status, CertStatus::Revoked(_)));
    // A signer replaced meanwhile does not speak any more.
    let Respond::Sign(job) = world.responder.respond(&ca.ask(2), at(0)) else { panic!() };
    world.responder.install([ca.identity()]);
    let signature = job.sign();
    assert!(matches!(world.responder.finish(job, signature, at(0)), Respond::Sign(_)));
}

#[test]
fn a_signer_gone_costs_no_answer_that_was_signed_before() {
    let (ca, world) = issued();
    let gone = |request: &[u8], now| {
        let Respond::Sign(job) = world.responder.respond(request, now) else { panic!("not asked to sign") };
        match world.responder.finish(job, Err(SignError::Refused), now) {
            Respond::Ready(answer) => answer,
            Respond::Refresh(..) | Respond::Sign(_) => panic!("asked again"),
        }
    };
    let try_later = [0x30, 3, 10, 1, 3];
    let before = world.answer(&ca.ask(1), at(0));
    assert_eq!(gone(&ca.ask(1), at(1_000)), before);
    let with_nonce = Ask::one(ca.cert_id(Sha1, 1)).with(nonce(&[1])).to_der();
    assert_eq!(gone(&with_nonce, at(1_000)).body, try_later);
    assert_eq!(gone(&ca.ask(2), at(1_000)).body, try_later);
    assert_eq!(gone(&ca.ask(1), at(12 * 3_600)).body, try_later, "its nextUpdate has come");
    world.revoke(&ca, 1, RevocationReason::KeyCompromise, 1, at(1_000));
    assert_eq!(gone(&ca.ask(1), at(1_001)).body, try_later, "never good again");
}

#[test]
fn signatures_kept_stay_within_their_octets() {
    let cache_bytes = 100_000;
    let (ca, world) = issued_with(Options { cache_bytes, ..Options::default() });
    for number in 1..3_000 {
        let Respond::Sign(job) = world.responder.respond(&ca.ask(number), at(0)) else { panic!() };
        drop(world.responder.finish(job, Ok(vec![0; 71]), at(0)));
        assert!(world.responder.bytes_kept() <= cache_bytes as u64);
    }
    assert!(world.responder.bytes_kept() > cache_bytes as u64 / 2);
}

#[test]
fn nobody_hears_good_after_the_acknowledgement() {
    let ca = Ca::p256(1, 1);
    let world = World::of(&ca);
    let serials: Vec<u64> = (1..201).collect();
    serials.iter().for_each(|number| world.issue(&ca, serial(*number), at(-10)));
    let acknowledged: Vec<AtomicBool> = serials.iter().map(|_| AtomicBool::new(false)).collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for thread in 0..3 {
            let (world, ca, acknowledged, done) = (&world, &ca, &acknowledged, &done);
            threads.spawn(move || {
                let requests: Vec<_> = (1..201).map(|number| ca.ask(number)).collect();
                let mut revoked = 0;
                while !done.load(Ordering::Acquire) || revoked < 200 {
                    revoked = 0;
                    for (place, request) in requests.iter().enumerate().skip(thread) {
                        let before = acknowledged[place].load(Ordering::Acquire);
                        let answer = world.answer(request, at(0));
                        let is_good = world::basic(&answer.body).tbs_response_data.responses[0].cert_status
                            == CertStatus::Good;
                        assert!(!(before && is_good), "good after the acknowledgement");
                        revoked += usize::from(!is_good) + if place == thread { thread } else { 0 };
                    }
                }
            });
        }
        for (place, number) in serials.iter().enumerate() {
            world.revoke(&ca, *number, RevocationReason::KeyCompromise, 1, at(0));
            acknowledged[place].store(true, Ordering::Release);
            std::thread::sleep(Duration::from_millis(1));
        }
        done.store(true, Ordering::Release);
    });
}

// ---- against others -----------------------------------------------------------------------

/// Why a request that is DER and has the right form is refused all the same.
fn named_reason(request: &OcspRequest) -> Option<&'static str> {
    let tbs = &request.tbs_request;
    let all_extensions = || tbs.request_extensions.iter().flat_map(|extensions| extensions.iter());
    let id = |oid: &[u32]| rasn::types::ObjectIdentifier::new(oid.to_vec()).unwrap();
    let nonce = id(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 2]);
    let known = [nonce.clone(), id(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 4]), id(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 8])];
    let locator = id(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 7]);
    let twice = |ids: Vec<rasn::types::ObjectIdentifier>| {
        (1..ids.len()).any(|place| ids[..place].contains(&ids[place]))
    };
    let singles = || {
        tbs.request_list.iter().flat_map(|request| &request.single_request_extensions).flat_map(|e| e.iter())
    };
    if tbs.version != 0.into() {
        Some("version")
    } else if tbs.request_list.is_empty() || tbs.request_list.len() > 16 {
        Some("number of questions")
    } else if all_extensions().any(|e| e.critical && !known.contains(&e.extn_id))
        || singles().any(|e| e.critical && e.extn_id != locator)
    {
        Some("critical")
    } else if twice(all_extensions().map(|e| e.extn_id.clone()).collect()) {
        Some("twice")
    } else if all_extensions().any(|e| {
        e.extn_id == nonce
            && rasn::der::decode::<rasn::types::OctetString>(&e.extn_value)
                .map_or(true, |nonce| nonce.is_empty() || nonce.len() > 128)
    }) {
        Some("nonce")
    } else if all_extensions().any(|e| e.extn_id == known[1] || e.extn_id == known[2]) {
        Some("content of an extension, which the oracle does not read")
    } else if request.optional_signature.is_some() && tbs.requestor_name.is_none() {
        Some("signed without a name")
    } else {
        None
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn rfc6960_s4_1_1_an_independent_reader_agrees_on_requests(
        numbers in prop::collection::vec(any::<u64>(), 0..4),
        sha256 in any::<bool>(),
        nonce_octets in prop::option::of(prop::collection::vec(any::<u8>(), 0..140)),
        others in prop::collection::vec((1_u32..6, prop::option::of(any::<bool>())), 0..4),
        version in prop::option::of(0_u8..2),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let hash = if sha256 { Sha256 } else { Sha1 };
        let name = hash.digest(b"nobody");
        let cert_ids: Vec<_> = numbers.iter()
            .map(|number| cert_id(&hash.oid(), true, &name, &name, &serial(*number | 1)))
            .collect();
        let mut ask = Ask::several(&cert_ids);
        ask.version = version.map(|version| vec![2, 1, version]);
        if let Some(octets) = nonce_octets {
            ask = ask.with(nonce(&octets));
        }
        for (arc, critical) in others {
            ask = ask.with(extension(&Oid::new(&[1, 2, 392, arc]), critical, &[1]));
        }
        let mut der = ask.to_der();
        if let Some((place, octet)) = damage {
            *place.get_mut(&mut der) = octet;
        }
        let world = World::new(&[], Options::default());
        // Nothing is served here, so what is well-formed is unauthorized.
        let read = match world.error(&der, at(0)) {
            Unauthorized => true,
            MalformedRequest => false,
            other => panic!("{other:?}"),
        };
        let oracle = rasn::der::decode::<OcspRequest>(&der).ok();
        let canonical = oracle.as_ref().is_some_and(|request| rasn::der::encode(request).unwrap() == der);
        // The oracle does not look into parameters.
        prop_assume!(oracle.iter().flat_map(|request| &request.tbs_request.request_list).all(|request| {
            let parameters = request.req_cert.hash_algorithm.parameters.as_ref();
            parameters.is_none_or(|parameters| parameters.as_bytes() == [5, 0])
        }));
        match &oracle {
            Some(request) if canonical => prop_assert_eq!(
                read, named_reason(request).is_none(), "{:?} {:?}", named_reason(request), request
            ),
            // Two exceptions are read though they are not DER, and rasn reads them too.
            Some(request) => prop_assert!(!read || named_reason(request).is_none()),
            None => prop_assert!(!read, "only we read it: {:02x?}", der),
        }
    }
}

/// Runs OpenSSL and returns what it printed.
fn openssl(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl").current_dir(directory).args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).unwrap()
}

fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    UnixTime::from_seconds(since.as_secs() as i64)
}

#[test]
fn openssl_asks_and_believes_the_answers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let ca = Ca::new(1, 1, rsa_key());
    let now = now();
    let identity = ca.identity_until(now.plus(hours(24 * 30)));
    let world = World::new(&[identity], Options::default());
    for number in [1, 2, 3] {
        std::fs::write(path.join(format!("{number}.pem")), ca.resident(number)).unwrap();
    }
    std::fs::write(path.join("ca.pem"), &ca.pem).unwrap();
    world.issue(&ca, serial(1), now.minus(hours(2)));
    world.issue(&ca, serial(2), now.minus(hours(2)));
    world.revoke(&ca, 2, RevocationReason::AffiliationChanged, 1, now.minus(hours(1)));

    for hash in ["-sha1", "-sha256", "-sha384", "-sha512"] {
        for with_nonce in ["-nonce", "-no_nonce"] {
            let files = ["-cert", "1.pem", "-cert", "2.pem", "-cert", "3.pem"];
            let ask = ["ocsp", hash, with_nonce, "-issuer", "ca.pem", "-reqout", "request.der"];
            openssl(path, &[&ask[..], &files[..]].concat());
            let request = std::fs::read(path.join("request.der")).unwrap();
            std::fs::write(path.join("answer.der"), world.answer(&request, now).body).unwrap();
            let read = [
                "ocsp",
                hash,
                "-no_nonce",
                "-reqin",
                "request.der",
                "-respin",
                "answer.der",
                "-issuer",
                "ca.pem",
            ];
            let text = openssl(path, &[&read[..], &["-CAfile", "ca.pem"], &files[..]].concat());
            for expected in [
                "Response verify OK",
                "1.pem: good",
                "2.pem: revoked",
                "Reason: affiliationChanged",
                "3.pem: unknown",
            ] {
                assert!(text.contains(expected), "{hash} {with_nonce}: {expected} is missing in {text}");
            }
            assert!(!text.contains("WARNING"), "{text}");
        }
    }
    // Another issuer's answer convinces nobody.
    let other = Ca::new(1, 2, rsa_key());
    std::fs::write(path.join("other.pem"), &other.pem).unwrap();
    let text = openssl(path, &["ocsp", "-respin", "answer.der", "-CAfile", "other.pem"]);
    assert!(text.contains("Response Verify Failure"), "{text}");
}

#[test]
fn rfc5280_s4_1_2_2_serials_of_every_length_are_answered() {
    let (ca, world) = issued();
    for text in [
        "0x1",
        "0x80",
        "0xffff",
        "0xffffffff",
        "0x100000000",
        "0xffffffffffffffff",
        "0x0102030405060708090a0b0c0d0e0f1011121314",
        "0x7fffffffffffffffffffffffffffffffffffffff",
    ] {
        let number: SerialNumber = text.parse().unwrap();
        let request = Ask::one(ca.cert_id_of(Sha1, true, &number)).to_der();
        if text != "0x1" {
            assert_eq!(world.single(&request, at(0)).cert_status, CertStatus::Unknown(()));
            world.issue(&ca, number, at(0));
        }
        assert_eq!(world.single(&request, at(1)).cert_status, CertStatus::Good, "{text}");
    }
}
