//! A time by calendar and clock, UTC, without a library's checks: every answer has three.

use super::UnixTime;

/// The parts of a time, in decimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Four digits.
    pub year: [u8; 4],
    /// Two digits, from `01` on.
    pub month: [u8; 2],
    /// Two digits.
    pub day: [u8; 2],
    /// Two digits.
    pub hour: [u8; 2],
    /// Two digits.
    pub minute: [u8; 2],
    /// Two digits.
    pub second: [u8; 2],
    /// January is 0.
    pub month_index: u8,
    /// Monday is 0.
    pub weekday: u8,
}

impl UnixTime {
    /// Its parts.
    #[must_use]
    pub fn civil(self) -> Civil {
        // A time lies between 1970 and 9999: the last day has seven digits.
        let seconds = u64::try_from(self.seconds()).unwrap_or(0);
        let [days, second] =
            [seconds / 86_400, seconds % 86_400].map(|part| u32::try_from(part).unwrap_or(0));
        let (year, month, day) = date(days);
        let [[y3, y2], [y1, y0]] = [year / 100, year % 100].map(two);
        Civil {
            year: [y3, y2, y1, y0],
            month: two(month),
            day: two(day),
            hour: two(second / 3600),
            minute: two(second / 60 % 60),
            second: two(second % 60),
            month_index: octet(month - 1),
            // 1 January 1970 was a Thursday.
            weekday: octet((days + 3) % 7),
        }
    }
}

/// Year, month and day of the month, so many days after 1 January 1970. Counts from 1 March of
/// the year 0, so that a leap day ends its year and every 400 years are alike.
const fn date(days: u32) -> (u32, u32, u32) {
    let days = days + DAYS_TO_1970;
    let (era, of_era) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // 153 days in five months from March on, whatever year it is.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + later, month, day)
}

/// From 1 March 0000 to 1 January 1970.
const DAYS_TO_1970: u32 = 719_468;
const DAYS_OF_400_YEARS: u32 = 146_097;

/// Two digits of a number below a hundred.
fn two(number: u32) -> [u8; 2] {
    usize::try_from(number).ok().and_then(|number| DIGITS.get(number)).copied().unwrap_or(*b"00")
}

/// `00` to `99`.
static DIGITS: [[u8; 2]; 100] = {
    let mut digits = [*b"00"; 100];
    let mut number: u8 = 0;
    let mut rest = digits.as_mut_slice();
    while let Some((place, after)) = rest.split_first_mut() {
        *place = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
        rest = after;
    }
    digits
};

const fn octet(number: u32) -> u8 {
    let [.., octet] = number.to_be_bytes();
    octet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_until_9999_is_that_of_another_library() {
        for day in 0..2_932_897_i64 {
            let time = UnixTime::from_seconds(day * 86_400 + day * 7919 % 86_400);
            let Civil { year, month, day, hour, minute, second, month_index, weekday } = time.civil();
            let date_time = time.date_time();
            let digits = |number: u32, len: usize| format!("{number:0len$}").into_bytes();
            assert_eq!(year.to_vec(), digits(u32::try_from(date_time.year()).unwrap(), 4), "{time}");
            for (ours, theirs) in [
                (month, u8::from(date_time.month())),
                (day, date_time.day()),
                (hour, date_time.hour()),
                (minute, date_time.minute()),
                (second, date_time.second()),
            ] {
                assert_eq!(ours.to_vec(), digits(theirs.into(), 2), "{time}");
            }
            assert_eq!(month_index + 1, u8::from(date_time.month()));
            assert_eq!(weekday, date_time.weekday().number_days_from_monday());
        }
    }
}
