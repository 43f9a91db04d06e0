//! Signing threads: a few, at low priority, behind a bounded queue with lanes.
//!
//! No lock is held while something is signed. Knows nothing of who waits: work is a closure.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, PoisonError};

use super::lanes::{Lane, Lanes, Limits};
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Condvar, Mutex, MutexGuard, lower_priority, mpsc};

/// Something to be done on a signing thread. Dropped, not done, when the pool stops first.
pub type Work = Box<dyn FnOnce() + Send>;

/// The signing threads of a process. Stops when dropped.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    limits: Limits,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lanes: Lanes,
    stopped: bool,
}

/// A place in a lane, given back when dropped.
pub struct Place<'a> {
    shared: &'a Shared,
    lane: Lane,
}

/// One lane at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Which.
    pub lane: Lane,
    /// Pieces of work that wait.
    pub waiting: usize,
    /// Pieces taken by a thread since the start.
    pub taken: u64,
    /// Pieces refused since the start.
    pub refused: u64,
}

/// Niceness of the threads: on a core that others would have all of, they get a quarter of it
/// (weight 335 beside 1024), the fifth that is kept for authorities and a bit.
const NICE: i32 = 5;

impl Pool {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start(limits: Limits) -> io::Result<Self> {
        let shared = Arc::new(Shared { limits, state: Mutex::default(), changed: Condvar::new() });
        let pool = Self { shared: Arc::clone(&shared), threads: Mutex::default() };
        for number in 0..limits.threads.get() {
            let shared = Arc::clone(&shared);
            let work = move || {
                lower_priority(NICE);
                shared.work();
            };
            let thread = thread::Builder::new().name(format!("sign-{number}")).spawn(work)?;
            pool.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(pool)
    }

    /// A place in a lane; none when it is full, or the pool is stopping. Never blocks.
    #[must_use]
    pub fn place(&self, lane: Lane) -> Option<Place<'_>> {
        let limit = self.shared.limits.of(lane);
        let mut state = self.shared.state();
        let stopped = state.stopped;
        let queue = state.lanes.lane(lane);
        if stopped || queue.len() >= limit {
            queue.refused += 1;
            return None;
        }
        queue.promised += 1;
        Some(Place { shared: &self.shared, lane })
    }

    /// Does `work` on a signing thread and waits for it. Never refused: on a stopped pool the
    /// caller does it. Not for a signing thread's own work, which could wait for itself.
    ///
    /// # Panics
    /// When `work` does.
    pub fn run<T: Send + 'static>(&self, lane: Lane, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = mpsc::sync_channel(1);
        // The receiver is there until something has been sent.
        let work: Work = Box::new(move || drop(sender.send(catch_unwind(AssertUnwindSafe(work)))));
        let mut state = self.shared.state();
        if state.stopped {
            drop(state);
            work();
        } else {
            state.lanes.lane(lane).push(work);
            drop(state);
            self.shared.changed.notify_one();
        }
        match receiver.recv() {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(gone) => resume_unwind(Box::new(gone)),
        }
    }

    /// How full each lane is.
    #[must_use]
    pub fn loads(&self) -> [Load; 4] {
        let mut state = self.shared.state();
        Lane::ALL.map(|lane| {
            let queue = state.lanes.lane(lane);
            Load { lane, waiting: queue.len(), taken: queue.taken, refused: queue.refused }
        })
    }

    /// Ends the threads: work of authorities is still done, all other is dropped. Blocks.
    pub fn stop(&self) {
        let mut state = self.shared.state();
        state.stopped = true;
        let dropped = state.lanes.take_refusable();
        drop(state);
        drop(dropped);
        self.shared.changed.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // What it did has been caught; nothing else in there panics.
            drop(thread.join());
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("limits", &self.shared.limits).finish_non_exhaustive()
    }
}

impl Place<'_> {
    /// Puts `work` there. Of a pool that has stopped meanwhile it is dropped.
    pub fn submit(self, work: Work) {
        let mut state = self.shared.state();
        let refused = if state.stopped {
            Some(work)
        } else {
            state.lanes.lane(self.lane).push(work);
            None
        };
        drop(state);
        drop(refused);
        self.shared.changed.notify_one();
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.state().lanes.lane(self.lane).promised -= 1;
    }
}

impl Limits {
    const fn of(&self, lane: Lane) -> usize {
        match lane {
            Lane::Authority => usize::MAX,
            Lane::Refresh => self.refresh,
            Lane::Miss => self.miss,
            Lane::Nonce => self.nonce,
        }
    }
}

impl Shared {
    fn work(&self) {
        while let Some(work) = self.next() {
            // A panic costs its piece of work; the hook has reported it.
            drop(catch_unwind(AssertUnwindSafe(work)));
        }
    }

    fn next(&self) -> Option<Work> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return state.lanes.next_of_authority();
            }
            if let Some(work) = state.lanes.next() {
                return Some(work);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[cfg(not(feature = "shuttle"))]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A pool of one thread, which is kept busy until something is sent.
    fn busy(limits: Limits) -> (Pool, Sender<()>) {
        let pool = Pool::start(Limits { threads: NonZeroUsize::MIN, ..limits }).unwrap();
        let (release, released) = channel::<()>();
        let (began, begun) = channel();
        let wait = move || {
            began.send(()).unwrap();
            let _ = released.recv();
        };
        pool.place(Lane::Miss).unwrap().submit(Box::new(wait));
        begun.recv().unwrap();
        (pool, release)
    }

    fn limits() -> Limits {
        Limits::for_threads(NonZeroUsize::MIN)
    }

    fn submit(pool: &Pool, lane: Lane, count: usize, done: &Sender<Lane>) {
        for _ in 0..count {
            let done = done.clone();
            pool.place(lane).unwrap().submit(Box::new(move || done.send(lane).unwrap()));
        }
    }

    fn first(done: &Receiver<Lane>, count: usize) -> Vec<Lane> {
        (0..count).map(|_| done.recv().unwrap()).collect()
    }

    fn count(lanes: &[Lane], lane: Lane) -> usize {
        lanes.iter().filter(|one| **one == lane).count()
    }

    #[test]
    fn a_fifth_is_kept_for_authorities_and_successors() {
        let (pool, release) = busy(limits());
        let (sender, done) = channel();
        submit(&pool, Lane::Miss, 200, &sender);
        submit(&pool, Lane::Nonce, 50, &sender);
        submit(&pool, Lane::Authority, 200, &sender);
        submit(&pool, Lane::Refresh, 200, &sender);
        drop(release);
        let order = first(&done, 100);
        assert_eq!(count(&order, Lane::Authority), 15);
        assert_eq!(count(&order, Lane::Refresh), 5);
        assert_eq!(count(&order, Lane::Miss), 60);
        assert_eq!(count(&order, Lane::Nonce), 20);
        for five in order.chunks(5) {
            assert_eq!(count(five, Lane::Miss) + count(five, Lane::Nonce), 4, "{five:?}");
        }
    }

    #[test]
    fn a_turn_that_nobody_waits_for_is_not_lost() {
        for lane in Lane::ALL {
            let (pool, release) = busy(limits());
            let (sender, done) = channel();
            submit(&pool, lane, 40, &sender);
            drop(release);
            assert_eq!(first(&done, 40), vec![lane; 40]);
        }
    }

    #[test]
    fn a_full_lane_refuses_and_the_others_do_not() {
        let (pool, release) = busy(Limits { nonce: 3, ..limits() });
        let (sender, done) = channel();
        submit(&pool, Lane::Nonce, 3, &sender);
        assert!(pool.place(Lane::Nonce).is_none());
        submit(&pool, Lane::Miss, 1, &sender);
        submit(&pool, Lane::Authority, 5000, &sender);
        let nonce = pool.loads().into_iter().find(|load| load.lane == Lane::Nonce).unwrap();
        assert_eq!((nonce.waiting, nonce.taken, nonce.refused), (3, 0, 1));
        drop(release);
        first(&done, 5004);
        assert!(pool.place(Lane::Nonce).is_some());
    }

    #[test]
    fn a_place_not_used_is_given_back() {
        let (pool, _release) = busy(Limits { miss: 1, ..limits() });
        for _ in 0..3 {
            let place = pool.place(Lane::Miss).unwrap();
            assert!(pool.place(Lane::Miss).is_none());
            drop(place);
        }
    }

    #[test]
    fn a_panic_costs_one_piece_of_work() {
        let pool = Pool::start(limits()).unwrap();
        pool.place(Lane::Miss).unwrap().submit(Box::new(|| panic!("as told")));
        assert_eq!(pool.run(Lane::Authority, || 7), 7);
        let panicked = catch_unwind(AssertUnwindSafe(|| pool.run(Lane::Authority, || panic!("as told"))));
        assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"as told"));
        assert_eq!(pool.run(Lane::Authority, || 8), 8);
    }

    #[test]
    fn a_stop_does_what_authorities_wait_for_and_drops_the_rest() {
        let (pool, release) = busy(limits());
        let (sender, done) = channel();
        submit(&pool, Lane::Miss, 10, &sender);
        submit(&pool, Lane::Authority, 10, &sender);
        drop(sender);
        thread::scope(|scope| {
            scope.spawn(|| pool.stop());
            while pool.place(Lane::Refresh).is_some() {
                thread::yield_now();
            }
            drop(release);
        });
        assert_eq!(done.iter().collect::<Vec<_>>(), vec![Lane::Authority; 10]);
        assert_eq!(pool.run(Lane::Authority, || 9), 9, "whoever comes later does it himself");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn signing_threads_yield_to_those_that_answer() {
        let pool = Pool::start(limits()).unwrap();
        let nice = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
        let here = nice();
        assert_eq!(pool.run(Lane::Authority, nice), here.max(NICE));
        assert_eq!(nice(), here, "only its own threads");
    }
}
