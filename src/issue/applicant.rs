//! What a signing certificate says about its holder.

use std::fmt;
use std::str::FromStr;

use super::{BirthDate, IssueError};
use crate::record::is_unseen;

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
    /// An address, prefecture first, or as the profile has it of who lives overseas; flags as for [`HolderName::new`].
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
            "3" | "other" => Ok(Self::NotRecorded),
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
        let flags = substitutes.chars().count();
        if flags != chars {
            return Err(IssueError::SubstituteFlags { field, chars, flags });
        }
        match find(&substitutes, |flag| !matches!(flag, '0' | '1')) {
            Some((place, character)) => Err(IssueError::SubstituteFlag { field, place, character }),
            None => Ok(Self { text, substitutes }),
        }
    }
}

/// The number of characters of a text that may stand in a certificate.
fn checked(field: &'static str, text: &str, max: usize) -> Result<usize, IssueError> {
    let chars = text.chars().count();
    if text.trim().is_empty() {
        Err(IssueError::TextMissing(field))
    } else if chars > max {
        Err(IssueError::TextLong { field, chars, max })
    } else if let Some((place, character)) = find(text, is_unseen) {
        // For a character of a municipality's own a substitute is written (A).
        Err(IssueError::TextCharacter { field, place, character })
    } else if text.trim() != text {
        Err(IssueError::TextSpace(field))
    } else {
        Ok(chars)
    }
}

/// The first character of `text` that `is_meant` says, and its place from 1.
fn find(text: &str, is_meant: impl Fn(char) -> bool) -> Option<(usize, char)> {
    (1..).zip(text.chars()).find(|(_, character)| is_meant(*character))
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
        for (bad, flags) in [("", 0), ("0000", 4), ("000000", 6), ("０００", 3)] {
            assert_eq!(
                HolderName::new("黒桐　幹也", None, Some(bad)).unwrap_err(),
                IssueError::SubstituteFlags { field: "name", chars: 5, flags },
                "{bad}"
            );
        }
        for (bad, place, character) in [("00002", 5, '2'), ("0０000", 2, '０')] {
            let refusal = HolderName::new("黒桐　幹也", None, Some(bad)).unwrap_err();
            assert_eq!(refusal, IssueError::SubstituteFlag { field: "name", place, character }, "{bad}");
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
        for bad in [" 東京都", "東京都　"] {
            assert_eq!(Address::new(bad, None).unwrap_err(), IssueError::TextSpace("address"), "{bad:?}");
        }
        assert_eq!(
            HolderName::new("黒桐　幹也", Some(""), None).unwrap_err(),
            IssueError::TextMissing("former surname")
        );
    }

    #[test]
    fn a_character_nobody_can_read_is_named_with_its_place_and_nothing_beside_it() {
        let field = "address";
        for (bad, place, character) in [
            ("東京都\n", 4, '\n'),
            ("東\0京都", 2, '\0'),
            ("東京\u{200b}都", 3, '\u{200b}'),
            ("\u{202e}東京都", 1, '\u{202e}'),
            ("東京都葛\u{e0100}飾区", 5, '\u{e0100}'),
            ("東京都\u{e000}", 4, '\u{e000}'),
            ("東京都\u{10fffd}", 4, '\u{10fffd}'),
        ] {
            let refusal = Address::new(bad, None).unwrap_err();
            assert_eq!(refusal, IssueError::TextCharacter { field, place, character }, "{bad:?}");
        }
        let refusal = HolderName::new("黒桐　幹也", Some("両\u{e000}儀"), None).unwrap_err().to_string();
        assert!(refusal.contains("the former surname holds U+E000 as character 2"), "{refusal}");
        assert!(!refusal.contains(['黒', '両', '儀']), "{refusal}");
        // Rare characters of the register that have a number of their own are as good as any.
        assert!(HolderName::new("𠮷田　髙﨑", None, None).is_ok());
    }

    #[test]
    fn sex_is_one_of_three() {
        for (text, code) in
            [("1", "1"), ("male", "1"), ("2", "2"), ("female", "2"), ("3", "3"), ("other", "3")]
        {
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
