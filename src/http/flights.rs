//! Signatures under way, and who waits for each: one signature answers all who ask the same.

use std::cell::Cell;
use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, PoisonError};

use tokio::sync::oneshot;

use crate::der::UnixTime;
use crate::ocsp::Answer;
use crate::sync::{Mutex, MutexGuard};

/// The flights of all cores, by what they answer.
pub(super) struct Flights<K> {
    shards: [Arc<Shard<K>>; SHARDS],
    hasher: RandomState,
}

/// Flights whose hashes are alike.
struct Shard<K>(Mutex<Airport<K>>);

struct Airport<K> {
    /// Few at a time: found by looking at each.
    under_way: Vec<(K, Passengers)>,
    /// The last ones to land.
    landed: VecDeque<K>,
}

/// Who waits for an answer, and when the latest of them asked.
#[derive(Default)]
pub(super) struct Passengers {
    waiting: Vec<oneshot::Sender<Answer>>,
    latest: UnixTime,
}

/// How an asker gets on.
pub(super) enum Boarding<K: Copy + Eq> {
    /// The signature is the asker's to make; those who come later wait for it.
    Pilot(Pilot<K>),
    /// Another makes it.
    Passenger(oneshot::Receiver<Answer>),
    /// Another has made it since the responder was asked: ask it again.
    JustLanded,
}

/// Holds a flight: as long as it is there, all who ask the same wait. Dropped without
/// [`Pilot::land`], as by a panic, it sends them away, and the next asker flies.
pub(super) struct Pilot<K: Copy + Eq> {
    shard: Arc<Shard<K>>,
    key: K,
    /// From then on the key may be another pilot's.
    landed: Cell<bool>,
}

/// So many that two cores seldom want the same one.
const SHARDS: usize = 64;

/// Landings remembered in each shard. Somebody who asks the responder before a landing and
/// boards after it signs once more only if about 8 × 64 signatures were made in between.
const LANDED_MAX: usize = 8;

impl<K: Copy + Eq + Hash> Flights<K> {
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Arc::new(Shard::new())), hasher: RandomState::new() }
    }

    /// Boards the flight of `key` for somebody who asked at `now`.
    pub(super) fn board(&self, key: K, now: UnixTime) -> Boarding<K> {
        let shard = self.shard(&key);
        let mut airport = shard.airport();
        if airport.landed.contains(&key) && airport.find(&key).is_none() {
            return Boarding::JustLanded;
        }
        airport.board(shard, key, now)
    }

    /// Boards it whatever has just landed: never [`Boarding::JustLanded`].
    pub(super) fn board_again(&self, key: K, now: UnixTime) -> Boarding<K> {
        let shard = self.shard(&key);
        shard.airport().board(shard, key, now)
    }

    /// Becomes the pilot of `key`, unless there is one.
    pub(super) fn pilot(&self, key: K) -> Option<Pilot<K>> {
        let shard = self.shard(&key);
        let mut airport = shard.airport();
        airport.find(&key).is_none().then(|| airport.take_off(shard, key))
    }

    /// Signatures under way.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.airport().under_way.len()).sum()
    }

    fn shard(&self, key: &K) -> &Arc<Shard<K>> {
        let [first, ..] = &self.shards;
        let shards = u64::try_from(SHARDS).unwrap_or(1);
        let number = usize::try_from(self.hasher.hash_one(key) % shards).unwrap_or(0);
        self.shards.get(number).unwrap_or(first)
    }
}

impl<K: Copy + Eq> Pilot<K> {
    /// Another passenger, who asked at `now`.
    pub(super) fn join(&self, now: UnixTime) -> oneshot::Receiver<Answer> {
        match self.shard.airport().find(&self.key) {
            Some(passengers) => passengers.join(now),
            // Only when the flight has landed, and nobody has a pilot then: never answered.
            None => oneshot::channel().1,
        }
    }

    /// Moves all who have come so far into `aboard`, and gives the time the latest asked. The
    /// status they are told must be read after this.
    pub(super) fn take(&self, aboard: &mut Vec<oneshot::Sender<Answer>>) -> UnixTime {
        let mut airport = self.shard.airport();
        let Some(passengers) = airport.find(&self.key) else { return UnixTime::default() };
        aboard.append(&mut passengers.waiting);
        passengers.latest
    }

    /// Ends the flight, unless somebody has come since [`Pilot::take`].
    pub(super) fn land(&self) -> bool {
        let mut airport = self.shard.airport();
        if airport.find(&self.key).is_some_and(|passengers| !passengers.waiting.is_empty()) {
            return false;
        }
        airport.remove(&self.key);
        self.landed.set(true);
        if airport.landed.len() >= LANDED_MAX {
            airport.landed.pop_front();
        }
        airport.landed.push_back(self.key);
        true
    }
}

impl<K: Copy + Eq> Drop for Pilot<K> {
    fn drop(&mut self) {
        if self.landed.get() {
            return;
        }
        // Whoever is sent away is woken only after the lock is released.
        let left = self.shard.airport().remove(&self.key);
        drop(left);
    }
}

impl<K> Shard<K> {
    fn new() -> Self {
        Self(Mutex::new(Airport { under_way: Vec::new(), landed: VecDeque::new() }))
    }

    fn airport(&self) -> MutexGuard<'_, Airport<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq> Airport<K> {
    fn find(&mut self, key: &K) -> Option<&mut Passengers> {
        self.under_way.iter_mut().find(|(found, _)| found == key).map(|(_, passengers)| passengers)
    }

    fn board(&mut self, shard: &Arc<Shard<K>>, key: K, now: UnixTime) -> Boarding<K> {
        match self.find(&key) {
            Some(passengers) => Boarding::Passenger(passengers.join(now)),
            None => Boarding::Pilot(self.take_off(shard, key)),
        }
    }

    fn take_off(&mut self, shard: &Arc<Shard<K>>, key: K) -> Pilot<K> {
        self.under_way.push((key, Passengers::default()));
        Pilot { shard: Arc::clone(shard), key, landed: Cell::new(false) }
    }

    fn remove(&mut self, key: &K) -> Option<Passengers> {
        let at = self.under_way.iter().position(|(found, _)| found == key)?;
        Some(self.under_way.swap_remove(at).1)
    }
}

impl Passengers {
    fn join(&mut self, now: UnixTime) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.push(sender);
        self.latest = self.latest.max(now);
        receiver
    }
}

#[cfg(test)]
#[cfg(not(feature = "shuttle"))]
mod tests {
    use super::*;
    use crate::ocsp::Caching;

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    fn pilot(flights: &Flights<u32>, key: u32) -> Pilot<u32> {
        match flights.board(key, at(1)) {
            Boarding::Pilot(pilot) => pilot,
            Boarding::Passenger(_) => panic!("somebody flies {key}"),
            Boarding::JustLanded => panic!("{key} has just landed"),
        }
    }

    fn passenger(flights: &Flights<u32>, key: u32, now: i64) -> oneshot::Receiver<Answer> {
        match flights.board(key, at(now)) {
            Boarding::Passenger(receiver) => receiver,
            _ => panic!("nobody flies {key}"),
        }
    }

    fn answer(octet: u8) -> Answer {
        Answer { body: vec![octet], caching: Caching::NoStore }
    }

    #[test]
    fn one_flies_and_the_others_wait_until_it_lands() {
        let flights = Flights::new();
        let first = pilot(&flights, 1);
        let _other = pilot(&flights, 2);
        let mut receivers: Vec<_> = [5, 9, 7].map(|now| passenger(&flights, 1, now)).into();
        assert!(flights.pilot(1).is_none());
        assert!(!first.land(), "three wait");
        let mut aboard = Vec::new();
        assert_eq!(first.take(&mut aboard), at(9));
        // One more, who may have asked after the status was read for the three.
        receivers.push(passenger(&flights, 1, 11));
        assert_eq!(aboard.len(), 3);
        assert!(!first.land(), "he is not forgotten");
        assert_eq!(first.take(&mut aboard), at(11));
        aboard.drain(..).for_each(|sender| sender.send(answer(1)).unwrap());
        assert!(first.land());
        for mut receiver in receivers {
            assert_eq!(receiver.try_recv().unwrap(), answer(1));
        }
        assert_eq!(flights.len(), 1);
    }

    #[test]
    fn who_asked_before_a_landing_and_boards_after_it_asks_again() {
        let flights = Flights::new();
        let first = pilot(&flights, 1);
        assert!(first.land());
        drop(first);
        assert!(matches!(flights.board(1, at(1)), Boarding::JustLanded));
        let Boarding::Pilot(again) = flights.board_again(1, at(1)) else { panic!("nobody flies") };
        drop(passenger(&flights, 1, 2));
        drop(again);
        drop(flights.pilot(1).unwrap());
    }

    #[test]
    fn a_pilot_who_has_landed_does_not_end_the_next_flight() {
        let flights = Flights::new();
        let first = pilot(&flights, 1);
        assert!(first.land());
        let Boarding::Pilot(_second) = flights.board_again(1, at(1)) else { panic!("nobody flies") };
        let mut waiting = passenger(&flights, 1, 2);
        drop(first);
        assert!(waiting.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
        assert_eq!(flights.len(), 1);
    }

    #[test]
    fn a_pilot_who_is_lost_leaves_nobody_waiting() {
        let flights = Arc::new(Flights::new());
        let lost = pilot(&flights, 1);
        let mut receiver = passenger(&flights, 1, 1);
        let panicked = std::thread::spawn(move || {
            let _lost = lost;
            panic!("as told");
        });
        assert!(panicked.join().is_err());
        assert!(receiver.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
        assert_eq!(flights.len(), 0);
        assert!(pilot(&flights, 1).land());
    }
}
