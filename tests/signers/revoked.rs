//! Signers that are revoked: another has taken over before, and nothing of theirs is given after.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sekisho::lifecycle::Revoke;
use sekisho::ocsp::{Respond, request_for};
use sekisho::office::{
    OfficeError, SignerNamed, SignerRevocation, SignerRevoked, SignerStanding, SignersNamed,
};
use sekisho::pki::{CertStatus, Generation, HashAlgorithm, Issuer, RevocationReason, SerialNumber, oid};
use sekisho::record::Origin;
use sekisho::signer::SignError;

use crate::client::{Client, ask, get_with, post};
use crate::files::{Wanted, issuer as issuer_in, key, key_of, put};
use crate::home::{DEFAULT, Home, ask as ask_office, issuer, verified};
use crate::refused::{address, preferring, resident};
use crate::service::{DEADLINE, Service};
use crate::world::{Ask, extension};

/// Answers that each asker has before and after the revocation.
const ENOUGH: u64 = 200;

fn serial_of(certificate: &[u8]) -> SerialNumber {
    let generation = Generation::FIRST;
    Issuer::from_certificate(sekisho::pki::AuthorityId(1), generation, certificate).unwrap().serial
}

fn revocation(serial: SerialNumber) -> SignerRevocation {
    SignerRevocation {
        which: SignerNamed::Serial { authority: "sign".to_owned(), serial },
        revoke: Revoke { reason: Some(RevocationReason::KeyCompromise), invalidity_date: None },
        without_successor: false,
    }
}

fn revoke(home: &Home, serial: SerialNumber) -> Result<SignerRevoked, OfficeError> {
    home.office().revoke_signer(&revocation(serial), Origin::service())
}

/// A question with a nonce: its answer is signed for it alone.
fn with_nonce(ca: &Issuer, number: u64) -> Vec<u8> {
    let (name, key) = (ca.name_hash(HashAlgorithm::Sha1), ca.key_hash(HashAlgorithm::Sha1));
    let cert_id = crate::world::cert_id(&oid::SHA1, true, &name, &key, &ca.serial);
    let nonce = [&[4_u8, 8][..], &number.to_be_bytes()].concat();
    Ask::one(cert_id).with(extension(&oid::OCSP_NONCE, None, &nonce)).to_der()
}

/// An answer on the wire: when it was asked for, and by whom it was signed.
type Given = (Instant, SerialNumber);

/// Asks until told to stop; panics at the first answer that is none, or wrong in any way.
fn asker(
    to: SocketAddr,
    ca: Issuer,
    kind: usize,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
) -> std::thread::JoinHandle<Vec<Given>> {
    std::thread::spawn(move || {
        let mut connection = Client::connect(to);
        let mut all = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let number = all.len() as u64;
            let request = match kind {
                0 => request_for(&ca, HashAlgorithm::Sha1, &ca.serial),
                1 => with_nonce(&ca, number),
                2 => request_for(&ca, HashAlgorithm::Sha256, &crate::home::serial(70_000 + number)),
                _ => preferring(&ca, &oid::SHA256_WITH_RSA),
            };
            let asked = Instant::now();
            connection.send(post("/", &request));
            let response = connection.response();
            assert_eq!(response.status, 200);
            assert!(response.body.len() > 100, "kind {kind}: an error: {:?}", response.body);
            all.push((asked, serial_of(&verified(&response.body, &ca))));
            answered.fetch_add(1, Ordering::Relaxed);
        }
        all
    })
}

fn within(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < DEADLINE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn b_4_under_load_nothing_of_a_revoked_signer_is_given_after_the_acknowledgement_and_nothing_fails() {
    let service = Service::demo(100);
    let (to, ca) = (address(&service), issuer_in(&service.data, "sign"));
    let stop = Arc::new(AtomicBool::new(false));
    let answered: Vec<_> = (0..4).map(|_| Arc::new(AtomicU64::new(0))).collect();
    let askers: Vec<_> = answered
        .iter()
        .enumerate()
        .map(|(kind, answered)| asker(to, ca.clone(), kind, Arc::clone(&stop), Arc::clone(answered)))
        .collect();
    let enough = |more: &[u64]| {
        within("answers", || {
            assert!(askers.iter().all(|asker| !asker.is_finished()), "an answer was wrong");
            answered.iter().zip(more).all(|(now, before)| now.load(Ordering::Relaxed) >= before + ENOUGH)
        });
    };
    let so_far = || answered.iter().map(|one| one.load(Ordering::Relaxed)).collect::<Vec<_>>();
    enough(&[0; 4]);
    let mut acknowledged = Vec::new();
    for kind in ["p256", "rsa2048"] {
        let done = service.sekisho(&[
            "signer",
            "revoke",
            "--authority",
            "sign",
            "--generation",
            "1",
            "--kind",
            kind,
            "--json",
        ]);
        let at = Instant::now();
        let done = done.json();
        assert_eq!((done["reason"].as_str(), done["changed"].as_bool()), (Some("keyCompromise"), Some(true)));
        let parse = |serial: &serde_json::Value| serial.as_str().unwrap().parse::<SerialNumber>().unwrap();
        acknowledged.push((at, parse(&done["serial"]), parse(&done["successor"]["serial"])));
        enough(&so_far());
    }
    stop.store(true, Ordering::Relaxed);
    let all: Vec<Vec<Given>> = askers.into_iter().map(|asker| asker.join().unwrap()).collect();
    for (at, revoked, successor) in acknowledged {
        let by = |serial, is_after: bool| {
            all.iter().flatten().filter(|(asked, by)| (*asked > at) == is_after && *by == serial).count()
        };
        assert!(by(revoked, false) >= 200, "{} before", by(revoked, false));
        assert_eq!(by(revoked, true), 0, "after it was acknowledged");
        assert!(by(successor, true) >= 200, "{} after", by(successor, true));
        let shown =
            service.sekisho(&["status", "--authority", "sign", "--serial", &revoked.to_string(), "--json"]);
        let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
        assert_eq!(shown["reason"], "keyCompromise");
    }
    // OpenSSL is of the same mind.
    let file = service.certificates("sign", "good")[0]["file"].as_str().unwrap().to_owned();
    let said = service.openssl_ocsp("sign", &file, &[]);
    assert!(said.contains("Response verify OK") && said.contains(": good"), "{said}");
    assert_eq!(ask(to, crate::client::get("/readyz")).status, 200);
}

#[test]
fn b_4_a_revoked_signer_stays_away_after_a_kill_and_its_answers_are_no_longer_confirmed() {
    let mut service = Service::demo(100);
    let (to, ca) = (address(&service), issuer_in(&service.data, "sign"));
    let path = {
        let request = request_for(&ca, HashAlgorithm::Sha1, &ca.serial);
        format!("/{}", data_encoding::BASE64.encode(&request).replace('+', "%2B").replace('/', "%2F"))
    };
    let before = ask(to, crate::client::get(&path));
    let revoked = serial_of(&verified(&before.body, &ca));
    let etag = before.field("etag").unwrap().to_owned();
    let again = ask(to, get_with(&path, &[("If-None-Match", &etag)]));
    assert_eq!(again.status, 304, "it is kept");
    let done =
        service.sekisho(&["signer", "revoke", "--authority", "sign", "--serial", &revoked.to_string()]);
    assert_eq!(done.code, Some(0), "{}", done.text());
    assert!(done.stdout.contains("signs in its place"), "{}", done.text());
    let after = ask(to, get_with(&path, &[("If-None-Match", &etag)]));
    assert_eq!(after.status, 200, "a cache is not told that the old answer is still right");
    let successor = serial_of(&verified(&after.body, &ca));
    assert_ne!(successor, revoked);
    service.kill();
    let service = Service::start(&service.data.clone(), 100);
    let to = address(&service);
    assert_eq!(serial_of(&verified(&ask(to, crate::client::get(&path)).body, &ca)), successor);
    let listed = service.sekisho(&["signer", "list", "--json"]).json();
    let one = |serial: SerialNumber| {
        let all = listed["signers"].as_array().unwrap().iter();
        all.clone()
            .find(|one| one["authority"] == "sign" && one["serial"] == serial.to_string())
            .unwrap()
            .clone()
    };
    assert_eq!(
        (one(revoked)["state"].as_str(), one(successor)["state"].as_str()),
        (Some("revoked"), Some("in use"))
    );
    assert_eq!(service.sekisho(&["check"]).code, Some(0));
}

#[test]
fn b_4_what_was_kept_or_under_way_when_a_signer_was_revoked_is_not_given() {
    let home = Home::started(DEFAULT);
    let (ca, now) = (issuer(home.office(), 1, 1), home.now());
    let responder = home.office().responder();
    let old = verified(&home.ask_about(&ca), &ca);
    let kept = request_for(&ca, HashAlgorithm::Sha1, &ca.serial);
    let Respond::Ready(_) = responder.respond(&kept, now) else { panic!("it was not kept") };
    let job = |number| {
        let request = request_for(&ca, HashAlgorithm::Sha1, &crate::home::serial(number));
        let Respond::Sign(job) = responder.respond(&request, now) else { panic!("kept") };
        job
    };
    let Respond::Sign(nonce) = responder.respond(&with_nonce(&ca, 1), now) else { panic!("kept") };
    let (unsigned, signed, failed) = (job(70_001), job(70_002), job(70_003));
    let made = signed.sign();
    let nonce_made = nonce.sign();

    let done = revoke(&home, serial_of(&old)).unwrap();
    assert!(done.changed && done.successor.is_some());
    // Kept: whoever asks has it signed anew.
    assert!(matches!(responder.respond(&kept, now), Respond::Sign(_)));
    // No new signature: the key itself refuses.
    assert_eq!(unsigned.sign(), Err(SignError::Withdrawn));
    // Those under way end with another signer, signed or not.
    for (job, made) in [
        (unsigned, Err(SignError::Withdrawn)),
        (signed, made),
        (failed, Err(SignError::Withdrawn)),
        (nonce, nonce_made),
    ] {
        let mut next = responder.finish(job, made, now);
        let answer = loop {
            match next {
                Respond::Ready(answer) | Respond::Refresh(answer, _) => break answer,
                Respond::Sign(job) => {
                    let made = job.sign();
                    next = responder.finish(job, made, now);
                }
            }
        };
        assert_ne!(verified(&answer.body, &ca), old);
    }
    assert_ne!(verified(&home.ask_about(&ca), &ca), old);
    // Neither does it come back when signers are looked after.
    for _ in 0..3 {
        home.office().renew_signers().unwrap();
        home.office().reload_signers().unwrap();
        assert_ne!(verified(&home.ask_about(&ca), &ca), old);
    }
    let revoked = request_for(&ca, HashAlgorithm::Sha1, &serial_of(&old));
    let answer = crate::world::basic(&ask_office(home.office(), &revoked, home.now()));
    let status = format!("{:?}", answer.tbs_response_data.responses[0].cert_status);
    assert!(status.contains("Revoked"), "{status}");
}

#[test]
fn b_4_a_signer_that_nobody_could_follow_is_not_revoked_unless_that_is_wanted() {
    let home = Home::started(DEFAULT);
    let ca = issuer(home.office(), 1, 1);
    let before = verified(&home.ask_about(&ca), &ca);
    let serial = serial_of(&before);
    let (keys, away) = (home.data().join("keys"), home.data().join("keys.away"));
    fs::rename(&keys, &away).unwrap();
    let error = revoke(&home, serial).unwrap_err();
    assert!(matches!(error, OfficeError::NoSuccessor { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("nothing was revoked") && text.contains("--without-successor"), "{text}");
    assert_eq!(verified(&home.ask_about(&ca), &ca), before, "it goes on");
    home.office().renew_signers().unwrap();
    assert_eq!(verified(&home.ask_about(&ca), &ca), before);
    let asked = SignerRevocation { without_successor: true, ..revocation(serial) };
    let done = home.office().revoke_signer(&asked, Origin::service()).unwrap();
    assert_eq!(done.successor, None);
    assert_ne!(verified(&home.ask_about(&ca), &ca), before, "the one of the other kind answers");
    fs::rename(&away, &keys).unwrap();
    home.office().renew_signers().unwrap();
    let after = verified(&home.ask_about(&ca), &ca);
    let states = home.office().signers(false).unwrap();
    let one = states.iter().find(|one| one.authority == "sign" && one.serial == serial_of(&after)).unwrap();
    assert_eq!((one.standing, one.key), (SignerStanding::InUse, Some("p256")));
}

#[test]
fn b_4_a_signer_that_was_issued_elsewhere_is_revoked_and_does_not_come_back() {
    let mut home = Home::started(DEFAULT);
    let (dir, data) = (home.home.path().to_owned(), home.data());
    let ca = issuer(home.office(), 1, 1);
    let p256 = key(&dir, "p256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let rsa = key(&dir, "rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    // The first serial that the counter cannot come to, and the longest.
    let near = SerialNumber::from_magnitude(&[1, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    let near = Wanted { serial: near, ..Wanted::right(&ca, &p256, home.now()) };
    let far = SerialNumber::from_magnitude(&[0x5a; 20]).unwrap();
    let far = Wanted { serial: far, ..Wanted::right(&ca, &rsa, home.now()) };
    for (name, wanted, key) in [("near", &near, &p256), ("far", &far, &rsa)] {
        put(&data, name, &wanted.signed(&dir, &key_of(&data, &ca)), &key.path);
    }
    home.office().reload_signers().unwrap();
    assert_eq!(serial_of(&verified(&home.ask_about(&ca), &ca)), near.serial);
    let states = home.office().signers(false).unwrap();
    let given = states.iter().find(|one| one.serial == near.serial).unwrap();
    assert!(given.standing == SignerStanding::InUse && given.file.as_ref().unwrap().ends_with("near.pem"));
    for serial in [near.serial, far.serial] {
        let done = revoke(&home, serial).unwrap();
        assert!(done.changed && matches!(done.status, CertStatus::Revoked(_)), "{done:?}");
        assert!(done.file.is_some());
        let again = revoke(&home, serial).unwrap();
        assert!(!again.changed && again.position == done.position, "{again:?}");
    }
    let is_away = |home: &Home| {
        assert_ne!(serial_of(&verified(&home.ask_about(&ca), &ca)), near.serial);
        let rsa = ask_office(home.office(), &preferring(&ca, &oid::SHA256_WITH_RSA), home.now());
        assert_ne!(serial_of(&verified(&rsa, &ca)), far.serial);
        for serial in [near.serial, far.serial] {
            let question = request_for(&ca, HashAlgorithm::Sha1, &serial);
            let answer = crate::world::basic(&ask_office(home.office(), &question, home.now()));
            let status = format!("{:?}", answer.tbs_response_data.responses[0].cert_status);
            assert!(status.contains("Revoked"), "{status}");
        }
    };
    is_away(&home);
    let error = home.office().reload_signers().unwrap_err().to_string();
    assert_eq!(error.matches("revoked at").count(), 2, "{error}");
    // Another certificate of a key that is known to others is not let in either.
    crate::files::clear(&data);
    let again = Wanted::right(&ca, &p256, home.now());
    put(&data, "again", &again.signed(&dir, &key_of(&data, &ca)), &p256.path);
    let error = home.office().reload_signers().unwrap_err().to_string();
    assert!(error.contains("its key is that of the signer") && error.contains("which is revoked"), "{error}");
    home.stop();
    home.start().unwrap();
    is_away(&home);
    // They stand in the full CRLs, of every key.
    let set = home.office().publish(&[ca.authority], false).unwrap();
    assert!(set.entries >= 2, "{}", set.entries);
    // The counter goes on as if nothing had been.
    let mut last = resident(home.office());
    for _ in 0..4 {
        let next = resident(home.office());
        assert!(next > last && next != near.serial);
        last = next;
    }
    let findings = home.office().examine(None).unwrap().findings;
    assert!(findings.len() == 1 && findings[0].contains("again.pem"), "{findings:?}");
}

#[test]
fn b_4_a_renewed_signer_signs_at_once_and_again_after_a_start() {
    let mut home = Home::started(DEFAULT);
    let ca = issuer(home.office(), 1, 1);
    let before = verified(&home.ask_about(&ca), &ca);
    let all = home.office().renew_signers_now(&SignersNamed::default(), &Origin::service()).unwrap();
    assert_eq!(all.len(), 4);
    let after = verified(&home.ask_about(&ca), &ca);
    let one = all.iter().find(|one| one.authority == "sign" && one.key == "p256").unwrap();
    assert_eq!((one.before, one.serial), (Some(serial_of(&before)), serial_of(&after)));
    let states = home.office().signers(false).unwrap();
    let standing =
        |serial| states.iter().find(|one| one.authority == "sign" && one.serial == serial).unwrap().standing;
    assert_eq!(standing(serial_of(&before)), SignerStanding::Waiting);
    assert_eq!(standing(serial_of(&after)), SignerStanding::InUse);
    home.stop();
    home.start().unwrap();
    assert_eq!(verified(&home.ask_about(&ca), &ca), after);
    // One that waits is revoked, too, and nothing changes hands.
    revoke(&home, serial_of(&before)).unwrap();
    assert_eq!(verified(&home.ask_about(&ca), &ca), after);
    let only = SignersNamed { authority: Some("auth".to_owned()), generation: Some(1), key: None };
    assert_eq!(home.office().renew_signers_now(&only, &Origin::service()).unwrap().len(), 2);
    assert_eq!(verified(&home.ask_about(&ca), &ca), after);
    let none = SignersNamed { generation: Some(7), ..SignersNamed::default() };
    assert!(matches!(
        home.office().renew_signers_now(&none, &Origin::service()),
        Err(OfficeError::NoSigner(_))
    ));
}

#[test]
fn b_4_the_commands_say_what_they_did_and_refuse_in_one_line() {
    let service = Service::demo(100);
    let signer = |arguments: &[&str]| service.sekisho(&[&["signer"], arguments].concat());
    let list = signer(&["list"]);
    assert_eq!(list.code, Some(0), "{}", list.text());
    assert_eq!(list.stdout.lines().count(), 5, "{}", list.text());
    assert_eq!(list.stdout.matches("in use").count(), 4, "{}", list.text());
    let all = signer(&["list", "--json"]).json();
    let one = &all["signers"][0];
    for field in
        ["authority", "generation", "serial", "key", "key_id", "not_before", "not_after", "state", "since"]
    {
        assert!(!one[field].is_null(), "{field}: {one}");
    }
    assert_eq!((one["status"].as_str(), one["state"].as_str()), (Some("good"), Some("in use")));
    assert!(one["signatures"].is_u64());
    let revoke = |arguments: &[&str]| signer(&[&["revoke", "--authority", "sign"], arguments].concat());
    // Wrong use.
    revoke(&["--generation", "1"]).refused(2, &["several OCSP signers", "--kind", "p256", "rsa2048"]);
    revoke(&["--serial", "x"]).refused(2, &["not a serial number"]);
    signer(&["revoke", "--authority", "sgin", "--serial", "0x2"]).refused(2, &["sgin", "sign or auth"]);
    for arguments in [
        &["--serial", "0x2", "--generation", "1"][..],
        &[],
        &["--kind", "p256"],
        &["--serial", "0x2", "--kind", "p256"],
    ] {
        assert_eq!(revoke(arguments).code, Some(2), "{arguments:?}");
    }
    assert_eq!(revoke(&["--generation", "1", "--kind", "p521"]).code, Some(2));
    // The answer is no.
    let resident = service.certificates("sign", "good")[0]["serial"].as_str().unwrap().to_owned();
    revoke(&["--serial", &resident]).refused(1, &["a resident's certificate", "sekisho revoke"]);
    revoke(&["--serial", "0x1"]).refused(1, &["0x1 of sign is a ca certificate", "sekisho signer list"]);
    revoke(&["--serial", "0xfffffff"]).refused(1, &["never issued"]);
    revoke(&["--generation", "9", "--kind", "p256"]).refused(1, &["no such OCSP signer", "generation 9"]);
    let serial = all["signers"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["authority"] == "sign" && one["key"] == "p256");
    let serial = serial.unwrap()["serial"].as_str().unwrap().to_owned();
    revoke(&["--serial", &serial, "--reason", "certificateHold"]).refused(1, &["certificateHold"]);
    revoke(&["--serial", &serial, "--invalid-since", "2199-01-01T00:00:00Z"]).refused(1, &["2199"]);
    revoke(&["--serial", &serial, "--reason", "tired"]).refused(2, &["unknown reason"]);
    assert_eq!(
        signer(&["list", "--json"]).json()["signers"].as_array().unwrap().len(),
        4,
        "none was made for it"
    );
    // Done; again; and not by mistake for its successor.
    let done =
        revoke(&["--generation", "1", "--kind", "p256", "--reason", "superseded", "--key", "k1", "--json"])
            .json();
    assert_eq!((done["serial"].as_str(), done["reason"].as_str()), (Some(&*serial), Some("superseded")));
    let again = revoke(&["--serial", &serial, "--reason", "superseded"]);
    assert!(again.code == Some(0) && again.stdout.contains("so already"), "{}", again.text());
    revoke(&["--generation", "1", "--kind", "p256"]).refused(2, &["was revoked at", "--serial"]);
    let sharper = revoke(&["--serial", &serial, "--json"]).json();
    assert_eq!(
        (sharper["reason"].as_str(), sharper["changed"].as_bool()),
        (Some("keyCompromise"), Some(true))
    );
    let renewed = signer(&["renew", "--authority", "auth", "--kind", "p256"]);
    assert!(renewed.code == Some(0) && renewed.stdout.contains("in the place of"), "{}", renewed.text());
    signer(&["renew", "--generation", "9"]).refused(1, &["no such OCSP signer"]);
    let list = signer(&["list"]).stdout;
    assert!(list.contains("revoked (keyCompromise)") && list.contains("waiting"), "{list}");
    let other = tempfile::tempdir().unwrap();
    crate::service::sekisho(Path::new(other.path()), &["signer", "list"]).refused(3, &["no service"]);
}
