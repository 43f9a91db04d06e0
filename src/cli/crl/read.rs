//! CRLs as anybody can read them: from a file, from standard input or over HTTP, by a parser that
//! is not the one they were written with.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Duration;

use data_encoding::HEXLOWER;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::super::Failure;
use crate::der::{Reader, UnixTime};
use crate::pki::{HashAlgorithm, RevocationReason, SerialNumber, oid};

/// Octets of a CRL: one of a country's 25 million entries has half as many.
const OCTETS_MAX: usize = 2 << 30;

/// How long a download may take.
const DOWNLOAD_MAX: Duration = Duration::from_secs(600);

/// What a CRL says of itself. Its signature is not checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Read {
    /// The issuer's DN, as RFC 4514 writes it.
    pub(super) issuer: String,
    /// The issuer's DN, DER.
    #[serde(skip)]
    pub(super) issuer_der: Vec<u8>,
    /// The authority key identifier, hex.
    pub(super) key_id: Option<String>,
    /// cRLNumber, decimal.
    pub(super) number: Option<String>,
    /// The number of the base, of a delta.
    pub(super) base_number: Option<String>,
    /// The name in issuingDistributionPoint.
    pub(super) distribution_point: Option<String>,
    /// That name, DER.
    #[serde(skip)]
    pub(super) distribution_point_der: Option<Vec<u8>>,
    pub(super) only_contains_user_certs: bool,
    pub(super) only_contains_ca_certs: bool,
    /// Where its deltas are.
    pub(super) freshest_crl: Option<String>,
    /// Critical extensions that are not understood here.
    pub(super) unknown_critical: Vec<String>,
    pub(super) this_update: String,
    pub(super) next_update: Option<String>,
    /// Number of octets.
    pub(super) bytes: usize,
    /// SHA-256 of the octets.
    pub(super) sha256: String,
    /// Number of entries.
    pub(super) entries: usize,
    /// How many by reason.
    pub(super) reasons: BTreeMap<&'static str, usize>,
    #[serde(skip)]
    pub(super) listed: Vec<Entry>,
}

/// An entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) serial: SerialNumber,
    pub(super) revoked_at: UnixTime,
    /// Unspecified when it has none.
    pub(super) reason: RevocationReason,
    pub(super) invalidity_date: Option<UnixTime>,
}

impl Read {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self { base_number: Some(_), .. } => "delta",
            Self { only_contains_ca_certs: true, .. } => "authority",
            Self { distribution_point: Some(_), .. } => "partition",
            _ => "full",
        }
    }

    /// From DER; `source` names it in errors.
    pub(super) fn from_der(der: &[u8], source: &str) -> Result<Self, Failure> {
        let wrong = |what: &str| Failure::wrong_use(format!("{source}: {what}"));
        let (rest, list) = CertificateRevocationList::from_der(der)
            .map_err(|error| wrong(&format!("not a CRL ({error}): give DER or PEM of an X.509 CRL")))?;
        if !rest.is_empty() {
            return Err(wrong("something follows the CRL: it may be damaged"));
        }
        let time = |time: x509_parser::time::ASN1Time| UnixTime::from_seconds(time.timestamp());
        let mut read = Self {
            issuer: list.issuer().to_string(),
            issuer_der: list.issuer().as_raw().to_vec(),
            key_id: None,
            number: None,
            base_number: None,
            distribution_point: None,
            distribution_point_der: None,
            only_contains_user_certs: false,
            only_contains_ca_certs: false,
            freshest_crl: None,
            unknown_critical: Vec::new(),
            this_update: time(list.last_update()).to_string(),
            next_update: list.next_update().map(|next| time(next).to_string()),
            bytes: der.len(),
            sha256: HEXLOWER.encode(&HashAlgorithm::Sha256.digest(der)),
            entries: 0,
            reasons: BTreeMap::new(),
            listed: Vec::new(),
        };
        for extension in list.extensions() {
            read.take_extension(extension).ok_or_else(|| wrong("an extension cannot be read"))?;
        }
        for entry in list.iter_revoked_certificates() {
            let serial = SerialNumber::from_content(entry.raw_serial())
                .map_err(|error| wrong(&format!("an entry's serial: {error}")))?;
            let code = entry.reason_code().map_or(0, |(_, reason)| reason.0);
            let reason = RevocationReason::from_code(code).ok_or_else(|| {
                wrong(&format!("the entry of {serial} has reason {code}, which there is not"))
            })?;
            let invalidity_date = entry.invalidity_date().map(|(_, date)| time(date));
            *read.reasons.entry(reason.name()).or_default() += 1;
            read.listed.push(Entry {
                serial,
                revoked_at: time(entry.revocation_date),
                reason,
                invalidity_date,
            });
        }
        read.entries = read.listed.len();
        Ok(read)
    }

    fn take_extension(&mut self, extension: &x509_parser::extensions::X509Extension<'_>) -> Option<()> {
        match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(aki) => {
                self.key_id = aki.key_identifier.as_ref().map(|id| HEXLOWER.encode(id.0));
            }
            ParsedExtension::CRLNumber(number) => self.number = Some(number.to_string()),
            ParsedExtension::IssuingDistributionPoint(point) => {
                self.only_contains_user_certs = point.only_contains_user_certs;
                self.only_contains_ca_certs = point.only_contains_ca_certs;
                if let Some(DistributionPointName::FullName(names)) = &point.distribution_point {
                    self.distribution_point = names.first().map(ToString::to_string);
                    if let Some(GeneralName::DirectoryName(name)) = names.first() {
                        self.distribution_point = Some(name.to_string());
                        self.distribution_point_der = Some(name.as_raw().to_vec());
                    }
                }
            }
            _ if extension.oid.as_bytes() == oid::DELTA_CRL_INDICATOR.content() => {
                let octets = Reader::new(extension.value).integer().ok()?;
                let base = octets.iter().try_fold(0_u128, |number, octet| {
                    number.checked_mul(256)?.checked_add(u128::from(*octet))
                });
                self.base_number = Some(base?.to_string());
            }
            _ if extension.oid.as_bytes() == oid::FRESHEST_CRL.content() => {
                self.freshest_crl = first_url(extension.value);
            }
            _ if extension.critical => self.unknown_critical.push(extension.oid.to_string()),
            _ => {}
        }
        Some(())
    }
}

/// The first URI in CRLDistributionPoints (RFC 5280 §4.2.1.13).
fn first_url(der: &[u8]) -> Option<String> {
    let at = der.iter().position(|octet| *octet == URI)?;
    let len = usize::from(*der.get(at + 1)?);
    Some(String::from_utf8_lossy(der.get(at + 2..at + 2 + len)?).into_owned())
}

/// Tag of uniformResourceIdentifier in a GeneralName.
const URI: u8 = 0x86;

/// The DER of a CRL from a file (PEM or DER), `-` or an `http://` URL.
pub(super) fn der_of(source: &str) -> Result<Vec<u8>, Failure> {
    let wrong = |what: String| Failure::wrong_use(format!("{source}: {what}"));
    let octets = if source == "-" {
        bounded(std::io::stdin().lock()).map_err(|error| wrong(error.to_string()))?
    } else if source.starts_with("http://") {
        download(source)?
    } else if source.starts_with("https://") {
        return Err(wrong("fetch it with curl, and give - and its output here".to_owned()));
    } else {
        let file = std::fs::File::open(source).map_err(|error| wrong(error.to_string()))?;
        bounded(file).map_err(|error| wrong(error.to_string()))?
    };
    if octets.is_empty() {
        return Err(wrong("empty: give DER or PEM of an X.509 CRL".to_owned()));
    }
    if !octets.starts_with(b"-----BEGIN") {
        return Ok(octets);
    }
    let all = pem::parse_many(&octets).map_err(|error| wrong(format!("not PEM: {error}")))?;
    match &all[..] {
        [one] if one.tag() == "X509 CRL" => Ok(one.contents().to_vec()),
        [one] => Err(wrong(format!("holds a {}, not a CRL", one.tag()))),
        _ => Err(wrong(format!("holds {} PEM blocks: give one CRL", all.len()))),
    }
}

fn bounded(source: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    let limit = u64::try_from(OCTETS_MAX).unwrap_or(u64::MAX);
    source.take(limit + 1).read_to_end(&mut octets)?;
    if octets.len() > OCTETS_MAX {
        return Err(std::io::Error::other(format!("larger than {OCTETS_MAX} octets: no CRL")));
    }
    Ok(octets)
}

fn download(url: &str) -> Result<Vec<u8>, Failure> {
    let unreached = |what: String| Failure::unreached(format!("{url}: {what}"));
    let uri: Uri = url.parse().map_err(|error| Failure::wrong_use(format!("{url}: {error}")))?;
    let host = uri.host().unwrap_or_default().to_owned();
    let port = uri.port_u16().unwrap_or(80);
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::internal(error.to_string()))?;
    let fetch = async {
        let stream =
            tokio::net::TcpStream::connect((host.as_str(), port)).await.map_err(|e| e.to_string())?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        tokio::spawn(connection);
        let request = Request::get(path).header(header::HOST, format!("{host}:{port}"));
        let request = request.body(Empty::<Bytes>::new()).map_err(|e| e.to_string())?;
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        if response.status() != StatusCode::OK {
            return Err(format!("answered {}", response.status()));
        }
        let body =
            Limited::new(response.into_body(), OCTETS_MAX).collect().await.map_err(|e| e.to_string())?;
        Ok(body.to_bytes().to_vec())
    };
    let fetched = runtime.block_on(async { tokio::time::timeout(DOWNLOAD_MAX, fetch).await });
    fetched.map_err(|_| unreached("not there in time".to_owned()))?.map_err(unreached)
}
