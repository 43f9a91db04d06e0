//! `crl verify`: a verifier's check of a CRL, and by it of a certificate (RFC 5280 §6.3).

use std::collections::BTreeSet;
use std::path::Path;

use data_encoding::HEXLOWER;
use serde_json::json;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::super::args::VerifyCrl;
use super::super::named::pem_of;
use super::super::{Failure, print};
use super::read::{Entry, Read, der_of};
use super::show::force;
use crate::der::UnixTime;
use crate::pki::{RevocationReason, SerialNumber};
use crate::store::Clock;

pub(super) fn run(asked: &VerifyCrl, as_json: bool) -> Result<(), Failure> {
    let now = match &asked.at {
        Some(text) => text.parse().map_err(|error| Failure::wrong_use(format!("--at {text}: {error}")))?,
        None => Clock::system().now(),
    };
    let ca = certificate_der(&asked.ca)?;
    let base = checked(&asked.file, &ca, now)?;
    let delta = asked.delta.as_ref().map(|file| checked(file, &ca, now)).transpose()?;
    if let Some(delta) = &delta {
        fits(&base, delta)?;
    }
    let number = base.number.clone().unwrap_or_default();
    let Some(certificate) = &asked.cert else {
        let shown = json!({ "valid": true, "kind": base.kind(), "number": number, "entries": base.entries });
        return print(as_json, &shown, || {
            format!(
                "{}: a valid {} CRL, {} entries, {}",
                asked.file,
                base.kind(),
                base.entries,
                force(&base, now)
            )
        });
    };
    let entry = find(&base, delta.as_ref(), &certificate_der(certificate)?)?;
    match entry {
        None => print(as_json, &json!({ "valid": true, "status": "good", "number": number }), || {
            format!("{}: good by CRL {number}", certificate.display())
        }),
        Some(Entry { revoked_at, reason, .. }) => Err(Failure::refused(format!(
            "{}: revoked on {revoked_at}, {reason}, by CRL {number}",
            certificate.display()
        ))),
    }
}

/// Reads a CRL and checks all that can be checked of it alone.
fn checked(source: &str, ca: &[u8], now: UnixTime) -> Result<Read, Failure> {
    let der = der_of(source)?;
    let crl = Read::from_der(&der, source)?;
    let no = |what: String| Failure::refused(format!("{source}: {what}"));
    let (_, certificate) =
        X509Certificate::from_der(ca).map_err(|_| Failure::wrong_use("--ca: not a certificate"))?;
    let (_, list) = CertificateRevocationList::from_der(&der).map_err(|_| no("not a CRL".to_owned()))?;
    if crl.issuer_der != certificate.subject().as_raw() {
        return Err(no(format!("issued by {}, not by {}", crl.issuer, certificate.subject())));
    }
    let mut key_id = None;
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => key_id = Some(HEXLOWER.encode(id.0)),
            ParsedExtension::KeyUsage(usage) if !usage.crl_sign() => {
                return Err(no("the CA certificate may not sign CRLs (keyUsage without cRLSign)".to_owned()));
            }
            _ => {}
        }
    }
    if crl.key_id.is_some() && key_id.is_some() && crl.key_id != key_id {
        return Err(no("signed by another key of this CA: give that generation's certificate".to_owned()));
    }
    list.verify_signature(certificate.public_key())
        .map_err(|_| no("the signature is not that CA's".to_owned()))?;
    if let Some(oid) = crl.unknown_critical.first() {
        return Err(no(format!("a critical extension is not understood: {oid}")));
    }
    let state = force(&crl, now);
    if !state.starts_with("valid") && state != "for ever" {
        return Err(no(format!("{state}: fetch a newer one")));
    }
    let mut seen = BTreeSet::new();
    let this_update: UnixTime = crl.this_update.parse().unwrap_or_default();
    for Entry { serial, revoked_at, reason, .. } in &crl.listed {
        if !seen.insert(serial) {
            return Err(no(format!("lists {serial} twice")));
        }
        if *revoked_at > this_update {
            return Err(no(format!("the entry of {serial} is later than thisUpdate")));
        }
        if *reason == RevocationReason::RemoveFromCrl && crl.base_number.is_none() {
            return Err(no(format!("the entry of {serial} says removeFromCRL, which only deltas may")));
        }
    }
    Ok(crl)
}

/// RFC 5280 §5.2.4: the base is not older than the delta wants, and older than the delta.
fn fits(base: &Read, delta: &Read) -> Result<(), Failure> {
    let number = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<u128>().ok());
    let Some(wanted) = number(&delta.base_number) else {
        return Err(Failure::wrong_use("--delta: not a delta CRL"));
    };
    if base.base_number.is_some() || number(&base.number) < Some(wanted) {
        return Err(Failure::refused(format!(
            "the delta is for CRL {wanted} or later: fetch the newer base"
        )));
    }
    Ok(())
}

/// What base and delta say of a certificate they are about.
fn find<'a>(base: &'a Read, delta: Option<&'a Read>, der: &[u8]) -> Result<Option<&'a Entry>, Failure> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| Failure::wrong_use("--cert: not a certificate"))?;
    if certificate.issuer().as_raw() != base.issuer_der {
        return Err(Failure::refused(format!("the certificate was issued by {}", certificate.issuer())));
    }
    let is_ca = certificate.is_ca();
    if base.only_contains_ca_certs && !is_ca || base.only_contains_user_certs && is_ca {
        return Err(Failure::refused("the CRL is not about certificates of this kind"));
    }
    if let Some(point) = &base.distribution_point_der
        && !is_ca
        && !points(&certificate).contains(point)
    {
        let name = base.distribution_point.as_deref().unwrap_or_default();
        return Err(Failure::refused(format!("the CRL is about {name}, and the certificate names another")));
    }
    let serial = SerialNumber::from_content(certificate.raw_serial())
        .map_err(|error| Failure::wrong_use(format!("--cert: {error}")))?;
    let of = |crl: &'a Read| crl.listed.iter().find(|entry| entry.serial == serial);
    let newer = delta.and_then(of);
    Ok(newer.or_else(|| of(base)).filter(|entry| entry.reason != RevocationReason::RemoveFromCrl))
}

/// The directory names in its cRLDistributionPoints, DER.
fn points(certificate: &X509Certificate<'_>) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for extension in certificate.extensions() {
        let ParsedExtension::CRLDistributionPoints(points) = extension.parsed_extension() else { continue };
        for point in points.iter() {
            let Some(DistributionPointName::FullName(names)) = &point.distribution_point else { continue };
            found.extend(names.iter().filter_map(|name| match name {
                GeneralName::DirectoryName(name) => Some(name.as_raw().to_vec()),
                _ => None,
            }));
        }
    }
    found
}

fn certificate_der(path: &Path) -> Result<Vec<u8>, Failure> {
    let pem = pem_of(path, "CERTIFICATE")?;
    let parsed =
        pem::parse(pem).map_err(|error| Failure::wrong_use(format!("{}: {error}", path.display())))?;
    Ok(parsed.into_contents())
}
