//! Answers in files: genuine ones, and ones that nobody may believe.

use std::fs;
use std::path::{Path, PathBuf};

use rasn_ocsp::{BasicOcspResponse, OcspResponse};

use crate::matrix::{Forgery, PLAIN, Question, Status};
use crate::recorder::Recorder;
use crate::stage::{AUTHORITY, OTHER_AUTHORITY, Order, Stage, Task, done, text};

/// Makes answers about the good certificate of a stage.
pub struct Workshop<'a> {
    stage: &'a Stage,
    home: tempfile::TempDir,
}

impl<'a> Workshop<'a> {
    pub fn of(stage: &'a Stage) -> Self {
        Self { stage, home: tempfile::tempdir().unwrap() }
    }

    /// To read what must be believed, given the way forgeries are: an answer of the service, and
    /// one forged like the others but under a signer as it should be.
    pub fn believable(&self) -> [Order; 2] {
        let genuine = self.answer("genuine", "-no_nonce");
        [genuine, self.forge("proper", AUTHORITY, "OCSPSigning")].map(|answer| self.reading(&answer))
    }

    pub fn forgery(&self, forgery: Forgery) -> Order {
        let name = format!("{forgery:?}");
        match forgery {
            Forgery::FlippedSignature => {
                let answer = self.answer(&name, "-no_nonce");
                flip_signature(&answer);
                self.reading(&answer)
            }
            Forgery::OtherAuthority => self.reading(&self.forge(&name, OTHER_AUTHORITY, "OCSPSigning")),
            Forgery::WithoutUsage => self.reading(&self.forge(&name, AUTHORITY, "clientAuth")),
            Forgery::OtherNonce => {
                let answer = self.answer(&name, "-nonce");
                let url = Recorder::replaying(fs::read(answer).unwrap());
                self.stage.order(Question { nonce: true, ..PLAIN }, url)
            }
        }
    }

    fn reading(&self, answer: &Path) -> Order {
        Order { task: Task::Read { answer: text(answer) }, ..self.stage.order(PLAIN, String::new()) }
    }

    /// What the service answers about the good certificate, as a file.
    fn answer(&self, name: &str, nonce: &str) -> PathBuf {
        let answer = self.home.path().join(format!("{name}.der"));
        let (good, issuer, url) = (
            self.stage.certificate(Status::Good),
            self.stage.service.ca(AUTHORITY),
            self.stage.service.url(),
        );
        let what = ["ocsp", nonce, "-noverify", "-issuer", &issuer, "-cert", &good, "-url", &url];
        done("openssl", &[&what[..], &["-respout", &text(&answer)]].concat());
        answer
    }

    /// Says good of the good certificate under a signer of `authority` with this usage.
    fn forge(&self, name: &str, authority: &str, usage: &str) -> PathBuf {
        let answer = self.home.path().join(format!("{name}.der"));
        let home = answer.with_extension("signer");
        fs::create_dir(&home).unwrap();
        let extensions = format!("keyUsage=critical,digitalSignature\nextendedKeyUsage={usage}");
        let signer = self.stage.certify(&home, authority, "0x7ffffffffffffffe", &extensions);
        let (good, issuer) = (self.stage.certificate(Status::Good), self.stage.service.ca(AUTHORITY));
        let serial = done("openssl", &["x509", "-in", &good, "-noout", "-serial"]);
        let (_, serial) = serial.trim().split_once('=').unwrap();
        let index = text(&answer.with_extension("index"));
        fs::write(&index, format!("V\t491231235959Z\t\t{serial}\tunknown\t/CN=good\n")).unwrap();
        let request = text(&answer.with_extension("request"));
        let ask = ["ocsp", "-no_nonce", "-issuer", &issuer, "-cert", &good, "-reqout", &request];
        done("openssl", &ask);
        let key = text(&home.join("key"));
        let responder = ["ocsp", "-index", &index, "-CA", &issuer, "-rsigner", &signer, "-rkey", &key];
        let work = ["-ndays", "1", "-reqin", &request, "-respout", &text(&answer)];
        done("openssl", &[&responder[..], &work].concat());
        answer
    }
}

/// Turns the lowest bit of the signature's last octet.
fn flip_signature(file: &Path) {
    let mut octets = fs::read(file).unwrap();
    let response: OcspResponse = rasn::der::decode(&octets).unwrap();
    let basic: BasicOcspResponse = rasn::der::decode(&response.bytes.unwrap().response).unwrap();
    let signature = basic.signature.as_raw_slice();
    let start = octets.windows(signature.len()).position(|window| window == signature).unwrap();
    octets[start + signature.len() - 1] ^= 1;
    fs::write(file, octets).unwrap();
}
