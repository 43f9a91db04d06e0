//! The commands: outcomes, repetitions, and what every mistake is told.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed step must stop the test"
)]

#[path = "cli/cards.rs"]
mod cards;
#[path = "cli/comments.rs"]
mod comments;
#[path = "cli/export.rs"]
mod export;
#[path = "cli/issued.rs"]
mod issued_certificates;
#[path = "cli/issuers.rs"]
mod issuers;
#[path = "cli/keys.rs"]
mod keys;
#[path = "cli/serials.rs"]
mod serials;
mod service;
#[path = "cli/suite.rs"]
mod suite;

use std::fs;
use std::io::BufRead;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sekisho::der::UnixTime;
use serde_json::Value;
use service::{SEKISHO, Service, run, sekisho};
use x509_parser::der_parser::asn1_rs::Any;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

const APPLICANT: [&str; 10] = [
    "--name",
    "関所 花子",
    "--birth",
    "1982-02-17",
    "--sex",
    "female",
    "--address",
    "東京都清瀬市中里五丁目842番地",
    "--municipality",
    "13221",
];

fn issue<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["issue"][..], &APPLICANT, more].concat()
}

/// Issues a pair or one kind, and returns the JSON of its certificates.
fn issued(service: &Service, more: &[&str]) -> Vec<Value> {
    let out = service.data.join("out").display().to_string();
    let ran = service.sekisho(&[&issue(&["--test-key", "--json", "--out", &out])[..], more].concat());
    ran.json()["certificates"].as_array().unwrap().clone()
}

fn serial(certificate: &Value) -> &str {
    certificate["serial"].as_str().unwrap()
}

#[test]
fn revoking_is_for_ever_and_repeating_changes_nothing() {
    let service = Service::demo(100);
    let pair = issued(&service, &[]);
    let (sign, auth) = (serial(&pair[0]), serial(&pair[1]));
    assert_eq!((&pair[0]["kind"], &pair[1]["kind"]), (&Value::from("sign"), &Value::from("auth")));

    let named = ["--authority", "sign", "--serial", sign];
    let revoke = |more: &[&str]| service.sekisho(&[&["revoke", "--json"][..], &named, more].concat());
    let first = revoke(&["--reason", "superseded", "--key", "a"]).json();
    assert_eq!((&first["changed"], &first["repeated"]), (&Value::from(true), &Value::from(false)));
    let again = revoke(&["--reason", "superseded", "--key", "a"]).json();
    assert_eq!((&again["changed"], &again["repeated"]), (&Value::from(false), &Value::from(true)));
    for field in ["position", "recorded_at", "revoked_at", "status", "reason"] {
        assert_eq!(first[field], again[field], "the first outcome again: {field}");
    }
    revoke(&["--reason", "keyCompromise", "--key", "a"]).refused(1, &["key was used for another request"]);
    let so_already = revoke(&["--reason", "superseded"]).json();
    assert_eq!((&so_already["changed"], &so_already["position"]), (&Value::from(false), &first["position"]));
    revoke(&["--reason", "affiliationChanged"]).refused(1, &["already revoked with superseded"]);
    service.sekisho(&[&["hold"][..], &named].concat()).refused(1, &["already revoked"]);
    service.sekisho(&[&["release"][..], &named].concat()).refused(1, &["already revoked"]);

    let at = first["recorded_at"].as_str().unwrap();
    let status = service.sekisho(&["status", "--json", "--authority", "auth", "--serial", auth]);
    assert_eq!(status.json()["status"], "good", "the twin stays as it was");
    let before = service.sekisho(&[
        "status",
        "--json",
        "--authority",
        "sign",
        "--serial",
        sign,
        "--at",
        "2020-01-01T00:00:00Z",
    ]);
    before.refused(1, &["had not been issued yet at 2020-01-01T00:00:00Z: it was issued at 20"]);
    let then = service.sekisho(&["status", "--json", "--authority", "sign", "--serial", sign, "--at", at]);
    assert_eq!(then.code, Some(1));
    assert!(then.stdout.contains("superseded"));
}

#[test]
fn only_a_phone_authentication_certificate_returns_from_hold() {
    let service = Service::demo(100);
    let phone = issued(&service, &["--kind", "phone-sign,phone-auth"]);
    let card = issued(&service, &[]);
    let on = |authority: &str, certificate: &Value| {
        let named = ["--authority", authority, "--serial", serial(certificate)];
        let status = service.sekisho(&[&["status", "--json"][..], &named].concat());
        serde_json::from_str::<Value>(&status.stdout).unwrap()
    };
    let turn = |what: &str, certificate: &Value| {
        let card = on("auth", certificate)["card"].as_str().unwrap().to_owned();
        service.sekisho(&["card", what, &card, "--json"]).json()
    };
    for pair in [&card, &phone] {
        assert_eq!(turn("suspend", &pair[1])["certificates"].as_array().unwrap().len(), 2);
        let reasons = [on("sign", &pair[0]), on("auth", &pair[1])].map(|state| state["reason"].clone());
        assert_eq!(reasons, ["certificateHold", "certificateHold"]);
        turn("found", &pair[1]);
    }
    for (authority, certificate, reason) in [
        ("sign", &card[0], "cessationOfOperation"),
        ("auth", &card[1], "cessationOfOperation"),
        ("sign", &phone[0], "certificateHold"),
    ] {
        assert_eq!(on(authority, certificate)["reason"], reason);
    }
    assert_eq!(on("auth", &phone[1])["status"], "good");
    assert_eq!(turn("found", &phone[1])["changed"], false);
    let file = service.data.join("out").join(format!("auth-{}.pem", serial(&phone[1])));
    assert!(service.openssl_ocsp("auth", file.to_str().unwrap(), &[]).contains(": good"));
}

#[test]
fn a_hold_that_ends_in_revocation_keeps_its_date() {
    let service = Service::demo(100);
    let card = issued(&service, &["--kind", "sign"]);
    let named = ["--json", "--authority", "sign", "--serial", serial(&card[0])];
    let shown = service.sekisho(&[&["status"][..], &named].concat()).json();
    let suspended = service.sekisho(&["card", "suspend", shown["card"].as_str().unwrap(), "--json"]).json();
    let held = &suspended["certificates"][0];
    let ended =
        service.sekisho(&[&["revoke", "--reason", "cessationOfOperation"][..], &named].concat()).json();
    assert_eq!(ended["revoked_at"], held["revoked_at"]);
    assert_ne!(ended["position"], suspended["position"]);
    assert_eq!(ended["reason"], "cessationOfOperation");
}

#[test]
fn a_repeated_issue_gives_the_same_certificates() {
    let service = Service::demo(100);
    let first = issued(&service, &["--key", "k"]);
    assert_eq!(issued(&service, &["--key", "k"]), first);
    assert_ne!(issued(&service, &["--key", "other"]), first);
    let out = service.data.join("out").display().to_string();
    let other = issue(&["--test-key", "--key", "k", "--kind", "auth", "--out", &out]);
    service.sekisho(&other).refused(1, &["key was used for another request"]);
}

#[test]
fn a_wrong_application_is_refused_with_the_reason() {
    let service = Service::demo(100);
    let refused = |arguments: &[&str], words: &[&str]| service.sekisho(arguments).refused(2, words);
    let with = |option: &str, value: &'static str| {
        let mut arguments = issue(&["--test-key"]);
        let at = arguments.iter().position(|one| *one == option).unwrap();
        arguments[at + 1] = value;
        arguments
    };
    refused(&with("--municipality", "99999"), &["99999"]);
    refused(&with("--municipality", "1322"), &["five digits"]);
    refused(&with("--birth", "2999-01-01"), &["birth"]);
    refused(&with("--birth", "1982-02-30"), &["birth"]);
    refused(&with("--birth", "2020-01-01"), &["15"]);
    refused(&with("--birth", "1982-00-17"), &["not a date of birth", "or unknown"]);
    refused(&with("--birth", "unknown"), &["15", "authentication certificate alone"]);
    refused(&with("--sex", "none"), &["sex"]);
    refused(&with("--name", ""), &["name"]);
    refused(&with("--address", "北海道札幌市"), &["東京都"]);
    refused(&issue(&["--test-key", "--kind", "sign,phone-auth"]), &["cannot issue"]);
    refused(&issue(&["--test-key", "--kind", "root"]), &["unknown certificate kind"]);
    refused(&issue(&[]), &["--csr"]);
    assert_eq!(service.sekisho(&["issue"]).code, Some(2));
}

/// The texts of a certificate's otherNames, in their order; none when it has none.
fn holder(service: &Service, certificate: &Value) -> Option<Vec<String>> {
    let (authority, serial) = (certificate["authority"].as_str().unwrap(), serial(certificate));
    let file = service.data.join("out").join(format!("{authority}-{serial}.pem"));
    let der = pem::parse(fs::read(file).unwrap()).unwrap().into_contents();
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    let san = certificate.subject_alternative_name().unwrap()?;
    let text = |name: &GeneralName<'_>| {
        let GeneralName::OtherName(_, value) = name else { panic!("{name}") };
        let (_, explicit) = Any::from_der(value).unwrap();
        Any::from_der(explicit.data).unwrap().1.as_utf8string().unwrap().string()
    };
    Some(san.value.general_names.iter().map(text).collect())
}

#[test]
fn former_surname_flags_and_what_is_known_of_a_birth_come_from_the_command_line_and_from_batches() {
    let service = Service::demo(100);
    let out = service.data.join("out").display().to_string();
    let person = [
        ["--name", "関所 花子"],
        ["--former-surname", "番場"],
        ["--name-substitutes", "100000000"],
        ["--birth", "1948-07-00"],
        ["--sex", "other"],
        ["--address", "東京都清瀬市"],
        ["--address-substitutes", "000010"],
        ["--municipality", "13221"],
    ];
    let wanted = ["関所［番場］　花子", "019480700", "3", "東京都清瀬市", "100000000", "000010"];
    let wanted = Some(wanted.map(str::to_owned).to_vec());
    let asked = [&["issue", "--test-key", "--json", "--out", &out][..], &person.concat()].concat();
    let pair = service.sekisho(&asked).json();
    assert_eq!(holder(&service, &pair["certificates"][0]), wanted);
    assert_eq!(
        holder(&service, &pair["certificates"][1]),
        None,
        "an authentication certificate tells nothing"
    );

    let mut line: serde_json::Map<String, Value> = person
        .iter()
        .map(|[option, value]| (option.trim_start_matches('-').replace('-', "_"), Value::from(*value)))
        .collect();
    line.insert("subject_key".to_owned(), "test_key".into());
    let file = service.data.join("batch.ndjson");
    let write_line = |line: &serde_json::Map<String, Value>| {
        write(&file, &serde_json::to_string(line).unwrap());
        service.sekisho(&["issue", "--batch", file.to_str().unwrap(), "--out", &out, "--json"])
    };
    let pair = write_line(&line).json();
    assert_eq!(holder(&service, &pair["certificates"][0]), wanted);

    // Who may be of any age gets no signing certificate; the other one lives five years.
    line.insert("birth".to_owned(), "unknown".into());
    write_line(&line)
        .refused(1, &["line 1", "does not show an age of 15", "authentication certificate alone"]);
    line.insert("kinds".to_owned(), vec!["auth"].into());
    let pair = write_line(&line).json();
    let issued: UnixTime = pair["recorded_at"].as_str().unwrap().parse().unwrap();
    let ends: UnixTime = pair["certificates"][0]["not_after"].as_str().unwrap().parse().unwrap();
    let days = ends.since(issued).as_secs() / 86_400;
    assert!((365 * 5..=365 * 5 + 2).contains(&days), "{days}");
    line.insert("birth".to_owned(), "1980-01-01".into());

    // What is wrong is named, and nothing else of the person.
    for (field, value, words) in [
        ("name_substitutes", "0000", &["name has 9 characters", "flags 4"][..]),
        ("name_substitutes", "000000002", &["name hold U+0032 at place 9"]),
        ("address_substitutes", "0", &["address has 6 characters", "flags 1"]),
        ("former_surname", "番\u{e000}", &["former surname holds U+E000 as character 2"]),
        ("address", "東京都清瀬\u{e0100}", &["address holds U+E0100 as character 6"]),
    ] {
        let mut wrong = line.clone();
        wrong.insert(field.to_owned(), value.into());
        wrong.insert("kinds".to_owned(), vec!["sign"].into());
        let ran = write_line(&wrong);
        ran.refused(1, words);
        let rejected = fs::read_to_string(service.data.join("batch.ndjson.rejected")).unwrap();
        for secret in ["花子", "番", "清瀬"] {
            assert!(!ran.text().contains(secret) && !rejected.contains(secret), "{} {rejected}", ran.text());
        }
    }
}

#[test]
fn weak_and_wrong_keys_are_refused_and_good_ones_certified() {
    let service = Service::demo(100);
    let out = service.data.join("keys");
    fs::create_dir_all(&out).unwrap();
    let path = |name: &str| out.join(name).display().to_string();
    let openssl = |arguments: &[&str]| assert_eq!(run("openssl", arguments).code, Some(0), "{arguments:?}");
    for (name, bits) in [("small", "1024"), ("large", "3072"), ("right", "2048")] {
        openssl(&["genrsa", "-out", &path(&format!("{name}.key")), bits]);
        openssl(&[
            "rsa",
            "-in",
            &path(&format!("{name}.key")),
            "-pubout",
            "-out",
            &path(&format!("{name}.pub")),
        ]);
    }
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", &path("ed.key")]);
    openssl(&["pkey", "-in", &path("ed.key"), "-pubout", "-out", &path("ed.pub")]);
    openssl(&["ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", &path("p384.key")]);
    openssl(&["req", "-new", "-key", &path("p384.key"), "-subj", "/CN=x", "-out", &path("p384.csr")]);
    let try_key = |option: &str, file: &str| {
        service.sekisho(&issue(&[option, &path(file), "--kind", "auth", "--json", "--out", &path("out")]))
    };
    for weak in ["small.pub", "large.pub", "ed.pub"] {
        try_key("--public-key", weak).refused(2, &["2048"]);
    }
    try_key("--public-key", "right.pub").json();
    try_key("--csr", "p384.csr").json();

    let mut csr = pem::parse(fs::read(path("p384.csr")).unwrap()).unwrap().into_contents();
    let last = csr.len() - 1;
    csr[last] ^= 1;
    fs::write(path("forged.csr"), csr).unwrap();
    try_key("--csr", "forged.csr").refused(2, &["signature"]);
    try_key("--csr", "absent.csr").refused(2, &["absent.csr"]);
}

#[test]
fn a_certificate_that_is_not_ours_is_not_found() {
    let service = Service::demo(100);
    let revoke = |arguments: &[&str]| service.sekisho(&[&["revoke"][..], arguments].concat());
    revoke(&["--authority", "sign", "--serial", "0xfffffff"]).refused(1, &["never issued"]);
    revoke(&["--authority", "root", "--serial", "0x1"]).refused(2, &["root", "sign or auth"]);
    let good = service.certificates("sign", "good");
    let named = ["--authority", "sign", "--serial", serial(&good[0])];
    let revoke_good = |more: &[&str]| revoke(&[&named[..], more].concat());
    revoke_good(&["--reason", "tired"]).refused(2, &["unknown reason"]);
    revoke_good(&["--reason", "certificateHold"]).refused(1, &["hold"]);
    revoke_good(&["--invalid-since", "2999-01-01T00:00:00Z"]).refused(1, &["2999", "passed"]);
    let other = Service::demo(100);
    let foreign = other.certificates("sign", "good");
    revoke(&["--cert", foreign[0]["file"].as_str().unwrap()]).refused(1, &["not issued here"]);
    revoke(&["--cert", "/dev/null"]).refused(2, &["/dev/null"]);
    assert_eq!(revoke(&[]).code, Some(2));
}

#[test]
fn without_a_service_commands_say_how_to_start_one() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let status = ["status", "--authority", "sign", "--serial", "0x1"];
    sekisho(&data, &status).refused(3, &["no service", "sekisho serve"]);
    sekisho(&data, &["serve"]).refused(2, &["sekisho init"]);
    sekisho(&data, &["check"]).refused(2, &["sekisho init"]);
    assert_eq!(sekisho(&data, &["init"]).code, Some(0));
    sekisho(&data, &["init"]).refused(2, &["exists already"]);
    let checked = sekisho(&data, &["check", "--json", "--deep"]).json();
    assert_eq!(
        (&checked["certificates"], checked["findings"].as_array().unwrap().len()),
        (&Value::from(2), 0)
    );
    sekisho(&data, &status).refused(3, &["no service"]);
}

#[test]
fn keys_that_others_could_read_stop_the_start() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    assert_eq!(sekisho(&data, &["init"]).code, Some(0));
    let key = fs::read_dir(data.join("keys")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    for directory in ["", "keys", "store"] {
        assert_eq!(fs::metadata(data.join(directory)).unwrap().permissions().mode() & 0o777, 0o700);
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    sekisho(&data, &["serve"]).refused(2, &["644", "chmod 600", key.to_str().unwrap()]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(data.join("keys"), fs::Permissions::from_mode(0o755)).unwrap();
    sekisho(&data, &["serve"]).refused(2, &["755", "chmod 700"]);
}

#[test]
fn a_damaged_journal_stops_the_start_and_is_left_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let mut service = Service::start(&data, 100);
    service.stop();
    let segment = fs::read_dir(data.join("store/journal")).unwrap().next().unwrap().unwrap().path();
    let mut octets = fs::read(&segment).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    fs::write(&segment, &octets).unwrap();
    for command in [&["serve"][..], &["check"]] {
        sekisho(&data, command)
            .refused(7, &[segment.to_str().unwrap(), "octet", "intact", "nothing was changed"]);
    }
    assert_eq!(fs::read(&segment).unwrap(), octets);
    octets[middle] ^= 1;
    fs::write(&segment, &octets).unwrap();
    let whole = sekisho(&data, &["check", "--json", "--deep"]).json();
    assert_eq!(whole["findings"].as_array().unwrap().len(), 0, "{whole}");
}

#[test]
fn a_second_service_on_the_same_directory_is_refused() {
    let service = Service::demo(100);
    sekisho(&service.data, &["demo", "--listen", "127.0.0.1:0"]).refused(2, &["another process"]);
    assert!(
        service
            .openssl_ocsp("sign", service.certificates("sign", "good")[0]["file"].as_str().unwrap(), &[])
            .contains(": good")
    );
}

#[test]
fn help_fits_a_screen_and_every_command_explains_itself() {
    let help = run(SEKISHO, &["--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.lines().count() <= 40, "{}", help.stdout);
    for command in
        ["demo", "init", "serve", "issue", "revoke", "hold", "release", "status", "crl", "reload", "check"]
    {
        assert!(help.stdout.contains(command));
        let own = run(SEKISHO, &[command, "--help"]);
        assert!(
            own.code == Some(0) && own.stdout.contains("--data") && own.stdout.contains("--json"),
            "{command}"
        );
    }
    assert_eq!(run(SEKISHO, &["dance"]).code, Some(2));
}

#[test]
fn configuration_mistakes_are_refused_by_their_field() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    assert_eq!(sekisho(&data, &["init", "--organization", "TEST-ONLY"]).code, Some(0));
    let file = data.join("sekisho.toml");
    let text = fs::read_to_string(&file).unwrap();
    for (from, to, field) in [
        ("validity_minutes = 720", "validity_minutes = 0", "ocsp.validity_minutes"),
        ("signers = [\"p256\"", "signers = [\"p521\"", "p521"),
        ("workers = 0", "wokers = 0", "wokers"),
        ("daily_at = \"00:00\"", "daily_at = \"25:00\"", "crl.daily_at"),
        ("listen = \"127.0.0.1:8080\"", "listen = \"8080\"", "listen"),
    ] {
        assert!(text.contains(from));
        write(&file, &text.replace(from, to));
        sekisho(&data, &["serve"]).refused(2, &[field]);
    }
    write(&file, &text.replace("TEST-ONLY", "OTHER").replace("127.0.0.1:8080", "127.0.0.1:0"));
    sekisho(&data, &["serve"]).refused(2, &["profile.organization", "OTHER", "TEST-ONLY"]);
}

fn write(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
}

#[test]
fn with_tls_configured_the_service_speaks_tls_and_stops_on_sigterm() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    assert_eq!(sekisho(&data, &["init"]).code, Some(0));
    let (key, certificate) = (data.join("tls.key"), data.join("tls.pem"));
    let subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    let made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"];
    let files = ["-keyout", key.to_str().unwrap(), "-out", certificate.to_str().unwrap()];
    assert_eq!(run("openssl", &[&made[..], &subject, &files].concat()).code, Some(0));
    let file = data.join("sekisho.toml");
    let text = fs::read_to_string(&file).unwrap();
    let text = text
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("url = \"\"", "url = \"http://ocsp.example\"")
        .replace("# [public.tls]", "[public.tls]")
        .replace("# certificate =", "certificate =")
        .replace("# key =", "key =");
    write(&file, &text);
    let mut serving = std::process::Command::new(SEKISHO)
        .args(["serve", "--data"])
        .arg(&data)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let log = std::io::BufReader::new(serving.stderr.take().unwrap());
    let mut entries = log.lines().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let serving_at = entries.find(|entry| entry["fields"]["message"] == "serving").unwrap();
    let port = serving_at["fields"]["address"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    let url = format!("https://localhost:{port}/ca/sign/1.pem");
    let resolve = format!("localhost:{port}:127.0.0.1");
    let fetched =
        run("curl", &["-sf", "--cacert", certificate.to_str().unwrap(), "--resolve", &resolve, &url]);
    service::signal("TERM", serving.id());
    assert!(serving.wait().unwrap().success());
    assert!(fetched.stdout.starts_with("-----BEGIN CERTIFICATE-----"), "{}", fetched.text());
}

/// Why somebody should look, as the metric names it: each is explained.
#[test]
fn each_reason_to_look_stands_in_the_readme() {
    let readme = include_str!("../README.md");
    for reason in sekisho::office::reason::ALL {
        assert!(readme.contains(&format!("`{reason}`")), "{reason}");
    }
}
