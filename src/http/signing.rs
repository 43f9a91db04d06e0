//! Where signatures are made: quick ones on the core that was asked, within its budget; slow
//! ones, and those nobody waits for, on the signing threads. One signature answers all who ask
//! the same meanwhile, on whatever core.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::core::Core;
use super::counters::{Refreshed, SignatureMeter, Source};
use super::flights::{Boarding, Flights, Pilot};
use super::question::{Asked, TRY_LATER, error};
use crate::der::UnixTime;
use crate::ocsp::{Answer, Flight, Job, Respond, Responder};
use crate::signer::{Lane, Pool, SignError};

/// What the cores and the signing threads share.
pub(super) struct Signing {
    pub(super) pool: Arc<Pool>,
    pub(super) desk: Arc<Desk>,
}

/// What a piece of work on a signing thread needs. Not the pool: a thread of it would be the one
/// to stop it.
pub(super) struct Desk {
    responder: Arc<Responder>,
    pub(super) flights: Flights<Flight>,
    /// Successors that wait for their turn.
    booked: Flights<Flight>,
    /// Signatures of the signing threads.
    pub(super) meter: SignatureMeter,
    pub(super) refreshed: Refreshed,
}

/// A status that changes under one signature after another, or askers that come faster than
/// answers are given, are not worth a ninth round.
const ROUNDS_MAX: usize = 8;

impl Signing {
    pub(super) fn new(responder: Arc<Responder>, pool: Arc<Pool>) -> Self {
        let desk = Desk {
            responder,
            flights: Flights::new(),
            booked: Flights::new(),
            meter: SignatureMeter::default(),
            refreshed: Refreshed::default(),
        };
        Self { pool, desk: Arc::new(desk) }
    }

    /// Sees to the signature for a request asked at `now`.
    pub(super) fn sign(&self, core: &Core, job: Job, request: &[u8], now: UnixTime) -> Asked {
        let Some(flight) = job.flight() else { return self.sign_for_one(core, job, now) };
        match self.desk.flights.board(flight, now) {
            Boarding::JustLanded => match self.desk.responder.respond_again(request, now) {
                Respond::Ready(answer) | Respond::Refresh(answer, _) => Asked::Ready(Source::Kept, answer),
                // Its signature was not kept, or the status has changed.
                Respond::Sign(job) => match job.flight() {
                    Some(flight) => {
                        let boarding = self.desk.flights.board_again(flight, now);
                        self.aboard(core, boarding, job, request, now)
                    }
                    None => self.sign_for_one(core, job, now),
                },
            },
            boarding => self.aboard(core, boarding, job, request, now),
        }
    }

    fn aboard(
        &self,
        core: &Core,
        boarding: Boarding<Flight>,
        job: Job,
        request: &[u8],
        now: UnixTime,
    ) -> Asked {
        match boarding {
            Boarding::Pilot(pilot) => self.take_off(core, pilot, job, request, now),
            Boarding::Passenger(receiver) => Asked::Waiting(Source::Joined, receiver),
            Boarding::JustLanded => self.refuse(job, now),
        }
    }

    fn take_off(&self, core: &Core, pilot: Pilot<Flight>, job: Job, request: &[u8], now: UnixTime) -> Asked {
        if !job.is_slow() {
            let answer = self.desk.fly(&pilot, job, request, now, |job| core.sign(job));
            return Asked::Ready(Source::Core, answer);
        }
        let Some(place) = self.pool.place(Lane::Miss) else {
            let answer = self.desk.fly(&pilot, job, request, now, |_| Err(SignError::Refused));
            return Asked::Ready(Source::Kept, answer);
        };
        let (receiver, desk) = (pilot.join(now), Arc::clone(&self.desk));
        let request = Bytes::copy_from_slice(request);
        place.submit(Box::new(move || {
            desk.fly(&pilot, job, &request, now, |job| desk.meter.sign(job).0);
        }));
        Asked::Waiting(Source::Pool, receiver)
    }

    /// An answer that repeats a nonce.
    fn sign_for_one(&self, core: &Core, job: Job, now: UnixTime) -> Asked {
        if !job.is_slow() {
            if !core.budget.allows(Instant::now()) {
                core.counters.surplus.add(1);
                return self.refuse(job, now);
            }
            let answer = self.desk.settle(job, now, |job| core.sign(job));
            return Asked::Ready(Source::Core, answer);
        }
        let Some(place) = self.pool.place(Lane::Nonce) else { return self.refuse(job, now) };
        let (sender, receiver) = oneshot::channel();
        let desk = Arc::clone(&self.desk);
        place.submit(Box::new(move || {
            // Nobody else can use what a client that has left asked for.
            if !sender.is_closed() {
                drop(sender.send(desk.settle(job, now, |job| desk.meter.sign(job).0)));
            }
        }));
        Asked::Waiting(Source::Pool, receiver)
    }

    /// There is no time to sign: a signature made before goes on, or `tryLater`.
    fn refuse(&self, job: Job, now: UnixTime) -> Asked {
        Asked::Ready(Source::Kept, self.desk.settle(job, now, |_| Err(SignError::Refused)))
    }

    /// Has the successor of a kept signature made, unless that is under way.
    pub(super) fn refresh(&self, job: Job, request: &[u8], now: UnixTime) {
        let Some(flight) = job.flight() else { return };
        // Not the flight itself: whoever has to wait for the signature is not to wait in this lane.
        let Some(booked) = self.desk.booked.pilot(flight) else { return };
        let Some(place) = self.pool.place(Lane::Refresh) else {
            self.desk.refreshed.dropped.add_shared(1);
            return;
        };
        let desk = Arc::clone(&self.desk);
        let request = Bytes::copy_from_slice(request);
        place.submit(Box::new(move || {
            let _booked = booked;
            let Some(pilot) = desk.flights.pilot(flight) else { return };
            let mut made = Ok(());
            desk.fly(&pilot, job, &request, now, |job| {
                let (signature, _) = desk.meter.sign(job);
                made = signature.as_ref().map(|_| ()).map_err(|error| *error);
                signature
            });
            let counter = if made.is_ok() { &desk.refreshed.done } else { &desk.refreshed.failed };
            counter.add_shared(1);
        }));
    }
}

impl Desk {
    /// Signs until there is an answer to `request`, gives it to all who came meanwhile, and lands.
    /// Whoever is told an answer had asked before the status in it was read.
    fn fly(
        &self,
        pilot: &Pilot<Flight>,
        job: Job,
        request: &[u8],
        now: UnixTime,
        mut sign: impl FnMut(&Job) -> Result<Vec<u8>, SignError>,
    ) -> Answer {
        let mut aboard = Vec::new();
        let mut next = Respond::Sign(job);
        for _ in 0..ROUNDS_MAX {
            match next {
                Respond::Sign(job) => {
                    let made = sign(&job);
                    let latest = pilot.take(&mut aboard).max(now);
                    next = self.responder.finish(job, made, latest);
                }
                Respond::Ready(answer) | Respond::Refresh(answer, _) => {
                    for passenger in aboard.drain(..) {
                        // Who hung up does not get an answer.
                        drop(passenger.send(answer.clone()));
                    }
                    if pilot.land() {
                        return answer;
                    }
                    let latest = pilot.take(&mut aboard).max(now);
                    next = self.responder.respond_again(request, latest);
                }
            }
        }
        // Those who still wait hear that their sender is gone: the same.
        error(TRY_LATER)
    }

    /// Signs until there is an answer for one asker.
    fn settle(
        &self,
        job: Job,
        now: UnixTime,
        mut sign: impl FnMut(&Job) -> Result<Vec<u8>, SignError>,
    ) -> Answer {
        let mut next = Respond::Sign(job);
        for _ in 0..ROUNDS_MAX {
            match next {
                Respond::Ready(answer) | Respond::Refresh(answer, _) => return answer,
                Respond::Sign(job) => {
                    let made = sign(&job);
                    next = self.responder.finish(job, made, now);
                }
            }
        }
        error(TRY_LATER)
    }
}
