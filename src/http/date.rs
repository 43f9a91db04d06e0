//! HTTP-dates, written often.

use crate::der::UnixTime;

/// Octets of an HTTP-date.
pub(super) const LEN: usize = 29;

/// `time` as HTTP prefers it (RFC 9110 §5.6.7): `Sun, 22 Nov 2026 10:00:00 GMT`.
pub(super) fn imf_fixdate(time: UnixTime) -> [u8; LEN] {
    let civil = time.civil();
    let [w0, w1, w2] = name(DAYS, civil.weekday);
    let [m0, m1, m2] = name(MONTHS, civil.month_index);
    let ([d0, d1], [c0, c1, y0, y1]) = (civil.day, civil.year);
    let ([h0, h1], [n0, n1], [s0, s1]) = (civil.hour, civil.minute, civil.second);
    [
        w0, w1, w2, b',', b' ', d0, d1, b' ', m0, m1, m2, b' ', c0, c1, y0, y1, b' ', h0, h1, b':', n0, n1,
        b':', s0, s1, b' ', b'G', b'M', b'T',
    ]
}

const DAYS: &[[u8; 3]] = &[*b"Mon", *b"Tue", *b"Wed", *b"Thu", *b"Fri", *b"Sat", *b"Sun"];

const MONTHS: &[[u8; 3]] = &[
    *b"Jan", *b"Feb", *b"Mar", *b"Apr", *b"May", *b"Jun", *b"Jul", *b"Aug", *b"Sep", *b"Oct", *b"Nov",
    *b"Dec",
];

fn name(names: &'static [[u8; 3]], at: u8) -> [u8; 3] {
    names.get(usize::from(at)).copied().unwrap_or(*b"???")
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
        fn dates_are_those_of_another_library(seconds in 0..=253_402_300_799_u64) {
            prop_assert_eq!(written(i64::try_from(seconds).unwrap()), expected(seconds));
        }

        #[test]
        fn hexadecimal_is_that_of_the_language(number: u32) {
            prop_assert_eq!(hex(number).to_vec(), format!("{number:08x}").into_bytes());
        }
    }
}
