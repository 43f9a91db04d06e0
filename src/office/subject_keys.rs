//! The public keys that are to be certified: read, verified and looked up first, before a serial number
//! or a CRL partition is spent on them.

use std::collections::BTreeMap;

use super::{Office, OfficeError};
use crate::issue::{self, SubjectKey, TestKeys};
use crate::pki::{AuthorityId, CertStatus, CertificateKind, RevocationReason, SerialNumber};
use crate::record::{CertifiedKey, HolderId, KeyDigest, Record, Refusal};
use crate::store::Records;

/// Where subjects' public keys come from.
#[derive(Debug, Clone)]
pub enum SubjectKeySource {
    /// One key, for one kind.
    One(GivenKey),
    /// A key for each kind.
    ByKind(BTreeMap<CertificateKind, GivenKey>),
    /// Keys of the committed pool, another one for each serial.
    TestKey,
}

/// A public key as somebody hands it in.
#[derive(Debug, Clone)]
pub enum GivenKey {
    /// PKCS#10, PEM or DER; its signature is verified.
    Csr(Vec<u8>),
    /// SubjectPublicKeyInfo, PEM or DER.
    PublicKey(Vec<u8>),
}

/// Why keys and kinds do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubjectKeysError {
    /// One key for two certificates: whoever breaks or leaks one has both, and a signature made to log in
    /// could be taken for one under a contract.
    #[error(
        "one key cannot be certified for {first} and {second}: give each its own (--csr {first}=FILE --csr \
         {second}=FILE), or ask for one of them (--kind {second})"
    )]
    Shared {
        /// One kind.
        first: CertificateKind,
        /// The other.
        second: CertificateKind,
    },
    /// A kind without a key.
    #[error("no key is given for {0}: add --csr {0}=FILE, or ask for the other one alone (--kind)")]
    Missing(CertificateKind),
    /// A key without a use.
    #[error("a key is given for {0}, which is not asked for: leave it out, or add {0} to --kind")]
    NotAskedFor(CertificateKind),
}

/// The keys of an application, by kind.
#[derive(Debug, Clone)]
pub(super) enum SubjectKeys {
    Given(BTreeMap<CertificateKind, SubjectKey>),
    Test,
}

impl GivenKey {
    fn read(&self) -> Result<SubjectKey, OfficeError> {
        Ok(match self {
            Self::Csr(octets) => SubjectKey::from_csr(octets)?,
            Self::PublicKey(octets) => SubjectKey::from_spki(octets)?,
        })
    }
}

impl SubjectKeys {
    /// Reads the keys for `kinds`, which are one or two.
    pub(super) fn read(source: &SubjectKeySource, kinds: &[CertificateKind]) -> Result<Self, OfficeError> {
        let given = match (source, kinds) {
            (SubjectKeySource::TestKey, _) => return Ok(Self::Test),
            (SubjectKeySource::One(_), [first, second, ..]) => {
                return Err(SubjectKeysError::Shared { first: *first, second: *second }.into());
            }
            (SubjectKeySource::One(given), _) => kinds.iter().map(|kind| (*kind, given)).collect(),
            (SubjectKeySource::ByKind(given), _) => {
                given.iter().map(|(kind, given)| (*kind, given)).collect::<BTreeMap<_, _>>()
            }
        };
        if let Some(kind) = given.keys().find(|kind| !kinds.contains(kind)) {
            return Err(SubjectKeysError::NotAskedFor(*kind).into());
        }
        if let Some(kind) = kinds.iter().find(|kind| !given.contains_key(kind)) {
            return Err(SubjectKeysError::Missing(*kind).into());
        }
        let read = given.into_iter().map(|(kind, given)| Ok((kind, given.read()?)));
        let keys = read.collect::<Result<BTreeMap<_, _>, OfficeError>>()?;
        if let [(first, one), (second, other)] = *keys.iter().collect::<Vec<_>>()
            && one.spki() == other.spki()
        {
            return Err(SubjectKeysError::Shared { first: *first, second: *second }.into());
        }
        Ok(Self::Given(keys))
    }

    /// The key for the certificate of this kind and serial.
    pub(super) fn key(
        &self,
        kind: CertificateKind,
        serial: &SerialNumber,
    ) -> Result<SubjectKey, OfficeError> {
        match self {
            Self::Given(keys) => Ok(keys.get(&kind).cloned().ok_or(SubjectKeysError::Missing(kind))?),
            Self::Test => {
                let nth = serial.to_u64().and_then(|serial| usize::try_from(serial).ok()).unwrap_or(0);
                Ok(test_keys()?.nth(nth).public.clone())
            }
        }
    }

    /// What is to be recorded of the key for a certificate; nothing of a test key.
    pub(super) fn certified(
        &self,
        kind: CertificateKind,
        holder: HolderId,
        (authority, serial): (AuthorityId, SerialNumber),
    ) -> Option<CertifiedKey> {
        let Self::Given(keys) = self else { return None };
        let key = KeyDigest::of(keys.get(&kind)?.spki());
        Some(CertifiedKey { key, holder, kind, authority, serial })
    }
}

impl Office {
    /// Refuses keys that are somebody else's, or were certified for something else; looked at again when
    /// the certificates are recorded.
    pub(super) fn refuse_known_keys(&self, keys: &SubjectKeys, holder: HolderId) -> Result<(), OfficeError> {
        let SubjectKeys::Given(keys) = keys else { return Ok(()) };
        let generations = self.generations.load();
        for (kind, key) in keys {
            if generations.values().flatten().any(|live| live.issuer.spki == key.spki()) {
                return Err(Refusal::KeyOfAuthority.into());
            }
            let Some(known) = self.store.find_key(KeyDigest::of(key.spki()))? else { continue };
            let last = self.store.find(known.authority, &known.serial)?;
            refuse_known(&known, last.as_ref(), holder, *kind)?;
        }
        Ok(())
    }
}

/// The same inside a decision: two applications with one key may be under way at once.
pub(super) fn refuse_known_keys(records: &Records<'_>, keys: &[CertifiedKey]) -> Result<(), Refusal> {
    for one in keys {
        let Some(known) = records.find_key(one.key)? else { continue };
        let last = records.find(known.authority, &known.serial)?;
        refuse_known(&known, last.as_ref(), one.holder, one.kind)?;
    }
    Ok(())
}

/// A key is certified again for the same person and kind only, and not once it was compromised.
fn refuse_known(
    known: &CertifiedKey,
    last: Option<&Record>,
    holder: HolderId,
    kind: CertificateKind,
) -> Result<(), Refusal> {
    if known.holder != holder {
        return Err(Refusal::KeyOfAnother);
    }
    if known.kind != kind {
        return Err(Refusal::KeyOfOtherKind { was: known.kind, kind });
    }
    match last.map(Record::status) {
        Some(CertStatus::Revoked(it)) if it.reason == RevocationReason::KeyCompromise => {
            Err(Refusal::SubjectKeyCompromised)
        }
        _ => Ok(()),
    }
}

/// The pool, read once.
fn test_keys() -> Result<&'static TestKeys, OfficeError> {
    static POOL: std::sync::OnceLock<Result<TestKeys, issue::TestKeysError>> = std::sync::OnceLock::new();
    POOL.get_or_init(TestKeys::load).as_ref().map_err(|error| OfficeError::Damaged(error.to_string()))
}
