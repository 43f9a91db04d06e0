//! The catalogue of a set: which CRLs there are, and what is in them.

use serde::{Deserialize, Serialize};

use super::{CrlFacts, CrlNumber, Scope, SetPlan, file_name};
use crate::der::UnixTime;
use crate::pki::{Issuer, Name};
use crate::record::Position;

/// A set of CRLs, as `/crl/index.json` shows it. Its SHA-256 stands in the journal entry that
/// publishes the set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// The set's name: its number in decimal.
    pub set: String,
    /// The CRLs.
    pub crls: Vec<Row>,
    /// The journal position the set is made from.
    pub position: u64,
    /// The journal's chain head at that position, hex.
    pub head: String,
    /// True for a set of the daily schedule.
    pub scheduled: bool,
    /// What its deltas are made for, by authority.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<Base>,
    /// What the gate held it back for; an operator let it go all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_back_for: Vec<String>,
    /// The key that makes its last CRLs in it: whoever puts the set in place retires that with it, also behind
    /// a stop. The catalogue of what is served names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retiring: Option<RetiringKey>,
    /// thisUpdate of the newest scheduled set published before this one.
    pub last_scheduled: Option<String>,
    /// thisUpdate of every CRL of the set.
    pub this_update: String,
    /// nextUpdate of every CRL of the set, save the last ones of a key that is retired: those end with its CA
    /// certificate.
    pub next_update: String,
    /// cRLNumber of every CRL of the set.
    pub number: CrlNumber,
}

/// A key that makes its last CRLs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiringKey {
    /// The authority's name.
    pub authority: String,
    /// Which of its keys.
    pub generation: u8,
}

/// The set whose full CRL of an authority a delta changes: as much of its plan as the delta's
/// content depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The authority's name.
    pub authority: String,
    /// cRLNumber of the base.
    pub number: CrlNumber,
    /// The journal position it is made from.
    pub position: u64,
    /// Its thisUpdate.
    pub this_update: String,
    /// Its nextUpdate.
    pub next_update: String,
    /// thisUpdate of the scheduled set published before it.
    pub last_scheduled: Option<String>,
}

/// One CRL. Times are RFC 3339, octets lowercase hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The authority's name.
    pub authority: String,
    /// Which of its keys signed.
    pub generation: u8,
    /// The municipality code, for a partition.
    pub partition: Option<String>,
    /// Full, partition or authority.
    pub kind: CrlKind,
    /// cRLNumber.
    pub number: CrlNumber,
    /// The number of the base, for a delta.
    pub base_number: Option<CrlNumber>,
    /// Where its deltas are: the URL in its freshestCRL.
    #[serde(default)]
    pub freshest_crl: Option<String>,
    /// The CA's DN.
    pub issuer: NameText,
    /// The name in issuingDistributionPoint; none for the full CRL.
    pub distribution_point: Option<NameText>,
    /// The key identifier of the key that signed.
    pub aki: String,
    /// The set it belongs to.
    pub set: String,
    /// thisUpdate.
    pub this_update: String,
    /// nextUpdate.
    pub next_update: String,
    /// Number of entries.
    pub entries: u64,
    /// Number of octets.
    pub bytes: u64,
    /// SHA-256 of the octets.
    pub sha256: String,
    /// Its immutable address, relative to the service's root.
    pub url: String,
    /// The other forms it is kept in.
    #[serde(default)]
    pub stored: Stored,
}

/// Octets of the files beside that of a CRL, `X.crl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stored {
    /// Of `X.pem`.
    pub pem: u64,
    /// Of `X.crl.gz`; none where compressing gains nothing.
    pub gzip: Option<u64>,
    /// Of `X.crl.zst`; none where compressing gains nothing.
    pub zstd: Option<u64>,
}

/// What a CRL is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CrlKind {
    /// Everything of an authority.
    Full,
    /// The residents' certificates of one partition.
    Partition,
    /// The CA certificates.
    Authority,
    /// What changed since a full one.
    Delta,
}

/// A name, for people and octet for octet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameText {
    /// As RFC 4514 writes it.
    pub rfc4514: String,
    /// Its DER, hex.
    pub der: String,
}

impl Catalogue {
    /// The catalogue of the set of `plan`; `head` is the journal's chain head at its position.
    #[must_use]
    pub fn new(plan: &SetPlan, head: &[u8], crls: Vec<Row>, bases: Vec<Base>) -> Self {
        Self {
            set: plan.number.to_string(),
            crls,
            bases,
            held_back_for: Vec::new(),
            retiring: None,
            position: plan.position.0,
            head: hex(head),
            scheduled: plan.scheduled,
            last_scheduled: plan.last_scheduled.map(|time| time.to_string()),
            this_update: plan.this_update.to_string(),
            next_update: plan.next_update.to_string(),
            number: plan.number,
        }
    }

    /// The plan the set was made by: the next gate counts from it what may have left. None
    /// when a time in it cannot be read.
    #[must_use]
    pub fn plan(&self) -> Option<SetPlan> {
        Some(SetPlan {
            number: self.number,
            position: Position(self.position),
            this_update: self.this_update.parse().ok()?,
            next_update: self.next_update.parse().ok()?,
            scheduled: self.scheduled,
            last_scheduled: optional_time(self.last_scheduled.as_deref())?,
        })
    }

    /// True when there is nothing but deltas in it.
    #[must_use]
    pub fn is_deltas_alone(&self) -> bool {
        self.crls.iter().all(|row| row.kind == CrlKind::Delta)
    }

    /// Entries of the CRL of a scope; none when there is no such CRL in the set. All keys of an
    /// authority list the same, so a new key's CRL is measured by an older key's.
    #[must_use]
    pub fn entries(&self, authority: &str, scope: Scope<'_>) -> Option<u64> {
        let (kind, partition) = kind_and_partition(scope);
        let of = |row: &&Row| row.authority == authority && row.kind == kind && row.partition == partition;
        self.crls.iter().filter(of).map(|row| row.entries).max()
    }
}

impl Row {
    /// The row of a CRL that passed the gate. `authority` is the name in addresses.
    #[must_use]
    pub fn new(authority: &str, issuer: &Issuer, scope: Scope<'_>, facts: &CrlFacts) -> Self {
        let (kind, partition) = kind_and_partition(scope);
        let set = facts.number().to_string();
        let generation = issuer.generation.number();
        let file = file_name(scope);
        Self {
            authority: authority.to_owned(),
            generation,
            partition,
            kind,
            number: facts.number(),
            base_number: match scope {
                Scope::Delta { base } => Some(base),
                _ => None,
            },
            freshest_crl: match scope {
                Scope::Full { freshest_crl } => freshest_crl.map(ToOwned::to_owned),
                _ => None,
            },
            issuer: NameText::new(&issuer.name),
            distribution_point: match scope {
                Scope::Full { .. } | Scope::Delta { .. } => None,
                Scope::Partition { distribution_point, .. } => Some(NameText::new(distribution_point)),
                Scope::Authority => Some(NameText::new(&issuer.name)),
            },
            aki: hex(&issuer.key_id),
            url: format!("/crl/sets/{set}/{authority}/{generation}/{file}"),
            set,
            this_update: facts.this_update().to_string(),
            next_update: facts.next_update().to_string(),
            entries: facts.entries(),
            bytes: facts.bytes(),
            sha256: hex(&facts.sha256()),
            stored: Stored::default(),
        }
    }
}

impl Base {
    /// Of the CRLs of `plan`.
    #[must_use]
    pub fn new(authority: &str, plan: &SetPlan) -> Self {
        Self {
            authority: authority.to_owned(),
            number: plan.number,
            position: plan.position.0,
            this_update: plan.this_update.to_string(),
            next_update: plan.next_update.to_string(),
            last_scheduled: plan.last_scheduled.map(|time| time.to_string()),
        }
    }

    /// The plan it was made by; none when a time in it cannot be read.
    #[must_use]
    pub fn plan(&self) -> Option<SetPlan> {
        Some(SetPlan {
            number: self.number,
            position: Position(self.position),
            this_update: self.this_update.parse().ok()?,
            next_update: self.next_update.parse().ok()?,
            scheduled: true,
            last_scheduled: optional_time(self.last_scheduled.as_deref())?,
        })
    }
}

/// None when it cannot be read.
#[expect(clippy::option_option, reason = "a time may be absent, and it may be damaged")]
fn optional_time(text: Option<&str>) -> Option<Option<UnixTime>> {
    text.map_or(Some(None), |text| text.parse().ok().map(Some))
}

impl NameText {
    fn new(name: &Name) -> Self {
        Self { rfc4514: name.to_string(), der: hex(name.der()) }
    }
}

fn kind_and_partition(scope: Scope<'_>) -> (CrlKind, Option<String>) {
    match scope {
        Scope::Full { .. } => (CrlKind::Full, None),
        Scope::Delta { .. } => (CrlKind::Delta, None),
        Scope::Partition { partition, .. } => (CrlKind::Partition, Some(partition.to_string())),
        Scope::Authority => (CrlKind::Authority, None),
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
