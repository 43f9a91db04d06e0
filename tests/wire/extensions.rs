//! Extensions of a request (RFC 6960 §4.4, RFC 9654).

use sekisho::der::{Oid, Writer};
use sekisho::pki::{HashAlgorithm, oid};

use crate::served::Served;
use crate::world::{Ask, Ca, extension, nonce};

use HashAlgorithm::Sha1;

const ELSEWHERE: &[u32] = &[1, 2, 392, 1];

fn one(ca: &Ca) -> Ask {
    Ask::one(ca.cert_id(Sha1, 1))
}

/// A Request with one extension of its own.
fn in_single(ca: &Ca, extension: &[u8]) -> Vec<u8> {
    let list = Writer::to_der(|w| w.nested(0xa0, |w| w.sequence(|w| w.raw(extension))));
    Ask::one([ca.cert_id(Sha1, 1), list].concat()).to_der()
}

fn oids(oids: &[Oid]) -> Vec<u8> {
    Writer::to_der(|w| w.sequence(|w| oids.iter().for_each(|oid| w.oid(oid))))
}

#[test]
fn rfc9654_s2_1_a_nonce_of_1_to_128_octets_comes_back() {
    let (ca, served) = Served::one();
    for len in [1, 16, 32, 127, 128] {
        let sent = nonce(&vec![0x5a; len]);
        let answer = served.answer(&one(&ca).with(sent.clone()).to_der());
        let extensions = answer.tbs_response_data.response_extensions.unwrap();
        assert_eq!(extensions.len(), 1);
        assert_eq!(rasn::der::encode(&extensions[0]).unwrap(), sent);
    }
    assert_eq!(served.answer(&one(&ca).to_der()).tbs_response_data.response_extensions, None);
}

#[test]
fn rfc9654_s2_1_a_nonce_of_0_or_129_octets_is_malformed() {
    let (ca, served) = Served::one();
    served.malformed(&one(&ca).with(nonce(&[])).to_der());
    served.malformed(&one(&ca).with(nonce(&[1; 129])).to_der());
    // Without the inner OCTET STRING, and with something after it.
    served.malformed(&one(&ca).with(extension(&oid::OCSP_NONCE, None, &[1; 16])).to_der());
    served.malformed(&one(&ca).with(extension(&oid::OCSP_NONCE, None, &[4, 1, 9, 0])).to_der());
}

#[test]
fn rfc6960_s4_4_3_whoever_accepts_basic_gets_basic() {
    let (ca, served) = Served::one();
    let other = Oid::new(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 99]);
    let plain = served.answer(&one(&ca).to_der());
    for types in [&[oid::OCSP_BASIC][..], &[other, oid::OCSP_BASIC]] {
        let asked = one(&ca).with(extension(&oid::OCSP_RESPONSE, Some(true), &oids(types)));
        assert_eq!(served.answer(&asked.to_der()), plain);
    }
}

#[test]
fn rfc6960_s4_4_3_whoever_does_not_accept_basic_is_malformed() {
    let (ca, served) = Served::one();
    let other = Oid::new(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 99]);
    for value in [&oids(&[other])[..], &oids(&[]), &[0x30, 2, 6, 0], &[5, 0]] {
        served.malformed(&one(&ca).with(extension(&oid::OCSP_RESPONSE, None, value)).to_der());
    }
}

#[test]
fn rfc6960_s4_4_7_preferred_algorithms_are_read() {
    let (ca, served) = Served::one();
    let preferred = Writer::to_der(|w| {
        w.sequence(|w| {
            w.sequence(|w| {
                w.sequence(|w| w.oid(&oid::ECDSA_WITH_SHA256));
                w.sequence(|w| w.oid(&oid::EC_PUBLIC_KEY));
            });
        });
    });
    for value in [&preferred[..], &[0x30, 0]] {
        let asked = one(&ca).with(extension(&oid::OCSP_PREF_SIG_ALGS, None, value));
        let algorithm = served.answer(&asked.to_der()).signature_algorithm;
        let expected = Writer::to_der(|w| w.sequence(|w| w.oid(&oid::ECDSA_WITH_SHA256)));
        assert_eq!(rasn::der::encode(&algorithm).unwrap(), expected);
    }
}

#[test]
fn rfc6960_s4_4_7_what_is_no_list_of_algorithms_is_malformed() {
    let (ca, served) = Served::one();
    for value in [&[][..], &[5, 0], &[0x30, 2, 0x30, 0], &[0x30, 0, 0], &[0x30, 4, 0x30, 2, 0x30, 0]] {
        served.malformed(&one(&ca).with(extension(&oid::OCSP_PREF_SIG_ALGS, None, value)).to_der());
    }
}

#[test]
fn rfc6960_s4_4_6_a_service_locator_changes_nothing() {
    let (ca, served) = Served::one();
    let plain = served.answer(&one(&ca).to_der());
    for critical in [None, Some(true)] {
        let locator = extension(&oid::OCSP_SERVICE_LOCATOR, critical, &[0x30, 0]);
        assert_eq!(served.answer(&in_single(&ca, &locator)), plain);
    }
}

#[test]
fn rfc6960_s4_4_unknown_extensions_that_are_not_critical_change_nothing() {
    let (ca, served) = Served::one();
    let plain = served.answer(&one(&ca).to_der());
    for critical in [None, Some(false)] {
        let unknown = extension(&Oid::new(ELSEWHERE), critical, &[1, 2, 3]);
        assert_eq!(served.answer(&in_single(&ca, &unknown)), plain);
        assert_eq!(served.answer(&one(&ca).with(unknown).to_der()), plain);
    }
}

#[test]
fn rfc6960_s4_4_unknown_extensions_that_are_critical_are_malformed() {
    let (ca, served) = Served::one();
    let unknown = extension(&Oid::new(ELSEWHERE), Some(true), &[1]);
    served.malformed(&in_single(&ca, &unknown));
    served.malformed(&one(&ca).with(unknown).to_der());
    // Known, but elsewhere than it belongs.
    served.malformed(&in_single(&ca, &extension(&oid::OCSP_NONCE, Some(true), &[4, 1, 1])));
    let locator = extension(&oid::OCSP_SERVICE_LOCATOR, Some(true), &[0x30, 0]);
    served.malformed(&one(&ca).with(locator).to_der());
}

#[test]
fn rfc5280_s4_2_an_empty_list_of_extensions_is_read() {
    let (ca, served) = Served::one();
    let plain = served.answer(&one(&ca).to_der());
    let empty = Ask { extensions: Some(Vec::new()), ..one(&ca) };
    assert_eq!(served.answer(&empty.to_der()), plain);
}

#[test]
fn rfc5280_s4_2_an_extension_twice_or_more_than_sixteen_are_malformed() {
    let (ca, served) = Served::one();
    let unknown = |arc| extension(&Oid::new(&[1, 2, 392, arc]), None, &[]);
    served.malformed(&one(&ca).with(unknown(1)).with(unknown(1)).to_der());
    served.malformed(&one(&ca).with(nonce(&[1])).with(nonce(&[1])).to_der());
    let too_many = Some((1..18).map(unknown).collect());
    served.malformed(&Ask { extensions: too_many, ..one(&ca) }.to_der());
}
