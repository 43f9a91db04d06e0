//! Serial numbers on the command line and over the admin socket: which certificate is meant is said,
//! never guessed.

use serde_json::{Value, json};

use super::service::{Ran, Service, run, sekisho};
use super::{issued, serial};

/// Every command that takes a serial.
const COMMANDS: [&str; 5] = ["revoke", "hold", "release", "status", "explain"];

/// Posts to the admin socket, as a program other than `sekisho` would.
pub fn post(service: &Service, path: &str, body: &Value) -> (u16, Value) {
    let socket = service.manifest["admin_socket"].as_str().unwrap();
    let (url, body) = (format!("http://admin{path}"), body.to_string());
    let ran = run("curl", &["-s", "--unix-socket", socket, "-w", "\n%{http_code}", "-d", &body, &url]);
    let (answer, status) = ran.stdout.rsplit_once('\n').unwrap_or_else(|| panic!("{}", ran.text()));
    (status.parse().unwrap(), serde_json::from_str(answer).unwrap())
}

fn number(serial: &str) -> u64 {
    u64::from_str_radix(serial.strip_prefix("0x").unwrap(), 16).unwrap()
}

#[test]
fn b_2_bare_digits_change_nothing_and_are_told_by_both_readings() {
    let service = Service::demo(100);
    let next = service.manifest["authorities"][0]["next_serial"].as_str().unwrap();
    let next = number(next);
    assert!((0x408..0x1000).contains(&next), "{next:#x}");
    let state = |serial: &str| {
        service.sekisho(&["status", "--json", "--authority", "sign", "--serial", serial]).stdout
    };
    let before = (state("0x405"), state("dec:1031"), state("0x1"));
    assert!(before.0.contains("good") || before.0.contains("revoked"), "{before:?}");
    for command in COMMANDS {
        let told = |digits: &str, words: &[&str]| {
            let ran = service.sekisho(&[command, "--authority", "sign", "--serial", digits]);
            ran.refused(2, &[&["hexadecimal or decimal", "openssl x509 -serial"], words].concat());
        };
        told("1031", &["0x1031 (never issued by sign)", "dec:1031 (0x407, issued by sign)"]);
        told("01031", &["0x1031 (never issued by sign)", "dec:1031 (0x407, issued by sign)"]);
        told("405", &["0x405 (issued by sign)", "dec:405 (0x195, never issued by sign)"]);
        told("0405", &["0x405 (issued by sign)", "dec:405 (0x195, never issued by sign)"]);
        told("1", &["0x1 (issued by sign)", "dec:1 (0x1, issued by sign)"]);
        told("9999", &["0x9999 (never issued by sign)", "dec:9999 (0x270f, never issued by sign)"]);
        told("40A", &["write 0x40a (issued by sign);"]);
        told("ffff", &["write 0xffff (never issued by sign);"]);
        let border = next.to_string();
        told(&border, &[&format!("dec:{border} ({:#x}, never issued by sign)", next)]);
        let last = (next - 1).to_string();
        told(&last, &[&format!("dec:{last} ({:#x}, issued by sign)", next - 1)]);
        for bad in ["0", "2:0", "0x2:0", "dec:2a", "-20", "+20", "20 ", "0x", "serial"] {
            let ran = service.sekisho(&[command, "--authority", "sign", &format!("--serial={bad}")]);
            ran.refused(2, &["not a serial number", "0x407, 04:07 or dec:1031"]);
        }
        let ran = service.sekisho(&[command, "--authority", "root", "--serial", "1031"]);
        ran.refused(2, &["root", "sign or auth"]);
    }
    assert_eq!((state("0x405"), state("dec:1031"), state("0x1")), before, "none was touched");
}

#[test]
fn load_tells_which_reading_of_bare_digits_was_issued() {
    let service = Service::demo(100);
    let (ca, url) = (service.ca("sign"), service.url());
    let load = |issuer: &str, serials: &str| {
        service.sekisho(&["load", "--target", &url, "--issuer", issuer, "--serials", serials])
    };
    for text in ["1031", "0x1,1031", "0x1, 1031", "1031-0x500", "0x1-1031"] {
        load(&ca, text).refused(2, &["0x1031 (never issued by sign)", "dec:1031 (0x407, issued by sign)"]);
    }
    load(&service.ca("auth"), "405").refused(2, &["0x405 (issued by auth)"]);
    // Of another's CA it cannot be known.
    let elsewhere = Service::demo(100);
    let ran = load(&elsewhere.ca("sign"), "1031");
    ran.refused(2, &["0x1031 or dec:1031 (0x407)"]);
    assert!(!ran.stderr.contains("issued"), "{}", ran.stderr);
}

#[test]
fn b_2_the_admin_socket_refuses_bare_digits_too() {
    let service = Service::demo(100);
    for path in COMMANDS.map(|command| format!("/v1/{command}")) {
        let asked = json!({"certificate": {"authority": "sign", "serial": "1031"}});
        let (status, answer) = post(&service, &path, &asked);
        assert_eq!((status, &answer["kind"]), (400, &json!("invalid")), "{path}: {answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(
            error.contains("0x1031 (never issued by sign) or dec:1031 (0x407, issued"),
            "{path}: {error}"
        );
    }
}

#[test]
fn b_2_without_a_service_both_readings_are_told_all_the_same() {
    let home = tempfile::tempdir().unwrap();
    for command in COMMANDS {
        let asked = |serial: &str| -> Ran {
            sekisho(&home.path().join("data"), &[command, "--authority", "sign", "--serial", serial])
        };
        asked("1031").refused(2, &["write 0x1031 or dec:1031 (0x407);", "keytool print hexadecimal"]);
        asked("0x1031").refused(3, &["no service"]);
    }
}

/// What OpenSSL, certtool and keytool print of a certificate, as it is printed: refused where it says
/// no base, and the same certificate where it does.
#[test]
fn b_2_serials_as_other_programs_print_them() {
    let service = Service::demo(100);
    let pair = issued(&service, &["--kind", "auth"]);
    let own = serial(&pair[0]);
    let file = service.data.join("out").join(format!("auth-{own}.pem")).display().to_string();
    let after = |ran: Ran, words: &str| -> String {
        let line = ran.stdout.lines().find_map(|line| line.trim().strip_prefix(words).map(str::to_owned));
        line.unwrap_or_else(|| panic!("{words}: {}", ran.text())).trim().to_owned()
    };
    let openssl = after(run("openssl", &["x509", "-noout", "-serial", "-in", &file]), "serial=");
    let certtool = after(run("certtool", &["-i", "--infile", &file]), "Serial Number (hex):");
    let keytool =
        after(run("keytool", &["-J-Duser.language=en", "-printcert", "-file", &file]), "Serial number:");
    let status =
        |serial: &str| service.sekisho(&["status", "--json", "--authority", "auth", "--serial", serial]);
    for bare in [&openssl, &certtool, &keytool, &format!("serial={openssl}")] {
        status(bare).refused(2, &[&format!("{own} (issued by auth)")]);
    }
    for hexadecimal in [&openssl, &certtool, &keytool] {
        assert_eq!(status(&format!("0x{hexadecimal}")).json()["serial"], own);
    }
    let pairs = format!("{:04x}", number(own));
    let pairs = format!("{}:{}", &pairs[..2], &pairs[2..]);
    for written in [pairs, format!("dec:{}", number(own)), own.to_owned(), own.to_uppercase()] {
        assert_eq!(status(&written).json()["serial"], own, "{written}");
    }
}
