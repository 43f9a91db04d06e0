//! CRLNumber (RFC 5280 §5.2.3).

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::der::{DerError, Reader, Writer};
use crate::record::{Epoch, Position};

/// ```text
/// CRLNumber ::= INTEGER (0..MAX)
/// ```
/// Made from the epoch and the position of the entry that began the set, so there is no
/// counter to lose: a later set has a later position, a restored journal a higher epoch. Every
/// CRL of a set carries it, and in decimal it names the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CrlNumber(u128);

impl CrlNumber {
    /// Bits left to the position: 2⁴⁸ entries would fill 27 petabytes.
    const POSITION_BITS: u32 = 48;

    /// The number of the set begun by the entry at `begun` in `epoch`.
    #[must_use]
    pub fn new(epoch: Epoch, begun: Position) -> Self {
        Self((u128::from(epoch.0) << Self::POSITION_BITS) + u128::from(begun.0))
    }

    /// The epoch and the position it is made of; None when no number made here is so large.
    #[must_use]
    pub fn parts(self) -> Option<(Epoch, Position)> {
        let epoch = u32::try_from(self.0 >> Self::POSITION_BITS).ok()?;
        let position = u64::try_from(self.0 & ((1 << Self::POSITION_BITS) - 1)).ok()?;
        Some((Epoch(epoch), Position(position)))
    }

    /// Reads an INTEGER.
    ///
    /// # Errors
    /// When it is no canonical INTEGER, is negative, or is larger than any number made here.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DerError> {
        let content = reader.integer()?;
        if content.len() >= size_of::<u128>() || content.first().is_some_and(|first| first & 0x80 != 0) {
            return Err(DerError::Content);
        }
        Ok(Self(content.iter().fold(0, |number, octet| number << 8 | u128::from(*octet))))
    }

    /// Writes an INTEGER.
    pub fn write(self, writer: &mut Writer) {
        writer.unsigned(&self.0.to_be_bytes());
    }
}

/// Decimal: the name of the set.
impl fmt::Display for CrlNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for CrlNumber {
    type Err = ParseIntError;

    fn from_str(name: &str) -> Result<Self, ParseIntError> {
        name.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5280_s5_2_3_numbers_rise_with_position_and_above_all_with_epoch() {
        let number = |epoch, position| CrlNumber::new(Epoch(epoch), Position(position));
        assert!(number(1, 8) > number(1, 7));
        assert!(number(2, 1) > number(1, (1 << 48) - 1));
        assert_eq!(number(1, 7).to_string(), "281474976710663");
        assert_eq!("281474976710663".parse(), Ok(number(1, 7)));
        assert_eq!(number(9, 7).parts(), Some((Epoch(9), Position(7))));
        assert_eq!(CrlNumber(1 << 80).parts(), None);
        let last = Writer::to_der(|w| number(u32::MAX, (1 << 48) - 1).write(w));
        assert!(last.len() - 2 <= 20, "RFC 5280 §5.2.3: at most 20 octets");
    }

    #[test]
    fn rfc5280_s5_2_3_a_number_is_read_as_written_and_never_negative() {
        let number = CrlNumber::new(Epoch(3), Position(0xff));
        let der = Writer::to_der(|w| number.write(w));
        assert_eq!(CrlNumber::read(&mut Reader::new(&der)), Ok(number));
        assert_eq!(CrlNumber::read(&mut Reader::new(&[2, 1, 0x80])), Err(DerError::Content));
        let long = [&[2, 17][..], &[1; 17]].concat();
        assert_eq!(CrlNumber::read(&mut Reader::new(&long)), Err(DerError::Content));
    }
}
