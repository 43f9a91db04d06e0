//! OCSPResponse (RFC 6960 §4.2): what an answer says, and when it says nothing.

use std::time::Duration;

use rasn_ocsp::{BasicOcspResponse, CertStatus, OcspResponse, OcspResponseStatus, ResponderId};
use ring::signature::{ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use sekisho::der::UnixTime;
use sekisho::ocsp::{Options, SigningIdentity};
use sekisho::pki::{CertificateKind, HashAlgorithm, RevocationReason, oid};
use sekisho::record::{ArchivePlace, CertificateRef, Event, Issued};

use crate::responder::now;
use crate::served::{Served, TRY_LATER, UNAUTHORIZED, later, long_ago};
use crate::world::{Ask, Ca, World, extension, hours, nonce, serial, time};

use HashAlgorithm::Sha1;

fn revoked(status: &CertStatus) -> (UnixTime, Option<u8>) {
    let CertStatus::Revoked(revoked) = status else { panic!("{status:?}") };
    (time(&revoked.revocation_time), revoked.revocation_reason.map(|reason| reason as u8))
}

/// thisUpdate, producedAt, nextUpdate of an answer to one question.
fn times(answer: &BasicOcspResponse) -> [UnixTime; 3] {
    let data = &answer.tbs_response_data;
    let single = &data.responses[0];
    [time(&single.this_update), time(&data.produced_at), time(single.next_update.as_ref().unwrap())]
}

#[test]
fn rfc6960_s4_2_1_success_carries_bytes() {
    let (ca, served) = Served::one();
    let response: OcspResponse = rasn::der::decode(&served.post(&ca.ask(1)).body).unwrap();
    assert_eq!(response.status, OcspResponseStatus::Successful);
    let basic: Vec<u32> = vec![1, 3, 6, 1, 5, 5, 7, 48, 1, 1];
    assert_eq!(response.bytes.unwrap().r#type.to_vec(), basic);
}

#[test]
fn rfc6960_s4_2_1_errors_carry_none_and_are_not_kept() {
    let (ca, served) = Served::one();
    served.malformed(&[1, 2, 3]);
    served.refused(&Ca::p256(9, 1).ask(1), UNAUTHORIZED);
    // Its signer's time is over.
    served.responder.install([ca.identity_until(now().minus(Duration::from_secs(1)))]);
    served.refused(&ca.ask(1), TRY_LATER);
}

#[test]
fn rfc6960_s4_2_2_3_an_answer_is_version_1_by_key_with_times_in_utc() {
    let (ca, served) = Served::one();
    let answer = served.answer(&ca.ask(1));
    let data = rasn::der::encode(&answer.tbs_response_data).unwrap();
    // A long SEQUENCE, and at once the responder: no version.
    assert_eq!((data[0], data[1]), (0x30, 0x81));
    assert_eq!(data[3..7], [0xa2, 22, 4, 20]);
    let certificate = rasn::der::encode(&answer.certs.as_ref().unwrap()[0]).unwrap();
    let (_, certificate) = x509_parser::parse_x509_certificate(&certificate).unwrap();
    let key = Sha1.digest(&certificate.public_key().subject_public_key.data);
    assert_eq!(answer.tbs_response_data.responder_id, ResponderId::ByKey(key.into()));
    let times: Vec<&[u8]> = data
        .windows(17)
        .filter(|window| window.starts_with(&[0x18, 15]))
        .map(|window| &window[2..])
        .collect();
    assert_eq!(times.len(), 3);
    for time in times {
        assert!(time[..14].iter().all(u8::is_ascii_digit) && time[14] == b'Z', "{time:?}");
    }
}

#[test]
fn rfc6960_s2_4_times_are_in_their_order() {
    let (ca, served) = Served::one();
    served.revoke(&ca, 2, RevocationReason::Superseded, 1, now());
    for number in [1, 2, 77] {
        let answer = served.answer(&ca.ask(number));
        let [this_update, produced_at, next_update] = times(&answer);
        assert!(this_update <= produced_at && produced_at <= now() && now() < next_update);
        assert_eq!(next_update, this_update.plus(hours(12)));
        if number == 2 {
            assert!(revoked(&answer.tbs_response_data.responses[0].cert_status).0 <= this_update);
        }
    }
}

#[test]
fn rfc9919_s4_next_update_comes_before_the_signer_ends() {
    let (ca, served) = Served::one();
    let not_after = later(1_000);
    served.responder.install([ca.identity_until(not_after)]);
    let [this_update, _, next_update] = times(&served.answer(&ca.ask(1)));
    assert!(this_update < next_update && next_update < not_after);
}

#[test]
fn rfc9919_s7_2_caches_are_told_no_longer_than_next_update() {
    let (ca, served) = Served::one();
    for (seconds, at_most) in [(86_400, 60), (40, 40)] {
        served.responder.install([ca.identity_until(later(seconds))]);
        let response = served.get(&ca.ask(1));
        let [_, _, next_update] = times(&crate::world::basic(&response.body));
        let told = response.field("cache-control").unwrap();
        let max_age: u64 = told.strip_prefix("max-age=").unwrap().split(',').next().unwrap().parse().unwrap();
        assert!(max_age <= at_most && max_age + 10 > at_most, "{told}");
        let expires = httpdate::parse_http_date(response.field("expires").unwrap()).unwrap();
        let expires = expires.duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(UnixTime::default().plus(expires), next_update);
    }
}

#[test]
fn rfc6960_s4_2_2_2_a_signer_that_has_ended_says_nothing_more() {
    let (ca, served) = Served::one();
    served.answer(&ca.ask(1));
    served.responder.install([ca.identity_until(now())]);
    served.refused(&ca.ask(1), TRY_LATER);
    served.responder.install([] as [SigningIdentity; 0]);
    served.refused(&ca.ask(1), UNAUTHORIZED);
}

#[test]
fn rfc6960_s2_4_a_change_has_a_later_this_update_than_any_answer_before() {
    let (ca, served) = Served::one();
    let [before, ..] = times(&served.answer(&ca.ask(1)));
    served.revoke(&ca, 1, RevocationReason::CertificateHold, 1, now());
    let [held, ..] = times(&served.answer(&ca.ask(1)));
    assert!(held > before, "within one second");
}

#[test]
fn rfc6960_s2_4_backdating_goes_back_as_far_as_the_last_change() {
    let backdate = Duration::from_secs(3_600);
    let (ca, served) = Served::one_with(Options { backdate, ..Options::default() });
    let changed = now().minus(Duration::from_secs(100));
    served.revoke(&ca, 2, RevocationReason::Superseded, 1, changed);
    let [this_update, produced_at, _] = times(&served.answer(&ca.ask(1)));
    assert_eq!(produced_at.since(this_update), backdate + Duration::from_secs(5));
    let answer = served.answer(&ca.ask(2));
    let (date, _) = revoked(&answer.tbs_response_data.responses[0].cert_status);
    let [this_update, produced_at, _] = times(&answer);
    assert!(date == changed && changed <= this_update && this_update < produced_at);
}

#[test]
fn rfc6960_s4_2_1_revoked_says_since_when_and_why_unless_unspecified() {
    let (ca, served) = Served::one();
    let date = now().minus(Duration::from_secs(500));
    for (number, reason) in (100..).zip(RevocationReason::ALL) {
        served.issue(&ca, serial(number), long_ago());
        served.revoke(&ca, number, reason, 1, date);
        let expected = (date, (reason.code() != 0).then_some(reason.code()));
        assert_eq!(revoked(&served.single(&ca.ask(number)).cert_status), expected);
    }
    assert_eq!(served.single(&ca.ask(1)).cert_status, CertStatus::Good);
}

#[test]
fn rfc5280_s5_3_1_a_hold_ends_in_revocation_with_its_own_date() {
    let (ca, served) = Served::one();
    let [held, ended] = [500, 100].map(|ago| now().minus(Duration::from_secs(ago)));
    served.revoke(&ca, 1, RevocationReason::CertificateHold, 1, held);
    assert_eq!(revoked(&served.single(&ca.ask(1)).cert_status), (held, Some(6)));
    served.revoke_since(&ca, 1, RevocationReason::CessationOfOperation, 2, held, ended);
    assert_eq!(revoked(&served.single(&ca.ask(1)).cert_status), (held, Some(5)));
}

#[test]
fn rfc6960_s2_2_what_was_never_issued_is_unknown() {
    let (ca, served) = Served::one();
    let answer = served.answer(&ca.ask(77));
    assert_eq!(answer.tbs_response_data.responses[0].cert_status, CertStatus::Unknown(()));
    assert_eq!(answer.tbs_response_data.response_extensions, None);
}

fn extended() -> (Ca, Ca, Served) {
    let (first, second) = (Ca::p256(1, 1), Ca::p256(1, 2));
    let identities = [&first, &second].map(|ca| ca.identity_until(later(86_400)));
    let world = World::new(&identities, Options { extended_revoke: true, ..Options::default() });
    world.issue(&first, serial(1), long_ago());
    world.issue(&second, serial(2), long_ago());
    (first, second, Served::new(world))
}

#[test]
fn rfc6960_s4_4_8_extended_revoke_says_revoked_of_what_was_never_issued() {
    let (first, _, served) = extended();
    let answer = served.answer(&first.ask(77));
    let never = (UnixTime::default(), Some(6));
    assert_eq!(revoked(&answer.tbs_response_data.responses[0].cert_status), never);
    let extensions = answer.tbs_response_data.response_extensions.unwrap();
    let said = extension(&oid::OCSP_EXTENDED_REVOKE, None, &[5, 0]);
    assert_eq!(rasn::der::encode(&extensions[0]).unwrap(), said);
    assert_eq!(extensions.len(), 1);
}

#[test]
fn rfc6960_s4_4_8_extended_revoke_says_nothing_of_other_issuers() {
    let (first, second, served) = extended();
    let unknown = CertStatus::Unknown(());
    for (asked, expected) in [
        (vec![first.cert_id(Sha1, 1)], vec![CertStatus::Good]),
        (vec![first.cert_id(Sha1, 2)], vec![unknown.clone()]),
        (vec![first.cert_id(Sha1, 1), second.cert_id(Sha1, 77)], vec![CertStatus::Good, unknown]),
    ] {
        let data = served.answer(&Ask::several(&asked).to_der()).tbs_response_data;
        assert_eq!(data.response_extensions, None);
        let statuses: Vec<_> = data.responses.into_iter().map(|single| single.cert_status).collect();
        assert_eq!(statuses, expected);
    }
}

#[test]
fn rfc6960_s4_4_4_past_its_expiry_a_certificate_keeps_its_last_status() {
    let (ca, served) = Served::one();
    let expired = |number| {
        let (authority, generation) = (ca.issuer.authority, ca.issuer.generation);
        Event::Issued(Issued {
            certificate: CertificateRef { authority, generation, serial: serial(number) },
            kind: CertificateKind::CardAuth,
            partition: None,
            not_before: long_ago(),
            not_after: now().minus(Duration::from_secs(2_000)),
            archive: ArchivePlace(0),
            sha256: [0; 32],
            holder: None,
            card: None,
            twin: None,
        })
    };
    served.append(long_ago(), expired(20));
    served.append(long_ago(), expired(21));
    let date = now().minus(Duration::from_secs(5_000));
    served.revoke(&ca, 21, RevocationReason::KeyCompromise, 1, date);
    assert_eq!(served.single(&ca.ask(20)).cert_status, CertStatus::Good);
    assert_eq!(revoked(&served.single(&ca.ask(21)).cert_status), (date, Some(1)));
}

/// The content of the only extension in singleExtensions, its identifier looked at.
fn archive_cutoff(single: &rasn_ocsp::SingleResponse) -> Option<UnixTime> {
    let extensions = single.single_extensions.as_ref()?;
    assert_eq!(extensions.len(), 1);
    assert_eq!(extensions[0].extn_id.to_vec(), [1, 3, 6, 1, 5, 5, 7, 48, 1, 6]);
    assert!(!extensions[0].critical);
    Some(time(&rasn::der::decode(&extensions[0].extn_value).unwrap()))
}

fn archiving(retention: Duration) -> (Ca, Served) {
    Served::one_with(Options { archive_retention: Some(retention), ..Options::default() })
}

#[test]
fn rfc6960_s4_4_4_archive_cutoff_says_how_far_back_an_answer_reaches() {
    let retention = Duration::from_secs(100);
    let (ca, served) = archiving(retention);
    served.revoke(&ca, 2, RevocationReason::KeyCompromise, 1, long_ago());
    for number in [1, 2] {
        let answer = served.answer(&ca.ask(number));
        let [_, produced_at, _] = times(&answer);
        let cutoff = archive_cutoff(&answer.tbs_response_data.responses[0]);
        assert_eq!(cutoff, Some(produced_at.minus(retention)));
    }
    let (ca, served) = Served::one();
    assert_eq!(archive_cutoff(&served.single(&ca.ask(1))), None, "not told unless configured");
}

#[test]
fn rfc6960_s4_4_4_archive_cutoff_reaches_no_earlier_than_the_issuer_and_not_to_what_was_never_issued() {
    let (ca, served) = archiving(hours(24 * 36_500));
    assert_eq!(archive_cutoff(&served.single(&ca.ask(1))), Some(ca.issuer.not_before));
    assert_eq!(archive_cutoff(&served.single(&ca.ask(77))), None);
}

#[test]
fn rfc6960_s3_2_answers_verify_under_the_certificate_in_them() {
    let ca = Ca::p256(1, 1);
    let p256 = ca.identity_until(later(86_400));
    let rsa = SigningIdentity {
        signers: vec![ca.signer(&crate::world::rsa_key(), later(86_400))],
        issuer: p256.issuer.clone(),
    };
    let algorithms: [&dyn ring::signature::VerificationAlgorithm; 2] =
        [&ECDSA_P256_SHA256_ASN1, &RSA_PKCS1_2048_8192_SHA256];
    for (identity, algorithm) in [p256, rsa].into_iter().zip(algorithms) {
        let world = World::new(&[identity], Options::default());
        world.issue(&ca, serial(1), long_ago());
        let served = Served::new(world);
        let several = Ask::several(&[ca.cert_id(Sha1, 1), ca.cert_id(Sha1, 2)]).to_der();
        let with_nonce = Ask::one(ca.cert_id(Sha1, 1)).with(nonce(&[1])).to_der();
        // Twice: just signed, and from what is kept.
        for request in [ca.ask(1), ca.ask(2), several.clone(), with_nonce, ca.ask(1), several] {
            let answer = served.answer(&request);
            let certificate = rasn::der::encode(&answer.certs.unwrap()[0]).unwrap();
            let (_, certificate) = x509_parser::parse_x509_certificate(&certificate).unwrap();
            let (_, issuer) = x509_parser::parse_x509_certificate(&ca.issuer.certificate).unwrap();
            certificate.verify_signature(Some(issuer.public_key())).unwrap();
            let signed = rasn::der::encode(&answer.tbs_response_data).unwrap();
            let key = &certificate.public_key().subject_public_key.data;
            UnparsedPublicKey::new(algorithm, key).verify(&signed, answer.signature.as_raw_slice()).unwrap();
        }
    }
}

#[test]
fn rfc9919_s5_kept_answers_are_good_for_their_status_only() {
    let (ca, served) = Served::one();
    let first = served.post(&ca.ask(1)).body;
    assert_eq!(served.post(&ca.ask(1)).body, first, "the same octets while nothing changes");
    served.revoke(&ca, 1, RevocationReason::KeyCompromise, 1, now());
    let (_, reason) = revoked(&served.single(&ca.ask(1)).cert_status);
    assert_eq!(reason, Some(1));
}
