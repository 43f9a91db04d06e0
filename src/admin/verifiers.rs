//! Requests about the register of verifiers.

use data_encoding::HEXLOWER;

use super::api::{self, Problem};
use super::requests::der_of;
use crate::office::{Office, VerifierChange, VerifierNamed, VerifierState};
use crate::record::{Actor, Origin};
use crate::registry::State;

pub(super) fn register(
    office: &Office,
    asked: &api::RegisterVerifier,
    actor: Actor,
) -> Result<api::VerifierChange, Problem> {
    let certificate = der_of(&asked.certificate)?;
    Ok(change(office.register_verifier(&asked.name, &certificate, origin(actor))?))
}

pub(super) fn suspend(
    office: &Office,
    asked: &api::SuspendVerifier,
    actor: Actor,
) -> Result<api::VerifierChange, Problem> {
    let named = match asked {
        api::SuspendVerifier::Name(name) => VerifierNamed::Name(name.clone()),
        api::SuspendVerifier::Certificate(pem) => VerifierNamed::Certificate(der_of(pem)?),
    };
    Ok(change(office.suspend_verifier(&named, origin(actor))?))
}

pub(super) fn list(office: &Office) -> api::Verifiers {
    api::Verifiers { verifiers: office.verifiers().into_iter().map(verifier).collect() }
}

/// Without an idempotency key: to ask twice changes nothing.
fn origin(actor: Actor) -> Origin {
    Origin::of(actor)
}

fn change(done: VerifierChange) -> api::VerifierChange {
    api::VerifierChange {
        verifiers: done.verifiers.into_iter().map(verifier).collect(),
        changed: done.changed,
        position: done.position.0,
        recorded_at: done.recorded_at.to_string(),
    }
}

fn verifier(one: VerifierState) -> api::Verifier {
    let state = match one.registration.state {
        State::Suspended => "suspended",
        State::Registered if one.expired => "expired",
        State::Registered => "registered",
    };
    let read = one.certificate.as_ref();
    api::Verifier {
        name: one.registration.name,
        state: state.to_owned(),
        since: one.registration.since.to_string(),
        subject: read.map(|read| read.subject.to_string()).unwrap_or_default(),
        not_after: read.map(|read| read.not_after.to_string()).unwrap_or_default(),
        sha256: HEXLOWER.encode(&one.certificate_sha256),
    }
}
