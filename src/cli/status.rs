//! `status`.

use super::args::Status;
use super::client::Client;
use super::named::selector;
use super::{DataDir, Failure, print};
use crate::admin::api::{CertificateState, Comment, HistoryStep, Inquiry, MovementBehind, path};

pub(super) fn run(data: &DataDir, asked: &Status, json: bool) -> Result<(), Failure> {
    let inquiry = Inquiry { certificate: selector(data, &asked.certificate)?, at: asked.at.clone() };
    let state: CertificateState = Client::of(data)?.post(path::STATUS, &inquiry)?;
    print(json, &state, || in_words(&state))?;
    if state.status.status == "good" { Ok(()) } else { Err(not_good(&state)) }
}

/// Exit code 1 says it to a script.
fn not_good(state: &CertificateState) -> Failure {
    Failure::refused(format!("{} {} is not good", state.authority, state.serial))
}

fn in_words(state: &CertificateState) -> String {
    let mut lines = vec![format!(
        "{} {} (generation {}, {}): {}",
        state.authority, state.serial, state.generation, state.kind, state.status.status
    )];
    let mut line = |name: &str, value: Option<&String>| {
        if let Some(value) = value {
            lines.push(format!("  {name:<14}{value}"));
        }
    };
    line("reason", state.status.reason.as_ref());
    line("revoked at", state.status.revoked_at.as_ref());
    line("invalid since", state.status.invalidity_date.as_ref());
    let ca = state.ca.as_ref().map(|ca| {
        let known = [Some(&ca.status), ca.reason.as_ref(), ca.revoked_at.as_ref()];
        known.into_iter().flatten().cloned().collect::<Vec<_>>().join(", ")
    });
    line("its CA", ca.as_ref());
    line("municipality", state.municipality.as_ref());
    line("not before", Some(&state.not_before));
    line("not after", Some(&state.not_after));
    line("card", state.card.as_ref());
    line("says entry", Some(&format!("{} of {}", state.position, state.recorded_at)));
    line("asked by", Some(&state.actor));
    line("ticket", state.ticket.as_ref());
    line("comment", state.comment.as_ref().map(quoted).as_ref());
    line("comment", state.comment_fault.as_ref());
    line("by event", state.movement.as_ref().map(event).as_ref());
    let crl = state.crl_set.clone().unwrap_or_else(|| "not cut since".to_owned());
    line("CRL set", Some(&crl));
    line("in doubt", state.doubt.as_ref());
    lines.extend(history(state));
    lines.join("\n")
}

fn event(by: &MovementBehind) -> String {
    format!("{}, in effect since {} (entry {})", by.event, by.effective_at, by.position)
}

/// What became of it, a line for each entry; what was issued and never changed is told by the lines before.
fn history(state: &CertificateState) -> Vec<String> {
    let Some((issue, changes)) = state.history.split_first().filter(|(_, changes)| !changes.is_empty())
    else {
        return Vec::new();
    };
    let mut lines = vec![format!("  {:<14}{}{}", "issued", step(issue), said(issue))];
    if state.history_left_out > 0 {
        lines.push(format!("  {:<14}{} changes more", "", state.history_left_out));
    }
    for one in changes {
        let reason = one.status.reason.iter().map(|reason| format!(", {reason}"));
        let became = std::iter::once(one.status.status.clone()).chain(reason).collect::<String>();
        lines.push(format!("  {:<14}{}: {became}{}", "changed", step(one), said(one)));
    }
    lines
}

/// What somebody said of it: at the end of its line and in quotation marks, so that it passes for nothing else.
fn said(step: &HistoryStep) -> String {
    let comment = step.comment.as_ref().map(quoted).or_else(|| step.comment_fault.clone());
    comment.map(|comment| format!(", comment: {comment}")).unwrap_or_default()
}

fn quoted(comment: &Comment) -> String {
    format!("\"{}\"", comment.0.replace('\\', "\\\\").replace('"', "\\\""))
}

fn step(step: &HistoryStep) -> String {
    let HistoryStep { position, recorded_at, actor, .. } = step;
    let mut text = format!("entry {position} of {recorded_at}, by {actor}");
    text.extend(step.ticket.iter().map(|ticket| format!(", ticket {ticket}")));
    text.extend(step.movement.iter().map(|by| format!(", {}", by.event)));
    text
}
