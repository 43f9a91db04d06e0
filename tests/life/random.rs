//! Lives at random: whatever happens in whatever order, which certificates are good follows from what
//! was reported, not from when or how often; and nobody gets a dead card.
//!
//! The store is the real one on a simulated disk, and decides by the decisions of the office. What must
//! be so is told by [`Model`], which keeps all reports and looks at all of them every time.
//!
//! Longer runs: `SEKISHO_LIFE_CASES=2000 cargo test --test life random`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sekisho::der::UnixTime;
use sekisho::lifecycle::Residence;
use sekisho::office::decisions::{Placed, apply_for_card, hand_over};
use sekisho::office::{Place, Reported, Subject};
use sekisho::pki::{
    AuthorityId, Carrier, CarrierState, CertStatus, CertificateKind, Generation, Partition, SerialNumber,
};
use sekisho::profile::{ORGANIZATION, Profile};
use sekisho::record::{ArchivePlace, CardApplied, CardId, CertificateRef, HolderId, Issued, Origin};
use sekisho::store::{
    Clock, Committer, Decide, Disk, Options, Outcome, RowsKind, SimDisk, Submission, SubmitError,
};

/// Steps of one life.
const STEPS: usize = 500;
/// Lives; 50,000 steps together.
const CASES: u32 = 100;

const START: i64 = 1_800_000_000;
const YEARS: u64 = 10 * 365 * 86_400;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// Somebody new applies for a card.
    Apply,
    /// Somebody who has or had one does.
    Reapply,
    Issue,
    HandOver,
    WardMove,
    Abolish,
    Lose,
    FindCard,
    Renew,
    Die,
    SetUpPhone,
    LosePhone,
    FindPhone,
    /// A report that was made before.
    Again,
    /// The service loses power and starts again.
    Restart,
}

const KINDS: [(u32, What); 15] = [
    (15, What::Apply),
    (7, What::Reapply),
    (24, What::Issue),
    (28, What::HandOver),
    (16, What::WardMove),
    (8, What::Abolish),
    (9, What::Lose),
    (11, What::FindCard),
    (8, What::Renew),
    (10, What::Die),
    (15, What::SetUpPhone),
    (15, What::LosePhone),
    (18, What::FindPhone),
    (6, What::Again),
    (1, What::Restart),
];

/// One step: what happens, to which of those it may happen to, and how late it is reported.
#[derive(Debug, Clone, Copy)]
struct Step {
    what: What,
    pick: u16,
    minutes_late: u8,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let what = prop::strategy::Union::new_weighted(KINDS.map(|(weight, what)| (weight, Just(what))).to_vec());
    let late = prop_oneof![2 => Just(0_u8), 1 => 1..30_u8];
    let step =
        (what, any::<u16>(), late).prop_map(|(what, pick, minutes_late)| Step { what, pick, minutes_late });
    prop::collection::vec(step, STEPS)
}

#[derive(Debug, Clone)]
struct Certificate {
    kind: CertificateKind,
    authority: AuthorityId,
    serial: SerialNumber,
    on: usize,
    issued_at: UnixTime,
    /// By a renewal, or a new phone.
    replaced: bool,
}

#[derive(Debug, Clone)]
struct Carried {
    id: CardId,
    holder: usize,
    with: Option<usize>,
}

/// A report, and whose cards it is about.
#[derive(Debug)]
struct Accepted {
    reported: Reported,
    holder: usize,
}

/// What was accepted, in the order it was, and nothing derived from it.
#[derive(Debug, Default)]
struct Model {
    holders: Vec<HolderId>,
    cards: Vec<Carried>,
    certificates: Vec<Certificate>,
    reports: Vec<Accepted>,
    outcomes: Vec<Outcome>,
}

impl Model {
    /// Whether a certificate is good, from all that was ever reported.
    fn is_good(&self, one: &Certificate) -> bool {
        let (card, holder) = (&self.cards[one.on], self.cards[one.on].holder);
        let signs = matches!(one.kind, CertificateKind::CardSign | CertificateKind::PhoneSign);
        let (mut lost, mut found) = (None, None);
        let mut ended = one.replaced;
        for Accepted { reported: report, .. } in
            self.reports.iter().filter(|it| it.holder == holder && one.issued_at < it.reported.effective_at)
        {
            let on_card = report.subject == Subject::Card(card.id);
            let on_its_card =
                card.with.is_some_and(|with| report.subject == Subject::Card(self.cards[with].id));
            match report.event.as_str() {
                "ward-move" => ended |= signs,
                "death" => ended = true,
                "card-abolition" => ended |= on_card || on_its_card,
                "card-suspension" | "card-found" => ended |= on_card,
                "phone-suspension" if on_card && signs => ended = true,
                "phone-suspension" if on_card => lost = lost.max(Some(report.effective_at)),
                "phone-found" if on_card => found = found.max(Some(report.effective_at)),
                _ => {}
            }
        }
        !ended && (lost.is_none() || lost < found)
    }

    fn holder_of(&self, subject: Subject) -> usize {
        match subject {
            Subject::Holder(id) => self.holders.iter().position(|holder| *holder == id).unwrap(),
            Subject::Card(id) => self.cards.iter().find(|card| card.id == id).unwrap().holder,
        }
    }

    fn on(&self, card: usize) -> impl Iterator<Item = &Certificate> {
        self.certificates.iter().filter(move |one| one.on == card)
    }

    fn newest(&self, card: usize, kind: CertificateKind) -> Option<&Certificate> {
        self.on(card).filter(|one| one.kind == kind).last()
    }

    fn is_dead(&self, holder: usize) -> bool {
        self.reports.iter().any(|it| it.holder == holder && it.reported.event == "death")
    }
}

struct World {
    disk: SimDisk,
    clock: Arc<AtomicI64>,
    profile: Arc<Profile>,
    committer: Option<Committer>,
    model: Model,
    serial: u64,
    effective: BTreeMap<What, u64>,
}

impl World {
    fn new(profile: Arc<Profile>) -> Self {
        let clock = Arc::new(AtomicI64::new(START));
        let mut world = Self {
            disk: SimDisk::new(7),
            clock,
            profile,
            committer: None,
            model: Model::default(),
            serial: 0,
            effective: BTreeMap::new(),
        };
        world.open();
        world
    }

    fn open(&mut self) {
        let options = Options {
            disk: Disk::Simulated(self.disk.clone()),
            rows: RowsKind::Memory,
            clock: Clock::simulated(Arc::clone(&self.clock)),
            ..Options::new("/store")
        };
        let (mut committer, _) = Committer::open(options, Vec::new()).unwrap();
        committer.rebuild();
        self.committer = Some(committer);
    }

    fn now(&self) -> UnixTime {
        UnixTime::from_seconds(self.clock.load(Ordering::SeqCst))
    }

    fn commit(&mut self, origin: Origin, decide: Decide) -> Result<Outcome, SubmitError> {
        let told: Arc<Mutex<Option<Result<Outcome, SubmitError>>>> = Arc::default();
        let tell = Arc::clone(&told);
        let done = Box::new(move |outcome| *tell.lock().unwrap() = Some(outcome));
        self.committer.as_mut().unwrap().commit([Submission { origin, decide, done }]);
        let outcome = told.lock().unwrap().take().unwrap();
        assert!(!matches!(outcome, Err(SubmitError::Unavailable { .. })), "{outcome:?}");
        outcome
    }

    fn state(&self, card: usize) -> CarrierState {
        let found = self.committer.as_ref().unwrap().find_card(self.model.cards[card].id).unwrap();
        found.unwrap().status.state
    }

    /// One of those that it may well happen to; of all, one time in eight.
    fn pick(&self, step: Step, all: Vec<usize>, suits: impl Fn(&usize) -> bool) -> Option<usize> {
        let suitable: Vec<usize> = all.iter().copied().filter(suits).collect();
        let from = if suitable.is_empty() || step.pick.is_multiple_of(8) { all } else { suitable };
        // The newest ones: the old are at their end.
        let recent = &from[from.len().saturating_sub(12)..];
        recent.get(usize::from(step.pick / 8) % recent.len().max(1)).copied()
    }

    /// Every card its holder applied for before is at its end.
    fn is_next(&self, card: usize) -> bool {
        let Carried { holder, .. } = self.model.cards[card];
        let mut earlier = (0..card).filter(|other| {
            let Carried { holder: of, with, .. } = self.model.cards[*other];
            of == holder && with.is_none()
        });
        earlier.all(|other| self.state(other) == CarrierState::Abolished)
    }

    fn pick_card(&self, step: Step, carrier: Carrier, states: &[CarrierState]) -> Option<usize> {
        let is_phone = |card: &usize| self.model.cards[*card].with.is_some();
        let all: Vec<usize> = (0..self.model.cards.len()).collect();
        self.pick(step, all, |card| {
            is_phone(card) == (carrier == Carrier::Phone)
                && states.contains(&self.state(*card))
                && !self.model.is_dead(self.model.cards[*card].holder)
        })
    }

    fn count(&mut self, what: What) {
        *self.effective.entry(what).or_default() += 1;
    }

    fn take(&mut self, step: Step) {
        // Steps of the clock so coarse that times often meet.
        self.clock.fetch_add(20 * (1 + i64::from(step.pick % 3)), Ordering::SeqCst);
        match step.what {
            What::Apply => self.apply(step.what, None),
            What::Reapply => {
                let all: Vec<usize> = (0..self.model.holders.len()).collect();
                let holder = self.pick(step, all, |holder| !self.model.is_dead(*holder));
                if holder.is_some() {
                    self.apply(step.what, holder);
                }
            }
            What::Issue => {
                if let Some(card) = self.pick_card(step, Carrier::Card, &[CarrierState::Applied]) {
                    self.place(step.what, Place::Card(self.model.cards[card].id), card, &PAIR);
                }
            }
            What::Renew => {
                let states = [CarrierState::Issued, CarrierState::InUse];
                if let Some(card) = self.pick_card(step, Carrier::Card, &states) {
                    let kinds = [&PAIR[..], &PAIR[..1], &PAIR[1..]][usize::from(step.pick % 3)];
                    self.place(step.what, Place::Renewed(self.model.cards[card].id), card, kinds);
                }
            }
            What::SetUpPhone => {
                if let Some(card) = self.pick_card(step, Carrier::Card, &[CarrierState::InUse]) {
                    self.place(
                        step.what,
                        Place::Phone { with: self.model.cards[card].id },
                        card,
                        &PHONE_PAIR,
                    );
                }
            }
            What::HandOver => {
                let all: Vec<usize> = (0..self.model.cards.len()).collect();
                let card = self
                    .pick(step, all, |card| self.state(*card) == CarrierState::Issued && self.is_next(*card));
                if let Some(card) = card {
                    self.hand_over(card);
                }
            }
            What::WardMove | What::Die => {
                let all: Vec<usize> = (0..self.model.holders.len()).collect();
                if let Some(holder) = self.pick(step, all, |holder| !self.model.is_dead(*holder)) {
                    let event = if step.what == What::Die { "death" } else { "ward-move" };
                    self.report(step, event, Subject::Holder(self.model.holders[holder]));
                }
            }
            What::Abolish => self.report_card(step, "card-abolition", Carrier::Card, &LIVE),
            What::Lose => self.report_card(step, "card-suspension", Carrier::Card, &LIVE),
            What::FindCard => self.report_card(step, "card-found", Carrier::Card, &LOST),
            What::LosePhone => {
                self.report_card(step, "phone-suspension", Carrier::Phone, &[CarrierState::InUse])
            }
            What::FindPhone => {
                self.report_card(step, "phone-found", Carrier::Phone, &[CarrierState::Suspended]);
            }
            What::Again => self.again(step),
            What::Restart => {
                self.committer = None;
                self.disk.restart_after_power_loss();
                self.open();
                self.count(What::Restart);
            }
        }
    }

    fn apply(&mut self, what: What, holder: Option<usize>) {
        let number = self.model.cards.len();
        let id = holder.map_or(HolderId(scattered(number, 1)), |holder| self.model.holders[holder]);
        let card = CardId(scattered(number, 2));
        let (carrier, municipality) = (Carrier::Card, Partition(13221));
        let applied = CardApplied { card, carrier, of: None, holder: id, municipality, expires: None };
        let outcome = self.commit(Origin::service(), apply_for_card(applied, holder.is_some()));
        let dead = holder.is_some_and(|holder| self.model.is_dead(holder));
        assert_eq!(outcome.is_err(), dead, "the dead apply for nothing: {outcome:?}");
        if outcome.is_ok() {
            let holder = holder.unwrap_or_else(|| {
                self.model.holders.push(id);
                self.model.holders.len() - 1
            });
            self.model.cards.push(Carried { id: card, holder, with: None });
            self.count(what);
        }
    }

    /// Issues; what it replaces ends.
    fn place(&mut self, what: What, place: Place, known: usize, kinds: &[CertificateKind]) {
        let with = matches!(place, Place::Phone { .. }).then_some(known);
        let id = if with.is_some() {
            CardId(scattered(self.model.cards.len(), 2))
        } else {
            self.model.cards[known].id
        };
        let holder = self.model.cards[known].holder;
        let not_before = self.now();
        let issued = kinds.iter().map(|kind| {
            self.serial += 1;
            let signs = matches!(kind, CertificateKind::CardSign | CertificateKind::PhoneSign);
            Issued {
                certificate: CertificateRef {
                    authority: AuthorityId(if signs { 1 } else { 2 }),
                    generation: Generation::FIRST,
                    serial: SerialNumber::try_from(self.serial).unwrap(),
                },
                kind: *kind,
                partition: Some(Partition(13221)),
                not_before,
                not_after: not_before.plus(std::time::Duration::from_secs(YEARS)),
                archive: ArchivePlace(0),
                sha256: [0; 32],
                holder: Some(self.model.holders[holder]),
                card: Some(id),
                twin: None,
            }
        });
        let all: Vec<Issued> = issued.collect();
        let holder_id = self.model.holders[holder];
        let residence = Residence { municipality: Partition(13221), is_overseas: None };
        let placed =
            Placed { place, card: id, holder: holder_id, residence, all: all.clone(), keys: Vec::new() };
        let rules = self.profile.rules.clone();
        let outcome = self.commit(Origin::service(), placed.decision(&rules).unwrap());
        assert!(outcome.is_err() || !self.model.is_dead(holder), "issued to the dead");
        if outcome.is_err() {
            return;
        }
        let on = match with {
            None => known,
            Some(_) => {
                let model = &mut self.model;
                let phones: BTreeSet<usize> = (0..model.cards.len())
                    .filter(|card| model.cards[*card].holder == holder && model.cards[*card].with.is_some())
                    .collect();
                model
                    .certificates
                    .iter_mut()
                    .filter(|one| phones.contains(&one.on))
                    .for_each(Certificate::replace);
                model.cards.push(Carried { id, holder, with });
                model.cards.len() - 1
            }
        };
        let replaced = |one: &&mut Certificate| one.on == on && kinds.contains(&one.kind);
        self.model.certificates.iter_mut().filter(replaced).for_each(Certificate::replace);
        self.model.certificates.extend(all.iter().map(|issued| Certificate {
            kind: issued.kind,
            authority: issued.certificate.authority,
            serial: issued.certificate.serial,
            on,
            issued_at: not_before,
            replaced: false,
        }));
        self.count(what);
    }

    /// Refused exactly when the card is not good, or its holder has another one.
    fn hand_over(&mut self, card: usize) {
        let Carried { id, holder, .. } = self.model.cards[card];
        let before = self.state(card);
        let outcome = self.commit(Origin::service(), hand_over(id, self.model.holders[holder]));
        let good =
            PAIR.iter().all(|kind| self.model.newest(card, *kind).is_none_or(|one| self.model.is_good(one)));
        let others = (0..self.model.cards.len()).filter(|other| {
            let Carried { holder: of, with, .. } = self.model.cards[*other];
            *other != card && of == holder && with.is_none()
        });
        let mut others = others.map(|other| (other < card, self.state(other)));
        let alone = others.all(|(earlier, state)| {
            let is_handed_over = matches!(state, CarrierState::InUse | CarrierState::Suspended);
            state == CarrierState::Abolished || (!earlier && !is_handed_over)
        });
        let right = match before {
            CarrierState::InUse => !self.model.is_dead(holder),
            CarrierState::Issued => good && alone && !self.model.is_dead(holder),
            _ => false,
        };
        assert_eq!(outcome.is_ok(), right, "good {good}, alone {alone}, {before}: {outcome:?}");
        if outcome.is_ok() && before == CarrierState::Issued {
            self.count(What::HandOver);
        }
    }

    fn report_card(&mut self, step: Step, event: &str, carrier: Carrier, states: &[CarrierState]) {
        if let Some(card) = self.pick_card(step, carrier, states) {
            self.report(step, event, Subject::Card(self.model.cards[card].id));
        }
    }

    fn report(&mut self, step: Step, event: &str, subject: Subject) {
        let late = i64::from(step.minutes_late) * 60;
        let reported = Reported {
            event_id: format!("event-{}", self.model.reports.len()),
            event: event.to_owned(),
            subject,
            kind: None,
            municipality: None,
            effective_at: UnixTime::from_seconds(self.now().seconds() - late),
            reported_at: None,
        };
        let Ok(outcome) = self.submit(&reported) else { return };
        assert!(!outcome.repeated);
        let changed = outcome.entries.iter().any(|numbered| numbered.entry.event.certificate().is_some());
        let holder = self.model.holder_of(subject);
        self.model.reports.push(Accepted { reported, holder });
        self.model.outcomes.push(outcome);
        if changed {
            self.count(step.what);
        }
    }

    fn submit(&mut self, reported: &Reported) -> Result<Outcome, SubmitError> {
        let rule = self.profile.rules.find(&reported.event).unwrap();
        let liftable =
            CertificateKind::ALL.into_iter().filter(|kind| self.profile.lift_allowed(*kind)).collect();
        let decide = reported.decision(rule, liftable);
        self.commit(reported.origin(&Origin::service()), decide)
    }

    /// The same again is known, and its first outcome is told, also across restarts.
    fn again(&mut self, step: Step) {
        let Some(at) = usize::from(step.pick).checked_rem(self.model.reports.len()) else { return };
        let reported = self.model.reports[at].reported.clone();
        let outcome = self.submit(&reported).unwrap();
        assert!(outcome.repeated, "{} was forgotten", reported.event_id);
        assert_eq!(outcome.entries, self.model.outcomes[at].entries);
        self.count(What::Again);
    }

    /// Every certificate is as all reports together say; one card of a person is in use, or was and is lost.
    fn check(&self) {
        let committer = self.committer.as_ref().unwrap();
        for one in &self.model.certificates {
            let record = committer.find(one.authority, &one.serial).unwrap().unwrap();
            let good = record.status() == CertStatus::Good;
            assert_eq!(
                good,
                self.model.is_good(one),
                "{one:?} on {:?}: {:?}",
                self.model.cards[one.on],
                record.changes
            );
        }
        let mut in_use: BTreeMap<usize, u32> = BTreeMap::new();
        for (at, card) in self.model.cards.iter().enumerate().filter(|(_, card)| card.with.is_none()) {
            if matches!(self.state(at), CarrierState::InUse | CarrierState::Suspended) {
                *in_use.entry(card.holder).or_default() += 1;
            }
        }
        assert!(in_use.values().all(|cards| *cards == 1), "{in_use:?}");
    }
}

impl Certificate {
    const fn replace(&mut self) {
        self.replaced = true;
    }
}

const PAIR: [CertificateKind; 2] = [CertificateKind::CardSign, CertificateKind::CardAuth];
const PHONE_PAIR: [CertificateKind; 2] = [CertificateKind::PhoneSign, CertificateKind::PhoneAuth];
const LOST: [CarrierState; 2] = [CarrierState::Suspended, CarrierState::Withheld];
const LIVE: [CarrierState; 2] = [CarrierState::Issued, CarrierState::InUse];

/// Numbers as far apart as random ones.
fn scattered(number: usize, what: u128) -> u128 {
    (u128::try_from(number).unwrap() * 2 + what).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}

#[test]
fn random_lives_leave_every_certificate_as_the_reports_say_and_nobody_with_a_dead_card() {
    let cases = std::env::var("SEKISHO_LIFE_CASES").map_or(CASES, |text| text.parse().unwrap());
    // A life is 500 steps, and the shortest that fails some ten.
    let shrinks = std::env::var("SEKISHO_LIFE_SHRINKS").map_or(300, |text| text.parse().unwrap());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: shrinks, ..Config::default() };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let profile = Arc::new(Profile::jpki(ORGANIZATION).unwrap());
    let counted: RefCell<(u64, BTreeMap<What, u64>)> = RefCell::default();
    TestRunner::new_with_rng(config, random)
        .run(&steps(), |steps| {
            let mut world = World::new(Arc::clone(&profile));
            for (at, step) in (1..).zip(&steps) {
                world.take(*step);
                if at % 50 == 0 || at == steps.len() {
                    world.check();
                }
            }
            let (taken, effective) = &mut *counted.borrow_mut();
            *taken += u64::try_from(steps.len()).unwrap();
            world.effective.iter().for_each(|(what, count)| *effective.entry(*what).or_default() += count);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    let (taken, effective) = counted.into_inner();
    println!("{taken} steps, with effect: {effective:?}");
    assert!(taken >= u64::from(cases) * u64::try_from(STEPS).unwrap());
    for (_, what) in KINDS.iter().filter(|(_, what)| *what != What::Restart) {
        let share = effective.get(what).copied().unwrap_or(0) * 1000 / taken;
        assert!(share >= 15, "{what:?}: {share} in 1,000 steps had this effect: {effective:?}");
    }
    assert!(effective[&What::Restart] > u64::from(cases), "{effective:?}");
}
