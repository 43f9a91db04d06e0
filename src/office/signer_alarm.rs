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
