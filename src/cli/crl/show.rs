//! `crl show`.

use serde_json::json;

use super::super::{Failure, print};
use super::read::{Entry, Read, der_of};
use crate::der::UnixTime;
use crate::store::Clock;

pub(super) fn run(source: &str, entries: usize, as_json: bool) -> Result<(), Failure> {
    let der = der_of(source)?;
    let crl = Read::from_der(&der, source)?;
    let mut shown = serde_json::to_value(&crl).map_err(|error| Failure::internal(error.to_string()))?;
    let first: Vec<_> = crl.listed.iter().take(entries).map(entry_json).collect();
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("kind".to_owned(), crl.kind().into());
        if entries > 0 {
            fields.insert("first".to_owned(), first.into());
        }
    }
    print(as_json, &shown, || in_words(&crl, entries, Clock::system().now()))
}

pub(super) fn entry_json(entry: &Entry) -> serde_json::Value {
    json!({
        "serial": entry.serial.to_string(),
        "revoked_at": entry.revoked_at.to_string(),
        "reason": entry.reason.name(),
        "invalidity_date": entry.invalidity_date.map(|date| date.to_string()),
    })
}

/// As a line: `0x2a  2026-11-22T10:00:00Z  superseded`.
pub(super) fn entry_line(entry: &Entry) -> String {
    let Entry { serial, revoked_at, reason, invalidity_date } = entry;
    let decimal = serial.to_u64().map(|serial| format!(" ({serial})")).unwrap_or_default();
    let since = invalidity_date.map(|date| format!(", invalid since {date}")).unwrap_or_default();
    format!("{serial}{decimal}  {revoked_at}  {reason}{since}")
}

fn in_words(crl: &Read, entries: usize, now: UnixTime) -> String {
    let number = crl.number.as_deref().unwrap_or("without a number");
    let mut lines = vec![format!("CRL {number}{}, {}", origin(number), crl.kind())];
    let mut line = |name: &str, text: &str| lines.push(format!("{name:<14}{text}"));
    line("issuer", &crl.issuer);
    line("key", crl.key_id.as_deref().unwrap_or("not said"));
    if let Some(point) = &crl.distribution_point {
        let users = if crl.only_contains_user_certs { " (user certificates only)" } else { "" };
        line("partition", &format!("{point}{users}"));
    }
    if let Some(base) = &crl.base_number {
        line("base", base);
    }
    line("thisUpdate", &crl.this_update);
    line("nextUpdate", &format!("{} ({})", crl.next_update.as_deref().unwrap_or("none"), force(crl, now)));
    if let Some(url) = &crl.freshest_crl {
        line("deltas", url);
    }
    line("size", &format!("{} octets, SHA-256 {}", crl.bytes, crl.sha256));
    let reasons: Vec<String> =
        crl.reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join(", ")) };
    line("entries", &format!("{}{reasons}", crl.entries));
    lines.extend(crl.listed.iter().take(entries).map(entry_line));
    lines.push("The signature is not checked here: sekisho crl verify".to_owned());
    lines.join("\n")
}

/// What a number of this service is made of.
fn origin(number: &str) -> String {
    let Ok(number) = number.parse::<u128>() else { return String::new() };
    let (epoch, position) = (number >> 48, number & ((1 << 48) - 1));
    if epoch == 0 { String::new() } else { format!(" (epoch {epoch}, position {position})") }
}

/// Whether it is in force at `now`, and for how long.
pub(super) fn force(crl: &Read, now: UnixTime) -> String {
    let hours = |seconds: u64| {
        if seconds < 7200 { format!("{} min", seconds / 60) } else { format!("{} h", seconds / 3600) }
    };
    let this_update: UnixTime = crl.this_update.parse().unwrap_or_default();
    let next_update = crl.next_update.as_ref().and_then(|next| next.parse::<UnixTime>().ok());
    match next_update {
        _ if now < this_update => {
            format!("not valid for another {}", hours(this_update.since(now).as_secs()))
        }
        Some(next) if now >= next => format!("expired {} ago", hours(now.since(next).as_secs())),
        Some(next) => format!("valid, {} left", hours(next.since(now).as_secs())),
        None => "for ever".to_owned(),
    }
}
