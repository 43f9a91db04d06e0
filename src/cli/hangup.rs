//! SIGHUP: the signers are reloaded.

use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::Failure;
use crate::office::Office;

/// Waits for the signal; ends when dropped.
pub(super) struct Hangup {
    _stop: oneshot::Sender<()>,
}

/// A SIGHUP ends the process no more; one that comes is kept until somebody reloads.
pub(super) struct Awaited {
    runtime: Runtime,
    signal: Signal,
}

impl Hangup {
    /// From here on a SIGHUP does no harm: a manager may send one while the service starts.
    pub(super) fn awaited() -> Result<Awaited, Failure> {
        let failed = |error: std::io::Error| Failure::internal(format!("SIGHUP: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let entered = runtime.enter();
        let signal = signal(SignalKind::hangup()).map_err(failed)?;
        drop(entered);
        Ok(Awaited { runtime, signal })
    }
}

impl Awaited {
    /// Reloads the signers at each signal, on a thread of its own.
    pub(super) fn reloads(self, office: &Arc<Office>) -> Result<Hangup, Failure> {
        let Self { runtime, mut signal } = self;
        let (stop, mut stopped) = oneshot::channel::<()>();
        let office = Arc::clone(office);
        let run = move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = &mut stopped => return,
                        _ = signal.recv() => {}
                    }
                    // Nobody is there to be answered: the log and readiness have it.
                    drop(office.reload_signers());
                }
            });
        };
        let thread = std::thread::Builder::new().name("hangup".to_owned()).spawn(run);
        thread.map_err(|error| Failure::internal(format!("SIGHUP: {error}")))?;
        Ok(Hangup { _stop: stop })
    }
}
