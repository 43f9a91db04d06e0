//! Asks OCSP without a pause, by a program nobody here wrote, from the first moment a service listens.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use super::service::DEADLINE;

/// What it is told: a line with what to ask, then a line with the port, then a line to end. One connection,
/// made again whenever it ends.
const SCRIPT: &str = r"
import http.client, json, random, select, sys, time
from cryptography import x509
from cryptography.x509 import ocsp
from cryptography.hazmat.primitives import hashes, serialization
def digest(octets):
    h = hashes.Hash(hashes.SHA1()); h.update(octets); return h.finalize()
asked = []
for row in json.loads(sys.stdin.readline()):
    ca = x509.load_pem_x509_certificate(open(row['ca'], 'rb').read())
    name = digest(ca.subject.public_bytes())
    key = digest(ca.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1))
    for serial in row['serials']:
        b = ocsp.OCSPRequestBuilder().add_certificate_by_hash(name, key, int(serial, 16), hashes.SHA1())
        asked.append((row['ca'], serial, b.build().public_bytes(serialization.Encoding.DER)))
random.Random(7).shuffle(asked)
print('ready', flush=True)
port = int(sys.stdin.readline())
told = {'answers': 0, 'other': [], 'responders': {}, 'connections': 0}
link = None
turn = 0
ended = None
# On until it was answered once, however long that takes.
while ended is None or (told['answers'] == 0 and time.monotonic() < ended + 120):
    if ended is None and select.select([sys.stdin], [], [], 0)[0]:
        ended = time.monotonic()
    ca, serial, request = asked[turn % len(asked)]
    try:
        if link is None:
            link = http.client.HTTPConnection('127.0.0.1', port, timeout=120)
            told['connections'] += 1
        link.request('POST', '/', request, {'Content-Type': 'application/ocsp-request'})
        body = link.getresponse().read()
    except (OSError, http.client.HTTPException):
        link = None
        continue
    turn += 1
    answer = ocsp.load_der_ocsp_response(body)
    if answer.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL:
        told['other'].append([ca, serial, answer.response_status.name])
        continue
    told['answers'] += 1
    told['responders'][answer.responder_key_hash.hex()] = turn
    if answer.certificate_status != ocsp.OCSPCertStatus.REVOKED or answer.serial_number != int(serial, 16):
        told['other'].append([ca, serial, answer.certificate_status.name])
told['asked'] = len(asked)
print(json.dumps(told), flush=True)
";

/// A program that waits for a port, and then asks about certificates that are all revoked.
pub struct Asker {
    process: Child,
    told: BufReader<ChildStdout>,
}

/// What it was told.
pub struct Answers {
    /// Answers that said revoked, of the serial asked.
    pub revoked: u64,
    /// All else: CA, serial, and what was said.
    pub other: Vec<Value>,
    /// SHA-1 of the keys that signed, hex.
    pub responders: Vec<String>,
}

impl Asker {
    /// Ready to ask each CA about its serials, hex.
    pub fn about(questions: &[(String, Vec<String>)]) -> Self {
        let python =
            std::env::var("SEKISHO_TEST_PYTHON").expect("SEKISHO_TEST_PYTHON: run the tests by tests/run");
        let mut process = Command::new(python)
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let rows = questions.iter().map(|(ca, serials)| json!({"ca": ca, "serials": serials}));
        let rows = Value::from(rows.collect::<Vec<_>>());
        let told = BufReader::new(process.stdout.take().unwrap());
        let mut asker = Self { process, told };
        asker.tell(&rows.to_string());
        assert_eq!(asker.line(), "ready");
        asker
    }

    /// Asks from now on.
    pub fn begin(&mut self, port: u16) {
        self.tell(&port.to_string());
    }

    /// Stops it; what it heard.
    pub fn end(mut self) -> Answers {
        self.tell("end");
        let heard: Value = serde_json::from_str(&self.line()).unwrap();
        assert!(self.process.wait().unwrap().success());
        let responders = heard["responders"].as_object().unwrap();
        Answers {
            revoked: heard["answers"].as_u64().unwrap(),
            other: heard["other"].as_array().unwrap().clone(),
            responders: responders.keys().cloned().collect(),
        }
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.told.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The port that a process listens on, as soon as it does: before it answers there.
pub fn listening_port(pid: u32) -> u16 {
    let started = Instant::now();
    loop {
        if let Some(port) = port_of(pid) {
            return port;
        }
        assert!(started.elapsed() < DEADLINE, "it listens nowhere");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

fn port_of(pid: u32) -> Option<u16> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let open = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    let open: Vec<String> = open.map(|link| link.display().to_string()).collect();
    let sockets = std::fs::read_to_string("/proc/net/tcp").ok()?;
    sockets.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let is_ours = *state == "0A" && open.contains(&format!("socket:[{inode}]"));
        is_ours.then(|| u16::from_str_radix(local.rsplit(':').next()?, 16).ok())?
    })
}
