//! The extensions of a certificate, in the profile's order (RFC 5280 §4.2).

use super::{Applicant, IssueError, OcspUrl, SubjectKey};
use crate::der::{Oid, Writer, tag};
use crate::pki::{Issuer, Name, oid};
use crate::profile::{
    AltName, Authority, AuthorityKeyIdentifierForm, CertificateProfile, Extension, HolderOids, Profile,
};

/// What extensions are written from. What a kind of certificate does not have is `None`.
pub(super) struct Facts<'a> {
    pub(super) profile: &'a Profile,
    pub(super) authority: &'a Authority,
    pub(super) subject_key: &'a SubjectKey,
    pub(super) issuer: Option<&'a Issuer>,
    pub(super) distribution_point: Option<&'a Name>,
    pub(super) holder: Option<&'a Applicant>,
    pub(super) ocsp_url: Option<&'a OcspUrl>,
}

impl Facts<'_> {
    /// The extensions of `certificate` one after another, DER.
    pub(super) fn extensions(&self, certificate: &CertificateProfile) -> Result<Vec<u8>, IssueError> {
        let mut writer = Writer::new();
        for extension in &certificate.extensions {
            self.write(extension, &mut writer).ok_or(IssueError::Profile(certificate.kind))?;
        }
        Ok(writer.into_bytes())
    }

    /// Writes one extension; `None` when the facts for it are missing.
    fn write(&self, extension: &Extension, writer: &mut Writer) -> Option<()> {
        match extension {
            Extension::AuthorityKeyIdentifier(form) => {
                authority_key_identifier(*form, self.issuer?, self.authority, writer);
            }
            Extension::SubjectKeyIdentifier => ordinary(writer, &oid::SUBJECT_KEY_IDENTIFIER, |w| {
                w.octet_string(&self.subject_key.key_id());
            }),
            Extension::KeyUsage(bits) => critical(writer, &oid::KEY_USAGE, |w| w.named_bits(*bits)),
            Extension::CertificatePolicies(policy) => {
                certificate_policies(policy, &self.profile.cps_uri, writer);
            }
            Extension::SubjectAltName(AltName::Authority) => {
                directory_names(writer, &oid::SUBJECT_ALT_NAME, &self.authority.alternative_name());
            }
            Extension::SubjectAltName(AltName::Holder(oids)) => holder(oids, self.holder?, writer),
            Extension::IssuerAltName => {
                directory_names(writer, &oid::ISSUER_ALT_NAME, &self.authority.alternative_name());
            }
            Extension::BasicConstraints => critical(writer, &oid::BASIC_CONSTRAINTS, |w| {
                w.sequence(|w| w.boolean(true));
            }),
            Extension::ExtKeyUsage(purposes) => ordinary(writer, &oid::EXT_KEY_USAGE, |w| {
                w.sequence(|w| purposes.iter().for_each(|purpose| w.oid(purpose)));
            }),
            Extension::CrlDistributionPoints => crl_distribution_points(self.distribution_point?, writer),
            Extension::AuthorityInfoAccess => authority_info_access(self.ocsp_url?, writer),
            Extension::OcspNocheck => ordinary(writer, &oid::OCSP_NOCHECK, Writer::null),
        }
        Some(())
    }
}

/// ```text
/// AuthorityKeyIdentifier ::= SEQUENCE {
///    keyIdentifier             [0] KeyIdentifier            OPTIONAL,
///    authorityCertIssuer       [1] GeneralNames             OPTIONAL,
///    authorityCertSerialNumber [2] CertificateSerialNumber  OPTIONAL  }
/// ```
fn authority_key_identifier(
    form: AuthorityKeyIdentifierForm,
    issuer: &Issuer,
    authority: &Authority,
    writer: &mut Writer,
) {
    ordinary(writer, &oid::AUTHORITY_KEY_IDENTIFIER, |w| {
        w.sequence(|w| {
            w.value(tag::context(0), &issuer.key_id);
            if form == AuthorityKeyIdentifierForm::Full {
                w.nested(tag::context_constructed(1), |w| directory_name(w, &authority.name()));
                w.value(tag::context(2), &integer_content(issuer));
            }
        });
    });
}

/// Content octets of the INTEGER, which an implicit tag keeps.
fn integer_content(issuer: &Issuer) -> Vec<u8> {
    let magnitude = issuer.serial.magnitude();
    let padding: &[u8] = if magnitude.first().is_some_and(|first| first & 0x80 != 0) { &[0] } else { &[] };
    [padding, magnitude].concat()
}

/// PolicyInformation with one CPS qualifier (RFC 5280 §4.2.1.4).
fn certificate_policies(policy: &Oid, cps_uri: &str, writer: &mut Writer) {
    critical(writer, &oid::CERTIFICATE_POLICIES, |w| {
        w.sequence(|w| {
            w.sequence(|w| {
                w.oid(policy);
                w.sequence(|w| {
                    w.sequence(|w| {
                        w.oid(&oid::QT_CPS);
                        w.value(tag::IA5_STRING, cps_uri.as_bytes());
                    });
                });
            });
        });
    });
}

/// `GeneralNames` of one directoryName.
fn directory_names(writer: &mut Writer, extension: &Oid, name: &Name) {
    ordinary(writer, extension, |w| w.sequence(|w| directory_name(w, name)));
}

/// `directoryName [4] Name`: explicit, since Name is a CHOICE.
fn directory_name(writer: &mut Writer, name: &Name) {
    writer.nested(tag::context_constructed(4), |w| w.raw(name.der()));
}

/// The holder's data, each `otherName [0] { type-id, value [0] EXPLICIT UTF8String }`.
fn holder(oids: &HolderOids, holder: &Applicant, writer: &mut Writer) {
    let birth = holder.birth.code();
    let values = [
        (&oids.name, holder.name.text()),
        (&oids.birth, birth.as_str()),
        (&oids.sex, holder.sex.code()),
        (&oids.address, holder.address.text()),
        (&oids.name_substitutes, holder.name.substitutes()),
        (&oids.address_substitutes, holder.address.substitutes()),
    ];
    ordinary(writer, &oid::SUBJECT_ALT_NAME, |w| {
        w.sequence(|w| {
            for (type_id, value) in values {
                w.nested(tag::context_constructed(0), |w| {
                    w.oid(type_id);
                    w.nested(tag::context_constructed(0), |w| w.utf8(value));
                });
            }
        });
    });
}

/// One DistributionPoint with a fullName of one directoryName, neither reasons nor cRLIssuer
/// (RFC 5280 §4.2.1.13).
fn crl_distribution_points(name: &Name, writer: &mut Writer) {
    ordinary(writer, &oid::CRL_DISTRIBUTION_POINTS, |w| {
        w.sequence(|w| {
            w.sequence(|w| {
                w.nested(tag::context_constructed(0), |w| {
                    w.nested(tag::context_constructed(0), |w| directory_name(w, name));
                });
            });
        });
    });
}

/// One AccessDescription: id-ad-ocsp at `uniformResourceIdentifier [6]`.
fn authority_info_access(url: &OcspUrl, writer: &mut Writer) {
    ordinary(writer, &oid::AUTHORITY_INFO_ACCESS, |w| {
        w.sequence(|w| {
            w.sequence(|w| {
                w.oid(&oid::AD_OCSP);
                w.value(tag::context(6), url.text().as_bytes());
            });
        });
    });
}

/// `Extension ::= SEQUENCE { extnID, critical DEFAULT FALSE, extnValue OCTET STRING }`.
pub(super) fn ordinary(writer: &mut Writer, extension: &Oid, value: impl FnOnce(&mut Writer)) {
    writer.sequence(|w| {
        w.oid(extension);
        w.octet_string_of(value);
    });
}

pub(super) fn critical(writer: &mut Writer, extension: &Oid, value: impl FnOnce(&mut Writer)) {
    writer.sequence(|w| {
        w.oid(extension);
        w.boolean(true);
        w.octet_string_of(value);
    });
}
