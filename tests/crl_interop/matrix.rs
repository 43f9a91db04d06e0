//! The one truth about which program decides by which CRLs; `matrix.md` is it in print.

use std::fmt::Write;

use crate::orders::{Asked, Given, Order, orders};
use crate::stage::{Stage, Verdict};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    OpenSsl,
    Jdk,
    BouncyCastle,
    GnuTls,
}

/// Why a client says something else than what is right, or is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lack {
    OpenSslWithoutExtended,
    JdkIgnoresDeltas,
    GnuTlsIgnoresScope,
    GnuTlsOneList,
}

/// Lets a client decide on everything, by everything it takes.
///
/// `act` gets all orders and says a word for each certificate in them.
pub fn examine(client: Client, act: impl FnOnce(&[Order]) -> Vec<String>) {
    let stage = Stage::shared();
    let all: Vec<(Given, Order)> = Given::ALL
        .into_iter()
        .filter(|given| client.lack(*given).is_none_or(Lack::is_steady))
        .flat_map(|given| client.orders(&stage, given).into_iter().map(move |order| (given, order)))
        .collect();
    let (givens, orders): (Vec<Given>, Vec<Order>) = all.into_iter().unzip();
    let mut said = act(&orders).into_iter();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (given, order) in givens.into_iter().zip(&orders) {
        for asked in &order.certificates {
            let word = said.next().unwrap_or_else(|| "nothing".to_owned());
            let right = client.word(client.says(given, asked));
            count += 1;
            if word != right {
                let Order { cas, crls, .. } = order;
                wrong.push(format!("{given:?}, {:?}: {word}, not {right}: {cas:?} {crls:?}", asked.life));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{client:?}, {} of {count}:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
    assert_eq!(said.next(), None, "{client:?} said more than it was asked");
}

impl Client {
    pub const ALL: [Self; 4] = [Self::OpenSsl, Self::Jdk, Self::BouncyCastle, Self::GnuTls];

    const fn name(self) -> &'static str {
        match self {
            Self::OpenSsl => "OpenSSL",
            Self::Jdk => "Java (JDK)",
            Self::BouncyCastle => "BouncyCastle",
            Self::GnuTls => "GnuTLS",
        }
    }

    const fn how(self) -> &'static str {
        match self {
            Self::OpenSsl => {
                "`openssl verify -crl_check`, with `-use_deltas -extended_crl` where deltas are used; names no reason, \
                 so a hold reads as revoked"
            }
            Self::Jdk => {
                "`PKIXRevocationChecker` with a `CertStore` of CRLs; needs `setPolicyQualifiersRejected(false)`, since \
                 the policies of residents' certificates are critical and carry a CPS qualifier"
            }
            Self::BouncyCastle => {
                "`CertPathValidator` of the provider `BC`, the same setting; `setUseDeltasEnabled(true)` where \
                 deltas are used"
            }
            Self::GnuTls => "`certtool --verify --load-crl`; names no reason either",
        }
    }

    const fn lack(self, given: Given) -> Option<Lack> {
        match (self, given) {
            (Self::OpenSsl, Given::DeltaUnasked) => Some(Lack::OpenSslWithoutExtended),
            (Self::Jdk, Given::Delta) => Some(Lack::JdkIgnoresDeltas),
            (Self::GnuTls, Given::Partitions | Given::Delta | Given::DeltaUnasked | Given::DeltaAlone) => {
                Some(Lack::GnuTlsOneList)
            }
            (Self::GnuTls, Given::OtherPartition) => Some(Lack::GnuTlsIgnoresScope),
            _ => None,
        }
    }

    /// What it says of a certificate.
    fn says(self, given: Given, asked: &Asked) -> Verdict {
        match self.lack(given) {
            None | Some(Lack::OpenSslWithoutExtended | Lack::GnuTlsOneList) => asked.right,
            Some(Lack::JdkIgnoresDeltas) => asked.life.then(),
            Some(Lack::GnuTlsIgnoresScope) => Verdict::Good,
        }
    }

    fn orders(self, stage: &Stage, given: Given) -> Vec<Order> {
        // Java puts them into a set without order.
        let cas_turned = matches!(self, Self::OpenSsl | Self::GnuTls);
        let mut orders = orders(stage, given, cas_turned);
        if self == Self::GnuTls {
            // A process for each certificate: one of each life.
            for order in &mut orders {
                let mut seen = Vec::new();
                order.certificates.retain(|asked| {
                    let first = !seen.contains(&asked.life);
                    seen.push(asked.life);
                    first
                });
            }
        }
        orders
    }

    pub fn word(self, verdict: Verdict) -> String {
        let names_reasons = matches!(self, Self::Jdk | Self::BouncyCastle);
        match verdict {
            Verdict::Good => "good".to_owned(),
            Verdict::Undecided => "undecided".to_owned(),
            Verdict::Revoked(reason) if names_reasons => format!("revoked {reason}").to_lowercase(),
            Verdict::Revoked(_) => "revoked".to_owned(),
        }
    }
}

impl Lack {
    const ALL: [Self; 4] =
        [Self::OpenSslWithoutExtended, Self::JdkIgnoresDeltas, Self::GnuTlsIgnoresScope, Self::GnuTlsOneList];

    const fn why(self) -> &'static str {
        match self {
            Self::OpenSslWithoutExtended => {
                "3.0.19, without `-extended_crl`, with or without `-use_deltas`: takes a delta for a whole CRL, \
                 and prefers it as the newer: what is revoked in the base alone is then **good**. Keep deltas out of the \
                 file, or give both options. 3.0.22 passes the delta by, or with `-use_deltas` takes it for what it is"
            }
            Self::JdkIgnoresDeltas => "ignores deltas: says what the full CRL says",
            Self::GnuTlsIgnoresScope => {
                "ignores the issuing distribution point: says **good** by a list that does not speak of the \
                 certificate. Give it the full CRL"
            }
            Self::GnuTlsOneList => {
                "keeps one CRL of an issuer, the newest, whatever its scope, and takes a delta for a whole CRL: says \
                 **good** of what is revoked in another"
            }
        }
    }

    /// Whether the order of the files does not matter to it; else it has a test of its own.
    const fn is_steady(self) -> bool {
        matches!(self, Self::JdkIgnoresDeltas | Self::GnuTlsIgnoresScope)
    }

    /// Its number among the notes.
    fn note(self) -> usize {
        1 + Self::ALL.iter().position(|lack| *lack == self).unwrap()
    }
}

/// The matrix in print.
fn printed() -> String {
    let mut text = String::from(
        "# CRLs: what other programs decide by them\n\n\
         Made from `matrix.rs`, and compared with it by `the_printed_matrix_is_the_one_that_is_run`. A `yes` means that the \
         program\nsays what is right of every certificate: of all four kinds, in two towns whose names are one, under two \
         live keys\nwith one name; good, revoked, held and released, and what of it happened since the base. Each key is asked \
         by itself and\nboth together, the files in every order. A number says what a program does instead.\n\n",
    );
    for client in Client::ALL {
        writeln!(text, "- **{}**: {}", client.name(), client.how()).unwrap();
    }
    let names = Client::ALL.map(Client::name).join(" | ");
    writeln!(text, "\n| given | {names} |\n|{}", "---|".repeat(1 + Client::ALL.len())).unwrap();
    for given in Given::ALL {
        let cell =
            |client: Client| client.lack(given).map_or("yes".to_owned(), |lack| lack.note().to_string());
        writeln!(text, "| {} | {} |", given.what(), Client::ALL.map(cell).join(" | ")).unwrap();
    }
    text.push('\n');
    for lack in Lack::ALL {
        writeln!(text, "{}. {}", lack.note(), lack.why()).unwrap();
    }
    text.push_str(BESIDES);
    text
}

/// Each line of it is a test of its own.
const BESIDES: &str = "
## Besides

- The CRL of the CA certificates (ARL): OpenSSL (`-crl_check_all`), Java and BouncyCastle say by it whether a CA's
  certificate is revoked; by the full CRL likewise.
- OpenSSL ignores the delta of a base without freshestCRL: every full CRL carries it. `openssl crl -verify` takes the first
  CA certificate of the issuer's name: give it the one whose key signed.
- rustls-webpki decides by the full CRL of the key that signed the certificate; where that of the other key comes first,
  it gives up. It reads a partition's CRL and the ARL but knows distribution points by URL only, and refuses deltas. It
  takes no certificate of a resident: their policies are critical, which it does not know. So it was asked about
  certificates without, under the same serials.
- python-cryptography reads every kind, entry for entry, and verifies it with the key that signed it and no other.
- pkilint's remarks on CRLs and certificates stand in [findings.md](findings.md).
";

#[test]
fn the_printed_matrix_is_the_one_that_is_run() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/crl_interop/matrix.md");
    let (committed, now) = (std::fs::read_to_string(file).unwrap_or_default(), printed());
    if committed != now {
        let fresh = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("crl-matrix.md");
        std::fs::write(&fresh, now).unwrap();
        panic!(
            "tests/crl_interop/matrix.md is not what is run; if that is meant: cp {} {file}",
            fresh.display()
        );
    }
}
