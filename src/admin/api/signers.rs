//! Bodies about OCSP signers.

use serde::{Deserialize, Serialize};

use super::{Comment, Status};

/// List the OCSP signers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListSigners {
    /// Those that have expired too.
    #[serde(default)]
    pub all: bool,
}

/// The OCSP signers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signers {
    /// By authority and generation; those in use first.
    pub signers: Vec<Signer>,
    /// Files of `signers/` that are not used.
    pub refused: Vec<RefusedSigner>,
}

/// An OCSP signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// Name of the authority it answers for.
    pub authority: String,
    /// Key generation it answers for.
    pub generation: u8,
    /// Serial of its certificate.
    pub serial: String,
    /// The kind of its own key, as `ocsp.signers` names it; none when its certificate cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// SHA-1 of its key, hex: the ResponderID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Start of validity.
    pub not_before: String,
    /// End of validity.
    pub not_after: String,
    /// `in use`, `waiting`, `unusable`, `revoked` or `expired`.
    pub state: String,
    /// Since when.
    pub since: String,
    /// Its certificate's status on record.
    #[serde(flatten)]
    pub status: Status,
    /// The file of `signers/` it was given by; none for one made here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Signatures that it made since its key was read; none when the key is not at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signatures: Option<u64>,
}

/// A file of `signers/` that is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedSigner {
    /// The file.
    pub file: String,
    /// What speaks against it, and what to do.
    pub why: String,
}

/// Make new OCSP signers in the place of those in use; of all when nothing is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewSigners {
    /// Only of this authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// Only of this key generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u8>,
    /// Only of this kind of key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Ticket, recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Comment, archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Comment>,
}

/// The signers in use now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewedSigners {
    /// All that were meant.
    pub signers: Vec<RenewedSigner>,
}

/// A signer in use now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewedSigner {
    /// Name of the authority it answers for.
    pub authority: String,
    /// Key generation it answers for.
    pub generation: u8,
    /// The kind of its own key.
    pub key: String,
    /// Serial of the one in use before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Serial of its certificate.
    pub serial: String,
    /// End of validity.
    pub not_after: String,
    /// The file that it was given by: it was not renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// Revoke an OCSP signer, once another has taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeSigner {
    /// Which.
    pub signer: SignerAddressed,
    /// Ground; `keyCompromise` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// invalidityDate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_since: Option<String>,
    /// Also when nobody can sign in its place.
    #[serde(default)]
    pub without_successor: bool,
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

/// Names one OCSP signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum SignerAddressed {
    /// By its certificate.
    Serial {
        /// Name of the authority that issued it.
        authority: String,
        /// Its serial.
        serial: String,
    },
    /// The one in use.
    InUse {
        /// Name of the authority it answers for.
        authority: String,
        /// Key generation it answers for.
        generation: u8,
        /// The kind of its own key; may be left out where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<String>,
    },
}

/// What a revocation came to: durable, and neither a new nor a kept signature of that signer is given
/// any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedSigner {
    /// Authority's name.
    pub authority: String,
    /// Key generation that issued its certificate.
    pub generation: u8,
    /// Serial.
    pub serial: String,
    /// The kind of its key.
    pub key: String,
    /// Its status now.
    #[serde(flatten)]
    pub status: Status,
    /// Journal position of the entry that says so.
    pub position: u64,
    /// When that entry was recorded.
    pub recorded_at: String,
    /// False when it was so already.
    pub changed: bool,
    /// True when the key had been used: this is the first outcome again.
    pub repeated: bool,
    /// The file it was given by: take it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Who signs in its place; none when nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<Successor>,
}

/// Who signs in another one's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Successor {
    /// Serial of its certificate.
    pub serial: String,
    /// End of validity.
    pub not_after: String,
}
