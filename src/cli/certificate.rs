//! `certificate get`, `certificate list`: what was issued, from the archive and the records.

use std::io::Write;
use std::path::Path;

use super::args::{CertificateCommand, GetCertificate, ListCertificates};
use super::client::Client;
use super::out::{try_file, write_private};
use super::{DataDir, Failure, print};
use crate::admin::api::{self, IssuedCertificate, ListedCertificate, ListedCertificates, Selector, path};

pub(super) fn run(data: &DataDir, command: &CertificateCommand, json: bool) -> Result<(), Failure> {
    match command {
        CertificateCommand::Get(asked) => get(data, asked, json),
        CertificateCommand::List(asked) => list(data, asked, json),
    }
}

fn get(data: &DataDir, asked: &GetCertificate, json: bool) -> Result<(), Failure> {
    if json && asked.der && asked.out.is_none() {
        return Err(Failure::wrong_use("--json shows PEM: name a file for the DER with --out"));
    }
    let selector = Selector::Named { authority: asked.authority.clone(), serial: asked.serial.clone() };
    let asked_for = api::GetCertificate { certificate: selector };
    if let Some(file) = &asked.out {
        try_file(file, "name a file that can be written with --out")?;
    }
    let found: IssuedCertificate = Client::of(data)?.post(path::CERTIFICATE_GET, &asked_for)?;
    let octets = if asked.der { der_of(&found)? } else { found.certificate.clone().into_bytes() };
    match &asked.out {
        Some(file) => {
            write_private(file, &octets)
                .map_err(|error| Failure::internal(format!("{}: {error}", file.display())))?;
            print(json, &found, || in_words(&found, file))
        }
        None if json => print(true, &found, String::new),
        None => to_stdout(&octets),
    }
}

fn der_of(found: &IssuedCertificate) -> Result<Vec<u8>, Failure> {
    let pem = pem::parse(&found.certificate);
    pem.map(pem::Pem::into_contents).map_err(|error| Failure::internal(format!("unreadable answer: {error}")))
}

/// The octets as they are: a line's end behind DER would not be DER.
fn to_stdout(octets: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    // Who closed the pipe has read enough.
    drop(out.write_all(octets).and_then(|()| out.flush()));
    Ok(())
}

fn in_words(found: &IssuedCertificate, file: &Path) -> String {
    let IssuedCertificate { authority, serial, kind, not_after, .. } = found;
    format!("{authority} {serial} ({kind}, until {not_after}): {}", file.display())
}

fn list(data: &DataDir, asked: &ListCertificates, json: bool) -> Result<(), Failure> {
    let asked = api::ListCertificates {
        authority: asked.authority.clone(),
        card: asked.card.clone(),
        holder: asked.holder.clone(),
        after: asked.after.clone(),
        limit: asked.limit,
    };
    let listed: ListedCertificates = Client::of(data)?.post(path::CERTIFICATE_LIST, &asked)?;
    print(json, &listed, || {
        let mut lines: Vec<String> = listed.certificates.iter().map(line).collect();
        if lines.is_empty() {
            lines.push("no certificates".to_owned());
        }
        lines.extend(listed.next.iter().map(|next| format!("more: add --after {next}")));
        lines.join("\n")
    })
}

fn line(one: &ListedCertificate) -> String {
    let ListedCertificate { authority, serial, kind, not_after, status, .. } = one;
    let reason = status.reason.as_ref().map(|reason| format!(", {reason}")).unwrap_or_default();
    let card = one.card.as_ref().map(|card| format!(" on {card}")).unwrap_or_default();
    format!("{authority} {serial} ({kind}, until {not_after}): {}{reason}{card}", status.status)
}
