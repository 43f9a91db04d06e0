//! A CRL as others read it (RFC 5280 §5): by `x509-parser`, which shares nothing with the code
//! that writes CRLs here.
//!
//! What can be read at all is taken, also of other services; what is wrong with it is noted, for
//! `verify` to refuse.

use ring::digest;
use x509_parser::asn1_rs::{Any, BitString, Class, FromDer, Header, Oid, Tag};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{CRLDistributionPoints, ParsedExtension, X509Extension};
use x509_parser::nom;
use x509_parser::num_bigint::BigUint;
use x509_parser::objects::{oid_registry, oid2sn};
use x509_parser::oid_registry::{OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA};
use x509_parser::time::ASN1Time;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo, X509Name};

use super::super::Failure;
use super::entry::Entry;
use super::scope::{DeclaredScope, name_text, point_names};
use super::{fetch, words};
use crate::crl::{CrlKind, CrlNumber};
use crate::der::{Reader, UnixTime, tag};
use crate::pki::{RevocationReason, SerialNumber, oid};
use crate::record::{Epoch, Position};

/// What stands in a CRL.
#[derive(Debug)]
pub(super) struct Crl {
    /// As it was named.
    pub(super) source: String,
    pub(super) bytes: usize,
    pub(super) sha256: String,
    /// 1 is v2; None is v1.
    pub(super) version: Option<u32>,
    /// DER of the Name.
    pub(super) issuer: Vec<u8>,
    pub(super) algorithm: String,
    pub(super) this_update: UnixTime,
    pub(super) next_update: Option<UnixTime>,
    /// keyIdentifier of authorityKeyIdentifier.
    pub(super) key_id: Option<Vec<u8>>,
    pub(super) number: Option<Number>,
    /// BaseCRLNumber of a delta.
    pub(super) base: Option<Number>,
    pub(super) scope: Option<DeclaredScope>,
    /// URLs of freshestCRL.
    pub(super) freshest: Vec<String>,
    /// In the order of the file.
    pub(super) entries: Vec<Entry>,
    /// Entries whose serial number or date cannot be told; they are not among `entries`.
    pub(super) unread: u64,
    /// What is wrong with the list as a whole.
    pub(super) faults: Vec<String>,
    /// What is wrong with entries.
    pub(super) entry_faults: Vec<EntryFault>,
}

/// A number as it is compared, and as this service makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) value: BigUint,
    /// The parts, when it may be one of ours.
    pub(super) parts: Option<(Epoch, Position)>,
}

/// A mistake, how often it occurs, and in which entry first.
#[derive(Debug)]
pub(super) struct EntryFault {
    pub(super) what: &'static str,
    pub(super) count: u64,
    pub(super) first: String,
}

/// The part that cannot be read.
#[derive(Debug)]
struct Broken(&'static str);

impl Crl {
    /// Reads the CRL named by `source`; with it come its octets.
    ///
    /// # Errors
    /// As [`fetch::der`]; wrong use when it is cut short, or no CRL.
    pub(super) fn fetch(source: &str) -> Result<(Self, Vec<u8>), Failure> {
        let der = fetch::der(source, "X509 CRL")?;
        let crl = Self::from_der(source, &der)?;
        Ok((crl, der))
    }

    fn from_der(source: &str, der: &[u8]) -> Result<Self, Failure> {
        let wrong = |why: String| Failure::wrong_use(format!("{source}: {why}"));
        match Frame::from_der(der).and_then(|frame| frame.read(source, der)) {
            Ok(crl) => Ok(crl),
            Err(_) if X509Certificate::from_der(der).is_ok() => Err(wrong(
                "a certificate, not a CRL: give the CRL (a CA's certificate goes to --ca)".to_owned(),
            )),
            Err(Broken(part)) => Err(wrong(match missing(der) {
                Some(missing) => format!("cut short by {missing} octets: fetch it anew"),
                None => format!("no CRL: its {part} is unreadable; give a CRL, DER or PEM"),
            })),
        }
    }

    pub(super) fn issuer_text(&self) -> String {
        name_text(&self.issuer)
    }

    /// How many entries it has, those that could not be read included.
    pub(super) fn entries_count(&self) -> u64 {
        u64::try_from(self.entries.len()).unwrap_or(u64::MAX).saturating_add(self.unread)
    }

    /// What is wrong with it, one sentence each.
    pub(super) fn all_faults(&self) -> Vec<String> {
        let entries = self.entry_faults.iter().map(|EntryFault { what, count, first }| {
            format!("{} {what}, the first of them {first}", words::entries(*count))
        });
        self.faults.iter().cloned().chain(entries).collect()
    }

    pub(super) fn kind(&self) -> CrlKind {
        match &self.scope {
            _ if self.base.is_some() => CrlKind::Delta,
            None => CrlKind::Full,
            Some(scope) if scope.only_ca => CrlKind::Authority,
            Some(_) => CrlKind::Partition,
        }
    }

    /// Sorts the entries by serial number.
    ///
    /// # Errors
    /// The first serial number that stands in it twice.
    pub(super) fn sort(&mut self) -> Result<(), SerialNumber> {
        self.entries.sort_unstable_by_key(|entry| entry.serial);
        let twice = self.entries.windows(2).find_map(|pair| match pair {
            [a, b] if a.serial == b.serial => Some(a.serial),
            _ => None,
        });
        twice.map_or(Ok(()), Err)
    }

    /// The entry of a serial number; only after [`Self::sort`].
    pub(super) fn find(&self, serial: SerialNumber) -> Option<&Entry> {
        let place = self.entries.binary_search_by_key(&serial, |entry| entry.serial).ok()?;
        self.entries.get(place)
    }

    /// True when the two speak for the same certificates (RFC 5280 §5.2.4, conditions a and b).
    pub(super) fn same_scope(&self, other: &Self) -> bool {
        self.issuer == other.issuer
            && self.scope.as_ref().map(|scope| &scope.der) == other.scope.as_ref().map(|scope| &scope.der)
    }

    fn note(&mut self, what: &'static str, serial: &str) {
        match self.entry_faults.iter_mut().find(|fault| fault.what == what) {
            Some(fault) => fault.count += 1,
            None => self.entry_faults.push(EntryFault { what, count: 1, first: serial.to_owned() }),
        }
    }

    fn read_extensions(&mut self, mut rest: &[u8]) -> Result<(), Broken> {
        let mut seen: Vec<Oid<'_>> = Vec::new();
        while !rest.is_empty() {
            let extension;
            (rest, extension) = part("extensions", X509Extension::from_der(rest))?;
            if seen.contains(&extension.oid) {
                self.faults.push(format!("extension {} stands in it twice", extension.oid));
            }
            seen.push(extension.oid.clone());
            self.read_extension(&extension);
        }
        Ok(())
    }

    fn read_extension(&mut self, extension: &X509Extension<'_>) {
        let is = |wanted: &crate::der::Oid| extension.oid.as_bytes() == wanted.content();
        match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(key) => {
                self.key_id = key.key_identifier.as_ref().map(|key| key.0.to_vec());
            }
            ParsedExtension::CRLNumber(_) => self.number = self.read_number(extension, "cRLNumber"),
            ParsedExtension::IssuingDistributionPoint(point) => {
                match DeclaredScope::new(extension.value, point) {
                    Some(scope) => self.scope = Some(scope),
                    None => self.faults.push("issuingDistributionPoint is unreadable".to_owned()),
                }
            }
            ParsedExtension::IssuerAlternativeName(_) => {}
            _ if is(&oid::DELTA_CRL_INDICATOR) => {
                self.base = self.read_number(extension, "deltaCRLIndicator");
                if !extension.critical {
                    self.faults.push("deltaCRLIndicator is not critical".to_owned());
                }
            }
            _ if is(&oid::FRESHEST_CRL) => match CRLDistributionPoints::from_der(extension.value) {
                Ok(([], points)) => {
                    let names = points.iter().filter_map(|point| point.distribution_point.as_ref());
                    self.freshest = names.flat_map(point_names).map(|name| name.text).collect();
                }
                _ => self.faults.push("freshestCRL is unreadable".to_owned()),
            },
            ParsedExtension::ParseError { .. } => {
                self.faults.push(format!("extension {} is unreadable", extension.oid));
            }
            _ if extension.critical => {
                self.faults.push(format!("critical extension {} is unknown", extension.oid));
            }
            _ => {}
        }
    }

    fn read_number(&mut self, extension: &X509Extension<'_>, what: &str) -> Option<Number> {
        let content = Reader::new(extension.value).integer().ok();
        match content.filter(|content| content.first().is_some_and(|first| first & 0x80 == 0)) {
            Some(content) if content.len() <= NUMBER_OCTETS_MAX => Some(Number {
                value: BigUint::from_bytes_be(content),
                parts: CrlNumber::read(&mut Reader::new(extension.value)).ok().and_then(CrlNumber::parts),
            }),
            _ => {
                self.faults.push(format!("{what} is not a number of at most {NUMBER_OCTETS_MAX} octets"));
                None
            }
        }
    }

    fn read_entries(&mut self, mut rest: &[u8]) -> Result<(), Broken> {
        while !rest.is_empty() {
            let entry;
            (rest, entry) = part("revokedCertificates", Any::from_der(rest))?;
            match self.read_entry(entry.data) {
                Ok(Some(entry)) => self.entries.push(entry),
                Ok(None) => self.unread += 1,
                Err(Broken(_)) => {
                    self.unread += 1;
                    self.note("unreadable", &format!("number {}", self.entries.len() + 1));
                }
            }
        }
        Ok(())
    }

    /// None for an entry whose serial number is none.
    fn read_entry(&mut self, entry: &[u8]) -> Result<Option<Entry>, Broken> {
        let (rest, serial) = part("serial", Any::from_der(entry))?;
        let (rest, revoked_at) = part("date", ASN1Time::from_der(rest))?;
        let integer = serial.tag() == Tag::Integer;
        let Some(serial) = SerialNumber::from_content(serial.data).ok().filter(|_| integer) else {
            self.note(
                "with a serial number not positive, or longer than 20 octets",
                &format!("{:02x?}", serial.data),
            );
            return Ok(None);
        };
        let named = serial.to_string();
        let form = revoked_at.is_utctime();
        let revoked_at = UnixTime::from_seconds(revoked_at.timestamp());
        if form != (revoked_at < UnixTime::YEAR_2050) {
            self.note("with a date in the wrong form (UTCTime to 2049, GeneralizedTime from 2050)", &named);
        }
        if revoked_at > self.this_update {
            self.note("dated after thisUpdate", &named);
        }
        let mut found = Entry::new(serial, RevocationReason::Unspecified, revoked_at, None);
        if !rest.is_empty() {
            let (after, extensions) = part("extensions", Any::from_der(rest))?;
            if !after.is_empty() || extensions.tag() != Tag::Sequence || extensions.data.is_empty() {
                return Err(Broken("extensions"));
            }
            found = self.read_entry_extensions(found, &named, extensions.data)?;
        }
        Ok(Some(found))
    }

    fn read_entry_extensions(&mut self, entry: Entry, named: &str, mut rest: &[u8]) -> Result<Entry, Broken> {
        let mut reason = None;
        let mut invalidity_date = None;
        while !rest.is_empty() {
            let extension;
            (rest, extension) = part("extensions", X509Extension::from_der(rest))?;
            let again = match extension.parsed_extension() {
                ParsedExtension::ReasonCode(code) => reason.replace(code.0).is_some(),
                ParsedExtension::InvalidityDate(date) => invalidity_date.replace(*date).is_some(),
                ParsedExtension::ParseError { .. } => {
                    self.note("with an unreadable extension", named);
                    false
                }
                _ if extension.oid.as_bytes() == CERTIFICATE_ISSUER.content() => {
                    self.note("of another issuer (indirect CRLs are not read here)", named);
                    false
                }
                _ if extension.critical => {
                    self.note("with an unknown critical extension", named);
                    false
                }
                _ => false,
            };
            if again {
                self.note("with an extension twice", named);
            }
        }
        let reason = match reason.map(RevocationReason::from_code) {
            None => RevocationReason::Unspecified,
            Some(None) => {
                self.note("with a reasonCode that is none", named);
                RevocationReason::Unspecified
            }
            Some(Some(reason)) => {
                if reason == RevocationReason::Unspecified {
                    self.note("with reasonCode unspecified (0), which is said by silence", named);
                }
                if reason == RevocationReason::RemoveFromCrl && self.base.is_none() {
                    self.note("with removeFromCRL, which only deltas know", named);
                }
                reason
            }
        };
        let invalidity_date = invalidity_date.map(|date| UnixTime::from_seconds(date.timestamp()));
        Ok(Entry::new(entry.serial, reason, entry.revoked_at, invalidity_date))
    }
}

/// Longest CRL number (RFC 5280 §5.2.3).
const NUMBER_OCTETS_MAX: usize = 20;
/// certificateIssuer (RFC 5280 §5.3.3).
const CERTIFICATE_ISSUER: crate::der::Oid = crate::der::Oid::new(&[2, 5, 29, 29]);

/// Checks the signature of the CRL `der` (RFC 5280 §5.1.1.3) with a CA's key.
///
/// # Errors
/// Why it does not verify.
pub(super) fn verify_signature(der: &[u8], key: &SubjectPublicKeyInfo<'_>) -> Result<(), String> {
    let frame = Frame::from_der(der).map_err(|Broken(part)| format!("its {part} is unreadable"))?;
    if [OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA].contains(&frame.algorithm.algorithm) {
        return Err("SHA-1 proves nothing any more".to_owned());
    }
    x509_parser::verify::verify_signature(key, &frame.algorithm, &frame.signature, frame.tbs)
        .map_err(|error| error.to_string())
}

/// The three parts of a CertificateList (RFC 5280 §5.1).
struct Frame<'a> {
    /// The TBSCertList, header included: what is signed.
    tbs: &'a [u8],
    /// Its content.
    content: &'a [u8],
    algorithm: AlgorithmIdentifier<'a>,
    signature: BitString<'a>,
}

impl<'a> Frame<'a> {
    fn from_der(der: &'a [u8]) -> Result<Self, Broken> {
        let (rest, list) = sequence("CertificateList", der)?;
        let (after_tbs, tbs) = sequence("TBSCertList", list)?;
        let (after, algorithm) = part("signatureAlgorithm", AlgorithmIdentifier::from_der(after_tbs))?;
        let (after, signature) = part("signatureValue", BitString::from_der(after))?;
        if !rest.is_empty() || !after.is_empty() {
            return Err(Broken("end"));
        }
        let len = list.len().saturating_sub(after_tbs.len());
        Ok(Self { tbs: list.get(..len).unwrap_or_default(), content: tbs, algorithm, signature })
    }

    fn read(&self, source: &str, der: &[u8]) -> Result<Crl, Broken> {
        let is = |octets: &[u8], tags: &[u8]| octets.first().is_some_and(|first| tags.contains(first));
        let mut rest = self.content;
        let mut version = None;
        if is(rest, &[tag::INTEGER]) {
            let number;
            (rest, number) = part("version", u32::from_der(rest))?;
            version = Some(number);
        }
        let (rest, inner) = part("signature", AlgorithmIdentifier::from_der(rest))?;
        let (rest, issuer) = part("issuer", X509Name::from_der(rest))?;
        let (mut rest, this_update) = part("thisUpdate", ASN1Time::from_der(rest))?;
        let mut next_update = None;
        if is(rest, &[tag::UTC_TIME, tag::GENERALIZED_TIME]) {
            let time;
            (rest, time) = part("nextUpdate", ASN1Time::from_der(rest))?;
            next_update = Some(time);
        }
        let mut entries = None;
        if is(rest, &[tag::SEQUENCE]) {
            let listed;
            (rest, listed) = sequence("revokedCertificates", rest)?;
            entries = Some(listed);
        }
        let oid = &self.algorithm.algorithm;
        let unix = |time: ASN1Time| UnixTime::from_seconds(time.timestamp());
        let mut crl = Crl {
            source: source.to_owned(),
            bytes: der.len(),
            sha256: hex(digest::digest(&digest::SHA256, der).as_ref()),
            version,
            issuer: issuer.as_raw().to_vec(),
            algorithm: oid2sn(oid, oid_registry()).map_or_else(|_| oid.to_string(), str::to_owned),
            this_update: unix(this_update),
            next_update: next_update.map(unix),
            key_id: None,
            number: None,
            base: None,
            scope: None,
            freshest: Vec::new(),
            entries: Vec::new(),
            unread: 0,
            faults: Vec::new(),
            entry_faults: Vec::new(),
        };
        if inner != self.algorithm {
            crl.faults.push("signature and signatureAlgorithm differ".to_owned());
        }
        if entries.is_some_and(<[u8]>::is_empty) {
            crl.faults.push("revokedCertificates is empty instead of absent".to_owned());
        }
        for time in [Some(this_update), next_update].into_iter().flatten() {
            if time.is_utctime() != (unix(time) < UnixTime::YEAR_2050) {
                crl.faults.push("a time is in the wrong form (UTCTime to 2049)".to_owned());
            }
        }
        if !rest.is_empty() {
            let (after, tagged) = part("crlExtensions", Any::from_der(rest))?;
            let (inside, extensions) = sequence("crlExtensions", tagged.data)?;
            let tag = (tagged.class(), tagged.tag());
            if tag != (Class::ContextSpecific, Tag(0)) || !after.is_empty() || !inside.is_empty() {
                return Err(Broken("crlExtensions"));
            }
            crl.read_extensions(extensions)?;
        }
        // After the extensions, which say whether it is a delta.
        crl.read_entries(entries.unwrap_or_default())?;
        Ok(crl)
    }
}

/// The content of a SEQUENCE, and what follows it.
fn sequence<'a>(what: &'static str, octets: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Broken> {
    let (rest, any) = part(what, Any::from_der(octets))?;
    if any.tag() == Tag::Sequence { Ok((rest, any.data)) } else { Err(Broken(what)) }
}

fn part<'a, T, E>(
    what: &'static str,
    parsed: Result<(&'a [u8], T), nom::Err<E>>,
) -> Result<(&'a [u8], T), Broken> {
    parsed.map_err(|_| Broken(what))
}

/// How many octets of the outermost value are not there.
fn missing(der: &[u8]) -> Option<usize> {
    let (content, header) = Header::from_der(der).ok()?;
    header.length().definite().ok()?.checked_sub(content.len()).filter(|missing| *missing > 0)
}

pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
