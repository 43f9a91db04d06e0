//! The entries of a CRL as they are held and compared: forty octets each.

use serde::{Serialize, Serializer};
use x509_parser::num_bigint::BigUint;

use crate::der::UnixTime;
use crate::pki::{RevocationReason, SerialNumber};

/// One entry of revokedCertificates. Ten million of them are to fit, twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) serial: SerialNumber,
    pub(super) reason: RevocationReason,
    pub(super) revoked_at: UnixTime,
    /// Seconds since 1970, or [`Self::NO_DATE`]: an `Option` would take eight octets more.
    invalidity_date: i64,
}

impl Entry {
    const NO_DATE: i64 = -1;

    pub(super) fn new(
        serial: SerialNumber,
        reason: RevocationReason,
        revoked_at: UnixTime,
        invalidity_date: Option<UnixTime>,
    ) -> Self {
        let invalidity_date = invalidity_date.map_or(Self::NO_DATE, UnixTime::seconds);
        Self { serial, reason, revoked_at, invalidity_date }
    }

    pub(super) fn invalidity_date(&self) -> Option<UnixTime> {
        (self.invalidity_date != Self::NO_DATE).then(|| UnixTime::from_seconds(self.invalidity_date))
    }

    /// A line for people.
    pub(super) fn in_words(&self) -> String {
        let Self { serial, reason, revoked_at, .. } = self;
        let since = self.invalidity_date().map(|date| format!("  invalid since {date}")).unwrap_or_default();
        format!("{serial} ({})  {revoked_at}  {reason}{since}", decimal(serial))
    }
}

/// A serial number in decimal, however long.
pub(super) fn decimal(serial: &SerialNumber) -> String {
    BigUint::from_bytes_be(serial.magnitude()).to_string()
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Row {
            serial: self.serial.to_string(),
            serial_decimal: decimal(&self.serial),
            revoked_at: self.revoked_at.to_string(),
            reason: self.reason.name(),
            invalidity_date: self.invalidity_date().map(|date| date.to_string()),
        }
        .serialize(serializer)
    }
}

#[derive(Serialize)]
struct Row {
    serial: String,
    serial_decimal: String,
    revoked_at: String,
    reason: &'static str,
    invalidity_date: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_forty_octets() {
        assert_eq!(size_of::<Entry>(), 40);
    }
}
