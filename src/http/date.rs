//! HTTP-dates, written often.

use crate::der::UnixTime;

/// Octets of an HTTP-date.
pub(super) const LEN: usize = 29;

/// `time` as HTTP prefers it (RFC 9110 §5.6.7): `Sun, 22 Nov 2026 10:00:00 GMT`. What lies
/// before 1970 becomes 1970, and what lies after 9999 its end.
pub(super) fn imf_fixdate(time: UnixTime) -> [u8; LEN] {
    let seconds = u64::try_from(time.seconds()).unwrap_or(0).min(LAST);
    // The last day has seven digits, a day's last second five.
    let [days, second] = [seconds / 86_400, seconds % 86_400].map(|part| u32::try_from(part).unwrap_or(0));
    let (year, month, day) = civil(days);
    let [w0, w1, w2] = name(DAYS, days % 7);
    let [m0, m1, m2] = name(MONTHS, month - 1);
    let [[d0, d1], [c0, c1], [y0, y1]] = [day, year / 100, year % 100].map(two);
    let [[h0, h1], [n0, n1], [s0, s1]] = [second / 3600, second / 60 % 60, second % 60].map(two);
    [
        w0, w1, w2, b',', b' ', d0, d1, b' ', m0, m1, m2, b' ', c0, c1, y0, y1, b' ', h0, h1, b':', n0, n1,
        b':', s0, s1, b' ', b'G', b'M', b'T',
    ]
}

/// Year, month and day of the month, so many days after 1 January 1970. Counts from 1 March of
/// the year 0, so that a leap day ends its year and every 400 years are alike.
const fn civil(days: u32) -> (u32, u32, u32) {
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
/// The last second of the year 9999.
const LAST: u64 = 253_402_300_799;

/// 1 January 1970 was a Thursday.
const DAYS: &[[u8; 3]] = &[*b"Thu", *b"Fri", *b"Sat", *b"Sun", *b"Mon", *b"Tue", *b"Wed"];

const MONTHS: &[[u8; 3]] = &[
    *b"Jan", *b"Feb", *b"Mar", *b"Apr", *b"May", *b"Jun", *b"Jul", *b"Aug", *b"Sep", *b"Oct", *b"Nov",
    *b"Dec",
];

fn name(names: &'static [[u8; 3]], at: u32) -> [u8; 3] {
    usize::try_from(at).ok().and_then(|at| names.get(at)).copied().unwrap_or(*b"???")
}

/// Two digits of a number below a hundred.
fn two(number: u32) -> [u8; 2] {
    let [_, _, _, tens] = (number / 10).to_be_bytes();
    let [_, _, _, ones] = (number % 10).to_be_bytes();
    [b'0' + tens % 10, b'0' + ones]
}

/// Eight hexadecimal digits.
pub(super) fn hex(number: u32) -> [u8; 8] {
    let mut shift = u32::BITS;
    [(); 8].map(|()| {
        shift -= 4;
        let [_, _, _, digit] = (number >> shift & 0xf).to_be_bytes();
        if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    fn written(seconds: i64) -> String {
        String::from_utf8(imf_fixdate(UnixTime::from_seconds(seconds)).to_vec()).unwrap()
    }

    fn expected(seconds: u64) -> String {
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn rfc9110_s5_6_7_every_day_until_2400_and_the_ends_of_time() {
        for day in 0..157_100 {
            let seconds = day * 86_400 + day * 7919 % 86_400;
            assert_eq!(written(i64::try_from(seconds).unwrap()), expected(seconds));
        }
        assert_eq!(written(-1), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(written(i64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    proptest! {
        #[test]
        fn dates_are_those_of_another_library(seconds in 0..=LAST) {
            prop_assert_eq!(written(i64::try_from(seconds).unwrap()), expected(seconds));
        }

        #[test]
        fn hexadecimal_is_that_of_the_language(number: u32) {
            prop_assert_eq!(hex(number).to_vec(), format!("{number:08x}").into_bytes());
        }
    }
}
