//! `status`.

use super::args::Status;
use super::client::Client;
use super::named::selector;
use super::{DataDir, Failure, print};
use crate::admin::api::{CertificateState, Inquiry, path};

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
    line("says entry", Some(&format!("{} of {}", state.position, state.recorded_at)));
    let movement = state.movement.as_ref();
    let event = movement
        .map(|by| format!("{}, in effect since {} (entry {})", by.event, by.effective_at, by.position));
    line("by event", event.as_ref());
    let crl = state.crl_set.clone().unwrap_or_else(|| "not cut since".to_owned());
    line("CRL set", Some(&crl));
    line("in doubt", state.doubt.as_ref());
    lines.join("\n")
}
