//! `crl publish`, `crl list`.

use super::args::Crl;
use super::client::Client;
use super::{DataDir, Failure, print};
use crate::admin::api::{CrlList, HeldBackSet, Publish, Published, path};
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
            let list: CrlList = Client::of(data)?.post(path::CRL_LIST, &serde_json::json!({}))?;
            let Some(catalogue) = &list.catalogue else {
                return Err(Failure::refused("no CRL set has been published yet: run sekisho crl publish"));
            };
            print(json, &with_catalogue_inside(&list)?, || in_words(catalogue, &list))
        }
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
