//! Signers and certificates of a whole service, as it makes them itself.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use rasn_ocsp::{BasicOcspResponse, CertStatus};
use sekisho::der::UnixTime;
use sekisho::pki::{AuthorityId, Generation, HashAlgorithm, Issuer, SerialNumber, oid};
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

use crate::client::{ask, get, post};
use crate::responder::now;
use crate::service::Service;
use crate::world::{Ask, basic, cert_id, time};

use HashAlgorithm::Sha1;

/// An authority of the running service.
struct Ours {
    issuer: Issuer,
    address: std::net::SocketAddr,
}

impl Ours {
    fn new(service: &Service, name: &str) -> Self {
        let pem = fs::read(service.ca(name)).unwrap();
        let der = pem::parse(&pem).unwrap().into_contents();
        let issuer = Issuer::from_certificate(AuthorityId(1), Generation::FIRST, &der).unwrap();
        let url = service.url();
        let address = url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        Self { issuer, address }
    }

    fn answer(&self, serial: &SerialNumber) -> BasicOcspResponse {
        let (name, key) = (self.issuer.name_hash(Sha1), self.issuer.key_hash(Sha1));
        let request = Ask::one(cert_id(&oid::SHA1, true, &name, &key, serial)).to_der();
        basic(&ask(self.address, post("/", &request)).body)
    }

    fn status(&self, serial: &SerialNumber) -> CertStatus {
        self.answer(serial).tbs_response_data.responses[0].cert_status.clone()
    }

    fn signer_certificate(&self) -> Vec<u8> {
        let certs = self.answer(&serial("0x1")).certs.unwrap();
        assert_eq!(certs.len(), 1);
        rasn::der::encode(&certs[0]).unwrap()
    }
}

fn serial(text: &str) -> SerialNumber {
    text.parse().unwrap()
}

fn serial_of(certificate: &X509Certificate<'_>) -> SerialNumber {
    SerialNumber::from_magnitude(certificate.raw_serial()).unwrap()
}

fn has(certificate: &X509Certificate<'_>, identifier: &str) -> bool {
    certificate.extensions().iter().any(|extension| extension.oid.to_id_string() == identifier)
}

const OCSP_NOCHECK: &str = "1.3.6.1.5.5.7.48.1.5";
const AUTHORITY_INFO_ACCESS: &str = "1.3.6.1.5.5.7.1.1";
const CRL_DISTRIBUTION_POINTS: &str = "2.5.29.31";

#[test]
fn rfc6960_s4_2_2_2_1_a_delegated_signer_is_what_verifiers_want() {
    let service = Service::demo(100);
    for name in ["sign", "auth"] {
        let ours = Ours::new(&service, name);
        let der = ours.signer_certificate();
        let (_, signer) = X509Certificate::from_der(&der).unwrap();
        let (_, ca) = X509Certificate::from_der(&ours.issuer.certificate).unwrap();
        signer.verify_signature(Some(ca.public_key())).unwrap();
        assert_eq!(signer.issuer().as_raw(), ca.subject().as_raw());
        assert_ne!(signer.subject().as_raw(), ca.subject().as_raw());
        let usage = signer.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.ocsp_signing && !usage.any && usage.other.is_empty() && !usage.client_auth);
        assert_eq!(signer.key_usage().unwrap().unwrap().value.flags, 1, "digitalSignature alone");
        assert!(has(&signer, OCSP_NOCHECK));
        assert!(!has(&signer, AUTHORITY_INFO_ACCESS) && !has(&signer, CRL_DISTRIBUTION_POINTS));
        let key_ids: Vec<_> =
            signer.extensions().iter().map(|extension| extension.parsed_extension()).collect();
        let authority = key_ids.iter().find_map(|parsed| match parsed {
            ParsedExtension::AuthorityKeyIdentifier(identifier) => Some(identifier),
            _ => None,
        });
        let authority = authority.unwrap();
        assert_eq!(authority.key_identifier.as_ref().unwrap().0, ours.issuer.key_id);
        assert!(authority.authority_cert_issuer.is_none() && authority.authority_cert_serial.is_none());
        assert!(key_ids.iter().any(|parsed| matches!(parsed, ParsedExtension::SubjectKeyIdentifier(_))));
        let [from, until] = [signer.validity().not_before, signer.validity().not_after];
        let [from, until] = [from, until].map(|time| UnixTime::from_seconds(time.timestamp()));
        assert!(from.plus(Duration::from_secs(3_600)) <= now());
        assert!(until <= now().plus(Duration::from_secs(100 * 86_400)), "short-lived: {until}");
    }
}

#[test]
fn rfc6960_s4_2_2_2_no_resident_is_an_ocsp_signer() {
    let service = Service::demo(100);
    let all = service.manifest["certificates"].as_array().unwrap();
    let files: Vec<_> = all.iter().filter_map(|one| one["file"].as_str()).collect();
    assert!(files.len() >= 20);
    for file in files {
        let der = pem::parse(fs::read(file).unwrap()).unwrap().into_contents();
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        assert!(!has(&certificate, OCSP_NOCHECK), "{file}");
        let usage = certificate.extended_key_usage().unwrap();
        assert!(usage.is_none_or(|usage| !usage.value.ocsp_signing && !usage.value.any), "{file}");
    }
}

#[test]
fn rfc6960_s2_2_certificates_of_cas_and_signers_are_answered_like_others() {
    let service = Service::demo(100);
    let next = service.manifest["authorities"].as_array().unwrap().clone();
    for (name, next) in ["sign", "auth"].into_iter().zip(next) {
        assert_eq!(next["name"], name);
        let ours = Ours::new(&service, name);
        let signer = ours.signer_certificate();
        for der in [&signer, &ours.issuer.certificate] {
            let (_, certificate) = X509Certificate::from_der(der).unwrap();
            assert_eq!(ours.status(&serial_of(&certificate)), CertStatus::Good);
        }
        // Nothing has this number yet.
        let next = serial(next["next_serial"].as_str().unwrap());
        assert_eq!(ours.status(&next), CertStatus::Unknown(()));
    }
}

#[test]
fn rfc5280_s5_3_1_ocsp_and_crl_say_the_same_of_each_certificate() {
    let service = Service::demo(300);
    for name in ["sign", "auth"] {
        let ours = Ours::new(&service, name);
        let crl = ask(ours.address, get(&format!("/crl/{name}/1/full.crl"))).body;
        let (_, crl) = CertificateRevocationList::from_der(&crl).unwrap();
        let listed: BTreeMap<SerialNumber, (i64, u8)> = crl
            .iter_revoked_certificates()
            .map(|entry| {
                let serial = SerialNumber::from_magnitude(entry.raw_serial()).unwrap();
                let reason = entry.reason_code().map_or(0, |(_, reason)| reason.0);
                (serial, (entry.revocation_date.timestamp(), reason))
            })
            .collect();
        let all = service.manifest["certificates"].as_array().unwrap();
        let mut revoked = 0;
        for one in all.iter().filter(|one| one["authority"] == name) {
            let serial = serial(one["serial"].as_str().unwrap());
            let said = match ours.status(&serial) {
                CertStatus::Good => None,
                CertStatus::Revoked(info) => {
                    let reason = info.revocation_reason.map_or(0, |reason| reason as u8);
                    Some((time(&info.revocation_time).seconds(), reason))
                }
                CertStatus::Unknown(()) => panic!("{serial} is unknown"),
            };
            assert_eq!(said, listed.get(&serial).copied(), "{serial}");
            revoked += u32::from(said.is_some());
        }
        assert!(revoked >= 10, "{revoked}");
    }
}
