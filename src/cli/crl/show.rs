//! `crl show`: what stands in a CRL.

use serde::Serialize;

use super::super::{Failure, print};
use super::entry::Entry;
use super::read::{Crl, hex};
use super::scope::DeclaredScope;
use super::words::{self, grouped, span};
use crate::crl::CrlKind;
use crate::der::UnixTime;
use crate::pki::RevocationReason;
use crate::store::Clock;

pub(super) fn run(file: &str, entries: Option<usize>, json: bool) -> Result<(), Failure> {
    let (crl, der) = Crl::fetch(file)?;
    drop(der);
    let shown = Shown::new(&crl, entries, Clock::system().now());
    print(json, &shown, || shown.in_words(&crl))
}

/// The stable object of `--json`. Times are RFC 3339, octets lowercase hex, and numbers that may
/// exceed 53 bits are text.
#[derive(Serialize)]
struct Shown<'a> {
    source: &'a str,
    kind: CrlKind,
    issuer: NameText,
    aki: Option<String>,
    number: Option<String>,
    epoch: Option<u32>,
    position: Option<u64>,
    base_number: Option<String>,
    distribution_point: Vec<&'a str>,
    only: Vec<&'static str>,
    this_update: String,
    next_update: Option<String>,
    /// `valid`, `expired` or `not valid yet`.
    state: &'static str,
    freshest: &'a [String],
    signature_algorithm: &'a str,
    bytes: usize,
    sha256: &'a str,
    entries: u64,
    reasons: Vec<Count>,
    /// What `verify` would refuse.
    faults: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    listed: Option<&'a [Entry]>,
    #[serde(skip)]
    state_in_words: String,
}

#[derive(Serialize)]
struct NameText {
    rfc4514: String,
    der: String,
}

#[derive(Serialize)]
struct Count {
    reason: &'static str,
    entries: usize,
}

impl<'a> Shown<'a> {
    fn new(crl: &'a Crl, entries: Option<usize>, now: UnixTime) -> Self {
        let ours = crl.number.as_ref().and_then(words::ours);
        let (state, state_in_words) = state(crl, now);
        Self {
            source: &crl.source,
            kind: crl.kind(),
            issuer: NameText { rfc4514: crl.issuer_text(), der: hex(&crl.issuer) },
            aki: crl.key_id.as_deref().map(hex),
            number: crl.number.as_ref().map(|number| number.value.to_string()),
            epoch: ours.map(|(epoch, _)| epoch),
            position: ours.map(|(_, position)| position),
            base_number: crl.base.as_ref().map(|number| number.value.to_string()),
            distribution_point: crl
                .scope
                .iter()
                .flat_map(|scope| scope.names.iter().map(|name| name.text.as_str()))
                .collect(),
            only: crl.scope.as_ref().map(DeclaredScope::only).unwrap_or_default(),
            this_update: crl.this_update.to_string(),
            next_update: crl.next_update.map(|time| time.to_string()),
            state,
            freshest: &crl.freshest,
            signature_algorithm: &crl.algorithm,
            bytes: crl.bytes,
            sha256: &crl.sha256,
            entries: crl.entries_count(),
            reasons: counts(&crl.entries),
            faults: crl.all_faults(),
            listed: entries.map(|most| crl.entries.get(..most).unwrap_or(&crl.entries)),
            state_in_words,
        }
    }

    fn in_words(&self, crl: &Crl) -> String {
        let mut lines = vec![format!("{}: {}", self.source, kind_in_words(crl))];
        let mut line = |name: &str, value: &str| lines.push(format!("  {name:<13}{value}"));
        line("issuer", &self.issuer.rfc4514);
        line("key", self.aki.as_deref().unwrap_or("not said"));
        line("number", &crl.number.as_ref().map_or_else(|| "none".to_owned(), words::number));
        if let Some(base) = &crl.base {
            line("base", &words::number(base));
        }
        self.distribution_point.iter().for_each(|name| line("for", name));
        self.only.iter().for_each(|only| line("only", only));
        line("this update", &self.this_update);
        let next = self.next_update.as_deref().unwrap_or("not said");
        line("next update", &format!("{next} ({})", self.state_in_words));
        self.freshest.iter().for_each(|url| line("deltas at", url));
        line("signed with", self.signature_algorithm);
        line("size", &format!("{} octets", grouped(self.bytes)));
        line("SHA-256", self.sha256);
        line("entries", &grouped(self.entries));
        self.faults.iter().for_each(|fault| line("wrong", fault));
        let counted = |count: &Count| format!("{:>15}  {}", grouped(count.entries), count.reason);
        lines.extend(self.reasons.iter().map(counted));
        if let Some(listed) = self.listed {
            lines.extend(listed.iter().map(|entry| format!("  {}", entry.in_words())));
            let more = crl.entries.len() - listed.len();
            if more > 0 {
                lines.push(format!("  … and {} more", grouped(more)));
            }
        }
        lines.join("\n")
    }
}

fn kind_in_words(crl: &Crl) -> &'static str {
    match crl.kind() {
        CrlKind::Full => "full CRL, for every certificate of its issuer",
        CrlKind::Partition => "CRL of a partition",
        CrlKind::Authority => "CRL of the CA certificates",
        CrlKind::Delta => "delta CRL: what changed since its base",
    }
}

fn state(crl: &Crl, now: UnixTime) -> (&'static str, String) {
    if now < crl.this_update {
        return ("not valid yet", format!("not valid yet, for {}", span(crl.this_update.since(now))));
    }
    match crl.next_update {
        Some(next) if next < now => ("expired", format!("expired {} ago", span(now.since(next)))),
        Some(next) => ("valid", format!("valid, {} left", span(next.since(now)))),
        None => ("valid", "valid, without an end".to_owned()),
    }
}

fn counts(entries: &[Entry]) -> Vec<Count> {
    let mut counts = RevocationReason::ALL.map(|reason| Count { reason: reason.name(), entries: 0 });
    for entry in entries {
        if let Some(count) = counts.iter_mut().find(|count| count.reason == entry.reason.name()) {
            count.entries += 1;
        }
    }
    counts.into_iter().filter(|count| count.entries > 0).collect()
}
