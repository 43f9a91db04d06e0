//! Certificate profiles as data: who certifies, what stands in which certificate, where its
//! revocation is published.
//!
//! Knows names, object identifiers and municipalities; knows no key, no holder, no time, and
//! writes no certificate. Whatever the operator's unpublished profile documents decide is a
//! value here, never a branch elsewhere.

mod authority;
mod certificate;
mod jpki;
mod municipality;
mod rules;

use crate::pki::{AuthorityId, CertificateKind, Name, Partition};

pub use authority::Authority;
pub use certificate::{
    AltName, AuthorityKeyIdentifierForm, CertificateProfile, Extension, HolderOids, KeyType, SubjectForm,
    key_usage,
};
pub use municipality::{Municipalities, Municipality, MunicipalityError, MunicipalityKind, NoResidence};
pub use rules::{Action, Concerns, RULES_OCTETS_MAX, Rule, Rules, RulesError};

/// O of the authorities unless configured otherwise: nobody may take them for the real ones.
pub const ORGANIZATION: &str = "SEKISHO-TEST";

/// ub-organization-name (RFC 5280 Appendix A.1).
pub const ORGANIZATION_CHARS_MAX: usize = 64;

/// A public-key infrastructure: its authorities and the certificates they issue.
#[derive(Debug, Clone)]
pub struct Profile {
    /// O in the name of every authority and distribution point.
    pub organization: String,
    /// Address of the certification practice statement, in every resident certificate.
    pub cps_uri: String,
    /// How the address of somebody begins who lives overseas and goes on using the card (国外転出者): they
    /// have none in the resident register.
    pub overseas_address: String,
    /// Years a CA certificate is valid; its last day is the eve of the anniversary.
    pub ca_years: u8,
    /// The authorities.
    pub authorities: Vec<Authority>,
    /// One row for each kind of certificate.
    pub certificates: Vec<CertificateProfile>,
    /// Public keys that are certified; any other is refused.
    pub keys: Vec<KeyType>,
    /// The municipalities: each in which people live is a CRL partition of each authority.
    pub municipalities: Municipalities,
    /// What revokes what.
    pub rules: Rules,
}

/// Why there is no such profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// O is empty, too long, or holds control characters.
    #[error("`{0}` cannot be an organization: use 1 to {ORGANIZATION_CHARS_MAX} printable characters")]
    Organization(String),
    /// The table of municipalities is wrong.
    #[error(transparent)]
    Municipalities(#[from] MunicipalityError),
    /// The table of rules is wrong.
    #[error(transparent)]
    Rules(#[from] RulesError),
}

impl Profile {
    /// The authority with this number.
    #[must_use]
    pub fn authority(&self, id: AuthorityId) -> Option<&Authority> {
        self.authorities.iter().find(|authority| authority.id == id)
    }

    /// The authority of this name, as commands and addresses write it.
    #[must_use]
    pub fn authority_named(&self, name: &str) -> Option<&Authority> {
        self.authorities.iter().find(|authority| authority.name == name)
    }

    /// The authority that issues this kind to residents; `None` for the kinds every authority
    /// has of its own.
    #[must_use]
    pub fn authority_of(&self, kind: CertificateKind) -> Option<&Authority> {
        self.authorities.iter().find(|authority| authority.kinds.contains(&kind))
    }

    /// What stands in a certificate of this kind.
    #[must_use]
    pub fn certificate(&self, kind: CertificateKind) -> Option<&CertificateProfile> {
        self.certificates.iter().find(|certificate| certificate.kind == kind)
    }

    /// True when a hold on a certificate of this kind may end in `good` again.
    #[must_use]
    pub fn lift_allowed(&self, kind: CertificateKind) -> bool {
        self.certificate(kind).is_some_and(|certificate| certificate.hold_may_be_lifted)
    }

    /// The directoryName under which an authority publishes the CRL of a partition: octet for
    /// octet the one in its certificates. `None` for an unknown authority or municipality.
    #[must_use]
    pub fn distribution_point(&self, authority: AuthorityId, partition: Partition) -> Option<Name> {
        let authority = self.authority(authority)?;
        let municipality = self.municipalities.find(partition)?;
        Some(authority.distribution_point(municipality))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::pki::{HashAlgorithm, oid};

    const SIGN: AuthorityId = AuthorityId(1);
    const AUTH: AuthorityId = AuthorityId(2);

    fn profile() -> Profile {
        Profile::jpki(ORGANIZATION).unwrap()
    }

    #[test]
    fn the_two_authorities_are_found_by_number_name_and_kind() {
        let profile = profile();
        for (id, name, kinds) in [
            (SIGN, "sign", [CertificateKind::CardSign, CertificateKind::PhoneSign]),
            (AUTH, "auth", [CertificateKind::CardAuth, CertificateKind::PhoneAuth]),
        ] {
            assert_eq!(profile.authority(id).unwrap().name, name);
            assert_eq!(profile.authority_named(name).unwrap().id, id);
            for kind in kinds {
                assert_eq!(profile.authority_of(kind).unwrap().id, id);
            }
        }
        assert!(profile.authority(AuthorityId(3)).is_none());
        assert!(profile.authority_named("Sign").is_none());
        assert!(profile.authority_of(CertificateKind::Ca).is_none());
        assert!(CertificateKind::ALL.into_iter().all(|kind| profile.certificate(kind).is_some()));
    }

    #[test]
    fn names_follow_the_real_hierarchy() {
        let profile = profile();
        assert_eq!(
            profile.authority(SIGN).unwrap().name().to_string(),
            "OU=Japan Agency for Local Authority Information Systems,OU=JPKI for digital signature,\
             O=SEKISHO-TEST,C=JP"
        );
        assert_eq!(
            profile.authority(AUTH).unwrap().alternative_name().to_string(),
            "OU=地方公共団体情報システム機構,OU=公的個人認証サービス利用者証明用,O=公的個人認証サービス,C=JP"
        );
        assert_eq!(
            profile.distribution_point(AUTH, Partition(13221)).unwrap().to_string(),
            "CN=Kiyose-shi CRLDP,OU=Tokyo-to,OU=CRL Distribution Points,OU=JPKI for user authentication,\
             O=SEKISHO-TEST,C=JP"
        );
        assert!(profile.distribution_point(AUTH, Partition(99999)).is_none());
        assert!(profile.distribution_point(AuthorityId(3), Partition(13221)).is_none());
    }

    #[test]
    fn only_a_phone_authentication_certificate_comes_back_from_hold() {
        let profile = profile();
        for kind in CertificateKind::ALL {
            assert_eq!(profile.lift_allowed(kind), kind == CertificateKind::PhoneAuth, "{kind}");
        }
    }

    #[test]
    fn rfc6960_s4_2_2_2_no_resident_can_become_an_ocsp_signer() {
        for certificate in profile().certificates {
            let signs_ocsp = certificate.extensions.iter().any(
                |extension| matches!(extension, Extension::ExtKeyUsage(uses) if uses.contains(&oid::KP_OCSP_SIGNING)),
            );
            assert_eq!(signs_ocsp, certificate.kind == CertificateKind::OcspSigner, "{}", certificate.kind);
        }
    }

    #[test]
    fn rfc5280_s4_2_1_13_distribution_points_are_injective() {
        let profile = profile();
        let mut names = HashSet::new();
        for authority in &profile.authorities {
            for municipality in profile.municipalities.iter() {
                assert!(names.insert(authority.distribution_point(municipality)), "{}", municipality.code);
            }
        }
        assert_eq!(names.len(), 2 * 1922);
    }

    /// A point renamed by a change of the table would part the certificates issued before
    /// from the CRL that lists them. Pin a new digest only for rows added.
    #[test]
    fn no_distribution_point_is_ever_renamed() {
        let names: Vec<u8> = profile()
            .municipalities
            .iter()
            .flat_map(|m| format!("{} {} {}\n", m.code, m.prefecture_romaji, m.crldp_name()).into_bytes())
            .collect();
        let digest: String =
            HashAlgorithm::Sha256.digest(&names).iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(digest, "4415f7f53cb39ef9e98c75aec6f8aa36a97f0718746a44ebe620b566d5a2b9de");
    }

    #[test]
    fn an_organization_is_1_to_64_printable_characters() {
        assert!(Profile::jpki(&"x".repeat(64)).is_ok());
        for bad in [String::new(), "x".repeat(65), " ".to_owned(), "a\nb".to_owned()] {
            assert_eq!(Profile::jpki(&bad).unwrap_err(), ProfileError::Organization(bad));
        }
    }
}
