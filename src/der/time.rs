//! UTCTime and GeneralizedTime as RFC 5280 §4.1.2.5 narrows them: whole seconds, UTC, `Z`.

use std::fmt;
use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime, Time};

use super::civil::Civil;

/// A point in time, in whole seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixTime(i64);

/// Why octets or text are not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time: write it as 2026-11-22T10:00:00Z")]
pub struct TimeError;

impl UnixTime {
    /// First instant that UTCTime cannot express: 2050-01-01T00:00:00Z (RFC 5280 §4.1.2.5).
    pub const YEAR_2050: Self = Self(2_524_608_000);
    /// Last instant GeneralizedTime can express: 9999-12-31T23:59:59Z.
    pub const MAX: Self = Self(253_402_300_799);

    /// From seconds since 1970; clamped to the years 1970–9999.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.clamp(0, Self::MAX.0))
    }

    /// Seconds since 1970.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// This time and `duration` later, in whole seconds.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self::from_seconds(self.0.saturating_add(seconds))
    }

    /// This time and `duration` earlier, in whole seconds, not before 1970.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self::from_seconds(self.0.saturating_sub(seconds))
    }

    /// How long after `earlier` this is; zero when it is not after.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    /// Reads the content octets of GeneralizedTime: `YYYYMMDDHHMMSSZ`.
    ///
    /// # Errors
    /// Any other form, an impossible date, a year before 1970.
    pub fn from_generalized(content: &[u8]) -> Result<Self, TimeError> {
        match content {
            [century @ .., _, _, _, _, _, _, _, _, _, _, _, _, b'Z'] if century.len() == 2 => {
                let (year, rest) = content.split_at_checked(4).ok_or(TimeError)?;
                Self::from_parts(i32::from(number(year)?), rest)
            }
            _ => Err(TimeError),
        }
    }

    /// Reads the content octets of UTCTime: `YYMMDDHHMMSSZ`, years 1950–2049.
    ///
    /// # Errors
    /// Any other form, an impossible date, a year before 1970.
    pub fn from_utc(content: &[u8]) -> Result<Self, TimeError> {
        if content.len() != 13 {
            return Err(TimeError);
        }
        let (year, rest) = content.split_at_checked(2).ok_or(TimeError)?;
        let year = i32::from(number(year)?);
        Self::from_parts(if year < 50 { 2000 + year } else { 1900 + year }, rest)
    }

    /// The content octets of GeneralizedTime.
    #[must_use]
    pub fn to_generalized(self) -> [u8; 15] {
        let Civil {
            year: [y3, y2, y1, y0],
            month: [m1, m0],
            day: [d1, d0],
            hour: [h1, h0],
            minute: [n1, n0],
            second: [s1, s0],
            ..
        } = self.civil();
        [y3, y2, y1, y0, m1, m0, d1, d0, h1, h0, n1, n0, s1, s0, b'Z']
    }

    /// As a date and time of the `time` crate, UTC.
    #[must_use]
    pub fn date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.0).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// `MMDDHHMMSSZ`.
    fn from_parts(year: i32, rest: &[u8]) -> Result<Self, TimeError> {
        let [m1, m0, d1, d0, h1, h0, n1, n0, s1, s0, b'Z'] = *rest else {
            return Err(TimeError);
        };
        let two = |tens, ones| number(&[tens, ones]).and_then(|n| u8::try_from(n).map_err(|_| TimeError));
        let month = Month::try_from(two(m1, m0)?).map_err(|_| TimeError)?;
        let date = Date::from_calendar_date(year, month, two(d1, d0)?).map_err(|_| TimeError)?;
        let time = Time::from_hms(two(h1, h0)?, two(n1, n0)?, two(s1, s0)?).map_err(|_| TimeError)?;
        let seconds = OffsetDateTime::new_utc(date, time).unix_timestamp();
        if seconds < 0 { Err(TimeError) } else { Ok(Self(seconds)) }
    }
}

/// RFC 3339, as people and JSON read it.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.date_time().format(&Rfc3339).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

/// RFC 3339 with any offset; fractions of a second are dropped.
impl std::str::FromStr for UnixTime {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let date_time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimeError)?;
        let seconds = date_time.unix_timestamp();
        if (0..=Self::MAX.0).contains(&seconds) { Ok(Self(seconds)) } else { Err(TimeError) }
    }
}

/// Decimal digits as a number.
fn number(digits: &[u8]) -> Result<u16, TimeError> {
    digits.iter().try_fold(0_u16, |value, digit| {
        if digit.is_ascii_digit() { Ok(value * 10 + u16::from(digit - b'0')) } else { Err(TimeError) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5280_s4_1_2_5_times_have_one_form() {
        let time: UnixTime = "2026-11-22T10:00:01Z".parse().unwrap();
        assert_eq!(&time.to_generalized(), b"20261122100001Z");
        assert_eq!(UnixTime::from_generalized(b"20261122100001Z"), Ok(time));
        assert_eq!(UnixTime::from_utc(b"261122100001Z"), Ok(time));
        for bad in [
            &b"20261122100001"[..],
            b"20261122100001.5Z",
            b"20261122100001+0900",
            b"202611221000Z",
            b"20260230000000Z",
            b"20261122240000Z",
            b"2026112210000aZ",
        ] {
            assert!(UnixTime::from_generalized(bad).is_err(), "{bad:?}");
        }
        assert!(UnixTime::from_utc(b"2611221000Z").is_err());
    }

    #[test]
    fn arithmetic_stays_within_what_can_be_written() {
        assert_eq!(UnixTime::MAX.plus(Duration::from_secs(1)), UnixTime::MAX);
        assert_eq!(UnixTime::default().minus(Duration::from_secs(1)), UnixTime::default());
        assert_eq!(UnixTime::YEAR_2050.to_string(), "2050-01-01T00:00:00Z");
        assert_eq!(
            "2026-11-22T19:00:00+09:00".parse::<UnixTime>().unwrap().to_string(),
            "2026-11-22T10:00:00Z"
        );
    }
}
