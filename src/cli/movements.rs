//! `movements import`: the resident registry's feed, a line an event.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::args::{Grounds, MovementsCommand};
use super::client::Client;
use super::out::try_rejected;
use super::{DataDir, Failure, print};
use crate::admin::api::{self, Effect, Movement, Movements, Problem, ProblemKind, path};

/// Lines in one request: enough to share syncs, few enough that progress shows.
const LINES: usize = 500;

/// Octets of lines in one request, well below what the service takes.
const REQUEST_OCTETS: usize = 128 << 10;

/// Lines of a dry run, which takes them in one request: each is looked at after those before it.
const DRY_LINES_MAX: usize = 100_000;

/// Octets of those lines, below what the service takes of a feed.
const DRY_OCTETS_MAX: usize = 12 << 20;

/// Octets of a line; the longest right one has under 600.
const LINE_OCTETS_MAX: u64 = 16 << 10;

/// What an import came to.
#[derive(Debug, Default, Serialize)]
struct Summary {
    /// Lines that are not empty.
    lines: u64,
    /// Recorded.
    recorded: u64,
    /// Of those, the ones that changed nothing.
    without_effect: u64,
    /// Certificates changed.
    certificates_changed: u64,
    /// Recorded before.
    repeated: u64,
    /// Not recorded.
    rejected: u64,
}

/// A line that was rejected: the line itself, so that the file can be imported again.
#[derive(Serialize)]
struct Rejected<'a> {
    line: u64,
    reason: &'a str,
    text: &'a str,
}

/// What became of a line, in JSON.
#[derive(Serialize)]
struct Told<'a> {
    line: u64,
    #[serde(flatten)]
    effect: &'a Effect,
}

struct Import<'a> {
    service: Client,
    dry_run: bool,
    grounds: Grounds,
    json: bool,
    progress: ProgressBar,
    rejected_path: &'a Path,
    rejected: Option<File>,
    summary: Summary,
    first: Option<String>,
}

pub(super) fn run(data: &DataDir, command: &MovementsCommand, json: bool) -> Result<(), Failure> {
    let MovementsCommand::Import { file, dry_run, grounds } = command;
    let is_stdin = file.as_os_str() == "-";
    let name = if is_stdin { "movements".to_owned() } else { file.display().to_string() };
    let unreadable = |error: io::Error| Failure::wrong_use(format!("{name}: {error}"));
    let input: Box<dyn BufRead> = if is_stdin {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(file).map_err(unreadable)?))
    };
    let rejected_path = PathBuf::from(format!("{name}.rejected"));
    if !*dry_run {
        try_rejected(&rejected_path)?;
    }
    let style = ProgressStyle::with_template("importing {pos} lines, {per_sec}, {elapsed}");
    let progress =
        ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut import = Import {
        service: Client::of(data)?,
        dry_run: *dry_run,
        grounds: grounds.clone(),
        json,
        progress,
        rejected_path: &rejected_path,
        rejected: None,
        summary: Summary::default(),
        first: None,
    };
    import.read(input, &unreadable)?;
    import.progress.finish_and_clear();
    import.conclude()
}

impl Import<'_> {
    fn read(
        &mut self,
        mut input: Box<dyn BufRead>,
        unreadable: &dyn Fn(io::Error) -> Failure,
    ) -> Result<(), Failure> {
        let mut batch = Vec::new();
        let (mut number, mut octets) = (0, 0);
        loop {
            let mut line = String::new();
            let mut limited = io::Read::take(&mut input, LINE_OCTETS_MAX);
            if limited.read_line(&mut line).map_err(unreadable)? == 0 {
                return self.submit(&mut batch);
            }
            number += 1;
            if !line.ends_with('\n') && limited.limit() == 0 {
                return Err(Failure::wrong_use(format!(
                    "line {number} has more than {LINE_OCTETS_MAX} octets: it is no movement"
                )));
            }
            if !line.trim().is_empty() {
                self.summary.lines += 1;
                octets += line.len();
                batch.push((number, line.trim().to_owned()));
            }
            if self.dry_run {
                if batch.len() > DRY_LINES_MAX || octets > DRY_OCTETS_MAX {
                    return Err(Failure::wrong_use(format!(
                        "a dry run takes {DRY_LINES_MAX} lines and {DRY_OCTETS_MAX} octets at most, to look at each \
                         line after those before it: divide the feed"
                    )));
                }
            } else if batch.len() == LINES || octets >= REQUEST_OCTETS {
                self.submit(&mut batch)?;
                octets = 0;
            }
        }
    }

    /// Sends what was read, and tells what became of it.
    fn submit(&mut self, batch: &mut Vec<(u64, String)>) -> Result<(), Failure> {
        let parsed: Vec<Result<Movement, String>> = batch
            .iter()
            .map(|(_, line)| serde_json::from_str(line).map_err(|error| format!("not understood: {error}")))
            .collect();
        let movements: Vec<Movement> = parsed.iter().filter_map(|one| one.as_ref().ok().cloned()).collect();
        let mut effects = Vec::new().into_iter();
        if !movements.is_empty() {
            let Grounds { ticket, comment } = self.grounds.clone();
            let asked = Movements { movements, dry_run: self.dry_run, ticket, comment };
            let answer: api::Effects = self.service.post(path::MOVEMENTS, &asked)?;
            effects = answer.effects.into_iter();
        }
        for ((number, line), parsed) in batch.drain(..).zip(parsed) {
            let effect = match parsed {
                Ok(_) => effects.next().ok_or_else(|| Failure::internal("the service left out an answer"))?,
                Err(error) => Effect::Rejected(Problem { error, kind: ProblemKind::Invalid }),
            };
            self.tell(number, &line, &effect)?;
        }
        Ok(())
    }

    fn tell(&mut self, number: u64, line: &str, effect: &Effect) -> Result<(), Failure> {
        self.progress.inc(1);
        let summary = &mut self.summary;
        match effect {
            Effect::Done(done) if done.repeated => summary.repeated += 1,
            Effect::Done(done) => {
                summary.recorded += 1;
                summary.without_effect += u64::from(done.changed.is_empty());
                summary.certificates_changed += u64::try_from(done.changed.len()).unwrap_or(u64::MAX);
            }
            // The service is not well: no line after this one would fare better.
            Effect::Rejected(problem)
                if matches!(
                    problem.kind,
                    ProblemKind::Unavailable | ProblemKind::Internal | ProblemKind::Person
                ) =>
            {
                return Err(Failure::from(problem.clone()));
            }
            Effect::Rejected(problem) => self.reject(number, line, &problem.error)?,
        }
        if self.json {
            return print(true, &Told { line: number, effect }, String::new);
        }
        if self.dry_run {
            let words = in_words(number, effect);
            self.progress.suspend(|| print(false, &(), || words))?;
        }
        Ok(())
    }

    fn reject(&mut self, number: u64, line: &str, reason: &str) -> Result<(), Failure> {
        self.summary.rejected += 1;
        self.first.get_or_insert_with(|| format!("line {number}: {reason}"));
        if self.dry_run {
            return Ok(());
        }
        let unwritable =
            |error: io::Error| Failure::internal(format!("{}: {error}", self.rejected_path.display()));
        if self.rejected.is_none() {
            self.rejected = Some(File::create(self.rejected_path).map_err(unwritable)?);
        }
        let Some(file) = &mut self.rejected else { return Ok(()) };
        let row = Rejected { line: number, reason, text: line };
        let json = serde_json::to_string(&row).map_err(|error| Failure::internal(error.to_string()))?;
        writeln!(file, "{json}").map_err(unwritable)
    }

    fn conclude(self) -> Result<(), Failure> {
        let Summary { lines, recorded, without_effect, certificates_changed, repeated, rejected } =
            self.summary;
        let what = if self.dry_run { "would be recorded" } else { "recorded" };
        eprintln!(
            "{lines} lines: {recorded} {what} ({without_effect} without effect), {certificates_changed} \
             certificates changed, {repeated} known before, {rejected} rejected"
        );
        if rejected == 0 {
            return Ok(());
        }
        let first = self.first.unwrap_or_default();
        let place =
            if self.dry_run { String::new() } else { format!(", see {}", self.rejected_path.display()) };
        Err(Failure::refused(format!("{rejected} lines rejected{place}; the first: {first}")))
    }
}

fn in_words(number: u64, effect: &Effect) -> String {
    let what = match effect {
        Effect::Rejected(problem) => format!("rejected: {}", problem.error),
        Effect::Done(done) if done.repeated => "known before".to_owned(),
        Effect::Done(done) if done.changed.is_empty() => "changes nothing".to_owned(),
        Effect::Done(done) => {
            let changed = done.changed.iter().map(|one| {
                let status = one.status.reason.as_deref().unwrap_or(&one.status.status);
                format!("{} {} {status}", one.authority, one.serial)
            });
            changed.collect::<Vec<_>>().join(", ")
        }
    };
    format!("line {number}: {what}")
}
