//! The catalogue of a set, by OpenSSL's CMS.

use std::fs;
use std::path::Path;

use crate::service::{Service, run};

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
