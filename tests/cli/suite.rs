//! `tests/run` itself, with a `cargo` that does nothing: what it says of its parts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::service::Ran;

/// The parts of a whole run.
const PARTS: [&str; 7] = [
    "what the tests need",
    "cargo test, building",
    "cargo test",
    "the model checker",
    "fuzzing",
    "mutants --part ",
    "nothing left running",
];

/// A program that does nothing but this.
fn program(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// `tests/run` in a directory of its own; `cargo` does what is given.
fn run(home: &Path, cargo: &str, arguments: &[&str]) -> Ran {
    let own = |path: &str| home.join(path);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    program(&own("bin/cargo"), cargo);
    // Nothing is installed from here.
    program(&own("bin/apt-get"), "exit 1");
    for script in ["fuzz/run", "tests/mutants/run", "target/tools/venv/bin/python"] {
        program(&own(script), "exit 0");
    }
    fs::copy(here.join("tests/run"), own("tests/run")).unwrap();
    for wanted in ["tests/requirements.txt", "target/tools/venv/requirements.txt"] {
        fs::write(own(wanted), "").unwrap();
    }
    let path = format!("{}:{}", own("bin").display(), std::env::var("PATH").unwrap());
    // By name: a file that was written a moment ago may not be run yet.
    let mut command = Command::new("bash");
    command.arg(own("tests/run")).args(arguments).env("PATH", path).env_remove("CI").stdin(Stdio::null());
    Ran::from(command.output().unwrap())
}

/// What a line that ends a part says, or one of the list at the end: seconds and part.
fn told(line: &str, before: &str, between: &str) -> Option<(u64, String)> {
    let (seconds, part) = line.strip_prefix(before)?.split_once(between)?;
    Some((seconds.trim().parse().ok()?, part.to_owned()))
}

#[test]
fn each_part_of_tests_run_says_how_long_it_took_and_all_of_them_at_the_end() {
    let home = tempfile::tempdir().unwrap();
    // Two seconds for one part, so that something is told.
    let building = r#"case "$*" in *--no-run*) sleep 2 ;; esac"#;
    let ran = run(home.path(), building, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    let (parts, list) = ran.stdout.split_once("== how long each took\n").unwrap();
    let ends: Vec<_> = parts.lines().filter_map(|line| told(line, "== ", " s: ")).collect();
    let listed: Vec<_> = list.lines().map_while(|line| told(line, "", " s  ")).collect();
    assert_eq!(ends, listed, "{}", ran.stdout);
    assert_eq!(listed.len(), PARTS.len(), "{listed:?}");
    for ((_, part), name) in listed.iter().zip(PARTS) {
        assert!(part.starts_with(name), "{part}: {name}");
        assert!(ran.stdout.contains(&format!("== {part}\n")), "{part} is told when it begins");
    }
    assert!(listed[1].0 >= 2, "{listed:?}");
    let last = ran.stdout.lines().last().unwrap();
    assert!(last.starts_with("== passed in "), "{last}");
    let (_, all) = last.trim_end_matches(" s").rsplit_once(": ").unwrap();
    let sum: u64 = listed.iter().map(|(seconds, _)| seconds).sum();
    assert!(all.parse::<u64>().unwrap() >= sum, "{last}: {listed:?}");
}

#[test]
fn a_run_that_fails_and_one_without_its_long_parts_say_so_too() {
    let home = tempfile::tempdir().unwrap();
    let failing = r#"case "$*" in *"--test kill") exit 101 ;; esac"#;
    let ran = run(home.path(), failing, &["--fast"]);
    assert_eq!(ran.code, Some(1), "{}", ran.text());
    assert!(ran.stdout.contains("failed: cargo test --test kill\n"), "{}", ran.stdout);
    let (_, list) = ran.stdout.split_once("== how long each took\n").unwrap();
    let listed = list.lines().map_while(|line| told(line, "", " s  ")).count();
    assert_eq!(listed, PARTS.len() - 2, "{list}");
    assert!(ran.stdout.contains("== fuzzing: left out (--fast)"), "{}", ran.stdout);
    assert!(ran.stdout.lines().last().unwrap().starts_with("== FAILED in "), "{}", ran.stdout);
}
