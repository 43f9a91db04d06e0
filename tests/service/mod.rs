//! A real service as its users meet it: the binary, a data directory, sockets on port 0.

#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "shared by several tests, none of which uses all of it; a failed step must stop the test"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Nothing here takes this long on the slowest machine that tests run on.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// The binary under test.
pub const SEKISHO: &str = env!("CARGO_BIN_EXE_sekisho");

/// A running demo; killed when dropped.
pub struct Service {
    pub data: PathBuf,
    pub manifest: Value,
    /// What it printed before it was ready.
    pub lines: Vec<String>,
    child: Option<Child>,
    /// Reads what it logs until it ends.
    log: Option<JoinHandle<String>>,
    home: Option<tempfile::TempDir>,
}

impl Service {
    /// A fresh demo with this many residents.
    pub fn demo(residents: u32) -> Self {
        Self::demo_with(residents, &[])
    }

    /// A fresh demo with further arguments.
    pub fn demo_with(residents: u32, more: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut service = Self::start_with(&home.path().join("data"), residents, more);
        service.home = Some(home);
        service
    }

    /// A fresh demo that logs all there is to be logged.
    pub fn demo_traced(residents: u32) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut service = Self::start_logging(&home.path().join("data"), residents, &[], Some("trace"));
        service.home = Some(home);
        service
    }

    /// A demo on `data`, fresh or not.
    pub fn start(data: &Path, residents: u32) -> Self {
        Self::start_with(data, residents, &[])
    }

    /// `init`, for a `serve` on ports that the system chooses.
    pub fn init(data: &Path) {
        let made = sekisho(data, &["init"]);
        assert_eq!(made.code, Some(0), "{}", made.text());
        let file = data.join("sekisho.toml");
        let settings = fs::read_to_string(&file).unwrap();
        let settings = settings
            .replace("127.0.0.1:8080", "127.0.0.1:0")
            .replace("127.0.0.1:8081", "")
            .replace("url = \"\"", "url = \"http://ocsp.example\"");
        fs::write(&file, settings).unwrap();
    }

    /// `serve` on a directory that [`Self::init`] made; from when it answers. It may still be making its
    /// records.
    pub fn serve(data: &Path) -> Self {
        Self::serve_by(Command::new(SEKISHO), data, |_| {})
    }

    /// The same by a command that becomes sekisho; its process is told as soon as it is there.
    pub fn serve_by(mut command: Command, data: &Path, spawned: impl FnOnce(u32)) -> Self {
        let mut child = command
            .args(["serve", "--data"])
            .arg(data)
            .env_remove("SEKISHO_DATA")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (sender, receiver) = std::sync::mpsc::channel();
        let pid = child.id();
        // To its end, or it would wait for a reader.
        std::thread::spawn(move || {
            log.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
        });
        let mut service = Self {
            data: data.to_owned(),
            manifest: Value::Null,
            lines: Vec::new(),
            child: Some(child),
            log: None,
            home: None,
        };
        spawned(pid);
        let address = loop {
            let line = receiver.recv_timeout(DEADLINE).unwrap_or_else(|_| {
                panic!("it does not serve, or was refused: {}", service.lines.join("\n"))
            });
            let entry: Value = serde_json::from_str(&line).unwrap_or_default();
            service.lines.push(line);
            if entry["fields"]["message"] == "serving" {
                break entry["fields"]["address"].as_str().unwrap().to_owned();
            }
        };
        let ca = |name: &str| {
            let file = data.join(format!("ca/{name}-1.pem"));
            serde_json::json!({"name": name, "generation": 1, "certificate": file})
        };
        service.manifest = serde_json::json!({
            "ocsp_url": format!("http://{address}/"), "authorities": [ca("sign"), ca("auth")]
        });
        service
    }

    /// Waits until the service answers and takes changes, as `/readyz` says.
    pub fn wait_ready(&self) {
        let url = format!("{}readyz", self.url());
        let started = Instant::now();
        loop {
            let ran = run("curl", &["-s", "-w", "\n%{http_code}", &url]);
            if ran.stdout.ends_with("200") {
                return;
            }
            assert!(started.elapsed() < DEADLINE, "not ready in time: {}", ran.text());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn start_with(data: &Path, residents: u32, more: &[&str]) -> Self {
        Self::start_logging(data, residents, more, None)
    }

    fn start_logging(data: &Path, residents: u32, more: &[&str], level: Option<&str>) -> Self {
        let manifest = data.with_extension("manifest.json");
        drop(fs::remove_file(&manifest));
        let mut child = Command::new(SEKISHO)
            .args(["demo", "--listen", "127.0.0.1:0", "--residents", &residents.to_string()])
            .args(more)
            .arg("--data")
            .arg(data)
            .arg("--manifest")
            .arg(&manifest)
            .envs(level.map(|level| ("SEKISHO_LOG", level)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let stderr = child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || std::io::read_to_string(stderr).unwrap_or_default());
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut lines = Vec::new();
        let started = Instant::now();
        while !lines.last().is_some_and(|line: &String| line.contains(" status --data ")) {
            match receiver.recv_timeout(Duration::from_millis(200)) {
                Ok(line) => lines.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                    if started.elapsed() > DEADLINE {
                        drop(child.kill());
                        panic!("not ready in time: {lines:?}\n{}", errors.join().unwrap());
                    }
                }
                Err(_) => {
                    let status = child.wait().unwrap();
                    panic!("ended with {status} before it was ready: {lines:?}\n{}", errors.join().unwrap());
                }
            }
        }
        let manifest = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
        Self { data: data.to_owned(), manifest, lines, child: Some(child), log: Some(errors), home: None }
    }

    pub fn url(&self) -> String {
        self.manifest["ocsp_url"].as_str().unwrap().to_owned()
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// SIGTERM, and the wait for an orderly end.
    pub fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        signal("TERM", child.id());
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "a stop is no failure: {status}");
                return;
            }
            if started.elapsed() > DEADLINE {
                drop(child.kill());
                panic!("did not stop");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The same; all that it logged.
    pub fn stop_and_log(&mut self) -> String {
        self.stop();
        self.log.take().unwrap().join().unwrap()
    }

    /// Starts again on the same directory, after a stop or kill.
    pub fn restart(&mut self, data: &Path) {
        let home = self.home.take();
        *self = Self::start(data, 100);
        self.home = home;
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Runs a command on its data directory.
    pub fn sekisho(&self, arguments: &[&str]) -> Ran {
        sekisho(&self.data, arguments)
    }

    /// How many entries the journal has, but for those of deltas: the schedule cuts the first ones behind the
    /// first set, when everybody may ask already. A set that is not deltas is seen by its beginning.
    pub fn written(&self) -> usize {
        let exported = self.sekisho(&["journal", "export"]);
        assert_eq!(exported.code, Some(0), "{}", exported.text());
        let entries = exported.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of_deltas = |event: &Value| event == "crl-deltas-begun" || event == "crl-set-published";
        entries.filter(|entry| !of_deltas(&entry["event"])).count()
    }

    /// Certificates of the manifest that have a file.
    pub fn certificates(&self, authority: &str, status: &str) -> Vec<Value> {
        let all = self.manifest["certificates"].as_array().unwrap().iter();
        all.filter(|one| one["authority"] == authority && one["status"] == status && one["file"].is_string())
            .cloned()
            .collect()
    }

    pub fn ca(&self, authority: &str) -> String {
        let all = self.manifest["authorities"].as_array().unwrap();
        let ca = all.iter().find(|one| one["name"] == authority).unwrap();
        ca["certificate"].as_str().unwrap().to_owned()
    }

    /// What `openssl ocsp` says of a certificate file.
    pub fn openssl_ocsp(&self, authority: &str, file: &str, extra: &[&str]) -> String {
        let ca = self.ca(authority);
        let url = self.url();
        let mut arguments = vec!["ocsp", "-issuer", &ca, "-CAfile", &ca];
        arguments.extend(extra);
        arguments.extend(["-cert", file, "-url", &url]);
        let ran = run("openssl", &arguments);
        assert_eq!(ran.code, Some(0), "{}", ran.text());
        ran.text()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// What a command came to.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.text());
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// Failed with this code and one line that contains each of `words`.
    pub fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.text());
        assert_eq!(self.stderr.trim_end().lines().count(), 1, "one line: {}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "{word} is not in: {}", self.stderr);
        }
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

pub fn sekisho(data: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(SEKISHO);
    command.args(arguments).arg("--data").arg(data).env_remove("SEKISHO_DATA");
    Ran::from(command.output().unwrap())
}

/// Runs a program that must be there: a missing tool fails the test.
pub fn run(program: &str, arguments: &[&str]) -> Ran {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    Ran::from(output.unwrap_or_else(|error| panic!("{program}: {error}; tests/run installs it")))
}

pub fn shell(line: &str) -> Ran {
    run("sh", &["-c", line])
}

/// The Python that has `cryptography`; `tests/run` makes it and names it.
pub fn python(script: &str, arguments: &[&str]) -> Ran {
    let python =
        std::env::var("SEKISHO_TEST_PYTHON").expect("SEKISHO_TEST_PYTHON: run the tests by tests/run");
    let mut all = vec!["-c", script];
    all.extend(arguments);
    run(&python, &all)
}

pub fn signal(name: &str, pid: u32) {
    assert_eq!(shell(&format!("kill -{name} {pid}")).code, Some(0));
}
