//! `issue`: one resident, or one a line.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::args::Issue;
use super::batch;
use super::client::Client;
use super::named::pem_of;
use super::out::{try_directory, write_private};
use super::{DataDir, Failure, print};
use crate::admin::api::{self, GivenKey, IssuedPair, SubjectKeySource, path};
use crate::pki::CertificateKind;

pub(super) fn run(data: &DataDir, asked: &Issue, json: bool) -> Result<(), Failure> {
    try_directory(&asked.out)?;
    match &asked.batch {
        None => {
            let issued: IssuedPair = Client::of(data)?.post(path::ISSUE, &request(asked)?)?;
            let written = write(&asked.out, &issued);
            tell(&issued, written, json)
        }
        Some(file) => batch::run(data, file, asked, json),
    }
}

/// Tells what was issued. What could not be written to its file stands here instead: it was issued.
pub(super) fn tell(
    issued: &IssuedPair,
    written: Result<Vec<PathBuf>, Failure>,
    json: bool,
) -> Result<(), Failure> {
    match written {
        Ok(files) => print(json, issued, || in_words(issued, &files)),
        Err(failure) => {
            let all = issued.certificates.iter().map(|one| one.certificate.trim_end());
            print(json, issued, || all.collect::<Vec<_>>().join("\n"))?;
            Err(failure)
        }
    }
}

fn request(asked: &Issue) -> Result<api::Issue, Failure> {
    let given = |value: &Option<String>| value.clone().unwrap_or_default();
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
        subject_key: subject_key(asked)?,
        card: asked.card.clone(),
        renew: asked.renew.clone(),
        phone_with: asked.phone_with.clone(),
        ticket: asked.grounds.ticket.clone(),
        comment: asked.grounds.comment.clone(),
        key: asked.key.clone(),
    })
}

/// One key as it is, or one for each kind that is named before its file.
fn subject_key(asked: &Issue) -> Result<SubjectKeySource, Failure> {
    let mut given = Vec::new();
    for argument in &asked.csr {
        let (kind, file) = kind_and_file(argument);
        given.push((kind, GivenKey::Csr(pem_of(file, "CERTIFICATE REQUEST")?)));
    }
    for argument in &asked.public_key {
        let (kind, file) = kind_and_file(argument);
        given.push((kind, GivenKey::PublicKey(pem_of(file, "PUBLIC KEY")?)));
    }
    match given.as_slice() {
        [] if asked.test_key => Ok(SubjectKeySource::TestKey),
        [] => {
            Err(Failure::wrong_use("say where the public key comes from: --csr, --public-key or --test-key"))
        }
        [(None, GivenKey::Csr(pem))] => Ok(SubjectKeySource::Csr(pem.clone())),
        [(None, GivenKey::PublicKey(pem))] => Ok(SubjectKeySource::PublicKey(pem.clone())),
        given => by_kind(given).map(SubjectKeySource::ByKind),
    }
}

fn by_kind(given: &[(Option<CertificateKind>, GivenKey)]) -> Result<BTreeMap<String, GivenKey>, Failure> {
    let mut keys = BTreeMap::new();
    for (kind, key) in given {
        let kind = kind.ok_or_else(|| {
            Failure::wrong_use("say which kind each key is for: --csr sign=FILE --csr auth=FILE")
        })?;
        if keys.insert(kind.name().to_owned(), key.clone()).is_some() {
            return Err(Failure::wrong_use(format!("two keys are given for {kind}: leave one out")));
        }
    }
    Ok(keys)
}

/// `sign=FILE`, or `FILE`. Of a file whose own name begins so the path is written: `./sign=FILE`.
fn kind_and_file(argument: &OsStr) -> (Option<CertificateKind>, &Path) {
    let octets = argument.as_bytes();
    let named = CertificateKind::ALL.into_iter().find_map(|kind| {
        let file = octets.strip_prefix(kind.name().as_bytes())?.strip_prefix(b"=")?;
        Some((Some(kind), Path::new(OsStr::from_bytes(file))))
    });
    named.unwrap_or((None, Path::new(argument)))
}

/// Writes each certificate as PEM, named by authority and serial.
pub(super) fn write(directory: &Path, issued: &IssuedPair) -> Result<Vec<PathBuf>, Failure> {
    let write = |one: &api::IssuedCertificate| {
        let api::IssuedCertificate { authority, serial, certificate, .. } = one;
        let path = directory.join(format!("{authority}-{serial}.pem"));
        let written =
            fs::create_dir_all(directory).and_then(|()| write_private(&path, certificate.as_bytes()));
        written.map(|()| path.clone()).map_err(|error| {
            Failure::internal(format!(
                "{authority} {serial} was issued and cannot be written to {}: {error}; the certificates stand on standard \
                 output, and `sekisho certificate get --authority {authority} --serial {serial}` gives this one again",
                path.display()
            ))
        })
    };
    issued.certificates.iter().map(write).collect()
}

fn in_words(issued: &IssuedPair, files: &[PathBuf]) -> String {
    let repeated = if issued.repeated { ", issued before under this key" } else { "" };
    let lines = issued.certificates.iter().zip(files).map(|(one, file)| {
        let api::IssuedCertificate { authority, serial, kind, not_after, .. } = one;
        format!("{authority} {serial} ({kind}, until {not_after}{repeated}): {}", file.display())
    });
    let on = issued.card.iter().zip(&issued.holder).map(|(card, holder)| format!("on {card} of {holder}"));
    lines.chain(on).collect::<Vec<_>>().join("\n")
}
