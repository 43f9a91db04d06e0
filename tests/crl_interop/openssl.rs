use std::path::{Path, PathBuf};

use sekisho::pki::CertificateKind;

use crate::matrix::{Client, examine};
use crate::orders::Order;
use crate::service::{python, run};
use crate::stage::{Case, GENERATIONS, Life, Right, Stage};
use crate::verify::{bundle, verify};
use crate::world::Certificate;

#[test]
fn openssl_decides_right_in_every_order_of_the_files() {
    examine(Client::OpenSsl, |orders| orders.iter().flat_map(decide).collect());
}

#[test]
fn openssl_crl_verify_takes_the_first_ca_of_the_name() {
    let stage = Stage::shared();
    let [one, two] = GENERATIONS.map(|generation| stage.world.ca("sign", generation));
    for (cas, first) in [([one.clone(), two.clone()], 1), ([two, one], 2)] {
        let home = tempfile::tempdir().unwrap();
        let cas = bundle(home.path(), "cas.pem", &cas);
        for generation in GENERATIONS {
            let list = stage.base.find("sign", generation, "full");
            let said =
                run("openssl", &["crl", "-noout", "-verify", "-CAfile", &cas, "-in", list.to_str().unwrap()]);
            assert_eq!(said.text().contains("verify OK"), generation == first, "{}", said.text());
        }
    }
}

/// What the matrix says of it. Older ones take the later of both for a whole CRL, which a delta then is;
/// newer ones pass a delta by, or with `-use_deltas` take it for what it is.
#[test]
fn openssl_without_extended_crl_takes_a_delta_for_a_whole_crl_or_for_what_it_is() {
    let stage = Stage::shared();
    let [base, delta] = [stage.base.find("auth", 1, "full"), stage.deltas.find("auth", 1, "delta")];
    let cases = one_of_each_life(&stage);
    let files: Vec<&Path> = cases.iter().map(|case| case.certificate.file.as_path()).collect();
    let words = |is_revoked: fn(&Case) -> bool| -> Vec<&str> {
        cases.iter().map(|case| if is_revoked(case) { "revoked" } else { "good" }).collect()
    };
    let by_delta_alone = words(|case| case.now != case.then && case.now.is_some());
    let [by_base, by_both] = [words(|case| case.then.is_some()), words(|case| case.now.is_some())];
    for (options, newer) in [(&["-crl_check"][..], by_base), (&["-crl_check", "-use_deltas"], by_both)] {
        for crls in [[&base, &delta], [&delta, &base]] {
            let said = verify(options, &[stage.world.ca("auth", 1)], &crls.map(PathBuf::clone), &files);
            let is_known = said == by_delta_alone || said == newer;
            assert!(is_known, "it has learnt: put that into the matrix: {options:?} {said:?}");
        }
    }
}

#[test]
fn openssl_ignores_the_delta_of_a_base_without_freshest_crl() {
    let stage = Stage::shared();
    let delta = stage.deltas.find("auth", 1, "delta");
    let [base, key] = [stage.base.find("auth", 1, "full"), stage.world.ca_key("auth", 1)];
    let cases = one_of_each_life(&stage);
    let files: Vec<&Path> = cases.iter().map(|case| case.certificate.file.as_path()).collect();
    let rights: [(&str, Right); 2] = [("with", Life::now), ("without", Life::then)];
    for (freshest, right) in rights {
        let signed = stage.world.home().join(format!("{freshest}.pem"));
        let [from, key, to] = [&base, &key, &signed].map(|file| file.to_str().unwrap());
        let ran = python(include_str!("resign.py"), &[from, key, freshest, to]);
        assert_eq!(ran.code, Some(0), "{}", ran.text());
        for crls in [[signed.clone(), delta.clone()], [delta.clone(), signed.clone()]] {
            let said = verify(&WITH_DELTAS, &[stage.world.ca("auth", 1)], &crls, &files);
            let right = cases.iter().map(|case| Client::OpenSsl.word(right(case.life)));
            assert!(said.iter().cloned().eq(right), "{freshest}: {said:?}");
        }
    }
}

/// Of phones' authentication certificates, which may live every life.
fn one_of_each_life(stage: &Stage) -> Vec<&Case> {
    let of = |life: Life| {
        stage.cases.iter().find(|case| {
            let Certificate { kind, generation, .. } = case.certificate;
            (case.life, kind, generation) == (life, CertificateKind::PhoneAuth, 1)
        })
    };
    Life::ALL.into_iter().map(|life| of(life).unwrap()).collect()
}

const WITH_DELTAS: [&str; 3] = ["-crl_check", "-use_deltas", "-extended_crl"];

/// What `openssl verify` says of each certificate.
pub fn decide(order: &Order) -> Vec<String> {
    let files: Vec<&Path> = order.certificates.iter().map(|asked| asked.file.as_path()).collect();
    let options: &[&str] = if order.deltas { &WITH_DELTAS } else { &["-crl_check"] };
    verify(options, &order.cas, &order.crls, &files)
}
