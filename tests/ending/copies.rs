//! Copies of a data directory: fenced until somebody accepts one, and apart in every number from then on.

use std::collections::BTreeSet;
use std::fs;

use sekisho::office::data::DataDir;
use sekisho::office::{self, Office, OfficeError};
use sekisho::record::Origin;
use sekisho::store::{NotReady, SubmitError};

use super::office::{SIGN, application, copy, start};
use super::service::{Service, sekisho, shell};
use super::{PERSON, refused};

/// What nobody accepted issues nothing, and says no `good`; it is told by every door.
#[test]
fn a_5_a_copy_says_only_what_is_revoked_until_it_is_accepted() {
    let home = tempfile::tempdir().unwrap();
    let (data, other) = (home.path().join("data"), home.path().join("copy"));
    let mut service = Service::start(&data, 100);
    service.stop();
    copy(&data, &other);

    let mut fenced = Service::start(&other, 100);
    let (mut revoked, mut later) = (0, 0);
    for (status, said) in [("good", "trylater (3)"), ("revoked", ": revoked")] {
        for one in fenced.certificates("sign", status).iter().chain(&fenced.certificates("auth", status)) {
            let file = one["file"].as_str().unwrap();
            let ca = fenced.ca(one["authority"].as_str().unwrap());
            let asked =
                shell(&format!("openssl ocsp -issuer {ca} -CAfile {ca} -cert {file} -url {}", fenced.url()));
            assert!(asked.text().contains(said), "{status}: {}", asked.text());
            assert!(!asked.text().contains(": good"), "{}", asked.text());
            (revoked, later) = if status == "good" { (revoked, later + 1) } else { (revoked + 1, later) };
        }
    }
    assert!(revoked >= 10 && later >= 40, "{revoked} revoked, {later} to be asked later");
    let good = fenced.certificates("sign", "good")[0]["serial"].as_str().unwrap().to_owned();
    let named = ["--authority", "sign", "--serial", &good];
    let words = ["this data directory is a copy", "sekisho restore --accept"];
    fenced.sekisho(&[&["revoke"][..], &named].concat()).refused(PERSON, &words);
    let resident = [
        "issue",
        "--name",
        "関所 花子",
        "--birth",
        "1982-02-17",
        "--sex",
        "female",
        "--address",
        "東京都清瀬市",
        "--municipality",
        "13221",
        "--test-key",
    ];
    let out = home.path().join("out");
    let issue = [&resident[..], &["--out", out.to_str().unwrap()]].concat();
    fenced.sekisho(&issue).refused(PERSON, &words);
    fenced.sekisho(&["crl", "publish"]).refused(PERSON, &words);
    let ready = shell(&format!("curl -s -w '%{{http_code}}' {}readyz", fenced.url()));
    assert!(ready.stdout.contains("is a copy") && ready.stdout.ends_with("503"), "{}", ready.stdout);
    let state = fenced.sekisho(&["check", "--json"]);
    assert!(state.stdout.contains("is a copy"), "{}", state.stdout);
    fenced.sekisho(&["restore", "--accept", "--reason", "beside a service"]).refused(2, &["stop it first"]);
    fenced.stop();

    let told = sekisho(&other, &["restore"]);
    assert!(told.stdout.contains("copy: its files are copies"), "{}", told.text());
    assert!(sekisho(&other, &["check"]).stdout.contains("is a copy"));
    sekisho(&other, &["journal", "accept-end", "--reason", "a copy"]).refused(PERSON, &words);
    let without = refused(&other, &["restore", "--accept"]);
    assert_eq!(without.status.code(), Some(2), "a reason is obligatory");
    // The original is none, and serves on beside.
    sekisho(&data, &["restore", "--accept", "--reason", "no copy"]).refused(2, &["is no copy"]);
    let mut service = Service::start(&data, 100);
    assert_eq!(service.sekisho(&["crl", "publish"]).code, Some(0));
    let url = service.url();
    let accept = ["restore", "--accept", "--reason", "the first burnt", "--ask", &url];
    let accepted = sekisho(&other, &accept);
    assert_eq!(accepted.code, Some(0), "{}", accepted.text());
    assert!(accepted.stdout.contains("its entry was never here"), "{}", accepted.stdout);
    service.stop();

    let accepted = Service::start(&other, 100);
    let status = accepted.sekisho(&[&["status", "--json"][..], &named].concat());
    assert_eq!(status.json()["status"], "good");
    assert_eq!(accepted.sekisho(&issue).code, Some(0));
    let state = accepted.sekisho(&["check", "--json"]).json();
    assert_eq!(state["findings"].as_array().unwrap().len(), 0, "{state}");
}

/// Issues so many pairs; the serials, by authority.
fn issue(office: &Office, pairs: usize) -> BTreeSet<(u8, u64)> {
    let mut serials = BTreeSet::new();
    while serials.len() < 2 * pairs {
        let asked: Vec<_> = (0..250).map(|_| (application(), Origin::service())).collect();
        for pair in office.issue_all(&asked) {
            for certificate in pair.unwrap().certificates {
                let named = certificate.issued.certificate;
                assert!(serials.insert((named.authority.0, named.serial.to_u64().unwrap())), "given twice");
            }
        }
    }
    serials
}

/// Two copies, accepted apart, and what they were made of: ten thousand issued on each.
#[test]
fn a_5_two_copies_accepted_apart_give_no_number_twice() {
    let home = tempfile::tempdir().unwrap();
    let data = DataDir::new(&home.path().join("data"));
    office::init(&data, "SEKISHO-TEST").unwrap();
    let office = start(&data).unwrap();
    let before = issue(&office, 250);
    office.publish(&[SIGN], true).unwrap();
    office.stop().unwrap();
    drop(office);
    let copies = ["one", "other"].map(|name| DataDir::new(&home.path().join(name)));
    copies.iter().for_each(|to| copy(data.path(), to.path()));
    let fenced = start(&copies[0]).unwrap();
    let failed = fenced.issue(&application(), Origin::service()).map(drop);
    let is_fenced = matches!(&failed, Err(OfficeError::Submit(SubmitError::NotReady(NotReady::Fenced(_)))));
    assert!(is_fenced, "{failed:?}");
    fenced.stop().unwrap();
    drop(fenced);

    let mut all = before;
    let mut numbers = BTreeSet::new();
    for (at, copy) in copies.iter().enumerate() {
        office::accept_copy(copy, "a drill", None).unwrap();
        let office = start(copy).unwrap();
        let issued = issue(&office, 5_000);
        assert!(issued.len() >= 10_000);
        for one in issued {
            assert!(all.insert(one), "copy {at}: {one:?} was given twice");
        }
        let set = office.publish(&[SIGN], true).unwrap();
        assert!(numbers.insert(set.number.parts().unwrap().0), "the same epoch twice");
        office.stop().unwrap();
        drop(fs::remove_dir_all(copy.path()));
    }
    let office = start(&data).unwrap();
    for one in issue(&office, 500) {
        assert!(all.insert(one), "the original: {one:?} was given twice");
    }
    office.stop().unwrap();
}
