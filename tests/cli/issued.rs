//! Certificates after their issue: where they are written, and how they come back from the archive.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use super::service::{Ran, SEKISHO, Service, run};
use super::{issue, issued, serial, write};

fn batch_line() -> String {
    serde_json::json!({"name": "関所 花子", "birth": "1982-02-17", "sex": "female", "address": "東京都清瀬市",
                       "municipality": "13221", "subject_key": "test_key"})
    .to_string()
}

/// The serials after these, which the next pair gets.
fn next(pair: &[Value]) -> Vec<(String, String)> {
    let after = |one: &Value| {
        let number = u64::from_str_radix(serial(one).trim_start_matches("0x"), 16).unwrap() + 1;
        (one["authority"].as_str().unwrap().to_owned(), format!("{number:#x}"))
    };
    pair.iter().map(after).collect()
}

fn pem_blocks(ran: &Ran) -> usize {
    ran.stdout.matches("-----BEGIN CERTIFICATE-----").count()
}

#[test]
fn b_8_a_place_that_cannot_be_written_to_is_found_before_anything_is_issued() {
    let service = Service::demo(100);
    let place = |name: &str| service.data.join(name).display().to_string();
    let (file, batch) = (place("file"), place("people"));
    fs::write(&file, "not a directory").unwrap();
    fs::write(&batch, batch_line()).unwrap();
    let before = service.written();
    for out in [file.clone(), format!("{file}/below"), "/proc/nowhere".to_owned(), "/dev/null".to_owned()] {
        let words = [out.as_str(), "cannot be written", "nothing was done", "--out"];
        service.sekisho(&issue(&["--test-key", "--out", &out])).refused(2, &words);
        service.sekisho(&["issue", "--batch", &batch, "--out", &out]).refused(2, &words);
    }
    // Lines that are rejected need a place too.
    fs::create_dir(format!("{batch}.rejected")).unwrap();
    let words = ["people.rejected", "cannot be written", "nothing was done"];
    service.sekisho(&["issue", "--batch", &batch, "--out", &place("out")]).refused(2, &words);
    service.sekisho(&["movements", "import", &batch]).refused(2, &words);
    assert_eq!(service.written(), before, "nothing was issued");
    // One that does not exist yet is made, and nothing but the certificates is left in it.
    let out = place("new/out");
    assert_eq!(service.sekisho(&issue(&["--test-key", "--out", &out])).code, Some(0));
    let mut files: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[test]
fn b_8_what_was_issued_and_cannot_be_written_stands_on_standard_output() {
    let service = Service::demo(100);
    let out = service.data.join("out");
    let mut before = issued(&service, &[]);
    let arguments = ["--test-key", "--out", out.to_str().unwrap(), "--key", "once"];
    // A directory where a certificate is to be written: nobody could have known.
    let obstacle = |pair: &[Value], at: usize| {
        let (authority, serial) = next(pair).remove(at);
        let path = out.join(format!("{authority}-{serial}.pem"));
        fs::create_dir(&path).unwrap();
        (authority, serial, path)
    };
    for at in [0, 1] {
        let (authority, serial, path) = obstacle(&before, at);
        let key = format!("once {at}");
        let ran = service.sekisho(&issue(&[&arguments[..4], &[key.as_str()]].concat()[..]));
        let again = format!("sekisho certificate get --authority {authority} --serial {serial}");
        ran.refused(4, &[path.to_str().unwrap(), "was issued", "standard output", &again]);
        assert_eq!(pem_blocks(&ran), 2, "both: {}", ran.stdout);
        // What is told is true.
        let words: Vec<&str> = again.split(' ').skip(1).collect();
        let got = service.sekisho(&words);
        assert!(ran.stdout.contains(got.stdout.trim_end()), "{}", got.text());
        // Repeated with the same key, nothing is issued twice, and the file is written.
        fs::remove_dir(&path).unwrap();
        let repeated = service
            .sekisho(&[&issue(&[&arguments[..4], &[key.as_str()]].concat())[..], &["--json"]].concat());
        before = repeated.json()["certificates"].as_array().unwrap().clone();
        assert_eq!(before[at]["serial"], serial.as_str());
        assert_eq!(fs::read_to_string(&path).unwrap(), got.stdout);
    }
    // As JSON, and in a batch.
    let (_, _, path) = obstacle(&before, 0);
    let ran = service.sekisho(&issue(&["--test-key", "--json", "--out", out.to_str().unwrap()]));
    ran.refused(4, &["was issued"]);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(told["certificates"].as_array().unwrap().len(), 2);
    fs::remove_dir(&path).unwrap();
    let people = service.data.join("people");
    write(&people, &[batch_line(), batch_line()].join("\n"));
    let (_, _, path) = obstacle(told["certificates"].as_array().unwrap(), 1);
    let batch = ["issue", "--batch", people.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let ran = service.sekisho(&batch);
    ran.refused(4, &["was issued"]);
    assert_eq!(pem_blocks(&ran), 2);
    fs::remove_dir(&path).unwrap();
    assert_eq!(service.sekisho(&batch).code, Some(0));
    assert!(path.is_file());
}

#[test]
fn b_8_a_certificate_comes_back_from_the_archive() {
    let service = Service::demo(100);
    let pair = issued(&service, &[]);
    for one in &pair {
        let (authority, serial) = (one["authority"].as_str().unwrap(), serial(one));
        let named = ["certificate", "get", "--authority", authority, "--serial", serial];
        let get = |more: &[&str]| service.sekisho(&[&named[..], more].concat());
        let pem = get(&[]);
        assert_eq!(pem.code, Some(0), "{}", pem.text());
        assert_eq!(pem.stdout, one["certificate"]);
        let shown = get(&["--json"]).json();
        for field in ["authority", "generation", "serial", "kind", "not_after", "certificate"] {
            assert_eq!(shown[field], one[field], "{field}");
        }
        let der = pem::parse(&pem.stdout).unwrap().into_contents();
        let octets = Command::new(SEKISHO).args(named).arg("--der").arg("--data").arg(&service.data).output();
        assert_eq!(octets.unwrap().stdout, der, "the octets and nothing else");
        let file = service.data.join("back");
        for (more, wanted) in
            [(&[][..], pem.stdout.as_bytes()), (&["--der"], &der), (&["--der", "--json"], &der)]
        {
            let ran = get(&[&["--out", file.to_str().unwrap()], more].concat());
            assert_eq!(ran.code, Some(0), "{}", ran.text());
            assert_eq!(fs::read(&file).unwrap(), wanted);
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let ca = service.ca(authority);
        let verified = run(
            "openssl",
            &[
                "verify",
                "-CAfile",
                &ca,
                "-partial_chain",
                service.data.join("out").join(format!("{authority}-{serial}.pem")).to_str().unwrap(),
            ],
        );
        assert_eq!(verified.code, Some(0), "{}", verified.text());
    }
    let get = |arguments: &[&str]| service.sekisho(&[&["certificate", "get"][..], arguments].concat());
    get(&["--authority", "sign", "--serial", "0xfffffff"]).refused(1, &["never issued"]);
    get(&["--authority", "root", "--serial", "0x1"]).refused(2, &["there is no authority root"]);
    get(&["--authority", "sign", "--serial", "0"]).refused(2, &["serial number"]);
    get(&["--authority", "sign", "--serial", "0x1", "--der", "--json"]).refused(2, &["--out"]);
    get(&["--authority", "sign", "--serial", "0x1", "--out", "/proc/nowhere"])
        .refused(2, &["cannot be written"]);
    assert_eq!(get(&["--authority", "sign"]).code, Some(2));
    // The door is the admin socket, and that is its owner's.
    let socket = fs::metadata(service.data.join("admin.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
}

#[test]
fn b_8_certificates_are_listed_page_by_page_and_by_card_and_person() {
    let service = Service::demo(100);
    let issue_of = |more: &[&str]| {
        let out = service.data.join("out").display().to_string();
        service.sekisho(&[&issue(&["--test-key", "--json", "--out", &out])[..], more].concat()).json()
    };
    let pair = issue_of(&[]);
    let (card, holder) = (pair["card"].as_str().unwrap(), pair["holder"].as_str().unwrap());
    let list = |arguments: &[&str]| {
        let ran = service.sekisho(&[&["certificate", "list", "--json"][..], arguments].concat());
        assert!(
            !ran.stdout.contains("花子") && !ran.stdout.contains("清瀬"),
            "names a person: {}",
            ran.stdout
        );
        ran
    };
    let serials = |page: &Value| -> Vec<String> {
        page["certificates"].as_array().unwrap().iter().map(|one| serial(one).to_owned()).collect()
    };
    for authority in ["sign", "auth"] {
        let whole = list(&["--authority", authority, "--limit", "1000"]).json();
        assert!(whole["next"].is_null());
        let all = serials(&whole);
        // Residents, the one above, the CA and its signers.
        assert!(all.len() > 102, "{}", all.len());
        let numbers: Vec<u64> =
            all.iter().map(|one| u64::from_str_radix(one.trim_start_matches("0x"), 16).unwrap()).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        for limit in ["1", "7", "100", "102"] {
            let (mut paged, mut after) = (Vec::new(), Vec::new());
            loop {
                let from: Vec<&str> = after.iter().map(String::as_str).collect();
                let page = list(&[&["--authority", authority, "--limit", limit][..], &from].concat()).json();
                assert!(serials(&page).len() <= limit.parse().unwrap());
                paged.extend(serials(&page));
                let Some(next) = page["next"].as_str() else { break };
                assert_eq!(Some(next), paged.last().map(String::as_str));
                after = vec!["--after".to_owned(), next.to_owned()];
            }
            assert_eq!(paged, all, "pages of {limit}");
        }
        let of_demo = service.manifest["certificates"].as_array().unwrap().iter();
        let of_demo: Vec<&Value> = of_demo.filter(|one| one["authority"] == authority).collect();
        assert_eq!(of_demo.len(), 100);
        for one in of_demo {
            let found =
                whole["certificates"].as_array().unwrap().iter().find(|it| it["serial"] == one["serial"]);
            let is_held = one["reason"] == "certificateHold";
            let status = if is_held { &Value::from("hold") } else { &one["status"] };
            assert_eq!(
                (&found.unwrap()["status"], &found.unwrap()["reason"]),
                (status, &one["reason"]),
                "{one}"
            );
        }
        assert_eq!(
            serials(&list(&["--authority", authority, "--after", all.last().unwrap()]).json()).len(),
            0
        );
    }
    let of_pair: Vec<String> =
        pair["certificates"].as_array().unwrap().iter().map(|one| serial(one).to_owned()).collect();
    assert_eq!(serials(&list(&["--card", card]).json()), of_pair);
    assert_eq!(serials(&list(&["--holder", holder]).json()), of_pair);
    let renewed = issue_of(&["--renew", card, "--kind", "sign"]);
    let renewed = serial(&renewed["certificates"][0]).to_owned();
    for of in [["--card", card], ["--holder", holder]] {
        let page = list(&of).json();
        assert_eq!(serials(&page), [of_pair.clone(), vec![renewed.clone()]].concat());
        let states: Vec<&Value> =
            page["certificates"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
        assert_eq!(states, ["revoked", "good", "good"]);
        assert_eq!(page["certificates"][0]["reason"], "superseded");
        assert_eq!(
            (&page["certificates"][0]["card"], &page["certificates"][0]["holder"]),
            (&Value::from(card), &Value::from(holder))
        );
    }
    let nobody = format!("{:032x}", 7);
    list(&["--card", &format!("card-{nobody}")]).refused(1, &["is not known"]);
    list(&["--holder", &format!("holder-{nobody}")]).refused(1, &["is not known"]);
    list(&["--holder", card]).refused(2, &["32 hexadecimal digits"]);
    list(&["--authority", "root"]).refused(2, &["there is no authority root"]);
    for wrong in [
        &[][..],
        &["--card", card, "--holder", holder],
        &["--card", card, "--limit", "7"],
        &["--authority", "sign", "--limit", "0"],
        &["--authority", "sign", "--limit", "1001"],
    ] {
        assert_eq!(list(wrong).code, Some(2), "{wrong:?}");
    }
    list(&["--authority", "sign", "--after", "0"]).refused(2, &["serial number"]);
}
