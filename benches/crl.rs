//! Time and memory of a set's CRLs, beside the time of hashing and signing as many octets,
//! and beside rcgen.
//!
//! `crl/full/N`: N records, one after another, to one signed CRL; `crl/set/N`: the same to the
//! CRLs of 1,922 partitions; `crl/delta/N`: the delta of N records of which one in a hundred changed;
//! `crl/gate/N`: the gate over the full one, its records read anew and compared with the status index; `crl/rcgen/N` and, where OpenSSL is
//! installed, `crl/openssl-ca/N` (`openssl ca -gencrl`): the full one by others. Each runs in a process
//! of its own, so that `peak_bytes` (VmHWM) is its own.
//!
//! `cargo bench --bench crl [-- --json FILE]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a bench fails by panicking"
)]

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer as RcgenIssuer,
    KeyPair, RevokedCertParams,
};
use ring::digest;
use sekisho::crl::{
    Audit, CrlNumber, Entries, Expected, Layout, Previous, Scope, Selection, SetPlan, SignedCrl, gate,
    tbs_cert_list,
};
use sekisho::der::UnixTime;
use sekisho::pki::{
    AuthorityId, CertStatus, CertificateKind, Generation, Issuer, Partition, Revocation, RevocationReason,
    SerialNumber,
};
use sekisho::record::{ArchivePlace, CertificateRef, Change, Epoch, Issued, Position, Record};
use sekisho::signer::Key;
use sekisho::status::{Overruled, StatusIndex, StatusWord};

#[path = "support/machine.rs"]
mod machine;
#[path = "support/report.rs"]
mod report;

/// What is measured, for how many entries.
const CASES: [(&str, u64); 22] = [
    ("full", 1_000),
    ("full", 100_000),
    ("full", 1_000_000),
    ("full", 10_000_000),
    ("set", 1_000),
    ("set", 100_000),
    ("set", 1_000_000),
    ("set", 10_000_000),
    ("delta", 1_000),
    ("delta", 100_000),
    ("delta", 1_000_000),
    ("delta", 10_000_000),
    ("gate", 1_000),
    ("gate", 100_000),
    ("gate", 1_000_000),
    ("gate", 10_000_000),
    ("rcgen", 1_000),
    ("rcgen", 100_000),
    ("rcgen", 1_000_000),
    ("openssl-ca", 1_000),
    ("openssl-ca", 100_000),
    ("openssl-ca", 1_000_000),
];
/// The median of so many runs counts; of the largest, and of OpenSSL's, one does.
const RUNS: usize = 5;
const LARGE: u64 = 10_000_000;
/// Of the records of a delta, one in so many changed since its base.
const CHANGED_ONE_IN: u64 = 100;
/// Municipalities of the JPKI profile.
const PARTITIONS: u64 = 1_922;
/// How a process of ours knows that it is a child: `crl --case full 1000`.
const CHILD: &str = "--case";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == CHILD) {
        println!("{}", measured(&arguments[at + 1], arguments[at + 2].parse().unwrap()));
        return;
    }
    let json = arguments.iter().position(|argument| argument == "--json").map(|at| &arguments[at + 1]);
    println!(
        "{:<20} {:>10} {:>12} {:>14} {:>7} {:>11} {:>11}",
        "", "s", "octets", "hash and sign", "ratio", "peak MB", "of octets"
    );
    let mut rows = Vec::new();
    let has_openssl = Command::new("openssl").arg("version").output().is_ok();
    for (case, entries) in CASES {
        if case == "openssl-ca" && !has_openssl {
            continue;
        }
        let row = in_a_child(case, entries);
        let number = |field: &str| row[field].as_f64().unwrap();
        println!(
            "{:<20} {:>10.4} {:>12} {:>14.4} {:>7.2} {:>11.1} {:>11.2}",
            row["name"].as_str().unwrap(),
            number("value"),
            number("octets"),
            number("value") / number("ratio"),
            number("ratio"),
            number("peak_bytes") / 1e6,
            number("peak_bytes") / number("octets"),
        );
        rows.push(row);
    }
    if let Some(file) = json {
        report::write_rows(Path::new(file), rows);
    }
}

fn in_a_child(case: &str, entries: u64) -> serde_json::Value {
    let this = std::env::current_exe().unwrap();
    let out = Command::new(this).args([CHILD, case, &entries.to_string()]).output().unwrap();
    assert!(out.status.success(), "{case}/{entries}: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// The row of one case.
fn measured(case: &str, entries: u64) -> serde_json::Value {
    let ca = Ca::new();
    let before = machine::peak_bytes();
    let mut octets = 0;
    let runs = if entries == LARGE || case == "openssl-ca" { 1 } else { RUNS };
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let (took, made) = match case {
                "full" => ca.full(entries),
                "set" => ca.set(entries),
                "gate" => ca.gate(entries),
                "delta" => ca.delta(entries),
                "openssl-ca" => ca.openssl_ca(entries),
                _ => ca.rcgen(entries),
            };
            octets = made;
            took
        })
        .collect();
    let peak = if case == "openssl-ca" { PEAK_OF_OTHERS.load(Relaxed) } else { machine::peak_bytes() };
    times.sort();
    let signatures = if case == "set" { PARTITIONS.min(entries) } else { 1 };
    let limit = ca.hash_and_sign(octets, signatures);
    let value = times[runs / 2].as_secs_f64();
    serde_json::json!({
        "name": format!("crl/{case}/{entries}"), "value": value, "unit": "s",
        "limit": "hash and sign", "ratio": value / limit.as_secs_f64(),
        "peak_bytes": peak, "peak_bytes_before": before, "octets": octets,
    })
}

struct Ca {
    params: CertificateParams,
    pair: KeyPair,
    key: Key,
    issuer: Issuer,
}

impl Ca {
    fn new() -> Self {
        let pair = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        let mut params = CertificateParams::default();
        // With a subjectKeyIdentifier, which OpenSSL wants for its authorityKeyIdentifier.
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&pair).unwrap();
        let key = Key::from_pkcs8(&pair.serialize_der()).unwrap();
        let issuer = Issuer::from_certificate(AuthorityId(1), Generation::FIRST, certificate.der()).unwrap();
        Self { params, pair, key, issuer }
    }

    /// From records to the signed full CRL.
    fn full(&self, entries: u64) -> (Duration, usize) {
        let start = Instant::now();
        let crl = self.full_crl(entries);
        (start.elapsed(), crl.der().len())
    }

    fn full_crl(&self, entries: u64) -> SignedCrl {
        self.sign(Scope::FULL, encoded(entries))
    }

    fn sign(&self, scope: Scope<'_>, entries: Entries) -> SignedCrl {
        let tbs = tbs_cert_list(&self.issuer, self.key.algorithm(), scope, &plan(), entries);
        tbs.sign(&self.key).unwrap()
    }

    /// From records to the signed CRL of every partition, one after another.
    fn set(&self, entries: u64) -> (Duration, usize) {
        let start = Instant::now();
        let entries = encoded(entries);
        let mut octets = 0;
        for partition in entries.partitions() {
            let scope = Scope::Partition { partition, distribution_point: &self.issuer.name };
            octets += self.sign(scope, entries.of(scope)).der().len();
        }
        (start.elapsed(), octets)
    }

    /// The gate over the full CRL, from the records on.
    fn gate(&self, entries: u64) -> (Duration, usize) {
        let (crl, plan, index) = (self.full_crl(entries), plan(), StatusIndex::new());
        each_record(entries, |record| {
            let CertificateRef { authority, serial, .. } = record.issued.certificate;
            let (seen, word) = (StatusWord::NEVER_ISSUED, StatusWord::of(record));
            index.overrule(&[Overruled { authority, serial, seen, word }]);
        });
        let start = Instant::now();
        let selection = Selection::complete(plan);
        let mut audit = Audit::begin(crl.der(), AuthorityId(1), Scope::FULL, selection, None).unwrap();
        // Both folds side by side, as the office reads them.
        let mut indexed = index.each(AuthorityId(1));
        each_record(entries, |record| {
            let (serial, word) = indexed.next().unwrap();
            assert_eq!(serial, record.issued.certificate.serial);
            assert_eq!(word.disagrees_with(record), None);
            audit.add(record);
        });
        assert_eq!(indexed.next(), None);
        let expected = Expected { plan: &plan, scope: Scope::FULL, previous: Previous::First };
        let facts = gate(crl.der(), &self.issuer, &expected, &audit.finish().unwrap()).unwrap();
        assert_eq!(facts.entries(), entries);
        (start.elapsed(), crl.der().len())
    }

    /// From all records to the signed delta of those that changed.
    fn delta(&self, entries: u64) -> (Duration, usize) {
        let start = Instant::now();
        let base = SetPlan { position: Position(1), ..plan() };
        let selection = Selection::delta(plan(), base);
        let scope = Scope::Delta { base: base.number };
        let records = |take: &mut dyn FnMut(&Record)| {
            let mut number = 0;
            each_record(entries, |record| {
                number += 1;
                // The others had changed before the base.
                let mut record = record.clone();
                if number % CHANGED_ONE_IN != 0 {
                    record.changes[0].position = Position(1);
                }
                take(&record);
            });
        };
        let mut layout = Layout::new(AuthorityId(1), selection);
        records(&mut |record| layout.add(record));
        let mut encoder = layout.begin();
        records(&mut |record| encoder.add(record).unwrap());
        let listed = encoder.finish().unwrap();
        assert_eq!(listed.count(), entries / CHANGED_ONE_IN);
        let crl = self.sign(scope, listed);
        (start.elapsed(), crl.der().len())
    }

    /// `openssl ca -gencrl`, from its own index to the signed CRL.
    fn openssl_ca(&self, entries: u64) -> (Duration, usize) {
        let home = tempfile::tempdir().unwrap();
        let file = |name: &str| home.path().join(name);
        let index = std::fs::File::create(file("index.txt")).unwrap();
        let mut index = std::io::BufWriter::new(index);
        each_record(entries, |record| {
            let serial = record.issued.certificate.serial.to_u64().unwrap();
            let line = format!(
                "R\t350101000000Z\t260101000000Z,affiliationChanged\t{serial:08X}\tunknown\t/CN={serial}\n"
            );
            std::io::Write::write_all(&mut index, line.as_bytes()).unwrap();
        });
        drop(index);
        std::fs::write(file("index.txt.attr"), "unique_subject = no\n").unwrap();
        std::fs::write(file("crlnumber"), "1000\n").unwrap();
        std::fs::write(file("ca.key"), self.pair.serialize_pem()).unwrap();
        std::fs::write(
            file("ca.pem"),
            pem::encode(&pem::Pem::new("CERTIFICATE", self.issuer.certificate.clone())),
        )
        .unwrap();
        let directory = home.path().display();
        let settings = format!(
            "[ca]\ndefault_ca=c\n[c]\ndatabase={directory}/index.txt\ncrlnumber={directory}/crlnumber\n\
             certificate={directory}/ca.pem\nprivate_key={directory}/ca.key\ndefault_md=sha256\n\
             default_crl_days=2\ncrl_extensions=x\n[x]\nauthorityKeyIdentifier=keyid\n"
        );
        std::fs::write(file("ca.cnf"), settings).unwrap();
        let start = Instant::now();
        let mut made = Command::new("openssl")
            .args(["ca", "-batch", "-gencrl", "-config"])
            .arg(file("ca.cnf"))
            .arg("-out")
            .arg(file("crl.pem"))
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let status = loop {
            if let Some(peak) = machine::peak_bytes_of(&made.id().to_string()) {
                PEAK_OF_OTHERS.fetch_max(peak, Relaxed);
            }
            if let Some(status) = made.try_wait().unwrap() {
                break status;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let took = start.elapsed();
        assert!(status.success(), "{status}");
        let der = pem::parse(std::fs::read(file("crl.pem")).unwrap()).unwrap().into_contents();
        (took, der.len())
    }

    /// rcgen, from its own parameters to the signed CRL.
    fn rcgen(&self, entries: u64) -> (Duration, usize) {
        let start = Instant::now();
        let plan = plan();
        let mut revoked_certs = Vec::new();
        each_record(entries, |record| {
            let CertStatus::Revoked(revocation) = record.status() else { unreachable!() };
            revoked_certs.push(RevokedCertParams {
                serial_number: record.issued.certificate.serial.magnitude().to_vec().into(),
                revocation_time: revocation.revoked_at.date_time(),
                reason_code: Some(rcgen::RevocationReason::AffiliationChanged),
                invalidity_date: None,
            });
        });
        let params = CertificateRevocationListParams {
            this_update: plan.this_update.date_time(),
            next_update: plan.next_update.date_time(),
            crl_number: 1000.into(),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: rcgen::KeyIdMethod::PreSpecified(self.key.key_id().to_vec()),
        };
        let crl = params.signed_by(&RcgenIssuer::from_params(&self.params, &self.pair)).unwrap();
        (start.elapsed(), crl.der().len())
    }

    /// The limit: SHA-256 over as many octets, and as many bare signatures.
    fn hash_and_sign(&self, octets: usize, signatures: u64) -> Duration {
        let message = vec![0x5a; octets];
        let pair = RsaKeyPair::from_pkcs8(&self.pair.serialize_der()).unwrap();
        let random = SystemRandom::new();
        let mut signature = vec![0; pair.public_modulus_len()];
        let mut times: Vec<Duration> = (0..RUNS)
            .map(|_| {
                let start = Instant::now();
                let hash = digest::digest(&digest::SHA256, &message);
                for _ in 0..signatures {
                    pair.sign(&RSA_PKCS1_SHA256, &random, hash.as_ref(), &mut signature).unwrap();
                }
                start.elapsed()
            })
            .collect();
        times.sort();
        times[RUNS / 2]
    }
}

fn plan() -> SetPlan {
    let this_update = UnixTime::from_seconds(1_795_359_600);
    SetPlan {
        number: CrlNumber::new(Epoch::FIRST, Position(u64::from(u32::MAX))),
        position: Position(u64::from(u32::MAX)),
        this_update,
        next_update: this_update.plus(Duration::from_secs(48 * 3600)),
        scheduled: true,
        last_scheduled: Some(this_update.minus(Duration::from_secs(24 * 3600))),
    }
}

/// The records read twice: to measure, and to write.
fn encoded(entries: u64) -> Entries {
    let mut layout = Layout::new(AuthorityId(1), Selection::complete(plan()));
    each_record(entries, |record| layout.add(record));
    let mut encoder = layout.begin();
    each_record(entries, |record| encoder.add(record).unwrap());
    encoder.finish().unwrap()
}

/// As a scan of the store gives them: one at a time, in the order of their serials, four-octet
/// serials, spread over the partitions.
fn each_record(entries: u64, mut take: impl FnMut(&Record)) {
    let this_update = plan().this_update.seconds();
    let mut record = Record {
        position: Position(1),
        recorded_at: UnixTime::from_seconds(this_update - 100_000_000),
        issued: Issued {
            certificate: CertificateRef {
                authority: AuthorityId(1),
                generation: Generation::FIRST,
                serial: SerialNumber::try_from(1).unwrap(),
            },
            kind: CertificateKind::CardSign,
            partition: None,
            not_before: UnixTime::from_seconds(this_update - 100_000_000),
            not_after: UnixTime::from_seconds(this_update + 100_000_000),
            archive: ArchivePlace(0),
            sha256: [0; 32],
            holder: None,
            card: None,
            twin: None,
        },
        changes: Vec::new(),
    };
    for number in 0..entries {
        record.issued.certificate.serial = SerialNumber::try_from(0x0100_0000 + 20 * number).unwrap();
        record.issued.partition = Some(Partition(u32::try_from(number * 7_919 % PARTITIONS).unwrap()));
        let revocation = Revocation {
            revoked_at: UnixTime::from_seconds(
                this_update - i64::try_from(number * 97 % 90_000_000).unwrap(),
            ),
            reason: RevocationReason::AffiliationChanged,
            invalidity_date: None,
        };
        let status = CertStatus::Revoked(revocation);
        record.changes.clear();
        record.changes.push(Change {
            position: Position(2),
            recorded_at: revocation.revoked_at,
            status,
            cause: None,
        });
        take(&record);
    }
}

/// Of another program, as it was last seen.
static PEAK_OF_OTHERS: AtomicU64 = AtomicU64::new(0);
