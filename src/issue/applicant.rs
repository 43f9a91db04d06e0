//! What a signing certificate says about its holder.

use std::fmt;
use std::str::FromStr;

use super::{BirthDate, IssueError};

/// Characters of a name, former surname included: twice the longest the resident register is
/// known to hold, and short enough to keep a certificate within one read.
pub const NAME_CHARS_MAX: usize = 100;

/// Characters of an address, by the same measure.
pub const ADDRESS_CHARS_MAX: usize = 200;

/// Stands between family and given name.
const FULL_WIDTH_SPACE: char = '\u{3000}';

/// The four attributes of a holder. Not shown by `Debug`: they belong into no log.
#[derive(Clone, PartialEq, Eq)]
pub struct Applicant {
    /// Name.
    pub name: HolderName,
    /// Date of birth.
    pub birth: BirthDate,
    /// Sex.
    pub sex: Sex,
    /// Address.
    pub address: Address,
}

/// A holder's name with its substitute flags.
#[derive(Clone, PartialEq, Eq)]
pub struct HolderName(Flagged);

/// A holder's address with its substitute flags.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Flagged);

/// Sex as the resident register has it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sex {
    /// 1.
    Male,
    /// 2.
    Female,
    /// 3.
    NotRecorded,
}

impl HolderName {
    /// Family and given name with a space between; a half-width one becomes full-width. A
    /// former surname (旧氏) stands in full-width brackets after the family name.
    ///
    /// `substitutes` has a `1` for each character of the resulting text that stands for one
    /// outside the character set, `0` for the others; `None` when there is none.
    ///
    /// # Errors
    /// When a text is empty, too long or unprintable, or the flags do not fit.
    pub fn new(
        name: &str,
        former_surname: Option<&str>,
        substitutes: Option<&str>,
    ) -> Result<Self, IssueError> {
        checked(NAME, name, NAME_CHARS_MAX)?;
        let name = name.replace(' ', FULL_WIDTH_SPACE.encode_utf8(&mut [0; 4]));
        let text = match former_surname {
            None => name,
            Some(former) => {
                checked("former surname", former, NAME_CHARS_MAX)?;
                let (family, given) = name.split_once(FULL_WIDTH_SPACE).ok_or(IssueError::FormerSurname)?;
                format!("{family}［{former}］{FULL_WIDTH_SPACE}{given}")
            }
        };
        Flagged::new(NAME, text, NAME_CHARS_MAX, substitutes).map(Self)
    }

    /// The name.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// One digit for each character of the name.
    #[must_use]
    pub fn substitutes(&self) -> &str {
        &self.0.substitutes
    }
}

impl Address {
    /// An address, prefecture first; flags as for [`HolderName::new`].
    ///
    /// # Errors
    /// When it is empty, too long or unprintable, or the flags do not fit. Whether it lies in
    /// the municipality's prefecture shows when a certificate is written.
    pub fn new(address: &str, substitutes: Option<&str>) -> Result<Self, IssueError> {
        Flagged::new(ADDRESS, address.to_owned(), ADDRESS_CHARS_MAX, substitutes).map(Self)
    }

    /// The address.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// One digit for each character of the address.
    #[must_use]
    pub fn substitutes(&self) -> &str {
        &self.0.substitutes
    }
}

impl Sex {
    /// Its digit in a certificate.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Male => "1",
            Self::Female => "2",
            Self::NotRecorded => "3",
        }
    }
}

impl FromStr for Sex {
    type Err = IssueError;

    fn from_str(text: &str) -> Result<Self, IssueError> {
        match text {
            "1" | "male" => Ok(Self::Male),
            "2" | "female" => Ok(Self::Female),
            "3" => Ok(Self::NotRecorded),
            _ => Err(IssueError::Sex),
        }
    }
}

/// A text and a `0` or `1` for each of its characters.
#[derive(Clone, PartialEq, Eq)]
struct Flagged {
    text: String,
    substitutes: String,
}

impl Flagged {
    fn new(
        field: &'static str,
        text: String,
        chars_max: usize,
        substitutes: Option<&str>,
    ) -> Result<Self, IssueError> {
        let chars = checked(field, &text, chars_max)?;
        let substitutes = substitutes.map_or_else(|| "0".repeat(chars), str::to_owned);
        let fits = substitutes.len() == chars && substitutes.bytes().all(|flag| matches!(flag, b'0' | b'1'));
        if fits { Ok(Self { text, substitutes }) } else { Err(IssueError::SubstituteFlags { field, chars }) }
    }
}

/// The number of characters of a text that may stand in a certificate.
fn checked(field: &'static str, text: &str, max: usize) -> Result<usize, IssueError> {
    let chars = text.chars().count();
    if text.trim().is_empty() {
        Err(IssueError::TextMissing(field))
    } else if chars > max {
        Err(IssueError::TextLong { field, chars, max })
    } else if text.trim() != text || text.chars().any(char::is_control) {
        Err(IssueError::TextCharacter(field))
    } else {
        Ok(chars)
    }
}

const NAME: &str = "name";
const ADDRESS: &str = "address";

/// `Debug` that shows the type and nothing of the person.
macro_rules! redacted {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )*};
}

redacted!(Applicant HolderName Address Sex);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_as_long_as_their_text_in_characters() {
        let name = HolderName::new("黒桐　幹也", None, None).unwrap();
        assert_eq!((name.text(), name.substitutes()), ("黒桐　幹也", "00000"));
        let flagged = HolderName::new("黒桐　幹也", None, Some("01000")).unwrap();
        assert_eq!(flagged.substitutes(), "01000");
        for bad in ["", "0000", "000000", "00002", "０００００"] {
            assert_eq!(
                HolderName::new("黒桐　幹也", None, Some(bad)).unwrap_err(),
                IssueError::SubstituteFlags { field: "name", chars: 5 },
                "{bad}"
            );
        }
        let address = Address::new("東京都清瀬市観布子南１２－７－２０２", None).unwrap();
        assert_eq!(address.substitutes(), "0".repeat(18));
        assert!(Address::new("東京都清瀬市", Some("0")).is_err());
    }

    #[test]
    fn a_former_surname_is_part_of_the_name() {
        let name = HolderName::new("黒桐 幹也", Some("両儀"), None).unwrap();
        assert_eq!(name.text(), "黒桐［両儀］　幹也");
        assert_eq!(name.substitutes().len(), 9);
        assert_eq!(HolderName::new("黒桐幹也", Some("両儀"), None).unwrap_err(), IssueError::FormerSurname);
        assert_eq!(HolderName::new("黒桐幹也", None, None).unwrap().text(), "黒桐幹也");
    }

    #[test]
    fn texts_are_bounded_and_printable() {
        assert!(HolderName::new(&"名".repeat(NAME_CHARS_MAX), None, None).is_ok());
        assert_eq!(
            HolderName::new(&"名".repeat(NAME_CHARS_MAX + 1), None, None).unwrap_err(),
            IssueError::TextLong { field: "name", chars: NAME_CHARS_MAX + 1, max: NAME_CHARS_MAX }
        );
        let half = "名".repeat(NAME_CHARS_MAX / 2);
        assert!(matches!(
            HolderName::new(&format!("{half}　名"), Some(&half), None),
            Err(IssueError::TextLong { .. })
        ));
        assert!(Address::new(&"都".repeat(ADDRESS_CHARS_MAX), None).is_ok());
        assert!(Address::new(&"都".repeat(ADDRESS_CHARS_MAX + 1), None).is_err());
        for empty in ["", " ", "　"] {
            assert_eq!(Address::new(empty, None).unwrap_err(), IssueError::TextMissing("address"));
        }
        for bad in ["東京都\n", " 東京都", "東京都　", "東\0京都"] {
            assert_eq!(Address::new(bad, None).unwrap_err(), IssueError::TextCharacter("address"), "{bad:?}");
        }
        assert!(HolderName::new("黒桐　幹也", Some(""), None).is_err());
    }

    #[test]
    fn sex_is_one_of_three() {
        for (text, code) in [("1", "1"), ("male", "1"), ("2", "2"), ("female", "2"), ("3", "3")] {
            assert_eq!(text.parse::<Sex>().unwrap().code(), code);
        }
        for bad in ["0", "4", "", "M"] {
            assert_eq!(bad.parse::<Sex>().unwrap_err(), IssueError::Sex);
        }
    }

    #[test]
    fn debug_tells_nothing_about_the_holder() {
        let applicant = Applicant {
            name: HolderName::new("黒桐　幹也", None, None).unwrap(),
            birth: BirthDate::parse("1980-02-17", crate::der::UnixTime::from_seconds(1_800_000_000)).unwrap(),
            sex: Sex::Male,
            address: Address::new("東京都清瀬市", None).unwrap(),
        };
        assert_eq!(
            format!("{applicant:?} {:?} {:?}", applicant.name, applicant.sex),
            "Applicant(…) HolderName(…) Sex(…)"
        );
    }
}
