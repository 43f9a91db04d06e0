//! The compromise of an authority's key: one entry revokes all that it signed, at once. The single
//! revocations are written behind it, however long that takes and however often it is cut short; until the
//! last is, no CRL set of the authority comes out.

use std::num::NonZeroUsize;
use std::sync::{Arc, PoisonError};

use super::{LiveGeneration, Office, OfficeError};
use crate::crl::CrlKind;
use crate::der::UnixTime;
use crate::pki::{AuthorityId, CertStatus, CertificateKind, Generation, SerialNumber};
use crate::record::{CertificateRef, Compromise, Event, Origin, Position, Refusal, StatusChange};
use crate::store::{Decide, Facts, Records};

/// Certificates whose revocation is written by one decision.
pub const TOGETHER: NonZeroUsize = match NonZeroUsize::new(10_000) {
    Some(together) => together,
    None => NonZeroUsize::MIN,
};

/// Records that are looked at before the others have their turn: some milliseconds.
const LOOKED_AT: usize = 4096;

/// What the compromise of a key came to. It is durable, and every answer knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compromised {
    /// The entry that says so.
    pub position: Position,
    /// When it was recorded: the revocationDate of all that the key signed.
    pub recorded_at: UnixTime,
    /// The invalidityDate of all of it.
    pub invalidity_date: Option<UnixTime>,
    /// False when it was said before, which stands.
    pub changed: bool,
    /// True when every certificate has an entry of its own.
    pub written: bool,
    /// Until when OCSP signers that are there answer; none when others follow them, because the key is
    /// here.
    pub answers_until: Option<UnixTime>,
    /// Until when the CRLs that are there are valid; none when others follow them.
    pub crls_until: Option<UnixTime>,
    /// Whether the public notice is out.
    pub notice: NoticeOut,
    /// Which key issues for the authority.
    pub next: NextKey,
}

/// Whether the public notice of a compromise is there to download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeOut {
    /// With its signature.
    Signed,
    /// Nothing signs it: readiness says why.
    Unsigned,
    /// Not yet; it follows by itself.
    Follows,
}

/// Which key of an authority issues once one of them is compromised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextKey {
    /// This one, now.
    Issues(Generation),
    /// None does yet; this one waits for its time.
    Waits(Generation),
    /// None does, and none waits.
    None,
}

impl Office {
    /// Says that a key of an authority is compromised: nothing is issued by it any more, its CA certificate
    /// and all that it signed for residents are revoked for ever. What came to be revoked before stays as
    /// it is. It cannot be taken back, and is said once: the first time counts.
    ///
    /// # Errors
    /// There is no such key, the date lies in the future, or the store does not take it.
    pub fn compromise(
        &self,
        authority: AuthorityId,
        generation: Generation,
        invalidity_date: Option<UnixTime>,
        origin: Origin,
    ) -> Result<Compromised, OfficeError> {
        if self.issuer_of(authority, generation.number())?.is_none() {
            return Err(OfficeError::NoSuchKey(self.authority_name(authority), generation.number()));
        }
        let decide: Decide = Box::new(move |records, now| {
            if records.facts().compromises.find(authority, generation).is_some() {
                return Ok(Vec::new());
            }
            match invalidity_date {
                Some(since) if since > now => Err(Refusal::InvalidityInFuture { since, now }),
                _ => Ok(vec![Event::GenerationCompromised { authority, generation, invalidity_date }]),
            }
        });
        // No CRL set is put in place meanwhile: none that does not know of it comes out behind it.
        let placing = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.submit_commented(origin, decide)?;
        drop(placing);
        let is_out = self.serve_notice();
        let facts = self.store.facts();
        let said = facts.compromises.find(authority, generation);
        let said = *said.ok_or_else(|| OfficeError::Damaged("the compromise is not on record".to_owned()))?;
        let changed = outcome.entries.iter().any(|one| one.position == said.position) && !outcome.repeated;
        let name = self.authority_name(authority);
        if changed {
            tracing::error!(
                authority = name,
                generation = generation.number(),
                position = %said.position,
                "the key is compromised: all that it signed is revoked"
            );
        }
        let notice = self.notice_made(authority, generation).filter(|_| is_out);
        let notice = notice.map_or(NoticeOut::Follows, |notice| match notice.signature {
            Some(_) => NoticeOut::Signed,
            None => NoticeOut::Unsigned,
        });
        Ok(self.compromised(authority, generation, said, (changed, notice)))
    }

    fn compromised(
        &self,
        authority: AuthorityId,
        generation: Generation,
        said: Compromise,
        (changed, notice): (bool, NoticeOut),
    ) -> Compromised {
        let live = self.live_generations(authority);
        let live = live.iter().find(|live| live.issuer.generation == generation);
        let lost = live.filter(|live| live.key.is_err());
        Compromised {
            position: said.position,
            recorded_at: said.recorded_at,
            invalidity_date: said.invalidity_date,
            changed,
            written: said.written.is_some(),
            answers_until: lost.and_then(|live| self.answers_until(live)),
            crls_until: lost.and_then(|_| self.crls_until(authority, generation)),
            notice,
            next: self.next_key(authority),
        }
    }

    fn next_key(&self, authority: AuthorityId) -> NextKey {
        match (self.signing_generation(authority), self.waiting_key(authority)) {
            (Ok(live), _) => NextKey::Issues(live.issuer.generation),
            (Err(_), Some((generation, _))) => NextKey::Waits(generation),
            (Err(_), None) => NextKey::None,
        }
    }

    /// nextUpdate of the CRLs of a key that are served; deltas end sooner, and nobody needs them.
    pub(super) fn crls_until(&self, authority: AuthorityId, generation: Generation) -> Option<UnixTime> {
        let name = self.authority_name(authority);
        let served = self.served_catalogue().ok().flatten()?;
        let own = served.crls.iter();
        let own = own.filter(|row| row.authority == name && row.generation == generation.number());
        let own = own.filter(|row| row.kind != CrlKind::Delta);
        own.filter_map(|row| row.next_update.parse().ok()).min()
    }

    /// Writes the single revocations of every key that is compromised, [`TOGETHER`] in one decision, and
    /// then that all are written; how many. What was cut short goes on where it stopped.
    ///
    /// # Errors
    /// The store does not take them.
    pub fn write_compromises(&self) -> Result<u64, OfficeError> {
        self.write_compromises_by(TOGETHER, &mut || true)
    }

    /// The same by so many in one decision, and before each asks `go_on`.
    ///
    /// # Errors
    /// As [`Self::write_compromises`].
    pub fn write_compromises_by(
        &self,
        together: NonZeroUsize,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<u64, OfficeError> {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let facts = self.store.facts();
        let mut written = 0;
        for (authority, generation, said) in facts.compromises.unwritten() {
            let mut one = Writing { office: self, authority, said: *said, generation, written: 0 };
            let whole = one.write(together, go_on)?;
            written += one.written;
            if !whole {
                break;
            }
            self.journal(Event::GenerationRevoked { authority, generation })?;
            tracing::warn!(
                authority = self.authority_name(authority),
                generation = generation.number(),
                revocations = one.written,
                "all that a compromised key signed is revoked one by one"
            );
        }
        drop(writing);
        Ok(written)
    }

    /// True while the single revocations of a compromise are being written.
    pub(super) fn is_revoking(&self, authority: AuthorityId) -> bool {
        self.store.facts().compromises.unwritten().any(|(of, ..)| of == authority)
    }

    /// Whether a set for these authorities, begun at `position`, may come out.
    ///
    /// # Errors
    /// [`OfficeError::Revoking`]: since then a key was compromised, or the single revocations are still
    /// being written.
    pub(super) fn check_revoked(
        &self,
        authorities: &[AuthorityId],
        position: Position,
    ) -> Result<(), OfficeError> {
        let facts = self.store.facts();
        let mut standing = facts.compromises.iter().filter(|(of, ..)| authorities.contains(of));
        let open = |said: &Compromise| said.written.is_none_or(|written| position < written);
        match standing.find(|(_, _, said)| open(said)) {
            Some((authority, generation, _)) => {
                Err(OfficeError::Revoking(self.authority_name(authority), generation.number()))
            }
            None => Ok(()),
        }
    }

    /// What somebody should know of keys that are compromised, a line each.
    pub(super) fn compromise_remarks(&self) -> Vec<String> {
        let facts = self.store.facts();
        let owed = "the public notice of a compromise is not out: a CRL set is being made, or the log says why; it is \
                    tried again every second";
        let owed = self.is_notice_owed().then(|| owed.to_owned());
        let remarks = facts.compromises.iter().filter_map(|(authority, generation, said)| {
            let key = format!("the key of {}, generation {generation},", self.authority_name(authority));
            let since = said.recorded_at;
            if said.written.is_none() {
                return Some(format!(
                    "{key} is compromised since {since}; the single revocations are being written, and no \
                     CRL set of the authority comes out until they are"
                ));
            }
            self.signing_generation(authority).is_err().then(|| {
                let authority = self.authority_name(authority);
                format!(
                    "{key} is compromised since {since}, and no other issues: make the next one with \
                     `sekisho authority rollover --authority {authority} --now`, or let one that waits issue with \
                     `sekisho authority activate --authority {authority}`"
                )
            })
        });
        remarks.chain(owed).collect()
    }
}

/// The single revocations of one compromise, being written.
struct Writing<'a> {
    office: &'a Office,
    authority: AuthorityId,
    generation: Generation,
    said: Compromise,
    written: u64,
}

impl Writing<'_> {
    /// Writes those that are missing; false when it was told to stop. The records are read a piece at a time
    /// and let go of before anything is submitted: whoever exchanges them waits for nobody.
    fn write(
        &mut self,
        together: NonZeroUsize,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<bool, OfficeError> {
        let (key, said) = ((self.authority, self.generation), self.said);
        let (mut after, mut part) = (None, Vec::new());
        loop {
            let reading = self.office.store.reading(said.position);
            let (missing, last) = reading.unwritten(key, &said, after.as_ref(), LOOKED_AT)?;
            part.extend(missing);
            while part.len() >= together.get() || (last.is_none() && !part.is_empty()) {
                if !go_on() {
                    return Ok(false);
                }
                let rest = part.split_off(part.len().min(together.get()));
                self.decide(std::mem::replace(&mut part, rest))?;
            }
            after = match last {
                None => return Ok(true),
                Some(_) if !go_on() => return Ok(false),
                last => last,
            };
        }
    }

    fn decide(&mut self, serials: Vec<SerialNumber>) -> Result<(), OfficeError> {
        let (authority, said) = (self.authority, self.said);
        let decide: Decide = Box::new(move |records, _| {
            let events = serials.iter().map(|serial| single(records, authority, serial, &said));
            events.filter_map(Result::transpose).collect()
        });
        let outcome = self.office.store.submit_wait(Origin::service(), decide)?;
        self.written += u64::try_from(outcome.entries.len()).unwrap_or(u64::MAX);
        Ok(())
    }
}

/// What the compromise made of one certificate, as an entry of its own.
fn single(
    records: &Records<'_>,
    authority: AuthorityId,
    serial: &SerialNumber,
    said: &Compromise,
) -> Result<Option<Event>, Refusal> {
    let record = records.find(authority, serial)?;
    let record = record.ok_or(Refusal::NotIssued { authority, serial: *serial })?;
    let Some((change, became)) = record.compromised_by(said) else { return Ok(None) };
    let CertStatus::Revoked(became) = became.status else { return Ok(None) };
    let (certificate, cause) = (record.issued.certificate, Some(said.position));
    Ok(Some(Event::Revoked(StatusChange { certificate, became, change, cause })))
}

/// Nothing but an OCSP signer is issued by a key that is compromised.
pub(super) fn refuse_compromised(
    facts: &Facts,
    certificate: &CertificateRef,
    kind: CertificateKind,
) -> Result<(), Refusal> {
    match facts.compromises.of(certificate) {
        Some(_) if kind != CertificateKind::OcspSigner => {
            Err(Refusal::KeyCompromised(certificate.generation))
        }
        _ => Ok(()),
    }
}

/// Of these keys, the newest that is here and not compromised: what signs for the authority as a whole.
pub(super) fn newest_sound(facts: &Facts, live: &[Arc<LiveGeneration>]) -> Option<Arc<LiveGeneration>> {
    let is_sound = |live: &&Arc<LiveGeneration>| {
        live.key.is_ok() && facts.compromises.find(live.issuer.authority, live.issuer.generation).is_none()
    };
    live.iter().rfind(is_sound).cloned()
}
