//! In debug builds, and so in every test: after each build, records, OCSP and CRLs agree on every
//! serial, on date and reason. CRLs are read by a parser that is not ours, and who must stand in
//! them is said in one sentence instead of by the rules they were made by.

use std::collections::BTreeMap;

use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::check::agree;
use super::{Office, OfficeError};
use crate::crl::{Catalogue, CrlKind, Row};
use crate::der::UnixTime;
use crate::pki::{AuthorityId, CertStatus, CertificateKind, Revocation, RevocationReason, SerialNumber};
use crate::record::{Position, Record};

/// Entries up to which it is worth the time.
const ENTRIES_MAX: u64 = 20_000;

impl Office {
    /// # Panics
    /// When they do not agree.
    pub(super) fn assert_agreement(&self, own: &Catalogue) -> Result<(), OfficeError> {
        for authority in &self.profile.authorities {
            let rows: Vec<&Row> = own.crls.iter().filter(|row| row.authority == authority.name).collect();
            if rows.is_empty() || rows.iter().any(|row| row.entries > ENTRIES_MAX) {
                continue;
            }
            let records = self.all_records(authority.id, Position(own.position))?;
            for row in rows.into_iter().filter(|row| row.kind != CrlKind::Delta) {
                self.assert_listed(own, row, &records)?;
            }
        }
        Ok(())
    }

    /// Every record; each agrees with what OCSP answers now.
    fn all_records(
        &self,
        authority: AuthorityId,
        position: Position,
    ) -> Result<BTreeMap<SerialNumber, Record>, OfficeError> {
        let issued = self.status.issued(authority);
        let mut records = BTreeMap::new();
        self.store.scan(authority, position, &mut |serial, record| drop(records.insert(serial, record)))?;
        let found = u64::try_from(records.len()).unwrap_or(0);
        assert!(found >= issued, "{issued} certificates were issued, and {found} are on record");
        for (serial, record) in &records {
            let answered = self.status.find(authority, serial).cert_status();
            if agree(answered, record.status()) {
                continue;
            }
            // It may change at this very moment, in both at once.
            let again = self.store.find(authority, serial)?;
            assert!(
                again.as_ref().is_some_and(|again| again != record),
                "{serial}: OCSP says {answered:?}, the records {:?}",
                record.status()
            );
        }
        Ok(records)
    }

    fn assert_listed(
        &self,
        own: &Catalogue,
        row: &Row,
        records: &BTreeMap<SerialNumber, Record>,
    ) -> Result<(), OfficeError> {
        let path = self.crl_path(row).unwrap_or_default();
        let der = self.disk.read(&path)?.unwrap_or_default();
        let listed = read(&der).unwrap_or_else(|| panic!("{}: not a CRL", row.url));
        let this_update: UnixTime = row.this_update.parse().unwrap_or_default();
        let position = Position(own.position);
        let in_scope = |record: &&Record| match row.kind {
            CrlKind::Full | CrlKind::Delta => true,
            CrlKind::Authority => record.issued.kind == CertificateKind::Ca,
            CrlKind::Partition => {
                record.issued.partition.map(|partition| partition.to_string()) == row.partition
            }
        };
        for record in records.values().filter(in_scope) {
            let serial = record.issued.certificate.serial;
            let CertStatus::Revoked(revocation) = record.status_at(position) else {
                assert!(!listed.contains_key(&serial), "{}: {serial} is good and listed", row.url);
                continue;
            };
            // Whoever has not expired is listed; who has, may be.
            let Some(found) = listed.get(&serial) else {
                assert!(record.issued.not_after < this_update, "{}: {serial} is not listed", row.url);
                continue;
            };
            // After a release of the clock, what is dated later is dated thisUpdate.
            let wanted = (revocation.revoked_at.min(this_update), revocation.reason);
            assert_eq!((found.revoked_at, found.reason), wanted, "{}: {serial}", row.url);
        }
        for serial in listed.keys() {
            let record = records.get(serial);
            assert!(record.as_ref().is_some_and(in_scope), "{}: {serial} is of another scope", row.url);
        }
        Ok(())
    }
}

/// The entries as another reader has them.
fn read(der: &[u8]) -> Option<BTreeMap<SerialNumber, Revocation>> {
    let (rest, list) = CertificateRevocationList::from_der(der).ok()?;
    let mut listed = BTreeMap::new();
    for entry in list.iter_revoked_certificates() {
        let serial = SerialNumber::from_content(entry.raw_serial()).ok()?;
        let reason = match entry.reason_code() {
            Some((_, reason)) => RevocationReason::from_code(reason.0)?,
            None => RevocationReason::Unspecified,
        };
        let revoked_at = UnixTime::from_seconds(entry.revocation_date.timestamp());
        let invalidity_date = None;
        if listed.insert(serial, Revocation { revoked_at, reason, invalidity_date }).is_some() {
            return None;
        }
    }
    rest.is_empty().then_some(listed)
}
