//! pkilint remarks what `findings.md` gives a reason for, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use sekisho::crl::CrlKind;
use sekisho::der::{DerError, Reader};
use sekisho::pki::CertificateKind;

use crate::service::python;
use crate::stage::{AUTHORITIES, GENERATIONS, KINDS, Stage};

/// An object, and `SEVERITY code` of what is remarked in it.
type Findings = BTreeSet<(String, String)>;

#[test]
fn pkilint_remarks_only_what_the_table_gives_a_reason_for() {
    let stage = Stage::shared();
    let objects = objects(&stage);
    let kinds: BTreeMap<&str, usize> = objects.iter().fold(BTreeMap::new(), |mut kinds, (what, _)| {
        *kinds.entry(*what).or_default() += 1;
        kinds
    });
    assert_eq!(kinds.len(), 10, "{kinds:?}");
    let found =
        objects.iter().zip(lint(objects.iter().map(|(_, file)| file))).flat_map(|((what, _), said)| {
            let remarks = said.split(", ").filter(|remark| *remark != "clean");
            remarks.map(|remark| ((*what).to_owned(), remark.to_owned())).collect::<Vec<_>>()
        });
    let (found, table) = (Findings::from_iter(found), table());
    let unexplained: Vec<_> = found.difference(&table).collect();
    let gone: Vec<_> = table.difference(&found).collect();
    assert!(
        unexplained.is_empty() && gone.is_empty(),
        "not in findings.md: {unexplained:?}; not found: {gone:?}"
    );
}

/// It finds what is wrong: a period that ends before it begins, and a list with an empty list in it.
#[test]
fn pkilint_finds_what_is_wrong_with_a_crl() {
    let stage = Stage::shared();
    let file = stage.base.find("sign", 1, "full");
    let good = pem::parse(fs::read(file).unwrap()).unwrap().into_contents();
    let mut backwards = good;
    let times: Vec<usize> =
        (0..backwards.len() - 2).filter(|at| backwards[*at..*at + 2] == *b"\x17\x0d").collect();
    let next_update = times[1] + 2;
    backwards[next_update..next_update + 2].copy_from_slice(b"01");
    let backwards = stage.world.write("backwards.pem", "X509 CRL", backwards);
    assert_eq!(lint([&backwards].into_iter()), ["ERROR pkix.crl_negative_validity_period"]);
}

/// Of every CRL and of one certificate of each kind by each key.
fn objects(stage: &Stage) -> Vec<(&'static str, PathBuf)> {
    let sets = [&stage.base, &stage.deltas, &stage.now];
    let crls = sets.into_iter().flat_map(|set| &set.rows).map(|(row, file)| {
        let what = match row.kind {
            CrlKind::Full => "full CRL",
            CrlKind::Partition => "partition CRL",
            CrlKind::Authority => "ARL",
            CrlKind::Delta => "delta CRL",
        };
        (what, file.clone())
    });
    let mut objects = Vec::from_iter(crls);
    for generation in GENERATIONS {
        for kind in KINDS {
            let is_it = |of: &crate::world::Certificate| (of.kind, of.generation) == (kind, generation);
            let case = stage.cases.iter().find(|case| is_it(&case.certificate)).unwrap();
            objects.push((name(kind), case.certificate.file.clone()));
        }
        for authority in AUTHORITIES {
            objects.push((name(CertificateKind::Ca), stage.world.ca(authority, generation)));
        }
    }
    objects.extend(signers(stage).into_iter().map(|file| (name(CertificateKind::OcspSigner), file)));
    objects
}

const fn name(kind: CertificateKind) -> &'static str {
    match kind {
        CertificateKind::Ca => "CA certificate",
        CertificateKind::OcspSigner => "OCSP signer",
        CertificateKind::CardSign => "card, signing",
        CertificateKind::CardAuth => "card, authentication",
        CertificateKind::PhoneSign => "phone, signing",
        CertificateKind::PhoneAuth => "phone, authentication",
    }
}

/// As they stand in the archive.
fn signers(stage: &Stage) -> Vec<PathBuf> {
    let store = stage.world.office.store();
    let facts = store.facts();
    let signers = facts.issuers.iter().filter(|record| record.issued.kind == CertificateKind::OcspSigner);
    let files = signers.map(|record| {
        let archived = store.archive_read(record.issued.archive).unwrap();
        let certificate = Reader::new(&archived).sequence(|r| Ok::<_, DerError>(r.element()?.whole.to_vec()));
        let of = record.issued.certificate;
        let name = format!("signer-{}-{}.pem", of.authority.0, of.serial);
        stage.world.write(&name, "CERTIFICATE", certificate.unwrap())
    });
    let files = Vec::from_iter(files);
    assert_eq!(files.len(), 2 * 2 * 2, "two by each key of each authority");
    files
}

fn lint<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Vec<String> {
    let files: Vec<&str> = files.map(|file| file.to_str().unwrap()).collect();
    let ran = python(include_str!("crl_pkilint.py"), &files);
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    let said: Vec<String> = ran.stdout.lines().map(str::to_owned).collect();
    assert_eq!(said.len(), files.len());
    said
}

/// The rows of `findings.md`: linter, object, severity, code, reason.
fn table() -> Findings {
    let text = include_str!("findings.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| pkilint | ")?.strip_suffix(" |"));
    let mut table = Findings::new();
    for row in rows {
        let [object, severity, code, reason] = row.split(" | ").collect::<Vec<_>>()[..] else {
            panic!("five cells: {row}")
        };
        assert!(!reason.is_empty(), "{row}");
        let new = table.insert((object.to_owned(), format!("{severity} {}", code.trim_matches('`'))));
        assert!(new, "twice: {row}");
    }
    table
}
