//! The path of an OCSP GET (RFC 6960 App. A.1) back to the octets of the request.
//!
//! The rule is one sentence – the URL encoding of the base64 encoding – and every client
//! library reads it in its own way. The path must come here as it stood on the wire: `//` and
//! `%2F` inside it are data.

use std::borrow::Cow;

/// What the path of a GET says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Octets that may be a request.
    Octets(Vec<u8>),
    /// Meant as a request, by the look of it, and not decodable.
    Undecodable,
    /// Not base64 at all: a browser's or a scanner's path.
    Foreign,
}

/// Reads the raw path, leading `/` and `/ocsp/` included, query excluded.
pub(super) fn decode(path: &str) -> Spelling {
    let Some(text) = percent_decoded(path) else {
        // Only a path that begins as every request does is worth an OCSP answer.
        return if looks_like_request(path.as_bytes()) { Spelling::Undecodable } else { Spelling::Foreign };
    };
    let (text, under_ocsp) = question_of(&text);
    match base64(text) {
        Some(octets) => Spelling::Octets(octets),
        None if under_ocsp || text.first() == Some(&SEQUENCE_IN_BASE64) => Spelling::Undecodable,
        None if text.iter().all(|octet| value_of(*octet).is_some() || *octet == b'=') => {
            Spelling::Undecodable
        }
        None => Spelling::Foreign,
    }
}

/// The other reading of a path that ends in `/`: without it. Where padding is missing too, the
/// final `/` may complete a quartet, and only the request's own length tells which was meant.
pub(super) fn decode_without_final_slash(path: &str) -> Option<Vec<u8>> {
    let text = percent_decoded(path)?;
    let (text, _) = question_of(&text);
    base64(text.strip_suffix(b"/")?)
}

/// The first base64 digit of every OCSP request: its identifier octet is 0x30.
const SEQUENCE_IN_BASE64: u8 = b'M';

fn looks_like_request(path: &[u8]) -> bool {
    let (text, under_ocsp) = question_of(path);
    under_ocsp || text.first() == Some(&SEQUENCE_IN_BASE64)
}

/// Without leading slashes, `ocsp/`, and slashes again; and whether `ocsp/` was there. The
/// base64 of a request begins with `M`, so nothing of it is lost.
fn question_of(text: &[u8]) -> (&[u8], bool) {
    let text = without_leading_slashes(text);
    match text.strip_prefix(b"ocsp/") {
        Some(rest) => (without_leading_slashes(rest), true),
        None => (text, false),
    }
}

fn without_leading_slashes(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = text.strip_prefix(b"/") {
        text = rest;
    }
    text
}

/// Undoes `%XX` (RFC 3986 §2.1) once.
fn percent_decoded(path: &str) -> Option<Cow<'_, [u8]>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path.as_bytes()));
    }
    let mut out = Vec::with_capacity(path.len());
    let mut octets = path.bytes();
    while let Some(octet) = octets.next() {
        out.push(match octet {
            b'%' => hex(octets.next()?)? << 4 | hex(octets.next()?)?,
            other => other,
        });
    }
    Some(Cow::Owned(out))
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Both alphabets of RFC 4648, padding optional, a `/` after the padding ignored. Bits beyond
/// the last octet must be zero, as every encoder leaves them.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut digits = text;
    if let Some(rest) = digits.strip_suffix(b"=/") {
        digits = rest;
    }
    while let Some(rest) = digits.strip_suffix(b"=") {
        digits = rest;
    }
    if digits.len() % 4 == 1 {
        digits = digits.strip_suffix(b"/")?;
    }
    let padding = text.len() - digits.len();
    if digits.is_empty() || padding > PADDING_MAX {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    let mut quartets = digits.chunks_exact(4);
    for quartet in &mut quartets {
        let group = group_of(quartet)?;
        let [_, a, b, c] = group.to_be_bytes();
        out.extend_from_slice(&[a, b, c]);
    }
    match quartets.remainder() {
        [] => {}
        rest => {
            let missing = 4 - rest.len();
            let group = (0..missing).fold(group_of(rest)?, |group, _| group << 6);
            let [_, octets @ ..] = group.to_be_bytes();
            let (kept, spare) = octets.split_at_checked(rest.len() - 1)?;
            if spare.iter().any(|octet| *octet != 0) {
                return None;
            }
            out.extend_from_slice(kept);
        }
    }
    Some(out)
}

/// Two `=` and a final `/`.
const PADDING_MAX: usize = 3;

fn group_of(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |group, digit| Some(group << 6 | u32::from(value_of(*digit)?)))
}

/// The value of a base64 digit; a space is a `+` that some client took for form encoding.
const fn value_of(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' | b'-' | b' ' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 30 15 and 21 octets of which the base64 has `+`, `/`, `//` and one `=`.
    const REQUEST: [u8; 23] = [
        0x30, 0x15, 0xfb, 0xef, 0xbe, 0xff, 0xff, 0xff, 0x3e, 0x3f, 0xf8, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05,
        0x06, 0x07, 0x08, 0x09, 0x0a, 0xff,
    ];
    const BASE64: &str = "MBX7777///8+P/gAAQIDBAUGBwgJCv8=";

    fn every_octet(text: &str, upper: bool) -> String {
        text.bytes().map(|b| if upper { format!("%{b:02X}") } else { format!("%{b:02x}") }).collect()
    }

    #[test]
    fn rfc6960_a_1_every_spelling_of_a_get_is_one_request() {
        let percent = BASE64.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
        let lower = BASE64.replace('/', "%2f").replace('+', "%2b").replace('=', "%3d");
        let url = BASE64.replace('/', "_").replace('+', "-");
        let bare = BASE64.trim_end_matches('=');
        let spellings = [
            format!("/{BASE64}"),
            format!("/{percent}"),
            format!("/{lower}"),
            format!("/{}", every_octet(BASE64, true)),
            format!("/{}", every_octet(BASE64, false)),
            format!("//{BASE64}"),
            format!("///{percent}"),
            format!("/%2F{percent}"),
            format!("/ocsp/{BASE64}"),
            format!("/ocsp//{percent}"),
            format!("//ocsp/{percent}"),
            format!("/{}", BASE64.replace('+', "%20")),
            format!("/{bare}"),
            format!("/{}", bare.replace('/', "%2F")),
            format!("/{BASE64}/"),
            format!("/{percent}/"),
            format!("/{percent}%2F"),
            format!("/{url}"),
            format!("/{}", url.trim_end_matches('=')),
            format!("/{url}/"),
            format!("/ocsp/{url}"),
        ];
        for spelling in spellings {
            assert_eq!(decode(&spelling), Spelling::Octets(REQUEST.to_vec()), "{spelling}");
        }
    }

    #[test]
    fn missing_padding_and_a_final_slash_have_two_readings() {
        // 22, 23 and 24 octets: with and without a rest.
        for len in 20..=23 {
            let octets = &REQUEST[..len];
            let text = encoded(octets);
            let path = format!("/{}/", text.trim_end_matches('='));
            let readings = [
                match decode(&path) {
                    Spelling::Octets(octets) => Some(octets),
                    _ => None,
                },
                decode_without_final_slash(&path),
            ];
            assert!(readings.contains(&Some(octets.to_vec())), "{path}");
        }
    }

    #[test]
    fn what_cannot_be_a_request_is_told_from_what_was_meant_as_one() {
        for undecodable in [
            "/M",
            "/MBX",
            "/MB*7",
            "/MB%",
            "/MB%4",
            "/MB%GG",
            "/MBX7=MBX",
            "/MBX7====",
            "/MBX7%00",
            "/ocsp/%",
            "/ocsp/favicon.ico",
            "/AAAAA",
            "/====",
            "/M===",
            "/MBX7?",
        ] {
            assert_eq!(decode(undecodable), Spelling::Undecodable, "{undecodable}");
        }
        for foreign in ["/favicon.ico", "/robots.txt", "/.well-known/x.txt", "/%", "/index.php%3Fa"] {
            assert_eq!(decode(foreign), Spelling::Foreign, "{foreign}");
        }
    }

    fn encoded(octets: &[u8]) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        octets
            .chunks(3)
            .map(|group| {
                let value =
                    group.iter().fold(0_u32, |v, b| v << 8 | u32::from(*b)) << (8 * (3 - group.len()));
                (0..4)
                    .map(|i| match i <= group.len() {
                        true => char::from(DIGITS[usize::try_from(value >> (18 - 6 * i) & 63).unwrap()]),
                        false => '=',
                    })
                    .collect::<String>()
            })
            .collect()
    }

    proptest::proptest! {
        #[test]
        fn base64_of_any_octets_comes_back(octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 1..200)) {
            let text = encoded(&octets);
            proptest::prop_assert_eq!(base64(text.as_bytes()), Some(octets.clone()));
            proptest::prop_assert_eq!(base64(text.trim_end_matches('=').as_bytes()), Some(octets));
        }

        #[test]
        fn any_path_has_a_reading(path in "/[ -~]{0,80}") {
            decode(&path);
            decode_without_final_slash(&path);
        }
    }
}
