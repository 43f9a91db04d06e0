//! The house's layering, read off the source: every room imports only rooms below it.
//!
//! All of `src/` is parsed; every path is resolved to the room or crate it names, wherever it
//! stands: `use` trees, types, expressions, attributes, the tokens of a macro call. Test modules
//! keep the rules too: a unit test that needs a room above belongs under `tests/`.
//! Each rule is tried on a forbidden line first, so that a rule that sees nothing is red.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a test may fail by panicking"
)]

#[path = "layers/mentions.rs"]
mod mentions;

use std::fs;
use std::path::{Path, PathBuf};

use mentions::{Mention, Target, mentions};

/// From the ground up. Rooms of one layer do not know each other.
const LAYERS: &[&[&str]] = &[
    &["der", "sync"],
    &["pki"],
    &["record", "profile", "registry"],
    &["store", "signer", "status"],
    &["issue", "lifecycle", "crl", "ocsp", "verify"],
    &["office"],
    &["http", "admin", "simulate"],
    &["cli"],
    &["main"],
];

/// They import no room, and only [`READ_LEAVES`] import them.
const LEAVES: &[&str] = &["config", "telemetry"];
const READ_LEAVES: &[&str] = &["office", "http", "admin", "simulate", "cli", "main"];

/// Rooms that may see the time pass; to all others it is an argument.
const READ_CLOCK: &[&str] = &["store", "office", "http", "admin", "simulate", "cli"];

/// Crates that are the business of some rooms only.
const CRATES: &[(&[&str], &[&str])] = &[
    (&["clap"], &["cli", "main"]),
    (
        &["hyper", "hyper_util", "http_body", "http_body_util", "tokio", "tokio_rustls"],
        &["http", "admin", "cli"],
    ),
    (&["sled"], &["store"]),
];

/// What a room that knows no DER may still take from `der`: the time.
const TIME: &[&str] = &["UnixTime", "TimeError"];

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&room))
}

fn is_room(name: &str) -> bool {
    layer(name).is_some() || LEAVES.contains(&name)
}

// The rules: whether a mention breaks them.

fn imports_upwards(mention: &Mention) -> bool {
    let Some(target) = mention.other_room() else { return false };
    matches!((layer(&mention.room), layer(target)), (Some(from), Some(to)) if to > from)
}

fn imports_sideways(mention: &Mention) -> bool {
    let Some(target) = mention.other_room() else { return false };
    layer(&mention.room).is_some() && layer(&mention.room) == layer(target)
}

fn leaf_is_no_leaf(mention: &Mention) -> bool {
    let Some(target) = mention.other_room() else { return false };
    LEAVES.contains(&mention.room.as_str())
        || (LEAVES.contains(&target) && !READ_LEAVES.contains(&mention.room.as_str()))
}

/// A name at the crate's root, or all of the root at once, hides which room is meant.
fn names_no_room(mention: &Mention) -> bool {
    match &mention.target {
        Target::Root => mention.import,
        Target::Room(room) => !is_room(room),
        Target::Crate(_) | Target::Local => false,
    }
}

fn passes_on(mention: &Mention) -> bool {
    mention.public && mention.other_room().is_some()
}

fn names_a_crate_of_others(mention: &Mention) -> bool {
    let Target::Crate(name) = &mention.target else { return false };
    CRATES
        .iter()
        .any(|(crates, rooms)| crates.contains(&name.as_str()) && !rooms.contains(&mention.room.as_str()))
}

fn reads_the_clock(mention: &Mention) -> bool {
    let clock = mention
        .path
        .iter()
        .any(|word| ["SystemTime", "Instant", "now_utc", "now_local"].contains(&word.as_str()));
    let now =
        mention.path.len() > 1 && mention.path.last().is_some_and(|word| word == "now" || word == "elapsed");
    (clock || now) && !READ_CLOCK.contains(&mention.room.as_str())
}

fn knows_der(mention: &Mention) -> bool {
    ["http", "admin"].contains(&mention.room.as_str())
        && mention.other_room() == Some("der")
        && !mention.item.first().is_some_and(|item| TIME.contains(&item.as_str()))
}

// The tests.

#[test]
fn a_room_imports_only_rooms_below_it() {
    let broken = |at, code| broken(at, code, imports_upwards);
    assert_eq!(broken("src/pki/name.rs", "use crate::profile::Profile;"), ["crate::profile::Profile"]);
    assert_eq!(broken("src/crl/mod.rs", "use super::office;"), ["super::office"]);
    assert_eq!(
        broken("src/crl/plan.rs", "use super::super::{der::Oid, http::*};"),
        ["super::super::http::*"]
    );
    assert_eq!(broken("src/der/mod.rs", "mod tests { use super::super::pki as p; }"), ["super::super::pki"]);
    assert_eq!(
        broken("src/der/oid.rs", "#[cfg(test)] mod tests { use crate::pki::oid; }"),
        ["crate::pki::oid"]
    );
    assert_eq!(broken("src/ocsp/mod.rs", "fn f(a: &[crate::office::Office]) {}"), ["crate::office::Office"]);
    assert_eq!(broken("src/ocsp/mod.rs", "fn f() { crate::http::g::<u8>() }"), ["crate::http::g"]);
    assert_eq!(broken("src/ocsp/mod.rs", "fn f() { g::<crate::http::T>() }"), ["crate::http::T"]);
    assert_eq!(broken("src/store/mod.rs", "impl crate::issue::T for U {}"), ["crate::issue::T"]);
    assert_eq!(
        broken("src/status/mod.rs", "fn f() { assert!(!g(1, [crate::ocsp::X])) }"),
        ["crate::ocsp::X"]
    );
    assert_eq!(broken("src/status/mod.rs", "m! { use crate::{ocsp::X, pki::Y}; }"), ["crate::ocsp::X"]);
    assert_eq!(
        broken("src/status/mod.rs", "#[serde(with = \"crate::ocsp::x\")] struct S;"),
        ["crate::ocsp::x"]
    );
    assert_eq!(
        broken("src/status/mod.rs", "macro_rules! m { () => { $crate::crl::x() } }"),
        ["crate::crl::x"]
    );
    assert_eq!(broken("src/office/mod.rs", "use sekisho::cli;"), ["sekisho::cli"]);

    assert!(broken("src/office/mod.rs", "use crate::{config, crl::{self, Plan}, der};").is_empty());
    assert!(broken("src/crl/plan.rs", "use super::entry::Entry; mod tests { use super::*; }").is_empty());
    assert!(broken("src/crl/plan.rs", "//! See [`crate::office`].\npub(crate) fn http() {}").is_empty());
    assert_kept(imports_upwards);
}

#[test]
fn rooms_of_one_layer_do_not_know_each_other() {
    let broken = |at, code| broken(at, code, imports_sideways);
    assert_eq!(broken("src/store/mod.rs", "use crate::status::StatusIndex;"), ["crate::status::StatusIndex"]);
    assert_eq!(broken("src/store/mod.rs", "use crate::signer;"), ["crate::signer"]);
    assert_eq!(broken("src/status/mod.rs", "use crate::store;"), ["crate::store"]);
    assert_eq!(broken("src/crl/entry.rs", "use crate::ocsp::Signer;"), ["crate::ocsp::Signer"]);
    assert_eq!(broken("src/record/mod.rs", "use crate::profile;"), ["crate::profile"]);
    assert_eq!(broken("src/admin/mod.rs", "use crate::http;"), ["crate::http"]);

    assert!(broken("src/crl/entry.rs", "use crate::crl::Plan; use crate::pki;").is_empty());
    assert_kept(imports_sideways);
}

#[test]
fn settings_and_logs_are_leaves() {
    let broken = |at, code| broken(at, code, leaf_is_no_leaf);
    assert_eq!(broken("src/config.rs", "use crate::pki::Name;"), ["crate::pki::Name"]);
    assert_eq!(broken("src/telemetry.rs", "use super::config;"), ["super::config"]);
    assert_eq!(broken("src/crl/mod.rs", "use crate::config::Crl;"), ["crate::config::Crl"]);

    assert!(broken("src/office/mod.rs", "use crate::config::Crl;").is_empty());
    assert_kept(leaf_is_no_leaf);
}

#[test]
fn every_path_names_a_room_of_the_map() {
    let broken = |at, code| broken(at, code, names_no_room);
    assert_eq!(broken("src/crl/mod.rs", "use crate::*;"), ["crate::*"]);
    assert_eq!(broken("src/crl/mod.rs", "use super::*;"), ["super::*"]);
    assert_eq!(broken("src/crl/plan.rs", "use crate as root;"), ["crate"]);
    assert_eq!(broken("src/crl/plan.rs", "extern crate self as root;"), ["self"]);
    assert_eq!(broken("src/crl/plan.rs", "use crate::utils::Stack;"), ["crate::utils::Stack"]);

    assert!(broken("src/crl/plan.rs", "use super::*; use crate::der::*;").is_empty());
    assert_kept(names_no_room);
}

#[test]
fn no_room_passes_on_the_items_of_another() {
    let broken = |at, code| broken(at, code, passes_on);
    assert_eq!(broken("src/crl/mod.rs", "pub use crate::pki::Name;"), ["crate::pki::Name"]);
    assert_eq!(broken("src/crl/mod.rs", "pub(crate) use super::pki::*;"), ["super::pki::*"]);
    assert_eq!(broken("src/lib.rs", "pub mod pki; pub use pki::Name;"), ["pki::Name"]);

    assert!(broken("src/crl/mod.rs", "mod plan; pub use plan::Plan; use crate::pki::Name;").is_empty());
    assert_kept(passes_on);
}

#[test]
fn each_crate_stays_in_the_rooms_that_know_it() {
    let broken = |at, code| broken(at, code, names_a_crate_of_others);
    assert_eq!(broken("src/office/mod.rs", "use clap::Parser;"), ["clap::Parser"]);
    assert_eq!(broken("src/http/mod.rs", "#[derive(clap::Args)] struct S;"), ["clap::Args"]);
    assert_eq!(broken("src/ocsp/mod.rs", "use hyper::{Request, body};"), ["hyper::Request", "hyper::body"]);
    assert_eq!(broken("src/office/mod.rs", "fn f() { ::tokio::spawn(g()) }"), ["::tokio::spawn"]);
    assert_eq!(broken("src/crl/mod.rs", "#[tokio::test] async fn t() {}"), ["tokio::test"]);
    assert_eq!(broken("src/crl/mod.rs", "fn f() { tokio::select! { x = sled::y() => {} } }").len(), 2);
    assert_eq!(broken("src/status/mod.rs", "extern crate sled as rows;"), ["sled"]);
    assert_eq!(broken("src/office/mod.rs", "struct S(Vec<sled::Db>);"), ["sled::Db"]);

    assert!(broken("src/store/rows.rs", "use sled::Db; impl Rows { fn sled() { Self::sled() } }").is_empty());
    assert!(broken("src/cli/client.rs", "use hyper::Request; use clap::Parser;").is_empty());
    assert_kept(names_a_crate_of_others);
}

#[test]
fn below_the_office_only_the_store_reads_the_clock() {
    let broken = |at, code| broken(at, code, reads_the_clock);
    assert_eq!(broken("src/ocsp/mod.rs", "fn f() { SystemTime::now(); }"), ["SystemTime::now"]);
    assert_eq!(broken("src/ocsp/mod.rs", "use std::time::{Duration, Instant as I};"), ["std::time::Instant"]);
    assert_eq!(
        broken("src/issue/mod.rs", "fn f() { OffsetDateTime::now_utc(); }"),
        ["OffsetDateTime::now_utc"]
    );
    assert_eq!(broken("src/der/time.rs", "fn f() { std::time::UNIX_EPOCH.elapsed(); }"), ["_::elapsed"]);
    assert_eq!(broken("src/crl/mod.rs", "fn f(clock: &Clock) { clock.now(); }"), ["_::now"]);
    assert_eq!(broken("src/config.rs", "fn f() { debug!(UtcDateTime::now()) }"), ["UtcDateTime::now"]);

    assert!(broken("src/store/clock.rs", "fn f() { SystemTime::now(); }").is_empty());
    assert!(broken("src/ocsp/mod.rs", "fn f(now: UnixTime) { g(now) }").is_empty());
    assert_kept(reads_the_clock);
}

#[test]
fn the_listeners_take_nothing_but_time_from_der() {
    let broken = |at, code| broken(at, code, knows_der);
    assert_eq!(broken("src/http/route.rs", "use crate::der::{Reader, UnixTime};"), ["crate::der::Reader"]);
    assert_eq!(broken("src/admin/mod.rs", "use crate::der;"), ["crate::der"]);

    assert!(broken("src/http/route.rs", "use crate::der::UnixTime;").is_empty());
    assert_kept(knows_der);
}

/// Nobody is sent to restore from what does not exist.
#[test]
fn nothing_in_the_source_speaks_of_a_follower() {
    for (path, text) in source() {
        assert!(!text.to_lowercase().contains("follower"), "{}", path.display());
    }
}

/// The names of files tell their modules, and so their rooms.
#[test]
fn every_file_belongs_to_a_room_and_is_the_module_of_its_name() {
    assert!(!broken("src/crl/mod.rs", "#[path = \"../office/mod.rs\"] mod o;", moves_a_file).is_empty());
    assert!(!broken("src/crl/mod.rs", "include!(\"../office/x.rs\");", moves_a_file).is_empty());
    assert_kept(moves_a_file);

    for (path, _) in source() {
        let room = mentions::room(&path);
        assert!(is_room(&room) || room == "lib", "{}: give the room {room} a layer", path.display());
    }
}

fn moves_a_file(mention: &Mention) -> bool {
    mention.path == ["#[path]"] || mention.path == ["include!"]
}

// What is read.

fn broken(path: &str, code: &str, rule: fn(&Mention) -> bool) -> Vec<String> {
    let found = mentions(Path::new(path), code, is_room);
    found.iter().filter(|mention| rule(mention)).map(|mention| mention.to_string()).collect()
}

/// Asserts that all of `src/` keeps the rule.
#[track_caller]
fn assert_kept(rule: fn(&Mention) -> bool) {
    let source = source();
    let rooms_seen = source.iter().any(|(path, _)| path.ends_with("src/der/mod.rs"));
    assert!(rooms_seen, "the source was not found");
    let broken: Vec<String> = source
        .iter()
        .flat_map(|(path, code)| {
            mentions(path, code, is_room).into_iter().map(move |mention| (path, mention))
        })
        .filter(|(_, mention)| rule(mention))
        .map(|(path, mention)| format!("{}: {mention}", path.display()))
        .collect();
    assert!(broken.is_empty(), "against the layers:\n{}", broken.join("\n"));
}

/// Every file below `src/` with its text, by its path in the package.
fn source() -> Vec<(PathBuf, String)> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![];
    let mut directories = vec![package.join("src")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(package).unwrap().to_owned(), text));
            }
        }
    }
    files.sort();
    files
}
