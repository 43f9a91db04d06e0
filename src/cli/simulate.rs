//! `simulate`: a year of the country, in minutes.

use std::time::Instant;

use super::args::Simulate;
use super::demo::write_manifest;
use super::progress::progress_bar;
use super::{DataDir, Failure, print};
use crate::office::FilesWanted;
use crate::simulate::{self, Attempts, Plan, Tally};

pub(super) fn run(data: &DataDir, asked: &Simulate, json: bool) -> Result<(), Failure> {
    crate::telemetry::start_quietly();
    let Simulate { residents, days, seed, from, .. } = *asked;
    let began = Instant::now();
    let progress = progress_bar(0, "days");
    let (office, tally) = simulate::run(data, &Plan { residents, days, seed, from }, &mut |done, all| {
        progress.set_length(all);
        progress.set_position(done);
    })?;
    progress.finish_and_clear();
    let written = match &asked.manifest {
        Some(file) => office
            .manifest(FilesWanted::default())
            .map_err(Failure::from)
            .and_then(|manifest| write_manifest(data, file, &manifest)),
        None => Ok(()),
    };
    office.stop()?;
    // What it came to is told also where the list of it cannot be written.
    print(json, &tally, || in_words(&tally, data, began))?;
    written
}

fn in_words(tally: &Tally, data: &DataDir, began: Instant) -> String {
    let Tally { residents, days, seed, until, .. } = tally;
    let counts = |counts: &mut dyn Iterator<Item = (&str, u64)>| {
        counts.map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    };
    let attempts = |Attempts { done, refused }: Attempts| format!("{done} done, {refused} refused");
    let mut lines = vec![format!("{residents} residents, {days} days until {until}, seed {seed}")];
    lines.push(format!("cards: {}", counts(&mut tally.cards.iter().map(|(state, count)| (*state, *count)))));
    lines
        .push(format!("phones: {}", counts(&mut tally.phones.iter().map(|(state, count)| (*state, *count)))));
    for one in &tally.authorities {
        let revoked = counts(&mut one.revoked.iter().map(|(reason, count)| (reason.as_str(), *count)));
        lines.push(format!(
            "{}: {} certificates, {} good, {revoked}; {} of them expired; {} on the full CRL",
            one.authority, one.issued, one.good, one.expired, one.listed
        ));
    }
    lines.push(format!("applications: {}", attempts(tally.applications)));
    lines.push(format!("issues: {}", attempts(tally.issues)));
    lines.push(format!("hand-overs: {}", attempts(tally.hand_overs)));
    lines.push(format!(
        "reports: {}; {} changed a certificate, {} were repetitions",
        attempts(tally.reports),
        tally.reports_with_effect,
        tally.reports_repeated
    ));
    lines.push(format!("{} CRL sets; one stop as by a crash; nothing disagrees", tally.crl_sets));
    lines.push(format!("journal position {}, digest {}", tally.position, tally.head));
    lines.push(format!("digest of the records {}", tally.records_digest));
    let data = data.path().display();
    lines.push(format!(
        "took {:.1} s; next: sekisho check --data {data}, then sekisho serve --data {data}",
        began.elapsed().as_secs_f64()
    ));
    lines.join("\n")
}
