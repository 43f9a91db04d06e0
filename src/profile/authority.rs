//! An authority and its names.

use super::Municipality;
use crate::pki::{Attribute, AuthorityId, CertificateKind, Name, oid};

/// A certification authority of a profile.
#[derive(Debug, Clone)]
pub struct Authority {
    /// Its number in the journal.
    pub id: AuthorityId,
    /// Its name in commands and addresses.
    pub name: String,
    /// Its DN, shared by all its generations.
    pub distinguished_name: Vec<Attribute>,
    /// Its Japanese name: subjectAltName of its own, issuerAltName of its residents'
    /// certificates.
    pub alternative_name: Vec<Attribute>,
    /// Attributes that begin the names below it: of its distribution points and OCSP signers.
    pub base: Vec<Attribute>,
    /// The kinds it issues to residents.
    pub kinds: Vec<CertificateKind>,
}

impl Authority {
    /// Its DN.
    #[must_use]
    pub fn name(&self) -> Name {
        Name::new(&self.distinguished_name)
    }

    /// Its Japanese name.
    #[must_use]
    pub fn alternative_name(&self) -> Name {
        Name::new(&self.alternative_name)
    }

    /// DN of its `number`th OCSP signer: never the authority's own, which would let the
    /// signer's certificate pass for a CA's.
    #[must_use]
    pub fn ocsp_signer_name(&self, number: u32) -> Name {
        self.below([Attribute::new(oid::COMMON_NAME, format!("OCSP signer {number}"))])
    }

    /// Name of the distribution point of a municipality.
    #[must_use]
    pub fn distribution_point(&self, municipality: &Municipality) -> Name {
        self.below([
            Attribute::new(oid::ORGANIZATIONAL_UNIT_NAME, "CRL Distribution Points"),
            Attribute::new(oid::ORGANIZATIONAL_UNIT_NAME, &municipality.prefecture_romaji),
            Attribute::new(oid::COMMON_NAME, municipality.crldp_name()),
        ])
    }

    fn below(&self, attributes: impl IntoIterator<Item = Attribute>) -> Name {
        let all: Vec<Attribute> = self.base.iter().cloned().chain(attributes).collect();
        Name::new(&all)
    }
}
