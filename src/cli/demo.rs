//! `demo`: a service with residents, without a question asked.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::Demo;
use super::fate::fate;
use super::presign;
use super::progress::progress_bar;
use super::running::{Running, ToldToStop};
use super::{DataDir, Failure};
use crate::config::Config;
use crate::office::{self, FilesWanted, Listed, Manifest, Office, OfficeError, Place, Reported, Subject};
use crate::pki::{AuthorityId, CertificateKind};
use crate::record::{Actor, Origin, RequestId};
use crate::simulate::{self, Population};
use crate::sync::in_parallel;

/// Residents registered at once: they share the waits for the disk.
const AT_ONCE: usize = 200;

/// Cards handed over at once: each clerk waits for the disk most of the time.
const CLERKS: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// What residents apply for.
const PAIR: [CertificateKind; 2] = [CertificateKind::CardSign, CertificateKind::CardAuth];

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
    let population = Population::new(office.profile());
    simulate::open_homes(office, &population, residents)?;
    let progress = progress_bar(usize::try_from(residents).unwrap_or(0), "residents");
    let numbers: Vec<u32> = (0..residents).collect();
    let mut fates = Vec::new();
    for numbers in numbers.chunks(AT_ONCE) {
        fates.extend(register(office, &population, numbers, residents)?);
        progress.inc(u64::try_from(numbers.len()).unwrap_or(0));
    }
    progress.finish_and_clear();
    std::thread::sleep(IN_USE);
    office.report(&fates, &Actor::service()).into_iter().try_for_each(|effect| effect.map(drop))
}

/// Issues residents' cards and hands them over; what is to be reported of them then.
fn register(
    office: &Office,
    population: &Population,
    numbers: &[u32],
    residents: u32,
) -> Result<Vec<Reported>, OfficeError> {
    let asked = numbers.iter().map(|number| {
        let actor = Actor::service();
        let request = RequestId::new(&actor, &format!("demo-{number}"), &number.to_be_bytes());
        (
            population.application(&population.adult(*number), Place::New, &PAIR),
            Origin { request: Some(request), ..Origin::of(actor) },
        )
    });
    let pairs = office.issue_all(&asked.collect::<Vec<_>>());
    let handed_over = in_parallel(CLERKS, pairs, |pair| {
        let pair = pair?;
        let Some(issued) = pair.certificates.into_iter().next().map(|one| one.issued) else {
            return Ok(None);
        };
        let Some(card) = issued.card else { return Ok(None) };
        // One that is not good any more was handed over before this start.
        match office.hand_over(card, Origin::service()) {
            Ok(_) | Err(OfficeError::Refused(_)) => Ok(Some((card, issued.not_before.plus(IN_USE)))),
            Err(error) => Err(error),
        }
    });
    let mut fates = Vec::new();
    for (number, handed_over) in numbers.iter().zip(handed_over) {
        if let (Some((card, effective_at)), Some(fate)) = (handed_over?, fate(*number, residents)) {
            fates.push(Reported {
                event_id: format!("demo-{number}"),
                event: fate.event.to_owned(),
                subject: Subject::Card(card),
                kind: fate.certificate,
                municipality: None,
                effective_at,
                reported_at: None,
            });
        }
    }
    Ok(fates)
}

pub(super) fn write_manifest(data: &DataDir, file: &Path, manifest: &Manifest) -> Result<(), Failure> {
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
pub(super) fn quoted(text: &str) -> String {
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
