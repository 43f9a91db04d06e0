//! How far a long command has come.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on standard error while a person watches; nothing otherwise.
pub(super) fn progress_bar(len: usize, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(u64::try_from(len).unwrap_or(u64::MAX)).with_style(style).with_message(what)
}
