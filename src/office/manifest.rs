//! The manifest: what a running service has to try, for people, tests and load generators.

use std::path::Path;

use serde::Serialize;

use super::authorities::archived_certificate;
use super::{Office, OfficeError};
use crate::pki::CertStatus;
use crate::record::Record;

/// Certificates of each status that get a file, for each authority.
#[derive(Debug, Clone, Copy)]
pub struct FilesWanted {
    /// Good ones, spares included.
    pub good: usize,
    /// Revoked ones.
    pub revoked: usize,
    /// Held ones.
    pub held: usize,
}

impl Default for FilesWanted {
    fn default() -> Self {
        Self { good: 40, revoked: 20, held: 10 }
    }
}

/// The manifest's root.
#[derive(Debug, Clone, Serialize)]
pub struct Manifest {
    /// Where OCSP is asked.
    pub ocsp_url: String,
    /// The catalogue.
    pub crl_index: String,
    /// The admin socket.
    pub admin_socket: String,
    /// The service's process.
    pub pid: u32,
    /// The authorities' generations.
    pub authorities: Vec<ListedAuthority>,
    /// Every resident certificate.
    pub certificates: Vec<Listed>,
}

/// One generation of an authority.
#[derive(Debug, Clone, Serialize)]
pub struct ListedAuthority {
    /// The authority's name.
    pub name: String,
    /// The generation.
    pub generation: u8,
    /// PEM file of its CA certificate.
    pub certificate: String,
    /// A serial that has not been issued yet.
    pub next_serial: String,
}

/// One certificate.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// The authority's name.
    pub authority: String,
    /// The generation that signed it.
    pub generation: u8,
    /// Its serial.
    pub serial: String,
    /// `good` or `revoked`.
    pub status: &'static str,
    /// CRLReason, when revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// revocationTime, when revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<String>,
    /// Municipality code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub municipality: Option<String>,
    /// Its kind.
    pub kind: &'static str,
    /// PEM file, when one was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl Office {
    /// Lists what there is, and writes certificates to try out into the data directory.
    ///
    /// # Errors
    /// When the store cannot be read or files cannot be written.
    pub fn manifest(&self, wanted: FilesWanted) -> Result<Manifest, OfficeError> {
        let mut authorities = Vec::new();
        let mut certificates = Vec::new();
        for (id, generations) in self.generations.load().iter() {
            for live in generations {
                let generation = live.issuer.generation;
                authorities.push(ListedAuthority {
                    name: live.authority.clone(),
                    generation: generation.number(),
                    certificate: absolute(&self.data.ca_certificate(&live.authority, generation)),
                    next_serial: self
                        .store
                        .coming_serial(*id)
                        .map_or_else(String::new, |serial| serial.to_string()),
                });
            }
            self.list_certificates(*id, wanted, &mut certificates)?;
        }
        Ok(Manifest {
            ocsp_url: format!("{}/", self.public_url),
            crl_index: format!("{}/crl/index.json", self.public_url),
            admin_socket: absolute(&self.data.admin_socket()),
            pid: std::process::id(),
            authorities,
            certificates,
        })
    }

    fn list_certificates(
        &self,
        authority: crate::pki::AuthorityId,
        mut wanted: FilesWanted,
        listed: &mut Vec<Listed>,
    ) -> Result<(), OfficeError> {
        let (position, _) = self.store.head();
        let mut records = Vec::new();
        self.store.scan(authority, position, &mut |_, record| {
            if record.issued.kind.is_resident() {
                records.push(record);
            }
        })?;
        let name = self.authority_name(authority);
        for record in records {
            let left = match record.status() {
                CertStatus::Revoked(revocation) if revocation.is_hold() => &mut wanted.held,
                CertStatus::Revoked(_) => &mut wanted.revoked,
                CertStatus::Good | CertStatus::Unknown => &mut wanted.good,
            };
            let file = if *left > 0 {
                *left -= 1;
                Some(self.certificate_file(&name, &record)?)
            } else {
                None
            };
            listed.push(Listed::new(&name, &record, file));
        }
        Ok(())
    }

    /// Writes a certificate to `certificates/`, unless it is there.
    fn certificate_file(&self, authority: &str, record: &Record) -> Result<String, OfficeError> {
        let serial = record.issued.certificate.serial;
        let path = self.data.certificates().join(format!("{authority}-{serial}.pem"));
        if !path.exists() {
            let der = archived_certificate(&self.store, &record.issued)?;
            let pem = pem::encode(&pem::Pem::new("CERTIFICATE", der));
            let directory = self.data.certificates();
            let failed = |error| super::data::DataError::Io { path: path.clone(), error };
            std::fs::create_dir_all(&directory).and_then(|()| std::fs::write(&path, pem)).map_err(failed)?;
        }
        Ok(absolute(&path))
    }
}

impl Listed {
    fn new(authority: &str, record: &Record, file: Option<String>) -> Self {
        let issued = &record.issued;
        let revocation = match record.status() {
            CertStatus::Revoked(revocation) => Some(revocation),
            CertStatus::Good | CertStatus::Unknown => None,
        };
        Self {
            authority: authority.to_owned(),
            generation: issued.certificate.generation.number(),
            serial: issued.certificate.serial.to_string(),
            status: if revocation.is_some() { "revoked" } else { "good" },
            reason: revocation.map(|revocation| revocation.reason.name()),
            revoked_at: revocation.map(|revocation| revocation.revoked_at.to_string()),
            municipality: issued.partition.map(|partition| partition.to_string()),
            kind: issued.kind.name(),
            file,
        }
    }
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
