//! How long the service may take.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// For reading or answering an input, signature apart, in a build that checks and counts
/// everything.
const TIME_MAX: Duration = Duration::from_millis(10);

/// What `run` returns; it may be at work for so long, whatever others on the machine do.
pub fn within_time<T>(run: impl FnOnce() -> T) -> T {
    let before = at_work();
    let result = run();
    let took = at_work() - before;
    assert!(took < TIME_MAX, "took {took:?}");
    result
}

/// How long this thread has been at work.
fn at_work() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}
