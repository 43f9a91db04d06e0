//! Signatures too slow for a core that serves connections (RSA, a device): a few threads
//! behind a bounded queue.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::question::TRY_LATER;
use crate::der::UnixTime;
use crate::ocsp::{Answer, Caching, Respond, Responder};

/// Signing threads and what waits for them.
pub(super) struct SigningPool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    responder: Arc<Responder>,
    queue_len_max: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Requests in order of arrival.
    waiting: VecDeque<Bytes>,
    /// Who asked them, and who asked the same octets meanwhile: one signature answers all.
    questions: HashMap<Bytes, Question>,
    stopped: bool,
}

struct Question {
    /// When the latest of them asked.
    now: UnixTime,
    asked_by: Vec<oneshot::Sender<Answer>>,
}

impl SigningPool {
    pub(super) fn start(
        responder: &Arc<Responder>,
        threads: NonZeroUsize,
        queue_len_max: usize,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            responder: Arc::clone(responder),
            queue_len_max,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let pool = Self { shared: Arc::clone(&shared), threads: Mutex::default() };
        for _ in 0..threads.get() {
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new().name("http-sign".into()).spawn(move || shared.work())?;
            pool.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(pool)
    }

    /// Queues a request; none when the queue is full.
    pub(super) fn submit(&self, request: &[u8], now: UnixTime) -> Option<oneshot::Receiver<Answer>> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.shared.state();
        if let Some(question) = state.questions.get_mut(request) {
            question.now = question.now.max(now);
            question.asked_by.push(sender);
            return Some(receiver);
        }
        if state.waiting.len() >= self.shared.queue_len_max || state.stopped {
            return None;
        }
        let request = Bytes::copy_from_slice(request);
        state.questions.insert(request.clone(), Question { now, asked_by: vec![sender] });
        state.waiting.push_back(request);
        drop(state);
        self.shared.changed.notify_one();
        Some(receiver)
    }

    /// Ends the threads after the signature each is making.
    pub(super) fn stop(&self) {
        self.shared.state().stopped = true;
        self.shared.changed.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A panic in there has been reported by its own thread.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn work(&self) {
        while let Some((request, now)) = self.next() {
            let answered = std::panic::catch_unwind(AssertUnwindSafe(|| self.answer(&request, now)));
            if answered.is_err() {
                // Who waits for it is told to try later, and the thread goes on.
                drop(self.take(&request, now));
            }
        }
    }

    fn answer(&self, request: &Bytes, now: UnixTime) {
        // Another's signature may have answered it while it waited.
        let (asked_by, now, next) = match self.responder.respond(request, now) {
            Respond::Sign(job) => {
                let made = job.sign();
                let (asked_by, now) = self.take(request, now);
                (asked_by, now, self.responder.finish(job, made, now))
            }
            Respond::Ready(_) | Respond::Refresh(..) => {
                let (asked_by, now) = self.take(request, now);
                (asked_by, now, self.responder.respond(request, now))
            }
        };
        // From here on nobody joins, and the responder has read the status after the last
        // one did: who asks after a revocation gets it.
        let answer = settle(&self.responder, next, now);
        for sender in asked_by {
            // Who hung up does not get an answer.
            let _ = sender.send(answer.clone());
        }
    }

    fn next(&self) -> Option<(Bytes, UnixTime)> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(request) = state.waiting.pop_front() {
                let now = state.questions.get(&request).map(|question| question.now).unwrap_or_default();
                return Some((request, now));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn take(&self, request: &Bytes, now: UnixTime) -> (Vec<oneshot::Sender<Answer>>, UnixTime) {
        match self.state().questions.remove(request) {
            Some(question) => (question.asked_by, question.now),
            None => (Vec::new(), now),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Signs on the spot until there is an answer.
pub(super) fn settle(responder: &Responder, mut next: Respond, now: UnixTime) -> Answer {
    for _ in 0..ROUNDS_MAX {
        match next {
            Respond::Ready(answer) | Respond::Refresh(answer, _) => return answer,
            Respond::Sign(job) => {
                let made = job.sign();
                next = responder.finish(job, made, now);
            }
        }
    }
    Answer { body: TRY_LATER.to_vec(), caching: Caching::NoStore }
}

/// A status that changes under one signature after another is not worth an eighth.
const ROUNDS_MAX: usize = 8;
