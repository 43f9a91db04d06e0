//! Date of birth.

use std::fmt;

use time::macros::date;
use time::{Date, Month};

use super::{IssueError, jst};
use crate::der::UnixTime;

/// First days of the eras, and the digit that stands for each in `EYYYYMMDD`.
const ERAS: [(Date, char); 5] = [
    (date!(2019 - 05 - 01), '5'),
    (date!(1989 - 01 - 08), '4'),
    (date!(1926 - 12 - 25), '3'),
    (date!(1912 - 07 - 30), '2'),
    (date!(1868 - 01 - 25), '1'),
];

/// The digit for an era not known, as for holders whose register has none.
const ERA_UNKNOWN: char = '0';

/// Characters of `EYYYYMMDD`.
const CODE_CHARS: usize = 9;

/// What is written for a date the register does not have.
const UNKNOWN: &str = "unknown";

/// A holder's date of birth, or as much of it as the register has. Not shown by `Debug`.
///
/// What is not known is written as zeros, and the era of a date that is not wholly known as 0: a
/// digit before it would say of the missing day which side of a change of eras it lies on (A).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BirthDate {
    known: Known,
    era: char,
}

/// How much of a date is known. A year and a month have a first and a last day.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Day(Date),
    Month(Date, Date),
    Year(Date, Date),
    Nothing,
}

impl BirthDate {
    /// Reads `YYYY-MM-DD`, whose era follows from the date, or `EYYYYMMDD`, whose era must be
    /// that of the date or 0, unknown. `00` stands for a day, or a month and its day, that the
    /// register does not have, `unknown` for the whole date.
    ///
    /// # Errors
    /// Any other form, an impossible date, one before Meiji, one after `now`.
    pub fn parse(text: &str, now: UnixTime) -> Result<Self, IssueError> {
        let (era, digits) = match text.split_at_checked(1) {
            _ if text == UNKNOWN => (None, "00000000".to_owned()),
            Some((era, digits)) if text.len() == CODE_CHARS => (era.chars().next(), digits.to_owned()),
            _ => match text.split('-').map(|part| (part, part.len())).collect::<Vec<_>>().as_slice() {
                [(year, 4), (month, 2), (day, 2)] => (None, [*year, *month, *day].concat()),
                _ => return Err(IssueError::BirthDate),
            },
        };
        let known = Known::from_digits(&digits).ok_or(IssueError::BirthDate)?;
        let of_date = match known {
            Known::Day(date) => era_of(date).ok_or(IssueError::BirthDate)?,
            Known::Month(_, last) | Known::Year(_, last) => {
                era_of(last).map(|_| ERA_UNKNOWN).ok_or(IssueError::BirthDate)?
            }
            Known::Nothing => ERA_UNKNOWN,
        };
        let era = match era {
            None => of_date,
            Some(given) if given == of_date || given == ERA_UNKNOWN => given,
            Some(_) => return Err(IssueError::BirthDate),
        };
        match known.first() {
            Some(first) if first > jst::date(now) => Err(IssueError::BirthInFuture),
            _ => Ok(Self { known, era }),
        }
    }

    /// `EYYYYMMDD`, as a signing certificate states it.
    #[must_use]
    pub fn code(&self) -> String {
        let digits = self.known.first().map(jst::date_digits);
        let digits = digits.as_deref().unwrap_or_default();
        let shown = match self.known {
            Known::Day(_) => 8,
            Known::Month(..) => 6,
            Known::Year(..) => 4,
            Known::Nothing => 0,
        };
        format!("{}{:0<8}", self.era, digits.get(..shown).unwrap_or_default())
    }

    /// Years completed on the day it is in Japan at `time`: at least, and at most. None when not
    /// even the year is known. One born on 29 February completes a year on the 28th in common years.
    #[must_use]
    pub fn age(&self, time: UnixTime) -> Option<(i32, i32)> {
        let today = jst::date(time);
        let since = |born: Date| {
            let years = today.year() - born.year();
            if jst::in_year(born, today.year()) > today { years - 1 } else { years }
        };
        Some((since(self.known.last()?), since(self.known.first()?)))
    }

    /// The day that birthdays are counted from: where the day, or the month too, is not known, the
    /// first of the month or of the year (A). None when not even the year is known.
    pub(super) const fn counted_from(&self) -> Option<Date> {
        self.known.first()
    }
}

impl Known {
    /// From `YYYYMMDD`, zeros standing for what is not known.
    fn from_digits(digits: &str) -> Option<Self> {
        if digits.len() != CODE_CHARS - 1 || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
            return None;
        }
        let (year, rest) = digits.split_at_checked(4)?;
        let (month, day) = rest.split_at_checked(2)?;
        let (year, month, day): (i32, u8, u8) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
        let date = |month: u8, day| Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok();
        Some(match (year, month, day) {
            (0, 0, 0) => Self::Nothing,
            (0, ..) => return None,
            (_, 0, 0) => Self::Year(date(1, 1)?, date(12, 31)?),
            (_, month, 0) => {
                let days = Month::try_from(month).ok()?.length(year);
                Self::Month(date(month, 1)?, date(month, days)?)
            }
            (_, month, day) => Self::Day(date(month, day)?),
        })
    }

    const fn first(self) -> Option<Date> {
        match self {
            Self::Day(first) | Self::Month(first, _) | Self::Year(first, _) => Some(first),
            Self::Nothing => None,
        }
    }

    const fn last(self) -> Option<Date> {
        match self {
            Self::Day(last) | Self::Month(_, last) | Self::Year(_, last) => Some(last),
            Self::Nothing => None,
        }
    }
}

impl fmt::Debug for BirthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BirthDate(…)")
    }
}

fn era_of(date: Date) -> Option<char> {
    ERAS.iter().find(|(first, _)| date >= *first).map(|(_, era)| *era)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> UnixTime {
        "2026-11-22T15:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_era_follows_from_the_date() {
        for (text, code) in [
            ("1868-01-25", "118680125"),
            ("1912-07-29", "119120729"),
            ("1912-07-30", "219120730"),
            ("1926-12-24", "219261224"),
            ("1926-12-25", "319261225"),
            ("1989-01-07", "319890107"),
            ("1989-01-08", "419890108"),
            ("2019-04-30", "420190430"),
            ("2019-05-01", "520190501"),
            ("319800217", "319800217"),
            ("019800217", "019800217"),
            ("1948-07-00", "019480700"),
            ("1948-00-00", "019480000"),
            ("019480700", "019480700"),
            ("1868-01-00", "018680100"),
            ("2026-00-00", "020260000"),
            ("unknown", "000000000"),
            ("000000000", "000000000"),
            ("0000-00-00", "000000000"),
        ] {
            assert_eq!(BirthDate::parse(text, now()).unwrap().code(), code);
        }
    }

    #[test]
    fn what_is_no_date_of_birth_is_refused() {
        for bad in [
            "",
            "1980-2-17",
            "19800217",
            "1980/02/17",
            "1980-02-30",
            "1868-01-24",
            "419800217",
            "619800217",
            "あ9800217",
            "1980-02-17 ",
            "+1980-02-17",
            "31980-217",
            "1948-00-17",
            "0000-07-17",
            "1948-13-00",
            "1867-00-00",
            "319480700",
            "300000000",
            "Unknown",
        ] {
            assert_eq!(BirthDate::parse(bad, now()).unwrap_err(), IssueError::BirthDate, "{bad}");
        }
    }

    #[test]
    fn the_future_begins_at_midnight_in_japan() {
        assert!(BirthDate::parse("2026-11-23", now()).is_ok());
        assert_eq!(BirthDate::parse("2026-11-24", now()).unwrap_err(), IssueError::BirthInFuture);
        assert!(BirthDate::parse("2026-11-00", now()).is_ok());
        assert_eq!(BirthDate::parse("2026-12-00", now()).unwrap_err(), IssueError::BirthInFuture);
        let before = "2026-11-22T14:59:59Z".parse().unwrap();
        assert_eq!(BirthDate::parse("2026-11-23", before).unwrap_err(), IssueError::BirthInFuture);
    }

    #[test]
    fn age_counts_birthdays_in_japan() {
        let birth = BirthDate::parse("2012-02-29", now()).unwrap();
        for (time, age) in [
            ("2027-02-27T14:59:59Z", 14),
            ("2027-02-27T15:00:00Z", 15),
            ("2028-02-28T14:59:59Z", 15),
            ("2028-02-28T15:00:00Z", 16),
        ] {
            assert_eq!(birth.age(time.parse().unwrap()), Some((age, age)), "{time}");
        }
        assert!(!format!("{birth:?}").contains("2012"));
    }

    #[test]
    fn of_a_date_not_wholly_known_only_the_certain_years_count() {
        let age = |born: &str| BirthDate::parse(born, now()).unwrap().age(now());
        assert_eq!(age("2011-00-00"), Some((14, 15)));
        assert_eq!(age("2011-11-00"), Some((14, 15)));
        assert_eq!(age("2011-10-00"), Some((15, 15)));
        assert_eq!(age("2010-00-00"), Some((15, 16)));
        assert_eq!(age("unknown"), None);
    }
}
