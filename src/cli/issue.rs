//! `issue`: one resident, or one a line.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use indicatif::{ProgressBar, ProgressStyle};
use ring::digest;

use super::args::Issue;
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
        Some(file) => batch(&mut Client::of(data)?, file, asked, json),
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

/// Issues for every line. A repeated run issues nothing twice, also when rejected lines have been
/// corrected since: the key of a line is its content, and how often that stood there before.
/// Rejected lines go to FILE.rejected with their reasons.
fn batch(service: &mut Client, file: &Path, asked: &Issue, json: bool) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| Failure::wrong_use(format!("{}: {error}", file.display()));
    let octets = fs::read(file).map_err(unreadable)?;
    let mut seen: HashMap<String, u64> = HashMap::new();
    let lines: Vec<String> =
        BufReader::new(octets.as_slice()).lines().collect::<Result<_, _>>().map_err(unreadable)?;
    let progress = progress_bar(lines.len(), "issuing");
    let rejected_path = PathBuf::from(format!("{}.rejected", file.display()));
    let mut rejected = Vec::new();
    let mut issued_count = 0;
    for (number, line) in (1..).zip(&lines) {
        progress.inc(1);
        if line.trim().is_empty() {
            continue;
        }
        let hash = HEXLOWER.encode(digest::digest(&digest::SHA256, line.trim().as_bytes()).as_ref());
        let times = seen.entry(hash.clone()).or_default();
        *times += 1;
        let batch = asked.key.as_deref().unwrap_or_default();
        match batch_line(service, line, format!("{batch}:{hash}:{times}")) {
            Ok(issued) => {
                issued_count += issued.certificates.len();
                let files = write(&asked.out, &issued)?;
                if json {
                    print(json, &issued, String::new)?;
                } else {
                    progress.suspend(|| print(false, &(), || in_words(&issued, &files)))?;
                }
            }
            Err(failure)
                if failure.code == super::exit::UNREACHED || failure.code == super::exit::INTERNAL =>
            {
                return Err(failure);
            }
            Err(failure) => rejected.push(format!("line {number}: {}", failure.message)),
        }
    }
    progress.finish_and_clear();
    if rejected.is_empty() {
        eprintln!("{issued_count} certificates");
        return Ok(());
    }
    let written = fs::File::create(&rejected_path)
        .and_then(|mut out| rejected.iter().try_for_each(|line| writeln!(out, "{line}")));
    written.map_err(|error| Failure::internal(format!("{}: {error}", rejected_path.display())))?;
    let first = rejected.first().map(String::as_str).unwrap_or_default();
    Err(Failure::refused(format!(
        "{issued_count} certificates; {} lines rejected, see {}; the first: {first}",
        rejected.len(),
        rejected_path.display()
    )))
}

fn batch_line(service: &mut Client, line: &str, key: String) -> Result<IssuedPair, Failure> {
    let mut request: api::Issue =
        serde_json::from_str(line).map_err(|error| Failure::wrong_use(format!("not understood: {error}")))?;
    request.key = Some(key);
    service.post(path::ISSUE, &request)
}

/// Writes each certificate as PEM, named by authority and serial.
fn write(directory: &Path, issued: &IssuedPair) -> Result<Vec<PathBuf>, Failure> {
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

fn in_words(issued: &IssuedPair, files: &[PathBuf]) -> String {
    let repeated = if issued.repeated { ", issued before under this key" } else { "" };
    let lines = issued.certificates.iter().zip(files).map(|(one, file)| {
        let api::IssuedCertificate { authority, serial, kind, not_after, .. } = one;
        format!("{authority} {serial} ({kind}, until {not_after}{repeated}): {}", file.display())
    });
    let on = issued.card.iter().zip(&issued.holder).map(|(card, holder)| format!("on {card} of {holder}"));
    lines.chain(on).collect::<Vec<_>>().join("\n")
}

/// A bar on standard error while a person watches; nothing otherwise.
pub(super) fn progress_bar(len: usize, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(u64::try_from(len).unwrap_or(u64::MAX)).with_style(style).with_message(what)
}
