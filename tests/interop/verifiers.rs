//! OpenSSL, Java and BouncyCastle decide on certificates of several keys of one name: by OCSP and by CRLs,
//! with the files in every order.

use std::fs;
use std::path::{Path, PathBuf};

use crate::matrix::Status;
use crate::programs::JARS;
use crate::site::{Key, Subject};
use crate::stage::{done, text};
use crate::verify::{bundle, verify};

/// How many verifications there were, and which said something else than what is right.
#[derive(Debug, Default)]
pub struct Tally {
    pub count: usize,
    pub wrong: Vec<String>,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.wrong.extend(other.wrong);
    }

    fn note(&mut self, said: &str, right: &str, about: impl FnOnce() -> String) {
        self.count += 1;
        if said != right {
            self.wrong.push(format!("{}: {said}, not {right}", about()));
        }
    }
}

/// The files in every order that matters: turned round, and from every one of them on.
pub fn orders<T: Clone>(files: &[T]) -> Vec<Vec<T>> {
    let mut orders = Vec::new();
    for at in 0..files.len() {
        let mut order = files.to_vec();
        order.rotate_left(at);
        if files.len() > 2 {
            orders.push(order.iter().rev().cloned().collect());
        }
        orders.push(order);
    }
    orders
}

/// The CRLs that a verifier may be given for subjects: the full ones for all, and for those of each
/// municipality its own; by all keys.
fn given<'a>(keys: &[Key], subjects: &'a [Subject]) -> Vec<(Vec<PathBuf>, Vec<&'a Subject>)> {
    let mut all = vec![(keys.iter().filter_map(|key| key.full.clone()).collect(), subjects.iter().collect())];
    let mut codes: Vec<&str> = subjects.iter().map(|one| one.municipality.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    for code in codes {
        let crls = keys.iter().filter_map(|key| key.partitions.get(code).cloned()).collect();
        all.push((crls, subjects.iter().filter(|one| one.municipality == code).collect()));
    }
    all
}

fn cas(keys: &[Key]) -> Vec<PathBuf> {
    keys.iter().map(|key| key.ca.clone()).collect()
}

/// All that OpenSSL can say of subjects of one authority.
pub fn openssl_decides(when: &str, url: &str, keys: &[Key], subjects: &[Subject]) -> Tally {
    let mut tally = Tally::default();
    for (crls, subjects) in given(keys, subjects) {
        let files: Vec<&Path> = subjects.iter().map(|one| Path::new(&one.file)).collect();
        let mut by = |options: &[&str], cas: &[PathBuf], crls: &[PathBuf]| {
            let said = verify(&[&["-crl_check"], options].concat(), cas, crls, &files);
            for (said, subject) in said.iter().zip(&subjects) {
                let right = if subject.status == Status::Good { "good" } else { "revoked" };
                tally.note(said, right, || about(when, "OpenSSL by CRL", subject, cas, crls));
            }
        };
        let cas = cas(keys);
        for crls in orders(&crls) {
            for cas in orders(&cas) {
                by(&[], &cas, &crls);
            }
        }
        // The same CA certificates among the intermediates: there are no others.
        let home = tempfile::tempdir().unwrap();
        for others in orders(&cas) {
            by(&["-untrusted", &bundle(home.path(), "others.pem", &others)], &cas, &crls);
        }
    }
    for (subject, nonce) in subjects.iter().zip(["-nonce", "-no_nonce"].into_iter().cycle()) {
        tally.add(openssl_asks(when, url, &cas(keys), subject, nonce));
    }
    tally
}

/// What `openssl ocsp` says, with the CA certificates in every order.
pub fn openssl_asks(when: &str, url: &str, cas: &[PathBuf], subject: &Subject, nonce: &str) -> Tally {
    let mut tally = Tally::default();
    let Some(issuer) = cas.get(usize::from(subject.generation) - 1) else {
        tally.note("nothing", "its CA certificate", || about(when, "fetched", subject, cas, &[]));
        return tally;
    };
    let home = tempfile::tempdir().unwrap();
    for order in orders(cas) {
        let all = bundle(home.path(), "cas.pem", &order);
        let asked = ["-issuer", issuer.to_str().unwrap(), "-CAfile", &all, "-cert", &subject.file];
        let ran = crate::service::run("openssl", &[&["ocsp", "-url", url, nonce][..], &asked].concat());
        let said = ran.text();
        let is_believed = said.lines().any(|line| line == "Response verify OK") && !said.contains("nonce");
        let status = said.lines().find_map(|line| line.strip_prefix(&format!("{}: ", subject.file)));
        let word = match status {
            Some(_) if is_believed && said.contains("Reason: certificateHold") => "hold".to_owned(),
            Some(status) if is_believed => status.to_owned(),
            _ => format!("refused: {said}"),
        };
        tally.note(&word, of_ocsp(subject.status), || about(when, "OpenSSL by OCSP", subject, &order, &[]));
    }
    tally
}

const fn of_ocsp(status: Status) -> &'static str {
    match status {
        Status::Good => "good",
        Status::Revoked => "revoked",
        Status::Hold => "hold",
        Status::Unknown => "unknown",
    }
}

fn about(when: &str, how: &str, subject: &Subject, cas: &[PathBuf], crls: &[PathBuf]) -> String {
    let Subject { authority, generation, serial, .. } = subject;
    format!("{when}, {how}: {authority} {serial} of key {generation}, CAs {cas:?}, CRLs {crls:?}")
}

/// The programs there are in each of both directories.
pub const CLASSES: [&str; 2] = ["Jdk", "BouncyCastle"];

/// A program that runs for seconds gains nothing from the best code.
const SHORT_LIVED: [&str; 2] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

/// What a program is told to do about subjects of one authority: when, where, by what.
type Tasks = fn(&str, &str, &[Key], &[Subject]) -> Vec<Task>;

/// The programs of `tests/interop` (OCSP) and `tests/crl_interop` (CRLs), compiled once.
pub struct Java {
    classes: tempfile::TempDir,
}

/// A line of a plan, and what is right to say to it: a word for each subject.
struct Task {
    line: String,
    right: Vec<(String, String)>,
}

impl Java {
    pub fn compile() -> Self {
        let classes = tempfile::tempdir().unwrap();
        for directory in ["interop", "crl_interop"] {
            let source = format!("{}/tests/{directory}", env!("CARGO_MANIFEST_DIR"));
            let into = text(&classes.path().join(directory));
            let sources = CLASSES.map(|class| format!("{source}/{class}.java"));
            done("javac", &["-cp", JARS, "-d", &into, &sources[0], &sources[1]]);
        }
        Self { classes }
    }

    /// All that one of [`CLASSES`] can say of subjects, each authority's beside its keys.
    pub fn decide(&self, class: &str, when: &str, url: &str, all: &[(Vec<Key>, Vec<Subject>)]) -> Tally {
        let asks = if class == "Jdk" { jdk_asks } else { bouncycastle_asks };
        let of = |tasks: Tasks| -> Vec<Task> {
            all.iter().flat_map(|(keys, subjects)| tasks(when, url, keys, subjects)).collect()
        };
        let mut tally = self.run("interop", class, &of(asks));
        tally.add(self.run("crl_interop", class, &of(by_crls)));
        tally
    }

    fn run(&self, directory: &str, class: &str, tasks: &[Task]) -> Tally {
        let plan = text(&self.classes.path().join(format!("{directory}-{class}")));
        fs::write(&plan, tasks.iter().map(|task| format!("{}\n", task.line)).collect::<String>()).unwrap();
        let path = format!("{}:{JARS}", self.classes.path().join(directory).display());
        let said = done("java", &[&SHORT_LIVED[..], &["-cp", &path, class, &plan]].concat());
        let mut said = said.lines();
        let mut tally = Tally::default();
        for (right, about) in tasks.iter().flat_map(|task| &task.right) {
            let word = said.next().unwrap_or("nothing");
            tally.note(word, right, || format!("{class}, {about}"));
        }
        tally
    }
}

fn joined<'a>(files: impl IntoIterator<Item = &'a Path>) -> String {
    files.into_iter().map(|file| file.to_str().unwrap()).collect::<Vec<_>>().join(",")
}

fn listed(files: &[PathBuf]) -> String {
    joined(files.iter().map(PathBuf::as_path))
}

fn by_crls(when: &str, _: &str, keys: &[Key], subjects: &[Subject]) -> Vec<Task> {
    let mut tasks = Vec::new();
    for (crls, subjects) in given(keys, subjects) {
        for cas in orders(&cas(keys)) {
            for crls in orders(&crls) {
                let files = joined(subjects.iter().map(|one| Path::new(&one.file)));
                let right = subjects
                    .iter()
                    .map(|one| (of_crl(one.status).to_owned(), about(when, "by CRL", one, &cas, &crls)));
                let line = format!("plain\t{}\t{}\t{files}", listed(&cas), listed(&crls));
                tasks.push(Task { line, right: right.collect() });
            }
        }
    }
    tasks
}

const fn of_crl(status: Status) -> &'static str {
    match status {
        Status::Good => "good",
        Status::Revoked => "revoked superseded",
        Status::Hold => "revoked certificatehold",
        Status::Unknown => "undecided",
    }
}

fn jdk_asks(when: &str, url: &str, keys: &[Key], subjects: &[Subject]) -> Vec<Task> {
    asks(when, keys, subjects, |number, file, cas| {
        let method = ["GET", "POST"][number % 2];
        vec![format!("ask\t{method}\tSHA-1\tnone\t{url}\t{file}\t{cas}")]
    })
}

fn bouncycastle_asks(when: &str, url: &str, keys: &[Key], subjects: &[Subject]) -> Vec<Task> {
    asks(when, keys, subjects, |number, file, cas| {
        let how = ["GET\tSHA-256\tnone", "POST\tSHA-1\tnonce"][number % 2];
        vec![format!("ask\t{how}\t{url}\t{file}\t{cas}"), format!("path\t{url}\t{file}\t{cas}")]
    })
}

fn asks(
    when: &str,
    keys: &[Key],
    subjects: &[Subject],
    lines: impl Fn(usize, &str, &str) -> Vec<String>,
) -> Vec<Task> {
    let mut tasks = Vec::new();
    for (at, subject) in subjects.iter().enumerate() {
        for (turn, cas) in orders(&cas(keys)).iter().enumerate() {
            for line in lines(at + turn, &subject.file, &listed(cas)) {
                let right = (of_ocsp(subject.status).to_owned(), about(when, &line, subject, cas, &[]));
                tasks.push(Task { line, right: vec![right] });
            }
        }
    }
    tasks
}
