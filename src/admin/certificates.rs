//! Requests for certificates that were issued.

use super::api::{self, Problem, ProblemKind};
use super::requests::{in_words, selector, serial_of};
use crate::office::{self, ListedOf, Office, OfficeError};

/// Certificates in an answer: some 400 octets each.
pub const LISTED_MAX: usize = 1000;

/// Certificates in an answer unless asked otherwise.
const LISTED: usize = 100;

pub(super) fn get(office: &Office, asked: &api::GetCertificate) -> Result<api::IssuedCertificate, Problem> {
    let office::ArchivedCertificate { authority, record, der } =
        office.archived(&selector(office, &asked.certificate)?)?;
    let issued = record.issued;
    Ok(api::IssuedCertificate {
        authority,
        generation: issued.certificate.generation.number(),
        serial: issued.certificate.serial.to_string(),
        kind: issued.kind.name().to_owned(),
        not_after: issued.not_after.to_string(),
        certificate: pem::encode(&pem::Pem::new("CERTIFICATE", der)),
    })
}

pub(super) fn list(
    office: &Office,
    asked: &api::ListCertificates,
) -> Result<api::ListedCertificates, Problem> {
    let office::Page { certificates, next } = office.certificates(&of(office, asked)?)?;
    let certificates = certificates.into_iter().map(|one| {
        let issued = one.record.issued;
        api::ListedCertificate {
            authority: one.authority,
            generation: issued.certificate.generation.number(),
            serial: issued.certificate.serial.to_string(),
            kind: issued.kind.name().to_owned(),
            municipality: issued.partition.map(|partition| partition.to_string()),
            not_before: issued.not_before.to_string(),
            not_after: issued.not_after.to_string(),
            status: in_words(one.status),
            card: issued.card.map(|card| card.to_string()),
            holder: issued.holder.map(|holder| holder.to_string()),
        }
    });
    Ok(api::ListedCertificates {
        certificates: certificates.collect(),
        next: next.map(|next| next.to_string()),
    })
}

fn of(office: &Office, asked: &api::ListCertificates) -> Result<ListedOf, Problem> {
    let wrong = |error: String| Problem { error, kind: ProblemKind::Invalid };
    let most = asked.limit.map_or(Some(LISTED), |limit| usize::try_from(limit).ok());
    let most = most.filter(|most| (1..=LISTED_MAX).contains(most));
    let most = most.ok_or_else(|| wrong(format!("ask for 1 to {LISTED_MAX} certificates at once")))?;
    let is_paged = asked.after.is_some() || asked.limit.is_some();
    match (&asked.authority, &asked.card, &asked.holder) {
        (Some(authority), None, None) => {
            let after = asked.after.as_deref().map(|text| serial_of(office, authority, text)).transpose()?;
            Ok(ListedOf::Authority { authority: authority.clone(), after, most })
        }
        (None, Some(card), None) if !is_paged => Ok(ListedOf::Card(card.parse().map_err(OfficeError::from)?)),
        (None, None, Some(holder)) if !is_paged => {
            Ok(ListedOf::Holder(holder.parse().map_err(OfficeError::from)?))
        }
        _ => {
            Err(wrong("name an authority, a card or a holder; only an authority's list has pages".to_owned()))
        }
    }
}
