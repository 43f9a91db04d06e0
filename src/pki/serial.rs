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
#[error("not a serial number: it is a positive number of at most 20 octets")]
pub struct SerialError;

/// Why a text names no serial.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SerialTextError {
    /// It does not say in which base it is written.
    #[error(transparent)]
    Bare(#[from] BareSerial),
    /// It is none, however it is read.
    #[error("not a serial number: write 0x407, 04:07 or dec:1031, positive and of at most 20 octets")]
    NotOne,
}

/// Digits that do not say in which base they are written. `openssl x509 -serial`, certtool and
/// keytool print hexadecimal so, other programs decimal: one certificate's serial read in the other
/// base may be another certificate's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BareSerial {
    digits: String,
    /// As hexadecimal; none when it has more than 20 octets so.
    pub hexadecimal: Option<SerialNumber>,
    /// As decimal; none when there are letters among the digits.
    pub decimal: Option<SerialNumber>,
}

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

/// `0x` and hexadecimal digits, pairs of them with colons, or `dec:` and decimal digits.
impl FromStr for SerialNumber {
    type Err = SerialTextError;

    fn from_str(text: &str) -> Result<Self, SerialTextError> {
        let read = if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            hexadecimal(digits)
        } else if let Some(digits) = text.strip_prefix("dec:") {
            decimal(digits)
        } else if text.contains(':') {
            pairs(text)
        } else if let Some(bare) = BareSerial::read(text) {
            return Err(bare.into());
        } else {
            None
        };
        read.ok_or(SerialTextError::NotOne)
    }
}

impl BareSerial {
    /// None for what is no serial in either base.
    fn read(text: &str) -> Option<Self> {
        // The whole line of `openssl x509 -serial`.
        let digits = text.strip_prefix("serial=").unwrap_or(text);
        let (hexadecimal, decimal) = (hexadecimal(digits), decimal(digits));
        let is_one = hexadecimal.is_some() || decimal.is_some();
        is_one.then(|| Self { digits: digits.to_owned(), hexadecimal, decimal })
    }

    /// What to do about it. `note` says more of a serial; an empty text says nothing.
    pub fn advise(&self, note: impl Fn(&SerialNumber) -> String) -> String {
        let noted = |serial: &SerialNumber, also: String| {
            let notes = [also, note(serial)];
            let notes = notes.into_iter().filter(|note| !note.is_empty()).collect::<Vec<_>>().join(", ");
            if notes.is_empty() { notes } else { format!(" ({notes})") }
        };
        let hexadecimal = self.hexadecimal.map(|serial| format!("{serial}{}", noted(&serial, String::new())));
        let decimal = self.decimal.map(|serial| {
            let digits = self.digits.trim_start_matches('0');
            format!("dec:{digits}{}", noted(&serial, serial.to_string()))
        });
        let readings: Vec<String> = hexadecimal.into_iter().chain(decimal).collect();
        format!(
            "{} does not say whether it is hexadecimal or decimal: write {}; openssl x509 -serial, certtool and \
             keytool print hexadecimal",
            self.digits,
            readings.join(" or ")
        )
    }
}

impl fmt::Display for BareSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.advise(|_| String::new()))
    }
}

impl std::error::Error for BareSerial {}

/// Digits that a serial may have, leading zeros among them: more are not looked at.
const DIGITS_MAX: usize = 64;

fn hexadecimal(digits: &str) -> Option<SerialNumber> {
    number(digits, 16)
}

fn decimal(digits: &str) -> Option<SerialNumber> {
    number(digits, 10)
}

/// Pairs of hexadecimal digits, as OpenSSL and certtool print long serials.
fn pairs(text: &str) -> Option<SerialNumber> {
    let are_pairs = text.split(':').all(|pair| pair.len() == 2);
    hexadecimal(&are_pairs.then(|| text.replace(':', ""))?)
}

fn number(digits: &str, base: u32) -> Option<SerialNumber> {
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    // Room for every text of that length: what has more octets than a serial is refused below.
    let mut octets = [0_u8; DIGITS_MAX];
    for digit in digits.chars() {
        let mut carry = digit.to_digit(base)?;
        for octet in octets.iter_mut().rev() {
            let product = u32::from(*octet) * base + carry;
            let [.., low] = product.to_be_bytes();
            *octet = low;
            carry = product >> 8;
        }
    }
    SerialNumber::from_magnitude(&octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        text.parse::<SerialNumber>().ok().map(|serial| serial.to_string())
    }

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
    fn b_2_a_text_names_a_serial_only_if_it_says_its_base() {
        let long = format!("0x{}", "7f".repeat(20));
        for (text, read) in [
            ("0x2A", "0x2a"),
            ("0X2a", "0x2a"),
            ("0x0100", "0x100"),
            ("04:07", "0x407"),
            ("00:04:07", "0x407"),
            ("4A:b1:00", "0x4ab100"),
            ("dec:1031", "0x407"),
            ("dec:0001031", "0x407"),
            ("dec:18446744073709551616", "0x10000000000000000"),
            (
                "dec:730750818665451459101842416358141509827966271487",
                "0x7fffffffffffffffffffffffffffffffffffffff",
            ),
            (&*long, &*long),
            ("7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f:7f", &*long),
        ] {
            assert_eq!(shown(text).as_deref(), Some(read), "{text}");
        }
        for bad in [
            "",
            "0",
            "0x",
            "0x0",
            "00:00",
            "dec:",
            "dec:0",
            "0xg",
            "dec:ff",
            "dec:-1",
            "dec:+1",
            "DEC:1",
            "-1",
            "+1",
            "1.5",
            " 1",
            "4:07",
            "04:7",
            "04::07",
            ":04",
            "04:",
            "0x04:07",
            "04:0g",
            "dec:04:07",
            "1031h",
            "serial=",
            "dec:730750818665451459101842416358141509827966271488",
            "sign-0x2a",
        ] {
            assert_eq!(bad.parse::<SerialNumber>(), Err(SerialTextError::NotOne), "{bad}");
        }
        for beyond in ["80".repeat(20), "7f".repeat(21), "9".repeat(65)] {
            assert_eq!(format!("0x{beyond}").parse::<SerialNumber>(), Err(SerialTextError::NotOne));
        }
        assert_eq!("0x80".parse::<SerialNumber>().unwrap().to_u64(), Some(128));
        assert!("0x0fffffffffffffffffff".parse::<SerialNumber>().unwrap() > "0xff".parse().unwrap());
    }

    #[test]
    fn b_2_bare_digits_are_refused_with_both_readings() {
        let bare = |text: &str| match text.parse::<SerialNumber>() {
            Err(SerialTextError::Bare(bare)) => bare,
            other => panic!("{text}: {other:?}"),
        };
        let (base, programs) = ("hexadecimal or decimal", "openssl x509 -serial, certtool and keytool");
        for (text, readings) in [
            ("1031", "write 0x1031 or dec:1031 (0x407);"),
            ("01031", "write 0x1031 or dec:1031 (0x407);"),
            ("serial=1031", "write 0x1031 or dec:1031 (0x407);"),
            ("1", "write 0x1 or dec:1 (0x1);"),
            ("0A1F", "write 0xa1f;"),
            ("abcdef", "write 0xabcdef;"),
            // Too long for hexadecimal, not for decimal.
            (
                "730750818665451459101842416358141509827966271487",
                "write dec:730750818665451459101842416358141509827966271487",
            ),
        ] {
            let told = bare(text).to_string();
            assert!([base, readings, programs].iter().all(|part| told.contains(part)), "{text}: {told}");
        }
        let told = bare("1031").advise(|serial| format!("{} octets", serial.magnitude().len()));
        assert!(told.contains("0x1031 (2 octets) or dec:1031 (0x407, 2 octets)"), "{told}");
    }
}
