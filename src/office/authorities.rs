//! Authorities and their keys: opening one, rolling its key, loading what may still sign.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError};

use zeroize::Zeroizing;

use super::archived::Archived;
use super::compromise::refuse_compromised;
use super::data::{DataDir, DataError};
use super::{Office, OfficeError};
use crate::der::UnixTime;
use crate::issue::{self, CaCertificate, SubjectKey, Validity};
use crate::pki::{AuthorityId, CertStatus, CertificateKind, Generation, HashAlgorithm, Issuer, Revocation};
use crate::profile::{Authority, KeyType, Profile};
use crate::record::{CertificateRef, Event, Issued, Origin, Refusal};
use crate::signer::{Key, SimDevice};
use crate::store::{Facts, Records, Store};

/// A key of an authority that may still sign.
#[derive(Debug)]
pub struct LiveGeneration {
    /// The authority's name.
    pub authority: String,
    /// As its CA certificate states it.
    pub issuer: Arc<Issuer>,
    /// The private key, or why there is none to sign with. What needs no signature of it goes on.
    pub key: Result<Arc<Key>, KeyFault>,
}

/// Why a key of an authority cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Its file is not there.
    #[error("is missing: restore {0} and start again")]
    Missing(String),
    /// Its file is not a key.
    #[error("cannot be read: {1}; restore {0} and start again")]
    Unreadable(String, String),
    /// It made its last CRLs, and is not looked for.
    #[error("is retired: it signs nothing more")]
    Retired,
    /// Its file is another key.
    #[error("is another one: {0} is not the key of its CA certificate: restore it and start again")]
    Other(String),
}

impl LiveGeneration {
    /// The private key.
    ///
    /// # Errors
    /// [`OfficeError::KeyUnusable`].
    pub(super) fn key(&self) -> Result<&Arc<Key>, OfficeError> {
        self.key.as_ref().map_err(|fault| OfficeError::KeyUnusable {
            authority: self.authority.clone(),
            generation: self.issuer.generation.number(),
            fault: fault.clone(),
        })
    }

    /// True when it made its last CRLs.
    pub(super) fn is_retired(&self) -> bool {
        matches!(self.key, Err(KeyFault::Retired))
    }

    /// The same without the private key, which made its last CRLs.
    fn retired(&self) -> Self {
        let (authority, issuer) = (self.authority.clone(), Arc::clone(&self.issuer));
        Self { authority, issuer, key: Err(KeyFault::Retired) }
    }
}

/// Why a key of an authority issues no certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// Its CA certificate is revoked.
    Revoked(Revocation),
    /// Its CA certificate has expired.
    Expired(UnixTime),
    /// It has no OCSP signer: nobody could ask about what it issued.
    Unanswered,
    /// Its private key cannot be used here.
    Unusable,
    /// It issues from then on.
    Waits(UnixTime),
    /// It made its last CRLs.
    Retired,
}

/// An authority none of whose keys issues, and why for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoIssuingKey {
    authority: String,
    keys: BTreeMap<Generation, Idle>,
}

/// The keys that may still sign, oldest first.
pub(super) type LiveGenerations = BTreeMap<AuthorityId, Vec<Arc<LiveGeneration>>>;

impl Office {
    /// Gives an authority its next key, which issues from that time on, or at once. The keys before it go on
    /// signing CRLs and OCSP signers until their CA certificates expire.
    pub(super) fn next_generation(
        &self,
        authority: AuthorityId,
        issue_from: Option<UnixTime>,
        origin: Origin,
    ) -> Result<Generation, OfficeError> {
        self.believed_clock()?;
        let keeping = self.keeping.lock();
        let facts = self.store.facts();
        let generation = next_number(&facts, authority)
            .ok_or_else(|| OfficeError::GenerationsSpent(self.authority_name(authority)))?;
        let known = self.profile.authority(authority);
        let known = known.ok_or_else(|| self.no_authority(&self.authority_name(authority)))?;
        let now = self.clock.now();
        let which = (generation, issue_from);
        open_generation(&self.data, &self.store, &self.profile, known, which, now, origin)?;
        self.load_authorities(now)?;
        drop(keeping);
        // The key is on record: what fails now is told where it fails, and tried again every minute.
        if let Err(error) = self.renew_signers() {
            tracing::error!(%error, "an OCSP signer could not be renewed after a roll-over");
        }
        // Behind the signers: nothing issues before they are there, and a set may be under way.
        self.serve_ca_certificates();
        Ok(generation)
    }

    /// A new CA certificate is there to download whether or not a CRL set comes out by its key: verifiers are
    /// to have it before they meet what that key signs. So is its signature under the notice of a compromise.
    fn serve_ca_certificates(&self) {
        // No set is announced meanwhile: what was read before it would hide it.
        let publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.serve_files() {
            tracing::error!(%error, "a new CA certificate is not there to download before the next CRL set");
        }
        drop(publishing);
    }

    /// Takes up every key that may still sign at `now`. The caller holds `keeping`, save at the start: what is
    /// read here must not be put in the place of what came behind it.
    pub(super) fn load_authorities(&self, now: UnixTime) -> Result<(), OfficeError> {
        let live = load(&self.data, &self.store, &self.profile, now, self.device.as_ref())?;
        self.generations.store(Arc::new(live));
        Ok(())
    }

    /// The keys of an authority whose CA certificates are valid, oldest first.
    pub(super) fn live_generations(&self, authority: AuthorityId) -> Vec<Arc<LiveGeneration>> {
        let (now, facts) = (self.clock.now(), self.store.facts());
        let generations = self.generations.load();
        let all = generations.get(&authority).into_iter().flatten();
        let valid = all.filter(|live| live.issuer.not_after > now);
        // Which of them sign nothing more, the journal says, whatever is in memory.
        let as_said = |live: &Arc<LiveGeneration>| {
            let is_over = made_its_last(&facts, authority, live.issuer.generation);
            if is_over { Arc::new(live.retired()) } else { Arc::clone(live) }
        };
        valid.map(as_said).collect()
    }

    /// Takes the private key of one that is retired out of memory. It cannot fail: nothing is read.
    pub(super) fn forget_key(&self, authority: AuthorityId, generation: Generation) {
        self.generations.rcu(|generations| {
            let mut left = LiveGenerations::clone(generations);
            let own = left.get_mut(&authority).into_iter().flatten();
            for live in own.filter(|live| live.issuer.generation == generation) {
                *live = Arc::new(live.retired());
            }
            left
        });
    }

    /// What a key of an authority is known by, also when it may no longer sign.
    pub(super) fn issuer_of(
        &self,
        authority: AuthorityId,
        generation: u8,
    ) -> Result<Option<Arc<Issuer>>, OfficeError> {
        let generations = self.generations.load();
        let mut live = generations.get(&authority).into_iter().flatten();
        if let Some(live) = live.find(|live| live.issuer.generation.number() == generation) {
            return Ok(Some(Arc::clone(&live.issuer)));
        }
        let facts = self.store.facts();
        let mut issued = facts.issuers.iter().map(|record| &record.issued);
        let found = issued.find(|issued| {
            issued.is_ca_certificate_of(authority) && issued.certificate.generation.number() == generation
        });
        let Some(issued) = found else { return Ok(None) };
        let certificate = archived_certificate(&self.store, issued)?;
        Ok(Some(Arc::new(issuer(authority, issued.certificate.generation, &certificate)?)))
    }

    /// Those of all authorities.
    pub(super) fn all_live_generations(&self) -> Vec<Arc<LiveGeneration>> {
        self.profile.authorities.iter().flat_map(|authority| self.live_generations(authority.id)).collect()
    }

    /// Those of an authority that are here.
    pub(super) fn keys_here(&self, authority: AuthorityId) -> Result<Vec<Arc<LiveGeneration>>, OfficeError> {
        let live = self.live_generations(authority);
        let here: Vec<_> = live.iter().filter(|live| live.key.is_ok()).cloned().collect();
        match live.last() {
            Some(last) if here.is_empty() => last.key().map(|_| here),
            _ => Ok(here),
        }
    }

    /// Keys that cannot be used, a line each.
    pub(super) fn key_faults(&self) -> Vec<String> {
        let live = self.all_live_generations();
        // One that is retired is missed by nobody.
        let missed = live.iter().filter(|live| !live.is_retired());
        let faults = missed.filter_map(|live| live.key().err());
        faults.map(|error| format!("{error}; what does not need it goes on")).collect()
    }

    /// The key that signs new certificates of an authority: the newest that is here, is not revoked, does
    /// not wait for its time, and that OCSP answers for.
    pub(super) fn signing_generation(
        &self,
        authority: AuthorityId,
    ) -> Result<Arc<LiveGeneration>, OfficeError> {
        let keys = self.idle_keys(authority);
        let is_idle = |live: &Arc<LiveGeneration>| keys.contains_key(&live.issuer.generation);
        let live = self.live_generations(authority);
        if let Some(newest) = live.iter().rfind(|live| !is_idle(live)) {
            return Ok(Arc::clone(newest));
        }
        if let Some(last) = live.last() {
            if self.store.facts().compromises.find(authority, last.issuer.generation).is_some() {
                return Err(Refusal::KeyCompromised(last.issuer.generation).into());
            }
            last.key()?;
        }
        Err(NoIssuingKey { authority: self.authority_name(authority), keys }.into())
    }

    fn idle_keys(&self, authority: AuthorityId) -> BTreeMap<Generation, Idle> {
        let (answering, facts, now) = (self.answering.load(), self.store.facts(), self.clock.now());
        let live = self.live_generations(authority);
        let is_unusable =
            |generation| live.iter().any(|live| live.issuer.generation == generation && live.key.is_err());
        let from = |generation| facts.issuing_from.get(&(authority, generation)).copied();
        let keys = facts.issuers.iter().filter(|record| record.issued.is_ca_certificate_of(authority));
        let idle = keys.filter_map(|record| {
            let generation = record.issued.certificate.generation;
            let why = match record.status() {
                CertStatus::Revoked(revocation) => Idle::Revoked(revocation),
                _ if facts.retirements.contains_key(&(authority, generation)) => Idle::Retired,
                _ if record.issued.not_after <= now => Idle::Expired(record.issued.not_after),
                _ if is_unusable(generation) => Idle::Unusable,
                _ if from(generation).is_some_and(|from| from > now) => {
                    Idle::Waits(from(generation).unwrap_or_default())
                }
                _ if !answering.contains(&(authority, generation)) => Idle::Unanswered,
                CertStatus::Good | CertStatus::Unknown => return None,
            };
            Some((generation, why))
        });
        idle.collect()
    }

    /// The authorities that issue nothing until they have another key.
    pub(super) fn authorities_without_issuing_key(&self) -> Vec<NoIssuingKey> {
        let authorities = self.profile.authorities.iter().map(|authority| authority.id);
        let none = authorities.filter_map(|authority| match self.signing_generation(authority) {
            Err(OfficeError::NoIssuingKey(none)) if !none.may_come_back() => Some(none),
            _ => None,
        });
        none.collect()
    }

    /// The status of the CA certificate under which another was issued, at a time; good for a CA
    /// certificate itself.
    pub(super) fn ca_status(&self, of: &Issued, at: UnixTime) -> CertStatus {
        let CertificateRef { authority, generation, serial } = of.certificate;
        let facts = self.store.facts();
        let ca = facts.issuers.iter().find(|record| {
            let ca = record.issued.certificate;
            record.issued.is_ca_certificate_of(authority)
                && ca.generation == generation
                && ca.serial != serial
        });
        ca.map_or(CertStatus::Good, |ca| ca.status_at_time(at))
    }
}

impl NoIssuingKey {
    /// True when one of its keys lacks only a signer, which is tried every minute.
    pub(super) fn may_come_back(&self) -> bool {
        self.keys.values().any(|why| *why == Idle::Unanswered)
    }
}

impl std::error::Error for NoIssuingKey {}

impl fmt::Display for NoIssuingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { authority, keys } = self;
        write!(f, "authority {authority} issues nothing: ")?;
        if keys.is_empty() {
            f.write_str("it has no key; ")?;
        }
        for (generation, why) in keys.iter().rev() {
            match why {
                Idle::Revoked(Revocation { revoked_at, reason, .. }) => write!(
                    f,
                    "the CA certificate of generation {generation} is revoked, {reason}, since {revoked_at}; "
                ),
                Idle::Expired(at) => {
                    write!(f, "the CA certificate of generation {generation} has expired at {at}; ")
                }
                Idle::Unanswered => write!(f, "generation {generation} has no OCSP signer; "),
                Idle::Unusable => write!(f, "the private key of generation {generation} cannot be used; "),
                Idle::Waits(from) => write!(f, "generation {generation} issues from {from} on; "),
                Idle::Retired => write!(f, "generation {generation} is retired; "),
            }?;
        }
        if self.may_come_back() {
            f.write_str("look at /readyz")
        } else {
            let waits = self.keys.values().any(|why| matches!(why, Idle::Waits(_)));
            if waits {
                write!(f, "let it issue now with `sekisho authority activate --authority {authority}`")
            } else {
                write!(
                    f,
                    "give it its next key with `sekisho authority rollover --authority {authority} --now`"
                )
            }
        }
    }
}

/// The number of an authority's next key; none when all are spent.
fn next_number(facts: &Facts, authority: AuthorityId) -> Option<Generation> {
    let issued = facts.issuers.iter().map(|record| &record.issued);
    let ours = issued.filter(|issued| issued.is_ca_certificate_of(authority));
    let last = ours.map(|issued| issued.certificate.generation).max();
    last.map_or(Some(Generation::FIRST), Generation::next)
}

/// Opens an authority that the journal does not know yet.
pub(super) fn open_authority(store: &Store, authority: &Authority) -> Result<(), OfficeError> {
    if store.facts().authorities.contains_key(&authority.id) {
        return Ok(());
    }
    let event = Event::AuthorityOpened { authority: authority.id, name: authority.name.clone() };
    store.submit_wait(Origin::service(), Box::new(move |_, _| Ok(vec![event.clone()])))?;
    Ok(())
}

/// Makes a key and its self-signed certificate: the key file first, then the archive, then the
/// entry, so that an entry never stands without what it names.
pub(super) fn open_generation(
    data: &DataDir,
    store: &Store,
    profile: &Profile,
    authority: &Authority,
    (generation, issue_from): (Generation, Option<UnixTime>),
    now: UnixTime,
    origin: Origin,
) -> Result<(), OfficeError> {
    let authority_id = authority.id;
    let pkcs8 = issue::generate_key(KeyType::Rsa2048)?;
    let key = read_key(&pkcs8, "new key")?;
    let serial = store.next_serial(authority.id)?;
    let subject_key = SubjectKey::from_spki(key.spki())?;
    let tbs = CaCertificate {
        profile,
        authority: authority.id,
        serial,
        algorithm: key.algorithm(),
        validity: Validity::of_ca(now, profile.ca_years)?,
        key: &subject_key,
    }
    .tbs()?;
    let signature = key.sign(&tbs)?;
    let certificate = issue::assemble(&tbs, key.algorithm(), &signature);
    data.write_key(&key.key_id(), &pkcs8)?;
    let issuer = issuer(authority.id, generation, &certificate)?;
    let issued = Issued {
        certificate: CertificateRef { authority: authority.id, generation, serial },
        kind: CertificateKind::Ca,
        partition: None,
        not_before: issuer.not_before,
        not_after: issuer.not_after,
        archive: store
            .archive_append_wait(Archived { certificate: certificate.clone(), holder: None }.to_der())?,
        sha256: sha256(&certificate),
        holder: None,
        card: None,
        twin: None,
    };
    let decide: crate::store::Decide = Box::new(move |records, _| {
        refuse_issued_before(records, std::slice::from_ref(&issued))?;
        let waits = issue_from.map(|from| Event::IssuingFrom { authority: authority_id, generation, from });
        Ok(std::iter::once(Event::Issued(issued.clone())).chain(waits).collect())
    });
    store.submit_wait(origin, decide)?;
    Ok(())
}

/// Journals certificates that stand in the archive.
pub(super) fn record_issued(
    store: &Store,
    all: Vec<Issued>,
    origin: Origin,
) -> Result<crate::store::Outcome, OfficeError> {
    let decide: crate::store::Decide = Box::new(move |records, _| {
        refuse_issued_before(records, &all)?;
        Ok(all.iter().cloned().map(Event::Issued).collect())
    });
    Ok(store.submit_wait(origin, decide)?)
}

/// A serial is issued once.
pub(super) fn refuse_issued_before(records: &Records<'_>, all: &[Issued]) -> Result<(), Refusal> {
    for issued in all {
        let certificate = issued.certificate;
        refuse_compromised(records.facts(), &certificate, issued.kind)?;
        if records.find(certificate.authority, &certificate.serial)?.is_some() {
            return Err(Refusal::IssuedBefore(certificate));
        }
    }
    Ok(())
}

/// Loads every generation whose CA certificate has not expired; writes its PEM for people.
pub(super) fn load(
    data: &DataDir,
    store: &Store,
    profile: &Profile,
    now: UnixTime,
    device: Option<&SimDevice>,
) -> Result<LiveGenerations, OfficeError> {
    let mut live = LiveGenerations::new();
    let facts = store.facts();
    for issued in
        facts.issuers.iter().map(|record| &record.issued).filter(|issued| issued.is_ca_certificate())
    {
        let CertificateRef { authority, generation, .. } = issued.certificate;
        if issued.not_after <= now {
            continue;
        }
        let name = profile.authority(authority).map_or_else(|| authority.0.to_string(), |a| a.name.clone());
        let certificate = archived_certificate(store, issued)?;
        let issuer = issuer(authority, generation, &certificate)?;
        check_organization(profile, authority, &issuer)?;
        // It may be destroyed. Where it is not, it is not even read: nothing can sign with it by mistake.
        let is_retired = made_its_last(&facts, authority, generation);
        let key = if is_retired { Err(KeyFault::Retired) } else { find_key(data, &issuer)? };
        let key = key.map(|key| Arc::new(key.inside(device.cloned())));
        if let Err(fault) = &key
            && !is_retired
        {
            tracing::error!(authority = name, %generation, "the private key {fault}; what does not need it goes on");
        }
        let pem = pem::encode(&pem::Pem::new("CERTIFICATE", certificate));
        data.write(&data.ca_certificate(&name, generation), pem.as_bytes())?;
        let issuer = Arc::new(issuer);
        live.entry(authority).or_default().push(Arc::new(LiveGeneration { authority: name, issuer, key }));
    }
    for generations in live.values_mut() {
        generations.sort_by_key(|live| live.issuer.generation);
    }
    Ok(live)
}

/// True when a key made its last CRLs: the journal says so.
fn made_its_last(facts: &Facts, authority: AuthorityId, generation: Generation) -> bool {
    facts.retirements.contains_key(&(authority, generation))
}

/// The key of a CA certificate, or why there is none to sign with.
fn find_key(data: &DataDir, issuer: &Issuer) -> Result<Result<Key, KeyFault>, OfficeError> {
    let path = data.key(&issuer.key_id).display().to_string();
    match data.read_key(&issuer.key_id) {
        Ok(pkcs8) => Ok(ca_key(pkcs8, issuer, path)),
        Err(DataError::Io { error, .. }) => Ok(Err(KeyFault::Unreadable(path, error.to_string()))),
        // Keys that others can read are no keys.
        Err(error) => Err(error.into()),
    }
}

/// The key of a CA certificate, from what its file holds.
fn ca_key(pkcs8: Option<Zeroizing<Vec<u8>>>, issuer: &Issuer, path: String) -> Result<Key, KeyFault> {
    let Some(pkcs8) = pkcs8 else { return Err(KeyFault::Missing(path)) };
    match Key::from_pkcs8(&pkcs8) {
        Ok(key) if key.spki() == issuer.spki => Ok(key),
        Ok(_) => Err(KeyFault::Other(path)),
        Err(error) => Err(KeyFault::Unreadable(path, error.to_string())),
    }
}

/// The certificate an entry names, checked against its hash.
pub(super) fn archived_certificate(store: &Store, issued: &Issued) -> Result<Vec<u8>, OfficeError> {
    let damaged = || {
        let serial = issued.certificate.serial;
        OfficeError::Damaged(format!("the archive does not hold certificate {serial}: restore store/archive"))
    };
    let archived = store.archive_read(issued.archive)?;
    let archived = Archived::from_der(&archived).map_err(|_| damaged())?;
    if sha256(&archived.certificate) == issued.sha256 { Ok(archived.certificate) } else { Err(damaged()) }
}

/// SHA-256 as entries hold it.
pub(super) fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(&HashAlgorithm::Sha256.digest(octets));
    hash
}

pub(super) fn read_key(pkcs8: &Zeroizing<Vec<u8>>, path: &str) -> Result<Key, OfficeError> {
    Key::from_pkcs8(pkcs8).map_err(|error| OfficeError::Key { path: path.to_owned(), error })
}

fn issuer(authority: AuthorityId, generation: Generation, certificate: &[u8]) -> Result<Issuer, OfficeError> {
    Issuer::from_certificate(authority, generation, certificate)
        .map_err(|error| OfficeError::Damaged(format!("a CA certificate in the archive: {error}")))
}

/// Names are fixed by the first start: another O would make another CRL issuer.
fn check_organization(profile: &Profile, authority: AuthorityId, issuer: &Issuer) -> Result<(), OfficeError> {
    match profile.authority(authority) {
        Some(known) if known.name() != issuer.name => Err(OfficeError::Organization {
            configured: profile.organization.clone(),
            issued: issuer.name.to_string(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::SerialNumber;
    use crate::record::{ArchivePlace, Position, Record};

    fn key(authority: u8, generation: u8) -> Record {
        let certificate = CertificateRef {
            authority: AuthorityId(authority),
            generation: Generation::new(generation).unwrap(),
            serial: SerialNumber::try_from(1).unwrap(),
        };
        let issued = Issued {
            certificate,
            kind: CertificateKind::Ca,
            partition: None,
            not_before: UnixTime::default(),
            not_after: UnixTime::default(),
            archive: ArchivePlace(0),
            sha256: [0; 32],
            holder: None,
            card: None,
            twin: None,
        };
        Record { position: Position(1), recorded_at: UnixTime::default(), issued, changes: Vec::new() }
    }

    #[test]
    fn an_authority_whose_numbers_are_spent_is_told_so() {
        let mut facts = Facts::default();
        let next = |facts: &Facts| next_number(facts, AuthorityId(1)).map(Generation::number);
        assert_eq!(next(&facts), Some(1));
        facts.issuers.extend([key(1, 1), key(2, 7), key(1, 62)]);
        assert_eq!(next(&facts), Some(63));
        facts.issuers.push(key(1, 63));
        assert_eq!(next(&facts), None);
        let told = OfficeError::GenerationsSpent("sign".to_owned()).to_string();
        assert!(!told.contains("expired"), "{told}");
    }
}
