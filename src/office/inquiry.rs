//! What is known of a certificate.

use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Behind, History, Office, OfficeError};
use crate::crl::CrlNumber;
use crate::der::UnixTime;
use crate::pki::{AuthorityId, BareSerial, CertStatus, Generation, SerialNumber};
use crate::record::{Position, Record, Refusal};
use crate::status::StatusWord;

/// How a certificate is named from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// By its authority's name and its serial.
    Named {
        /// The authority's name.
        authority: String,
        /// The serial.
        serial: SerialNumber,
    },
    /// By itself: DER.
    Certificate(Vec<u8>),
}

/// How a certificate is found inside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    pub(super) authority: AuthorityId,
    pub(super) serial: SerialNumber,
    /// Known when the certificate itself was shown.
    pub(super) generation: Option<Generation>,
}

/// A certificate's record, and its status at the time asked for.
#[derive(Debug, Clone)]
pub struct CertificateState {
    /// Its authority's name.
    pub authority: String,
    /// Its record.
    pub record: Record,
    /// Its status then.
    pub status: CertStatus,
    /// The entry that says so.
    pub position: Position,
    /// When that entry was recorded.
    pub recorded_at: UnixTime,
    /// Its issue and its changes up to then: who, and what for.
    pub history: History,
    /// The report that it came from, when it came from one.
    pub behind: Option<Behind>,
    /// The CRL set now served, when it was cut after that entry.
    pub crl_set: Option<CrlNumber>,
    /// Records and status index disagree on it: the status is the severer of both.
    pub doubt: Option<String>,
    /// The status then of the CA certificate it was issued under.
    pub ca_status: CertStatus,
}

impl Named {
    /// Checks that `record` is of the certificate named.
    pub(super) fn record(&self, record: Option<Record>) -> Result<Record, Refusal> {
        let Some(record) = record else {
            return Err(Refusal::NotIssued { authority: self.authority, serial: self.serial });
        };
        match self.generation {
            Some(generation) if generation != record.issued.certificate.generation => {
                Err(Refusal::OtherGeneration(record.issued.certificate))
            }
            _ => Ok(record),
        }
    }
}

impl Office {
    /// What is known of a certificate now, or was at a time gone by.
    ///
    /// # Errors
    /// It is none of ours, was not issued then, or the time has not come.
    pub fn inquire(
        &self,
        selector: &Selector,
        at: Option<UnixTime>,
    ) -> Result<CertificateState, OfficeError> {
        let named = self.find(selector)?;
        let record = self.record(&named)?;
        let then = at.unwrap_or(UnixTime::MAX);
        let mut status = self.status_then(&record, at)?;
        let severer = if at.is_none() { self.confirm(&record)? } else { None };
        let doubt = severer.and_then(|_| self.agreement().remark());
        status = severer.map_or(status, StatusWord::cert_status);
        let change = record.changes.iter().rev().find(|change| change.recorded_at <= then);
        let (position, recorded_at) =
            change.map_or((record.position, record.recorded_at), |c| (c.position, c.recorded_at));
        let history = self.history(&record, then)?;
        let behind = change.map(|change| self.behind(change)).transpose()?.flatten();
        let served = self.served_set(named.authority).filter(|set| set.position >= position);
        let crl_set = served.map(|set| set.number);
        let authority = self.authority_name(named.authority);
        let ca_status = self.ca_status(&record.issued, then);
        Ok(CertificateState {
            authority,
            record,
            status,
            position,
            recorded_at,
            history,
            behind,
            crl_set,
            doubt,
            ca_status,
        })
    }

    /// The status at a time gone by, or now. What is to come is not known, and before its issue a
    /// certificate had none.
    fn status_then(&self, record: &Record, at: Option<UnixTime>) -> Result<CertStatus, OfficeError> {
        let Some(at) = at else { return Ok(record.status()) };
        let now = self.clock.now();
        if at > now {
            return Err(OfficeError::NotYet { at, now });
        }
        match record.status_at_time(at) {
            CertStatus::Unknown => {
                let (serial, issued_at) = (record.issued.certificate.serial, record.recorded_at);
                Err(Refusal::NotIssuedYet { serial, at, issued_at }.into())
            }
            status => Ok(status),
        }
    }

    /// What is said of digits that may be one serial or another: which of them there is.
    #[must_use]
    pub fn bare_serial(&self, authority: &str, serial: BareSerial) -> OfficeError {
        let id = match self.authority(authority) {
            Ok(id) => id,
            Err(error) => return error,
        };
        let readings = [serial.hexadecimal, serial.decimal].into_iter().flatten();
        let issued = readings.filter(|read| self.status.find(id, read).is_issued()).collect();
        OfficeError::BareSerial { authority: authority.to_owned(), serial: Box::new(serial), issued }
    }

    /// Resolves a selector to an authority, a serial and, when known, a generation.
    pub(super) fn find(&self, selector: &Selector) -> Result<Named, OfficeError> {
        match selector {
            Selector::Named { authority, serial } => {
                Ok(Named { authority: self.authority(authority)?, serial: *serial, generation: None })
            }
            Selector::Certificate(der) => self.find_certificate(der),
        }
    }

    pub(super) fn record(&self, named: &Named) -> Result<Record, OfficeError> {
        let record = match self.store.find(named.authority, &named.serial)? {
            None => self.confirm_absent(named.authority, &named.serial)?,
            record => record,
        };
        Ok(named.record(record)?)
    }

    /// By its authority key identifier, never by its issuer's name; a CA certificate by its own
    /// key.
    fn find_certificate(&self, der: &[u8]) -> Result<Named, OfficeError> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| OfficeError::NotACertificate)?;
        let serial = SerialNumber::from_content(certificate.raw_serial())?;
        let mut own_key = None;
        let mut authority_key = None;
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(aki) => {
                    authority_key = aki.key_identifier.as_ref().map(|id| id.0);
                }
                ParsedExtension::SubjectKeyIdentifier(ski) => own_key = Some(ski.0),
                _ => {}
            }
        }
        let key_id = authority_key.or(own_key).ok_or(OfficeError::ForeignCertificate)?;
        let generations = self.generations.load();
        let issuer = generations.values().flatten().find(|live| live.issuer.key_id.as_slice() == key_id);
        let issuer = &issuer.ok_or(OfficeError::ForeignCertificate)?.issuer;
        Ok(Named { authority: issuer.authority, serial, generation: Some(issuer.generation) })
    }
}
