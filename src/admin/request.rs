//! A request as it came, and the origin of what it changes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api::{self, Problem, ProblemKind};
use crate::office::{Office, OfficeError};
use crate::record::{Actor, Origin, RequestId};

/// What was sent where, by whom.
pub(super) struct Request<'a> {
    pub(super) office: &'a Office,
    pub(super) address: &'a str,
    pub(super) body: &'a [u8],
    pub(super) actor: Actor,
}

impl Request<'_> {
    pub(super) fn parse<A: DeserializeOwned>(&self) -> Result<A, Problem> {
        serde_json::from_slice(self.body).map_err(|error| Problem {
            error: format!("the request's JSON is not understood: {error}"),
            kind: ProblemKind::Invalid,
        })
    }

    /// Parses it, makes what is said of it durable, and carries it out.
    pub(super) fn carry_out<A: DeserializeOwned + Annotated, R: Serialize>(
        &self,
        act: impl FnOnce(&Office, &A, Origin) -> Result<R, Problem>,
    ) -> Result<Vec<u8>, Problem> {
        let asked: A = self.parse()?;
        let origin = self.annotated(&asked)?;
        reply(&act(self.office, &asked, origin)?)
    }

    /// The origin with its ticket and its comment; the comment is durable when this returns.
    pub(super) fn annotated(&self, asked: &impl Annotated) -> Result<Origin, OfficeError> {
        let ticket = asked.ticket().map(str::parse).transpose()?;
        let comment = asked.comment().map(|comment| comment.0.parse()).transpose()?;
        self.office.commented(Origin { ticket, ..self.origin(asked.key()) }, comment.as_ref())
    }

    pub(super) fn origin(&self, key: Option<&str>) -> Origin {
        let request = key.map(|key| request_id(&self.actor, key, self.address, self.body));
        Origin { request, ..Origin::of(self.actor.clone()) }
    }
}

/// Covers the address and the body without its comment: another wish under the same key is another request.
/// The journal keeps the id, and a short comment could be guessed from it.
fn request_id(actor: &Actor, key: &str, address: &str, body: &[u8]) -> RequestId {
    let asked = [address.as_bytes(), b"\n", &without_comment(body)].concat();
    RequestId::new(actor, key, &asked)
}

/// A body without a comment stays as it is.
fn without_comment(body: &[u8]) -> Vec<u8> {
    let mut fields: BTreeMap<String, serde_json::Value> = serde_json::from_slice(body).unwrap_or_default();
    if fields.remove("comment").is_none() {
        return body.to_vec();
    }
    serde_json::to_vec(&fields).unwrap_or_default()
}

pub(super) fn reply<R: Serialize>(outcome: &R) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(outcome)
        .map_err(|error| Problem { error: error.to_string(), kind: ProblemKind::Internal })
}

/// What may be asked for under a ticket, with a comment, and with an idempotency key.
pub(super) trait Annotated {
    fn ticket(&self) -> Option<&str>;
    fn comment(&self) -> Option<&api::Comment>;
    /// By it a repetition is known; none where repeating changes nothing.
    fn key(&self) -> Option<&str> {
        None
    }
}

macro_rules! annotated {
    ($($asked:ty $(, $key:ident)?;)*) => {$(
        impl Annotated for $asked {
            fn ticket(&self) -> Option<&str> {
                self.ticket.as_deref()
            }
            fn comment(&self) -> Option<&api::Comment> {
                self.comment.as_ref()
            }
            $(fn key(&self) -> Option<&str> {
                self.$key.as_deref()
            })?
        }
    )*};
}

annotated! {
    api::Issue, key;
    api::Change, key;
    api::RenewSigners;
    api::RevokeSigner, key;
    api::ApplyForCard, key;
    api::NamedCard, key;
    api::RollOver;
    api::NamedAuthority;
    api::NamedKey;
    api::CompromisedKey, key;
}

/// Each of its reports is known by its own id.
impl Annotated for api::Movements {
    fn ticket(&self) -> Option<&str> {
        self.ticket.as_deref()
    }

    fn comment(&self) -> Option<&api::Comment> {
        self.comment.as_ref().filter(|_| !self.dry_run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_5_the_id_of_a_request_tells_nothing_of_its_comment() {
        let id = |body: &str| request_id(&Actor::service(), "k", "/v1/revoke", body.as_bytes());
        let with = |comment: &str| id(&format!(r#"{{"key": "k", "comment": {comment}, "reason": "x"}}"#));
        assert_eq!(with("\"a\""), with("\"b\""));
        assert_ne!(with("\"a\""), id(r#"{"key": "k", "comment": "a", "reason": "y"}"#));
        assert_ne!(id(r#"{"key": "k", "reason": "x"}"#), id(r#"{"key": "k", "reason": "y"}"#));
        let asked: api::NamedCard = serde_json::from_str(r#"{"card": "c", "comment": "of Hanako"}"#).unwrap();
        assert!(!format!("{asked:?}").contains("Hanako"));
    }
}
