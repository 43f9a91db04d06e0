//! Which certificates a CRL speaks for.

use super::CrlNumber;
use crate::pki::{CertificateKind, Name, Partition};
use crate::record::Issued;

/// The scope of a CRL (RFC 5280 §5), within one authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// Every certificate, those of CAs and OCSP signers included: the list says nothing about
    /// its scope, so it may leave nothing out.
    Full {
        /// The URL of its deltas, where there are any.
        freshest_crl: Option<&'a str>,
    },
    /// What changed since a full CRL.
    Delta {
        /// The number of that one.
        base: CrlNumber,
    },
    /// The residents' certificates of one partition.
    Partition {
        /// Which.
        partition: Partition,
        /// Octet for octet the name in their cRLDistributionPoints.
        distribution_point: &'a Name,
    },
    /// The CA certificates.
    Authority,
}

/// Name of the file of a CRL, also the last part of its address.
#[must_use]
pub fn file_name(scope: Scope<'_>) -> String {
    match scope {
        Scope::Full { .. } => "full.crl".to_owned(),
        Scope::Delta { .. } => "delta.crl".to_owned(),
        Scope::Partition { partition, .. } => format!("{partition}.crl"),
        Scope::Authority => "authority.crl".to_owned(),
    }
}

/// Certificates that enter the same CRLs. The full CRL lists the groups in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Group {
    /// CA certificates: ARL and full CRL.
    Authority,
    /// OCSP signers, and certificates of authorities without partitions: full CRL only.
    Undivided,
    /// A partition: its CRL and the full CRL.
    Partition(Partition),
}

impl Group {
    pub(super) const fn of(issued: &Issued) -> Self {
        match (issued.kind, issued.partition) {
            (CertificateKind::Ca, _) => Self::Authority,
            (CertificateKind::OcspSigner, _) | (_, None) => Self::Undivided,
            (_, Some(partition)) => Self::Partition(partition),
        }
    }
}

impl Scope<'_> {
    /// The full CRL of an authority without deltas.
    pub const FULL: Self = Self::Full { freshest_crl: None };

    /// The one group it covers; none for the full CRL and its deltas, which cover all.
    pub(super) const fn group(&self) -> Option<Group> {
        match self {
            Self::Full { .. } | Self::Delta { .. } => None,
            Self::Partition { partition, .. } => Some(Group::Partition(*partition)),
            Self::Authority => Some(Group::Authority),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_after_their_scope() {
        let name = Name::new(&[]);
        let partition = Scope::Partition { partition: Partition(1361), distribution_point: &name };
        assert_eq!(file_name(partition), "01361.crl");
        assert_eq!(file_name(Scope::FULL), "full.crl");
        assert_eq!(file_name(Scope::Authority), "authority.crl");
    }
}
