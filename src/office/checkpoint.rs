//! Checkpoints: how far the journal had come, and with which head, signed by a key that signs nothing else.
//!
//! The chain of a journal has no key: who may write it can make another whole one. A checkpoint that has left
//! the machine (in the log, at `/crl/checkpoint`) can be held against it later. Its form is a signed note
//! (C2SP signed-note), whose text follows that of C2SP tlog-checkpoint as far as it goes; the third line is the head
//! of the chain here, and no tree's root:
//!
//! ```text
//! sekisho/<journal id, hex>
//! <position, decimal>
//! <head, base64>
//! epoch <decimal>
//! time <RFC 3339, UTC>
//!
//! — sekisho/<journal id, hex> <base64 of: first 4 octets of SHA-256 of name, newline, verifier key; Ed25519 signature>
//! ```
//!
//! The verifier key is the octet 1 and the 32 octets of the public key; in text
//! `<name>+<those 4 octets, hex>+<base64 of the verifier key>`.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};

use super::authorities::{read_key, sha256};
use super::data::DataDir;
use super::{Office, OfficeError};
use crate::der::UnixTime;
use crate::issue::generate_key;
use crate::pki::{PublicKey, SignatureAlgorithm};
use crate::profile::KeyType;
use crate::record::{Epoch, Position};
use crate::signer::Key;
use crate::store::{Facts, Head, StoreError};

/// While there are changes, so often.
const EVERY: Duration = Duration::from_secs(60);

/// Octets of a note read: several times those of one.
const NOTE_OCTETS_MAX: usize = 4096;

/// Kind of key and signature: Ed25519 (C2SP signed-note).
const ED25519: u8 = 1;

/// How far a journal had come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The journal's name.
    pub journal_id: [u8; 16],
    /// Its epoch.
    pub epoch: Epoch,
    /// The last entry.
    pub position: Position,
    /// Head of the frame that ends with it.
    pub head: Head,
    /// When it was signed.
    pub time: UnixTime,
}

/// The public half of the key that signs checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointKey {
    name: String,
    bits: Vec<u8>,
}

/// Why a text is no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It has not the form of one.
    #[error("not a checkpoint: give the text from the log or from /crl/checkpoint, octet for octet")]
    Form,
    /// It is signed by another key, or was changed.
    #[error(
        "the checkpoint is not signed by that key: it was changed, or is of another journal; give the key that init \
         printed by --checkpoint-key"
    )]
    Signature,
    /// What should be a verifier key is none.
    #[error("not a checkpoint key: give NAME+HASH+KEY, as init printed it")]
    Key,
}

impl Checkpoint {
    fn text(&self) -> String {
        let Self { journal_id, epoch, position, head, time } = self;
        let (name, head) = (name_of(journal_id), BASE64.encode(head));
        format!("{name}\n{position}\n{head}\nepoch {}\ntime {time}\n", epoch.0)
    }

    /// Reads a signed note that `key` signed.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn from_note(note: &str, key: &CheckpointKey) -> Result<Self, CheckpointError> {
        if note.len() > NOTE_OCTETS_MAX {
            return Err(CheckpointError::Form);
        }
        let (text, signatures) = note.split_once("\n\n").ok_or(CheckpointError::Form)?;
        let text = format!("{text}\n");
        let checkpoint = Self::parse(&text).ok_or(CheckpointError::Form)?;
        // Other lines may be witnesses' (C2SP signed-note): they are passed over.
        let signed = signatures.lines().any(|line| key.has_signed(&text, line));
        if signed { Ok(checkpoint) } else { Err(CheckpointError::Signature) }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let id = HEXLOWER.decode(lines.next()?.strip_prefix(NAME)?.as_bytes()).ok()?;
        let checkpoint = Self {
            journal_id: id.try_into().ok()?,
            position: Position(lines.next()?.parse().ok()?),
            head: BASE64.decode(lines.next()?.as_bytes()).ok()?.try_into().ok()?,
            epoch: Epoch(lines.next()?.strip_prefix("epoch ")?.parse().ok()?),
            time: lines.next()?.strip_prefix("time ")?.parse().ok()?,
        };
        // Octet for octet: nothing that is signed is passed over.
        (checkpoint.text() == text).then_some(checkpoint)
    }

    /// What is wrong with a journal that ends with `last`, by this checkpoint; none when it is in the chain.
    /// `has_head` tells whether the journal has this head with this entry.
    ///
    /// # Errors
    /// What `has_head` says.
    pub fn contradicts(
        &self,
        facts: &Facts,
        last: Position,
        has_head: impl FnOnce(Position, Head) -> Result<bool, StoreError>,
    ) -> Result<Option<String>, StoreError> {
        let Self { journal_id, epoch, position, head, time } = *self;
        let of = format!("the checkpoint of {time} says that entry {position} was there");
        Ok(if journal_id != facts.journal_id {
            Some(format!("the checkpoint is of another journal, {}", HEXLOWER.encode(&journal_id)))
        } else if epoch > facts.epoch {
            Some(format!(
                "{of}, in epoch {}: this journal, of epoch {}, is an older copy",
                epoch.0, facts.epoch.0
            ))
        } else if let Some(at) = facts.given_up_at(epoch, position) {
            Some(format!("{of}: it was given up when the journal's end was accepted, by entry {at}"))
        } else if position > last {
            Some(format!("{of}: this journal ends with entry {last}; restore it from a backup"))
        } else if has_head(position, head)? {
            None
        } else {
            Some(format!(
                "{of}, and the chain has another head there: the journal was rewritten or exchanged; restore it from \
                 a backup"
            ))
        })
    }
}

const NAME: &str = "sekisho/";

fn name_of(journal_id: &[u8; 16]) -> String {
    format!("{NAME}{}", HEXLOWER.encode(journal_id))
}

impl CheckpointKey {
    /// Reads the form in text.
    ///
    /// # Errors
    /// [`CheckpointError::Key`].
    pub fn from_text(text: &str) -> Result<Self, CheckpointError> {
        let parsed = || {
            let mut parts = text.trim().splitn(3, '+');
            let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
            let key = BASE64.decode(key.as_bytes()).ok()?;
            let (ED25519, bits) = (key.first().copied()?, key.get(1..)?.to_vec()) else { return None };
            let read = Self { name: name.to_owned(), bits };
            (read.bits.len() == 32 && HEXLOWER.encode(&read.id()) == id).then_some(read)
        };
        parsed().ok_or(CheckpointError::Key)
    }

    fn encoded(&self) -> Vec<u8> {
        [&[ED25519], self.bits.as_slice()].concat()
    }

    fn id(&self) -> [u8; 4] {
        let hash = sha256(&[self.name.as_bytes(), b"\n", &self.encoded()].concat());
        let [first, second, third, fourth, ..] = hash;
        [first, second, third, fourth]
    }

    /// True when a line is this key's signature over a text.
    fn has_signed(&self, text: &str, line: &str) -> bool {
        let signature = || {
            let (name, signature) = line.strip_prefix("— ")?.split_once(' ')?;
            let octets = BASE64.decode(signature.as_bytes()).ok()?;
            let signature = octets.strip_prefix(&self.id())?;
            (name == self.name).then(|| signature.to_vec())
        };
        let key = PublicKey::new(SignatureAlgorithm::Ed25519, self.bits.clone());
        signature().is_some_and(|signature| key.verify(text.as_bytes(), &signature).is_ok())
    }
}

impl fmt::Display for CheckpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, .. } = self;
        write!(f, "{name}+{}+{}", HEXLOWER.encode(&self.id()), BASE64.encode(&self.encoded()))
    }
}

/// A signed checkpoint, as it is given out.
#[derive(Debug, Clone)]
pub struct SignedCheckpoint {
    /// The note.
    pub note: Arc<str>,
    /// When it was signed.
    pub time: UnixTime,
}

/// Hears of each checkpoint.
pub type CheckpointWatcher = Box<dyn Fn(&SignedCheckpoint) + Send + Sync>;

/// What signs checkpoints, and the last one.
pub(super) struct Checkpoints {
    /// Or why there are none: all else goes on without.
    signing: Result<Signing, OfficeError>,
    state: Mutex<State>,
}

/// A key, and what verifies its signatures.
pub(super) struct Signing {
    key: Key,
    public: CheckpointKey,
}

#[derive(Default)]
struct State {
    last: Option<(Position, SignedCheckpoint)>,
    /// By the time the machine has run; none before the first.
    signed_at: Option<Duration>,
    watcher: Option<CheckpointWatcher>,
}

impl Checkpoints {
    /// Takes up the key of a data directory; makes one where there is none, and says so.
    pub(super) fn open(data: &DataDir, journal_id: &[u8; 16]) -> Self {
        let signing = Signing::open(data, journal_id);
        match &signing {
            Ok((_, false)) => {}
            Ok((new, true)) => {
                let public = new.public.to_string();
                tracing::warn!(public, "there was no key for checkpoints: a new one signs them");
            }
            Err(error) => tracing::error!(%error, "no checkpoints are signed"),
        }
        Self { signing: signing.map(|(signing, _)| signing), state: Mutex::default() }
    }

    /// Why no checkpoints are signed, if none are.
    pub(super) fn fault(&self) -> Option<String> {
        let error = self.signing.as_ref().err()?;
        Some(format!(
            "no checkpoints are signed: {error}; restore the key, or remove it to have another made"
        ))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signing {
    /// Reads the key of a data directory, and makes one where there is none. True when it was made.
    pub(super) fn open(data: &DataDir, journal_id: &[u8; 16]) -> Result<(Self, bool), OfficeError> {
        let path = data.checkpoint_key().display().to_string();
        let (pkcs8, is_new) = match data.read_checkpoint_key()? {
            Some(pkcs8) => (pkcs8, false),
            None => (generate_key(KeyType::Ed25519)?, true),
        };
        let key = read_key(&pkcs8, &path)?;
        let bits = PublicKey::from_spki(key.spki()).ok();
        let bits = bits.filter(|key| key.algorithm() == SignatureAlgorithm::Ed25519);
        let damaged = || OfficeError::Damaged(format!("{path} is no Ed25519 key"));
        let bits = bits.ok_or_else(damaged)?.bits().to_vec();
        let public = CheckpointKey { name: name_of(journal_id), bits };
        if is_new {
            data.write_checkpoint_key(&pkcs8)?;
        }
        data.write(&data.checkpoint_public_key(), format!("{public}\n").as_bytes())?;
        Ok((Self { key, public }, is_new))
    }

    pub(super) fn public(self) -> CheckpointKey {
        self.public
    }

    fn sign(&self, checkpoint: &Checkpoint) -> Result<SignedCheckpoint, OfficeError> {
        let text = checkpoint.text();
        let signature = self.key.sign(text.as_bytes())?;
        let signed = BASE64.encode(&[self.public.id().as_slice(), &signature].concat());
        let note = format!("{text}\n— {} {signed}\n", self.public.name);
        Ok(SignedCheckpoint { note: note.into(), time: checkpoint.time })
    }
}

impl Office {
    /// Signs a checkpoint of now, unless nothing was written since the last; in the log, and to whoever
    /// watches.
    ///
    /// # Errors
    /// When the key does not sign.
    pub fn sign_checkpoint(&self) -> Result<(), OfficeError> {
        // Nothing vouches for a journal that was not held against what was signed before, or is contradicted.
        if !self.is_journal_confirmed() {
            return Ok(());
        }
        // It is told where it was found.
        let Ok(signing) = &self.checkpoints.signing else { return Ok(()) };
        let (position, head) = self.store.head();
        let mut state = self.checkpoints.state();
        if state.last.as_ref().is_some_and(|(last, _)| *last == position) {
            return Ok(());
        }
        let facts = self.store.facts();
        let (journal_id, epoch, time) = (facts.journal_id, facts.epoch, self.clock.now());
        let signed = signing.sign(&Checkpoint { journal_id, epoch, position, head, time })?;
        tracing::info!(position = position.0, note = ?signed.note, "checkpoint");
        if let Some(watcher) = &state.watcher {
            watcher(&signed);
        }
        (state.last, state.signed_at) = (Some((position, signed)), Some(self.clock.running()));
        Ok(())
    }

    /// The same, once a minute.
    pub(super) fn sign_checkpoint_if_due(&self) {
        let signed_at = self.checkpoints.state().signed_at;
        let is_due = signed_at.is_none_or(|at| self.clock.running() >= at + EVERY);
        if self.store.fenced().is_some() || !is_due {
            return;
        }
        if let Err(error) = self.sign_checkpoint() {
            tracing::error!(%error, "no checkpoint was signed");
        }
    }

    /// Whoever serves checkpoints hears of the last one now, and of each that follows.
    pub fn watch_checkpoints(&self, watcher: CheckpointWatcher) {
        let mut state = self.checkpoints.state();
        if let Some((_, signed)) = &state.last {
            watcher(signed);
        }
        state.watcher = Some(watcher);
    }

    /// What a checkpoint says against this journal; none when it is in the chain.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn contradicted_by(&self, checkpoint: &Checkpoint) -> Result<Option<String>, OfficeError> {
        let has_head = |position, head| Ok(self.store.contradicted(&[(position, head)].into())?.is_empty());
        Ok(checkpoint.contradicts(&self.store.facts(), self.store.head().0, has_head)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            journal_id: [7; 16],
            epoch: Epoch(1),
            position: Position(40),
            head: [9; 32],
            time: UnixTime::from_seconds(1_800_000_000),
        }
    }

    fn signing(journal_id: &[u8; 16]) -> (tempfile::TempDir, Signing) {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        data.create().unwrap();
        let (made, is_new) = Signing::open(&data, journal_id).unwrap();
        assert!(is_new);
        let (again, is_new) = Signing::open(&data, journal_id).unwrap();
        assert_eq!((is_new, &again.public), (false, &made.public));
        (home, made)
    }

    #[test]
    fn a_4_a_checkpoint_is_what_was_signed_octet_for_octet() {
        let (_home, one) = signing(&[7; 16]);
        let (_other_home, other) = signing(&[7; 16]);
        let note = one.sign(&checkpoint()).unwrap().note.to_string();
        let key = CheckpointKey::from_text(&one.public.to_string()).unwrap();
        assert_eq!(key, one.public);
        assert_eq!(Checkpoint::from_note(&note, &key), Ok(checkpoint()));
        let mut refused = 0;
        for at in 0..note.len() {
            let mut octets = note.clone().into_bytes();
            octets[at] ^= 1;
            let Ok(text) = String::from_utf8(octets) else { continue };
            let read = Checkpoint::from_note(&text, &key);
            assert!(read.is_err(), "octet {at}: {text}");
            refused += 1;
        }
        assert!(refused > 200, "{refused}");
        assert_eq!(Checkpoint::from_note(&note, &other.public), Err(CheckpointError::Signature));
        // A witness's line beside ours is passed over.
        let witnessed = format!("{note}— witness.example/w AAAAAAAA\n");
        assert_eq!(Checkpoint::from_note(&witnessed, &key), Ok(checkpoint()));
        for wrong in ["", "\n\n", "x", &note[..60], &"x".repeat(5000)] {
            assert_eq!(Checkpoint::from_note(wrong, &key), Err(CheckpointError::Form), "{wrong}");
        }
        for wrong in ["", "a+b", "a+00000000+AQ==", &note] {
            assert_eq!(CheckpointKey::from_text(wrong), Err(CheckpointError::Key), "{wrong}");
        }
    }

    #[test]
    fn a_4_a_checkpoint_tells_what_is_wrong_with_a_journal() {
        let mut facts = Facts { journal_id: [7; 16], ..Facts::default() };
        let says = |checkpoint: Checkpoint, facts: &Facts, last, has| {
            checkpoint.contradicts(facts, Position(last), |_, _| Ok(has)).unwrap().unwrap_or_default()
        };
        assert_eq!(says(checkpoint(), &facts, 40, true), "");
        assert_eq!(says(checkpoint(), &facts, 90, true), "");
        for (found, word) in [
            (says(checkpoint(), &facts, 90, false), "rewritten"),
            (says(checkpoint(), &facts, 39, true), "ends with entry 39"),
            (says(Checkpoint { journal_id: [8; 16], ..checkpoint() }, &facts, 90, true), "another journal"),
            (says(Checkpoint { epoch: Epoch(2), ..checkpoint() }, &facts, 90, true), "older copy"),
        ] {
            assert!(found.contains(word), "{found}");
        }
        (facts.epoch, facts.epochs) = (Epoch(5), [(Epoch(5), Position(40))].into());
        assert!(says(checkpoint(), &facts, 90, true).contains("given up"));
        facts.epochs = [(Epoch(5), Position(41))].into();
        assert_eq!(says(checkpoint(), &facts, 90, true), "");
    }
}
