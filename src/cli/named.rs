//! Certificates and keys named on the command line.

use std::path::Path;

use super::args::Certificate;
use super::client::Client;
use super::{DataDir, Failure};
use crate::admin::api::{CertificateState, Inquiry, Problem, ProblemKind, Selector, path};
use crate::pki::{self, BareSerial, SerialNumber, SerialTextError};

/// The certificate the arguments name, of the service that runs on `data`.
pub(super) fn selector(data: &DataDir, certificate: &Certificate) -> Result<Selector, Failure> {
    match (&certificate.authority, &certificate.serial, &certificate.cert) {
        (Some(authority), Some(text), _) => match text.parse::<SerialNumber>() {
            Ok(serial) => Ok(Selector::Named { authority: authority.clone(), serial: serial.to_string() }),
            Err(SerialTextError::Bare(bare)) => Err(bare_serial(data, authority, text, &bare)),
            Err(error) => Err(Failure::wrong_use(format!("--serial {text}: {error}"))),
        },
        (_, _, Some(path)) => Ok(Selector::Certificate { certificate: certificate_of(path)? }),
        _ => Err(Failure::wrong_use("name the certificate: --authority and --serial, or --cert FILE")),
    }
}

/// What is said of digits without their base: a service that runs knows which of both there is. It is
/// asked what changes nothing, however it reads them.
fn bare_serial(data: &DataDir, authority: &str, text: &str, bare: &BareSerial) -> Failure {
    let certificate = Selector::Named { authority: authority.to_owned(), serial: text.to_owned() };
    let inquiry = Inquiry { certificate, at: None };
    let told =
        Client::of(data).and_then(|mut service| service.ask::<CertificateState>(path::STATUS, &inquiry));
    match told {
        Ok(Err(problem @ Problem { kind: ProblemKind::Invalid, .. })) => problem.into(),
        _ => Failure::wrong_use(bare.to_string()),
    }
}

/// The same of a serial under a CA certificate: the service that runs on `data` knows, where that is one of
/// its own.
pub(super) fn bare_serial_under(data: &DataDir, issuer: &Path, text: &str, bare: &BareSerial) -> Failure {
    let inquiry = certificate_of(issuer)
        .map(|certificate| Inquiry { certificate: Selector::Certificate { certificate }, at: None });
    let known = inquiry.and_then(|inquiry| {
        Client::of(data).and_then(|mut service| service.post::<CertificateState>(path::STATUS, &inquiry))
    });
    match known {
        Ok(of_issuer) => bare_serial(data, &of_issuer.authority, text, bare),
        Err(_) => Failure::wrong_use(bare.to_string()),
    }
}

/// The certificate that a file is meant to name, as PEM.
pub(super) fn certificate_of(path: &Path) -> Result<String, Failure> {
    Ok(pem::encode(&pem::Pem::new("CERTIFICATE", certificate_in(path)?)))
}

/// The same as DER.
pub(super) fn certificate_in(path: &Path) -> Result<Vec<u8>, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::wrong_use(format!("{}: {error}", path.display()));
    let octets = std::fs::read(path).map_err(|error| wrong(&error))?;
    pki::end_certificate(&octets).map_err(|error| wrong(&error))
}

/// The file as one block of PEM, whether it is PEM or DER.
pub(super) fn pem_of(path: &Path, label: &str) -> Result<String, Failure> {
    let octets =
        std::fs::read(path).map_err(|error| Failure::wrong_use(format!("{}: {error}", path.display())))?;
    match pem::parse_many(&octets).unwrap_or_default().as_slice() {
        [pem] => Ok(pem::encode(pem)),
        [] if octets.first() == Some(&crate::der::tag::SEQUENCE) => {
            Ok(pem::encode(&pem::Pem::new(label, octets)))
        }
        [] => Err(Failure::wrong_use(format!("{}: neither PEM nor DER", path.display()))),
        // The first need not be the one that is meant.
        blocks => Err(Failure::wrong_use(format!(
            "{}: {} PEM blocks: give a file with one {label}",
            path.display(),
            blocks.len()
        ))),
    }
}
