//! The last look at a CRL before anybody may have it.

use std::cmp::Ordering;

use ring::digest;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use super::certificate_list::{CertificateList, Extension};
use super::{CrlNumber, Scope, SetPlan, entry, extensions};
use crate::der::{DerError, Reader, UnixTime, Writer};
use crate::pki::{Issuer, Revocation, SerialNumber, SignatureAlgorithm, oid};

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

/// Why a CRL must not leave. The last good set stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// Not the DER of a CertificateList.
    #[error("not a CRL in DER: {0}")]
    Der(#[from] DerError),
    /// Not version 2.
    #[error("the version is not 2")]
    Version,
    /// An algorithm other than that of the issuer's key, or a different one outside.
    #[error("the signature algorithm is not that of the issuer's key")]
    Algorithm,
    /// The signature is not the issuer's over these octets.
    #[error("the signature does not verify with the issuer's key")]
    Signature,
    /// The issuer is not, octet for octet, the CA's subject.
    #[error("the issuer is not the subject of the CA certificate")]
    Issuer,
    /// The CA certificate is not valid at thisUpdate.
    #[error("the CA certificate is not valid at {0}: no CRL can be issued under it")]
    IssuerValidity(UnixTime),
    /// thisUpdate or nextUpdate is not the planned one, or they do not follow one another.
    #[error("the times {this_update} and {next_update} are not the planned ones")]
    Times {
        /// thisUpdate as it stands.
        this_update: UnixTime,
        /// nextUpdate as it stands.
        next_update: UnixTime,
    },
    /// revokedCertificates is there and empty.
    #[error("revokedCertificates is empty: it must be absent then")]
    EmptyList,
    /// The authority key identifier is missing or another's.
    #[error("the authority key identifier is not that of the issuer's key")]
    AuthorityKeyIdentifier,
    /// The number is missing or not the planned one.
    #[error("the CRL number is not {0}")]
    Number(CrlNumber),
    /// The number does not rise.
    #[error("the CRL number {number} does not rise above {previous}")]
    NumberNotRising {
        /// This CRL's.
        number: CrlNumber,
        /// The one published before.
        previous: CrlNumber,
    },
    /// The issuing distribution point is missing, superfluous, not critical or another's.
    #[error("the issuing distribution point is not the one of this scope")]
    IssuingDistributionPoint,
    /// An extension that does not belong there, or one twice.
    #[error("an extension that does not belong in this CRL")]
    Extension,
    /// An entry extension that does not belong there, one twice, a critical one, or none.
    #[error("the entry of {0} carries an extension it must not")]
    EntryExtension(SerialNumber),
    /// A reason that must not be written.
    #[error("the entry of {0} carries a reason that must not be written")]
    Reason(SerialNumber),
    /// Revoked after the CRL was issued.
    #[error("the entry of {0} is later than thisUpdate")]
    DateAfterThisUpdate(SerialNumber),
    /// A serial twice.
    #[error("serial {0} is listed twice")]
    Duplicate(SerialNumber),
    /// Revoked by the records, and not listed.
    #[error("serial {0} is revoked and not listed")]
    Missing(SerialNumber),
    /// Listed, and not revoked by the records.
    #[error("serial {0} is listed and not revoked")]
    Extra(SerialNumber),
    /// Listed with another date, reason or invalidity date than recorded.
    #[error("serial {0} is listed otherwise than it is recorded")]
    Differs(SerialNumber),
    /// Smaller than the records can explain.
    #[error("{entries} entries after {previous}, of which {departed} rightly left: some are lost")]
    Shrunk {
        /// Entries now.
        entries: u64,
        /// Entries of the CRL before.
        previous: u64,
        /// How many have rightly left.
        departed: u64,
    },
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
        check_succession(number, entries, previous, expected.departed)?;
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
    let algorithm = signing_algorithm(&issuer.spki)?;
    let identifier = Writer::to_der(|w| algorithm.write(w));
    if list.signature != identifier || list.signature_algorithm != identifier {
        return Err(GateError::Algorithm);
    }
    let verification: &'static dyn VerificationAlgorithm = match algorithm {
        SignatureAlgorithm::RsaSha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        SignatureAlgorithm::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
    };
    UnparsedPublicKey::new(verification, &issuer.public_key)
        .verify(list.tbs_cert_list, list.signature_value)
        .map_err(|_| GateError::Signature)
}

/// What a key of this SubjectPublicKeyInfo signs with.
fn signing_algorithm(spki: &[u8]) -> Result<SignatureAlgorithm, GateError> {
    let mut reader = Reader::new(spki);
    reader.sequence(|r| {
        let algorithm = r.sequence(|r| {
            let algorithm = r.oid()?;
            let parameters = r.element()?;
            if algorithm == oid::RSA_ENCRYPTION.content() {
                Ok(SignatureAlgorithm::RsaSha256)
            } else if algorithm == oid::EC_PUBLIC_KEY.content()
                && parameters.content == oid::SECP256R1.content()
            {
                Ok(SignatureAlgorithm::EcdsaP256Sha256)
            } else {
                Err(GateError::Algorithm)
            }
        })?;
        r.bit_string()?;
        Ok(algorithm)
    })
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
        None => Ok(count(listed.places.len())),
    }
}

/// The entries of a list in the order of their serials: 16 octets an entry, which may be
/// sorted without touching the list, whose entries may fill a gigabyte.
struct Listed<'a> {
    der: &'a [u8],
    places: Vec<Place>,
}

/// Where an entry begins, and the beginning of its serial.
#[derive(Clone, Copy)]
struct Place {
    /// Number of significant octets of the serial, then the first seven of them: as far as
    /// they reach, they order as the serial does.
    head: u64,
    offset: u32,
}

impl<'a> Listed<'a> {
    fn read(list: &CertificateList<'a>) -> Result<Self, GateError> {
        let der = list.revoked_certificates;
        let mut places = Vec::new();
        let mut reader = Reader::new(der);
        let mut offset = 0;
        while !reader.is_empty() {
            let len = reader.clone().element()?.whole.len();
            let (serial, revocation) = entry::read(&mut reader)?;
            if revocation.revoked_at > list.this_update {
                return Err(GateError::DateAfterThisUpdate(serial));
            }
            let offset_word = u32::try_from(offset).map_err(|_| DerError::LengthForm)?;
            places.push(Place { head: head(&serial), offset: offset_word });
            offset += len;
        }
        let mut listed = Self { der, places };
        listed.sort()?;
        Ok(listed)
    }

    /// Sorts; refuses a serial that stands twice.
    fn sort(&mut self) -> Result<(), GateError> {
        let Self { der, places } = self;
        let order = |left: &Place, right: &Place| {
            left.head.cmp(&right.head).then_with(|| serial_at(der, *left).cmp(&serial_at(der, *right)))
        };
        places.sort_unstable_by(order);
        let mut pairs = places.iter().zip(places.iter().skip(1));
        match pairs.find(|(left, right)| order(left, right).is_eq()) {
            Some((_, twice)) => Err(GateError::Duplicate(entry::read(&mut reader_at(der, *twice))?.0)),
            None => Ok(()),
        }
    }

    fn iter(&self) -> impl Iterator<Item = Result<(SerialNumber, Revocation), GateError>> {
        self.places.iter().map(|place| entry::read(&mut reader_at(self.der, *place)))
    }
}

fn head(serial: &SerialNumber) -> u64 {
    let magnitude = serial.magnitude();
    let start = magnitude.iter().copied().chain(std::iter::repeat(0)).take(HEAD_OCTETS);
    let len = u64::try_from(magnitude.len()).unwrap_or(u64::MAX);
    start.fold(len, |head, octet| head << 8 | u64::from(octet))
}

const HEAD_OCTETS: usize = 7;

fn reader_at(der: &[u8], place: Place) -> Reader<'_> {
    Reader::new(usize::try_from(place.offset).ok().and_then(|at| der.get(at..)).unwrap_or_default())
}

/// The serial of an entry that was read before.
fn serial_at(der: &[u8], place: Place) -> Option<SerialNumber> {
    entry::read(&mut reader_at(der, place)).ok().map(|(serial, _)| serial)
}

/// The number rises, and the size falls no further than explained.
fn check_succession(
    number: CrlNumber,
    entries: u64,
    previous: Previous,
    departed: u64,
) -> Result<(), GateError> {
    if number <= previous.number {
        return Err(GateError::NumberNotRising { number, previous: previous.number });
    }
    if entries.saturating_add(departed) < previous.entries {
        return Err(GateError::Shrunk { entries, previous: previous.entries, departed });
    }
    Ok(())
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
