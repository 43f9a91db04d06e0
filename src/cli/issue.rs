//! `issue`: one resident, or one a line.

use std::fs;
use std::path::{Path, PathBuf};

use super::args::Issue;
use super::batch;
use super::client::Client;
use super::named::pem_of;
use super::{DataDir, Failure, print};
use crate::admin::api::{self, IssuedPair, SubjectKeySource, path};

pub(super) fn run(data: &DataDir, asked: &Issue, json: bool) -> Result<(), Failure> {
    match &asked.batch {
        None => {
            let issued: IssuedPair = Client::of(data)?.post(path::ISSUE, &request(asked)?)?;
            let files = write(&asked.out, &issued)?;
            print(json, &issued, || in_words(&issued, &files))
        }
        Some(file) => batch::run(data, file, asked, json),
    }
}

fn request(asked: &Issue) -> Result<api::Issue, Failure> {
    let given = |value: &Option<String>| value.clone().unwrap_or_default();
    let subject_key = match (&asked.csr, &asked.public_key, asked.test_key) {
        (Some(file), ..) => SubjectKeySource::Csr(pem_of(file, "CERTIFICATE REQUEST")?),
        (_, Some(file), _) => SubjectKeySource::PublicKey(pem_of(file, "PUBLIC KEY")?),
        (_, _, true) => SubjectKeySource::TestKey,
        _ => {
            return Err(Failure::wrong_use(
                "say where the public key comes from: --csr, --public-key or --test-key",
            ));
        }
    };
    Ok(api::Issue {
        name: given(&asked.name),
        former_surname: asked.former_surname.clone(),
        name_substitutes: asked.name_substitutes.clone(),
        birth: given(&asked.birth),
        sex: given(&asked.sex),
        address: given(&asked.address),
        address_substitutes: asked.address_substitutes.clone(),
        municipality: given(&asked.municipality),
        kinds: asked.kind.clone(),
        subject_key,
        card: asked.card.clone(),
        renew: asked.renew.clone(),
        phone_with: asked.phone_with.clone(),
        key: asked.key.clone(),
    })
}

/// Writes each certificate as PEM, named by authority and serial.
pub(super) fn write(directory: &Path, issued: &IssuedPair) -> Result<Vec<PathBuf>, Failure> {
    let write = |one: &api::IssuedCertificate| {
        let path = directory.join(format!("{}-{}.pem", one.authority, one.serial));
        let written = fs::create_dir_all(directory).and_then(|()| fs::write(&path, &one.certificate));
        written
            .map_err(|error| {
                Failure::internal(format!(
                    "issued {} {}, but {}: {error}",
                    one.authority,
                    one.serial,
                    path.display()
                ))
            })
            .map(|()| path)
    };
    issued.certificates.iter().map(write).collect()
}

pub(super) fn in_words(issued: &IssuedPair, files: &[PathBuf]) -> String {
    let repeated = if issued.repeated { ", issued before under this key" } else { "" };
    let lines = issued.certificates.iter().zip(files).map(|(one, file)| {
        let api::IssuedCertificate { authority, serial, kind, not_after, .. } = one;
        format!("{authority} {serial} ({kind}, until {not_after}{repeated}): {}", file.display())
    });
    let on = issued.card.iter().zip(&issued.holder).map(|(card, holder)| format!("on {card} of {holder}"));
    lines.chain(on).collect::<Vec<_>>().join("\n")
}
