//! `crl diff`.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::{Failure, print};
use super::read::{Entry, Read, der_of};
use super::show::{entry_json, entry_line};
use crate::pki::{RevocationReason, SerialNumber};

/// What one CRL says otherwise than another.
struct Difference<'a> {
    added: Vec<&'a Entry>,
    gone: Vec<&'a Entry>,
    changed: Vec<(&'a Entry, &'a Entry)>,
}

pub(super) fn run(before: &str, after: &str, limit: usize, as_json: bool) -> Result<(), Failure> {
    let (a, b) = (Read::from_der(&der_of(before)?, before)?, Read::from_der(&der_of(after)?, after)?);
    comparable(&a, &b)?;
    let combined = b.base_number.is_some() && a.base_number.is_none();
    let difference = if combined { applied(&a, &b) } else { between(&a, &b) };
    let Difference { added, gone, changed } = &difference;
    let of = |entries: &[&Entry]| entries.iter().map(|entry| entry_json(entry)).collect::<Vec<_>>();
    let pairs = changed.iter().map(|(a, b)| json!({ "before": entry_json(a), "after": entry_json(b) }));
    let shown = json!({
        "before": a.number, "after": b.number, "delta_applied": combined,
        "this_update": [a.this_update, b.this_update], "next_update": [a.next_update, b.next_update],
        "added": of(added), "gone": of(gone), "changed": pairs.collect::<Vec<_>>(),
    });
    print(as_json, &shown, || in_words(&a, &b, &difference, combined, limit))
}

/// Whether it makes sense: of one issuer, of one scope, and a delta to a base it fits.
fn comparable(a: &Read, b: &Read) -> Result<(), Failure> {
    if a.issuer_der != b.issuer_der {
        return Err(Failure::refused(format!("different issuers: {} and {}", a.issuer, b.issuer)));
    }
    let scope = |crl: &Read| (crl.distribution_point_der.clone(), crl.only_contains_ca_certs);
    if scope(a) != scope(b) {
        let name = |crl: &Read| crl.distribution_point.clone().unwrap_or_else(|| crl.kind().to_owned());
        return Err(Failure::refused(format!("different scopes: {} and {}", name(a), name(b))));
    }
    let number = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<u128>().ok());
    match (&a.base_number, &b.base_number) {
        (None, Some(base)) if number(&a.number) < number(&b.base_number) => Err(Failure::refused(format!(
            "the delta is for CRL {base} or later, and this is {}: fetch the newer base",
            a.number.as_deref().unwrap_or("one without a number")
        ))),
        (None, Some(_)) if number(&b.number) < number(&a.number) => {
            Err(Failure::refused("the delta is older than the CRL: fetch a newer one"))
        }
        (Some(_), None) => Err(Failure::refused("name the CRL first and the delta second")),
        _ => Ok(()),
    }
}

fn by_serial(crl: &Read) -> BTreeMap<SerialNumber, &Entry> {
    crl.listed.iter().map(|entry| (entry.serial, entry)).collect()
}

fn between<'a>(a: &'a Read, b: &'a Read) -> Difference<'a> {
    let (before, after) = (by_serial(a), by_serial(b));
    let both = before.iter().filter_map(|(serial, entry)| Some((*entry, *after.get(serial)?)));
    Difference {
        added: after
            .iter()
            .filter(|(serial, _)| !before.contains_key(*serial))
            .map(|(_, entry)| *entry)
            .collect(),
        gone: before
            .iter()
            .filter(|(serial, _)| !after.contains_key(*serial))
            .map(|(_, entry)| *entry)
            .collect(),
        changed: both.filter(|(a, b)| a != b).collect(),
    }
}

/// What the base becomes when the delta is applied (RFC 5280 §5.2.4).
fn applied<'a>(base: &'a Read, delta: &'a Read) -> Difference<'a> {
    let before = by_serial(base);
    let mut difference = Difference { added: Vec::new(), gone: Vec::new(), changed: Vec::new() };
    for (serial, entry) in by_serial(delta) {
        match (before.get(&serial), entry.reason) {
            (Some(was), RevocationReason::RemoveFromCrl) => difference.gone.push(was),
            (None, RevocationReason::RemoveFromCrl) => {}
            (None, _) => difference.added.push(entry),
            (Some(was), _) if *was != entry => difference.changed.push((was, entry)),
            (Some(_), _) => {}
        }
    }
    difference
}

fn in_words(a: &Read, b: &Read, difference: &Difference<'_>, combined: bool, limit: usize) -> String {
    let Difference { added, gone, changed } = difference;
    let name = |crl: &Read| crl.number.clone().unwrap_or_else(|| "without a number".to_owned());
    let how = if combined { "with delta" } else { "to" };
    let what = if added.is_empty() && gone.is_empty() && changed.is_empty() {
        "the same entries".to_owned()
    } else {
        format!("{} added, {} gone, {} changed", added.len(), gone.len(), changed.len())
    };
    let mut lines = vec![format!("{} {how} {}: {what}", name(a), name(b))];
    if a.this_update != b.this_update {
        lines.push(format!("thisUpdate {} -> {}", a.this_update, b.this_update));
    }
    if a.next_update != b.next_update {
        let text = |next: &Option<String>| next.clone().unwrap_or_else(|| "none".to_owned());
        lines.push(format!("nextUpdate {} -> {}", text(&a.next_update), text(&b.next_update)));
    }
    let mut group = |sign: char, of: Vec<String>| {
        let more = of.len().saturating_sub(limit);
        lines.extend(of.into_iter().take(limit).map(|line| format!("{sign} {line}")));
        if more > 0 {
            lines.push(format!("{sign} … and {more} more: --limit {}", limit + more));
        }
    };
    group('+', added.iter().map(|entry| entry_line(entry)).collect());
    group('-', gone.iter().map(|entry| entry_line(entry)).collect());
    let becomes =
        |(a, b): &(&Entry, &Entry)| format!("{}  ->  {}  {}", entry_line(a), b.revoked_at, b.reason);
    group('~', changed.iter().map(becomes).collect());
    lines.join("\n")
}
