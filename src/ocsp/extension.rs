//! Extensions of requests and responses (RFC 6960 §4.4, RFC 9654).

use super::error::OcspError;
use super::preference::Preference;
use crate::der::{DerError, Oid, Reader, Writer, tag};
use crate::pki::oid;

/// Octets of a nonce, RFC 9654 §2.1: SIZE(1..128).
const NONCE_MAX: usize = 128;

/// Extensions of one SEQUENCE: enough for the known ones and a few others; RFC 5280 forbids
/// an extension twice, and this bounds looking for the second.
const EXTENSIONS_MAX: usize = 16;

/// What requestExtensions ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RequestExtensions<'a> {
    /// The octets to repeat, without their OCTET STRING.
    pub(super) nonce: Option<&'a [u8]>,
    /// What the answer should be signed with.
    pub(super) preference: Preference<'a>,
}

/// One extension of a list.
struct Extension<'a> {
    id: &'a [u8],
    critical: bool,
    value: &'a [u8],
}

/// Reads requestExtensions.
pub(super) fn read_request_extensions<'a>(
    reader: &mut Reader<'a>,
) -> Result<RequestExtensions<'a>, OcspError> {
    let mut asked = RequestExtensions::default();
    each_extension(reader, |extension| {
        let known = |oid: &Oid| extension.id == oid.content();
        if known(&oid::OCSP_NONCE) {
            asked.nonce = Some(read_nonce(extension.value)?);
        } else if known(&oid::OCSP_RESPONSE) {
            check_acceptable_responses(extension.value)?;
        } else if known(&oid::OCSP_PREF_SIG_ALGS) {
            asked.preference = Preference::read(extension.value)?;
        } else if extension.critical {
            return Err(OcspError::MalformedRequest);
        }
        Ok(())
    })?;
    Ok(asked)
}

/// Reads singleRequestExtensions. The service locator (RFC 6960 §4.4.6) is for responders
/// that pass questions on; this one answers for its own authorities only.
pub(super) fn read_single_request_extensions(reader: &mut Reader<'_>) -> Result<(), OcspError> {
    each_extension(reader, |extension| {
        let ignored = extension.id == oid::OCSP_SERVICE_LOCATOR.content();
        if extension.critical && !ignored { Err(OcspError::MalformedRequest) } else { Ok(()) }
    })
}

/// ```text
/// Extensions  ::= SEQUENCE SIZE (1..MAX) OF Extension
/// Extension   ::= SEQUENCE {
///     extnID      OBJECT IDENTIFIER,
///     critical    BOOLEAN DEFAULT FALSE,
///     extnValue   OCTET STRING }
/// ```
/// Deviates: an empty SEQUENCE and an explicit FALSE are accepted, because clients in use
/// send them.
fn each_extension<'a>(
    reader: &mut Reader<'a>,
    mut found: impl FnMut(&Extension<'a>) -> Result<(), OcspError>,
) -> Result<(), OcspError> {
    reader.sequence(|r| {
        let mut seen: [&[u8]; EXTENSIONS_MAX] = [&[]; EXTENSIONS_MAX];
        let mut count = 0;
        while !r.is_empty() {
            let extension = r.sequence(|r| {
                let id = r.oid()?;
                let critical = r.peek() == Some(tag::BOOLEAN) && r.boolean()?;
                Ok::<_, DerError>(Extension { id, critical, value: r.octet_string()? })
            })?;
            // Places not taken yet are empty, which no identifier is.
            let twice = seen.contains(&extension.id);
            match seen.get_mut(count) {
                Some(place) if !twice => *place = extension.id,
                _ => return Err(OcspError::MalformedRequest),
            }
            count += 1;
            found(&extension)?;
        }
        Ok(())
    })
}

/// `Nonce ::= OCTET STRING(SIZE(1..128))` (RFC 9654 §2.1).
fn read_nonce(value: &[u8]) -> Result<&[u8], OcspError> {
    let mut reader = Reader::new(value);
    let nonce = reader.octet_string()?;
    reader.finish()?;
    if nonce.is_empty() || nonce.len() > NONCE_MAX { Err(OcspError::MalformedRequest) } else { Ok(nonce) }
}

/// `AcceptableResponses ::= SEQUENCE OF OBJECT IDENTIFIER` (RFC 6960 §4.4.3), which obliges
/// every client to accept basic responses: a list without them is no request to answer.
fn check_acceptable_responses(value: &[u8]) -> Result<(), OcspError> {
    let mut reader = Reader::new(value);
    let basic = reader.sequence(|r| {
        let mut basic = false;
        while !r.is_empty() {
            basic |= r.oid_is(&oid::OCSP_BASIC)?;
        }
        Ok::<_, DerError>(basic)
    })?;
    reader.finish()?;
    if basic { Ok(()) } else { Err(OcspError::MalformedRequest) }
}

/// Writes an Extension that is not critical.
pub(super) fn write_extension(writer: &mut Writer, id: &Oid, value: impl FnOnce(&mut Writer)) {
    writer.sequence(|w| {
        w.oid(id);
        w.octet_string_of(value);
    });
}
