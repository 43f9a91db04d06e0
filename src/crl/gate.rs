//! The last look at a CRL before anybody may have it.

use std::cmp::Ordering;

use ring::digest;

use super::certificate_list::{CertificateList, Extension};
use super::listed::Listed;
use super::{CrlNumber, GateError, Scope, SetPlan, extensions};
use crate::der::{Reader, UnixTime, Writer};
use crate::pki::{Issuer, PublicKey, Revocation, SerialNumber, oid};

/// What the CRL is to be.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The plan of its set.
    pub plan: &'a SetPlan,
    /// Its scope.
    pub scope: Scope<'a>,
    /// The CRL published before it in this scope.
    pub previous: Option<Previous>,
    /// How many of that one's entries have rightly left: [`Listing::departed`](super::Listing::departed).
    pub departed: u64,
}

/// What is known of the CRL published before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Previous {
    /// Its number.
    pub number: CrlNumber,
    /// How many entries it had.
    pub entries: u64,
    /// Its thisUpdate; none when the clock was released since, and time may have gone back.
    pub this_update: Option<UnixTime>,
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

/// Reads a finished CRL and compares every field with what it is to be, and its entries both
/// ways with `records`: the serials and revocations of the scope at the plan's position, in
/// the order of the serials, read from the records anew ([`Listing::rows`](super::Listing::rows)).
/// Records in another order, or one twice, are a difference like any other.
///
/// # Errors
/// [`GateError`]; the CRL must not be published then.
pub fn gate(
    bytes: &[u8],
    issuer: &Issuer,
    expected: &Expected<'_>,
    records: impl IntoIterator<Item = (SerialNumber, Revocation)>,
) -> Result<CrlFacts, GateError> {
    let list = CertificateList::from_der(bytes)?;
    check_signature(&list, issuer)?;
    check_issuer_and_times(&list, issuer, expected.plan)?;
    let number = check_extensions(&list.crl_extensions, issuer, expected)?;
    let entries = check_entries(&list, records)?;
    if let Some(previous) = expected.previous {
        check_succession(number, entries, list.this_update, previous, expected.departed)?;
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    Ok(CrlFacts {
        number,
        this_update: list.this_update,
        next_update: list.next_update,
        entries,
        bytes: count(bytes.len()),
        sha256,
    })
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
    let find = |oid| {
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

    let wanted = extensions::issuing_distribution_point(issuer, expected.scope);
    let (point, again) = find(&oid::ISSUING_DISTRIBUTION_POINT);
    if point.map(|it| (it.value, it.critical)) != wanted.as_deref().map(|value| (value, true)) || again {
        return Err(GateError::IssuingDistributionPoint);
    }
    if found.len() == 2 + usize::from(wanted.is_some()) { Ok(number) } else { Err(GateError::Extension) }
}

/// RFC 5280 §5.1.2.6: reads every entry, then walks list and records side by side.
fn check_entries(
    list: &CertificateList<'_>,
    records: impl IntoIterator<Item = (SerialNumber, Revocation)>,
) -> Result<u64, GateError> {
    let listed = Listed::read(list)?;
    let mut records = records.into_iter();
    for found in listed.iter() {
        let (serial, revocation) = found?;
        let Some((recorded, became)) = records.next() else { return Err(GateError::Extra(serial)) };
        match serial.cmp(&recorded) {
            Ordering::Less => return Err(GateError::Extra(serial)),
            Ordering::Greater => return Err(GateError::Missing(recorded)),
            Ordering::Equal if revocation != became => return Err(GateError::Differs(serial)),
            Ordering::Equal => {}
        }
    }
    match records.next() {
        Some((serial, _)) => Err(GateError::Missing(serial)),
        None => Ok(count(listed.len())),
    }
}

/// The number rises, time does not go back, and the size falls no further than explained.
fn check_succession(
    number: CrlNumber,
    entries: u64,
    this_update: UnixTime,
    previous: Previous,
    departed: u64,
) -> Result<(), GateError> {
    if number <= previous.number {
        return Err(GateError::NumberNotRising { number, previous: previous.number });
    }
    if let Some(before) = previous.this_update.filter(|before| this_update < *before) {
        return Err(GateError::Earlier { this_update, previous: before });
    }
    if entries.saturating_add(departed) < previous.entries {
        return Err(GateError::Shrunk { entries, previous: previous.entries, departed });
    }
    Ok(())
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
