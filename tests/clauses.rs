//! `tests/clauses.md` is true: every test and every mutant it names is there, every row has both,
//! and every test that speaks on the wire for a clause stands in it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a test may fail by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where tests speak to a socket.
const ON_THE_WIRE: [&str; 6] = [
    "tests/http",
    "tests/signers",
    "tests/signing",
    "tests/verifiers/wire",
    "tests/wire",
    "tests/wire_volume",
];
/// Of these, what is not about OCSP.
const OTHERS: [&str; 3] = ["documents.rs", "encodings.rs", "stopping.rs"];
const TO_COME: &str = "to come";
/// In the place of a patch, with the reason why there is none.
const NONE: &str = "none: ";

/// A row of the table.
struct Row {
    clause: String,
    answered: String,
    refused: String,
    mutant: String,
}

impl Row {
    fn read(line: &str) -> Option<Self> {
        let cells: Vec<&str> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
        let [clause, what, answered, refused, mutant] = cells[..] else { panic!("five cells: {line}") };
        let text = |cell: &str| cell.trim_matches('`').to_owned();
        (clause != "clause").then(|| Self {
            clause: format!("{clause}: {what}"),
            answered: text(answered),
            refused: text(refused),
            mutant: text(mutant),
        })
    }

    fn is_to_come(&self) -> bool {
        [&self.answered, &self.refused, &self.mutant].iter().all(|cell| *cell == TO_COME)
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn table() -> String {
    fs::read_to_string(root().join("tests/clauses.md")).unwrap()
}

fn rows() -> Vec<Row> {
    let rows: Vec<Row> = table().lines().filter_map(Row::read).collect();
    assert!(rows.len() > 50, "{}", rows.len());
    rows
}

/// Names of the tests in a file, but for those that are not run.
fn tests_in(file: &Path) -> Vec<String> {
    let parsed = syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap();
    let functions = parsed.items.into_iter().filter_map(|item| match item {
        syn::Item::Fn(function) => Some(function),
        _ => None,
    });
    let has = |function: &syn::ItemFn, name| function.attrs.iter().any(|attr| attr.path().is_ident(name));
    functions
        .filter(|function| has(function, "test") && !has(function, "ignore"))
        .map(|function| function.sig.ident.to_string())
        .collect()
}

/// Tests by name, and whether they are about OCSP.
fn tests_on_the_wire() -> Vec<(String, bool)> {
    let mut tests = Vec::new();
    for directory in ON_THE_WIRE {
        for entry in fs::read_dir(root().join(directory)).unwrap() {
            let file = entry.unwrap().path();
            let about_ocsp = !OTHERS.iter().any(|other| file.ends_with(other));
            tests.extend(tests_in(&file).into_iter().map(|name| (name, about_ocsp)));
        }
    }
    tests
}

#[test]
fn every_row_names_tests_on_the_wire_that_are_there() {
    let there = tests_on_the_wire();
    let names: BTreeSet<&str> = there.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names.len(), there.len(), "two tests of one name");
    for row in rows().iter().filter(|row| !row.is_to_come()) {
        for name in [&row.answered, &row.refused] {
            assert!(names.contains(&**name), "{}\n{name} is no test on the wire", row.clause);
        }
    }
}

#[test]
fn every_row_names_a_mutant_that_is_there() {
    for row in rows().iter().filter(|row| !row.is_to_come()) {
        if row.mutant.starts_with(NONE) {
            continue;
        }
        let patch = root().join(format!("tests/mutants/{}.patch", row.mutant));
        let text = fs::read_to_string(&patch).unwrap_or_else(|_| panic!("{}\nno {}", row.clause, row.mutant));
        assert!(text.starts_with("# red: cargo test "), "{} names no test", row.mutant);
    }
}

#[test]
fn every_mutant_of_the_wire_and_every_test_of_a_clause_stands_in_the_table() {
    let rows = rows();
    let mutants: BTreeSet<&str> = rows.iter().map(|row| &*row.mutant).collect();
    for entry in fs::read_dir(root().join("tests/mutants")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(!name.starts_with("wire-") || mutants.contains(name), "{name} is in no row");
    }
    let named: BTreeSet<&str> = rows.iter().flat_map(|row| [&*row.answered, &*row.refused]).collect();
    for (name, about_ocsp) in tests_on_the_wire() {
        let has_clause = about_ocsp && name.starts_with("rfc");
        assert!(!has_clause || named.contains(&*name), "{name} is in no row");
    }
}

#[test]
fn what_is_to_come_is_counted() {
    let rows = rows();
    let to_come: Vec<&Row> = rows.iter().filter(|row| row.is_to_come()).collect();
    for row in &to_come {
        println!("to come: {}", row.clause);
    }
    let table = table();
    let stated = table.lines().find_map(|line| line.strip_prefix("To come: ")).unwrap();
    assert_eq!(stated.parse::<usize>().unwrap(), to_come.len());
    let half = rows.iter().find(|row| !row.is_to_come() && row.answered == TO_COME);
    assert!(half.is_none(), "a row is half to come");
}
