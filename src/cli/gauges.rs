//! What the office knows of itself, for the operations listener.

use crate::der::UnixTime;
use crate::http::Gauge;
use crate::office::Office;
use crate::pki::{CertStatus, CertificateKind};
use crate::profile::Authority;
use crate::store::CrlSets;

/// The numbers of this moment; those of one name follow one another.
pub(super) fn gauges(office: &Office) -> Vec<Gauge> {
    let now = office.clock().now();
    let store = office.store();
    let mut gauges = vec![
        gauge(
            "sekisho_store_ready",
            "1 while changes are taken.",
            Vec::new(),
            u64::from(store.ready().is_ok()),
        ),
        gauge("sekisho_journal_position", "The last entry of the journal.", Vec::new(), store.head().0.0),
    ];
    let facts = store.facts();
    let sets = |of: fn(&CrlSets, UnixTime) -> Option<u64>, name, help| {
        let of_authority = |authority: &Authority| {
            let value = of(facts.crl_sets.get(&authority.id)?, now)?;
            Some(gauge(name, help, vec![("authority", authority.name.clone())], value))
        };
        office.profile().authorities.iter().filter_map(of_authority).collect::<Vec<_>>()
    };
    gauges.extend(sets(
        |sets, _| Some(sets.published?.position.0),
        "sekisho_crl_set_position",
        "Journal position the last published CRL set is made from; its CRL number ends in it.",
    ));
    gauges.extend(sets(
        |sets, now| Some(now.since(sets.published?.recorded_at).as_secs()),
        "sekisho_crl_set_age_seconds",
        "Since thisUpdate of the last published CRL set.",
    ));
    gauges.extend(signers(office, now));
    gauges
}

/// Of each generation the signer that lasts longest.
fn signers(office: &Office, now: UnixTime) -> Vec<Gauge> {
    let facts = office.store().facts();
    let mut last = std::collections::BTreeMap::new();
    for record in &facts.issuers {
        let issued = &record.issued;
        if issued.kind == CertificateKind::OcspSigner && record.status() == CertStatus::Good {
            let not_after: &mut UnixTime = last
                .entry((issued.certificate.authority, issued.certificate.generation))
                .or_insert(issued.not_after);
            *not_after = (*not_after).max(issued.not_after);
        }
    }
    last.into_iter()
        .map(|((authority, generation), not_after)| {
            let known = office.profile().authority(authority);
            let labels = vec![
                ("authority", known.map_or_else(|| authority.0.to_string(), |known| known.name.clone())),
                ("generation", generation.to_string()),
            ];
            let help = "Until the OCSP signer's certificate ends.";
            gauge("sekisho_signer_seconds_left", help, labels, not_after.since(now).as_secs())
        })
        .collect()
}

#[expect(clippy::as_conversions, reason = "Prometheus knows no other numbers; beyond 2⁵³ it rounds")]
fn gauge(name: &'static str, help: &'static str, labels: Vec<(&'static str, String)>, value: u64) -> Gauge {
    Gauge { name, help, labels, value: value as f64 }
}
