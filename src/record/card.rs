//! What the entries about one card or phone add up to, and those about one person.

use super::{Absent, CardId, CertificateRef, Event, FoldError, HolderId, Issued, Numbered, Position};
use crate::der::UnixTime;
use crate::pki::{AuthorityId, Carrier, CarrierState, CertificateKind, Partition, SerialNumber};

/// A card or phone, from its application on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// As it was asked for.
    pub applied: CardApplied,
    /// When that was recorded.
    pub recorded_at: UnixTime,
    /// The last entry folded into it.
    pub position: Position,
    /// Where it stands.
    pub status: CardStatus,
    /// Its certificates, in the order of their issue.
    pub certificates: Vec<OnCard>,
}

/// A card or phone was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardApplied {
    /// Random.
    pub card: CardId,
    /// Card or phone.
    pub carrier: Carrier,
    /// The card a phone is set up with.
    pub of: Option<CardId>,
    /// Whose.
    pub holder: HolderId,
    /// Where they live.
    pub municipality: Partition,
    /// The card's own expiry: no certificate on it ends later.
    pub expires: Option<UnixTime>,
}

/// Where a card or phone stands, and since when, in effect. Whichever of two reports arrives
/// first, the later in effect counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardStatus {
    /// The state.
    pub state: CarrierState,
    /// When it was last lost.
    pub suspended_at: Option<UnixTime>,
    /// When it was last found.
    pub released_at: Option<UnixTime>,
}

/// A certificate on a card or phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnCard {
    /// What it is for.
    pub kind: CertificateKind,
    /// Its authority.
    pub authority: AuthorityId,
    /// Its serial.
    pub serial: SerialNumber,
}

/// A person: a random number, and what was reported of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The number.
    pub id: HolderId,
    /// The last entry folded into it.
    pub position: Position,
    /// Where they stand.
    pub status: HolderStatus,
    /// Their cards and phones, in the order of application.
    pub cards: Vec<CardId>,
}

/// Where a person lives, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HolderStatus {
    /// Where, by the move that was last in effect.
    pub municipality: Partition,
    /// When that move was in effect.
    pub moved_at: Option<UnixTime>,
    /// When a move overseas with continued use was last in effect (国外転出者).
    pub overseas_since: Option<UnixTime>,
    /// When what ends all certificates was first in effect: death, deletion, departure.
    pub ended_at: Option<UnixTime>,
}

impl HolderStatus {
    /// Since when they live overseas; none when they do not. [`Self::municipality`] is then the last one.
    /// Whichever of two moves is reported first, the later in effect counts.
    #[must_use]
    pub fn lives_overseas(&self) -> Option<UnixTime> {
        self.overseas_since.filter(|since| self.moved_at <= Some(*since))
    }
}

/// What the resident registry or an operator reported. Its effects are the entries that follow
/// under the same request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// The rule's name.
    pub event: String,
    /// Whose.
    pub holder: HolderId,
    /// The card or phone it names.
    pub card: Option<CardId>,
    /// The certificate it names.
    pub kind: Option<CertificateKind>,
    /// Since when it holds.
    pub effective_at: UnixTime,
    /// When it was reported.
    pub reported_at: Option<UnixTime>,
}

impl Card {
    /// Certificates a card may have: their count is two octets.
    pub const CERTIFICATES_MAX: usize = 0xffff;

    /// The one fold: what an entry makes of a card. Entries about others, and entries already
    /// folded, change nothing; nor does an application for a card that is known. A certificate on
    /// a card nobody had applied for makes that card: a journal may begin with cards that others
    /// handed out.
    ///
    /// # Errors
    /// [`FoldError`]: it changes a card that is not known, makes one of which nobody knows where
    /// its holder lives, or is one certificate too many. The card is as before.
    pub fn apply(card: &mut Option<Self>, numbered: &Numbered) -> Result<(), FoldError> {
        let Numbered { position, entry } = numbered;
        let Some(known) = card else {
            *card = Self::made_by(numbered)?;
            return Ok(());
        };
        if entry.event.card() != Some(known.applied.card) || *position <= known.position {
            return Ok(());
        }
        match &entry.event {
            Event::CardChanged(_, became) => known.status = *became,
            Event::Issued(issued) => known.add(*position, issued)?,
            _ => {}
        }
        known.position = *position;
        Ok(())
    }

    /// The card that an entry makes; none when it makes none.
    fn made_by(numbered: &Numbered) -> Result<Option<Self>, FoldError> {
        let Numbered { position, entry } = numbered;
        match &entry.event {
            Event::CardApplied(applied) => Ok(Some(Self::new(applied.clone(), numbered))),
            Event::Issued(issued) => {
                let (Some(id), Some(holder)) = (issued.card, issued.holder) else { return Ok(None) };
                let Some(carrier) = Carrier::of(issued.kind) else { return Ok(None) };
                let municipality = municipality(*position, issued, Absent::Card(id))?;
                let applied =
                    CardApplied { card: id, carrier, of: None, holder, municipality, expires: None };
                let mut made = Self::new(applied, numbered);
                made.add(*position, issued)?;
                Ok(Some(made))
            }
            Event::CardChanged(card, _) => {
                Err(FoldError::Unknown { position: *position, what: Absent::Card(*card) })
            }
            _ => Ok(None),
        }
    }

    fn new(applied: CardApplied, numbered: &Numbered) -> Self {
        let state = CarrierState::Applied;
        Self {
            applied,
            recorded_at: numbered.entry.recorded_at,
            position: numbered.position,
            status: CardStatus { state, suspended_at: None, released_at: None },
            certificates: Vec::new(),
        }
    }

    /// Puts a certificate on it; one that is on it already, issued again in breach of the rule of
    /// succession, is passed over.
    fn add(&mut self, position: Position, issued: &Issued) -> Result<(), FoldError> {
        let CertificateRef { authority, serial, .. } = issued.certificate;
        if self.certificates.iter().any(|one| (one.authority, one.serial) == (authority, serial)) {
            return Ok(());
        }
        if self.certificates.len() >= Self::CERTIFICATES_MAX {
            let (what, most) = ("certificates on one card", Self::CERTIFICATES_MAX);
            return Err(FoldError::TooMany { position, what, most });
        }
        self.certificates.push(OnCard { kind: issued.kind, authority, serial });
        if self.status.state == CarrierState::Applied {
            // Nobody hands a phone over: it is in its holder's hand.
            self.status.state = match self.applied.carrier {
                Carrier::Card => CarrierState::Issued,
                Carrier::Phone => CarrierState::InUse,
            };
        }
        Ok(())
    }
}

impl Holder {
    /// Cards and phones a person may have had: their count is two octets.
    pub const CARDS_MAX: usize = 0xffff;

    /// The one fold: what an entry makes of a person. Entries about others, and entries already
    /// folded, change nothing. An application makes a person who was not known, and so does a
    /// certificate.
    ///
    /// # Errors
    /// [`FoldError`]: it changes a person who is not known, makes one of whom nobody knows where
    /// they live, or is one card too many. The person is as before.
    pub fn apply(holder: &mut Option<Self>, numbered: &Numbered) -> Result<(), FoldError> {
        let Numbered { position, entry } = numbered;
        let Some(id) = entry.event.holder() else { return Ok(()) };
        let Some(known) = holder else {
            let municipality = match &entry.event {
                Event::CardApplied(applied) => applied.municipality,
                Event::Issued(issued) => municipality(*position, issued, Absent::Holder(id))?,
                _ => return Err(FoldError::Unknown { position: *position, what: Absent::Holder(id) }),
            };
            let status = HolderStatus { municipality, moved_at: None, overseas_since: None, ended_at: None };
            let cards = entry.event.card().into_iter().collect();
            *holder = Some(Self { id, position: *position, status, cards });
            return Ok(());
        };
        if known.id != id || *position <= known.position {
            return Ok(());
        }
        if let Some(card) = entry.event.card()
            && !known.cards.contains(&card)
        {
            if known.cards.len() >= Self::CARDS_MAX {
                let (what, most) = ("cards of one person", Self::CARDS_MAX);
                return Err(FoldError::TooMany { position: *position, what, most });
            }
            known.cards.push(card);
        }
        if let Event::HolderChanged(_, became) = &entry.event {
            known.status = *became;
        }
        known.position = *position;
        Ok(())
    }
}

/// Where the certificate says that its holder lives: what it makes cannot do without.
fn municipality(position: Position, issued: &Issued, what: Absent) -> Result<Partition, FoldError> {
    issued.partition.ok_or(FoldError::NoMunicipality { position, what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Generation;
    use crate::record::{ArchivePlace, Entry, Origin};

    const CARD: CardId = CardId(5);
    const PERSON: HolderId = HolderId(6);

    fn numbered(position: u64, event: Event) -> Numbered {
        let entry = Entry { recorded_at: UnixTime::from_seconds(9), origin: Origin::service(), event };
        Numbered { position: Position(position), entry }
    }

    fn issued(serial: u64, partition: Option<u32>) -> Event {
        Event::Issued(Issued {
            certificate: CertificateRef {
                authority: AuthorityId(1),
                generation: Generation::FIRST,
                serial: SerialNumber::try_from(serial).unwrap(),
            },
            kind: CertificateKind::CardSign,
            partition: partition.map(Partition),
            not_before: UnixTime::default(),
            not_after: UnixTime::MAX,
            archive: ArchivePlace(0),
            sha256: [0; 32],
            holder: Some(PERSON),
            card: Some(CARD),
            twin: None,
        })
    }

    fn applied(card: u128) -> Event {
        Event::CardApplied(CardApplied {
            card: CardId(card),
            carrier: Carrier::Card,
            of: None,
            holder: PERSON,
            municipality: Partition(13221),
            expires: None,
        })
    }

    #[test]
    fn what_is_not_on_record_cannot_change() {
        let status = CardStatus { state: CarrierState::InUse, suspended_at: None, released_at: None };
        let (mut card, mut holder) = (None, None);
        let changed = numbered(3, Event::CardChanged(CARD, status));
        let what = Absent::Card(CARD);
        assert_eq!(Card::apply(&mut card, &changed), Err(FoldError::Unknown { position: Position(3), what }));
        let stands = HolderStatus {
            municipality: Partition(13221),
            moved_at: None,
            overseas_since: None,
            ended_at: None,
        };
        let changed = numbered(3, Event::HolderChanged(PERSON, stands));
        let what = Absent::Holder(PERSON);
        assert_eq!(
            Holder::apply(&mut holder, &changed),
            Err(FoldError::Unknown { position: Position(3), what })
        );
        assert_eq!((card, holder), (None, None));
    }

    #[test]
    fn a_certificate_makes_its_card_and_person_where_it_says_that_they_live() {
        let (mut card, mut holder) = (None, None);
        let nowhere = numbered(3, issued(1, None));
        let refused = |what| Err(FoldError::NoMunicipality { position: Position(3), what });
        assert_eq!(Card::apply(&mut card, &nowhere), refused(Absent::Card(CARD)));
        assert_eq!(Holder::apply(&mut holder, &nowhere), refused(Absent::Holder(PERSON)));
        for entry in [issued(1, Some(13221)), issued(2, None), issued(1, None), applied(CARD.0)] {
            let next = card.as_ref().map_or(3, |card: &Card| card.position.0 + 1);
            Card::apply(&mut card, &numbered(next, entry.clone())).unwrap();
            Holder::apply(&mut holder, &numbered(next, entry)).unwrap();
        }
        let (card, holder) = (card.unwrap(), holder.unwrap());
        assert_eq!(
            (card.applied.municipality, holder.status.municipality),
            (Partition(13221), Partition(13221))
        );
        assert_eq!((card.status.state, card.certificates.len()), (CarrierState::Issued, 2), "none twice");
        assert_eq!(holder.cards, [CARD]);
    }

    #[test]
    fn one_certificate_or_card_too_many_is_refused() {
        let (mut card, mut holder) = (None, None);
        Card::apply(&mut card, &numbered(1, issued(1, Some(13221)))).unwrap();
        Holder::apply(&mut holder, &numbered(1, applied(1))).unwrap();
        let (mut card, mut holder) = (card.unwrap(), holder.unwrap());
        let on_card = card.certificates[0];
        card.certificates = vec![on_card; Card::CERTIFICATES_MAX];
        holder.cards = vec![CardId(1); Holder::CARDS_MAX];
        let (full, mut some) = (card.clone(), Some(card));
        let (what, most) = ("certificates on one card", 0xffff);
        let refused = Err(FoldError::TooMany { position: Position(9), what, most });
        assert_eq!((Card::apply(&mut some, &numbered(9, issued(2, None))), some), (refused, Some(full)));
        let (full, mut some) = (holder.clone(), Some(holder));
        let what = "cards of one person";
        let refused = Err(FoldError::TooMany { position: Position(9), what, most });
        assert_eq!((Holder::apply(&mut some, &numbered(9, applied(2))), some), (refused, Some(full)));
    }
}
