//! Revoke, hold, release: the one written rule of what may follow what.
//!
//! | from \ to | revoke with ground R | hold | release |
//! |---|---|---|---|
//! | good | R, dated now | hold, dated now | nothing to release |
//! | held | R, dated as the hold | so already | good, phone authentication only |
//! | revoked, ground R | so already | refused | nothing to release |
//! | revoked, other ground | keyCompromise only, date kept | refused | nothing to release |
//!
//! The rule is for residents' certificates. Those of CA keys and OCSP signers are never held, and
//! revoked by use cases of their own, which see to what such a revocation ends: [`revoke_issuer`].
//!
//! What is on a card or phone is held and released with it, see [`not_apart`](super::not_apart); the table is that
//! of certificates by themselves, and of what a report does to each.
//!
//! A change that comes from here has no cause; a report names itself as the cause of what it changes.
//! The fold of entries goes by the same table, see [`crate::record::succession`].
//!
//! Revocation is for ever: no row leads from revoked to anything but a sharper ground. A date
//! that is kept becomes now when it lies in the future, as it may after a release of the clock.

use std::time::Duration;

use crate::der::UnixTime;
use crate::pki::{CertStatus, CertificateKind, Revocation, RevocationReason};
use crate::record::{Event, Issued, Record, Refusal, StatusChange};

/// Apart in time that two changes of one certificate are at least: answers about it carry
/// whole seconds, and the later answer must carry a later one. The first change is free: until
/// then answers carry the second before.
const CHANGES_APART: Duration = Duration::from_secs(1);

/// A revocation asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoke {
    /// The ground; none asked for means unspecified, and is content with any that stands.
    pub reason: Option<RevocationReason>,
    /// Since when the certificate is invalid in the asker's eyes.
    pub invalidity_date: Option<UnixTime>,
}

/// Revokes a resident's certificate, that of `record`.
///
/// # Errors
/// It is no resident's, the ground is not one, lies in the future, or the rule above forbids the
/// change.
pub fn revoke(record: &Record, asked: Revoke, now: UnixTime) -> Result<Option<Event>, Refusal> {
    of_a_resident(record)?;
    revoke_by_rule(record, asked, now)
}

/// Revokes the certificate of a CA key or an OCSP signer, that of `record`. Only for a use case
/// that sees to what ends with it: issuing, or answers.
///
/// # Errors
/// As [`revoke`]; a resident's certificate is refused.
pub fn revoke_issuer(record: &Record, asked: Revoke, now: UnixTime) -> Result<Option<Event>, Refusal> {
    if record.issued.kind.is_resident() {
        return Err(Refusal::NotAnIssuer(record.issued.certificate));
    }
    revoke_by_rule(record, asked, now)
}

fn of_a_resident(record: &Record) -> Result<(), Refusal> {
    let Issued { certificate, kind, .. } = record.issued;
    if kind.is_resident() { Ok(()) } else { Err(Refusal::OfAnIssuer { certificate, kind }) }
}

fn revoke_by_rule(record: &Record, asked: Revoke, now: UnixTime) -> Result<Option<Event>, Refusal> {
    let reason = asked.reason.unwrap_or(RevocationReason::Unspecified);
    if matches!(reason, RevocationReason::CertificateHold | RevocationReason::RemoveFromCrl) {
        return Err(Refusal::NoGround(reason));
    }
    not_in_future(asked.invalidity_date, now)?;
    let became = match record.status() {
        CertStatus::Good | CertStatus::Unknown => {
            Revocation { revoked_at: now, reason, invalidity_date: asked.invalidity_date }
        }
        CertStatus::Revoked(held) if held.is_hold() => Revocation {
            revoked_at: held.revoked_at.min(now),
            reason,
            invalidity_date: asked.invalidity_date.or(past(held.invalidity_date, now)),
        },
        CertStatus::Revoked(was) if asked.reason.is_none_or(|reason| reason == was.reason) => {
            return Ok(None);
        }
        CertStatus::Revoked(was) if reason == RevocationReason::KeyCompromise => Revocation {
            revoked_at: was.revoked_at.min(now),
            reason,
            invalidity_date: asked.invalidity_date.or(past(was.invalidity_date, now)),
        },
        CertStatus::Revoked(was) => return Err(Refusal::AlreadyRevoked { was: was.reason }),
    };
    change(record, became, now).map(Event::Revoked).map(Some)
}

/// Puts the certificate of `record` on hold.
///
/// # Errors
/// It is revoked, or no resident's, or the date lies in the future.
pub fn hold(
    record: &Record,
    invalidity_date: Option<UnixTime>,
    now: UnixTime,
) -> Result<Option<Event>, Refusal> {
    of_a_resident(record)?;
    not_in_future(invalidity_date, now)?;
    match record.status() {
        CertStatus::Good | CertStatus::Unknown => {
            let reason = RevocationReason::CertificateHold;
            let became = Revocation { revoked_at: now, reason, invalidity_date };
            change(record, became, now).map(Event::Revoked).map(Some)
        }
        CertStatus::Revoked(held) if held.is_hold() => Ok(None),
        CertStatus::Revoked(was) => Err(Refusal::AlreadyRevoked { was: was.reason }),
    }
}

/// Lifts the hold on the certificate of `record`; `lift_allowed` is the profile's word on its
/// kind.
///
/// # Errors
/// It is not held, or no resident's, or a hold on its kind is final.
pub fn release(
    record: &Record,
    lift_allowed: impl Fn(CertificateKind) -> bool,
    now: UnixTime,
) -> Result<Option<Event>, Refusal> {
    of_a_resident(record)?;
    match record.status() {
        CertStatus::Revoked(held) if held.is_hold() => {
            if !lift_allowed(record.issued.kind) {
                return Err(Refusal::HoldIsFinal(record.issued.kind));
            }
            change(record, (), now).map(Event::Released).map(Some)
        }
        CertStatus::Good if !record.changes.is_empty() => Ok(None),
        CertStatus::Revoked(was) => Err(Refusal::AlreadyRevoked { was: was.reason }),
        CertStatus::Good | CertStatus::Unknown => Err(Refusal::NotHeld),
    }
}

/// A date on record, which may lie in the future after a release of the clock.
fn past(date: Option<UnixTime>, now: UnixTime) -> Option<UnixTime> {
    date.map(|date| date.min(now))
}

fn not_in_future(invalidity_date: Option<UnixTime>, now: UnixTime) -> Result<(), Refusal> {
    match invalidity_date {
        Some(since) if since > now => Err(Refusal::InvalidityInFuture { since, now }),
        _ => Ok(()),
    }
}

fn change<T>(record: &Record, became: T, now: UnixTime) -> Result<StatusChange<T>, Refusal> {
    let earliest = record.changed_at().plus(CHANGES_APART);
    // One dated after now is from before the clock was released: it is not waited for.
    let is_past = record.changed_at() <= now;
    if now < earliest && is_past && !record.changes.is_empty() {
        return Err(Refusal::NotBefore(earliest));
    }
    let change = u32::try_from(record.changes.len()).unwrap_or(u32::MAX).saturating_add(1);
    Ok(StatusChange { certificate: record.issued.certificate, became, change, cause: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{AuthorityId, Generation, SerialNumber};
    use crate::record::{ArchivePlace, CertificateRef, Entry, Folded, Numbered, Origin, Position};

    const START: i64 = 1_790_000_000;

    /// A record and the changes made to it, an hour apart.
    struct World {
        record: Record,
        now: UnixTime,
    }

    impl World {
        fn new(kind: CertificateKind) -> Self {
            let now = UnixTime::from_seconds(START);
            let issued = Issued {
                certificate: CertificateRef {
                    authority: AuthorityId(1),
                    generation: Generation::FIRST,
                    serial: SerialNumber::try_from(7).unwrap(),
                },
                kind,
                partition: None,
                not_before: now,
                not_after: now.plus(Duration::from_secs(86_400)),
                archive: ArchivePlace(0),
                sha256: [0; 32],
                holder: None,
                card: None,
                twin: None,
            };
            let record = Record { position: Position(1), recorded_at: now, issued, changes: Vec::new() };
            Self { record, now: now.plus(Duration::from_secs(3600)) }
        }

        fn fold(&mut self, decided: Result<Option<Event>, Refusal>) -> Result<bool, Refusal> {
            let Some(event) = decided? else { return Ok(false) };
            let entry = Entry { recorded_at: self.now, origin: Origin::service(), event };
            let position = self.record.last_position().next();
            let mut record = Some(self.record.clone());
            assert_eq!(Record::apply(&mut record, &Numbered { position, entry }), Ok(Folded::Counted));
            self.record = record.unwrap();
            self.now = self.now.plus(Duration::from_secs(3600));
            Ok(true)
        }

        fn revoke(&mut self, reason: impl Into<Option<RevocationReason>>) -> Result<bool, Refusal> {
            let asked = Revoke { reason: reason.into(), invalidity_date: None };
            self.fold(revoke(&self.record, asked, self.now))
        }

        fn hold(&mut self) -> Result<bool, Refusal> {
            self.fold(hold(&self.record, None, self.now))
        }

        fn release(&mut self) -> Result<bool, Refusal> {
            let lift = |kind| kind == CertificateKind::PhoneAuth;
            self.fold(release(&self.record, lift, self.now))
        }

        fn revocation(&self) -> Option<(i64, RevocationReason)> {
            match self.record.status() {
                CertStatus::Revoked(r) => Some(((r.revoked_at.seconds() - START) / 3600, r.reason)),
                CertStatus::Good | CertStatus::Unknown => None,
            }
        }
    }

    #[test]
    fn revocation_is_for_ever_and_sharpens_only_to_key_compromise() {
        let mut world = World::new(CertificateKind::CardSign);
        assert_eq!(world.revoke(RevocationReason::Superseded), Ok(true));
        assert_eq!(world.revoke(RevocationReason::Superseded), Ok(false), "so already");
        assert_eq!(world.revoke(None), Ok(false), "so already, whatever the ground");
        let was = RevocationReason::Superseded;
        assert_eq!(world.revoke(RevocationReason::AffiliationChanged), Err(Refusal::AlreadyRevoked { was }));
        assert_eq!(world.hold(), Err(Refusal::AlreadyRevoked { was }));
        assert_eq!(world.release(), Err(Refusal::AlreadyRevoked { was }));
        assert_eq!(world.revoke(RevocationReason::KeyCompromise), Ok(true));
        assert_eq!(world.revocation(), Some((1, RevocationReason::KeyCompromise)), "the date is kept");
    }

    #[test]
    fn a_hold_ends_in_revocation_with_the_date_of_the_hold() {
        for kind in [CertificateKind::CardSign, CertificateKind::CardAuth, CertificateKind::PhoneSign] {
            let mut world = World::new(kind);
            assert_eq!(world.release(), Err(Refusal::NotHeld));
            assert_eq!(world.hold(), Ok(true));
            assert_eq!(world.hold(), Ok(false));
            assert_eq!(world.release(), Err(Refusal::HoldIsFinal(kind)));
            assert_eq!(world.revoke(RevocationReason::CessationOfOperation), Ok(true));
            assert_eq!(world.revocation(), Some((1, RevocationReason::CessationOfOperation)));
        }
    }

    #[test]
    fn only_a_phone_authentication_certificate_returns_from_hold() {
        let mut world = World::new(CertificateKind::PhoneAuth);
        assert_eq!((world.hold(), world.release(), world.release()), (Ok(true), Ok(true), Ok(false)));
        assert_eq!(world.revocation(), None);
        assert_eq!(world.hold(), Ok(true));
        assert_eq!(world.revocation(), Some((3, RevocationReason::CertificateHold)));
    }

    #[test]
    fn two_changes_of_one_certificate_never_share_a_second() {
        let mut world = World::new(CertificateKind::CardSign);
        assert_eq!(world.hold(), Ok(true));
        world.now = world.record.changed_at();
        let next = world.now.plus(Duration::from_secs(1));
        assert_eq!(world.revoke(None), Err(Refusal::NotBefore(next)));
    }

    #[test]
    fn grounds_and_dates_that_make_no_sense_are_refused() {
        let mut world = World::new(CertificateKind::CardSign);
        for reason in [RevocationReason::CertificateHold, RevocationReason::RemoveFromCrl] {
            assert_eq!(world.revoke(reason), Err(Refusal::NoGround(reason)));
        }
        let since = world.now.plus(Duration::from_secs(1));
        let asked = Revoke { reason: None, invalidity_date: Some(since) };
        let refused = Refusal::InvalidityInFuture { since, now: world.now };
        assert_eq!(revoke(&world.record, asked, world.now), Err(refused));
    }

    #[test]
    fn b_1_ca_and_signer_certificates_are_changed_by_their_own_use_cases_alone() {
        for kind in CertificateKind::ALL.into_iter().filter(|kind| !kind.is_resident()) {
            let mut world = World::new(kind);
            let refused = Refusal::OfAnIssuer { certificate: world.record.issued.certificate, kind };
            // By its kind first: no other word about the request is of use then.
            for reason in
                [None, Some(RevocationReason::KeyCompromise), Some(RevocationReason::CertificateHold)]
            {
                assert_eq!(world.revoke(reason), Err(refused.clone()));
            }
            assert_eq!(world.hold(), Err(refused.clone()));
            assert_eq!(world.release(), Err(refused.clone()));
            let asked = Revoke { reason: Some(RevocationReason::KeyCompromise), invalidity_date: None };
            let own = revoke_issuer(&world.record, asked, world.now);
            assert_eq!(world.fold(own), Ok(true));
            assert_eq!(world.revoke(None), Err(refused.clone()), "nor told that it is so");
            assert_eq!((world.hold(), world.release()), (Err(refused.clone()), Err(refused)));
        }
        let resident = World::new(CertificateKind::CardSign).record;
        let asked = Revoke { reason: None, invalidity_date: None };
        let refused = Refusal::NotAnIssuer(resident.issued.certificate);
        assert_eq!(revoke_issuer(&resident, asked, UnixTime::from_seconds(START)), Err(refused));
    }
}
