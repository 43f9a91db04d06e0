//! A window for the fuzz targets, built with `--cfg fuzzing` only: what a request was read as.

use super::error::OcspError;
use super::request::OcspRequest;
use crate::pki::SerialNumber;

/// An OCSPRequest, as far as it is acted on.
#[derive(Debug)]
pub struct Read {
    /// Each CertID, DER.
    pub cert_ids: Vec<Vec<u8>>,
    /// The serial numbers in them; none for a number that no certificate has.
    pub serial_numbers: Vec<Option<SerialNumber>>,
    /// The nonce to be repeated.
    pub nonce: Option<Vec<u8>>,
}

/// Reads a request of at most `cert_ids_max` questions.
///
/// # Errors
/// As the responder answers.
pub fn read_request(der: &[u8], cert_ids_max: usize) -> Result<Read, OcspError> {
    let request = OcspRequest::from_der(der, cert_ids_max)?;
    Ok(Read {
        cert_ids: request.each(|cert_id| cert_id.der.to_vec()).to_vec(),
        serial_numbers: request.each(|cert_id| cert_id.serial_number).to_vec(),
        nonce: request.extensions.nonce.map(<[u8]>::to_vec),
    })
}
