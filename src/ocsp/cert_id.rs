//! CertID (RFC 6960 §4.1.1).

use crate::der::{DerError, Reader, tag};
use crate::pki::SerialNumber;

/// ```text
/// CertID ::= SEQUENCE {
///     hashAlgorithm       AlgorithmIdentifier,
///     issuerNameHash      OCTET STRING,
///     issuerKeyHash       OCTET STRING,
///     serialNumber        CertificateSerialNumber }
/// ```
/// Kept as its octets, which the answer repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CertId<'a> {
    /// The whole SEQUENCE.
    pub(super) der: &'a [u8],
    /// hashAlgorithm, issuerNameHash and issuerKeyHash: which issuer is meant.
    pub(super) issuer: &'a [u8],
    /// None for a number no certificate can have: zero, negative or longer than 20 octets.
    /// Asked about all the same, it was never issued.
    pub(super) serial_number: Option<SerialNumber>,
}

impl<'a> CertId<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DerError> {
        let element = reader.element()?;
        if element.tag != tag::SEQUENCE {
            return Err(DerError::UnexpectedTag { expected: tag::SEQUENCE, found: element.tag });
        }
        let mut fields = reader.inner(element.content)?;
        AlgorithmIdentifier::read(&mut fields)?;
        fields.octet_string()?;
        fields.octet_string()?;
        let serial = fields.clone().element()?.whole;
        let serial_number = SerialNumber::from_content(fields.integer()?).ok();
        fields.finish()?;
        let issuer_len = element.content.len() - serial.len();
        let (issuer, _) = element.content.split_at_checked(issuer_len).ok_or(DerError::Truncated)?;
        Ok(Self { der: element.whole, issuer, serial_number })
    }
}

/// ```text
/// AlgorithmIdentifier ::= SEQUENCE {
///     algorithm           OBJECT IDENTIFIER,
///     parameters          ANY DEFINED BY algorithm OPTIONAL }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AlgorithmIdentifier<'a> {
    /// Contents of the OBJECT IDENTIFIER.
    pub(super) algorithm: &'a [u8],
    /// DER.
    pub(super) parameters: Option<&'a [u8]>,
}

impl<'a> AlgorithmIdentifier<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DerError> {
        reader.sequence(|r| {
            let algorithm = r.oid()?;
            if r.is_empty() {
                return Ok(Self { algorithm, parameters: None });
            }
            let parameters = r.clone().element()?.whole;
            read_any(r)?;
            Ok(Self { algorithm, parameters: Some(parameters) })
        })
    }
}

/// ANY, looked through to its innermost values: parameters of an unknown hash stand in the
/// answer again, and an answer is DER throughout.
fn read_any(reader: &mut Reader<'_>) -> Result<(), DerError> {
    let element = reader.element()?;
    let universal = element.tag < 0x40;
    let constructed = element.tag & CONSTRUCTED != 0;
    if universal {
        let must_be = matches!(element.tag | CONSTRUCTED, tag::SEQUENCE | tag::SET);
        if element.tag == 0 || constructed != must_be {
            return Err(DerError::Content);
        }
    }
    if constructed {
        let mut inside = reader.inner(element.content)?;
        while !inside.is_empty() {
            read_any(&mut inside)?;
        }
    }
    Ok(())
}

/// Bit 6 of an identifier octet (X.690 §8.1.2.5).
const CONSTRUCTED: u8 = 0x20;
