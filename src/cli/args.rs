//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::admin::api::Comment;
use crate::simulate;

/// JPKI-style certificate revocation service with test keys: issues, revokes, and serves OCSP and CRLs.
#[derive(Debug, Parser)]
#[command(name = "sekisho", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Arguments {
    /// Data directory
    #[arg(long, global = true, value_name = "DIR", env = "SEKISHO_DATA", default_value = "./sekisho-data")]
    pub data: PathBuf,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 the answer is no, 2 wrong use, 3 service not reached, 4 internal fault, 7 damage or a \
     copy: a person must look.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fresh test authorities with residents, served at once: try this first
    Demo(Demo),
    /// Make a data directory: keys, authorities, settings
    Init(Init),
    /// Run the service
    Serve(Serve),
    /// Issue a resident's certificates
    Issue(Box<Issue>),
    /// Get a certificate that was issued, or list them
    #[command(subcommand)]
    Certificate(CertificateCommand),
    /// Revoke a resident's certificate, for ever
    Revoke(Revoke),
    /// Put a resident's certificate on hold that is on no card; what is on one: card suspend
    Hold(Hold),
    /// Lift a hold on a certificate that is on no card; what is on one: card found
    Release(Release),
    /// Tell a certificate's status and which entry says so
    Status(Status),
    /// Tell where an answer about a certificate would come from
    Explain(Explain),
    /// Publish, list, look into, compare and check CRLs
    #[command(subcommand)]
    Crl(Crl),
    /// Take over the OCSP signers in signers/, and nothing else; SIGHUP does the same
    Reload,
    /// Export the journal, say that a cut was seen to, or take a journal's end as it is
    #[command(subcommand)]
    Journal(Journal),
    /// Tell whether the data directory is a copy, or let a copy go on alone
    Restore(Restore),
    /// Show the clock, or vouch for it after it stepped
    Clock(Clock),
    /// Apply for a card, hand it over, suspend it, take it up when it is found, show it
    #[command(subcommand)]
    Card(CardCommand),
    /// Carry out what the resident registry reports
    #[command(subcommand)]
    Movements(MovementsCommand),
    /// Let a country in miniature live for some days, in a fresh data directory
    Simulate(Simulate),
    /// Compare cards with their certificates, and each person's cards with each other
    Reconcile,
    /// Print what revokes what
    Rules,
    /// List the keys of authorities, let one follow another, retire one, revoke all that one signed
    #[command(subcommand)]
    Authority(AuthorityCommand),
    /// List, renew or revoke the OCSP signers
    #[command(subcommand)]
    Signer(Signer),
    /// Register, suspend or list the verifiers who may ask by OCSP
    #[command(subcommand)]
    Verifier(Verifier),
    /// Examine the data directory; reads only
    Check(Check),
    /// Ask an OCSP responder as fast as it answers, and measure it
    Load(Load),
    /// Write test-only authorities and keys
    #[command(hide = true)]
    TestMaterial {
        /// Where to
        directory: PathBuf,
    },
}

/// `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// URL written into certificates and examples [default: the address listened on]
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Address of the public listener; port 0 lets the system choose
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Residents to make on the first start, each with both certificates
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub residents: u32,
    /// Write what there is to try, as JSON, once ready
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Stop once ready, for measuring
    #[arg(long)]
    pub exit_after_ready: bool,
    #[command(flatten)]
    pub presign: Presign,
}

/// `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The O of every name
    #[arg(long, default_value = "SEKISHO-TEST")]
    pub organization: String,
}

/// `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Settings [default: sekisho.toml in the data directory]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub presign: Presign,
}

/// `issue`.
#[derive(Debug, Args)]
pub struct Issue {
    /// Issue for every line of this file; each a JSON object with the names of these options, _ for -
    #[arg(long, value_name = "FILE.ndjson", conflicts_with_all = ["name", "birth", "sex", "address", "municipality", "csr", "public_key", "test_key"])]
    pub batch: Option<PathBuf>,
    /// Family and given name
    #[arg(long, required_unless_present = "batch")]
    pub name: Option<String>,
    /// Former surname (旧氏): certified in brackets after the family name
    #[arg(long, value_name = "SURNAME", conflicts_with = "batch")]
    pub former_surname: Option<String>,
    /// 1 for each character of the name as certified, brackets and space too, that is a substitute, 0 for others
    #[arg(long, value_name = "FLAGS", conflicts_with = "batch")]
    pub name_substitutes: Option<String>,
    /// Date of birth, YYYY-MM-DD; 1948-07-00 or 1948-00-00 when not all of it is known, or unknown
    #[arg(long, required_unless_present = "batch")]
    pub birth: Option<String>,
    /// male, female or other
    #[arg(long, required_unless_present = "batch")]
    pub sex: Option<String>,
    /// Address, prefecture first; 国外転出 and the date for who moved overseas and goes on using the card
    #[arg(long, required_unless_present = "batch")]
    pub address: Option<String>,
    /// 1 for each character of the address that is a substitute, 0 for others
    #[arg(long, value_name = "FLAGS", conflicts_with = "batch")]
    pub address_substitutes: Option<String>,
    /// Municipality code, five digits
    #[arg(long, value_name = "CODE", required_unless_present = "batch")]
    pub municipality: Option<String>,
    /// sign, auth, phone-sign, phone-auth
    #[arg(long, value_name = "KINDS", value_delimiter = ',', default_value = "sign,auth")]
    pub kind: Vec<String>,
    /// Public key from a PKCS#10 request; for two kinds one each: --csr sign=FILE --csr auth=FILE
    #[arg(long, value_name = "[KIND=]FILE")]
    pub csr: Vec<OsString>,
    /// Public key from a SubjectPublicKeyInfo file; for two kinds one each, as with --csr
    #[arg(long, value_name = "[KIND=]FILE")]
    pub public_key: Vec<OsString>,
    /// Public keys from the committed pool of test keys
    #[arg(long, conflicts_with_all = ["csr", "public_key"])]
    pub test_key: bool,
    /// Put them on this card, which was applied for
    #[arg(long, value_name = "CARD", group = "place", conflicts_with = "batch")]
    pub card: Option<String>,
    /// Put them on this card instead of those that are there
    #[arg(long, value_name = "CARD", group = "place", conflicts_with = "batch")]
    pub renew: Option<String>,
    /// Put them on a phone that is set up with this card
    #[arg(long, value_name = "CARD", group = "place", conflicts_with = "batch")]
    pub phone_with: Option<String>,
    #[command(flatten)]
    pub grounds: Grounds,
    /// Where to write the certificates; tried before anything is issued
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// Idempotency key: repeating the command with it issues nothing twice [default with --batch: a digest of the file]
    #[arg(long)]
    pub key: Option<String>,
}

/// `certificate`.
#[derive(Debug, Subcommand)]
pub enum CertificateCommand {
    /// Print a certificate out of the archive, as PEM
    Get(GetCertificate),
    /// List certificates: of an authority, on a card or phone, or of a person
    List(ListCertificates),
}

/// `certificate get`.
#[derive(Debug, Args)]
pub struct GetCertificate {
    /// sign or auth
    #[arg(long)]
    pub authority: String,
    /// Serial number, as issue printed it
    #[arg(long)]
    pub serial: String,
    /// DER instead of PEM
    #[arg(long)]
    pub der: bool,
    /// Write it to this file, readable for its owner alone
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `certificate list`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("of").required(true).args(["authority", "card", "holder"])))]
pub struct ListCertificates {
    /// All of an authority, in the order of serials, page by page
    #[arg(long)]
    pub authority: Option<String>,
    /// All on a card or phone
    #[arg(long)]
    pub card: Option<String>,
    /// All of a person, as card apply or issue printed them
    #[arg(long)]
    pub holder: Option<String>,
    /// Those after this serial
    #[arg(long, value_name = "SERIAL", requires = "authority")]
    pub after: Option<String>,
    /// So many at most [default: 100]
    #[arg(long, value_name = "N", requires = "authority", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: Option<u32>,
}

/// What something is done for.
#[derive(Debug, Clone, Args)]
pub struct Grounds {
    /// Ticket, for the journal: A-Z a-z 0-9 . _ / -, at most 40, and no names of persons
    #[arg(long)]
    pub ticket: Option<String>,
    /// Comment, for the archive: a line of up to 500 characters; status shows it, no export does
    #[arg(long)]
    pub comment: Option<Comment>,
}

/// What a change is made for, and by what its repetition is known.
#[derive(Debug, Args)]
pub struct WhatFor {
    #[command(flatten)]
    pub grounds: Grounds,
    /// Idempotency key
    #[arg(long)]
    pub key: Option<String>,
}

/// `card`.
#[derive(Debug, Subcommand)]
pub enum CardCommand {
    /// Apply for a card; certificates are put on it by issue --card
    Apply {
        /// Who, as printed when their first certificates were issued [default: somebody new]
        #[arg(long)]
        holder: Option<String>,
        /// Municipality code, five digits
        #[arg(long, value_name = "CODE")]
        municipality: String,
        /// When the card itself expires, e.g. 2036-11-22T14:59:59Z
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        #[command(flatten)]
        what_for: WhatFor,
    },
    /// Hand a card over; refused unless it is good and every earlier one is at its end
    HandOver {
        /// The card
        card: String,
        #[command(flatten)]
        what_for: WhatFor,
    },
    /// Suspend a card or phone that was lost or stolen: what is on it is put on hold
    Suspend {
        /// The card or phone
        card: String,
        #[command(flatten)]
        what_for: WhatFor,
    },
    /// Take up one that was found: what is on a card ends, and issue --renew puts new ones on it; of a phone,
    /// the hold on its authentication certificate is lifted
    Found {
        /// The card or phone
        card: String,
        #[command(flatten)]
        what_for: WhatFor,
    },
    /// Show a card or phone, and what is on it
    Show {
        /// The card or phone
        card: String,
    },
}

/// `movements`.
#[derive(Debug, Subcommand)]
pub enum MovementsCommand {
    /// Report every line of a file, each a JSON object with event_id, kind, card or holder, effective_at
    Import {
        /// The feed; - for standard input
        #[arg(value_name = "FILE.ndjson")]
        file: PathBuf,
        /// Tell what each line would do after those before it, and write nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        grounds: Grounds,
    },
}

/// `simulate`.
#[derive(Debug, Args)]
pub struct Simulate {
    /// How many people there are; four in five have a card at the beginning
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=i64::from(simulate::RESIDENTS_MAX)))]
    pub residents: u32,
    /// How many days
    #[arg(long, value_name = "D", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=i64::from(simulate::DAYS_MAX)))]
    pub days: u32,
    /// Chance: the same seed, people, days and first day come to the same records
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// The first day, YYYY-MM-DD in Japan; the last must be over
    #[arg(long, value_name = "DATE", default_value = "2025-04-01", value_parser = date)]
    pub from: time::Date,
    /// Write all certificates and their states, as JSON, as `demo --manifest` does
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
}

fn date(text: &str) -> Result<time::Date, String> {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    time::Date::parse(text, format).map_err(|_| "write a date as YYYY-MM-DD".to_owned())
}

/// Names a certificate.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Certificate {
    /// sign or auth
    #[arg(long, requires = "serial", conflicts_with = "cert")]
    pub authority: Option<String>,
    /// Serial number: 0x407, 04:07 or dec:1031; bare digits are refused
    #[arg(long, requires = "authority", conflicts_with = "cert")]
    pub serial: Option<String>,
    /// The certificate itself, PEM or DER, alone or with its chain
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
}

/// `revoke`.
#[derive(Debug, Args)]
pub struct Revoke {
    #[command(flatten)]
    pub certificate: Certificate,
    /// Ground, by its name in RFC 5280 [default: unspecified]
    #[arg(long)]
    pub reason: Option<String>,
    /// Since when it is invalid, e.g. 2026-11-22T10:00:00Z
    #[arg(long, value_name = "TIME")]
    pub invalid_since: Option<String>,
    #[command(flatten)]
    pub what_for: WhatFor,
}

/// `hold`.
#[derive(Debug, Args)]
pub struct Hold {
    #[command(flatten)]
    pub certificate: Certificate,
    /// Since when it is invalid, e.g. 2026-11-22T10:00:00Z
    #[arg(long, value_name = "TIME")]
    pub invalid_since: Option<String>,
    #[command(flatten)]
    pub what_for: WhatFor,
}

/// `release`.
#[derive(Debug, Args)]
pub struct Release {
    #[command(flatten)]
    pub certificate: Certificate,
    #[command(flatten)]
    pub what_for: WhatFor,
}

/// `status`.
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    pub certificate: Certificate,
    /// At this time, e.g. 2026-11-22T10:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
}

/// `crl`.
#[derive(Debug, Subcommand)]
pub enum Crl {
    /// Build and publish a CRL set now
    Publish {
        /// Only this authority's
        #[arg(long)]
        authority: Option<String>,
    },
    /// List the CRLs being served, and what does not come out
    List,
    /// Publish a set that was held back, for a reason that is recorded
    Release {
        /// The set, as `crl list` names it
        #[arg(long)]
        set: String,
        /// Why it is right all the same
        #[arg(long)]
        reason: String,
    },
    /// Make a past set again from the journal, and compare it octet for octet
    Rebuild {
        /// The set
        #[arg(long)]
        set: String,
        /// Write its CRLs there
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Tell what is in a CRL: DER or PEM, - for standard input, or http://
    Show {
        /// The CRL
        file: String,
        /// Show the first N entries
        #[arg(long, value_name = "N")]
        entries: Option<usize>,
    },
    /// Tell what changed from one CRL to another, or by a delta
    Diff {
        /// The older CRL, or the base
        before: String,
        /// The newer CRL, or the delta
        after: String,
        /// Show so many entries of each kind
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Check a CRL as a verifier does, and by it a certificate
    Verify(VerifyCrl),
}

/// `crl verify`.
#[derive(Debug, Args)]
pub struct VerifyCrl {
    /// The CRL: DER or PEM, - for standard input, or http://
    pub file: String,
    /// Certificate of the CA key that signed it
    #[arg(long, value_name = "FILE")]
    pub ca: String,
    /// A delta CRL to it
    #[arg(long, value_name = "FILE")]
    pub delta: Option<String>,
    /// Say whether this certificate is revoked
    #[arg(long, value_name = "FILE")]
    pub cert: Option<String>,
    /// At this time, e.g. 2026-11-22T10:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
}

/// `authority …`.
#[derive(Debug, Subcommand)]
pub enum AuthorityCommand {
    /// List all keys: which issue, which only sign CRLs and OCSP signers, which are retired, lost or compromised
    List,
    /// Give an authority its next key: CA certificate, OCSP signers and CRLs at once, certificates later
    Rollover {
        /// sign or auth
        #[arg(long)]
        authority: String,
        /// From when it issues, e.g. 2026-12-22T10:00:00Z [default: 30 days from now]
        #[arg(long, value_name = "TIME", conflicts_with = "now")]
        issue_from: Option<String>,
        /// It issues at once: verifiers may not know its CA certificate yet
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        grounds: Grounds,
    },
    /// Let the key that waits issue from now on
    Activate {
        /// sign or auth
        #[arg(long)]
        authority: String,
        #[command(flatten)]
        grounds: Grounds,
    },
    /// Have a key make its last CRLs, valid until its CA certificate ends: it signs nothing more, and may be
    /// destroyed
    Retire {
        /// sign or auth
        #[arg(long)]
        authority: String,
        /// Which of its keys
        #[arg(long)]
        generation: u8,
        #[command(flatten)]
        grounds: Grounds,
    },
    /// Revoke all that a compromised key signed, issued or not, for ever; nothing is issued by it again
    Compromised {
        /// sign or auth
        #[arg(long)]
        authority: String,
        /// Which of its keys
        #[arg(long)]
        generation: u8,
        /// Since when it is believed to be in other hands, e.g. 2026-11-22T10:00:00Z
        #[arg(long, value_name = "TIME")]
        invalid_since: Option<String>,
        #[command(flatten)]
        what_for: WhatFor,
    },
}

/// `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    pub certificate: Certificate,
}

/// `clock`.
#[derive(Debug, Args)]
pub struct Clock {
    #[command(subcommand)]
    pub what: Option<ClockCommand>,
}

/// `journal export`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ExportJournal {
    /// Write the very octets of the frames, one behind the other: who has them needs nobody's word for the
    /// chain
    #[arg(long)]
    pub frames: bool,
    /// Write there; a file that is there is not written over [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `journal …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Journal {
    /// Write the journal for who checks it: a JSON line an entry, which names its frame; it names no persons
    Export(ExportJournal),
    /// What was cut off the journal's end after a power loss has been seen to
    Seen,
    /// Take the journal up to its last good entry, give up what followed, and begin a new epoch; of a
    /// directory that no service runs on
    AcceptEnd {
        /// Why, for the journal: at most 200 octets, and no names of persons
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// Let this copy go on alone, above all numbers that may have been given; of a directory that no service
    /// runs on
    #[arg(long, requires = "reason")]
    pub accept: bool,
    /// Why, for the journal: at most 200 octets, and no names of persons
    #[arg(long, value_name = "TEXT", requires = "accept")]
    pub reason: Option<String>,
    /// Ask the public address of the service that it was made of what was published there last
    #[arg(long, value_name = "http://HOST[:PORT]", requires = "accept")]
    pub ask: Option<String>,
}

/// `clock …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum ClockCommand {
    /// Show what the clocks say, and whether they are believed [default]
    Status,
    /// Believe the wall clock from now on: look at it first
    Release,
}

/// Which answers are signed before anybody asks.
#[derive(Debug, Args)]
pub struct Presign {
    /// Sign the answers about all of an authority's certificates, or of every authority's, before
    /// anybody asks
    #[arg(long, value_name = "AUTHORITY", num_args = 0..=1, default_missing_value = "")]
    pub presign: Option<String>,
    /// How those who will ask name the issuer
    #[arg(long, value_name = "HASH", value_parser = ["sha1", "sha256"], default_value = "sha1", requires = "presign")]
    pub presign_hash: String,
}

/// `signer`.
#[derive(Debug, Subcommand)]
pub enum Signer {
    /// List the signers, and files in signers/ that are not used
    List {
        /// Those that have expired too
        #[arg(long)]
        all: bool,
    },
    /// Make new signers, which sign at once in the place of those in use; all of them unless told which
    Renew {
        /// Only of this authority: sign or auth
        #[arg(long)]
        authority: Option<String>,
        /// Only of this key generation
        #[arg(long)]
        generation: Option<u8>,
        /// Only of this kind of key
        #[arg(long, value_parser = SIGNER_KINDS)]
        kind: Option<String>,
        #[command(flatten)]
        grounds: Grounds,
    },
    /// Revoke a signer for ever, once another has taken over; no signature of it is given after that
    Revoke(RevokeSigner),
}

/// As `ocsp.signers` names them.
const SIGNER_KINDS: [&str; 4] = ["p256", "rsa2048", "p384", "ed25519"];

/// `signer revoke`.
#[derive(Debug, Args)]
pub struct RevokeSigner {
    /// sign or auth
    #[arg(long)]
    pub authority: String,
    /// Serial number of its certificate: 0x407, 04:07 or dec:1031; bare digits are refused
    #[arg(long, required_unless_present = "generation", conflicts_with = "generation")]
    pub serial: Option<String>,
    /// The one in use for this key generation
    #[arg(long)]
    pub generation: Option<u8>,
    /// Of this kind of key, where there are several
    #[arg(long, value_parser = SIGNER_KINDS, requires = "generation", conflicts_with = "serial")]
    pub kind: Option<String>,
    /// Ground, by its name in RFC 5280 [default: keyCompromise]
    #[arg(long)]
    pub reason: Option<String>,
    /// Since when it is invalid, e.g. 2026-11-22T10:00:00Z
    #[arg(long, value_name = "TIME")]
    pub invalid_since: Option<String>,
    /// Also when no other can be certified: signers of other kinds answer then, or nobody
    #[arg(long)]
    pub without_successor: bool,
    #[command(flatten)]
    pub what_for: WhatFor,
}

/// `verifier`.
#[derive(Debug, Subcommand)]
pub enum Verifier {
    /// Register a verifier by its certificate, or let a suspended one ask again
    Add {
        /// Its name
        #[arg(long)]
        name: String,
        /// The certificate it signs its requests with, PEM or DER
        #[arg(long, value_name = "FILE")]
        cert: PathBuf,
    },
    /// List the register
    List,
    /// Let a verifier ask no longer
    Suspend(SuspendVerifier),
}

/// `verifier suspend`.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct SuspendVerifier {
    /// All certificates registered under this name
    #[arg(long)]
    pub name: Option<String>,
    /// One certificate, PEM or DER
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
}

/// `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Fold the journal anew and compare every row
    #[arg(long)]
    pub deep: bool,
    /// Hold the journal against a checkpoint kept elsewhere, as the log or /crl/checkpoint gave it
    #[arg(long, value_name = "FILE|URL")]
    pub checkpoint: Option<String>,
    /// What signs checkpoints, as init printed it [default: checkpoint.pub in the data directory]
    #[arg(long, value_name = "KEY", requires = "checkpoint")]
    pub checkpoint_key: Option<String>,
}

/// `load`.
#[derive(Debug, Args)]
pub struct Load {
    /// Where to ask, http://HOST[:PORT]/PATH [default: the manifest's]
    #[arg(long, value_name = "URL", required_unless_present = "requests")]
    pub target: Option<String>,
    /// Ask about the certificates of this manifest (`demo --manifest`)
    #[arg(long, value_name = "MANIFEST", required_unless_present = "issuer", conflicts_with = "issuer")]
    pub requests: Option<PathBuf>,
    /// Ask about certificates of this CA: its certificate, PEM or DER
    #[arg(long, value_name = "FILE")]
    pub issuer: Option<PathBuf>,
    /// Their serials, as 0x5 or dec:5: one, a range 0x64-0xc7, or several with commas
    #[arg(long, value_name = "A-B", value_delimiter = ',', requires = "issuer")]
    pub serials: Vec<String>,
    /// One of them, PEM or DER; may be repeated
    #[arg(long, value_name = "FILE", requires = "issuer")]
    pub cert: Vec<PathBuf>,
    /// How to ask
    #[arg(long, value_enum, default_value = "post")]
    pub method: Method,
    /// Hash of the issuer in the question
    #[arg(long, value_enum, default_value = "sha1")]
    pub hash: Hash,
    /// Percentage of questions with a nonce
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub nonce: u8,
    /// Connections kept busy
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=LOAD_CONNECTIONS_MAX))]
    pub connections: u16,
    /// Seconds to ask for
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=LOAD_SECONDS_MAX))]
    pub seconds: u32,
    /// Questions under way on a connection (HTTP pipelining)
    #[arg(long, value_name = "DEPTH", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=LOAD_PIPELINE_MAX), conflicts_with = "rate")]
    pub pipeline: u8,
    /// Questions a second, however slow the answers [default: the next one after each answer]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=LOAD_RATE_MAX))]
    pub rate: Option<u32>,
    /// Threads that ask
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=LOAD_THREADS_MAX))]
    pub threads: u8,
}

/// As many as the usual limit of 1,024 open files leaves.
const LOAD_CONNECTIONS_MAX: i64 = 1000;
/// An hour: a forgotten run ends by itself.
const LOAD_SECONDS_MAX: i64 = 3600;
/// Enough to spare the generator most system calls; more only measures the queue in the server.
const LOAD_PIPELINE_MAX: i64 = 64;
/// Beyond what the cores of one machine can ask.
const LOAD_RATE_MAX: i64 = 10_000_000;
/// More cores than one generator machine has to spare.
const LOAD_THREADS_MAX: i64 = 64;

/// How a question travels (RFC 6960 App. A): in the path as base64, or as the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Method {
    Get,
    Post,
}

/// Hash of a CertID: that of nearly every client, or that of RFC 9919.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Hash {
    Sha1,
    Sha256,
}
