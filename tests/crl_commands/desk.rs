//! A directory with CRLs in it, some made by the library and some by hand.

use std::path::PathBuf;

use rcgen::SigningKey;
use sekisho::der::{Oid, UnixTime, Writer, tag};
use sekisho::pki::{SignatureAlgorithm, oid};

use crate::service::{Ran, sekisho};
use crate::world::*;

pub struct Desk(tempfile::TempDir);

impl Desk {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and tells its path.
    pub fn put(&self, name: &str, octets: &[u8]) -> String {
        std::fs::write(self.path(name), octets).unwrap();
        self.path(name).display().to_string()
    }

    /// The certificate of a key of the authority.
    pub fn ca(&self, generation: usize) -> String {
        let ca = ca(generation);
        let der = ca.params.self_signed(&ca.pair).unwrap();
        self.put(&format!("ca-{generation}.cer"), der.der())
    }

    /// `sekisho crl …`, on no data directory at all.
    pub fn crl(&self, arguments: &[&str]) -> Ran {
        sekisho(&self.path("nothing"), &[&["crl"], arguments].concat())
    }

    /// `crl verify` an hour after thisUpdate.
    pub fn verify(&self, file: &str, ca: &str, more: &[&str]) -> Ran {
        self.crl(&[&["verify", file, "--ca", ca, "--at", "2026-11-22T16:00:00Z"], more].concat())
    }
}

/// An entry: serial content, date, reasonCode, invalidityDate.
pub type Listed = (Vec<u8>, UnixTime, Option<u8>, Option<UnixTime>);

pub fn listed(serial: u8, reason: u8) -> Listed {
    (vec![serial], time("2026-11-22T10:00:00Z"), (reason > 0).then_some(reason), None)
}

/// A CRL written by hand, right unless told otherwise.
pub struct Recipe {
    pub version: Option<u64>,
    pub generation: usize,
    pub issuer: Vec<u8>,
    pub key_id: Option<Vec<u8>>,
    pub this_update: UnixTime,
    pub next_update: Option<UnixTime>,
    pub number: Option<u64>,
    pub base: Option<u64>,
    pub entries: Vec<Listed>,
    /// OID, critical, value.
    pub extensions: Vec<(Oid, bool, Vec<u8>)>,
    /// Put into every entry.
    pub entry_extension: Option<(Oid, bool, Vec<u8>)>,
    /// Put behind every entry's date.
    pub entry_tail: Vec<u8>,
    /// Dates of entries as GeneralizedTime.
    pub generalized: bool,
    /// revokedCertificates also when there is none.
    pub present: bool,
    /// signature, when it is another than signatureAlgorithm.
    pub inner: Option<SignatureAlgorithm>,
}

impl Recipe {
    pub fn new(number: u64, entries: &[Listed]) -> Self {
        Self {
            version: Some(1),
            generation: 1,
            issuer: ca(1).issuer.name.der().to_vec(),
            key_id: Some(ca(1).issuer.key_id.to_vec()),
            this_update: plan().this_update,
            next_update: Some(plan().next_update),
            number: Some(number),
            base: None,
            entries: entries.to_vec(),
            extensions: Vec::new(),
            entry_extension: None,
            entry_tail: Vec::new(),
            generalized: false,
            present: false,
            inner: None,
        }
    }

    pub fn delta(number: u64, base: u64, entries: &[Listed]) -> Self {
        Self { base: Some(base), ..Self::new(number, entries) }
    }

    pub fn der(&self) -> Vec<u8> {
        let ca = ca(self.generation);
        let algorithm = ca.key.algorithm();
        let tbs = Writer::to_der(|w| {
            w.sequence(|w| {
                self.version.iter().for_each(|version| w.integer(*version));
                self.inner.unwrap_or(algorithm).write(w);
                w.raw(&self.issuer);
                w.time(self.this_update);
                self.next_update.iter().for_each(|time| w.time(*time));
                if self.present || !self.entries.is_empty() {
                    w.sequence(|w| self.entries.iter().for_each(|entry| self.write_entry(w, entry)));
                }
                w.nested(tag::context_constructed(0), |w| w.sequence(|w| self.write_extensions(w)));
            });
        });
        let signature = ca.pair.sign(&tbs).unwrap();
        Writer::to_der(|w| {
            w.sequence(|w| {
                w.raw(&tbs);
                algorithm.write(w);
                w.bit_string(&signature);
            });
        })
    }

    fn write_entry(&self, w: &mut Writer, (serial, date, reason, invalid): &Listed) {
        w.sequence(|w| {
            w.value(tag::INTEGER, serial);
            if self.generalized {
                w.generalized_time(*date)
            } else {
                w.time(*date)
            }
            w.raw(&self.entry_tail);
            if reason.is_some() || invalid.is_some() || self.entry_extension.is_some() {
                w.sequence(|w| {
                    if let Some(code) = reason {
                        let value = Writer::to_der(|w| w.enumerated(*code));
                        extension(w, &oid::REASON_CODE, false, &value);
                    }
                    if let Some(date) = invalid {
                        let value = Writer::to_der(|w| w.generalized_time(*date));
                        extension(w, &oid::INVALIDITY_DATE, false, &value);
                    }
                    if let Some((oid, critical, value)) = &self.entry_extension {
                        extension(w, oid, *critical, value);
                    }
                });
            }
        });
    }

    fn write_extensions(&self, w: &mut Writer) {
        if let Some(key_id) = &self.key_id {
            let value = Writer::to_der(|w| w.sequence(|w| w.value(tag::context(0), key_id)));
            extension(w, &oid::AUTHORITY_KEY_IDENTIFIER, false, &value);
        }
        let number = |number: u64| Writer::to_der(|w| w.integer(number));
        if let Some(own) = self.number {
            extension(w, &oid::CRL_NUMBER, false, &number(own));
        }
        if let Some(base) = self.base {
            extension(w, &oid::DELTA_CRL_INDICATOR, true, &number(base));
        }
        for (oid, critical, value) in &self.extensions {
            extension(w, oid, *critical, value);
        }
    }
}

pub fn extension(w: &mut Writer, oid: &Oid, critical: bool, value: &[u8]) {
    w.sequence(|w| {
        w.oid(oid);
        if critical {
            w.boolean(true);
        }
        w.octet_string(value);
    });
}

/// `[0] { [0] { name } }`: a distribution point's full name.
pub fn full_name(w: &mut Writer, name: impl FnOnce(&mut Writer)) {
    w.nested(tag::context_constructed(0), |w| w.nested(tag::context_constructed(0), name));
}
