//! Numbers out of and into the store's files: big-endian, as in the codec of entries.

use crate::record::WriteError;

/// Octets still to be read; nothing when they end early.
pub(super) struct Octets<'a>(pub(super) &'a [u8]);

impl<'a> Octets<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn one(&mut self) -> Option<u8> {
        self.array().map(|[octet]| octet)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// As many octets as the next four say.
    pub(super) fn counted(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(self.u32()?).ok()?;
        self.take(count)
    }
}

/// Appends `octets` behind their count in four octets. More than that count can say are refused,
/// by the name of the `field`, and nothing is appended.
pub(super) fn put_counted(out: &mut Vec<u8>, field: &'static str, octets: &[u8]) -> Result<(), WriteError> {
    out.extend(count_of(field, octets.len())?.to_be_bytes());
    out.extend(octets);
    Ok(())
}

/// A count of octets as four octets say it.
fn count_of(field: &'static str, octets: usize) -> Result<u32, WriteError> {
    let most = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
    u32::try_from(octets).map_err(|_| WriteError::octets(field, octets, most))
}

/// A count of octets in memory as a place in a file.
pub(super) fn offset(octets: usize) -> u64 {
    u64::try_from(octets).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_four_octets_cannot_count_is_refused_by_its_name() {
        let most = usize::try_from(u32::MAX).unwrap();
        assert_eq!(count_of("row", most), Ok(u32::MAX));
        assert_eq!(count_of("row", most + 1), Err(WriteError::octets("row", most + 1, most)));
        let mut out = vec![9];
        put_counted(&mut out, "row", &[1, 2]).unwrap();
        assert_eq!(out, [9, 0, 0, 0, 2, 1, 2]);
        assert_eq!(Octets(&out[1..]).counted(), Some(&[1, 2][..]));
    }
}
