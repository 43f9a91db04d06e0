//! One service for the whole matrix, a certificate for every status, and the orders to clients.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use crate::forgery::Workshop;
use crate::matrix::{Client, Forgery, Question, Status};
use crate::recorder::{Exchange, Recorder, Wire};
use crate::service::{Service, run};

/// What a client is told to do.
#[derive(Debug)]
pub enum Task {
    /// To ask `url` about a certificate.
    Ask { question: Question, url: String },
    /// To read an answer about it from a file, and to believe it or not.
    Read { answer: String },
}

/// A task with the certificate it is about and that one's issuer, PEM files.
#[derive(Debug)]
pub struct Order {
    pub task: Task,
    pub certificate: String,
    pub issuer: String,
}

/// Begins what a client says of an answer that it does not believe.
pub const REFUSED: &str = "refused";

pub struct Stage {
    pub service: Service,
    /// Signed by the authority, but under a serial that it never gave away.
    unknown: String,
    home: tempfile::TempDir,
}

/// Lets a client do everything it knows; the exchanges on the wire.
///
/// `act` gets all orders and says a word for each.
pub fn examine(client: Client, act: impl FnOnce(&[Order]) -> Vec<String>) -> Vec<Exchange> {
    let stage = Stage::shared();
    let recorder = Recorder::before(stage.address());
    let questions = client.questions();
    let asks = questions.iter().map(|question| stage.order(*question, recorder.url()));
    let workshop = Workshop::of(&stage);
    let forgeries = Forgery::ALL.iter().map(|forgery| workshop.forgery(*forgery));
    let orders: Vec<Order> = asks.chain(workshop.believable()).chain(forgeries).collect();
    let said = act(&orders);
    assert_eq!(said.len(), orders.len(), "{said:#?}");
    let seen = recorder.seen();
    assert_eq!(seen.len(), questions.len(), "one exchange for each question");
    for ((question, said), exchange) in questions.iter().zip(&said).zip(&seen) {
        let Question { status, nonce, method, hash } = *question;
        assert_eq!(exchange.wire(), Wire { method, nonce, hash }, "{question:?}");
        assert_eq!(said, client.word(status), "{question:?}");
    }
    let (believed, refused) =
        said[questions.len()..].split_at(said.len() - questions.len() - Forgery::ALL.len());
    assert_eq!(believed, [client.word(Status::Good); 2], "answers from files");
    for (forgery, said) in Forgery::ALL.iter().zip(refused) {
        assert!(said.starts_with(REFUSED), "{forgery:?}: {said}");
    }
    seen
}

impl Stage {
    /// The one that other tests use at this moment, or a new one. Ends with its last user: a
    /// process in a static would outlive the tests.
    fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Stage>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap();
        shared.upgrade().unwrap_or_else(|| {
            let stage = Arc::new(Self::new());
            *shared = Arc::downgrade(&stage);
            stage
        })
    }

    fn new() -> Self {
        let mut stage =
            Self { service: Service::demo(200), unknown: String::new(), home: tempfile::tempdir().unwrap() };
        stage.unknown =
            stage.certify(stage.home.path(), AUTHORITY, NEVER_ISSUED, "keyUsage=critical,digitalSignature");
        stage
    }

    fn address(&self) -> SocketAddr {
        self.service.url().trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
    }

    pub fn order(&self, question: Question, url: String) -> Order {
        let (certificate, issuer) = (self.certificate(question.status), self.service.ca(AUTHORITY));
        Order { task: Task::Ask { question, url }, certificate, issuer }
    }

    pub fn certificate(&self, status: Status) -> String {
        let held = |one: &serde_json::Value| one["reason"] == "certificateHold";
        let found = match status {
            Status::Unknown => return self.unknown.clone(),
            Status::Good => self.service.certificates(AUTHORITY, "good").into_iter().next(),
            Status::Revoked => {
                self.service.certificates(AUTHORITY, "revoked").into_iter().find(|one| !held(one))
            }
            Status::Hold => self.service.certificates(AUTHORITY, "revoked").into_iter().find(held),
        };
        found.unwrap()["file"].as_str().unwrap().to_owned()
    }

    /// A certificate signed with the authority's key, past the service; its file, `pem`, and beside
    /// it its key, `key`, in a directory that has none.
    pub fn certify(&self, home: &Path, authority: &str, serial: &str, extensions: &str) -> String {
        let file = |ending: &str| text(&home.join(ending));
        let (key, csr, settings, certificate) = (file("key"), file("csr"), file("cnf"), file("pem"));
        fs::write(&settings, format!("{extensions}\nauthorityKeyIdentifier=keyid\n")).unwrap();
        let draw = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let subject = ["-subj", "/C=JP/O=SEKISHO-TEST/CN=made past the service"];
        done("openssl", &[&draw[..], &subject, &["-keyout", &key, "-out", &csr]].concat());
        let ca = self.service.ca(authority);
        let ca_key = text(&self.ca_key(&ca));
        let sign = ["x509", "-req", "-in", &csr, "-CA", &ca, "-CAkey", &ca_key, "-set_serial", serial];
        done("openssl", &[&sign[..], &["-days", "1", "-extfile", &settings, "-out", &certificate]].concat());
        certificate
    }

    /// Keys are filed under their identifier.
    fn ca_key(&self, certificate: &str) -> PathBuf {
        let said = done("openssl", &["x509", "-in", certificate, "-noout", "-ext", "subjectKeyIdentifier"]);
        let id = said.lines().last().unwrap().trim().replace(':', "").to_lowercase();
        self.service.data.join("keys").join(format!("{id}.key"))
    }
}

/// Runs a step that must succeed; what it printed.
pub fn done(program: &str, arguments: &[&str]) -> String {
    let ran = run(program, arguments);
    assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.text());
    ran.stdout
}

pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

pub const AUTHORITY: &str = "sign";
pub const OTHER_AUTHORITY: &str = "auth";

/// Far beyond what the demo's counter reaches.
const NEVER_ISSUED: &str = "0x7fffffffffffffff";
