//! `clock status` and `clock release`.

use super::args::{Clock, ClockCommand};
use super::client::Client;
use super::{DataDir, Failure, print};
use crate::admin::api::{ClockRelease, ClockState, path};

pub(super) fn run(data: &DataDir, asked: &Clock, json: bool) -> Result<(), Failure> {
    match asked.what.unwrap_or(ClockCommand::Status) {
        ClockCommand::Status => {
            let state: ClockState = Client::of(data)?.post(path::CLOCK, &serde_json::json!({}))?;
            print(json, &state, || in_words(&state))?;
            if state.frozen { Err(Failure::refused(NOT_BELIEVED)) } else { Ok(()) }
        }
        ClockCommand::Release => {
            let release: ClockRelease =
                Client::of(data)?.post(path::CLOCK_RELEASE, &serde_json::json!({}))?;
            print(json, &release, || release_in_words(&release))
        }
    }
}

/// Exit code 1 says it to a script.
const NOT_BELIEVED: &str = "the clock is not believed, and nothing is signed: set it right, or, if it is right, run `sekisho clock release`";

fn in_words(state: &ClockState) -> String {
    let mut lines = vec![
        format!("wall clock    {}", state.wall),
        format!("trusted       {}", state.trusted),
        format!("last recorded {}", state.recorded_at),
    ];
    if let (Some(since), Some(why)) = (&state.since, &state.why) {
        lines.push(format!("frozen since  {since}: {why}"));
    } else {
        lines.push("believed".to_owned());
    }
    lines.join("\n")
}

fn release_in_words(release: &ClockRelease) -> String {
    let ClockRelease { from, to, position, .. } = release;
    match position {
        Some(position) => {
            format!("{to} is believed from now on, after {from} (entry {position}); signing goes on")
        }
        None => format!("the clock is believed as it is, {to}: nothing to release"),
    }
}
