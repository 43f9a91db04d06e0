//! A certificate read back before it leaves, by a parser that is not ours, and compared with what was
//! ordered: what the writer of `tbs` gets wrong, and what becomes of its octets while they are signed.

use x509_parser::der_parser::asn1_rs::Any;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name, X509Version};

use super::{Resident, assemble};
use crate::pki::oid;
use crate::profile::{AltName, CertificateProfile, Extension, HolderOids, SubjectForm};

/// The certificate is not what was ordered. It names the field and nothing of what stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the certificate that was made is not the one that was ordered, its {0} differs: it was not handed out; report this \
     as a fault of the service"
)]
pub struct NotAsOrdered(pub &'static str);

type Confirmed = Result<(), NotAsOrdered>;

/// `held`, or the field differs.
const fn expect(held: bool, field: &'static str) -> Confirmed {
    if held { Ok(()) } else { Err(NotAsOrdered(field)) }
}

impl Resident<'_> {
    /// Compares a certificate with this order, field by field, and verifies its signature.
    ///
    /// # Errors
    /// [`NotAsOrdered`]: the first field that differs.
    pub fn confirm(&self, certificate: &[u8]) -> Result<(), NotAsOrdered> {
        let Ok((&[], read)) = X509Certificate::from_der(certificate) else {
            return Err(NotAsOrdered("encoding"));
        };
        expect(read.version() == X509Version::V3, "version")?;
        expect(read.signature_algorithm == read.tbs_certificate.signature, "signature algorithm")?;
        expect(is_serial(read.raw_serial(), self.serial.magnitude()), "serial number")?;
        expect(read.issuer().as_raw() == self.issuer.name.der(), "issuer")?;
        let validity = [read.validity().not_before, read.validity().not_after].map(|time| time.timestamp());
        let ordered = [self.validity.not_before(), self.validity.not_after()].map(|time| time.seconds());
        expect(validity == ordered, "validity")?;
        expect(read.public_key().raw == self.key.spki(), "public key")?;
        self.confirm_subject(read.subject())?;
        self.confirm_extensions(&read)?;
        // The parser forgives something around what is signed: the tag of the outer algorithm, unused bits.
        let around = assemble(read.tbs_certificate.as_ref(), self.algorithm, &read.signature_value.data);
        expect(around == certificate, "encoding")?;
        let issuer_key = SubjectPublicKeyInfo::from_der(&self.issuer.spki);
        let verified = issuer_key.ok().and_then(|(_, key)| read.verify_signature(Some(&key)).ok());
        expect(verified.is_some(), "signature")
    }

    fn confirm_subject(&self, subject: &X509Name<'_>) -> Confirmed {
        let mut ordered = vec![(oid::COUNTRY_NAME, "JP")];
        let municipality = self.municipality().map_err(|_| NotAsOrdered("municipality"))?;
        if self.common_name.form() == SubjectForm::Signing {
            ordered.push((oid::LOCALITY_NAME, &municipality.prefecture_romaji));
            ordered.push((oid::LOCALITY_NAME, &municipality.municipality_romaji));
        }
        ordered.push((oid::COMMON_NAME, self.common_name.text()));
        let read: Vec<_> = subject
            .iter_attributes()
            .map(|one| (one.attr_type().as_bytes(), one.as_str().unwrap_or_default()))
            .collect();
        expect(read == ordered.iter().map(|(of, text)| (of.content(), *text)).collect::<Vec<_>>(), "subject")
    }

    /// As many as the profile names, each once, and each as ordered.
    fn confirm_extensions(&self, read: &X509Certificate<'_>) -> Confirmed {
        let profile = self.profile.certificate(self.kind).ok_or(NotAsOrdered("kind"))?;
        let CertificateProfile { extensions, .. } = profile;
        expect(read.extensions().len() == extensions.len(), "number of extensions")?;
        expect(!read.is_ca(), "basicConstraints")?;
        for (ordered, found) in extensions.iter().zip(read.extensions()) {
            self.confirm_extension(ordered, found.parsed_extension())?;
        }
        Ok(())
    }

    fn confirm_extension(&self, ordered: &Extension, found: &ParsedExtension<'_>) -> Confirmed {
        match (ordered, found) {
            (Extension::AuthorityKeyIdentifier(_), ParsedExtension::AuthorityKeyIdentifier(found)) => {
                let key_id = found.key_identifier.as_ref().map(|id| id.0);
                expect(key_id == Some(self.issuer.key_id.as_slice()), "authorityKeyIdentifier")
            }
            (Extension::SubjectKeyIdentifier, ParsedExtension::SubjectKeyIdentifier(found)) => {
                expect(found.0 == self.key.key_id(), "subjectKeyIdentifier")
            }
            // Bit 0 is the highest in the profile, and the lowest there.
            (Extension::KeyUsage(bits), ParsedExtension::KeyUsage(found)) => {
                expect(found.flags.reverse_bits() == *bits, "keyUsage")
            }
            (Extension::ExtKeyUsage(purposes), ParsedExtension::ExtendedKeyUsage(found)) => {
                let only_client = found.client_auth && !found.any && found.other.is_empty();
                expect(only_client && *purposes == [oid::KP_CLIENT_AUTH], "extKeyUsage")
            }
            (Extension::CertificatePolicies(policy), ParsedExtension::CertificatePolicies(found)) => {
                let ids: Vec<&[u8]> = found.iter().map(|one| one.policy_id.as_bytes()).collect();
                expect(ids == [policy.content()], "certificatePolicies")
            }
            (
                Extension::SubjectAltName(AltName::Holder(oids)),
                ParsedExtension::SubjectAlternativeName(found),
            ) => self.confirm_holder(oids, &found.general_names),
            (Extension::IssuerAltName, ParsedExtension::IssuerAlternativeName(_)) => Ok(()),
            (Extension::CrlDistributionPoints, ParsedExtension::CRLDistributionPoints(found)) => {
                let names: Vec<_> = found.iter().map(|point| &point.distribution_point).collect();
                let [Some(DistributionPointName::FullName(names))] = names.as_slice() else {
                    return Err(NotAsOrdered("cRLDistributionPoints"));
                };
                let ordered =
                    self.profile.distribution_point(self.issuer.authority, self.common_name.municipality());
                let is_ordered = matches!(names.as_slice(), [GeneralName::DirectoryName(name)]
                    if Some(name.as_raw()) == ordered.as_ref().map(|name| name.der()));
                expect(is_ordered, "cRLDistributionPoints")
            }
            (Extension::AuthorityInfoAccess, ParsedExtension::AuthorityInfoAccess(found)) => {
                let all: Vec<_> = found.accessdescs.iter().map(|one| &one.access_location).collect();
                let is_ordered =
                    matches!(all.as_slice(), [GeneralName::URI(url)] if *url == self.ocsp_url.text());
                expect(is_ordered, "authorityInfoAccess")
            }
            _ => Err(NotAsOrdered("order of extensions")),
        }
    }

    /// The holder's data, all of it and nothing else.
    fn confirm_holder(&self, oids: &HolderOids, found: &[GeneralName<'_>]) -> Confirmed {
        let birth = self.applicant.birth.code();
        let (name, address) = (&self.applicant.name, &self.applicant.address);
        let ordered = [
            (&oids.name, name.text()),
            (&oids.birth, birth.as_str()),
            (&oids.sex, self.applicant.sex.code()),
            (&oids.address, address.text()),
            (&oids.name_substitutes, name.substitutes()),
            (&oids.address_substitutes, address.substitutes()),
        ];
        let found: Option<Vec<_>> = found.iter().map(other_name).collect();
        let ordered = ordered.map(|(of, text)| (of.content().to_vec(), text.to_owned()));
        expect(found.as_deref() == Some(&ordered), "subjectAltName")
    }
}

/// The content octets of a serial: its magnitude, behind a zero where the first bit is set.
fn is_serial(content: &[u8], magnitude: &[u8]) -> bool {
    let is_high = magnitude.first().is_some_and(|first| first & 0x80 != 0);
    match content {
        [0, rest @ ..] if is_high => rest == magnitude,
        content => !is_high && content == magnitude,
    }
}

/// type-id and text of `otherName [0] { type-id, value [0] EXPLICIT UTF8String }`.
fn other_name(name: &GeneralName<'_>) -> Option<(Vec<u8>, String)> {
    let GeneralName::OtherName(of, value) = name else { return None };
    let (rest, explicit) = Any::from_der(value).ok()?;
    let (after, text) = Any::from_der(explicit.data).ok()?;
    let text = text.as_utf8string().ok()?.string();
    (rest.is_empty() && after.is_empty()).then(|| (of.as_bytes().to_vec(), text))
}
