//! Byte ranges (RFC 9110 §14): one at a time.

use hyper::header::{HeaderMap, HeaderValue, IF_RANGE, RANGE};

use super::conditional::http_date;
use crate::der::UnixTime;

/// What part of a representation is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it: no Range, one we need not follow, or several at once (§14.2 lets a server
    /// ignore the header).
    Whole,
    /// From `first` to `last`, both within the representation.
    Range { first: u64, last: u64 },
    /// Nothing of it lies within the representation: 416.
    Unsatisfiable,
}

/// Reads Range and If-Range of a GET for a representation of `len` octets.
pub(super) fn part_of(headers: &HeaderMap, len: u64, etag: &[u8], last_modified: UnixTime) -> Part {
    let Some(range) = headers.get(RANGE) else { return Part::Whole };
    // Strong comparison: a weak tag never equals (§13.1.5).
    let same = |had: &HeaderValue| had.as_bytes() == etag || http_date(had) == Some(last_modified);
    if headers.get(IF_RANGE).is_some_and(|had| !same(had)) {
        return Part::Whole;
    }
    range.to_str().ok().and_then(|text| one(text, len)).unwrap_or(Part::Whole)
}

/// `bytes=first-last`, `bytes=first-`, `bytes=-suffix`; any other form is no range to us.
fn one(text: &str, len: u64) -> Option<Part> {
    let (unit, set) = text.split_once('=')?;
    let (first, last) = set.trim().split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") || set.contains(',') {
        return None;
    }
    let end = len.checked_sub(1);
    match (first, last) {
        ("", suffix) => match (number(suffix)?, end) {
            (0, _) | (_, None) => Some(Part::Unsatisfiable),
            (suffix, Some(end)) => Some(Part::Range { first: len.saturating_sub(suffix), last: end }),
        },
        (first, last) => {
            let first = number(first)?;
            let last = if last.is_empty() { u64::MAX } else { number(last)? };
            match end {
                _ if last < first => None,
                Some(end) if first <= end => Some(Part::Range { first, last: last.min(end) }),
                _ => Some(Part::Unsatisfiable),
            }
        }
    }
}

/// Digits only: no sign, no space.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    // More digits than fit mean "beyond any end".
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range: &str, len: u64) -> Part {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_str(range).unwrap());
        part_of(&headers, len, b"\"tag\"", UnixTime::from_seconds(1_800_000_000))
    }

    #[test]
    fn rfc9110_s14_1_2_one_range_is_followed() {
        for (range, first, last) in [
            ("bytes=0-0", 0, 0),
            ("bytes=0-99", 0, 99),
            ("bytes=10-", 10, 99),
            ("bytes=-1", 99, 99),
            ("bytes=-1000", 0, 99),
            ("bytes=50-1000", 50, 99),
            ("Bytes=1-2", 1, 2),
            ("bytes=0-99999999999999999999999", 0, 99),
        ] {
            assert_eq!(asked(range, 100), Part::Range { first, last }, "{range}");
        }
    }

    #[test]
    fn rfc9110_s14_2_what_cannot_be_followed_is_refused_or_ignored() {
        for range in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(asked(range, 100), Part::Unsatisfiable, "{range}");
        }
        assert_eq!(asked("bytes=0-", 0), Part::Unsatisfiable);
        for range in
            ["bytes=0-1,3-4", "bytes=5-4", "octets=0-1", "bytes=", "bytes=-", "bytes=a-b", "bytes=+1-2"]
        {
            assert_eq!(asked(range, 100), Part::Whole, "{range}");
        }
    }

    #[test]
    fn rfc9110_s13_1_5_if_range_with_another_tag_gives_all() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_static("bytes=0-1"));
        let date = UnixTime::from_seconds(1_800_000_000);
        for (had, part) in [
            ("\"tag\"", Part::Range { first: 0, last: 1 }),
            ("Fri, 15 Jan 2027 08:00:00 GMT", Part::Range { first: 0, last: 1 }),
            ("\"other\"", Part::Whole),
            ("W/\"tag\"", Part::Whole),
            ("Fri, 15 Jan 2027 08:00:01 GMT", Part::Whole),
        ] {
            headers.insert(IF_RANGE, HeaderValue::from_static(had));
            assert_eq!(part_of(&headers, 100, b"\"tag\"", date), part, "{had}");
        }
    }
}
