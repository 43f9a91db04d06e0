//! For which certificates a CRL says it speaks (RFC 5280 §5.2.5), and the names of it.

use x509_parser::asn1_rs::FromDer;
use x509_parser::extensions::{DistributionPointName, GeneralName, IssuingDistributionPoint};
use x509_parser::x509::X509Name;

use crate::pki::Name;

/// issuingDistributionPoint (RFC 5280 §5.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeclaredScope {
    /// Its DER: scopes are the same when it is.
    pub(super) der: Vec<u8>,
    pub(super) names: Vec<PointName>,
    pub(super) only_user: bool,
    pub(super) only_ca: bool,
    pub(super) only_attribute: bool,
    pub(super) some_reasons: bool,
    pub(super) indirect: bool,
}

/// One name of a distribution point: the same as another when its octets are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PointName {
    pub(super) text: String,
    octets: Vec<u8>,
}

impl DeclaredScope {
    /// None when nothing of it could be read: it may not be empty (RFC 5280 §5.2.5).
    pub(super) fn new(der: &[u8], point: &IssuingDistributionPoint<'_>) -> Option<Self> {
        let scope = Self {
            der: der.to_vec(),
            names: point.distribution_point.as_ref().map(point_names).unwrap_or_default(),
            only_user: point.only_contains_user_certs,
            only_ca: point.only_contains_ca_certs,
            only_attribute: point.only_contains_attribute_certs,
            some_reasons: point.only_some_reasons.is_some(),
            indirect: point.indirect_crl,
        };
        let only = scope.only();
        (!scope.names.is_empty() || !only.is_empty()).then_some(scope)
    }

    /// The fields that narrow it.
    pub(super) fn only(&self) -> Vec<&'static str> {
        let fields = [
            (self.only_user, "onlyContainsUserCerts"),
            (self.only_ca, "onlyContainsCACerts"),
            (self.only_attribute, "onlyContainsAttributeCerts"),
            (self.some_reasons, "onlySomeReasons"),
            (self.indirect, "indirectCRL"),
        ];
        fields.into_iter().filter_map(|(set, name)| set.then_some(name)).collect()
    }
}

/// The names of a distribution point, as CRLs and certificates give them.
pub(super) fn point_names(point: &DistributionPointName<'_>) -> Vec<PointName> {
    match point {
        DistributionPointName::FullName(names) => names.iter().map(PointName::new).collect(),
        DistributionPointName::NameRelativeToCRLIssuer(name) => {
            let text = format!("relative to the issuer: {name:?}");
            vec![PointName { octets: text.clone().into_bytes(), text }]
        }
    }
}

impl PointName {
    /// The name that is this DN.
    pub(super) fn directory(der: &[u8]) -> Self {
        Self { text: name_text(der), octets: der.to_vec() }
    }

    fn new(name: &GeneralName<'_>) -> Self {
        match name {
            GeneralName::DirectoryName(name) => Self::directory(name.as_raw()),
            GeneralName::URI(url) => Self { text: (*url).to_owned(), octets: url.as_bytes().to_vec() },
            other => Self { text: other.to_string(), octets: format!("{other:?}").into_bytes() },
        }
    }
}

/// RFC 4514 text of a name.
pub(super) fn name_text(der: &[u8]) -> String {
    match (Name::from_der(der), X509Name::from_der(der)) {
        (Ok(name), _) => name.to_string(),
        (Err(_), Ok((_, name))) => name.to_string(),
        (Err(_), Err(_)) => "unreadable".to_owned(),
    }
}
