//! Delta CRLs (RFC 5280 §5.2.4): a base and its delta are together what the complete CRL of the
//! delta's moment is.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sekisho::crl::{CrlNumber, Expected, GateError, Previous, Scope, Selection, SetPlan, gate};
use sekisho::der::UnixTime;
use sekisho::pki::{CertStatus, CertificateKind, Revocation, RevocationReason};
use sekisho::record::{Epoch, Position, Record};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::world::*;

/// The set of the day before, up to position 800.
fn base() -> SetPlan {
    SetPlan {
        number: CrlNumber::new(Epoch::FIRST, Position(800)),
        position: Position(800),
        this_update: time("2026-11-21T15:00:00Z"),
        next_update: time("2026-11-23T15:00:00Z"),
        scheduled: true,
        last_scheduled: Some(time("2026-11-20T15:00:00Z")),
    }
}

/// A delta cut by itself, two hours before the next day's set.
fn alone() -> SetPlan {
    let cut = SetPlan {
        number: CrlNumber::new(Epoch::FIRST, Position(990)),
        position: Position(990),
        this_update: time("2026-11-22T13:00:00Z"),
        scheduled: false,
        ..plan()
    };
    cut.of_delta(&base(), true, std::time::Duration::from_secs(3 * 3600))
}

fn scope() -> Scope<'static> {
    Scope::Delta { base: base().number }
}

/// What a verifier takes a CRL to say: date, reason (0: none), invalidity date.
type Told = BTreeMap<u64, (i64, u8, Option<i64>)>;

fn told(bytes: &[u8]) -> Told {
    let (rest, list) = CertificateRevocationList::from_der(bytes).unwrap();
    assert!(rest.is_empty());
    let entries = list.iter_revoked_certificates().map(|entry| {
        let number = entry.raw_serial().iter().fold(0, |number, octet| number << 8 | u64::from(*octet));
        let reason = entry.reason_code().map_or(0, |(_, reason)| reason.0);
        let invalidity = entry.invalidity_date().map(|(_, date)| date.timestamp());
        (number, (entry.revocation_date.timestamp(), reason, invalidity))
    });
    let mut told = Told::new();
    for (number, entry) in entries {
        assert!(told.insert(number, entry).is_none(), "{number} twice");
    }
    told
}

/// As RFC 5280 §6.3.3 has a verifier combine them.
fn combined(base: &Told, delta: &Told) -> Told {
    let mut combined = base.clone();
    for (number, entry) in delta {
        match entry.1 {
            8 => drop(combined.remove(number)),
            _ => drop(combined.insert(*number, *entry)),
        }
    }
    combined
}

fn at(mut record: Record, position: u64, at: &str, reason: Option<RevocationReason>) -> Record {
    let status = reason.map_or(CertStatus::Good, |reason| {
        CertStatus::Revoked(Revocation { revoked_at: time(at), reason, invalidity_date: None })
    });
    record = changed(record, position, status);
    record.changes.last_mut().unwrap().recorded_at = time(at);
    record
}

const BEFORE: &str = "2026-11-20T10:00:00Z";
const SINCE: &str = "2026-11-22T10:00:00Z";

fn phone(number: u64) -> Record {
    issued(number, CertificateKind::PhoneAuth, Some(KIYOSE))
}

fn lives() -> Vec<Record> {
    use RevocationReason::{AffiliationChanged, CertificateHold, KeyCompromise, Superseded};
    let hold = Some(CertificateHold);
    let mut expired = at(resident(40, ESASHI), 700, BEFORE, Some(Superseded));
    expired.issued.not_after = time("2026-11-21T10:00:00Z");
    vec![
        resident(10, KIYOSE),
        at(resident(11, KIYOSE), 700, BEFORE, Some(AffiliationChanged)),
        at(resident(12, ESASHI), 900, SINCE, Some(Superseded)),
        at(at(resident(13, KIYOSE), 700, BEFORE, hold), 900, BEFORE, Some(KeyCompromise)),
        at(at(phone(14), 700, BEFORE, hold), 900, SINCE, None),
        at(at(phone(15), 850, SINCE, hold), 900, SINCE, None),
        at(at(phone(16), 700, BEFORE, hold), 750, BEFORE, None),
        at(phone(17), 900, SINCE, hold),
        expired,
    ]
}

#[test]
fn rfc5280_s5_2_4_a_delta_lists_what_changed_since_its_base() {
    let selection = Selection::delta(alone(), base());
    let bytes = selected(ca(1), scope(), selection, &lives());
    let delta = told(&bytes);
    let reasons: Vec<(u64, u8)> = delta.iter().map(|(number, entry)| (*number, entry.1)).collect();
    assert_eq!(
        reasons,
        [(12, 4), (13, 1), (14, 8), (15, 8), (17, 6)],
        "also what was held and released since: who has a delta from between holds it"
    );
    assert_eq!(delta[&14].0, time(SINCE).seconds(), "released then");
    let audited = audited(scope(), selection, None, &lives(), &bytes).unwrap();
    let expected = Expected { plan: &alone(), scope: scope(), previous: Previous::First };
    assert_eq!(gate(&bytes, &ca(1).issuer, &expected, &audited).unwrap().entries(), 5);
    let full = told(&crl(
        ca(1),
        Scope::FULL,
        &SetPlan { last_scheduled: base().last_scheduled, ..alone() },
        &lives(),
    ));
    assert_eq!(combined(&told(&crl(ca(1), Scope::FULL, &base(), &lives())), &delta), full);
}

#[test]
fn rfc5280_s5_2_4_cut_beside_a_full_crl_it_shares_number_and_content() {
    // The expired one stood in yesterday's set, past its expiry, and leaves with today's.
    let delta_plan = plan().of_delta(&base(), false, std::time::Duration::from_secs(3 * 3600));
    assert_eq!((delta_plan.number, delta_plan.this_update), (plan().number, plan().this_update));
    let delta = told(&selected(ca(1), scope(), Selection::delta(delta_plan, base()), &lives()));
    let [yesterday, today] = [base(), plan()].map(|plan| told(&crl(ca(1), Scope::FULL, &plan, &lives())));
    assert!(yesterday.contains_key(&40) && !today.contains_key(&40));
    assert_eq!(delta[&40].1, 8, "RFC 5280 §5.3.1: because it expired");
    assert_eq!(combined(&yesterday, &delta), today);
}

#[test]
fn rfc5280_s5_2_4_what_was_first_revoked_in_a_delta_stays_until_a_base_has_had_it() {
    // It expires an hour after it was revoked, hours before the next base.
    let mut record = at(resident(50, KIYOSE), 900, SINCE, Some(RevocationReason::Superseded));
    record.issued.not_after = time("2026-11-22T11:00:00Z");
    let records = [record];
    let listed = |bytes: &[u8]| told(bytes).contains_key(&50);
    assert!(listed(&selected(ca(1), scope(), Selection::delta(alone(), base()), &records)));
    assert!(listed(&crl(ca(1), Scope::FULL, &plan(), &records)), "the next base has it");
    let next = SetPlan { last_scheduled: Some(plan().this_update), ..plan() };
    assert!(!listed(&crl(ca(1), Scope::FULL, &next, &records)));
}

#[test]
fn rfc5280_s5_2_4_the_indicator_is_critical_and_names_the_base_and_the_base_its_deltas() {
    let bytes = selected(ca(1), scope(), Selection::delta(alone(), base()), &lives());
    let (_, list) = CertificateRevocationList::from_der(&bytes).unwrap();
    let extensions: Vec<_> = list.extensions().iter().map(|e| (e.oid.to_string(), e.critical)).collect();
    let wanted = [("2.5.29.35", false), ("2.5.29.20", false), ("2.5.29.27", true)];
    assert_eq!(extensions, wanted.map(|(oid, critical)| (oid.to_owned(), critical)));
    assert_eq!(list.extensions()[2].value, [&[2, 7][..], &[1, 0, 0, 0, 0, 3, 0x20]].concat());

    let url = "http://crl.example/crl/sign/1/delta.crl";
    let bytes = crl(ca(1), Scope::Full { freshest_crl: Some(url) }, &base(), &lives());
    let (_, list) = CertificateRevocationList::from_der(&bytes).unwrap();
    let freshest = list.extensions().iter().find(|e| e.oid.to_string() == "2.5.29.46").unwrap();
    assert!(!freshest.critical);
    let len = u8::try_from(url.len()).unwrap();
    let head = [0x30, len + 8, 0x30, len + 6, 0xa0, len + 4, 0xa0, len + 2, 0x86, len];
    assert_eq!(freshest.value, [&head[..], url.as_bytes()].concat());
}

#[test]
fn the_gate_refuses_a_delta_of_another_base_and_a_base_that_hides_its_deltas() {
    let selection = Selection::delta(alone(), base());
    let verdict = |made: Scope<'_>, expected: Scope<'_>, selection: Selection| {
        let bytes = selected(ca(1), made, selection, &lives());
        let audited = audited(expected, selection, None, &lives(), &bytes).unwrap();
        let expected = Expected { plan: selection.plan(), scope: expected, previous: Previous::First };
        gate(&bytes, &ca(1).issuer, &expected, &audited).err()
    };
    assert_eq!(verdict(scope(), scope(), selection), None);
    let other = Scope::Delta { base: alone().number };
    assert_eq!(verdict(other, scope(), selection), Some(GateError::DeltaCrlIndicator));
    assert_eq!(verdict(Scope::FULL, scope(), selection), Some(GateError::DeltaCrlIndicator));
    let complete = Selection::complete(base());
    assert_eq!(verdict(scope(), Scope::FULL, complete), Some(GateError::DeltaCrlIndicator));
    let [named, elsewhere] =
        ["http://a/delta.crl", "http://b/delta.crl"].map(|url| Scope::Full { freshest_crl: Some(url) });
    assert_eq!(verdict(named, named, complete), None);
    for (made, expected) in [(Scope::FULL, named), (named, Scope::FULL), (elsewhere, named)] {
        assert_eq!(verdict(made, expected, complete), Some(GateError::FreshestCrl));
    }
}

#[test]
fn the_gate_holds_a_delta_against_the_records_both_ways() {
    let selection = Selection::delta(alone(), base());
    let all = lives();
    let good = selected(ca(1), scope(), selection, &all);
    for (place, number) in [(2, 12), (3, 13), (4, 14), (5, 15), (7, 17)] {
        let mut without = all.clone();
        without.remove(place);
        let fewer = selected(ca(1), scope(), selection, &without);
        let missing = audited(scope(), selection, None, &all, &fewer).unwrap_err();
        assert_eq!(missing, GateError::Missing(serial(number)));
        let extra = audited(scope(), selection, None, &without, &good).unwrap_err();
        assert_eq!(extra, GateError::Extra(serial(number)));
    }
    // removeFromCRL is for deltas only.
    let complete = audited(Scope::FULL, Selection::complete(alone()), None, &all, &good).unwrap_err();
    assert_eq!(complete, GateError::Reason(serial(14)));
}

/// Changes of one certificate: gap in positions, minutes since the last, and what it became.
fn any_life() -> impl Strategy<Value = (bool, i64, Vec<(u64, Option<usize>)>)> {
    let change = (1..400_u64, prop::option::of(0..3_usize));
    (any::<bool>(), -3_000..3_000_i64, prop::collection::vec(change, 0..5))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn rfc5280_s5_2_4_base_and_delta_are_always_the_complete_crl(
        lives in prop::collection::vec(any_life(), 0..30), is_alone in any::<bool>(),
    ) {
        let reasons =
            [RevocationReason::Superseded, RevocationReason::CertificateHold, RevocationReason::KeyCompromise];
        // A second is a position: all times follow from it.
        let when = |position: u64| base().this_update.seconds() + i64::try_from(position).unwrap() * 60 - 800 * 60;
        let mut records = Vec::new();
        for (number, (in_kiyose, life, changes)) in (1..).zip(lives) {
            let mut record = resident(number, if in_kiyose { KIYOSE } else { ESASHI });
            (record.position, record.recorded_at) = (Position(1), UnixTime::from_seconds(when(1)));
            record.issued.not_after = UnixTime::from_seconds(base().this_update.seconds() + life * 60);
            let mut position = 1;
            for (gap, reason) in changes {
                position += gap;
                let text = UnixTime::from_seconds(when(position)).to_string();
                record = at(record, position, &text, reason.map(|reason| reasons[reason]));
            }
            records.push(record);
        }
        let this_update = UnixTime::from_seconds(when(990));
        let plan = SetPlan {
            this_update, last_scheduled: Some(base().this_update), position: Position(990), ..plan()
        };
        let plan = plan.of_delta(&base(), is_alone, std::time::Duration::from_secs(3600));
        let selection = Selection::delta(plan, base());
        let bytes = selected(ca(3), scope(), selection, &records);
        let delta = told(&bytes);
        let full = told(&crl(ca(3), Scope::FULL, &plan, &records));
        let base_told = told(&crl(ca(3), Scope::FULL, &base(), &records));
        prop_assert_eq!(combined(&base_told, &delta), full.clone());
        // And for who has any earlier delta of this base applied already.
        let middle = SetPlan { position: Position(900), this_update: UnixTime::from_seconds(when(900)), ..plan };
        let middle = middle.of_delta(&base(), true, std::time::Duration::from_secs(3600));
        let earlier = told(&selected(ca(3), scope(), Selection::delta(middle, base()), &records));
        prop_assert_eq!(combined(&combined(&base_told, &earlier), &delta), full);
        prop_assert!(audited(scope(), selection, None, &records, &bytes).is_ok());
    }
}
