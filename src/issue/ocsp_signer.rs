//! A delegated OCSP signer's certificate (RFC 6960 §4.2.2.2).

use std::time::Duration;

use super::extensions::Facts;
use super::tbs::TbsCertificate;
use super::{IssueError, SubjectKey, Validity};
use crate::der::UnixTime;
use crate::pki::{CertificateKind, Issuer, SerialNumber, SignatureAlgorithm};
use crate::profile::Profile;

/// How far a signer's notBefore lies in the past, for verifiers whose clocks are behind.
pub const OCSP_SIGNER_BACKDATE: Duration = Duration::from_secs(60 * 60);

/// The certificate of a key that answers OCSP in the authority's place. Short-lived, because
/// id-pkix-ocsp-nocheck means that nobody asks whether it was revoked.
#[derive(Debug, Clone)]
pub struct OcspSigner<'a> {
    /// The profile.
    pub profile: &'a Profile,
    /// The generation it answers for, which must itself be the issuer.
    pub issuer: &'a Issuer,
    /// From the authority's counter.
    pub serial: SerialNumber,
    /// How the issuer's key signs.
    pub algorithm: SignatureAlgorithm,
    /// See [`Self::validity`].
    pub validity: Validity,
    /// Which signer of the authority it is: part of its name.
    pub number: u32,
    /// The signer's key.
    pub key: &'a SubjectKey,
}

impl OcspSigner<'_> {
    /// From [`OCSP_SIGNER_BACKDATE`] before `now` until `lifetime` after it, but no later than
    /// the issuer.
    ///
    /// # Errors
    /// When the issuer has expired, or `lifetime` is zero.
    pub fn validity(issuer: &Issuer, now: UnixTime, lifetime: Duration) -> Result<Validity, IssueError> {
        let not_after = now.plus(lifetime).min(issuer.not_after);
        Validity::new(now, not_after)?;
        Validity::new(now.minus(OCSP_SIGNER_BACKDATE), not_after)
    }

    /// TBSCertificate, DER, to be signed with the issuer's key.
    ///
    /// # Errors
    /// When the profile does not fit the issuer, or the validity outlives it.
    pub fn tbs(&self) -> Result<Vec<u8>, IssueError> {
        let no_profile = IssueError::Profile(CertificateKind::OcspSigner);
        let certificate =
            self.profile.certificate(CertificateKind::OcspSigner).ok_or_else(|| no_profile.clone())?;
        let authority = self.profile.authority(self.issuer.authority).ok_or(no_profile)?;
        if authority.name() != self.issuer.name {
            return Err(IssueError::WrongIssuer);
        }
        if self.validity.not_after() > self.issuer.not_after {
            return Err(IssueError::OutlivesIssuer { issuer_not_after: self.issuer.not_after });
        }
        let facts = Facts {
            profile: self.profile,
            authority,
            subject_key: self.key,
            issuer: Some(self.issuer),
            distribution_point: None,
            holder: None,
            ocsp_url: None,
        };
        Ok(TbsCertificate {
            serial: self.serial,
            signature: self.algorithm,
            issuer: &self.issuer.name,
            validity: self.validity,
            subject: &authority.ocsp_signer_name(self.number),
            subject_public_key: self.key,
            extensions: &facts.extensions(certificate)?,
        }
        .to_der())
    }
}
