//! An authority's own certificate.

use super::extensions::Facts;
use super::tbs::TbsCertificate;
use super::{IssueError, SubjectKey, Validity};
use crate::pki::{AuthorityId, CertificateKind, SerialNumber, SignatureAlgorithm};
use crate::profile::Profile;

/// A self-signed CA certificate: one for each generation of an authority, all of one DN.
#[derive(Debug, Clone)]
pub struct CaCertificate<'a> {
    /// The profile.
    pub profile: &'a Profile,
    /// The authority.
    pub authority: AuthorityId,
    /// From the authority's own counter.
    pub serial: SerialNumber,
    /// How the authority's key signs.
    pub algorithm: SignatureAlgorithm,
    /// See [`Validity::of_ca`] and [`Profile::ca_years`].
    pub validity: Validity,
    /// The authority's new key.
    pub key: &'a SubjectKey,
}

impl CaCertificate<'_> {
    /// TBSCertificate, DER, to be signed with the authority's own key.
    ///
    /// # Errors
    /// When the profile has no such authority or cannot describe its certificate.
    pub fn tbs(&self) -> Result<Vec<u8>, IssueError> {
        let no_profile = IssueError::Profile(CertificateKind::Ca);
        let certificate = self.profile.certificate(CertificateKind::Ca).ok_or_else(|| no_profile.clone())?;
        let authority = self.profile.authority(self.authority).ok_or(no_profile)?;
        let name = authority.name();
        let facts = Facts {
            profile: self.profile,
            authority,
            subject_key: self.key,
            issuer: None,
            distribution_point: Some(&name),
            holder: None,
            ocsp_url: None,
        };
        Ok(TbsCertificate {
            serial: self.serial,
            signature: self.algorithm,
            issuer: &name,
            validity: self.validity,
            subject: &name,
            subject_public_key: self.key,
            extensions: &facts.extensions(certificate)?,
        }
        .to_der())
    }
}
