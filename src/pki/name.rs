//! Distinguished names (RFC 5280 §4.1.2.4), written once and compared as octets.

use std::fmt;

use super::oid;
use crate::der::{DerError, Oid, Reader, Writer, tag};

/// One attribute of a name: every RDN here holds exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its type.
    pub oid: Oid,
    /// Its value; a country is written as PrintableString, everything else as UTF8String.
    pub value: String,
}

impl Attribute {
    /// An attribute of this type.
    pub fn new(oid: Oid, value: impl Into<String>) -> Self {
        Self { oid, value: value.into() }
    }
}

/// A distinguished name as its DER: two names are the same when their octets are.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Vec<u8>);

impl Name {
    /// Writes `attributes`, one RDN each, in this order.
    #[must_use]
    pub fn new(attributes: &[Attribute]) -> Self {
        Self(Writer::to_der(|w| {
            w.sequence(|w| {
                for attribute in attributes {
                    w.nested(tag::SET, |w| {
                        w.sequence(|w| {
                            w.oid(&attribute.oid);
                            if attribute.oid == oid::COUNTRY_NAME {
                                w.printable(&attribute.value);
                            } else {
                                w.utf8(&attribute.value);
                            }
                        });
                    });
                }
            });
        }))
    }

    /// Takes a name as it stands in a certificate.
    ///
    /// # Errors
    /// When it is no SEQUENCE OF SET OF attribute.
    pub fn from_der(der: &[u8]) -> Result<Self, DerError> {
        attributes(der)?;
        Ok(Self(der.to_vec()))
    }

    /// The whole SEQUENCE.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0
    }
}

/// RFC 4514: last RDN first. Deviates: a type without a short name is followed by its text, not
/// by the hex of its DER, and the attributes of one RDN are parted by commas too.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attributes = attributes(&self.0).map_err(|_| fmt::Error)?;
        for (place, (kind, value)) in attributes.iter().rev().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            match short_name(kind) {
                Some(short) => write!(f, "{short}={}", escaped(value))?,
                None => write!(f, "{}={}", dotted(kind), escaped(value))?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Type and text of every attribute.
fn attributes(der: &[u8]) -> Result<Vec<(&[u8], String)>, DerError> {
    let mut reader = Reader::new(der);
    let found = reader.sequence(|r| {
        let mut found = Vec::new();
        while !r.is_empty() {
            r.nested(tag::SET, |r| {
                while !r.is_empty() {
                    found.push(r.sequence(|r| {
                        let kind = r.oid()?;
                        let value = r.element()?.content;
                        Ok::<_, DerError>((kind, String::from_utf8_lossy(value).into_owned()))
                    })?);
                }
                Ok::<_, DerError>(())
            })?;
        }
        Ok::<_, DerError>(found)
    })?;
    reader.finish()?;
    Ok(found)
}

/// The short names of RFC 4514 §3.
fn short_name(kind: &[u8]) -> Option<&'static str> {
    [
        (oid::COMMON_NAME, "CN"),
        (oid::COUNTRY_NAME, "C"),
        (oid::LOCALITY_NAME, "L"),
        (oid::STATE_OR_PROVINCE_NAME, "ST"),
        (oid::ORGANIZATION_NAME, "O"),
        (oid::ORGANIZATIONAL_UNIT_NAME, "OU"),
    ]
    .into_iter()
    .find_map(|(oid, short)| (oid.content() == kind).then_some(short))
}

/// An OBJECT IDENTIFIER in decimal (RFC 4512 §1.4). Arcs beyond 64 bits lose their front.
fn dotted(content: &[u8]) -> String {
    let mut arcs: Vec<u64> = Vec::new();
    let mut arc = 0_u64;
    for octet in content {
        arc = arc << 7 | u64::from(octet & 0x7f);
        if octet & 0x80 == 0 {
            // The first two arcs are one number (X.690 §8.19.4).
            if arcs.is_empty() {
                let first = (arc / 40).min(2);
                arcs.push(first);
                arc -= first * 40;
            }
            arcs.push(arc);
            arc = 0;
        }
    }
    arcs.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// RFC 4514 §2.4.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (place, c) in value.chars().enumerate() {
        let at_edge = (place == 0 && matches!(c, ' ' | '#')) || (place == last && c == ' ');
        if at_edge || matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4514_text_runs_from_the_last_rdn_and_escapes() {
        let name = Name::new(&[
            Attribute::new(oid::COUNTRY_NAME, "JP"),
            Attribute::new(oid::ORGANIZATIONAL_UNIT_NAME, "CRL, Points"),
            Attribute::new(oid::COMMON_NAME, "Kiyose-shi CRLDP"),
        ]);
        assert_eq!(name.to_string(), "CN=Kiyose-shi CRLDP,OU=CRL\\, Points,C=JP");
        assert_eq!(Name::from_der(name.der()).unwrap(), name);
        assert!(Name::from_der(&[0x30, 2, 5, 0]).is_err());
        let unnamed = Name::new(&[
            Attribute::new(Oid::new(&[2, 5, 4, 5]), "7"),
            Attribute::new(Oid::new(&[1, 2, 840, 113_549, 1, 9, 1]), "a@b"),
        ]);
        assert_eq!(unnamed.to_string(), "1.2.840.113549.1.9.1=a@b,2.5.4.5=7");
    }
}
