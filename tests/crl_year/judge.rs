//! What verifiers see, judged by true time and by the journal alone.

use std::collections::{BTreeMap, BTreeSet};

use sekisho::crl::{Catalogue, CrlKind, Row};
use sekisho::der::UnixTime;
use sekisho::office::Office;
use sekisho::pki::{AuthorityId, Revocation, RevocationReason};
use sekisho::record::{Event, Position};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::world::World;

/// Date and reason by serial.
type Listed = BTreeMap<u64, (i64, u8)>;

#[derive(Default)]
pub struct Judge {
    /// The catalogue as it was read last.
    index: Vec<u8>,
    served: Option<Catalogue>,
    /// Every CRL seen: authority, generation, scope and number, and its kind.
    seen: BTreeMap<(String, u8, String, u128), String>,
    /// Sets that were looked into.
    sets: BTreeSet<String>,
    pub scheduled_sets: u64,
    pub deltas: u64,
    /// Entries that left because their certificates expired.
    pub departed: u64,
    full_before: BTreeMap<String, Listed>,
    account: Account,
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seen, sets, scheduled_sets, deltas, departed, .. } = self;
        write!(
            f,
            "{} CRLs of {} sets, {scheduled_sets} of them scheduled, {deltas} deltas; {departed} left expired",
            seen.len(),
            sets.len()
        )
    }
}

impl Judge {
    pub fn look(&mut self, world: &World) {
        if world.disk.is_down() {
            return;
        }
        let index = world.crl("index.json").expect("there is always a catalogue");
        if index != self.index {
            self.served = Some(serde_json::from_slice(&index).unwrap());
            self.index = index;
        }
        let served = self.served.clone().unwrap();
        for authority in ["sign", "auth"] {
            let of = |kind| served.crls.iter().any(|row| row.authority == authority && row.kind == kind);
            assert!(of(CrlKind::Full) && of(CrlKind::Authority) && of(CrlKind::Partition), "{authority}");
        }
        for row in &served.crls {
            let [this_update, next_update] =
                [&row.this_update, &row.next_update].map(|time| time.parse::<UnixTime>().unwrap());
            assert!(
                this_update <= world.now,
                "{}: from the future, {this_update}, at {}",
                row.url,
                world.now
            );
            if row.kind != CrlKind::Delta {
                assert!(world.now < next_update, "{}: expired {next_update}, at {}", row.url, world.now);
            }
        }
        let sets: BTreeSet<&String> = served.crls.iter().map(|row| &row.set).collect();
        let new: Vec<String> = sets.into_iter().filter(|set| !self.sets.contains(*set)).cloned().collect();
        if let (false, Some(office)) = (new.is_empty(), world.office()) {
            for set in new {
                self.look_into(world, office, &set);
                self.sets.insert(set);
            }
        }
    }

    fn look_into(&mut self, world: &World, office: &Office, set: &str) {
        let own: Catalogue =
            serde_json::from_slice(&world.crl(&format!("sets/{set}/index.json")).unwrap()).unwrap();
        self.account.read_on(office);
        let account = std::mem::take(&mut self.account);
        self.scheduled_sets += u64::from(own.scheduled);
        for row in &own.crls {
            let listed = self.read(world, row);
            match row.kind {
                CrlKind::Delta => {
                    self.deltas += u64::from(row.authority == "sign");
                    let base = row.base_number.unwrap();
                    let path = format!("sets/{base}/{}/{}/full.crl", row.authority, row.generation);
                    let base_listed = entries(&world.crl(&path).expect("the base is kept"));
                    let base_begun = account.sets.iter().find(|set| set.number == base.to_string()).unwrap();
                    // Alone, it leaves to the base who may go.
                    let alone = own.crls.iter().all(|row| row.kind == CrlKind::Delta);
                    let horizon = if alone { base_begun.position } else { own.position };
                    let expected = account.listed(&row.authority, own.position, horizon);
                    assert_eq!(combined(base_listed, &listed), expected, "{}", row.url);
                }
                CrlKind::Full => {
                    let expected = account.listed(&row.authority, own.position, own.position);
                    assert_eq!(listed, expected, "{}", row.url);
                    let before = self.full_before.insert(row.authority.clone(), listed.clone());
                    let gone = before.iter().flatten().filter(|(serial, _)| !listed.contains_key(serial));
                    self.departed += gone.filter(|(_, (_, reason))| *reason != 6).count() as u64;
                }
                CrlKind::Partition | CrlKind::Authority => {
                    let of = |serial: &u64| account.partitions.get(&(row.authority.clone(), *serial));
                    let mut expected = account.listed(&row.authority, own.position, own.position);
                    expected.retain(|serial, _| of(serial).cloned().unwrap_or_default() == row.partition);
                    assert_eq!(listed, expected, "{}", row.url);
                }
            }
        }
        self.account = account;
    }

    /// Reads a CRL, and sees that its number is new and above all before.
    fn read(&mut self, world: &World, row: &Row) -> Listed {
        let bytes = world.crl(row.url.strip_prefix("/crl/").unwrap()).unwrap();
        let (_, list) = CertificateRevocationList::from_der(&bytes).unwrap();
        let number = list.crl_number().unwrap().to_string();
        assert_eq!(number, row.number.to_string());
        let number: u128 = number.parse().unwrap();
        // The full CRL and its deltas share their numbers; one of each may bear the same.
        let whole = matches!(row.kind, CrlKind::Full | CrlKind::Delta);
        let scope = if whole { "whole".to_owned() } else { row.url.rsplit('/').next().unwrap().to_owned() };
        let key = |number| (row.authority.clone(), row.generation, scope.clone(), number);
        let above = self.seen.range(key(number + 1)..=key(u128::MAX)).next();
        assert!(above.is_none(), "{}: below {above:?}", row.url);
        let kind = format!("{:?}", row.kind);
        let again = self.seen.insert(key(number), kind.clone());
        assert!(again.is_none_or(|before| before != kind), "{}: a number twice", row.url);
        entries(&bytes)
    }
}

/// As RFC 5280 §6.3.3 has a verifier combine base and delta.
fn combined(mut base: Listed, delta: &Listed) -> Listed {
    for (serial, entry) in delta {
        match entry.1 {
            8 => drop(base.remove(serial)),
            _ => drop(base.insert(*serial, *entry)),
        }
    }
    base
}

fn entries(bytes: &[u8]) -> Listed {
    let (rest, list) = CertificateRevocationList::from_der(bytes).unwrap();
    assert!(rest.is_empty());
    let mut listed = Listed::new();
    for entry in list.iter_revoked_certificates() {
        let serial = entry.raw_serial().iter().fold(0, |serial, octet| serial << 8 | u64::from(*octet));
        let reason = entry.reason_code().map_or(0, |(_, reason)| reason.0);
        let again = listed.insert(serial, (entry.revocation_date.timestamp(), reason));
        assert!(again.is_none(), "serial {serial} twice");
    }
    listed
}

/// What the journal says, read entry by entry.
#[derive(Default)]
struct Account {
    /// The last entry that was read: what is durable does not change.
    read: u64,
    /// By authority and serial: expiry.
    expiry: BTreeMap<(String, u64), UnixTime>,
    partitions: BTreeMap<(String, u64), Option<String>>,
    /// Changes in order: position, certificate, and what it became (good: none).
    changes: Vec<(u64, (String, u64), Option<Revocation>)>,
    sets: Vec<Begun>,
}

struct Begun {
    number: String,
    position: u64,
    recorded_at: UnixTime,
    scheduled: bool,
    /// Position of the entry that says so.
    published: Option<u64>,
}

impl Account {
    fn read_on(&mut self, office: &Office) {
        let name =
            |authority: AuthorityId| if authority == AuthorityId(1) { "sign" } else { "auth" }.to_owned();
        let account = self;
        for numbered in office.store().entries(Position(account.read + 1)) {
            let numbered = numbered.unwrap();
            let position = numbered.position.0;
            account.read = position;
            match numbered.entry.event {
                Event::Issued(issued) => {
                    let certificate = issued.certificate;
                    let key = (name(certificate.authority), certificate.serial.to_u64().unwrap());
                    account.expiry.insert(key.clone(), issued.not_after);
                    account.partitions.insert(key, issued.partition.map(|partition| partition.to_string()));
                }
                Event::Revoked(change) => {
                    let certificate = change.certificate;
                    let key = (name(certificate.authority), certificate.serial.to_u64().unwrap());
                    account.changes.push((position, key, Some(change.became)));
                }
                Event::Released(change) => {
                    let certificate = change.certificate;
                    let key = (name(certificate.authority), certificate.serial.to_u64().unwrap());
                    account.changes.push((position, key, None));
                }
                Event::CrlSetBegun { scheduled, .. } => account.sets.push(Begun {
                    number: ((1_u128 << 48) + u128::from(position)).to_string(),
                    position,
                    recorded_at: numbered.entry.recorded_at,
                    scheduled,
                    published: None,
                }),
                Event::CrlSetPublished { begun, .. } => {
                    if let Some(set) = account.sets.iter_mut().find(|set| set.position == begun.0) {
                        set.published = Some(position);
                    }
                }
                _ => {}
            }
        }
    }

    /// What a complete CRL from `position` lists, when the sets published before `horizon` decide
    /// who may go.
    fn listed(&self, authority: &str, position: u64, horizon: u64) -> Listed {
        let before = |set: &&Begun| set.scheduled && set.published.is_some_and(|at| at < horizon);
        let last = self.sets.iter().filter(before).map(|set| set.recorded_at).max();
        let mut listed = Listed::new();
        for (_, (of, serial), became) in self.changes.iter().filter(|(at, ..)| *at <= position) {
            if of != authority {
                continue;
            }
            listed.remove(serial);
            let Some(revocation) = became else { continue };
            let expiry = self.expiry[&(of.clone(), *serial)];
            let gone = last.is_some_and(|last| expiry < last && revocation.revoked_at < last);
            if !gone {
                let reason = if revocation.reason == RevocationReason::Unspecified {
                    0
                } else {
                    revocation.reason.code()
                };
                listed.insert(*serial, (revocation.revoked_at.seconds(), reason));
            }
        }
        listed
    }
}
