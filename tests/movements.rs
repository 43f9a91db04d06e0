//! The feed of the resident registry as operators handle it: commands, files, kills.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed step must stop the test"
)]

mod service;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use service::{Ran, Service};

/// Cards of a service, issued and handed over.
struct Counter {
    service: Service,
    home: tempfile::TempDir,
}

impl Counter {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let service = Service::start(&home.path().join("data"), 100);
        Self { service, home }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Issues so many pairs, each on a card of its own.
    fn cards(&self, count: usize) -> Vec<String> {
        let line = |number: usize| {
            json!({"name": format!("関所 {number}"), "birth": "1980-01-01", "sex": "female",
                   "address": "東京都清瀬市", "municipality": "13221", "subject_key": "test_key"})
        };
        let lines: Vec<String> = (0..count).map(|number| line(number).to_string()).collect();
        fs::write(self.file("batch"), lines.join("\n")).unwrap();
        let (batch, out) = (self.file("batch"), self.file("out"));
        let ran = self.service.sekisho(&["issue", "--batch", text(&batch), "--out", text(&out), "--json"]);
        assert_eq!(ran.code, Some(0), "{}", ran.text());
        let cards = ran.stdout.lines().map(|line| {
            let pair: Value = serde_json::from_str(line).unwrap();
            pair["card"].as_str().unwrap().to_owned()
        });
        let cards: Vec<String> = cards.collect();
        for card in &cards {
            let ran = self.service.sekisho(&["card", "hand-over", card, "--json"]);
            assert_eq!(ran.json()["changed"], true);
        }
        cards
    }

    fn card(&self, card: &str) -> Value {
        self.service.sekisho(&["card", "show", card, "--json"]).json()
    }

    /// The statuses of a card's pair.
    fn pair(&self, card: &str) -> [String; 2] {
        let card = self.card(card);
        [0, 1].map(|at| {
            let one = &card["certificates"][at];
            one["reason"].as_str().or(one["status"].as_str()).unwrap().to_owned()
        })
    }

    fn import(&self, file: &Path, more: &[&str]) -> Ran {
        self.service.sekisho(&[&["movements", "import", text(file)], more].concat())
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn now() -> String {
    sekisho::store::Clock::system().now().to_string()
}

/// Certificates count from the second after they were issued.
fn a_second_passes() {
    std::thread::sleep(Duration::from_millis(1100));
}

#[test]
fn a_feed_is_imported_once_and_tells_what_each_line_did() {
    let counter = Counter::new();
    let cards = counter.cards(4);
    a_second_passes();
    let holder = counter.card(&cards[2])["holder"].as_str().unwrap().to_owned();
    let lines = [
        json!({"event_id": "a", "kind": "move-within", "card": cards[0], "effective_at": now()}).to_string(),
        json!({"event_id": "b", "kind": "card-suspension", "card": cards[1], "effective_at": now(),
               "reported_at": now()})
        .to_string(),
        String::new(),
        json!({"event_id": "c", "kind": "death", "holder": holder, "effective_at": now()}).to_string(),
        json!({"event_id": "d", "kind": "marriage", "card": cards[3], "effective_at": now()}).to_string(),
        json!({"event_id": "e", "kind": "minor-correction", "card": cards[3], "effective_at": now()})
            .to_string(),
        "{\"event_id\": \"f\"".to_owned(),
        json!({"event_id": "g", "kind": "death", "card": cards[3], "effective_at": "2999-01-01T00:00:00Z"})
            .to_string(),
        json!({"event_id": "a", "kind": "death", "card": cards[3], "effective_at": now()}).to_string(),
    ];
    let feed = counter.file("feed.ndjson");
    fs::write(&feed, lines.join("\n")).unwrap();
    let before = counter.service.written();

    let rehearsed = counter.import(&feed, &["--dry-run"]);
    assert_eq!(rehearsed.code, Some(1));
    assert!(
        rehearsed.stderr.contains(
            "8 lines: 4 would be recorded (1 without effect), 5 certificates changed, 0 known before, 4 rejected"
        ),
        "{}",
        rehearsed.stderr
    );
    assert!(rehearsed.stdout.contains("affiliationChanged"), "{}", rehearsed.text());
    assert!(rehearsed.stdout.contains("line 6: changes nothing"), "{}", rehearsed.text());
    assert_eq!(counter.service.written(), before, "nothing is written");

    let ran = counter.import(&feed, &[]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains(
            "8 lines: 4 recorded (1 without effect), 5 certificates changed, 0 known before, 4 rejected"
        ),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("line 5: no rule is about marriage"), "{}", ran.stderr);
    let rejected = fs::read_to_string(counter.file("feed.ndjson.rejected")).unwrap();
    let rejected: Vec<Value> = rejected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<u64> = rejected.iter().map(|row| row["line"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [5, 7, 8, 9]);
    assert_eq!(rejected[0]["text"].as_str().unwrap(), lines[4]);
    for (row, reason) in rejected.iter().zip(["no rule", "not understood", "report it again then", "key"]) {
        assert!(row["reason"].as_str().unwrap().contains(reason), "{row}");
    }
    let wanted = [
        ["affiliationChanged", "good"],
        ["certificateHold", "certificateHold"],
        ["cessationOfOperation", "cessationOfOperation"],
        ["good", "good"],
    ];
    for (card, wanted) in cards.iter().zip(wanted) {
        assert_eq!(counter.pair(card), wanted);
    }

    let recorded = counter.service.written();
    assert!(recorded > before, "what is recorded is seen");
    let again = counter.import(&feed, &["--json"]);
    assert!(again.stderr.contains("0 recorded (0 without effect), 0 certificates changed, 4 known before"));
    let told: Vec<Value> = again.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), 8);
    assert_eq!(told[0]["done"]["changed"][0]["reason"], "affiliationChanged", "the first outcome again");
    assert_eq!(counter.service.written(), recorded);

    let reconciled = counter.service.sekisho(&["reconcile"]);
    assert_eq!(reconciled.code, Some(0), "{}", reconciled.text());
    // Nothing is done to a certificate behind its card's back.
    let serial = counter.card(&cards[3])["certificates"][1]["serial"].as_str().unwrap().to_owned();
    let held = counter.service.sekisho(&["hold", "--authority", "auth", "--serial", &serial]);
    held.refused(1, &["use card suspend", &format!("sekisho card suspend {}", cards[3])]);
    assert_eq!(counter.service.sekisho(&["reconcile"]).code, Some(0));
}

#[test]
fn a_dry_run_looks_at_a_whole_feed_in_one_piece_or_at_none() {
    let counter = Counter::new();
    let cards = counter.cards(1);
    a_second_passes();
    // More than an import sends at once, all about one card: the first alone changes it.
    let since = now();
    let line = |number: usize| {
        json!({"event_id": number.to_string(), "kind": "move-within", "card": cards[0], "effective_at": since})
            .to_string()
    };
    let lines: Vec<String> = (0..6000).map(line).collect();
    let feed = counter.file("feed");
    fs::write(&feed, lines.join("\n")).unwrap();
    let ran = counter.import(&feed, &["--dry-run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    let said =
        "6000 lines: 6000 would be recorded (5999 without effect), 1 certificates changed, 0 known before";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert_eq!(counter.pair(&cards[0]), ["good", "good"]);
    fs::write(&feed, "{}\n".repeat(100_001)).unwrap();
    counter.import(&feed, &["--dry-run"]).refused(2, &["100000 lines", "divide the feed"]);
}

#[test]
fn status_names_the_report_behind_a_change() {
    let counter = Counter::new();
    let cards = counter.cards(3);
    a_second_passes();
    let holder = counter.card(&cards[0])["holder"].as_str().unwrap().to_owned();
    let since = now();
    let lines = [
        json!({"event_id": "a", "kind": "death", "holder": holder, "effective_at": since}),
        json!({"event_id": "b", "kind": "card-suspension", "card": cards[1], "effective_at": since}),
    ];
    let feed = counter.file("feed.ndjson");
    fs::write(&feed, lines.map(|line| line.to_string()).join("\n")).unwrap();
    let ran = counter.import(&feed, &["--json"]);
    let told: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let status = |card: &str, at: usize, more: &[&str]| {
        let one = &counter.card(card)["certificates"][at];
        let named =
            ["--authority", one["authority"].as_str().unwrap(), "--serial", one["serial"].as_str().unwrap()];
        counter.service.sekisho(&[&["status"][..], &named, more].concat())
    };
    let movement = |ran: &Ran| serde_json::from_str::<Value>(&ran.stdout).unwrap()["movement"].clone();
    for (card, event, told) in [(&cards[0], "death", &told[0]), (&cards[1], "card-suspension", &told[1])] {
        for at in [0, 1] {
            let wanted = json!({"event": event, "effective_at": since, "position": told["done"]["position"]});
            assert_eq!(movement(&status(card, at, &["--json"])), wanted);
        }
    }
    let shown = status(&cards[0], 1, &[]).stdout;
    let line =
        format!("by event      death, in effect since {since} (entry {})", told[0]["done"]["position"]);
    assert!(shown.contains(&line), "{shown}");

    // What nobody reported has no event; what is done to a hold later is not what made it.
    assert_eq!(movement(&status(&cards[2], 0, &["--json"])), Value::Null);
    let revoke = |card: &str| {
        let one = &counter.card(card)["certificates"][0];
        counter.service.sekisho(&[
            "revoke",
            "--authority",
            "sign",
            "--serial",
            one["serial"].as_str().unwrap(),
        ])
    };
    for card in &cards[1..] {
        assert_eq!(revoke(card).code, Some(0));
        assert_eq!(movement(&status(card, 0, &["--json"])), Value::Null);
        assert!(!status(card, 0, &[]).stdout.contains("by event"));
    }
    // A renewal is a report too, with a key or without.
    let out = counter.file("out");
    let renew =
        ["issue", "--renew", &cards[2], "--kind", "auth", "--name", "関所 花子", "--birth", "1982-02-17"];
    let more = ["--sex", "female", "--address", "東京都清瀬市", "--municipality", "13221", "--test-key"];
    let renewed = counter.service.sekisho(&[&renew[..], &more, &["--out", text(&out)]].concat());
    assert_eq!(renewed.code, Some(0), "{}", renewed.text());
    assert_eq!(movement(&status(&cards[2], 1, &["--json"]))["event"], "renewal");
}

#[test]
fn an_import_killed_anywhere_goes_on_where_it_was() {
    let mut counter = Counter::new();
    let cards = counter.cards(30);
    a_second_passes();
    let kinds = ["move-within", "name-change", "card-suspension", "card-abolition"];
    let mut lines = Vec::new();
    for (event, kind) in kinds.iter().enumerate() {
        for (at, card) in cards.iter().enumerate() {
            let line = json!({"event_id": format!("{event}-{at}"), "kind": kind, "card": card,
                              "effective_at": now()});
            lines.push(line.to_string());
        }
    }
    let data = counter.service.data.clone();
    for round in 0..6_usize {
        // A feed that never ends, of which so many lines arrived.
        let mut import = Command::new(env!("CARGO_BIN_EXE_sekisho"))
            .args(["movements", "import", "-", "--data", text(&data)])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir(counter.home.path())
            .spawn()
            .unwrap();
        let arrived = lines[..lines.len() * (round + 1) / 6].join("\n");
        let mut stdin = import.stdin.take().unwrap();
        let feeding = std::thread::spawn(move || {
            // The import may be gone before it has read all.
            drop(std::io::Write::write_all(&mut stdin, arrived.as_bytes()));
        });
        std::thread::sleep(Duration::from_millis(5 + u64::try_from(round * 23 % 60).unwrap()));
        counter.service.kill();
        feeding.join().unwrap();
        import.wait().unwrap();
        counter.service = Service::start(&data, 100);
    }
    let feed = counter.file("feed");
    fs::write(&feed, lines.join("\n")).unwrap();
    let ran = counter.import(&feed, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    for card in &cards {
        assert_eq!(counter.pair(card), ["affiliationChanged", "cessationOfOperation"]);
    }
    let again = counter.import(&feed, &[]);
    assert!(again.stderr.contains("120 known before, 0 rejected"), "{}", again.stderr);
    assert_eq!(counter.service.sekisho(&["reconcile"]).code, Some(0));
    assert_eq!(counter.service.sekisho(&["check"]).code, Some(0));
}

#[test]
fn cards_are_applied_for_issued_handed_over_renewed_and_shown() {
    let counter = Counter::new();
    let service = &counter.service;
    let applied = service.sekisho(&[
        "card",
        "apply",
        "--municipality",
        "13221",
        "--expires",
        "2032-05-01T14:59:59Z",
        "--key",
        "k",
        "--json",
    ]);
    let card = applied.json()["card"].as_str().unwrap().to_owned();
    let again = service.sekisho(&[
        "card",
        "apply",
        "--municipality",
        "13221",
        "--expires",
        "2032-05-01T14:59:59Z",
        "--key",
        "k",
        "--json",
    ]);
    assert_eq!(
        (again.json()["card"].as_str().unwrap(), &again.json()["changed"]),
        (card.as_str(), &json!(false))
    );
    assert_eq!(counter.card(&card)["state"], "applied");
    service.sekisho(&["card", "hand-over", &card]).refused(1, &["is applied"]);
    let out = counter.file("out");
    let issue = |more: &[&str]| {
        let person = [
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
            "--out",
            text(&out),
            "--json",
        ];
        service.sekisho(&[&person, more].concat())
    };
    issue(&["--card", &card]).json();
    let shown = counter.card(&card);
    assert_eq!((&shown["state"], &shown["expires"]), (&json!("issued"), &json!("2032-05-01T14:59:59Z")));
    issue(&["--card", &card]).refused(1, &["has a good sign certificate"]);
    assert_eq!(service.sekisho(&["card", "hand-over", &card]).code, Some(0));
    let phone = issue(&["--phone-with", &card, "--kind", "phone-sign,phone-auth"]).json();
    let phone = counter.card(phone["card"].as_str().unwrap());
    assert_eq!(
        (&phone["carrier"], &phone["state"], &phone["with"]),
        (&json!("phone"), &json!("in use"), &json!(card))
    );
    assert_eq!(phone["certificates"][0]["not_after"], shown["certificates"][0]["not_after"]);
    issue(&["--renew", &card, "--kind", "sign"]).json();
    let renewed = counter.card(&card);
    let statuses: Vec<&str> = renewed["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["revoked", "good", "good"]);
    issue(&["--renew", "card-7"]).refused(2, &["32 hexadecimal digits"]);
    issue(&["--renew", &format!("card-{:032x}", 7)]).refused(1, &["is not known"]);
    keys_of_authorities(service);
    let rules = service.sekisho(&["rules", "--json"]).json();
    let death = rules.as_array().unwrap().iter().find(|rule| rule["event"] == "death").unwrap().clone();
    assert_eq!(
        (&death["sign"], &death["carrier"]),
        (&json!("revoke cessationOfOperation"), &json!("abolished"))
    );
}

/// Every door by which a municipality comes in names the wards, and leaves nothing behind.
#[test]
fn c_3_a_designated_city_is_no_residence_at_any_door() {
    let counter = Counter::new();
    let cards = counter.cards(3);
    a_second_passes();
    let out = counter.file("out");
    let (batch, feed) = (counter.file("batch"), counter.file("feed.ndjson"));
    let cities = [
        ("14100", "横浜市", "神奈川県横浜市中区", "14104", "14118"),
        ("01100", "札幌市", "北海道札幌市北区", "01102", "01110"),
        ("27140", "堺市", "大阪府堺市堺区", "27141", "27147"),
    ];
    for (card, (city, name, address, ward, last)) in cards.iter().zip(cities) {
        let named = format!("nobody lives in {city} ({name}) outside its wards: name the ward, one of ");
        let words = [named.as_str(), ward, last];
        let before = counter.service.written();
        let person = ["issue", "--name", "関所 花子", "--birth", "1982-02-17", "--sex", "female"];
        let place = ["--address", address, "--municipality", city, "--test-key", "--out", text(&out)];
        counter.service.sekisho(&[person, place].concat()).refused(2, &words);
        counter.service.sekisho(&["card", "apply", "--municipality", city]).refused(2, &words);
        let line = json!({"name": "関所 花子", "birth": "1980-01-01", "sex": "female", "address": address,
                          "municipality": city, "subject_key": "test_key"});
        fs::write(&batch, line.to_string()).unwrap();
        let ran = counter.service.sekisho(&["issue", "--batch", text(&batch), "--out", text(&out)]);
        ran.refused(1, &words);
        let line = json!({"event_id": city, "kind": "move-in", "card": card, "effective_at": now(),
                          "municipality": city});
        fs::write(&feed, line.to_string()).unwrap();
        for ran in [counter.import(&feed, &["--dry-run"]), counter.import(&feed, &[])] {
            assert_eq!(ran.code, Some(1), "{}", ran.text());
            assert!(words.iter().all(|word| ran.stderr.contains(word)), "{}", ran.text());
        }
        assert_eq!(counter.service.written(), before, "nothing is left behind");

        // Named by its ward, all of it is taken.
        let line = json!({"event_id": format!("{city} ward"), "kind": "move-in", "card": card,
                          "effective_at": now(), "municipality": ward});
        fs::write(&feed, line.to_string()).unwrap();
        assert_eq!(counter.import(&feed, &[]).code, Some(0));
        assert_eq!(counter.card(card)["municipality"], ward);
        assert_eq!(counter.service.sekisho(&["card", "apply", "--municipality", ward]).code, Some(0));
    }
}

#[test]
fn c_2_who_moved_overseas_and_goes_on_using_the_card_gets_a_new_signing_certificate() {
    let counter = Counter::new();
    let card = counter.cards(1).remove(0);
    let (out, feed) = (counter.file("out"), counter.file("feed.ndjson"));
    let report = |event: &str, at: &str, municipality: Option<&str>| {
        let mut line =
            json!({"event_id": format!("{event} {at}"), "kind": event, "card": card, "effective_at": at});
        line["municipality"] = municipality.map_or(Value::Null, Value::from);
        fs::write(&feed, line.to_string()).unwrap();
        let ran = counter.import(&feed, &[]);
        assert_eq!(ran.code, Some(0), "{}", ran.text());
    };
    let issue = |address: &str, municipality: &str, more: &[&str]| {
        let person =
            ["issue", "--name", "関所 花子", "--birth", "1982-02-17", "--sex", "female", "--test-key"];
        let place = ["--address", address, "--municipality", municipality, "--out", text(&out), "--json"];
        counter.service.sekisho(&[&person[..], &place, more].concat())
    };
    let renewed = ["--renew", card.as_str(), "--kind", "sign"];
    let (here, overseas) = ("東京都清瀬市", "国外転出　令和８年１１月３０日");
    a_second_passes();
    issue(overseas, "13221", &renewed).refused(1, &["no move overseas", "report overseas-continued first"]);
    let earlier = now();
    a_second_passes();
    report("overseas-continued", &now(), None);
    assert_eq!(counter.pair(&card), ["affiliationChanged", "good"]);
    issue(here, "13221", &renewed).refused(1, &["the holder lives overseas since", "report move-in"]);
    for kind in ["sign", "auth"] {
        let more = ["--renew", card.as_str(), "--kind", kind];
        issue(overseas, "14104", &more).refused(1, &["lives overseas since", "name municipality 13221"]);
    }
    let issued = issue(overseas, "13221", &renewed).json();
    let pem = issued["certificates"][0]["certificate"].as_str().unwrap();
    let der = pem::parse(pem).unwrap().into_contents();
    for told in [overseas, "Kiyose-shi CRLDP"] {
        assert!(der.windows(told.len()).any(|window| window == told.as_bytes()), "{told}");
    }
    let statuses = |at: usize| counter.card(&card)["certificates"][at]["status"].clone();
    assert_eq!([statuses(0), statuses(1), statuses(2)], ["revoked", "good", "good"]);
    let phone = ["--phone-with", card.as_str(), "--kind", "phone-sign,phone-auth"];
    assert_eq!(issue(overseas, "13221", &phone).code, Some(0));

    // A move of before, reported late, is no return: it says where they lived last.
    report("move-in", &earlier, Some("14104"));
    assert_eq!(counter.card(&card)["municipality"], "14104");
    issue("神奈川県横浜市", "14104", &renewed).refused(1, &["the holder lives overseas since"]);
    issue(overseas, "13221", &renewed).refused(1, &["name municipality 14104"]);
    assert_eq!(issue(overseas, "14104", &renewed).code, Some(0));

    // A return is one.
    a_second_passes();
    report("move-in", &now(), Some("13221"));
    issue(overseas, "13221", &renewed).refused(1, &["no move overseas"]);
    assert_eq!(issue(here, "13221", &renewed).code, Some(0));
    // Somebody new may live overseas already.
    assert_eq!(issue(overseas, "13221", &[]).code, Some(0));
}

/// `authority …`, of a running service: what is said, and what comes of it.
fn keys_of_authorities(service: &Service) {
    let authority = |arguments: &[&str]| service.sekisho(&[&["authority"][..], arguments].concat());
    let list = authority(&["list", "--json"]).json();
    let states: Vec<_> = list["keys"].as_array().unwrap().iter().map(|key| key["state"].clone()).collect();
    assert_eq!(states, ["issues", "issues"]);
    authority(&["activate", "--authority", "sign"]).refused(1, &["no key of sign waits", "rollover"]);
    authority(&["compromised", "--authority", "sign", "--generation", "9"])
        .refused(2, &["no key of generation 9"]);
    let late = "2999-01-01T00:00:00Z";
    authority(&["compromised", "--authority", "sign", "--generation", "1", "--invalid-since", late])
        .refused(1, &["give a time that has passed"]);
    let said = authority(&["compromised", "--authority", "sign", "--generation", "1", "--json"]).json();
    assert_eq!(said["changed"], json!(true));
    let again = authority(&["compromised", "--authority", "sign", "--generation", "1", "--json"]).json();
    assert_eq!((&again["changed"], &again["position"]), (&json!(false), &said["position"]));
    let made = authority(&["rollover", "--authority", "sign", "--now", "--json"]).json();
    assert_eq!(made["generation"], json!(2));
    let list = authority(&["list", "--json"]).json();
    let state = |at: usize, field: &str| list["keys"][at][field].clone();
    assert_eq!((state(0, "state"), state(1, "state")), (json!("signs"), json!("issues")));
    assert_eq!(state(0, "compromised_at"), said["recorded_at"]);
}
