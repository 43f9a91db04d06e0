//! A quick look into an OCSPResponse, by its lengths alone: for tests that look into a million.

#![allow(dead_code, reason = "each test file uses a part of it")]

/// What a BasicOCSPResponse says, where it lies.
pub struct Look<'a> {
    /// Of each SingleResponse: its CertID, and the identifier octet of its certStatus.
    pub singles: Vec<(&'a [u8], u8)>,
    /// Octets of the nonce.
    pub nonce: Option<&'a [u8]>,
}

pub const GOOD: u8 = 0x80;
pub const REVOKED: u8 = 0xa1;
pub const UNKNOWN: u8 = 0x82;

impl<'a> Look<'a> {
    /// None when the octets are an error, which carries no more.
    pub fn into(body: &'a [u8]) -> Option<Self> {
        let mut response = Values(inside(body, 0x30));
        assert_eq!(response.next(0x0a).len(), 1);
        if response.0.is_empty() {
            return None;
        }
        let bytes = inside(response.next(0xa0), 0x30);
        let mut bytes = Values(bytes);
        bytes.next(0x06);
        let mut basic = Values(inside(bytes.next(0x04), 0x30));
        let mut data = Values(basic.next(0x30));
        data.next(0xa2);
        data.next(0x18);
        let mut list = Values(data.next(0x30));
        let mut singles = Vec::new();
        while !list.0.is_empty() {
            let mut single = Values(list.next(0x30));
            let cert_id = single.whole();
            singles.push((cert_id, single.0[0]));
        }
        let nonce = (!data.0.is_empty()).then(|| {
            let mut extension = Values(inside(inside(data.next(0xa1), 0x30), 0x30));
            // id-pkix-ocsp-nonce
            assert_eq!(extension.next(0x06), [0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2]);
            inside(extension.next(0x04), 0x04)
        });
        Some(Self { singles, nonce })
    }
}

/// The content of the value that is all of `octets`.
fn inside(octets: &[u8], tag: u8) -> &[u8] {
    let mut values = Values(octets);
    let content = values.next(tag);
    assert!(values.0.is_empty(), "more than one value");
    content
}

struct Values<'a>(&'a [u8]);

impl<'a> Values<'a> {
    fn next(&mut self, tag: u8) -> &'a [u8] {
        assert_eq!(self.0[0], tag);
        let (header, len) = header(self.0);
        let (value, rest) = self.0.split_at(header + len);
        self.0 = rest;
        &value[header..]
    }

    fn whole(&mut self) -> &'a [u8] {
        let (header, len) = header(self.0);
        let (value, rest) = self.0.split_at(header + len);
        self.0 = rest;
        value
    }
}

/// Octets of the identifier and length, and of the content.
fn header(octets: &[u8]) -> (usize, usize) {
    match octets[1] {
        len @ 0..=0x7f => (2, usize::from(len)),
        0x81 => (3, usize::from(octets[2])),
        0x82 => (4, usize::from(octets[2]) << 8 | usize::from(octets[3])),
        other => panic!("a length of {other:#x}"),
    }
}
