//! People, and what they go through: knows what is asked of the service and when, not the service.

use std::collections::{BTreeMap, HashSet};

use time::Date;

use super::calendar::{Calendar, age, birthday_after, hour};
use super::dice::Dice;
use super::fortune::{self, Fortune};
use super::population::{Person, Population};
use crate::der::UnixTime;
use crate::office::{Place, Reported, Subject};
use crate::pki::{CertificateKind, Partition};
use crate::record::{CardId, HolderId};

/// The pair of a card.
const PAIR: [CertificateKind; 2] = [CertificateKind::CardSign, CertificateKind::CardAuth];

/// The pair of a phone.
const PHONE_PAIR: [CertificateKind; 2] = [CertificateKind::PhoneSign, CertificateKind::PhoneAuth];

/// Nobody younger gets a signing certificate.
const SIGNING_AGE: i32 = 15;

/// Cards of those younger live half as long.
const ADULT_AGE: i32 = 18;

/// Birthdays until a card expires.
const CARD_BIRTHDAYS: [i32; 2] = [5, 10];

/// Of so many people the eldest dies.
const ELDEST_OF: usize = 6;

/// The oldest at the beginning.
const AGES: u64 = 95;

/// Of a hundred people so many have a card at the beginning.
const WITH_CARD: u64 = 80;

/// Cards of the beginning were applied for in so many months before it: short of four years, so that
/// the certificates on all of them still hold.
pub(super) const MONTHS_BEFORE: i64 = 48;

/// Days of such a month.
pub(super) const MONTH: i64 = 30;

/// All that a day brings to the counters, by telephone and from the resident registry.
#[derive(Debug, Default)]
pub(super) struct Day {
    /// What is reported in the morning; of each person one thing at most.
    pub(super) reports: Vec<Reported>,
    spoken_for: HashSet<usize>,
    /// Who applies for a card.
    pub(super) applications: Vec<usize>,
    /// Who gets which certificates on what.
    pub(super) issues: Vec<Wanted>,
    /// Who comes to collect a card.
    pub(super) collections: Vec<usize>,
}

impl Day {
    /// One that brings nothing else.
    pub(super) fn of_applications(applications: Vec<usize>) -> Self {
        Self { applications, ..Self::default() }
    }
}

/// Certificates wanted.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) resident: usize,
    pub(super) place: Place,
    pub(super) kinds: Vec<CertificateKind>,
}

/// Something a resident will do on a day to come.
#[derive(Debug, Clone, Copy)]
enum Errand {
    Apply,
    Collect,
    /// Certificates on the card that waits, instead of those that a move revoked.
    Mend,
    Renew,
    RenewSigning,
    ReplaceLost,
    ReplaceExpiring,
    FindPhone,
    GivePhoneUp,
}

/// A resident, as they see it themselves.
#[derive(Debug)]
pub(super) struct Resident {
    pub(super) person: Person,
    pub(super) holder: Option<HolderId>,
    /// In their hands.
    card: Option<OwnCard>,
    /// Applied for.
    pub(super) waiting: Option<OwnCard>,
    phone: Option<CardId>,
    /// They are about to get a card, or another one.
    is_waiting: bool,
    /// Dead, deleted or abroad: nothing happens to them any more.
    is_gone: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct OwnCard {
    pub(super) id: CardId,
    pub(super) expires: UnixTime,
}

/// The country.
#[derive(Debug)]
pub(super) struct Country {
    calendar: Calendar,
    pub(super) dice: Dice,
    pub(super) population: Population,
    /// Places that somebody lives in: nobody moves to others.
    lived_in: Vec<usize>,
    pub(super) residents: Vec<Resident>,
    errands: BTreeMap<i64, Vec<(usize, Errand)>>,
    /// What the registry will report, by the night it comes.
    feed: BTreeMap<i64, Vec<Reported>>,
    events: u64,
}

impl Country {
    pub(super) fn new(calendar: Calendar, seed: u64, count: u32, population: Population) -> Self {
        let mut dice = Dice::new(seed);
        let lived_in = Vec::from_iter(population.homes(count));
        let people = (0..count).map(|number| {
            let days_old = dice.below(AGES * 365);
            let born = calendar.date(-i64::try_from(days_old).unwrap_or(0));
            let looks = u32::try_from(dice.below(u64::from(u32::MAX))).unwrap_or(number);
            Resident::new(Person::born(looks, born, population.home(number)))
        });
        let residents = people.collect();
        let (errands, feed) = (BTreeMap::new(), BTreeMap::new());
        Self { calendar, dice, population, lived_in, residents, errands, feed, events: 0 }
    }

    /// Who applied for the card that they have at the beginning, by the months before it.
    pub(super) fn with_card(&mut self) -> Vec<Vec<usize>> {
        let mut months: Vec<Vec<usize>> = (0..MONTHS_BEFORE).map(|_| Vec::new()).collect();
        for number in 0..self.residents.len() {
            let (has_card, at) = (self.dice.percent(WITH_CARD), self.dice.index(months.len()));
            let before = i64::try_from(at).unwrap_or(0) + 1;
            let was_born = self.date(-before * MONTH) > self.resident(number).person.born;
            if let Some(month) = months.get_mut(at).filter(|_| has_card && was_born) {
                month.push(number);
            }
        }
        months
    }

    /// What a day brings, but for the registry's feed.
    pub(super) fn day(&mut self, today: i64) -> Day {
        let mut day = Day::default();
        for (resident, fortune) in fortune::of_a_day(&mut self.dice, self.residents.len()) {
            self.befall(&mut day, today, resident, fortune);
        }
        self.run_errands(&mut day, today);
        day
    }

    /// As [`Self::day`], when nothing happens that was not planned.
    pub(super) fn planned(&mut self, today: i64) -> Day {
        let mut day = Day::default();
        self.run_errands(&mut day, today);
        day
    }

    fn run_errands(&mut self, day: &mut Day, today: i64) {
        for (resident, errand) in self.errands.remove(&today).unwrap_or_default() {
            if !self.is_gone(resident) {
                self.run(day, today, resident, errand);
            }
        }
    }

    /// What the registry reports in the night after a day, in no order.
    pub(super) fn night(&mut self, today: i64) -> Vec<Reported> {
        let mut lines = self.feed.remove(&today).unwrap_or_default();
        self.dice.shuffle(&mut lines);
        lines
    }

    /// Somebody's application was taken: certificates for the card come at once.
    pub(super) fn applied(&mut self, today: i64, resident: usize, card: CardId, holder: HolderId) -> Wanted {
        let expires = self.card_expires(resident, today);
        let kinds = self.card_kinds(resident, today);
        let one = self.resident(resident);
        (one.holder, one.waiting, one.is_waiting) = (Some(holder), Some(OwnCard { id: card, expires }), true);
        Wanted { resident, place: Place::Card(card), kinds }
    }

    /// Certificates were issued; the authentication certificate among them ends then.
    pub(super) fn issued(&mut self, today: i64, wanted: &Wanted, card: CardId, ends: Option<UnixTime>) {
        let resident = wanted.resident;
        match wanted.place {
            Place::Phone { .. } => {
                self.resident(resident).phone = Some(card);
                return;
            }
            // Before the beginning nobody waits.
            Place::Card(_) if today < 0 => self.later(today + 1, resident, Errand::Collect),
            Place::Card(_) => {
                let collected = today + self.dice.days(14, 27);
                self.later(collected, resident, Errand::Collect);
            }
            Place::New | Place::Renewed(_) => {}
        }
        let Some(ends) = ends else { return };
        let one = self.resident(resident);
        let card = [one.card, one.waiting].into_iter().flatten().find(|own| own.id == card);
        let last_day = self.calendar.day(ends);
        let comes = last_day - self.dice.days(5, 80);
        // Some forget it.
        if self.dice.percent(93) {
            let expires_too = card.is_some_and(|own| own.expires <= ends);
            let errand = if expires_too { Errand::ReplaceExpiring } else { Errand::Renew };
            self.later(comes.max(today + 1), resident, errand);
        }
    }

    /// Somebody holds their card; `refused`: it was not good any more, and is mended.
    pub(super) fn collected(&mut self, today: i64, resident: usize, refused: bool) {
        if refused {
            self.later(today + 1, resident, Errand::Mend);
            self.later(today + 2, resident, Errand::Collect);
            return;
        }
        let one = self.resident(resident);
        one.card = one.waiting.take();
        one.is_waiting = false;
    }

    /// When a card applied for on that day expires.
    pub(super) fn card_expires(&mut self, resident: usize, today: i64) -> UnixTime {
        let (born, date) = (self.resident(resident).person.born, self.date(today));
        let [child, adult] = CARD_BIRTHDAYS;
        birthday_after(born, date, if age(born, date) < ADULT_AGE { child } else { adult })
    }

    fn is_gone(&mut self, resident: usize) -> bool {
        self.resident(resident).is_gone
    }

    fn card_kinds(&mut self, resident: usize, today: i64) -> Vec<CertificateKind> {
        let born = self.resident(resident).person.born;
        let kinds = if age(born, self.date(today)) < SIGNING_AGE { &PAIR[1..] } else { &PAIR[..] };
        kinds.to_vec()
    }

    fn signs(&mut self, resident: usize, today: i64) -> bool {
        self.card_kinds(resident, today).len() == PAIR.len()
    }

    /// Fortune strikes, if it can.
    fn befall(&mut self, day: &mut Day, today: i64, resident: usize, fortune: Fortune) {
        let Resident { card, waiting, phone, is_waiting, is_gone, .. } = *self.resident(resident);
        if is_gone {
            return;
        }
        // One that is lost, or being replaced, is in nobody's hands.
        let own = card.filter(|_| !is_waiting);
        match (fortune, own, phone) {
            (Fortune::MovesWithin, ..) => self.moves_within(today, resident),
            (Fortune::MovesWard, ..) => self.moves_ward(today, resident),
            (Fortune::MovesAway, ..) => self.moves_away(today, resident),
            (Fortune::Marries, ..) => {
                self.registered(today, resident, "name-change", None);
                if self.dice.percent(50) {
                    self.moves_away(today, resident);
                }
                self.comes_for_signing(today, resident);
            }
            (Fortune::BirthDateCorrected, ..) => self.registered(today, resident, "birth-date-change", None),
            (Fortune::SexCorrected, ..) => self.registered(today, resident, "sex-change", None),
            (Fortune::PlaceRenamed, ..) => self.registered(today, resident, "minor-correction", None),
            (Fortune::Dies, ..) => self.dies(today, resident),
            (Fortune::RecordDeleted, ..) => self.leaves(today, resident, "record-deletion"),
            (Fortune::LeavesCountry, ..) => self.leaves(today, resident, "overseas"),
            (Fortune::LivesAbroad, ..) => self.lives_abroad(today, resident),
            (Fortune::LosesCard, Some(card), _) => self.loses_card(day, today, resident, card.id),
            (Fortune::LosesPhone, _, Some(phone)) => self.loses_phone(day, today, resident, phone),
            (Fortune::KeyLeaks, Some(card), _) => self.key_leaks(day, today, resident, card.id),
            (Fortune::EndsSigning, Some(card), _) if self.signs(resident, today) => {
                let kind = Some(CertificateKind::CardSign);
                self.reported(day, today, resident, "holder-asks", card.id, kind);
            }
            (Fortune::GivesCardUp, Some(card), _) => self.gives_card_up(day, today, resident, card.id),
            (Fortune::CardDestroyed, ..) => {
                if let Some(card) = waiting {
                    self.card_destroyed(day, today, resident, card.id);
                }
            }
            (Fortune::WantsPhone, Some(card), _) if self.signs(resident, today) => {
                let (place, kinds) = (Place::Phone { with: card.id }, PHONE_PAIR.to_vec());
                day.issues.push(Wanted { resident, place, kinds });
            }
            (Fortune::WantsCard, ..) if card.is_none() && !is_waiting => {
                self.resident(resident).is_waiting = true;
                day.applications.push(resident);
            }
            _ => {}
        }
    }

    /// A day has come for which something was planned.
    fn run(&mut self, day: &mut Day, today: i64, resident: usize, errand: Errand) {
        let Resident { card, waiting, phone, is_waiting, .. } = *self.resident(resident);
        let renewed = |card: OwnCard, kinds: Vec<CertificateKind>| {
            (!kinds.is_empty()).then_some(Wanted { resident, place: Place::Renewed(card.id), kinds })
        };
        match (errand, card, phone) {
            (Errand::Apply, ..) if waiting.is_none() => day.applications.push(resident),
            (Errand::Collect, old, _) if waiting.is_some() => {
                if let Some(old) = old {
                    if !self.reported(day, today, resident, "re-issue", old.id, None) {
                        self.later(today + 1, resident, errand);
                        return;
                    }
                    self.resident(resident).card = None;
                }
                day.collections.push(resident);
            }
            (Errand::Mend, ..) => {
                day.issues
                    .extend(waiting.and_then(|waiting| renewed(waiting, vec![CertificateKind::CardSign])));
            }
            (Errand::Renew, Some(card), _) if !is_waiting => {
                day.issues.extend(renewed(card, self.card_kinds(resident, today)));
            }
            (Errand::RenewSigning, Some(card), _) if !is_waiting && self.signs(resident, today) => {
                day.issues.extend(renewed(card, vec![CertificateKind::CardSign]));
            }
            (Errand::ReplaceExpiring, Some(_), _) if !is_waiting => {
                self.resident(resident).is_waiting = true;
                day.applications.push(resident);
            }
            (Errand::ReplaceLost, Some(old), _) => {
                if self.reported(day, today, resident, "re-issue", old.id, None) {
                    self.resident(resident).card = None;
                    day.applications.push(resident);
                } else {
                    self.later(today + 1, resident, errand);
                }
            }
            (Errand::FindPhone, _, Some(phone)) => {
                let found = self.reported(day, today, resident, "phone-found", phone, None);
                self.unless(found, today, resident, errand);
            }
            (Errand::GivePhoneUp, _, Some(phone)) => {
                let given_up = self.reported(day, today, resident, "phone-abolition", phone, None);
                self.unless(given_up, today, resident, errand);
                if given_up {
                    self.resident(resident).phone = None;
                }
            }
            _ => {}
        }
    }

    fn loses_card(&mut self, day: &mut Day, today: i64, resident: usize, card: CardId) {
        if self.reported(day, today, resident, "card-suspension", card, None) {
            self.resident(resident).is_waiting = true;
            let replaced = today + self.dice.days(3, 8);
            self.later(replaced, resident, Errand::ReplaceLost);
        }
    }

    fn loses_phone(&mut self, day: &mut Day, today: i64, resident: usize, phone: CardId) {
        if self.reported(day, today, resident, "phone-suspension", phone, None) {
            let (found, comes) = (self.dice.percent(60), today + self.dice.days(1, 7));
            self.later(comes, resident, if found { Errand::FindPhone } else { Errand::GivePhoneUp });
        }
    }

    fn key_leaks(&mut self, day: &mut Day, today: i64, resident: usize, card: CardId) {
        let kinds = self.card_kinds(resident, today);
        let kind = kinds.get(self.dice.index(kinds.len())).copied();
        if self.reported(day, today, resident, "key-compromise", card, kind) {
            day.issues.push(Wanted { resident, place: Place::Renewed(card), kinds: Vec::from_iter(kind) });
        }
    }

    fn gives_card_up(&mut self, day: &mut Day, today: i64, resident: usize, card: CardId) {
        if self.reported(day, today, resident, "card-abolition", card, None) {
            // A phone set up with the card ends with it.
            (self.resident(resident).card, self.resident(resident).phone) = (None, None);
        }
    }

    fn card_destroyed(&mut self, day: &mut Day, today: i64, resident: usize, card: CardId) {
        if self.reported(day, today, resident, "destroyed", card, None) {
            self.resident(resident).waiting = None;
            let again = today + self.dice.days(3, 10);
            self.later(again, resident, Errand::Apply);
        }
    }

    fn lives_abroad(&mut self, today: i64, resident: usize) {
        self.resident(resident).person.is_overseas = true;
        self.registered(today, resident, "overseas-continued", None);
        self.comes_for_signing(today, resident);
    }

    fn moves_within(&mut self, today: i64, resident: usize) {
        let person = &mut self.resident(resident).person;
        person.is_overseas = false;
        let home = person.home;
        let partition = self.population.partition(home);
        self.registered(today, resident, "move-within", Some(partition));
        self.comes_for_signing(today, resident);
    }

    fn moves_ward(&mut self, today: i64, resident: usize) {
        let home = self.resident(resident).person.home;
        let city = |place: usize| self.population.place(place).and_then(|place| place.designated_city);
        let Some(own) = city(home) else { return };
        let wards = self.lived_in.iter().copied().filter(|ward| *ward != home && city(*ward) == Some(own));
        let wards: Vec<usize> = wards.collect();
        let Some(ward) = wards.get(self.dice.index(wards.len().max(1))).copied() else { return };
        let person = &mut self.resident(resident).person;
        (person.home, person.is_overseas) = (ward, false);
        let partition = self.population.partition(ward);
        self.registered(today, resident, "ward-move", Some(partition));
        self.comes_for_signing(today, resident);
    }

    fn moves_away(&mut self, today: i64, resident: usize) {
        let Some(home) = self.lived_in.get(self.dice.index(self.lived_in.len())).copied() else { return };
        if home == self.resident(resident).person.home {
            return;
        }
        let person = &mut self.resident(resident).person;
        (person.home, person.is_overseas) = (home, false);
        self.registered(today, resident, "move-out", None);
        let partition = self.population.partition(home);
        self.registered(today, resident, "move-in", Some(partition));
        self.comes_for_signing(today, resident);
    }

    /// Most get a new signing certificate when they come to the counter about something else.
    fn comes_for_signing(&mut self, today: i64, resident: usize) {
        let (wanted, comes) = (self.dice.percent(80), today + self.dice.days(1, 20));
        if wanted {
            self.later(comes, resident, Errand::RenewSigning);
        }
    }

    fn dies(&mut self, today: i64, resident: usize) {
        let mut eldest = resident;
        for _ in 1..ELDEST_OF {
            let other = self.dice.index(self.residents.len());
            let (born, elder) = (self.resident(eldest).person.born, self.resident(other));
            if !elder.is_gone && elder.person.born < born {
                eldest = other;
            }
        }
        self.leaves(today, eldest, "death");
    }

    fn leaves(&mut self, today: i64, resident: usize, event: &str) {
        self.registered(today, resident, event, None);
        self.resident(resident).is_gone = true;
    }

    /// The registry will report it: most often that night, sometimes late, sometimes twice.
    fn registered(&mut self, today: i64, resident: usize, event: &str, municipality: Option<Partition>) {
        let effective = hour(9) + std::time::Duration::from_secs(self.dice.below(8 * 3600));
        let late = if self.dice.percent(8) { self.dice.days(1, 10) } else { 0 };
        let again = self.dice.percent(3).then(|| self.dice.days(1, 3));
        let event_id = self.event_id();
        let Some(holder) = self.resident(resident).holder else { return };
        let line = Reported {
            event_id,
            event: event.to_owned(),
            subject: Subject::Holder(holder),
            kind: None,
            municipality,
            effective_at: self.calendar.at(today, effective),
            reported_at: Some(self.calendar.at(today + late, hour(20))),
        };
        if let Some(again) = again {
            self.feed.entry(today + late + again).or_default().push(line.clone());
        }
        self.feed.entry(today + late).or_default().push(line);
    }

    /// It is reported this morning, unless something else was of the same person.
    fn reported(
        &mut self,
        day: &mut Day,
        today: i64,
        resident: usize,
        event: &str,
        card: CardId,
        kind: Option<CertificateKind>,
    ) -> bool {
        if !day.spoken_for.insert(resident) {
            return false;
        }
        let line = Reported {
            event_id: self.event_id(),
            event: event.to_owned(),
            subject: Subject::Card(card),
            kind,
            municipality: None,
            effective_at: self.calendar.at(today, hour(8)),
            reported_at: Some(self.calendar.at(today, hour(8))),
        };
        day.reports.push(line);
        true
    }

    fn event_id(&mut self) -> String {
        self.events += 1;
        format!("simulate-{}", self.events)
    }

    /// What could not be done today is done tomorrow.
    fn unless(&mut self, done: bool, today: i64, resident: usize, errand: Errand) {
        if !done {
            self.later(today + 1, resident, errand);
        }
    }

    fn later(&mut self, day: i64, resident: usize, errand: Errand) {
        self.errands.entry(day).or_default().push((resident, errand));
    }

    fn date(&self, day: i64) -> Date {
        self.calendar.date(day)
    }

    /// Residents are numbered by their place in the list, and nobody is ever taken out of it.
    #[expect(clippy::indexing_slicing, reason = "a number that is no resident's is a fault of this file")]
    fn resident(&mut self, number: usize) -> &mut Resident {
        &mut self.residents[number]
    }
}

impl Resident {
    const fn new(person: Person) -> Self {
        Self {
            person,
            holder: None,
            card: None,
            waiting: None,
            phone: None,
            is_waiting: false,
            is_gone: false,
        }
    }
}
