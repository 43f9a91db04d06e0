//! Which authority, and which of its keys.

use std::fmt;

/// A certification authority of this service, by its number in the journal. Its serial
/// numbers are unique and its DN is one, whatever key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthorityId(pub u8);

/// A key of an authority: 1, 2, 3 … Two or three are live at a time, under one DN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u8);

impl Generation {
    /// The first key of an authority.
    pub const FIRST: Self = Self(1);
    /// The last generation a status word can name: at four years a key, year 2278.
    pub const LAST: Self = Self(63);

    /// From its number, 1 to 63.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number >= Self::FIRST.0 && number <= Self::LAST.0 { Some(Self(number)) } else { None }
    }

    /// The next key's generation.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
