//! The command line: arguments, one call, an exit code.
//!
//! `demo`, `init`, `serve` and `simulate` put a service together; `load` asks any responder over HTTP; `crl
//! show`, `crl diff` and `crl verify` read anybody's CRLs; `restore` and `journal accept-end` work on a directory that no
//! service runs on, `check` and `journal export` on either; every other command is a client of the admin socket of
//! the service that runs on the data directory.

mod args;
mod authority;
mod batch;
mod card;
mod certificate;
mod change;
mod check;
mod client;
mod clock;
mod crl;
mod demo;
mod explain;
mod export;
mod fate;
mod gauges;
mod hangup;
mod issue;
mod journal;
mod load;
mod movements;
mod named;
mod out;
mod presign;
mod progress;
mod reload;
mod restore;
mod running;
mod serve;
mod signer;
mod simulate;
mod status;
mod verifier;

use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;

use args::{Arguments, Command};

use crate::admin::api::{Problem, ProblemKind};
use crate::config::ConfigError;
use crate::office::data::DataDir;
use crate::office::{self, Blame, OfficeError};
use crate::simulate::SimulateError;

/// Why a command did not do what was asked: one line, and an exit code.
#[derive(Debug)]
pub struct Failure {
    message: String,
    code: u8,
}

/// Exit codes, as `--help` lists them.
mod exit {
    pub(super) const NO: u8 = 1;
    pub(super) const USE: u8 = 2;
    pub(super) const UNREACHED: u8 = 3;
    pub(super) const INTERNAL: u8 = 4;
    pub(super) const PERSON: u8 = 7;
}

impl Failure {
    fn refused(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: exit::NO }
    }

    fn wrong_use(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: exit::USE }
    }

    fn unreached(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: exit::UNREACHED }
    }

    fn internal(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: exit::INTERNAL }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let code = match problem.kind {
            ProblemKind::Refused | ProblemKind::KeyReused => exit::NO,
            ProblemKind::Invalid => exit::USE,
            ProblemKind::Unavailable => exit::UNREACHED,
            ProblemKind::Internal => exit::INTERNAL,
            ProblemKind::Person => exit::PERSON,
        };
        Self { message: problem.error, code }
    }
}

impl From<OfficeError> for Failure {
    fn from(error: OfficeError) -> Self {
        let code = match error.blame() {
            Blame::Refused | Blame::Key => exit::NO,
            Blame::Request => exit::USE,
            Blame::Moment => exit::UNREACHED,
            Blame::Service => exit::INTERNAL,
            Blame::Damage => exit::PERSON,
        };
        Self { message: error.to_string(), code }
    }
}

impl From<SimulateError> for Failure {
    fn from(error: SimulateError) -> Self {
        match error {
            SimulateError::Office(error) => error.into(),
            SimulateError::Ahead => Self::wrong_use(error.to_string()),
            SimulateError::Disagree { .. } | SimulateError::Findings { .. } => {
                Self::refused(error.to_string())
            }
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::wrong_use(error.to_string())
    }
}

/// Runs the command the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match carry_out(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("sekisho: {}", failure.message.replace('\n', " "));
            ExitCode::from(failure.code)
        }
    }
}

fn carry_out(arguments: &Arguments) -> Result<(), Failure> {
    let data = DataDir::new(&arguments.data);
    let json = arguments.json;
    match &arguments.command {
        Command::Demo(demo) => demo::run(&data, demo, json),
        Command::Init(init) => {
            let made = office::init(&data, &init.organization)?;
            let (key, notices) = (made.checkpoint_key.to_string(), made.notice_key);
            let path = data.path().display().to_string();
            let told =
                serde_json::json!({ "data": path, "checkpoint_key": key, "notice_key_sha256": notices });
            print(json, &told, || {
                format!(
                    "{path}: new keys and authorities, test only. Next: sekisho serve --data {path}\n\
                     keep elsewhere, for sekisho check --checkpoint: {key}\n\
                     keep elsewhere, and publish: SHA-256 of the public key that signs notices of a compromise: {notices}"
                )
            })
        }
        Command::Serve(serve) => serve::run(&data, serve),
        Command::Issue(issue) => issue::run(&data, issue, json),
        Command::Certificate(certificate) => certificate::run(&data, certificate, json),
        Command::Revoke(revoke) => change::revoke(&data, revoke, json),
        Command::Hold(hold) => change::hold(&data, hold, json),
        Command::Release(release) => change::release(&data, release, json),
        Command::Status(status) => status::run(&data, status, json),
        Command::Crl(crl) => crl::run(&data, crl, json),
        Command::Reload => reload::run(&data, json),
        Command::Explain(explain) => explain::run(&data, explain, json),
        Command::Journal(journal) => journal::run(&data, journal, json),
        Command::Restore(restore) => restore::run(&data, restore, json),
        Command::Clock(clock) => clock::run(&data, clock, json),
        Command::Signer(signer) => signer::run(&data, signer, json),
        Command::Verifier(verifier) => verifier::run(&data, verifier, json),
        Command::Card(card) => card::run(&data, card, json),
        Command::Movements(movements) => movements::run(&data, movements, json),
        Command::Authority(command) => authority::run(&data, command, json),
        Command::Simulate(simulate) => simulate::run(&data, simulate, json),
        Command::Reconcile => card::reconcile(&data, json),
        Command::Rules => card::rules(json),
        Command::Check(check) => check::run(&data, check, json),
        Command::Load(load) => load::run(&data, load, json),
        Command::TestMaterial { directory } => crate::issue::test_material::write(directory)
            .map_err(|error| Failure::internal(error.to_string())),
    }
}

/// Prints an outcome, as JSON or in words.
fn print(json: bool, value: &impl Serialize, words: impl FnOnce() -> String) -> Result<(), Failure> {
    use std::io::Write;
    // Written as it is made: the difference of two CRLs may have a gigabyte.
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let written = if json {
        match serde_json::to_writer(&mut out, value) {
            Err(error) if !error.is_io() => return Err(Failure::internal(error.to_string())),
            _ => writeln!(out),
        }
    } else {
        writeln!(out, "{}", words())
    };
    // Who closed the pipe has read enough.
    drop(written.and_then(|()| out.flush()));
    Ok(())
}
