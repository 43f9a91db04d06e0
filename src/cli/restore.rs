//! `restore`.

use serde::Serialize;

use super::args::Restore;
use super::client::Client;
use super::crl::fetch;
use super::{DataDir, Failure, print};
use crate::admin::api::AcceptedEnd;
use crate::crl::{Catalogue, CrlNumber};
use crate::office::{self, OfficeError};

/// What a copy that was let go came to.
#[derive(Debug, Serialize)]
struct Restored {
    #[serde(flatten)]
    accepted: AcceptedEnd,
    /// The newest CRL number that the public address shows; none when it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<CrlNumber>,
    /// True when that is of an entry which this copy never had.
    lacks: bool,
}

/// What a directory is.
#[derive(Debug, Serialize)]
struct State {
    /// Why it is a copy; none when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    copy: Option<String>,
}

pub(super) fn run(data: &DataDir, asked: &Restore, json: bool) -> Result<(), Failure> {
    data.check().map_err(OfficeError::from)?;
    if !asked.accept {
        return tell(data, json);
    }
    if Client::of(data).is_ok() {
        return Err(Failure::wrong_use("a service runs on this directory: stop it first"));
    }
    let seen = asked.ask.as_deref().map(newest_number).transpose()?;
    let accepted = office::accept_copy(data, asked.reason.as_deref().unwrap_or_default(), seen)?;
    let lacks = seen.and_then(CrlNumber::parts).is_some_and(|(_, position)| position > accepted.last);
    let restored = Restored { accepted: accepted.into(), seen, lacks };
    print(json, &restored, || in_words(&restored))
}

fn tell(data: &DataDir, json: bool) -> Result<(), Failure> {
    let copy = office::fenced(data)?.map(|why| why.to_string());
    let state = State { copy };
    print(json, &state, || match &state.copy {
        None => "this data directory was made here and is no copy: there is nothing to accept".to_owned(),
        Some(why) => format!(
            "this data directory is a copy: {why}\n\
             Where the service that it was made of is stopped for good, let it go on alone:\n\
             sekisho restore --accept --reason TEXT [--ask URL] --data {}",
            data.path().display()
        ),
    })
}

/// The highest CRL number that a service shows at its public address.
fn newest_number(url: &str) -> Result<CrlNumber, Failure> {
    let url = format!("{}/crl/index.json", url.trim_end_matches('/'));
    let octets = fetch::octets(&url)?;
    let unread = |error| Failure::wrong_use(format!("{url}: not the catalogue of this service: {error}"));
    let catalogue: Catalogue = serde_json::from_slice(&octets).map_err(unread)?;
    let numbers = catalogue.crls.iter().map(|row| row.number);
    Ok(numbers.fold(catalogue.number, CrlNumber::max))
}

fn in_words(restored: &Restored) -> String {
    let AcceptedEnd { last, position, epoch, pieces } = &restored.accepted;
    let mut lines = vec![format!(
        "this copy goes on alone from entry {last}; entry {position} begins epoch {epoch} and says why"
    )];
    lines.extend(pieces.iter().cloned());
    if let (Some(seen), true) = (restored.seen, restored.lacks) {
        lines.push(format!(
            "CRL number {seen} is published there, and its entry was never here: what was recorded since entry {last} \
             is lost to this copy"
        ));
    }
    lines.push(
        "have every request since the copy was made repeated, and start the service; the one that it was made of must \
         never start again"
            .to_owned(),
    );
    lines.join("\n")
}
