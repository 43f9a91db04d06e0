//! Servers of others beside ours, where they are installed: nginx with a static file, and
//! `openssl ocsp`. Each is set up in a directory of its own and pinned as ours are.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use sekisho::pki::{AuthorityId, Generation, HashAlgorithm, Issuer};

use super::machine;
use super::servers::Running;
use crate::responder::{Questions, SignsWith};

/// Where nginx has its answer.
pub const FILE: &str = "/answer.der";
/// Certificates in the index of `openssl ocsp`, as in the published figures; it reads all of
/// them before it answers.
pub const INDEXED_MAX: u64 = 100_000;
/// Longest wait for a server to listen.
const START_WAIT: Duration = Duration::from_secs(20);

/// nginx, one worker, serving one file of so many octets; None where it is not installed.
pub fn nginx(answer_len: usize) -> Option<Running> {
    let program = installed("nginx")?;
    let directory = tempfile::tempdir().unwrap();
    // Its worker runs as another user.
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    fs::write(directory.path().join(&FILE[1..]), vec![0x30; answer_len]).unwrap();
    let address = free_address();
    let config = directory.path().join("nginx.conf");
    fs::write(&config, nginx_config(directory.path(), address)).unwrap();
    let mut command = machine::pinned(0, &program);
    command.args(["-e", "stderr", "-p"]).arg(directory.path()).arg("-c").arg(&config);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let running = Running::foreign(child, directory, address, None);
    let started = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(started.elapsed() < START_WAIT, "nginx does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(running)
}

fn nginx_config(directory: &Path, address: SocketAddr) -> String {
    let here = directory.display();
    let mut paths = String::new();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(paths, "    {kind}_temp_path {here}/{kind};").unwrap();
    }
    format!(
        "daemon off;\nworker_processes 1;\npid {here}/nginx.pid;\nerror_log stderr crit;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n{paths}    access_log off;\n    sendfile on;\n    keepalive_timeout 1h;\n    \
         keepalive_requests 1000000000;\n    open_file_cache max=16 inactive=1h;\n    \
         types {{ application/ocsp-response der; }}\n    \
         server {{ listen {address}; root {here}; }}\n}}\n"
    )
}

/// `openssl ocsp` with a delegated signer; None where it is not installed. It closes every
/// connection after its answer.
pub fn openssl_ocsp(signs_with: SignsWith, certificates: u64) -> Option<Running> {
    let program = installed("openssl")?;
    let directory = tempfile::tempdir().unwrap();
    let (questions, files) = material(directory.path(), signs_with, certificates);
    let [ca, signer, key, index] = files;
    let mut command = machine::pinned(0, &program);
    command.args(["ocsp", "-port", "0", "-ignore_err", "-ndays", "1", "-index", &index, "-CA", &ca]);
    command.args(["-rsigner", &signer, "-rkey", &key]);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let Some(port) = accepting_port(&mut stdout) else {
        // One that does not tell its port (before OpenSSL 3) cannot be asked.
        let _ = child.kill();
        let _ = child.wait();
        return None;
    };
    std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    Some(Running::foreign(child, directory, SocketAddr::from(([127, 0, 0, 1], port)), Some(questions)))
}

/// Of "ACCEPT [::]:35561 PID=20794".
fn accepting_port(stdout: &mut impl BufRead) -> Option<u16> {
    let mut line = String::new();
    while stdout.read_line(&mut line).ok()? > 0 {
        if let Some(rest) = line.strip_prefix("ACCEPT ") {
            return rest.split_whitespace().next()?.rsplit(':').next()?.parse().ok();
        }
        line.clear();
    }
    None
}

/// A CA, its OCSP signer, and an index in which every twentieth certificate is revoked.
fn material(directory: &Path, signs_with: SignsWith, certificates: u64) -> (Questions, [String; 4]) {
    let mut ca = rcgen::CertificateParams::default();
    ca.distinguished_name.push(rcgen::DnType::CommonName, "Bench CA");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let signer_key = match signs_with {
        SignsWith::P256 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap(),
        SignsWith::Rsa2048 => {
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap()
        }
    };
    let mut signer = rcgen::CertificateParams::default();
    signer.distinguished_name.push(rcgen::DnType::CommonName, "Bench OCSP signer");
    signer.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::OcspSigning];
    let signer = signer.signed_by(&signer_key, &rcgen::Issuer::from_params(&ca, &ca_key)).unwrap();
    let mut index = String::new();
    for serial in 1..=certificates {
        let (letter, revoked) = if serial % 20 == 0 { ('R', "250101000000Z") } else { ('V', "") };
        writeln!(index, "{letter}\t350101000000Z\t{revoked}\t{serial:08X}\tunknown\t/CN=resident {serial}")
            .unwrap();
    }
    let write = |name: &str, text: String| {
        let path = directory.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let files = [
        write("ca.pem", ca_certificate.pem()),
        write("signer.pem", signer.pem()),
        write("signer.key", signer_key.serialize_pem()),
        write("index.txt", index),
    ];
    let issuer = Issuer::from_certificate(AuthorityId(1), Generation::FIRST, ca_certificate.der()).unwrap();
    let name_hash = issuer.name_hash(HashAlgorithm::Sha1);
    (Questions { name_hash, key_hash: issuer.key_hash(HashAlgorithm::Sha1) }, files)
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Where a program is: on the path, or where Debian keeps those of the administrator.
fn installed(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let known = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    known.map(|directory| directory.join(program)).find(|file| file.is_file())
}
