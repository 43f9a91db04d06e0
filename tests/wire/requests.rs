//! OCSPRequest (RFC 6960 §4.1): what is read, and what is not.

use rasn_ocsp::CertStatus;
use sekisho::der::{Oid, Writer};
use sekisho::ocsp::Options;
use sekisho::pki::{HashAlgorithm, oid};

use crate::served::{Served, UNAUTHORIZED, later, long_ago};
use crate::world::{Ask, Ca, World, cert_id, extension, serial};

use HashAlgorithm::{Sha1, Sha256};

const UNKNOWN: CertStatus = CertStatus::Unknown(());

/// The Signature of a request, followed by `tail` in place of its certs.
fn signature(tail: &[u8]) -> Vec<u8> {
    let algorithm = Writer::to_der(|w| w.sequence(|w| w.oid(&oid::ECDSA_WITH_SHA256)));
    let bits = Writer::to_der(|w| w.bit_string(&[9; 70]));
    let content = [&algorithm[..], &bits, tail].concat();
    Writer::to_der(|w| w.sequence(|w| w.raw(&content)))
}

#[test]
fn rfc6960_s4_1_1_der_is_answered_and_two_forms_that_clients_write() {
    let (ca, served) = Served::one();
    let one = Ask::one(ca.cert_id(Sha1, 1));
    let plain = served.answer(&one.to_der());
    let version_written_out = Ask { version: Some(vec![2, 1, 0]), ..one.clone() };
    assert_eq!(served.answer(&version_written_out.to_der()), plain);
    let not_critical = extension(&Oid::new(&[1, 2, 392, 1]), Some(false), &[1]);
    assert_eq!(served.answer(&one.with(not_critical).to_der()), plain);
}

#[test]
fn rfc6960_s4_1_1_other_encodings_of_a_request_are_malformed() {
    let (ca, served) = Served::one();
    let der = ca.ask(1);
    served.malformed(&[]);
    served.malformed(&[&der[..], &[0]].concat());
    (1..der.len()).for_each(|end| served.malformed(&der[..end]));
    // A longer length than it takes, an indefinite one, a serial with an octet too many.
    assert!(der[1] < 0x80);
    served.malformed(&[&[0x30, 0x81, der[1]], &der[2..]].concat());
    served.malformed(&[&[0x30, 0x80], &der[2..], &[0, 0]].concat());
    let mut cert_id = ca.cert_id(Sha1, 1);
    cert_id.truncate(cert_id.len() - 3);
    cert_id.extend([2, 2, 0, 1]);
    cert_id[1] += 1;
    served.malformed(&Ask::one(cert_id).to_der());
}

#[test]
fn rfc6960_s4_1_1_other_versions_than_1_are_malformed() {
    let (ca, served) = Served::one();
    for version in [&[2, 1, 1][..], &[2, 1, 2], &[2, 1, 0xff], &[2, 2, 0, 0], &[2, 0], &[1, 1, 0], &[]] {
        let version = Some(version.to_vec());
        served.malformed(&Ask { version, ..Ask::one(ca.cert_id(Sha1, 1)) }.to_der());
    }
}

#[test]
fn rfc6960_s4_1_1_sixteen_questions_get_sixteen_answers() {
    let (ca, served) = Served::one();
    for count in [1, 2, 16] {
        let asked = Ask::several(&vec![ca.cert_id(Sha1, 1); count]);
        assert_eq!(served.singles(&asked.to_der()).len(), count);
    }
}

#[test]
fn rfc6960_s4_1_1_no_question_and_seventeen_are_malformed() {
    let (ca, served) = Served::one();
    served.malformed(&Ask::several(&[]).to_der());
    served.malformed(&Ask::several(&vec![ca.cert_id(Sha1, 1); 17]).to_der());
    let (ca, served) = Served::one_with(Options { cert_ids_max: 2, ..Options::default() });
    served.malformed(&Ask::several(&vec![ca.cert_id(Sha1, 1); 3]).to_der());
}

#[test]
fn rfc6960_s4_1_2_a_requestors_name_changes_nothing_when_unsigned() {
    let (ca, served) = Served::one();
    let plain = served.answer(&ca.ask(1));
    for name in [&[0x82, 1, b'a'][..], &[0xa4, 2, 0x30, 0], &[0x86, 3, b'u', b':', b'a']] {
        let named = Ask { requestor_name: Some(name.to_vec()), ..Ask::one(ca.cert_id(Sha1, 1)) };
        assert_eq!(served.answer(&named.to_der()), plain);
    }
}

#[test]
fn rfc6960_s4_1_2_no_general_name_and_a_signature_without_name_are_malformed() {
    let (ca, served) = Served::one();
    let one = Ask::one(ca.cert_id(Sha1, 1));
    for name in [&[0x0c, 1, b'a'][..], &[0x89, 1, 1], &[0x84, 2, 0x30, 0], &[]] {
        served.malformed(&Ask { requestor_name: Some(name.to_vec()), ..one.clone() }.to_der());
    }
    served.malformed(&Ask { signature: Some(signature(&[])), ..one }.to_der());
}

#[test]
fn rfc6960_s4_1_1_each_hash_is_answered_with_its_cert_id_octet_for_octet() {
    let (ca, served) = Served::one();
    for hash in HashAlgorithm::ALL {
        for null in [true, false] {
            let cert_id = ca.cert_id_of(hash, null, &serial(3));
            let single = served.single(&Ask::one(cert_id.clone()).to_der());
            assert_eq!(rasn::der::encode(&single.cert_id).unwrap(), cert_id);
            assert_eq!(single.cert_status, CertStatus::Good);
        }
    }
}

#[test]
fn rfc6960_s2_3_other_hashes_are_unauthorized_and_beside_ours_unknown() {
    let (ca, served) = Served::one();
    let sha224 = Oid::new(&[2, 16, 840, 1, 101, 3, 4, 2, 4]);
    let foreign = cert_id(&sha224, true, &[1; 28], &[2; 28], &serial(1));
    served.refused(&Ask::one(foreign.clone()).to_der(), UNAUTHORIZED);
    let both = Ask::several(&[foreign, ca.cert_id(Sha1, 1)]).to_der();
    let statuses: Vec<_> = served.singles(&both).into_iter().map(|single| single.cert_status).collect();
    assert_eq!(statuses, [UNKNOWN, CertStatus::Good]);
}

#[test]
fn rfc6960_s4_1_1_an_issuer_is_named_by_both_hashes() {
    let (ours, theirs) = (Ca::p256(1, 1), Ca::p256(2, 1));
    let world = World::new(&[&ours, &theirs].map(|ca| ca.identity_until(later(86_400))), Options::default());
    for ca in [&ours, &theirs] {
        world.issue(ca, serial(1), long_ago());
    }
    let served = Served::new(world);
    let name = |ca: &Ca| ca.issuer.name_hash(Sha1);
    let key = |ca: &Ca| ca.issuer.key_hash(Sha1);
    let ask = |name: &[u8], key: &[u8]| Ask::one(cert_id(&oid::SHA1, true, name, key, &serial(1))).to_der();
    for ca in [&ours, &theirs] {
        assert_eq!(served.single(&ask(&name(ca), &key(ca))).cert_status, CertStatus::Good);
    }
    for (name, key) in [
        (name(&ours), key(&theirs)),
        (name(&theirs), key(&ours)),
        (name(&ours), vec![7; 20]),
        (vec![7; 20], key(&ours)),
        (name(&ours), key(&ours)[..19].to_vec()),
        (ours.issuer.name_hash(Sha256), ours.issuer.key_hash(Sha256)),
    ] {
        served.refused(&ask(&name, &key), UNAUTHORIZED);
    }
}

#[test]
fn rfc6960_s2_2_a_serial_of_another_authority_or_key_is_unknown() {
    let [first, second, other] = [Ca::p256(1, 1), Ca::p256(1, 2), Ca::p256(2, 1)];
    let all = [&first, &second, &other];
    let world = World::new(&all.map(|ca| ca.identity_until(later(86_400))), Options::default());
    for (ca, number) in all.into_iter().zip(1..) {
        world.issue(ca, serial(number), long_ago());
    }
    let served = Served::new(world);
    for (place, ca) in all.into_iter().enumerate() {
        for number in 1..=3 {
            let expected = if place + 1 == number as usize { CertStatus::Good } else { UNKNOWN };
            assert_eq!(served.single(&ca.ask(number)).cert_status, expected, "{place} {number}");
        }
    }
}

#[test]
fn rfc6960_s4_2_1_numbers_that_no_certificate_has_are_unknown() {
    let (ca, served) = Served::one();
    for number in [&[2, 1, 0][..], &[2, 1, 0xff], &[&[2, 21, 1][..], &[0; 20]].concat()] {
        let mut cert_id = ca.cert_id(Sha1, 1);
        cert_id.truncate(cert_id.len() - 3);
        cert_id.extend(number);
        cert_id[1] = u8::try_from(cert_id.len() - 2).unwrap();
        // Nothing is kept for such a number: every request has a signature of its own.
        let answer = served.posted(&Ask::one(cert_id.clone()).to_der());
        let single = &answer.tbs_response_data.responses[0];
        assert_eq!(single.cert_status, UNKNOWN);
        assert_eq!(rasn::der::encode(&single.cert_id).unwrap(), cert_id);
    }
}

#[test]
fn rfc6960_s4_2_1_several_questions_are_answered_in_their_order() {
    let (ca, served) = Served::one();
    let asked: Vec<_> = [3, 77, 1, 3].map(|number| ca.cert_id(Sha256, number)).to_vec();
    let singles = served.singles(&Ask::several(&asked).to_der());
    let answered: Vec<_> = singles.iter().map(|single| rasn::der::encode(&single.cert_id).unwrap()).collect();
    assert_eq!(answered, asked);
    let statuses: Vec<_> = singles.into_iter().map(|single| single.cert_status).collect();
    assert_eq!(statuses, [CertStatus::Good, UNKNOWN, CertStatus::Good, CertStatus::Good]);
}

#[test]
fn rfc6960_s2_6_the_signer_of_one_issuer_knows_nothing_of_others() {
    let [first, second, other] = [Ca::p256(1, 1), Ca::p256(1, 2), Ca::p256(2, 1)];
    let all = [&first, &second, &other];
    let world = World::new(&all.map(|ca| ca.identity_until(later(86_400))), Options::default());
    for (ca, number) in all.into_iter().zip(1..) {
        world.issue(ca, serial(number), long_ago());
    }
    let served = Served::new(world);
    for (ours, signer) in all.into_iter().enumerate() {
        let mut asked: Vec<_> =
            all.into_iter().zip(1..).map(|(ca, number)| ca.cert_id(Sha1, number)).collect();
        asked.rotate_left(ours);
        let answer = served.answer(&Ask::several(&asked).to_der());
        let statuses: Vec<_> =
            answer.tbs_response_data.responses.iter().map(|single| single.cert_status.clone()).collect();
        assert_eq!(statuses, [CertStatus::Good, UNKNOWN, UNKNOWN]);
        let issuer = rasn::der::encode(&answer.certs.unwrap()[0].tbs_certificate.issuer).unwrap();
        assert_eq!(issuer, signer.issuer.name.der());
    }
    let stranger = Ca::p256(3, 1);
    served.refused(&stranger.ask(1), UNAUTHORIZED);
    let two = Ask::several(&[stranger.cert_id(Sha1, 1), stranger.cert_id(Sha256, 1)]).to_der();
    served.refused(&two, UNAUTHORIZED);
}

#[test]
fn rfc6960_s4_1_2_in_open_mode_a_signature_is_neither_needed_nor_an_error() {
    let (ca, served) = Served::one();
    let plain = served.answer(&ca.ask(1));
    let name = Some(vec![0x82, 1, b'a']);
    let certs = Writer::to_der(|w| w.nested(0xa0, |w| w.sequence(|w| w.raw(&ca.issuer.certificate))));
    for tail in [&[][..], &[0xa0, 2, 0x30, 0], &certs] {
        let signature = Some(signature(tail));
        let signed = Ask { requestor_name: name.clone(), signature, ..Ask::one(ca.cert_id(Sha1, 1)) };
        assert_eq!(served.answer(&signed.to_der()), plain);
    }
}

#[test]
fn rfc6960_s4_1_2_what_is_no_signature_is_malformed() {
    let (ca, served) = Served::one();
    let name = Some(vec![0x82, 1, b'a']);
    for tail in [&[5, 0][..], &[0xa0, 2, 5, 0], &[0xa0, 0], &[0xa1, 2, 0x30, 0]] {
        let signature = Some(signature(tail));
        let signed = Ask { requestor_name: name.clone(), signature, ..Ask::one(ca.cert_id(Sha1, 1)) };
        served.malformed(&signed.to_der());
    }
}
