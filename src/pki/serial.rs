//! CertificateSerialNumber (RFC 5280 §4.1.2.2).

use std::fmt;
use std::str::FromStr;

use crate::der::{DerError, Reader, Writer};

/// A positive INTEGER of at most 20 content octets. Ordered by value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SerialNumber {
    /// Significant octets of `octets`, from the right.
    len: u8,
    /// Big-endian magnitude, zero-filled on the left.
    octets: [u8; Self::OCTETS_MAX],
}

/// Why a number cannot be a certificate's serial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a serial number: write a positive number of at most 20 octets, decimal or 0x hex")]
pub struct SerialError;

impl SerialNumber {
    /// RFC 5280 §4.1.2.2: no more than 20 octets.
    pub const OCTETS_MAX: usize = 20;

    /// From content octets of an INTEGER, already known to be minimal.
    ///
    /// # Errors
    /// Zero, negative, more than 20 octets.
    pub fn from_content(content: &[u8]) -> Result<Self, SerialError> {
        let negative = content.first().is_none_or(|first| first & 0x80 != 0);
        if negative || content.len() > Self::OCTETS_MAX {
            Err(SerialError)
        } else {
            Self::from_magnitude(content)
        }
    }

    /// From a big-endian magnitude.
    ///
    /// # Errors
    /// Zero, or more than 20 content octets.
    pub fn from_magnitude(magnitude: &[u8]) -> Result<Self, SerialError> {
        let zeros = magnitude.iter().take_while(|octet| **octet == 0).count();
        let digits = magnitude.get(zeros..).unwrap_or_default();
        let first = digits.first().ok_or(SerialError)?;
        let padding = usize::from(first & 0x80 != 0);
        if digits.len() + padding > Self::OCTETS_MAX {
            return Err(SerialError);
        }
        let mut octets = [0; Self::OCTETS_MAX];
        let start = Self::OCTETS_MAX - digits.len();
        octets.get_mut(start..).ok_or(SerialError)?.copy_from_slice(digits);
        Ok(Self { len: u8::try_from(digits.len()).map_err(|_| SerialError)?, octets })
    }

    /// Reads an INTEGER.
    ///
    /// # Errors
    /// When it is no canonical INTEGER or no serial number.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DerError> {
        Self::from_content(reader.integer()?).map_err(|_| DerError::Content)
    }

    /// Writes an INTEGER.
    pub fn write(&self, writer: &mut Writer) {
        writer.unsigned(self.magnitude());
    }

    /// The significant octets, big-endian.
    #[must_use]
    pub fn magnitude(&self) -> &[u8] {
        self.octets.get(Self::OCTETS_MAX - usize::from(self.len)..).unwrap_or_default()
    }

    /// The number, when it fits 64 bits (as every serial of a counter does).
    #[must_use]
    pub fn to_u64(&self) -> Option<u64> {
        if self.len > 8 {
            return None;
        }
        self.octets.last_chunk().copied().map(u64::from_be_bytes)
    }
}

impl TryFrom<u64> for SerialNumber {
    type Error = SerialError;

    fn try_from(number: u64) -> Result<Self, SerialError> {
        Self::from_magnitude(&number.to_be_bytes())
    }
}

impl PartialOrd for SerialNumber {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SerialNumber {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.octets.cmp(&other.octets)
    }
}

/// `0x` and lowercase hex without leading zeros.
impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut octets = self.magnitude().iter();
        if let Some(first) = octets.next() {
            write!(f, "0x{first:x}")?;
        }
        octets.try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Decimal up to 64 bits, or `0x` hex.
impl FromStr for SerialNumber {
    type Err = SerialError;

    fn from_str(text: &str) -> Result<Self, SerialError> {
        let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) else {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit());
            return match text.parse::<u64>() {
                Ok(number) if plain => Self::try_from(number),
                _ => Err(SerialError),
            };
        };
        if hex.is_empty() || hex.len() > 2 * Self::OCTETS_MAX + 2 {
            return Err(SerialError);
        }
        let nibbles: Vec<u8> = hex
            .bytes()
            .map(|byte| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .ok_or(SerialError)?;
        let octets: Vec<u8> = nibbles
            .rchunks(2)
            .rev()
            .map(|pair| pair.iter().fold(0, |octet, nibble| octet << 4 | nibble))
            .collect();
        Self::from_magnitude(&octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5280_s4_1_2_2_serials_are_positive_and_at_most_20_octets() {
        assert!(SerialNumber::try_from(0).is_err());
        assert!(SerialNumber::from_content(&[0x80]).is_err());
        assert!(SerialNumber::from_content(&[0x7f; 20]).is_ok());
        assert!(SerialNumber::from_content(&[0x7f; 21]).is_err());
        assert!(SerialNumber::from_magnitude(&[0xff; 20]).is_err());
        assert!(SerialNumber::from_magnitude(&[0xff; 19]).is_ok());
    }

    #[test]
    fn text_is_decimal_or_hex_and_hex_comes_back() {
        for (text, shown) in [
            ("42", "0x2a"),
            ("0x2A", "0x2a"),
            ("0x0100", "0x100"),
            ("18446744073709551615", "0xffffffffffffffff"),
        ] {
            assert_eq!(text.parse::<SerialNumber>().unwrap().to_string(), shown);
        }
        for bad in ["", "0", "-1", "+1", "0x", "0xg", "1.5", "99999999999999999999999"] {
            assert!(bad.parse::<SerialNumber>().is_err(), "{bad}");
        }
        assert_eq!("0x80".parse::<SerialNumber>().unwrap().to_u64(), Some(128));
        assert!("0x0fffffffffffffffffff".parse::<SerialNumber>().unwrap() > "0xff".parse().unwrap());
    }
}
