//! `demo`: a service with residents, without a question asked.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::args::Demo;
use super::presign;
use super::progress::progress_bar;
use super::residents::Population;
use super::running::{Running, ToldToStop};
use super::{DataDir, Failure};
use crate::config::Config;
use crate::office::{self, FilesWanted, Listed, Manifest, Office, OfficeError, Reported, Subject};
use crate::pki::AuthorityId;
use crate::record::{Actor, Origin, RequestId};

/// Residents registered at once: each waits for the disk most of the time, and the store syncs
/// for all of them together.
const CLERKS: usize = 16;

/// How long a card of a demo is in use before something happens to it.
const IN_USE: Duration = Duration::from_secs(1);

pub(super) fn run(data: &DataDir, asked: &Demo, json: bool) -> Result<(), Failure> {
    crate::telemetry::start();
    if !data.exists() {
        office::init(data, &Config::default().profile.organization)?;
    }
    let mut config = Config::read(&data.config())?;
    if let Some(listen) = asked.listen {
        config.public.listen = listen;
        // Out of the way of whatever else runs here; the port is printed.
        config.operations.listen = config.operations.listen.map(|address| (address.ip(), 0).into());
    }
    if let Some(url) = &asked.public_url {
        config.public.url = url.trim_end_matches('/').to_owned();
        config.check()?;
    }
    let mut running = Running::start(data, config)?;
    let ready = prepare(running.office(), asked);
    let ready = ready.and_then(|manifest| {
        if let Some(file) = &asked.manifest {
            write_manifest(data, file, &manifest)?;
        }
        let metrics = running.operations_address().map(|address| format!("http://{address}/metrics"));
        let told = ToldToStop::awaited()?;
        print_lines(data, &manifest, metrics.as_deref().unwrap_or("-"), json)?;
        if asked.exit_after_ready {
            return Ok(());
        }
        presign::until_told_to_stop(running.office(), &asked.presign, told)
    });
    running.stop()?;
    ready
}

/// Residents on the first start, the day's CRLs, the manifest. A first start that was interrupted
/// goes on: each resident has a key, and nobody is registered twice.
fn prepare(office: &Office, asked: &Demo) -> Result<Manifest, Failure> {
    if office.fewest_certificates() <= u64::from(asked.residents) {
        populate(office, asked.residents)?;
        let all: Vec<AuthorityId> =
            office.profile().authorities.iter().map(|authority| authority.id).collect();
        office.publish(&all, false)?;
    }
    Ok(office.manifest(FilesWanted::default())?)
}

fn populate(office: &Office, residents: u32) -> Result<(), OfficeError> {
    let population = Population::new(residents, office.profile());
    let authorities = office.profile().authorities.iter().map(|authority| authority.id);
    let homes = population.homes(residents);
    office
        .open_partitions(&authorities.flat_map(|id| homes.iter().map(move |home| (id, *home))).collect())?;
    let progress = progress_bar(usize::try_from(residents).unwrap_or(0), "residents");
    let next = AtomicU32::new(0);
    let failed: Mutex<Option<OfficeError>> = Mutex::new(None);
    let fates = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..CLERKS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= residents {
                        return;
                    }
                    match register(office, &population, number) {
                        Ok(fate) => fates.lock().unwrap_or_else(PoisonError::into_inner).extend(fate),
                        Err(error) => {
                            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                            next.store(residents, Ordering::Relaxed);
                            return;
                        }
                    }
                    progress.inc(1);
                }
            });
        }
    });
    progress.finish_and_clear();
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)?;
    std::thread::sleep(IN_USE);
    let fates: Vec<Reported> = fates.into_inner().unwrap_or_else(PoisonError::into_inner);
    office.report(&fates, &Actor::service()).into_iter().try_for_each(|effect| effect.map(drop))
}

/// Issues a resident's card and hands it over; what is to be reported of them then.
fn register(office: &Office, population: &Population, number: u32) -> Result<Option<Reported>, OfficeError> {
    let actor = Actor::service();
    let request = RequestId::new(&actor, &format!("demo-{number}"), &number.to_be_bytes());
    let pair = office.issue(&population.application(number), Origin { actor, request: Some(request) })?;
    let Some(issued) = pair.certificates.first().map(|one| &one.issued) else { return Ok(None) };
    let Some(card) = issued.card else { return Ok(None) };
    // One that is not good any more was handed over before this start.
    match office.hand_over(card, Origin::service()) {
        Ok(_) | Err(OfficeError::Refused(_)) => {}
        Err(error) => return Err(error),
    }
    Ok(population.fate(number).map(|fate| Reported {
        event_id: format!("demo-{number}"),
        event: fate.event.to_owned(),
        subject: Subject::Card(card),
        kind: fate.certificate,
        municipality: None,
        effective_at: issued.not_before.plus(IN_USE),
        reported_at: None,
    }))
}

fn write_manifest(data: &DataDir, file: &Path, manifest: &Manifest) -> Result<(), Failure> {
    let json = serde_json::to_vec_pretty(manifest).map_err(|error| Failure::internal(error.to_string()))?;
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    data.write(&path, &json).map_err(|error| Failure::from(OfficeError::from(error)))
}

/// Lines to try: each stands alone and runs in a shell as it is.
fn print_lines(data: &DataDir, manifest: &Manifest, metrics: &str, json: bool) -> Result<(), Failure> {
    let ca = |name: &str| {
        manifest.authorities.iter().rev().find(|ca| ca.name == name).map(|ca| ca.certificate.clone())
    };
    let certificate = |authority: &str, status: &str, skip: usize| {
        let matches =
            |one: &&Listed| one.authority == authority && one.status == status && one.file.is_some();
        let chosen = manifest.certificates.iter().filter(matches).nth(skip);
        chosen.and_then(|one| one.file.clone())
    };
    let missing = || Failure::internal("the demo has no certificate to show: choose a new --data directory");
    let url = &manifest.ocsp_url;
    let ask = |authority: &str, file: &str| {
        let ca = ca(authority).ok_or_else(missing)?;
        let (ca, file) = (quoted(&ca), quoted(file));
        Ok::<_, Failure>(format!("openssl ocsp -issuer {ca} -CAfile {ca} -cert {file} -url {url}"))
    };
    let good = certificate("auth", "good", 0).ok_or_else(missing)?;
    let revoked = certificate("sign", "revoked", 0).ok_or_else(missing)?;
    let spare = certificate("sign", "good", 0).ok_or_else(missing)?;
    let sign_ca = ca("sign").ok_or_else(missing)?;
    let generation =
        manifest.authorities.iter().rev().find(|ca| ca.name == "sign").map_or(1, |ca| ca.generation);
    let crl_url = format!("{}crl/sign/{generation}/full.crl", manifest.ocsp_url);
    let sekisho = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("sekisho"));
    let data = std::path::absolute(data.path()).unwrap_or_else(|_| data.path().to_owned());
    let (sekisho, data) = (quoted(&sekisho.display().to_string()), quoted(&data.display().to_string()));
    let lines = [
        ("a good authentication certificate", ask("auth", &good)?),
        ("a revoked signing certificate", ask("sign", &revoked)?),
        (
            "the signing authority's CRL, fetched and verified",
            format!(
                "curl -sf {crl_url} | openssl crl -inform DER -noout -verify -CAfile {}",
                quoted(&sign_ca)
            ),
        ),
        ("a signing certificate that is still good", ask("sign", &spare)?),
        ("revoke it; the line above then says revoked", {
            format!("{sekisho} revoke --data {data} --cert {} --reason keyCompromise", quoted(&spare))
        }),
        ("all that is known of it", format!("{sekisho} status --data {data} --cert {}", quoted(&spare))),
        ("what revokes what", format!("{sekisho} rules")),
        ("every card beside its certificates", format!("{sekisho} reconcile --data {data}")),
    ];
    if json {
        let lines: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
        let ready =
            serde_json::json!({ "ready": true, "ocsp_url": url, "metrics_url": metrics, "try": lines });
        return super::print(true, &ready, String::new);
    }
    let count = manifest.certificates.len();
    let mut text = format!(
        "\nReady: {count} test certificates at {url}, metrics at {metrics} (Ctrl-C stops). \
         Try, in another shell:\n"
    );
    for (what, line) in &lines {
        text.push_str(&format!("\n# {what}\n{line}\n"));
    }
    super::print(false, &(), || text)
}

/// For a shell: plain when it is plain, in single quotes otherwise.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn paths_survive_the_shell() {
        for text in ["/plain/path-1.pem", "with space", "it's", "a;b", "$(x)", "日本"] {
            let out = std::process::Command::new("sh")
                .arg("-c")
                .arg(format!("printf %s {}", quoted(text)))
                .output();
            assert_eq!(out.unwrap().stdout, text.as_bytes());
        }
    }
}
