//! Days of Japan, which has kept UTC+9 without summer time since 1951.

use time::macros::offset;
use time::{Date, OffsetDateTime, Time, UtcOffset};

use crate::der::UnixTime;

const JST: UtcOffset = offset!(+9);

/// The day it is in Japan.
pub(super) fn date(time: UnixTime) -> Date {
    local(time).date()
}

/// `YYYYMMDDHHMMSS` in Japan.
pub(super) fn digits(time: UnixTime) -> String {
    let local = local(time);
    let (hour, minute, second) = local.time().as_hms();
    format!("{}{hour:02}{minute:02}{second:02}", date_digits(local.date()))
}

/// `YYYYMMDD`.
pub(super) fn date_digits(date: Date) -> String {
    format!("{:04}{:02}{:02}", date.year(), u8::from(date.month()), date.day())
}

/// 23:59:59 of that day in Japan.
pub(super) fn end_of_day(date: Date) -> UnixTime {
    let midnight = date.with_time(Time::MIDNIGHT).assume_offset(JST).unix_timestamp();
    UnixTime::from_seconds(midnight + SECONDS_OF_DAY - 1)
}

/// That day of the year `year`; 28 February stands for the 29th in common years.
pub(super) fn in_year(date: Date, year: i32) -> Date {
    date.replace_year(year)
        .or_else(|_| Date::from_calendar_date(year, time::Month::February, 28))
        .unwrap_or(Date::MAX)
}

/// The last hours of year 9999 have no date in Japan; they stay in UTC.
fn local(time: UnixTime) -> OffsetDateTime {
    let utc = time.date_time();
    utc.checked_to_offset(JST).unwrap_or(utc)
}

const SECONDS_OF_DAY: i64 = 86_400;
