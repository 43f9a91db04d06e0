//! Numbers out of and into the store's files: big-endian, as in the codec of entries.

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

/// Appends `octets` behind their count in four octets.
pub(super) fn put_counted(out: &mut Vec<u8>, octets: &[u8]) {
    let count = u32::try_from(octets.len()).unwrap_or(u32::MAX);
    out.extend(count.to_be_bytes());
    out.extend(octets);
}

/// A count of octets in memory as a place in a file.
pub(super) fn offset(octets: usize) -> u64 {
    u64::try_from(octets).unwrap_or(u64::MAX)
}
