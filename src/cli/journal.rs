//! `journal seen`, `journal accept-end`, and the way to `journal export`.

use super::args::Journal;
use super::client::Client;
use super::{DataDir, Failure, export, print};
use crate::admin::api::{AcceptedEnd, JournalSeen, path};
use crate::office;

pub(super) fn run(data: &DataDir, asked: &Journal, json: bool) -> Result<(), Failure> {
    match asked {
        Journal::Export(asked) => export::run(data, asked),
        Journal::Seen => {
            let seen: JournalSeen = Client::of(data)?.post(path::JOURNAL_SEEN, &serde_json::json!({}))?;
            print(json, &seen, || match seen.pieces.as_slice() {
                [] => "nothing was cut off that nobody had seen to".to_owned(),
                pieces => format!("seen to:\n{}", pieces.join("\n")),
            })
        }
        Journal::AcceptEnd { reason } => {
            if Client::of(data).is_ok() {
                return Err(Failure::wrong_use(
                    "a service runs on this directory: its journal ends where it should",
                ));
            }
            let accepted = AcceptedEnd::from(office::accept_end(data, reason)?);
            print(json, &accepted, || in_words(&accepted))
        }
    }
}

fn in_words(accepted: &AcceptedEnd) -> String {
    let AcceptedEnd { last, position, epoch, pieces } = accepted;
    let mut lines =
        vec![format!("the journal ends at entry {last}; entry {position} begins epoch {epoch} and says why")];
    lines.extend(pieces.iter().cloned());
    lines.push(
        "have every request since then repeated, start the service, and look at what the next CRL set no longer lists"
            .to_owned(),
    );
    lines.join("\n")
}
