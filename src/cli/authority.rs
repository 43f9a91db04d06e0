//! `authority …`: the keys of authorities.

use super::args::{AuthorityCommand, Grounds};
use super::client::Client;
use super::{DataDir, Failure, print};
use crate::admin::api::{
    AuthorityKey, AuthorityKeys, Compromised, CompromisedKey, NamedAuthority, NamedKey, NewKey, RetiredKey,
    RollOver, path,
};

pub(super) fn run(data: &DataDir, command: &AuthorityCommand, json: bool) -> Result<(), Failure> {
    match command {
        AuthorityCommand::List => {
            let all: AuthorityKeys = Client::of(data)?.post(path::AUTHORITY_LIST, &serde_json::json!({}))?;
            print(json, &all, || all.keys.iter().map(in_words).collect::<Vec<_>>().join("\n"))
        }
        AuthorityCommand::Rollover { authority, issue_from, now, grounds } => {
            let (authority, issue_from) = (authority.clone(), issue_from.clone());
            let Grounds { ticket, comment } = grounds.clone();
            let asked = RollOver { authority, issue_from, now: *now, ticket, comment };
            let made: NewKey = Client::of(data)?.post(path::AUTHORITY_ROLLOVER, &asked)?;
            print(json, &made, || new_key(&made))
        }
        AuthorityCommand::Activate { authority, grounds } => {
            let Grounds { ticket, comment } = grounds.clone();
            let asked = NamedAuthority { authority: authority.clone(), ticket, comment };
            let made: NewKey = Client::of(data)?.post(path::AUTHORITY_ACTIVATE, &asked)?;
            print(json, &made, || new_key(&made))
        }
        AuthorityCommand::Retire { authority, generation, grounds } => {
            let Grounds { ticket, comment } = grounds.clone();
            let (authority, generation) = (authority.clone(), *generation);
            let asked = NamedKey { authority: authority.clone(), generation, ticket, comment };
            let done: RetiredKey = Client::of(data)?.post(path::AUTHORITY_RETIRE, &asked)?;
            print(json, &done, || retired(&authority, generation, &done))
        }
        AuthorityCommand::Compromised { authority, generation, invalid_since, what_for } => {
            let Grounds { ticket, comment } = what_for.grounds.clone();
            let asked = CompromisedKey {
                authority: authority.clone(),
                generation: *generation,
                invalid_since: invalid_since.clone(),
                ticket,
                comment,
                key: what_for.key.clone(),
            };
            let done: Compromised = Client::of(data)?.post(path::COMPROMISED, &asked)?;
            print(json, &done, || compromised(authority, *generation, &done))
        }
    }
}

fn in_words(key: &AuthorityKey) -> String {
    let AuthorityKey { authority, generation, serial, not_after, .. } = key;
    let state = match (key.state.as_str(), &key.issues_from) {
        ("issues", _) => "issues".to_owned(),
        ("waits", Some(from)) => format!("issues from {from} on; signs CRLs and OCSP signers"),
        ("signs", _) => "signs CRLs and OCSP signers only".to_owned(),
        ("retired", _) => {
            let since = key.retired_at.as_deref().unwrap_or_default();
            format!("retired since {since}, signs nothing; its last CRLs end with the CA certificate")
        }
        ("lost", _) => "signs nothing".to_owned(),
        (other, _) => other.to_owned(),
    };
    let mut line = format!("{authority} {generation}: {state}; CA certificate {serial}, until {not_after}");
    if key.retired_at.is_some() {
        line.push_str(&format!("\n  {}", answers(key.answers_until.as_deref())));
    }
    if let Some(fault) = &key.fault {
        line.push_str(&format!("\n  ! {fault}"));
    }
    if let Some(since) = &key.compromised_at {
        let rest = match key.revoked_one_by_one {
            Some(true) => "in its CRLs too",
            _ => "its CRLs follow as soon as all of it is written one by one",
        };
        line.push_str(&format!("\n  ! compromised: all that it signed is revoked since {since}, {rest}"));
    }
    line
}

fn answers(until: Option<&str>) -> String {
    until.map_or_else(
        || "OCSP answers for it no longer: `unauthorized`".to_owned(),
        |until| format!("OCSP answers for it until {until}, then `unauthorized`"),
    )
}

fn retired(authority: &str, generation: u8, done: &RetiredKey) -> String {
    let RetiredKey { position, recorded_at, set, crls_until, answers_until, crls, key, .. } = done;
    let how = if done.changed { "recorded" } else { "so already, nothing changed; recorded" };
    format!(
        "{authority} {generation}: retired; its last CRLs are those of set {set} ({how} at {recorded_at}, journal \
         position {position})\n  they must be served until {crls_until}; this service does\n  {}\n  \
         nobody can sign them again: back up {crls}, and the keys of its OCSP signers in keys/\n  \
         nothing needs the key any more: then destroy {key} and every copy of it",
        answers(answers_until.as_deref())
    )
}

fn new_key(made: &NewKey) -> String {
    let NewKey { authority, generation, issues_from, .. } = made;
    let mut line = format!("{authority} {generation}: issues from {issues_from} on");
    if let Some(why) = &made.not_published {
        line.push_str(&format!("\n  ! its CRLs follow by themselves: {why}"));
    }
    line
}

fn notice(Compromised { notice, notice_out, notice_signed, .. }: &Compromised) -> String {
    match (notice_out, notice_signed) {
        (true, true) => format!("  public notice: {notice}, signed in .p7s beside it"),
        (true, false) => {
            format!("  ! public notice: {notice}, signed by nobody: /readyz and the log say why")
        }
        (false, _) => format!(
            "  ! the public notice is not there yet: it follows by itself at {notice}, as soon as no CRL set is being \
             made; until then /readyz says so"
        ),
    }
}

fn compromised(authority: &str, generation: u8, done: &Compromised) -> String {
    let Compromised { position, recorded_at, .. } = done;
    let how = if done.changed { "recorded" } else { "so already, nothing changed; recorded" };
    let mut lines = vec![format!(
        "{authority} {generation}: all that it signed is revoked, cACompromise, since {recorded_at} ({how} at \
         {recorded_at}, journal position {position})"
    )];
    if !done.revoked_one_by_one {
        lines.push(
            "  OCSP answers so now; the CRLs follow as soon as all of it is written one by one".to_owned(),
        );
    }
    let until =
        |what: &str, until: &String| format!("  ! the key signs no more: {what} until {until} and no longer");
    lines.extend(done.answers_until.iter().map(|at| until("OCSP answers for it", at)));
    lines.extend(done.crls_until.iter().map(|at| until("its CRLs are valid", at)));
    lines.push(notice(done));
    lines.push(match (done.issuing, done.waiting) {
        (Some(other), _) => format!("  generation {other} issues for {authority}"),
        (None, Some(_)) => format!("  next: sekisho authority activate --authority {authority}"),
        (None, None) => format!("  next: sekisho authority rollover --authority {authority} --now"),
    });
    lines.push("  relying parties must remove its CA certificate from what they trust".to_owned());
    lines.join("\n")
}
