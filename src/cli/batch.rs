//! `issue --batch`: a resident a line.
//!
//! A line is known by the batch's key and its number, and what it says is the request: two equal
//! lines are two residents, a batch that is run again issues nothing twice, and a line that was
//! issued and says something else now is refused. The batch's key is `--key`, or a digest of the
//! file: who corrects lines that were rejected gives the key that the first run named. Its ticket and comment
//! are those of each line that has none, and part of what the line says.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use indicatif::ProgressBar;
use ring::digest;

use super::args::{Grounds, Issue};
use super::client::Client;
use super::demo::quoted;
use super::issue::{tell, write};
use super::out::try_rejected;
use super::progress::progress_bar;
use super::{DataDir, Failure};
use crate::admin::api::{self, IssuedPair, Problem, ProblemKind, path};

/// Octets of a digest that names a batch: as many as the journal keeps of a request's.
const KEY_OCTETS: usize = 16;

struct Batch<'a> {
    data: &'a DataDir,
    service: Client,
    key: String,
    asked: &'a Issue,
    json: bool,
    progress: ProgressBar,
    issued: usize,
    rejected: Vec<String>,
}

pub(super) fn run(data: &DataDir, file: &Path, asked: &Issue, json: bool) -> Result<(), Failure> {
    let unreadable = |error: io::Error| Failure::wrong_use(format!("{}: {error}", file.display()));
    let octets = fs::read(file).map_err(unreadable)?;
    let text = std::str::from_utf8(&octets).map_err(|error| unreadable(io::Error::other(error)))?;
    try_rejected(&rejected_path(file))?;
    let mut batch = Batch {
        data,
        service: Client::of(data)?,
        key: asked.key.clone().unwrap_or_else(|| digest_of(&octets)),
        asked,
        json,
        progress: progress_bar(text.lines().count(), "issuing"),
        issued: 0,
        rejected: Vec::new(),
    };
    for (number, line) in (1..).zip(text.lines()) {
        batch.progress.inc(1);
        if !line.trim().is_empty() {
            batch.issue(number, line)?;
        }
    }
    batch.progress.finish_and_clear();
    batch.conclude(file)
}

impl Batch<'_> {
    /// Issues for one line. What is wrong with it stops no other one; a service that is not well
    /// stops all.
    fn issue(&mut self, number: usize, line: &str) -> Result<(), Failure> {
        let mut request: api::Issue = match serde_json::from_str(line) {
            Ok(request) => request,
            Err(error) => {
                self.rejected.push(format!("line {number}: not understood: {error}"));
                return Ok(());
            }
        };
        request.key = Some(format!("{} line {number}", self.key));
        let Grounds { ticket, comment } = self.asked.grounds.clone();
        request.ticket = request.ticket.or(ticket);
        request.comment = request.comment.or(comment);
        match self.service.ask(path::ISSUE, &request)? {
            Ok(issued) => self.tell(&issued),
            Err(problem)
                if matches!(
                    problem.kind,
                    ProblemKind::Unavailable | ProblemKind::Internal | ProblemKind::Person
                ) =>
            {
                Err(problem.into())
            }
            Err(problem) => {
                self.rejected.push(format!("line {number}: {}", reason(&problem)));
                Ok(())
            }
        }
    }

    fn tell(&mut self, issued: &IssuedPair) -> Result<(), Failure> {
        self.issued += issued.certificates.len();
        let written = write(&self.asked.out, issued);
        self.progress.suspend(|| tell(issued, written, self.json))
    }

    /// Lists the rejected lines with their reasons in FILE.rejected.
    fn conclude(self, file: &Path) -> Result<(), Failure> {
        let Some(first) = self.rejected.first() else {
            eprintln!("{} certificates", self.issued);
            return Ok(());
        };
        let path = rejected_path(file);
        let written = fs::File::create(&path)
            .and_then(|mut out| self.rejected.iter().try_for_each(|line| writeln!(out, "{line}")));
        written.map_err(|error| Failure::internal(format!("{}: {error}", path.display())))?;
        Err(Failure::refused(format!(
            "{} certificates; {} lines rejected, see {}; the first: {first}; correct them where they stand and \
             run it again{}, nothing is issued twice: {}",
            self.issued,
            self.rejected.len(),
            path.display(),
            if self.asked.grounds.comment.is_some() { " with the same comment for COMMENT" } else { "" },
            self.again(file)
        )))
    }

    /// The command that goes on with this batch. With another ticket or comment its lines would be others; the
    /// comment may name persons, and logs keep what is printed here.
    fn again(&self, file: &Path) -> String {
        let Issue { out, grounds: Grounds { ticket, comment }, .. } = self.asked;
        let named = [
            ("--batch", Some(file.display().to_string())),
            ("--out", Some(out.display().to_string())),
            ("--data", Some(self.data.path().display().to_string())),
            ("--key", Some(self.key.clone())),
            ("--ticket", ticket.clone()),
            ("--comment", comment.as_ref().map(|_| "COMMENT".to_owned())),
        ];
        let given = named.into_iter().filter_map(|(option, value)| Some((option, value?)));
        given.fold("sekisho issue".to_owned(), |all, (option, value)| {
            format!("{all} {option} {}", quoted(&value))
        })
    }
}

fn rejected_path(file: &Path) -> PathBuf {
    PathBuf::from(format!("{}.rejected", file.display()))
}

fn reason(problem: &Problem) -> &str {
    match problem.kind {
        ProblemKind::KeyReused => {
            "another line stood here when this batch was run before, or it was run with another --ticket or --comment: \
             put that line back, and new ones at the end, and give the ticket and comment of before"
        }
        _ => &problem.error,
    }
}

fn digest_of(octets: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, octets);
    HEXLOWER.encode(digest.as_ref().get(..KEY_OCTETS).unwrap_or_default())
}
