//! CRL extensions (RFC 5280 §5.2): their values, as written and as expected.

use super::{CrlNumber, Scope};
use crate::der::{Oid, Writer, tag};
use crate::pki::{Issuer, oid};

/// Writes the extensions of a complete CRL.
pub(super) fn write(w: &mut Writer, issuer: &Issuer, number: CrlNumber, scope: Scope<'_>) {
    w.nested(tag::context_constructed(0), |w| {
        w.sequence(|w| {
            extension(w, &oid::AUTHORITY_KEY_IDENTIFIER, false, &authority_key_identifier(issuer));
            extension(w, &oid::CRL_NUMBER, false, &Writer::to_der(|w| number.write(w)));
            if let Some(value) = issuing_distribution_point(issuer, scope) {
                extension(w, &oid::ISSUING_DISTRIBUTION_POINT, true, &value);
            }
        });
    });
}

/// ```text
/// AuthorityKeyIdentifier ::= SEQUENCE {
///      keyIdentifier             [0] KeyIdentifier           OPTIONAL, … }
/// ```
/// The key identifier alone (RFC 5280 §5.2.1): it tells the keys of one DN apart.
pub(super) fn authority_key_identifier(issuer: &Issuer) -> Vec<u8> {
    Writer::to_der(|w| w.sequence(|w| w.value(tag::context(0), &issuer.key_id)))
}

/// ```text
/// IssuingDistributionPoint ::= SEQUENCE {
///      distributionPoint          [0] DistributionPointName OPTIONAL,
///      onlyContainsUserCerts      [1] BOOLEAN DEFAULT FALSE,
///      onlyContainsCACerts        [2] BOOLEAN DEFAULT FALSE, … }
/// DistributionPointName ::= CHOICE { fullName [0] GeneralNames, … }
/// GeneralName ::= CHOICE { … directoryName [4] Name, … }
/// ```
/// RFC 5280 §5.2.5. None for the full CRL, whose scope is everything.
pub(super) fn issuing_distribution_point(issuer: &Issuer, scope: Scope<'_>) -> Option<Vec<u8>> {
    let (name, only_contains) = match scope {
        Scope::Full => return None,
        Scope::Partition { distribution_point, .. } => (distribution_point, ONLY_CONTAINS_USER_CERTS),
        Scope::Authority => (&issuer.name, ONLY_CONTAINS_CA_CERTS),
    };
    Some(Writer::to_der(|w| {
        w.sequence(|w| {
            w.nested(tag::context_constructed(0), |w| {
                w.nested(tag::context_constructed(0), |w| {
                    w.nested(tag::context_constructed(4), |w| w.raw(name.der()));
                });
            });
            w.value(only_contains, &[0xff]);
        });
    }))
}

const ONLY_CONTAINS_USER_CERTS: u8 = tag::context(1);
const ONLY_CONTAINS_CA_CERTS: u8 = tag::context(2);

fn extension(w: &mut Writer, oid: &Oid, critical: bool, value: &[u8]) {
    w.sequence(|w| {
        w.oid(oid);
        if critical {
            w.boolean(true);
        }
        w.octet_string(value);
    });
}
