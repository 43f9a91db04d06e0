//! When a signer is followed by another, and who hears of it when none comes.

use std::time::Duration;

use super::LiveGeneration;
use super::signers::Held;
use crate::der::UnixTime;

const DAY: Duration = Duration::from_secs(86_400);

/// Another is made when this part of a signer's life is left.
const RENEWED_AT: u32 = 3;

/// Earlier by at most this part of its life, each signer at an instant of its own: what was made
/// together is not made again together.
const JITTER: u32 = 16;

/// How pressing it is that a signer has no successor: by the days left, or by the part of its
/// life where that is shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// 30 days, or a third.
    Low,
    /// 7 days, or a sixth.
    Pressing,
    /// 1 day, or a twelfth.
    Last,
}

impl Alarm {
    /// None while there is time, and for a signer that ends with its issuer: nothing follows it.
    pub(super) fn of(held: &Held, live: &LiveGeneration, now: UnixTime) -> Option<Self> {
        let left = held.signer.not_after.since(now);
        let at_most = |days: u32, part: u32| left <= (DAY * days).min(held.life() / part);
        if held.signer.not_after >= live.issuer.not_after {
            None
        } else if at_most(1, 12) {
            Some(Self::Last)
        } else if at_most(7, 6) {
            Some(Self::Pressing)
        } else if at_most(30, 3) {
            Some(Self::Low)
        } else {
            None
        }
    }
}

/// Whether another is to be made. One that ends with its issuer cannot be outlived.
pub(super) fn is_due(held: &Held, live: &LiveGeneration, now: UnixTime) -> bool {
    let place = held.signer.key.key_id().first().copied().map_or(0, u32::from);
    let jitter = held.life() / JITTER * place / 256;
    let renewed_at = held.signer.not_after.minus(held.life() / RENEWED_AT + jitter);
    now >= renewed_at && held.signer.not_after < live.issuer.not_after
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::issue::{generate_key, test_material};
    use crate::ocsp::Signer;
    use crate::pki::{AuthorityId, Generation, Issuer, SerialNumber, SignatureAlgorithm};
    use crate::profile::KeyType;
    use crate::signer::Key;

    const HOUR: Duration = Duration::from_secs(3600);

    fn live() -> LiveGeneration {
        let (certificate, key) = test_material::authority("sign").unwrap();
        let issuer = Issuer::from_certificate(AuthorityId(1), Generation::FIRST, &certificate).unwrap();
        let key = Arc::new(Key::from_pkcs8(&key).unwrap());
        LiveGeneration { authority: "sign".to_owned(), issuer: Arc::new(issuer), key: Ok(key) }
    }

    fn held(not_after: UnixTime, life: Duration) -> Held {
        let key = Key::from_pkcs8(&generate_key(KeyType::Ed25519).unwrap()).unwrap();
        let signer = Signer { key: Arc::new(key), certificate: Vec::new(), not_after };
        let algorithm = SignatureAlgorithm::Ed25519;
        let serial = SerialNumber::try_from(7).unwrap();
        Held { algorithm, serial, not_before: not_after.minus(life), signer: Arc::new(signer) }
    }

    #[test]
    fn an_alarm_grows_with_the_time_that_is_gone() {
        let live = live();
        let end = live.issuer.not_after.minus(DAY);
        for (life, rows) in [
            // A year: days count.
            (
                DAY * 365,
                [(DAY * 31, None), (DAY * 30, Some(Alarm::Low)), (DAY * 8, Some(Alarm::Low))].to_vec(),
            ),
            (DAY * 365, [(DAY * 7, Some(Alarm::Pressing)), (DAY, Some(Alarm::Last))].to_vec()),
            // 36 hours: a third, a sixth, a twelfth.
            (HOUR * 36, [(HOUR * 13, None), (HOUR * 12, Some(Alarm::Low))].to_vec()),
            (
                HOUR * 36,
                [
                    (HOUR * 7, Some(Alarm::Low)),
                    (HOUR * 6, Some(Alarm::Pressing)),
                    (HOUR * 3, Some(Alarm::Last)),
                ]
                .to_vec(),
            ),
        ] {
            let signer = held(end, life);
            for (left, alarm) in rows {
                assert_eq!(Alarm::of(&signer, &live, end.minus(left)), alarm, "{left:?} of {life:?}");
            }
        }
        let last = held(live.issuer.not_after, DAY);
        let now = live.issuer.not_after.minus(HOUR);
        assert_eq!(Alarm::of(&last, &live, now), None, "nothing follows the last one");
        assert!(!is_due(&last, &live, now));
    }

    #[test]
    fn a_renewal_falls_at_its_own_instant_a_little_before_a_third_is_left() {
        let live = live();
        let (end, life) = (live.issuer.not_after.minus(DAY), HOUR * 48);
        let mut instants = BTreeSet::new();
        for _ in 0..64 {
            let signer = held(end, life);
            assert!(is_due(&signer, &live, end.minus(life / 3)));
            assert!(!is_due(&signer, &live, end.minus(life / 3 + life / 16)));
            let minutes = (0..60 * 4).find(|minutes| {
                is_due(
                    &signer,
                    &live,
                    end.minus(life / 3 + life / 16).plus(Duration::from_secs(minutes * 60)),
                )
            });
            instants.insert(minutes.unwrap());
        }
        assert!(instants.len() > 16, "{instants:?}");
    }
}
