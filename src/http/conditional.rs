//! Conditional requests (RFC 9110 §13).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::header::{HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH};

use crate::der::UnixTime;

/// What a client says it already has.
pub(super) struct Conditions {
    if_none_match: Vec<HeaderValue>,
    if_modified_since: Option<HeaderValue>,
}

impl Conditions {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self {
            if_none_match: headers.get_all(IF_NONE_MATCH).iter().cloned().collect(),
            if_modified_since: headers.get(IF_MODIFIED_SINCE).cloned(),
        }
    }

    /// Whether 304 is the answer. If-None-Match, when there, alone decides (§13.2.2). A date
    /// decides only if it is the very Last-Modified and lies [`DATE_GRAIN`] back: within the
    /// second of a change two contents may share it (§8.8.2.2), and a client that sends the
    /// instant of its fetch instead may have fetched what a change has replaced since.
    pub(super) fn unchanged(&self, etag: &[u8], last_modified: UnixTime, now: UnixTime) -> bool {
        if !self.if_none_match.is_empty() {
            return self.if_none_match.iter().any(|value| lists(value.as_bytes(), etag));
        }
        let Some(since) = self.if_modified_since.as_ref().and_then(http_date) else { return false };
        last_modified == since && now.since(last_modified) >= DATE_GRAIN
    }
}

/// HTTP dates have whole seconds; the second one after the change is surely past it.
const DATE_GRAIN: Duration = Duration::from_secs(2);

/// Whether an If-None-Match list names `etag`, by weak comparison (§8.8.3.2).
fn lists(list: &[u8], etag: &[u8]) -> bool {
    list.split(|octet| *octet == b',').map(<[u8]>::trim_ascii).any(|member| {
        member == b"*" || member == etag || member.strip_prefix(b"W/").is_some_and(|tag| tag == etag)
    })
}

/// An HTTP-date in any of its three forms (§5.6.7).
pub(super) fn http_date(value: &HeaderValue) -> Option<UnixTime> {
    let time = httpdate::parse_http_date(value.to_str().ok()?).ok()?;
    Some(unix_time(time))
}

/// As HTTP writes it: `Sun, 22 Nov 2026 10:00:00 GMT`.
pub(super) fn to_http_date(time: UnixTime) -> httpdate::HttpDate {
    let seconds = u64::try_from(time.seconds()).unwrap_or(0);
    httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// In whole seconds.
fn unix_time(time: SystemTime) -> UnixTime {
    UnixTime::default().plus(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGED: i64 = 1_800_000_000;

    fn unchanged(fields: &[(&str, &str)], seconds_after: i64) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let changed = UnixTime::from_seconds(CHANGED);
        Conditions::of(&headers).unchanged(
            b"\"tag\"",
            changed,
            UnixTime::from_seconds(CHANGED + seconds_after),
        )
    }

    #[test]
    fn rfc9110_s13_1_2_if_none_match_alone_decides() {
        for list in ["\"tag\"", "W/\"tag\"", "\"a\", \"tag\"", "*", "\"a\",W/\"tag\""] {
            assert!(unchanged(&[("if-none-match", list)], 0), "{list}");
        }
        for list in ["\"tag", "tag", "\"other\"", "w/\"tag\""] {
            assert!(!unchanged(&[("if-none-match", list)], 100), "{list}");
        }
        let later = "Fri, 15 Jan 2027 09:00:00 GMT";
        assert!(!unchanged(&[("if-none-match", "\"other\""), ("if-modified-since", later)], 100));
        assert!(unchanged(&[("if-none-match", "\"a\""), ("if-none-match", "\"tag\"")], 100));
    }

    #[test]
    fn rfc9110_s8_8_2_2_a_date_decides_only_two_seconds_later() {
        let at = "Fri, 15 Jan 2027 08:00:00 GMT";
        assert!(unchanged(&[("if-modified-since", at)], 2));
        assert!(unchanged(&[("if-modified-since", "Friday, 15-Jan-27 08:00:00 GMT")], 2));
        assert!(!unchanged(&[("if-modified-since", at)], 1));
        for other in ["Fri, 15 Jan 2027 07:59:59 GMT", "Fri, 15 Jan 2027 08:00:01 GMT"] {
            assert!(!unchanged(&[("if-modified-since", other)], 100));
        }
        assert!(!unchanged(&[("if-modified-since", "yesterday")], 100));
        assert!(!unchanged(&[], 100));
    }

    #[test]
    fn rfc9110_s5_6_7_dates_are_written_in_the_preferred_form() {
        let text = to_http_date(UnixTime::from_seconds(CHANGED)).to_string();
        assert_eq!(text, "Fri, 15 Jan 2027 08:00:00 GMT");
    }
}
