//! rustls-webpki decides by the full CRL, and by no other.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, Error, ExpirationPolicy, KeyUsage,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy, anchor_from_trusted_cert,
};
use x509_parser::oid_registry::OID_X509_EXT_CRL_DISTRIBUTION_POINTS;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::service::run;
use crate::stage::{AUTHORITIES, Case, GENERATIONS, Life, Right, Stage, Verdict};
use crate::world::Set;

#[test]
fn webpki_finds_every_revoked_serial_in_the_full_crl_of_each_key_and_no_other() {
    let stage = Stage::shared();
    let rights: [(&Set, Right); 2] = [(&stage.base, Life::then), (&stage.now, Life::now)];
    for (set, right) in rights {
        for authority in AUTHORITIES {
            for generation in GENERATIONS {
                let octets = der(&set.find(authority, generation, "full"));
                let list = CertRevocationList::from(BorrowedCertRevocationList::from_der(&octets).unwrap());
                for case in stage.cases.iter().filter(|case| case.certificate.authority == authority) {
                    let found = list.find_serial(case.certificate.serial.magnitude()).unwrap();
                    let reason =
                        found.map(|entry| format!("{:?}", entry.reason_code.unwrap()).to_lowercase());
                    let right = match right(case.life) {
                        Verdict::Revoked(reason) => Some(reason.to_string().to_lowercase()),
                        Verdict::Good | Verdict::Undecided => None,
                    };
                    assert_eq!(reason, right, "{authority} {generation}: {:?}", case.life);
                }
            }
        }
    }
}

#[test]
fn webpki_reads_all_but_deltas_and_no_certificate_with_critical_policies() {
    let stage = Stage::shared();
    let delta = der(&stage.deltas.find("sign", 1, "delta"));
    assert_eq!(BorrowedCertRevocationList::from_der(&delta).err(), Some(Error::UnsupportedDeltaCrl));
    for name in ["01361", "01514", "authority"] {
        let other = der(&stage.base.find("sign", 1, name));
        assert!(BorrowedCertRevocationList::from_der(&other).is_ok(), "{name}");
    }
    let resident = CertificateDer::from(der(&stage.cases[0].certificate.file));
    let read = EndEntityCert::try_from(&resident);
    assert_eq!(read.err(), Some(Error::UnsupportedCriticalExtension));
}

#[test]
fn webpki_decides_by_the_full_crl_of_the_key_that_signed() {
    let stage = Stage::shared();
    let home = tempfile::tempdir().unwrap();
    let csr = Request::new(home.path());
    for authority in AUTHORITIES {
        for generation in GENERATIONS {
            for (number, life) in Life::ALL.into_iter().enumerate() {
                let is_it = |case: &&Case| {
                    let certificate = &case.certificate;
                    (certificate.authority.as_str(), certificate.generation, case.life)
                        == (authority, generation, life)
                };
                let Some(case) = stage.cases.iter().find(is_it) else { continue };
                let double = csr.double(&stage, case, &format!("{authority}-{generation}-{number}"));
                let right = match life.then() {
                    Verdict::Revoked(_) => Err(Error::CertRevoked),
                    Verdict::Good | Verdict::Undecided => Ok(()),
                };
                // It finds a partition by URL, and ours have names.
                let partition = case.certificate.partition.to_string();
                let lists = GENERATIONS.map(|of| der(&stage.base.find(authority, of, &partition)));
                let decided = decide(&stage, case, &double, &lists);
                assert_eq!(decided, Err(Error::UnknownRevocationStatus), "{authority} {generation} {life:?}");
                // It takes the first of the issuer's name, and then the key must fit.
                let other_first = Err(Error::InvalidCrlSignatureForPublicKey);
                for (first, right) in
                    GENERATIONS.map(|first| (first, if first == generation { &right } else { &other_first }))
                {
                    let list = |generation| der(&stage.base.find(authority, generation, "full"));
                    let lists = [list(first), list(3 - first)];
                    let decided = decide(&stage, case, &double, &lists);
                    assert_eq!(decided, *right, "{authority} {generation} {life:?}, that of {first} first");
                }
            }
        }
    }
}

fn decide(stage: &Stage, case: &Case, double: &[u8], lists: &[Vec<u8>; 2]) -> Result<(), Error> {
    let ca =
        CertificateDer::from(der(&stage.world.ca(&case.certificate.authority, case.certificate.generation)));
    let anchor = anchor_from_trusted_cert(&ca).unwrap();
    let double = CertificateDer::from(double);
    let read = |octets| CertRevocationList::from(BorrowedCertRevocationList::from_der(octets).unwrap());
    let lists = lists.each_ref().map(|octets| read(octets));
    let lists = lists.each_ref();
    let revocation = RevocationOptionsBuilder::new(&lists).unwrap();
    let revocation = revocation
        .with_depth(RevocationCheckDepth::EndEntity)
        .with_status_policy(UnknownStatusPolicy::Deny)
        .with_expiration_policy(ExpirationPolicy::Enforce);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    EndEntityCert::try_from(&double)?
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &[anchor],
            &[],
            UnixTime::since_unix_epoch(now + Duration::from_secs(1)),
            KeyUsage::client_auth(),
            Some(revocation.build()),
            None,
        )
        .map(drop)
}

/// A request that certificates are made from past the service.
struct Request<'a> {
    home: &'a Path,
    csr: String,
}

impl<'a> Request<'a> {
    fn new(home: &'a Path) -> Self {
        let [key, csr] = ["key", "csr"].map(|name| home.join(name).to_str().unwrap().to_owned());
        let draw = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let subject = ["-subj", "/C=JP/CN=made past the service", "-keyout", &key, "-out", &csr];
        let ran = run("openssl", &[&draw[..], &subject].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.text());
        Self { home, csr }
    }

    /// A certificate by the same key, of the same serial and distribution point, without policies; DER.
    fn double(&self, stage: &Stage, case: &Case, name: &str) -> Vec<u8> {
        let certificate = &case.certificate;
        let ca = stage.world.ca(&certificate.authority, certificate.generation);
        let key = stage.world.ca_key(&certificate.authority, certificate.generation);
        let [settings, out] = ["cnf", "pem"].map(|end| self.home.join(format!("{name}.{end}")));
        let original = der(&certificate.file);
        let (_, original) = X509Certificate::from_der(&original).unwrap();
        let point = original.extensions().iter().find(|one| one.oid == OID_X509_EXT_CRL_DISTRIBUTION_POINTS);
        let point: Vec<String> = point.unwrap().value.iter().map(|octet| format!("{octet:02x}")).collect();
        let point = format!("2.5.29.31=DER:{}", point.join(":"));
        let extensions = ["authorityKeyIdentifier=keyid", "extendedKeyUsage=clientAuth", &point, ""];
        fs::write(&settings, extensions.join("\n")).unwrap();
        let serial = certificate.serial.to_string();
        let [ca, key, settings, to] = [&ca, &key, &settings, &out].map(|file| file.to_str().unwrap());
        let sign = ["x509", "-req", "-in", &self.csr, "-CA", ca, "-CAkey", key, "-set_serial", &serial];
        let ran = run("openssl", &[&sign[..], &["-days", "1", "-extfile", settings, "-out", to]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.text());
        der(&out)
    }
}

fn der(file: &PathBuf) -> Vec<u8> {
    pem::parse(fs::read(file).unwrap()).unwrap().into_contents()
}
