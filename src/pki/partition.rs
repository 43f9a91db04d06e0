//! Which of an authority's CRLs a certificate belongs to.

use std::fmt;
use std::str::FromStr;

/// Number of a CRL partition of an authority; in the JPKI profile the five-digit municipality
/// code. Written with five digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Partition(pub u32);

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:05}", self.0)
    }
}

/// Exactly five digits.
impl FromStr for Partition {
    type Err = PartitionError;

    fn from_str(text: &str) -> Result<Self, PartitionError> {
        let plain = text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| plain).map(Self).ok_or(PartitionError)
    }
}

/// The text is not five digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a municipality code: write its five digits, such as 13221")]
pub struct PartitionError;
