//! Warms an authority: signs the answer about each of its certificates before anybody asks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::refresh::{BATCH, Pace, Sign, Warmed};
use super::signers::algorithm;
use super::{Office, OfficeError};
use crate::ocsp::request_for;
use crate::pki::{AuthorityId, Generation, HashAlgorithm, Issuer, SerialNumber, SignatureAlgorithm};

/// Of the memory for kept signatures, how much is filled, in percent: it is filled in parts of
/// its own, the fullest of which throws out before all is used.
const FULL_PERCENT: usize = 90;

/// While the clock is not believed, or the records are being rebuilt, it is tried again so often.
const RETRY: Duration = Duration::from_secs(1);

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The authority's name.
    pub authority: String,
    /// Certificates looked at.
    pub done: u64,
    /// Certificates to be looked at.
    pub total: u64,
    /// Signatures made.
    pub signed: u64,
    /// Whether it goes on.
    pub stage: Stage,
}

/// Whether presigning goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// It goes on.
    Going,
    /// Every answer is kept.
    Complete,
    /// The memory for kept signatures is full: a further one would throw out another.
    Full,
    /// It was told to stop.
    Stopped,
    /// It cannot go on.
    Failed(String),
}

/// Hears of progress, after every few signatures.
pub type Tell = Box<dyn Fn(&Progress) + Send>;

/// Presigning under way; stops when dropped or told to.
pub struct Presigning {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Presigning {
    /// Starts warming these authorities, one after another, on a thread that comes last: for every
    /// certificate that has not expired, the answer to whoever names its issuer by `hash`, with
    /// parameters NULL, and prefers no signature algorithm.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        office: Arc<Office>,
        authorities: Vec<AuthorityId>,
        hash: HashAlgorithm,
        sign: Sign,
        tell: Tell,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let run = move || {
            let mut pace = Pace::of_this_thread();
            for authority in authorities {
                let progress = office.presign(authority, hash, &sign, &tell, &mut pace, &stopped);
                if !matches!(progress.stage, Stage::Complete) {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("presign".to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Waits until it is through, or can go no further.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic in there has been reported by its own thread.
            drop(thread.join());
        }
    }
}

impl Drop for Presigning {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Serials to be warmed, by the key that signed their certificates.
#[derive(Default)]
struct Wanted(BTreeMap<Generation, Serials>);

#[derive(Default)]
struct Serials {
    /// Those below 2³², in four octets each: there are millions.
    dense: Vec<u32>,
    others: Vec<SerialNumber>,
}

impl Wanted {
    fn add(&mut self, generation: Generation, serial: SerialNumber) {
        let serials = self.0.entry(generation).or_default();
        match serial.to_u64().and_then(|number| u32::try_from(number).ok()) {
            Some(number) => serials.dense.push(number),
            None => serials.others.push(serial),
        }
    }

    fn count(&self) -> u64 {
        let count = self.0.values().map(|serials| serials.dense.len() + serials.others.len()).sum::<usize>();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    fn iter(&self) -> impl Iterator<Item = (Generation, SerialNumber)> {
        self.0.iter().flat_map(|(generation, serials)| {
            let dense =
                serials.dense.iter().filter_map(|number| SerialNumber::try_from(u64::from(*number)).ok());
            dense.chain(serials.others.iter().copied()).map(|serial| (*generation, serial))
        })
    }
}

impl Office {
    fn presign(
        &self,
        authority: AuthorityId,
        hash: HashAlgorithm,
        sign: &Sign,
        tell: &Tell,
        pace: &mut Pace,
        stopped: &Receiver<()>,
    ) -> Progress {
        let authority_name = self.authority_name(authority);
        let mut progress =
            Progress { authority: authority_name, done: 0, total: 0, signed: 0, stage: Stage::Going };
        let wanted = match self.wanted(authority, pace, stopped) {
            Ok(Some(wanted)) => wanted,
            Ok(None) => return ended(progress, Stage::Stopped, tell),
            Err(error) => return ended(progress, Stage::Failed(error.to_string()), tell),
        };
        progress.total = wanted.count();
        let issuers: BTreeMap<Generation, Arc<Issuer>> = self
            .live_generations(authority)
            .iter()
            .map(|live| (live.issuer.generation, Arc::clone(&live.issuer)))
            .collect();
        let usual = self
            .config
            .ocsp
            .signers
            .first()
            .map_or(SignatureAlgorithm::EcdsaP256Sha256, |key| algorithm(*key));
        let mut batch = 0;
        for (generation, serial) in wanted.iter() {
            while batch == 0 && self.watch_clock().is_some() {
                if !pace.pause(stopped, RETRY) {
                    return ended(progress, Stage::Stopped, tell);
                }
            }
            if self.responder.percent_kept(usual) >= FULL_PERCENT {
                return ended(progress, Stage::Full, tell);
            }
            progress.done += 1;
            // The key may have expired meanwhile: then nobody answers.
            let Some(issuer) = issuers.get(&generation) else { continue };
            match self.warm(&request_for(issuer, hash, &serial), sign) {
                Warmed::Signed => progress.signed += 1,
                Warmed::Already => {}
                Warmed::Failed => {
                    let stage = Stage::Failed("the signer made no signature".to_owned());
                    return ended(progress, stage, tell);
                }
            }
            batch = (batch + 1) % BATCH;
            if batch == 0 {
                tell(&progress);
                if !pace.rest(stopped) {
                    return ended(progress, Stage::Stopped, tell);
                }
            }
        }
        ended(progress, Stage::Complete, tell)
    }

    /// Every certificate that has not expired, once the records are there; none when told to stop.
    fn wanted(
        &self,
        authority: AuthorityId,
        pace: &mut Pace,
        stopped: &Receiver<()>,
    ) -> Result<Option<Wanted>, OfficeError> {
        while self.is_rebuilding() {
            if !pace.pause(stopped, RETRY) {
                return Ok(None);
            }
        }
        let (now, mut wanted) = (self.clock.now(), Wanted::default());
        self.store.scan(authority, self.store.head().0, &mut |serial, record| {
            if record.issued.not_after > now {
                wanted.add(record.issued.certificate.generation, serial);
            }
        })?;
        Ok(Some(wanted))
    }
}

fn ended(mut progress: Progress, stage: Stage, tell: &Tell) -> Progress {
    progress.stage = stage;
    tell(&progress);
    progress
}
