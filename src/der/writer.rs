//! Writer: values are appended, lengths put in when a nested value ends.

use super::{Oid, UnixTime, tag};

/// Octets of a length written in place before the content is known: nearly every constructed
/// value here is shorter than 128 octets; longer ones move their content once.
const LENGTH_GUESS: usize = 1;

/// Appends DER values to a buffer.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `octets`.
    #[must_use]
    pub fn with_capacity(octets: usize) -> Self {
        Self { out: Vec::with_capacity(octets) }
    }

    /// The octets written by `inside`: `to_der(|w| w.null())`.
    #[must_use]
    pub fn to_der(inside: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut writer = Self::new();
        inside(&mut writer);
        writer.out
    }

    /// The octets written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Number of octets written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// True while nothing is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Appends octets that are DER already.
    pub fn raw(&mut self, der: &[u8]) {
        self.out.extend_from_slice(der);
    }

    /// A value with this content.
    pub fn value(&mut self, tag: u8, content: &[u8]) {
        self.header(tag, content.len());
        self.raw(content);
    }

    /// Identifier and length octets of a value whose `content_len` octets follow.
    pub fn header(&mut self, tag: u8, content_len: usize) {
        // Nearly every value is short, and a CRL has millions of them.
        if let Ok(short @ 0..0x80) = u8::try_from(content_len) {
            self.out.extend_from_slice(&[tag, short]);
            return;
        }
        // Each length at once: answers have a dozen headers.
        match length(content_len) {
            ([a, b, ..], 2) => self.out.extend_from_slice(&[tag, a, b]),
            ([a, b, c, ..], 3) => self.out.extend_from_slice(&[tag, a, b, c]),
            ([a, b, c, d, _], 4) => self.out.extend_from_slice(&[tag, a, b, c, d]),
            ([a, b, c, d, e], _) => self.out.extend_from_slice(&[tag, a, b, c, d, e]),
        }
    }

    /// A constructed value holding what `inside` writes.
    pub fn nested(&mut self, tag: u8, inside: impl FnOnce(&mut Self)) {
        self.out.push(tag);
        let at = self.out.len();
        self.out.push(0);
        inside(self);
        let (octets, used) = length(self.out.len() - at - LENGTH_GUESS);
        self.out.splice(at..=at, octets.into_iter().take(used));
    }

    /// SEQUENCE.
    pub fn sequence(&mut self, inside: impl FnOnce(&mut Self)) {
        self.nested(tag::SEQUENCE, inside);
    }

    /// OCTET STRING holding what `inside` writes.
    pub fn octet_string_of(&mut self, inside: impl FnOnce(&mut Self)) {
        self.nested(tag::OCTET_STRING, inside);
    }

    /// OCTET STRING.
    pub fn octet_string(&mut self, octets: &[u8]) {
        self.value(tag::OCTET_STRING, octets);
    }

    /// BIT STRING whose bits fill whole octets.
    pub fn bit_string(&mut self, octets: &[u8]) {
        self.header(tag::BIT_STRING, octets.len() + 1);
        self.out.push(0);
        self.raw(octets);
    }

    /// BIT STRING with named bits (X.690 §11.2.2): trailing zero bits are not written.
    /// Bit 0 is the highest bit of `bits`.
    pub fn named_bits(&mut self, bits: u16) {
        let [high, low] = bits.to_be_bytes();
        let unused = |octet: u8| u8::try_from(octet.trailing_zeros()).unwrap_or(0);
        match (high, low) {
            (0, 0) => self.value(tag::BIT_STRING, &[0]),
            (_, 0) => self.value(tag::BIT_STRING, &[unused(high), high]),
            _ => self.value(tag::BIT_STRING, &[unused(low), high, low]),
        }
    }

    /// BOOLEAN.
    pub fn boolean(&mut self, value: bool) {
        self.value(tag::BOOLEAN, &[if value { 0xff } else { 0 }]);
    }

    /// INTEGER from an unsigned big-endian magnitude.
    pub fn unsigned(&mut self, magnitude: &[u8]) {
        let zeros = magnitude.iter().take_while(|octet| **octet == 0).count();
        let digits = magnitude.split_at_checked(zeros).map_or(magnitude, |(_, rest)| rest);
        let padded = digits.first().is_none_or(|first| first & 0x80 != 0);
        self.header(tag::INTEGER, digits.len() + usize::from(padded));
        if padded {
            self.out.push(0);
        }
        self.raw(digits);
    }

    /// INTEGER.
    pub fn integer(&mut self, value: u64) {
        self.unsigned(&value.to_be_bytes());
    }

    /// ENUMERATED below 128.
    pub fn enumerated(&mut self, value: u8) {
        self.value(tag::ENUMERATED, &[value & 0x7f]);
    }

    /// NULL.
    pub fn null(&mut self) {
        self.value(tag::NULL, &[]);
    }

    /// OBJECT IDENTIFIER.
    pub fn oid(&mut self, oid: &Oid) {
        self.value(tag::OID, oid.content());
    }

    /// UTF8String.
    pub fn utf8(&mut self, text: &str) {
        self.value(tag::UTF8_STRING, text.as_bytes());
    }

    /// PrintableString; the caller keeps to its alphabet.
    pub fn printable(&mut self, text: &str) {
        self.value(tag::PRINTABLE_STRING, text.as_bytes());
    }

    /// GeneralizedTime.
    pub fn generalized_time(&mut self, time: UnixTime) {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, z] = time.to_generalized();
        let value = [tag::GENERALIZED_TIME, 15, a, b, c, d, e, f, g, h, i, j, k, l, m, n, z];
        self.out.extend_from_slice(&value);
    }

    /// The CHOICE `Time` of RFC 5280 §4.1: UTCTime through 2049, GeneralizedTime from 2050.
    pub fn time(&mut self, time: UnixTime) {
        let generalized = time.to_generalized();
        match generalized.split_at_checked(2) {
            Some((_, utc)) if time < UnixTime::YEAR_2050 => self.value(tag::UTC_TIME, utc),
            _ => self.value(tag::GENERALIZED_TIME, &generalized),
        }
    }
}

/// Goes on after the octets of a buffer already in use.
impl From<Vec<u8>> for Writer {
    fn from(out: Vec<u8>) -> Self {
        Self { out }
    }
}

/// Length octets, and how many of them count.
fn length(len: usize) -> ([u8; 5], usize) {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    let [a, b, c, d] = len.to_be_bytes();
    match len {
        0..0x80 => ([d, 0, 0, 0, 0], 1),
        0x80..0x100 => ([0x81, d, 0, 0, 0], 2),
        0x100..0x1_0000 => ([0x82, c, d, 0, 0], 3),
        0x1_0000..0x100_0000 => ([0x83, b, c, d, 0], 4),
        _ => ([0x84, a, b, c, d], 5),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::der::Reader;

    #[test]
    fn rfc5280_s4_1_2_5_2049_is_utctime_and_2050_is_generalized() {
        let last = Writer::to_der(|w| w.time(UnixTime::from_seconds(UnixTime::YEAR_2050.seconds() - 1)));
        assert_eq!(last, [&[0x17, 13][..], b"491231235959Z"].concat());
        let first = Writer::to_der(|w| w.time(UnixTime::YEAR_2050));
        assert_eq!(first, [&[0x18, 15][..], b"20500101000000Z"].concat());
    }

    #[test]
    fn x690_s11_2_2_named_bits_drop_trailing_zeros() {
        assert_eq!(Writer::to_der(|w| w.named_bits(0x8000)), [3, 2, 7, 0x80]);
        assert_eq!(Writer::to_der(|w| w.named_bits(0xc000)), [3, 2, 6, 0xc0]);
        assert_eq!(Writer::to_der(|w| w.named_bits(0x0600)), [3, 2, 1, 0x06]);
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_again(
            number in any::<u64>(), octets in prop::collection::vec(any::<u8>(), 0..70_000),
            seconds in 0..UnixTime::MAX.seconds(), flag in any::<bool>(),
        ) {
            let time = UnixTime::from_seconds(seconds);
            let der = Writer::to_der(|w| w.sequence(|w| {
                w.integer(number);
                w.sequence(|w| { w.octet_string(&octets); w.boolean(flag); });
                w.time(time);
                w.generalized_time(time);
            }));
            let mut reader = Reader::new(&der);
            reader.sequence(|r| {
                let digits = r.integer()?;
                assert_eq!(digits.iter().fold(0_u64, |n, d| n << 8 | u64::from(*d)), number);
                r.sequence(|r| {
                    assert_eq!(r.octet_string()?, &octets);
                    assert_eq!(r.boolean()?, flag);
                    Ok::<_, crate::der::DerError>(())
                })?;
                assert_eq!(r.time()?, time);
                assert_eq!(r.generalized_time()?, time);
                Ok::<_, crate::der::DerError>(())
            }).unwrap();
            reader.finish().unwrap();
        }
    }
}
