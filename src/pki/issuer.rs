//! An issuer: one key of one authority, found by what it signs with, never by name alone.

use super::{AuthorityId, Generation, HashAlgorithm, Name, SerialNumber};
use crate::der::{DerError, Reader, UnixTime, tag};

/// One generation of an authority, as its CA certificate states it.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// The authority.
    pub authority: AuthorityId,
    /// Which of its keys.
    pub generation: Generation,
    /// Serial number of the CA certificate.
    pub serial: SerialNumber,
    /// The CA's DN; all generations of an authority share it.
    pub name: Name,
    /// Start of the CA certificate's validity.
    pub not_before: UnixTime,
    /// End of the CA certificate's validity: nothing issued under it outlives this.
    pub not_after: UnixTime,
    /// SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    /// Contents of the subjectPublicKey BIT STRING, without the count of unused bits.
    pub public_key: Vec<u8>,
    /// SHA-1 of `public_key` (RFC 5280 §4.2.1.2 method 1): SKI, AKI and ResponderID.
    pub key_id: [u8; 20],
    /// The CA certificate, DER.
    pub certificate: Vec<u8>,
}

/// Why a certificate cannot stand for an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a certificate: {0}")]
pub struct IssuerError(#[from] DerError);

impl Issuer {
    /// Reads the fields of a certificate; its signature and extensions are not checked.
    ///
    /// # Errors
    /// When `certificate` is not a DER X.509 certificate.
    pub fn from_certificate(
        authority: AuthorityId,
        generation: Generation,
        certificate: &[u8],
    ) -> Result<Self, IssuerError> {
        let mut reader = Reader::new(certificate);
        let issuer = reader.sequence(|r| {
            let issuer = r.sequence(|r| {
                r.read(tag::context_constructed(0))?;
                let serial = SerialNumber::read(r)?;
                r.read(tag::SEQUENCE)?;
                r.read(tag::SEQUENCE)?;
                let (not_before, not_after) = r.sequence(|r| Ok::<_, DerError>((r.time()?, r.time()?)))?;
                let name = Name::from_der(r.element()?.whole)?;
                let spki = r.element()?.whole.to_vec();
                let public_key = Reader::new(&spki)
                    .sequence(|r| {
                        r.read(tag::SEQUENCE)?;
                        r.bit_string()
                    })?
                    .to_vec();
                while !r.is_empty() {
                    r.element()?;
                }
                let key_id = key_id(&public_key);
                let certificate = certificate.to_vec();
                Ok::<_, DerError>(Self {
                    authority,
                    generation,
                    serial,
                    name,
                    not_before,
                    not_after,
                    spki,
                    public_key,
                    key_id,
                    certificate,
                })
            })?;
            r.read(tag::SEQUENCE)?;
            r.bit_string()?;
            Ok::<_, DerError>(issuer)
        })?;
        reader.finish()?;
        Ok(issuer)
    }

    /// issuerNameHash of a CertID (RFC 6960 §4.1.1).
    #[must_use]
    pub fn name_hash(&self, algorithm: HashAlgorithm) -> Vec<u8> {
        algorithm.digest(self.name.der())
    }

    /// issuerKeyHash of a CertID.
    #[must_use]
    pub fn key_hash(&self, algorithm: HashAlgorithm) -> Vec<u8> {
        algorithm.digest(&self.public_key)
    }
}

/// SHA-1 of subjectPublicKey (RFC 5280 §4.2.1.2 method 1).
fn key_id(public_key: &[u8]) -> [u8; 20] {
    let mut id = [0; 20];
    id.copy_from_slice(&HashAlgorithm::Sha1.digest(public_key));
    id
}
