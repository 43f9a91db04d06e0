//! `--presign` of `serve` and `demo`.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::Failure;
use super::args::Presign;
use super::progress::progress_bar;
use super::running::ToldToStop;
use crate::office::{Office, OfficeError, Presigning, Progress, Stage, Tell};
use crate::pki::{AuthorityId, HashAlgorithm};

/// Between two lines of the log that tell how far it is.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Waits until the service is told to stop, presigning meanwhile if that was asked for.
pub(super) fn until_told_to_stop(
    office: &Arc<Office>,
    asked: &Presign,
    told: ToldToStop,
) -> Result<(), Failure> {
    let presigning = start(office, asked)?;
    let ended = told.wait(|| match office.contradicted() {
        // What it answers rests on that journal.
        Some(contradicted) if contradicted.since_start => {
            Err(OfficeError::Contradicted(contradicted.to_string()))
        }
        _ => Ok(()),
    });
    drop(presigning);
    ended
}

fn start(office: &Arc<Office>, asked: &Presign) -> Result<Option<Presigning>, Failure> {
    let Some(name) = &asked.presign else { return Ok(None) };
    let authorities: Vec<AuthorityId> = match name.as_str() {
        "" => office.profile().authorities.iter().map(|authority| authority.id).collect(),
        name => vec![office.authority(name)?],
    };
    let hash = if asked.presign_hash == "sha256" { HashAlgorithm::Sha256 } else { HashAlgorithm::Sha1 };
    let tell = if std::io::stderr().is_terminal() { on_terminal() } else { in_log() };
    let started = Presigning::start(Arc::clone(office), authorities, hash, office.sign_last(), tell);
    started.map(Some).map_err(|error| Failure::internal(format!("presigning: {error}")))
}

fn in_log() -> Tell {
    let told = Mutex::new(Instant::now());
    Box::new(move |progress| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if progress.stage != Stage::Going {
            log_end(progress);
        } else if told.elapsed() >= TELL_EVERY {
            *told = Instant::now();
            let Progress { authority, done, total, signed, .. } = progress;
            tracing::info!(authority, done, total, signed, "presigning");
        }
    })
}

fn on_terminal() -> Tell {
    let bar: Mutex<Option<ProgressBar>> = Mutex::new(None);
    Box::new(move |progress| {
        let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
        let total = usize::try_from(progress.total).unwrap_or(usize::MAX);
        bar.get_or_insert_with(|| progress_bar(total, "presigning")).set_position(progress.done);
        if progress.stage != Stage::Going {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
            log_end(progress);
        }
    })
}

fn log_end(progress: &Progress) {
    let Progress { authority, done, total, signed, stage } = progress;
    match stage {
        Stage::Going => {}
        Stage::Complete => tracing::info!(authority, total, signed, "presigned"),
        Stage::Stopped => {
            tracing::info!(authority, done, total, signed, "presigning stopped with the service")
        }
        Stage::Full => tracing::warn!(
            authority,
            done,
            total,
            signed,
            "presigning ended early: the memory for kept signatures is full; raise ocsp.cache_megabytes"
        ),
        Stage::Failed(error) => {
            tracing::error!(authority, done, total, signed, error, "presigning ended early")
        }
    }
}
