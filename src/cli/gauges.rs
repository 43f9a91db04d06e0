//! What the office knows of itself, for the operations listener.

use crate::der::UnixTime;
use crate::http::Gauge;
use crate::office::{Office, Reconciled, SignerInUse};
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
    let until = |authority: &Authority| {
        let value = office.next_update(authority.id).map_or(0, |ends| ends.since(now).as_secs());
        let help = "Until nextUpdate of the CRLs served: 0 means that verifiers have none.";
        let labels = vec![("authority", authority.name.clone())];
        gauge("sekisho_crl_seconds_left", help, labels, value)
    };
    gauges.extend(office.profile().authorities.iter().map(until));
    gauges.extend(sets(
        |sets, now| Some(now.since(sets.published_deltas?.recorded_at).as_secs()),
        "sekisho_crl_deltas_age_seconds",
        "Since thisUpdate of the last delta CRLs.",
    ));
    let overdue = u64::try_from(office.overdue().len()).unwrap_or(u64::MAX);
    let help = "CRL sets that should be out and are not, CRLs that have expired, and a schedule that does not \
                look: counted when asked, by nobody who could have died.";
    gauges.push(gauge("sekisho_crl_overdue", help, Vec::new(), overdue));
    let help = "CRL sets and deltas that did not come out since the start.";
    gauges.push(gauge("sekisho_crl_builds_failed", help, Vec::new(), office.builds_failed()));
    gauges.extend(attention(office));
    gauges.extend(reconciled(office, now));
    gauges.extend(signers(office, now));
    gauges
}

/// What somebody should look at, by its reason.
fn attention(office: &Office) -> Vec<Gauge> {
    let help = "1 while somebody should look: the readiness page says at what.";
    let now = office.attention();
    let one = |reason: &&'static str| {
        let is_so = now.iter().any(|one| one.reason == *reason);
        gauge("sekisho_attention", help, vec![("reason", (*reason).to_owned())], u64::from(is_so))
    };
    crate::office::reason::ALL.iter().map(one).collect()
}

/// Of the night's comparison of cards with certificates; none before the first night.
fn reconciled(office: &Office, now: UnixTime) -> Vec<Gauge> {
    let Some(Reconciled { at, disagreements, .. }) = office.reconciled() else { return Vec::new() };
    let disagreements = u64::try_from(disagreements).unwrap_or(u64::MAX);
    vec![
        gauge(
            "sekisho_reconcile_disagreements",
            "Cards that disagree with their certificates, or with the other cards of their holder: look at \
             sekisho reconcile.",
            Vec::new(),
            disagreements,
        ),
        gauge(
            "sekisho_reconcile_age_seconds",
            "Since cards were last compared with their certificates: every night.",
            Vec::new(),
            now.since(at).as_secs(),
        ),
    ]
}

/// Of each signer in use.
fn signers(office: &Office, now: UnixTime) -> impl Iterator<Item = Gauge> {
    office.signers_in_use().into_iter().map(move |SignerInUse { authority, generation, key, not_after }| {
        let labels =
            vec![("authority", authority), ("generation", generation.to_string()), ("key", key.to_owned())];
        let help = "Until the OCSP signer's certificate ends.";
        gauge("sekisho_signer_seconds_left", help, labels, not_after.since(now).as_secs())
    })
}

#[expect(clippy::as_conversions, reason = "Prometheus knows no other numbers; beyond 2⁵³ it rounds")]
fn gauge(name: &'static str, help: &'static str, labels: Vec<(&'static str, String)>, value: u64) -> Gauge {
    Gauge { name, help, labels, value: value as f64 }
}
