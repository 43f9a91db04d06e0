//! One request: its address, its body parsed into the office's words, the outcome in the API's.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api::{self, Problem, ProblemKind, Status, path};
use super::authorities;
use super::cards;
use super::explain;
use super::verifiers;
use crate::der::UnixTime;
use crate::office::{self, Application, Asked, Blame, Office, OfficeError, Selector, Wish};
use crate::pki::{AuthorityId, CertStatus, CertificateKind};
use crate::record::{Actor, Origin, RequestId};

/// Carries out the request `body` sent to `address` by `actor`.
pub(super) fn answer(address: &str, body: &[u8], office: &Office, actor: Actor) -> Result<Vec<u8>, Problem> {
    match address {
        path::ISSUE => reply(&issue(office, &parse(body)?, body, actor)?),
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
        path::VERIFIER_ADD => reply(&verifiers::register(office, &parse(body)?, actor)?),
        path::VERIFIER_SUSPEND => reply(&verifiers::suspend(office, parse(body)?, actor)?),
        path::VERIFIER_LIST => reply(&verifiers::list(office)),
        path::CHECK => reply(&check(office)?),
        path::CLOCK => reply(&api::ClockState::from(office.clock_state())),
        path::CLOCK_RELEASE => {
            reply(&api::ClockRelease::from(office.release_clock(origin(actor, None, address, body))?))
        }
        path::JOURNAL_SEEN => {
            let pieces = office.see_cuts()?.iter().map(ToString::to_string).collect();
            reply(&api::JournalSeen { pieces })
        }
        path::CARD_APPLY => {
            let asked: api::ApplyForCard = parse(body)?;
            reply(&cards::apply(office, &asked, origin(actor, asked.key.as_deref(), address, body))?)
        }
        path::CARD_HAND_OVER => {
            let asked: api::NamedCard = parse(body)?;
            reply(&cards::hand_over(office, &asked, origin(actor, asked.key.as_deref(), address, body))?)
        }
        path::CARD_SHOW => reply(&cards::show(office, &parse(body)?)?),
        path::MOVEMENTS => reply(&cards::movements(office, &parse(body)?, &actor)?),
        path::AUTHORITY_LIST | path::AUTHORITY_ROLLOVER | path::AUTHORITY_ACTIVATE | path::COMPROMISED => {
            of_authority(address, body, office, actor)
        }
        path::RECONCILE => reply(&cards::reconcile(office)?),
        path::EXPLAIN => {
            let asked: api::Explain = parse(body)?;
            reply(&explain::explain(office, &selector(&asked.certificate)?)?)
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
        path::AUTHORITY_ROLLOVER => reply(&authorities::roll_over(office, parse(body)?)?),
        path::AUTHORITY_ACTIVATE => {
            reply(&authorities::activate(office, parse(body)?, origin(actor, None, address, body))?)
        }
        path::COMPROMISED => {
            let asked: api::CompromisedKey = parse(body)?;
            let origin = origin(actor, asked.key.as_deref(), address, body);
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
        subject_key: match &asked.subject_key {
            api::SubjectKeySource::Csr(pem) => office::SubjectKeySource::Csr(pem.clone().into_bytes()),
            api::SubjectKeySource::PublicKey(pem) => {
                office::SubjectKeySource::PublicKey(pem.clone().into_bytes())
            }
            api::SubjectKeySource::TestKey => office::SubjectKeySource::TestKey,
        },
        place: cards::place(asked)?,
    };
    let issued = office.issue(&application, origin(actor, asked.key.as_deref(), path::ISSUE, body))?;
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

fn change_status(
    office: &Office,
    change: &api::Change,
    wish: Wish,
    address: &str,
    body: &[u8],
    actor: Actor,
) -> Result<api::Changed, Problem> {
    let asked = Asked { certificate: selector(&change.certificate)?, wish };
    let done = office.change(&asked, origin(actor, change.key.as_deref(), address, body))?;
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
    let state = office.inquire(&selector(&inquiry.certificate)?, time(inquiry.at.as_deref())?)?;
    let issued = &state.record.issued;
    Ok(api::CertificateState {
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
        movement: state.behind.map(|behind| api::MovementBehind {
            event: behind.event,
            effective_at: behind.effective_at.to_string(),
            position: behind.position.0,
        }),
        crl_set: state.crl_set.map(|number| number.to_string()),
        doubt: state.doubt,
    })
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

fn check(office: &Office) -> Result<api::Condition, Problem> {
    Ok(api::Condition::from(office.examine()?))
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
            Blame::Service | Blame::Damage => ProblemKind::Internal,
        };
        Self { error: error.to_string(), kind }
    }
}

/// The request id covers the address and the whole body: another wish under the same key is
/// another request.
fn origin(actor: Actor, key: Option<&str>, address: &str, body: &[u8]) -> Origin {
    let request = key.map(|key| RequestId::new(&actor, key, &[address.as_bytes(), b"\n", body].concat()));
    Origin { actor, request }
}

fn selector(selector: &api::Selector) -> Result<Selector, OfficeError> {
    Ok(match selector {
        api::Selector::Named { authority, serial } => {
            Selector::Named { authority: authority.clone(), serial: serial.parse()? }
        }
        api::Selector::Certificate { certificate } => Selector::Certificate(der_of(certificate)?),
    })
}

/// The octets in PEM.
pub(super) fn der_of(pem: &str) -> Result<Vec<u8>, OfficeError> {
    Ok(pem::parse(pem).map_err(|_| OfficeError::NotACertificate)?.into_contents())
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
