//! The revocation of an OCSP signer.
//!
//! In this order, so that no question fails and nothing of it is given after the acknowledgement:
//!
//! 1. another signer is certified, unless one stands by;
//! 2. it takes over: kept signatures of the old one are not given any more, and whoever waits for one is
//!    answered by the new one;
//! 3. the revocation is recorded, and durable;
//! 4. the old key is withdrawn, and everybody who had looked up the old signer has given his answer;
//! 5. the revocation is acknowledged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::archived::Archived;
use super::authorities::{archived_certificate, sha256};
use super::signer_record::subject_of;
use super::signers::name;
use super::{Office, OfficeError};
use crate::config::SignerKey;
use crate::der::UnixTime;
use crate::lifecycle::{self, Revoke};
use crate::ocsp::Replaced;
use crate::pki::{
    AuthorityId, CertStatus, CertificateKind, Generation, PublicKey, SerialNumber, SignatureAlgorithm,
};
use crate::record::{ArchivePlace, CertificateRef, Event, Issued, Origin, Position, Record, Refusal};
use crate::store::{Decide, Outcome};

/// Longest wait for those who had looked up the old signer: they need microseconds.
const LEAVE_MAX: Duration = Duration::from_secs(10);

/// A signer named by its key generation alone is not revoked so soon after the one before it: the
/// command would have been meant for that one, and was repeated.
const REPEATED: Duration = Duration::from_secs(10 * 60);

/// How a signer is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignerNamed {
    /// By its certificate.
    Serial {
        /// Name of the authority that issued it.
        authority: String,
        /// Its serial.
        serial: SerialNumber,
    },
    /// By what it is there for: the one that is in use.
    Generation {
        /// Name of the authority it answers for.
        authority: String,
        /// Of which key.
        generation: u8,
        /// The kind of its own key; may be left out where there is one.
        key: Option<SignerKey>,
    },
}

/// A revocation asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerRevocation {
    /// Which signer.
    pub which: SignerNamed,
    /// On which ground.
    pub revoke: Revoke,
    /// Also when nobody can sign in its place.
    pub without_successor: bool,
}

/// What it came to: durable, and neither a new nor a kept signature of that signer is given any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerRevoked {
    /// Its authority's name.
    pub authority: String,
    /// Its certificate.
    pub certificate: CertificateRef,
    /// The kind of its key, as the settings name it.
    pub key: &'static str,
    /// The file it was given by; it is to be taken away.
    pub file: Option<String>,
    /// Its status.
    pub status: CertStatus,
    /// The entry that says so.
    pub position: Position,
    /// When that entry was recorded.
    pub recorded_at: UnixTime,
    /// False when it was so already.
    pub changed: bool,
    /// True when the request had been carried out before.
    pub repeated: bool,
    /// Who signs in its place; none when nobody does.
    pub successor: Option<Successor>,
}

/// Who signs in another one's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// Serial of its certificate.
    pub serial: SerialNumber,
    /// End of its validity.
    pub not_after: UnixTime,
}

/// The signer that is meant.
struct Target {
    certificate: CertificateRef,
    der: Vec<u8>,
    key_id: [u8; 20],
    algorithm: SignatureAlgorithm,
    /// As it is on record; or as it will be, for one that was issued elsewhere.
    record: Record,
    is_on_record: bool,
    file: Option<String>,
}

impl Office {
    /// Revokes a signer, once another has taken over. When this returns the revocation is on disk, and
    /// neither a new nor a kept signature of it is given from now on.
    ///
    /// # Errors
    /// There is no such signer, a rule stands against it, nobody could take over, or the store is not
    /// taking changes.
    pub fn revoke_signer(
        &self,
        asked: &SignerRevocation,
        origin: Origin,
    ) -> Result<SignerRevoked, OfficeError> {
        let keeping = self.keeping.lock();
        let target = self.signer_named(&asked.which)?;
        // What the decision would refuse is refused before anything changes hands.
        match lifecycle::revoke_issuer(&target.record, asked.revoke, self.clock.now()) {
            Ok(_) | Err(Refusal::NotBefore(_)) => {}
            Err(refusal) => return Err(refusal.into()),
        }
        let replaced = self.hand_over_from(&target, asked.without_successor)?;
        let outcome = self.record_signer_revoked(&target, asked.revoke, origin)?;
        self.silence(&target, &replaced);
        let done = self.signer_revoked(&target, &outcome)?;
        drop(keeping);
        let SignerRevoked { authority, key, .. } = &done;
        let serial = target.certificate.serial;
        tracing::warn!(authority, %serial, key, changed = done.changed, "an OCSP signer was revoked");
        Ok(done)
    }

    fn signer_named(&self, which: &SignerNamed) -> Result<Target, OfficeError> {
        match which {
            SignerNamed::Serial { authority, serial } => {
                self.signer_of_serial(self.authority(authority)?, serial)
            }
            SignerNamed::Generation { authority, generation, key } => {
                let id = self.authority(authority)?;
                let target = self.signer_of_serial(id, &self.serial_in_use(id, *generation, *key)?)?;
                self.refuse_repeated(&target)?;
                Ok(target)
            }
        }
    }

    /// The only signer in use for a generation, of a kind if one is told.
    fn serial_in_use(
        &self,
        authority: AuthorityId,
        generation: u8,
        key: Option<SignerKey>,
    ) -> Result<SerialNumber, OfficeError> {
        let in_use = self.signers.in_use.load();
        let ours = in_use
            .iter()
            .filter(|one| one.issuer.authority == authority && one.issuer.generation.number() == generation);
        let fitting = ours
            .flat_map(|one| &one.signers)
            .filter(|signer| key.is_none_or(|key| key.name() == name(signer.key.algorithm())));
        let found: Vec<(SerialNumber, &str)> = fitting
            .map(|signer| Ok((subject_of(&signer.certificate)?.serial, name(signer.key.algorithm()))))
            .collect::<Result<_, OfficeError>>()?;
        let of = format!("{}, generation {generation}", self.authority_name(authority));
        match &*found {
            [(serial, _)] => Ok(*serial),
            [] => Err(OfficeError::NoSigner(format!("no such OCSP signer of {of} is in use"))),
            several => {
                let all: Vec<_> = several.iter().map(|(serial, key)| format!("{serial} ({key})")).collect();
                let all = all.join(", ");
                Err(OfficeError::WhichSigner(format!(
                    "{of}, has several OCSP signers in use: name one by --kind or --serial: {all}"
                )))
            }
        }
    }

    /// Refuses the successor of a signer that was revoked just now.
    fn refuse_repeated(&self, target: &Target) -> Result<(), OfficeError> {
        let now = self.clock.now();
        for record in &self.store.facts().issuers {
            let CertStatus::Revoked(was) = record.status() else { continue };
            let certificate = record.issued.certificate;
            if record.issued.kind != CertificateKind::OcspSigner
                || (certificate.authority, certificate.generation)
                    != (target.certificate.authority, target.certificate.generation)
                || now.since(record.changed_at()) > REPEATED
            {
                continue;
            }
            let before = subject_of(&archived_certificate(&self.store, &record.issued)?)?;
            if algorithm_of(&before.spki)? == target.algorithm {
                return Err(OfficeError::WhichSigner(format!(
                    "{} was revoked at {} already; to revoke its successor too, name it by --serial {}",
                    certificate.serial, was.revoked_at, target.certificate.serial
                )));
            }
        }
        Ok(())
    }

    fn signer_of_serial(&self, authority: AuthorityId, serial: &SerialNumber) -> Result<Target, OfficeError> {
        let of = self.authority_name(authority);
        let given = self.given_of_serial(authority, serial);
        let file = given.as_ref().map(|(file, ..)| file.clone());
        if let Some(record) = self.issuer_record(authority, serial) {
            if record.issued.kind != CertificateKind::OcspSigner {
                let kind = record.issued.kind;
                return Err(OfficeError::NoSigner(format!("{serial} of {of} is a {kind} certificate")));
            }
            let der = archived_certificate(&self.store, &record.issued)?;
            return target(record, der, true, file);
        }
        if let Some((_, generation, der)) = given {
            let certificate = CertificateRef { authority, generation, serial: *serial };
            return target(self.to_be_recorded(certificate, &der)?, der, false, file);
        }
        if self.status.find(authority, serial).is_issued() {
            let what =
                format!("{serial} of {of} is a resident's certificate, and revoked by `sekisho revoke`");
            return Err(OfficeError::NoSigner(what));
        }
        self.confirm_absent(authority, serial)?;
        Err(Refusal::NotIssued { authority, serial: *serial }.into())
    }

    /// File, generation and certificate of a signer that was issued elsewhere.
    fn given_of_serial(
        &self,
        authority: AuthorityId,
        serial: &SerialNumber,
    ) -> Option<(String, Generation, Vec<u8>)> {
        let given = self.signers.given.load();
        let one = given.iter().find(|one| one.authority == authority && one.held.serial == *serial)?;
        Some((one.shown.file.clone(), one.shown.generation, one.held.signer.certificate.clone()))
    }

    /// The record of one that was issued elsewhere, as it is going to be.
    fn to_be_recorded(&self, certificate: CertificateRef, der: &[u8]) -> Result<Record, OfficeError> {
        let subject = subject_of(der)?;
        let issued = Issued {
            certificate,
            kind: CertificateKind::OcspSigner,
            partition: None,
            not_before: subject.not_before,
            not_after: subject.not_after,
            archive: ArchivePlace(0),
            sha256: sha256(der),
            holder: None,
            card: None,
            twin: None,
        };
        let (position, recorded_at) = (self.store.head().0.next(), self.clock.now());
        Ok(Record { position, recorded_at, issued, changes: Vec::new() })
    }

    /// Has somebody else sign in the place of `target` from now on.
    fn hand_over_from(&self, target: &Target, without_successor: bool) -> Result<Replaced, OfficeError> {
        let now = self.clock.now();
        let is_new = self.signers.seen().retired.insert(target.key_id);
        let mut plan = self.plan_signers(now);
        let CertificateRef { authority, generation, serial } = target.certificate;
        let is_served = self
            .all_live_generations()
            .iter()
            .any(|live| (live.issuer.authority, live.issuer.generation) == (authority, generation))
            && self.config.ocsp.signers.iter().any(|key| key.name() == name(target.algorithm));
        let has_successor = plan.identities.iter().any(|one| {
            (one.issuer.authority, one.issuer.generation) == (authority, generation)
                && one.signers.iter().any(|signer| signer.key.algorithm() == target.algorithm)
        });
        if is_served && !has_successor && !without_successor {
            if is_new {
                self.signers.seen().retired.remove(&target.key_id);
            }
            let which = format!("{serial} of {}", self.authority_name(authority));
            let why = plan.failed.take().map_or("none can be made".to_owned(), |error| error.to_string());
            return Err(OfficeError::NoSuccessor { which, why });
        }
        Ok(self.carry_out(plan, now))
    }

    fn record_signer_revoked(
        &self,
        target: &Target,
        revoke: Revoke,
        origin: Origin,
    ) -> Result<Outcome, OfficeError> {
        let mut issued = target.record.issued.clone();
        if !target.is_on_record {
            let archived = Archived { certificate: target.der.clone(), holder: None };
            issued.archive = self.store.archive_append_wait(archived.to_der())?;
        }
        self.when_due(|| self.submit_commented(origin.clone(), decision(issued.clone(), revoke)))
    }

    /// Lets nobody sign with the key of `target` any more, and waits until nobody does.
    fn silence(&self, target: &Target, replaced: &Replaced) {
        let seen = self.signers.seen();
        let made = seen.made.values().flatten().map(|held| Arc::clone(&held.signer));
        let given = self.signers.given.load();
        let given = given.iter().map(|given| Arc::clone(&given.held.signer));
        let theirs: Vec<_> =
            made.chain(given).filter(|signer| signer.key.key_id() == target.key_id).collect();
        drop(seen);
        for signer in theirs {
            signer.key.withdraw();
        }
        let began = Instant::now();
        while !replaced.is_idle() {
            if began.elapsed() > LEAVE_MAX {
                tracing::error!("somebody still answers by signers that were replaced");
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn signer_revoked(&self, target: &Target, outcome: &Outcome) -> Result<SignerRevoked, OfficeError> {
        let CertificateRef { authority, generation, serial } = target.certificate;
        let record = self.issuer_record(authority, &serial);
        let record = record.ok_or(Refusal::NotIssued { authority, serial })?;
        let change = record.changes.last();
        Ok(SignerRevoked {
            authority: self.authority_name(authority),
            certificate: target.certificate,
            key: name(target.algorithm),
            file: target.file.clone(),
            status: record.status(),
            position: change.map_or(record.position, |change| change.position),
            recorded_at: record.changed_at(),
            changed: !outcome.repeated && !outcome.entries.is_empty() && is_change(outcome),
            repeated: outcome.repeated,
            successor: self.successor(authority, generation, target.algorithm)?,
        })
    }

    fn successor(
        &self,
        authority: AuthorityId,
        generation: Generation,
        algorithm: SignatureAlgorithm,
    ) -> Result<Option<Successor>, OfficeError> {
        let in_use = self.signers.in_use.load();
        let ours = in_use
            .iter()
            .filter(|one| (one.issuer.authority, one.issuer.generation) == (authority, generation));
        let one = ours.flat_map(|one| &one.signers).find(|one| one.key.algorithm() == algorithm);
        let Some(one) = one else { return Ok(None) };
        let serial = subject_of(&one.certificate)?.serial;
        Ok(Some(Successor { serial, not_after: one.not_after }))
    }
}

/// Revokes the signer of this certificate; one that was issued elsewhere goes on record with it. Its serial is
/// none of the counter's: such a one is not taken.
fn decision(issued: Issued, revoke: Revoke) -> Decide {
    Box::new(move |records, now| {
        let CertificateRef { authority, serial, .. } = issued.certificate;
        match records.find(authority, &serial)? {
            Some(record) if record.issued.sha256 == issued.sha256 => {
                Ok(Vec::from_iter(lifecycle::revoke_issuer(&record, revoke, now)?))
            }
            Some(record) => Err(Refusal::IssuedBefore(record.issued.certificate)),
            None => {
                let position = records.next_position();
                let record =
                    Record { position, recorded_at: now, issued: issued.clone(), changes: Vec::new() };
                let revoked = lifecycle::revoke_issuer(&record, revoke, now)?;
                Ok(std::iter::once(Event::Issued(issued.clone())).chain(revoked).collect())
            }
        }
    })
}

fn is_change(outcome: &Outcome) -> bool {
    outcome.entries.iter().any(|numbered| matches!(numbered.entry.event, Event::Revoked(_)))
}

fn target(
    record: Record,
    der: Vec<u8>,
    is_on_record: bool,
    file: Option<String>,
) -> Result<Target, OfficeError> {
    let subject = subject_of(&der)?;
    let (certificate, key_id) = (record.issued.certificate, subject.key_id);
    let algorithm = algorithm_of(&subject.spki)?;
    Ok(Target { certificate, der, key_id, algorithm, record, is_on_record, file })
}

pub(super) fn algorithm_of(spki: &[u8]) -> Result<SignatureAlgorithm, OfficeError> {
    let key = PublicKey::from_spki(spki).map_err(|error| OfficeError::Damaged(error.to_string()))?;
    Ok(key.algorithm())
}
