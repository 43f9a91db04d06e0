//! What others make of our CRLs: rcgen writes the same octets; x509-parser, rustls-webpki and
//! OpenSSL read them, and decide by them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rcgen::{CertificateParams, CertificateRevocationListParams, CustomExtension, KeyIdMethod, KeyPair};
use rcgen::{DnType, Issuer, RevokedCertParams};
use sekisho::crl::Scope;
use sekisho::der::Writer;
use sekisho::pki::{CertStatus, Name, RevocationReason};
use sekisho::record::Record;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::world::*;

#[test]
fn rcgen_writes_the_same_octets_for_a_plain_crl() {
    let plan = plan();
    for records in [Vec::new(), records()] {
        let mut listed: Vec<&Record> = records.iter().filter(|r| plan.lists(r).is_some()).collect();
        listed.sort_by_key(|record| {
            (record.issued.partition, record.issued.kind, record.issued.certificate.serial)
        });
        let params = CertificateRevocationListParams {
            this_update: plan.this_update.date_time(),
            next_update: plan.next_update.date_time(),
            crl_number: plan.number.to_string().parse::<u64>().unwrap().into(),
            issuing_distribution_point: None,
            revoked_certs: listed.into_iter().map(revoked_cert_params).collect(),
            key_identifier_method: KeyIdMethod::PreSpecified(ca(1).key.key_id().to_vec()),
        };
        let theirs = params.signed_by(&Issuer::from_params(&ca(1).params, &ca(1).pair)).unwrap();
        assert_eq!(crl(ca(1), Scope::FULL, &plan, &records), theirs.der().as_ref());
    }
}

fn revoked_cert_params(record: &Record) -> RevokedCertParams {
    let CertStatus::Revoked(revocation) = record.status() else { unreachable!() };
    RevokedCertParams {
        serial_number: record.issued.certificate.serial.magnitude().to_vec().into(),
        revocation_time: revocation.revoked_at.date_time(),
        reason_code: Some(match revocation.reason {
            RevocationReason::KeyCompromise => rcgen::RevocationReason::KeyCompromise,
            RevocationReason::CaCompromise => rcgen::RevocationReason::CaCompromise,
            RevocationReason::AffiliationChanged => rcgen::RevocationReason::AffiliationChanged,
            RevocationReason::Superseded => rcgen::RevocationReason::Superseded,
            RevocationReason::CertificateHold => rcgen::RevocationReason::CertificateHold,
            RevocationReason::Unspecified => rcgen::RevocationReason::Unspecified,
            other => panic!("{other} is not in the records here"),
        }),
        invalidity_date: revocation.invalidity_date.map(|date| date.date_time()),
    }
}

#[test]
fn x509_parser_verifies_every_scope_and_generation() {
    for (generation, scope) in [(1, Scope::FULL), (2, kiyose()), (3, Scope::Authority), (3, Scope::FULL)] {
        let bytes = crl(ca(generation), scope, &plan(), &records());
        let (rest, list) = CertificateRevocationList::from_der(&bytes).unwrap();
        assert!(rest.is_empty());
        let verify = |spki: &[u8]| {
            let (_, key) = x509_parser::x509::SubjectPublicKeyInfo::from_der(spki).unwrap();
            list.verify_signature(&key).is_ok()
        };
        assert!(verify(&ca(generation).issuer.spki));
        assert!(!verify(&ca(generation % 3 + 1).issuer.spki));
    }
}

#[test]
fn webpki_finds_the_revoked_in_the_full_crl() {
    let bytes = crl(ca(1), Scope::FULL, &plan(), &records());
    let list =
        webpki::CertRevocationList::from(webpki::BorrowedCertRevocationList::from_der(&bytes).unwrap());
    let found = list.find_serial(serial(13).magnitude()).unwrap().unwrap();
    assert_eq!(found.reason_code, Some(webpki::RevocationReason::KeyCompromise));
    let invalidity = u64::try_from(time("2026-11-20T00:00:00Z").seconds()).unwrap();
    assert_eq!(found.invalidity_date.unwrap().as_secs(), invalidity);
    assert!(list.find_serial(serial(11).magnitude()).unwrap().unwrap().reason_code.is_none());
    assert!(list.find_serial(serial(12).magnitude()).unwrap().is_none());
}

/// A directory with what OpenSSL is to look at.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes DER as PEM, under this name.
    fn put(&self, name: &str, kind: &str, der: &[u8]) -> PathBuf {
        let (from, to) = (self.path(&format!("{name}.der")), self.path(name));
        std::fs::write(&from, der).unwrap();
        let made = openssl(&[kind, "-inform", "DER", "-in", &text(&from), "-out", &text(&to)]);
        assert!(made.status.success(), "{made:?}");
        to
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn openssl(arguments: &[&str]) -> Output {
    Command::new("openssl").args(arguments).output().expect("OpenSSL is installed by tests/run")
}

#[test]
fn openssl_verifies_the_signature_with_its_own_generation_only() {
    let desk = Desk::new();
    let cas = [1, 2, 3].map(|g| desk.put(&format!("ca{g}"), "x509", &ca(g).issuer.certificate));
    for (generation, scope) in [(1, Scope::FULL), (2, kiyose()), (3, Scope::Authority), (3, Scope::FULL)] {
        let list = desk.put("crl", "crl", &crl(ca(generation), scope, &plan(), &records()));
        for (other, certificate) in (1..).zip(&cas) {
            let out =
                openssl(&["crl", "-verify", "-noout", "-CAfile", &text(certificate), "-in", &text(&list)]);
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            assert_eq!(said.contains("verify OK"), other == generation, "{said}");
        }
        let shown = openssl(&["crl", "-noout", "-text", "-in", &text(&list)]);
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains("Version 2 (0x1)"), "{shown}");
        assert!(shown.contains("X509v3 Issuing Distribution Point: critical") != (scope == Scope::FULL));
    }
}

/// A certificate of this serial whose cRLDistributionPoints names `point`.
fn leaf(ca: &Ca, number: u64, point: &Name) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "JP");
    params.distinguished_name.push(DnType::CommonName, format!("{number}"));
    params.serial_number = Some(number.into());
    params.not_before = time("2026-01-01T00:00:00Z").date_time();
    params.not_after = time("2030-01-01T00:00:00Z").date_time();
    params.use_authority_key_identifier_extension = true;
    let value = Writer::to_der(|w| {
        w.sequence(|w| {
            w.sequence(|w| {
                w.nested(0xa0, |w| w.nested(0xa0, |w| w.nested(0xa4, |w| w.raw(point.der()))));
            });
        });
    });
    params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 31], value));
    let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    params.signed_by(&pair, &Issuer::from_params(&ca.params, &ca.pair)).unwrap().der().to_vec()
}

/// What `openssl verify -crl_check` says half an hour after thisUpdate.
fn verdict(desk: &Desk, ca: &Ca, leaf: &[u8], list: &[u8]) -> (bool, String) {
    let authority = desk.put("ca", "x509", &ca.issuer.certificate);
    let (leaf, list) = (desk.put("leaf", "x509", leaf), desk.put("crl", "crl", list));
    let at = (plan().this_update.seconds() + 1800).to_string();
    let out = openssl(&[
        "verify",
        "-crl_check",
        "-attime",
        &at,
        "-CAfile",
        &text(&authority),
        "-CRLfile",
        &text(&list),
        &text(&leaf),
    ]);
    (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
fn openssl_refuses_the_revoked_and_accepts_the_good_by_partition_and_full_crl() {
    let desk = Desk::new();
    let Scope::Partition { distribution_point: point, .. } = kiyose() else { unreachable!() };
    let (good, revoked) = (leaf(ca(1), 12, point), leaf(ca(1), 10, point));
    for scope in [kiyose(), Scope::FULL] {
        let list = crl(ca(1), scope, &plan(), &records());
        assert_eq!(verdict(&desk, ca(1), &good, &list), (true, String::new()));
        let (accepted, said) = verdict(&desk, ca(1), &revoked, &list);
        assert!(!accepted && said.contains("certificate revoked"), "{said}");
    }
    // The CRL of another partition, or of the CA certificates, decides nothing about it.
    let elsewhere = distribution_point("Esashi-cho");
    let elsewhere = Scope::Partition { partition: ESASHI, distribution_point: &elsewhere };
    for scope in [elsewhere, Scope::Authority] {
        let (accepted, said) = verdict(&desk, ca(1), &good, &crl(ca(1), scope, &plan(), &records()));
        assert!(!accepted && said.contains("scope"), "{said}");
    }
}

#[test]
fn openssl_refuses_the_revoked_of_each_generation_by_that_generations_crl() {
    let desk = Desk::new();
    let Scope::Partition { distribution_point: point, .. } = kiyose() else { unreachable!() };
    for generation in [1, 2, 3] {
        let ca = ca(generation);
        let list = crl(ca, kiyose(), &plan(), &records());
        let (accepted, said) = verdict(&desk, ca, &leaf(ca, 13, point), &list);
        assert!(!accepted && said.contains("certificate revoked"), "{said}");
        assert!(verdict(&desk, ca, &leaf(ca, 12, point), &list).0);
    }
}
