//! `crl verify`: a verifier's check of a CRL, and what it says of a certificate (RFC 5280 §6.3.3).

use serde::Serialize;
use x509_parser::asn1_rs::FromDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;

use super::super::args::VerifyCrl;
use super::super::{Failure, print};
use super::entry::Entry;
use super::read::{Crl, hex, verify_signature};
use super::scope::{PointName, name_text, point_names};
use super::words::{self, span};
use super::{diff, fetch};
use crate::der::UnixTime;
use crate::pki::{RevocationReason, SerialNumber};
use crate::store::Clock;

pub(super) fn run(asked: &VerifyCrl, json: bool) -> Result<(), Failure> {
    let at = match &asked.at {
        None => Clock::system().now(),
        Some(text) => text.parse().map_err(|error| Failure::wrong_use(format!("--at {text}: {error}")))?,
    };
    let ca_der = fetch::der(&asked.ca, CERTIFICATE)?;
    let ca = certificate(&asked.ca, &ca_der)?;
    let mut findings = Findings::default();
    findings.of_ca(&ca, at);
    let crl = findings.of_list("", &asked.file, &ca, at)?;
    findings.add(
        "complete",
        crl.base.is_none(),
        "a complete CRL",
        "a delta: give the complete CRL first, and this one as --delta",
    );
    let delta = match &asked.delta {
        None => None,
        Some(file) => Some(findings.of_list("delta ", file, &ca, at)?),
    };
    if let Some(delta) = &delta {
        findings.of_delta(&crl, delta);
    }
    let says = match &asked.cert {
        None => None,
        Some(file) => {
            let der = fetch::der(file, CERTIFICATE)?;
            let certificate = certificate(file, &der)?;
            findings.of_certificate(&crl, &ca, &certificate);
            let serial = SerialNumber::from_content(certificate.raw_serial())
                .map_err(|error| Failure::wrong_use(format!("{file}: {error}")))?;
            let sound = findings.sound();
            Some(Says::new(serial, sound, &crl, delta.as_ref()))
        }
    };
    let verdict =
        Verdict { file: asked.file.clone(), at: at.to_string(), findings: findings.0, certificate: says };
    print(json, &verdict, || verdict.in_words())?;
    verdict.outcome()
}

const CERTIFICATE: &str = "CERTIFICATE";

fn certificate<'a>(file: &str, der: &'a [u8]) -> Result<X509Certificate<'a>, Failure> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(Failure::wrong_use(format!("{file}: no certificate: give one, PEM or DER"))),
    }
}

/// What was looked at, in this order.
#[derive(Default)]
struct Findings(Vec<Finding>);

#[derive(Serialize)]
struct Finding {
    check: String,
    ok: bool,
    says: String,
}

impl Findings {
    fn add(&mut self, check: &str, ok: bool, yes: impl Into<String>, no: impl Into<String>) {
        let says = if ok { yes.into() } else { no.into() };
        self.0.push(Finding { check: check.to_owned(), ok, says });
    }

    fn sound(&self) -> bool {
        self.0.iter().all(|finding| finding.ok)
    }

    fn of_ca(&mut self, ca: &X509Certificate<'_>, at: UnixTime) {
        let is_ca = is_ca(ca);
        self.add("CA", is_ca, name_text(ca.subject().as_raw()), "--ca is not the certificate of a CA");
        let times = ca.validity();
        let [from, until] =
            [times.not_before, times.not_after].map(|time| UnixTime::from_seconds(time.timestamp()));
        let said = format!("{from} to {until}");
        self.add("CA times", (from..=until).contains(&at), &said, format!("{said} is not around {at}"));
        let usage = ca.key_usage();
        self.add(
            "cRLSign",
            matches!(&usage, Ok(usage) if usage.as_ref().is_none_or(|usage| usage.value.crl_sign())),
            "the CA's key may sign CRLs",
            "the CA's keyUsage does not allow its key to sign CRLs",
        );
    }

    /// Reads a CRL and looks at it by itself.
    fn of_list(
        &mut self,
        whose: &str,
        file: &str,
        ca: &X509Certificate<'_>,
        at: UnixTime,
    ) -> Result<Crl, Failure> {
        let (mut crl, der) = Crl::fetch(file)?;
        let named = |check: &str| format!("{whose}{check}");
        let signature = verify_signature(&der, ca.public_key());
        drop(der);
        let why = signature.as_ref().err().cloned().unwrap_or_default();
        self.add(
            &named("signature"),
            signature.is_ok(),
            format!("{}, by the CA's key", crl.algorithm),
            format!("{} does not verify with the CA's key ({why})", crl.algorithm),
        );
        let issuer = crl.issuer_text();
        let same = crl.issuer == ca.subject().as_raw();
        self.add(
            &named("issuer"),
            same,
            &issuer,
            format!("{issuer} is not, octet for octet, the CA's subject"),
        );
        self.of_key_id(&named("key"), &crl, ca);
        self.add(
            &named("version"),
            crl.version == Some(VERSION_2),
            "2",
            "not version 2, so it has no number and no scope",
        );
        self.of_times(&named("times"), &crl, at);
        self.add(
            &named("form"),
            crl.faults.is_empty(),
            "as it must be, and every critical extension known",
            crl.faults.join("; "),
        );
        let mut wrong: Vec<String> = crl.all_faults().into_iter().skip(crl.faults.len()).collect();
        if let Err(serial) = crl.sort() {
            wrong.push(format!("{serial} stands in it twice"));
        }
        let entries = words::entries(crl.entries_count());
        self.add(&named("entries"), wrong.is_empty(), entries, wrong.join("; "));
        Ok(crl)
    }

    /// The key identifiers tell the keys of one DN apart (RFC 5280 §5.2.1).
    fn of_key_id(&mut self, check: &str, crl: &Crl, ca: &X509Certificate<'_>) {
        let ca = subject_key_id(ca);
        match (crl.key_id.as_deref(), ca) {
            (Some(key), Some(ca)) => {
                let no = format!("{} is not the CA's, {}", hex(key), hex(ca));
                self.add(check, key == ca, hex(key), no);
            }
            (None, _) => self.add(check, false, "", "no authorityKeyIdentifier"),
            (_, None) => {
                self.add(check, false, "", "the CA's certificate has no subjectKeyIdentifier to compare")
            }
        }
    }

    fn of_times(&mut self, check: &str, crl: &Crl, at: UnixTime) {
        let from = crl.this_update;
        let Some(until) = crl.next_update else {
            return self.add(check, false, "", "no nextUpdate: nobody knows until when it may be used");
        };
        let no = if at < from {
            format!("thisUpdate is {from}, {} later than {at}", span(from.since(at)))
        } else {
            format!("expired at {until}, {} before {at}: fetch the current one", span(at.since(until)))
        };
        self.add(check, (from..=until).contains(&at), format!("in force from {from} to {until}"), no);
    }

    /// RFC 5280 §5.2.4: whether the two may be combined.
    fn of_delta(&mut self, crl: &Crl, delta: &Crl) {
        let fits = match &delta.base {
            None => Err("a complete CRL, not a delta: leave --delta out".to_owned()),
            Some(_) if !crl.same_scope(delta) => Err("another issuer or scope than the CRL's".to_owned()),
            Some(base) => diff::fits(crl, delta, base),
        };
        let no = fits.as_ref().err().cloned().unwrap_or_default();
        self.add("delta fits", fits.is_ok(), "it may be combined with the CRL", no);
    }

    fn of_certificate(&mut self, crl: &Crl, ca: &X509Certificate<'_>, certificate: &X509Certificate<'_>) {
        let issuer = certificate.issuer().as_raw();
        self.add(
            "certificate",
            crl.issuer == issuer,
            format!("of the CRL's issuer: {}", name_text(certificate.subject().as_raw())),
            format!("its issuer {} is not the CRL's", name_text(issuer)),
        );
        // RFC 5280 tells issuers apart by name alone: this CRL speaks for all keys of the name.
        let key = authority_key_id(certificate);
        if key.is_some() && key == subject_key_id(ca) {
            let signed = certificate.verify_signature(Some(ca.public_key())).is_ok();
            self.add("signed", signed, "by the CA's key", "its signature does not verify with the CA's key");
        } else {
            let key = key.map_or_else(|| "not said".to_owned(), hex);
            self.add("signed", true, format!("by another key of the name ({key}): not verified here"), "");
        }
        let scope = in_scope(crl, certificate);
        let no = scope.as_ref().err().cloned().unwrap_or_default();
        self.add("scope", scope.is_ok(), scope.unwrap_or_default(), no);
    }
}

/// Version v2(1) (RFC 5280 §5.1.2.1).
const VERSION_2: u32 = 1;

/// RFC 5280 §6.3.3 (b): whether the CRL speaks for the certificate, and why.
///
/// Deviates: of a certificate's distribution points, those with reasons or a cRLIssuer count for
/// nothing; neither is a CRL read that lists only some reasons, or for other issuers.
fn in_scope(crl: &Crl, certificate: &X509Certificate<'_>) -> Result<String, String> {
    let Some(scope) = &crl.scope else {
        return Ok("the CRL is for every certificate of its issuer".to_owned());
    };
    if scope.indirect || scope.some_reasons || scope.only_attribute {
        return Err(format!("the CRL has {}, and says too little of it", scope.only().join(", ")));
    }
    match is_ca(certificate) {
        true if scope.only_user => return Err("a CA's, and the CRL has onlyContainsUserCerts".to_owned()),
        false if scope.only_ca => return Err("not a CA's, and the CRL has onlyContainsCACerts".to_owned()),
        _ => {}
    }
    if scope.names.is_empty() {
        return Ok("the CRL is for all of this kind".to_owned());
    }
    let named = distribution_points(certificate);
    match named.iter().find(|name| scope.names.contains(name)) {
        Some(name) => Ok(name.text.clone()),
        None => {
            let texts = |names: &[PointName]| {
                names.iter().map(|name| name.text.clone()).collect::<Vec<_>>().join(" and ")
            };
            Err(format!("the CRL is for {}, the certificate's is {}", texts(&scope.names), texts(&named)))
        }
    }
}

/// The names in its cRLDistributionPoints; its issuer's when there are none (RFC 5280 §6.3.3).
fn distribution_points(certificate: &X509Certificate<'_>) -> Vec<PointName> {
    let points = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::CRLDistributionPoints(points) => Some(points),
        _ => None,
    });
    match points {
        None => vec![PointName::directory(certificate.issuer().as_raw())],
        Some(points) => points
            .iter()
            .filter(|point| point.reasons.is_none() && point.crl_issuer.is_none())
            .filter_map(|point| point.distribution_point.as_ref())
            .flat_map(point_names)
            .collect(),
    }
}

fn is_ca(certificate: &X509Certificate<'_>) -> bool {
    matches!(certificate.basic_constraints(), Ok(Some(constraints)) if constraints.value.ca)
}

fn subject_key_id<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(key) => Some(key.0),
        _ => None,
    })
}

fn authority_key_id<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(key) => key.key_identifier.as_ref().map(|key| key.0),
        _ => None,
    })
}

/// What the lists say of the certificate.
#[derive(Serialize)]
struct Says {
    serial: String,
    /// `good`, `revoked`, or `undetermined` when a check failed.
    status: &'static str,
    /// The list that says it: `crl` or `delta`.
    by: Option<&'static str>,
    entry: Option<Entry>,
}

impl Says {
    fn new(serial: SerialNumber, sound: bool, crl: &Crl, delta: Option<&Crl>) -> Self {
        let name = serial.to_string();
        if !sound {
            return Self { serial: name, status: "undetermined", by: None, entry: None };
        }
        let newer = delta.and_then(|delta| delta.find(serial)).map(|entry| ("delta", entry));
        let found = newer.or_else(|| crl.find(serial).map(|entry| ("crl", entry)));
        match found {
            Some((by, entry)) if entry.reason == RevocationReason::RemoveFromCrl => {
                Self { serial: name, status: "good", by: Some(by), entry: Some(*entry) }
            }
            Some((by, entry)) => Self { serial: name, status: "revoked", by: Some(by), entry: Some(*entry) },
            None => Self { serial: name, status: "good", by: None, entry: None },
        }
    }
}

/// The stable object of `--json`.
#[derive(Serialize)]
struct Verdict {
    file: String,
    at: String,
    findings: Vec<Finding>,
    certificate: Option<Says>,
}

impl Verdict {
    fn in_words(&self) -> String {
        let line = |finding: &Finding| {
            format!("{:<4}{:<18}{}", if finding.ok { "ok" } else { "NO" }, finding.check, finding.says)
        };
        let mut lines: Vec<String> = self.findings.iter().map(line).collect();
        if let Some(Says { serial, status, by, entry }) = &self.certificate {
            let by = by.map(|by| format!(", says the {by}")).unwrap_or_default();
            let entry = entry.map(|entry| format!(": {}", entry.in_words())).unwrap_or_default();
            lines.push(format!("{serial} is {status}{by}{entry}"));
        }
        lines.join("\n")
    }

    /// Exit code 1 says it to a script.
    fn outcome(&self) -> Result<(), Failure> {
        let failed: Vec<_> = self
            .findings
            .iter()
            .filter(|finding| !finding.ok)
            .map(|finding| finding.check.as_str())
            .collect();
        if !failed.is_empty() {
            return Err(Failure::refused(format!(
                "{} is not to be relied on: {}",
                self.file,
                failed.join(", ")
            )));
        }
        match &self.certificate {
            Some(says) if says.status != "good" => {
                Err(Failure::refused(format!("{} is {}", says.serial, says.status)))
            }
            _ => Ok(()),
        }
    }
}
