//! Verifiers with keys of their own, and requests signed by them.

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use sekisho::der::{Oid, Reader, Writer, tag};
use sekisho::ocsp::{Access, Options};
use sekisho::pki::{HashAlgorithm, oid};
use sekisho::registry::{VerifierCertificate, Verifiers};
use sekisho::signer::Key;

use crate::service::run;
use crate::world::{Ask, Ca, World, at, serial};

/// A verifier and its key.
pub struct Asker {
    pub key: KeyPair,
    pub certificate: Vec<u8>,
    /// Name, DER.
    pub subject: Vec<u8>,
}

impl Asker {
    pub fn new(name: &str, key: KeyPair) -> Self {
        Self::with(name, key, |_| {})
    }

    pub fn p256(name: &str) -> Self {
        Self::new(name, KeyPair::generate().unwrap())
    }

    pub fn with(name: &str, key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap().der().to_vec();
        let subject = VerifierCertificate::from_der(&certificate).unwrap().subject.der().to_vec();
        Self { key, certificate, subject }
    }

    pub fn read(&self) -> VerifierCertificate {
        VerifierCertificate::from_der(&self.certificate).unwrap()
    }

    /// GeneralName directoryName, DER.
    pub fn requestor_name(&self) -> Vec<u8> {
        Writer::to_der(|w| w.nested(tag::context_constructed(4), |w| w.raw(&self.subject)))
    }

    /// The request under its own name, signed as its kind of key commonly does.
    pub fn sign(&self, ask: &Ask) -> Vec<u8> {
        self.sign_with(ask, &certs(&[&self.certificate]))
    }

    pub fn sign_with(&self, ask: &Ask, certs: &[u8]) -> Vec<u8> {
        let key = Key::from_pkcs8(&self.key.serialize_der()).unwrap();
        let algorithm = Writer::to_der(|w| key.algorithm().write(w));
        self.sign_by(ask, &algorithm, certs, |message| key.sign(message).unwrap())
    }

    /// The request signed by `sign`, which the AlgorithmIdentifier `algorithm` names.
    pub fn sign_by(
        &self,
        ask: &Ask,
        algorithm: &[u8],
        certs: &[u8],
        sign: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Vec<u8> {
        let requestor_name = ask.requestor_name.clone().unwrap_or_else(|| self.requestor_name());
        let named = Ask { requestor_name: Some(requestor_name), ..ask.clone() };
        let bits = sign(&tbs_request(&named.to_der()));
        Ask { signature: Some(signature(algorithm, &bits, certs)), ..named }.to_der()
    }

    /// The request signed by OpenSSL with this digest, and said to be signed as `id` names.
    pub fn sign_digest(&self, ask: &Ask, digest: &str, id: &Oid) -> Vec<u8> {
        let is_rsa = id.content().starts_with(&RSA_ARC);
        let algorithm = Writer::to_der(|w| {
            w.sequence(|w| {
                w.oid(id);
                if is_rsa {
                    w.null();
                }
            });
        });
        self.sign_by(ask, &algorithm, &certs(&[&self.certificate]), |message| {
            let home = tempfile::tempdir().unwrap();
            let [key, input, output] =
                ["key", "in", "out"].map(|name| home.path().join(name).to_str().unwrap().to_owned());
            std::fs::write(&key, self.key.serialize_pem()).unwrap();
            std::fs::write(&input, message).unwrap();
            let ran = run("openssl", &["dgst", digest, "-sign", &key, "-out", &output, &input]);
            assert_eq!(ran.code, Some(0), "{}", ran.text());
            std::fs::read(output).unwrap()
        })
    }
}

/// pkcs-1 (RFC 8017 C), contents.
const RSA_ARC: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];

/// `certs [0]`, DER.
pub fn certs(certificates: &[&[u8]]) -> Vec<u8> {
    Writer::to_der(|w| {
        w.nested(tag::context_constructed(0), |w| {
            w.sequence(|w| certificates.iter().for_each(|certificate| w.raw(certificate)));
        });
    })
}

/// Signature, DER.
pub fn signature(algorithm: &[u8], bits: &[u8], certs: &[u8]) -> Vec<u8> {
    Writer::to_der(|w| {
        w.sequence(|w| {
            w.raw(algorithm);
            w.bit_string(bits);
            w.raw(certs);
        });
    })
}

/// AlgorithmIdentifier of ecdsa-with-SHA256, DER.
pub fn ecdsa_sha256() -> Vec<u8> {
    Writer::to_der(|w| w.sequence(|w| w.oid(&oid::ECDSA_WITH_SHA256)))
}

fn tbs_request(request: &[u8]) -> Vec<u8> {
    let content = Reader::new(request).read(tag::SEQUENCE).unwrap();
    Reader::new(content).element().unwrap().whole.to_vec()
}

/// An authority that issued serials 1 to 9, asked by these verifiers alone.
pub fn registered(required: bool, askers: &[&Asker]) -> (Ca, World) {
    let ca = Ca::p256(1, 1);
    let options = Options { access: Access::Registered { required }, ..Options::default() };
    let world = World::new(&[ca.identity()], options);
    (1..10).for_each(|number| world.issue(&ca, serial(number), at(-1_000)));
    admit(&world, askers);
    (ca, world)
}

pub fn admit(world: &World, askers: &[&Asker]) {
    world.responder.admit(askers.iter().map(|asker| asker.read()).collect::<Verifiers>());
}

/// The plainest question.
pub fn one(ca: &Ca, serial: u64) -> Ask {
    Ask::one(ca.cert_id(HashAlgorithm::Sha1, serial))
}
