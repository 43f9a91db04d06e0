//! Content codings (RFC 9110 §§8.4.1, 12.5.3): which stored form a client gets.

use hyper::header::{ACCEPT_ENCODING, HeaderMap};

/// A coding that documents are stored in beside their own form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// gzip (RFC 1952).
    Gzip,
    /// zstd (RFC 8878).
    Zstd,
}

impl Coding {
    /// As Content-Encoding names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    fn is(self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.name()) || self == Self::Gzip && name.eq_ignore_ascii_case("x-gzip")
    }
}

/// The best of the `stored` codings for a client; none is the document as it is. So is what a
/// client gets that accepts nothing there is: a server may disregard the field (§12.5.3).
///
/// At equal weights zstd is better than gzip, and gzip than nothing.
pub(super) fn chosen(asked: &HeaderMap, stored: &[Coding]) -> Option<Coding> {
    let mut best = (weight_of_identity(asked), None);
    for coding in [Coding::Gzip, Coding::Zstd].into_iter().filter(|coding| stored.contains(coding)) {
        let weight = weight(asked, |name| coding.is(name)).or_else(|| weight(asked, |name| name == "*"));
        if let Some(weight) = weight.filter(|weight| *weight > 0 && *weight >= best.0) {
            best = (weight, Some(coding));
        }
    }
    best.1
}

/// In thousandths. Not mentioned, it is acceptable, and less so than anything that is.
fn weight_of_identity(asked: &HeaderMap) -> u16 {
    let named = weight(asked, |name| name.eq_ignore_ascii_case("identity"));
    named.or_else(|| weight(asked, |name| name == "*")).unwrap_or(0)
}

/// The weight of the first member that `is_it`, in thousandths. Members that are none are left out.
fn weight(asked: &HeaderMap, is_it: impl Fn(&str) -> bool) -> Option<u16> {
    let values = asked.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut members = values.flat_map(|value| value.split(','));
    members.find_map(|member| {
        let (name, parameters) = member.split_once(';').unwrap_or((member, ""));
        if !is_it(name.trim()) {
            return None;
        }
        match parameters.trim() {
            "" => Some(1000),
            parameters => {
                let (name, value) = parameters.split_once('=')?;
                name.trim().eq_ignore_ascii_case("q").then(|| thousandths(value.trim()))?
            }
        }
    })
}

/// `qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )`.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 3 || !part.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let part = format!("{part:0<3}").parse::<u16>().ok()?;
    match (whole, part) {
        ("0", part) => Some(part),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn chosen_of(fields: &[&str], stored: &[Coding]) -> Option<Coding> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_str(field).unwrap());
        }
        chosen(&headers, stored)
    }

    #[test]
    fn rfc9110_s12_5_3_the_coding_of_most_weight_is_chosen() {
        use Coding::{Gzip, Zstd};
        let both = [Gzip, Zstd];
        for (fields, expected) in [
            (&[][..], None),
            (&[""][..], None),
            (&["gzip"], Some(Gzip)),
            (&["GZIP"], Some(Gzip)),
            (&["x-gzip"], Some(Gzip)),
            (&["zstd"], Some(Zstd)),
            (&["gzip, deflate, br, zstd"], Some(Zstd)),
            (&["gzip", "zstd"], Some(Zstd)),
            (&["gzip;q=1.0, zstd;q=0.5"], Some(Gzip)),
            (&["gzip ; q=0.5 , zstd ; Q=0.5"], Some(Zstd)),
            (&["*"], Some(Zstd)),
            (&["*, zstd;q=0"], Some(Gzip)),
            (&["*;q=0.1, identity"], None),
            (&["gzip;q=0"], None),
            (&["identity;q=1, gzip;q=0.5"], None),
            (&["identity;q=0.5, gzip;q=0.5"], Some(Gzip)),
            (&["br"], None),
            (&["identity;q=0, gzip"], Some(Gzip)),
            (&["*;q=0"], None),
            (&["gzip;q=2"], None),
            (&["gzip;q=0.1234"], None),
            (&["gzip;level=9"], None),
            (&["gzipped, not a coding, ;q=1"], None),
        ] {
            assert_eq!(chosen_of(fields, &both), expected, "{fields:?}");
        }
        assert_eq!(chosen_of(&["zstd, gzip;q=0.2"], &[Gzip]), Some(Gzip));
        assert_eq!(chosen_of(&["zstd"], &[Gzip]), None);
        assert_eq!(chosen_of(&["zstd, gzip"], &[]), None);
    }
}
