//! `revoke`, `hold`, `release`.

use super::args::{Certificate, Grounds, Hold, Release, Revoke, WhatFor};
use super::client::Client;
use super::named::selector;
use super::{DataDir, Failure, print};
use crate::admin::api::{Change, Changed, path};

pub(super) fn revoke(data: &DataDir, asked: &Revoke, json: bool) -> Result<(), Failure> {
    let change = Change {
        reason: asked.reason.clone(),
        invalid_since: asked.invalid_since.clone(),
        ..change(data, &asked.certificate, &asked.what_for)?
    };
    submit(data, path::REVOKE, &change, json)
}

pub(super) fn hold(data: &DataDir, asked: &Hold, json: bool) -> Result<(), Failure> {
    let change = Change {
        invalid_since: asked.invalid_since.clone(),
        ..change(data, &asked.certificate, &asked.what_for)?
    };
    submit(data, path::HOLD, &change, json)
}

pub(super) fn release(data: &DataDir, asked: &Release, json: bool) -> Result<(), Failure> {
    submit(data, path::RELEASE, &change(data, &asked.certificate, &asked.what_for)?, json)
}

fn change(data: &DataDir, certificate: &Certificate, what_for: &WhatFor) -> Result<Change, Failure> {
    let (certificate, WhatFor { grounds, key }) = (selector(data, certificate)?, what_for);
    let (Grounds { ticket, comment }, key) = (grounds.clone(), key.clone());
    Ok(Change { certificate, reason: None, invalid_since: None, ticket, comment, key })
}

fn submit(data: &DataDir, path: &str, change: &Change, json: bool) -> Result<(), Failure> {
    let done: Changed = Client::of(data)?.post(path, change)?;
    print(json, &done, || in_words(&done))
}

fn in_words(done: &Changed) -> String {
    let Changed { authority, serial, position, recorded_at, .. } = done;
    let status = match (&done.status.reason, &done.status.revoked_at) {
        (Some(reason), Some(at)) => format!("{}, {reason}, since {at}", done.status.status),
        _ => done.status.status.clone(),
    };
    let how = match (done.changed, done.repeated) {
        (true, _) => "recorded",
        (false, true) => "carried out before under this key, recorded",
        (false, false) => "so already, nothing changed; recorded",
    };
    format!("{authority} {serial}: {status} ({how} at {recorded_at}, journal position {position})")
}
