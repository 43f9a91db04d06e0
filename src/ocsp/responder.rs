//! Every decision about an answer.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::answers::{Answers, Kept, Question, Signature};
use super::cert_id::CertId;
use super::directory::{Directory, Identity, IssuerForm, SigningIdentity};
use super::error::OcspError;
use super::job::{Answer, Caching, Job, Respond};
use super::options::{Access, Options};
use super::request::{Each, OcspRequest};
use super::response::{ResponseData, SingleResponse, response_around, response_extensions};
use crate::der::UnixTime;
use crate::pki::{CertStatus, Revocation, RevocationReason, SignatureAlgorithm};
use crate::registry::Verifiers;
use crate::signer::SignError;
use crate::status::{StatusIndex, StatusWord};
use crate::sync::{AtomicBool, AtomicU32, Ordering};

/// How long a change may be recorded before answers see it: its group must be on disk first.
/// thisUpdate lies this far back, but not before the status' last change. So an answer that
/// did not see a change bears an earlier thisUpdate than the change, every answer that did
/// see it bears the change's own time or a later one, and a client can tell which is newer.
const UNSEEN_MAX: Duration = Duration::from_secs(5);

/// RFC 6960 §2.2: what is said of a serial never issued, under extended_revoke.
const NEVER_ISSUED: RevocationReason = RevocationReason::CertificateHold;

/// Answers requests from the status index, as the signers installed.
///
/// Always: revocationTime ≤ thisUpdate ≤ producedAt < nextUpdate < the signer's notAfter; and
/// no answer leaves that was made from a status the index no longer held when it was last
/// looked at, which is after the request came and after the signature was made.
#[derive(Debug)]
pub struct Responder {
    status: Arc<StatusIndex>,
    options: Options,
    pub(super) directory: ArcSwap<Directory>,
    pub(super) answers: Answers,
    /// Who may ask, where access is registered.
    verifiers: ArcSwap<Verifiers>,
    next_signer_number: AtomicU32,
    frozen: AtomicBool,
}

/// A question, and what the index says about it.
struct Finding<'a> {
    cert_id: CertId<'a>,
    /// How the signing issuer was named; none when another one was: its certificates are
    /// unknown here, whatever the index holds.
    form: Option<IssuerForm>,
    word: StatusWord,
}

/// A request, and all that its answer depends on.
pub(super) struct Asked<'a> {
    nonce: Option<&'a [u8]>,
    /// What is asked, of a request with one question.
    one: Option<Question>,
    /// Whose signer answers.
    identity: &'a Arc<Identity>,
    findings: Each<Finding<'a>>,
    /// The time the answer bears.
    now: UnixTime,
}

/// Whose request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// Access is to be looked at.
    Unknown,
    /// It was looked at, or the service itself asks.
    Admitted,
}

/// The issuers and signers before those that are installed now.
#[derive(Debug)]
pub struct Replaced(Arc<Directory>);

impl Replaced {
    /// True once everybody who had looked one of them up has given his answer.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

/// How old a kept signature is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    Fresh,
    /// Still good, and soon to be followed by another.
    Due,
    /// To be given only if there is no other way.
    Old,
}

impl Finding<'_> {
    /// True when the certificate was issued by the key of who answers, and is revoked.
    fn is_revoked_by(&self, identity: &Identity) -> bool {
        self.word.generation() == Some(identity.generation)
            && matches!(self.word.cert_status(), CertStatus::Revoked(_))
    }
}

impl Responder {
    /// A responder without signers: it answers `unauthorized` until [`Self::install`].
    #[must_use]
    pub fn new(status: Arc<StatusIndex>, options: Options) -> Self {
        Self {
            status,
            options,
            directory: ArcSwap::default(),
            answers: Answers::new(options.cache_bytes, options.cache_long_bytes),
            verifiers: ArcSwap::default(),
            next_signer_number: AtomicU32::new(0),
            frozen: AtomicBool::new(false),
        }
    }

    /// Replaces all issuers and signers, also while answering. Signatures of signers that stay
    /// stay in use; those of others are not given again. Of two signers for one issuer the
    /// later counts.
    pub fn install(&self, identities: impl AsRef<[SigningIdentity]>) {
        drop(self.replace(identities));
    }

    /// As [`Self::install`], for who has to know when nobody answers by those before any more.
    #[must_use]
    pub fn replace(&self, identities: impl AsRef<[SigningIdentity]>) -> Replaced {
        let next_number = || self.next_signer_number.fetch_add(1, Ordering::Relaxed);
        let directory = Directory::new(identities.as_ref(), &self.directory.load(), next_number);
        Replaced(self.directory.swap(Arc::new(directory)))
    }

    /// Replaces those who may ask, also while answering: a request that comes after this is held
    /// against them. It counts where [`Options::access`] is registered.
    pub fn admit(&self, verifiers: Verifiers) {
        self.verifiers.store(Arc::new(verifiers));
    }

    /// True when answers, errors included, are for who asked alone: access is registered.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.options.access != Access::Open
    }

    /// Stops signing while the clock cannot be believed, or lets it go on. Kept signatures go on
    /// until their nextUpdate; whatever would have to be signed is `tryLater`.
    pub fn freeze(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::Release);
    }

    /// Octets that kept signatures take, as accounted against [`Options::cache_bytes`].
    #[must_use]
    pub fn bytes_kept(&self) -> u64 {
        self.answers.bytes()
    }

    /// How much of the memory for signatures of this kind is taken, in percent. From some nine
    /// tenths on, new ones begin to take the places of others.
    #[must_use]
    pub fn percent_kept(&self, algorithm: SignatureAlgorithm) -> usize {
        self.answers.percent_taken(algorithm.signature_len_max())
    }

    /// Answers `request`, an OCSPRequest of whatever octets.
    #[must_use]
    pub fn respond(&self, request: &[u8], now: UnixTime) -> Respond {
        self.answer(request, Asker::Unknown, now)
    }

    /// As [`Self::respond`] for a request that was admitted before, or that the service asks by
    /// itself to have the answer signed: access is not looked at.
    #[must_use]
    pub fn respond_again(&self, request: &[u8], now: UnixTime) -> Respond {
        self.answer(request, Asker::Admitted, now)
    }

    /// Ends a job: looks at the statuses again and starts over if one has changed. Without a
    /// signature, one made earlier from the same status is given until its nextUpdate, and
    /// `tryLater` if there is none.
    #[must_use]
    pub fn finish(&self, job: Job, signature: Result<Vec<u8>, SignError>, now: UnixTime) -> Respond {
        let ended = match signature {
            _ if self.is_frozen() => self.without_signer(&job.request, Asker::Admitted, now),
            Ok(signature) if self.is_current(&job, now) => {
                let theirs = self.signed_meanwhile(&job, now);
                Ok(theirs.unwrap_or_else(|| self.release(job, &signature)))
            }
            // Its signer was revoked while it was under way: another one answers.
            Ok(_) | Err(SignError::Withdrawn) => return self.respond_again(&job.request, now),
            Err(_) => self.without_signer(&job.request, Asker::Admitted, now),
        };
        self.addressed(Respond::Ready(ended.unwrap_or_else(Answer::from)))
    }

    fn answer(&self, request: &[u8], asker: Asker, now: UnixTime) -> Respond {
        let decided = self.decide(request, asker, now);
        self.addressed(decided.unwrap_or_else(|error| Respond::Ready(error.into())))
    }

    /// Keeps an answer from caches, where not everybody may ask.
    fn addressed(&self, mut respond: Respond) -> Respond {
        if self.is_private()
            && let Respond::Ready(answer) | Respond::Refresh(answer, _) = &mut respond
            && matches!(answer.caching, Caching::Until { .. })
        {
            answer.caching = Caching::Private;
        }
        respond
    }

    fn decide(&self, octets: &[u8], asker: Asker, now: UnixTime) -> Result<Respond, OcspError> {
        if self.is_frozen() {
            return self.without_signer(octets, asker, now).map(Respond::Ready);
        }
        let directory = self.directory.load();
        let asked = self.look_up(octets, asker, &directory, now)?;
        let mut age = Age::Fresh;
        let usable = |kept: &Kept| {
            age = self.age(&asked, kept.produced_at);
            age != Age::Old
        };
        match self.answer_again(&asked, usable) {
            Some(answer) if age == Age::Fresh => Ok(Respond::Ready(answer)),
            Some(answer) => self.job(octets, &asked).map(|job| Respond::Refresh(answer, job)),
            None => self.job(octets, &asked).map(Respond::Sign),
        }
    }

    fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Acquire)
    }

    /// How old a signature of `produced_at` is for who asks now. It is due in the last quarter
    /// of its time, each question at a moment of its own, so that what was signed together is
    /// not due together.
    pub(super) fn age(&self, asked: &Asked<'_>, produced_at: UnixTime) -> Age {
        if asked.now >= produced_at.plus(self.options.refresh_after) {
            Age::Old
        } else if asked.now >= self.due_at(asked, produced_at) {
            Age::Due
        } else {
            Age::Fresh
        }
    }

    pub(super) fn due_at(&self, asked: &Asked<'_>, produced_at: UnixTime) -> UnixTime {
        let refresh_after = self.options.refresh_after;
        let ahead = refresh_after / 8 + refresh_after / 8 * asked.jitter() / 256;
        produced_at.plus(refresh_after - ahead)
    }

    /// What another core, or another job, has signed meanwhile: one answer for all who ask the
    /// same, unless this job is there to make the next.
    fn signed_meanwhile(&self, job: &Job, now: UnixTime) -> Option<Answer> {
        job.question?;
        let directory = self.directory.load();
        let asked = self.look_up(&job.request, Asker::Admitted, &directory, now).ok()?;
        self.answer_again(&asked, |kept| {
            kept.produced_at >= job.produced_at || self.age(&asked, kept.produced_at) == Age::Fresh
        })
    }

    /// A signature made earlier, however long ago: its nextUpdate is its only limit.
    fn without_signer(&self, octets: &[u8], asker: Asker, now: UnixTime) -> Result<Answer, OcspError> {
        let directory = self.directory.load();
        let mut asked = self.look_up(octets, asker, &directory, now)?;
        let with_nonce = asked.nonce.is_some();
        if self.options.without_nonce {
            asked.nonce = None;
        }
        let answer = self.answer_again(&asked, |_| true).ok_or(OcspError::TryLater)?;
        // Who asked with a nonce wanted an answer of his own.
        Ok(if with_nonce { Answer { caching: Caching::NoStore, ..answer } } else { answer })
    }

    /// Reads a request and finds out about each of its questions. Who speaks is the signer of
    /// the first issuer served here; one answer has one signer. Whoever may not ask is turned
    /// away before anything is looked up.
    pub(super) fn look_up<'a>(
        &self,
        octets: &'a [u8],
        asker: Asker,
        directory: &'a Directory,
        now: UnixTime,
    ) -> Result<Asked<'a>, OcspError> {
        let request = OcspRequest::from_der(octets, self.options.cert_ids_max)?;
        let named = request.each(|cert_id| (cert_id, directory.find(cert_id.issuer)));
        let (_, signers) = named.iter().find_map(|(_, named)| *named).ok_or(OcspError::Unauthorized)?;
        let identity = request.extensions.preference.choose(signers).ok_or(OcspError::Unauthorized)?;
        if asker == Asker::Unknown {
            self.check_access(&request, now)?;
        }
        let one = match &*named {
            [(cert_id, Some((form, _)))] => Some(Question::one(*form, identity.place, cert_id)),
            _ => None,
        };
        if let Some(question) = &one {
            self.answers.expect(question, identity);
        }
        let findings = named.each(|(cert_id, named)| {
            let ours = named.filter(|(_, signers)| {
                signers.iter().any(|signer| signer.is_for(identity.authority, identity.generation))
            });
            let form = ours.map(|(form, _)| form);
            let (authority, generation) = (identity.authority, identity.generation);
            let serial = cert_id.serial_number.as_ref();
            let word = match form {
                Some(_) => self.status.find_under(authority, generation, serial),
                None => StatusWord::NEVER_ISSUED,
            };
            Finding { cert_id: *cert_id, form, word }
        });
        if self.options.fenced && !findings.iter().all(|finding| finding.is_revoked_by(identity)) {
            return Err(OcspError::TryLater);
        }
        // After the statuses, so that none of them was recorded later than this.
        let now = now.max(self.status.last_recorded_at());
        Ok(Asked { nonce: request.extensions.nonce, one, identity, findings, now })
    }

    /// Whether who asks may.
    fn check_access(&self, request: &OcspRequest<'_>, now: UnixTime) -> Result<(), OcspError> {
        match (self.options.access, &request.signed) {
            (Access::Open, _) | (Access::Registered { required: false }, None) => Ok(()),
            (Access::Registered { required: true }, None) => Err(OcspError::SigRequired),
            (Access::Registered { .. }, Some(signed)) => signed.verify(&self.verifiers.load(), now),
        }
    }

    /// The answer around a kept signature, if there is one made from these very statuses by
    /// this very signer.
    fn answer_again(&self, asked: &Asked<'_>, usable: impl FnOnce(&Kept) -> bool) -> Option<Answer> {
        let mut signature = Signature::empty();
        let kept = self.answers.find(&asked.question()?, asked.identity, &mut signature)?;
        if !(asked.is_answered_by(&kept) && usable(&kept)) {
            return None;
        }
        let responses = self.responses(asked, kept.produced_at);
        let caching = caching(&responses, asked.now)?;
        let extensions = response_extensions(None, self.says_extended_revoke(asked));
        let data = ResponseData {
            identity: asked.identity,
            produced_at: kept.produced_at,
            responses: &responses,
            response_extensions: &extensions,
        };
        Some(Answer { body: data.to_response(signature.octets()), caching })
    }

    /// The signature to be made; `tryLater` when the signer's time is over.
    fn job(&self, octets: &[u8], asked: &Asked<'_>) -> Result<Job, OcspError> {
        let responses = self.responses(asked, asked.now);
        let caching = caching(&responses, asked.now).ok_or(OcspError::TryLater)?;
        let extensions = response_extensions(asked.nonce, self.says_extended_revoke(asked));
        let data = ResponseData {
            identity: asked.identity,
            produced_at: asked.now,
            responses: &responses,
            response_extensions: &extensions,
        };
        Ok(Job {
            request: octets.to_vec(),
            identity: Arc::clone(asked.identity),
            words: asked.words().collect(),
            produced_at: asked.now,
            question: asked.question(),
            caching,
            response_data: data.to_der(),
        })
    }

    /// True while a job's answer is what would be said now.
    fn is_current(&self, job: &Job, now: UnixTime) -> bool {
        let directory = self.directory.load();
        self.look_up(&job.request, Asker::Admitted, &directory, now).is_ok_and(|asked| {
            let Caching::Until { next_update, .. } = job.caching else { return false };
            asked.identity.signer_number == job.identity.signer_number
                && asked.words().eq(job.words.iter().copied())
                && asked.now < next_update
                // Else the clock was set back meanwhile.
                && job.produced_at <= asked.now.plus(UNSEEN_MAX)
        })
    }

    fn release(&self, job: Job, signature: &[u8]) -> Answer {
        let body = response_around(&job.identity, &job.response_data, signature);
        let Some(question) = job.question else {
            return Answer { body, caching: Caching::NoStore };
        };
        let kept = Kept {
            word: word_kept(&job.words),
            produced_at: job.produced_at,
            signer_number: job.identity.signer_number,
        };
        self.answers.keep(&question, &job.identity, &kept, signature);
        Answer { body, caching: job.caching }
    }

    /// What is said to each question in an answer of `produced_at`.
    pub(super) fn responses<'a>(&self, asked: &Asked<'a>, produced_at: UnixTime) -> Each<SingleResponse<'a>> {
        asked.findings.each(|finding| {
            let this_update = self.this_update(finding.word, produced_at);
            let last = UnixTime::from_seconds(asked.identity.not_after.seconds() - 1);
            SingleResponse {
                cert_id: finding.cert_id.der,
                cert_status: self.cert_status(finding, asked.identity, this_update),
                this_update,
                next_update: this_update.plus(self.options.validity).min(last),
                archive_cutoff: self.archive_cutoff(finding, asked.identity, produced_at),
            }
        })
    }

    fn cert_status(&self, finding: &Finding<'_>, identity: &Identity, this_update: UnixTime) -> CertStatus {
        match finding.word.generation() {
            None if self.is_extended_revoke(finding) => CertStatus::Revoked(Revocation {
                revoked_at: UnixTime::default(),
                reason: NEVER_ISSUED,
                invalidity_date: None,
            }),
            // Another key of the authority issued it: this issuer did not.
            Some(generation) if generation != identity.generation => CertStatus::Unknown,
            _ => match finding.word.cert_status() {
                CertStatus::Revoked(revocation) => CertStatus::Revoked(Revocation {
                    revoked_at: revocation.revoked_at.min(this_update),
                    ..revocation
                }),
                status => status,
            },
        }
    }

    fn archive_cutoff(
        &self,
        finding: &Finding<'_>,
        identity: &Identity,
        produced_at: UnixTime,
    ) -> Option<UnixTime> {
        let retention = self.options.archive_retention?;
        let ours = finding.word.generation() == Some(identity.generation);
        ours.then(|| produced_at.minus(retention).max(identity.not_before))
    }

    /// See [`UNSEEN_MAX`]. Where the word no longer tells when the change was, 68 minutes
    /// after it, the time it tells is later, never earlier.
    fn this_update(&self, word: StatusWord, produced_at: UnixTime) -> UnixTime {
        let back = UNSEEN_MAX + self.options.backdate;
        if word.is_as_issued() {
            // Asked a moment before, it was unknown: nothing that anybody acted on.
            produced_at.minus(back).max(word.since().minus(UNSEEN_MAX)).min(produced_at)
        } else if word.is_issued() {
            let unchanged = Duration::from_secs(word.seconds_unchanged(produced_at));
            produced_at.minus(back.min(unchanged)).max(word.since()).min(produced_at)
        } else {
            produced_at.minus(back)
        }
    }

    fn is_extended_revoke(&self, finding: &Finding<'_>) -> bool {
        self.options.extended_revoke && finding.form.is_some() && !finding.word.is_issued()
    }

    fn says_extended_revoke(&self, asked: &Asked<'_>) -> bool {
        asked.findings.iter().any(|finding| self.is_extended_revoke(finding))
    }
}

impl Asked<'_> {
    fn words(&self) -> impl Iterator<Item = StatusWord> {
        self.findings.iter().map(|finding| finding.word)
    }

    /// What a signature for this may be kept under: nothing that a nonce is part of.
    pub(super) fn question(&self) -> Option<Question> {
        match self.one {
            _ if self.nonce.is_some() => None,
            Some(one) => Some(one),
            None => {
                let asked = self.findings.iter().map(|finding| (finding.cert_id.der, finding.word));
                Some(Question::several(self.identity.place, asked))
            }
        }
    }

    /// Whether a signature was made by this very signer from these very statuses.
    pub(super) fn is_answered_by(&self, kept: &Kept) -> bool {
        // One signed in the future is from before the clock was set back; threads that read
        // the clock at different instants differ by less.
        self.says_as(kept) && kept.produced_at <= self.now.plus(UNSEEN_MAX)
    }

    /// The same statuses, the same signer: whenever it was.
    pub(super) fn says_as(&self, kept: &Kept) -> bool {
        kept.word == self.word_kept() && kept.signer_number == self.identity.signer_number
    }

    /// The last octet of the first serial.
    fn jitter(&self) -> u32 {
        let first = self.findings.first().and_then(|finding| finding.cert_id.serial_number.as_ref());
        first.and_then(|serial| serial.magnitude().last()).copied().map_or(0, u32::from)
    }

    fn word_kept(&self) -> StatusWord {
        match &*self.findings {
            [finding] => finding.word,
            _ => StatusWord::NEVER_ISSUED,
        }
    }
}

/// The word a signature is kept with: of several, they are part of the question.
fn word_kept(words: &[StatusWord]) -> StatusWord {
    match words {
        [word] => *word,
        _ => StatusWord::NEVER_ISSUED,
    }
}

/// What caches may be told; none when the answer would not outlive `now`.
fn caching(responses: &[SingleResponse<'_>], now: UnixTime) -> Option<Caching> {
    let this_update = responses.iter().map(|single| single.this_update).max()?;
    let next_update = responses.iter().map(|single| single.next_update).min()?;
    (now < next_update).then_some(Caching::Until { this_update, next_update })
}
