//! What the three commands read, and what each wrong input is told.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use sekisho::crl::Scope;

use crate::desk::Desk;
use crate::service::{Ran, SEKISHO};
use crate::world::*;

fn full() -> Vec<u8> {
    crl(ca(1), Scope::FULL, &plan(), &records())
}

fn pem(label: &str, der: &[u8]) -> String {
    pem::encode(&pem::Pem::new(label, der))
}

#[test]
fn der_pem_standard_input_and_http_are_the_same() {
    let desk = Desk::new();
    let der = full();
    let text = format!("Certificate Revocation List (CRL):\n{}", pem("X509 CRL", &der));
    let sha256 = |ran: Ran| ran.json()["sha256"].clone();
    let expected = sha256(desk.crl(&["show", &desk.put("f.crl", &der), "--json"]));
    assert_eq!(sha256(desk.crl(&["show", &desk.put("f.pem", text.as_bytes()), "--json"])), expected);

    let mut child = Command::new(SEKISHO)
        .args(["crl", "show", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&der).unwrap();
    assert_eq!(sha256(Ran::from(child.wait_with_output().unwrap())), expected);

    let url = serve("200 OK", der);
    assert_eq!(sha256(desk.crl(&["show", &url, "--json"])), expected);
}

/// Answers one request, and tells where.
fn serve(status: &'static str, body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/crl/full.crl?x=1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 4096];
        let len = stream.read(&mut asked).unwrap();
        assert!(asked[..len].starts_with(b"GET /crl/full.crl?x=1 HTTP/1.1\r\n"));
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    });
    url
}

#[test]
fn a_server_that_has_it_not_is_told_apart() {
    let desk = Desk::new();
    desk.crl(&["show", &serve("404 Not Found", Vec::new())]).refused(3, &["404 Not Found"]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    desk.crl(&["show", &url]).refused(3, &[&url, "refused"]);
    desk.crl(&["show", "http:///x"]).refused(2, &["http://HOST[:PORT]/PATH"]);
    desk.crl(&["show", "https://crl.example/a.crl"]).refused(2, &["curl -sf https://crl.example/a.crl"]);
    let huge = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", huge.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = huge.accept().unwrap();
        drop(stream.read(&mut [0; 4096]));
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000000\r\n\r\n"));
        drop(stream.read(&mut [0; 1]));
    });
    desk.crl(&["show", &url]).refused(2, &["more than 2147483648 octets"]);
}

#[test]
fn each_wrong_input_is_one_line_that_says_what_to_do() {
    let desk = Desk::new();
    let der = full();
    let certificate = std::fs::read(desk.ca(1)).unwrap();
    let two = pem("X509 CRL", &der).repeat(2);
    let torn = pem("X509 CRL", &der).replace('M', "?");
    let mut no_crl = der.clone();
    no_crl[4] = 0x31;
    for (name, octets, words) in [
        ("empty", Vec::new(), "is empty"),
        ("cut", der[..der.len() - 100].to_vec(), "cut short by 100 octets"),
        ("certificate", certificate.clone(), "a certificate, not a CRL"),
        ("certificate.pem", pem("CERTIFICATE", &certificate).into(), "holds a CERTIFICATE"),
        ("two", two.into(), "2 PEM blocks"),
        ("torn", torn.into(), "cannot be decoded"),
        ("text", b"hello\n".to_vec(), "neither DER nor PEM"),
        ("more", [&der[..], b"\n"].concat(), "its end is unreadable"),
        ("other", no_crl, "its TBSCertList is unreadable"),
        ("sequence", vec![0x30, 0], "no CRL"),
    ] {
        let file = desk.put(name, &octets);
        let ca = desk.ca(1);
        desk.crl(&["show", &file]).refused(2, &[&file, words]);
        desk.crl(&["diff", &file, &file]).refused(2, &[&file, words]);
        desk.verify(&file, &ca, &[]).refused(2, &[&file, words]);
    }
    let missing = desk.path("missing").display().to_string();
    desk.crl(&["show", &missing]).refused(2, &[&missing, "No such file"]);
    let good = desk.put("good.crl", &der);
    desk.verify(&good, &good, &[]).refused(2, &[&good, "no certificate"]);
    desk.crl(&["verify", &good, "--ca", &desk.ca(1), "--at", "today"]).refused(2, &["--at today"]);
}

/// Whatever is cut or turned, there is an answer and not a fault.
#[test]
fn no_octet_changed_brings_it_down() {
    let desk = Desk::new();
    let der = crl(ca(3), Scope::FULL, &plan(), &records());
    let ca = desk.ca(3);
    for place in (0..der.len()).step_by(7) {
        let mut broken = der.clone();
        broken[place] ^= 0x41;
        let ran = desk.verify(&desk.put("b.crl", &broken), &ca, &[]);
        assert!(matches!(ran.code, Some(1 | 2)), "octet {place}: {}", ran.text());
    }
}
