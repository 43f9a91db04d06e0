//! A country in miniature: invented residents go through what residents go through, for days on a
//! clock of their own, and everything they ask is asked of the real use cases.
//!
//! | file | what |
//! |---|---|
//! | `population` | places and people |
//! | `calendar`, `dice` | days of Japan; chance |
//! | `fortune` | what happens to people, and how often |
//! | `country` | what follows from it: who comes to the counter when, what the registry reports |
//! | `year` | carries it out, day by day, on an office |
//! | `tally` | what it came to: counts, and a digest of all records |
//!
//! What happens is a function of the number of residents, the days and the seed. The service's
//! random numbers (cards, people) and the gaps that a restart leaves between serials are not; so
//! the digest names residents by their number, and certificates by their rank.

mod calendar;
mod country;
mod dice;
mod fortune;
mod population;
mod tally;
mod year;

use std::collections::BTreeSet;

pub use population::{Person, Population};
pub use tally::{Attempts, AuthorityTally, Tally};
pub use year::run;

use crate::office::{Office, OfficeError};

/// Residents at most: a country of more takes longer than a day.
pub const RESIDENTS_MAX: u32 = 10_000_000;

/// Days at most: keys of authorities are not renewed here, and live ten years.
pub const DAYS_MAX: u32 = 5 * 366;

/// What is to be simulated.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many people there are at the beginning; nobody is born.
    pub residents: u32,
    /// How many days.
    pub days: u32,
    /// Chance.
    pub seed: u64,
    /// The first day, in Japan.
    pub from: time::Date,
}

/// Is told of progress: days done, of so many. Those before the first count too.
pub type Tell<'a> = &'a mut dyn FnMut(u64, u64);

/// Why a simulation did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// Its days are not over yet.
    #[error(
        "the last simulated day is yet to come: a service could not go on from there; choose an earlier --from or fewer --days"
    )]
    Ahead,
    /// The service.
    #[error(transparent)]
    Office(#[from] OfficeError),
    /// Cards and certificates disagree.
    #[error("{count} disagreements on day {day}: {first}")]
    Disagree {
        /// The day.
        day: i64,
        /// How many.
        count: usize,
        /// The first.
        first: String,
    },
    /// Records, status index, CRLs and journal disagree.
    #[error("{count} findings on day {day}: {first}")]
    Findings {
        /// The day.
        day: i64,
        /// How many.
        count: usize,
        /// The first.
        first: String,
    },
}

/// Opens the CRL partitions of the places that the first `count` residents live in, all at once.
///
/// # Errors
/// When their CRLs cannot be published.
pub fn open_homes(office: &Office, population: &Population, count: u32) -> Result<(), OfficeError> {
    let authorities = office.profile().authorities.iter().map(|authority| authority.id);
    let homes = population.homes(count);
    let partitions =
        authorities.flat_map(|id| homes.iter().map(move |home| (id, population.partition(*home))));
    office.open_partitions(&partitions.collect::<BTreeSet<_>>())
}
