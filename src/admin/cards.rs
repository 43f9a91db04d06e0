//! Requests about cards, phones, the people who hold them, and what is reported of both.

use super::api::{self, Problem, ProblemKind};
use super::requests::in_words;
use crate::lifecycle::Turn;
use crate::office::{self, CardApplication, Office, OfficeError, Place, Reported, Subject};
use crate::pki::{CarrierState, CertStatus};
use crate::record::{CertificateRef, Origin};

/// Reports in one request: what a group of the journal takes, and one request's memory.
pub const MOVEMENTS_MAX: usize = 5000;

/// Reports in one dry run: what they would change is kept in memory, about a kilobyte each.
pub const REHEARSED_MAX: usize = 100_000;

pub(super) fn place(asked: &api::Issue) -> Result<Place, Problem> {
    let card = |text: &String| text.parse().map_err(|error| Problem::from(OfficeError::Id(error)));
    match (&asked.card, &asked.renew, &asked.phone_with) {
        (None, None, None) => Ok(Place::New),
        (Some(known), None, None) => Ok(Place::Card(card(known)?)),
        (None, Some(renewed), None) => Ok(Place::Renewed(card(renewed)?)),
        (None, None, Some(with)) => Ok(Place::Phone { with: card(with)? }),
        _ => Err(Problem {
            error: "name one card: card, renew or phone_with".to_owned(),
            kind: ProblemKind::Invalid,
        }),
    }
}

pub(super) fn apply(
    office: &Office,
    asked: &api::ApplyForCard,
    origin: Origin,
) -> Result<api::CardChange, Problem> {
    let application = CardApplication {
        holder: asked.holder.as_deref().map(str::parse).transpose().map_err(OfficeError::from)?,
        municipality: asked.municipality.parse().map_err(OfficeError::from)?,
        expires: asked.expires.as_deref().map(str::parse).transpose().map_err(OfficeError::from)?,
    };
    Ok(change(office.apply_for_card(&application, origin)?))
}

pub(super) fn hand_over(
    office: &Office,
    asked: &api::NamedCard,
    origin: Origin,
) -> Result<api::CardChange, Problem> {
    let card = asked.card.parse().map_err(OfficeError::from)?;
    Ok(change(office.hand_over(card, origin)?))
}

/// Suspends a card or phone, or takes up one that was found.
pub(super) fn turn(
    office: &Office,
    asked: &api::NamedCard,
    turn: Turn,
    origin: Origin,
) -> Result<api::CardTurned, Problem> {
    let card = asked.card.parse().map_err(OfficeError::from)?;
    let office::CardTurned { change: done, changed } = office.turn(card, turn, origin)?;
    let certificates = changed.into_iter().map(|one| changed_certificate(office, one)).collect();
    Ok(api::CardTurned { card: change(done), certificates })
}

pub(super) fn show(office: &Office, asked: &api::NamedCard) -> Result<api::CardState, Problem> {
    let office::CardState { card, holder, records, is_expired } =
        office.card(asked.card.parse().map_err(OfficeError::from)?)?;
    let certificates = records.iter().map(|record| {
        let issued = &record.issued;
        api::CardCertificate {
            kind: issued.kind.name().to_owned(),
            authority: authority_name(office, &issued.certificate),
            serial: issued.certificate.serial.to_string(),
            not_after: issued.not_after.to_string(),
            status: in_words(record.status()),
        }
    });
    let id = card.applied.card;
    Ok(api::CardState {
        card: id.to_string(),
        carrier: card.applied.carrier.name().to_owned(),
        state: match card.status.state {
            CarrierState::Abolished => CarrierState::Abolished.name(),
            // No state of its own: nobody decides it.
            _ if is_expired => "expired",
            state => state.name(),
        }
        .to_owned(),
        with: card.applied.of.map(|with| with.to_string()),
        holder: holder.id.to_string(),
        municipality: holder.status.municipality.to_string(),
        ended_at: holder.status.ended_at.map(|time| time.to_string()),
        expires: card.applied.expires.map(|time| time.to_string()),
        certificates: certificates.collect(),
        others: holder.cards.iter().filter(|other| **other != id).map(ToString::to_string).collect(),
    })
}

pub(super) fn movements(
    office: &Office,
    asked: &api::Movements,
    origin: Origin,
) -> Result<api::Effects, Problem> {
    let most = if asked.dry_run { REHEARSED_MAX } else { MOVEMENTS_MAX };
    if asked.movements.len() > most {
        let error = format!("at most {most} movements in one request: divide them");
        return Err(Problem { error, kind: ProblemKind::Invalid });
    }
    let read: Vec<Result<Reported, OfficeError>> = asked.movements.iter().map(reported).collect();
    let right: Vec<Reported> = read.iter().filter_map(|one| one.as_ref().ok().cloned()).collect();
    let outcomes = if asked.dry_run { office.rehearse(&right) } else { office.report_for(&right, &origin) };
    let mut outcomes = outcomes.into_iter();
    let effects = read.into_iter().map(|read| {
        let outcome = match read {
            Ok(_) => outcomes.next().unwrap_or_else(|| Err(OfficeError::Damaged("no outcome".to_owned()))),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(effect) => api::Effect::Done(done(office, effect)),
            Err(error) => api::Effect::Rejected(error.into()),
        }
    });
    Ok(api::Effects { effects: effects.collect() })
}

pub(super) fn reconcile(office: &Office) -> Result<api::Reconciliation, Problem> {
    let (cards, found) = office.reconcile()?;
    Ok(api::Reconciliation { cards, disagreements: found.iter().map(ToString::to_string).collect() })
}

fn reported(asked: &api::Movement) -> Result<Reported, OfficeError> {
    let subject = match (&asked.card, &asked.holder) {
        (Some(card), None) => Subject::Card(card.parse()?),
        (None, Some(holder)) => Subject::Holder(holder.parse()?),
        _ => return Err(OfficeError::Subject),
    };
    Ok(Reported {
        event_id: asked.event_id.clone(),
        event: asked.kind.clone(),
        subject,
        kind: asked.certificate.as_deref().map(str::parse).transpose()?,
        municipality: asked.municipality.as_deref().map(str::parse).transpose()?,
        effective_at: asked.effective_at.parse()?,
        reported_at: asked.reported_at.as_deref().map(str::parse).transpose()?,
    })
}

fn done(office: &Office, effect: office::Effect) -> api::MovementDone {
    api::MovementDone {
        changed: effect.changed.into_iter().map(|one| changed_certificate(office, one)).collect(),
        position: effect.position.0,
        repeated: effect.repeated,
    }
}

fn change(change: office::CardChange) -> api::CardChange {
    let office::CardChange { card, holder, changed, position, recorded_at } = change;
    api::CardChange {
        card: card.to_string(),
        holder: holder.to_string(),
        changed,
        position: position.0,
        recorded_at: recorded_at.to_string(),
    }
}

fn changed_certificate(
    office: &Office,
    (certificate, status): (CertificateRef, CertStatus),
) -> api::ChangedCertificate {
    api::ChangedCertificate {
        authority: authority_name(office, &certificate),
        serial: certificate.serial.to_string(),
        status: in_words(status),
    }
}

fn authority_name(office: &Office, certificate: &CertificateRef) -> String {
    let known = office.profile().authority(certificate.authority);
    known.map_or_else(|| certificate.authority.0.to_string(), |known| known.name.clone())
}
