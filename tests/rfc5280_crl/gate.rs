//! What the gate refuses. Every broken CRL here is properly signed, unless its signature is
//! what is broken: only the clause in question stands between it and the world.

use sekisho::crl::{CrlNumber, Expected, GateError, Previous, Scope, Selection, SetPlan, Size, Untold, gate};
use sekisho::der::{DerError, Reader, UnixTime, Writer, tag};
use sekisho::pki::{CertStatus, CertificateKind, RevocationReason, SignatureAlgorithm};
use sekisho::record::{Epoch, Position, Record};

use crate::world::*;

/// A CRL taken apart, to be changed and signed again.
#[derive(Clone)]
struct Parts {
    version: u8,
    signature: Vec<u8>,
    issuer: Vec<u8>,
    this_update: Vec<u8>,
    next_update: Vec<u8>,
    /// Whole entries; absent when revokedCertificates is.
    entries: Option<Vec<Vec<u8>>>,
    /// Whole extensions.
    extensions: Vec<Vec<u8>>,
    signature_algorithm: Vec<u8>,
}

fn elements(content: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = Reader::new(content);
    let mut elements = Vec::new();
    while !reader.is_empty() {
        elements.push(reader.element().unwrap().whole.to_vec());
    }
    elements
}

impl Parts {
    fn of(bytes: &[u8]) -> Self {
        let outer = elements(Reader::new(bytes).read(tag::SEQUENCE).unwrap());
        let tbs = elements(Reader::new(&outer[0]).read(tag::SEQUENCE).unwrap());
        let list = (tbs.len() == 7).then(|| elements(Reader::new(&tbs[5]).read(tag::SEQUENCE).unwrap()));
        let extensions = Reader::new(&tbs[tbs.len() - 1])
            .nested(0xa0, |r| Ok::<_, DerError>(elements(r.read(tag::SEQUENCE)?)))
            .unwrap();
        Self {
            version: tbs[0][2],
            signature: tbs[1].clone(),
            issuer: tbs[2].clone(),
            this_update: tbs[3].clone(),
            next_update: tbs[4].clone(),
            entries: list,
            extensions,
            signature_algorithm: outer[1].clone(),
        }
    }

    fn sign(&self, ca: &Ca) -> Vec<u8> {
        let tbs = Writer::to_der(|w| {
            w.sequence(|w| {
                w.integer(self.version.into());
                for part in [&self.signature, &self.issuer, &self.this_update, &self.next_update] {
                    w.raw(part);
                }
                if let Some(entries) = &self.entries {
                    w.sequence(|w| entries.iter().for_each(|entry| w.raw(entry)));
                }
                w.nested(0xa0, |w| w.sequence(|w| self.extensions.iter().for_each(|e| w.raw(e))));
            });
        });
        Writer::to_der(|w| {
            w.sequence(|w| {
                w.raw(&tbs);
                w.raw(&self.signature_algorithm);
                w.bit_string(&ca.key.sign(&tbs).unwrap());
            });
        })
    }
}

/// What the gate says of the good CRL of `scope` after `change`.
fn refusal(scope: Scope<'_>, change: impl FnOnce(&mut Parts)) -> GateError {
    let (plan, records) = (plan(), records());
    let mut parts = Parts::of(&crl(ca(1), scope, &plan, &records));
    change(&mut parts);
    gated(ca(1), scope, &plan, &records, &parts.sign(ca(1))).unwrap_err()
}

fn entry(number: u64, date: UnixTime, extensions: &[u8]) -> Vec<u8> {
    Writer::to_der(|w| {
        w.sequence(|w| {
            serial(number).write(w);
            w.time(date);
            w.raw(extensions);
        });
    })
}

fn date() -> UnixTime {
    revocation(RevocationReason::Unspecified).revoked_at
}

#[test]
fn taken_apart_and_signed_again_a_good_crl_passes() {
    let (plan, records) = (plan(), records());
    for scope in [Scope::FULL, kiyose(), Scope::Authority] {
        let good = crl(ca(1), scope, &plan, &records);
        assert_eq!(Parts::of(&good).sign(ca(1)), good);
        let facts = gated(ca(1), scope, &plan, &records, &good).unwrap();
        assert_eq!((facts.number(), facts.bytes()), (plan.number, good.len() as u64));
        assert_eq!((facts.this_update(), facts.next_update()), (plan.this_update, plan.next_update));
    }
}

#[test]
fn rfc5280_s5_1_1_3_no_octet_may_change_after_signing() {
    let (plan, records) = (plan(), records());
    let good = crl(ca(3), kiyose(), &plan, &records);
    for at in 0..good.len() {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        assert!(gated(ca(3), kiyose(), &plan, &records, &flipped).is_err(), "octet {at}");
    }
    let good = crl(ca(1), kiyose(), &plan, &records);
    for at in [good.len() - 256, good.len() - 100, good.len() - 1] {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        assert_eq!(gated(ca(1), kiyose(), &plan, &records, &flipped), Err(GateError::Signature));
    }
    let cut = gated(ca(1), kiyose(), &plan, &records, &good[..good.len() - 1]);
    assert_eq!(cut, Err(GateError::Der(DerError::Truncated)));
    let longer = gated(ca(1), kiyose(), &plan, &records, &[&good[..], &[0]].concat());
    assert_eq!(longer, Err(GateError::Der(DerError::Trailing)));
}

#[test]
fn rfc5280_s5_1_1_3_another_key_of_the_same_dn_is_another_signer() {
    let (plan, records) = (plan(), records());
    let good = crl(ca(1), kiyose(), &plan, &records);
    assert_eq!(gated(ca(2), kiyose(), &plan, &records, &good), Err(GateError::Signature));
    assert_eq!(gated(ca(3), kiyose(), &plan, &records, &good), Err(GateError::Algorithm));
    let resigned = Parts::of(&good).sign(ca(2));
    assert_eq!(gated(ca(2), kiyose(), &plan, &records, &resigned), Err(GateError::AuthorityKeyIdentifier));
}

#[test]
fn rfc5280_s5_1_2_1_version_1_is_refused() {
    assert_eq!(refusal(kiyose(), |parts| parts.version = 0), GateError::Version);
}

#[test]
fn rfc5280_s5_1_2_2_the_algorithm_is_the_keys_inside_and_outside() {
    let ecdsa = Writer::to_der(|w| SignatureAlgorithm::EcdsaP256Sha256.write(w));
    let without_null = [0x30, 11, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 11];
    assert_eq!(refusal(kiyose(), |p| p.signature.clone_from(&ecdsa)), GateError::Algorithm);
    assert_eq!(refusal(kiyose(), |p| p.signature_algorithm.clone_from(&ecdsa)), GateError::Algorithm);
    assert_eq!(refusal(kiyose(), |p| p.signature = without_null.to_vec()), GateError::Algorithm);
}

#[test]
fn rfc5280_s5_1_2_3_the_issuer_is_the_cas_subject_octet_for_octet() {
    let Scope::Partition { distribution_point, .. } = kiyose() else { unreachable!() };
    assert_eq!(refusal(kiyose(), |p| p.issuer = distribution_point.der().to_vec()), GateError::Issuer);
    // The same name to a person, in another string type.
    let printable = |p: &mut Parts| {
        p.issuer.iter_mut().for_each(|octet| {
            if *octet == tag::UTF8_STRING {
                *octet = tag::PRINTABLE_STRING
            }
        })
    };
    assert_eq!(refusal(kiyose(), printable), GateError::Issuer);
}

#[test]
fn rfc5280_s5_1_2_4_the_times_are_the_planned_ones() {
    let later = Writer::to_der(|w| w.time(time("2026-11-22T15:00:01Z")));
    let times = |change: fn(&mut Parts, Vec<u8>)| {
        let later = later.clone();
        matches!(refusal(kiyose(), |parts| change(parts, later)), GateError::Times { .. })
    };
    assert!(times(|parts, later| parts.this_update = later));
    assert!(times(|parts, later| parts.next_update = later));
    let generalized = Writer::to_der(|w| w.generalized_time(plan().this_update));
    assert_eq!(refusal(kiyose(), |p| p.this_update = generalized), GateError::Der(DerError::Content));

    let plan = SetPlan { next_update: plan().this_update, ..plan() };
    let bytes = crl(ca(3), kiyose(), &plan, &records());
    assert!(matches!(gated(ca(3), kiyose(), &plan, &records(), &bytes), Err(GateError::Times { .. })));
}

#[test]
fn an_expired_key_signs_no_crl() {
    for this_update in ["2019-12-31T23:59:59Z", "2060-01-01T00:00:01Z"].map(time) {
        let plan = SetPlan { this_update, next_update: time("2061-01-01T00:00:00Z"), ..plan() };
        let bytes = crl(ca(3), kiyose(), &plan, &[]);
        assert_eq!(gated(ca(3), kiyose(), &plan, &[], &bytes), Err(GateError::IssuerValidity(this_update)));
    }
}

#[test]
fn rfc5280_s5_1_2_6_an_empty_list_must_be_absent() {
    assert_eq!(refusal(kiyose(), |parts| parts.entries = Some(Vec::new())), GateError::EmptyList);
}

#[test]
fn rfc5280_s5_1_2_6_a_serial_stands_once() {
    for again in [0, 2] {
        let twice = refusal(kiyose(), |parts| {
            let entries = parts.entries.as_mut().unwrap();
            entries.push(entries[again].clone());
        });
        assert_eq!(twice, GateError::Duplicate(serial([10, 13, 0x1234_5678][again])));
    }
}

#[test]
fn rfc5280_s5_1_2_6_no_entry_is_missing_or_extra() {
    for (scope, serials) in [(kiyose(), vec![10, 13, 0x1234_5678]), (Scope::Authority, vec![1])] {
        for (place, number) in serials.into_iter().enumerate() {
            let dropped = refusal(scope, |parts| {
                let entries = parts.entries.as_mut().unwrap();
                entries.remove(place);
                if entries.is_empty() {
                    parts.entries = None;
                }
            });
            assert_eq!(dropped, GateError::Missing(serial(number)));
        }
        for number in [9, 12, 0x7fff_ffff] {
            let added = refusal(scope, |parts| {
                parts.entries.as_mut().unwrap().push(entry(number, date(), &[]));
            });
            assert_eq!(added, GateError::Extra(serial(number)));
        }
    }
}

#[test]
fn rfc5280_s5_3_an_entry_says_what_was_recorded() {
    let reason = |code| [0x30, 12, 0x30, 10, 6, 3, 0x55, 0x1d, 0x15, 4, 3, 10, 1, code];
    let with = |date, extensions: &[u8]| {
        refusal(kiyose(), |parts| parts.entries.as_mut().unwrap()[0] = entry(10, date, extensions))
    };
    let earlier = UnixTime::from_seconds(date().seconds() - 1);
    assert_eq!(with(earlier, &reason(3)), GateError::Differs(serial(10)));
    assert_eq!(with(date(), &reason(4)), GateError::Differs(serial(10)));
    assert_eq!(with(date(), &[]), GateError::Differs(serial(10)));
    let no_invalidity = refusal(kiyose(), |parts| {
        parts.entries.as_mut().unwrap()[1] = entry(13, date(), &reason(1));
    });
    assert_eq!(no_invalidity, GateError::Differs(serial(13)));
}

#[test]
fn rfc5280_s5_3_1_reasons_0_7_and_8_are_never_written() {
    for code in [0, 7, 8, 11] {
        let extension = [0x30, 12, 0x30, 10, 6, 3, 0x55, 0x1d, 0x15, 4, 3, 10, 1, code];
        let written = refusal(Scope::FULL, |parts| {
            let entries = parts.entries.as_mut().unwrap();
            let place = entries.iter().position(|e| *e == entry(11, date(), &[])).unwrap();
            entries[place] = entry(11, date(), &extension);
        });
        assert_eq!(written, GateError::Reason(serial(11)), "{code}");
    }
}

#[test]
fn rfc5280_s5_3_entry_extensions_are_known_single_not_critical_and_not_empty() {
    let reason = [0x30, 10, 6, 3, 0x55, 0x1d, 0x15, 4, 3, 10, 1, 3];
    let critical = [0x30, 13, 6, 3, 0x55, 0x1d, 0x15, 1, 1, 0xff, 4, 3, 10, 1, 3];
    let issuer = [0x30, 10, 6, 3, 0x55, 0x1d, 0x1d, 4, 3, 10, 1, 3];
    for extensions in [vec![], critical.to_vec(), issuer.to_vec(), [reason, reason].concat()] {
        let sequence = Writer::to_der(|w| w.value(tag::SEQUENCE, &extensions));
        let refused = refusal(kiyose(), |parts| {
            parts.entries.as_mut().unwrap()[0] = entry(10, date(), &sequence);
        });
        assert_eq!(refused, GateError::EntryExtension(serial(10)), "{extensions:x?}");
    }
    // critical FALSE written out, invalidityDate as UTCTime, an integer padded.
    let default = [&[0x30, 15, 0x30, 13, 6, 3, 0x55, 0x1d, 0x15, 1, 1, 0][..], &[4, 3, 10, 1, 3]].concat();
    let utc = [&[0x30, 24, 0x30, 22, 6, 3, 0x55, 0x1d, 0x18, 4, 15, 0x17, 13][..], b"261120000000Z"].concat();
    for extensions in [default, utc] {
        let refused = refusal(kiyose(), |parts| {
            parts.entries.as_mut().unwrap()[0] = entry(10, date(), &extensions);
        });
        assert!(matches!(refused, GateError::Der(_)), "{refused:?}");
    }
}

#[test]
fn no_entry_is_later_than_this_update() {
    let mut late = revocation(RevocationReason::Superseded);
    for (at, expected) in [
        ("2026-11-22T15:00:00Z", None),
        ("2026-11-22T15:00:01Z", Some(GateError::DateAfterThisUpdate(serial(90)))),
    ] {
        late.revoked_at = time(at);
        let mut records = [changed(resident(90, KIYOSE), 900, CertStatus::Revoked(late))];
        records[0].changes[0].recorded_at = plan().this_update;
        let bytes = crl(ca(3), kiyose(), &plan(), &records);
        assert_eq!(gated(ca(3), kiyose(), &plan(), &records, &bytes).err(), expected);
    }
}

#[test]
fn rfc5280_s5_2_1_the_key_identifier_may_not_be_missing_or_another() {
    let missing = refusal(kiyose(), |parts| drop(parts.extensions.remove(0)));
    assert_eq!(missing, GateError::AuthorityKeyIdentifier);
    let other = Parts::of(&crl(ca(2), kiyose(), &plan(), &[])).extensions[0].clone();
    assert_eq!(refusal(kiyose(), |p| p.extensions[0] = other), GateError::AuthorityKeyIdentifier);
    let twice = refusal(kiyose(), |parts| parts.extensions.push(parts.extensions[0].clone()));
    assert_eq!(twice, GateError::AuthorityKeyIdentifier);
}

#[test]
fn rfc5280_s5_2_3_the_number_is_the_planned_one_and_rises() {
    let number = |position| CrlNumber::new(Epoch::FIRST, Position(position));
    assert_eq!(refusal(kiyose(), |p| drop(p.extensions.remove(1))), GateError::Number(number(1000)));
    let other = SetPlan { number: number(999), ..plan() };
    let other = Parts::of(&crl(ca(1), kiyose(), &other, &[])).extensions[1].clone();
    assert_eq!(refusal(kiyose(), |p| p.extensions[1] = other), GateError::Number(number(1000)));

    let (plan, records) = (plan(), records());
    let good = crl(ca(1), kiyose(), &plan, &records);
    let after = |previous| {
        let previous = Previous::After { number: previous, this_update: None, size: Size::Entries(3) };
        after_previous(&good, &plan, previous, &records)
    };
    assert_eq!(after(number(999)), None);
    for reused in [number(1000), number(1001), CrlNumber::new(Epoch(2), Position(1))] {
        let not_rising = GateError::NumberNotRising { number: number(1000), previous: reused };
        assert_eq!(after(reused), Some(not_rising));
    }
}

#[test]
fn rfc5280_s5_1_2_4_time_goes_back_only_when_the_clock_was_released() {
    let (plan, records) = (plan(), records());
    let good = crl(ca(1), kiyose(), &plan, &records);
    let after = |this_update| {
        let number = CrlNumber::new(Epoch::FIRST, Position(999));
        let previous = Previous::After { number, this_update, size: Size::Entries(3) };
        after_previous(&good, &plan, previous, &records)
    };
    let later = plan.this_update.plus(std::time::Duration::from_secs(1));
    assert_eq!(after(Some(plan.this_update)), None);
    assert_eq!(
        after(Some(later)),
        Some(GateError::Earlier { this_update: plan.this_update, previous: later })
    );
    assert_eq!(after(None), None);
}

/// After a release of the clock a date on record may be later than thisUpdate, and the last
/// scheduled set from a time that has not come: nobody leaves on its word.
#[test]
fn rfc5280_s5_1_2_6_no_date_is_later_than_this_update_also_after_a_release_of_the_clock() {
    let mut future = records();
    for record in &mut future {
        for change in &mut record.changes {
            change.recorded_at = plan().this_update.plus(std::time::Duration::from_secs(86_400));
            if let CertStatus::Revoked(revocation) = &mut change.status {
                revocation.revoked_at = plan().this_update.plus(std::time::Duration::from_secs(86_400));
                revocation.invalidity_date = Some(revocation.revoked_at);
            }
        }
    }
    let late = plan().this_update.plus(std::time::Duration::from_secs(40 * 366 * 86_400));
    let plan = SetPlan { last_scheduled: Some(late), ..plan() };
    let bytes = crl(ca(1), kiyose(), &plan, &future);
    let in_scope = future.iter().filter(|record| record.issued.partition == Some(KIYOSE));
    let listed: Vec<_> = in_scope.filter_map(|record| plan.lists(record)).collect();
    assert_eq!(listed.len(), 3);
    assert!(listed.iter().all(|revocation| revocation.revoked_at == plan.this_update));
    assert!(listed.iter().all(|revocation| revocation.invalidity_date == Some(plan.this_update)));
    assert_eq!(gated(ca(1), kiyose(), &plan, &future, &bytes).err(), None);
}

#[test]
fn rfc5280_s5_2_5_the_distribution_point_is_the_scopes_own() {
    let wrong = GateError::IssuingDistributionPoint;
    let foreign = distribution_point("Esashi-cho");
    let foreign = Scope::Partition { partition: ESASHI, distribution_point: &foreign };
    let of = |scope| Parts::of(&crl(ca(1), scope, &plan(), &[])).extensions[2].clone();
    for other in [foreign, Scope::Authority] {
        assert_eq!(refusal(kiyose(), |parts| parts.extensions[2] = of(other)), wrong);
    }
    assert_eq!(refusal(Scope::Authority, |parts| parts.extensions[2] = of(kiyose())), wrong);
    assert_eq!(refusal(kiyose(), |parts| drop(parts.extensions.remove(2))), wrong);
    assert_eq!(refusal(Scope::FULL, |parts| parts.extensions.push(of(kiyose()))), wrong);
    let not_critical = refusal(kiyose(), |parts| {
        let value = Reader::new(&parts.extensions[2]).sequence(|r| {
            r.oid()?;
            r.boolean()?;
            r.octet_string()
        });
        parts.extensions[2] = Writer::to_der(|w| {
            w.sequence(|w| {
                w.oid(&sekisho::pki::oid::ISSUING_DISTRIBUTION_POINT);
                w.octet_string(value.unwrap());
            });
        });
    });
    assert_eq!(not_critical, wrong);
}

#[test]
fn rfc5280_s5_2_extensions_nobody_planned_are_refused() {
    for (oid, refusal_of) in [
        (sekisho::pki::oid::FRESHEST_CRL, GateError::FreshestCrl),
        (sekisho::pki::oid::DELTA_CRL_INDICATOR, GateError::DeltaCrlIndicator),
        (sekisho::pki::oid::KEY_USAGE, GateError::Extension),
    ] {
        let refused = refusal(Scope::FULL, |parts| {
            parts.extensions.push(Writer::to_der(|w| {
                w.sequence(|w| {
                    w.oid(&oid);
                    w.octet_string(&[2, 1, 1]);
                });
            }));
        });
        assert_eq!(refused, refusal_of);
    }
}

#[test]
fn a_crl_shrinks_only_by_what_rightly_left() {
    let yesterday = SetPlan {
        number: CrlNumber::new(Epoch::FIRST, Position(905)),
        position: Position(905),
        last_scheduled: Some(time("2026-11-20T15:00:00Z")),
        ..plan()
    };
    let mut all = records();
    // Expired, and shown past its expiry by the last scheduled set: leaves today.
    let mut expired = revoked(resident(14, KIYOSE), RevocationReason::Superseded);
    expired.issued.not_after = time("2026-11-21T14:59:59Z");
    let CertStatus::Revoked(mut before) = expired.status() else { unreachable!() };
    before.revoked_at = time("2026-11-21T10:00:00Z");
    expired.changes[0].status = CertStatus::Revoked(before);
    all.insert(7, expired);
    // Released from hold since yesterday.
    let held =
        revoked(issued(15, CertificateKind::PhoneAuth, Some(KIYOSE)), RevocationReason::CertificateHold);
    all.insert(8, changed(held, 950, CertStatus::Good));

    let count = |plan| entries(Selection::complete(plan), &all).of(kiyose()).count();
    let then = count(yesterday);
    let this_update = Some(yesterday.this_update);
    let plan = plan();
    let previous = Previous::After { number: yesterday.number, this_update, size: Size::Entries(then) };
    assert_eq!((then, count(plan)), (5, 3));
    let verdict = |previous, records: &[Record]| {
        let bytes = crl(ca(1), kiyose(), &plan, records);
        let audited = audited(kiyose(), Selection::complete(plan), Some(yesterday), records, &bytes).unwrap();
        let expected = Expected { plan: &plan, scope: kiyose(), previous };
        gate(&bytes, &ca(1).issuer, &expected, &audited).err()
    };
    assert_eq!(verdict(previous.whatever_the_size(), &all[..7]), None, "let go by an operator");
    let verdict = |records: &[Record]| verdict(previous, records);
    assert_eq!(verdict(&all), None);
    // Records that are lost are missing from CRL and comparison alike; only the size shows it.
    for lost in [3, 6, 7, 8] {
        let mut fewer = all.clone();
        fewer.remove(lost);
        assert!(matches!(verdict(&fewer), Some(GateError::Shrunk { previous: 5, .. })), "{lost}");
    }
}

#[test]
fn a_size_that_cannot_be_told_is_not_taken_for_none() {
    let (plan, records) = (plan(), records());
    let good = crl(ca(1), kiyose(), &plan, &records);
    let number = CrlNumber::new(Epoch::FIRST, Position(999));
    let later = plan.this_update.plus(std::time::Duration::from_secs(1));
    for why in [Untold::Missing, Untold::Altered, Untold::Unreadable, Untold::NoRow, Untold::Unrecorded] {
        let after = |number, this_update| {
            let previous = Previous::After { number, this_update, size: Size::Unknown(why) };
            (after_previous(&good, &plan, previous, &records), previous)
        };
        let (found, previous) = after(number, Some(plan.this_update));
        assert_eq!(found, Some(GateError::PreviousUnknown(why)));
        assert!(found.unwrap().is_releasable(), "an operator may have to let it go");
        assert_eq!(after_previous(&good, &plan, previous.whatever_the_size(), &records), None);
        // What the journal knows is checked all the same, and no operator lets that go.
        let (reused, previous) = after(plan.number, None);
        assert!(matches!(reused, Some(GateError::NumberNotRising { .. })), "{reused:?}");
        let let_go = after_previous(&good, &plan, previous.whatever_the_size(), &records);
        assert_eq!((let_go, reused.unwrap().is_releasable()), (reused, false));
        let (earlier, _) = after(number, Some(later));
        assert!(matches!(earlier, Some(GateError::Earlier { .. })), "{earlier:?}");
    }
    assert_eq!(after_previous(&good, &plan, Previous::First, &records), None);
}

#[test]
fn records_out_of_order_or_twice_never_pass() {
    let (plan, records) = (plan(), records());
    let good = crl(ca(1), kiyose(), &plan, &records);
    let verdict = |records: &[Record]| gated(ca(1), kiyose(), &plan, records, &good).is_ok();
    assert!(verdict(&records));
    let listed = |record: &Record| record.issued.partition == Some(KIYOSE) && plan.lists(record).is_some();
    let rows: Vec<Record> = records.iter().filter(|record| listed(record)).cloned().collect();
    assert_eq!(rows.len(), 3);
    for place in [0, 1] {
        let (mut swapped, mut twice) = (rows.clone(), rows.clone());
        swapped.swap(place, place + 1);
        twice.insert(place, rows[place].clone());
        assert!(!verdict(&swapped) && !verdict(&twice));
    }
}

/// What the gate says of the CRL of Kiyose after that one.
fn after_previous(bytes: &[u8], plan: &SetPlan, previous: Previous, records: &[Record]) -> Option<GateError> {
    let audited = audited(kiyose(), Selection::complete(*plan), None, records, bytes).unwrap();
    gate(bytes, &ca(1).issuer, &Expected { plan, scope: kiyose(), previous }, &audited).err()
}

#[test]
fn a_partition_lists_octet_for_octet_what_was_found_right_in_the_full_crl() {
    let (plan, records) = (plan(), records());
    let full = crl(ca(1), Scope::FULL, &plan, &records);
    let audited = audited(Scope::FULL, Selection::complete(plan), None, &records, &full).unwrap();
    let verdict = |ca: &Ca, scope, bytes: &[u8]| {
        gate(bytes, &ca.issuer, &Expected { plan: &plan, scope, previous: Previous::First }, &audited)
            .map(|facts| facts.entries())
    };
    for (generation, scope, count) in
        [(1, kiyose(), 3), (2, kiyose(), 3), (2, Scope::FULL, 6), (3, Scope::Authority, 1)]
    {
        let bytes = crl(ca(generation), scope, &plan, &records);
        assert_eq!(verdict(ca(generation), scope, &bytes), Ok(count));
    }
    let fewer = crl(ca(1), kiyose(), &plan, &records[..7]);
    assert_eq!(verdict(ca(1), kiyose(), &fewer), Err(GateError::Altered));
    let mut parts = Parts::of(&crl(ca(1), kiyose(), &plan, &records));
    parts.entries.as_mut().unwrap().swap(0, 1);
    assert_eq!(verdict(ca(1), kiyose(), &parts.sign(ca(1))), Err(GateError::Altered));
}
