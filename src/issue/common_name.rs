//! The common name of a resident's subject: a number, never a name.

use std::fmt;
use std::str::FromStr;

use super::{IssueError, jst};
use crate::der::UnixTime;
use crate::pki::Partition;
use crate::profile::SubjectForm;

/// Characters of the number that opens an authentication certificate's common name.
const HOLDER_NUMBER_CHARS: usize = 14;

/// The alphabet of holder numbers and window ids.
const ALPHABET: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The common name of a resident's certificate, and the municipality it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommonName {
    text: String,
    municipality: Partition,
    form: SubjectForm,
}

/// The counter of a municipality that took the application: four of 0-9 and A-Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowId([u8; 4]);

impl CommonName {
    /// 28 characters: time of application in Japan (14), `number` (5), municipality (5),
    /// window (4).
    ///
    /// # Errors
    /// When `number` has more than five digits.
    pub fn signing(
        applied_at: UnixTime,
        number: u32,
        municipality: Partition,
        window: WindowId,
    ) -> Result<Self, IssueError> {
        if number > 99_999 {
            return Err(IssueError::ApplicationNumber);
        }
        let text = format!("{}{number:05}{municipality}{window}", jst::digits(applied_at));
        Ok(Self { text, municipality, form: SubjectForm::Signing })
    }

    /// 23 characters: the holder number (14, see [`holder_number`]), municipality (5),
    /// window (4).
    ///
    /// # Errors
    /// When `number` is not 14 characters of 0-9 and A-Z.
    pub fn authentication(
        number: &str,
        municipality: Partition,
        window: WindowId,
    ) -> Result<Self, IssueError> {
        if number.len() != HOLDER_NUMBER_CHARS || !number.bytes().all(|byte| ALPHABET.contains(&byte)) {
            return Err(IssueError::HolderNumber);
        }
        let text = format!("{number}{municipality}{window}");
        Ok(Self { text, municipality, form: SubjectForm::Authentication })
    }

    /// The characters.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The municipality: it decides where the certificate's revocation is published.
    #[must_use]
    pub const fn municipality(&self) -> Partition {
        self.municipality
    }

    /// Which form it has.
    #[must_use]
    pub const fn form(&self) -> SubjectForm {
        self.form
    }
}

/// A holder number from random octets, one character for each. The first four characters of
/// the alphabet come up an eighth more often, which an identifier may.
#[must_use]
pub fn holder_number(random: &[u8; HOLDER_NUMBER_CHARS]) -> String {
    random
        .iter()
        .filter_map(|octet| ALPHABET.get(usize::from(*octet) % ALPHABET.len()))
        .map(|character| char::from(*character))
        .collect()
}

impl FromStr for WindowId {
    type Err = IssueError;

    fn from_str(text: &str) -> Result<Self, IssueError> {
        let characters = <[u8; 4]>::try_from(text.as_bytes()).map_err(|_| IssueError::WindowId)?;
        let known = characters.iter().all(|byte| ALPHABET.contains(byte));
        if known { Ok(Self(characters)) } else { Err(IssueError::WindowId) }
    }
}

impl fmt::Display for WindowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{}", char::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIYOSE: Partition = Partition(13221);

    #[test]
    fn the_real_common_names_come_out() {
        let window: WindowId = "003A".parse().unwrap();
        let applied_at = "2025-10-16T08:26:00Z".parse().unwrap();
        let signing = CommonName::signing(applied_at, 134, KIYOSE, window).unwrap();
        assert_eq!(signing.text(), "202510161726000013413221003A");
        let auth = CommonName::authentication("997794E9AGCIEG", KIYOSE, window).unwrap();
        assert_eq!(auth.text(), "997794E9AGCIEG13221003A");
        assert_eq!(CommonName::signing(applied_at, 0, Partition(1100), window).unwrap().text().len(), 28);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let window: WindowId = "0000".parse().unwrap();
        let now = UnixTime::from_seconds(0);
        assert_eq!(
            CommonName::signing(now, 100_000, KIYOSE, window).unwrap_err(),
            IssueError::ApplicationNumber
        );
        for bad in ["", "997794E9AGCIE", "997794E9AGCIEG0", "997794e9agcieg", "997794E9AGCI-G"] {
            assert_eq!(
                CommonName::authentication(bad, KIYOSE, window).unwrap_err(),
                IssueError::HolderNumber,
                "{bad}"
            );
        }
        for bad in ["", "003", "003AA", "003a", "00 A", "あA"] {
            assert_eq!(bad.parse::<WindowId>().unwrap_err(), IssueError::WindowId, "{bad}");
        }
    }

    #[test]
    fn random_octets_become_a_holder_number() {
        let number = holder_number(&[0, 9, 10, 35, 36, 71, 72, 255, 1, 2, 3, 4, 5, 6]);
        assert_eq!(number, "09AZ0Z03123456");
        assert!(CommonName::authentication(&number, KIYOSE, "003A".parse().unwrap()).is_ok());
    }
}
