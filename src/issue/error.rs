//! Why no certificate is issued. No text here holds what the holder told us.

use std::fmt;

use super::SubjectKeyError;
use crate::der::UnixTime;
use crate::pki::{CertificateKind, Partition};
use crate::profile::NoResidence;

/// Why no certificate is issued, and what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// A text about the holder is empty.
    #[error("the {0} is missing: give it as the resident register has it")]
    TextMissing(&'static str),
    /// A text about the holder is too long.
    #[error("the {field} has {chars} characters: shorten it to {max}")]
    TextLong {
        /// Which text.
        field: &'static str,
        /// Its length.
        chars: usize,
        /// The most allowed.
        max: usize,
    },
    /// A text about the holder begins or ends with a space.
    #[error("the {0} begins or ends with a space: remove it")]
    TextSpace(&'static str),
    /// A text about the holder holds what others cannot see as it is meant.
    #[error(
        "the {field} holds {} as character {place}, which says nothing to others: remove it, or write a substitute \
         and a 1 for it in the substitute flags", CodePoint(*.character)
    )]
    TextCharacter {
        /// Which text.
        field: &'static str,
        /// Where, from 1.
        place: usize,
        /// The character.
        character: char,
    },
    /// A former surname was given with a name that does not show where the surname ends.
    #[error("put a full-width space between family and given name, to place the former surname")]
    FormerSurname,
    /// Substitute flags that are not as many as the characters of their text.
    #[error(
        "the {field} has {chars} characters as it is certified, its substitute flags {flags}: write a 0 or 1 for \
         each, spaces and a former surname in its brackets included"
    )]
    SubstituteFlags {
        /// Which text.
        field: &'static str,
        /// Its length.
        chars: usize,
        /// That of its flags.
        flags: usize,
    },
    /// A substitute flag that is none.
    #[error("the substitute flags of the {field} hold {} at place {place}: write 0 or 1", CodePoint(*.character))]
    SubstituteFlag {
        /// Which text.
        field: &'static str,
        /// Where, from 1.
        place: usize,
        /// What stands there.
        character: char,
    },
    /// The text is no date of birth.
    #[error(
        "not a date of birth: write YYYY-MM-DD, from 1868-01-25 on; 00 for a day, or a month and its day, that the register \
         does not have, or unknown"
    )]
    BirthDate,
    /// The date of birth is in the future.
    #[error("the date of birth lies in the future: correct it")]
    BirthInFuture,
    /// The text is no sex.
    #[error("not a sex: write 1 or male, 2 or female, 3 or other (neither recorded)")]
    Sex,
    /// The address is not in the prefecture of the municipality.
    #[error(
        "the address must begin with {prefecture}, the prefecture of municipality {code}, or with {overseas} when the \
         holder lives overseas"
    )]
    AddressPrefecture {
        /// Name of the prefecture.
        prefecture: String,
        /// How an address overseas begins.
        overseas: String,
        /// The municipality asked for.
        code: Partition,
    },
    /// No such municipality, or none that anybody lives in.
    #[error(transparent)]
    Residence(#[from] NoResidence),
    /// The text is no window.
    #[error("not a window id: write four characters of 0-9 and A-Z, such as 003A")]
    WindowId,
    /// The number inside a signing certificate's common name has more than five digits.
    #[error("the number of the application must be below 100000")]
    ApplicationNumber,
    /// The number inside an authentication certificate's common name is malformed.
    #[error("the holder number must be 14 characters of 0-9 and A-Z")]
    HolderNumber,
    /// The text is no address for OCSP.
    #[error("not an OCSP address: write http://host or http://host:port, without a path")]
    OcspUrl,
    /// The holder is too young.
    #[error("nobody under {age_min} gets a {kind} certificate: ask for an authentication certificate alone")]
    TooYoung {
        /// The kind asked for.
        kind: CertificateKind,
        /// The youngest age, in years.
        age_min: u8,
    },
    /// The date of birth is not known well enough to show that the holder is old enough (A).
    #[error(
        "the date of birth does not show an age of {age_min}, which a {kind} certificate needs: give more of it, the \
         year at least, or ask for an authentication certificate alone"
    )]
    AgeNotShown {
        /// The kind asked for.
        kind: CertificateKind,
        /// The youngest age, in years.
        age_min: u8,
    },
    /// The validity would end before it begins.
    #[error("nothing is left to certify: the validity would have ended at {not_after}")]
    AlreadyOver {
        /// Where it would have ended.
        not_after: UnixTime,
    },
    /// The certificate would outlive its issuer.
    #[error("the issuer's certificate ends at {issuer_not_after}: shorten the validity or change the key")]
    OutlivesIssuer {
        /// End of the issuer's certificate.
        issuer_not_after: UnixTime,
    },
    /// Another authority issues this kind.
    #[error("this authority does not issue {0} certificates: use the other one")]
    WrongAuthority(CertificateKind),
    /// The issuer's certificate bears another name than the profile's authority.
    #[error("the issuer's name is not that of the profile: set the organization its certificate bears")]
    WrongIssuer,
    /// The profile does not describe this kind, or asks for what such a certificate cannot have.
    #[error("the profile does not fit {0} certificates: correct its row")]
    Profile(CertificateKind),
    /// The common name was made for another kind.
    #[error("the common name is not that of a {0} certificate: make it for this kind")]
    CommonName(CertificateKind),
    /// The public key is refused.
    #[error(transparent)]
    Key(#[from] SubjectKeyError),
}

/// A character by its number: of what a holder told, no more than that is shown.
struct CodePoint(char);

impl fmt::Display for CodePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "U+{:04X}", u32::from(self.0))
    }
}
