//! One request: its address, its body parsed into the office's words, the outcome in the API's.

use data_encoding::HEXLOWER;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api::{self, Problem, ProblemKind, Status, path};
use super::authorities;
use super::cards;
use super::certificates;
use super::explain;
use super::request::{Request, reply};
use super::signers;
use super::verifiers;
use crate::der::UnixTime;
use crate::lifecycle::Turn;
use crate::office::{
    self, Application, Asked, Blame, Checkpoint, CheckpointError, CommentSaid, Office, OfficeError, Selector,
    Wish,
};
use crate::pki::{self, AuthorityId, CertStatus, CertificateKind, SerialNumber, SerialTextError};
use crate::record::{Actor, Epoch, Position};

/// Carries out the request `body` sent to `address` by `actor`.
pub(super) fn answer(address: &str, body: &[u8], office: &Office, actor: Actor) -> Result<Vec<u8>, Problem> {
    let request = Request { office, address, body, actor };
    let groups = [of_certificate, of_crl, of_signer, of_card, of_authority, of_verifier, of_service];
    groups.iter().find_map(|group| group(&request)).unwrap_or_else(|| {
        Err(Problem {
            error: format!("there is no {address} here: is the command newer than the service?"),
            kind: ProblemKind::Invalid,
        })
    })
}

/// None where the address is of another group.
type Answered = Option<Result<Vec<u8>, Problem>>;

fn of_certificate(request: &Request<'_>) -> Answered {
    Some(match request.address {
        path::ISSUE => request.issue(),
        path::CERTIFICATE_GET => request.look(certificates::get),
        path::CERTIFICATE_LIST => request.look(certificates::list),
        path::REVOKE => request.change(|change, invalidity_date| {
            let reason = change.reason.as_deref().map(str::parse).transpose().map_err(OfficeError::from)?;
            Ok(Wish::revoke(reason, invalidity_date))
        }),
        path::HOLD => request.change(|change, invalidity_date| {
            no_reason(change)?;
            Ok(Wish::Hold { invalidity_date })
        }),
        path::RELEASE => request.change(|change, _| {
            no_reason(change)?;
            Ok(Wish::Release)
        }),
        path::STATUS => request.look(status),
        path::EXPLAIN => request.look(|office, asked: &api::Explain| {
            explain::explain(office, &selector(office, &asked.certificate)?)
        }),
        _ => return None,
    })
}

fn of_crl(request: &Request<'_>) -> Answered {
    let office = request.office;
    Some(match request.address {
        path::CRL_PUBLISH => request.look(publish),
        path::CRL_LIST => crl_list(office).and_then(|list| reply(&list)),
        path::CRL_RELEASE => request.look(|office, asked: &api::ReleaseSet| {
            Ok(published(&office.release_set(&asked.set, &asked.reason, request.origin(None))?))
        }),
        path::CRL_REBUILD => request.look(rebuild),
        _ => return None,
    })
}

fn of_signer(request: &Request<'_>) -> Answered {
    Some(match request.address {
        path::RELOAD => reload(request.office).and_then(|loaded| reply(&loaded)),
        path::SIGNER_LIST => request.look(signers::list),
        path::SIGNER_RENEW => request.carry_out(signers::renew),
        path::SIGNER_REVOKE => request.carry_out(signers::revoke),
        _ => return None,
    })
}

fn of_card(request: &Request<'_>) -> Answered {
    Some(match request.address {
        path::CARD_APPLY => request.carry_out(cards::apply),
        path::CARD_HAND_OVER => request.carry_out(cards::hand_over),
        path::CARD_SUSPEND => {
            request.carry_out(|office, asked, origin| cards::turn(office, asked, Turn::Lost, origin))
        }
        path::CARD_FOUND => {
            request.carry_out(|office, asked, origin| cards::turn(office, asked, Turn::Found, origin))
        }
        path::CARD_SHOW => request.look(cards::show),
        path::MOVEMENTS => request.carry_out(cards::movements),
        path::RECONCILE => cards::reconcile(request.office).and_then(|found| reply(&found)),
        _ => return None,
    })
}

/// The keys of authorities.
fn of_authority(request: &Request<'_>) -> Answered {
    Some(match request.address {
        path::AUTHORITY_LIST => reply(&authorities::list(request.office)),
        path::AUTHORITY_ROLLOVER => request.carry_out(authorities::roll_over),
        path::AUTHORITY_ACTIVATE => request.carry_out(authorities::activate),
        path::AUTHORITY_RETIRE => request.carry_out(authorities::retire),
        path::COMPROMISED => request.carry_out(authorities::compromised),
        _ => return None,
    })
}

fn of_verifier(request: &Request<'_>) -> Answered {
    let actor = || request.actor.clone();
    Some(match request.address {
        path::VERIFIER_ADD => request.look(|office, asked| verifiers::register(office, asked, actor())),
        path::VERIFIER_SUSPEND => request.look(|office, asked| verifiers::suspend(office, asked, actor())),
        path::VERIFIER_LIST => reply(&verifiers::list(request.office)),
        _ => return None,
    })
}

/// The service itself: its clock, its journal.
fn of_service(request: &Request<'_>) -> Answered {
    let office = request.office;
    Some(match request.address {
        path::CHECK => request.look(check),
        path::CLOCK => reply(&api::ClockState::from(office.clock_state())),
        path::CLOCK_RELEASE => match office.release_clock(request.origin(None)) {
            Ok(release) => reply(&api::ClockRelease::from(release)),
            Err(error) => Err(error.into()),
        },
        path::JOURNAL_HEAD => {
            let (position, head) = office.store().head();
            reply(&api::JournalHead { position: position.0, head: HEXLOWER.encode(&head) })
        }
        path::JOURNAL_SEEN => match office.see_cuts() {
            Ok(cuts) => reply(&api::JournalSeen { pieces: cuts.iter().map(ToString::to_string).collect() }),
            Err(error) => Err(error.into()),
        },
        _ => return None,
    })
}

fn issued(issued: office::IssuedPair) -> api::IssuedPair {
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
    api::IssuedPair {
        certificates: certificates.collect(),
        position: issued.position.0,
        recorded_at: issued.recorded_at.to_string(),
        repeated: issued.repeated,
        card,
        holder,
    }
}

fn application(asked: &api::Issue) -> Result<Application, Problem> {
    let kinds = asked.kinds.iter().map(|kind| kind.parse::<CertificateKind>());
    Ok(Application {
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

impl Request<'_> {
    /// Answers what changes nothing, or is recorded without a ticket.
    fn look<A: DeserializeOwned, R: Serialize>(
        &self,
        look: impl FnOnce(&Office, &A) -> Result<R, Problem>,
    ) -> Result<Vec<u8>, Problem> {
        reply(&look(self.office, &self.parse()?)?)
    }

    /// Changes the status of a certificate as it is wished, from the invalidity date that is asked for.
    fn change(
        &self,
        wish: impl FnOnce(&api::Change, Option<UnixTime>) -> Result<Wish, Problem>,
    ) -> Result<Vec<u8>, Problem> {
        let change: api::Change = self.parse()?;
        let wish = wish(&change, time(change.invalid_since.as_deref())?)?;
        let asked = Asked { certificate: selector(self.office, &change.certificate)?, wish };
        // What cannot be carried out is refused before its comment is kept.
        let origin = self.annotated(&change)?;
        reply(&changed(self.office.change(&asked, origin)?))
    }

    fn issue(&self) -> Result<Vec<u8>, Problem> {
        let asked: api::Issue = self.parse()?;
        let application = application(&asked)?;
        let origin = self.annotated(&asked)?;
        reply(&issued(self.office.issue(&application, origin)?))
    }
}

fn changed(done: office::Changed) -> api::Changed {
    api::Changed {
        authority: done.authority,
        generation: done.certificate.generation.number(),
        serial: done.certificate.serial.to_string(),
        status: in_words(done.status),
        position: done.position.0,
        recorded_at: done.recorded_at.to_string(),
        changed: done.changed,
        repeated: done.repeated,
    }
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
    let fault = |what: &str| Some(format!("{what}: restore store/archive from a backup"));
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
