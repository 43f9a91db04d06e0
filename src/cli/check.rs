//! `check`.

use super::args::Check;
use super::client::Client;
use super::{DataDir, Failure, print};
use crate::admin::api::{self, path};
use crate::office::Condition;

pub(super) fn run(data: &DataDir, asked: &Check, json: bool) -> Result<(), Failure> {
    let condition = match Client::of(data) {
        Ok(_) if asked.deep => {
            return Err(Failure::wrong_use("--deep folds the whole journal anew: stop the service first"));
        }
        Ok(mut service) => service.post(path::CHECK, &serde_json::json!({}))?,
        Err(_) => api::Condition::from(Condition::of(data, asked.deep)?),
    };
    print(json, &condition, || in_words(&condition))?;
    match condition.findings.len() {
        0 => Ok(()),
        1 => Err(Failure::refused("1 finding")),
        many => Err(Failure::refused(format!("{many} findings"))),
    }
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
