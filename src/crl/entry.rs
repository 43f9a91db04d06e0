//! One entry of revokedCertificates (RFC 5280 §§5.1.2.6, 5.3).
//!
//! ```text
//! SEQUENCE {
//!      userCertificate         CertificateSerialNumber,
//!      revocationDate          Time,
//!      crlEntryExtensions      Extensions OPTIONAL }
//! ```

use super::GateError;
use super::certificate_list::{Extension, time};
use crate::der::{DerError, Reader, UnixTime, tag};
use crate::pki::{Revocation, RevocationReason, SerialNumber, oid};

/// Octets of the longest entry: serial 22, date 17, reasonCode 12, invalidityDate 26, and
/// two headers.
pub(super) const OCTETS_MAX: usize = 22 + 17 + 12 + 26 + 2 * 2;

/// An encoded entry.
pub(super) struct Encoded {
    octets: [u8; OCTETS_MAX],
    len: usize,
}

/// Encodes an entry. An unspecified reason is no extension (RFC 5280 §5.3.1), and no extension is
/// no SEQUENCE of them.
///
/// Written out by hand, in pieces of fixed size: a million entries take their time here, and
/// nothing else does.
pub(super) fn encode(serial: &SerialNumber, revocation: &Revocation) -> Encoded {
    let mut encoded = Encoded { octets: [0; OCTETS_MAX], len: 0 };
    let magnitude = serial.magnitude();
    let padded = magnitude.first().is_some_and(|first| first & 0x80 != 0);
    encoded.put([tag::SEQUENCE, octet(content_len(serial, revocation))]);
    encoded.put([tag::INTEGER, octet(magnitude.len() + usize::from(padded))]);
    if padded {
        encoded.put([0]);
    }
    encoded.put_all(magnitude);
    let generalized = revocation.revoked_at.to_generalized();
    match generalized.last_chunk::<UTC_LEN>() {
        Some(utc) if revocation.revoked_at < UnixTime::YEAR_2050 => {
            encoded.put([tag::UTC_TIME, octet(UTC_LEN)]);
            encoded.put(*utc);
        }
        _ => {
            encoded.put([tag::GENERALIZED_TIME, octet(GENERALIZED_LEN)]);
            encoded.put(generalized);
        }
    }
    let extensions_len = extensions_len(revocation);
    if extensions_len > 0 {
        encoded.put([tag::SEQUENCE, octet(extensions_len)]);
    }
    if let Some(reason) = written_reason(revocation) {
        encoded.put(REASON_HEAD);
        encoded.put([reason.code()]);
    }
    if let Some(date) = revocation.invalidity_date {
        encoded.put(INVALIDITY_DATE_HEAD);
        encoded.put(date.to_generalized());
    }
    encoded
}

impl Encoded {
    pub(super) fn octets(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }

    fn put<const N: usize>(&mut self, part: [u8; N]) {
        let room = self.octets.get_mut(self.len..).and_then(|room| room.first_chunk_mut::<N>());
        if let Some(room) = room {
            *room = part;
            self.len += N;
        }
    }

    fn put_all(&mut self, part: &[u8]) {
        if let Some(room) = self.octets.get_mut(self.len..self.len + part.len()) {
            room.copy_from_slice(part);
            self.len += part.len();
        }
    }
}

/// No length here has more than OCTETS_MAX octets.
fn octet(len: usize) -> u8 {
    u8::try_from(len).unwrap_or(u8::MAX)
}

/// A reasonCode up to its value: Extension, its OID (2.5.29.21), OCTET STRING, ENUMERATED.
const REASON_HEAD: [u8; 11] = [0x30, 10, 6, 3, 0x55, 0x1d, 0x15, 4, 3, 10, 1];

/// An invalidityDate up to its value: Extension, its OID (2.5.29.24), OCTET STRING,
/// GeneralizedTime.
const INVALIDITY_DATE_HEAD: [u8; 11] = [0x30, 24, 6, 3, 0x55, 0x1d, 0x18, 4, 17, 24, 15];

/// Octets of an entry.
pub(super) fn len(serial: &SerialNumber, revocation: &Revocation) -> usize {
    // At most OCTETS_MAX, whose length takes one octet.
    2 + content_len(serial, revocation)
}

fn content_len(serial: &SerialNumber, revocation: &Revocation) -> usize {
    let padded = serial.magnitude().first().is_some_and(|first| first & 0x80 != 0);
    let serial_len = serial.magnitude().len() + usize::from(padded);
    let date_len = if revocation.revoked_at < UnixTime::YEAR_2050 { UTC_LEN } else { GENERALIZED_LEN };
    let extensions_len = extensions_len(revocation);
    let in_front = if extensions_len > 0 { 2 } else { 0 };
    serial_len + 2 + date_len + 2 + in_front + extensions_len
}

fn extensions_len(revocation: &Revocation) -> usize {
    written_reason(revocation).map_or(0, |_| REASON_LEN + 2)
        + revocation.invalidity_date.map_or(0, |_| INVALIDITY_DATE_LEN + 2)
}

fn written_reason(revocation: &Revocation) -> Option<RevocationReason> {
    Some(revocation.reason).filter(|reason| *reason != RevocationReason::Unspecified)
}

/// Content octets of UTCTime and GeneralizedTime.
const UTC_LEN: usize = 13;
const GENERALIZED_LEN: usize = 15;
/// Content octets of the extensions: OID 5, OCTET STRING header 2, the value.
const REASON_LEN: usize = 5 + 2 + 3;
const INVALIDITY_DATE_LEN: usize = 5 + 2 + GENERALIZED_LEN + 2;

/// Reads an entry as strictly as it is written.
pub(super) fn read(r: &mut Reader<'_>, is_delta: bool) -> Result<(SerialNumber, Revocation), GateError> {
    r.sequence(|r| {
        let serial = SerialNumber::read(r)?;
        let mut revocation =
            Revocation { revoked_at: time(r)?, reason: RevocationReason::Unspecified, invalidity_date: None };
        if !r.is_empty() {
            r.sequence(|r| read_extensions(r, serial, &mut revocation, is_delta))?;
        }
        Ok((serial, revocation))
    })
}

fn read_extensions(
    r: &mut Reader<'_>,
    serial: SerialNumber,
    revocation: &mut Revocation,
    is_delta: bool,
) -> Result<(), GateError> {
    let refused = GateError::EntryExtension(serial);
    if r.is_empty() {
        return Err(refused);
    }
    let mut reason = None;
    while !r.is_empty() {
        let extension = Extension::read(r)?;
        let mut value = Reader::new(extension.value);
        if extension.critical {
            return Err(refused);
        } else if extension.is(&oid::REASON_CODE) && reason.is_none() {
            reason = Some(listed_reason(&mut value, is_delta)?.ok_or(GateError::Reason(serial))?);
        } else if extension.is(&oid::INVALIDITY_DATE) && revocation.invalidity_date.is_none() {
            revocation.invalidity_date = Some(value.generalized_time()?);
        } else {
            return Err(refused);
        }
        value.finish()?;
    }
    revocation.reason = reason.unwrap_or(RevocationReason::Unspecified);
    Ok(())
}

/// A reason that may be written: not unspecified (0), which is said by silence, and
/// removeFromCRL (8) in deltas only (RFC 5280 §5.3.1).
fn listed_reason(r: &mut Reader<'_>, is_delta: bool) -> Result<Option<RevocationReason>, DerError> {
    let reason = RevocationReason::from_code(r.small(tag::ENUMERATED)?);
    Ok(reason.filter(|reason| match reason {
        RevocationReason::Unspecified => false,
        RevocationReason::RemoveFromCrl => is_delta,
        _ => true,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5280_s5_3_an_entry_is_37_octets_and_none_exceeds_the_bound() {
        let time: UnixTime = "2026-11-22T10:00:00Z".parse().unwrap();
        let plain =
            Revocation { revoked_at: time, reason: RevocationReason::Superseded, invalidity_date: None };
        let four_octets = SerialNumber::try_from(0x0123_4567).unwrap();
        assert_eq!(encode(&four_octets, &plain).octets().len(), 37);

        let longest = Revocation { revoked_at: UnixTime::MAX, invalidity_date: Some(UnixTime::MAX), ..plain };
        let serial = SerialNumber::from_magnitude(&[0x7f; 20]).unwrap();
        let encoded = encode(&serial, &longest);
        let der = encoded.octets();
        assert_eq!(der.len(), OCTETS_MAX);
        assert_eq!(len(&serial, &longest), OCTETS_MAX);
        assert_eq!(read(&mut Reader::new(der), false).unwrap(), (serial, longest));
    }
}
