//! `signer list`, `signer renew`, `signer revoke`.

use super::args::{Grounds, RevokeSigner, Signer};
use super::client::Client;
use super::{DataDir, Failure, print};
use crate::admin::api::{
    self, ListSigners, RenewSigners, RenewedSigner, RenewedSigners, RevokedSigner, SignerAddressed, Signers,
    path,
};

pub(super) fn run(data: &DataDir, signer: &Signer, json: bool) -> Result<(), Failure> {
    match signer {
        Signer::List { all } => {
            let signers: Signers = Client::of(data)?.post(path::SIGNER_LIST, &ListSigners { all: *all })?;
            print(json, &signers, || in_words(&signers))
        }
        Signer::Renew { authority, generation, kind, grounds } => {
            let (authority, kind) = (authority.clone(), kind.clone());
            let Grounds { ticket, comment } = grounds.clone();
            let asked = RenewSigners { authority, generation: *generation, kind, ticket, comment };
            let done: RenewedSigners = Client::of(data)?.post(path::SIGNER_RENEW, &asked)?;
            print(json, &done, || {
                let lines: Vec<String> = done.signers.iter().map(renewed).collect();
                lines.join("\n")
            })
        }
        Signer::Revoke(asked) => {
            let body = api::RevokeSigner {
                signer: addressed(asked)?,
                reason: asked.reason.clone(),
                invalid_since: asked.invalid_since.clone(),
                without_successor: asked.without_successor,
                ticket: asked.what_for.grounds.ticket.clone(),
                comment: asked.what_for.grounds.comment.clone(),
                key: asked.what_for.key.clone(),
            };
            let done: RevokedSigner = Client::of(data)?.post(path::SIGNER_REVOKE, &body)?;
            print(json, &done, || revoked(&done))
        }
    }
}

fn addressed(asked: &RevokeSigner) -> Result<SignerAddressed, Failure> {
    let authority = asked.authority.clone();
    match (&asked.serial, asked.generation) {
        (Some(serial), None) => Ok(SignerAddressed::Serial { authority, serial: serial.clone() }),
        (None, Some(generation)) => {
            Ok(SignerAddressed::InUse { authority, generation, kind: asked.kind.clone() })
        }
        _ => Err(Failure::wrong_use("name the signer: --serial, or --generation with --kind")),
    }
}

fn in_words(all: &Signers) -> String {
    let heading =
        ["AUTHORITY", "KEY", "SERIAL", "KIND", "STATE", "SINCE", "VALID FROM", "UNTIL", "SIGNED", "MADE"];
    let mut lines = vec![line(heading)];
    lines.extend(all.signers.iter().map(|one| {
        let signatures = one.signatures.map_or("-".to_owned(), |signatures| signatures.to_string());
        let state = match &one.status.reason {
            Some(reason) => format!("{} ({reason})", one.state),
            None => one.state.clone(),
        };
        line([
            &one.authority,
            &one.generation.to_string(),
            &one.serial,
            one.key.as_deref().unwrap_or("?"),
            &state,
            &one.since,
            &one.not_before,
            &one.not_after,
            &signatures,
            one.file.as_deref().unwrap_or("here"),
        ])
    }));
    lines.extend(all.refused.iter().map(|one| format!("! not used: {}: {}", one.file, one.why)));
    lines.join("\n")
}

fn line(cells: [&str; 10]) -> String {
    let [authority, key, serial, kind, state, since, from, until, signed, made] = cells;
    format!(
        "{authority:<9}  {key:<3}  {serial:<10}  {kind:<7}  {state:<23}  {since:<20}  {from:<20}  {until:<20}  \
         {signed:<8}  {made}"
    )
}

fn renewed(one: &RenewedSigner) -> String {
    let RenewedSigner { authority, generation, key, before, serial, not_after, file } = one;
    let which = format!("{authority}, generation {generation}, {key}");
    match (file, before) {
        (Some(file), _) => format!(
            "{which}: {serial} of {file} signs on until {not_after}; put a new one there and run sekisho reload"
        ),
        (None, Some(before)) => {
            format!("{which}: {serial} signs in the place of {before}, until {not_after}")
        }
        (None, None) => format!("{which}: {serial} signs, until {not_after}"),
    }
}

fn revoked(done: &RevokedSigner) -> String {
    let RevokedSigner { authority, serial, key, position, recorded_at, .. } = done;
    let how = match (done.changed, done.repeated) {
        (true, _) => "recorded",
        (false, true) => "carried out before under this key, recorded",
        (false, false) => "so already, nothing changed; recorded",
    };
    let (reason, since) = (&done.status.reason, &done.status.revoked_at);
    let reason = reason.as_deref().unwrap_or_default();
    let since = since.as_deref().unwrap_or_default();
    let mut lines = vec![format!(
        "{authority} {serial} ({key}): {}, {reason}, since {since} ({how} at {recorded_at}, journal position {position})",
        done.status.status
    )];
    lines.push(match &done.successor {
        Some(one) => format!("  {} signs in its place, until {}", one.serial, one.not_after),
        None => "  nobody signs in its place".to_owned(),
    });
    lines.extend(done.file.iter().map(|file| format!("  take {file} away, and its key")));
    lines.join("\n")
}
