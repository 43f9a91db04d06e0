//! What an answer says, and whether it answers what was asked. Signatures are not verified: the
//! cost of that would be the generator's, not the server's.

use super::questions::{Nonce, Question, Questions};
use super::tally::{Mismatch, Outcome, Says, Trouble};
use crate::der::{DerError, Reader, tag};
use crate::pki::{SerialNumber, oid};

/// OCSPResponseStatus `successful` (RFC 6960 §4.2.1).
const SUCCESSFUL: u8 = 0;

/// Judges the octets of an OCSPResponse.
pub(super) fn judge(
    der: &[u8],
    questions: &Questions,
    question: &Question,
    nonce: Option<&Nonce>,
) -> Outcome {
    match read(der, questions, question) {
        Err(_) => Outcome::Troubled(Trouble::NotAnAnswer),
        Ok(Answer::Refusal(status)) => Outcome::Troubled(Trouble::Ocsp(status)),
        Ok(Answer::Basic { says: None, .. }) => Outcome::Wrong(Mismatch::Certificate),
        Ok(Answer::Basic { says: Some(says), nonce: answered }) => match (nonce, answered) {
            (Some(asked), Some(answered)) if asked == answered => {
                Outcome::Answered { says, nonce_left_out: false }
            }
            (None, None) => Outcome::Answered { says, nonce_left_out: false },
            // RFC 9654 §2: a responder of prepared answers leaves it out.
            (Some(_), None) => Outcome::Answered { says, nonce_left_out: true },
            (_, Some(_)) => Outcome::Wrong(Mismatch::Nonce),
        },
    }
}

enum Answer<'a> {
    Refusal(u8),
    /// What it says of the certificate asked about, if anything.
    Basic {
        says: Option<Says>,
        nonce: Option<&'a [u8]>,
    },
}

/// ```text
/// OCSPResponse ::= SEQUENCE {
///     responseStatus      ENUMERATED,
///     responseBytes   [0] EXPLICIT SEQUENCE { OBJECT IDENTIFIER, OCTET STRING } OPTIONAL }
/// ```
fn read<'a>(der: &'a [u8], questions: &Questions, question: &Question) -> Result<Answer<'a>, DerError> {
    let mut reader = Reader::new(der);
    let answer = reader.sequence(|r| {
        let status = r.small(tag::ENUMERATED)?;
        let basic = r.optional_nested(tag::context_constructed(0), |r| {
            r.sequence(
                |r| if r.oid_is(&oid::OCSP_BASIC)? { r.octet_string() } else { Err(DerError::Content) },
            )
        })?;
        match (status, basic) {
            (SUCCESSFUL, Some(basic)) => read_basic(basic, questions, question),
            (SUCCESSFUL, None) => Err(DerError::Truncated),
            _ => Ok(Answer::Refusal(status)),
        }
    })?;
    reader.finish()?;
    Ok(answer)
}

/// ```text
/// BasicOCSPResponse ::= SEQUENCE { tbsResponseData ResponseData, ... }
/// ResponseData ::= SEQUENCE {
///     version             [0] EXPLICIT Version DEFAULT v1,
///     responderID             CHOICE,
///     producedAt              GeneralizedTime,
///     responses               SEQUENCE OF SingleResponse,
///     responseExtensions  [1] EXPLICIT Extensions OPTIONAL }
/// ```
fn read_basic<'a>(der: &'a [u8], questions: &Questions, question: &Question) -> Result<Answer<'a>, DerError> {
    let mut reader = Reader::new(der);
    let content = reader.read(tag::SEQUENCE)?;
    reader.finish()?;
    let mut basic = Reader::new(content);
    basic.sequence(|r| {
        r.optional(tag::context_constructed(0))?;
        r.element()?;
        r.read(tag::GENERALIZED_TIME)?;
        let says = r.sequence(|r| {
            let mut says = None;
            while !r.is_empty() {
                says = says.or(r.sequence(|r| read_single(r, questions, question))?);
            }
            Ok::<_, DerError>(says)
        })?;
        let nonce = r.optional_nested(tag::context_constructed(1), read_nonce)?.flatten();
        Ok(Answer::Basic { says, nonce })
    })
}

/// ```text
/// SingleResponse ::= SEQUENCE {
///     certID      CertID,
///     certStatus  CHOICE { good [0], revoked [1], unknown [2] }, ... }
/// ```
fn read_single(
    single: &mut Reader<'_>,
    questions: &Questions,
    question: &Question,
) -> Result<Option<Says>, DerError> {
    let asked = single.sequence(|r| {
        let algorithm = r.sequence(|r| {
            let algorithm = r.oid()?;
            if !r.is_empty() {
                r.element()?;
            }
            Ok::<_, DerError>(algorithm)
        })?;
        let (name_hash, key_hash) = (r.octet_string()?, r.octet_string()?);
        let serial = SerialNumber::read(r)?;
        // Who answers under another hash than asked names the same issuer in other words.
        let same_issuer = questions.issuer(question).is_some_and(|issuer| {
            issuer.algorithm != algorithm || (issuer.name_hash == name_hash && issuer.key_hash == key_hash)
        });
        Ok::<_, DerError>(same_issuer && serial == question.serial)
    })?;
    let status = single.element()?.tag;
    while !single.is_empty() {
        single.element()?;
    }
    let says = match status {
        GOOD => Says::Good,
        REVOKED => Says::Revoked,
        UNKNOWN => Says::Unknown,
        _ => return Err(DerError::Content),
    };
    Ok(asked.then_some(says))
}

fn read_nonce<'a>(extensions: &mut Reader<'a>) -> Result<Option<&'a [u8]>, DerError> {
    extensions.sequence(|r| {
        let mut nonce = None;
        while !r.is_empty() {
            r.sequence(|r| {
                let is_nonce = r.oid_is(&oid::OCSP_NONCE)?;
                r.optional(tag::BOOLEAN)?;
                let value = r.octet_string()?;
                if is_nonce {
                    nonce = Some(Reader::new(value).octet_string()?);
                }
                Ok::<_, DerError>(())
            })?;
        }
        Ok(nonce)
    })
}

/// `[0] IMPLICIT NULL`.
const GOOD: u8 = tag::context(0);
/// `[1] IMPLICIT RevokedInfo`.
const REVOKED: u8 = tag::context_constructed(1);
/// `[2] IMPLICIT NULL`.
const UNKNOWN: u8 = tag::context(2);
