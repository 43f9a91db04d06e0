//! From when until when.

use time::{Date, Month};

use super::{BirthDate, IssueError, jst};
use crate::der::UnixTime;

/// Birthdays a resident's certificate lives to see.
const BIRTHDAYS: i32 = 5;

/// Birthdays when the old certificate was in its last months: the nearest one is not lost.
const BIRTHDAYS_RENEWED: i32 = 6;

/// The last months of a certificate, in which renewing loses nothing.
const RENEWAL_MONTHS: u8 = 3;

/// Validity (RFC 5280 §4.1.2.5): both ends included, the first before the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    not_before: UnixTime,
    not_after: UnixTime,
}

impl Validity {
    /// From `not_before` to `not_after`.
    ///
    /// # Errors
    /// When nothing lies between them.
    pub fn new(not_before: UnixTime, not_after: UnixTime) -> Result<Self, IssueError> {
        if not_before < not_after {
            Ok(Self { not_before, not_after })
        } else {
            Err(IssueError::AlreadyOver { not_after })
        }
    }

    /// Of a CA certificate made `now`: to the end, in Japan, of the eve of the anniversary, as
    /// all the real ones have it.
    ///
    /// # Errors
    /// When `years` is 0.
    pub fn of_ca(now: UnixTime, years: u8) -> Result<Self, IssueError> {
        let today = jst::date(now);
        let anniversary = jst::in_year(today, today.year() + i32::from(years));
        Self::new(now, jst::end_of_day(anniversary.previous_day().unwrap_or(anniversary)))
    }

    /// First instant.
    #[must_use]
    pub const fn not_before(&self) -> UnixTime {
        self.not_before
    }

    /// Last instant.
    #[must_use]
    pub const fn not_after(&self) -> UnixTime {
        self.not_after
    }
}

/// What a card certificate may not outlive, and what it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// End of the certificate it replaces.
    pub previous: Option<UnixTime>,
    /// End of the card.
    pub card_expiry: Option<UnixTime>,
    /// End of the authentication certificate on the same card, for a signing certificate.
    pub twin: Option<UnixTime>,
    /// End of the issuer's certificate.
    pub ca_not_after: UnixTime,
}

/// End of a card certificate issued `now`: the end, in Japan, of the holder's fifth birthday
/// after the day of issue; of the sixth when the old certificate is in its last three months;
/// but no later than any of `limits`.
///
/// Of a date of birth whose day or month is not known, the first counts. Where nothing of it is
/// known, the fifth anniversary of the issue stands for the birthday, of every issue: no birthday
/// lies near that a renewal would lose (A).
///
/// # Errors
/// When that is no later than `now`.
pub fn not_after(birth: &BirthDate, now: UnixTime, limits: &Limits) -> Result<UnixTime, IssueError> {
    let today = jst::date(now);
    let (born, birthdays) = match birth.counted_from() {
        Some(born) if limits.previous.is_some_and(|previous| is_renewal(previous, now)) => {
            (born, BIRTHDAYS_RENEWED)
        }
        Some(born) => (born, BIRTHDAYS),
        None => (today, BIRTHDAYS),
    };
    let coming = today.year() + i32::from(jst::in_year(born, today.year()) <= today);
    let last = jst::end_of_day(jst::in_year(born, coming + birthdays - 1));
    let ends = [limits.card_expiry, limits.twin, Some(limits.ca_not_after)];
    let not_after = ends.into_iter().flatten().fold(last, UnixTime::min);
    Validity::new(now, not_after).map(|validity| validity.not_after)
}

/// End of a phone certificate issued `now`: that of the card's signing certificate it was asked
/// for with, but no later than its issuer's.
///
/// # Errors
/// When that is no later than `now`.
pub fn phone_not_after(
    card_signing: UnixTime,
    now: UnixTime,
    ca_not_after: UnixTime,
) -> Result<UnixTime, IssueError> {
    Validity::new(now, card_signing.min(ca_not_after)).map(|validity| validity.not_after)
}

/// True in the last three months of a certificate that ends at `previous`.
fn is_renewal(previous: UnixTime, now: UnixTime) -> bool {
    now <= previous && now > jst::end_of_day(months_before(jst::date(previous)))
}

/// The day [`RENEWAL_MONTHS`] before `date`, or the last of its month where that has none.
fn months_before(date: Date) -> Date {
    let month = u8::from(date.month());
    let (year, month) = if month > RENEWAL_MONTHS {
        (date.year(), month - RENEWAL_MONTHS)
    } else {
        (date.year() - 1, month + 12 - RENEWAL_MONTHS)
    };
    let month = Month::try_from(month).unwrap_or(Month::January);
    Date::from_calendar_date(year, month, date.day().min(month.length(year))).unwrap_or(Date::MIN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FREE: Limits =
        Limits { previous: None, card_expiry: None, twin: None, ca_not_after: UnixTime::MAX };

    fn time(text: &str) -> UnixTime {
        text.parse().unwrap()
    }

    fn birth(text: &str) -> BirthDate {
        BirthDate::parse(text, UnixTime::MAX).unwrap()
    }

    fn issued(born: &str, now: &str, limits: Limits) -> String {
        not_after(&birth(born), time(now), &limits).unwrap().to_string()
    }

    #[test]
    fn the_real_test_card_ends_on_its_holders_fifth_birthday() {
        let real = "2025-10-27T01:35:57Z";
        assert_eq!(issued("1980-02-17", real, FREE), "2030-02-17T14:59:59Z");
        assert_eq!(issued("1982-02-17", real, FREE), "2030-02-17T14:59:59Z");
    }

    #[test]
    fn the_day_of_issue_is_not_counted_and_is_a_day_of_japan() {
        assert_eq!(issued("1980-02-17", "2026-02-16T14:59:59Z", FREE), "2030-02-17T14:59:59Z");
        assert_eq!(issued("1980-02-17", "2026-02-16T15:00:00Z", FREE), "2031-02-17T14:59:59Z");
    }

    #[test]
    fn renewal_in_the_last_three_months_gains_the_sixth_birthday() {
        let previous = Some(time("2026-05-31T14:59:59Z"));
        let limits = Limits { previous, ..FREE };
        for (now, end) in [
            ("2026-02-28T14:59:59Z", "2030-05-31T14:59:59Z"),
            ("2026-02-28T15:00:00Z", "2031-05-31T14:59:59Z"),
            ("2026-05-30T14:59:59Z", "2031-05-31T14:59:59Z"),
            ("2026-06-01T00:00:00Z", "2031-05-31T14:59:59Z"),
        ] {
            assert_eq!(issued("1980-05-31", now, limits), end, "{now}");
        }
        let long_gone = Limits { previous: Some(time("2020-05-31T14:59:59Z")), ..FREE };
        assert_eq!(issued("1980-05-31", "2026-05-01T00:00:00Z", long_gone), "2030-05-31T14:59:59Z");
    }

    #[test]
    fn three_months_before_new_year_lie_in_the_old_one() {
        let limits = Limits { previous: Some(time("2027-01-31T14:59:59Z")), ..FREE };
        assert_eq!(issued("1980-01-31", "2026-10-31T14:59:59Z", limits), "2031-01-31T14:59:59Z");
        assert_eq!(issued("1980-01-31", "2026-10-31T15:00:00Z", limits), "2032-01-31T14:59:59Z");
    }

    #[test]
    fn born_on_29_february_ends_on_the_28th_in_common_years() {
        assert_eq!(issued("1980-02-29", "2025-10-27T00:00:00Z", FREE), "2030-02-28T14:59:59Z");
        assert_eq!(issued("1980-02-29", "2027-10-27T00:00:00Z", FREE), "2032-02-29T14:59:59Z");
        assert_eq!(issued("1980-02-29", "2026-02-28T00:00:00Z", FREE), "2031-02-28T14:59:59Z");
    }

    #[test]
    fn what_is_not_known_of_a_birthday_is_taken_for_the_first() {
        let now = "2026-11-22T15:00:00Z";
        for (born, end) in [
            ("1948-07-00", "2031-07-01T14:59:59Z"),
            ("1948-12-00", "2030-12-01T14:59:59Z"),
            ("1948-00-00", "2031-01-01T14:59:59Z"),
            ("unknown", "2031-11-23T14:59:59Z"),
        ] {
            assert_eq!(issued(born, now, FREE), end, "{born}");
        }
        assert_eq!(issued("unknown", "2024-02-29T00:00:00Z", FREE), "2029-02-28T14:59:59Z");
        let renewed = Limits { previous: Some(time("2026-12-31T14:59:59Z")), ..FREE };
        assert_eq!(issued("1948-00-00", now, renewed), "2032-01-01T14:59:59Z");
        assert_eq!(issued("unknown", now, renewed), "2031-11-23T14:59:59Z", "no more than five years");
    }

    #[test]
    fn nothing_outlives_card_twin_or_ca() {
        let now = "2025-10-27T00:00:00Z";
        let early = time("2027-01-01T00:00:00Z");
        for limits in [
            Limits { card_expiry: Some(early), ..FREE },
            Limits { twin: Some(early), ..FREE },
            Limits { ca_not_after: early, ..FREE },
        ] {
            assert_eq!(issued("1980-02-17", now, limits), "2027-01-01T00:00:00Z");
        }
        let over = Limits { card_expiry: Some(time(now)), ..FREE };
        assert_eq!(
            not_after(&birth("1980-02-17"), time(now), &over).unwrap_err(),
            IssueError::AlreadyOver { not_after: time(now) }
        );
    }

    #[test]
    fn a_phone_inherits_the_end_of_the_cards_signing_certificate() {
        let (now, card) = (time("2026-01-01T00:00:00Z"), time("2031-02-17T14:59:59Z"));
        assert_eq!(phone_not_after(card, now, UnixTime::MAX), Ok(card));
        assert_eq!(
            phone_not_after(card, now, now.plus(std::time::Duration::from_secs(9)))
                .unwrap()
                .since(now)
                .as_secs(),
            9
        );
        assert!(phone_not_after(now, now, UnixTime::MAX).is_err());
    }

    #[test]
    fn ca_certificates_end_as_the_real_ones() {
        for (now, end) in [
            ("2015-10-20T02:40:28Z", "2025-10-19T14:59:59Z"),
            ("2019-09-14T23:41:56Z", "2029-09-14T14:59:59Z"),
            ("2023-07-16T00:50:27Z", "2033-07-15T14:59:59Z"),
            ("2024-08-28T22:23:39Z", "2034-08-28T14:59:59Z"),
        ] {
            assert_eq!(Validity::of_ca(time(now), 10).unwrap().not_after(), time(end));
        }
        assert!(Validity::of_ca(time("2023-07-16T00:50:27Z"), 0).is_err());
    }

    proptest! {
        #[test]
        fn five_or_six_birthdays_and_never_beyond_a_limit(
            born in -3_000_000_000_i64..1_600_000_000, now in 1_600_000_000_i64..4_000_000_000,
            previous in prop::option::of(-9_000_000_i64..9_000_000),
            card in prop::option::of(1_i64..400_000_000), twin in prop::option::of(1_i64..400_000_000),
            ca in 1_i64..400_000_000,
        ) {
            let born = time::OffsetDateTime::from_unix_timestamp(born).unwrap().date();
            let birth = birth(&born.to_string());
            let at = |offset: i64| UnixTime::from_seconds(now + offset);
            let limits = Limits {
                previous: previous.map(at), card_expiry: card.map(at), twin: twin.map(at), ca_not_after: at(ca),
            };
            let end = not_after(&birth, at(0), &limits).unwrap();
            for limit in [limits.card_expiry, limits.twin, Some(limits.ca_not_after)].into_iter().flatten() {
                prop_assert!(end <= limit);
            }
            let free = not_after(&birth, at(0), &Limits { previous: limits.previous, ..FREE }).unwrap();
            prop_assert!(end == free || [card, twin, Some(ca)].into_iter().flatten().any(|limit| end == at(limit)));
            prop_assert!(free.to_string().ends_with("T14:59:59Z"));
            // Ages are counted by another path: the last day begins the year after the fifth.
            let age = |time| birth.age(time).unwrap().0;
            let birthdays = age(free) - age(at(0));
            let renewal = previous.is_some_and(|previous| (0..=86_400 * 88).contains(&previous));
            let not_renewal = previous.is_none_or(|previous| !(0..=86_400 * 92).contains(&previous));
            prop_assert!(birthdays == 5 || birthdays == 6);
            prop_assert!(!renewal || birthdays == 6);
            prop_assert!(!not_renewal || birthdays == 5);
            prop_assert_eq!(age(UnixTime::from_seconds(free.seconds() - 86_400)), age(free) - 1);
        }
    }
}
