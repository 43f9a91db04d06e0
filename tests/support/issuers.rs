//! What becomes of an authority's keys, where a test is about what follows from it.

#![allow(dead_code, reason = "each test file uses a part of it")]

use sekisho::lifecycle::{self, Revoke};
use sekisho::office::Office;
use sekisho::pki::{AuthorityId, Generation};
use sekisho::record::{CertificateRef, Origin, Refusal};
use sekisho::store::SubmitError;

/// The next key, which issues at once; its CRLs are out.
pub fn new_generation(office: &Office, authority: AuthorityId) -> Generation {
    let made = office.roll_over(authority, Some(office.clock().now()), Origin::service()).unwrap();
    assert_eq!(made.not_published, None);
    made.generation
}

/// Records that the certificate of a CA key is revoked, on whatever ground; true when that changed something.
/// No command does it: an authority's key is said to be compromised, and nothing else.
pub fn revoke(office: &Office, certificate: CertificateRef, revoke: Revoke) -> Result<bool, SubmitError> {
    let CertificateRef { authority, serial, .. } = certificate;
    let decide = move |records: &sekisho::store::Records<'_>, now| {
        let record = records.find(authority, &serial)?.ok_or(Refusal::NotIssued { authority, serial })?;
        Ok(Vec::from_iter(lifecycle::revoke_issuer(&record, revoke, now)?))
    };
    let outcome = office.store().submit_wait(Origin::service(), Box::new(decide))?;
    Ok(outcome.entries.iter().any(|one| one.entry.event.certificate() == Some(&certificate)))
}
