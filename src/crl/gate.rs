//! The last look at a CRL before anybody may have it.

use super::audit::{Share, sha256};
use super::certificate_list::{CertificateList, Extension};
use super::{Audited, CrlNumber, GateError, Scope, SetPlan, extensions};
use crate::der::{Oid, Reader, UnixTime, Writer};
use crate::pki::{Issuer, PublicKey, oid};

/// What the CRL is to be.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The plan of its set.
    pub plan: &'a SetPlan,
    /// Its scope.
    pub scope: Scope<'a>,
    /// What the authority published before it.
    pub previous: Previous,
}

/// What is known of the CRLs that an authority published before. That there are none, and that it
/// cannot be told what was in them, are two things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Previous {
    /// There are none: the journal says so.
    First,
    /// There are some.
    After {
        /// The highest number among them.
        number: CrlNumber,
        /// The latest thisUpdate among them; none when the clock was released since, and time may
        /// have gone back.
        this_update: Option<UnixTime>,
        /// How many entries the last complete one had in this scope.
        size: Size,
    },
}

/// How many entries a CRL may not fall below, but for those that rightly left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// The CRL before it had so many.
    Entries(u64),
    /// A fall means nothing: of a delta, of the first CRL of a partition, and of a CRL that an
    /// operator may let go.
    Free,
    /// There was a CRL before it, and how many it had cannot be told.
    Unknown(Untold),
}

/// Why it cannot be told what was in the set published before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    /// Its catalogue is gone.
    #[error("its catalogue is missing")]
    Missing,
    /// Its catalogue is not the one whose SHA-256 is in the journal.
    #[error("its catalogue is not the one that the journal names")]
    Altered,
    /// Its catalogue cannot be read.
    #[error("its catalogue cannot be read")]
    Unreadable,
    /// The journal names its catalogue, and no CRL of this scope is in it.
    #[error("no CRL of this scope is in its catalogue")]
    NoRow,
    /// It is served, and the journal does not know that it was published.
    #[error("the journal does not know that it was published")]
    Unrecorded,
}

/// What was read in a CRL that passed; made by [`gate`] alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrlFacts {
    number: CrlNumber,
    this_update: UnixTime,
    next_update: UnixTime,
    entries: u64,
    bytes: u64,
    sha256: [u8; 32],
}

/// Reads a finished CRL and compares every field with what it is to be, and its entries with those
/// that were found to be the records': [`Audit`](super::Audit) has read them in this very CRL, or,
/// for a partition or another key's, in the full one of the same set.
///
/// # Errors
/// [`GateError`]; the CRL must not be published then.
pub fn gate(
    bytes: &[u8],
    issuer: &Issuer,
    expected: &Expected<'_>,
    audited: &Audited,
) -> Result<CrlFacts, GateError> {
    let list = CertificateList::from_der(bytes)?;
    check_signature(&list, issuer)?;
    check_issuer_and_times(&list, issuer, expected.plan)?;
    let number = check_extensions(&list.crl_extensions, issuer, expected)?;
    let share = audited.share(expected.scope);
    if sha256(list.revoked_certificates) != share.sha256 {
        return Err(GateError::Altered);
    }
    check_succession(number, list.this_update, expected.previous, share)?;
    Ok(CrlFacts {
        number,
        this_update: list.this_update,
        next_update: list.next_update,
        entries: share.count,
        bytes: count(bytes.len()),
        sha256: sha256(bytes),
    })
}

impl Previous {
    /// The same for a CRL that an operator may let go whatever its size.
    #[must_use]
    pub const fn whatever_the_size(self) -> Self {
        match self {
            Self::First => Self::First,
            Self::After { number, this_update, .. } => Self::After { number, this_update, size: Size::Free },
        }
    }
}

impl CrlFacts {
    /// cRLNumber.
    #[must_use]
    pub const fn number(&self) -> CrlNumber {
        self.number
    }

    /// thisUpdate.
    #[must_use]
    pub const fn this_update(&self) -> UnixTime {
        self.this_update
    }

    /// nextUpdate.
    #[must_use]
    pub const fn next_update(&self) -> UnixTime {
        self.next_update
    }

    /// Number of entries.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// Number of octets of the whole CRL.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// SHA-256 of the whole CRL.
    #[must_use]
    pub const fn sha256(&self) -> [u8; 32] {
        self.sha256
    }
}

/// RFC 5280 §§5.1.1.2, 5.1.1.3, 5.1.2.2.
fn check_signature(list: &CertificateList<'_>, issuer: &Issuer) -> Result<(), GateError> {
    let key = PublicKey::from_spki(&issuer.spki).map_err(|_| GateError::Algorithm)?;
    let identifier = Writer::to_der(|w| key.algorithm().write(w));
    if list.signature != identifier || list.signature_algorithm != identifier {
        return Err(GateError::Algorithm);
    }
    key.verify(list.tbs_cert_list, list.signature_value).map_err(|_| GateError::Signature)
}

/// RFC 5280 §§5.1.2.3–5.1.2.5.
fn check_issuer_and_times(
    list: &CertificateList<'_>,
    issuer: &Issuer,
    plan: &SetPlan,
) -> Result<(), GateError> {
    let CertificateList { this_update, next_update, .. } = *list;
    if list.issuer != issuer.name.der() {
        return Err(GateError::Issuer);
    }
    let planned = (this_update, next_update) == (plan.this_update, plan.next_update);
    if !planned || next_update <= this_update {
        return Err(GateError::Times { this_update, next_update });
    }
    if this_update < issuer.not_before || this_update > issuer.not_after {
        return Err(GateError::IssuerValidity(this_update));
    }
    Ok(())
}

/// RFC 5280 §5.2: exactly those of a CRL of this scope, each once.
fn check_extensions(
    found: &[Extension<'_>],
    issuer: &Issuer,
    expected: &Expected<'_>,
) -> Result<CrlNumber, GateError> {
    let find = |oid: &Oid| {
        let mut matching = found.iter().filter(|extension| extension.is(oid));
        (matching.next(), matching.next().is_some())
    };
    let (key_identifier, again) = find(&oid::AUTHORITY_KEY_IDENTIFIER);
    let key_identifier = key_identifier.filter(|it| !it.critical && !again).map(|it| it.value);
    if key_identifier != Some(&extensions::authority_key_identifier(issuer)) {
        return Err(GateError::AuthorityKeyIdentifier);
    }

    let wrong_number = GateError::Number(expected.plan.number);
    let (number, again) = find(&oid::CRL_NUMBER);
    let number = number.filter(|it| !it.critical && !again).ok_or(wrong_number)?;
    let mut value = Reader::new(number.value);
    let number = CrlNumber::read(&mut value)?;
    value.finish()?;
    if number != expected.plan.number {
        return Err(wrong_number);
    }

    let optional = [
        (
            oid::DELTA_CRL_INDICATOR,
            true,
            extensions::delta_crl_indicator(expected.scope),
            GateError::DeltaCrlIndicator,
        ),
        (
            oid::ISSUING_DISTRIBUTION_POINT,
            true,
            extensions::issuing_distribution_point(issuer, expected.scope),
            GateError::IssuingDistributionPoint,
        ),
        (oid::FRESHEST_CRL, false, extensions::freshest_crl(expected.scope), GateError::FreshestCrl),
    ];
    let mut wanted = 2;
    for (oid, critical, value, refusal) in optional {
        let (one, again) = find(&oid);
        if one.map(|it| (it.value, it.critical)) != value.as_deref().map(|value| (value, critical)) || again {
            return Err(refusal);
        }
        wanted += usize::from(value.is_some());
    }
    if found.len() == wanted { Ok(number) } else { Err(GateError::Extension) }
}

/// The number rises, time does not go back, and the size falls no further than explained.
fn check_succession(
    number: CrlNumber,
    this_update: UnixTime,
    previous: Previous,
    share: Share,
) -> Result<(), GateError> {
    let Previous::After { number: before, this_update: earliest, size } = previous else { return Ok(()) };
    if number <= before {
        return Err(GateError::NumberNotRising { number, previous: before });
    }
    if let Some(earliest) = earliest.filter(|earliest| this_update < *earliest) {
        return Err(GateError::Earlier { this_update, previous: earliest });
    }
    let Share { count: entries, departed, .. } = share;
    match size {
        Size::Entries(previous) if entries.saturating_add(departed) < previous => {
            Err(GateError::Shrunk { entries, previous, departed })
        }
        Size::Unknown(why) => Err(GateError::PreviousUnknown(why)),
        Size::Entries(_) | Size::Free => Ok(()),
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
