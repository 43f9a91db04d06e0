//! `crl`: `publish` and `list` ask the service; `show`, `diff` and `verify` read files, of any.

mod diff;
mod entry;
mod fetch;
mod read;
mod scope;
mod show;
mod verify;
mod words;

use super::args::Crl;
use super::client::Client;
use super::{DataDir, Failure, print};
use crate::admin::api::{Publish, Published, path};
use crate::crl::{Catalogue, Row};

pub(super) fn run(data: &DataDir, crl: &Crl, json: bool) -> Result<(), Failure> {
    match crl {
        Crl::Publish { authority } => {
            let asked = Publish { authority: authority.clone() };
            let set: Published = Client::of(data)?.post(path::CRL_PUBLISH, &asked)?;
            print(json, &set, || {
                let Published { set, crls, entries, this_update, next_update } = &set;
                format!("set {set}: {crls} CRLs, {entries} entries, {this_update} to {next_update}")
            })
        }
        Crl::List => {
            let catalogue: Option<Catalogue> =
                Client::of(data)?.post(path::CRL_LIST, &serde_json::json!({}))?;
            let Some(catalogue) = catalogue else {
                return Err(Failure::refused("no CRL set has been published yet: run sekisho crl publish"));
            };
            print(json, &catalogue, || in_words(&catalogue))
        }
        Crl::Show { file, entries } => show::run(file, *entries, json),
        Crl::Diff { a, b, limit } => diff::run(a, b, *limit, json),
        Crl::Verify(asked) => verify::run(asked, json),
    }
}

fn in_words(catalogue: &Catalogue) -> String {
    let heading = ("ENTRIES", "BYTES", "THIS UPDATE", "NEXT UPDATE", "ADDRESS");
    let mut lines = vec![format!(
        "{:>9} {:>10}  {:<20}  {:<20}  {}",
        heading.0, heading.1, heading.2, heading.3, heading.4
    )];
    lines.extend(catalogue.crls.iter().map(|row| {
        let Row { entries, bytes, this_update, next_update, url, .. } = row;
        format!("{entries:>9} {bytes:>10}  {this_update:<20}  {next_update:<20}  {url}")
    }));
    lines.join("\n")
}
