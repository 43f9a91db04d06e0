//! One office for all: both authorities under two live keys each, every kind of certificate in
//! the two towns whose names collide, and everything that can have happened to one.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use sekisho::der::UnixTime;
use sekisho::office::Wish;
use sekisho::pki::{CertStatus, CertificateKind, Revocation, RevocationReason};

use crate::world::{Certificate, ESASHI, Set, World};

pub struct Stage {
    pub world: World,
    pub cases: Vec<Case>,
    /// The scheduled set.
    pub base: Set,
    /// The deltas to it, after more had happened.
    pub deltas: Set,
    /// Everything, after that.
    pub now: Set,
}

/// A certificate and its life.
pub struct Case {
    pub certificate: Certificate,
    pub life: Life,
    /// As the base was cut.
    pub then: Option<Revocation>,
    /// As the deltas were cut, and what came after.
    pub now: Option<Revocation>,
    /// When its last change was recorded.
    pub changed_at: Option<UnixTime>,
}

/// What happened to a certificate before the base was cut, and since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    Good,
    Revoked,
    Held,
    HeldAndReleased,
    RevokedSince,
    HeldSince,
    HeldAndRevokedSince,
    HeldAndReleasedSince,
}

/// What may be said of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Good,
    Revoked(RevocationReason),
    /// The CRLs at hand do not speak of it.
    Undecided,
}

/// What is right to say of a certificate of this life.
pub type Right = fn(Life) -> Verdict;

pub const AUTHORITIES: [&str; 2] = ["sign", "auth"];
pub const GENERATIONS: [u8; 2] = [1, 2];

pub const KINDS: [CertificateKind; 4] = [
    CertificateKind::CardSign,
    CertificateKind::CardAuth,
    CertificateKind::PhoneSign,
    CertificateKind::PhoneAuth,
];

const GROUND: RevocationReason = RevocationReason::Superseded;
const HOLD: RevocationReason = RevocationReason::CertificateHold;
/// What a hold ends in.
const GROUND_AFTER_HOLD: RevocationReason = RevocationReason::KeyCompromise;

pub const REVOKE: Wish = Wish::revoke(Some(GROUND), None);
const REVOKE_AFTER_HOLD: Wish = Wish::revoke(Some(GROUND_AFTER_HOLD), None);
const PUT_ON_HOLD: Wish = Wish::Hold { invalidity_date: None };

impl Stage {
    /// The one that other tests use at this moment, or a new one. Ends with its last user.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Stage>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap();
        shared.upgrade().unwrap_or_else(|| {
            let stage = Arc::new(Self::new());
            *shared = Arc::downgrade(&stage);
            stage
        })
    }

    fn new() -> Self {
        let world = World::new();
        let mut cases = Vec::new();
        for generation in GENERATIONS {
            if generation > 1 {
                for authority in world.authorities() {
                    assert_eq!(crate::issuers::new_generation(&world.office, authority).number(), generation);
                }
            }
            for kind in KINDS {
                for place in ESASHI {
                    for life in Life::ALL.into_iter().filter(|life| life.is_of(kind)) {
                        let certificate = world.issue(kind, place);
                        assert_eq!(certificate.generation, generation);
                        cases.push(Case { certificate, life, then: None, now: None, changed_at: None });
                    }
                }
            }
        }
        // Two changes of one certificate lie a second apart: all first ones first.
        for step in 0..2 {
            for case in &mut cases {
                case.change(&world, case.life.before().get(step).copied());
            }
        }
        cases.iter_mut().for_each(|case| case.then = case.now);
        let base = world.publish(true);
        // Clients go by thisUpdate, in whole seconds; a delta is later than its base.
        std::thread::sleep(Duration::from_millis(1100));
        for case in &mut cases {
            case.change(&world, case.life.since());
        }
        let deltas = world.publish_deltas();
        let now = world.publish(false);
        Self { world, cases, base, deltas, now }
    }
}

impl Case {
    fn change(&mut self, world: &World, wish: Option<Wish>) {
        let Some(wish) = wish else { return };
        let changed = world.change(&self.certificate, wish);
        self.changed_at = Some(changed.recorded_at);
        self.now = match changed.status {
            CertStatus::Revoked(revocation) => Some(revocation),
            CertStatus::Good | CertStatus::Unknown => None,
        };
    }
}

impl Life {
    pub const ALL: [Self; 8] = [
        Self::Good,
        Self::Revoked,
        Self::Held,
        Self::HeldAndReleased,
        Self::RevokedSince,
        Self::HeldSince,
        Self::HeldAndRevokedSince,
        Self::HeldAndReleasedSince,
    ];

    /// The hold of no other kind may be lifted.
    fn is_of(self, kind: CertificateKind) -> bool {
        kind == CertificateKind::PhoneAuth
            || !matches!(self, Self::HeldAndReleased | Self::HeldAndReleasedSince)
    }

    /// What is wished before the base is cut, in this order.
    const fn before(self) -> &'static [Wish] {
        match self {
            Self::Good | Self::RevokedSince | Self::HeldSince => &[],
            Self::Revoked => &[REVOKE],
            Self::Held | Self::HeldAndRevokedSince | Self::HeldAndReleasedSince => &[PUT_ON_HOLD],
            Self::HeldAndReleased => &[PUT_ON_HOLD, Wish::Release],
        }
    }

    const fn since(self) -> Option<Wish> {
        match self {
            Self::Good | Self::Revoked | Self::Held | Self::HeldAndReleased => None,
            Self::RevokedSince => Some(REVOKE),
            Self::HeldSince => Some(PUT_ON_HOLD),
            Self::HeldAndRevokedSince => Some(REVOKE_AFTER_HOLD),
            Self::HeldAndReleasedSince => Some(Wish::Release),
        }
    }

    /// What is right by the base.
    pub const fn then(self) -> Verdict {
        match self {
            Self::Good | Self::HeldAndReleased | Self::RevokedSince | Self::HeldSince => Verdict::Good,
            Self::Revoked => Verdict::Revoked(GROUND),
            Self::Held | Self::HeldAndRevokedSince | Self::HeldAndReleasedSince => Verdict::Revoked(HOLD),
        }
    }

    /// What is right by base and delta together, and by the set after them.
    pub const fn now(self) -> Verdict {
        match self {
            Self::Good | Self::HeldAndReleased | Self::HeldAndReleasedSince => Verdict::Good,
            Self::Revoked | Self::RevokedSince => Verdict::Revoked(GROUND),
            Self::Held | Self::HeldSince => Verdict::Revoked(HOLD),
            Self::HeldAndRevokedSince => Verdict::Revoked(GROUND_AFTER_HOLD),
        }
    }
}
