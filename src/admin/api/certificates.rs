//! Bodies about certificates that were issued.

use serde::{Deserialize, Serialize};

use super::{Selector, Status};

/// Give a certificate out of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GetCertificate {
    /// Which certificate.
    pub certificate: Selector,
}

/// List certificates: of an authority, page by page, or all of a card or phone, or of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListCertificates {
    /// Authority's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// A card or phone, as it was printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// A person, as printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// Of an authority: those whose serials come after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Of an authority: so many at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Certificates, in the order of their serials, or of their issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedCertificates {
    /// The certificates.
    pub certificates: Vec<ListedCertificate>,
    /// The last serial here, when there are more behind it: the next page's `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A certificate, without what it tells of its holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedCertificate {
    /// Authority's name.
    pub authority: String,
    /// Key generation that signed it.
    pub generation: u8,
    /// Serial.
    pub serial: String,
    /// Kind.
    pub kind: String,
    /// Municipality code, the CRL partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub municipality: Option<String>,
    /// Start of validity.
    pub not_before: String,
    /// End of validity.
    pub not_after: String,
    /// Its status.
    #[serde(flatten)]
    pub status: Status,
    /// The card or phone it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// Who holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}
