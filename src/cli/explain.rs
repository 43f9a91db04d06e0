//! `explain`.

use super::args::Explain;
use super::client::Client;
use super::named::selector;
use super::{DataDir, Failure, print};
use crate::admin::api::{self, ExplainedAnswer, Explanation, path};

pub(super) fn run(data: &DataDir, asked: &Explain, json: bool) -> Result<(), Failure> {
    let asked = api::Explain { certificate: selector(data, &asked.certificate)? };
    let explained: Explanation = Client::of(data)?.post(path::EXPLAIN, &asked)?;
    print(json, &explained, || in_words(&explained))
}

fn in_words(explained: &Explanation) -> String {
    let Explanation { authority, serial, status, .. } = explained;
    let generation = explained.generation.map(|number| format!(" (generation {number})")).unwrap_or_default();
    let mut lines = vec![format!("{authority} {serial}{generation}: {}", status.status)];
    let mut line = |name: &str, value: Option<&String>| {
        if let Some(value) = value {
            lines.push(format!("  {name:<14}{value}"));
        }
    };
    line("reason", status.reason.as_ref());
    line("since", explained.since.as_ref());
    line("says entry", explained.position.map(|position| position.to_string()).as_ref());
    line("now", Some(&explained.now));
    line("nothing signed", explained.frozen.as_ref());
    if explained.signers.is_empty() {
        lines.push("  no signer answers for it".to_owned());
    }
    for signer in &explained.signers {
        lines.push(format!("signer {} ({})", signer.key_id, signer.algorithm));
        lines.push(format!(
            "  certificate {} of generation {}, until {}",
            signer.serial, signer.generation, signer.not_after
        ));
        if signer.kept.is_empty() {
            lines.push("  nothing kept: who asks has it signed".to_owned());
        }
        lines.extend(signer.kept.iter().flat_map(kept));
    }
    if !explained.others.is_empty() {
        lines.push("of signers that are gone".to_owned());
        lines.extend(explained.others.iter().flat_map(kept));
    }
    lines.join("\n")
}

fn kept(answer: &ExplainedAnswer) -> [String; 3] {
    let ExplainedAnswer { hash, signed_at, refresh_at, next_update, why, .. } = answer;
    let parameters = if answer.null_parameters { "NULL" } else { "absent" };
    let cached = answer.http_cached_until.as_ref().map(|until| format!(", HTTP caches until {until}"));
    [
        format!("  kept for {hash}, parameters {parameters}: signed {signed_at}"),
        format!("    refresh from {refresh_at}, nextUpdate {next_update}{}", cached.unwrap_or_default()),
        format!("    {}: {why}", if answer.usable { "usable" } else { "not usable" }),
    ]
}
