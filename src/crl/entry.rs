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
use crate::der::{DerError, Reader, UnixTime, Writer, tag};
use crate::pki::{Revocation, RevocationReason, SerialNumber, oid};

/// Octets of the longest entry: serial 22, date 17, reasonCode 12, invalidityDate 26, and
/// two headers.
pub(super) const OCTETS_MAX: usize = 22 + 17 + 12 + 26 + 2 * 2;

/// Writes an entry. An unspecified reason is no extension (RFC 5280 §5.3.1), and no extension
/// is no SEQUENCE of them.
///
/// Lengths are known beforehand: a million entries take their time here, and nothing else does.
pub(super) fn write(w: &mut Writer, serial: &SerialNumber, revocation: &Revocation) {
    let reason = written_reason(revocation);
    let extensions_len = extensions_len(revocation);
    w.header(tag::SEQUENCE, content_len(serial, revocation));
    serial.write(w);
    w.time(revocation.revoked_at);
    if extensions_len > 0 {
        w.header(tag::SEQUENCE, extensions_len);
    }
    if let Some(reason) = reason {
        w.header(tag::SEQUENCE, REASON_LEN);
        w.oid(&oid::REASON_CODE);
        w.header(tag::OCTET_STRING, 3);
        w.enumerated(reason.code());
    }
    if let Some(date) = revocation.invalidity_date {
        w.header(tag::SEQUENCE, INVALIDITY_DATE_LEN);
        w.oid(&oid::INVALIDITY_DATE);
        w.header(tag::OCTET_STRING, GENERALIZED_LEN + 2);
        w.generalized_time(date);
    }
}

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
        assert_eq!(Writer::to_der(|w| write(w, &four_octets, &plain)).len(), 37);

        let longest = Revocation { revoked_at: UnixTime::MAX, invalidity_date: Some(UnixTime::MAX), ..plain };
        let serial = SerialNumber::from_magnitude(&[0x7f; 20]).unwrap();
        let der = Writer::to_der(|w| write(w, &serial, &longest));
        assert_eq!(der.len(), OCTETS_MAX);
        assert_eq!(len(&serial, &longest), OCTETS_MAX);
        assert_eq!(read(&mut Reader::new(&der), false).unwrap(), (serial, longest));
    }
}
