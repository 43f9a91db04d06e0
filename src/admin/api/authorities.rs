//! The keys of authorities.

use serde::{Deserialize, Serialize};

use super::Comment;

/// The keys that the authorities have or had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityKeys {
    /// Oldest first, authority by authority.
    pub keys: Vec<AuthorityKey>,
}

/// A key of an authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityKey {
    /// Authority's name.
    pub authority: String,
    /// Which of its keys.
    pub generation: u8,
    /// Serial of its CA certificate.
    pub serial: String,
    /// Start of the CA certificate's validity.
    pub not_before: String,
    /// Its end.
    pub not_after: String,
    /// `issues`, `waits`, `signs` (CRLs and OCSP signers only), `retired`, `lost` or `expired`.
    pub state: String,
    /// From when one that waits issues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issues_from: Option<String>,
    /// Why it cannot be used, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Since when all that it signed is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compromised_at: Option<String>,
    /// Of a compromised one: true when every certificate has an entry of its own, so that CRLs come out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_one_by_one: Option<bool>,
    /// Since when it signs nothing more: its last CRLs are valid until `not_after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<String>,
    /// Of one that is retired or lost: until when OCSP answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers_until: Option<String>,
}

/// Names an authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedAuthority {
    /// Its name.
    pub authority: String,
    /// Ticket, recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Comment, archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Comment>,
}

/// Give an authority its next key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollOver {
    /// Authority's name.
    pub authority: String,
    /// From when it issues; in 30 days when neither this nor `now` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue_from: Option<String>,
    /// It issues at once.
    #[serde(default)]
    pub now: bool,
    /// Ticket, recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Comment, archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Comment>,
}

/// A new key, or one that issues now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKey {
    /// Authority's name.
    pub authority: String,
    /// Which of its keys.
    pub generation: u8,
    /// From when it issues.
    pub issues_from: String,
    /// Why its CRLs are not out yet; they follow by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_published: Option<String>,
}

/// Revoke all that a key signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompromisedKey {
    /// Authority's name.
    pub authority: String,
    /// Which of its keys.
    pub generation: u8,
    /// Since when it is believed to be in other hands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_since: Option<String>,
    /// Ticket, recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Comment, archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Comment>,
    /// Idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// All that a key signed is revoked: durable, and every answer knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compromised {
    /// The entry that says so.
    pub position: u64,
    /// When it was recorded: the revocation date.
    pub recorded_at: String,
    /// Since when the key is believed to be in other hands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_since: Option<String>,
    /// False when it was said before.
    pub changed: bool,
    /// True when every certificate has an entry of its own, so that CRLs come out.
    pub revoked_one_by_one: bool,
    /// The key is not here: until when OCSP answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers_until: Option<String>,
    /// The key is not here: until when its CRLs are valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crls_until: Option<String>,
    /// Where the public notice is, or will be.
    pub notice: String,
    /// True when it is there; it follows by itself where it is not.
    pub notice_out: bool,
    /// True when it is there with its signature.
    pub notice_signed: bool,
    /// The key that issues for the authority; none when none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuing: Option<u8>,
    /// Where none issues: the key that waits for its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u8>,
}

/// Names a key of an authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedKey {
    /// Authority's name.
    pub authority: String,
    /// Which of its keys.
    pub generation: u8,
    /// The ticket that it is done for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Words about it, for the archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Comment>,
}

/// A key made its last CRLs, and signs nothing more: durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredKey {
    /// The entry that says so.
    pub position: u64,
    /// When it was recorded.
    pub recorded_at: String,
    /// False when it was retired before.
    pub changed: bool,
    /// The set that holds its last CRLs.
    pub set: String,
    /// Until when they are valid and must be served.
    pub crls_until: String,
    /// Until when OCSP answers for it; absent when it does no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers_until: Option<String>,
    /// The directory that they lie in: the only copy of what nobody can sign again.
    pub crls: String,
    /// The file of the private key, which may be destroyed.
    pub key: String,
}
