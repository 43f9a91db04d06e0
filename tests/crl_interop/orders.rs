//! What clients are to decide, and by which files.

use std::path::PathBuf;

use crate::stage::{AUTHORITIES, Case, GENERATIONS, Life, Right, Stage, Verdict};
use crate::world::{Certificate, ESASHI, Set};

/// The CRLs that a client is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// The full CRL.
    Full,
    /// That of the certificates' municipality.
    Partition,
    /// Those of both towns whose names are one.
    Partitions,
    /// That of the other town alone.
    OtherPartition,
    /// The full CRL of the morning and the delta to it.
    Delta,
    /// The same, where a client is not told to use deltas.
    DeltaUnasked,
    /// The delta without its base.
    DeltaAlone,
}

/// A client decides on all certificates by these files, in the order they have here.
#[derive(Debug)]
pub struct Order {
    /// Whether deltas are to be used, where a client can be told to.
    pub deltas: bool,
    pub cas: Vec<PathBuf>,
    pub crls: Vec<PathBuf>,
    pub certificates: Vec<Asked>,
}

/// A certificate to decide on.
#[derive(Debug, Clone)]
pub struct Asked {
    pub file: PathBuf,
    pub life: Life,
    /// What is right to say of it.
    pub right: Verdict,
}

impl Given {
    pub const ALL: [Self; 7] = [
        Self::Full,
        Self::Partition,
        Self::Partitions,
        Self::OtherPartition,
        Self::Delta,
        Self::DeltaUnasked,
        Self::DeltaAlone,
    ];

    pub const fn what(self) -> &'static str {
        match self {
            Self::Full => "the full CRL",
            Self::Partition => "the CRL of the certificate's municipality",
            Self::Partitions => "those of both towns",
            Self::OtherPartition => "that of the other town alone: nothing can be decided",
            Self::Delta => "the full CRL of the morning, and the delta to it",
            Self::DeltaUnasked => "the same, but not told to use deltas: what the full CRL says",
            Self::DeltaAlone => "the delta alone: nothing can be decided",
        }
    }
}

/// Every order: by each generation alone for its own certificates, and by both for the
/// certificates of both, the CRLs turned every way, and the CAs too where `cas_turned`.
pub fn orders(stage: &Stage, given: Given, cas_turned: bool) -> Vec<Order> {
    let mut orders = Vec::new();
    for authority in AUTHORITIES {
        let [one, other] = [&GENERATIONS[..1], &GENERATIONS[1..]];
        let both = (given != Given::DeltaUnasked).then_some(&GENERATIONS[..]);
        for generations in [one, other].into_iter().chain(both) {
            let cas = generations.iter().map(|generation| stage.world.ca(authority, *generation));
            let mut cas = permutations(&Vec::from_iter(cas));
            cas.truncate(if cas_turned { cas.len() } else { 1 });
            for (names, mut cases) in selections(stage, given, authority, generations) {
                if names.len() * generations.len() > FEW {
                    cases = one_of_each(cases, given);
                }
                for (whole, right) in times(stage, given) {
                    let find = |generation: u8, name: &str| {
                        let set = if name == "delta" { &stage.deltas } else { whole };
                        set.find(authority, generation, name)
                    };
                    let crls = generations
                        .iter()
                        .flat_map(|generation| names.iter().map(|name| find(*generation, name)));
                    let asked = |case: &&Case| {
                        let (file, life) = (case.certificate.file.clone(), case.life);
                        Asked { file, life, right: right(life) }
                    };
                    let certificates: Vec<Asked> = cases.iter().map(asked).collect();
                    let deltas = matches!(given, Given::Delta | Given::DeltaAlone);
                    for crls in permutations(&Vec::from_iter(crls)) {
                        orders.extend(cas.iter().map(|cas| {
                            let (cas, crls, certificates) = (cas.clone(), crls.clone(), certificates.clone());
                            Order { deltas, cas, crls, certificates }
                        }));
                    }
                }
            }
        }
    }
    orders
}

/// More CRLs than this are turned so many ways that not all certificates are asked about.
const FEW: usize = 2;

/// Of each generation, one of each life; where partitions are given, one of each verdict in each.
fn one_of_each(cases: Vec<&Case>, given: Given) -> Vec<&Case> {
    let mut seen = Vec::new();
    let first = |case: &&Case| {
        let Certificate { generation, partition, .. } = case.certificate;
        let group = match given {
            Given::Partitions => (None, Some((case.life.then(), partition)), generation),
            _ => (Some(case.life), None, generation),
        };
        let first = !seen.contains(&group);
        seen.push(group);
        first
    };
    cases.into_iter().filter(first).collect()
}

/// Which CRLs, by their names, for which certificates.
fn selections<'a>(
    stage: &'a Stage,
    given: Given,
    authority: &str,
    generations: &[u8],
) -> Vec<(Vec<String>, Vec<&'a Case>)> {
    let cases: Vec<&Case> = stage
        .cases
        .iter()
        .filter(|case| {
            case.certificate.authority == authority && generations.contains(&case.certificate.generation)
        })
        .collect();
    let [one, other] = ESASHI.map(|(partition, _)| partition);
    let of =
        |partition| cases.iter().copied().filter(|case| case.certificate.partition == partition).collect();
    match given {
        Given::Full => vec![(vec!["full".to_owned()], cases)],
        Given::Delta | Given::DeltaUnasked => vec![(vec!["full".to_owned(), "delta".to_owned()], cases)],
        Given::DeltaAlone => vec![(vec!["delta".to_owned()], cases)],
        Given::Partitions => vec![(vec![one.to_string(), other.to_string()], cases)],
        Given::Partition => vec![(vec![one.to_string()], of(one)), (vec![other.to_string()], of(other))],
        Given::OtherPartition => vec![(vec![other.to_string()], of(one)), (vec![one.to_string()], of(other))],
    }
}

/// By the whole CRLs of which sets, and what is right then.
fn times(stage: &Stage, given: Given) -> Vec<(&Set, Right)> {
    match given {
        Given::Full | Given::Partition => vec![(&stage.base, Life::then), (&stage.now, Life::now)],
        Given::Partitions | Given::DeltaUnasked => vec![(&stage.base, Life::then)],
        Given::OtherPartition | Given::DeltaAlone => vec![(&stage.base, |_| Verdict::Undecided)],
        Given::Delta => vec![(&stage.base, Life::now)],
    }
}

fn permutations(files: &[PathBuf]) -> Vec<Vec<PathBuf>> {
    let [one, rest @ ..] = files else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for permutation in permutations(rest) {
        for at in 0..=permutation.len() {
            let mut longer = permutation.clone();
            longer.insert(at, one.clone());
            all.push(longer);
        }
    }
    all
}
