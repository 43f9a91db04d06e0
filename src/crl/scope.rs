//! Which certificates a CRL speaks for.

use std::collections::BTreeMap;

use super::CrlNumber;
use crate::pki::{CertificateKind, Name, Partition};
use crate::record::Issued;

/// The scope of a CRL (RFC 5280 §5), within one authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// Every certificate, those of CAs and OCSP signers included: the list says nothing about
    /// its scope, so it may leave nothing out.
    Full {
        /// The URL of its deltas, where there are any.
        freshest_crl: Option<&'a str>,
    },
    /// What changed since a full CRL.
    Delta {
        /// The number of that one.
        base: CrlNumber,
    },
    /// The residents' certificates of one partition.
    Partition {
        /// Which.
        partition: Partition,
        /// Octet for octet the name in their cRLDistributionPoints.
        distribution_point: &'a Name,
    },
    /// The CA certificates.
    Authority,
}

/// Name of the file of a CRL, also the last part of its address.
#[must_use]
pub fn file_name(scope: Scope<'_>) -> String {
    match scope {
        Scope::Full { .. } => "full.crl".to_owned(),
        Scope::Delta { .. } => "delta.crl".to_owned(),
        Scope::Partition { partition, .. } => format!("{partition}.crl"),
        Scope::Authority => "authority.crl".to_owned(),
    }
}

/// Certificates that enter the same CRLs. The full CRL lists the groups in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Group {
    /// CA certificates: ARL and full CRL.
    Authority,
    /// OCSP signers, and certificates of authorities without partitions: full CRL only.
    Undivided,
    /// A partition: its CRL and the full CRL.
    Partition(Partition),
}

impl Group {
    pub(super) const fn of(issued: &Issued) -> Self {
        match (issued.kind, issued.partition) {
            (CertificateKind::Ca, _) => Self::Authority,
            (CertificateKind::OcspSigner, _) | (_, None) => Self::Undivided,
            (_, Some(partition)) => Self::Partition(partition),
        }
    }
}

/// Something for each group. Looked into for every entry of a set, several times: municipality
/// codes have five digits, and are their own places.
#[derive(Debug, Clone)]
pub(super) struct PerGroup<T> {
    /// What there is, in the order it came.
    kept: Vec<(Group, T)>,
    /// By number of a group: one more than the place in `kept`, or 0.
    places: Vec<u32>,
    /// The same for partitions of other profiles, whose numbers are larger.
    others: BTreeMap<Group, u32>,
}

/// Numbers: two, and those of five digits.
const NUMBERS_MAX: usize = 100_002;

impl<T> PerGroup<T> {
    pub(super) const fn new() -> Self {
        Self { kept: Vec::new(), places: Vec::new(), others: BTreeMap::new() }
    }

    pub(super) fn find(&self, group: Group) -> Option<&T> {
        self.kept.get(self.place(group)?).map(|(_, value)| value)
    }

    pub(super) fn find_mut(&mut self, group: Group) -> Option<&mut T> {
        let place = self.place(group)?;
        self.kept.get_mut(place).map(|(_, value)| value)
    }

    /// What is there for the group, made when there is nothing.
    pub(super) fn entry(&mut self, group: Group) -> &mut T
    where
        T: Default,
    {
        let place = self.place(group).unwrap_or_else(|| {
            self.kept.push((group, T::default()));
            let place = u32::try_from(self.kept.len()).unwrap_or(u32::MAX);
            match group.number() {
                Some(number) => {
                    if number >= self.places.len() {
                        self.places.resize(number + 1, 0);
                    }
                    if let Some(free) = self.places.get_mut(number) {
                        *free = place;
                    }
                }
                None => drop(self.others.insert(group, place)),
            }
            self.kept.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "places lead to what was pushed, and nothing is removed")]
        let (_, value) = &mut self.kept[place];
        value
    }

    pub(super) fn insert(&mut self, group: Group, value: T)
    where
        T: Default,
    {
        *self.entry(group) = value;
    }

    /// In the order of groups.
    pub(super) fn into_sorted(mut self) -> Vec<(Group, T)> {
        self.kept.sort_unstable_by_key(|(group, _)| *group);
        self.kept
    }

    fn place(&self, group: Group) -> Option<usize> {
        let place = match group.number() {
            Some(number) => self.places.get(number),
            None => self.others.get(&group),
        };
        usize::try_from(*place?).ok()?.checked_sub(1)
    }
}

impl Group {
    const fn number(self) -> Option<usize> {
        match self {
            Self::Authority => Some(0),
            Self::Undivided => Some(1),
            #[expect(clippy::as_conversions, reason = "a usize holds a u32 where this is built")]
            Self::Partition(Partition(code)) => {
                let number = (code as usize).saturating_add(2);
                if number < NUMBERS_MAX { Some(number) } else { None }
            }
        }
    }
}

impl Scope<'_> {
    /// The full CRL of an authority without deltas.
    pub const FULL: Self = Self::Full { freshest_crl: None };

    /// The one group it covers; none for the full CRL and its deltas, which cover all.
    pub(super) const fn group(&self) -> Option<Group> {
        match self {
            Self::Full { .. } | Self::Delta { .. } => None,
            Self::Partition { partition, .. } => Some(Group::Partition(*partition)),
            Self::Authority => Some(Group::Authority),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_a_group_is_found_again_in_the_order_of_groups() {
        let partition = |number| Group::Partition(Partition(number));
        let all = [
            Group::Authority,
            Group::Undivided,
            partition(0),
            partition(1361),
            partition(99_999),
            partition(100_000),
            partition(u32::MAX),
        ];
        let mut kept = PerGroup::new();
        for (value, group) in all.iter().enumerate().rev() {
            assert!(kept.find(*group).is_none());
            kept.insert(*group, value);
            *kept.entry(*group) += 10;
            *kept.find_mut(*group).unwrap() += 100;
        }
        assert_eq!(kept.find(partition(1361)), Some(&113));
        assert!(kept.find(partition(1362)).is_none());
        assert_eq!(
            kept.into_sorted(),
            (110..).zip(all).map(|(value, group)| (group, value)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn files_are_named_after_their_scope() {
        let name = Name::new(&[]);
        let partition = Scope::Partition { partition: Partition(1361), distribution_point: &name };
        assert_eq!(file_name(partition), "01361.crl");
        assert_eq!(file_name(Scope::FULL), "full.crl");
        assert_eq!(file_name(Scope::Authority), "authority.crl");
    }
}
