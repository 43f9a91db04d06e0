//! Signers that are not let in: each for its own reason, at start and at reload.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sekisho::der::{Oid, UnixTime, Writer};
use sekisho::ocsp::request_for;
use sekisho::office::{Application, Asked, Office, Place, Selector, Spelling, SubjectKeySource, Wish};
use sekisho::pki::{AuthorityId, CertificateKind, HashAlgorithm, Issuer, Partition, SerialNumber, oid};
use sekisho::record::Origin;
use sekisho::store::Clock;

use crate::client::{ask, get, post};
use crate::files::{Extension, KeyFile, Wanted, clear, ed25519, issuer, key, key_of, p384, put};
use crate::home::{ALL, Home, init, verified};
use crate::service::{DEADLINE, SEKISHO, Service, run, signal};
use crate::world::{Ask, extension};

const DAY: Duration = Duration::from_secs(86_400);

/// One wrong signer.
struct Wrong {
    name: &'static str,
    /// Words of what is said against it.
    words: &'static str,
    certificate: Vec<u8>,
    key: PathBuf,
}

/// Every ground of refusal, each alone.
fn wrong_signers(home: &Path, data: &Path, now: UnixTime) -> Vec<Wrong> {
    let (ca, good) = (issuer(data, "sign"), p384(home, "good"));
    let ca_key = key_of(data, &ca);
    let right = Wanted::right(&ca, &good, now);
    let mut all = Vec::new();
    let mut add = |name, words, wanted: Wanted, signed_with: &Path, key: &KeyFile| {
        let certificate = wanted.signed(home, signed_with);
        all.push(Wrong { name, words, certificate, key: key.path.clone() });
    };
    let mut of = |name, words, change: &dyn Fn(&mut Wanted)| {
        let mut wanted = right.clone();
        change(&mut wanted);
        add(name, words, wanted, &ca_key, &good);
    };
    of("expired", "expired at", &|w| w.not_after = now.minus(Duration::from_secs(60)));
    of("early", "not valid before", &|w| w.not_before = now.plus(DAY));
    of("no-purpose", "no id-kp-OCSPSigning", &|w| w.purpose = None);
    of("other-purpose", "no id-kp-OCSPSigning", &|w| w.purpose = Some(oid::KP_CLIENT_AUTH));
    of("no-nocheck", "no id-pkix-ocsp-nocheck", &|w| w.nocheck = false);
    of("ca", "a CA certificate", &|w| w.ca = true);
    of("foreign-name", "wrong issuer", &|w| w.issuer = w.subject.clone());
    of("sha1", "weak algorithm, a signature of 1.2.840.113549.1.1.5", &|w| w.digest = "sha1");
    of("md5", "weak algorithm, a signature of 1.2.840.113549.1.1.4", &|w| w.digest = "md5");
    of("no-aki", "authorityKeyIdentifier", &|w| w.key_identifier = None);
    of("other-aki", "authorityKeyIdentifier", &|w| w.key_identifier = Some([1; 20]));
    of("authority-name", "the authority's own name", &|w| w.subject = ca.name.clone());
    of("long", "valid longer than its issuer", &|w| {
        w.not_after = ca.not_after.plus(Duration::from_secs(1));
    });
    of("no-usage", "no digitalSignature in keyUsage", &|w| w.key_usage = None);
    of("other-usage", "no digitalSignature in keyUsage", &|w| w.key_usage = Some(0x4000));
    let auth = key_of(data, &issuer(data, "auth"));
    add("foreign-key", "wrong issuer", right.clone(), &auth, &good);
    let other = p384(home, "other");
    add("wrong-key", "the private key does not belong", right.clone(), &ca_key, &other);
    for (name, words, arguments) in [
        (
            "rsa1024",
            "weak algorithm, an RSA key of 1024 bits",
            &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
        ),
        (
            "p521",
            "weak algorithm, a key of an unknown curve",
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        ),
        (
            "k256",
            "weak algorithm, a key of an unknown curve",
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
        ),
    ] {
        let weak = key(home, name, arguments);
        add(name, words, Wanted { spki: weak.spki.clone(), ..right.clone() }, &ca_key, &weak);
    }
    let certificate = b"no certificate".to_vec();
    all.push(Wrong { name: "no-certificate", words: "not a certificate", certificate, key: good.path });
    all
}

#[test]
fn rfc6960_s4_2_2_2_each_wrong_signer_is_refused_at_start_by_its_own_name() {
    let mut home = Home::new(ALL);
    let (dir, data) = (home.home.path().to_owned(), home.data());
    let all = wrong_signers(&dir, &data, home.now());
    for wrong in &all {
        put(&data, wrong.name, &wrong.certificate, &wrong.key);
    }
    // A right one is let in all the same, and signs.
    let (ca, good) = (issuer(&data, "sign"), p384(&dir, "right"));
    let certificate = Wanted::right(&ca, &good, home.now()).signed(&dir, &key_of(&data, &ca));
    put(&data, "right", &certificate, &good.path);
    home.start().unwrap();
    let refused = home.office().refused_signers();
    assert_eq!(refused.len(), all.len(), "{refused:?}");
    for wrong in &all {
        let file = format!("signers/{}.pem", wrong.name);
        let told = refused.iter().find(|one| one.file.ends_with(&file)).unwrap();
        assert!(told.why.contains(wrong.words), "{told}");
        assert!(!told.to_string().contains('\n'));
    }
    assert_eq!(home.made(), 7, "none is made where one is given");
    let answer = crate::home::ask(home.office(), &preferring(&ca, &oid::ECDSA_WITH_SHA384), home.now());
    assert_eq!(verified(&answer, &ca), certificate);
    // Told as what somebody should look at; it answers all the same.
    assert_eq!(home.office().unready(), Vec::<String>::new());
    let attention = home.office().attention();
    assert!(attention.iter().all(|one| one.reason == "signer-refused"), "{attention:?}");
    assert_eq!(attention.len(), all.len());
    assert_eq!(home.office().examine(None).unwrap().findings.len(), all.len());
}

#[test]
fn a_signer_that_outgrew_the_settings_or_lacks_a_half_is_refused() {
    let mut home = Home::new(r#"signers = ["p256", "p384"]"#);
    let (dir, data) = (home.home.path().to_owned(), home.data());
    let (ca, key384) = (issuer(&data, "sign"), p384(&dir, "a"));
    let ca_key = key_of(&data, &ca);
    let signers = data.join("signers");
    let certificate = Wanted::right(&ca, &key384, home.now()).signed(&dir, &ca_key);
    let mut refused = |file: &str, words: &str| {
        home.start().unwrap();
        let told = home.office().refused_signers();
        let is_told =
            |one: &sekisho::office::RefusedSigner| one.file.ends_with(file) && one.why.contains(words);
        assert!(told.iter().any(is_told), "{told:?}");
        home.stop();
        clear(&data);
    };
    let unlisted = ed25519(&dir, "b");
    put(
        &data,
        "b",
        &Wanted::right(&ca, &unlisted, Clock::system().now()).signed(&dir, &ca_key),
        &unlisted.path,
    );
    refused("signers/b.pem", "ocsp.signers does not list ed25519");
    put(&data, "a", &certificate, &key384.path);
    fs::remove_file(signers.join("a.key")).unwrap();
    refused("signers/a.key", "private key is missing");
    put(&data, "a", &certificate, &key384.path);
    fs::remove_file(signers.join("a.pem")).unwrap();
    refused("signers/a.key", "certificate to this key is missing");
    fs::write(signers.join("a.crt"), &certificate).unwrap();
    refused("signers/a.crt", "neither NAME.pem nor NAME.key");
    fs::create_dir(signers.join("a.pem")).unwrap();
    fs::create_dir(signers.join("a.key")).unwrap();
    fs::set_permissions(signers.join("a.key"), fs::Permissions::from_mode(0o600)).unwrap();
    home.start().unwrap();
    let told = home.office().refused_signers();
    assert!(told.iter().any(|one| one.why.contains("cannot be read")), "{told:?}");
    home.stop();
    fs::remove_dir(signers.join("a.pem")).unwrap();
    fs::remove_dir(signers.join("a.key")).unwrap();
    let mut refused = |file: &str, words: &str| {
        home.start().unwrap();
        let told = home.office().refused_signers();
        let is_told =
            |one: &sekisho::office::RefusedSigner| one.file.ends_with(file) && one.why.contains(words);
        assert!(told.iter().any(is_told), "{told:?}");
        home.stop();
        clear(&data);
    };
    put(&data, "a", &certificate, &key384.path);
    let twice = fs::read_to_string(signers.join("a.pem")).unwrap().repeat(2);
    fs::write(signers.join("a.pem"), twice).unwrap();
    refused("signers/a.pem", "not one certificate in PEM");
    put(&data, "a", &certificate, &signers.join("../ca/sign-1.pem"));
    refused("signers/a.key", "openssl pkcs8");
    // Keys that others may read stop the start, as those in keys/ do.
    let mut stops = |file: &str, words: &str| {
        let text = home.start().unwrap_err().to_string();
        assert!(text.contains(file) && text.contains(words), "{text}");
        clear(&data);
    };
    put(&data, "a", &certificate, &key384.path);
    fs::set_permissions(signers.join("a.key"), fs::Permissions::from_mode(0o640)).unwrap();
    stops("signers/a.key", "chmod 600");
    fs::set_permissions(&signers, fs::Permissions::from_mode(0o750)).unwrap();
    stops("signers", "chmod 700");
    fs::set_permissions(&signers, fs::Permissions::from_mode(0o700)).unwrap();
    // What an editor leaves is no signer; and a directory that is not there holds none.
    fs::write(signers.join(".a.pem.swp"), "").unwrap();
    home.start().unwrap();
    assert_eq!(home.office().refused_signers(), []);
    home.stop();
    fs::remove_dir_all(&signers).unwrap();
    home.start().unwrap();
}

#[test]
fn b_6_a_wrong_signer_is_told_of_and_the_service_goes_on_with_others() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    init(&data, ALL);
    let (ca, good) = (issuer(&data, "sign"), p384(dir.path(), "good"));
    let wanted = Wanted { nocheck: false, ..Wanted::right(&ca, &good, Clock::system().now()) };
    put(&data, "mine", &wanted.signed(dir.path(), &key_of(&data, &ca)), &good.path);
    let service = Service::start(&data, 100);
    let ready = ask(address(&service), get("/readyz"));
    let told = String::from_utf8(ready.body).unwrap();
    assert!(ready.status == 200 && told.contains("signers/mine.pem"), "{told}");
    assert!(told.contains("id-pkix-ocsp-nocheck"), "{told}");
    service.sekisho(&["check"]).refused(1, &["1 finding"]);
    assert!(service.sekisho(&["check"]).stdout.contains("signers/mine.pem: no id-pkix-ocsp-nocheck"));
    let listed = service.sekisho(&["signer", "list"]);
    assert!(
        listed.stdout.contains("! not used: ") && listed.stdout.contains("mine.pem"),
        "{}",
        listed.text()
    );
    verified(&ask(address(&service), post("/", &preferring(&ca, &oid::ECDSA_WITH_SHA384))).body, &ca);
}

/// What is refused for the sake of what is on record: keys and serials that are somebody else's.
#[test]
fn b_6_keys_and_serials_that_are_somebody_elses_are_refused_each_by_its_name() {
    let mut home = Home::started(ALL);
    let (dir, data) = (home.home.path().to_owned(), home.data());
    let resident = |home: &Home| resident(home.office());
    let (good, revoked) = (resident(&home), resident(&home));
    revoke(home.office(), &revoked);
    crate::issuers::new_generation(home.office(), AuthorityId(1));
    let (first, ca) = (crate::home::issuer(home.office(), 1, 1), crate::home::issuer(home.office(), 1, 2));
    let auth = crate::home::issuer(home.office(), 2, 1);
    let ca_key = key_of(&data, &ca);
    let [first_key, own_key, auth_key] =
        [&first, &ca, &auth].map(|ca| KeyFile { path: key_of(&data, ca), spki: ca.spki.clone() });
    let key384 = p384(&dir, "k384");
    let rsa = |name: &str, exponent: &str| {
        let exponent = format!("rsa_keygen_pubexp:{exponent}");
        key(&dir, name, &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", &exponent])
    };
    let [e3, e17, e257, good_rsa] =
        [("e3", "3"), ("e17", "17"), ("e257", "257"), ("e65537", "65537")].map(|(name, e)| rsa(name, e));
    let reserved = home.office().store().facts().reserved[&AuthorityId(1)];
    let made = home.office().signers(false).unwrap().into_iter().find(|one| one.authority == "sign").unwrap();
    let critical = |id: &[u32]| vec![(Oid::new(id), true, vec![5, 0])];
    let twice = vec![(Oid::new(&[1, 2, 392, 7]), false, vec![5, 0]); 2];
    let nothing = |_: &mut Wanted| {};
    let serial = |serial: SerialNumber| move |w: &mut Wanted| w.serial = serial;
    let more = |more: Vec<Extension>| move |w: &mut Wanted| w.more = more.clone();
    type Change<'a> = Box<dyn Fn(&mut Wanted) + 'a>;
    let rows: Vec<(&str, &KeyFile, Change<'_>, &str)> = vec![
        ("own-ca-key", &own_key, Box::new(nothing), "its key is that of the CA sign, generation 2"),
        ("first-ca-key", &first_key, Box::new(nothing), "its key is that of the CA sign, generation 1"),
        ("other-ca-key", &auth_key, Box::new(nothing), "its key is that of the CA auth, generation 1"),
        ("e3", &e3, Box::new(nothing), "weak algorithm, an RSA key of exponent 3"),
        ("e17", &e17, Box::new(nothing), "weak algorithm, an RSA key of exponent 17"),
        ("e257", &e257, Box::new(nothing), "weak algorithm, an RSA key of exponent 257"),
        ("resident", &key384, Box::new(serial(good)), "that of a resident's certificate"),
        ("revoked-resident", &key384, Box::new(serial(revoked)), "that of a resident's certificate"),
        ("cas-serial", &key384, Box::new(serial(ca.serial)), "that of another ca certificate"),
        ("old-cas-serial", &key384, Box::new(serial(first.serial)), "that of another ca certificate"),
        ("signers-serial", &key384, Box::new(serial(made.serial)), "that of another ocsp-signer certificate"),
        (
            "counters",
            &key384,
            Box::new(serial(crate::home::serial(reserved))),
            "the authority gives by itself",
        ),
        (
            "next-block",
            &key384,
            Box::new(serial(crate::home::serial(reserved + 3))),
            "the authority gives by itself",
        ),
        ("last", &key384, Box::new(serial(crate::home::serial(u64::MAX))), "random serial of 16 octets"),
        (
            "unknown",
            &key384,
            Box::new(more(critical(&[1, 2, 392, 9]))),
            "unknown critical extension 1.2.392.9",
        ),
        (
            "constraints",
            &key384,
            Box::new(more(critical(&[2, 5, 29, 30]))),
            "unknown critical extension 2.5.29.30",
        ),
        (
            "policy",
            &key384,
            Box::new(more(critical(&[2, 5, 29, 36]))),
            "unknown critical extension 2.5.29.36",
        ),
        ("twice", &key384, Box::new(more(twice)), "1.2.392.7 stands there twice"),
        ("cert-sign", &key384, Box::new(|w| w.key_usage = Some(0x8400)), "keyCertSign or cRLSign"),
        ("crl-sign", &key384, Box::new(|w| w.key_usage = Some(0x8200)), "keyCertSign or cRLSign"),
    ];
    for (name, key, change, words) in &rows {
        let mut wanted = Wanted::right(&ca, key, home.now());
        change(&mut wanted);
        put(&data, name, &wanted.signed(&dir, &ca_key), &key.path);
        let error = home.office().reload_signers().unwrap_err().to_string();
        let file = format!("signers/{name}.pem");
        assert!(error.contains(&file) && error.contains(words), "{name}: {error}");
        assert!(!error.contains('\n') && error.ends_with("the other OCSP signers sign"), "{error}");
        let told = home.office().attention();
        assert!(told.len() == 1 && told[0].reason == "signer-refused", "{told:?}");
        for preferred in [&oid::ECDSA_WITH_SHA384, &oid::SHA256_WITH_RSA] {
            let answer = crate::home::ask(home.office(), &preferring(&ca, preferred), home.now());
            assert_ne!(
                Issuer::from_certificate(ca.authority, ca.generation, &verified(&answer, &ca)).unwrap().spki,
                key.spki
            );
        }
        clear(&data);
    }
    home.office().reload_signers().unwrap();
    assert_eq!(home.office().attention(), []);
    // At a start it is the same: all of them at once, and two right ones among them.
    let unknown_but_not_critical = vec![(Oid::new(&[1, 2, 392, 9]), false, vec![5, 0])];
    for (name, key, change, _) in &rows {
        let mut wanted = Wanted::right(&ca, key, home.now());
        change(&mut wanted);
        put(&data, name, &wanted.signed(&dir, &ca_key), &key.path);
    }
    let mut right = Wanted::right(&ca, &good_rsa, home.now());
    right.more = unknown_but_not_critical;
    let right = right.signed(&dir, &ca_key);
    put(&data, "right-rsa", &right, &good_rsa.path);
    let long = SerialNumber::from_magnitude(&[0x4d; 16]).unwrap();
    let other = Wanted { serial: long, ..Wanted::right(&ca, &key384, home.now()) }.signed(&dir, &ca_key);
    put(&data, "right-384", &other, &key384.path);
    // Of two with one serial the first counts.
    let key25519 = ed25519(&dir, "k25519");
    let third = Wanted { serial: long, ..Wanted::right(&ca, &key25519, home.now()) }.signed(&dir, &ca_key);
    put(&data, "right-too-late", &third, &key25519.path);
    home.stop();
    home.start().unwrap();
    let refused = home.office().refused_signers();
    assert_eq!(refused.len(), rows.len() + 1, "{refused:?}");
    let late = refused.iter().find(|one| one.file.ends_with("right-too-late.pem")).unwrap();
    assert!(late.why.contains("right-384.pem"), "{late}");
    for (preferred, certificate) in [(&oid::SHA256_WITH_RSA, right), (&oid::ECDSA_WITH_SHA384, other)] {
        let answer = crate::home::ask(home.office(), &preferring(&ca, preferred), home.now());
        assert_eq!(verified(&answer, &ca), certificate);
    }
}

/// Issues a signing certificate.
pub fn resident(office: &Office) -> SerialNumber {
    let application = Application {
        name: "関所 花子".to_owned(),
        birth: "1982-02-17".to_owned(),
        sex: "female".to_owned(),
        address: "東京都清瀬市".to_owned(),
        spelling: Spelling::default(),
        municipality: Partition(13221),
        kinds: vec![CertificateKind::CardSign],
        subject_key: SubjectKeySource::TestKey,
        place: Place::New,
    };
    let issued = office.issue(&application, Origin::service()).unwrap();
    issued.certificates[0].issued.certificate.serial
}

fn revoke(office: &Office, serial: &SerialNumber) {
    let certificate = Selector::Named { authority: "sign".to_owned(), serial: *serial };
    let wish = Wish::revoke(None, None);
    office.change(&Asked { certificate, wish }, Origin::service()).unwrap();
}

#[test]
fn a_reload_takes_over_right_signers_and_changes_nothing_for_wrong_ones() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    init(&data, ALL);
    let service = Service::start(&data, 100);
    let address = address(&service);
    let (ca, now) = (issuer(&data, "sign"), Clock::system().now());
    let ca_key = key_of(&data, &ca);
    let prefers = |algorithm| {
        let response = ask(address, post("/", &preferring(&ca, algorithm)));
        assert_eq!(response.status, 200);
        verified(&response.body, &ca)
    };
    let [made384, made25519] = [prefers(&oid::ECDSA_WITH_SHA384), prefers(&oid::ED25519)];

    // Taken over: by command, by signal.
    let (key384, key25519) = (p384(dir.path(), "p384"), ed25519(dir.path(), "ed25519"));
    let of = |key| Wanted::right(&ca, key, now).signed(dir.path(), &ca_key);
    let [given384, given25519] = [of(&key384), of(&key25519)];
    put(&data, "house-384", &given384, &key384.path);
    let done = service.sekisho(&["reload", "--json"]).json();
    assert_eq!(done["signers"][0]["key"], "p384");
    assert_eq!(done["signers"].as_array().unwrap().len(), 1);
    assert_eq!(prefers(&oid::ECDSA_WITH_SHA384), given384);
    assert_eq!(prefers(&oid::ED25519), made25519, "the others go on");
    put(&data, "house-25519", &given25519, &key25519.path);
    signal("HUP", service.pid());
    let began = Instant::now();
    while prefers(&oid::ED25519) != given25519 {
        assert!(began.elapsed() < DEADLINE, "the signal was not heard");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_ne!(given384, made384);

    // Refused, one by one: the given ones go on over HTTP, and readiness says why.
    for wrong in wrong_signers(dir.path(), &data, now) {
        let file = format!("signers/{}.pem", wrong.name);
        put(&data, wrong.name, &wrong.certificate, &wrong.key);
        service.sekisho(&["reload"]).refused(2, &[&file, wrong.words]);
        assert_eq!(prefers(&oid::ECDSA_WITH_SHA384), given384, "{}", wrong.name);
        assert_eq!(prefers(&oid::ED25519), given25519, "{}", wrong.name);
        let ready = ask(address, get("/readyz"));
        let reasons = String::from_utf8(ready.body).unwrap();
        assert!(ready.status == 200 && reasons.contains(wrong.words), "{reasons}");
        for extension in ["pem", "key"] {
            fs::remove_file(data.join(format!("signers/{}.{extension}", wrong.name))).unwrap();
        }
    }
    // Right again; and without any, those made here sign.
    let done = service.sekisho(&["reload"]);
    assert_eq!(done.stdout.lines().count(), 2, "{}", done.text());
    assert_eq!(ask(address, get("/readyz")).status, 200);
    clear(&data);
    assert!(service.sekisho(&["reload"]).stdout.contains("those made here"));
    assert_eq!(prefers(&oid::ECDSA_WITH_SHA384), made384);
    assert!(run(SEKISHO, &["reload", "--help"]).stdout.contains("nothing else"));
}

/// The address of its public listener.
pub fn address(service: &Service) -> SocketAddr {
    service.url().strip_prefix("http://").unwrap().trim_end_matches('/').parse().unwrap()
}

/// Asks about the CA's own certificate, preferring one algorithm.
pub fn preferring(ca: &Issuer, algorithm: &sekisho::der::Oid) -> Vec<u8> {
    preferring_all(ca, &[(algorithm, None)])
}

/// A preference: the algorithm, and the public key's with its parameters.
pub type Preferred<'a> =
    (&'a sekisho::der::Oid, Option<(&'a sekisho::der::Oid, Option<&'a sekisho::der::Oid>)>);

pub fn preferring_all(ca: &Issuer, preferred: &[Preferred<'_>]) -> Vec<u8> {
    let cert_id = crate::world::cert_id(
        &oid::SHA1,
        true,
        &ca.name_hash(HashAlgorithm::Sha1),
        &ca.key_hash(HashAlgorithm::Sha1),
        &ca.serial,
    );
    if preferred.is_empty() {
        return request_for(ca, HashAlgorithm::Sha1, &ca.serial);
    }
    let list = Writer::to_der(|w| {
        w.sequence(|w| {
            for (signature, key) in preferred {
                w.sequence(|w| {
                    w.sequence(|w| w.oid(signature));
                    if let Some((algorithm, parameters)) = key {
                        w.sequence(|w| {
                            w.oid(algorithm);
                            if let Some(parameters) = parameters {
                                w.oid(parameters);
                            }
                        });
                    }
                });
            }
        });
    });
    Ask::one(cert_id).with(extension(&oid::OCSP_PREF_SIG_ALGS, None, &list)).to_der()
}
