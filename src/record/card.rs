//! What the entries about one card or phone add up to, and those about one person.

use super::{CardId, Event, HolderId, Numbered, Position};
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
    /// When what ends all certificates was first in effect: death, deletion, departure.
    pub ended_at: Option<UnixTime>,
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
    /// The one fold: what an entry makes of a card. Entries about others, and entries already
    /// folded, change nothing. A certificate on a card nobody had applied for makes that card.
    pub fn apply(card: &mut Option<Self>, numbered: &Numbered) {
        let Numbered { position, entry } = numbered;
        match (&mut *card, &entry.event) {
            (None, Event::CardApplied(applied)) => {
                *card = Some(Self::new(applied.clone(), numbered));
            }
            (None, Event::Issued(issued)) => {
                let (Some(id), Some(holder)) = (issued.card, issued.holder) else { return };
                let Some(carrier) = Carrier::of(issued.kind) else { return };
                let municipality = issued.partition.unwrap_or_default();
                let applied =
                    CardApplied { card: id, carrier, of: None, holder, municipality, expires: None };
                let mut made = Self::new(applied, numbered);
                made.add(numbered);
                *card = Some(made);
            }
            (Some(known), event)
                if event.card() == Some(known.applied.card) && *position > known.position =>
            {
                known.position = *position;
                match event {
                    Event::CardChanged(_, became) => known.status = *became,
                    _ => known.add(numbered),
                }
            }
            _ => {}
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

    fn add(&mut self, numbered: &Numbered) {
        let Event::Issued(issued) = &numbered.entry.event else { return };
        let certificate = issued.certificate;
        let on_card =
            OnCard { kind: issued.kind, authority: certificate.authority, serial: certificate.serial };
        self.certificates.push(on_card);
        if self.status.state == CarrierState::Applied {
            // Nobody hands a phone over: it is in its holder's hand.
            self.status.state = match self.applied.carrier {
                Carrier::Card => CarrierState::Issued,
                Carrier::Phone => CarrierState::InUse,
            };
        }
    }
}

impl Holder {
    /// The one fold: what an entry makes of a person.
    pub fn apply(holder: &mut Option<Self>, numbered: &Numbered) {
        let Numbered { position, entry } = numbered;
        let Some(id) = entry.event.holder() else { return };
        let municipality = match &entry.event {
            Event::CardApplied(applied) => applied.municipality,
            Event::Issued(issued) => issued.partition.unwrap_or_default(),
            _ => Partition::default(),
        };
        let known = holder.get_or_insert_with(|| Self {
            id,
            position: Position::default(),
            status: HolderStatus { municipality, moved_at: None, ended_at: None },
            cards: Vec::new(),
        });
        if known.id != id || *position <= known.position {
            return;
        }
        known.position = *position;
        if let Event::HolderChanged(_, became) = &entry.event {
            known.status = *became;
        }
        if let Some(card) = entry.event.card()
            && !known.cards.contains(&card)
        {
            known.cards.push(card);
        }
    }
}
