//! Cards lost and found by command, and what `status` tells of who did what, when, and what for.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::service::{Ran, Service};
use crate::{issue, serial};

/// A card with a pair, handed over.
pub struct Desk {
    pub service: Service,
    pub card: String,
    pub pair: Vec<Value>,
}

impl Desk {
    pub fn new() -> Self {
        Self::of(Service::demo(100))
    }

    pub fn of(service: Service) -> Self {
        let out = service.data.join("out").display().to_string();
        let issued = service.sekisho(&issue(&["--test-key", "--json", "--out", &out])).json();
        let card = issued["card"].as_str().unwrap().to_owned();
        let pair = issued["certificates"].as_array().unwrap().clone();
        let handed_over = service.sekisho(&["card", "hand-over", &card, "--json", "--ticket", "desk/7"]);
        assert_eq!(handed_over.json()["changed"], true);
        Self { service, card, pair }
    }

    pub fn card(&self, what: &str, more: &[&str]) -> Ran {
        self.service.sekisho(&[&["card", what, &self.card, "--json"][..], more].concat())
    }

    fn file(&self, at: usize) -> String {
        let name = format!("{}-{}.pem", self.pair[at]["authority"].as_str().unwrap(), serial(&self.pair[at]));
        self.service.data.join("out").join(name).display().to_string()
    }

    pub fn certificate(&self, what: &str, at: usize, more: &[&str]) -> Ran {
        self.service.sekisho(&[&[what, "--cert", &self.file(at)][..], more].concat())
    }

    /// What `status --json` prints, whatever its exit code.
    pub fn status(&self, at: usize) -> Value {
        serde_json::from_str(&self.certificate("status", at, &["--json"]).stdout).unwrap()
    }
}

#[test]
fn c_1_a_card_is_suspended_found_and_renewed_by_commands() {
    let desk = Desk::new();
    desk.card("found", &[]).refused(1, &["is in use, and was never suspended"]);
    let suspended = desk.card("suspend", &["--key", "call-1"]).json();
    assert_eq!((&suspended["card"], &suspended["changed"]), (&json!(desk.card), &json!(true)));
    let held: Vec<&Value> = suspended["certificates"].as_array().unwrap().iter().collect();
    assert_eq!(held.len(), 2);
    assert!(held.iter().all(|one| one["status"] == "hold" && one["reason"] == "certificateHold"));
    assert_eq!(desk.card("show", &[]).json()["state"], "suspended");
    assert_eq!(
        desk.card("suspend", &["--key", "call-1"]).json()["changed"],
        false,
        "the first outcome again"
    );
    assert!(desk.service.openssl_ocsp("auth", &desk.file(1), &[]).contains("certificateHold"));

    let out = desk.service.data.join("new").display().to_string();
    let renew = issue(&["--test-key", "--json", "--out", &out, "--renew", &desk.card]);
    desk.service.sekisho(&renew).refused(1, &["is suspended"]);
    let found = desk.service.sekisho(&["card", "found", &desk.card]);
    assert!(found.stdout.contains(": found (recorded at "), "{}", found.text());
    assert_eq!(found.stdout.matches("revoked, cessationOfOperation, since ").count(), 2, "{}", found.text());
    assert_eq!(desk.card("show", &[]).json()["state"], "in use");
    assert_eq!(desk.service.sekisho(&renew).json()["card"], json!(desk.card));
    assert_eq!(desk.service.sekisho(&["reconcile"]).code, Some(0));
    assert_eq!(desk.service.sekisho(&["check"]).code, Some(0));
}

/// What the admin socket answers: its status and body.
fn post(desk: &Desk, path: &str, body: &Value) -> (u16, Value) {
    let mut stream = UnixStream::connect(desk.service.data.join("admin.sock")).unwrap();
    let body = body.to_string();
    let len = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n");
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[test]
fn c_1_hold_and_release_of_what_is_on_a_card_are_refused_at_every_door() {
    let desk = Desk::new();
    let suspend = format!("sekisho card suspend {}", desk.card);
    let found = format!("sekisho card found {}", desk.card);
    for at in [0, 1] {
        let named = json!({"authority": desk.pair[at]["authority"], "serial": desk.pair[at]["serial"]});
        desk.certificate("hold", at, &[]).refused(1, &["use card suspend", &suspend]);
        let (status, answer) = post(&desk, "/v1/hold", &json!({"certificate": named}));
        assert_eq!((status, &answer["kind"]), (409, &json!("refused")));
        assert!(answer["error"].as_str().unwrap().contains(&suspend), "{answer}");
    }
    assert_eq!(desk.card("suspend", &[]).json()["changed"], true);
    for at in [0, 1] {
        let named = json!({"authority": desk.pair[at]["authority"], "serial": desk.pair[at]["serial"]});
        desk.certificate("release", at, &[]).refused(1, &["use card found", &found]);
        let (status, answer) = post(&desk, "/v1/release", &json!({"certificate": named}));
        assert_eq!(status, 409);
        assert!(answer["error"].as_str().unwrap().contains(&found), "{answer}");
    }
    // One may be revoked by itself, at its holder's wish.
    let revoke = ["--reason", "cessationOfOperation", "--json"];
    assert_eq!(desk.certificate("revoke", 0, &revoke).json()["status"], "revoked");
    assert_eq!(desk.certificate("revoke", 1, &revoke).json()["status"], "revoked");
    assert_eq!(desk.service.sekisho(&["reconcile"]).code, Some(0));
}

#[test]
fn c_4_a_time_before_the_issue_and_one_to_come_are_told_for_what_they_are() {
    let desk = Desk::new();
    let issued = desk.status(0)["history"][0]["recorded_at"].as_str().unwrap().to_owned();
    for at in ["2020-01-01T00:00:00Z", "1970-01-01T00:00:00Z"] {
        let said = format!("had not been issued yet at {at}: it was issued at {issued}");
        let asked = desk.certificate("status", 0, &["--at", at]);
        assert!(!asked.text().contains("never"), "{}", asked.text());
        asked.refused(1, &[&said]);
    }
    assert_eq!(desk.certificate("status", 0, &["--at", &issued]).code, Some(0), "from that second on");
    desk.certificate("status", 0, &["--at", "2999-01-01T00:00:00Z"])
        .refused(2, &["2999-01-01T00:00:00Z has not come yet, it is 20"]);
    // Never is never, at whatever time.
    for more in [&[][..], &["--at", "2020-01-01T00:00:00Z"], &["--at", &issued]] {
        let named = ["status", "--authority", "sign", "--serial", "0x7fffffff"];
        desk.service.sekisho(&[&named, more].concat()).refused(1, &["was never issued"]);
    }
}

#[test]
fn c_5_status_names_who_did_what_when_and_under_which_ticket() {
    let desk = Desk::new();
    let uid = desk.status(0)["actor"].as_str().unwrap().to_owned();
    assert!(uid.starts_with("uid:"), "{uid}");
    let issued = desk.status(0);
    assert_eq!((&issued["card"], &issued["ticket"]), (&json!(desk.card), &Value::Null));
    assert_eq!(issued["history"].as_array().unwrap().len(), 1);

    assert_eq!(desk.card("suspend", &["--ticket", "HD-2026/0042"]).json()["changed"], true);
    assert_eq!(desk.card("found", &["--ticket", "HD-2026/0043"]).json()["changed"], true);
    let sharper = ["--reason", "keyCompromise", "--ticket", "SEC.1_a", "--json"];
    assert_eq!(desk.certificate("revoke", 0, &sharper).json()["changed"], true);

    let state = desk.status(0);
    assert_eq!((&state["actor"], &state["ticket"]), (&json!(uid), &json!("SEC.1_a")));
    let told: Vec<[Value; 4]> = state["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| ["reason", "actor", "ticket"].map(|field| one[field].clone()))
        .zip(state["history"].as_array().unwrap().iter().map(|one| one["movement"]["event"].clone()))
        .map(|([reason, actor, ticket], event)| [reason, actor, ticket, event])
        .collect();
    let by = |reason: Value, ticket: Value, event: Value| [reason, json!(uid), ticket, event];
    assert_eq!(
        told,
        [
            by(Value::Null, Value::Null, Value::Null),
            by(json!("certificateHold"), json!("HD-2026/0042"), json!("card-suspension")),
            by(json!("cessationOfOperation"), json!("HD-2026/0043"), json!("card-found")),
            by(json!("keyCompromise"), json!("SEC.1_a"), Value::Null),
        ]
    );
    let other = desk.status(1);
    assert_eq!(
        (&other["ticket"], &other["movement"]["event"]),
        (&json!("HD-2026/0043"), &json!("card-found"))
    );

    let text = desk.certificate("status", 0, &[]).stdout;
    for line in [
        format!("  card          {}", desk.card),
        format!("  asked by      {uid}"),
        "  ticket        SEC.1_a".to_owned(),
        format!(", by {uid}, ticket HD-2026/0042, card-suspension: hold, certificateHold"),
    ] {
        assert!(text.contains(&line), "{line} is not in: {text}");
    }
    // As of then: what came later is not told.
    let suspended = state["history"][1]["recorded_at"].as_str().unwrap();
    let then = desk.certificate("status", 0, &["--json", "--at", suspended]).stdout;
    let then: Value = serde_json::from_str(&then).unwrap();
    assert_eq!((&then["ticket"], then["history"].as_array().unwrap().len()), (&json!("HD-2026/0042"), 2));
}

#[test]
fn c_5_a_ticket_is_written_as_it_is_said_or_refused() {
    let desk = Desk::new();
    let long = "x".repeat(41);
    for wrong in ["", "HD 1", "HD:1", "関所", "a\nb", &long] {
        desk.card("suspend", &["--ticket", wrong]).refused(2, &["1 to 40", "A-Z a-z 0-9 . _ / -"]);
        desk.certificate("revoke", 0, &["--ticket", wrong]).refused(2, &["1 to 40"]);
        let apply = ["card", "apply", "--municipality", "13221", "--ticket", wrong];
        desk.service.sekisho(&apply).refused(2, &["1 to 40"]);
    }
    assert_eq!(desk.card("show", &[]).json()["state"], "in use", "nothing was done");
    let right = &long[..40];
    assert_eq!(desk.certificate("revoke", 0, &["--ticket", right, "--json"]).json()["changed"], true);
    assert_eq!(desk.status(0)["ticket"], json!(right));
    // Another ticket under the same key is another request.
    let asked = |ticket| desk.certificate("revoke", 1, &["--key", "k", "--ticket", ticket, "--json"]);
    assert_eq!(asked("a").json()["changed"], true);
    assert_eq!(asked("a").json()["repeated"], true);
    asked("b").refused(1, &["key was used for another request"]);
}
