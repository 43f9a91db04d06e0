//! What a simulation came to.

use std::collections::{BTreeMap, HashMap};

use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256};
use serde::Serialize;

use super::{Plan, SimulateError};
use crate::der::UnixTime;
use crate::office::{Office, OfficeError};
use crate::pki::{Carrier, CertStatus};
use crate::record::{HolderId, Record};

/// Counts that anyone can compare with what OCSP, the CRLs and the journal say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// People at the beginning.
    pub residents: u32,
    /// Days simulated.
    pub days: u32,
    /// Chance.
    pub seed: u64,
    /// The instant after the last day; counts are as of then.
    pub until: String,
    /// Cards by state.
    pub cards: BTreeMap<&'static str, u64>,
    /// Phones by state.
    pub phones: BTreeMap<&'static str, u64>,
    /// Certificates.
    pub authorities: Vec<AuthorityTally>,
    /// Applications for cards.
    pub applications: Attempts,
    /// Issues of one or two certificates.
    pub issues: Attempts,
    /// Cards handed over.
    pub hand_overs: Attempts,
    /// Reports taken.
    pub reports: Attempts,
    /// Of those taken, the ones that changed a certificate.
    pub reports_with_effect: u64,
    /// Of those taken, the ones that had been made before.
    pub reports_repeated: u64,
    /// Scheduled CRL sets.
    pub crl_sets: u64,
    /// The journal's last position.
    pub position: u64,
    /// The head of its chain there.
    pub head: String,
    /// SHA-256 of all residents' certificates and what became of them: the same for the same plan.
    pub records_digest: String,
}

/// What was tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Attempts {
    /// Done.
    pub done: u64,
    /// Refused by a rule.
    pub refused: u64,
}

/// Residents' certificates of an authority.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AuthorityTally {
    /// Its name.
    pub authority: String,
    /// All, expired or not.
    pub issued: u64,
    /// Those OCSP says `good` of.
    pub good: u64,
    /// Those it says `revoked` of, by reason.
    pub revoked: BTreeMap<String, u64>,
    /// Of all of them, the expired.
    pub expired: u64,
    /// Entries of its full CRL.
    pub listed: u64,
}

impl Attempts {
    /// Counts an outcome; an error that is no refusal stands in nobody's rules, and ends it all.
    pub(super) fn count<T>(&mut self, outcome: Result<T, OfficeError>) -> Result<Option<T>, OfficeError> {
        use crate::office::Blame;
        match outcome {
            Ok(done) => {
                self.done += 1;
                Ok(Some(done))
            }
            Err(error) if matches!(error.blame(), Blame::Refused | Blame::Request) => {
                tracing::debug!(%error, "refused");
                self.refused += 1;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Tally {
    pub(super) fn of(plan: &Plan) -> Self {
        let Plan { residents, days, seed, .. } = *plan;
        Self { residents, days, seed, ..Self::default() }
    }

    /// Counts what is on record. `numbers` are the residents' by what the service calls them.
    pub(super) fn take_stock(
        &mut self,
        office: &Office,
        numbers: &HashMap<HolderId, usize>,
        now: UnixTime,
    ) -> Result<(), SimulateError> {
        let (position, head) = office.store().head();
        (self.position, self.head, self.until) = (position.0, HEXLOWER.encode(&head), now.to_string());
        let (cards, phones) = (&mut self.cards, &mut self.phones);
        let count_card = &mut |card: crate::record::Card| {
            let by_state = if card.applied.carrier == Carrier::Card { &mut *cards } else { &mut *phones };
            *by_state.entry(card.status.state.name()).or_default() += 1;
        };
        office.store().each_card(position, count_card).map_err(OfficeError::from)?;
        let catalogue = office.served_catalogue()?;
        let mut digest = Context::new(&SHA256);
        for authority in &office.profile().authorities {
            let mut tally = AuthorityTally { authority: authority.name.clone(), ..AuthorityTally::default() };
            let count_record = &mut |_, record: Record| {
                let Some(holder) = record.issued.holder else { return };
                tally.count(&record, now);
                let line = line(&record, tally.issued, numbers.get(&holder).copied());
                digest.update(line.as_bytes());
            };
            office.store().scan(authority.id, position, count_record).map_err(OfficeError::from)?;
            let crls = catalogue.iter().flat_map(|catalogue| &catalogue.crls);
            let full =
                crls.filter(|row| row.authority == authority.name && row.kind == crate::crl::CrlKind::Full);
            tally.listed = full.map(|row| row.entries).sum();
            self.authorities.push(tally);
        }
        self.records_digest = HEXLOWER.encode(digest.finish().as_ref());
        Ok(())
    }
}

impl AuthorityTally {
    fn count(&mut self, record: &Record, now: UnixTime) {
        self.issued += 1;
        self.expired += u64::from(record.issued.not_after < now);
        match record.status() {
            CertStatus::Revoked(revocation) => {
                *self.revoked.entry(revocation.reason.to_string()).or_default() += 1;
            }
            CertStatus::Good | CertStatus::Unknown => self.good += 1,
        }
    }
}

/// All that does not depend on the service's random numbers.
fn line(record: &Record, rank: u64, resident: Option<usize>) -> String {
    let issued = &record.issued;
    let mut line = format!(
        "{} {rank} {} {resident:?} {:?} {} {}",
        issued.certificate.authority.0, issued.kind, issued.partition, issued.not_before, issued.not_after
    );
    for change in &record.changes {
        line.push_str(&match change.status {
            CertStatus::Revoked(revocation) => format!(
                "; {} {} {} {:?}",
                change.recorded_at, revocation.reason, revocation.revoked_at, revocation.invalidity_date
            ),
            CertStatus::Good | CertStatus::Unknown => format!("; {} released", change.recorded_at),
        });
    }
    line.push('\n');
    line
}
