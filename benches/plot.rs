//! A picture of what a bench measured: `cargo bench --bench plot -- IN.json OUT.svg`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench may panic"
)]

#[path = "support/plot.rs"]
mod plot;

use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [from, to] = arguments.as_slice() else { return };
    if from.starts_with("--") {
        // Meant for the other benches: `cargo bench -- --seconds 1` runs them all.
        return;
    }
    let octets = std::fs::read(from).unwrap_or_else(|error| panic!("{from}: {error}"));
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&octets).expect("rows of a bench");
    plot::write(Path::new(to), &rows);
}
