//! Days of a simulation, by the calendar and clock of Japan.

use std::time::Duration;

use time::macros::offset;
use time::{Date, Time};

use crate::der::UnixTime;

/// Seconds of a day: Japan has no summer time.
const DAY: i64 = 86_400;

/// Days are counted from the first of the simulation; those before it are negative.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calendar {
    from: Date,
    start: i64,
}

impl Calendar {
    pub(super) fn new(from: Date) -> Self {
        let midnight = from.with_time(Time::MIDNIGHT).assume_offset(offset!(+9));
        Self { from, start: midnight.unix_timestamp() }
    }

    /// So long after the beginning of a day.
    pub(super) fn at(&self, day: i64, after: Duration) -> UnixTime {
        UnixTime::from_seconds(self.start + day * DAY).plus(after)
    }

    /// The day of an instant.
    pub(super) fn day(&self, time: UnixTime) -> i64 {
        (time.seconds() - self.start).div_euclid(DAY)
    }

    pub(super) fn date(&self, day: i64) -> Date {
        self.from.saturating_add(time::Duration::days(day))
    }
}

/// An hour of the day.
pub(super) const fn hour(hour: u64) -> Duration {
    Duration::from_secs(hour * 3600)
}

/// Years completed on that day.
pub(super) fn age(born: Date, on: Date) -> i32 {
    let had_birthday = (u8::from(on.month()), on.day()) >= (u8::from(born.month()), born.day());
    on.year() - born.year() - i32::from(!had_birthday)
}

/// The end of somebody's `nth` birthday after a day.
pub(super) fn birthday_after(born: Date, day: Date, nth: i32) -> UnixTime {
    let year = born.year() + age(born, day) + nth;
    // One born on 29 February has it on the 28th in common years.
    let date = born.replace_year(year).or_else(|_| Date::from_calendar_date(year, born.month(), 28));
    let next = date.ok().and_then(Date::next_day).unwrap_or(Date::MAX);
    let midnight = next.with_time(Time::MIDNIGHT).assume_offset(offset!(+9));
    UnixTime::from_seconds(midnight.unix_timestamp() - 1)
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn days_begin_at_midnight_in_japan() {
        let calendar = Calendar::new(date!(2025 - 04 - 01));
        assert_eq!(calendar.at(0, hour(9)).to_string(), "2025-04-01T00:00:00Z");
        assert_eq!(calendar.at(-1, hour(0)).to_string(), "2025-03-30T15:00:00Z");
        assert_eq!(calendar.day(calendar.at(-1, hour(23))), -1);
        assert_eq!(calendar.day(calendar.at(40, hour(0))), 40);
        assert_eq!(calendar.date(31), date!(2025 - 05 - 02));
    }

    #[test]
    fn birthdays_are_counted_from_the_day_on() {
        let born = date!(2008 - 02 - 29);
        assert_eq!((age(born, date!(2025 - 02 - 28)), age(born, date!(2025 - 03 - 01))), (16, 17));
        let fifth = birthday_after(born, date!(2025 - 04 - 01), 5);
        assert_eq!(fifth.to_string(), "2030-02-28T14:59:59Z");
    }
}
