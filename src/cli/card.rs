//! `card`, `reconcile`, `rules`.

use serde::Serialize;

use super::args::{CardCommand, Grounds, WhatFor};
use super::client::Client;
use super::{DataDir, Failure, print};
use crate::admin::api::{
    ApplyForCard, CardChange, CardState, CardTurned, ChangedCertificate, NamedCard, Reconciliation, Status,
    path,
};
use crate::profile::{ORGANIZATION, Profile};

pub(super) fn run(data: &DataDir, command: &CardCommand, json: bool) -> Result<(), Failure> {
    match command {
        CardCommand::Apply { holder, municipality, expires, what_for } => {
            let asked = ApplyForCard {
                holder: holder.clone(),
                municipality: municipality.clone(),
                expires: expires.clone(),
                ticket: what_for.grounds.ticket.clone(),
                comment: what_for.grounds.comment.clone(),
                key: what_for.key.clone(),
            };
            let done: CardChange = Client::of(data)?.post(path::CARD_APPLY, &asked)?;
            print(json, &done, || changed(&done, "applied for"))
        }
        CardCommand::HandOver { card, what_for } => {
            let done: CardChange = Client::of(data)?.post(path::CARD_HAND_OVER, &named(card, what_for))?;
            print(json, &done, || changed(&done, "handed over"))
        }
        CardCommand::Suspend { card, what_for } => {
            let done: CardTurned = Client::of(data)?.post(path::CARD_SUSPEND, &named(card, what_for))?;
            print(json, &done, || turned(&done, "suspended"))
        }
        CardCommand::Found { card, what_for } => {
            let done: CardTurned = Client::of(data)?.post(path::CARD_FOUND, &named(card, what_for))?;
            print(json, &done, || turned(&done, "found"))
        }
        CardCommand::Show { card } => {
            let asked = NamedCard { card: card.clone(), ticket: None, comment: None, key: None };
            let state: CardState = Client::of(data)?.post(path::CARD_SHOW, &asked)?;
            print(json, &state, || in_words(&state))
        }
    }
}

fn named(card: &str, what_for: &WhatFor) -> NamedCard {
    let Grounds { ticket, comment } = what_for.grounds.clone();
    NamedCard { card: card.to_owned(), ticket, comment, key: what_for.key.clone() }
}

pub(super) fn reconcile(data: &DataDir, json: bool) -> Result<(), Failure> {
    let done: Reconciliation = Client::of(data)?.post(path::RECONCILE, &serde_json::json!({}))?;
    let Reconciliation { cards, disagreements } = &done;
    print(json, &done, || {
        let mut lines = vec![format!("{cards} cards and phones looked at")];
        lines.extend(disagreements.iter().map(|one| format!("! {one}")));
        lines.join("\n")
    })?;
    match disagreements.len() {
        0 => Ok(()),
        count => Err(Failure::refused(format!("{count} disagreements"))),
    }
}

/// A row of the table, as JSON.
#[derive(Serialize)]
struct Row {
    event: String,
    concerns: &'static str,
    sign: String,
    auth: String,
    phone_sign: String,
    phone_auth: String,
    carrier: &'static str,
    meaning: String,
}

pub(super) fn rules(json: bool) -> Result<(), Failure> {
    let profile = Profile::jpki(ORGANIZATION).map_err(|error| Failure::internal(error.to_string()))?;
    let rows = profile.rules.iter().map(|rule| {
        let mut actions = rule.actions().map(|(_, action)| action.to_string());
        let mut next = || actions.next().unwrap_or_default();
        Row {
            event: rule.event.clone(),
            concerns: rule.concerns.name(),
            sign: next(),
            auth: next(),
            phone_sign: next(),
            phone_auth: next(),
            carrier: rule.carrier.map_or("stays", |state| state.name()),
            meaning: rule.meaning.clone(),
        }
    });
    let rows: Vec<Row> = rows.collect();
    print(json, &rows, || {
        let head = ["event", "names", "sign", "auth", "phone-sign", "phone-auth", "card or phone", "is"];
        let mut lines = vec![line(head)];
        lines.extend(rows.iter().map(|row| {
            let (sign, auth) = (row.sign.as_str(), row.auth.as_str());
            let (phone_sign, phone_auth) = (row.phone_sign.as_str(), row.phone_auth.as_str());
            line([&row.event, row.concerns, sign, auth, phone_sign, phone_auth, row.carrier, &row.meaning])
        }));
        lines.join("\n")
    })
}

fn line(cells: [&str; 8]) -> String {
    let [event, names, sign, auth, phone_sign, phone_auth, carrier, is] = cells.map(short);
    format!(
        "{event:<18} {names:<12} {sign:<20} {auth:<20} {phone_sign:<20} {phone_auth:<20} {carrier:<13} {is}"
    )
}

/// `revoke` is what a reason means here.
fn short(cell: &str) -> &str {
    cell.strip_prefix("revoke ").unwrap_or(cell)
}

fn changed(done: &CardChange, what: &str) -> String {
    let CardChange { card, holder, position, recorded_at, .. } = done;
    let how = if done.changed { what.to_owned() } else { format!("{what} before") };
    format!("{card} of {holder}: {how} (recorded at {recorded_at}, journal position {position})")
}

fn turned(done: &CardTurned, what: &str) -> String {
    let mut lines = vec![changed(&done.card, what)];
    let became =
        |one: &ChangedCertificate| format!("  {} {}: {}", one.authority, one.serial, since(&one.status));
    lines.extend(done.certificates.iter().map(became));
    lines.join("\n")
}

/// A status, and since when.
fn since(status: &Status) -> String {
    match (&status.reason, &status.revoked_at) {
        (Some(reason), Some(at)) => format!("{}, {reason}, since {at}", status.status),
        _ => status.status.clone(),
    }
}

fn in_words(state: &CardState) -> String {
    let CardState { card, carrier, holder, municipality, .. } = state;
    let mut lines = vec![format!("{card}: {carrier}, {}", state.state)];
    lines.push(format!("  {holder}, lives in {municipality}"));
    lines.extend(
        state.ended_at.iter().map(|ended| format!("  all certificates of the holder ended at {ended}")),
    );
    lines.extend(state.expires.iter().map(|expires| format!("  expires at {expires}")));
    lines.extend(state.with.iter().map(|with| format!("  set up with {with}")));
    for one in &state.certificates {
        let status = since(&one.status);
        lines.push(format!(
            "  {} {} ({}, until {}): {status}",
            one.authority, one.serial, one.kind, one.not_after
        ));
    }
    lines.extend(state.others.iter().map(|other| format!("  also {other}")));
    lines.join("\n")
}
