use std::fs;

use crate::matrix::{Client, examine};
use crate::orders::{Asked, Order};
use crate::service::run;

#[test]
fn gnutls_decides_right_by_the_full_crl_and_looks_at_no_scope() {
    examine(Client::GnuTls, |orders| orders.iter().flat_map(decide).collect());
}

fn decide(order: &Order) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let [cas, crls] = [("cas", &order.cas), ("crls", &order.crls)].map(|(name, files)| {
        let file = home.path().join(name);
        fs::write(&file, files.iter().flat_map(|file| fs::read(file).unwrap()).collect::<Vec<u8>>()).unwrap();
        file.to_str().unwrap().to_owned()
    });
    let word = |asked: &Asked| {
        let certificate = asked.file.to_str().unwrap();
        let trust = ["--load-ca-certificate", &cas, "--load-crl", &crls];
        let said = run("certtool", &[&["--verify", "--infile", certificate][..], &trust].concat()).text();
        let verdict = said.lines().find_map(|line| line.strip_prefix("Chain verification output: "));
        match verdict.unwrap_or_default().trim_end() {
            "Verified. The certificate is trusted." => "good".to_owned(),
            "Not verified. The certificate is NOT trusted. The certificate chain is revoked." => {
                "revoked".to_owned()
            }
            _ => format!("failed: {said}"),
        }
    };
    order.certificates.iter().map(word).collect()
}
