//! Why no certificate is issued. No text here holds what the holder told us.

use super::SubjectKeyError;
use crate::der::UnixTime;
use crate::pki::{CertificateKind, Partition};

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
    /// A text about the holder holds what cannot be printed.
    #[error("the {0} holds a control character or begins or ends with a space: remove it")]
    TextCharacter(&'static str),
    /// A former surname was given with a name that does not show where the surname ends.
    #[error("put a full-width space between family and given name, to place the former surname")]
    FormerSurname,
    /// Substitute flags that do not fit their text.
    #[error("the substitute flags of the {field} must be {chars} digits 0 or 1, one for each character")]
    SubstituteFlags {
        /// Which text.
        field: &'static str,
        /// Its length.
        chars: usize,
    },
    /// The text is no date of birth.
    #[error("not a date of birth: write YYYY-MM-DD, from 1868-01-25 on")]
    BirthDate,
    /// The date of birth is in the future.
    #[error("the date of birth lies in the future: correct it")]
    BirthInFuture,
    /// The text is no sex.
    #[error("not a sex: write 1 (male), 2 (female) or 3 (neither recorded)")]
    Sex,
    /// The address is not in the prefecture of the municipality.
    #[error("the address must begin with {prefecture}, the prefecture of municipality {code}")]
    AddressPrefecture {
        /// Name of the prefecture.
        prefecture: String,
        /// The municipality asked for.
        code: Partition,
    },
    /// No such municipality.
    #[error("municipality {0} is not in the table: use its five-digit code, such as 13221")]
    Municipality(Partition),
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
