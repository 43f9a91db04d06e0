//! What the service signs before anybody asks, where only verifiers may.

use std::sync::{Arc, Mutex};

use rasn_ocsp::{OcspResponse, OcspResponseStatus};
use sekisho::config::{self, Config};
use sekisho::ocsp::{Respond, request_for};
use sekisho::office::data::DataDir;
use sekisho::office::{self, Office, Presigning, VerifierNamed};
use sekisho::pki::{AuthorityId, Generation, HashAlgorithm, Issuer};
use sekisho::record::Origin;
use sekisho::store::Clock;

use crate::asker::Asker;
use crate::world::{Ask, cert_id};

const SIGN: AuthorityId = AuthorityId(1);

/// The answer to `request`, which needs no signature, or its error.
fn kept(office: &Office, request: &[u8]) -> OcspResponseStatus {
    let Respond::Ready(answer) = office.responder().respond(request, Clock::system().now()) else {
        panic!("not signed before")
    };
    let response: OcspResponse = rasn::der::decode(&answer.body).unwrap();
    response.status
}

#[test]
fn presigned_answers_wait_for_registered_verifiers() {
    let home = tempfile::tempdir().unwrap();
    let data = DataDir::new(&home.path().join("data"));
    office::init(&data, "SEKISHO-TEST").unwrap();
    let mut config = Config::read(&data.config()).unwrap();
    config.ocsp.access = config::Access::Registered;
    let url = "http://127.0.0.1:8080".to_owned();
    let (office, _) = Office::start(data.clone(), config, Clock::system(), url).unwrap();
    let told = Arc::new(Mutex::new(0));
    let signed = Arc::clone(&told);
    let tell = Box::new(move |progress: &office::Progress| *signed.lock().unwrap() = progress.signed);
    Presigning::start(Arc::clone(&office), vec![SIGN], HashAlgorithm::Sha1, office.sign_last(), tell)
        .unwrap()
        .wait();
    assert!(*told.lock().unwrap() > 0, "at least the authority's own certificate");

    let ca = pem::parse(std::fs::read(data.ca_certificate("sign", Generation::FIRST)).unwrap()).unwrap();
    let issuer = Issuer::from_certificate(SIGN, Generation::FIRST, ca.contents()).unwrap();
    let unsigned = request_for(&issuer, HashAlgorithm::Sha1, &issuer.serial);
    assert_eq!(kept(&office, &unsigned), OcspResponseStatus::SigRequired);
    let asker = Asker::p256("kiosk");
    let hash = HashAlgorithm::Sha1;
    let (name, key) = (issuer.name_hash(hash), issuer.key_hash(hash));
    let request = asker.sign(&Ask::one(cert_id(&hash.oid(), true, &name, &key, &issuer.serial)));
    assert_eq!(kept(&office, &request), OcspResponseStatus::Unauthorized);
    office.register_verifier("kiosk", &asker.certificate, Origin::service()).unwrap();
    assert_eq!(kept(&office, &request), OcspResponseStatus::Successful);
    let kiosk = VerifierNamed::Certificate(asker.certificate);
    office.suspend_verifier(&kiosk, Origin::service()).unwrap();
    assert_eq!(kept(&office, &request), OcspResponseStatus::Unauthorized);
    office.stop().unwrap();
}
