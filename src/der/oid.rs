//! OBJECT IDENTIFIER (X.690 §8.19).

use std::fmt;

/// Content octets an [`Oid`] can hold; the longest used here has 12.
const OCTETS_MAX: usize = 23;

/// An object identifier, kept as its DER content octets.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Oid {
    len: u8,
    octets: [u8; OCTETS_MAX],
}

#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "const evaluation: a wrong constant does not compile"
)]
impl Oid {
    /// Encodes arcs, e.g. `Oid::new(&[2, 5, 29, 15])`. Meant for constants.
    ///
    /// # Panics
    /// With fewer than two arcs, or more than fit: at compile time when used in a constant.
    #[must_use]
    pub const fn new(arcs: &[u32]) -> Self {
        assert!(arcs.len() >= 2, "an OID has at least two arcs");
        let mut octets = [0; OCTETS_MAX];
        let mut len = 0;
        let mut arc = 1;
        while arc < arcs.len() {
            let value = if arc == 1 { arcs[0] * 40 + arcs[1] } else { arcs[arc] };
            let mut groups = 1;
            while groups < 5 && value >> (7 * groups) != 0 {
                groups += 1;
            }
            while groups > 0 {
                groups -= 1;
                let more = if groups == 0 { 0 } else { 0x80 };
                octets[len] = ((value >> (7 * groups)) & 0x7f) as u8 | more;
                len += 1;
            }
            arc += 1;
        }
        Self { len: len as u8, octets }
    }

    /// The content octets.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value: u64 = 0;
        let mut first = true;
        for octet in self.content() {
            value = value << 7 | u64::from(octet & 0x7f);
            if octet & 0x80 != 0 {
                continue;
            }
            if first {
                let root = (value / 40).min(2);
                write!(f, "{root}.{}", value - root * 40)?;
                first = false;
            } else {
                write!(f, ".{value}")?;
            }
            value = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Oid;

    #[test]
    fn x690_s8_19_arcs_become_base_128_groups() {
        let cases: &[(&[u32], &[u8])] = &[
            (&[2, 5, 29, 15], &[0x55, 0x1d, 0x0f]),
            (&[1, 2, 840, 113_549, 1, 1, 11], &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11]),
            (&[1, 2, 392, 200_149, 8, 5, 5], &[0x2a, 0x83, 0x08, 0x8c, 0x9b, 0x55, 8, 5, 5]),
        ];
        for (arcs, content) in cases {
            let oid = Oid::new(arcs);
            assert_eq!(oid.content(), *content);
            let text: Vec<String> = arcs.iter().map(ToString::to_string).collect();
            assert_eq!(oid.to_string(), text.join("."));
        }
    }
}
