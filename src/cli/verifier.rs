//! `verifier add`, `verifier list`, `verifier suspend`.

use super::args::{SuspendVerifier, Verifier};
use super::client::Client;
use super::named::certificate_of;
use super::{DataDir, Failure, print};
use crate::admin::api::{self, RegisterVerifier, VerifierChange, Verifiers, path};

pub(super) fn run(data: &DataDir, verifier: &Verifier, json: bool) -> Result<(), Failure> {
    match verifier {
        Verifier::Add { name, cert } => {
            let asked = RegisterVerifier { name: name.clone(), certificate: certificate_of(cert)? };
            let done: VerifierChange = Client::of(data)?.post(path::VERIFIER_ADD, &asked)?;
            print(json, &done, || change_in_words(&done))
        }
        Verifier::Suspend(which) => {
            let done: VerifierChange = Client::of(data)?.post(path::VERIFIER_SUSPEND, &suspension(which)?)?;
            print(json, &done, || change_in_words(&done))
        }
        Verifier::List => {
            let all: Verifiers = Client::of(data)?.post(path::VERIFIER_LIST, &serde_json::json!({}))?;
            print(json, &all, || in_words(&all.verifiers))
        }
    }
}

fn suspension(which: &SuspendVerifier) -> Result<api::SuspendVerifier, Failure> {
    match (&which.name, &which.cert) {
        (Some(name), None) => Ok(api::SuspendVerifier::Name(name.clone())),
        (None, Some(path)) => Ok(api::SuspendVerifier::Certificate(certificate_of(path)?)),
        _ => Err(Failure::wrong_use("name the verifier: --name, or --cert FILE")),
    }
}

fn change_in_words(done: &VerifierChange) -> String {
    let VerifierChange { changed, position, recorded_at, .. } = done;
    let lines = done.verifiers.iter().map(|one| {
        let api::Verifier { name, state, since, subject, .. } = one;
        let how = if *changed {
            format!("recorded at {recorded_at}, journal position {position}")
        } else {
            format!("so already, since {since}; nothing changed")
        };
        format!("{name} ({subject}): {state} ({how})")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn in_words(verifiers: &[api::Verifier]) -> String {
    let heading = ("STATE", "SINCE", "VALID UNTIL", "NAME, SUBJECT, SHA-256 OF THE CERTIFICATE");
    let mut lines = vec![format!("{:<10}  {:<20}  {:<20}  {}", heading.0, heading.1, heading.2, heading.3)];
    lines.extend(verifiers.iter().map(|one| {
        let api::Verifier { name, state, since, subject, not_after, sha256 } = one;
        format!("{state:<10}  {since:<20}  {not_after:<20}  {name} ({subject}) {sha256}")
    }));
    lines.join("\n")
}
