//! What the parser accepts rasn reads too, with the same meaning; what rasn-ocsp takes for DER
//! and the parser refuses is refused for a reason.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rasn_ocsp::CertId;
use sekisho::ocsp::fuzzing::{Read, read_request};
use sekisho::pki::SerialNumber;
use sekisho_fuzz::clock::within_time;
use sekisho_fuzz::reading::{CERT_IDS_MAX, Reading, counts_beyond_rasn, is_der_to_rasn, is_read_by_rasn};

fuzz_target!(|request: &[u8]| {
    match (within_time(|| read_request(request, CERT_IDS_MAX)), Reading::of(request)) {
        (Ok(ours), Some(theirs)) => means_the_same(request, &ours, &theirs),
        (Ok(ours), None) => assert!(counts_beyond_rasn(request), "rasn does not read {ours:02x?}"),
        (Err(_), Some(theirs)) if is_der_to_rasn(request) => {
            assert!(theirs.refusal().is_some(), "refused without a reason: {theirs:?}");
        }
        (Err(_), _) => {}
    }
});

fn means_the_same(request: &[u8], ours: &Read, theirs: &Reading) {
    assert!(theirs.version_is_v1());
    assert!(theirs.has_open_parts() || is_read_by_rasn(request), "rasn-ocsp does not read it");
    assert_eq!(ours.cert_ids, theirs.cert_ids());
    assert_eq!(ours.serial_numbers, theirs.questions().map(serial_number).collect::<Vec<_>>());
    assert_eq!(ours.nonce, theirs.nonce());
    assert!((1..=CERT_IDS_MAX).contains(&ours.cert_ids.len()));
}

fn serial_number(question: &CertId) -> Option<SerialNumber> {
    let der = rasn::der::encode(&question.serial_number).unwrap();
    // Twenty octets at most: the header has two.
    SerialNumber::from_content(&der[2..]).ok()
}
