//! Requests about the keys of authorities.

use super::api::{self, Problem};
use super::requests::time;
use crate::office::{Compromised, KeyState, KeyUse, NextKey, NoticeOut, Office, OfficeError, Retired};
use crate::pki::Generation;
use crate::record::Origin;

pub(super) fn list(office: &Office) -> api::AuthorityKeys {
    api::AuthorityKeys { keys: office.keys().into_iter().map(key).collect() }
}

fn key(state: KeyState) -> api::AuthorityKey {
    let (word, issues_from) = match state.used_for {
        KeyUse::Issues => ("issues", None),
        KeyUse::IssuesFrom(from) => ("waits", Some(from.to_string())),
        KeyUse::Signs => ("signs", None),
        KeyUse::Retired => ("retired", None),
        KeyUse::Lost => ("lost", None),
        KeyUse::Expired => ("expired", None),
    };
    api::AuthorityKey {
        authority: state.authority,
        generation: state.generation.number(),
        serial: state.serial.to_string(),
        not_before: state.not_before.to_string(),
        not_after: state.not_after.to_string(),
        state: word.to_owned(),
        issues_from,
        fault: state.fault,
        compromised_at: state.compromise.map(|said| said.recorded_at.to_string()),
        revoked_one_by_one: state.compromise.map(|said| said.written.is_some()),
        retired_at: state.retired_at.map(|at| at.to_string()),
        answers_until: state.answers_until.map(|at| at.to_string()),
    }
}

pub(super) fn retire(
    office: &Office,
    asked: &api::NamedKey,
    origin: Origin,
) -> Result<api::RetiredKey, Problem> {
    let authority = office.authority(&asked.authority)?;
    let missing = || OfficeError::NoSuchKey(asked.authority.clone(), asked.generation);
    let generation = Generation::new(asked.generation).ok_or_else(missing)?;
    let done: Retired = office.retire(authority, generation, origin)?;
    Ok(api::RetiredKey {
        position: done.position.0,
        recorded_at: done.recorded_at.to_string(),
        changed: done.changed,
        set: done.set,
        crls_until: done.crls_until.to_string(),
        answers_until: done.answers_until.map(|until| until.to_string()),
        crls: done.crls.display().to_string(),
        key: done.key.display().to_string(),
    })
}

pub(super) fn roll_over(
    office: &Office,
    asked: &api::RollOver,
    origin: Origin,
) -> Result<api::NewKey, Problem> {
    let authority = office.authority(&asked.authority)?;
    let from = match time(asked.issue_from.as_deref())? {
        None if asked.now => Some(office.now()),
        from => from,
    };
    let made = office.roll_over(authority, from, origin)?;
    Ok(api::NewKey {
        authority: asked.authority.clone(),
        generation: made.generation.number(),
        issues_from: made.issues_from.to_string(),
        not_published: made.not_published,
    })
}

pub(super) fn activate(
    office: &Office,
    asked: &api::NamedAuthority,
    origin: Origin,
) -> Result<api::NewKey, Problem> {
    let (generation, _) = office.activate(office.authority(&asked.authority)?, origin)?;
    Ok(api::NewKey {
        authority: asked.authority.clone(),
        generation: generation.number(),
        issues_from: office.now().to_string(),
        not_published: None,
    })
}

pub(super) fn compromised(
    office: &Office,
    asked: &api::CompromisedKey,
    origin: Origin,
) -> Result<api::Compromised, Problem> {
    let authority = office.authority(&asked.authority)?;
    let missing = || OfficeError::NoSuchKey(asked.authority.clone(), asked.generation);
    let generation = Generation::new(asked.generation).ok_or_else(missing)?;
    let since = time(asked.invalid_since.as_deref())?;
    let done: Compromised = office.compromise(authority, generation, since, origin)?;
    Ok(api::Compromised {
        position: done.position.0,
        recorded_at: done.recorded_at.to_string(),
        invalid_since: done.invalidity_date.map(|date| date.to_string()),
        changed: done.changed,
        revoked_one_by_one: done.written,
        answers_until: done.answers_until.map(|until| until.to_string()),
        crls_until: done.crls_until.map(|until| until.to_string()),
        notice_out: done.notice != NoticeOut::Follows,
        notice_signed: done.notice == NoticeOut::Signed,
        notice: format!("{}{}", office.public_url(), office.notice_address(authority, generation)),
        issuing: match done.next {
            NextKey::Issues(generation) => Some(generation.number()),
            NextKey::Waits(_) | NextKey::None => None,
        },
        waiting: match done.next {
            NextKey::Waits(generation) => Some(generation.number()),
            NextKey::Issues(_) | NextKey::None => None,
        },
    })
}
