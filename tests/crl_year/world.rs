//! An office on a machine whose clocks, disk and signing device the test holds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sekisho::config::{Config, SignerKey};
use sekisho::der::UnixTime;
use sekisho::office::data::DataDir;
use sekisho::office::{
    self, Application, Keeper, Machine, Office, Place, Selector, Spelling, SubjectKeySource, Wish,
};
use sekisho::pki::{CertificateKind, Partition, RevocationReason};
use sekisho::record::Origin;
use sekisho::signer::SimDevice;
use sekisho::store::{Clock, Disk, Hands, RowsKind, SimDisk};

use crate::dice::Dice;
use crate::turns;

/// How often the schedule looks: its own interval after a failure.
pub const STEP: Duration = Duration::from_secs(600);

/// Longest time that a fault lasts: three of them, one after another, are less than a day.
const FAULT_STEPS_MAX: u64 = 6 * 6;

const DAY_STEPS: u64 = 144;
const DAY: u64 = 86_400;

/// When the year begins; the first certificates are four years older.
const START: &str = "2030-06-15T03:00:00Z";

/// Municipalities, with addresses there.
const PLACES: [(u32, &str); 5] = [
    (13221, "東京都清瀬市"),
    (1361, "北海道江差町"),
    (1514, "北海道枝幸町"),
    (27100, "大阪府大阪市"),
    (47201, "沖縄県那覇市"),
];

#[derive(Debug, Clone, Copy)]
pub enum Fault {
    Kill,
    DeviceGone,
    ClockJumps,
    DiskFull,
}

/// What happened.
#[derive(Debug, Default)]
pub struct Told {
    pub kills: u64,
    pub killed_in_the_middle: u64,
    pub outages: u64,
    pub jumps: u64,
    pub full: u64,
    pub builds_failed: u64,
    pub changes: u64,
    pub refused: u64,
}

pub struct World {
    _home: tempfile::TempDir,
    data: DataDir,
    config: Config,
    pub disk: SimDisk,
    machine: Machine,
    device: SimDevice,
    hands: Arc<Hands>,
    /// True time passes, whatever the wall clock shows.
    pub now: UnixTime,
    running: Option<(Arc<Office>, Keeper)>,
    certificates: Vec<(Selector, CertificateKind)>,
    /// Steps until each fault is over.
    device_back_in: u64,
    clock_back_in: u64,
    clock_off: i64,
    room_in: u64,
    failed_before: u64,
    pub told: Told,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        let now: UnixTime = START.parse().unwrap();
        let before = Duration::from_secs(4 * 366 * DAY);
        let hands = Hands::new(now.minus(before));
        let (disk, device) = (SimDisk::new(seed), SimDevice::default());
        let machine = Machine {
            disk: Disk::Simulated(disk.clone()),
            rows: RowsKind::Memory,
            device: Some(device.clone()),
        };
        let clock = Clock::by_hand(Arc::clone(&hands));
        office::init_on(&data, "SEKISHO-TEST", &clock, &machine).unwrap();
        let mut config = Config::read(&data.config()).unwrap();
        config.crl.delta_minutes = 360;
        // Sets go all the year, and the simulated disk is the faster the less is on it.
        config.crl.keep_days = 5;
        // A year of RSA keys for OCSP takes minutes to draw, and is another test's.
        config.ocsp.signers = vec![SignerKey::P256];
        let mut world = Self {
            _home: home,
            data,
            config,
            disk,
            machine,
            device,
            hands,
            now: now.minus(before),
            running: None,
            certificates: Vec::new(),
            device_back_in: 0,
            clock_back_in: 0,
            clock_off: 0,
            room_in: 0,
            failed_before: 0,
            told: Told::default(),
        };
        world.start();
        // Residents whose certificates expire in the course of the year.
        for number in 0..24_u64 {
            let kind = if number % 2 == 0 { CertificateKind::CardSign } else { CertificateKind::CardAuth };
            world.issue(kind, (number % 5) as usize, &format!("1980-{:02}-17", number % 12 + 1));
        }
        // A change comes a second after the last: in true time nobody waits for it here.
        world.pass(Duration::from_secs(2));
        for certificate in 0..8 {
            world.revoke(certificate, RevocationReason::AffiliationChanged);
        }
        world.pass(before - Duration::from_secs(2));
        // As after four years without a service: the machine is started anew.
        world.kill();
        world.start();
        assert_eq!(world.now, START.parse().unwrap());
        world
    }

    /// The day's four, each at its step; every other one in the hour before or the minutes of the
    /// daily build.
    pub fn faults_of_a_day(&self, dice: &mut Dice) -> Vec<(u64, Fault)> {
        let until_midnight = {
            let since = (self.now.seconds() + 9 * 3600).rem_euclid(DAY as i64) as u64;
            (DAY - since).div_ceil(STEP.as_secs())
        };
        let all = [Fault::Kill, Fault::DeviceGone, Fault::ClockJumps, Fault::DiskFull];
        let faults = all.map(|fault| {
            let near = (until_midnight + DAY_STEPS - dice.roll(7)) % DAY_STEPS;
            let at = if dice.roll(2) == 0 { near } else { dice.roll(DAY_STEPS) };
            (at, fault)
        });
        faults.to_vec()
    }

    /// Ten minutes: faults end and strike, the office's work goes on, the schedule looks.
    pub fn step(&mut self, fault: Option<Fault>, dice: &mut Dice) {
        self.pass(STEP);
        for left in [&mut self.device_back_in, &mut self.clock_back_in, &mut self.room_in] {
            *left = left.saturating_sub(1);
        }
        self.end_faults();
        if let Some(fault) = fault {
            self.strike(fault, dice);
        }
        self.work(dice);
        self.look();
        if self.disk.is_down() {
            self.told.killed_in_the_middle += 1;
            self.restart(dice);
        }
        // A store that the full disk left unwritable is started again by the operator.
        let unready = self.running.as_ref().is_none_or(|(office, _)| office.store().ready().is_err());
        if unready && self.room_in == 0 {
            self.restart(dice);
        }
    }

    pub fn strike(&mut self, fault: Fault, dice: &mut Dice) {
        let lasts = 1 + dice.roll(FAULT_STEPS_MAX - 1);
        match fault {
            Fault::Kill => {
                self.told.kills += 1;
                // In the middle of whatever is written next, or at once.
                if dice.roll(4) > 0 {
                    self.disk.crash_after(1 + dice.roll(300));
                } else {
                    self.restart(dice);
                }
            }
            Fault::DeviceGone => {
                self.told.outages += 1;
                self.device_back_in = lasts;
                self.device.set_gone(true);
            }
            Fault::ClockJumps => {
                self.told.jumps += 1;
                self.end_jump();
                let off = [-172_800, -3_600, 3_600, 86_400, 172_800][dice.roll(5) as usize];
                (self.clock_off, self.clock_back_in) = (off, lasts);
                self.hands.step(off);
            }
            Fault::DiskFull => {
                self.told.full += 1;
                self.room_in = lasts;
                self.disk.set_full(true);
            }
        }
    }

    fn end_faults(&mut self) {
        if self.device_back_in == 0 {
            self.device.set_gone(false);
        }
        if self.clock_back_in == 0 {
            self.end_jump();
        }
        if self.room_in == 0 {
            self.disk.set_full(false);
        }
    }

    fn end_jump(&mut self) {
        self.hands.step(-std::mem::take(&mut self.clock_off));
        self.clock_back_in = 0;
    }

    /// Every fault is over, and what was due has been done.
    pub fn heal(&mut self) {
        (self.device_back_in, self.clock_back_in, self.room_in) = (0, 0, 0);
        let mut dice = Dice::new(1);
        for _ in 0..4 {
            self.step(None, &mut dice);
        }
    }

    /// Residents come, move and lose their phones.
    fn work(&mut self, dice: &mut Dice) {
        if dice.roll(40) > 0 {
            return;
        }
        let certificate = dice.roll(self.certificates.len() as u64) as usize;
        match dice.roll(6) {
            0 => {
                let kinds =
                    [CertificateKind::CardSign, CertificateKind::CardAuth, CertificateKind::PhoneAuth];
                let kind = kinds[dice.roll(3) as usize];
                self.issue(kind, dice.roll(5) as usize, "1982-02-17");
            }
            1 => self.revoke(certificate, RevocationReason::Superseded),
            2 | 3 => self.change(certificate, Wish::Hold { invalidity_date: None }),
            4 => self.change(certificate, Wish::Release),
            _ => self.revoke(certificate, RevocationReason::KeyCompromise),
        }
    }

    fn issue(&mut self, kind: CertificateKind, place: usize, birth: &str) {
        let Some((office, _)) = &self.running else { return };
        let (partition, address) = PLACES[place];
        let application = Application {
            name: "関所 花子".to_owned(),
            birth: birth.to_owned(),
            sex: "female".to_owned(),
            address: address.to_owned(),
            spelling: Spelling::default(),
            municipality: Partition(partition),
            kinds: vec![kind],
            subject_key: SubjectKeySource::TestKey,
            place: Place::New,
        };
        // Refused while nothing can be signed or written.
        match office.issue(&application, Origin::service()) {
            Ok(pair) => {
                let one = &pair.certificates[0];
                let (authority, serial) = (one.authority.clone(), one.issued.certificate.serial);
                self.certificates.push((Selector::Named { authority, serial }, kind));
                self.told.changes += 1;
            }
            Err(_) => self.told.refused += 1,
        }
    }

    fn revoke(&mut self, certificate: usize, reason: RevocationReason) {
        self.change(certificate, Wish::revoke(Some(reason), None));
    }

    fn change(&mut self, certificate: usize, wish: Wish) {
        let Some((office, _)) = &self.running else { return };
        let (certificate, _) = self.certificates[certificate].clone();
        match turns::change(office, &certificate, wish, Origin::service()) {
            Ok(changed) => {
                self.told.changes += 1;
                // Whatever the wall clock shows.
                if changed.changed {
                    let off = changed.recorded_at.seconds() - self.now.seconds();
                    assert!(off.abs() <= 1, "recorded {off} s from true time");
                }
            }
            Err(_) => self.told.refused += 1,
        }
    }

    fn look(&mut self) {
        let Some((office, keeper)) = &mut self.running else { return };
        keeper.look();
        let failed = office.builds_failed();
        if failed > self.failed_before {
            self.told.builds_failed += failed - self.failed_before;
            self.failed_before = failed;
            let reasons = office.unready();
            assert!(!reasons.is_empty(), "alarmed from the first failure");
        }
    }

    fn start(&mut self) {
        let clock = Clock::by_hand(Arc::clone(&self.hands));
        let url = "http://127.0.0.1:8080".to_owned();
        let started = Office::start_on(self.data.clone(), self.config.clone(), clock, url, &self.machine);
        // Not on a full disk, perhaps.
        if let Ok((office, _)) = started {
            self.failed_before = 0;
            // Records are made anew by the machine's own time, beside answering: the hands wait for it.
            office.store().wait_ready();
            self.running = Some((Arc::clone(&office), Keeper::new(office)));
        } else {
            assert!(self.room_in > 0 || self.disk.is_down(), "no start: {:?}", started.err());
        }
    }

    fn kill(&mut self) {
        // Nothing more is written.
        self.disk.crash_after(1);
        self.running = None;
        self.disk.restart_after_kill();
    }

    /// The process is killed and started again; one time in three the machine lost power.
    fn restart(&mut self, dice: &mut Dice) {
        self.disk.crash_after(1);
        self.running = None;
        // Who starts a machine looks at its clock.
        self.end_jump();
        if dice.roll(3) == 0 {
            self.disk.restart_after_power_loss();
        } else {
            self.disk.restart_after_kill();
        }
        self.start();
        self.look();
    }

    fn pass(&mut self, duration: Duration) {
        self.hands.pass(duration);
        self.now = self.now.plus(duration);
    }

    pub fn office(&self) -> Option<&Arc<Office>> {
        self.running.as_ref().map(|(office, _)| office)
    }

    pub fn crl(&self, path: &str) -> Option<Vec<u8>> {
        let path: PathBuf = self.data.crl().join(path);
        self.machine.disk.read(&path).ok().flatten()
    }

    /// Records, OCSP and every CRL that is kept agree.
    pub fn assert_agreement(&self) {
        let Some(office) = self.office() else { return };
        // Whoever runs it sees to what a power loss cut off: here nothing of it was acknowledged.
        drop(office.see_cuts());
        let alarms = office.unready();
        let findings = office.examine(None).unwrap().findings;
        let wrong: Vec<_> = findings.into_iter().filter(|finding| !alarms.contains(finding)).collect();
        assert_eq!(wrong, Vec::<String>::new());
    }
}
