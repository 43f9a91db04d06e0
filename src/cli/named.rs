//! Certificates and keys named on the command line.

use std::path::Path;

use super::Failure;
use super::args::Certificate;
use crate::admin::api::Selector;

/// The certificate the arguments name.
pub(super) fn selector(certificate: &Certificate) -> Result<Selector, Failure> {
    match (&certificate.authority, &certificate.serial, &certificate.cert) {
        (Some(authority), Some(serial), _) => {
            Ok(Selector::Named { authority: authority.clone(), serial: serial.clone() })
        }
        (_, _, Some(path)) => Ok(Selector::Certificate { certificate: pem_of(path, "CERTIFICATE")? }),
        _ => Err(Failure::wrong_use("name the certificate: --authority and --serial, or --cert FILE")),
    }
}

/// The file as PEM, whether it is PEM or DER.
pub(super) fn pem_of(path: &Path, label: &str) -> Result<String, Failure> {
    let octets =
        std::fs::read(path).map_err(|error| Failure::wrong_use(format!("{}: {error}", path.display())))?;
    match pem::parse(&octets) {
        Ok(pem) => Ok(pem::encode(&pem)),
        Err(_) if octets.first() == Some(&crate::der::tag::SEQUENCE) => {
            Ok(pem::encode(&pem::Pem::new(label, octets)))
        }
        Err(_) => Err(Failure::wrong_use(format!("{}: neither PEM nor DER", path.display()))),
    }
}
