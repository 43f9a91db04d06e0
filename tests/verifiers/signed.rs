//! RFC 6960 §4.1.2 and §4.2.1 where access is registered, on octets.

use rasn_ocsp::OcspResponseStatus::{SigRequired, TryLater, Unauthorized};
use rcgen::KeyPair;
use sekisho::der::{Oid, Writer, tag};
use sekisho::ocsp::{Caching, Options, Respond};
use sekisho::pki::{RevocationReason, oid};
use sekisho::registry::SAME_SUBJECT_MAX;

use crate::asker::{Asker, admit, certs, ecdsa_sha256, one, registered};
use crate::world::{Ask, Ca, World, at, basic, nonce, rsa_key, serial};

fn accepted(world: &World, request: &[u8]) {
    let answer = world.answer(request, at(0));
    basic(&answer.body);
    assert!(!matches!(answer.caching, Caching::Until { .. }), "no cache may keep it");
}

fn unauthorized(world: &World, request: &[u8]) {
    assert_eq!(world.error(request, at(0)), Unauthorized);
}

#[test]
fn rfc6960_s4_1_2_a_registered_verifiers_signature_is_accepted_under_each_algorithm() {
    let key = |algorithm| KeyPair::generate_for(algorithm).unwrap();
    let p256 = Asker::p256("p256");
    let p384 = Asker::new("p384", key(&rcgen::PKCS_ECDSA_P384_SHA384));
    let ed25519 = Asker::new("ed25519", key(&rcgen::PKCS_ED25519));
    let rsa = Asker::new("rsa", rsa_key());
    let askers = [&p256, &p384, &ed25519, &rsa];
    let (ca, world) = registered(true, &askers);
    let ask = one(&ca, 1).with(nonce(&[7; 16]));
    for asker in askers {
        accepted(&world, &asker.sign(&ask));
        accepted(&world, &asker.sign(&one(&ca, 2)));
    }
    for (asker, digest, id) in [
        // As `openssl ocsp` signs with P-384.
        (&p384, "-sha256", oid::ECDSA_WITH_SHA256),
        (&p256, "-sha384", oid::ECDSA_WITH_SHA384),
        (&rsa, "-sha384", oid::SHA384_WITH_RSA),
        (&rsa, "-sha512", oid::SHA512_WITH_RSA),
    ] {
        accepted(&world, &asker.sign_digest(&ask, digest, &id));
    }
    // Made with one algorithm, and said to be of another; or with one that is not taken.
    for (asker, digest, id) in [
        (&rsa, "-sha384", oid::SHA512_WITH_RSA),
        (&rsa, "-sha256", oid::RSA_ENCRYPTION),
        (&rsa, "-sha256", oid::ECDSA_WITH_SHA256),
        (&p384, "-sha256", oid::ECDSA_WITH_SHA384),
        (&p256, "-sha256", oid::ED25519),
        (&p256, "-sha256", oid::SHA256_WITH_RSA),
        (&rsa, "-sha1", Oid::new(&[1, 2, 840, 113_549, 1, 1, 5])),
        (&p256, "-sha1", Oid::new(&[1, 2, 840, 10_045, 4, 1])),
    ] {
        unauthorized(&world, &asker.sign_digest(&ask, digest, &id));
    }
}

#[test]
fn rfc6960_s4_1_2_the_signature_covers_the_whole_tbs_request_and_nothing_else() {
    let asker = Asker::p256("kiosk");
    let (ca, world) = registered(true, &[&asker]);
    let asked = asker.sign(&one(&ca, 1));
    accepted(&world, &asked);
    // Another serial, nonce or name under the same signature.
    let signature = |request: &[u8]| {
        let content = sekisho::der::Reader::new(request).read(tag::SEQUENCE).unwrap();
        let mut reader = sekisho::der::Reader::new(content);
        reader.element().unwrap();
        reader.read(tag::context_constructed(0)).unwrap().to_vec()
    };
    let signature = Some(signature(&asked));
    let name = Some(asker.requestor_name());
    let again = Ask { requestor_name: name.clone(), signature: signature.clone(), ..one(&ca, 1) };
    assert_eq!(again.to_der(), asked);
    unauthorized(&world, &Ask { requestor_name: name, signature: signature.clone(), ..one(&ca, 2) }.to_der());
    unauthorized(&world, &again.clone().with(nonce(&[1; 8])).to_der());
    let other = Asker::p256("another").requestor_name();
    unauthorized(&world, &Ask { requestor_name: Some(other), ..again.clone() }.to_der());
    unauthorized(&world, &Ask { version: Some(vec![2, 1, 0]), ..again.clone() }.to_der());
    // A signature over the request around it, or over the content alone.
    for cut in [0, 2] {
        let outer = asker.sign_by(&one(&ca, 1), &ecdsa_sha256(), &certs(&[&asker.certificate]), |tbs| {
            let key = sekisho::signer::Key::from_pkcs8(&asker.key.serialize_der()).unwrap();
            let message =
                if cut == 0 { Writer::to_der(|w| w.sequence(|w| w.raw(tbs))) } else { tbs[cut..].to_vec() };
            key.sign(&message).unwrap()
        });
        unauthorized(&world, &outer);
    }
}

#[test]
fn rfc6960_s4_1_2_the_first_certificate_says_who_has_signed() {
    let (asker, other) = (Asker::p256("kiosk"), Asker::p256("clinic"));
    let (ca, world) = registered(true, &[&asker, &other]);
    let sign = |all: &[&[u8]]| asker.sign_with(&one(&ca, 1), &certs(all));
    accepted(&world, &sign(&[&asker.certificate, &other.certificate]));
    accepted(&world, &sign(&[&asker.certificate, &ca.issuer.certificate]));
    unauthorized(&world, &sign(&[&other.certificate, &asker.certificate]));
    unauthorized(&world, &sign(&[&ca.issuer.certificate, &asker.certificate]));
    // The same key and name in another certificate is another certificate.
    let again = Asker::with("kiosk", KeyPair::try_from(asker.key.serialize_der()).unwrap(), |params| {
        params.serial_number = Some(77_u64.into());
    });
    unauthorized(&world, &again.sign(&one(&ca, 1)));
}

#[test]
fn rfc6960_s4_1_2_without_a_certificate_the_name_says_who_has_signed() {
    let (asker, other) = (Asker::p256("kiosk"), Asker::p256("clinic"));
    let (ca, world) = registered(true, &[&asker, &other]);
    for none in [Vec::new(), certs(&[])] {
        accepted(&world, &asker.sign_with(&one(&ca, 1), &none));
        for name in [other.requestor_name(), vec![0x82, 1, b'a'], vec![0xa4, 2, 0x30, 0], vec![0xa4, 0]] {
            let named = Ask { requestor_name: Some(name), ..one(&ca, 1) };
            unauthorized(&world, &asker.sign_with(&named, &none));
        }
    }
    // One whose certificate is renewed has two for a while.
    let renewed: Vec<Asker> = (0..SAME_SUBJECT_MAX as i64)
        .map(|place| {
            Asker::with("kiosk", KeyPair::generate().unwrap(), |params| {
                params.not_after = at(1_000 + place).date_time();
            })
        })
        .collect();
    let all: Vec<&Asker> = renewed.iter().collect();
    admit(&world, &all);
    all.iter().for_each(|asker| accepted(&world, &asker.sign_with(&one(&ca, 1), &[])));
    // Of more than are tried, the one that ends first must send its certificate.
    let first = Asker::with("kiosk", KeyPair::generate().unwrap(), |params| {
        params.not_after = at(900).date_time();
    });
    admit(&world, &[&all[..], &[&first]].concat());
    unauthorized(&world, &first.sign_with(&one(&ca, 1), &[]));
    accepted(&world, &first.sign(&one(&ca, 1)));
}

#[test]
fn rfc6960_s4_2_1_who_is_unknown_suspended_or_expired_is_unauthorized() {
    let (asker, stranger) = (Asker::p256("kiosk"), Asker::p256("kiosk"));
    let until = |seconds| {
        Asker::with("until", KeyPair::generate().unwrap(), |params| {
            params.not_before = at(-100).date_time();
            params.not_after = at(seconds).date_time();
        })
    };
    let (last_second, over, coming) = (
        until(0),
        until(-1),
        Asker::with("coming", KeyPair::generate().unwrap(), |params| params.not_before = at(1).date_time()),
    );
    for required in [true, false] {
        let (ca, world) = registered(required, &[&asker, &last_second, &over, &coming]);
        for certificate in [certs(&[&stranger.certificate]), Vec::new()] {
            unauthorized(&world, &stranger.sign_with(&one(&ca, 1), &certificate));
        }
        accepted(&world, &last_second.sign(&one(&ca, 1)));
        for none in [&over, &coming] {
            unauthorized(&world, &none.sign(&one(&ca, 1)));
            unauthorized(&world, &none.sign_with(&one(&ca, 1), &[]));
        }
        accepted(&world, &asker.sign(&one(&ca, 1)));
        // Suspended: the answer is kept, and not given.
        admit(&world, &[&last_second]);
        unauthorized(&world, &asker.sign(&one(&ca, 1)));
        admit(&world, &[&asker]);
        accepted(&world, &asker.sign(&one(&ca, 1)));
    }
}

#[test]
fn rfc6960_s4_2_1_unsigned_is_sig_required_where_policy_demands_it() {
    let asker = Asker::p256("kiosk");
    let (ca, world) = registered(true, &[&asker]);
    for ask in [one(&ca, 1), Ask { requestor_name: Some(asker.requestor_name()), ..one(&ca, 1) }] {
        let answer = world.answer(&ask.to_der(), at(0));
        assert_eq!((&answer.body[..], answer.caching), (&[0x30, 3, 10, 1, 5][..], Caching::NoStore));
    }
    // Also when nothing can be signed, and for what nobody here speaks for.
    world.responder.freeze(true);
    assert_eq!(world.error(&ca.ask(1), at(0)), SigRequired);
    assert_eq!(world.error(&asker.sign(&one(&ca, 1)), at(0)), TryLater);
    world.responder.freeze(false);
    unauthorized(&world, &Ca::p256(9, 9).ask(1));
    let (ca, world) = registered(false, &[&asker]);
    accepted(&world, &ca.ask(1));
    accepted(&world, &asker.sign(&one(&ca, 1)));
}

#[test]
fn rfc6960_s4_1_2_open_access_looks_at_no_signature() {
    let ca = Ca::p256(1, 1);
    let world = World::new(&[ca.identity()], Options::default());
    world.issue(&ca, serial(1), at(-1_000));
    let stranger = Asker::p256("anybody");
    let forged = stranger.sign_by(&one(&ca, 1), &ecdsa_sha256(), &[], |_| vec![1; 70]);
    for request in [ca.ask(1), stranger.sign(&one(&ca, 1)), forged] {
        let answer = world.answer(&request, at(0));
        basic(&answer.body);
        assert!(matches!(answer.caching, Caching::Until { .. }));
    }
}

#[test]
fn one_signature_answers_all_verifiers() {
    let (asker, other) = (Asker::p256("kiosk"), Asker::p256("clinic"));
    let (ca, world) = registered(true, &[&asker, &other]);
    let first = world.answer(&asker.sign(&one(&ca, 1)), at(0));
    let Respond::Ready(second) = world.responder.respond(&other.sign(&one(&ca, 1)), at(1)) else {
        panic!("signed twice")
    };
    assert_eq!((&first, first.caching), (&second, Caching::Private));
}

#[test]
fn a_job_proves_that_its_request_was_admitted() {
    let asker = Asker::p256("kiosk");
    let (ca, world) = registered(true, &[&asker]);
    let sign = |number| match world.responder.respond(&asker.sign(&one(&ca, number)), at(0)) {
        Respond::Sign(job) => job,
        other => panic!("{other:?}"),
    };
    let (quiet, changed, failed) = (sign(1), sign(2), sign(3));
    admit(&world, &[]);
    let made = quiet.sign();
    let Respond::Ready(answer) = world.responder.finish(quiet, made, at(0)) else { panic!() };
    basic(&answer.body);
    assert_eq!(answer.caching, Caching::Private);
    // Started over, because the status has changed: still admitted.
    world.revoke(&ca, 2, RevocationReason::Superseded, 1, at(0));
    let made = changed.sign();
    assert!(matches!(world.responder.finish(changed, made, at(0)), Respond::Sign(_)));
    let Respond::Ready(answer) =
        world.responder.finish(failed, Err(sekisho::signer::SignError::Refused), at(0))
    else {
        panic!()
    };
    assert_eq!((&answer.body[..], answer.caching), (&[0x30, 3, 10, 1, 3][..], Caching::NoStore));
    unauthorized(&world, &asker.sign(&one(&ca, 1)));
}

#[test]
fn the_service_asks_its_own_questions_unsigned() {
    let (ca, world) = registered(true, &[]);
    assert!(matches!(world.responder.respond(&ca.ask(1), at(0)), Respond::Ready(_)));
    let Respond::Sign(job) = world.responder.respond_again(&ca.ask(1), at(0)) else { panic!() };
    let made = job.sign();
    assert!(matches!(world.responder.finish(job, made, at(0)), Respond::Ready(_)));
    let asker = Asker::p256("kiosk");
    admit(&world, &[&asker]);
    let kept = world.responder.respond(&asker.sign(&one(&ca, 1)), at(1));
    assert!(matches!(kept, Respond::Ready(_)), "signed before anybody asked");
}
