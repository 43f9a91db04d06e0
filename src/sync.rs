//! What threads share state with: the standard library's, or, with the feature `shuttle`, those of
//! a model checker, which runs the very code of the service in one interleaving after another
//! (`http/model.rs`).

use std::num::NonZeroUsize;
use std::sync::PoisonError;

#[cfg(not(feature = "shuttle"))]
pub use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};
#[cfg(not(feature = "shuttle"))]
pub use std::{sync::mpsc, thread};

#[cfg(feature = "shuttle")]
pub use shuttle::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};
#[cfg(feature = "shuttle")]
pub use shuttle::{sync::mpsc, thread};

/// Carries out work of the same kind on so many threads; what came of each, in their order. Panics
/// when one of them does.
pub fn in_parallel<T: Send, R: Send>(
    threads: NonZeroUsize,
    work: Vec<T>,
    carry_out: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let threads = threads.get().min(work.len());
    if threads <= 1 {
        return work.into_iter().map(carry_out).collect();
    }
    let next = std::sync::Mutex::new(work.into_iter().enumerate());
    let take = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
    let some = || Vec::from_iter(std::iter::from_fn(take).map(|(at, work)| (at, carry_out(work))));
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(some)).collect();
        let mut done = some();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Lowers the priority of this thread, and of those it will start, as Linux has it. Where the
/// system refuses, its work competes with answering, and is as right.
pub fn lower_priority(nice: i32) {
    if cfg!(feature = "shuttle") {
        return;
    }
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), nice);
}
