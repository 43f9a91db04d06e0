//! python-cryptography holds every CRL, entry for entry, to what is true.

use std::fs;

use sekisho::crl::{CrlKind, Row};
use serde_json::{Map, Value, json};

use crate::service::python;
use crate::stage::{AUTHORITIES, Case, GENERATIONS, Life, Stage};

#[test]
fn python_cryptography_reads_every_crl_as_it_is_meant() {
    let stage = Stage::shared();
    let sets = [(&stage.base, true), (&stage.deltas, false), (&stage.now, false)];
    let rows = sets.iter().flat_map(|(set, then)| set.rows.iter().map(move |row| (row, *then)));
    let crls: Vec<Value> = rows
        .map(|((row, file), then)| json!({"row": row, "file": file, "entries": entries(&stage, row, then)}))
        .collect();
    let mut cas = Map::new();
    for authority in AUTHORITIES {
        for generation in GENERATIONS {
            cas.insert(format!("{authority}/{generation}"), json!(stage.world.ca(authority, generation)));
        }
    }
    let certificates: Vec<Value> = stage.cases.iter().map(|case| certificate(&stage, case)).collect();
    let facts = stage.world.home().join("facts.json");
    let count = format!("read {} {}\n", crls.len(), certificates.len());
    assert_eq!(crls.len(), 2 * 2 * (4 + 1 + 4), "of each set, authority and key");
    fs::write(&facts, json!({"cas": cas, "crls": crls, "certificates": certificates}).to_string()).unwrap();
    let ran = python(include_str!("crl_cryptography.py"), &[facts.to_str().unwrap()]);
    assert_eq!(ran.stdout, count, "{}", ran.text());
    assert_eq!(stage.world.office.examine(None).unwrap().findings, Vec::<String>::new());
}

/// What must stand in a CRL: by serial, reason and date.
fn entries(stage: &Stage, row: &Row, then: bool) -> Map<String, Value> {
    let mut entries = Map::new();
    for case in &stage.cases {
        let of = &case.certificate;
        let in_scope = match row.kind {
            CrlKind::Full | CrlKind::Delta => true,
            CrlKind::Partition => row.partition == Some(of.partition.to_string()),
            CrlKind::Authority => false,
        };
        if of.authority != row.authority || !in_scope {
            continue;
        }
        let revocation = if then { case.then } else { case.now };
        let listed = match row.kind {
            CrlKind::Delta if case.then == case.now => None,
            CrlKind::Delta if case.life == Life::HeldAndReleasedSince => {
                Some(("removeFromCRL".to_owned(), case.changed_at.unwrap()))
            }
            _ => revocation.map(|revocation| (revocation.reason.to_string(), revocation.revoked_at)),
        };
        if let Some((reason, date)) = listed {
            entries.insert(of.serial.to_string(), json!([reason, date.seconds()]));
        }
    }
    entries
}

fn certificate(stage: &Stage, case: &Case) -> Value {
    let of = &case.certificate;
    let in_row =
        |row: &&Row| row.authority == of.authority && row.partition == Some(of.partition.to_string());
    let row = stage.base.rows.iter().map(|(row, _)| row).find(in_row).unwrap();
    let point = &row.distribution_point.as_ref().unwrap().der;
    json!({"file": of.file, "authority": of.authority, "generation": of.generation, "point": point})
}
