//! What is asked: certificates of a manifest, or serials of an issuer.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::args::{Hash, Load};
use super::super::named::{bare_serial_under, certificate_in, pem_of};
use super::super::{DataDir, Failure};
use crate::der::{DerError, Reader, Writer, tag};
use crate::pki::{
    AuthorityId, BareSerial, Generation, HashAlgorithm, Issuer, SerialNumber, SerialTextError, oid,
};

/// Octets of a nonce (RFC 9654 §2.1: 32 unless there is a reason).
pub(super) const NONCE_LEN: usize = 32;

/// A nonce.
pub(super) type Nonce = [u8; NONCE_LEN];

/// The certificates asked about, one picked after another.
#[derive(Debug)]
pub(super) struct Questions {
    issuers: Vec<IssuerHashes>,
    groups: Vec<Group>,
    total: u64,
    /// Where the manifest says to ask.
    pub(super) ocsp_url: Option<String>,
}

/// One question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    issuer: usize,
    pub(super) serial: SerialNumber,
}

/// The first three fields of a CertID.
#[derive(Debug)]
pub(super) struct IssuerHashes {
    /// AlgorithmIdentifier, issuerNameHash and issuerKeyHash, DER.
    fields: Vec<u8>,
    /// Content octets of the algorithm's OID.
    pub(super) algorithm: Vec<u8>,
    pub(super) name_hash: Vec<u8>,
    pub(super) key_hash: Vec<u8>,
}

#[derive(Debug)]
struct Group {
    issuer: usize,
    serials: Serials,
}

#[derive(Debug)]
enum Serials {
    Listed(Vec<SerialNumber>),
    Range(RangeInclusive<u64>),
}

impl Questions {
    /// What the arguments name.
    ///
    /// # Errors
    /// Wrong use: a file that is missing or not what it should be, no serial to ask about.
    pub(super) fn from_arguments(data: &DataDir, asked: &Load) -> Result<Self, Failure> {
        let hash = match asked.hash {
            Hash::Sha1 => HashAlgorithm::Sha1,
            Hash::Sha256 => HashAlgorithm::Sha256,
        };
        let questions = match (&asked.requests, &asked.issuer) {
            (Some(manifest), _) => Self::of_manifest(manifest, hash)?,
            (None, Some(issuer)) => {
                let read =
                    |text: &str| serial(text, &|bare| bare_serial_under(data, issuer, text.trim(), bare));
                Self::of_issuer(issuer, &asked.serials, &asked.cert, hash, &read)?
            }
            (None, None) => return Err(Failure::wrong_use("name what to ask: --requests or --issuer")),
        };
        if questions.total == 0 {
            return Err(Failure::wrong_use("nothing to ask about: give --serials A-B or --cert FILE"));
        }
        Ok(questions)
    }

    fn of_manifest(path: &Path, hash: HashAlgorithm) -> Result<Self, Failure> {
        let manifest: Manifest = read_json(path)?;
        let mut issuers = Vec::new();
        let mut numbers = BTreeMap::new();
        for authority in &manifest.authorities {
            numbers.insert((authority.name.as_str(), authority.generation), issuers.len());
            issuers.push(IssuerHashes::of_file(Path::new(&authority.certificate), hash)?);
        }
        let mut listed: Vec<Vec<SerialNumber>> = vec![Vec::new(); issuers.len()];
        for one in &manifest.certificates {
            let number = numbers.get(&(one.authority.as_str(), one.generation));
            let serials = number.and_then(|number| listed.get_mut(*number)).ok_or_else(|| {
                let (authority, generation) = (&one.authority, one.generation);
                let path = path.display();
                Failure::wrong_use(format!("{path}: no authority {authority} of generation {generation}"))
            })?;
            serials.push(serial(&one.serial, &|bare| Failure::wrong_use(bare.to_string()))?);
        }
        let groups = listed
            .into_iter()
            .enumerate()
            .map(|(issuer, all)| Group { issuer, serials: Serials::Listed(all) });
        Ok(Self::new(issuers, groups.collect(), Some(manifest.ocsp_url)))
    }

    fn of_issuer(
        issuer: &Path,
        serials: &[String],
        certificates: &[std::path::PathBuf],
        hash: HashAlgorithm,
        read: &dyn Fn(&str) -> Result<SerialNumber, Failure>,
    ) -> Result<Self, Failure> {
        let mut single = Vec::new();
        let mut groups = Vec::new();
        for text in serials {
            match text.split_once('-') {
                None => single.push(read(text)?),
                Some((from, to)) => {
                    let serials = Serials::Range(counted(from, read)?..=counted(to, read)?);
                    if serials.len() == 0 {
                        return Err(Failure::wrong_use(format!("{text}: the first serial comes first")));
                    }
                    groups.push(Group { issuer: 0, serials });
                }
            }
        }
        for path in certificates {
            single.push(serial_of(path)?);
        }
        groups.push(Group { issuer: 0, serials: Serials::Listed(single) });
        Ok(Self::new(vec![IssuerHashes::of_file(issuer, hash)?], groups, None))
    }

    fn new(issuers: Vec<IssuerHashes>, groups: Vec<Group>, ocsp_url: Option<String>) -> Self {
        let total = groups.iter().fold(0_u64, |total, group| total.saturating_add(group.serials.len()));
        Self { issuers, groups, total, ocsp_url }
    }

    /// How many there are.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The question that `random` falls on.
    pub(super) fn pick(&self, random: u64) -> Option<Question> {
        let mut at = random.checked_rem(self.total)?;
        for Group { issuer, serials } in &self.groups {
            match at.checked_sub(serials.len()) {
                None => return Some(Question { issuer: *issuer, serial: serials.get(at)? }),
                Some(after) => at = after,
            }
        }
        None
    }

    /// The hashes a question names its issuer by.
    pub(super) fn issuer(&self, question: &Question) -> Option<&IssuerHashes> {
        self.issuers.get(question.issuer)
    }

    /// The OCSPRequest, DER (RFC 6960 §4.1.1).
    pub(super) fn request(&self, question: &Question, nonce: Option<&Nonce>) -> Vec<u8> {
        let fields = self.issuer(question).map(|issuer| issuer.fields.as_slice()).unwrap_or_default();
        let mut writer = Writer::with_capacity(REQUEST_LEN);
        writer.sequence(|w| {
            w.sequence(|w| {
                w.sequence(|w| {
                    w.sequence(|w| {
                        w.sequence(|w| {
                            w.raw(fields);
                            question.serial.write(w);
                        });
                    });
                });
                if let Some(nonce) = nonce {
                    w.nested(tag::context_constructed(2), |w| {
                        w.sequence(|w| {
                            w.sequence(|w| {
                                w.oid(&oid::OCSP_NONCE);
                                w.octet_string_of(|w| w.octet_string(nonce));
                            });
                        });
                    });
                }
            });
        });
        writer.into_bytes()
    }
}

impl IssuerHashes {
    fn of_file(path: &Path, hash: HashAlgorithm) -> Result<Self, Failure> {
        let issuer = Issuer::from_certificate(AuthorityId(0), Generation::FIRST, &der_of(path)?)
            .map_err(|error| Failure::wrong_use(format!("{}: {error}", path.display())))?;
        let (name_hash, key_hash) = (issuer.name_hash(hash), issuer.key_hash(hash));
        let fields = Writer::to_der(|w| {
            w.sequence(|w| {
                w.oid(&hash.oid());
                w.null();
            });
            w.octet_string(&name_hash);
            w.octet_string(&key_hash);
        });
        Ok(Self { fields, algorithm: hash.oid().content().to_vec(), name_hash, key_hash })
    }
}

impl Serials {
    fn len(&self) -> u64 {
        match self {
            Self::Listed(all) => u64::try_from(all.len()).unwrap_or(u64::MAX),
            Self::Range(range) => {
                range.end().checked_sub(*range.start()).map_or(0, |more| more.saturating_add(1))
            }
        }
    }

    fn get(&self, at: u64) -> Option<SerialNumber> {
        match self {
            Self::Listed(all) => all.get(usize::try_from(at).ok()?).copied(),
            Self::Range(range) => SerialNumber::try_from(range.start().checked_add(at)?).ok(),
        }
    }
}

/// Of a manifest, what is needed here.
#[derive(Deserialize)]
struct Manifest {
    ocsp_url: String,
    authorities: Vec<ManifestAuthority>,
    certificates: Vec<ManifestCertificate>,
}

#[derive(Deserialize)]
struct ManifestAuthority {
    name: String,
    generation: u8,
    certificate: String,
}

#[derive(Deserialize)]
struct ManifestCertificate {
    authority: String,
    generation: u8,
    serial: String,
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let wrong = |error: String| {
        Failure::wrong_use(format!("{}: {error}; `demo --manifest FILE` writes one", path.display()))
    };
    let octets = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_slice(&octets).map_err(|error| wrong(format!("not a manifest: {error}")))
}

fn serial(text: &str, bare: &dyn Fn(&BareSerial) -> Failure) -> Result<SerialNumber, Failure> {
    text.trim().parse().map_err(|error| match error {
        // It names the digits itself.
        SerialTextError::Bare(digits) => bare(&digits),
        error => Failure::wrong_use(format!("{text}: {error}")),
    })
}

/// An end of a range: such serials come from a counter and fit 64 bits.
fn counted(text: &str, read: &dyn Fn(&str) -> Result<SerialNumber, Failure>) -> Result<u64, Failure> {
    let too_long =
        || Failure::wrong_use(format!("{text}: a range goes up to 64 bits; name longer ones singly"));
    read(text)?.to_u64().ok_or_else(too_long)
}

fn der_of(path: &Path) -> Result<Vec<u8>, Failure> {
    let pem = pem_of(path, "CERTIFICATE")?;
    let pem = pem::parse(pem).map_err(|error| Failure::wrong_use(format!("{}: {error}", path.display())))?;
    Ok(pem.into_contents())
}

fn serial_of(path: &Path) -> Result<SerialNumber, Failure> {
    let der = certificate_in(path)?;
    let mut reader = Reader::new(&der);
    let read = |certificate: &mut Reader<'_>| {
        let mut tbs = certificate.inner(certificate.clone().read(tag::SEQUENCE)?)?;
        tbs.optional(tag::context_constructed(0))?;
        SerialNumber::read(&mut tbs)
    };
    let content = reader.read(tag::SEQUENCE);
    let serial = content.and_then(|content| read(&mut reader.inner(content)?));
    serial.map_err(|error: DerError| {
        Failure::wrong_use(format!("{}: not a certificate: {error}", path.display()))
    })
}

/// Longest request there is here, with SHA-256, 20 octets of serial and a nonce.
const REQUEST_LEN: usize = 192;
