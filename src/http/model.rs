//! Every interleaving of asking, signing, waiting and revoking, as a model checker picks them,
//! over the code that serves: responder, kept signatures, status index, flights, signing
//! threads.
//!
//! `cargo test --features shuttle --lib model`; `SEKISHO_MODEL_RUNS=100000` looks longer.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, KeyPair};

use super::core::Core;
use super::question::{self, Asked, TRY_LATER};
use super::signing::Signing;
use super::{Documents, Patience, Readiness, Site};
use crate::der::UnixTime;
use crate::ocsp::{Options, Responder, Signer, SigningIdentity, request_for};
use crate::pki::{
    AuthorityId, CertificateKind, Generation, HashAlgorithm, Issuer, Revocation, RevocationReason,
    SerialNumber,
};
use crate::record::{
    ArchivePlace, CertificateRef, Entry, Event, Issued, Numbered, Origin, Position, StatusChange,
};
use crate::signer::{Key, Limits, Pool};
use crate::status::StatusIndex;
use crate::store::Clock;
use crate::sync::{AtomicBool, thread};

static NOW: LazyLock<UnixTime> = LazyLock::new(|| UnixTime::from_seconds(1_800_000_000));
/// In this time a kept signature becomes due, and not too old.
const DUE: Duration = Duration::from_secs(800);

/// Keys are drawn once; the model checker runs on. What it watches in them is made anew in each run.
struct Keys {
    issuer: Arc<Issuer>,
    /// PKCS#8.
    quick: Vec<u8>,
    slow: Vec<u8>,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let ca = KeyPair::generate().unwrap();
    let certificate = CertificateParams::default().self_signed(&ca).unwrap();
    let issuer = Issuer::from_certificate(AuthorityId(1), Generation::FIRST, certificate.der()).unwrap();
    let slow = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    Keys { quick: ca.serialize_der(), slow: slow.serialize_der(), issuer: Arc::new(issuer) }
});

/// A service in which one certificate was issued.
struct World {
    core: Arc<Core>,
    pool: Arc<Pool>,
    status: Arc<StatusIndex>,
    request: Vec<u8>,
}

impl World {
    fn new(pkcs8: &[u8]) -> Self {
        let signer = Signer {
            key: Arc::new(Key::from_pkcs8(pkcs8).unwrap()),
            // What it says is no matter here.
            certificate: KEYS.issuer.certificate.clone(),
            not_after: NOW.plus(Duration::from_secs(86_400)),
        };
        let status = Arc::new(StatusIndex::new());
        let options = Options { cache_bytes: 0, cache_long_bytes: 0, ..Options::default() };
        let responder = Arc::new(Responder::new(Arc::clone(&status), options));
        responder
            .install([SigningIdentity { issuer: Arc::clone(&KEYS.issuer), signers: vec![Arc::new(signer)] }]);
        let site = Arc::new(Site {
            responder: Arc::clone(&responder),
            documents: ArcSwap::from_pointee(Documents::default()),
            checkpoint: arc_swap::ArcSwapOption::empty(),
            readiness: Box::new(Readiness::default),
            max_age: Duration::from_secs(60),
            clock: Clock::system(),
        });
        let pool = Arc::new(Pool::start(Limits::for_threads(std::num::NonZeroUsize::MIN)).unwrap());
        let signing = Arc::new(Signing::new(responder, Arc::clone(&pool)));
        let core = Core::new(site, signing, Patience::default(), 100, Arc::default(), Arc::default());
        let serial = SerialNumber::try_from(1).unwrap();
        let request = request_for(&KEYS.issuer, HashAlgorithm::Sha1, &serial);
        let world = Self { core: Arc::new(core), pool, status, request };
        world.record(1, issued(serial));
        world
    }

    fn record(&self, position: u64, event: Event) {
        let recorded_at = NOW.minus(Duration::from_secs(3600));
        let entry = Entry { recorded_at, origin: Origin::service(), event };
        self.status.apply(&[Numbered { position: Position(position), entry }]).unwrap();
    }

    fn revoke(&self) {
        let became =
            Revocation { revoked_at: *NOW, reason: RevocationReason::KeyCompromise, invalidity_date: None };
        let certificate = certificate(SerialNumber::try_from(1).unwrap());
        self.record(2, Event::Revoked(StatusChange { certificate, became, change: 1, cause: None }));
    }

    /// The answer to the one question there is.
    fn ask(&self, now: UnixTime) -> Vec<u8> {
        match question::ask(&self.core, &self.request, now) {
            Asked::Ready(_, answer) => answer.body,
            Asked::Waiting(_, mut receiver) => loop {
                match receiver.try_recv() {
                    Ok(answer) => return answer.body,
                    Err(tokio::sync::oneshot::error::TryRecvError::Closed) => return TRY_LATER.to_vec(),
                    Err(tokio::sync::oneshot::error::TryRecvError::Empty) => thread::yield_now(),
                }
            },
        }
    }

    /// The tag of the certStatus, which follows the CertID.
    fn status_in(&self, answer: &[u8]) -> u8 {
        // Four headers stand before the CertID.
        let cert_id = &self.request[8..];
        let at = answer.windows(cert_id.len()).position(|octets| octets == cert_id).unwrap();
        answer[at + cert_id.len()]
    }
}

const GOOD: u8 = 0x80;
const REVOKED: u8 = 0xa1;

fn certificate(serial: SerialNumber) -> CertificateRef {
    CertificateRef { authority: AuthorityId(1), generation: Generation::FIRST, serial }
}

fn issued(serial: SerialNumber) -> Event {
    Event::Issued(Issued {
        certificate: certificate(serial),
        kind: CertificateKind::CardAuth,
        partition: None,
        not_before: UnixTime::default(),
        not_after: UnixTime::MAX,
        archive: ArchivePlace(0),
        sha256: [0; 32],
        holder: None,
        card: None,
        twin: None,
    })
}

fn runs() -> usize {
    std::env::var("SEKISHO_MODEL_RUNS").map_or(2_000, |text| text.parse().expect("a number of runs"))
}

/// Two ask, each twice, while a third revokes and acknowledges. Who began to ask after the
/// acknowledgement hears `revoked`; all who hear `good` hear the same octets.
fn asked_while_revoked(pkcs8: &'static [u8], kept_since: Option<UnixTime>) {
    let seen = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counted = Arc::clone(&seen);
    let run = move || {
        let world = Arc::new(World::new(pkcs8));
        if let Some(before) = kept_since {
            assert_eq!(world.status_in(&world.ask(before)), GOOD);
        }
        let acknowledged = Arc::new(AtomicBool::new(false));
        let askers: Vec<_> = (0..2)
            .map(|_| {
                let (world, acknowledged) = (Arc::clone(&world), Arc::clone(&acknowledged));
                thread::spawn(move || {
                    let ask = |_| {
                        let late = acknowledged.load(SeqCst);
                        (late, world.ask(*NOW))
                    };
                    [(), ()].map(ask)
                })
            })
            .collect();
        world.revoke();
        acknowledged.store(true, SeqCst);
        let mut good: Option<Vec<u8>> = None;
        for (late, answer) in askers.into_iter().flat_map(|asker| asker.join().unwrap()) {
            let status = world.status_in(&answer);
            counted[usize::from(late)].fetch_add(1, SeqCst);
            if late {
                assert_eq!(status, REVOKED, "asked after the acknowledgement");
            }
            if status == GOOD {
                counted[2].fetch_add(1, SeqCst);
                // A signature that is due is followed by another.
                let first = good.get_or_insert_with(|| answer.clone());
                assert!(kept_since.is_some() || *first == answer, "two signatures for one question");
            }
        }
        assert_eq!(world.status_in(&world.ask(*NOW)), REVOKED);
        world.pool.stop();
    };
    shuttle::check_pct(run.clone(), runs() / 2, 3);
    shuttle::check_random(run, runs() / 2);
    let [early, late, good] = [0, 1, 2].map(|at| seen[at].load(SeqCst));
    let tenth = runs() / 10;
    assert!(early > tenth && late > tenth && good > tenth, "{early} early, {late} late, {good} good");
}

#[test]
fn no_good_after_the_acknowledgement_when_cores_sign() {
    asked_while_revoked(&KEYS.quick, None);
}

#[test]
fn no_good_after_the_acknowledgement_when_signing_threads_sign() {
    asked_while_revoked(&KEYS.slow, None);
}

#[test]
fn no_good_after_the_acknowledgement_while_a_kept_signature_is_refreshed() {
    asked_while_revoked(&KEYS.quick, Some(NOW.minus(DUE)));
}
