//! What threads share state with: the standard library's, or, under `--cfg shuttle`, those of a
//! model checker, which then runs the very code of the service in one interleaving after
//! another (`tests/model.rs`).

#[cfg(not(shuttle))]
pub use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};
#[cfg(not(shuttle))]
pub use std::thread;

#[cfg(shuttle)]
pub use shuttle::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};
#[cfg(shuttle)]
pub use shuttle::thread;
