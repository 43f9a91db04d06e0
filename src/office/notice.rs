//! The public notice of a compromise: what happened to which key, and what relying parties must do. It is signed
//! by a key that signs nothing else, and belongs to no authority: whoever kept its fingerprint believes it
//! although the authority's own key is in other hands. Once there is a successor, that signs it too.
//!
//! The notice is JSON; a signature is a detached CMS SignedData (RFC 5652) in a file of its own for
//! each signer, so that a relying party which knows one of the two verifies that one.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::Serialize;

use super::authorities::sha256;
use super::compromise::newest_sound;
use super::data::{DataDir, DataError};
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
    /// When this text came to be, which a successor changes: no two of a key have the same time.
    pub(super) made_at: UnixTime,
    /// By the key for notices; none where that is lost.
    pub(super) signature: Option<Vec<u8>>,
    /// By the successor; none before there is one.
    pub(super) by_successor: Option<Vec<u8>>,
}

/// What signs notices, and the last ones.
pub(super) struct Notices {
    /// Or why there is none: all else goes on without.
    signing: Result<NoticeKey, NoticeFault>,
    /// A compromise was said, and its notice is not out yet.
    owed: AtomicBool,
    /// Signed once, until it says something else.
    made: Mutex<BTreeMap<(AuthorityId, Generation), Arc<Notice>>>,
}

/// A key, and the certificate that carries it.
pub(super) struct NoticeKey {
    key: Key,
    issuer: Issuer,
    /// It was made just now: nobody has its fingerprint yet.
    is_new: bool,
    /// Why the certificate is not in its file: only who looks for it there misses it.
    unwritten: Option<DataError>,
}

/// Why public notices are not signed, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum NoticeFault {
    /// The key was there, for its certificate is.
    #[error(
        "{key} is missing, and {certificate} tells that there was one, whose fingerprint relying parties may have: \
         restore the key and start again; where it is lost for good, remove {certificate} too, start again to have \
         another made, and publish its fingerprint"
    )]
    Lost {
        /// Where the key belongs.
        key: String,
        /// Where its certificate is.
        certificate: String,
    },
    /// There is a file, and no key in it.
    #[error(
        "{key} holds no key that can be used ({why}): restore it and start again; where it is lost for good, remove \
         it and {certificate}, start again to have another made, and publish its fingerprint"
    )]
    Damaged {
        /// Where the key is.
        key: String,
        /// Where its certificate is.
        certificate: String,
        /// What is wrong.
        why: String,
    },
    /// The system refuses; the key may be as good as ever.
    #[error("{0}: mend that and start again; the key itself may be sound, remove nothing")]
    Disk(DataError),
    /// No key or certificate could be made.
    #[error("a key for them could not be made ({0}): start again")]
    NotMade(String),
}

impl Notices {
    /// Takes up the key of a data directory; makes one where there is none, and says so.
    pub(super) fn open(data: &DataDir, now: UnixTime) -> Self {
        let signing = NoticeKey::open(data, now);
        if let Ok(new) = &signing
            && new.is_new
        {
            let fingerprint = new.fingerprint();
            tracing::warn!(
                fingerprint,
                "there was no key for public notices, and a new one signs them: back it up, and publish its fingerprint"
            );
        }
        let notices = Self { signing, owed: AtomicBool::new(false), made: Mutex::default() };
        if let Some(fault) = notices.fault() {
            tracing::error!("{fault}");
        }
        notices
    }

    /// What is wrong with signing notices, if anything is.
    pub(super) fn fault(&self) -> Option<String> {
        match &self.signing {
            Err(fault) => Some(format!("no public notice can be signed: {fault}")),
            Ok(NoticeKey { unwritten: Some(error), .. }) => Some(format!(
                "public notices are signed, but the certificate of their key could not be written: {error}: mend that \
                 and start again"
            )),
            Ok(_) => None,
        }
    }

    /// The certificate of the key.
    pub(super) fn certificate(&self) -> Option<&Issuer> {
        self.signing.as_ref().ok().map(|signing| &signing.issuer)
    }

    fn sign(&self, json: &[u8]) -> Option<Vec<u8>> {
        let signing = self.signing.as_ref().ok()?;
        let signed = sign_catalogue(json, &signing.issuer, &signing.key);
        signed.inspect_err(|error| tracing::error!(%error, "a public notice is not signed")).ok()
    }
}

impl NoticeKey {
    /// Reads the key of a data directory. One is made where there was none before, and nowhere else: relying
    /// parties keep its fingerprint.
    pub(super) fn open(data: &DataDir, now: UnixTime) -> Result<Self, NoticeFault> {
        let (key, is_new) = match Self::read(data)? {
            Some(key) => (key, false),
            None => (Self::make(data)?, true),
        };
        // The certificate only carries the key: where it is lost, or cannot be read, another one does as well.
        let known = data.read_notice_certificate().ok().flatten().and_then(|der| as_issuer(&der).ok());
        let known = known.filter(|issuer| issuer.spki == key.spki());
        let (issuer, unwritten) = match known {
            Some(issuer) => (issuer, None),
            None => {
                let issuer = certify(&key, now).and_then(|der| as_issuer(&der)).map_err(not_made)?;
                let pem = pem::encode(&pem::Pem::new("CERTIFICATE", issuer.certificate.clone()));
                (issuer, data.write(&data.notice_certificate(), pem.as_bytes()).err())
            }
        };
        Ok(Self { key, issuer, is_new, unwritten })
    }

    /// The key that is there; none where there never was one.
    fn read(data: &DataDir) -> Result<Option<Key>, NoticeFault> {
        let (key, certificate) = (data.notice_key(), data.notice_certificate());
        let [path, certificate_path] = [&key, &certificate].map(|path| path.display().to_string());
        let damaged =
            |why| NoticeFault::Damaged { key: path.clone(), certificate: certificate_path.clone(), why };
        match data.read_notice_key() {
            Ok(Some(pkcs8)) => Key::from_pkcs8(&pkcs8).map(Some).map_err(|error| damaged(error.to_string())),
            Ok(None) => match certificate.try_exists() {
                Ok(false) => Ok(None),
                Ok(true) => {
                    Err(NoticeFault::Lost { key: path.clone(), certificate: certificate_path.clone() })
                }
                Err(error) => Err(NoticeFault::Disk(DataError::Io { path: certificate, error })),
            },
            // Neither text nor PEM: the system read it, and refused nothing.
            Err(DataError::Io { error, .. }) if is_of_content(&error) => Err(damaged(error.to_string())),
            Err(error) => Err(NoticeFault::Disk(error)),
        }
    }

    fn make(data: &DataDir) -> Result<Key, NoticeFault> {
        let pkcs8 = generate_key(KeyType::P256).map_err(not_made)?;
        let key = Key::from_pkcs8(&pkcs8).map_err(not_made)?;
        data.write_notice_key(&pkcs8).map_err(NoticeFault::Disk)?;
        Ok(key)
    }

    /// Why its certificate is not in its file, if it is not.
    pub(super) fn check_written(&mut self) -> Result<(), DataError> {
        self.unwritten.take().map_or(Ok(()), Err)
    }

    /// SHA-256 of its SubjectPublicKeyInfo, hex.
    pub(super) fn fingerprint(&self) -> String {
        HEXLOWER.encode(&sha256(self.key.spki()))
    }
}

/// True for an error that tells of what stands in a file.
fn is_of_content(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Other | io::ErrorKind::InvalidData)
}

fn not_made(error: impl ToString) -> NoticeFault {
    NoticeFault::NotMade(error.to_string())
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

    /// The public notice goes out at once, unless a CRL set is being made: then the schedule tries again every
    /// second, whatever becomes of the set. False while it is not out.
    pub(super) fn serve_notice(&self) -> bool {
        self.notices.owed.store(true, Ordering::SeqCst);
        self.serve_owed_notice()
    }

    /// Serves the notice of a compromise that is not out yet; false when that still cannot be.
    pub(super) fn serve_owed_notice(&self) -> bool {
        if !self.is_notice_owed() {
            return true;
        }
        // No set is announced meanwhile: what was read before it would hide it.
        let publishing = match self.publishing.try_lock() {
            Ok(publishing) => publishing,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        // Before the files are read: what is said from here on is owed again.
        self.notices.owed.store(false, Ordering::SeqCst);
        let served = self.serve_files();
        if let Err(error) = &served {
            self.notices.owed.store(true, Ordering::SeqCst);
            tracing::error!(%error, "the public notice of a compromise is not out, and is tried again");
        }
        drop(publishing);
        served.is_ok()
    }

    /// True while the notice of a compromise is not out.
    pub(super) fn is_notice_owed(&self) -> bool {
        self.notices.owed.load(Ordering::SeqCst)
    }

    /// The notice of a key as it was made last.
    pub(super) fn notice_made(&self, authority: AuthorityId, generation: Generation) -> Option<Arc<Notice>> {
        let made = self.notices.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.get(&(authority, generation)).cloned()
    }

    /// What is wrong with signing public notices, if anything is.
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
        let before = self.notice_made(authority, generation);
        let says_so = |before: &&Arc<Notice>| {
            before.json == json && before.by_successor.is_some() == successor.is_some()
        };
        if let Some(same) = before.as_ref().filter(says_so) {
            return Ok(Arc::clone(same));
        }
        // A Last-Modified that two texts shared would hide the second (RFC 9110 §8.8.2.2).
        let after = before.map(|before| before.made_at.plus(Duration::from_secs(1)));
        let made_at = after.map_or(self.clock.now(), |after| after.max(self.clock.now()));
        let by_successor = successor.and_then(|live| self.sign_notice(&live, &json));
        let signature = self.notices.sign(&json);
        let notice = Arc::new(Notice { json, made_at, signature, by_successor });
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
