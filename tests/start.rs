//! Starting after a crash: answers first, records when they are rebuilt.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed step must stop the test"
)]

use std::sync::Arc;
use std::time::Duration;

use sekisho::config::Config;
use sekisho::ocsp::Respond;
use sekisho::office::data::DataDir;
use sekisho::office::{self, Office};
use sekisho::pki::{AuthorityId, CertificateKind, Generation, Partition, SerialNumber};
use sekisho::record::{CertificateRef, Event, Issued, Origin};
use sekisho::store::{Clock, NotReady};

const SIGN: AuthorityId = AuthorityId(1);
/// Enough that rebuilding the records takes longer than looking.
const CERTIFICATES: u64 = 120_000;
const FIRST_SERIAL: u64 = 1_000_000;

fn open(data: &DataDir) -> Arc<Office> {
    let config = Config::read(&data.config()).unwrap();
    Office::start(data.clone(), config, Clock::system(), "http://127.0.0.1:8080".to_owned()).unwrap().0
}

#[test]
fn after_a_crash_ocsp_answers_while_the_records_are_rebuilt() {
    let home = tempfile::tempdir().unwrap();
    let data = DataDir::new(&home.path().join("data"));
    office::init(&data, "SEKISHO-TEST").unwrap();
    let crashed = open(&data);
    let up_to = FIRST_SERIAL + CERTIFICATES;
    let reserve =
        move |_: &sekisho::store::Records<'_>, _| Ok(vec![Event::SerialsReserved { authority: SIGN, up_to }]);
    crashed.store().submit_wait(Origin::service(), Box::new(reserve)).unwrap();
    let place = crashed.store().archive_append_wait(b"a certificate".to_vec()).unwrap();
    for first in (0..CERTIFICATES).step_by(500) {
        let issued = move |number: u64, now: sekisho::der::UnixTime| {
            Event::Issued(Issued {
                certificate: CertificateRef {
                    authority: SIGN,
                    generation: Generation::FIRST,
                    serial: SerialNumber::try_from(FIRST_SERIAL + number).unwrap(),
                },
                kind: CertificateKind::CardSign,
                partition: Some(Partition(13221)),
                not_before: now,
                not_after: now.plus(Duration::from_secs(86_400)),
                archive: place,
                sha256: [0; 32],
                holder: None,
                card: None,
                twin: None,
            })
        };
        let decide = Box::new(move |_: &sekisho::store::Records<'_>, now| {
            Ok((first..first + 500).map(|number| issued(number, now)).collect())
        });
        crashed.store().submit_wait(Origin::service(), decide).unwrap();
    }
    let last = SerialNumber::try_from(FIRST_SERIAL + CERTIFICATES - 1).unwrap();
    let ca = home.path().join("data/ca/sign-1.pem");
    let request = ocsp_request(&ca, &last.to_string(), home.path());
    // Dropped without a stop: no marker, as after a crash.
    drop(crashed);

    let office = open(&data);
    let rebuilding = office.store().ready();
    assert!(matches!(rebuilding, Err(NotReady::Rebuilding(_))), "{rebuilding:?}");
    assert!(office.unready().iter().any(|reason| reason.contains("being rebuilt")));
    let now = Clock::system().now();
    let mut respond = office.responder().respond(&request, now);
    while let Respond::Sign(job) = respond {
        let signature = job.sign();
        respond = office.responder().finish(job, signature, now);
    }
    let Respond::Ready(answer) = respond else { unreachable!() };
    assert!(office.store().ready().is_err(), "answered before the records were there");
    assert!(says_good(&answer.body, home.path(), &ca));

    office.store().wait_ready();
    assert_eq!(office.unready(), Vec::<String>::new());
    assert!(office.store().find(SIGN, &last).unwrap().is_some());
    office.stop().unwrap();
}

/// A request as OpenSSL writes it.
fn ocsp_request(ca: &std::path::Path, serial: &str, home: &std::path::Path) -> Vec<u8> {
    let out = home.join("request.der");
    let status = std::process::Command::new("openssl")
        .args(["ocsp", "-no_nonce", "-issuer"])
        .arg(ca)
        .args(["-serial", serial, "-reqout"])
        .arg(&out)
        .status()
        .unwrap();
    assert!(status.success());
    std::fs::read(out).unwrap()
}

/// What OpenSSL makes of the answer.
fn says_good(body: &[u8], home: &std::path::Path, ca: &std::path::Path) -> bool {
    let file = home.join("response.der");
    std::fs::write(&file, body).unwrap();
    let output = std::process::Command::new("openssl")
        .args(["ocsp", "-resp_text", "-respin"])
        .arg(&file)
        .arg("-CAfile")
        .arg(ca)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("Response verify OK"), "{text}");
    text.contains("Cert Status: good")
}
