//! `issue --batch`: a line is a resident, and is issued once.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed step must stop the test"
)]

mod service;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use service::{DEADLINE, Ran, SEKISHO, Service};

/// A service, and a place for batches.
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

    fn arguments(&self) -> [String; 6] {
        let [batch, out] = ["batch", "out"].map(|name| self.file(name).display().to_string());
        ["issue".to_owned(), "--json".to_owned(), "--batch".to_owned(), batch, "--out".to_owned(), out]
    }

    fn run(&self, lines: &[String], more: &[&str]) -> Ran {
        fs::write(self.file("batch"), lines.join("\n")).unwrap();
        let arguments = self.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
        self.service.sekisho(&arguments)
    }

    /// How many certificates there are on record.
    fn certificates(&self) -> u64 {
        self.service.sekisho(&["check", "--json"]).json()["certificates"].as_u64().unwrap()
    }

    fn rejected(&self) -> String {
        fs::read_to_string(self.file("batch.rejected")).unwrap()
    }
}

fn line(municipality: &str, birth: &str) -> String {
    json!({"name": "関所 花子", "birth": birth, "sex": "female", "address": "東京都清瀬市",
           "municipality": municipality, "subject_key": "test_key"})
    .to_string()
}

/// The pairs a run told of, each by its serials.
fn pairs(ran: &Ran) -> Vec<Vec<String>> {
    let pair = |line: &str| {
        let pair: Value = serde_json::from_str(line).unwrap();
        let all = pair["certificates"].as_array().unwrap().iter();
        all.map(|one| format!("{} {}", one["authority"], one["serial"])).collect()
    };
    ran.stdout.lines().map(pair).collect()
}

#[test]
fn good_lines_are_issued_once_and_corrected_ones_after_them() {
    let counter = Counter::new();
    let mut lines = [
        line("13221", "1980-01-01"),
        line("99999", "1980-01-01"),
        String::new(),
        line("13221", "2999-01-01"),
        "{\"name\": 1".to_owned(),
        line("13221", "1990-01-01"),
    ];
    let before = counter.certificates();
    let ran = counter.run(&lines, &[]);
    ran.refused(
        1,
        &[
            "4 certificates",
            "3 lines rejected",
            "line 2",
            "run it again, nothing is issued twice: sekisho issue --batch ",
        ],
    );
    let rejected = counter.rejected();
    for number in [2, 4, 5] {
        assert!(rejected.contains(&format!("line {number}: ")), "{rejected}");
    }
    let again = counter.run(&lines, &[]);
    assert_eq!(pairs(&again), pairs(&ran));
    assert_eq!(counter.certificates(), before + 4, "nothing is issued twice");

    // The key that was named stands for the batch also when lines of it have been corrected.
    let key = ran.stderr.split("--key ").nth(1).unwrap().split_whitespace().next().unwrap();
    lines[1] = line("13221", "1980-01-01");
    lines[3] = line("13221", "1999-01-01");
    lines[4] = line("13221", "1970-01-01");
    let corrected = counter.run(&lines, &["--key", key]);
    assert_eq!(corrected.code, Some(0), "{}", corrected.text());
    let issued = pairs(&corrected);
    assert_eq!(([&issued[0], &issued[4]], issued.len()), ([&pairs(&ran)[0], &pairs(&ran)[1]], 5));
    assert_eq!(counter.certificates(), before + 10);
}

#[test]
fn two_equal_lines_are_two_residents() {
    let counter = Counter::new();
    let lines = [line("13221", "1980-01-01"), line("13221", "1980-01-01")];
    let before = counter.certificates();
    let ran = counter.run(&lines, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    let issued = pairs(&ran);
    assert_eq!(issued.iter().flatten().collect::<BTreeSet<_>>().len(), 4);
    assert_eq!(pairs(&counter.run(&lines, &[])), issued);
    assert_eq!(counter.certificates(), before + 4);
    // Another batch, be it of the same lines, is other residents.
    let other = counter.run(&lines, &["--key", "another day"]);
    let other = pairs(&other);
    assert_eq!(other.iter().flatten().count(), 4);
    assert!(other.iter().flatten().all(|one| !issued.iter().flatten().any(|known| known == one)));
    assert_eq!(counter.certificates(), before + 8);
}

#[test]
fn a_line_that_was_issued_and_says_something_else_now_is_refused() {
    let counter = Counter::new();
    let first = [line("13221", "1980-01-01"), line("13221", "1981-01-01")];
    let issued = counter.run(&first, &["--key", "k"]);
    assert_eq!(issued.code, Some(0), "{}", issued.text());
    let before = counter.certificates();
    let changed = [line("13221", "1980-01-01"), line("13221", "1981-01-02"), line("13221", "1981-01-01")];
    let ran = counter.run(&changed, &["--key", "k"]);
    ran.refused(1, &["1 lines rejected", "line 2: another line stood here", "put that line back"]);
    assert_eq!(pairs(&ran).len(), 2);
    assert_eq!(pairs(&ran)[0], pairs(&issued)[0]);
    assert_eq!(counter.certificates(), before + 2, "the new line at the end alone");
}

/// The command that is told to be run again is the whole of it: without its ticket and comment each line would be
/// another.
#[test]
fn a_batch_under_a_ticket_and_comment_tells_the_whole_command_to_run_again() {
    let counter = Counter::new();
    let mut lines = [line("13221", "1980-01-01"), line("99999", "1980-01-01")];
    let said = ["--ticket", "T/1", "--comment", "it's \"urgent\", said Mr. 関"];
    let ran = counter.run(&lines, &said);
    ran.refused(1, &["1 lines rejected", "the same comment for COMMENT", " --ticket T/1 --comment COMMENT"]);
    let told = ran.text();
    assert!(!told.contains("urgent"), "{told}");
    let again = told.split("nothing is issued twice: ").nth(1).unwrap().lines().next().unwrap();
    let key = again.split(" --key ").nth(1).unwrap().split(' ').next().unwrap();
    let before = counter.certificates();

    // With another, or none, the line is another; the words say so.
    for other in [&[][..], &["--ticket", "T/1"], &["--ticket", "T/2", "--comment", said[3]]] {
        let ran = counter.run(&lines, &[&["--key", key][..], other].concat());
        ran.refused(
            1,
            &["2 lines rejected", "line 1: another line stood here", "another --ticket or --comment"],
        );
    }
    assert_eq!(counter.certificates(), before);

    // As told, in a shell.
    lines[1] = line("13221", "1980-01-01");
    fs::write(counter.file("batch"), lines.join("\n")).unwrap();
    let again = again.replacen("sekisho", SEKISHO, 1).replacen("COMMENT", "\"$COMMENT\"", 1);
    let mut shell = Command::new("sh");
    shell.args(["-c", &again]).env("COMMENT", said[3]).env_remove("SEKISHO_DATA");
    let done = shell.output().unwrap();
    assert!(done.status.success(), "{again}: {}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(counter.certificates(), before + 2, "the corrected line alone");
}

#[test]
fn a_batch_killed_anywhere_goes_on_where_it_was() {
    const LINES: usize = 60;
    let mut counter = Counter::new();
    let before = counter.certificates();
    let lines = vec![line("13221", "1980-01-01"); LINES];
    fs::write(counter.file("batch"), lines.join("\n")).unwrap();
    let data = counter.service.data.clone();
    let issued = |counter: &Counter| fs::read_dir(counter.file("out")).map_or(0, Iterator::count);
    for part in 1..=3 {
        let mut batch = Command::new(SEKISHO)
            .args(counter.arguments())
            .arg("--data")
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while issued(&counter) < part * LINES / 2 {
            assert!(started.elapsed() < DEADLINE, "nothing is issued any more");
            std::thread::sleep(Duration::from_millis(1));
        }
        counter.service.kill();
        assert_eq!(batch.wait().unwrap().code(), Some(3), "the service is gone");
        counter.service = Service::start(&data, 100);
    }
    let ran = counter.run(&lines, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    let all: BTreeSet<String> = pairs(&ran).into_iter().flatten().collect();
    assert_eq!(all.len(), 2 * LINES);
    assert_eq!(issued(&counter), 2 * LINES);
    assert_eq!(counter.certificates(), before + 2 * u64::try_from(LINES).unwrap());
}
