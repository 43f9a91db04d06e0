//! What stands in a CRL.

use proptest::prelude::*;
use sekisho::crl::{Catalogue, CrlKind, CrlNumber, GateError, Row, Scope, Selection, SetPlan, file_name};
use sekisho::der::{UnixTime, Writer};
use sekisho::pki::{CertStatus, CertificateKind, Revocation, RevocationReason, SerialNumber};
use sekisho::record::{Epoch, Position, Record};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::world::*;

/// Serial, date, reason code and invalidity date, as x509-parser reads them.
type Seen = (u64, i64, Option<u8>, Option<i64>);

fn seen(bytes: &[u8]) -> Vec<Seen> {
    let (rest, list) = CertificateRevocationList::from_der(bytes).unwrap();
    assert!(rest.is_empty());
    let row = |entry: &x509_parser::revocation_list::RevokedCertificate<'_>| {
        let number = entry.raw_serial().iter().fold(0, |number, octet| number << 8 | u64::from(*octet));
        let reason = entry.reason_code().map(|(_, reason)| reason.0);
        let invalidity = entry.invalidity_date().map(|(_, date)| date.timestamp());
        (number, entry.revocation_date.timestamp(), reason, invalidity)
    };
    list.iter_revoked_certificates().map(row).collect()
}

fn serials(bytes: &[u8]) -> Vec<u64> {
    seen(bytes).into_iter().map(|(serial, ..)| serial).collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn rfc5280_s5_full_lists_everything_a_partition_its_own_and_the_arl_cas() {
    let (plan, records) = (plan(), records());
    let all = entries(Selection::complete(plan), &records);
    for (scope, expected) in [
        (Scope::FULL, &[1, 3, 11, 10, 13, 0x1234_5678][..]),
        (kiyose(), &[10, 13, 0x1234_5678]),
        (Scope::Authority, &[1]),
    ] {
        let bytes = crl(ca(1), scope, &plan, &records);
        assert_eq!(serials(&bytes), expected, "{}", file_name(scope));
        assert_eq!(all.of(scope).count(), expected.len() as u64);
        assert_eq!(gated(ca(1), scope, &plan, &records, &bytes).unwrap().entries(), expected.len() as u64);
    }
    assert_eq!(all.partitions().collect::<Vec<_>>(), [ESASHI, KIYOSE]);
}

#[test]
fn rfc5280_s5_certificates_without_a_partition_stand_in_the_full_crl_only() {
    let records = [revoked(issued(20, CertificateKind::CardAuth, None), RevocationReason::Superseded)];
    assert_eq!(serials(&crl(ca(1), Scope::FULL, &plan(), &records)), [20]);
    assert!(serials(&crl(ca(1), Scope::Authority, &plan(), &records)).is_empty());
    assert!(serials(&crl(ca(1), kiyose(), &plan(), &records)).is_empty());
}

#[test]
fn rfc5280_s5_every_key_of_a_dn_lists_the_revoked_of_all() {
    let mut records = records();
    records[3].issued.certificate.generation = sekisho::pki::Generation::new(2).unwrap();
    let plan = plan();
    let lists: Vec<_> = (1..=3).map(|generation| crl(ca(generation), kiyose(), &plan, &records)).collect();
    for (generation, bytes) in (1..=3).zip(&lists) {
        assert_eq!(serials(bytes), [10, 13, 0x1234_5678]);
        assert_eq!(seen(bytes), seen(&lists[0]));
        let (_, list) = CertificateRevocationList::from_der(bytes).unwrap();
        assert_eq!(list.tbs_cert_list.issuer.as_raw(), ca(1).issuer.name.der());
        assert!(contains(bytes, &ca(generation).issuer.key_id));
        gated(ca(generation), kiyose(), &plan, &records, bytes).unwrap();
    }
    assert_ne!(ca(1).issuer.key_id, ca(2).issuer.key_id);
}

#[test]
fn rfc5280_s5_the_status_is_that_of_the_sets_position() {
    let held = revocation(RevocationReason::CertificateHold);
    let record = changed(resident(50, KIYOSE), 100, CertStatus::Revoked(held));
    let record = changed(record, 200, CertStatus::Good);
    let records = [changed(record, 300, CertStatus::Revoked(revocation(RevocationReason::KeyCompromise)))];
    for (position, listed) in [(49, None), (50, None), (99, None), (100, Some(6)), (199, Some(6))]
        .into_iter()
        .chain([(200, None), (299, None), (300, Some(1)), (1000, Some(1))])
    {
        let plan = SetPlan { position: Position(position), ..plan() };
        let reasons: Vec<_> = seen(&crl(ca(3), Scope::FULL, &plan, &records)).iter().map(|s| s.2).collect();
        assert_eq!(reasons, listed.map(Some).into_iter().collect::<Vec<_>>(), "position {position}");
    }
}

#[test]
fn rfc5280_s5_an_expired_certificate_leaves_after_one_scheduled_crl_past_its_expiry() {
    let expiry = time("2026-11-22T14:59:59Z");
    let mut record = revoked(resident(60, KIYOSE), RevocationReason::Superseded);
    record.issued.not_after = expiry;
    let listed_with = |record: &Record, last_scheduled: Option<&str>| {
        let plan = SetPlan { last_scheduled: last_scheduled.map(time), ..plan() };
        plan.lists(record).is_some()
    };
    assert!(listed_with(&record, None), "nothing was published yet");
    assert!(listed_with(&record, Some("2026-11-21T15:00:00Z")), "the last one was before the expiry");
    assert!(listed_with(&record, Some("2026-11-22T14:59:59Z")), "the last one was within the validity");
    assert!(!listed_with(&record, Some("2026-11-22T15:00:00Z")), "one stood past the expiry");

    record.issued.not_after = time("2026-11-01T00:00:00Z");
    assert!(listed_with(&record, Some("2026-11-21T15:00:00Z")), "revoked after expiry: not shown yet");
    assert!(listed_with(&record, Some("2026-11-22T10:00:00Z")), "in that very second: perhaps not shown");
    assert!(!listed_with(&record, Some("2026-11-22T10:00:01Z")));
}

#[test]
fn rfc5280_s5_1_2_6_serials_of_twenty_octets_are_listed_and_compared() {
    let mut numbers = vec![vec![0x80], vec![0x7f; 7], vec![0x7f; 8], vec![0xff; 19]];
    // Alike in length and first octets, so only the rest tells them apart.
    numbers.extend([1, 2, 3].map(|last| [&[0x7f; 19][..], &[last]].concat()));
    let mut records: Vec<Record> = (0..)
        .zip(&numbers)
        .map(|(place, magnitude)| {
            let partition = if place % 2 == 0 { KIYOSE } else { ESASHI };
            let mut record = revoked(resident(1, partition), RevocationReason::Superseded);
            record.issued.certificate.serial = SerialNumber::from_magnitude(magnitude).unwrap();
            record
        })
        .collect();
    let (plan, bytes) = (plan(), crl(ca(3), Scope::FULL, &plan(), &records));
    let (_, list) = CertificateRevocationList::from_der(&bytes).unwrap();
    assert_eq!(list.iter_revoked_certificates().count(), numbers.len());
    assert!(gated(ca(3), Scope::FULL, &plan, &records, &bytes).is_ok());
    let last = records.pop().unwrap().issued.certificate.serial;
    assert_eq!(gated(ca(3), Scope::FULL, &plan, &records, &bytes), Err(GateError::Extra(last)));
}

#[test]
fn rfc5280_s5_1_2_1_the_version_is_v2_and_extensions_are_there() {
    let bytes = crl(ca(1), Scope::FULL, &plan(), &[]);
    let (_, list) = CertificateRevocationList::from_der(&bytes).unwrap();
    assert_eq!(list.version(), Some(x509_parser::x509::X509Version(1)));
    let extensions: Vec<_> = list.extensions().iter().map(|e| (e.oid.to_string(), e.critical)).collect();
    assert_eq!(extensions, [("2.5.29.35".into(), false), ("2.5.29.20".into(), false)]);
}

#[test]
fn rfc5280_s5_1_1_2_rsa_has_null_parameters_and_ecdsa_none() {
    let rsa = [&[0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 11][..], &[5, 0]].concat();
    let ecdsa = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    for (generation, identifier) in [(1, &rsa[..]), (3, &ecdsa)] {
        let bytes = crl(ca(generation), Scope::FULL, &plan(), &records());
        let times = bytes.windows(identifier.len()).filter(|window| *window == identifier).count();
        assert_eq!(times, 2, "inside and outside");
    }
}

#[test]
fn rfc5280_s5_1_2_4_times_are_utctime_to_2049_and_generalized_from_2050() {
    let utc = |text: &str| [&[0x17, 13][..], text.as_bytes()].concat();
    let generalized = |text: &str| [&[0x18, 15][..], text.as_bytes()].concat();
    let last = time("2049-12-31T23:59:59Z");
    let plan = SetPlan { this_update: last, next_update: UnixTime::YEAR_2050, ..plan() };
    let date = |revoked_at| Revocation { revoked_at, ..revocation(RevocationReason::Superseded) };
    let mut early = date(last);
    early.invalidity_date = Some(time("2026-11-20T00:00:00Z"));
    let records = [changed(resident(70, KIYOSE), 900, CertStatus::Revoked(early))];
    let bytes = crl(ca(1), Scope::FULL, &plan, &records);
    assert!(contains(&bytes, &[utc("491231235959Z"), generalized("20500101000000Z")].concat()));
    assert!(contains(&bytes, &[&[2, 1, 70][..], &utc("491231235959Z")].concat()));
    assert!(contains(&bytes, &generalized("20261120000000Z")), "invalidityDate is always generalized");
    gated(ca(1), Scope::FULL, &plan, &records, &bytes).unwrap();

    let plan = SetPlan {
        this_update: UnixTime::YEAR_2050,
        next_update: time("2050-01-03T00:00:00Z"),
        last_scheduled: None,
        ..plan
    };
    let records = [changed(resident(70, KIYOSE), 900, CertStatus::Revoked(date(UnixTime::YEAR_2050)))];
    let bytes = crl(ca(1), Scope::FULL, &plan, &records);
    assert!(contains(&bytes, &[&[2, 1, 70][..], &generalized("20500101000000Z")].concat()));
    gated(ca(1), Scope::FULL, &plan, &records, &bytes).unwrap();
}

#[test]
fn rfc5280_s5_1_2_6_nothing_revoked_is_no_list_at_all() {
    let empty = crl(ca(1), kiyose(), &plan(), &[resident(12, KIYOSE)]);
    let next_update = Writer::to_der(|w| w.time(plan().next_update));
    assert!(contains(&empty, &[&next_update[..], &[0xa0]].concat()), "extensions follow nextUpdate");
    assert_eq!(gated(ca(1), kiyose(), &plan(), &[], &empty).unwrap().entries(), 0);
    let one = crl(ca(1), kiyose(), &plan(), &records());
    assert!(contains(&one, &[&next_update[..], &[0x30]].concat()));
}

#[test]
fn rfc5280_s5_2_1_the_key_identifier_stands_alone() {
    let bytes = crl(ca(2), Scope::FULL, &plan(), &[]);
    let value = [&[0x30, 0x16, 0x80, 0x14][..], &ca(2).key.key_id()].concat();
    assert!(contains(&bytes, &[&[6, 3, 0x55, 0x1d, 0x23, 4, 0x18][..], &value].concat()));
}

#[test]
fn rfc5280_s5_2_3_the_number_is_the_plans() {
    for (epoch, position) in [(1, 1000), (1, 0x80), (u32::MAX, (1 << 48) - 1)] {
        let number = CrlNumber::new(Epoch(epoch), Position(position));
        let bytes = crl(ca(3), kiyose(), &SetPlan { number, ..plan() }, &[]);
        let (_, list) = CertificateRevocationList::from_der(&bytes).unwrap();
        assert_eq!(list.crl_number().unwrap().to_string(), number.to_string());
    }
}

#[test]
fn rfc5280_s5_2_5_the_issuing_distribution_point_is_critical_and_byte_equal() {
    let Scope::Partition { distribution_point, .. } = kiyose() else { unreachable!() };
    for (scope, name, only) in
        [(kiyose(), distribution_point, 0x81), (Scope::Authority, &ca(1).issuer.name, 0x82)]
    {
        let bytes = crl(ca(1), scope, &plan(), &records());
        let value = Writer::to_der(|w| {
            w.sequence(|w| {
                w.nested(0xa0, |w| w.nested(0xa0, |w| w.nested(0xa4, |w| w.raw(name.der()))));
                w.raw(&[only, 1, 0xff]);
            });
        });
        let extension = Writer::to_der(|w| w.octet_string(&value));
        assert!(contains(&bytes, &[&[6, 3, 0x55, 0x1d, 0x1c, 1, 1, 0xff][..], &extension].concat()));
    }
    let full = crl(ca(1), Scope::FULL, &plan(), &records());
    assert!(!contains(&full, &[6, 3, 0x55, 0x1d, 0x1c]));
}

#[test]
fn rfc5280_s5_3_1_every_reason_is_written_but_unspecified() {
    let barred = [RevocationReason::Unspecified, RevocationReason::RemoveFromCrl];
    for reason in RevocationReason::ALL.into_iter().filter(|reason| !barred.contains(reason)) {
        let bytes = crl(ca(3), Scope::FULL, &plan(), &[revoked(resident(80, KIYOSE), reason)]);
        assert_eq!(seen(&bytes)[0].2, Some(reason.code()));
    }
    let records = [revoked(resident(80, KIYOSE), RevocationReason::Unspecified)];
    let bytes = crl(ca(3), Scope::FULL, &plan(), &records);
    assert_eq!(seen(&bytes)[0].2, None);
    let entry = [&[0x30, 18, 2, 1, 80, 0x17, 13][..], b"261122100000Z"].concat();
    assert!(contains(&bytes, &entry), "no extension leaves no empty SEQUENCE");
}

#[test]
fn a_catalogue_row_says_what_passed_and_the_plan_comes_back() {
    let (plan, records) = (plan(), records());
    let rows = [Scope::FULL, kiyose(), Scope::Authority].map(|scope| {
        let bytes = crl(ca(2), scope, &plan, &records);
        Row::new("sign", &ca(2).issuer, scope, &gated(ca(2), scope, &plan, &records, &bytes).unwrap())
    });
    let catalogue = Catalogue::new(&plan, &[0xab; 32], rows.to_vec(), Vec::new());
    let json = serde_json::to_string(&catalogue).unwrap();
    assert_eq!(serde_json::from_str::<Catalogue>(&json).unwrap(), catalogue);
    assert_eq!(catalogue.plan(), Some(plan));
    assert_eq!(catalogue.entries("sign", Scope::Authority), Some(1));
    assert_eq!(catalogue.entries("sign", kiyose()), Some(3), "whichever key signed");
    let esashi = distribution_point("Esashi-cho");
    let esashi = Scope::Partition { partition: ESASHI, distribution_point: &esashi };
    assert_eq!((catalogue.entries("sign", esashi), catalogue.entries("auth", Scope::FULL)), (None, None));

    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["set"], "281474976711656");
    let row = &json["crls"][1];
    assert_eq!(row["kind"], serde_json::to_value(CrlKind::Partition).unwrap());
    assert_eq!((&row["authority"], &row["generation"]), (&"sign".into(), &2.into()));
    assert_eq!((&row["partition"], &row["entries"]), (&"13221".into(), &3.into()));
    assert_eq!(row["number"], 281_474_976_711_656_u64);
    assert_eq!(row["url"], "/crl/sets/281474976711656/sign/2/13221.crl");
    assert_eq!(row["this_update"], "2026-11-22T15:00:00Z");
    let point = row["distribution_point"]["rfc4514"].as_str().unwrap();
    assert!(point.starts_with("CN=Kiyose-shi CRLDP,OU=Tokyo-to,"), "{point}");
    assert!(json["crls"][0]["distribution_point"].is_null());
    let crl = crl(ca(2), kiyose(), &plan, &records);
    assert_eq!(row["bytes"], crl.len());
    let hash = sekisho::pki::HashAlgorithm::Sha256.digest(&crl);
    let hash: String = hash.iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(row["sha256"], hash);
}

/// A certificate's life: partition (none: a CA), expiry, and for each change a gap in
/// positions and what it became.
fn any_record() -> impl Strategy<Value = Record> {
    let reasons: Vec<_> =
        RevocationReason::ALL.into_iter().filter(|r| *r != RevocationReason::RemoveFromCrl).collect();
    let status = prop_oneof![
        Just(CertStatus::Good),
        (prop::sample::select(reasons), any::<Option<u32>>(), 0..100_000_i64).prop_map(
            |(reason, invalid, back)| {
                CertStatus::Revoked(Revocation {
                    revoked_at: UnixTime::from_seconds(plan().this_update.seconds() - back),
                    reason,
                    invalidity_date: invalid.map(|seconds| UnixTime::from_seconds(seconds.into())),
                })
            }
        )
    ];
    (0..3_u32, -200_000..200_000_i64, prop::collection::vec((1..600_u64, status), 0..4)).prop_map(
        |(place, life, changes)| {
            let mut record = match place {
                0 => issued(1, CertificateKind::Ca, None),
                1 => resident(1, KIYOSE),
                _ => resident(1, ESASHI),
            };
            record.position = Position(10);
            record.issued.not_after = UnixTime::from_seconds(plan().this_update.seconds() + life);
            let mut position = 10;
            for (gap, status) in changes {
                position += gap;
                record = changed(record, position, status);
            }
            record
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn rfc5280_s5_a_crl_lists_exactly_the_records_revoked_at_its_position(
        lives in prop::collection::vec(any_record(), 0..40), gaps in prop::collection::vec(1..1_u64 << 20, 40),
    ) {
        let mut number = 0;
        let records: Vec<Record> = lives.into_iter().zip(gaps).map(|(mut record, gap)| {
            number += gap;
            record.issued.certificate.serial = serial(number);
            record
        }).collect();
        let plan = plan();
        for scope in [Scope::FULL, kiyose(), Scope::Authority] {
            let mut expected = Vec::new();
            for record in &records {
                let in_scope = match scope {
                    Scope::Full { .. } | Scope::Delta { .. } => true,
                    Scope::Partition { partition, .. } => record.issued.partition == Some(partition),
                    Scope::Authority => record.issued.kind == CertificateKind::Ca,
                };
                let CertStatus::Revoked(revocation) = record.status_at(plan.position) else { continue };
                let shown_past_expiry = plan.last_scheduled.into_iter().any(|last| {
                    record.issued.not_after < last && revocation.revoked_at < last
                });
                if in_scope && !shown_past_expiry {
                    let reason = Some(revocation.reason.code()).filter(|code| *code != 0);
                    let number = record.issued.certificate.serial.to_u64().unwrap();
                    let invalid = revocation.invalidity_date.map(UnixTime::seconds);
                    expected.push((number, revocation.revoked_at.seconds(), reason, invalid));
                }
            }
            let bytes = crl(ca(3), scope, &plan, &records);
            let mut found = seen(&bytes);
            found.sort_unstable();
            prop_assert_eq!(found, expected);
            prop_assert!(gated(ca(3), scope, &plan, &records, &bytes).is_ok());
        }
    }
}
