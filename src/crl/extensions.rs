//! CRL extensions (RFC 5280 §5.2): their values, as written and as expected.

use super::{CrlNumber, Scope};
use crate::der::{Oid, Writer, tag};
use crate::pki::{Issuer, oid};

/// Writes the extensions of a CRL of this scope.
pub(super) fn write(w: &mut Writer, issuer: &Issuer, number: CrlNumber, scope: Scope<'_>) {
    w.nested(tag::context_constructed(0), |w| {
        w.sequence(|w| {
            extension(w, &oid::AUTHORITY_KEY_IDENTIFIER, false, &authority_key_identifier(issuer));
            extension(w, &oid::CRL_NUMBER, false, &Writer::to_der(|w| number.write(w)));
            if let Some(value) = delta_crl_indicator(scope) {
                extension(w, &oid::DELTA_CRL_INDICATOR, true, &value);
            }
            if let Some(value) = issuing_distribution_point(issuer, scope) {
                extension(w, &oid::ISSUING_DISTRIBUTION_POINT, true, &value);
            }
            if let Some(value) = freshest_crl(scope) {
                extension(w, &oid::FRESHEST_CRL, false, &value);
            }
        });
    });
}

/// ```text
/// BaseCRLNumber ::= CRLNumber
/// ```
/// RFC 5280 §5.2.4. In deltas only.
pub(super) fn delta_crl_indicator(scope: Scope<'_>) -> Option<Vec<u8>> {
    match scope {
        Scope::Delta { base } => Some(Writer::to_der(|w| base.write(w))),
        Scope::Full { .. } | Scope::Partition { .. } | Scope::Authority => None,
    }
}

/// ```text
/// FreshestCRL ::= CRLDistributionPoints
/// CRLDistributionPoints ::= SEQUENCE SIZE (1..MAX) OF DistributionPoint
/// DistributionPoint ::= SEQUENCE {
///      distributionPoint       [0]     DistributionPointName OPTIONAL, … }
/// GeneralName ::= CHOICE { … uniformResourceIdentifier [6] IA5String, … }
/// ```
/// RFC 5280 §5.2.6: where the delta to this base is. In a full CRL, where there are deltas.
pub(super) fn freshest_crl(scope: Scope<'_>) -> Option<Vec<u8>> {
    let Scope::Full { freshest_crl: Some(url) } = scope else { return None };
    Some(Writer::to_der(|w| {
        w.sequence(|w| {
            w.sequence(|w| {
                w.nested(tag::context_constructed(0), |w| {
                    w.nested(tag::context_constructed(0), |w| w.value(tag::context(6), url.as_bytes()));
                });
            });
        });
    }))
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
/// RFC 5280 §5.2.5. None for the full CRL and its delta, whose scope is everything.
pub(super) fn issuing_distribution_point(issuer: &Issuer, scope: Scope<'_>) -> Option<Vec<u8>> {
    let (name, only_contains) = match scope {
        Scope::Full { .. } | Scope::Delta { .. } => return None,
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
