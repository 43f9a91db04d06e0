//! `openssl verify` by CRLs from files, as several tests use it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::service::run;

/// What it says of each certificate: `good`, `revoked`, `undecided`, or how it failed.
pub fn verify(options: &[&str], cas: &[PathBuf], crls: &[PathBuf], certificates: &[&Path]) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let cas = bundle(home.path(), "cas.pem", cas);
    let crls = bundle(home.path(), "crls.pem", crls);
    let mut arguments = vec!["verify", "-CAfile", &cas, "-CRLfile", &crls];
    arguments.extend(options);
    arguments.extend(certificates.iter().map(|file| file.to_str().unwrap()));
    let ran = run("openssl", &arguments);
    certificates.iter().map(|file| word(&ran.stdout, &ran.stderr, file.to_str().unwrap())).collect()
}

/// Errors come before the line that names the certificate.
fn word(stdout: &str, stderr: &str, file: &str) -> String {
    let refused = format!("error {file}: verification failed");
    let Some(end) = stderr.lines().position(|line| line == refused) else {
        let accepted = stdout.lines().any(|line| line == format!("{file}: OK"));
        return if accepted { "good".to_owned() } else { format!("failed: {stdout}{stderr}") };
    };
    let errors = stderr.lines().take(end).collect::<Vec<_>>();
    let errors = errors.rsplit(|line| line.ends_with(": verification failed")).next().unwrap();
    let said = |what: &str| errors.iter().any(|line| line.ends_with(what));
    if said("lookup: certificate revoked") {
        "revoked".to_owned()
    } else if said("lookup: different CRL scope") || said("lookup: unable to get certificate CRL") {
        "undecided".to_owned()
    } else {
        format!("failed: {}", errors.join("; "))
    }
}

/// All files' contents in one, in this order.
pub fn bundle(home: &Path, name: &str, files: &[PathBuf]) -> String {
    let file = home.join(name);
    let all: Vec<u8> = files.iter().flat_map(|file| fs::read(file).unwrap()).collect();
    fs::write(&file, all).unwrap();
    file.to_str().unwrap().to_owned()
}
