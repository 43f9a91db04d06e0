//! `check`.

use super::args::Check;
use super::client::Client;
use super::crl::fetch;
use super::{DataDir, Failure, print};
use crate::admin::api::{self, path};
use crate::office::{Checkpoint, CheckpointError, CheckpointKey, Condition, OfficeError};

pub(super) fn run(data: &DataDir, asked: &Check, json: bool) -> Result<(), Failure> {
    let checkpoint = asked.checkpoint.as_deref().map(|source| read(data, source, asked)).transpose()?;
    let condition = match Client::of(data) {
        Ok(_) if asked.deep => {
            return Err(Failure::wrong_use("--deep folds the whole journal anew: stop the service first"));
        }
        Ok(mut service) => {
            let checkpoint = checkpoint.as_ref().map(api::Checkpoint::from);
            service.post(path::CHECK, &api::Check { checkpoint })?
        }
        Err(_) => api::Condition::from(Condition::of(data, asked.deep, checkpoint.as_ref())?),
    };
    print(json, &condition, || in_words(&condition))?;
    match condition.findings.len() {
        0 => Ok(()),
        1 => Err(Failure::refused("1 finding")),
        many => Err(Failure::refused(format!("{many} findings"))),
    }
}

/// A checkpoint, by the key that is named or that the directory has.
fn read(data: &DataDir, source: &str, asked: &Check) -> Result<Checkpoint, Failure> {
    let note = String::from_utf8(fetch::octets(source)?);
    let note = note.map_err(|_| OfficeError::from(CheckpointError::Form))?;
    let key = match &asked.checkpoint_key {
        Some(key) => key.clone(),
        None => {
            let path = data.checkpoint_public_key();
            let unread =
                |error| Failure::wrong_use(format!("{}: {error}; give --checkpoint-key", path.display()));
            std::fs::read_to_string(&path).map_err(unread)?
        }
    };
    let key = CheckpointKey::from_text(&key).map_err(OfficeError::from)?;
    Ok(Checkpoint::from_note(&note, &key).map_err(OfficeError::from)?)
}

fn in_words(condition: &api::Condition) -> String {
    let api::Condition { position, head, epoch, certificates, findings, remarks } = condition;
    let mut lines = vec![format!("journal position {position}, epoch {epoch}, digest {head}")];
    lines.push(format!("{certificates} certificates recorded"));
    lines.extend(remarks.iter().map(|remark| format!("- {remark}")));
    lines.extend(findings.iter().map(|finding| format!("! {finding}")));
    if findings.is_empty() {
        lines.push("all well".to_owned());
    }
    lines.join("\n")
}
