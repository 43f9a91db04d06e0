//! No serial is given twice under one authority, whatever signers were issued elsewhere.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sekisho::lifecycle::Revoke;
use sekisho::office::{OfficeError, SignerFileError, SignerNamed, SignerRevocation, SignersNamed};
use sekisho::pki::{AuthorityId, RevocationReason, SerialNumber};
use sekisho::record::{Event, Origin, Position};

use crate::files::{KeyFile, Wanted, clear, key, key_of, long_serial, put};
use crate::home::{Home, issuer, serial};
use crate::refused::resident;

const SIGN: AuthorityId = AuthorityId(1);

/// A file whose key is that of a revoked signer is refused for that.
const REVOKED_KEY: [&str; 2] =
    ["its key is that of the signer ", ", which is revoked: have one issued for a new key"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// A signer of another authority's staff, whose serial is so far from the counter's.
    Import(i64),
    /// One with any serial of up to 8 octets.
    ImportAny(u64),
    /// One with a serial that no counter comes to; a few of them are the same.
    ImportLong(u64),
    Issue,
    RollOver,
    Renew,
    /// The one in use.
    Revoke,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (-3..2000_i64).prop_map(Step::Import),
        2 => any::<u64>().prop_map(|number| Step::ImportAny(number.max(1))),
        4 => (0..3_u64).prop_map(Step::ImportLong),
        4 => Just(Step::Issue),
        2 => Just(Step::RollOver),
        2 => Just(Step::Renew),
        3 => Just(Step::Revoke),
        1 => Just(Step::Restart),
    ]
}

/// One authority, and every certificate under it that was ever used.
struct Town {
    home: Home,
    keys: Vec<KeyFile>,
    imports: u32,
    /// By serial, SHA-256 of the certificate.
    seen: BTreeMap<SerialNumber, [u8; 32]>,
    generations: u8,
    /// A signer was revoked, and its key with it.
    revoked: bool,
}

impl Town {
    fn new() -> Self {
        let home = Home::started(r#"signers = ["p256"]"#);
        let dir = home.home.path().to_owned();
        let p256 = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
        let keys = (0..6).map(|number| key(&dir, &format!("k{number}"), &p256)).collect();
        Self { home, keys, imports: 0, seen: BTreeMap::new(), generations: 1, revoked: false }
    }

    /// True when it did something.
    fn take(&mut self, step: Step) -> bool {
        self.home.pass(700);
        let office = self.home.office();
        match step {
            Step::Import(off) => {
                let next = office.store().coming_serial(SIGN).unwrap().to_u64().unwrap();
                let number = next.saturating_add_signed(off).max(1);
                assert!(!self.import(serial(number)), "{number:#x} is the counter's");
                true
            }
            Step::ImportAny(number) => {
                assert!(!self.import(serial(number)), "{number:#x} is the counter's");
                true
            }
            Step::ImportLong(end) => self.import(long_serial(end)),
            Step::Issue => {
                resident(office);
                true
            }
            Step::RollOver if self.generations < 4 => {
                self.generations += 1;
                crate::issuers::new_generation(office, SIGN);
                true
            }
            Step::RollOver => false,
            Step::Renew => office.renew_signers_now(&SignersNamed::default(), &Origin::service()).is_ok(),
            Step::Revoke => {
                let changed = self.revoke().is_ok_and(|changed| changed);
                self.revoked |= changed;
                changed
            }
            Step::Restart => {
                self.home.stop();
                self.home.start().unwrap();
                true
            }
        }
    }

    /// What a new certificate of this serial is refused for, if for its serial.
    fn refusal(&self, serial: SerialNumber) -> Option<SignerFileError> {
        let entries = self.home.office().store().entries(Position(1)).map(Result::unwrap);
        let on_record = entries.into_iter().find_map(|numbered| match numbered.entry.event {
            Event::Issued(issued)
                if (issued.certificate.authority, issued.certificate.serial) == (SIGN, serial) =>
            {
                Some((issued.kind, issued.holder.is_some()))
            }
            _ => None,
        });
        match on_record {
            Some((_, true)) => Some(SignerFileError::ResidentsSerial(serial)),
            Some((kind, false)) => Some(SignerFileError::SerialTaken(serial, kind)),
            None => serial.to_u64().map(|_| SignerFileError::SerialOfCounter(serial)),
        }
    }

    /// Puts a signer of the newest key there; true when it was taken.
    fn import(&mut self, serial: SerialNumber) -> bool {
        let (dir, data) = (self.home.home.path().to_owned(), self.home.data());
        let ca = issuer(self.home.office(), 1, self.generations);
        let count = usize::try_from(self.imports).unwrap();
        let key = &self.keys[count % self.keys.len()];
        self.imports += 1;
        clear(&data);
        let refusal = self.refusal(serial);
        let wanted = Wanted { serial, ..Wanted::right(&ca, key, self.home.now()) };
        put(&data, "given", &wanted.signed(&dir, &key_of(&data, &ca)), &key.path);
        match self.home.office().reload_signers() {
            Ok(given) => given.len() == 1,
            Err(error) => {
                let told = error.to_string();
                let is_of_serial = refusal.is_some_and(|refusal| told.contains(&refusal.to_string()));
                let is_ca_certificate =
                    self.revoked && told.contains(REVOKED_KEY[0]) && told.contains(REVOKED_KEY[1]);
                assert!(is_of_serial || is_ca_certificate, "{told}");
                assert!(fs::remove_file(data.join("signers/given.pem")).is_ok(), "{told}");
                clear(&data);
                self.home.office().reload_signers().unwrap();
                false
            }
        }
    }

    fn revoke(&self) -> Result<bool, OfficeError> {
        let states = self.home.office().signers(false)?;
        let ours = states.iter().filter(|one| one.authority == "sign" && one.file.is_some());
        let of_here = states.iter().filter(|one| one.authority == "sign");
        let Some(one) = ours.chain(of_here).next() else { return Ok(false) };
        let which = SignerNamed::Serial { authority: "sign".to_owned(), serial: one.serial };
        let revoke = Revoke { reason: Some(RevocationReason::KeyCompromise), invalidity_date: None };
        let asked = SignerRevocation { which, revoke, without_successor: true };
        Ok(self.home.office().revoke_signer(&asked, Origin::service())?.changed)
    }

    /// Every certificate in the journal, each serial once.
    fn look(&mut self) {
        self.seen.clear();
        for numbered in self.home.office().store().entries(Position(1)).map(Result::unwrap) {
            if let Event::Issued(issued) = numbered.entry.event
                && issued.certificate.authority == SIGN
            {
                let before = self.seen.insert(issued.certificate.serial, issued.sha256);
                assert_eq!(before, None, "{} twice", issued.certificate.serial);
            }
        }
    }
}

#[test]
fn no_serial_is_given_twice_whatever_was_imported() {
    let config = Config { cases: 6, max_shrink_iters: 20, failure_persistence: None, ..Config::default() };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let counted: RefCell<BTreeMap<String, u32>> = RefCell::default();
    TestRunner::new_with_rng(config, random)
        .run(&prop::collection::vec(step(), 24), |steps| {
            let mut town = Town::new();
            for step in steps {
                if town.take(step) {
                    let name = format!("{step:?}");
                    let name = name.split('(').next().unwrap().to_owned();
                    *counted.borrow_mut().entry(name).or_default() += 1;
                }
                town.look();
            }
            // What a file says moves no counter: a block is 1,024.
            let reserved = town.home.office().store().facts().reserved[&SIGN];
            prop_assert!(reserved < 64 * 1024, "{reserved:#x}");
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    let counted = counted.into_inner();
    println!("with effect: {counted:?}");
    for name in ["Import", "ImportAny", "ImportLong", "Issue", "RollOver", "Renew", "Revoke", "Restart"] {
        assert!(counted.get(name).copied().unwrap_or(0) >= 3, "{name} hardly happened: {counted:?}");
    }
}

/// One far ahead, revoked: it had moved the counter there, and what was being issued then met it.
#[test]
fn a_signer_with_a_serial_of_the_counter_is_refused_and_the_next_key_is_made() {
    let mut town = Town::new();
    let office = std::sync::Arc::clone(town.home.office());
    let reserved = office.store().facts().reserved[&SIGN];
    let coming = office.store().coming_serial(SIGN).unwrap().to_u64().unwrap();
    for number in [coming, coming + 1, reserved, reserved + 1, reserved + 2, u64::MAX] {
        assert!(!town.import(serial(number)), "{number:#x}");
    }
    assert_eq!(office.store().facts().reserved[&SIGN], reserved);
    for _ in 0..2 {
        crate::issuers::new_generation(&office, SIGN);
        town.home.pass(60);
    }
    town.look();
}
