//! Why a use case did not come off.

use std::path::PathBuf;

use super::authorities::NoIssuingKey;
use super::data::DataError;
use super::{CheckpointError, Fenced, NotRetired, NoticeFault, SignerFileError, SubjectKeysError};
use crate::config::ConfigError;
use crate::issue::{GenerateError, IssueError, NotAsOrdered, SubjectKeyError};
use crate::pki::{
    BareSerial, BundleError, CertificateKind, PartitionError, ReasonError, SerialError, SerialNumber,
    SerialTextError,
};
use crate::profile::ProfileError;
use crate::record::{CertificateRef, Refusal};
use crate::registry::{CertificateError, NameError};
use crate::signer::{KeyError, SignError};
use crate::store::{CheckError, DiskFault, Distrust, NotReady, OpenError, StoreError, SubmitError};

/// What stands against a use case.
#[derive(Debug, thiserror::Error)]
pub enum OfficeError {
    /// The name of no authority.
    #[error("there is no authority {0}: use {1}")]
    UnknownAuthority(String, String),
    /// A certificate that none of our keys signed.
    #[error("that certificate was not issued here: its authority key identifier is none of ours")]
    ForeignCertificate,
    /// Text that is no certificate.
    #[error("not a certificate: give PEM or DER of an X.509 certificate")]
    NotACertificate,
    /// Text that does not tell which certificate is meant.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Text that is no certificate kind.
    #[error(transparent)]
    Kind(#[from] crate::pki::UnknownKind),
    /// Kinds that cannot be issued together.
    #[error("cannot issue {0}: ask for one or both of sign and auth, or of phone-sign and phone-auth")]
    Kinds(String),
    /// No serial number.
    #[error(transparent)]
    Serial(#[from] SerialError),
    /// No serial number, as text.
    #[error(transparent)]
    SerialText(#[from] SerialTextError),
    /// A serial that does not say its base, and which of both its authority issued.
    #[error("{}", .serial.advise(|read| issued_by(authority, issued.contains(read))))]
    BareSerial {
        /// As it was given.
        serial: Box<BareSerial>,
        /// The authority's name.
        authority: String,
        /// Those of both readings that were issued.
        issued: Vec<SerialNumber>,
    },
    /// An event without a usable id.
    #[error("give the event an id of 1 to {0} octets: by it a repetition is known")]
    EventId(usize),
    /// The end of a journal is not accepted without a reason.
    #[error("give a reason of 1 to {0} octets: it is recorded, so name no persons")]
    AcceptReason(usize),
    /// A copy is not taken for the directory that it was made of.
    #[error("this data directory is a copy ({0}): where it is to go on alone run `sekisho restore --accept`")]
    Copy(Fenced),
    /// What was made here is no copy.
    #[error(
        "this data directory was made here and is no copy: start it; if that is refused because of the journal's end, \
         run `sekisho journal accept-end`"
    )]
    NoCopy,
    /// The journal is not the one that was signed.
    #[error("{0}")]
    Contradicted(String),
    /// A text that is no checkpoint, or no key of one.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// An event that no rule is about.
    #[error("no rule is about {0}: look at sekisho rules")]
    NoRule(String),
    /// No card, or no holder.
    #[error(transparent)]
    Id(#[from] crate::record::IdError),
    /// No ticket.
    #[error(transparent)]
    Ticket(#[from] crate::record::TicketError),
    /// No comment.
    #[error(transparent)]
    Comment(#[from] crate::record::CommentError),
    /// The archive does not take a comment.
    #[error(
        "the comment cannot be kept, and nothing was changed: {0}; what archives nothing else (all but `issue`, \
         `authority rollover` and `signer renew`) can be given without a comment"
    )]
    CommentNotKept(StoreError),
    /// A report about nobody, or about two.
    #[error("name a card or a holder, and not both")]
    Subject,
    /// A new key is there, and does not issue yet.
    #[error(
        "the key of {0}, generation {1}, waits and issues from {2} on: let it issue now with `sekisho authority activate --authority {0}`"
    )]
    KeyWaits(String, u8, crate::der::UnixTime),
    /// No key waits to issue.
    #[error("no key of {0} waits: make the next one with `sekisho authority rollover --authority {0}`")]
    NoKeyWaits(String),
    /// A key that is not there.
    #[error("authority {0} has no key of generation {1}")]
    NoSuchKey(String, u8),
    /// A key that is not retired.
    #[error("the key of {0}, generation {1}, is not retired: {2}")]
    NotRetired(String, u8, NotRetired),
    /// No reason.
    #[error(transparent)]
    Reason(#[from] ReasonError),
    /// What was so at a time that has not come cannot be told.
    #[error("{at} has not come yet, it is {now}: leave --at out to ask about now")]
    NotYet {
        /// The time asked about.
        at: crate::der::UnixTime,
        /// The time it is.
        now: crate::der::UnixTime,
    },
    /// No time.
    #[error(transparent)]
    Time(#[from] crate::der::TimeError),
    /// No municipality code.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// A certificate no verifier can be known by.
    #[error(transparent)]
    Verifier(#[from] CertificateError),
    /// No name of a verifier.
    #[error(transparent)]
    VerifierName(#[from] NameError),
    /// The application for a certificate is wrong.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// Keys and kinds do not fit together.
    #[error(transparent)]
    SubjectKeys(#[from] SubjectKeysError),
    /// A certificate was not made as it was ordered.
    #[error(transparent)]
    NotAsOrdered(#[from] NotAsOrdered),
    /// No key could be made.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// The profile cannot be put together.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A rule stands against it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A CA's or signer's certificate, where a resident's is meant.
    #[error("{}", of_an_issuer(authority, certificate, *kind))]
    OfAnIssuer {
        /// The authority's name.
        authority: String,
        /// Which certificate.
        certificate: CertificateRef,
        /// What it is.
        kind: CertificateKind,
    },
    /// The committer did not take it.
    #[error(transparent)]
    Submit(SubmitError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store cannot be examined.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The disk refused something.
    #[error(transparent)]
    Disk(#[from] DiskFault),
    /// A file could not be written or read back.
    #[error("{}: {error}", .path.display())]
    Written {
        /// The file.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A key on file cannot be used.
    #[error("{path}: {error}")]
    Key {
        /// The file.
        path: String,
        /// Why.
        error: KeyError,
    },
    /// A signer put into `signers/` cannot be used.
    #[error("{path}: {error}")]
    Signer {
        /// The file.
        path: String,
        /// Why.
        error: SignerFileError,
    },
    /// Files of `signers/` cannot be used; the others are.
    #[error("{0}; the other OCSP signers sign")]
    SignersRefused(String),
    /// No OCSP signer, or none in use.
    #[error("{0}: look at `sekisho signer list`")]
    NoSigner(String),
    /// More than one signer is meant, or one that nobody can have meant.
    #[error("{0}")]
    WhichSigner(String),
    /// Nobody would sign in a signer's place.
    #[error(
        "nothing was revoked, for no other signer could take over from {which}: {why}; mend that, or repeat with \
         --without-successor: signers of other kinds answer then, or nobody"
    )]
    NoSuccessor {
        /// The signer.
        which: String,
        /// Why there is no other.
        why: String,
    },
    /// The key of a live authority cannot be used.
    #[error("the private key of authority {authority}, generation {generation}, {fault}")]
    KeyUnusable {
        /// The authority's name.
        authority: String,
        /// Its generation.
        generation: u8,
        /// Why, and what to do.
        fault: super::KeyFault,
    },
    /// An authority has had as many keys as can be told apart.
    #[error("authority {0} has had all the keys that can be numbered: it gets no other")]
    GenerationsSpent(String),
    /// An authority has no key that may still sign.
    #[error("authority {0} has no key that may still sign: its CA certificates have expired")]
    NoGeneration(String),
    /// An authority has keys, and none of them issues.
    #[error(transparent)]
    NoIssuingKey(#[from] NoIssuingKey),
    /// The settings name another organization than the certificates.
    #[error("profile.organization is {configured}, but the authorities here are named {issued}: set it back")]
    Organization {
        /// What the settings say.
        configured: String,
        /// What the CA certificates say.
        issued: String,
    },
    /// The system gives no threads.
    #[error("no thread for signing: {0}; raise the limit of processes")]
    Threads(std::io::Error),
    /// A signature could not be made.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The wall clock is not believed: nothing is signed.
    #[error(
        "{0}: nothing is signed until it is right again; set it, or, if it is right now, run `sekisho clock release`"
    )]
    Clock(Distrust),
    /// A CRL set of no authority.
    #[error("name the authority whose CRLs are to be published")]
    NothingToPublish,
    /// A CRL did not pass the gate.
    #[error("the CRL set was held back, the last one stays: {0}")]
    Gate(String),
    /// All that a compromised key signed is being revoked one by one.
    #[error(
        "all that the compromised key of {0}, generation {1}, signed is being revoked one by one: the next CRL set \
         comes out right behind it, and OCSP answers `revoked` already"
    )]
    Revoking(String, u8),
    /// The two folds of the journal disagree.
    #[error("{0}")]
    Doubt(String),
    /// A set is smaller than can be explained, and waits for an operator.
    #[error(
        "CRL set {set} was held back, the last one stays: {finding}; look at it, and if it is right, run \
         `sekisho crl release --set {set} --reason …`"
    )]
    HeldBack {
        /// The set.
        set: String,
        /// What the gate found first.
        finding: String,
    },
    /// There is no such set to be let go.
    #[error("{0}")]
    NotHeldBack(String),
    /// There is no set of that name any more.
    #[error("there is no CRL set {0} here: look at `sekisho crl list`; sets are kept for crl.keep_days")]
    NoSet(String),
    /// The journal or the archive lacks something, and trying again changes nothing.
    #[error("{0}; restore it from a backup")]
    Lacks(String),
    /// The key for public notices cannot be used.
    #[error("no public notice can be signed: {0}")]
    Notice(#[from] NoticeFault),
    /// What stands in the archive or catalogue is not what was put there.
    #[error("{0}")]
    Damaged(String),
}

fn issued_by(authority: &str, is_issued: bool) -> String {
    if is_issued { format!("issued by {authority}") } else { format!("never issued by {authority}") }
}

fn of_an_issuer(authority: &str, certificate: &CertificateRef, kind: CertificateKind) -> String {
    let CertificateRef { serial, generation, .. } = certificate;
    let (what, command) = match kind {
        CertificateKind::OcspSigner => {
            ("an OCSP signer", format!("sekisho signer revoke --authority {authority} --serial {serial}"))
        }
        _ => (
            "the CA certificate",
            format!("sekisho authority compromised --authority {authority} --generation {generation}"),
        ),
    };
    format!(
        "certificate {serial} of {authority} is {what} of generation {generation}, and no resident's: nothing was \
         changed; if its key is compromised, run `{command}`"
    )
}

impl From<SubjectKeyError> for OfficeError {
    fn from(error: SubjectKeyError) -> Self {
        Self::Issue(IssueError::Key(error))
    }
}

impl From<SubmitError> for OfficeError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => Self::Refused(refusal),
            other => Self::Submit(other),
        }
    }
}

/// Sorts errors by what the asker can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The answer is no.
    Refused,
    /// The key belongs to another request: take another, or ask what was asked with it.
    Key,
    /// The request is wrong.
    Request,
    /// Later, perhaps.
    Moment,
    /// A fault here.
    Service,
    /// Something is damaged or lost, or is a copy, and trying again changes nothing: a person must look.
    Damage,
}

impl OfficeError {
    /// Whose turn it is.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::NoIssuingKey(none) if none.may_come_back() => Blame::Moment,
            Self::NoIssuingKey(_) => Blame::Refused,
            Self::Refused(Refusal::Records(_) | Refusal::Breaks(_) | Refusal::Unfounded(_)) => Blame::Service,
            Self::Refused(_)
            | Self::ForeignCertificate
            | Self::OfAnIssuer { .. }
            | Self::KeyWaits(..)
            | Self::NoKeyWaits(_)
            | Self::NotRetired(..)
            | Self::GenerationsSpent(_)
            | Self::Gate(_)
            | Self::HeldBack { .. }
            | Self::NotHeldBack(_)
            | Self::NoSigner(_)
            | Self::NoSet(_) => Blame::Refused,
            Self::Submit(SubmitError::KeyReused) => Blame::Key,
            Self::UnknownAuthority(..)
            | Self::NotACertificate
            | Self::Kind(_)
            | Self::Kinds(_)
            | Self::EventId(_)
            | Self::AcceptReason(_)
            | Self::NoCopy
            | Self::Checkpoint(_)
            | Self::Subject
            | Self::NoSuchKey(..)
            | Self::NoRule(_)
            | Self::Id(_)
            | Self::Ticket(_)
            | Self::Comment(_)
            | Self::NotYet { .. }
            | Self::Serial(_)
            | Self::SerialText(_)
            | Self::BareSerial { .. }
            | Self::Bundle(_)
            | Self::Reason(_)
            | Self::Time(_)
            | Self::Partition(_)
            | Self::Verifier(_)
            | Self::VerifierName(_)
            | Self::Issue(_)
            | Self::SubjectKeys(_)
            | Self::Submit(SubmitError::Unwritable(_))
            | Self::Organization { .. }
            | Self::Config(_)
            | Self::NothingToPublish
            | Self::Signer { .. }
            | Self::SignersRefused(_)
            | Self::WhichSigner(_)
            | Self::Open(OpenError::Locked(_))
            | Self::Data(DataError::Absent(_) | DataError::Present(_) | DataError::TooOpen { .. }) => {
                Blame::Request
            }
            Self::Submit(SubmitError::NotReady(NotReady::Fenced(_)))
            | Self::Copy(_)
            | Self::Contradicted(_)
            | Self::Store(StoreError::Fenced(_)) => Blame::Damage,
            Self::Submit(_)
            | Self::Clock(_)
            | Self::NoSuccessor { .. }
            | Self::CommentNotKept(_)
            | Self::Revoking(..)
            | Self::Store(StoreError::Rebuilding(_) | StoreError::Closed | StoreError::Archive(_)) => {
                Blame::Moment
            }
            // Restarted, it would end in the same.
            Self::Store(
                StoreError::Damaged(_)
                | StoreError::NoSuchPlace(_)
                | StoreError::NoSuchEntry(_)
                | StoreError::IssueLost { .. }
                | StoreError::Unfounded(_),
            )
            | Self::Damaged(_)
            | Self::Lacks(_)
            | Self::Open(OpenError::Damaged(_) | OpenError::End { .. } | OpenError::NoJournal(_))
            | Self::Check(CheckError::Damaged(_) | CheckError::Open(OpenError::End { .. })) => Blame::Damage,
            Self::Store(_)
            | Self::Open(_)
            | Self::Check(_)
            | Self::Data(_)
            | Self::Disk(_)
            | Self::Written { .. }
            | Self::Key { .. }
            | Self::Notice(_)
            | Self::KeyUnusable { .. }
            | Self::NoGeneration(_)
            | Self::Generate(_)
            | Self::Profile(_)
            | Self::Threads(_)
            | Self::Sign(_)
            | Self::NotAsOrdered(_)
            | Self::Doubt(_) => Blame::Service,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{AuthorityId, SerialNumber};
    use crate::record::{ArchivePlace, Position, WriteError};

    #[test]
    fn who_gives_too_long_a_field_is_told_to_give_a_shorter_one() {
        let error = OfficeError::from(SubmitError::Unwritable(WriteError::octets("reason", 256, 255)));
        assert_eq!(error.blame(), Blame::Request);
        assert!(error.to_string().starts_with("the reason has 256 octets"), "{error}");
    }

    #[test]
    fn what_a_restart_does_not_mend_is_not_tried_again() {
        let (authority, serial) = (AuthorityId(1), SerialNumber::try_from(7_u64).unwrap());
        for error in [
            StoreError::NoSuchPlace(ArchivePlace(104)),
            StoreError::NoSuchEntry(Position(7)),
            StoreError::IssueLost { authority, serial },
        ] {
            assert_eq!(OfficeError::from(error).blame(), Blame::Damage);
        }
        assert_eq!(OfficeError::Damaged("ca/sign-1.pem".to_owned()).blame(), Blame::Damage);
    }
}
