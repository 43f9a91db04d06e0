//! Clients that are libraries of Java: a small program does all orders in one start.
//!
//! It reads them from a file, one a line, fields separated by tabs and files by commas, and prints a
//! word for each certificate:
//!
//! ```text
//! plain|deltas  CAs  CRLs  certificates
//! ```

use std::fs;
use std::path::Path;

use crate::matrix::{Client, examine};
use crate::orders::Order;
use crate::service::run;

#[test]
fn java_decides_right_in_every_order_of_the_files() {
    examine(Client::Jdk, |orders| java("Jdk.java", "", orders));
}

#[test]
fn bouncycastle_decides_right_in_every_order_of_the_files() {
    examine(Client::BouncyCastle, |orders| java("BouncyCastle.java", JARS, orders));
}

pub const JARS: &str = "/usr/share/java/bcprov.jar:/usr/share/java/bcpkix.jar:/usr/share/java/bcutil.jar";

pub fn java(program: &str, class_path: &str, orders: &[Order]) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let plan = home.path().join("plan");
    fs::write(&plan, orders.iter().map(line).collect::<String>()).unwrap();
    let source = format!("{}/tests/crl_interop/{program}", env!("CARGO_MANIFEST_DIR"));
    let ran = run("java", &["-cp", class_path, &source, plan.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    ran.stdout.lines().map(str::to_owned).collect()
}

fn line(order: &Order) -> String {
    let Order { deltas, cas, crls, certificates } = order;
    let deltas = if *deltas { "deltas" } else { "plain" };
    let [cas, crls] = [cas, crls].map(|files| joined(files.iter().map(std::path::PathBuf::as_path)));
    format!("{deltas}\t{cas}\t{crls}\t{}\n", joined(certificates.iter().map(|asked| asked.file.as_path())))
}

fn joined<'a>(files: impl Iterator<Item = &'a Path>) -> String {
    files.map(|file| file.to_str().unwrap()).collect::<Vec<_>>().join(",")
}
