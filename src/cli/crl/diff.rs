//! `crl diff`: what changed from one CRL to another, or what a delta makes of its base.

use serde::{Serialize, Serializer};

use super::super::{Failure, print};
use super::entry::Entry;
use super::read::{Crl, Number, hex};
use super::words::{self, grouped, moved};
use crate::pki::RevocationReason;

pub(super) fn run(a: &str, b: &str, limit: usize, json: bool) -> Result<(), Failure> {
    let read = |source: &str| {
        let (mut crl, _) = Crl::fetch(source)?;
        if crl.unread > 0 {
            let faults = crl.all_faults().join("; ");
            return Err(Failure::refused(format!("{source}: not all of it can be read ({faults})")));
        }
        match crl.sort() {
            Ok(()) => Ok(crl),
            Err(serial) => Err(Failure::refused(format!("{source}: lists {serial} twice, which no CRL may"))),
        }
    };
    let (a, b) = (read(a)?, read(b)?);
    let difference = Difference::new(&a, &b)?;
    print(json, &difference, || difference.in_words(limit))
}

/// From `a` to `b`. For a delta, from the base to what the base becomes.
struct Difference<'a> {
    a: &'a Crl,
    b: &'a Crl,
    added: Vec<&'a Entry>,
    removed: Vec<&'a Entry>,
    changed: Vec<(&'a Entry, &'a Entry)>,
    unchanged: u64,
    /// removeFromCRL for what the base does not list.
    absent: Vec<&'a Entry>,
}

impl<'a> Difference<'a> {
    /// # Errors
    /// Refused: the two cannot be compared, or the delta does not fit.
    fn new(a: &'a Crl, b: &'a Crl) -> Result<Self, Failure> {
        let (from, to) = (&a.source, &b.source);
        let refused = |why: String| Failure::refused(format!("{from} and {to} cannot be compared: {why}"));
        if a.issuer != b.issuer {
            let (a, b) = (a.issuer_text(), b.issuer_text());
            return Err(refused(format!("their issuers are {a} and {b}")));
        }
        if !a.same_scope(b) {
            return Err(refused(format!("their scopes are {} and {}", scope(a), scope(b))));
        }
        let applied = match (&a.base, &b.base) {
            (None, None) => false,
            (Some(of), Some(also)) if of == also => false,
            (Some(_), Some(_)) => {
                return Err(refused("they are deltas on different bases".to_owned()));
            }
            (Some(_), None) => {
                return Err(refused(format!("{from} is a delta: name the complete CRL first")));
            }
            (None, Some(base)) => {
                fits(a, b, base).map_err(|why| {
                    Failure::refused(format!("{to} cannot be applied to {from}: {why} (RFC 5280 §5.2.4)"))
                })?;
                true
            }
        };
        let mut this = Self {
            a,
            b,
            added: Vec::new(),
            removed: Vec::new(),
            changed: Vec::new(),
            unchanged: 0,
            absent: Vec::new(),
        };
        if applied {
            this.apply()
        } else {
            this.compare()
        }
        Ok(this)
    }

    fn applied(&self) -> bool {
        self.a.base.is_none() && self.b.base.is_some()
    }

    /// Both are in the order of their serial numbers.
    fn compare(&mut self) {
        let mut before = self.a.entries.iter().peekable();
        for entry in &self.b.entries {
            while let Some(gone) = before.next_if(|before| before.serial < entry.serial) {
                self.removed.push(gone);
            }
            match before.next_if(|before| before.serial == entry.serial) {
                None => self.added.push(entry),
                Some(before) => self.meet(before, entry),
            }
        }
        self.removed.extend(before);
    }

    fn apply(&mut self) {
        for entry in &self.b.entries {
            match (self.a.find(entry.serial), entry.reason) {
                (Some(before), RevocationReason::RemoveFromCrl) => self.removed.push(before),
                (None, RevocationReason::RemoveFromCrl) => self.absent.push(entry),
                (Some(before), _) => self.meet(before, entry),
                (None, _) => self.added.push(entry),
            }
        }
        let touched = self.removed.len() + self.changed.len();
        self.unchanged = count(self.a.entries.len() - touched);
    }

    fn meet(&mut self, before: &'a Entry, after: &'a Entry) {
        if before == after { self.unchanged += 1 } else { self.changed.push((before, after)) }
    }

    fn in_words(&self, limit: usize) -> String {
        let Self { a, b, added, removed, changed, absent, .. } = self;
        let left = if self.applied() { "removed" } else { "left" };
        let counts = format!(
            "{} added, {} {left}, {} changed",
            grouped(added.len()),
            grouped(removed.len()),
            grouped(changed.len())
        );
        let after = self.entries_after();
        let mut lines = vec![if self.applied() {
            let entries = words::entries(after);
            format!("{} applied to {}: {counts}; then {entries}", b.source, a.source)
        } else {
            let sizes = format!("{} -> {}", grouped(a.entries.len()), words::entries(after));
            format!("{} {} {}: {counts}; {sizes}", b.source, self.newer(), a.source)
        }];
        let mut line = |name: &str, value: String| lines.push(format!("  {name:<13}{value}"));
        if let (Some(a), Some(b)) = (&a.number, &b.number) {
            let how = if a == b {
                format!("{}, in both", words::number(a))
            } else {
                format!("{} -> {}", words::number(a), words::number(b))
            };
            line("number", how);
        }
        line("this update", moved(a.this_update, b.this_update));
        if let (Some(a), Some(b)) = (a.next_update, b.next_update) {
            line("next update", moved(a, b));
        }
        if a.key_id != b.key_id {
            line("key", format!("{} -> {}", key(a), key(b)));
        }
        let mut group = |name: &str, all: Vec<String>, of: usize| {
            if of > 0 {
                lines.push(format!("{name} {}", grouped(of)));
                lines.extend(all.into_iter().map(|line| format!("  {line}")));
                if of > limit {
                    lines.push(format!("  … and {} more", grouped(of - limit)));
                }
            }
        };
        let some = |all: &[&Entry]| all.iter().take(limit).map(|entry| entry.in_words()).collect::<Vec<_>>();
        group("added", some(added), added.len());
        group(left, some(removed), removed.len());
        group("changed", changed.iter().take(limit).map(change_in_words).collect(), changed.len());
        group("to be removed, but not there", some(absent), absent.len());
        lines.join("\n")
    }

    fn entries_after(&self) -> u64 {
        count(self.added.len()) + count(self.changed.len()) + self.unchanged
    }

    fn newer(&self) -> String {
        match (&self.a.number, &self.b.number) {
            (Some(a), Some(b)) if a.value < b.value => {
                format!("is newer by {} than", grouped(&b.value - &a.value))
            }
            (Some(a), Some(b)) if a.value > b.value => {
                format!("is older by {} than", grouped(&a.value - &b.value))
            }
            (Some(_), Some(_)) => "has the same number as".to_owned(),
            _ => "cannot be ordered by number with".to_owned(),
        }
    }
}

/// Whether a delta may be combined with a complete CRL (RFC 5280 §5.2.4, conditions c and d;
/// §6.3.3 (c)).
///
/// # Errors
/// Why not, and what to do.
pub(super) fn fits(complete: &Crl, delta: &Crl, base: &Number) -> Result<(), String> {
    let (Some(has), Some(reaches)) = (&complete.number, &delta.number) else {
        return Err("one of them has no number".to_owned());
    };
    if complete.key_id != delta.key_id {
        return Err(format!("they are signed by different keys, {} and {}", key(complete), key(delta)));
    }
    let (has, base, reaches) = (&has.value, &base.value, &reaches.value);
    if base > has {
        return Err(format!("the delta starts from {base}, the CRL is {has}: take a newer complete CRL"));
    }
    if reaches <= has {
        return Err(format!("the delta is {reaches}, the CRL {has}: the CRL needs it no more"));
    }
    Ok(())
}

fn change_in_words((before, after): &(&Entry, &Entry)) -> String {
    let mut changes = Vec::new();
    let mut change = |name: &str, before: String, after: String| {
        if before != after {
            changes.push(format!("{name}{before} -> {after}"));
        }
    };
    let date =
        |entry: &Entry| entry.invalidity_date().map_or_else(|| "not said".to_owned(), |d| d.to_string());
    change("", before.reason.to_string(), after.reason.to_string());
    change("date ", before.revoked_at.to_string(), after.revoked_at.to_string());
    change("invalid since ", date(before), date(after));
    format!("{} ({})  {}", after.serial, super::entry::decimal(&after.serial), changes.join(", "))
}

fn scope(crl: &Crl) -> String {
    let Some(scope) = &crl.scope else { return "everything of the issuer".to_owned() };
    let names = scope.names.iter().map(|name| name.text.as_str());
    names.chain(scope.only()).collect::<Vec<_>>().join(" + ")
}

fn key(crl: &Crl) -> String {
    crl.key_id.as_deref().map_or_else(|| "not said".to_owned(), hex)
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// The stable object of `--json`: everything, whatever `--limit`.
impl Serialize for Difference<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let side = |crl: &Crl| Side {
            source: crl.source.clone(),
            number: crl.number.as_ref().map(|number| number.value.to_string()),
            base_number: crl.base.as_ref().map(|number| number.value.to_string()),
            this_update: crl.this_update.to_string(),
            next_update: crl.next_update.map(|time| time.to_string()),
            aki: crl.key_id.as_deref().map(hex),
            entries: crl.entries.len(),
        };
        Row {
            a: side(self.a),
            b: side(self.b),
            delta_applied: self.applied(),
            added: &self.added,
            removed: &self.removed,
            changed: self.changed.iter().map(|(before, after)| Change { before, after }).collect(),
            unchanged: self.unchanged,
            absent: &self.absent,
            entries_after: self.entries_after(),
        }
        .serialize(serializer)
    }
}

#[derive(Serialize)]
struct Row<'a> {
    a: Side,
    b: Side,
    delta_applied: bool,
    added: &'a [&'a Entry],
    removed: &'a [&'a Entry],
    changed: Vec<Change<'a>>,
    unchanged: u64,
    absent: &'a [&'a Entry],
    entries_after: u64,
}

#[derive(Serialize)]
struct Side {
    source: String,
    number: Option<String>,
    base_number: Option<String>,
    this_update: String,
    next_update: Option<String>,
    aki: Option<String>,
    entries: usize,
}

#[derive(Serialize)]
struct Change<'a> {
    before: &'a Entry,
    after: &'a Entry,
}
