//! However the journal is cut into batches and commit groups, the rows are the same: octet for octet
//! those of one batch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::clock::Clock;
use super::committer::Committer;
use super::disk::Disk;
use super::error::{NotReady, StoreError};
use super::held::Held;
use super::journal::Draft;
use super::kept;
use super::options::Options;
use super::rebuild::Folding;
use super::rows::{Rows, RowsKind};
use super::sim::SimDisk;
use super::submission::Submission;
use crate::der::UnixTime;
use crate::pki::{
    AuthorityId, Carrier, CarrierState, CertificateKind, Generation, Partition, Revocation, RevocationReason,
    SerialNumber,
};
use crate::record::{
    Actor, ArchivePlace, CardApplied, CardId, CardStatus, CertificateRef, CertifiedKey, Entry, Event,
    HolderId, HolderStatus, Issued, KeyDigest, Movement, Numbered, Origin, Position, Record, RequestId,
    StatusChange,
};

const JOURNALS: u64 = 1_000;
const DECISIONS: u64 = 40;
const START: i64 = 1_800_000_000;

/// Randomness by SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// A place in a list of so many.
    fn place(&mut self, count: usize) -> usize {
        usize::try_from(self.below(u64::try_from(count.max(1)).unwrap())).unwrap()
    }

    fn number(&mut self) -> u128 {
        (u128::from(self.below(u64::MAX)) << 64) | u128::from(self.below(u64::MAX))
    }
}

/// A certificate as the life knows it.
#[derive(Clone)]
struct Alive {
    issued: Issued,
    /// None while good.
    revoked: Option<Revocation>,
    changes: u32,
}

/// Decisions of a mixed life, each sound after those before it.
struct Life {
    random: Random,
    certificates: Vec<Alive>,
    cards: Vec<(CardId, HolderId)>,
    decisions: Vec<(Origin, Vec<Event>)>,
    next_serial: u64,
}

impl Life {
    fn live(seed: u64) -> Vec<(Origin, Vec<Event>)> {
        let (random, next_serial) = (Random(seed), 1);
        let (certificates, cards, decisions) = (Vec::new(), Vec::new(), Vec::new());
        let mut life = Self { random, certificates, cards, decisions, next_serial };
        for number in 0..DECISIONS {
            let events = match life.random.below(10) {
                0..4 => life.apply_and_issue(),
                4 | 5 => life.issue_and_revoke(),
                6 => life.renew(),
                7 => life.report(),
                _ => life.change(),
            };
            let key = life.random.below(3) > 0;
            let request = key.then(|| RequestId::new(&Actor::service(), &number.to_string(), b""));
            if !events.is_empty() || key {
                let events = if events.is_empty() { vec![Event::RequestSeen] } else { events };
                life.decisions.push((Origin { request, ..Origin::service() }, events));
            }
        }
        life.decisions
    }

    fn issued(&mut self, kind: CertificateKind, place: Option<(CardId, HolderId)>) -> Event {
        // Some serials of 16 octets, as other people's authorities draw them.
        let serial = if self.random.below(8) == 0 {
            SerialNumber::from_magnitude(&(self.random.number() | 1 << 126).to_be_bytes()).unwrap()
        } else {
            self.next_serial += 1;
            SerialNumber::try_from(self.next_serial - 1).unwrap()
        };
        let now = UnixTime::from_seconds(START);
        let certificate = CertificateRef { authority: AuthorityId(1), generation: Generation::FIRST, serial };
        let issued = Issued {
            certificate,
            kind,
            partition: Some(Partition(13221)),
            not_before: now,
            not_after: now,
            archive: ArchivePlace(0),
            sha256: [7; 32],
            holder: place.map(|(_, holder)| holder),
            card: place.map(|(card, _)| card),
            twin: None,
        };
        self.certificates.push(Alive { issued: issued.clone(), revoked: None, changes: 0 });
        Event::Issued(issued)
    }

    fn apply_and_issue(&mut self) -> Vec<Event> {
        let known =
            (self.random.below(4) == 0).then(|| self.cards.last().map(|(_, holder)| *holder)).flatten();
        let (card, holder) = (CardId(self.random.number()), known.unwrap_or(HolderId(self.random.number())));
        self.cards.push((card, holder));
        let municipality = Partition(13221);
        let applied =
            CardApplied { card, carrier: Carrier::Card, of: None, holder, municipality, expires: None };
        let mut events = vec![Event::CardApplied(applied)];
        events.extend(Carrier::Card.kinds().map(|kind| self.issued(kind, Some((card, holder)))));
        // Some keys come again, and some share a row.
        let key = KeyDigest(u128::from(self.random.below(40)) << 112);
        let (authority, serial) = (AuthorityId(1), SerialNumber::try_from(self.next_serial).unwrap());
        let kind = CertificateKind::CardAuth;
        events.push(Event::KeyCertified(CertifiedKey { key, holder, kind, authority, serial }));
        events
    }

    fn issue_and_revoke(&mut self) -> Vec<Event> {
        let issued = self.issued(CertificateKind::PhoneAuth, None);
        let at = self.certificates.len() - 1;
        [Some(issued), self.revoke(at, RevocationReason::Superseded)].into_iter().flatten().collect()
    }

    fn renew(&mut self) -> Vec<Event> {
        let Some((at, place)) = self.some_carried() else { return Vec::new() };
        let kind = self.certificates[at].issued.kind;
        let issued = self.issued(kind, Some(place));
        [Some(issued), self.revoke(at, RevocationReason::Superseded)].into_iter().flatten().collect()
    }

    fn report(&mut self) -> Vec<Event> {
        let Some((_, (card, holder))) = self.some_carried() else { return Vec::new() };
        let now = UnixTime::from_seconds(START);
        let mut events = vec![Event::Movement(Movement {
            event: "card-abolition".to_owned(),
            holder,
            card: Some(card),
            kind: None,
            effective_at: now,
            reported_at: None,
        })];
        let carried = |one: &&(usize, Alive)| one.1.issued.card == Some(card);
        let all: Vec<(usize, Alive)> = self.certificates.iter().cloned().enumerate().collect();
        for (at, _) in all.iter().filter(carried) {
            events.extend(self.revoke(*at, RevocationReason::CessationOfOperation));
        }
        let state = CarrierState::Abolished;
        events.push(Event::CardChanged(card, CardStatus { state, suspended_at: None, released_at: None }));
        let status = HolderStatus {
            municipality: Partition(14101),
            moved_at: Some(now),
            overseas_since: Some(now),
            ended_at: None,
        };
        events.push(Event::HolderChanged(holder, status));
        events
    }

    fn change(&mut self) -> Vec<Event> {
        if self.certificates.is_empty() {
            return Vec::new();
        }
        let at = self.random.place(self.certificates.len());
        let reasons = [
            RevocationReason::CertificateHold,
            RevocationReason::KeyCompromise,
            RevocationReason::Superseded,
        ];
        let reason = reasons[self.random.place(3)];
        let held = self.certificates[at].revoked.is_some_and(|it| it.is_hold());
        if held && self.random.below(2) == 0 {
            let alive = &mut self.certificates[at];
            (alive.revoked, alive.changes) = (None, alive.changes + 1);
            return vec![Event::Released(changed(alive, ()))];
        }
        Vec::from_iter(self.revoke(at, reason))
    }

    /// A revocation, where the rule of succession allows it.
    fn revoke(&mut self, at: usize, reason: RevocationReason) -> Option<Event> {
        let alive = &mut self.certificates[at];
        let hold = reason == RevocationReason::CertificateHold;
        match alive.revoked {
            Some(it) if it.is_hold() && hold => return None,
            Some(it)
                if !it.is_hold() && (it.reason == reason || reason != RevocationReason::KeyCompromise) =>
            {
                return None;
            }
            _ => {}
        }
        let revoked_at = alive.revoked.map_or(UnixTime::from_seconds(START), |it| it.revoked_at);
        let became = Revocation { revoked_at, reason, invalidity_date: None };
        (alive.revoked, alive.changes) = (Some(became), alive.changes + 1);
        Some(Event::Revoked(changed(alive, became)))
    }

    fn some_carried(&mut self) -> Option<(usize, (CardId, HolderId))> {
        let on_cards: Vec<usize> =
            (0..self.certificates.len()).filter(|at| self.certificates[*at].issued.card.is_some()).collect();
        let at = on_cards.get(self.random.place(on_cards.len()))?;
        let issued = &self.certificates[*at].issued;
        Some((*at, issued.card.zip(issued.holder)?))
    }
}

fn changed<T>(alive: &Alive, became: T) -> StatusChange<T> {
    StatusChange { certificate: alive.issued.certificate, became, change: alive.changes, cause: None }
}

/// The entries of the decisions, behind that which begins a journal, and the last of each decision.
fn entries(decisions: &[(Origin, Vec<Event>)]) -> (Vec<Numbered>, BTreeSet<Position>) {
    let (mut entries, mut ends) = (Vec::new(), BTreeSet::new());
    let recorded_at = UnixTime::from_seconds(START);
    let mut position = Position(1);
    for (origin, events) in decisions {
        for event in events {
            position = position.next();
            let entry = Entry { recorded_at, origin: origin.clone(), event: event.clone() };
            entries.push(Numbered { position, entry });
        }
        ends.insert(position);
    }
    (entries, ends)
}

fn held(position: Position) -> Held {
    Held { journal_id: [0; 16], position, head: [0; 32] }
}

/// The rows after all entries, written after so many each, though never within a decision.
fn fold(entries: &[Numbered], ends: &BTreeSet<Position>, batch: u64) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut folding = Folding::new(Rows::memory(), batch);
    for numbered in entries {
        folding.fold(numbered).unwrap();
        if folding.is_full() && ends.contains(&numbered.position) {
            folding.write(&held(numbered.position)).unwrap();
        }
    }
    folding.write(&held(entries.last().unwrap().position)).unwrap();
    rows(&folding.rows)
}

/// All but the row that says where they are.
fn rows(rows: &Rows) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let all = rows.iter(&[]).map(|row| row.map(|(key, row)| (key.to_vec(), row.to_vec())).unwrap());
    all.filter(|(key, _)| key != b"p").collect()
}

/// How often a certificate is issued and changed in one batch, after a change of a neighbour in a row of
/// changes was written with an earlier one: what once dropped that neighbour's.
fn neighbours_at_risk(entries: &[Numbered], ends: &BTreeSet<Position>, batch: u64) -> u64 {
    let (mut at_risk, mut gathered) = (0, 0);
    let mut written: BTreeSet<u64> = BTreeSet::new();
    let (mut issued, mut changed): (BTreeSet<SerialNumber>, BTreeSet<u64>) = Default::default();
    for numbered in entries {
        let event = &numbered.entry.event;
        if let Some(certificate) = event.certificate()
            && let Some(number) = certificate.serial.to_u64()
        {
            if matches!(event, Event::Issued(_)) {
                issued.insert(certificate.serial);
            } else {
                at_risk +=
                    u64::from(issued.contains(&certificate.serial) && written.contains(&(number / 64)));
                changed.insert(number / 64);
            }
        }
        gathered += 1;
        if gathered >= batch && ends.contains(&numbered.position) {
            written.append(&mut changed);
            issued.clear();
            gathered = 0;
        }
    }
    at_risk
}

#[test]
fn a_rebuild_in_batches_of_any_size_makes_the_rows_of_one_batch() {
    let mut at_risk = 0;
    for seed in 0..JOURNALS {
        let (entries, ends) = entries(&Life::live(seed));
        let whole = fold(&entries, &ends, u64::MAX);
        for batch in [1, 2, 3, 5, 8, 13, 21, 34] {
            assert_eq!(fold(&entries, &ends, batch), whole, "seed {seed}, batches of {batch}");
            at_risk += neighbours_at_risk(&entries, &ends, batch);
        }
    }
    assert!(at_risk > 10_000, "only {at_risk} changes stood where a neighbour's was lost");
}

#[test]
fn commit_groups_of_any_size_make_the_rows_of_one_batch() {
    for seed in 0..JOURNALS {
        let decisions = Life::live(seed);
        let group_max = [1, 2, 3, 5, 8, 13, 40][usize::try_from(seed % 7).unwrap()];
        let clock = Arc::new(AtomicI64::new(START));
        let disk = SimDisk::new(seed);
        let options = || Options {
            disk: Disk::Simulated(disk.clone()),
            rows: RowsKind::Memory,
            clock: Clock::simulated(Arc::clone(&clock)),
            group_max,
            rebuild_entries: 1 + seed % 11,
            ..Options::new("/store")
        };
        let (mut committer, _) = Committer::open(options(), Vec::new()).unwrap();
        let submissions = decisions.iter().cloned().map(|(origin, events)| Submission {
            origin,
            decide: Box::new(move |_, _| Ok(events.clone())),
            done: Box::new(|outcome| drop(outcome.unwrap())),
        });
        // Some groups are in the rows before the next is decided, and of some several are written at once.
        if seed % 2 == 0 {
            committer.commit(submissions)
        } else {
            committer.commit_only(submissions)
        }
        while committer.shared().projection.turn() {}
        let (entries, ends) = entries(&decisions);
        let whole = fold(&entries, &ends, u64::MAX);
        let made = |committer: &Committer| rows(&committer.shared().projection.rows().unwrap());
        assert_eq!(made(&committer), whole, "seed {seed}, groups of {group_max}");
        drop(committer);
        clock.fetch_add(1, Ordering::SeqCst);
        disk.restart_after_kill();
        let (mut committer, _) = Committer::open(options(), Vec::new()).unwrap();
        committer.rebuild();
        assert_eq!(made(&committer), whole, "seed {seed}, rebuilt after a kill");
        assert!(!Path::new("/store").exists());
    }
}

/// Serials of eight octets and of sixteen, in memory and in sled, page by page: none twice, none left out.
#[test]
fn b_8_pages_of_records_are_all_records_in_the_order_of_serials() {
    let home = tempfile::tempdir().unwrap();
    let (mut wide, mut pages) = (0, 0);
    for seed in 0..40 {
        let (entries, _) = entries(&Life::live(seed));
        let in_sled = Rows::sled(&home.path().join(seed.to_string()), Position(1)).unwrap();
        for rows in [Rows::memory(), in_sled] {
            let mut folding = Folding::new(rows, u64::MAX);
            entries.iter().for_each(|numbered| folding.fold(numbered).unwrap());
            folding.write(&held(entries.last().unwrap().position)).unwrap();
            let mut all: Vec<Record> = Vec::new();
            let orphan = &mut |serial| panic!("{serial}");
            kept::each_record(&folding.rows, AuthorityId(1), &mut |_, one| all.push(one), orphan).unwrap();
            wide += all.iter().filter(|one| one.issued.certificate.serial.to_u64().is_none()).count();
            for most in [1, 2, 3, 8, 9, 1_000] {
                let (mut paged, mut after) = (Vec::new(), None);
                loop {
                    let authority = AuthorityId(1);
                    let page = kept::records_after(&folding.rows, authority, after.as_ref(), most).unwrap();
                    assert!(page.len() <= most);
                    let Some(last) = page.last() else { break };
                    after = Some(last.issued.certificate.serial);
                    paged.extend(page);
                    pages += 1;
                }
                assert_eq!(paged, all, "seed {seed}, pages of {most}");
            }
            assert!(kept::records_after(&folding.rows, AuthorityId(2), None, 9).unwrap().is_empty());
        }
    }
    assert!(wide > 100 && pages > 1_000, "{wide} wide serials in {pages} pages");
}

/// The records are as strict as the index: they are not made from a journal that says something of a
/// certificate that nobody issued.
#[test]
fn what_is_said_of_a_certificate_that_nobody_issued_stops_the_rebuild() {
    let clock = Clock::simulated(Arc::new(AtomicI64::new(START)));
    let disk = SimDisk::new(7);
    let options = || Options {
        disk: Disk::Simulated(disk.clone()),
        rows: RowsKind::Memory,
        clock: clock.clone(),
        ..Options::new("/store")
    };
    let (committer, _) = Committer::open(options(), Vec::new()).unwrap();
    let serial = SerialNumber::try_from(7).unwrap();
    let certificate = CertificateRef { authority: AuthorityId(1), generation: Generation::FIRST, serial };
    let change = StatusChange { certificate, became: (), change: 1, cause: None };
    let recorded_at = UnixTime::from_seconds(START);
    let entry = Entry { recorded_at, origin: Origin::service(), event: Event::Released(change) };
    let mut payload = Vec::new();
    entry.write(&mut payload).unwrap();
    let draft = Draft { epoch: 1, first: Position(2), count: 1, payload: &payload };
    committer.shared().journal.append(&committer.tip.head, draft).unwrap();
    drop(committer);
    disk.restart_after_kill();
    let (mut committer, opened) = Committer::open(options(), Vec::new()).unwrap();
    committer.rebuild();
    assert_eq!(opened.position, Position(2));
    let ready = committer.shared().ready();
    assert!(matches!(ready, Err(NotReady::Projection(StoreError::Unfounded(_)))), "{ready:?}");
}
