//! The one truth about which program asks and reads what; `matrix.md` is it in print.

use std::fmt::Write;

/// What a question's certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Good,
    Revoked,
    Hold,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

/// Of the CertID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    Sha1,
    Sha256,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    pub status: Status,
    pub nonce: bool,
    pub method: Method,
    pub hash: Hash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    OpenSsl,
    GnuTls,
    Jdk,
    BouncyCastle,
    Cryptography,
    PkiLint,
}

/// An answer to a good certificate's question that nobody may believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    FlippedSignature,
    OtherAuthority,
    WithoutUsage,
    OtherNonce,
}

/// Why a client cannot be asked something: it offers no way to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    OpenSslGet,
    GnuTlsGet,
    GnuTlsSha256,
    JdkSha256,
}

/// What every client knows.
pub const PLAIN: Question =
    Question { status: Status::Good, nonce: false, method: Method::Post, hash: Hash::Sha1 };

/// One thing pkilint remarks in our answers or our signers' certificates.
#[derive(Debug)]
pub struct Finding {
    pub code: &'static str,
    pub severity: &'static str,
    pub reason: &'static str,
}

/// All of them; a further one turns the test red.
pub const FINDINGS: [Finding; 1] = [Finding {
    code: "pkix.subject_key_identifier_method_1_identified",
    severity: "INFO",
    reason: "in the signer's certificate; says what the profile wants: the key identifier is the SHA-1 of the key",
}];

impl Question {
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for status in [Status::Good, Status::Revoked, Status::Hold, Status::Unknown] {
            for nonce in [false, true] {
                for method in [Method::Get, Method::Post] {
                    for hash in [Hash::Sha1, Hash::Sha256] {
                        all.push(Self { status, nonce, method, hash });
                    }
                }
            }
        }
        all
    }
}

impl Client {
    pub const ALL: [Self; 6] =
        [Self::OpenSsl, Self::GnuTls, Self::Jdk, Self::BouncyCastle, Self::Cryptography, Self::PkiLint];

    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenSsl => "OpenSSL",
            Self::GnuTls => "GnuTLS",
            Self::Jdk => "Java (JDK)",
            Self::BouncyCastle => "BouncyCastle",
            Self::Cryptography => "python-cryptography",
            Self::PkiLint => "pkilint",
        }
    }

    const fn how(self) -> &'static str {
        match self {
            Self::OpenSsl => "`openssl ocsp`: asks, verifies, compares the nonce",
            Self::GnuTls => {
                "`ocsptool --ask`: asks, verifies, compares the nonce; names no reason, so a hold reads as revoked"
            }
            Self::Jdk => {
                "`PKIXRevocationChecker` in a path validation: asks, verifies, compares the nonce of its own \
                 (`jdk.security.certpath.ocspNonce`); GETs what makes a short address, POSTs the rest"
            }
            Self::BouncyCastle => {
                "`OCSPReqBuilder`, `BasicOCSPResp`: builds, reads, verifies; `HttpURLConnection` carries"
            }
            Self::Cryptography => "`x509.ocsp`: builds, reads, verifies; `urllib` carries",
            Self::PkiLint => "`lint_ocsp_response` on the answers that python-cryptography got",
        }
    }

    pub fn lacks(self, question: Question) -> Option<Lack> {
        let get = question.method == Method::Get;
        let sha256 = question.hash == Hash::Sha256;
        match self {
            Self::OpenSsl if get => Some(Lack::OpenSslGet),
            Self::GnuTls if get => Some(Lack::GnuTlsGet),
            Self::GnuTls if sha256 => Some(Lack::GnuTlsSha256),
            Self::Jdk if sha256 => Some(Lack::JdkSha256),
            _ => None,
        }
    }

    /// The questions it knows.
    pub fn questions(self) -> Vec<Question> {
        Question::all().into_iter().filter(|question| self.lacks(*question).is_none()).collect()
    }

    /// What it must say of a certificate of this status.
    pub const fn word(self, status: Status) -> &'static str {
        match (self, status) {
            (Self::PkiLint, _) => "clean",
            (_, Status::Good) => "good",
            (Self::GnuTls, Status::Hold) | (_, Status::Revoked) => "revoked",
            (_, Status::Hold) => "hold",
            (_, Status::Unknown) => "unknown",
        }
    }

    /// Whether it looks at signatures at all.
    pub fn verifies(self) -> bool {
        self != Self::PkiLint
    }
}

impl Forgery {
    pub const ALL: [Self; 4] =
        [Self::FlippedSignature, Self::OtherAuthority, Self::WithoutUsage, Self::OtherNonce];

    const fn what(self) -> &'static str {
        match self {
            Self::FlippedSignature => "one bit of the signature turned",
            Self::OtherAuthority => "signed by an OCSP signer of the other authority",
            Self::WithoutUsage => "signed with a certificate of the same authority without id-kp-OCSPSigning",
            Self::OtherNonce => "genuine, but made for another nonce than the one just sent",
        }
    }
}

impl Lack {
    const ALL: [Self; 4] = [Self::OpenSslGet, Self::GnuTlsGet, Self::GnuTlsSha256, Self::JdkSha256];

    const fn why(self) -> &'static str {
        match self {
            Self::OpenSslGet => "`openssl ocsp` only POSTs",
            Self::GnuTlsGet => "`ocsptool --ask` only POSTs",
            Self::GnuTlsSha256 => "`ocsptool` has no option for the CertID's hash: it is SHA-1",
            Self::JdkSha256 => "`PKIXRevocationChecker` has no setting for the CertID's hash: it is SHA-1",
        }
    }

    /// Its number among the notes.
    fn note(self) -> usize {
        1 + Self::ALL.iter().position(|lack| *lack == self).unwrap()
    }
}

/// The matrix in print.
fn printed() -> String {
    let mut text = String::from(
        "# OCSP: what other programs ask and read\n\n\
         Made from `matrix.rs`, and compared with it by `the_printed_matrix_is_the_one_that_is_run`. Every `yes` is \
         asked by that\nprogram of a running service, seen on the wire as asked, and answered right; a number says \
         why a program cannot ask.\n\n",
    );
    for client in Client::ALL {
        writeln!(text, "- **{}**: {}", client.name(), client.how()).unwrap();
    }
    text.push_str(
        "\nrasn-ocsp decodes, and encodes to the same octets, every answer in `tests/rfc6960.rs`.\n\n",
    );
    let names = Client::ALL.map(Client::name).join(" | ");
    let rule = "---|".repeat(4 + Client::ALL.len());
    writeln!(text, "| status | nonce | method | CertID | {names} |\n|{rule}").unwrap();
    for question in Question::all() {
        let cells = Client::ALL.map(|client| cell(client, question)).join(" | ");
        let status = format!("{:?}", question.status).to_lowercase();
        let nonce = if question.nonce { "nonce" } else { "none" };
        let method = format!("{:?}", question.method).to_uppercase();
        let hash = if question.hash == Hash::Sha1 { "SHA-1" } else { "SHA-256" };
        writeln!(text, "| {status} | {nonce} | {method} | {hash} | {cells} |").unwrap();
    }
    text.push('\n');
    for lack in Lack::ALL {
        writeln!(text, "{}. {}", lack.note(), lack.why()).unwrap();
    }
    text.push_str(
        "\n## Forged answers\n\nEvery one is refused. Given the same way, a genuine answer is believed, and so is one forged under a proper signer.\n\n",
    );
    writeln!(text, "| forgery | {names} |\n|{}", "---|".repeat(1 + Client::ALL.len())).unwrap();
    for forgery in Forgery::ALL {
        let cells = Client::ALL.map(|client| if client.verifies() { "refuses" } else { "verifies nothing" });
        writeln!(text, "| {} | {} |", forgery.what(), cells.join(" | ")).unwrap();
    }
    text.push_str("\n## What pkilint remarks\n\n| code | severity | why it stays |\n|---|---|---|\n");
    for Finding { code, severity, reason } in FINDINGS {
        writeln!(text, "| `{code}` | {severity} | {reason} |").unwrap();
    }
    text
}

fn cell(client: Client, question: Question) -> String {
    client.lacks(question).map_or_else(|| "yes".to_owned(), |lack| lack.note().to_string())
}

#[test]
fn the_printed_matrix_is_the_one_that_is_run() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/matrix.md");
    let (committed, now) = (std::fs::read_to_string(file).unwrap_or_default(), printed());
    if committed != now {
        let fresh = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("matrix.md");
        std::fs::write(&fresh, now).unwrap();
        panic!("tests/interop/matrix.md is not what is run; if that is meant: cp {} {file}", fresh.display());
    }
}
