use std::fs;
use std::path::PathBuf;

use crate::matrix::{Client, examine};
use crate::orders::{Asked, Order};
use crate::service::run;
use crate::stage::{Life, Stage};
use crate::world::ESASHI;

#[test]
fn gnutls_decides_right_by_the_full_crl_and_looks_at_no_scope() {
    examine(Client::GnuTls, |orders| orders.iter().flat_map(decide).collect());
}

/// What the matrix says of it.
#[test]
fn gnutls_keeps_the_newest_crl_of_an_issuer_and_takes_a_delta_for_a_whole_one() {
    let stage = Stage::shared();
    let find =
        |life| stage.cases.iter().find(|case| (case.certificate.authority == "auth") && case.life == life);
    let [revoked, since] = [Life::Revoked, Life::RevokedSince].map(|life| find(life).unwrap());
    let [own, other] = ESASHI.map(|(partition, _)| stage.base.find("auth", 1, &partition.to_string()));
    let [base, delta] = [stage.base.find("auth", 1, "full"), stage.deltas.find("auth", 1, "delta")];
    let orders = [
        // Of one second: the last.
        (revoked, [&other, &own], "revoked"),
        (revoked, [&own, &other], "good"),
        // The delta is newer.
        (revoked, [&base, &delta], "good"),
        (revoked, [&delta, &base], "good"),
        (since, [&base, &delta], "revoked"),
        (since, [&delta, &base], "revoked"),
    ];
    for (case, crls, word) in orders {
        let asked = Asked { file: case.certificate.file.clone(), life: case.life, right: case.life.now() };
        let (cas, crls) = (vec![stage.world.ca("auth", 1)], crls.map(PathBuf::clone).to_vec());
        let said = decide(&Order { deltas: false, cas, crls: crls.clone(), certificates: vec![asked] });
        assert_eq!(said, [word], "it has learnt: put that into the matrix: {:?} {crls:?}", case.life);
    }
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
