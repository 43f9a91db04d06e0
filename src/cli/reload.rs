//! `reload`.

use super::client::Client;
use super::{DataDir, Failure, print};
use crate::admin::api::{GivenSigner, Reloaded, path};

pub(super) fn run(data: &DataDir, json: bool) -> Result<(), Failure> {
    let reloaded: Reloaded = Client::of(data)?.post(path::RELOAD, &serde_json::json!({}))?;
    print(json, &reloaded, || in_words(&reloaded))
}

fn in_words(reloaded: &Reloaded) -> String {
    if reloaded.signers.is_empty() {
        return "no signers in signers/: those made here sign".to_owned();
    }
    let in_words = |given: &GivenSigner| {
        let GivenSigner { file, authority, generation, key, not_after } = given;
        format!("{file}: {key}, signs for {authority}, generation {generation}, until {not_after}")
    };
    reloaded.signers.iter().map(in_words).collect::<Vec<_>>().join("\n")
}
