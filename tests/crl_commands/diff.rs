//! `crl diff`.

use sekisho::crl::{CrlNumber, Scope, SetPlan};
use sekisho::pki::{Attribute, Name, RevocationReason, oid};
use sekisho::record::{Epoch, Position};
use serde_json::{Value, json};

use crate::desk::{Desk, Listed, Recipe, listed};
use crate::world::*;

fn serials(all: &Value) -> Vec<&str> {
    all.as_array().unwrap().iter().map(|one| one["serial"].as_str().unwrap()).collect()
}

#[test]
fn two_sets_of_the_service_differ_by_what_was_revoked() {
    let desk = Desk::new();
    let a = desk.put("a.crl", &crl(ca(1), Scope::FULL, &plan(), &records()));
    let later = SetPlan {
        number: CrlNumber::new(Epoch::FIRST, Position(1003)),
        position: Position(1003),
        this_update: time("2026-11-23T15:00:00Z"),
        next_update: time("2026-11-25T15:00:00Z"),
        ..plan()
    };
    let mut records = records();
    records.remove(2);
    records[4] = revoked(resident(12, KIYOSE), RevocationReason::Superseded);
    let b = desk.put("b.crl", &crl(ca(2), Scope::FULL, &later, &records));
    let words = desk.crl(&["diff", &a, &b]);
    assert_eq!(words.code, Some(0), "{}", words.text());
    let first = format!("{b} is newer by 3 than {a}: 1 added, 1 left, 0 changed; 6 -> 6 entries");
    assert_eq!(words.stdout.lines().next(), Some(first.as_str()));
    for line in [
        "  number       281474976711656 (epoch 1, position 1000) -> 281474976711659 (epoch 1, position 1003)",
        "  this update  2026-11-22T15:00:00Z -> 2026-11-23T15:00:00Z (24 h later)",
        "  0xc (12)  2026-11-22T10:00:00Z  superseded",
        "left 1",
        "  0x3 (3)  2026-11-22T10:00:00Z  superseded",
    ] {
        assert!(words.stdout.lines().any(|one| one == line), "{line} is not in {}", words.stdout);
    }
    assert!(words.stdout.contains("  key          "), "signed by another key: {}", words.stdout);
    let back = desk.crl(&["diff", &b, &a]).stdout;
    assert!(back.contains("is older by 3 than") && back.contains("24 h earlier"), "{back}");
    let same = desk.crl(&["diff", &a, &a]);
    assert_eq!(same.code, Some(0));
    assert!(
        same.stdout.contains("has the same number as") && same.stdout.contains("0 added, 0 left, 0 changed")
    );
}

#[test]
fn changes_are_told_field_by_field_and_json_gives_everything() {
    let desk = Desk::new();
    let many: Vec<Listed> = (1..=30).map(|serial| listed(serial, 1)).collect();
    let (on, at) = (time("2026-11-21T00:00:00Z"), time("2026-11-22T10:00:00Z"));
    let a = desk.put("a.crl", &Recipe::new(7, &[listed(50, 6), listed(51, 1)]).der());
    let changed = [(vec![50], on, Some(4), None), (vec![51], at, Some(1), Some(on))];
    let b = desk.put("b.crl", &Recipe::new(8, &[&many[..], &changed].concat()).der());
    let words = desk.crl(&["diff", &a, &b, "--limit", "5"]).stdout;
    assert!(words.contains("30 added, 0 left, 2 changed; 2 -> 32 entries"), "{words}");
    assert!(words.contains("  … and 25 more"), "{words}");
    assert!(words.contains("0x5 (5)") && !words.contains("0x6 (6)"), "{words}");
    assert!(
        words.contains(
            "0x32 (50)  certificateHold -> superseded, date 2026-11-22T10:00:00Z -> 2026-11-21T00:00:00Z\n"
        ),
        "{words}"
    );
    assert!(words.contains("0x33 (51)  invalid since not said -> 2026-11-21T00:00:00Z"), "{words}");
    let by_default = desk.crl(&["diff", &a, &b]).stdout;
    assert!(by_default.contains("… and 10 more"), "{by_default}");
    let back = desk.crl(&["diff", &b, &a, "--json"]).json();
    assert_eq!(back["removed"].as_array().unwrap().len(), 30);
    let last = desk.put("l.crl", &Recipe::new(9, &[listed(1, 1)]).der());
    assert_eq!(serials(&desk.crl(&["diff", &a, &last, "--json"]).json()["removed"]), ["0x32", "0x33"]);
    let all = desk.crl(&["diff", &a, &b, "--json", "--limit", "5"]).json();
    assert_eq!(all["added"].as_array().unwrap().len(), 30);
    assert_eq!((&all["unchanged"], &all["delta_applied"]), (&json!(0), &json!(false)));
    assert_eq!(all["changed"][0]["before"]["reason"], "certificateHold");
    assert_eq!(all["changed"][0]["after"]["revoked_at"], "2026-11-21T00:00:00Z");
    assert_eq!((&all["a"]["number"], &all["b"]["entries"]), (&json!("7"), &json!(32)));
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let desk = Desk::new();
    let put = |name: &str, recipe: &Recipe| desk.put(name, &recipe.der());
    let a = put("a.crl", &Recipe::new(7, &[listed(5, 1)]));
    let other = Name::new(&[Attribute::new(oid::COMMON_NAME, "Other")]);
    let foreign = put("o.crl", &Recipe { issuer: other.der().to_vec(), ..Recipe::new(8, &[]) });
    desk.crl(&["diff", &a, &foreign]).refused(1, &["cannot be compared", "CN=Other"]);
    let partition = desk.put("p.crl", &crl(ca(1), kiyose(), &plan(), &records()));
    desk.crl(&["diff", &a, &partition]).refused(1, &["cannot be compared", "Kiyose-shi", "everything"]);
    let twice = put("t.crl", &Recipe::new(8, &[listed(5, 1), listed(5, 1)]));
    desk.crl(&["diff", &a, &twice]).refused(1, &["lists 0x5 twice"]);
    let zero = put("z.crl", &Recipe::new(8, &[(vec![0], plan().this_update, None, None)]));
    desk.crl(&["diff", &a, &zero]).refused(1, &["not all of it can be read", "serial number"]);
    let delta = put("d.crl", &Recipe::delta(8, 7, &[]));
    desk.crl(&["diff", &delta, &a]).refused(1, &["name the complete CRL first"]);
    let later = put("e.crl", &Recipe::delta(9, 8, &[]));
    desk.crl(&["diff", &delta, &later]).refused(1, &["different bases"]);
    let same_base = put("f.crl", &Recipe::delta(9, 7, &[listed(9, 1)]));
    assert!(desk.crl(&["diff", &delta, &same_base]).stdout.contains("newer by 1 than"));
}

#[test]
fn rfc5280_s5_2_4_a_delta_is_applied_to_its_base() {
    let desk = Desk::new();
    let base = desk.put("a.crl", &Recipe::new(7, &[listed(5, 6), listed(6, 6), listed(7, 1)]).der());
    let news = [listed(9, 3), listed(5, 8), listed(6, 4), listed(7, 1), listed(33, 8)];
    let delta = desk.put("d.crl", &Recipe::delta(9, 6, &news).der());
    let words = desk.crl(&["diff", &base, &delta]).stdout;
    let first = format!("{delta} applied to {base}: 1 added, 1 removed, 1 changed; then 3 entries");
    assert_eq!(words.lines().next(), Some(first.as_str()));
    assert!(words.contains("0x6 (6)  certificateHold -> superseded"), "{words}");
    assert!(words.contains("to be removed, but not there 1\n  0x21 (33)"), "{words}");
    let all = desk.crl(&["diff", &base, &delta, "--json"]).json();
    assert_eq!(serials(&all["added"]), ["0x9"]);
    assert_eq!(serials(&all["removed"]), ["0x5"]);
    assert_eq!(serials(&all["absent"]), ["0x21"]);
    assert_eq!((&all["unchanged"], &all["entries_after"]), (&json!(1), &json!(3)));
}

#[test]
fn rfc5280_s5_2_4_a_delta_that_does_not_fit_is_refused() {
    let desk = Desk::new();
    let base = desk.put("a.crl", &Recipe::new(7, &[listed(5, 6)]).der());
    let diff = |recipe: &Recipe| desk.crl(&["diff", &base, &desk.put("d.crl", &recipe.der())]);
    assert_eq!(diff(&Recipe::delta(8, 7, &[])).code, Some(0), "a base of just this number");
    diff(&Recipe::delta(9, 8, &[])).refused(1, &["starts from 8", "take a newer complete CRL", "§5.2.4"]);
    diff(&Recipe::delta(7, 6, &[])).refused(1, &["the CRL needs it no more"]);
    diff(&Recipe::delta(6, 5, &[])).refused(1, &["the CRL needs it no more"]);
    let other_key =
        Recipe { generation: 2, key_id: Some(ca(2).issuer.key_id.to_vec()), ..Recipe::delta(8, 7, &[]) };
    diff(&other_key).refused(1, &["different keys"]);
    diff(&Recipe { number: None, ..Recipe::delta(8, 7, &[]) }).refused(1, &["has no number"]);
    let unnumbered = diff(&Recipe { number: None, ..Recipe::new(8, &[]) });
    assert!(unnumbered.stdout.contains("cannot be ordered by number with"), "{}", unnumbered.text());
}
