//! Signers as another authority's staff would make them: OpenSSL makes the keys and signs, so
//! that a certificate may be as wrong as it likes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sekisho::der::{Oid, UnixTime, Writer, tag};
use sekisho::pki::{Attribute, AuthorityId, Generation, Issuer, Name, SerialNumber, oid};

use crate::service::run;

const DAY: Duration = Duration::from_secs(86_400);

/// The last serial given here, of 16 octets: an authority's counter never comes to it.
static SERIALS: AtomicU64 = AtomicU64::new(0x0123_4567);

/// A serial of 16 octets that ends so.
pub fn long_serial(end: u64) -> SerialNumber {
    SerialNumber::from_magnitude(&[[0x4e; 8], end.to_be_bytes()].concat()).unwrap()
}

/// An extension: its name, whether it is critical, its value.
pub type Extension = (Oid, bool, Vec<u8>);

/// A private key in a file, PKCS#8 PEM.
pub struct KeyFile {
    pub path: PathBuf,
    pub spki: Vec<u8>,
}

/// What shall stand in a certificate; [`Wanted::right`] is one that nothing speaks against.
#[derive(Clone)]
pub struct Wanted {
    pub serial: SerialNumber,
    pub issuer: Name,
    pub subject: Name,
    pub not_before: UnixTime,
    pub not_after: UnixTime,
    pub spki: Vec<u8>,
    pub key_usage: Option<u16>,
    pub purpose: Option<Oid>,
    pub nocheck: bool,
    pub ca: bool,
    pub key_identifier: Option<[u8; 20]>,
    /// What else.
    pub more: Vec<Extension>,
    /// As OpenSSL names it.
    pub digest: &'static str,
}

/// The first CA certificate of an authority of a data directory.
pub fn issuer(data: &Path, authority: &str) -> Issuer {
    let text = fs::read(data.join(format!("ca/{authority}-1.pem"))).unwrap();
    let der = pem::parse(text).unwrap().into_contents();
    let id = AuthorityId(if authority == "sign" { 1 } else { 2 });
    Issuer::from_certificate(id, Generation::FIRST, &der).unwrap()
}

/// Where its private key lies.
pub fn key_of(data: &Path, issuer: &Issuer) -> PathBuf {
    let name: String = issuer.key_id.iter().map(|octet| format!("{octet:02x}")).collect();
    data.join("keys").join(format!("{name}.key"))
}

/// A new key, by the arguments of `openssl genpkey`.
pub fn key(home: &Path, name: &str, arguments: &[&str]) -> KeyFile {
    let path = home.join(format!("{name}.key"));
    let file = path.to_str().unwrap();
    let made = run("openssl", &[&["genpkey", "-out", file], arguments].concat());
    assert_eq!(made.code, Some(0), "{}", made.text());
    let public = home.join(format!("{name}.spki"));
    let public = public.to_str().unwrap();
    let made = run("openssl", &["pkey", "-in", file, "-pubout", "-outform", "DER", "-out", public]);
    assert_eq!(made.code, Some(0), "{}", made.text());
    KeyFile { spki: fs::read(public).unwrap(), path }
}

pub fn p384(home: &Path, name: &str) -> KeyFile {
    key(home, name, &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"])
}

pub fn ed25519(home: &Path, name: &str) -> KeyFile {
    key(home, name, &["-algorithm", "ed25519"])
}

impl Wanted {
    pub fn right(ca: &Issuer, key: &KeyFile, now: UnixTime) -> Self {
        let serial = SERIALS.fetch_add(1, Ordering::Relaxed);
        Self {
            serial: long_serial(serial),
            issuer: ca.name.clone(),
            subject: Name::new(&[Attribute::new(oid::COMMON_NAME, "OCSP signer of the house")]),
            not_before: now.minus(DAY),
            not_after: now.plus(DAY * 30),
            spki: key.spki.clone(),
            key_usage: Some(0x8000),
            purpose: Some(oid::KP_OCSP_SIGNING),
            nocheck: true,
            ca: false,
            key_identifier: Some(ca.key_id),
            more: Vec::new(),
            digest: "sha256",
        }
    }

    /// The certificate, DER, signed with the RSA key in the file `ca_key`.
    pub fn signed(&self, home: &Path, ca_key: &Path) -> Vec<u8> {
        let (tbs, signature) = (home.join("tbs.der"), home.join("tbs.sig"));
        fs::write(&tbs, self.tbs()).unwrap();
        let digest = format!("-{}", self.digest);
        let [tbs, out, with] = [&tbs, &signature, ca_key].map(|path| path.to_str().unwrap());
        let signed = run("openssl", &["dgst", &digest, "-sign", with, "-out", out, tbs]);
        assert_eq!(signed.code, Some(0), "{}", signed.text());
        Writer::to_der(|w| {
            w.sequence(|w| {
                w.raw(&self.tbs());
                self.algorithm(w);
                w.bit_string(&fs::read(signature).unwrap());
            });
        })
    }

    fn algorithm(&self, w: &mut Writer) {
        let last = match self.digest {
            "md5" => 4,
            "sha1" => 5,
            _ => 11,
        };
        w.sequence(|w| {
            w.oid(&Oid::new(&[1, 2, 840, 113_549, 1, 1, last]));
            w.null();
        });
    }

    fn tbs(&self) -> Vec<u8> {
        Writer::to_der(|w| {
            w.sequence(|w| {
                w.nested(tag::context_constructed(0), |w| w.integer(2));
                self.serial.write(w);
                self.algorithm(w);
                w.raw(self.issuer.der());
                w.sequence(|w| {
                    w.time(self.not_before);
                    w.time(self.not_after);
                });
                w.raw(self.subject.der());
                w.raw(&self.spki);
                w.nested(tag::context_constructed(3), |w| w.sequence(|w| self.extensions(w)));
            });
        })
    }

    fn extensions(&self, w: &mut Writer) {
        let mut extension = |id: &Oid, value: &dyn Fn(&mut Writer)| {
            w.sequence(|w| {
                w.oid(id);
                w.octet_string_of(value);
            });
        };
        if self.ca {
            extension(&oid::BASIC_CONSTRAINTS, &|w| w.sequence(|w| w.boolean(true)));
        }
        if let Some(bits) = self.key_usage {
            extension(&oid::KEY_USAGE, &|w| w.named_bits(bits));
        }
        if let Some(purpose) = &self.purpose {
            extension(&oid::EXT_KEY_USAGE, &|w| w.sequence(|w| w.oid(purpose)));
        }
        if self.nocheck {
            extension(&oid::OCSP_NOCHECK, &Writer::null);
        }
        if let Some(id) = &self.key_identifier {
            extension(&oid::AUTHORITY_KEY_IDENTIFIER, &|w| w.sequence(|w| w.value(tag::context(0), id)));
        }
        for (id, critical, value) in &self.more {
            w.sequence(|w| {
                w.oid(id);
                if *critical {
                    w.boolean(true);
                }
                w.octet_string(value);
            });
        }
    }
}

/// Puts a certificate and its key into `signers/`, as `name`.
pub fn put(data: &Path, name: &str, certificate: &[u8], key: &Path) {
    let directory = data.join("signers");
    fs::write(directory.join(format!("{name}.pem")), pem::encode(&pem::Pem::new("CERTIFICATE", certificate)))
        .unwrap();
    let target = directory.join(format!("{name}.key"));
    fs::copy(key, &target).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Empties `signers/`.
pub fn clear(data: &Path) {
    for entry in fs::read_dir(data.join("signers")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
}
