//! Carries a simulation out, day by day, on an office whose clock it sets.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::calendar::{Calendar, hour};
use super::country::{Country, Day, MONTH, MONTHS_BEFORE, Wanted};
use super::population::Population;
use super::tally::Tally;
use super::{Plan, SimulateError, Tell, open_homes};
use crate::config::Config;
use crate::der::UnixTime;
use crate::office::data::DataDir;
use crate::office::{self, CardApplication, Office, OfficeError, Reported};
use crate::pki::{AuthorityId, CertificateKind};
use crate::record::{Actor, Origin, Refusal};
use crate::store::Clock;
use crate::sync::in_parallel;

/// Counters that take applications and hand cards over: each waits for the disk most of the time.
const COUNTERS: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// How long an OCSP signer is valid: the longest there may be.
const SIGNER_DAYS: u32 = 90;

/// Issued, or reported, at once.
const AT_ONCE: usize = 1000;

/// Runs a plan in a fresh data directory, with a stop as by a crash in the middle of it, and counts
/// what it came to. The office it ran in is still open.
///
/// # Errors
/// There is a data directory already, the plan ends in the future, the service fails, or cards,
/// certificates, CRLs and journal disagree in the middle or at the end.
pub fn run(data: &DataDir, plan: &Plan, tell: Tell<'_>) -> Result<(Arc<Office>, Tally), SimulateError> {
    let calendar = Calendar::new(plan.from);
    let days = i64::from(plan.days);
    if calendar.at(days, hour(1)) > Clock::system().now() {
        return Err(SimulateError::Ahead);
    }
    let before = (MONTHS_BEFORE + 1) * MONTH;
    let service = Service::open(data, calendar.at(-before, hour(0)))?;
    let population = Population::new(service.office.profile());
    open_homes(&service.office, &population, plan.residents)?;
    let country = Country::new(calendar, plan.seed, plan.residents, population);
    let mut year = Year { calendar, country, service, tally: Tally::of(plan) };
    let total = u64::from(plan.days) + u64::try_from(MONTHS_BEFORE).unwrap_or(0);
    let mut done = 0;
    let mut tell = || {
        done += 1;
        tell(done, total);
    };
    for (before, applicants) in (1..).zip(year.country.with_card()).collect::<Vec<_>>().into_iter().rev() {
        year.hand_out(-before * MONTH, applicants)?;
        tell();
    }
    for today in 0..days {
        if today % MONTH == 0 {
            year.publish(calendar.at(today, hour(0)))?;
        }
        year.day(today)?;
        if today == days / 2 {
            year = year.restart(today)?;
        }
        tell();
    }
    year.conclude(days)
}

/// A service on a clock that is set.
struct Service {
    data: DataDir,
    config: Config,
    seconds: Arc<AtomicI64>,
    office: Arc<Office>,
}

struct Year {
    calendar: Calendar,
    country: Country,
    service: Service,
    tally: Tally,
}

impl Service {
    fn open(data: &DataDir, now: UnixTime) -> Result<Self, OfficeError> {
        let seconds = Arc::new(AtomicI64::new(now.seconds()));
        let clock = Clock::simulated(Arc::clone(&seconds));
        office::init_at(data, &Config::default().profile.organization, &clock)?;
        let mut config = Config::read(&data.config())?;
        // Making RSA keys of signers every few days would take longer than all the rest.
        config.ocsp.signer_validity_days = SIGNER_DAYS;
        let office = open(data, &config, &seconds)?;
        Ok(Self { data: data.clone(), config, seconds, office })
    }

    fn set(&self, now: UnixTime) {
        self.seconds.store(now.seconds(), Ordering::SeqCst);
    }

    /// Stops as by a crash, and starts again.
    fn restart(self) -> Result<Self, OfficeError> {
        let Self { data, config, seconds, office } = self;
        drop(office);
        let office = open(&data, &config, &seconds)?;
        office.settle()?;
        Ok(Self { data, config, seconds, office })
    }
}

fn open(data: &DataDir, config: &Config, seconds: &Arc<AtomicI64>) -> Result<Arc<Office>, OfficeError> {
    let clock = Clock::simulated(Arc::clone(seconds));
    // Where the service will be asked when it is started here.
    let url = format!("http://{}", config.public.listen);
    Ok(Office::start(data.clone(), config.clone(), clock, url)?.0)
}

impl Year {
    /// A month before the beginning: cards are applied for, issued and handed over.
    fn hand_out(&mut self, today: i64, applicants: Vec<usize>) -> Result<(), OfficeError> {
        self.service.set(self.calendar.at(today, hour(8)));
        self.service.office.renew_signers()?;
        self.at_the_counters(today, Day::of_applications(applicants))?;
        let tomorrow = self.country.planned(today + 1);
        self.at_the_counters(today + 1, tomorrow)
    }

    fn day(&mut self, today: i64) -> Result<(), OfficeError> {
        self.service.set(self.calendar.at(today, hour(8)));
        self.service.office.renew_signers()?;
        let day = self.country.day(today);
        self.at_the_counters(today, day)?;
        self.service.set(self.calendar.at(today, hour(23)));
        let lines = self.country.night(today);
        self.report(&lines)
    }

    /// Hours lie between what may concern the same certificate.
    fn at_the_counters(&mut self, today: i64, day: Day) -> Result<(), OfficeError> {
        let Day { reports, applications, mut issues, collections, .. } = day;
        self.service.set(self.calendar.at(today, hour(9)));
        self.report(&reports)?;
        self.service.set(self.calendar.at(today, hour(11)));
        issues.extend(self.apply(today, applications)?);
        self.service.set(self.calendar.at(today, hour(13)));
        self.issue(today, &issues)?;
        self.service.set(self.calendar.at(today, hour(15)));
        self.hand_over(today, collections)
    }

    fn report(&mut self, lines: &[Reported]) -> Result<(), OfficeError> {
        for lines in lines.chunks(AT_ONCE) {
            for outcome in self.service.office.report(lines, &Actor::service()) {
                if let Some(effect) = self.tally.reports.count(outcome)? {
                    let is_new = !effect.repeated;
                    self.tally.reports_with_effect += u64::from(is_new && !effect.changed.is_empty());
                    self.tally.reports_repeated += u64::from(effect.repeated);
                }
            }
        }
        Ok(())
    }

    fn apply(&mut self, today: i64, applicants: Vec<usize>) -> Result<Vec<Wanted>, OfficeError> {
        let asked: Vec<(usize, CardApplication)> = applicants
            .into_iter()
            .map(|resident| {
                let expires = Some(self.country.card_expires(resident, today));
                let one = self.country.residents.get(resident);
                let home = one.map_or(0, |one| one.person.home);
                let municipality = self.country.population.partition(home);
                let holder = one.and_then(|one| one.holder);
                (resident, CardApplication { holder, municipality, expires })
            })
            .collect();
        let office = &self.service.office;
        let applied = in_parallel(COUNTERS, asked, |(resident, asked)| {
            (resident, office.apply_for_card(&asked, Origin::service()))
        });
        let mut wanted = Vec::new();
        for (resident, applied) in applied {
            if let Some(applied) = self.tally.applications.count(applied)? {
                wanted.push(self.country.applied(today, resident, applied.card, applied.holder));
            }
        }
        Ok(wanted)
    }

    fn issue(&mut self, today: i64, wanted: &[Wanted]) -> Result<(), OfficeError> {
        for wanted in wanted.chunks(AT_ONCE) {
            let asked = wanted.iter().filter_map(|one| {
                let person = self.country.residents.get(one.resident)?.person;
                let application = self.country.population.application(&person, one.place, &one.kinds);
                Some((application, Origin::service()))
            });
            let asked: Vec<_> = asked.collect();
            for (one, pair) in wanted.iter().zip(self.service.office.issue_all(&asked)) {
                let Some(pair) = self.tally.issues.count(pair)? else { continue };
                let Some(last) = pair.certificates.last().map(|last| &last.issued) else { continue };
                // The authentication certificate comes last.
                let ends = (last.kind == CertificateKind::CardAuth).then_some(last.not_after);
                if let Some(card) = last.card {
                    self.country.issued(today, one, card, ends);
                }
            }
        }
        Ok(())
    }

    fn hand_over(&mut self, today: i64, collections: Vec<usize>) -> Result<(), OfficeError> {
        let waiting = collections
            .into_iter()
            .filter_map(|resident| Some((resident, self.country.residents.get(resident)?.waiting?.id)));
        let office = &self.service.office;
        let handed_over = in_parallel(COUNTERS, waiting.collect(), |(resident, card)| {
            (resident, office.hand_over(card, Origin::service()))
        });
        for (resident, outcome) in handed_over {
            let is_bad = matches!(outcome, Err(OfficeError::Refused(Refusal::NotGood { .. })));
            if self.tally.hand_overs.count(outcome)?.is_some() || is_bad {
                self.country.collected(today, resident, is_bad);
            }
        }
        Ok(())
    }

    fn publish(&mut self, now: UnixTime) -> Result<(), OfficeError> {
        self.service.set(now);
        let office = &self.service.office;
        office.renew_signers()?;
        let all: Vec<AuthorityId> =
            office.profile().authorities.iter().map(|authority| authority.id).collect();
        office.publish(&all, true)?;
        self.tally.crl_sets += 1;
        Ok(())
    }

    /// Stops as by a crash and starts again; nothing may disagree then.
    fn restart(self, today: i64) -> Result<Self, SimulateError> {
        let Self { calendar, country, service, tally } = self;
        let mut year = Self { calendar, country, service: service.restart()?, tally };
        year.publish(calendar.at(today, hour(24) - Duration::from_secs(1)))?;
        year.examine(today)?;
        Ok(year)
    }

    /// Nothing may disagree.
    fn examine(&self, day: i64) -> Result<(), SimulateError> {
        let (_, disagreements) = self.service.office.reconcile()?;
        if let Some(first) = disagreements.first() {
            let (count, first) = (disagreements.len(), first.to_string());
            return Err(SimulateError::Disagree { day, count, first });
        }
        let findings = self.service.office.examine(None)?.findings;
        match findings.first().cloned() {
            Some(first) => Err(SimulateError::Findings { day, count: findings.len(), first }),
            None => Ok(()),
        }
    }

    fn conclude(mut self, days: i64) -> Result<(Arc<Office>, Tally), SimulateError> {
        let now = self.calendar.at(days, Duration::ZERO);
        self.publish(now)?;
        self.examine(days)?;
        let residents = self.country.residents.iter().enumerate();
        let numbers: HashMap<_, _> =
            residents.filter_map(|(number, one)| Some((one.holder?, number))).collect();
        self.tally.take_stock(&self.service.office, &numbers, now)?;
        Ok((self.service.office, self.tally))
    }
}
