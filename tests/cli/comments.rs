//! What somebody says of a change: `status` tells it, out of the archive, and nothing else does.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cards::Desk;
use crate::service::{Service, sekisho};
use crate::{issue, issued, serial};

/// Every octet below a directory.
fn octets(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            all.extend(octets(&entry.path()));
        } else if kind.is_file() {
            all.extend(fs::read(entry.path()).unwrap());
        }
    }
    all
}

fn says(octets: &[u8], text: &str) -> bool {
    octets.windows(text.len()).any(|window| window == text.as_bytes())
}

const SAID: [&str; 3] = ["本人から電話 (妻の声)", "found at Kiyose station, 8 p.m.", "x\"\\'y"];

#[test]
fn c_5_a_comment_is_told_by_status_and_stands_in_the_archive_alone() {
    let mut desk = Desk::of(Service::demo_traced(100));
    let suspend = ["--ticket", "HD/1", "--comment", SAID[0], "--key", "call-1"];
    assert_eq!(desk.card("suspend", &suspend).json()["changed"], true);
    assert_eq!(desk.card("found", &["--comment", SAID[1]]).json()["changed"], true);
    let sharper = ["--reason", "keyCompromise", "--comment", SAID[2], "--json"];
    assert_eq!(desk.certificate("revoke", 0, &sharper).json()["changed"], true);

    let told = |state: &Value| -> Vec<Value> {
        state["history"].as_array().unwrap().iter().map(|step| step["comment"].clone()).collect()
    };
    let state = desk.status(0);
    assert_eq!((&state["comment"], &state["comment_fault"]), (&json!(SAID[2]), &Value::Null));
    assert_eq!(told(&state), [Value::Null, json!(SAID[0]), json!(SAID[1]), json!(SAID[2])]);
    let text = desk.certificate("status", 1, &[]).stdout;
    assert!(text.contains(&format!("  comment       \"{}\"\n", SAID[1])), "{text}");
    let suspended = text.lines().find(|line| line.contains(", ticket HD/1, card-suspension: ")).unwrap();
    assert!(suspended.ends_with(&format!(", comment: \"{}\"", SAID[0])), "{suspended}");
    let text = desk.certificate("status", 0, &[]).stdout;
    let last = text.lines().last().unwrap();
    assert!(last.ends_with(r#", comment: "x\"\\'y""#), "{last}");

    // The same key with another comment, or none, is another request; with the same one it is known.
    for other in [&["--comment", "another"][..], &[]] {
        let again = [&["--ticket", "HD/1", "--key", "call-1"][..], other].concat();
        desk.card("suspend", &again).refused(1, &["key was used for another request"]);
    }
    assert_eq!(desk.card("suspend", &suspend).json()["changed"], false);

    let exported = desk.service.sekisho(&["journal", "export"]);
    let home = tempfile::tempdir().unwrap();
    let frames = home.path().join("frames");
    let frames_out = frames.to_str().unwrap();
    assert_eq!(desk.service.sekisho(&["journal", "export", "--frames", "--out", frames_out]).code, Some(0));
    let digests: Vec<&str> = exported.stdout.lines().filter(|line| line.contains("comment_sha256")).collect();
    assert!(digests.len() >= 3, "{digests:?}");
    let checked = desk.service.sekisho(&["check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.text());
    let log = desk.service.stop_and_log();
    assert!(!log.is_empty());
    let store = desk.service.data.join("store");
    for said in SAID {
        for (what, octets) in [
            ("export", exported.text().into_bytes()),
            ("frames", fs::read(&frames).unwrap()),
            ("log", log.clone().into_bytes()),
            ("check", checked.text().into_bytes()),
            ("journal", octets(&store.join("journal"))),
            ("snapshot", octets(&store.join("snapshot"))),
            ("projection", octets(&store.join("projection"))),
            ("CRLs", octets(&desk.service.data.join("crl"))),
        ] {
            assert!(!says(&octets, said), "{said} stands in: {what}");
        }
        assert!(says(&octets(&store.join("archive")), said), "{said}");
    }
    // Of a stopped directory, and after a start.
    let checked = sekisho(&desk.service.data, &["check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.text());
    let data = desk.service.data.clone();
    desk.service.restart(&data);
    assert_eq!(told(&desk.status(0)), [Value::Null, json!(SAID[0]), json!(SAID[1]), json!(SAID[2])]);
}

#[test]
fn c_5_m_5_a_comment_that_cannot_be_kept_is_refused_by_what_is_wrong_with_it() {
    let desk = Desk::new();
    let (long, right) = ("あ".repeat(501), "あ".repeat(500));
    let named = ["--authority", "sign", "--serial", serial(&desk.pair[0])];
    for (wrong, words) in [
        ("", "the comment is empty"),
        ("  ", "the comment is empty"),
        (&long, "has 501 characters, and 500 can be kept"),
        ("a\nb", "character 2 of the comment is a control character"),
        ("\u{1b}[31m", "character 1 of the comment is a control character"),
        ("a\u{202e}b", "character 2 of the comment (U+202E)"),
        ("a\u{200b}b", "character 2 of the comment (U+200B)"),
        ("\u{e000}", "character 1 of the comment (U+E000)"),
    ] {
        let apply = ["card", "apply", "--municipality", "13221", "--comment", wrong];
        desk.service.sekisho(&apply).refused(2, &[words]);
        desk.card("suspend", &["--comment", wrong]).refused(2, &[words]);
        for command in ["revoke", "hold", "release"] {
            desk.service.sekisho(&[&[command, "--comment", wrong][..], &named].concat()).refused(2, &[words]);
        }
        desk.service
            .sekisho(&["signer", "renew", "--authority", "sign", "--comment", wrong])
            .refused(2, &[words]);
        desk.service
            .sekisho(&["authority", "rollover", "--authority", "sign", "--comment", wrong])
            .refused(2, &[words]);
        desk.service.sekisho(&issue(&["--test-key", "--comment", wrong])).refused(2, &[words]);
    }
    assert_eq!(desk.card("show", &[]).json()["state"], "in use", "nothing was done");
    assert_eq!(desk.card("suspend", &["--comment", &right]).json()["changed"], true);
    assert_eq!(desk.status(0)["comment"], json!(right));
}

/// What the exported lines tell of a ticket: events, and whether each has a comment.
fn under(service: &Service, ticket: &str) -> Vec<String> {
    let exported = service.sekisho(&["journal", "export"]);
    let lines = exported.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines = lines.filter(|line| line["ticket"] == ticket);
    let events = lines.map(|line| {
        assert_eq!(line["comment_sha256"].as_str().map(str::len), Some(64), "{line}");
        line["event"].as_str().unwrap().to_owned()
    });
    events.collect()
}

#[test]
fn c_5_whatever_takes_a_ticket_takes_a_comment() {
    let service = Service::demo(100);
    let said = |ticket: &'static str| ["--ticket", ticket, "--comment", "as the head of the office said"];
    let pair = issued(&service, &said("T/issue"));
    assert_eq!(under(&service, "T/issue"), ["issued", "issued"]);
    let state = service.sekisho(&["status", "--authority", "sign", "--serial", serial(&pair[0]), "--json"]);
    let state = state.json();
    assert_eq!(state["comment"], "as the head of the office said");
    let card = state["card"].as_str().unwrap();

    // The feed as a whole: each of its reports.
    let feed = service.data.join("feed");
    let mut file = fs::File::create(&feed).unwrap();
    for (event, kind) in [("e-1", "minor-correction"), ("e-2", "name-change")] {
        let line =
            json!({"event_id": event, "kind": kind, "card": card, "effective_at": state["recorded_at"]});
        writeln!(file, "{line}").unwrap();
    }
    let feed = feed.display().to_string();
    let import = [&["movements", "import", &feed][..], &said("T/feed")].concat();
    let rehearsed = service.sekisho(&[&import[..], &["--dry-run"]].concat());
    assert_eq!(rehearsed.code, Some(0), "{}", rehearsed.text());
    assert!(under(&service, "T/feed").is_empty());
    let imported = service.sekisho(&import);
    assert_eq!(imported.code, Some(0), "{}", imported.text());
    assert_eq!(under(&service, "T/feed").iter().filter(|event| *event == "movement").count(), 2);

    let done = |ticket: &'static str, command: &[&str]| {
        let ran = service.sekisho(&[command, &said(ticket)].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.text());
        (under(&service, ticket), ran.stdout)
    };
    let (events, _) = done("T/renew", &["signer", "renew", "--authority", "auth", "--kind", "p256"]);
    assert_eq!(events, ["issued"]);
    let revoke = ["signer", "revoke", "--authority", "auth", "--generation", "1", "--kind", "p256"];
    assert_eq!(done("T/signer", &revoke).0, ["revoked"]);
    let (events, _) = done("T/roll", &["authority", "rollover", "--authority", "sign"]);
    assert_eq!(events, ["issued", "issuing-from"]);
    // While the next key waits, and once it issues: what is told to do next is what is left to do.
    let first = ["authority", "compromised", "--authority", "sign", "--generation", "1"];
    let (events, told) = done("T/compromised", &first);
    assert_eq!(events, ["generation-compromised"]);
    assert!(told.contains("next: sekisho authority activate --authority sign"), "{told}");
    assert_eq!(done("T/activate", &["authority", "activate", "--authority", "sign"]).0, ["issuing-from"]);
    let told = service.sekisho(&first).stdout;
    assert!(told.contains("generation 2 issues for sign") && !told.contains("next:"), "{told}");
    let auth = ["authority", "compromised", "--authority", "auth", "--generation", "1"];
    let told = service.sekisho(&auth).stdout;
    assert!(told.contains("next: sekisho authority rollover --authority auth --now"), "{told}");

    // As soon as what it signed is revoked one by one.
    let retire = ["authority", "retire", "--authority", "sign", "--generation", "1"];
    let retire = [&retire[..], &said("T/retire")].concat();
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let retired = service.sekisho(&retire);
        if retired.code == Some(0) {
            break;
        }
        assert!(Instant::now() < deadline, "{}", retired.text());
        thread::sleep(Duration::from_millis(100));
    }
    assert!(under(&service, "T/retire").contains(&"generation-retired".to_owned()));

    // A line of a batch says its own, or what is said of the batch.
    let batch = service.data.join("batch");
    let person = json!({"name": "関所 花子", "birth": "1982-02-17", "sex": "female",
        "address": "東京都清瀬市", "municipality": "13221", "kinds": ["sign"], "subject_key": "test_key"});
    let mut own = person.clone();
    (own["ticket"], own["comment"]) = (json!("T/line"), json!("of this line"));
    fs::write(&batch, format!("{person}\n{own}\n")).unwrap();
    let (batch, out) = (batch.display().to_string(), service.data.join("out").display().to_string());
    let ran = service.sekisho(&[&["issue", "--batch", &batch, "--out", &out][..], &said("T/batch")].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    assert_eq!(under(&service, "T/batch").len(), 1);
    assert_eq!(under(&service, "T/line").len(), 1);
}
