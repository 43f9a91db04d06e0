//! What stands in a certificate of a kind.

use crate::der::Oid;
use crate::pki::CertificateKind;

/// The contents of one kind of certificate.
#[derive(Debug, Clone)]
pub struct CertificateProfile {
    /// Which kind.
    pub kind: CertificateKind,
    /// How its subject is named.
    pub subject: SubjectForm,
    /// Youngest holder, in years completed; `None` for any age.
    pub age_min: Option<u8>,
    /// A hold may end in `good` again, not only in revocation.
    pub hold_may_be_lifted: bool,
    /// Its extensions, in the order in which they are written.
    pub extensions: Vec<Extension>,
}

impl CertificateProfile {
    /// True when it tells who holds it, and where they live.
    #[must_use]
    pub fn names_holder(&self) -> bool {
        let tells =
            |extension: &Extension| matches!(extension, Extension::SubjectAltName(AltName::Holder(_)));
        self.extensions.iter().any(tells)
    }
}

/// How a subject is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectForm {
    /// The authority's own DN.
    Authority,
    /// The authority's OCSP signer, by its number.
    OcspSigner,
    /// C, L prefecture, L municipality, CN of 28 characters.
    Signing,
    /// C, CN of 23 characters.
    Authentication,
}

/// An extension with what the profile decides about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extension {
    /// RFC 5280 §4.2.1.1.
    AuthorityKeyIdentifier(AuthorityKeyIdentifierForm),
    /// RFC 5280 §4.2.1.2.
    SubjectKeyIdentifier,
    /// RFC 5280 §4.2.1.3, critical: the bits of [`key_usage`].
    KeyUsage(u16),
    /// RFC 5280 §4.2.1.4, critical: one policy, qualified by the practice statement's address.
    CertificatePolicies(Oid),
    /// RFC 5280 §4.2.1.6.
    SubjectAltName(AltName),
    /// RFC 5280 §4.2.1.7: the authority's Japanese name.
    IssuerAltName,
    /// RFC 5280 §4.2.1.9, critical: a CA, without a path length.
    BasicConstraints,
    /// RFC 5280 §4.2.1.12.
    ExtKeyUsage(Vec<Oid>),
    /// RFC 5280 §4.2.1.13: one directoryName, of the holder's municipality for a resident and
    /// the authority's DN for the authority itself.
    CrlDistributionPoints,
    /// RFC 5280 §4.2.2.1: the address of OCSP.
    AuthorityInfoAccess,
    /// RFC 6960 §4.2.2.2.1: id-pkix-ocsp-nocheck.
    OcspNocheck,
}

/// What a subjectAltName holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AltName {
    /// The authority's Japanese name as one directoryName.
    Authority,
    /// The holder's data as otherNames: name, date of birth, sex, address and the two strings
    /// of substitute flags, each under its OID, in this order.
    Holder(HolderOids),
}

/// type-id of each otherName about the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HolderOids {
    /// Name.
    pub name: Oid,
    /// Date of birth.
    pub birth: Oid,
    /// Sex.
    pub sex: Oid,
    /// Address.
    pub address: Oid,
    /// Substitute flags of the name.
    pub name_substitutes: Oid,
    /// Substitute flags of the address.
    pub address_substitutes: Oid,
}

/// Which fields of AuthorityKeyIdentifier are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorityKeyIdentifierForm {
    /// keyIdentifier alone.
    KeyId,
    /// keyIdentifier, authorityCertIssuer and authorityCertSerialNumber.
    Full,
}

/// A kind of public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// RSA, modulus of exactly 2048 bits, exponent 65537.
    Rsa2048,
    /// ECDSA over P-256.
    P256,
    /// ECDSA over P-384.
    P384,
    /// EdDSA over Curve25519.
    Ed25519,
}

/// The bits of KeyUsage (RFC 5280 §4.2.1.3), bit 0 highest.
pub mod key_usage {
    /// digitalSignature (0).
    pub const DIGITAL_SIGNATURE: u16 = 0x8000;
    /// nonRepudiation (1).
    pub const NON_REPUDIATION: u16 = 0x4000;
    /// keyCertSign (5).
    pub const KEY_CERT_SIGN: u16 = 0x0400;
    /// cRLSign (6).
    pub const CRL_SIGN: u16 = 0x0200;
}
