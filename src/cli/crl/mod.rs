//! `crl`: those that ask the service, and those that only read CRLs.

mod diff;
mod entry;
pub(super) mod fetch;
mod read;
mod scope;
mod show;
mod verify;
mod words;

use std::path::Path;

use super::args::Crl;
use super::client::Client;
use super::{DataDir, Failure, print};
use crate::admin::api::{CrlList, HeldBackSet, Publish, Published, RebuildSet, RebuiltSet, ReleaseSet, path};
use crate::crl::{Catalogue, Row};

pub(super) fn run(data: &DataDir, crl: &Crl, json: bool) -> Result<(), Failure> {
    match crl {
        Crl::Publish { authority } => {
            let asked = Publish { authority: authority.clone() };
            let set: Published = Client::of(data)?.post(path::CRL_PUBLISH, &asked)?;
            print(json, &set, || published(&set))
        }
        Crl::Release { set, reason } => {
            let asked = ReleaseSet { set: set.clone(), reason: reason.clone() };
            let set: Published = Client::of(data)?.post(path::CRL_RELEASE, &asked)?;
            print(json, &set, || published(&set))
        }
        Crl::Rebuild { set, out } => rebuild(data, set, out.as_deref(), json),
        Crl::Show { file, entries } => show::run(file, *entries, json),
        Crl::Diff { before, after, limit } => diff::run(before, after, *limit, json),
        Crl::Verify(asked) => verify::run(asked, json),
        Crl::List => {
            let list: CrlList = Client::of(data)?.post(path::CRL_LIST, &serde_json::json!({}))?;
            let Some(catalogue) = &list.catalogue else {
                return Err(Failure::refused("no CRL set has been published yet: run sekisho crl publish"));
            };
            print(json, &with_catalogue_inside(&list)?, || in_words(catalogue, &list))
        }
    }
}

fn published(set: &Published) -> String {
    let Published { set, crls, entries, this_update, next_update } = set;
    format!("set {set}: {crls} CRLs, {entries} entries, {this_update} to {next_update}")
}

/// Exit code 1 when a CRL is not what the journal makes.
fn rebuild(data: &DataDir, set: &str, out: Option<&Path>, json: bool) -> Result<(), Failure> {
    // The service may run in another directory.
    let directory = out.map(std::path::absolute).transpose();
    let directory = directory.map_err(|error| Failure::wrong_use(format!("--out: {error}")))?;
    let asked = RebuildSet { set: set.to_owned(), directory };
    let rebuilt: RebuiltSet = Client::of(data)?.post(path::CRL_REBUILD, &asked)?;
    print(json, &rebuilt, || {
        let RebuiltSet { same, same_content, different } = &rebuilt;
        let mut lines = vec![format!(
            "set {set}: {same} CRLs octet for octet as published, {same_content} with another good signature, {} different",
            different.len()
        )];
        lines.extend(different.iter().cloned());
        lines.join("\n")
    })?;
    match rebuilt.different.first() {
        None => Ok(()),
        Some(first) => Err(Failure::refused(format!("not what the journal makes: {first}"))),
    }
}

/// As JSON shows it: the catalogue, and beside its fields what does not come out.
fn with_catalogue_inside(list: &CrlList) -> Result<serde_json::Value, Failure> {
    let failed = |error: serde_json::Error| Failure::internal(error.to_string());
    let mut shown = serde_json::to_value(&list.catalogue).map_err(failed)?;
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("held_back".to_owned(), serde_json::to_value(&list.held_back).map_err(failed)?);
        fields.insert("alarms".to_owned(), serde_json::to_value(&list.alarms).map_err(failed)?);
    }
    Ok(shown)
}

fn in_words(catalogue: &Catalogue, list: &CrlList) -> String {
    let heading = ("ENTRIES", "BYTES", "THIS UPDATE", "NEXT UPDATE", "ADDRESS");
    let mut lines = vec![format!(
        "{:>9} {:>10}  {:<20}  {:<20}  {}",
        heading.0, heading.1, heading.2, heading.3, heading.4
    )];
    lines.extend(catalogue.crls.iter().map(|row| {
        let Row { entries, bytes, this_update, next_update, url, .. } = row;
        format!("{entries:>9} {bytes:>10}  {this_update:<20}  {next_update:<20}  {url}")
    }));
    lines.extend(list.alarms.iter().map(|alarm| format!("! {alarm}")));
    if let Some(held) = &list.held_back {
        let HeldBackSet { set, next_update, findings, .. } = held;
        lines.push(format!(
            "set {set} waits until {next_update}; `sekisho crl release --set {set} --reason …`"
        ));
        lines.extend(findings.iter().map(|finding| format!("  {finding}")));
    }
    lines.join("\n")
}
