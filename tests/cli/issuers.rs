//! Certificates of CA keys and OCSP signers are nothing that `revoke`, `hold` and `release` change,
//! and a file that holds several certificates is read as the one way there is, or not at all.

use std::fs;

use serde_json::{Value, json};

use super::serials::post;
use super::service::{Service, run};
use super::{issued, serial};

const CHANGES: [&str; 3] = ["revoke", "hold", "release"];

#[test]
fn b_1_ca_and_signer_certificates_are_refused_by_name() {
    let service = Service::demo(100);
    for authority in ["sign", "auth"] {
        let named = ["--json", "--authority", authority, "--serial"];
        let signers =
            service.sekisho(&[&["explain"][..], &named, &["0x1"]].concat()).json()["signers"].clone();
        let signers: Vec<String> =
            signers.as_array().unwrap().iter().map(|one| serial(one).to_owned()).collect();
        assert_eq!(signers.len(), 2, "{signers:?}");
        let ca = [
            "CA certificate of generation 1".to_owned(),
            format!("authority compromised --authority {authority} --generation 1"),
        ];
        let of_signer = |serial: &str| {
            [
                "OCSP signer of generation 1".to_owned(),
                format!("signer revoke --authority {authority} --serial {serial}"),
            ]
        };
        let all = signers.iter().map(|serial| (serial.clone(), of_signer(serial)));
        for (serial, words) in std::iter::once(("0x1".to_owned(), ca.clone())).chain(all) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            for change in CHANGES {
                let ran = service.sekisho(&[&[change][..], &named, &[&serial]].concat());
                ran.refused(1, &[&words[..], &["nothing was changed"]].concat());
                let asked = json!({"certificate": {"authority": authority, "serial": serial}});
                let (status, answer) = post(&service, &format!("/v1/{change}"), &asked);
                assert_eq!((status, &answer["kind"]), (409, &json!("refused")), "{answer}");
                assert!(
                    words.iter().all(|word| answer["error"].as_str().unwrap().contains(word)),
                    "{answer}"
                );
            }
            for reason in ["keyCompromise", "cACompromise", "certificateHold"] {
                let ran =
                    service.sekisho(&[&["revoke", "--reason", reason][..], &named, &[&serial]].concat());
                ran.refused(1, &words);
            }
            assert_eq!(
                service.sekisho(&[&["status"][..], &named, &[&serial]].concat()).json()["status"],
                "good"
            );
        }
        let file = service.ca(authority);
        for change in CHANGES {
            service.sekisho(&[change, "--cert", &file]).refused(1, &[&ca[0], &ca[1]]);
        }
        // Through the socket as the certificate itself.
        let asked = json!({"certificate": {"certificate": fs::read_to_string(&file).unwrap()}});
        assert_eq!(post(&service, "/v1/revoke", &asked).0, 409);
    }
    assert_eq!(issued(&service, &[]).len(), 2, "both issue on");
    let good = service.certificates("sign", "good");
    assert!(service.openssl_ocsp("sign", good[0]["file"].as_str().unwrap(), &[]).contains(": good"));
}

/// Files with several certificates, and what is made of each.
#[test]
fn b_1_a_file_with_several_certificates_is_read_by_its_chain() {
    let service = Service::demo(100);
    let good = service.certificates("sign", "good");
    let text = |file: &str| fs::read_to_string(file).unwrap();
    let pem_of = |one: &Value| text(one["file"].as_str().unwrap());
    let (own, other) = (serial(&good[0]), serial(&good[1]));
    let (leaf, leaf_2, leaf_3) = (pem_of(&good[0]), pem_of(&good[1]), pem_of(&good[2]));
    let leaf_4 = pem_of(&good[3]);
    let (ca, foreign) = (text(&service.ca("sign")), text(&service.ca("auth")));
    let key = text(good[0]["file"].as_str().unwrap()).replace("CERTIFICATE", "PRIVATE KEY");
    let words = run("openssl", &["x509", "-text", "-in", good[0]["file"].as_str().unwrap()]).stdout;
    let cut = leaf.lines().take(5).collect::<Vec<_>>().join("\n");
    let path = service.data.join("bundle.pem").display().to_string();
    let status = |bundle: &[u8]| {
        fs::write(&path, bundle).unwrap();
        service.sekisho(&["status", "--json", "--cert", &path])
    };
    let der = pem::parse(&leaf).unwrap().into_contents();

    for (what, bundle) in [
        ("alone", leaf.clone()),
        ("leaf first", format!("{leaf}{ca}")),
        ("CA first", format!("{ca}{leaf}")),
        ("twice", format!("{ca}{leaf}{ca}{leaf}")),
        ("with other line ends", format!("{ca}{leaf}").replace('\n', "\r\n")),
        ("indented, after a mark", format!("\u{feff}  {}", leaf.replace('\n', "\n  "))),
        ("between words", format!("Bag Attributes\n  name: x\n{ca}\nissuer=/C=JP\n\n{words}\n")),
        ("old label", leaf.replace("CERTIFICATE", "X509 CERTIFICATE")),
    ] {
        println!("{what}");
        assert_eq!(status(bundle.as_bytes()).json()["serial"], own);
    }
    assert_eq!(status(&der).json()["serial"], own, "DER");
    assert_eq!(status(ca.as_bytes()).json()["kind"], "ca", "one certificate is meant, whatever it is");

    let several = format!("2 certificates that are no CA's ({own}, {other})");
    for (bundle, words) in [
        (format!("{leaf}{leaf_2}"), &[&*several][..]),
        (format!("{leaf}{ca}{leaf_2}"), &[&several]),
        (format!("{leaf}{leaf_2}{leaf_3}{leaf_4}"), &["4 certificates", ", …)", "the one that is meant"]),
        (format!("{ca}{foreign}"), &["2 CA certificates and no other"]),
        (format!("{leaf}{foreign}"), &["CA certificate 0x1 is not in the chain", own]),
        (format!("{leaf}{ca}{foreign}"), &["CA certificate 0x1 is not in the chain", own]),
        (format!("{leaf}{key}"), &["begins a PRIVATE KEY", "certificates alone"]),
        (format!("{key}{leaf}"), &["line 1 begins a PRIVATE KEY"]),
        (format!("{cut}\n{ca}"), &["line 1 begins a block", "cut short"]),
        (format!("{ca}{cut}"), &["begins a block", "cut short"]),
        (
            leaf.replace("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE----"),
            &["ends a block that did not begin"],
        ),
        (leaf.replace("-----END CERTIFICATE-----", "-----END X509 CRL-----"), &["line 1 begins a block"]),
        (format!("{ca}{}", leaf.replacen("MII", "M!I", 1)), &["that begins in line", "is no certificate"]),
        (
            format!("{ca}-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"),
            &["is no certificate"],
        ),
        ("0 certificates\n".to_owned(), &["neither PEM nor DER"]),
        (String::new(), &["neither PEM nor DER"]),
    ] {
        let ran = status(bundle.as_bytes());
        ran.refused(2, &[&["bundle.pem"], words].concat());
    }
    status(&[&der[..], &der].concat()).refused(2, &["bundle.pem", "more octets follow"]);

    // Every command that takes a certificate reads it so.
    fs::write(&path, format!("{leaf}{leaf_2}")).unwrap();
    for command in [
        &["revoke"][..],
        &["hold"],
        &["release"],
        &["explain"],
        &["verifier", "add", "--name", "x"],
        &["verifier", "suspend"],
    ] {
        service.sekisho(&[command, &["--cert", &path]].concat()).refused(2, &["bundle.pem", &several]);
    }
    let asked = json!({"certificate": {"certificate": format!("{leaf}{leaf_2}")}});
    let (code, answer) = post(&service, "/v1/revoke", &asked);
    assert!(code == 400 && answer["error"].as_str().unwrap().contains(&several), "{answer}");

    fs::write(&path, format!("{ca}{leaf}")).unwrap();
    let revoked = service.sekisho(&["revoke", "--json", "--cert", &path]).json();
    assert_eq!((&revoked["serial"], &revoked["status"]), (&json!(own), &json!("revoked")));
    for (serial, status) in [("0x1", "good"), (other, "good")] {
        let named = ["status", "--json", "--authority", "sign", "--serial", serial];
        assert_eq!(service.sekisho(&named).json()["status"], status);
    }
}
