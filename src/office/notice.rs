//! The public notice of a compromise: what happened to which key, and what relying parties must do. It is signed
//! by a key that signs nothing else, and belongs to no authority: whoever kept its fingerprint believes it
//! although the authority's own key is in other hands. Once there is a successor, that signs it too.
//!
//! The notice is JSON; a signature is a detached CMS SignedData (RFC 5652) in a file of its own for
//! each signer, so that a relying party which knows one of the two verifies that one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::Serialize;

use super::authorities::{read_key, sha256};
use super::compromise::newest_sound;
use super::data::DataDir;
use super::{LiveGeneration, Office, OfficeError};
use crate::crl::sign_catalogue;
use crate::der::UnixTime;
use crate::issue::{NoticeCertificate, SubjectKey, Validity, assemble, generate_key};
use crate::pki::{AuthorityId, Generation, Issuer, SerialNumber};
use crate::profile::KeyType;
use crate::record::Compromise;
use crate::signer::Key;

/// Relying parties' clocks may be behind.
const BACKDATE: Duration = Duration::from_secs(24 * 60 * 60);

/// What relying parties must do, in this order.
const WHAT_TO_DO: [&str; 4] = [
    "Remove the CA certificate with this fingerprint from what you trust: most software never looks whether an anchor \
     is revoked.",
    "Trust no certificate that this key signed, and no signature made with one since invalid_since, or at all where \
     that is absent, unless something else than the certificate proves when it was made.",
    "Get the CA certificate of the successor from its address, where one is named; believe it when its SHA-256 is the \
     one here.",
    "Holders: ask your municipality for new certificates.",
];

/// What is published of a compromise.
#[derive(Debug, Serialize)]
struct Text<'a> {
    notice: &'static str,
    authority: &'a str,
    generation: u8,
    ca_certificate_sha256: String,
    ca_subject: String,
    decided_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    invalid_since: Option<String>,
    what_to_do: [&'static str; 4],
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<Successor>,
}

#[derive(Debug, Serialize)]
struct Successor {
    generation: u8,
    ca_certificate_sha256: String,
    ca_certificate: String,
}

/// A notice and its signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    /// The notice.
    pub(super) json: Vec<u8>,
    /// When the key was said to be compromised.
    pub(super) decided_at: UnixTime,
    /// By the key for notices; none where that is lost.
    pub(super) signature: Option<Vec<u8>>,
    /// By the successor; none before there is one.
    pub(super) by_successor: Option<Vec<u8>>,
}

/// What signs notices, and the last ones.
pub(super) struct Notices {
    /// Or why there is none: all else goes on without.
    signing: Result<NoticeKey, OfficeError>,
    /// Signed once, until it says something else.
    made: Mutex<BTreeMap<(AuthorityId, Generation), Arc<Notice>>>,
}

/// A key, and the certificate that carries it.
pub(super) struct NoticeKey {
    key: Key,
    issuer: Issuer,
}

impl Notices {
    /// Takes up the key of a data directory; makes one where there is none, and says so.
    pub(super) fn open(data: &DataDir, now: UnixTime) -> Self {
        let signing = NoticeKey::open(data, now);
        match &signing {
            Ok((_, false)) => {}
            Ok((new, true)) => {
                let fingerprint = new.fingerprint();
                tracing::warn!(
                    fingerprint,
                    "there was no key for public notices: keep its fingerprint elsewhere"
                );
            }
            Err(error) => tracing::error!(%error, "no public notice can be signed"),
        }
        Self { signing: signing.map(|(signing, _)| signing), made: Mutex::default() }
    }

    /// Why no notices are signed, if none are.
    pub(super) fn fault(&self) -> Option<String> {
        let error = self.signing.as_ref().err()?;
        Some(format!(
            "no public notice can be signed: {error}; restore the key, or remove it and start again to have another made"
        ))
    }

    /// The certificate of the key.
    pub(super) fn certificate(&self) -> Option<&[u8]> {
        self.signing.as_ref().ok().map(|signing| signing.issuer.certificate.as_slice())
    }

    fn sign(&self, json: &[u8]) -> Option<Vec<u8>> {
        let signing = self.signing.as_ref().ok()?;
        let signed = sign_catalogue(json, &signing.issuer, &signing.key);
        signed.inspect_err(|error| tracing::error!(%error, "a public notice is not signed")).ok()
    }
}

impl NoticeKey {
    /// Reads the key of a data directory, and makes one where there is none. True when it was made.
    pub(super) fn open(data: &DataDir, now: UnixTime) -> Result<(Self, bool), OfficeError> {
        let path = data.notice_key().display().to_string();
        let (pkcs8, is_new) = match data.read_notice_key()? {
            Some(pkcs8) => (pkcs8, false),
            None => (generate_key(KeyType::P256)?, true),
        };
        let key = read_key(&pkcs8, &path)?;
        if is_new {
            data.write_notice_key(&pkcs8)?;
        }
        // The certificate only carries the key: where it is lost another one does as well.
        let known = data.read_notice_certificate()?.and_then(|der| as_issuer(&der).ok());
        let issuer = match known.filter(|issuer| issuer.spki == key.spki()) {
            Some(issuer) => issuer,
            None => as_issuer(&certify(&key, now)?)?,
        };
        let pem = pem::encode(&pem::Pem::new("CERTIFICATE", issuer.certificate.clone()));
        data.write(&data.notice_certificate(), pem.as_bytes())?;
        Ok((Self { key, issuer }, is_new))
    }

    /// SHA-256 of its SubjectPublicKeyInfo, hex.
    pub(super) fn fingerprint(&self) -> String {
        HEXLOWER.encode(&sha256(self.key.spki()))
    }
}

fn certify(key: &Key, now: UnixTime) -> Result<Vec<u8>, OfficeError> {
    let [a, b, c, d, e, f, g, h, ..] = key.key_id();
    let serial = SerialNumber::try_from(u64::from_be_bytes([a, b, c, d, e, f, g, h]) | 1);
    let damaged = |_| OfficeError::Damaged("a serial number".to_owned());
    let tbs = NoticeCertificate {
        serial: serial.map_err(damaged)?,
        algorithm: key.algorithm(),
        // No well-defined end (RFC 5280 §4.1.2.5): it ends when another key takes its place.
        validity: Validity::new(now.minus(BACKDATE), UnixTime::MAX)?,
        key: &SubjectKey::from_spki(key.spki())?,
    }
    .tbs();
    let signature = key.sign(&tbs)?;
    Ok(assemble(&tbs, key.algorithm(), &signature))
}

/// Authority and generation say nothing here: it is of none.
fn as_issuer(certificate: &[u8]) -> Result<Issuer, OfficeError> {
    Issuer::from_certificate(AuthorityId(0), Generation::FIRST, certificate)
        .map_err(|error| OfficeError::Damaged(format!("the certificate of the key for notices: {error}")))
}

impl Office {
    /// Where the notice of a compromise is found, relative to the root.
    #[must_use]
    pub fn notice_address(&self, authority: AuthorityId, generation: Generation) -> String {
        format!("/ca/{}/{generation}.notice.json", self.authority_name(authority))
    }

    /// Why no public notice can be signed, if none can.
    pub(super) fn notice_fault(&self) -> Option<String> {
        self.notices.fault()
    }

    /// The notices of all keys that are compromised. One that cannot be made is told of, and left out.
    pub(super) fn notices(&self) -> Vec<(AuthorityId, Generation, Arc<Notice>)> {
        let facts = self.store.facts();
        let of = |(authority, generation, said): (AuthorityId, Generation, &Compromise)| {
            let made = self.notice(authority, generation, said);
            let told = made.inspect_err(|error| tracing::error!(%error, "a public notice cannot be made"));
            told.ok().map(|notice| (authority, generation, notice))
        };
        facts.compromises.iter().filter_map(of).collect()
    }

    fn notice(
        &self,
        authority: AuthorityId,
        generation: Generation,
        said: &Compromise,
    ) -> Result<Arc<Notice>, OfficeError> {
        let name = self.authority_name(authority);
        let issuer = self.issuer_of(authority, generation.number())?;
        let issuer = issuer.ok_or_else(|| OfficeError::NoSuchKey(name.clone(), generation.number()))?;
        let successor = self.successor_of(authority, generation);
        let json = self.text(&name, &issuer, said, successor.as_deref())?;
        let key = (authority, generation);
        let before = self.notices.made.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(before) = before
            .filter(|before| before.json == json && before.by_successor.is_some() == successor.is_some())
        {
            return Ok(before);
        }
        let by_successor = successor.and_then(|live| self.sign_notice(&live, &json));
        let signature = self.notices.sign(&json);
        let notice = Arc::new(Notice { json, decided_at: said.recorded_at, signature, by_successor });
        let mut made = self.notices.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.insert(key, Arc::clone(&notice));
        Ok(notice)
    }

    fn sign_notice(&self, live: &LiveGeneration, json: &[u8]) -> Option<Vec<u8>> {
        let signed = self.sign_catalogue(live, json.to_vec()).map(|(_, signature)| signature);
        signed.inspect_err(|error| tracing::error!(%error, "a successor does not sign a public notice")).ok()
    }

    /// The newest sound key behind a compromised one.
    fn successor_of(&self, authority: AuthorityId, generation: Generation) -> Option<Arc<LiveGeneration>> {
        let mut later = self.live_generations(authority);
        later.retain(|live| live.issuer.generation > generation);
        newest_sound(&self.store.facts(), &later)
    }

    fn text(
        &self,
        authority: &str,
        issuer: &Issuer,
        said: &Compromise,
        successor: Option<&LiveGeneration>,
    ) -> Result<Vec<u8>, OfficeError> {
        let fingerprint = |issuer: &Issuer| HEXLOWER.encode(&sha256(&issuer.certificate));
        let text = Text {
            notice: "The private key of this certification authority is compromised. All that it signed is revoked.",
            authority,
            generation: issuer.generation.number(),
            ca_certificate_sha256: fingerprint(issuer),
            ca_subject: issuer.name.to_string(),
            decided_at: said.recorded_at.to_string(),
            invalid_since: said.invalidity_date.map(|since| since.to_string()),
            what_to_do: WHAT_TO_DO,
            successor: successor.map(|live| Successor {
                generation: live.issuer.generation.number(),
                ca_certificate_sha256: fingerprint(&live.issuer),
                ca_certificate: format!("{}/ca/{authority}/{}.cer", self.public_url, live.issuer.generation),
            }),
        };
        let mut json =
            serde_json::to_vec_pretty(&text).map_err(|error| OfficeError::Damaged(error.to_string()))?;
        json.push(b'\n');
        Ok(json)
    }
}
