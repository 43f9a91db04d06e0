//! `journal export`: the journal for somebody else to check.
//!
//! With `--frames` the very octets, so that nobody has to be believed about the chain; otherwise a line of JSON
//! for each entry. Neither names a person: the journal does not, and the lines leave out the numbers of holders
//! and cards as well, and every text that somebody wrote.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use data_encoding::HEXLOWER;
use serde::Serialize;

use super::args::ExportJournal;
use super::client::Client;
use super::{DataDir, Failure};
use crate::admin::api::{JournalHead, path};
use crate::office::{self, OfficeError};
use crate::pki::{AuthorityId, CertStatus};
use crate::record::{Event, Numbered, Position};
use crate::store::{Export, ExportError, ExportedFrame};

/// An entry.
#[derive(Serialize)]
struct Line<'a> {
    position: u64,
    recorded_at: String,
    event: &'static str,
    actor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<&'a str>,
    /// SHA-256 of its comment and of the random octets before it; what it says stays in the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    comment_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<Certificate>,
    /// Position of the report that it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<u64>,
    /// Position of the first entry of its frame, which names the frame.
    frame: u64,
    /// Where the frame begins in what `--frames` writes.
    offset: u64,
    /// The frame's head.
    head: &'a str,
}

/// A certificate, and what became of it.
#[derive(Serialize)]
struct Certificate {
    authority: String,
    generation: u8,
    serial: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
}

pub(super) fn run(data: &DataDir, asked: &ExportJournal) -> Result<(), Failure> {
    // A running service is asked how far its journal is durable; its files are read all the same.
    let durable: Option<JournalHead> = match Client::of(data) {
        Ok(mut service) => Some(service.post(path::JOURNAL_HEAD, &serde_json::json!({}))?),
        Err(_) => None,
    };
    let until = durable.as_ref().map(|durable| Position(durable.position));
    match &asked.out {
        Some(file) => to_file(data, asked, until, file),
        None if asked.frames && io::stdout().is_terminal() => {
            Err(Failure::wrong_use("frames are no text: give --out FILE, or send them into a pipe"))
        }
        None => {
            let told = write(data, asked, until, &mut io::stdout().lock());
            told.map(|export| eprintln!("{}", in_words(&export)))
        }
    }
}

fn to_file(
    data: &DataDir,
    asked: &ExportJournal,
    until: Option<Position>,
    path: &Path,
) -> Result<(), Failure> {
    let at = |error: io::Error| Failure::wrong_use(format!("{}: {error}", path.display()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(at)?;
    let written = write(data, asked, until, &mut file);
    let written = written.and_then(|export| file.sync_all().map(|()| export).map_err(at));
    if written.is_err() {
        drop(fs::remove_file(path));
    }
    written.map(|export| eprintln!("{}", in_words(&export)))
}

fn write(
    data: &DataDir,
    asked: &ExportJournal,
    until: Option<Position>,
    out: &mut dyn Write,
) -> Result<Export, Failure> {
    let mut out = BufWriter::new(out);
    let mut names = BTreeMap::new();
    let export = office::export_journal(data, until, &mut |frame| {
        if asked.frames { out.write_all(frame.octets) } else { lines(frame, &mut names, &mut out) }
    });
    let export = export.and_then(|export| out.flush().map(|()| export).map_err(ExportError::from));
    export.map_err(|error| match error {
        ExportError::Journal(error) => OfficeError::from(error).into(),
        ExportError::Refused(error) => Failure::wrong_use(format!("the export was cut short: {error}")),
    })
}

/// Lines about the entries of a frame. Authorities are called as they were when they were opened.
fn lines(
    frame: &ExportedFrame<'_>,
    names: &mut BTreeMap<AuthorityId, String>,
    out: &mut impl Write,
) -> io::Result<()> {
    let head = HEXLOWER.encode(&frame.head);
    let first = frame.entries.first().map_or(0, |numbered| numbered.position.0);
    for Numbered { position, entry } in &frame.entries {
        if let Event::AuthorityOpened { authority, name } = &entry.event {
            names.insert(*authority, name.clone());
        }
        let line = Line {
            position: position.0,
            recorded_at: entry.recorded_at.to_string(),
            event: entry.event.name(),
            actor: entry.origin.actor.name(),
            ticket: entry.origin.ticket.as_ref().map(|ticket| ticket.text()),
            comment_sha256: entry.origin.comment.map(|comment| HEXLOWER.encode(&comment.sha256)),
            certificate: certificate(&entry.event, names),
            cause: entry.event.cause().map(|cause| cause.0),
            frame: first,
            offset: frame.offset,
            head: &head,
        };
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn certificate(event: &Event, names: &BTreeMap<AuthorityId, String>) -> Option<Certificate> {
    let (named, became) = event.certificate().zip(event.status())?;
    let revocation = match became {
        CertStatus::Revoked(revocation) => Some(revocation),
        CertStatus::Good | CertStatus::Unknown => None,
    };
    let known = names.get(&named.authority).cloned();
    Some(Certificate {
        authority: known.unwrap_or_else(|| named.authority.0.to_string()),
        generation: named.generation.number(),
        serial: named.serial.to_string(),
        status: match &revocation {
            Some(revocation) if revocation.is_hold() => "hold",
            Some(_) => "revoked",
            None => "good",
        },
        reason: revocation.map(|revocation| revocation.reason.name()),
        revoked_at: revocation.map(|revocation| revocation.revoked_at.to_string()),
    })
}

fn in_words(export: &Export) -> String {
    let Export { frames, octets, last, head, torn } = export;
    let head = HEXLOWER.encode(head);
    let mut text = format!("{frames} frames of {octets} octets, up to entry {last}; head {head}");
    if *torn > 0 {
        text.push_str(&format!(
            "; left out: {torn} octets behind it that are no whole frame, see `sekisho check`"
        ));
    }
    text
}
