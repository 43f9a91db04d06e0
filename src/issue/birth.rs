//! Date of birth.

use std::fmt;

use time::Date;
use time::macros::{date, format_description};

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

/// A holder's date of birth. Not shown by `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BirthDate {
    date: Date,
    era: char,
}

impl BirthDate {
    /// Reads `YYYY-MM-DD`, whose era follows from the date, or `EYYYYMMDD`, whose era must be
    /// that of the date or 0, unknown.
    ///
    /// # Errors
    /// Any other form, an impossible date, one before Meiji, one after `now`.
    pub fn parse(text: &str, now: UnixTime) -> Result<Self, IssueError> {
        let (era, digits) = match text.split_at_checked(1) {
            Some((era, digits)) if text.len() == CODE_CHARS => (era.chars().next(), digits.to_owned()),
            _ => match text.split('-').map(|part| (part, part.len())).collect::<Vec<_>>().as_slice() {
                [(year, 4), (month, 2), (day, 2)] => (None, [*year, *month, *day].concat()),
                _ => return Err(IssueError::BirthDate),
            },
        };
        let date = Date::parse(&digits, format_description!("[year][month][day]"));
        let date = date.map_err(|_| IssueError::BirthDate)?;
        let of_date = era_of(date).ok_or(IssueError::BirthDate)?;
        let era = match era {
            None => of_date,
            Some(given) if given == of_date || given == ERA_UNKNOWN => given,
            Some(_) => return Err(IssueError::BirthDate),
        };
        if date > jst::date(now) { Err(IssueError::BirthInFuture) } else { Ok(Self { date, era }) }
    }

    /// `EYYYYMMDD`, as a signing certificate states it.
    #[must_use]
    pub fn code(&self) -> String {
        format!("{}{}", self.era, jst::date_digits(self.date))
    }

    /// Years completed on the day it is in Japan at `time`. One born on 29 February completes
    /// a year on the 28th in common years.
    #[must_use]
    pub fn age(&self, time: UnixTime) -> i32 {
        let today = jst::date(time);
        let years = today.year() - self.date.year();
        if self.birthday(today.year()) > today { years - 1 } else { years }
    }

    /// The birthday in `year`.
    pub(super) fn birthday(&self, year: i32) -> Date {
        jst::in_year(self.date, year)
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
        ] {
            assert_eq!(BirthDate::parse(bad, now()).unwrap_err(), IssueError::BirthDate, "{bad}");
        }
    }

    #[test]
    fn the_future_begins_at_midnight_in_japan() {
        assert!(BirthDate::parse("2026-11-23", now()).is_ok());
        assert_eq!(BirthDate::parse("2026-11-24", now()).unwrap_err(), IssueError::BirthInFuture);
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
            assert_eq!(birth.age(time.parse().unwrap()), age, "{time}");
        }
        assert!(!format!("{birth:?}").contains("2012"));
    }
}
