//! When there is nobody to sign, or no time to be believed: RFC 6960 §2.3, RFC 9654 §2.1.

use sekisho::ocsp::Options;

use crate::served::{Served, TRY_LATER};
use crate::world::{Ask, Ca, nonce};

use sekisho::pki::HashAlgorithm::{Sha1, Sha256};

fn with_nonce(ca: &Ca) -> Vec<u8> {
    Ask::one(ca.cert_id(Sha1, 1)).with(nonce(&[7; 16])).to_der()
}

#[test]
fn what_is_kept_is_answered_while_the_clock_is_not_believed() {
    let (ca, served) = Served::one();
    let before = served.post(&ca.ask(1)).body;
    served.responder.freeze(true);
    assert_eq!(served.post(&ca.ask(1)).body, before);
    assert_eq!(served.get(&ca.ask(1)).body, before);
    served.responder.freeze(false);
    served.posted(&with_nonce(&ca));
}

#[test]
fn rfc6960_s2_3_nothing_is_signed_while_the_clock_is_not_believed() {
    let (ca, served) = Served::one();
    served.post(&ca.ask(1));
    served.responder.freeze(true);
    served.refused(&with_nonce(&ca), TRY_LATER);
    served.refused(&ca.ask(2), TRY_LATER);
    served.refused(&Ask::one(ca.cert_id(Sha256, 1)).to_der(), TRY_LATER);
    served.revoke(&ca, 1, sekisho::pki::RevocationReason::KeyCompromise, 1, crate::responder::now());
    // Neither what it was nor what it is.
    served.refused(&ca.ask(1), TRY_LATER);
    served.responder.freeze(false);
    served.answer(&ca.ask(2));
}

#[test]
fn rfc9654_s2_1_without_a_signer_a_nonce_is_left_out_where_that_is_configured() {
    let (ca, served) = Served::one_with(Options { without_nonce: true, ..Options::default() });
    let kept = served.post(&ca.ask(1));
    served.responder.freeze(true);
    let response = served.post(&with_nonce(&ca));
    assert_eq!(response.body, kept.body);
    let by_get = served.get(&with_nonce(&ca));
    assert_eq!((by_get.body, by_get.head.contains("no-store")), (kept.body, true));
    let never_asked = Ask::one(ca.cert_id(Sha1, 2)).with(nonce(&[7; 16])).to_der();
    served.refused(&never_asked, TRY_LATER);
}
