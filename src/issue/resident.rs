//! A resident's certificate: signing or authentication, on a card or a phone.

use super::extensions::Facts;
use super::tbs::TbsCertificate;
use super::{Applicant, CommonName, IssueError, OcspUrl, SubjectKey, SubjectKeyError, Validity};
use crate::pki::{Attribute, CertificateKind, Issuer, Name, SerialNumber, SignatureAlgorithm, oid};
use crate::profile::{Authority, CertificateProfile, Municipality, Profile, SubjectForm};

/// What a resident's certificate is written from. The municipality is that of the common name.
#[derive(Debug, Clone)]
pub struct Resident<'a> {
    /// The profile.
    pub profile: &'a Profile,
    /// The generation that issues.
    pub issuer: &'a Issuer,
    /// Which certificate.
    pub kind: CertificateKind,
    /// From the authority's counter.
    pub serial: SerialNumber,
    /// How the issuer's key signs.
    pub algorithm: SignatureAlgorithm,
    /// From the instant of issue; see [`super::not_after`] and [`super::phone_not_after`].
    pub validity: Validity,
    /// The subject's number.
    pub common_name: &'a CommonName,
    /// The holder; an authentication certificate says nothing about them.
    pub applicant: &'a Applicant,
    /// The public key made on the card or phone.
    pub key: &'a SubjectKey,
    /// Where OCSP is asked; a signing certificate does not say it.
    pub ocsp_url: &'a OcspUrl,
}

impl Resident<'_> {
    /// TBSCertificate, DER, to be signed with the issuer's key.
    ///
    /// # Errors
    /// When the profile, the law or the issuer's own validity forbids the certificate.
    pub fn tbs(&self) -> Result<Vec<u8>, IssueError> {
        let certificate = self.profile.certificate(self.kind).ok_or(IssueError::Profile(self.kind))?;
        let authority = self.authority()?;
        let municipality = self.municipality()?;
        self.check_address(certificate, municipality)?;
        self.check(certificate)?;
        let facts = Facts {
            profile: self.profile,
            authority,
            subject_key: self.key,
            issuer: Some(self.issuer),
            distribution_point: Some(&authority.distribution_point(municipality)),
            holder: Some(self.applicant),
            ocsp_url: Some(self.ocsp_url),
        };
        Ok(TbsCertificate {
            serial: self.serial,
            signature: self.algorithm,
            issuer: &self.issuer.name,
            validity: self.validity,
            subject: &self.subject(municipality),
            subject_public_key: self.key,
            extensions: &facts.extensions(certificate)?,
        }
        .to_der())
    }

    fn authority(&self) -> Result<&Authority, IssueError> {
        match self.profile.authority_of(self.kind) {
            Some(authority) if authority.id != self.issuer.authority => {
                Err(IssueError::WrongAuthority(self.kind))
            }
            Some(authority) if authority.name() != self.issuer.name => Err(IssueError::WrongIssuer),
            Some(authority) => Ok(authority),
            None => Err(IssueError::Profile(self.kind)),
        }
    }

    pub(super) fn municipality(&self) -> Result<&Municipality, IssueError> {
        Ok(self.profile.municipalities.residence(self.common_name.municipality())?)
    }

    /// In the prefecture of the municipality, or overseas: whether the holder lives there, the records
    /// tell.
    fn check_address(
        &self,
        certificate: &CertificateProfile,
        municipality: &Municipality,
    ) -> Result<(), IssueError> {
        let (prefecture, overseas) = (&municipality.prefecture, &self.profile.overseas_address);
        let address = self.applicant.address.text();
        if !certificate.names_holder() || address.starts_with(prefecture) || address.starts_with(overseas) {
            return Ok(());
        }
        let (prefecture, overseas) = (prefecture.clone(), overseas.clone());
        Err(IssueError::AddressPrefecture { prefecture, overseas, code: municipality.code })
    }

    fn check(&self, certificate: &CertificateProfile) -> Result<(), IssueError> {
        if self.common_name.form() != certificate.subject {
            return Err(IssueError::CommonName(self.kind));
        }
        if !self.profile.keys.contains(&self.key.key_type()) {
            return Err(SubjectKeyError::Kind(self.key.key_type().into()).into());
        }
        if self.validity.not_after() > self.issuer.not_after {
            return Err(IssueError::OutlivesIssuer { issuer_not_after: self.issuer.not_after });
        }
        let kind = self.kind;
        match (certificate.age_min, self.applicant.birth.age(self.validity.not_before())) {
            (None, _) => Ok(()),
            (Some(age_min), Some((least, _))) if least >= i32::from(age_min) => Ok(()),
            (Some(age_min), Some((_, most))) if most < i32::from(age_min) => {
                Err(IssueError::TooYoung { kind, age_min })
            }
            (Some(age_min), _) => Err(IssueError::AgeNotShown { kind, age_min }),
        }
    }

    fn subject(&self, municipality: &Municipality) -> Name {
        let country = Attribute::new(oid::COUNTRY_NAME, "JP");
        let common_name = Attribute::new(oid::COMMON_NAME, self.common_name.text());
        let locality = |name: &str| Attribute::new(oid::LOCALITY_NAME, name);
        match self.common_name.form() {
            SubjectForm::Signing => Name::new(&[
                country,
                locality(&municipality.prefecture_romaji),
                locality(&municipality.municipality_romaji),
                common_name,
            ]),
            _ => Name::new(&[country, common_name]),
        }
    }
}
