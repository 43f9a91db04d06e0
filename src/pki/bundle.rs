//! The certificate meant by a file that holds one, alone or with its chain.
//!
//! What stands first is not what is meant: programs write chains from either end, and a file may
//! come to hold a key or another certificate. Only one reading is taken, everything else is refused.

use std::fmt;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use super::SerialNumber;
use crate::der::tag;

/// Why a file does not tell which certificate is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Neither DER nor a PEM block.
    #[error("neither PEM nor DER: give a certificate, alone or with its chain")]
    Nothing,
    /// DER of a certificate, and something behind it.
    #[error("more octets follow the certificate: give it alone, or as PEM with its chain")]
    Trailing,
    /// A block without its last line.
    #[error(
        "line {0} begins a block that is not ended as it should be: it was cut short or mended, get it anew"
    )]
    NotEnded(usize),
    /// The last line of a block that did not begin.
    #[error("line {0} ends a block that did not begin: it was cut short or mended, get it anew")]
    NotBegun(usize),
    /// A block that is no base64, or no certificate.
    #[error("the block that begins in line {0} is no certificate: it was changed, get it anew")]
    Damaged(usize),
    /// A block of something else.
    #[error("line {line} begins a {label}: give a file of certificates alone")]
    Other {
        /// Where.
        line: usize,
        /// What PEM calls it.
        label: String,
    },
    /// Several that are no CA's.
    #[error("{0}: give a file with the one that is meant, and its chain at most")]
    Several(Listed),
    /// Several, and all are CAs'.
    #[error("{0} CA certificates and no other: give the certificate that is meant")]
    OnlyCas(usize),
    /// A CA's that did not issue what is meant.
    #[error("the CA certificate {ca} is not in the chain of certificate {end}: give a file without it")]
    NotInChain {
        /// The one that is out of place.
        ca: SerialNumber,
        /// The one that would be meant.
        end: SerialNumber,
    },
}

/// Certificates by their serials, the first few of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed(Vec<SerialNumber>);

/// A certificate of a file, and what the chain is found by.
struct Read<'a> {
    der: &'a [u8],
    certificate: X509Certificate<'a>,
    serial: SerialNumber,
}

/// A PEM block: the line it begins in, and its content.
struct Block {
    line: usize,
    label: String,
    text: String,
}

/// The end certificate of `octets`, DER: the only one there that is no CA's, beside CA certificates
/// of its chain alone, in any order. A single certificate is meant whatever it is.
///
/// Text between PEM blocks is passed over, as RFC 7468 §2 has it.
///
/// # Errors
/// [`BundleError`]: it is none, or it cannot be said which is meant.
pub fn end_certificate(octets: &[u8]) -> Result<Vec<u8>, BundleError> {
    if octets.first() == Some(&tag::SEQUENCE)
        && let Ok((rest, _)) = X509Certificate::from_der(octets)
    {
        return if rest.is_empty() { Ok(octets.to_vec()) } else { Err(BundleError::Trailing) };
    }
    let text = String::from_utf8_lossy(octets);
    let mut ders = Vec::new();
    for block in blocks(&text)? {
        let (line, der) = (block.line, block.certificate()?);
        if !ders.iter().any(|(_, known)| *known == der) {
            ders.push((line, der));
        }
    }
    let all = ders.iter().map(|(line, der)| Read::from_der(der).ok_or(BundleError::Damaged(*line)));
    meant(&all.collect::<Result<Vec<_>, _>>()?).map(<[u8]>::to_vec)
}

fn meant<'a>(all: &[Read<'a>]) -> Result<&'a [u8], BundleError> {
    let (cas, ends): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.certificate.is_ca());
    match (cas.as_slice(), ends.as_slice()) {
        ([], []) => Err(BundleError::Nothing),
        ([only], []) => Ok(only.der),
        (_, []) => Err(BundleError::OnlyCas(cas.len())),
        (cas, [end]) => match strangers(end, cas).first() {
            None => Ok(end.der),
            Some(ca) => Err(BundleError::NotInChain { ca: ca.serial, end: end.serial }),
        },
        _ => Err(BundleError::Several(Listed(ends.iter().map(|one| one.serial).collect()))),
    }
}

/// Those of `cas` that issued neither `end` nor another issuer of it.
fn strangers<'a, 'b>(end: &'b Read<'a>, cas: &[&'b Read<'a>]) -> Vec<&'b Read<'a>> {
    let (mut chain, mut cas) = (vec![end], cas.to_vec());
    while let Some(at) = cas.iter().position(|ca| chain.iter().any(|one| ca.issued(one))) {
        chain.push(cas.remove(at));
    }
    cas
}

impl<'a> Read<'a> {
    fn from_der(der: &'a [u8]) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        let serial = SerialNumber::from_content(certificate.raw_serial()).ok()?;
        rest.is_empty().then_some(Self { der, certificate, serial })
    }

    /// By name, and by key identifier where both have one: all keys of an authority share its name.
    fn issued(&self, other: &Self) -> bool {
        let is_named = self.certificate.subject().as_raw() == other.certificate.issuer().as_raw();
        let same_key = match (own_key(&self.certificate), issuer_key(&other.certificate)) {
            (Some(own), Some(asked)) => own == asked,
            _ => true,
        };
        is_named && same_key
    }
}

fn own_key<'a>(certificate: &X509Certificate<'a>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(key) => Some(key.0),
        _ => None,
    })
}

fn issuer_key<'a>(certificate: &X509Certificate<'a>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(key) => key.key_identifier.as_ref().map(|key| key.0),
        _ => None,
    })
}

impl Block {
    fn certificate(&self) -> Result<Vec<u8>, BundleError> {
        // RFC 7468 §5.1: the second is what some programs wrote.
        if !["CERTIFICATE", "X509 CERTIFICATE"].contains(&self.label.as_str()) {
            return Err(BundleError::Other { line: self.line, label: self.label.clone() });
        }
        let decoded = pem::parse(&self.text).map_err(|_| BundleError::Damaged(self.line))?;
        Ok(decoded.into_contents())
    }
}

/// The PEM blocks of a text, each of them whole.
fn blocks(text: &str) -> Result<Vec<Block>, BundleError> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start_matches('\u{feff}').trim();
        match (boundary(line, "-----BEGIN "), boundary(line, "-----END "), &mut open) {
            (Some(label), _, None) => {
                open = Some(Block { line: number, label: label.to_owned(), text: format!("{line}\n") });
            }
            (_, Some(label), Some(block)) if block.label == label => {
                block.text.push_str(line);
                blocks.extend(open.take());
            }
            (_, Some(_), None) => return Err(BundleError::NotBegun(number)),
            (Some(_), ..) | (_, Some(_), _) => break,
            (None, None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None, None) => {}
        }
    }
    open.map_or(Ok(blocks), |block| Err(BundleError::NotEnded(block.line)))
}

/// The label of a line that begins or ends a block: printable, as it may be shown.
fn boundary<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let label = line.strip_prefix(word)?.strip_suffix("-----")?;
    label.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic()).then_some(label)
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let more = if self.0.len() > 3 { ", …" } else { "" };
        write!(f, "{} certificates that are no CA's ({shown}{more})", self.0.len())
    }
}
