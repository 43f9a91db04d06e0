//! One request: its address, its body parsed into the office's words, the outcome in the API's.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api::{self, Problem, ProblemKind, Status, path};
use super::authorities;
use super::cards;
use super::certificates;
use super::explain;
use super::signers;
use super::verifiers;
use crate::der::UnixTime;
use crate::lifecycle::Turn;
use crate::office::{
    self, Application, Asked, Blame, Checkpoint, CheckpointError, CommentSaid, Office, OfficeError, Selector,
    Wish,
};
use crate::pki::{self, AuthorityId, CertStatus, CertificateKind, SerialNumber, SerialTextError};
use crate::record::{Actor, Epoch, Origin, Position, RequestId};

/// Carries out the request `body` sent to `address` by `actor`.
pub(super) fn answer(address: &str, body: &[u8], office: &Office, actor: Actor) -> Result<Vec<u8>, Problem> {
    match address {
        path::ISSUE => reply(&issue(office, &parse(body)?, body, actor)?),
        path::CERTIFICATE_GET => reply(&certificates::get(office, &parse(body)?)?),
        path::CERTIFICATE_LIST => reply(&certificates::list(office, &parse(body)?)?),
        path::REVOKE => {
            let change: api::Change = parse(body)?;
            let reason = change.reason.as_deref().map(str::parse).transpose().map_err(OfficeError::from)?;
            let wish = Wish::revoke(reason, time(change.invalid_since.as_deref())?);
            reply(&change_status(office, &change, wish, address, body, actor)?)
        }
        path::HOLD => {
            let change: api::Change = parse(body)?;
            no_reason(&change)?;
            let wish = Wish::Hold { invalidity_date: time(change.invalid_since.as_deref())? };
            reply(&change_status(office, &change, wish, address, body, actor)?)
        }
        path::RELEASE => {
            let change: api::Change = parse(body)?;
            no_reason(&change)?;
            reply(&change_status(office, &change, Wish::Release, address, body, actor)?)
        }
        path::STATUS => reply(&status(office, &parse(body)?)?),
        path::CRL_PUBLISH => reply(&publish(office, &parse(body)?)?),
        path::CRL_LIST => reply(&crl_list(office)?),
        path::CRL_RELEASE => {
            let asked: api::ReleaseSet = parse(body)?;
            let origin = origin(actor, None, address, body);
            reply(&published(&office.release_set(&asked.set, &asked.reason, origin)?))
        }
        path::CRL_REBUILD => reply(&rebuild(office, &parse(body)?)?),
        path::RELOAD => reply(&reload(office)?),
        path::SIGNER_LIST => reply(&signers::list(office, &parse(body)?)?),
        path::SIGNER_RENEW => {
            let asked: api::RenewSigners = parse(body)?;
            let said = (asked.ticket.as_deref(), asked.comment.as_ref());
            let origin = what_for(office, origin(actor, None, address, body), said)?;
            reply(&signers::renew(office, asked, &origin)?)
        }
        path::SIGNER_REVOKE => {
            let asked: api::RevokeSigner = parse(body)?;
            let said = (asked.ticket.as_deref(), asked.comment.as_ref());
            let origin = what_for(office, origin(actor, asked.key.as_deref(), address, body), said)?;
            reply(&signers::revoke(office, &asked, origin)?)
        }
        path::VERIFIER_ADD => reply(&verifiers::register(office, &parse(body)?, actor)?),
        path::VERIFIER_SUSPEND => reply(&verifiers::suspend(office, parse(body)?, actor)?),
        path::VERIFIER_LIST => reply(&verifiers::list(office)),
        path::CHECK => reply(&check(office, &parse(body)?)?),
        path::CLOCK => reply(&api::ClockState::from(office.clock_state())),
        path::CLOCK_RELEASE => {
            reply(&api::ClockRelease::from(office.release_clock(origin(actor, None, address, body))?))
        }
        path::JOURNAL_HEAD => {
            let (position, head) = office.store().head();
            reply(&api::JournalHead { position: position.0, head: HEXLOWER.encode(&head) })
        }
        path::JOURNAL_SEEN => {
            let pieces = office.see_cuts()?.iter().map(ToString::to_string).collect();
            reply(&api::JournalSeen { pieces })
        }
        path::CARD_APPLY => {
            let asked: api::ApplyForCard = parse(body)?;
            let said = (asked.ticket.as_deref(), asked.comment.as_ref());
            let origin = what_for(office, origin(actor, asked.key.as_deref(), address, body), said)?;
            reply(&cards::apply(office, &asked, origin)?)
        }
        path::CARD_HAND_OVER => {
            let asked: api::NamedCard = parse(body)?;
            reply(&cards::hand_over(office, &asked, origin_of_card(office, &asked, actor, address, body)?)?)
        }
        path::CARD_SUSPEND => {
            let asked: api::NamedCard = parse(body)?;
            reply(&cards::turn(
                office,
                &asked,
                Turn::Lost,
                origin_of_card(office, &asked, actor, address, body)?,
            )?)
        }
        path::CARD_FOUND => {
            let asked: api::NamedCard = parse(body)?;
            reply(&cards::turn(
                office,
                &asked,
                Turn::Found,
                origin_of_card(office, &asked, actor, address, body)?,
            )?)
        }
        path::CARD_SHOW => reply(&cards::show(office, &parse(body)?)?),
        path::MOVEMENTS => {
            let asked: api::Movements = parse(body)?;
            let said = (asked.ticket.as_deref(), asked.comment.as_ref().filter(|_| !asked.dry_run));
            let origin = what_for(office, Origin::of(actor), said)?;
            reply(&cards::movements(office, &asked, &origin)?)
        }
        path::AUTHORITY_LIST
        | path::AUTHORITY_ROLLOVER
        | path::AUTHORITY_ACTIVATE
        | path::AUTHORITY_RETIRE
        | path::COMPROMISED => of_authority(address, body, office, actor),
        path::RECONCILE => reply(&cards::reconcile(office)?),
        path::EXPLAIN => {
            let asked: api::Explain = parse(body)?;
            reply(&explain::explain(office, &selector(office, &asked.certificate)?)?)
        }
        _ => Err(Problem {
            error: format!("there is no {address} here: is the command newer than the service?"),
            kind: ProblemKind::Invalid,
        }),
    }
}

/// The keys of authorities.
fn of_authority(address: &str, body: &[u8], office: &Office, actor: Actor) -> Result<Vec<u8>, Problem> {
    match address {
        path::AUTHORITY_ROLLOVER => {
            let asked: api::RollOver = parse(body)?;
            let said = (asked.ticket.as_deref(), asked.comment.as_ref());
            let origin = what_for(office, origin(actor, None, address, body), said)?;
            reply(&authorities::roll_over(office, asked, origin)?)
        }
        path::AUTHORITY_ACTIVATE => {
            let asked: api::NamedAuthority = parse(body)?;
            let said = (asked.ticket.as_deref(), asked.comment.as_ref());
            let origin = what_for(office, origin(actor, None, address, body), said)?;
            reply(&authorities::activate(office, asked, origin)?)
        }
        path::AUTHORITY_RETIRE => {
            let asked: api::NamedKey = parse(body)?;
            let said = (asked.ticket.as_deref(), asked.comment.as_ref());
            let origin = what_for(office, origin(actor, None, address, body), said)?;
            reply(&authorities::retire(office, &asked, origin)?)
        }
        path::COMPROMISED => {
            let asked: api::CompromisedKey = parse(body)?;
            let said = (asked.ticket.as_deref(), asked.comment.as_ref());
            let origin = what_for(office, origin(actor, asked.key.as_deref(), address, body), said)?;
            reply(&authorities::compromised(office, &asked, origin)?)
        }
        _ => reply(&authorities::list(office)),
    }
}

fn issue(office: &Office, asked: &api::Issue, body: &[u8], actor: Actor) -> Result<api::IssuedPair, Problem> {
    let kinds = asked.kinds.iter().map(|kind| kind.parse::<CertificateKind>());
    let application = Application {
        name: asked.name.clone(),
        birth: asked.birth.clone(),
        sex: asked.sex.clone(),
        address: asked.address.clone(),
        spelling: office::Spelling {
            former_surname: asked.former_surname.clone(),
            name_substitutes: asked.name_substitutes.clone(),
            address_substitutes: asked.address_substitutes.clone(),
        },
        municipality: asked.municipality.parse().map_err(OfficeError::from)?,
        kinds: kinds.collect::<Result<_, _>>().map_err(OfficeError::from)?,
        subject_key: subject_key(&asked.subject_key)?,
        place: cards::place(asked)?,
    };
    let said = (asked.ticket.as_deref(), asked.comment.as_ref());
    let origin = what_for(office, origin(actor, asked.key.as_deref(), path::ISSUE, body), said)?;
    let issued = office.issue(&application, origin)?;
    let first = issued.certificates.first().map(|one| one.issued.clone());
    let card = first.as_ref().and_then(|issued| issued.card).map(|card| card.to_string());
    let holder = first.and_then(|issued| issued.holder).map(|holder| holder.to_string());
    let certificates = issued.certificates.into_iter().map(|one| api::IssuedCertificate {
        authority: one.authority,
        generation: one.issued.certificate.generation.number(),
        serial: one.issued.certificate.serial.to_string(),
        kind: one.issued.kind.name().to_owned(),
        not_after: one.issued.not_after.to_string(),
        certificate: pem::encode(&pem::Pem::new("CERTIFICATE", one.der)),
    });
    Ok(api::IssuedPair {
        certificates: certificates.collect(),
        position: issued.position.0,
        recorded_at: issued.recorded_at.to_string(),
        repeated: issued.repeated,
        card,
        holder,
    })
}

fn subject_key(source: &api::SubjectKeySource) -> Result<office::SubjectKeySource, OfficeError> {
    let csr = |pem: &String| office::GivenKey::Csr(pem.clone().into_bytes());
    let public_key = |pem: &String| office::GivenKey::PublicKey(pem.clone().into_bytes());
    Ok(match source {
        api::SubjectKeySource::Csr(pem) => office::SubjectKeySource::One(csr(pem)),
        api::SubjectKeySource::PublicKey(pem) => office::SubjectKeySource::One(public_key(pem)),
        api::SubjectKeySource::ByKind(given) => {
            let given = given.iter().map(|(kind, given)| {
                let given = match given {
                    api::GivenKey::Csr(pem) => csr(pem),
                    api::GivenKey::PublicKey(pem) => public_key(pem),
                };
                Ok::<_, OfficeError>((kind.parse()?, given))
            });
            office::SubjectKeySource::ByKind(given.collect::<Result<_, _>>()?)
        }
        api::SubjectKeySource::TestKey => office::SubjectKeySource::TestKey,
    })
}

fn change_status(
    office: &Office,
    change: &api::Change,
    wish: Wish,
    address: &str,
    body: &[u8],
    actor: Actor,
) -> Result<api::Changed, Problem> {
    let asked = Asked { certificate: selector(office, &change.certificate)?, wish };
    let said = (change.ticket.as_deref(), change.comment.as_ref());
    let origin = what_for(office, origin(actor, change.key.as_deref(), address, body), said)?;
    let done = office.change(&asked, origin)?;
    Ok(api::Changed {
        authority: done.authority,
        generation: done.certificate.generation.number(),
        serial: done.certificate.serial.to_string(),
        status: in_words(done.status),
        position: done.position.0,
        recorded_at: done.recorded_at.to_string(),
        changed: done.changed,
        repeated: done.repeated,
    })
}

fn status(office: &Office, inquiry: &api::Inquiry) -> Result<api::CertificateState, Problem> {
    let state = office.inquire(&selector(office, &inquiry.certificate)?, time(inquiry.at.as_deref())?)?;
    let issued = &state.record.issued;
    let history: Vec<api::HistoryStep> = state.history.steps.into_iter().map(history_step).collect();
    let said = history.iter().find(|step| step.position == state.position.0);
    Ok(api::CertificateState {
        actor: said.map(|step| step.actor.clone()).unwrap_or_default(),
        ticket: said.and_then(|step| step.ticket.clone()),
        comment: said.and_then(|step| step.comment.clone()),
        comment_fault: said.and_then(|step| step.comment_fault.clone()),
        card: issued.card.map(|card| card.to_string()),
        history_left_out: state.history.left_out,
        authority: state.authority,
        generation: issued.certificate.generation.number(),
        serial: issued.certificate.serial.to_string(),
        kind: issued.kind.name().to_owned(),
        municipality: issued.partition.map(|partition| partition.to_string()),
        not_before: issued.not_before.to_string(),
        not_after: issued.not_after.to_string(),
        status: in_words(state.status),
        position: state.position.0,
        recorded_at: state.recorded_at.to_string(),
        movement: state.behind.map(movement_behind),
        history,
        crl_set: state.crl_set.map(|number| number.to_string()),
        doubt: state.doubt,
        ca: matches!(state.ca_status, CertStatus::Revoked(_)).then(|| in_words(state.ca_status)),
    })
}

fn history_step(step: office::Step) -> api::HistoryStep {
    let (comment, comment_fault) = comment_said(step.comment);
    api::HistoryStep {
        status: in_words(step.status),
        position: step.position.0,
        recorded_at: step.recorded_at.to_string(),
        actor: step.origin.actor.name().to_owned(),
        ticket: step.origin.ticket.map(|ticket| ticket.text().to_owned()),
        comment,
        comment_fault,
        movement: step.behind.map(movement_behind),
    }
}

fn comment_said(said: Option<CommentSaid>) -> (Option<api::Comment>, Option<String>) {
    let fault = |what: &str| Some(format!("{what}: restore store/archive from a backup, or leave it erased"));
    match said {
        None => (None, None),
        Some(CommentSaid::Text(comment)) => (Some(api::Comment(comment.text().to_owned())), None),
        Some(CommentSaid::Lost) => (None, fault("the archive has lost it")),
        Some(CommentSaid::Differs) => (None, fault("the archive holds another one than was recorded")),
    }
}

fn movement_behind(behind: office::Behind) -> api::MovementBehind {
    let office::Behind { event, effective_at, position } = behind;
    api::MovementBehind { event, effective_at: effective_at.to_string(), position: position.0 }
}

fn publish(office: &Office, asked: &api::Publish) -> Result<api::Published, Problem> {
    let authorities: Vec<AuthorityId> = match &asked.authority {
        Some(name) => vec![office.authority(name)?],
        None => office.profile().authorities.iter().map(|authority| authority.id).collect(),
    };
    Ok(published(&office.publish(&authorities, false)?))
}

fn published(set: &office::PublishedSet) -> api::Published {
    api::Published {
        set: set.number.to_string(),
        crls: set.crls,
        entries: set.entries,
        this_update: set.this_update.to_string(),
        next_update: set.next_update.to_string(),
    }
}

fn crl_list(office: &Office) -> Result<api::CrlList, Problem> {
    let mut alarms = office.crl_alarms();
    // What is served is listed also when the set that waits cannot be read.
    let held_back = office.held_back().unwrap_or_else(|error| {
        alarms.push(format!("a CRL set that was held back cannot be read: {error}"));
        None
    });
    let held_back = held_back.map(|held| api::HeldBackSet {
        set: held.set,
        this_update: held.this_update,
        next_update: held.next_update,
        findings: held.findings,
    });
    Ok(api::CrlList { catalogue: office.served_catalogue()?, held_back, alarms })
}

fn rebuild(office: &Office, asked: &api::RebuildSet) -> Result<api::RebuiltSet, Problem> {
    let mut rebuilt = api::RebuiltSet { same: 0, same_content: 0, different: Vec::new() };
    for office::Rebuilt { url, outcome } in office.rebuild(&asked.set, asked.directory.as_deref())? {
        match outcome {
            office::Comparison::Same => rebuilt.same += 1,
            office::Comparison::SameContent => rebuilt.same_content += 1,
            office::Comparison::Differs(what) => rebuilt.different.push(format!("{url}: {what}")),
        }
    }
    Ok(rebuilt)
}

fn reload(office: &Office) -> Result<api::Reloaded, Problem> {
    let signers = office.reload_signers()?.into_iter().map(|given| api::GivenSigner {
        file: given.file,
        authority: given.authority,
        generation: given.generation.number(),
        key: given.key.to_owned(),
        not_after: given.not_after.to_string(),
    });
    Ok(api::Reloaded { signers: signers.collect() })
}

fn check(office: &Office, asked: &api::Check) -> Result<api::Condition, Problem> {
    let checkpoint = asked.checkpoint.as_ref().map(Checkpoint::try_from).transpose()?;
    Ok(api::Condition::from(office.examine(checkpoint.as_ref())?))
}

impl From<&Checkpoint> for api::Checkpoint {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            journal: HEXLOWER.encode(&checkpoint.journal_id),
            epoch: checkpoint.epoch.0,
            position: checkpoint.position.0,
            head: HEXLOWER.encode(&checkpoint.head),
            time: checkpoint.time.to_string(),
        }
    }
}

impl TryFrom<&api::Checkpoint> for Checkpoint {
    type Error = OfficeError;

    fn try_from(asked: &api::Checkpoint) -> Result<Self, OfficeError> {
        let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).map_err(|_| CheckpointError::Form);
        Ok(Self {
            journal_id: hex(&asked.journal)?.try_into().map_err(|_| CheckpointError::Form)?,
            epoch: Epoch(asked.epoch),
            position: Position(asked.position),
            head: hex(&asked.head)?.try_into().map_err(|_| CheckpointError::Form)?,
            time: asked.time.parse()?,
        })
    }
}

impl From<office::Condition> for api::Condition {
    fn from(condition: office::Condition) -> Self {
        let office::Condition { position, head, epoch, certificates, findings, remarks } = condition;
        Self { position: position.0, head, epoch, certificates, findings, remarks }
    }
}

impl From<office::ClockState> for api::ClockState {
    fn from(state: office::ClockState) -> Self {
        Self {
            wall: state.wall.to_string(),
            trusted: state.trusted.to_string(),
            recorded_at: state.recorded_at.to_string(),
            frozen: state.frozen.is_some(),
            since: state.frozen.map(|frozen| frozen.since.to_string()),
            why: state.frozen.map(|frozen| frozen.why.to_string()),
        }
    }
}

impl From<crate::store::Accepted> for api::AcceptedEnd {
    fn from(accepted: crate::store::Accepted) -> Self {
        let crate::store::Accepted { last, position, epoch, cut } = accepted;
        let pieces = cut.iter().map(ToString::to_string).collect();
        Self { last: last.0, position: position.0, epoch: epoch.0, pieces }
    }
}

impl From<office::ClockRelease> for api::ClockRelease {
    fn from(release: office::ClockRelease) -> Self {
        let office::ClockRelease { from, to, position } = release;
        let position = position.map(|position| position.0);
        Self { released: position.is_some(), from: from.to_string(), to: to.to_string(), position }
    }
}

impl From<OfficeError> for Problem {
    fn from(error: OfficeError) -> Self {
        let kind = match error.blame() {
            Blame::Refused => ProblemKind::Refused,
            Blame::Key => ProblemKind::KeyReused,
            Blame::Request => ProblemKind::Invalid,
            Blame::Moment => ProblemKind::Unavailable,
            Blame::Service => ProblemKind::Internal,
            Blame::Damage => ProblemKind::Person,
        };
        Self { error: error.to_string(), kind }
    }
}

/// The request id covers the address and the whole body: another wish under the same key is
/// another request. All of it but the comment: the journal keeps the id, and by it a short one could be guessed.
fn origin(actor: Actor, key: Option<&str>, address: &str, body: &[u8]) -> Origin {
    let request = key.map(|key| {
        let asked = [address.as_bytes(), b"\n", &without_comment(body)].concat();
        RequestId::new(&actor, key, &asked)
    });
    Origin { request, ..Origin::of(actor) }
}

fn without_comment(body: &[u8]) -> Vec<u8> {
    let Ok(mut fields) = serde_json::from_slice::<BTreeMap<String, serde_json::Value>>(body) else {
        return body.to_vec();
    };
    fields.remove("comment");
    serde_json::to_vec(&fields).unwrap_or_default()
}

/// What is done under a ticket, and what is said of it: durable when this returns.
fn what_for(
    office: &Office,
    origin: Origin,
    (ticket, comment): (Option<&str>, Option<&api::Comment>),
) -> Result<Origin, OfficeError> {
    let ticket = ticket.map(str::parse).transpose()?;
    let comment = comment.map(|comment| comment.0.parse()).transpose()?;
    office.commented(Origin { ticket, ..origin }, comment.as_ref())
}

fn origin_of_card(
    office: &Office,
    asked: &api::NamedCard,
    actor: Actor,
    address: &str,
    body: &[u8],
) -> Result<Origin, OfficeError> {
    let said = (asked.ticket.as_deref(), asked.comment.as_ref());
    what_for(office, origin(actor, asked.key.as_deref(), address, body), said)
}

/// Bare digits are refused with both readings, and whether each was issued.
pub(super) fn serial_of(office: &Office, authority: &str, text: &str) -> Result<SerialNumber, OfficeError> {
    match text.parse() {
        Ok(serial) => Ok(serial),
        Err(SerialTextError::Bare(bare)) => Err(office.bare_serial(authority, bare)),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn selector(office: &Office, selector: &api::Selector) -> Result<Selector, OfficeError> {
    match selector {
        api::Selector::Named { authority, serial } => {
            let serial = serial_of(office, authority, serial)?;
            Ok(Selector::Named { authority: authority.clone(), serial })
        }
        api::Selector::Certificate { certificate } => Ok(Selector::Certificate(der_of(certificate)?)),
    }
}

/// The certificate that PEM is meant to name.
pub(super) fn der_of(pem: &str) -> Result<Vec<u8>, OfficeError> {
    Ok(pki::end_certificate(pem.as_bytes())?)
}

pub(super) fn in_words(status: CertStatus) -> Status {
    match status {
        CertStatus::Revoked(revocation) => Status {
            status: if revocation.is_hold() { "hold" } else { "revoked" }.to_owned(),
            reason: Some(revocation.reason.name().to_owned()),
            revoked_at: Some(revocation.revoked_at.to_string()),
            invalidity_date: revocation.invalidity_date.map(|date| date.to_string()),
        },
        CertStatus::Good | CertStatus::Unknown => {
            Status { status: "good".to_owned(), reason: None, revoked_at: None, invalidity_date: None }
        }
    }
}

pub(super) fn time(text: Option<&str>) -> Result<Option<UnixTime>, OfficeError> {
    Ok(text.map(str::parse).transpose()?)
}

fn no_reason(change: &api::Change) -> Result<(), Problem> {
    if change.reason.is_none() {
        return Ok(());
    }
    Err(Problem { error: "hold and release take no reason".to_owned(), kind: ProblemKind::Invalid })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem {
        error: format!("the request's JSON is not understood: {error}"),
        kind: ProblemKind::Invalid,
    })
}

fn reply(answer: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(answer)
        .map_err(|error| Problem { error: error.to_string(), kind: ProblemKind::Internal })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_5_the_id_of_a_request_tells_nothing_of_its_comment() {
        let id = |body: &str| origin(Actor::service(), Some("k"), "/v1/revoke", body.as_bytes()).request;
        let with = |comment: &str| id(&format!(r#"{{"key": "k", "comment": {comment}, "reason": "x"}}"#));
        assert_eq!(with("\"a\""), with("\"b\""));
        assert_eq!(with("null"), id(r#"{"reason": "x", "key": "k"}"#));
        assert_ne!(with("null"), id(r#"{"reason": "y", "key": "k"}"#));
        let asked: api::NamedCard = parse(br#"{"card": "c", "comment": "of Hanako"}"#).unwrap();
        assert!(!format!("{asked:?}").contains("Hanako"));
    }
}
