//! Signatures that are none (RFC 6960 §4.1.1), where access is registered.

use proptest::prelude::*;
use rasn_ocsp::{OcspResponse, OcspResponseStatus};
use sekisho::der::{Writer, tag};

use crate::asker::{Asker, certs, ecdsa_sha256, one, registered, signature};
use crate::world::{Ask, World, at};

use OcspResponseStatus::{MalformedRequest, Successful, Unauthorized};

fn status(world: &World, request: &[u8]) -> OcspResponseStatus {
    let answer = world.answer(request, at(0));
    let response: OcspResponse = rasn::der::decode(&answer.body).unwrap();
    assert_eq!(response.bytes.is_some(), response.status == Successful);
    response.status
}

#[test]
fn rfc6960_s4_1_1_a_signature_of_another_form_is_malformed() {
    let asker = Asker::p256("kiosk");
    let (ca, world) = registered(true, &[&asker]);
    let named = Ask { requestor_name: Some(asker.requestor_name()), ..one(&ca, 1) };
    let with =
        |signature: Vec<u8>| status(&world, &Ask { signature: Some(signature), ..named.clone() }.to_der());
    let (algorithm, all) = (ecdsa_sha256(), certs(&[&asker.certificate]));
    // Well-formed, and made by nobody.
    assert_eq!(with(signature(&algorithm, &[9; 70], &all)), Unauthorized);
    assert_eq!(with(signature(&algorithm, &[], &all)), Unauthorized);
    let sequence = |parts: &[&[u8]]| Writer::to_der(|w| w.sequence(|w| w.raw(&parts.concat())));
    let bits = Writer::to_der(|w| w.bit_string(&[9; 70]));
    let explicit =
        |content: &[u8]| Writer::to_der(|w| w.nested(tag::context_constructed(0), |w| w.raw(content)));
    let wrong: &[(&str, Vec<u8>)] = &[
        ("empty", vec![0x30, 0]),
        ("no value", Vec::new()),
        ("no SEQUENCE", [&[0x31, 0][..]].concat()),
        ("two", [signature(&algorithm, &[9; 70], &all), vec![5, 0]].concat()),
        ("no algorithm", sequence(&[&bits])),
        ("an empty algorithm", sequence(&[&[0x30, 0], &bits])),
        ("a padded OID", sequence(&[&[0x30, 4, 6, 2, 0x80, 1], &bits])),
        ("parameters twice", sequence(&[&[0x30, 7, 6, 1, 42, 5, 0, 5, 0], &bits])),
        ("no bits", sequence(&[&algorithm])),
        ("no count of unused bits", sequence(&[&algorithm, &[3, 0]])),
        ("unused bits", sequence(&[&algorithm, &[3, 2, 1, 0xfe]])),
        ("octets for bits", sequence(&[&algorithm, &[4, 2, 0, 1]])),
        ("constructed bits", sequence(&[&algorithm, &[0x23, 4, 3, 2, 0, 1]])),
        ("empty certs", sequence(&[&algorithm, &bits, &[0xa0, 0]])),
        ("certs without SEQUENCE", sequence(&[&algorithm, &bits, &explicit(&[5, 0])])),
        ("a certificate that is none", sequence(&[&algorithm, &bits, &explicit(&[0x30, 2, 5, 0])])),
        ("certs twice", sequence(&[&algorithm, &bits, &all, &all])),
        ("certs under another tag", sequence(&[&algorithm, &bits, &[0xa1, 2, 0x30, 0]])),
        ("something behind", sequence(&[&algorithm, &bits, &all, &[5, 0]])),
    ];
    for (what, wrong) in wrong {
        assert_eq!(with(wrong.clone()), MalformedRequest, "{what}");
    }
    let nameless =
        Ask { requestor_name: None, signature: Some(signature(&algorithm, &[9; 70], &all)), ..named };
    assert_eq!(status(&world, &nameless.to_der()), MalformedRequest);
}

#[test]
fn rfc6960_s4_1_2_a_signed_request_with_one_octet_changed_is_never_answered() {
    let asker = Asker::p256("kiosk");
    let (ca, world) = registered(true, &[&asker]);
    for certificate in [certs(&[&asker.certificate]), Vec::new()] {
        let request = asker.sign_with(&one(&ca, 1), &certificate);
        assert_eq!(status(&world, &request), Successful);
        let mut seen = Vec::new();
        for place in 0..request.len() {
            for change in [0x01, 0x20, 0x80, 0xff] {
                let mut changed = request.clone();
                changed[place] ^= change;
                let status = status(&world, &changed);
                assert_ne!(status, Successful, "octet {place} changed by {change:#x}");
                if !seen.contains(&status) {
                    seen.push(status);
                }
            }
            assert_eq!(status(&world, &request[..place]), MalformedRequest);
        }
        assert!(seen.contains(&MalformedRequest) && seen.contains(&Unauthorized), "{seen:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_stands_in_the_signature_is_malformed_or_unauthorized(
        tags in prop::collection::vec(
            (prop::sample::select(vec![2_u8, 3, 4, 5, 6, 0x30, 0x31, 0x80, 0xa0, 0xa1]), 0_u8..20), 0..6),
        depth in 0_usize..4,
    ) {
        let asker = Asker::p256("kiosk");
        let (ca, world) = registered(true, &[&asker]);
        let values = Writer::to_der(|w| tags.iter().for_each(|(tag, len)| {
            w.value(*tag, &vec![*len; usize::from(*len)]);
        }));
        let signature = (0..depth).fold(values, |inner, _| Writer::to_der(|w| w.sequence(|w| w.raw(&inner))));
        let ask = Ask {
            requestor_name: Some(asker.requestor_name()),
            signature: Some(signature),
            ..one(&ca, 1)
        };
        prop_assert!([MalformedRequest, Unauthorized].contains(&status(&world, &ask.to_der())));
    }
}
