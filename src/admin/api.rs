//! What goes over the admin socket: JSON bodies of `POST` requests and their answers.
//!
//! Times are RFC 3339, serials `0x` hex, certificates PEM. An answer with a status other than
//! 200 is a [`Problem`].

mod authorities;
mod cards;
mod certificates;
mod signers;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::crl::Catalogue;

pub use authorities::{
    AuthorityKey, AuthorityKeys, Compromised, CompromisedKey, NamedAuthority, NamedKey, NewKey, RetiredKey,
    RollOver,
};
pub use signers::{
    ListSigners, RefusedSigner, RenewSigners, RenewedSigner, RenewedSigners, RevokeSigner, RevokedSigner,
    Signer, SignerAddressed, Signers, Successor,
};

pub use cards::{
    ApplyForCard, CardCertificate, CardChange, CardState, CardTurned, ChangedCertificate, Effect, Effects,
    Movement, MovementBehind, MovementDone, Movements, NamedCard, Reconciliation,
};
pub use certificates::{GetCertificate, ListCertificates, ListedCertificate, ListedCertificates};

/// Addresses on the admin socket.
pub mod path {
    /// [`Issue`](super::Issue) → [`IssuedPair`](super::IssuedPair).
    pub const ISSUE: &str = "/v1/issue";
    /// [`GetCertificate`](super::GetCertificate) → [`IssuedCertificate`](super::IssuedCertificate).
    pub const CERTIFICATE_GET: &str = "/v1/certificate/get";
    /// [`ListCertificates`](super::ListCertificates) → [`ListedCertificates`](super::ListedCertificates).
    pub const CERTIFICATE_LIST: &str = "/v1/certificate/list";
    /// [`Change`](super::Change) → [`Changed`](super::Changed).
    pub const REVOKE: &str = "/v1/revoke";
    /// [`Change`](super::Change) → [`Changed`](super::Changed).
    pub const HOLD: &str = "/v1/hold";
    /// [`Change`](super::Change) → [`Changed`](super::Changed).
    pub const RELEASE: &str = "/v1/release";
    /// [`Inquiry`](super::Inquiry) → [`CertificateState`](super::CertificateState).
    pub const STATUS: &str = "/v1/status";
    /// [`Publish`](super::Publish) → [`Published`](super::Published).
    pub const CRL_PUBLISH: &str = "/v1/crl/publish";
    /// `{}` → the catalogue.
    pub const CRL_LIST: &str = "/v1/crl/list";
    /// [`ReleaseSet`](super::ReleaseSet) → [`Published`](super::Published).
    pub const CRL_RELEASE: &str = "/v1/crl/release";
    /// [`RebuildSet`](super::RebuildSet) → [`RebuiltSet`](super::RebuiltSet).
    pub const CRL_REBUILD: &str = "/v1/crl/rebuild";
    /// `{}` → [`Reloaded`](super::Reloaded).
    pub const RELOAD: &str = "/v1/reload";
    /// [`ListSigners`](super::ListSigners) → [`Signers`](super::Signers).
    pub const SIGNER_LIST: &str = "/v1/signer/list";
    /// [`RenewSigners`](super::RenewSigners) → [`RenewedSigners`](super::RenewedSigners).
    pub const SIGNER_RENEW: &str = "/v1/signer/renew";
    /// [`RevokeSigner`](super::RevokeSigner) → [`RevokedSigner`](super::RevokedSigner).
    pub const SIGNER_REVOKE: &str = "/v1/signer/revoke";
    /// [`RegisterVerifier`](super::RegisterVerifier) → [`VerifierChange`](super::VerifierChange).
    pub const VERIFIER_ADD: &str = "/v1/verifier/add";
    /// [`SuspendVerifier`](super::SuspendVerifier) → [`VerifierChange`](super::VerifierChange).
    pub const VERIFIER_SUSPEND: &str = "/v1/verifier/suspend";
    /// `{}` → [`Verifiers`](super::Verifiers).
    pub const VERIFIER_LIST: &str = "/v1/verifier/list";
    /// [`Check`](super::Check) → [`Condition`](super::Condition).
    pub const CHECK: &str = "/v1/check";
    /// `{}` → [`ClockState`](super::ClockState).
    pub const CLOCK: &str = "/v1/clock";
    /// `{}` → [`ClockRelease`](super::ClockRelease).
    pub const CLOCK_RELEASE: &str = "/v1/clock/release";
    /// `{}` → [`JournalHead`](super::JournalHead).
    pub const JOURNAL_HEAD: &str = "/v1/journal/head";
    /// `{}` → [`JournalSeen`](super::JournalSeen).
    pub const JOURNAL_SEEN: &str = "/v1/journal/seen";
    /// [`ApplyForCard`](super::ApplyForCard) → [`CardChange`](super::CardChange).
    pub const CARD_APPLY: &str = "/v1/card/apply";
    /// [`NamedCard`](super::NamedCard) → [`CardChange`](super::CardChange).
    pub const CARD_HAND_OVER: &str = "/v1/card/hand-over";
    /// [`NamedCard`](super::NamedCard) → [`CardTurned`](super::CardTurned).
    pub const CARD_SUSPEND: &str = "/v1/card/suspend";
    /// [`NamedCard`](super::NamedCard) → [`CardTurned`](super::CardTurned).
    pub const CARD_FOUND: &str = "/v1/card/found";
    /// [`NamedCard`](super::NamedCard) → [`CardState`](super::CardState).
    pub const CARD_SHOW: &str = "/v1/card/show";
    /// [`Movements`](super::Movements) → [`Effects`](super::Effects).
    pub const MOVEMENTS: &str = "/v1/movements";
    /// `{}` → [`AuthorityKeys`](super::AuthorityKeys).
    pub const AUTHORITY_LIST: &str = "/v1/authority/list";
    /// [`RollOver`](super::RollOver) → [`NewKey`](super::NewKey).
    pub const AUTHORITY_ROLLOVER: &str = "/v1/authority/rollover";
    /// [`NamedAuthority`](super::NamedAuthority) → [`NewKey`](super::NewKey).
    pub const AUTHORITY_ACTIVATE: &str = "/v1/authority/activate";
    /// [`NamedKey`](super::NamedKey) → [`RetiredKey`](super::RetiredKey).
    pub const AUTHORITY_RETIRE: &str = "/v1/authority/retire";
    /// [`CompromisedKey`](super::CompromisedKey) → [`Compromised`](super::Compromised).
    pub const COMPROMISED: &str = "/v1/authority/compromised";
    /// `{}` → [`Reconciliation`](super::Reconciliation).
    pub const RECONCILE: &str = "/v1/reconcile";
    /// [`Explain`](super::Explain) → [`Explanation`](super::Explanation).
    pub const EXPLAIN: &str = "/v1/explain";
}

/// A comment, in somebody's words: it may name persons, and stays out of logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Comment(pub String);

impl From<&str> for Comment {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl std::fmt::Debug for Comment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Comment").finish_non_exhaustive()
    }
}

/// Names one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Selector {
    /// By authority name and serial.
    Named {
        /// `sign`, `auth`, or a configured name.
        authority: String,
        /// `0x` hex, pairs with colons, or `dec:` and decimal digits; bare digits are refused.
        serial: String,
    },
    /// As a certificate states it.
    Certificate {
        /// PEM, of it alone or with its chain.
        certificate: String,
    },
}

/// Issue one or both certificates of a resident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issue {
    /// Family and given name.
    pub name: String,
    /// Former surname, which becomes part of the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former_surname: Option<String>,
    /// A 0 or 1 for each character of the name as it is certified: 1 where a substitute stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_substitutes: Option<String>,
    /// Date of birth, `YYYY-MM-DD`; `00` for a day or month that is not known, or `unknown`.
    pub birth: String,
    /// `1` male, `2` female, `3` other; or the words.
    pub sex: String,
    /// Address, prefecture first; `国外転出` and what follows it for who lives overseas.
    pub address: String,
    /// As for the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_substitutes: Option<String>,
    /// Municipality code.
    pub municipality: String,
    /// Kinds; default the card pair `sign`, `auth`.
    #[serde(default = "card_pair")]
    pub kinds: Vec<String>,
    /// Where the public key comes from.
    pub subject_key: SubjectKeySource,
    /// A card that was applied for; a new one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// A card on which they replace those there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew: Option<String>,
    /// The card with which a phone is set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_with: Option<String>,
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

fn card_pair() -> Vec<String> {
    vec!["sign".to_owned(), "auth".to_owned()]
}

/// Where subjects' public keys come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKeySource {
    /// One key, for one kind: PKCS#10, PEM; its signature is verified.
    Csr(String),
    /// One key, for one kind: SubjectPublicKeyInfo, PEM.
    PublicKey(String),
    /// A key for each kind, by its name.
    ByKind(BTreeMap<String, GivenKey>),
    /// Keys of the committed pool of test keys.
    TestKey,
}

/// A public key as somebody hands it in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GivenKey {
    /// PKCS#10, PEM; its signature is verified.
    Csr(String),
    /// SubjectPublicKeyInfo, PEM.
    PublicKey(String),
}

/// The certificates issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedPair {
    /// In the order of their issue.
    pub certificates: Vec<IssuedCertificate>,
    /// Journal position of the first.
    pub position: u64,
    /// When the issue was recorded.
    pub recorded_at: String,
    /// True when the key had been used: this is the first outcome again.
    pub repeated: bool,
    /// The card or phone they are on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// Who holds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}

/// One certificate issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCertificate {
    /// Authority's name.
    pub authority: String,
    /// Key generation that signed it.
    pub generation: u8,
    /// Serial.
    pub serial: String,
    /// Kind.
    pub kind: String,
    /// End of validity.
    pub not_after: String,
    /// PEM.
    pub certificate: String,
}

/// Revoke, hold or release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Which certificate.
    pub certificate: Selector,
    /// Ground of a revocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// invalidityDate.
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

/// What a change came to. The change is durable, and every answer from now on shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Authority's name.
    pub authority: String,
    /// Key generation that signed the certificate.
    pub generation: u8,
    /// Serial.
    pub serial: String,
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
}

/// A certificate's status in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// `good`, `revoked` or `hold`.
    pub status: String,
    /// CRLReason, when revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// revocationTime, when revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<String>,
    /// invalidityDate, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalidity_date: Option<String>,
}

/// What is a certificate's status, now or at a time?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inquiry {
    /// Which certificate.
    pub certificate: Selector,
    /// At this time; now when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// All that is known of a certificate's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateState {
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
    /// Journal position of the entry that says so.
    pub position: u64,
    /// When that entry was recorded.
    pub recorded_at: String,
    /// Who asked for it: `uid:1000` over this socket, `sekisho` for the service itself.
    pub actor: String,
    /// The ticket it was asked for under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// What was said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Comment>,
    /// Why what was said of it is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment_fault: Option<String>,
    /// The card or phone the certificate is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// The report it came from, when it came from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub movement: Option<MovementBehind>,
    /// The issue and every change up to then, oldest first.
    pub history: Vec<HistoryStep>,
    /// Changes after the issue that `history` leaves out, for there are very many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub history_left_out: usize,
    /// The CRL set being served, when it was cut after that entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl_set: Option<String>,
    /// Records and status index disagree on it: the status is the severer of both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
    /// The status of the CA certificate it was issued under, when that is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Status>,
}

const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What one journal entry made of a certificate, and at whose wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryStep {
    /// Its status since.
    #[serde(flatten)]
    pub status: Status,
    /// Journal position of the entry; the first is the issue.
    pub position: u64,
    /// When that entry was recorded.
    pub recorded_at: String,
    /// Who asked for it.
    pub actor: String,
    /// The ticket it was asked for under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// What was said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Comment>,
    /// Why what was said of it is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment_fault: Option<String>,
    /// The report it came from, when it came from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub movement: Option<MovementBehind>,
}

/// Build and publish a CRL set now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// Only this authority's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
}

/// A CRL set was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The set: the number every CRL of it carries.
    pub set: String,
    /// CRLs in it.
    pub crls: usize,
    /// Entries in its full CRLs.
    pub entries: u64,
    /// thisUpdate.
    pub this_update: String,
    /// nextUpdate.
    pub next_update: String,
}

/// The CRLs being served, and what does not come out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrlList {
    /// The catalogue of what is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalogue: Option<Catalogue>,
    /// The set that waits for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back: Option<HeldBackSet>,
    /// Why sets did not come out, or what is overdue.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
}

/// A CRL set that the gate held back and an operator may let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBackSet {
    /// The set.
    pub set: String,
    /// thisUpdate of its CRLs.
    pub this_update: String,
    /// nextUpdate: until then it may be let go.
    pub next_update: String,
    /// What the gate found.
    pub findings: Vec<String>,
}

/// Publish the set that was held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseSet {
    /// The set that was looked at.
    pub set: String,
    /// Why it is right; recorded.
    pub reason: String,
}

/// Make a past set again from the journal, and compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebuildSet {
    /// The set.
    pub set: String,
    /// Where to write its CRLs; absolute, of the service's file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
}

/// What became of the CRLs of a set made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuiltSet {
    /// Octet for octet what was published.
    pub same: u64,
    /// The same but for a signature made with random numbers, which is good.
    pub same_content: u64,
    /// Address and difference of every other one.
    pub different: Vec<String>,
}

/// The signers of `signers/` were read and are in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// All of them.
    pub signers: Vec<GivenSigner>,
}

/// An OCSP signer issued elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenSigner {
    /// The file of its certificate.
    pub file: String,
    /// Name of the authority it answers for.
    pub authority: String,
    /// Key generation it answers for.
    pub generation: u8,
    /// The kind of its own key, as `ocsp.signers` names it.
    pub key: String,
    /// End of validity.
    pub not_after: String,
}

/// Register a verifier, or let a suspended one ask again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterVerifier {
    /// Its name.
    pub name: String,
    /// PEM.
    pub certificate: String,
}

/// Suspend a verifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SuspendVerifier {
    /// All certificates of this name.
    Name(String),
    /// One certificate, PEM.
    Certificate(String),
}

/// What a change of the register came to: durable, and it counts from the next request on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifierChange {
    /// The certificates it is about, as they are registered now.
    pub verifiers: Vec<Verifier>,
    /// False when it was so already.
    pub changed: bool,
    /// Journal position it rests on.
    pub position: u64,
    /// When that entry was recorded.
    pub recorded_at: String,
}

/// The register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verifiers {
    /// Every certificate in it, by the verifiers' names.
    pub verifiers: Vec<Verifier>,
}

/// A certificate in the register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verifier {
    /// The verifier.
    pub name: String,
    /// `registered`, `suspended`, or `expired`: registered, and its time is over.
    pub state: String,
    /// Since when it is registered or suspended.
    pub since: String,
    /// The certificate's subject (RFC 4514).
    pub subject: String,
    /// End of its validity.
    pub not_after: String,
    /// SHA-256 of its octets, hex.
    pub sha256: String,
}

/// What to examine beside all that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// A checkpoint whose signature the asker has checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
}

/// How far a journal had come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The journal's name, hex.
    pub journal: String,
    /// Its epoch.
    pub epoch: u32,
    /// The last entry.
    pub position: u64,
    /// Head of the chain there, hex.
    pub head: String,
    /// When it was signed.
    pub time: String,
}

/// The state of a data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Last journal position.
    pub position: u64,
    /// Head of the hash chain, hex: the journal's digest.
    pub head: String,
    /// Epoch of the journal.
    pub epoch: u32,
    /// Certificates recorded.
    pub certificates: u64,
    /// What is wrong, a line each; empty when all is well.
    pub findings: Vec<String>,
    /// What an earlier version wrote against the rules, and what became of it, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// What the clocks show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockState {
    /// The wall clock.
    pub wall: String,
    /// The time of entries and answers.
    pub trusted: String,
    /// The last time on record.
    pub recorded_at: String,
    /// True while the wall clock is not believed and nothing is signed.
    pub frozen: bool,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Up to where the journal is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalHead {
    /// The last entry.
    pub position: u64,
    /// The head of its frame, hex.
    pub head: String,
}

/// What was cut off the journal's end and has been seen to now, a line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalSeen {
    /// In the order of the journal.
    pub pieces: Vec<String>,
}

/// What came of taking a journal's end as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedEnd {
    /// The last entry that was there.
    pub last: u64,
    /// The entry that says so.
    pub position: u64,
    /// The epoch that it begins.
    pub epoch: u32,
    /// What was cut off, a line each, in the order of the journal.
    pub pieces: Vec<String>,
}

/// What came of vouching for the wall clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockRelease {
    /// False when the clock was believed anyway, and nothing changed.
    pub released: bool,
    /// The time believed and on record until then.
    pub from: String,
    /// The wall clock's, believed from now on.
    pub to: String,
    /// Journal position of the entry that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
}

/// Where would an answer about a certificate come from?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explain {
    /// Which certificate.
    pub certificate: Selector,
}

/// Where an answer about a certificate would come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Authority's name.
    pub authority: String,
    /// Serial.
    pub serial: String,
    /// Key generation that signed the certificate; none when none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u8>,
    /// Its status, as answers show it; `unknown` when it was never issued.
    #[serde(flatten)]
    pub status: Status,
    /// Since when it has that status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Journal position of the entry that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// The time of this explanation.
    pub now: String,
    /// Why nothing is signed now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<String>,
    /// Who would sign; the first signs for askers that prefer no algorithm.
    pub signers: Vec<ExplainedSigner>,
    /// Kept signatures of signers that are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<ExplainedAnswer>,
}

/// A signer, and its signatures that are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedSigner {
    /// Key generation that issued its certificate.
    pub generation: u8,
    /// SHA-1 of its key, hex: the ResponderID.
    pub key_id: String,
    /// Serial of its certificate.
    pub serial: String,
    /// End of its certificate's validity.
    pub not_after: String,
    /// What it signs with.
    pub algorithm: String,
    /// Its signatures about the certificate.
    pub kept: Vec<ExplainedAnswer>,
}

/// A kept signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedAnswer {
    /// How its question names the issuer: `sha1`, `sha256`, `sha384`, `sha512`.
    pub hash: String,
    /// Whether with parameters NULL, or absent.
    pub null_parameters: bool,
    /// When it was signed.
    pub signed_at: String,
    /// From when on who asks has the next made.
    pub refresh_at: String,
    /// Its nextUpdate.
    pub next_update: String,
    /// Until when an HTTP cache that asks now may hold it, if it is given at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_cached_until: Option<String>,
    /// True when who asks now gets it.
    pub usable: bool,
    /// Why, or why not.
    pub why: String,
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What stands against it and what to do.
    pub error: String,
    /// Whose turn it is.
    pub kind: ProblemKind,
}

/// Sorts problems by what the caller can do; also the exit code of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The answer is no.
    Refused,
    /// The idempotency key belongs to another request.
    KeyReused,
    /// The request is wrong.
    Invalid,
    /// Not now: repeat with the same key.
    Unavailable,
    /// A fault of the service.
    Internal,
    /// Damage, or a copy that nobody has accepted: a person must look.
    Person,
}

impl ProblemKind {
    /// Its HTTP status.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Refused | Self::KeyReused => 409,
            Self::Invalid => 400,
            Self::Unavailable => 503,
            Self::Internal | Self::Person => 500,
        }
    }
}
