//! What part of its time a core gives to signatures that serve one asker only.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A leaky bucket: it fills with a part of the time that passes, and signing takes from it the
/// time it really took. Signatures others can share are never refused, but they take from it
/// too, and so come before those that cannot.
pub(super) struct Budget {
    percent: u32,
    state: Mutex<State>,
}

struct State {
    /// Nanoseconds; what is owed when negative.
    left: i64,
    at: Instant,
}

/// How long a burst may go on signing before its part is held to. A cached answer behind it on
/// the same core waits no longer than this.
const BURST: Duration = Duration::from_millis(20);

impl Budget {
    /// A full bucket, to be filled with `percent` of the time from `now` on.
    pub(super) fn new(percent: u32, now: Instant) -> Self {
        Self { percent, state: Mutex::new(State { left: nanoseconds(BURST), at: now }) }
    }

    /// Whether there is time left for a signature of one's own.
    pub(super) fn allows(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.saturating_duration_since(state.at) * self.percent / 100;
        state.at = now;
        state.left = state.left.saturating_add(nanoseconds(gained)).min(nanoseconds(BURST));
        state.left > 0
    }

    /// A signature took that long.
    pub(super) fn charge(&self, took: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // However many misses there were: a burst later there is time for nonces again.
        state.left = state.left.saturating_sub(nanoseconds(took)).max(-nanoseconds(BURST));
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signatures of 100 µs asked for without a pause for ten seconds; the parts of the time that
    /// nonces and misses get.
    fn flood(percent: u32, misses_of_ten: u64) -> (f64, f64) {
        let began = Instant::now();
        let budget = Budget::new(percent, began);
        let signature = Duration::from_micros(100);
        let (mut now, mut nonces, mut misses) = (began, Duration::ZERO, Duration::ZERO);
        let mut asked = 0;
        while now < began + Duration::from_secs(10) {
            asked += 1;
            if asked % 10 < misses_of_ten {
                budget.charge(signature);
                misses += signature;
                now += signature;
            } else if budget.allows(now) {
                budget.charge(signature);
                nonces += signature;
                now += signature;
            } else {
                now += Duration::from_micros(10);
            }
        }
        let all = (now - began).as_secs_f64();
        (nonces.as_secs_f64() / all, misses.as_secs_f64() / all)
    }

    #[test]
    fn nonces_get_their_part_and_no_more() {
        for percent in [10, 50, 80] {
            let (nonces, _) = flood(percent, 0);
            assert!((nonces * 100.0 - f64::from(percent)).abs() < 1.0, "{percent}: {nonces}");
        }
    }

    #[test]
    fn misses_come_before_nonces() {
        let (nonces, misses) = flood(80, 2);
        assert!((nonces + misses - 0.8).abs() < 0.01, "{nonces} {misses}");
        assert!(nonces > 0.1 && misses > 0.1, "{nonces} {misses}");
        // Misses that would take all of it get all of it.
        let (nonces, misses) = flood(80, 5);
        assert!(nonces < 0.01 && misses > 0.85, "{nonces} {misses}");
    }

    #[test]
    fn a_pause_saves_up_one_burst() {
        let began = Instant::now();
        let budget = Budget::new(80, began);
        budget.charge(BURST * 100);
        assert!(!budget.allows(began));
        let later = began + Duration::from_secs(3600);
        assert!(budget.allows(later));
        budget.charge(BURST);
        assert!(!budget.allows(later));
    }
}
