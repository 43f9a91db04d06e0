//! The profile of 公的個人認証サービス, under test names.

use super::{
    AltName, Authority, AuthorityKeyIdentifierForm, CertificateProfile, Extension, HolderOids, KeyType,
    Municipalities, ORGANIZATION_CHARS_MAX, Profile, ProfileError, Rules, SubjectForm, key_usage,
};
use crate::der::Oid;
use crate::pki::{Attribute, AuthorityId, CertificateKind, oid};

/// Policy of the test hierarchy's signing certificates.
const SIGN_POLICY: Oid = Oid::new(&[1, 2, 392, 200_149, 8, 5, 1, 0, 20]);
/// Policy of the test hierarchy's authentication certificates.
const AUTH_POLICY: Oid = Oid::new(&[1, 2, 392, 200_149, 8, 5, 1, 0, 30]);

/// The otherNames of a signing certificate, below 1.2.392.200149.8.5.5.
const HOLDER: HolderOids = HolderOids {
    name: Oid::new(&[1, 2, 392, 200_149, 8, 5, 5, 1]),
    birth: Oid::new(&[1, 2, 392, 200_149, 8, 5, 5, 4]),
    sex: Oid::new(&[1, 2, 392, 200_149, 8, 5, 5, 3]),
    address: Oid::new(&[1, 2, 392, 200_149, 8, 5, 5, 5]),
    name_substitutes: Oid::new(&[1, 2, 392, 200_149, 8, 5, 5, 2]),
    address_substitutes: Oid::new(&[1, 2, 392, 200_149, 8, 5, 5, 6]),
};

/// Address of a practice statement that does not exist: these are test certificates.
const CPS_URI: &str = "http://sekisho.example/cps.html";

/// As it stands on the card of who moved overseas, before the date of the move (A).
const OVERSEAS_ADDRESS: &str = "国外転出";

/// The law gives nobody younger a signing certificate.
const SIGNING_AGE_MIN: u8 = 15;

/// Years of a CA certificate; a key is changed after about four.
const CA_YEARS: u8 = 10;

impl Profile {
    /// The two authorities of JPKI with `organization` as their O.
    ///
    /// # Errors
    /// When `organization` cannot stand in a name.
    pub fn jpki(organization: &str) -> Result<Self, ProfileError> {
        let chars = organization.chars().count();
        let printable = !organization.trim().is_empty() && !organization.chars().any(char::is_control);
        if !printable || chars > ORGANIZATION_CHARS_MAX {
            return Err(ProfileError::Organization(organization.to_owned()));
        }
        Ok(Self {
            organization: organization.to_owned(),
            cps_uri: CPS_URI.to_owned(),
            overseas_address: OVERSEAS_ADDRESS.to_owned(),
            ca_years: CA_YEARS,
            authorities: vec![
                Authority {
                    id: AuthorityId(1),
                    name: "sign".to_owned(),
                    kinds: vec![CertificateKind::CardSign, CertificateKind::PhoneSign],
                    ..authority(organization, "JPKI for digital signature", "公的個人認証サービス署名用")
                },
                Authority {
                    id: AuthorityId(2),
                    name: "auth".to_owned(),
                    kinds: vec![CertificateKind::CardAuth, CertificateKind::PhoneAuth],
                    ..authority(
                        organization,
                        "JPKI for user authentication",
                        "公的個人認証サービス利用者証明用",
                    )
                },
            ],
            certificates: vec![
                ca(),
                ocsp_signer(),
                signing(CertificateKind::CardSign),
                signing(CertificateKind::PhoneSign),
                authentication(CertificateKind::CardAuth, false),
                authentication(CertificateKind::PhoneAuth, true),
            ],
            keys: vec![KeyType::Rsa2048, KeyType::P256, KeyType::P384],
            municipalities: Municipalities::load()?,
            rules: Rules::load()?,
        })
    }
}

fn authority(organization: &str, unit: &str, unit_japanese: &str) -> Authority {
    let country = Attribute::new(oid::COUNTRY_NAME, "JP");
    let unit_of = |value: &str| Attribute::new(oid::ORGANIZATIONAL_UNIT_NAME, value);
    let base = vec![country.clone(), Attribute::new(oid::ORGANIZATION_NAME, organization), unit_of(unit)];
    let mut distinguished_name = base.clone();
    distinguished_name.push(unit_of("Japan Agency for Local Authority Information Systems"));
    Authority {
        id: AuthorityId(0),
        name: String::new(),
        distinguished_name,
        alternative_name: vec![
            country,
            Attribute::new(oid::ORGANIZATION_NAME, "公的個人認証サービス"),
            unit_of(unit_japanese),
            unit_of("地方公共団体情報システム機構"),
        ],
        base,
        kinds: Vec::new(),
    }
}

fn ca() -> CertificateProfile {
    CertificateProfile {
        kind: CertificateKind::Ca,
        subject: SubjectForm::Authority,
        age_min: None,
        hold_may_be_lifted: false,
        extensions: vec![
            Extension::KeyUsage(key_usage::KEY_CERT_SIGN | key_usage::CRL_SIGN),
            Extension::SubjectAltName(AltName::Authority),
            Extension::BasicConstraints,
            Extension::CrlDistributionPoints,
            Extension::SubjectKeyIdentifier,
        ],
    }
}

/// keyIdentifier alone in AKI: among authorities of one DN, OpenSSL and GnuTLS find the
/// issuer by it and fail without it.
fn ocsp_signer() -> CertificateProfile {
    CertificateProfile {
        kind: CertificateKind::OcspSigner,
        subject: SubjectForm::OcspSigner,
        age_min: None,
        hold_may_be_lifted: false,
        extensions: vec![
            Extension::KeyUsage(key_usage::DIGITAL_SIGNATURE),
            Extension::ExtKeyUsage(vec![oid::KP_OCSP_SIGNING]),
            Extension::OcspNocheck,
            Extension::AuthorityKeyIdentifier(AuthorityKeyIdentifierForm::KeyId),
            Extension::SubjectKeyIdentifier,
        ],
    }
}

fn signing(kind: CertificateKind) -> CertificateProfile {
    CertificateProfile {
        kind,
        subject: SubjectForm::Signing,
        age_min: Some(SIGNING_AGE_MIN),
        hold_may_be_lifted: false,
        extensions: vec![
            Extension::KeyUsage(key_usage::DIGITAL_SIGNATURE | key_usage::NON_REPUDIATION),
            Extension::SubjectAltName(AltName::Holder(HOLDER)),
            Extension::CertificatePolicies(SIGN_POLICY),
            Extension::IssuerAltName,
            Extension::CrlDistributionPoints,
            Extension::AuthorityKeyIdentifier(AuthorityKeyIdentifierForm::Full),
            Extension::SubjectKeyIdentifier,
        ],
    }
}

fn authentication(kind: CertificateKind, hold_may_be_lifted: bool) -> CertificateProfile {
    CertificateProfile {
        kind,
        subject: SubjectForm::Authentication,
        age_min: None,
        hold_may_be_lifted,
        extensions: vec![
            Extension::KeyUsage(key_usage::DIGITAL_SIGNATURE),
            Extension::ExtKeyUsage(vec![oid::KP_CLIENT_AUTH]),
            Extension::CertificatePolicies(AUTH_POLICY),
            Extension::IssuerAltName,
            Extension::CrlDistributionPoints,
            Extension::AuthorityInfoAccess,
            Extension::AuthorityKeyIdentifier(AuthorityKeyIdentifierForm::Full),
            Extension::SubjectKeyIdentifier,
        ],
    }
}
