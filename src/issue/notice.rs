//! The certificate of the key that signs public notices.

use super::extensions::{critical, ordinary};
use super::tbs::TbsCertificate;
use super::{SubjectKey, Validity};
use crate::der::Writer;
use crate::pki::{Attribute, Name, SerialNumber, SignatureAlgorithm, oid};

/// KeyUsage: digitalSignature alone.
const DIGITAL_SIGNATURE: u16 = 0x8000;

/// A self-signed certificate of no authority: it carries a key, and is believed by the fingerprint of that
/// key, which was kept elsewhere.
#[derive(Debug, Clone)]
pub struct NoticeCertificate<'a> {
    /// Of its own: no authority's counter is touched.
    pub serial: SerialNumber,
    /// How the key signs.
    pub algorithm: SignatureAlgorithm,
    /// How long it is valid.
    pub validity: Validity,
    /// The key.
    pub key: &'a SubjectKey,
}

impl NoticeCertificate<'_> {
    /// TBSCertificate, DER, to be signed with the key itself.
    #[must_use]
    pub fn tbs(&self) -> Vec<u8> {
        let name = Name::new(&[Attribute::new(oid::COMMON_NAME, "sekisho public notices")]);
        let mut extensions = Writer::new();
        critical(&mut extensions, &oid::KEY_USAGE, |w| w.named_bits(DIGITAL_SIGNATURE));
        TbsCertificate {
            serial: self.serial,
            signature: self.algorithm,
            issuer: &name,
            validity: self.validity,
            subject: &name,
            subject_public_key: self.key,
            extensions: &with_key_id(extensions, self.key),
        }
        .to_der()
    }
}

fn with_key_id(mut extensions: Writer, key: &SubjectKey) -> Vec<u8> {
    let key_id = key.key_id();
    ordinary(&mut extensions, &oid::SUBJECT_KEY_IDENTIFIER, |w| w.octet_string(&key_id));
    extensions.into_bytes()
}
