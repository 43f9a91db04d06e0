//! Certificates that were issued: one out of the archive, or a list of them. A signing certificate tells
//! who its holder is: the admin socket alone leads here.

use super::authorities::archived_certificate;
use super::inquiry::Selector;
use super::{Office, OfficeError};
use crate::pki::{CertStatus, SerialNumber};
use crate::record::{CardId, HolderId, Record, Refusal};
use crate::status::StatusWord;

/// A certificate and its record.
#[derive(Debug, Clone)]
pub struct ArchivedCertificate {
    /// Its authority's name.
    pub authority: String,
    /// Its record.
    pub record: Record,
    /// DER.
    pub der: Vec<u8>,
}

/// Whose certificates are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListedOf {
    /// An authority's, in the order of serials, a page at a time.
    Authority {
        /// Its name.
        authority: String,
        /// Those after this serial; from the first on when absent.
        after: Option<SerialNumber>,
        /// So many at most.
        most: usize,
    },
    /// All on a card or phone, in the order of their issue.
    Card(CardId),
    /// All of a person, card by card.
    Holder(HolderId),
}

/// Certificates of a list.
#[derive(Debug, Clone)]
pub struct Page {
    /// The certificates.
    pub certificates: Vec<ListedRecord>,
    /// The last serial here, when there are more behind it.
    pub next: Option<SerialNumber>,
}

/// A certificate in a list.
#[derive(Debug, Clone)]
pub struct ListedRecord {
    /// Its authority's name.
    pub authority: String,
    /// Its record.
    pub record: Record,
    /// Its status now.
    pub status: CertStatus,
}

impl Office {
    /// A certificate out of the archive, compared with the hash in its entry.
    ///
    /// # Errors
    /// It was never issued, or the archive does not hold it.
    pub fn archived(&self, selector: &Selector) -> Result<ArchivedCertificate, OfficeError> {
        let named = self.find(selector)?;
        let record = self.record(&named)?;
        let der = archived_certificate(&self.store, &record.issued)?;
        Ok(ArchivedCertificate { authority: self.authority_name(named.authority), record, der })
    }

    /// Lists certificates, all that were acknowledged before among them.
    ///
    /// # Errors
    /// There is no such authority, card or person; the records cannot be read.
    pub fn certificates(&self, of: &ListedOf) -> Result<Page, OfficeError> {
        let (records, next) = match of {
            ListedOf::Authority { authority, after, most } => {
                let authority = self.authority(authority)?;
                // One more tells whether this is the last page.
                let mut records =
                    self.store.records_after(authority, after.as_ref(), most.saturating_add(1))?;
                let more = records.len() > *most;
                records.truncate(*most);
                let last = records.last().map(|record| record.issued.certificate.serial);
                (records, last.filter(|_| more))
            }
            ListedOf::Card(card) => (self.card(*card)?.records, None),
            ListedOf::Holder(holder) => (self.records_of(*holder)?, None),
        };
        let certificates = records.into_iter().map(|record| self.listed(record));
        Ok(Page { certificates: certificates.collect::<Result<_, _>>()?, next })
    }

    fn records_of(&self, holder: HolderId) -> Result<Vec<Record>, OfficeError> {
        let known = self.store.find_holder(holder)?.ok_or(Refusal::NoHolder(holder))?;
        let mut records = Vec::new();
        for card in &known.cards {
            records.extend(self.card(*card)?.records);
        }
        Ok(records)
    }

    fn listed(&self, record: Record) -> Result<ListedRecord, OfficeError> {
        let status = self.confirm(&record)?.map_or_else(|| record.status(), StatusWord::cert_status);
        let authority = self.authority_name(record.issued.certificate.authority);
        Ok(ListedRecord { authority, record, status })
    }
}
