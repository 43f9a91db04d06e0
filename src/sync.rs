//! What threads share state with: the standard library's, or, with the feature `shuttle`, those of
//! a model checker, which runs the very code of the service in one interleaving after another
//! (`http/model.rs`).

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

/// Lowers the priority of this thread, and of those it will start, as Linux has it. Where the
/// system refuses, its work competes with answering, and is as right.
pub fn lower_priority(nice: i32) {
    if cfg!(feature = "shuttle") {
        return;
    }
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), nice);
}
