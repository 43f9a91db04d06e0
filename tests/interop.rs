//! Programs nobody here wrote say whether it is right: OpenSSL decides by our CRLs,
//! python-cryptography reads them, and all that know OCSP ask what `interop/matrix.md` says.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed step must stop the test"
)]

#[path = "support/client.rs"]
mod client;
#[path = "interop/forgery.rs"]
mod forgery;
#[path = "interop/gnutls.rs"]
mod gnutls;
#[path = "interop/matrix.rs"]
mod matrix;
#[path = "interop/openssl.rs"]
mod openssl;
#[path = "interop/programs.rs"]
mod programs;
#[path = "interop/recorder.rs"]
mod recorder;
mod service;
#[path = "interop/stage.rs"]
mod stage;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sekisho::config::Config;
use sekisho::office::data::DataDir;
use sekisho::office::{self, Application, Asked, Office, Selector, SubjectKeySource, Wish};
use sekisho::pki::{AuthorityId, CertificateKind, Partition, RevocationReason};
use sekisho::record::Origin;
use sekisho::store::Clock;
use service::{Service, python, run};

/// An office without listeners, its files laid out for OpenSSL.
struct World {
    office: Arc<Office>,
    home: tempfile::TempDir,
}

const KIYOSE: Partition = Partition(13221);

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let data = DataDir::new(&home.path().join("data"));
        office::init(&data, "SEKISHO-TEST").unwrap();
        let config = Config::read(&data.config()).unwrap();
        let url = "http://127.0.0.1:8080".to_owned();
        let (office, _) = Office::start(data, config, Clock::system(), url).unwrap();
        Self { office, home }
    }

    fn authorities(&self) -> Vec<AuthorityId> {
        self.office.profile().authorities.iter().map(|authority| authority.id).collect()
    }

    /// Issues one certificate and writes it; its file.
    fn issue(&self, kind: CertificateKind) -> Issued {
        let application = Application {
            name: "関所 花子".to_owned(),
            birth: "1982-02-17".to_owned(),
            sex: "female".to_owned(),
            address: "東京都清瀬市中里".to_owned(),
            municipality: KIYOSE,
            kinds: vec![kind],
            subject_key: SubjectKeySource::TestKey,
        };
        let pair = self.office.issue(&application, Origin::service()).unwrap();
        let one = &pair.certificates[0];
        let (authority, serial) = (one.authority.clone(), one.issued.certificate.serial);
        let file = self.home.path().join(format!("{authority}-{serial}.pem"));
        fs::write(&file, pem::encode(&pem::Pem::new("CERTIFICATE", one.der.clone()))).unwrap();
        let selector = Selector::Named { authority: authority.clone(), serial };
        Issued { authority, generation: one.issued.certificate.generation.number(), selector, file }
    }

    fn change(&self, issued: &Issued, wish: Wish) {
        let asked = Asked { certificate: issued.selector.clone(), wish };
        assert!(self.office.change(&asked, Origin::service()).unwrap().changed);
    }

    /// The current CRLs by authority, generation and file name, as PEM files.
    fn publish(&self) -> BTreeMap<(String, u8, String), PathBuf> {
        let set = self.office.publish(&self.authorities(), false).unwrap();
        let root = self.office.data().crl().join("sets").join(set.number.to_string());
        let catalogue = self.office.served_catalogue().unwrap().unwrap();
        let rows = catalogue.crls.iter().filter(|row| row.set == set.number.to_string());
        rows.map(|row| {
            let name = row.url.rsplit('/').next().unwrap().trim_end_matches(".crl").to_owned();
            let directory = root.join(&row.authority).join(row.generation.to_string());
            let file = directory.join(format!("{name}.pem"));
            let der = fs::read(directory.join(format!("{name}.crl"))).unwrap();
            fs::write(&file, pem::encode(&pem::Pem::new("X509 CRL", der))).unwrap();
            ((row.authority.clone(), row.generation, name), file)
        })
        .collect()
    }

    fn ca(&self, authority: &str, generation: u8) -> PathBuf {
        let generation = sekisho::pki::Generation::new(generation).unwrap();
        self.office.data().ca_certificate(authority, generation)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.office.stop());
    }
}

struct Issued {
    authority: String,
    generation: u8,
    selector: Selector,
    file: PathBuf,
}

/// All files' contents in one.
fn bundle(home: &Path, name: &str, files: &[&PathBuf]) -> String {
    let file = home.join(name);
    let all: Vec<u8> = files.iter().flat_map(|file| fs::read(file).unwrap()).collect();
    fs::write(&file, all).unwrap();
    file.display().to_string()
}

/// What `openssl verify -crl_check` decides.
fn openssl_decides(cas: &str, crls: &str, certificate: &Path) -> Result<(), String> {
    let certificate = certificate.to_str().unwrap();
    let ran = run("openssl", &["verify", "-CAfile", cas, "-CRLfile", crls, "-crl_check", certificate]);
    if ran.code == Some(0) && ran.stdout.contains(": OK") { Ok(()) } else { Err(ran.text()) }
}

const KINDS: [CertificateKind; 4] = [
    CertificateKind::CardSign,
    CertificateKind::CardAuth,
    CertificateKind::PhoneSign,
    CertificateKind::PhoneAuth,
];

const REVOKE: Wish = Wish::revoke(Some(RevocationReason::Superseded), None);

#[test]
fn openssl_decides_by_partition_full_and_both_for_every_kind() {
    let world = World::new();
    for kind in KINDS {
        let (good, revoked, held) = (world.issue(kind), world.issue(kind), world.issue(kind));
        world.change(&revoked, REVOKE);
        world.change(&held, Wish::Hold { invalidity_date: None });
        let crls = world.publish();
        let ca = world.ca(&good.authority, 1).display().to_string();
        for name in ["13221", "full"] {
            let crl = crls[&(good.authority.clone(), 1, name.to_owned())].display().to_string();
            assert_eq!(openssl_decides(&ca, &crl, &good.file), Ok(()), "{kind} by {name}");
            for bad in [&revoked, &held] {
                let said = openssl_decides(&ca, &crl, &bad.file).unwrap_err();
                assert!(said.contains("certificate revoked"), "{kind} by {name}: {said}");
            }
        }
        let arl = crls[&(good.authority.clone(), 1, "authority".to_owned())].display().to_string();
        let said = openssl_decides(&ca, &arl, &good.file).unwrap_err();
        assert!(
            said.contains("unable to get certificate CRL") || said.contains("different CRL scope"),
            "{said}"
        );
    }
}

#[test]
fn a_released_phone_certificate_is_good_in_the_next_crl() {
    let world = World::new();
    let phone = world.issue(CertificateKind::PhoneAuth);
    let ca = world.ca("auth", 1).display().to_string();
    let by_partition = |crls: BTreeMap<(String, u8, String), PathBuf>| {
        openssl_decides(&ca, crls[&("auth".to_owned(), 1, "13221".to_owned())].to_str().unwrap(), &phone.file)
    };
    world.change(&phone, Wish::Hold { invalidity_date: None });
    assert!(by_partition(world.publish()).is_err());
    world.change(&phone, Wish::Release);
    assert_eq!(by_partition(world.publish()), Ok(()));
}

#[test]
fn with_two_generations_under_one_name_openssl_decides_right() {
    let world = World::new();
    let old: Vec<(Issued, Issued)> =
        KINDS.iter().map(|kind| (world.issue(*kind), world.issue(*kind))).collect();
    for authority in world.authorities() {
        assert_eq!(world.office.new_generation(authority).unwrap().number(), 2);
    }
    let new: Vec<(Issued, Issued)> =
        KINDS.iter().map(|kind| (world.issue(*kind), world.issue(*kind))).collect();
    for (_, revoked) in old.iter().chain(&new) {
        world.change(revoked, REVOKE);
    }
    let crls = world.publish();
    for (pairs, generation) in [(&old, 1), (&new, 2)] {
        for (good, revoked) in pairs {
            assert_eq!((good.generation, revoked.generation), (generation, generation));
            let authority = &good.authority;
            let (ca1, ca2) = (world.ca(authority, 1), world.ca(authority, 2));
            let crl = |generation| &crls[&(authority.clone(), generation, "13221".to_owned())];
            let cas = bundle(world.home.path(), "cas.pem", &[&ca1, &ca2]);
            let lists = bundle(world.home.path(), "crls.pem", &[crl(1), crl(2)]);
            assert_eq!(openssl_decides(&cas, &lists, &good.file), Ok(()), "{authority} {generation}");
            let said = openssl_decides(&cas, &lists, &revoked.file).unwrap_err();
            assert!(said.contains("certificate revoked"), "{authority} {generation}: {said}");
            let own = crl(generation).display().to_string();
            let own_ca = world.ca(authority, generation).display().to_string();
            assert_eq!(openssl_decides(&own_ca, &own, &good.file), Ok(()));
            assert!(openssl_decides(&own_ca, &own, &revoked.file).is_err());
        }
    }
    let state = world.office.examine().unwrap();
    assert_eq!(state.findings, Vec::<String>::new());
}

#[test]
fn rfc5280_s5_every_generation_lists_the_revoked_of_all() {
    let world = World::new();
    let old = world.issue(CertificateKind::CardSign);
    world.office.new_generation(AuthorityId(1)).unwrap();
    let new = world.issue(CertificateKind::CardSign);
    world.change(&old, REVOKE);
    world.change(&new, REVOKE);
    let crls = world.publish();
    for generation in [1, 2] {
        for name in ["13221", "full"] {
            let crl = &crls[&("sign".to_owned(), generation, name.to_owned())];
            let text = run("openssl", &["crl", "-in", crl.to_str().unwrap(), "-noout", "-text"]).stdout;
            assert_eq!(text.matches("Serial Number:").count(), 2, "generation {generation}, {name}: {text}");
        }
    }
}

#[test]
fn rfc5652_the_catalogue_of_a_set_is_signed_and_names_the_journals_head() {
    let service = Service::demo(100);
    let fetch = |path: &str, file: &Path| {
        let url = format!("{}{path}", service.url());
        assert_eq!(run("curl", &["-sf", "-o", file.to_str().unwrap(), &url]).code, Some(0), "{url}");
    };
    let (json, signature) = (service.data.join("index.json"), service.data.join("index.p7s"));
    fetch("crl/index.json", &json);
    let index: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let set = index["set"].as_str().unwrap();
    fetch(&format!("crl/sets/{set}/index.json"), &json);
    fetch(&format!("crl/sets/{set}/index.p7s"), &signature);
    let ca = service.ca("sign");
    let verify = || {
        let (content, signature) = (json.to_str().unwrap(), signature.to_str().unwrap());
        let detached = ["cms", "-verify", "-binary", "-inform", "DER", "-in", signature, "-content", content];
        let trusted = ["-CAfile", &ca, "-purpose", "any", "-out", "/dev/null"];
        run("openssl", &[&detached[..], &trusted].concat())
    };
    assert_eq!(verify().code, Some(0), "{}", verify().text());
    let head = index["head"].as_str().unwrap();
    let position = index["position"].as_u64().unwrap();
    assert!(head.len() == 64 && set.parse::<u64>().unwrap() == (1 << 48) + position);
    let text = fs::read_to_string(&json).unwrap();
    fs::write(&json, text.replace(head, &"0".repeat(64))).unwrap();
    assert_ne!(verify().code, Some(0), "another head is another catalogue");
}

#[test]
fn openssl_verifies_ocsp_answers_with_and_without_nonce_and_by_get_sized_hashes() {
    let service = Service::demo(300);
    for authority in ["sign", "auth"] {
        let held: Vec<_> = service
            .certificates(authority, "revoked")
            .into_iter()
            .filter(|one| one["reason"] == "certificateHold")
            .collect();
        let revoked: Vec<_> = service
            .certificates(authority, "revoked")
            .into_iter()
            .filter(|one| one["reason"] != "certificateHold")
            .collect();
        let good = service.certificates(authority, "good");
        let file = |one: &serde_json::Value| one["file"].as_str().unwrap().to_owned();
        for extra in [
            &["-no_nonce"][..],
            &["-nonce"],
            &["-sha256"],
            &["-sha384"],
            &["-sha512"],
            &["-sha1", "-no_nonce"],
        ] {
            let said = service.openssl_ocsp(authority, &file(&good[0]), extra);
            assert!(said.contains("Response verify OK") && said.contains(": good"), "{extra:?} {said}");
            assert!(
                !said.contains("no nonce in response") || extra.contains(&"-no_nonce"),
                "{extra:?} {said}"
            );
            let said = service.openssl_ocsp(authority, &file(&revoked[0]), extra);
            let reason = revoked[0]["reason"].as_str().unwrap();
            assert!(said.contains("Response verify OK") && said.contains(": revoked"), "{extra:?} {said}");
            assert!(said.contains(&format!("Reason: {reason}")), "{extra:?} {said}");
            let said = service.openssl_ocsp(authority, &file(&held[0]), extra);
            assert!(said.contains("Reason: certificateHold"), "{extra:?} {said}");
        }
    }
}

#[test]
fn rfc6960_s2_2_never_issued_serials_are_unknown_and_other_issuers_unauthorized() {
    let service = Service::demo(100);
    let (sign, auth) = (service.ca("sign"), service.ca("auth"));
    let ask = |issuer: &str, serial: &str| {
        let url = service.url();
        run("openssl", &["ocsp", "-issuer", issuer, "-CAfile", issuer, "-serial", serial, "-url", &url])
            .text()
    };
    let next = service.manifest["authorities"][0]["next_serial"].as_str().unwrap().to_owned();
    for serial in [next.as_str(), "0x7fffffffffffffff", "0xffffffffffffffffffffffffffffff"] {
        for ca in [&sign, &auth] {
            let said = ask(ca, serial);
            assert!(said.contains("Response verify OK") && said.contains(": unknown"), "{said}");
        }
    }
    let other = Service::demo(100);
    let said = ask(&other.ca("sign"), "0x10");
    assert!(said.contains("unauthorized"), "{said}");
}

#[test]
fn python_cryptography_reads_crls_and_certificates_as_they_are_meant() {
    let service = Service::demo(300);
    let script = r#"
import json, sys, urllib.request
from cryptography import x509
from cryptography.x509.oid import ExtensionOID as E
base = sys.argv[1]
fetch = lambda path: urllib.request.urlopen(base + path.lstrip('/')).read()
index = json.loads(fetch('crl/index.json'))
manifest = json.load(open(sys.argv[2]))
cas = {(a['name'], a['generation']): x509.load_pem_x509_certificate(open(a['certificate'], 'rb').read()) for a in manifest['authorities']}
revoked = {}
for c in manifest['certificates']:
    if c['status'] == 'revoked':
        revoked.setdefault((c['authority'], c['municipality']), {})[int(c['serial'], 16)] = c['reason']
seen = 0
for row in index['crls']:
    crl = x509.load_der_x509_crl(fetch(row['url']))
    ca = cas[(row['authority'], row['generation'])]
    assert crl.is_signature_valid(ca.public_key()) and crl.issuer == ca.subject
    numbers = crl.extensions.get_extension_for_class(x509.CRLNumber)
    assert numbers.value.crl_number == int(row['number']) and not numbers.critical
    aki = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert aki.key_identifier.hex() == row['aki'] and aki.authority_cert_issuer is None
    want = revoked.get((row['authority'], row['partition']), {})
    if row['kind'] == 'full':
        want = {s: r for (a, _), all in revoked.items() if a == row['authority'] for s, r in all.items()}
        assert all(e.oid != E.ISSUING_DISTRIBUTION_POINT for e in crl.extensions)
    else:
        idp = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
        assert idp.critical
        assert idp.value.only_contains_ca_certs == (row['kind'] == 'authority')
        assert idp.value.only_contains_user_certs == (row['kind'] == 'partition')
        assert idp.value.full_name[0].value.public_bytes().hex() == row['distribution_point']['der']
    got = {}
    for entry in crl:
        try:
            got[entry.serial_number] = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
        except x509.ExtensionNotFound:
            got[entry.serial_number] = 'unspecified'
    assert got == want, (row['url'], got, want)
    assert len(got) == row['entries']
    seen += len(got)
for c in manifest['certificates']:
    if 'file' in c:
        cert = x509.load_pem_x509_certificate(open(c['file'], 'rb').read())
        cert.verify_directly_issued_by(cas[(c['authority'], c['generation'])])
        point = cert.extensions.get_extension_for_class(x509.CRLDistributionPoints).value[0].full_name[0].value
        rows = [r for r in index['crls'] if r['authority'] == c['authority'] and r['partition'] == c['municipality']]
        assert [r['distribution_point']['der'] for r in rows] == [point.public_bytes().hex()]
assert seen > 20
print('read', len(index['crls']))
"#;
    let manifest = service.data.with_extension("manifest.json").display().to_string();
    let ran = python(script, &[&service.url(), &manifest]);
    assert!(ran.stdout.starts_with("read "), "{}", ran.text());
}
